/* SPDX-License-Identifier: MIT */
/* What exits and what not: reasons, exit qualifications, instruction information, bitmaps, exceptions, stop bits. */
#include "model/cpu/segment.h"

#include "tests/model/vmx_fixture.h"

static struct vmx_fixture f;
static struct vmcs *v;
static struct cpu *cpu;
static struct exit_information info;

static void setup(void)
{
    fixture_open(&f);
    cpu = f.cpu;
    v = cpu->vmx.current;
    fixture_enter(&f);
}
static void teardown(void) { fixture_close(&f); }

static void proc(uint32_t bits) { VMCS(v, processor_based_controls) |= bits; }
static void proc2(uint32_t bits) { VMCS(v, secondary_processor_based_controls) |= bits; }

static struct insn plain(enum insn_id id)
{
    return (struct insn){ .id = id, .length = 2, .operand_size = 4, .address_size = 8,
                          .base = NO_REGISTER, .index = NO_REGISTER };
}

static struct insn memory(enum insn_id id)
{
    struct insn insn = plain(id);

    insn.kind = OPERAND_MEMORY;
    insn.segment = SEG_DS;
    return insn;
}

static struct insn registers(enum insn_id id, uint8_t rm, uint8_t reg)
{
    struct insn insn = plain(id);

    insn.kind = OPERAND_REGISTER;
    insn.rm = rm;
    insn.reg = reg;
    return insn;
}

static void exits(struct insn insn, uint32_t reason, uint64_t qualification)
{
    ck_assert_msg(vmx_intercepts(cpu, &insn, &info), "%s does not exit", insn_name(insn.id));
    ck_assert_uint_eq(info.reason, reason);
    ck_assert_uint_eq(info.qualification, qualification);
    ck_assert_uint_eq(info.instruction_length, insn.length);
}

static void stays(struct insn insn)
{
    ck_assert_msg(!vmx_intercepts(cpu, &insn, &info), "%s exits", insn_name(insn.id));
}

/* ---- one control, one instruction ---- */

static const struct {
    enum insn_id id;
    uint32_t proc, proc2;
    uint32_t reason;
} by_control[] = {
    { INSN_hlt, PROC_hlt_exiting, 0, 12 },          { INSN_rdtsc, PROC_rdtsc_exiting, 0, 16 },
    { INSN_rdtscp, PROC_rdtsc_exiting, 0, 51 },     { INSN_rdpmc, PROC_rdpmc_exiting, 0, 15 },
    { INSN_monitor, PROC_monitor_exiting, 0, 39 },  { INSN_mwait, PROC_mwait_exiting, 0, 36 },
    { INSN_pause, PROC_pause_exiting, 0, 40 },      { INSN_wbinvd, 0, PROC2_wbinvd_exiting, 54 },
    { INSN_rdrand, 0, PROC2_rdrand_exiting, 57 },   { INSN_rdseed, 0, PROC2_rdseed_exiting, 61 },
    { INSN_sgdt, 0, PROC2_descriptor_table_exiting, 46 }, { INSN_sidt, 0, PROC2_descriptor_table_exiting, 46 },
    { INSN_lgdt, 0, PROC2_descriptor_table_exiting, 46 }, { INSN_lidt, 0, PROC2_descriptor_table_exiting, 46 },
    { INSN_sldt, 0, PROC2_descriptor_table_exiting, 47 }, { INSN_str, 0, PROC2_descriptor_table_exiting, 47 },
    { INSN_lldt, 0, PROC2_descriptor_table_exiting, 47 }, { INSN_ltr, 0, PROC2_descriptor_table_exiting, 47 },
    { INSN_in, PROC_unconditional_io_exiting, 0, 30 },    { INSN_outs, PROC_unconditional_io_exiting, 0, 30 },
    { INSN_mov_to_dr, PROC_mov_dr_exiting, 0, 29 },       { INSN_mov_from_dr, PROC_mov_dr_exiting, 0, 29 },
    { INSN_invlpg, PROC_invlpg_exiting, 0, 14 },
};

START_TEST(controls_decide)
{
    struct insn insn = registers(by_control[_i].id, 0, 0);

    VMCS(v, processor_based_controls) &= ~(uint64_t)by_control[_i].proc;
    vmx_update_intercepts(cpu);
    stays(insn);
    ck_assert(!(cpu->intercepts >> insn.id & 1));
    proc(by_control[_i].proc);
    proc2(by_control[_i].proc2);
    vmx_update_intercepts(cpu);
    ck_assert(vmx_intercepts(cpu, &insn, &info));
    ck_assert_uint_eq(info.reason, by_control[_i].reason);
    ck_assert(cpu->intercepts >> insn.id & 1);
    VMCS(v, processor_based_controls) &= ~(uint64_t)PROC_activate_secondary_controls;
    if (by_control[_i].proc2)
        stays(insn);
    cpu->vmx.non_root = false;
    stays(insn);
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts, 0);
}
END_TEST

START_TEST(always)
{
    static const struct { enum insn_id id; uint32_t reason; } table[] = {
        { INSN_cpuid, 10 }, { INSN_invd, 13 }, { INSN_xsetbv, 55 }, { INSN_vmcall, 18 }, { INSN_vmlaunch, 20 },
        { INSN_vmresume, 24 }, { INSN_vmxoff, 26 },
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        exits(plain(table[i].id), table[i].reason, 0);
        ck_assert(cpu->intercepts >> table[i].id & 1);
    }
    stays(plain(INSN_rsm));
    stays(plain(INSN_getsec));              /* #UD: there is no SMX */
    stays(plain(INSN_vmfunc));
    stays(plain(INSN_smsw));
    stays(plain(INSN_iret));
}
END_TEST

START_TEST(stop_bits)
{
    static const uint64_t cr0 = 1ull << INSN_clts | 1ull << INSN_lmsw | 1ull << INSN_smsw | 1ull << INSN_mov_from_cr;
    uint64_t least;

    VMCS(v, processor_based_controls) &= ~(uint64_t)(PROC_cr3_load_exiting | PROC_cr3_store_exiting);
    proc2(PROC2_enable_invpcid);
    vmx_update_intercepts(cpu);
    least = cpu->intercepts;
    ck_assert_uint_eq(least & (cr0 | 1ull << INSN_invpcid | 1ull << INSN_rdtsc | 1ull << INSN_rdtscp), 0);
    VMCS(v, cr0_guest_host_mask) = CR0_TS;
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts, least | cr0);
    VMCS(v, cr0_guest_host_mask) = 0;
    VMCS(v, cr4_guest_host_mask) = CR4_VMXE;
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts, least | 1ull << INSN_mov_from_cr);
    VMCS(v, cr4_guest_host_mask) = 0;
    proc(PROC_cr3_store_exiting);
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts, least | 1ull << INSN_mov_from_cr);
    VMCS(v, processor_based_controls) ^= PROC_cr3_store_exiting;
    proc(PROC_use_tsc_offsetting);
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts, least | 1ull << INSN_rdtsc | 1ull << INSN_rdtscp);
    VMCS(v, processor_based_controls) ^= PROC_use_tsc_offsetting | PROC_invlpg_exiting;
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts, least | 1ull << INSN_invlpg | 1ull << INSN_invpcid);
    VMCS(v, processor_based_controls) ^= PROC_invlpg_exiting | PROC_use_io_bitmaps;
    vmx_update_intercepts(cpu);
    ck_assert_uint_eq(cpu->intercepts,
                      least | 1ull << INSN_in | 1ull << INSN_out | 1ull << INSN_ins | 1ull << INSN_outs);
}
END_TEST

/* 25.6.13: gap and window in ticks of the counter. */
START_TEST(pause_loops)
{
    static const struct {
        uint64_t clock;
        bool exits;
    } pauses[] = {
        { 1000, false }, { 1010, false },               /* the first begins a loop, the second comes within the gap */
        { 1021, false },                                /* later than the gap: a new loop */
        { 1031, false }, { 1041, false }, { 1051, true }, /* the loop lasts longer than its window */
        { 1052, true },
        { 2000, false }, { 2001, false },
    };

    proc2(PROC2_pause_loop_exiting);
    VMCS(v, ple_gap) = 10;
    VMCS(v, ple_window) = 29;
    vmx_update_intercepts(cpu);
    ck_assert(cpu->intercepts >> INSN_pause & 1);
    for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        cpu->clock = pauses[i].clock;
        if (pauses[i].exits)
            exits(plain(INSN_pause), EXIT_REASON_pause, 0);
        else
            stays(plain(INSN_pause));
    }
    cpu->seg[SEG_SS].access_rights |= 3 << 5;           /* above CPL 0 there are no loops */
    cpu->clock = 2009;
    stays(plain(INSN_pause));
    cpu->clock = 2040;
    stays(plain(INSN_pause));
}
END_TEST

START_TEST(enabling_controls)
{
    proc(PROC_rdtsc_exiting | PROC_invlpg_exiting);
    stays(memory(INSN_invpcid));            /* "enable INVPCID" is 0: #UD */
    proc2(PROC2_enable_invpcid);
    exits(memory(INSN_invpcid), 58, 0);
    VMCS(v, secondary_processor_based_controls) &= ~(uint64_t)PROC2_enable_rdtscp;
    stays(plain(INSN_rdtscp));
    vmx_update_intercepts(cpu);
    ck_assert(cpu->intercepts >> INSN_rdtscp & 1);
}
END_TEST

/* ---- control registers ---- */

START_TEST(mov_to_cr0_and_cr4)
{
    struct insn cr0 = registers(INSN_mov_to_cr, R9, 0), cr4 = registers(INSN_mov_to_cr, RBX, 4);

    VMCS(v, cr0_guest_host_mask) = CR0_TS | CR0_NE;
    VMCS(v, cr0_read_shadow) = CR0_NE;
    cpu->gpr[R9] = CR0_NE | CR0_WP | CR0_MP;
    stays(cr0);
    cpu->gpr[R9] = CR0_NE | CR0_TS;
    exits(cr0, 28, 9 << 8);
    cpu->gpr[R9] = 0;
    exits(cr0, 28, 9 << 8);
    VMCS(v, cr4_guest_host_mask) = CR4_VMXE | 1ull << 40;
    cpu->gpr[RBX] = CR4_PGE;
    stays(cr4);
    cpu->gpr[RBX] = CR4_VMXE;
    exits(cr4, 28, 3 << 8 | 4);
    cpu->gpr[RBX] = 1ull << 40;
    exits(cr4, 28, 3 << 8 | 4);
    cpu->seg[SEG_CS].access_rights &= ~AR_L;                /* 32-bit code moves 32 bits */
    stays(cr4);
}
END_TEST

START_TEST(mov_cr3_and_its_targets)
{
    struct insn load = registers(INSN_mov_to_cr, RSI, 3), store = registers(INSN_mov_from_cr, RDI, 3);

    cpu->gpr[RSI] = 0x4000;
    VMCS(v, processor_based_controls) &= ~(uint64_t)(PROC_cr3_load_exiting | PROC_cr3_store_exiting);
    stays(load);
    stays(store);
    proc(PROC_cr3_load_exiting);
    exits(load, 28, 6 << 8 | 3);
    stays(store);
    VMCS(v, cr3_target_value_3) = 0x4000;
    VMCS(v, cr3_target_count) = 3;
    exits(load, 28, 6 << 8 | 3);
    VMCS(v, cr3_target_count) = 4;
    stays(load);
    cpu->gpr[RSI] |= 1ull << 63;
    exits(load, 28, 6 << 8 | 3);
    VMCS(v, cr3_target_count) = 0xffffffff;
    exits(load, 28, 6 << 8 | 3);
    proc(PROC_cr3_store_exiting);
    exits(store, 28, 7 << 8 | 1 << 4 | 3);
}
END_TEST

START_TEST(mov_cr8_and_others)
{
    stays(registers(INSN_mov_to_cr, RAX, 8));
    proc(PROC_cr8_load_exiting | PROC_cr8_store_exiting);
    exits(registers(INSN_mov_to_cr, R15, 8), 28, 15 << 8 | 8);
    exits(registers(INSN_mov_from_cr, RAX, 8), 28, 1 << 4 | 8);
    VMCS(v, cr0_guest_host_mask) = VMCS(v, cr4_guest_host_mask) = ~0ull;
    stays(registers(INSN_mov_from_cr, RAX, 0));
    stays(registers(INSN_mov_from_cr, RAX, 4));
    stays(registers(INSN_mov_to_cr, RAX, 2));
    vmx_update_intercepts(cpu);
    ck_assert(cpu->intercepts >> INSN_mov_from_cr & 1);     /* not for an exit: for the read shadow */
    ck_assert(cpu->intercepts >> INSN_smsw & 1);
}
END_TEST

START_TEST(clts)
{
    VMCS(v, cr0_guest_host_mask) = CR0_TS;
    stays(plain(INSN_clts));
    VMCS(v, cr0_read_shadow) = CR0_TS;
    exits(plain(INSN_clts), 28, 2 << 4);
    VMCS(v, cr0_guest_host_mask) = ~CR0_TS;
    stays(plain(INSN_clts));
}
END_TEST

START_TEST(lmsw_register)
{
    struct insn lmsw = registers(INSN_lmsw, RDX, 0);

    VMCS(v, cr0_guest_host_mask) = CR0_PE;
    VMCS(v, cr0_read_shadow) = CR0_PE;
    cpu->gpr[RDX] = 0;
    stays(lmsw);                                            /* LMSW cannot clear PE */
    VMCS(v, cr0_read_shadow) = 0;
    cpu->gpr[RDX] = 0xabc1;
    exits(lmsw, 28, 0xabc1ull << 16 | 3 << 4);
    cpu->gpr[RDX] = 0xe;
    stays(lmsw);
    VMCS(v, cr0_guest_host_mask) = CR0_TS;
    exits(lmsw, 28, 0xeull << 16 | 3 << 4);
    VMCS(v, cr0_read_shadow) = CR0_TS;
    cpu->gpr[RDX] = 0x0;
    exits(lmsw, 28, 3 << 4);
    cpu->gpr[RDX] = 0xfff8;
    stays(lmsw);
}
END_TEST

START_TEST(lmsw_memory)
{
    struct insn lmsw = memory(INSN_lmsw);

    lmsw.displacement = 0x50ffe;
    VMCS(v, cr0_guest_host_mask) = CR0_EM;
    fixture_store64(&f, 0x50ffe, 0x1234);
    exits(lmsw, 28, 0x1234ull << 16 | 1 << 6 | 3 << 4);
    ck_assert_uint_eq(info.guest_linear_address, 0x50ffe);
    f.ram[FIXTURE_CR3 + 0x1000] &= ~4;                      /* supervisor pages: LMSW is a supervisor's instruction */
    tlb_flush_all(cpu, false);
    exits(lmsw, 28, 0x1234ull << 16 | 1 << 6 | 3 << 4);
    lmsw.displacement = 0x40000000;                         /* not mapped: the fault comes first */
    stays(lmsw);
    ck_assert(!cpu->event.valid);
}
END_TEST

START_TEST(debug_registers)
{
    proc(PROC_mov_dr_exiting);
    exits(registers(INSN_mov_to_dr, R10, 7), 29, 10 << 8 | 7);
    exits(registers(INSN_mov_from_dr, RCX, 6), 29, 1 << 8 | 1 << 4 | 6);
}
END_TEST

/* ---- I/O ---- */

static struct insn io(enum insn_id id, uint16_t port, uint8_t size)
{
    struct insn insn = plain(id);

    insn.port = port;
    insn.operand_size = size;
    insn.segment = SEG_DS;
    return insn;
}

START_TEST(io_qualification)
{
    struct insn out = io(INSN_out, 0x80, 1), ins = io(INSN_ins, 0x3f8, 2), outs = io(INSN_outs, 0xcf8, 4);

    proc(PROC_unconditional_io_exiting);
    exits(io(INSN_in, 0x1234, 4), 30, 0x1234ull << 16 | 1 << 3 | 3);
    out.port_immediate = true;
    exits(out, 30, 0x80ull << 16 | 1 << 6);
    ck_assert_uint_eq(info.instruction_information, 0);

    cpu->gpr[RDI] = 0x1111222233334444;
    cpu->gpr[RSI] = 0x5555666677778888;
    cpu->seg[SEG_FS].base = 0x1000;
    cpu->seg[SEG_ES].base = 0x7777;                         /* has no effect in 64-bit mode */
    ins.rep = true;
    exits(ins, 30, 0x3f8ull << 16 | 1 << 5 | 1 << 4 | 1 << 3 | 1);
    ck_assert_uint_eq(info.guest_linear_address, 0x1111222233334444);
    ck_assert_uint_eq(info.instruction_information, 2 << 7);
    outs.segment = SEG_FS;
    outs.address_size = 4;
    exits(outs, 30, 0xcf8ull << 16 | 1 << 4 | 3);
    ck_assert_uint_eq(info.guest_linear_address, 0x77779888);
    ck_assert_uint_eq(info.instruction_information, 1 << 7 | 4 << 15);
}
END_TEST

START_TEST(io_bitmaps)
{
    proc(PROC_use_io_bitmaps | PROC_unconditional_io_exiting);      /* the bitmaps win */
    stays(io(INSN_in, 0, 1));
    f.ram[FIXTURE_IO_A + 0x3f8 / 8] = 1;
    exits(io(INSN_in, 0x3f8, 1), 30, 0x3f8ull << 16 | 1 << 3);
    stays(io(INSN_in, 0x3f9, 1));
    exits(io(INSN_in, 0x3f5, 4), 30, 0x3f5ull << 16 | 1 << 3 | 3);
    stays(io(INSN_in, 0x3f4, 4));
    stays(io(INSN_in, 0x83f8, 1));
    exits(io(INSN_out, 0xffff, 2), 30, 0xffffull << 16 | 1);        /* wraps around, whatever the bitmaps say */
    f.ram[FIXTURE_IO_B] = 1;
    exits(io(INSN_out, 0x8000, 1), 30, 0x8000ull << 16);
    exits(io(INSN_out, 0x7fff, 2), 30, 0x7fffull << 16 | 1);
    stays(io(INSN_out, 0x7fff, 1));
    stays(io(INSN_out, 0xffff, 1));
    exits(io(INSN_out, 0xfffd, 4), 30, 0xfffdull << 16 | 3);
    stays(io(INSN_out, 0xfffc, 4));
}
END_TEST

/* ---- MSRs ---- */

static void msr(uint32_t index, bool read_exits, bool write_exits)
{
    struct insn rdmsr = plain(INSN_rdmsr), wrmsr = plain(INSN_wrmsr);

    cpu->gpr[RCX] = index | 0xabull << 32;                  /* RCX[63:32] is ignored */
    ck_assert_int_eq(vmx_intercepts(cpu, &rdmsr, &info), read_exits);
    ck_assert_int_eq(vmx_intercepts(cpu, &wrmsr, &info), write_exits);
    if (write_exits)
        ck_assert_uint_eq(info.reason, 32);
}

START_TEST(msr_bitmaps)
{
    msr(0x10, true, true);
    proc(PROC_use_msr_bitmaps);
    msr(0x10, false, false);
    msr(0x2000, true, true);
    msr(0xbfffffff, true, true);
    msr(0xc0002000, true, true);
    msr(0x40000000, true, true);
    f.ram[FIXTURE_MSR_BITMAP + 0x3ff] = 0x80;
    f.ram[FIXTURE_MSR_BITMAP + 0x400] = 0x01;
    f.ram[FIXTURE_MSR_BITMAP + 0x800] = 0x02;
    f.ram[FIXTURE_MSR_BITMAP + 0xfff] = 0x80;
    msr(0x1fff, true, false);
    msr(0xc0000000, true, false);
    msr(1, false, true);
    msr(0xc0001fff, false, true);
    msr(0, false, false);
}
END_TEST

/* 26.4.2, 28.2.1: the checks of the descriptor are the guest's, then the switch is an exit that names the TSS and the source. */
START_TEST(task_switches)
{
    enum { TSS = 0x28, BASE = 0x3000, RIP_BEHIND = FIXTURE_GUEST_RIP + 7 };

    f.cpu->gdtr.base = BASE;
    CPU_MSR(f.cpu, ia32_efer) = 0;                  /* protected mode without paging: there are no tasks in IA-32e mode */
    f.cpu->cr0 &= ~CR0_PG;
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    memory_write64(&f.model->memory, BASE + TSS, 0x0000890050000066);
    ck_assert_int_eq(task_switch(f.cpu, TSS, TASK_BY_JMP, RIP_BEHIND, 7), STATUS_EVENT);
    ck_assert(f.cpu->event.vector == VECTOR_TS && f.cpu->event.error_code == TSS);      /* too short */
    f.cpu->event.valid = false;
    memory_write64(&f.model->memory, BASE + TSS, 0x0000890050000067);
    ck_assert_int_eq(task_switch(f.cpu, TSS, TASK_BY_JMP, RIP_BEHIND, 7), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_reason), EXIT_REASON_task_switch);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_qualification), TSS | 2u << 30);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_instruction_length), 7);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, guest_rip), FIXTURE_GUEST_RIP);
    ck_assert_uint_eq(memory_read64(&f.model->memory, BASE + TSS), 0x0000890050000067);  /* not busy */
}
END_TEST

/* ---- memory operands ---- */

START_TEST(qualification_is_the_displacement)
{
    struct insn vmclear = memory(INSN_vmclear), lgdt = memory(INSN_lgdt), sldt = registers(INSN_sldt, RAX, 0);

    vmclear.base = RBX;
    vmclear.displacement = -8;
    exits(vmclear, 19, (uint64_t)-8);
    proc2(PROC2_descriptor_table_exiting);
    lgdt.displacement = 0x1234;
    exits(lgdt, 46, 0x1234);
    sldt.displacement = 0x55;
    exits(sldt, 47, 0);
}
END_TEST

START_TEST(invlpg_linear_address)
{
    struct insn invlpg = memory(INSN_invlpg);

    proc(PROC_invlpg_exiting);
    invlpg.base = R12;
    invlpg.index = RSI;
    invlpg.scale = 3;
    invlpg.segment = SEG_GS;
    invlpg.displacement = 0x10;
    cpu->gpr[R12] = 0xffff800000000000;
    cpu->gpr[RSI] = 0x100;
    cpu->seg[SEG_GS].base = 0x5000;
    exits(invlpg, 14, 0xffff800000005810);
    invlpg.address_size = 4;
    exits(invlpg, 14, 0x5810);
    invlpg.segment = SEG_DS;
    cpu->seg[SEG_DS].base = 0x7000;
    exits(invlpg, 14, 0x810);                               /* DS has no base in 64-bit mode */
    cpu->seg[SEG_CS].access_rights &= ~AR_L;
    exits(invlpg, 14, 0x7810);
}
END_TEST

START_TEST(instruction_information)
{
    struct insn insn = memory(INSN_vmptrld);

    insn.base = R13;
    insn.index = RBP;
    insn.scale = 2;
    insn.segment = SEG_SS;
    exits(insn, 21, 0);
    ck_assert_uint_eq(info.instruction_information, 2 | 2 << 7 | 2 << 15 | 5 << 18 | 13 << 23);
    insn.base = insn.index = NO_REGISTER;
    insn.address_size = 4;
    exits(insn, 21, 0);
    ck_assert_uint_eq(info.instruction_information, 1 << 7 | 2 << 15 | 1 << 22 | 1 << 27);
    insn.address_size = 2;
    insn.id = INSN_invept;
    insn.reg = R11;
    exits(insn, 50, 0);
    ck_assert_uint_eq(info.instruction_information, 2u << 15 | 1 << 22 | 1 << 27 | 11u << 28);

    insn = registers(INSN_vmwrite, R14, RBX);
    exits(insn, 25, 0);
    ck_assert_uint_eq(info.instruction_information, 14 << 3 | 1 << 10 | 3 << 28);

    proc2(PROC2_descriptor_table_exiting | PROC2_rdrand_exiting | PROC2_rdseed_exiting);
    for (unsigned i = 0; i < 4; i++) {
        static const enum insn_id tables[] = { INSN_sgdt, INSN_sidt, INSN_lgdt, INSN_lidt };
        static const enum insn_id registers_[] = { INSN_sldt, INSN_str, INSN_lldt, INSN_ltr };

        exits(memory(tables[i]), 46, 0);
        ck_assert_uint_eq(info.instruction_information, 2 << 7 | 1 << 11 | 3 << 15 | 1 << 22 | 1 << 27 | i << 28);
        exits(memory(registers_[i]), 47, 0);
        ck_assert_uint_eq(info.instruction_information, 2 << 7 | 3 << 15 | 1 << 22 | 1 << 27 | i << 28);
        exits(registers(registers_[i], RDI, 0), 47, 0);
        ck_assert_uint_eq(info.instruction_information, 1 << 10 | 7 << 3 | i << 28);
    }
    insn = registers(INSN_rdrand, R8, 0);
    insn.operand_size = 8;
    exits(insn, 57, 0);
    ck_assert_uint_eq(info.instruction_information, 8 << 3 | 2 << 11);
    insn.id = INSN_rdseed;
    insn.operand_size = 2;
    exits(insn, 61, 0);
    ck_assert_uint_eq(info.instruction_information, 8 << 3);
}
END_TEST

/* ---- events ---- */

static bool event_exits(enum event_type type, uint8_t vector, uint32_t error_code)
{
    struct event event = { .valid = true, .type = (uint8_t)type, .vector = vector, .error_code = error_code };

    return vmx_intercepts_event(cpu, &event);
}

START_TEST(exceptions)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        VMCS(v, exception_bitmap) = 1u << vector;
        for (uint8_t other = 0; other < 32; other++)
            ck_assert_int_eq(event_exits(EVENT_HARDWARE_EXCEPTION, other, 0), other == vector);
    }
    VMCS(v, exception_bitmap) = 1 << VECTOR_BP;
    ck_assert(event_exits(EVENT_SOFTWARE_EXCEPTION, VECTOR_BP, 0));
    ck_assert(!event_exits(EVENT_SOFTWARE_INTERRUPT, VECTOR_BP, 0));        /* INT 3 by CD 03 */
    ck_assert(!event_exits(EVENT_NMI, 2, 0));
    VMCS(v, exception_bitmap) = 1 << VECTOR_DB;
    ck_assert(event_exits(EVENT_PRIVILEGED_SOFTWARE_EXCEPTION, VECTOR_DB, 0));
    cpu->vmx.non_root = false;
    ck_assert(!event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_DB, 0));
}
END_TEST

START_TEST(page_faults)
{
    VMCS(v, exception_bitmap) = 1 << VECTOR_PF;
    VMCS(v, page_fault_error_code_mask) = PF_WRITE | PF_USER;
    VMCS(v, page_fault_error_code_match) = PF_WRITE;
    ck_assert(event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_PF, PF_WRITE));
    ck_assert(event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_PF, PF_WRITE | PF_PRESENT));
    ck_assert(!event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_PF, PF_USER | PF_WRITE));
    ck_assert(!event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_PF, 0));
    VMCS(v, exception_bitmap) = 0;                                          /* reversed */
    ck_assert(!event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_PF, PF_WRITE));
    ck_assert(event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_PF, 0));
    ck_assert(!event_exits(EVENT_HARDWARE_EXCEPTION, VECTOR_GP, 0));
}
END_TEST

START_TEST(interrupts)
{
    ck_assert(!event_exits(EVENT_EXTERNAL_INTERRUPT, 0x20, 0));
    ck_assert(!event_exits(EVENT_NMI, 2, 0));
    VMCS(v, pin_based_controls) |= PIN_external_interrupt_exiting;
    ck_assert(event_exits(EVENT_EXTERNAL_INTERRUPT, 0x20, 0));
    ck_assert(!event_exits(EVENT_NMI, 2, 0));
    VMCS(v, pin_based_controls) |= PIN_nmi_exiting;
    ck_assert(event_exits(EVENT_NMI, 2, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx intercepts");
    TCase *tc = tcase_create("intercepts");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, controls_decide, 0, sizeof(by_control) / sizeof(by_control[0]));
    tcase_add_test(tc, always);
    tcase_add_test(tc, stop_bits);
    tcase_add_test(tc, enabling_controls);
    tcase_add_test(tc, pause_loops);
    tcase_add_test(tc, mov_to_cr0_and_cr4);
    tcase_add_test(tc, mov_cr3_and_its_targets);
    tcase_add_test(tc, mov_cr8_and_others);
    tcase_add_test(tc, clts);
    tcase_add_test(tc, lmsw_register);
    tcase_add_test(tc, lmsw_memory);
    tcase_add_test(tc, debug_registers);
    tcase_add_test(tc, io_qualification);
    tcase_add_test(tc, io_bitmaps);
    tcase_add_test(tc, msr_bitmaps);
    tcase_add_test(tc, task_switches);
    tcase_add_test(tc, qualification_is_the_displacement);
    tcase_add_test(tc, invlpg_linear_address);
    tcase_add_test(tc, instruction_information);
    tcase_add_test(tc, exceptions);
    tcase_add_test(tc, page_faults);
    tcase_add_test(tc, interrupts);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
