/* SPDX-License-Identifier: MIT */
/* The VMX instructions: SDM Vol. 3, ch. 31. */
#ifndef SESQUI_GUESTS_VMX_H
#define SESQUI_GUESTS_VMX_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/vmx.h"

/* 0 VMsucceed, VMX_INVALID VMfailInvalid, else the VM-instruction error number (31.2). */
typedef int vmx_result;
enum { VMX_INVALID = -1 };

/* The operands of VMREAD and VMWRITE are as wide as the mode: outside 64-bit mode a field of 64 bits has two halves. */
static inline bool vmx_in_halves(unsigned long field)
{
    return sizeof(long) == 4 && VMCS_ENCODING_WIDTH(field) == VMCS_WIDTH_64 && !VMCS_ENCODING_HIGH(field);
}

static inline unsigned long vmread_part(unsigned long field)
{
    unsigned long value = 0;
    __asm__ volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
    return value;
}

static inline uint64_t vmread(unsigned long field)
{
    return vmread_part(field) | (vmx_in_halves(field) ? (uint64_t)vmread_part(field + 1) << 32 : 0);
}

static inline vmx_result vmx_result_of(bool invalid, bool valid)
{
    return invalid ? VMX_INVALID : valid ? (vmx_result)vmread(VMCS_vm_instruction_error) : 0;
}

/* SETC and SETZ in the text: of two flags as outputs ("=@ccc", "=@ccz") clang 14 loses the second one. */
#define VMX_INSTRUCTION(text, ...) \
    ({ \
        bool invalid_, valid_; \
        __asm__ volatile inline(text "\n\tsetc %0\n\tsetz %1" : "=qm"(invalid_), "=qm"(valid_) : __VA_ARGS__ : "cc", "memory"); \
        vmx_result_of(invalid_, valid_); \
    })

static inline __attribute__((always_inline)) vmx_result vmxon(uint64_t pa) { return VMX_INSTRUCTION("vmxon %2", "m"(pa)); }
static inline __attribute__((always_inline)) vmx_result vmclear(uint64_t pa) { return VMX_INSTRUCTION("vmclear %2", "m"(pa)); }
static inline __attribute__((always_inline)) vmx_result vmptrld(uint64_t pa) { return VMX_INSTRUCTION("vmptrld %2", "m"(pa)); }
static inline vmx_result vmwrite_part(unsigned long field, unsigned long value)
{
    return VMX_INSTRUCTION("vmwrite %3, %2", "r"(field), "rm"(value));
}
static inline vmx_result vmwrite(unsigned long field, uint64_t value)
{
    vmx_result result = vmwrite_part(field, (unsigned long)value);
    return result || !vmx_in_halves(field) ? result : vmwrite_part(field + 1, (unsigned long)(value >> 32));
}
/* VMREAD with its result, the value dropped. */
static inline vmx_result vmread_result(unsigned long field)
{
    unsigned long value;
    return VMX_INSTRUCTION("vmread %3, %2", "m"(value), "r"(field));
}
static inline vmx_result vmxoff(void) { return VMX_INSTRUCTION("vmxoff", "i"(0)); }
static inline vmx_result vmcall(void) { return VMX_INSTRUCTION("vmcall", "i"(0)); }
/* VMLAUNCH in the shadow of MOV SS: SDM Vol. 3, 27.1. */
static inline vmx_result vmlaunch_after_mov_ss(void)
{
    return VMX_INSTRUCTION("movl %%ss, %%eax\n\tmovl %%eax, %%ss\n\tvmlaunch", "i"(0));
}
static inline uint64_t vmptrst(void)
{
    uint64_t pa;
    __asm__ volatile("vmptrst %0" : "=m"(pa) : : "cc", "memory");
    return pa;
}

enum { INVEPT_SINGLE_CONTEXT = 1, INVEPT_ALL_CONTEXT = 2 };
enum { INVVPID_ADDRESS = 0, INVVPID_SINGLE_CONTEXT = 1, INVVPID_ALL_CONTEXT = 2, INVVPID_RETAINING_GLOBALS = 3 };
struct invalidation { uint64_t tag, linear; };

static inline vmx_result invept(unsigned long type, uint64_t eptp)
{
    struct invalidation descriptor = { eptp, 0 };
    return VMX_INSTRUCTION("invept %2, %3", "m"(descriptor), "r"(type));
}
static inline vmx_result invvpid(unsigned long type, uint16_t vpid, uint64_t linear)
{
    struct invalidation descriptor = { vpid, linear };
    return VMX_INSTRUCTION("invvpid %2, %3", "m"(descriptor), "r"(type));
}

/* Interruption information without error code: SDM Vol. 3, 25.8.3. */
#define INTERRUPTION(vector, type) (INTERRUPTION_VALID | (uint32_t)(type) << 8 | (vector))

#endif
