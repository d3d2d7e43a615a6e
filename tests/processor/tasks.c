/* SPDX-License-Identifier: MIT */
/* The tasks of legacy modes (SDM Vol. 3, 8.2.1): the one that runs, two others, and that of double faults. */
#include "scenarios/guests/lib/console.h"
#include "tests/processor/program.h"

enum { TSS_ESP0 = 4, TSS_SS0 = 8, TSS_CR3 = 0x1c, TSS_EIP = 0x20, TSS_EFLAGS = 0x24, TSS_GPRS = 0x28, TSS_SEGMENTS = 0x48, TSS_LDTR = 0x60,
       TSS_TRAP = 0x64, TSS_MAP = 0x66 };
enum { OLD_SP0 = 2, OLD_IP = 0xe, OLD_FLAGS = 0x10, OLD_GPRS = 0x12, OLD_SEGMENTS = 0x22, OLD_LDTR = 0x2a };

static uint32_t fault_cr3;
static uint8_t fault_stack[256];

static void store(uint8_t *tss, unsigned at, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++, value >>= 8)
        tss[at + i] = (uint8_t)value;
}

static void inner_stacks(struct program *p, uint8_t *tss)
{
    store(tss, TSS_ESP0, WINDOW_AT(PAGE_INNER) + 0x400, 4);
    store(tss, TSS_SS0, DATA0, 2);
    for (unsigned level = 1; level < 3; level++) {
        store(tss, TSS_ESP0 + 8 * level, WINDOW_AT(PAGE_INNER) + 0x400 * (level + 1), 4);
        store(tss, TSS_SS0 + 8 * level, (random_selector(p) & ~3u) | level, 2);
    }
}

static uint32_t flags(struct program *p)
{
    return (uint32_t)(RFLAGS_FIXED | (random64(p) & (RFLAGS_ARITHMETIC | RFLAGS_DF | RFLAGS_AC | RFLAGS_IOPL)) |
                      (chance(p, 10) ? RFLAGS_NT : 0) | (chance(p, 6) ? RFLAGS_TF : 0) | (chance(p, 10) ? RFLAGS_RF : 0) |
                      (chance(p, 20) ? RFLAGS_VM : 0));
}

/* CS, SS and the others in the order of the TSS: ES, CS, SS, DS, FS, GS. */
static void segments(struct program *p, uint16_t selector[6], uint32_t eflags)
{
    unsigned level = chance(p, 50) ? 3 : 0;

    for (unsigned i = 0; i < 6; i++) {
        selector[i] = level ? USER_DATA : DATA0;
        if (i == SEG_CS)
            selector[i] = level ? USER32 : CODE32;
        if (eflags & RFLAGS_VM)
            selector[i] = LOW >> 4;
        else if (chance(p, 12))
            selector[i] = random_selector(p);
    }
}

static void other_task(struct program *p, uint8_t *tss, uint32_t cr3)
{
    uint32_t eflags = flags(p);
    uint16_t selector[6];

    segments(p, selector, eflags);
    inner_stacks(p, tss);
    store(tss, 0, chance(p, 60) ? TASK : random_selector(p), 2);
    store(tss, TSS_CR3, cr3, 4);
    store(tss, TSS_EIP, eflags & RFLAGS_VM ? PAGE_LANDING * PAGE : WINDOW_AT(PAGE_LANDING), 4);
    store(tss, TSS_EFLAGS, eflags, 4);
    for (unsigned i = 0; i < 8; i++)
        store(tss, TSS_GPRS + 4 * i, (uint32_t)random64(p), 4);
    store(tss, TSS_GPRS + 4 * RSP, (eflags & RFLAGS_VM ? 0 : WINDOW) + PAGE_STACK * PAGE + 0x600, 4);
    for (unsigned i = 0; i < 6; i++)
        store(tss, TSS_SEGMENTS + 4 * i, selector[i], 2);
    store(tss, TSS_LDTR, chance(p, 85) ? LOCAL_TABLE : chance(p, 50) ? 0 : random_selector(p), 2);
    store(tss, TSS_TRAP, chance(p, 10), 2);
    store(tss, TSS_MAP, 0x68, 2);
}

static void old_task(struct program *p, uint8_t *tss)
{
    uint32_t eflags = flags(p) & 0xffff;
    uint16_t selector[6];

    segments(p, selector, eflags);
    for (unsigned level = 0; level < 3; level++) {
        store(tss, OLD_SP0 + 4 * level, PAGE_INNER * PAGE + 0x400 * (level + 1), 2);
        store(tss, OLD_SP0 + 4 * level + 2, level ? (random_selector(p) & ~3u) | level : STACK16, 2);
    }
    store(tss, 0, chance(p, 60) ? TASK : random_selector(p), 2);
    store(tss, OLD_IP, PAGE_LANDING * PAGE, 2);
    store(tss, OLD_FLAGS, eflags, 2);
    for (unsigned i = 0; i < 8; i++)
        store(tss, OLD_GPRS + 2 * i, i == RSP ? PAGE_STACK * PAGE + 0x600 : (uint32_t)random64(p), 2);
    for (unsigned i = 0; i < 4; i++)
        store(tss, OLD_SEGMENTS + 2 * i, selector[i] == CODE32 ? CODE16 : selector[i] == USER32 ? USER16 : selector[i], 2);
    store(tss, OLD_LDTR, chance(p, 85) ? LOCAL_TABLE : 0, 2);
}

void tasks_prepare(struct program *p, uint32_t cr3)
{
    uint8_t *tss = window[PAGE_TSS];

    memset(tss, 0, PAGE);
    memset(window[PAGE_TASKS], 0, PAGE);
    inner_stacks(p, tss);
    store(tss, 0, OTHER_TASK, 2);
    store(tss, TSS_CR3, cr3, 4);
    store(tss, TSS_LDTR, LOCAL_TABLE, 2);
    store(tss, TSS_MAP, 0x68, 2);
    for (unsigned i = 0x68; i < 0x100; i++)
        tss[i] = (uint8_t)random64(p);
    other_task(p, window[PAGE_TASKS], cr3);
    other_task(p, window[PAGE_TASKS] + 0x100, cr3);
    old_task(p, window[PAGE_TASKS] + 0x200);
    fault_cr3 = cr3;
}

void tasks_again(void)
{
    memset(visible->fault_tss, 0, sizeof visible->fault_tss);
    store(visible->fault_tss, TSS_CR3, fault_cr3, 4);
    store(visible->fault_tss, TSS_EIP, (uint32_t)(uintptr_t)fault_task, 4);
    store(visible->fault_tss, TSS_EFLAGS, RFLAGS_FIXED, 4);
    store(visible->fault_tss, TSS_GPRS + 4 * RSP, (uint32_t)(uintptr_t)fault_stack + sizeof fault_stack, 4);
    for (unsigned i = 0; i < 6; i++)
        store(visible->fault_tss, TSS_SEGMENTS + 4 * i, i == SEG_CS ? CODE32 : DATA0, 2);
    store(visible->fault_tss, TSS_MAP, 0x68, 2);
}
