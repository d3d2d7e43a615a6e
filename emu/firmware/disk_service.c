/* SPDX-License-Identifier: MIT */
/*
 * INT 13H: hard disks 80H and up are the machine's virtio disks, by cylinder, head and sector, and by block: "BIOS Enhanced Disk Drive
 * Specification 3.0" (Phoenix). There are no floppy disks.
 */
#include <stdio.h>
#include <string.h>

#include "emu/device/board.h"
#include "emu/disk/disk.h"
#include "emu/firmware/rom.h"

enum { FIRST_DISK = 0x80, SECTORS_PER_TRACK = 63, CYLINDERS_MOST = 1024 };
enum { PACKET_SIZE = 16, PACKET_LONG = 24, PARAMETERS_SIZE = 26 };
/* Status, in AH. */
enum { OK = 0, BAD_COMMAND = 0x01, NOT_FOUND = 0x04, WRITE_PROTECTED = 0x03, DMA_FAULT = 0x09, FAILURE = 0x20, NO_DISK = 0x80 };
enum { READ = 2, WRITE = 3, VERIFY = 4 };

static unsigned count(const struct board *board)
{
    unsigned disks = 0;

    for (unsigned i = 0; i < PCI_PLUGGED_MAX; i++)
        disks += board->virtio[i].kind == VIRTIO_block;
    return disks;
}

static struct disk *find(struct board *board, uint8_t number)
{
    for (unsigned i = 0, n = FIRST_DISK; i < PCI_PLUGGED_MAX; i++)
        if (board->virtio[i].kind == VIRTIO_block && n++ == number)
            return board->virtio[i].host.disk;
    return NULL;
}

/* The fewest heads with which 1,024 cylinders reach the end of the disk, as firmware translates. */
static unsigned heads(const struct disk *disk)
{
    static const uint8_t choice[] = { 16, 32, 64, 128 };

    for (unsigned i = 0; i < sizeof choice; i++)
        if (disk->sectors <= (uint64_t)CYLINDERS_MOST * SECTORS_PER_TRACK * choice[i])
            return choice[i];
    return 255;
}

static unsigned cylinders(const struct disk *disk)
{
    uint64_t all = disk->sectors / (SECTORS_PER_TRACK * heads(disk));

    return all > CYLINDERS_MOST ? CYLINDERS_MOST : all ? (unsigned)all : 1;
}

static uint8_t transfer(struct board *board, struct disk *disk, unsigned what, uint64_t sector, unsigned sectors, uint64_t at)
{
    uint64_t length = (uint64_t)sectors * DISK_SECTOR;
    uint8_t *host = memory_at(&board->model->memory, at, length);

    if (!sectors || sector > disk->sectors || sectors > disk->sectors - sector)
        return NOT_FOUND;
    if (what == VERIFY)
        return OK;
    if (!host)
        return DMA_FAULT;
    if (what == WRITE)
        return disk->mode == DISK_READ_ONLY ? WRITE_PROTECTED : disk_write(disk, sector * DISK_SECTOR, host, length) ? OK : FAILURE;
    bool good = disk_read(disk, sector * DISK_SECTOR, host, length);
    memory_written(&board->model->memory, at, length);
    return good ? OK : FAILURE;
}

/* CH and CL bits 7:6: cylinder; CL bits 5:0: sector from 1 on; DH: head; AL: how many; ES:BX. */
static uint8_t by_cylinder(struct board *board, struct cpu *cpu, struct disk *disk, unsigned what)
{
    unsigned cylinder = high_byte(cpu->gpr[RCX]) | (low_byte(cpu->gpr[RCX]) & 0xc0u) << 2, sector = low_byte(cpu->gpr[RCX]) & 0x3f;
    unsigned head = high_byte(cpu->gpr[RDX]);

    if (!sector || head >= heads(disk))
        return NOT_FOUND;
    return transfer(board, disk, what, ((uint64_t)cylinder * heads(disk) + head) * SECTORS_PER_TRACK + sector - 1, low_byte(cpu->gpr[RAX]),
                    cpu->seg[SEG_ES].base + (uint16_t)cpu->gpr[RBX]);
}

/* The packet at DS:SI: size, blocks, segment:offset (all ones: a flat address behind), first block. */
static uint8_t by_block(struct board *board, struct cpu *cpu, struct disk *disk, unsigned what)
{
    uint64_t at = cpu->seg[SEG_DS].base + (uint16_t)cpu->gpr[RSI], buffer, sector;
    uint8_t packet[PACKET_LONG];
    uint16_t blocks, offset, segment;

    memory_read(&board->model->memory, at, packet, sizeof packet);
    memcpy(&blocks, packet + 2, 2);
    memcpy(&offset, packet + 4, 2);
    memcpy(&segment, packet + 6, 2);
    memcpy(&sector, packet + 8, 8);
    if (packet[0] < PACKET_SIZE)
        return BAD_COMMAND;
    buffer = ((uint64_t)segment << 4) + offset;
    if (offset == 0xffff && segment == 0xffff && packet[0] >= PACKET_LONG)
        memcpy(&buffer, packet + 16, 8);
    uint8_t status = transfer(board, disk, what, sector, blocks, buffer);
    if (status != OK)                   /* how many were done */
        memory_write(&board->model->memory, at + 2, &(uint16_t){ 0 }, 2);
    return status;
}

static void parameters(struct board *board, struct cpu *cpu, const struct disk *disk)
{
    unsigned last = cylinders(disk) - 1;

    set_word(cpu, RAX, 0);
    set_low(cpu, RBX, 0);
    set_word(cpu, RCX, (uint16_t)(last << 8 | (last >> 8 & 3) << 6 | SECTORS_PER_TRACK));
    set_word(cpu, RDX, (uint16_t)((heads(disk) - 1) << 8 | count(board)));
}

/* The buffer at DS:SI, whose first word is its size. */
static uint8_t extended_parameters(struct board *board, struct cpu *cpu, const struct disk *disk)
{
    uint64_t at = cpu->seg[SEG_DS].base + (uint16_t)cpu->gpr[RSI];
    uint8_t to[PARAMETERS_SIZE] = { PARAMETERS_SIZE, 0, 2 /* the geometry is valid */ };
    const uint32_t geometry[] = { cylinders(disk), heads(disk), SECTORS_PER_TRACK };
    uint16_t size;

    memory_read(&board->model->memory, at, &size, 2);
    if (size < PARAMETERS_SIZE)
        return BAD_COMMAND;
    memcpy(to + 4, geometry, sizeof geometry);
    memcpy(to + 16, &disk->sectors, 8);
    memcpy(to + 24, &(uint16_t){ DISK_SECTOR }, 2);
    return memory_write(&board->model->memory, at, to, sizeof to) ? OK : DMA_FAULT;
}

static uint8_t serve(struct board *board, struct cpu *cpu, struct disk *disk, uint8_t function)
{
    switch (function) {
    case 0x00:                          /* reset, seek, recalibrate, is it ready */
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x47:
        return OK;
    case 0x02:
    case 0x03:
    case 0x04:
        return by_cylinder(board, cpu, disk, function);
    case 0x42:
    case 0x43:
    case 0x44:
        return by_block(board, cpu, disk, function - 0x40);
    case 0x48:
        return extended_parameters(board, cpu, disk);
    }
    return BAD_COMMAND;
}

bool disk_service(struct board *board, struct cpu *cpu)
{
    struct memory *memory = &board->model->memory;
    struct disk *disk = find(board, low_byte(cpu->gpr[RDX]));
    uint8_t function = high_byte(cpu->gpr[RAX]), status;

    switch (disk ? function : 0x100) {
    case 0x01:                          /* how the last one ended */
        memory_read(memory, BDA_DISK_STATUS, &status, 1);
        set_high(cpu, RAX, status);
        return status != OK;
    case 0x08:
        parameters(board, cpu, disk);
        return false;
    case 0x15:                          /* a hard disk, and how many sectors */
        set_high(cpu, RAX, 3);
        set_word(cpu, RCX, (uint16_t)((disk->sectors < UINT32_MAX ? disk->sectors : UINT32_MAX) >> 16));
        set_word(cpu, RDX, (uint16_t)disk->sectors);
        return false;
    case 0x41:
        if ((uint16_t)cpu->gpr[RBX] != 0x55aa)
            break;
        set_high(cpu, RAX, 0x21);       /* version 1.1 */
        set_word(cpu, RBX, 0xaa55);
        set_word(cpu, RCX, 1);          /* accesses by block */
        return false;
    }
    status = disk ? serve(board, cpu, disk, function) : function == 0x08 || function == 0x15 ? NO_DISK : function == 0x41 ? BAD_COMMAND : NO_DISK;
    if (disk)
        board_disk_failed(board, disk);
    memory_write(memory, BDA_DISK_STATUS, &status, 1);
    set_high(cpu, RAX, status);
    return status != OK;
}
