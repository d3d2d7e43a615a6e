/* SPDX-License-Identifier: MIT */
/*
 * A moment of a run that is named beforehand (`--hv-at WHEN`), by what the guest does:
 *
 *   port:P[=V]         it writes port P (the value V)
 *   instructions:N     the processors have executed N instructions, all together
 *   console:TEXT       the output of the first UART has TEXT
 *
 * It fires once, and at the same instruction of every run.
 */
#ifndef SESQUI_EMU_DEVICE_TRIGGER_H
#define SESQUI_EMU_DEVICE_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

enum trigger_kind { TRIGGER_NONE, TRIGGER_PORT, TRIGGER_INSTRUCTIONS, TRIGGER_CONSOLE };
enum { TRIGGER_TEXT_MAX = 255 };

struct trigger {
    enum trigger_kind kind;
    uint16_t port;
    bool valued;                        /* the value counts, too */
    uint32_t value;
    uint64_t instructions;
    char text[TRIGGER_TEXT_MAX + 1];
    unsigned matched;                   /* characters of it that the output ends with */
    bool fired;
};

/* NULL, or what is wrong with the text: for a message behind the option's name. */
const char *trigger_parse(struct trigger *trigger, const char *text);
void trigger_port_out(struct trigger *trigger, uint16_t port, uint32_t value);
void trigger_console(struct trigger *trigger, char character);
/* `executed` instructions so far. Returns how many more it takes; 0: it fires now; ~0: this is not what it waits for. */
uint64_t trigger_instructions(struct trigger *trigger, uint64_t executed);

/* The longest beginning of `text` that the `matched` characters of it and this one end with. */
unsigned text_matched(const char *text, unsigned matched, char character);

#endif
