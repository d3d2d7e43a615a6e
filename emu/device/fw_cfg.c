/* SPDX-License-Identifier: MIT */
/* Firmware configuration. */
#include "emu/device/fw_cfg.h"

/* Keys, each a little-endian number. There is no signature item: what else QEMU offers here is not there. */
enum { KEY_RAM_SIZE = 3, KEY_CPUS = 5, KEY_MAX_CPUS = 15, KEY_MAX_RAM = 0x11 };

void fw_cfg_select(struct fw_cfg *fw_cfg, uint16_t key)
{
    fw_cfg->key = key;
    fw_cfg->position = 0;
}

uint8_t fw_cfg_next(struct fw_cfg *fw_cfg)
{
    uint64_t value = 0;
    unsigned position = fw_cfg->position;

    switch (fw_cfg->key) {
    case KEY_RAM_SIZE:
    case KEY_MAX_RAM:
        value = fw_cfg->memory_size;
        break;
    case KEY_CPUS:
    case KEY_MAX_CPUS:
        value = fw_cfg->cpus;
        break;
    }
    if (position >= sizeof(value))
        return 0;
    fw_cfg->position++;
    return (uint8_t)(value >> 8 * position);
}
