/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and far calls through gates in 64-bit mode: SDM Vol. 3, 5.8.3.1, 6.14; Vol. 2, INT n and CALL. What differs from
 * engine_gate_test.c: gates of 16 bytes, stacks that are aligned, the IST, no stack segment.
 */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); fixture_long_mode(f); }
static void teardown(void) { fixture_close(f); }

enum { NUMBER = 0x30, GATE = 0x58, CODE = 0x48, TARGET = FIXTURE_CODE + 0x100, IST1 = FIXTURE_TSS + 0x24, POINTER = 0x60000 };

BLOB(by_int, "int 0x30");
BLOB(by_call, "call fword ptr [0x60000]");
BLOB(at_target, "hlt");

static void user(unsigned level)
{
    if (level == 0)
        return;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        fixture_segment(f->cpu, (enum segment_register)s, SELECTOR_USER_DATA, 0xc0f3);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE64, 0xa0fb);
}

/* 6.14.2, 6.14.4, 6.14.5: where the frame is, what it holds, and what SS is then. */
START_TEST(frames)
{
    const unsigned ist = (unsigned)_i % 8, level = _i / 8 % 2 ? 3 : 0, off = (unsigned)_i / 16 * 5 % 16;
    const bool code = _i / 16 & 1;
    uint64_t top, at;

    user(level);
    fixture_gate(f, NUMBER, TARGET, 0);
    fixture_gate(f, VECTOR_NP, TARGET, 0);
    f->ram[FIXTURE_IDT + 16 * (code ? VECTOR_NP : NUMBER) + 4] |= ist;
    for (unsigned i = 0; i < 7; i++)
        fixture_put64(f, IST1 + 8 * i, FIXTURE_RING0_STACK - 0x200 * (i + 1) + off);
    fixture_put64(f, FIXTURE_TSS + 4, FIXTURE_RING0_STACK - 0x100 + off);
    f->cpu->gpr[RSP] = FIXTURE_STACK - 0x100 + off;
    f->cpu->rflags = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_CF;
    f->cpu->event = code ? (struct event){ .valid = true, .vector = VECTOR_NP, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = true, .error_code = 0x1234 }
                         : (struct event){ .valid = true, .vector = NUMBER, .type = EVENT_EXTERNAL_INTERRUPT };
    top = (ist ? FIXTURE_RING0_STACK - 0x200 * ist : level ? FIXTURE_RING0_STACK - 0x100 : FIXTURE_STACK - 0x100) + off;
    at = (top & ~15ull) - (code ? 48 : 40);
    f->cpu->seg[SEG_SS].base = 0x5000;          /* has no meaning here */
    f->cpu->dr[0] = at;
    f->cpu->dr7 = 0x400 | 1 | 9 << 16;          /* writes of 8 bytes */
    ck_assert_int_eq(event_deliver(f->cpu), STATUS_OK);
    ck_assert_uint_eq(f->cpu->pending_debug & 0xf, 1);
    ck_assert_uint_eq(f->cpu->gpr[RSP], at);
    if (code) {
        ck_assert_uint_eq(fixture_get64(f, at), 0x1234);
        at += 8;
    }
    ck_assert_uint_eq(fixture_get64(f, at), FIXTURE_CODE);
    ck_assert_uint_eq(fixture_get64(f, at + 8), level ? SELECTOR_USER_CODE64 : SELECTOR_CODE64);
    ck_assert_uint_eq(fixture_get64(f, at + 16) & ~(uint64_t)RFLAGS_RF, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_CF);
    ck_assert_uint_eq(fixture_get64(f, at + 24), FIXTURE_STACK - 0x100 + off);
    ck_assert_uint_eq(fixture_get64(f, at + 32), level ? SELECTOR_USER_DATA : SELECTOR_DATA);
    ck_assert_uint_eq(f->cpu->rip, TARGET);
    ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED | RFLAGS_CF);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, SELECTOR_CODE64);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, level ? 0 : SELECTOR_DATA);
    ck_assert_int_eq(!(f->cpu->seg[SEG_SS].access_rights & AR_UNUSABLE), !level);
    ck_assert_uint_eq(cpu_cpl(f->cpu), 0);
}
END_TEST

/* One thing is wrong with an INT n, or a call through a gate, from CPL 3. */
static const struct fault {
    const char *what;
    bool call;
    uint64_t set, clear;                /* bits of the gate's low half that are turned over; and of its high half */
    unsigned code_high;                 /* high half of the code's descriptor; 0: 64-bit code of level 0 */
    unsigned tr_limit;                  /* 0: 67H */
    uint64_t stack;                     /* RSP0; 0: as it should be */
    unsigned vector, error_code;        /* 0: it goes well */
} faults[] = {
    { "an interrupt", false, .vector = 0 },
    { "a call", true, .vector = 0 },
    { "the gate is not present", false, .set = 1ull << 47, .vector = VECTOR_NP, .error_code = NUMBER * 8 + 2 },
    { "the gate is not present", true, .set = 1ull << 47, .vector = VECTOR_NP, .error_code = GATE },
    { "the gate is the supervisor's", false, .set = 3ull << 45, .vector = VECTOR_GP, .error_code = NUMBER * 8 + 2 },
    { "the gate is the supervisor's", true, .set = 3ull << 45, .vector = VECTOR_GP, .error_code = GATE },
    { "the gate is of 32 bits, busy TSS", false, .set = 5ull << 40, .vector = VECTOR_GP, .error_code = NUMBER * 8 + 2 },
    { "the gate's selector is null", false, .set = (uint64_t)CODE << 16, .vector = VECTOR_GP, .error_code = 0 },
    { "the gate's selector is null", true, .set = (uint64_t)CODE << 16, .vector = VECTOR_GP, .error_code = 0 },
    { "the upper half has a type", true, .clear = 1ull << 40, .vector = VECTOR_GP, .error_code = GATE },
    { "the upper half has a type", true, .clear = 0x10ull << 40, .vector = VECTOR_GP, .error_code = GATE },
    { "the target is not canonical", false, .clear = 1ull << 31, .vector = VECTOR_GP, .error_code = 0 },
    { "the target is not canonical", true, .clear = 1ull << 31, .vector = VECTOR_GP, .error_code = 0 },
    { "code of 32 bits", false, .code_high = 0x00cf9b00, .vector = VECTOR_GP, .error_code = CODE },
    { "code of 32 bits", true, .code_high = 0x00cf9b00, .vector = VECTOR_GP, .error_code = CODE },
    { "code of 16 bits", true, .code_high = 0x000f9b00, .vector = VECTOR_GP, .error_code = CODE },
    { "L and D", false, .code_high = 0x00ef9b00, .vector = VECTOR_GP, .error_code = CODE },
    { "L and D", true, .code_high = 0x00ef9b00, .vector = VECTOR_GP, .error_code = CODE },
    { "data", false, .code_high = 0x00af9300, .vector = VECTOR_GP, .error_code = CODE },
    { "data", true, .code_high = 0x00af9300, .vector = VECTOR_GP, .error_code = CODE },
    { "the code is not present", false, .code_high = 0x00af1b00, .vector = VECTOR_NP, .error_code = CODE },
    { "the code is not present", true, .code_high = 0x00af1b00, .vector = VECTOR_NP, .error_code = CODE },
    { "the TSS has no stack", false, .tr_limit = 10, .vector = VECTOR_TS, .error_code = SELECTOR_TSS },
    { "the TSS has no stack", true, .tr_limit = 10, .vector = VECTOR_TS, .error_code = SELECTOR_TSS },
    { "the TSS ends with its stack", false, .tr_limit = 11 },
    { "the TSS ends with its stack", true, .tr_limit = 11 },
    { "the stack is not canonical", false, .stack = 1ull << 63, .vector = VECTOR_SS, .error_code = 0 },
    { "the stack is not canonical", true, .stack = 1ull << 63, .vector = VECTOR_SS, .error_code = 0 },
    { "a call does not align its stack", true, .stack = FIXTURE_RING0_STACK - 5 },
};

START_TEST(gates)
{
    const struct fault *x = &faults[_i];
    const uint64_t gate = x->call ? FIXTURE_GDT + GATE : FIXTURE_IDT + 16 * NUMBER, stack = x->stack ? x->stack : FIXTURE_RING0_STACK;
    const uint64_t low = (TARGET & 0xffff) | CODE << 16 | (uint64_t)(x->call ? 0xec00 : 0xee00) << 32 | (uint64_t)(TARGET >> 16) << 48;
    uint64_t frame[5], at = (x->call ? stack : stack & ~15ull) - (x->call ? 32 : 40);
    unsigned n = 0;

    user(3);
    fixture_put64(f, FIXTURE_GDT + CODE, (uint64_t)(x->code_high ? x->code_high : 0x00af9b00) << 32 | 0xffff);
    fixture_put64(f, gate, low ^ x->set);
    fixture_put64(f, gate + 8, x->clear);
    fixture_put64(f, FIXTURE_TSS + 4, stack);
    f->cpu->seg[SEG_TR].limit = x->tr_limit ? x->tr_limit : 0x67;
    memory_write32(&f->model->memory, POINTER, 0x12345678);
    memory_write32(&f->model->memory, POINTER + 4, GATE | 3);
    if (x->call)
        PUT(f, FIXTURE_CODE, by_call);
    else
        PUT(f, FIXTURE_CODE, by_int);
    PUT(f, TARGET, at_target);
    f->cpu->rflags |= RFLAGS_IF;
    fixture_run(f);
    if (!x->call) {
        fixture_expect_event(f, NUMBER, 0, FIXTURE_CODE);
        fixture_deliver(f);
    }
    if (x->vector) {
        ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == x->vector && f->stop.event.error_code == x->error_code,
                      "%s, call %d: reason %d, vector %u, error code %x", x->what, x->call, f->stop.reason, f->stop.event.vector, f->stop.event.error_code);
        ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE);
        ck_assert_uint_eq(cpu_cpl(f->cpu), 3);
        ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
        return;
    }
    fixture_expect_instruction(f, INSN_hlt, TARGET);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, CODE);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, 0);
    ck_assert_uint_eq(f->cpu->gpr[RSP], at);
    frame[n++] = FIXTURE_CODE + (x->call ? by_call_end - by_call : 2);
    frame[n++] = SELECTOR_USER_CODE64;
    if (!x->call)
        frame[n++] = RFLAGS_FIXED | RFLAGS_IF;
    frame[n++] = FIXTURE_STACK;
    frame[n++] = SELECTOR_USER_DATA;
    for (unsigned i = 0; i < n; i++)
        ck_assert_msg(fixture_get64(f, at + 8 * i) == frame[i], "%s: %u of the frame", x->what, i);
}
END_TEST

/* Vol. 2, LLDT and LTR: descriptors of 16 bytes. */
BLOB(load_ldtr, "lldt ax\n hlt");
BLOB(load_tr, "ltr ax\n hlt");
START_TEST(system_segments)
{
    static const struct {
        const char *what;
        unsigned type;
        uint64_t high;
        unsigned limit, vector;         /* of the GDT */
    } rows[] = {
        { "with a base above 4 GB", 0x89, 0x12, 0x7f, 0 }, { "an LDT with a base above 4 GB", 0x82, 0x7fff, 0x7f, 0 },
        { "a negative base", 0x89, 0xffffffff, 0x7f, 0 }, { "a base that is not canonical", 0x89, 0x80000000, 0x7f, VECTOR_GP },
        { "an LDT whose base is not canonical by 57 bits", 0x82, 0x1000000, 0x7f, VECTOR_GP }, { "the whole of it is in the GDT", 0x89, 0, CODE + 15, 0 },
        { "its last byte is not", 0x89, 0, CODE + 14, VECTOR_GP }, { "half of it is not", 0x82, 0, CODE + 7, VECTOR_GP },
        { "busy", 0x8b, 0, 0x7f, VECTOR_GP }, { "of 16 bits", 0x81, 0, 0x7f, VECTOR_GP }, { "its upper half has a type", 0x89, 1ull << 40, 0x7f, VECTOR_GP },
    };
    const bool ltr = rows[_i].type & 1;
    const uint64_t low = 0x80000058000fffull | (uint64_t)rows[_i].type << 40;
    const struct segment *seg = &f->cpu->seg[ltr ? SEG_TR : SEG_LDTR];

    f->cpu->gdtr.limit = rows[_i].limit;
    fixture_put64(f, FIXTURE_GDT + CODE, low);
    fixture_put64(f, FIXTURE_GDT + CODE + 8, rows[_i].high);
    f->cpu->gpr[RAX] = CODE;
    if (ltr)
        PUT(f, FIXTURE_CODE, load_tr);
    else
        PUT(f, FIXTURE_CODE, load_ldtr);
    fixture_run(f);
    if (rows[_i].vector) {
        ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == rows[_i].vector, "%s", rows[_i].what);
        fixture_expect_event(f, rows[_i].vector, CODE, FIXTURE_CODE);
        ck_assert_uint_eq(seg->selector, ltr ? SELECTOR_TSS : 0);
        ck_assert_uint_eq(fixture_get64(f, FIXTURE_GDT + CODE), low);
        return;
    }
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 3);
    ck_assert_uint_eq(seg->selector, CODE);
    ck_assert_uint_eq(seg->base, rows[_i].high << 32 | 0x5800);
    ck_assert_uint_eq(fixture_get64(f, FIXTURE_GDT + CODE), low | (ltr ? 2ull << 40 : 0));
    ck_assert_uint_eq(fixture_get64(f, FIXTURE_GDT + CODE + 8), rows[_i].high);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_gate64");
    TCase *tcase = tcase_create("gates of 64-bit mode");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, frames, 0, 16 * 4);
    tcase_add_loop_test(tcase, gates, 0, sizeof faults / sizeof faults[0]);
    tcase_add_loop_test(tcase, system_segments, 0, 11);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
