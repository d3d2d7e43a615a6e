/* SPDX-License-Identifier: MIT */
/* Triple faults and VMX aborts. */
#include "emu/explain/shutdown.h"

#include <inttypes.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/events.h"
#include "emu/explain/fault.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/msr_area.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/cpu/execute.h"
#include "model/vmx/vmx.h"

/* How far back a handler may have begun to be named. */
enum { NEAR = 64, STORY_LINES = 6 };
enum { LANDING = 40, ASTRAY = 100000 };         /* instructions of an exit path; of code that an exit should not have come to */

/* "... could not be delivered: why; what that became" */
static void tell_failure(struct explanation *e, const struct events *events, uint64_t number)
{
    const struct happening *h = events_at(events, number), *then = events_at(events, number + 1);
    char during[24], why[WORDS_MAX * 2], what[WORDS_MAX];

    event_word(during, sizeof during, &h->during);
    delivery_words(why, sizeof why, &h->failure);
    event_words(what, sizeof what, &h->event);
    explain_line(e, "%s could not be delivered: %s", during, why);
    if (!then || then->kind == NOTICE_EXIT)
        explain_line(e, "   that raised %s, and a fault while #DF is delivered is a triple fault [6.15]", what);
    else if (then->kind == NOTICE_INJECT && then->event.vector == VECTOR_DF && h->event.vector != VECTOR_DF)
        explain_line(e, "   that raised %s, and both together are a double fault, #DF [6.15]", what);
    else
        explain_line(e, "   that raised %s", what);
}

/* A handler that cannot even begin. */
static void tell_handler_fault(struct explanation *e, struct cpu *cpu, const struct happening *h, const struct code_bytes *code)
{
    char what[WORDS_MAX], place[PLACE_MAX];

    event_words(what, sizeof what, &h->event);
    place_of_code(e->machine, cpu, h->rip, code, place, sizeof place);
    explain_line(e, "its handler was reached, and the first instruction there raised %s at %s", what, place);
    fault_tell_iret(e, cpu, place, false);
}

static void tell_story(struct explanation *e, struct cpu *cpu, const struct events *events)
{
    uint64_t from = events->story, lines = 0;

    for (uint64_t i = events->count; i-- > events->story && lines < STORY_LINES;) {
        const struct happening *h = events_at(events, i);
        if (!h)
            break;
        lines += h->kind == NOTICE_RAISED;
        from = i;
    }
    if (from > events->story + 1) {
        if (!events->second.during.valid && events->second.kind == NOTICE_RAISED)
            tell_handler_fault(e, cpu, &events->second, &events->second_code);
        explain_line(e, "it went on like that through %" PRIu64 " more events without an instruction in between", from - events->story);
    }
    for (uint64_t i = from; i < events->count; i++) {
        const struct happening *h = events_at(events, i);
        if (h->kind == NOTICE_RAISED && h->during.valid)
            tell_failure(e, events, i);
        else if (h->kind == NOTICE_RAISED && i > events->story && from <= events->story + 1)
            tell_handler_fault(e, cpu, h, i == events->story + 1 ? &events->second_code : NULL);
    }
}

/* The latest delivery before the story, if it is near: the story then took place in a handler. */
static void tell_handler(struct explanation *e, const struct events *events)
{
    for (uint64_t i = events->story; i-- > 0;) {
        const struct happening *h = events_at(events, i);
        char words[HAPPENING_MAX];

        if (!h || events->first.instructions - h->instructions > NEAR)
            return;
        if (h->kind != NOTICE_RAISED && h->kind != NOTICE_INJECT)
            return;
        happening_words(words, sizeof words, h, e->machine->symbols);
        explain_line(e, "that was %" PRIu64 " instructions after %s", events->first.instructions - h->instructions, words);
        return;
    }
}

static unsigned guest_level(const struct machine *machine, const struct cpu *cpu)
{
    return machine_over_native(machine, cpu) ? machine_level(machine, cpu) : machine->options.root_level + 1;
}

static const char *whose_words(const struct machine *machine, const struct cpu *cpu, enum shutdown_whose whose, char *to, size_t size)
{
    char vmcs[40] = "";

    if (cpu->vmx.current && !machine_over_native(machine, cpu))
        snprintf(vmcs, sizeof vmcs, " of VMCS 0x%" PRIx64, cpu->vmx.current->pa);
    switch (whose) {
    case SHUTDOWN_PROCESSOR:
        snprintf(to, size, "processor %u shut down", cpu->index);
        break;
    case SHUTDOWN_OVER_CORE:
        snprintf(to, size, "processor %u shut down, as seen by L1", cpu->index);
        break;
    case SHUTDOWN_GUEST:
        snprintf(to, size, "processor %u: the guest%s (L%u) would shut down, which is VM exit 2", cpu->index, vmcs,
                 guest_level(machine, cpu));
        break;
    }
    return to;
}

/* One line; the reason only if it is not cut. */
static void summarize(char to[MACHINE_MESSAGE_MAX], const char *who, const char *what, const char *place, const char *why)
{
    size_t used = (size_t)snprintf(to, MACHINE_MESSAGE_MAX, "%.80s (triple fault): %.120s at %.120s", who, what, place);

    if (*why && used + 2 + strlen(why) < MACHINE_MESSAGE_MAX) {
        memcpy(to + used, "; ", 2);
        strcpy(to + used + 2, why);
    }
}

/* Did VM entry begin it?  Over the core, L1's: the core injects again what it has interrupted itself. */
static bool was_injected(const struct machine *machine, const struct cpu *cpu, const struct events *events)
{
    const struct vmcs *v;
    uint64_t vmcs12 = 0, information;

    if (events->first.kind != NOTICE_INJECT || events->first.event.type == EVENT_EXTERNAL_INTERRUPT)
        return false;
    if (!machine_over_native(machine, cpu))
        return events->crossing.kind == NOTICE_ENTRY && events->crossing.instructions == events->first.instructions;
    v = native_current(machine->native, cpu, &vmcs12) == 2 ? native_vmcs12(machine->native, vmcs12) : NULL;
    information = v && v->written[FIELD_entry_interruption_information] == 1 + v->exits ? VMCS(v, entry_interruption_information) : 0;
    return information & INTERRUPTION_VALID && INTERRUPTION_VECTOR(information) == events->first.event.vector;
}

/* An image that was to have a header, and began in another mode than it expects. */
static void tell_start(struct explanation *e, const struct cpu *cpu, uint64_t instructions)
{
    enum { BEGINNING = 200 };

    if (e->machine->plain_start && cpu->index == 0 && instructions < BEGINNING && !e->machine->events[0].crossed)
        explain_line(e, "the image has no multiboot header (0x1badb002 in its first 8 KB) and no PVH note: it was started as a plain ELF file, %" PRIu64
                     " instructions ago, a 64-bit one in 64-bit mode with paging on, a 32-bit one in 32-bit mode without (docs/machine.md)", instructions);
}

void triple_fault_explain(struct machine *machine, struct cpu *cpu, enum shutdown_whose whose)
{
    const struct events *events = &machine->events[cpu->index];
    char who[160], what[WORDS_MAX], place[PLACE_MAX], why[WORDS_MAX * 2] = "", source[WORDS_MAX];
    const struct happening *failed = NULL;

    explain_release(machine, cpu);
    whose_words(machine, cpu, whose, who, sizeof who);
    if (events->story >= events->count) {       /* nothing was raised: cannot be */
        snprintf(machine->shutdown[cpu->index], MACHINE_MESSAGE_MAX, "%s (triple fault)", who);
        return;
    }
    event_words(what, sizeof what, &events->first.event);
    place_of_code(machine, cpu, events->first.rip, &events->first_code, place, sizeof place);
    for (uint64_t i = events->story; i < events->count && !failed; i++) {
        failed = events_at(events, i);
        if (failed && !failed->during.valid)
            failed = NULL;
    }
    if (failed)
        sentence_fill(why, sizeof why, failed->failure.reason->sentence, failed->failure.value);
    summarize(machine->shutdown[cpu->index], who, what, place, why);

    struct explanation *e = explain_begin(machine, cpu, explain_key(events->first.rip, "shutdown.triple_fault"));
    if (!e)
        return;
    bool injected = was_injected(machine, cpu, events);
    explain_line(e, "%s: triple fault. It began with %s%s at %s", who, what, injected ? ", injected by VM entry," : "", place);
    fault_tell(e, cpu, &events->first.event, place, &events->first_code, events->count == events->story + 1 || events->second.during.valid);
    if (events->first.event.type == EVENT_EXTERNAL_INTERRUPT && interrupt_source(machine, cpu, events->first.event.vector, source, sizeof source))
        explain_line(e, "vector %02XH is %s: mask it, or load an IDT with a handler for it, before interrupts are enabled (STI)",
                     events->first.event.vector, source);
    tell_start(e, cpu, events->first.instructions);
    tell_story(e, cpu, events);
    place_crossing(e, cpu, events, events->first.instructions);
    ipi_tell_start(e, cpu, events->first.instructions);
    tell_handler(e, events);
    place_registers(e, cpu);
    place_calls(e, cpu);
    events_tell(e, events);
    explain_end(e);
}

void abort_explain(struct machine *machine, struct cpu *cpu, uint64_t indicator, uint64_t vmcs_pa)
{
    const struct events *events = &machine->events[cpu->index];
    const struct vmcs *vmcs = cpu->vmx.current && cpu->vmx.current->pa == vmcs_pa ? cpu->vmx.current :
                              machine->native ? native_vmcs12(machine->native, vmcs_pa) : NULL;
    struct cpu host = machine_over_native(machine, cpu) ? native_l1_host(machine->native, cpu) : *cpu;
    char msr[MSR_AREA_TEXT_MAX] = "";
    const struct happening *exit = &events->crossing;
    const char *reason = exit_reason_name((uint32_t)exit->reason & 0xffff);

    snprintf(machine->shutdown[cpu->index], MACHINE_MESSAGE_MAX, "processor %u shut down (VMX abort %" PRIu64 "): %s", cpu->index, indicator,
             abort_words(indicator));
    struct explanation *e = explain_begin(machine, cpu, explain_key(exit->rip, "shutdown.abort"));
    if (!e)
        return;
    explain_line(e, "processor %u shut down: VMX abort %" PRIu64 " in VMCS 0x%" PRIx64 ": %s [28.7]", cpu->index, indicator,
                 vmcs_pa, abort_words(indicator));
    if (exit->kind == NOTICE_EXIT)
        explain_line(e, "it came with the VM exit %s at guest rip 0x%" PRIx64, reason ? reason : "unknown", exit->rip);
    else
        explain_line(e, "it came while a failed VM entry loaded the host state");
    if (vmcs) {
        explain_line(e, "VM-exit MSR-store area 0x%" PRIx64 " (%" PRIu64 " entries), MSR-load area 0x%" PRIx64 " (%" PRIu64 " entries)",
                     VMCS(vmcs, exit_msr_store_address), VMCS(vmcs, exit_msr_store_count), VMCS(vmcs, exit_msr_load_address),
                     VMCS(vmcs, exit_msr_load_count));
        if (indicator == ABORT_SAVING_MSRS || indicator == ABORT_LOADING_MSRS)
            msr_area_text(&host, vmcs, indicator == ABORT_SAVING_MSRS ? MSR_LIST_EXIT_STORE : MSR_LIST_EXIT_LOAD, 0, msr);
        if (msr[0])
            explain_line(e, "%s", msr);
        explain_line(e, "HOST_CR0 0x%" PRIx64 ", HOST_CR3 0x%" PRIx64 ", HOST_CR4 0x%" PRIx64 ", HOST_RIP 0x%" PRIx64, VMCS(vmcs, host_cr0),
                     VMCS(vmcs, host_cr3), VMCS(vmcs, host_cr4), VMCS(vmcs, host_rip));
    }
    events_tell(e, events);
    explain_end(e);
}

void shutdown_words(const struct machine *machine, const struct cpu *cpu, char *to, size_t size)
{
    const char *why = machine->shutdown[cpu->index];

    if (why[0])
        snprintf(to, size, "%s", why);
    else if (cpu->vmx.non_root && machine_over_native(machine, cpu))
        snprintf(to, size, "processor %u: VM entry has put the guest into the shutdown state (GUEST_ACTIVITY_STATE), which only an NMI or INIT ends", cpu->index);
    else if (cpu->vmx.non_root && cpu->vmx.current)
        snprintf(to, size, "processor %u: VM entry has put the guest of VMCS 0x%" PRIx64 " into the shutdown state (GUEST_ACTIVITY_STATE is 2), which only an NMI "
                 "or INIT ends", cpu->index, cpu->vmx.current->pa);
    else
        snprintf(to, size, "processor %u is in the shutdown state", cpu->index);
}

/* HOST_RIP is a few bytes behind a symbol: an exit lands in the midst of an instruction, perhaps, and goes astray for a while before it faults. */
static const struct vmcs *lands_beside(struct machine *machine, const struct cpu *cpu)
{
    enum { FEW_BYTES = 15 };
    const struct vmcs *v = host_state_vmcs(machine, cpu);
    uint64_t offset = v ? symbols_offset(machine->symbols, VMCS(v, host_rip)) : 0;

    return offset && offset <= FEW_BYTES ? v : NULL;
}

static void tell_beside(struct explanation *e, const struct vmcs *v)
{
    char name[SYMBOL_TEXT_MAX], writer[SNAPSHOT_WRITER_MAX];

    vmcs_writer_text(v, false, FIELD_host_rip, e->machine->symbols, writer, sizeof writer);
    explain_line(e, "the exit went to HOST_RIP 0x%" PRIx64 "%s (%s), which is not where that begins", VMCS(v, host_rip),
                 symbols_text(e->machine->symbols, VMCS(v, host_rip), name), writer);
}

void landing_explain(struct machine *machine, struct cpu *cpu, const struct event *event)
{
    const struct events *events = &machine->events[cpu->index];
    bool in_guest = machine_over_native(machine, cpu) ? machine_level(machine, cpu) > 1 : cpu->vmx.non_root;
    uint64_t since = cpu->instructions - events->crossing.instructions;
    const struct vmcs *beside;
    uint64_t soon;
    struct explanation *e;
    char what[WORDS_MAX], place[PLACE_MAX];

    if (!events->crossed || events->crossing.kind != NOTICE_EXIT || in_guest || cpu->event.valid || event->type != EVENT_HARDWARE_EXCEPTION ||
        event->vector == VECTOR_DB || event->vector == VECTOR_BP)
        return;
    beside = machine->free_running ? lands_beside(machine, cpu) : NULL;
    soon = beside ? ASTRAY : machine->free_running ? LANDING : 0;
    if ((since > soon || events->count != events->crossed) && !host_state_blamed(machine, cpu, event))
        return;
    e = explain_begin(machine, cpu, explain_key(cpu->rip, "landing"));
    if (!e)
        return;
    event_words(what, sizeof what, event);
    place_describe(machine, cpu, place, sizeof place);
    if (since)
        explain_line(e, "%" PRIu64 " instructions after a VM exit, %s at %s", since, what, place);
    else
        explain_line(e, "the first instruction after a VM exit raised %s at %s", what, place);
    if (beside)
        tell_beside(e, beside);
    fault_tell(e, cpu, event, place, NULL, true);
    place_crossing(e, cpu, events, cpu->instructions);
    explain_end(e);
}
