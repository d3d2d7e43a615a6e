// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/* Paging of the module's own, for the time of a call into the image. */
#define pr_fmt(fmt) "sesqui: " fmt
#include <linux/gfp.h>
#include <linux/mm.h>
#include <asm/asm.h>
#include <asm/special_insns.h>

#include "sesqui.h"

#define ENTRIES 512
#define TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED)
#define LEAF (TABLE | _PAGE_DIRTY | _PAGE_PSE)
#define LINEAR (32UL << 39)             /* in user space, of which there is none in this paging; below 2^47, with 5 levels as well */

static unsigned long *tables[4];        /* from the top down; the last one is a page directory */

/* The top table lies on an even page: with page-table isolation bit 12 of CR3 says to handlers of NMIs that they came from user space. */
static unsigned long *new_table(unsigned int order)
{
    return (unsigned long *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, order);
}

int world_build(const struct pool *pool, struct world *world)
{
    const unsigned int levels = native_read_cr4() & X86_CR4_LA57 ? 4 : 3;
    const unsigned long *present = __va(__native_read_cr3() & PAGE_MASK);
    unsigned long at;
    unsigned int i;

    for (i = 0; i < levels; i++) {
        tables[i] = new_table(i == 0);
        if (!tables[i]) {
            world_destroy(world);
            pr_err("no memory for page tables\n");
            return -ENOMEM;
        }
    }
    /* The kernel's half is the same in all of its paging, and filled at boot. */
    for (i = ENTRIES / 2; i < ENTRIES; i++)
        tables[0][i] = present[i];
    for (i = 0; i + 1 < levels; i++)
        tables[i][(LINEAR >> (PMD_SHIFT + 9 * (levels - 1 - i))) % ENTRIES] = __pa(tables[i + 1]) | TABLE;
    for (at = 0; at < pool->size; at += PMD_SIZE)
        tables[levels - 1][at >> PMD_SHIFT] = (pool->base + at) | LEAF;
    world->linear = LINEAR;
    world->cr3 = __pa(tables[0]);
    return 0;
}

void world_destroy(struct world *world)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(tables); i++) {
        if (tables[i])
            free_pages((unsigned long)tables[i], i == 0);
        tables[i] = NULL;
    }
    world->cr3 = 0;
}

static __always_inline unsigned long enter(const struct world *world)
{
    unsigned long before;

    asm volatile("mov %%cr3, %0" : "=r"(before) : : "memory");
    asm volatile("mov %0, %%cr3" : : "r"(world->cr3) : "memory");
    return before;
}

static __always_inline void leave(unsigned long before)
{
    asm volatile("mov %0, %%cr3" : : "r"(before) : "memory");
}

notrace u64 world_call(const struct world *world, u64 offset, const void *argument)
{
    u64 (*const function)(const void *) = (void *)(world->linear + offset);
    unsigned long flags, before;
    u64 answer;

    local_irq_save(flags);
    before = enter(world);
    answer = function(argument);
    leave(before);
    local_irq_restore(flags);
    return answer;
}

/* Outside VMX operation VMCALL is #UD: then the answer stays what it was. */
notrace u64 world_ask(const struct world *world, enum late_function function, u64 argument)
{
    unsigned long flags, before;
    u64 answer = LATE_CALL;
    unsigned long rbx = function;

    local_irq_save(flags);
    before = enter(world);
    asm volatile("1: vmcall\n2:\n" _ASM_EXTABLE(1b, 2b) : "+a"(answer), "+b"(rbx) : "c"(argument) : "memory", "cc");
    leave(before);
    local_irq_restore(flags);
    return answer == LATE_CALL ? ~0ULL : answer;
}
