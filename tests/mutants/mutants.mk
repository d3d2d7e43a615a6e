# SPDX-License-Identifier: MIT
# Mutants: the core is a shared library here, so that one with a fault is linked at once. MUTANT_OPTIONS: run.sh --help
MUTANTS := build/mutants
MUTANT_CORE := $(MUTANTS)/core/libsesqui-hv.so
MUTANT_COMPILE = $(CC) -std=gnu11 -O0 -fPIC -fno-strict-aliasing -ffreestanding -nostdinc -isystem \
                 $(shell $(CC) -print-file-name=include)
# `sesqui bench nested` asks where the core's text is: nowhere, here.
MUTANT_HOST = $(CC) $(FLAGS) -rdynamic -Wl,--defsym,__start_hv_text=0,--defsym,__stop_hv_text=0
# rules_test, nmi_test and hardware_test replace primitives of the HAL when they are linked (--wrap): with a shared core they cannot. Those of the image have no core.
MUTANT_TESTS := $(patsubst tests/hv/%.c,$(MUTANTS)/tests/%,$(filter-out %/rules_test.c %/nmi_test.c %/hardware_test.c tests/hv/image_%,$(wildcard tests/hv/*_test.c)))
$(MUTANTS)/core/hv/%.o: hv/%.c
	@mkdir -p $(@D)
	@$(MUTANT_COMPILE) -I. -MMD -MP -c -o $@ $<
$(MUTANT_CORE): $(patsubst %.c,$(MUTANTS)/core/%.o,$(HV_SRC))
	@$(CC) -shared -Wl,-soname,libsesqui-hv.so -o $@ $^
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
	@CC="$(CC)" HV_COMPILE="$(MUTANT_COMPILE)" tests/mutants/run.sh $(MUTANT_OPTIONS)
-include $(shell find $(MUTANTS)/core -name '*.d' 2>/dev/null)

# Each scenario of scenarios/regressions/ against the fault of which it tells. REGRESSION_OPTIONS: regressions.sh --help
.PHONY: regressions
regressions: mutants-prepare
	@CC="$(CC)" HV_COMPILE="$(MUTANT_COMPILE)" tests/mutants/regressions.sh $(REGRESSION_OPTIONS)
