/* SPDX-License-Identifier: MIT */
/* The HAL on the metal: VMX instructions (SDM Vol. 3, ch. 31), and the state that every VM exit loads. */
#include "hv/x86/x86.h"

int world_enter(struct hal_registers *registers, bool launch);
extern const uint8_t world_exit[];

/* In the text: of two flags as outputs ("=@ccc", "=@ccz") clang 14 loses the second one. */
#define RESULT "\n setc %0\n setz %1"
#define VMX(instruction, ...)                                                                                       \
    ({                                                                                                              \
        bool invalid_, valid_;                                                                                      \
        __asm__ volatile(instruction RESULT : "=qm"(invalid_), "=qm"(valid_) : __VA_ARGS__ : "cc", "memory");       \
        invalid_ ? HAL_FAIL_INVALID : valid_ ? HAL_FAIL_VALID : HAL_OK;                                             \
    })

/* It faults where this processor does not enter VMX operation: in A20M mode, or with control registers that it does not support there. */
enum hal_result hal_vmxon(physical_address region)
{
    bool failed = true;

    __asm__ volatile("1: vmxon %1\n setbe %0\n2:" FIXUP("1b", "2b") : "+q"(failed) : "m"(region.value) : "cc", "memory");
    return failed ? HAL_FAIL_INVALID : HAL_OK;
}

void hal_vmxoff(void) { __asm__ volatile("vmxoff" : : : "cc", "memory"); }
enum hal_result hal_vmclear(physical_address vmcs) { return VMX("vmclear %2", "m"(vmcs.value)); }
enum hal_result hal_vmptrld(physical_address vmcs) { return VMX("vmptrld %2", "m"(vmcs.value)); }

physical_address vmptrst(void)
{
    physical_address vmcs;
    __asm__ volatile("vmptrst %0" : "=m"(vmcs.value) : : "cc", "memory");
    return vmcs;
}

uint64_t hal_vmread(enum vmcs_encoding field)
{
    uint64_t value;

    __asm__ goto volatile("vmread %1, %0\n jbe %l2" : "=r"(value) : "r"((uint64_t)field) : "cc" : failed);
    if (options.trace_fields)
        log_field(false, field, value);
    return value;
failed:
    hal_fail_stop("a VMREAD of L0 failed");
}

void hal_vmwrite(enum vmcs_encoding field, uint64_t value)
{
    __asm__ goto volatile("vmwrite %1, %0\n jbe %l2" : : "r"((uint64_t)field), "r"(value) : "cc", "memory" : failed);
    if (options.trace_fields)
        log_field(true, field, value);
    return;
failed:
    hal_fail_stop("a VMWRITE of L0 failed");
}

/* SDM Vol. 3, 31.3: the descriptors of INVEPT and INVVPID. */
enum hal_result hal_invept(uint64_t type, uint64_t eptp)
{
    const uint64_t descriptor[2] = { eptp, 0 };
    return VMX("invept %2, %3", "m"(descriptor), "r"(type));
}

enum hal_result hal_invvpid(uint64_t type, uint16_t vpid, uint64_t linear)
{
    const uint64_t descriptor[2] = { vpid, linear };
    return VMX("invvpid %2, %3", "m"(descriptor), "r"(type));
}

enum hal_result hal_enter(struct hal_registers *registers, bool launch)
{
    struct processor *processor = this_processor();

    processor->ready = true;
    enum hal_result result = (enum hal_result)world_enter(registers, launch);
    if (stopped)
        halt();
    if (result == HAL_OK)
        log_exit();
    else if (result > 0)
        __atomic_fetch_and(&processor->nmi, (uint8_t)~result, __ATOMIC_SEQ_CST);    /* one that comes now counts again */
    else
        log_refused();
    return result;
}

static uint64_t msr(uint32_t index)
{
    uint64_t value = 0;
    hal_rdmsr(index, &value);
    return value;
}

void hal_host_state(struct hal_host_state *state)
{
    struct processor *processor = this_processor();

    *state = (struct hal_host_state){
        .cr0 = read_cr0(), .cr3 = read_cr3(), .cr4 = hal_read_cr4(),
        .rip = (uint64_t)world_exit, .rsp = (uint64_t)&processor->registers,
        .gs_base = (uint64_t)processor, .tr_base = (uint64_t)&processor->task_state,
        .gdtr_base = store_gdtr().base, .idtr_base = store_idtr().base,
        .efer = msr(MSR_ia32_efer), .pat = msr(MSR_ia32_pat),
        .es = SELECTOR_DATA, .cs = SELECTOR_CODE, .ss = SELECTOR_DATA, .ds = SELECTOR_DATA, .fs = SELECTOR_DATA,
        .gs = SELECTOR_DATA, .tr = (uint16_t)(SELECTOR_TSS + 16 * processor->index),
    };
}
