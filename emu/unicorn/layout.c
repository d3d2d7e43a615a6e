/* SPDX-License-Identifier: MIT */
/*
 * The start-up self-check: every offset of library.h is proved against the library's public functions or by running a few
 * bytes of code, and every wrapper that nothing else would miss. A library that differs is refused by name.
 */
#include "emu/unicorn/engine.h"

#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition, what)                                                                                    \
    do {                                                                                                            \
        if (!(condition))                                                                                           \
            return what;                                                                                            \
    } while (0)

static const struct { const char *name; int reg; uint32_t offset; uint64_t value; } registers[] = {
    { "rax", UC_X86_REG_RAX, REGS, 0x1100000000000011 }, { "rcx", UC_X86_REG_RCX, REGS + 8, 0x1200000000000012 },
    { "rdx", UC_X86_REG_RDX, REGS + 16, 0x1300000000000013 }, { "rbx", UC_X86_REG_RBX, REGS + 24, 0x1400000000000014 },
    { "rsp", UC_X86_REG_RSP, REGS + 32, 0x1500000000000015 }, { "rbp", UC_X86_REG_RBP, REGS + 40, 0x1600000000000016 },
    { "rsi", UC_X86_REG_RSI, REGS + 48, 0x1700000000000017 }, { "rdi", UC_X86_REG_RDI, REGS + 56, 0x1800000000000018 },
    { "r8", UC_X86_REG_R8, REGS + 64, 0x1900000000000019 }, { "r15", UC_X86_REG_R15, REGS + 120, 0x1a0000000000001a },
    { "rip", UC_X86_REG_RIP, EIP, 0x1b0000000000001b }, { "cr2", UC_X86_REG_CR2, CR + 16, 0x1c0000000000001c },
    { "cr3", UC_X86_REG_CR3, CR + 24, 0x1d001000 },
    { "fs base", UC_X86_REG_FS_BASE, SEGMENTS + SEG_FS * SEGMENT_SIZE + SEGMENT_BASE, 0x200000000020 },
    { "gs base", UC_X86_REG_GS_BASE, SEGMENTS + SEG_GS * SEGMENT_SIZE + SEGMENT_BASE, 0x210000000021 },
};

static const struct { const char *name; uint32_t msr, offset; uint64_t value; } msrs[] = {
    { "efer", 0xc0000080, EFER, 0x500 }, { "star", 0xc0000081, STAR, 0x3100000000000031 },
    { "lstar", 0xc0000082, LSTAR, 0x320000000032 }, { "cstar", 0xc0000083, CSTAR, 0x330000000033 },
    { "fmask", 0xc0000084, FMASK, 0x3434 }, { "kernel_gs_base", 0xc0000102, KERNEL_GS_BASE, 0x350000000035 },
    { "tsc_aux", 0xc0000103, TSC_AUX, 0x36 }, { "sysenter_cs", 0x174, SYSENTER_CS, 0x38 },
    { "sysenter_esp", 0x175, SYSENTER_ESP, 0x3900000000000039 }, { "sysenter_eip", 0x176, SYSENTER_EIP, 0x3a0000000000003a },
    { "first of the mtrrs", 0x200, COUNTERS, 0x3b00000000000b }, { "last of the mtrrs", 0x20f, COUNTERS + 15 * 8, 0x3c0000000000000c },
};

static const struct { const char *name; int reg; unsigned index; } selectors[] = {
    { "es", UC_X86_REG_ES, SEG_ES }, { "cs", UC_X86_REG_CS, SEG_CS }, { "ss", UC_X86_REG_SS, SEG_SS },
    { "ds", UC_X86_REG_DS, SEG_DS }, { "fs", UC_X86_REG_FS, SEG_FS }, { "gs", UC_X86_REG_GS, SEG_GS },
}, tables[] = {
    { "ldtr", UC_X86_REG_LDTR, SEG_LDTR }, { "tr", UC_X86_REG_TR, SEG_TR },
    { "gdtr", UC_X86_REG_GDTR, LIBRARY_GDTR }, { "idtr", UC_X86_REG_IDTR, LIBRARY_IDTR },
};

static uint64_t public_register(struct engine *e, int reg)
{
    uint64_t value = 0;
    uc_reg_read(e->uc, reg, &value);
    return value;
}

static const char *check_registers(struct engine *e)
{
    library_env *env = e->env;
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
        uc_reg_write(e->uc, registers[i].reg, &registers[i].value);
        REQUIRE(ENV64(env, registers[i].offset) == registers[i].value, registers[i].name);
    }
    for (size_t i = 0; i < sizeof msrs / sizeof *msrs; i++) {
        uc_x86_msr x = { msrs[i].msr, msrs[i].value };
        uc_reg_write(e->uc, UC_X86_REG_MSR, &x);
        REQUIRE(ENV32(env, msrs[i].offset) == (uint32_t)x.value, msrs[i].name);
    }
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        SEGMENT(uint32_t, env, selectors[i].index, SEGMENT_SELECTOR) = 0x4100 + 8 * (uint32_t)i;
        REQUIRE(public_register(e, selectors[i].reg) == 0x4100 + 8 * i, selectors[i].name);
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        unsigned s = tables[i].index;
        uc_x86_mmr x = { (uint16_t)(0x5100 + 8 * i), 0x520000000000 + i, 0x5300 + (uint32_t)i, 0x8b00 };
        uc_reg_write(e->uc, tables[i].reg, &x);
        REQUIRE(SEGMENT(uint64_t, env, s, SEGMENT_BASE) == x.base && SEGMENT(uint32_t, env, s, SEGMENT_LIMIT) == x.limit,
                tables[i].name);
        REQUIRE(s >= LIBRARY_GDTR || (SEGMENT(uint32_t, env, s, SEGMENT_SELECTOR) == x.selector &&
                                      SEGMENT(uint32_t, env, s, SEGMENT_FLAGS) == x.flags), tables[i].name);
    }
    ENV64(env, EFLAGS) = 0x4202, ENV64(env, CC_SRC) = 0x41, ENV32(env, CC_OP) = 1, ENV32(env, DF) = ~0u;
    REQUIRE(public_register(e, UC_X86_REG_EFLAGS) == 0x4643, "eflags, cc_src, cc_op or df");
    return NULL;
}

static const char *check_control(struct engine *e)
{
    library_env *env = e->env;
    /* A wrong place for it would not end a run: no running to find out. The library's own engine follows it. */
    REQUIRE(FIELD(int32_t, e->library, CPU_EXCEPTION_INDEX) == -1 &&
            FIELD(uc_engine *, e->library, CPU_EXCEPTION_INDEX + 8) == e->uc, "exception_index");
    uint32_t before = ENV32(env, HFLAGS);
    cpu_x86_update_cr0_x86_64(env, (uint32_t)ENV64(env, CR) ^ 8);
    REQUIRE((before ^ ENV32(env, HFLAGS)) == 1u << 11 && public_register(e, UC_X86_REG_CR0) == ENV64(env, CR),
            "cr0 or hflags");
    cpu_x86_update_cr4_x86_64(env, 0x2a0);
    REQUIRE(ENV64(env, CR + 32) == 0x2a0 && public_register(e, UC_X86_REG_CR4) == 0x2a0, "cr4");
    REQUIRE(ENV32(env, HFLAGS) & HF_OSFXSR, "hflags: osfxsr");
    FIELD(uint32_t, e->library, CPU_INTERRUPT_REQUEST) = 0xa5a5;
    cpu_reset_interrupt(e->library, 0x0505);
    REQUIRE(FIELD(uint32_t, e->library, CPU_INTERRUPT_REQUEST) == 0xa0a0, "interrupt_request");
    FIELD(uint32_t, e->library, CPU_INTERRUPT_REQUEST) = 0;
    return NULL;
}

static const char *check_features(struct engine *e)
{
    static const struct { unsigned word; uint32_t leaf; unsigned out; uint32_t value; } words[] = {
        { F_1_EDX, 1, 3, 0x078bfbfd }, { F_1_ECX, 1, 2, 0x00982201 }, { F_7_EBX, 7, 1, 0x00100081 }, { F_7_ECX, 7, 2, 4 },
        { F_81_EDX, 0x80000001, 3, 0x2c100800 }, { F_81_ECX, 0x80000001, 2, 0x21 },
    };
    library_env *env = e->env;
    uint32_t out[4];
    ENV32(env, CPUID_LEVEL) = 0xb, ENV32(env, CPUID_XLEVEL) = 0x80000008, ENV32(env, CPUID_VENDOR1) = 0x61626364;
    cpu_x86_cpuid_x86_64(env, 0, 0, out, out + 1, out + 2, out + 3);
    REQUIRE(out[0] == 0xb && out[1] == 0x61626364, "cpuid_level or cpuid_vendor1");
    cpu_x86_cpuid_x86_64(env, 0x80000000, 0, out, out + 1, out + 2, out + 3);
    REQUIRE(out[0] == 0x80000008, "cpuid_xlevel");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        ENV64(env, FEATURES + 8 * words[i].word) = words[i].value;
        cpu_x86_cpuid_x86_64(env, words[i].leaf, 0, out, out + 1, out + 2, out + 3);
        REQUIRE(out[words[i].out] == words[i].value, "features");
    }
    return NULL;
}

/* Everything that x87 and SSE instructions write lies between FPU_FIRST and FPU_END. */
static const char *check_fpu(struct engine *e)
{
    size_t n = uc_context_size(e->uc) - CONTEXT_HEADER;
    uint8_t *env = (uint8_t *)e->env, *before = malloc(n);
    uint64_t wide[2] = { 0x4100000000000041, 0x4200000000000042 }, word = 0x27f;
    uc_context *context;
    REQUIRE(before && n > ERROR_CODE && n < FEATURES && !uc_context_alloc(e->uc, &context), "context");
    uc_context_save(e->uc, context);
    bool same = !memcmp((uint8_t *)context + CONTEXT_HEADER, env, n);
    uc_context_free(context);
    memcpy(before, env, n);
    uc_reg_write(e->uc, UC_X86_REG_XMM0, wide);
    uc_reg_write(e->uc, UC_X86_REG_XMM15, wide);
    uc_reg_write(e->uc, UC_X86_REG_FPCW, &word);
    uc_reg_write(e->uc, UC_X86_REG_MM7, wide);
    bool inside = memcmp(before + FPU_FIRST, env + FPU_FIRST, FPU_END - FPU_FIRST);
    bool outside = memcmp(before, env, FPU_FIRST) || memcmp(before + FPU_END, env + FPU_END, n - FPU_END);
    free(before);
    REQUIRE(same, "context header or size");
    REQUIRE(inside && !outside, "floating-point state");
    return NULL;
}

static enum left run_to(struct engine *e, uint64_t budget, uint32_t variant, const char *code, size_t length)
{
    memcpy(e->model->memory.ram, code, length);
    e->left = LEFT_NOT;
    e->stopping = false;
    e->count->retired = 0;
    clock_set_budget(e, budget);
    e->count->current = e->count->previous = NULL;
    e->variant = variant;
    FIELD(uint64_t, e->library, CPU_TRACE_DSTATE) = variant;
    ENV32(e->env, EXCEPTION_IS_INT) = 0;
    return uc_emu_start(e->uc, 0, 0, 0, 0) ? LEFT_REFUSED : e->left;
}

static enum left run(struct engine *e, uint32_t variant, const char *code, size_t length)
{
    return run_to(e, ~0ull, variant, code, length);
}

/* Runs code at physical address 0 in 64-bit mode, all memory mapped one to one. */
static const char *check_execution(struct engine *e)
{
    library_env *env = e->env;
    SEGMENT(uint64_t, env, SEG_CS, SEGMENT_BASE) = 0;
    REQUIRE(ENV32(env, HFLAGS) & HF_CS64, "hflags: cs64");

    ENV64(env, EFLAGS) = RFLAGS_FIXED;
    REQUIRE(run(e, 0, "\x90\x90\x0f\x0b", 4) == LEFT_UD && ENV64(env, EIP) == 2, "exception intercept or exception_index");
    REQUIRE(e->count->current && e->count->current->count == 3 && e->count->retired == 3 && clock_retired_at(e, 2) == 2, "counting, pc_next");
    REQUIRE(context_plausible(e, 0, true), "tlb");
    REQUIRE(!e->unlike, "start of a block");
    REQUIRE(e->block_begins.known && run_to(e, 0, 0, "\x90\x90\x0f\x0b", 4) == LEFT_POLL && ENV64(env, EIP) == 0 && !e->count->retired &&
            !e->count->current, "limit at the start of a block");
    uint64_t translations = e->translations;
    REQUIRE(run(e, 0, "\x90\x90\x0f\x0b", 4) == LEFT_UD && e->translations == translations, "cache of blocks");
    REQUIRE(run(e, 1, "\x90\x90\x0f\x0b", 4) == LEFT_UD && e->translations == translations + 3 && e->count->current->count == 1,
            "trace_dstate");
    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);       /* nop; jmp to itself: the chained block counts, too */
    REQUIRE(run_to(e, 5, 0, "\x90\xeb\xfd", 3) == LEFT_POLL && ENV64(env, EIP) == 0 && e->count->retired == 6 &&
            e->count->current && e->count->current->count == 2, "limit of a loop");
    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);
    REQUIRE(run(e, 0, "\x90\xf4\x90", 3) == LEFT_UD && ENV64(env, EIP) == 1, "cpu_ldub_code");

    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);       /* nop; rdtsc, executed in place; setz cl; ud2 */
    ENV64(env, EFLAGS) = RFLAGS_FIXED, ENV64(env, REGS + 8 * RCX) = 0;
    REQUIRE(run(e, 0, "\x90\x0f\x31\x0f\x94\xc1\x0f\x0b", 8) == LEFT_UD && ENV64(env, EIP) == 6 && e->linear == 1 &&
            ENV64(env, REGS) == 0x12345678 && ENV64(env, REGS + 8 * RCX) == 1 && (ENV64(env, EFLAGS) & RFLAGS_ZF) &&
            e->count->retired == 4 && e->count->current->count == 2, "cpuid");

    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);
    ENV64(env, EFLAGS) = RFLAGS_FIXED | RFLAGS_RF;
    translations = e->translations;
    REQUIRE(run(e, 0, "\x90\x90\x0f\x0b", 4) == LEFT_UD && e->translations == translations + 2 && e->count->current->count == 2,
            "is_jmp");
    REQUIRE(!(ENV64(env, EFLAGS) & RFLAGS_RF), "eflags: RF");

    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);
    ENV32(env, ERROR_CODE) = 0xdead, ENV32(env, EXCEPTION_IS_INT) = 7;
    REQUIRE(run(e, 0, "\x90\xcd\x37", 3) == LEFT_SOFTWARE_INTERRUPT && ENV64(env, EIP) == 1 &&
            ENV32(env, EXCEPTION_IS_INT) == 0, "software interrupt");

    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);       /* nop; mov al, [0xfee00000]; ud2 */
    REQUIRE(run(e, 0, "\x90\xa0\x00\x00\xe0\xfe\x00\x00\x00\x00\x0f\x0b", 12) == LEFT_UD && e->linear == 1, "mem_io_pc");
    REQUIRE(context_plausible(e, 0xfee00000, false), "tlb of devices");

    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);
    set_features(env);
    ENV64(env, CR + 32) |= CR4_OSXSAVE;
    ENV64(env, XCR0) = 0x12345678;
    ENV64(env, REGS + 8 * RCX) = 0;
    REQUIRE(run(e, 0, "\x0f\x01\xd0\x0f\x0b", 5) == LEFT_UD && ENV64(env, EIP) == 3 && ENV64(env, REGS) == 0x12345678, "xcr0");
    return NULL;
}

static const char *check_all(struct engine *e)
{
    const char *bad;
    if ((bad = check_registers(e)) || (bad = check_control(e)) || (bad = check_features(e)) || (bad = check_fpu(e)))
        return bad;
    return NULL;
}

const char *check_layout(struct engine *e)
{
    uint8_t saved[PAGE_SIZE];
    uc_context *context;
    const char *bad;
    if (uc_context_alloc(e->uc, &context))
        return "context";
    memcpy(saved, e->model->memory.ram, sizeof saved);
    uc_context_save(e->uc, context);
    e->probing = true;
    bad = check_all(e);
    uc_context_restore(e->uc, context);
    if (!bad)
        bad = check_execution(e);
    e->probing = false;
    uc_context_restore(e->uc, context);
    uc_context_free(context);
    if (bad)
        return bad;

    /* The engine begins as if nothing had run. */
    memcpy(e->model->memory.ram, saved, sizeof saved);
    /* Not code_flush(): the library zeroes its whole code buffer then, 1 GB. All probes ran in this page. */
    tb_invalidate_phys_range_x86_64(e->uc, 0, PAGE_SIZE);
    /* Its TLBs begin with 256 entries a mode, and a flush clears them all; after a tenth of a second they are sized by use.
     * That time passes now: flushes at the first world switches cost a quarter. */
    e->ticks = SETTLED_TICKS;
    tlb_flush_x86_64(e->library);
    memset(e->recent, 0xff, RECENT_PAGES * sizeof *e->recent);
    e->model->memory.watch[0] &= (uint8_t)~WATCH_CODE;
    e->count->retired = e->translations = 0;
    /* After power-up (SDM Vol. 3, table 10-1); the library begins with zeros. */
    const uint16_t control = 0x0040;
    const uint32_t mxcsr = 0x1f80;
    uc_reg_write(e->uc, UC_X86_REG_FPCW, &control);
    uc_reg_write(e->uc, UC_X86_REG_MXCSR, &mxcsr);
    for (unsigned i = 0; i < MODEL_CPU_MAX; i++)
        memcpy(e->fpu + i * (FPU_END - FPU_FIRST), (uint8_t *)e->env + FPU_FIRST, FPU_END - FPU_FIRST);
    set_features(e->env);
    FIELD(uint32_t, e->library, CPU_INTERRUPT_REQUEST) = 2;     /* always: x86_cpu_exec_interrupt decides */
    return NULL;
}
