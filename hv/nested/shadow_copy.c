/* SPDX-License-Identifier: MIT */
/*
 * Strategy copy: a shadow VMCS that is neither L1's nor L2's serves L1's most frequent VMREADs and VMWRITEs. vmcs12 is
 * the truth for all fields while L1 does not run, and for the trapped ones while it does. As other hypervisors do it,
 * rarely used fields move late: to vmcs02 only if L1 wrote, back to vmcs12 only if L1 looks.
 */
#include "hv/nested/shadow.h"

/* L1 writes only the fields of B: the others cannot have changed. */
static void from_shadow(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    shadow_select(cpu->nested.shadow.region);
    fields_from_hardware(cpu, vmcs12, SET_COPY_WRITTEN);
    shadow_select(cpu->vmcs01.region);
}

static void to_shadow(struct hv_cpu *cpu, const struct vmcs12 *vmcs12)
{
    shadow_select(cpu->nested.shadow.region);
    fields_to_hardware(cpu, vmcs12, SET_COPY_READ);
    shadow_select(cpu->vmcs01.region);
    cpu->nested.shadow.stale = false;
}

/* vmcs02 is current. */
static void save_late(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    fields_from_hardware(cpu, vmcs12, SET_SAVED_LATE);
    vmcs02_save_conditional(vmcs12);
}

static void late_from_vmcs02(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    if (!vmcs12->late)
        return;
    vmcs_select(cpu, 2);
    save_late(cpu, vmcs12);
    vmcs_select(cpu, 1);
}

/* Is this field among those that are late? */
static bool is_late(enum field_index field)
{
    return field_table[field].copy == COPY_L || field_table[field].class == CLASS_GUEST_CONDITIONAL;
}

/* A VMWRITE that exited: of a trapped field, or of one of R. */
static void written(struct hv_cpu *cpu, const struct vmcs12 *vmcs12)
{
    struct shadow *shadow = &cpu->nested.shadow;

    shadow->dirty = true;
    if (field_table[shadow->accessed].copy != COPY_R)
        return;
    shadow_select(shadow->region);
    vmcs12_to_hardware(vmcs12, shadow->accessed);
    shadow_select(cpu->vmcs01.region);
}

static void enter(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    struct shadow *shadow = &cpu->nested.shadow;

    vmcs_select(cpu, 2);
    if (vmcs12->late && !vmcs02_conditional_stays(cpu))
        save_late(cpu, vmcs12);
    fields_to_hardware(cpu, vmcs12, SET_WRITTEN);
    if (shadow->dirty)
        fields_to_hardware(cpu, vmcs12, SET_WRITTEN_LATE);
    vmcs02_keep(cpu, KEPT_PROC, VMCS_processor_based_controls, vmcs02_processor_based_controls(cpu));
    vmcs02_write_controls(cpu);
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
        late_from_vmcs02(cpu, vmcs12);
        from_shadow(cpu, vmcs12);
        shadow_link(cpu, PA(0));
        break;
    case SHADOW_READING:
        if (is_late(shadow->accessed))
            late_from_vmcs02(cpu, vmcs12);
        break;
    case SHADOW_WRITING:                        /* once dirty, vmcs12 goes to vmcs02 whole: it must be whole */
        late_from_vmcs02(cpu, vmcs12);
        break;
    case SHADOW_WRITTEN:
        written(cpu, vmcs12);
        break;
    case SHADOW_CHECKING:
        from_shadow(cpu, vmcs12);
        break;
    case SHADOW_ENTERING:
        enter(cpu, vmcs12);
        break;
    case SHADOW_INJECTING:
        break;
    case SHADOW_EXITED:
        exit_complete(cpu);
        fields_from_hardware(cpu, vmcs12, SET_SAVED);
        vmcs02_save_mode(cpu);
        vmcs12->late = true;
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
