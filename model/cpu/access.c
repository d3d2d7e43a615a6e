/* SPDX-License-Identifier: MIT */
/* Linear memory as the model reads and writes it for an instruction: RAM or device memory, one page or two. */
#include "model/cpu/access.h"

#include <string.h>

#include "model/cpu/debug.h"
#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/vmx/apic.h"

/* An access to the APIC-access page that is virtualized goes to the virtual-APIC page instead (30.4). */
static bool redirected(struct cpu *cpu, uint64_t linear, unsigned length, enum access_kind kind, bool implicit,
                       struct translation *translation)
{
    if (translation->result != TRANSLATION_APIC_ACCESS || implicit ||
        !apic_access_virtualized(cpu, linear & ~PAGE_MASK, length, kind, &translation->pa))
        return false;
    if (kind == ACCESS_WRITE)
        apic_access_written(cpu, linear & ~PAGE_MASK);
    return true;
}

static enum status locate(struct cpu *cpu, uint64_t linear, unsigned length, struct access access, bool implicit,
                          struct span *span)
{
    span->count = 0;
    if (length > PAGE_SIZE)
        return model_refuse(cpu, "an access of the model to more than one page of linear memory");
    while (length) {
        unsigned room = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK)), part = length < room ? length : room;
        struct translation translation = translate(cpu, linear, access);

        if (translation.result != TRANSLATION_OK && !redirected(cpu, linear, length, access.kind, implicit, &translation))
            return translation_fault(cpu, cpu_long_mode(cpu) ? linear : (uint32_t)linear, &translation, false);
        span->part[span->count].pa = translation.pa;
        span->part[span->count++].length = part;
        linear += part;
        length -= part;
    }
    return STATUS_OK;
}

enum status span_locate(struct cpu *cpu, uint64_t linear, unsigned length, enum access_kind kind, bool system,
                        struct span *span)
{
    return locate(cpu, linear, length, (struct access){
        .kind = kind, .user = !system && cpu_cpl(cpu) == 3, .smap_override = !system && (cpu->rflags & RFLAGS_AC),
    }, system, span);
}

enum status span_locate_as(struct cpu *cpu, uint64_t linear, unsigned length, struct access access, struct span *span)
{
    return locate(cpu, linear, length, access, false, span);
}

/* The widest device access that fits. */
static unsigned device_size(unsigned length)
{
    return length >= 8 ? 8 : length >= 4 ? 4 : length >= 2 ? 2 : 1;
}

static void read_device(struct cpu *cpu, uint64_t pa, uint8_t *to, unsigned length)
{
    const struct bus *bus = &cpu->model->bus;

    while (length) {
        unsigned size = device_size(length);
        uint64_t value = bus->mmio_read ? bus->mmio_read(bus->context, cpu, pa, size) : ~0ull;

        memcpy(to, &value, size);
        pa += size;
        to += size;
        length -= size;
    }
}

static void write_device(struct cpu *cpu, uint64_t pa, const uint8_t *from, unsigned length)
{
    const struct bus *bus = &cpu->model->bus;

    while (length) {
        unsigned size = device_size(length);
        uint64_t value = 0;

        memcpy(&value, from, size);
        if (bus->mmio_write)
            bus->mmio_write(bus->context, cpu, pa, size, value);
        pa += size;
        from += size;
        length -= size;
    }
}

void span_read(struct cpu *cpu, const struct span *span, void *to)
{
    const struct memory *memory = &cpu->model->memory;
    uint8_t *bytes = to;

    for (unsigned i = 0; i < span->count; i++) {
        uint64_t pa = span->part[i].pa;

        if (memory_watched(memory, pa) & WATCH_ACCESSES)
            vmcs_touched(cpu, pa, span->part[i].length, false, cpu->rip);
        if (memory_is_ram(memory, pa, span->part[i].length))
            memory_read(memory, pa, bytes, span->part[i].length);
        else
            read_device(cpu, pa, bytes, span->part[i].length);
        bytes += span->part[i].length;
    }
}

void span_write(struct cpu *cpu, const struct span *span, const void *from)
{
    const uint8_t *bytes = from;

    for (unsigned i = 0; i < span->count; i++) {
        uint64_t pa = span->part[i].pa;

        if (memory_is_ram(&cpu->model->memory, pa, span->part[i].length))
            physical_write(cpu, pa, bytes, span->part[i].length);
        else
            write_device(cpu, pa, bytes, span->part[i].length);
        bytes += span->part[i].length;
    }
}

/* SDM Vol. 3, 6.15, "Alignment Check Exception": of CPL 3 alone; by what is accessed at once. */
enum status access_aligned(struct cpu *cpu, uint64_t linear, unsigned length, unsigned cpl)
{
    bool whole = length == 2 || length == 4 || length == 8;

    if (cpl == 3 && whole && (linear & (length - 1)) && (cpu->cr0 & CR0_AM) && (cpu->rflags & RFLAGS_AC))
        return cpu_fault(cpu, VECTOR_AC, 0);
    return STATUS_OK;
}

enum status linear_read(struct cpu *cpu, uint64_t linear, void *to, unsigned length, bool system)
{
    struct span span;

    TRY(span_locate(cpu, linear, length, ACCESS_READ, system, &span));
    if (!system)
        TRY(access_aligned(cpu, linear, length, cpu_cpl(cpu)));
    span_read(cpu, &span, to);
    if (!system)
        debug_note(cpu, DEBUG_READ, linear, length);
    return STATUS_OK;
}

enum status linear_write(struct cpu *cpu, uint64_t linear, const void *from, unsigned length, bool system)
{
    struct span span;

    TRY(span_locate(cpu, linear, length, ACCESS_WRITE, system, &span));
    if (!system)
        TRY(access_aligned(cpu, linear, length, cpu_cpl(cpu)));
    span_write(cpu, &span, from);
    if (!system)
        debug_note(cpu, DEBUG_WRITE, linear, length);
    return STATUS_OK;
}
