/* SPDX-License-Identifier: MIT */
/*
 * L1's own paging, walked for operands of VMX instructions: explicit supervisor-mode data accesses (these instructions
 * need CPL 0). None, 32-bit, PAE, 4-level and 5-level paging: SDM Vol. 3, ch. 4. Protection keys are not looked at.
 */
#include "hv/core.h"

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITE (1ull << 1)
#define PTE_USER (1ull << 2)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY (1ull << 6)
#define PTE_LARGE (1ull << 7)
#define PTE_NX (1ull << 63)
enum { ATTEMPTS = 8 };

/* How a paging mode lays out its structures. */
struct mode {
    unsigned levels, index_bits, entry_size;
    bool nx, long_mode;
};

struct state {
    uint64_t cr0, cr3, cr4, efer, rflags;
    unsigned width;                         /* MAXPHYADDR */
    bool pages_1g;
};

static struct mode mode_of(const struct state *s)
{
    if (!(s->cr0 & CR0_PG))
        return (struct mode){ 0 };
    if (!(s->cr4 & CR4_PAE))
        return (struct mode){ .levels = 2, .index_bits = 10, .entry_size = 4 };
    return (struct mode){ .levels = !(s->efer & EFER_LMA) ? 2 : s->cr4 & CR4_LA57 ? 5 : 4, .index_bits = 9, .entry_size = 8,
                          .nx = s->efer & EFER_NXE, .long_mode = s->efer & EFER_LMA };
}

/* May the entry at `level` map a page itself? */
static bool may_be_large(const struct state *s, const struct mode *mode, unsigned level)
{
    if (mode->entry_size == 4)
        return level == 2 && s->cr4 & CR4_PSE;
    return level == 2 || (level == 3 && s->pages_1g);
}

/* Bits that must be 0 in a present entry. */
static uint64_t reserved(const struct state *s, const struct mode *mode, unsigned level, bool large)
{
    uint64_t bits = 0x000fffffffffffffull & ~((1ull << s->width) - 1);

    if (mode->entry_size == 4)              /* PSE-36: bits 20:13 hold address bits 39:32 */
        return large ? (s->width >= 40 ? 1ull << 21 : 0x3fe000 & ~((1ull << (s->width - 32 + 13)) - 1)) : 0;
    if (!mode->nx)
        bits |= PTE_NX;
    if (!mode->long_mode)                   /* PAE: bits 62:52 too */
        bits |= 0x7ff0000000000000ull;
    if (large)
        bits |= ((1ull << (12 + 9 * (level - 1))) - 1) & ~0x1fffull;
    else if (level > 2)
        bits |= PTE_LARGE;
    return bits;
}

static uint64_t page_address(const struct mode *mode, uint64_t entry, unsigned level, uint64_t linear)
{
    uint64_t span = 1ull << (12 + mode->index_bits * (level - 1));

    if (mode->entry_size == 4 && level == 2)
        return (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32 | (linear & (span - 1));
    return (entry & EPT_ADDRESS & ~(span - 1)) | (linear & (span - 1));
}

/* What an entry says for this access. */
struct judgement {
    bool fault;
    uint32_t error_code;
    bool leaf, writable, user;
    uint64_t flags;                         /* to be set in it */
};

static struct judgement judge(const struct state *s, const struct mode *mode, unsigned level, uint64_t entry, bool write,
                              struct judgement above)
{
    const uint32_t access = write ? PF_WRITE : 0;
    const bool large = level > 1 && entry & PTE_LARGE && may_be_large(s, mode, level);
    struct judgement j = {
        .leaf = large || level == 1,
        .writable = above.writable && entry & PTE_WRITE,
        .user = above.user && entry & PTE_USER,
    };

    if (!(entry & PTE_PRESENT))
        return (struct judgement){ .fault = true, .error_code = access };
    if (entry & reserved(s, mode, level, large))
        return (struct judgement){ .fault = true, .error_code = access | PF_PRESENT | PF_RESERVED };
    if (j.leaf && ((write && !j.writable && s->cr0 & CR0_WP) ||
                   (j.user && s->cr4 & CR4_SMAP && !(s->rflags & RFLAGS_AC))))
        return (struct judgement){ .fault = true, .error_code = access | PF_PRESENT };
    j.flags = PTE_ACCESSED | (j.leaf && write ? PTE_DIRTY : 0);
    return j;
}

/*
 * Reads the entry at `at`, judges it and sets its flags. One that has changed when they are to be set is judged anew, as
 * it is then; one that keeps changing ends in #PF (not present): L1 may try the instruction again.
 */
static struct judgement visit(const struct hv_machine *m, const struct state *s, const struct mode *mode, unsigned level,
                              uint64_t at, bool write, struct judgement above, uint64_t *entry)
{
    const unsigned shift = mode->entry_size == 4 ? 8 * (at & 4) : 0;
    const uint64_t mask = mode->entry_size == 4 ? 0xffffffff : ~0ull;
    uint64_t word = l1_read_entry(m, at & ~7ull);

    for (unsigned i = 0; i < ATTEMPTS; i++) {
        struct judgement j = judge(s, mode, level, *entry = word >> shift & mask, write, above);
        if (j.fault || (*entry & j.flags) == j.flags ||
            l1_update_entry(m, at & ~7ull, &word, word | j.flags << shift))
            return j;
    }
    return (struct judgement){ .fault = true, .error_code = write ? PF_WRITE : 0 };
}

struct walk l1_walk(const struct hv_machine *m, uint64_t linear, bool write)
{
    const struct state s = {
        .cr0 = vmread(VMCS_guest_cr0), .cr3 = vmread(VMCS_guest_cr3), .cr4 = vmread(VMCS_guest_cr4),
        .efer = vmread(VMCS_guest_ia32_efer), .rflags = vmread(VMCS_guest_rflags), .width = m->physical_address_width,
        .pages_1g = m->pages_1g,
    };
    const struct mode mode = mode_of(&s);
    uint64_t table = s.cr3 & (mode.long_mode ? EPT_ADDRESS : 0xfffff000), entry;
    struct judgement judgement = { .writable = true, .user = true };

    if (!mode.levels)
        return (struct walk){ .address = linear & 0xffffffff };
    if (mode.entry_size == 8 && !mode.long_mode) {
        table = vmread((enum vmcs_encoding)(VMCS_guest_pdpte0 + 2 * (linear >> 30 & 3)));
        if (!(table & PTE_PRESENT))
            return (struct walk){ .fault = true, .error_code = write ? PF_WRITE : 0 };
        table &= EPT_ADDRESS;
    }
    for (unsigned level = mode.levels;; level--) {
        uint64_t index = linear >> (12 + mode.index_bits * (level - 1)) & ((1u << mode.index_bits) - 1);
        judgement = visit(m, &s, &mode, level, table + index * mode.entry_size, write, judgement, &entry);
        if (judgement.fault)
            return (struct walk){ .fault = true, .error_code = judgement.error_code };
        if (judgement.leaf)
            return (struct walk){ .address = page_address(&mode, entry, level, linear) };
        table = entry & (mode.entry_size == 8 ? EPT_ADDRESS : 0xfffff000);
    }
}
