/* SPDX-License-Identifier: MIT */
/* Firmware configuration: the items that there are (fw_cfg.def), the directory and its one file, and requests by DMA. */
#include "emu/device/fw_cfg.h"

#include <stdbool.h>
#include <string.h>

enum { ID_PORTS = 1, ID_DMA = 2, KEY_FILES = 0x19, KEY_MAP = 0x20 /* the first that a file may have */, WRITE_ACCESS = 0x4000 };
/* The directory: a count, and files of size, key, a reserved half, and a name; all big-endian. */
enum { COUNT_SIZE = 4, FILE_SIZE = 64, NAME_AT = 8, ITEM_MAX = FW_CFG_MAP_MAX * FW_CFG_MAP_ENTRY };
static const char map_name[] = "etc/e820";
/* A request: control, length and address, big-endian. */
enum { REQUEST_SIZE = 16, DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
static const char dma_signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };

void fw_cfg_select(struct fw_cfg *fw_cfg, uint16_t key)
{
    fw_cfg->key = key & (uint16_t)~WRITE_ACCESS;
    fw_cfg->position = 0;
}

static void put_little(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = i < sizeof value ? (uint8_t)(value >> 8 * i) : 0;
}

static void put_big(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[size - 1 - i] = (uint8_t)(value >> 8 * i);
}

void fw_cfg_add_range(struct fw_cfg *fw_cfg, uint64_t base, uint64_t length, uint32_t type)
{
    uint8_t *to = fw_cfg->map + fw_cfg->map_size;

    if (fw_cfg->map_size + FW_CFG_MAP_ENTRY > sizeof fw_cfg->map)
        return;
    put_little(to, base, 8);
    put_little(to + 8, length, 8);
    put_little(to + 16, type, 4);
    fw_cfg->map_size += FW_CFG_MAP_ENTRY;
}

static unsigned directory(const struct fw_cfg *fw_cfg, uint8_t to[ITEM_MAX])
{
    put_big(to, fw_cfg->map_size != 0, COUNT_SIZE);
    if (!fw_cfg->map_size)
        return COUNT_SIZE;
    memset(to + COUNT_SIZE, 0, FILE_SIZE);
    put_big(to + COUNT_SIZE, fw_cfg->map_size, 4);
    put_big(to + COUNT_SIZE + 4, KEY_MAP, 2);
    memcpy(to + COUNT_SIZE + NAME_AT, map_name, sizeof map_name);
    return COUNT_SIZE + FILE_SIZE;
}

/* The bytes of the selected item; 0: there is no such key. */
static unsigned item(const struct fw_cfg *fw_cfg, uint8_t to[ITEM_MAX])
{
    switch (fw_cfg->key) {
#define ITEM(key, bytes, name, value) case key: put_little(to, value, bytes); return bytes;
#include "emu/device/fw_cfg.def"
#undef ITEM
    case KEY_FILES:
        return directory(fw_cfg, to);
    case KEY_MAP:
        memcpy(to, fw_cfg->map, fw_cfg->map_size);
        return fw_cfg->map_size;
    default:
        return 0;
    }
}

/* Copies up to `length` bytes of the item from the position on; how many there were. */
static uint32_t take(struct fw_cfg *fw_cfg, uint8_t *to, uint32_t length)
{
    uint8_t bytes[ITEM_MAX];
    unsigned size = item(fw_cfg, bytes);
    uint32_t left = fw_cfg->position < size ? size - fw_cfg->position : 0, part = length < left ? length : left;

    if (part)
        memcpy(to, bytes + fw_cfg->position, part);
    fw_cfg->position += part;
    return part;
}

uint8_t fw_cfg_next(struct fw_cfg *fw_cfg)
{
    uint8_t byte = 0;

    take(fw_cfg, &byte, 1);
    return byte;
}

uint8_t fw_cfg_dma_read(uint16_t port)
{
    return (uint8_t)dma_signature[(port - FW_CFG_DMA) & 7];
}

static uint64_t big_endian(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Past the item's end come zeros. False: what is to be filled is not all RAM, or an item is to be written, which none can be. */
static bool transfer(struct fw_cfg *fw_cfg, uint32_t control, uint32_t length, uint64_t address, struct memory *memory)
{
    uint8_t bytes[ITEM_MAX], *host;

    if (control & DMA_SELECT)
        fw_cfg_select(fw_cfg, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        if (!length)
            return true;
        if (!(host = memory_at(memory, address, length)))
            return false;
        uint32_t part = take(fw_cfg, host, length);
        memset(host + part, 0, length - part);
        memory_written(memory, address, length);
        return true;
    }
    if (control & DMA_WRITE)
        return false;
    while ((control & DMA_SKIP) && length) {
        uint32_t part = take(fw_cfg, bytes, length < sizeof bytes ? length : (uint32_t)sizeof bytes);
        length = part ? length - part : 0;
    }
    return true;
}

void fw_cfg_dma_write(struct fw_cfg *fw_cfg, uint16_t port, uint32_t value, struct memory *memory)
{
    uint32_t half = value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
    uint8_t request[REQUEST_SIZE], result[4] = { 0 };
    uint64_t at;

    if (port == FW_CFG_DMA) {
        fw_cfg->dma_high = half;
        return;
    }
    at = (uint64_t)fw_cfg->dma_high << 32 | half;
    fw_cfg->dma_high = 0;
    if (!memory_read(memory, at, request, sizeof request))
        return;                         /* there is nowhere to tell */
    if (!transfer(fw_cfg, (uint32_t)big_endian(request, 4), (uint32_t)big_endian(request + 4, 4), big_endian(request + 8, 8), memory))
        result[3] = DMA_ERROR;
    memory_write(memory, at, result, sizeof result);
}
