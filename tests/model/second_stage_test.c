/* SPDX-License-Identifier: MIT */
/*
 * What hangs on the second stage: mode-based execute control, page-modification logging, virtualization exceptions,
 * EPTP switching, and five levels of either kind of paging. SDM Vol. 3, 26.5.6, 26.5.7, 28.2.1, 29.3, 4.5.
 */
#include "model/cpu/walk.h"
#include "model/ept/ept.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

/* An EPT of 4-KByte pages for the 2 MB of RAM, each at its own address, and a root above it for walks of length 5. */
enum { ROOT = 0x50000, EPT3 = 0x51000, EPT2 = 0x52000, EPT1 = 0x53000, ROOT5 = 0x54000 };
enum { LOG = 0x56000, AREA = 0x57000, LIST = 0x58000, PML5 = 0x59000 };
#define EPTP (ROOT | 3 << 3 | MEMORY_WB)
#define EPTP5 (ROOT5 | 4 << 3 | MEMORY_WB)
#define PAGE 0x60000ull
#define SLOT(gpa) (EPT1 + ((gpa) >> 12) * 8)
#define GUEST_LARGE_PAGE (FIXTURE_CR3 + 0x1000)         /* the guest's one page: 1 GB, user, writable */

static struct vmx_fixture f;
static struct vmcs *v;

static void setup(void)
{
    fixture_open(&f);
    v = f.cpu->vmx.current;
    f.model->capability.ept_vpid &= ~CAPABILITY_EPT_EXIT_INFORMATION;      /* advanced_information() has it */
    fixture_store64(&f, ROOT5, ROOT | EPT_RIGHTS);
    fixture_store64(&f, ROOT, EPT3 | EPT_RIGHTS | EPT_USER_EXECUTE);
    fixture_store64(&f, EPT3, EPT2 | EPT_RIGHTS | EPT_USER_EXECUTE);
    fixture_store64(&f, EPT2, EPT1 | EPT_RIGHTS | EPT_USER_EXECUTE);
    for (uint64_t page = 0; page < 512; page++)
        fixture_store64(&f, EPT1 + 8 * page, page << 12 | MEMORY_WB << 3 | EPT_RIGHTS);
    VMCS(v, ept_pointer) = EPTP;
}

static void teardown(void)
{
    fixture_close(&f);
}

static uint64_t entry(uint64_t pa)
{
    return memory_read64(&f.model->memory, pa);
}

/* The page's entry with these rights and other bits. */
static void page_entry(uint64_t bits)
{
    fixture_store64(&f, SLOT(PAGE), PAGE | MEMORY_WB << 3 | bits);
}

static void enter(uint32_t proc2)
{
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept | proc2;
    fixture_enter(&f);
}

static struct translation touch(enum access_kind kind)
{
    return translate(f.cpu, PAGE + 0x123, (struct access){ .kind = kind });
}

static void expect_violation(enum access_kind kind, uint64_t qualification)
{
    struct translation t = touch(kind);

    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.qualification, qualification);
}

static void guest_page_is_supervisor(void)
{
    fixture_store64(&f, GUEST_LARGE_PAGE, entry(GUEST_LARGE_PAGE) & ~4ull);
}

/* ---- mode-based execute control ---- */

START_TEST(user_mode_addresses_have_their_own_right)
{
    page_entry(EPT_READ | EPT_USER_EXECUTE);
    enter(PROC2_mode_based_execute_control);
    ck_assert_int_eq(touch(ACCESS_FETCH).result, TRANSLATION_OK);
    ck_assert_uint_eq(touch(ACCESS_READ).rights, RIGHT_READ | RIGHT_EXECUTE);
    expect_violation(ACCESS_WRITE, 0x1ca);
    page_entry(EPT_READ | EPT_EXECUTE);
    tlb_reset(f.cpu);
    expect_violation(ACCESS_FETCH, 0x1ac);
}
END_TEST

START_TEST(supervisor_mode_addresses_keep_bit_2)
{
    guest_page_is_supervisor();
    page_entry(EPT_READ | EPT_USER_EXECUTE);
    enter(PROC2_mode_based_execute_control);
    expect_violation(ACCESS_FETCH, 0x1cc);
    page_entry(EPT_READ | EPT_EXECUTE);
    ck_assert_int_eq(touch(ACCESS_FETCH).result, TRANSLATION_OK);
}
END_TEST

START_TEST(all_levels_take_part_in_the_user_right)
{
    static const uint64_t tables[] = { ROOT, EPT3, EPT2 };

    page_entry(EPT_RIGHTS | EPT_USER_EXECUTE);
    fixture_store64(&f, tables[_i], entry(tables[_i]) & ~EPT_USER_EXECUTE);
    enter(PROC2_mode_based_execute_control);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    expect_violation(ACCESS_FETCH, 0x1bc);
    fixture_store64(&f, tables[_i], entry(tables[_i]) | EPT_USER_EXECUTE);
    ck_assert_int_eq(touch(ACCESS_FETCH).result, TRANSLATION_OK);
}
END_TEST

/* Bit 10 alone makes an entry present with the control, and is ignored without. */
START_TEST(user_execute_only)
{
    page_entry(EPT_USER_EXECUTE);
    if (_i)
        f.model->capability.ept_vpid &= ~1ull;                          /* no execute-only translations */
    enter(PROC2_mode_based_execute_control);
    ck_assert_int_eq(touch(ACCESS_FETCH).result, _i ? TRANSLATION_EPT_MISCONFIGURATION : TRANSLATION_OK);
    if (!_i)
        expect_violation(ACCESS_READ, 0x1c1);
}
END_TEST

START_TEST(bit_10_is_ignored_without_the_control)
{
    page_entry(EPT_USER_EXECUTE);
    enter(0);
    expect_violation(ACCESS_FETCH, 0x184);
    page_entry(EPT_READ | EPT_USER_EXECUTE);
    expect_violation(ACCESS_FETCH, 0x18c);
}
END_TEST

/* ---- advanced information ---- */

START_TEST(advanced_information)
{
    static const struct {
        uint64_t clear, set, bits;
    } rows[] = { { 0, 0, 0x600 }, { 4, 0, 0x400 }, { 2, 0, 0x200 }, { 0, 1ull << 63, 0xe00 } };

    f.model->capability.ept_vpid |= CAPABILITY_EPT_EXIT_INFORMATION;
    VMCS(v, guest_ia32_efer) |= EFER_NXE;
    page_entry(0);
    fixture_store64(&f, GUEST_LARGE_PAGE, (entry(GUEST_LARGE_PAGE) & ~rows[_i].clear) | rows[_i].set);
    enter(0);
    expect_violation(ACCESS_READ, 0x181 | rows[_i].bits);
    tlb_reset(f.cpu);
    fixture_store64(&f, SLOT(FIXTURE_CR3), 0);                          /* a violation by the page walk has none */
    expect_violation(ACCESS_READ, 0x81);
}
END_TEST

START_TEST(advanced_information_without_paging)
{
    struct ept_translation t;

    f.model->capability.ept_vpid |= CAPABILITY_EPT_EXIT_INFORMATION;
    page_entry(0);
    VMCS(v, guest_cr0) = CR0_PE | CR0_NE | CR0_ET;
    VMCS(v, entry_controls) &= ~(uint64_t)ENTRY_ia32e_mode_guest;
    VMCS(v, guest_ia32_efer) = 0;
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    enter(PROC2_unrestricted_guest);
    expect_violation(ACCESS_WRITE, 0x782);
    t = ept_walk(f.cpu, EPTP, PAGE, (struct ept_access){ .kind = ACCESS_READ, .page = EPT_VIOLATION_USER_PAGE });
    ck_assert_uint_eq(t.qualification, 1);                              /* no linear address: neither have they meaning */
}
END_TEST

/* ---- page-modification logging ---- */

static void enter_with_log(uint64_t index)
{
    VMCS(v, ept_pointer) |= EPTP_ACCESSED_DIRTY;
    VMCS(v, pml_address) = LOG;
    VMCS(v, pml_index) = index;
    enter(PROC2_enable_pml);
}

START_TEST(writes_are_logged_once)
{
    enter_with_log(511);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    /* The guest's two paging-structure pages became dirty, the root first; the page itself only accessed. */
    ck_assert_uint_eq(VMCS(v, pml_index), 509);
    ck_assert_uint_eq(entry(LOG + 511 * 8), FIXTURE_CR3);
    ck_assert_uint_eq(entry(LOG + 510 * 8), FIXTURE_CR3 + 0x1000);
    ck_assert(!(entry(SLOT(PAGE)) & EPT_DIRTY));
    ck_assert_int_eq(touch(ACCESS_WRITE).result, TRANSLATION_OK);
    ck_assert_uint_eq(entry(LOG + 509 * 8), PAGE);
    tlb_reset(f.cpu);
    ck_assert_int_eq(touch(ACCESS_WRITE).result, TRANSLATION_OK);
    ck_assert_uint_eq(VMCS(v, pml_index), 508);
}
END_TEST

/* Dirty flags without "enable PML", whatever other controls are 1: 29.3.6. */
START_TEST(nothing_is_logged_without_the_control)
{
    VMCS(v, ept_pointer) |= EPTP_ACCESSED_DIRTY;
    VMCS(v, pml_address) = LOG;
    VMCS(v, pml_index) = 511;
    enter(PROC2_enable_rdtscp | PROC2_enable_invpcid);
    ck_assert_int_eq(touch(ACCESS_WRITE).result, TRANSLATION_OK);
    ck_assert(entry(SLOT(PAGE)) & EPT_DIRTY);
    ck_assert_uint_eq(VMCS(v, pml_index), 511);
    ck_assert_uint_eq(entry(LOG + 511 * 8), 0);
}
END_TEST

START_TEST(probes_are_not_logged)
{
    enter_with_log(511);
    translate(f.cpu, PAGE, (struct access){ .kind = ACCESS_WRITE, .probe = true });
    ck_assert_uint_eq(VMCS(v, pml_index), 511);
    ck_assert(!(entry(SLOT(PAGE)) & (EPT_ACCESSED | EPT_DIRTY)));
}
END_TEST

START_TEST(index_wraps_and_then_the_log_is_full)
{
    struct translation t;

    page_entry(EPT_RIGHTS | EPT_ACCESSED);
    enter_with_log(1);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    ck_assert_uint_eq(VMCS(v, pml_index), 0xffff);
    t = touch(ACCESS_WRITE);
    ck_assert_int_eq(t.result, TRANSLATION_PML_FULL);
    ck_assert(!(entry(SLOT(PAGE)) & EPT_DIRTY));
    ck_assert_int_eq(translation_fault(f.cpu, PAGE, &t, false), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_page_modification_log_full);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 0);
}
END_TEST

/* Even an accessed flag alone is not set while the index is out of range. */
START_TEST(a_full_log_stops_accessed_flags_too)
{
    enter_with_log(512);
    for (uint64_t gpa = FIXTURE_CR3; gpa <= FIXTURE_CR3 + 0x1000; gpa += PAGE_SIZE)
        fixture_store64(&f, SLOT(gpa), entry(SLOT(gpa)) | EPT_ACCESSED | EPT_DIRTY);
    for (uint64_t pa = ROOT; pa <= EPT2; pa += PAGE_SIZE)
        fixture_store64(&f, pa, entry(pa) | EPT_ACCESSED);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_PML_FULL);
    ck_assert(!(entry(SLOT(PAGE)) & EPT_ACCESSED));
    page_entry(EPT_RIGHTS | EPT_ACCESSED);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);        /* nothing to set: nobody looks at the index */
}
END_TEST

/* ---- virtualization exceptions ---- */

static enum status violate(void)
{
    struct translation t = touch(ACCESS_WRITE);

    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    return translation_fault(f.cpu, PAGE + 0x123, &t, false);
}

static void enter_with_exceptions(uint64_t page_bits)
{
    page_entry(page_bits);
    VMCS(v, virtualization_exception_address) = AREA;
    VMCS(v, eptp_index) = 0x1234;
    enter(PROC2_ept_violation_ve);
}

START_TEST(a_violation_becomes_an_exception)
{
    enter_with_exceptions(EPT_READ);
    ck_assert_int_eq(violate(), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_VE);
    ck_assert_uint_eq(f.cpu->event.type, EVENT_HARDWARE_EXCEPTION);
    ck_assert(!f.cpu->event.has_error_code);
    ck_assert_uint_eq(entry(AREA), 0xffffffff00000000ull | EXIT_REASON_ept_violation);
    ck_assert_uint_eq(entry(AREA + 8), 0x18a);
    ck_assert_uint_eq(entry(AREA + 16), PAGE + 0x123);
    ck_assert_uint_eq(entry(AREA + 24), PAGE + 0x123);
    ck_assert_uint_eq(entry(AREA + 32), 0x1234);
    ck_assert_uint_eq(f.exits, 0);
    f.cpu->event.valid = false;                                         /* delivered; the area is in use now */
    ck_assert_int_eq(violate(), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_ept_violation);
}
END_TEST

/* Bit 63 of the entry that is not present, or of the one that maps the page; of no other. */
START_TEST(which_entry_suppresses)
{
    static const struct {
        uint64_t where, value;
        bool exits;
    } rows[] = {
        { SLOT(PAGE), EPT_SUPPRESS_VE, true },
        { SLOT(PAGE), PAGE | MEMORY_WB << 3 | EPT_READ | EPT_SUPPRESS_VE, true },
        { EPT2, EPT_SUPPRESS_VE, true },
        { EPT2, EPT1 | EPT_READ | EPT_SUPPRESS_VE, false },
        { ROOT, 0, false },
    };
    struct ept_translation t;

    enter_with_exceptions(EPT_RIGHTS);
    fixture_store64(&f, rows[_i].where, rows[_i].value);
    t = ept_walk(f.cpu, EPTP, PAGE, (struct ept_access){ .kind = ACCESS_WRITE, .linear_valid = true });
    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_int_eq(t.convertible, !rows[_i].exits);
}
END_TEST

START_TEST(suppressed_violations_exit)
{
    enter_with_exceptions(EPT_READ | EPT_SUPPRESS_VE);
    ck_assert_int_eq(violate(), STATUS_VM_EXIT);
    ck_assert_uint_eq(entry(AREA), 0);
}
END_TEST

START_TEST(no_exception_during_delivery)
{
    enter_with_exceptions(EPT_READ);
    f.cpu->event = (struct event){ .valid = true, .vector = 0x40, .type = EVENT_EXTERNAL_INTERRUPT };
    ck_assert_int_eq(violate(), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_ept_violation);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_information), 1u << 31 | 0x40);
}
END_TEST

START_TEST(no_exception_without_the_control)
{
    page_entry(EPT_READ);
    VMCS(v, virtualization_exception_address) = AREA;
    enter(0);
    ck_assert_int_eq(violate(), STATUS_VM_EXIT);
}
END_TEST

START_TEST(the_exception_bitmap_can_intercept_it)
{
    VMCS(v, exception_bitmap) = 1u << VECTOR_VE;
    enter_with_exceptions(EPT_READ);
    ck_assert_int_eq(violate(), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_exception_or_nmi);
    ck_assert_uint_eq(VMCS(v, exit_interruption_information), 1u << 31 | EVENT_HARDWARE_EXCEPTION << 8 | VECTOR_VE);
    ck_assert_uint_eq(entry(AREA) >> 32, 0xffffffff);
}
END_TEST

/* ---- VM functions ---- */

static enum status vmfunc(uint64_t rax, uint64_t rcx)
{
    struct insn insn = { .id = INSN_vmfunc, .length = 3, .operand_size = 4, .address_size = 8 };

    f.cpu->gpr[RAX] = rax;
    f.cpu->gpr[RCX] = rcx;
    return execute(f.cpu, &insn);
}

static void enter_with_list(void)
{
    fixture_store64(&f, LIST + 8 * 7, EPTP5);
    VMCS(v, vm_function_controls) = 1;
    VMCS(v, eptp_list_address) = LIST;
    enter(PROC2_enable_vm_functions);
}

START_TEST(eptp_switching)
{
    uint64_t rflags;

    page_entry(0);
    enter_with_list();
    expect_violation(ACCESS_READ, 0x181);
    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;                         /* CPL 3 may */
    rflags = f.cpu->rflags |= RFLAGS_ZF;
    ck_assert_int_eq(vmfunc(0xabcd00000000ull, 0xffff00000007ull), STATUS_OK);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_GUEST_RIP + 3);
    ck_assert_uint_eq(f.cpu->rflags, rflags);
    ck_assert_uint_eq(f.cpu->vmx.eptp, EPTP5);
    ck_assert_uint_eq(VMCS(v, ept_pointer), EPTP5);
    ck_assert_uint_eq(VMCS(v, eptp_index), 7);
    fixture_store64(&f, ROOT5, 0);                                      /* the new root is what is walked */
    ck_assert_uint_eq(touch(ACCESS_READ).gpa, FIXTURE_CR3);
}
END_TEST

START_TEST(switches_that_exit)
{
    static const struct {
        uint64_t rax, rcx, eptp;
    } rows[] = {
        { 1, 7, EPTP }, { 63, 7, EPTP }, { 0, 512, EPTP }, { 0, 0xffffffff, EPTP },
        { 0, 7, EPTP | 7 }, { 0, 7, EPTP | 5 << 3 }, { 0, 7, EPTP | 0x80 }, { 0, 7, EPTP | 1ull << 60 },
    };

    enter_with_list();
    fixture_store64(&f, LIST + 8 * 7, rows[_i].eptp);
    fixture_store64(&f, LIST + 8 * 512, EPTP5);                         /* behind the list */
    ck_assert_int_eq(vmfunc(rows[_i].rax, rows[_i].rcx), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_vmfunc);
    ck_assert_uint_eq(VMCS(v, exit_instruction_length), 3);
    ck_assert_uint_eq(VMCS(v, guest_rip), FIXTURE_GUEST_RIP);
    ck_assert_uint_eq(VMCS(v, ept_pointer), EPTP);
}
END_TEST

START_TEST(vmfunc_is_undefined)
{
    ck_assert_int_eq(vmfunc(0, 7), STATUS_EVENT);                       /* in root operation */
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_UD);
    f.cpu->event.valid = false;
    if (_i)
        enter_with_list();
    else
        enter(0);
    ck_assert_int_eq(vmfunc(_i ? 64 : 0, 7), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_UD);
}
END_TEST

/* ---- five levels ---- */

START_TEST(ept_of_five_levels)
{
    VMCS(v, ept_pointer) = EPTP5;
    enter(0);
    ck_assert_uint_eq(touch(ACCESS_WRITE).pa, PAGE + 0x123);
    fixture_store64(&f, ROOT5, ROOT | EPT_RIGHTS | EPT_LARGE);          /* no entry of level 5 maps a page */
    tlb_reset(f.cpu);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_EPT_MISCONFIGURATION);
}
END_TEST

START_TEST(walk_length_5_needs_its_capability)
{
    vmx_result result;

    f.model->capability.ept_vpid &= ~(uint64_t)CAPABILITY_EPT_WALK_5;
    VMCS(v, ept_pointer) = EPTP5;
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept;
    ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_OK);
    ck_assert_int_eq(result, VM_ERROR_entry_invalid_control);
}
END_TEST

#define ABOVE_48 (1ull << 48)               /* slot 1 of level 5 */

static void five_levels(void)
{
    fixture_store64(&f, PML5, FIXTURE_CR3 | 7);
    fixture_store64(&f, PML5 + 8, FIXTURE_CR3 | 7);
    f.cpu->cr4 |= CR4_LA57;
    f.cpu->cr3 = PML5;
}

START_TEST(paging_of_five_levels)
{
    const struct access read = { .kind = ACCESS_READ };
    struct translation t;

    ck_assert_int_eq(translate(f.cpu, ABOVE_48 | PAGE, read).result, TRANSLATION_NOT_CANONICAL);
    five_levels();
    ck_assert_uint_eq(translate(f.cpu, ABOVE_48 | PAGE, read).pa, PAGE);
    ck_assert_uint_eq(translate(f.cpu, PAGE, read).pa, PAGE);
    ck_assert_uint_eq(entry(PML5 + 8) & 0x20, 0x20);
    ck_assert_int_eq(translate(f.cpu, 1ull << 56, read).result, TRANSLATION_NOT_CANONICAL);
    ck_assert_int_eq(translate(f.cpu, 0xff00000000000000ull, read).result, TRANSLATION_PAGE_FAULT);
    fixture_store64(&f, PML5 + 8, FIXTURE_CR3 | 0x87);
    tlb_reset(f.cpu);
    t = translate(f.cpu, ABOVE_48 | PAGE, read);
    ck_assert_int_eq(t.result, TRANSLATION_PAGE_FAULT);
    ck_assert_uint_eq(t.error_code, 9);                                 /* present, reserved bit */
}
END_TEST

START_TEST(la57_does_not_change_in_long_mode)
{
    struct insn insn = { .id = INSN_mov_to_cr, .length = 3, .kind = OPERAND_REGISTER, .rm = RAX, .reg = 4,
                         .operand_size = 8, .address_size = 8 };

    f.cpu->gpr[RAX] = f.cpu->cr4 ^ CR4_LA57;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
}
END_TEST

/* ---- trails ---- */

START_TEST(a_change_anywhere_on_the_way_is_seen)
{
    static const uint64_t ept_entries[] = { ROOT, EPT3, EPT2, SLOT(PAGE) };

    VMCS(v, virtual_processor_identifier) = 1;
    enter(PROC2_enable_vpid);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 0);
    fixture_store64(&f, ept_entries[_i], entry(ept_entries[_i]) & ~EPT_RIGHTS);
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 1);
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_uint_eq(f.violation_rule, RULE_ISOLATION);
}
END_TEST

START_TEST(another_root_is_another_walk)
{
    f.cpu->cr4 |= CR4_PCIDE;
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    fixture_store64(&f, PML5, 0);
    f.cpu->cr3 = PML5;                                                  /* same PCID, nothing invalidated */
    ck_assert_int_eq(touch(ACCESS_READ).result, TRANSLATION_OK);
    ck_assert_uint_eq(f.model->tlb.stale_uses, 1);
}
END_TEST

/* 29.3.3.2, 29.3.5: MOV to CR reads the PDPTEs and does no more, while another use of a paging-structure entry would be a write. */
START_TEST(pdpte_loads_are_reads)
{
    enum status status = STATUS_REFUSED;
    uint64_t bad, value;

    VMCS(v, ept_pointer) = EPTP | EPTP_ACCESSED_DIRTY;
    page_entry(EPT_READ);
    enter(0);
    fixture_store64(&f, PAGE + 0x40, 0x5001);
    ck_assert(load_pdptes(f.cpu, PAGE + 0x40, &status, &bad, &value));
    ck_assert_int_eq(status, STATUS_OK);
    ck_assert_uint_eq(f.cpu->pdpte[0], 0x5001);
    ck_assert_uint_eq(entry(SLOT(PAGE)) & (EPT_ACCESSED | EPT_DIRTY), EPT_ACCESSED);
    page_entry(EPT_EXECUTE);
    tlb_invept(f.cpu, EPTP);
    ck_assert(!load_pdptes(f.cpu, PAGE + 0x40, &status, &bad, &value));
    ck_assert_int_eq(status, STATUS_VM_EXIT);
    ck_assert_uint_eq(f.exit.a, EXIT_REASON_ept_violation);
    ck_assert_uint_eq(f.exit.b, EPT_VIOLATION_READ | EPT_EXECUTE << EPT_VIOLATION_RIGHTS_SHIFT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("second_stage");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, user_mode_addresses_have_their_own_right);
    tcase_add_test(tcase, supervisor_mode_addresses_keep_bit_2);
    tcase_add_loop_test(tcase, all_levels_take_part_in_the_user_right, 0, 3);
    tcase_add_loop_test(tcase, user_execute_only, 0, 2);
    tcase_add_test(tcase, bit_10_is_ignored_without_the_control);
    tcase_add_loop_test(tcase, advanced_information, 0, 4);
    tcase_add_test(tcase, advanced_information_without_paging);
    tcase_add_test(tcase, writes_are_logged_once);
    tcase_add_test(tcase, nothing_is_logged_without_the_control);
    tcase_add_test(tcase, probes_are_not_logged);
    tcase_add_test(tcase, index_wraps_and_then_the_log_is_full);
    tcase_add_test(tcase, a_full_log_stops_accessed_flags_too);
    tcase_add_test(tcase, a_violation_becomes_an_exception);
    tcase_add_loop_test(tcase, which_entry_suppresses, 0, 5);
    tcase_add_test(tcase, suppressed_violations_exit);
    tcase_add_test(tcase, no_exception_during_delivery);
    tcase_add_test(tcase, no_exception_without_the_control);
    tcase_add_test(tcase, the_exception_bitmap_can_intercept_it);
    tcase_add_test(tcase, eptp_switching);
    tcase_add_loop_test(tcase, switches_that_exit, 0, 8);
    tcase_add_loop_test(tcase, vmfunc_is_undefined, 0, 2);
    tcase_add_test(tcase, ept_of_five_levels);
    tcase_add_test(tcase, walk_length_5_needs_its_capability);
    tcase_add_test(tcase, paging_of_five_levels);
    tcase_add_test(tcase, la57_does_not_change_in_long_mode);
    tcase_add_loop_test(tcase, a_change_anywhere_on_the_way_is_seen, 0, 4);
    tcase_add_test(tcase, another_root_is_another_walk);
    tcase_add_test(tcase, pdpte_loads_are_reads);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
