/* SPDX-License-Identifier: MIT */
/* Fields and controls of the VM entry that launches a VMCS. */
#include "emu/explain/first_entry.h"

#include <inttypes.h>

#include "emu/explain/fixed_bits.h"
#include "emu/explain/guest_code.h"
#include "emu/explain/host_tables.h"
#include "emu/explain/no_effect.h"
#include "emu/explain/nowhere.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/vmx.h"

enum { CONTROLS_TEXT_MAX = 600 };

static const struct {
    enum vmcs_field field, cause;
    const char *because, *section, *effect;
} unwritten[] = {
#define UNWRITTEN(field, cause, because, section, effect) { FIELD_##field, FIELD_##cause, because, section, effect },
#include "emu/explain/first_entry.def"
};

static void tell_field(struct explanation *e, const struct vmcs *v, enum vmcs_field field, const char *because)
{
    char writer[SNAPSHOT_WRITER_MAX];

    vmcs_writer_text(v, false, field, e->machine->symbols, writer, sizeof writer);
    explain_line(e, "%s = 0x%" PRIx64 " (%s)%s%s", vmcs_field_name(field), v->field[field], writer, because ? ": " : "", because ? because : "");
}

static void tell_unwritten(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    for (unsigned i = 0; i < sizeof unwritten / sizeof unwritten[0]; i++) {
        enum vmcs_field field = unwritten[i].field;
        struct explanation *e;

        if (v->written[field] || v->field[field] || !vmcs_field_used(v, field))
            continue;
        e = explain_begin(machine, cpu, explain_key(field, "first_entry.unwritten"));
        if (!e)
            continue;
        explain_line(e, "VM entry with VMCS 0x%" PRIx64 " uses the field %s, which was never written and is 0: %s [%s]", v->pa,
                     vmcs_field_name(field), unwritten[i].effect, unwritten[i].section);
        tell_field(e, v, unwritten[i].cause, unwritten[i].because);
        explain_end(e);
    }
}

/* Secondary controls count only with bit 31 of the primary ones (25.6.2). A hypervisor that turns that off has no reason to write them. */
static void tell_secondary(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    char names[CONTROLS_TEXT_MAX];
    struct explanation *e;

    if (VMCS(v, processor_based_controls) & PROC_activate_secondary_controls || !VMCS(v, secondary_processor_based_controls))
        return;
    e = explain_begin(machine, cpu, explain_key(0, "first_entry.secondary"));
    if (!e)
        return;
    fixed_bits_secondary(VMCS(v, secondary_processor_based_controls), names, sizeof names);
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": the secondary processor-based controls have no effect, as \"activate secondary controls\" "
                    "(bit 31 of the primary ones) is 0 [25.6.2]: %s", v->pa, names);
    tell_field(e, v, FIELD_secondary_processor_based_controls, NULL);
    tell_field(e, v, FIELD_processor_based_controls, NULL);
    explain_end(e);
}

/* Who writes an EPT pointer wants EPT. */
static void tell_ept(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct explanation *e;

    if (!VMCS(v, ept_pointer) || vmcs_field_used(v, FIELD_ept_pointer))
        return;
    if (!(VMCS(v, processor_based_controls) & PROC_activate_secondary_controls) && VMCS(v, secondary_processor_based_controls))
        return;                             /* told */
    e = explain_begin(machine, cpu, explain_key(0, "first_entry.ept"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": the EPT pointer was written and is not used: %s", v->pa,
                 VMCS(v, processor_based_controls) & PROC_activate_secondary_controls
                     ? "\"enable EPT\" (bit 1 of the secondary processor-based controls) is 0, and the guest's physical addresses are the processor's [25.6.2]"
                     : "\"activate secondary controls\" (bit 31 of the primary processor-based controls) is 0, and so is EPT [25.6.2]");
    tell_field(e, v, FIELD_ept_pointer, NULL);
    tell_field(e, v, FIELD_secondary_processor_based_controls, NULL);
    explain_end(e);
}

/* In real-address mode code runs at the base until the first far transfer or IRET, which loads selector x 16. Reset has another base. */
static void tell_code_base(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    enum { RESET_SELECTOR = 0xf000 };
    uint64_t selector = VMCS(v, guest_cs_selector), base = VMCS(v, guest_cs_base);
    struct explanation *e;

    if (VMCS(v, guest_cr0) & CR0_PE || base == selector << 4 || (selector == RESET_SELECTOR && base == 0xffff0000))
        return;
    e = explain_begin(machine, cpu, explain_key(0, "first_entry.code_base"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " begins a guest in real-address mode whose CS base is not its selector x 16: it runs at base 0x%" PRIx64
                    " until the first far transfer, interrupt or IRET, and returns to base 0x%" PRIx64 " [27.3.2.2]", v->pa, base, selector << 4);
    tell_field(e, v, FIELD_guest_cs_selector, NULL);
    tell_field(e, v, FIELD_guest_cs_base, NULL);
    explain_end(e);
}

void first_entry_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    tell_unwritten(machine, cpu, v);
    tell_secondary(machine, cpu, v);
    tell_ept(machine, cpu, v);
    if (!machine->free_running)             /* a script's guests have what it has written, and its hypervisor no descriptors */
        return;
    no_effect_explain(machine, cpu, v);
    nowhere_explain_entry(machine, cpu, v);
    host_tables_explain(machine, cpu, v);
    tell_code_base(machine, cpu, v);
    guest_code_explain(machine, cpu, v);
}
