/* SPDX-License-Identifier: MIT */
/* What VM exits load, and what was there before: SDM Vol. 3, 28.5.1, 28.5.2. */
#include "emu/explain/host_state.h"

#include <inttypes.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/decode/needs.h"
#include "emu/explain/bits.h"
#include "emu/explain/place.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/vmx.h"

enum { NAMES_MAX = 300 };

static const struct {
    enum vmcs_field host, guest;
    enum bits_register names;
    const char *register_name, *field_name;
} registers[HOST_STATE_REGISTERS] = {
    [HOST_STATE_CR0] = { FIELD_host_cr0, FIELD_guest_cr0, BITS_CR0, "CR0", "HOST_CR0" },
    [HOST_STATE_CR4] = { FIELD_host_cr4, FIELD_guest_cr4, BITS_CR4, "CR4", "HOST_CR4" },
    [HOST_STATE_EFER] = { FIELD_host_ia32_efer, FIELD_guest_ia32_efer, BITS_EFER, "IA32_EFER", "HOST_IA32_EFER" },
};

static const struct {
    enum vmcs_field host;
    const char *what, *segment, *field_name;
} bases[HOST_STATE_BASES] = {
    { FIELD_host_fs_base, "base of FS", "FS", "HOST_FS_BASE" },
    { FIELD_host_gs_base, "base of GS", "GS", "HOST_GS_BASE" },
};

static uint64_t base_of(const struct vmx_root *root, unsigned i)
{
    return i == 0 ? root->fs_base : root->gs_base;
}

const struct vmcs *host_state_vmcs(struct machine *machine, const struct cpu *cpu)
{
    uint64_t vmcs12 = 0;

    if (!machine_over_native(machine, cpu))
        return cpu->vmx.current;
    return native_current(machine->native, cpu, &vmcs12) && vmcs12 != ~0ull ? native_vmcs12(machine->native, vmcs12) : NULL;
}

bool host_state_in_guest(struct machine *machine, const struct cpu *cpu)
{
    return machine_over_native(machine, cpu) ? machine_level(machine, cpu) > 1 : cpu->vmx.non_root;
}

static void writer_of(struct machine *machine, const struct vmcs *v, enum vmcs_field field, char *to, size_t size)
{
    vmcs_writer_text(v, false, field, machine->symbols, to, size);
}

/* ---- VM entries ---- */

static void tell_base(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, unsigned i, uint64_t before)
{
    bool written = v->written[bases[i].host];
    struct explanation *e = explain_begin(machine, cpu, written ? 0 : explain_key(bases[i].host, "host_state.base"));
    char writer[SNAPSHOT_WRITER_MAX];

    if (!e)
        return;
    writer_of(machine, v, bases[i].host, writer, sizeof writer);
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": the %s is 0, which the VM exit has loaded from %s (%s); at the VM entry before it was 0x%" PRIx64 " [28.5.2]",
                 v->pa, bases[i].what, bases[i].field_name, writer, before);
    explain_line(e, "what the hypervisor reads and writes by %s after a VM exit is at address 0 and up, not at 0x%" PRIx64 ": %s must be what the base of %s is in root operation",
                 bases[i].segment, before, bases[i].field_name, bases[i].segment);
    explain_end(e);
}

static void look_at_base(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, unsigned i, bool unseen)
{
    struct host_state *h = &machine->host_state[cpu->index];
    uint64_t own = base_of(&machine->root[cpu->index], i), before = h->base[i];

    if (!own && !before)
        return;
    if (before && own)
        h->restored[i] = true;
    if (before && !own && !v->field[bases[i].host])
        tell_base(machine, cpu, v, i, before);
    if (own)
        h->base[i] = v->field[bases[i].host] || h->restored[i] || unseen ? 0 : own;
}

void host_state_entered(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, bool unseen)
{
    const struct vmx_root *root = &machine->root[cpu->index];
    uint64_t *lost = machine->host_state[cpu->index].lost;
    bool loads_efer = VMCS(v, exit_controls) & EXIT_load_ia32_efer;

    lost[HOST_STATE_CR0] = (lost[HOST_STATE_CR0] | ~root->cr0) & VMCS(v, host_cr0) & (CR0_TS | CR0_EM);
    lost[HOST_STATE_CR4] = (lost[HOST_STATE_CR4] | root->cr4) & ~VMCS(v, host_cr4);
    lost[HOST_STATE_EFER] = loads_efer ? (lost[HOST_STATE_EFER] | root->efer) & ~VMCS(v, host_ia32_efer) : 0;
    for (unsigned i = 0; i < HOST_STATE_BASES && machine->free_running; i++)     /* a script has no use for segments */
        look_at_base(machine, cpu, v, i, unseen);
}

/* ---- faults ---- */

static uint64_t value_of(const struct cpu *cpu, enum host_state_register which)
{
    return which == HOST_STATE_CR0 ? cpu->cr0 : which == HOST_STATE_CR4 ? cpu->cr4 : CPU_MSR(cpu, ia32_efer);
}

/* Bits of the register that are as the VM exit has left them, and were otherwise before. */
static uint64_t still_lost(struct machine *machine, const struct cpu *cpu, enum host_state_register which)
{
    uint64_t lost = machine->host_state[cpu->index].lost[which], value = value_of(cpu, which);

    if (machine->events[cpu->index].crossing.kind != NOTICE_EXIT)
        return 0;
    return which == HOST_STATE_CR0 ? lost & value : lost & ~value;
}

static void tell_host(struct explanation *e, const struct cpu *cpu, const struct vmcs *v, enum host_state_register which, uint64_t bits)
{
    char names[NAMES_MAX], writer[SNAPSHOT_WRITER_MAX];

    if (!bits)
        return;
    writer_of(e->machine, v, registers[which].host, writer, sizeof writer);
    bits_text(registers[which].names, bits, names, sizeof names);
    explain_line(e, "the VM exit has loaded %s from %s = 0x%" PRIx64 " (%s), %s %s; the hypervisor had entered %s: %s has to follow when %s changes [28.5.1]",
                 registers[which].register_name, registers[which].field_name, v->field[registers[which].host], writer,
                 which == HOST_STATE_CR0 ? "with" : "without", names, which == HOST_STATE_CR0 ? "without" : "with that", registers[which].field_name,
                 registers[which].register_name);
    (void)cpu;
}

/* The guest has what VM entry loaded: what the field says. */
static void tell_guest(struct explanation *e, const struct cpu *cpu, const struct vmcs *v, enum host_state_register which, uint64_t bits)
{
    uint64_t value = v->field[registers[which].guest];
    char writer[SNAPSHOT_WRITER_MAX];

    if (!v->written[registers[which].guest] || (value & bits) != (value_of(cpu, which) & bits) ||
        (which == HOST_STATE_EFER && !(VMCS(v, entry_controls) & ENTRY_load_ia32_efer)))
        return;
    writer_of(e->machine, v, registers[which].guest, writer, sizeof writer);
    explain_line(e, "%s = 0x%" PRIx64 " (%s)", vmcs_field_name(registers[which].guest), value, writer);
}

/* The bits of CR4 and IA32_EFER without which the instruction at RIP is undefined. */
static bool undefined_by_loss(struct machine *machine, struct cpu *cpu)
{
    uint8_t bytes[INSTRUCTION_MAX];
    size_t length = place_fetch(cpu, bytes);
    const struct need *need = need_of(code_bits(cpu), bytes, length);
    uint64_t cr4 = still_lost(machine, cpu, HOST_STATE_CR4), efer = still_lost(machine, cpu, HOST_STATE_EFER);
    char text[80];

    if (need)
        return need->cr4 & cr4 || (need->mode == MODE_SYSCALLS && efer & EFER_SCE);
    disassemble(code_bits(cpu), cpu->rip, bytes, length, text, sizeof text);
    return cr4 & CR4_OSFXSR && strstr(text, "xmm");
}

bool host_state_blamed(struct machine *machine, struct cpu *cpu, const struct event *event)
{
    enum { ERROR_RESERVED = 8 };
    const uint64_t *lost = machine->host_state[cpu->index].lost;

    if (!(lost[HOST_STATE_CR0] | lost[HOST_STATE_CR4] | lost[HOST_STATE_EFER]) || host_state_in_guest(machine, cpu))
        return false;
    switch (event->vector) {
    case VECTOR_UD:
        return undefined_by_loss(machine, cpu);
    case VECTOR_NM:
        return still_lost(machine, cpu, HOST_STATE_CR0);
    case VECTOR_PF:
        return event->error_code & ERROR_RESERVED && still_lost(machine, cpu, HOST_STATE_EFER) & EFER_NXE;
    default:
        return false;
    }
}

void host_state_tell(struct explanation *e, const struct cpu *cpu, enum host_state_register which, uint64_t bits)
{
    const struct vmcs *v = host_state_vmcs(e->machine, cpu);

    if (!v)
        return;
    if (host_state_in_guest(e->machine, cpu))
        tell_guest(e, cpu, v, which, bits);
    else
        tell_host(e, cpu, v, which, still_lost(e->machine, cpu, which) & bits);
}

void host_state_tell_lost(struct explanation *e, const struct cpu *cpu)
{
    const struct host_state *h = &e->machine->host_state[cpu->index];
    const struct vmcs *v = host_state_vmcs(e->machine, cpu);

    if (!v)
        return;
    for (unsigned i = 0; i < HOST_STATE_BASES; i++) {
        char writer[SNAPSHOT_WRITER_MAX];

        if (!h->base[i] || v->field[bases[i].host] || cpu->seg[SEG_FS + i].base)
            continue;
        writer_of(e->machine, v, bases[i].host, writer, sizeof writer);
        explain_line(e, "   and %s 0x0 (%s), where the %s was 0x%" PRIx64 " at a VM entry before", bases[i].field_name, writer, bases[i].what, h->base[i]);
    }
    for (unsigned which = 0; which < HOST_STATE_REGISTERS; which++) {
        uint64_t bits = still_lost(e->machine, cpu, which);
        char names[NAMES_MAX];

        if (bits)
            explain_line(e, "   and %s 0x%" PRIx64 ", %s %s, unlike a VM entry before", registers[which].field_name, v->field[registers[which].host],
                         which == HOST_STATE_CR0 ? "with" : "without", bits_text(registers[which].names, bits, names, sizeof names));
    }
}
