/* SPDX-License-Identifier: MIT */
/* The walk of the paging structures behind a page fault: SDM Vol. 3, 4.3 (32-bit), 4.4 (PAE), 4.5 (4 and 5 levels). */
#include "emu/explain/page_walk.h"

#include <inttypes.h>

#include "emu/explain/explain.h"
#include "emu/explain/written.h"
#include "emu/machine/parts.h"
#include "model/ept/ept.h"
#include "model/model.h"
#include "model/vmx/vmx.h"

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

/* Reserved bits that are set, as far as all processors have them (4.3 to 4.5): above the physical-address width, bit 7 at the top, the offset of a
 * large page; XD without IA32_EFER.NXE. */
static uint64_t reserved(const struct cpu *cpu, const struct shape *shape, unsigned level, uint64_t entry, bool leaf)
{
    uint64_t bits = 0;

    if (shape->entry_size < 8)
        return 0;
    bits |= ADDRESS_BITS & ~((1ull << cpu->model->physical_address_width) - 1);
    bits |= CPU_MSR(cpu, ia32_efer) & EFER_NXE ? 0 : ENTRY_EXECUTE_DISABLE;
    bits |= level > 3 ? ENTRY_LARGE : 0;
    bits |= leaf && level == 3 ? 0x3fffe000 : leaf && level == 2 ? 0x1fe000 : 0;
    if (!cpu_long_mode(cpu) && level == 3)
        bits |= 0x1e6 | 0xfff0000000000000;
    return entry & bits;
}

/* Without these rights the access is forbidden by CR4, for no entry's fault alone: 4.6.1. */
static const char *forbids(const struct cpu *cpu, uint32_t error)
{
    if (error & PF_USER || !(error & PF_PRESENT) || error & PF_RESERVED)
        return NULL;
    if (error & PF_FETCH)
        return cpu->cr4 & CR4_SMEP ? "it is a user-mode page (U/S, bit 2, is 1 in each entry), and CR4.SMEP (bit 20) is 1: supervisor code does not execute it"
                                   : NULL;
    return cpu->cr4 & CR4_SMAP ? "it is a user-mode page (U/S, bit 2, is 1 in each entry), CR4.SMAP (bit 21) is 1 and RFLAGS.AC 0: supervisor code does not access it"
                               : NULL;
}

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

/* What is wrong at the top may be wrong with CR3, if that is what the hypervisor has given the guest. */
static void tell_root(struct explanation *e, const struct cpu *cpu)
{
    const struct vmcs *v = written_guest(e->machine, cpu);

    if (v && VMCS(v, guest_cr3) == cpu->cr3)
        written_tell(e, v, FIELD_guest_cr3);
}

/* What a reserved bit is mostly about. */
static const char *why_reserved(const struct cpu *cpu, unsigned level, uint64_t wrong)
{
    if (wrong & ENTRY_EXECUTE_DISABLE && !(CPU_MSR(cpu, ia32_efer) & EFER_NXE))
        return "; bit 63 needs IA32_EFER.NXE";
    if (level > 3)
        return wrong & ENTRY_LARGE ? "; bit 7 (PS) is for PDEs and PDPTEs: no page is that large" : "";
    return level == 2 && wrong & 0x1fe000   ? "; bit 7 (PS) makes it map a page of 2 MBytes, whose address has bits 20:13 0: if a table is meant, bit 7 is 0"
           : level == 3 && wrong & 0x3fffe000 ? "; bit 7 (PS) makes it map a page of 1 GByte, whose address has bits 29:13 0: if a table is meant, bit 7 is 0"
                                              : "";
}

/* Where a page table was to be is the very memory that is to be mapped: 0, or the level whose bit 7 is forgotten. */
static unsigned large_page_forgotten(const struct shape *shape, unsigned level, uint64_t above, uint64_t linear)
{
    unsigned shift = 12 + shape->index_bits * level;

    if ((level != 1 && level != 2) || level == shape->levels || (level == 2 && shape->levels < 4) || !(above & ENTRY_PRESENT))
        return 0;
    return ((above & (shape->entry_size == 8 ? ADDRESS_BITS : 0xfffff000)) ^ linear) >> shift ? 0 : (above & ADDRESS_BITS & ((1ull << shift) - 1)) ? 0 : level + 1;
}

static void tell_forgotten(struct explanation *e, const struct shape *shape, unsigned level, uint64_t above, uint64_t linear)
{
    unsigned of = large_page_forgotten(shape, level, above, linear);

    if (of)
        explain_line(e, "the %s above it, 0x%" PRIx64 ", has bit 7 (PS) 0, so that its address is that of a %s table; it is also where 0x%" PRIx64
                        " itself would be mapped one to one: if a large page is meant, bit 7 is 1", entry_name[of], above, level == 1 ? "page" : "page-directory", linear);
}

bool page_walk_tell(struct explanation *e, struct cpu *cpu, uint64_t linear, uint32_t error)
{
    struct shape shape = shape_of(cpu);
    uint64_t table = shape.root, above = 0;
    bool user = true;

    if (!(cpu->cr0 & CR0_PG))
        return false;
    for (unsigned level = shape.levels; level; level--) {
        unsigned shift = 12 + shape.index_bits * (level - 1);
        uint64_t index = linear >> shift & ((1ull << shape.index_bits) - 1), at = table + index * shape.entry_size, entry;
        bool leaf;

        if (!read_entry(cpu, at, shape.entry_size, &entry)) {
            explain_line(e, "%s of 0x%" PRIx64 " at 0x%" PRIx64 " cannot be read: there is no memory (CR3 0x%" PRIx64 ")", entry_name[level], linear,
                         at, cpu->cr3);
            if (level == shape.levels)
                tell_root(e, cpu);
            return false;
        }
        const char *why = lacks(cpu, &shape, level, entry, error);
        leaf = level == 1 || ((entry & ENTRY_LARGE) && (level == 2 || (level == 3 && shape.levels > 3)));
        uint64_t wrong = error & PF_RESERVED ? reserved(cpu, &shape, level, entry, leaf) : 0;
        if (wrong) {
            explain_line(e, "%s of 0x%" PRIx64 " at 0x%" PRIx64 " = 0x%" PRIx64 ": reserved bits are set, 0x%" PRIx64 "%s (CR3 0x%" PRIx64 ")", entry_name[level], linear,
                         at, entry, wrong, why_reserved(cpu, level, wrong), cpu->cr3);
            tell_forgotten(e, &shape, level, above, linear);
            return wrong & ENTRY_EXECUTE_DISABLE;
        }
        if (why || (leaf && (error & PF_RESERVED))) {
            explain_line(e, "%s of 0x%" PRIx64 " at 0x%" PRIx64 " = 0x%" PRIx64 ": %s (CR3 0x%" PRIx64 ")", entry_name[level], linear, at, entry,
                         why ? why : "a reserved bit is set in it or above it", cpu->cr3);
            tell_forgotten(e, &shape, level, above, linear);
            if (level == shape.levels && !(entry & ENTRY_PRESENT))
                tell_root(e, cpu);
            return false;
        }
        user &= (entry & ENTRY_USER) || (!cpu_long_mode(cpu) && shape.levels == 3 && level == 3);
        if (leaf && user && forbids(cpu, error))
            explain_line(e, "%s of 0x%" PRIx64 " at 0x%" PRIx64 " = 0x%" PRIx64 ": %s (CR3 0x%" PRIx64 ")", entry_name[level], linear, at, entry, forbids(cpu, error),
                         cpu->cr3);
        if (leaf)
            return false;
        above = entry;
        table = shape.entry_size == 8 ? entry & ADDRESS_BITS : entry & 0xfffff000;
    }
    return false;
}
