/* SPDX-License-Identifier: MIT */
/*
 * The order within an instruction, for every row of arch/instructions.def: #UD, #GP(0) by privilege, VM exit (SDM Vol. 3, 26.1.1,
 * 26.1.2, 26.1.3). In non-root operation with every control that makes instructions exit.
 */
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

enum outcome { UD, GP, EXIT, DONE };
static const char *const outcomes[] = { "#UD", "#GP", "VM exit", "nothing" };

/*
 * What the instruction comes to at CPL 0 and at CPL 3 in 64-bit mode, at CPL 0 in real-address mode (unrestricted guest) and in
 * virtual-8086 mode. U: #UD, G: #GP, X: VM exit, -: no exit and no such fault; N: no exit, and the descriptors decide.
 */
static const struct { const char *name; const char *in; } expected[INSN_COUNT] = {
    [INSN_cpuid] = { "CPUID", "XXXX" },         [INSN_hlt] = { "HLT", "XGXG" },
    [INSN_in] = { "IN", "XGXG" },               [INSN_out] = { "OUT", "XGXG" },
    [INSN_ins] = { "INS", "XGXG" },             [INSN_outs] = { "OUTS", "XGXG" },
    [INSN_rdmsr] = { "RDMSR", "XGXG" },         [INSN_wrmsr] = { "WRMSR", "XGXG" },
    [INSN_rdtsc] = { "RDTSC", "XGXG" },         /* with CR4.TSD */
    [INSN_rdtscp] = { "RDTSCP", "XGXG" },       [INSN_rdpmc] = { "RDPMC", "XGXG" },
    [INSN_mov_to_cr] = { "MOV to CR3", "XGXG" }, [INSN_mov_from_cr] = { "MOV from CR3", "XGXG" },
    [INSN_clts] = { "CLTS", "XGXG" },           [INSN_lmsw] = { "LMSW", "XGXG" },
    [INSN_smsw] = { "SMSW", "-G-G" },           /* with CR4.UMIP */
    [INSN_mov_to_dr] = { "MOV to DR", "XXXX" }, [INSN_mov_from_dr] = { "MOV from DR", "XXXX" },
    [INSN_invlpg] = { "INVLPG", "XGXG" },       [INSN_invpcid] = { "INVPCID", "XGXG" },
    [INSN_invd] = { "INVD", "XGXG" },           [INSN_wbinvd] = { "WBINVD", "XGXG" },
    [INSN_xsetbv] = { "XSETBV", "XGXG" },
    [INSN_monitor] = { "MONITOR", "XUXU" },     [INSN_mwait] = { "MWAIT", "XUXU" },
    [INSN_pause] = { "PAUSE", "XXXX" },         [INSN_rdrand] = { "RDRAND", "XXXX" },
    [INSN_rdseed] = { "RDSEED", "XXXX" },
    [INSN_sgdt] = { "SGDT", "XGXG" },           [INSN_sidt] = { "SIDT", "XGXG" },
    [INSN_lgdt] = { "LGDT", "XGXG" },           [INSN_lidt] = { "LIDT", "XGXG" },
    [INSN_sldt] = { "SLDT", "XGUU" },           [INSN_str] = { "STR", "XGUU" },
    [INSN_lldt] = { "LLDT", "XGUU" },           [INSN_ltr] = { "LTR", "XGUU" },
    [INSN_getsec] = { "GETSEC", "UUUU" },       [INSN_rsm] = { "RSM", "UUUU" },
    [INSN_iret] = { "IRET", "NNNN" },           [INSN_jmp_far] = { "far JMP", "NNNN" },
    [INSN_call_far] = { "far CALL", "NNNN" },   [INSN_ret_far] = { "far RET", "NNNN" },
    [INSN_mov_to_segment] = { "MOV to segment", "NNNN" }, [INSN_pop_segment] = { "POP to segment", "NNNN" },
    [INSN_load_far_pointer] = { "LES", "NNNN" },
    [INSN_cli] = { "CLI", "----" },             [INSN_sti] = { "STI", "----" },            /* without VIF the CPU engine's */
    [INSN_pushf] = { "PUSHF", "----" },         [INSN_popf] = { "POPF", "----" },
    [INSN_enter] = { "ENTER", "----" },
    [INSN_wrfsbase] = { "WRFSBASE", "UUUU" },   [INSN_wrgsbase] = { "WRGSBASE", "UUUU" },  /* without CR4.FSGSBASE */
    [INSN_lar] = { "LAR", "NNUU" },             [INSN_lsl] = { "LSL", "NNUU" },
    [INSN_verr] = { "VERR", "NNUU" },           [INSN_verw] = { "VERW", "NNUU" },
    [INSN_vmcall] = { "VMCALL", "XXXX" },       [INSN_vmclear] = { "VMCLEAR", "XXUU" },
    [INSN_vmlaunch] = { "VMLAUNCH", "XXUU" },   [INSN_vmptrld] = { "VMPTRLD", "XXUU" },
    [INSN_vmptrst] = { "VMPTRST", "XXUU" },     [INSN_vmread] = { "VMREAD", "XXUU" },
    [INSN_vmresume] = { "VMRESUME", "XXUU" },   [INSN_vmwrite] = { "VMWRITE", "XXUU" },
    [INSN_vmxoff] = { "VMXOFF", "XXUU" },       [INSN_vmxon] = { "VMXON", "XXUU" },
    [INSN_invept] = { "INVEPT", "XXUU" },       [INSN_invvpid] = { "INVVPID", "XXUU" },
    [INSN_vmfunc] = { "VMFUNC", "XXXX" },       /* function 1, which is not enabled */
};

static void enter(void)
{
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, processor_based_controls) |=
        PROC_hlt_exiting | PROC_invlpg_exiting | PROC_mwait_exiting | PROC_rdpmc_exiting | PROC_rdtsc_exiting |
        PROC_cr3_load_exiting | PROC_cr3_store_exiting | PROC_mov_dr_exiting | PROC_unconditional_io_exiting |
        PROC_monitor_exiting | PROC_pause_exiting;
    VMCS(v, secondary_processor_based_controls) |=
        PROC2_enable_ept | PROC2_unrestricted_guest | PROC2_descriptor_table_exiting | PROC2_wbinvd_exiting |
        PROC2_rdrand_exiting | PROC2_rdseed_exiting | PROC2_enable_invpcid | PROC2_enable_vm_functions;
    VMCS(v, cr0_guest_host_mask) = VMCS(v, cr0_read_shadow) = CR0_TS;
    VMCS(v, guest_cr4) |= CR4_TSD | CR4_UMIP | CR4_OSXSAVE;
    fixture_enter(&f);
}

static void mode(unsigned number)
{
    struct cpu *cpu = f.cpu;

    fixture_store64(&f, 0x60, ~0ull);   /* IOPL is 0, and the TSS has no I/O bitmap */
    switch (number) {
    case 1:                             /* CPL 3 */
        cpu->seg[SEG_SS].access_rights |= 3 << 5;
        cpu->seg[SEG_CS].access_rights |= 3 << 5;
        break;
    case 2:                             /* real-address mode */
        cpu->cr0 &= ~(CR0_PE | CR0_PG);
        CPU_MSR(cpu, ia32_efer) = 0;
        break;
    case 3:                             /* virtual-8086 mode */
        CPU_MSR(cpu, ia32_efer) = 0;
        cpu->cr0 &= ~CR0_PG;
        cpu->rflags |= RFLAGS_VM;
        break;
    default:
        break;
    }
}

static struct insn instruction(enum insn_id id)
{
    struct insn insn = { .id = id, .length = 3, .operand_size = 4, .address_size = 8, .kind = OPERAND_MEMORY, .segment = SEG_DS,
                         .base = NO_REGISTER, .index = NO_REGISTER, .displacement = 0x50000 };

    if (id == INSN_in || id == INSN_out || id == INSN_ins || id == INSN_outs)
        insn.operand_size = 1;
    if (id == INSN_enter)
        insn.displacement = 0;          /* no address, but how much of the stack */
    if (id == INSN_mov_to_cr || id == INSN_mov_from_cr)
        insn.kind = OPERAND_REGISTER, insn.reg = 3, insn.rm = RAX;
    if (id == INSN_mov_to_dr || id == INSN_mov_from_dr || id == INSN_lmsw || id == INSN_smsw || id == INSN_lldt || id == INSN_ltr)
        insn.kind = OPERAND_REGISTER;
    return insn;
}

static enum outcome outcome(const struct insn *insn)
{
    unsigned exits = f.exits;
    enum status status;

    f.cpu->gpr[RAX] = 1;
    f.cpu->gpr[RSP] = 0x9000;
    status = execute(f.cpu, insn);
    if (f.exits != exits)
        return EXIT;
    if (status == STATUS_EVENT)
        return f.cpu->event.vector == VECTOR_UD ? UD : f.cpu->event.vector == VECTOR_GP ? GP : DONE;
    return DONE;
}

START_TEST(order)
{
    static const char *const modes[] = { "64-bit mode", "CPL 3", "real-address mode", "virtual-8086 mode" };

    ck_assert_msg(expected[_i].name != NULL, "row %d of arch/instructions.def has no expectation", _i);
    for (unsigned i = 0; i < 4; i++) {
        char letter = expected[_i].in[i];
        enum outcome wanted = letter == 'U' ? UD : letter == 'G' ? GP : letter == 'X' ? EXIT : DONE;
        const struct insn insn = instruction((enum insn_id)_i);
        enum outcome got;

        fixture_close(&f);
        fixture_open(&f);
        enter();
        mode(i);
        got = outcome(&insn);
        ck_assert_msg(letter == 'N' ? got != EXIT : got == wanted, "%s in %s: %s, not %s", expected[_i].name, modes[i], outcomes[got], outcomes[wanted]);
    }
}
END_TEST

/* What makes each of them undefined comes before its exit, and before privilege. */
static const struct { const char *name; struct insn insn; uint64_t cr4_clear; uint32_t proc2_clear; uint64_t rax; } undefined[] = {
    { "MOV to CR1", { .id = INSN_mov_to_cr, .kind = OPERAND_REGISTER, .reg = 1 }, 0, 0, 0 },
    { "MOV from CR5", { .id = INSN_mov_from_cr, .kind = OPERAND_REGISTER, .reg = 5 }, 0, 0, 0 },
    { "MOV to DR8", { .id = INSN_mov_to_dr, .kind = OPERAND_REGISTER, .reg = 8 }, 0, 0, 0 },
    { "MOV from DR15", { .id = INSN_mov_from_dr, .kind = OPERAND_REGISTER, .reg = 15 }, 0, 0, 0 },
    { "INVLPG of a register", { .id = INSN_invlpg, .kind = OPERAND_REGISTER }, 0, 0, 0 },
    { "INVPCID of a register", { .id = INSN_invpcid, .kind = OPERAND_REGISTER }, 0, 0, 0 },
    { "LGDT of a register", { .id = INSN_lgdt, .kind = OPERAND_REGISTER }, 0, 0, 0 },
    { "SIDT of a register", { .id = INSN_sidt, .kind = OPERAND_REGISTER }, 0, 0, 0 },
    { "XSETBV without OSXSAVE", { .id = INSN_xsetbv }, CR4_OSXSAVE, 0, 0 },
    { "RDTSCP without its control", { .id = INSN_rdtscp }, 0, PROC2_enable_rdtscp, 0 },
    { "INVPCID without its control", { .id = INSN_invpcid, .kind = OPERAND_MEMORY }, 0, PROC2_enable_invpcid, 0 },
    { "VMFUNC without its control", { .id = INSN_vmfunc }, 0, PROC2_enable_vm_functions, 0 },
    { "VMFUNC 64", { .id = INSN_vmfunc }, 0, 0, 64 },
};
enum { UNDEFINED = sizeof(undefined) / sizeof(undefined[0]) };

START_TEST(undefined_before_exit)
{
    for (unsigned privileged = 0; privileged < 2; privileged++) {
        fixture_close(&f);
        fixture_open(&f);
        enter();
        mode(privileged ? 0 : 1);
        f.cpu->cr4 &= ~undefined[_i].cr4_clear;
        VMCS(f.cpu->vmx.current, secondary_processor_based_controls) &= ~(uint64_t)undefined[_i].proc2_clear;
        f.cpu->gpr[RAX] = undefined[_i].rax;
        ck_assert_int_eq(execute(f.cpu, &undefined[_i].insn), STATUS_EVENT);
        ck_assert_msg(f.cpu->event.vector == VECTOR_UD, "%s: %u", undefined[_i].name, f.cpu->event.vector);
        ck_assert_uint_eq(f.exits, 0);
    }
}
END_TEST

/* 26.1.3: but for DR4 and DR5, which exit although CR4.DE makes them #UD. */
START_TEST(mov_dr_4_and_5)
{
    struct insn insn = { .id = _i % 2 ? INSN_mov_to_dr : INSN_mov_from_dr, .kind = OPERAND_REGISTER, .reg = (uint8_t)(4 + _i / 2) };

    enter();
    f.cpu->cr4 |= CR4_DE;
    ck_assert_int_eq(outcome(&insn), EXIT);
    ck_assert_uint_eq(f.exit.a, EXIT_REASON_mov_dr);
    fixture_close(&f);
    fixture_open(&f);
    f.cpu->cr4 |= CR4_DE;
    ck_assert_int_eq(outcome(&insn), UD);       /* in root operation, say */
}
END_TEST

/* REP with a count of 0: permission and exit as with any other count; then nothing happens. */
START_TEST(nothing_to_repeat)
{
    const struct insn insn = { .id = _i ? INSN_outs : INSN_ins, .kind = OPERAND_MEMORY, .length = 2, .operand_size = 1, .address_size = 8,
                               .rep = true, .port = 0x60, .segment = SEG_DS };
    uint64_t rip;

    f.cpu->gpr[RCX] = 0;
    mode(1);
    ck_assert_int_eq(outcome(&insn), GP);
    fixture_close(&f);
    fixture_open(&f);
    enter();
    f.cpu->gpr[RCX] = 0;
    ck_assert_int_eq(outcome(&insn), EXIT);
    ck_assert_uint_eq(f.exit.a, EXIT_REASON_io_instruction);
    fixture_close(&f);
    fixture_open(&f);
    f.cpu->gpr[RCX] = 0;
    f.cpu->gpr[RDI] = f.cpu->gpr[RSI] = 1ull << 60;         /* not looked at */
    rip = f.cpu->rip;
    ck_assert_int_eq(outcome(&insn), DONE);
    ck_assert_uint_eq(f.cpu->rip, rip + 2);
    ck_assert_uint_eq(f.cpu->gpr[RDI], 1ull << 60);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("order within an instruction");
    TCase *tcase = tcase_create("order");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, order, INSN_none + 1, INSN_COUNT);
    tcase_add_loop_test(tcase, undefined_before_exit, 0, UNDEFINED);
    tcase_add_loop_test(tcase, mov_dr_4_and_5, 0, 4);
    tcase_add_loop_test(tcase, nothing_to_repeat, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
