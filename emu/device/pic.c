/* SPDX-License-Identifier: MIT */
/* The 8259A pair. */
#include "emu/device/pic.h"

#include <string.h>

enum { ICW1 = 0x10, ICW1_NEEDS_ICW4 = 1, ICW4_AUTO_EOI = 2, OCW3 = 0x08 };

void pic_reset(struct pic *pic)
{
    memset(pic, 0, sizeof(*pic));
    for (unsigned i = 0; i < 2; i++) {
        pic->chip[i].mask = 0xff;
        pic->chip[i].lowest = 7;
    }
}

/* Position in the priority order, 0 the highest. */
static unsigned rank(const struct pic_chip *chip, unsigned line)
{
    return (line - chip->lowest - 1) & 7;
}

/* The line that asks for service now, or -1. */
static int pending(const struct pic_chip *chip)
{
    int best = -1;

    for (unsigned line = 0; line < 8; line++) {
        if (!(chip->requested & ~chip->mask & 1u << line))
            continue;
        if (best < 0 || rank(chip, line) < rank(chip, (unsigned)best))
            best = (int)line;
    }
    if (best < 0)
        return -1;
    for (unsigned line = 0; line < 8; line++) {
        bool serving = chip->in_service & 1u << line;
        if (chip->special_mask && (chip->mask & 1u << line))
            serving = false;
        if (serving && rank(chip, line) <= rank(chip, (unsigned)best))
            return -1;
    }
    return best;
}

static void chip_line(struct pic_chip *chip, unsigned line, bool level)
{
    uint8_t bit = (uint8_t)(1u << line);

    if (level && !(chip->lines & bit))
        chip->requested |= bit;                 /* the edge is latched: a short pulse is enough */
    if (!level && (chip->level & bit))
        chip->requested &= (uint8_t)~bit;
    chip->lines = level ? chip->lines | bit : chip->lines & (uint8_t)~bit;
}

/* The second chip's INT output holds its line of the first one. */
static void cascade(struct pic *pic)
{
    uint8_t bit = 1 << PIC_CASCADE;

    if (pending(&pic->chip[1]) >= 0)
        pic->chip[0].requested |= bit;
    else
        pic->chip[0].requested &= (uint8_t)~bit;
}

/* IRQ 0, 1, 2, 8 and 13 are always edge-triggered. */
void pic_set_level(struct pic *pic, unsigned chip, uint8_t value)
{
    pic->chip[chip].level = value & (chip == 0 ? 0xf8 : 0xde);
    pic->chip[chip].requested |= pic->chip[chip].lines & pic->chip[chip].level;
    cascade(pic);
}

void pic_line(struct pic *pic, unsigned line, bool level)
{
    chip_line(&pic->chip[line >> 3 & 1], line & 7, level);
    cascade(pic);
}

bool pic_requests(const struct pic *pic)
{
    return pending(&pic->chip[0]) >= 0;
}

bool pic_masked(const struct pic *pic, unsigned line)
{
    return pic->chip[line >> 3 & 1].mask >> (line & 7) & 1;
}

static uint8_t chip_acknowledge(struct pic_chip *chip)
{
    int line = pending(chip);

    if (line < 0)
        return chip->vector_base + 7;           /* spurious: nothing is put into service */
    if (!(chip->level & chip->lines & 1u << line))
        chip->requested &= (uint8_t)~(1u << line);  /* a level-triggered line asks as long as it is up */
    if (!chip->auto_eoi)
        chip->in_service |= (uint8_t)(1u << line);
    return (uint8_t)(chip->vector_base + line);
}

uint8_t pic_acknowledge(struct pic *pic)
{
    int line = pending(&pic->chip[0]);
    uint8_t vector = chip_acknowledge(&pic->chip[0]);

    if (line == PIC_CASCADE)
        vector = chip_acknowledge(&pic->chip[1]);
    cascade(pic);
    return vector;
}

static void end_of_interrupt(struct pic_chip *chip, uint8_t command)
{
    unsigned line = command & 7;
    bool specific = command & 0x40, rotate = command & 0x80;

    if (!specific) {
        unsigned best = 8;
        for (unsigned i = 0; i < 8; i++)
            if ((chip->in_service & 1u << i) && (best == 8 || rank(chip, i) < rank(chip, best)))
                best = i;
        if (best == 8)
            return;
        line = best;
    }
    chip->in_service &= (uint8_t)~(1u << line);
    if (rotate)
        chip->lowest = (uint8_t)line;
}

static void write_command(struct pic_chip *chip, uint8_t value)
{
    if (value & ICW1) {
        uint8_t lines = chip->lines, level = chip->level;
        memset(chip, 0, sizeof(*chip));
        chip->lines = lines;
        chip->level = level;
        chip->requested = lines & level;
        chip->lowest = 7;
        chip->needs_icw4 = value & ICW1_NEEDS_ICW4;
        chip->next_icw = 2;
    } else if (value & OCW3) {
        if (value & 2)
            chip->read_in_service = value & 1;
        if (value & 0x40)
            chip->special_mask = value & 0x20;
        chip->poll = value & 4;
    } else if (value & 0x20) {
        end_of_interrupt(chip, value);
    } else if ((value & 0xe0) == 0xc0) {
        chip->lowest = value & 7;               /* set priority */
    }
}

static void write_data(struct pic_chip *chip, uint8_t value)
{
    switch (chip->next_icw) {
    case 2:
        chip->vector_base = value & 0xf8;
        chip->next_icw = 3;                     /* the cascade is wired: ICW3 always comes and changes nothing */
        break;
    case 3:
        chip->next_icw = chip->needs_icw4 ? 4 : 0;
        break;
    case 4:
        chip->auto_eoi = value & ICW4_AUTO_EOI;
        chip->next_icw = 0;
        break;
    default:
        chip->mask = value;
    }
}

void pic_write(struct pic *pic, uint16_t port, uint8_t value)
{
    struct pic_chip *chip = &pic->chip[(port & PIC_SLAVE) == PIC_SLAVE];

    if (port & 1)
        write_data(chip, value);
    else
        write_command(chip, value);
    cascade(pic);
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
    struct pic_chip *chip = &pic->chip[(port & PIC_SLAVE) == PIC_SLAVE];
    uint8_t value;

    if (port & 1)
        return chip->mask;
    if (chip->poll) {
        int line = pending(chip);
        chip->poll = false;
        value = line < 0 ? 0 : (uint8_t)(0x80 | line);
        if (line >= 0)
            chip_acknowledge(chip);
        cascade(pic);
        return value;
    }
    return chip->read_in_service ? chip->in_service : chip->requested;
}
