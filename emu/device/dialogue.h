/* SPDX-License-Identifier: MIT */
/*
 * A scripted dialogue with the guest's console (`sesqui boot --input FILE`): what is waited for in its output, and what is typed then. A text of
 * lines, # for comments:
 *
 *   expect "TEXT" [within SECONDS]      the output has TEXT, from where the last expectation ended; 60 seconds of virtual time unless told
 *   send "TEXT"                         with \n \r \t \e \" \\ \xHH; a terminal's Enter key is \r
 *
 * All by virtual time, so that a run repeats itself.
 */
#ifndef SESQUI_EMU_DEVICE_DIALOGUE_H
#define SESQUI_EMU_DEVICE_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIALOGUE_STEPS = 256, DIALOGUE_TEXT_MAX = 255 };

struct dialogue_step {
    bool expects;                       /* or sends */
    unsigned line, length;
    uint64_t within;                    /* nanoseconds */
    char text[DIALOGUE_TEXT_MAX + 1];
};

struct dialogue {
    struct dialogue_step step[DIALOGUE_STEPS];
    unsigned steps;
    unsigned at;                        /* the step under way; `steps`: all done */
    unsigned matched, sent;             /* characters of its text */
    uint64_t since;                     /* when it began */
};

/* False: `error` is one line, with the number of the line of `text`. */
bool dialogue_parse(struct dialogue *dialogue, const char *text, size_t length, char *error, size_t error_size);
/* The guest has written a character. */
void dialogue_output(struct dialogue *dialogue, char character, uint64_t now);
/* Is a character to be typed? Then: takes it. */
bool dialogue_sends(const struct dialogue *dialogue);
char dialogue_take(struct dialogue *dialogue, uint64_t now);
/* The time at which the expectation under way has failed; ~0: none is. */
uint64_t dialogue_deadline(const struct dialogue *dialogue);
/* The step under way; NULL: the dialogue is over. */
const struct dialogue_step *dialogue_step(const struct dialogue *dialogue);

#endif
