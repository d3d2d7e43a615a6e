/* SPDX-License-Identifier: MIT */
/* Rules of the processor that a second opinion asked for: those of docs/processor.md, each as the smallest program that tells. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

enum { DATA = 0x30000 };

static void put_code(const uint8_t *from, const uint8_t *to) { fixture_put(f, FIXTURE_CODE, from, (size_t)(to - from)); }
#define CODE(name) put_code(name, name##_end)

static void user_mode(uint16_t code, uint32_t rights)
{
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        fixture_segment(f->cpu, (enum segment_register)s, SELECTOR_USER_DATA, 0xc0f3);
    fixture_segment(f->cpu, SEG_CS, code, rights | 3 << 5);
}

/* ---- the virtual interrupt flag: SDM Vol. 3, 21.3, 21.4 ---- */

BLOB(flag_program, "sti\n nop\n cli\n ud2");
START_TEST(interrupt_flag_of_protected_mode)
{
    fixture_long_mode(f);
    user_mode(SELECTOR_USER_CODE64, 0xa09b);
    CODE(flag_program);
    f->cpu->cr4 |= CR4_PVI;
    f->cpu->rflags |= 1 << 12;                  /* IOPL 1 */
    f->request.single_step = true;
    f->request.limit = 1;
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->rflags & (RFLAGS_VIF | RFLAGS_IF), RFLAGS_VIF);
    f->request = (struct engine_request){ .limit = ~0ull };
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->cpu->rflags & (RFLAGS_VIF | RFLAGS_IF), 0);
    f->cpu->rip = FIXTURE_CODE;
    f->cpu->rflags |= RFLAGS_VIP;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
    f->cpu->cr4 &= ~CR4_PVI;
    f->cpu->rflags &= ~RFLAGS_VIP;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
}
END_TEST

static void virtual_8086(uint64_t cr4)
{
    fixture_protected(f);
    f->cpu->cr4 |= cr4;
    f->cpu->rflags |= RFLAGS_VM;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        f->cpu->seg[s] = (struct segment){ 0x3000, 0xf3, 0xffff, 0x30000 };
    f->cpu->gpr[RSP] = 0x800;
    f->cpu->rip = 0x100;
    fixture_put64(f, FIXTURE_TSS + 0x60, 0x00880000ull << 32);         /* the bitmaps: of redirection from 68H on, of ports from 88H */
    f->cpu->seg[SEG_TR].limit = 0xfff;
}

static const uint8_t pushf_pop[] = { 0xfb, 0x9c, 0xfa, 0x9c, 0x0f, 0x0b };      /* STI, PUSHF, CLI, PUSHF, UD2 */
START_TEST(interrupt_flag_of_virtual_8086_mode)
{
    virtual_8086(CR4_VME);
    fixture_put(f, DATA + 0x100, pushf_pop, sizeof pushf_pop);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, 0x104);
    ck_assert_uint_eq(fixture_get64(f, DATA + 0x7fe) & 0xffff, 0x3202);        /* IOPL 3, VIF in the place of IF */
    ck_assert_uint_eq(fixture_get64(f, DATA + 0x7fc) & 0xffff, 0x3002);
    virtual_8086(0);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, 0x100);
}
END_TEST

static const uint8_t popf_program[] = { 0x9d, 0x0f, 0x0b };
START_TEST(flags_popped_in_virtual_8086_mode)
{
    static const struct { uint16_t image; uint64_t pending; bool refused; uint64_t vif; } cases[] = {
        { 0x0202, 0, false, RFLAGS_VIF }, { 0x0002, 0, false, 0 }, { 0x0202, RFLAGS_VIP, true, 0 }, { 0x0102, 0, true, 0 },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        virtual_8086(CR4_VME);
        fixture_put(f, DATA + 0x100, popf_program, sizeof popf_program);
        fixture_put64(f, DATA + 0x800, cases[i].image);
        f->cpu->rflags |= cases[i].pending;
        fixture_run(f);
        fixture_expect_event(f, cases[i].refused ? VECTOR_GP : VECTOR_UD, 0, cases[i].refused ? 0x100 : 0x101);
        ck_assert_uint_eq(f->cpu->rflags & RFLAGS_VIF, cases[i].vif);
    }
}
END_TEST

/* SDM Vol. 3, Table 21-2: a clear bit of the redirection bitmap keeps INT n in the 8086's table. */
static const uint8_t interrupt_program[] = { 0xcd, 0x42 };
START_TEST(interrupts_of_virtual_8086_mode)
{
    virtual_8086(CR4_VME);
    fixture_put(f, DATA + 0x100, interrupt_program, sizeof interrupt_program);
    fixture_put64(f, 4 * 0x42, 0x30000200);
    fixture_put64(f, DATA + 0x200, 0x0b0f);
    f->cpu->rflags |= RFLAGS_VIF;
    fixture_run(f);
    fixture_deliver(f);
    ck_assert_uint_eq(f->cpu->rip, 0x200);
    ck_assert_uint_eq(f->cpu->rflags & RFLAGS_VIF, 0);
    ck_assert_uint_eq(fixture_get64(f, DATA + 0x7fa) & 0xffffffffffff, 0x320230000102);
    virtual_8086(CR4_VME);
    fixture_put64(f, FIXTURE_TSS + 0x68 + 8, 1u << 2);          /* 42H: to protected mode, which IOPL 0 forbids */
    fixture_run(f);
    fixture_deliver(f);
    fixture_expect_event(f, VECTOR_GP, 0, 0x100);
}
END_TEST

/* ---- segments, tables ---- */

BLOB32(load_gs, "mov eax,0x48\n mov gs,ax\n ud2");
START_TEST(data_registers_keep_the_base_of_64_bit_code)
{
    fixture_long_mode(f);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_CODE32, 0xc09b);
    fixture_put64(f, FIXTURE_GDT + 0x48, 0x40af9a0000000000 | 0x1234 << 16 | 0xffff);
    CODE(load_gs);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 7);
    ck_assert_uint_eq(f->cpu->seg[SEG_GS].base, 0x40001234);
}
END_TEST

/* SDM Vol. 2, SGDT: all of the base is stored, also by an operand of 16 bits. */
BLOB32(store_table, ".byte 0x66\n sgdt [ebx]\n ud2");
BLOB(store_table_64, ".byte 0x66\n sgdt [rbx]\n ud2");
START_TEST(whole_bases_are_stored)
{
    for (unsigned wide = 0; wide < 2; wide++) {
        if (wide)
            fixture_long_mode(f);
        else
            fixture_protected(f);
        f->cpu->gdtr = (struct table_register){ 0x89abcdef, 0x7f };
        f->cpu->gpr[RBX] = DATA;
        if (wide)
            CODE(store_table_64);
        else
            CODE(store_table);
        fixture_run(f);
        ck_assert_int_eq(f->stop.reason, STOP_INSTRUCTION);
        ck_assert_int_eq(execute(f->cpu, &f->stop.insn), STATUS_OK);
        ck_assert_uint_eq(fixture_get64(f, DATA), 0x89abcdef007f);
    }
}
END_TEST

BLOB(write_base, "wrgsbase rax\n ud2");
START_TEST(bases_are_canonical)
{
    fixture_long_mode(f);
    CODE(write_base);
    f->cpu->cr4 |= CR4_FSGSBASE;
    f->cpu->gpr[RAX] = 1ull << 60;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
    f->cpu->gpr[RAX] = 0xffff800000001234;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 5);
    ck_assert_uint_eq(f->cpu->seg[SEG_GS].base, 0xffff800000001234);
    f->cpu->cr4 &= ~CR4_FSGSBASE;
    f->cpu->rip = FIXTURE_CODE;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE);
}
END_TEST

/* ---- linear addresses of code end at 32 bits ---- */

BLOB32(jump_far_away, "mov eax,0xf0000000\n jmp eax");
START_TEST(code_addresses_wrap)
{
    fixture_paging32(f);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_CODE32, 0xc09b);
    f->cpu->seg[SEG_CS].base = 0x20000000;
    f->cpu->rip = FIXTURE_CODE - 0x20000000u;
    CODE(jump_far_away);
    fixture_run(f);
    ck_assert_int_eq(f->stop.reason, STOP_EVENT);
    ck_assert_uint_eq(f->stop.event.vector, VECTOR_PF);
    ck_assert_uint_eq(f->stop.event.address, 0x10000000);
}
END_TEST

/* ---- data breakpoints ---- */

BLOB(unaligned_store, "mov [rbx+1],eax\n ud2");
START_TEST(a_store_that_is_not_aligned_meets_no_other_breakpoint)
{
    fixture_long_mode(f);
    CODE(unaligned_store);
    f->cpu->gpr[RBX] = DATA + 0x800;
    f->cpu->dr[0] = DATA + 0x100;
    f->cpu->dr7 = 0x400 | 1 | 13u << 16;        /* four bytes written */
    fixture_run(f);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 3);
    ck_assert_uint_eq(f->cpu->pending_debug, 0);
    f->cpu->rip = FIXTURE_CODE;
    f->cpu->dr[0] = DATA + 0x804;
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->pending_debug, 1u << 12 | 1);
}
END_TEST

BLOB(pop_to_nowhere, "pop qword ptr [rbx]");
BLOB(far_call_to_nowhere, ".byte 0x48,0xff,0x1b");     /* CALL far [RBX] with REX.W, for clang's assembler */
START_TEST(a_fault_forgets_breakpoints_met_on_the_way)
{
    fixture_long_mode(f);
    CODE(pop_to_nowhere);
    fixture_put64(f, FIXTURE_PT + 8 * (DATA >> 12), DATA | 1);
    fixture_flush(f);
    f->cpu->gpr[RBX] = DATA;
    f->cpu->dr[0] = FIXTURE_STACK;
    f->cpu->dr7 = 0x400 | 1 | 11u << 16;        /* eight bytes read or written */
    fixture_run(f);
    fixture_expect_event(f, VECTOR_PF, PF_PRESENT | PF_WRITE, FIXTURE_CODE);
    ck_assert_uint_eq(f->cpu->pending_debug, 0);
    CODE(far_call_to_nowhere);
    f->cpu->dr[0] = DATA;
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
    ck_assert_uint_eq(f->cpu->pending_debug, 0);
}
END_TEST

/* ---- SSE ---- */

/* SDM Vol. 3, Tables 13-1, 14-1: #UD, whatever CR0.TS is. */
BLOB(sse_move, "movaps xmm0,xmm1");
BLOB(mmx_move, "movq mm0,mm1");
BLOB(x87, "fld1");
/* The limit of 2 bytes and the base behind it are two stores: an address that is 2 beyond a multiple of 4 (of 8 in 64-bit mode) is aligned. */
BLOB(table_aligned, "sgdt [rbx]\n ud2");
START_TEST(alignment_of_table_registers)
{
    fixture_long_mode(f);
    user_mode(SELECTOR_USER_CODE64, 0xa09b);
    CODE(table_aligned);
    f->cpu->cr0 |= CR0_AM;
    f->cpu->rflags |= RFLAGS_AC;
    for (unsigned i = 0; i < 16; i++) {
        f->cpu->gpr[RBX] = DATA + i;
        fixture_put64(f, DATA + i, 0);
        fixture_run_at(f, FIXTURE_CODE);
        if (f->stop.reason == STOP_INSTRUCTION && execute(f->cpu, &f->stop.insn) == STATUS_EVENT)
            fixture_raised(f);
        if (i % 8 == 6) {
            ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 3);
            ck_assert_uint_eq(fixture_get64(f, DATA + i) & 0xffff, f->cpu->gdtr.limit);
        } else {
            fixture_expect_event(f, VECTOR_AC, 0, FIXTURE_CODE);
            ck_assert_uint_eq(fixture_get64(f, DATA + i), 0);
        }
    }
}
END_TEST

/* Also step by step, or at the end of what was asked for, a near branch to an address that is not canonical faults where it stands. */
BLOB(nowhere_jump, "jmp rbx");
BLOB(nowhere_return, "ret");
START_TEST(branches_to_nowhere_step_by_step)
{
    static const struct { bool step, trap; uint64_t limit; } ways[] = { { true, false, ~0ull }, { true, true, ~0ull }, { false, true, ~0ull }, { false, false, 1 } };

    fixture_long_mode(f);
    f->cpu->gpr[RBX] = 0xcccccccccccccccc;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t rsp = FIXTURE_STACK - 8;

        fixture_put(f, FIXTURE_CODE, i & 1 ? nowhere_return : nowhere_jump, 2);
        fixture_put64(f, rsp, f->cpu->gpr[RBX]);
        f->cpu->gpr[RSP] = rsp;
        f->cpu->rflags = RFLAGS_FIXED | (ways[i / 2].trap ? RFLAGS_TF : 0);
        f->request = (struct engine_request){ .single_step = ways[i / 2].step, .limit = ways[i / 2].limit == 1 ? f->cpu->clock + 1 : ~0ull };
        fixture_run_at(f, FIXTURE_CODE);
        fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
        ck_assert_uint_eq(f->cpu->gpr[RSP], rsp);
        ck_assert_uint_eq(f->cpu->pending_debug, 0);
    }
}
END_TEST

/* Table 6-2: the trap of the instruction before, the breakpoint on the next one, and only then what its fetch meets. */
BLOB(break_jump, "mov [rcx],eax\n jmp rbx");
START_TEST(breakpoints_come_before_the_fetch)
{
    fixture_long_mode(f);
    CODE(break_jump);
    fixture_put64(f, FIXTURE_PT + 8 * 0x40, 0);
    fixture_flush(f);
    f->cpu->gpr[RBX] = f->cpu->dr[0] = 0x40000;
    f->cpu->gpr[RCX] = DATA;
    f->cpu->dr7 = 0x400 | 1;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_DB, 0, 0x40000);
    ck_assert_uint_eq(f->stop.event.address & 15, 1);
    f->cpu->rflags |= RFLAGS_RF;
    fixture_run_at(f, 0x40000);
    fixture_expect_event(f, VECTOR_PF, PF_FETCH, 0x40000);
    f->cpu->rflags &= ~RFLAGS_RF;
    f->cpu->dr7 = 0x400;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_PF, PF_FETCH, 0x40000);
    /* The store meets a data breakpoint, and what follows cannot be fetched. */
    fixture_put(f, 0x3ffe, break_jump, 2);
    fixture_put64(f, FIXTURE_PT + 8 * 4, 0);
    fixture_flush(f);
    f->cpu->dr[0] = DATA;
    f->cpu->dr7 = 0x400 | 1 | 0xdull << 16;
    fixture_run_at(f, 0x3ffe);
    ck_assert_int_eq(f->stop.reason, STOP_LIMIT);
    ck_assert_uint_eq(f->cpu->rip, 0x4000);
    ck_assert_uint_eq(f->cpu->pending_debug & 15, 1);
}
END_TEST

START_TEST(undefined_before_not_available)
{
    static const struct { const uint8_t *from, *to; uint64_t em, osfxsr; enum vector vector; } cases[] = {
        { sse_move, sse_move_end, CR0_EM, CR4_OSFXSR, VECTOR_UD }, { sse_move, sse_move_end, 0, 0, VECTOR_UD },
        { sse_move, sse_move_end, 0, CR4_OSFXSR, VECTOR_NM }, { mmx_move, mmx_move_end, CR0_EM, CR4_OSFXSR, VECTOR_UD },
        { mmx_move, mmx_move_end, 0, 0, VECTOR_NM }, { x87, x87_end, CR0_EM, CR4_OSFXSR, VECTOR_NM },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_long_mode(f);
        put_code(cases[i].from, cases[i].to);
        f->cpu->cr0 |= CR0_TS | cases[i].em;
        f->cpu->cr4 = (f->cpu->cr4 & ~CR4_OSFXSR) | cases[i].osfxsr;
        fixture_run(f);
        fixture_expect_event(f, cases[i].vector, 0, FIXTURE_CODE);
    }
}
END_TEST

static void vectors(uint64_t a0, uint64_t a1, uint64_t b0, uint64_t b1)
{
    fixture_long_mode(f);
    fixture_put64(f, DATA, a0), fixture_put64(f, DATA + 8, a1), fixture_put64(f, DATA + 16, b0), fixture_put64(f, DATA + 24, b1);
    f->cpu->gpr[RBX] = DATA;
}

#define LOAD "movups xmm1,[rbx]\n movups xmm2,[rbx+16]\n"
#define STORE "movups [rbx+32],xmm0\n ud2"
/* Lengths without an absolute value of 32 bits ended the process. */
BLOB(explicit_lengths, LOAD "pcmpestrm xmm1,xmm2,0x40\n pcmpestri xmm1,xmm2,0x0c\n" STORE);
START_TEST(lengths_of_any_size)
{
    static const struct { uint64_t length, result; } cases[] = {
        { 0x80000000, ~0ull }, { 0x7fffffff, ~0ull }, { 0xffffffff, 0xff }, { 1ull << 63, 0 }, { 0x100000000, 0 },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        vectors(0x6867666564636261, 0, 0x6867666564636261, 0);
        CODE(explicit_lengths);
        f->cpu->gpr[RAX] = f->cpu->gpr[RDX] = cases[i].length;
        fixture_run(f);
        ck_assert_uint_eq(f->stop.event.vector, VECTOR_UD);
        ck_assert_uint_eq(f->cpu->gpr[RCX], 0);
        ck_assert_uint_eq(fixture_get64(f, DATA + 32), cases[i].result);        /* equal any: all elements that are valid */
        ck_assert_uint_eq(f->cpu->gpr[RAX], cases[i].length);
    }
}
END_TEST

/* "cd" in "abcdef": at 2; and at the end of the register what fits is enough. */
BLOB(search, LOAD "pcmpistri xmm1,xmm2,0x0c\n ud2");
START_TEST(equal_ordered)
{
    vectors(0x6463, 0, 0x0000666564636261, 0);
    CODE(search);
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 2);
    ck_assert_uint_eq(f->cpu->rflags & RFLAGS_ARITHMETIC, RFLAGS_CF | RFLAGS_ZF | RFLAGS_SF);
    vectors(0x7a7a, 0, 0x6161616161616161, 0x7a61616161616161);
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 15);
    vectors(0x7a7b, 0, 0x6161616161616161, 0x7a61616161616161);
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->gpr[RCX], 16);
}
END_TEST

BLOB(horizontal, LOAD "phsubd xmm1,xmm1\n movaps xmm0,xmm1\n" STORE);
START_TEST(a_horizontal_operation_on_itself)
{
    vectors(0x0000000500000009, 0x0000000100000007, 0, 0);
    CODE(horizontal);
    fixture_run(f);
    ck_assert_uint_eq(fixture_get64(f, DATA + 32), 0x0000000600000004);
    ck_assert_uint_eq(fixture_get64(f, DATA + 40), 0x0000000600000004);
}
END_TEST

/* ---- x87 and SSE registers, as the hash of a machine sees them ---- */

BLOB(x87_program, "fninit\n fldcw [rip + 1f]\n fldpi\n ldmxcsr [rip + 2f]\n ud2\n 1: .word 0x027f\n 2: .long 0x1fa0");
START_TEST(x87_registers_of_each_processor)
{
    static const uint8_t pi[10] = { 0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40 };
    struct cpu *const first = f->cpu;
    struct x87 state;

    for (unsigned i = 0; i < 2; i++) {
        f->cpu = &f->model->cpu[1 - i];
        engine_x87(f->engine, f->cpu, &state);
        ck_assert_uint_eq(state.control, 0x0040);               /* after power-up: SDM Vol. 3, table 10-1 */
        ck_assert_uint_eq(state.tag, 0x5555);
        ck_assert_uint_eq(state.mxcsr, 0x1f80);
        ck_assert(memcmp(state.r[7], pi, sizeof pi));
        fixture_long_mode(f);
        CODE(x87_program);
        fixture_run(f);
        fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + (uint64_t)(x87_program_end - x87_program) - 8);
        for (unsigned seen = 0; seen < 2; seen++) {     /* the one that ran last, and the other */
            engine_x87(f->engine, &f->model->cpu[seen], &state);
            bool ran = seen == 1 || i == 1;
            ck_assert_uint_eq(state.control, ran ? 0x027f : 0x0040);
            ck_assert_uint_eq(state.status >> 11 & 7, ran ? 7 : 0);
            ck_assert_uint_eq(state.mxcsr, ran ? 0x1fa0 : 0x1f80);
            ck_assert_int_eq(!memcmp(state.r[7], pi, sizeof pi), ran);
        }
    }
    f->cpu = first;
}
END_TEST

/* ---- tasks ---- */

BLOB32(task_jump, ".byte 0xea,0,0,0,0,0x60,0");
START_TEST(a_switch_saves_no_resume_flag)
{
    enum { TSS = 0x5000 };
    fixture_protected(f);
    fixture_put64(f, FIXTURE_GDT + SELECTOR_TSS, 0x00008b0040000067);
    fixture_put64(f, FIXTURE_GDT + 0x60, 0x0000890050000067);
    memory_write32(&f->model->memory, TSS + 0x20, FIXTURE_CODE + 0x100);
    for (unsigned s = 0; s < 6; s++)
        memory_write32(&f->model->memory, TSS + 0x48 + 4 * s, s == SEG_CS ? SELECTOR_CODE32 : SELECTOR_DATA);
    CODE(task_jump);
    fixture_put64(f, FIXTURE_CODE + 0x100, 0xf4);
    f->cpu->rflags |= RFLAGS_RF;
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE + 0x100);
    ck_assert_uint_eq(memory_read32(&f->model->memory, FIXTURE_TSS + 0x24) & RFLAGS_RF, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: what a second opinion asked for");
    TCase *cases = tcase_create("processor");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, interrupt_flag_of_protected_mode);
    tcase_add_test(cases, interrupt_flag_of_virtual_8086_mode);
    tcase_add_test(cases, flags_popped_in_virtual_8086_mode);
    tcase_add_test(cases, interrupts_of_virtual_8086_mode);
    tcase_add_test(cases, data_registers_keep_the_base_of_64_bit_code);
    tcase_add_test(cases, whole_bases_are_stored);
    tcase_add_test(cases, bases_are_canonical);
    tcase_add_test(cases, code_addresses_wrap);
    tcase_add_test(cases, a_store_that_is_not_aligned_meets_no_other_breakpoint);
    tcase_add_test(cases, a_fault_forgets_breakpoints_met_on_the_way);
    tcase_add_test(cases, alignment_of_table_registers);
    tcase_add_test(cases, branches_to_nowhere_step_by_step);
    tcase_add_test(cases, breakpoints_come_before_the_fetch);
    tcase_add_test(cases, undefined_before_not_available);
    tcase_add_test(cases, lengths_of_any_size);
    tcase_add_test(cases, equal_ordered);
    tcase_add_test(cases, a_horizontal_operation_on_itself);
    tcase_add_test(cases, x87_registers_of_each_processor);
    tcase_add_test(cases, a_switch_saves_no_resume_flag);
    suite_add_tcase(suite, cases);
    return suite_run(suite);
}
