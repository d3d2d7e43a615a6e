/* SPDX-License-Identifier: MIT */
/* Random system instructions as bytes, with their operands. */
#include "tests/entries/entries.h"

#include <string.h>

#include "model/cpu/execute.h"
#include "model/cpu/translate.h"

/* ---- operands ---- */

static uint64_t selector(struct world *w)
{
    if (once_in(w, 8))
        return below(w, 4);                 /* null, of each RPL */
    if (once_in(w, 3))                      /* those of memory_prepare() */
        return OF(0x08, 0x10, 0x18, 0x20, 0x2b, 0x33, 0x3b, 0x11, 0x13, 0x60, 0x68);
    return below(w, 64) << 3 | OF(0, 0, 4) | OF(0, 0, 1, 2, 3);
}

static uint64_t system_selector(struct world *w) { return once_in(w, 8) ? selector(w) : 0x100 + 16 * below(w, 12); }

/* Also the last bytes below where addresses, offsets and canonical ones end: what follows is elsewhere, or nowhere. */
static uint64_t code_address(struct world *w)
{
    if (once_in(w, 12))
        return OF(0x10000, 1ull << 32, 0x800000000000, 0, 0x100000000000000, 0xffff800000000000) - OF(1, 2, 2, 3, 3, 0);
    return PLACE_CODE + 16 * below(w, (PLACE_CODE_END - PLACE_CODE) / 16);
}

static uint64_t flags(struct world *w)
{
    uint64_t value = RFLAGS_FIXED | (random_next(&w->random) & 0xcd5);

    return value | (once_in(w, 4) ? RFLAGS_TF : 0) | (once_in(w, 2) ? RFLAGS_IF : 0) | OF(0, 0, 1, 3) * (RFLAGS_IOPL / 3) |
           (once_in(w, 6) ? RFLAGS_NT : 0) | (once_in(w, 6) ? RFLAGS_RF : 0) | (once_in(w, 6) ? RFLAGS_AC : 0) |
           (once_in(w, 6) ? random_next(&w->random) & (RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID) : 0);
}

static uint64_t address(struct world *w)
{
    switch (below(w, 4)) {
    case 0: return random_next(&w->random);
    case 1: return random_next(&w->random) & 0x7fffffffffff;
    case 2: return random_next(&w->random) & 0xffffffff;
    default: return OF(0x7fffffffffff, 0xffff800000000000, 0x800000000000, ~0ull, PLACE_OPERAND, 0xffffffff, 1ull << 32);
    }
}

static uint64_t flipped(struct world *w, uint64_t value, const uint64_t *bit, unsigned count)
{
    for (unsigned n = 1 + (unsigned)below(w, 3); n--;)
        value ^= bit[below(w, count)];
    return value;
}

static uint64_t cr0_value(struct world *w)
{
    static const uint64_t bit[] = { CR0_PE, CR0_MP, CR0_EM, CR0_TS, CR0_NE, CR0_WP, CR0_AM, CR0_NW, CR0_CD, CR0_CD | CR0_NW, CR0_PG,
                                    CR0_PG, CR0_PG | CR0_PE, CR0_PE, CR0_ET };

    return flipped(w, w->cpu->cr0, bit, sizeof bit / sizeof *bit);
}

static uint64_t cr4_value(struct world *w)
{
    static const uint64_t bit[] = { CR4_VME, CR4_PVI, CR4_TSD, CR4_DE, CR4_PSE, CR4_PAE, CR4_PAE, CR4_PAE, CR4_MCE, CR4_PGE, CR4_PCE,
                                    CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_UMIP, CR4_LA57, CR4_VMXE, CR4_FSGSBASE, CR4_PCIDE, CR4_PCIDE, CR4_PCIDE, CR4_OSXSAVE, CR4_SMEP,
                                    CR4_SMAP, CR4_PKE, CR4_CET, 1ull << 14, 1ull << 24 };

    return flipped(w, cr4_visible(w->cpu), bit, sizeof bit / sizeof *bit);
}

static uint64_t cr3_value(struct world *w)
{
    uint64_t root = OF(PLACE_DIRECTORY, PLACE_PDPT_PAE, PLACE_PML4, PLACE_PML4, PLACE_PML5);

    return once_in(w, 16) ? random_next(&w->random) >> below(w, 48) : once_in(w, 4) ? root | below(w, 0x1000) : root;
}

static uint64_t efer_value(struct world *w)
{
    static const uint64_t bit[] = { EFER_SCE, EFER_LME, EFER_LME, EFER_LME, EFER_NXE, EFER_LMA, 1ull << 12 };

    return flipped(w, CPU_MSR(w->cpu, ia32_efer), bit, sizeof bit / sizeof *bit);
}

static void msr_operands(struct world *w)
{
    static const uint32_t addresses[] = { MSR_ia32_sysenter_esp, MSR_ia32_sysenter_eip, MSR_ia32_fs_base, MSR_ia32_gs_base,
                                          MSR_ia32_kernel_gs_base, MSR_ia32_lstar, MSR_ia32_interrupt_ssp_table_addr, MSR_ia32_pl0_ssp };
    uint64_t *gpr = w->cpu->gpr, value;

    switch (below(w, 8)) {
    case 0: case 1:
        gpr[RCX] = MSR_ia32_efer, value = efer_value(w);
        break;
    case 2:
        gpr[RCX] = MSR_ia32_pat, value = once_in(w, 3) ? random_next(&w->random) : random_next(&w->random) & 0x0101010101010101 * OF(1, 5, 4);
        break;
    case 3:
        gpr[RCX] = MSR_ia32_debugctl, value = OF(0, 1, 2, 3, 0, 2, 1 << 6, 1 << 15);
        break;
    case 4:
        gpr[RCX] = OF(MSR_ia32_sysenter_cs, MSR_ia32_star), value = selector(w) | selector(w) << 32 | selector(w) << 48;
        break;
    case 5:     /* what would be enforced is not executed here: supervisor shadow stacks, tracking of branches (bits 0 and 2) */
        gpr[RCX] = OF(MSR_ia32_s_cet, MSR_ia32_u_cet), value = OF(0, 2, 8, 16, 0x400, 0x800, 0xc00, 1ull << 47, ~0ull << 47) & ~5ull;
        break;
    case 6:
        gpr[RCX] = OF(MSR_ia32_perf_global_ctrl, MSR_ia32_feature_control, MSR_ia32_time_stamp_counter, 0xdead, MSR_ia32_misc_enable);
        value = OF(0, 1, 5, 0x700000003);
        break;
    default:
        gpr[RCX] = addresses[below(w, sizeof addresses / sizeof *addresses)], value = address(w);
    }
    gpr[RAX] = (uint32_t)value;
    gpr[RDX] = value >> 32;
}

/* A far pointer, or a table register's operand, in memory where [disp] reaches it with a flat DS. */
static void operand(struct world *w, uint64_t low, uint64_t high, unsigned low_length)
{
    put(w, PLACE_OPERAND, low, low_length);
    put(w, PLACE_OPERAND + low_length, high, 8);
}

/* What an instruction pops, as if it had been pushed. */
static void stack(struct world *w, const uint64_t *value, unsigned count, unsigned size)
{
    struct cpu *cpu = w->cpu;

    cpu->gpr[RSP] = PLACE_STACK - size * count;
    for (unsigned i = 0; i < count; i++) {
        struct translation t = translate(cpu, cpu_64bit(cpu) ? cpu->gpr[RSP] + i * size : (uint32_t)(cpu->seg[SEG_SS].base + cpu->gpr[RSP] + i * size),
                                         (struct access){ .kind = ACCESS_READ, .probe = true });
        if (t.result == TRANSLATION_OK && t.pa >= PLACE_OPERAND && t.pa < MEMORY_SIZE / 2)
            put(w, t.pa, value[i], size);
    }
}

/* ---- encodings ---- */

static void emit(struct code *code, unsigned count, const uint8_t *bytes)
{
    memcpy(code->byte + code->length, bytes, count);
    code->length += count;
}
#define EMIT(...) emit(code, sizeof (uint8_t[]){ __VA_ARGS__ }, (uint8_t[]){ __VA_ARGS__ })

static unsigned width(const struct cpu *cpu)
{
    return cpu_64bit(cpu) ? 64 : cpu->seg[SEG_CS].access_rights & AR_DB && cpu_protected(cpu) && !cpu_virtual_8086(cpu) ? 32 : 16;
}

/* ModRM and displacement of [PLACE_OPERAND]. */
static void memory_operand(struct world *w, struct code *code, unsigned reg)
{
    switch (width(w->cpu)) {
    case 16: EMIT((uint8_t)(reg << 3 | 6), PLACE_OPERAND & 0xff, PLACE_OPERAND >> 8); return;
    case 32: EMIT((uint8_t)(reg << 3 | 5), PLACE_OPERAND & 0xff, PLACE_OPERAND >> 8, 0, 0); return;
    default: EMIT((uint8_t)(reg << 3 | 4), 0x25, PLACE_OPERAND & 0xff, PLACE_OPERAND >> 8, 0, 0);
    }
}

/* To an outer level, with the descriptors for it. */
static void outwards(struct world *w, struct code *code)
{
    const unsigned mode = width(w->cpu), level = 1 + (unsigned)below(w, 3);
    const uint64_t cs = level == 3 ? OF(0x2b, 0x3b) : OUTER_CODE(level) | level, ss = level == 3 ? 0x33 : OUTER_DATA(level) | level;

    if (mode == 64)
        EMIT(0x48);
    EMIT(0xcf);
    stack(w, (const uint64_t[]){ code_address(w), cs, flags(w) & ~RFLAGS_NT, PLACE_STACK, ss }, 5, mode / 8);
}

static void iret(struct world *w, struct code *code)
{
    const bool long_mode = cpu_long_mode(w->cpu), to_8086 = !long_mode && once_in(w, 4);
    const unsigned mode = width(w->cpu), size = mode / 8;
    uint64_t ss = selector(w), cs = to_8086 ? OF(0, 0x800, 0x100) : selector(w);

    if (mode == 64)
        EMIT(0x48);
    EMIT(0xcf);
    stack(w, (const uint64_t[]){ to_8086 ? PLACE_CODE - 16 * cs + 16 * below(w, 64) : code_address(w), cs,
                                 flags(w) | (to_8086 ? RFLAGS_VM : 0), PLACE_STACK, ss, selector(w), selector(w), selector(w), selector(w) },
          mode == 64 ? 5 : 9, size);
}

static void far_return(struct world *w, struct code *code)
{
    const unsigned mode = width(w->cpu);

    if (mode == 64)
        EMIT(0x48);
    EMIT(0xcb);
    stack(w, (const uint64_t[]){ code_address(w), selector(w), PLACE_STACK, selector(w) }, 4, mode / 8);
}

static void far_by_memory(struct world *w, struct code *code)
{
    const unsigned mode = width(w->cpu);

    operand(w, code_address(w), once_in(w, 6) ? system_selector(w) : selector(w), mode == 16 ? 2 : 4);
    EMIT(0xff);
    memory_operand(w, code, once_in(w, 4) ? 3 : 5);
}

static void load_segment(struct world *w, struct code *code)
{
    static const uint8_t reg[] = { 0, 2, 2, 3, 4, 5 };

    w->cpu->gpr[RAX] = cpu_64bit(w->cpu) && once_in(w, 4) ? cpu_cpl(w->cpu) : selector(w);     /* also a null stack */
    EMIT(0x8e, (uint8_t)(0xc0 | reg[below(w, 6)] << 3));
}

static void load_table_register(struct world *w, struct code *code)
{
    const bool idt = once_in(w, 2);

    if (once_in(w, 4))
        operand(w, below(w, 0x10000), address(w), 2);
    else
        operand(w, OF(0xfff, 0x1ff, 0x3ff), idt ? PLACE_IDT : PLACE_GDT, 2);
    EMIT(0x0f, 1);
    memory_operand(w, code, idt ? 3 : 2);
}

static void load_system_segment(struct world *w, struct code *code)
{
    w->cpu->gpr[RAX] = once_in(w, 8) ? below(w, 4) : system_selector(w);
    EMIT(0x0f, 0, (uint8_t)(0xc0 | (2 + below(w, 2)) << 3));
}

static void move_to_cr(struct world *w, struct code *code)
{
    const unsigned number = (unsigned)OF(0, 0, 0, 3, 3, 4, 4, 4);

    w->cpu->gpr[RAX] = number == 0 ? cr0_value(w) : number == 3 ? cr3_value(w) : cr4_value(w);
    EMIT(0x0f, 0x22, (uint8_t)(0xc0 | number << 3));
}

static void into_64_bit_mode(struct world *w, struct code *code)
{
    stack(w, (const uint64_t[]){ code_address(w), 0x18, PLACE_STACK, 0x10 }, 4, width(w->cpu) / 8);
    if (width(w->cpu) == 64)
        EMIT(0x48);
    EMIT(0xcb);
}

/* The steps of the usual way into IA-32e mode and out of it, each when it is due: by chance alone they would be rare. */
static void towards_another_mode(struct world *w, struct code *code)
{
    struct cpu *cpu = w->cpu;
    uint64_t *gpr = cpu->gpr, efer = CPU_MSR(cpu, ia32_efer);
    const bool five = cpu->cr4 & CR4_LA57;

    if (cpu_long_mode(cpu)) {               /* from compatibility mode paging may go off */
        if (!once_in(w, 4) && !cpu_cpl(cpu))
            into_64_bit_mode(w, code);
        else if (cpu_64bit(cpu) && !cpu_cpl(cpu))
            stack(w, (const uint64_t[]){ code_address(w), OF(0x08, 0x20), PLACE_STACK, 0x10 }, 4, 8), emit(code, 2, (const uint8_t[]){ 0x48, 0xcb });
        else
            gpr[RAX] = cpu->cr0 & ~CR0_PG, emit(code, 3, (const uint8_t[]){ 0x0f, 0x22, 0xc0 });
        return;
    }
    if (!cpu_protected(cpu)) {
        gpr[RAX] = cpu->cr0 | CR0_PE, emit(code, 3, (const uint8_t[]){ 0x0f, 0x22, 0xc0 });
    } else if (cpu->cr0 & CR0_PG) {
        gpr[RAX] = cpu->cr0 & ~CR0_PG, emit(code, 3, (const uint8_t[]){ 0x0f, 0x22, 0xc0 });
    } else if (!(cpu->cr4 & CR4_PAE)) {
        gpr[RAX] = cr4_visible(cpu) | CR4_PAE, emit(code, 3, (const uint8_t[]){ 0x0f, 0x22, 0xe0 });
    } else if (cpu->cr3 != (five ? PLACE_PML5 : PLACE_PML4) && cpu->cr3 != PLACE_PDPT_PAE) {
        gpr[RAX] = once_in(w, 4) ? PLACE_PDPT_PAE : five ? PLACE_PML5 : PLACE_PML4, emit(code, 3, (const uint8_t[]){ 0x0f, 0x22, 0xd8 });
    } else if (!!(efer & EFER_LME) != (cpu->cr3 != PLACE_PDPT_PAE)) {
        efer ^= EFER_LME;
        gpr[RCX] = MSR_ia32_efer, gpr[RAX] = (uint32_t)efer, gpr[RDX] = 0, emit(code, 2, (const uint8_t[]){ 0x0f, 0x30 });
    } else {
        gpr[RAX] = cpu->cr0 | CR0_PG, emit(code, 3, (const uint8_t[]){ 0x0f, 0x22, 0xc0 });
    }
}

static void debug_register(struct world *w, struct code *code)
{
    const unsigned number = (unsigned)OF(0, 1, 2, 3, 6, 7, 7, 7);

    w->cpu->gpr[RAX] = number == 7 ? (random_next(&w->random) & (once_in(w, 2) ? 0xfffff7ff : 0x0000e700)) : number == 6 ? random_next(&w->random) & 0xffffffff
                                   : OF(PLACE_OPERAND, PLACE_STACK, w->cpu->rip, address(w));
    EMIT(0x0f, 0x23, (uint8_t)(0xc0 | number << 3));
}

static void pop_flags(struct world *w, struct code *code)
{
    stack(w, (const uint64_t[]){ flags(w) }, 1, width(w->cpu) / 8);
    EMIT(0x9d);
}

static void system_call(struct world *w, struct code *code)
{
    uint64_t *gpr = w->cpu->gpr;

    gpr[RCX] = gpr[RDX] = code_address(w);
    gpr[R11] = flags(w);
    if (width(w->cpu) == 64 && once_in(w, 2))
        EMIT(0x48);
    EMIT(0x0f, (uint8_t)OF(0x05, 0x07, 0x34, 0x35));
}

static void machine_status(struct world *w, struct code *code)
{
    w->cpu->gpr[RAX] = below(w, 16);
    if (once_in(w, 2))
        EMIT(0x0f, 0x06);
    else
        EMIT(0x0f, 0x01, 0xf0);
}

static void interrupt(struct world *w, struct code *code)
{
    switch (below(w, 4)) {
    case 0: EMIT(0xcc); return;
    case 1: EMIT(0xf1); return;
    case 2: EMIT(0x0f, 0x0b); return;
    default: EMIT(0xcd, (uint8_t)below(w, 256));
    }
}

static void vmx_operation(struct world *w, struct code *code)
{
    if (once_in(w, 3)) {
        EMIT(0x0f, 0x01, 0xc4);
        return;
    }
    operand(w, PLACE_VMXON, 0, 8);
    EMIT(0xf3, 0x0f, 0xc7);
    memory_operand(w, code, 6);
}

static void load_or_store(struct world *w, struct code *code)
{
    EMIT(once_in(w, 2) ? 0x88 : 0x8a);
    if (once_in(w, 3)) {                /* by [RAX], or [BX+SI] */
        w->cpu->gpr[RAX] = OF(PLACE_POOL, PLACE_STACK, 2ull * MEMORY_SIZE, PLACE_PT);
        EMIT(0x08);
    } else {
        memory_operand(w, code, 1);
    }
}

static void one_byte(struct world *w, struct code *code) { EMIT((uint8_t)OF(0xfb, 0xfb, 0xfb, 0xfa, 0xfa, 0xf4)); }
static void swap_gs(struct world *w, struct code *code) { (void)w, EMIT(0x0f, 0x01, 0xf8); }

void instruction_random(struct world *w, struct code *code)
{
    static const struct {
        const char *name;
        unsigned weight;
        void (*make)(struct world *w, struct code *code);
    } table[] = {
        { "MOV to a segment register", 12, load_segment }, { "IRET", 5, iret }, { "IRET to an outer level", 3, outwards }, { "far RET", 4, far_return },
        { "far JMP or CALL", 5, far_by_memory }, { "LGDT or LIDT", 2, load_table_register }, { "LLDT or LTR", 5, load_system_segment },
        { "MOV to CR", 8, move_to_cr }, { "a step towards another mode", 24, towards_another_mode }, { "far RET to 64-bit code", 3, into_64_bit_mode },
        { "MOV to DR", 5, debug_register }, { "POPF", 4, pop_flags }, { "SYSCALL and its like", 2, system_call }, { "WRMSR", 8, NULL },
        { "CLTS or LMSW", 2, machine_status }, { "an interrupt", 2, interrupt }, { "VMXON or VMXOFF", 2, vmx_operation },
        { "a load or store", 3, load_or_store }, { "STI, CLI or HLT", 5, one_byte }, { "SWAPGS", 1, swap_gs },
    };
    unsigned total = 0, i = 0;

    for (unsigned k = 0; k < sizeof table / sizeof *table; k++)
        total += table[k].weight;
    for (unsigned at = (unsigned)below(w, total); at >= table[i].weight; i++)
        at -= table[i].weight;
    *code = (struct code){ .name = table[i].name };
    if (table[i].make) {
        table[i].make(w, code);
    } else {
        msr_operands(w);
        EMIT(0x0f, 0x30);
    }
}

void instruction_ltr(struct world *w, struct code *code)
{
    *code = (struct code){ .name = "LTR of a good TSS" };
    w->cpu->gpr[RAX] = 0x100 + 16 * 5;
    EMIT(0x0f, 0, 0xd8);
}

void instruction_exit(struct world *w, struct code *code)
{
    uint64_t *gpr = w->cpu->gpr;

    *code = (struct code){ .name = "an exit" };
    switch (below(w, 12)) {
    case 0:
        gpr[RAX] = OF(1, 3, 0), gpr[RCX] = gpr[RDX] = 0;
        EMIT(0x0f, 0x01, 0xd1);                         /* XSETBV */
        return;
    case 1: EMIT(0x0f, 0x08); return;                   /* INVD */
    case 2: EMIT(0x0f, 0x01, 0xc1); return;             /* VMCALL */
    case 3:
        gpr[RCX] = OF(MSR_ia32_feature_control, MSR_ia32_vmx_basic, MSR_ia32_apic_base, 0xdead, 0xc0002000);
        EMIT(0x0f, 0x32);                               /* RDMSR */
        return;
    case 4:
        gpr[RCX] = OF(MSR_ia32_feature_control, 0x4000dead), gpr[RAX] = OF(1, 5, 7), gpr[RDX] = 0;
        EMIT(0x0f, 0x30);
        return;
    case 5:
        gpr[RAX] = w->cpu->cr0 ^ CR0_NE;
        EMIT(0x0f, 0x22, 0xc0);
        return;
    case 6:
        gpr[RAX] = cr4_visible(w->cpu) ^ (once_in(w, 2) ? CR4_VMXE : CR4_VMXE | 1ull << 30);
        EMIT(0x0f, 0x22, 0xe0);
        return;
    default:
        gpr[RAX] = OF(0, 1, 7, 0x80000008), gpr[RCX] = 0;
        EMIT(0x0f, 0xa2);
    }
}
