/* SPDX-License-Identifier: MIT */
/*
 * All devices of a machine behind the model's bus (docs/machine.md). Which of them decodes which ports and addresses: bus.def.
 * Timers raise interrupts by the clock of processor 0; who reads a counter sees it by its own clock.
 */
#ifndef SESQUI_EMU_DEVICE_BOARD_H
#define SESQUI_EMU_DEVICE_BOARD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/device/cmos.h"
#include "emu/device/edu.h"
#include "emu/device/fw_cfg.h"
#include "emu/device/hpet.h"
#include "emu/device/ioapic.h"
#include "emu/device/keyboard.h"
#include "emu/device/lapic.h"
#include "emu/device/pci.h"
#include "emu/device/pic.h"
#include "emu/device/pit.h"
#include "emu/device/pm.h"
#include "emu/device/trigger.h"
#include "emu/device/uart.h"
#include "emu/device/virtio/virtio.h"
#include "model/iommu/iommu.h"
#include "model/model.h"

#define REMAPPING_BASE 0xfed90000ull
enum { BOARD_TEST_MEMORY_SIZE = 65536, BOARD_LOAD_PORT = 0x5e0 };
/* ISA interrupts. IRQ 0 is pin 2 of the IOAPIC, the others keep their number. */
enum { IRQ_PIT = 0, IRQ_KEYBOARD = 1, IRQ_RTC = 8, IRQ_SCI = 9 };

enum board_end { BOARD_RUNNING, BOARD_EXIT, BOARD_SHUTDOWN, BOARD_RESET,
                 BOARD_UNMATCHED /* what a dialogue waits for did not come */, BOARD_FIRMWARE /* last_words: what it asked firmware for */ };

/* Who holds an interrupt line up: it is up while one of them does. PCI functions, also those that share a PIRQ, are one (struct pci). */
enum line_holder { LINE_CHIP, LINE_PCI, LINE_HPET, LINE_TEST, LINE_HOLDERS };

struct board {
    struct model *model;
    struct uart uart[UARTS];
    struct pic pic;
    struct pit pit;
    struct ioapic ioapic;
    struct fw_cfg fw_cfg;
    struct cmos cmos;
    struct hpet hpet;
    struct keyboard keyboard;
    struct pci pci;
    struct virtio virtio[PCI_PLUGGED_MAX];      /* each is the function of the bus with the same number */
    struct edu edu;
    struct iommu *iommu;                        /* the remapping unit (remapping.c); NULL: there is none */
    struct pm pm;
    struct lapic lapic[MODEL_CPU_MAX];
    uint32_t held[LINE_HOLDERS];                /* the lines that each of them holds up, a bit each */
    uint8_t test_data[4], test_memory[BOARD_TEST_MEMORY_SIZE];   /* the test device */

    struct trigger trigger;         /* a moment that the run waits for */
    bool load_requested;            /* the processor that just wrote BOARD_LOAD_PORT asks for L0 (late load) */
    enum board_end end;             /* how the guest asked to stop */
    uint32_t exit_value;            /* BOARD_EXIT */
    char last_words[160];           /* BOARD_FIRMWARE */
    uint8_t unset_told[32];         /* vectors of real mode that nobody has set, and that were told */
    unsigned out_cpu;               /* the latest OUT: its processor and RIP */
    uint64_t out_rip;
    unsigned shutdown_progress;     /* characters of "Shutdown" seen at port 0x8900 */

    /* Set by the machine. `kick`: what decides when the CPU engine must stop has changed. `warn`: a limit was met. */
    void *context;
    void (*kick)(void *context);
    void (*warn)(void *context, const char *text);
    void (*nowhere)(void *context, const struct cpu *cpu, uint64_t pa, bool write);     /* an access that nobody takes; or NULL */
    struct ipi_observer ipi;
    void (*remapping)(void *context, const struct iommu_notice *notice);        /* what the remapping unit tells; or NULL */
};

/* 2024-01-01 00:00:00 UTC: the date at time 0, unless another one is given. */
#define BOARD_EPOCH 1704067200ll

/* Resets all devices and installs the bus in `model`, whose processors have been reset. `console`, where the bytes of the
 * first UART go, may be NULL. */
void board_init(struct board *board, struct model *model, FILE *console);
/* The value of cpu->clock at which a timer makes an interrupt for `cpu`; ~0 if none. */
uint64_t board_next_event(const struct board *board, const struct cpu *cpu);
/* Lets the timers that `cpu` drives catch up with cpu->clock. */
void board_advance(struct board *board, struct cpu *cpu);

/* Puts a remapping unit, which outlives the board, before the devices and the IOAPIC. False: `iommu` is NULL. */
bool remapping_install(struct board *board, struct iommu *iommu, const struct iommu_profile *profile);

/* ---- for the devices ---- */

/* The guest asks for the end of the run; the first one counts. */
void board_end(struct board *board, enum board_end how, uint32_t value);
/* What decides when the CPU engine must stop has changed. */
void board_kick(struct board *board);
void board_warn(struct board *board, const char *text);
/* What the host could not do for a disk is told, once. */
void board_disk_failed(struct board *board, struct disk *disk);
uint64_t board_time(const struct board *board);
/* What `holder` does to an interrupt line: an ISA IRQ, or pin 16-23 of the IOAPIC. And: what a chip with an IRQ of its own does. */
void board_hold(struct board *board, enum line_holder holder, unsigned line, bool level);
void board_irq(struct board *board, unsigned line, bool level);
/* Drives a line anew, after something besides its holders has changed. */
void board_drive(struct board *board, unsigned line);
/* Drives the lines that PCI functions hold, after one has changed or the bridge routes them anew. */
void board_pci_lines(struct board *board);
/* A device's message-signalled interrupt: SDM Vol. 3, 11.11. `source`: bus, device and function. Writes to other addresses go to RAM or
 * vanish. */
void board_message(struct board *board, uint16_t source, uint64_t address, uint32_t data);
/* The way to memory of the bus master `source`: through the remapping unit if there is one by now. */
struct dma board_dma(const struct board *board, uint16_t source);
/* The timers' ticks up to now. Nobody waits for those that nobody can take, so who looks at their traces asks first. */
void board_catch_up(struct board *board);

#endif
