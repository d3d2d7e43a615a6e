/* SPDX-License-Identifier: MIT */
/* The walk of the paging structures behind a page fault: SDM Vol. 3, 4.3 (32-bit), 4.4 (PAE), 4.5 (4 and 5 levels). */
#include "emu/explain/page_walk.h"

#include <inttypes.h>

#include "emu/explain/explain.h"
#include "model/ept/ept.h"
#include "model/model.h"

#define ADDRESS_BITS 0x000ffffffffff000ull
#define ENTRY_PRESENT 1ull
#define ENTRY_WRITABLE 2ull
#define ENTRY_USER 4ull
#define ENTRY_LARGE 0x80ull
#define ENTRY_EXECUTE_DISABLE (1ull << 63)

enum { WIDE = 9, NARROW = 10 };         /* bits of an index */

/* Where the walk begins, and how it goes. */
struct shape {
    uint64_t root;
    unsigned levels, index_bits, entry_size;
};

static struct shape shape_of(const struct cpu *cpu)
{
    if (cpu_long_mode(cpu))
        return (struct shape){ cpu->cr3 & ADDRESS_BITS, cpu->cr4 & CR4_LA57 ? 5 : 4, WIDE, 8 };
    if (cpu->cr4 & CR4_PAE)
        return (struct shape){ cpu->cr3 & 0xffffffe0, 3, WIDE, 8 };
    return (struct shape){ cpu->cr3 & 0xfffff000, 2, NARROW, 4 };
}

/* An entry at a guest-physical address. False: EPT or the machine has nothing there. */
static bool read_entry(struct cpu *cpu, uint64_t gpa, unsigned size, uint64_t *entry)
{
    uint64_t pa = gpa;

    *entry = 0;
    if (cpu->vmx.ept) {
        struct ept_translation t = ept_walk(cpu, cpu->vmx.eptp, gpa, (struct ept_access){ .kind = ACCESS_READ, .probe = true });
        if (t.result != TRANSLATION_OK)
            return false;
        pa = t.pa;
    }
    return memory_read(&cpu->model->memory, pa, entry, size);
}

static const char *const entry_name[] = { "", "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

/* What the access lacks in this entry, or NULL. PDPTEs of PAE paging have no rights. */
static const char *lacks(const struct cpu *cpu, const struct shape *shape, unsigned level, uint64_t entry, uint32_t error)
{
    if (!(entry & ENTRY_PRESENT))
        return "not present (bit 0 is 0)";
    if (!cpu_long_mode(cpu) && shape->levels == level && level == 3)
        return NULL;
    if ((error & PF_USER) && !(entry & ENTRY_USER))
        return "not for user mode (bit 2 is 0)";
    if ((error & PF_WRITE) && !(entry & ENTRY_WRITABLE))
        return "not writable (bit 1 is 0)";
    if ((error & PF_FETCH) && (error & PF_PRESENT) && shape->entry_size == 8 && (entry & ENTRY_EXECUTE_DISABLE))
        return "not executable (bit 63 is 1)";
    return NULL;
}

void page_walk_tell(struct explanation *e, struct cpu *cpu, uint64_t linear, uint32_t error)
{
    struct shape shape = shape_of(cpu);
    uint64_t table = shape.root;

    if (!(cpu->cr0 & CR0_PG))
        return;
    for (unsigned level = shape.levels; level; level--) {
        unsigned shift = 12 + shape.index_bits * (level - 1);
        uint64_t index = linear >> shift & ((1ull << shape.index_bits) - 1), at = table + index * shape.entry_size, entry;
        bool leaf;

        if (!read_entry(cpu, at, shape.entry_size, &entry)) {
            explain_line(e, "%s of 0x%" PRIx64 " at 0x%" PRIx64 " cannot be read: there is no memory (CR3 0x%" PRIx64 ")", entry_name[level], linear,
                         at, cpu->cr3);
            return;
        }
        const char *why = lacks(cpu, &shape, level, entry, error);
        leaf = level == 1 || ((entry & ENTRY_LARGE) && (level == 2 || (level == 3 && shape.levels > 3)));
        if (why || (leaf && (error & PF_RESERVED))) {
            explain_line(e, "%s of 0x%" PRIx64 " at 0x%" PRIx64 " = 0x%" PRIx64 ": %s (CR3 0x%" PRIx64 ")", entry_name[level], linear, at, entry,
                         why ? why : "a reserved bit is set in it or above it", cpu->cr3);
            return;
        }
        if (leaf)
            return;
        table = shape.entry_size == 8 ? entry & ADDRESS_BITS : entry & 0xfffff000;
    }
}
