/* SPDX-License-Identifier: MIT */
/* Exceptions that come of fields that were never written: SDM Vol. 3, 27.3.2, 28.5. */
#include "emu/explain/loaded_state.h"

#include <inttypes.h>
#include <string.h>

#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

/* How many events after the VM exit or entry are looked at. */
enum { STACK_NEAR = 4096, SINCE_MAX = 16 };

/* The VMCS that the latest VM exit or entry has loaded from; over the core no entries are noted. */
static const struct vmcs *vmcs_of(const struct machine *machine, const struct cpu *cpu, const struct events *events)
{
    const struct vmcs *v = cpu->vmx.current;
    uint64_t vmcs12;

    if (!machine_over_native(machine, cpu))
        return v && v->pa == events->crossing.vmcs ? v : NULL;
    return native_current(machine->native, cpu, &vmcs12) && vmcs12 != ~0ull ? native_vmcs12(machine->native, vmcs12) : NULL;
}

const struct vmcs *loaded_from_unwritten(const struct machine *machine, const struct cpu *cpu, enum vmcs_field host, enum vmcs_field guest,
                                         enum vmcs_field *field)
{
    const struct events *events = &machine->events[cpu->index];
    bool native = machine_over_native(machine, cpu), in_guest = native ? machine_level(machine, cpu) > 1 : cpu->vmx.non_root;
    const struct vmcs *v = events->crossed || (native && in_guest) ? vmcs_of(machine, cpu, events) : NULL;

    *field = in_guest ? guest : host;
    if (!v || *field == VMCS_FIELD_COUNT || v->written[*field] || v->field[*field])
        return NULL;
    if (in_guest)           /* a VM exit would have saved what the guest has made of it */
        return v->exits || (!native && events->crossing.kind != NOTICE_ENTRY) ? NULL : v;
    return events->crossing.kind == NOTICE_EXIT ? v : NULL;
}

/* ---- which state an exception comes of ---- */

/* What is asked about an exception. */
struct question {
    const struct cpu *cpu;
    const struct event *event;
    const char *place;              /* with the instruction */
};

static bool by_stack(const struct question *q)
{
    uint64_t rsp = q->cpu->gpr[RSP];

    return (q->event->vector == VECTOR_PF || q->event->vector == VECTOR_SS) && (rsp < STACK_NEAR || rsp + STACK_NEAR < STACK_NEAR) &&
           (q->event->vector == VECTOR_SS || q->event->address + 2 * STACK_NEAR < 3 * STACK_NEAR);
}

static bool by_fs(const struct question *q)
{
    return q->event->vector != VECTOR_UD && !q->cpu->seg[SEG_FS].base && strstr(q->place, "fs:");
}

static bool by_gs(const struct question *q)
{
    return q->event->vector != VECTOR_UD && !q->cpu->seg[SEG_GS].base && strstr(q->place, "gs:");
}

static bool by_cr3(const struct question *q)
{
    return q->event->vector == VECTOR_PF && !q->cpu->cr3;
}

static bool by_rip(const struct question *q)
{
    return !q->cpu->rip;
}

/* A null selector: 64-bit mode has no use for DS and ES. */
static bool by_ds(const struct question *q)
{
    return q->event->vector == VECTOR_GP && !cpu_64bit(q->cpu) && q->cpu->seg[SEG_DS].access_rights & AR_UNUSABLE &&
           strstr(q->place, "ptr [");
}

static bool by_es(const struct question *q)
{
    return q->event->vector == VECTOR_GP && !cpu_64bit(q->cpu) && q->cpu->seg[SEG_ES].access_rights & AR_UNUSABLE && strstr(q->place, "es:[");
}

static bool by_sysenter(const struct question *q)
{
    return q->event->vector == VECTOR_GP && strstr(q->place, ": sysenter");
}

static const struct {
    bool (*comes_of)(const struct question *question);
    enum vmcs_field host, guest;
    const char *what;
} states[] = {
    { by_stack, FIELD_host_rsp, FIELD_guest_rsp, "RSP" },
    { by_fs, FIELD_host_fs_base, FIELD_guest_fs_base, "the base of FS" },
    { by_gs, FIELD_host_gs_base, FIELD_guest_gs_base, "the base of GS" },
    { by_cr3, FIELD_host_cr3, FIELD_guest_cr3, "CR3" },
    { by_rip, FIELD_host_rip, FIELD_guest_rip, "RIP" },
    { by_ds, FIELD_host_ds_selector, VMCS_FIELD_COUNT, "DS" },
    { by_es, FIELD_host_es_selector, VMCS_FIELD_COUNT, "ES" },
    { by_sysenter, FIELD_host_ia32_sysenter_cs, FIELD_guest_ia32_sysenter_cs, "IA32_SYSENTER_CS" },
};

static void tell(struct machine *machine, const struct cpu *cpu, const struct question *q, const struct vmcs *v, enum vmcs_field field,
                 const char *what)
{
    struct explanation *e = explain_begin(machine, cpu, explain_key(cpu->rip, "loaded_state"));
    bool host = VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_HOST;
    char words[WORDS_MAX];

    if (!e)
        return;
    event_words(words, sizeof words, q->event);
    explain_line(e, "%s at %s", words, q->place);
    explain_line(e, "%s is 0 there: the VM %s from %s of VMCS 0x%" PRIx64 ", which was never written [%s]", what, host ? "exit has loaded it" : "entry has loaded it",
                 vmcs_field_name(field), v->pa, host ? "28.5" : "27.3.2");
    explain_end(e);
}

void loaded_state_explain(struct machine *machine, struct cpu *cpu, const struct event *event)
{
    char place[PLACE_MAX];
    struct question q = { cpu, event, place };

    const struct events *events = &machine->events[cpu->index];

    if (events->count - events->crossed > SINCE_MAX || cpu->event.valid || event->type != EVENT_HARDWARE_EXCEPTION)
        return;
    place[0] = '\0';
    for (unsigned i = 0; i < sizeof states / sizeof states[0]; i++) {
        enum vmcs_field field;
        const struct vmcs *v = loaded_from_unwritten(machine, cpu, states[i].host, states[i].guest, &field);

        if (!v)
            continue;
        if (!place[0])
            place_describe(machine, cpu, place, sizeof place);
        if (!states[i].comes_of(&q))
            continue;
        tell(machine, cpu, &q, v, field, states[i].what);
        return;
    }
}
