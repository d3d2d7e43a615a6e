/* SPDX-License-Identifier: MIT */
/* Guest paging in every mode, its rights, error codes and flags; two-stage translation; accesses and operands. */
#include "model/cpu/access.h"
#include "model/cpu/translate.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

/* Paging structures: four levels, or two of 32 bits, or PAE's two, in the same pages. */
enum { PML4 = 0x50000, PDPT = 0x51000, PD = 0x52000, PT = 0x53000, EPT_ROOT = 0x58000, EPT_PDPT = 0x59000, EPT_PD = 0x5a000,
       EPT_PT = 0x5b000, PAGE = 0x60000 };
#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define G 0x100ull
#define NX (1ull << 63)
#define BASE 0x8000000000ull                    /* linear: PML4 entry 1 */
#define LINEAR_4K (BASE + 0x3123)
#define LINEAR_2M (BASE + 0x200000 + 0x54321)
#define LINEAR_1G (BASE + 0x40000000 + 0x7654321)
enum { PML4_SLOT = PML4 + 8, PT_SLOT = PT + 3 * 8, PD_SLOT = PD + 8, PDPT_SLOT = PDPT + 8 };

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open_bare(&f, 1);
    f.model->capability.ept_vpid &= ~CAPABILITY_EPT_EXIT_INFORMATION;      /* second_stage_test.c looks at it */
    tlb_init(&f.model->tlb, TLB_DROP, 0);
    f.cpu->cr3 = PML4;
    fixture_store64(&f, PML4_SLOT, PDPT | P | W | U);
    fixture_store64(&f, PDPT, PD | P | W | U);
    fixture_store64(&f, PDPT_SLOT, 0x80000000 | P | W | U | PS);
    fixture_store64(&f, PD, PT | P | W | U);
    fixture_store64(&f, PD_SLOT, 0x600000 | P | W | U | PS);
    fixture_store64(&f, PT_SLOT, PAGE | P | W | U);
}

static void teardown(void)
{
    fixture_close(&f);
}

static uint64_t entry(uint64_t pa)
{
    return memory_read64(&f.model->memory, pa);
}

static struct translation read_supervisor(uint64_t linear)
{
    return translate(f.cpu, linear, (struct access){ .kind = ACCESS_READ });
}

static void expect_pa(uint64_t linear, uint64_t pa)
{
    struct translation t = read_supervisor(linear);

    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.pa, pa);
    ck_assert_uint_eq(t.gpa, pa);
}

static void expect_fault(uint64_t linear, struct access access, uint32_t error_code)
{
    struct translation t = translate(f.cpu, linear, access);

    ck_assert_int_eq(t.result, TRANSLATION_PAGE_FAULT);
    ck_assert_uint_eq(t.error_code, error_code);
}

#define READ_SUPERVISOR (struct access){ .kind = ACCESS_READ }

/* ---- without paging ---- */

START_TEST(no_paging)
{
    struct translation t;

    f.cpu->cr0 &= ~CR0_PG;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    t = translate(f.cpu, 0x1ffff1234ull, (struct access){ .kind = ACCESS_WRITE, .user = true });
    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.pa, 0xffff1234);        /* 32 bits of linear address */
    ck_assert_uint_eq(t.rights, RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE);
}
END_TEST

/* ---- 4-level ---- */

START_TEST(four_level_sizes)
{
    expect_pa(LINEAR_4K, PAGE + 0x123);
    expect_pa(LINEAR_2M, 0x600000 + 0x54321);
    expect_pa(LINEAR_1G, 0x80000000ull + 0x7654321);
}
END_TEST

START_TEST(not_canonical)
{
    ck_assert_int_eq(read_supervisor(1ull << 47).result, TRANSLATION_NOT_CANONICAL);
    ck_assert_int_eq(read_supervisor(0xffff7fffffffffff).result, TRANSLATION_NOT_CANONICAL);
    ck_assert_int_eq(read_supervisor(1ull << 63).result, TRANSLATION_NOT_CANONICAL);
    ck_assert_int_eq(read_supervisor(0xffff800000000000).result, TRANSLATION_PAGE_FAULT);
}
END_TEST

START_TEST(not_present_at_each_level)
{
    static const uint64_t slots[] = { PML4_SLOT, PDPT, PD, PT_SLOT };

    fixture_store64(&f, slots[_i], ~P);         /* all other bits set: not looked at */
    expect_fault(LINEAR_4K, READ_SUPERVISOR, 0);
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_WRITE }, PF_WRITE);
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_READ, .user = true }, PF_USER);
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_WRITE, .user = true }, PF_WRITE | PF_USER);
    /* The I/D flag needs NXE or SMEP. */
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_FETCH }, 0);
    CPU_MSR(f.cpu, ia32_efer) |= EFER_NXE;
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_FETCH }, PF_FETCH);
    CPU_MSR(f.cpu, ia32_efer) &= ~EFER_NXE;
    f.cpu->cr4 |= CR4_SMEP;
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_FETCH, .user = true }, PF_FETCH | PF_USER);
}
END_TEST

static const struct {
    uint64_t slot, linear, bit;
    bool reserved;
} reserved_4level[] = {
    { PML4_SLOT, LINEAR_4K, PS, true },             { PML4_SLOT, LINEAR_4K, 1ull << 40, true },
    { PDPT, LINEAR_4K, 1ull << 40, true },          { PD, LINEAR_4K, 1ull << 51, true },
    { PT_SLOT, LINEAR_4K, 1ull << 40, true },       { PT_SLOT, LINEAR_4K, 1ull << 39, false },
    { PT_SLOT, LINEAR_4K, NX, true },               { PML4_SLOT, LINEAR_4K, NX, true },
    { PT_SLOT, LINEAR_4K, 1ull << 52, false },      { PT_SLOT, LINEAR_4K, 1ull << 62, false },
    { PT_SLOT, LINEAR_4K, PS, false },              /* PAT */
    { PD_SLOT, LINEAR_2M, 1ull << 13, true },       { PD_SLOT, LINEAR_2M, 1ull << 20, true },
    { PD_SLOT, LINEAR_2M, 1ull << 12, false },      { PD_SLOT, LINEAR_2M, 1ull << 40, true },
    { PDPT_SLOT, LINEAR_1G, 1ull << 13, true },     { PDPT_SLOT, LINEAR_1G, 1ull << 29, true },
    { PDPT_SLOT, LINEAR_1G, 1ull << 12, false },    { PD, LINEAR_4K, 1ull << 9, false },
};

START_TEST(reserved_bits_4level)
{
    uint64_t linear = reserved_4level[_i].linear;

    fixture_store64(&f, reserved_4level[_i].slot, entry(reserved_4level[_i].slot) | reserved_4level[_i].bit);
    if (!reserved_4level[_i].reserved) {
        ck_assert_int_eq(read_supervisor(linear).result, TRANSLATION_OK);
        return;
    }
    expect_fault(linear, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
    expect_fault(linear, (struct access){ .kind = ACCESS_WRITE, .user = true },
                 PF_PRESENT | PF_RESERVED | PF_WRITE | PF_USER);
}
END_TEST

/* Access rights, SDM Vol. 3, 4.6.1. `flags`: of the page; U and W are given here, P is not. */
enum { WP = 1, SMEP = 2, SMAP = 4, NXE = 8, AC = 16, USER = 32 };
static const struct {
    uint64_t flags;
    unsigned mode;
    uint8_t rights;             /* r = 1, w = 2, x = 4 */
} rights_table[] = {
    { W, 0, 7 },                { W, USER, 0 },
    { 0, 0, 7 },                { 0, WP, 5 },
    { U | W, USER, 7 },         { U, USER, 5 },             { U, USER | WP, 5 },
    { U, 0, 7 },                { U, WP, 5 },
    { U | W, SMEP, 3 },         { U | W, SMEP | USER, 7 },  { W, SMEP, 7 },
    { U | W, SMAP, 4 },         { U | W, SMAP | AC, 7 },    { U, SMAP | AC | WP, 5 },   { W, SMAP, 7 },
    { U | W, SMAP | USER, 7 },  { U | W, SMAP | SMEP, 0 },  { U | W, SMAP | SMEP | AC, 3 },
    { W | NX, NXE, 3 },         { U | W | NX, NXE | USER, 3 }, { U | NX, NXE | USER, 1 }, { NX, NXE | WP, 1 },
    { W, NXE, 7 },
};

static void set_mode(unsigned mode)
{
    f.cpu->cr0 = (f.cpu->cr0 & ~CR0_WP) | (mode & WP ? CR0_WP : 0);
    f.cpu->cr4 = (f.cpu->cr4 & ~(CR4_SMEP | CR4_SMAP)) | (mode & SMEP ? CR4_SMEP : 0) | (mode & SMAP ? CR4_SMAP : 0);
    CPU_MSR(f.cpu, ia32_efer) = EFER_LME | EFER_LMA | (mode & NXE ? EFER_NXE : 0);
}

static void expect_rights(unsigned mode, uint8_t expected)
{
    static const uint8_t right[] = { RIGHT_READ, RIGHT_WRITE, RIGHT_EXECUTE };

    for (enum access_kind kind = ACCESS_READ; kind <= ACCESS_FETCH; kind++) {
        struct access access = { .kind = kind, .user = mode & USER, .smap_override = mode & AC };
        struct translation t = translate(f.cpu, LINEAR_4K, access);

        if (expected & right[kind]) {
            ck_assert_int_eq(t.result, TRANSLATION_OK);
            ck_assert_uint_eq(t.rights, expected);
        } else {
            ck_assert_int_eq(t.result, TRANSLATION_PAGE_FAULT);
            ck_assert_uint_eq(t.error_code, PF_PRESENT | (kind == ACCESS_WRITE ? PF_WRITE : 0) | (mode & USER ? PF_USER : 0) |
                                                (kind == ACCESS_FETCH && mode & (NXE | SMEP) ? PF_FETCH : 0));
        }
    }
}

START_TEST(rights_at_each_level)
{
    static const uint64_t slots[] = { PML4_SLOT, PDPT, PD, PT_SLOT };

    set_mode(rights_table[_i].mode);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = entry(slots[i]);

        fixture_store64(&f, PT_SLOT, entry(PT_SLOT) | D | A);
        fixture_store64(&f, slots[i], (entry(slots[i]) & ~(U | W)) | rights_table[_i].flags);
        expect_rights(rights_table[_i].mode, rights_table[_i].rights);
        fixture_store64(&f, slots[i], before);
    }
}
END_TEST

START_TEST(accessed_and_dirty)
{
    static const struct access probe = { .kind = ACCESS_WRITE, .probe = true };
    struct translation t;

    ck_assert_int_eq(translate(f.cpu, LINEAR_4K, probe).result, TRANSLATION_OK);
    ck_assert_uint_eq(entry(PML4_SLOT), PDPT | P | W | U);
    ck_assert_uint_eq(entry(PT_SLOT), PAGE | P | W | U);

    t = read_supervisor(LINEAR_4K);
    ck_assert_uint_eq(t.rights, RIGHT_READ | RIGHT_EXECUTE);    /* a write must come back for the dirty flag */
    ck_assert_uint_eq(entry(PML4_SLOT), PDPT | P | W | U | A);
    ck_assert_uint_eq(entry(PDPT), PD | P | W | U | A);
    ck_assert_uint_eq(entry(PD), PT | P | W | U | A);
    ck_assert_uint_eq(entry(PT_SLOT), PAGE | P | W | U | A);

    t = translate(f.cpu, LINEAR_4K, (struct access){ .kind = ACCESS_WRITE });
    ck_assert_uint_eq(t.rights, RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE);
    ck_assert_uint_eq(entry(PD), PT | P | W | U | A);
    ck_assert_uint_eq(entry(PT_SLOT), PAGE | P | W | U | A | D);

    translate(f.cpu, LINEAR_2M, (struct access){ .kind = ACCESS_WRITE });
    ck_assert_uint_eq(entry(PD_SLOT), 0x600000 | P | W | U | PS | A | D);

    /* What is denied leaves the page's own entry alone. */
    fixture_store64(&f, PT_SLOT, PAGE | P);
    expect_fault(LINEAR_4K, (struct access){ .kind = ACCESS_WRITE }, PF_PRESENT | PF_WRITE);
    ck_assert_uint_eq(entry(PT_SLOT), PAGE | P);
}
END_TEST

START_TEST(flag_updates_note_code_pages)
{
    f.watch[PT >> 12] = WATCH_CODE;
    read_supervisor(LINEAR_4K);
    ck_assert_uint_eq(f.model->memory.written_count, 1);
    ck_assert_uint_eq(f.model->memory.written[0], PT);
}
END_TEST

START_TEST(paging_structures_outside_ram)
{
    fixture_store64(&f, PDPT, 0xd0000000 | P | W | U);          /* ones: reserved bits */
    expect_fault(LINEAR_4K, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
    f.cpu->cr3 = 0xe0000000;
    expect_fault(LINEAR_4K, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
}
END_TEST

/* ---- 32-bit ---- */

static void enter_32bit(void)
{
    memset(f.ram + PD, 0, 2 * PAGE_SIZE);
    CPU_MSR(f.cpu, ia32_efer) = 0;
    f.cpu->cr4 = 0;
    f.cpu->cr3 = PD;
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    memory_write32(&f.model->memory, PD + 4 * 2, PT | P | W | U);           /* 0x800000 */
    memory_write32(&f.model->memory, PT + 4 * 5, PAGE | P | W | U);
}

START_TEST(paging_32bit)
{
    enter_32bit();
    expect_pa(0x805678, PAGE + 0x678);
    expect_pa(0x1200805678ull, PAGE + 0x678);                               /* 32 bits of linear address */
    ck_assert_uint_eq(memory_read32(&f.model->memory, PD + 8), PT | P | W | U | A);
    ck_assert_uint_eq(memory_read32(&f.model->memory, PT + 20), PAGE | P | W | U | A);
    ck_assert_uint_eq(memory_read32(&f.model->memory, PT + 24), 0);         /* four bytes, not eight */
    expect_fault(0x806000, READ_SUPERVISOR, 0);
    expect_fault(0x400000, (struct access){ .kind = ACCESS_FETCH }, 0);
    f.cpu->cr4 = CR4_SMEP;
    expect_fault(0x400000, (struct access){ .kind = ACCESS_FETCH }, PF_FETCH);
    expect_fault(0x805000, (struct access){ .kind = ACCESS_FETCH }, PF_PRESENT | PF_FETCH);
    CPU_MSR(f.cpu, ia32_efer) = EFER_NXE;                                   /* NXE counts with PAE only */
    f.cpu->cr4 = 0;
    expect_fault(0x400000, (struct access){ .kind = ACCESS_FETCH }, 0);
}
END_TEST

START_TEST(paging_32bit_4mb_pages)
{
    enter_32bit();
    memory_write32(&f.model->memory, PD + 4 * 3, 0x01400000 | PS | P | W);
    /* Without CR4.PSE the flag is ignored: this is a page table in device space. */
    ck_assert_uint_ne(read_supervisor(0xc12345).pa, 0x01412345);
    f.cpu->cr4 = CR4_PSE;
    memory_write32(&f.model->memory, PD + 4 * 3, 0x01400000 | PS | P | W);
    expect_pa(0xc12345, 0x01412345);
    expect_fault(0xc12345, (struct access){ .kind = ACCESS_READ, .user = true }, PF_PRESENT | PF_USER);
    memory_write32(&f.model->memory, PD + 4 * 3, 0x01400000 | 1u << 20 | 1u << 13 | 1u << 12 | PS | P | W);
    expect_pa(0xc12345, 0x8101412345ull);                                   /* PSE-36: address bits 39 and 32 */
    memory_write32(&f.model->memory, PD + 4 * 3, 0x01400000 | 1u << 21 | PS | P | W);
    expect_fault(0xc12345, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
    f.model->physical_address_width = 36;
    memory_write32(&f.model->memory, PD + 4 * 3, 0x01400000 | 1u << 17 | PS | P | W);
    expect_fault(0xc12345, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
    memory_write32(&f.model->memory, PD + 4 * 3, 0x01400000 | 1u << 16 | PS | P | W);
    expect_pa(0xc12345, 0x801412345ull);
}
END_TEST

/* ---- PAE ---- */

static uint64_t refused_address, refused_entry;

static void enter_pae(void)
{
    enum status status;

    CPU_MSR(f.cpu, ia32_efer) = 0;
    f.cpu->cr4 = CR4_PAE;
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    memset(f.ram + PDPT, 0, PAGE_SIZE);
    fixture_store64(&f, PDPT + 0x20 + 8 * 3, PD | P);           /* linear 0xc0000000 */
    f.cpu->cr3 = PDPT + 0x20;
    ck_assert(load_pdptes(f.cpu, f.cpu->cr3, &status, &refused_address, &refused_entry));
}

START_TEST(paging_pae)
{
    enter_pae();
    expect_pa(0xc0003123, PAGE + 0x123);
    expect_pa(0xc0254321, 0x654321);
    expect_fault(0x3123, READ_SUPERVISOR, 0);                   /* PDPTE 0 */
    fixture_store64(&f, PDPT + 0x20 + 8 * 3, 0);                /* the registers count, not memory */
    expect_pa(0xc0003123, PAGE + 0x123);
    for (unsigned bit = 40; bit <= 62; bit++) {
        fixture_store64(&f, PT_SLOT, PAGE | P | 1ull << bit);
        expect_fault(0xc0003123, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
    }
    fixture_store64(&f, PT_SLOT, PAGE | P | NX);
    expect_fault(0xc0003123, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
    CPU_MSR(f.cpu, ia32_efer) = EFER_NXE;
    expect_pa(0xc0003123, PAGE + 0x123);
    expect_fault(0xc0003123, (struct access){ .kind = ACCESS_FETCH }, PF_PRESENT | PF_FETCH);
    fixture_store64(&f, PD_SLOT, 0x600000 | P | PS | 1 << 13);
    expect_fault(0xc0254321, READ_SUPERVISOR, PF_PRESENT | PF_RESERVED);
}
END_TEST

START_TEST(pdptes_are_checked_when_loaded)
{
    static const uint64_t bad[] = { 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1ull << 40, 1ull << 52, NX };
    enum status status;

    enter_pae();
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fixture_store64(&f, PDPT + 0x20, PD | P | bad[i]);
        f.cpu->pdpte[0] = 0x1234;
        ck_assert(!load_pdptes(f.cpu, f.cpu->cr3, &status, &refused_address, &refused_entry));
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_uint_eq(refused_address, PDPT + 0x20);
        ck_assert_uint_eq(refused_entry, PD | P | bad[i]);
        ck_assert_uint_eq(f.cpu->pdpte[0], 0x1234);             /* nothing loaded */
        fixture_store64(&f, PDPT + 0x20, bad[i]);               /* not present: anything goes */
        ck_assert(load_pdptes(f.cpu, f.cpu->cr3, &status, &refused_address, &refused_entry));
        ck_assert_uint_eq(f.cpu->pdpte[0], bad[i]);
    }
    fixture_store64(&f, PDPT + 0x20, PD | P | 3 << 3 | 7 << 9);
    ck_assert(load_pdptes(f.cpu, f.cpu->cr3 | 0x1f, &status, &refused_address, &refused_entry));  /* bits 4:0 of CR3 are no address */
    ck_assert_uint_eq(f.cpu->pdpte[3], PD | P);
}
END_TEST

/* ---- two stages ---- */

#define EPTP (EPT_ROOT | 3 << 3 | MEMORY_WB)

/* Guest-physical = physical + 0 for the 2 MB of RAM, by 4-KByte pages; the page of the guest's lies at twice its place. */
static void enable_ept(uint64_t flags)
{
    fixture_store64(&f, EPT_ROOT, EPT_PDPT | EPT_RIGHTS);
    fixture_store64(&f, EPT_PDPT, EPT_PD | EPT_RIGHTS);
    fixture_store64(&f, EPT_PD, EPT_PT | EPT_RIGHTS);
    for (uint64_t page = 0; page < 512; page++)
        fixture_store64(&f, EPT_PT + 8 * page, page << 12 | MEMORY_WB << 3 | EPT_RIGHTS);
    fixture_store64(&f, EPT_PT + 8 * (PAGE >> 12), 0x90000 | MEMORY_WB << 3 | EPT_RIGHTS);
    f.cpu->vmx.ept = true;
    f.cpu->vmx.eptp = EPTP | flags;
}

static void ept_rights(uint64_t page, uint64_t rights)
{
    uint64_t slot = EPT_PT + 8 * (page >> 12);

    fixture_store64(&f, slot, (entry(slot) & ~EPT_RIGHTS) | rights);
}

static void expect_violation(enum access_kind kind, uint64_t gpa, uint64_t qualification)
{
    struct translation t = translate(f.cpu, LINEAR_4K, (struct access){ .kind = kind });

    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.gpa, gpa);
    ck_assert_uint_eq(t.qualification, qualification);
}

START_TEST(two_stages)
{
    struct translation t;

    enable_ept(0);
    t = read_supervisor(LINEAR_4K);
    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.gpa, PAGE + 0x123);
    ck_assert_uint_eq(t.pa, 0x90123);
    ept_rights(PAGE, EPT_READ);
    ck_assert_uint_eq(read_supervisor(LINEAR_4K).rights, RIGHT_READ);
    expect_violation(ACCESS_WRITE, PAGE + 0x123, 0x18a);
    expect_violation(ACCESS_FETCH, PAGE + 0x123, 0x18c);
    ept_rights(PAGE, 0);
    expect_violation(ACCESS_READ, PAGE + 0x123, 0x181);
    fixture_store64(&f, PT_SLOT, 0);                            /* the guest's own fault comes first */
    expect_fault(LINEAR_4K, READ_SUPERVISOR, 0);
}
END_TEST

START_TEST(paging_structures_through_ept)
{
    static const uint64_t pages[] = { PML4, PDPT, PD, PT };
    static const uint64_t offsets[] = { 8, 0, 0, 24 };

    enable_ept(0);
    ept_rights(pages[_i], 0);
    expect_violation(ACCESS_WRITE, pages[_i] + offsets[_i], 0x81);      /* read of the entry, whatever the access */
    ept_rights(pages[_i], EPT_READ);
    expect_violation(ACCESS_READ, pages[_i] + offsets[_i], 0x8b);       /* accessed flag: a write */
    fixture_store64(&f, PML4_SLOT, entry(PML4_SLOT) | A);
    fixture_store64(&f, PDPT, entry(PDPT) | A);
    fixture_store64(&f, PD, entry(PD) | A);
    fixture_store64(&f, PT_SLOT, entry(PT_SLOT) | A);
    ck_assert_int_eq(read_supervisor(LINEAR_4K).result, TRANSLATION_OK);
    if (pages[_i] == PT)                                                /* dirty flag: a write */
        expect_violation(ACCESS_WRITE, PT_SLOT, 0x8b);
    else
        ck_assert_int_eq(translate(f.cpu, LINEAR_4K, (struct access){ .kind = ACCESS_WRITE }).result, TRANSLATION_OK);
    f.cpu->vmx.eptp |= EPTP_ACCESSED_DIRTY;                             /* every access to a structure is a write */
    expect_violation(ACCESS_READ, pages[_i] + offsets[_i], 0x8b);
}
END_TEST

START_TEST(ept_dirty_flags_of_paging_structures)
{
    enable_ept(EPTP_ACCESSED_DIRTY);
    ck_assert_uint_eq(read_supervisor(LINEAR_4K).rights, RIGHT_READ | RIGHT_EXECUTE);
    ck_assert(entry(EPT_PT + 8 * (PT >> 12)) & EPT_DIRTY);
    ck_assert(entry(EPT_PT + 8 * (PAGE >> 12)) & EPT_ACCESSED);
    ck_assert(!(entry(EPT_PT + 8 * (PAGE >> 12)) & EPT_DIRTY));
    ck_assert_uint_eq(translate(f.cpu, LINEAR_4K, (struct access){ .kind = ACCESS_WRITE }).rights, 7);
    ck_assert(entry(EPT_PT + 8 * (PAGE >> 12)) & EPT_DIRTY);
}
END_TEST

START_TEST(misconfiguration_on_the_way)
{
    struct translation t;

    enable_ept(0);
    fixture_store64(&f, EPT_PT + 8 * (PD >> 12), PD | EPT_WRITE);
    t = read_supervisor(LINEAR_4K);
    ck_assert_int_eq(t.result, TRANSLATION_EPT_MISCONFIGURATION);
    ck_assert_uint_eq(t.gpa, PD);
}
END_TEST

START_TEST(ept_without_guest_paging)
{
    struct translation t;

    enable_ept(0);
    f.cpu->cr0 &= ~CR0_PG;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    t = read_supervisor(PAGE + 5);
    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.pa, 0x90005);
    ept_rights(PAGE, EPT_READ);
    t = translate(f.cpu, PAGE + 5, (struct access){ .kind = ACCESS_WRITE });
    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.qualification, 0x18a);
}
END_TEST

START_TEST(private_pages_are_reported)
{
    static struct vmcs without_controls;

    enable_ept(0);
    f.watch[0x90] = WATCH_PRIVATE;
    read_supervisor(LINEAR_4K);
    ck_assert_uint_eq(f.violations, 0);         /* in root operation it is at home */
    f.cpu->vmx.non_root = true;
    f.cpu->vmx.current = &without_controls;
    read_supervisor(LINEAR_4K);
    ck_assert_uint_eq(f.violations, 0);         /* L0 is not beneath it yet */
    f.cpu->settled = true;
    translate(f.cpu, LINEAR_4K, (struct access){ .kind = ACCESS_READ, .probe = true });
    ck_assert_uint_eq(f.violations, 0);
    read_supervisor(LINEAR_4K);
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_uint_eq(f.violation_rule, RULE_ISOLATION);
}
END_TEST

START_TEST(private_paging_structures_are_reported)
{
    static struct vmcs without_controls;

    enable_ept(0);
    f.watch[f.cpu->cr3 / PAGE_SIZE] = WATCH_PRIVATE;   /* the root of guest paging, which the walk reads */
    f.cpu->vmx.non_root = f.cpu->settled = true;
    f.cpu->vmx.current = &without_controls;
    translate(f.cpu, LINEAR_4K, (struct access){ .kind = ACCESS_READ, .probe = true });
    ck_assert_uint_eq(f.violations, 0);
    read_supervisor(LINEAR_4K);
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_uint_eq(f.violation_rule, RULE_ISOLATION);
}
END_TEST

/* ---- accesses of the model ---- */

static uint64_t mmio_log[8];
static unsigned mmio_count;

static uint64_t mmio_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    (void)context;
    (void)cpu;
    mmio_log[mmio_count++ % 8] = pa << 8 | size;
    return 0x1122334455667788;
}

static void mmio_write(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    (void)context;
    (void)cpu;
    mmio_log[mmio_count++ % 8] = pa << 8 | size;
    mmio_log[mmio_count++ % 8] = value;
}

START_TEST(accesses_across_pages)
{
    uint64_t value = 0x1122334455667788, back = 0;

    fixture_store64(&f, PT + 4 * 8, 0x90000 | P | W);
    ck_assert_int_eq(linear_write(f.cpu, BASE + 0x3ffd, &value, 8, false), STATUS_OK);
    ck_assert_uint_eq(f.ram[PAGE + 0xffd], 0x88);
    ck_assert_uint_eq(f.ram[PAGE + 0xfff], 0x66);
    ck_assert_uint_eq(f.ram[0x90000], 0x55);
    ck_assert_uint_eq(f.ram[0x90004], 0x11);
    ck_assert_int_eq(linear_read(f.cpu, BASE + 0x3ffd, &back, 8, false), STATUS_OK);
    ck_assert_uint_eq(back, value);
}
END_TEST

START_TEST(nothing_moves_on_a_fault)
{
    uint64_t value = ~0ull;

    ck_assert_int_eq(linear_write(f.cpu, BASE + 0x3ffd, &value, 8, false), STATUS_EVENT);
    ck_assert_uint_eq(f.ram[PAGE + 0xffd], 0);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_PF);
    ck_assert_uint_eq(f.cpu->event.address, BASE + 0x4000);
    ck_assert_uint_eq(f.cpu->event.error_code, PF_WRITE);
    ck_assert_uint_eq(f.cpu->cr2, BASE + 0x4000);       /* as soon as the fault is found and does not exit (6.15, #PF) */
}
END_TEST

START_TEST(implicit_accesses_are_supervisor)
{
    uint64_t value;

    fixture_store64(&f, PT_SLOT, PAGE | P | W);
    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;
    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, &value, 8, true), STATUS_OK);
    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, &value, 8, false), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.error_code, PF_PRESENT | PF_USER);
    f.cpu->event.valid = false;
    /* SMAP: AC overrides for explicit accesses only. */
    f.cpu->seg[SEG_SS].access_rights &= ~(3u << 5);
    f.cpu->cr4 |= CR4_SMAP;
    f.cpu->rflags |= RFLAGS_AC;
    fixture_store64(&f, PT_SLOT, PAGE | P | W | U);
    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, &value, 8, false), STATUS_OK);
    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, &value, 8, true), STATUS_EVENT);
}
END_TEST

START_TEST(device_memory_goes_to_the_bus)
{
    uint64_t value = 0;
    uint8_t bytes[7] = { 1, 2, 3, 4, 5, 6, 7 };

    fixture_store64(&f, PT_SLOT, 0xfee00000 | P | W);
    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, &value, 4, false), STATUS_OK);
    ck_assert_uint_eq(value, 0xffffffff);       /* no bus, no answer */
    f.model->bus.mmio_read = mmio_read;
    f.model->bus.mmio_write = mmio_write;
    mmio_count = 0;
    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, &value, 4, false), STATUS_OK);
    ck_assert_uint_eq(value, 0x55667788);
    ck_assert_uint_eq(mmio_count, 1);
    ck_assert_uint_eq(mmio_log[0], 0xfee00123ull << 8 | 4);
    mmio_count = 0;
    ck_assert_int_eq(linear_write(f.cpu, LINEAR_4K, bytes, 7, false), STATUS_OK);
    ck_assert_uint_eq(mmio_count, 6);           /* 4 + 2 + 1 */
    ck_assert_uint_eq(mmio_log[1], 0x04030201);
    ck_assert_uint_eq(mmio_log[3], 0x0605);
    ck_assert_uint_eq(mmio_log[5], 7);
}
END_TEST

START_TEST(more_than_a_page_is_refused)
{
    static uint8_t bytes[4097];

    ck_assert_int_eq(linear_read(f.cpu, LINEAR_4K, bytes, sizeof(bytes), false), STATUS_REFUSED);
    ck_assert_str_ne(f.model->refusal, "");
}
END_TEST

/* ---- operands ---- */

static struct insn memory_operand(uint8_t segment, int64_t displacement)
{
    return (struct insn){ .kind = OPERAND_MEMORY, .segment = segment, .base = NO_REGISTER, .index = NO_REGISTER,
                          .displacement = displacement, .address_size = 8 };
}

START_TEST(effective_addresses)
{
    struct insn insn = memory_operand(SEG_DS, -0x10);
    uint64_t linear;

    insn.base = RBX;
    insn.index = R9;
    insn.scale = 3;
    f.cpu->gpr[RBX] = 0x100000100;
    f.cpu->gpr[R9] = 0x20;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 8, false, &linear), STATUS_OK);
    ck_assert_uint_eq(linear, 0x1000001f0);
    insn.address_size = 4;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 8, false, &linear), STATUS_OK);
    ck_assert_uint_eq(linear, 0x1f0);
    insn.segment = SEG_FS;                      /* in 64-bit mode FS and GS alone have a base */
    f.cpu->seg[SEG_FS].base = 0x1000;
    f.cpu->seg[SEG_DS].base = 0x7777;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 8, false, &linear), STATUS_OK);
    ck_assert_uint_eq(linear, 0x11f0);
    insn.address_size = 2;
    f.cpu->gpr[RBX] = 0xffff0;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 8, false, &linear), STATUS_OK);
    ck_assert_uint_eq(linear, 0x1000 + 0xe0);
}
END_TEST

static void expect_operand_fault(const struct insn *insn, unsigned length, bool write, unsigned vector)
{
    uint64_t linear;

    f.cpu->event.valid = false;
    ck_assert_int_eq(operand_linear(f.cpu, insn, length, write, &linear), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, vector);
    ck_assert_uint_eq(f.cpu->event.error_code, 0);
    f.cpu->event.valid = false;
}

START_TEST(canonical_operands)
{
    struct insn insn = memory_operand(SEG_DS, 0x7ffffffffff9);
    uint64_t linear;

    ck_assert_int_eq(operand_linear(f.cpu, &insn, 7, false, &linear), STATUS_OK);
    expect_operand_fault(&insn, 8, false, VECTOR_GP);
    insn.segment = SEG_SS;
    expect_operand_fault(&insn, 8, false, VECTOR_SS);
}
END_TEST

START_TEST(segment_checks)
{
    struct insn insn = memory_operand(SEG_DS, 0xff9);
    struct segment *ds = &f.cpu->seg[SEG_DS];
    uint64_t linear;

    enter_32bit();
    insn.address_size = 4;
    ds->limit = 0xfff;
    ds->base = 0xfffff000;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 7, true, &linear), STATUS_OK);
    ck_assert_uint_eq(linear, 0xfffffff9);
    expect_operand_fault(&insn, 8, true, VECTOR_GP);
    insn.segment = SEG_SS;
    f.cpu->seg[SEG_SS].limit = 0xfff;
    expect_operand_fault(&insn, 8, true, VECTOR_SS);
    insn.segment = SEG_DS;

    ds->access_rights = 0xc097;                 /* expand down: above the limit is inside */
    expect_operand_fault(&insn, 4, false, VECTOR_GP);
    insn.displacement = 0x1000;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 4, true, &linear), STATUS_OK);
    insn.displacement = 0xfffffffe;
    expect_operand_fault(&insn, 4, false, VECTOR_GP);
    ds->access_rights = 0x8097;                 /* ... of 16 bits: up to FFFFH */
    insn.displacement = 0xfffe;
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 2, true, &linear), STATUS_OK);
    expect_operand_fault(&insn, 4, false, VECTOR_GP);

    insn.displacement = 0;
    ds->access_rights = 0xc091;                 /* read-only data */
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 4, false, &linear), STATUS_OK);
    expect_operand_fault(&insn, 4, true, VECTOR_GP);
    ds->access_rights = 0xc09b;                 /* readable code */
    ck_assert_int_eq(operand_linear(f.cpu, &insn, 4, false, &linear), STATUS_OK);
    expect_operand_fault(&insn, 4, true, VECTOR_GP);
    ds->access_rights = 0xc099;                 /* execute-only code */
    expect_operand_fault(&insn, 4, false, VECTOR_GP);
    ds->access_rights = 0xc093 | AR_UNUSABLE;
    expect_operand_fault(&insn, 4, false, VECTOR_GP);
}
END_TEST

START_TEST(register_operands)
{
    struct insn insn = { .kind = OPERAND_REGISTER, .rm = R10 };
    uint64_t value;

    f.cpu->gpr[R10] = 0x1122334455667788;
    operand_read(f.cpu, &insn, 2, &value);
    ck_assert_uint_eq(value, 0x7788);
    operand_read(f.cpu, &insn, 8, &value);
    ck_assert_uint_eq(value, 0x1122334455667788);
    operand_write(f.cpu, &insn, 1, 0x1ff);
    ck_assert_uint_eq(f.cpu->gpr[R10], 0x11223344556677ff);
    operand_write(f.cpu, &insn, 2, 0x10000);
    ck_assert_uint_eq(f.cpu->gpr[R10], 0x1122334455660000);
    operand_write(f.cpu, &insn, 4, 0x9abcdef012345678);
    ck_assert_uint_eq(f.cpu->gpr[R10], 0x12345678);
    operand_write(f.cpu, &insn, 8, ~0ull);
    ck_assert_uint_eq(f.cpu->gpr[R10], ~0ull);
}
END_TEST

/* ---- what a failure means ---- */

START_TEST(ept_violation_exits)
{
    struct vmcs *v;
    struct translation t;

    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VMX_SUCCEED);
    v = fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept;
    fixture_enter(&f);
    fixture_store64(&f, FIXTURE_EPT + 0x1000, 0x80 | MEMORY_WB << 3 | EPT_READ | EPT_WRITE);
    t = translate(f.cpu, 0x1234, (struct access){ .kind = ACCESS_FETCH });
    ck_assert_int_eq(translation_fault(f.cpu, 0x1234, &t, false), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_ept_violation);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 0x19c);
    ck_assert_uint_eq(VMCS(v, guest_physical_address), 0x1234);
    ck_assert_uint_eq(VMCS(v, guest_linear_address), 0x1234);
    ck_assert(VMCS(v, guest_rflags) & RFLAGS_RF);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_information), 0);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
}
END_TEST

START_TEST(faults_of_addresses)
{
    struct translation t = { .result = TRANSLATION_NOT_CANONICAL };

    ck_assert_int_eq(translation_fault(f.cpu, 1ull << 47, &t, false), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    f.cpu->event.valid = false;
    ck_assert_int_eq(translation_fault(f.cpu, 1ull << 47, &t, true), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_SS);
    ck_assert(f.cpu->event.has_error_code);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("translate");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, no_paging);
    tcase_add_test(tcase, four_level_sizes);
    tcase_add_test(tcase, not_canonical);
    tcase_add_loop_test(tcase, not_present_at_each_level, 0, 4);
    tcase_add_loop_test(tcase, reserved_bits_4level, 0, ROWS(reserved_4level));
    tcase_add_loop_test(tcase, rights_at_each_level, 0, ROWS(rights_table));
    tcase_add_test(tcase, accessed_and_dirty);
    tcase_add_test(tcase, flag_updates_note_code_pages);
    tcase_add_test(tcase, paging_structures_outside_ram);
    tcase_add_test(tcase, paging_32bit);
    tcase_add_test(tcase, paging_32bit_4mb_pages);
    tcase_add_test(tcase, paging_pae);
    tcase_add_test(tcase, pdptes_are_checked_when_loaded);
    tcase_add_test(tcase, two_stages);
    tcase_add_loop_test(tcase, paging_structures_through_ept, 0, 4);
    tcase_add_test(tcase, ept_dirty_flags_of_paging_structures);
    tcase_add_test(tcase, misconfiguration_on_the_way);
    tcase_add_test(tcase, ept_without_guest_paging);
    tcase_add_test(tcase, private_pages_are_reported);
    tcase_add_test(tcase, private_paging_structures_are_reported);
    tcase_add_test(tcase, accesses_across_pages);
    tcase_add_test(tcase, nothing_moves_on_a_fault);
    tcase_add_test(tcase, implicit_accesses_are_supervisor);
    tcase_add_test(tcase, device_memory_goes_to_the_bus);
    tcase_add_test(tcase, more_than_a_page_is_refused);
    tcase_add_test(tcase, effective_addresses);
    tcase_add_test(tcase, canonical_operands);
    tcase_add_test(tcase, segment_checks);
    tcase_add_test(tcase, register_operands);
    tcase_add_test(tcase, ept_violation_exits);
    tcase_add_test(tcase, faults_of_addresses);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
