/* SPDX-License-Identifier: MIT */
/* The capability MSRs: SDM Vol. 3, Appendix A. They report exactly what the model implements. */
#ifndef SESQUI_MODEL_CAPABILITY_H
#define SESQUI_MODEL_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

/* Of IA32_VMX_BASIC, IA32_VMX_MISC and IA32_VMX_VMFUNC: CAPABILITY_BASIC_<name>, CAPABILITY_MISC_<name>, as numbers of bits. */
enum vmx_bit {
#define VMX_BIT(msr, name, bit, text) CAPABILITY_##msr##_##name = (bit),
#include "arch/vmx_bits.def"
};
/* Of IA32_VMX_MISC (A.6). */
#define CAPABILITY_MSR_LIST(misc) (512u * (((misc) >> 25 & 7u) + 1))    /* entries that an MSR area may have */
#define CAPABILITY_TIMER_RATE(misc) ((misc) & 0x1fu)
#define CAPABILITY_CR3_TARGETS(misc) ((misc) >> 16 & 0x1ffu)
#define CAPABILITY_VMWRITE_ANY (1ull << 29)
#define CAPABILITY_INJECT_LENGTH_0 (1ull << 30)
/* Of IA32_VMX_EPT_VPID_CAP (A.10). */
#define CAPABILITY_EPT_WALK_5 (1ull << 7)
#define CAPABILITY_EPT_UNCACHEABLE (1ull << 8)
#define CAPABILITY_EPT_WRITE_BACK (1ull << 14)
#define CAPABILITY_EPT_ACCESSED_DIRTY (1ull << 21)
#define CAPABILITY_EPT_EXIT_INFORMATION (1ull << 22)     /* advanced information for EPT violations */

/* A row of arch/ept_vpid.def: the bit's number in IA32_VMX_EPT_VPID_CAP. */
enum ept_vpid_bit {
#define EPT_VPID(name, bit, needs, text) EPT_VPID_##name = (bit),
#include "arch/ept_vpid.def"
};

/* A row of arch/vmx_controls.def. */
enum control_id {
#define CONTROL(word, name, bit, text) CONTROL_##word##_##name,
#include "arch/vmx_controls.def"
    CONTROL_ALWAYS,             /* no control: for fields that exist on every processor */
};

struct control_word {
    uint32_t default1;          /* must be 1 by the plain MSR (default1 class, A.2) */
    uint32_t required;          /* must be 1 by the TRUE MSR */
    uint32_t allowed;           /* may be 1 */
};

/* The words of arch/vmx_controls.def. */
enum control_word_id { WORD_PIN, WORD_PROC, WORD_PROC2, WORD_EXIT, WORD_ENTRY, WORD_COUNT };

struct vmx_capability {
    union {
        struct { struct control_word pin, proc, proc2, exit, entry; };
        struct control_word word[WORD_COUNT];
    };
    uint64_t basic, misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum, ept_vpid, vmfunc;
};

#define VMCS_REVISION 0x53510001u               /* this model's revision identifier */
/* The revision identifier that software finds: bits 30:0 of IA32_VMX_BASIC (A.1). */
static inline uint32_t capability_revision(const struct vmx_capability *capability)
{
    return (uint32_t)capability->basic & 0x7fffffff;
}

static inline bool capability_basic(const struct vmx_capability *capability, enum vmx_bit bit)
{
    return capability->basic >> bit & 1;
}
static inline bool capability_misc(const struct vmx_capability *capability, enum vmx_bit bit)
{
    return capability->misc >> bit & 1;
}
static inline bool capability_ept_vpid(const struct vmx_capability *capability, unsigned bit)
{
    return capability->ept_vpid >> bit & 1;
}
/* Are these types of INVEPT and INVVPID supported (31.3)?  Any 64 bits are asked about. */
static inline bool capability_invept_type(const struct vmx_capability *capability, uint64_t type)
{
    return (type == 1 && capability_ept_vpid(capability, EPT_VPID_invept_single_context)) ||
           (type == 2 && capability_ept_vpid(capability, EPT_VPID_invept_all_context));
}
static inline bool capability_invvpid_type(const struct vmx_capability *capability, uint64_t type)
{
    return type <= 3 && capability_ept_vpid(capability, EPT_VPID_invvpid_address + (unsigned)type);
}

/* May the control be 1?  CONTROL_ALWAYS: true. */
bool capability_control_allowed(const struct vmx_capability *capability, enum control_id control);

/* What a processor lacks of that which the model implements: bits of the control words, of IA32_VMX_EPT_VPID_CAP, of
 * IA32_VMX_BASIC, IA32_VMX_MISC and IA32_VMX_VMFUNC, or all of VMX. */
struct vmx_lacks {
    uint32_t word[WORD_COUNT];
    uint64_t ept_vpid, basic, misc, vmfunc;
    bool vmx;
};
/* `lacks`: NULL for nothing. What cannot be used without something that is lacking goes with it. */
void capability_init(struct vmx_capability *capability, const struct vmx_lacks *lacks);
bool capability_vmx(const struct vmx_capability *capability);   /* is there VMX at all? */
/* Value of a capability MSR (0x480-0x491). False: no such MSR. */
bool capability_msr(const struct vmx_capability *capability, uint32_t index, uint64_t *value);

#endif
