/* SPDX-License-Identifier: MIT */
/* From a VM exit to the next VM entry: SDM Vol. 3, 25.8.3, 25.9, 27.6, 28.2. */
#include "emu/explain/reentry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/exit_information.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "emu/vmcs/snapshot.h"
#include "model/cpu/access.h"
#include "model/vmx/vmx.h"

static struct reentry *slot(struct machine *machine, uint64_t vmcs)
{
    return &machine->reentry[vmcs / PAGE_SIZE % REENTRY_VMCSS];
}

/* ---- exits ---- */

/* An interrupt or NMI that was under way: nobody will ask for it again (28.2.4). Faults come again with their instruction, but not those that VM
 * entry had injected; what INT n and its kind had begun does, too. */
static bool can_be_lost(uint32_t information, uint32_t injected)
{
    unsigned type = INTERRUPTION_TYPE(information);

    return information & INTERRUPTION_VALID &&
           (type == EVENT_EXTERNAL_INTERRUPT || type == EVENT_NMI || (type == EVENT_HARDWARE_EXCEPTION && !((information ^ injected) & 0x7ff)));
}

/* INVPCID: bits 31:28 of the information are the register with the type, the descriptor is in memory, PCID and linear address (Vol. 2, INVPCID). Of
 * other PCIDs than the present one nothing is known here. */
static enum debt debt_of_invpcid(const struct cpu *cpu, uint64_t *owed)
{
    const struct insn *insn = &cpu->vmx.exited;
    struct cpu view = *cpu;
    uint64_t descriptor[2], base = cpu_64bit(cpu) && insn->segment < SEG_FS ? 0 : cpu->seg[insn->segment].base, present = cpu->cr4 & CR4_PCIDE ? cpu->cr3 & CR3_PCID : 0;
    uint64_t type = cpu->gpr[VMCS(cpu->vmx.current, exit_instruction_information) >> 28 & 15];

    if (type == 2 || type == 3)
        return type == 2 ? OWES_ALL : OWES_ALL_PCIDS;
    if (type > 1 || insn->id != INSN_invpcid || place_peek(&view, base + operand_address(cpu, insn), descriptor, sizeof descriptor) != PEEK_DONE ||
        (descriptor[0] & CR3_PCID) != present)
        return OWES_NOTHING;
    *owed = type ? present : descriptor[1];
    return type ? OWES_PCID : OWES_ADDRESS;
}

/* What the guest asks to be invalidated, by the instruction of the exit (SDM Vol. 3, 4.10.4.1). Without EPT its linear mappings are the hypervisor's. */
static enum debt debt_of(const struct cpu *cpu, uint32_t reason, uint64_t qualification, uint64_t *owed)
{
    const struct vmcs *v = cpu->vmx.current;
    uint64_t value = cpu->gpr[qualification >> 8 & 15], pcid = cpu->cr4 & CR4_PCIDE ? CR3_PCID : 0;
    uint64_t cr4 = (cpu->cr4 & ~VMCS(v, cr4_guest_host_mask)) | (VMCS(v, cr4_read_shadow) & VMCS(v, cr4_guest_host_mask));

    *owed = reason == EXIT_REASON_invlpg ? qualification : value & pcid;
    if (!cpu->vmx.ept || !cpu->vmx.vpid || !(cpu->cr0 & CR0_PG))
        return OWES_NOTHING;
    if (reason == EXIT_REASON_invlpg)
        return OWES_ADDRESS;
    if (reason == EXIT_REASON_invpcid)
        return debt_of_invpcid(cpu, owed);
    if (reason != EXIT_REASON_cr_access || qualification >> 4 & 3)      /* MOV to CR */
        return OWES_NOTHING;
    switch (qualification & 15) {
    case 0:
        return value & CR0_PG ? OWES_NOTHING : OWES_ALL;
    case 3:
        return pcid && value >> 63 ? OWES_NOTHING : OWES_PCID;
    case 4:
        return (cr4 ^ value) & (CR4_PGE | CR4_PAE) || cr4 & ~value & CR4_PCIDE || value & ~cr4 & CR4_SMEP ? OWES_ALL : OWES_NOTHING;
    default:
        return OWES_NOTHING;
    }
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
    r->vectoring = vectoring;
    r->cpu = cpu->index;
    r->exit_instructions = cpu->instructions;
    r->doubtful = r->due = false;
    r->debt = debt_of(cpu, r->reason, r->qualification, &r->owed);
    if (can_be_lost(vectoring, r->injected) && r->reason != EXIT_REASON_task_switch) {
        r->lost = vectoring;
        r->lost_reason = r->reason;
        r->lost_rip = r->rip;
        r->entries = 0;
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
    uint32_t vectoring = of_l2->vectoring;

    *r = *of_l2;
    if (before.vmcs == r->vmcs && !r->lost && can_be_lost(vectoring, before.injected) && r->reason != EXIT_REASON_task_switch) {
        r->lost = vectoring;
        r->lost_reason = r->reason;
        r->lost_rip = r->rip;
        r->entries = 0;
    }
    if (before.vmcs == r->vmcs && before.lost && !r->lost) {
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

void reentry_tell_same_rip(struct explanation *e, const struct vmcs *v, uint64_t exits, uint32_t reason, uint64_t rip)
{
    const char *name = exit_reason_name(reason);
    char writer[SNAPSHOT_WRITER_MAX];

    if (exit_has_length(reason) || v->written[FIELD_guest_rip] != exits)
        return;
    vmcs_writer_text(v, false, FIELD_guest_rip, e->machine->symbols, writer, sizeof writer);
    explain_line(e, "GUEST_RIP was written, with what it was, 0x%" PRIx64 " (%s): the VM-exit instruction length is undefined for %s, and nothing to add "
                    "[28.2.5]: whoever emulates the access decodes the instruction", rip, writer, name ? name : "this exit");
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
    r->due = r->debt && written_since(v, FIELD_guest_rip) && ahead == r->length;
    r->doubtful = exit_has_length(r->reason) && written_since(v, FIELD_guest_rip) && ahead && ahead != r->length && ahead <= 2 * r->length;
}

static const char *debt_words(const struct reentry *r, char to[80])
{
    switch (r->debt) {
    case OWES_ADDRESS:
        snprintf(to, 80, "of linear address 0x%" PRIx64, r->owed);
        return to;
    case OWES_PCID:
        snprintf(to, 80, "of PCID 0x%" PRIx64 " that are not global", r->owed);
        return to;
    case OWES_ALL_PCIDS:
        return "that are not global";
    default:
        return "of all PCIDs, global ones too";
    }
}

static bool still_remembered(const struct cpu *cpu, const struct reentry *r)
{
    const struct tlb *tlb = &cpu->model->tlb;

    for (const struct tlb_entry *e = NULL; (e = tlb_next(tlb, e));) {
        if (e->cpu != cpu->index || e->vpid != cpu->vmx.vpid || e->kind != MAPPING_COMBINED)
            continue;
        if (r->debt == OWES_ALL || (r->debt == OWES_ADDRESS && !((e->page ^ r->owed) & ~(e->mapping.page_size - 1))) ||
            (!e->mapping.global && (r->debt == OWES_ALL_PCIDS || (r->debt == OWES_PCID && e->pcid == r->owed))))
            return true;
    }
    return false;
}

/* VM exits and entries invalidate nothing where VPIDs are on: what the guest's instruction would have invalidated, INVVPID does (29.4.3.3). */
static void look_at_debt(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, struct reentry *r)
{
    const char *reason = exit_reason_name(r->reason);
    struct explanation *e;
    char what[80];

    if (!r->due)
        return;
    r->due = false;
    if (!cpu->vmx.vpid || explain_told(machine, explain_key(r->reason, "reentry.invvpid")) || !still_remembered(cpu, r))
        return;
    e = explain_begin(machine, cpu, explain_key(r->reason, "reentry.invvpid"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " after the VM exit %s, whose instruction was passed over, but not all that it does: the processor still "
                    "remembers translations of VPID 0x%" PRIx64 " %s", v->pa, reason ? reason : "unknown", VMCS(v, virtual_processor_identifier), debt_words(r, what));
    tell_exit(e, r);
    explain_line(e, "with VPIDs neither VM exits nor VM entries invalidate anything: whoever emulates INVLPG, INVPCID or MOV to CR0, CR3 or CR4 executes INVVPID "
                    "(or gives the guest another VPID) before the next VM entry [29.4.3.3]");
    explain_end(e);
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

    if (r->vmcs == v->pa)
        look_at_debt(machine, cpu, v, r);
    if (r->vmcs != v->pa || !r->doubtful)
        return;
    r->doubtful = false;
    from = ahead < r->length ? r->rip : r->rip + r->length;
    then.rip = from;
    length = place_fetch(&then, code);
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

static void tell_lost(struct machine *machine, const struct cpu *cpu, struct reentry *r)
{
    struct event event = { .valid = true, .type = (uint8_t)INTERRUPTION_TYPE(r->lost), .vector = (uint8_t)INTERRUPTION_VECTOR(r->lost) };
    const char *reason = exit_reason_name(r->lost_reason);
    struct explanation *e = explain_begin(machine, cpu, explain_key(event.vector, "reentry.lost"));
    char what[24];

    r->lost = 0;
    if (!e)
        return;
    event_word(what, sizeof what, &event);
    explain_line(e, "the guest of VMCS 0x%" PRIx64 " has lost %s: its delivery was interrupted by the VM exit %s at guest rip 0x%" PRIx64 ", and %u VM entr%s later "
                 "it has not been injected [28.2.4]", r->vmcs, what, reason ? reason : "unknown", r->lost_rip, r->entries, r->entries == 1 ? "y" : "ies");
    explain_line(e, "an exit whose IDT-vectoring information has bit 31 set (it was 0x%" PRIx32 ") comes during the delivery of an event: the hypervisor copies it to the "
                 "VM-entry interruption information before the guest goes on [25.9.3, 27.6]",
                 (uint32_t)(INTERRUPTION_VALID | (uint32_t)event.type << 8 | event.vector));
    explain_end(e);
}

/* Another exception takes the place of one: a double fault, or what the delivery met (6.15). */
static bool replaces(uint64_t information, uint32_t lost)
{
    return information & INTERRUPTION_VALID && INTERRUPTION_TYPE(lost) == EVENT_HARDWARE_EXCEPTION && INTERRUPTION_TYPE(information) == EVENT_HARDWARE_EXCEPTION;
}

/* An interrupt whose delivery the exit interrupted has left the interrupt controller: whoever does not inject it, loses it. Some wait
 * for a better moment. */
static void look_at_lost(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, struct reentry *r)
{
    uint64_t information = injected(v);

    if (!r->lost)
        return;
    if ((information & INTERRUPTION_VALID && !((information ^ r->lost) & 0x7ff)) || replaces(information, r->lost) ||
        vmcs_field_used(v, FIELD_eoi_exit_bitmap_0))
        r->lost = 0;
    else if (++r->entries >= REENTRY_PATIENCE)
        tell_lost(machine, cpu, r);
}

void reentry_ended(struct machine *machine)
{
    for (unsigned i = 0; i < REENTRY_VMCSS; i++) {
        struct reentry *r = &machine->reentry[i];

        if (r->lost && r->entries)
            tell_lost(machine, &machine->model->cpu[r->cpu], r);
    }
}

/* GUEST_RIP moved on by an instruction length that is none. Here an undefined length is 0, so that RIP is what it was: told where the length was
 * read just before RIP was written. */
static void look_at_length(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct reentry *r)
{
    enum { JUST_BEFORE = 40 /* instructions */ };
    uint64_t read = cpu->vmx.length_read, wrote = cpu->vmx.rip_written;
    const char *reason = exit_reason_name(r->reason);
    struct explanation *e;

    if (!written_since(v, FIELD_guest_rip) || VMCS(v, guest_rip) != r->rip + r->length || read <= r->exit_instructions || wrote < read ||
        wrote - read > JUST_BEFORE || !exit_length_undefined(r->reason, r->interruption, r->vectoring))
        return;
    e = explain_begin(machine, cpu, explain_key(v->writer[FIELD_guest_rip] ^ (uint64_t)r->reason << 48, "reentry.length"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 ": GUEST_RIP was moved on by the VM-exit instruction length after the VM exit %s, for which that field is undefined [28.2.5]",
                 v->pa, reason ? reason : "unknown");
    explain_line(e, "here the length is %" PRIu64 "; a processor may have left any number in it, such as the one of an exit before, and the guest skips part of its code: after this "
                 "exit the guest goes on where it is", r->length);
    tell_exit(e, r);
    tell_writer(e, v, FIELD_guest_rip);
    explain_end(e);
}

/* The VMCS of the guest that a processor is in, as its author has written it; NULL: it is in none. */
static const struct vmcs *vmcs_of_guest(const struct machine *machine, const struct cpu *cpu)
{
    uint64_t vmcs12 = 0;

    if (!machine_over_native(machine, cpu))
        return cpu->vmx.non_root ? cpu->vmx.current : NULL;
    return native_current(machine->native, cpu, &vmcs12) == 2 ? native_vmcs12(machine->native, vmcs12) : NULL;
}

/* Two processors whose next exits would use one stack. */
static void look_at_stack(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    const struct model *model = machine->model;

    for (unsigned i = 0; i < model->cpu_count; i++) {
        const struct cpu *other = &model->cpu[i];
        const struct vmcs *theirs = other == cpu ? NULL : vmcs_of_guest(machine, other);
        struct explanation *e;

        if (!theirs || VMCS(theirs, host_rsp) != VMCS(v, host_rsp) || VMCS(theirs, host_cr3) != VMCS(v, host_cr3))
            continue;
        e = explain_begin(machine, cpu, explain_key(VMCS(v, host_rsp), "reentry.host_rsp"));
        if (!e)
            return;
        explain_line(e, "processors %u and %u are in guests with the same HOST_RSP, 0x%" PRIx64 ": their VM exits use one stack [28.5]", cpu->index, i, VMCS(v, host_rsp));
        tell_writer(e, v, FIELD_host_rsp);
        tell_writer(e, theirs, FIELD_host_rsp);
        explain_end(e);
        return;
    }
}

/* The bases that tell one processor of a hypervisor from another. */
static const struct {
    enum vmcs_field field;
    const char *what, *effect;
} bases[] = {
    { FIELD_host_fs_base, "base of FS", "what is each processor's own in memory becomes that processor's" },
    { FIELD_host_gs_base, "base of GS", "what is each processor's own in memory becomes that processor's" },
    { FIELD_host_tr_base, "TSS", "both take stacks from one TSS" },
};

static uint64_t base_of(const struct vmx_root *root, enum vmcs_field field)
{
    return field == FIELD_host_fs_base ? root->fs_base : field == FIELD_host_gs_base ? root->gs_base : root->tr_base;
}

/* Another processor's, in root operation. */
static struct vmx_root root_of(const struct machine *machine, const struct cpu *cpu)
{
    if (machine_over_native(machine, cpu))
        return *native_l1_root(machine->native, cpu);
    if (cpu->vmx.non_root)
        return machine->root[cpu->index];
    return (struct vmx_root){ .rip = cpu->rip, .fs_base = cpu->seg[SEG_FS].base, .gs_base = cpu->seg[SEG_GS].base, .tr_base = cpu->seg[SEG_TR].base };
}

static void tell_base(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, unsigned i, uint64_t own)
{
    uint64_t value = v->field[bases[i].field];

    for (unsigned other = 0; other < machine->model->cpu_count; other++) {
        struct vmx_root theirs = root_of(machine, &machine->model->cpu[other]);
        struct explanation *e;

        if (other == cpu->index || base_of(&theirs, bases[i].field) != value)
            continue;
        e = explain_begin(machine, cpu, explain_key(bases[i].field, "reentry.host_base"));
        if (!e)
            return;
        explain_line(e, "VM entry with VMCS 0x%" PRIx64 " on processor %u, whose VM exits load the %s of processor %u, 0x%" PRIx64 ", where it had 0x%" PRIx64
                     ": after them %s [28.5.2]", v->pa, cpu->index, bases[i].what, other, value, own, bases[i].effect);
        tell_writer(e, v, bases[i].field);
        explain_end(e);
        return;
    }
}

/* Written since the latest exit, and neither nothing nor what the processor had when it entered. */
static void look_at_bases(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        uint64_t value = v->field[bases[i].field], own = base_of(&machine->root[cpu->index], bases[i].field);

        if (value && value != own && written_since(v, bases[i].field))
            tell_base(machine, cpu, v, i, own);
    }
}

/* An event of an exit that is handed on comes with its type; 2 is no vector of exceptions. */
static void look_at_type(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct reentry *r)
{
    static const char *const types[] = { "external interrupt", "reserved", "NMI", "hardware exception", "software interrupt",
                                         "privileged software exception", "software exception", "other event" };
    uint64_t information = injected(v);
    unsigned type = INTERRUPTION_TYPE(information), vector = INTERRUPTION_VECTOR(information), of_exit = INTERRUPTION_TYPE(r->interruption);
    bool nmi = vector == VECTOR_NMI && type == EVENT_HARDWARE_EXCEPTION;
    bool handed_on = r->vmcs == v->pa && r->fresh && r->reason == EXIT_REASON_exception_or_nmi && r->interruption & INTERRUPTION_VALID &&
                     INTERRUPTION_VECTOR(r->interruption) == vector && of_exit != type && VMCS(v, guest_rip) == r->rip;
    struct explanation *e;

    if (!(information & INTERRUPTION_VALID) || (!nmi && !handed_on))
        return;
    e = explain_begin(machine, cpu, explain_key(v->writer[FIELD_entry_interruption_information], "reentry.type"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " injects vector %u as type %u (%s), and it is one of type %u (%s) [25.8.3]: %s", v->pa, vector, type, types[type],
                 nmi ? EVENT_NMI : of_exit, types[nmi ? EVENT_NMI : of_exit],
                 nmi ? "NMIs do not become blocked, and the next one may come before the handler's IRET [27.6.1]"
                     : "what is pushed as the return RIP, and what is checked, depend on the type [27.6.1]");
    tell_writer(e, v, FIELD_entry_interruption_information);
    if (handed_on)
        tell_exit(e, r);
    explain_end(e);
}

/* HLT and MWAIT are over when an interrupt comes: its handler returns behind them. An exit by them comes before (28.2.5). */
static void look_at_wake(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, const struct reentry *r)
{
    uint64_t information = injected(v);
    unsigned type = INTERRUPTION_TYPE(information);
    struct explanation *e;

    if ((r->reason != EXIT_REASON_hlt && r->reason != EXIT_REASON_mwait) || !(information & INTERRUPTION_VALID) ||
        (type != EVENT_EXTERNAL_INTERRUPT && type != EVENT_NMI) || (written_since(v, FIELD_guest_rip) && VMCS(v, guest_rip) != r->rip))
        return;
    e = explain_begin(machine, cpu, explain_key(r->rip, "reentry.wake"));
    if (!e)
        return;
    explain_line(e, "VM entry with VMCS 0x%" PRIx64 " injects vector %02XH to end the guest's %s, and GUEST_RIP is still at that instruction: the handler's IRET goes back to it, and the "
                    "guest waits once more for what has come", v->pa, (unsigned)INTERRUPTION_VECTOR(information), exit_reason_name(r->reason));
    tell_exit(e, r);
    explain_line(e, "on a processor an interrupt ends HLT and MWAIT, and its handler returns behind them: GUEST_RIP is moved on by the VM-exit instruction length, %" PRIu64 ", before the "
                    "interrupt is injected [28.2.5]", r->length);
    tell_writer(e, v, FIELD_entry_interruption_information);
    explain_end(e);
}

void reentry_entered(struct machine *machine, const struct cpu *cpu, const struct vmcs *v)
{
    struct reentry *r = slot(machine, v->pa);

    if (machine->model->cpu_count > 1 && machine->free_running) {       /* processors of a script have one host state */
        look_at_stack(machine, cpu, v);
        look_at_bases(machine, cpu, v);
    }
    look_at_valid_bit(machine, cpu, v, r);
    if (r->vmcs == v->pa && r->fresh && machine->free_running)
        look_at_length(machine, cpu, v, r);
    if (injected(v))
        look_at_type(machine, cpu, v, r);
    if (r->vmcs != v->pa)
        *r = (struct reentry){ .vmcs = v->pa };
    if (!r->fresh) {
        r->injected = (uint32_t)injected(v);
        r->cpu = cpu->index;
        return;
    }
    r->fresh = false;
    look_at_wake(machine, cpu, v, r);
    look_at_cr2(machine, cpu, v, r);
    look_at_rip(v, r);
    look_at_lost(machine, cpu, v, r);
    r->injected = (uint32_t)injected(v);
    r->cpu = cpu->index;
}
