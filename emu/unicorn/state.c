/* SPDX-License-Identifier: MIT */
/* struct cpu to and from the library's registers, hidden parts included. */
#include "emu/unicorn/engine.h"

#include <string.h>

/* Access rights of a VMCS and the attribute bits of a descriptor's second doubleword hold the same bits in other places;
 * "unusable" is a descriptor that is not present. */
static uint32_t flags_of(uint32_t access_rights)
{
    uint32_t flags = (access_rights & 0xf0ff) << 8;
    return access_rights & AR_UNUSABLE ? flags & 3u << 13 : flags;
}

static uint32_t access_rights_of(uint32_t flags)
{
    uint32_t access_rights = flags >> 8 & 0xf0ff;
    return access_rights & AR_PRESENT ? access_rights : access_rights | AR_UNUSABLE;
}

/* The hflags bits that follow from the segment registers. */
static uint32_t segment_flags(const library_env *env, uint32_t hflags)
{
    uint32_t cs = SEGMENT(uint32_t, env, SEG_CS, SEGMENT_FLAGS), ss = SEGMENT(uint32_t, env, SEG_SS, SEGMENT_FLAGS);
    hflags &= ~(uint32_t)(HF_CS32 | HF_SS32 | HF_CS64 | HF_ADDSEG);
    if ((hflags & HF_LMA) && (cs & 1u << 21))
        return hflags | HF_CS32 | HF_SS32 | HF_CS64;
    hflags |= (cs >> 18 & HF_CS32) | (ss >> 17 & HF_SS32);
    if (!(hflags & HF_PE) || (ENV64(env, EFLAGS) & RFLAGS_VM) || !(hflags & HF_CS32) ||
        (SEGMENT(uint64_t, env, SEG_DS, SEGMENT_BASE) | SEGMENT(uint64_t, env, SEG_ES, SEGMENT_BASE) |
         SEGMENT(uint64_t, env, SEG_SS, SEGMENT_BASE)))
        hflags |= HF_ADDSEG;
    return hflags;
}

static void put_segment(library_env *env, unsigned index, uint32_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    SEGMENT(uint32_t, env, index, SEGMENT_SELECTOR) = selector;
    SEGMENT(uint64_t, env, index, SEGMENT_BASE) = base;
    SEGMENT(uint32_t, env, index, SEGMENT_LIMIT) = limit;
    SEGMENT(uint32_t, env, index, SEGMENT_FLAGS) = flags;
}

void set_segment(library_env *env, unsigned index, uint32_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    uint32_t hflags = ENV32(env, HFLAGS);
    put_segment(env, index, selector, base, limit, flags);
    if (index == SEG_SS)
        hflags = (hflags & ~3u) | (flags >> 13 & 3);
    ENV32(env, HFLAGS) = segment_flags(env, hflags);
}

static uint32_t control_flags(const struct cpu *cpu)
{
    uint32_t hflags = (uint32_t)(cpu->cr0 << 8 & 0xe00);            /* MP, EM, TS */
    if (cpu->cr0 & CR0_PE)
        hflags |= HF_PE;
    if (cpu_long_mode(cpu))
        hflags |= HF_LMA;
    if (cpu->cr4 & CR4_OSFXSR)
        hflags |= HF_OSFXSR;
    if (cpu->cr4 & CR4_SMAP)
        hflags |= HF_SMAP;
    if (cpu->interruptibility & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS))
        hflags |= HF_SHADOW;
    if (cpu_virtual_8086(cpu))
        hflags |= 3;
    else if (cpu->cr0 & CR0_PE)
        hflags |= AR_DPL(cpu->seg[SEG_SS].access_rights);
    return hflags;
}

void state_join_flags(struct engine *e)
{
    uint64_t flags = ENV64(e->env, EFLAGS);
    ENV64(e->env, EFLAGS) = __real_helper_read_eflags_x86_64(e->env) | (flags & (RFLAGS_VM | RFLAGS_RF));
}

void state_split_flags(struct engine *e)
{
    uint64_t flags = ENV64(e->env, EFLAGS);
    ENV32(e->env, CC_OP) = 1;           /* CC_OP_EFLAGS: they are in CC_SRC */
    ENV64(e->env, CC_SRC) = flags & RFLAGS_ARITHMETIC;
    ENV32(e->env, DF) = flags & RFLAGS_DF ? ~0u : 1;
    ENV64(e->env, EFLAGS) = (flags & ~(RFLAGS_ARITHMETIC | RFLAGS_DF)) | RFLAGS_FIXED;
}

/* x87, MMX and SSE registers are the library's alone: one image for each processor that is not loaded. */
static void load_fpu(struct engine *e)
{
    const size_t size = FPU_END - FPU_FIRST;
    if (e->fpu_owner == e->cpu->index)
        return;
    memcpy(e->fpu + e->fpu_owner * size, (uint8_t *)e->env + FPU_FIRST, size);
    memcpy((uint8_t *)e->env + FPU_FIRST, e->fpu + e->cpu->index * size, size);
    e->fpu_owner = e->cpu->index;
}

/* Where the library keeps an XMM register in its image: shown by writing one. */
static size_t xmm_offset(struct engine *e, int id)
{
    static const uint64_t pattern[2] = { 0x7365737175692d78ull, 0x6d6d2d706c616365ull };
    uint8_t *image = (uint8_t *)e->env + FPU_FIRST;
    uint64_t old[2];
    size_t offset = 0;
    uc_reg_read(e->uc, id, old);
    uc_reg_write(e->uc, id, pattern);
    while (offset + sizeof pattern < FPU_END - FPU_FIRST && memcmp(image + offset, pattern, sizeof pattern))
        offset += 8;
    uc_reg_write(e->uc, id, old);
    return offset;
}

void engine_xmm(struct engine *e, const struct cpu *cpu, uint8_t xmm[16][16])
{
    const size_t size = FPU_END - FPU_FIRST;
    const uint8_t *image = e->fpu_owner == cpu->index ? (uint8_t *)e->env + FPU_FIRST : e->fpu + cpu->index * size;
    if (!e->xmm_stride) {
        e->xmm_first = xmm_offset(e, UC_X86_REG_XMM0);
        e->xmm_stride = xmm_offset(e, UC_X86_REG_XMM1) - e->xmm_first;
    }
    for (unsigned i = 0; i < 16; i++)
        memcpy(xmm[i], image + e->xmm_first + i * e->xmm_stride, 16);
}

/* The library reads them from its own image: that of another processor is put there meanwhile. */
void engine_x87(struct engine *e, const struct cpu *cpu, struct x87 *x87)
{
    const size_t size = FPU_END - FPU_FIRST;
    uint8_t *image = (uint8_t *)e->env + FPU_FIRST;
    const bool other = e->fpu_owner != cpu->index;

    if (other) {
        memcpy(e->fpu + e->fpu_owner * size, image, size);
        memcpy(image, e->fpu + cpu->index * size, size);
    }
    for (unsigned i = 0; i < 8; i++)
        uc_reg_read(e->uc, (int)(UC_X86_REG_FP0 + i), x87->r[i]);
    uc_reg_read(e->uc, UC_X86_REG_FPCW, &x87->control);
    uc_reg_read(e->uc, UC_X86_REG_FPSW, &x87->status);
    uc_reg_read(e->uc, UC_X86_REG_FPTAG, &x87->tag);
    uc_reg_read(e->uc, UC_X86_REG_MXCSR, &x87->mxcsr);
    if (other)
        memcpy(image, e->fpu + e->fpu_owner * size, size);
}

/* Most often they are as the library has them still: `segments` is what `given` looks like there, and was there at the latest stop. */
static void load_segments(struct engine *e)
{
    const struct cpu *cpu = e->cpu;
    library_env *env = e->env;
    struct given_segments *given = &e->given;
    uint64_t code_base = cpu_code_base(cpu);    /* the library adds it in each mode; it writes none back */
    if (e->segments_kept && code_base == given->code_base && !memcmp(given->seg, cpu->seg, sizeof given->seg) &&
        !memcmp(&given->gdtr, &cpu->gdtr, sizeof given->gdtr) && !memcmp(&given->idtr, &cpu->idtr, sizeof given->idtr))
        return;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        put_segment(env, i, cpu->seg[i].selector, cpu->seg[i].base, cpu->seg[i].limit, flags_of(cpu->seg[i].access_rights));
    SEGMENT(uint64_t, env, SEG_CS, SEGMENT_BASE) = code_base;
    put_segment(env, LIBRARY_GDTR, 0, cpu->gdtr.base, cpu->gdtr.limit, 0);
    put_segment(env, LIBRARY_IDTR, 0, cpu->idtr.base, cpu->idtr.limit, 0);
    memcpy(e->segments, (uint8_t *)env + SEGMENTS, sizeof e->segments);
    memcpy(given->seg, cpu->seg, sizeof given->seg);
    memcpy(&given->gdtr, &cpu->gdtr, sizeof given->gdtr);
    memcpy(&given->idtr, &cpu->idtr, sizeof given->idtr);
    given->code_base = code_base;
}

/* Only what guest code changed is written back: attributes that the library does not keep survive. */
static void store_segments(struct engine *e)
{
    struct cpu *cpu = e->cpu;
    library_env *env = e->env;
    e->segments_kept = !memcmp(e->segments, (uint8_t *)env + SEGMENTS, sizeof e->segments);
    if (e->segments_kept)
        return;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        if (!memcmp(e->segments + i * SEGMENT_SIZE, (uint8_t *)env + SEGMENTS + i * SEGMENT_SIZE, SEGMENT_SIZE))
            continue;
        uint32_t flags = SEGMENT(uint32_t, env, i, SEGMENT_FLAGS), selector = SEGMENT(uint32_t, env, i, SEGMENT_SELECTOR);
        cpu->seg[i] = (struct segment){ (uint16_t)selector, access_rights_of(flags), SEGMENT(uint32_t, env, i, SEGMENT_LIMIT),
                                        SEGMENT(uint64_t, env, i, SEGMENT_BASE) };
    }
    cpu->gdtr = (struct table_register){ SEGMENT(uint64_t, env, LIBRARY_GDTR, SEGMENT_BASE),
                                         SEGMENT(uint32_t, env, LIBRARY_GDTR, SEGMENT_LIMIT) };
    cpu->idtr = (struct table_register){ SEGMENT(uint64_t, env, LIBRARY_IDTR, SEGMENT_BASE),
                                         SEGMENT(uint32_t, env, LIBRARY_IDTR, SEGMENT_LIMIT) };
}

void state_load(struct engine *e)
{
    const struct cpu *cpu = e->cpu;
    library_env *env = e->env;
    load_fpu(e);
    memcpy(&ENV64(env, REGS), cpu->gpr, sizeof cpu->gpr);
    ENV64(env, EIP) = cpu->rip;
    ENV64(env, EFLAGS) = cpu->rflags;           /* uc_emu_start() takes the arithmetic flags out of it */
    load_segments(e);
    ENV64(env, CR) = cpu->cr0;
    ENV64(env, CR + 16) = cpu->cr2;
    ENV64(env, CR + 24) = cpu->cr3;
    ENV64(env, CR + 32) = cpu->cr4;
    ENV64(env, EFER) = CPU_MSR(cpu, ia32_efer);
    ENV64(env, XCR0) = cpu->xcr0;
    ENV32(env, SYSENTER_CS) = (uint32_t)CPU_MSR(cpu, ia32_sysenter_cs);
    ENV64(env, SYSENTER_ESP) = CPU_MSR(cpu, ia32_sysenter_esp);
    ENV64(env, SYSENTER_EIP) = CPU_MSR(cpu, ia32_sysenter_eip);
    ENV64(env, STAR) = CPU_MSR(cpu, ia32_star);
    ENV64(env, LSTAR) = CPU_MSR(cpu, ia32_lstar);
    ENV64(env, FMASK) = CPU_MSR(cpu, ia32_fmask);
    ENV64(env, KERNEL_GS_BASE) = CPU_MSR(cpu, ia32_kernel_gs_base);
    ENV32(env, HFLAGS) = segment_flags(env, control_flags(cpu));
    e->entry_shadow = cpu->interruptibility & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
}

/* Blocking by STI or by MOV SS: the library has one flag for both (SDM Vol. 3, Table 25-3). */
static uint32_t shadow(const struct engine *e, uint64_t retired)
{
    const struct block *last = e->position == BETWEEN_BLOCKS ? e->count->current : e->count->previous;
    if (!(ENV32(e->env, HFLAGS) & HF_SHADOW))
        return 0;
    if (!retired || !last)
        return e->entry_shadow;
    return last->shadow == BLOCKING_BY_STI && !e->sti_shadows ? 0 : last->shadow;
}

/*
 * Has an iteration of a repeated string instruction ended that was not the last?  What comes between two of them finds RF set, and pushes
 * it: interrupts and traps (SDM Vol. 3, 18.3.1.1). So no breakpoint on the instruction is met again when it goes on. The library looks at
 * the count once more after the last iteration.
 */
static bool between_iterations(const struct engine *e, uint64_t rip)
{
    const struct block *b = e->count->current;

    return e->position == BETWEEN_BLOCKS && b && b->repeats && b->count && ENV64(e->env, REGS + 8 * RCX) << (64 - 8 * b->repeats) &&
           rip + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE) == b->pc + b->offset[b->count - 1];
}

void state_store(struct engine *e)
{
    struct cpu *cpu = e->cpu;
    library_env *env = e->env;
    uint64_t rip = ENV64(env, EIP), retired = e->count->retired;
    if (e->position == WITHIN_BLOCK)
        retired = clock_retired_at(e, rip + SEGMENT(uint64_t, env, SEG_CS, SEGMENT_BASE));
    cpu->instructions = e->start_instructions + retired;
    cpu->clock = e->start_clock + retired;
    e->ticks += retired;

    memcpy(cpu->gpr, &ENV64(env, REGS), sizeof cpu->gpr);
    cpu->rip = rip;
    cpu->rflags = ENV64(env, EFLAGS);
    if (e->position == WITHIN_BLOCK && e->count->current && e->count->current->resumes && retired == e->count->retired - e->count->current->count)
        cpu->rflags |= RFLAGS_RF;
    if (between_iterations(e, rip))
        cpu->rflags |= RFLAGS_RF;
    e->count->retired = retired;
    store_segments(e);
    CPU_MSR(cpu, ia32_kernel_gs_base) = ENV64(env, KERNEL_GS_BASE);     /* SWAPGS */
    cpu->interruptibility &= ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
    cpu->interruptibility |= shadow(e, retired);
    if (e->left != LEFT_FAULT && e->left != LEFT_EVENT)     /* what an instruction met before its own fault is forgotten with it */
        cpu->pending_debug |= e->debug_pending;
    /* The library forgets the single step of MOV SS and POP SS; it is held back by one instruction (SDM Vol. 3, 6.8.3). */
    if ((cpu->interruptibility & BLOCKING_BY_MOV_SS) && (cpu->rflags & RFLAGS_TF) &&
        !(CPU_MSR(cpu, ia32_debugctl) & DEBUGCTL_BTF))
        cpu->pending_debug |= PENDING_DEBUG_BS;
    e->debug_pending = 0;
}

/*
 * What guest code may execute: docs/engine.md lists it beside the CPUID bits that say so. Extensions encoded with VEX are
 * left out as a whole (code.c makes them #UD).
 */
void set_features(library_env *env)
{
    ENV64(env, FEATURES + 8 * F_1_EDX) = 0x078bfbff;    /* FPU to PSE-36, CLFLUSH, MMX, FXSR, SSE, SSE2 */
    ENV64(env, FEATURES + 8 * F_1_ECX) = 0x06d82203;    /* SSE3 to SSE4.2, PCLMUL, CX16, MOVBE, POPCNT, AES, XSAVE */
    ENV64(env, FEATURES + 8 * F_7_EBX) = 1u << 0 | 1u << 7 | 1u << 9 | 1u << 20 | 3u << 23;    /* FSGSBASE, SMEP, ERMS, SMAP, CLFLUSHOPT, CLWB */
    ENV64(env, FEATURES + 8 * F_7_ECX) = 1u << 2;       /* UMIP */
    ENV64(env, FEATURES + 8 * F_81_EDX) = 0x2c100800 | 0x0183f3ff;      /* SYSCALL, NX, 1 GB pages, RDTSCP, LM */
    ENV64(env, FEATURES + 8 * F_81_ECX) = 1u << 0 | 1u << 8;   /* LAHF in 64-bit mode, PREFETCHW */
    ENV64(env, FEATURES + 8 * F_D_1_EAX) = 0;
    ENV64(env, FEATURES + 8 * F_D_0_EAX) = 3;           /* XCR0: x87, SSE */
    ENV32(env, CPUID_LEVEL) = 0xd;
    ENV32(env, CPUID_XLEVEL) = 0x80000008;
    ENV32(env, CPUID_VENDOR1) = 0x756e6547;             /* Intel: SYSENTER exists in 64-bit mode */
}
