/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* What the files of the module share: arch/late_load.h says how L0 is asked for, docs/linux.md what the module does. */
#ifndef SESQUI_LINUX_SESQUI_H
#define SESQUI_LINUX_SESQUI_H

#include <linux/types.h>

#include "arch/late_load.h"

/* image.S */
extern const u8 sesqui_image[], sesqui_image_end[];

/*
 * pool.c: physically contiguous memory that Linux gives up for good once L0 is beneath it, and the image in it.
 */
struct pool {
    struct page *pages;
    phys_addr_t base;
    size_t size;
    const struct late_image *image; /* in the pool, as the direct map shows it */
};
/* 0, or a negative error number after a line in the log. `processors`: all that may ever run. */
int pool_take(struct pool *pool, unsigned int processors);
/* As before prepare(): an image that has refused is used up. */
void pool_place_image(struct pool *pool);
/* Linux can still reach the pages by hibernation and crash dumps: they skip what is offline. */
void pool_hide(const struct pool *pool);
void pool_give_back(struct pool *pool);

/*
 * world.c: paging in which the pool is mapped executable, at `linear`, and else what all of the kernel's paging has in common. No mapping that a
 * module can ask Linux for is executable.
 */
struct world {
    unsigned long linear;
    unsigned long cr3;
};
int world_build(const struct pool *pool, struct world *world);
void world_destroy(struct world *world);
/* Calls a function of the image, at this offset, on this processor, with interrupts off. */
u64 world_call(const struct world *world, u64 offset, const void *argument);
/* VMCALL with RAX = LATE_CALL, RBX = function, RCX = argument. ~0: there is no L0 beneath this processor. */
u64 world_ask(const struct world *world, enum late_function function, u64 argument);

#endif
