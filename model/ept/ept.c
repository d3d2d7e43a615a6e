/* SPDX-License-Identifier: MIT */
/*
 * The walk of extended page tables with four levels: SDM Vol. 3, 29.3.2, Tables 29-1 to 29-7.
 *
 *    63        52 51      M M-1                      12 11 10  9  8   7   6   5 3  2   1   0
 *   +------------+---------+--------------------------+-----+---+---+---+---+-----+---+---+---+
 *   |  ignored   |reserved |  address of table, page  |ign. | D | A |PS |IPAT|type | X | W | R |
 *   +------------+---------+--------------------------+-----+---+---+---+---+-----+---+---+---+
 */
#include "model/ept/ept.h"

#include "model/model.h"

#define ADDRESS_BITS 0x000ffffffffff000ull
#define CAPABILITY_EXECUTE_ONLY (1ull << 0)     /* of IA32_VMX_EPT_VPID_CAP: A.10 */
#define CAPABILITY_2M (1ull << 16)
#define CAPABILITY_1G (1ull << 17)

enum { EPT_LEVELS = 4 };

_Static_assert(EPT_READ == RIGHT_READ && EPT_WRITE == RIGHT_WRITE && EPT_EXECUTE == RIGHT_EXECUTE, "one numbering");

/* Bytes that one entry of this level maps. */
static uint64_t level_span(unsigned level)
{
    return PAGE_SIZE << 9 * (level - 1);
}

/* 29.3.3.1 "EPT Misconfigurations": a present entry that no access may use. */
static bool misconfigured(const struct model *model, uint64_t entry, unsigned level, bool leaf)
{
    uint64_t capability = model->capability.ept_vpid;
    uint64_t reserved = ADDRESS_BITS & ~((1ull << model->physical_address_width) - 1);
    unsigned type = EPT_MEMORY_TYPE(entry);

    if ((entry & EPT_WRITE) && !(entry & EPT_READ))
        return true;
    if ((entry & EPT_RIGHTS) == EPT_EXECUTE && !(capability & CAPABILITY_EXECUTE_ONLY))
        return true;
    if (!leaf)
        reserved |= 0x78 | (level == EPT_LEVELS ? EPT_LARGE : 0);
    else if (level > 1)
        reserved |= (level_span(level) - 1) & PAGE_MASK;
    if (leaf && level == 3 && !(capability & CAPABILITY_1G))
        reserved |= EPT_LARGE;
    if (leaf && level == 2 && !(capability & CAPABILITY_2M))
        reserved |= EPT_LARGE;
    if (entry & reserved)
        return true;
    return leaf && (type == 2 || type == 3 || type == 7);
}

/* What an access is to EPT: with accessed and dirty flags for EPT, any access to a guest paging-structure entry counts as
 * a write, and so does an update of one without them (29.3.3.2, 29.3.5; Table 28-7, note 1). */
static bool counts_as_write(uint64_t eptp, struct ept_access access)
{
    return access.kind == ACCESS_WRITE || (access.paging_structure && (eptp & EPTP_ACCESSED_DIRTY));
}

/* Table 28-7; `rights` is the AND of the rights of all entries used. */
static struct ept_translation violation(uint64_t eptp, struct ept_access access, uint64_t rights)
{
    uint64_t q = rights << EPT_VIOLATION_RIGHTS_SHIFT;

    if (counts_as_write(eptp, access))
        q |= EPT_VIOLATION_WRITE | (access.paging_structure ? EPT_VIOLATION_READ : 0);
    else
        q |= access.kind == ACCESS_FETCH ? EPT_VIOLATION_FETCH : EPT_VIOLATION_READ;
    if (access.linear_valid)
        q |= EPT_VIOLATION_LINEAR_VALID | (access.paging_structure ? 0 : EPT_VIOLATION_TRANSLATION);
    return (struct ept_translation){ .result = TRANSLATION_EPT_VIOLATION, .qualification = q };
}

/* The entries that one walk used, from the root on. */
struct walk {
    unsigned count;
    struct {
        uint64_t pa, value;
    } step[EPT_LEVELS];
};

/* 29.3.5 "Accessed and Dirty Flags for EPT": every entry used is accessed, the last one dirty if written through. */
static void set_flags(struct memory *memory, struct walk *walk, bool dirty)
{
    for (unsigned i = 0; i < walk->count; i++) {
        uint64_t flags = EPT_ACCESSED | (dirty && i == walk->count - 1 ? EPT_DIRTY : 0);

        if ((walk->step[i].value & flags) == flags)
            continue;
        walk->step[i].value |= flags;
        memory_write64(memory, walk->step[i].pa, walk->step[i].value);
    }
}

struct ept_translation ept_walk(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access)
{
    struct model *model = cpu->model;
    bool write = counts_as_write(eptp, access), flags = eptp & EPTP_ACCESSED_DIRTY, leaf = false;
    uint64_t table = eptp & ADDRESS_BITS, rights = EPT_RIGHTS, need, entry = 0, span = 0;
    struct walk walk = { .count = 0 };

    if (gpa >> 48)
        return violation(eptp, access, 0);
    for (unsigned level = EPT_LEVELS; !leaf; level--) {
        uint64_t pa = table + (gpa / level_span(level) & 0x1ff) * 8;

        entry = memory_read64(&model->memory, pa);
        if (!(entry & EPT_RIGHTS))
            return violation(eptp, access, 0);
        leaf = level == 1 || (level < EPT_LEVELS && (entry & EPT_LARGE));
        if (misconfigured(model, entry, level, leaf))
            return (struct ept_translation){ .result = TRANSLATION_EPT_MISCONFIGURATION };
        rights &= entry;
        walk.step[walk.count].pa = pa;
        walk.step[walk.count++].value = entry;
        table = entry & ADDRESS_BITS;
        span = level_span(level);
    }
    need = access.kind == ACCESS_FETCH ? EPT_EXECUTE : access.kind == ACCESS_READ ? EPT_READ : EPT_WRITE;
    need |= write ? EPT_WRITE : 0;
    if (need & ~rights)
        return violation(eptp, access, rights);
    if (flags && !access.probe)
        set_flags(&model->memory, &walk, write);
    return (struct ept_translation){
        .result = TRANSLATION_OK,
        .pa = (entry & ADDRESS_BITS & ~(span - 1)) | (gpa & (span - 1)),
        .rights = (uint8_t)rights,
        .memory_type = (uint8_t)EPT_MEMORY_TYPE(entry),
        .dirty = !flags || (walk.step[walk.count - 1].value & EPT_DIRTY),
        .page_size = span,
    };
}
