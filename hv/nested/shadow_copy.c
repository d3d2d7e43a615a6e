/* SPDX-License-Identifier: MIT */
/*
 * Strategy copy: a shadow VMCS that is neither L1's nor L2's serves L1's most frequent VMREADs and VMWRITEs. vmcs12 is
 * the truth for all fields while L1 does not run, and for the trapped ones while it does. As other hypervisors do it,
 * rarely used fields move late: to vmcs02 only if L1 wrote, back to vmcs12 only if L1 looks.
 */
#include "hv/nested/shadow.h"

static bool shadowed(const struct hv_cpu *cpu, unsigned field, bool read_only)
{
    const enum field_copy copy = (enum field_copy)field_table[field].copy;

    return (copy == COPY_B || (read_only && copy == COPY_R)) &&
           field_offered(&cpu->machine->offered, (enum field_index)field);
}

/* L1 writes only the fields of B: the others cannot have changed. */
static void from_shadow(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    shadow_select(cpu->nested.shadow.region);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (shadowed(cpu, i, false))
            vmcs12_from_hardware(vmcs12, i);
    shadow_select(cpu->vmcs01.region);
}

static void to_shadow(struct hv_cpu *cpu, const struct vmcs12 *vmcs12)
{
    shadow_select(cpu->nested.shadow.region);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (shadowed(cpu, i, true))
            vmcs12_to_hardware(vmcs12, i);
    shadow_select(cpu->vmcs01.region);
    cpu->nested.shadow.stale = false;
}

static void late_from_vmcs02(struct hv_cpu *cpu)
{
    struct shadow *shadow = &cpu->nested.shadow;

    if (!shadow->late)
        return;
    shadow->late = false;
    vmcs_select(cpu, 2);
    vmcs02_save_late(cpu);
    vmcs_select(cpu, 1);
}

/* A VMWRITE that exited: of a trapped field, or of one of R. */
static void written(struct hv_cpu *cpu, const struct vmcs12 *vmcs12)
{
    struct shadow *shadow = &cpu->nested.shadow;

    if (field_table[shadow->accessed].copy == COPY_R) {
        shadow_select(shadow->region);
        vmcs12_to_hardware(vmcs12, shadow->accessed);
        shadow_select(cpu->vmcs01.region);
    } else {
        shadow->dirty = true;
    }
}

static void enter(struct hv_cpu *cpu)
{
    struct shadow *shadow = &cpu->nested.shadow;

    vmcs_select(cpu, 2);
    vmcs02_write_verbatim(cpu, shadow->dirty);
    vmcs02_keep(cpu, KEPT_PROC, VMCS_processor_based_controls, vmcs02_processor_based_controls(cpu));
    vmcs02_write_controls(cpu, vmwrite);
    vmcs02_write_conditional(cpu, vmwrite);
    shadow->dirty = false;
}

void copy_at(struct hv_cpu *cpu, struct vmcs12 *vmcs12, enum shadow_moment moment)
{
    struct shadow *shadow = &cpu->nested.shadow;

    switch (moment) {
    case SHADOW_LOADED:
        to_shadow(cpu, vmcs12);
        shadow_link(cpu, shadow->region);
        shadow->dirty = true;                   /* vmcs02 knows another vmcs12, or none */
        break;
    case SHADOW_RELEASED:
        late_from_vmcs02(cpu);
        from_shadow(cpu, vmcs12);
        shadow_link(cpu, PA(0));
        break;
    case SHADOW_READING:
        if (field_table[shadow->accessed].copy == COPY_L)
            late_from_vmcs02(cpu);
        break;
    case SHADOW_WRITING:                        /* once dirty, vmcs12 goes to vmcs02 whole: it must be whole */
        if (field_table[shadow->accessed].copy != COPY_R)
            late_from_vmcs02(cpu);
        break;
    case SHADOW_WRITTEN:
        written(cpu, vmcs12);
        break;
    case SHADOW_CHECKING:
        from_shadow(cpu, vmcs12);
        break;
    case SHADOW_ENTERING:
        enter(cpu);
        break;
    case SHADOW_INJECTING:
        break;
    case SHADOW_EXITED:
        vmcs02_save_verbatim(cpu);
        vmcs02_save_conditional(cpu);
        shadow->late = true;
        break;
    case SHADOW_TOLD:
        shadow->stale = true;
        break;
    case SHADOW_LEAVING:
        vmcs_select(cpu, 1);
        if (shadow->stale)
            to_shadow(cpu, vmcs12);
        break;
    }
}
