/* SPDX-License-Identifier: MIT */
/* VM functions: SDM Vol. 3, 26.5.6. There is one, function 0: EPTP switching. */
#include "model/vmx/internal.h"

enum { EPTP_LIST_ENTRIES = 512 };

/* 26.5.6.3: the EPTP that ECX selects. False: there is none, or VM entry would not accept it. */
static bool selected_eptp(const struct cpu *cpu, uint64_t *eptp)
{
    uint32_t index = (uint32_t)cpu->gpr[RCX];

    if (index >= EPTP_LIST_ENTRIES)
        return false;
    *eptp = memory_read64(&cpu->model->memory, VMCS(cpu->vmx.current, eptp_list_address) + 8 * index);
    return check_eptp(cpu, *eptp);
}

bool function_intercepts(const struct cpu *cpu)
{
    uint64_t eptp;

    if (!(VMCS(cpu->vmx.current, vm_function_controls) >> ((uint32_t)cpu->gpr[RAX] % VM_FUNCTIONS) & 1))
        return true;
    return !selected_eptp(cpu, &eptp);      /* VM entry has seen to it that no other function is enabled */
}

/* Nothing is invalidated: translations are tagged by the EPTRTA. */
void function_invoke(struct cpu *cpu)
{
    struct vmcs *v = cpu->vmx.current;
    uint64_t eptp;

    if (!selected_eptp(cpu, &eptp))
        return;
    VMCS(v, ept_pointer) = eptp;
    cpu->vmx.eptp = eptp;
    if (cpu->model->capability.proc2.allowed & PROC2_ept_violation_ve)
        VMCS(v, eptp_index) = (uint16_t)cpu->gpr[RCX];
}
