/* SPDX-License-Identifier: MIT */
/*
 * Clock ticks (nanoseconds of virtual time) that some instructions take beyond the one of every instruction. The order of
 * magnitude is that of current processors and of the ISA bus, so that a loop that waits for a time makes about as many turns as
 * there. docs/machine.md has the same table.
 */
#ifndef SESQUI_MODEL_TIME_H
#define SESQUI_MODEL_TIME_H

enum {
    TIME_PAUSE = 100,
    TIME_CACHES = 20000,        /* INVD, WBINVD */
    TIME_PORT = 999,            /* one access to a port, each one of REP INS and REP OUTS */
};

#endif
