/* SPDX-License-Identifier: MIT */
/* The real-time clock. */
#include "emu/device/cmos.h"

#include "emu/device/date.h"

enum { SECOND = 1000000000 };
/* Registers. */
enum { SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR, A, B, C, D,
       BASE_LOW = 0x15, EXTENDED_LOW = 0x17, EXTENDED_LOW_2 = 0x30, CENTURY = 0x32,
       ABOVE_16M_LOW = 0x34, ABOVE_4G = 0x5b };
enum { A_UPDATING = 0x80, A_RATE = 0xf, A_DIVIDER_RUNS = 0x20, B_SET = 0x80, B_PERIODIC = 0x40, B_ALARM = 0x20, B_UPDATE = 0x10,
       B_BINARY = 4, B_24_HOURS = 2, C_REQUEST = 0x80, D_VALID = 0x80, ALARM_ANY = 0xc0, HOUR_PM = 0x80 };
/* Before each second begins the time is not to be read: data sheet, "Update Cycle". */
enum { UPDATE_TIME = 2228000 };

/* ---- how registers hold numbers ---- */

static uint8_t encode(const struct cmos *cmos, unsigned value)
{
    return (uint8_t)(cmos->memory[B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(const struct cmos *cmos, uint8_t value)
{
    return cmos->memory[B] & B_BINARY ? value : (value >> 4) * 10u + (value & 0xf);
}

static uint8_t encode_hour(const struct cmos *cmos, unsigned hour)
{
    if (cmos->memory[B] & B_24_HOURS)
        return encode(cmos, hour);
    return (uint8_t)(encode(cmos, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct cmos *cmos, uint8_t value)
{
    if (cmos->memory[B] & B_24_HOURS)
        return decode(cmos, value);
    return decode(cmos, value & (HOUR_PM - 1)) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* ---- the time ---- */

static bool runs(const struct cmos *cmos) { return cmos->stopped == UINT64_MAX; }

static struct date now_is(const struct cmos *cmos, uint64_t now)
{
    return date_of(cmos->epoch + (int64_t)((runs(cmos) ? now : cmos->stopped) / SECOND));
}

static uint8_t read_time(const struct cmos *cmos, unsigned index, uint64_t now)
{
    struct date date = now_is(cmos, now);

    switch (index) {
    case SECONDS: return encode(cmos, date.second);
    case MINUTES: return encode(cmos, date.minute);
    case HOURS: return encode_hour(cmos, date.hour);
    case WEEKDAY: return encode(cmos, date.weekday);
    case DAY: return encode(cmos, date.day);
    case MONTH: return encode(cmos, date.month);
    case YEAR: return encode(cmos, (unsigned)(date.year % 100));
    case CENTURY: return encode(cmos, (unsigned)(date.year / 100));
    }
    return cmos->memory[index];
}

static unsigned at_most(unsigned value, unsigned low, unsigned high) { return value < low ? low : value > high ? high : value; }

/* A time register is written: the epoch moves so that the date has that part. A value out of its range counts as the nearest one. */
static void write_time(struct cmos *cmos, unsigned index, uint8_t value, uint64_t now)
{
    struct date date = now_is(cmos, now);
    unsigned number = decode(cmos, value);

    switch (index) {
    case SECONDS: date.second = at_most(number, 0, 59); break;
    case MINUTES: date.minute = at_most(number, 0, 59); break;
    case HOURS: date.hour = at_most(decode_hour(cmos, value), 0, 23); break;
    case DAY: date.day = at_most(number, 1, 31); break;
    case MONTH: date.month = at_most(number, 1, 12); break;
    case YEAR: date.year = date.year / 100 * 100 + at_most(number, 0, 99); break;
    case CENTURY: date.year = at_most(number, 0, 99) * 100 + date.year % 100; break;
    default: return;                    /* the day of the week follows from the date */
    }
    int64_t seconds = date_seconds(&date);
    cmos->epoch = seconds - (int64_t)((runs(cmos) ? now : cmos->stopped) / SECOND);
}

static bool is_time(unsigned index)
{
    return (index <= YEAR && index != SECONDS_ALARM && index != MINUTES_ALARM && index != HOURS_ALARM) || index == CENTURY;
}

/* ---- interrupts ---- */

bool cmos_interrupt(const struct cmos *cmos) { return cmos->memory[C] & C_REQUEST; }

static void raise(struct cmos *cmos, uint8_t flag)
{
    cmos->memory[C] |= flag;
    if (cmos->memory[C] & cmos->memory[B] & (B_PERIODIC | B_ALARM | B_UPDATE))
        cmos->memory[C] |= C_REQUEST;
}

/* Data sheet, table 5: rates 1 and 2 are as 8 and 9. Nanoseconds; 0: off. */
static uint64_t period(const struct cmos *cmos)
{
    unsigned rate = cmos->memory[A] & A_RATE;

    return rate == 0 ? 0 : (SECOND * (uint64_t)(1u << ((rate < 3 ? rate + 7 : rate) - 1))) >> 15;
}

static bool alarm_matches(const struct cmos *cmos, const struct date *date)
{
    const uint8_t *memory = cmos->memory;

    return (memory[SECONDS_ALARM] >= ALARM_ANY || decode(cmos, memory[SECONDS_ALARM]) == date->second) &&
           (memory[MINUTES_ALARM] >= ALARM_ANY || decode(cmos, memory[MINUTES_ALARM]) == date->minute) &&
           (memory[HOURS_ALARM] >= ALARM_ANY || decode_hour(cmos, memory[HOURS_ALARM]) == date->hour);
}

/* The next second at which an interrupt that is enabled comes up. An alarm is within a day, or never. */
static uint64_t next_second(const struct cmos *cmos)
{
    uint64_t second = cmos->updated / SECOND + 1;

    if (!runs(cmos) || !(cmos->memory[B] & (B_UPDATE | B_ALARM)))
        return UINT64_MAX;
    if (cmos->memory[B] & B_UPDATE)
        return second * SECOND;
    for (unsigned i = 0; i < 86400; i++, second++) {
        struct date date = date_of(cmos->epoch + (int64_t)second);
        if (alarm_matches(cmos, &date))
            return second * SECOND;
    }
    return UINT64_MAX;
}

uint64_t cmos_next(const struct cmos *cmos)
{
    uint64_t each = period(cmos), next = cmos->next_update;

    if ((cmos->memory[B] & B_PERIODIC) && each) {
        uint64_t tick = (cmos->periodic / each + 1) * each;
        next = tick < next ? tick : next;
    }
    return cmos_interrupt(cmos) ? UINT64_MAX : next;
}

/* Flags come up also while their interrupts are off. */
void cmos_advance(struct cmos *cmos, uint64_t now)
{
    uint64_t each = period(cmos);

    if (each && now / each != cmos->periodic / each)
        raise(cmos, B_PERIODIC);
    cmos->periodic = now;
    if (!runs(cmos) || now / SECOND == cmos->updated / SECOND)
        return;
    if (cmos->next_update <= now && (cmos->memory[B] & B_ALARM)) {
        struct date date = date_of(cmos->epoch + (int64_t)(cmos->next_update / SECOND));
        if (alarm_matches(cmos, &date))
            raise(cmos, B_ALARM);
    }
    raise(cmos, B_UPDATE);
    cmos->updated = now;
    cmos->next_update = next_second(cmos);
}

/* ---- ports ---- */

static uint8_t read_a(const struct cmos *cmos, uint64_t now)
{
    bool updating = runs(cmos) && SECOND - now % SECOND <= UPDATE_TIME;

    return (uint8_t)(cmos->memory[A] | (updating ? A_UPDATING : 0));
}

uint8_t cmos_read(struct cmos *cmos, uint16_t port, uint64_t now)
{
    unsigned index = cmos->index;
    uint8_t value;

    if (!(port & 1))
        return 0xff;                    /* the index can only be written */
    cmos_advance(cmos, now);
    if (index == A)
        return read_a(cmos, now);
    value = is_time(index) ? read_time(cmos, index, now) : cmos->memory[index];
    if (index == C)
        cmos->memory[C] = 0;            /* and the line goes down */
    return value;
}

static void write_b(struct cmos *cmos, uint8_t value, uint64_t now)
{
    if ((value & B_SET) && runs(cmos)) {
        cmos->stopped = now;
        value &= (uint8_t)~B_UPDATE;
    } else if (!(value & B_SET) && !runs(cmos)) {
        cmos->epoch -= (int64_t)(now / SECOND) - (int64_t)(cmos->stopped / SECOND);     /* it goes on where it stood */
        cmos->stopped = UINT64_MAX;
    }
    cmos->memory[B] = value;
}

void cmos_write(struct cmos *cmos, uint16_t port, uint8_t value, uint64_t now)
{
    unsigned index = cmos->index;

    if (!(port & 1)) {
        cmos->index = value & (CMOS_SIZE - 1);      /* bit 7 masks NMIs, of which the board has no source */
        return;
    }
    cmos_advance(cmos, now);
    if (index == B)
        write_b(cmos, value, now);
    else if (is_time(index))
        write_time(cmos, index, value, now);
    else if (index == A)
        cmos->memory[A] = value & 0x7f;
    else if (index != C && index != D)
        cmos->memory[index] = value;
    raise(cmos, 0);
    cmos->periodic = cmos->updated = now;
    cmos->next_update = next_second(cmos);
}

static void put(struct cmos *cmos, unsigned index, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        cmos->memory[index + i] = (uint8_t)(value >> 8 * i);
}

/* As a PC's firmware counts: KB of base memory, KB from 1 MB on (up to 65,535), 64 KB from 16 MB on, 64 KB from 4 GB on. */
void cmos_reset(struct cmos *cmos, uint64_t low, uint64_t high, int64_t epoch)
{
    enum { MEGABYTE = 1 << 20, BASE_KB = 639 };
    uint64_t extended = low > MEGABYTE ? (low - MEGABYTE) / 1024 : 0, above = low > 16 * MEGABYTE ? (low - 16 * MEGABYTE) >> 16 : 0;

    *cmos = (struct cmos){ .epoch = epoch, .stopped = UINT64_MAX, .next_update = UINT64_MAX };
    cmos->memory[A] = A_DIVIDER_RUNS | 6;
    cmos->memory[B] = B_24_HOURS;
    cmos->memory[D] = D_VALID;
    put(cmos, BASE_LOW, BASE_KB, 2);
    put(cmos, EXTENDED_LOW, extended < 0xffff ? extended : 0xffff, 2);
    put(cmos, EXTENDED_LOW_2, extended < 0xffff ? extended : 0xffff, 2);
    put(cmos, ABOVE_16M_LOW, above < 0xffff ? above : 0xffff, 2);
    put(cmos, ABOVE_4G, high >> 16, 3);
}
