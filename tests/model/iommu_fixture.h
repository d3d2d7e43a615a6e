/* SPDX-License-Identifier: MIT */
/* A remapping unit over a few megabytes of RAM with sound tables, in legacy or scalable mode, and what it has sent and told. */
#ifndef SESQUI_TESTS_MODEL_IOMMU_FIXTURE_H
#define SESQUI_TESTS_MODEL_IOMMU_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "model/iommu/iommu.h"
#include "tests/suite.h"

enum {
    RAM = 4 << 20,
    ROOT = 0x1000, CONTEXT = 0x2000, DIRECTORY = 0x4000, PASIDS = 0x5000,
    SECOND = 0x10000,           /* the top table; below it one of each level, a page apart */
    FIRST = 0x20000,            /* the same */
    INTERRUPTS = 0x30000, POSTED = 0x31000, QUEUE = 0x32000, STATUS = 0x33000,
    PAGE = 0x40000,             /* where the page at IOVA is */
    DEVICE = 0x0118,            /* bus 1, device 3, function 0 */
    DOMAIN_ID = 5,
    HOST_WIDTH = 46,
};
#define IOVA 0x1000ull
#define ABSENT_RAM 0x10000000ull
#define SECOND_RW (VTD_SECOND_READ | VTD_SECOND_WRITE)
#define FIRST_ALL 7ull          /* present, writable, for user requests */

struct iommu_world {
    struct iommu iommu;
    struct memory memory;
    uint8_t *ram, *watch;
    unsigned messages, refusals, stale;
    struct iommu_message message;       /* the last one */
    struct iommu_notice refusal;        /* the same; its request and way are gone */
};

static inline void world_message(void *context, struct iommu_message message)
{
    struct iommu_world *w = context;

    w->messages++;
    w->message = message;
}

static inline void world_notify(void *context, const struct iommu_notice *notice)
{
    struct iommu_world *w = context;

    w->stale += notice->kind == IOMMU_NOTICE_STALE;
    if (notice->kind == IOMMU_NOTICE_REFUSED) {
        w->refusals++;
        w->refusal = *notice;
    }
}

static inline void store(struct iommu_world *w, uint64_t pa, uint64_t value)
{
    memory_write64(&w->memory, pa, value);
}

static inline void set_register(struct iommu_world *w, uint32_t offset, unsigned size, uint64_t value)
{
    iommu_register_write(&w->iommu, offset, size, value);
}

static inline uint64_t get_register(struct iommu_world *w, uint32_t offset, unsigned size)
{
    return iommu_register_read(&w->iommu, offset, size);
}

static inline void world_command(struct iommu_world *w, uint64_t bit)
{
    set_register(w, VTD_gcmd, 4, (get_register(w, VTD_gsts, 4) & VTD_TOGGLES) | bit);
}

/* Tables of `levels` levels from `top` on, each entry with `bits`, so that IOVA leads to `page`. */
static inline void world_tables(struct iommu_world *w, uint64_t top, unsigned levels, uint64_t bits, uint64_t page)
{
    for (unsigned level = levels; level > 1; level--, top += 0x1000)
        store(w, top + (IOVA >> (12 + 9 * (level - 1)) & 0x1ff) * 8, (top + 0x1000) | bits);
    store(w, top + (IOVA >> 12 & 0x1ff) * 8, page | bits);
}

static inline void world_open(struct iommu_world *w, enum iommu_profile_id profile)
{
    memset(w, 0, sizeof(*w));
    w->ram = calloc(1, RAM);
    w->watch = calloc(1, RAM / PAGE_SIZE);
    memory_init(&w->memory, w->ram, RAM, w->watch);
    iommu_init(&w->iommu, &w->memory, (struct iommu_outside){ w, world_message, world_notify }, &iommu_profiles[profile], HOST_WIDTH);
}

static inline void world_close(struct iommu_world *w)
{
    free(w->ram);
    free(w->watch);
}

static inline void world_start(struct iommu_world *w, uint64_t mode)
{
    store(w, ROOT + (DEVICE >> 8) * 16, CONTEXT | VTD_PRESENT);
    set_register(w, VTD_rtaddr, 8, ROOT | mode << 10);
    world_command(w, VTD_SRTP);
    world_command(w, VTD_TE);
}

/* Legacy mode: DEVICE is in DOMAIN_ID, whose three levels lead from IOVA to PAGE. */
static inline void world_open_legacy(struct iommu_world *w)
{
    world_open(w, IOMMU_PROFILE_legacy);
    store(w, CONTEXT + (DEVICE & 0xff) * 16, SECOND | VTD_PRESENT);
    store(w, CONTEXT + (DEVICE & 0xff) * 16 + 8, DOMAIN_ID << 8 | 1);
    world_tables(w, SECOND, 3, SECOND_RW, PAGE);
    world_start(w, VTD_TTM_LEGACY);
}

/* Scalable mode: a PASID for each kind of translation, and PASID 0 is for requests without one. */
enum { PASID_RID, PASID_FIRST, PASID_SECOND, PASID_NESTED, PASID_PASS, PASID_SUPERVISOR };
static inline uint64_t pasid_entry(unsigned pasid)
{
    return PASIDS + 64ull * pasid;
}

static inline void world_open_scalable(struct iommu_world *w)
{
    static const struct {
        unsigned type;
        uint64_t second, first;
    } kinds[] = {
        [PASID_RID] = { VTD_PGTT_SECOND, SECOND, 0 },
        [PASID_FIRST] = { VTD_PGTT_FIRST, 0, FIRST },
        [PASID_SECOND] = { VTD_PGTT_SECOND, SECOND, 0 },
        [PASID_NESTED] = { VTD_PGTT_NESTED, SECOND + 0x8000, FIRST },
        [PASID_PASS] = { VTD_PGTT_PASS_THROUGH, 0, 0 },
        [PASID_SUPERVISOR] = { VTD_PGTT_FIRST, 0, FIRST | VTD_PASID_SRE | VTD_PASID_WPE },
    };

    world_open(w, IOMMU_PROFILE_scalable);
    store(w, CONTEXT + (DEVICE & 0x7f) * 32, DIRECTORY | VTD_CONTEXT_PASIDE | VTD_CONTEXT_DTE | VTD_PRESENT);
    store(w, DIRECTORY, PASIDS | VTD_PRESENT);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        store(w, pasid_entry(i), kinds[i].second | kinds[i].type << 6 | 2 << 2 | VTD_PRESENT);
        store(w, pasid_entry(i) + 8, (DOMAIN_ID + i) | VTD_PASID_PWSNP);
        store(w, pasid_entry(i) + 16, kinds[i].first);
    }
    world_tables(w, SECOND, 4, SECOND_RW, PAGE);
    world_tables(w, FIRST, 4, FIRST_ALL, PAGE + 0x1000);
    /* What is nested: the second stage maps the first 2 MBytes to themselves. */
    store(w, SECOND + 0x8000, (SECOND + 0x9000) | SECOND_RW);
    store(w, SECOND + 0x9000, (SECOND + 0xa000) | SECOND_RW);
    store(w, SECOND + 0xa000, VTD_SECOND_LARGE | SECOND_RW);
    world_start(w, VTD_TTM_SCALABLE);
}

#endif
