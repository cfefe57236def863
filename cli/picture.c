/*
 * picture.c - what a picture of a trajectory shows, and its axes.
 *
 * Owns:    a picture its coordinates and distances.
 * Threads: the main one.
 * Fails:   as principal components do, and when memory is short.
 */
#include "picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const int64_t second_us = 1000000;
#define MINUTE_US (60 * second_us)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)
#define YEAR_US (365 * DAY_US)

void picture_done(struct picture *picture)
{
    mni_free(picture->coordinates);
    mni_free(picture->drift);
    picture->coordinates = NULL;
    picture->drift = NULL;
}

static void make_parts(struct picture *p)
{
    size_t n = p->trajectory.n_points;

    p->n_parts = n < PICTURE_PARTS_MAX ? n : PICTURE_PARTS_MAX;
    for (size_t part = 0; part < p->n_parts; part++) {
        size_t first = part * n / p->n_parts;
        size_t end = (part + 1) * n / p->n_parts;
        struct picture_part *to = &p->parts[part];

        *to = (struct picture_part){.first = first};
        for (size_t i = first; i < end; i++) {
            to->x += p->coordinates[2 * i] / (double)(end - first);
            to->y += p->coordinates[2 * i + 1] / (double)(end - first);
        }
    }
}

mn_status picture_make(struct picture *picture, struct mn_error *err)
{
    const struct mn_trajectory *t = &picture->trajectory;
    struct mn_drift drift;
    mn_status st = MN_OK;

    picture->coordinates = mni_alloc_array(t->n_points, 2 * sizeof(double));
    picture->drift = mni_alloc_array(t->n_points, sizeof(double));
    if (picture->coordinates == NULL || picture->drift == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    st = mn_trajectory_principal(t, 2, picture->coordinates, picture->shares, NULL, err);
    for (size_t i = 0; i < t->n_points && st == MN_OK; i++) {
        st = mn_trajectory_drift(t->vectors, t->vectors + i * t->n_dims, t->n_dims, &drift, NULL, 0,
                                 err);
        picture->drift[i] = picture->metric == MN_METRIC_L2 ? drift.l2 : drift.cosine;
    }
    if (st == MN_OK)
        make_parts(picture);
    return st;
}

const char *picture_extent(const struct picture *picture, char text[PICTURE_EXTENT_BYTES])
{
    const struct mn_trajectory *t = &picture->trajectory;
    char first[TIME_TEXT_BYTES];
    char last[TIME_TEXT_BYTES];

    (void)picture_time(t->times_us[0], first);
    (void)picture_time(t->times_us[t->n_points - 1], last);
    if (t->n_points == 1)
        (void)snprintf(text, PICTURE_EXTENT_BYTES, "1 point, %s", first);
    else
        (void)snprintf(text, PICTURE_EXTENT_BYTES, "%zu points, %s to %s", t->n_points, first,
                       last);
    return text;
}

const char *picture_drift_title(const struct picture *picture)
{
    return picture->metric == MN_METRIC_L2 ? "Euclidean distance from the first point"
                                           : "cosine distance from the first point";
}

/* Axes ------------------------------------------------------------------------------------------
 */

struct picture_range picture_range_of(const double *values, size_t n, size_t stride)
{
    struct picture_range range = {values[0], values[0]};

    for (size_t i = 1; i < n; i++) {
        range.low = fmin(range.low, values[i * stride]);
        range.high = fmax(range.high, values[i * stride]);
    }
    if (range.high - range.low <= 1e-9 * fmax(fabs(range.low), fabs(range.high)) ||
        range.high == range.low) {
        double room = range.high == 0 ? 1 : fabs(range.high);
        range.low -= room;
        range.high += room;
    }
    return range;
}

struct picture_range picture_drift_range(const struct picture *picture)
{
    size_t n = picture->trajectory.n_points;
    struct picture_range range = {0, 0};

    for (size_t i = 0; i < n; i++)
        range.high = fmax(range.high, picture->drift[i]);
    range.high = range.high > 0 ? 1.04 * range.high : 1;
    return range;
}

double picture_place(const struct picture_range *range, double value)
{
    return fmin(fmax((value - range->low) / (range->high - range->low), 0), 1);
}

double picture_place_time(const struct picture *picture, int64_t time_us)
{
    const struct mn_trajectory *t = &picture->trajectory;
    int64_t first = t->times_us[0];
    int64_t last = t->times_us[t->n_points - 1];

    return first == last ? 0.5
                         : (double)((uint64_t)time_us - (uint64_t)first) /
                               (double)((uint64_t)last - (uint64_t)first);
}

size_t picture_ticks(const struct picture_range *range, size_t n_max,
                     struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    static const double steps[] = {1, 2, 5, 10};
    double span = range->high - range->low;

    n_max = n_max < PICTURE_TICKS_MAX ? n_max : PICTURE_TICKS_MAX;
    double unit = pow(10, floor(log10(span / (double)n_max)));
    double step = 10 * unit;
    size_t n = 0;

    for (size_t i = sizeof steps / sizeof steps[0]; i-- > 0;)
        if (floor(range->high / (steps[i] * unit)) - ceil(range->low / (steps[i] * unit)) + 1 <=
            (double)n_max)
            step = steps[i] * unit;
    for (double k = ceil(range->low / step); k * step <= range->high && n < n_max; k++, n++) {
        struct picture_tick *tick = &ticks_out[n];
        tick->place = picture_place(range, k * step);
        (void)snprintf(tick->label, sizeof tick->label, "%.10g", k * step + 0.0);
    }
    return n;
}

const char *picture_time(int64_t time_us, char text[TIME_TEXT_BYTES])
{
    char *midnight = strstr(time_format(time_us, text), "T00:00:00Z");

    if (midnight != NULL)
        *midnight = '\0';
    return text;
}

/* Years of which the first day lies in the picture, every so many. */
static size_t year_ticks(const struct picture *p, int first_year, int n_years, size_t n_max,
                         struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    static const int steps[] = {1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000};
    const struct mn_trajectory *t = &p->trajectory;
    size_t n_steps = sizeof steps / sizeof steps[0];
    size_t n = 0;
    size_t i = 0;

    while (i + 1 < n_steps && (size_t)(n_years / steps[i] + 2) > n_max)
        i++;
    int year = (first_year + steps[i] - 1) / steps[i] * steps[i];
    for (; year <= first_year + n_years + 1 && n < n_max; year += steps[i]) {
        char text[TIME_TEXT_BYTES];
        int64_t at_us = 0;
        (void)snprintf(text, sizeof text, "%04d-01-01T00:00:00Z", year % 10000);
        if (!time_parse_any(text, &at_us) || at_us < t->times_us[0] ||
            at_us > t->times_us[t->n_points - 1])
            continue;
        ticks_out[n].place = picture_place_time(p, at_us);
        (void)snprintf(ticks_out[n++].label, TIME_TEXT_BYTES, "%d", year);
    }
    return n;
}

/* A round time; `has_date`: its day is not known otherwise. */
static void label_time(int64_t time_us, bool has_date, char text[TIME_TEXT_BYTES])
{
    enum { TIME_AT = 11, SECONDS_AT = 16, FRACTION_AT = 19 }; /* of 1970-01-01T00:00:00.5Z */
    size_t n = strlen(picture_time(time_us, text));

    if (n <= FRACTION_AT || text[n - 1] != 'Z')
        return; /* a day, or only a number */
    text[n - 1] = '\0';
    if (strcmp(text + SECONDS_AT, ":00") == 0)
        text[SECONDS_AT] = '\0';
    text[TIME_AT - 1] = ' ';
    if (!has_date)
        memmove(text, text + TIME_AT, n - TIME_AT);
}

/* Multiples of a step in the picture. */
static size_t step_ticks(const struct picture *p, int64_t step_us, bool has_dates, size_t n_max,
                         struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    const struct mn_trajectory *t = &p->trajectory;
    int64_t last_us = t->times_us[t->n_points - 1];
    int64_t at_us = t->times_us[0] / step_us * step_us;
    size_t n = 0;

    if (at_us < t->times_us[0] && __builtin_add_overflow(at_us, step_us, &at_us))
        return 0;
    while (at_us <= last_us && n < n_max) {
        ticks_out[n].place = picture_place_time(p, at_us);
        label_time(at_us, has_dates, ticks_out[n++].label);
        if (__builtin_add_overflow(at_us, step_us, &at_us))
            break;
    }
    return n;
}

static int64_t day_of(int64_t time_us)
{
    return time_us / DAY_US - (time_us % DAY_US < 0);
}

/* The finest round step for which labels have room. */
static size_t clock_ticks(const struct picture *p, size_t n_characters,
                          struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    static const struct {
        int64_t unit_us;
        size_t label; /* characters */
        int64_t steps[8];
    } clocks[] = {
        {1, 15, {1, 2, 5, 10, 20, 50, 100, 200}},
        {1000, 15, {1, 2, 5, 10, 20, 50, 100, 200}},
        {1000000, 8, {1, 2, 5, 10, 15, 30}},
        {60000000, 5, {1, 2, 5, 10, 15, 30}},
        {3600000000, 5, {1, 2, 3, 6, 12}},
        {86400000000, 10, {1, 2, 5, 10, 20, 50, 100, 200}},
    };
    enum { DATE = 11, GAP = 3 };
    const struct mn_trajectory *t = &p->trajectory;
    int64_t first_us = t->times_us[0];
    int64_t last_us = t->times_us[t->n_points - 1];
    uint64_t span = (uint64_t)last_us - (uint64_t)first_us;
    bool has_dates = day_of(first_us) != day_of(last_us);
    size_t n_max = n_characters / (TIME_TEXT_BYTES + GAP);
    n_max = n_max < PICTURE_TICKS_MAX ? n_max : PICTURE_TICKS_MAX;

    for (size_t c = 0; c < sizeof clocks / sizeof clocks[0]; c++) {
        bool is_day = clocks[c].unit_us == DAY_US;
        size_t n = n_characters / (clocks[c].label + (has_dates && !is_day ? DATE : 0) + GAP);
        n = n < PICTURE_TICKS_MAX ? n : PICTURE_TICKS_MAX;
        for (size_t i = 0; i < 8 && clocks[c].steps[i] > 0; i++)
            if (span / (uint64_t)(clocks[c].unit_us * clocks[c].steps[i]) < n)
                return step_ticks(p, clocks[c].unit_us * clocks[c].steps[i], has_dates, n,
                                  ticks_out);
    }
    for (int64_t step_us = 1000 * DAY_US; step_us < INT64_MAX / 10; step_us *= 10)
        if (span / (uint64_t)step_us < n_max)
            return step_ticks(p, step_us, has_dates, n_max, ticks_out);
    return 0;
}

/* Where too few round times lie in the picture: its first and its last one. */
static size_t end_ticks(const struct picture *p, struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    const struct mn_trajectory *t = &p->trajectory;
    const int64_t ends_us[2] = {t->times_us[0], t->times_us[t->n_points - 1]};
    bool has_dates = day_of(ends_us[0]) != day_of(ends_us[1]);

    for (size_t i = 0; i < 2; i++) {
        ticks_out[i].place = (double)i;
        label_time(ends_us[i], has_dates, ticks_out[i].label);
    }
    return 2;
}

static size_t round_ticks(const struct picture *picture, size_t n_characters,
                          struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    enum { YEAR_CHARACTERS = 10 };
    const struct mn_trajectory *t = &picture->trajectory;
    int64_t first = t->times_us[0];
    uint64_t span = (uint64_t)t->times_us[t->n_points - 1] - (uint64_t)first;
    size_t n_years = n_characters / YEAR_CHARACTERS;
    char text[TIME_TEXT_BYTES];

    bool is_date = strlen(time_format(first, text)) > 10 && text[4] == '-';
    if (!is_date || span < (uint64_t)(3 * YEAR_US) || span > (uint64_t)(9999 * YEAR_US))
        return clock_ticks(picture, n_characters, ticks_out);
    int year =
        (text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');
    return year_ticks(picture, year, (int)(span / (uint64_t)YEAR_US),
                      n_years < PICTURE_TICKS_MAX ? n_years : PICTURE_TICKS_MAX, ticks_out);
}

size_t picture_time_ticks(const struct picture *picture, size_t n_characters,
                          struct picture_tick ticks_out[PICTURE_TICKS_MAX])
{
    const struct mn_trajectory *t = &picture->trajectory;

    if (t->times_us[0] == t->times_us[t->n_points - 1]) {
        ticks_out[0].place = 0.5;
        (void)picture_time(t->times_us[0], ticks_out[0].label);
        return 1;
    }
    size_t n = round_ticks(picture, n_characters, ticks_out);
    return n >= 2 ? n : end_ticks(picture, ticks_out);
}
