/* SPDX-License-Identifier: MIT */
/* The calendar. */
#include "emu/device/date.h"

enum { DAY_SECONDS = 86400 };

/* Days since 1970. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400, of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t date_seconds(const struct date *date)
{
    return days_of(date->year, date->month, date->day) * DAY_SECONDS + date->hour * 3600 + date->minute * 60 + date->second;
}

struct date date_of(int64_t seconds)
{
    int64_t days = (seconds >= 0 ? seconds : seconds - (DAY_SECONDS - 1)) / DAY_SECONDS, rest = seconds - days * DAY_SECONDS;
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100), m = (5 * of_year + 2) / 153;

    return (struct date){ .year = year_of_era + era * 400 + (m >= 10), .month = (unsigned)(m < 10 ? m + 3 : m - 9),
                          .day = (unsigned)(of_year - (153 * m + 2) / 5 + 1), .hour = (unsigned)(rest / 3600),
                          .minute = (unsigned)(rest / 60 % 60), .second = (unsigned)(rest % 60),
                          .weekday = (unsigned)(((days + 4) % 7 + 7) % 7) + 1 };
}

/* A number of exactly so many digits, and what comes before it. */
static bool take(const char **text, char before, unsigned digits, unsigned *number)
{
    const char *c = *text;

    *number = 0;
    if (before && *c++ != before)
        return false;
    for (unsigned i = 0; i < digits; i++, c++) {
        if (*c < '0' || *c > '9')
            return false;
        *number = *number * 10 + (unsigned)(*c - '0');
    }
    *text = c;
    return true;
}

bool date_parse(const char *text, int64_t *seconds)
{
    struct date date = { 0 }, back;
    unsigned year;

    if (!take(&text, 0, 4, &year) || !take(&text, '-', 2, &date.month) || !take(&text, '-', 2, &date.day) || year < 1970)
        return false;
    if (*text && (!take(&text, *text == 'T' ? 'T' : ' ', 2, &date.hour) || !take(&text, ':', 2, &date.minute)))
        return false;
    if (*text && !take(&text, ':', 2, &date.second))
        return false;
    date.year = year;
    *seconds = date_seconds(&date);
    back = date_of(*seconds);           /* of what is no date of the calendar another one comes */
    return !*text && date.month && back.year == date.year && back.month == date.month && back.day == date.day && back.hour == date.hour &&
           back.minute == date.minute && back.second == date.second;
}
