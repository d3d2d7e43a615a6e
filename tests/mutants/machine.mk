# SPDX-License-Identifier: MIT
# Mutants of the machine: the model, and the CPU engine with the devices, are shared libraries here, so that one with a fault is linked at
# once and every test program meets it. MUTANT_OPTIONS: tests/mutants/machine/run.pl --help
MACHINE := build/mutants/machine
MACHINE_COMPILE = $(CC) -std=gnu11 -O1 -fPIC -w -fno-strict-aliasing -fno-common
MACHINE_LIBGCC = $(shell $(CC) -print-libgcc-file-name)
MACHINE_MODEL := $(patsubst %.c,$(MACHINE)/model/%.o,$(MODEL_SRC))
MACHINE_ENGINE_SRC := $(call sources,emu/unicorn) $(call sources,emu/device)
MACHINE_ENGINE := $(patsubst %.c,$(MACHINE)/engine/%.o,$(MACHINE_ENGINE_SRC))
MACHINE_LIBS := $(MACHINE)/lib/libsesqui-model.so $(MACHINE)/lib/libsesqui-engine.so
# Those that can tell one machine from another; the others are about text and files. rules_test and nmi_test stand elsewhere.
MACHINE_emu_TESTS := $(filter-out tests/emu/disk% tests/emu/load_% tests/emu/trace_% tests/emu/vmcs_text% tests/emu/decode% tests/emu/scenario_parse%,$(wildcard tests/emu/*_test.c))
MACHINE_model_TESTS := $(wildcard tests/model/*_test.c)
MACHINE_TESTS := $(MACHINE)/model_tests $(MACHINE)/emu_tests
# What is neither the model nor the engine, from the release build. What the core's text is, nobody asks here.
MACHINE_REST = $(filter-out $(call objects,$(MACHINE_ENGINE_SRC)),$(call objects,$(EMU_SRC)))
# Only the engine calls the translator's own loop, so that the linker would leave it in its archive.
MACHINE_HOST = $(CC) -O1 -no-pie -rdynamic -Wl,-u,translator_loop_x86_64
machine_group = $(subst $(EMU_LIB),$(MACHINE_REST),$(subst $(MODEL_LIB),$(MACHINE_LIBS),$(call emu_group,$(1))))
$(MACHINE)/model/%.o $(MACHINE)/engine/%.o: %.c
	@mkdir -p $(@D)
	@$(MACHINE_COMPILE) -iquote . -MMD -MP -c -o $@ $<
$(MACHINE)/lib/libsesqui-model.so: $(MACHINE_MODEL)
	@mkdir -p $(@D)
	@ld -shared -soname $(@F) -o $@ $^ $(MACHINE_LIBGCC)
$(MACHINE)/lib/libsesqui-engine.so: $(MACHINE_ENGINE) emu/unicorn/wrap.opts
	@mkdir -p $(@D)
	@ld -shared -soname $(@F) $(subst -Wl$(comma),,$(shell cat emu/unicorn/wrap.opts)) -o $@ $(MACHINE_ENGINE) $(MACHINE_LIBGCC)
comma := ,
# The unit tests of a room are one program, with what they need of Check from tests/mutants/machine/check.h.
$(MACHINE)/tests/%.o: tests/%.c tests/mutants/machine/check.h
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O1 -w -fno-strict-aliasing -Itests/mutants/machine -I. -Dmain=main_of_$(*F) -MMD -MP -c -o $@ $<
$(MACHINE)/%_tests.o: tests/mutants/machine/judge.c tests/mutants/machine.mk tests/model tests/emu
	@mkdir -p $(@D)/$*
	@printf 'UNIT_TEST(%s)\n' $(basename $(notdir $(MACHINE_$*_TESTS))) >$(@D)/$*/tests.def
	@$(CC) -std=gnu11 -O1 -I$(@D)/$* -c -o $@ $<
machine_tests = $(MACHINE)/$(1)_tests.o $(patsubst tests/%.c,$(MACHINE)/tests/%.o,$(MACHINE_$(1)_TESTS))
$(MACHINE)/model_tests: $(call machine_tests,model) $(MACHINE)/lib/libsesqui-model.so
	@$(CC) -no-pie -o $@ $^
$(MACHINE)/emu_tests: $(call machine_tests,emu) $(MACHINE_REST) $(HV_LIB) $(MACHINE_LIBS)
	@$(MACHINE_HOST) -o $@ $(call machine_tests,emu) $(call machine_group)
$(MACHINE)/check_parts: $(addprefix $(B)/tests/fuzz/,check_parts.o standalone.o fail.o) $(MACHINE)/lib/libsesqui-model.so
	@$(CC) -o $@ $^
$(MACHINE)/sesqui: $(call objects,$(CLI_SRC)) $(MACHINE_REST) $(HV_LIB) $(MACHINE_LIBS)
	@$(MACHINE_HOST) -o $@ $(call objects,$(CLI_SRC)) $(call machine_group)
$(MACHINE)/instructions: $(call objects,$(call sources,tests/instructions)) $(MACHINE_REST) $(HV_LIB) $(MACHINE_LIBS)
	@$(subst -no-pie,-pie -Wl$(comma)-z$(comma)now,$(MACHINE_HOST)) -o $@ $(call objects,$(call sources,tests/instructions)) $(call machine_group)
$(MACHINE)/equivalence: $(call objects,$(call sources,tests/equivalence)) $(MACHINE_REST) $(HV_LIB) $(MACHINE_LIBS)
	@$(MACHINE_HOST) -o $@ $(call objects,$(call sources,tests/equivalence)) $(call machine_group)
.PHONY: mutants-machine mutants-machine-quick mutants-machine-prepare
mutants-machine-prepare: $(MACHINE)/sesqui $(MACHINE)/instructions $(MACHINE_TESTS) $(BARE)/processor/programs.elf $(BARE)/exits/exits.elf
mutants-machine: all $(MACHINE)/equivalence $(MACHINE)/check_parts
mutants-machine-quick mutants-machine: mutants-machine-prepare
	@MACHINE_COMPILE="$(MACHINE_COMPILE)" MACHINE_LIBGCC="$(MACHINE_LIBGCC)" perl tests/mutants/machine/run.pl $(MUTANT_OPTIONS)
-include $(shell find $(MACHINE) -name '*.d' 2>/dev/null)
