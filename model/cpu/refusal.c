/* SPDX-License-Identifier: MIT */
/* Evaluates the table of refused instructions that are not VMX's: model/cpu/refusals.def. */
#include "model/refusal.h"

#include <stddef.h>

#include "model/cpu/access.h"
#include "model/cpu/cr.h"
#include "model/cpu/execute.h"
#include "model/cpu/monitor.h"
#include "model/cpu/msr.h"
#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/model.h"

#define XCR0_X87 1ull           /* SDM Vol. 2, XSETBV: always on */
#define XCR0_SSE 2ull

/* ---- the words in which the rows are written ---- */

static bool memory_operand(const struct attempt *a)
{
    return a->insn->kind == OPERAND_MEMORY;
}

/* 10.8.5: the value turns paging on with IA32_EFER.LME = 1. */
static bool enters_long_mode(const struct attempt *a)
{
    return (a->value & ~a->cpu->cr0 & CR0_PG) && (CPU_MSR(a->cpu, ia32_efer) & EFER_LME);
}

/* 24.8 "Restrictions on VMX Operation"; an unrestricted guest may do without PE and PG. */
uint64_t cr0_must_be_1(const struct attempt *a)
{
    bool unrestricted = cpu_proc2_controls(a->cpu) & PROC2_unrestricted_guest;

    return a->capability->cr0_fixed0 & ~(unrestricted ? CR0_PE | CR0_PG : 0);
}

static bool vmx_msr(uint32_t index)
{
    return index >= MSR_ia32_vmx_basic && index <= MSR_ia32_vmx_vmfunc;
}

/* The MSRs of CET are there if CR4.CET is. */
static bool cet_msr(uint32_t index)
{
    return index >= MSR_ia32_u_cet && index <= MSR_ia32_interrupt_ssp_table_addr;
}

static uint64_t apic_base(const struct attempt *a)
{
    const struct bus *bus = &a->cpu->model->bus;
    uint64_t value = 0;

    if (bus->apic_read_msr)
        bus->apic_read_msr(bus->context, &a->cpu->model->cpu[a->cpu->index], MSR_ia32_apic_base, &value);
    return value;
}

/* 15.4.2: MSRs of hardware-controlled performance states, before those are enabled. */
static bool hwp_off(const struct cpu *cpu, uint32_t index)
{
    return (index == MSR_ia32_hwp_capabilities || index == MSR_ia32_hwp_request || index == MSR_ia32_hwp_status) && !CPU_MSR(cpu, ia32_pm_enable);
}

/* There are no other components here. */
uint64_t xcr0_allowed(const struct cpu *cpu)
{
    (void)cpu;
    return XCR0_X87 | XCR0_SSE;
}

const struct refusal *cpu_refuses(enum refusal_group group, const struct attempt *a)
{
    const struct cpu *cpu = a->cpu;
    const struct vmx_capability *c = a->capability;
    const uint64_t value = a->value;
    const uint32_t index = (uint32_t)a->operand;

    switch ((int)group) {
    default:
        break;
#define GROUP(name)                                                                                                 \
        break;                                                                                                      \
    case REFUSALS_##name:
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
        if (refused)                                                                                                \
            return &refusal_table[REFUSED_##instruction##_##name];
#include "model/cpu/refusals.def"
    }
    return NULL;
}
