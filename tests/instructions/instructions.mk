# SPDX-License-Identifier: MIT
# make instructions: user-level instructions on the host's own processor and on the CPU engine (docs/processor.md).
INSTRUCTIONS := $(B)/tests/instructions/instructions
INSTRUCTIONS_OBJECTS := $(call objects,$(call sources,tests/instructions))
$(INSTRUCTIONS): $(INSTRUCTIONS_OBJECTS) $(EMU_LIB) $(HV_LIB) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $(INSTRUCTIONS_OBJECTS) $(call emu_group)
tests: $(INSTRUCTIONS)

INSTRUCTIONS_COUNT ?= 1000000
.PHONY: instructions
instructions: $(INSTRUCTIONS)
	@INSTRUCTIONS=$(INSTRUCTIONS) tests/instructions/instructions.sh --seed $(SEED) --count $(INSTRUCTIONS_COUNT)
