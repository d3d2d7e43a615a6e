/* SPDX-License-Identifier: MIT */
/* Fields without effect: SDM Vol. 3, 25.6 to 25.8. */
#include "emu/explain/no_effect.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/explain/explain.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

enum whom { EVERYBODY, WHO_ASKS };
enum { NAME_MAX = 160, ALL_FAULTS = 0xff };
#define COUNT 0xffffffff            /* all of the field: it is a count or a mask */
#define EFER_SWITCHED ((uint64_t)(EFER_LMA | EFER_LME))

static const struct row {
    enum vmcs_field field, controls;
    uint32_t mask;
    enum whom whom;
    const char *section, *instead;
} rows[] = {
#define NO_EFFECT(field, controls, mask, whom, as_is, section, instead) { FIELD_##field, FIELD_##controls, mask, whom, section, instead },
#include "emu/explain/no_effect.def"
};

/* What the field would have to be to change nothing. `as`: the processor, with the MSRs that the field is about. */
static uint64_t as_is(unsigned row, const struct cpu *as, const struct vmcs *v, uint64_t value)
{
    unsigned i = 0;

#define NO_EFFECT(field, controls, mask, whom, same, section, instead) if (i++ == row) return same;
#include "emu/explain/no_effect.def"
    (void)as, (void)v, (void)value;
    return 0;
}

static const struct { enum vmcs_field field; const char *words; } words[] = {
    { FIELD_pin_based_controls, "pin-based controls" },
    { FIELD_processor_based_controls, "primary processor-based controls" },
    { FIELD_secondary_processor_based_controls, "secondary processor-based controls" },
    { FIELD_exit_controls, "VM-exit controls" },
    { FIELD_entry_controls, "VM-entry controls" },
};

static const struct { enum vmcs_field field; unsigned bit; const char *text; } controls[] = {
#define WORD_FIELD_PIN FIELD_pin_based_controls
#define WORD_FIELD_PROC FIELD_processor_based_controls
#define WORD_FIELD_PROC2 FIELD_secondary_processor_based_controls
#define WORD_FIELD_EXIT FIELD_exit_controls
#define WORD_FIELD_ENTRY FIELD_entry_controls
#define CONTROL(word, name, bit, text) { WORD_FIELD_##word, bit, text },
#include "arch/vmx_controls.def"
};

/* "\"Use I/O bitmaps\" (bit 25 of the primary processor-based controls)"; of a count or mask its name. */
static const char *control_name(const struct row *row, char to[NAME_MAX])
{
    const char *word = "";

    snprintf(to, NAME_MAX, "%s", vmcs_field_name(row->controls));
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].field == row->controls)
            word = words[i].words;
    for (unsigned i = 0; *word && i < sizeof controls / sizeof controls[0]; i++)
        if (controls[i].field == row->controls && row->mask == 1u << controls[i].bit)
            snprintf(to, NAME_MAX, "\"%s\" (bit %u of the %s)", controls[i].text, controls[i].bit, word);
    return to;
}

static bool is_active(const struct vmcs *v, const struct row *row)
{
    if (row->controls == FIELD_secondary_processor_based_controls && !(VMCS(v, processor_based_controls) & PROC_activate_secondary_controls))
        return VMCS(v, secondary_processor_based_controls);         /* emu/explain/first_entry.c tells of that */
    return v->field[row->controls] & row->mask;
}

/* A count of 0 that was written is one that its author knows of. */
static bool for_everybody(const struct vmcs *v, const struct row *row)
{
    return row->whom == EVERYBODY && !(row->mask == COUNT && v->written[row->controls]);
}

static void tell(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct row *row)
{
    uint64_t key = explain_key(row->mask ^ (uint64_t)row->controls << 32, "no_effect");
    struct explanation *e;
    char name[NAME_MAX];

    e = explain_begin(machine, cpu, for_everybody(v, row) ? key : 0);
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": the field %s was written and has no effect, as %s is 0: %s [%s]", v->pa, vmcs_field_name(row->field),
                 control_name(row, name), row->instead, row->section);
    written_tell(e, v, row->field);
    written_tell(e, v, row->controls);
    explain_end(e);
}

/* The bitmap is about exceptions; who sets all of its bits does not mean NMIs. */
static void look_at_nmi(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    uint64_t bitmap = VMCS(v, exception_bitmap);
    struct explanation *e;

    if (!(bitmap >> VECTOR_NMI & 1) || (bitmap & ALL_FAULTS) == ALL_FAULTS || VMCS(v, pin_based_controls) & PIN_nmi_exiting)
        return;
    e = explain_begin(machine, cpu, explain_key(VECTOR_NMI, "no_effect"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": bit 2 of the exception bitmap has no effect: NMIs exit by \"NMI exiting\" (bit 3 of the pin-based controls), "
                    "which is 0, and go through the guest's IDT [25.6.1, 25.6.3]", v->pa);
    written_tell(e, v, FIELD_exception_bitmap);
    written_tell(e, v, FIELD_pin_based_controls);
    explain_end(e);
}

/* What L1 over a native L0 has of these is not known here. */
static bool unknown_of_l1(enum vmcs_field field)
{
    return field == FIELD_guest_ia32_pat || field == FIELD_host_ia32_pat || field == FIELD_guest_dr7 || field == FIELD_guest_ia32_debugctl;
}

void no_effect_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    bool native = machine_over_native(machine, cpu);
    struct cpu l1;

    if (v->exits)                       /* a hypervisor may have taken a control back since it wrote the field */
        return;
    if (native)
        l1 = native_l1_host(machine->native, cpu);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = v->field[rows[i].field];

        if (native && unknown_of_l1(rows[i].field))
            continue;
        if (v->written[rows[i].field] && value && !is_active(v, &rows[i]) && value != as_is(i, native ? &l1 : cpu, v, value))
            tell(machine, cpu, v, &rows[i]);
    }
    look_at_nmi(machine, cpu, v);
}
