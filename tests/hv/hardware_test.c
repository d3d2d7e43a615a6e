/* SPDX-License-Identifier: MIT */
/*
 * Processors that the model is not: what they have beyond it must not reach L0's memory, or stop L0. The test stands between the core and its
 * hardware (linked with --wrap, tests/hv/hardware.opts), shows it MSRs and CPUID bits of other processors, and sees what L0 writes.
 */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "emu/native/state.h"
#include "emu/scenario/scenario.h"
#include "tests/suite.h"

static struct {
    struct { uint64_t index, value; } msr[8];   /* MSRs more than the model's; of `written` the first counts */
    unsigned msrs;
    uint32_t leaf, subleaf;                     /* of CPUID; `set`: bits of its output that are 1 */
    struct hal_cpuid set;
    uint32_t instead, reason, reason_bits;      /* of the exit reason: what the model reports, and this processor instead of it */
    uint64_t qualification_bits;                /* of EPT violations */
} extra;
static unsigned written;                        /* WRMSRs of L0 to that MSR */
static uint64_t last_written;
static uint64_t list[2];                        /* the first entry of the last VM-entry MSR-load list that hardware is given */

bool __real_hal_rdmsr(uint32_t index, uint64_t *value);
bool __wrap_hal_rdmsr(uint32_t index, uint64_t *value);
bool __wrap_hal_rdmsr(uint32_t index, uint64_t *value)
{
    for (unsigned i = 0; i < extra.msrs; i++)
        if (index == extra.msr[i].index) {
            *value = extra.msr[i].value;
            return true;
        }
    return __real_hal_rdmsr(index, value);
}

bool __real_hal_wrmsr(uint32_t index, uint64_t value);
bool __wrap_hal_wrmsr(uint32_t index, uint64_t value);
bool __wrap_hal_wrmsr(uint32_t index, uint64_t value)
{
    if (!extra.msrs || index != extra.msr[0].index)
        return __real_hal_wrmsr(index, value);
    written++;
    last_written = value;
    return true;
}

struct hal_cpuid __real_hal_cpuid(uint32_t leaf, uint32_t subleaf);
struct hal_cpuid __wrap_hal_cpuid(uint32_t leaf, uint32_t subleaf);
struct hal_cpuid __wrap_hal_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct hal_cpuid id = __real_hal_cpuid(leaf, subleaf);

    if (leaf == extra.leaf && subleaf == extra.subleaf) {
        id.eax |= extra.set.eax;
        id.ebx |= extra.set.ebx;
        id.ecx |= extra.set.ecx;
        id.edx |= extra.set.edx;
    }
    return id;
}

uint64_t __real_hal_vmread(enum vmcs_encoding field);
uint64_t __wrap_hal_vmread(enum vmcs_encoding field);
uint64_t __wrap_hal_vmread(enum vmcs_encoding field)
{
    const uint64_t value = __real_hal_vmread(field);

    if (field == VMCS_exit_reason)
        return (extra.instead && value == extra.instead ? extra.reason : value) | extra.reason_bits;
    if (field == VMCS_exit_qualification && __real_hal_vmread(VMCS_exit_reason) == EXIT_REASON_ept_violation)
        return value | extra.qualification_bits;
    return value;
}

static uint64_t leaf;                           /* the last entry written for what is no RAM, at or above HOLE */
#define HOLE 0xe0000000ull
bool __real_hal_pm_write64(physical_address pa, uint64_t value);
bool __wrap_hal_pm_write64(physical_address pa, uint64_t value);
bool __wrap_hal_pm_write64(physical_address pa, uint64_t value)
{
    if ((value & 0xffffffff000) >= HOLE)
        leaf = value;
    return __real_hal_pm_write64(pa, value);
}

bool __real_hal_pm_write(physical_address pa, const void *from, size_t length);
bool __wrap_hal_pm_write(physical_address pa, const void *from, size_t length);
bool __wrap_hal_pm_write(physical_address pa, const void *from, size_t length)
{
    if (length == sizeof list)
        memcpy(list, from, length);
    return __real_hal_pm_write(pa, from, length);
}

static struct hal_registers entered;            /* with which L0 last entered its guest */
static unsigned check_level, check_entries;     /* a machine check comes to L0 before an entry into this level, behind so many others */
enum hal_result __real_hal_enter(struct hal_registers *registers, bool launch);
enum hal_result __wrap_hal_enter(struct hal_registers *registers, bool launch);
enum hal_result __wrap_hal_enter(struct hal_registers *registers, bool launch)
{
    entered = *registers;
    if (check_level && native_here->level == check_level && !check_entries--) {
        check_level = 0;
        return HAL_MACHINE_CHECK;
    }
    return __real_hal_enter(registers, launch);
}

static unsigned flushes, clears;                /* of the L1 data cache, of buffers */
void __real_hal_flush_l1d(void);
void __wrap_hal_flush_l1d(void);
void __wrap_hal_flush_l1d(void)
{
    flushes++;
    __real_hal_flush_l1d();
}

void __real_hal_clear_buffers(void);
void __wrap_hal_clear_buffers(void);
void __wrap_hal_clear_buffers(void)
{
    clears++;
    __real_hal_clear_buffers();
}

/* A local APIC in xAPIC mode, of which these registers are written; its version register has this. */
static uint32_t apic_version, apic_register[0x40];
bool __real_hal_mmio_read32(physical_address pa, uint32_t *value);
bool __wrap_hal_mmio_read32(physical_address pa, uint32_t *value);
bool __wrap_hal_mmio_read32(physical_address pa, uint32_t *value)
{
    *value = apic_version;
    return pa.value == 0xfee00030 || __real_hal_mmio_read32(pa, value);
}

bool __real_hal_mmio_write32(physical_address pa, uint32_t value);
bool __wrap_hal_mmio_write32(physical_address pa, uint32_t value);
bool __wrap_hal_mmio_write32(physical_address pa, uint32_t value)
{
    if (pa.value >> 12 != 0xfee00)
        return __real_hal_mmio_write32(pa, value);
    apic_register[pa.value >> 4 & 0x3f] = value;
    return true;
}

static void setup(void)
{
    memset(apic_register, 0xee, sizeof apic_register);
    apic_version = 0;
    memset(&extra, 0, sizeof extra);
    memset(list, 0, sizeof list);
    written = check_level = check_entries = flushes = clears = 0;
}

static const char *const strategy[] = { "trap", "copy", "flip" };
#define NESTED                                                                                                      \
    "l1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\nl1 prepare region 0x11000\nl1 vmclear 0x11000\n"      \
    "l1 vmptrld 0x11000\nl1 prepare vmcs\n"

/* NULL, or what was not as expected. */
static const char *run(unsigned which, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *run(unsigned which, const char *format, ...)
{
    static struct scenario_error error;
    struct program program;
    struct scenario_options options = { 0 };
    char text[2048], whole[2200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "l0 native %s\n%s", strategy[which], text);
    error = (struct scenario_error){ "" };
    ck_assert_msg(scenario_parse_text(whole, strlen(whole), "test", &program, &error), "%s", error.text);
    const bool good = scenario_run(&program, &options, NULL, &error);
    scenario_free(&program);
    return good ? NULL : error.text;
}
#define RUN(...) do { const char *why_ = run(__VA_ARGS__); ck_assert_msg(!why_, "%s", why_); } while (0)

/*
 * By each of these the processor writes memory past EPT, or at linear addresses in root operation: PEBS, Intel PT, DS area, hardware
 * feedback; or what L0 needs would be gone. Whatever road L1 takes, the value does not arrive.
 */
static const struct { uint32_t index; uint64_t value; bool harmless_by_wrmsr; } forbidden[] = {
    { 0x3f1, 1 }, { 0x3f4, 0x1000 }, { 0x560, 0x100000 }, { 0x561, 0x7f }, { 0x570, 1 }, { 0x580, 1 }, { 0x600, 0x100000 },
    { 0x982, 1 }, { 0x17d0, 0x100001 }, { 0x17d1, 1 }, { 0x17d4, 1 }, { 0xda0, 1u << 8 }, { 0x33, 1u << 28 }, { 0x1a0, 1ull << 34 },
    { 0x79, 0x100000, true },                   /* WRMSR in non-root operation loads nothing */
};

START_TEST(forbidden_by_wrmsr)
{
    extra.msr[0].index = forbidden[_i].index;
    extra.msrs = 1;
    if (forbidden[_i].harmless_by_wrmsr)
        return;
    RUN(0, "l1 wrmsr 0x%x 0x%llx\nexpect exit wrmsr to=l0\nexpect fault 13 0\n", forbidden[_i].index,
        (unsigned long long)forbidden[_i].value);
    RUN(0, NESTED "l1 set proc.use_msr_bitmaps\nl1 fill 0x20000 0\nl1 vmwrite msr_bitmap_address 0x20000\nl1 vmlaunch\n"
        "l2 wrmsr 0x%x 0x%llx\nexpect exit wrmsr to=l0\nexpect fault 13 0\n", forbidden[_i].index, (unsigned long long)forbidden[_i].value);
    ck_assert_uint_eq(written, 0);
}
END_TEST

START_TEST(forbidden_in_the_exit_list)
{
    extra.msr[0].index = forbidden[_i / 3].index;
    extra.msrs = 1;
    RUN(_i % 3, NESTED "l1 write 0x20000 8 0x%x\nl1 write 0x20008 8 0x%llx\nl1 vmwrite exit_msr_load_address 0x20000\n"
        "l1 vmwrite exit_msr_load_count 1\nl1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid\nexpect state activity 2\n",
        forbidden[_i / 3].index, (unsigned long long)forbidden[_i / 3].value);
    ck_assert_uint_eq(written, 0);
}
END_TEST

START_TEST(forbidden_in_the_entry_list)
{
    RUN(_i % 3, NESTED "l1 write 0x20000 8 0x%x\nl1 write 0x20008 8 0x%llx\nl1 vmwrite entry_msr_load_address 0x20000\n"
        "l1 vmwrite entry_msr_load_count 1\nl1 vmlaunch\nexpect entry failed\nl1 vmread exit_qualification\nexpect value 1\n",
        forbidden[_i / 3].index, (unsigned long long)forbidden[_i / 3].value);
    ck_assert_uint_eq((uint32_t)list[0], forbidden[_i / 3].index);
    ck_assert_uint_ne(list[0] >> 32, 0);        /* what hardware is given is an entry that it refuses, whatever it has */
}
END_TEST

/* What only looks like those passes. */
START_TEST(others_pass)
{
    extra.msrs = 1;
    extra.msr[0].index = 0x33;
    RUN(0, "l1 wrmsr 0x33 0x20000000\nexpect exit wrmsr to=l0\n");      /* split-lock detection: L0 locks nothing across two lines */
    ck_assert_uint_eq(written, 1);
    ck_assert_uint_eq(last_written, 0x20000000);
    extra.msr[0].index = 0xda0;
    RUN(0, "l1 wrmsr 0xda0 0x800\nexpect exit wrmsr to=l0\n");
    ck_assert_uint_eq(written, 2);
    extra.msr[0].index = 0xcf;
    extra.msr[0].value = 1u << 4 | 1u << 5;
    RUN(0, "l1 rdmsr 0xcf\nexpect value 0x20\n");
}
END_TEST

/* 18.4.1: in root operation TR and BTS would store branches of L0's, at addresses of L1's choice. */
START_TEST(branches_are_not_stored_in_l0)
{
    extra.msr[0].index = MSR_ia32_debugctl;
    extra.msrs = 1;
    RUN(0, NESTED "l1 write 0x20000 8 0x1d9\nl1 write 0x20008 8 0x%x\nl1 vmwrite exit_msr_load_address 0x20000\n"
        "l1 vmwrite exit_msr_load_count 1\nl1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid\nexpect state activity 2\n", 1u << (6 + _i));
    ck_assert_uint_eq(written, 0);
}
END_TEST

/* CPUID says nothing of what is hidden. */
START_TEST(cpuid_hides)
{
    static const struct { uint32_t leaf, subleaf, of, bits; } hidden[] = {
        { 1, 0, 2, 1u << 6 | 1u << 2 | 1u << 4 }, { 1, 0, 3, 1u << 21 }, { 6, 0, 0, 1u << 19 | 1u << 23 }, { 7, 0, 1, 1u << 25 },
        { 7, 0, 2, 1u << 13 }, { 7, 0, 3, 1u << 18 }, { 7, 1, 2, 1u << 5 }, { 7, 1, 0, 1u << 26 | 1u << 27 }, { 0xd, 1, 2, 1u << 8 }, { 0x14, 0, 0, 1 },
        { 0x14, 1, 1, ~0u }, { 0x23, 0, 0, 1u << 4 | 1u << 5 },
    };
    static const unsigned gpr[] = { RAX, RBX, RCX, RDX };

    extra.leaf = hidden[_i].leaf;
    extra.subleaf = hidden[_i].subleaf;
    (&extra.set.eax)[hidden[_i].of] = ~0u;
    RUN(0, "l1 cpuid 0x%x %u\nexpect exit cpuid to=l0\n", hidden[_i].leaf, hidden[_i].subleaf);
    ck_assert_uint_eq(entered.gpr[gpr[hidden[_i].of]] & hidden[_i].bits, 0);
    ck_assert(entered.gpr[gpr[hidden[_i].of]] || hidden[_i].leaf == 0x14);      /* and no more than that */
}
END_TEST

/* CR4.LAM_SUP exists in this processor; to L1 it does not, for L0 takes operands' addresses as they are. */
START_TEST(linear_address_masking)
{
    extra.msr[0].index = MSR_ia32_vmx_cr4_fixed1;
    extra.msr[0].value = 0x1f77ff | 1u << 28;
    extra.msrs = 1;
    RUN(_i, "l1 mov_to_cr 4 0x10000020\nexpect exit cr_access to=l0\nexpect fault 13 0\nl1 rdmsr ia32_vmx_cr4_fixed1\nexpect value 0x1f77ff\n");
}
END_TEST

/* 25.9.1: bit 27 says that the exit came in an enclave; what it is does not depend on that. L1 is told of its L2. */
START_TEST(an_exit_in_an_enclave)
{
    extra.reason_bits = 1u << 27;
    RUN(_i, "l1 cpuid 0\nexpect exit cpuid to=l0\nl1 rdmsr ia32_apic_base\n");
    if (strcmp(strategy[_i], "flip"))           /* with which L1 reads hardware's own field */
        RUN(_i, NESTED "l1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid\nl1 vmread exit_reason\nexpect value 0x%x\n", 1u << 27 | EXIT_REASON_cpuid);
}
END_TEST

/* Unconditional exits of newer instructions: #UD for L1; L2's are L1's. */
START_TEST(instructions_that_the_model_lacks)
{
    static const uint32_t reason[] = { 76, 77, 84, 85 };

    extra.instead = EXIT_REASON_xsetbv;
    extra.reason = reason[_i / 3];
    RUN(_i % 3, "l1 mov_to_cr 4 0x40020\nl1 xsetbv 0 1\nexpect fault 6\n");
    if (_i % 3 < 2)
        RUN(_i % 3, NESTED "l1 vmlaunch\nl2 mov_to_cr 4 0x42020\nl2 xsetbv 0 1\nexpect exit xsetbv\nl1 vmread exit_reason\nexpect value %u\n",
            reason[_i / 3]);
}
END_TEST

/* 28.2.1: bit 12 of an EPT violation's qualification is undefined with "NMI exiting" and without "virtual NMIs". */
START_TEST(unblocking_by_iret_undefined)
{
    static const struct { const char *set; unsigned blocking; } row[] = {
        { "l1 set pin.nmi_exiting\n", 0 }, { "l1 set pin.nmi_exiting\nl1 set pin.virtual_nmis\n", 8 }, { "", 8 },
    };

    extra.qualification_bits = 1u << 12;
    RUN(_i / 3, NESTED "l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n%sl1 vmlaunch\nl2 read 0x300000 8\n"
        "expect exit ept_violation to=l0\nexpect state interruptibility %u\n", row[_i % 3].set, row[_i % 3].blocking);
}
END_TEST

/* 12.11: by MTRRs, in EPT01 and, below write-back, in shadow EPTs. */
START_TEST(types_of_what_is_no_ram)
{
    static const struct { uint64_t at; unsigned type; bool large; } row[] = {
        { 0xe0000000, MEMORY_UC, true }, { 0xe0200000, MEMORY_WB, true }, { 0xe0400000, MEMORY_UC, false }, { 0xe0401000, MEMORY_WB, false },
        { 0xe0600000, MEMORY_WC, true }, { 0xe0800000, MEMORY_WT, true },
    };
    static const uint64_t variable[] = { 0xe0200006, 0xffffe00800, 0xe0401006, 0xfffffff800, 0xe0600001, 0xffffe00800 };

    extra.msr[0].index = 0xfe;
    extra.msr[0].value = 0x503;                 /* three variable ranges, and fixed ones */
    extra.msr[1].index = 0x2ff;
    extra.msr[1].value = row[_i].type == MEMORY_WT ? 0xc04 : 0xc00;
    for (unsigned i = 0; i < 6; i++) {
        extra.msr[2 + i].index = 0x200 + i;
        extra.msr[2 + i].value = variable[i];
    }
    extra.msrs = 8;
    RUN(0, "l1 read 0x%llx 4\nexpect exit ept_violation to=l0\n", (unsigned long long)row[_i].at);
    ck_assert_uint_eq(leaf >> 3 & 7, row[_i].type);
    ck_assert_int_eq(leaf >> 7 & 1, row[_i].large);
    RUN(0, NESTED "l1 prepare ept 0x400000\nl1 ept map 0x400000 0x300000 0x%llx rwx\nl1 prepare vmcs ept=0x400000\nl1 vmlaunch\n"
        "l2 read 0x300000 4\nexpect exit ept_violation to=l0\n", (unsigned long long)row[_i].at);
    ck_assert_uint_eq(leaf >> 3 & 7, row[_i].type == MEMORY_WB ? MEMORY_WB : MEMORY_UC);
}
END_TEST

/* A page has one address: with a key in it there is nothing. */
START_TEST(keys_are_no_addresses)
{
    extra.leaf = 7;
    extra.set.ecx = 1u << 13;
    extra.msr[0].index = 0x982;
    extra.msr[0].value = 6ull << 32 | 3;
    extra.msrs = 1;
    RUN(_i, NESTED "l1 prepare ept 0x400000\nl1 ept map 0x400000 0x300000 0x%llx rwx\nl1 prepare vmcs ept=0x400000\nl1 vmlaunch\n"
        "l2 read 0x300000 8\nexpect exit ept_violation to=l1\n", 1ull << 34 | 0x300000);
}
END_TEST

/* What the processor stores already when L0 comes would go on; what L0 needs would not be there. */
static const struct { uint64_t index, value, harmless; const char *text; uint32_t leaf, ebx, edx; } refused[] = {
    { 0x3f1, 1, 0, "IA32_PEBS_ENABLE", 1, 0, 1u << 21 },
    { 0x570, 1, 0, "IA32_RTIT_CTL", 7, 1u << 25, 0 },
    { 0x33, 1u << 28, 1u << 29, "TEST_CTRL", 0, 0, 0 },
    { 0x1a0, 1ull << 34, 0x51801, "IA32_MISC_ENABLE", 0, 0, 0 },
};
START_TEST(what_may_not_be_beneath_the_guest_is_refused)
{
    const char *why;

    extra.msr[0].index = refused[_i].index;
    extra.msr[0].value = refused[_i].value;
    extra.msrs = 1;
    extra.leaf = refused[_i].leaf;
    extra.set = (struct hal_cpuid){ .ebx = refused[_i].ebx, .edx = refused[_i].edx };
    why = run(0, "l1 cpuid 0\n");
    ck_assert_ptr_nonnull(why);
    ck_assert_msg(strstr(why, refused[_i].text), "%s", why);
    extra.msr[0].value = refused[_i].harmless;
    RUN(0, "l1 cpuid 0\n");
}
END_TEST

/* L1's INIT: of a local APIC with so many LVT entries those and no others are masked. */
START_TEST(registers_of_the_local_apic_after_init)
{
    static const uint8_t lvt[] = { 0x32, 0x35, 0x36, 0x37, 0x34, 0x33, 0x2f };

    apic_version = 0x14 | (uint32_t)_i << 16;
    RUN(0, "init\n");
    for (int i = 0; i < 7; i++)
        ck_assert_uint_eq(apic_register[lvt[i]], i <= _i ? 0x10000 : 0xeeeeeeee);
    ck_assert(!apic_register[0x38] && !apic_register[0x3e] && !apic_register[0x08] && !apic_register[0x0d]);
    ck_assert(apic_register[0x0e] == 0xffffffff && apic_register[0x0f] == 0xff);
}
END_TEST

/* A machine check that comes to L0 is its guest's: L1's, L2's, or L1's exit. With CR4.MCE clear it shuts L1 down. */
START_TEST(a_machine_check_in_l0)
{
    static const struct { unsigned level, entries; const char *text; } row[] = {
        { 1, 5, "l1 mov_to_cr 4 0x60\nl1 cpuid 0\nl1 cpuid 0\nl1 cpuid 0\nl1 cpuid 0\nl1 cpuid 0\nexpect event 0x12\nl1 cpuid 0\n" },
        { 1, 5, "l1 mov_to_cr 4 0x20\nl1 cpuid 0\nl1 cpuid 0\nl1 cpuid 0\nl1 cpuid 0\nl1 cpuid 0\nexpect state activity 2\n" },
        { 2, 0, NESTED "l1 vmlaunch\nexpect event 0x12\nexpect level l2\n" },
        { 2, 0, NESTED "l1 vmwrite exception_bitmap 0x40000\nl1 vmlaunch\nexpect exit vmlaunch\nl1 vmread exit_reason\nexpect value 0\n"
                "l1 vmread exit_interruption_information\nexpect value 0x80000312\n" },
        /* An event waits: it comes first. */
        { 2, 0, NESTED "l1 vmwrite entry_interruption_information 0x80000306\nl1 vmlaunch\nexpect event 18\nexpect exit nmi_window to=l0\n"
                "expect level l2\n" },
        /* In the wait-for-SIPI state no event can be delivered (27.3.1.5); an exit can be told. */
        { 2, 0, NESTED "l1 vmwrite guest_activity_state 3\nl1 vmwrite host_cr4 0x2060\nl1 vmlaunch\nexpect state activity 3\nexpect level l2\n"
                "sipi 0x10\nexpect exit startup_ipi to=l1\nexpect event 0x12\nexpect level l1\nl1 vmread exit_reason\nexpect value 4\n" },
        { 2, 0, NESTED "l1 vmwrite guest_activity_state 3\nl1 vmwrite exception_bitmap 0x40000\nl1 vmlaunch\nexpect exit vmlaunch\n"
                "l1 vmread exit_reason\nexpect value 0\nl1 vmread exit_interruption_information\nexpect value 0x80000312\n" },
    };

    check_level = row[_i / 3].level;
    check_entries = row[_i / 3].entries;
    RUN(_i % 3, "%s", row[_i / 3].text);
    ck_assert_uint_eq(check_level, 0);
}
END_TEST

/* Each entry to L2 clears what the processor would leak, L0's own entries included; none where it needs none. */
START_TEST(barriers_before_l2)
{
    static const struct { uint32_t edx; uint64_t capabilities; unsigned flushes, clears; } row[] = {
        { 0, 0, 0, 0 }, { 1u << 10, 0, 0, 2 }, { 1u << 28, 0, 2, 0 }, { 1u << 10 | 1u << 28, 0, 2, 2 },
        { 1u << 10 | 1u << 28 | 1u << 29, 1, 0, 2 }, { 1u << 28 | 1u << 29, 1 << 3, 0, 0 }, { 1u << 10 | 1u << 29, 1 << 5, 0, 2 },
        { 1u << 10 | 1u << 29, 0xe120, 0, 0 }, { 1u << 28, 1, 2, 0 },   /* without bit 29 there is no MSR to ask */
    };

    extra.leaf = 7;
    extra.set.edx = row[_i / 3].edx;
    extra.msr[0].index = 0x10a;
    extra.msr[0].value = row[_i / 3].capabilities;
    extra.msrs = 1;
    RUN(_i % 3, NESTED "l1 set proc.use_msr_bitmaps\nl1 fill 0x20000 0\nl1 vmwrite msr_bitmap_address 0x20000\nl1 cpuid 0\nl1 vmlaunch\n"
        "l2 rdmsr ia32_misc_enable\nexpect exit rdmsr to=l0\n");
    ck_assert_uint_eq(flushes, row[_i / 3].flushes);
    ck_assert_uint_eq(clears, row[_i / 3].clears);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv hardware");
    TCase *tcase = tcase_create("all");
    const int forbiddens = sizeof forbidden / sizeof *forbidden;

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_loop_test(tcase, forbidden_by_wrmsr, 0, forbiddens);
    tcase_add_loop_test(tcase, forbidden_in_the_exit_list, 0, 3 * forbiddens);
    tcase_add_loop_test(tcase, forbidden_in_the_entry_list, 0, 3 * forbiddens);
    tcase_add_test(tcase, others_pass);
    tcase_add_loop_test(tcase, branches_are_not_stored_in_l0, 0, 5);
    tcase_add_loop_test(tcase, cpuid_hides, 0, 12);
    tcase_add_loop_test(tcase, linear_address_masking, 0, 3);
    tcase_add_loop_test(tcase, an_exit_in_an_enclave, 0, 3);
    tcase_add_loop_test(tcase, instructions_that_the_model_lacks, 0, 12);
    tcase_add_loop_test(tcase, unblocking_by_iret_undefined, 0, 9);
    tcase_add_loop_test(tcase, types_of_what_is_no_ram, 0, 6);
    tcase_add_loop_test(tcase, keys_are_no_addresses, 0, 3);
    tcase_add_loop_test(tcase, what_may_not_be_beneath_the_guest_is_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_loop_test(tcase, registers_of_the_local_apic_after_init, 0, 7);
    tcase_add_loop_test(tcase, a_machine_check_in_l0, 0, 21);
    tcase_add_loop_test(tcase, barriers_before_l2, 0, 27);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
