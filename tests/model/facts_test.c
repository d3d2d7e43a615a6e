/* SPDX-License-Identifier: MIT */
/*
 * Facts of the architecture once more, by number: which control a VMCS field depends on (SDM Vol. 3, Appendix B), which group a
 * check belongs to (27.1), which MSRs are read-only,
 * CPUID and the VM-exit instruction information bit by bit, what the profiles lack. The tables say the same by name;
 * whoever changes one of them has to change it here, too.
 */
#include <stddef.h>

#include "model/vmx/internal.h"
#include "model/vmx/profile.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

/* ---- fields: Appendix B, footnotes ---- */

static const struct field_fact {
    uint16_t encoding;
    uint8_t word, bit;
} field_facts[] = {
    { 0x0000, WORD_PROC2, 5 }, { 0x0002, WORD_PIN, 7 }, { 0x0004, WORD_PROC2, 18 }, { 0x0810, WORD_PROC2, 9 }, { 0x0812, WORD_PROC2, 17 },
    { 0x2004, WORD_PROC, 28 }, { 0x200e, WORD_PROC2, 17 }, { 0x2012, WORD_PROC, 21 }, { 0x2014, WORD_PROC2, 0 }, { 0x2016, WORD_PIN, 7 },
    { 0x2018, WORD_PROC2, 13 }, { 0x201a, WORD_PROC2, 1 }, { 0x201c, WORD_PROC2, 9 }, { 0x201e, WORD_PROC2, 9 }, { 0x2020, WORD_PROC2, 9 },
    { 0x2022, WORD_PROC2, 9 }, { 0x2024, WORD_PROC2, 13 }, { 0x2026, WORD_PROC2, 14 }, { 0x2028, WORD_PROC2, 14 }, { 0x202a, WORD_PROC2, 18 },
    { 0x202c, WORD_PROC2, 20 }, { 0x202e, WORD_PROC2, 15 }, { 0x2032, WORD_PROC2, 25 }, { 0x2400, WORD_PROC2, 1 }, { 0x2804, WORD_ENTRY, 14 },
    { 0x2806, WORD_ENTRY, 15 }, { 0x2808, WORD_ENTRY, 13 }, { 0x280a, WORD_PROC2, 1 }, { 0x280c, WORD_PROC2, 1 }, { 0x280e, WORD_PROC2, 1 },
    { 0x2810, WORD_PROC2, 1 }, { 0x2812, WORD_ENTRY, 16 }, { 0x2818, WORD_ENTRY, 22 }, { 0x2c00, WORD_EXIT, 19 }, { 0x2c02, WORD_EXIT, 21 },
    { 0x2c04, WORD_EXIT, 12 }, { 0x2c06, WORD_EXIT, 29 }, { 0x401c, WORD_PROC, 21 }, { 0x401e, WORD_PROC, 31 }, { 0x4020, WORD_PROC2, 10 },
    { 0x4022, WORD_PROC2, 10 }, { 0x482e, WORD_PIN, 6 }, { 0x6828, WORD_ENTRY, 20 }, { 0x682a, WORD_ENTRY, 20 }, { 0x682c, WORD_ENTRY, 20 },
    { 0x6c18, WORD_EXIT, 28 }, { 0x6c1a, WORD_EXIT, 28 }, { 0x6c1c, WORD_EXIT, 28 },
};
enum { FIELD_FACTS = sizeof field_facts / sizeof field_facts[0] };

/* A field exists exactly where its control may be 1; both halves of it. */
START_TEST(fields_exist_with_their_control)
{
    const struct field_fact *fact = &field_facts[_i];
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    struct vmx_capability c;
    bool offered = f.model->capability.word[fact->word].allowed >> fact->bit & 1;

    ck_assert_msg((vmcs_find_on(&f.model->capability, fact->encoding) < VMCS_FIELD_COUNT) == offered, "%04x", fact->encoding);
    for (unsigned word = 0; word < WORD_COUNT; word++)
        lacks.word[word] = word == fact->word ? 1u << fact->bit : 0;
    capability_init(&c, &lacks);
    ck_assert_msg(vmcs_find_on(&c, fact->encoding) == VMCS_FIELD_COUNT, "%04x without its control", fact->encoding);
}
END_TEST

/* Every encoding: those above depend on a control, the others of the table on none. */
START_TEST(fields_of_no_control)
{
    struct vmx_capability none;
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    unsigned always = 0;

    for (unsigned word = 0; word < WORD_COUNT; word++)
        lacks.word[word] = ~0u;
    capability_init(&none, &lacks);
    for (uint32_t encoding = 0; encoding < 0x8000; encoding += 2)
        always += vmcs_find_on(&none, encoding) < VMCS_FIELD_COUNT;
    for (unsigned i = 0; i < FIELD_FACTS; i++)
        ck_assert_msg(vmcs_find_on(&none, field_facts[i].encoding) == VMCS_FIELD_COUNT, "%04x", field_facts[i].encoding);
    ck_assert_uint_eq(always + FIELD_FACTS, VMCS_FIELD_COUNT);
}
END_TEST

/* ---- checks: 27.1 ---- */

/* 27.2.1 is about the controls, the rest of 27.2 about the host, 27.3 about the guest. */
START_TEST(checks_are_of_the_group_of_their_section)
{
    for (unsigned i = 0; i < check_count; i++) {
        const char *section = check_table[i].section;
        enum check_group group = !strncmp(section, "27.2.1", 6) ? CHECK_CONTROLS : !strncmp(section, "27.2", 4) ? CHECK_HOST : CHECK_GUEST;
        const char *first = group == CHECK_CONTROLS ? "control." : group == CHECK_HOST ? "host." : "guest.";

        ck_assert_msg(group != CHECK_GUEST || !strncmp(section, "27.3", 4), "%s: %s", check_table[i].id, section);
        ck_assert_msg(check_table[i].group == group, "%s [%s] is of another group", check_table[i].id, section);
        ck_assert_msg(!strncmp(check_table[i].id, first, strlen(first)), "%s [%s]", check_table[i].id, section);
    }
}
END_TEST

/* ---- names by number ---- */

/* Appendix C: the basic exit reasons, and the numbers that are none. */
START_TEST(exit_reasons)
{
    static const char *const names[90] = {
        [0] = "exception_or_nmi", [1] = "external_interrupt", [2] = "triple_fault", [3] = "init_signal", [4] = "startup_ipi",
        [5] = "io_smi", [6] = "other_smi", [7] = "interrupt_window", [8] = "nmi_window", [9] = "task_switch", [10] = "cpuid",
        [11] = "getsec", [12] = "hlt", [13] = "invd", [14] = "invlpg", [15] = "rdpmc", [16] = "rdtsc", [17] = "rsm", [18] = "vmcall",
        [19] = "vmclear", [20] = "vmlaunch", [21] = "vmptrld", [22] = "vmptrst", [23] = "vmread", [24] = "vmresume", [25] = "vmwrite",
        [26] = "vmxoff", [27] = "vmxon", [28] = "cr_access", [29] = "mov_dr", [30] = "io_instruction", [31] = "rdmsr", [32] = "wrmsr",
        [33] = "entry_failure_guest_state", [34] = "entry_failure_msr_loading", [36] = "mwait", [37] = "monitor_trap_flag",
        [39] = "monitor", [40] = "pause", [41] = "entry_failure_machine_check", [43] = "tpr_below_threshold", [44] = "apic_access",
        [45] = "virtualized_eoi", [46] = "gdtr_or_idtr_access", [47] = "ldtr_or_tr_access", [48] = "ept_violation",
        [49] = "ept_misconfiguration", [50] = "invept", [51] = "rdtscp", [52] = "preemption_timer_expired", [53] = "invvpid",
        [54] = "wbinvd", [55] = "xsetbv", [56] = "apic_write", [57] = "rdrand", [58] = "invpcid", [59] = "vmfunc", [60] = "encls",
        [61] = "rdseed", [62] = "page_modification_log_full", [63] = "xsaves", [64] = "xrstors", [67] = "umwait", [68] = "tpause",
        [76] = "seamcall", [77] = "tdcall", [84] = "rdmsr_immediate", [85] = "wrmsrns_immediate",
    };

    for (uint32_t reason = 0; reason < 300; reason++) {
        const char *name = exit_reason_name(reason), *wanted = reason < 90 ? names[reason] : NULL;

        ck_assert_msg(wanted ? name && !strcmp(name, wanted) : !name, "exit reason %u is %s", reason, name ? name : "nothing");
        ck_assert_int_eq(!exit_reason_text(reason), !wanted);
    }
}
END_TEST

/* 31.4: the numbers of VM-instruction errors. */
START_TEST(instruction_errors)
{
    for (int error = -1; error < 100; error++) {
        bool exists = error > 0 && error <= 28 && error != 14 && error != 21 && error != 27;

        ck_assert_msg(!vm_error_text(error) == !exists, "error %d", error);
    }
}
END_TEST

/* ---- Table 10-1: after power-up ---- */

START_TEST(power_up)
{
    for (unsigned index = 0; index < 2; index++) {
        struct cpu *cpu = f.cpu;

        memset((char *)cpu + offsetof(struct cpu, gpr), 0x5a, sizeof cpu->gpr);
        cpu->index = index;
        cpu_power_on(cpu);
        for (unsigned i = 0; i < GPR_COUNT; i++)
            ck_assert(i == RDX || cpu->gpr[i] == 0);
        ck_assert_uint_eq(cpu->gpr[RDX] & 0xf00, 0x600);
        ck_assert_uint_eq(cpu->rip, 0xfff0);
        ck_assert_uint_eq(cpu->rflags, 2);
        ck_assert_uint_eq(cpu->cr0, 0x60000010);
        ck_assert_uint_eq(cpu->cr2 | cpu->cr3 | cpu->cr4 | cpu->cr8, 0);
        ck_assert_uint_eq(cpu->xcr0, 1);
        ck_assert_uint_eq(cpu->dr6, 0xffff0ff0);
        ck_assert_uint_eq(cpu->dr7, 0x400);
        ck_assert_uint_eq(cpu->dr[0] | cpu->dr[1] | cpu->dr[2] | cpu->dr[3], 0);
        ck_assert_uint_eq(cpu->gdtr.base | cpu->idtr.base, 0);
        ck_assert_uint_eq(cpu->gdtr.limit, 0xffff);
        ck_assert_uint_eq(cpu->idtr.limit, 0xffff);
        for (unsigned i = 0; i < SEG_COUNT; i++) {
            const struct segment *s = &cpu->seg[i];

            ck_assert_uint_eq(s->selector, i == SEG_CS ? 0xf000 : 0);
            ck_assert_uint_eq(s->base, i == SEG_CS ? 0xffff0000 : 0);
            ck_assert_uint_eq(s->limit, 0xffff);
            ck_assert_uint_eq(s->access_rights, i == SEG_CS ? 0x9b : i == SEG_LDTR ? 0x82 : i == SEG_TR ? 0x8b : 0x93);
        }
        ck_assert_uint_eq(CPU_MSR(cpu, ia32_pat), 0x0007040600070406);
        ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), 0);
        ck_assert_int_eq(cpu->activity, index ? ACTIVITY_WAIT_FOR_SIPI : ACTIVITY_ACTIVE);      /* 9.4.3 */
        ck_assert(!cpu->vmx.operation && !cpu->vmx.non_root && cpu->intercepts == 0 && !cpu->event.valid);
        ck_assert(!cpu->nmi_pending && !cpu->init_pending && !cpu->sipi_pending && cpu->interruptibility == 0 && cpu->pending_debug == 0);
        cpu->index = 0;
    }
}
END_TEST

/* ---- MSRs ---- */

START_TEST(read_only_msrs)
{
    static const uint32_t others[] = { 0x17, 0xce, 0xfe, 0x179, 0x198, 0x1ad, 0x606, 0x611 };
    unsigned vmx = 0;

    for (uint32_t index = 0x480; index <= 0x493; index++) {
        uint64_t value;

        vmx += msr_read(f.cpu, index, &value);
        ck_assert_msg(!msr_write(f.cpu, index, 0), "WRMSR %x", index);
    }
    ck_assert_uint_eq(vmx, 0x492 - 0x480);              /* IA32_VMX_BASIC to IA32_VMX_VMFUNC */
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_msg(!msr_write(f.cpu, others[i], 0), "WRMSR %x", others[i]);
}
END_TEST

/* Firmware has locked it: SDM Vol. 4, ch. 2, "CFG Lock". Bits above 15 stay free. */
START_TEST(locked_bits_of_the_idle_configuration)
{
    enum { CST_CONFIG = 0xe2 };
    uint64_t value;

    ck_assert(msr_read(f.cpu, CST_CONFIG, &value));
    ck_assert_uint_eq(value, 0x8007);
    ck_assert(!msr_write(f.cpu, CST_CONFIG, 0) && !msr_write(f.cpu, CST_CONFIG, 0x7) && !msr_write(f.cpu, CST_CONFIG, 0x8407));
    ck_assert(msr_write(f.cpu, CST_CONFIG, 0x6008007));
    ck_assert(msr_read(f.cpu, CST_CONFIG, &value));
    ck_assert_uint_eq(value, 0x6008007);
    ck_assert(msr_write(f.cpu, 0x1aa, 1) && msr_write(f.cpu, 0x614, 0));    /* R/W in its tables */
}
END_TEST

/* A.1 to A.11: which capability MSRs exist, by what the others report. WORD_COUNT: whatever they do. */
START_TEST(capability_msrs_exist)
{
    static const struct { uint32_t index; unsigned word, bits[2]; } msrs[] = {
        { 0x480, WORD_COUNT, { 0 } }, { 0x481, WORD_COUNT, { 0 } }, { 0x482, WORD_COUNT, { 0 } }, { 0x483, WORD_COUNT, { 0 } }, { 0x484, WORD_COUNT, { 0 } },
        { 0x485, WORD_COUNT, { 0 } }, { 0x486, WORD_COUNT, { 0 } }, { 0x487, WORD_COUNT, { 0 } }, { 0x488, WORD_COUNT, { 0 } }, { 0x489, WORD_COUNT, { 0 } },
        { 0x48a, WORD_COUNT, { 0 } }, { 0x48b, WORD_PROC, { 31, 31 } }, { 0x48c, WORD_PROC2, { 1, 5 } }, { 0x491, WORD_PROC2, { 13, 13 } },
    };

    for (unsigned i = 0; i < sizeof msrs / sizeof msrs[0]; i++) {
        for (unsigned lacking = 0; lacking < 4; lacking++) {
            struct vmx_lacks lacks = { .ept_vpid = 0 };
            const bool exists = msrs[i].word == WORD_COUNT || !(lacking & 1) || (!(lacking & 2) && msrs[i].bits[0] != msrs[i].bits[1]);
            uint64_t value;

            if (msrs[i].word != WORD_COUNT)
                lacks.word[msrs[i].word] = (lacking & 1 ? 1u << msrs[i].bits[0] : 0) | (lacking & 2 ? 1u << msrs[i].bits[1] : 0);
            if (msrs[i].word != WORD_COUNT && msrs[i].bits[0] == msrs[i].bits[1] && lacking > 1)
                continue;
            capability_init(&f.model->capability, &lacks);
            ck_assert_msg(msr_read(f.cpu, msrs[i].index, &value) == (exists || lacking == 2), "RDMSR %x without %u", msrs[i].index, lacking);
        }
    }
}
END_TEST

/* What software writes is what it reads. */
START_TEST(writable_msrs)
{
    static const uint32_t indices[] = { 0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
                                        0x17b, 0x199, 0x1fc, 0x400, 0x404, 0x408, 0x40c, 0x610, 0xe7, 0xe8 };

    for (unsigned i = 0; i < sizeof indices / sizeof indices[0]; i++) {
        uint64_t value = 0x12345000 + 4 * i, read = 0;

        ck_assert_msg(msr_write(f.cpu, indices[i], value), "WRMSR %x", indices[i]);
        ck_assert_msg(msr_read(f.cpu, indices[i], &read) && read == value, "RDMSR %x: %lx", indices[i], (unsigned long)read);
    }
}
END_TEST

/* Both halves of the fields of 64 bits (B.2), and their bits alone. */
START_TEST(halves_of_fields)
{
    for (uint32_t encoding = 0x2000; encoding < 0x2040; encoding += 2) {
        uint64_t value = 0;

        if (vmcs_find(f.model, encoding) == VMCS_FIELD_COUNT)
            continue;
        ck_assert_int_eq(vmx_vmwrite(f.cpu, encoding, 0x1122334455667788), VMX_SUCCEED);
        ck_assert_int_eq(vmx_vmread(f.cpu, encoding + 1, &value), VMX_SUCCEED);
        ck_assert_uint_eq(value, 0x11223344);
        ck_assert_int_eq(vmx_vmwrite(f.cpu, encoding + 1, 0xaabbccdd99aabbcc), VMX_SUCCEED);
        ck_assert_int_eq(vmx_vmread(f.cpu, encoding, &value), VMX_SUCCEED);
        ck_assert_uint_eq(value, 0x99aabbcc55667788);
    }
}
END_TEST

/* Each of the 256 types, where there is room for one: Vol. 3, 12.11.2.1, 12.12.2. */
START_TEST(memory_types)
{
    for (unsigned type = 0; type < 256; type++) {
        bool mtrr = type < 2 || (type >= 4 && type <= 6);

        ck_assert_msg(msr_write(f.cpu, 0x2ff, 0xc00 | type) == mtrr, "IA32_MTRR_DEF_TYPE %x", type);
        for (unsigned byte = 0; byte < 8; byte++) {
            ck_assert_msg(msr_write(f.cpu, 0x250, (uint64_t)type << 8 * byte) == mtrr, "IA32_MTRR_FIX64K_00000 %x", type);
            ck_assert_msg(msr_write(f.cpu, 0x277, (uint64_t)type << 8 * byte) == (mtrr || type == 7), "IA32_PAT %x", type);
        }
    }
    for (unsigned bit = 8; bit < 64; bit++)             /* E, FE */
        ck_assert_msg(msr_write(f.cpu, 0x2ff, 1ull << bit | 6) == (bit == 10 || bit == 11), "IA32_MTRR_DEF_TYPE bit %u", bit);
}
END_TEST

/* ---- CPUID: Vol. 2 ---- */

static void leaf_is(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    const uint32_t wanted[4] = { eax, ebx, ecx, edx };
    uint32_t out[4];

    cpuid_read(f.cpu, leaf, subleaf, out);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_msg(out[i] == wanted[i], "leaf %x.%x, E%cX: %08x, wanted %08x", leaf, subleaf, "ABCD"[i], out[i], wanted[i]);
}

/* What a processor alone, without an APIC, with CR4.OSXSAVE = 0 tells in 64-bit mode. */
static const struct { uint32_t leaf, subleaf, out[4]; } alone[] = {
    { 0x0, 0, { 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 } }, { 0x1, 0, { 0x00050654, 0x00010800, 0x47fa22ab, 0x0f8bfbff } }, { 0x2, 0, { 0x00feff01 } },
    { 0x3, 0, { 0 } }, { 0x4, 0, { 0x00000121, 0x01c0003f, 0x3f } }, { 0x4, 1, { 0x00000122, 0x01c0003f, 0x3f } }, { 0x4, 2, { 0x00000143, 0x03c0003f, 0x3ff } },
    { 0x4, 3, { 0 } }, { 0x5, 0, { 64, 64, 3, 0x2020 } }, { 0x6, 0, { 0x484, 0, 9 } }, { 0x7, 0, { 0, 0x01940683, 0x00010004 } }, { 0x7, 1, { 0 } }, { 0x8, 0, { 0 } },
    { 0x9, 0, { 0 } }, { 0xa, 0, { 0 } }, { 0xb, 0, { 0, 1, 0x100 } }, { 0xb, 1, { 0, 1, 0x201 } }, { 0xb, 2, { 0, 0, 2 } }, { 0xb, 0x1ff, { 0, 0, 0xff } },
    { 0xc, 0, { 0 } }, { 0xd, 0, { 3, 576, 576 } }, { 0xd, 1, { 0 } }, { 0x14, 0, { 0 } }, { 0x15, 0, { 1, 40, 25000000 } }, { 0x16, 0, { 1000, 1000, 100 } },
    { 0x80000000, 0, { 0x80000008 } }, { 0x80000001, 0, { 0, 0, 0x101, 0x2c100800 } }, { 0x80000002, 0, { 0x71736553, 0x76206975, 0x75747269, 0x43206c61 } },
    { 0x80000003, 0, { 0x5550 } }, { 0x80000004, 0, { 0 } }, { 0x80000005, 0, { 0 } }, { 0x80000006, 0, { 0, 0, 0x04008040 } }, { 0x80000007, 0, { 0, 0, 0, 0x100 } },
    { 0x80000008, 0, { 57 << 8 | 40 } },
};
enum { ALONE = sizeof alone / sizeof alone[0] };

START_TEST(cpuid_bit_by_bit)
{
    for (unsigned i = 0; i < ALONE; i++)
        leaf_is(alone[i].leaf, alone[i].subleaf, alone[i].out[0], alone[i].out[1], alone[i].out[2], alone[i].out[3]);
}
END_TEST

static uint64_t apic_base_value;
static bool apic_base_read(void *context, struct cpu *cpu, uint32_t index, uint64_t *value)
{
    (void)context;
    (void)cpu;
    *value = apic_base_value;
    return index == MSR_ia32_apic_base;
}

/* What follows from the processor's state, its number and what it offers, each by itself and all together; every other bit stays. */
enum { WITH_OSXSAVE = 1, NO_MONITOR = 2, NO_VMX_CR4 = 4, NO_VME = 8, APIC_OFF = 16, NO_LA57 = 32, COMPATIBILITY_MODE = 64, NO_NX = 128, NARROW = 256, CPUID_STATES = 512 };

START_TEST(cpuid_follows_the_state)
{
    static const unsigned counts[] = { 1, 2, 4, 5 };
    struct model *model = f.model;
    struct cpu *cpu = f.cpu;
    unsigned count = counts[_i], width = _i == 0 ? 0 : _i == 1 ? 1 : _i == 2 ? 2 : 3;

    model->cpu_count = count;
    cpu->index = count - 1;
    model->bus.apic_read_msr = apic_base_read;
    for (unsigned with = 0; with < CPUID_STATES; with++) {
        uint64_t off = (with & NO_VMX_CR4 ? CR4_VMXE : 0) | (with & NO_VME ? CR4_VME : 0) | (with & NO_LA57 ? CR4_LA57 : 0);
        struct vmx_capability before = model->capability;
        uint64_t misc = CPU_MSR(cpu, ia32_misc_enable);

        cpu->cr4 = (cpu->cr4 & ~CR4_OSXSAVE) | (with & WITH_OSXSAVE ? CR4_OSXSAVE : 0);
        cpu->seg[SEG_CS].access_rights = with & COMPATIBILITY_MODE ? 0xc09b : 0xa09b;
        CPU_MSR(cpu, ia32_misc_enable) = (misc & ~(with & NO_MONITOR ? 1ull << 18 : 0)) | (with & NO_NX ? MISC_ENABLE_XD_DISABLE : 0);
        apic_base_value = with & APIC_OFF ? 0xfee00000 : 0xfee00800;
        model->capability.cr4_fixed1 &= ~off;
        model->physical_address_width = with & NARROW ? 36 : 40;
        for (unsigned i = 0; i < ALONE; i++) {
            uint32_t out[4];
            bool vmx = cr4_allowed(cpu) & CR4_VMXE, vme = cr4_allowed(cpu) & CR4_VME, la57 = cr4_allowed(cpu) & CR4_LA57;

            memcpy(out, alone[i].out, sizeof out);
            switch (alone[i].leaf) {
            case 0x1:
                out[1] = (count - 1) << 24 | count << 16 | 0x800;
                out[2] = (out[2] | (with & WITH_OSXSAVE ? 1u << 27 : 0)) & ~(with & NO_MONITOR ? 1u << 3 : 0) & ~(vmx ? 0 : 1u << 5);
                out[3] = (out[3] | (count > 1 ? 1u << 28 : 0)) & ~(with & APIC_OFF ? 1u << 9 : 0) & ~(vme ? 0 : 1u << 1);
                break;
            case 0x4:
                out[0] |= out[0] ? (count - 1) << 26 : 0;
                break;
            case 0x7:
                out[2] &= ~(la57 ? 0 : 1u << 16);
                break;
            case 0xb:
                out[0] = alone[i].subleaf == 1 ? width : 0;
                out[1] = alone[i].subleaf == 1 ? count : out[1];
                out[3] = count - 1;
                break;
            case 0x80000001:
                out[3] = 0x2c000000 | (with & COMPATIBILITY_MODE ? 0 : 1u << 11) | (with & NO_NX ? 0 : 1u << 20);
                break;
            case 0x80000008:
                out[0] = (la57 ? 57u : 48u) << 8 | (with & NARROW ? 36 : 40);
                break;
            default:
                break;
            }
            leaf_is(alone[i].leaf, alone[i].subleaf, out[0], out[1], out[2], out[3]);
        }
        ck_assert(!off || !(cr4_allowed(cpu) & off & ~CR4_VMXE));
        model->capability = before;
        CPU_MSR(cpu, ia32_misc_enable) = misc;
    }
    cpu->index = 0;
}
END_TEST

/* Beyond the last leaves: as the last basic one (Vol. 2, CPUID). */
START_TEST(cpuid_beyond)
{
    static const uint32_t beyond[] = { 0x17, 0x40000000, 0x7fffffff, 0x80000009, 0xffffffff };

    for (unsigned i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
        leaf_is(beyond[i], 0, 1000, 1000, 100, 0);
}
END_TEST

/* ---- VM-exit instruction information: Tables 28-8 to 28-14 ---- */

static uint32_t information_of(const struct insn *insn)
{
    uint32_t address = insn->address_size == 8 ? 2u << 7 : insn->address_size == 4 ? 1u << 7 : 0, segment = (uint32_t)insn->segment << 15;
    uint32_t memory = address | segment | (insn->index == NO_REGISTER ? 1u << 22 : (uint32_t)insn->index << 18 | insn->scale) |
                      (insn->base == NO_REGISTER ? 1u << 27 : (uint32_t)insn->base << 23);
    uint32_t either = insn->kind == OPERAND_REGISTER ? 1u << 10 | (uint32_t)insn->rm << 3 : memory;
    uint32_t wide = insn->operand_size == 2 ? 0 : 1u << 11, reg2 = (uint32_t)insn->reg << 28;

    switch (insn->id) {
    case INSN_ins: return address;
    case INSN_outs: return address | segment;
    case INSN_invept: case INSN_invvpid: case INSN_invpcid: return memory | reg2;
    case INSN_sgdt: return memory | wide;
    case INSN_sidt: return memory | wide | 1u << 28;
    case INSN_lgdt: return memory | wide | 2u << 28;
    case INSN_lidt: return memory | wide | 3u << 28;
    case INSN_sldt: return either;
    case INSN_str: return either | 1u << 28;
    case INSN_lldt: return either | 2u << 28;
    case INSN_ltr: return either | 3u << 28;
    case INSN_rdrand: case INSN_rdseed:
        return (uint32_t)insn->rm << 3 | (insn->operand_size == 8 ? 2u << 11 : insn->operand_size == 4 ? 1u << 11 : 0);
    case INSN_vmclear: case INSN_vmptrld: case INSN_vmptrst: case INSN_vmxon: return memory;
    case INSN_vmread: case INSN_vmwrite: return either | reg2;
    default: return 0;
    }
}

START_TEST(instruction_information_bit_by_bit)
{
    for (unsigned n = 0; n < 3 * 3 * 6 * 2; n++) {
        struct insn insn = {
            .id = (enum insn_id)_i, .length = 3, .kind = n / 54 ? OPERAND_REGISTER : OPERAND_MEMORY, .address_size = (uint8_t)(2u << n % 3),
            .operand_size = (uint8_t)(2u << n / 3 % 3), .segment = (uint8_t)(n / 9 % 6), .reg = (uint8_t)(n % 16), .rm = (uint8_t)((n + 5) % 16),
            .base = (uint8_t)(n % 5 ? (n + 3) % 16 : NO_REGISTER), .index = (uint8_t)(n % 7 ? (n + 9) % 16 : NO_REGISTER), .scale = (uint8_t)(n % 7 ? n % 4 : 0),
        };

        ck_assert_msg(instruction_information(&insn) == information_of(&insn), "instruction %d, %u: %08x, wanted %08x", _i, n,
                      instruction_information(&insn), information_of(&insn));
    }
}
END_TEST

/* ---- what stops in non-root operation ---- */

/* With every control and mask 1, each instruction of 26.1.2 and 26.1.3 is looked at before it executes. */
START_TEST(every_control_at_once)
{
    static const char *const reason[INSN_COUNT] = {
#define INSTRUCTION(name, exit_reason) [INSN_##name] = #exit_reason,
#include "arch/instructions.def"
    };
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, processor_based_controls) = f.model->capability.proc.allowed & ~(PROC_use_tpr_shadow | PROC_use_msr_bitmaps | PROC_use_io_bitmaps |
        PROC_monitor_trap_flag | PROC_interrupt_window_exiting | PROC_nmi_window_exiting);
    VMCS(v, secondary_processor_based_controls) |= PROC2_descriptor_table_exiting | PROC2_wbinvd_exiting | PROC2_rdrand_exiting |
        PROC2_rdseed_exiting | PROC2_enable_rdtscp | PROC2_enable_invpcid;
    VMCS(v, cr0_guest_host_mask) = VMCS(v, cr4_guest_host_mask) = ~0ull;
    fixture_enter(&f);
    for (enum insn_id id = 1; id < INSN_COUNT; id++) {
        bool stops = id < 64 && f.cpu->intercepts >> id & 1, wanted = strcmp(reason[id], "none") != 0;

        ck_assert_msg(stops || !wanted, "%s", insn_name(id));
    }
}
END_TEST

/* Linear addresses in exit information: 32 bits outside 64-bit mode, and bases of FS and GS alone in it. */
START_TEST(linear_addresses)
{
    struct insn insn = { .id = INSN_invlpg, .kind = OPERAND_MEMORY, .address_size = 8, .operand_size = 4, .segment = SEG_DS, .displacement = 0x2000,
                         .base = RBX, .index = RSI, .scale = 3 };

    f.cpu->gpr[RBX] = 0x100000000ull;
    f.cpu->gpr[RSI] = 0x10;
    f.cpu->seg[SEG_DS].base = f.cpu->seg[SEG_GS].base = 0xfffff000;
    ck_assert_uint_eq(insn_linear(f.cpu, &insn), 0x100002080);
    insn.segment = SEG_GS;
    ck_assert_uint_eq(insn_linear(f.cpu, &insn), 0x200001080);
    insn.address_size = 4;
    ck_assert_uint_eq(insn_linear(f.cpu, &insn), 0x100001080);
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    ck_assert_uint_eq(insn_linear(f.cpu, &insn), 0x1080);
    insn.segment = SEG_DS;
    insn.address_size = 2;
    f.cpu->gpr[RBX] = 0xf000;
    ck_assert_uint_eq(insn_linear(f.cpu, &insn), 0x80);
}
END_TEST

/* ---- profiles ---- */

/* For each: 1 if the profile has the control of that word and bit, haswell, skylake, icelake; then the bits of IA32_VMX_EPT_VPID_CAP. */
START_TEST(profiles_lack)
{
    static const char *const names[] = { "haswell", "skylake", "icelake" };
    static const struct {
        uint8_t word, bit, has[3];
    } controls[] = {
        { WORD_PROC2, 16, { 0, 1, 1 } }, { WORD_PROC2, 17, { 0, 1, 1 } }, { WORD_PROC2, 18, { 0, 1, 1 } }, { WORD_PROC2, 25, { 0, 1, 1 } },
        { WORD_PROC2, 22, { 0, 1, 1 } }, { WORD_EXIT, 28, { 0, 0, 0 } }, { WORD_ENTRY, 20, { 0, 0, 0 } },
    };
    static const struct {
        uint8_t bit, has[3];
    } ept_vpid[] = { { 7, { 0, 0, 1 } }, { 22, { 0, 1, 1 } } };

    for (unsigned p = 0; p < 3; p++) {
        struct vmx_capability c, all;
        struct vmx_lacks lacks;
        uint32_t lost[WORD_COUNT] = { 0 };
        uint64_t lost_ept_vpid = 0;

        ck_assert(profile_find(names[p], &lacks));
        capability_init(&c, &lacks);
        capability_init(&all, NULL);
        for (unsigned i = 0; i < sizeof controls / sizeof controls[0]; i++)
            if (!controls[i].has[p])
                lost[controls[i].word] |= 1u << controls[i].bit;
        for (unsigned i = 0; i < sizeof ept_vpid / sizeof ept_vpid[0]; i++)
            if (!ept_vpid[i].has[p])
                lost_ept_vpid |= 1ull << ept_vpid[i].bit;
        for (unsigned word = 0; word < WORD_COUNT; word++)
            ck_assert_msg((all.word[word].allowed & ~c.word[word].allowed) == lost[word], "%s, word %u: %x, wanted %x", names[p], word,
                          all.word[word].allowed & ~c.word[word].allowed, lost[word]);
        ck_assert_msg((all.ept_vpid & ~c.ept_vpid) == lost_ept_vpid, "%s: %lx", names[p], (unsigned long)(all.ept_vpid & ~c.ept_vpid));
        ck_assert_uint_eq(c.basic, all.basic);
        ck_assert_uint_eq(c.misc, all.misc);
        ck_assert_uint_eq(c.vmfunc, all.vmfunc);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("facts of the architecture");
    TCase *tcase = tcase_create("facts");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, fields_exist_with_their_control, 0, FIELD_FACTS);
    tcase_add_test(tcase, fields_of_no_control);
    tcase_add_test(tcase, checks_are_of_the_group_of_their_section);
    tcase_add_test(tcase, capability_msrs_exist);
    tcase_add_test(tcase, exit_reasons);
    tcase_add_test(tcase, instruction_errors);
    tcase_add_test(tcase, power_up);
    tcase_add_test(tcase, read_only_msrs);
    tcase_add_test(tcase, locked_bits_of_the_idle_configuration);
    tcase_add_test(tcase, writable_msrs);
    tcase_add_test(tcase, halves_of_fields);
    tcase_add_test(tcase, memory_types);
    tcase_add_test(tcase, every_control_at_once);
    tcase_add_test(tcase, linear_addresses);
    tcase_add_test(tcase, cpuid_bit_by_bit);
    tcase_add_loop_test(tcase, cpuid_follows_the_state, 0, 4);
    tcase_add_test(tcase, cpuid_beyond);
    tcase_add_loop_test(tcase, instruction_information_bit_by_bit, 0, INSN_COUNT);
    tcase_add_test(tcase, profiles_lack);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
