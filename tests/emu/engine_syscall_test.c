/* SPDX-License-Identifier: MIT */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT: every register that they load (SDM Vol. 2), in each mode; and what they refuse. */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

enum { TARGET = FIXTURE_CODE + 0x800, RSP_TO = 0x70000, FLAGS = RFLAGS_FIXED | RFLAGS_CF | RFLAGS_DF | RFLAGS_IF };
#define STAR (0x0040ull << 48 | 0x0080ull << 32)

BLOB(by_syscall, "syscall\nnop");
BLOB(by_sysretq, ".byte 0x48, 0x0f, 0x07");
BLOB(by_sysretl, ".byte 0x0f, 0x07");
BLOB(by_sysenter, "sysenter");
BLOB(by_sysexitq, ".byte 0x48, 0x0f, 0x35");
BLOB(by_sysexitl, ".byte 0x0f, 0x35");
BLOB32(by_sysenter32, "sysenter");
BLOB32(by_sysexit32, "sysexit");

enum { LONG, LEGACY };
#define CODE(name) name, name##_end
static const struct road {
    const char *what;
    const uint8_t *from, *end;
    unsigned mode, level;               /* where it begins */
    uint16_t cs, ss;
    uint32_t code_rights, data_rights;
    bool stack;                         /* RSP is loaded, too */
    uint64_t flags;                     /* afterwards */
} roads[] = {
    { "SYSCALL", CODE(by_syscall), LONG, 3, 0x80, 0x88, 0xa09b, 0xc093, false, RFLAGS_FIXED | RFLAGS_CF },
    { "SYSCALL at CPL 0", CODE(by_syscall), LONG, 0, 0x80, 0x88, 0xa09b, 0xc093, false, RFLAGS_FIXED | RFLAGS_CF },
    { "SYSRET to 64-bit code", CODE(by_sysretq), LONG, 0, 0x53, 0x4b, 0xa0fb, 0xc0f3, false, 0x3c7fd7 & ~(uint64_t)(RFLAGS_TF | RFLAGS_RF) },
    { "SYSRET to 32-bit code", CODE(by_sysretl), LONG, 0, 0x43, 0x4b, 0xc0fb, 0xc0f3, false, 0x3c7fd7 & ~(uint64_t)(RFLAGS_TF | RFLAGS_RF) },
    { "SYSENTER", CODE(by_sysenter), LONG, 3, 0x100, 0x108, 0xa09b, 0xc093, true, FLAGS & ~(uint64_t)RFLAGS_IF },
    { "SYSEXIT to 64-bit code", CODE(by_sysexitq), LONG, 0, 0x123, 0x12b, 0xa0fb, 0xc0f3, true, FLAGS },
    { "SYSEXIT to 32-bit code", CODE(by_sysexitl), LONG, 0, 0x113, 0x11b, 0xc0fb, 0xc0f3, true, FLAGS },
    { "SYSENTER, 32 bits", CODE(by_sysenter32), LEGACY, 3, 0x100, 0x108, 0xc09b, 0xc093, true, FLAGS & ~(uint64_t)RFLAGS_IF },
    { "SYSEXIT, 32 bits", CODE(by_sysexit32), LEGACY, 0, 0x113, 0x11b, 0xc0fb, 0xc0f3, true, FLAGS },
};

static void prepare(const struct road *r)
{
    static const uint8_t halt[] = { 0xf4 };

    if (r->mode == LONG)
        fixture_long_mode(f);
    else
        fixture_paging32(f);
    if (r->level == 3) {
        for (unsigned s = SEG_ES; s <= SEG_GS; s++)
            fixture_segment(f->cpu, (enum segment_register)s, SELECTOR_USER_DATA, 0xc0f3);
        fixture_segment(f->cpu, SEG_CS, r->mode == LONG ? SELECTOR_USER_CODE64 : SELECTOR_USER_CODE32, r->mode == LONG ? 0xa0fb : 0xc0fb);
    }
    CPU_MSR(f->cpu, ia32_star) = STAR;
    CPU_MSR(f->cpu, ia32_lstar) = TARGET;
    CPU_MSR(f->cpu, ia32_fmask) = RFLAGS_DF | RFLAGS_IF;
    CPU_MSR(f->cpu, ia32_sysenter_cs) = 0x101;          /* its RPL does not count */
    CPU_MSR(f->cpu, ia32_sysenter_eip) = TARGET;
    CPU_MSR(f->cpu, ia32_sysenter_esp) = RSP_TO;
    f->cpu->rflags = FLAGS;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        f->cpu->gpr[i] = 0x100000000ull * i | (0x1000 + i);
    f->cpu->gpr[RCX] = strstr(r->what, "SYSEXIT") ? RSP_TO : TARGET;
    f->cpu->gpr[RDX] = TARGET;
    f->cpu->gpr[R11] = 0xffffffffffffffffull & ~(uint64_t)(RFLAGS_TF | RFLAGS_RF);
    fixture_put(f, FIXTURE_CODE, r->from, (size_t)(r->end - r->from));
    fixture_put(f, TARGET, halt, 1);
}

START_TEST(registers)
{
    const struct road *r = &roads[_i];
    const uint64_t mask = r->mode == LONG ? ~0ull : 0xffffffff;
    uint64_t gpr[GPR_COUNT];

    prepare(r);
    memcpy(gpr, f->cpu->gpr, sizeof gpr);
    fixture_run(f);
    ck_assert_uint_eq(f->cpu->rip, TARGET);
    for (unsigned i = 0; i < 2; i++) {
        const struct segment *s = &f->cpu->seg[i ? SEG_SS : SEG_CS];

        ck_assert_msg(s->selector == (i ? r->ss : r->cs), "%s: selector %x", r->what, s->selector);
        ck_assert_msg(s->access_rights == (i ? r->data_rights : r->code_rights), "%s: rights %x", r->what, s->access_rights);
        ck_assert_uint_eq(s->base, 0);
        ck_assert_uint_eq(s->limit, 0xffffffff);
    }
    ck_assert_msg((f->cpu->rflags & ~(uint64_t)RFLAGS_RF) == r->flags, "%s: flags %lx", r->what, (unsigned long)f->cpu->rflags);
    if (!strncmp(r->what, "SYSCALL", 7)) {
        gpr[RCX] = FIXTURE_CODE + 2;
        gpr[R11] = FLAGS;
    }
    if (r->stack)
        gpr[RSP] = RSP_TO;
    for (unsigned i = 0; i < (r->mode == LONG ? GPR_COUNT : 8); i++)
        ck_assert_msg((f->cpu->gpr[i] & mask) == (gpr[i] & mask), "%s: register %u", r->what, i);
}
END_TEST

/* Addresses are cut to 32 bits on the way to 32-bit code, and must be canonical on the way to 64-bit code. */
START_TEST(addresses)
{
    const uint64_t odd = 0x8000000000000000ull;

    for (unsigned i = 0; i < sizeof roads / sizeof roads[0]; i++) {
        const struct road *r = &roads[i];
        const bool wide = strstr(r->what, "64-bit code"), sysexit = !strncmp(r->what, "SYSEXIT", 7), sysret = !strncmp(r->what, "SYSRET", 6);

        for (unsigned which = 0; which < 2; which++) {
            if (r->mode != LONG || (!sysexit && !sysret) || (sysret && which))
                continue;
            prepare(r);
            f->cpu->gpr[sysret || which ? RCX : RDX] |= odd;
            fixture_run(f);
            if (wide) {
                fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
                continue;
            }
            ck_assert_uint_eq(f->cpu->rip, TARGET);
            if (sysexit)
                ck_assert_uint_eq(f->cpu->gpr[RSP], RSP_TO);
        }
    }
}
END_TEST

START_TEST(refused)
{
    for (unsigned i = 0; i < sizeof roads / sizeof roads[0]; i++) {
        const struct road *r = &roads[i];
        const bool by_star = !strncmp(r->what, "SYSCALL", 7) || !strncmp(r->what, "SYSRET", 6), back = strstr(r->what, "RET") || strstr(r->what, "EXIT");

        prepare(r);                     /* EFER.SCE; a null IA32_SYSENTER_CS */
        if (by_star)
            CPU_MSR(f->cpu, ia32_efer) &= ~(uint64_t)EFER_SCE;
        else
            CPU_MSR(f->cpu, ia32_sysenter_cs) = 3;
        fixture_run(f);
        fixture_expect_event(f, by_star ? VECTOR_UD : VECTOR_GP, 0, FIXTURE_CODE);
        if (!back)
            continue;
        prepare(r);                     /* the way back is for CPL 0 */
        for (unsigned s = SEG_ES; s <= SEG_GS; s++)
            fixture_segment(f->cpu, (enum segment_register)s, SELECTOR_USER_DATA, 0xc0f3);
        fixture_segment(f->cpu, SEG_CS, r->mode == LONG ? SELECTOR_USER_CODE64 : SELECTOR_USER_CODE32, r->mode == LONG ? 0xa0fb : 0xc0fb);
        fixture_run(f);
        fixture_expect_event(f, VECTOR_GP, 0, FIXTURE_CODE);
        if (!by_star || r->mode != LONG)
            continue;
        prepare(r);                     /* compatibility mode */
        fixture_segment(f->cpu, SEG_CS, SELECTOR_CODE32, 0xc09b);
        fixture_run(f);
        fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + (r->from[0] == 0x48));     /* the prefix is DEC there */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_syscall");
    TCase *tcase = tcase_create("system calls");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, registers, 0, sizeof roads / sizeof roads[0]);
    tcase_add_test(tcase, addresses);
    tcase_add_test(tcase, refused);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
