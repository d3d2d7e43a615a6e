/* SPDX-License-Identifier: MIT */
/* How application processors start: INIT and SIPI signals, SDM Vol. 3, 9.4, 10.1.1. In non-root operation they are exits. */
#include <string.h>

#include "emu/machine/parts.h"

static void no_firmware(struct machine *machine, const struct cpu *cpu)
{
    char sender[SYMBOL_TEXT_MAX + 160];

    machine_stop(machine, MACHINE_SHUTDOWN, "the bootstrap processor got an INIT%s: the machine has no firmware to go on with",
                 ipi_init_words(machine, cpu, sender, sizeof sender));
}

/* INIT: as reset, but MSRs, the time, XCR0 and CR0.CD and NW survive (SDM Vol. 3, Table 10-1). */
static void take_init(struct machine *machine, struct cpu *cpu)
{
    struct cpu before = *cpu;

    cpu_power_on(cpu);
    memcpy(cpu->msr, before.msr, sizeof cpu->msr);
    CPU_MSR(cpu, ia32_efer) = 0;
    cpu->cr0 = (cpu->cr0 & ~(CR0_CD | CR0_NW)) | (before.cr0 & (CR0_CD | CR0_NW));
    cpu->xcr0 = before.xcr0;
    cpu->instructions = before.instructions;
    cpu->clock = before.clock;
    cpu->idle = before.idle;
    lapic_clear(&machine->board.lapic[cpu->index]);
    tlb_flush_all(cpu, false);
    if (cpu->index == 0) {
        no_firmware(machine, cpu);
        return;
    }
    cpu->activity = ACTIVITY_WAIT_FOR_SIPI;
    cpu->sipi_pending = before.sipi_pending;
    cpu->sipi_vector = before.sipi_vector;
}

/* SIPI: real mode at vector * 4 KB. */
static void take_sipi(struct machine *machine, struct cpu *cpu)
{
    ipi_started(machine, cpu);
    cpu->seg[SEG_CS].selector = (uint16_t)(cpu->sipi_vector << 8);
    cpu->seg[SEG_CS].base = (uint64_t)cpu->sipi_vector << 12;
    cpu->rip = 0;
    cpu->activity = ACTIVITY_ACTIVE;
}

void startup_by_core(struct machine *machine, const struct cpu *cpu)
{
    enum { RESET_RIP = 0xfff0, RESET_SELECTOR = 0xf000 };

    if (cpu->index == 0 && cpu->rip == RESET_RIP && cpu->seg[SEG_CS].selector == RESET_SELECTOR && !cpu_protected(cpu) && machine->startup[0].init.valid)
        no_firmware(machine, cpu);
}

bool startup_signals(struct machine *machine, struct cpu *cpu)
{
    if (cpu->vmx.non_root)
        return false;
    if (cpu->init_pending && !cpu->vmx.operation) {     /* root operation holds INIT back: 26.2 */
        cpu->init_pending = false;
        take_init(machine, cpu);
        return true;
    }
    if (!cpu->sipi_pending)
        return false;
    cpu->sipi_pending = false;
    if (cpu->activity != ACTIVITY_WAIT_FOR_SIPI)
        return false;
    take_sipi(machine, cpu);
    return true;
}
