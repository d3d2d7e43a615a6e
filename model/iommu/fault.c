/* SPDX-License-Identifier: MIT */
/* What a remapping unit refuses, recorded and told; the two interrupts that it sends of its own: VT-d, 7.2.1 and 7.3, 11.4. */
#include "model/iommu/parts.h"

const struct iommu_reason_row iommu_reasons[IOMMU_REASONS] = {
    { 0 },
#define IOMMU_REASON(id, name, group, legacy, scalable, suppressible, section, text) \
    { name, section, text, IOMMU_GROUP_##group, legacy, scalable, suppressible },
#include "model/iommu/reasons.def"
};

void iommu_notify(struct iommu *iommu, const struct iommu_notice *notice)
{
    if (iommu->outside.notify)
        iommu->outside.notify(iommu->outside.context, notice);
}

void iommu_complain(struct iommu *iommu, enum iommu_reason reason, uint64_t value)
{
    iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_REFUSED, .reason = reason, .value = value });
}

/* ---- events: 7.3 ---- */

/* One of the two interrupts, by its four registers. */
static void send(struct iommu *iommu, uint64_t *control, uint64_t data, uint64_t address, uint64_t upper)
{
    if (*control & VTD_EVENT_MASK) {
        *control |= VTD_EVENT_PENDING;
        return;
    }
    *control &= ~VTD_EVENT_PENDING;
    iommu->outside.message(iommu->outside.context, (struct iommu_message){ upper << 32 | address, (uint32_t)data, iommu->profile->ecap & VTD_ECAP_EIM });
}

static void send_fault_event(struct iommu *iommu)
{
    send(iommu, &IOMMU_R(iommu, fectl), IOMMU_R(iommu, fedata), IOMMU_R(iommu, feaddr), IOMMU_R(iommu, feuaddr));
}

static void send_completion_event(struct iommu *iommu)
{
    send(iommu, &IOMMU_R(iommu, iectl), IOMMU_R(iommu, iedata), IOMMU_R(iommu, ieaddr), IOMMU_R(iommu, ieuaddr));
}

/* A cause that comes while another one is there is no new event: software that handles the first finds it. */
void iommu_set_status(struct iommu *iommu, uint64_t bit)
{
    uint64_t *status = &IOMMU_R(iommu, fsts);
    bool first = !(*status & VTD_FSTS_CAUSES);

    *status |= bit;
    if (first)
        send_fault_event(iommu);
}

void iommu_completion_event(struct iommu *iommu)
{
    bool first = !(IOMMU_R(iommu, ics) & VTD_ICS_IWC);

    IOMMU_R(iommu, ics) |= VTD_ICS_IWC;
    if (first)
        send_completion_event(iommu);
}

/* What is pending goes when its causes are gone, and is sent when its mask is. */
void iommu_review_events(struct iommu *iommu)
{
    if (!(IOMMU_R(iommu, fsts) & VTD_FSTS_CAUSES))
        IOMMU_R(iommu, fectl) &= ~VTD_EVENT_PENDING;
    if (!(IOMMU_R(iommu, ics) & VTD_ICS_IWC))
        IOMMU_R(iommu, iectl) &= ~VTD_EVENT_PENDING;
    if (IOMMU_R(iommu, fectl) == VTD_EVENT_PENDING)
        send_fault_event(iommu);
    if (IOMMU_R(iommu, iectl) == VTD_EVENT_PENDING)
        send_completion_event(iommu);
}

/* ---- primary fault logging: 7.2.1 ---- */

static bool pending(const struct iommu *iommu, unsigned record)
{
    return iommu->record[record].high & VTD_RECORD_F;
}

/* Nothing is recorded while the overflow is not acknowledged, nor of a source that has a record pending. */
static void record_fault(struct iommu *iommu, uint64_t low, uint64_t high)
{
    unsigned n = iommu->next_record;
    uint64_t *status = &IOMMU_R(iommu, fsts);

    if (*status & VTD_FSTS_PFO)
        return;
    for (unsigned i = 0; i < VTD_RECORD_COUNT; i++) {
        if (pending(iommu, i) && (uint16_t)iommu->record[i].high == (uint16_t)high)
            return;
    }
    if (pending(iommu, n)) {
        iommu_set_status(iommu, VTD_FSTS_PFO);
        return;
    }
    iommu->record[n].low = low;
    iommu->record[n].high = high | VTD_RECORD_F;
    iommu->next_record = (n + 1) % VTD_RECORD_COUNT;
    if (!(*status & VTD_FSTS_PPF)) {
        *status = (*status & ~(0xffull << VTD_FSTS_FRI_SHIFT)) | (uint64_t)n << VTD_FSTS_FRI_SHIFT;
        iommu_set_status(iommu, VTD_FSTS_PPF);
    }
}

void iommu_clear_record(struct iommu *iommu, unsigned record)
{
    bool any = false;

    iommu->record[record].high &= ~VTD_RECORD_F;
    for (unsigned i = 0; i < VTD_RECORD_COUNT; i++)
        any = any || pending(iommu, i);
    if (!any)
        IOMMU_R(iommu, fsts) &= ~VTD_FSTS_PPF;
    iommu_review_events(iommu);
}

static uint64_t code(const struct iommu *iommu, enum iommu_reason reason)
{
    return iommu_scalable(iommu) ? iommu_reasons[reason].scalable : iommu_reasons[reason].legacy;
}

/* An ATS translation request is answered "no rights" where another request would be refused by rights (7.1.3): nothing is recorded. */
static bool only_rights(enum iommu_reason reason)
{
    switch (reason) {
    case IOMMU_first_absent:
    case IOMMU_first_user:
    case IOMMU_first_execute:
    case IOMMU_first_write:
    case IOMMU_second_absent:
    case IOMMU_second_write:
    case IOMMU_second_read:
        return true;
    default:
        return false;
    }
}

void iommu_refuse(struct iommu *iommu, enum iommu_reason reason, const struct iommu_request *request, const struct iommu_way *way, bool fpd)
{
    bool recorded = code(iommu, reason) && !(fpd && iommu_reasons[reason].suppressible) &&
                    !(request->kind == IOMMU_TRANSLATION && only_rights(reason));
    uint64_t high = request->source | code(iommu, reason) << VTD_RECORD_FR_SHIFT | (uint64_t)request->kind << VTD_RECORD_AT_SHIFT;

    high |= request->access == IOMMU_WRITE ? 0 : VTD_RECORD_T1;
    high |= request->access == IOMMU_ATOMIC ? VTD_RECORD_T2 : 0;
    if (request->has_pasid) {
        high |= VTD_RECORD_PP | (uint64_t)request->pasid << VTD_RECORD_PV_SHIFT;
        high |= (request->execute ? VTD_RECORD_EXE : 0) | (request->supervisor ? VTD_RECORD_PRIV : 0);
    }
    iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_REFUSED, .reason = reason, .request = request, .way = way,
                                                .recorded = recorded, .value = code(iommu, reason) });
    if (recorded)
        record_fault(iommu, request->address & PAGE_MASK, high);
}

void iommu_refuse_interrupt(struct iommu *iommu, enum iommu_reason reason, uint32_t source, uint16_t index, const struct iommu_way *way, bool fpd)
{
    struct iommu_request request = { .source = (uint16_t)source, .access = IOMMU_WRITE, .address = (uint64_t)index << 48 };
    bool recorded = !(fpd && iommu_reasons[reason].suppressible);

    iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_REFUSED, .reason = reason, .request = &request, .way = way,
                                                .recorded = recorded, .value = code(iommu, reason) });
    if (recorded)
        record_fault(iommu, request.address, request.source | code(iommu, reason) << VTD_RECORD_FR_SHIFT);
}
