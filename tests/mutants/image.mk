# SPDX-License-Identifier: MIT
# Mutants of the image: hv/x86/*.c, one file compiled anew and the image linked anew, without LTO, which would compile all of it. The program is the
# same otherwise. MUTANT_OPTIONS: tests/mutants/image/run.pl --help
MUTANT_IMAGE := build/mutants/image
MUTANT_IMAGE_COMPILE = $(CC) $(filter-out -flto% -g -W% -MMD -MP,$(IMAGE_FLAGS)) -w
MUTANT_IMAGE_LINK = $(MUTANT_IMAGE_COMPILE) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -Wl,-no-pie
# mutant_image FOLDER,DEFINES
define mutant_image
build/mutants/$(1)/%.o: %.c hv/x86/image.mk
	@mkdir -p $$(@D)
	@$$(MUTANT_IMAGE_COMPILE) $(2) -MMD -MP -c -o $$@ $$<
build/mutants/$(1)/%.o: %.S hv/x86/image.mk
	@mkdir -p $$(@D)
	@$$(MUTANT_IMAGE_COMPILE) $(2) -MMD -MP -c -o $$@ $$<
build/mutants/$(1)/image.ld: hv/x86/image.ld hv/x86/layout.h arch/late_load.h
	@mkdir -p $$(@D)
	@$$(CC) -E -P -x c -I. -D__LINKER__ $(2) $$< -o $$@
build/mutants/$(1)/sesqui.elf: $(patsubst %,build/mutants/$(1)/%.o,$(basename $(IMAGE_SRC))) build/mutants/$(1)/image.ld
	@$$(MUTANT_IMAGE_LINK) -T build/mutants/$(1)/image.ld -o $$@ $$(filter %.o,$$^)
endef
$(eval $(call mutant_image,image,))
$(eval $(call mutant_image,image-2,-DPROCESSORS=2))
.PHONY: mutants-image mutants-image-prepare
mutants-image-prepare: all build/mutants/image/sesqui.elf build/mutants/image-2/sesqui.elf $(MULTIBOOT2)
mutants-image: mutants-image-prepare
	@IMAGE_COMPILE="$(MUTANT_IMAGE_COMPILE)" IMAGE_LINK="$(MUTANT_IMAGE_LINK)" IMAGE_SOURCES="$(IMAGE_SRC)" \
		UNIT_COMPILE="$(CC) -std=gnu11 -O1 -w -fno-strict-aliasing" UNIT_LIBS="$(CHECK_LIBS)" \
		perl tests/mutants/image/run.pl $(MUTANT_OPTIONS)
-include $(shell find build/mutants/image build/mutants/image-2 -name '*.d' 2>/dev/null)
