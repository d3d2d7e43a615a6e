/* SPDX-License-Identifier: MIT */
/* Interrupts that a guest takes in its hypervisor's stead: SDM Vol. 3, 25.6.1, 26.2. */
#include "emu/explain/passed_interrupt.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/explain/delivery.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
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
    bool native = machine_over_native(machine, cpu);
    const struct vmcs *v = native ? NULL : cpu->vmx.current;
    uint64_t vmcs12 = 0, information;
    uint8_t vector = (uint8_t)notice->a;
    char why[WORDS_MAX * 2], source[WORDS_MAX], writer[SNAPSHOT_WRITER_MAX];
    struct explanation *e;

    if (!cpu->vmx.non_root || (native && machine_level(machine, cpu) < 2))
        return;
    if (native && native_current(machine->native, cpu, &vmcs12) == 2)
        v = native_vmcs12(machine->native, vmcs12);
    if (!v || VMCS(v, pin_based_controls) & PIN_external_interrupt_exiting)
        return;
    information = v->written[FIELD_entry_interruption_information] == 1 + v->exits ? VMCS(v, entry_interruption_information) : 0;
    if (information & INTERRUPTION_VALID && INTERRUPTION_VECTOR(information) == vector)     /* injected */
        return;
    if (!has_no_handler(cpu, vector, why, sizeof why))
        return;
    interrupt_source(machine, cpu, vector, source, sizeof source);
    e = explain_begin(machine, cpu, explain_key(vector, "passed_interrupt"));
    if (!e)
        return;
    explain_line(e, "interrupt %02XH%s%s%s comes while the guest of VMCS 0x%" PRIx64 " runs, and goes through the guest's IDT, which has no handler for it: %s", vector,
                 *source ? ", " : "", source, *source ? "," : "", v->pa, why);
    vmcs_writer_text(v, false, FIELD_pin_based_controls, machine->symbols, writer, sizeof writer);
    explain_line(e, "\"external-interrupt exiting\" (bit 0 of the pin-based controls) is 0: the hypervisor's own interrupts do not exit, and nobody writes their EOI "
                 "[25.6.1, 26.2]");
    explain_line(e, "pin_based_controls = 0x%" PRIx64 " (%s)", VMCS(v, pin_based_controls), writer);
    explain_end(e);
}
