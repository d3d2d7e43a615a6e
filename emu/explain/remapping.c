/* SPDX-License-Identifier: MIT */
/* What the remapping unit refuses: like a VM entry that fails, by name, with what was read on the way. */
#include "emu/explain/remapping.h"

#include <inttypes.h>

#include "emu/explain/explain.h"
#include "emu/machine/parts.h"
#include "model/iommu/iommu.h"

static const char *const kinds[] = { "untranslated", "translation request", "translated" };
static const char *const accesses[] = { "read", "write", "atomic operation" };

static void tell_step(struct explanation *e, const struct iommu_step *step)
{
    static const char *const names[] = { "root entry", "context entry", "PASID directory entry", "PASID table entry", "first stage", "second stage",
                                         "interrupt remapping entry" };

    switch ((enum iommu_structure)step->structure) {
    case IOMMU_FIRST:
    case IOMMU_SECOND:
        explain_line(e, "%s, level %u: entry at 0x%" PRIx64 " is 0x%016" PRIx64, names[step->structure], step->level, step->pa, step->value);
        break;
    default:
        explain_line(e, "%s at 0x%" PRIx64 ", bits %u:%u: 0x%016" PRIx64, names[step->structure], step->pa - 8u * step->level, 64u * step->level + 63,
                     64u * step->level, step->value);
    }
}

/* 64 bits of an entry of which the rest is 0 say nothing new. */
static void tell_way(struct explanation *e, const struct iommu_way *way)
{
    for (unsigned i = 0; way && i < way->count; i++) {
        const struct iommu_step *step = &way->step[i];

        if (step->value || step->level == 0 || step->structure == IOMMU_FIRST || step->structure == IOMMU_SECOND)
            tell_step(e, step);
    }
}

static void tell_request(struct explanation *e, const struct iommu_notice *notice, const struct iommu_reason_row *row)
{
    const struct iommu_request *r = notice->request;
    char pasid[32] = "";

    if (r->has_pasid)
        snprintf(pasid, sizeof pasid, " with PASID 0x%" PRIx32, r->pasid);
    if (row->group == IOMMU_GROUP_INTERRUPT)
        explain_line(e, "the remapping unit refuses an interrupt request of index 0x%" PRIx64 " by %02x:%02x.%x", r->address >> 48, r->source >> 8,
                     r->source >> 3 & 31, r->source & 7);
    else
        explain_line(e, "the remapping unit refuses a DMA %s%s%s of 0x%" PRIx64 " by %02x:%02x.%x%s", accesses[r->access], r->kind ? ", " : "",
                     r->kind ? kinds[r->kind] : "", r->address, r->source >> 8, r->source >> 3 & 31, r->source & 7, pasid);
}

static void explain_request(struct machine *machine, const struct iommu_notice *notice)
{
    const struct iommu_reason_row *row = &iommu_reasons[notice->reason];
    const struct iommu_request *r = notice->request;
    struct explanation *e = explain_begin(machine, &machine->model->cpu[0], explain_key((r->address & PAGE_MASK) ^ r->source, row->name));

    if (!e)
        return;
    tell_request(e, notice, row);
    explain_line(e, "%s: %s [VT-d, %s]", row->name, row->text, row->section);
    tell_way(e, notice->way);
    if (notice->recorded)
        explain_line(e, "recorded as fault reason 0x%" PRIx64, notice->value);
    else if (row->legacy || row->scalable)
        explain_line(e, "not recorded: %s", row->suppressible ? "an entry on the way has fault processing disabled (FPD), or it is answered without" : "it is answered without");
    explain_end(e);
}

static void explain_software(struct machine *machine, const struct iommu_notice *notice)
{
    const struct iommu_reason_row *row = &iommu_reasons[notice->reason];
    struct explanation *e = explain_begin(machine, &machine->model->cpu[0], explain_key(notice->value, row->name));

    if (!e)
        return;
    if (row->group == IOMMU_GROUP_QUEUE)
        explain_line(e, "the remapping unit stops its invalidation queue at offset 0x%" PRIx64 " (descriptor 0x%016" PRIx64 " 0x%016" PRIx64 "), error information %u",
                     notice->value, notice->low, notice->high, row->legacy);
    else
        explain_line(e, "the remapping unit is asked for what makes no sense (0x%" PRIx64 ")", notice->value);
    explain_line(e, "%s: %s [VT-d, %s]", row->name, row->text, row->section);
    explain_end(e);
}

/* A driver that flushes lazily knows of it: this is for traces, and for people who want all. */
static void explain_stale(struct machine *machine, const struct iommu_notice *notice)
{
    struct explanation *e = explain_begin(machine, &machine->model->cpu[0], 0);

    if (!e)
        return;
    if (notice->request)
        explain_line(e, "the remapping unit used a remembered translation of 0x%" PRIx64 " for %02x:%02x.%x: it led to 0x%" PRIx64 ", the tables now %s0x%" PRIx64 " [VT-d, 6.2]",
                     notice->request->address, notice->request->source >> 8, notice->request->source >> 3 & 31, notice->request->source & 7, notice->before,
                     notice->reason ? "refuse; " : "lead to ", notice->value);
    else
        explain_line(e, "the remapping unit used a remembered interrupt entry %" PRIu64 ": it was 0x%016" PRIx64 " and is 0x%016" PRIx64 " [VT-d, 6.2]", notice->low,
                     notice->before, notice->value);
    explain_end(e);
}

void remapping_explain(struct machine *machine, const struct iommu_notice *notice)
{
    if (notice->kind == IOMMU_NOTICE_STALE)
        explain_stale(machine, notice);
    else if (notice->kind == IOMMU_NOTICE_REFUSED && notice->request)
        explain_request(machine, notice);
    else if (notice->kind == IOMMU_NOTICE_REFUSED)
        explain_software(machine, notice);
}
