/*
 * times.c - reads and writes times as RFC 3339 has them.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   says false for what is no time.
 */
#include "times.h"

#include <inttypes.h>
#include <stdio.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, US = 1000000 };

/* `n` digits. */
static bool take_number(const char **at, int n, int least, int most, int *value_out)
{
    int value = 0;

    for (int i = 0; i < n; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *value_out = value;
    return value >= least && value <= most;
}

static bool take_char(const char **at, const char *any)
{
    for (; *any != '\0'; any++) {
        if (**at == *any) {
            ++*at;
            return true;
        }
    }
    return false;
}

static bool is_leap_year(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap_year(year));
}

static int64_t days_before(int year, int month)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;

    for (int m = 1; m < month; m++)
        days += days_of_month(year, m);
    return days;
}

static bool take_fraction(const char **at, int64_t *us_out)
{
    int64_t unit = US / 10;

    *us_out = 0;
    if (!take_char(at, "."))
        return true;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        *us_out += unit * (**at - '0');
    return true;
}

/* Seconds that the clock there is ahead. */
static bool take_offset(const char **at, int *seconds_out)
{
    int hours = 0;
    int minutes = 0;
    bool is_behind = **at == '-';

    *seconds_out = 0;
    if (take_char(at, "Zz"))
        return true;
    if (!take_char(at, "+-") || !take_number(at, 2, 0, 23, &hours) || !take_char(at, ":") ||
        !take_number(at, 2, 0, 59, &minutes))
        return false;
    *seconds_out = (hours * HOUR + minutes * MINUTE) * (is_behind ? -1 : 1);
    return true;
}

bool time_parse_any(const char *text, int64_t *us_out)
{
    const char *at = text;
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int ahead = 0;
    int64_t us = 0;

    if (!take_number(&at, 4, 1, 9999, &year) || !take_char(&at, "-") ||
        !take_number(&at, 2, 1, 12, &month) || !take_char(&at, "-") ||
        !take_number(&at, 2, 1, days_of_month(year, month), &day) || !take_char(&at, "Tt ") ||
        !take_number(&at, 2, 0, 23, &hour) || !take_char(&at, ":") ||
        !take_number(&at, 2, 0, 59, &minute) || !take_char(&at, ":") ||
        !take_number(&at, 2, 0, 60, &second) || !take_fraction(&at, &us) ||
        !take_offset(&at, &ahead) || *at != '\0')
        return false;
    int64_t seconds = (days_before(year, month) + day - 1) * DAY + (int64_t)hour * HOUR +
                      (int64_t)minute * MINUTE + second - ahead;
    *us_out = seconds * US + us;
    return true;
}

bool time_parse(const char *text, int64_t *us_out)
{
    return time_parse_any(text, us_out) && *us_out >= 0;
}

/* Year, month and day of a day since 1970. */
static void date_of(int64_t day, int *year_out, int *month_out, int *day_out)
{
    int year = 1970 + (int)(day / 366); /* or some years off, as there are fewer leap years */
    int month = 1;

    while (days_before(year, 1) > day)
        year--;
    while (days_before(year + 1, 1) <= day)
        year++;
    while (month < 12 && days_before(year, month + 1) <= day)
        month++;
    *year_out = year;
    *month_out = month;
    *day_out = (int)(day - days_before(year, month)) + 1;
}

const char *time_format(int64_t us, char text[TIME_TEXT_BYTES])
{
    const int64_t day_us = (int64_t)DAY * US;
    const int64_t first_us = days_before(1, 1) * day_us;
    const int64_t end_us = days_before(10000, 1) * day_us;
    int year;
    int month;
    int day;

    if (us < first_us || us >= end_us) {
        (void)snprintf(text, TIME_TEXT_BYTES, "%" PRId64, us);
        return text;
    }
    int64_t days = us / day_us - (us % day_us < 0);
    int64_t of_day = us - days * day_us;
    int second = (int)(of_day / US);
    int fraction = (int)(of_day % US);
    date_of(days, &year, &month, &day);
    int n = snprintf(text, TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
                     second / HOUR, second / MINUTE % 60, second % MINUTE);
    if (fraction > 0) {
        n += snprintf(text + n, TIME_TEXT_BYTES - (size_t)n, ".%06d", fraction);
        while (text[n - 1] == '0')
            n--;
    }
    (void)snprintf(text + n, TIME_TEXT_BYTES - (size_t)n, "Z");
    return text;
}
