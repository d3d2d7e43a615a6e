/* SPDX-License-Identifier: MIT */
/*
 * The walk of guest paging structures, two-stage with EPT: SDM Vol. 3, 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level and
 * 5-level), 29.3.
 *
 *    63 62    52 51      M M-1             12 11 9 8   7   6   5   4   3   2   1   0
 *   +--+--------+---------+------------------+----+---+---+---+---+---+---+---+---+---+
 *   |XD|ignored |reserved |     address      |ign.| G |PS | D | A |PCD|PWT|U/S|R/W| P |
 *   +--+--------+---------+------------------+----+---+---+---+---+---+---+---+---+---+
 */
#include "model/cpu/walk.h"

#include <stddef.h>
#include <string.h>

#include "model/cpu/execute.h"
#include "model/ept/ept.h"
#include "model/model.h"
#include "model/vmx/apic.h"

#define ENTRY_PRESENT (1ull << 0)
#define ENTRY_WRITABLE (1ull << 1)
#define ENTRY_USER (1ull << 2)
#define ENTRY_ACCESSED (1ull << 5)
#define ENTRY_DIRTY (1ull << 6)
#define ENTRY_LARGE (1ull << 7)
#define ENTRY_GLOBAL (1ull << 8)
#define ENTRY_EXECUTE_DISABLE (1ull << 63)
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define PDPTE_RESERVED 0x1e6ull                 /* PAE: bits 2:1, 8:5 (Table 4-8) */
enum { PSE36_WIDTH = 40 };                      /* 4.3: 4-MByte pages reach 40 bits at most */

/* The shape of the structures of one paging mode; levels count from 1, the page tables. */
struct format {
    unsigned levels;            /* that lie in memory */
    unsigned entry_size;        /* bytes */
    unsigned index_bits;
};
static const struct format format_32bit = { 2, 4, 10 };
static const struct format format_pae = { 2, 8, 9 };    /* the third level is in the PDPTE registers */
static const struct format format_4level = { 4, 8, 9 };
static const struct format format_5level = { 5, 8, 9 };
enum { WIDTH_4LEVEL = 48, WIDTH_5LEVEL = 57 };          /* of linear addresses, in bits */

bool paging_is_pae(const struct cpu *cpu)
{
    return (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !cpu_long_mode(cpu);
}

static const struct format *paging_format(const struct cpu *cpu)
{
    if (cpu_long_mode(cpu))
        return cpu->cr4 & CR4_LA57 ? &format_5level : &format_4level;
    return cpu->cr4 & CR4_PAE ? &format_pae : &format_32bit;
}

static bool sign_extended(uint64_t linear, unsigned width)
{
    return linear >> (width - 1) == 0 || linear >> (width - 1) == ~0ull >> (width - 1);
}

bool linear_canonical(const struct cpu *cpu, uint64_t linear)
{
    return sign_extended(linear, cpu_long_mode(cpu) && (cpu->cr4 & CR4_LA57) ? WIDTH_5LEVEL : WIDTH_4LEVEL);
}

bool register_canonical(const struct cpu *cpu, uint64_t linear)
{
    return sign_extended(linear, cr4_allowed(cpu) & CR4_LA57 ? WIDTH_5LEVEL : WIDTH_4LEVEL);
}

/* Bytes that one entry of this level maps. */
static uint64_t level_span(const struct format *format, unsigned level)
{
    return PAGE_SIZE << format->index_bits * (level - 1);
}

static uint64_t physical_mask(const struct cpu *cpu)
{
    return (1ull << cpu->model->physical_address_width) - 1;
}

/* Reserved bits of a present entry (4.3-4.5, Tables 4-4 to 4-20). */
static uint64_t reserved_bits(const struct cpu *cpu, const struct format *format, unsigned level, bool large)
{
    uint64_t reserved;

    if (format == &format_32bit) {
        unsigned width = cpu->model->physical_address_width;

        width = width < PSE36_WIDTH ? width : PSE36_WIDTH;
        /* Bits 20:13 of a 4-MByte page are address bits 39:32, as far as there are such; bit 21 is reserved. */
        return large ? 0x3fe000ull & ~((1ull << (width - 32 + 13)) - 1) : 0;
    }
    reserved = ENTRY_ADDRESS & ~physical_mask(cpu);
    if (format == &format_pae)
        reserved |= 0x7ffull << 52;
    if (!(CPU_MSR(cpu, ia32_efer) & EFER_NXE))
        reserved |= ENTRY_EXECUTE_DISABLE;
    if (level >= 4)
        reserved |= ENTRY_LARGE;
    if (large)
        reserved |= (level_span(format, level) - 1) & PAGE_MASK & ~(1ull << 12);    /* bit 12 is PAT */
    return reserved;
}

static bool maps_page(const struct cpu *cpu, const struct format *format, unsigned level, uint64_t entry)
{
    if (level == 1)
        return true;
    if (!(entry & ENTRY_LARGE) || level >= 4)
        return false;
    return format != &format_32bit || (cpu->cr4 & CR4_PSE);
}

/* The page frame of a large or small page. */
static uint64_t frame(const struct format *format, unsigned level, uint64_t entry)
{
    if (format == &format_32bit)
        return level == 1 ? entry & 0xfffff000 : (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
    return entry & ENTRY_ADDRESS & ~(level_span(format, level) - 1);
}

static struct translation page_fault(const struct cpu *cpu, struct access access, uint32_t cause)
{
    bool execute_known = ((cpu->cr4 & CR4_PAE) && (CPU_MSR(cpu, ia32_efer) & EFER_NXE)) || (cpu->cr4 & CR4_SMEP);

    return (struct translation){
        .result = TRANSLATION_PAGE_FAULT,
        .error_code = cause | (access.kind == ACCESS_WRITE ? PF_WRITE : 0) | (access.user ? PF_USER : 0) |
                      (access.kind == ACCESS_FETCH && execute_known ? PF_FETCH : 0),
    };
}

static void trail_append(struct trail *trail, const struct ept_steps *steps)
{
    for (unsigned i = 0; i < steps->count && trail->count < TRAIL_STEPS; i++) {
        trail->step[trail->count].pa = steps->step[i].pa;
        trail->step[trail->count++].value = steps->step[i].value;
    }
}

/* ---- the second stage ---- */

/* Who asks for a guest-physical address. */
struct purpose {
    enum access_kind kind;
    bool paging_structure, probe;
    uint64_t linear;
    uint64_t page;              /* EPT_VIOLATION_*_PAGE, once guest paging has been walked */
    struct trail *trail;
};

/* Guest-physical to physical. False: *failure is the translation's end. */
static bool second_stage(struct cpu *cpu, uint64_t gpa, struct purpose purpose, struct ept_translation *out,
                         struct translation *failure)
{
    struct ept_steps steps;
    struct ept_access access = {
        .kind = purpose.kind, .paging_structure = purpose.paging_structure, .linear_valid = true,
        .probe = purpose.probe, .linear = purpose.linear, .page = purpose.page, .steps = purpose.trail ? &steps : NULL,
    };

    if (!cpu->vmx.ept) {
        *out = (struct ept_translation){ .pa = gpa, .rights = EPT_RIGHTS, .dirty = true };
        return true;
    }
    *out = ept_translate(cpu, cpu->vmx.eptp, gpa, access);
    if (out->result == TRANSLATION_OK && purpose.trail)
        trail_append(purpose.trail, &steps);
    if (out->result == TRANSLATION_OK && purpose.paging_structure && apic_access_hits(cpu, out->pa)) {
        *failure = (struct translation){ .result = TRANSLATION_APIC_ACCESS, .gpa = gpa,
                                         .qualification = apic_access_guest_physical(cpu) };   /* 30.4.6.1 */
        return false;
    }
    *failure = (struct translation){ .result = out->result, .gpa = gpa, .qualification = out->qualification,
                                     .convertible = out->convertible };
    return out->result == TRANSLATION_OK;
}

void physical_write(struct cpu *cpu, uint64_t pa, const void *from, unsigned length)
{
    struct memory *memory = &cpu->model->memory;

    if (memory_watched(memory, pa) & WATCH_ACCESSES)
        vmcs_touched(cpu, pa, length, true, cpu->rip);
    memory_write(memory, pa, from, length);
}

/* ---- trails ---- */

/* Where the walk begins: CR3, or with PAE paging the PDPTE register of the address. */
static uint64_t paging_root(const struct cpu *cpu, uint64_t linear)
{
    if (!(cpu->cr0 & CR0_PG))
        return 0;
    return paging_is_pae(cpu) ? cpu->pdpte[linear >> 30 & 3] : cpu->cr3;
}

static void trail_begin(const struct cpu *cpu, uint64_t linear, struct trail *trail)
{
    trail->root = paging_root(cpu, linear);
    trail->eptp = cpu->vmx.ept ? cpu->vmx.eptp : 0;
    trail->cr4 = cpu->cr4;
    trail->efer = CPU_MSR(cpu, ia32_efer);
    trail->seen.stay = 0;
    trail->count = 0;
}

void trail_note(struct trail *trail, const struct memory *memory, uint64_t pa)
{
    if (trail->count == TRAIL_STEPS)
        return;
    pa &= ~7ull;
    trail->step[trail->count].pa = pa;
    trail->step[trail->count++].value = memory_read64(memory, pa);
}

/* Of the steps only those that there are. */
void trail_copy(struct trail *to, const struct trail *from)
{
    memcpy(to, from, offsetof(struct trail, step) + from->count * sizeof(from->step[0]));
}

bool trail_holds(const struct cpu *cpu, uint64_t linear, const struct trail *trail)
{
    const struct memory *memory = &cpu->model->memory;

    if (trail->root != paging_root(cpu, linear) || trail->eptp != (cpu->vmx.ept ? cpu->vmx.eptp : 0) ||
        trail->cr4 != cpu->cr4 || trail->efer != CPU_MSR(cpu, ia32_efer))
        return false;
    for (unsigned i = 0; i < trail->count; i++) {
        if (memory_read64(memory, trail->step[i].pa) != trail->step[i].value)
            return false;
    }
    return true;
}

/* ---- the first stage ---- */

/* One entry on the way. */
struct place {
    uint64_t gpa, pa, value;
    unsigned size;
};

static bool read_entry(struct cpu *cpu, struct place *place, struct purpose purpose, struct translation *failure)
{
    struct ept_translation at;

    if (!second_stage(cpu, place->gpa, purpose, &at, failure))
        return false;
    if (cpu->vmx.ept && !purpose.probe)
        translation_reaches(cpu, purpose.linear, place->gpa, at.pa);
    place->pa = at.pa;
    place->value = place->size == 8 ? memory_read64(&cpu->model->memory, at.pa)
                                    : memory_read32(&cpu->model->memory, at.pa);
    return true;
}

/* Sets accessed and dirty flags (4.8): to EPT this is a write (29.3.3.2). */
static bool set_flags(struct cpu *cpu, struct place *place, uint64_t flags, struct purpose purpose,
                      struct translation *failure)
{
    struct ept_translation at;

    if ((place->value & flags) == flags || purpose.probe)
        return true;
    purpose.kind = ACCESS_WRITE;
    purpose.trail = NULL;
    if (!second_stage(cpu, place->gpa, purpose, &at, failure))
        return false;
    place->value |= flags;
    physical_write(cpu, at.pa, &place->value, place->size);
    return true;
}

/* Walks guest paging; on success `mapping` has its part and the result is the guest-physical address. */
static struct translation first_stage(struct cpu *cpu, uint64_t linear, struct access access, struct mapping *mapping,
                                      struct trail *trail)
{
    const struct format *format = paging_format(cpu);
    struct purpose purpose = { .kind = ACCESS_READ, .paging_structure = true, .probe = access.probe, .linear = linear,
                               .trail = trail };
    struct place place = { .size = format->entry_size };
    struct translation failure;
    uint64_t root = paging_root(cpu, linear), span, flags;
    uint64_t table = format == &format_32bit ? root & 0xfffff000ull : root & ENTRY_ADDRESS & physical_mask(cpu);
    unsigned level = format->levels;

    *mapping = (struct mapping){ .user = true, .writable = true };
    if (format == &format_pae && !(root & ENTRY_PRESENT))
        return page_fault(cpu, access, 0);
    for (;; level--) {
        bool page;

        span = level_span(format, level);
        place.gpa = table + (linear / span & ((1ull << format->index_bits) - 1)) * format->entry_size;
        if (!read_entry(cpu, &place, purpose, &failure))
            return failure;
        if (!(place.value & ENTRY_PRESENT))
            return page_fault(cpu, access, 0);
        page = maps_page(cpu, format, level, place.value);
        if (place.value & reserved_bits(cpu, format, level, page && level > 1))
            return page_fault(cpu, access, PF_PRESENT | PF_RESERVED);
        mapping->user = mapping->user && (place.value & ENTRY_USER);
        mapping->writable = mapping->writable && (place.value & ENTRY_WRITABLE);
        mapping->execute_disable = mapping->execute_disable || (place.value & ENTRY_EXECUTE_DISABLE);
        if (page)
            break;
        if (!set_flags(cpu, &place, ENTRY_ACCESSED, purpose, &failure))
            return failure;
        if (trail)
            trail_note(trail, &cpu->model->memory, place.pa);
        table = format == &format_32bit ? place.value & 0xfffff000 : place.value & ENTRY_ADDRESS;
    }
    if (!(paging_rights(cpu, mapping, access) & access_right(access.kind)))
        return page_fault(cpu, access, PF_PRESENT);
    flags = ENTRY_ACCESSED | (access.kind == ACCESS_WRITE ? ENTRY_DIRTY : 0);
    if (!set_flags(cpu, &place, flags, purpose, &failure))
        return failure;
    if (trail)
        trail_note(trail, &cpu->model->memory, place.pa);
    mapping->global = (place.value & ENTRY_GLOBAL) && (cpu->cr4 & CR4_PGE);
    mapping->dirty = place.value & ENTRY_DIRTY;
    mapping->page_size = span;
    return (struct translation){ .gpa = frame(format, level, place.value) | (linear & (span - 1)) };
}

struct translation paging_walk(struct cpu *cpu, uint64_t linear, struct access access, struct mapping *mapping,
                               struct trail *trail)
{
    struct translation translation = { .gpa = linear };
    struct purpose purpose = { .kind = access.kind, .probe = access.probe, .linear = linear, .trail = trail };
    struct ept_translation at;

    if (trail)
        trail_begin(cpu, linear, trail);
    if (cpu->cr0 & CR0_PG)
        translation = first_stage(cpu, linear, access, mapping, trail);
    else
        *mapping = (struct mapping){ .user = true, .writable = true, .dirty = true, .page_size = PAGE_SIZE };
    if (translation.result != TRANSLATION_OK)
        return translation;
    purpose.page = mapping_page_bits(mapping);
    if (!second_stage(cpu, translation.gpa, purpose, &at, &translation))
        return translation;
    mapping->ept_rights = at.rights;
    mapping->ept_dirty = at.dirty;
    mapping->gpa_page = translation.gpa & PAGE_MASK;
    mapping->pa_page = at.pa & PAGE_MASK;
    return (struct translation){ .pa = at.pa, .gpa = translation.gpa };
}

/* Table 28-7, bits 11:9. With paging off every linear address is a writable user-mode one. */
uint64_t mapping_page_bits(const struct mapping *mapping)
{
    return (mapping->user ? EPT_VIOLATION_USER_PAGE : 0) | (mapping->writable ? EPT_VIOLATION_WRITABLE_PAGE : 0) |
           (mapping->execute_disable ? EPT_VIOLATION_EXECUTE_DISABLE_PAGE : 0);
}

/* ---- rights ---- */

uint8_t access_right(enum access_kind kind)
{
    return kind == ACCESS_READ ? RIGHT_READ : kind == ACCESS_WRITE ? RIGHT_WRITE : RIGHT_EXECUTE;
}

/* 4.6.1 "Determination of Access Rights". */
uint8_t paging_rights(const struct cpu *cpu, const struct mapping *mapping, struct access access)
{
    uint8_t execute = mapping->execute_disable ? 0 : RIGHT_EXECUTE;

    if (!(cpu->cr0 & CR0_PG))
        return RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE;
    if (access.user)
        return mapping->user ? (uint8_t)(RIGHT_READ | (mapping->writable ? RIGHT_WRITE : 0) | execute) : 0;
    if (mapping->user && (cpu->cr4 & CR4_SMEP))
        execute = 0;
    if (mapping->user && (cpu->cr4 & CR4_SMAP) && !access.smap_override)
        return execute;
    return (uint8_t)(RIGHT_READ | (mapping->writable || !(cpu->cr0 & CR0_WP) ? RIGHT_WRITE : 0) | execute);
}

uint8_t mapping_rights(const struct cpu *cpu, const struct mapping *mapping, struct access access)
{
    uint8_t rights = paging_rights(cpu, mapping, access) & mapping->ept_rights;

    return mapping->dirty && mapping->ept_dirty ? rights : (uint8_t)(rights & ~RIGHT_WRITE);
}

/* ---- PDPTE registers ---- */

/*
 * Where a guest's PDPTE is (29.3.1). Loads by MOV to CR are reads, whatever accessed and dirty flags for EPT make of the uses of other
 * paging-structure entries (29.3.3.2, 29.3.5), and guest-physical accesses (30.4.6.1). False: *status says what came of it.
 */
static bool locate_pdpte(struct cpu *cpu, uint64_t gpa, uint64_t *pa, enum status *status)
{
    struct ept_translation at = ept_translate(cpu, cpu->vmx.eptp, gpa, (struct ept_access){ .kind = ACCESS_READ });
    struct translation failure = { .result = at.result, .gpa = gpa, .qualification = at.qualification,
                                   .convertible = at.convertible };

    if (at.result == TRANSLATION_OK && apic_access_hits(cpu, at.pa)) {
        failure.result = TRANSLATION_APIC_ACCESS;
        failure.qualification = apic_access_guest_physical(cpu);
    }
    *pa = at.pa;
    if (failure.result == TRANSLATION_OK)
        return true;
    *status = translation_fault(cpu, 0, &failure, false);
    return false;
}

bool load_pdptes(struct cpu *cpu, uint64_t cr3, enum status *status, uint64_t *bad, uint64_t *value)
{
    uint64_t pdpte[4], table = cr3 & 0xffffffe0, reserved = ~physical_mask(cpu) | PDPTE_RESERVED;

    *status = STATUS_OK;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t gpa = table + i * 8, pa = gpa;

        if (cpu->vmx.ept && !locate_pdpte(cpu, gpa, &pa, status))
            return false;
        pdpte[i] = memory_read64(&cpu->model->memory, pa);
        if ((pdpte[i] & ENTRY_PRESENT) && (pdpte[i] & reserved)) {
            *bad = gpa;
            *value = pdpte[i];
            return false;
        }
    }
    for (unsigned i = 0; i < 4; i++)
        cpu->pdpte[i] = pdpte[i];
    return true;
}
