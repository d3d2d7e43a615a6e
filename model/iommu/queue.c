/* SPDX-License-Identifier: MIT */
/* The invalidation queue, and the two invalidations by register: VT-d, 6.5. */
#include "model/iommu/parts.h"

struct descriptor {
    uint64_t word[4];
};

static const struct row {
    uint8_t type;
    bool legacy;
    uint64_t low, high, capability;
} rows[] = {
#define IOMMU_DESCRIPTOR(name, type, low, high, legacy, capability, section, title) { type, legacy, low, high, capability },
#include "model/iommu/descriptors.def"
};
enum descriptor_type {
#define IOMMU_DESCRIPTOR(name, type, low, high, legacy, capability, section, title) DESCRIPTOR_##name = (type),
#include "model/iommu/descriptors.def"
};

#define TYPE_BITS 0xe0full
#define DID(low) ((uint16_t)((low) >> 16))
#define PASID(low) ((uint32_t)((low) >> 32 & 0xfffff))
#define ORDER(high) ((unsigned)((high) & 0x3f))
enum granularity { GLOBAL = 1, DOMAIN, SELECTIVE };     /* of contexts and IOTLB, in descriptors and registers */

/* ---- what a descriptor does ---- */

static enum iommu_reason invalidate_contexts(struct iommu *iommu, unsigned granularity, uint16_t did, uint16_t source, unsigned mask)
{
    switch (granularity) {
    case GLOBAL:
        iommu_forget_contexts(iommu);
        return IOMMU_GRANTED;
    case DOMAIN:
        if (iommu_scalable(iommu))          /* its context entries have no domain: 6.5.2.1 */
            iommu_forget_contexts(iommu);
        else
            iommu_forget_contexts_of_domain(iommu, did);
        return IOMMU_GRANTED;
    case SELECTIVE:
        iommu_forget_context(iommu, source, mask, did);
        return IOMMU_GRANTED;
    default:
        return IOMMU_queue_granularity;
    }
}

static enum iommu_reason invalidate_iotlb(struct iommu *iommu, unsigned granularity, uint16_t did, uint64_t address, unsigned order)
{
    switch (granularity) {
    case GLOBAL:
        iommu_forget_pages(iommu);
        return IOMMU_GRANTED;
    case DOMAIN:
        iommu_forget_pages_of_domain(iommu, did);
        return IOMMU_GRANTED;
    case SELECTIVE:
        if (!(iommu->profile->cap & VTD_CAP_PSI) || order > VTD_CAP_MAMV(iommu->profile->cap))
            return IOMMU_queue_granularity;
        iommu_forget_page(iommu, did, IOMMU_NO_PASID, address, order);
        return IOMMU_GRANTED;
    default:
        return IOMMU_queue_granularity;
    }
}

static enum iommu_reason invalidate_pasid_iotlb(struct iommu *iommu, uint64_t low, uint64_t high)
{
    switch (low >> 4 & 3) {
    case 2:
        iommu_forget_pages_of_pasid(iommu, DID(low), PASID(low));
        return IOMMU_GRANTED;
    case 3:
        if (ORDER(high) > 51)
            return IOMMU_queue_granularity;
        iommu_forget_page(iommu, DID(low), PASID(low), high & PAGE_MASK, ORDER(high));
        return IOMMU_GRANTED;
    default:
        return IOMMU_queue_granularity;
    }
}

static enum iommu_reason invalidate_pasid_cache(struct iommu *iommu, uint64_t low)
{
    switch (low >> 4 & 3) {
    case 0:
        iommu_forget_pasids_of_domain(iommu, DID(low));
        return IOMMU_GRANTED;
    case 1:
        iommu_forget_pasid(iommu, DID(low), PASID(low));
        return IOMMU_GRANTED;
    case 3:
        iommu_forget_pasids(iommu);
        return IOMMU_GRANTED;
    default:
        return IOMMU_queue_granularity;
    }
}

static enum iommu_reason invalidate_interrupts(struct iommu *iommu, uint64_t low)
{
    unsigned order = low >> 27 & 0x1f;

    if (!(low & 0x10)) {
        iommu_forget_irtes(iommu);
        return IOMMU_GRANTED;
    }
    if (order > VTD_ECAP_MHMV(iommu->profile->ecap))
        return IOMMU_queue_granularity;
    iommu_forget_irte(iommu, (uint16_t)(low >> 32), order);
    return IOMMU_GRANTED;
}

/* All before it is done by now: the status is written before the interrupt is sent. */
static enum iommu_reason wait(struct iommu *iommu, uint64_t low, uint64_t high)
{
    uint32_t data = (uint32_t)(low >> 32);

    if ((low & 0x20) && !memory_write(iommu->memory, high, &data, sizeof(data)))
        return IOMMU_queue_status;
    if (low & 0x10)
        iommu_completion_event(iommu);
    return IOMMU_GRANTED;
}

static const struct row *find_row(const struct iommu *iommu, uint64_t low)
{
    unsigned type = (unsigned)((low >> 5 & 0x70) | (low & 0xf));

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].type == type)
            return (rows[i].legacy || iommu_scalable(iommu)) && !(rows[i].capability & ~iommu->profile->ecap) ? &rows[i] : NULL;
    }
    return NULL;
}

static enum iommu_reason carry_out(struct iommu *iommu, const struct descriptor *d)
{
    const struct row *row = find_row(iommu, d->word[0]);
    uint64_t low = d->word[0], high = d->word[1];

    if (!row)
        return IOMMU_queue_type;
    if ((low & ~(row->low | TYPE_BITS)) || (high & ~row->high) || d->word[2] || d->word[3])
        return IOMMU_queue_reserved;
    switch ((enum descriptor_type)row->type) {
    case DESCRIPTOR_context:
        return invalidate_contexts(iommu, low >> 4 & 3, DID(low), (uint16_t)(low >> 32), low >> 48 & 3);
    case DESCRIPTOR_iotlb:
        return invalidate_iotlb(iommu, low >> 4 & 3, DID(low), high & PAGE_MASK, ORDER(high));
    case DESCRIPTOR_device_tlb:
        return IOMMU_GRANTED;               /* the devices here ask anew each time */
    case DESCRIPTOR_interrupt_entry:
        return invalidate_interrupts(iommu, low);
    case DESCRIPTOR_wait:
        return wait(iommu, low, high);
    case DESCRIPTOR_pasid_iotlb:
        return invalidate_pasid_iotlb(iommu, low, high);
    case DESCRIPTOR_pasid_cache:
        return invalidate_pasid_cache(iommu, low);
    }
    return IOMMU_queue_type;
}

/* ---- the queue ---- */

static uint64_t queue_size(const struct iommu *iommu)
{
    return PAGE_SIZE << VTD_IQA_QS(iommu->queue);
}

/* Fetching stops with the head where the error is, until software has acknowledged it. */
static void stop(struct iommu *iommu, enum iommu_reason reason, const struct descriptor *d)
{
    IOMMU_R(iommu, iqercd) = iommu_reasons[reason].legacy;
    iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_REFUSED, .reason = reason, .recorded = true,
                                                .value = d ? IOMMU_R(iommu, iqh) : IOMMU_R(iommu, iqt), .low = d ? d->word[0] : 0,
                                                .high = d ? d->word[1] : 0 });
    iommu_set_status(iommu, VTD_FSTS_IQE);
}

static enum iommu_reason fetch(struct iommu *iommu, struct descriptor *d, unsigned bytes)
{
    uint64_t pa = (iommu->queue & VTD_ADDRESS) + IOMMU_R(iommu, iqh);
    enum vtd_translation_table_mode mode = (enum vtd_translation_table_mode)VTD_TTM(iommu->root);

    if (mode == VTD_TTM_RESERVED)
        return IOMMU_queue_mode;
    if (mode != VTD_TTM_LEGACY && bytes == 16)
        return IOMMU_queue_width;
    return memory_read(iommu->memory, pa, d->word, bytes) ? IOMMU_GRANTED : IOMMU_queue_fetch;
}

void iommu_run_queue(struct iommu *iommu)
{
    unsigned bytes = iommu->queue & VTD_IQA_DW ? 32 : 16;
    uint64_t *head = &IOMMU_R(iommu, iqh);

    while ((IOMMU_R(iommu, gsts) & VTD_QIE) && !(IOMMU_R(iommu, fsts) & (VTD_FSTS_IQE | VTD_FSTS_ITE)) && *head != IOMMU_R(iommu, iqt)) {
        struct descriptor d = { { 0 } };
        enum iommu_reason reason = fetch(iommu, &d, bytes);

        reason = reason ? reason : carry_out(iommu, &d);
        if (reason) {
            stop(iommu, reason, &d);
            return;
        }
        iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_INVALIDATE, .low = d.word[0], .high = d.word[1] });
        *head = (*head + bytes) % queue_size(iommu);
    }
}

void iommu_check_tail(struct iommu *iommu)
{
    uint64_t tail = IOMMU_R(iommu, iqt);

    if (!(IOMMU_R(iommu, gsts) & VTD_QIE))
        return;
    if (tail >= queue_size(iommu))
        stop(iommu, IOMMU_queue_tail, NULL);
    else if ((iommu->queue & VTD_IQA_DW) && (tail & 0x10))
        stop(iommu, IOMMU_queue_aligned, NULL);
    else
        iommu_run_queue(iommu);
}

/* ---- by registers: 6.5.1 ---- */

void iommu_context_command(struct iommu *iommu)
{
    uint64_t *ccmd = &IOMMU_R(iommu, ccmd), wanted = VTD_CCMD_CIRG(*ccmd);
    enum iommu_reason reason = IOMMU_R(iommu, gsts) & VTD_QIE ? IOMMU_command_by_register : IOMMU_GRANTED;

    if (!reason)
        reason = invalidate_contexts(iommu, (unsigned)wanted, (uint16_t)*ccmd, (uint16_t)(*ccmd >> 16), *ccmd >> 32 & 3);
    if (reason)
        iommu_complain(iommu, reason, *ccmd);
    *ccmd = (*ccmd & ~(VTD_CCMD_ICC | 3ull << VTD_CCMD_CAIG_SHIFT)) | (reason ? 0 : wanted << VTD_CCMD_CAIG_SHIFT);
}

void iommu_iotlb_command(struct iommu *iommu)
{
    uint64_t *iotlb = &IOMMU_R(iommu, iotlb), address = IOMMU_R(iommu, iva), wanted = VTD_IOTLB_IIRG(*iotlb);
    enum iommu_reason reason = IOMMU_R(iommu, gsts) & VTD_QIE ? IOMMU_command_by_register : IOMMU_GRANTED;

    if (!reason)
        reason = invalidate_iotlb(iommu, (unsigned)wanted, (uint16_t)(*iotlb >> 32), address & PAGE_MASK, ORDER(address));
    if (reason)
        iommu_complain(iommu, reason, *iotlb);
    *iotlb = (*iotlb & ~(VTD_IOTLB_IVT | 3ull << VTD_IOTLB_IAIG_SHIFT)) | (reason ? 0 : wanted << VTD_IOTLB_IAIG_SHIFT);
}
