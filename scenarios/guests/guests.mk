# SPDX-License-Identifier: MIT
#
# Guest programs: multiboot images for `sesqui boot` (and any other multiboot loader). They do not depend on VARIANT, but for
# clang (Makefile).
# 64-bit programs are linked as ELF64 and then rewritten as the ELF32 that Multiboot asks for; objects of 32-bit programs
# are in 32/.

GUESTS := $(BARE)/guests
GUEST_FLAGS := -std=gnu11 -Os -g -I. -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
               -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) -fno-pic -fno-pie -mcmodel=small \
               -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
               -fno-strict-aliasing -fno-common -MMD -MP
GUEST_LINK := $(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096

GUEST_LIB := $(addprefix $(GUESTS)/lib/,$(addsuffix .o,boot console guest idt late vectors vmxon world))
SECOND := $(GUESTS)/lib/second.o $(GUESTS)/lib/second_cpu.o
GUEST_IMAGES := $(addprefix $(GUESTS)/,$(addsuffix .elf,turnstile relay slide storm lodger handover wicket wicket32 tasks vectors mistakes loop stores roundtrip kvm))
TURNSTILE := $(addprefix $(GUESTS)/turnstile/,$(addsuffix .o,main registers transcript apic errors long real nmi l2_long l2_real l2_nmi))
VECTORS := $(addprefix $(GUESTS)/vectors/,$(addsuffix .o,main list machine verdict))
# From turnstile it has the transcript, the failures on purpose and the real-mode guest.
WICKET := wicket/main wicket/legacy wicket/l2_legacy $(addprefix turnstile/,transcript errors real l2_real)
# print()'s %lx is 64 bits here too, which the compiler cannot know: the 64-bit build checks the formats.
GUEST_FLAGS_32 := $(filter-out -mcmodel=small -mno-red-zone,$(GUEST_FLAGS)) -m32 -Wno-format
GUEST_LIB_32 := $(addprefix $(GUESTS)/32/lib/,$(addsuffix .o,boot32 console guest paging32 vmxon world32))

# Images that a machine must survive, not run: bad/*.S are 32-bit programs, bad/malformed/*.S the bytes of a whole file.
BAD_SRC := $(sort $(wildcard scenarios/guests/bad/*.S scenarios/guests/bad/malformed/*.S))
BAD_IMAGES := $(patsubst %.S,$(GUESTS)/bad/%.elf,$(notdir $(BAD_SRC))) \
              $(GUESTS)/bad/empty.elf $(GUESTS)/bad/truncated.elf

.PHONY: guests
guests: $(GUEST_IMAGES) $(BAD_IMAGES)

$(GUESTS)/turnstile.elf64: $(TURNSTILE) $(GUEST_LIB)
$(GUESTS)/relay.elf64: $(addprefix $(GUESTS)/relay/,$(addsuffix .o,main l2_count)) $(SECOND) $(GUEST_LIB)
$(GUESTS)/slide.elf64: $(addprefix $(GUESTS)/,$(addsuffix .o,slide/main slide/user slide/cpl3)) $(SECOND) $(GUEST_LIB)
$(GUESTS)/lodger.elf64: $(addprefix $(GUESTS)/lodger/,$(addsuffix .o,main world)) $(SECOND) $(GUEST_LIB)
$(GUESTS)/storm.elf64: $(addprefix $(GUESTS)/storm/,$(addsuffix .o,main late state nmi init operand crowd reach storm_cpu)) $(SECOND) $(GUEST_LIB)
$(GUESTS)/handover.elf64: $(GUESTS)/handover/main.o $(SECOND) $(GUEST_LIB)
$(GUESTS)/vectors.elf64: $(VECTORS) $(GUEST_LIB)
$(GUESTS)/wicket.elf64: $(addprefix $(GUESTS)/,$(addsuffix .o,$(WICKET) wicket/own64)) $(GUEST_LIB)
$(GUESTS)/mistakes.elf64: $(patsubst scenarios/guests/%.c,$(GUESTS)/%.o,$(wildcard scenarios/guests/mistakes/*.c)) \
                         $(patsubst scenarios/guests/%.S,$(GUESTS)/%.o,$(wildcard scenarios/guests/mistakes/*.S)) $(SECOND) $(GUEST_LIB)
$(GUESTS)/loop.elf64: $(GUESTS)/bench/loop.o $(GUEST_LIB)
$(GUESTS)/stores.elf64: $(GUESTS)/bench/stores.o $(GUEST_LIB)
$(GUESTS)/kvm.elf64: $(GUESTS)/bench/kvm.o $(GUESTS)/bench/kvm_world.o $(GUEST_LIB)
$(GUESTS)/roundtrip.elf64: $(GUESTS)/bench/roundtrip.o $(GUESTS)/bench/l2_cpuid.o $(GUEST_LIB)

$(GUESTS)/%.elf64: scenarios/guests/lib/guest.ld
	@echo "  LINK  $@"
	@$(GUEST_LINK) -T scenarios/guests/lib/guest.ld -o $@ $(filter %.o,$^)
$(GUESTS)/%.elf: $(GUESTS)/%.elf64
	@echo "  IMAGE $@"
	@objcopy --strip-debug -O elf32-i386 $< $@

$(GUESTS)/tasks.elf: $(GUESTS)/32/tasks/main.o $(GUEST_LIB_32) scenarios/guests/lib/guest.ld
	@echo "  IMAGE $@"
	@$(GUEST_LINK) -m32 -T scenarios/guests/lib/guest.ld -o $@ $(filter %.o,$^)
$(GUESTS)/wicket32.elf: $(addprefix $(GUESTS)/32/,$(addsuffix .o,$(WICKET) wicket/own32)) $(GUEST_LIB_32) scenarios/guests/lib/guest.ld
	@echo "  IMAGE $@"
	@$(GUEST_LINK) -m32 -T scenarios/guests/lib/guest.ld -o $@ $(filter %.o,$^)
$(GUESTS)/32/%.o: scenarios/guests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $< (32-bit)"
	@$(CC) $(GUEST_FLAGS_32) -c -o $@ $<
$(GUESTS)/32/%.o: scenarios/guests/%.S
	@mkdir -p $(@D)
	@echo "  AS    $< (32-bit)"
	@$(CC) $(GUEST_FLAGS_32) -c -o $@ $<

$(GUESTS)/%.o: scenarios/guests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(GUEST_FLAGS) -c -o $@ $<
$(GUESTS)/%.o: scenarios/guests/%.S
	@mkdir -p $(@D)
	@echo "  AS    $<"
	@$(CC) $(GUEST_FLAGS) -c -o $@ $<

$(GUESTS)/bad/%.elf: scenarios/guests/bad/%.S scenarios/guests/bad/program.h scenarios/guests/lib/guest.ld
	@mkdir -p $(@D)
	@echo "  IMAGE $@"
	@$(GUEST_LINK) -m32 -I. -T scenarios/guests/lib/guest.ld -o $@ $<
$(GUESTS)/bad/%.elf: scenarios/guests/bad/malformed/%.S scenarios/guests/bad/malformed/elf.h
	@mkdir -p $(@D)
	@echo "  IMAGE $@"
	@$(CC) -m32 -I. -c -o $@.o $< && objcopy -O binary -j .text $@.o $@ && rm $@.o
$(GUESTS)/bad/empty.elf:
	@mkdir -p $(@D)
	@: >$@
$(GUESTS)/bad/truncated.elf: $(GUESTS)/loop.elf
	@mkdir -p $(@D)
	@head -c 4000 $< >$@

-include $(wildcard $(GUESTS)/*/*.d $(GUESTS)/32/*/*.d)
