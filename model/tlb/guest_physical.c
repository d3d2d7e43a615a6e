/* SPDX-License-Identifier: MIT */
/* Guest-physical mappings: a set-associative array. A look-up asks for one level at a time. */
#include "model/tlb/guest_physical.h"

#include <stddef.h>
#include <string.h>

#include "model/model.h"

#define EPTRTA(eptp) ((eptp) & 0x000ffffffffff000ull)       /* EPTP bits 51:12: SDM Vol. 3, 29.4.2 */

enum { LEAF_LEVEL_MAX = 3 };        /* pages of 4 KB, 2 MB, 1 GB */

static struct guest_physical_cache *cache_of(const struct cpu *cpu) { return &cpu->model->tlb.guest_physical; }

void guest_physical_init(struct guest_physical_cache *cache)
{
    for (unsigned set = 0; set < GUEST_PHYSICAL_SETS; set++)
        for (unsigned way = 0; way < GUEST_PHYSICAL_WAYS; way++)
            cache->entry[set][way].valid = false;       /* the rest of it means nothing, and is large */
    memset(cache->next_way, 0, sizeof(*cache) - offsetof(struct guest_physical_cache, next_way));
}

uint64_t guest_physical_span(unsigned level)
{
    return PAGE_SIZE << 9 * (level - 1);
}

static unsigned set_of(const struct cpu *cpu, uint64_t eptp, uint64_t gpa, unsigned level)
{
    uint64_t number = gpa >> (12 + 9 * (level - 1));

    return (unsigned)((number ^ number >> 10 ^ EPTRTA(eptp) >> 12 ^ level * 0x35u ^ cpu->index * 0x113u) % GUEST_PHYSICAL_SETS);
}

static struct guest_physical *find(struct cpu *cpu, uint64_t eptp, uint64_t gpa, unsigned level, bool leaf)
{
    struct guest_physical *set = cache_of(cpu)->entry[set_of(cpu, eptp, gpa, level)];

    gpa &= ~(guest_physical_span(level) - 1);
    for (unsigned way = 0; way < GUEST_PHYSICAL_WAYS; way++) {
        struct guest_physical *e = &set[way];

        if (e->valid && e->gpa == gpa && e->level == level && e->leaf == leaf && e->cpu == cpu->index && !EPTRTA(e->eptp ^ eptp))
            return e;
    }
    return NULL;
}

struct guest_physical *guest_physical_page(struct cpu *cpu, uint64_t eptp, uint64_t gpa)
{
    const uint32_t *leaves = cache_of(cpu)->leaves;

    for (unsigned level = 1; level <= LEAF_LEVEL_MAX; level++) {
        struct guest_physical *found = leaves[level] ? find(cpu, eptp, gpa, level, true) : NULL;

        if (found)
            return found;
    }
    return NULL;
}

struct guest_physical *guest_physical_table(struct cpu *cpu, uint64_t eptp, uint64_t gpa, unsigned level)
{
    return find(cpu, eptp, gpa, level, false);
}

void guest_physical_remove(struct tlb *tlb, struct guest_physical *mapping)
{
    struct guest_physical_cache *cache = &tlb->guest_physical;
    size_t set = (size_t)(mapping - cache->entry[0]) / GUEST_PHYSICAL_WAYS;

    mapping->valid = false;
    cache->leaves[mapping->level] -= mapping->leaf;
    for (unsigned way = 0; way < GUEST_PHYSICAL_WAYS; way++) {
        if (cache->entry[set][way].valid)
            return;
    }
    cache->occupied[set / 64] &= ~(1ull << set % 64);
}

void guest_physical_insert(struct cpu *cpu, const struct guest_physical *mapping)
{
    struct guest_physical_cache *cache = cache_of(cpu);
    unsigned set = set_of(cpu, mapping->eptp, mapping->gpa, mapping->level), way;
    struct guest_physical *old = find(cpu, mapping->eptp, mapping->gpa, mapping->level, mapping->leaf);

    if (old)
        guest_physical_remove(&cpu->model->tlb, old);
    for (way = 0; way < GUEST_PHYSICAL_WAYS && cache->entry[set][way].valid; way++)
        ;
    if (way == GUEST_PHYSICAL_WAYS) {
        way = cache->next_way[set]++ % GUEST_PHYSICAL_WAYS;
        guest_physical_remove(&cpu->model->tlb, &cache->entry[set][way]);
    }
    cache->entry[set][way] = *mapping;
    cache->occupied[set / 64] |= 1ull << set % 64;
    cache->leaves[mapping->level] += mapping->leaf;
}

/* ---- invalidations ---- */

enum scope { OF_EPT, OF_ANY_EPT, OF_SHADOWED };

static void invalidate(struct cpu *cpu, enum scope scope, uint64_t eptp)
{
    struct guest_physical_cache *cache = cache_of(cpu);

    for (const struct guest_physical *next = guest_physical_next(&cpu->model->tlb, NULL), *e; (e = next);) {
        next = guest_physical_next(&cpu->model->tlb, e);
        if (e->cpu != cpu->index || (scope == OF_EPT ? EPTRTA(e->eptp ^ eptp) != 0 : scope == OF_SHADOWED && !e->shadowed))
            continue;
        size_t slot = (size_t)(e - &cache->entry[0][0]);
        guest_physical_remove(&cpu->model->tlb, &cache->entry[slot / GUEST_PHYSICAL_WAYS][slot % GUEST_PHYSICAL_WAYS]);
    }
}

void guest_physical_invept(struct cpu *cpu, uint64_t eptp)
{
    invalidate(cpu, OF_EPT, eptp);
}

void guest_physical_invept_all(struct cpu *cpu)
{
    invalidate(cpu, OF_ANY_EPT, 0);
}

void guest_physical_forget_shadowed(struct cpu *cpu)
{
    invalidate(cpu, OF_SHADOWED, 0);
}

/* "Any guest-physical mappings that would be used to translate the guest-physical address" (29.4.3.1). */
void guest_physical_drop(struct cpu *cpu, uint64_t eptp, uint64_t gpa)
{
    for (unsigned level = 1; level <= EPT_LEVELS_MAX; level++) {
        for (unsigned leaf = 0; leaf < 2; leaf++) {
            struct guest_physical *found = find(cpu, eptp, gpa, level, leaf);

            if (found)
                guest_physical_remove(&cpu->model->tlb, found);
        }
    }
}

const struct guest_physical *guest_physical_next(const struct tlb *tlb, const struct guest_physical *mapping)
{
    const struct guest_physical_cache *cache = &tlb->guest_physical;
    size_t slot = mapping ? (size_t)(mapping - &cache->entry[0][0]) + 1 : 0;

    for (; slot < (size_t)GUEST_PHYSICAL_SETS * GUEST_PHYSICAL_WAYS; slot++) {
        size_t set = slot / GUEST_PHYSICAL_WAYS;

        if (!(cache->occupied[set / 64] >> set % 64 & 1))
            slot = (set + 1) * GUEST_PHYSICAL_WAYS - 1;
        else if (cache->entry[set][slot % GUEST_PHYSICAL_WAYS].valid)
            return &cache->entry[set][slot % GUEST_PHYSICAL_WAYS];
    }
    return NULL;
}
