# SPDX-License-Identifier: MIT
# make metal: the same core on machines that are not the model: as an image on our bare machine, and on Bochs.
METAL_TESTS := tests/metal/image.sh tests/metal/late.sh tests/metal/system.sh tests/backends/run.sh tests/metal/on_bochs.sh

# gcc makes calls of memset() from loops even here; clang has no such option and does not.
NO_MEMORY_CALLS := $(shell $(CC) --version | grep -q clang || echo -fno-tree-loop-distribute-patterns)
# Linked out of the way of what it boots.
MULTIBOOT2 := $(BARE)/metal/multiboot2.elf
tests: $(MULTIBOOT2)
$(MULTIBOOT2): tests/metal/multiboot2.c scenarios/guests/lib/guest.ld
	@mkdir -p $(@D)
	@echo "  IMAGE $@"
	@sed 's/0x100000;/0x2000000;/' scenarios/guests/lib/guest.ld >$@.ld
	@$(GUEST_LINK) -m32 -Os -std=gnu11 -Wall -Wextra -Werror -Wno-int-to-pointer-cast -ffreestanding -fno-pic -fno-stack-protector \
		-mgeneral-regs-only -fno-asynchronous-unwind-tables -fcf-protection=none $(NO_MEMORY_CALLS) \
		-T $@.ld -o $@ $<

.PHONY: metal
metal: all bochs-parts $(IMAGE_2) $(MULTIBOOT2)
	@tests/deps.sh metal || echo "make metal: Bochs cannot be installed here: what needs it is skipped"
	@tests/run.sh $(METAL_TESTS)
