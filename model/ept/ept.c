/* SPDX-License-Identifier: MIT */
/*
 * The walk of extended page tables with four or five levels: SDM Vol. 3, 29.3.2, Tables 29-1 to 29-7.
 *
 *    63 62     52 51      M M-1                      12 11 10  9  8   7   6   5 3  2   1   0
 *   +---+--------+---------+--------------------------+--+---+---+---+---+-----+----+---+---+---+
 *   |SVE|ignored |reserved |  address of table, page  |ig| XU| D | A |PS |IPAT |type| X | W | R |
 *   +---+--------+---------+--------------------------+--+---+---+---+---+-----+----+---+---+---+
 */
#include "model/ept/ept.h"

#include "model/cpu/raise.h"
#include "model/model.h"

#define ADDRESS_BITS 0x000ffffffffff000ull
#define TABLE_RESERVED 0x78ull                  /* of an entry that refers to a table */
#define CAPABILITY_EXECUTE_ONLY (1ull << 0)     /* of IA32_VMX_EPT_VPID_CAP: A.10 */
#define CAPABILITY_2M (1ull << 16)
#define CAPABILITY_1G (1ull << 17)

enum { PML_ENTRIES = 512 };

_Static_assert(EPT_READ == RIGHT_READ && EPT_WRITE == RIGHT_WRITE && EPT_EXECUTE == RIGHT_EXECUTE, "one numbering");

/* Bytes that one entry of this level maps. */
static uint64_t level_span(unsigned level)
{
    return PAGE_SIZE << 9 * (level - 1);
}

/* What one walk is about. */
struct walk {
    struct cpu *cpu;
    struct ept_access access;
    bool flags;                 /* accessed and dirty flags are in use */
    bool write;                 /* what the access counts as: see below */
    uint64_t present, rights;   /* the bits that give rights; those that all entries so far have in common */
    struct ept_steps used;
};

/*
 * With accessed and dirty flags for EPT, any access to a guest paging-structure entry counts as a write, and so does an
 * update of one without them (29.3.3.2, 29.3.5; Table 28-7, note 1).
 */
bool ept_counts_as_write(uint64_t eptp, struct ept_access access)
{
    return access.kind == ACCESS_WRITE || (access.paging_structure && (eptp & EPTP_ACCESSED_DIRTY));
}

unsigned ept_levels(uint64_t eptp)
{
    return EPTP_WALK_LENGTH(eptp) == EPT_LEVELS_MAX ? EPT_LEVELS_MAX : EPT_LEVELS_MAX - 1;
}

uint64_t ept_right_bits(const struct cpu *cpu)
{
    return EPT_RIGHTS | (cpu_proc2_controls(cpu) & PROC2_mode_based_execute_control ? EPT_USER_EXECUTE : 0);
}

static struct walk begin(struct cpu *cpu, uint64_t eptp, struct ept_access access)
{
    uint64_t present = ept_right_bits(cpu);

    return (struct walk){
        .cpu = cpu, .access = access, .flags = eptp & EPTP_ACCESSED_DIRTY,
        .write = ept_counts_as_write(eptp, access), .present = present, .rights = access.from ? access.from->rights : present,
    };
}

enum ept_flaw ept_entry_flaw(const struct model *model, uint64_t entry, unsigned level, bool leaf)
{
    uint64_t capability = model->capability.ept_vpid;
    unsigned type = EPT_MEMORY_TYPE(entry);

    if ((entry & EPT_WRITE) && !(entry & EPT_READ))
        return EPT_FLAW_write_only;
    if (!(entry & EPT_READ) && !(capability & CAPABILITY_EXECUTE_ONLY))
        return EPT_FLAW_execute_only;
    if (entry & ADDRESS_BITS & ~((1ull << model->physical_address_width) - 1))
        return EPT_FLAW_address_width;
    if (!leaf && (entry & TABLE_RESERVED))
        return EPT_FLAW_table_reserved;
    if (!leaf && level > 3 && (entry & EPT_LARGE))
        return EPT_FLAW_large_at_top;
    if (leaf && level > 1 && (entry & (level_span(level) - 1) & PAGE_MASK))
        return EPT_FLAW_large_unaligned;
    if (leaf && level == 3 && !(capability & CAPABILITY_1G))
        return EPT_FLAW_no_1g;
    if (leaf && level == 2 && !(capability & CAPABILITY_2M))
        return EPT_FLAW_no_2m;
    return leaf && (type == 2 || type == 3 || type == 7) ? EPT_FLAW_memory_type : EPT_SOUND;
}

/* Table 28-7. `rights`: of all entries used, or 0 where one is not present. `last`: the entry that is not present, or the
 * one that maps the page; its bit 63 keeps the violation from becoming a #VE (26.5.7.1). */
static struct ept_translation violation(const struct walk *walk, uint64_t rights, uint64_t last)
{
    struct ept_access access = walk->access;
    uint64_t q = (rights & EPT_RIGHTS) << EPT_VIOLATION_RIGHTS_SHIFT;

    if (rights & EPT_USER_EXECUTE)
        q |= EPT_VIOLATION_USER_EXECUTE;
    if (walk->write)
        q |= EPT_VIOLATION_WRITE | (access.paging_structure ? EPT_VIOLATION_READ : 0);
    else
        q |= access.kind == ACCESS_FETCH ? EPT_VIOLATION_FETCH : EPT_VIOLATION_READ;
    if (access.linear_valid)
        q |= EPT_VIOLATION_LINEAR_VALID | (access.paging_structure ? 0 : EPT_VIOLATION_TRANSLATION);
    if ((q & EPT_VIOLATION_TRANSLATION) && (walk->cpu->model->capability.ept_vpid & CAPABILITY_EPT_EXIT_INFORMATION))
        q |= access.page;
    return (struct ept_translation){
        .result = TRANSLATION_EPT_VIOLATION, .qualification = q, .convertible = !(last & EPT_SUPPRESS_VE),
    };
}

/* User-mode linear addresses may have a right of their own, bit 10. */
uint8_t ept_access_rights(const struct cpu *cpu, uint64_t bits, struct ept_access access)
{
    uint64_t rights = bits & EPT_RIGHTS;

    if ((access.page & EPT_VIOLATION_USER_PAGE) && (ept_right_bits(cpu) & EPT_USER_EXECUTE))
        rights = (rights & ~EPT_EXECUTE) | (bits & EPT_USER_EXECUTE ? EPT_EXECUTE : 0);
    return (uint8_t)rights;
}

/* 29.3.6 "Page-Modification Logging". */
static void log_write(struct cpu *cpu, uint64_t gpa)
{
    struct vmcs *v = cpu->vmx.current;
    uint64_t page = gpa & PAGE_MASK;

    physical_write(cpu, VMCS(v, pml_address) + 8 * VMCS(v, pml_index), &page, sizeof(page));
    VMCS(v, pml_index) = (uint16_t)(VMCS(v, pml_index) - 1);
}

/*
 * 29.3.5 "Accessed and Dirty Flags for EPT": every entry used is accessed, the last one dirty if written through. False:
 * one would have to be set, and the page-modification log is full; then none is set.
 */
static bool set_flags(struct walk *walk, uint64_t gpa)
{
    struct cpu *cpu = walk->cpu;
    struct ept_steps *used = &walk->used;
    bool logging = cpu_proc2_controls(cpu) & PROC2_enable_pml;
    uint64_t missing[EPT_LEVELS_MAX], any = 0;

    for (unsigned i = 0; i < used->count; i++) {
        uint64_t flags = EPT_ACCESSED | (walk->write && i == used->count - 1 ? EPT_DIRTY : 0);

        missing[i] = flags & ~used->step[i].value;
        any |= missing[i];
    }
    if (any && logging && VMCS(cpu->vmx.current, pml_index) >= PML_ENTRIES)
        return false;
    for (unsigned i = 0; any && i < used->count; i++) {
        used->step[i].value |= missing[i];
        if (missing[i])
            physical_write(cpu, used->step[i].pa, &used->step[i].value, sizeof(used->step[i].value));
    }
    if ((any & EPT_DIRTY) && logging)
        log_write(cpu, gpa);
    return true;
}

struct ept_translation ept_walk(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access)
{
    struct walk walk = begin(cpu, eptp, access);
    uint64_t table = access.from ? access.from->pa : eptp & ADDRESS_BITS, need, entry = 0, span = 0;
    unsigned levels = ept_levels(eptp);
    bool leaf = false;
    uint8_t rights;

    if (gpa >> (12 + 9 * levels))
        return violation(&walk, 0, EPT_SUPPRESS_VE);
    for (unsigned level = access.from ? access.from->level : levels; !leaf; level--) {
        uint64_t pa = table + (gpa / level_span(level) & 0x1ff) * 8;

        entry = memory_read64(&cpu->model->memory, pa);
        if (!(entry & walk.present))
            return violation(&walk, 0, entry);
        leaf = level == 1 || (level <= 3 && (entry & EPT_LARGE));
        if (ept_entry_flaw(cpu->model, entry, level, leaf))
            return (struct ept_translation){ .result = TRANSLATION_EPT_MISCONFIGURATION };
        walk.rights &= entry;
        walk.used.step[walk.used.count].pa = pa;
        walk.used.step[walk.used.count++].value = entry;
        table = entry & ADDRESS_BITS;
        span = level_span(level);
    }
    need = access.kind == ACCESS_FETCH ? EPT_EXECUTE : access.kind == ACCESS_READ ? EPT_READ : EPT_WRITE;
    need |= walk.write ? EPT_WRITE : 0;
    rights = ept_access_rights(cpu, walk.rights, access);
    if (need & ~rights)
        return violation(&walk, walk.rights, entry);
    if (walk.flags && !access.probe && !set_flags(&walk, gpa))
        return (struct ept_translation){ .result = TRANSLATION_PML_FULL };
    if (access.steps)
        *access.steps = walk.used;
    return (struct ept_translation){
        .result = TRANSLATION_OK,
        .pa = (entry & ADDRESS_BITS & ~(span - 1)) | (gpa & (span - 1)),
        .rights = rights,
        .memory_type = (uint8_t)EPT_MEMORY_TYPE(entry),
        .dirty = !walk.flags || (walk.used.step[walk.used.count - 1].value & EPT_DIRTY),
        .page_size = span,
        .right_bits = walk.rights,
    };
}
