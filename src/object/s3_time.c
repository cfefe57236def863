/*
 * s3_time.c - the three forms in which S3 servers write times.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   answers false for text that is not a time in the form expected.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "object/s3_sign_private.h"

static const int64_t second_us = 1000000;
static const int64_t day_s = 86400;

struct civil {
    int year, month, day, hour, minute, second;
};

/* Days from 1970-01-01. Years begin in March, so that the leap day is the last of a year. */
static int64_t days_of_civil(const struct civil *c)
{
    int64_t year = c->month <= 2 ? c->year - 1 : c->year;
    int64_t month = c->month <= 2 ? c->month + 9 : c->month - 3;
    int64_t era = year / 400;
    int64_t year_of_era = year % 400;
    int64_t day_of_year = (153 * month + 2) / 5 + c->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_of_days(int64_t days, struct civil *c)
{
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;

    c->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    c->month = (int)(month < 10 ? month + 3 : month - 9);
    c->year = (int)(year_of_era + era * 400 + (c->month <= 2 ? 1 : 0));
}

void mni_s3_time_stamp(int64_t time_us, char stamp_out[MNI_S3_STAMP_BYTES])
{
    struct civil c;
    int64_t time_s = time_us < 0 ? 0 : time_us / second_us;
    int64_t second = time_s % day_s;

    civil_of_days(time_s / day_s, &c);
    MNI_CHECK(c.year >= 1970);
    if (c.year > 9999)
        c.year = 9999;
    (void)snprintf(stamp_out, MNI_S3_STAMP_BYTES, "%04u%02u%02uT%02u%02u%02uZ",
                   (unsigned)c.year % 10000, (unsigned)c.month % 100, (unsigned)c.day % 100,
                   (unsigned)(second / 3600) % 100, (unsigned)(second / 60 % 60),
                   (unsigned)(second % 60));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads by a pattern: 'Y', 'M', 'D', 'h', 'm', 's' are digits of a field, any other character
 * stands for itself. */
static bool read_pattern(const char *text, const char *pattern, struct civil *c)
{
    for (; *pattern != '\0'; pattern++, text++) {
        int *field = *pattern == 'Y'   ? &c->year
                     : *pattern == 'M' ? &c->month
                     : *pattern == 'D' ? &c->day
                     : *pattern == 'h' ? &c->hour
                     : *pattern == 'm' ? &c->minute
                     : *pattern == 's' ? &c->second
                                       : NULL;
        if (field == NULL && *text != *pattern)
            return false;
        if (field == NULL)
            continue;
        if (!is_digit(*text))
            return false;
        *field = *field * 10 + (*text - '0');
    }
    return true;
}

static bool time_of_civil(const struct civil *c, int64_t *time_us_out)
{
    static const int n_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (c->year < 1970 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > n_days[c->month - 1] || c->hour > 23 || c->minute > 59 || c->second > 60)
        return false;
    *time_us_out =
        (days_of_civil(c) * day_s + c->hour * 3600 + c->minute * 60 + c->second) * second_us;
    return true;
}

bool mni_s3_time_parse_http(struct mn_slice text, int64_t *time_us_out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = text.data;
    struct civil c = {0};

    /* "Sun, 06 Nov 1994 08:49:37 GMT"; the weekday says nothing new. */
    if (text.n_bytes != 29 || at[3] != ',' || memcmp(at + 25, " GMT", 4) != 0)
        return false;
    for (int month = 0; month < 12; month++)
        if (memcmp(at + 8, months + (size_t)month * 3, 3) == 0)
            c.month = month + 1;
    if (!read_pattern(at + 4, " DD ", &c) || !read_pattern(at + 11, " YYYY hh:mm:ss", &c))
        return false;
    return time_of_civil(&c, time_us_out);
}

bool mni_s3_time_parse_iso(struct mn_slice text, int64_t *time_us_out)
{
    static const char pattern[] = "YYYY-MM-DDThh:mm:ss";
    enum { WHOLE = sizeof pattern - 1 };
    const char *at = text.data;
    struct civil c = {0};
    int64_t unit_us = second_us;

    if (text.n_bytes < WHOLE + 1 || at[text.n_bytes - 1] != 'Z' || !read_pattern(at, pattern, &c) ||
        !time_of_civil(&c, time_us_out))
        return false;
    if (text.n_bytes == WHOLE + 1)
        return true;
    if (at[WHOLE] != '.' || text.n_bytes == WHOLE + 2)
        return false;
    for (size_t i = WHOLE + 1; i < text.n_bytes - 1; i++) {
        if (!is_digit(at[i]))
            return false;
        unit_us /= 10;
        *time_us_out += (at[i] - '0') * unit_us;
    }
    return true;
}
