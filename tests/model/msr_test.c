/* SPDX-License-Identifier: MIT */
/* MSRs by kind, EFER, DEBUGCTL, FEATURE_CONTROL, the time-stamp counter; CPUID. */
#include "model/cpu/msr.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open_bare(&f, 2);
}

static void teardown(void)
{
    fixture_close(&f);
}

static uint64_t get(uint32_t index)
{
    uint64_t value = 0x5a5a;

    ck_assert_msg(msr_read(f.cpu, index, &value), "RDMSR %x", index);
    return value;
}

static void put(uint32_t index, uint64_t value)
{
    ck_assert_msg(msr_write(f.cpu, index, value), "WRMSR %x", index);
}

static void refuse(uint32_t index, uint64_t value)
{
    uint64_t before = 0, after = 0;
    bool there = msr_read(f.cpu, index, &before);

    ck_assert_msg(!msr_write(f.cpu, index, value), "WRMSR %x of %llx", index, (unsigned long long)value);
    ck_assert(msr_read(f.cpu, index, &after) == there);
    ck_assert_uint_eq(before, after);
}

START_TEST(table)
{
    static const uint32_t indices[] = {
#define MSR(name, index, kind) (index),
#include "arch/msrs.def"
    };

    for (unsigned i = 0; i < MSR_COUNT; i++)
        ck_assert_uint_eq(msr_find(indices[i]), i);
    ck_assert_uint_eq(msr_find(0x12345), MSR_COUNT);
    ck_assert_str_eq(msr_name(MSR_ia32_efer), "ia32_efer");
    ck_assert_str_eq(msr_name(0x80b), "x2apic");
    ck_assert_str_eq(msr_name(0x800), "x2apic");
    ck_assert_str_eq(msr_name(0x8ff), "x2apic");
    ck_assert_str_eq(msr_name(0x7ff), "unknown");
    ck_assert_str_eq(msr_name(0x900), "unknown");
    for (uint32_t index = 0x7f0; index < 0x910; index++)
        ck_assert_int_eq(msr_kind(index), index >> 8 == 8 ? KIND_APIC : KIND_UNKNOWN);
    ck_assert_str_eq(msr_name(0x12345), "unknown");
}
END_TEST

START_TEST(control_flow_enforcement)
{
    uint64_t value;

    put(MSR_ia32_s_cet, 0x143f);
    ck_assert_uint_eq(get(MSR_ia32_s_cet), 0x143f);
    refuse(MSR_ia32_s_cet, 1 << 6);
    refuse(MSR_ia32_u_cet, CET_SUPPRESS | CET_TRACKER);
    refuse(MSR_ia32_u_cet, 1ull << 60);
    put(MSR_ia32_pl3_ssp, 0x1000);
    refuse(MSR_ia32_pl0_ssp, 2);
    refuse(MSR_ia32_pl0_ssp, 1ull << 60);
    refuse(MSR_ia32_interrupt_ssp_table_addr, 1ull << 60);
    f.model->capability.cr4_fixed1 &= ~CR4_CET;         /* a processor without */
    ck_assert(!msr_read(f.cpu, MSR_ia32_s_cet, &value));
    ck_assert(!msr_write(f.cpu, MSR_ia32_pl3_ssp, 0));
}
END_TEST

START_TEST(performance_counters)
{
    put(MSR_ia32_perf_global_ctrl, 0x70000000f);
    ck_assert_uint_eq(get(MSR_ia32_perf_global_ctrl), 0x70000000f);
    refuse(MSR_ia32_perf_global_ctrl, 1 << 4);
    refuse(MSR_ia32_perf_global_ctrl, 1ull << 35);
}
END_TEST

START_TEST(unknown_ones_fault)
{
    static const uint32_t unknown[] = { 0, 0x38d, 0x345, 0xc1, 0x40000000, 0xc0010000, 0xffffffff, 0x492 };
    uint64_t value;

    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        ck_assert(!msr_read(f.cpu, unknown[i], &value));
        ck_assert(!msr_write(f.cpu, unknown[i], 0));
    }
}
END_TEST

START_TEST(kinds)
{
    put(MSR_ia32_star, ~0ull);
    ck_assert_uint_eq(get(MSR_ia32_star), ~0ull);
    put(MSR_ia32_lstar, 0xffff800000000000);
    ck_assert_uint_eq(get(MSR_ia32_lstar), 0xffff800000000000);
    refuse(MSR_ia32_lstar, 1ull << 56);
    refuse(MSR_ia32_sysenter_eip, 1ull << 63);
    refuse(MSR_ia32_kernel_gs_base, 1ull << 56);
    put(MSR_ia32_tsc_aux, 0xffffffff);
    refuse(MSR_ia32_tsc_aux, 1ull << 32);
    put(MSR_ia32_fmask, 0x47700);
    put(MSR_ia32_fmask, ~0ull);
    ck_assert_uint_eq(get(MSR_ia32_fmask), 0xffffffff);
    refuse(MSR_ia32_mtrrcap, 0);
    refuse(MSR_ia32_vmx_basic, get(MSR_ia32_vmx_basic));
    ck_assert_uint_eq(get(MSR_ia32_vmx_basic) & 0x7fffffff, VMCS_REVISION);
}
END_TEST

/* Fixed ranges as firmware leaves them; each byte is a memory type of its own. */
START_TEST(mtrrs)
{
    static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

    ck_assert_uint_eq(get(MSR_ia32_mtrrcap), 0x508);        /* FIX, WC; eight variable ranges */
    ck_assert_uint_eq(get(MSR_ia32_mtrr_def_type), 0xc06);
    ck_assert_uint_eq(get(0x250), 0x0606060606060606);
    ck_assert_uint_eq(get(0x259), 0);
    ck_assert_uint_eq(get(0x26f), 0x0505050505050505);
    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        put(fixed[i], 0x0001040506000104);
        ck_assert_uint_eq(get(fixed[i]), 0x0001040506000104);
        for (unsigned byte = 0; byte < 8; byte++) {
            refuse(fixed[i], 2ull << 8 * byte);
            refuse(fixed[i], 7ull << 8 * byte);
        }
    }
    put(MSR_ia32_mtrr_def_type, 0);
    refuse(MSR_ia32_mtrr_def_type, 0xc02);
    refuse(MSR_ia32_mtrr_def_type, 0x1c06);
    refuse(MSR_ia32_mtrr_def_type, 0xd06);
}
END_TEST

/* The upper quarter of 4 GB is uncacheable, as firmware leaves it; the other ranges are free. */
START_TEST(variable_mtrrs)
{
    ck_assert_uint_eq(get(0x200), 0xc0000000);
    ck_assert_uint_eq(get(0x201), 0xffc0000800);
    for (uint32_t index = 0x202; index < 0x210; index++)
        ck_assert_uint_eq(get(index), 0);
    for (uint32_t index = 0x200; index < 0x210; index += 2) {
        put(index, 0xfffffff006);
        ck_assert_uint_eq(get(index), 0xfffffff006);
        refuse(index, 2);
        refuse(index, 7);
        for (unsigned bit = 8; bit < 12; bit++)
            refuse(index, 1u << bit);
        refuse(index, 1ull << 40);
        put(index + 1, 0xfffffff800);
        ck_assert_uint_eq(get(index + 1), 0xfffffff800);
        for (unsigned bit = 0; bit < 11; bit++)
            refuse(index + 1, 1u << bit);
        refuse(index + 1, 1ull << 40);
    }
}
END_TEST

/* SDM Vol. 3, 16.3: a machine that has found no error, and software that clears banks and turns them on. */
START_TEST(machine_check)
{
    uint64_t value;
    uint32_t banks = get(MSR_ia32_mcg_cap) & 0xff;

    ck_assert_uint_eq(get(MSR_ia32_mcg_cap), 0x104);
    put(MSR_ia32_mcg_ctl, 0);
    ck_assert_uint_eq(get(MSR_ia32_mcg_ctl), 0);
    for (uint32_t bank = 0; bank < banks; bank++) {
        ck_assert_uint_eq(get(0x400 + 4 * bank), ~0ull);
        put(0x400 + 4 * bank, 0);
        put(0x400 + 4 * bank, ~0ull);
        for (uint32_t i = 1; i < 4; i++) {
            ck_assert_uint_eq(get(0x400 + 4 * bank + i), 0);
            put(0x400 + 4 * bank + i, 0);
            refuse(0x400 + 4 * bank + i, 1ull << 63);
        }
    }
    ck_assert(!msr_read(f.cpu, 0x400 + 4 * banks, &value));
}
END_TEST

/* 15.2, 15.4, 15.10.1: time that is not idle; requests are kept; MSRs of HWP once it is enabled, until RESET. */
START_TEST(performance_and_power)
{
    uint64_t value;

    f.cpu->clock = 1000000;
    f.cpu->idle = 400000;
    ck_assert_uint_eq(get(MSR_ia32_mperf), 600000);
    put(MSR_ia32_aperf, 5);
    f.cpu->clock += 10;
    ck_assert_uint_eq(get(MSR_ia32_aperf), 15);
    ck_assert_uint_eq(get(MSR_ia32_mperf), 600010);
    ck_assert_uint_eq(get(MSR_msr_pkg_energy_status), 65);      /* 4 W for a millisecond, in units of 2^-14 J */
    ck_assert_uint_eq(get(MSR_msr_platform_info) >> 8 & 0xff, 10);
    put(MSR_ia32_perf_ctl, 0x400);
    ck_assert_uint_eq(get(MSR_ia32_perf_ctl), 0x400);
    refuse(MSR_ia32_perf_status, 0);
    ck_assert(!msr_read(f.cpu, MSR_ia32_hwp_request, &value));
    ck_assert(!msr_write(f.cpu, MSR_ia32_hwp_request, 0));
    refuse(MSR_ia32_pm_enable, 2);
    put(MSR_ia32_pm_enable, 1);
    refuse(MSR_ia32_pm_enable, 0);
    ck_assert_uint_eq(get(MSR_ia32_hwp_capabilities), 0x01040a0a);
    put(MSR_ia32_hwp_request, 0x8004080a);
    ck_assert_uint_eq(get(MSR_ia32_hwp_request), 0x8004080a);
    refuse(MSR_ia32_hwp_capabilities, 0);
    put(MSR_ia32_energy_perf_bias, 15);
    refuse(MSR_ia32_energy_perf_bias, 16);
}
END_TEST

/* SDM Vol. 3, 10.11.7.1: write 0, execute CPUID with EAX = 1, read. */
START_TEST(microcode_revision)
{
    uint32_t out[4];

    ck_assert_uint_ne(get(MSR_ia32_bios_sign_id) >> 32, 0);
    put(MSR_ia32_bios_sign_id, 0);
    ck_assert_uint_eq(get(MSR_ia32_bios_sign_id), 0);
    cpuid_execute(f.cpu, 0, 0, out);
    ck_assert_uint_eq(get(MSR_ia32_bios_sign_id), 0);
    cpuid_execute(f.cpu, 1, 0, out);
    ck_assert_uint_eq(get(MSR_ia32_bios_sign_id), MICROCODE_REVISION << 32);
}
END_TEST

START_TEST(pat)
{
    ck_assert_uint_eq(get(MSR_ia32_pat), 0x0007040600070406);
    put(MSR_ia32_pat, 0x0706050401000706);
    refuse(MSR_ia32_pat, 0x0706050401000702);
    refuse(MSR_ia32_pat, 0x0306050401000700);
    refuse(MSR_ia32_pat, 0x0806050401000700);
    refuse(MSR_ia32_pat, 0x0006050401008600);
}
END_TEST

START_TEST(efer)
{
    f.cpu->cr0 &= ~CR0_PG;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    put(MSR_ia32_efer, EFER_LME | EFER_SCE | EFER_NXE | EFER_LMA);
    ck_assert_uint_eq(get(MSR_ia32_efer), EFER_LME | EFER_SCE | EFER_NXE);      /* LMA is not software's */
    refuse(MSR_ia32_efer, 1ull << 1);
    refuse(MSR_ia32_efer, 1ull << 9);
    refuse(MSR_ia32_efer, 1ull << 12);
    refuse(MSR_ia32_efer, 1ull << 63);
    f.cpu->cr0 |= CR0_PG;
    CPU_MSR(f.cpu, ia32_efer) = EFER_LME | EFER_LMA;
    refuse(MSR_ia32_efer, 0);
    put(MSR_ia32_efer, EFER_LME | EFER_NXE);
    ck_assert_uint_eq(get(MSR_ia32_efer), EFER_LME | EFER_LMA | EFER_NXE);
    CPU_MSR(f.cpu, ia32_efer) = 0;
    refuse(MSR_ia32_efer, EFER_LME);
}
END_TEST

START_TEST(feature_control_locks)
{
    CPU_MSR(f.cpu, ia32_feature_control) = 0;
    refuse(MSR_ia32_feature_control, 2);                /* no SMX */
    put(MSR_ia32_feature_control, FEATURE_CONTROL_VMX_OUTSIDE_SMX);
    put(MSR_ia32_feature_control, FEATURE_CONTROL_LOCK);
    ck_assert_uint_eq(get(MSR_ia32_feature_control), FEATURE_CONTROL_LOCK);
    refuse(MSR_ia32_feature_control, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
    refuse(MSR_ia32_feature_control, FEATURE_CONTROL_LOCK);
}
END_TEST

START_TEST(debugctl)
{
    put(MSR_ia32_debugctl, 3);
    ck_assert_uint_eq(get(MSR_ia32_debugctl), 3);
    for (unsigned bit = 2; bit < 64; bit++)
        refuse(MSR_ia32_debugctl, 1ull << bit);
}
END_TEST

START_TEST(bases_are_the_segments)
{
    put(MSR_ia32_fs_base, 0x1234567890);
    put(MSR_ia32_gs_base, 0xffff900000000000);
    ck_assert_uint_eq(f.cpu->seg[SEG_FS].base, 0x1234567890);
    ck_assert_uint_eq(f.cpu->seg[SEG_GS].base, 0xffff900000000000);
    f.cpu->seg[SEG_GS].base = 7;
    ck_assert_uint_eq(get(MSR_ia32_gs_base), 7);
    refuse(MSR_ia32_fs_base, 1ull << 57);
}
END_TEST

START_TEST(time_stamp_counter)
{
    f.cpu->clock = 1000;
    ck_assert_uint_eq(get(MSR_ia32_time_stamp_counter), 1000);
    put(MSR_ia32_time_stamp_counter, 50);
    ck_assert_uint_eq(get(MSR_ia32_tsc_adjust), (uint64_t)-950);
    f.cpu->clock = 1010;
    ck_assert_uint_eq(get(MSR_ia32_time_stamp_counter), 60);
    put(MSR_ia32_tsc_adjust, 5);
    ck_assert_uint_eq(get(MSR_ia32_time_stamp_counter), 1015);
}
END_TEST

static uint32_t asked;

static bool apic_read(void *context, struct cpu *cpu, uint32_t index, uint64_t *value)
{
    (void)context;
    (void)cpu;
    asked = index;
    *value = 77;
    return index != 0x8ff;
}

static bool apic_write(void *context, struct cpu *cpu, uint32_t index, uint64_t value)
{
    (void)context;
    (void)cpu;
    asked = index;
    return value == 1;
}

START_TEST(the_apic_is_asked)
{
    uint64_t value;

    ck_assert(!msr_read(f.cpu, MSR_ia32_apic_base, &value));    /* none there */
    f.model->bus.apic_read_msr = apic_read;
    f.model->bus.apic_write_msr = apic_write;
    ck_assert_uint_eq(get(MSR_ia32_apic_base), 77);
    ck_assert_uint_eq(get(MSR_ia32_tsc_deadline), 77);
    ck_assert_uint_eq(get(0x802), 77);
    ck_assert_uint_eq(asked, 0x802);
    ck_assert(!msr_read(f.cpu, 0x8ff, &value));
    put(0x80b, 1);
    ck_assert_uint_eq(asked, 0x80b);
    ck_assert(!msr_write(f.cpu, 0x80b, 2));
}
END_TEST

/* ---- CPUID ---- */

static uint32_t cpuid(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    uint32_t out[4];

    cpuid_read(f.cpu, leaf, subleaf, out);
    return out[reg];
}

START_TEST(cpuid_identity)
{
    char text[49] = "";
    uint32_t out[4];

    cpuid_read(f.cpu, 0, 0, out);
    memcpy(text, &out[1], 4);
    memcpy(text + 4, &out[3], 4);
    memcpy(text + 8, &out[2], 4);
    ck_assert_str_eq(text, "GenuineIntel");
    for (uint32_t i = 0; i < 3; i++) {
        cpuid_read(f.cpu, 0x80000002 + i, 0, out);
        memcpy(text + 16 * i, out, 16);
    }
    ck_assert_str_eq(text, "Sesqui virtual CPU");
    ck_assert_uint_eq(cpuid(0x80000008, 0, 0), 57 << 8 | 40);
    f.model->physical_address_width = 46;
    ck_assert_uint_eq(cpuid(0x80000008, 0, 0) & 0xff, 46);
}
END_TEST

START_TEST(cpuid_features)
{
    uint32_t ecx = cpuid(1, 0, 2), ebx7 = cpuid(7, 0, 1);

    ck_assert(ecx & 1u << 5);                           /* VMX */
    ck_assert(!(ecx & (1u << 6 | 1u << 15 | 1u << 28 | 1u << 31)));  /* SMX PDCM AVX HV */
    ck_assert(!(ecx & 1u << 27));
    ck_assert(ecx & 1u << 3);                           /* MONITOR, while IA32_MISC_ENABLE has it */
    put(MSR_ia32_misc_enable, get(MSR_ia32_misc_enable) & ~(1ull << 18));
    ck_assert_uint_eq(cpuid(1, 0, 2), ecx & ~(1u << 3));
    ck_assert_uint_eq(cpuid(5, 0, 0), 64);
    ck_assert_uint_eq(cpuid(5, 0, 1), 64);
    ck_assert_uint_eq(cpuid(5, 0, 2), 3);
    ck_assert_uint_eq(cpuid(6, 0, 0) & (1u << 2 | 1u << 7), 1u << 2 | 1u << 7);         /* ARAT, HWP */
    ck_assert_uint_eq(cpuid(6, 0, 2), 9);               /* APERF and MPERF, ENERGY_PERF_BIAS */
    f.cpu->cr4 |= CR4_OSXSAVE;
    ck_assert(cpuid(1, 0, 2) & 1u << 27);
    ck_assert_uint_eq(ebx7 & (1u << 0 | 1u << 7 | 1u << 10 | 1u << 20), 1u << 0 | 1u << 7 | 1u << 10 | 1u << 20);
    ck_assert(!(ebx7 & (1u << 5 | 1u << 16)));          /* AVX2, AVX-512 */
    ck_assert_uint_eq(cpuid(7, 1, 1), 0);
    ck_assert_uint_eq(cpuid(0xa, 0, 0), 0);             /* no counters */
    ck_assert(cpuid(0x80000001, 0, 3) & 1u << 11);      /* SYSCALL: in 64-bit mode only */
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    ck_assert(!(cpuid(0x80000001, 0, 3) & 1u << 11));
    ck_assert_uint_eq(cpuid(0xd, 0, 0), 3);
    /* Each bit of CR4 that is allowed belongs to a feature that is enumerated. */
    ck_assert_uint_eq(!!(cr4_allowed(f.cpu) & CR4_VME), cpuid(1, 0, 3) >> 1 & 1);
    ck_assert_uint_eq(!!(cr4_allowed(f.cpu) & CR4_UMIP), cpuid(7, 0, 2) >> 2 & 1);
    ck_assert_uint_eq(!!(cr4_allowed(f.cpu) & CR4_LA57), cpuid(7, 0, 2) >> 16 & 1);
}
END_TEST

START_TEST(cpuid_topology_and_ranges)
{
    f.cpu = &f.model->cpu[1];
    ck_assert_uint_eq(cpuid(1, 0, 1) >> 24, 1);
    ck_assert_uint_eq(cpuid(1, 0, 1) >> 16 & 0xff, 2);
    ck_assert_uint_eq(cpuid(0xb, 0, 3), 1);
    ck_assert_uint_eq(cpuid(0xb, 1, 0), 1);             /* one bit numbers two */
    ck_assert_uint_eq(cpuid(0xb, 1, 2), 2 << 8 | 1);
    ck_assert_uint_eq(cpuid(0xb, 2, 1), 0);
    /* TSC frequency: crystal * EBX / EAX = 1 GHz, one tick an instruction. */
    ck_assert_uint_eq((uint64_t)cpuid(0x15, 0, 2) * cpuid(0x15, 0, 1) / cpuid(0x15, 0, 0), 1000000000);
    ck_assert_uint_eq(cpuid(0x17, 0, 0), cpuid(0x16, 0, 0));    /* beyond: the last basic leaf */
    ck_assert_uint_eq(cpuid(0x40000000, 0, 0), cpuid(0x16, 0, 0));
    ck_assert_uint_eq(cpuid(0x80000009, 0, 0), cpuid(0x16, 0, 0));
    ck_assert_uint_eq(cpuid(0x80000000, 0, 0), 0x80000008);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("msr");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, table);
    tcase_add_test(tcase, unknown_ones_fault);
    tcase_add_test(tcase, control_flow_enforcement);
    tcase_add_test(tcase, performance_counters);
    tcase_add_test(tcase, kinds);
    tcase_add_test(tcase, mtrrs);
    tcase_add_test(tcase, variable_mtrrs);
    tcase_add_test(tcase, machine_check);
    tcase_add_test(tcase, performance_and_power);
    tcase_add_test(tcase, microcode_revision);
    tcase_add_test(tcase, pat);
    tcase_add_test(tcase, efer);
    tcase_add_test(tcase, feature_control_locks);
    tcase_add_test(tcase, debugctl);
    tcase_add_test(tcase, bases_are_the_segments);
    tcase_add_test(tcase, time_stamp_counter);
    tcase_add_test(tcase, the_apic_is_asked);
    tcase_add_test(tcase, cpuid_identity);
    tcase_add_test(tcase, cpuid_features);
    tcase_add_test(tcase, cpuid_topology_and_ranges);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
