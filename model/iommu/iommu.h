/* SPDX-License-Identifier: MIT */
/*
 * A DMA-remapping unit: VT-d (docs/iommu.md). A library room like model/vmx/: no I/O, no allocation; the embedder brings memory, gives
 * it accesses to its registers and the requests of devices, and is told of messages that it sends and of what it refuses.
 *
 *   registers.c    registers, commands, events         translate.c   a request, from the root table to the page
 *   queue.c        the invalidation queue              second.c, first.c    the two stages
 *   interrupt.c    remapped and posted interrupts      cache.c       what it remembers
 *   fault.c        fault recording; telling            reasons.def   why it refuses
 */
#ifndef SESQUI_MODEL_IOMMU_H
#define SESQUI_MODEL_IOMMU_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/vtd.h"
#include "model/memory.h"
#include "model/tlb/policy.h"

/* ---- requests ---- */

enum iommu_kind { IOMMU_UNTRANSLATED, IOMMU_TRANSLATION, IOMMU_TRANSLATED };   /* the AT field of a PCI Express request */
enum iommu_access { IOMMU_READ, IOMMU_WRITE, IOMMU_ATOMIC };

struct iommu_request {
    uint64_t address;
    uint16_t source;            /* bus 15:8, device 7:3, function 2:0 */
    uint8_t kind;               /* enum iommu_kind */
    uint8_t access;             /* enum iommu_access */
    bool has_pasid;
    uint32_t pasid;
    bool supervisor, execute;   /* only with PASID */
};

enum iommu_reason {
    IOMMU_GRANTED,
#define IOMMU_REASON(id, name, group, legacy, scalable, suppressible, section, text) IOMMU_##id,
#include "model/iommu/reasons.def"
    IOMMU_REASONS
};

enum iommu_group { IOMMU_GROUP_DMA, IOMMU_GROUP_INTERRUPT, IOMMU_GROUP_QUEUE, IOMMU_GROUP_SOFTWARE };

struct iommu_reason_row {
    const char *name, *section, *text;
    uint8_t group, legacy, scalable;
    bool suppressible;
};
extern const struct iommu_reason_row iommu_reasons[IOMMU_REASONS];      /* the row of IOMMU_GRANTED is empty */

/* ---- the way of a translation ---- */

enum iommu_structure { IOMMU_ROOT, IOMMU_CONTEXT, IOMMU_DIRECTORY, IOMMU_PASID, IOMMU_FIRST, IOMMU_SECOND, IOMMU_IRTE };
struct iommu_step {
    uint8_t structure, level;   /* enum iommu_structure; of a paging entry 5 to 1, and of other structures which 64 bits */
    uint64_t pa, value;
};
enum { IOMMU_STEPS = 40 };      /* a nested walk with five levels in each stage reads 35 paging entries */
struct iommu_way {
    unsigned count;
    struct iommu_step step[IOMMU_STEPS];
};

/* Of a grant: where the address leads. `size`: bytes from the start of the page that is mapped, a power of 2. */
struct iommu_translation {
    enum iommu_reason reason;
    uint64_t pa, size;
    bool readable, writable;
    bool interrupt;             /* an untranslated request of FEExxxxxH: no memory, iommu_interrupt() decides */
    bool stale;                 /* what was remembered was used, and the tables in memory say something else */
    struct iommu_way way;       /* what was read; nothing when all of it was remembered */
};

/* ---- the unit ---- */

/* The interrupt that a message stands for, as the local APICs take it. */
struct iommu_message {
    uint64_t address;
    uint32_t data;
    bool wide;                  /* the destination has 32 bits: 31:8 of them are 63:40 of the address */
};

enum iommu_notice_kind {
    IOMMU_NOTICE_REFUSED,       /* reason; of a request: request, way, recorded */
    IOMMU_NOTICE_STALE,         /* what was remembered was used. before: where it led; way, reason, value: how the tables refuse, or where they lead, now.
                                   Of an interrupt entry, without request: before, value: its low half then and now; low: its index */
    IOMMU_NOTICE_COMMAND,       /* value: the bits of the Global Status Register after a write to the Global Command Register */
    IOMMU_NOTICE_INVALIDATE,    /* low, high: a descriptor that was carried out, or made of a register write */
};
struct iommu_notice {
    enum iommu_notice_kind kind;
    enum iommu_reason reason;
    const struct iommu_request *request;
    const struct iommu_way *way;
    bool recorded;
    uint64_t before, value, low, high;
};

struct iommu_outside {
    void *context;
    /* The unit sends an interrupt of its own, or a posted interrupt's notification: not remapped. */
    void (*message)(void *context, struct iommu_message message);
    void (*notify)(void *context, const struct iommu_notice *notice);      /* may be NULL */
};

struct iommu_profile {
    const char *name, *text;
    uint64_t cap, ecap;
};
enum iommu_profile_id {
#define IOMMU_PROFILE(id, name, cap, ecap, text) IOMMU_PROFILE_##id,
#include "model/iommu/profiles.def"
    IOMMU_PROFILES
};
extern const struct iommu_profile iommu_profiles[IOMMU_PROFILES];

/* A register by its name: IOMMU_R(iommu, fsts). */
enum iommu_register {
#define VTD_REGISTER(name, offset, size, reset, writable, clear, action, title) IOMMU_REGISTER_##name,
#include "arch/vtd_registers.def"
    IOMMU_REGISTERS
};
#define IOMMU_R(iommu, name) ((iommu)->reg[IOMMU_REGISTER_##name])

/* What the unit remembers: VT-d, 6.2. Entries are found by what the specification tags them with. `from`: what led to the tables where it was
 * found, so that it is seen when something else does by now. */
struct iommu_context {
    bool valid;
    uint16_t source, did;       /* did: in legacy mode */
    uint64_t from;              /* the root table */
    uint64_t word[4];           /* the entry */
    struct iommu_way way;
};
struct iommu_pasid {
    bool valid;
    uint16_t source, did;
    uint32_t pasid;
    uint64_t from;              /* the PASID directory */
    uint64_t word[3];
    bool fpd;                   /* of the directory's entry or its own */
    struct iommu_way way;
};
struct iommu_page {
    bool valid;
    uint16_t did;
    uint32_t pasid;             /* NO_PASID: translated by a second stage alone */
    uint64_t address, pa, size;
    bool readable, writable, user, executable;
    bool dirty;                 /* writable without setting a flag */
    uint64_t from[3];           /* struct tables (translate.c) */
    struct iommu_way way;
};
struct iommu_irte {
    bool valid;
    uint16_t index;
    uint64_t low, high, pa;
};
enum { IOMMU_CONTEXTS = 64, IOMMU_PASIDS = 64, IOMMU_PAGE_SETS = 128, IOMMU_PAGE_WAYS = 4, IOMMU_IRTES = 256 };
#define IOMMU_NO_PASID 0xffffffffu
struct iommu_cache {
    struct iommu_context context[IOMMU_CONTEXTS];
    struct iommu_pasid pasid[IOMMU_PASIDS];
    struct iommu_page page[IOMMU_PAGE_SETS][IOMMU_PAGE_WAYS];
    struct iommu_irte irte[IOMMU_IRTES];
    uint8_t next_way[IOMMU_PAGE_SETS];
    uint32_t sizes;             /* of the pages that are or were remembered since the last global invalidation: bit n: 2^n bytes */
};

struct iommu {
    struct memory *memory;
    struct iommu_outside outside;
    const struct iommu_profile *profile;
    unsigned host_address_width;        /* bits of a physical address */
    uint64_t reg[IOMMU_REGISTERS];
    struct { uint64_t low, high; } record[VTD_RECORD_COUNT];
    unsigned next_record;
    uint64_t root, interrupt_table, queue;      /* RTADDR, IRTA and IQA as SRTP, SIRTP and QIE found them */
    struct iommu_cache cache;
    enum tlb_policy policy;     /* is what is remembered used where memory says something else by now? */
    uint64_t random;            /* of TLB_SEEDED */
    uint64_t stale_uses;
};

/* `memory` outlives the unit; a physical address has `width` bits. Registers as after RESET, nothing remembered. */
void iommu_init(struct iommu *iommu, struct memory *memory, struct iommu_outside outside, const struct iommu_profile *profile, unsigned width);
void iommu_reset(struct iommu *iommu);

/* Accesses by software: `offset` below VTD_WINDOW, 4 or 8 bytes at their natural alignment; others are refused by name, read as 0 and
 * write nothing. */
uint64_t iommu_register_read(struct iommu *iommu, uint32_t offset, unsigned size);
void iommu_register_write(struct iommu *iommu, uint32_t offset, unsigned size, uint64_t value);
const char *iommu_register_title(uint32_t offset);      /* NULL: there is none */

/* A request of a device. What is refused is recorded as the fault that it is; the caller then drops a write and fails a read. */
struct iommu_translation iommu_translate(struct iommu *iommu, const struct iommu_request *request);
/* The same without recording, remembering or flags: what would become of it now, by the tables alone? */
struct iommu_translation iommu_probe(struct iommu *iommu, const struct iommu_request *request);

/*
 * An interrupt request, a 4-byte write into FEExxxxxH: true and *out, the message as it goes on to the local APICs; false: refused and
 * recorded, or posted, which has sent what there is to send. `source` is the requester, IOMMU_NO_SOURCE: an I/O APIC whose requests carry none.
 */
#define IOMMU_NO_SOURCE 0x10000u
bool iommu_interrupt(struct iommu *iommu, uint32_t source, struct iommu_message in, struct iommu_message *out);

#endif
