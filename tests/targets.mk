# SPDX-License-Identifier: MIT
# Targets that test, measure and explain. Included by the Makefile.

# What `make test` runs, besides the unit tests: programs that print TAP.
TAP_TESTS := $(filter-out tests/conformance/%,$(sort $(wildcard tests/*/*.sh)))

.PHONY: deps run test check asan coverage bench golden conformance-smoke tcb help
deps:
	@tests/deps.sh

run: deps
	@$(MAKE) --no-print-directory all
	@scenarios/demo.sh build/release/sesqui

# Everything is built twice: as users run it, and with the address and undefined-behaviour sanitizers. The unit tests and
# the scenarios run sanitized; the programs that boot images run both builds where it matters.
test: deps
	@$(MAKE) --no-print-directory VARIANT=release all
	@$(MAKE) --no-print-directory VARIANT=asan all tests
	@tests/run.sh $(patsubst build/release/%,build/asan/%,$(patsubst %.c,build/asan/%,$(TEST_SRC))) $(TAP_TESTS)

coverage: deps
	@$(MAKE) --no-print-directory VARIANT=coverage all tests
	@tests/coverage.sh build/coverage $(patsubst %.c,build/coverage/%,$(TEST_SRC))

bench: all
	@build/release/sesqui bench

golden: all
	@build/release/sesqui run scenarios --golden traces --update-golden
	@git diff --stat -- traces 2>/dev/null || true

# KUT=DIR: a build of kvm-unit-tests (its x86/*.flat); nothing of it is in this repository.
conformance-smoke: all
	@tests/conformance/smoke.sh "$(KUT)"

# The trusted core in lines of code: what runs in L0.
tcb:
	@cat hv/*.c hv/*.h hv/*/*.c hv/*/*.h hv/*/*.def hv/*/*.S 2>/dev/null | grep -cvE '^\s*(/?\*.*)?$$' | sed 's/$$/ lines of code in hv\//'

help:
	@echo "make                     build build/release/sesqui and the guest images"
	@echo "make run                 install what is missing, build, show L1 and its L2 running over the core"
	@echo "make test                build and run every test (the sanitized build too)"
	@echo "make coverage            line and branch coverage as HTML in build/report/coverage/"
	@echo "make bench               speed and memory, as medians"
	@echo "make golden              rewrite the golden traces in traces/; review the diff"
	@echo "make conformance-smoke KUT=DIR    a user's build of kvm-unit-tests: the smoke set"
	@echo "make tcb                 size of the trusted core"
	@echo "make deps                install the Debian packages that are missing"
	@echo "make clean               remove build/"
	@echo "VARIANT=asan make ...    the same with sanitizers, into build/asan/"
