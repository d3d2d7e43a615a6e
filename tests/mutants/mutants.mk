# SPDX-License-Identifier: MIT
# Mutants: the core is a shared library here, so that one with a fault is linked at once. MUTANT_OPTIONS: run.sh --help
MUTANTS := build/mutants
MUTANT_CORE := $(MUTANTS)/core/libsesqui-hv.so
MUTANT_COMPILE = $(CC) -std=gnu11 -O0 -fPIC -fno-strict-aliasing -ffreestanding -nostdinc -isystem \
                 $(shell $(CC) -print-file-name=include)
# `sesqui bench nested` asks where the core's text is: nowhere, here.
MUTANT_HOST = $(CC) $(FLAGS) -rdynamic -Wl,--defsym,__start_hv_text=0,--defsym,__stop_hv_text=0 $(call mutant_names,$(MUTANT_WRAPPED))
# init_test, nmi_test and hardware_test stand before primitives of the HAL (--wrap): the core calls these by their other names, which all programs have.
MUTANT_WRAPPED := $(sort $(shell sed 's/.*=//' tests/hv/init.opts tests/hv/nmi.opts tests/hv/hardware.opts))
MUTANT_WRAPS := $(MUTANT_WRAPPED:%=--wrap=%)
mutant_own = $(shell sed 's/.*=//' $(wildcard tests/hv/$(*:_test=).opts) /dev/null)
mutant_names = $(foreach name,$(1),-Wl,--defsym,__wrap_$(name)=$(name))
$(MUTANTS)/tests/%: MUTANT_HOST = $(CC) $(FLAGS) -rdynamic -Wl,--defsym,__start_hv_text=0,--defsym,__stop_hv_text=0 \
                                  $(foreach name,$(mutant_own),-Wl,--wrap=$(name)) $(call mutant_names,$(filter-out $(mutant_own),$(MUTANT_WRAPPED)))
# rules_test stands before functions of the core's, too: with a shared core it cannot. Those of the image have no core.
MUTANT_TESTS := $(patsubst tests/hv/%.c,$(MUTANTS)/tests/%,$(filter-out %/rules_test.c tests/hv/image_%,$(wildcard tests/hv/*_test.c)))
$(MUTANTS)/core/hv/%.o: hv/%.c
	@mkdir -p $(@D)
	@$(MUTANT_COMPILE) -I. -MMD -MP -c -o $@ $<
$(MUTANT_CORE): $(patsubst %.c,$(MUTANTS)/core/%.o,$(HV_SRC))
	@ld -shared -soname libsesqui-hv.so $(MUTANT_WRAPS) -o $@ $^
$(MUTANTS)/sesqui: $(call objects,$(CLI_SRC)) $(EMU_LIB) $(MUTANT_CORE) $(MODEL_LIB) emu/unicorn/wrap.opts
	@$(MUTANT_HOST) -o $@ $(call objects,$(CLI_SRC)) $(subst $(HV_LIB),$(MUTANT_CORE),$(emu_group))
$(MUTANT_TESTS): $(MUTANTS)/tests/%: $(B)/tests/hv/%.o $(EMU_LIB) $(MUTANT_CORE) $(MODEL_LIB)
	@mkdir -p $(@D)
	@$(MUTANT_HOST) -o $@ $< $(subst $(HV_LIB),$(MUTANT_CORE),$(call emu_group,$(CHECK_LIBS)))
$(MUTANTS)/equivalence: $(call objects,$(call sources,tests/equivalence)) $(EMU_LIB) $(MUTANT_CORE) $(MODEL_LIB)
	@$(MUTANT_HOST) -o $@ $(call objects,$(call sources,tests/equivalence)) $(subst $(HV_LIB),$(MUTANT_CORE),$(emu_group))
.PHONY: mutants mutants-core mutants-prepare
mutants-prepare: all $(MUTANTS)/sesqui $(MUTANTS)/equivalence $(MUTANT_TESTS)
mutants: mutants-core mutants-image
mutants-core: mutants-prepare
	@CC="$(CC)" HV_COMPILE="$(MUTANT_COMPILE)" HV_WRAPS="$(MUTANT_WRAPS)" tests/mutants/run.sh $(MUTANT_OPTIONS)
-include $(shell find $(MUTANTS)/core -name '*.d' 2>/dev/null)

# Each scenario of scenarios/regressions/ against the fault of which it tells. REGRESSION_OPTIONS: regressions.sh --help
.PHONY: regressions
regressions: mutants-prepare
	@CC="$(CC)" HV_COMPILE="$(MUTANT_COMPILE)" tests/mutants/regressions.sh $(REGRESSION_OPTIONS)
