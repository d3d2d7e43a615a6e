/* SPDX-License-Identifier: MIT */
/*
 * Which instructions and events cause VM exits, with the exit qualification of each: SDM Vol. 3, 26.1.2, 26.1.3
 * "Instructions That Cause VM Exits", 26.2 "Other Causes of VM Exits", 28.2.1.
 */
#include "model/cpu/translate.h"
#include "model/vmx/internal.h"

/* Exit qualifications: Table 28-3 (control registers), 28-4 (MOV DR), 28-5 (I/O instructions). */
enum { CR_ACCESS_TO = 0, CR_ACCESS_FROM = 1, CR_ACCESS_CLTS = 2, CR_ACCESS_LMSW = 3 };
#define CR_ACCESS(type) ((uint64_t)(type) << 4)
#define CR_LMSW_MEMORY (1ull << 6)
#define CR_REGISTER(r) ((uint64_t)(r) << 8)
#define CR_LMSW_SOURCE(s) ((uint64_t)(s) << 16)
#define DR_FROM (1ull << 4)
#define DR_REGISTER(r) ((uint64_t)(r) << 8)
#define IO_IN (1ull << 3)
#define IO_STRING (1ull << 4)
#define IO_REP (1ull << 5)
#define IO_IMMEDIATE (1ull << 6)
#define IO_PORT(p) ((uint64_t)(p) << 16)

static bool exits(struct exit_information *information, enum exit_reason reason, uint64_t qualification)
{
    information->reason = reason;
    information->qualification = qualification;
    return true;
}

/* ---- control registers ---- */

static bool cr3_is_target(const struct vmcs *v, uint64_t value)
{
    for (unsigned i = 0; i < VMCS(v, cr3_target_count) && i < 4; i++)
        if (v->field[FIELD_cr3_target_value_0 + i] == value)
            return true;
    return false;
}

static bool mov_to_cr(const struct cpu *cpu, const struct vmcs *v, unsigned cr, uint64_t value)
{
    switch (cr) {
    case 0:
        return (value ^ VMCS(v, cr0_read_shadow)) & VMCS(v, cr0_guest_host_mask);
    case 3:
        return (proc_controls(v) & PROC_cr3_load_exiting) && !cr3_is_target(v, value);
    case 4:
        return (value ^ VMCS(v, cr4_read_shadow)) & VMCS(v, cr4_guest_host_mask);
    case 8:
        return cpu_64bit(cpu) && (proc_controls(v) & PROC_cr8_load_exiting);
    default:
        return false;
    }
}

static bool mov_from_cr(const struct cpu *cpu, const struct vmcs *v, unsigned cr)
{
    return (cr == 3 && (proc_controls(v) & PROC_cr3_store_exiting)) ||
           (cr == 8 && cpu_64bit(cpu) && (proc_controls(v) & PROC_cr8_store_exiting));
}

/* LMSW's source. False: it cannot be read, so that the access faults before any exit: executing it will tell. */
static bool lmsw_source(struct cpu *cpu, const struct insn *insn, uint16_t *source)
{
    struct access access = { .kind = ACCESS_READ, .user = cpu_cpl(cpu) == 3, .probe = true,
                             .smap_override = cpu->rflags & RFLAGS_AC };
    uint64_t linear = insn_linear(cpu, insn);
    uint8_t byte[2];

    if (insn->kind == OPERAND_REGISTER) {
        *source = (uint16_t)cpu->gpr[insn->rm & 15];
        return true;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct translation t = translate(cpu, linear + i, access);

        if (t.result != TRANSLATION_OK)
            return false;
        memory_read(&cpu->model->memory, t.pa, &byte[i], 1);
    }
    *source = (uint16_t)(byte[0] | byte[1] << 8);
    return true;
}

/* LMSW can set PE but not clear it; MP, EM and TS it loads. */
static bool lmsw(struct cpu *cpu, const struct vmcs *v, const struct insn *insn, struct exit_information *information)
{
    uint64_t mask = VMCS(v, cr0_guest_host_mask), shadow = VMCS(v, cr0_read_shadow);
    bool memory = insn->kind == OPERAND_MEMORY;
    uint16_t source;

    if (!(mask & 15) || !lmsw_source(cpu, insn, &source) ||
        !((mask & CR0_PE & source & ~shadow) || (mask & 0xe & (source ^ shadow))))
        return false;
    if (memory)
        information->guest_linear_address = insn_linear(cpu, insn);
    return exits(information, EXIT_REASON_cr_access,
                 CR_ACCESS(CR_ACCESS_LMSW) | (memory ? CR_LMSW_MEMORY : 0) | CR_LMSW_SOURCE(source));
}

static bool control_register(struct cpu *cpu, const struct vmcs *v, const struct insn *insn,
                             struct exit_information *information)
{
    unsigned cr = insn->reg & 15, gpr = insn->rm & 15;
    uint64_t value = cpu_64bit(cpu) ? cpu->gpr[gpr] : cpu->gpr[gpr] & 0xffffffff;

    switch (insn->id) {
    case INSN_mov_to_cr:
        return mov_to_cr(cpu, v, cr, value) &&
               exits(information, EXIT_REASON_cr_access, cr | CR_ACCESS(CR_ACCESS_TO) | CR_REGISTER(gpr));
    case INSN_mov_from_cr:
        return mov_from_cr(cpu, v, cr) &&
               exits(information, EXIT_REASON_cr_access, cr | CR_ACCESS(CR_ACCESS_FROM) | CR_REGISTER(gpr));
    case INSN_clts:
        return (VMCS(v, cr0_guest_host_mask) & VMCS(v, cr0_read_shadow) & CR0_TS) &&
               exits(information, EXIT_REASON_cr_access, CR_ACCESS(CR_ACCESS_CLTS));
    default:
        return lmsw(cpu, v, insn, information);
    }
}

/* ---- I/O ---- */

static bool io(const struct cpu *cpu, const struct vmcs *v, const struct insn *insn,
               struct exit_information *information)
{
    bool string = insn->id == INSN_ins || insn->id == INSN_outs;
    uint64_t qualification = (insn->operand_size - 1) & 7;

    if (!bitmap_intercepts_io(cpu, v, insn->port, insn->operand_size))
        return false;
    if (insn->id == INSN_in || insn->id == INSN_ins)
        qualification |= IO_IN;
    if (string) {
        qualification |= IO_STRING | (insn->rep ? IO_REP : 0);
        information->guest_linear_address = insn_linear(cpu, insn);
    }
    if (insn->port_immediate)
        qualification |= IO_IMMEDIATE;
    return exits(information, EXIT_REASON_io_instruction, qualification | IO_PORT(insn->port));
}

/* ---- VMX instructions ---- */

/* 31.3: conditions of #UD, which come before VM exits. VMCALL in non-root operation has none; for VMFUNC neither CPL nor the
 * mode of operation matters (26.5.6.2). */
const struct refusal *vmx_undefined(const struct attempt *attempt)
{
    switch (attempt->id) {
    case INSN_vmfunc:
        return vmx_refuses(REFUSALS_vmfunc_undefined, attempt);
    case INSN_vmcall:
        return vmx_refuses(REFUSALS_vmcall_undefined, attempt);
    case INSN_vmxon:
        return vmx_refuses(REFUSALS_vmxon_undefined, attempt);
    default:
        return vmx_refuses(REFUSALS_vmx_undefined, attempt);
    }
}

static bool vmx_instruction(const struct cpu *cpu, const struct insn *insn, struct exit_information *information)
{
    static const uint16_t reason[INSN_COUNT] = {
#define INSTRUCTION(name, exit_reason) [INSN_##name] = EXIT_REASON_##exit_reason,
#include "arch/instructions.def"
    };
    uint64_t encoding = cpu_64bit(cpu) ? cpu->gpr[insn->reg & 15] : cpu->gpr[insn->reg & 15] & 0xffffffff;
    const struct attempt attempt = vmx_attempt(cpu, insn->id, 0);

    if (vmx_undefined(&attempt))
        return false;
    if ((insn->id == INSN_vmread || insn->id == INSN_vmwrite) &&
        !shadow_intercepts(cpu, encoding, insn->id == INSN_vmwrite))
        return false;
    return exits(information, reason[insn->id], insn->kind == OPERAND_MEMORY ? (uint64_t)insn->displacement : 0);
}

/* ---- all of them ---- */

static bool if_control(uint32_t control, struct exit_information *information, enum exit_reason reason,
                       uint64_t qualification)
{
    return control && exits(information, reason, qualification);
}

static uint64_t displacement(const struct insn *insn)
{
    return insn->kind == OPERAND_MEMORY ? (uint64_t)insn->displacement : 0;
}

/*
 * 25.6.13, 26.1.3 (PAUSE): at CPL 0 without PAUSE exiting. A PAUSE later than PLE_Gap after the one before begins a new
 * loop; one later than PLE_Window after the loop began exits. The clock is the TSC's.
 */
static bool pause_loop(struct cpu *cpu, const struct vmcs *v)
{
    struct vmx *vmx = &cpu->vmx;
    uint64_t latest = vmx->pause_latest;

    if (!(proc2_controls(v) & PROC2_pause_loop_exiting) || cpu_cpl(cpu) > 0)
        return false;
    vmx->pause_latest = cpu->clock;
    if (latest == ~0ull || cpu->clock - latest > VMCS(v, ple_gap)) {
        vmx->pause_first = cpu->clock;
        return false;
    }
    return cpu->clock - vmx->pause_first > VMCS(v, ple_window);
}

static bool decide(struct cpu *cpu, const struct insn *insn, struct exit_information *information)
{
    const struct vmcs *v = cpu->vmx.current;
    uint32_t proc = proc_controls(v), proc2 = proc2_controls(v);
    uint32_t msr = (uint32_t)cpu->gpr[RCX];

    switch (insn->id) {
    case INSN_cpuid:
        return exits(information, EXIT_REASON_cpuid, 0);
    case INSN_invd:
        return exits(information, EXIT_REASON_invd, 0);
    case INSN_xsetbv:
        return exits(information, EXIT_REASON_xsetbv, 0);
    case INSN_getsec:                   /* #UD comes first without CR4.SMXE */
        return if_control(cpu->cr4 & CR4_SMXE ? 1 : 0, information, EXIT_REASON_getsec, 0);
    case INSN_hlt:
        return if_control(proc & PROC_hlt_exiting, information, EXIT_REASON_hlt, 0);
    case INSN_in:
    case INSN_out:
    case INSN_ins:
    case INSN_outs:
        return io(cpu, v, insn, information);
    case INSN_rdmsr:
        return bitmap_intercepts_msr(cpu, v, msr, false) && exits(information, EXIT_REASON_rdmsr, 0);
    case INSN_wrmsr:
        return bitmap_intercepts_msr(cpu, v, msr, true) && exits(information, EXIT_REASON_wrmsr, 0);
    case INSN_rdtsc:
        return if_control(proc & PROC_rdtsc_exiting, information, EXIT_REASON_rdtsc, 0);
    case INSN_rdtscp:
        return (proc2 & PROC2_enable_rdtscp) &&
               if_control(proc & PROC_rdtsc_exiting, information, EXIT_REASON_rdtscp, 0);
    case INSN_rdpmc:
        return if_control(proc & PROC_rdpmc_exiting, information, EXIT_REASON_rdpmc, 0);
    case INSN_mov_to_cr:
    case INSN_mov_from_cr:
    case INSN_clts:
    case INSN_lmsw:
        return control_register(cpu, v, insn, information);
    case INSN_mov_to_dr:
        return if_control(proc & PROC_mov_dr_exiting, information, EXIT_REASON_mov_dr,
                          (insn->reg & 7) | DR_REGISTER(insn->rm & 15));
    case INSN_mov_from_dr:
        return if_control(proc & PROC_mov_dr_exiting, information, EXIT_REASON_mov_dr,
                          (insn->reg & 7) | DR_FROM | DR_REGISTER(insn->rm & 15));
    case INSN_invlpg:
        return if_control(proc & PROC_invlpg_exiting, information, EXIT_REASON_invlpg, insn_linear(cpu, insn));
    case INSN_invpcid:
        return (proc2 & PROC2_enable_invpcid) &&
               if_control(proc & PROC_invlpg_exiting, information, EXIT_REASON_invpcid, displacement(insn));
    case INSN_wbinvd:
        return if_control(proc2 & PROC2_wbinvd_exiting, information, EXIT_REASON_wbinvd, 0);
    case INSN_monitor:
        return if_control(proc & PROC_monitor_exiting, information, EXIT_REASON_monitor, 0);
    case INSN_mwait:                    /* 28.2.1: was the monitoring hardware armed? */
        return if_control(proc & PROC_mwait_exiting, information, EXIT_REASON_mwait, cpu->monitor.armed);
    case INSN_pause:
        return ((proc & PROC_pause_exiting) || pause_loop(cpu, v)) && exits(information, EXIT_REASON_pause, 0);
    case INSN_rdrand:
        return if_control(proc2 & PROC2_rdrand_exiting, information, EXIT_REASON_rdrand, 0);
    case INSN_rdseed:
        return if_control(proc2 & PROC2_rdseed_exiting, information, EXIT_REASON_rdseed, 0);
    case INSN_sgdt:
    case INSN_sidt:
    case INSN_lgdt:
    case INSN_lidt:
        return if_control(proc2 & PROC2_descriptor_table_exiting, information, EXIT_REASON_gdtr_or_idtr_access,
                          displacement(insn));
    case INSN_sldt:
    case INSN_str:
    case INSN_lldt:
    case INSN_ltr:
        return if_control(proc2 & PROC2_descriptor_table_exiting, information, EXIT_REASON_ldtr_or_tr_access,
                          displacement(insn));
    case INSN_vmfunc:
        return !vmx_undefined(&(struct attempt){ .cpu = cpu, .id = INSN_vmfunc }) && function_intercepts(cpu) && exits(information, EXIT_REASON_vmfunc, 0);
    case INSN_vmcall:
    case INSN_vmclear:
    case INSN_vmlaunch:
    case INSN_vmptrld:
    case INSN_vmptrst:
    case INSN_vmread:
    case INSN_vmresume:
    case INSN_vmwrite:
    case INSN_vmxoff:
    case INSN_vmxon:
    case INSN_invept:
    case INSN_invvpid:
        return vmx_instruction(cpu, insn, information);
    default:                            /* SMSW, IRET never; RSM outside SMM is #UD */
        return false;
    }
}

bool vmx_intercepts(struct cpu *cpu, const struct insn *insn, struct exit_information *information)
{
    if (!cpu->vmx.non_root)
        return false;
    *information = (struct exit_information){ .instruction_length = insn->length };
    if (!decide(cpu, insn, information))
        return false;
    if ((insn->id != INSN_ins && insn->id != INSN_outs) ||
        capability_basic(&cpu->model->capability, CAPABILITY_BASIC_ins_outs_information))       /* A.1 */
        information->instruction_information = instruction_information(insn);
    return true;
}

/* 26.2: the exception bitmap, for #PF together with mask and match; NMIs; external interrupts. INT n never exits. */
bool vmx_intercepts_event(struct cpu *cpu, const struct event *event)
{
    const struct vmcs *v = cpu->vmx.current;
    bool bit;

    if (!cpu->vmx.non_root)
        return false;
    switch (event->type) {
    case EVENT_EXTERNAL_INTERRUPT:
        return pin_controls(v) & PIN_external_interrupt_exiting;
    case EVENT_NMI:
        return pin_controls(v) & PIN_nmi_exiting;
    case EVENT_HARDWARE_EXCEPTION:
    case EVENT_PRIVILEGED_SOFTWARE_EXCEPTION:
    case EVENT_SOFTWARE_EXCEPTION:
        bit = VMCS(v, exception_bitmap) >> (event->vector & 31) & 1;
        if (event->vector == VECTOR_PF &&
            (event->error_code & VMCS(v, page_fault_error_code_mask)) != VMCS(v, page_fault_error_code_match))
            bit = !bit;
        return bit;
    default:
        return false;
    }
}

#define INSN_BIT(name) (1ull << INSN_##name)
_Static_assert(INSN_vmfunc < 64, "one bit for each instruction that can be intercepted");

static uint64_t non_root_intercepts(const struct vmcs *v)
{
    uint32_t proc = proc_controls(v), proc2 = proc2_controls(v);
    uint64_t cr0_mask = VMCS(v, cr0_guest_host_mask), cr4_mask = VMCS(v, cr4_guest_host_mask);
    /* What exits always, or depends on its operand. */
    uint64_t bits = INSN_BIT(cpuid) | INSN_BIT(invd) | INSN_BIT(xsetbv) | INSN_BIT(getsec) | INSN_BIT(rdmsr) |
                    INSN_BIT(wrmsr) | INSN_BIT(mov_to_cr) | INSN_BIT(rsm) | INSN_BIT(vmcall) | INSN_BIT(vmclear) |
                    INSN_BIT(vmlaunch) | INSN_BIT(vmptrld) | INSN_BIT(vmptrst) | INSN_BIT(vmread) |
                    INSN_BIT(vmresume) | INSN_BIT(vmwrite) | INSN_BIT(vmxoff) | INSN_BIT(vmxon) | INSN_BIT(invept) |
                    INSN_BIT(invvpid) | INSN_BIT(vmfunc);

    if (proc & PROC_hlt_exiting)
        bits |= INSN_BIT(hlt);
    if (proc & (PROC_unconditional_io_exiting | PROC_use_io_bitmaps))
        bits |= INSN_BIT(in) | INSN_BIT(out) | INSN_BIT(ins) | INSN_BIT(outs);
    if (proc & (PROC_rdtsc_exiting | PROC_use_tsc_offsetting))
        bits |= INSN_BIT(rdtsc) | INSN_BIT(rdtscp);
    if (!(proc2 & PROC2_enable_rdtscp))
        bits |= INSN_BIT(rdtscp);
    if (proc & PROC_rdpmc_exiting)
        bits |= INSN_BIT(rdpmc);
    if ((proc & (PROC_cr3_store_exiting | PROC_cr8_store_exiting)) || cr0_mask || cr4_mask)
        bits |= INSN_BIT(mov_from_cr);
    if (cr0_mask)
        bits |= INSN_BIT(clts) | INSN_BIT(lmsw) | INSN_BIT(smsw);
    if (proc & PROC_mov_dr_exiting)
        bits |= INSN_BIT(mov_to_dr) | INSN_BIT(mov_from_dr);
    if (proc & PROC_invlpg_exiting)
        bits |= INSN_BIT(invlpg) | INSN_BIT(invpcid);
    if (!(proc2 & PROC2_enable_invpcid))
        bits |= INSN_BIT(invpcid);
    if (proc2 & PROC2_wbinvd_exiting)
        bits |= INSN_BIT(wbinvd);
    if (proc & PROC_monitor_exiting)
        bits |= INSN_BIT(monitor);
    if (proc & PROC_mwait_exiting)
        bits |= INSN_BIT(mwait);
    if ((proc & PROC_pause_exiting) || (proc2 & PROC2_pause_loop_exiting))
        bits |= INSN_BIT(pause);
    if (proc2 & PROC2_rdrand_exiting)
        bits |= INSN_BIT(rdrand);
    if (proc2 & PROC2_rdseed_exiting)
        bits |= INSN_BIT(rdseed);
    if (proc2 & PROC2_descriptor_table_exiting)
        bits |= INSN_BIT(sgdt) | INSN_BIT(sidt) | INSN_BIT(lgdt) | INSN_BIT(lidt) | INSN_BIT(sldt) | INSN_BIT(str) |
                INSN_BIT(lldt) | INSN_BIT(ltr);
    return bits;
}

void vmx_update_intercepts(struct cpu *cpu)
{
    cpu->intercepts = 0;
    if (cpu->vmx.non_root)
        cpu->intercepts = non_root_intercepts(cpu->vmx.current);
}
