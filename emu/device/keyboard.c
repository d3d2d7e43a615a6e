/* SPDX-License-Identifier: MIT */
/* The keyboard controller. */
#include "emu/device/keyboard.h"

#include <string.h>

enum { DATA = 0x60, STATUS_OUTPUT_FULL = 1, STATUS_SYSTEM = 4, STATUS_COMMAND = 8, STATUS_UNLOCKED = 0x10 };
enum { BYTE_INTERRUPT = 1, BYTE_KEYBOARD_OFF = 0x10, BYTE_MOUSE_OFF = 0x20 };
/* Commands of the controller. */
enum { READ_BYTE = 0x20, WRITE_BYTE = 0x60, MOUSE_OFF = 0xa7, MOUSE_ON = 0xa8, MOUSE_TEST = 0xa9, SELF_TEST = 0xaa, KEYBOARD_TEST = 0xab,
       KEYBOARD_OFF = 0xad, KEYBOARD_ON = 0xae, READ_INPUT = 0xc0, READ_OUTPUT = 0xd0, WRITE_OUTPUT = 0xd1, ECHO_OUTPUT = 0xd2,
       ECHO_MOUSE = 0xd3, TO_MOUSE = 0xd4, PULSE = 0xf0 };
enum { SELF_TEST_GOOD = 0x55, TEST_GOOD = 0, TEST_NO_DEVICE = 1, OUTPUT_NO_RESET = 1, OUTPUT_A20 = 2 };
/* Commands of the keyboard, and its answers. */
enum { KEY_LEDS = 0xed, KEY_ECHO = 0xee, KEY_SCAN_SET = 0xf0, KEY_IDENTIFY = 0xf2, KEY_RATE = 0xf3, KEY_ON = 0xf4, KEY_DEFAULT_OFF = 0xf5,
       KEY_DEFAULT = 0xf6, KEY_RESET = 0xff, ACKNOWLEDGE = 0xfa, RESEND = 0xfe, TEST_PASSED = 0xaa, SCAN_SET = 2 };

void keyboard_reset(struct keyboard *keyboard)
{
    *keyboard = (struct keyboard){ .command_byte = BYTE_MOUSE_OFF | STATUS_SYSTEM, .output_port = OUTPUT_NO_RESET | OUTPUT_A20 };
}

static void answer(struct keyboard *keyboard, uint8_t value)
{
    if (keyboard->count < KEYBOARD_QUEUE)
        keyboard->queue[keyboard->count++] = value;
}

bool keyboard_interrupt(const struct keyboard *keyboard)
{
    return keyboard->count && (keyboard->command_byte & BYTE_INTERRUPT);
}

uint8_t keyboard_read(struct keyboard *keyboard, uint16_t port)
{
    uint8_t value = keyboard->queue[0];

    if (port != DATA)
        return (uint8_t)((keyboard->count ? STATUS_OUTPUT_FULL : 0) | (keyboard->command_byte & STATUS_SYSTEM) | STATUS_UNLOCKED |
                         (keyboard->command_last ? STATUS_COMMAND : 0));
    if (keyboard->count > 0) {
        keyboard->count--;
        memmove(keyboard->queue, keyboard->queue + 1, keyboard->count);
    }
    return value;                       /* of an empty buffer the last byte */
}

/* A byte for the keyboard itself. */
static void to_keyboard(struct keyboard *keyboard, uint8_t value)
{
    uint8_t before = keyboard->argument_of;

    keyboard->argument_of = 0;
    keyboard->command_byte &= (uint8_t)~BYTE_KEYBOARD_OFF;
    if (before) {
        answer(keyboard, ACKNOWLEDGE);
        if (before == KEY_SCAN_SET && value == 0)
            answer(keyboard, SCAN_SET);
        return;
    }
    switch (value) {
    case KEY_ECHO:
        answer(keyboard, KEY_ECHO);
        break;
    case KEY_LEDS:
    case KEY_SCAN_SET:
    case KEY_RATE:
        answer(keyboard, ACKNOWLEDGE);
        keyboard->argument_of = value;
        break;
    case KEY_IDENTIFY:
        answer(keyboard, ACKNOWLEDGE);
        answer(keyboard, 0xab);
        answer(keyboard, 0x83);
        break;
    case KEY_ON:
    case KEY_DEFAULT_OFF:
    case KEY_DEFAULT:
        answer(keyboard, ACKNOWLEDGE);
        break;
    case KEY_RESET:
        answer(keyboard, ACKNOWLEDGE);
        answer(keyboard, TEST_PASSED);
        break;
    default:
        answer(keyboard, RESEND);
    }
}

/* The data byte of a controller's command. True: reset. */
static bool argument(struct keyboard *keyboard, uint8_t command, uint8_t value)
{
    switch (command) {
    case WRITE_BYTE:
        keyboard->command_byte = value;
        break;
    case WRITE_OUTPUT:
        keyboard->output_port = value;
        return !(value & OUTPUT_NO_RESET);
    case ECHO_OUTPUT:
        answer(keyboard, value);
        break;
    }
    return false;                       /* the others speak of a mouse, which does not answer */
}

/* True: reset. */
static bool control(struct keyboard *keyboard, uint8_t command)
{
    switch (command) {
    case READ_BYTE:
        answer(keyboard, keyboard->command_byte);
        break;
    case WRITE_BYTE:
    case WRITE_OUTPUT:
    case ECHO_OUTPUT:
    case ECHO_MOUSE:
    case TO_MOUSE:
        keyboard->command = command;
        break;
    case MOUSE_OFF:
        keyboard->command_byte |= BYTE_MOUSE_OFF;
        break;
    case MOUSE_ON:
        keyboard->command_byte &= (uint8_t)~BYTE_MOUSE_OFF;
        break;
    case MOUSE_TEST:
        answer(keyboard, TEST_NO_DEVICE);
        break;
    case SELF_TEST:
        keyboard->count = 0;
        answer(keyboard, SELF_TEST_GOOD);
        keyboard->command_byte |= STATUS_SYSTEM;
        break;
    case KEYBOARD_TEST:
        answer(keyboard, TEST_GOOD);
        break;
    case KEYBOARD_OFF:
        keyboard->command_byte |= BYTE_KEYBOARD_OFF;
        break;
    case KEYBOARD_ON:
        keyboard->command_byte &= (uint8_t)~BYTE_KEYBOARD_OFF;
        break;
    case READ_INPUT:
        answer(keyboard, 0x80);         /* not locked */
        break;
    case READ_OUTPUT:
        answer(keyboard, keyboard->output_port);
        break;
    default:
        return command >= PULSE && !(command & OUTPUT_NO_RESET);
    }
    return false;
}

bool keyboard_write(struct keyboard *keyboard, uint16_t port, uint8_t value)
{
    uint8_t command = keyboard->command;

    keyboard->command_last = port != DATA;
    keyboard->command = 0;
    if (port != DATA)
        return control(keyboard, value);
    if (command)
        return argument(keyboard, command, value);
    to_keyboard(keyboard, value);
    return false;
}
