/* SPDX-License-Identifier: MIT */
/*
 * Shadow EPTs. A shadow maps L2-physical addresses to physical ones with the rights of L1's EPT (EPT12), for memory
 * that L1 may reach, in pages as large as both allow. It is filled when L2 touches memory, and is to L1 what the
 * processor's own cache of guest-physical mappings is: L1's changes count after INVEPT at the latest, and a violation
 * walks EPT12 anew. SDM Vol. 3, 29.3. Each processor has shadows of its own, as it has a TLB of its own: L1's INVEPT is
 * one processor's, and nothing here is freed that another one may still use. A page that L1 gives away leaves the shadows
 * of all (pages.c).
 */
#include "hv/core.h"

enum { EPT_ENTRY_RESERVED_TYPES = 1 << 2 | 1 << 3 | 1 << 7 };   /* memory types that do not exist */

/* ---- EPT12 ---- */

struct ept12 {
    uint64_t pointer;
    bool flags;                         /* accessed and dirty flags are in use: bit 6 of the pointer */
    bool mode_based;                    /* bit 10 is the right to execute at user-mode linear addresses */
    uint64_t present;                   /* the bits that give rights: an entry without them is not present */
};

static struct ept12 ept12_of(const struct hv_cpu *cpu)
{
    const uint64_t pointer = VMCS12(cpu, ept_pointer);
    const bool mode_based = vmcs12_secondary(cpu) & PROC2_mode_based_execute_control;

    return (struct ept12){ .pointer = pointer, .flags = pointer & EPTP_ACCESSED_DIRTY, .mode_based = mode_based,
                           .present = mode_based ? EPT_ALL_RIGHTS : EPT_RIGHTS };
}

enum walk_result { WALK_OK, WALK_VIOLATION, WALK_MISCONFIGURATION };
struct ept_walk {
    enum walk_result result;
    uint64_t address;                   /* L1-physical */
    uint64_t rights;                    /* of all levels that were reached, ANDed */
    unsigned level;                     /* of the leaf */
    struct { uint64_t address, entry; } used[EPT_LEVELS];   /* by level - 1 */
};

/* SDM Vol. 3, 29.3.3.1. */
static bool misconfigured(const struct hv_machine *m, uint64_t entry, unsigned level, bool leaf)
{
    const uint64_t beyond = EPT_ADDRESS & ~((1ull << m->physical_address_width) - 1);
    uint64_t reserved = beyond;

    if (level == 4)
        reserved |= 0xf8;
    else if (!leaf)
        reserved |= 0x78;
    else
        reserved |= (EPT_SPAN(level) - 1) & ~PAGE_OFFSET;
    if (!(entry & EPT_READ) && (entry & EPT_WRITE || !(m->offered.ept_vpid & EPT_CAP_EXECUTE_ONLY)))
        return true;
    return entry & reserved || (leaf && EPT_ENTRY_RESERVED_TYPES >> EPT_MEMORY_TYPE(entry) & 1);
}

static bool maps_page(uint64_t offered, uint64_t entry, unsigned level)
{
    return level == 1 || (level < 4 && entry & EPT_LARGE && offered & (level == 2 ? EPT_CAP_2M : EPT_CAP_1G));
}

/* Walks EPT12, each entry read once. Tables outside L1's memory read as ones: misconfigured. */
static struct ept_walk walk(const struct hv_machine *m, const struct ept12 *ept12, uint64_t gpa)
{
    struct ept_walk w = { .rights = ept12->present };
    uint64_t table = ept12->pointer & EPT_ADDRESS;

    if (gpa >> EPT_ADDRESS_BITS)
        return (struct ept_walk){ .result = WALK_VIOLATION };
    for (unsigned level = EPT_LEVELS;; level--) {
        const uint64_t at = table + 8 * EPT_ENTRY_INDEX(gpa, level), entry = l1_read_entry(m, at);
        const bool leaf = maps_page(m->offered.ept_vpid, entry, level);
        if (!(entry & ept12->present))
            return (struct ept_walk){ .result = WALK_VIOLATION };
        /* Bit 7 of an entry that cannot map a page is reserved, so the loop ends at level 1. */
        if (misconfigured(m, entry, level, leaf) || (!leaf && entry & EPT_LARGE))
            return (struct ept_walk){ .result = WALK_MISCONFIGURATION };
        w.rights &= entry;
        w.used[level - 1].address = at;
        w.used[level - 1].entry = entry;
        table = entry & EPT_ADDRESS;
        if (leaf) {
            w.level = level;
            w.address = (table & ~(EPT_SPAN(level) - 1)) | (gpa & (EPT_SPAN(level) - 1));
            return w;
        }
    }
}

/*
 * Do EPT12's rights allow this access (bits 2:0 of the qualification)? Whether a linear address is a user-mode one, whose
 * fetches need bit 10 under mode-based execute control, only hardware knows: either right counts.
 */
static bool allows(const struct ept_walk *w, uint64_t access)
{
    const uint64_t data = access & (EPT_VIOLATION_READ | EPT_VIOLATION_WRITE);

    return !(data & ~w->rights) && (!(access & EPT_VIOLATION_FETCH) || w->rights & (EPT_EXECUTE | EPT_USER_EXECUTE));
}

/*
 * SDM Vol. 3, 29.3.5: every entry used is accessed, the last one dirty if written through. False: an entry has changed
 * since it was read, so that the walk says nothing.
 */
static bool set_flags(const struct hv_machine *m, struct ept_walk *w, bool write)
{
    for (unsigned level = EPT_LEVELS; level >= w->level; level--) {
        uint64_t *entry = &w->used[level - 1].entry;
        const uint64_t flags = EPT_ACCESSED | (write && level == w->level ? EPT_DIRTY : 0);
        if ((*entry & flags) != flags && !l1_update_entry(m, w->used[level - 1].address, entry, *entry | flags))
            return false;
    }
    return true;
}

/* ---- the shadows ---- */

/* What makes shadows of one EPT12 differ: the root, and what its entries' bits mean. EPT pointers leave bit 7 to us. */
static uint64_t key_of(const struct ept12 *ept12)
{
    return (ept12->pointer & (EPT_ADDRESS | EPTP_ACCESSED_DIRTY)) | (ept12->mode_based ? 1 << 7 : 0);
}

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

/* EPT pointer of the shadow; hardware's own flags in it serve L1's: an access to a guest paging structure is a write
 * there, too. */
static uint64_t pointer_of(const struct vept_root *root)
{
    return ept_pointer(&root->ept) | (root->key & EPTP_ACCESSED_DIRTY);
}

static void invalidate(const struct vept_root *root)
{
    if (hal_invept(INVEPT_SINGLE, pointer_of(root)) != HAL_OK)
        hal_fail_stop("an INVEPT of L0 failed");
}

static void drop(struct vept_root *root)
{
    if (!root->ept.root.value)
        return;
    invalidate(root);
    ept_destroy(&root->ept);
}

void vept_drop(struct hv_cpu *cpu, uint64_t eptp12)
{
    struct vept *vept = &cpu->nested.vept;

    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        if (!((vept->root[i].key ^ eptp12) & EPT_ADDRESS))
            drop(&vept->root[i]);
}

void vept_drop_all(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        drop(&cpu->nested.vept.root[i]);
}

void vept_empty_all(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < VEPT_ROOTS; i++) {
        struct vept_root *root = &cpu->nested.vept.root[i];
        if (root->ept.root.value) {
            invalidate(root);
            ept_empty(&root->ept);
        }
    }
}

/* The shadow whose last use is longest ago, but for `keep`. NULL: there is no other. */
static struct vept_root *oldest(struct vept *vept, const struct vept_root *keep)
{
    struct vept_root *found = NULL;

    for (unsigned i = 0; i < VEPT_ROOTS; i++) {
        struct vept_root *root = &vept->root[i];
        if (root->ept.root.value && root != keep && (!found || root->last_use < found->last_use))
            found = root;
    }
    return found;
}

/* A place for one more shadow, and a page of the budget for its root. */
static struct vept_root *make_room(struct hv_cpu *cpu)
{
    struct vept *vept = &cpu->nested.vept;
    struct vept_root *empty = NULL;

    for (;;) {
        for (unsigned i = 0; i < VEPT_ROOTS && !empty; i++)
            if (!vept->root[i].ept.root.value)
                empty = &vept->root[i];
        if (empty && pages_used(vept) < budget(cpu->machine))
            return empty;
        drop(oldest(vept, NULL));
    }
}

static struct vept_root *shadow_of(struct hv_cpu *cpu, const struct ept12 *ept12)
{
    struct vept *vept = &cpu->nested.vept;
    struct vept_root *root = NULL;

    for (unsigned i = 0; i < VEPT_ROOTS && !root; i++)
        if (vept->root[i].ept.root.value && vept->root[i].key == key_of(ept12))
            root = &vept->root[i];
    if (!root) {
        root = make_room(cpu);
        root->key = key_of(ept12);
        if (!ept_create(&root->ept, 0))
            hal_fail_stop("the pool is smaller than the shadow EPTs' share of it");
    }
    root->last_use = ++vept->use_clock;
    return root;
}

uint64_t vept_pointer(struct hv_cpu *cpu)
{
    struct settled *settled = &cpu->nested.vmcs12->settled;
    struct vept *vept = &cpu->nested.vept;
    struct vept_root *root = &vept->root[settled->shadow];

    if (root->ept.root.value && root->key == settled->shadow_key) {
        root->last_use = ++vept->use_clock;
    } else {
        const struct ept12 ept12 = ept12_of(cpu);
        root = shadow_of(cpu, &ept12);
        settled->shadow = (unsigned)(root - vept->root);
        settled->shadow_key = root->key;
    }
    return pointer_of(root);
}

bool vept_affordable(const struct hv_machine *m)
{
    return budget(m) >= VEPT_PAGES_LEAST;
}

/*
 * Maps a page in the shadow on which L2 runs. Where the budget is spent, the other shadows go, then what this one maps:
 * its root stays where hardware looks for it. Both are filled anew as L2 goes on.
 */
static enum ept_mapped fill(struct hv_cpu *cpu, const struct ept12 *ept12, uint64_t gpa, unsigned level, uint64_t leaf)
{
    struct vept *vept = &cpu->nested.vept;
    struct vept_root *root = shadow_of(cpu, ept12), *other;
    bool again = false;

    for (;;) {
        root->ept.limit = root->ept.pages + budget(cpu->machine) - pages_used(vept);
        const enum ept_mapped mapped = ept_map(&root->ept, gpa, level, leaf);
        if (mapped == EPT_REPLACED || again)
            invalidate(root);
        if (mapped != EPT_NO_PAGE)
            return mapped;
        again = true;                           /* what was tried in vain may have replaced a leaf */
        other = oldest(vept, root);
        if (other) {
            drop(other);
        } else if (root->ept.pages > 1) {
            ept_empty(&root->ept);              /* L2 does not run before the INVEPT above */
        } else {
            hal_fail_stop("the pool is smaller than the shadow EPTs' share of it");
        }
    }
}

/* ---- violations ---- */

/*
 * SDM Vol. 3, 28.2.1, Table 28-7: bits 5:3, and 6 under mode-based execute control, tell the rights of EPT12. Bits 11:9
 * are hardware's, if L1 is offered them.
 */
static void reflect_violation(struct hv_cpu *cpu, uint64_t rights)
{
    const uint64_t kept = 7 | EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATION | EPT_VIOLATION_NMI_UNBLOCKING |
                          EPT_VIOLATION_USER_PAGE | EPT_VIOLATION_WRITABLE_PAGE | EPT_VIOLATION_EXECUTE_DISABLE_PAGE;

    const uint64_t told = (cpu->exit.qualification & kept) | (rights & EPT_RIGHTS) << EPT_VIOLATION_RIGHTS_SHIFT |
                          (rights & EPT_USER_EXECUTE ? EPT_VIOLATION_USER_EXECUTE : 0);

    if (told != cpu->exit.qualification)
        EXIT_SET(cpu, qualification, told);
    reflect_exit(cpu);
}

static void reflect_misconfiguration(struct hv_cpu *cpu)
{
    EXIT_SET(cpu, reason, EXIT_REASON_ept_misconfiguration);
    EXIT_SET(cpu, qualification, 0);
    EXIT_SET(cpu, guest_linear, 0);
    reflect_exit(cpu);
}

/* The largest page around w->address that is all of one kind; *memory: which. L1 has no larger ones than hardware. */
static unsigned shadow_level(const struct hv_machine *m, const struct ept_walk *w, enum l1_memory *memory)
{
    unsigned level = w->level;

    while ((*memory = l1_memory(m, w->address & ~(EPT_SPAN(level) - 1), EPT_SPAN(level))) == L1_MIXED)
        level--;                                /* 4 KB never are */
    return level;
}

/* Rights and memory type are EPT12's, but what MTRRs do not call write-back is uncacheable. Without the dirty flag the next write has to be
 * seen. Hardware finds its own flags set. */
static uint64_t leaf_of(const struct ept12 *ept12, const struct ept_walk *w, unsigned level, enum l1_memory memory)
{
    const uint64_t entry = w->used[w->level - 1].entry;
    const uint64_t rights = w->rights & ~(ept12->flags && !(entry & EPT_DIRTY) ? EPT_WRITE : 0);
    const uint64_t page = w->address & ~(EPT_SPAN(level) - 1);
    uint64_t type = entry & (7 << 3 | EPT_IGNORE_PAT);
    enum memory_type mtrrs;

    if (memory == L1_DEVICE && (!mtrr_type(page, EPT_SPAN(level), &mtrrs) || mtrrs != MEMORY_WB))
        type = EPT_MEMORY_TYPE_BITS(MEMORY_UC);
    return page | rights | type | EPT_ACCESSED | EPT_DIRTY | (level > 1 ? EPT_LARGE : 0);
}

void vept_violation(struct hv_cpu *cpu)
{
    const struct hv_machine *m = cpu->machine;
    const uint64_t gpa = exit_guest_physical(cpu), access = cpu->exit.qualification & 7;
    const struct ept12 ept12 = ept12_of(cpu);
    struct ept_walk w = walk(m, &ept12, gpa);
    enum ept_mapped mapped;
    enum l1_memory memory;
    unsigned level;
    bool current;

    if (w.result == WALK_MISCONFIGURATION) {
        reflect_misconfiguration(cpu);
        return;
    }
    if (w.result == WALK_VIOLATION || !allows(&w, access)) {
        reflect_violation(cpu, w.rights);
        return;
    }
    level = shadow_level(m, &w, &memory);
    if (memory == L1_ABSENT) {                  /* L0's pool is no memory to L1, nor to its guests */
        reflect_violation(cpu, 0);
        return;
    }
    hal_log(HAL_EVENT_HANDLED, cpu->exit.reason, gpa, w.address & ~PAGE_OFFSET, 0);
    /* Where EPT12 changes under us, L2's next attempt walks it anew. */
    current = !ept12.flags || set_flags(m, &w, access & EPT_VIOLATION_WRITE);
    mapped = current ? fill(cpu, &ept12, gpa, level, leaf_of(&ept12, &w, level, memory)) : EPT_NO_PAGE;
    /* Hardware denied a fetch with just these rights in hand: the address was of the mode that has none. */
    if (mapped == EPT_UNCHANGED && ept12.mode_based && access & EPT_VIOLATION_FETCH) {
        reflect_violation(cpu, w.rights);
        return;
    }
    inject_again(cpu);
}
