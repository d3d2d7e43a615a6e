/* SPDX-License-Identifier: MIT */
/*
 * The real-time clock and its memory at ports 0x70 and 0x71: Motorola MC146818A data sheet, with what a PC's firmware keeps in the
 * memory. The clock counts virtual time from a date that is given. Times are in nanoseconds.
 */
#ifndef SESQUI_EMU_DEVICE_CMOS_H
#define SESQUI_EMU_DEVICE_CMOS_H

#include <stdbool.h>
#include <stdint.h>

enum { CMOS_SIZE = 128 };

struct cmos {
    uint8_t index, memory[CMOS_SIZE];   /* registers 0-9 and 0x32, the time, are made when they are read */
    int64_t epoch;                      /* seconds from 1970 to time 0 of the machine */
    uint64_t stopped;                   /* register B's SET: the time stands since then; ~0: it runs */
    uint64_t periodic, updated;         /* up to when periodic ticks, and seconds, have been seen */
    uint64_t next_update;               /* the second at which an alarm or update interrupt that is enabled comes; ~0: none */
};

/* `low` and `high`: bytes of RAM from address 0, and from 4 GB on. `epoch`: seconds since 1970 (UTC) at time 0. */
void cmos_reset(struct cmos *cmos, uint64_t low, uint64_t high, int64_t epoch);
uint8_t cmos_read(struct cmos *cmos, uint16_t port, uint64_t now);
void cmos_write(struct cmos *cmos, uint16_t port, uint8_t value, uint64_t now);
/* The level of its interrupt line. */
bool cmos_interrupt(const struct cmos *cmos);
/* When it raises its next interrupt; ~0 if never. And: raises what came up until `now`. */
uint64_t cmos_next(const struct cmos *cmos);
void cmos_advance(struct cmos *cmos, uint64_t now);

#endif
