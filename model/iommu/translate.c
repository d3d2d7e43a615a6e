/* SPDX-License-Identifier: MIT */
/* A request, from the root table to the page: VT-d, 3.4, 3.14 and 7.1.3, which gives the order of what can be wrong. */
#include "model/iommu/parts.h"

#include <string.h>

bool iommu_scalable(const struct iommu *iommu)
{
    return VTD_TTM(iommu->root) == VTD_TTM_SCALABLE;
}

uint64_t iommu_beyond_host(const struct iommu *iommu)
{
    return ~0ull << iommu->host_address_width;
}

bool iommu_read_entry(struct iommu *iommu, struct iommu_way *way, enum iommu_structure structure, unsigned level, uint64_t pa, uint64_t *value)
{
    bool read = memory_read(iommu->memory, pa, value, sizeof(*value));

    if (way->count < IOMMU_STEPS)
        way->step[way->count++] = (struct iommu_step){ .structure = (uint8_t)structure, .level = (uint8_t)level, .pa = pa, .value = *value };
    return read;
}

/* What was read further on. */
static void append(struct iommu_way *way, const struct iommu_way *more)
{
    for (unsigned i = 0; i < more->count && way->count < IOMMU_STEPS; i++)
        way->step[way->count++] = more->step[i];
}

/* Reads `count` times 64 bits. */
static bool read_words(struct iommu *iommu, struct iommu_way *way, enum iommu_structure structure, uint64_t pa, uint64_t *word, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!iommu_read_entry(iommu, way, structure, i, pa + 8 * i, &word[i]))
            return false;
    }
    return true;
}

/* One request on its way. */
struct passage {
    struct iommu *iommu;
    const struct iommu_request *request;
    bool probe;                 /* tables alone: nothing remembered is used, nothing is remembered, no flags are set */
    bool fpd;                   /* the entries met so far say that faults are not recorded */
    bool differs;               /* something remembered was used, and memory says something else by now */
    struct iommu_translation *to;
};

/*
 * May what is remembered be used?  Without differences always; otherwise the policy says whether this unit had it still. `same`: what led to it
 * then is what leads there now. Software that gives a source other tables, and invalidates too little, finds what was found through the old ones.
 */
static bool usable(struct passage *t, const struct iommu_way *way, bool same)
{
    if (t->probe)
        return false;
    if (same && iommu_holds(t->iommu, way))
        return true;
    if (!iommu_keeps_stale(t->iommu))
        return false;
    t->differs = true;
    return true;
}

/* ---- the context entry: 9.1 to 9.4 ---- */

static enum iommu_reason check_legacy_context(const struct iommu *iommu, const uint64_t word[2])
{
    uint64_t ecap = iommu->profile->ecap, type = VTD_CONTEXT_TT(word[0]);

    if ((word[0] & (0xff0 | (iommu_beyond_host(iommu)))) || (word[1] & 0xffffffffff000080))
        return IOMMU_context_reserved;
    if (type == VTD_TT_RESERVED || (type == VTD_TT_ALL && !(ecap & VTD_ECAP_DT)) || (type == VTD_TT_PASS_THROUGH && !(ecap & VTD_ECAP_PT)))
        return IOMMU_context_type;
    return VTD_CAP_SAGAW(iommu->profile->cap) >> VTD_CONTEXT_AW(word[1]) & 1 ? IOMMU_GRANTED : IOMMU_context_width;
}

static enum iommu_reason check_scalable_context(const struct iommu *iommu, const uint64_t word[4])
{
    uint64_t ecap = iommu->profile->ecap, low = 0x1e0 | iommu_beyond_host(iommu), high = ~0x1fffffull;

    low |= ecap & VTD_ECAP_DT ? 0 : VTD_CONTEXT_DTE;
    low |= ecap & VTD_ECAP_PASID ? 0 : VTD_CONTEXT_PASIDE;
    low |= ecap & VTD_ECAP_PRS ? 0 : VTD_CONTEXT_PRE;
    high |= ecap & VTD_ECAP_RPS ? 0 : 0xfffff;
    high |= ecap & VTD_ECAP_RPRIVS ? 0 : VTD_CONTEXT_RID_PRIV;
    return (word[0] & low) || (word[1] & high) || word[2] || word[3] ? IOMMU_context_reserved : IOMMU_GRANTED;
}

static enum iommu_reason read_context(struct passage *t, struct iommu_context *context)
{
    struct iommu *iommu = t->iommu;
    bool scalable = iommu_scalable(iommu), upper = scalable && (t->request->source & 0x80);
    uint64_t root = (iommu->root & VTD_ADDRESS) + (t->request->source >> 8) * 16ull, word[2] = { 0 };
    unsigned devfn = t->request->source & (scalable ? 0x7f : 0xff);

    if (!read_words(iommu, &context->way, IOMMU_ROOT, root + 8 * upper, word, scalable ? 1 : 2))
        return IOMMU_root_access;
    if (!(word[0] & VTD_PRESENT))
        return IOMMU_root_absent;
    if ((word[0] & (0xffe | iommu_beyond_host(iommu))) || word[1])
        return IOMMU_root_reserved;
    if (!read_words(iommu, &context->way, IOMMU_CONTEXT, (word[0] & VTD_ADDRESS) + devfn * (scalable ? 32ull : 16ull), context->word, scalable ? 4 : 2))
        return IOMMU_context_access;
    t->fpd = context->word[0] & VTD_FPD;
    if (!(context->word[0] & VTD_PRESENT))
        return IOMMU_context_absent;
    context->did = scalable ? 0 : (uint16_t)VTD_CONTEXT_DID(context->word[1]);
    return scalable ? check_scalable_context(iommu, context->word) : check_legacy_context(iommu, context->word);
}

static enum iommu_reason find_context(struct passage *t, struct iommu_context *context)
{
    const struct iommu_context *known = iommu_find_context(t->iommu, t->request->source);
    enum iommu_reason reason;

    if (known && usable(t, &known->way, known->from == t->iommu->root)) {
        *context = *known;
        t->fpd = context->word[0] & VTD_FPD;
        return IOMMU_GRANTED;
    }
    *context = (struct iommu_context){ .valid = true, .source = t->request->source, .from = t->iommu->root };
    reason = read_context(t, context);
    append(&t->to->way, &context->way);
    if (!reason && !t->probe)
        iommu_remember_context(t->iommu, context);
    return reason;
}

/* ---- the PASID table entry: 9.5, 9.6 ---- */

static enum iommu_reason check_pasid(const struct iommu *iommu, const uint64_t word[8])
{
    uint64_t cap = iommu->profile->cap, ecap = iommu->profile->ecap, w0 = 0xc20 | iommu_beyond_host(iommu), w1 = 0xfffffffffe7f0000,
             w2 = 0xf02 | iommu_beyond_host(iommu), type = VTD_PASID_PGTT(word[0]);
    static const uint64_t needs[8] = {
        [VTD_PGTT_FIRST] = VTD_ECAP_FLTS, [VTD_PGTT_SECOND] = VTD_ECAP_SLTS, [VTD_PGTT_NESTED] = VTD_ECAP_NEST, [VTD_PGTT_PASS_THROUGH] = VTD_ECAP_PT,
    };

    w0 |= ecap & VTD_ECAP_SLADS ? 0 : VTD_PASID_SLADE;
    w1 |= ecap & VTD_ECAP_SMPWCS ? 0 : VTD_PASID_PWSNP;
    w1 |= ecap & VTD_ECAP_SC ? 0 : 1ull << 24;
    w2 |= ecap & VTD_ECAP_SRS ? 0 : VTD_PASID_SRE;
    w2 |= ecap & VTD_ECAP_EAFS ? 0 : VTD_PASID_EAFE;
    if ((word[0] & w0) || (word[1] & w1) || (word[2] & w2) || word[3] || word[4] || word[5] || word[6] || word[7])
        return IOMMU_pasid_reserved;
    if (!(ecap & needs[type]))
        return IOMMU_pasid_type;
    if ((type == VTD_PGTT_SECOND || type == VTD_PGTT_NESTED) && !(VTD_CAP_SAGAW(cap) >> VTD_PASID_AW(word[0]) & 1))
        return IOMMU_pasid_width;
    if ((type == VTD_PGTT_FIRST || type == VTD_PGTT_NESTED) && VTD_PASID_FSPM(word[2]) > (cap & VTD_CAP_FL5LP ? 1 : 0))
        return IOMMU_pasid_width;
    return IOMMU_GRANTED;
}

static enum iommu_reason read_pasid(struct passage *t, uint64_t directory, struct iommu_pasid *entry)
{
    struct iommu *iommu = t->iommu;
    uint64_t table, word[8] = { 0 };
    enum iommu_reason reason;

    if (!read_words(iommu, &entry->way, IOMMU_DIRECTORY, (directory & VTD_ADDRESS) + (entry->pasid >> 6) * 8ull, &table, 1))
        return IOMMU_directory_access;
    t->fpd = t->fpd || (table & VTD_FPD);
    if (!(table & VTD_PRESENT))
        return IOMMU_directory_absent;
    if (table & (0xffc | iommu_beyond_host(iommu)))
        return IOMMU_directory_reserved;
    if (!read_words(iommu, &entry->way, IOMMU_PASID, (table & VTD_ADDRESS) + (entry->pasid & 63) * 64ull, word, 8))
        return IOMMU_pasid_access;
    t->fpd = t->fpd || (word[0] & VTD_FPD);
    entry->fpd = (table | word[0]) & VTD_FPD;
    if (!(word[0] & VTD_PRESENT))
        return IOMMU_pasid_absent;
    reason = check_pasid(iommu, word);
    for (unsigned i = 0; i < 3; i++)
        entry->word[i] = word[i];
    entry->did = (uint16_t)VTD_PASID_DID(word[1]);
    return reason;
}

static enum iommu_reason find_pasid(struct passage *t, const struct iommu_context *context, struct iommu_pasid *entry)
{
    const struct iommu_request *request = t->request;
    uint32_t pasid = request->has_pasid ? request->pasid : (uint32_t)VTD_CONTEXT_RID_PASID(context->word[1]);
    const struct iommu_pasid *known;
    enum iommu_reason reason;

    if (pasid >> (VTD_CONTEXT_PDTS(context->word[0]) + 13))
        return request->has_pasid ? IOMMU_pasid_range : IOMMU_rid_pasid_range;
    known = iommu_find_pasid(t->iommu, request->source, pasid);
    if (known && usable(t, &known->way, known->from == (context->word[0] & VTD_ADDRESS))) {
        *entry = *known;
        t->fpd = t->fpd || entry->fpd;
        return IOMMU_GRANTED;
    }
    *entry = (struct iommu_pasid){ .valid = true, .source = request->source, .pasid = pasid, .from = context->word[0] & VTD_ADDRESS };
    reason = read_pasid(t, context->word[0], entry);
    append(&t->to->way, &entry->way);
    if (!reason && !t->probe)
        iommu_remember_pasid(t->iommu, entry);
    return reason;
}

/* ---- the page ---- */

/* What translates the request: of a PASID table entry, or what a legacy context entry says in the same terms. */
struct tables {
    enum vtd_pasid_translation type;
    uint16_t did;
    uint32_t pasid;             /* of what is remembered: IOMMU_NO_PASID where only a second stage translates */
    bool snoops;
    uint64_t word[3];
};

static enum iommu_reason find_tables(struct passage *t, struct tables *tables)
{
    struct iommu_context context;
    struct iommu_pasid entry;
    uint64_t ecap = t->iommu->profile->ecap;
    bool untranslated = t->request->kind == IOMMU_UNTRANSLATED;

    TRY_REASON(find_context(t, &context));
    if (!iommu_scalable(t->iommu)) {
        if (!untranslated && VTD_CONTEXT_TT(context.word[0]) != VTD_TT_ALL)
            return IOMMU_context_kind;
        *tables = (struct tables){
            .type = VTD_CONTEXT_TT(context.word[0]) == VTD_TT_PASS_THROUGH ? VTD_PGTT_PASS_THROUGH : VTD_PGTT_SECOND, .did = context.did,
            .pasid = IOMMU_NO_PASID, .snoops = ecap & VTD_ECAP_C,
            .word = { (context.word[0] & VTD_ADDRESS) | VTD_CONTEXT_AW(context.word[1]) << 2 },
        };
        return IOMMU_GRANTED;
    }
    if (!untranslated && !(context.word[0] & VTD_CONTEXT_DTE))
        return IOMMU_context_kind;
    if (t->request->has_pasid && !(context.word[0] & VTD_CONTEXT_PASIDE))
        return IOMMU_context_pasid;
    TRY_REASON(find_pasid(t, &context, &entry));
    if (t->request->supervisor && !(entry.word[2] & VTD_PASID_SRE))
        return IOMMU_pasid_supervisor;
    *tables = (struct tables){
        .type = VTD_PASID_PGTT(entry.word[0]), .did = entry.did, .snoops = (entry.word[1] & VTD_PASID_PWSNP) || !(ecap & VTD_ECAP_SMPWCS),
        .pasid = VTD_PASID_PGTT(entry.word[0]) == VTD_PGTT_SECOND ? IOMMU_NO_PASID : entry.pasid, .word = { entry.word[0], entry.word[1], entry.word[2] },
    };
    return IOMMU_GRANTED;
}

static bool in_interrupt_range(uint64_t address)
{
    return address >= VTD_INTERRUPT_BASE && address < VTD_INTERRUPT_END;
}

/* A page that is remembered serves a request that its rights allow, without a flag to set. */
static bool serves(const struct iommu_page *page, const struct iommu_request *request)
{
    bool write = request->access != IOMMU_READ;

    return (!write || (page->writable && page->dirty)) && (request->access == IOMMU_WRITE || page->readable) &&
           (request->supervisor || page->user) && (!request->execute || page->executable);
}

static void grant(struct passage *t, uint64_t pa, uint64_t size, bool readable, bool writable)
{
    t->to->pa = pa;
    t->to->size = size;
    t->to->readable = readable;
    t->to->writable = writable;
}

static enum iommu_reason find_page(struct passage *t, const struct tables *tables)
{
    struct iommu *iommu = t->iommu;
    const struct iommu_request *request = t->request;
    struct iommu_page *known = iommu_find_page(iommu, tables->did, tables->pasid, request->address), page;
    struct iommu_way way = { 0 };
    struct iommu_walk walk = { .iommu = iommu, .request = request, .way = &way, .probe = t->probe, .snoops = tables->snoops,
                               .word = { tables->word[0], tables->word[1], tables->word[2] } };
    struct iommu_stage at;

    if (known && serves(known, request) && usable(t, &known->way, !memcmp(known->from, tables->word, sizeof(known->from)))) {
        grant(t, known->pa | (request->address & (known->size - 1)), known->size, known->readable, known->writable);
        return IOMMU_GRANTED;
    }
    if (tables->type == VTD_PGTT_SECOND)
        at = iommu_second_walk(&walk, tables->word[0], VTD_PASID_AW(tables->word[0]), tables->word[0] & VTD_PASID_SLADE, request->address,
                               request->access);
    else
        at = iommu_first_walk(&walk, tables->type == VTD_PGTT_NESTED);
    append(&t->to->way, &way);
    if (at.reason)
        return at.reason;
    grant(t, at.pa, at.size, at.readable, at.writable);
    page = (struct iommu_page){
        .valid = true, .did = tables->did, .pasid = tables->pasid, .address = request->address & ~(at.size - 1), .pa = at.pa & ~(at.size - 1),
        .size = at.size, .readable = at.readable, .writable = at.writable, .user = at.user, .executable = at.executable, .dirty = at.dirty, .way = way,
        .from = { tables->word[0], tables->word[1], tables->word[2] },
    };
    if (!t->probe)
        iommu_remember_page(iommu, &page);
    return IOMMU_GRANTED;
}

/* ---- the whole ---- */

/* 11.4, Protected Memory Enable Register: the limits are inclusive, with ones below the bits that there are. */
static bool in_protected(const struct iommu *iommu, uint64_t address)
{
    uint64_t low_limit = IOMMU_R(iommu, plmlimit) | 0x1fffff, high_limit = IOMMU_R(iommu, phmlimit) | 0x1fffff;

    return (IOMMU_R(iommu, pmen) & VTD_PMEN_EPM) && ((address >= IOMMU_R(iommu, plmbase) && address <= low_limit) ||
                                                     (address >= IOMMU_R(iommu, phmbase) && address <= high_limit));
}

static enum iommu_reason pass(struct passage *t)
{
    uint64_t address = t->request->address;

    if (address & iommu_beyond_host(t->iommu))
        return IOMMU_pass_range;
    grant(t, address, PAGE_SIZE, true, true);
    return in_interrupt_range(address) ? IOMMU_output : IOMMU_GRANTED;
}

static enum iommu_reason follow(struct passage *t)
{
    struct iommu *iommu = t->iommu;
    struct tables tables;

    if (t->request->kind == IOMMU_UNTRANSLATED && !t->request->has_pasid && in_interrupt_range(t->request->address)) {
        t->to->interrupt = true;
        return IOMMU_GRANTED;
    }
    if (!(IOMMU_R(iommu, gsts) & VTD_TE)) {
        grant(t, t->request->address, PAGE_SIZE, true, true);
        return in_protected(iommu, t->request->address) ? IOMMU_protected : IOMMU_GRANTED;
    }
    switch ((enum vtd_translation_table_mode)VTD_TTM(iommu->root)) {
    case VTD_TTM_ABORT:
        return iommu->profile->ecap & VTD_ECAP_ADMS ? IOMMU_abort : IOMMU_mode;
    case VTD_TTM_RESERVED:
        return IOMMU_mode;
    case VTD_TTM_SCALABLE:
        if (!(iommu->profile->ecap & VTD_ECAP_SMTS))
            return IOMMU_mode;
        break;
    case VTD_TTM_LEGACY:
        if (t->request->has_pasid)
            return IOMMU_legacy_pasid;
        break;
    }
    TRY_REASON(find_tables(t, &tables));
    if (tables.type == VTD_PGTT_PASS_THROUGH || t->request->kind == IOMMU_TRANSLATED)
        return pass(t);
    TRY_REASON(find_page(t, &tables));
    return in_interrupt_range(t->to->pa) ? IOMMU_output : IOMMU_GRANTED;
}

struct iommu_translation iommu_probe(struct iommu *iommu, const struct iommu_request *request)
{
    struct iommu_translation to = { 0 };
    struct passage t = { .iommu = iommu, .request = request, .probe = true, .to = &to };

    to.reason = follow(&t);
    return to;
}

/* What was remembered has been used although memory says something else: does that lead elsewhere, or give more? */
static bool exceeds(const struct iommu_translation *used, const struct iommu_translation *fresh)
{
    return fresh->reason || fresh->pa != used->pa || (used->readable && !fresh->readable) || (used->writable && !fresh->writable);
}

struct iommu_translation iommu_translate(struct iommu *iommu, const struct iommu_request *request)
{
    struct iommu_translation to = { 0 }, fresh;
    struct passage t = { .iommu = iommu, .request = request, .to = &to };

    to.reason = follow(&t);
    if (to.reason) {
        iommu_refuse(iommu, to.reason, request, &to.way, t.fpd);
        return to;
    }
    if (t.differs) {
        fresh = iommu_probe(iommu, request);
        to.stale = exceeds(&to, &fresh);
        if (to.stale) {
            iommu->stale_uses++;
            iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_STALE, .reason = fresh.reason, .request = request, .way = &fresh.way,
                                                        .before = to.pa, .value = fresh.pa });
        }
    }
    return to;
}
