/* SPDX-License-Identifier: MIT */
/* MOV to and from control and debug registers, CLTS, LMSW, SMSW: SDM Vol. 2, and Vol. 3, 26.3 in non-root operation. */
#include "model/cpu/cr.h"
#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/model.h"
#include "model/refusal.h"
#include "model/vmx/apic.h"
#include "model/vmx/vmx.h"

#define LMSW_BITS (CR0_PE | CR0_MP | CR0_EM | CR0_TS)

#define DR6_FIXED1 0xffff0ff0ull        /* SDM Vol. 3, 18.2.3: BLD and RTM do not exist, they read as 1 */
#define DR6_WRITABLE 0xe00full
#define DR6_BD (1ull << 13)
#define DR7_FIXED1 0x400ull
#define DR7_WRITABLE 0xffff23ffull
#define DR7_GD (1ull << 13)

static uint64_t source(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t value = cpu->gpr[insn->rm % GPR_COUNT];

    return cpu_64bit(cpu) ? value : (uint32_t)value;
}

static enum status to_register(struct cpu *cpu, const struct insn *insn, uint64_t value)
{
    cpu->gpr[insn->rm % GPR_COUNT] = cpu_64bit(cpu) ? value : (uint32_t)value;
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

/* What of a guest's load of CR0 or CR4 takes place: bits that the host owns keep their value (26.3, MOV to CR0). */
static uint64_t owned_kept(uint64_t host_owned, uint64_t present, uint64_t value)
{
    return (present & host_owned) | (value & ~host_owned);
}

static uint64_t cr0_host_owned(const struct cpu *cpu)
{
    return cpu->vmx.non_root ? VMCS(cpu->vmx.current, cr0_guest_host_mask) : 0;
}

static uint64_t cr4_host_owned(const struct cpu *cpu)
{
    return cpu->vmx.non_root ? VMCS(cpu->vmx.current, cr4_guest_host_mask) : 0;
}

/* ---- control registers ---- */

static enum status cr8_load(struct cpu *cpu, const struct insn *insn, uint64_t value)
{
    const struct attempt attempt = { .cpu = cpu, .capability = &cpu->model->capability, .id = insn->id, .insn = insn,
                                     .operand = 8, .value = value };
    const struct refusal *refusal = cpu_refuses(REFUSALS_cr8, &attempt);
    const struct bus *bus = &cpu->model->bus;

    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    if (apic_shadows_cr8(cpu))
        apic_cr8_write(cpu, value);
    else if (bus->apic_write_cr8)
        bus->apic_write_cr8(bus->context, cpu, value);
    else
        cpu->cr8 = value;
    return STATUS_OK;
}

enum status move_to_cr(struct cpu *cpu, const struct insn *insn)
{
    uint64_t value = source(cpu, insn);

    switch (insn->reg) {
    case 0:
        TRY(cr0_load(cpu, insn->id, owned_kept(cr0_host_owned(cpu), cpu->cr0, value)));
        break;
    case 2:
        cpu->cr2 = value;
        break;
    case 3:
        TRY(cr3_write(cpu, value));
        cpu_notify(cpu, &(struct notice){ .kind = NOTICE_INVALIDATE, .a = INSN_mov_to_cr, .b = 3, .c = value });
        break;
    case 4:
        TRY(cr4_load(cpu, owned_kept(cr4_host_owned(cpu), cpu->cr4, value)));
        break;
    default:
        TRY(cr8_load(cpu, insn, value));
        break;
    }
    cpu_retire(cpu, insn->length);
    return apic_write_emulate(cpu);
}

enum status move_from_cr(struct cpu *cpu, const struct insn *insn)
{
    const struct bus *bus = &cpu->model->bus;

    switch (insn->reg) {
    case 0:
        return to_register(cpu, insn, cr0_visible(cpu));
    case 2:
        return to_register(cpu, insn, cpu->cr2);
    case 3:
        return to_register(cpu, insn, cpu->cr3);
    case 4:
        return to_register(cpu, insn, cr4_visible(cpu));
    default:
        if (apic_shadows_cr8(cpu))
            return to_register(cpu, insn, apic_cr8_read(cpu));
        return to_register(cpu, insn, bus->apic_read_cr8 ? bus->apic_read_cr8(bus->context, cpu) : cpu->cr8);
    }
}

/* In non-root operation, TS owned by the host with a read shadow of 0: CLTS completes and changes nothing (26.3). */
enum status clear_task_switched(struct cpu *cpu, const struct insn *insn)
{
    cpu->cr0 &= ~(CR0_TS & ~cr0_host_owned(cpu));
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

/* LMSW can set PE but not clear it. */
enum status load_machine_status(struct cpu *cpu, const struct insn *insn)
{
    uint64_t value;

    TRY(operand_read(cpu, insn, 2, &value));
    value = (cpu->cr0 & ~(LMSW_BITS & ~CR0_PE)) | (value & LMSW_BITS);
    TRY(cr0_load(cpu, insn->id, owned_kept(cr0_host_owned(cpu), cpu->cr0, value)));
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

enum status store_machine_status(struct cpu *cpu, const struct insn *insn)
{
    unsigned length = insn->kind == OPERAND_MEMORY ? 2 : insn->operand_size;

    TRY(operand_write(cpu, insn, length, cr0_visible(cpu)));
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

/* ---- debug registers: SDM Vol. 3, 18.2 ---- */

/* DR4 and DR5 are other names of DR6 and DR7 while CR4.DE = 0; else they were #UD before. */
static unsigned debug_register(const struct insn *insn)
{
    return insn->reg == 4 || insn->reg == 5 ? insn->reg + 2u : insn->reg;
}

/* General detect: any access is a #DB. */
static enum status general_detect(struct cpu *cpu)
{
    return cpu_raise(cpu, (struct event){
        .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION, .address = DR6_BD });
}

enum status move_to_dr(struct cpu *cpu, const struct insn *insn)
{
    unsigned number = debug_register(insn);
    uint64_t value = source(cpu, insn);
    const struct attempt attempt = { .cpu = cpu, .capability = &cpu->model->capability, .id = insn->id, .insn = insn,
                                     .operand = insn->reg, .value = value };
    const struct refusal *refusal = cpu_refuses(REFUSALS_dr, &attempt);

    if (cpu->dr7 & DR7_GD)
        return general_detect(cpu);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    if (number == 6)
        cpu->dr6 = (value & DR6_WRITABLE) | DR6_FIXED1;
    else if (number == 7)
        cpu->dr7 = (value & DR7_WRITABLE) | DR7_FIXED1;
    else
        cpu->dr[number] = value;
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

enum status move_from_dr(struct cpu *cpu, const struct insn *insn)
{
    unsigned number = debug_register(insn);

    if (cpu->dr7 & DR7_GD)
        return general_detect(cpu);
    return to_register(cpu, insn, number == 6 ? cpu->dr6 : number == 7 ? cpu->dr7 : cpu->dr[number]);
}
