# SPDX-License-Identifier: MIT
# What tests/metal/bochs.sh needs to boot an image on Bochs: the firmware, and the loader as a program.
METAL := build/metal
MEMORY_IMAGE := $(B)/tests/metal/memory_image
BOCHS_PARTS := $(MEMORY_IMAGE) $(METAL)/firmware.rom

$(MEMORY_IMAGE): %: %.o $(EMU_LIB) $(HV_LIB) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $< $(call emu_group)
$(METAL)/firmware.rom: tests/metal/firmware.S
	@mkdir -p $(@D)
	@echo "  IMAGE $@"
	@$(CC) -m32 -c -o $@.o $< && objcopy -O binary -j .text $@.o $@ && rm $@.o

.PHONY: bochs-parts
bochs-parts: $(BOCHS_PARTS)
tests: $(BOCHS_PARTS)
