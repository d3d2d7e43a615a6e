/* SPDX-License-Identifier: MIT */
/* From a VM exit to the next VM entry: SDM Vol. 3, 25.8.3, 25.9, 27.6, 28.2. */
#include "emu/explain/reentry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/vmx.h"

static struct reentry *slot(struct machine *machine, uint64_t vmcs)
{
    return &machine->reentry[vmcs / PAGE_SIZE % REENTRY_VMCSS];
}

/* ---- exits ---- */

/* An interrupt or NMI that was under way: nobody will ask for it again (28.2.4). Faults come again with their instruction. */
static bool can_be_lost(uint32_t information)
{
    unsigned type = INTERRUPTION_TYPE(information);

    return information & INTERRUPTION_VALID && (type == EVENT_EXTERNAL_INTERRUPT || type == EVENT_NMI);
}

static void take(struct reentry *r, const struct cpu *cpu, const struct notice *notice, uint64_t vmcs)
{
    const struct vmcs *v = cpu->vmx.current;
    uint32_t vectoring = (uint32_t)VMCS(v, idt_vectoring_information);

    if (r->vmcs != vmcs)
        *r = (struct reentry){ .vmcs = vmcs };
    r->fresh = true;
    r->reason = notice->a & 0xffff;
    r->qualification = notice->b;
    r->rip = notice->c;
    r->length = VMCS(v, exit_instruction_length);
    r->interruption = (uint32_t)VMCS(v, exit_interruption_information);
    r->doubtful = false;
    if (can_be_lost(vectoring) && r->reason != EXIT_REASON_task_switch) {
        r->lost = vectoring;
        r->lost_reason = r->reason;
        r->lost_rip = r->rip;
        r->entries = 0;
    }
}

/* Exits by an instruction, which leave RIP at it and its length in the VMCS (28.2.5). */
static bool has_length(uint32_t reason)
{
    switch (reason) {
    case EXIT_REASON_cpuid: case EXIT_REASON_hlt: case EXIT_REASON_invd: case EXIT_REASON_invlpg: case EXIT_REASON_rdpmc: case EXIT_REASON_rdtsc:
    case EXIT_REASON_vmcall: case EXIT_REASON_cr_access: case EXIT_REASON_mov_dr: case EXIT_REASON_io_instruction: case EXIT_REASON_rdmsr:
    case EXIT_REASON_wrmsr: case EXIT_REASON_pause: case EXIT_REASON_rdtscp: case EXIT_REASON_wbinvd: case EXIT_REASON_xsetbv:
        return true;
    default:
        return false;
    }
}

void reentry_exited(struct machine *machine, const struct cpu *cpu, const struct notice *notice)
{
    bool native = machine_over_native(machine, cpu);
    uint64_t vmcs = notice->d;
    struct reentry *r;

    if (!cpu->vmx.current || notice->a & EXIT_REASON_ENTRY_FAILURE)
        return;
    if (native)
        native_current(machine->native, cpu, &vmcs);
    r = native ? &machine->reentry_of_l2[cpu->index] : slot(machine, vmcs);
    if (native)
        r->lost = 0;                    /* L0 has seen to it */
    take(r, cpu, notice, vmcs);
}

void reentry_reflected(struct machine *machine, const struct cpu *cpu)
{
    struct reentry *of_l2 = &machine->reentry_of_l2[cpu->index], *r = slot(machine, of_l2->vmcs);
    struct reentry before = *r;

    *r = *of_l2;
    if (before.vmcs == r->vmcs && before.lost && !of_l2->lost) {
        r->lost = before.lost;
        r->lost_reason = before.lost_reason;
        r->lost_rip = before.lost_rip;
        r->entries = before.entries;
    }
    of_l2->lost = 0;
}

/* ---- entries ---- */

static void tell_writer(struct explanation *e, const struct vmcs *v, enum vmcs_field field)
{
    char writer[SNAPSHOT_WRITER_MAX];

    vmcs_writer_text(v, false, field, e->machine->symbols, writer, sizeof writer);
    explain_line(e, "%s = 0x%" PRIx64 " (%s)", vmcs_field_name(field), v->field[field], writer);
}

static void tell_exit(struct explanation *e, const struct reentry *r)
{
    const char *reason = exit_reason_name(r->reason);
    char name[SYMBOL_TEXT_MAX];

    explain_line(e, "the latest VM exit was %s at guest rip 0x%" PRIx64 "%s, qualification 0x%" PRIx64, reason ? reason : "unknown", r->rip,
                 symbols_text(e->machine->symbols, r->rip, name), r->qualification);
}

static bool written_since(const struct vmcs *v, enum vmcs_field field)
{
    return v->written[field] == 1 + v->exits;
}

/* The valid bit is cleared by each VM exit. */
static uint64_t injected(const struct vmcs *v)
{
    return written_since(v, FIELD_entry_interruption_information) ? VMCS(v, entry_interruption_information) : 0;
}

static void look_at_valid_bit(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct reentry *r)
{
    uint64_t information = injected(v);
    struct explanation *e;

    if (!information || information & INTERRUPTION_VALID)
        return;
    e = explain_begin(machine, cpu, explain_key(v->writer[FIELD_entry_interruption_information], "reentry.valid"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " injects nothing: bit 31 (valid) of the interruption information that was written is 0 [25.8.3]", v->pa);
    tell_writer(e, v, FIELD_entry_interruption_information);
    if (r->vmcs == v->pa)
        tell_exit(e, r);
    explain_end(e);
}

static bool is_page_fault(uint64_t information)
{
    return information & INTERRUPTION_VALID && INTERRUPTION_TYPE(information) == EVENT_HARDWARE_EXCEPTION &&
           INTERRUPTION_VECTOR(information) == VECTOR_PF;
}

/* The #PF of the exit is handed to the guest, whose handler reads CR2; the exit has not loaded it (28.2.1). */
static void look_at_cr2(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct reentry *r)
{
    struct explanation *e;

    if (!is_page_fault(injected(v)) || r->reason != EXIT_REASON_exception_or_nmi || !is_page_fault(r->interruption) ||
        cpu->cr2 == r->qualification || (written_since(v, FIELD_guest_rip) && VMCS(v, guest_rip) != r->rip))
        return;
    e = explain_begin(machine, cpu, explain_key(r->rip, "reentry.cr2"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " injects the #PF of the latest VM exit, and CR2 is 0x%" PRIx64 ", not the address of the fault, 0x%" PRIx64
                 ": neither exit nor entry loads CR2, the hypervisor does (MOV to CR2), from the exit qualification [28.2.1, 27.6.1]", v->pa, cpu->cr2,
                 r->qualification);
    tell_exit(e, r);
    explain_end(e);
}

/* Behind the exit's instruction another one begins; no place inside either is where code goes on. */
static void look_at_rip(const struct vmcs *v, struct reentry *r)
{
    uint64_t ahead = VMCS(v, guest_rip) - r->rip;

    r->new_rip = VMCS(v, guest_rip);
    r->doubtful = has_length(r->reason) && written_since(v, FIELD_guest_rip) && ahead && ahead != r->length && ahead <= 2 * r->length;
}

void reentry_goes_on(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct reentry *r = slot(machine, v->pa);
    struct cpu then = *cpu;
    uint8_t code[INSTRUCTION_MAX];
    uint64_t ahead = r->new_rip - r->rip, from;
    struct explanation *e;
    size_t length;
    char text[80];

    if (r->vmcs != v->pa || !r->doubtful)
        return;
    r->doubtful = false;
    from = ahead < r->length ? r->rip : r->rip + r->length;
    then.rip = from;
    length = fetch_code(&then, code);
    if (r->new_rip == from || r->new_rip - from >= instruction_length(code_bits(cpu), code, length))
        return;
    e = explain_begin(machine, cpu, explain_key(r->rip, "reentry.rip"));
    if (!e)
        return;
    disassemble(code_bits(cpu), from, code, length, text, sizeof text);
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " at GUEST_RIP 0x%" PRIx64 ", which is inside the instruction at 0x%" PRIx64 ": %s", v->pa, r->new_rip, from, text);
    tell_exit(e, r);
    explain_line(e, "RIP was moved on by %" PRIu64 ", and the VM-exit instruction length is %" PRIu64 " [28.2.5]", ahead, r->length);
    tell_writer(e, v, FIELD_guest_rip);
    explain_end(e);
}

/* An interrupt whose delivery the exit interrupted has left the interrupt controller: whoever does not inject it, loses it. Some wait
 * for a better moment. */
static void look_at_lost(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, struct reentry *r)
{
    uint64_t information = injected(v);
    struct event event = { .valid = true, .type = (uint8_t)INTERRUPTION_TYPE(r->lost), .vector = (uint8_t)INTERRUPTION_VECTOR(r->lost) };
    const char *reason = exit_reason_name(r->lost_reason);
    struct explanation *e;
    char what[24];

    if (!r->lost)
        return;
    if ((information & INTERRUPTION_VALID && !((information ^ r->lost) & 0x7ff)) || vmcs_field_used(v, FIELD_eoi_exit_bitmap_0)) {
        r->lost = 0;
        return;
    }
    if (++r->entries < REENTRY_PATIENCE)
        return;
    r->lost = 0;
    e = explain_begin(machine, cpu, explain_key(event.vector, "reentry.lost"));
    if (!e)
        return;
    event_word(what, sizeof what, &event);
    explain_line(e, "the guest of VMCS 0x%" PRIx64 " has lost %s: its delivery was interrupted by the VM exit %s at guest rip 0x%" PRIx64 ", and %d VM entries later "
                 "it has not been injected [28.2.4]", v->pa, what, reason ? reason : "unknown", r->lost_rip, REENTRY_PATIENCE);
    explain_line(e, "an exit whose IDT-vectoring information has bit 31 set (it was 0x%" PRIx32 ") comes during the delivery of an event: the hypervisor copies it to the "
                 "VM-entry interruption information before the guest goes on [25.9.3, 27.6]",
                 (uint32_t)(INTERRUPTION_VALID | (uint32_t)event.type << 8 | event.vector));
    explain_end(e);
}

/* Two processors whose next exits would use one stack. */
static void look_at_stack(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    const struct model *model = machine->model;

    for (unsigned i = 0; i < model->cpu_count && model->cpu_count > 1 && !machine->native; i++) {
        const struct cpu *other = &model->cpu[i];
        struct explanation *e;

        if (other == cpu || !other->vmx.non_root || !other->vmx.current || VMCS(other->vmx.current, host_rsp) != VMCS(v, host_rsp) ||
            VMCS(other->vmx.current, host_cr3) != VMCS(v, host_cr3))
            continue;
        e = explain_begin(machine, cpu, explain_key(VMCS(v, host_rsp), "reentry.host_rsp"));
        if (!e)
            return;
        explain_line(e, "processors %u and %u are in guests with the same HOST_RSP, 0x%" PRIx64 ": their VM exits use one stack [28.5]", cpu->index, i, VMCS(v, host_rsp));
        tell_writer(e, v, FIELD_host_rsp);
        tell_writer(e, other->vmx.current, FIELD_host_rsp);
        explain_end(e);
        return;
    }
}

void reentry_entered(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct reentry *r = slot(machine, v->pa);

    look_at_stack(machine, cpu, v);
    look_at_valid_bit(machine, cpu, v, r);
    if (r->vmcs != v->pa || !r->fresh)
        return;
    r->fresh = false;
    look_at_cr2(machine, cpu, v, r);
    look_at_rip(v, r);
    look_at_lost(machine, cpu, v, r);
}
