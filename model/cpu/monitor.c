/* SPDX-License-Identifier: MIT */
/*
 * MONITOR and MWAIT: SDM Vol. 2, MONITOR, MWAIT. A line of memory is watched by what it holds: a store that changes nothing does not end the
 * wait, and software that waits for one would wait for it on no processor in earnest, since what it asks afterwards is the line. A hint names
 * a C-state; they all are alike here.
 */
#include "model/cpu/monitor.h"

#include <string.h>

#include "model/cpu/access.h"
#include "model/cpu/raise.h"
#include "model/model.h"
#include "model/vmx/apic.h"
#include "model/vmx/vmx.h"

enum { MWAIT_INTERRUPTS = 1 };          /* ECX bit 0: interrupts that are masked end the wait, too */
#define MISC_ENABLE_MONITOR (1ull << 18)

bool monitor_enabled(const struct cpu *cpu)
{
    return CPU_MSR(cpu, ia32_misc_enable) & MISC_ENABLE_MONITOR;
}

/* The operand is a byte to be read: its segment is checked, and its page (Vol. 2, MONITOR). What is no RAM reads as it does. */
enum status monitor_arm(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = attempt_of(cpu, insn);
    const struct refusal *refusal;
    struct span span;
    uint64_t linear;

    attempt.operand = cpu->gpr[RCX] & (cpu_64bit(cpu) ? ~0ull : 0xffffffff);
    refusal = cpu_refuses(REFUSALS_monitor, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    TRY(operand_linear(cpu, insn, 1, false, &linear));
    TRY(span_locate(cpu, linear, 1, ACCESS_READ, false, &span));
    cpu->monitor = (struct monitor){ .armed = true, .pa = span.part[0].pa & ~(uint64_t)(MONITOR_LINE - 1) };
    memory_read(&cpu->model->memory, cpu->monitor.pa, cpu->monitor.line, MONITOR_LINE);
    return STATUS_OK;
}

static bool stored_to(const struct cpu *cpu)
{
    uint8_t line[MONITOR_LINE];

    memory_read(&cpu->model->memory, cpu->monitor.pa, line, MONITOR_LINE);
    return memcmp(line, cpu->monitor.line, MONITOR_LINE);
}

/* 26.3, MWAIT: with interrupts masked and yet to end the wait, what the VMCS waits for is as good as an interrupt. */
static bool window_awaited(const struct cpu *cpu)
{
    return (cpu_proc_controls(cpu) & PROC_interrupt_window_exiting) || apic_interrupt_recognized(cpu);
}

enum status monitor_wait(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = attempt_of(cpu, insn);
    const struct refusal *refusal;
    bool masked;

    attempt.operand = cpu->gpr[RCX] & (cpu_64bit(cpu) ? ~0ull : 0xffffffff);
    refusal = cpu_refuses(REFUSALS_mwait, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    masked = (attempt.operand & MWAIT_INTERRUPTS) && !(cpu->rflags & RFLAGS_IF);
    cpu->monitor.waiting = cpu->monitor.armed && !stored_to(cpu) && !(masked && window_awaited(cpu));
    cpu->monitor.masked_interrupts = attempt.operand & MWAIT_INTERRUPTS;
    cpu->monitor.armed = false;
    return STATUS_OK;
}

static bool interrupt_requested(const struct cpu *cpu)
{
    const struct bus *bus = &cpu->model->bus;

    return bus->interrupt_requested && bus->interrupt_requested(bus->context, &cpu->model->cpu[cpu->index]);
}

bool monitor_waits(struct cpu *cpu)
{
    struct monitor *monitor = &cpu->monitor;

    if (monitor->waiting && (cpu->event.valid || stored_to(cpu) || (monitor->masked_interrupts && interrupt_requested(cpu))))
        monitor->waiting = false;
    return monitor->waiting;
}

bool interrupts_wake(const struct cpu *cpu)
{
    return (cpu->rflags & RFLAGS_IF) || (cpu_pin_controls(cpu) & PIN_external_interrupt_exiting) ||
           (cpu->monitor.waiting && cpu->monitor.masked_interrupts);
}
