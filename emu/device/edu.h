/* SPDX-License-Identifier: MIT */
/*
 * A device for drivers to learn on, as public test suites and courses have it: PCI 1234:11E8, a factorial, DMA to and from a buffer of its own,
 * interrupts by INTx or MSI. Its registers are those that QEMU's documentation gives ("EDU device").
 */
#ifndef SESQUI_EMU_DEVICE_EDU_H
#define SESQUI_EMU_DEVICE_EDU_H

#include <stdbool.h>
#include <stdint.h>

struct board;

enum { EDU_BUFFER = 0x40000, EDU_BUFFER_SIZE = 4096 };

struct edu {
    bool plugged;
    unsigned index;                 /* of its PCI function */
    uint32_t liveness, factorial, status, irq;
    uint64_t source, destination, count, command;
    uint8_t buffer[EDU_BUFFER_SIZE];
};

/* Plugs it in. False: the bus is full. */
bool edu_plug(struct board *board);
/* An access that its BAR may decode. False: it does not. */
bool edu_bar_read(struct board *board, uint64_t address, unsigned size, uint64_t *value);
bool edu_bar_write(struct board *board, uint64_t address, unsigned size, uint64_t value);
/* Configuration space of a function was written. */
void edu_config_written(struct board *board, unsigned index);

#endif
