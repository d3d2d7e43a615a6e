/* SPDX-License-Identifier: MIT */
/* Sensitive instructions: which stop, when, and how a stopped one is executed after all. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
}
static void teardown(void) { fixture_close(f); }

struct sample {
    enum insn_id id;
    uint8_t length, bytes[8];
};

/* Rows that stop in every mode, at every privilege level. */
static const struct sample always[] = {
    { INSN_cpuid, 2, { 0x0f, 0xa2 } },              { INSN_hlt, 1, { 0xf4 } },
    { INSN_in, 2, { 0xe4, 0x60 } },                 { INSN_in, 1, { 0xed } },
    { INSN_out, 2, { 0xe6, 0x80 } },                { INSN_out, 2, { 0x66, 0xef } },
    { INSN_ins, 2, { 0xf3, 0x6c } },                { INSN_outs, 1, { 0x6f } },
    { INSN_rdmsr, 2, { 0x0f, 0x32 } },              { INSN_wrmsr, 2, { 0x0f, 0x30 } },
    { INSN_rdtsc, 2, { 0x0f, 0x31 } },              { INSN_rdtscp, 3, { 0x0f, 0x01, 0xf9 } },
    { INSN_rdpmc, 2, { 0x0f, 0x33 } },              { INSN_mov_to_cr, 3, { 0x0f, 0x22, 0xd8 } },
    { INSN_mov_to_cr, 4, { 0x44, 0x0f, 0x22, 0xc0 } }, { INSN_mov_from_cr, 4, { 0x44, 0x0f, 0x20, 0xc0 } },
    { INSN_clts, 2, { 0x0f, 0x06 } },               { INSN_lmsw, 3, { 0x0f, 0x01, 0xf0 } },
    { INSN_mov_to_dr, 3, { 0x0f, 0x23, 0xf8 } },    { INSN_mov_from_dr, 3, { 0x0f, 0x21, 0xf0 } },
    { INSN_invlpg, 3, { 0x0f, 0x01, 0x38 } },       { INSN_invpcid, 5, { 0x66, 0x0f, 0x38, 0x82, 0x08 } },
    { INSN_invd, 2, { 0x0f, 0x08 } },               { INSN_wbinvd, 2, { 0x0f, 0x09 } },
    { INSN_xsetbv, 3, { 0x0f, 0x01, 0xd1 } },       { INSN_monitor, 3, { 0x0f, 0x01, 0xc8 } },
    { INSN_mwait, 3, { 0x0f, 0x01, 0xc9 } },        { INSN_rdrand, 4, { 0x48, 0x0f, 0xc7, 0xf0 } },
    { INSN_rdseed, 3, { 0x0f, 0xc7, 0xfa } },       { INSN_getsec, 2, { 0x0f, 0x37 } },
    { INSN_rsm, 2, { 0x0f, 0xaa } },                { INSN_vmcall, 3, { 0x0f, 0x01, 0xc1 } },
    { INSN_vmlaunch, 3, { 0x0f, 0x01, 0xc2 } },     { INSN_vmresume, 3, { 0x0f, 0x01, 0xc3 } },
    { INSN_vmxoff, 3, { 0x0f, 0x01, 0xc4 } },       { INSN_vmfunc, 3, { 0x0f, 0x01, 0xd4 } },
    { INSN_vmclear, 4, { 0x66, 0x0f, 0xc7, 0x30 } }, { INSN_vmptrld, 3, { 0x0f, 0xc7, 0x30 } },
    { INSN_vmptrst, 3, { 0x0f, 0xc7, 0x38 } },      { INSN_vmxon, 4, { 0xf3, 0x0f, 0xc7, 0x30 } },
    { INSN_vmread, 3, { 0x0f, 0x78, 0xc8 } },       { INSN_vmwrite, 3, { 0x0f, 0x79, 0x08 } },
    { INSN_invept, 5, { 0x66, 0x0f, 0x38, 0x80, 0x08 } }, { INSN_invvpid, 5, { 0x66, 0x0f, 0x38, 0x81, 0x08 } },
    { INSN_pause, 2, { 0xf3, 0x90 } },
    { INSN_sgdt, 3, { 0x0f, 0x01, 0x03 } },         { INSN_sidt, 3, { 0x0f, 0x01, 0x0b } },
};
enum { ALWAYS = sizeof always / sizeof *always };

/* Rows that stop only when the model asks. RBX points at memory that may be read and written. */
static const struct sample conditional[] = {
    { INSN_mov_from_cr, 3, { 0x0f, 0x20, 0xd8 } },  { INSN_mov_from_cr, 3, { 0x0f, 0x20, 0xc0 } },
    { INSN_smsw, 3, { 0x0f, 0x01, 0xe0 } },
    { INSN_sldt, 3, { 0x0f, 0x00, 0xc0 } },         { INSN_str, 3, { 0x0f, 0x00, 0xc8 } },
};
enum { CONDITIONAL = sizeof conditional / sizeof *conditional };

static uint64_t place(const struct sample *s)
{
    static const uint8_t nop_cpuid[] = { 0x90, 0x0f, 0xa2 };
    fixture_put(f, FIXTURE_CODE, nop_cpuid, 1);
    fixture_put(f, FIXTURE_CODE + 1, s->bytes, s->length);
    fixture_put(f, FIXTURE_CODE + 1 + s->length, nop_cpuid, 3);
    f->cpu->gpr[RAX] = f->cpu->gpr[RBX] = 0x30000;
    return FIXTURE_CODE + 2 + s->length;
}

START_TEST(stops_always)
{
    place(&always[_i]);
    fixture_run(f);
    fixture_expect_instruction(f, always[_i].id, FIXTURE_CODE + 1);
    ck_assert_uint_eq(f->stop.insn.length, always[_i].length);
    ck_assert_uint_eq(f->cpu->instructions, 1);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE64, 0xa0fb);
    fixture_segment(f->cpu, SEG_SS, SELECTOR_USER_DATA, 0xc0f3);
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_instruction(f, always[_i].id, FIXTURE_CODE + 1);
}
END_TEST

START_TEST(stops_when_asked)
{
    const struct sample *s = &conditional[_i];
    uint64_t end = place(s);
    for (unsigned round = 0; round < 2; round++) {      /* translations of both kinds live side by side */
        f->cpu->intercepts = 0;
        fixture_run_at(f, FIXTURE_CODE);
        fixture_expect_instruction(f, INSN_cpuid, end);
        f->cpu->intercepts = 1ull << s->id;
        fixture_run_at(f, FIXTURE_CODE);
        fixture_expect_instruction(f, s->id, FIXTURE_CODE + 1);
        f->cpu->intercepts = 0;                         /* STATUS_NATIVE: run on */
        fixture_run(f);
        fixture_expect_instruction(f, INSN_cpuid, end);
    }
}
END_TEST

START_TEST(control_registers_in_non_root_operation)
{
    static const struct sample from_cr4 = { INSN_mov_from_cr, 3, { 0x0f, 0x20, 0xe1 } }, from_cr2 = { INSN_mov_from_cr, 3, { 0x0f, 0x20, 0xd1 } },
        smsw = { INSN_smsw, 3, { 0x0f, 0x01, 0xe1 } };
    f->cpu->cr2 = 0x1234;
    uint64_t end = place(&from_cr4);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, end);
    ck_assert_uint_eq(f->cpu->gpr[RCX], f->cpu->cr4);
    f->cpu->vmx.non_root = true;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_instruction(f, INSN_mov_from_cr, FIXTURE_CODE + 1);
    place(&smsw);
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_instruction(f, INSN_smsw, FIXTURE_CODE + 1);
    end = place(&from_cr2);
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_instruction(f, INSN_cpuid, end);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 0x1234);
}
END_TEST

BLOB32(insn_smsw, "smsw eax\n smsw [ebx]\n cpuid");
/* The library would store 16 bits: to a register the model has to do it. */
START_TEST(smsw_to_a_register_of_32_bits)
{
    fixture_protected(f);
    PUT(f, FIXTURE_CODE, insn_smsw);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_run(f);
    fixture_expect_instruction(f, INSN_smsw, FIXTURE_CODE);
    fixture_run_at(f, FIXTURE_CODE + 3);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 6);
    ck_assert_uint_eq(fixture_get64(f, 0x30000), f->cpu->cr0 & 0xffff);
}
END_TEST

BLOB(insn_lgdt, "lgdt [rbx]\n lidt [rbx+16]\n cpuid");
START_TEST(descriptor_tables)
{
    PUT(f, FIXTURE_CODE, insn_lgdt);
    f->cpu->gpr[RBX] = 0x30000;
    fixture_put64(f, 0x30000, 0x5000ull << 16 | 0x7f);
    fixture_put64(f, 0x30010, 0x6000ull << 16 | 0xff);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_lgdt, FIXTURE_CODE);
    ck_assert_int_eq(execute(f->cpu, &f->stop.insn), STATUS_OK);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_lidt, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->stop.insn.displacement, 16);
    ck_assert_int_eq(execute(f->cpu, &f->stop.insn), STATUS_OK);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 7);
    ck_assert_uint_eq(f->cpu->gdtr.base, 0x5000);
    ck_assert_uint_eq(f->cpu->gdtr.limit, 0x7f);
    ck_assert_uint_eq(f->cpu->idtr.base, 0x6000);
}
END_TEST

/* The engine raises the exception, or stops at an instruction that the model refuses with it. */
static void expect_exception(unsigned vector, uint64_t rip, unsigned which)
{
    ck_assert_uint_eq(f->cpu->rip, rip);
    if (f->stop.reason == STOP_INSTRUCTION) {
        ck_assert_int_eq(execute(f->cpu, &f->stop.insn), STATUS_EVENT);
        ck_assert_msg(f->cpu->event.valid && f->cpu->event.vector == vector && !f->cpu->event.error_code, "encoding %u", which);
        f->cpu->event.valid = false;
        return;
    }
    ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == vector && !f->stop.event.error_code, "encoding %u", which);
}

START_TEST(user_mode_instruction_prevention)
{
    place(&conditional[4]);                         /* STR */
    f->cpu->cr4 |= CR4_UMIP;
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    ck_assert_int_eq(f->stop.insn.id, INSN_cpuid);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE64, 0xa0fb);
    fixture_segment(f->cpu, SEG_SS, SELECTOR_USER_DATA, 0xc0f3);
    fixture_run_at(f, FIXTURE_CODE);
    expect_exception(VECTOR_GP, FIXTURE_CODE + 1, 0);
}
END_TEST

BLOB(insn_iret, "push 0x10\n push 0x80000\n push 2\n push 8\n push 0x100100\n iretq");
BLOB(insn_iret_to, "nop\n cpuid");
START_TEST(iret_stops_and_goes_on)
{
    PUT(f, FIXTURE_CODE, insn_iret);
    PUT(f, FIXTURE_CODE + 0x100, insn_iret_to);
    engine_run(f->engine, f->cpu, &f->request, &f->stop);
    ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
    ck_assert_int_eq(f->stop.insn.id, INSN_iret);
    ck_assert_uint_eq(f->stop.insn.operand_size, 8);
    uint64_t before = f->cpu->instructions;
    ck_assert_int_eq(execute(f->cpu, &f->stop.insn), STATUS_OK);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_cpuid, FIXTURE_CODE + 0x101);
    ck_assert_uint_eq(f->cpu->instructions - before, 2);
}
END_TEST

START_TEST(stops_at_the_end_of_a_page)
{
    static const uint8_t code[] = { 0x90, 0x90, 0xf4 };
    fixture_put(f, 0x60ffd, code, sizeof code);
    fixture_put64(f, FIXTURE_PT + 8 * 0x61, 0);     /* HLT is the last byte before a missing page */
    fixture_flush(f);
    fixture_run_at(f, 0x60ffd);
    fixture_expect_instruction(f, INSN_hlt, 0x60fff);
    ck_assert_uint_eq(f->cpu->instructions, 2);
}
END_TEST

/* An operand byte that decides: VMPTRLD has memory operands only. */
START_TEST(illegal_encodings)
{
    static const struct sample bad[] = {
        { INSN_none, 4, { 0xf0, 0x0f, 0x01, 0xc1 } },   /* LOCK VMCALL */
        { INSN_none, 3, { 0x0f, 0x20, 0xc8 } },         /* MOV from CR1 */
        { INSN_none, 3, { 0x0f, 0x01, 0xc0 } },
        { INSN_none, 4, { 0x0f, 0x38, 0x80, 0x08 } },   /* INVEPT without 66 */
        { INSN_none, 2, { 0x0f, 0x0b } },
        { INSN_none, 4, { 0x0f, 0x38, 0xf0, 0xc0 } },   /* MOVBE of a register */
        { INSN_none, 5, { 0x66, 0x0f, 0x38, 0x80, 0xc8 } },
        /* Not offered, by CPUID or by the capability MSRs: XSAVEOPT, XSAVEC, XSAVES, XRSTORS, TPAUSE, UMONITOR, UMWAIT */
        { INSN_none, 3, { 0x0f, 0xae, 0x33 } },
        { INSN_none, 3, { 0x0f, 0xc7, 0x23 } },
        { INSN_none, 3, { 0x0f, 0xc7, 0x2b } },
        { INSN_none, 3, { 0x0f, 0xc7, 0x1b } },
        { INSN_none, 4, { 0x66, 0x0f, 0xae, 0xf1 } },
        { INSN_none, 4, { 0xf3, 0x0f, 0xae, 0xf3 } },
        { INSN_none, 4, { 0xf2, 0x0f, 0xae, 0xf1 } },
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        place(&bad[i]);
        f->cpu->gpr[RBX] = 0x30000;
        f->cpu->cr4 |= CR4_OSXSAVE;
        fixture_run_at(f, FIXTURE_CODE);
        expect_exception(VECTOR_UD, FIXTURE_CODE + 1, i);
    }
}
END_TEST

BLOB(insn_loop, "1: cpuid\n jmp 1b");
BLOB(insn_spin, "1: mov eax,[rbx]\n jmp 1b");
static uint64_t interrupting_read(void *context, struct cpu *cpu, uint64_t pa, unsigned size)
{
    struct fixture *g = context;
    (void)cpu, (void)pa, (void)size;
    engine_interrupt(g->engine);
    return 7;
}
START_TEST(a_device_interrupts)
{
    PUT(f, FIXTURE_CODE, insn_spin);
    f->model->bus.mmio_read = interrupting_read;
    f->cpu->gpr[RBX] = FIXTURE_DEVICE;
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_INTERRUPTIBLE);
    ck_assert_uint_eq(f->cpu->gpr[RAX], 7);
    ck_assert_uint_eq(f->cpu->instructions, 2);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE);
}
END_TEST

START_TEST(stops_and_goes_on_many_times)
{
    PUT(f, FIXTURE_CODE, insn_loop);
    for (unsigned i = 0; i < 100000; i++) {
        ck_assert_int_eq(fixture_run(f), STOP_INSTRUCTION);
        f->cpu->rip += 2;
    }
    ck_assert_uint_eq(f->cpu->instructions, 99999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: instructions");
    TCase *tc = tcase_create("instructions");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, stops_always, 0, ALWAYS);
    tcase_add_loop_test(tc, stops_when_asked, 0, CONDITIONAL);
    tcase_add_test(tc, control_registers_in_non_root_operation);
    tcase_add_test(tc, smsw_to_a_register_of_32_bits);
    tcase_add_test(tc, descriptor_tables);
    tcase_add_test(tc, user_mode_instruction_prevention);
    tcase_add_test(tc, iret_stops_and_goes_on);
    tcase_add_test(tc, stops_at_the_end_of_a_page);
    tcase_add_test(tc, illegal_encodings);
    tcase_add_test(tc, a_device_interrupts);
    tcase_add_test(tc, stops_and_goes_on_many_times);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
