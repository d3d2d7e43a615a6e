/* SPDX-License-Identifier: MIT */
/* Events into the guest by VM-entry event injection: SDM Vol. 3, 25.8.3, 27.6. */
#include "hv/core.h"

#include "hv/nested/shadow.h"

/* SDM Vol. 3, 6.15, Tables 6-4 and 6-5: what a second exception during delivery makes of the two. */
enum exception_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum exception_class class_of(unsigned vector)
{
    switch (vector) {
    case VECTOR_DE: case VECTOR_TS: case VECTOR_NP: case VECTOR_SS: case VECTOR_GP: case VECTOR_CP:
        return CLASS_CONTRIBUTORY;
    case VECTOR_PF: case VECTOR_VE:
        return CLASS_PAGE_FAULT;
    case VECTOR_DF:
        return CLASS_DOUBLE_FAULT;
    default:
        return CLASS_BENIGN;
    }
}

static bool has_error_code(enum vector vector)
{
    return vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) || vector == VECTOR_AC ||
           vector == VECTOR_CP;
}

/* An event of INT n, INT3, INTO or INT1, which has an instruction length (SDM Vol. 3, 25.9.3). */
static bool software_event(uint32_t information)
{
    return information & INTERRUPTION_VALID && INTERRUPTION_TYPE(information) >= EVENT_SOFTWARE_INTERRUPT &&
           INTERRUPTION_TYPE(information) <= EVENT_SOFTWARE_EXCEPTION;
}

/* The guest of this level shuts down. */
static void triple_fault(struct hv_cpu *cpu)
{
    if (cpu->level == 1) {
        vmcs01_shutdown(cpu);
        return;
    }
    exit_invent(cpu, (struct exit_record){ .reason = EXIT_REASON_triple_fault });
    reflect_exit(cpu);
}

/* `address`: what goes to CR2, for #PF. */
static void inject(struct hv_cpu *cpu, enum vector vector, uint32_t error_code, uint64_t address)
{
    bool code;
    uint32_t info, vectoring;

    exit_need(cpu, EXIT_vectoring);
    vectoring = cpu->exit.vectoring;

    if (vectoring & INTERRUPTION_VALID && INTERRUPTION_TYPE(vectoring) == EVENT_HARDWARE_EXCEPTION) {
        enum exception_class first = class_of(INTERRUPTION_VECTOR(vectoring)), second = class_of(vector);
        if (first == CLASS_DOUBLE_FAULT && second != CLASS_BENIGN) {
            triple_fault(cpu);
            return;
        }
        if ((first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
            (first == CLASS_PAGE_FAULT && second != CLASS_BENIGN)) {
            vector = VECTOR_DF;
            error_code = 0;
        }
    }
    code = has_error_code(vector) && vmread(VMCS_guest_cr0) & CR0_PE;   /* in real mode there is none: 27.2.1.3, 28.2.2 */
    info = INTERRUPTION_VALID | EVENT_HARDWARE_EXCEPTION << 8 | vector | (code ? INTERRUPTION_ERROR_CODE_VALID : 0);
    error_code = code ? error_code : 0;
    hal_log(HAL_EVENT_INJECT, vector, error_code, 0, 0);
    vmwrite(VMCS_guest_rflags, vmread(VMCS_guest_rflags) | RFLAGS_RF);  /* 18.3.1.1, 28.3.3: faults push, or save, RF = 1 */
    if (cpu->level == 2 && nested_wants_exception(vector, error_code)) {
        exit_need(cpu, EXIT_vectoring_error | EXIT_instruction_length);
        exit_invent(cpu, (struct exit_record){
            .reason = EXIT_REASON_exception_or_nmi, .qualification = vector == VECTOR_PF ? address : 0,
            .interruption = info, .interruption_error = error_code,
            .vectoring = vectoring, .vectoring_error = cpu->exit.vectoring_error,
            .instruction_length = software_event(vectoring) ? cpu->exit.instruction_length : 0,
        });
        reflect_exit(cpu);
        return;
    }
    if (vector == VECTOR_PF)
        hal_write_cr2(address);
    if (cpu->level == 2)
        shadow_before_injection(cpu);
    vmwrite(VMCS_entry_interruption_information, info);
    vmwrite(VMCS_entry_exception_error_code, error_code);
}

void inject_exception(struct hv_cpu *cpu, enum vector vector, uint32_t error_code)
{
    inject(cpu, vector, error_code, 0);
}

void inject_page_fault(struct hv_cpu *cpu, uint64_t linear, uint32_t error_code)
{
    inject(cpu, VECTOR_PF, error_code, linear);
}

/* SDM Vol. 3, 28.2.1, Table 28-7: bit 12 is undefined with "NMI exiting" and without "virtual NMIs". */
static bool unblocking_defined(void)
{
    return (vmread(VMCS_pin_based_controls) & (PIN_nmi_exiting | PIN_virtual_nmis)) != PIN_nmi_exiting;
}

/*
 * SDM Vol. 3, 28.2.4: IDT-vectoring information has the format of the entry field but for bit 12. An NMI that is
 * injected again must not find itself blocked (27.3.1.5), and an IRET that faulted after it unblocked NMIs must block
 * them again (28.2.3).
 */
void inject_again(struct hv_cpu *cpu)
{
    uint32_t interruptibility, vectoring;

    exit_need(cpu, EXIT_qualification | EXIT_vectoring | EXIT_vectoring_error | EXIT_instruction_length);
    vectoring = cpu->exit.vectoring;
    if (!(vectoring & INTERRUPTION_VALID)) {
        if (cpu->exit.reason == EXIT_REASON_ept_violation && cpu->exit.qualification & EPT_VIOLATION_NMI_UNBLOCKING &&
            unblocking_defined())
            vmwrite(VMCS_guest_interruptibility_state,
                    vmread32(VMCS_guest_interruptibility_state) | BLOCKING_BY_NMI);
        return;
    }
    if (cpu->level == 2)
        shadow_before_injection(cpu);
    vmwrite(VMCS_entry_interruption_information, vectoring & ~INTERRUPTION_NMI_UNBLOCKING);
    if (vectoring & INTERRUPTION_ERROR_CODE_VALID)
        vmwrite(VMCS_entry_exception_error_code, cpu->exit.vectoring_error);
    vmwrite(VMCS_entry_instruction_length, cpu->exit.instruction_length);
    interruptibility = vmread32(VMCS_guest_interruptibility_state);
    if (INTERRUPTION_TYPE(vectoring) == EVENT_NMI && interruptibility & BLOCKING_BY_NMI)
        vmwrite(VMCS_guest_interruptibility_state, interruptibility & ~BLOCKING_BY_NMI);
}
