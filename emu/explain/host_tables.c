/* SPDX-License-Identifier: MIT */
/* What VM exits load without a look at it: SDM Vol. 3, 28.5.1, 28.5.2. */
#include "emu/explain/host_tables.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/explain/place.h"
#include "emu/explain/selector.h"
#include "emu/explain/words.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "model/cpu/segment.h"
#include "model/cpu/translate.h"
#include "model/vmx/vmx.h"

enum { PROBLEM_MAX = DESCRIPTION_MAX + 160 };
#define CR3_ADDRESS 0x000ffffffffff000ull

/* IA32_EFER behind an exit (28.5.1, 28.6). An MSR-load area may bring back what the one of the entry has taken. */
static uint64_t efer_behind_exit(const struct cpu *cpu, const struct vmcs *v)
{
    if (VMCS(v, exit_controls) & EXIT_load_ia32_efer)
        return VMCS(v, host_ia32_efer);
    return CPU_MSR(cpu, ia32_efer) | (VMCS(v, exit_msr_load_count) ? EFER_NXE : 0);
}

struct cpu host_tables_view(const struct cpu *cpu, const struct vmcs *v)
{
    struct cpu view = *cpu;
    uint64_t wide = VMCS(v, exit_controls) & EXIT_host_address_space_size ? EFER_LME | EFER_LMA : 0;

    view.vmx.non_root = view.vmx.ept = false;
    view.vmx.vpid = 0;
    view.vmx.shadowed_eptp = 0;
    view.cr0 = VMCS(v, host_cr0);
    view.cr3 = VMCS(v, host_cr3);
    view.cr4 = VMCS(v, host_cr4);
    CPU_MSR(&view, ia32_efer) = (efer_behind_exit(cpu, v) & ~(uint64_t)(EFER_LME | EFER_LMA)) | wide;
    view.seg[SEG_CS].selector = (uint16_t)VMCS(v, host_cs_selector);
    view.seg[SEG_SS].access_rights = 0;
    return view;
}

/* ---- selectors ---- */

/* What an exit puts into the register whatever the descriptor says, and who reads the descriptor first. */
static const struct { enum vmcs_field field; const char *name, *loaded, *reader; } selectors[] = {
    { FIELD_host_cs_selector, "CS", "a flat code segment", "an exception or interrupt is taken all the same, but the IRET of its handler reads it" },
    { FIELD_host_ss_selector, "SS", "a flat stack", "the IRET of the handler of an exception or interrupt reads it" },
    { FIELD_host_ds_selector, "DS", "flat data", "a MOV or POP of the same selector reads it" },
    { FIELD_host_es_selector, "ES", "flat data", "a MOV or POP of the same selector reads it" },
    { FIELD_host_fs_selector, "FS", "flat data", "a MOV or POP of the same selector reads it" },
    { FIELD_host_gs_selector, "GS", "flat data", "a MOV or POP of the same selector reads it" },
    { FIELD_host_tr_selector, "TR", "a busy TSS of 104 bytes", "an LTR of the same selector or a switch to another task reads it" },
};

/* Why a descriptor cannot be loaded into the register; false: it can. */
static bool refused(enum vmcs_field field, const struct cpu *view, const struct descriptor *d, const char **why)
{
    uint32_t rights = descriptor_rights(d);

    *why = NULL;
    if (!(rights & AR_PRESENT))
        *why = "it is not present";
    else if (field == FIELD_host_cs_selector)
        *why = !is_code(rights) ? "it is no code segment" : AR_DPL(rights) ? "its DPL is not 0" : !cpu_long_mode(view) ? NULL
               : !(rights & AR_L) ? "L (bit 53) is 0: it is no 64-bit code" : rights & AR_DB ? "L (bit 53) and D (bit 54) are both 1" : NULL;
    else if (field == FIELD_host_tr_selector)
        *why = rights & AR_S || (AR_TYPE(rights) | SYSTEM_TYPE_BUSY) != SYSTEM_TSS_32_BUSY ? "it is no TSS" : NULL;
    else if (field == FIELD_host_ss_selector)
        *why = !is_writable_data(rights) ? "it is no writable data segment" : AR_DPL(rights) ? "its DPL is not 0" : NULL;
    else if (!(rights & AR_S) || (is_code(rights) && !(rights & TYPE_WRITABLE)))
        *why = "it is neither data nor code that can be read";
    return *why;
}

static bool problem(struct cpu *view, const struct vmx_root *root, const struct vmcs *v, enum vmcs_field field, char to[PROBLEM_MAX])
{
    uint64_t base = VMCS(v, host_gdtr_base), selector = v->field[field];
    struct descriptor d = { .linear = base + (selector & 0xfff8) };
    char what[DESCRIPTION_MAX];
    const char *why;

    if (!selector || selector & 7)                  /* null; or the entry fails, as an exit cannot load it */
        return false;
    if (base == root->gdtr_base && (selector | 7) > root->gdtr_limit) {
        snprintf(to, PROBLEM_MAX, "is beyond the limit of the GDT, which was 0x%" PRIx32 " at the VM entry (base 0x%" PRIx64 ")", root->gdtr_limit, base);
        return true;
    }
    switch (place_peek(view, d.linear, &d.low, 8)) {
    case PEEK_UNMAPPED:
        snprintf(to, PROBLEM_MAX, "cannot be read at 0x%" PRIx64 ": the page tables of HOST_CR3 do not map it", d.linear);
        return true;
    case PEEK_NO_RAM:
        return false;
    case PEEK_DONE:
        break;
    }
    if (!refused(field, view, &d, &why))
        return false;
    descriptor_words(what, view, &d);
    snprintf(to, PROBLEM_MAX, "at 0x%" PRIx64 " is 0x%016" PRIx64 " (%s): %s", d.linear, d.low, d.low ? what : "empty", why);
    return true;
}

/* One of them tells of all, where all come of a GDT that is not there. */
static void look_at_selectors(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct vmx_root *root)
{
    struct cpu view = host_tables_view(cpu, v);
    bool moved = VMCS(v, host_gdtr_base) != root->gdtr_base;
    char text[PROBLEM_MAX];

    for (unsigned i = 0; i < sizeof selectors / sizeof selectors[0]; i++) {
        enum vmcs_field field = selectors[i].field;
        struct explanation *e;

        if (!problem(&view, root, v, field, text))
            continue;
        e = explain_begin(machine, cpu, explain_key(moved ? FIELD_host_gdtr_base : field, "host_tables.selector"));
        if (!e)
            continue;
        explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": its VM exits load %s with selector 0x%" PRIx64 " as %s, without a look at the descriptor, which %s [28.5.2]", v->pa,
                     selectors[i].name, v->field[field], selectors[i].loaded, text);
        explain_line(e, "%s, and raises #GP", moved ? "the first exception or interrupt, IRET, far jump or load of a segment register reads it" : selectors[i].reader);
        written_tell(e, v, field);
        if (moved) {
            explain_line(e, "the GDT that the hypervisor entered with is at 0x%" PRIx64 ", and VM exits load another base:", root->gdtr_base);
            written_tell(e, v, FIELD_host_gdtr_base);
        }
        explain_end(e);
        if (moved)
            return;
    }
}

/* ---- IDTR and TR ---- */

enum { GATE_BYTES = 16, GATE_TRAP_OR_INTERRUPT = 0xe, TSS_STACKS = 4, TSS_STACK_COUNT = 11 };      /* RSP0-2, a reserved word, IST1-7 */

/* Has the IDT of a 64-bit hypervisor a gate for the vector? */
static bool has_gate(struct cpu *view, uint64_t base, uint32_t limit, unsigned vector)
{
    uint64_t gate;

    return vector * GATE_BYTES + GATE_BYTES - 1 <= limit && place_peek(view, base + vector * GATE_BYTES, &gate, 8) == PEEK_DONE &&
           gate >> 47 & 1 && (gate >> 40 & 0x1e) == GATE_TRAP_OR_INTERRUPT;
}

/* An exit gives IDTR a base, and nobody looks at what is there before the first exception or NMI. Told if the hypervisor had an IDT, and not one
 * of its gates for exceptions is there. */
static void look_at_idt(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct vmx_root *root)
{
    struct cpu after = host_tables_view(cpu, v), before = after;
    uint64_t base = VMCS(v, host_idtr_base);
    unsigned had = 0;
    struct explanation *e;

    before.cr3 = root->cr3;
    if (base == root->idtr.base || !cpu_long_mode(&after))
        return;
    for (unsigned vector = 0; vector < 32; vector++) {
        if (!has_gate(&before, root->idtr.base, root->idtr.limit, vector))
            continue;
        had++;
        if (has_gate(&after, base, 0xffff, vector))
            return;
    }
    if (!had)
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_host_idtr_base, "host_tables.idt"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": its VM exits load IDTR with base 0x%" PRIx64 ", where no gate for any exception is; the IDT that the hypervisor "
                    "entered with is at 0x%" PRIx64 ", and has %u [28.5.2]", v->pa, base, root->idtr.base, had);
    explain_line(e, "from the VM exit to the next LIDT, the first exception, NMI or interrupt finds no handler, and ends in a triple fault");
    written_tell(e, v, FIELD_host_idtr_base);
    explain_end(e);
}

/* The stacks of a 64-bit TSS, SDM Vol. 3, 6.14.4, 6.14.5. False: there are none. */
static bool has_stacks(struct cpu *view, uint64_t tss)
{
    uint64_t stack[TSS_STACK_COUNT] = { 0 }, all = 0;

    if (place_peek(view, tss + TSS_STACKS, stack, sizeof stack) != PEEK_DONE)
        return false;
    for (unsigned i = 0; i < TSS_STACK_COUNT; i++)
        all |= stack[i];
    return all != 0;
}

/* An exit takes selector and base of TR from two fields. Told if the base is another than the one that the selector's descriptor and the hypervisor had,
 * and that TSS names stacks. */
static void look_at_tss(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct vmx_root *root)
{
    struct cpu view = host_tables_view(cpu, v);
    struct descriptor d = { .linear = VMCS(v, host_gdtr_base) + (VMCS(v, host_tr_selector) & 0xfff8) };
    uint64_t base;
    struct explanation *e;

    if (VMCS(v, host_tr_base) == root->tr_base || !cpu_long_mode(&view) || place_peek(&view, d.linear, &d.low, 8) != PEEK_DONE ||
        place_peek(&view, d.linear + 8, &d.high, 8) != PEEK_DONE || (d.low >> 40 & 0x1d) != 9)
        return;
    base = (d.low >> 16 & 0xffffff) | (d.low >> 56) << 24 | d.high << 32;
    if (base != root->tr_base || !has_stacks(&view, base))
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_host_tr_base, "host_tables.tss"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": its VM exits load TR with base 0x%" PRIx64 ", without a look at the descriptor of selector 0x%" PRIx64 ", whose TSS is at 0x%" PRIx64
                    ", as it was at the VM entry [28.5.2]", v->pa, VMCS(v, host_tr_base), VMCS(v, host_tr_selector), base);
    explain_line(e, "gates with an IST, and interrupts that come in user mode, take the stacks RSP0 to IST7 from the base that was loaded [6.14.4, 6.14.5]");
    written_tell(e, v, FIELD_host_tr_base);
    explain_end(e);
}

/* ---- CR3 ---- */

/* As far as the program on the machine is concerned, in root operation or outside VMX operation. */
static bool is_in_root(const struct machine *machine, const struct cpu *cpu)
{
    return machine_over_native(machine, cpu) ? machine_level(machine, cpu) == 1 : !cpu->vmx.non_root;
}

void host_tables_cr3_loaded(struct machine *machine, const struct cpu *cpu, uint64_t value)
{
    struct cr3_history *h = &machine->cr3[cpu->index];

    if (!is_in_root(machine, cpu) || !((value ^ h->now) & CR3_ADDRESS))
        return;
    h->before = h->now;
    h->now = value;
}

/* Not where a hypervisor has page tables of its own for its exits: those were never in CR3 before. */
static void look_at_cr3(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct vmx_root *root)
{
    const struct cr3_history *h = &machine->cr3[cpu->index];
    uint64_t loaded = VMCS(v, host_cr3);
    struct explanation *e;

    if (!((loaded ^ root->cr3) & CR3_ADDRESS) || !h->before || (loaded ^ h->before) & CR3_ADDRESS || (root->cr3 ^ h->now) & CR3_ADDRESS || v->exits)
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_host_cr3, "host_tables.cr3"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": its VM exits load CR3 with 0x%" PRIx64 ", the page tables that the processor had before its latest MOV to CR3; it "
                    "enters with 0x%" PRIx64 " [28.5.1]", v->pa, loaded, root->cr3);
    written_tell(e, v, FIELD_host_cr3);
    explain_end(e);
}

void host_tables_explain_fault(struct machine *machine, struct cpu *cpu, const struct event *event)
{
    const struct vmx_root *root = &machine->root[cpu->index];
    const struct vmcs *v;
    struct explanation *e;
    struct cpu view;
    char words[WORDS_MAX], place[PLACE_MAX];

    if (event->vector != VECTOR_PF || event->type != EVENT_HARDWARE_EXCEPTION || !root->cr3 || !((root->cr3 ^ cpu->cr3) & CR3_ADDRESS) || cpu->event.valid ||
        !is_in_root(machine, cpu))
        return;
    v = written_current(machine, cpu);
    if (!v || (VMCS(v, host_cr3) ^ cpu->cr3) & CR3_ADDRESS)
        return;
    view = *cpu;
    view.cr3 = root->cr3;
    if (translate(&view, event->address, (struct access){ .kind = ACCESS_READ, .probe = true }).result != TRANSLATION_OK)
        return;
    e = explain_begin(machine, cpu, explain_key(cpu->rip, "host_tables.fault"));
    if (!e)
        return;
    event_words(words, sizeof words, event);
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "%s at %s", words, place);
    explain_line(e, "the page tables that the hypervisor entered its guest with, CR3 0x%" PRIx64 ", map the address: the VM exit has loaded other ones, from HOST_CR3 "
                    "[28.5.1]", root->cr3);
    written_tell(e, v, FIELD_host_cr3);
    explain_end(e);
}

void host_tables_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    const struct vmx_root *root = &machine->root[cpu->index];

    look_at_cr3(machine, cpu, v, root);
    look_at_selectors(machine, cpu, v, root);
    look_at_idt(machine, cpu, v, root);
    look_at_tss(machine, cpu, v, root);
}
