/* SPDX-License-Identifier: MIT */
/* The capability MSRs: SDM Vol. 3, Appendix A. They report exactly what the model implements. */
#ifndef SESQUI_MODEL_CAPABILITY_H
#define SESQUI_MODEL_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

struct control_word {
    uint32_t default1;          /* must be 1 by the plain MSR (default1 class, A.2) */
    uint32_t required;          /* must be 1 by the TRUE MSR */
    uint32_t allowed;           /* may be 1 */
};

struct vmx_capability {
    struct control_word pin, proc, proc2, exit, entry;
    uint64_t basic, misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum, ept_vpid, vmfunc;
};

#define VMCS_REVISION 0x53510001u               /* revision identifier, bits 30:0 of IA32_VMX_BASIC */

void capability_init(struct vmx_capability *capability);
/* Value of a capability MSR (0x480-0x491). False: no such MSR. */
bool capability_msr(const struct vmx_capability *capability, uint32_t index, uint64_t *value);

#endif
