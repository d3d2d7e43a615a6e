/* SPDX-License-Identifier: MIT */
/* EPT paging structures, and the one of L1: guest-physical address = physical address. SDM Vol. 3, 29.3. */
#include "hv/core.h"

bool ept_create(struct ept *ept, unsigned limit)
{
    *ept = (struct ept){ .root = hal_page_allocate(), .pages = 1, .limit = limit };
    return ept->root.value;
}

static void free_below(physical_address table, unsigned level)
{
    for (unsigned i = 0; level > 1 && i < 512; i++) {
        uint64_t entry = 0;
        hal_pm_read64(PA(table.value + 8 * i), &entry);
        if (entry & EPT_RIGHTS && !(entry & EPT_LARGE))
            free_below(PA(entry & EPT_ADDRESS), level - 1);
    }
    hal_page_free(table);
}

void ept_destroy(struct ept *ept)
{
    if (ept->root.value)
        free_below(ept->root, EPT_LEVELS);
    *ept = (struct ept){ 0 };
}

uint64_t ept_pointer(const struct ept *ept)
{
    return ept->root.value | MEMORY_WB | (EPT_LEVELS - 1) << 3;
}

bool ept_map(struct ept *ept, uint64_t gpa, unsigned level, uint64_t leaf)
{
    uint64_t table = ept->root.value;

    for (unsigned at = EPT_LEVELS; at > level; at--) {
        physical_address slot = PA(table + 8 * EPT_ENTRY_INDEX(gpa, at));
        uint64_t entry = 0;
        if (!hal_pm_read64(slot, &entry) || entry & EPT_LARGE)
            return false;
        if (!(entry & EPT_RIGHTS)) {
            physical_address page = ept->pages < ept->limit ? hal_page_allocate() : PA(0);
            if (!page.value)
                return false;
            ept->pages++;
            entry = page.value | EPT_RIGHTS;
            hal_pm_write64(slot, entry);
        }
        table = entry & EPT_ADDRESS;
    }
    return hal_pm_write64(PA(table + 8 * EPT_ENTRY_INDEX(gpa, level)), leaf);
}

/* ---- EPT01 ---- */

static bool overlap(struct hal_range range, uint64_t base, uint64_t size)
{
    return base < range.base.value + range.size && range.base.value < base + size;
}

static bool overlaps_ram(const struct hv_machine *m, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < m->ram_count; i++)
        if (overlap(m->ram[i], base, size))
            return true;
    return false;
}

/* Maps RAM [from, end) outside the pool, in pages as large as alignment and the pool allow. */
static bool map_ram(struct hv_machine *m, uint64_t from, uint64_t end)
{
    const uint64_t leaf = EPT_RIGHTS | EPT_MEMORY_TYPE_BITS(MEMORY_WB);

    while (from < end) {
        bool large = !(from & (EPT_SPAN(2) - 1)) && end - from >= EPT_SPAN(2) && !overlap(m->pool, from, EPT_SPAN(2));
        uint64_t size = large ? EPT_SPAN(2) : EPT_SPAN(1);
        if ((large || !overlap(m->pool, from, size)) &&
            !ept_map(&m->ept01, from, large ? 2 : 1, from | leaf | (large ? EPT_LARGE : 0)))
            return false;
        from += size;
    }
    return true;
}

bool ept01_build(struct hv_machine *m)
{
    if (!ept_create(&m->ept01, (unsigned)(m->pool.size / PAGE_SIZE / 4)))
        return false;
    for (unsigned i = 0; i < m->ram_count; i++)
        if (!map_ram(m, m->ram[i].base.value, m->ram[i].base.value + m->ram[i].size))
            return false;
    return true;
}

/*
 * Device memory appears when it is first touched: uncacheable, all rights, in 2-MByte pages where no RAM is near. L0's
 * pool and addresses that do not exist raise #GP, and so does device memory once EPT01 has reached its limit of pages.
 */
void ept01_violation(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    const uint64_t gpa = cpu->exit.guest_physical, leaf = EPT_RIGHTS | EPT_MEMORY_TYPE_BITS(MEMORY_UC);
    const uint64_t page = gpa & ~PAGE_OFFSET, large = gpa & ~(EPT_SPAN(2) - 1);
    bool mapped = false;

    if (!l1_may_reach(m, page) || gpa >> EPT_ADDRESS_BITS) {
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    if (overlaps_ram(m, page, PAGE_SIZE))
        hal_fail_stop("an EPT violation on RAM that EPT01 maps");
    hal_lock(&m->lock);
    if (!overlaps_ram(m, large, EPT_SPAN(2)) && !overlap(m->pool, large, EPT_SPAN(2)))
        mapped = ept_map(&m->ept01, gpa, 2, large | leaf | EPT_LARGE);
    else
        mapped = ept_map(&m->ept01, gpa, 1, page | leaf);
    hal_unlock(&m->lock);
    if (mapped)
        inject_again(cpu);
    else
        inject_exception(cpu, VECTOR_GP, 0);
}
