/* SPDX-License-Identifier: MIT */
/*
 * The second stage as a processor does it: what it remembers first, then a walk (SDM Vol. 3, 29.4.2). What is remembered is what
 * *may* still be cached, whatever the policy: a use of it that a walk would not allow is reported, and the policy only decides
 * whether this processor had it still.
 */
#include "model/cpu/raise.h"
#include "model/ept/ept.h"
#include "model/model.h"

/* Does memory still say what was remembered? */
static bool holds(const struct cpu *cpu, uint64_t eptp, const struct guest_physical *known)
{
    if (known->eptp != eptp || known->right_mask != ept_right_bits(cpu))
        return false;
    for (unsigned i = known->steps.count; i-- > 0;) {
        if (memory_read64(&cpu->model->memory, known->steps.step[i].pa) != known->steps.step[i].value)
            return false;
    }
    return true;
}

#define ENTRY_ADDRESS 0x000ffffffffff000ull

/* Has nothing changed that asks for INVEPT (29.4.3.4): are all entries at their places, with the rights they had at least? */
static bool holds_in_substance(const struct cpu *cpu, const struct guest_physical *known)
{
    for (unsigned i = 0; i < known->steps.count; i++) {
        uint64_t old = known->steps.step[i].value, new = memory_read64(&cpu->model->memory, known->steps.step[i].pa);

        if (((old ^ new) & (ENTRY_ADDRESS | EPT_LARGE)) || (old & ~new & known->right_mask))
            return false;
    }
    return known->right_mask == ept_right_bits(cpu);
}

/* May an access like this use the mapping without a walk? */
static bool serves(const struct cpu *cpu, uint64_t eptp, const struct guest_physical *known, struct ept_access access)
{
    bool write = ept_counts_as_write(eptp, access);
    uint64_t need = access.kind == ACCESS_FETCH ? EPT_EXECUTE : access.kind == ACCESS_READ ? EPT_READ : EPT_WRITE;

    need |= write ? EPT_WRITE : 0;
    return !(need & ~ept_access_rights(cpu, known->right_bits, access)) && (!write || known->dirty || known->shadowed);
}

/* ---- what INVEPT should have removed ---- */

static void report(struct cpu *cpu, const struct guest_physical *known, uint64_t gpa, struct ept_access access,
                   const struct ept_translation *old, const struct ept_translation *now)
{
    const struct memory *memory = &cpu->model->memory;
    struct stale_entry stale = {
        .eptp = known->eptp, .gpa = gpa, .linear = access.linear, .reaches = now->result == TRANSLATION_OK, .pa_now = now->pa,
        .rights_now = now->rights,
    };
    unsigned i = 0;

    while (i + 1 < known->steps.count && memory_read64(memory, known->steps.step[i].pa) == known->steps.step[i].value)
        i++;
    stale.pa = known->steps.step[i].pa;
    stale.remembered = known->steps.step[i].value;
    stale.present = memory_read64(memory, stale.pa);
    stale.level = known->level + known->steps.count - 1 - i;
    cpu_notify(cpu, &(struct notice){
        .kind = known->shadowed ? NOTICE_MISTAKE : NOTICE_VIOLATION, .a = RULE_ISOLATION, .b = gpa & PAGE_MASK,
        .c = old->pa & PAGE_MASK,
        .d = access.linear, .stale = &stale,
        .text = known->leaf ? "a remembered guest-physical mapping was used after its EPT entry had changed: INVEPT is missing "
                              "[29.4.3.4]"
                            : "a remembered EPT entry that refers to a table was used after it had changed: INVEPT is missing "
                              "[29.4.3.4]" });
}

/* Another processor may have changed the entries just now; who watches a guest's EPT asks for that guest's stay. */
static bool missed(const struct cpu *cpu, struct guest_physical *known)
{
    if (!known->shadowed && cpu->settled)
        return true;
    return shootdown_missed(cpu, known->shadowed ? cpu->shadowed_stay : cpu->stay, &known->seen, known->shadowed);
}

/* Does `old` lead elsewhere than a walk does now, or give more? */
static bool exceeds(const struct ept_translation *old, const struct ept_translation *fresh)
{
    return fresh->result != TRANSLATION_OK || old->pa != fresh->pa || (old->rights & ~fresh->rights);
}

static struct ept_translation walk_fresh(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access)
{
    access.probe = true;
    access.from = NULL;
    access.steps = NULL;
    return ept_walk(cpu, eptp, gpa, access);
}

static struct ept_translation use(const struct cpu *cpu, const struct guest_physical *known, uint64_t gpa,
                                  struct ept_access access)
{
    uint64_t span = guest_physical_span(known->level);

    if (access.steps)
        *access.steps = known->steps;
    return (struct ept_translation){
        .result = TRANSLATION_OK, .pa = known->address | (gpa & (span - 1)), .page_size = span, .dirty = known->dirty,
        .rights = ept_access_rights(cpu, known->right_bits, access), .right_bits = known->right_bits,
        .memory_type = known->memory_type,
    };
}

/* A mapping that serves the access, but memory has changed. May it be used all the same?  Not if the difference does no harm
 * here: a walk is made then, so that flags which software cleared are set again. *kept: it is not used, but still remembered. */
static bool use_stale(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access, struct guest_physical *known,
                      bool *kept)
{
    struct ept_translation old = use(cpu, known, gpa, (struct ept_access){ .page = access.page, .kind = access.kind });
    struct ept_translation fresh = walk_fresh(cpu, eptp, gpa, access);

    if (known->right_mask != ept_right_bits(cpu) || !exceeds(&old, &fresh))
        return false;
    *kept = !missed(cpu, known);
    if (!*kept)
        report(cpu, known, gpa, access, &old, &fresh);
    if (known->shadowed || !tlb_use(&cpu->model->tlb)) {
        if (!*kept)
            guest_physical_drop(cpu, eptp, gpa);
        return false;
    }
    cpu->model->tlb.stale_uses++;
    return true;
}

/*
 * No mapping of the page is remembered, but perhaps an entry on the way to it: a processor would go on from there. This one
 * never does, but tells if that would have led elsewhere.
 */
static void look_for_stale_table(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access)
{
    struct guest_physical *known = NULL;
    struct ept_translation old, fresh;
    struct ept_table table;

    for (unsigned level = 2; level <= ept_levels(eptp) && !known; level++)
        known = guest_physical_table(cpu, eptp, gpa, level);
    if (!known || holds(cpu, eptp, known))
        return;
    if (known->right_mask == ept_right_bits(cpu)) {
        table = (struct ept_table){ known->level - 1u, known->address, known->right_bits };
        fresh = walk_fresh(cpu, eptp, gpa, access);
        access.probe = true;
        access.steps = NULL;
        access.from = &table;
        old = ept_walk(cpu, eptp, gpa, access);
        if (old.result == TRANSLATION_OK && exceeds(&old, &fresh) && missed(cpu, known)) {
            report(cpu, known, gpa, access, &old, &fresh);
            guest_physical_drop(cpu, eptp, gpa);
        }
    }
}

/* ---- both ---- */

/* What is remembered of `gpa` and may serve the access; NULL: nothing, and a walk has to be made, whose result takes its place unless it
 * is `kept`. */
static struct guest_physical *recall(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access, bool *kept)
{
    struct guest_physical *known = guest_physical_page(cpu, eptp, gpa);
    bool fresh;

    *kept = false;
    if (!known) {
        look_for_stale_table(cpu, eptp, gpa, access);
        return NULL;
    }
    fresh = holds(cpu, eptp, known);
    if (fresh)
        known->seen.stay = 0;
    if (serves(cpu, eptp, known, access) && (fresh || use_stale(cpu, eptp, gpa, access, known, kept)))
        return known;
    if (!fresh && !known->shadowed)
        cpu->model->tlb.generation++;
    return NULL;
}

/* The entries of a walk, each as the one that would be found by its level. Those of higher levels are most often known; of one
 * that leads elsewhere now a processor may have kept what it was. */
static void remember(struct cpu *cpu, uint64_t eptp, uint64_t gpa, const struct ept_translation *at, const struct ept_steps *steps,
                     bool shadowed)
{
    struct guest_physical mapping = {
        .valid = true, .leaf = true, .dirty = at->dirty, .shadowed = shadowed, .cpu = (uint8_t)cpu->index,
        .level = (uint8_t)(ept_levels(eptp) - steps->count + 1), .memory_type = at->memory_type, .right_bits = at->right_bits,
        .right_mask = ept_right_bits(cpu), .eptp = eptp, .steps = *steps,
    };

    mapping.gpa = gpa & ~(guest_physical_span(mapping.level) - 1);
    mapping.address = at->pa & ~(guest_physical_span(mapping.level) - 1);
    guest_physical_insert(cpu, &mapping);
    mapping.leaf = false;
    while (mapping.steps.count > 1) {
        struct guest_physical *known;

        mapping.steps.count--;
        mapping.level++;
        known = guest_physical_table(cpu, eptp, gpa, mapping.level);
        if (known && holds(cpu, eptp, known))
            return;
        if (known && !holds_in_substance(cpu, known))
            continue;
        mapping.gpa = gpa & ~(guest_physical_span(mapping.level) - 1);
        mapping.address = mapping.steps.step[mapping.steps.count - 1].value & ENTRY_ADDRESS;
        mapping.right_bits = mapping.right_mask;
        for (unsigned i = 0; i < mapping.steps.count; i++)
            mapping.right_bits &= mapping.steps.step[i].value;
        guest_physical_insert(cpu, &mapping);
    }
}

struct ept_translation ept_translate(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access)
{
    const struct guest_physical *known;
    struct ept_translation at;
    struct ept_steps steps;
    bool kept;

    if (access.probe)
        return ept_walk(cpu, eptp, gpa, access);
    known = recall(cpu, eptp, gpa, access, &kept);
    if (known) {
        at = use(cpu, known, gpa, access);
    } else {
        struct ept_steps *wanted = access.steps;

        access.steps = &steps;
        at = ept_walk(cpu, eptp, gpa, access);
        if (at.result == TRANSLATION_OK && !kept)
            remember(cpu, eptp, gpa, &at, &steps, false);
        else if (at.result == TRANSLATION_EPT_VIOLATION)
            tlb_drop_gpa(cpu, eptp, gpa);
        access.steps = wanted;
        if (wanted && at.result == TRANSLATION_OK)
            *wanted = steps;
    }
    if (cpu->vmx.shadowed_eptp && (at.result == TRANSLATION_OK || at.result == TRANSLATION_EPT_VIOLATION))
        ept_watch_shadowed(cpu, gpa, access);
    return at;
}

void ept_watch_shadowed(struct cpu *cpu, uint64_t gpa, struct ept_access access)
{
    uint64_t eptp = cpu->vmx.shadowed_eptp;
    struct ept_translation at;
    struct ept_steps steps;
    bool kept;

    access.probe = true;
    access.steps = &steps;
    if (recall(cpu, eptp, gpa, access, &kept) || kept)
        return;
    at = ept_walk(cpu, eptp, gpa, access);
    if (at.result == TRANSLATION_OK)
        remember(cpu, eptp, gpa, &at, &steps, true);
}
