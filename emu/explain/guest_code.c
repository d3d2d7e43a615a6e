/* SPDX-License-Identifier: MIT */
/* Where a guest's code begins: SDM Vol. 3, 3.4.5, 5.3, 27.3.1.2, 27.3.1.4. */
#include "emu/explain/guest_code.h"

#include <inttypes.h>

#include "emu/explain/ept_walk.h"
#include "emu/explain/explain.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/cpu/walk.h"
#include "model/vmx/vmx.h"

/* Outside IA-32e mode processors take no notice of L: the checks of VM entry do neither. */
static void look_at_long(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    uint64_t rights = VMCS(v, guest_cs_access_rights);
    struct explanation *e;

    if (!(rights & AR_L) || VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest)
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_guest_cs_access_rights, "guest_code.long"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " begins a guest whose CS has L = 1 (bit 13 of its access rights), and \"IA-32e mode guest\" (bit 9 of the VM-entry "
                    "controls) is 0: L counts in IA-32e mode only, so that its code is %s-bit code, by D (bit 14) [3.4.5]", v->pa, rights & AR_DB ? "32" : "16");
    written_tell(e, v, FIELD_guest_cs_access_rights);
    written_tell(e, v, FIELD_entry_controls);
    explain_end(e);
}

static bool is_wide(const struct vmcs *v)
{
    return VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest && VMCS(v, guest_cs_access_rights) & AR_L;
}

/* The first fetch raises #GP(0): 5.3. The CPU engine looks at the limit when code is branched to. */
static void look_at_limit(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct explanation *e;

    if (is_wide(v) || VMCS(v, guest_rip) <= VMCS(v, guest_cs_limit))
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_guest_rip, "guest_code.limit"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " begins a guest at GUEST_RIP 0x%" PRIx64 ", which is beyond the limit of CS, 0x%" PRIx64 ": a processor raises #GP at the "
                    "first instruction; this machine goes on [5.3]", v->pa, VMCS(v, guest_rip), VMCS(v, guest_cs_limit));
    if (!(VMCS(v, guest_cr0) & CR0_PE) && VMCS(v, guest_rip) <= 0xfffff)
        explain_line(e, "in real-address mode code beyond 64 KB is reached by the base of CS: its selector x 16");
    written_tell(e, v, FIELD_guest_rip);
    written_tell(e, v, FIELD_guest_cs_limit);
    explain_end(e);
}

/* What the guest reads of CR0.PE: real mode is shown to a guest in virtual-8086 mode, which stands for it, and to no other. */
static void look_at_shadow(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct explanation *e;

    if (!(VMCS(v, cr0_guest_host_mask) & CR0_PE) || VMCS(v, cr0_read_shadow) & CR0_PE || !(VMCS(v, guest_cr0) & CR0_PE) || VMCS(v, guest_rflags) & RFLAGS_VM)
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_cr0_read_shadow, "guest_code.shadow"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": a guest in protected mode that reads CR0 finds PE = 0: of the bits in the CR0 guest/host mask, 0x%" PRIx64
                    ", it reads those of the read shadow, 0x%" PRIx64 ", and not of GUEST_CR0, 0x%" PRIx64 " [25.6.6]", v->pa, VMCS(v, cr0_guest_host_mask),
                 VMCS(v, cr0_read_shadow), VMCS(v, guest_cr0));
    written_tell(e, v, FIELD_cr0_read_shadow);
    written_tell(e, v, FIELD_cr0_guest_host_mask);
    explain_end(e);
}

/*
 * RAM that EPT makes uncacheable, whatever PAT and MTRRs say (29.3.7.2). Judged by the page with the guest's first instruction or, where the guest has
 * paging on, its page tables: one that is a device's is neither.
 */
static void look_at_memory_type(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    const bool paging = VMCS(v, guest_cr0) & CR0_PG;
    uint64_t gpa = paging ? VMCS(v, guest_cr3) & 0xffffffffff000 : (VMCS(v, guest_cs_base) + VMCS(v, guest_rip)) & 0xffffffff, entry, at;
    struct explanation *e;
    unsigned level;

    if (!vmcs_field_used(v, FIELD_ept_pointer) || !ept_leaf(machine, VMCS(v, ept_pointer), gpa, &entry, &at, &level) || EPT_MEMORY_TYPE(entry) != MEMORY_UC ||
        !memory_is_ram(&machine->model->memory, entry & 0xffffffffff000 & ~((1ull << (3 + 9 * level)) - 1), 8))
        return;
    e = explain_begin(machine, cpu, explain_key(FIELD_ept_pointer, "guest_code.memory_type"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": EPT maps the guest-physical address 0x%" PRIx64 " of %s, which is RAM, as uncacheable (memory type %d in bits 5:3 of the %s at 0x%" PRIx64
                    ", 0x%" PRIx64 "): it works, and a processor goes to memory for each access; RAM is write-back, type %d [29.3.7.2]", v->pa, gpa,
                 paging ? "its page tables" : "its first instruction", MEMORY_UC, ept_entry_name(level), at, entry, MEMORY_WB);
    written_tell(e, v, FIELD_ept_pointer);
    explain_end(e);
}

void guest_code_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    look_at_long(machine, cpu, v);
    look_at_limit(machine, cpu, v);
    look_at_shadow(machine, cpu, v);
    look_at_memory_type(machine, cpu, v);
}

void guest_code_tell_rip(struct explanation *e, const struct cpu *cpu)
{
    const struct events *events = &e->machine->events[cpu->index];
    const struct vmcs *guest = written_guest(e->machine, cpu), *current = written_current(e->machine, cpu);
    unsigned bits = cpu->cr4 & CR4_LA57 ? 57 : 48;

    if (!cpu_64bit(cpu) || linear_canonical(cpu, cpu->rip))
        return;
    explain_line(e, "RIP 0x%" PRIx64 " is not canonical: bits 63:%u must be like bit %u, and nothing can be fetched there [Vol. 1, 3.3.7.1]", cpu->rip, bits, bits - 1);
    if (guest && VMCS(guest, guest_rip) == cpu->rip && (machine_over_native(e->machine, cpu) || events->crossing.kind == NOTICE_ENTRY))
        written_tell(e, guest, FIELD_guest_rip);
    else if (!guest && current && VMCS(current, host_rip) == cpu->rip && events->crossing.kind == NOTICE_EXIT)
        written_tell(e, current, FIELD_host_rip);
}
