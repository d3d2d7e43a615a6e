/* SPDX-License-Identifier: MIT */
/*
 * L1's memory, for L0. Every datum that L1 supplies comes through here, once, and every address is checked here: RAM
 * that is neither L0's pool nor was given to it is L1's; anything else is absent, as if the processor addressed nothing.
 */
#include "hv/core.h"

static bool inside(struct hal_range range, uint64_t address)
{
    return address >= range.base.value && address - range.base.value < range.size;
}

static bool overlap(struct hal_range range, uint64_t base, uint64_t size)
{
    return base < range.base.value + range.size && range.base.value < base + size;
}

enum l1_memory l1_memory(const struct hv_machine *m, uint64_t base, uint64_t size)
{
    const uint64_t last = base + size - 1;

    if (base >> m->memory_address_width || (inside(m->pool, base) && inside(m->pool, last)))
        return L1_ABSENT;
    if (overlap(m->pool, base, size))
        return L1_MIXED;
    for (unsigned i = 0; i < m->ram_count; i++)
        if (overlap(m->ram[i], base, size)) {
            if (page_given(m, base, size))
                return size == PAGE_SIZE ? L1_ABSENT : L1_MIXED;
            return inside(m->ram[i], base) && inside(m->ram[i], last) ? L1_RAM : L1_MIXED;
        }
    return L1_DEVICE;
}

bool l1_owns(const struct hv_machine *m, uint64_t page)
{
    return l1_memory(m, page & ~PAGE_OFFSET, PAGE_SIZE) == L1_RAM;
}

/* Length of the piece of [address, address + length) that lies in one page. */
static size_t piece(uint64_t address, size_t length)
{
    size_t left = (size_t)(PAGE_SIZE - (address & PAGE_OFFSET));

    return length < left ? length : left;
}

void l1_read_absent(void *to, size_t length)
{
    uint8_t *bytes = to;

    for (size_t i = 0; i < length; i++)
        bytes[i] = 0xff;
}

void l1_read(const struct hv_machine *m, enum hal_datum datum, uint64_t address, void *to, size_t length)
{
    uint8_t *bytes = to;

    while (length) {
        size_t size = piece(address, length);
        hal_reading(datum);
        if (l1_owns(m, address))
            l1_read_owned(address, bytes, size);
        else
            l1_read_absent(bytes, size);
        address += size;
        bytes += size;
        length -= size;
    }
}

void l1_write(const struct hv_machine *m, uint64_t address, const void *from, size_t length)
{
    const uint8_t *bytes = from;

    while (length) {
        size_t size = piece(address, length);
        if (l1_owns(m, address))
            hal_pm_write(PA(address), bytes, size);
        address += size;
        bytes += size;
        length -= size;
    }
}

uint32_t l1_read_revision(const struct hv_machine *m, uint64_t address)
{
    uint32_t value;

    l1_read(m, HAL_DATUM_REGION, address, &value, sizeof value);
    return value;
}

/* ---- entries of paging structures ---- */

static uint64_t *remembered(struct entries *entries, uint64_t address)
{
    for (unsigned i = 0; i < entries->count; i++)
        if (entries->entry[i].address == address)
            return &entries->entry[i].value;
    return NULL;
}

uint64_t l1_read_entry(const struct hv_machine *m, uint64_t address)
{
    struct entries *entries = &((struct hv_cpu *)hal_cpu_local())->entries;
    const uint64_t *known = remembered(entries, address);
    uint64_t value;

    if (known)
        return *known;
    l1_read(m, HAL_DATUM_PAGING_ENTRY, address, &value, sizeof value);
    if (entries->count < ENTRIES_KEPT) {
        entries->entry[entries->count].address = address;
        entries->entry[entries->count++].value = value;
    }
    return value;
}

bool l1_update_entry(const struct hv_machine *m, uint64_t address, uint64_t *entry, uint64_t desired)
{
    struct hv_cpu *cpu = hal_cpu_local();
    const uint64_t page = address & ~PAGE_OFFSET;
    uint64_t *known = remembered(&cpu->entries, address);
    bool done = !l1_owns(m, page) || hal_pm_compare_exchange64(PA(address), entry, desired);

    if (done)
        *entry = desired;
    if (known)
        *known = *entry;
    return done;
}

/* Where the bytes of a linear range are: two pages at most. False: #PF was injected. */
struct pieces { uint64_t address[2]; size_t size[2]; };

static bool locate(struct hv_cpu *cpu, uint64_t linear, size_t length, bool write, struct pieces *pieces)
{
    *pieces = (struct pieces){ .size = { piece(linear, length), length - piece(linear, length) } };
    for (unsigned i = 0; i < 2 && pieces->size[i]; i++) {
        uint64_t at = i ? linear + pieces->size[0] : linear;
        struct walk walk = l1_walk(cpu->machine, guest_64bit() ? at : at & 0xffffffff, write);
        if (walk.fault) {
            inject_page_fault(cpu, at, walk.error_code);
            return false;
        }
        pieces->address[i] = walk.address;
    }
    return true;
}

bool l1_read_linear(struct hv_cpu *cpu, uint64_t linear, void *to, size_t length)
{
    struct pieces pieces;

    if (!locate(cpu, linear, length, false, &pieces))
        return false;
    l1_read(cpu->machine, HAL_DATUM_OPERAND, pieces.address[0], to, pieces.size[0]);
    l1_read(cpu->machine, HAL_DATUM_OPERAND, pieces.address[1], (uint8_t *)to + pieces.size[0], pieces.size[1]);
    breakpoints_meet(cpu, linear, length, false);
    return true;
}

bool l1_write_linear(struct hv_cpu *cpu, uint64_t linear, const void *from, size_t length)
{
    struct pieces pieces;

    if (!locate(cpu, linear, length, true, &pieces))
        return false;
    l1_write(cpu->machine, pieces.address[0], from, pieces.size[0]);
    l1_write(cpu->machine, pieces.address[1], (const uint8_t *)from + pieces.size[0], pieces.size[1]);
    breakpoints_meet(cpu, linear, length, true);
    return true;
}
