/* SPDX-License-Identifier: MIT */
/* The proleptic Gregorian calendar; times are seconds since 1970-01-01 00:00 (UTC). */
#ifndef SESQUI_EMU_DEVICE_DATE_H
#define SESQUI_EMU_DEVICE_DATE_H

#include <stdbool.h>
#include <stdint.h>

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second;
    unsigned weekday;                   /* 1: Sunday */
};

int64_t date_seconds(const struct date *date);
struct date date_of(int64_t seconds);
/* "2024-01-01", "2024-01-01T12:30" or "2024-01-01 12:30:15", of the years 1970 to 9999. False: it is none. */
bool date_parse(const char *text, int64_t *seconds);

#endif
