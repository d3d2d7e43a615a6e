/* SPDX-License-Identifier: MIT */
/* Late load of one processor and of several: what the guest had it has. */
#include "scenarios/guests/storm/storm.h"

enum { ROUNDS = 300, TOO_EARLY = 4, DR7_SET = 0x401, DR7_CLEAR = 0x400 };

static uint64_t dr7(void)
{
    uint64_t value;
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static void set_dr7(uint64_t value) { __asm__ volatile("mov %0, %%dr7" : : "r"(value)); }

void case_debug(void)
{
    set_dr7(DR7_SET);
    expect("load", storm_load(), LATE_DONE);
    expect("DR7 over L0", dr7(), DR7_SET);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    expect("DR7 without L0", dr7(), DR7_SET);
    set_dr7(DR7_CLEAR);
}

/* ---- single steps ---- */

extern uint8_t step_entry[];                    /* storm_cpu.S */
volatile uint64_t steps;

/* VMCALL with RFLAGS.TF: its answer. #DB comes behind it, with L0 or without. */
static uint64_t stepped_call(uint64_t function)
{
    uint64_t rax = LATE_CALL, at, behind;

    steps = 0;
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n vmcall\n1: nop\n leaq 1b(%%rip), %2"
                     : "+a"(rax), "=d"(at), "=c"(behind) : "b"(function) : "memory", "cc");
    expect("steps", steps, 1);
    expect("place of the step", at, behind);
    return rax;
}

void case_step(void)
{
    enum { GATE_SIZE = 16 };
    uint16_t *const gate = (uint16_t *)(store_idtr().base + GATE_SIZE * VECTOR_DB);
    const uint64_t handler = (uint64_t)step_entry;

    gate[0] = (uint16_t)handler;
    gate[3] = (uint16_t)(handler >> 16);
    gate[4] = gate[5] = 0;
    expect("load", storm_load(), LATE_DONE);
    expect("a call that is unknown", stepped_call(77), LATE_UNKNOWN);
    expect("unload", stepped_call(LATE_UNLOAD), LATE_REFUSED);
    expect("unload without a step", call(LATE_UNLOAD), LATE_DONE);
}

/* ---- translations ---- */

static _Alignas(PAGE) volatile uint64_t before[PAGE / 8], behind[PAGE / 8];
static _Alignas(PAGE) uint64_t table[PAGE / 8];

enum { WINDOW = 0x3fe00000, ENTRY_PRESENT_WRITABLE = 3, FIRST = 0xaaaa, SECOND = 0xbbbb };

void case_remap(void)
{
    uint64_t *const pml4 = (uint64_t *)(read_cr3() & ~0xfffull);
    uint64_t *const pdpt = (uint64_t *)(pml4[0] & ~0xfffull), *const directory = (uint64_t *)(pdpt[0] & ~0xfffull);
    volatile uint64_t *const window = (uint64_t *)WINDOW;

    before[0] = FIRST;
    behind[0] = SECOND;
    table[0] = (uint64_t)before | ENTRY_PRESENT_WRITABLE;
    directory[WINDOW >> 21] = (uint64_t)table | ENTRY_PRESENT_WRITABLE;
    write_cr3(read_cr3());
    expect("load", storm_load(), LATE_DONE);
    expect("the window over L0", window[0], FIRST);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    table[0] = (uint64_t)behind | ENTRY_PRESENT_WRITABLE;
    __asm__ volatile("invlpg (%0)" : : "r"(window) : "memory");
    expect("the window without L0", window[0], SECOND);
    expect("load again", storm_load(), LATE_DONE);
    expect("the window over L0 again", window[0], SECOND);
}

/* ---- paging levels ---- */

void levels_switch(uint64_t root, uint64_t cr4);        /* storm_cpu.S */

/* Back on bare hardware L0 could not change CR4.LA57 for its guest: in IA-32e mode nobody can. */
void case_levels(void)
{
    enum { CODE_32 = 7 };
    static _Alignas(PAGE) uint64_t pml5[PAGE / 8];
    static uint64_t gdt[CODE_32 + 1];
    const struct descriptor_table old = store_gdtr(), new = { sizeof gdt - 1, (uintptr_t)gdt };
    const uint64_t cr3 = read_cr3(), cr4 = read_cr4();
    const uint64_t other = cr4 & CR4_LA57 ? *(const uint64_t *)cr3 & ~0xfffull : (uintptr_t)pml5;

    pml5[0] = cr3 | ENTRY_PRESENT_WRITABLE;
    memcpy(gdt, (const void *)old.base, CODE_32 * sizeof *gdt);
    gdt[CODE_32] = 0x00cf9b000000ffff;
    __asm__ volatile("lgdt %0" : : "m"(new));
    expect("load", storm_load(), LATE_DONE);
    levels_switch(other, cr4 ^ CR4_LA57);
    expect("CR4", read_cr4(), cr4 ^ CR4_LA57);
    expect("unload with the other number of levels", call(LATE_UNLOAD), LATE_REFUSED);
    levels_switch(cr3, cr4);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    expect("CR4 without L0", read_cr4(), cr4);
}

/* ---- descriptor tables ---- */

enum { SELECTOR_LDT = 40, SELECTOR_LOCAL = 7 << 3 | 1 << 2 | 3, DATA_DPL_3 = 0xf3, TYPE_LDT = 0x82, VALUE = 0x5a5a5a5a };
static uint64_t ldt[8];
static volatile uint64_t local_value = VALUE;

static uint64_t descriptor(uint64_t base, uint64_t limit, uint64_t type)
{
    return (limit & 0xffff) | (base & 0xffffff) << 16 | type << 40 | (base >> 24 & 0xff) << 56;
}

static uint64_t through_fs(void)
{
    uint64_t value;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(value));
    return value;
}

static uint64_t fs(void)
{
    uint64_t selector;
    __asm__ volatile("xorl %k0, %k0; movw %%fs, %w0" : "=r"(selector));
    return selector;
}

static void expect_local(const char *where)
{
    expect(where, fs(), SELECTOR_LOCAL);
    expect(where, through_fs(), VALUE);
}

void case_local(void)
{
    static uint64_t gdt[8];
    const struct descriptor_table old = store_gdtr(), new = { sizeof gdt - 1, (uintptr_t)gdt };

    memcpy(gdt, (const void *)old.base, SELECTOR_LDT);
    gdt[SELECTOR_LDT / 8] = descriptor((uintptr_t)ldt, sizeof ldt - 1, TYPE_LDT);
    ldt[7] = descriptor((uintptr_t)&local_value, 0xffff, DATA_DPL_3);
    __asm__ volatile("lgdt %0; lldt %w1; movl %2, %%fs" : : "m"(new), "r"(SELECTOR_LDT), "r"(SELECTOR_LOCAL));
    expect_local("FS on bare hardware");
    expect("load", storm_load(), LATE_DONE);
    expect_local("FS over L0");
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    expect_local("FS without L0");
    __asm__ volatile("movl %0, %%fs; movl %1, %%fs" : : "r"(0), "r"(SELECTOR_LOCAL));
    expect_local("FS loaded anew: the LDT is in use");
}

#define CR4_CET_BIT (1ull << 23)
void case_flow(void)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n mov %0, %%cr4\n1: movq $0, fault_resume" : : "r"(read_cr4() | CR4_CET_BIT) : "memory");
    if (fault_vector >= 0)
        print("this processor has no CET\n");
    const uint64_t cr4 = read_cr4();
    expect("load", storm_load(), LATE_DONE);
    expect("CR4 over L0", read_cr4(), cr4);
    write_cr4(cr4 | CR4_VMXE);                  /* as a hypervisor does that starts */
    expect("CR4 with VMXE", read_cr4(), cr4 | CR4_VMXE);
    write_cr4(cr4);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    expect("CR4 without L0", read_cr4(), cr4);
}

/* ---- several processors ---- */

static _Alignas(PAGE) volatile uint64_t page[PAGE / 8];
static volatile int turn;

static void wait_for_turn(unsigned number)
{
    (void)number;
    turn = 1;
    WAIT_UNTIL(turn == 2);
}

void case_halfway(void)
{
    others_start(wait_for_turn);
    WAIT_UNTIL(turn == 1);
    expect("load of the first", storm_load(), LATE_DONE);
    expect("finalise", call(LATE_FINALISE), LATE_DONE);
    expect("give a page", give(page), TOO_EARLY);
    turn = 2;
    others_await(1);
}

static volatile bool over;
static volatile uint64_t refused, other_answers;
static _Alignas(PAGE) uint8_t region[PAGE];

static void ask_in_vmx_operation(unsigned number)
{
    (void)number;
    if (!vmx_start_on(region))
        while (!over) {
            if (storm_load() == LATE_REFUSED)
                refused++;
            else
                other_answers++;
            for (volatile int i = 0; i < 300; i++)
                ;
        }
}

void case_race(void)
{
    uint64_t answer = LATE_DONE;

    others_start(ask_in_vmx_operation);
    for (unsigned i = 0; i < ROUNDS && (answer == LATE_DONE || answer == UNDEFINED); i++) {
        expect("load", storm_load(), LATE_DONE);
        for (volatile unsigned j = 0; j < i % 50; j++)
            ;
        answer = call(LATE_UNLOAD);             /* #UD: the other's failure has sent this one back */
    }
    over = true;
    expect("unload", answer == LATE_DONE || answer == UNDEFINED, true);
    others_await(1);
    expect("the second was refused", refused > 0, true);
    expect("other answers to the second", other_answers, 0);
}

/* No INIT reaches the first, which has its local APIC disabled, when the second's load fails. */
static void fail_when_told(unsigned number)
{
    wait_for_turn(number);
    vmx_start_on(region);
    refused = storm_load() == LATE_REFUSED;
}

void case_deaf(void)
{
    others_start(fail_when_told);               /* while there is an APIC to start it with */
    WAIT_UNTIL(turn == 1);
    wrmsr(MSR_ia32_apic_base, rdmsr(MSR_ia32_apic_base) & ~(uint64_t)APIC_BASE_ENABLE);
    expect("load", storm_load(), LATE_DONE);
    turn = 2;
    others_await(1);
    expect("the second was refused", refused, true);
    expect("call: the first has gone back", call(LATE_FINALISE), UNDEFINED);
    expect("load again", storm_load(), LATE_DONE);
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
}

static volatile unsigned loads, answers[3];
static void load_in_turn(unsigned number)
{
    if (number == 1) {
        WAIT_UNTIL(loads == 1);
        answers[1] = 1 + (unsigned)storm_load();
    } else {
        WAIT_UNTIL(answers[1]);
        answers[2] = 1 + (unsigned)storm_load();
    }
}

/* An image for two processors, on three. */
void case_surplus(void)
{
    others_start(load_in_turn);
    expect("load of the first", storm_load(), LATE_DONE);
    loads = 1;
    WAIT_UNTIL(answers[1]);
    WAIT_UNTIL(answers[2]);                     /* the image does not know one of the two */
    expect("load of the others", answers[1] + answers[2] - 2, LATE_DONE + LATE_REFUSED);
    expect("call of the first", call(LATE_FINALISE), LATE_DONE);
    expect("give a page", give(page), TOO_EARLY);
}
