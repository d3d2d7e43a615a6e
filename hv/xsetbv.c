/* SPDX-License-Identifier: MIT */
/* XSETBV of L1 exits always (SDM Vol. 3, 26.1.2). XCR0 is L1's; hardware judges the value, with #GP caught. */
#include "hv/core.h"

void xsetbv_exit(struct hv_cpu *cpu)
{
    const uint64_t value = (uint64_t)(uint32_t)guest_register(cpu, RDX) << 32 | (uint32_t)guest_register(cpu, RAX);

    if (guest_cpl() || !hal_xsetbv((uint32_t)guest_register(cpu, RCX), value)) {
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    guest_advance();
}
