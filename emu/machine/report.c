/* SPDX-License-Identifier: MIT */
/* What the machine tells people and the trace: notices, broken rules, warnings, why it stopped. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "emu/explain/ept_walk.h"
#include "emu/explain/exchanged.h"
#include "emu/explain/exit_information.h"
#include "emu/explain/first_entry.h"
#include "emu/explain/host_tables.h"
#include "emu/explain/loaded_state.h"
#include "emu/explain/nowhere.h"
#include "emu/explain/passed_interrupt.h"
#include "emu/explain/place.h"
#include "emu/explain/real_mode.h"
#include "emu/explain/refusal.h"
#include "emu/explain/remapping.h"
#include "emu/explain/selector.h"
#include "emu/explain/shutdown.h"
#include "emu/explain/region.h"
#include "emu/explain/registers.h"
#include "emu/explain/stale.h"
#include "emu/machine/parts.h"
#include "model/vmx/check.h"
#include "model/vmx/vmx.h"

enum { VIDEO_FIRST = 0xa0000, VIDEO_END = 0xc0000, STACK_NEAR = 4096 };

/* The rules by number, with the place of the SDM (Vol. 3) that they rest on. */
static const struct {
    const char *text, *section;
} rules[] = {
    [RULE_OWNED_ADDRESS] = { "hardware-visible addresses belong to L0 or to the VMCS's owner", "25.6" },
    [RULE_ACTIVE_VMCS] = { "nobody writes the region of an active VMCS, and none is active on two processors", "25.11.1" },
    [RULE_ORDINARY_ENTRY] = { "VM entry with the shadow indicator clear and a sane link pointer", "25.10, 27.3.1.5" },
    [RULE_ISOLATION] = { "no translation exceeds the ownership map", "29.4.3" },
    [RULE_HOST_STATE] = { "the host-state area is what L0 registered", "28.5" },
    [RULE_PINNED] = { "pinned control-register bits and MSRs hold", "24.8" },
    [RULE_FAITHFUL] = { "what L1 reads in its VMCS is what the SDM says", "25.10" },
    [RULE_READ_ONCE] = { "L0 reads each datum of L1 once", "25.11.4" },
    [RULE_NAMED_FAILURE] = { "every failed entry names its check, no exit is skipped", "27.2, 27.3" },
    [RULE_RETURNED] = { "resources return to zero after VMXOFF", "31.3" },
};

void machine_stop(struct machine *machine, enum machine_end end, const char *format, ...)
{
    va_list arguments;

    if (machine->result.end != MACHINE_RUNNING)
        return;
    machine->result.end = end;
    va_start(arguments, format);
    vsnprintf(machine->result.message, sizeof machine->result.message, format, arguments);
    va_end(arguments);
    if (machine->engine)
        engine_interrupt(machine->engine);
}

bool machine_stopped(const struct machine *machine, struct machine_result *result)
{
    if (result)
        *result = machine->result;
    return machine->result.end != MACHINE_RUNNING;
}

void machine_observe(struct machine *machine, void (*notify)(void *context, const struct notice *notice), void *context)
{
    machine->observe = notify;
    machine->observe_context = context;
}

void machine_warn(struct machine *machine, const char *text)
{
    if (explain_new(machine, explain_key(0, text)))
        fprintf(machine->options.messages, "%s%s\n", machine->options.message_prefix, text);
}

/* Is there an explanation that begins with the rule?  Not for those who want none. */
static bool has_explanation(const struct machine *machine, const struct notice *notice)
{
    return (notice->stale || notice->a == RULE_ACTIVE_VMCS) && !machine->options.strict && machine->options.explain != EXPLAIN_NONE;
}

static void rule_broken(struct machine *machine, const struct notice *notice)
{
    char text[MACHINE_MESSAGE_MAX];
    uint64_t rule = notice->a < sizeof rules / sizeof rules[0] ? notice->a : 0;

    snprintf(text, sizeof text, "rule R%" PRIu64 " broken (%s; SDM Vol. 3, %s): %s (0x%" PRIx64 " 0x%" PRIx64 ")", notice->a,
             rule ? rules[rule].text : "unknown", rule ? rules[rule].section : "-", notice->text ? notice->text : "",
             notice->b, notice->c);
    if (machine->options.strict)
        machine_stop(machine, MACHINE_RULE, "%s", text);
    else
        machine_warn(machine, text);
}

static void tell_failure(struct machine *machine)
{
    const struct entry_failure *failure = &machine->failure;
    uint64_t key = entry_failure_hash(failure);
    bool told = explain_first(machine, key);
    if (!told && !(machine->options.explain == EXPLAIN_NONE && machine->options.dump && explain_new(machine, key)))
        return;
    if (told && (failure->rows || failure->late)) {       /* refused before that: emu/explain/refusal.c has told */
        fputs(machine->options.message_prefix, machine->options.messages);
        entry_failure_print(failure, machine->symbols, machine->options.messages, machine->options.message_indent);
    }
    if (machine->options.dump)
        entry_failure_dump(failure, machine->symbols, machine->options.dump);
}

/* What L0 entered vmcs02 with was L1's, and L1 will be told in its own terms (NOTICE_L1_ENTRY_FAILED). */
static bool is_of_l1(const struct machine *machine, const struct notice *notice)
{
    uint64_t vmcs12;

    return machine_over_native(machine, notice->cpu) && native_current(machine->native, notice->cpu, &vmcs12) == 2;
}

static void entry_failed(struct machine *machine, const struct notice *notice)
{
    entry_failure_complete(&machine->failure, notice, machine_over_native(machine, notice->cpu));
    if (!is_of_l1(machine, notice))
        tell_failure(machine);
}

/* Exits are told by the level that ran, the rest by the one that runs. */
static unsigned notice_level(const struct machine *machine, const struct notice *notice)
{
    if (notice->kind == NOTICE_EXIT && !machine_over_native(machine, notice->cpu))
        return machine->options.root_level + 1;
    return machine_level(machine, notice->cpu);
}

/* A native L0 makes a hundred VMREADs and VMWRITEs an exit: they would hide what a trace is read for. */
static bool is_routine(const struct machine *machine, const struct notice *notice)
{
    return machine_over_native(machine, notice->cpu) && !machine->options.full_trace && notice->kind == NOTICE_VMX_INSTRUCTION &&
           notice->d == VMX_SUCCEED && (notice->a == INSN_vmread || notice->a == INSN_vmwrite) &&
           !notice->cpu->vmx.non_root;
}

/* No sound stack is in video memory, or so little below its end. */
static bool stack_in_video(struct cpu *cpu, uint64_t written, uint64_t rsp)
{
    uint64_t linear = cpu_64bit(cpu) ? rsp : cpu->seg[SEG_SS].base + (uint32_t)rsp;
    struct translation t = translate(cpu, linear - 1, (struct access){ .kind = ACCESS_READ, .probe = true });

    return t.result == TRANSLATION_OK && t.pa >= VIDEO_FIRST && t.pa < VIDEO_END + STACK_NEAR &&
           written < t.pa + STACK_NEAR && t.pa < written + STACK_NEAR;
}

static void display_explain(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    struct explanation *e = explain_begin(machine, cpu, explain_key(0, "display"));
    char name[SYMBOL_TEXT_MAX];

    if (!e)
        return;
    if (stack_in_video(cpu, notice->a, notice->c)) {
        explain_line(e, "the stack (RSP 0x%" PRIx64 ") has run down into video memory, which keeps nothing: stack overflow; 0x%" PRIx64
                     " was written by the code at 0x%" PRIx64 "%s", notice->c, notice->a, notice->b, symbols_text(machine->symbols, notice->b, name));
        explain_end(e);
        return;
    }
    explain_line(e, "the machine has no display: what is written to 0x%" PRIx64 " (VGA memory) by the code at 0x%" PRIx64 "%s is lost", notice->a,
                 notice->b, symbols_text(machine->symbols, notice->b, name));
    explain_line(e, "text for people goes to COM1, port 0x3f8, or byte by byte to port 0xe9");
    explain_end(e);
}

static void goes_on(struct machine *machine, const struct cpu *cpu, bool native)
{
    const struct vmcs *v = cpu->vmx.current;
    uint64_t vmcs12 = 0;

    if (native)
        v = native_current(machine->native, cpu, &vmcs12) == 2 ? native_vmcs12(machine->native, vmcs12) : NULL;
    if (v)
        reentry_goes_on(machine, cpu, v);
}

/* What a VM entry of the core's injects belongs to its guest, whose level is counted only from its first instruction on. */
static unsigned event_level(const struct machine *machine, const struct cpu *cpu, unsigned level)
{
    uint64_t vmcs12;

    return machine_over_native(machine, cpu) && cpu->vmx.non_root ? native_current(machine->native, cpu, &vmcs12) : level;
}

/* For explanations: what the processor met, as the program on the machine sees it. What the core does with exits of L1 is its own. */
static void watch(struct machine *machine, const struct notice *notice, unsigned level)
{
    struct cpu *cpu = &machine->model->cpu[notice->cpu->index];
    bool native = machine_over_native(machine, cpu);

    switch (notice->kind) {
    case NOTICE_EXIT:
        if ((notice->a & 0xffff) == EXIT_REASON_triple_fault)
            triple_fault_explain(machine, cpu, native && level == 1 ? SHUTDOWN_OVER_CORE : SHUTDOWN_GUEST);
        if (!native || level > 1)
            events_note(&machine->events[cpu->index], notice, level, native);
        if (!native || level > 1) {
            progress_exited(machine, cpu, notice);
            ept_exited(machine, cpu, notice);
            reentry_exited(machine, cpu, notice);
        }
        if (notice->a == EXIT_REASON_external_interrupt && (!native || level > 1) && VMCS(cpu->vmx.current, exit_interruption_information) & INTERRUPTION_VALID)
            unended_taken(machine, cpu, INTERRUPTION_VECTOR(VMCS(cpu->vmx.current, exit_interruption_information)), true);
        break;
    case NOTICE_SHUTDOWN:
        if (notice->a)
            abort_explain(machine, cpu, notice->a, cpu->vmx.current ? cpu->vmx.current->pa : 0);
        else
            triple_fault_explain(machine, cpu, SHUTDOWN_PROCESSOR);
        break;
    case NOTICE_ABORTED:
        abort_explain(machine, cpu, notice->a, notice->b);
        break;
    case NOTICE_ENTRY:
    case NOTICE_ENTRY_FAILED:
        ept_entered(machine, cpu);
        if (!native)
            events_note(&machine->events[cpu->index], notice, level, native);
        if (notice->kind == NOTICE_ENTRY && !native)
            progress_entered(machine, cpu, notice);
        if (notice->kind == NOTICE_ENTRY && !native)
            machine->root[cpu->index] = cpu->vmx.entered_from;
        if (notice->kind == NOTICE_ENTRY && notice->c && !native)
            first_entry_explain(machine, cpu, cpu->vmx.current);
        if (notice->kind == NOTICE_ENTRY && !native) {
            host_state_entered(machine, cpu, cpu->vmx.current, false);
            reentry_entered(machine, cpu, cpu->vmx.current);
        }
        if (notice->kind == NOTICE_ENTRY && native)
            startup_by_core(machine, cpu);
        if (notice->kind == NOTICE_ENTRY)
            goes_on(machine, cpu, native);
        if (notice->kind == NOTICE_ENTRY_FAILED && !native)
            progress_entry_failed(machine, cpu);
        break;
    case NOTICE_DISPLAY:
        display_explain(machine, cpu, notice);
        break;
    case NOTICE_INVALIDATE:
        if (notice->a == INSN_mov_to_cr)
            host_tables_cr3_loaded(machine, cpu, notice->c);
        break;
    case NOTICE_REFLECTED:
        ept_reflected(machine, cpu, notice);
        reentry_reflected(machine, cpu);
        break;
    case NOTICE_RAISED:
        progress_raised(machine, cpu, notice);
        loaded_state_explain(machine, cpu, notice->event);
        host_tables_explain_fault(machine, cpu, notice->event);
        if (machine->free_running)
            selector_explain(machine, cpu, notice->event);
        landing_explain(machine, cpu, notice->event);
        /* fall through */
    case NOTICE_INJECT:
        if (notice->kind == NOTICE_INJECT && machine->free_running)     /* a script's vectors lead nowhere */
            real_mode_explain(machine, cpu, (uint8_t)notice->a);
        if (notice->kind == NOTICE_INJECT && notice->b == EVENT_EXTERNAL_INTERRUPT)
            unended_taken(machine, cpu, (uint8_t)notice->a, false);
        if (notice->kind == NOTICE_INJECT && (notice->b == EVENT_EXTERNAL_INTERRUPT || notice->b == EVENT_NMI) && machine->free_running)
            passed_interrupt_explain(machine, cpu, notice);
        events_note(&machine->events[cpu->index], notice, event_level(machine, cpu, level), native);
        break;
    default:
        break;
    }
}

/* What becomes of the others is told by other notices. */
static bool is_told(enum notice_kind kind)
{
    return kind != NOTICE_RAISED && kind != NOTICE_REFLECTED && kind != NOTICE_ABORTED && kind != NOTICE_DISPLAY;
}

static void l1_wrote(struct machine *machine, const struct notice *notice)
{
    const struct vmcs *v = notice->cpu->vmx.non_root ? NULL : notice->cpu->vmx.current;
    struct cpu view;
    uint64_t caller = 0;

    if (v && VMCS(v, guest_rip) == notice->c)
        caller = caller_again(&machine->callers, &machine->model->memory, notice->c, VMCS(v, guest_rsp), VMCS(v, guest_cr3));
    if (!caller && !caller_plain(&machine->callers, notice->c)) {
        view = native_l1_view(machine->native, notice->cpu);
        caller = view.rip == notice->c ? caller_find(&machine->callers, &view) : 0;
    }
    native_note_caller(machine->native, notice->a, notice->b, caller);
}

static void notify(void *context, const struct notice *notice)
{
    struct machine *machine = context;

    if (is_routine(machine, notice))
        return;
    if (notice->kind == NOTICE_SHADOW_WRITE) {
        if (machine_over_native(machine, notice->cpu))
            native_shadow_write(machine->native, notice->cpu, notice->a, notice->b);
        return;
    }
    if (notice->kind == NOTICE_L1_ENTRY_FAILED) {
        struct cpu view = native_l1_view(machine->native, &machine->model->cpu[notice->cpu->index]);

        entry_failure_of_l1(&machine->failure, notice);
        tell_failure(machine);
        progress_entry_failed(machine, &view);
        return;
    }
    if (notice->kind == NOTICE_L1_WRITE) {
        l1_wrote(machine, notice);
        return;
    }
    if (notice->kind == NOTICE_L1_ENTRY) {
        if (machine->registers && notice->c)
            register_check_notice(machine->registers, machine, notice);
        machine->root[notice->cpu->index] = *native_l1_root(machine->native, notice->cpu);
        if (notice->c && !notice->d)
            first_entry_explain(machine, notice->cpu, notice->vmcs);
        host_state_entered(machine, notice->cpu, notice->vmcs, notice->d);
        reentry_entered(machine, notice->cpu, notice->vmcs);
        progress_l1_entered(machine, &machine->model->cpu[notice->cpu->index], notice->vmcs);
        return;
    }
    if (notice->kind == NOTICE_REFUSED) {
        refusal_explain(machine, notice);
        return;
    }
    if (notice->kind == NOTICE_VMX_INSTRUCTION && notice->a == INSN_vmwrite && notice->d == VMX_SUCCEED &&
        !machine_over_native(machine, notice->cpu))
        caller_note(&machine->callers, &machine->model->cpu[notice->cpu->index], (uint32_t)notice->b);
    if (machine->options.explain == EXPLAIN_ALL && notice->kind == NOTICE_VMX_INSTRUCTION && notice->a == INSN_vmread && notice->d == VMX_SUCCEED &&
        !machine_over_native(machine, notice->cpu))
        exit_information_read(machine, notice);
    if (notice->kind == NOTICE_VMX_INSTRUCTION && !notice->b && notice->a == INSN_vmread && notice->d == VMX_SUCCEED && machine->free_running &&
        !machine_over_native(machine, notice->cpu))
        exchanged_vmread(machine, notice->cpu);
    unsigned level = notice_level(machine, notice);
    if (is_told(notice->kind))
        trace_notice(&machine->trace, level, notice);
    if (notice->kind != NOTICE_VMX_INSTRUCTION)
        watch(machine, notice, level);
    if (notice->kind == NOTICE_VIOLATION && !has_explanation(machine, notice))
        rule_broken(machine, notice);
    if (notice->stale)
        explain_stale(machine, notice);
    else if ((notice->kind == NOTICE_VIOLATION || notice->kind == NOTICE_MISTAKE) && notice->a == RULE_ACTIVE_VMCS)
        explain_region(machine, notice);
    if (notice->kind == NOTICE_CHECK_FAILED)
        entry_failure_row(&machine->failure, notice->check);
    if (notice->kind == NOTICE_ENTRY_FAILED)
        entry_failed(machine, notice);
    if (machine->registers)
        register_check_notice(machine->registers, machine, notice);
    if (machine->exits)
        exit_counts_notice(machine->exits, notice, machine_over_native(machine, notice->cpu) ? level : 0);
    if (machine->observe)
        machine->observe(machine->observe_context, notice);
}

static void kick(void *context)
{
    struct machine *machine = context;

    if (machine->engine)
        engine_interrupt(machine->engine);
}

static void warn(void *context, const char *text)
{
    machine_warn(context, text);
}

static void nowhere(void *context, const struct cpu *cpu, uint64_t pa, bool write)
{
    nowhere_explain(context, cpu, pa, write);
}

static void remapping(void *context, const struct iommu_notice *notice)
{
    remapping_explain(context, notice);
}

void machine_install(struct machine *machine)
{
    machine->model->observer = (struct observer){ machine, notify };
    machine->board.context = machine;
    machine->board.kick = kick;
    machine->board.warn = warn;
    machine->board.nowhere = nowhere;
    machine->board.remapping = remapping;
    machine->board.ipi = (struct ipi_observer){ machine, ipi_sent };
}
