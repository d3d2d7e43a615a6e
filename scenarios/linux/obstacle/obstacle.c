// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/* What a load of L0 fails at, for tests (scenarios/linux/faults.init). */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/kobject.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smp.h>

static bool vmxe, directory, memory;
module_param(vmxe, bool, 0444);
MODULE_PARM_DESC(vmxe, "CR4.VMXE is set on the last processor, and Linux not told: L0 refuses there, and only there");
module_param(directory, bool, 0444);
MODULE_PARM_DESC(directory, "/sys/kernel/sesqui is there already");

module_param(memory, bool, 0444);
MODULE_PARM_DESC(memory, "of each 2 MB below 4 GB a page is taken for good: there is no contiguous memory");

enum { CR4_VMXE = 1 << 13, BLOCK = 512, BLOCKS = 2048 };
static struct kobject *taken;
static unsigned long page_taken[BLOCKS];        /* its number; 0: none */

static void take_memory(void)
{
    unsigned long block, page;

    for (block = 0; block < BLOCKS; block++)
        for (page = block * BLOCK; page < (block + 1) * BLOCK && !page_taken[block]; page++)
            if (pfn_to_online_page(page) && !PageReserved(pfn_to_page(page)) &&
                !alloc_contig_range(page, page + 1, MIGRATE_MOVABLE, GFP_KERNEL | __GFP_NOWARN))
                page_taken[block] = page;
}

static void give_memory_back(void)
{
    unsigned long block;

    for (block = 0; block < BLOCKS; block++)
        if (page_taken[block])
            free_contig_range(page_taken[block], 1);
}

static void set_here(void *set)
{
    unsigned long cr4;

    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" : : "r"(set ? cr4 | CR4_VMXE : cr4 & ~(unsigned long)CR4_VMXE));
}

static int __init obstacle_init(void)
{
    if (memory)
        take_memory();
    if (directory)
        taken = kobject_create_and_add("sesqui", kernel_kobj);
    return vmxe ? smp_call_function_single(cpumask_last(cpu_online_mask), set_here, &vmxe, true) : 0;
}

static void __exit obstacle_exit(void)
{
    kobject_put(taken);
    give_memory_back();
    if (vmxe)
        smp_call_function_single(cpumask_last(cpu_online_mask), set_here, NULL, true);
}

module_init(obstacle_init);
module_exit(obstacle_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("What a load of L0 fails at, for tests");
