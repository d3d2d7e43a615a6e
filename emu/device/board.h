/* SPDX-License-Identifier: MIT */
/*
 * All devices of a machine behind the model's bus, and the ports through which a guest ends its run (docs/machine.md).
 * The 8254 counts by the clock of processor 0.
 */
#ifndef SESQUI_EMU_DEVICE_BOARD_H
#define SESQUI_EMU_DEVICE_BOARD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/device/fw_cfg.h"
#include "emu/device/ioapic.h"
#include "emu/device/lapic.h"
#include "emu/device/pic.h"
#include "emu/device/pit.h"
#include "emu/device/uart.h"
#include "model/model.h"

enum { BOARD_TEST_MEMORY_SIZE = 65536, BOARD_LOAD_PORT = 0x5e0 };

enum board_end { BOARD_RUNNING, BOARD_EXIT, BOARD_SHUTDOWN, BOARD_RESET };

struct board {
    struct model *model;
    struct uart uart[UARTS];
    struct pic pic;
    struct pit pit;
    struct ioapic ioapic;
    struct fw_cfg fw_cfg;
    struct lapic lapic[MODEL_CPU_MAX];
    uint8_t test_data[4], test_memory[BOARD_TEST_MEMORY_SIZE];   /* the test device */

    bool load_requested;            /* the processor that just wrote BOARD_LOAD_PORT asks for L0 (late load) */
    enum board_end end;             /* how the guest asked to stop */
    uint32_t exit_value;            /* BOARD_EXIT */
    unsigned shutdown_progress;     /* characters of "Shutdown" seen at port 0x8900 */

    /* Set by the machine. `kick`: what decides when the CPU engine must stop has changed. `warn`: a limit was met. */
    void *context;
    void (*kick)(void *context);
    void (*warn)(void *context, const char *text);
};

/* Resets all devices and installs the bus in `model`, whose processors have been reset. `console`, where the bytes of the
 * first UART go, may be NULL. */
void board_init(struct board *board, struct model *model, FILE *console);
/* The value of cpu->clock at which a timer makes an interrupt for `cpu`; ~0 if none. */
uint64_t board_next_event(const struct board *board, const struct cpu *cpu);
/* Lets the timers that `cpu` drives catch up with cpu->clock. */
void board_advance(struct board *board, struct cpu *cpu);

#endif
