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

/* RSP is in the VMCS while L0 works; nothing uses the stack meanwhile. */
static void try_rsp(void)
{
    uint64_t value = 0x1234500000000000 + __LINE__, rsp;

    __asm__ volatile("movq %%rsp, %1\n\tmovq %0, %%rsp\n\tvmwrite %%rsp, %2\n\tmovq $0, %%rsp\n\tvmread %2, %%rsp\n\t"
                     "subq %%rsp, %0\n\tmovq %1, %%rsp"
                     : "+r"(value), "=&r"(rsp) : "r"((uint64_t)VMCS_host_rsp) : "cc", "memory");
    check("VMWRITE and VMREAD through rsp", value, 0);
}

void try_every_register(void)
{
    try_rsp();
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
