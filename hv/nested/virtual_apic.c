/* SPDX-License-Identifier: MIT */
/* The virtual-APIC page of L1 for L2, in use with "use TPR shadow". SDM Vol. 3, 25.6.8, 30.3. */
#include "hv/core.h"

void virtual_apic_choose(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    const uint64_t address = VMCS12(cpu, virtual_apic_address);

    if (VMCS12(cpu, processor_based_controls) & PROC_use_tpr_shadow)
        n->vmcs12->settled.virtual_apic = l1_owns(cpu->machine, address) ? PA(address) : n->virtual_apic_absent;
}

bool virtual_apic_absent(const struct hv_cpu *cpu)
{
    const struct nested *n = &cpu->nested;

    return VMCS12(cpu, processor_based_controls) & PROC_use_tpr_shadow && n->vmcs12->settled.virtual_apic.value == n->virtual_apic_absent.value;
}

/* Bits of the exit qualification (28.2.1, Table 28-3): 3:0 the register, 5:4 the access, 0 is MOV to it. */
bool virtual_apic_write_exit(const struct hv_cpu *cpu)
{
    return virtual_apic_absent(cpu) && !(VMCS12(cpu, processor_based_controls) & PROC_cr8_load_exiting) &&
           (cpu->exit.qualification & 0x3f) == 8;
}

/* The page of ones stays so, for every VMCS: what L2 writes vanishes, as in any absent memory. VTPR is 255 then, below no threshold. */
void virtual_apic_write(struct hv_cpu *cpu)
{
    if (guest_register(cpu, cpu->exit.qualification >> 8 & 15) >> 4)
        inject_exception(cpu, VECTOR_GP, 0);
    else
        guest_advance();
}

/*
 * Hardware judges VTPR at each entry (27.2.1.1), L0's own included, and L1 may have lowered it in memory since its own.
 * To L1, L2's run ends as if L2 had lowered it. What L0 was about to inject is L2's event still under way.
 */
bool virtual_apic_refused(struct hv_cpu *cpu)
{
    const uint32_t event = vmread32(VMCS_entry_interruption_information);

    if (!(VMCS12(cpu, processor_based_controls) & PROC_use_tpr_shadow))
        return false;
    exit_invent(cpu, (struct exit_record){ .reason = EXIT_REASON_tpr_below_threshold });
    if (event & INTERRUPTION_VALID) {
        cpu->exit.vectoring = event;
        cpu->exit.vectoring_error = vmread32(VMCS_entry_exception_error_code);
        cpu->exit.instruction_length = vmread32(VMCS_entry_instruction_length);
    }
    return true;
}
