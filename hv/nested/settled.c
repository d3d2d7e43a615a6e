/* SPDX-License-Identifier: MIT */
/*
 * What an entry to L2 found out about L1's controls and host state, and which pages it chose, holds for the next one if nothing of
 * that can have changed: most of these fields are of class I (trapped, with copy and trap), so that L1's VMWRITE exits, and
 * forgets it; the others are compared. So is what else it hangs on: L1's mode, and the pages that L1 has given away. What is in
 * L1's memory, and fields of classes V and F, are read and judged at each entry.
 */
#include "hv/core.h"

static bool l1_long_mode(const struct hv_cpu *cpu) { return cpu->nested.plan.carried.efer & EFER_LMA; }

bool settled_holds(const struct hv_cpu *cpu)
{
    const struct settled *s = &cpu->nested.vmcs12->settled;

    return s->known && s->processor_based_controls == VMCS12(cpu, processor_based_controls) &&
           s->entry_controls == VMCS12(cpu, entry_controls) && s->l1_long_mode == l1_long_mode(cpu) &&
           s->host_fs_selector == VMCS12(cpu, host_fs_selector) && s->host_gs_selector == VMCS12(cpu, host_gs_selector) &&
           s->host_fs_base == VMCS12(cpu, host_fs_base) && s->host_gs_base == VMCS12(cpu, host_gs_base) &&
           s->given == cpu->machine->given.count;
}

void settled_forget(struct vmcs12 *vmcs12, enum field_index field)
{
    const enum field_class class = (enum field_class)field_table[field].class;

    /* HOST_RSP is not judged (SDM Vol. 3, 27.2.3). */
    if (class == CLASS_CONTROL_MERGED || class == CLASS_ADDRESS || (class == CLASS_HOST && field != FIELD_host_rsp))
        vmcs12->settled.known = false;
}

void settle(struct hv_cpu *cpu)
{
    struct settled *s = &cpu->nested.vmcs12->settled;

    s->given = __atomic_load_n(&cpu->machine->given.count, __ATOMIC_ACQUIRE);      /* before who chooses looks at the list */
    bitmap_choose(cpu);
    virtual_apic_choose(cpu);
    s->ept = vmcs12_ept(cpu);
    s->vpid12 = vmcs12_secondary(cpu) & PROC2_enable_vpid ? (uint16_t)VMCS12(cpu, virtual_processor_identifier) : 0;
    s->shadow_key = ~0ull;
    s->conditional_stays = vmcs02_conditional_stays(cpu);
    s->proc02 = vmcs02_processor_based_controls(cpu);
    s->entry02 = vmcs02_entry_controls(cpu);
    s->processor_based_controls = VMCS12(cpu, processor_based_controls);
    s->entry_controls = VMCS12(cpu, entry_controls);
    s->l1_long_mode = l1_long_mode(cpu);
    s->host_fs_selector = VMCS12(cpu, host_fs_selector);
    s->host_gs_selector = VMCS12(cpu, host_gs_selector);
    s->host_fs_base = VMCS12(cpu, host_fs_base);
    s->host_gs_base = VMCS12(cpu, host_gs_base);
    s->known = true;
}
