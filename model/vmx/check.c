/* SPDX-License-Identifier: MIT */
/* Evaluates the table of VM-entry checks: model/vmx/checks.def. */
#include "model/vmx/check.h"

#include <stddef.h>

#include "model/cpu/execute.h"
#include "model/cpu/msr.h"
#include "model/cpu/walk.h"
#include "model/vmx/check_parts.h"
#include "model/vmx/internal.h"

const struct check check_table[] = {
#define CHECK(id, group, section, qualification, text, predicate)                                                   \
    { (id), CHECK_##group, (section), (text), (qualification) },
#include "model/vmx/checks.def"
};
enum { ROWS = sizeof(check_table) / sizeof(check_table[0]) };
const unsigned check_count = ROWS;

struct segment_view {
    uint16_t selector;
    bool usable;
    uint32_t limit, rights;
    uint64_t base;
};

/* What the rows look at. */
struct entry {
    const struct cpu *cpu;
    const struct vmcs *v;
    const struct vmx_capability *c;
    uint32_t pin, proc, proc2, exit, entry;     /* proc2: 0 unless activated */
    bool ept, unrestricted, ia32e, host64, lma, v86;
    uint64_t cr0, cr4, efer_allowed;
    bool inject;
    uint32_t information, type, vector, blocking;
    uint64_t link;
    bool link_readable;                         /* the link pointer is an address at which to look */
    uint32_t link_identifier;
    struct segment_view segment[SEG_COUNT];
    uint64_t pdpte[4];                          /* 0 where PAE paging is not in use */
};

/* Segments are looked at by these parts only, and there are many of them. */
enum { PARTS_OF_SEGMENTS = PART_SEGMENTS | PART_RIP | PART_STATE };

static struct entry entry_of(const struct cpu *cpu, const struct vmcs *v, unsigned parts)
{
    const struct memory *memory = &cpu->model->memory;
    struct entry e = {
        .cpu = cpu, .v = v, .c = &cpu->model->capability,
        .pin = pin_controls(v), .proc = proc_controls(v), .proc2 = proc2_controls(v),
        .exit = exit_controls(v), .entry = entry_controls(v),
        .cr0 = VMCS(v, guest_cr0), .cr4 = VMCS(v, guest_cr4), .efer_allowed = efer_allowed(cpu),
        .lma = cpu_long_mode(cpu), .v86 = VMCS(v, guest_rflags) & RFLAGS_VM,
        .information = (uint32_t)VMCS(v, entry_interruption_information),
        .blocking = (uint32_t)VMCS(v, guest_interruptibility_state), .link = VMCS(v, vmcs_link_pointer),
    };

    e.ept = e.proc2 & PROC2_enable_ept;
    e.unrestricted = e.proc2 & PROC2_unrestricted_guest;
    e.ia32e = e.entry & ENTRY_ia32e_mode_guest;
    e.host64 = e.exit & EXIT_host_address_space_size;
    e.inject = e.information & INTERRUPTION_VALID;
    e.type = INTERRUPTION_TYPE(e.information);
    e.vector = INTERRUPTION_VECTOR(e.information);
    e.link_readable = !(e.link & ~PAGE_MASK) && !(e.link >> cpu->model->physical_address_width);
    if (e.link_readable)
        e.link_identifier = memory_read32(memory, e.link);
    for (unsigned i = 0; i < SEG_COUNT && parts & PARTS_OF_SEGMENTS; i++) {
        uint32_t rights = (uint32_t)v->field[FIELD_guest_es_access_rights + i];

        e.segment[i] = (struct segment_view){
            .selector = (uint16_t)v->field[FIELD_guest_es_selector + i],
            .base = v->field[FIELD_guest_es_base + i],
            .limit = (uint32_t)v->field[FIELD_guest_es_limit + i],
            .rights = rights, .usable = !(rights & AR_UNUSABLE),
        };
    }
    if (pae_paging(e.cr0, e.cr4, e.ia32e ? EFER_LMA : 0))
        for (unsigned i = 0; i < 4; i++)
            e.pdpte[i] = e.ept ? v->field[FIELD_guest_pdpte0 + i]
                               : memory_read64(memory, (VMCS(v, guest_cr3) & 0xffffffe0) + 8 * i);
    return e;
}

/* ---- the words in which the rows are written ---- */

#define F(name) VMCS(e->v, name)
#define SEGMENT(name) (e->segment[SEG_##name])
/* By the width that the processor supports, whatever CR4.LA57 will be. */
#define canonical(linear) register_canonical(e->cpu, (linear))

static bool within(const struct entry *e, uint64_t pa)
{
    return !(pa >> e->cpu->model->physical_address_width);
}

static bool aligned(uint64_t pa)
{
    return !(pa & ~PAGE_MASK);
}

static bool area_aligned(uint64_t address, uint64_t count)
{
    return !count || !(address & 15);
}

static bool area_begins(const struct entry *e, uint64_t address, uint64_t count)
{
    return !count || within(e, address);
}

/* Where the address itself is out of range that is another row's business. */
static bool area_ends(const struct entry *e, uint64_t address, uint64_t count)
{
    return !count || !within(e, address) || within(e, address + 16 * count - 1);
}

bool eptp_memory_type(const struct vmx_capability *c, uint64_t eptp)
{
    unsigned type = EPTP_MEMORY_TYPE(eptp);

    return (type == MEMORY_UC && (c->ept_vpid & CAPABILITY_EPT_UNCACHEABLE)) ||
           (type == MEMORY_WB && (c->ept_vpid & CAPABILITY_EPT_WRITE_BACK));
}

bool eptp_walk_length(const struct vmx_capability *c, uint64_t eptp)
{
    return (EPTP_WALK_LENGTH(eptp) == 4 && capability_ept_vpid(c, EPT_VPID_ept_walk_4)) ||
           (EPTP_WALK_LENGTH(eptp) == 5 && capability_ept_vpid(c, EPT_VPID_ept_walk_5));
}

bool eptp_accessed_dirty(const struct vmx_capability *c, uint64_t eptp)
{
    return !(eptp & EPTP_ACCESSED_DIRTY) || (c->ept_vpid & CAPABILITY_EPT_ACCESSED_DIRTY);
}

bool eptp_reserved(uint64_t eptp)
{
    return !(eptp & 0xf80);
}

bool check_eptp(const struct cpu *cpu, uint64_t eptp)
{
    const struct vmx_capability *c = &cpu->model->capability;

    return eptp_memory_type(c, eptp) && eptp_walk_length(c, eptp) && eptp_accessed_dirty(c, eptp) && eptp_reserved(eptp) &&
           !(eptp >> cpu->model->physical_address_width);
}

/* 27.3.1.4: bits 63:N, for a processor with N linear-address bits. One more than canonical addresses may have. */
static bool bits_above_width_identical(const struct entry *e, uint64_t address)
{
    unsigned width = cr4_allowed(e->cpu) & CR4_LA57 ? 57 : 48;

    return !(address >> width) || address >> width == ~0ull >> width;
}

static bool canonical_by(uint64_t linear, unsigned width)
{
    return !(linear >> (width - 1)) || linear >> (width - 1) == ~0ull >> (width - 1);
}

static bool eptp_switching(const struct entry *e)
{
    return (e->proc2 & PROC2_enable_vm_functions) && (F(vm_function_controls) & 1);
}

static bool tpr_threshold_in_range(const struct entry *e)
{
    uint8_t vtpr = 0xff;

    if (!(e->proc & PROC_use_tpr_shadow) ||
        (e->proc2 & (PROC2_virtualize_apic_accesses | PROC2_virtual_interrupt_delivery)))
        return true;
    memory_read(&e->cpu->model->memory, F(virtual_apic_address) + 0x80, &vtpr, 1);
    return (F(tpr_threshold) & 15) <= vtpr >> 4;
}

static bool injects(const struct entry *e, enum event_type type)
{
    return e->inject && e->type == type;
}

static bool injects_software(const struct entry *e)
{
    return injects(e, EVENT_SOFTWARE_INTERRUPT) || injects(e, EVENT_PRIVILEGED_SOFTWARE_EXCEPTION) ||
           injects(e, EVENT_SOFTWARE_EXCEPTION);
}

/* #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
static bool vector_has_error_code(uint32_t vector)
{
    return vector < 32 && (0x27d00u >> vector & 1);
}

/* Outside virtual-8086 mode, are the access rights of this segment looked at?  CS's always are. */
static bool checked(const struct entry *e, enum segment_register segment)
{
    return !e->v86 && (segment == SEG_CS || e->segment[segment].usable);
}

static bool cs_type_valid(const struct entry *e)
{
    unsigned type = AR_TYPE(SEGMENT(CS).rights);

    return (type & 9) == 9 || (e->unrestricted && type == 3);
}

static bool limit_low_ok(const struct segment_view *segment)
{
    return (segment->limit & 0xfff) == 0xfff || !(segment->rights & AR_G);
}

static bool limit_high_ok(const struct segment_view *segment)
{
    return !(segment->limit >> 20) || (segment->rights & AR_G);
}

static bool wakes_shutdown(const struct entry *e)
{
    return e->type == EVENT_NMI || (e->type == EVENT_HARDWARE_EXCEPTION && e->vector == VECTOR_MC);
}

static bool wakes_hlt(const struct entry *e)
{
    return wakes_shutdown(e) || e->type == EVENT_EXTERNAL_INTERRUPT ||
           (e->type == EVENT_HARDWARE_EXCEPTION && e->vector == VECTOR_DB) ||
           (e->type == EVENT_OTHER && e->vector == 0);
}

static bool single_step_decided(const struct entry *e)
{
    return (e->blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) || F(guest_activity_state) == ACTIVITY_HLT;
}

static bool single_stepping(const struct entry *e)
{
    return (F(guest_rflags) & RFLAGS_TF) && !(F(guest_ia32_debugctl) & DEBUGCTL_BTF);
}

/* Bits 2:1, 8:5 and all from the physical-address width up are reserved (4.4.1). */
static bool pdpte_valid(const struct entry *e, unsigned number)
{
    uint64_t pdpte = e->pdpte[number];

    return !(pdpte & 1) || (!(pdpte & 0x1e6) && within(e, pdpte));
}

/* Evaluates the rows of these parts; the others are taken to hold. Returns whether all do. */
static bool evaluate(const struct entry *e, unsigned parts, bool holds[])
{
    unsigned row = 0;
    bool all = true;

#define CHECK(id, group, section, qualification, text, predicate)                                                   \
    all &= holds[row++] = !(parts & check_part_of((id), (section))) || (predicate);
#include "model/vmx/checks.def"
    return all;
}

/* ---- the outcome ---- */

struct check_outcome check_entry(struct cpu *cpu, struct vmcs *vmcs)
{
    const unsigned parts = check_parts_due(cpu, vmcs);
    const struct entry e = entry_of(cpu, vmcs, parts);
    struct check_outcome outcome = { .failed = false };
    bool holds[ROWS];

    if (evaluate(&e, parts, holds)) {
        check_parts_passed(cpu, vmcs, parts);
        return outcome;
    }
    for (unsigned i = 0; i < ROWS; i++) {
        const struct check *check = &check_table[i];
        struct notice notice = { .kind = NOTICE_CHECK_FAILED, .cpu = cpu, .a = vmcs->pa, .check = check };

        if (holds[i])
            continue;
        if (!outcome.failed || check->group < outcome.group) {
            outcome.failed = true;
            outcome.group = check->group;
            outcome.qualification = check->qualification;
            outcome.first = check;
        }
        outcome.failures++;
        if (cpu->model->observer.notify)
            cpu->model->observer.notify(cpu->model->observer.context, &notice);
    }
    return outcome;
}

void check_rows(struct cpu *cpu, const struct vmcs *vmcs, bool holds[])
{
    check_rows_of(cpu, vmcs, PARTS_ALL, holds);
}

void check_rows_of(struct cpu *cpu, const struct vmcs *vmcs, unsigned parts, bool holds[])
{
    const struct entry e = entry_of(cpu, vmcs, parts);

    evaluate(&e, parts, holds);
}

bool check_holds(struct cpu *cpu, const struct vmcs *vmcs, unsigned index)
{
    bool holds[ROWS];

    check_rows(cpu, vmcs, holds);
    return holds[index];
}
