/* SPDX-License-Identifier: MIT */
/* Control registers: what faults, mode switches, PDPTE loads, invalidations, guest/host masks. */
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open_bare(&f, 1);
}

static void teardown(void)
{
    fixture_close(&f);
}

/* 32-bit protected mode without paging. */
static void protected_mode(void)
{
    f.cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    f.cpu->cr4 = 0;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
}

static void refuse0(uint64_t value)
{
    uint64_t before = f.cpu->cr0;

    ck_assert_msg(!cr0_write(f.cpu, value), "CR0 = %llx", (unsigned long long)value);
    ck_assert_uint_eq(f.cpu->cr0, before);
}

static void refuse4(uint64_t value)
{
    uint64_t before = f.cpu->cr4;

    ck_assert_msg(!cr4_write(f.cpu, value), "CR4 = %llx", (unsigned long long)value);
    ck_assert_uint_eq(f.cpu->cr4, before);
}

START_TEST(cr0_values)
{
    protected_mode();
    refuse0(1ull << 32 | CR0_PE);
    refuse0(CR0_PG);
    refuse0(CR0_PE | CR0_NW);
    ck_assert(cr0_write(f.cpu, CR0_PE | CR0_NW | CR0_CD | 1ull << 28));
    ck_assert_uint_eq(f.cpu->cr0, CR0_PE | CR0_NW | CR0_CD | CR0_ET);   /* ET is 1, what is reserved stays 0 */
    ck_assert(cr0_write(f.cpu, 0));
    ck_assert_uint_eq(f.cpu->cr0, CR0_ET);
}
END_TEST

START_TEST(into_long_mode_and_out)
{
    protected_mode();
    CPU_MSR(f.cpu, ia32_efer) = EFER_LME;
    refuse0(CR0_PE | CR0_PG);                                           /* needs PAE */
    f.cpu->cr4 = CR4_PAE;
    f.cpu->seg[SEG_CS].access_rights |= AR_L;
    refuse0(CR0_PE | CR0_PG);
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    f.cpu->seg[SEG_TR].access_rights = 0x83;                            /* a 16-bit TSS */
    refuse0(CR0_PE | CR0_PG);
    f.cpu->seg[SEG_TR].access_rights = 0x8b;
    ck_assert(cr0_write(f.cpu, CR0_PE | CR0_PG));
    ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_efer), EFER_LME | EFER_LMA);
    refuse4(0);                                                         /* PAE stays */
    f.cpu->seg[SEG_CS].access_rights |= AR_L;
    refuse0(CR0_PE);                                                    /* not from 64-bit mode */
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    f.cpu->cr4 |= CR4_PCIDE;
    refuse0(CR0_PE);
    f.cpu->cr4 &= ~CR4_PCIDE;
    ck_assert(cr0_write(f.cpu, CR0_PE));
    ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_efer), EFER_LME);
}
END_TEST

START_TEST(cr4_values)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(cr4_allowed(f.cpu) >> bit & 1))
            refuse4(f.cpu->cr4 | 1ull << bit);
    }
    ck_assert(cr4_write(f.cpu, CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_OSFXSR));
    f.cpu->cr3 |= 1;
    refuse4(CR4_PAE | CR4_PCIDE);
    f.cpu->cr3 &= ~CR3_PCID;
    ck_assert(cr4_write(f.cpu, CR4_PAE | CR4_PCIDE));
    f.cpu->cr3 |= 1;
    ck_assert(cr4_write(f.cpu, CR4_PAE | CR4_PCIDE | CR4_PGE));         /* only setting it asks for PCID 0 */
    protected_mode();
    refuse4(CR4_PCIDE);
}
END_TEST

START_TEST(control_flow_enforcement_needs_write_protection)
{
    f.cpu->cr0 &= ~CR0_WP;
    refuse4(f.cpu->cr4 | CR4_CET);
    f.cpu->cr0 |= CR0_WP;
    ck_assert(cr4_write(f.cpu, f.cpu->cr4 | CR4_CET));
    refuse0(f.cpu->cr0 & ~CR0_WP);
}
END_TEST

START_TEST(cr3_values)
{
    ck_assert_int_eq(cr3_write(f.cpu, 1ull << 40), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    f.cpu->event.valid = false;
    ck_assert_int_eq(cr3_write(f.cpu, 1ull << 63 | FIXTURE_CR3), STATUS_EVENT);
    f.cpu->event.valid = false;
    ck_assert_uint_eq(f.cpu->cr3, FIXTURE_CR3);
    f.cpu->cr4 |= CR4_PCIDE;
    ck_assert_int_eq(cr3_write(f.cpu, 1ull << 63 | FIXTURE_CR3 | 5), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr3, FIXTURE_CR3 | 5);
    protected_mode();
    ck_assert_int_eq(cr3_write(f.cpu, 0xf00000000 | FIXTURE_CR3), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr3, FIXTURE_CR3);
}
END_TEST

START_TEST(pdptes_are_loaded)
{
    protected_mode();
    f.cpu->cr4 = CR4_PAE;
    f.cpu->cr3 = FIXTURE_PDPTES;
    fixture_store64(&f, FIXTURE_PDPTES + 32, 3);                        /* there are four */
    ck_assert(cr0_write(f.cpu, CR0_PE | CR0_PG));
    ck_assert_uint_eq(f.cpu->pdpte[2], (FIXTURE_PDPTES + 0x1000) | 1);
    fixture_store64(&f, FIXTURE_PDPTES, 3);                             /* reserved bit 1 */
    ck_assert_int_eq(cr3_write(f.cpu, FIXTURE_PDPTES), STATUS_EVENT);
    f.cpu->event.valid = false;
    ck_assert(cr0_write(f.cpu, CR0_PE | CR0_PG | CR0_WP));              /* WP reads none */
    refuse0(CR0_PE | CR0_PG | CR0_CD);
    ck_assert(cr4_write(f.cpu, CR4_PAE | CR4_TSD));
    refuse4(CR4_PAE | CR4_PGE);
    refuse4(CR4_PAE | CR4_PSE);
    refuse4(CR4_PAE | CR4_SMEP);
    fixture_store64(&f, FIXTURE_PDPTES, 0);
    ck_assert(cr4_write(f.cpu, CR4_PAE | CR4_SMEP));
    ck_assert_uint_eq(f.cpu->pdpte[0], 0);
}
END_TEST

/* 4.4.1: MOV to CR0 and CR4 read the PDPTEs where PAE paging is in use afterwards and one of these bits changes. _i: PAE, LME, PG before. */
START_TEST(which_loads_read_the_pdptes)
{
    static const uint64_t cr0_bits[] = { CR0_CD, CR0_NW | CR0_CD, CR0_PG, CR0_WP, CR0_TS, CR0_AM, CR0_MP, CR0_EM };
    static const uint64_t cr4_bits[] = { CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMEP, CR4_TSD, CR4_DE, CR4_OSFXSR, CR4_SMAP, CR4_UMIP, CR4_MCE };
    const bool pae = _i & 1, lme = _i & 2, pg = _i & 4;

    if (lme && pg && !pae)
        return;                 /* no such state */
    for (unsigned i = 0; i < sizeof cr0_bits / sizeof cr0_bits[0] + sizeof cr4_bits / sizeof cr4_bits[0]; i++) {
        bool is0 = i < sizeof cr0_bits / sizeof cr0_bits[0], reads, done;
        uint64_t bits = is0 ? cr0_bits[i] : cr4_bits[i - sizeof cr0_bits / sizeof cr0_bits[0]], after0, after4;

        teardown();
        setup();
        protected_mode();
        f.cpu->cr3 = FIXTURE_PDPTES;
        f.cpu->cr0 |= pg ? CR0_PG : 0;
        f.cpu->cr4 = pae ? CR4_PAE : 0;
        CPU_MSR(f.cpu, ia32_efer) = (lme ? EFER_LME : 0) | (lme && pg ? EFER_LMA : 0);
        after0 = f.cpu->cr0 ^ (is0 ? bits : 0);
        after4 = f.cpu->cr4 ^ (is0 ? 0 : bits);
        if (lme && ((bits == CR0_PG && is0) || (bits == CR4_PAE && !is0)))
            continue;           /* refused, or into IA-32e mode: other tests */
        fixture_store64(&f, FIXTURE_PDPTES + 8, 3);                     /* present, with reserved bit 1 */
        reads = (after0 & CR0_PG) && (after4 & CR4_PAE) && !lme &&
                (is0 ? (bits & (CR0_CD | CR0_NW | CR0_PG)) : (bits & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)));
        done = is0 ? cr0_write(f.cpu, after0) : cr4_write(f.cpu, after4);
        ck_assert_msg(done == !reads, "CR%d bits %lx with PAE %d, LME %d, PG %d", is0 ? 0 : 4, (unsigned long)bits, pae, lme, pg);
    }
}
END_TEST

START_TEST(vmx_operation_fixes_bits)
{
    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VMX_SUCCEED);
    refuse0(FIXTURE_CR0 & ~CR0_NE);
    refuse0(FIXTURE_CR0 & ~(CR0_PG | CR0_PE));
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    refuse0(FIXTURE_CR0 & ~CR0_PG);
    refuse4(FIXTURE_CR4 & ~CR4_VMXE);
    ck_assert(cr0_write(f.cpu, FIXTURE_CR0 | CR0_TS));
}
END_TEST

START_TEST(unrestricted_guests_need_neither_pe_nor_pg)
{
    struct vmcs *v;

    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VMX_SUCCEED);
    v = fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept | PROC2_unrestricted_guest;
    fixture_enter(&f);
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    refuse0((FIXTURE_CR0 & ~CR0_PG) & ~CR0_NE);
    ck_assert(cr0_write(f.cpu, FIXTURE_CR0 & ~CR0_PG));
    ck_assert(cr0_write(f.cpu, CR0_NE));
}
END_TEST

/* ---- what is invalidated ---- */

static void remember(uint64_t linear, uint16_t pcid, bool global)
{
    struct mapping mapping = { .global = global, .page_size = 4096 };
    uint64_t cr3 = f.cpu->cr3;

    f.cpu->cr3 = (cr3 & ~CR3_PCID) | pcid;
    tlb_insert(f.cpu, linear, &mapping, &(struct trail){ .count = 0 });
    f.cpu->cr3 = cr3;
}

static bool remembered(uint64_t linear, uint16_t pcid)
{
    uint64_t cr3 = f.cpu->cr3, cr4 = f.cpu->cr4, cr0 = f.cpu->cr0;
    bool there;

    f.cpu->cr3 = (cr3 & ~CR3_PCID) | pcid;
    f.cpu->cr4 |= CR4_PCIDE;
    f.cpu->cr0 |= CR0_PG;
    there = tlb_find(f.cpu, linear);
    f.cpu->cr3 = cr3;
    f.cpu->cr4 = cr4;
    f.cpu->cr0 = cr0;
    return there;
}

enum { MINE = 0x1000, OTHERS = 0x2000, GLOBAL = 0x3000 };

static void remember_three(void)
{
    tlb_init(&f.model->tlb, TLB_KEEP, 0);
    f.cpu->cr4 |= CR4_PCIDE | CR4_PGE;
    f.cpu->cr3 = FIXTURE_CR3 | 1;
    remember(MINE, 1, false);
    remember(OTHERS, 2, false);
    remember(GLOBAL, 2, true);
}

static unsigned left(void)
{
    return remembered(MINE, 1) | remembered(OTHERS, 2) << 1 | remembered(GLOBAL, 2) << 2;
}

START_TEST(invalidation_by_cr3)
{
    remember_three();
    ck_assert_uint_eq(left(), 7);
    cr3_write(f.cpu, FIXTURE_CR3 | 1 | CR3_NO_FLUSH);
    ck_assert_uint_eq(left(), 7);
    cr3_write(f.cpu, FIXTURE_CR3 | 2);                  /* the new PCID's */
    ck_assert_uint_eq(left(), 5);
    remember_three();
    cr3_write(f.cpu, FIXTURE_CR3 | 1);
    ck_assert_uint_eq(left(), 6);
}
END_TEST

START_TEST(invalidation_by_cr4)
{
    remember_three();
    ck_assert(cr4_write(f.cpu, f.cpu->cr4 | CR4_SMEP));
    ck_assert_uint_eq(left(), 2);
    remember_three();
    ck_assert(cr4_write(f.cpu, f.cpu->cr4 & ~CR4_SMEP));        /* 1 to 0 invalidates nothing */
    ck_assert(cr4_write(f.cpu, f.cpu->cr4 | CR4_SMAP));
    ck_assert_uint_eq(left(), 7);
    ck_assert(cr4_write(f.cpu, f.cpu->cr4 & ~CR4_PGE));
    ck_assert_uint_eq(left(), 0);
    remember_three();
    ck_assert(cr4_write(f.cpu, f.cpu->cr4 & ~CR4_PCIDE));
    ck_assert_uint_eq(left(), 0);
}
END_TEST

START_TEST(invalidation_by_cr0)
{
    remember_three();
    ck_assert(cr0_write(f.cpu, f.cpu->cr0 ^ CR0_WP));
    ck_assert_uint_eq(left(), 7);
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    f.cpu->cr4 &= ~CR4_PCIDE;
    ck_assert(cr0_write(f.cpu, f.cpu->cr0 & ~CR0_PG));
    ck_assert_uint_eq(left(), 0);
}
END_TEST

/* ---- non-root operation ---- */

static struct vmcs *guest(uint64_t cr0_mask, uint64_t cr0_shadow, uint64_t cr4_mask, uint64_t cr4_shadow)
{
    struct vmcs *v;

    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VMX_SUCCEED);
    v = fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
    VMCS(v, processor_based_controls) &= ~(uint64_t)(PROC_cr3_load_exiting | PROC_cr3_store_exiting);
    VMCS(v, cr0_guest_host_mask) = cr0_mask;
    VMCS(v, cr0_read_shadow) = cr0_shadow;
    VMCS(v, cr4_guest_host_mask) = cr4_mask;
    VMCS(v, cr4_read_shadow) = cr4_shadow;
    fixture_enter(&f);
    return v;
}

static enum status run(enum insn_id id, uint8_t reg, uint8_t rm)
{
    struct insn insn = { .id = id, .length = 3, .operand_size = 8, .address_size = 8, .kind = OPERAND_REGISTER,
                         .reg = reg, .rm = rm, .base = NO_REGISTER, .index = NO_REGISTER };

    return execute(f.cpu, &insn);
}

START_TEST(read_shadows)
{
    guest(CR0_TS | CR0_PE, CR0_TS, CR4_VMXE, 0);
    ck_assert_uint_eq(cr0_visible(f.cpu), (FIXTURE_CR0 & ~CR0_PE) | CR0_TS);
    ck_assert_uint_eq(cr4_visible(f.cpu), FIXTURE_CR4 & ~CR4_VMXE);
    ck_assert_int_eq(run(INSN_mov_from_cr, 4, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RBX], FIXTURE_CR4 & ~CR4_VMXE);
    ck_assert_int_eq(run(INSN_smsw, 0, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RBX], (FIXTURE_CR0 & ~CR0_PE) | CR0_TS);
}
END_TEST

START_TEST(owned_bits_are_kept)
{
    struct vmcs *v = guest(CR0_NE | CR0_TS, 0, CR4_VMXE, 0);

    f.cpu->gpr[RBX] = FIXTURE_CR0 & ~(CR0_NE | CR0_WP);         /* agrees with the shadow in what is masked */
    ck_assert_int_eq(run(INSN_mov_to_cr, 0, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr0, FIXTURE_CR0 & ~CR0_WP);
    f.cpu->gpr[RBX] = CR4_PAE | CR4_SMEP;
    ck_assert_int_eq(run(INSN_mov_to_cr, 4, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr4, CR4_PAE | CR4_SMEP | CR4_VMXE);
    f.cpu->cr0 |= CR0_TS;
    ck_assert_int_eq(run(INSN_clts, 0, 0), STATUS_OK);          /* owned, shadow 0: nothing happens */
    ck_assert_uint_eq(f.cpu->cr0 & CR0_TS, CR0_TS);
    f.cpu->gpr[RBX] = CR0_PE | CR0_MP;
    ck_assert_int_eq(run(INSN_lmsw, 0, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr0 & 0xf, CR0_PE | CR0_MP | CR0_TS);
    f.cpu->gpr[RBX] = CR4_PAE | CR4_VMXE;                       /* differs from the shadow */
    ck_assert_int_eq(run(INSN_mov_to_cr, 4, RBX), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_cr_access);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 4 | RBX << 8);
    ck_assert_uint_eq(VMCS(v, exit_instruction_length), 3);
}
END_TEST

START_TEST(an_exit_comes_before_the_fault)
{
    struct vmcs *v = guest(0, 0, 0, 0);

    f.cpu->gpr[RBX] = CR4_PAE | CR4_VMXE | CR4_LA57;
    ck_assert_int_eq(run(INSN_mov_to_cr, 4, RBX), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    f.cpu->event.valid = false;
    VMCS(v, cr4_guest_host_mask) = CR4_LA57;
    ck_assert_int_eq(run(INSN_mov_to_cr, 4, RBX), STATUS_VM_EXIT);
}
END_TEST

/* ---- the instructions outside VMX ---- */

START_TEST(instructions)
{
    f.cpu->gpr[RBX] = FIXTURE_CR0 | CR0_TS | CR0_EM;
    ck_assert_int_eq(run(INSN_mov_to_cr, 0, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP + 3);
    ck_assert_int_eq(run(INSN_clts, 0, 0), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr0, FIXTURE_CR0 | CR0_EM);
    f.cpu->gpr[RBX] = CR0_MP | 0xfff0;
    ck_assert_int_eq(run(INSN_lmsw, 0, RBX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->cr0, FIXTURE_CR0 | CR0_MP);        /* PE stays, the upper bits are not loaded */
    f.cpu->gpr[RBX] = 1ull << 32;
    ck_assert_int_eq(run(INSN_mov_to_cr, 0, RBX), STATUS_EVENT);
    f.cpu->event.valid = false;
    f.cpu->gpr[RBX] = 9;
    ck_assert_int_eq(run(INSN_mov_to_cr, 8, RBX), STATUS_OK);
    ck_assert_int_eq(run(INSN_mov_from_cr, 8, RCX), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 9);
    f.cpu->gpr[RBX] = 16;
    ck_assert_int_eq(run(INSN_mov_to_cr, 8, RBX), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    f.cpu->event.valid = false;
    ck_assert_int_eq(run(INSN_mov_from_cr, 5, RCX), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_UD);
    f.cpu->event.valid = false;
    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;
    ck_assert_int_eq(run(INSN_mov_from_cr, 0, RCX), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cr");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, cr0_values);
    tcase_add_test(tcase, into_long_mode_and_out);
    tcase_add_test(tcase, cr4_values);
    tcase_add_test(tcase, cr3_values);
    tcase_add_test(tcase, control_flow_enforcement_needs_write_protection);
    tcase_add_test(tcase, pdptes_are_loaded);
    tcase_add_loop_test(tcase, which_loads_read_the_pdptes, 0, 8);
    tcase_add_test(tcase, vmx_operation_fixes_bits);
    tcase_add_test(tcase, unrestricted_guests_need_neither_pe_nor_pg);
    tcase_add_test(tcase, invalidation_by_cr3);
    tcase_add_test(tcase, invalidation_by_cr4);
    tcase_add_test(tcase, invalidation_by_cr0);
    tcase_add_test(tcase, read_shadows);
    tcase_add_test(tcase, owned_bits_are_kept);
    tcase_add_test(tcase, an_exit_comes_before_the_fault);
    tcase_add_test(tcase, instructions);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
