/* SPDX-License-Identifier: MIT */
/* The host memory behind a machine. */
#ifndef SESQUI_EMU_HOST_MEMORY_H
#define SESQUI_EMU_HOST_MEMORY_H

#include <stdint.h>

/* Host memory for the guest's RAM: reserved, zero, backed when touched. NULL if the host has none. */
uint8_t *host_memory_reserve(uint64_t size);
/* Backs pages that will be touched soon, at once: on a virtual host that is ten times cheaper than a fault for each. */
void host_memory_touch(uint8_t *from, uint64_t size);
void host_memory_release(uint8_t *memory, uint64_t size);

#endif
