/* SPDX-License-Identifier: MIT */
/* The tagged TLB: each invalidation drops what it must and keeps the rest; stale uses are seen. SDM Vol. 3, 4.10, 29.4. */
#include "model/cpu/walk.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open_bare(&f, 2);
}

static void teardown(void)
{
    fixture_close(&f);
}

/* ---- scopes: a population with every tag, and who survives ---- */

#define LARGE_REGION 0x40000000ull      /* linear: a 2-MByte page is here */
#define OTHER 0x7000ull

/* One remembered translation. */
struct member {
    const char *name;
    uint8_t cpu;
    uint16_t vpid, pcid;
    uint64_t eptp;                      /* 0: without EPT */
    bool paging, global, large;
    uint64_t linear;
};

enum { EPTP1 = 0x100000, EPTP2 = 0x200000 };

static const struct member members[] = {
    { "a", 0, 0, 0, 0, true, false, false, 0x5000 },                    /* root operation, no PCID */
    { "b", 0, 0, 1, 0, true, false, false, 0x5000 },                    /* PCID 1 */
    { "c", 0, 0, 1, 0, true, true, false, 0x6000 },                     /* global, made under PCID 1 */
    { "d", 0, 0, 0, 0, true, false, false, OTHER },
    { "e", 0, 0, 0, 0, true, false, true, LARGE_REGION + 0x3000 },      /* a fragment of a large page */
    { "f", 0, 0, 0, EPTP1, true, false, false, 0x5000 },                /* combined, VPID 0 */
    { "g", 0, 5, 0, EPTP1, true, false, false, 0x5000 },                /* combined, VPID 5 */
    { "h", 0, 5, 0, EPTP1, true, true, false, 0x6000 },
    { "i", 0, 5, 0, EPTP2, true, false, false, 0x5000 },
    { "j", 0, 5, 1, EPTP1, true, false, false, 0x5000 },
    { "k", 0, 6, 0, EPTP1, true, false, false, 0x5000 },
    { "l", 0, 6, 0, 0, true, false, false, 0x5000 },                    /* VPID without EPT */
    { "m", 0, 0, 0, EPTP1, false, false, false, 0x9000 },               /* guest-physical */
    { "n", 0, 0, 0, EPTP2, false, false, false, 0x9000 },
    { "o", 1, 0, 0, 0, true, false, false, 0x5000 },                    /* another processor */
    { "p", 1, 5, 0, EPTP1, true, false, false, 0x5000 },
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

/* Puts a processor into the context of a member. */
static struct cpu *into_context(const struct member *m)
{
    struct cpu *cpu = &f.model->cpu[m->cpu];

    cpu->vmx.vpid = m->vpid;
    cpu->vmx.ept = m->eptp;
    cpu->vmx.eptp = m->eptp | 3 << 3 | MEMORY_WB;
    cpu->cr0 = m->paging ? FIXTURE_CR0 : FIXTURE_CR0 & ~CR0_PG;
    cpu->cr4 = FIXTURE_CR4 | CR4_PCIDE;
    cpu->cr3 = FIXTURE_CR3 | m->pcid;
    return cpu;
}

static void populate(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *m = &members[i];
        struct mapping mapping = { .global = m->global, .page_size = m->large ? 2 << 20 : 4096, .pa_page = i << 12 };

        struct cpu *cpu = into_context(m);

        if (m->paging)
            tlb_insert(cpu, m->linear, &mapping, &(struct trail){ .count = 0 });
        else
            guest_physical_insert(cpu, &(struct guest_physical){ .valid = true, .leaf = true, .level = 1, .cpu = m->cpu,
                                                                 .eptp = cpu->vmx.eptp, .gpa = m->linear, .address = i << 12 });
    }
}

static bool survives(unsigned member)
{
    const struct member *m = &members[member];
    struct cpu *cpu = into_context(m);

    if (m->paging) {
        const struct tlb_entry *entry = tlb_find(cpu, m->linear);

        return entry && entry->mapping.pa_page == member << 12;
    }
    const struct guest_physical *mapping = guest_physical_page(cpu, cpu->vmx.eptp, m->linear);

    return mapping && mapping->address == member << 12;
}

/* The names of the members that are still there. */
static const char *survivors(void)
{
    static char names[MEMBERS + 1];
    unsigned count = 0;

    for (unsigned i = 0; i < MEMBERS; i++) {
        if (survives(i))
            names[count++] = members[i].name[0];
    }
    names[count] = '\0';
    return names;
}

/* Context of the processor that invalidates. */
static struct cpu *in(uint16_t vpid, uint16_t pcid, uint64_t eptp)
{
    return into_context(&(struct member){ .vpid = vpid, .pcid = pcid, .eptp = eptp, .paging = true });
}

START_TEST(all_are_remembered)
{
    populate();
    ck_assert_str_eq(survivors(), "abcdefghijklmnop");
}
END_TEST

/* The list holds each once, of all processors, and no other. */
START_TEST(all_are_listed)
{
    unsigned seen = 0;

    ck_assert_ptr_null(tlb_next(&f.model->tlb, NULL));
    populate();
    for (const struct tlb_entry *e = tlb_next(&f.model->tlb, NULL); e; e = tlb_next(&f.model->tlb, e)) {
        unsigned member = (unsigned)(e->mapping.pa_page >> 12);
        ck_assert_uint_lt(member, MEMBERS);
        ck_assert_uint_eq(e->cpu, members[member].cpu);
        ck_assert(!(seen >> member & 1));
        seen |= 1u << member;
    }
    for (const struct guest_physical *g = guest_physical_next(&f.model->tlb, NULL); g;
         g = guest_physical_next(&f.model->tlb, g)) {
        unsigned member = (unsigned)(g->address >> 12);
        ck_assert(!(seen >> member & 1));
        seen |= 1u << member;
    }
    ck_assert_uint_eq(seen, (1u << MEMBERS) - 1);
}
END_TEST

START_TEST(invlpg_scope)
{
    populate();
    tlb_invlpg(in(0, 0, 0), 0x5fff);
    ck_assert_str_eq(survivors(), "bcdeghijklmnop");            /* a, and f: combined mappings of this VPID */
    tlb_invlpg(in(0, 0, 0), 0x6000);                            /* global: whatever its PCID */
    ck_assert_str_eq(survivors(), "bdeghijklmnop");
    tlb_invlpg(in(5, 0, EPTP1), 0x5000);                        /* all EPTRTAs of VPID 5 */
    ck_assert_str_eq(survivors(), "bdehjklmnop");
    tlb_invlpg(in(0, 0, 0), LARGE_REGION + 0x1ff000);           /* elsewhere in the large page */
    ck_assert_str_eq(survivors(), "bdhjklmnop");
}
END_TEST

START_TEST(invlpg_beside_a_large_page)
{
    populate();
    tlb_invlpg(in(0, 0, 0), LARGE_REGION + 0x200000);
    ck_assert_str_eq(survivors(), "abcdefghijklmnop");
}
END_TEST

START_TEST(mov_to_cr3_scope)
{
    populate();
    tlb_flush_pcid(in(0, 1, 0), 1, true);
    ck_assert_str_eq(survivors(), "acdefghijklmnop");
    tlb_flush_pcid(in(0, 0, 0), 0, true);
    ck_assert_str_eq(survivors(), "cghijklmnop");
    tlb_flush_pcid(in(5, 0, EPTP1), 0, true);
    ck_assert_str_eq(survivors(), "chjklmnop");
}
END_TEST

START_TEST(flush_pcid_with_globals)
{
    populate();
    tlb_flush_pcid(in(0, 0, 0), 0, false);
    ck_assert_str_eq(survivors(), "bghijklmnop");
}
END_TEST

START_TEST(flush_all_scope)
{
    populate();
    tlb_flush_all(in(0, 0, 0), true);
    ck_assert_str_eq(survivors(), "cghijklmnop");
    tlb_flush_all(in(0, 0, 0), false);
    ck_assert_str_eq(survivors(), "ghijklmnop");
    tlb_flush_all(in(5, 0, EPTP1), false);
    ck_assert_str_eq(survivors(), "klmnop");
}
END_TEST

START_TEST(invpcid_address_scope)
{
    populate();
    tlb_flush_linear_pcid(in(0, 0, 0), 0x5000, 1);
    ck_assert_str_eq(survivors(), "acdefghijklmnop");
    tlb_flush_linear_pcid(in(0, 0, 0), 0x6000, 1);              /* not global ones */
    ck_assert_str_eq(survivors(), "acdefghijklmnop");
}
END_TEST

START_TEST(invept_scope)
{
    populate();
    tlb_invept(in(0, 0, 0), EPTP1 | 0x5e);                      /* bits 51:12 count */
    ck_assert_str_eq(survivors(), "abcdeilnop");                /* p is another processor's */
}
END_TEST

START_TEST(invept_all_scope)
{
    populate();
    tlb_invept_all(in(0, 0, 0));
    ck_assert_str_eq(survivors(), "abcdelop");
}
END_TEST

START_TEST(invvpid_scopes)
{
    populate();
    tlb_invvpid_address(in(0, 0, 0), 5, 0x5abc);
    ck_assert_str_eq(survivors(), "abcdefhklmnop");
    populate();
    tlb_invvpid(in(0, 0, 0), 5, true);
    ck_assert_str_eq(survivors(), "abcdefhklmnop");
    tlb_invvpid(in(0, 0, 0), 5, false);
    ck_assert_str_eq(survivors(), "abcdefklmnop");
    tlb_invvpid_all(in(0, 0, 0));
    ck_assert_str_eq(survivors(), "abcdefmnop");
}
END_TEST

START_TEST(invvpid_address_takes_globals)
{
    populate();
    tlb_invvpid_address(in(0, 0, 0), 5, 0x6000);
    ck_assert_str_eq(survivors(), "abcdefgijklmnop");
}
END_TEST

START_TEST(vmx_transition_scope)
{
    populate();
    tlb_vmx_transition(in(0, 0, 0));
    ck_assert_str_eq(survivors(), "ghijklmnop");
}
END_TEST

START_TEST(ept_violation_scope)
{
    populate();
    tlb_drop_gpa(in(0, 0, EPTP1), EPTP1 | 0x1e, 0x9123);
    ck_assert_str_eq(survivors(), "abcdefghijklnop");
}
END_TEST

START_TEST(reset_scope)
{
    populate();
    tlb_reset(&f.model->cpu[0]);
    ck_assert_str_eq(survivors(), "op");
    tlb_reset(&f.model->cpu[1]);
    ck_assert_str_eq(survivors(), "");
}
END_TEST

START_TEST(every_invalidation_moves_the_generation)
{
    struct cpu *cpu = in(0, 0, 0);
    uint64_t *generation = &f.model->tlb.generation, before = *generation;

    tlb_invlpg(cpu, 0);
    ck_assert_uint_gt(*generation, before);
    before = *generation;
    tlb_flush_pcid(cpu, 0, true);
    ck_assert_uint_gt(*generation, before);
    before = *generation;
    tlb_invept_all(cpu);
    ck_assert_uint_gt(*generation, before);
    before = *generation;
    tlb_vmx_transition(cpu);
    ck_assert_uint_gt(*generation, before);
}
END_TEST

START_TEST(global_entries_serve_every_pcid)
{
    populate();
    ck_assert_ptr_nonnull(tlb_find(in(0, 7, 0), 0x6000));
    ck_assert_ptr_null(tlb_find(in(0, 7, 0), 0x5000));
    ck_assert_ptr_null(tlb_find(in(7, 0, 0), 0x6000));          /* but not another VPID */
}
END_TEST

START_TEST(full_sets_displace)
{
    struct mapping mapping = { .page_size = 2 << 20 };
    struct cpu *cpu = in(0, 0, 0);
    unsigned kept = 0;

    for (uint64_t page = 0; page < 3 * TLB_SETS * TLB_WAYS; page++)
        tlb_insert(cpu, page << 12, &mapping, &(struct trail){ .count = 0 });
    for (uint64_t page = 0; page < 3 * TLB_SETS * TLB_WAYS; page++)
        kept += tlb_find(cpu, page << 12) != NULL;
    ck_assert_uint_eq(kept, TLB_SETS * TLB_WAYS);
    tlb_flush_all(cpu, false);
    for (unsigned i = 0; i < TLB_REGIONS; i++)
        ck_assert_uint_eq(f.model->tlb.large[i], 0);            /* the counts survive displacement */
    for (unsigned i = 0; i < TLB_SETS / 64; i++)
        ck_assert_uint_eq(f.model->tlb.occupied[i], 0);
}
END_TEST

/* ---- through translate() ---- */

enum { PML4 = 0x50000, PDPT = 0x51000, PD = 0x52000, PT = 0x53000, EPT_PD = 0x54000, EPT_PT = 0x55000 };
#define LINEAR 0x3000ull
#define PT_SLOT (PT + 3 * 8)

static struct cpu *paging(void)
{
    struct cpu *cpu = f.cpu;

    cpu->cr3 = PML4;
    fixture_store64(&f, PML4, PDPT | 7);
    fixture_store64(&f, PDPT, PD | 7);
    fixture_store64(&f, PD, PT | 7);
    fixture_store64(&f, PT_SLOT, 0x60000 | 7);
    return cpu;
}

static struct translation access_to(uint64_t linear, enum access_kind kind)
{
    return translate(f.cpu, linear, (struct access){ .kind = kind });
}

START_TEST(a_remembered_translation_is_used)
{
    paging();
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 0);
    fixture_store64(&f, PT_SLOT, 0x61000 | 7);
    ck_assert_uint_eq(access_to(LINEAR + 5, ACCESS_READ).pa, 0x60005);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 1);
    ck_assert_uint_eq(f.violations, 0);                         /* the guest's own business */
    tlb_invlpg(f.cpu, LINEAR);
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x61000);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 1);
}
END_TEST

START_TEST(no_denial_is_remembered)
{
    uint64_t generation;

    paging();
    fixture_store64(&f, PT_SLOT, 0x60000 | 5);
    access_to(LINEAR, ACCESS_READ);
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_PAGE_FAULT);
    fixture_store64(&f, PT_SLOT, 0x60000 | 7);                  /* more rights need no invalidation */
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_OK);
    /* A fault drops the remembered translation (4.10.4.1), and the engine's with it. */
    fixture_store64(&f, PT_SLOT, 0x60000 | 5);
    tlb_invlpg(f.cpu, LINEAR);
    access_to(LINEAR, ACCESS_READ);
    generation = f.model->tlb.generation;
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_PAGE_FAULT);
    ck_assert_uint_gt(f.model->tlb.generation, generation);
    fixture_store64(&f, PT_SLOT, 0x61000 | 5);
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x61000);
}
END_TEST

START_TEST(the_first_write_sets_the_dirty_flag)
{
    uint64_t generation;

    paging();
    access_to(LINEAR, ACCESS_READ);
    generation = f.model->tlb.generation;
    access_to(LINEAR, ACCESS_WRITE);
    ck_assert(memory_read64(&f.model->memory, PT_SLOT) & 0x40);
    ck_assert_uint_eq(f.model->tlb.generation, generation);     /* replaced by its like: nobody need flush */
    /* Cleared without invalidation: a remembered dirty translation does not set it again (4.8). */
    fixture_store64(&f, PT_SLOT, 0x60000 | 7);
    access_to(LINEAR, ACCESS_WRITE);
    ck_assert(!(memory_read64(&f.model->memory, PT_SLOT) & 0x40));
}
END_TEST

START_TEST(rights_are_judged_by_the_present_registers)
{
    paging();
    fixture_store64(&f, PT_SLOT, 0x60000 | 0x60 | 5);
    f.cpu->cr0 &= ~CR0_WP;
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_OK);
    f.cpu->cr0 |= CR0_WP;                                       /* no flush needed */
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_PAGE_FAULT);
    ck_assert_int_eq(translate(f.cpu, LINEAR, (struct access){ .kind = ACCESS_READ, .user = true }).result, TRANSLATION_OK);
    f.cpu->cr4 |= CR4_SMAP;
    ck_assert_int_eq(access_to(LINEAR, ACCESS_READ).result, TRANSLATION_PAGE_FAULT);
}
END_TEST

START_TEST(probes_neither_use_nor_fill)
{
    struct access probe = { .kind = ACCESS_READ, .probe = true };

    paging();
    translate(f.cpu, LINEAR, probe);
    ck_assert_ptr_null(tlb_find(f.cpu, LINEAR));
    access_to(LINEAR, ACCESS_READ);
    fixture_store64(&f, PT_SLOT, 0x61000 | 7);
    ck_assert_uint_eq(translate(f.cpu, LINEAR, probe).pa, 0x61000);
}
END_TEST

START_TEST(policy_drop_remembers_nothing)
{
    paging();
    tlb_init(&f.model->tlb, TLB_DROP, 0);
    access_to(LINEAR, ACCESS_READ);
    fixture_store64(&f, PT_SLOT, 0x61000 | 7);
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x61000);
}
END_TEST

static unsigned stale_uses_with(uint64_t seed)
{
    unsigned stale = 0;

    tlb_init(&f.model->tlb, TLB_SEEDED, seed);
    for (unsigned i = 0; i < 64; i++) {
        fixture_store64(&f, PT_SLOT, 0x60000 | 7);
        access_to(LINEAR, ACCESS_READ);
        fixture_store64(&f, PT_SLOT, 0x61000 | 7);
        stale = stale * 3 + (access_to(LINEAR, ACCESS_READ).pa == 0x60000);
        tlb_invlpg(f.cpu, LINEAR);
    }
    return stale;
}

START_TEST(policy_seeded_repeats)
{
    unsigned first;

    paging();
    first = stale_uses_with(1);
    ck_assert_uint_eq(stale_uses_with(1), first);
    ck_assert_uint_ne(stale_uses_with(2), first);
    stale_uses_with(3);
    ck_assert_uint_gt(f.model->tlb.stale_uses, 5);
    ck_assert_uint_lt(f.model->tlb.stale_uses, 59);
}
END_TEST

/* ---- a missing INVEPT ---- */

#define EPT_LEAF(pa) ((uint64_t)(pa) | MEMORY_WB << 3 | EPT_RIGHTS)

static void two_stages(void)
{
    static struct vmcs without_controls;

    paging();
    fixture_store64(&f, FIXTURE_EPT + 0x1000, EPT_PD | EPT_RIGHTS);
    fixture_store64(&f, EPT_PD, EPT_PT | EPT_RIGHTS);
    for (uint64_t page = 0; page < 512; page++)
        fixture_store64(&f, EPT_PT + 8 * page, EPT_LEAF(page << 12));
    f.cpu->vmx.ept = f.cpu->vmx.non_root = true;
    f.cpu->vmx.current = &without_controls;
    f.cpu->vmx.eptp = FIXTURE_EPTP;
    access_to(LINEAR, ACCESS_WRITE);
    f.violations = 0;
}

START_TEST(ept_page_moved)
{
    two_stages();
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000));
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_uint_eq(f.violation_rule, RULE_ISOLATION);
    ck_assert_ptr_nonnull(strstr(f.violation, "INVEPT"));
    tlb_invept(f.cpu, FIXTURE_EPTP);
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x70000);
    ck_assert_uint_eq(f.violations, 1);
}
END_TEST

START_TEST(ept_rights_shrank)
{
    two_stages();
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x60000) & ~EPT_WRITE);
    ck_assert_int_eq(access_to(LINEAR, ACCESS_READ).result, TRANSLATION_OK);    /* even a read: the right is still held */
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_OK);
    ck_assert_uint_eq(f.violations, 2);
    fixture_store64(&f, EPT_PT + 8 * 0x60, 0);
    access_to(LINEAR, ACCESS_READ);
    ck_assert_uint_eq(f.violations, 3);
}
END_TEST

START_TEST(ept_rights_grew)
{
    two_stages();
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x60000) & ~EPT_EXECUTE);
    tlb_invept(f.cpu, FIXTURE_EPTP);
    access_to(LINEAR, ACCESS_WRITE);
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x60000));
    access_to(LINEAR, ACCESS_WRITE);
    ck_assert_uint_eq(f.violations, 0);
    ck_assert_int_eq(access_to(LINEAR, ACCESS_FETCH).result, TRANSLATION_OK);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 0);
}
END_TEST

START_TEST(stale_guest_paging_beneath_ept)
{
    two_stages();
    fixture_store64(&f, PT_SLOT, 0x61000 | 7);
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 1);
    ck_assert_uint_eq(f.violations, 0);
    fixture_store64(&f, EPT_PT + 8 * (PT >> 12), 0);            /* nor is it if its tables are out of reach */
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.violations, 0);
}
END_TEST

/* ---- guest-physical mappings ---- */

START_TEST(guest_physical_mappings_survive_guest_flushes)
{
    two_stages();
    f.cpu->cr0 &= ~CR0_PG;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    access_to(0x60000, ACCESS_READ);
    tlb_flush_all(f.cpu, false);
    tlb_invvpid_all(f.cpu);
    tlb_vmx_transition(f.cpu);
    ck_assert_ptr_nonnull(guest_physical_page(f.cpu, FIXTURE_EPTP, 0x60000));
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000));
    ck_assert_uint_eq(access_to(0x60000, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.violations, 1);
    tlb_invept_all(f.cpu);
    ck_assert_uint_eq(access_to(0x60000, ACCESS_READ).pa, 0x70000);
}
END_TEST

/* A VM exit and a VM entry without VPID, between which L0 changed EPT. */
static void transition(void)
{
    tlb_vmx_transition(f.cpu);
    tlb_vmx_transition(f.cpu);
}

START_TEST(ept_page_moved_across_transitions)
{
    two_stages();
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000) & ~EPT_WRITE);
    transition();
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_uint_eq(f.violation_rule, RULE_ISOLATION);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 1);
    tlb_invvpid_all(f.cpu);                                     /* INVVPID does not help */
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    tlb_invept(f.cpu, FIXTURE_EPTP);
    f.violations = 0;
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x70000);
    ck_assert_uint_eq(f.violations, 0);
}
END_TEST

/* What one linear address has brought into the cache serves another. */
START_TEST(ept_page_moved_is_seen_at_another_address)
{
    two_stages();
    fixture_store64(&f, PT_SLOT + 8, 0x60000 | 7);
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000));
    ck_assert_uint_eq(access_to(LINEAR + 0x1000, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.violations, 1);
}
END_TEST

START_TEST(detection_does_not_depend_on_the_policy)
{
    static const enum tlb_policy policies[] = { TLB_KEEP, TLB_DROP, TLB_SEEDED };

    for (unsigned i = 0; i < 3; i++) {
        for (unsigned vpid = 0; vpid < 2; vpid++) {
            tlb_init(&f.model->tlb, policies[i], 1);
            two_stages();
            f.cpu->vmx.vpid = (uint16_t)vpid;
            access_to(LINEAR, ACCESS_WRITE);
            fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000));
            transition();
            access_to(LINEAR, ACCESS_READ);
            ck_assert_uint_eq(f.violations, 1);
            if (policies[i] == TLB_DROP)
                ck_assert_uint_eq(f.model->tlb.stale_uses, 0);
            f.violations = 0;
        }
    }
}
END_TEST

/* A violation drops what would have been used for its address (29.4.3.1), so that L0 may then map what it likes there. */
START_TEST(a_violation_makes_invept_needless)
{
    two_stages();
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x60000) & ~EPT_WRITE);
    tlb_invept(f.cpu, FIXTURE_EPTP);
    access_to(LINEAR, ACCESS_READ);
    ck_assert_int_eq(access_to(LINEAR, ACCESS_WRITE).result, TRANSLATION_EPT_VIOLATION);
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000));  /* copy on write */
    transition();
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_WRITE).pa, 0x70000);
    ck_assert_uint_eq(f.violations, 0);
}
END_TEST

/* 29.4.3.1: what would be used to translate the address goes, of every level, page or table; nothing else does. */
START_TEST(a_violation_drops_every_level)
{
    const uint64_t gpa = 0x1234567890000, other = gpa ^ 1ull << 50;

    for (unsigned level = 1; level <= EPT_LEVELS_MAX; level++)
        for (unsigned leaf = 0; leaf < (level <= 3 ? 2 : 1); leaf++) {
            for (unsigned i = 0; i < 4; i++) {      /* of the address, of another one, of another EPT, of another processor */
                struct guest_physical mapping = { .valid = true, .leaf = leaf, .level = (uint8_t)level, .cpu = i == 3, .eptp = i == 2 ? EPTP2 : EPTP1,
                                                  .gpa = (i == 1 ? other : gpa) & ~(guest_physical_span(level) - 1) };
                guest_physical_insert(&f.model->cpu[mapping.cpu], &mapping);
            }
            guest_physical_drop(&f.model->cpu[0], EPTP1, gpa + 0x10);
            for (unsigned i = 0; i < 4; i++) {
                struct cpu *cpu = &f.model->cpu[i == 3];
                uint64_t eptp = i == 2 ? EPTP2 : EPTP1, address = i == 1 ? other : gpa;
                const struct guest_physical *found = leaf ? guest_physical_page(cpu, eptp, address) : guest_physical_table(cpu, eptp, address, level);

                ck_assert_msg((found != NULL) == (i != 0), "level %u, %s, %u", level, leaf ? "page" : "table", i);
            }
            guest_physical_init(&f.model->tlb.guest_physical);
        }
}
END_TEST

START_TEST(what_was_absent_may_appear)
{
    two_stages();
    fixture_store64(&f, EPT_PT + 8 * 0x60, 0);
    tlb_invept(f.cpu, FIXTURE_EPTP);
    ck_assert_int_eq(access_to(LINEAR, ACCESS_READ).result, TRANSLATION_EPT_VIOLATION);
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x70000));
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x70000);
    ck_assert_uint_eq(f.violations, 0);
}
END_TEST

/* Flags that software clears need no INVEPT for correctness; here they are set again. */
START_TEST(cleared_ept_flags_are_set_again)
{
    two_stages();
    tlb_invept(f.cpu, FIXTURE_EPTP);
    f.cpu->vmx.eptp = FIXTURE_EPTP | EPTP_ACCESSED_DIRTY;
    access_to(LINEAR, ACCESS_WRITE);
    ck_assert_uint_eq(memory_read64(&f.model->memory, EPT_PT + 8 * 0x60) & (EPT_ACCESSED | EPT_DIRTY), EPT_ACCESSED | EPT_DIRTY);
    fixture_store64(&f, EPT_PT + 8 * 0x60, EPT_LEAF(0x60000));
    transition();
    access_to(LINEAR, ACCESS_WRITE);
    ck_assert_uint_eq(memory_read64(&f.model->memory, EPT_PT + 8 * 0x60) & (EPT_ACCESSED | EPT_DIRTY), EPT_ACCESSED | EPT_DIRTY);
    ck_assert_uint_eq(f.violations, 0);
}
END_TEST

/* A large page is remembered as one: another part of it was never touched, and is stale all the same. Splitting it into what it
 * was is no change. */
START_TEST(a_large_ept_page_is_remembered_whole)
{
    two_stages();
    tlb_invept(f.cpu, FIXTURE_EPTP);
    fixture_store64(&f, EPT_PD, EPT_LARGE | EPT_LEAF(0));
    access_to(LINEAR, ACCESS_READ);
    fixture_store64(&f, EPT_PD, EPT_PT | EPT_RIGHTS);           /* page by page the same */
    fixture_store64(&f, PT_SLOT + 8, 0x62000 | 7);
    access_to(LINEAR + 0x1000, ACCESS_READ);
    ck_assert_uint_eq(f.violations, 0);
    tlb_invept(f.cpu, FIXTURE_EPTP);
    fixture_store64(&f, EPT_PD, EPT_LARGE | EPT_LEAF(0));
    access_to(LINEAR, ACCESS_READ);
    fixture_store64(&f, EPT_PT + 8 * 0x64, EPT_LEAF(0x70000));
    fixture_store64(&f, EPT_PD, EPT_PT | EPT_RIGHTS);
    fixture_store64(&f, PT_SLOT + 16, 0x64000 | 7);
    ck_assert_uint_eq(access_to(LINEAR + 0x2000, ACCESS_READ).pa, 0x64000);
    ck_assert_uint_eq(f.violations, 1);
}
END_TEST

/* A table of the EPT is replaced: a page that was never touched may still be reached through the old one. */
START_TEST(a_replaced_ept_table_is_seen)
{
    enum { OTHER_PT = 0x56000 };

    two_stages();
    for (uint64_t page = 0; page < 512; page++)
        fixture_store64(&f, OTHER_PT + 8 * page, page < 0x64 || page > 0x65 ? EPT_LEAF(page << 12) : EPT_LEAF(0x70000));
    fixture_store64(&f, EPT_PD, OTHER_PT | EPT_RIGHTS);
    fixture_store64(&f, PT_SLOT + 8, 0x66000 | 7);
    access_to(LINEAR + 0x1000, ACCESS_READ);                    /* both say the same of this one */
    ck_assert_uint_eq(f.violations, 0);
    two_stages();
    tlb_invept(f.cpu, FIXTURE_EPTP);
    access_to(LINEAR, ACCESS_READ);
    fixture_store64(&f, EPT_PD, OTHER_PT | EPT_RIGHTS);
    fixture_store64(&f, PT_SLOT + 8, 0x64000 | 7);
    access_to(LINEAR + 0x1000, ACCESS_READ);
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_ptr_nonnull(strstr(f.violation, "refers to a table"));
}
END_TEST

/* The same of an EPT that L1 made: nothing is translated by it, and no rule of L0's is broken. */
START_TEST(a_shadowed_ept_is_watched)
{
    enum { SHADOWED_EPT = 0x90000 };

    two_stages();
    tlb_invept(f.cpu, FIXTURE_EPTP);
    fixture_store64(&f, SHADOWED_EPT, (FIXTURE_EPT + 0x1000) | EPT_RIGHTS);
    fixture_store64(&f, SHADOWED_EPT + 0x1000, EPT_PD | EPT_RIGHTS);
    fixture_store64(&f, FIXTURE_EPT, (SHADOWED_EPT + 0x1000) | EPT_RIGHTS);     /* alike, of other tables */
    f.cpu->vmx.shadowed_eptp = SHADOWED_EPT | (FIXTURE_EPTP & ~PAGE_MASK);
    access_to(LINEAR, ACCESS_READ);
    fixture_store64(&f, SHADOWED_EPT, 0);
    ck_assert_uint_eq(access_to(LINEAR, ACCESS_READ).pa, 0x60000);
    ck_assert_uint_eq(f.violations, 0);
    ck_assert_uint_eq(f.mistakes, 1);
    access_to(LINEAR, ACCESS_READ);
    ck_assert_uint_eq(f.mistakes, 1);
    fixture_store64(&f, SHADOWED_EPT, (FIXTURE_EPT + 0x1000) | EPT_RIGHTS);
    access_to(LINEAR, ACCESS_READ);
    guest_physical_invept(f.cpu, f.cpu->vmx.shadowed_eptp);
    fixture_store64(&f, SHADOWED_EPT, 0);
    access_to(LINEAR, ACCESS_READ);
    ck_assert_uint_eq(f.mistakes, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tlb");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_are_remembered);
    tcase_add_test(tcase, all_are_listed);
    tcase_add_test(tcase, invlpg_scope);
    tcase_add_test(tcase, invlpg_beside_a_large_page);
    tcase_add_test(tcase, mov_to_cr3_scope);
    tcase_add_test(tcase, flush_pcid_with_globals);
    tcase_add_test(tcase, flush_all_scope);
    tcase_add_test(tcase, invpcid_address_scope);
    tcase_add_test(tcase, invept_scope);
    tcase_add_test(tcase, invept_all_scope);
    tcase_add_test(tcase, invvpid_scopes);
    tcase_add_test(tcase, invvpid_address_takes_globals);
    tcase_add_test(tcase, vmx_transition_scope);
    tcase_add_test(tcase, ept_violation_scope);
    tcase_add_test(tcase, reset_scope);
    tcase_add_test(tcase, every_invalidation_moves_the_generation);
    tcase_add_test(tcase, global_entries_serve_every_pcid);
    tcase_add_test(tcase, full_sets_displace);
    tcase_add_test(tcase, a_remembered_translation_is_used);
    tcase_add_test(tcase, no_denial_is_remembered);
    tcase_add_test(tcase, the_first_write_sets_the_dirty_flag);
    tcase_add_test(tcase, rights_are_judged_by_the_present_registers);
    tcase_add_test(tcase, probes_neither_use_nor_fill);
    tcase_add_test(tcase, policy_drop_remembers_nothing);
    tcase_add_test(tcase, policy_seeded_repeats);
    tcase_add_test(tcase, ept_page_moved);
    tcase_add_test(tcase, ept_rights_shrank);
    tcase_add_test(tcase, ept_rights_grew);
    tcase_add_test(tcase, stale_guest_paging_beneath_ept);
    tcase_add_test(tcase, ept_page_moved_across_transitions);
    tcase_add_test(tcase, ept_page_moved_is_seen_at_another_address);
    tcase_add_test(tcase, detection_does_not_depend_on_the_policy);
    tcase_add_test(tcase, a_violation_makes_invept_needless);
    tcase_add_test(tcase, a_violation_drops_every_level);
    tcase_add_test(tcase, what_was_absent_may_appear);
    tcase_add_test(tcase, cleared_ept_flags_are_set_again);
    tcase_add_test(tcase, a_large_ept_page_is_remembered_whole);
    tcase_add_test(tcase, a_replaced_ept_table_is_seen);
    tcase_add_test(tcase, a_shadowed_ept_is_watched);
    tcase_add_test(tcase, guest_physical_mappings_survive_guest_flushes);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
