/* SPDX-License-Identifier: MIT */
/* Lines that access memory, and the plain instructions that only change what is blocked. */
#include <string.h>

#include "emu/scenario/run.h"
#include "model/cpu/execute.h"
#include "model/cpu/translate.h"

enum { MOVE_LENGTH = 3, INT_LENGTH = 2, ONE_BYTE = 1, PIECE = 8 };

/* One load or store, as a MOV of up to eight bytes. */
struct move {
    uint64_t linear;
    void *data;
    unsigned length;
    bool write;
};

/* A store by this processor may hit an active VMCS's region: the sanitizer sees where it goes. */
static void watch(struct run *run, const struct move *move)
{
    struct access probe = { .kind = ACCESS_WRITE, .probe = true, .user = cpu_cpl(run->cpu) == 3 };
    struct translation translation = translate(run->cpu, move->linear, probe);
    if (translation.result == TRANSLATION_OK)
        vmcs_watch_write(run->cpu, translation.pa, move->length);
}

static enum status move_once(struct run *run, const void *what)
{
    const struct move *move = what;
    if (move->write) {
        watch(run, move);
        TRY(linear_write(run->cpu, move->linear, move->data, move->length, false));
    } else {
        TRY(linear_read(run->cpu, move->linear, move->data, move->length, false));
    }
    cpu_retire(run->cpu, MOVE_LENGTH);
    return STATUS_OK;
}

static enum status fetch_once(struct run *run, const void *what)
{
    const uint64_t *linear = what;
    struct access access = { .kind = ACCESS_FETCH, .user = cpu_cpl(run->cpu) == 3 };
    struct translation translation = translate(run->cpu, *linear, access);
    if (translation.result != TRANSLATION_OK)
        return translation_fault(run->cpu, *linear, &translation, false);
    cpu_retire(run->cpu, ONE_BYTE);
    return STATUS_OK;
}

static enum status raise_once(struct run *run, const void *what)
{
    const struct statement *s = what;
    bool software = s->op == OP_int;
    struct event event = {
        .valid = true, .vector = (uint8_t)s->operand[0],
        .type = software ? EVENT_SOFTWARE_INTERRUPT : EVENT_HARDWARE_EXCEPTION,
        .has_error_code = s->given & 2, .error_code = (uint32_t)s->operand[1],
        .instruction_length = software ? INT_LENGTH : 0,
    };
    return cpu_raise(run->cpu, event);
}

static enum status block_once(struct run *run, const void *what)
{
    const struct statement *s = what;
    struct cpu *cpu = run->cpu;
    bool enabled = cpu->rflags & RFLAGS_IF;
    cpu_retire(cpu, s->op == OP_mov_ss ? 2 : ONE_BYTE);
    if (s->op == OP_mov_ss)
        cpu->interruptibility |= BLOCKING_BY_MOV_SS;
    else if (s->op == OP_cli)
        cpu->rflags &= ~RFLAGS_IF;
    else if (!enabled) {                        /* STI blocks only if interrupts were off (SDM Vol. 2, STI) */
        cpu->rflags |= RFLAGS_IF;
        cpu->interruptibility |= BLOCKING_BY_STI;
    }
    return STATUS_OK;
}

static bool move(struct run *run, uint64_t linear, void *data, unsigned length, bool write)
{
    for (unsigned done = 0; done < length; done += PIECE) {
        unsigned size = length - done < PIECE ? length - done : PIECE;
        struct move piece = { linear + done, (uint8_t *)data + done, size, write };
        if (!run_attempt(run, move_once, &piece))
            return false;
        if (run->outcome.unusual)
            return true;
    }
    return true;
}

bool memory_store(struct run *run, uint64_t linear, const void *from, unsigned length)
{
    uint8_t copy[PIECE];
    for (unsigned done = 0; done < length; done += PIECE) {
        unsigned size = length - done < PIECE ? length - done : PIECE;
        memcpy(copy, (const uint8_t *)from + done, size);
        if (!move(run, linear + done, copy, size, true) || run->outcome.unusual)
            return false;
    }
    return true;
}

bool memory_load(struct run *run, uint64_t linear, void *to, unsigned length)
{
    return move(run, linear, to, length, false) && !run->outcome.unusual;
}

/* L0's own eyes and hands: no translation, but the sanitizer watches. */
static bool physical(struct run *run, const struct statement *s)
{
    uint64_t pa = s->operand[0], size = s->operand[1], value = s->operand[2];
    if (run->native)
        return run_fail(run, "the native L0 is no script (use `l1 write`)");
    if (!memory_is_ram(&run->model->memory, pa, size))
        return run_fail(run, "there is no RAM at this address (machine memory=BYTES)");
    if (s->op == OP_physical_write) {
        vmcs_watch_write(run->cpu, pa, size);
        memory_write(&run->model->memory, pa, &value, size);
        return true;
    }
    run->outcome.value = 0;
    memory_read(&run->model->memory, pa, &run->outcome.value, size);
    return true;
}

bool memory_line(struct run *run, const struct statement *s)
{
    uint64_t value = s->operand[2];
    switch (s->op) {
    case OP_read:
        run->outcome.value = 0;
        return move(run, s->operand[0], &run->outcome.value, (unsigned)s->operand[1], false);
    case OP_write:
        return move(run, s->operand[0], &value, (unsigned)s->operand[1], true);
    case OP_fetch:
        return run_attempt(run, fetch_once, &s->operand[0]);
    case OP_raise:
    case OP_int:
        return run_attempt(run, raise_once, s);
    case OP_physical_read:
    case OP_physical_write:
        return physical(run, s);
    default:
        return run_attempt(run, block_once, s);
    }
}
