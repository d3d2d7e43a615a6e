/* SPDX-License-Identifier: MIT */
/*
 * A 32-bit program that tries to switch tasks: by a far jump and call to a TSS, and through task gates in the GDT and the IDT.
 *. It prints what came of each, which is #NP over the core.
 */
#include <stdint.h>

#include "arch/x86.h"
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"

unsigned main(void);

enum { ENTRIES = 12, TSS_HERE = 24, TSS_OTHER = 64, TASK_GATE_ENTRY = 80, INTERRUPT_GATE = 0x8e, TASK_GATE = 0x85, GATES = 0x22, GATE_USED = 0x21,
       CS_SELECTOR = 8, NESTED_TASK = 1 << 14 };

static uint64_t gdt[ENTRIES], idt[GATES];
static uint32_t other_tss[26];
static _Alignas(16) uint8_t other_stack[4096];
volatile uint32_t switches, vector = ~0u, error_code;
volatile uint32_t resume;                       /* a fault goes on there */
void np_entry(void);
void gp_entry(void);
void other_task(void);

/* The handlers store vector and error code; the other task counts, and goes back. */
__asm__("np_entry: movl $11, vector\n popl error_code\n pushl resume\n popl (%esp)\n iretl\n"
        "gp_entry: movl $13, vector\n popl error_code\n pushl resume\n popl (%esp)\n iretl\n"
        "other_task: incl switches\n iretl\n jmp other_task\n");

static uint64_t gate(void (*handler)(void), unsigned type)
{
    const uint32_t at = (uint32_t)(uintptr_t)handler;

    return (at & 0xffff) | CS_SELECTOR << 16 | (uint64_t)type << 40 | (uint64_t)(at >> 16) << 48;
}

static void tables_build(void)
{
    const struct descriptor_table old = store_gdtr();
    const struct descriptor_table new = { sizeof gdt - 1, (uintptr_t)gdt }, interrupts = { sizeof idt - 1, (uintptr_t)idt };
    const uint32_t base = (uint32_t)(uintptr_t)other_tss;

    for (unsigned i = 0; i < 8; i++)
        gdt[i] = ((const uint64_t *)(uintptr_t)old.base)[i];
    gdt[TSS_OTHER / 8] = 0x67 | (uint64_t)(base & 0xffffff) << 16 | 0x89ull << 40 | (uint64_t)(base >> 24) << 56;
    gdt[TASK_GATE_ENTRY / 8] = TSS_OTHER << 16 | (uint64_t)TASK_GATE << 40;
    idt[VECTOR_NP] = gate(np_entry, INTERRUPT_GATE);
    idt[VECTOR_GP] = gate(gp_entry, INTERRUPT_GATE);
    idt[GATE_USED] = TSS_OTHER << 16 | (uint64_t)TASK_GATE << 40;
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(new), "m"(interrupts) : "memory");
    other_tss[7] = (uint32_t)read_cr3();
    other_tss[8] = (uint32_t)(uintptr_t)other_task;
    other_tss[9] = RFLAGS_FIXED;
    other_tss[14] = (uint32_t)(uintptr_t)(other_stack + sizeof other_stack);
    other_tss[18] = other_tss[20] = other_tss[21] = other_tss[22] = other_tss[23] = 16;
    other_tss[19] = CS_SELECTOR;
    /* This task's CR3 is never saved, but loaded when somebody comes back. */
    ((uint32_t *)(uintptr_t)(gdt[TSS_HERE / 8] >> 16 & 0xffffff))[7] = other_tss[7];
}

#define TRY_SWITCH(what, instruction)                                                                               \
    do {                                                                                                            \
        vector = ~0u;                                                                                               \
        __asm__ volatile("movl $1f, resume\n" instruction "\n1:" : : : "memory", "cc");                             \
        tell(what);                                                                                                 \
    } while (0)

static void tell(const char *what)
{
    if (vector == ~0u)
        print("%s: done, the other task ran %u times\n", what, switches);
    else
        print("%s: exception %u, error code %lx\n", what, vector, (uint64_t)error_code);
}

unsigned main(void)
{
    console_open();
    tables_build();
    TRY_SWITCH("call to a TSS", "lcall $64, $0");
    TRY_SWITCH("call to a task gate", "lcall $80, $0");
    TRY_SWITCH("INT to a task gate", "int $0x21");
    print("tasks: still here\n");
    return 0;
}
