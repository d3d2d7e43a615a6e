/* SPDX-License-Identifier: MIT */
/*
 * The latest events of each processor, whoever raised them: exceptions, interrupts, VM exits and entries. A story is the events that no
 * retired instruction separates: what a triple fault ends began with its first one.
 */
#ifndef SESQUI_EMU_EVENTS_H
#define SESQUI_EMU_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/explain/delivery.h"
#include "model/observer.h"

struct explanation;

enum { EVENTS_KEPT = 64, EVENTS_TOLD = 10, HAPPENING_MAX = 700 };

struct happening {
    enum notice_kind kind;          /* NOTICE_RAISED, _INJECT (delivered without having been raised), _EXIT, _ENTRY, _ENTRY_FAILED */
    uint8_t level;
    uint64_t clock, instructions, rip;
    uint64_t reason, vmcs;          /* exits and entries; reason of an exit: as in the VMCS; vmcs 0: one of the core's */
    struct event event, during;     /* raised, injected; during: whose delivery it interrupted, if valid */
    struct delivery_failure failure;    /* and why */
};

/* The instruction of an event, read when it came: later it may not be there any more. */
struct code_bytes {
    uint8_t length, byte[15];
};

struct events {
    struct happening of[EVENTS_KEPT];
    uint64_t count;                 /* of all times */
    uint64_t story;                 /* number of the story's first event; count if there is none */
    uint64_t story_instructions;
    struct happening first, second; /* the same and the next one, also when they have left the ring; second.kind is NOTICE_RAISED or _INJECT if it came */
    struct code_bytes first_code, second_code;
    uint64_t crossed;               /* number of the latest exit or entry, plus 1; 0: none yet */
    struct happening crossing;      /* that */
    enum tables_from tables;        /* what that has loaded */
};

/* From the machine's observer. `level`: the one that ran; `core`: over the core, whose VMCSs are not the program's. */
void events_note(struct events *events, const struct notice *notice, unsigned level, bool core);
/* The happening of that number, or NULL if it is kept no more. */
const struct happening *events_at(const struct events *events, uint64_t number);
/* One line of at most `size` bytes: "#UD at rip 0x1000 <main+0x12>". */
struct symbols;
void happening_words(char *to, size_t size, const struct happening *happening, const struct symbols *symbols);
/* Lines: the last EVENTS_TOLD of them. */
void events_tell(struct explanation *explanation, const struct events *events);

#endif
