/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping: VT-d, 5.1; posted interrupts: 5.2. An entry of the table, 128 bits (9.9, 9.10):
 *
 *    127    84 83 82 81 80 79      64 63                 32 31 24 23     16 15 14  12 11  8 7   5  4  3  2  1  0
 *   +---------+-----+-----+----------+---------------------+-----+---------+--+------+-----+-----+--+--+--+---+-+
 *   |reserved | SVT | SQ  |   SID    | destination         |rsvd | vector  |IM| rsvd | avl | DLM |TM|RH|DM|FPD|P|     remapped: IM is 0
 *   | PDA 63:32 (127:96)             | PDA 31:6, reserved  |rsvd | vector  |IM|URG   | avl |  reserved   |FPD|P|     posted: IM is 1
 */
#include "model/iommu/parts.h"

enum { DESCRIPTOR_CONTROL = 32 };               /* bytes of the posted-interrupt descriptor before ON, SN, NV, NDST: 9.11 */
#define POSTED_ON (1ull << 0)
#define POSTED_SN (1ull << 1)
#define POSTED_VECTOR(control) ((control) >> 16 & 0xff)
#define POSTED_DESTINATION(control) ((control) >> 32)
#define POSTED_RESERVED 0xff00fffcull

static bool extended(const struct iommu *iommu)
{
    return iommu->interrupt_table & VTD_IRTA_EIME;
}

static enum iommu_reason check_entry(const struct iommu *iommu, uint64_t low, uint64_t high)
{
    uint64_t bits = 0xff007000;

    if (low & VTD_IRTE_POSTED) {
        if (!(iommu->profile->cap & VTD_CAP_PI))
            return IOMMU_interrupt_reserved;
        return (low & 0x3fff0030fcull) || (high & 0xfff00000) ? IOMMU_interrupt_reserved : IOMMU_GRANTED;
    }
    bits |= extended(iommu) ? 0 : 0xffff00ff00000000;
    return (low & bits) || high >> 20 ? IOMMU_interrupt_reserved : IOMMU_GRANTED;
}

/* 9.9: SVT 1 compares under a mask of function bits, 2 the bus with a range. */
static bool source_allowed(uint32_t source, uint64_t high)
{
    static const uint16_t compared[4] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 };
    unsigned sid = (unsigned)VTD_IRTE_SID(high), bus = source >> 8 & 0xff;

    if (source == IOMMU_NO_SOURCE)
        return true;
    switch (VTD_IRTE_SVT(high)) {
    case 0:
        return true;
    case 1:
        return !((source ^ sid) & compared[VTD_IRTE_SQ(high)]);
    case 2:
        return bus >= sid >> 8 && bus <= (sid & 0xff);
    default:
        return false;
    }
}

/* The interrupt goes into the descriptor; who waits is notified unless that has been done, or is suppressed and not urgent. */
static enum iommu_reason post(struct iommu *iommu, uint64_t low, uint64_t high)
{
    uint64_t pa = (low >> 32 & 0xffffffc0) | (high & 0xffffffff00000000), vector = VTD_IRTE_VECTOR(low), word[8], place = pa + vector / 64 * 8;

    if (!memory_read(iommu->memory, pa, word, sizeof(word)))
        return IOMMU_posted_access;
    if ((word[4] & POSTED_RESERVED) || word[5] || word[6] || word[7])
        return IOMMU_posted_reserved;
    memory_write64(iommu->memory, place, word[vector / 64] | 1ull << vector % 64);
    if (!(word[4] & POSTED_ON) && (!(word[4] & POSTED_SN) || (low & VTD_IRTE_URGENT))) {
        uint64_t destination = POSTED_DESTINATION(word[4]);

        memory_write64(iommu->memory, pa + DESCRIPTOR_CONTROL, word[4] | POSTED_ON);
        destination = extended(iommu) ? destination : destination >> 8 & 0xff;
        iommu->outside.message(iommu->outside.context,
                               (struct iommu_message){ VTD_INTERRUPT_BASE | (destination & 0xff) << 12 | (destination & 0xffffff00) << 32,
                                                       (uint32_t)POSTED_VECTOR(word[4]) | 1u << 14, extended(iommu) });
    }
    return IOMMU_GRANTED;
}

/* The message that a remapped entry makes: as a device would have sent it, with a wide destination in the upper address. */
static struct iommu_message remap(const struct iommu *iommu, uint64_t low)
{
    uint64_t destination = extended(iommu) ? VTD_IRTE_DESTINATION(low) : VTD_IRTE_DESTINATION(low) >> 8 & 0xff;
    uint64_t address = VTD_INTERRUPT_BASE | (destination & 0xff) << 12 | (destination & 0xffffff00) << 32;

    return (struct iommu_message){
        address | (low & (VTD_IRTE_REDIRECTION_HINT | VTD_IRTE_DESTINATION_MODE)),
        (uint32_t)(VTD_IRTE_VECTOR(low) | VTD_IRTE_DELIVERY(low) << 8 | 1u << 14 | (low & VTD_IRTE_TRIGGER ? 1u << 15 : 0)),
        extended(iommu),
    };
}

/* One request on its way. */
struct request {
    uint32_t source, index;
    struct iommu_way way;
    bool fpd;
    uint64_t low, high;
};

/* `pa`: where its entry is now, which is elsewhere when the table is. */
static bool usable(struct iommu *iommu, const struct iommu_irte *known, uint64_t pa)
{
    if (known->pa == pa && memory_read64(iommu->memory, pa) == known->low && memory_read64(iommu->memory, pa + 8) == known->high)
        return true;
    if (!iommu_keeps_stale(iommu))
        return false;
    iommu->stale_uses++;
    iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_STALE, .before = known->low, .value = memory_read64(iommu->memory, pa),
                                                .low = known->index });
    return true;
}

static enum iommu_reason find_entry(struct iommu *iommu, struct request *r)
{
    const struct iommu_irte *known = iommu_find_irte(iommu, (uint16_t)r->index);
    uint64_t pa = (iommu->interrupt_table & VTD_ADDRESS) + r->index * 16ull;

    if (r->index >= 2u << VTD_IRTA_S(iommu->interrupt_table))
        return IOMMU_interrupt_index;
    if (known && usable(iommu, known, pa)) {
        r->low = known->low;
        r->high = known->high;
        r->fpd = r->low & VTD_FPD;
        return IOMMU_GRANTED;
    }
    if (!iommu_read_entry(iommu, &r->way, IOMMU_IRTE, 0, pa, &r->low) || !iommu_read_entry(iommu, &r->way, IOMMU_IRTE, 1, pa + 8, &r->high))
        return IOMMU_interrupt_access;
    r->fpd = r->low & VTD_FPD;
    if (!(r->low & VTD_PRESENT))
        return IOMMU_interrupt_absent;
    TRY_REASON(check_entry(iommu, r->low, r->high));
    iommu_remember_irte(iommu, &(struct iommu_irte){ .valid = true, .index = (uint16_t)r->index, .low = r->low, .high = r->high, .pa = pa });
    return IOMMU_GRANTED;
}

/* 5.1.2.2: the handle, and with SHV the low half of the data after it. */
static enum iommu_reason parse(const struct iommu *iommu, struct iommu_message in, struct request *r)
{
    bool shv = in.address & VTD_MESSAGE_SHV;

    if (!(in.address & VTD_MESSAGE_REMAPPABLE))
        return extended(iommu) || !(IOMMU_R(iommu, gsts) & VTD_CFI) ? IOMMU_interrupt_compatible : IOMMU_GRANTED;
    r->index = (uint32_t)((in.address >> 5 & 0x7fff) | (in.address & 4) << 13) + (shv ? in.data & 0xffff : 0);
    return in.address >> 32 || (shv && in.data >> 16) ? IOMMU_interrupt_request : IOMMU_GRANTED;
}

bool iommu_interrupt(struct iommu *iommu, uint32_t source, struct iommu_message in, struct iommu_message *out)
{
    struct request r = { .source = source };
    enum iommu_reason reason;

    *out = in;
    if (!(IOMMU_R(iommu, gsts) & VTD_IRE))
        return true;
    reason = parse(iommu, in, &r);
    if (!reason && !(in.address & VTD_MESSAGE_REMAPPABLE))
        return true;
    reason = reason ? reason : find_entry(iommu, &r);
    if (!reason && !source_allowed(source, r.high))
        reason = IOMMU_interrupt_source;
    if (!reason && (r.low & VTD_IRTE_POSTED)) {
        reason = post(iommu, r.low, r.high);
        if (!reason)
            return false;
    }
    if (reason) {
        iommu_refuse_interrupt(iommu, reason, source, (uint16_t)r.index, &r.way, r.fpd);
        return false;
    }
    *out = remap(iommu, r.low);
    return true;
}
