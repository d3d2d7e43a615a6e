/* SPDX-License-Identifier: MIT */
#include "emu/explain/caller.h"

#include <string.h>

#include "model/cpu/execute.h"
#include "model/cpu/translate.h"
#include "model/tlb/tlb.h"

/* How long a function is that does nothing but one VMWRITE, and how far above the stack pointer its return address stands:
 * compilers without optimisation put the arguments on the stack first. */
enum { BEFORE_MAX = 64, AFTER_MAX = 64, SLOTS = 8, CALL_LENGTH = 5 };
/* A VMWRITE that ends a function, but not one that is nothing else: nobody is asked for its caller after so many attempts. */
enum { VAIN_MAX = 32 };

/* Reads code or stack without any effect; false if a byte is not mapped. */
static bool peek(struct cpu *cpu, uint64_t linear, void *to, unsigned length)
{
    struct access access = { .kind = ACCESS_READ, .user = cpu_cpl(cpu) == 3, .probe = true };

    for (uint8_t *at = to; length; ) {
        unsigned left = PAGE_SIZE - (unsigned)(linear % PAGE_SIZE), part = length < left ? length : left;
        const struct tlb_entry *remembered = tlb_find(cpu, linear);         /* nearly always, and soon found */
        struct translation translation = { .result = TRANSLATION_OK };

        if (remembered)
            translation.pa = remembered->mapping.pa_page | (linear & ~PAGE_MASK);
        else
            translation = translate(cpu, linear, access);
        if (translation.result != TRANSLATION_OK || !memory_read(&cpu->model->memory, translation.pa, at, part))
            return false;
        linear += part;
        at += part;
        length -= part;
    }
    return true;
}

static bool is_vmwrite(const uint8_t *c) { return c[0] == 0x0f && c[1] == 0x79; }
/* RET, or JMP to a function that does. */
static bool is_end(uint8_t c) { return c == 0xc3 || c == 0xc2 || c == 0xeb || c == 0xe9; }

/* Does the function end after this VMWRITE without another one?  Judged by the bytes alone. */
static bool ends(struct cpu *cpu, uint64_t linear)
{
    uint8_t code[AFTER_MAX];
    unsigned length = AFTER_MAX;

    while (length && !peek(cpu, linear, code, length))
        length /= 2;
    for (unsigned i = 3; i < length; i++) {
        if (i + 1 < length && is_vmwrite(code + i))
            return false;
        if (is_end(code[i]))
            return true;
    }
    return false;
}

/* Is there no VMWRITE between the beginning of the function and this one? */
static bool begins(struct cpu *cpu, uint64_t code, uint64_t function, uint64_t rip)
{
    uint8_t body[BEFORE_MAX];
    unsigned length = (unsigned)(rip - function);

    if (!peek(cpu, code + function, body, length))
        return false;
    for (unsigned i = 0; i + 1 < length; i++)
        if (is_vmwrite(body + i))
            return false;
    return true;
}

/*
 * The CALL to `*function`, or 0: a return address near the top of the stack behind a CALL to there. 0 in *function: to
 * wherever a function can begin that has only the VMWRITE at `rip`; it is set then.
 */
static uint64_t call_of(struct cpu *cpu, uint64_t code, uint64_t stack, uint64_t rip, uint64_t *function, unsigned *slot)
{
    unsigned width = cpu_64bit(cpu) ? 8 : 4;
    uint8_t slots[8 * SLOTS], call[CALL_LENGTH];

    if (!peek(cpu, stack, slots, width * SLOTS))
        return 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t back = 0, target;
        int32_t distance;

        memcpy(&back, slots + width * i, width);
        if (back < CALL_LENGTH || !peek(cpu, code + back - CALL_LENGTH, call, CALL_LENGTH) || call[0] != 0xe8)
            continue;
        memcpy(&distance, call + 1, 4);
        target = back + (uint64_t)(int64_t)distance;
        if (width == 4)
            target &= 0xffffffff;
        if (*function ? target != *function : target > rip || rip - target >= BEFORE_MAX || !begins(cpu, code, target, rip))
            continue;
        *function = target;
        *slot = i;
        return back - CALL_LENGTH;
    }
    return 0;
}

bool caller_plain(const struct callers *callers, uint64_t rip)
{
    unsigned place = (rip >> 2) % 64;

    return callers->known[place].rip == rip && callers->known[place].function == CALLER_PLAIN;
}

uint64_t caller_again(const struct callers *callers, const struct memory *memory, uint64_t rip, uint64_t rsp, uint64_t cr3)
{
    unsigned place = (rip >> 2) % 64;
    uint64_t back = 0;

    if (callers->known[place].rip != rip || !callers->known[place].back || callers->known[place].rsp != rsp || callers->known[place].cr3 != cr3)
        return 0;
    const uint8_t *at = memory_at(memory, callers->known[place].pa, callers->known[place].width);
    if (at)
        memcpy(&back, at, callers->known[place].width);
    return back == callers->known[place].back ? back - CALL_LENGTH : 0;
}

/* Remembers where the return address stands. */
static void found_at(struct callers *callers, unsigned place, struct cpu *cpu, uint64_t linear, unsigned width)
{
    struct translation t = translate(cpu, linear, (struct access){ .kind = ACCESS_READ, .user = cpu_cpl(cpu) == 3, .probe = true });

    callers->known[place].width = width;
    callers->known[place].rsp = t.result == TRANSLATION_OK && (linear & ~PAGE_MASK) <= PAGE_SIZE - width ? cpu->gpr[RSP] : ~0ull;
    callers->known[place].cr3 = cpu->cr3;
    callers->known[place].pa = t.pa;
}

uint64_t caller_find(struct callers *callers, struct cpu *cpu)
{
    uint64_t rip = cpu->rip;
    uint64_t code = cpu_code_base(cpu), stack = cpu_64bit(cpu) ? 0 : cpu->seg[SEG_SS].base;
    unsigned place = (rip >> 2) % 64;

    if (callers->known[place].rip != rip) {
        callers->known[place].rip = rip;
        callers->known[place].function = ends(cpu, code + rip) ? 0 : CALLER_PLAIN;
        callers->known[place].back = 0;
        callers->known[place].vain = 0;
    }
    if (callers->known[place].function == CALLER_PLAIN)
        return 0;
    /* The same caller as before, most often. */
    unsigned width = cpu_64bit(cpu) ? 8 : 4;
    uint64_t back = 0, call;
    if (callers->known[place].back && peek(cpu, stack + cpu->gpr[RSP] + width * callers->known[place].slot, &back, width) &&
        back == callers->known[place].back) {
        found_at(callers, place, cpu, stack + cpu->gpr[RSP] + width * callers->known[place].slot, width);
        return back - CALL_LENGTH;
    }
    call = call_of(cpu, code, stack + cpu->gpr[RSP], rip, &callers->known[place].function, &callers->known[place].slot);
    callers->known[place].back = call ? call + CALL_LENGTH : 0;
    if (!callers->known[place].function && ++callers->known[place].vain == VAIN_MAX)
        callers->known[place].function = CALLER_PLAIN;
    return call;
}

void caller_note(struct callers *callers, struct cpu *cpu, uint32_t encoding)
{
    enum vmcs_field field = vmcs_find(cpu->model, encoding);

    if (field >= VMCS_FIELD_COUNT || !cpu->vmx.current || caller_plain(callers, cpu->rip))
        return;
    uint64_t caller = caller_again(callers, &cpu->model->memory, cpu->rip, cpu->gpr[RSP], cpu->cr3);
    if (!caller)
        caller = caller_find(callers, cpu);
    cpu->vmx.current->caller[field] = caller;
}
