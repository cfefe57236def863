/*
 * picture.h - a trajectory as a picture: where it went in the plane of its first two principal
 * components, and how far it is from its first point over time.
 */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include "out.h"
#include "points.h"
#include "times.h"
#include "whole_file.h"

/* The points in parts of equal number, in order: their means show where it drifted. */
enum { PICTURE_PARTS_MAX = 9 };
struct picture_part {
    size_t first; /* point */
    double x;     /* mean */
    double y;
};

struct picture {
    const char *subject; /* whose points; UTF-8 that commands no terminal, borrowed */
    mn_metric metric;
    struct mn_trajectory trajectory; /* borrowed */
    double *coordinates;             /* owned: x and y of each point */
    double *drift;                   /* owned: of each point from the first */
    double shares[2];                /* of the variance */
    struct picture_part parts[PICTURE_PARTS_MAX];
    size_t n_parts;
};

/* `subject`, `metric` and `trajectory` are set, all else is zero; there is a point. */
MN_MUST_USE mn_status picture_make(struct picture *picture, struct mn_error *err);
void picture_done(struct picture *picture);

/* "231 points, 1790-01-08 to 2020-02-04" */
enum { PICTURE_EXTENT_BYTES = 2 * TIME_TEXT_BYTES + 40 };
const char *picture_extent(const struct picture *picture, char text[PICTURE_EXTENT_BYTES]);

/* "cosine distance from the first point" */
const char *picture_drift_title(const struct picture *picture);

/* Draws it with characters, for lines of `n_columns`. False as out.h says. */
bool picture_print(const struct picture *picture, struct out *out, unsigned n_columns,
                   bool is_utf8);

/* The same as an SVG document. */
MN_MUST_USE mn_status picture_write_svg(const struct picture *picture, struct whole_file *file,
                                        struct mn_error *err);

/* Axes ------------------------------------------------------------------------------------------
 */

/* From the least to the greatest of some values, with room where they are equal. */
struct picture_range {
    double low;
    double high;
};
struct picture_range picture_range_of(const double *values, size_t n, size_t stride);
/* Of the drift, from 0 on. */
struct picture_range picture_drift_range(const struct picture *picture);
/* 0 to 1. */
double picture_place(const struct picture_range *range, double value);
/* The same of a time; 0.5 where all are one. */
double picture_place_time(const struct picture *picture, int64_t time_us);

/* Round values within a range, up to `n_max`, and never more than there is room for. */
struct picture_tick {
    double place; /* 0 to 1 */
    char label[TIME_TEXT_BYTES];
};
enum { PICTURE_TICKS_MAX = 12 };
size_t picture_ticks(const struct picture_range *range, size_t n_max,
                     struct picture_tick ticks_out[PICTURE_TICKS_MAX]);
/* Round times within those of the picture; years, dates or times of day, as many as have room on a
 * line of so many characters. With less than two of them the first and the last time instead, which
 * may be too long for one line. */
size_t picture_time_ticks(const struct picture *picture, size_t n_characters,
                          struct picture_tick ticks_out[PICTURE_TICKS_MAX]);

/* A time in as few characters as tell it: without what is midnight. */
const char *picture_time(int64_t time_us, char text[TIME_TEXT_BYTES]);

#endif
