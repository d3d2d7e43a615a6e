/* SPDX-License-Identifier: MIT */
#include "emu/explain/caller.h"

#include <string.h>

#include "model/cpu/execute.h"
#include "model/cpu/translate.h"

/* How long a function is that does nothing but one VMWRITE, and how far above the stack pointer its return address stands:
 * compilers without optimisation put the arguments on the stack first. */
enum { BEFORE_MAX = 64, AFTER_MAX = 64, SLOTS = 8, CALL_LENGTH = 5 };

/* Reads code or stack without any effect; false if a byte is not mapped. */
static bool peek(struct cpu *cpu, uint64_t linear, void *to, unsigned length)
{
    struct access access = { .kind = ACCESS_READ, .user = cpu_cpl(cpu) == 3, .probe = true };

    for (uint8_t *at = to; length; ) {
        unsigned left = PAGE_SIZE - (unsigned)(linear % PAGE_SIZE), part = length < left ? length : left;
        struct translation translation = translate(cpu, linear, access);

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

/* The CALL from which the function at or shortly before `rip` was reached, or 0: a return address near the top of the stack
 * behind a CALL to there. */
static uint64_t call_of(struct cpu *cpu, uint64_t rip, uint64_t code, uint64_t stack)
{
    unsigned width = cpu_64bit(cpu) ? 8 : 4;
    uint8_t slots[8 * SLOTS], call[CALL_LENGTH], body[BEFORE_MAX];

    if (!peek(cpu, stack, slots, width * SLOTS))
        return 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t back = 0, target;
        int32_t distance;

        memcpy(&back, slots + width * i, width);
        if (!peek(cpu, code + back - CALL_LENGTH, call, CALL_LENGTH) || call[0] != 0xe8)
            continue;
        memcpy(&distance, call + 1, 4);
        target = back + (uint64_t)(int64_t)distance;
        if (width == 4)
            target &= 0xffffffff;
        if (target > rip || rip - target >= BEFORE_MAX)
            continue;
        unsigned length = (unsigned)(rip - target);
        if (!peek(cpu, code + target, body, length))
            return 0;
        for (unsigned j = 0; j + 1 < length; j++)
            if (is_vmwrite(body + j))
                return 0;
        return back - CALL_LENGTH;
    }
    return 0;
}

void caller_note(struct callers *callers, struct cpu *cpu, uint32_t encoding)
{
    uint64_t rip = cpu->rip, *plain = &callers->plain[(rip >> 2) % 64];
    enum vmcs_field field = vmcs_find(cpu->model, encoding);
    uint64_t code = cpu_64bit(cpu) ? 0 : cpu->seg[SEG_CS].base, stack = cpu_64bit(cpu) ? 0 : cpu->seg[SEG_SS].base;

    if (*plain == rip || field == VMCS_FIELD_COUNT || !cpu->vmx.current)
        return;
    if (!ends(cpu, code + rip)) {
        *plain = rip;
        return;
    }
    cpu->vmx.current->caller[field] = call_of(cpu, rip, code, stack + cpu->gpr[RSP]);
}
