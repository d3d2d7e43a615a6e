/* SPDX-License-Identifier: MIT */
/*
 * What gates, far calls and returns check, fault by fault: SDM Vol. 2 (INT n, CALL, RET, IRET), Vol. 3, 5.8, 6.12. One thing at a time is
 * wrong with a transfer that goes well otherwise; the error codes of external interrupts have EXT set.
 */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

enum { CODE = 0x48, STACK = 0x50, GATE = 0x58, BEYOND = 0x80, NUMBER = 0x30, TARGET = FIXTURE_CODE + 0x100 };
#define FLAT(rights) (0x00cf00000000ffffull | (uint64_t)(rights) << 40)
#define SMALL(rights, limit) (0x0040000000000000ull | (limit) | (uint64_t)(rights) << 40)

BLOB32(by_int, "int 0x30");
BLOB32(by_call, ".byte 0x9a,0,0,0,0,0x5b,0");
BLOB32(by_jmp, ".byte 0xea,0,0,0,0,0x5b,0");
BLOB32(by_retf, ".byte 0xcb");
BLOB32(by_iret, "iretd");
BLOB32(at_target, "hlt");

static void user(void)
{
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        fixture_segment(f->cpu, (enum segment_register)s, SELECTOR_USER_DATA, 0xc0f3);
    fixture_segment(f->cpu, SEG_CS, SELECTOR_USER_CODE32, 0xc0fb);
}

/* ---- inwards ---- */

static const struct inward {
    const char *what;
    unsigned gate;                      /* rights; 0: a gate of DPL 3 that is present */
    unsigned selector;                  /* of the gate; 0: CODE */
    uint64_t code, stack;               /* descriptors; 0: as they should be */
    unsigned ss0, tr_limit;             /* of the TSS; 0: STACK, 67H */
    unsigned vector, error_code;        /* 0: it goes well */
    unsigned esp0;
} inwards[] = {
    { "all is well", .vector = 0 },
    { "code of the same level", .code = FLAT(0xfb) },
    { "conforming code", .code = FLAT(0x9f) },
    { "the gate is a TSS", .gate = 0xe9, .vector = VECTOR_GP, .error_code = GATE },
    { "the gate is not present", .gate = 0x60, .vector = VECTOR_NP, .error_code = GATE },
    { "the gate is the supervisor's", .gate = 0x80, .vector = VECTOR_GP, .error_code = GATE },
    { "a null selector", .selector = 3, .vector = VECTOR_GP, .error_code = 0 },
    { "code beyond the GDT", .selector = BEYOND, .vector = VECTOR_GP, .error_code = BEYOND },
    { "code in an LDT that is not there", .selector = CODE | 4, .vector = VECTOR_GP, .error_code = CODE | 4 },
    { "code is data", .code = FLAT(0x93), .vector = VECTOR_GP, .error_code = CODE },
    { "code is a system segment", .code = 0x00008b0040000067, .vector = VECTOR_GP, .error_code = CODE },
    { "code is not present", .code = FLAT(0x1b), .vector = VECTOR_NP, .error_code = CODE },
    { "the TSS has no stack", .tr_limit = 8, .vector = VECTOR_TS, .error_code = SELECTOR_TSS },
    { "the TSS ends with its stack", .tr_limit = 9 },
    { "no stack segment", .ss0 = 4 << 16, .vector = VECTOR_TS, .error_code = 0 },
    { "the stack is beyond the GDT", .ss0 = BEYOND, .vector = VECTOR_TS, .error_code = BEYOND },
    { "the stack is of another RPL", .ss0 = STACK | 3, .vector = VECTOR_TS, .error_code = STACK },
    { "the stack is of another DPL", .stack = FLAT(0xf3), .vector = VECTOR_TS, .error_code = STACK },
    { "the stack cannot be written", .stack = FLAT(0x91), .vector = VECTOR_TS, .error_code = STACK },
    { "the stack is code", .stack = FLAT(0x9b), .vector = VECTOR_TS, .error_code = STACK },
    { "the stack is not present", .stack = FLAT(0x13), .vector = VECTOR_SS, .error_code = STACK },
    { "the stack has no room", .stack = SMALL(0x93, 0xfff), .vector = VECTOR_SS, .error_code = STACK },
    { "the stack's limit is met", .stack = SMALL(0x93, 0xfff), .esp0 = 0x1000 },
    { "EIP is beyond the limit", .code = SMALL(0x9b, 0xfff), .vector = VECTOR_GP, .error_code = 0 },
};

enum road { BY_INT, BY_INTERRUPT, BY_CALL, INWARD_ROADS };

static void prepare(const struct inward *x, enum road road)
{
    unsigned type = road == BY_CALL ? 0xc : 0xe, rights = x->gate ? x->gate : 0xe0, selector = x->selector ? x->selector : CODE;
    uint64_t gate = (TARGET & 0xffff) | (uint64_t)selector << 16 | (uint64_t)(rights & 0xf ? rights : rights | type) << 40 | (uint64_t)(TARGET >> 16) << 48;

    fixture_protected(f);
    user();
    fixture_put64(f, FIXTURE_GDT + CODE, x->code ? x->code : FLAT(0x9b));
    fixture_put64(f, FIXTURE_GDT + STACK, x->stack ? x->stack : FLAT(0x93));
    fixture_put64(f, FIXTURE_GDT + GATE, gate);
    fixture_put64(f, FIXTURE_IDT + 8 * NUMBER, gate);
    memory_write32(&f->model->memory, FIXTURE_TSS + 4, x->esp0 ? x->esp0 : FIXTURE_RING0_STACK);
    memory_write32(&f->model->memory, FIXTURE_TSS + 8, !x->ss0 ? STACK : x->ss0 & 0xffff);
    f->cpu->seg[SEG_TR].limit = x->tr_limit ? x->tr_limit : 0x67;
    f->cpu->rflags = RFLAGS_FIXED | RFLAGS_IF;
    PUT(f, TARGET, at_target);
    PUT(f, FIXTURE_CODE, by_int);
    if (road == BY_CALL)
        PUT(f, FIXTURE_CODE, by_call);
}

static void go(enum road road)
{
    if (road == BY_INTERRUPT) {
        f->cpu->event = (struct event){ .valid = true, .vector = NUMBER, .type = EVENT_EXTERNAL_INTERRUPT };
        fixture_run(f);
        return;
    }
    fixture_run(f);
    if (road == BY_INT) {
        fixture_expect_event(f, NUMBER, 0, FIXTURE_CODE);
        fixture_deliver(f);
    }
}

START_TEST(inward_transfers)
{
    const struct inward *x = &inwards[_i / INWARD_ROADS];
    const enum road road = (enum road)(_i % INWARD_ROADS);
    unsigned error_code = x->error_code;

    if ((road == BY_INTERRUPT && x->gate == 0x80) || (road == BY_CALL && x->gate == 0xe9))
        return;                         /* the gate's DPL is for software; a call of a TSS is a task switch */
    if (x->error_code == GATE && road != BY_CALL)
        error_code = NUMBER * 8 + 2;
    if (road == BY_INTERRUPT)
        error_code |= 1;
    prepare(x, road);
    go(road);
    if (x->vector) {
        ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == x->vector, "%s, road %u: reason %d, vector %u", x->what, road,
                      f->stop.reason, f->stop.event.vector);
        ck_assert_msg(f->stop.event.error_code == error_code, "%s, road %u: error code %x", x->what, road, f->stop.event.error_code);
        ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE);
        ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, SELECTOR_USER_CODE32);
        ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK);
        return;
    }
    ck_assert_msg(f->stop.reason != STOP_EVENT || f->stop.event.vector == VECTOR_GP, "%s, road %u: vector %u", x->what, road, f->stop.event.vector);
    ck_assert_uint_eq(f->cpu->rip, TARGET);                             /* HLT there: #GP at CPL 3 */
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector & ~3u, CODE);
    ck_assert_uint_eq(cpu_cpl(f->cpu), x->code == FLAT(0xfb) || x->code == FLAT(0x9f) ? 3 : 0);
    if (cpu_cpl(f->cpu) == 0) {
        const uint32_t frame[] = { FIXTURE_CODE + (road == BY_INT ? 2 : road == BY_CALL ? 7 : 0), SELECTOR_USER_CODE32, RFLAGS_FIXED | RFLAGS_IF, FIXTURE_STACK,
                                   SELECTOR_USER_DATA };
        unsigned at = (x->esp0 ? x->esp0 : FIXTURE_RING0_STACK) - (road == BY_CALL ? 16 : 20);

        ck_assert_uint_eq(f->cpu->gpr[RSP], at);
        for (unsigned i = 0; i < 5; i++) {
            if (road == BY_CALL && i == 2)
                continue;               /* a call pushes no flags */
            ck_assert_msg(memory_read32(&f->model->memory, at) == frame[i], "%s, road %u: %u of the frame", x->what, road, i);
            at += 4;
        }
        ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, STACK);
        ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED | (road == BY_CALL ? RFLAGS_IF : 0));
    }
}
END_TEST

/* 5.8: JMP stays at its privilege level, through gates too. */
START_TEST(jumps_through_call_gates)
{
    static const struct {
        uint64_t code;
        unsigned vector, cpl;
    } rows[] = { { FLAT(0x9b), VECTOR_GP, 3 }, { FLAT(0xfb), 0, 3 }, { FLAT(0x9f), 0, 3 }, { FLAT(0xff), 0, 3 }, { FLAT(0xdb), VECTOR_GP, 3 } };
    const struct inward x = { .code = rows[_i].code };

    prepare(&x, BY_CALL);
    PUT(f, FIXTURE_CODE, by_jmp);
    fixture_run(f);
    if (rows[_i].vector)
        fixture_expect_event(f, rows[_i].vector, CODE, FIXTURE_CODE);
    else
        ck_assert_uint_eq(f->cpu->rip, TARGET);
    ck_assert_uint_eq(cpu_cpl(f->cpu), rows[_i].cpl);
}
END_TEST

/* ---- outwards ---- */

static const struct outward {
    const char *what;
    unsigned cs, ss;                    /* selectors; 0: CODE | 3, STACK | 3 */
    uint64_t code, stack;               /* descriptors; 0: as they should be */
    unsigned vector, error_code;
} outwards[] = {
    { "all is well", .vector = 0 },
    { "conforming code", .code = FLAT(0x9f) },
    { "code is null", .cs = 1 << 16, .vector = VECTOR_GP, .error_code = 0 },
    { "code is beyond the GDT", .cs = BEYOND | 3, .vector = VECTOR_GP, .error_code = BEYOND },
    { "code is in an LDT that is not there", .cs = CODE | 7, .vector = VECTOR_GP, .error_code = CODE | 4 },
    { "code is data", .code = FLAT(0xf3), .vector = VECTOR_GP, .error_code = CODE },
    { "code is of another DPL", .code = FLAT(0x9b), .vector = VECTOR_GP, .error_code = CODE },
    { "conforming code of a DPL above RPL", .cs = CODE | 1, .ss = STACK | 1, .code = FLAT(0xff), .stack = FLAT(0xb3), .vector = VECTOR_GP, .error_code = CODE },
    { "code is not present", .code = FLAT(0x7b), .vector = VECTOR_NP, .error_code = CODE },
    { "the stack is null", .ss = 1 << 16, .vector = VECTOR_GP, .error_code = 0 },
    { "the stack is null, of RPL 3", .ss = 3, .vector = VECTOR_GP, .error_code = 0 },
    { "the stack is beyond the GDT", .ss = BEYOND | 3, .vector = VECTOR_GP, .error_code = BEYOND },
    { "the stack is of another RPL", .ss = STACK | 1, .vector = VECTOR_GP, .error_code = STACK },
    { "the stack cannot be written", .stack = FLAT(0xf1), .vector = VECTOR_GP, .error_code = STACK },
    { "the stack is code", .stack = FLAT(0xfb), .vector = VECTOR_GP, .error_code = STACK },
    { "the stack is of another DPL", .stack = FLAT(0x93), .vector = VECTOR_GP, .error_code = STACK },
    { "the stack is not present", .stack = FLAT(0x73), .vector = VECTOR_SS, .error_code = STACK },
    { "EIP is beyond the limit", .code = SMALL(0xfb, 0xfff), .vector = VECTOR_GP, .error_code = 0 },
};

START_TEST(outward_returns)
{
    const struct outward *x = &outwards[_i / 2];
    const bool iret = _i % 2;
    uint32_t frame[5] = { TARGET, (x->cs ? x->cs : CODE | 3) & 0xffff };
    unsigned n = 2;

    fixture_protected(f);
    fixture_put64(f, FIXTURE_GDT + CODE, x->code ? x->code : FLAT(0xfb));
    fixture_put64(f, FIXTURE_GDT + STACK, x->stack ? x->stack : FLAT(0xf3));
    if (iret)
        frame[n++] = RFLAGS_FIXED | RFLAGS_CF;
    frame[n++] = 0x70000;
    frame[n++] = (x->ss ? x->ss : STACK | 3) & 0xffff;
    for (unsigned i = 0; i < n; i++)
        memory_write32(&f->model->memory, FIXTURE_STACK - 4 * n + 4 * i, frame[i]);
    f->cpu->gpr[RSP] = FIXTURE_STACK - 4 * n;
    if (iret)
        PUT(f, FIXTURE_CODE, by_iret);
    else
        PUT(f, FIXTURE_CODE, by_retf);
    PUT(f, TARGET, at_target);
    for (unsigned s = SEG_DS; s <= SEG_GS; s++)
        f->cpu->seg[s].selector = SELECTOR_DATA;
    f->cpu->seg[SEG_ES] = (struct segment){ SELECTOR_USER_DATA, 0xc0f3, 0xffffffff, 0 };
    fixture_run(f);
    if (x->vector) {
        ck_assert_msg(f->stop.reason == STOP_EVENT && f->stop.event.vector == x->vector && f->stop.event.error_code == x->error_code,
                      "%s, %s: reason %d, vector %u, error code %x", x->what, iret ? "IRET" : "RET", f->stop.reason, f->stop.event.vector,
                      f->stop.event.error_code);
        ck_assert_uint_eq(f->cpu->rip, FIXTURE_CODE);
        ck_assert_uint_eq(f->cpu->gpr[RSP], FIXTURE_STACK - 4 * n);
        ck_assert_uint_eq(cpu_cpl(f->cpu), 0);
        return;
    }
    ck_assert_uint_eq(f->cpu->rip, TARGET);
    ck_assert_uint_eq(cpu_cpl(f->cpu), 3);
    ck_assert_uint_eq(f->cpu->seg[SEG_CS].selector, CODE | 3);
    ck_assert_uint_eq(f->cpu->seg[SEG_SS].selector, STACK | 3);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x70000);
    ck_assert_uint_eq(f->cpu->seg[SEG_ES].selector, SELECTOR_USER_DATA);        /* the user's may stay, the supervisor's are gone */
    for (unsigned s = SEG_DS; s <= SEG_GS; s++)
        ck_assert_msg(f->cpu->seg[s].selector == 0 && (f->cpu->seg[s].access_rights & AR_UNUSABLE), "segment %u", s);
    if (iret)
        ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED | RFLAGS_CF);
}
END_TEST

/* A return never goes inwards. */
START_TEST(inward_returns)
{
    fixture_protected(f);
    user();
    fixture_put64(f, FIXTURE_GDT + CODE, FLAT(0x9b));
    memory_write32(&f->model->memory, FIXTURE_STACK, TARGET);
    memory_write32(&f->model->memory, FIXTURE_STACK + 4, CODE);
    memory_write32(&f->model->memory, FIXTURE_STACK + 8, RFLAGS_FIXED);
    if (_i)
        PUT(f, FIXTURE_CODE, by_iret);
    else
        PUT(f, FIXTURE_CODE, by_retf);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_GP, CODE, FIXTURE_CODE);
}
END_TEST

/* 5.8.5: a call gate copies as many parameters as it says. */
START_TEST(parameters)
{
    const struct inward x = { .what = "parameters" };

    for (unsigned count = 0; count < 32; count += 31) {
        unsigned at;

        prepare(&x, BY_CALL);
        f->ram[FIXTURE_GDT + GATE + 4] = (uint8_t)count;
        for (unsigned i = 0; i < 40; i++)
            memory_write32(&f->model->memory, FIXTURE_STACK + 4 * i, 0x1000 + i);
        fixture_run(f);
        ck_assert_uint_eq(f->cpu->rip, TARGET);
        at = FIXTURE_RING0_STACK - 16 - 4 * count;
        ck_assert_uint_eq(f->cpu->gpr[RSP], at);
        for (unsigned i = 0; i < count; i++)
            ck_assert_uint_eq(memory_read32(&f->model->memory, at + 8 + 4 * i), 0x1000 + i);
        ck_assert_uint_eq(memory_read32(&f->model->memory, at + 8 + 4 * count), FIXTURE_STACK);
    }
}
END_TEST

/* ---- LDTR and TR ---- */

BLOB32(load_ldtr, "lldt ax\n hlt");
BLOB32(load_tr, "ltr ax\n hlt");
/* Vol. 2, LLDT and LTR. */
START_TEST(system_segments)
{
    static const struct {
        const char *what;
        bool ltr;
        unsigned selector, vector, error_code;
        uint64_t descriptor;
    } rows[] = {
        { "an LDT", false, CODE, 0, 0, 0x0000820058000fff }, { "a null LDT", false, 3, 0, 0, 0 },
        { "an LDT in an LDT", false, CODE | 4, VECTOR_GP, CODE | 4, 0x0000820058000fff }, { "an LDT that is a TSS", false, CODE, VECTOR_GP, CODE, 0x0000890058000fff },
        { "an LDT that is data", false, CODE, VECTOR_GP, CODE, FLAT(0x92) }, { "an LDT that is not present", false, CODE, VECTOR_NP, CODE, 0x0000020058000fff },
        { "an LDT beyond the GDT", false, BEYOND, VECTOR_GP, BEYOND, 0 }, { "a TSS", true, CODE, 0, 0, 0x0000890058000fff },
        { "a TSS of 16 bits", true, CODE, 0, 0, 0x0000810058000fff }, { "no TSS", true, 0, VECTOR_GP, 0, 0 },
        { "a busy TSS", true, CODE, VECTOR_GP, CODE, 0x00008b0058000fff }, { "a TSS in an LDT", true, CODE | 4, VECTOR_GP, CODE | 4, 0x0000890058000fff },
        { "a TSS that is an LDT", true, CODE, VECTOR_GP, CODE, 0x0000820058000fff }, { "a TSS that is not present", true, CODE, VECTOR_NP, CODE, 0x0000090058000fff },
        { "a TSS beyond the GDT", true, BEYOND, VECTOR_GP, BEYOND, 0 },
    };
    const struct segment *seg;

    fixture_protected(f);
    fixture_put64(f, FIXTURE_GDT + CODE, rows[_i].descriptor);
    f->cpu->gpr[RAX] = rows[_i].selector;
    if (rows[_i].ltr)
        PUT(f, FIXTURE_CODE, load_tr);
    else
        PUT(f, FIXTURE_CODE, load_ldtr);
    fixture_run(f);
    seg = &f->cpu->seg[rows[_i].ltr ? SEG_TR : SEG_LDTR];
    if (rows[_i].vector) {
        fixture_expect_event(f, rows[_i].vector, rows[_i].error_code, FIXTURE_CODE);
        ck_assert_uint_eq(seg->selector, rows[_i].ltr ? SELECTOR_TSS : 0);
        return;
    }
    fixture_expect_instruction(f, INSN_hlt, FIXTURE_CODE + 3);
    ck_assert_uint_eq(seg->selector, rows[_i].selector);
    if (rows[_i].descriptor) {
        ck_assert_uint_eq(seg->base, 0x5800);
        ck_assert_uint_eq(seg->limit, 0xfff);
        ck_assert_uint_eq(f->ram[FIXTURE_GDT + CODE + 5], (rows[_i].descriptor >> 40 & 0xff) | (rows[_i].ltr ? 2 : 0));     /* busy now */
        ck_assert_uint_eq(seg->access_rights, f->ram[FIXTURE_GDT + CODE + 5]);
    } else {
        ck_assert(seg->access_rights & AR_UNUSABLE);
    }
}
END_TEST

/* ---- real-address mode ---- */

BLOB16(real_int, "int 0x30");
/* The vector must lie within the IDT's limit as a whole, its IP within the limit of CS. */
START_TEST(real_mode_vectors)
{
    static const struct {
        unsigned limit, cs_limit;
        bool well;
    } rows[] = { { 0xc3, 0xffff, true }, { 0xc2, 0xffff, false }, { 0xc0, 0xffff, false }, { 0xbf, 0xffff, false }, { 0x3ff, 0x1ff, false }, { 0x3ff, 0x200, true } };

    fixture_real_mode(f);
    f->cpu->idtr = (struct table_register){ FIXTURE_IDT, rows[_i].limit };
    memory_write32(&f->model->memory, FIXTURE_IDT + 4 * NUMBER, 0x200 | 0x1000 << 16);
    fixture_put(f, f->cpu->seg[SEG_CS].base + f->cpu->rip, real_int, (size_t)(real_int_end - real_int));
    PUT(f, 0x10200, at_target);
    f->cpu->seg[SEG_CS].limit = rows[_i].cs_limit;
    f->cpu->rflags = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_AC;
    fixture_run(f);
    fixture_deliver(f);
    if (rows[_i].well)
        fixture_expect_instruction(f, INSN_hlt, 0x200);
    if (rows[_i].well)
        ck_assert_uint_eq(f->cpu->rflags, RFLAGS_FIXED);
    else
        ck_assert(f->stop.reason == STOP_EVENT && f->stop.event.vector == VECTOR_GP);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: gates and far returns");
    TCase *tc = tcase_create("gates");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, inward_transfers, 0, (int)(sizeof inwards / sizeof inwards[0]) * INWARD_ROADS);
    tcase_add_loop_test(tc, jumps_through_call_gates, 0, 5);
    tcase_add_loop_test(tc, outward_returns, 0, (int)(sizeof outwards / sizeof outwards[0]) * 2);
    tcase_add_loop_test(tc, inward_returns, 0, 2);
    tcase_add_test(tc, parameters);
    tcase_add_loop_test(tc, system_segments, 0, 15);
    tcase_add_loop_test(tc, real_mode_vectors, 0, 6);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
