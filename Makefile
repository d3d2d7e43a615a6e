# SPDX-License-Identifier: MIT
#
# make            builds build/release/sesqui          make test      builds and runs every test
# make run        the demonstration                    make help      the other targets
#
# Rooms and their dependencies: docs/structure.md. VARIANT=release|asan|coverage|clang chooses how things are compiled. clang is
# the release by another compiler, with the image and the guests (elsewhere they do not depend on VARIANT): `make CC=clang` is
# the whole build with it, VARIANT=clang stands beside that of gcc. BARE: where programs without an operating system go.

VARIANT ?= release
B := build/$(VARIANT)
CC ?= gcc
BARE := build
ifeq ($(VARIANT),clang)
CC := clang
BARE := $(B)
endif

# What a row of a table leaves out is 0; when that is worth a warning, gcc and clang do not agree.
COMMON := -std=gnu11 -g -I. -Wall -Wextra -Wno-missing-field-initializers -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -fno-strict-aliasing \
          -fno-common -MMD -MP
release_FLAGS := -O3
asan_FLAGS := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
clang_FLAGS := -O2
coverage_FLAGS := -O0 --coverage
FLAGS := $(COMMON) $($(VARIANT)_FLAGS) $(CFLAGS)
# The core is freestanding: no header but the compiler's own, no libc, and no register that its guest did not have saved.
HV_FLAGS := $(FLAGS) -mgeneral-regs-only -Wconversion -Wno-sign-conversion -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include)
MODEL_FLAGS := $(FLAGS) -Wconversion -Wno-sign-conversion
EMU_FLAGS := $(FLAGS)

# One group: the CPU engine's functions call ours (--wrap) as ours call them.
emu_group = @emu/unicorn/wrap.opts -Wl,--start-group $(EMU_LIB) $(HV_LIB) $(MODEL_LIB) $(1) -l:libunicorn.a -lcapstone $(LINES_LIBS) \
            -lz -lpthread -lm -Wl,--end-group
CHECK_LIBS := -lcheck -lsubunit -lrt -lpthread -lm

sources = $(sort $(wildcard $(1)/*.c $(1)/*/*.c $(1)/*/*/*.c))
MODEL_SRC := $(call sources,model)
HV_SRC := $(filter-out hv/x86/%,$(call sources,hv))
# Source lines in messages: by libdw (elfutils) where it is installed.
LINES := $(if $(shell pkg-config --exists libdw 2>/dev/null && echo yes),dw,none)
LINES_LIBS := $(if $(filter dw,$(LINES)),-ldw)
EMU_SRC := $(filter-out emu/load/lines_%,$(call sources,emu)) emu/load/lines_$(LINES).c
CLI_SRC := $(call sources,cli)
TEST_SRC := $(sort $(wildcard tests/*/*_test.c))
objects = $(patsubst %.c,$(B)/%.o,$(1))

MODEL_LIB := $(B)/libsesqui-model.a
HV_LIB := $(B)/libsesqui-hv.a
EMU_LIB := $(B)/libsesqui-emu.a
SESQUI := $(B)/sesqui
TESTS := $(patsubst %.c,$(B)/%,$(TEST_SRC))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(SESQUI) guests image

$(SESQUI): $(call objects,$(CLI_SRC)) $(EMU_LIB) $(HV_LIB) $(MODEL_LIB) emu/unicorn/wrap.opts
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $(call objects,$(CLI_SRC)) $(call emu_group)

$(MODEL_LIB): $(call objects,$(MODEL_SRC))
$(HV_LIB): $(call objects,$(HV_SRC))
$(EMU_LIB): $(call objects,$(EMU_SRC))
$(MODEL_LIB) $(HV_LIB) $(EMU_LIB):
	@echo "  AR    $@"
	@rm -f $@ && ar rcs $@ $^

define compile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(1) -c -o $@ $<
endef
$(B)/model/%.o: model/%.c ; $(call compile,$(MODEL_FLAGS))
# Its text in a section of its own: emu/native/step.c counts the instructions that are executed there.
$(B)/hv/%.o: hv/%.c Makefile
	$(call compile,$(HV_FLAGS))
	@objcopy --rename-section .text=hv_text --rename-section .text.unlikely=hv_text --rename-section .text.hot=hv_text \
		--rename-section .text.startup=hv_text $@
$(B)/emu/%.o: emu/%.c ; $(call compile,$(EMU_FLAGS))
$(B)/cli/bench/report.o: EMU_FLAGS += -DHV_FLAGS='"$($(VARIANT)_FLAGS) $(CFLAGS) -mgeneral-regs-only"'
$(B)/cli/%.o: cli/%.c ; $(call compile,$(EMU_FLAGS))
$(B)/tests/%.o: tests/%.c ; $(call compile,$(EMU_FLAGS))

# Tests of the model link the model alone: it needs no CPU engine.
$(B)/tests/model/%_test: $(B)/tests/model/%_test.o $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $^ $(CHECK_LIBS)
$(B)/tests/%_test: $(B)/tests/%_test.o $(EMU_LIB) $(HV_LIB) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $< $(LINK_OPTIONS) $(call emu_group,$(CHECK_LIBS))

# Faults between the core and its HAL: the test's functions stand in front of the HAL's.
$(B)/tests/hv/rules_test: LINK_OPTIONS := @tests/hv/faults.opts
$(B)/tests/hv/init_test: LINK_OPTIONS := @tests/hv/init.opts
$(B)/tests/hv/nmi_test: LINK_OPTIONS := @tests/hv/nmi.opts
$(B)/tests/hv/hardware_test: LINK_OPTIONS := @tests/hv/hardware.opts
# The command's own files are in no library.
$(B)/tests/cli/signals_test: $(B)/cli/signals.o
$(B)/tests/cli/signals_test: LINK_OPTIONS := $(B)/cli/signals.o
.PHONY: tests
tests: $(TESTS)

include hv/x86/image.mk
include scenarios/guests/guests.mk
include tests/targets.mk

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
