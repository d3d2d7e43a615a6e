/* SPDX-License-Identifier: MIT */
/* Expectations: each names something about the latest line; what none names must not have happened. */
#include <inttypes.h>
#include <string.h>

#include "emu/scenario/run.h"
#include "model/vmx/vmx.h"

enum { TEXT_MAX = 260 };

uint64_t register_read(const struct cpu *cpu, uint64_t number)
{
    return number == REGISTER_RIP ? cpu->rip : number == REGISTER_RFLAGS ? cpu->rflags : cpu->gpr[number % GPR_COUNT];
}

static uint64_t state_read(const struct cpu *c, uint64_t number)
{
    switch (number) {
#define STATE(name, expression) case STATE_##name: return expression;
#include "emu/scenario/state.def"
    default: return 0;
    }
}

static const char *reason_name(uint32_t reason)
{
    const char *name = exit_reason_name(reason & 0xffff);
    return name ? name : "with an unknown reason";
}

/* "VM exit cpuid, qualification 0x0; l1 runs now" */
static void describe(const struct run *run, char *to, size_t size)
{
    const struct outcome *o = &run->outcome;
    if (o->unusual & UNUSUAL_RULE)
        snprintf(to, size, "rule R%u was broken: %s", o->rule_first, o->rule_text);
    else if (o->unusual & UNUSUAL_SHUTDOWN)
        snprintf(to, size, "the processor shut down");
    else if (o->event.valid && o->event.has_error_code)
        snprintf(to, size, "an event was delivered: vector %u, type %u, error code 0x%" PRIx32, o->event.vector,
                 o->event.type, o->event.error_code);
    else if (o->event.valid)
        snprintf(to, size, "an event was delivered: vector %u, type %u", o->event.vector, o->event.type);
    else if (o->failed)
        snprintf(to, size, "%s", o->failed_invalid ? "VMfailInvalid" : "VMfailValid");
    else if (o->entry_failed || (o->exited && o->level_after < o->level_top))
        snprintf(to, size, "%s %s, qualification 0x%" PRIx64 "; l%u runs now",
                 o->entry_failed ? "the VM entry failed:" : "VM exit", reason_name(o->exit_reason),
                 o->exit_qualification, o->level_after);
    else if (o->unusual & UNUSUAL_LOST)
        snprintf(to, size, "a VM entry has not given the guest all its registers back (`expect lost` names one)");
    else if (o->unusual & UNUSUAL_STALE)
        snprintf(to, size, "a stale translation was used");
    else if (o->entered)
        snprintf(to, size, "VM entry; l%u runs now", o->level_after);
    else if (o->exited)
        snprintf(to, size, "VM exit %s, qualification 0x%" PRIx64 ", handled by L0", reason_name(o->exit_reason),
                 o->exit_qualification);
    else
        snprintf(to, size, "success");
}

/* The first failed VM-entry check, for messages. */
static const char *failed_row(const struct outcome *outcome)
{
    for (unsigned i = 0; i < check_count && i < ROWS_MAX; i++)
        if (outcome->rows[i / 8] >> i % 8 & 1)
            return check_table[i].id;
    return NULL;
}

static bool unmet(struct run *run, const char *wanted)
{
    char text[TEXT_MAX];
    describe(run, text, sizeof text);
    const char *row = failed_row(&run->outcome);
    return run_fail(run, "expected %s, but: %s%s%s", wanted, text, row ? "; failed check " : "", row ? row : "");
}

bool expect_nothing_more(struct run *run)
{
    char text[TEXT_MAX];
    if (!run->outcome.statement || !run->outcome.unusual)
        return true;
    describe(run, text, sizeof text);
    const char *row = failed_row(&run->outcome);
    return run_fail_outcome(run, "not expected: %s%s%s", text, row ? "; failed check " : "", row ? row : "");
}

static bool named(struct run *run, unsigned unusual)
{
    run->outcome.unusual &= ~unusual;
    return true;
}

static bool expect_exit(struct run *run, const struct statement *s)
{
    const struct outcome *o = &run->outcome;
    bool met = o->exited && (o->exit_reason & 0xffff) == s->operand[0];
    if (!met)
        return unmet(run, "a VM exit with this reason");
    if (s->given & 2 && o->exit_qualification != s->operand[1])
        return run_fail(run, "expected qualification 0x%" PRIx64 ", but it is 0x%" PRIx64, s->operand[1],
                        o->exit_qualification);
    if (s->given & 4) {
        bool reflected = o->level_after < o->level_top;
        unsigned to = reflected ? o->level_after : 0;
        if (to != s->operand[2])
            return run_fail(run, "expected that l%" PRIu64 " deals with the exit, but l%u does", s->operand[2], to);
    }
    return named(run, UNUSUAL_EXIT | UNUSUAL_ENTRY_FAILED);
}

/* The error number is read as the actor would read it; the outcome stays that of the line itself. */
static bool expect_fail(struct run *run, const struct statement *s)
{
    struct outcome kept = run->outcome;
    uint64_t error;
    if (!kept.failed || kept.failed_invalid)
        return unmet(run, "VMfailValid");
    run->outcome.unusual = 0;
    run->outcome.failed = false;
    bool read = instruction_vmread(run, VMCS_vm_instruction_error, &error);
    kept.rules |= run->outcome.rules;
    kept.unusual |= run->outcome.unusual & UNUSUAL_RULE;
    run->outcome = kept;
    if (!read)
        return run_fail(run, "the VM-instruction error could not be read by VMREAD");
    if (error != s->operand[0]) {
        const char *text = vm_error_text((int)error);
        return run_fail(run, "expected VM-instruction error %" PRIu64 ", but it is %" PRIu64 " (%s)", s->operand[0],
                        error, text ? text : "unknown");
    }
    return named(run, UNUSUAL_FAIL | UNUSUAL_ENTRY_FAILED);
}

static bool expect_event(struct run *run, const struct statement *s)
{
    const struct event *event = &run->outcome.event;
    bool fault = s->op == OP_expect_fault;
    if (!event->valid || event->vector != s->operand[0] || (fault && event->type != EVENT_HARDWARE_EXCEPTION))
        return unmet(run, fault ? "an exception with this vector" : "an event with this vector");
    if (s->given & 2 && (!event->has_error_code || event->error_code != s->operand[1]))
        return unmet(run, "an event with this error code");
    return named(run, UNUSUAL_EVENT);
}

static bool expect_entry_failed(struct run *run, const struct statement *s)
{
    const struct outcome *o = &run->outcome;
    if (!o->entry_failed)
        return unmet(run, "a failed VM entry");
    if (s->given & 1 && (s->operand[0] >= ROWS_MAX || !(o->rows[s->operand[0] / 8] >> s->operand[0] % 8 & 1)))
        return unmet(run, "this check to fail");
    return named(run, UNUSUAL_FAIL | UNUSUAL_ENTRY_FAILED);
}

static bool expect_number(struct run *run, const char *what, uint64_t actual, uint64_t wanted)
{
    if (actual == wanted)
        return true;
    return run_fail(run, "expected %s 0x%" PRIx64 ", but it is 0x%" PRIx64, what, wanted, actual);
}

static bool expect_field(struct run *run, const struct statement *s)
{
    enum vmcs_field field = vmcs_find(run->model, (uint32_t)s->operand[0]);
    if (!run->cpu->vmx.current)
        return run_fail(run, "no VMCS is current");
    if (s->operand[0] > UINT32_MAX || field >= VMCS_FIELD_COUNT)
        return run_fail(run, "this processor has no such VMCS field");
    uint64_t value = vmcs_get(run->cpu->vmx.current, (uint32_t)s->operand[0]);
    return expect_number(run, "the field to be", value, s->operand[1]);
}

static bool expect_lost(struct run *run, const struct statement *s)
{
    struct outcome *o = &run->outcome;

    if (!run->check_registers)
        return run_fail(run, "nothing looks at registers: the first line must be `machine check=registers`");
    if (!(o->lost >> s->operand[0] & 1))
        return unmet(run, "that this register is not given back");
    o->lost &= ~(1ull << s->operand[0]);
    return o->lost || named(run, UNUSUAL_LOST);
}

bool expect_line(struct run *run, const struct statement *s)
{
    struct outcome *o = &run->outcome;
    if (!o->statement)
        return run_fail(run, "there is no line before it to expect anything of");
    switch (s->op) {
    case OP_expect_ok:
        return o->unusual ? unmet(run, "success") : true;
    case OP_expect_exit:
        return expect_exit(run, s);
    case OP_expect_fail_invalid:
        return o->failed_invalid ? named(run, UNUSUAL_FAIL | UNUSUAL_ENTRY_FAILED) : unmet(run, "VMfailInvalid");
    case OP_expect_fail_valid:
        return o->failed && !o->failed_invalid ? named(run, UNUSUAL_FAIL | UNUSUAL_ENTRY_FAILED)
                                               : unmet(run, "VMfailValid");
    case OP_expect_fail:
        return expect_fail(run, s);
    case OP_expect_fault:
    case OP_expect_event:
        return expect_event(run, s);
    case OP_expect_value:
        return expect_number(run, "the value", o->value, s->operand[0]);
    case OP_expect_field:
        return expect_field(run, s);
    case OP_expect_state:
        return expect_number(run, "the state to be", state_read(run->cpu, s->operand[0]), s->operand[1]);
    case OP_expect_register:
        return expect_number(run, "the register to be", register_read(run->cpu, s->operand[0]), s->operand[1]);
    case OP_expect_level:
        return expect_number(run, "level", machine_level(run->machine, run->cpu), s->operand[0]);
    case OP_expect_entry_ok:
        return o->entered ? true : unmet(run, "a VM entry");
    case OP_expect_entry_failed:
        return expect_entry_failed(run, s);
    case OP_expect_barrier:
        return o->barrier || !run->native ? true : unmet(run, "a prediction barrier of L0's");
    case OP_expect_rule:
        return o->rules >> s->operand[0] & 1 ? named(run, UNUSUAL_RULE) : unmet(run, "that this rule is broken");
    case OP_expect_stale:
        return o->unusual & UNUSUAL_STALE ? named(run, UNUSUAL_STALE) : unmet(run, "the use of a stale translation");
    case OP_expect_lost:
        return expect_lost(run, s);
    case OP_expect_shutdown:
        return o->unusual & UNUSUAL_SHUTDOWN ? named(run, UNUSUAL_SHUTDOWN) : unmet(run, "a shutdown");
    default:
        return run_fail(run, "this expectation is not implemented");
    }
}
