# SPDX-License-Identifier: MIT
# Targets that test, measure and explain. Included by the Makefile.

# What `make test` runs, besides the unit tests: programs that print TAP.
TAP_TESTS := $(filter-out tests/conformance/% tests/metal/bochs.sh tests/metal/compare.sh tests/metal/%on_bochs.sh tests/mutants/run.sh tests/mutants/judge.sh tests/mutants/regressions.sh,$(sort $(wildcard tests/*/*.sh)))

# Fuzz targets: tests/fuzz/NAME.c with LLVMFuzzerTestOneInput(); here with standalone.c, which needs no clang.
FUZZ_MODEL := $(addprefix $(B)/tests/fuzz/,vmcs_random check_parts remapping_unit)
FUZZ_EMU := $(addprefix $(B)/tests/fuzz/,scenario_text image_load protocol_load device_registers vmcs_text virtio disk firmware_calls option_text)
FUZZ_MAIN := $(addprefix $(B)/tests/fuzz/,standalone.o fail.o)
$(FUZZ_MODEL): %: %.o $(FUZZ_MAIN) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $^
$(FUZZ_EMU): %: %.o $(FUZZ_MAIN) $(EMU_LIB) $(HV_LIB) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $< $(FUZZ_MAIN) $(call emu_group)
tests: $(FUZZ_MODEL) $(FUZZ_EMU)

# Other machines: Bochs, the bare metal.
include $(sort $(wildcard tests/*/*.mk))

# The long run, sanitized: FUZZ_COUNT inputs. Under libFuzzer: make libfuzzer, then run build/fuzz/vmcs_random.
FUZZ_COUNT ?= 10000000
FUZZ_SEED ?= 1
FUZZ_INPUTS ?= 1000000
.PHONY: fuzz fuzz-vmcs libfuzzer
fuzz:
	@$(MAKE) --no-print-directory -j$$(nproc) VARIANT=asan tests
	@$(MAKE) --no-print-directory build/release/tests/fuzz/check_parts
	@FUZZ_INPUTS=$(FUZZ_INPUTS) tests/fuzz/fuzz.sh
fuzz-vmcs:
	@$(MAKE) --no-print-directory VARIANT=asan build/asan/tests/fuzz/vmcs_random
	@build/asan/tests/fuzz/vmcs_random --seed $(FUZZ_SEED) --count $(FUZZ_COUNT)
libfuzzer:
	@mkdir -p build/fuzz
	@clang -std=gnu11 -g -O1 -I. -fsanitize=fuzzer,address,undefined -fno-strict-aliasing -o build/fuzz/vmcs_random \
		tests/fuzz/vmcs_random.c tests/fuzz/fail.c $(MODEL_SRC)

# Random programs of L1 and L2, on the bare machine and over the core: docs/equivalence.md.
EQUIVALENCE := $(B)/tests/equivalence/equivalence
$(EQUIVALENCE): $(call objects,$(call sources,tests/equivalence)) $(EMU_LIB) $(HV_LIB) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $(call objects,$(call sources,tests/equivalence)) $(call emu_group)
tests: $(EQUIVALENCE)

# Whatever state L1 reaches, L0 enters it: docs/core.md.
ENTRIES := $(B)/tests/entries/entries
$(ENTRIES): $(call objects,$(call sources,tests/entries)) $(EMU_LIB) $(HV_LIB) $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $(call objects,$(call sources,tests/entries)) $(call emu_group)
tests: $(ENTRIES)
STATES ?= 1000000
.PHONY: entries
entries: $(ENTRIES)
	@$(ENTRIES) --seed $(SEED) --states $(STATES)

PROGRAMS ?= 100000
SEED ?= 1
.PHONY: equivalence
equivalence: $(EQUIVALENCE)
	@mkdir -p build/equivalence
	@$(EQUIVALENCE) --seed $(SEED) --programs $(PROGRAMS) --jobs $$(nproc) --progress

# Debian's stock kernel, from its packages, to user space and a guest of KVM. FLAVOUR=amd64: the kernel of PCs; LINUX_OPTIONS='--hv=flip --cpus 2'.
FLAVOUR ?= cloud-amd64
.PHONY: linux
linux: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@scenarios/linux/assemble.sh $(FLAVOUR)
	@build/release/sesqui boot build/linux/$(FLAVOUR)/vmlinuz --initrd build/linux/$(FLAVOUR)/initrd --append "console=ttyS0" \
		--memory 1G --explain=none $(LINUX_OPTIONS)

# A Debian 12 system with systemd on a virtio disk: to its login prompt, a command, and off. Slow.
# And stock programs that call the firmware: iPXE to its prompt, memtest86+ into its pass. Slow, too.
.PHONY: debian loaders
loaders: all
	@scenarios/linux/loaders.sh
debian: all
	@scenarios/linux/debian.sh $(LINUX_OPTIONS)

.PHONY: docs deps run test check asan coverage bench golden tidy conformance conformance-smoke tcb help
deps:
	@tests/deps.sh

run: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@scenarios/demo.sh build/release/sesqui

# Everything is built twice: as users run it, and with the address and undefined-behaviour sanitizers. The unit tests and
# the scenarios run sanitized; the programs that boot images run both builds where it matters.
test: deps
	@$(MAKE) --no-print-directory -j$$(nproc) VARIANT=release all mutants-prepare mutants-image-prepare mutants-machine-prepare bochs-parts build/release/tests/fuzz/check_parts build/release/tests/instructions/instructions build/release/tests/entries/entries build/release/tests/remapping/vectors
	@$(MAKE) --no-print-directory -j$$(nproc) VARIANT=asan all tests
	@tests/run.sh $(patsubst build/release/%,build/asan/%,$(patsubst %.c,build/asan/%,$(TEST_SRC))) $(TAP_TESTS)

coverage: deps
	@$(MAKE) --no-print-directory VARIANT=coverage all tests
	@tests/coverage.sh build/coverage $(patsubst %.c,build/coverage/%,$(TEST_SRC))

bench: all
	@build/release/sesqui bench
	@mkdir -p build/report
	@build/release/sesqui bench nested --tsv build/report/nested-costs.tsv --svg build/report/nested-costs.svg
	@build/release/sesqui bench nested --l0 image
	@scenarios/linux/bench.sh || [ $$? = 2 ]

# The pages that are written by the program itself.
docs: $(SESQUI)
	@$(SESQUI) checks --markdown >docs/checks.md
	@$(SESQUI) checks --events >docs/events.md
	@$(SESQUI) checks --refusals >docs/refusals.md
	@$(SESQUI) checks --iommu >docs/iommu-refusals.md
	@$(SESQUI) run --reference >docs/scenarios.md
	@awk -f tests/metal/ledger.awk tests/metal/ledger.tsv >docs/bochs-entries.md

golden: all
	@build/release/sesqui run scenarios --golden traces --update-golden
	@git diff --stat -- traces 2>/dev/null || true

# KUT=DIR: a build of kvm-unit-tests (its x86/*.flat); nothing of it is in this repository.
conformance-smoke: all
	@tests/conformance/smoke.sh "$(KUT)"

# All of vmx.flat's subtests and the images of cpu.list; KUT_OPTIONS='--threshold 100 --jobs 4': tests/conformance/run.sh --help
conformance: all
	@tests/conformance/run.sh $(KUT_OPTIONS) "$(KUT)"

# vmx.flat as L1 over the core, with each strategy: the same verdicts are wanted. KUT_OPTIONS: tests/conformance/strategies.sh --help
.PHONY: conformance-strategies
conformance-strategies: all
	@tests/conformance/strategies.sh $(KUT_OPTIONS) "$(KUT)"

# The trusted core in lines of code: what runs in L0.
tcb:
	@tests/hv/size.sh

# clang-tidy with .clang-tidy over our own sources; not part of `make test`, as other versions of it find other things.
tidy:
	@command -v clang-tidy >/dev/null || { echo "make tidy needs clang-tidy: apt-get install clang-tidy" >&2; exit 1; }
	@printf '%s\n' $(MODEL_SRC) $(HV_SRC) $(EMU_SRC) $(CLI_SRC) | xargs -P $$(nproc) -n 8 sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu11 -I. -DHV_FLAGS=\"\" 2>/dev/null' tidy && echo "clang-tidy: clean"

help:
	@echo "make                     build build/release/sesqui and the guest images"
	@echo "make run                 install what is missing, build, show L1 and its L2 running over the core"
	@echo "make test                build and run every test (the sanitized build too)"
	@echo "make linux               Debian's stock kernel, from its packages, to user space and a guest of KVM (FLAVOUR, LINUX_OPTIONS)"
	@echo "make debian              a Debian 12 system with systemd on a virtio disk, by debootstrap: logs in, runs a command, switches off (slow)"
	@echo "make loaders             iPXE to its prompt, memtest86+ into its pass (slow)"
	@echo "make fuzz                each fuzz target with a million inputs, sanitized (FUZZ_INPUTS)"
	@echo "make fuzz-vmcs           ten million VMCSs from random numbers, sanitized (FUZZ_COUNT, FUZZ_SEED)"
	@echo "make processor           20,000 programs of system-level instructions on our machine and on Bochs (SEED)"
	@echo "make remapping           2,000 tables and requests in each mode on our remapping unit and on QEMU's (SEED)"
	@echo "make exits               10,000 random guests on our machine and on Bochs, VM exit by VM exit (SEED)"
	@echo "make instructions        a million user-level instructions on the CPU engine and on this host's processor (SEED)"
	@echo "make equivalence         random programs of L1 and L2, bare and over the core (PROGRAMS, SEED)"
	@echo "make entries             states that L1 can reach, and whether L0 enters them (STATES, SEED)"
	@echo "make coverage            line and branch coverage as HTML in build/report/coverage/"
	@echo "make bench               speed and memory, as medians; Debian's kernel and a disk beside QEMU (QEMU=PROGRAM) and Bochs, if they are installed"
	@echo "make golden              rewrite the golden traces in traces/; review the diff"
	@echo "make tidy                clang-tidy over our own sources"
	@echo "make docs                rewrite the pages that are generated: docs/checks.md, docs/events.md, docs/refusals.md, docs/iommu-refusals.md, docs/scenarios.md, docs/bochs-entries.md"
	@echo "make conformance KUT=DIR          all of it, beside an independent emulator's results"
	@echo "make conformance-strategies KUT=DIR   the same suite's VMX part as L1 over the core, strategy by strategy"
	@echo "make conformance-smoke KUT=DIR    a user's build of kvm-unit-tests: the smoke set"
	@echo "make mutants             plants faults in the core (mutants-core) and in its image (mutants-image) and sees whether the tests notice; build/report/mutants*.txt"
	@echo "make mutants-machine     the same for the model, the engine and the devices; build/report/mutants-machine.txt"
	@echo "make image               the core as a multiboot image: build/sesqui.elf (docs/metal.md)"
	@echo "make vectors             9,000 VM entries on our machine and on Bochs, verdicts compared (docs/vectors.md)"
	@echo "make metal               the image on our bare machine and on Bochs, exits compared with the model's"
	@echo "make tcb                 size of the trusted core"
	@echo "make deps                install the Debian packages that are missing"
	@echo "make clean               remove build/"
	@echo "VARIANT=asan make ...    the same with sanitizers, into build/asan/"
	@echo "VARIANT=clang make ...   the same built by clang, image and guests too, into build/clang/"
