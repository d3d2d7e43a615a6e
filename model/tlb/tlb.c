/* SPDX-License-Identifier: MIT */
/* The tagged TLB: a set-associative array and the invalidations as predicates over its entries. */
#include "model/tlb/tlb.h"

#include <stddef.h>
#include <string.h>

#include "model/model.h"
#include "model/random.h"

#define EPTRTA(eptp) ((eptp) >> 12 & 0xffffffffffull)       /* EPTP bits 51:12: SDM Vol. 3, 29.4.2 */

void tlb_init(struct tlb *tlb, enum tlb_policy policy, uint64_t seed)
{
    /* A trail means nothing without its entry, and there are megabytes of them. */
    memset(tlb->entry, 0, sizeof(tlb->entry));
    memset(tlb->next_way, 0, sizeof(*tlb) - offsetof(struct tlb, next_way));
    guest_physical_init(&tlb->guest_physical);
    tlb->policy = policy;
    tlb->seed = seed;
}

bool tlb_use(struct tlb *tlb)
{
    if (tlb->policy != TLB_SEEDED)
        return tlb->policy == TLB_KEEP;
    return random_next(&tlb->seed) & 1;
}

/* ---- tags ---- */

static uint16_t current_pcid(const struct cpu *cpu)
{
    return cpu->cr4 & CR4_PCIDE ? cpu->cr3 & CR3_PCID : 0;
}

/* The context that tags what `cpu` translates at present. */
static struct tlb_entry present_tag(const struct cpu *cpu, uint64_t linear)
{
    return (struct tlb_entry){
        .valid = true,
        .cpu = (uint8_t)cpu->index,
        .kind = cpu->vmx.ept ? MAPPING_COMBINED : MAPPING_LINEAR,
        .eptrta = cpu->vmx.ept ? EPTRTA(cpu->vmx.eptp) : 0,
        .page = linear & PAGE_MASK,
        .vpid = cpu->vmx.vpid,
        .pcid = current_pcid(cpu),
    };
}

static bool matches(const struct tlb_entry *e, const struct tlb_entry *tag)
{
    return e->valid && e->page == tag->page && e->cpu == tag->cpu && e->kind == tag->kind && e->vpid == tag->vpid &&
           e->eptrta == tag->eptrta && (e->pcid == tag->pcid || e->mapping.global);
}

/* ---- the array ---- */

/* Of a page under a VPID: PCID and EPTRTA have no part in it, since INVLPG takes entries of several. */
static unsigned set_of(const struct cpu *cpu, uint16_t vpid, uint64_t page)
{
    uint64_t number = page / PAGE_SIZE;

    return (unsigned)((number ^ number >> 10 ^ number >> 20 ^ vpid * 0x35u ^ cpu->index * 0x113u) % TLB_SETS);
}

static uint32_t *large_count(struct tlb *tlb, uint64_t page)
{
    return &tlb->large[page >> 30 & (TLB_REGIONS - 1)];
}

static void remove_entry(struct tlb *tlb, struct tlb_entry *entry)
{
    size_t set = (size_t)(entry - tlb->entry[0]) / TLB_WAYS;

    if (entry->mapping.page_size > PAGE_SIZE)
        --*large_count(tlb, entry->page);
    entry->valid = false;
    for (unsigned way = 0; way < TLB_WAYS; way++) {
        if (tlb->entry[set][way].valid)
            return;
    }
    tlb->occupied[set / 64] &= ~(1ull << set % 64);
}

struct tlb_entry *tlb_find(struct cpu *cpu, uint64_t linear)
{
    struct tlb *tlb = &cpu->model->tlb;
    struct tlb_entry tag = present_tag(cpu, linear);
    struct tlb_entry *set = tlb->entry[set_of(cpu, tag.vpid, tag.page)];

    for (unsigned way = 0; way < TLB_WAYS; way++) {
        if (matches(&set[way], &tag))
            return &set[way];
    }
    return NULL;
}

void tlb_insert(struct cpu *cpu, uint64_t linear, const struct mapping *mapping, const struct trail *trail)
{
    struct tlb *tlb = &cpu->model->tlb;
    struct tlb_entry entry = present_tag(cpu, linear);
    unsigned set = set_of(cpu, entry.vpid, entry.page), way;

    for (way = 0; way < TLB_WAYS && tlb->entry[set][way].valid; way++)
        ;
    if (way == TLB_WAYS) {
        way = tlb->next_way[set]++ % TLB_WAYS;
        remove_entry(tlb, &tlb->entry[set][way]);       /* displaced, not invalidated: the generation stays */
    }
    entry.mapping = *mapping;
    tlb->entry[set][way] = entry;
    trail_copy(&tlb->trail[set][way], trail);
    tlb->occupied[set / 64] |= 1ull << set % 64;
    if (mapping->page_size > PAGE_SIZE)
        ++*large_count(tlb, entry.page);
}

struct trail *tlb_trail(struct tlb *tlb, const struct tlb_entry *entry)
{
    size_t slot = (size_t)(entry - &tlb->entry[0][0]);

    return &tlb->trail[slot / TLB_WAYS][slot % TLB_WAYS];
}

void tlb_drop(struct cpu *cpu, struct tlb_entry *entry)
{
    remove_entry(&cpu->model->tlb, entry);
}

/* ---- invalidations ---- */

/* What an invalidation names. */
struct scope {
    const struct cpu *cpu;
    uint16_t vpid, pcid;
    uint64_t eptrta, linear;
    bool keep_global;
};
typedef bool scope_covers(const struct scope *scope, const struct tlb_entry *entry);

/* Does the guest page that `entry` is a part of hold `linear`? */
static bool holds(const struct tlb_entry *entry, uint64_t linear)
{
    return !((entry->page ^ linear) & ~(entry->mapping.page_size - 1));
}

static bool in_vpid(const struct scope *s, const struct tlb_entry *e)
{
    return e->vpid == s->vpid && !(s->keep_global && e->mapping.global);
}

static bool in_pcid(const struct scope *s, const struct tlb_entry *e)
{
    return in_vpid(s, e) && (e->pcid == s->pcid || e->mapping.global);
}

static bool at_linear(const struct scope *s, const struct tlb_entry *e)
{
    return in_vpid(s, e) && holds(e, s->linear);
}

static bool at_linear_in_pcid(const struct scope *s, const struct tlb_entry *e)
{
    return in_pcid(s, e) && holds(e, s->linear);
}

static bool in_any_vpid(const struct scope *s, const struct tlb_entry *e)
{
    (void)s;
    return e->vpid != 0;
}

static bool in_eptrta(const struct scope *s, const struct tlb_entry *e)
{
    return e->kind != MAPPING_LINEAR && e->eptrta == s->eptrta;
}

static bool in_any_eptrta(const struct scope *s, const struct tlb_entry *e)
{
    (void)s;
    return e->kind != MAPPING_LINEAR;
}

static bool everything(const struct scope *s, const struct tlb_entry *e)
{
    (void)s;
    (void)e;
    return true;
}

static void invalidate_set(struct tlb *tlb, unsigned set, const struct scope *scope, scope_covers *covers)
{
    for (unsigned way = 0; way < TLB_WAYS; way++) {
        struct tlb_entry *entry = &tlb->entry[set][way];

        if (entry->valid && entry->cpu == scope->cpu->index && covers(scope, entry))
            remove_entry(tlb, entry);
    }
}

static void invalidate(struct scope scope, scope_covers *covers)
{
    struct tlb *tlb = &scope.cpu->model->tlb;

    for (unsigned word = 0; word < TLB_SETS / 64; word++) {
        for (uint64_t sets = tlb->occupied[word]; sets; sets &= sets - 1)
            invalidate_set(tlb, word * 64 + (unsigned)__builtin_ctzll(sets), &scope, covers);
    }
    tlb->generation++;
}

/* The same for one linear address: one set, unless a large page around it may have left entries in others. */
static void invalidate_address(struct scope scope, scope_covers *covers)
{
    struct tlb *tlb = &scope.cpu->model->tlb;

    if (*large_count(tlb, scope.linear)) {
        invalidate(scope, covers);
        return;
    }
    invalidate_set(tlb, set_of(scope.cpu, scope.vpid, scope.linear & PAGE_MASK), &scope, covers);
    tlb->generation++;
}

/* INVLPG: entries of the current PCID, and global ones whatever their PCID (4.10.4.1). */
void tlb_invlpg(struct cpu *cpu, uint64_t linear)
{
    invalidate_address((struct scope){ .cpu = cpu, .vpid = cpu->vmx.vpid, .pcid = current_pcid(cpu), .linear = linear },
                       at_linear_in_pcid);
}

void tlb_flush_pcid(struct cpu *cpu, uint16_t pcid, bool keep_global)
{
    invalidate((struct scope){ .cpu = cpu, .vpid = cpu->vmx.vpid, .pcid = pcid, .keep_global = keep_global }, in_pcid);
}

void tlb_flush_all(struct cpu *cpu, bool keep_global)
{
    invalidate((struct scope){ .cpu = cpu, .vpid = cpu->vmx.vpid, .keep_global = keep_global }, in_vpid);
}

void tlb_flush_linear_pcid(struct cpu *cpu, uint64_t linear, uint16_t pcid)
{
    invalidate_address((struct scope){ .cpu = cpu, .vpid = cpu->vmx.vpid, .pcid = pcid, .linear = linear,
                                       .keep_global = true }, at_linear_in_pcid);
}

void tlb_invept(struct cpu *cpu, uint64_t eptp)
{
    guest_physical_invept(cpu, eptp);
    invalidate((struct scope){ .cpu = cpu, .eptrta = EPTRTA(eptp) }, in_eptrta);
}

void tlb_invept_all(struct cpu *cpu)
{
    guest_physical_invept_all(cpu);
    invalidate((struct scope){ .cpu = cpu }, in_any_eptrta);
}

void tlb_invvpid_address(struct cpu *cpu, uint16_t vpid, uint64_t linear)
{
    invalidate_address((struct scope){ .cpu = cpu, .vpid = vpid, .linear = linear }, at_linear);
}

void tlb_invvpid(struct cpu *cpu, uint16_t vpid, bool keep_global)
{
    invalidate((struct scope){ .cpu = cpu, .vpid = vpid, .keep_global = keep_global }, in_vpid);
}

/* "All mappings associated with all VPIDs except VPID 0000H" (31.3, INVVPID). */
void tlb_invvpid_all(struct cpu *cpu)
{
    invalidate((struct scope){ .cpu = cpu }, in_any_vpid);
}

void tlb_vmx_transition(struct cpu *cpu)
{
    invalidate((struct scope){ .cpu = cpu, .vpid = 0 }, in_vpid);
}

void tlb_drop_gpa(struct cpu *cpu, uint64_t eptp, uint64_t gpa)
{
    guest_physical_drop(cpu, eptp, gpa);
    cpu->model->tlb.generation++;
}

void tlb_reset(struct cpu *cpu)
{
    guest_physical_invept_all(cpu);
    invalidate((struct scope){ .cpu = cpu }, everything);
}

const struct tlb_entry *tlb_next(const struct tlb *tlb, const struct tlb_entry *entry)
{
    size_t slot = entry ? (size_t)(entry - &tlb->entry[0][0]) + 1 : 0;

    for (; slot < (size_t)TLB_SETS * TLB_WAYS; slot++) {
        size_t set = slot / TLB_WAYS;
        if (!(tlb->occupied[set / 64] >> set % 64 & 1))
            slot = (set + 1) * TLB_WAYS - 1;
        else if (tlb->entry[set][slot % TLB_WAYS].valid)
            return &tlb->entry[set][slot % TLB_WAYS];
    }
    return NULL;
}
