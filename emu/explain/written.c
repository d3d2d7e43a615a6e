/* SPDX-License-Identifier: MIT */
#include "emu/explain/written.h"

#include <inttypes.h>

#include "emu/explain/explain.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"

const struct vmcs *written_guest(const struct machine *machine, const struct cpu *cpu)
{
    uint64_t vmcs12 = 0;

    if (!machine_over_native(machine, cpu))
        return cpu->vmx.non_root ? cpu->vmx.current : NULL;
    return native_current(machine->native, cpu, &vmcs12) == 2 ? native_vmcs12(machine->native, vmcs12) : NULL;
}

const struct vmcs *written_current(const struct machine *machine, const struct cpu *cpu)
{
    uint64_t vmcs12 = 0;

    if (!machine_over_native(machine, cpu))
        return cpu->vmx.current;
    return native_current(machine->native, cpu, &vmcs12) && vmcs12 != ~0ull ? native_vmcs12(machine->native, vmcs12) : NULL;
}

void written_tell(struct explanation *e, const struct vmcs *v, enum vmcs_field field)
{
    char writer[SNAPSHOT_WRITER_MAX];

    vmcs_writer_text(v, false, field, e->machine->symbols, writer, sizeof writer);
    explain_line(e, "%s = 0x%" PRIx64 " (%s)", vmcs_field_name(field), v->field[field], writer);
}
