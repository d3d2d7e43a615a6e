/* SPDX-License-Identifier: MIT */
/* Programs that go on without getting anywhere: exits and exceptions that repeat, unexplored code, halts. Loops are in loop.c. */
#include "emu/explain/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/explain/events.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/loop.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

enum { LOOK_FIRST = 1 << 22, LOOK_LAST = 1 << 27, STEPS_FIRST = 1 << 16, STEPS_LAST = 1 << 20 };

static uint64_t registers_of(const struct cpu *cpu)
{
    const uint64_t *r = cpu->gpr;

    return r[RAX] * 3 + r[RCX] * 5 + r[RDX] * 7 + r[RSI] * 11 + r[RDI] * 13 + r[RBX] * 17 + r[RSP] * 19;
}

/* Counts how often the same thing came in a row. */
static uint64_t repeats(struct repeated *r, uint64_t rip, uint64_t what, uint64_t registers)
{
    if (r->count && r->rip == rip && r->what == what && r->registers == registers)
        return ++r->count;
    *r = (struct repeated){ rip, what, registers, 1 };
    return 1;
}

/* ---- VM exits ---- */

/* What a hypervisor has to do about an exit so that the guest gets on. */
static const struct {
    unsigned reason;
    const char *cure;
} cures[] = {
    { EXIT_REASON_exception_or_nmi, "the exception is intercepted (exception bitmap) and the guest meets it again: inject it, or remove its cause" },
    { EXIT_REASON_triple_fault, "the guest would shut down again and again: its state must be repaired, or it must not be entered any more" },
    { EXIT_REASON_ept_violation, "the EPT still does not allow the access" },
    { EXIT_REASON_ept_misconfiguration, "the entry of the EPT still is misconfigured" },
    { EXIT_REASON_hlt, "GUEST_RIP still points at HLT: add the VM-exit instruction length to it, and inject an interrupt or enter in the HLT state" },
    { EXIT_REASON_apic_access, "the access to the APIC page was not emulated, or GUEST_RIP was not moved behind it" },
    { EXIT_REASON_task_switch, "the task switch was not emulated" },
};

/* These come by themselves, without the guest having been in their way. */
static bool comes_from_outside(uint64_t reason)
{
    switch (reason) {
    case EXIT_REASON_external_interrupt:
    case EXIT_REASON_preemption_timer_expired:
    case EXIT_REASON_interrupt_window:
    case EXIT_REASON_nmi_window:
    case EXIT_REASON_init_signal:
    case EXIT_REASON_startup_ipi:
    case EXIT_REASON_monitor_trap_flag:
        return true;
    default:
        return false;
    }
}

static void tell_exits(struct machine *machine, struct cpu *cpu, const struct notice *notice, uint64_t count)
{
    struct explanation *e = explain_begin(machine, cpu, explain_key(notice->c, "progress.exit"));
    const struct vmcs *vmcs = cpu->vmx.current;
    const char *name = exit_reason_name((uint32_t)notice->a & 0xffff), *cure = NULL;
    char place[PLACE_MAX], symbol[SYMBOL_TEXT_MAX];

    if (!e)
        return;
    for (unsigned i = 0; i < sizeof cures / sizeof cures[0]; i++)
        if (cures[i].reason == (notice->a & 0xffff))
            cure = cures[i].cure;
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: the same VM exit %s of the guest at %s, %" PRIu64 " times in a row: RIP is not advanced", name ? name : "unknown",
                 place, count);
    if (cure)
        explain_line(e, "%s", cure);
    else
        explain_line(e, "a VM exit leaves GUEST_RIP at the instruction: whoever emulates it adds the VM-exit instruction length (%" PRIu64
                     ") before VMRESUME [28.2.5]", vmcs ? VMCS(vmcs, exit_instruction_length) : 0);
    if (vmcs && !machine_over_native(machine, cpu))
        explain_line(e, "VMCS 0x%" PRIx64 "; the exits go to HOST_RIP 0x%" PRIx64 "%s", vmcs->pa, VMCS(vmcs, host_rip),
                     symbols_text(machine->symbols, VMCS(vmcs, host_rip), symbol));
    place_registers(e, cpu);
    explain_end(e);
}

void progress_exited(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    struct repeated *r = &machine->progress[cpu->index].exit[notice->d / PAGE_SIZE % PROGRESS_VMCSS];

    if (cpu->instructions != cpu->vmx.entry_instructions || comes_from_outside(notice->a & 0xffff)) {
        r->count = 0;
        return;
    }
    if (repeats(r, notice->c, notice->a ^ notice->b << 16 ^ notice->d << 32, registers_of(cpu)) == PROGRESS_EXITS)
        tell_exits(machine, cpu, notice, PROGRESS_EXITS);
}

void progress_entry_failed(struct machine *machine, struct cpu *cpu)
{
    struct repeated *r = &machine->progress[cpu->index].refused_entry;
    struct explanation *e;
    char place[PLACE_MAX];

    if (repeats(r, cpu->rip, 0, registers_of(cpu)) != PROGRESS_EXITS)
        return;
    e = explain_begin(machine, cpu, explain_key(cpu->rip, "progress.entry_failed"));
    if (!e)
        return;
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: the same VM entry failed at %s, %d times in a row", place, PROGRESS_EXITS);
    explain_line(e, "a program goes on behind VMLAUNCH and VMRESUME when they fail: it must look at CF and ZF [31.2]");
    explain_end(e);
}

/* ---- exceptions ---- */

void progress_raised(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    const struct event *event = notice->event;
    struct repeated *r = &machine->progress[cpu->index].exception;
    struct explanation *e;
    char what[WORDS_MAX], place[PLACE_MAX];

    if (cpu->event.valid)
        return;
    if (repeats(r, cpu->rip, event->vector ^ (uint64_t)event->error_code << 8 ^ event->address << 24, registers_of(cpu)) != PROGRESS_EXCEPTIONS)
        return;
    e = explain_begin(machine, cpu, explain_key(cpu->rip, "progress.exception"));
    if (!e)
        return;
    event_words(what, sizeof what, event);
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: the same %s at %s, %d times in a row with the same registers", what, place, PROGRESS_EXCEPTIONS);
    explain_line(e, "a handler that returns with IRET executes the instruction again: it must remove the cause, or move the return RIP on [6.6]");
    place_registers(e, cpu);
    place_calls(e, cpu);
    explain_end(e);
}

/* ---- code that was never executed ---- */

static void tell_unexplored(struct machine *machine, struct cpu *cpu)
{
    struct unexplored run;
    struct cpu begun;
    struct explanation *e;
    char place[PLACE_MAX], symbol[SYMBOL_TEXT_MAX];

    if (!engine_unexplored(machine->engine, &run))
        return;
    e = explain_begin(machine, cpu, explain_key(run.first, "progress.unexplored"));
    if (!e)
        return;
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: processor %u runs through %s that was never executed before: %" PRIu64 " bytes from 0x%" PRIx64 "%s on, now at %s",
                 cpu->index, run.zeros ? "zeros (00 00 is ADD [rAX], AL), memory" : "memory", run.last - run.first, run.first,
                 symbols_text(machine->symbols, run.first, symbol), place);
    if (run.jumped) {
        struct cpu then = *cpu;
        then.rip = run.origin - cpu->seg[SEG_CS].base;
        place_describe(machine, &then, place, sizeof place);
        explain_line(e, "the way there: %s", place);
    }
    begun = *cpu;
    begun.rip = run.first - cpu->seg[SEG_CS].base;
    begun.instructions = run.instructions;
    place_crossing(e, &begun, &machine->events[cpu->index], run.instructions);
    place_registers(e, cpu);
    place_calls(e, cpu);
    events_tell(e, &machine->events[cpu->index]);
    explain_end(e);
}

/* ---- now and then ---- */

uint64_t progress_horizon(const struct machine *machine, const struct cpu *cpu)
{
    const struct progress *p = &machine->progress[cpu->index];
    uint64_t look_at = p->look_at ? p->look_at : LOOK_FIRST;

    return cpu->clock + (look_at > cpu->instructions ? look_at - cpu->instructions : 1);
}

void progress_stepped(struct machine *machine, struct cpu *cpu)
{
    struct progress *p = &machine->progress[cpu->index];

    if (machine->engine && engine_met_unexplored(machine->engine))
        tell_unexplored(machine, cpu);
    if (!p->look_at) {
        p->look_at = p->look_interval = LOOK_FIRST;
        p->steps_interval = STEPS_FIRST;
    }
    if (cpu->instructions < p->look_at && ++p->steps < p->steps_interval)
        return;
    p->steps = 0;
    loop_look(machine, cpu);
    p->look_interval = p->look_interval < LOOK_LAST ? p->look_interval * 2 : p->look_interval;
    p->steps_interval = p->steps_interval < STEPS_LAST ? p->steps_interval * 2 : p->steps_interval;
    p->look_at = cpu->instructions + p->look_interval;
}

/* ---- halts ---- */

static void tell_halt(struct machine *machine, struct cpu *cpu, const char *why)
{
    struct explanation *e = explain_begin(machine, cpu, explain_key(cpu->rip, "progress.halt"));
    char name[SYMBOL_TEXT_MAX];

    if (!e)
        return;
    explain_line(e, "processor %u (L%u) is halted, next instruction at rip 0x%" PRIx64 "%s, %s", cpu->index, machine_level(machine, cpu), cpu->rip,
                 symbols_text(machine->symbols, cpu->rip, name), why);
    interrupts_tell(e, cpu);
    place_calls(e, cpu);
    explain_end(e);
}

bool progress_waited(struct machine *machine, struct cpu *cpu)
{
    struct progress *p = &machine->progress[cpu->index];

    if (p->idle_work != machine->work) {
        p->idle_work = machine->work;
        p->idle_waits = 0;
    }
    if (++p->idle_waits < PROGRESS_WAITS)
        return false;
    if (p->idle_waits == PROGRESS_WAITS)
        tell_halt(machine, cpu, "and timers have run out thousands of times without an interrupt that wakes it:");
    return true;
}

void progress_halted(struct machine *machine, struct cpu *cpu)
{
    if (cpu->activity == ACTIVITY_HLT)
        tell_halt(machine, cpu, "and nothing can wake it:");
}

/* ---- where everybody is ---- */

static void tell_place(struct explanation *e, struct cpu *cpu)
{
    static const char *const activity[] = { "", ", halted", ", shut down", ", waits for a SIPI" };
    const struct machine *machine = e->machine;
    const struct progress *p = &machine->progress[cpu->index];
    char place[PLACE_MAX];

    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "processor %u, L%u%s: %s (%s, CPL %u, interrupts %s; %" PRIu64 " instructions, clock %" PRIu64 ")", cpu->index,
                 machine_level(machine, cpu), cpu->activity <= ACTIVITY_WAIT_FOR_SIPI ? activity[cpu->activity] : "", place, mode_words(cpu), cpu_cpl(cpu),
                 cpu->rflags & RFLAGS_IF ? "on" : "off", cpu->instructions, cpu->clock);
    for (unsigned i = 0; i < PROGRESS_VMCSS; i++)
        if (p->exit[i].count > 2)
            explain_line(e, "   the same VM exit %s at guest rip 0x%" PRIx64 ", %" PRIu64 " times in a row: RIP is not advanced",
                         exit_reason_name((uint32_t)(p->exit[i].what & 0xffff)) ? exit_reason_name((uint32_t)(p->exit[i].what & 0xffff)) : "unknown",
                         p->exit[i].rip, p->exit[i].count);
    if (p->exception.count > 2)
        explain_line(e, "   the same %s at rip 0x%" PRIx64 ", %" PRIu64 " times in a row with the same registers",
                     exception_mnemonic(p->exception.what & 0xff) ? exception_mnemonic(p->exception.what & 0xff) : "event", p->exception.rip,
                     p->exception.count);
    loop_tell(e, cpu);
    if (cpu->activity == ACTIVITY_HLT)
        interrupts_tell(e, cpu);
    if (cpu->activity == ACTIVITY_ACTIVE)
        place_calls(e, cpu);
}

void progress_where(struct machine *machine)
{
    struct explanation *e = explain_begin(machine, &machine->model->cpu[0], explain_key(0, "progress.where"));

    if (!e)
        return;
    explain_line(e, "the run was ended; where the processors are:");
    for (unsigned i = 0; i < machine->model->cpu_count; i++)
        tell_place(e, &machine->model->cpu[i]);
    explain_end(e);
}
