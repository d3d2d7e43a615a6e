/* SPDX-License-Identifier: MIT */
/*
 * The registers of all devices but virtio's under a guest that writes nonsense to them and to memory, reads in any width, takes interrupts and lets
 * time pass by any step; with the device to learn on, and each remapping unit or none. What must hold: no crash; the next event of a processor that
 * has caught up lies ahead, so that no timer holds the machine up.
 */
#include <stdlib.h>
#include <string.h>

#include "emu/device/board.h"
#include "tests/fuzz/words.h"

enum { RAM_SIZE = 1 << 20, PROCESSORS = 2, STEP = 12, EDU_COMMAND_ON = 6 /* memory, bus master */ };
#define EDU_BAR 0xf1000000ull

static const struct { uint16_t first, last; } ports[] = {
#define PORTS(first, last, width, noun) { first, last },
#define MEMORY(first, last, noun)
#include "emu/device/bus.def"
#undef PORTS
#undef MEMORY
};
static const struct { uint64_t first, last; } memory[] = {
#define PORTS(first, last, width, noun)
#define MEMORY(first, last, noun) { first, last },
#include "emu/device/bus.def"
#undef PORTS
#undef MEMORY
    { 0xfee00000, 0xfee00fff }, { 0xc0000000, 0xc000ffff }, { EDU_BAR, EDU_BAR + 0xff }, { EDU_BAR + EDU_BUFFER, EDU_BAR + EDU_BUFFER + EDU_BUFFER_SIZE },
};
enum { PORT_ROWS = sizeof ports / sizeof ports[0], MEMORY_ROWS = sizeof memory / sizeof memory[0] };

static struct model *model;
static struct board *board;
static struct iommu *iommu;
static uint8_t *ram, *watch;

/* `unit`: a profile of the remapping unit, or one more: none. */
static void begin(unsigned unit)
{
    if (!model) {
        model = calloc(1, sizeof *model);
        board = malloc(sizeof *board);
        ram = malloc(RAM_SIZE);
        watch = calloc(1, RAM_SIZE / PAGE_SIZE);
        iommu = malloc(sizeof *iommu);
        FUZZ_ASSERT(model && board && ram && watch && iommu);
    }
    memset(board, 0, sizeof *board);
    memset(ram, 0, RAM_SIZE);
    memory_init(&model->memory, ram, RAM_SIZE, watch);
    model->cpu_count = PROCESSORS;
    model->physical_address_width = 40;
    for (unsigned i = 0; i < PROCESSORS; i++) {
        model->cpu[i] = (struct cpu){ .model = model, .index = i };
    }
    board_init(board, model, NULL);
    if (unit < IOMMU_PROFILES)
        remapping_install(board, iommu, &iommu_profiles[unit]);
    FUZZ_ASSERT(edu_plug(board));
    pci_config_write(&board->pci, board->edu.index, PCI_COMMAND, 2, EDU_COMMAND_ON);
}

static uint64_t number(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static void pass(uint64_t by)
{
    for (unsigned i = 0; i < PROCESSORS; i++) {
        struct cpu *cpu = &model->cpu[i];

        cpu->clock += by;
        board_advance(board, cpu);
        FUZZ_ASSERT(board_next_event(board, cpu) > cpu->clock);
    }
}

/* kind and processor, row, size, spare; offset; value. */
static void step(const uint8_t at[STEP])
{
    const struct bus *bus = &model->bus;
    struct cpu *cpu = &model->cpu[at[0] >> 7];
    unsigned size = 1u << (at[2] & 3);
    uint32_t offset = (uint32_t)number(at + 4, 4);
    uint64_t value = number(at + 8, 4) * (at[3] & 1 ? 0x100000001ull : 1), pa;
    uint16_t port = (uint16_t)(ports[at[1] % PORT_ROWS].first + offset % (ports[at[1] % PORT_ROWS].last - ports[at[1] % PORT_ROWS].first + 1u));

    pa = memory[at[1] % MEMORY_ROWS].first + offset % (memory[at[1] % MEMORY_ROWS].last - memory[at[1] % MEMORY_ROWS].first + 1);
    switch (at[0] & 7) {
    case 0:
        bus->port_in(bus->context, cpu, port, size > 4 ? 4 : size);
        break;
    case 1: case 2:
        bus->port_out(bus->context, cpu, port, size > 4 ? 4 : size, (uint32_t)value);
        break;
    case 3:
        bus->mmio_read(bus->context, cpu, pa, size);
        break;
    case 4: case 5:
        bus->mmio_write(bus->context, cpu, pa, size, value);
        break;
    case 6:
        if (at[3] & 2) {
            bus->apic_write_msr(bus->context, cpu, at[3] & 4 ? MSR_ia32_apic_base : 0x800 | (offset & 0x3f), value);
            bus->apic_read_msr(bus->context, cpu, 0x800 | (offset & 0x3f), &value);
        } else if (at[3] & 8) {
            memory_write64(&model->memory, offset % (RAM_SIZE + 8), value);
        } else {
            bus->apic_write_cr8(bus->context, cpu, value & 15);
        }
        break;
    case 7:
        if (bus->interrupt_requested(bus->context, cpu))
            bus->interrupt_acknowledge(bus->context, cpu);
        if (at[3] & 1)
            bus->interrupt_end(bus->context, cpu);
        break;
    }
    pass(at[3] & 0x80 ? (value & 0xffffffff) << (at[3] & 15) : at[3] & 15);     /* at most 39 hours */
    if (board->end != BOARD_RUNNING)
        board->end = BOARD_RUNNING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin(size / STEP % (IOMMU_PROFILES + 1));
    for (; size >= STEP; data += STEP, size -= STEP)
        step(data);
    return 0;
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    static const uint32_t values[] = { 0, 1, 0xff, 0xffff, 0xffffffff, 0x80000000, 0x2000, 0x34, 0x36, 0x11, 0xb6, 0x10000, 0x20000, 0x40000 };
    unsigned steps = 1 + fuzz_below(random, 60);
    uint8_t row = (uint8_t)fuzz_next(random);       /* one device, mostly */

    for (unsigned i = 0; i < steps; i++) {
        uint64_t first = fuzz_next(random), second = fuzz_next(random);
        uint32_t value = values[fuzz_below(random, sizeof values / sizeof values[0])];

        memcpy(to + i * STEP, &first, 8);
        memcpy(to + i * STEP + 8, fuzz_below(random, 2) ? (void *)&value : (void *)&second, 4);
        if (fuzz_below(random, 4))
            to[i * STEP + 1] = row;
        if (fuzz_below(random, 4))
            to[i * STEP + 3] &= 0x7f;
    }
    return steps * STEP;
}
