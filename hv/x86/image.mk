# SPDX-License-Identifier: MIT
#
# build/sesqui.elf: the core freestanding, with the metal back end of its HAL, as a multiboot image (v1 and v2).
# It does not depend on VARIANT, but for clang (Makefile).

IMAGE := $(BARE)/sesqui.elf
IMAGE_OBJ := $(BARE)/image
IMAGE_FLAGS := -std=gnu11 -O2 -g -I. -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
               -Wconversion -Wno-sign-conversion -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) \
               -fpie -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
               -fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-common -Wa,--noexecstack \
               -Wframe-larger-than=6144 $(IMAGE_DEFINES) -MMD -MP
# Late load begins in its caller's world, where the image is at another address: all code is position-independent, without a table
# of addresses. gcc sees the image as one program (clang links without, and would complain of options that only compiling needs): the primitives are expanded where the core uses them. What the compiler itself
# may call is not part of that, for it does so when everything else is done.
IMAGE_FLAGS += -fvisibility=hidden $(if $(shell $(CC) --version | grep -i clang),-Wno-unused-command-line-argument,-flto=auto)
$(IMAGE_OBJ)/hv/x86/text.o: IMAGE_FLAGS += -fno-lto
IMAGE_SRC := $(sort $(wildcard hv/*.c hv/*/*.c hv/x86/*.S))
IMAGE_OBJECTS := $(addprefix $(IMAGE_OBJ)/,$(addsuffix .o,$(basename $(IMAGE_SRC))))

.PHONY: image
image: $(IMAGE)

# The same for two processors: what happens with "more than compiled for" has to be tested.
ifndef IMAGE_DEFINES
IMAGE_2 := $(BARE)/image-2/sesqui.elf
tests: $(IMAGE_2)
$(IMAGE_2): $(IMAGE)
	@$(MAKE) --no-print-directory IMAGE=$@ IMAGE_OBJ=$(@D) IMAGE_DEFINES=-DPROCESSORS=2 image
endif

$(IMAGE): $(IMAGE_OBJECTS) $(IMAGE_OBJ)/image.ld
	@echo "  IMAGE $@"
	@$(CC) $(IMAGE_FLAGS) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -Wl,-no-pie -T $(IMAGE_OBJ)/image.ld -o $@ $(IMAGE_OBJECTS)

$(IMAGE_OBJ)/image.ld: hv/x86/image.ld hv/x86/layout.h arch/late_load.h
	@mkdir -p $(@D)
	@$(CC) -E -P -x c -I. -D__LINKER__ $(IMAGE_DEFINES) $< -o $@

$(IMAGE_OBJ)/%.o: %.c hv/x86/image.mk
	@mkdir -p $(@D)
	@echo "  CC    $< (image)"
	@$(CC) $(IMAGE_FLAGS) -c -o $@ $<
$(IMAGE_OBJ)/%.o: %.S hv/x86/image.mk
	@mkdir -p $(@D)
	@echo "  AS    $<"
	@$(CC) $(IMAGE_FLAGS) -c -o $@ $<

-include $(shell find $(IMAGE_OBJ) -name '*.d' 2>/dev/null)
