/* SPDX-License-Identifier: MIT */
/*
 * Task switches: SDM Vol. 3, ch. 8. Each kind of TSS to each kind by each road, every field of both; then Table 8-1, fault by fault: those
 * before the commit point are the old task's and change nothing, those after it are the new one's.
 */
#include "model/cpu/segment.h"
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void) { f = fixture_open(); }
static void teardown(void) { fixture_close(f); }

enum { TASK = 0x48, GATE = 0x50, LDT = 0x58, OTHER = 0x60, OTHER_TSS = 0x5000, LDT_BASE = 0x5800, NEW_RIP = 0x100200, NEW_STACK = 0x70000 };

/* Where a TSS has what: Figures 8-2 and 8-10. Registers in the order of their numbers, segments ES, CS, SS, DS, FS, GS. */
static const struct layout {
    unsigned size, unit, ip, flags, registers, segments, segment_count, ldt;
} layouts[2] = { { 0x2c, 2, 0x0e, 0x10, 0x12, 0x22, 4, 0x2a }, { 0x68, 4, 0x20, 0x24, 0x28, 0x48, 6, 0x60 } };

static uint32_t get(unsigned tss, const struct layout *l, unsigned at)
{
    uint32_t value = memory_read32(&f->model->memory, tss + at);

    return l->unit == 2 ? value & 0xffff : value;
}

static void put(unsigned tss, const struct layout *l, unsigned at, uint32_t value)
{
    memory_write(&f->model->memory, tss + at, &value, l->unit);
}

static uint64_t tss_descriptor(unsigned base, bool wide, bool busy, unsigned limit)
{
    return limit | (uint64_t)base << 16 | (uint64_t)(0x81 | (wide ? 8 : 0) | (busy ? 2 : 0)) << 40;
}

static unsigned rights_at(unsigned selector) { return f->ram[FIXTURE_GDT + selector + 5]; }

/* Code of 16 bits lies below 64 KB. */
static uint32_t new_rip(bool wide) { return wide ? NEW_RIP : 0x8200; }

BLOB32(task_jump, ".byte 0xea,0,0,0,0,0x48,0");
BLOB32(task_call, ".byte 0x9a,0,0,0,0,0x50,0");
BLOB32(task_end, "hlt");
BLOB32(task_return, "iretd");

static void tasks(bool old_wide, bool new_wide)
{
    const struct layout *l = &layouts[new_wide];

    fixture_protected(f);
    fixture_put64(f, FIXTURE_GDT + SELECTOR_TSS, tss_descriptor(FIXTURE_TSS, old_wide, true, layouts[old_wide].size - 1));
    f->cpu->seg[SEG_TR] = (struct segment){ SELECTOR_TSS, old_wide ? 0x8b : 0x83, layouts[old_wide].size - 1, FIXTURE_TSS };
    fixture_put64(f, FIXTURE_GDT + TASK, tss_descriptor(OTHER_TSS, new_wide, false, l->size - 1));
    fixture_put64(f, FIXTURE_GDT + GATE, (uint64_t)TASK << 16 | 0x8500ull << 32);
    fixture_put64(f, FIXTURE_GDT + LDT, 0xff | (uint64_t)LDT_BASE << 16 | 0x82ull << 40);
    memset(f->ram + FIXTURE_TSS, 0xaa, 0x68);
    memset(f->ram + OTHER_TSS, 0, 0x68);
    put(OTHER_TSS, l, l->ip, new_rip(new_wide));
    put(OTHER_TSS, l, l->flags, 0xffff & ~(RFLAGS_TF | RFLAGS_NT));
    for (unsigned i = 0; i < 8; i++)
        put(OTHER_TSS, l, l->registers + l->unit * i, i == RSP ? NEW_STACK & (new_wide ? ~0u : 0xffff) : 0x11110101u * (i + 1));
    for (unsigned s = 0; s < l->segment_count; s++)
        put(OTHER_TSS, l, l->segments + l->unit * s, s == SEG_CS ? SELECTOR_CODE32 : SELECTOR_DATA);
    put(OTHER_TSS, l, l->ldt, LDT);
    PUT(f, new_rip(new_wide), task_end);
    for (unsigned i = 0; i < 8; i++)
        if (i != RSP)
            f->cpu->gpr[i] = 0x22220202u * (i + 1);
    f->cpu->rflags = RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF;
    f->cpu->dr7 = 0x7ff;
    f->cpu->cr0 &= ~CR0_TS;
}

/* _i: bit 0 the old TSS has 32 bits, bit 1 the new one, bit 2 by CALL through a task gate instead of JMP. */
START_TEST(every_field)
{
    const bool old_wide = _i & 1, new_wide = _i & 2, call = _i & 4;
    const struct layout *old = &layouts[old_wide], *new = &layouts[new_wide];
    uint32_t mask = old_wide ? ~0u : 0xffff;

    tasks(old_wide, new_wide);
    if (call)
        PUT(f, FIXTURE_CODE, task_call);
    else
        PUT(f, FIXTURE_CODE, task_jump);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, new_rip(new_wide));
    /* the old one: EIP behind the instruction to GS; neither link, stacks, CR3 nor LDT */
    ck_assert_uint_eq(get(FIXTURE_TSS, old, old->ip), (FIXTURE_CODE + 7) & mask);
    ck_assert_uint_eq(get(FIXTURE_TSS, old, old->flags), RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_msg(get(FIXTURE_TSS, old, old->registers + old->unit * i) == ((i == RSP ? FIXTURE_STACK : 0x22220202u * (i + 1)) & mask), "%u", i);
    for (unsigned s = 0; s < old->segment_count; s++)
        ck_assert_uint_eq(get(FIXTURE_TSS, old, old->segments + old->unit * s) & 0xffff, s == SEG_CS ? SELECTOR_CODE32 : SELECTOR_DATA);
    for (unsigned at = 0; at < 0x68; at++)
        if (at < old->ip || at >= old->segments + old->unit * old->segment_count)
            ck_assert_msg(f->ram[FIXTURE_TSS + at] == 0xaa, "%x of the old TSS", at);
    ck_assert_uint_eq(rights_at(SELECTOR_TSS), (old_wide ? 0x89 : 0x81) | (call ? 2 : 0));
    /* the new one */
    for (unsigned i = 0; i < 8; i++)
        ck_assert_msg((f->cpu->gpr[i] & (new_wide ? ~0u : 0xffff)) == get(OTHER_TSS, new, new->registers + new->unit * i), "register %u", i);
    ck_assert_uint_eq(f->cpu->rflags, (0x3fd5 & ~RFLAGS_TF) | RFLAGS_FIXED | (new_wide ? 0x8000 & 0x3f7fd5 : 0) | (call ? RFLAGS_NT : 0));
    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        bool there = s < new->segment_count;

        ck_assert_uint_eq(f->cpu->seg[s].selector, !there ? 0 : s == SEG_CS ? SELECTOR_CODE32 : SELECTOR_DATA);
        ck_assert_uint_eq(f->cpu->seg[s].access_rights & ~AR_UNUSABLE, !there ? f->cpu->seg[s].access_rights & ~AR_UNUSABLE : s == SEG_CS ? 0xc09b : 0xc093);
    }
    ck_assert_uint_eq(f->cpu->seg[SEG_LDTR].selector, LDT);
    ck_assert_uint_eq(f->cpu->seg[SEG_LDTR].base, LDT_BASE);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].selector, TASK);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].base, OTHER_TSS);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].access_rights, new_wide ? 0x8b : 0x83);
    ck_assert_uint_eq(rights_at(TASK), new_wide ? 0x8b : 0x83);
    ck_assert_uint_eq(memory_read32(&f->model->memory, OTHER_TSS) & 0xffff, call ? SELECTOR_TSS : 0);
    ck_assert(f->cpu->cr0 & CR0_TS);
    ck_assert_uint_eq(f->cpu->dr7, 0x6aa);                              /* L0-L3 and LE are cleared */
    if (!call)
        return;
    put(FIXTURE_TSS, old, old->ldt, 0);
    PUT(f, new_rip(new_wide), task_return);                             /* and back: the old task goes on as it was */
    PUT(f, (FIXTURE_CODE + 7) & mask, task_end);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, (FIXTURE_CODE + 7) & mask);
    ck_assert_uint_eq(rights_at(TASK), new_wide ? 0x89 : 0x81);
    ck_assert_uint_eq(rights_at(SELECTOR_TSS), old_wide ? 0x8b : 0x83);
    ck_assert_uint_eq(get(OTHER_TSS, new, new->flags) & RFLAGS_NT, 0);
    ck_assert(!(f->cpu->rflags & RFLAGS_NT));
    ck_assert_uint_eq(f->cpu->gpr[RBX] & 0xffff, 0x0808);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].selector, SELECTOR_TSS);
}
END_TEST

/* CR3 comes from a TSS of 32 bits, and with paging alone. */
START_TEST(the_new_address_space)
{
    enum { OTHER_TABLES = 0x18000 };

    tasks(true, _i != 2);
    put(OTHER_TSS, &layouts[1], 0x1c, OTHER_TABLES | 0x18);
    if (_i == 2)
        put(OTHER_TSS, &layouts[0], layouts[0].flags, 2);
    PUT(f, FIXTURE_CODE, task_jump);
    if (_i) {
        uint64_t rights = f->cpu->seg[SEG_TR].access_rights;

        memory_write32(&f->model->memory, FIXTURE_TABLES, FIXTURE_PT | 7);
        memory_write32(&f->model->memory, OTHER_TABLES, FIXTURE_PT | 7);
        for (uint32_t i = 0; i < 1024; i++)
            memory_write32(&f->model->memory, FIXTURE_PT + 4 * i, (uint32_t)fixture_page(i << 12));
        f->cpu->cr3 = FIXTURE_TABLES;
        f->cpu->cr0 |= CR0_PG | CR0_WP;
        fixture_flush(f);
        ck_assert_uint_eq(rights, 0x8b);
    }
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, new_rip(_i != 2));
    ck_assert_uint_eq(f->cpu->cr3, _i == 1 ? OTHER_TABLES | 0x18 : _i ? FIXTURE_TABLES : 0);
}
END_TEST

/* A task of virtual-8086 mode: its segments are paragraphs, whatever the GDT says. */
START_TEST(a_task_of_virtual_8086_mode)
{
    tasks(true, true);
    put(OTHER_TSS, &layouts[1], layouts[1].flags, RFLAGS_FIXED | RFLAGS_VM);
    put(OTHER_TSS, &layouts[1], layouts[1].ip, 0x200);
    for (unsigned s = 0; s < 6; s++)
        put(OTHER_TSS, &layouts[1], layouts[1].segments + 4 * s, 0x2000 + s);
    PUT(f, FIXTURE_CODE, task_jump);
    PUT(f, 0x20010 + 0x200, task_end);
    fixture_run(f);
    fixture_expect_instruction(f, INSN_hlt, 0x200);
    ck_assert_uint_eq(cpu_cpl(f->cpu), 3);
    for (unsigned s = 0; s < 6; s++) {
        ck_assert_uint_eq(f->cpu->seg[s].selector, 0x2000 + s);
        ck_assert_uint_eq(f->cpu->seg[s].base, (0x2000 + s) << 4);
        ck_assert_uint_eq(f->cpu->seg[s].limit, 0xffff);
        ck_assert_uint_eq(f->cpu->seg[s].access_rights, 0xf3);
    }
}
END_TEST

/* ---- Table 8-1 ---- */

#define DESCRIPTOR(rights) ((rights) | 0x00cf000000000000ull | 0xffff)
#define RIGHTS(byte) ((uint64_t)(byte) << 40)
enum { FIELD_CS = 0x4c, FIELD_SS = 0x50, FIELD_DS = 0x54, FIELD_GS = 0x5c, FIELD_LDT = 0x60, FIELD_EIP = 0x20 };

static const struct fault {
    const char *what;
    unsigned field, value;              /* of the new TSS; 0: none */
    uint64_t other, task;               /* descriptors: OTHER, and the new TSS; 0: as they are */
    unsigned vector, error_code;
    bool before;                        /* the commit point: the old task's fault */
} faults[] = {
    { "new TSS busy", 0, 0, 0, 0x00008b0050000067, VECTOR_GP, TASK, true },
    { "new TSS not present", 0, 0, 0, 0x0000090050000067, VECTOR_NP, TASK, true },
    { "new TSS too small", 0, 0, 0, 0x0000890050000066, VECTOR_TS, TASK, true },
    { "new TSS of 16 bits too small", 0, 0, 0, 0x000081005000002a, VECTOR_TS, TASK, true },
    { "LDT in an LDT", FIELD_LDT, LDT | 4, 0, 0, VECTOR_TS, LDT | 4, false },
    { "LDT beyond the GDT", FIELD_LDT, 0x80, 0, 0, VECTOR_TS, 0x80, false },
    { "LDT is data", FIELD_LDT, SELECTOR_DATA, 0, 0, VECTOR_TS, SELECTOR_DATA, false },
    { "LDT not present", FIELD_LDT, OTHER, RIGHTS(0x02) | 0xff, 0, VECTOR_TS, OTHER, false },
    { "CS null", FIELD_CS, 0, 0, 0, VECTOR_TS, 0, false },
    { "CS is data", FIELD_CS, SELECTOR_DATA, 0, 0, VECTOR_TS, SELECTOR_DATA, false },
    { "CS of another privilege", FIELD_CS, OTHER, DESCRIPTOR(RIGHTS(0xfb)), 0, VECTOR_TS, OTHER, false },
    { "CS conforming, of less privilege", FIELD_CS, OTHER, DESCRIPTOR(RIGHTS(0xff)), 0, VECTOR_TS, OTHER, false },
    { "CS not present", FIELD_CS, OTHER, DESCRIPTOR(RIGHTS(0x1b)), 0, VECTOR_NP, OTHER, false },
    { "SS null", FIELD_SS, 0, 0, 0, VECTOR_TS, 0, false },
    { "SS not writable", FIELD_SS, OTHER, DESCRIPTOR(RIGHTS(0x91)), 0, VECTOR_TS, OTHER, false },
    { "SS is code", FIELD_SS, SELECTOR_CODE32, 0, 0, VECTOR_TS, SELECTOR_CODE32, false },
    { "SS of another RPL", FIELD_SS, SELECTOR_DATA | 3, 0, 0, VECTOR_TS, SELECTOR_DATA, false },
    { "SS of another DPL", FIELD_SS, OTHER, DESCRIPTOR(RIGHTS(0xf3)), 0, VECTOR_TS, OTHER, false },
    { "SS not present", FIELD_SS, OTHER, DESCRIPTOR(RIGHTS(0x13)), 0, VECTOR_SS, OTHER, false },
    { "DS not readable", FIELD_DS, OTHER, DESCRIPTOR(RIGHTS(0x99)), 0, VECTOR_TS, OTHER, false },
    { "DS a system segment", FIELD_DS, LDT, 0, 0, VECTOR_TS, LDT, false },
    { "DS not present", FIELD_DS, OTHER, DESCRIPTOR(RIGHTS(0x13)), 0, VECTOR_NP, OTHER, false },
    { "GS of too little privilege", FIELD_GS, SELECTOR_DATA | 3, 0, 0, VECTOR_TS, SELECTOR_DATA, false },
    { "GS beyond the GDT", FIELD_GS, 0x80, 0, 0, VECTOR_TS, 0x80, false },
    { "EIP beyond CS", FIELD_CS, OTHER, RIGHTS(0x9b) | 0x0040000000000000ull | 0xffff, 0, VECTOR_GP, 0, false },
};

START_TEST(every_fault)
{
    const struct fault *x = &faults[_i];

    tasks(true, true);
    PUT(f, FIXTURE_CODE, task_jump);
    if (x->field)
        put(OTHER_TSS, &layouts[1], x->field, x->value);
    if (x->other)
        fixture_put64(f, FIXTURE_GDT + OTHER, x->other);
    if (x->task)
        fixture_put64(f, FIXTURE_GDT + TASK, x->task);
    fixture_run(f);
    ck_assert_msg(f->stop.reason == STOP_EVENT, "%s: reason %d", x->what, f->stop.reason);
    ck_assert_msg(f->stop.event.vector == x->vector && f->stop.event.error_code == x->error_code, "%s: vector %u, error code %x", x->what,
                  f->stop.event.vector, f->stop.event.error_code);
    ck_assert_msg(f->cpu->rip == (x->before ? FIXTURE_CODE : NEW_RIP), "%s: RIP %lx", x->what, (unsigned long)f->cpu->rip);
    ck_assert_uint_eq(f->cpu->seg[SEG_TR].selector, x->before ? SELECTOR_TSS : TASK);
    ck_assert_uint_eq(rights_at(SELECTOR_TSS), x->before ? 0x8b : 0x89);
    if (x->before)
        for (unsigned at = 0; at < 0x68; at++)
            ck_assert_uint_eq(f->ram[FIXTURE_TSS + at], 0xaa);
}
END_TEST

/* The old TSS is too small to be saved to: the old task's fault. */
START_TEST(the_old_tss_too_small)
{
    tasks(_i, true);
    f->cpu->seg[SEG_TR].limit--;
    PUT(f, FIXTURE_CODE, task_jump);
    fixture_run(f);
    fixture_expect_event(f, VECTOR_TS, SELECTOR_TSS, FIXTURE_CODE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine: tasks");
    TCase *tc = tcase_create("tasks");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, every_field, 0, 8);
    tcase_add_loop_test(tc, the_new_address_space, 0, 3);
    tcase_add_test(tc, a_task_of_virtual_8086_mode);
    tcase_add_loop_test(tc, every_fault, 0, (int)(sizeof faults / sizeof faults[0]));
    tcase_add_loop_test(tc, the_old_tss_too_small, 0, 2);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
