/* SPDX-License-Identifier: MIT */
/* "vmread field, value" and "vmread value, field": SDM Vol. 3, 31.3, and AT&T's order. */
#include "emu/explain/exchanged.h"

#include <inttypes.h>

#include "emu/decode/decode.h"
#include "emu/explain/explain.h"
#include "emu/explain/place.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

static enum vmcs_field field_of(uint64_t value)
{
    return !value || value >> 16 ? VMCS_FIELD_COUNT : vmcs_known((uint32_t)value);
}

/* What is in the register that VMREAD writes and VMWRITE reads; false: that is in memory. */
static bool other_operand(const struct cpu *cpu, uint64_t *value)
{
    struct cpu view = *cpu;
    uint8_t code[INSTRUCTION_MAX];
    struct insn insn = { .kind = OPERAND_NONE };

    if (!decode(&view, code, fetch_code(&view, code), &insn) || insn.kind != OPERAND_REGISTER)
        return false;
    *value = view.gpr[insn.rm % GPR_COUNT];
    return true;
}

void exchanged_tell(struct explanation *e, const struct attempt *a)
{
    uint64_t value = a->value;

    if ((a->id != INSN_vmread && a->id != INSN_vmwrite) || vmcs_known((uint32_t)a->operand & ~1u) != VMCS_FIELD_COUNT)
        return;
    if (!other_operand(a->cpu, &value) && a->id == INSN_vmread)
        return;
    if (field_of(value) < VMCS_FIELD_COUNT)
        explain_line(e, "are the operands exchanged?  The %s, 0x%" PRIx64 ", is the encoding of %s", a->id == INSN_vmread ? "destination" : "value", value,
                     vmcs_field_name(field_of(value)));
}

/* Who reads the VPID may find anything in that register, and finds the same there the next time. */
void exchanged_vmread(struct machine *machine, const struct cpu *cpu)
{
    struct cpu view = *cpu;
    struct explanation *e;
    uint64_t value;
    char place[PLACE_MAX];

    if (!other_operand(cpu, &value) || field_of(value) >= VMCS_FIELD_COUNT)
        return;
    if (!machine->vmread_into || (machine->vmread_into == value && machine->vmread_at == cpu->rip)) {
        machine->vmread_into = value;
        machine->vmread_at = cpu->rip;
        return;
    }
    e = explain_begin(machine, cpu, explain_key(0, "exchanged.vmread"));
    if (!e)
        return;
    place_describe(machine, &view, place, sizeof place);
    explain_line(e, "VMREAD of field 0, the VPID, at %s", place);
    explain_line(e, "are the operands exchanged?  The destination holds 0x%" PRIx64 ", the encoding of %s, and it held 0x%" PRIx64 ", that of %s, at the VMREAD of field 0 at rip 0x%" PRIx64, value,
                 vmcs_field_name(field_of(value)), machine->vmread_into, vmcs_field_name(field_of(machine->vmread_into)), machine->vmread_at);
    explain_line(e, "AT&T's order is VMREAD field, destination and VMWRITE value, field; Intel's is the reverse [31.3]");
    explain_end(e);
}
