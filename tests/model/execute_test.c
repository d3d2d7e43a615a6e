/* SPDX-License-Identifier: MIT */
/* The sensitive instructions: what comes first of #UD, #GP and VM exit, and what each does. SDM Vol. 3, 26.1; Vol. 2. */
#include "model/cpu/debug.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

enum { DATA = 0x60000 };

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

static struct vmcs *vmcs(void)
{
    return f.cpu->vmx.current;
}

static struct insn instruction(enum insn_id id)
{
    return (struct insn){ .id = id, .length = 2, .operand_size = 8, .address_size = 8, .base = NO_REGISTER,
                          .index = NO_REGISTER, .segment = SEG_DS };
}

static enum status run(enum insn_id id)
{
    struct insn insn = instruction(id);

    f.cpu->event.valid = false;
    return execute(f.cpu, &insn);
}

static struct insn with_memory(enum insn_id id, uint64_t displacement)
{
    struct insn insn = instruction(id);

    insn.kind = OPERAND_MEMORY;
    insn.displacement = (int64_t)displacement;
    return insn;
}

static void user_mode(void)
{
    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;
}

#define expect_fault(status, v)                                                                                     \
    do {                                                                                                            \
        ck_assert_int_eq(status, STATUS_EVENT);                                                                     \
        ck_assert_uint_eq(f.cpu->event.vector, v);                                                                  \
        f.cpu->event.valid = false;                                                                                 \
    } while (0)

/* ---- privilege ---- */

static const struct {
    enum insn_id id;
    bool memory;
} privileged[] = {
    { INSN_hlt, false },    { INSN_rdmsr, false },  { INSN_wrmsr, false },  { INSN_mov_to_cr, false },
    { INSN_mov_from_cr, false }, { INSN_clts, false }, { INSN_lmsw, false }, { INSN_mov_to_dr, false },
    { INSN_mov_from_dr, false }, { INSN_invlpg, true }, { INSN_invpcid, true }, { INSN_invd, false },
    { INSN_wbinvd, false }, { INSN_xsetbv, false }, { INSN_lgdt, true },    { INSN_lidt, true },
    { INSN_lldt, false },   { INSN_ltr, false },    { INSN_rdpmc, false },
};

static enum status run_privileged(int i)
{
    struct insn insn = privileged[i].memory ? with_memory(privileged[i].id, DATA) : instruction(privileged[i].id);

    if (!privileged[i].memory)
        insn.kind = OPERAND_REGISTER;
    f.cpu->cr4 |= CR4_OSXSAVE;
    return execute(f.cpu, &insn);
}

START_TEST(privilege_comes_before_execution)
{
    user_mode();
    expect_fault(run_privileged(_i), VECTOR_GP);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
    ck_assert_uint_eq(f.cpu->instructions, 0);
}
END_TEST

/* Everything that can be intercepted is; #GP by privilege comes before all of it but MOV DR (26.1.1, 26.1.3). */
START_TEST(privilege_comes_before_exits)
{
    bool mov_dr = privileged[_i].id == INSN_mov_to_dr || privileged[_i].id == INSN_mov_from_dr;

    VMCS(vmcs(), processor_based_controls) |= f.model->capability.proc.allowed & ~PROC_use_msr_bitmaps &
                                              ~PROC_monitor_trap_flag & ~PROC_interrupt_window_exiting &
                                              ~PROC_nmi_window_exiting;
    VMCS(vmcs(), secondary_processor_based_controls) |= PROC2_descriptor_table_exiting | PROC2_wbinvd_exiting |
                                                        PROC2_enable_invpcid;
    VMCS(vmcs(), cr0_guest_host_mask) = VMCS(vmcs(), cr0_read_shadow) = ~0ull;
    fixture_enter(&f);
    f.cpu->gpr[RAX] = 0;
    user_mode();
    if (mov_dr)
        ck_assert_int_eq(run_privileged(_i), STATUS_VM_EXIT);
    else
        expect_fault(run_privileged(_i), VECTOR_GP);
}
END_TEST

START_TEST(exits_without_privilege_problem)
{
    VMCS(vmcs(), processor_based_controls) |= f.model->capability.proc.allowed & ~PROC_use_msr_bitmaps &
                                              ~PROC_monitor_trap_flag & ~PROC_interrupt_window_exiting &
                                              ~PROC_nmi_window_exiting;
    VMCS(vmcs(), secondary_processor_based_controls) |= PROC2_descriptor_table_exiting | PROC2_wbinvd_exiting |
                                                        PROC2_enable_invpcid;
    VMCS(vmcs(), cr0_guest_host_mask) = VMCS(vmcs(), cr0_read_shadow) = ~0ull;
    fixture_enter(&f);
    f.cpu->rflags |= RFLAGS_RF;
    if (privileged[_i].id == INSN_mov_from_cr) {        /* from CR0: never */
        ck_assert_int_eq(run_privileged(_i), STATUS_OK);
        return;
    }
    ck_assert_int_eq(run_privileged(_i), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_instruction_length), 2);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rip), FIXTURE_GUEST_RIP);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rflags) & RFLAGS_RF, 0);       /* 28.3.3 */
}
END_TEST

START_TEST(privilege_by_control_register)
{
    user_mode();
    ck_assert_int_eq(run(INSN_rdtsc), STATUS_OK);
    ck_assert_int_eq(run(INSN_sgdt), STATUS_EVENT);     /* a register operand: #UD */
    f.cpu->cr4 |= CR4_TSD;
    expect_fault(run(INSN_rdtsc), VECTOR_GP);
    expect_fault(run(INSN_rdtscp), VECTOR_GP);
    f.cpu->cr4 |= CR4_PCE;
    f.cpu->seg[SEG_SS].access_rights &= ~(3u << 5);
    ck_assert_int_eq(run(INSN_rdtsc), STATUS_OK);
}
END_TEST

/* ---- #UD ---- */

START_TEST(what_does_not_exist)
{
    static const enum insn_id ids[] = { INSN_getsec, INSN_rsm, INSN_vmfunc };

    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        expect_fault(run(ids[i]), VECTOR_UD);
    /* In non-root operation, too: before any exit. */
    fixture_enter(&f);
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        expect_fault(run(ids[i]), VECTOR_UD);
}
END_TEST

START_TEST(what_the_controls_disable)
{
    struct insn invpcid = with_memory(INSN_invpcid, DATA);

    ck_assert_int_eq(run(INSN_rdtscp), STATUS_OK);
    ck_assert_int_eq(execute(f.cpu, &invpcid), STATUS_OK);
    VMCS(vmcs(), secondary_processor_based_controls) = 0;
    VMCS(vmcs(), processor_based_controls) |= PROC_rdtsc_exiting | PROC_invlpg_exiting;
    fixture_enter(&f);
    expect_fault(run(INSN_rdtscp), VECTOR_UD);
    expect_fault(execute(f.cpu, &invpcid), VECTOR_UD);
    user_mode();
    expect_fault(run(INSN_rdtscp), VECTOR_UD);
}
END_TEST

START_TEST(system_segments_need_protected_mode)
{
    f.cpu->rflags |= RFLAGS_VM;
    expect_fault(run(INSN_sldt), VECTOR_UD);
    expect_fault(run(INSN_str), VECTOR_UD);
    expect_fault(run(INSN_lldt), VECTOR_UD);
    expect_fault(run(INSN_ltr), VECTOR_UD);
    f.cpu->rflags &= ~RFLAGS_VM;
    ck_assert_int_eq(run(INSN_sldt), STATUS_NATIVE);
}
END_TEST

START_TEST(native_instructions_have_no_stop_bit)
{
    struct insn sldt = with_memory(INSN_sldt, DATA);

    f.cpu->intercepts = ~0ull;
    ck_assert_int_eq(execute(f.cpu, &sldt), STATUS_NATIVE);
    ck_assert(!(f.cpu->intercepts >> INSN_sldt & 1));
    ck_assert(f.cpu->intercepts >> INSN_str & 1);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
}
END_TEST

/* LGDT, LIDT: 64 bits of base in 64-bit mode, canonical for the processor; else 32, or 24 with 16-bit operands. */
START_TEST(table_registers)
{
    struct insn load = with_memory(_i ? INSN_lidt : INSN_lgdt, DATA);
    struct table_register *table = _i ? &f.cpu->idtr : &f.cpu->gdtr;

    load.operand_size = 8;
    fixture_store64(&f, DATA, 0x9abcdef012341777);
    fixture_store64(&f, DATA + 8, 0x0180);
    ck_assert_int_eq(execute(f.cpu, &load), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    ck_assert_uint_eq(table->base, 0);
    f.cpu->event.valid = false;
    fixture_store64(&f, DATA + 2, 0xff00def012345678);
    ck_assert_int_eq(execute(f.cpu, &load), STATUS_OK);
    ck_assert_uint_eq(table->base, 0xff00def012345678);
    ck_assert_uint_eq(table->limit, 0x1777);
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    load.operand_size = 4;
    ck_assert_int_eq(execute(f.cpu, &load), STATUS_OK);
    ck_assert_uint_eq(table->base, 0x12345678);
    load.operand_size = 2;
    ck_assert_int_eq(execute(f.cpu, &load), STATUS_OK);
    ck_assert_uint_eq(table->base, 0x345678);
}
END_TEST

START_TEST(no_row_is_refused)
{
    ck_assert_int_eq(run(INSN_none), STATUS_REFUSED);
    ck_assert_str_ne(f.model->refusal, "");
}
END_TEST

/* ---- single instructions ---- */

START_TEST(cpuid_and_hlt)
{
    f.cpu->gpr[RAX] = 0xdeadbeef00000000;
    f.cpu->gpr[RBX] = f.cpu->gpr[RDX] = ~0ull;
    ck_assert_int_eq(run(INSN_cpuid), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RBX], 0x756e6547);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0x16);
    ck_assert_int_eq(run(INSN_hlt), STATUS_OK);
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_HLT);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP + 4);
    ck_assert_uint_eq(f.cpu->instructions, 2);
}
END_TEST

START_TEST(waiting_takes_time)
{
    uint64_t clock = f.cpu->clock;
    ck_assert_int_eq(run(INSN_rdtsc), STATUS_OK);
    ck_assert_uint_eq(f.cpu->clock, clock + 1);
    ck_assert_int_eq(run(INSN_pause), STATUS_OK);
    ck_assert_uint_gt(f.cpu->clock, clock + 32);            /* a delay loop makes few turns */
    ck_assert_uint_lt(f.cpu->clock, clock + 128);           /* the usual PLE_gap still sees a loop of PAUSE */
    ck_assert_int_eq(run(INSN_wbinvd), STATUS_OK);
    ck_assert_uint_gt(f.cpu->clock, clock + 1000);
    ck_assert_uint_eq(f.cpu->instructions, 3);
}
END_TEST

START_TEST(msr_instructions)
{
    f.cpu->gpr[RCX] = 0xabcd00000000 | MSR_ia32_star;
    f.cpu->gpr[RAX] = 0xffffffff11111111;
    f.cpu->gpr[RDX] = 0xffffffff22222222;
    ck_assert_int_eq(run(INSN_wrmsr), STATUS_OK);
    ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_star), 0x2222222211111111);
    ck_assert_int_eq(run(INSN_rdmsr), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0x11111111);
    ck_assert_uint_eq(f.cpu->gpr[RDX], 0x22222222);
    f.cpu->gpr[RCX] = 0x12345;
    expect_fault(run(INSN_rdmsr), VECTOR_GP);
    expect_fault(run(INSN_wrmsr), VECTOR_GP);
}
END_TEST

START_TEST(the_guest_s_counter_is_offset)
{
    uint64_t tsc;

    VMCS(vmcs(), processor_based_controls) |= PROC_use_tsc_offsetting | PROC_use_msr_bitmaps;
    VMCS(vmcs(), tsc_offset) = 0x700000000;
    fixture_enter(&f);
    f.cpu->clock = 5;
    CPU_MSR(f.cpu, ia32_tsc_aux) = 0xffffffff00000009;
    ck_assert_int_eq(run(INSN_rdtscp), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 5);
    ck_assert_uint_eq(f.cpu->gpr[RDX], 7);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 9);
    f.cpu->gpr[RCX] = MSR_ia32_time_stamp_counter;
    ck_assert_int_eq(run(INSN_rdmsr), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 6);
    ck_assert_uint_eq(f.cpu->gpr[RDX], 7);
    msr_read(f.cpu, MSR_ia32_time_stamp_counter, &tsc);         /* the processor's own is not */
    ck_assert_uint_eq(tsc, 7);
}
END_TEST

START_TEST(the_guest_s_counter_is_scaled)
{
    VMCS(vmcs(), processor_based_controls) |= PROC_use_tsc_offsetting | PROC_use_msr_bitmaps;
    VMCS(vmcs(), secondary_processor_based_controls) |= PROC2_use_tsc_scaling | PROC2_enable_rdtscp;
    VMCS(vmcs(), tsc_multiplier) = 5ull << 47;                  /* two and a half */
    VMCS(vmcs(), tsc_offset) = 100;
    fixture_enter(&f);
    f.cpu->clock = 1ull << 40 | 3;
    ck_assert_int_eq(run(INSN_rdtsc), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RDX] << 32 | f.cpu->gpr[RAX], (5ull << 39) + 7 + 100);
    f.cpu->gpr[RCX] = MSR_ia32_time_stamp_counter;
    ck_assert_int_eq(run(INSN_rdmsr), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RDX] << 32 | f.cpu->gpr[RAX], (5ull << 39) + 10 + 100);
    VMCS(vmcs(), processor_based_controls) &= ~(uint64_t)PROC_use_tsc_offsetting;   /* then scaling says nothing */
    ck_assert_int_eq(run(INSN_rdtscp), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 5);
}
END_TEST

static uint64_t random_number(enum insn_id id, uint8_t size)
{
    struct insn insn = instruction(id);

    insn.kind = OPERAND_REGISTER;
    insn.rm = R9;
    insn.operand_size = size;
    f.cpu->rflags |= RFLAGS_ZF | RFLAGS_OF;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->rflags & RFLAGS_ARITHMETIC, RFLAGS_CF);
    return f.cpu->gpr[R9];
}

START_TEST(random_numbers_repeat)
{
    uint64_t first, second;

    f.model->random = 7;
    first = random_number(INSN_rdrand, 8);
    second = random_number(INSN_rdseed, 8);
    ck_assert_uint_ne(first, second);
    f.model->random = 7;
    ck_assert_uint_eq(random_number(INSN_rdseed, 8), first);
    f.model->random = 7;
    ck_assert_uint_eq(random_number(INSN_rdrand, 4), (uint32_t)first);
    f.cpu->gpr[R9] = 0x1111111111111111;
    f.model->random = 7;
    ck_assert_uint_eq(random_number(INSN_rdrand, 2), 0x1111111111110000 | (uint16_t)first);
}
END_TEST

START_TEST(random_number_exits)
{
    VMCS(vmcs(), secondary_processor_based_controls) |= PROC2_rdrand_exiting | PROC2_rdseed_exiting;
    fixture_enter(&f);
    user_mode();
    ck_assert_int_eq(run(_i ? INSN_rdseed : INSN_rdrand), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), _i ? EXIT_REASON_rdseed : EXIT_REASON_rdrand);
}
END_TEST

static enum status xsetbv(uint32_t index, uint64_t value)
{
    f.cpu->event.valid = false;
    f.cpu->gpr[RCX] = index;
    f.cpu->gpr[RAX] = (uint32_t)value;
    f.cpu->gpr[RDX] = value >> 32;
    return run(INSN_xsetbv);
}

START_TEST(xsetbv_values)
{
    expect_fault(xsetbv(0, 1), VECTOR_UD);
    user_mode();
    expect_fault(xsetbv(0, 1), VECTOR_UD);
    f.cpu->cr4 |= CR4_OSXSAVE;
    expect_fault(xsetbv(0, 1), VECTOR_GP);
    f.cpu->seg[SEG_SS].access_rights &= ~(3u << 5);
    ck_assert_int_eq(xsetbv(0, 3), STATUS_OK);
    ck_assert_uint_eq(f.cpu->xcr0, 3);
    ck_assert_int_eq(xsetbv(0, 1), STATUS_OK);
    expect_fault(xsetbv(0, 2), VECTOR_GP);
    expect_fault(xsetbv(0, 7), VECTOR_GP);
    expect_fault(xsetbv(0, 1ull << 63 | 1), VECTOR_GP);
    expect_fault(xsetbv(1, 1), VECTOR_GP);
    ck_assert_uint_eq(f.cpu->xcr0, 1);
}
END_TEST

/* ---- debug registers ---- */

static enum status dr(enum insn_id id, uint8_t reg, uint64_t value)
{
    struct insn insn = instruction(id);

    insn.kind = OPERAND_REGISTER;
    insn.reg = reg;
    insn.rm = RBX;
    f.cpu->gpr[RBX] = value;
    return execute(f.cpu, &insn);
}

/* Breakpoints on what the model accesses itself: due when the instruction is over. */
START_TEST(breakpoints_of_the_model_s_accesses)
{
    struct insn insn = instruction(INSN_out);

    insn.port = 0x81;
    insn.operand_size = 2;
    f.cpu->dr[1] = 0x80;
    f.cpu->dr7 = 0x400 | 1 << 2 | 0xeull << 20;         /* DR1: I/O, four bytes */
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);         /* CR4.DE = 0: no I/O breakpoints */
    f.cpu->cr4 |= CR4_DE;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->pending_debug, PENDING_DEBUG_ENABLED | 2);
    f.cpu->pending_debug = 0;
    insn.port = 0x84;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);

    f.cpu->dr[1] = 0x3001;
    f.cpu->dr7 = 0x400 | 1 << 2 | 1ull << 20;           /* DR1: one byte written */
    insn = with_memory(INSN_smsw, 0x3000);
    insn.operand_size = 2;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->pending_debug, PENDING_DEBUG_ENABLED | 2);
    f.cpu->pending_debug = 0;
    f.cpu->dr[1] = 0x3002;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);
}
END_TEST

/* 18.2.4, 18.2.5: a breakpoint is met by an access that has a byte in common with its naturally aligned bytes. */
START_TEST(breakpoint_lengths)
{
    static const unsigned lengths[] = { 1, 2, 8, 4 };
    const unsigned n = lengths[_i];

    for (unsigned at = 0x1000; at < 0x1010; at++) {
        f.cpu->dr[3] = at;
        f.cpu->dr7 = 0x400 | 1u << 6 | (uint64_t)(1 | _i << 2) << 28;          /* DR3: writes */
        for (unsigned from = 0xff0; from < 0x1020; from++) {
            for (unsigned size = 1; size <= 8; size *= 2) {
                unsigned first = at & ~(n - 1);
                bool met = from < first + n && first < from + size;

                ck_assert_msg(debug_matches(f.cpu, DEBUG_WRITE, from, size) == (met ? 8 : 0), "DR3 %x of %u bytes, %u bytes at %x", at, n, size, from);
            }
        }
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_FETCH, at, 1), 0);
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_READ, at, 1), 0);
        f.cpu->dr7 = 0x400 | 1u << 7 | (uint64_t)(3 | _i << 2) << 28;          /* reads or writes; global */
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_READ, at, 1), 8);
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_WRITE, at, 1), 8);
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_PORT, at, 1), 0);
        f.cpu->dr7 = 0x400 | 1u << 7 | (uint64_t)(0 | _i << 2) << 28;          /* execution: the first byte alone, whatever LEN */
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_FETCH, at, 1), 8);
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_FETCH, at + 1, 1), 0);
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_FETCH, at - 1, 1), 0);
        f.cpu->dr7 = 0x400 | (uint64_t)(3 | _i << 2) << 28;                     /* not enabled */
        ck_assert_uint_eq(debug_matches(f.cpu, DEBUG_WRITE, at, 1), 0);
    }
}
END_TEST

/* What goes well ends: RIP, RF, the shadow of STI and MOV SS, the counters, and a single step is pending. */
START_TEST(every_instruction_ends)
{
    static const struct {
        enum insn_id id;
        bool memory;
        uint8_t reg;
        uint64_t rbx, rcx;
    } rows[] = {
        { INSN_cpuid }, { INSN_rdmsr, .rcx = MSR_ia32_pat }, { INSN_wrmsr, .rcx = MSR_ia32_tsc_aux }, { INSN_rdtsc }, { INSN_rdtscp },
        { INSN_mov_to_cr, .reg = 0, .rbx = FIXTURE_CR0 }, { INSN_mov_to_cr, .reg = 3, .rbx = FIXTURE_CR3 },
        { INSN_mov_to_cr, .reg = 4, .rbx = FIXTURE_CR4 }, { INSN_mov_to_cr, .reg = 8, .rbx = 5 }, { INSN_mov_from_cr, .reg = 0 },
        { INSN_mov_from_cr, .reg = 2 }, { INSN_mov_to_cr, .reg = 2, .rbx = 7 }, { INSN_mov_from_cr, .reg = 3 }, { INSN_mov_from_cr, .reg = 4 },
        { INSN_mov_from_cr, .reg = 8 }, { INSN_clts }, { INSN_lmsw, .rbx = 1 }, { INSN_lmsw, true }, { INSN_smsw }, { INSN_smsw, true },
        { INSN_mov_to_dr, .reg = 0 }, { INSN_mov_to_dr, .reg = 6 }, { INSN_mov_to_dr, .reg = 7, .rbx = 0x400 }, { INSN_mov_from_dr, .reg = 1 },
        { INSN_mov_from_dr, .reg = 7 }, { INSN_invlpg, true }, { INSN_invpcid, true }, { INSN_invd }, { INSN_wbinvd },
        { INSN_xsetbv, .rcx = 0 }, { INSN_pause }, { INSN_hlt }, { INSN_rdrand }, { INSN_rdseed },
    };
    unsigned ended = 0;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct insn insn = rows[i].memory ? with_memory(rows[i].id, DATA) : instruction(rows[i].id);
        enum status status;

        teardown();
        setup();
        if (!rows[i].memory)
            insn.kind = OPERAND_REGISTER;
        insn.reg = rows[i].reg;
        insn.rm = RBX;
        f.cpu->gpr[RBX] = rows[i].rbx;
        f.cpu->gpr[RCX] = rows[i].rcx;
        f.cpu->gpr[RAX] = 3;
        f.cpu->gpr[RDX] = 0;
        f.cpu->cr4 |= CR4_OSXSAVE;
        f.cpu->rflags |= RFLAGS_RF | RFLAGS_TF;
        f.cpu->interruptibility = BLOCKING_BY_STI | BLOCKING_BY_NMI;
        fixture_store64(&f, DATA, 0x11);        /* LMSW: PE, ET */
        if (rows[i].id == INSN_invpcid)
            fixture_store64(&f, DATA, 0);
        status = execute(f.cpu, &insn);
        if (status == STATUS_NATIVE)            /* the engine's own */
            continue;
        ended++;
        ck_assert_msg(status == STATUS_OK, "row %u: status %d", i, status);
        ck_assert_msg(f.cpu->rip == FIXTURE_HOST_RIP + 2, "row %u: RIP %lx", i, (unsigned long)f.cpu->rip);
        ck_assert_msg(!(f.cpu->rflags & RFLAGS_RF) && f.cpu->interruptibility == BLOCKING_BY_NMI, "row %u: RF, blocking", i);
        ck_assert_msg(f.cpu->instructions == 1 && f.cpu->clock >= 1, "row %u: counted", i);
        ck_assert_msg(f.cpu->pending_debug == PENDING_DEBUG_BS, "row %u: single step", i);
    }
    ck_assert_uint_ge(ended, 28);
}
END_TEST

START_TEST(cpuid_in_its_registers)
{
    f.cpu->gpr[RAX] = 0xffffffff00000000;           /* leaf 0; of RAX and RCX the lower halves count */
    f.cpu->gpr[RBX] = f.cpu->gpr[RCX] = f.cpu->gpr[RDX] = ~0ull;
    ck_assert_int_eq(run(INSN_cpuid), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0x16);
    ck_assert_uint_eq(f.cpu->gpr[RBX], 0x756e6547);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 0x6c65746e);
    ck_assert_uint_eq(f.cpu->gpr[RDX], 0x49656e69);
    f.cpu->gpr[RAX] = 4;
    f.cpu->gpr[RCX] = 0xffffffff00000002;
    ck_assert_int_eq(run(INSN_cpuid), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0x143);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 1023);
}
END_TEST

START_TEST(debug_registers)
{
    ck_assert_int_eq(dr(INSN_mov_to_dr, 2, 0x123456789), STATUS_OK);
    ck_assert_uint_eq(f.cpu->dr[2], 0x123456789);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 6, 0), STATUS_OK);
    ck_assert_uint_eq(f.cpu->dr6, 0xffff0ff0);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 4, 0xffffffff), STATUS_OK);        /* DR6 by its old name */
    ck_assert_uint_eq(f.cpu->dr6, 0xffffefff);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 7, 0xffffd800), STATUS_OK);
    ck_assert_uint_eq(f.cpu->dr7, 0xffff0400);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 5, 0xffff0701), STATUS_OK);        /* DR7 by its old name */
    ck_assert_uint_eq(f.cpu->dr7, 0xffff0701);
    ck_assert_int_eq(dr(INSN_mov_from_dr, 4, 0), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RBX], 0xffffefff);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 7, 0xffffd800), STATUS_OK);
    ck_assert_int_eq(dr(INSN_mov_from_dr, 5, 0), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RBX], 0xffff0400);
    expect_fault(dr(INSN_mov_to_dr, 6, 1ull << 32), VECTOR_GP);
    expect_fault(dr(INSN_mov_to_dr, 7, 1ull << 63), VECTOR_GP);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 7, 0xffff0702), STATUS_OK);
    ck_assert_uint_eq(f.cpu->dr7, 0xffff0702);
    f.cpu->dr7 = 0x400;
    f.cpu->cr4 |= CR4_DE;
    expect_fault(dr(INSN_mov_to_dr, 4, 0), VECTOR_UD);
    expect_fault(dr(INSN_mov_from_dr, 5, 0), VECTOR_UD);
    ck_assert_int_eq(dr(INSN_mov_to_dr, 7, 1 << 13), STATUS_OK);
    expect_fault(dr(INSN_mov_from_dr, 0, 0), VECTOR_DB);
    ck_assert_uint_eq(f.cpu->event.address, 1 << 13);
    ck_assert_uint_eq(f.cpu->dr7 & 1 << 13, 0);
    ck_assert_int_eq(dr(INSN_mov_from_dr, 0, 0), STATUS_OK);
}
END_TEST

START_TEST(debug_register_exits_come_first)
{
    VMCS(vmcs(), processor_based_controls) |= PROC_mov_dr_exiting;
    VMCS(vmcs(), guest_dr7) = 0x2400;
    VMCS(vmcs(), guest_cr4) |= CR4_DE;
    fixture_enter(&f);
    user_mode();
    ck_assert_int_eq(dr(INSN_mov_to_dr, 4, 0), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), EXIT_REASON_mov_dr);
    ck_assert_uint_eq(VMCS(vmcs(), exit_qualification), 4 | RBX << 8);
}
END_TEST

/* ---- invalidations ---- */

static void remember(uint64_t linear, uint16_t pcid, bool global)
{
    struct mapping mapping = { .global = global, .page_size = 4096 };
    uint64_t cr3 = f.cpu->cr3;

    f.cpu->cr3 = (cr3 & ~CR3_PCID) | pcid;
    tlb_insert(f.cpu, linear, &mapping, &(struct trail){ .count = 0 });
    f.cpu->cr3 = cr3;
}

static bool remembered(uint64_t linear, uint16_t pcid)
{
    uint64_t cr3 = f.cpu->cr3;
    bool there;

    f.cpu->cr3 = (cr3 & ~CR3_PCID) | pcid;
    there = tlb_find(f.cpu, linear);
    f.cpu->cr3 = cr3;
    return there;
}

START_TEST(invlpg)
{
    struct insn insn = with_memory(INSN_invlpg, 0x5123);

    remember(0x5000, 0, false);
    remember(0x6000, 0, false);
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert(!remembered(0x5000, 0));
    ck_assert(remembered(0x6000, 0));
    insn.displacement = (int64_t)(1ull << 63 | 0x6000);         /* not canonical: nothing happens */
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert(remembered(0x6000, 0));
}
END_TEST

static enum status invpcid(uint64_t type, uint64_t pcid, uint64_t linear)
{
    struct insn insn = with_memory(INSN_invpcid, DATA);

    insn.reg = RDX;
    f.cpu->gpr[RDX] = type;
    fixture_store64(&f, DATA, pcid);
    fixture_store64(&f, DATA + 8, linear);
    f.cpu->event.valid = false;
    tlb_init(&f.model->tlb, TLB_KEEP, 0);
    remember(0x5000, 1, false);
    remember(0x7000, 1, false);
    remember(0x5000, 2, false);
    remember(0x9000, 1, true);
    return execute(f.cpu, &insn);
}

static unsigned left(void)
{
    return remembered(0x5000, 1) | remembered(0x7000, 1) << 1 | remembered(0x5000, 2) << 2 | remembered(0x9000, 1) << 3;
}

START_TEST(invpcid_types)
{
    f.cpu->cr4 |= CR4_PCIDE;
    ck_assert_int_eq(invpcid(0, 1, 0x5000), STATUS_OK);
    ck_assert_uint_eq(left(), 14);
    ck_assert_int_eq(invpcid(0, 1, 0x9000), STATUS_OK);         /* not global ones */
    ck_assert_uint_eq(left(), 15);
    ck_assert_int_eq(invpcid(1, 1, 0), STATUS_OK);
    ck_assert_uint_eq(left(), 12);
    ck_assert_int_eq(invpcid(2, 0, 0), STATUS_OK);
    ck_assert_uint_eq(left(), 0);
    ck_assert_int_eq(invpcid(3, 0, 0), STATUS_OK);
    ck_assert_uint_eq(left(), 8);
    expect_fault(invpcid(4, 0, 0), VECTOR_GP);
    expect_fault(invpcid(0, 0x1000, 0), VECTOR_GP);
    expect_fault(invpcid(2, 1ull << 63, 0), VECTOR_GP);
    expect_fault(invpcid(0, 1, 1ull << 56), VECTOR_GP);
    ck_assert_int_eq(invpcid(1, 1, 1ull << 47), STATUS_OK);     /* no address is looked at */
    f.cpu->cr4 &= ~CR4_PCIDE;
    expect_fault(invpcid(0, 1, 0), VECTOR_GP);
    expect_fault(invpcid(1, 1, 0), VECTOR_GP);
    ck_assert_int_eq(invpcid(1, 0, 0), STATUS_OK);
    ck_assert_int_eq(invpcid(2, 1, 0), STATUS_OK);
}
END_TEST

/* Vol. 2: how many bytes each operand in memory has; the last one may be the last of its segment. */
START_TEST(operands_at_the_end_of_a_segment)
{
    static const struct { enum insn_id id; unsigned size, type; } operands[] = {
        { INSN_lgdt, 6, 0 }, { INSN_lidt, 6, 0 }, { INSN_sgdt, 6, 0 }, { INSN_sidt, 6, 0 }, { INSN_lldt, 2, 0 },
        { INSN_smsw, 2, 0 }, { INSN_lmsw, 2, 0 }, { INSN_invpcid, 16, 2 }, { INSN_vmclear, 8, 0 }, { INSN_vmptrld, 8, 0 }, { INSN_vmptrst, 8, 0 },
        { INSN_invept, 16, 2 }, { INSN_invvpid, 16, 2 }, { INSN_vmread, 4, 0x4004 }, { INSN_vmwrite, 4, 0x4004 },
    };

    for (unsigned i = 0; i < sizeof operands / sizeof operands[0]; i++) {
        for (int more = -1; more <= 1; more++) {
            struct insn insn = with_memory(operands[i].id, DATA);

            teardown();
            setup();
            CPU_MSR(f.cpu, ia32_efer) = 0;
            f.cpu->cr0 &= ~CR0_PG;
            if (operands[i].id == INSN_lmsw)    /* in VMX operation CR0.PG has to be 1 */
                ck_assert_int_eq(vmx_vmxoff(f.cpu), VMX_SUCCEED);
            f.cpu->seg[SEG_CS].access_rights = 0xc09b;
            f.cpu->seg[SEG_DS].limit = DATA + operands[i].size - 1 + (unsigned)more;
            f.cpu->gpr[RBX] = operands[i].type;
            insn.reg = RBX;
            insn.address_size = 4;
            insn.operand_size = 4;
            execute(f.cpu, &insn);
            ck_assert_msg((f.cpu->event.valid && f.cpu->event.vector == VECTOR_GP) == (more < 0), "%s, limit %+d: event %d, vector %u", insn_name(operands[i].id), more,
                          f.cpu->event.valid, f.cpu->event.vector);
        }
    }
}
END_TEST

/* ---- I/O ---- */

static uint16_t last_port;
static unsigned last_size, port_accesses;
static uint32_t last_value;

static uint32_t port_in(void *context, struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)context;
    (void)cpu;
    last_port = port;
    last_size = size;
    return 0x40302010u + port_accesses++;
}

static void port_out(void *context, struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)context;
    (void)cpu;
    last_port = port;
    last_size = size;
    last_value = value;
    port_accesses++;
}

static enum status io(enum insn_id id, uint16_t port, uint8_t size)
{
    struct insn insn = instruction(id);

    insn.port = port;
    insn.operand_size = size;
    return execute(f.cpu, &insn);
}

static void attach_ports(void)
{
    port_accesses = 0;
    f.model->bus.port_in = port_in;
    f.model->bus.port_out = port_out;
}

START_TEST(in_and_out)
{
    f.cpu->gpr[RAX] = 0;
    ck_assert_int_eq(io(INSN_in, 0x80, 2), STATUS_OK);          /* nobody there */
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0xffff);
    attach_ports();
    f.cpu->gpr[RAX] = 0x1122334455667788;
    ck_assert_int_eq(io(INSN_in, 0x3f8, 1), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0x1122334455667710);
    ck_assert_int_eq(io(INSN_in, 0x3f8, 4), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RAX], 0x40302011);
    ck_assert_int_eq(io(INSN_out, 0xf4, 2), STATUS_OK);
    ck_assert_uint_eq(last_port, 0xf4);
    ck_assert_uint_eq(last_size, 2);
    ck_assert_uint_eq(last_value, 0x2011);
}
END_TEST

/* A TSS at DATA with the I/O permission bitmap at 0x70: ports 0-0x7f, and the byte of ones. */
static void tss(void)
{
    f.cpu->seg[SEG_TR].base = DATA;
    f.cpu->seg[SEG_TR].limit = 0x80;
    memset(f.ram + DATA, 0, PAGE_SIZE);
    f.ram[DATA + 0x66] = 0x70;
    f.ram[DATA + 0x80] = 0xff;
    f.ram[DATA + 0x72] = 1 << 3;                                /* port 0x13 is denied */
    user_mode();
    attach_ports();
}

START_TEST(io_permission_bitmap)
{
    tss();
    ck_assert_int_eq(io(INSN_in, 0x12, 1), STATUS_OK);
    expect_fault(io(INSN_in, 0x13, 1), VECTOR_GP);
    expect_fault(io(INSN_out, 0x12, 2), VECTOR_GP);
    expect_fault(io(INSN_in, 0x10, 4), VECTOR_GP);
    ck_assert_int_eq(io(INSN_in, 0x14, 4), STATUS_OK);
    ck_assert_int_eq(io(INSN_in, 0x7f, 1), STATUS_OK);
    expect_fault(io(INSN_in, 0x7f, 2), VECTOR_GP);              /* reaches into the ones */
    expect_fault(io(INSN_in, 0x80, 1), VECTOR_GP);              /* two bytes are read: beyond the limit */
    expect_fault(io(INSN_in, 0xffff, 1), VECTOR_GP);
    ck_assert_uint_eq(port_accesses, 3);
    ck_assert_int_eq(io(INSN_in, 0x78, 1), STATUS_OK);
    f.cpu->seg[SEG_TR].limit = 0x7f;                            /* ... even where the first one would permit */
    expect_fault(io(INSN_in, 0x78, 1), VECTOR_GP);
    f.cpu->rflags |= RFLAGS_IOPL;
    ck_assert_int_eq(io(INSN_in, 0x13, 1), STATUS_OK);
    f.cpu->rflags |= RFLAGS_VM;                                 /* virtual-8086 mode: IOPL does not count */
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;
    expect_fault(io(INSN_in, 0x13, 1), VECTOR_GP);
    ck_assert_int_eq(io(INSN_in, 0x12, 1), STATUS_OK);
}
END_TEST

START_TEST(io_permission_without_bitmap)
{
    tss();
    f.cpu->seg[SEG_TR].limit = 0x66;
    expect_fault(io(INSN_in, 0x12, 1), VECTOR_GP);
    f.cpu->seg[SEG_TR].limit = 0x80;
    f.cpu->seg[SEG_TR].access_rights = 0x83;                    /* a 16-bit TSS has none */
    expect_fault(io(INSN_in, 0x12, 1), VECTOR_GP);
    f.cpu->seg[SEG_TR].access_rights = AR_UNUSABLE | 0x8b;
    expect_fault(io(INSN_in, 0x12, 1), VECTOR_GP);
    f.cpu->seg[SEG_TR].access_rights = 0x8b;
    f.cpu->seg[SEG_TR].base = 0x40000000;                       /* beyond what is mapped */
    expect_fault(io(INSN_in, 0x12, 1), VECTOR_PF);
    ck_assert_uint_eq(f.cpu->event.error_code, 0);              /* a supervisor access */
    ck_assert_uint_eq(f.cpu->event.address, 0x40000066);
}
END_TEST

START_TEST(io_permission_comes_before_exits)
{
    VMCS(vmcs(), processor_based_controls) |= PROC_unconditional_io_exiting;
    VMCS(vmcs(), guest_tr_base) = DATA;
    VMCS(vmcs(), guest_tr_limit) = 0x80;
    fixture_enter(&f);
    tss();
    expect_fault(io(INSN_in, 0x13, 1), VECTOR_GP);
    ck_assert_int_eq(io(INSN_in, 0x12, 1), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), EXIT_REASON_io_instruction);
    ck_assert_uint_eq(VMCS(vmcs(), exit_qualification), 0x12 << 16 | 8);
    ck_assert_uint_eq(port_accesses, 0);
}
END_TEST

static enum status string_io(enum insn_id id, bool rep, uint8_t size)
{
    struct insn insn = instruction(id);

    insn.rep = rep;
    insn.operand_size = size;
    insn.port = 0x1f0;
    return execute(f.cpu, &insn);
}

/* REP with a count of 0 moves nothing; whether it may, and whether it exits, is asked all the same. */
START_TEST(repeated_never)
{
    for (unsigned n = 0; n < 8; n++) {
        struct insn insn = instruction(n & 1 ? INSN_ins : INSN_outs);
        bool denied = n & 2, wide = n & 4;

        insn.rep = true;
        insn.operand_size = 1;
        insn.address_size = wide ? 8 : 4;
        insn.port = denied ? 0x13 : 0x12;
        f.cpu->rflags &= ~(uint64_t)RFLAGS_IOPL;
        tss();
        f.cpu->gpr[RCX] = wide ? 0 : 0x700000000;       /* the count is as wide as addresses */
        f.cpu->gpr[RSI] = f.cpu->gpr[RDI] = 0x8000000000000000ull;
        f.cpu->event.valid = false;
        if (denied) {
            expect_fault(execute(f.cpu, &insn), VECTOR_GP);
        } else {
            ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
            ck_assert_uint_eq(f.cpu->gpr[RSI] & f.cpu->gpr[RDI], 0x8000000000000000ull);
        }
        ck_assert_uint_eq(port_accesses, 0);
    }
    VMCS(vmcs(), processor_based_controls) |= PROC_unconditional_io_exiting;
    f.cpu->seg[SEG_SS].access_rights &= ~(3u << 5);
    fixture_enter(&f);
    f.cpu->gpr[RCX] = 0;
    ck_assert_int_eq(string_io(INSN_ins, true, 1), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), EXIT_REASON_io_instruction);
}
END_TEST

START_TEST(ins_and_outs)
{
    attach_ports();
    f.cpu->gpr[RDI] = DATA;
    ck_assert_int_eq(string_io(INSN_ins, false, 4), STATUS_OK);
    ck_assert_uint_eq(memory_read32(&f.model->memory, DATA), 0x40302010);
    ck_assert_uint_eq(f.cpu->gpr[RDI], DATA + 4);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP + 2);

    f.cpu->gpr[RSI] = DATA + 2;
    f.cpu->gpr[RCX] = 2;
    f.cpu->rflags |= RFLAGS_DF;
    ck_assert_int_eq(string_io(INSN_outs, true, 2), STATUS_OK);
    ck_assert_uint_eq(last_value, 0x4030);
    ck_assert_uint_eq(f.cpu->gpr[RSI], DATA);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 1);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP + 2);        /* one iteration at a time */
    ck_assert(f.cpu->rflags & RFLAGS_RF);                       /* 18.3.1.1: between two of them */
    ck_assert_int_eq(string_io(INSN_outs, true, 2), STATUS_OK);
    ck_assert(!(f.cpu->rflags & RFLAGS_RF));
    ck_assert_uint_eq(last_value, 0x2010);
    ck_assert_uint_eq(f.cpu->gpr[RCX], 0);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP + 4);

    port_accesses = 0;
    f.cpu->gpr[RSI] = 1ull << 63;                               /* a count of 0 accesses nothing */
    ck_assert_int_eq(string_io(INSN_outs, true, 2), STATUS_OK);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP + 6);
    ck_assert_uint_eq(port_accesses, 0);
}
END_TEST

START_TEST(ins_faults_before_it_reads_the_port)
{
    attach_ports();
    f.cpu->gpr[RDI] = 0x40000000;
    expect_fault(string_io(INSN_ins, false, 4), VECTOR_PF);
    ck_assert_uint_eq(f.cpu->event.error_code, PF_WRITE);
    f.cpu->gpr[RDI] = (1ull << 47) - 2;
    expect_fault(string_io(INSN_ins, false, 4), VECTOR_GP);
    ck_assert_uint_eq(port_accesses, 0);
    ck_assert_uint_eq(f.cpu->gpr[RDI], (1ull << 47) - 2);
}
END_TEST

START_TEST(string_addresses_of_16_and_32_bits)
{
    struct insn insn = instruction(INSN_ins);

    attach_ports();
    insn.operand_size = 1;
    insn.address_size = 4;
    f.cpu->gpr[RDI] = 0xabc00000000 | DATA;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->gpr[RDI], DATA + 1);
    f.cpu->seg[SEG_CS].access_rights = 0x9b;
    f.cpu->seg[SEG_ES].base = DATA - 0xf000;
    insn.address_size = 2;
    f.cpu->gpr[RDI] = 0x7777ffff;
    f.ram[DATA + 0xfff] = 0;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_OK);
    ck_assert_uint_eq(f.ram[DATA + 0xfff], 0x11);
    ck_assert_uint_eq(f.cpu->gpr[RDI], 0x77770000);
}
END_TEST

/* ---- IRET and NMIs ---- */

/* An IRET whose frame is all zeros: #GP(0), since CS is null. */
static enum status iret_that_faults(void)
{
    f.cpu->gpr[RSP] = DATA;
    memset(f.ram + DATA, 0, 40);
    return run(INSN_iret);
}

START_TEST(iret_unblocks_nmis)
{
    f.cpu->interruptibility = BLOCKING_BY_NMI;
    expect_fault(iret_that_faults(), VECTOR_GP);
    ck_assert_uint_eq(f.cpu->interruptibility, 0);      /* although it faulted */
}
END_TEST

static enum status iret_in_guest(uint64_t pin, uint32_t exceptions)
{
    VMCS(vmcs(), pin_based_controls) |= pin;
    VMCS(vmcs(), exception_bitmap) = exceptions;
    VMCS(vmcs(), guest_interruptibility_state) = BLOCKING_BY_NMI;
    fixture_enter(&f);
    return iret_that_faults();
}

START_TEST(iret_tells_what_it_unblocked)
{
    ck_assert_int_eq(iret_in_guest(PIN_nmi_exiting | PIN_virtual_nmis, 1u << VECTOR_GP), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000b0d | INTERRUPTION_NMI_UNBLOCKING);
    ck_assert_uint_eq(VMCS(vmcs(), guest_interruptibility_state), 0);
}
END_TEST

START_TEST(iret_tells_it_for_ept_violations)
{
    struct translation t = { .result = TRANSLATION_EPT_VIOLATION, .gpa = 0x5000, .qualification = 0x181 };

    expect_fault(iret_in_guest(0, 0), VECTOR_GP);
    ck_assert_int_eq(translation_fault(f.cpu, 0x5000, &t, false), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_qualification), 0x181 | EPT_VIOLATION_NMI_UNBLOCKING);
}
END_TEST

START_TEST(a_later_fault_is_not_iret_s)
{
    expect_fault(iret_in_guest(0, 0), VECTOR_GP);
    VMCS(vmcs(), exception_bitmap) = 1u << VECTOR_GP;
    f.cpu->instructions++;
    ck_assert_int_eq(cpu_fault(f.cpu, VECTOR_GP, 0), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000b0d);
}
END_TEST

START_TEST(iret_leaves_the_host_s_blocking)
{
    expect_fault(iret_in_guest(PIN_nmi_exiting, 0), VECTOR_GP);
    ck_assert_uint_eq(f.cpu->interruptibility, BLOCKING_BY_NMI);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("execute");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, privilege_comes_before_execution, 0, ROWS(privileged));
    tcase_add_loop_test(tcase, privilege_comes_before_exits, 0, ROWS(privileged));
    tcase_add_loop_test(tcase, exits_without_privilege_problem, 0, ROWS(privileged));
    tcase_add_test(tcase, privilege_by_control_register);
    tcase_add_test(tcase, what_does_not_exist);
    tcase_add_test(tcase, what_the_controls_disable);
    tcase_add_test(tcase, system_segments_need_protected_mode);
    tcase_add_test(tcase, native_instructions_have_no_stop_bit);
    tcase_add_loop_test(tcase, table_registers, 0, 2);
    tcase_add_test(tcase, no_row_is_refused);
    tcase_add_test(tcase, cpuid_and_hlt);
    tcase_add_test(tcase, waiting_takes_time);
    tcase_add_test(tcase, msr_instructions);
    tcase_add_test(tcase, the_guest_s_counter_is_offset);
    tcase_add_test(tcase, the_guest_s_counter_is_scaled);
    tcase_add_test(tcase, random_numbers_repeat);
    tcase_add_loop_test(tcase, random_number_exits, 0, 2);
    tcase_add_test(tcase, xsetbv_values);
    tcase_add_loop_test(tcase, breakpoint_lengths, 0, 4);
    tcase_add_test(tcase, every_instruction_ends);
    tcase_add_test(tcase, cpuid_in_its_registers);
    tcase_add_test(tcase, debug_registers);
    tcase_add_test(tcase, breakpoints_of_the_model_s_accesses);
    tcase_add_test(tcase, debug_register_exits_come_first);
    tcase_add_test(tcase, invlpg);
    tcase_add_test(tcase, operands_at_the_end_of_a_segment);
    tcase_add_test(tcase, invpcid_types);
    tcase_add_test(tcase, in_and_out);
    tcase_add_test(tcase, io_permission_bitmap);
    tcase_add_test(tcase, io_permission_without_bitmap);
    tcase_add_test(tcase, io_permission_comes_before_exits);
    tcase_add_test(tcase, repeated_never);
    tcase_add_test(tcase, ins_and_outs);
    tcase_add_test(tcase, ins_faults_before_it_reads_the_port);
    tcase_add_test(tcase, string_addresses_of_16_and_32_bits);
    tcase_add_test(tcase, iret_unblocks_nmis);
    tcase_add_test(tcase, iret_tells_what_it_unblocked);
    tcase_add_test(tcase, iret_tells_it_for_ept_violations);
    tcase_add_test(tcase, a_later_fault_is_not_iret_s);
    tcase_add_test(tcase, iret_leaves_the_host_s_blocking);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
