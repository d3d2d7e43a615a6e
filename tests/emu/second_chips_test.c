/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controllers against second ones, written after their data sheets (8259A, 82093AA) and after nothing in emu/device/: random
 * commands, lines and acknowledges, everything that can be read compared behind each of them.
 */
#include <string.h>

#include "emu/device/ioapic.h"
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

enum { RUNS = 16, STEPS = 600 };

static uint64_t seed;
static unsigned below(unsigned count)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed * 0x2545f4914f6cdd1dull >> 33) % count;
}
static bool one_in(unsigned count) { return below(count) == 0; }
static bool e_bits(uint64_t value, unsigned bit) { return value >> bit & 1; }

/* ---- two 8259A ---- */

struct chip {
    bool pin[8], level[8], irr[8], isr[8], imr[8];
    unsigned base, icw, top;            /* top: the line of highest priority */
    bool icw4, automatic, reads_isr, polled, special;
};
static struct chip chips[2];

/* The line that the chip asks for: the first of those that ask, unmasked, none of whose betters (nor itself) is being served. */
static int asks(const struct chip *c)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned line = (c->top + i) % 8;

        if (c->irr[line] && !c->imr[line])
            return c->isr[line] && !(c->special && c->imr[line]) ? -1 : (int)line;
        if (c->isr[line] && !(c->special && c->imr[line]))
            return -1;
    }
    return -1;
}

static void wire(void) { chips[0].irr[2] = asks(&chips[1]) >= 0; }

static void pin(unsigned line, bool up)
{
    struct chip *c = &chips[line / 8];
    unsigned n = line % 8;

    if (up && !c->pin[n])
        c->irr[n] = true;
    if (!up && c->level[n])
        c->irr[n] = false;
    c->pin[n] = up;
    wire();
}

static unsigned answer(struct chip *c)
{
    int line = asks(c);

    if (line < 0)
        return c->base + 7;
    if (!c->level[line] || !c->pin[line])
        c->irr[line] = false;
    c->isr[line] = !c->automatic;
    return c->base + (unsigned)line;
}

static unsigned acknowledge(void)
{
    bool second = asks(&chips[0]) == 2;
    unsigned vector = answer(&chips[0]);

    if (second)
        vector = answer(&chips[1]);
    wire();
    return vector;
}

static void command(struct chip *c, unsigned value)
{
    if (value & 0x10) {                         /* ICW1 */
        for (unsigned i = 0; i < 8; i++) {
            c->irr[i] = c->pin[i] && c->level[i];
            c->isr[i] = c->imr[i] = false;
        }
        c->icw4 = value & 1;
        c->icw = 2;
        c->top = c->base = 0;
        c->automatic = c->reads_isr = c->polled = c->special = false;
    } else if (value & 8) {                     /* OCW3 */
        if (value & 2)
            c->reads_isr = value & 1;
        if (value & 0x40)
            c->special = value & 0x20;
        c->polled = value & 4;
    } else {                                    /* OCW2 */
        unsigned line = value & 7;
        bool rotates = value & 0x80, specific = value & 0x40, ends = value & 0x20, found = specific;

        for (unsigned i = 0; i < 8 && ends && !specific && !found; i++)
            if (c->isr[(c->top + i) % 8]) {
                line = (c->top + i) % 8;
                found = true;
            }
        if (ends && found)
            c->isr[line] = false;
        if (rotates && found)
            c->top = (line + 1) % 8;
    }
    wire();
}

static void data(struct chip *c, unsigned value)
{
    if (c->icw == 2) {
        c->base = value & 0xf8;
        c->icw = 3;
    } else if (c->icw == 3) {
        c->icw = c->icw4 ? 4 : 0;
    } else if (c->icw == 4) {
        c->automatic = value & 2;
        c->icw = 0;
    } else {
        for (unsigned i = 0; i < 8; i++)
            c->imr[i] = value >> i & 1;
    }
    wire();
}

static unsigned bits(const bool line[8])
{
    unsigned value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (unsigned)line[i] << i;
    return value;
}

static unsigned read_command(struct chip *c)
{
    int line = asks(c);

    if (!c->polled)
        return bits(c->reads_isr ? c->isr : c->irr);
    c->polled = false;
    if (line >= 0)
        answer(c);
    wire();
    return line < 0 ? 0 : 0x80u + (unsigned)line;
}

START_TEST(interrupt_controllers)
{
    struct pic pic;

    seed = 0x9e3779b97f4a7c15ull * (unsigned)(_i + 1);
    pic_reset(&pic);
    memset(chips, 0, sizeof chips);
    memset(chips[0].imr, true, 8);
    memset(chips[1].imr, true, 8);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned which = below(2), value = below(256), kind = below(one_in(20) ? 13 : 12);
        uint16_t port = which ? 0xa0 : 0x20;

        if (kind < 5) {
            unsigned line = below(16);
            bool up = one_in(2);

            if (line == 2)
                continue;                       /* the second chip's */
            pin(line, up);
            pic_line(&pic, line, up);
        } else if (kind < 7) {
            ck_assert_uint_eq(pic_acknowledge(&pic), acknowledge());
        } else if (kind < 8) {
            value &= one_in(2) ? 0x11u : 0xffu;
            data(&chips[which], value);
            pic_write(&pic, port + 1, (uint8_t)value);
        } else if (kind < 12) {
            if (kind < 11)
                value = (value & 0xe7) | (one_in(3) ? 8 : 0);
            else if (!one_in(3))
                value = 0x20;
            if (value & 0x10 && !one_in(8))
                value = 0x20;
            command(&chips[which], value);
            pic_write(&pic, port, (uint8_t)value);
        } else {
            uint8_t allowed = which ? 0xde : 0xf8;      /* ICH9: IRQ 0, 1, 2, 8 and 13 are edges */

            for (unsigned i = 0; i < 8; i++) {
                chips[which].level[i] = value & allowed & 1u << i;
                chips[which].irr[i] |= chips[which].level[i] && chips[which].pin[i];
            }
            wire();
            pic_set_level(&pic, which, (uint8_t)value);
        }
        ck_assert_msg(pic_requests(&pic) == (asks(&chips[0]) >= 0), "step %u", step);
        for (unsigned i = 0; i < 2; i++) {
            ck_assert_uint_eq(pic_read(&pic, i ? 0xa1 : 0x21), bits(chips[i].imr));
            ck_assert_uint_eq(pic_read(&pic, i ? 0xa0 : 0x20), read_command(&chips[i]));
            ck_assert_uint_eq(pic.chip[i].level, bits(chips[i].level));
            for (unsigned line = 0; line < 8; line++)
                ck_assert_int_eq(pic_masked(&pic, 8 * i + line), chips[i].imr[line]);
            if (!chips[i].polled && !chips[i].reads_isr && one_in(2)) {         /* the other register, by OCW3 */
                command(&chips[i], 0x0b);
                pic_write(&pic, i ? 0xa0 : 0x20, 0x0b);
                ck_assert_uint_eq(pic_read(&pic, i ? 0xa0 : 0x20), bits(chips[i].isr));
                command(&chips[i], 0x0a);
                pic_write(&pic, i ? 0xa0 : 0x20, 0x0a);
            }
        }
    }
}
END_TEST

/* ---- 82093AA ---- */

static uint64_t entry[IOAPIC_PINS];
static bool up[IOAPIC_PINS];
static uint8_t selected, id;
static bool irr[256];           /* of the local APIC, ID 0, which is never acknowledged here */

static void message(unsigned n)
{
    uint64_t e = entry[n];
    unsigned vector = e & 0xff, to = (unsigned)(e >> 56);

    if ((e >> 8 & 7) <= 1 && !(e >> 11 & 1) && (to == 0 || to == 0xff) && vector >= 16)
        irr[vector] = true;
}

static void level(unsigned n)
{
    if (up[n] && (e_bits(entry[n], 15)) && !e_bits(entry[n], 16) && !e_bits(entry[n], 14)) {
        entry[n] |= 1u << 14;
        message(n);
    }
}

START_TEST(io_apic)
{
    struct ioapic *ioapic = &board->ioapic;

    seed = 0x9e3779b97f4a7c15ull * (unsigned)(_i + 1);
    store(0xfee000f0, 4, 0x1ff);                /* the local APIC is enabled */
    memset(up, 0, sizeof up);
    memset(irr, 0, sizeof irr);
    selected = id = 0;
    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        entry[n] = 1u << 16;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned n = below(IOAPIC_PINS), kind = below(10);

        if (kind < 2) {
            unsigned at = one_in(8) ? below(256) : 0x10 + 2 * n + below(2), size = 1u << below(3);
            uint32_t value = (uint32_t)at | (one_in(2) ? 0x5500 : 0);

            store(0xfec00000, size, value);
            selected = (uint8_t)at;
        } else if (kind < 5) {
            uint32_t value = selected & 1 ? one_in(3) ? 0x01ffffff : 0 : (below(256) | (one_in(3) ? below(8) << 8 : 0) | below(0x20) << 12);
            unsigned size = one_in(4) ? 1u << below(2) : 4, offset = one_in(6) ? below(4) * 4 : 0x10;

            if (one_in(8))
                offset += below(4);
            store(0xfec00000 + offset, size, value);
            if (offset == 0) {
                selected = (uint8_t)value;
            } else if (offset == 0x10 && size == 4) {
                unsigned p = (selected - 0x10u) / 2;

                if (selected == 0) {
                    id = value >> 24 & 15;
                } else if (selected >= 0x10 && p < IOAPIC_PINS) {
                    uint64_t was = entry[p], kept = was & 1u << 14;

                    entry[p] = selected & 1 ? (was & 0xffffffff) | (uint64_t)(value & 0xff000000) << 32 : (was & 0xff00000000000000ull) | (value & 0x1afff);
                    entry[p] = (entry[p] & ~(1ull << 14)) | (entry[p] >> 15 & 1 ? kept : 0);
                    level(p);
                }
            }
        } else if (kind < 8) {
            bool rises = one_in(2) && !up[n];

            up[n] = rises || (up[n] && one_in(2));
            if (rises && !e_bits(entry[n], 15) && !e_bits(entry[n], 16))
                message(n);
            level(n);
            ioapic_line(ioapic, n, up[n]);
        } else {
            unsigned vector = one_in(2) ? entry[n] & 0xff : below(256);

            for (unsigned p = 0; p < IOAPIC_PINS; p++)
                if (e_bits(entry[p], 14) && (entry[p] & 0xff) == vector) {
                    entry[p] &= ~(1ull << 14);
                    level(p);
                }
            ioapic_end_of_interrupt(ioapic, (uint8_t)vector);
        }
        ck_assert_uint_eq(load(0xfec00000, 4), selected);
        for (unsigned p = 0; p < IOAPIC_PINS; p++) {
            ck_assert_msg(ioapic->entry[p] == entry[p], "run %d, step %u, pin %u: %llx, wanted %llx", _i, step, p, (unsigned long long)ioapic->entry[p],
                          (unsigned long long)entry[p]);
            ck_assert_int_eq(ioapic_masked(ioapic, p), e_bits(entry[p], 16));
        }
        for (unsigned at = 0; at < 0x50; at++) {
            unsigned p = (at - 0x10) / 2;
            uint32_t wanted = at == 0 || at == 2 ? (uint32_t)id << 24 : at == 1 ? 0x11 | (IOAPIC_PINS - 1) << 16
                            : at < 0x10 || p >= IOAPIC_PINS ? 0 : (uint32_t)(at & 1 ? entry[p] >> 32 : entry[p]);

            store(0xfec00000, 4, at);
            ck_assert_uint_eq(load(0xfec00010, 4), wanted);
            if (at % 8 == 3)
                ck_assert_uint_eq(load(0xfec00014, 4), 0);
        }
        store(0xfec00000, 4, selected);
        for (unsigned i = 0; i < 8; i++) {
            uint32_t wanted = 0;

            for (unsigned bit = 0; bit < 32; bit++)
                wanted |= (uint32_t)irr[32 * i + bit] << bit;
            ck_assert_msg(load(0xfee00200 + 16 * i, 4) == wanted, "run %d, step %u: IRR %u is %x, wanted %x", _i, step, i, (unsigned)load(0xfee00200 + 16 * i, 4), wanted);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("second chips");
    TCase *tcase = tcase_create("interrupt controllers");

    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_loop_test(tcase, interrupt_controllers, 0, RUNS);
    tcase_add_loop_test(tcase, io_apic, 0, RUNS / 4);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
