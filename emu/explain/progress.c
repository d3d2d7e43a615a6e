/* SPDX-License-Identifier: MIT */
/* Programs that go on without getting anywhere: exits and exceptions that repeat, unexplored code, halts. Loops are in loop.c. */
#include "emu/explain/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/decode/decode.h"
#include "emu/device/lapic_parts.h"
#include "emu/explain/events.h"
#include "emu/explain/exit_information.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/loop.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
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

/* Only where the exit is that of an instruction, and the hypervisor has to do what it does, is RIP to be moved on: 28.2.5. All others leave it
 * where the guest goes on. */
static const char *exit_words(unsigned reason)
{
    return exit_has_length(reason) ? ": RIP is not advanced" : "";
}

/* The interrupt that waits for `cpu`. */
static bool pending_interrupt(const struct machine *machine, const struct cpu *cpu, uint8_t *vector)
{
    const struct lapic *lapic = &machine->board.lapic[cpu->index];
    int requested = lapic_pending(lapic);
    struct pic pic = machine->board.pic;

    if (requested < 0 && (cpu->index || !lapic_accepts_pic(lapic) || !pic_requests(&pic)))
        return false;
    *vector = requested >= 0 ? (uint8_t)requested : pic_acknowledge(&pic);     /* of the copy */
    return true;
}

static void tell_interrupt(struct explanation *e, const struct cpu *cpu, const struct vmcs *v)
{
    char source[WORDS_MAX];
    uint8_t vector;

    if (VMCS(v, exit_controls) & EXIT_acknowledge_interrupt_on_exit) {
        explain_line(e, "each was acknowledged by the VM exit (VM-exit interruption information 0x%" PRIx64
                     "): interrupts come faster than the handler of the exit is done", VMCS(v, exit_interruption_information));
        return;
    }
    if (!pending_interrupt(e->machine, cpu, &vector)) {
        explain_line(e, "interrupts come faster than the handler of the exit is done");
        return;
    }
    interrupt_source(e->machine, cpu, vector, source, sizeof source);
    explain_line(e, "vector %02XH%s%s, stays pending: \"acknowledge interrupt on exit\" is 0, and the handler of the exit does not take the interrupt either "
                 "[28.2.2]", vector, *source ? ", " : "", source);
    explain_line(e, "take it there (STI, with a handler in the IDT that writes EOI), or set that control, and give the vector of the VM-exit "
                 "interruption information to its handler");
}

/* Why an exit comes again that comes by itself. */
static void tell_outside(struct explanation *e, const struct cpu *cpu, const struct vmcs *v, unsigned reason)
{
    switch (reason) {
    case EXIT_REASON_external_interrupt:
        tell_interrupt(e, cpu, v);
        break;
    case EXIT_REASON_interrupt_window:
    case EXIT_REASON_nmi_window:
        explain_line(e, "the control \"%s-window exiting\" is still 1, and the window is open: inject the event that waits, and clear the control, before "
                     "VMRESUME [26.2]", reason == EXIT_REASON_nmi_window ? "NMI" : "interrupt");
        break;
    case EXIT_REASON_preemption_timer_expired:
        explain_line(e, "the VMX-preemption timer value is %" PRIu64 ", which VM entry loads each time, and the timer expires before the guest has executed "
                     "anything%s: write a larger value, or clear \"activate VMX-preemption timer\" [26.5.1]", VMCS(v, preemption_timer_value),
                     VMCS(v, exit_controls) & EXIT_save_preemption_timer ? " (the VM exit saves what is left of it: 0)" : "");
        break;
    default:
        break;
    }
}

/* Why an exit comes again whose condition VM entry, or what the guest does next, finds as it was. */
static bool tell_condition(struct explanation *e, const struct vmcs *v, unsigned reason)
{
    switch (reason) {
    case EXIT_REASON_tpr_below_threshold:
        explain_line(e, "the guest's priority, VTPR[7:4], is still below the TPR threshold, 0x%" PRIx64 ", and VM entry compares the two each time: write a threshold that "
                        "is not above it, 0 where no interrupt waits, before VMRESUME [27.7.7, 30.1.2]", VMCS(v, tpr_threshold));
        return true;
    case EXIT_REASON_page_modification_log_full:
        explain_line(e, "the PML index is still 0x%" PRIx64 ", which is no entry of the log (0 to 511): take out what it holds, and write 511 to the index, before VMRESUME "
                        "[29.3.6]", VMCS(v, pml_index));
        return true;
    default:
        return false;
    }
}

/* The exception of a delivery that VM entry began: what stands in its way. */
static bool tell_injection(struct explanation *e, const struct events *events)
{
    for (uint64_t i = events->count; i-- > 0 && i + 3 >= events->count;) {
        const struct happening *h = events_at(events, i);
        char during[24], why[WORDS_MAX * 2];

        if (!h || h->kind != NOTICE_RAISED || !h->during.valid)
            continue;
        event_word(during, sizeof during, &h->during);
        delivery_words(why, sizeof why, &h->failure);
        explain_line(e, "the injected %s could not be delivered: %s", during, why);
        return true;
    }
    return false;
}

/* As the program has written it: over the core, L1's. */
static const struct vmcs *written_vmcs(const struct machine *machine, const struct cpu *cpu)
{
    uint64_t vmcs12 = 0;

    if (!machine_over_native(machine, cpu))
        return cpu->vmx.current;
    return native_current(machine->native, cpu, &vmcs12) == 2 ? native_vmcs12(machine->native, vmcs12) : NULL;
}

static void tell_exits(struct machine *machine, struct cpu *cpu, const struct notice *notice, uint64_t count)
{
    struct explanation *e = explain_begin(machine, cpu, explain_key(notice->c, "progress.exit"));
    unsigned reason = notice->a & 0xffff;
    const struct vmcs *vmcs = cpu->vmx.current;
    const char *name = exit_reason_name((uint32_t)notice->a & 0xffff), *cure = NULL;
    char place[PLACE_MAX], symbol[SYMBOL_TEXT_MAX];

    if (!e)
        return;
    for (unsigned i = 0; i < sizeof cures / sizeof cures[0]; i++)
        if (cures[i].reason == (notice->a & 0xffff))
            cure = cures[i].cure;
    bool injected = vmcs && VMCS(vmcs, idt_vectoring_information) >> 31 & 1;
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: the same VM exit %s of the guest at %s, %" PRIu64 " times in a row%s", name ? name : "unknown", place, count,
                 comes_from_outside(reason) ? ", without an instruction of the guest between them" : injected
                 ? ": the event that VM entry injects is not delivered" : exit_words(reason));
    if (comes_from_outside(reason) && written_vmcs(machine, cpu))
        tell_outside(e, cpu, written_vmcs(machine, cpu), reason);
    else if (injected && tell_injection(e, &machine->events[cpu->index]))
        ;
    else if (written_vmcs(machine, cpu) && tell_condition(e, written_vmcs(machine, cpu), reason))
        ;
    else if (cure)
        explain_line(e, "%s", cure);
    else if (!exit_has_length(reason))
        explain_line(e, "what it comes of is still so at each VM entry");
    else
        explain_line(e, "a VM exit leaves GUEST_RIP at the instruction: whoever emulates it adds the VM-exit instruction length (%" PRIu64
                     ") before VMRESUME [28.2.5]", vmcs ? VMCS(vmcs, exit_instruction_length) : 0);
    if (vmcs && !machine_over_native(machine, cpu))
        explain_line(e, "VMCS 0x%" PRIx64 "; the exits go to HOST_RIP 0x%" PRIx64 "%s", vmcs->pa, VMCS(vmcs, host_rip),
                     symbols_text(machine->symbols, VMCS(vmcs, host_rip), symbol));
    place_registers(e, cpu);
    explain_end(e);
}

/* Did it come before anything could happen in the guest?  What the core takes for itself is not the program's: who asked for it? */
static bool at_once(const struct machine *machine, const struct cpu *cpu, unsigned reason)
{
    const struct vmcs *v = written_vmcs(machine, cpu);

    if (!v || cpu->clock > machine->progress[cpu->index].entry_clock + 1)
        return false;
    switch (reason) {
    case EXIT_REASON_external_interrupt:
        return VMCS(v, pin_based_controls) & PIN_external_interrupt_exiting;
    case EXIT_REASON_interrupt_window:
        return VMCS(v, processor_based_controls) & PROC_interrupt_window_exiting;
    case EXIT_REASON_nmi_window:
        return VMCS(v, processor_based_controls) & PROC_nmi_window_exiting;
    case EXIT_REASON_preemption_timer_expired:
        return VMCS(v, pin_based_controls) & PIN_activate_preemption_timer;
    default:
        return false;
    }
}

/* How many in a row are too many. A guest that waits in HLT may be entered again and again until its timer's interrupt comes. */
static uint64_t series(const struct machine *machine, const struct cpu *cpu, unsigned reason)
{
    return reason == EXIT_REASON_hlt && board_next_event(&machine->board, cpu) != UINT64_MAX ? PROGRESS_HALTS : PROGRESS_EXITS;
}

void progress_exited(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    struct progress *p = &machine->progress[cpu->index];
    struct repeated *r = &p->exit[notice->d / PAGE_SIZE % PROGRESS_VMCSS];
    unsigned reason = notice->a & 0xffff;

    p->exit_rip = notice->c;
    p->exit_reason = notice->a;
    p->exit_vmcs = notice->d;
    p->exit_registers = registers_of(cpu);
    if (cpu->instructions != cpu->vmx.entry_instructions) {
        r->count = 0;
        return;
    }
    if (comes_from_outside(reason)) {           /* timers do not end the series of an instruction that is never passed */
        if (!at_once(machine, cpu, reason))
            return;
        r = &p->outside[notice->d / PAGE_SIZE % PROGRESS_VMCSS];
    }
    if (repeats(r, notice->c, notice->a ^ notice->b << 16 ^ notice->d << 32, p->exit_registers) == series(machine, cpu, reason))
        tell_exits(machine, cpu, notice, r->count);
}

/* No hypervisor moves GUEST_RIP back by a few bytes, for the same exit with the same registers, time and again. */
static void look_back(struct machine *machine, struct cpu *cpu, uint64_t rip)
{
    struct progress *p = &machine->progress[cpu->index];
    struct explanation *e;
    char place[PLACE_MAX];
    const char *name = exit_reason_name((uint32_t)p->exit_reason & 0xffff);

    if (rip >= p->exit_rip || p->exit_rip - rip > INSTRUCTION_MAX)
        return;
    if (repeats(&p->moved_back, p->exit_rip, rip ^ p->exit_reason << 48, p->exit_registers) != PROGRESS_EXITS)
        return;
    e = explain_begin(machine, cpu, explain_key(p->exit_rip, "progress.moved_back"));
    if (!e)
        return;
    if (machine_over_native(machine, cpu))          /* the guest's state is not loaded yet */
        snprintf(place, sizeof place, "rip 0x%" PRIx64, rip);
    else
        place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: GUEST_RIP is moved back from 0x%" PRIx64 " to 0x%" PRIx64 " after the VM exit %s, %d times with the same registers",
                 p->exit_rip, rip, name ? name : "unknown", PROGRESS_EXITS);
    explain_line(e, "the VM-exit instruction length is added to the GUEST_RIP of the exit, not subtracted [28.2.5]; the guest goes on at %s", place);
    explain_end(e);
}

void progress_entered(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    struct progress *p = &machine->progress[cpu->index];

    p->entry_clock = cpu->clock;
    if (notice->a == p->exit_vmcs)
        look_back(machine, cpu, notice->b);
}

void progress_l1_entered(struct machine *machine, struct cpu *cpu, const struct vmcs *v)
{
    machine->progress[cpu->index].entry_clock = cpu->clock;
    if (v->written[FIELD_guest_rip] == 1 + v->exits && v->exits)
        look_back(machine, cpu, VMCS(v, guest_rip));
}

void progress_entry_failed(struct machine *machine, struct cpu *cpu)
{
    struct repeated *r = &machine->progress[cpu->index].refused_entry;
    struct explanation *e;
    char name[SYMBOL_TEXT_MAX];

    if (repeats(r, cpu->rip, 0, registers_of(cpu)) != PROGRESS_EXITS)
        return;
    e = explain_begin(machine, cpu, explain_key(cpu->rip, "progress.entry_failed"));
    if (!e)
        return;
    explain_line(e, "no progress: the same VM entry failed at rip 0x%" PRIx64 "%s, %d times in a row", cpu->rip, symbols_text(machine->symbols, cpu->rip, name),
                 PROGRESS_EXITS);
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

    /* A fault alone has its instruction executed again: behind INT n and traps, which programs may use to wait, they go on. */
    if (event->type != EVENT_HARDWARE_EXCEPTION || event->vector == VECTOR_DB)
        return;
    if (cpu->event.valid || (cpu->vmx.non_root && vmx_intercepts_event(cpu, event)))
        return;                             /* of a VM exit somebody else counts */
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
    char place[PLACE_MAX], symbol[SYMBOL_TEXT_MAX], linear[40] = "";

    if (!engine_unexplored(machine->engine, &run))
        return;
    e = explain_begin(machine, cpu, explain_key(run.first, "progress.unexplored"));
    if (!e)
        return;
    place_describe(machine, cpu, place, sizeof place);
    if (cpu_code_base(cpu))
        snprintf(linear, sizeof linear, " (linear 0x%" PRIx64 ")", cpu_code_base(cpu) + cpu->rip);
    explain_line(e, "no progress: processor %u runs through %s that was never executed before: %" PRIu64 " bytes from %s0x%" PRIx64 "%s on, now%s at %s",
                 cpu->index, run.zeros ? "zeros (00 00 is ADD [rAX], AL), memory" : "memory", run.last - run.first,
                 cpu_code_base(cpu) ? "linear " : "", run.first, symbols_text(machine->symbols, run.first, symbol), linear, place);
    if (run.jumped) {
        struct cpu then = *cpu;
        then.rip = run.origin - cpu_code_base(cpu);
        place_describe(machine, &then, place, sizeof place);
        explain_line(e, "the way there: %s", place);
    }
    begun = *cpu;
    begun.rip = run.first - cpu_code_base(cpu);
    begun.instructions = run.instructions;
    place_crossing(e, &begun, &machine->events[cpu->index], run.instructions);
    ipi_tell_start(e, cpu, run.instructions);
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

uint64_t progress_unwatched(const struct machine *machine, const struct cpu *cpu)
{
    const struct progress *p = &machine->progress[cpu->index];
    uint64_t interval = p->look_at ? p->steps_interval : STEPS_FIRST;

    return interval > p->steps + 1 ? interval - p->steps - 1 : 0;
}

void progress_executed(struct machine *machine, const struct cpu *cpu, uint64_t instructions)
{
    machine->progress[cpu->index].steps += instructions;
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
    unended_look(machine, cpu);
    loop_look(machine, cpu);
    p->look_interval = p->look_interval < LOOK_LAST ? p->look_interval * 2 : p->look_interval;
    p->steps_interval = p->steps_interval < STEPS_LAST ? p->steps_interval * 2 : p->steps_interval;
    p->look_at = cpu->instructions + p->look_interval;
}

/* ---- halts ---- */

/* It never executed HLT: the activity state is what a VM entry loads, and nothing ran since. */
static bool halted_by_entry(const struct cpu *cpu)
{
    return cpu->vmx.non_root && cpu->instructions == cpu->vmx.entry_instructions &&
           VMCS(cpu->vmx.current, guest_activity_state) == (uint64_t)cpu->activity;
}

static void tell_entry(struct explanation *e, const struct cpu *cpu)
{
    const struct vmcs *v = cpu->vmx.current;
    char writer[SNAPSHOT_WRITER_MAX];
    uint64_t vmcs12 = 0;

    if (machine_over_native(e->machine, cpu))
        v = native_current(e->machine->native, cpu, &vmcs12) ? native_vmcs12(e->machine->native, vmcs12) : NULL;
    if (v)
        vmcs_writer_text(v, false, FIELD_guest_activity_state, e->machine->symbols, writer, sizeof writer);
    explain_line(e, "VM entry put it there, with guest_activity_state = %u%s%s%s: 0 is the state in which a guest runs [25.4.2]",
                 (unsigned)cpu->activity, v ? " (" : "", v ? writer : "", v ? ")" : "");
}

static void tell_halt(struct machine *machine, struct cpu *cpu, const char *why)
{
    struct explanation *e = explain_begin(machine, cpu, explain_key(cpu->rip, "progress.halt"));
    char name[SYMBOL_TEXT_MAX];

    if (!e)
        return;
    if (halted_by_entry(cpu)) {
        explain_line(e, "processor %u (L%u) is %s at rip 0x%" PRIx64 "%s, %s", cpu->index, machine_level(machine, cpu),
                     cpu_idles(cpu) ? "halted" : "not active", cpu->rip, symbols_text(machine->symbols, cpu->rip, name), why);
        tell_entry(e, cpu);
        explain_end(e);
        return;
    }
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
    if (cpu_idles(cpu) || halted_by_entry(cpu))
        tell_halt(machine, cpu, "and nothing can wake it:");
}

/* ---- where everybody is ---- */

static void tell_series(struct explanation *e, const struct repeated *r)
{
    const char *name = exit_reason_name((uint32_t)(r->what & 0xffff));

    if (r->count > 2)
        explain_line(e, "   the same VM exit %s at guest rip 0x%" PRIx64 ", %" PRIu64 " times in a row%s", name ? name : "unknown", r->rip, r->count,
                     exit_words((unsigned)r->what & 0xffff));
}

/* A guest that its VMCS has in HLT was not woken: exits that interrupts make leave it there, and each VM entry begins with it halted (28.3.4). */
static void tell_halted_guest(struct explanation *e, struct cpu *cpu)
{
    const struct vmcs *v = host_state_vmcs(e->machine, cpu);

    if (!v || VMCS(v, guest_activity_state) != ACTIVITY_HLT || VMCS(v, processor_based_controls) & PROC_hlt_exiting || !e->machine->events[cpu->index].crossed || host_state_in_guest(e->machine, cpu))
        return;
    explain_line(e, "   the guest of VMCS 0x%" PRIx64 " is halted at rip 0x%" PRIx64 " (GUEST_ACTIVITY_STATE is 1): HLT makes no VM exit (bit 7 of the primary "
                    "processor-based controls is 0), exits that interrupts make leave it halted, and only an event that is injected, or that the guest itself "
                    "takes, wakes it [25.4.2, 27.6.2]", v->pa, VMCS(v, guest_rip));
}

static void tell_place(struct explanation *e, struct cpu *cpu)
{
    static const char *const activity[] = { "", ", halted", ", shut down", ", waits for a SIPI" };
    const struct machine *machine = e->machine;
    const struct progress *p = &machine->progress[cpu->index];
    char place[PLACE_MAX];

    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "processor %u, L%u%s: %s (%s, CPL %u, interrupts %s; %" PRIu64 " instructions, clock %" PRIu64 ")", cpu->index,
                 machine_level(machine, cpu), cpu->monitor.waiting ? ", in MWAIT" : cpu->activity <= ACTIVITY_WAIT_FOR_SIPI ? activity[cpu->activity] : "", place, mode_words(cpu), cpu_cpl(cpu),
                 cpu->rflags & RFLAGS_IF ? "on" : "off", cpu->instructions, cpu->clock);
    for (unsigned i = 0; i < PROGRESS_VMCSS; i++) {
        tell_series(e, &p->exit[i]);
        tell_series(e, &p->outside[i]);
    }
    if (p->exception.count > 2)
        explain_line(e, "   the same %s at rip 0x%" PRIx64 ", %" PRIu64 " times in a row with the same registers",
                     exception_mnemonic(p->exception.what & 0xff) ? exception_mnemonic(p->exception.what & 0xff) : "event", p->exception.rip,
                     p->exception.count);
    tell_halted_guest(e, cpu);
    loop_tell(e, cpu);
    if (cpu_idles(cpu))
        interrupts_tell(e, cpu);
    if (cpu_runs(cpu))
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
