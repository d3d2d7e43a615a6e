/* SPDX-License-Identifier: MIT */
/* Vectors of real-address mode: SDM Vol. 3, 21.1.4. */
#include "emu/explain/real_mode.h"

#include <inttypes.h>

#include "emu/explain/explain.h"
#include "emu/explain/place.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

enum { ENTRY_BYTES = 4 };

void real_mode_explain(struct machine *machine, const struct cpu *cpu, uint8_t vector)
{
    const uint64_t at = cpu->idtr.base + ENTRY_BYTES * vector;
    const struct vmcs *guest = written_guest(machine, cpu);
    uint32_t entry;
    struct cpu view = *cpu;
    struct explanation *e;
    char place[PLACE_MAX];

    if (cpu->cr0 & CR0_PE || ENTRY_BYTES * vector + ENTRY_BYTES - 1u > cpu->idtr.limit || place_peek(&view, at, &entry, sizeof entry) != PEEK_DONE || entry)
        return;
    e = explain_begin(machine, cpu, explain_key(vector, guest ? "real_mode.guest" : "real_mode.empty"));
    if (!e)
        return;
    explain_line(e, "vector %02XH is delivered in real-address mode, and its entry in the table of vectors is empty: the 4 bytes at 0x%" PRIx64 " are 0, so that code goes on at 0000:0000, "
                    "in the table itself; a handler's offset and segment belong there [21.1.4]", vector, at);
    if (guest && cpu->idtr.base == VMCS(guest, guest_idtr_base))
        written_tell(e, guest, FIELD_guest_idtr_base);
    place_describe(machine, &view, place, sizeof place);
    explain_line(e, "at %s", place);
    explain_end(e);
}
