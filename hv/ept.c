/* SPDX-License-Identifier: MIT */
/* EPT paging structures, and the one of L1: guest-physical address = physical address. SDM Vol. 3, 29.3. */
#include "hv/core.h"

bool ept_create(struct ept *ept, unsigned limit)
{
    *ept = (struct ept){ .root = hal_page_allocate(), .pages = 1, .limit = limit };
    return ept->root.value;
}

/* An entry is 0, a leaf or a table: nothing else is ever written. At level 1 there are leaves only. */
static bool is_table(uint64_t entry, unsigned level)
{
    return entry && level > 1 && !(entry & EPT_LARGE);
}

static unsigned free_below(uint64_t table, unsigned level)
{
    enum { CHUNK = 64 };
    uint64_t entry[CHUNK];
    unsigned freed = 0;

    for (unsigned i = 0; level > 1 && i < 512; i += CHUNK) {
        if (!hal_pm_read(PA(table + i * sizeof *entry), entry, sizeof entry))
            hal_fail_stop("an EPT of L0's cannot be read");
        for (unsigned j = 0; j < CHUNK; j++)
            if (is_table(entry[j], level)) {
                freed += free_below(entry[j] & EPT_ADDRESS, level - 1) + 1;
                hal_page_free(PA(entry[j] & EPT_ADDRESS));
            }
    }
    return freed;
}

void ept_empty(struct ept *ept)
{
    ept->pages -= free_below(ept->root.value, EPT_LEVELS);
    hal_pm_zero_page(ept->root);
}

void ept_destroy(struct ept *ept)
{
    if (ept->root.value) {
        free_below(ept->root.value, EPT_LEVELS);
        hal_page_free(ept->root);
    }
    *ept = (struct ept){ 0 };
}

uint64_t ept_pointer(const struct ept *ept)
{
    return ept->root.value | MEMORY_WB | (EPT_LEVELS - 1) << 3;
}

/* Is everything that `old` permits permitted by `new`, at the same place? */
static bool extends(uint64_t old, uint64_t new)
{
    return !old || (!((old ^ new) & ~EPT_ALL_RIGHTS) && !(old & ~new & EPT_ALL_RIGHTS));
}

enum ept_mapped ept_map(struct ept *ept, uint64_t gpa, unsigned level, uint64_t leaf)
{
    uint64_t table = ept->root.value;
    bool replaced = false;

    for (unsigned at = EPT_LEVELS;; at--) {
        const physical_address slot = PA(table + 8 * EPT_ENTRY_INDEX(gpa, at));
        uint64_t entry = 0;
        if (!hal_pm_read64(slot, &entry))
            hal_fail_stop("an EPT of L0's cannot be read");
        if (at <= level && !is_table(entry, at)) {
            leaf |= gpa & (EPT_SPAN(level) - 1) & ~(EPT_SPAN(at) - 1);
            if (at == 1)
                leaf &= ~EPT_LARGE;
            hal_pm_write64(slot, leaf);
            return replaced || !extends(entry, leaf) ? EPT_REPLACED : entry == leaf ? EPT_UNCHANGED : EPT_EXTENDED;
        }
        if (!is_table(entry, at)) {
            const physical_address page = ept->pages < ept->limit ? hal_page_allocate() : PA(0);
            if (!page.value)
                return EPT_NO_PAGE;
            ept->pages++;
            replaced |= entry != 0;
            entry = page.value | EPT_ALL_RIGHTS | EPT_ACCESSED;
            hal_pm_write64(slot, entry);
        }
        table = entry & EPT_ADDRESS;
    }
}

/* A table that maps what `leaf`, of a level above 1, does. Value 0: there is no page for it. */
static physical_address split(struct ept *ept, uint64_t leaf, unsigned level)
{
    const physical_address table = ept->pages < ept->limit ? hal_page_allocate() : PA(0);

    if (!table.value)
        return table;
    ept->pages++;
    if (level == 2)
        leaf &= ~EPT_LARGE;
    for (unsigned i = 0; i < 512; i++)
        hal_pm_write64(PA(table.value + 8 * i), leaf + i * EPT_SPAN(level - 1));
    return table;
}

bool ept_unmap(struct ept *ept, uint64_t gpa)
{
    uint64_t table = ept->root.value;

    for (unsigned level = EPT_LEVELS;; level--) {
        const physical_address slot = PA(table + 8 * EPT_ENTRY_INDEX(gpa, level));
        uint64_t entry = 0;
        if (!hal_pm_read64(slot, &entry))
            hal_fail_stop("an EPT of L0's cannot be read");
        if (!entry || level == 1) {
            hal_pm_write64(slot, 0);
            return true;
        }
        if (!is_table(entry, level)) {
            const physical_address page = split(ept, entry, level);
            if (!page.value)
                return false;
            hal_fence();
            entry = page.value | EPT_ALL_RIGHTS | EPT_ACCESSED;
            hal_pm_write64(slot, entry);        /* in one access: who walks here meets the page or the table */
        }
        table = entry & EPT_ADDRESS;
    }
}

/* ---- EPT01 ---- */

/*
 * One for all processors. What was absent appears without their being told (SDM Vol. 3, 29.4.3.3); no table is ever
 * released; a page that L1 gives away disappears, and pages.c sees to it that all of them forget it.
 */

/* Maps RAM [from, end) outside the pool, in pages as large as alignment and the pool allow. */
static bool map_ram(struct hv_machine *m, uint64_t from, uint64_t end)
{
    const uint64_t leaf = EPT_RIGHTS | EPT_MEMORY_TYPE_BITS(MEMORY_WB);

    while (from < end) {
        unsigned level = m->physical.ept_vpid & EPT_CAP_1G ? 3 : 2;
        while (level > 1 && (from & (EPT_SPAN(level) - 1) || l1_memory(m, from, EPT_SPAN(level)) != L1_RAM))
            level--;
        if (l1_owns(m, from) &&
            ept_map(&m->ept01, from, level, from | leaf | (level > 1 ? EPT_LARGE : 0)) == EPT_NO_PAGE)
            return false;
        from += EPT_SPAN(level);
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
 * What is no RAM appears when it is first touched: all rights, the type that MTRRs give, in 2-MByte pages where no RAM is near. L0's
 * pool, pages given to it and addresses that do not exist raise #GP, and so does device memory once EPT01 has reached its
 * limit of pages.
 */
void ept01_violation(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    const uint64_t gpa = exit_guest_physical(cpu), page = gpa & ~PAGE_OFFSET, large = gpa & ~(EPT_SPAN(2) - 1);
    enum memory_type type;
    enum ept_mapped mapped;
    enum l1_memory memory;
    unsigned pages;

    hal_lock(&m->lock);
    memory = l1_memory(m, page, PAGE_SIZE);     /* with the lock: EPT01 and the list of given pages agree */
    if (memory == L1_ABSENT || gpa >> EPT_ADDRESS_BITS) {
        hal_unlock(&m->lock);
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    if (memory == L1_RAM)
        hal_fail_stop("an EPT violation on RAM that EPT01 maps");
    pages = m->ept01.pages;
    if (l1_memory(m, large, EPT_SPAN(2)) == L1_DEVICE && mtrr_type(large, EPT_SPAN(2), &type)) {
        mapped = ept_map(&m->ept01, gpa, 2, large | EPT_RIGHTS | EPT_MEMORY_TYPE_BITS(type) | EPT_LARGE);
    } else {
        mtrr_type(page, PAGE_SIZE, &type);
        mapped = ept_map(&m->ept01, gpa, 1, page | EPT_RIGHTS | EPT_MEMORY_TYPE_BITS(type));
    }
    hal_keep(m->ept01.pages - pages);
    hal_unlock(&m->lock);
    if (mapped != EPT_NO_PAGE)
        inject_again(cpu);
    else
        inject_exception(cpu, VECTOR_GP, 0);
}
