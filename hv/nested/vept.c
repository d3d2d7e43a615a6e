/* SPDX-License-Identifier: MIT */
/*
 * Shadow EPTs. A shadow maps L2-physical addresses to physical ones with the rights of L1's EPT (EPT12), for memory
 * that L1 may reach. It is filled in 4-KByte pages when L2 touches them, and is to L1 what the processor's own cache
 * of guest- physical mappings is: L1's changes count after INVEPT at the latest, and a violation walks EPT12 anew. SDM
 * Vol. 3, 29.3.
 */
#include "hv/core.h"

enum { EPT_ENTRY_RESERVED_TYPES = 1 << 2 | 1 << 3 | 1 << 7 };   /* memory types that do not exist */

enum walk_result { WALK_OK, WALK_VIOLATION, WALK_MISCONFIGURATION };
struct ept_walk {
    enum walk_result result;
    uint64_t address;                   /* L1-physical */
    uint64_t rights;                    /* of all levels that were reached, ANDed */
    uint64_t memory_type;               /* bits 6:3 of the leaf, in place */
};

/* SDM Vol. 3, 29.3.3.1. */
static bool misconfigured(const struct hv_machine *m, uint64_t entry, unsigned level, bool leaf)
{
    const uint64_t rights = entry & EPT_RIGHTS, beyond = EPT_ADDRESS & ~((1ull << m->physical_address_width) - 1);
    uint64_t reserved = beyond;

    if (level == 4)
        reserved |= 0xf8;
    else if (!leaf)
        reserved |= 0x78;
    else
        reserved |= (EPT_SPAN(level) - 1) & ~PAGE_OFFSET;
    if (rights == EPT_WRITE || rights == (EPT_WRITE | EPT_EXECUTE))
        return true;
    if (rights == EPT_EXECUTE && !(m->offered.ept_vpid & EPT_CAP_EXECUTE_ONLY))
        return true;
    return entry & reserved || (leaf && EPT_ENTRY_RESERVED_TYPES >> EPT_MEMORY_TYPE(entry) & 1);
}

static bool maps_page(const struct hv_machine *m, uint64_t entry, unsigned level)
{
    const uint64_t capability = level == 2 ? EPT_CAP_2M : EPT_CAP_1G;

    return level == 1 || (level < 4 && entry & EPT_LARGE && m->offered.ept_vpid & capability);
}

/* Walks EPT12, each entry read once. Tables outside L1's memory read as ones: misconfigured. */
static struct ept_walk walk(const struct hv_machine *m, uint64_t eptp, uint64_t gpa)
{
    uint64_t table = eptp & EPT_ADDRESS, rights = EPT_RIGHTS;

    if (gpa >> EPT_ADDRESS_BITS)
        return (struct ept_walk){ .result = WALK_VIOLATION };
    for (unsigned level = EPT_LEVELS;; level--) {
        const uint64_t entry = l1_read64(m, table + 8 * EPT_ENTRY_INDEX(gpa, level));
        const bool leaf = maps_page(m, entry, level);
        if (!(entry & EPT_RIGHTS))
            return (struct ept_walk){ .result = WALK_VIOLATION };
        /* Bit 7 of an entry that cannot map a page is reserved, so the loop ends at level 1. */
        if (misconfigured(m, entry, level, leaf) || (!leaf && entry & EPT_LARGE))
            return (struct ept_walk){ .result = WALK_MISCONFIGURATION };
        rights &= entry;
        if (leaf)
            return (struct ept_walk){
                .result = WALK_OK, .rights = rights, .memory_type = entry & (7 << 3 | EPT_IGNORE_PAT),
                .address = (entry & EPT_ADDRESS & ~(EPT_SPAN(level) - 1)) | (gpa & (EPT_SPAN(level) - 1)),
            };
        table = entry & EPT_ADDRESS;
    }
}

/* ---- the shadows ---- */

static unsigned pages_used(const struct vept *vept)
{
    unsigned pages = 0;

    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        pages += vept->root[i].ept.pages;
    return pages;
}

/* Half the pool, shared by the processors, is for shadows. */
static unsigned budget(const struct hv_machine *m)
{
    return (unsigned)(m->pool.size / PAGE_SIZE / 2 / hal_cpu_count());
}

static void drop(struct vept *vept, unsigned i)
{
    if (!vept->root[i].ept.root.value)
        return;
    if (hal_invept(INVEPT_SINGLE, ept_pointer(&vept->root[i].ept)) != HAL_OK)
        hal_fail_stop("an INVEPT of L0 failed");
    ept_destroy(&vept->root[i].ept);
}

void vept_drop(struct hv_cpu *cpu, uint64_t eptp12)
{
    struct vept *vept = &cpu->nested.vept;

    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        if (vept->root[i].ept.root.value && vept->root[i].root12 == (eptp12 & EPT_ADDRESS))
            drop(vept, i);
}

void vept_drop_all(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        drop(&cpu->nested.vept, i);
}

/* The shadow for EPT12's root; a new one takes the place of the oldest. */
static struct ept *shadow_of(struct hv_cpu *cpu, uint64_t eptp12)
{
    struct vept *vept = &cpu->nested.vept;
    unsigned slot = vept->next;

    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        if (vept->root[i].ept.root.value && vept->root[i].root12 == (eptp12 & EPT_ADDRESS))
            return &vept->root[i].ept;
    drop(vept, slot);
    if (pages_used(vept) >= budget(cpu->machine))
        vept_drop_all(cpu);
    if (!ept_create(&vept->root[slot].ept, 0))
        hal_fail_stop("the pool is too small for a shadow EPT");
    vept->root[slot].root12 = eptp12 & EPT_ADDRESS;
    vept->next = (slot + 1) % VEPT_ROOTS;
    return &vept->root[slot].ept;
}

uint64_t vept_pointer(struct hv_cpu *cpu, uint64_t eptp12)
{
    return ept_pointer(shadow_of(cpu, eptp12));
}

static bool map(struct hv_cpu *cpu, uint64_t gpa, uint64_t leaf)
{
    struct vept *vept = &cpu->nested.vept;
    struct ept *ept = shadow_of(cpu, VMCS12(cpu, ept_pointer));
    const unsigned used = pages_used(vept), most = budget(cpu->machine);

    ept->limit = ept->pages + (most > used ? most - used : 0);
    return ept_map(ept, gpa, 1, leaf);
}

/* Maps one page; when the budget is spent, all shadows are emptied and filled anew as L2 goes on. */
static void fill(struct hv_cpu *cpu, uint64_t gpa, uint64_t leaf)
{
    if (!map(cpu, gpa, leaf)) {
        vept_drop_all(cpu);
        if (!map(cpu, gpa, leaf))
            hal_fail_stop("the pool is too small for a shadow EPT");
    }
    vmcs02_keep(cpu, KEPT_EPTP, VMCS_ept_pointer, vept_pointer(cpu, VMCS12(cpu, ept_pointer)));
}

/* SDM Vol. 3, 28.2.1, Table 28-7: bits 5:3 tell the rights of EPT12; advanced information is not offered. */
static void reflect_violation(struct hv_cpu *cpu, uint64_t rights)
{
    const uint64_t kept = 7 | EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATION | EPT_VIOLATION_NMI_UNBLOCKING;

    cpu->exit.qualification = (cpu->exit.qualification & kept) | rights << EPT_VIOLATION_RIGHTS_SHIFT;
    reflect(cpu);
}

void vept_violation(struct hv_cpu *cpu)
{
    const struct hv_machine *m = cpu->machine;
    const uint64_t gpa = cpu->exit.guest_physical;
    const struct ept_walk w = walk(m, VMCS12(cpu, ept_pointer), gpa);
    const uint64_t access = cpu->exit.qualification & 7, page = w.address & ~PAGE_OFFSET;
    bool device;

    if (w.result == WALK_MISCONFIGURATION) {
        cpu->exit.reason = EXIT_REASON_ept_misconfiguration;
        cpu->exit.qualification = 0;
        reflect(cpu);
        return;
    }
    if (w.result == WALK_VIOLATION || access & ~w.rights) {
        reflect_violation(cpu, w.rights);
        return;
    }
    device = !l1_owns(m, page);
    if (device && !l1_may_reach(m, page)) {     /* L0's pool is no memory to L1, nor to its guests */
        reflect_violation(cpu, 0);
        return;
    }
    hal_log(HAL_EVENT_HANDLED, cpu->exit.reason, gpa, page, 0);
    fill(cpu, gpa, page | w.rights | (device ? EPT_MEMORY_TYPE_BITS(MEMORY_UC) : w.memory_type));
    inject_again(cpu);
}
