/* SPDX-License-Identifier: MIT */
/*
 * NMIs, and machine checks, that came while L0 ran. L0 has none of its own: each is its guest's, and the guest gets it when it could have taken it
 * without L0. Nothing of the guest's is used for that, its local APIC least of all, which may be disabled, and whose
 * command register it may have half written.
 *
 * Hardware finds the moment. While an NMI is due, the VMCS that is entered has "NMI exiting", "virtual NMIs" and "NMI-window exiting"
 * (SDM Vol. 3, 25.6.1, 25.6.2, 26.3): blocking by NMI is tracked as without them, IRET ends it, and the exit comes before
 * the first instruction at which nothing blocks an NMI. Then the NMI is injected, or, if L1 wants exits by NMIs of L2, L1 gets that exit.
 * NMIs that arrive meanwhile exit, and are the same one: a processor keeps one.
 */
#include "hv/core.h"

#include "hv/nested/shadow.h"

#define NMI_EVENT (INTERRUPTION_VALID | EVENT_NMI << 8 | VECTOR_NMI)

static struct hardware_vmcs *current(struct hv_cpu *cpu) { return cpu->level == 1 ? &cpu->vmcs01 : cpu->vmcs02; }

/* L1 has exits by NMIs of L2. */
static bool wanted_by_l1(const struct hv_cpu *cpu)
{
    return cpu->level == 2 && VMCS12(cpu, pin_based_controls) & PIN_nmi_exiting;
}

/*
 * An NMI exits whatever L2 blocks (25.6.1), and the NMI window is that of L2's own blocking. So L0 has the monitor trap flag, too: the exit comes
 * behind the event that the entry injects, or behind an instruction (26.5.2).
 */
static bool exits_unblocked(const struct hv_cpu *cpu)
{
    return wanted_by_l1(cpu) && VMCS12(cpu, pin_based_controls) & PIN_virtual_nmis && cpu->machine->physical.proc.allowed & PROC_monitor_trap_flag;
}

/* With "virtual NMIs" no NMI may be injected where NMIs are blocked (27.3.1.5); without, L1 may do that. */
static bool injects_blocked(const struct hv_cpu *cpu)
{
    const uint32_t event = cpu->level == 2 ? vmread32(VMCS_entry_interruption_information) : 0;

    return event & INTERRUPTION_VALID && INTERRUPTION_TYPE(event) == EVENT_NMI && vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI;
}

/* Controls of L1's that hardware shall refuse (27.2.1.1) stay as they are, and so do those that it refuses with ours: the NMI waits. */
static bool refused_anyway(const struct hv_cpu *cpu)
{
    const uint32_t pin = cpu->level == 2 ? VMCS12_32(cpu, pin_based_controls) : 0;
    const uint32_t proc = cpu->level == 2 ? VMCS12_32(cpu, processor_based_controls) : 0;

    return injects_blocked(cpu) || (pin & PIN_virtual_nmis && !(pin & PIN_nmi_exiting)) || (proc & PROC_nmi_window_exiting && !(pin & PIN_virtual_nmis));
}

uint32_t nmi_controls(struct hv_cpu *cpu)
{
    return !current(cpu)->nmi_window ? 0 : PROC_nmi_window_exiting | (exits_unblocked(cpu) ? PROC_monitor_trap_flag : 0);
}

void nmi_before_entry(struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->physical;
    const bool wanted = cpu->due;
    const uint32_t pin = wanted ? PIN_nmi_exiting | PIN_virtual_nmis : 0;

    if (wanted == current(cpu)->nmi_window || refused_anyway(cpu))
        return;
    current(cpu)->nmi_window = wanted;
    if (cpu->level == 2) {
        vmwrite(VMCS_pin_based_controls, control_adjust(c->pin, VMCS12_32(cpu, pin_based_controls) | pin));
        cpu->vmcs02->kept_known[KEPT_PIN] = false;      /* L1's next entry writes it anew */
        shadow_controls(cpu, vmcs02_processor_based_controls(cpu) | nmi_controls(cpu));
        return;
    }
    vmwrite(VMCS_pin_based_controls, control_adjust(c->pin, pin));
    vmwrite(VMCS_processor_based_controls, (vmread32(VMCS_processor_based_controls) & ~(uint32_t)PROC_nmi_window_exiting) | nmi_controls(cpu));
}

static void inject(struct hv_cpu *cpu)
{
    const uint32_t interruptibility = vmread32(VMCS_guest_interruptibility_state);

    hal_log(HAL_EVENT_INJECT, VECTOR_NMI, 0, 0, 0);
    if (cpu->level == 2)
        shadow_before_injection(cpu);
    vmwrite(VMCS_entry_interruption_information, NMI_EVENT);
    if (interruptibility & BLOCKING_BY_STI)     /* a processor may refuse the two together (27.3.1.5) */
        vmwrite(VMCS_guest_interruptibility_state, interruptibility & ~(uint32_t)BLOCKING_BY_STI);
}

/* L1's exit by an NMI of L2, which came before L2's next instruction. */
static void tell_l1(struct hv_cpu *cpu)
{
    EXIT_SET(cpu, reason, EXIT_REASON_exception_or_nmi);
    EXIT_SET(cpu, interruption, NMI_EVENT);
    reflect_exit(cpu);
}

bool nmi_exit(struct hv_cpu *cpu)
{
    const uint32_t reason = cpu->exit.reason;

    if (reason == EXIT_REASON_exception_or_nmi) {
        exit_need(cpu, EXIT_interruption);
        if (INTERRUPTION_TYPE(cpu->exit.interruption) != EVENT_NMI || wanted_by_l1(cpu))
            return false;                       /* L1's, as any NMI of L2 */
        hal_log(HAL_EVENT_HANDLED, reason, 0, 0, 0);
        cpu->due |= HAL_NMI;                    /* as one is already, but at the trial */
        return true;
    }
    if (reason == EXIT_REASON_monitor_trap_flag ? VMCS12(cpu, processor_based_controls) & PROC_monitor_trap_flag : reason != EXIT_REASON_nmi_window)
        return false;                           /* L1's own, which comes before an NMI */
    if (!(cpu->due & HAL_NMI)) {                        /* a machine check, or the trial of main.c; or L1's own, in L2 */
        if (cpu->level == 2 && reason == EXIT_REASON_nmi_window && VMCS12(cpu, processor_based_controls) & PROC_nmi_window_exiting)
            return false;
        hal_log(HAL_EVENT_HANDLED, reason, 0, 0, 0);
        return true;
    }
    cpu->due &= (uint8_t)~HAL_NMI;
    if (wanted_by_l1(cpu)) {
        tell_l1(cpu);
        return true;
    }
    hal_log(HAL_EVENT_HANDLED, reason, 0, 0, 0);
    inject(cpu);
    return true;
}

/* ---- machine checks ---- */

#define MACHINE_CHECK (INTERRUPTION_VALID | EVENT_HARDWARE_EXCEPTION << 8 | VECTOR_MC)

/*
 * One that came while L0 ran (a broadcast one mostly) is the guest's, before its next instruction: for L1 to say what it
 * is, in whose MSRs it is recorded. If an event waits to be delivered, that comes first; the window above ends the guest's run behind it. Where L2 waits
 * for a SIPI nothing can be delivered (27.3.1.5): L1 gets it when it runs, or at once if it wants exits.
 */
bool machine_check_exits(struct hv_cpu *cpu)
{
    const bool waits = cpu->level == 2 && vmread32(VMCS_guest_activity_state) == ACTIVITY_WAIT_FOR_SIPI;

    if (vmread(VMCS_entry_interruption_information) & INTERRUPTION_VALID || (waits && !nested_wants_exception(VECTOR_MC, 0)))
        return false;
    cpu->due &= (uint8_t)~HAL_MACHINE_CHECK;
    exit_invent(cpu, (struct exit_record){ .reason = EXIT_REASON_exception_or_nmi, .interruption = MACHINE_CHECK });
    return true;
}

bool machine_check_deliver(struct hv_cpu *cpu)
{
    if (!(cpu->exit.own & EXIT_interruption) || cpu->exit.interruption != MACHINE_CHECK || (cpu->level == 2 && nested_wants_exception(VECTOR_MC, 0)))
        return false;
    hal_log(HAL_EVENT_HANDLED, cpu->exit.reason, 0, 0, 0);
    if (cpu->level == 1 && !(guest_visible_cr4() & CR4_MCE))
        vmcs01_shutdown(cpu);                   /* as without L0 (2.5, CR4.MCE) */
    else
        inject_exception(cpu, VECTOR_MC, 0);
    return true;
}
