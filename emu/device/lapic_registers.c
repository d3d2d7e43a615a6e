/* SPDX-License-Identifier: MIT */
/* The local APIC's registers, as memory and as MSRs. */
#include "emu/device/lapic_parts.h"

#include "arch/vmx.h"
#include "model/model.h"

enum { VERSION = 0x14 | (LVT_COUNT - 1) << 16 };        /* integrated APIC, 6 LVT entries: 11.4.8 */
enum { X2APIC_FIRST = 0x800, X2APIC_LAST = 0x8ff };

/* Bits of each LVT entry that software may set (Figure 11-8). */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERFORMANCE] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};
#define LVT_PENDING (1u << 12)                          /* delivery status */
#define LVT_REMOTE_IRR (1u << 14)                       /* of the two pins */
#define ICR_WRITABLE 0x000ccfffull

/* What is read-only may be written as anything: Linux does when it leaves the APIC (Figure 11-8). */
static uint32_t lvt_read_only(enum lapic_lvt which)
{
    return LVT_PENDING | (which == LVT_LINT0 || which == LVT_LINT1 ? LVT_REMOTE_IRR : 0);
}

static void write_lvt(struct lapic *lapic, enum lapic_lvt which, uint32_t value)
{
    value &= lvt_writable[which];
    if (!(lapic->spurious & SPURIOUS_ENABLE))
        value |= LVT_MASKED;                    /* 11.4.7.2: the mask bits cannot be cleared */
    if (which == LVT_TIMER)
        lapic_timer_set_lvt(lapic, value);
    else
        lapic->lvt[which] = value;
}

static void write_spurious(struct lapic *lapic, uint32_t value)
{
    lapic->spurious = value & SPURIOUS_WRITABLE;
    if (!(value & SPURIOUS_ENABLE))
        for (unsigned i = 0; i < LVT_COUNT; i++)
            lapic->lvt[i] |= LVT_MASKED;
}

/* Reads what both modes have. False: no such register. */
static bool read_register(const struct lapic *lapic, unsigned offset, uint32_t *value)
{
    *value = 0;
    if (offset & 0xf)
        return false;
    if (offset >= REGISTER_ISR && offset < REGISTER_ESR) {
        const uint32_t *bits = offset >= REGISTER_IRR ? lapic->requested
                             : offset >= REGISTER_TMR ? lapic->level : lapic->in_service;
        *value = bits[offset >> 4 & 7];
        return true;
    }
    if (offset >= REGISTER_LVT && offset <= REGISTER_LVT_LAST) {
        *value = lapic->lvt[(offset - REGISTER_LVT) >> 4];
        return true;
    }
    switch (offset) {
    case REGISTER_ID:
        *value = lapic_x2apic(lapic) ? lapic_id(lapic) : lapic_id(lapic) << 24;
        return true;
    case REGISTER_VERSION:
        *value = VERSION;
        return true;
    case REGISTER_TPR:
        *value = lapic->tpr;
        return true;
    case REGISTER_PPR:
        *value = lapic_processor_priority(lapic);
        return true;
    case REGISTER_LDR:
        *value = lapic_logical_id(lapic);
        return true;
    case REGISTER_SPURIOUS:
        *value = lapic->spurious;
        return true;
    case REGISTER_ESR:
        *value = lapic->errors_visible;
        return true;
    case REGISTER_ICR_LOW:
        *value = (uint32_t)lapic->icr;
        return true;
    case REGISTER_INITIAL:
        *value = lapic->initial_count;
        return true;
    case REGISTER_CURRENT:
        *value = lapic_timer_current(lapic);
        return true;
    case REGISTER_DIVIDE:
        *value = lapic->divide;
        return true;
    }
    return false;
}

/* Writes what both modes have. False: not writable. */
static bool write_register(struct lapic *lapic, unsigned offset, uint32_t value)
{
    if (offset & 0xf)
        return false;
    if (offset >= REGISTER_LVT && offset <= REGISTER_LVT_LAST) {
        write_lvt(lapic, (offset - REGISTER_LVT) >> 4, value);
        return true;
    }
    switch (offset) {
    case REGISTER_TPR:
        lapic->tpr = value & 0xff;
        return true;
    case REGISTER_EOI:
        lapic_end_of_interrupt(lapic);
        return true;
    case REGISTER_SPURIOUS:
        write_spurious(lapic, value);
        return true;
    case REGISTER_ESR:
        lapic->errors_visible = lapic->errors;
        lapic->errors = 0;
        return true;
    case REGISTER_INITIAL:
        lapic_timer_start(lapic, value);
        return true;
    case REGISTER_DIVIDE:
        lapic_timer_set_divide(lapic, value);
        return true;
    }
    return false;
}

uint32_t lapic_read(struct lapic *lapic, unsigned offset)
{
    uint32_t value;

    switch (offset) {
    case REGISTER_APR:
        return 0;                               /* arbitration priority: no bus to arbitrate */
    case REGISTER_DFR:
        return lapic->dfr;
    case REGISTER_ICR_HIGH:
        return (uint32_t)(lapic->icr >> 32);
    }
    if (!read_register(lapic, offset, &value) && !(offset & 0xf))
        lapic->errors |= ERROR_REGISTER;
    return value;
}

void lapic_write(struct lapic *lapic, unsigned offset, uint32_t value)
{
    switch (offset) {
    case REGISTER_LDR:
        lapic->ldr = value & 0xff000000;
        return;
    case REGISTER_DFR:
        lapic->dfr = value | 0x0fffffff;
        return;
    case REGISTER_ICR_HIGH:
        lapic->icr = (lapic->icr & 0xffffffff) | (uint64_t)(value & 0xff000000) << 32;
        return;
    case REGISTER_ICR_LOW:
        lapic->icr = (lapic->icr & ~0xffffffffull) | (value & ICR_WRITABLE);
        lapic_send(lapic);
        return;
    case REGISTER_ID:
        return;                                 /* read-only since the Pentium 4 (11.4.6) */
    }
    if (!write_register(lapic, offset, value) && !(offset & 0xf))
        lapic->errors |= ERROR_REGISTER;
}

/* Bits of x2APIC registers that WRMSR may set; others raise #GP (11.12.1.2, 11.12.1.3). */
static uint64_t x2apic_writable(unsigned offset)
{
    if (offset >= REGISTER_LVT && offset <= REGISTER_LVT_LAST)
        return lvt_writable[(offset - REGISTER_LVT) >> 4] | lvt_read_only((enum lapic_lvt)((offset - REGISTER_LVT) >> 4));
    switch (offset) {
    case REGISTER_TPR:
    case REGISTER_SELF_IPI:
        return 0xff;
    case REGISTER_SPURIOUS:
        return SPURIOUS_WRITABLE;
    case REGISTER_DIVIDE:
        return 0xb;
    case REGISTER_INITIAL:
        return 0xffffffff;
    case REGISTER_ICR_LOW:
        return ICR_WRITABLE | 0xffffffff00000000;
    }
    return 0;
}

static bool x2apic_read(const struct lapic *lapic, unsigned offset, uint64_t *value)
{
    uint32_t low;

    if (offset == REGISTER_EOI || !read_register(lapic, offset, &low))
        return false;
    *value = offset == REGISTER_ICR_LOW ? lapic->icr : low;
    return true;
}

static bool x2apic_write(struct lapic *lapic, unsigned offset, uint64_t value)
{
    if (value & ~x2apic_writable(offset))
        return false;
    if (offset == REGISTER_ICR_LOW) {
        lapic->icr = value;
        lapic_send(lapic);
        return true;
    }
    if (offset == REGISTER_SELF_IPI) {
        lapic_accept(lapic, (uint8_t)value, false);
        return true;
    }
    return write_register(lapic, offset, (uint32_t)value);
}

/* IA32_APIC_BASE: SDM Vol. 3, 11.4.4; the transitions between its modes: 11.12.5, Figure 11-27. */
static bool write_base(struct lapic *lapic, uint64_t value)
{
    uint64_t reserved = ~((1ull << lapic->cpu->model->physical_address_width) - 1) | 0xff | 1ull << 9;
    bool enable = value & APIC_BASE_ENABLE, x2apic = value & APIC_BASE_X2APIC;

    if (value & reserved)
        return false;
    if (x2apic && !enable)
        return false;
    if (lapic_x2apic(lapic) && enable && !x2apic)
        return false;                           /* x2APIC mode is left through "disabled" only */
    if (!lapic_enabled(lapic) && x2apic)
        return false;
    bool restart = lapic_enabled(lapic) != enable, enter_x2apic = x2apic && !lapic_x2apic(lapic);
    lapic->base = value;
    if (restart)
        lapic_clear(lapic);
    if (enter_x2apic)
        lapic->icr &= 0xffffffff;               /* 11.12.5.1: the high half of the ICR is cleared */
    return true;
}

bool lapic_read_msr(struct lapic *lapic, uint32_t index, uint64_t *value)
{
    switch (index) {
    case MSR_ia32_apic_base:
        *value = lapic->base;
        return true;
    case MSR_ia32_tsc_deadline:
        *value = lapic_timer_deadline(lapic);
        return true;
    }
    if (index < X2APIC_FIRST || index > X2APIC_LAST || !lapic_x2apic(lapic))
        return false;
    return x2apic_read(lapic, (index - X2APIC_FIRST) << 4, value);
}

bool lapic_write_msr(struct lapic *lapic, uint32_t index, uint64_t value)
{
    switch (index) {
    case MSR_ia32_apic_base:
        return write_base(lapic, value);
    case MSR_ia32_tsc_deadline:
        lapic_timer_set_deadline(lapic, value);
        return true;
    }
    if (index < X2APIC_FIRST || index > X2APIC_LAST || !lapic_x2apic(lapic))
        return false;
    return x2apic_write(lapic, (index - X2APIC_FIRST) << 4, value);
}
