/* SPDX-License-Identifier: MIT */
/* What the native core offers L1 of VMX, found out as L1 would: by RDMSR of the capability MSRs (SDM Vol. 3, Appendix A). */
#include "emu/scenario/run.h"

enum { TRUE_CONTROLS = MSR_ia32_vmx_true_pinbased_ctls - MSR_ia32_vmx_pinbased_ctls };

/* 0 where the MSR does not exist. */
static uint64_t read_msr(struct run *run, uint32_t index)
{
    uint64_t value;

    run->outcome = (struct outcome){ .statement = run->statement, .level_before = 1, .level_after = 1, .level_top = 1 };
    return instruction_rdmsr(run, index, &value) ? value : 0;
}

/* `plain` has the default1 class, `exact` what must be 1 (A.2). */
static struct control_word word(uint64_t plain, uint64_t exact)
{
    return (struct control_word){ .default1 = (uint32_t)plain, .required = (uint32_t)exact,
                                  .allowed = (uint32_t)(exact >> 32) };
}

static struct control_word read_word(struct run *run, uint32_t index)
{
    return word(read_msr(run, index), read_msr(run, index + TRUE_CONTROLS));
}

static void read_all(struct run *run, struct vmx_capability *offered)
{
    const uint64_t second = read_msr(run, MSR_ia32_vmx_procbased_ctls2);

    *offered = (struct vmx_capability){
        .pin = read_word(run, MSR_ia32_vmx_pinbased_ctls),
        .proc = read_word(run, MSR_ia32_vmx_procbased_ctls),
        .proc2 = word(second, second),
        .exit = read_word(run, MSR_ia32_vmx_exit_ctls),
        .entry = read_word(run, MSR_ia32_vmx_entry_ctls),
        .basic = read_msr(run, MSR_ia32_vmx_basic),
        .misc = read_msr(run, MSR_ia32_vmx_misc),
        .cr0_fixed0 = read_msr(run, MSR_ia32_vmx_cr0_fixed0),
        .cr0_fixed1 = read_msr(run, MSR_ia32_vmx_cr0_fixed1),
        .cr4_fixed0 = read_msr(run, MSR_ia32_vmx_cr4_fixed0),
        .cr4_fixed1 = read_msr(run, MSR_ia32_vmx_cr4_fixed1),
        .vmcs_enum = read_msr(run, MSR_ia32_vmx_vmcs_enum),
        .ept_vpid = read_msr(run, MSR_ia32_vmx_ept_vpid_cap),
        .vmfunc = read_msr(run, MSR_ia32_vmx_vmfunc),
    };
}

bool scenario_offered(const struct program *program, struct vmx_capability *offered, struct scenario_error *error)
{
    struct statement head[2] = { { .op = OP_machine }, { .op = OP_native } };
    const struct program native = { .statement = head, .count = 2, .file = program->file, .file_count = program->file_count };
    struct scenario_options options = { .trace = NULL };
    struct run run;

    if (program->count && program->statement[0].op == OP_machine)
        head[0] = program->statement[0];
    bool good = run_open(&run, &native, &options, error);
    if (good)
        read_all(&run, offered);
    run_close(&run);
    return good;
}
