/* SPDX-License-Identifier: MIT */
/* Physical addresses where nobody is. */
#include "emu/explain/nowhere.h"

#include <inttypes.h>

#include "emu/explain/explain.h"
#include "emu/explain/host_tables.h"
#include "emu/explain/words.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/vmx.h"

void nowhere_explain(struct machine *machine, const struct cpu *cpu, uint64_t pa, bool write)
{
    uint64_t page = explain_key(pa / PAGE_SIZE, "nowhere"), rip;
    bool guest = machine_over_native(machine, cpu) ? machine_level(machine, cpu) > 1 : cpu->vmx.non_root;
    struct explanation *e;
    char name[SYMBOL_TEXT_MAX];

    if (machine->nowhere_told >= NOWHERE_TOLD || explain_told(machine, page))
        return;
    machine->nowhere_told++;
    e = explain_begin(machine, cpu, page);
    if (!e)
        return;
    rip = machine->engine ? engine_rip(machine->engine, cpu) : cpu->rip;
    explain_line(e, "%s physical address 0x%" PRIx64 ", where there is neither memory nor a device, at rip 0x%" PRIx64 "%s (L%u): reads give ones, writes vanish",
                 write ? "a write to" : "a read of", pa, rip, symbols_text(machine->symbols, rip, name), machine_level(machine, cpu));
    if (guest && cpu->vmx.ept)
        explain_line(e, "the guest's EPT maps the address there (EPTP 0x%" PRIx64 "): entries hold physical addresses of the machine, which has %" PRIu64
                     " MB (--memory) [29.3.2]", cpu->vmx.shadowed_eptp ? cpu->vmx.shadowed_eptp : cpu->vmx.eptp, machine->options.memory_size >> 20);
    else
        explain_line(e, "the machine has %" PRIu64 " MB (--memory)", machine->options.memory_size >> 20);
    explain_end(e);
}

/* Fields that the processor itself takes for physical addresses of memory, while they are used. */
static const enum vmcs_field addresses[] = {
    FIELD_io_bitmap_a_address, FIELD_io_bitmap_b_address, FIELD_msr_bitmap_address, FIELD_virtual_apic_address, FIELD_posted_interrupt_descriptor_address,
    FIELD_pml_address, FIELD_vmread_bitmap_address, FIELD_vmwrite_bitmap_address, FIELD_virtualization_exception_address, FIELD_exit_msr_store_address,
    FIELD_exit_msr_load_address, FIELD_entry_msr_load_address, FIELD_ept_pointer,
};

static void look_at_stack(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct cpu view = host_tables_view(cpu, v);
    struct translation t = translate(&view, VMCS(v, host_rsp) - 8, (struct access){ .kind = ACCESS_READ, .probe = true });
    struct explanation *e;

    if (t.result != TRANSLATION_OK || memory_is_ram(&machine->model->memory, t.pa, 8))
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_host_rsp, "nowhere.entry"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": below HOST_RSP there is no memory, at physical address 0x%" PRIx64 ": what the exit path pushes vanishes [28.5.3]", v->pa, t.pa);
    written_tell(e, v, FIELD_host_rsp);
    explain_end(e);
}

void nowhere_explain_entry(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    for (unsigned i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        enum vmcs_field field = addresses[i];
        struct explanation *e;

        if (!vmcs_field_used(v, field) || memory_is_ram(&machine->model->memory, v->field[field] & PAGE_MASK, 8))
            continue;
        e = explain_begin(machine, cpu, explain_key(field, "nowhere.entry"));
        if (!e)
            continue;
        explain_line(e, "VM entry with VMCS 0x%" PRIx64 " uses the field %s, and where it points there is no memory: the processor reads ones, and what it writes "
                        "vanishes; the machine has %" PRIu64 " MB (--memory) [25.11.4]", v->pa, vmcs_field_name(field), machine->options.memory_size >> 20);
        written_tell(e, v, field);
        explain_end(e);
    }
    look_at_stack(machine, cpu, v);
}
