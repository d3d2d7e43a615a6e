/* SPDX-License-Identifier: MIT */
/*
 * Operands of VMX instructions. Hardware decoded them into the VM-exit instruction information (SDM Vol. 3, 28.2.5,
 * Tables 28-9, 28-13, 28-14) and the displacement into the exit qualification (28.2.1); segmentation is left to
 * software.
 */
#include "hv/core.h"

#define INFO_SCALE(i) ((i) & 3u)
#define INFO_REGISTER1(i) ((i) >> 3 & 15u)
#define INFO_ADDRESS_SIZE(i) ((i) >> 7 & 7u)    /* 0: 16 bits, 1: 32, 2: 64 */
#define INFO_IN_REGISTER (1u << 10)
#define INFO_SEGMENT(i) ((i) >> 15 & 7u)
#define INFO_INDEX(i) ((i) >> 18 & 15u)
#define INFO_NO_INDEX (1u << 22)
#define INFO_BASE(i) ((i) >> 23 & 15u)
#define INFO_NO_BASE (1u << 27)
#define INFO_REGISTER2(i) ((i) >> 28 & 15u)

unsigned operand_register1(const struct hv_cpu *cpu)
{
    return INFO_REGISTER1(cpu->exit.instruction_information);
}

unsigned operand_register2(const struct hv_cpu *cpu)
{
    return INFO_REGISTER2(cpu->exit.instruction_information);
}

bool operand_in_register(const struct hv_cpu *cpu)
{
    return cpu->exit.instruction_information & INFO_IN_REGISTER;
}

static uint64_t effective_address(const struct hv_cpu *cpu)
{
    uint32_t info = cpu->exit.instruction_information;
    uint64_t address = cpu->exit.qualification;

    if (!(info & INFO_NO_BASE))
        address += guest_register(cpu, INFO_BASE(info));
    if (!(info & INFO_NO_INDEX))
        address += guest_register(cpu, INFO_INDEX(info)) << INFO_SCALE(info);
    return INFO_ADDRESS_SIZE(info) == 2 ? address : INFO_ADDRESS_SIZE(info) == 1 ? address & 0xffffffff
                                                                                : address & 0xffff;
}

/* May [offset, offset + length) of this segment be accessed (SDM Vol. 3, 5.3, 5.5, 3.4.5.1)? */
static bool segment_allows(const struct hal_guest_segment *s, uint64_t offset, unsigned length, bool write)
{
    uint32_t type = AR_TYPE(s->access_rights);
    bool code = type & 8, writable = !code && type & 2, readable = !code || type & 2, expand_down = !code && type & 4;
    uint64_t last = offset + length - 1, top = s->access_rights & AR_DB ? 0xffffffff : 0xffff;

    if (s->access_rights & AR_UNUSABLE || (write ? !writable : !readable))
        return false;
    return expand_down ? offset > s->limit && last <= top : last <= s->limit;
}

bool operand_locate(struct hv_cpu *cpu, unsigned length, bool write, uint64_t *linear)
{
    const enum segment_register segment = (enum segment_register)INFO_SEGMENT(cpu->exit.instruction_information);
    const enum vector vector = segment == SEG_SS ? VECTOR_SS : VECTOR_GP;
    const uint64_t offset = effective_address(cpu);
    bool allowed;

    if (segment > SEG_GS)
        hal_fail_stop("instruction information names a segment that does not exist");
    const struct hal_guest_segment s = vmcs_read_segment(segment);
    if (guest_64bit()) {
        *linear = offset + (segment == SEG_FS || segment == SEG_GS ? s.base : 0);
        allowed = canonical(*linear) && canonical(*linear + length - 1);
    } else {
        *linear = (offset + s.base) & 0xffffffff;
        allowed = segment_allows(&s, offset, length, write);
    }
    if (!allowed)
        inject_exception(cpu, vector, 0);
    return allowed;
}

bool operand_load(struct hv_cpu *cpu, void *to, unsigned length)
{
    uint64_t linear;

    return operand_locate(cpu, length, false, &linear) && l1_read_linear(cpu, linear, to, length);
}

bool operand_store(struct hv_cpu *cpu, const void *from, unsigned length)
{
    uint64_t linear;

    return operand_locate(cpu, length, true, &linear) && l1_write_linear(cpu, linear, from, length);
}
