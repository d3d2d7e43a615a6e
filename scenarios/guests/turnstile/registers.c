/* SPDX-License-Identifier: MIT */
/* Is the register that L0 takes an operand from the one that the instruction names?  SDM Vol. 3, 28.2.5. */
#include "scenarios/guests/turnstile/guests.h"

#include "scenarios/guests/turnstile/transcript.h"

/* VMWRITE from a register and VMREAD into it, of a field that entering sets anyway; its neighbours must not change. */
#define THROUGH(name) \
    do { \
        uint64_t value = 0x1234500000000000 + __LINE__; \
        __asm__ volatile("movq %0, %%" name "\n\tvmwrite %%" name ", %1\n\tmovq $0, %%" name "\n\t" \
                         "vmread %1, %%" name "\n\tsubq %%" name ", %0" \
                         : "+r"(value) : "r"((uint64_t)VMCS_host_rsp) : name, "cc", "memory"); \
        check("VMWRITE and VMREAD through " name, value, 0); \
    } while (0)

void try_every_register(void)
{
    THROUGH("rax");
    THROUGH("rcx");
    THROUGH("rdx");
    THROUGH("rbx");
    THROUGH("rbp");
    THROUGH("rsi");
    THROUGH("rdi");
    THROUGH("r8");
    THROUGH("r9");
    THROUGH("r10");
    THROUGH("r11");
    THROUGH("r12");
    THROUGH("r13");
    THROUGH("r14");
    THROUGH("r15");
}
