/* SPDX-License-Identifier: MIT */
/*
 * The facts of VMX as constants, from the tables beside this file. No code: hv/ and model/ both include it, and
 * neither includes the other.
 *
 *   VMCS_<field>      the field's encoding           EXIT_REASON_<name>  the basic exit reason
 *   PIN_<control> ... the control's bit as a mask    VM_ERROR_<name>     the VM-instruction error number
 *   MSR_<name>        the MSR's index
 */
#ifndef SESQUI_ARCH_VMX_H
#define SESQUI_ARCH_VMX_H

enum vmcs_encoding {
#define FIELD(name, encoding, exists) VMCS_##name = (encoding),
#include "arch/vmcs_fields.def"
};

enum vmx_control {
#define CONTROL(word, name, bit, text) word##_##name = 1u << (bit),
#include "arch/vmx_controls.def"
};

enum exit_reason {
#define EXIT_REASON(name, number, text) EXIT_REASON_##name = (number),
#include "arch/exit_reasons.def"
    EXIT_REASON_none = 0xffff,
};
#define EXIT_REASON_ENTRY_FAILURE 0x80000000u   /* SDM Vol. 3, 25.9.1: bit 31 of the exit-reason field */

enum vm_instruction_error {
#define VM_ERROR(number, name, text) VM_ERROR_##name = (number),
#include "arch/vm_instruction_errors.def"
};

enum msr_index {
#define MSR(name, index, kind) MSR_##name = (index),
#include "arch/msrs.def"
};

/* Components of an encoding (SDM Vol. 3, 25.11.2, Table 25-21). */
enum vmcs_width { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
enum vmcs_type { VMCS_TYPE_CONTROL, VMCS_TYPE_EXIT_INFORMATION, VMCS_TYPE_GUEST, VMCS_TYPE_HOST };
#define VMCS_ENCODING_HIGH(e) ((e) & 1u)
#define VMCS_ENCODING_INDEX(e) ((e) >> 1 & 0x1ffu)
#define VMCS_ENCODING_TYPE(e) ((e) >> 10 & 3u)
#define VMCS_ENCODING_WIDTH(e) ((e) >> 13 & 3u)

#define VMCS_SHADOW_INDICATOR 0x80000000u       /* bit 31 of a VMCS region's first dword: SDM Vol. 3, 25.2 */

/* Interruption information, IDT-vectoring information (SDM Vol. 3, 25.8.3, 25.9.2, 25.9.3). */
#define INTERRUPTION_VECTOR(i) ((i) & 0xffu)
#define INTERRUPTION_TYPE(i) ((i) >> 8 & 7u)
#define INTERRUPTION_ERROR_CODE_VALID (1u << 11)
#define INTERRUPTION_NMI_UNBLOCKING (1u << 12)
#define INTERRUPTION_VALID (1u << 31)

/* Interruptibility state (SDM Vol. 3, 25.4.2, Table 25-3). */
#define BLOCKING_BY_STI (1u << 0)
#define BLOCKING_BY_MOV_SS (1u << 1)
#define BLOCKING_BY_SMI (1u << 2)
#define BLOCKING_BY_NMI (1u << 3)

/* Pending debug exceptions (SDM Vol. 3, 25.4.2, Table 25-4). */
#define PENDING_DEBUG_BREAKPOINTS 0xfull
#define PENDING_DEBUG_ENABLED (1ull << 12)      /* at least one of them is enabled in DR7 */
#define PENDING_DEBUG_BS (1ull << 14)

enum activity_state { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_FOR_SIPI };

/* Segment access rights as the VMCS holds them (SDM Vol. 3, 25.4.1, Table 25-2). */
#define AR_TYPE(ar) ((ar) & 0xfu)
#define AR_S (1u << 4)
#define AR_DPL(ar) ((ar) >> 5 & 3u)
#define AR_PRESENT (1u << 7)
#define AR_AVL (1u << 12)
#define AR_L (1u << 13)
#define AR_DB (1u << 14)
#define AR_G (1u << 15)
#define AR_UNUSABLE (1u << 16)

/* EPT entries and the EPT pointer (SDM Vol. 3, 29.3). */
#define EPT_READ (1ull << 0)
#define EPT_WRITE (1ull << 1)
#define EPT_EXECUTE (1ull << 2)
#define EPT_RIGHTS (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define EPT_MEMORY_TYPE(e) ((e) >> 3 & 7u)
#define EPT_IGNORE_PAT (1ull << 6)
#define EPT_LARGE (1ull << 7)
#define EPT_ACCESSED (1ull << 8)
#define EPT_DIRTY (1ull << 9)
#define EPT_USER_EXECUTE (1ull << 10)           /* XU: with mode-based execute control */
#define EPT_SUPPRESS_VE (1ull << 63)
#define EPTP_MEMORY_TYPE(p) ((p) & 7u)
#define EPTP_WALK_LENGTH(p) (((p) >> 3 & 7u) + 1)
#define EPTP_ACCESSED_DIRTY (1ull << 6)

/* EPT-violation exit qualification (SDM Vol. 3, 28.2.1, Table 28-7). */
#define EPT_VIOLATION_READ (1ull << 0)
#define EPT_VIOLATION_WRITE (1ull << 1)
#define EPT_VIOLATION_FETCH (1ull << 2)
#define EPT_VIOLATION_RIGHTS_SHIFT 3
#define EPT_VIOLATION_USER_EXECUTE (1ull << 6)  /* XU of all entries used: with mode-based execute control */
#define EPT_VIOLATION_LINEAR_VALID (1ull << 7)
#define EPT_VIOLATION_TRANSLATION (1ull << 8)   /* the access itself, not a paging-structure entry */
/* Advanced VM-exit information: what guest paging says of the page; with bits 7 and 8. */
#define EPT_VIOLATION_USER_PAGE (1ull << 9)
#define EPT_VIOLATION_WRITABLE_PAGE (1ull << 10)
#define EPT_VIOLATION_EXECUTE_DISABLE_PAGE (1ull << 11)
#define EPT_VIOLATION_NMI_UNBLOCKING (1ull << 12)

/* IA32_APIC_BASE (SDM Vol. 3, 11.4.4). */
#define APIC_BASE_BSP (1ull << 8)
#define APIC_BASE_X2APIC (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_BASE_ADDRESS 0x000ffffffffff000ull

/* MSR_PKG_CST_CONFIG_CONTROL (SDM Vol. 4, ch. 2): bits 15:0 keep their values. */
#define CST_CONFIG_LOCK (1ull << 15)

/* IA32_FEATURE_CONTROL (SDM Vol. 3, 24.7). */
#define FEATURE_CONTROL_LOCK (1ull << 0)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX (1ull << 2)

#endif
