/* SPDX-License-Identifier: MIT */
/* The firmware configuration port pair 0x510 (selector) and 0x511 (data, a byte at a time) that test images ask for. */
#ifndef SESQUI_EMU_DEVICE_FW_CFG_H
#define SESQUI_EMU_DEVICE_FW_CFG_H

#include <stdint.h>

enum { FW_CFG_SELECTOR = 0x510, FW_CFG_DATA = 0x511 };

struct fw_cfg {
    uint64_t memory_size;
    unsigned cpus;
    uint16_t key;
    unsigned position;
};

void fw_cfg_select(struct fw_cfg *fw_cfg, uint16_t key);
/* The next byte of the selected item; 0 past its end and for unknown keys. */
uint8_t fw_cfg_next(struct fw_cfg *fw_cfg);

#endif
