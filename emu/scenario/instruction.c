/* SPDX-License-Identifier: MIT */
/*
 * Lines that are one sensitive instruction: the line's operands go to registers and to the actor's scratch page, or lie where
 * an `operand` line said; then the same struct insn is built that the decoder would give, and execute() decides what it means.
 */
#include <string.h>

#include "emu/scenario/run.h"
#include "model/cpu/execute.h"
#include "model/cpu/translate.h"

/* Where an instruction leaves the value that the line reports. */
enum result { RESULT_NONE, RESULT_RAX, RESULT_EAX, RESULT_EDX_EAX, RESULT_IN, RESULT_MEMORY };

/* How each instruction is written: bytes with its operands as chosen here, size of its data, place of its result. */
static const struct form {
    uint8_t length, size;
    enum result result;
    bool entry;                         /* VMLAUNCH, VMRESUME */
    bool flags;                         /* reports VMsucceed or VMfail in RFLAGS (SDM Vol. 3, 31.2) */
    bool memory;                        /* has a memory operand, or can have one: `operand` */
} forms[INSN_COUNT] = {
    [INSN_cpuid] = { 2, 4, RESULT_EAX },
    [INSN_hlt] = { 1, 4 },
    [INSN_in] = { 1, 4, RESULT_IN },
    [INSN_out] = { 1, 4 },
    [INSN_rdmsr] = { 2, 4, RESULT_EDX_EAX },
    [INSN_wrmsr] = { 2, 4 },
    [INSN_rdtsc] = { 2, 4, RESULT_EDX_EAX },
    [INSN_rdtscp] = { 3, 4, RESULT_EDX_EAX },
    [INSN_rdpmc] = { 2, 4, RESULT_EDX_EAX },
    [INSN_mov_to_cr] = { 3, 8 },
    [INSN_mov_from_cr] = { 3, 8, RESULT_RAX },
    [INSN_clts] = { 2, 4 },
    [INSN_lmsw] = { 3, 2 },
    [INSN_smsw] = { 4, 8, RESULT_RAX },
    [INSN_mov_to_dr] = { 3, 8 },
    [INSN_mov_from_dr] = { 3, 8, RESULT_RAX },
    [INSN_invlpg] = { 3, 8 },
    [INSN_invpcid] = { 5, 8, .memory = true },
    [INSN_invd] = { 2, 4 },
    [INSN_wbinvd] = { 2, 4 },
    [INSN_xsetbv] = { 3, 4 },
    [INSN_monitor] = { 3, 4 },
    [INSN_mwait] = { 3, 4 },
    [INSN_pause] = { 2, 4 },
    [INSN_rdrand] = { 4, 8, RESULT_RAX },
    [INSN_rdseed] = { 4, 8, RESULT_RAX },
    [INSN_sgdt] = { 3, 8, RESULT_MEMORY, .memory = true },
    [INSN_sidt] = { 3, 8, RESULT_MEMORY, .memory = true },
    [INSN_sldt] = { 4, 8, RESULT_RAX },
    [INSN_str] = { 4, 8, RESULT_RAX },
    [INSN_lldt] = { 3, 2 },
    [INSN_ltr] = { 3, 2 },
    [INSN_getsec] = { 2, 4 },
    [INSN_rsm] = { 2, 4 },
    [INSN_vmcall] = { 3, 4, .flags = true },
    [INSN_vmclear] = { 4, 8, .flags = true, .memory = true },
    [INSN_vmlaunch] = { 3, 4, .flags = true, .entry = true },
    [INSN_vmptrld] = { 3, 8, .flags = true, .memory = true },
    [INSN_vmptrst] = { 3, 8, RESULT_MEMORY, .flags = true, .memory = true },
    [INSN_vmread] = { 3, 8, RESULT_RAX, .flags = true, .memory = true },
    [INSN_vmresume] = { 3, 4, .flags = true, .entry = true },
    [INSN_vmwrite] = { 3, 8, .flags = true, .memory = true },
    [INSN_vmxoff] = { 3, 4, .flags = true },
    [INSN_vmxon] = { 4, 8, .flags = true, .memory = true },
    [INSN_invept] = { 5, 8, .flags = true, .memory = true },
    [INSN_invvpid] = { 5, 8, .flags = true, .memory = true },
    [INSN_vmfunc] = { 3, 4 },
};

/* ---- operands ---- */

static uint64_t scratch_address(const struct run *run)
{
    return PLACE_SCRATCH + PAGE_SIZE * run->outcome.level_before + PLACE_SCRATCH_CPU * run->cpu->index;
}

/* The memory operand as memory, looked up without a trace. False where there is none: the instruction will fault. */
static bool look_up(struct run *run, uint64_t linear, uint64_t *pa)
{
    struct access probe = { .kind = ACCESS_READ, .probe = true, .user = cpu_cpl(run->cpu) == 3 };
    struct translation translation = translate(run->cpu, linear, probe);
    *pa = translation.pa;
    return translation.result == TRANSLATION_OK;
}

/* Where an offset of a segment is (SDM Vol. 3, 3.4.4). */
static uint64_t linear_of(const struct cpu *cpu, enum segment_register segment, uint64_t offset)
{
    if (cpu_64bit(cpu))
        return offset + (segment == SEG_FS || segment == SEG_GS ? cpu->seg[segment].base : 0);
    return (uint32_t)(offset + cpu->seg[segment].base);
}

/* The operand is where an `operand` line said, or these two words in the scratch page. */
static void memory_operand(struct run *run, struct insn *insn, uint64_t first, uint64_t second)
{
    uint64_t data[2] = { first, second }, pa;
    struct cpu *cpu = run->cpu;

    insn->kind = OPERAND_MEMORY;
    insn->base = RBX;
    insn->segment = SEG_DS;
    if (run->operand.given) {
        cpu->gpr[RBX] = run->operand.offset;
        insn->segment = (uint8_t)run->operand.segment;
    } else {
        cpu->gpr[RBX] = cpu_64bit(cpu) ? scratch_address(run) : (uint32_t)(scratch_address(run) - cpu->seg[SEG_DS].base);
        if (look_up(run, scratch_address(run), &pa))
            memory_write(&run->model->memory, pa, data, sizeof data);
    }
    run->operand.linear = linear_of(cpu, (enum segment_register)insn->segment, cpu->gpr[RBX]);
}

static void split(struct cpu *cpu, uint64_t value)
{
    cpu->gpr[RAX] = (uint32_t)value;
    cpu->gpr[RDX] = value >> 32;
}

/* Registers and memory as the instruction wants them: RAX data, RBX the memory operand's address, RCX an index. */
static void place_operands(struct run *run, const struct statement *s, struct insn *insn)
{
    uint64_t *gpr = run->cpu->gpr;
    const uint64_t *operand = s->operand;

    insn->kind = OPERAND_REGISTER;
    insn->rm = insn->reg = RAX;
    switch (insn->id) {
    case INSN_vmxon:
    case INSN_vmclear:
    case INSN_vmptrld:
    case INSN_vmptrst:
    case INSN_sgdt:
    case INSN_sidt:
        memory_operand(run, insn, operand[0], 0);
        break;
    case INSN_invept:
        gpr[RAX] = operand[0];
        memory_operand(run, insn, operand[1], 0);
        break;
    case INSN_invvpid:
    case INSN_invpcid:
        gpr[RAX] = operand[0];
        memory_operand(run, insn, operand[1], operand[2]);
        break;
    case INSN_vmread:
    case INSN_vmwrite:
        insn->reg = RCX;
        gpr[RCX] = operand[0];
        gpr[RAX] = operand[1];
        if (run->operand.given)
            memory_operand(run, insn, 0, 0);
        break;
    case INSN_cpuid:
    case INSN_vmfunc:
        gpr[RAX] = operand[0];
        gpr[RCX] = operand[1];
        break;
    case INSN_getsec:
        gpr[RAX] = operand[0];
        break;
    case INSN_in:
    case INSN_out:
        insn->kind = OPERAND_NONE;
        insn->port = (uint16_t)operand[0];
        insn->operand_size = (uint8_t)operand[1];
        insn->length = operand[1] == 2 ? 2 : 1;
        gpr[RDX] = operand[0];
        gpr[RAX] = operand[2];
        break;
    case INSN_rdmsr:
    case INSN_rdpmc:
        gpr[RCX] = operand[0];
        break;
    case INSN_wrmsr:
    case INSN_xsetbv:
        gpr[RCX] = operand[0];
        split(run->cpu, operand[1]);
        break;
    case INSN_mov_to_cr:
    case INSN_mov_to_dr:
        insn->reg = (uint8_t)operand[0];
        gpr[RAX] = operand[1];
        insn->length += operand[0] == 8;
        break;
    case INSN_mov_from_cr:
    case INSN_mov_from_dr:
        insn->reg = (uint8_t)operand[0];
        insn->length += operand[0] == 8;
        break;
    case INSN_lmsw:
    case INSN_lldt:
    case INSN_ltr:
        gpr[RAX] = operand[0];
        break;
    case INSN_invlpg:
        gpr[RBX] = operand[0];
        insn->kind = OPERAND_MEMORY;
        insn->base = RBX;
        insn->segment = SEG_DS;
        break;
    case INSN_monitor:
        gpr[RAX] = operand[0];
        gpr[RCX] = gpr[RDX] = 0;
        insn->kind = OPERAND_MEMORY;
        insn->base = RAX;
        insn->segment = SEG_DS;
        break;
    case INSN_mwait:
        gpr[RAX] = gpr[RCX] = 0;
        break;
    default:
        break;
    }
}

static enum status execute_once(struct run *run, const void *what)
{
    const struct statement *statement = what;
    enum insn_id id = op_table[statement->op].instruction;
    const uint8_t widest = cpu_64bit(run->cpu) ? 8 : 4, size = forms[id].size;
    struct insn insn = {
        .id = id, .length = forms[id].length, .operand_size = size < widest ? size : widest, .address_size = widest,
        .base = NO_REGISTER, .index = NO_REGISTER,
    };

    place_operands(run, statement, &insn);
    if (forms[id].flags)
        run->cpu->rflags &= ~RFLAGS_ARITHMETIC;
    enum status status = execute(run->cpu, &insn);
    if (status == STATUS_NATIVE)
        return model_refuse(run->cpu, "this instruction by a script in this mode: it is the CPU engine's");
    return status;
}

/* What an instruction left at its memory operand, looked up without a trace; absent memory is 0. */
static uint64_t left_in_memory(struct run *run, unsigned size)
{
    const struct memory *memory = &run->model->memory;
    uint64_t value = 0, pa;

    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = 0;
        if (look_up(run, run->operand.linear + i, &pa) && memory_is_ram(memory, pa, 1))
            memory_read(memory, pa, &byte, 1);
        value |= (uint64_t)byte << 8 * i;
    }
    return value;
}

static uint64_t result_value(struct run *run, const struct statement *statement, enum result result)
{
    const uint64_t *gpr = run->cpu->gpr;

    switch (result) {
    case RESULT_NONE:
        break;
    case RESULT_RAX:
        return run->operand.given ? left_in_memory(run, cpu_64bit(run->cpu) ? 8 : 4) : gpr[RAX];
    case RESULT_EAX:
        return (uint32_t)gpr[RAX];
    case RESULT_EDX_EAX:
        return gpr[RDX] << 32 | (uint32_t)gpr[RAX];
    case RESULT_IN:
        return gpr[RAX] & (statement->operand[1] == 4 ? 0xffffffff : statement->operand[1] == 2 ? 0xffff : 0xff);
    case RESULT_MEMORY:
        return left_in_memory(run, 8);
    }
    return 0;
}

bool instruction_has_memory_operand(uint8_t op) { return forms[op_table[op].instruction].memory; }

bool instruction_run(struct run *run, const struct statement *statement)
{
    struct outcome *outcome = &run->outcome;
    const struct form *form = &forms[op_table[statement->op].instruction];
    uint64_t rip = run->cpu->rip, before[GPR_COUNT];

    memcpy(before, run->cpu->gpr, sizeof before);
    if ((statement->op == OP_mov_to_cr || statement->op == OP_mov_from_cr) && statement->operand[0] == 8 && !cpu_64bit(run->cpu))
        return run_fail(run, "CR8 has a name in 64-bit mode alone");
    if (!run_attempt(run, execute_once, statement))
        return false;
    bool went_on = machine_level(run->machine, run->cpu) == outcome->level_before && !outcome->event.valid &&
                   run->cpu->rip != rip && !outcome->entered;
    if (form->flags && went_on) {
        outcome->failed_invalid = run->cpu->rflags & RFLAGS_CF;
        outcome->failed = outcome->failed_invalid || (run->cpu->rflags & RFLAGS_ZF);
        if (outcome->failed)
            outcome->unusual |= UNUSUAL_FAIL;
    }
    if (form->entry && !outcome->entered && !outcome->event.valid && !(outcome->unusual & UNUSUAL_EXIT)) {
        outcome->entry_failed = true;
        outcome->unusual |= outcome->failed ? 0 : UNUSUAL_ENTRY_FAILED;
    }
    if (went_on)
        outcome->value = result_value(run, statement, form->result);
    /* What a hypervisor's line needed registers for is no exit path that loses them. */
    if (run->check_registers && outcome->level_before == run->hypervisor && machine_level(run->machine, run->cpu) == run->hypervisor)
        memcpy(run->cpu->gpr, before, sizeof before);
    run->operand.given = false;
    return true;
}

/* ---- what preparations execute ---- */

bool instruction_plain(struct run *run, enum op_id op, uint64_t operand0, uint64_t operand1)
{
    struct statement statement = { .op = (uint8_t)op, .operand = { operand0, operand1 } };
    return instruction_run(run, &statement) && !run->outcome.unusual;
}

bool instruction_vmread(struct run *run, uint32_t field, uint64_t *value)
{
    bool good = instruction_plain(run, OP_vmread, field, 0);
    *value = run->outcome.value;
    return good;
}

bool instruction_vmwrite(struct run *run, uint32_t field, uint64_t value)
{
    return instruction_plain(run, OP_vmwrite, field, value);
}

bool instruction_rdmsr(struct run *run, uint32_t index, uint64_t *value)
{
    bool good = instruction_plain(run, OP_rdmsr, index, 0);
    *value = run->outcome.value;
    return good;
}
