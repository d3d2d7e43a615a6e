/* SPDX-License-Identifier: MIT */
/*
 * The sensitive instructions: #UD, privilege, VM exit, execution. SDM Vol. 3, 26.1.1 "Relative Priority of Faults and VM
 * Exits": invalid opcodes, privilege and I/O permission come before VM exits, every other fault after.
 */
#include "model/cpu/execute.h"

#include <string.h>

#include "model/cpu/access.h"
#include "model/cpu/cr.h"
#include "model/cpu/deliver.h"
#include "model/cpu/monitor.h"
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/time.h"
#include "model/cpu/virtual.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/random.h"
#include "model/refusal.h"
#include "model/vmx/apic.h"
#include "model/vmx/vmx.h"

enum { DEBUG_REGISTER_LAST = 7 };

/* ---- #UD, and #GP(0) by privilege ---- */

static const struct refusal *undefined(struct attempt *a)
{
    a->operand = a->insn->reg;
    switch (a->id) {
    case INSN_getsec: case INSN_rsm:
        return cpu_refuses(REFUSALS_not_here, a);
    case INSN_monitor: case INSN_mwait:
        return cpu_refuses(REFUSALS_monitor_undefined, a);
    case INSN_rdtscp:
        return cpu_refuses(REFUSALS_rdtscp_undefined, a);
    case INSN_invpcid:
        return cpu_refuses(REFUSALS_invpcid_undefined, a);
    case INSN_xsetbv:
        return cpu_refuses(REFUSALS_xsetbv_undefined, a);
    case INSN_mov_to_cr: case INSN_mov_from_cr:
        return cpu_refuses(REFUSALS_cr_undefined, a);
    case INSN_mov_to_dr: case INSN_mov_from_dr:
        return cpu_refuses(REFUSALS_dr_undefined, a);
    case INSN_sldt: case INSN_str: case INSN_lldt: case INSN_ltr:
    case INSN_lar: case INSN_lsl: case INSN_verr: case INSN_verw:
        return cpu_refuses(REFUSALS_ldtr_undefined, a);
    case INSN_invlpg: case INSN_lgdt: case INSN_lidt: case INSN_sgdt: case INSN_sidt:
        return cpu_refuses(REFUSALS_memory_only, a);
    default:
        return NULL;
    }
}

static const struct refusal *privileged(const struct attempt *a)
{
    switch (a->id) {
    case INSN_hlt: case INSN_rdmsr: case INSN_wrmsr: case INSN_mov_to_cr: case INSN_mov_from_cr: case INSN_clts:
    case INSN_lmsw: case INSN_mov_to_dr: case INSN_mov_from_dr: case INSN_invlpg: case INSN_invpcid: case INSN_invd:
    case INSN_wbinvd: case INSN_xsetbv: case INSN_lgdt: case INSN_lidt: case INSN_lldt: case INSN_ltr:
        return cpu_refuses(REFUSALS_privilege, a);
    case INSN_rdtsc: case INSN_rdtscp:
        return cpu_refuses(REFUSALS_privilege_tsd, a);
    case INSN_rdpmc:
        return cpu_refuses(REFUSALS_privilege_pce, a);
    case INSN_sgdt: case INSN_sidt: case INSN_sldt: case INSN_str: case INSN_smsw:
        return cpu_refuses(REFUSALS_privilege_umip, a);
    default:
        return NULL;
    }
}

const struct refusal *execute_refuses(struct attempt *attempt)
{
    const struct refusal *refusal = undefined(attempt);

    return refusal ? refusal : privileged(attempt);
}

/* ---- the instructions ---- */

static enum status done(struct cpu *cpu, const struct insn *insn)
{
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

static enum status done_slowly(struct cpu *cpu, const struct insn *insn, uint64_t time)
{
    cpu->clock += time;
    return done(cpu, insn);
}

static enum status native(struct cpu *cpu, const struct insn *insn)
{
    cpu->intercepts &= ~(1ull << insn->id);
    return STATUS_NATIVE;
}

static uint64_t edx_eax(const struct cpu *cpu)
{
    return cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
}

static void set_edx_eax(struct cpu *cpu, uint64_t value)
{
    cpu->gpr[RAX] = (uint32_t)value;
    cpu->gpr[RDX] = value >> 32;
}

static enum status cpuid(struct cpu *cpu, const struct insn *insn)
{
    uint32_t out[4];

    cpuid_execute(cpu, (uint32_t)cpu->gpr[RAX], (uint32_t)cpu->gpr[RCX], out);
    cpu->gpr[RAX] = out[0];
    cpu->gpr[RBX] = out[1];
    cpu->gpr[RCX] = out[2];
    cpu->gpr[RDX] = out[3];
    return done(cpu, insn);
}

static enum status hlt(struct cpu *cpu, const struct insn *insn)
{
    cpu_retire(cpu, insn->length);
    cpu->activity = ACTIVITY_HLT;
    return STATUS_OK;
}

__extension__ typedef unsigned __int128 uint128;

/* 25.6.5, 26.3: the guest's counter is scaled (a multiplier with 48 fraction bits), then offset. */
static uint64_t guest_tsc(const struct cpu *cpu, uint64_t tsc)
{
    const struct vmcs *vmcs = cpu->vmx.current;

    if (!(cpu_proc_controls(cpu) & PROC_use_tsc_offsetting))
        return tsc;
    if (cpu_proc2_controls(cpu) & PROC2_use_tsc_scaling)
        tsc = (uint64_t)((uint128)tsc * VMCS(vmcs, tsc_multiplier) >> 48);
    return tsc + VMCS(vmcs, tsc_offset);
}

static enum status rdmsr(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = attempt_of(cpu, insn);
    uint32_t index = (uint32_t)cpu->gpr[RCX];
    const struct refusal *refusal;
    uint64_t value;

    if (apic_virtualizes_msr(cpu, index, false)) {
        set_edx_eax(cpu, apic_msr_read(cpu, index));
        return done(cpu, insn);
    }
    refusal = msr_load(cpu, index, &value);
    attempt.operand = index;
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    if (index == MSR_ia32_time_stamp_counter)
        value = guest_tsc(cpu, value);
    set_edx_eax(cpu, value);
    return done(cpu, insn);
}

static enum status wrmsr(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = attempt_of(cpu, insn);
    uint32_t index = (uint32_t)cpu->gpr[RCX];
    const struct refusal *refusal;

    attempt.operand = index;
    attempt.value = edx_eax(cpu);
    if (!apic_virtualizes_msr(cpu, index, true))
        refusal = msr_store(cpu, index, attempt.value);
    else
        refusal = apic_msr_write(cpu, index, attempt.value) ? NULL : cpu_refuses(REFUSALS_apic_page, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    done(cpu, insn);
    return apic_write_emulate(cpu);
}

static enum status rdtsc(struct cpu *cpu, const struct insn *insn)
{
    uint64_t tsc;

    msr_read(cpu, MSR_ia32_time_stamp_counter, &tsc);
    set_edx_eax(cpu, guest_tsc(cpu, tsc));
    if (insn->id == INSN_rdtscp)
        cpu->gpr[RCX] = (uint32_t)CPU_MSR(cpu, ia32_tsc_aux);
    return done(cpu, insn);
}

/* No counters: every index is invalid. */
static enum status rdpmc(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = attempt_of(cpu, insn);

    attempt.operand = (uint32_t)cpu->gpr[RCX];
    return refusal_raise(cpu, &attempt, cpu_refuses(REFUSALS_rdpmc, &attempt));
}

static struct attempt xcr_attempt(const struct cpu *cpu, uint32_t index, uint64_t value)
{
    return (struct attempt){ .cpu = cpu, .capability = &cpu->model->capability, .id = INSN_xsetbv, .operand = index, .value = value };
}

bool xcr_write(struct cpu *cpu, uint32_t index, uint64_t value)
{
    const struct attempt attempt = xcr_attempt(cpu, index, value);

    if (cpu_refuses(REFUSALS_xsetbv, &attempt))
        return false;
    cpu->xcr0 = value;
    return true;
}

static enum status xsetbv(struct cpu *cpu, const struct insn *insn)
{
    const struct attempt attempt = xcr_attempt(cpu, (uint32_t)cpu->gpr[RCX], edx_eax(cpu));

    if (!xcr_write(cpu, (uint32_t)attempt.operand, attempt.value))
        return refusal_raise(cpu, &attempt, cpu_refuses(REFUSALS_xsetbv, &attempt));
    return done(cpu, insn);
}

/* An address that is not canonical is no fault: nothing to invalidate. */
static enum status invlpg(struct cpu *cpu, const struct insn *insn)
{
    uint64_t linear = operand_address(cpu, insn);

    if (linear_canonical(cpu, linear))
        tlb_invlpg(cpu, linear);
    cpu_notify(cpu, &(struct notice){ .kind = NOTICE_INVALIDATE, .a = INSN_invlpg, .c = linear });
    return done(cpu, insn);
}

/* SDM Vol. 2, INVPCID. */
static enum status invpcid(struct cpu *cpu, const struct insn *insn)
{
    enum { INDIVIDUAL_ADDRESS, SINGLE_CONTEXT, ALL_WITH_GLOBAL, ALL_BUT_GLOBAL };
    uint64_t type = cpu_64bit(cpu) ? cpu->gpr[insn->reg % GPR_COUNT] : (uint32_t)cpu->gpr[insn->reg % GPR_COUNT];
    struct attempt attempt = attempt_of(cpu, insn);
    const struct refusal *refusal;
    uint64_t descriptor[2], linear;
    uint16_t pcid;

    TRY(operand_linear(cpu, insn, sizeof(descriptor), false, &linear));
    TRY(linear_read(cpu, linear, descriptor, sizeof(descriptor), false));
    pcid = descriptor[0] & CR3_PCID;
    attempt.operand = type;
    attempt.value = descriptor[0];
    attempt.second = descriptor[1];
    refusal = cpu_refuses(REFUSALS_invpcid, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    if (type == INDIVIDUAL_ADDRESS)
        tlb_flush_linear_pcid(cpu, descriptor[1], pcid);
    else if (type == SINGLE_CONTEXT)
        tlb_flush_pcid(cpu, pcid, true);
    else
        tlb_flush_all(cpu, type == ALL_BUT_GLOBAL);
    cpu_notify(cpu, &(struct notice){ .kind = NOTICE_INVALIDATE, .a = INSN_invpcid, .b = type, .c = pcid,
                                      .d = descriptor[1] });
    return done(cpu, insn);
}

/* SDM Vol. 2, RDRAND and RDSEED. There is no entropy on this machine: the numbers follow from its seed; runs repeat. */
static enum status random_number(struct cpu *cpu, const struct insn *insn)
{
    TRY(operand_write(cpu, insn, insn->operand_size, random_next(&cpu->model->random)));
    cpu->rflags = (cpu->rflags & ~RFLAGS_ARITHMETIC) | RFLAGS_CF;
    return done(cpu, insn);
}

/* IRET ends blocking by NMI even if it faults then (SDM Vol. 3, 6.7.1); in non-root operation, only blocking that is the
 * guest's own (26.3, IRET). */
static enum status iret(struct cpu *cpu, const struct insn *insn)
{
    uint32_t pin = cpu_pin_controls(cpu);

    if ((cpu->interruptibility & BLOCKING_BY_NMI) && (!(pin & PIN_nmi_exiting) || (pin & PIN_virtual_nmis))) {
        cpu->interruptibility &= ~BLOCKING_BY_NMI;
        cpu->vmx.nmi_blocking_by_iret = cpu->vmx.non_root;
        cpu->vmx.iret_instructions = cpu->instructions;
    }
    return interrupt_return(cpu, insn);
}

/* SDM Vol. 2, LGDT/LIDT. */
static enum status load_table_register(struct cpu *cpu, const struct insn *insn)
{
    unsigned length = insn->operand_size == 8 ? 10 : 6;
    struct table_register table = { .base = 0 };
    struct attempt attempt = attempt_of(cpu, insn);
    const struct refusal *refusal;
    uint64_t linear;
    uint8_t image[10] = { 0 };

    TRY(operand_linear(cpu, insn, length, false, &linear));
    TRY(linear_read(cpu, linear, image, length, false));
    table.limit = (uint32_t)(image[0] | image[1] << 8);
    memcpy(&table.base, image + 2, sizeof(table.base));         /* without a 64-bit operand, zero-extended */
    if (insn->operand_size == 2)
        table.base &= 0xffffff;
    attempt.value = table.base;
    refusal = cpu_refuses(REFUSALS_table, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    *(insn->id == INSN_lgdt ? &cpu->gdtr : &cpu->idtr) = table;
    return done(cpu, insn);
}

/* Whatever the operand size all of the base is stored: 64 bits in 64-bit mode, else 32 (SDM Vol. 2, SGDT, operation). */
static enum status store_table_register(struct cpu *cpu, const struct insn *insn)
{
    const struct table_register *table = insn->id == INSN_sgdt ? &cpu->gdtr : &cpu->idtr;
    unsigned length = cpu_64bit(cpu) ? 10 : 6;
    uint64_t linear;
    uint8_t image[10];

    image[0] = (uint8_t)table->limit;
    image[1] = (uint8_t)(table->limit >> 8);
    memcpy(image + 2, &table->base, sizeof(table->base));
    TRY(operand_linear(cpu, insn, length, true, &linear));
    /* Two stores: the limit, and the base behind it (SDM Vol. 3, 3.5.1, "Segment Descriptor Tables"). */
    TRY(access_aligned(cpu, linear, 2, cpu_cpl(cpu)));
    TRY(access_aligned(cpu, linear + 2, length - 2, cpu_cpl(cpu)));
    TRY(linear_write(cpu, linear, image, length, false));
    return done(cpu, insn);
}

/* SDM Vol. 2, WRFSBASE/WRGSBASE. */
static enum status write_segment_base(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = attempt_of(cpu, insn);
    const struct refusal *refusal;

    TRY(operand_read(cpu, insn, insn->operand_size, &attempt.value));
    refusal = cpu_refuses(REFUSALS_segment_base, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    cpu->seg[insn->id == INSN_wrfsbase ? SEG_FS : SEG_GS].base = attempt.value;
    return done(cpu, insn);
}

static enum status monitor(struct cpu *cpu, const struct insn *insn)
{
    TRY(monitor_arm(cpu, insn));
    return done(cpu, insn);
}

static enum status mwait(struct cpu *cpu, const struct insn *insn)
{
    TRY(monitor_wait(cpu, insn));
    return done(cpu, insn);
}

static enum status perform(struct cpu *cpu, const struct insn *insn)
{
    switch (insn->id) {
    case INSN_cpuid:
        return cpuid(cpu, insn);
    case INSN_hlt:
        return hlt(cpu, insn);
    case INSN_in: case INSN_out: case INSN_ins: case INSN_outs:
        return io_execute(cpu, insn);
    case INSN_rdmsr:
        return rdmsr(cpu, insn);
    case INSN_wrmsr:
        return wrmsr(cpu, insn);
    case INSN_rdtsc: case INSN_rdtscp:
        return rdtsc(cpu, insn);
    case INSN_rdpmc:
        return rdpmc(cpu, insn);
    case INSN_mov_to_cr:
        return move_to_cr(cpu, insn);
    case INSN_mov_from_cr:
        return move_from_cr(cpu, insn);
    case INSN_clts:
        return clear_task_switched(cpu, insn);
    case INSN_lmsw:
        return load_machine_status(cpu, insn);
    case INSN_smsw:
        return store_machine_status(cpu, insn);
    case INSN_mov_to_dr:
        return move_to_dr(cpu, insn);
    case INSN_mov_from_dr:
        return move_from_dr(cpu, insn);
    case INSN_invlpg:
        return invlpg(cpu, insn);
    case INSN_invpcid:
        return invpcid(cpu, insn);
    case INSN_invd: case INSN_wbinvd:                       /* there are no caches */
        return done_slowly(cpu, insn, TIME_CACHES);
    case INSN_pause:
        return done_slowly(cpu, insn, TIME_PAUSE);
    case INSN_monitor:
        return monitor(cpu, insn);
    case INSN_mwait:
        return mwait(cpu, insn);
    case INSN_xsetbv:
        return xsetbv(cpu, insn);
    case INSN_rdrand: case INSN_rdseed:
        return random_number(cpu, insn);
    case INSN_iret:
        return iret(cpu, insn);
    case INSN_lgdt: case INSN_lidt:
        return load_table_register(cpu, insn);
    case INSN_jmp_far: case INSN_call_far:
        return far_jump(cpu, insn);
    case INSN_ret_far:
        return far_return(cpu, insn);
    case INSN_enter:
        return enter_procedure(cpu, insn);
    case INSN_mov_to_segment: case INSN_pop_segment: case INSN_load_far_pointer:
        return move_to_segment(cpu, insn);
    case INSN_lar: case INSN_lsl: case INSN_verr: case INSN_verw:
        return query_descriptor(cpu, insn);
    case INSN_cli: case INSN_sti:
        return virtual_flag_change(cpu, insn);
    case INSN_pushf: case INSN_popf:
        return virtual_flags_move(cpu, insn);
    case INSN_wrfsbase: case INSN_wrgsbase:
        return write_segment_base(cpu, insn);
    case INSN_lldt:
        return load_ldtr(cpu, insn);
    case INSN_ltr:
        return load_task_register(cpu, insn);
    case INSN_sgdt: case INSN_sidt:
        return store_table_register(cpu, insn);
    case INSN_sldt: case INSN_str:
        return native(cpu, insn);
    default:
        return model_refuse(cpu, "execute() was given an instruction without a row in arch/instructions.def");
    }
}

/* ---- the order ---- */

static bool is_io(enum insn_id id)
{
    return id == INSN_in || id == INSN_out || id == INSN_ins || id == INSN_outs;
}

static enum status intercepted(struct cpu *cpu, struct exit_information *information, const struct insn *insn)
{
    information->instruction_length = insn->length;
    cpu->vmx.exited = *insn;
    cpu->rflags &= ~RFLAGS_RF;          /* 28.3.3 */
    return cpu_vm_exit(cpu, information);
}

static enum status in_order(struct cpu *cpu, const struct insn *insn)
{
    bool mov_dr = insn->id == INSN_mov_to_dr || insn->id == INSN_mov_from_dr;
    struct attempt attempt = attempt_of(cpu, insn);
    struct exit_information information;
    const struct refusal *refusal;

    cpu->vmx.delivering.valid = false;
    if (insn->lock)
        return refusal_raise(cpu, &attempt, cpu_refuses(REFUSALS_lock, &attempt));
    if (insn_is_vmx(insn->id)) {
        cpu->rflags &= ~(cpu->vmx.non_root ? RFLAGS_RF : 0);    /* 28.3.3; faults set it again */
        return vmx_execute(cpu, insn);
    }
    /* 26.1.3: MOV DR exits before two faults that else come first: by privilege, and #UD of DR4 and DR5. There is no DR8 to move. */
    if (mov_dr && insn->reg <= DEBUG_REGISTER_LAST && vmx_intercepts(cpu, insn, &information))
        return intercepted(cpu, &information, insn);
    refusal = execute_refuses(&attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    if (is_io(insn->id))
        TRY(io_permitted(cpu, insn));
    if (vmx_intercepts(cpu, insn, &information))
        return intercepted(cpu, &information, insn);
    return perform(cpu, insn);
}

/* Data breakpoints are traps (18.3.1.2): those that an instruction has met before a fault of its own are forgotten with it. What was pending
 * before stays so, unless the delivery of that fault has ended it. */
enum status execute(struct cpu *cpu, const struct insn *insn)
{
    uint64_t pending = cpu->pending_debug;
    enum status status = in_order(cpu, insn);

    if (status == STATUS_EVENT && delivery_pushes_resume_flag(&cpu->event))
        cpu->pending_debug &= pending;
    return status;
}
