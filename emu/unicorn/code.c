/* SPDX-License-Identifier: MIT */
/*
 * Translation of guest code. The library never sees a sensitive instruction that has to stop: while it translates one, it
 * reads UD2 in its place, so that executing it leaves generated code with RIP at the instruction and nothing changed.
 * What stops differs between modes of operation, so the set is part of the key under which blocks are found.
 */
#include "emu/unicorn/engine.h"

#include <string.h>
#include <sys/mman.h>

#include "emu/decode/decode.h"

/* When the library's buffer is full it drops all blocks but keeps references to some: it must not get there. It fills the whole buffer
 * with zeros when it drops its blocks, so that all of it becomes the process's memory: 1 GB, if it were asked to choose. */
enum { ARENA_SIZE = 32 << 20, ARENA_MARGIN = 1 << 20, BUFFER_SIZE = 128 << 20, TRANSLATED_MAX = 112 << 20 };
/* A stretch of code that runs on without a branch and was never translated before: this long it is no program any more. */
enum { UNEXPLORED_BYTES = 64 << 10, UNEXPLORED_ZEROS = 4 << 10 };

/* ---- which instructions stop ---------------------------------------------------------------------------------------- */

/* Rows that stop only if the model asks (cpu->intercepts); all others always stop. */
static const uint8_t variant_rows[] = {
    INSN_mov_from_cr, INSN_smsw, INSN_sldt, INSN_str,
};
enum { VARIANT_ROW_COUNT = sizeof variant_rows };

static uint32_t variant_of(const struct engine *e)
{
    uint32_t variant = 0;
    if (e->cpu->vmx.non_root)
        variant |= VARIANT_NON_ROOT;
    if (e->cpu->cr4 & CR4_UMIP)
        variant |= VARIANT_UMIP;
    if (e->cpu->cr4 & CR4_VME)
        variant |= VARIANT_VME;
    if (e->cpu->cr4 & CR4_PVI)
        variant |= VARIANT_PVI;
    for (unsigned i = 0; i < VARIANT_ROW_COUNT; i++)
        if (e->cpu->intercepts >> variant_rows[i] & 1)
            variant |= 1u << (VARIANT_ROWS + i);
    return variant;
}

static bool umip_row(enum insn_id id)
{
    return id == INSN_sldt || id == INSN_str || id == INSN_smsw;
}

/* MOV and POP of data segments are left to the library, which asks segment.c. */
static bool loads_segment(enum insn_id id)
{
    return id == INSN_mov_to_segment || id == INSN_pop_segment;
}

/* `reg`: the number of the control register. */
static bool row_stops(uint32_t variant, enum insn_id id, unsigned reg, unsigned cpl)
{
    unsigned i = 0;
    while (i < VARIANT_ROW_COUNT && variant_rows[i] != id)
        i++;
    if (i == VARIANT_ROW_COUNT)
        return id != INSN_none && !loads_segment(id);
    if (variant >> (VARIANT_ROWS + i) & 1)
        return true;
    if (id == INSN_mov_from_cr)
        return reg > 4 || reg == 1 || (variant & VARIANT_NON_ROOT && (reg == 0 || reg == 4));
    if (id == INSN_smsw && variant & VARIANT_NON_ROOT)
        return true;
    return variant & VARIANT_UMIP && cpl > 0 && umip_row(id);
}

/* ---- reading code --------------------------------------------------------------------------------------------------- */

uint32_t __wrap_cpu_ldub_code_x86_64(library_env *env, uint64_t address)
{
    const struct engine *e = engine_here();
    if (e->patching && address - e->patch_pc < 2)
        return e->patch[address - e->patch_pc];
    return __real_cpu_ldub_code_x86_64(env, address);
}

/* Where the virtual interrupt flag stands in for IF, the model executes what uses it: the library knows none. VM, IOPL and CPL are part of
 * its key of blocks. */
static bool uses_virtual_flag(const struct engine *e, uint8_t opcode)
{
    uint64_t flags = ENV64(e->env, EFLAGS);
    bool interrupt_flag = opcode == 0xfa || opcode == 0xfb;
    if ((flags & RFLAGS_IOPL) == RFLAGS_IOPL || !(ENV32(e->env, HFLAGS) & HF_PE))
        return false;
    if (flags & RFLAGS_VM)
        return e->variant & VARIANT_VME && (interrupt_flag || opcode == 0x9c || opcode == 0x9d || opcode == 0xcd);
    return e->variant & VARIANT_PVI && (ENV32(e->env, HFLAGS) & 3) == 3 && interrupt_flag;
}

/* What the translator shall see of an instruction. */
struct view {
    bool patched;
    bool aligned;               /* it has a memory operand that must be aligned to 16 bytes */
    uint8_t repeats;            /* a string instruction with a REP prefix: its address size */
    uint8_t bytes[2], shadow;
    uint8_t length;             /* bytes looked at, prefixes included */
};
static const uint8_t ud2[2] = { 0x0f, 0x0b }, nop[2] = { 0x90, 0x90 }, cpuid[2] = { 0x0f, 0xa2 };

static void show(struct view *view, const uint8_t bytes[2])
{
    view->patched = true;
    memcpy(view->bytes, bytes, 2);
}

/* VEX-encoded instructions are not offered to guests (the library would run some of them as SSE): C4 and C5 begin one
 * unless they are LES or LDS (SDM Vol. 2, 2.3.5). */
static bool is_vex(const struct engine *e, uint64_t at, bool mode64)
{
    uint64_t flags = ENV64(e->env, EFLAGS);
    if (mode64)
        return true;
    return (ENV32(e->env, HFLAGS) & HF_PE) && !(flags & RFLAGS_VM) && __real_cpu_ldub_code_x86_64(e->env, at) >= 0xc0;
}

static bool lock_is_legal(const struct engine *e, enum opcode_map map, uint8_t opcode, uint64_t at)
{
    /* Some member of its group (ModRM.reg 1, 2, 5) may be locked: only then its ModRM byte is there to be read. */
    if (!opcode_lockable(map, opcode, 0x08) && !opcode_lockable(map, opcode, 0x28) && !opcode_lockable(map, opcode, 0x10))
        return false;
    return opcode_lockable(map, opcode, (uint8_t)__real_cpu_ldub_code_x86_64(e->env, at));
}

/* Reads no byte that the translator would not read too, in the same order: fetch faults are the same. */
static struct view look(const struct engine *e, uint64_t pc)
{
    struct view view = { 0 };
    struct prefixes prefixes = { .segment = NO_REGISTER };
    uint32_t hflags = ENV32(e->env, HFLAGS);
    bool mode64 = hflags & HF_CS64;
    uint8_t opcode, modrm = 0;
    enum opcode_map map = MAP_ONE_BYTE;
    do {
        if (view.length == INSTRUCTION_MAX)
            return view;
        opcode = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length++);
    } while (prefix_add(&prefixes, opcode, mode64));
    if (opcode == 0x0f) {
        map = MAP_0F;
        opcode = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length++);
        if (opcode == 0x38 || opcode == 0x3a) {
            map = opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
            opcode = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length++);
        }
    }
    if (prefixes.lock && !lock_is_legal(e, map, opcode, pc + view.length)) {
        show(&view, ud2);       /* the library does not check, and ends the process at some */
        return view;
    }
    if (map == MAP_ONE_BYTE) {
        switch (opcode) {
        case 0xa4: case 0xa5: case 0xa6: case 0xa7:     /* MOVS, CMPS */
        case 0xaa: case 0xab: case 0xac: case 0xad: case 0xae: case 0xaf:       /* STOS, LODS, SCAS */
            if (prefixes.rep || prefixes.repne)
                view.repeats = mode64 ? (prefixes.address_size ? 4 : 8) : !!(hflags & HF_CS32) != prefixes.address_size ? 4 : 2;
            return view;
        case 0xfa:
        case 0xfb:
        case 0x9c:
        case 0x9d:
        case 0xcd:
            if (uses_virtual_flag(e, opcode))
                show(&view, ud2);
            else if (opcode == 0xfb)
                view.shadow = BLOCKING_BY_STI;
            return view;
        case 0x17: view.shadow = mode64 ? 0 : BLOCKING_BY_MOV_SS; return view;
        case 0x8e:
            modrm = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length);
            view.shadow = (modrm >> 3 & 7) == SEG_SS ? BLOCKING_BY_MOV_SS : 0;
            return view;
        case 0xc4:
        case 0xc5:
            if (is_vex(e, pc + view.length, mode64)) {
                show(&view, ud2);
                return view;
            }
            break;
        case 0xff:                              /* CALL and JMP far; in a register they are #UD */
            modrm = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length);
            if ((modrm & 0x38) == 0x18 || (modrm & 0x38) == 0x28) {
                view.length++;
                show(&view, ud2);
            }
            return view;
        case 0xf1:                              /* INT1: the library would end the run */
            show(&view, ud2);
            return view;
        }
    }
    /* MOVBE has no register form; with F2 these are CRC32. */
    if (map == MAP_0F38 && (opcode == 0xf0 || opcode == 0xf1) && !prefixes.repne &&
        (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length) >= 0xc0) {
        show(&view, ud2);
        return view;
    }
    /* With a prefix, group 15 on a register is RDFSBASE to WRGSBASE (F3, /0 to /3), or an instruction that is not offered
     * (TPAUSE, UMWAIT, UMONITOR) and that the library takes for a fence. */
    if (map == MAP_0F && opcode == 0xae && (prefixes.operand_size || prefixes.rep || prefixes.repne)) {
        modrm = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length);
        /* WRFSBASE and WRGSBASE of 64 bits: the library takes addresses that are not canonical. */
        bool write_base = mode64 && (prefixes.rex & 8) && (modrm >> 3 & 7) >= 2;
        if (modrm >= 0xc0 && (!(prefixes.rep && (modrm >> 3 & 7) < 4) || write_base)) {
            view.length += write_base;
            show(&view, ud2);
        }
        return view;
    }
    if (map != MAP_ONE_BYTE && opcode_aligned(map, opcode, &prefixes)) {
        view.aligned = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length) < 0xc0;
        return view;
    }
    enum opcode_interest interest = (enum opcode_interest)e->interest[map][opcode];
    if (interest == OPCODE_ORDINARY)
        return view;
    if (interest == OPCODE_ASK_MODRM)
        modrm = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, pc + view.length++);
    enum insn_id id = opcode_find(map, opcode, &prefixes, modrm);
    if (id == INSN_none)
        return view;
    /* SMSW to a 32-bit register gives all of CR0 on processors; the library stores 16 bits outside 64-bit mode. */
    bool wide_smsw = id == INSN_smsw && modrm >= 0xc0 && !mode64;
    if (wide_smsw || row_stops(e->variant, id, (modrm >> 3 & 7u) | (prefixes.rex & 4u) << 1, hflags & 3))
        show(&view, ud2);
    return view;
}

/* ---- blocks --------------------------------------------------------------------------------------------------------- */

/* Translates `bytes` in place of the instruction, which is `length` bytes long. */
static void translate_as(struct engine *e, void *db, library_cpu *cpu, const uint8_t bytes[2], unsigned length)
{
    uint64_t pc = FIELD(uint64_t, db, DB_PC_NEXT);
    e->patching = true;
    e->patch_pc = pc;
    memcpy(e->patch, bytes, sizeof e->patch);
    e->library_ops->translate_insn(db, cpu);
    e->patching = false;
    FIELD(uint64_t, db, DB_PC_NEXT) = pc + length;
}

static void translate_insn(void *db, library_cpu *cpu)
{
    struct engine *e = engine_here();
    struct block *b = e->building;
    uint64_t pc = FIELD(uint64_t, db, DB_PC_NEXT);
    struct view view = look(e, pc);
    if (view.aligned && pc != b->pc) {
        /* It shall begin a block: the library is shown a NOP of no length, which ends this one. */
        translate_as(e, db, cpu, nop, 0);
        FIELD(uint32_t, db, DB_IS_JMP) = DISAS_TOO_MANY;
        return;
    }
    if (b->count < BLOCK_INSNS_MAX)
        b->offset[b->count++] = (uint16_t)(pc - b->pc);
    b->shadow = view.shadow;
    b->patched = view.patched;
    if (view.patched && in_place_find(e, pc, &e->decoded)) {
        show(&view, cpuid);
        view.length = e->decoded.length;
    }
    b->repeats = view.repeats;
    if (view.aligned)
        count_call(e, &e->operand_aligned, b);
    if (view.patched)
        translate_as(e, db, cpu, view.bytes, view.length);
    else
        e->library_ops->translate_insn(db, cpu);
    if (view.aligned)
        alignment_note(e, b, FIELD(uint64_t, db, DB_PC_NEXT));

    /*
     * An instruction that may cross into the next page begins a block of its own: if fetching it faults, RIP is right. It
     * also ends it, so that each instruction begins in its block's first page. The one after an instruction that was
     * resumed with RFLAGS.RF set begins a block too: RF is part of the key of blocks.
     */
    uint64_t next = FIELD(uint64_t, db, DB_PC_NEXT), left_in_page = PAGE_SIZE - (next & ~PAGE_MASK);
    if (FIELD(uint32_t, db, DB_IS_JMP) == DISAS_NEXT &&
        (e->decoded.id != INSN_none || left_in_page < INSTRUCTION_MAX || (next ^ b->pc) & PAGE_MASK || (ENV64(e->env, EFLAGS) & RFLAGS_RF)))
        FIELD(uint32_t, db, DB_IS_JMP) = DISAS_TOO_MANY;
}

static void begin_block(void *db, library_cpu *cpu)
{
    struct engine *e = engine_here();
    e->library_ops->tb_start(db, cpu);
    count_begin(e, e->building);
}

static void end_block(void *db, library_cpu *cpu)
{
    struct engine *e = engine_here();
    e->library_ops->tb_stop(db, cpu);
    count_end(e, e->building);
}

/* Code of CPL 3 with RFLAGS.AC set (both are part of the key of blocks) begins each block with a look at CR0.AM. */
static bool alignment_may_be_checked(const struct engine *e)
{
    return (ENV64(e->env, EFLAGS) & RFLAGS_AC) && (ENV32(e->env, HFLAGS) & 3) == 3;
}

void __wrap_tcg_exec_init_x86_64(uc_engine *uc, unsigned long buffer_size)
{
    (void)buffer_size;              /* 0: the library's own choice */
    __real_tcg_exec_init_x86_64(uc, BUFFER_SIZE);
}

static bool all_zeros(const struct engine *e, const struct block *b)
{
    const uint8_t *code = e->model->memory.ram + b->ram;
    if (b->ram == ~0ull)
        return false;
    for (unsigned i = 0; i < b->length; i++)
        if (code[i])
            return false;
    return true;
}

/* Does this new block go on where the one executed before it ended, which was new, too?  Then the processor runs through what it never executed. */
static void explore(struct engine *e, const struct block *b)
{
    struct unexplored *run = &e->unexplored;
    uint64_t length;
    const struct block *from = e->count->current;
    bool on = b->pc >= run->first && b->pc <= run->last && (!from || from->pc + from->length == b->pc);
    if (!on) {
        *run = (struct unexplored){ .first = b->pc, .zeros = true, .instructions = e->start_instructions + e->count->retired, .jumped = from && from->count,
                                    .origin = from && from->count ? from->pc + from->offset[from->count - 1] : 0 };
    }
    if (b->pc + b->length > run->last)
        run->last = b->pc + b->length;      /* translations are also made again: when they were dropped, or overwritten */
    run->zeros = run->zeros && all_zeros(e, b);
    length = run->last - run->first;
    if (run->found || length < (run->zeros ? UNEXPLORED_ZEROS : UNEXPLORED_BYTES))
        return;
    run->found = true;
    engine_interrupt(e);
}

bool engine_met_unexplored(const struct engine *e)
{
    return e->unexplored.found && !e->unexplored.told;
}

bool engine_unexplored(struct engine *e, struct unexplored *run)
{
    bool found = e->unexplored.found && !e->unexplored.told;
    *run = e->unexplored;
    e->unexplored.told |= found;
    return found;
}

void __wrap_translator_loop_x86_64(const struct translator_ops *ops, void *db, library_cpu *cpu, void *tb, int max_insns)
{
    struct engine *e = engine_here();
    struct block *b = (struct block *)(e->arena + e->arena_used);
    b->pc = ENV64(e->env, EIP) + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE);
    b->ram = get_page_addr_code_x86_64(e->env, b->pc);  /* just looked up: it cannot fault */
    b->count = 0;
    b->aligned.address_size = 0;
    b->resumes = ENV64(e->env, EFLAGS) & RFLAGS_RF;
    b->counted = !(e->variant & VARIANT_SINGLE) && !b->resumes && !alignment_may_be_checked(e);
    e->building = b;
    e->translations++;
    e->patching = false;                /* a fault may have ended the translation before */
    e->ops = *ops;
    e->library_ops = ops;
    e->ops.tb_start = begin_block;
    e->ops.translate_insn = translate_insn;
    e->ops.tb_stop = end_block;
    e->asks_first = true;
    e->decoded.id = INSN_none;
    __real_translator_loop_x86_64(&e->ops, db, cpu, tb, e->variant & VARIANT_SINGLE ? 1 : max_insns);
    b->length = (uint16_t)(FIELD(uint64_t, db, DB_PC_NEXT) - b->pc);
    explore(e, b);
    e->arena_used += (sizeof *b + b->count * sizeof b->offset[0] + 7) & ~(size_t)7;
    b->insn = NULL;
    if (e->decoded.id != INSN_none) {
        b->insn = memcpy(e->arena + e->arena_used, &e->decoded, sizeof e->decoded);
        e->arena_used += (sizeof e->decoded + 7) & ~(size_t)7;
    }
    if (!e->first_tb)
        e->first_tb = (uintptr_t)tb;
    if ((e->arena_used > ARENA_SIZE - ARENA_MARGIN || (uintptr_t)tb - e->first_tb > TRANSLATED_MAX) && !e->flush_wanted) {
        e->flush_wanted = true;
        e->budget_after_flush = e->budget;
        clock_set_budget(e, 0);
    }
}

bool code_open(struct engine *e)
{
    for (unsigned map = 0; map < MAP_COUNT; map++)
        for (unsigned opcode = 0; opcode < 256; opcode++)
            e->interest[map][opcode] = (uint8_t)opcode_interest((enum opcode_map)map, (uint8_t)opcode);
    /* Addresses of 31 bits make the blocks' code shorter; others do, too. */
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, flags | MAP_32BIT, -1, 0);
    if (arena == MAP_FAILED)
        arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (arena == MAP_FAILED)
        return false;
    e->arena = arena;
    return true;
}

void code_close(struct engine *e)
{
    if (e->arena)
        munmap(e->arena, ARENA_SIZE);
}

void code_flush(struct engine *e)
{
    tb_flush_x86_64(e->library);
    e->arena_used = 0;
    e->first_tb = 0;
    e->count->current = e->count->previous = NULL;
    if (e->flush_wanted)
        clock_set_budget(e, e->interrupted ? 0 : e->budget_after_flush);
    e->flush_wanted = false;
}

void code_prepare(struct engine *e)
{
    struct memory *memory = &e->model->memory;
    if (memory->written_overflow) {
        code_flush(e);
    } else {
        for (unsigned i = 0; i < memory->written_count; i++) {
            size_t page = memory_page_index(memory, memory->written[i]);
            if (page != SIZE_MAX)
                tb_invalidate_phys_range_x86_64(e->uc, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
        }
    }
    memory->written_count = 0;
    memory->written_overflow = false;
    e->variant = variant_of(e);
    if (e->request->single_step || e->debug_armed)
        e->variant |= VARIANT_SINGLE;
    /* The library's tracing mask, unused otherwise, is compared in each look-up of a block. */
    FIELD(uint64_t, e->library, CPU_TRACE_DSTATE) = e->variant;
}

/* ---- pages with translated code: stores to them take the slow path, which drops the translations -------------------- */

void __wrap_tlb_protect_code_x86_64(uc_engine *uc, uint64_t ram_address)
{
    struct engine *e = engine_here();
    __real_tlb_protect_code_x86_64(uc, ram_address);
    if (!e || ram_address >= e->model->memory.size)
        return;
    e->model->memory.watch[ram_address / PAGE_SIZE] |= WATCH_CODE;
    e->protections++;
    /* By host address: every alias at once. */
    tlb_reset_dirty_x86_64(e->library, (uintptr_t)e->model->memory.ram + (ram_address & PAGE_MASK), PAGE_SIZE);
}

void __wrap_tlb_unprotect_code_x86_64(uc_engine *uc, uint64_t ram_address)
{
    struct engine *e = engine_here();
    __real_tlb_unprotect_code_x86_64(uc, ram_address);
    if (!e || ram_address >= e->model->memory.size)
        return;
    uint64_t page = ram_address / PAGE_SIZE, linear = e->last_linear[page];
    unsigned slot = linear / PAGE_SIZE % RECENT_PAGES;
    e->model->memory.watch[page] &= (uint8_t)~WATCH_CODE;
    if (e->recent[slot].linear == linear && e->recent[slot].page == page)
        tlb_set_dirty_x86_64(e->library, linear);       /* other aliases stay slow until their next fill */
}
