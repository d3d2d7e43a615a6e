/* SPDX-License-Identifier: MIT */
/* Interrupts that a guest takes in its hypervisor's stead: SDM Vol. 3, 25.6.1, 26.2. */
#include "emu/explain/passed_interrupt.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/explain/delivery.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

/* What is missing of a handler; false: there is one. */
static bool has_no_handler(struct cpu *cpu, uint8_t vector, char *why, size_t size)
{
    struct delivery_failure failure = delivery_foresee(cpu, vector);
    uint32_t entry;

    if (failure.reason) {
        delivery_words(why, size, &failure);
        return true;
    }
    if (cpu_protected(cpu) || place_peek(cpu, cpu->idtr.base + vector * 4u, &entry, sizeof entry) != PEEK_DONE || entry)
        return false;
    snprintf(why, size, "its entry in the interrupt vector table is 0000:0000 [21.1.4]");
    return true;
}

void passed_interrupt_explain(struct machine *machine, struct cpu *cpu, const struct notice *notice)
{
    const struct vmcs *v = written_guest(machine, cpu);
    bool nmi = notice->b == EVENT_NMI;
    uint64_t information;
    uint8_t vector = (uint8_t)notice->a;
    char why[WORDS_MAX * 2], what[WORDS_MAX], source[WORDS_MAX];
    struct explanation *e;

    if (!v || VMCS(v, pin_based_controls) & (nmi ? PIN_nmi_exiting : PIN_external_interrupt_exiting))
        return;
    information = v->written[FIELD_entry_interruption_information] == 1 + v->exits ? VMCS(v, entry_interruption_information) : 0;
    if (information & INTERRUPTION_VALID && INTERRUPTION_VECTOR(information) == vector)     /* injected */
        return;
    if (!has_no_handler(cpu, vector, why, sizeof why))
        return;
    interrupt_source(machine, cpu, vector, source, sizeof source);
    if (nmi)
        snprintf(what, sizeof what, "an NMI");
    else
        snprintf(what, sizeof what, "interrupt %02XH%s%.180s%s", vector, *source ? ", " : "", source, *source ? "," : "");
    e = explain_begin(machine, cpu, explain_key(vector, "passed_interrupt"));
    if (!e)
        return;
    explain_line(e, "%s comes while the guest of VMCS 0x%" PRIx64 " runs, and goes through the guest's IDT, which has no handler for it: %s", what, v->pa, why);
    if (nmi)
        explain_line(e, "\"NMI exiting\" (bit 3 of the pin-based controls) is 0: the hypervisor's own NMIs do not exit [25.6.1, 26.2]");
    else
        explain_line(e, "\"external-interrupt exiting\" (bit 0 of the pin-based controls) is 0: the hypervisor's own interrupts do not exit, and nobody writes their EOI "
                     "[25.6.1, 26.2]");
    written_tell(e, v, FIELD_pin_based_controls);
    explain_end(e);
}
