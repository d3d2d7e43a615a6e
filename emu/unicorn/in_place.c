/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the model executes while the run goes on. The translator is shown CPUID in their place, and its helper is
 * replaced by the function below: it does what a stop and a new run would do, with the library's loop still on the stack. If
 * anything has come of the instruction but its result, the run ends, and the caller finds the instruction executed.
 */
#include "emu/unicorn/engine.h"

#include "emu/decode/decode.h"
#include "model/cpu/execute.h"

/* Does the instruction touch nothing but its operands, and what run_begin() and goes_on() look at? */
static bool is_quiet(const struct insn *insn)
{
    switch (insn->id) {
    case INSN_cpuid: case INSN_rdtsc: case INSN_rdtscp: case INSN_rdmsr: case INSN_rdrand: case INSN_rdseed:
    case INSN_mov_from_cr: case INSN_mov_from_dr: case INSN_clts: case INSN_invlpg: case INSN_invpcid: case INSN_iret:
    case INSN_lgdt: case INSN_lidt: case INSN_sgdt: case INSN_sidt: case INSN_sldt: case INSN_str: case INSN_smsw:
    case INSN_lar: case INSN_lsl: case INSN_verr: case INSN_verw: case INSN_wrfsbase: case INSN_wrgsbase:
    case INSN_vmread: case INSN_vmwrite: case INSN_vmptrst: case INSN_vmptrld: case INSN_vmclear:
        return true;
    case INSN_mov_to_cr:
        return insn->reg == 3;
    default:
        return false;
    }
}

/* Devices, timers, or what interrupts wait for: request->settle() comes afterwards. */
static bool has_consequences(const struct insn *insn)
{
    switch (insn->id) {
    case INSN_in: case INSN_out: case INSN_wrmsr: case INSN_mov_to_dr: case INSN_xsetbv: case INSN_lmsw:
        return true;
    case INSN_mov_to_cr:
        return insn->reg != 3;
    default:
        return false;
    }
}

bool in_place_find(struct engine *e, uint64_t pc, struct insn *insn)
{
    uint32_t hflags = ENV32(e->env, HFLAGS);
    unsigned bits = hflags & HF_CS64 ? 64 : hflags & HF_CS32 ? 32 : 16;
    uint64_t rip = pc - SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE);
    uint8_t code[INSTRUCTION_MAX];
    insn->id = INSN_none;
    if ((e->variant & VARIANT_SINGLE) || (hflags & HF_SHADOW) || (ENV64(e->env, EFLAGS) & (RFLAGS_TF | RFLAGS_RF | RFLAGS_VM)))
        return false;
    for (size_t n = 0; n < sizeof code && !((pc ^ (pc + n)) & PAGE_MASK); n++) {
        code[n] = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + n);     /* the page has just been fetched from */
        if (!decode_at(bits, rip, code, n + 1, insn))
            continue;
        if (is_quiet(insn) || has_consequences(insn))
            return true;
        break;
    }
    insn->id = INSN_none;
    return false;
}

/* Has the instruction ended, and would the next step do nothing but go on? */
static bool goes_on(struct engine *e, uint32_t interruptibility)
{
    const struct cpu *cpu = e->cpu;
    const struct memory *memory = &e->model->memory;
    if (e->status != STATUS_OK || cpu->activity != ACTIVITY_ACTIVE || cpu->monitor.waiting || cpu->event.valid || cpu->pending_debug ||
        cpu->interruptibility != interruptibility || (cpu->rflags & RFLAGS_TF) || debug_armed(cpu))
        return false;
    if (cpu->vmx.apic_write || cpu->vmx.tpr_exit || memory->written_count || memory->written_overflow || e->flush_wanted)
        return false;
    if (has_consequences(&e->insn))
        e->limit = e->request->settle(e->request->context, e->cpu);
    else if (e->interrupted)
        return false;
    return e->limit > cpu->clock + 1;   /* else the next one is the caller's to ask for, as a single step */
}

/* What the self-check sees: RIP is that of the instruction, and what is changed here is there afterwards. */
static void probe(struct engine *e)
{
    e->linear = ENV64(e->env, EIP);
    ENV64(e->env, REGS + 8 * RAX) = 0x12345678;
    state_join_flags(e);
    ENV64(e->env, EFLAGS) ^= RFLAGS_ZF;
    state_split_flags(e);
}

void __wrap_helper_cpuid_x86_64(library_env *env)
{
    struct engine *e = engine_here();
    (void)env;
    if (e->probing) {
        probe(e);
        return;
    }
    if (e->executed >= e->request->in_place)
        leave(e, LEFT_UD, WITHIN_BLOCK, RETURN_ADDRESS);
    struct cpu *cpu = e->cpu;
    e->insn = *e->count->current->insn;
    e->position = WITHIN_BLOCK;
    state_join_flags(e);
    state_store(e);
    fill_finish(e);
    e->running = false;                 /* the state is in cpu */
    e->executed++;
    uint64_t next = cpu_next_rip(cpu, e->insn.length);
    uint32_t interruptibility = cpu->interruptibility;
    decode_port(cpu, &e->insn);
    e->before_instructions = cpu->instructions;
    e->before_clock = cpu->clock;
    e->status = execute(cpu, &e->insn);
    e->running = true;
    if (!goes_on(e, interruptibility))
        leave(e, LEFT_EXECUTED, BETWEEN_BLOCKS, 0);
    run_begin(e);
    state_split_flags(e);
    if (cpu->rip != next)
        leave(e, LEFT_AGAIN, BETWEEN_BLOCKS, 0);
}
