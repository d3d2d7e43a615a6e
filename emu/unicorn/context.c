/* SPDX-License-Identifier: MIT */
/*
 * Two TLBs of the library's: one of VMX root operation, one of non-root operation. A VM exit and the entry behind it exchange them
 * instead of flushing; each is flushed when what it was filled under no longer holds. Blocks need no such care: the mode is part
 * of the key under which the library finds them, also in its table of blocks found last, which a flush of either TLB clears.
 */
#include "emu/unicorn/engine.h"

#include <stdlib.h>
#include <string.h>

enum { TLB_FAST = -0x40, TLB_MODE_STRIDE = 0x1b8, TLB_MODE_IOTLB = 0x1b0, TLB_MODES_FIRST = 0x20, TLB_IO_ENTRY = 16, TLB_ENTRY = 32, VICTIMS = 8 };

static uintptr_t *fast_of(library_env *env, unsigned mode) { return &FIELD(uintptr_t, env, TLB_FAST + 16 * (int)mode); }
static void **iotlb_of(void *tlb, unsigned mode) { return &FIELD(void *, tlb, TLB_MODES_FIRST + TLB_MODE_STRIDE * mode + TLB_MODE_IOTLB); }

/* The other TLB begins as a copy of the present one, with memory of its own; it is flushed before it is used. */
static bool copy_tables(struct engine *e)
{
    void *tlb = (uint8_t *)e->env + TLB;
    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        uintptr_t *fast = fast_of(e->env, mode);
        size_t entries = (fast[0] + TLB_ENTRY) / TLB_ENTRY;
        void *table = malloc(entries * TLB_ENTRY), *iotlb = malloc(entries * TLB_IO_ENTRY);
        if (!table || !iotlb) {
            free(table);
            free(iotlb);
            return false;
        }
        memset(table, 0xff, entries * TLB_ENTRY);
        memcpy(iotlb, *iotlb_of(tlb, mode), entries * TLB_IO_ENTRY);
        fast[1] = (uintptr_t)table;
        *iotlb_of(tlb, mode) = iotlb;
    }
    FIELD(uint16_t, tlb, 0) = (1 << MMU_MODES) - 1;     /* all of it is to be flushed */
    return true;
}

static const uint64_t *entry_of(struct engine *e, unsigned mode, uint64_t linear, uint64_t *io)
{
    const uintptr_t *fast = fast_of(e->env, mode);
    size_t index = linear / PAGE_SIZE & fast[0] / TLB_ENTRY;
    const uint64_t *iotlb = *iotlb_of((uint8_t *)e->env + TLB, mode);
    *io = iotlb[2 * index];
    return (const uint64_t *)fast[1] + 4 * index;   /* address for reads, writes, fetches; from there to the host's memory */
}

/* For the self-check: are the tables where they are thought to be, and of as many entries, and is there one for `linear`, which was read last,
 * in RAM (at its beginning) or a device?  The counters of each mode lie before its victims. */
bool context_plausible(struct engine *e, uint64_t linear, bool ram)
{
    bool found = false;
    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        uintptr_t mask = fast_of(e->env, mode)[0], entries = (mask + TLB_ENTRY) / TLB_ENTRY;
        const uint64_t *counters = &FIELD(uint64_t, e->env, TLB + TLB_MODES_FIRST + TLB_MODE_STRIDE * (int)mode);
        uint64_t io;
        if (entries < 64 || entries > 1 << 22 || (entries & (entries - 1)) || mask % TLB_ENTRY || !fast_of(e->env, mode)[1] ||
            counters[4] > entries || counters[5] >= VICTIMS || !*iotlb_of((uint8_t *)e->env + TLB, mode))
            return false;
        const uint64_t *entry = entry_of(e, mode, linear, &io);
        found |= (entry[0] & PAGE_MASK) == linear &&
                 (ram ? entry[3] == (uintptr_t)e->model->memory.ram && !io : (entry[0] & ~PAGE_MASK) && io);
    }
    return found;
}

/* Is the TLB of this mode of operation there, with what it was filled under as `key` says? */
bool context_switch(struct engine *e, const struct mapping_key *key)
{
    struct context *from = &e->context[!key->non_root], *to = &e->context[key->non_root];
    if (e->in_context == key->non_root)
        return false;
    memcpy(from->tlb, (uint8_t *)e->env + TLB, TLB_SIZE);
    from->mapped = e->mapped;
    from->protections = e->protections;
    from->alignment_checked = e->alignment_checked;
    if (to->used)
        memcpy((uint8_t *)e->env + TLB, to->tlb, TLB_SIZE);
    else if (!copy_tables(e))
        return false;                   /* some of them may be shared no more, none is in two TLBs: `from` is not used again */
    /* Beneath EPT the model is asked anew behind each entry: it tells of an EPT entry that was changed without INVEPT (rule R4). */
    bool valid = to->used && !key->ept && to->protections == e->protections && to->alignment_checked == e->alignment_checked &&
                 fill_same_mapping(&to->mapped, key);
    from->used = true;
    to->used = false;
    e->in_context = key->non_root;
    e->recent = to->recent;
    return valid;
}

void context_close(struct engine *e)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned mode = 0; mode < MMU_MODES && e->context[i].used; mode++) {
            free(*(void **)(e->context[i].tlb + (TLB_FAST - TLB) + 16 * (int)mode + 8));
            free(*iotlb_of(e->context[i].tlb, mode));
        }
}
