/* SPDX-License-Identifier: MIT */
/* Decoding: which device an access to a port or to device memory reaches: by bus.def, or else by the BARs of PCI functions. */
#include "emu/device/bus.h"

#include "emu/device/ports.h"

/* Sorted by address, as bus.def is. */
static const struct {
    uint16_t first, last;
    uint8_t width;
    uint32_t (*in)(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size);
    void (*out)(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value);
} ports[] = {
#define PORTS(first, last, width, noun) { first, last, width, noun##_in, noun##_out },
#define MEMORY(first, last, noun)
#include "emu/device/bus.def"
#undef PORTS
#undef MEMORY
};
static const struct {
    uint64_t first, last;
    uint64_t (*read)(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size);
    void (*write)(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value);
} memories[] = {
#define PORTS(first, last, width, noun)
#define MEMORY(first, last, noun) { first, last, noun##_load, noun##_store },
#include "emu/device/bus.def"
#undef PORTS
#undef MEMORY
};
enum { PORT_RANGES = sizeof ports / sizeof ports[0], MEMORY_RANGES = sizeof memories / sizeof memories[0], NOBODY = -1 };

static int port_owner(uint16_t port)
{
    int low = 0, high = PORT_RANGES - 1;

    while (low <= high) {
        int middle = (low + high) / 2;

        if (port < ports[middle].first)
            high = middle - 1;
        else if (port > ports[middle].last)
            low = middle + 1;
        else
            return middle;
    }
    return NOBODY;
}

static int memory_owner(uint64_t pa)
{
    for (int i = 0; i < MEMORY_RANGES; i++)
        if (pa >= memories[i].first && pa <= memories[i].last)
            return i;
    return NOBODY;
}

/* Does one device take the whole access? */
static bool takes(int owner, uint16_t port, unsigned size)
{
    return owner != NOBODY && (size <= ports[owner].width) && size - 1u <= (unsigned)(ports[owner].last - port);
}

uint32_t bus_port_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    int owner = port_owner(port);
    uint64_t whole;
    uint32_t value = 0;

    if (takes(owner, port, size))
        return ports[owner].in(board, cpu, port, size);
    if (owner == NOBODY && virtio_bar_read(board, true, port, size, &whole))
        return (uint32_t)whole;
    for (unsigned i = 0; i < size; i++) {
        uint16_t at = (uint16_t)(port + i);
        int one = port_owner(at);

        value |= (one == NOBODY ? 0xff : ports[one].in(board, cpu, at, 1) & 0xff) << 8 * i;
    }
    return value;
}

void bus_port_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    int owner = port_owner(port);

    if (takes(owner, port, size)) {
        ports[owner].out(board, cpu, port, size, value);
        return;
    }
    if (owner == NOBODY && virtio_bar_write(board, true, port, size, value))
        return;
    for (unsigned i = 0; i < size; i++) {
        uint16_t at = (uint16_t)(port + i);
        int one = port_owner(at);

        if (one != NOBODY)
            ports[one].out(board, cpu, at, 1, value >> 8 * i & 0xff);
    }
}

/* Programs look for devices below 4 GB; elsewhere is memory, or there is a mistake. */
static void taken_by_nobody(const struct board *board, const struct cpu *cpu, uint64_t pa, bool write)
{
    if ((pa < MEMORY_HOLE || pa >= MEMORY_HIGH) && board->nowhere)
        board->nowhere(board->context, cpu, pa, write);
}

uint64_t bus_memory_read(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    int owner = memory_owner(pa);
    uint64_t ones = size >= 8 ? ~0ull : (1ull << 8 * size) - 1, value;

    if (owner != NOBODY)
        return memories[owner].read(board, cpu, pa, size) & ones;
    if (edu_bar_read(board, pa, size, &value) || virtio_bar_read(board, false, pa, size, &value))
        return value & ones;
    taken_by_nobody(board, cpu, pa, false);
    return ones;
}

void bus_memory_write(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    int owner = memory_owner(pa);

    if (owner != NOBODY)
        memories[owner].write(board, cpu, pa, size, value);
    else if (!edu_bar_write(board, pa, size, value) && !virtio_bar_write(board, false, pa, size, value))
        taken_by_nobody(board, cpu, pa, true);
}
