/* SPDX-License-Identifier: MIT */
/*
 * What software does wrong with the regions of VMCSs and VMXON (SDM Vol. 3, 25.11): each mistake is told once, with its region, the other
 * processor and the instruction; and the same done right is told of by nothing.
 */
#include "model/cpu/access.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

enum { OTHER_VMXON = 0xa000, RIP = 0x30123, TOLD_MAX = 8 };

static struct vmx_fixture f;
static struct cpu *one, *two;
static struct notice told[TOLD_MAX];
static unsigned count;

static void notify(void *context, const struct notice *notice)
{
    (void)context;
    if (notice->kind != NOTICE_MISTAKE && notice->kind != NOTICE_VIOLATION)
        return;
    ck_assert_uint_lt(count, TOLD_MAX);
    told[count++] = *notice;
}

static void setup(void)
{
    fixture_open_bare(&f, 2);
    one = &f.model->cpu[0], two = &f.model->cpu[1];
    fixture_region(&f, OTHER_VMXON, VMCS_REVISION);
    f.model->observer.notify = notify;
    ck_assert_int_eq(vmx_vmxon(one, FIXTURE_VMXON), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmxon(two, OTHER_VMXON), VMX_SUCCEED);
    one->rip = two->rip = RIP;
    count = 0;
}

static void teardown(void) { fixture_close(&f); }

/* Exactly one thing was said, of `who`: with these words, of this region, with that processor, at that instruction. */
static void said(const struct cpu *who, const char *words, uint64_t pa, unsigned other, uint64_t rip)
{
    ck_assert_msg(count == 1, "\"%s\": %u things were said%s%s", words, count, count ? ", first: " : "", count ? told[0].text : "");
    ck_assert_msg(strstr(told[0].text, words) != NULL, "\"%s\", wanted \"%s\"", told[0].text, words);
    ck_assert_ptr_eq(told[0].cpu, who);
    ck_assert_uint_eq(told[0].b, pa);
    ck_assert_uint_eq(told[0].a, RULE_ACTIVE_VMCS);
    ck_assert_uint_eq(told[0].c, other);
    ck_assert_uint_eq(told[0].d, rip);
    count = 0;
}

static void nothing(void) { ck_assert_msg(count == 0, "\"%s\"", told[0].text); }

static vmx_result enter(struct cpu *cpu, bool launch)
{
    vmx_result result = 99;

    if (vmx_enter(cpu, launch, &result) == STATUS_VM_ENTRY)
        ck_assert_int_eq(vmx_exit(cpu, &(struct exit_information){ .reason = EXIT_REASON_cpuid }), STATUS_VM_EXIT);
    cpu->rip = RIP;
    return result;
}

START_TEST(never_cleared)
{
    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmptrld(one, FIXTURE_LINKED), VMX_SUCCEED);
    said(one, "never prepared", FIXTURE_LINKED, 0, RIP);
    ck_assert_int_eq(vmx_vmclear(one, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmptrld(one, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmptrld(one, FIXTURE_LINKED), VMX_SUCCEED);
    nothing();
    fixture_region(&f, FIXTURE_VMCS, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmptrld(two, FIXTURE_VMCS), VMX_SUCCEED);
    said(two, "never prepared", FIXTURE_VMCS, 1, RIP);
}
END_TEST

/* VMRESUME of a VMCS that was launched: on the processor where it was, and on another one. */
START_TEST(moved)
{
    for (unsigned moves = 0; moves < 2; moves++) {
        struct cpu *to = moves ? two : one;

        fixture_vmcs(&f, one, FIXTURE_VMCS);
        ck_assert_int_eq(enter(one, true), VMX_SUCCEED);
        ck_assert_int_eq(enter(one, false), VMX_SUCCEED);
        ck_assert_int_eq(vmx_vmclear(one, FIXTURE_VMCS), VMX_SUCCEED);
        ck_assert_int_eq(vmx_vmptrld(to, FIXTURE_VMCS), VMX_SUCCEED);
        nothing();
        ck_assert_int_eq(enter(to, false), VM_ERROR_vmresume_not_launched);
        if (moves)
            said(two, "has moved", FIXTURE_VMCS, 0, RIP);
        nothing();
        ck_assert_int_eq(enter(to, true), VMX_SUCCEED);
        ck_assert_int_eq(enter(to, false), VMX_SUCCEED);
        nothing();
        ck_assert_int_eq(vmx_vmclear(to, FIXTURE_VMCS), VMX_SUCCEED);
    }
    /* One that was never launched has not moved, wherever it is resumed. */
    fixture_vmcs(&f, one, FIXTURE_LINKED);
    ck_assert_int_eq(vmx_vmclear(one, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmptrld(two, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert_int_eq(enter(two, false), VM_ERROR_vmresume_not_launched);
    nothing();
}
END_TEST

START_TEST(active_on_two)
{
    fixture_vmcs(&f, one, FIXTURE_VMCS);
    nothing();
    ck_assert_int_eq(vmx_vmptrld(two, FIXTURE_VMCS), VMX_SUCCEED);
    said(two, "active on two processors", FIXTURE_VMCS, 0, RIP);
    enter(one, true);
    said(one, "become active on another processor", FIXTURE_VMCS, 1, RIP);
    enter(two, true);
    nothing();
    f.model->vmcs_cache.vmcs[0].reported = false;
    ck_assert_int_eq(vmx_vmclear(one, FIXTURE_VMCS), VMX_SUCCEED);
    said(one, "active on another processor: execute it there", FIXTURE_VMCS, 1, RIP);
}
END_TEST

START_TEST(vmxon_regions)
{
    for (unsigned shares = 0; shares < 2; shares++) {
        ck_assert_int_eq(vmx_vmxoff(two), VMX_SUCCEED);
        two->rip = RIP;
        ck_assert_int_eq(vmx_vmxon(two, shares ? FIXTURE_VMXON : OTHER_VMXON), VMX_SUCCEED);
        two->rip = RIP;
        if (shares)
            said(two, "the VMXON region of another processor", FIXTURE_VMXON, 0, RIP);
        nothing();
    }
    /* The region stays watched as long as one of them uses it. */
    ck_assert_int_eq(vmx_vmxoff(one), VMX_SUCCEED);
    ck_assert(memory_watched(&f.model->memory, FIXTURE_VMXON) & WATCH_VMXON);
    ck_assert(!(memory_watched(&f.model->memory, OTHER_VMXON) & WATCH_VMXON));
    ck_assert_int_eq(vmx_vmxoff(two), VMX_SUCCEED);
    ck_assert(!(memory_watched(&f.model->memory, FIXTURE_VMXON) & WATCH_VMXON));
    nothing();
}
END_TEST

START_TEST(left_active)
{
    fixture_vmcs(&f, one, FIXTURE_VMCS);
    ck_assert_int_eq(vmx_vmxoff(two), VMX_SUCCEED);
    nothing();                                  /* it is the other one's */
    vmcs_at_end(f.model, false);
    nothing();
    vmcs_at_end(f.model, true);
    said(one, "the run ended with an active VMCS", FIXTURE_VMCS, 0, 0);
    ck_assert_int_eq(vmx_vmxoff(one), VMX_SUCCEED);
    said(one, "VMXOFF while a VMCS was active", FIXTURE_VMCS, 0, RIP);
    vmcs_at_end(f.model, true);                 /* that was told */
    nothing();
}
END_TEST

START_TEST(cleared_in_time)
{
    fixture_vmcs(&f, one, FIXTURE_VMCS);
    ck_assert_int_eq(vmx_vmclear(one, FIXTURE_VMCS), VMX_SUCCEED);
    vmcs_at_end(f.model, true);
    ck_assert_int_eq(vmx_vmxoff(one), VMX_SUCCEED);
    nothing();
}
END_TEST

/* Reads and writes of a program, at each place of a region: 25.2 lets it have the first 8 bytes to read, and the abort indicator. */
START_TEST(touched)
{
    static const struct { unsigned at, size; bool write; const char *words; } accesses[] = {
        { 0, 4, false, NULL }, { 4, 4, false, NULL }, { 0, 8, false, NULL }, { 0, 4, true, "revision identifier" }, { 3, 1, true, "revision identifier" },
        { 4, 4, true, NULL }, { 4, 8, false, "was read" }, { 8, 1, false, "was read" }, { 7, 2, false, "was read" }, { 8, 8, true, "was written" },
        { 7, 2, true, "was written" }, { 0xfff, 1, false, "was read" }, { 0xfff, 1, true, "was written" }, { 0x800, 4, false, "was read" }, { 0x7f8, 8, true, "was written" },
    };
    uint64_t bytes = 0;

    for (unsigned i = 0; i < sizeof accesses / sizeof accesses[0]; i++) {
        uint64_t at = FIXTURE_VMCS + accesses[i].at;

        fixture_vmcs(&f, one, FIXTURE_VMCS);
        memory_watch(&f.model->memory, FIXTURE_VMCS, WATCH_ACCESSES & ~WATCH_VMXON, true);
        nothing();
        bytes = accesses[i].at < 4 && accesses[i].write ? 0x55 : memory_read64(&f.model->memory, at);
        one->rip = RIP;
        if (accesses[i].write)
            vmcs_touched(one, at, accesses[i].size, true, RIP);
        else
            ck_assert_int_eq(linear_read(one, at, &bytes, accesses[i].size, false), STATUS_OK);
        if (accesses[i].words && count)
            said(one, accesses[i].words, FIXTURE_VMCS, 0, RIP);
        else
            ck_assert_msg(!accesses[i].words, "access %u is told of by nothing", i);
        nothing();
        f.model->vmcs_cache.vmcs[0].reported = false;
        ck_assert_int_eq(vmx_vmclear(one, FIXTURE_VMCS), VMX_SUCCEED);
        count = 0;
    }
    ck_assert_int_eq(linear_read(one, FIXTURE_VMXON + 16, &bytes, 8, false), STATUS_OK);
    said(one, "the VMXON region was accessed", FIXTURE_VMXON, 0, RIP);
    ck_assert_int_eq(linear_read(two, FIXTURE_VMXON, &bytes, 1, false), STATUS_OK);
    said(two, "the VMXON region was accessed", FIXTURE_VMXON, 1, RIP);
    ck_assert_int_eq(linear_read(one, FIXTURE_CR3, &bytes, 8, false), STATUS_OK);
    nothing();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("regions");
    TCase *tcase = tcase_create("mistakes");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, never_cleared);
    tcase_add_test(tcase, moved);
    tcase_add_test(tcase, active_on_two);
    tcase_add_test(tcase, vmxon_regions);
    tcase_add_test(tcase, left_active);
    tcase_add_test(tcase, cleared_in_time);
    tcase_add_test(tcase, touched);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
