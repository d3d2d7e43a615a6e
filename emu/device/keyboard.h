/* SPDX-License-Identifier: MIT */
/* The keyboard controller at ports 0x60 and 0x64: Intel 8042 as PCs have it ("IBM PS/2 Hardware Interface Technical Reference"). A keyboard
 * answers, no key is ever pressed; there is no mouse. */
#ifndef SESQUI_EMU_DEVICE_KEYBOARD_H
#define SESQUI_EMU_DEVICE_KEYBOARD_H

#include <stdbool.h>
#include <stdint.h>

enum { KEYBOARD_QUEUE = 16 };

struct keyboard {
    uint8_t queue[KEYBOARD_QUEUE];      /* bytes for the processor, the oldest first */
    uint8_t count;
    uint8_t command_byte, output_port;
    uint8_t command;                    /* of the controller, waiting for its data byte; 0: none */
    uint8_t argument_of;                /* command of the keyboard, waiting for its argument; 0: none */
    bool command_last;                  /* the last write went to port 0x64: status bit 3 */
};

void keyboard_reset(struct keyboard *keyboard);
uint8_t keyboard_read(struct keyboard *keyboard, uint16_t port);
/* True: the write asks for a reset of the machine. */
bool keyboard_write(struct keyboard *keyboard, uint16_t port, uint8_t value);
/* The level of its interrupt line. */
bool keyboard_interrupt(const struct keyboard *keyboard);

#endif
