/* SPDX-License-Identifier: MIT */
/*
 * The services of the firmware under hostile real-mode guests, and its configuration by DMA: registers, stacks and memory are what they like, at the
 * ROM's call of the board. What must hold: no crash, and the call ends; a service changes no register but those in which it answers, and of the
 * flags on the stack CF and ZF alone; the files of the disks stay as they are.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/device/board.h"
#include "emu/device/bus.h"
#include "emu/device/dialogue.h"
#include "emu/disk/disk.h"
#include "emu/firmware/rom.h"
#include "emu/load/parts.h"
#include "tests/fuzz/fuzz.h"

enum { RAM_SIZE = 2 << 20, SECTORS = 2000, OPERATION = 20, DISKS = 2, STACK = 0x7000 };

static struct model *model;
static struct board *board;
static uint8_t *ram, *watch;
static struct disk *disk[DISKS];
static int image[DISKS];
static FILE *nowhere;
static uint64_t call_at;
static struct dialogue typist;

static void open_once(void)
{
    static const char *const modes[DISKS] = { "snapshot", "ro" };
    static const char typed[] = "send \"\\r\\nabcXYZ123!\\x00\\x7f\\xff\"";
    char option[60], error[200];

    if (model)
        return;
    model = calloc(1, sizeof *model);
    board = calloc(1, sizeof *board);
    ram = calloc(1, RAM_SIZE);
    watch = calloc(1, RAM_SIZE / PAGE_SIZE);
    nowhere = fopen("/dev/null", "wb");
    FUZZ_ASSERT(model && board && ram && watch && nowhere);
    for (unsigned i = 0; i < DISKS; i++) {
        image[i] = memfd_create("disk", 0);
        FUZZ_ASSERT(image[i] >= 0 && ftruncate(image[i], (SECTORS >> 7 * i) * DISK_SECTOR) == 0);
        snprintf(option, sizeof option, "/proc/self/fd/%d,%s", image[i], modes[i]);
        FUZZ_ASSERT((disk[i] = disk_open(option, error, sizeof error)));
    }
    FUZZ_ASSERT(dialogue_parse(&typist, typed, strlen(typed), error, sizeof error));
    model->cpu_count = 1;
    model->physical_address_width = 40;
}

static void begin(void)
{
    const struct load_request request = { .reserved_base = 0x180000, .reserved_size = 0x10000, .fw_cfg = &board->fw_cfg };
    struct dialogue *typing = malloc(sizeof *typing);

    FUZZ_ASSERT(typing);
    memset(ram, 0, 0x100000);
    memory_init(&model->memory, ram, RAM_SIZE, watch);
    model->cpu[0] = (struct cpu){ .model = model };
    memset(board, 0, sizeof *board);
    board_init(board, model, nowhere);
    for (unsigned i = 0; i < DISKS; i++)
        virtio_plug(board, VIRTIO_block)->host.disk = disk[i];
    firmware_leave(model, &request);
    *typing = typist;
    board->uart[0].dialogue = typing;
    for (call_at = ROM_OFFSET; ram[ROM_BASE + call_at] != 0xe6 || ram[ROM_BASE + call_at + 1] != ROM_SERVICE_PORT;)
        call_at++;
}

/* What a service may answer in: AX, BX, CX, DX, and ES for the table of INT 15H, C0H. */
static void call(uint8_t vector)
{
    struct cpu *cpu = &model->cpu[0];
    uint64_t stack = cpu->seg[SEG_SS].base + (uint16_t)cpu->gpr[RSP];
    uint16_t before, after;

    memory_write(&model->memory, stack, &(uint16_t){ vector }, 2);
    memory_read(&model->memory, stack + 6, &before, 2);
    cpu->seg[SEG_CS].base = ROM_BASE;
    cpu->rip = call_at;
    struct cpu kept = *cpu;
    bus_port_out(board, cpu, ROM_SERVICE_PORT, 1, 0);
    memory_read(&model->memory, stack + 6, &after, 2);
    FUZZ_ASSERT(!((before ^ after) & ~(RFLAGS_CF | RFLAGS_ZF)) || vector == 0x13 || vector == 0x15 || vector == 0x10 || vector == 0x1a);
    FUZZ_ASSERT(!((cpu->rflags ^ kept.rflags) & ~(uint64_t)RFLAGS_CF));
    for (unsigned i = 0; i < 4; i++)
        kept.gpr[i] = cpu->gpr[i];
    FUZZ_ASSERT(memcmp(cpu->gpr, kept.gpr, sizeof kept.gpr) == 0 && cpu->rip == kept.rip);
    FUZZ_ASSERT(cpu->seg[SEG_ES].base == kept.seg[SEG_ES].base || (vector == 0x15 && cpu->seg[SEG_ES].base == ROM_BASE));
    if (board->end != BOARD_RUNNING) {
        FUZZ_ASSERT(board->end == BOARD_FIRMWARE && board->last_words[0] && !strchr(board->last_words, '\n'));
        board->end = BOARD_RUNNING;
    }
}

/* A request of the firmware's configuration at an address, big-endian as it stands in memory. */
static void ask(uint32_t at)
{
    uint32_t key = fw_cfg_next(&board->fw_cfg);

    bus_port_out(board, &model->cpu[0], FW_CFG_DMA, 4, at & 1 ? key : 0);
    bus_port_out(board, &model->cpu[0], FW_CFG_DMA_LOW, 4, __builtin_bswap32(at));
    FUZZ_ASSERT(board->fw_cfg.position <= sizeof board->fw_cfg.map);
}

/* Bytes: what, which, -, -, an offset of 8, a value of 8. */
static void operate(const uint8_t *data)
{
    struct cpu *cpu = &model->cpu[0];
    uint64_t offset, value;

    memcpy(&offset, data + 4, 8);
    memcpy(&value, data + 12, 8);
    switch (data[0] % 8) {
    case 0:
        cpu->gpr[data[1] % 16] = value;
        break;
    case 1:
        cpu->seg[data[1] % 6].selector = (uint16_t)value;
        cpu->seg[data[1] % 6].base = (uint16_t)value * 16ull;
        break;
    case 2: case 3:
        memory_write(&model->memory, offset % (RAM_SIZE + 8), &value, 8);
        break;
    case 4: case 5:
        call(data[1]);
        break;
    case 6:
        ask((uint32_t)offset % (RAM_SIZE + 32));
        break;
    case 7:
        cpu->clock += value % 1000000000;
        board_advance(board, cpu);
        board->end = BOARD_RUNNING;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t byte = 0;

    open_once();
    begin();
    for (; size >= OPERATION; data += OPERATION, size -= OPERATION)
        operate(data);
    for (unsigned i = 0; i < DISKS; i++)
        FUZZ_ASSERT(pread(image[i], &byte, 1, (off_t)(size * 131)) == 1 && byte == 0);
    for (unsigned i = 1; i < 64; i++)       /* nothing was written behind a disk's last cluster */
        FUZZ_ASSERT(!disk[0]->is_kept[(disk[0]->sectors - 1) * DISK_SECTOR / DISK_CLUSTER + i]);
    free(board->uart[0].dialogue);
    return 0;
}

/* ---- inputs ---- */

static size_t put(uint8_t *to, unsigned what, unsigned which, uint64_t offset, uint64_t value)
{
    const uint8_t head[4] = { (uint8_t)what, (uint8_t)which };

    memcpy(to, head, 4);
    memcpy(to + 4, &offset, 8);
    memcpy(to + 12, &value, 8);
    return OPERATION;
}

static uint64_t edge(struct fuzz_random *random)
{
    static const uint64_t values[] = { 0, 1, 0xf, 0x10, 0x18, 0x1a, 0x7f, 0x80, 0x81, 0x82, 0xff, 0xffff, 0xfff0, SECTORS - 1, SECTORS, 0x55aa, 0x534d4150, 0xfe00,
                                       0x9fc0, 0xf000, 0x1f00, RAM_SIZE - 1, 0xffffffff, 1ull << 55, ~0ull };

    return fuzz_below(random, 3) ? values[fuzz_below(random, sizeof values / sizeof values[0])] : fuzz_next(random);
}

static size_t make_call(struct fuzz_random *random, uint8_t *to)
{
    static const struct { uint8_t vector, function; } known[] = {
        { 0x10, 0x0e }, { 0x10, 0x13 }, { 0x10, 2 }, { 0x13, 2 }, { 0x13, 3 }, { 0x13, 4 }, { 0x13, 8 }, { 0x13, 0x15 }, { 0x13, 0x41 }, { 0x13, 0x42 }, { 0x13, 0x43 },
        { 0x13, 0x44 }, { 0x13, 0x48 }, { 0x15, 0xe8 }, { 0x15, 0x88 }, { 0x15, 0xc0 }, { 0x15, 0x24 }, { 0x16, 0 }, { 0x16, 1 }, { 0x16, 0x11 }, { 0x18, 0 }, { 0x19, 0 },
        { 0x1a, 0 }, { 0x1a, 1 }, { 0x1a, 2 }, { 0x1a, 4 },
    };
    static const uint8_t low[] = { 0x20, 1, 2, 3, 0x7f, 0x80, 0xff, 0 };
    unsigned which = fuzz_below(random, sizeof known / sizeof known[0]);
    uint8_t vector = fuzz_below(random, 8) ? known[which].vector : (uint8_t)fuzz_next(random);
    uint64_t packet = 0x3000 + fuzz_below(random, 4) * 0x100;
    size_t size = 0;

    size += put(to + size, 0, RAX, 0, known[which].function << 8 | low[fuzz_below(random, sizeof low)]);
    size += put(to + size, 0, RDX, 0, known[which].function == 0xe8 ? 0x534d4150 : fuzz_below(random, 4) ? 0x80 + fuzz_below(random, 3) : edge(random));
    size += put(to + size, 0, RCX, 0, edge(random));
    size += put(to + size, 0, RBX, 0, edge(random));
    size += put(to + size, 0, RSP, 0, fuzz_below(random, 4) ? STACK : edge(random));
    size += put(to + size, 0, RSI, 0, fuzz_below(random, 4) ? packet : edge(random));
    size += put(to + size, 0, RDI, 0, edge(random));
    size += put(to + size, 0, RBP, 0, edge(random));
    size += put(to + size, 1, fuzz_below(random, 6), 0, fuzz_below(random, 2) ? 0 : edge(random));
    size += put(to + size, 2, 0, packet, (fuzz_below(random, 4) ? 16 + 8 * fuzz_below(random, 2) : edge(random) & 0xffff) | (edge(random) & 0xffff) << 16 | edge(random) << 32);
    size += put(to + size, 2, 0, packet + 8, edge(random));
    size += put(to + size, 2, 0, packet + 16, edge(random));
    return size + put(to + size, 4, vector, 0, 0);
}

static size_t make_request(struct fuzz_random *random, uint8_t *to)
{
    static const uint16_t keys[] = { 0, 1, 2, 3, 5, 0xd, 0x19, 0x20, 0x21, 0x4019, 0x8002, 0xffff };
    static const uint32_t lengths[] = { 0, 1, 4, 16, 20, 64, 68, 159, 160, 161, 4096, RAM_SIZE - 1, RAM_SIZE, 0x7fffffff, 0x80000000, 0xffffffff };
    uint64_t at = fuzz_below(random, 8) ? 0x4000 + fuzz_below(random, 64) : edge(random), address = fuzz_below(random, 3) ? at + fuzz_below(random, 32) - 16 : edge(random);
    uint32_t control = (uint32_t)keys[fuzz_below(random, sizeof keys / sizeof keys[0])] << 16 | fuzz_below(random, 32);
    size_t size = put(to, 2, 0, at, __builtin_bswap32(control) | (uint64_t)__builtin_bswap32(lengths[fuzz_below(random, 16)]) << 32);

    size += put(to + size, 2, 0, at + 8, __builtin_bswap64(address));
    return size + put(to + size, 6, 0, at, 0);
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    size_t size = 0;

    for (unsigned i = 1 + fuzz_below(random, 6); i; i--)
        switch (fuzz_below(random, 8)) {
        case 0:
            size += put(to + size, (unsigned)fuzz_next(random), (unsigned)fuzz_next(random), fuzz_next(random), fuzz_next(random));
            break;
        case 1:
            size += put(to + size, 7, 0, 0, fuzz_next(random));
            break;
        case 2: case 3:
            size += make_request(random, to + size);
            break;
        default:
            size += make_call(random, to + size);
            break;
        }
    return size;
}
