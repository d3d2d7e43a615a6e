/* SPDX-License-Identifier: MIT */
/* The two 8259A interrupt controllers, the second one on line 2 of the first: Intel 8259A data sheet. Which lines are level-triggered the
 * ELCR registers at 0x4d0 and 0x4d1 say (ICH9 data sheet, 13.4.10), not ICW1. */
#ifndef SESQUI_EMU_DEVICE_PIC_H
#define SESQUI_EMU_DEVICE_PIC_H

#include <stdbool.h>
#include <stdint.h>

enum { PIC_MASTER = 0x20, PIC_SLAVE = 0xa0, PIC_CASCADE = 2, PIC_ELCR = 0x4d0 };

struct pic_chip {
    uint8_t lines;              /* input levels */
    uint8_t level;              /* ELCR */
    uint8_t requested, in_service, mask;
    uint8_t vector_base;
    uint8_t next_icw;           /* 2-4 while initialisation goes on, else 0 */
    bool needs_icw4, auto_eoi, read_in_service, poll, special_mask;
    uint8_t lowest;             /* the line of lowest priority: 7 unless rotated */
};

struct pic {
    struct pic_chip chip[2];
};

void pic_reset(struct pic *pic);
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t value);
/* Writes ELCR of chip 0 or 1. */
void pic_set_level(struct pic *pic, unsigned chip, uint8_t value);
/* Sets the level of line 0-15. */
void pic_line(struct pic *pic, unsigned line, bool level);
/* The INT output; and the vector for INTA (the spurious one, line 7, if there is nothing any more). */
bool pic_requests(const struct pic *pic);
bool pic_masked(const struct pic *pic, unsigned line);
uint8_t pic_acknowledge(struct pic *pic);

#endif
