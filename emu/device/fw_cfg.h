/* SPDX-License-Identifier: MIT */
/*
 * Firmware configuration: "QEMU Firmware Configuration (fw_cfg) Device" (docs/specs/fw_cfg of QEMU). Ports 0x510 (selector) and 0x511 (data, a byte at
 * a time), and the DMA interface at 0x514. Numbers are items (fw_cfg.def); the memory map is a file, which the directory names.
 */
#ifndef SESQUI_EMU_DEVICE_FW_CFG_H
#define SESQUI_EMU_DEVICE_FW_CFG_H

#include <stdint.h>

#include "model/memory.h"

enum { FW_CFG_SELECTOR = 0x510, FW_CFG_DATA = 0x511, FW_CFG_DMA = 0x514, FW_CFG_DMA_LOW = 0x518, FW_CFG_END = 0x51b };
enum { FW_CFG_MAP_MAX = 8, FW_CFG_MAP_ENTRY = 20 };

struct fw_cfg {
    uint64_t memory_size;
    unsigned cpus;
    uint8_t map[FW_CFG_MAP_MAX * FW_CFG_MAP_ENTRY];     /* etc/e820: base, length, type as INT 15H, E820H gives them */
    uint32_t map_size;          /* 0: there is no such file */
    uint16_t key;               /* without bit 14, which asks for write access */
    uint32_t position;
    uint32_t dma_high;          /* bits 63:32 of the address that the next write to FW_CFG_DMA_LOW completes */
};

/* One more range of the memory map; types are those of ACPI 6.4, 15. What does not fit is left out. */
void fw_cfg_add_range(struct fw_cfg *fw_cfg, uint64_t base, uint64_t length, uint32_t type);
void fw_cfg_select(struct fw_cfg *fw_cfg, uint16_t key);
/* The next byte of the selected item; 0 past its end and for unknown keys. */
uint8_t fw_cfg_next(struct fw_cfg *fw_cfg);
/* A byte of the DMA register, which reads as "QEMU CFG". */
uint8_t fw_cfg_dma_read(uint16_t port);
/* Half of the address of a request, as it was written: big-endian. The lower half starts the request, which ends at once. */
void fw_cfg_dma_write(struct fw_cfg *fw_cfg, uint16_t port, uint32_t value, struct memory *memory);

#endif
