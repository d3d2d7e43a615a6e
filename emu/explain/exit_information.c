/* SPDX-License-Identifier: MIT */
/* What VM exits give: SDM Vol. 3, 28.2.1, 28.2.5. */
#include "emu/explain/exit_information.h"

#include <inttypes.h>

#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

enum { LENGTH = 1, INSTRUCTION = 2, LINEAR = 4, PHYSICAL = 8, USUAL = 16 };

static uint8_t information_of(uint32_t reason)
{
    switch (reason) {
#define EXIT_INFORMATION(reason, fields) case EXIT_REASON_##reason: return (fields);
#include "emu/explain/exit_information.def"
    default:
        return 0;
    }
}

static bool is_software(uint32_t information)
{
    unsigned type = INTERRUPTION_TYPE(information);

    return information & INTERRUPTION_VALID &&
           (type == EVENT_SOFTWARE_INTERRUPT || type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION || type == EVENT_SOFTWARE_EXCEPTION);
}

bool exit_has_length(uint32_t reason)
{
    return (information_of(reason) & (LENGTH | USUAL)) == LENGTH;
}

bool exit_length_undefined(uint32_t reason, uint32_t interruption, uint32_t vectoring)
{
    return !(information_of(reason) & LENGTH) && !is_software(interruption) && !is_software(vectoring);
}

static uint8_t field_of(uint64_t encoding)
{
    switch (encoding & ~1ull) {
    case VMCS_exit_instruction_length: return LENGTH;
    case VMCS_exit_instruction_information: return INSTRUCTION;
    case VMCS_guest_linear_address: return LINEAR;
    case VMCS_guest_physical_address: return PHYSICAL;
    default: return 0;
    }
}

void exit_information_read(struct machine *machine, const struct notice *notice)
{
    const struct cpu *cpu = notice->cpu;
    const struct vmcs *v = cpu->vmx.current;
    uint8_t field = field_of(notice->b);
    uint32_t reason = v ? (uint32_t)VMCS(v, exit_reason) : 0;
    const char *name = exit_reason_name(reason & 0xffff);
    struct explanation *e;
    char symbol[SYMBOL_TEXT_MAX];

    if (!field || !v || !v->exits || reason & EXIT_REASON_ENTRY_FAILURE || information_of(reason & 0xffff) & field)
        return;
    if (field == LENGTH && !exit_length_undefined(reason & 0xffff, (uint32_t)VMCS(v, exit_interruption_information), (uint32_t)VMCS(v, idt_vectoring_information)))
        return;
    e = explain_begin(machine, cpu, 0);
    if (!e)
        return;
    explain_line(e, "VMREAD of %s at rip 0x%" PRIx64 "%s, after the VM exit %s, for which the field is undefined [%s]: here it is 0, a processor may have left anything in it",
                 vmcs_field_name(vmcs_known((uint32_t)notice->b & ~1u)), cpu->rip, symbols_text(machine->symbols, cpu->rip, symbol), name ? name : "unknown",
                 field & (LENGTH | INSTRUCTION) ? "28.2.5" : "28.2.1");
    explain_end(e);
}
