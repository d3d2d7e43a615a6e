/* SPDX-License-Identifier: MIT */
/* What the files of this room have from each other. */
#ifndef SESQUI_MODEL_IOMMU_PARTS_H
#define SESQUI_MODEL_IOMMU_PARTS_H

#include "model/iommu/iommu.h"

/* ---- fault.c ---- */

/* A request was refused: recorded as a fault if its row has a code and `fpd`, what the entries met so far say, does not forbid it. */
void iommu_refuse(struct iommu *iommu, enum iommu_reason reason, const struct iommu_request *request, const struct iommu_way *way, bool fpd);
void iommu_refuse_interrupt(struct iommu *iommu, enum iommu_reason reason, uint32_t source, uint16_t index, const struct iommu_way *way, bool fpd);
/* Software asked for what makes no sense: told, and no more. */
void iommu_complain(struct iommu *iommu, enum iommu_reason reason, uint64_t value);
void iommu_notify(struct iommu *iommu, const struct iommu_notice *notice);
/* The Fault Status Register gets a bit; an event, unless another cause was there before. */
void iommu_set_status(struct iommu *iommu, uint64_t bit);
/* A fault record was written by software: F of the upper half is cleared by a 1. */
void iommu_clear_record(struct iommu *iommu, unsigned record);
/* Software may have removed the last cause of an event, or its mask. */
void iommu_review_events(struct iommu *iommu);
/* An invalidation wait descriptor with the interrupt flag completed. */
void iommu_completion_event(struct iommu *iommu);

/* ---- translate.c ---- */

bool iommu_scalable(const struct iommu *iommu);
/* Bits 63 to the host's address width. */
uint64_t iommu_beyond_host(const struct iommu *iommu);
/* Reads 64 bits of a structure and notes the step; false: no RAM. */
bool iommu_read_entry(struct iommu *iommu, struct iommu_way *way, enum iommu_structure structure, unsigned level, uint64_t pa, uint64_t *value);

/* Leaves the function with a reason, unless it is none. */
#define TRY_REASON(expression)                                                                                      \
    do {                                                                                                            \
        enum iommu_reason try_reason_ = (expression);                                                               \
        if (try_reason_)                                                                                            \
            return try_reason_;                                                                                     \
    } while (0)

/* Bytes that an entry of this level is about, of either stage. */
static inline uint64_t iommu_level_span(unsigned level)
{
    return PAGE_SIZE << 9 * (level - 1);
}

/* ---- second.c, first.c ---- */

/* What a walk is for. `probe`: no flags are set. */
struct iommu_walk {
    struct iommu *iommu;
    const struct iommu_request *request;
    struct iommu_way *way;
    bool probe;
    bool snoops;                /* PWSNP, or the unit's own coherency: accessed and dirty flags can be set */
    uint64_t word[3];           /* the PASID table entry; first stage */
};
struct iommu_stage {
    enum iommu_reason reason;
    uint64_t pa, size;
    bool readable, writable, user, executable, dirty;
};
static inline struct iommu_stage iommu_stage_refused(enum iommu_reason reason)
{
    return (struct iommu_stage){ .reason = reason };
}
/* The second stage of `aw` (1: three levels ...) from `table`; `flags`: accessed and dirty flags are in use. */
struct iommu_stage iommu_second_walk(struct iommu_walk *walk, uint64_t table, unsigned aw, bool flags, uint64_t address, enum iommu_access access);
/* The first stage, alone or nested in the second. */
struct iommu_stage iommu_first_walk(struct iommu_walk *walk, bool nested);
/* Would 2 to the lesser of CAP.MGAW and AW be passed? */
bool iommu_beyond_width(const struct iommu *iommu, unsigned aw, uint64_t address);

/* ---- cache.c ---- */

struct iommu_context *iommu_find_context(struct iommu *iommu, uint16_t source);
struct iommu_pasid *iommu_find_pasid(struct iommu *iommu, uint16_t source, uint32_t pasid);
struct iommu_page *iommu_find_page(struct iommu *iommu, uint16_t did, uint32_t pasid, uint64_t address);
struct iommu_irte *iommu_find_irte(struct iommu *iommu, uint16_t index);
void iommu_remember_context(struct iommu *iommu, const struct iommu_context *context);
void iommu_remember_pasid(struct iommu *iommu, const struct iommu_pasid *pasid);
void iommu_remember_page(struct iommu *iommu, const struct iommu_page *page);
void iommu_remember_irte(struct iommu *iommu, const struct iommu_irte *irte);
/* Does memory still say what was read? */
bool iommu_holds(const struct iommu *iommu, const struct iommu_way *way);
/* It does not: by the policy, has this unit what it remembered still? */
bool iommu_keeps_stale(struct iommu *iommu);

/* The invalidations, with the scopes of VT-d, 6.5. `mask`: so many low bits of the function number are not compared. */
void iommu_forget_contexts(struct iommu *iommu);
void iommu_forget_contexts_of_domain(struct iommu *iommu, uint16_t did);
void iommu_forget_context(struct iommu *iommu, uint16_t source, unsigned mask, uint16_t did);
void iommu_forget_pasids(struct iommu *iommu);
void iommu_forget_pasids_of_domain(struct iommu *iommu, uint16_t did);
void iommu_forget_pasid(struct iommu *iommu, uint16_t did, uint32_t pasid);
void iommu_forget_pages(struct iommu *iommu);
void iommu_forget_pages_of_domain(struct iommu *iommu, uint16_t did);
void iommu_forget_pages_of_pasid(struct iommu *iommu, uint16_t did, uint32_t pasid);
/* 2^order pages of 4 KB at `address`; NO_PASID: of the domain's second stage, and what is nested in it. */
void iommu_forget_page(struct iommu *iommu, uint16_t did, uint32_t pasid, uint64_t address, unsigned order);
void iommu_forget_irtes(struct iommu *iommu);
void iommu_forget_irte(struct iommu *iommu, uint16_t index, unsigned order);

/* ---- queue.c ---- */

/* Fetches and carries out what is between head and tail. */
void iommu_run_queue(struct iommu *iommu);
/* The tail was written: is it one? */
void iommu_check_tail(struct iommu *iommu);
/* The two invalidations by register. */
void iommu_context_command(struct iommu *iommu);
void iommu_iotlb_command(struct iommu *iommu);

#endif
