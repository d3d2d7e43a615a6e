/* SPDX-License-Identifier: MIT */
/* Firmware configuration: the items that there are, and requests by DMA. */
#include "emu/device/fw_cfg.h"

#include <stdbool.h>
#include <string.h>

/* Keys. Items are little-endian numbers but for the directory of files, of which there are none. */
enum { KEY_SIGNATURE = 0, KEY_ID = 1, KEY_RAM_SIZE = 3, KEY_CPUS = 5, KEY_MAX_CPUS = 15, KEY_MAX_RAM = 0x11, KEY_FILES = 0x19 };
enum { ID_PORTS = 1, ID_DMA = 2, ITEM_SIZE = 8 };
/* A request: control, length and address, big-endian. */
enum { REQUEST_SIZE = 16, DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
static const char dma_signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };

void fw_cfg_select(struct fw_cfg *fw_cfg, uint16_t key)
{
    fw_cfg->key = key;
    fw_cfg->position = 0;
}

static uint64_t item(const struct fw_cfg *fw_cfg)
{
    switch (fw_cfg->key) {
    case KEY_SIGNATURE:
        return 'Q' | 'E' << 8 | 'M' << 16 | (uint64_t)'U' << 24;
    case KEY_ID:
        return ID_PORTS | ID_DMA;
    case KEY_RAM_SIZE:
    case KEY_MAX_RAM:
        return fw_cfg->memory_size;
    case KEY_CPUS:
    case KEY_MAX_CPUS:
        return fw_cfg->cpus;
    case KEY_FILES: default:
        return 0;
    }
}

uint8_t fw_cfg_next(struct fw_cfg *fw_cfg)
{
    unsigned position = fw_cfg->position;

    if (position >= ITEM_SIZE)
        return 0;
    fw_cfg->position++;
    return (uint8_t)(item(fw_cfg) >> 8 * position);
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
    uint8_t bytes[PAGE_SIZE];

    if (control & DMA_SELECT)
        fw_cfg_select(fw_cfg, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        if (!memory_is_ram(memory, address, length))
            return false;
        for (uint32_t done = 0, part; done < length; done += part) {
            part = length - done < sizeof bytes ? length - done : (uint32_t)sizeof bytes;
            for (uint32_t i = 0; i < part; i++)
                bytes[i] = fw_cfg_next(fw_cfg);
            memory_write(memory, address + done, bytes, part);
        }
        return true;
    }
    if (control & DMA_WRITE)
        return false;
    if (control & DMA_SKIP)
        fw_cfg->position = length < ITEM_SIZE - fw_cfg->position ? fw_cfg->position + length : ITEM_SIZE;
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
