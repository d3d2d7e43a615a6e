/* SPDX-License-Identifier: MIT */
/*
 * An L0 that breaks a rule is told which. The core is the real one; between it and its HAL stand the functions below
 * (linked with --wrap, tests/hv/faults.opts), and each plants a fault that an L0 could have.
 */
#include <stdio.h>

#include "hv/core.h"
#include "tests/script.h"

enum fault {
    NO_FAULT,
    ADDRESS_OF_L1,          /* a VMCS field (detail) holds an address in L1's memory */
    WRITES_ACTIVE,          /* the current VMCS's region is written before an entry */
    FORGETS_VMCLEAR,
    SHARES_VMCS,            /* a processor also loads the VMCS that another one runs */
    LINKS_ALWAYS,           /* the link pointer is set where it should be all ones */
    MAPS_POOL,              /* the EPT leaf for this page (detail), the n-th one written, leads to the pool */
    FORGETS_INVEPT,
    TAKES_PAGE,             /* L1's CPUID costs it a page; INVEPT on that processor comes first, if detail is 1 */
    OTHER_HOST_STATE,       /* in a VMCS field (detail) */
    READS_TWICE,            /* what is read as `detail` is read again */
    SAYS_NOTHING,           /* of the exits that it handles */
    KEEPS_PAGES,
    FORGETS_INVVPID,
    /* of what giving a page needs (hv/pages.c): */
    KICKS_NOBODY,
    WAITS_FOR_NOBODY,       /* nor kicks: the other processor is taken for one that remembers nothing */
    FORGETS_INVEPT_THERE,   /* on the processor that is kicked */
    SAYS_SO_FIRST,          /* it says that it has forgotten the page, and only then begins to */
    KEEPS_SHADOWS,          /* but invalidates */
    KEEPS_MAPPING,          /* of the page in EPT01 */
    PARKS_WITH_MEMORY,      /* the wait-for-SIPI state is entered without INVEPT before */
    DAWDLES,                /* no fault: who was kicked is slow to come to its next entry */
};
static enum fault fault;
static uint64_t detail;
static unsigned count;                  /* what is planted from the count-th occasion on; 0: it was */

#define PAGE_TAKEN PA(0x300000)

/* ---- faults: the HAL's function is __real_NAME, ours stands before it ---- */

#define STANDS_BEFORE(type, name, ...)                                                                              \
    type __real_##name(__VA_ARGS__);                                                                                \
    type __wrap_##name(__VA_ARGS__);                                                                                \
    type __wrap_##name(__VA_ARGS__)

static enum hal_datum datum_read;
static physical_address entered_on_0;   /* the VMCS that processor 0 entered last */
static physical_address current[2];      /* of each processor: the VMCS that it loaded last */

STANDS_BEFORE(void, hal_reading, enum hal_datum datum)
{
    datum_read = datum;
    __real_hal_reading(datum);
}

STANDS_BEFORE(bool, hal_pm_read, physical_address pa, void *to, size_t length)
{
    const bool again = fault == READS_TWICE && datum_read == detail;

    return __real_hal_pm_read(pa, to, length) && (!again || __real_hal_pm_read(pa, to, length));
}

STANDS_BEFORE(bool, hal_pm_write64, physical_address pa, uint64_t value)
{
    const uint64_t address = 0x000ffffffffff000, large = 1 << 7;

    if (fault == MAPS_POOL && value & large && (value & address) == detail && count && !--count)
        value = (value & ~address) | (hal_pool().base.value & ~0x1fffffull);
    return __real_hal_pm_write64(pa, value);
}

static unsigned disabled, open_to_kicks;        /* how often L0 disabled the local APIC; and a kick could have been sent, or was on its way */
STANDS_BEFORE(bool, hal_wrmsr, uint32_t index, uint64_t value)
{
    if (index == MSR_ia32_apic_base && !(value & APIC_BASE_ENABLE)) {
        const struct presence *p = ((const struct hv_cpu *)hal_cpu_local())->presence;
        disabled++;
        open_to_kicks += p->own_init || !(p->unreachable || ((const struct hv_machine *)hal_machine_local())->lock);
    }
    return __real_hal_wrmsr(index, value);
}

STANDS_BEFORE(void, hal_vmwrite, enum vmcs_encoding field, uint64_t value)
{
    if (fault == ADDRESS_OF_L1 && field == detail)
        value = 0x20000 | (value & 0xfff);      /* an EPT pointer says more in its low bits */
    if (fault == LINKS_ALWAYS && field == VMCS_vmcs_link_pointer)
        value = hal_pool().base.value;
    if (fault == OTHER_HOST_STATE && field == detail)
        value += 8;
    __real_hal_vmwrite(field, value);
}

STANDS_BEFORE(enum hal_result, hal_vmclear, physical_address vmcs)
{
    return fault == FORGETS_VMCLEAR && count && !--count ? HAL_OK : __real_hal_vmclear(vmcs);
}

STANDS_BEFORE(enum hal_result, hal_vmptrld, physical_address vmcs)
{
    if (fault == SHARES_VMCS && hal_cpu_index())
        __real_hal_vmptrld(entered_on_0);
    current[hal_cpu_index() & 1] = vmcs;
    return __real_hal_vmptrld(vmcs);
}

STANDS_BEFORE(enum hal_result, hal_enter, struct hal_registers *registers, bool launch)
{
    if (fault == WRITES_ACTIVE)
        hal_pm_write64(PA(current[hal_cpu_index() & 1].value + 64), 0);
    if (!hal_cpu_index())
        entered_on_0 = current[0];
    return __real_hal_enter(registers, launch);
}

STANDS_BEFORE(enum hal_result, hal_invept, uint64_t type, uint64_t eptp)
{
    struct hv_machine *m = hal_machine_local();

    if (fault == SAYS_SO_FIRST && hal_cpu_index() && m->given.count) {
        m->presence[hal_cpu_index()].seen = m->given.count;
        hal_pause();
    }
    if (fault == FORGETS_INVEPT || (fault == FORGETS_INVEPT_THERE && hal_cpu_index()) || fault == PARKS_WITH_MEMORY)
        return HAL_OK;
    return __real_hal_invept(type, eptp);
}

STANDS_BEFORE(bool, hal_kick, unsigned cpu, enum hal_kick kind)
{
    if (fault == WAITS_FOR_NOBODY)
        ((struct hv_machine *)hal_machine_local())->presence[cpu].place = PLACE_NOWHERE;
    return fault == WAITS_FOR_NOBODY || fault == KICKS_NOBODY || __real_hal_kick(cpu, kind);
}

STANDS_BEFORE(void, vept_empty_all, struct hv_cpu *cpu)
{
    for (unsigned i = 0; fault == KEEPS_SHADOWS && i < VEPT_ROOTS; i++)
        if (cpu->nested.vept.root[i].ept.root.value)
            __real_hal_invept(INVEPT_SINGLE, ept_pointer(&cpu->nested.vept.root[i].ept) | EPTP_ACCESSED_DIRTY * detail);
    if (fault != KEEPS_SHADOWS)
        __real_vept_empty_all(cpu);
}

STANDS_BEFORE(bool, ept_unmap, struct ept *ept, uint64_t gpa)
{
    return fault == KEEPS_MAPPING || __real_ept_unmap(ept, gpa);
}

STANDS_BEFORE(enum hal_result, hal_invvpid, uint64_t type, uint16_t vpid, uint64_t linear)
{
    return fault == FORGETS_INVVPID ? HAL_OK : __real_hal_invvpid(type, vpid, linear);
}

STANDS_BEFORE(void, hal_page_free, physical_address page)
{
    if (fault != KEEPS_PAGES)
        __real_hal_page_free(page);
}

STANDS_BEFORE(void, hal_log, enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (fault == SAYS_NOTHING && event == HAL_EVENT_HANDLED)
        return;
    for (unsigned i = 0; fault == DAWDLES && event == HAL_EVENT_HANDLED && a == EXIT_REASON_init_signal && i < 9; i++)
        hal_pause();
    if (fault == TAKES_PAGE && event == HAL_EVENT_HANDLED && a == EXIT_REASON_cpuid) {
        if (detail)
            __real_hal_invept(2, 0);
        hal_own(PAGE_TAKEN, 1, HAL_OWNER_L0);
    }
    __real_hal_log(event, a, b, c, d);
}

/* Of the page that L0 took for itself last: was it zeroed before? */
static physical_address taken;
static bool taken_zeroed;

STANDS_BEFORE(void, hal_own, physical_address page, uint64_t pages, enum hal_owner owner)
{
    if (owner == HAL_OWNER_L0 && pages == 1) {
        uint8_t bytes[PAGE_SIZE];
        taken = page;
        taken_zeroed = __real_hal_pm_read(page, bytes, sizeof bytes);
        for (unsigned i = 0; i < sizeof bytes; i++)
            taken_zeroed &= !bytes[i];
    }
    __real_hal_own(page, pages, owner);
}

/* ---- scenarios ---- */

#define ROOT IN_ROOT("l1")
#define L2 ROOT "l1 prepare vmcs\n"
#define L2_EPT ROOT "l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n"
/* One list for both purposes: that is no fault. */
#define LISTS                                                                                                       \
    "l1 write 0x20000 8 0xc0000081\nl1 vmwrite exit_msr_store_address 0x20000\nl1 vmwrite exit_msr_store_count 1\n"  \
    "l1 vmwrite exit_msr_load_address 0x20000\nl1 vmwrite exit_msr_load_count 1\n"                                  \
    "l1 vmlaunch\nl2 vmcall\nexpect exit vmcall to=l1\n"

#define MSR_BITMAP "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address 0x20000\n"
#define ROUND_TRIP "l1 vmlaunch\nl2 vmcall\nexpect exit vmcall to=l1\n"
#define USE_EPT "l1 vmlaunch\nl2 read 0x300000 8\nl2 vmcall\nexpect exit vmcall to=l1\n"
/* The second processor uses the page, as L1 or L2, and the first one gives it. */
#define GIVE "cpu 0\nl1 register rax 0x53716731\nl1 register rbx 0x300000\nl1 vmcall\n"
#define CPUS_2 "machine cpus=2\n"
#define SECOND                                                                                                      \
    "cpu 1\nl1 prepare vmx\nl1 prepare region 0x18000\nl1 vmxon 0x18000\nl1 prepare region 0x19000\n"                \
    "l1 vmclear 0x19000\nl1 vmptrld 0x19000\nl1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n"
#define SECOND_L1 "cpu 1\nl1 read 0x300000 8\n" GIVE
#define SECOND_L2 SECOND "l1 vmlaunch\nl2 read 0x300000 8\n" GIVE
/* L2 without paging: what it leaves in the TLB has no VPID. */
#define UNPAGED                                                                                                     \
    "l1 set proc2.unrestricted_guest\nl1 clear entry.ia32e_mode_guest\nl1 vmwrite guest_cr0 0x21\n"                  \
    "l1 vmwrite guest_cs_access_rights 0xc09b\n"
#define USE_VPID "l1 set proc.activate_secondary_controls\nl1 set proc2.enable_vpid\n"                                \
                 "l1 vmwrite virtual_processor_identifier 7\n"

enum { TRAP = 1, COPY = 2, FLIP = 4, ALL = 7 };         /* the strategies that can have the fault */
static const struct {
    const char *rule;       /* or what the machine says instead */
    unsigned strategies;
    enum fault fault;
    uint64_t detail;
    unsigned count;
    const char *header, *text;
} row[] = {
    { "R1", ALL, ADDRESS_OF_L1, VMCS_msr_bitmap_address, 0, "", L2 MSR_BITMAP ROUND_TRIP },
    { "R1", ALL, ADDRESS_OF_L1, VMCS_ept_pointer, 0, "", L2_EPT ROUND_TRIP },
    { "R1", COPY | FLIP, ADDRESS_OF_L1, VMCS_vmread_bitmap_address, 0, "", L2 ROUND_TRIP },
    { "R2", ALL, WRITES_ACTIVE, 0, 0, "", "l1 cpuid 0\n" },
    { "R2", FLIP, FORGETS_VMCLEAR, 0, 6, "", L2 ROUND_TRIP },       /* five regions are cleared when L0 starts */
    { "R2", FLIP, FORGETS_VMCLEAR, 0, 7, "", L2 ROUND_TRIP },
    { "R2", ALL, SHARES_VMCS, 0, 0, "machine cpus=2\n", "cpu 1\n" },
    { "R3", ALL, LINKS_ALWAYS, 0, 0, "", "l1 cpuid 0\n" },
    { "R4", ALL, MAPS_POOL, 0x200000, 1, "", "l1 read 0x300000 8\n" },
    { "R4", ALL, MAPS_POOL, 0x200000, 2, "", L2_EPT USE_EPT },
    { "R4", ALL, MAPS_POOL, 0, 2, "", L2_EPT USE_EPT },                      /* where L2's paging structures are */
    { "R4", ALL, FORGETS_INVEPT, 0, 0, "", L2_EPT USE_EPT "l1 invept 2 0\nl1 cpuid 0\n" },
    { "R4", ALL, TAKES_PAGE, 0, 0, "", "l1 read 0x300000 8\nl1 cpuid 0\n" },
    { "R4", ALL, TAKES_PAGE, 1, 0, "", "l1 read 0x300000 8\nl1 cpuid 0\nl1 read 0x300000 8\n" },
    { "R4", ALL, TAKES_PAGE, 1, 0, "machine cpus=2\n",             /* the other processor remembers it */
      "cpu 1\nl1 read 0x300000 8\ncpu 0\nl1 cpuid 0\n" },
    { "R4", ALL, WAITS_FOR_NOBODY, 0, 0, CPUS_2, SECOND_L1 },
    { "R4", ALL, WAITS_FOR_NOBODY, 0, 0, CPUS_2, SECOND_L2 },
    { "R4", ALL, FORGETS_INVEPT_THERE, 0, 0, CPUS_2, SECOND_L1 },
    { "R4", ALL, FORGETS_INVEPT_THERE, 0, 0, CPUS_2, SECOND_L2 },
    { "R4", ALL, SAYS_SO_FIRST, 0, 0, CPUS_2, SECOND_L1 },
    { "R4", ALL, SAYS_SO_FIRST, 0, 0, CPUS_2, SECOND_L2 },
    { "R4", ALL, KEEPS_SHADOWS, 0, 0, CPUS_2, SECOND_L2 "cpu 1\nl2 read 0x301000 8\nl2 read 0x300000 8\n"
                                                       "expect exit ept_violation to=l1\n" },
    { "R4", ALL, KEEPS_MAPPING, 0, 0, CPUS_2, SECOND_L1 "cpu 1\nl1 read 0x300000 8\nexpect fault 13\n" },
    { "R4", ALL, PARKS_WITH_MEMORY, 0, 0, CPUS_2, SECOND
      "l1 read 0x300000 8\nl1 vmwrite guest_activity_state 3\nl1 vmlaunch\nexpect state activity 3\n" GIVE },
    { "waits for another processor without end", ALL, KICKS_NOBODY, 0, 0, CPUS_2, SECOND_L1 },
    { "waits for another processor without end", ALL, KICKS_NOBODY, 0, 0, CPUS_2, SECOND_L2 },
    { "R5", ALL, OTHER_HOST_STATE, VMCS_host_rip, 0, "", "l1 cpuid 0\n" },
    { "R5", ALL, OTHER_HOST_STATE, VMCS_host_rsp, 0, "", "l1 cpuid 0\n" },
    { "R5", ALL, OTHER_HOST_STATE, VMCS_host_fs_base, 0, "", "l1 cpuid 0\n" },
    { "R5", ALL, OTHER_HOST_STATE, VMCS_host_idtr_base, 0, "", "l1 cpuid 0\n" },
    { "R5", ALL, OTHER_HOST_STATE, VMCS_host_ia32_sysenter_esp, 0, "", "l1 cpuid 0\n" },
    { "R8", ALL, READS_TWICE, HAL_DATUM_OPERAND, 0, "", ROOT },
    { "R8", ALL, READS_TWICE, HAL_DATUM_PAGING_ENTRY, 0, "", ROOT },
    { "R8", ALL, READS_TWICE, HAL_DATUM_REGION, 0, "", ROOT },
    { "R8", ALL, READS_TWICE, HAL_DATUM_PAGING_ENTRY, 0, "", L2_EPT USE_EPT },
    { "R8", ALL, READS_TWICE, HAL_DATUM_BITMAP, 0, "", L2 MSR_BITMAP ROUND_TRIP },
    { "R8", ALL, READS_TWICE, HAL_DATUM_ENTRY_MSR_LIST, 0, "",
      L2 "l1 write 0x20000 8 0xc0000081\nl1 vmwrite entry_msr_load_address 0x20000\nl1 vmwrite entry_msr_load_count 1\n"
         "l1 vmlaunch\n" },
    { "R8", ALL, READS_TWICE, HAL_DATUM_EXIT_MSR_STORE_LIST, 0, "", L2 LISTS },
    { "R8", ALL, READS_TWICE, HAL_DATUM_EXIT_MSR_LOAD_LIST, 0, "", L2 LISTS },
    { "R9", ALL, SAYS_NOTHING, 0, 0, "", "l1 cpuid 0\nl1 cpuid 0\n" },
    { "R10", ALL, KEEPS_PAGES, 0, 0, "", L2_EPT USE_EPT "l1 vmxoff\n" },
    { "R10", ALL, KEEPS_PAGES, 0, 0, "machine cpus=2\n", "cpu 1\nl1 cpuid 0\ncpu 0\n" L2_EPT USE_EPT "l1 vmxoff\n" },
    { "R10", ALL, FORGETS_INVEPT, 0, 0, "", L2_EPT UNPAGED USE_EPT "l1 vmxoff\n" },
    { "R10", ALL, FORGETS_INVVPID, 0, 0, "", L2 USE_VPID "l1 vmlaunch\nl2 read 0x300000 8\nl2 vmcall\n"
                                             "expect exit vmcall to=l1\nl1 vmxoff\n" },
};

static const char *const strategy[] = { "trap", "copy", "flip" };
enum { ROWS = sizeof row / sizeof *row, STRATEGIES = sizeof strategy / sizeof *strategy };

static bool run_with(int i, enum fault planted)
{
    char text[4096];

    snprintf(text, sizeof text, "%sl0 native %s\n%s", row[i / STRATEGIES].header, strategy[i % STRATEGIES],
             row[i / STRATEGIES].text);
    fault = planted;
    detail = row[i / STRATEGIES].detail;
    count = row[i / STRATEGIES].count;
    return script_run(text, NULL);
}

START_TEST(the_rule_says_so)
{
    const char *rule = row[_i / STRATEGIES].rule;
    char named[64];

    if (!(row[_i / STRATEGIES].strategies >> _i % STRATEGIES & 1))
        return;
    snprintf(named, sizeof named, rule[0] == 'R' ? "rule %s " : "%s", rule);
    ck_assert_msg(!run_with(_i, row[_i / STRATEGIES].fault), "nothing was broken by fault %d", row[_i / STRATEGIES].fault);
    ck_assert_msg(strstr(error.text, named), "%s%s", named, error.text);
}
END_TEST

START_TEST(and_says_nothing_without_the_fault)
{
    ck_assert_msg(run_with(_i, NO_FAULT), "%s", error.text);
}
END_TEST

START_TEST(who_is_slow_is_waited_for)
{
    fault = DAWDLES;
    ck_assert_msg(script_run("machine cpus=2\nl0 native trap\n" SECOND_L1, NULL), "%s", error.text);
    ck_assert_msg(script_run("machine cpus=2\nl0 native flip\n" SECOND_L2, NULL), "%s", error.text);
}
END_TEST

START_TEST(a_given_page_is_zeroed_and_then_l0s)
{
    fault = NO_FAULT;
    taken = PA(0);
    ck_assert_msg(script_run("machine cpus=2\nl0 native trap\nl1 write 0x300ff8 8 0x123456\n" SECOND_L1, NULL), "%s", error.text);
    ck_assert_uint_eq(taken.value, 0x300000);
    ck_assert(taken_zeroed);
}
END_TEST

/* A disabled local APIC accepts no INIT: L0 disables it only where no kick of L0's is on its way, and none is sent. */
START_TEST(no_kick_meets_a_disabled_local_apic)
{
    static const char *const way[] = {
        "init\n", "l1 wrmsr 0x1b 0xfee00100\nl1 wrmsr 0x1b 0xfee00900\n",
        "l1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\ninit\nl1 vmxoff\n",
    };
    char text[400];

    fault = NO_FAULT;
    disabled = open_to_kicks = 0;
    snprintf(text, sizeof text, "l0 native %s\n%s", strategy[_i % 3], way[_i / 3]);
    ck_assert_msg(script_run(text, NULL), "%s", error.text);
    ck_assert_uint_eq(disabled, 1);
    ck_assert_uint_eq(open_to_kicks, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv rules");
    TCase *tests = tcase_create("all");

    tcase_add_loop_test(tests, the_rule_says_so, 0, ROWS * STRATEGIES);
    tcase_add_loop_test(tests, and_says_nothing_without_the_fault, 0, ROWS * STRATEGIES);
    tcase_add_test(tests, who_is_slow_is_waited_for);
    tcase_add_test(tests, a_given_page_is_zeroed_and_then_l0s);
    tcase_add_loop_test(tests, no_kick_meets_a_disabled_local_apic, 0, 9);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);     /* hundreds of short ones */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
