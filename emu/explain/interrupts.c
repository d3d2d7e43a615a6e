/* SPDX-License-Identifier: MIT */
/* Where interrupts come from, and what keeps them away. */
#include "emu/explain/interrupts.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/device/lapic_parts.h"
#include "emu/explain/explain.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "model/cpu/raise.h"

static const char *irq_device(unsigned line)
{
    static const char *const name[16] = { [0] = ", the PIT,", [1] = ", the keyboard,", [3] = ", the second UART,", [4] = ", the first UART,",
                                          [8] = ", the clock," };

    return name[line & 15] ? name[line & 15] : "";
}

static bool source_pic(const struct pic *pic, uint8_t vector, char *to, size_t size)
{
    for (unsigned i = 0; i < 2; i++)
        if ((vector & 0xf8) == pic->chip[i].vector_base && (i || pic->chip[0].vector_base || vector < 8)) {
            snprintf(to, size, "IRQ %u%s of the 8259A", i * 8 + (vector & 7), irq_device(i * 8 + (vector & 7)));
            return true;
        }
    return false;
}

static bool in_service(const struct lapic *lapic, uint8_t vector)
{
    return lapic->in_service[vector / 32] >> vector % 32 & 1;
}

static bool source_lapic(const struct lapic *lapic, uint8_t vector, char *to, size_t size)
{
    static const char *const name[LVT_COUNT] = { "timer", "thermal sensor", "performance counters", "pin LINT0", "pin LINT1", "error" };

    for (unsigned i = 0; i < LVT_COUNT; i++)
        if (!(lapic->lvt[i] & LVT_MASKED) && (lapic->lvt[i] & 0xff) == vector && (lapic->lvt[i] >> 8 & 7) != DELIVER_EXTINT) {
            snprintf(to, size, "the local APIC's %s", name[i]);
            return true;
        }
    return false;
}

static bool source_ioapic(const struct ioapic *ioapic, uint8_t vector, char *to, size_t size)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        if (!ioapic_masked(ioapic, pin) && (ioapic->entry[pin] & 0xff) == vector) {
            unsigned irq = pin == 2 ? 0 : pin;
            snprintf(to, size, "pin %u of the IOAPIC (IRQ %u%s)", pin, irq, irq < 16 ? irq_device(irq) : "");
            return true;
        }
    return false;
}

bool interrupt_source(const struct machine *machine, const struct cpu *cpu, uint8_t vector, char *to, size_t size)
{
    const struct board *board = &machine->board;
    const struct lapic *lapic = &board->lapic[cpu->index];

    to[0] = '\0';
    if (source_lapic(lapic, vector, to, size) || source_ioapic(&board->ioapic, vector, to, size))
        return true;
    if (in_service(lapic, vector)) {
        snprintf(to, size, "a message to the local APIC (an IPI)");
        return true;
    }
    return cpu->index == 0 && source_pic(&board->pic, vector, to, size);
}

/* ---- what keeps them away ---- */

static int highest(const uint32_t word[8])
{
    for (int i = 7; i >= 0; i--)
        if (word[i])
            return i * 32 + 31 - __builtin_clz(word[i]);
    return -1;
}

static void tell_lapic(struct explanation *e, const struct lapic *lapic)
{
    static const char *const mode[4] = { "one-shot", "periodic", "TSC-deadline", "reserved" };
    uint32_t timer = lapic->lvt[LVT_TIMER];
    int serving = highest(lapic->in_service), waiting = highest(lapic->requested);

    if (!lapic_enabled(lapic)) {
        explain_line(e, "   the local APIC is disabled (IA32_APIC_BASE bit 11)");
        return;
    }
    if (!(lapic->spurious & SPURIOUS_ENABLE))
        explain_line(e, "   the local APIC is disabled by software (spurious-interrupt register, bit 8): it takes no interrupt, all LVT entries are masked");
    else if (timer & LVT_MASKED)
        explain_line(e, "   the local APIC's timer is masked (LVT 0x%" PRIx32 ")", timer);
    else if (lapic_next(lapic) == UINT64_MAX)
        explain_line(e, "   the local APIC's timer is not masked but not armed: %s mode, vector %02XH%s, %s", mode[LVT_TIMER_MODE(timer)], timer & 0xff,
                     (timer & 0xff) < 16 ? ", which is below 16 and never accepted" : "", LVT_TIMER_MODE(timer) == TIMER_DEADLINE ? "IA32_TSC_DEADLINE is 0" : lapic->timer_expired || lapic->initial_count
                     ? "it has run down" : "its initial count is 0");
    else
        explain_line(e, "   the local APIC's timer runs: %s mode, vector %02XH%s", mode[LVT_TIMER_MODE(timer)], timer & 0xff,
                     (timer & 0xff) < 16 ? ", which is below 16 and not accepted" : "");
    if ((lapic->errors | lapic->errors_visible) & (ERROR_SEND_VECTOR | ERROR_RECEIVE_VECTOR))
        explain_line(e, "   the local APIC has refused interrupts with a vector below 16 (error-status register: 0x%" PRIx32 ") [11.5.3]",
                     lapic->errors | lapic->errors_visible);
    if (serving >= 0)
        explain_line(e, "   vector %02XH is in service in the local APIC: no EOI was written for it, so that no vector of class %XH or below is delivered",
                     (unsigned)serving, (unsigned)serving >> 4);
    if (waiting >= 0)
        explain_line(e, "   vector %02XH is requested in the local APIC%s", (unsigned)waiting,
                     lapic_pending(lapic) >= 0 ? "" : serving >= 0 && (waiting & 0xf0) <= (serving & 0xf0) ? ", and waits for that EOI"
                     : (waiting & 0xf0) <= (int)(lapic->tpr & 0xf0) ? ", and held back by the task priority (TPR, CR8)" : "");
    if (lapic->tpr)
        explain_line(e, "   the local APIC's task priority (TPR, CR8) is 0x%" PRIx32 ": vectors up to %02XH wait", lapic->tpr, lapic->tpr | 0xf);
}

static void tell_pic(struct explanation *e, const struct board *board)
{
    const struct pic_chip *chip = board->pic.chip;
    const struct lapic *lapic = &board->lapic[0];

    explain_line(e, "   the 8259As: masks 0x%02x and 0x%02x (IRQ 0, the PIT, is %s), vectors from %02XH and %02XH%s", chip[0].mask, chip[1].mask,
                 pic_masked(&board->pic, 0) ? "masked" : "not masked", chip[0].vector_base, chip[1].vector_base,
                 lapic_accepts_pic(lapic) ? "" : "; the local APIC lets none of them through (LINT0 is masked or not ExtINT)");
    if (chip[0].in_service || chip[1].in_service)
        explain_line(e, "   the 8259As have interrupts in service, 0x%02x and 0x%02x: no EOI (OUT 20H to port 0x20) was written for them",
                     chip[0].in_service, chip[1].in_service);
    if (pit_next(&board->pit) == UINT64_MAX)
        explain_line(e, "   the PIT's channel 0 does not run");
}

/* Does the pin ask, or has it asked in vain? */
static bool tell_pin(struct explanation *e, const struct ioapic *ioapic, unsigned pin)
{
    static const char *const in_vain[] = { [IPI_NOBODY] = "no local APIC has that destination: its interrupt was lost",
                                           [IPI_DISABLED] = "the local APIC there is disabled: its interrupt was lost",
                                           [IPI_VECTOR] = "vectors below 16 are not accepted: its interrupt was lost" };
    uint64_t entry = ioapic->entry[pin];
    unsigned fate = ioapic->fate[pin];
    const char *vain = fate < sizeof in_vain / sizeof in_vain[0] ? in_vain[fate] : NULL;

    if (!(ioapic->line[pin] && entry & IOAPIC_LEVEL) && !(entry & IOAPIC_REMOTE_IRR) && !vain)
        return false;
    explain_line(e, "   pin %u of the IOAPIC: its line is %s, %s-triggered, vector %02XH to %s 0x%x%s%s%s", pin, ioapic->line[pin] ? "up" : "down",
                 entry & IOAPIC_LEVEL ? "level" : "edge", (unsigned)entry & 0xff, entry & IOAPIC_LOGICAL ? "logical destination" : "local APIC ID",
                 (unsigned)(entry >> 56), vain ? "; " : "", vain ? vain : "",
                 entry & IOAPIC_REMOTE_IRR && !vain ? "; remote IRR is set: it has been delivered, and no EOI was written for it yet" : "");
    return true;
}

static void tell_ioapic(struct explanation *e, const struct ioapic *ioapic)
{
    unsigned open = 0, told = 0;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        open += !ioapic_masked(ioapic, pin);
        told += !ioapic_masked(ioapic, pin) && tell_pin(e, ioapic, pin);
    }
    if (!open)
        explain_line(e, "   the IOAPIC: all pins are masked");
    else if (open > told)
        explain_line(e, "   the IOAPIC: %u %spin%s not masked, and %s for an interrupt", open - told, told ? "other " : "",
                     open - told == 1 ? " is" : "s are", open - told == 1 ? "does not ask" : "none of them asks");
}

/* A guest's HLT that does not exit is for the guest's own interrupts, and for exits that come by themselves: 26.1.3, 26.2. */
static void tell_guest(struct explanation *e, const struct cpu *cpu, const struct vmcs *v)
{
    bool interrupts = VMCS(v, pin_based_controls) & PIN_external_interrupt_exiting;

    if (VMCS(v, processor_based_controls) & PROC_hlt_exiting)
        explain_line(e, "   it is a guest that is in the HLT state without HLT, by GUEST_ACTIVITY_STATE at a VM entry [25.4.2]");
    else
        explain_line(e, "   it is a guest, and \"HLT exiting\" (bit 7 of the primary processor-based controls) is 0: its HLT is no VM exit [25.6.2]");
    explain_line(e, "   a VM exit comes of %s, an NMI or INIT%s", interrupts ? "an interrupt" : "no interrupt (\"external-interrupt exiting\" is 0: they are the guest's, where RFLAGS.IF is 1)",
                 cpu->vmx.preemption_deadline == UINT64_MAX && !machine_over_native(e->machine, cpu) ? "; its VMX-preemption timer is not active" : "");
    written_tell(e, v, VMCS(v, processor_based_controls) & PROC_hlt_exiting ? FIELD_guest_activity_state : FIELD_processor_based_controls);
}

void interrupts_tell(struct explanation *e, const struct cpu *cpu)
{
    const struct vmcs *guest = written_guest(e->machine, cpu);
    const struct board *board = &e->machine->board;

    if (!(cpu->rflags & RFLAGS_IF) && !(cpu_pin_controls(cpu) & PIN_external_interrupt_exiting))
        explain_line(e, "   interrupts are off (RFLAGS.IF = 0)%s", cpu->activity == ACTIVITY_HLT ? ": only an NMI or INIT ends HLT; STI belongs directly before HLT" : "");
    tell_lapic(e, &board->lapic[cpu->index]);
    if (cpu->index == 0)
        tell_pic(e, board);
    tell_ioapic(e, &board->ioapic);
    if (guest && cpu->activity == ACTIVITY_HLT)
        tell_guest(e, cpu, guest);
}
