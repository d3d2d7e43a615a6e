/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing: VMREAD and VMWRITE in non-root operation that reach the VMCS in the link pointer without a VM exit.
 * SDM Vol. 3, 25.10 "VMCS Types: Ordinary and Shadow", 25.6.15 "VMCS Shadowing Bitmap Addresses", 31.3 VMREAD, VMWRITE.
 */
#include "model/vmx/internal.h"

bool shadow_intercepts(const struct cpu *cpu, uint64_t encoding, bool write)
{
    const struct vmcs *vmcs = cpu->vmx.current;
    uint64_t bitmap = write ? VMCS(vmcs, vmwrite_bitmap_address) : VMCS(vmcs, vmread_bitmap_address);
    uint8_t byte = 0xff;

    if (!(proc2_controls(vmcs) & PROC2_vmcs_shadowing) || encoding >> 15)
        return true;
    memory_read(&cpu->model->memory, bitmap + (encoding >> 3), &byte, 1);
    return byte >> (encoding & 7) & 1;
}

/* The VMCS that the link pointer names. It was activated by the VM entry; looking it up again brings it back should the cache
 * have evicted it meanwhile. */
static struct vmcs *shadow_linked(struct cpu *cpu)
{
    return vmcs_activate(cpu, VMCS(cpu->vmx.current, vmcs_link_pointer));
}

/* Errors 12 and 13 are recorded in the current VMCS, not in the shadow VMCS: vmx_fail() does that. */
vmx_result shadow_vmread(struct cpu *cpu, uint64_t encoding, uint64_t *value)
{
    const struct attempt attempt = field_attempt(cpu, INSN_vmread, encoding);
    const struct refusal *refusal = vmx_refuses(REFUSALS_field_access, &attempt);

    if (refusal)
        return vmx_refused(cpu, &attempt, refusal);
    *value = vmcs_get(shadow_linked(cpu), (uint32_t)encoding);
    return VMX_SUCCEED;
}

vmx_result shadow_vmwrite(struct cpu *cpu, uint64_t encoding, uint64_t value)
{
    struct attempt attempt = field_attempt(cpu, INSN_vmwrite, encoding);
    const struct refusal *refusal = vmx_refuses(REFUSALS_field_access, &attempt);
    struct vmcs *linked;

    attempt.value = value;
    if (refusal)
        return vmx_refused(cpu, &attempt, refusal);
    linked = shadow_linked(cpu);
    vmcs_set_field(linked, attempt.field, VMCS_ENCODING_HIGH(encoding), value);
    vmcs_note_writer(linked, attempt.field, cpu->rip);
    vmx_notify(cpu, NOTICE_SHADOW_WRITE, encoding, value, 0, 0);
    return VMX_SUCCEED;
}
