# SPDX-License-Identifier: MIT
# make processor: random programs of system-level instructions, as an image that runs here and on Bochs (docs/processor.md).
PROCESSOR := $(BARE)/processor
PROCESSOR_IMAGE := $(PROCESSOR)/programs.elf
PROCESSOR_OBJECTS := $(addprefix $(PROCESSOR)/,$(addsuffix .o,entry legacy main report environment tasks generate emit transfer system access))
-include $(PROCESSOR_OBJECTS:.o=.d)

$(PROCESSOR)/%.o: tests/processor/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(GUEST_FLAGS) -c -o $@ $<
$(PROCESSOR)/%.o: tests/processor/%.S
	@mkdir -p $(@D)
	@echo "  AS    $<"
	@$(CC) $(GUEST_FLAGS) -c -o $@ $<
$(PROCESSOR)/programs.elf64: $(PROCESSOR_OBJECTS) $(GUESTS)/lib/boot.o $(GUESTS)/lib/console.o scenarios/guests/lib/guest.ld
	@echo "  LINK  $@"
	@$(GUEST_LINK) -T scenarios/guests/lib/guest.ld -o $@ $(filter %.o,$^)
$(PROCESSOR_IMAGE): $(PROCESSOR)/programs.elf64
	@echo "  IMAGE $@"
	@objcopy --strip-debug -O elf32-i386 $< $@

tests: $(PROCESSOR_IMAGE)
# The ledgers are kept by the programs of seed 1: in those of other seeds a rare row may explain nothing.
STALE = $(if $(filter 1,$(SEED)),--stale)
.PHONY: processor
processor: $(B)/sesqui $(PROCESSOR_IMAGE) $(BOCHS_PARTS)
	@SESQUI=$(B)/sesqui tests/processor/processor.sh --seed $(SEED) --count 20000 --progress $(STALE)
