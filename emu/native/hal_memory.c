/* SPDX-License-Identifier: MIT */
/* The HAL on the model: physical memory, the pool, devices, ownership, the log. */
#include <string.h>

#include "emu/native/state.h"
#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/vmx/vmx.h"

static struct native *native(void) { return native_here->native; }
static struct memory *memory(void) { return &native()->model->memory; }

static bool in_pool(uint64_t pa)
{
    return pa >= native()->pool_base && pa - native()->pool_base < native()->pool_pages * PAGE_SIZE;
}

static void count(physical_address pa, size_t length)
{
    native()->counts.memory_access++;
    *(in_pool(pa.value) ? &native()->counts.l0_bytes : &native()->counts.l1_bytes) += length;
}

bool hal_pm_read(physical_address pa, void *to, size_t length)
{
    count(pa, length);
    if (!memory_is_ram(memory(), pa.value, length) || !memory_read(memory(), pa.value, to, length))
        return false;
    reads_note(native_here, pa.value, length);
    return true;
}

static bool store(physical_address pa, const void *from, size_t length)
{
    if (!memory_is_ram(memory(), pa.value, length))
        return false;
    vmcs_watch_write(native_here->cpu, pa.value, length);
    reads_write(native_here, pa.value, length);
    return memory_write(memory(), pa.value, from, length);
}

bool hal_pm_write(physical_address pa, const void *from, size_t length)
{
    count(pa, length);
    return store(pa, from, length);
}

bool hal_pm_read64(physical_address pa, uint64_t *value) { return hal_pm_read(pa, value, sizeof *value); }
bool hal_pm_write64(physical_address pa, uint64_t value) { return hal_pm_write(pa, &value, sizeof value); }
bool hal_pm_write32(physical_address pa, uint32_t value) { return hal_pm_write(pa, &value, sizeof value); }

/* It compares, so that it is no read that rule R8 counts: what was read before is found to be so still, or not used. */
bool hal_pm_compare_exchange64(physical_address pa, uint64_t *expected, uint64_t desired)
{
    uint64_t value;
    count(pa, sizeof value);
    reads_write(native_here, pa.value, sizeof value);
    if (!memory_is_ram(memory(), pa.value, sizeof value) || !memory_read(memory(), pa.value, &value, sizeof value))
        return false;
    bool same = value == *expected;
    *expected = value;
    return same && hal_pm_write64(pa, desired);
}

bool hal_pm_zero_page(physical_address pa)
{
    static const uint8_t zeroes[PAGE_SIZE];
    return hal_pm_write(pa, zeroes, sizeof zeroes);
}

void hal_reading(enum hal_datum datum) { native()->reads.datum = (uint8_t)datum; }

/* ---- the pool: page 0 of it stands for L0's own paging structure and is never handed out ---- */

physical_address hal_page_allocate(void)
{
    struct native *n = native();
    for (uint64_t i = 0; i < n->pool_pages - 1; i++) {
        uint64_t page = 1 + (n->next_free + i) % (n->pool_pages - 1);
        if (n->pool_used[page])
            continue;
        n->pool_used[page] = 1;
        n->pages_used++;
        n->pages_taken += native_here->entered;
        n->next_free = page;                    /* the next search starts behind this page */
        physical_address pa = PA(n->pool_base + page * PAGE_SIZE);
        hal_pm_zero_page(pa);
        return pa;
    }
    return PA(0);
}

void hal_page_free(physical_address page)
{
    struct native *n = native();
    uint64_t index = (page.value - n->pool_base) / PAGE_SIZE;
    if (page.value < n->pool_base || index >= n->pool_pages || page.value % PAGE_SIZE || !n->pool_used[index])
        native_stop("L0 freed a page that it had not allocated");
    uint8_t poison[PAGE_SIZE];
    memset(poison, 0xdb, sizeof poison);
    store(page, poison, sizeof poison);
    n->pool_used[index] = 0;
    n->pool_released[index] = 1;
    n->released = true;
    n->pages_used--;
    n->pages_taken -= native_here->entered;
}

void hal_keep(uint64_t pages) { native()->pages_taken -= (int64_t)pages; }

struct hal_range hal_pool(void)
{
    return (struct hal_range){ PA(native()->pool_base), native()->pool_pages * PAGE_SIZE };
}

bool hal_ram(unsigned index, struct hal_range *range)
{
    uint64_t size = memory()->size, low = size < MEMORY_HOLE ? size : MEMORY_HOLE;
    if (index > 1 || (index == 1 && size <= MEMORY_HOLE))
        return false;
    *range = index ? (struct hal_range){ PA(MEMORY_HIGH), size - MEMORY_HOLE } : (struct hal_range){ PA(0), low };
    return true;
}

/* Caches are coherent on this machine and memory is strongly ordered. */
void hal_write_back_invalidate(void) {}
void hal_fence(void) {}

/* ---- other processors ---- */

/* A machine without local APICs has wires instead. */
static bool apic_enabled(struct cpu *cpu)
{
    uint64_t base;

    return !msr_read(cpu, MSR_ia32_apic_base, &base) || base & APIC_BASE_ENABLE;
}

bool hal_kick(unsigned target, enum hal_kick kind)
{
    struct model *model = native()->model;
    if (target >= model->cpu_count || (kind == HAL_KICK_INIT && model->cpu[target].init_pending) ||
        !apic_enabled(native_here->cpu))
        return false;
    if (!apic_enabled(&model->cpu[target]))
        return true;                            /* sent, and accepted by nobody */
    if (kind == HAL_KICK_INIT)
        model->cpu[target].init_pending = true;
    else
        model->cpu[target].nmi_pending = true;
    return true;
}

/* Processors change only while L0 is in its guest or pauses: a lock that is found taken was kept meanwhile. */
void hal_lock(uint32_t *lock)
{
    if (*lock)
        native_stop("deadlock: a lock of L0 was kept across a VM entry or a pause");
    *lock = 1;
}

void hal_unlock(uint32_t *lock) { *lock = 0; }

/* ---- devices ---- */

bool hal_mmio_read32(physical_address pa, uint32_t *value)
{
    const struct bus *bus = &native()->model->bus;
    if (!bus->mmio_read || memory_is_ram(memory(), pa.value, 4))
        return false;
    *value = (uint32_t)bus->mmio_read(bus->context, native_here->cpu, pa.value, 4);
    return true;
}

bool hal_mmio_write32(physical_address pa, uint32_t value)
{
    const struct bus *bus = &native()->model->bus;
    if (!bus->mmio_write || memory_is_ram(memory(), pa.value, 4))
        return false;
    bus->mmio_write(bus->context, native_here->cpu, pa.value, 4, value);
    return true;
}

/* ---- what the core tells ---- */

void hal_log(enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct native_cpu *here = native_here;
    if (event == HAL_EVENT_LEVEL)
        here->level = (unsigned)a;
    else
        here->accounted = true;
    shadowed_told(here, event, a, b, c, d);
    regions_told(here, event, a, b, c, d);
    if (event == HAL_EVENT_VMX_INSTRUCTION && !d && (a == EXIT_REASON_vmxon || a == EXIT_REASON_vmxoff))
        rules_vmx_operation(here, a == EXIT_REASON_vmxon);
    refusals_log(here, event, a, d);
    if (here->native->trace)
        trace_l0(here->native->trace, here->cpu, event, a, b, c, d);
    reads_exchange(here, true);             /* whoever is told looks at the memory as L0 has read it */
    if (event == HAL_EVENT_ABORT)
        cpu_notify(here->cpu, &(struct notice){ .kind = NOTICE_ABORTED, .a = a, .b = b });
    if (event == HAL_EVENT_REFLECT)
        cpu_notify(here->cpu, &(struct notice){ .kind = NOTICE_REFLECTED, .a = a, .b = b, .c = c, .d = d });
    reads_exchange(here, false);
}

void hal_own(physical_address page, uint64_t pages, enum hal_owner owner)
{
    bool taken = false;
    for (uint64_t i = 0; i < pages; i++) {
        size_t index = memory_page_index(memory(), page.value + i * PAGE_SIZE);
        if (index == SIZE_MAX)
            continue;
        taken |= native()->owner[index] == HAL_OWNER_L1 && owner != HAL_OWNER_L1;
        native()->owner[index] = (uint8_t)owner;
        if (owner == HAL_OWNER_L1)
            memory()->watch[index] &= (uint8_t)~WATCH_PRIVATE;
        else
            memory()->watch[index] |= WATCH_PRIVATE;
    }
    if (!taken)
        return;
    rules_page_taken_away(native_here, page.value, pages);
    native()->model->tlb.generation++;          /* the CPU engine may hold what the model's TLB had no room for */
}
