/* SPDX-License-Identifier: MIT */
/*
 * Why the core refused an instruction of L1. It tells that it did; the tables of model/refusal.h, asked about L1's own state,
 * tell why: L1's processor as vmcs01 holds it, its VMX operation as the core keeps it, the capability that it is shown.
 */
#include <string.h>

#include "emu/native/state.h"
#include "model/cpu/access.h"
#include "model/cpu/translate.h"
#include "model/refusal.h"

/* ---- L1 ---- */

/* As it runs: non-root operation on vmcs01, so that its memory can be read. */
static void guest_state(struct cpu *l1, const struct vmcs *v)
{
    l1->cr0 = VMCS(v, guest_cr0);
    l1->cr3 = VMCS(v, guest_cr3);
    l1->cr4 = VMCS(v, guest_cr4);
    l1->rip = VMCS(v, guest_rip);
    l1->rflags = VMCS(v, guest_rflags);
    l1->gpr[RSP] = VMCS(v, guest_rsp);
    l1->interruptibility = (uint32_t)VMCS(v, guest_interruptibility_state);
    CPU_MSR(l1, ia32_efer) = VMCS(v, guest_ia32_efer);
    for (unsigned i = 0; i < 4; i++)
        l1->pdpte[i] = v->field[FIELD_guest_pdpte0 + i];
    for (unsigned i = 0; i < SEG_COUNT; i++)
        l1->seg[i] = (struct segment){
            .selector = (uint16_t)v->field[FIELD_guest_es_selector + i], .base = v->field[FIELD_guest_es_base + i],
            .limit = (uint32_t)v->field[FIELD_guest_es_limit + i],
            .access_rights = (uint32_t)v->field[FIELD_guest_es_access_rights + i],
        };
    l1->vmx.non_root = l1->vmx.ept = true;
    l1->vmx.eptp = VMCS(v, ept_pointer);
    l1->vmx.vpid = (uint16_t)VMCS(v, virtual_processor_identifier);
}

struct cpu native_l1_view(struct native *native, const struct cpu *cpu)
{
    struct cpu view = *cpu;

    (void)native;
    if (!cpu->vmx.non_root && cpu->vmx.current)
        guest_state(&view, cpu->vmx.current);
    return view;
}

static uint64_t visible(uint64_t value, uint64_t mask, uint64_t shadow)
{
    return (value & ~mask) | (shadow & mask);
}

/* As it sees itself: in root operation, or outside VMX operation. */
static void own_view(struct native_l1 *l1, const struct vmcs *v)
{
    struct cpu *cpu = &l1->cpu;
    struct hv_l1 state;

    hv_l1(&state);
    cpu->cr0 = visible(cpu->cr0, VMCS(v, cr0_guest_host_mask), VMCS(v, cr0_read_shadow));
    cpu->cr4 = visible(cpu->cr4, VMCS(v, cr4_guest_host_mask), VMCS(v, cr4_read_shadow));
    CPU_MSR(cpu, ia32_feature_control) = state.feature_control;
    l1->vmcs.pa = state.current;
    l1->vmcs.launch_state = state.launched ? LAUNCH_LAUNCHED : LAUNCH_CLEAR;
    cpu->vmx = (struct vmx){ .operation = state.on, .vmxon_pointer = state.vmxon_pointer,
                             .current = state.current == ~0ull ? NULL : &l1->vmcs };
}

static uint64_t capability_of(uint32_t index)
{
    uint64_t value = 0;

    hv_l1_capability(index, &value);
    return value;
}

static struct control_word control_word(uint32_t index)
{
    uint64_t value = capability_of(index);

    return (struct control_word){ .required = (uint32_t)value, .allowed = (uint32_t)(value >> 32) };
}

struct vmx_capability native_shown_capability(void)
{
    return (struct vmx_capability){
        .pin = control_word(MSR_ia32_vmx_true_pinbased_ctls), .proc = control_word(MSR_ia32_vmx_true_procbased_ctls),
        .proc2 = control_word(MSR_ia32_vmx_procbased_ctls2), .exit = control_word(MSR_ia32_vmx_true_exit_ctls),
        .entry = control_word(MSR_ia32_vmx_true_entry_ctls), .basic = capability_of(MSR_ia32_vmx_basic),
        .misc = capability_of(MSR_ia32_vmx_misc), .cr0_fixed0 = capability_of(MSR_ia32_vmx_cr0_fixed0),
        .cr0_fixed1 = capability_of(MSR_ia32_vmx_cr0_fixed1), .cr4_fixed0 = capability_of(MSR_ia32_vmx_cr4_fixed0),
        .cr4_fixed1 = capability_of(MSR_ia32_vmx_cr4_fixed1), .vmcs_enum = capability_of(MSR_ia32_vmx_vmcs_enum),
        .ept_vpid = capability_of(MSR_ia32_vmx_ept_vpid_cap), .vmfunc = capability_of(MSR_ia32_vmx_vmfunc),
    };
}

/* ---- the instruction ---- */

/* The bytes of a memory operand; what cannot be read is 0. */
static void operand_bytes(struct cpu *l1, const struct insn *insn, uint8_t *to, unsigned length)
{
    const struct access access = { .kind = ACCESS_READ, .probe = true };
    const uint64_t linear = operand_address(l1, insn);

    for (unsigned i = 0; i < length; i++) {
        struct translation at = translate(l1, linear + i, access);

        if (at.result == TRANSLATION_OK)
            memory_read(&l1->model->memory, at.pa, to + i, 1);
    }
}

static uint64_t register_value(const struct cpu *l1, unsigned gpr)
{
    return cpu_64bit(l1) ? l1->gpr[gpr % GPR_COUNT] : (uint32_t)l1->gpr[gpr % GPR_COUNT];
}

/* What the instruction would load, write, or be applied to: SDM Vol. 2, and Vol. 3, 31.3. */
static void operands(struct attempt *a, struct cpu *l1)
{
    const struct insn *insn = a->insn;
    uint64_t memory[2] = { 0, 0 };

    if (insn->kind == OPERAND_MEMORY)
        operand_bytes(l1, insn, (uint8_t *)memory, insn->id == INSN_invept || insn->id == INSN_invvpid ? 16 : insn->id == INSN_lmsw ? 2 : 8);
    switch (insn->id) {
    case INSN_vmxon: case INSN_vmclear: case INSN_vmptrld:
        a->operand = memory[0];
        break;
    case INSN_vmread: case INSN_vmwrite:
        a->operand = register_value(l1, insn->reg);
        a->value = insn->kind == OPERAND_MEMORY ? memory[0] : register_value(l1, insn->rm);
        break;
    case INSN_invept: case INSN_invvpid:
        a->operand = register_value(l1, insn->reg);
        a->value = memory[0];
        a->second = memory[1];
        break;
    case INSN_mov_to_cr:
        a->operand = insn->reg;
        a->value = register_value(l1, insn->rm);
        break;
    case INSN_lmsw:
        a->value = (l1->cr0 & ~0xeull) | ((insn->kind == OPERAND_MEMORY ? memory[0] : l1->gpr[insn->rm % GPR_COUNT]) & 0xf);
        break;
    case INSN_clts:
        a->value = l1->cr0 & ~CR0_TS;
        break;
    default:                            /* RDMSR, WRMSR, XSETBV */
        a->operand = (uint32_t)l1->gpr[RCX];
        a->value = l1->gpr[RDX] << 32 | (uint32_t)l1->gpr[RAX];
        break;
    }
}

/* ---- what the core tells ---- */

/* The exits of L1 by instructions that the core executes for it. */
static bool is_instruction(uint32_t reason)
{
    return reason == EXIT_REASON_cr_access || reason == EXIT_REASON_rdmsr || reason == EXIT_REASON_wrmsr ||
           reason == EXIT_REASON_xsetbv || (reason >= EXIT_REASON_vmcall && reason <= EXIT_REASON_vmxon) ||
           reason == EXIT_REASON_invept || reason == EXIT_REASON_invvpid;
}

/* Tells why; `outcome` is what the core made of it. */
static void explain(struct native_cpu *here, int outcome, unsigned vector)
{
    const struct vmcs *v = here->cpu->vmx.current;
    struct native_l1 *l1 = &here->native->l1;
    const struct insn *insn = &here->cpu->vmx.exited;

    if (here->exit_level != 1 || !v || !is_instruction((uint32_t)VMCS(v, exit_reason)))
        return;
    reads_exchange(here, true);
    l1->cpu = *here->cpu;
    guest_state(&l1->cpu, v);
    struct attempt attempt = { .cpu = &l1->cpu, .capability = &l1->capability, .id = insn->id, .insn = insn };
    operands(&attempt, &l1->cpu);
    own_view(l1, v);
    if (insn->id == INSN_lmsw || insn->id == INSN_clts)
        operands(&attempt, &l1->cpu);   /* of CR0 as L1 sees it */
    l1->capability = native_shown_capability();

    const struct refusal *refusal = refusal_find(&attempt);
    const struct refusal moved = { "core.apic_base", outcome, "docs/core.md", "the core refuses a value {value} for IA32_APIC_BASE that moves "
                                   "the local APIC, which it uses itself" };
    const struct refusal unknown = { "core.unexplained", outcome, "docs/core.md", "the core refuses it, and no rule of docs/refusals.md says why" };
    bool apic_base = insn->id == INSN_wrmsr && attempt.operand == MSR_ia32_apic_base;
    bool same = refusal && (outcome == OUTCOME_UD || outcome == OUTCOME_GP ? refusal->outcome <= OUTCOME_UD &&
                            refusal_vector(&attempt, refusal) == vector : refusal->outcome == outcome ||
                            (outcome == OUTCOME_INVALID && refusal->outcome > 0 && !l1->cpu.vmx.current));
    refusal_notify(&attempt, same ? refusal : apic_base ? &moved : &unknown);
    reads_exchange(here, false);
}

void refusals_log(struct native_cpu *here, enum hal_event event, uint64_t a, uint64_t result)
{
    if (event == HAL_EVENT_VMX_INSTRUCTION && result && result != VM_ERROR_entry_invalid_control &&
        result != VM_ERROR_entry_invalid_host_state)
        explain(here, (int)(int64_t)result, 0);
    if (event == HAL_EVENT_INJECT && (a == VECTOR_UD || a == VECTOR_GP || a == VECTOR_SS))
        explain(here, a == VECTOR_UD ? OUTCOME_UD : OUTCOME_GP, (unsigned)a);
}
