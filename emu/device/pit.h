/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer: channel 0 (IRQ 0) and channel 2 (gate and output at port 0x61). Modes 0, 2, 3 and, counted like
 * mode 0, 4. Intel 8254 data sheet. Times are in nanoseconds of cpu->clock.
 */
#ifndef SESQUI_EMU_DEVICE_PIT_H
#define SESQUI_EMU_DEVICE_PIT_H

#include <stdbool.h>
#include <stdint.h>

enum { PIT_BASE = 0x40, PIT_GATE_PORT = 0x61, PIT_CHANNELS = 3, PIT_FREQUENCY = 1193182 };

struct pit_channel {
    uint8_t mode, access;       /* access: 1 low byte, 2 high byte, 3 both */
    bool high_next_write, high_next_read, latched, status_latched, counting;
    uint8_t low;
    uint16_t latch;
    uint8_t status;
    uint32_t reload;            /* 1 to 65536 */
    uint64_t start;             /* when counting began */
    uint64_t fired;             /* channel 0: time up to which its interrupts have been delivered */
};

struct pit {
    struct pit_channel channel[PIT_CHANNELS];
    uint8_t gate;               /* port 0x61 bits 0 (gate of channel 2) and 1 (speaker) */
};

uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now);
void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now);
uint8_t pit_gate_read(const struct pit *pit, uint64_t now);
void pit_gate_write(struct pit *pit, uint8_t value, uint64_t now);
/* When channel 0 raises its next interrupt; ~0 if never. And: did one or more come up until `now`? */
uint64_t pit_next(const struct pit *pit);
bool pit_advance(struct pit *pit, uint64_t now);

#endif
