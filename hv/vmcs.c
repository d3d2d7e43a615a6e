/* SPDX-License-Identifier: MIT */
/* Access to the current VMCS, and what both VMCSs have in common. */
#include "hv/core.h"

bool vmcs_create(const struct hv_machine *machine, uint32_t indicator, struct hardware_vmcs *vmcs)
{
    *vmcs = (struct hardware_vmcs){ .region = hal_page_allocate() };
    return vmcs->region.value && hal_pm_write32(vmcs->region, BASIC_REVISION(machine->physical.basic) | indicator) &&
           hal_vmclear(vmcs->region) == HAL_OK;
}

static void clear(struct hardware_vmcs *vmcs)
{
    if (vmcs->region.value && hal_vmclear(vmcs->region) != HAL_OK)
        hal_fail_stop("a VMCLEAR of L0 failed");
    vmcs->launched = false;
}

/* SDM Vol. 3, 25.11.1: software VMCLEARs its VMCSs before VMXOFF. */
void vmcs_leave_operation(struct hv_cpu *cpu)
{
    clear(&cpu->vmcs01);
    for (unsigned i = 0; i < cpu->nested.slots; i++)
        clear(&cpu->nested.slot[i].hardware);
    if (cpu->nested.shadow.region.value && hal_vmclear(cpu->nested.shadow.region) != HAL_OK)
        hal_fail_stop("a VMCLEAR of L0 failed");
    hal_vmxoff();
}

void vmcs_write_host_state(const struct hv_cpu *cpu)
{
    const struct hal_host_state *h = &cpu->host;

    vmwrite(VMCS_host_cr0, h->cr0);
    vmwrite(VMCS_host_cr3, h->cr3);
    vmwrite(VMCS_host_cr4, h->cr4);
    vmwrite(VMCS_host_rip, h->rip);
    vmwrite(VMCS_host_rsp, h->rsp);
    vmwrite(VMCS_host_es_selector, h->es);
    vmwrite(VMCS_host_cs_selector, h->cs);
    vmwrite(VMCS_host_ss_selector, h->ss);
    vmwrite(VMCS_host_ds_selector, h->ds);
    vmwrite(VMCS_host_fs_selector, h->fs);
    vmwrite(VMCS_host_gs_selector, h->gs);
    vmwrite(VMCS_host_tr_selector, h->tr);
    vmwrite(VMCS_host_fs_base, h->fs_base);
    vmwrite(VMCS_host_gs_base, h->gs_base);
    vmwrite(VMCS_host_tr_base, h->tr_base);
    vmwrite(VMCS_host_gdtr_base, h->gdtr_base);
    vmwrite(VMCS_host_idtr_base, h->idtr_base);
    vmwrite(VMCS_host_ia32_sysenter_cs, h->sysenter_cs);
    vmwrite(VMCS_host_ia32_sysenter_esp, h->sysenter_esp);
    vmwrite(VMCS_host_ia32_sysenter_eip, h->sysenter_eip);
    vmwrite(VMCS_host_ia32_efer, h->efer);
    vmwrite(VMCS_host_ia32_pat, h->pat);
}

struct hal_guest_segment vmcs_read_segment(enum segment_register segment)
{
    return (struct hal_guest_segment){
        .selector = (uint16_t)vmread(segment_field(VMCS_guest_es_selector, segment)),
        .access_rights = vmread32(segment_field(VMCS_guest_es_access_rights, segment)),
        .limit = vmread32(segment_field(VMCS_guest_es_limit, segment)),
        .base = vmread(segment_field(VMCS_guest_es_base, segment)),
    };
}

void vmcs_write_segment(enum segment_register segment, struct hal_guest_segment value)
{
    vmwrite(segment_field(VMCS_guest_es_selector, segment), value.selector);
    vmwrite(segment_field(VMCS_guest_es_access_rights, segment), value.access_rights);
    vmwrite(segment_field(VMCS_guest_es_limit, segment), value.limit);
    vmwrite(segment_field(VMCS_guest_es_base, segment), value.base);
}
