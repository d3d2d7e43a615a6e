/* SPDX-License-Identifier: MIT */
/* VMX capabilities (SDM Vol. 3, Appendix A): those of the processor, and those that L1 is shown. */
#ifndef SESQUI_HV_CAPABILITY_H
#define SESQUI_HV_CAPABILITY_H

#include "hv/hal.h"

struct hv_cpu;

struct control_word {
    uint32_t required;          /* must be 1 by the TRUE MSR */
    uint32_t default1;          /* must be 1 by the plain MSR */
    uint32_t allowed;           /* may be 1 */
};

struct capability {
    uint64_t basic, misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum, ept_vpid;
    struct control_word pin, proc, proc2, exit, entry;
};

/* The control by whose 1-setting a VMCS field exists: third column of arch/vmcs_fields.def. */
enum control_id {
    CONTROL_ALWAYS,
#define CONTROL(word, name, bit, text) CONTROL_##word##_##name,
#include "arch/vmx_controls.def"
};

/* IA32_VMX_BASIC (A.1). */
#define BASIC_REVISION(basic) ((uint32_t)(basic) & 0x7fffffffu)
#define BASIC_TRUE_CONTROLS (1ull << 55)

/* IA32_VMX_MISC (A.6). */
#define MISC_STORES_LMA (1ull << 5)
#define MISC_ACTIVITY_HLT (1ull << 6)
#define MISC_ACTIVITY_SHUTDOWN (1ull << 7)
#define MISC_ACTIVITY_WAIT_FOR_SIPI (1ull << 8)
#define MISC_CR3_TARGETS(misc) ((misc) >> 16 & 0x1ff)
#define MISC_VMWRITE_ANY (1ull << 29)
#define MISC_INJECT_LENGTH_0 (1ull << 30)

/* IA32_VMX_EPT_VPID_CAP (A.10). */
#define EPT_CAP_EXECUTE_ONLY (1ull << 0)
#define EPT_CAP_WALK_4 (1ull << 6)
#define EPT_CAP_UNCACHEABLE (1ull << 8)
#define EPT_CAP_WRITE_BACK (1ull << 14)
#define EPT_CAP_2M (1ull << 16)
#define EPT_CAP_1G (1ull << 17)
#define EPT_CAP_INVEPT (1ull << 20)
#define EPT_CAP_ACCESSED_DIRTY (1ull << 21)
#define EPT_CAP_ADVANCED_INFORMATION (1ull << 22)
#define EPT_CAP_INVEPT_SINGLE (1ull << 25)
#define EPT_CAP_INVEPT_GLOBAL (1ull << 26)
#define VPID_CAP_INVVPID (1ull << 32)
#define VPID_CAP_INVVPID_TYPES (0xfull << 40)
#define VPID_CAP_INVVPID_SINGLE (1ull << 41)
#define VPID_CAP_INVVPID_ALL (1ull << 42)

enum { INVEPT_SINGLE = 1, INVEPT_GLOBAL = 2 };
enum { INVVPID_ADDRESS, INVVPID_SINGLE, INVVPID_ALL, INVVPID_SINGLE_KEEP_GLOBAL };

/* Revision identifier of the VMCS regions that L1 makes: their format is the core's own (nested/vmcs12.c). */
#define VMCS12_REVISION 0x53510012u
/* Most entries of an MSR area that L1 may give: IA32_VMX_MISC[27:25] is 0. */
enum { MSR_AREA_MAX = 512 };

/* Reads the processor's capabilities. False: it has no VMX capability MSRs. */
bool capability_read(struct capability *physical);
/* NULL, or what the core needs and the processor lacks. */
const char *capability_missing(const struct capability *physical);
/* What L1 is shown: what the processor has and the core can virtualise. */
void capability_offer(const struct capability *physical, struct capability *offered);
/* Value of a capability MSR (0x480-0x493). False: there is no such MSR. */
bool capability_value(const struct capability *capability, uint32_t index, uint64_t *value);
/* `wanted` with the bits that must be 1, for L0's own use. */
uint32_t control_adjust(struct control_word word, uint32_t wanted);
bool control_legal(struct control_word word, uint32_t value);
bool control_exists(const struct capability *capability, enum control_id control);
/* Can this be an EPT pointer (SDM Vol. 3, 25.6.11, Table 25-9)? */
bool eptp_valid(const struct capability *capability, unsigned physical_address_width, uint64_t eptp);

#endif
