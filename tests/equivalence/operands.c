/* SPDX-License-Identifier: MIT */
/*
 * Memory operands of L1's VMX instructions: the core finds them by L1's segments and paging, where the bare machine has its
 * own. L1 puts anything into the entries that map a window of its address space, changes its mode and its segments for a while,
 * and names places there. Its CR0, CR4, mode, segments and the upper paging structures are then as before, for the rest of the
 * program needs them.
 */
#include "model/cpu/translate.h"
#include "tests/equivalence/maker.h"

enum { WINDOW = 0xc0000000, TABLE = 0x1f000, DATA_PAGES = 4 };
enum { ENTRY_SOUND = 0x67, ENTRY_LARGE = 0x80, ENTRY_GLOBAL = 0x100 };
enum { RIGHTS_FLAT = 0xc093, GRANULARITY_4K = 0x8000 };

static const uint64_t root[] = { [MODE_long] = PLACE_PML4, [MODE_pae] = PLACE_PDPT_PAE, [MODE_32bit] = PLACE_DIRECTORY_32BIT };

static uint64_t flags(struct maker *m)
{
    const uint64_t odd = chance(m, 50) ? any(m) & any(m) & any(m) & 0xfff : 0;

    return (ENTRY_SOUND ^ odd) & ~(uint64_t)(ENTRY_GLOBAL | ENTRY_LARGE);      /* global ones would outlive a change */
}

/* Bits that are reserved in some mode, or with some width of addresses. */
static uint64_t high_bits(struct maker *m)
{
    return chance(m, 80) ? 0 : chance(m, 30) ? 1ull << 63 : 1ull << (32 + below(m, 31));
}

/* An entry of a page directory: leads to TABLE, or maps a large page. */
static uint64_t directory_entry(struct maker *m)
{
    if (chance(m, 70))
        return TABLE | flags(m) | (chance(m, 3) ? ENTRY_LARGE : 0);
    return flags(m) | ENTRY_LARGE | (chance(m, 20) ? 1ull << (13 + below(m, 9)) : 0) |
           (chance(m, 30) ? 0x800000 : 0);      /* where nothing is */
}

static uint64_t table_entry(struct maker *m)
{
    return (PLACE_DATA + PAGE_SIZE * (uint64_t)below(m, DATA_PAGES)) | flags(m);
}

/* The directory of the window is the last one of four; in 32-bit paging it is in the one directory there is. */
static void change_tables(struct maker *m, enum script_mode mode)
{
    const unsigned size = mode == MODE_32bit ? 4 : 8;
    const uint64_t mask = size == 4 ? 0xffffffff : ~0ull;
    const uint64_t directory = size == 4 ? PLACE_DIRECTORY_32BIT + 4 * (WINDOW >> 22) : PLACE_PD + 3 * PAGE_SIZE;

    for (unsigned i = 0; i < 2; i++) {
        LINE(m, write, directory + size * i, size, (directory_entry(m) | high_bits(m)) & mask);
        LINE(m, write, TABLE + size * i, size, (table_entry(m) | high_bits(m)) & mask);
    }
    LINE(m, write, TABLE + size * (size == 4 ? 1023u : 511u), size, table_entry(m) & mask);
    if (mode == MODE_long && chance(m, 20))
        LINE(m, write, PLACE_PDPT + 24, 8, (PLACE_PD + 3 * PAGE_SIZE) | flags(m) | high_bits(m));
    if (mode == MODE_pae && chance(m, 30))
        LINE(m, write, PLACE_PDPT_PAE + 24, 8,
             (PLACE_PD + 3 * PAGE_SIZE) | (chance(m, 60) ? 1 : below(m, 0x1000) & ~(unsigned)ENTRY_GLOBAL) | high_bits(m));
}

static void restore_tables(struct maker *m, enum script_mode mode)
{
    if (mode == MODE_long)
        LINE(m, write, PLACE_PDPT + 24, 8, (PLACE_PD + 3 * PAGE_SIZE) | 0x27);
    if (mode == MODE_pae)
        LINE(m, write, PLACE_PDPT_PAE + 24, 8, (PLACE_PD + 3 * PAGE_SIZE) | 1);
}

/* One that a VM entry accepts (SDM Vol. 3, 27.3.1.2): the granularity fits the limit. */
static void change_segment(struct maker *m, enum segment_register segment)
{
    static const uint32_t rights[] = { 0x4093, 0x93, 0x4091, 0x4097, 0x97, 0x4095, 0x409b, AR_UNUSABLE };
    static const uint64_t limits[] = { 0xffff, 0xfff, PLACE_DATA + 0x10, 0xffffffff, WINDOW | 0xfff };
    const uint64_t base = chance(m, 60) ? 0 : chance(m, 50) ? WINDOW - PLACE_DATA : any(m) & 0xffff, limit = PICK(m, limits);
    const uint32_t r = segment == SEG_SS ? RIGHTS_FLAT & ~GRANULARITY_4K : PICK(m, rights);

    LINE(m, segment, segment, base, limit, r & AR_UNUSABLE ? r : r | (limit >> 20 ? GRANULARITY_4K : 0));
}

static uint64_t offset(struct maker *m, bool wide)
{
    static const uint64_t in_page[] = { 0, 8, 0xff8, 0xffc, 0xffd, 0xfff, 0x1000, 0x1ff8, 0x1ffffc, 0x1ffff8, 0x200000, 0x3ffffc,
                                        0x400ff8, 0x3ff000 };
    static const uint64_t odd[] = { 0xfffffffc, 0xfff8, 0xfffc, 0xfff, PLACE_DATA, PLACE_DATA + 9, PLACE_DATA + 0xffc };
    static const uint64_t wide_odd[] = { 0x7ffffffffffc, 0x800000000000, 0xffff7fffffffffff, 0xffffffff00000000, 0x1c0000000,
                                         0x8000c0000000 };

    if (wide && chance(m, 15))
        return PICK(m, wide_odd);
    return chance(m, 75) ? WINDOW + PICK(m, in_page) : PICK(m, odd);
}

/* Rows of differences.def excuse what VMREAD finds in these, but not what it leaves in memory. */
static bool may_differ(uint64_t field)
{
    switch (field) {
    case VMCS_exit_qualification: case VMCS_vm_instruction_error: case VMCS_idt_vectoring_error_code:
    case VMCS_exit_interruption_error_code: case VMCS_guest_pending_debug_exceptions: case VMCS_guest_rflags:
        return true;
    default:
        return false;
    }
}

/* Where a byte of an operand is in memory; false: an access to it faults. */
static bool place_of(struct maker *m, enum segment_register segment, uint64_t at, uint64_t *pa)
{
    struct cpu view = *cpu(m);
    const bool flat = cpu_64bit(&view) && segment < SEG_FS;
    const uint64_t linear = (at + (flat ? 0 : view.seg[segment].base)) & (cpu_64bit(&view) ? ~0ull : 0xffffffff);
    const struct translation t = translate(&view, linear, (struct access){ .kind = ACCESS_READ, .probe = true });

    *pa = t.pa;
    return t.result == TRANSLATION_OK;
}

/* In a VMCS region is what the processor keeps there (differences.def: region). A descriptor has 16 bytes. */
static bool is_in_region(struct maker *m, enum segment_register segment, uint64_t at)
{
    uint64_t pa;

    for (unsigned i = 0; i < 16; i += 15)
        if (place_of(m, segment, at + i, &pa) && is_region(pa & PAGE_MASK))
            return true;
    return false;
}

/* The operand of a VMCLEAR that leads to a page of another purpose, which would become a region. */
static bool clears_other_page(struct maker *m, enum segment_register segment, uint64_t at)
{
    uint64_t pa, address = 0;

    for (unsigned i = 0; i < sizeof address; i++)
        if (!place_of(m, segment, at + i, &pa) || !memory_read(&cpu(m)->model->memory, pa, (uint8_t *)&address + i, 1))
            return false;
    return !(address % PAGE_SIZE) && !is_region(address) && memory_is_ram(&cpu(m)->model->memory, address, PAGE_SIZE);
}

static void try_one(struct maker *m, bool wide)
{
    static const uint64_t segments[] = { SEG_ES, SEG_SS, SEG_FS, SEG_GS, SEG_CS };
    const uint64_t at = offset(m, wide), field = encoding(m);
    const bool usual = chance(m, 70);
    const enum segment_register segment = usual ? SEG_DS : (enum segment_register)PICK(m, segments);

    if (is_in_region(m, segment, at))
        return;
    if (usual)
        LINE(m, operand, at);
    else
        LINE(m, operand, at, segment);
    switch (below(m, 10)) {
    case 0: case 1: LINE(m, vmptrst); break;
    case 2: LINE(m, vmptrld, 0); break;
    case 3: if (!clears_other_page(m, segment, at)) LINE(m, vmclear, 0); break;
    case 4: LINE(m, invept, below(m, 4), 0); break;
    case 5: LINE(m, invvpid, below(m, 5), 0, 0); break;
    case 6: LINE(m, vmxon, 0); break;
    case 7: LINE(m, vmwrite, is_list_count(field) ? VMCS_guest_rip : field, 0); break;
    default: LINE(m, vmread, may_differ(field) ? VMCS_guest_rip : field); break;
    }
}

void try_operands(struct maker *m)
{
    static const enum script_mode modes[] = { MODE_long, MODE_long, MODE_pae, MODE_32bit };
    const enum script_mode mode = cpu(m)->rip >> 32 ? MODE_long : PICK(m, modes);
    const uint64_t cr0 = cpu(m)->cr0, cr4 = cpu(m)->cr4;
    const enum segment_register segment = (enum segment_register[]){ SEG_DS, SEG_DS, SEG_ES, SEG_SS, SEG_FS }[below(m, 5)];
    const bool segments = mode != MODE_long && chance(m, 50), smap = chance(m, 20);

    if (chance(m, 20))
        LINE(m, wrmsr, MSR_ia32_efer, CPU_MSR(cpu(m), ia32_efer) ^ EFER_NXE);
    change_tables(m, mode);
    LINE(m, mode, mode);                        /* forgets translations, too */
    if (mode == MODE_pae && chance(m, 60))
        LINE(m, mov_to_cr, 3, root[mode]);      /* loads the PDPTEs, or does not */
    if (mode == MODE_32bit && chance(m, 20))
        LINE(m, mov_to_cr, 4, cpu(m)->cr4 & ~CR4_PSE);
    if (segments)
        change_segment(m, segment);
    if (chance(m, 20))
        LINE(m, mov_to_cr, 0, cpu(m)->cr0 ^ CR0_WP);
    if (chance(m, 20))
        LINE(m, register, REGISTER_RFLAGS, cpu(m)->rflags ^ RFLAGS_AC);
    if (smap)
        LINE(m, mov_to_cr, 4, cpu(m)->cr4 | CR4_SMAP);
    for (unsigned i = 1 + below(m, 4); i && !over(m) && level(m) == 1; i--)
        try_one(m, mode == MODE_long);
    if (smap || mode != MODE_long)
        LINE(m, mov_to_cr, 4, cpu(m)->cr4 & ~CR4_SMAP);
    LINE(m, mov_to_cr, 0, cr0);
    LINE(m, mode, MODE_long);
    LINE(m, mov_to_cr, 4, cr4);
    if (segments && segment != SEG_SS)          /* that one the mode has */
        LINE(m, segment, segment, 0, 0xffffffff, RIGHTS_FLAT);
    restore_tables(m, mode);
}
