/* SPDX-License-Identifier: MIT */
/* The registers of a remapping unit: VT-d, 11.4; the commands, and what the profiles have. */
#include "model/iommu/parts.h"

#include <string.h>

enum action { ACTION_NONE, ACTION_COMMAND, ACTION_CONTEXT, ACTION_IOTLB, ACTION_FAULT_STATUS, ACTION_COMPLETION_STATUS, ACTION_EVENT_CONTROL,
              ACTION_PROTECTED, ACTION_QUEUE_TAIL };

static const struct row {
    uint16_t offset;
    uint8_t size, action;
    uint64_t reset, writable, clear;
    const char *title;
} rows[IOMMU_REGISTERS] = {
#define VTD_REGISTER(name, offset, size, reset, writable, clear, action, title) { offset, size, ACTION_##action, reset, writable, clear, title },
#include "arch/vtd_registers.def"
};

#define PLACES_CAP ((uint64_t)VTD_RECORDS / 16 << VTD_CAP_FRO_SHIFT)
#define PLACES_ECAP ((uint64_t)VTD_iva / 16 << VTD_ECAP_IRO_SHIFT)
const struct iommu_profile iommu_profiles[IOMMU_PROFILES] = {
#define IOMMU_PROFILE(id, name, cap, ecap, text) { name, text, (cap) | PLACES_CAP, (ecap) | PLACES_ECAP },
#include "model/iommu/profiles.def"
};

void iommu_init(struct iommu *iommu, struct memory *memory, struct iommu_outside outside, const struct iommu_profile *profile, unsigned width)
{
    *iommu = (struct iommu){ .memory = memory, .outside = outside, .profile = profile, .host_address_width = width };
    iommu_reset(iommu);
}

void iommu_reset(struct iommu *iommu)
{
    for (unsigned i = 0; i < IOMMU_REGISTERS; i++)
        iommu->reg[i] = rows[i].reset;
    IOMMU_R(iommu, ver) = 0x10;                 /* 1.0: a unit with major version 6 or more need not have invalidation by registers */
    IOMMU_R(iommu, cap) = iommu->profile->cap;
    IOMMU_R(iommu, ecap) = iommu->profile->ecap;
    memset(iommu->record, 0, sizeof(iommu->record));
    iommu->next_record = 0;
    iommu->root = iommu->interrupt_table = iommu->queue = 0;
    memset(&iommu->cache, 0, sizeof(iommu->cache));
}

/* ---- commands ---- */

static void enable_queue(struct iommu *iommu, bool on)
{
    if (!on && IOMMU_R(iommu, iqh) != IOMMU_R(iommu, iqt))
        iommu_complain(iommu, IOMMU_command_queue, IOMMU_R(iommu, iqh));
    IOMMU_R(iommu, iqh) = 0;
    iommu->queue = IOMMU_R(iommu, iqa);
}

/*
 * Each bit is a command, carried out whenever it is 1, or a toggle, whose state is what was written. Software is to change one bit at a time;
 * with several, pointers are set before what uses them is enabled.
 */
static void command(struct iommu *iommu, uint64_t value)
{
    uint64_t *status = &IOMMU_R(iommu, gsts), changed = (value ^ *status) & VTD_TOGGLES;
    bool extended = IOMMU_R(iommu, irta) & VTD_IRTA_EIME;

    if (value & VTD_SRTP)
        iommu->root = IOMMU_R(iommu, rtaddr);
    if ((value & VTD_SIRTP) && extended && !(iommu->profile->ecap & VTD_ECAP_EIM))
        iommu_complain(iommu, IOMMU_command_eime, IOMMU_R(iommu, irta));
    if (value & VTD_SIRTP)
        iommu->interrupt_table = IOMMU_R(iommu, irta) & ~(iommu->profile->ecap & VTD_ECAP_EIM ? 0 : VTD_IRTA_EIME);
    *status |= value & (VTD_SRTP | VTD_SIRTP);
    if ((changed & value & VTD_TE) && !(*status & VTD_SRTP))
        iommu_complain(iommu, IOMMU_command_root, value);
    if ((changed & value & VTD_IRE) && !(*status & VTD_SIRTP))
        iommu_complain(iommu, IOMMU_command_interrupt, value);
    *status = (*status & ~VTD_TOGGLES) | (value & VTD_TOGGLES);
    if (changed & VTD_QIE)
        enable_queue(iommu, value & VTD_QIE);
    iommu_notify(iommu, &(struct iommu_notice){ .kind = IOMMU_NOTICE_COMMAND, .value = *status });
    if (changed & value & VTD_QIE)
        iommu_check_tail(iommu);
}

/* ---- accesses ---- */

/* The register that has the byte at `offset`, or IOMMU_REGISTERS. */
static unsigned find(uint32_t offset)
{
    for (unsigned i = 0; i < IOMMU_REGISTERS; i++) {
        if (offset >= rows[i].offset && offset < rows[i].offset + (uint32_t)rows[i].size)
            return i;
    }
    return IOMMU_REGISTERS;
}

const char *iommu_register_title(uint32_t offset)
{
    unsigned i = find(offset);

    if (offset >= VTD_RECORDS && offset < VTD_RECORDS + 16 * VTD_RECORD_COUNT)
        return "Fault Recording Register";
    return i < IOMMU_REGISTERS ? rows[i].title : NULL;
}

/* The bits of a register that this unit has. */
static uint64_t writable(const struct iommu *iommu, unsigned i)
{
    uint64_t cap = iommu->profile->cap, ecap = iommu->profile->ecap, bits = rows[i].writable;

    switch ((enum iommu_register)i) {
    case IOMMU_REGISTER_feuaddr:
    case IOMMU_REGISTER_ieuaddr:
        return ecap & VTD_ECAP_EIM ? bits : 0;
    case IOMMU_REGISTER_pmen:
        return cap & (VTD_CAP_PLMR | VTD_CAP_PHMR) ? bits : 0;
    case IOMMU_REGISTER_plmbase:
    case IOMMU_REGISTER_plmlimit:
        return cap & VTD_CAP_PLMR ? bits : 0;
    case IOMMU_REGISTER_phmbase:
    case IOMMU_REGISTER_phmlimit:
        return cap & VTD_CAP_PHMR ? bits & ~iommu_beyond_host(iommu) : 0;
    case IOMMU_REGISTER_iqa:
        return ecap & VTD_ECAP_SMTS ? bits : bits & ~VTD_IQA_DW;
    default:
        return bits;
    }
}

static bool well_formed(uint32_t offset, unsigned size)
{
    return (size == 4 || size == 8) && !(offset % size) && offset + size <= VTD_WINDOW;
}

/* Which record, and *half: its low or high 64 bits; -1: none is there. */
static int record_at(uint32_t offset, uint64_t **half, struct iommu *iommu)
{
    unsigned n = (offset - VTD_RECORDS) / 16;

    if (offset < VTD_RECORDS || n >= VTD_RECORD_COUNT)
        return -1;
    *half = offset & 8 ? &iommu->record[n].high : &iommu->record[n].low;
    return (int)n;
}

static uint64_t read_part(struct iommu *iommu, uint32_t offset, unsigned size)
{
    unsigned i = find(offset);
    uint64_t *half, value;
    uint32_t base;

    if (record_at(offset, &half, iommu) >= 0) {
        value = *half;
        base = offset & ~7u;
    } else if (i < IOMMU_REGISTERS) {
        value = iommu->reg[i];
        base = rows[i].offset;
    } else {
        iommu_complain(iommu, IOMMU_register_none, offset);
        return 0;
    }
    value >>= 8 * (offset - base);
    return size == 4 ? (uint32_t)value : value;
}

uint64_t iommu_register_read(struct iommu *iommu, uint32_t offset, unsigned size)
{
    unsigned i = find(offset);

    if (!well_formed(offset, size)) {
        iommu_complain(iommu, IOMMU_register_access, offset);
        return 0;
    }
    if (size == 8 && i < IOMMU_REGISTERS && rows[i].size == 4)
        return read_part(iommu, offset, 4) | read_part(iommu, offset + 4, 4) << 32;
    return read_part(iommu, offset, size);
}

/* `touched`: the bits of the register that the access covers. */
static void act(struct iommu *iommu, unsigned i, uint64_t value, uint64_t touched)
{
    switch ((enum action)rows[i].action) {
    case ACTION_NONE:
        break;
    case ACTION_COMMAND:
        command(iommu, value);
        break;
    case ACTION_CONTEXT:
        if (touched & IOMMU_R(iommu, ccmd) & VTD_CCMD_ICC)
            iommu_context_command(iommu);
        break;
    case ACTION_IOTLB:
        if (touched & IOMMU_R(iommu, iotlb) & VTD_IOTLB_IVT)
            iommu_iotlb_command(iommu);
        break;
    case ACTION_FAULT_STATUS:
        iommu_review_events(iommu);
        iommu_run_queue(iommu);                 /* an error of the queue may have been acknowledged */
        break;
    case ACTION_COMPLETION_STATUS:
    case ACTION_EVENT_CONTROL:
        iommu_review_events(iommu);
        break;
    case ACTION_PROTECTED:
        IOMMU_R(iommu, pmen) &= VTD_PMEN_EPM;
        IOMMU_R(iommu, pmen) |= IOMMU_R(iommu, pmen) ? VTD_PMEN_PRS : 0;
        break;
    case ACTION_QUEUE_TAIL:
        if (touched & rows[i].writable)
            iommu_check_tail(iommu);
        break;
    }
}

static void write_part(struct iommu *iommu, uint32_t offset, unsigned size, uint64_t value)
{
    unsigned i = find(offset), shift;
    uint64_t *half, touched = size == 4 ? 0xffffffff : ~0ull, keep;
    int record = record_at(offset, &half, iommu);

    if (record >= 0) {
        if (half == &iommu->record[record].high && (value << 8 * (offset & 4) & VTD_RECORD_F))
            iommu_clear_record(iommu, (unsigned)record);
        return;
    }
    if (i == IOMMU_REGISTERS) {
        iommu_complain(iommu, IOMMU_register_none, offset);
        return;
    }
    shift = 8 * (offset - rows[i].offset);
    value <<= shift;
    touched <<= shift;
    keep = writable(iommu, i) & touched;
    iommu->reg[i] = ((iommu->reg[i] & ~keep) | (value & keep)) & ~(rows[i].clear & value & touched);
    act(iommu, i, value, touched);
}

void iommu_register_write(struct iommu *iommu, uint32_t offset, unsigned size, uint64_t value)
{
    unsigned i = find(offset);

    if (!well_formed(offset, size)) {
        iommu_complain(iommu, IOMMU_register_access, offset);
    } else if (size == 8 && i < IOMMU_REGISTERS && rows[i].size == 4) {
        write_part(iommu, offset, 4, (uint32_t)value);
        write_part(iommu, offset + 4, 4, value >> 32);
    } else {
        write_part(iommu, offset, size, value);
    }
}
