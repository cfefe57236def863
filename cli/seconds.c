/*
 * seconds.c - seconds as decimal text, microseconds as integers, exactly.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   when the number has no place in 64 bits.
 */
#include "seconds.h"

#include "json/json.h"
#include <stdio.h>

enum { EXPONENT_MAX = 1000000 };

/* A JSON number taken apart: the digits at [begin, end) with a point somewhere among them, times
 * ten to the power of `exponent`, as if the point stood behind the last digit. */
struct decimal {
    const char *begin;
    const char *end;
    bool is_negative;
    int64_t exponent;
    int64_t n_digits; /* from the first that is not zero */
};

static struct decimal take_apart(struct mn_slice number)
{
    const char *p = number.data;
    const char *end = p + number.n_bytes;
    struct decimal d = {.begin = p, .end = end};
    bool is_behind_point = false;

    if (p < end && *p == '-') {
        d.is_negative = true;
        p++;
    }
    while (p < end && (*p == '0' || *p == '.')) {
        if (*p == '.')
            is_behind_point = true;
        else if (is_behind_point)
            d.exponent--;
        p++;
    }
    d.begin = p;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            is_behind_point = true;
            continue;
        }
        d.n_digits++;
        d.exponent -= is_behind_point;
    }
    d.end = p;
    if (p < end) {
        int64_t power = 0;
        bool is_negative = *++p == '-';
        for (p += *p == '-' || *p == '+'; p < end && power < EXPONENT_MAX; p++)
            power = power * 10 + (*p - '0');
        d.exponent += is_negative ? -power : power;
    }
    return d;
}

bool seconds_parse(struct mn_slice number, int64_t *us_out)
{
    struct decimal d = take_apart(number);
    /* How many of the digits, zeroes appended where they end, make the whole microseconds. */
    int64_t n_whole = d.n_digits + d.exponent + 6;
    uint64_t us = 0;

    if (d.n_digits == 0 || n_whole < 0) {
        *us_out = 0;
        return true;
    }
    if (n_whole > 19)
        return false;
    const char *p = d.begin;
    for (int64_t i = 0; i <= n_whole; i++) {
        if (p < d.end && *p == '.')
            p++;
        unsigned digit = p < d.end ? (unsigned)(*p++ - '0') : 0;
        if (i < n_whole)
            us = us * 10 + digit; /* 19 digits have their place in 64 bits */
        else
            us += digit >= 5;
    }
    uint64_t max = (uint64_t)INT64_MAX + (d.is_negative ? 1 : 0);
    if (us > max)
        return false;
    *us_out = d.is_negative ? (int64_t)(0 - us) : (int64_t)us;
    return true;
}

bool seconds_is_negative(struct mn_slice number)
{
    struct decimal d = take_apart(number);

    return d.is_negative && d.n_digits > 0;
}

static const struct {
    char name;
    int64_t seconds;
} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};

bool seconds_parse_duration(const char *text, int64_t *us_out)
{
    struct mn_slice number = mn_str(text);
    int64_t factor = 1;
    int64_t us = 0;
    double any;

    for (size_t i = 0; i < sizeof units / sizeof units[0] && number.n_bytes > 0; i++)
        if (text[number.n_bytes - 1] == units[i].name && factor == 1) {
            factor = units[i].seconds;
            number.n_bytes--;
            break;
        }
    return mni_json_parse_double(number, &any) && !seconds_is_negative(number) &&
           seconds_parse(number, &us) && !__builtin_mul_overflow(us, factor, us_out);
}

struct mn_slice seconds_format(int64_t us, char text[SECONDS_TEXT_BYTES])
{
    uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    int n = snprintf(text, SECONDS_TEXT_BYTES, "%s%llu.%06llu", us < 0 ? "-" : "",
                     (unsigned long long)(size / 1000000), (unsigned long long)(size % 1000000));

    while (text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    return (struct mn_slice){.data = text, .n_bytes = (size_t)n};
}

const char *seconds_format_duration(int64_t us, char text[DURATION_TEXT_BYTES])
{
    char number[SECONDS_TEXT_BYTES];
    size_t i = sizeof units / sizeof units[0] - 1;

    while (i > 0 && us % (units[i].seconds * 1000000) != 0)
        i--;
    struct mn_slice count = seconds_format(us / units[i].seconds, number);
    (void)snprintf(text, DURATION_TEXT_BYTES, "%.*s%c", (int)count.n_bytes, number, units[i].name);
    return text;
}
