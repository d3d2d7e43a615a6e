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

void copy_load(struct hv_cpu *cpu)
{
    to_shadow(cpu, cpu->nested.vmcs12);
    shadow_link(cpu, cpu->nested.shadow.region);
    cpu->nested.shadow.dirty = true;            /* vmcs02 knows another vmcs12, or none */
}

void copy_release(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    late_from_vmcs02(cpu, vmcs12);
    from_shadow(cpu, vmcs12);
    shadow_link(cpu, PA(0));
}

void copy_before_read(struct hv_cpu *cpu, enum field_index field)
{
    if (is_late(field))
        late_from_vmcs02(cpu, cpu->nested.vmcs12);
}

/* Once dirty, vmcs12 goes to vmcs02 whole: it must be whole. */
void copy_before_write(struct hv_cpu *cpu)
{
    late_from_vmcs02(cpu, cpu->nested.vmcs12);
}

/* A VMWRITE that exited: of a trapped field, or of one of R. */
void copy_written(struct hv_cpu *cpu, enum field_index field)
{
    struct shadow *shadow = &cpu->nested.shadow;

    shadow->dirty = true;
    if (field_table[field].copy != COPY_R)
        return;
    shadow_select(shadow->region);
    vmcs12_to_hardware(cpu->nested.vmcs12, field);
    shadow_select(cpu->vmcs01.region);
}

void copy_fetch(struct hv_cpu *cpu)
{
    from_shadow(cpu, cpu->nested.vmcs12);
}

void copy_enter(struct hv_cpu *cpu)
{
    struct shadow *shadow = &cpu->nested.shadow;
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;

    vmcs_select(cpu, 2);
    if (vmcs12->late && !vmcs12->settled.conditional_stays)
        save_late(cpu, vmcs12);
    fields_to_hardware(cpu, vmcs12, SET_WRITTEN);
    if (shadow->dirty)
        fields_to_hardware(cpu, vmcs12, SET_WRITTEN_LATE);
    vmcs02_keep(cpu, KEPT_PROC, VMCS_processor_based_controls, vmcs12->settled.proc02);
    vmcs02_write_controls(cpu);
    vmcs02_write_conditional(cpu, vmwrite);
    shadow->dirty = false;
}

void copy_save(struct hv_cpu *cpu)
{
    fields_from_hardware(cpu, cpu->nested.vmcs12, SET_SAVED);
    vmcs02_save_mode(cpu);
    cpu->nested.vmcs12->late = true;
}

void copy_tell(struct hv_cpu *cpu)
{
    shadow_tell_vmcs12(cpu);
    cpu->nested.shadow.stale = true;
}

void copy_leave(struct hv_cpu *cpu)
{
    vmcs_select(cpu, 1);
    if (cpu->nested.shadow.stale)
        to_shadow(cpu, cpu->nested.vmcs12);
}
