/*
 * picture_text.c - a trajectory drawn with characters.
 *
 * Dots are those of braille, two across and four down in each character, or stars.
 *
 * Owns:    the canvas while it draws.
 * Threads: the main one.
 * Fails:   when memory is short or stdout is gone, and says so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "picture.h"
#include "talk.h"

enum {
    MARGIN = 11, /* columns of labels left of a drawing, its axis included */
    PLANE_ROWS_MIN = 10,
    PLANE_ROWS_MAX = 24,
    DRIFT_ROWS = 9,
    JOINED_MAX = 60, /* more points are not joined by lines: they would cover all */
};

struct canvas {
    unsigned n_columns;
    unsigned n_rows;
    unsigned dots_across; /* of a character */
    unsigned dots_down;
    unsigned char *dots; /* owned: a byte of dots a character */
    char *marks;         /* owned: in place of dots, where not 0 */
    bool is_utf8;
};

static bool canvas_begin(struct canvas *c, unsigned n_columns, unsigned n_rows, bool is_utf8)
{
    size_t n = (size_t)n_columns * n_rows;

    *c = (struct canvas){.n_columns = n_columns,
                         .n_rows = n_rows,
                         .dots_across = is_utf8 ? 2 : 1,
                         .dots_down = is_utf8 ? 4 : 1,
                         .dots = mni_alloc_zero(n),
                         .marks = mni_alloc_zero(n),
                         .is_utf8 = is_utf8};
    if (c->dots == NULL || c->marks == NULL)
        say("out of memory");
    return c->dots != NULL && c->marks != NULL;
}

static void canvas_done(struct canvas *c)
{
    mni_free(c->dots);
    mni_free(c->marks);
}

/* Dots count from the upper left. */
static void set_dot(struct canvas *c, long x, long y)
{
    static const unsigned char bits[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    size_t cell = (size_t)(y / c->dots_down) * c->n_columns + (size_t)(x / c->dots_across);

    c->dots[cell] |= bits[y % c->dots_down][x % c->dots_across];
}

/* Places go from 0 to 1, to the right and up. */
static long dot_x(const struct canvas *c, double place)
{
    return lround(place * (double)(c->n_columns * c->dots_across - 1));
}

static long dot_y(const struct canvas *c, double place)
{
    return lround((1 - place) * (double)(c->n_rows * c->dots_down - 1));
}

static void draw_dot(struct canvas *c, double x, double y)
{
    set_dot(c, dot_x(c, x), dot_y(c, y));
}

static void draw_line(struct canvas *c, double x1, double y1, double x2, double y2)
{
    long from_x = dot_x(c, x1);
    long from_y = dot_y(c, y1);
    long dx = dot_x(c, x2) - from_x;
    long dy = dot_y(c, y2) - from_y;
    long n = labs(dx) > labs(dy) ? labs(dx) : labs(dy);

    for (long i = 0; i <= n; i++)
        set_dot(c, from_x + (n == 0 ? 0 : lround((double)(dx * i) / (double)n)),
                from_y + (n == 0 ? 0 : lround((double)(dy * i) / (double)n)));
}

static void draw_mark(struct canvas *c, double x, double y, char mark)
{
    size_t column = (size_t)dot_x(c, x) / c->dots_across;
    size_t row = (size_t)dot_y(c, y) / c->dots_down;

    c->marks[row * c->n_columns + column] = mark;
}

/* Printing --------------------------------------------------------------------------------------
 */

static size_t append_cell(const struct canvas *c, size_t cell, char *text)
{
    unsigned char dots = c->dots[cell];

    text[0] = c->marks[cell] != 0 ? c->marks[cell] : dots == 0 ? ' ' : '*';
    if (text[0] != '*' || !c->is_utf8)
        return 1;
    text[0] = (char)0xE2;
    text[1] = (char)(0xA0 | dots >> 6);
    text[2] = (char)(0x80 | (dots & 0x3F));
    return 3;
}

static const char *axis(const struct canvas *c, bool has_tick)
{
    if (!c->is_utf8)
        return has_tick ? "+" : "|";
    return has_tick ? "\xE2\x94\xA4" : "\xE2\x94\x82";
}

static bool print_row(const struct canvas *c, struct out *out, unsigned row, const char *label)
{
    char text[8];
    size_t end = c->n_columns;

    while (end > 0 && c->dots[row * c->n_columns + end - 1] == 0 &&
           c->marks[row * c->n_columns + end - 1] == 0)
        end--;
    int n = snprintf(NULL, 0, "%*s ", MARGIN - 2, label);
    char front[64];
    (void)snprintf(front, sizeof front, "%*s ", MARGIN - 2, label);
    bool is_fine = out_raw(out, front, (size_t)n < sizeof front ? (size_t)n : sizeof front - 1);
    const char *line = axis(c, label[0] != '\0');
    is_fine = is_fine && out_raw(out, line, strlen(line));
    for (size_t i = 0; i < end && is_fine; i++)
        is_fine = out_raw(out, text, append_cell(c, row * c->n_columns + i, text));
    return is_fine && out_raw(out, "\n", 1);
}

static bool print_canvas(const struct canvas *c, struct out *out, const struct picture_range *range)
{
    struct picture_tick ticks[PICTURE_TICKS_MAX];
    size_t n_ticks = picture_ticks(range, c->n_rows / 3 < 6 ? c->n_rows / 3 : 6, ticks);
    bool is_fine = true;

    for (unsigned row = 0; row < c->n_rows && is_fine; row++) {
        const char *label = "";
        for (size_t i = 0; i < n_ticks; i++)
            if ((unsigned)dot_y(c, ticks[i].place) / c->dots_down == row)
                label = ticks[i].label;
        is_fine = print_row(c, out, row, label);
    }
    return is_fine;
}

/* Puts labels below the columns that they are of. Those that would touch the one before are left
 * out; returns how many are there. */
static size_t place_labels(const struct canvas *c, const struct picture_tick *ticks, size_t n_ticks,
                           char *labels, bool *has_tick)
{
    size_t width = MARGIN + c->n_columns;
    size_t n_placed = 0;
    size_t end = 0;

    memset(labels, ' ', width);
    labels[width] = '\0';
    for (size_t i = 0; i < n_ticks; i++) {
        size_t column = (size_t)dot_x(c, ticks[i].place) / c->dots_across;
        size_t n = strlen(ticks[i].label);
        size_t at = MARGIN + column > n / 2 ? MARGIN + column - n / 2 : 0;
        at = at + n > width ? width - n : at;
        if (end > 0 && at < end + 2)
            continue;
        memcpy(labels + at, ticks[i].label, n);
        end = at + n;
        has_tick[column] = true;
        n_placed++;
    }
    labels[end] = '\0';
    return n_placed;
}

/* The axis below, and its labels. Where one alone has room the last one gets a line of its own: an
 * axis with one label has no scale. */
static bool print_foot(const struct canvas *c, struct out *out, const struct picture_tick *ticks,
                       size_t n_ticks)
{
    static const char *const lines[2][3] = {{"+", "-", "+"},
                                            {"\xE2\x94\x94", "\xE2\x94\x80", "\xE2\x94\xAC"}};
    const char *const *line = lines[c->is_utf8];
    char *labels = mni_alloc((size_t)MARGIN + c->n_columns + 1);
    bool *has_tick = mni_alloc_zero(c->n_columns * sizeof *has_tick);
    bool is_fine = labels != NULL && has_tick != NULL;

    if (is_fine) {
        bool is_alone = place_labels(c, ticks, n_ticks, labels, has_tick) == 1 && n_ticks > 1;
        const struct picture_tick *last = &ticks[n_ticks - 1];
        if (is_alone)
            has_tick[(size_t)dot_x(c, last->place) / c->dots_across] = true;
        for (int i = 0; i < MARGIN - 1; i++)
            is_fine = is_fine && out_raw(out, " ", 1);
        is_fine = is_fine && out_raw(out, line[0], strlen(line[0]));
        for (unsigned i = 0; i < c->n_columns && is_fine; i++)
            is_fine = out_raw(out, line[1 + has_tick[i]], strlen(line[1 + has_tick[i]]));
        is_fine = is_fine && out_text(out, "\n%s", labels);
        if (is_fine && is_alone) {
            (void)place_labels(c, last, 1, labels, has_tick);
            is_fine = out_text(out, "%s", labels);
        }
    } else {
        say("out of memory");
    }
    mni_free(labels);
    mni_free(has_tick);
    return is_fine;
}

/* The two drawings ------------------------------------------------------------------------------
 */

static void draw_plane(struct canvas *c, const struct picture *p, const struct picture_range *xs,
                       const struct picture_range *ys)
{
    size_t n = p->trajectory.n_points;

    for (size_t i = 0; i < n; i++) {
        double x = picture_place(xs, p->coordinates[2 * i]);
        double y = picture_place(ys, p->coordinates[2 * i + 1]);
        draw_dot(c, x, y);
        if (i > 0 && n <= JOINED_MAX)
            draw_line(c, picture_place(xs, p->coordinates[2 * i - 2]),
                      picture_place(ys, p->coordinates[2 * i - 1]), x, y);
    }
    for (size_t i = 0; i < p->n_parts; i++)
        draw_mark(c, picture_place(xs, p->parts[i].x), picture_place(ys, p->parts[i].y),
                  (char)('1' + (int)i));
}

/* What the digits stand for, as many to a line as fit. */
static bool print_parts(const struct picture *p, struct out *out, unsigned n_columns)
{
    char line[512] = "";
    char time[TIME_TEXT_BYTES];
    size_t used = 0;
    bool is_fine = true;

    for (size_t i = 0; i < p->n_parts && is_fine; i++) {
        char part[TIME_TEXT_BYTES + 8];
        int n = snprintf(part, sizeof part, "  %zu %s", i + 1,
                         picture_time(p->trajectory.times_us[p->parts[i].first], time));
        if (used > 0 && used + (size_t)n > n_columns) {
            is_fine = out_text(out, "%s", line);
            used = 0;
        }
        used += (size_t)snprintf(line + used, sizeof line - used, "%s", part);
    }
    return is_fine && out_text(out, "%s", line);
}

static bool print_plane(const struct picture *p, struct out *out, unsigned n_columns, bool is_utf8)
{
    size_t n = p->trajectory.n_points;
    struct picture_range xs = picture_range_of(p->coordinates, n, 2);
    struct picture_range ys = picture_range_of(p->coordinates + 1, n, 2);
    struct picture_tick ticks[PICTURE_TICKS_MAX];
    unsigned n_rows = n_columns / 4;
    struct canvas c = {0};

    n_rows = n_rows < PLANE_ROWS_MIN   ? PLANE_ROWS_MIN
             : n_rows > PLANE_ROWS_MAX ? PLANE_ROWS_MAX
                                       : n_rows;
    bool is_fine = canvas_begin(&c, n_columns - MARGIN, n_rows, is_utf8) &&
                   out_text(out,
                            "\nfirst two principal components, %.3g %% (across) and %.3g %% (up) "
                            "of the variance",
                            100 * p->shares[0], 100 * p->shares[1]);
    if (is_fine) {
        draw_plane(&c, p, &xs, &ys);
        is_fine = print_canvas(&c, out, &ys) &&
                  print_foot(&c, out, ticks, picture_ticks(&xs, n_columns / 12, ticks));
    }
    canvas_done(&c);
    if (is_fine)
        is_fine = out_text(out, n <= PICTURE_PARTS_MAX
                                    ? "the points, and their times:"
                                    : "means of the points in parts of equal number, from:");
    return is_fine && print_parts(p, out, n_columns);
}

static bool print_drift(const struct picture *p, struct out *out, unsigned n_columns, bool is_utf8)
{
    const struct mn_trajectory *t = &p->trajectory;
    struct picture_range range = picture_drift_range(p);
    struct picture_tick ticks[PICTURE_TICKS_MAX];
    struct canvas c = {0};

    bool is_fine = canvas_begin(&c, n_columns - MARGIN, DRIFT_ROWS, is_utf8) &&
                   out_text(out, "\n%s", picture_drift_title(p));
    for (size_t i = 0; i < t->n_points && is_fine; i++) {
        size_t before = i > 0 ? i - 1 : 0;
        draw_line(&c, picture_place_time(p, t->times_us[before]),
                  picture_place(&range, p->drift[before]), picture_place_time(p, t->times_us[i]),
                  picture_place(&range, p->drift[i]));
    }
    if (is_fine)
        is_fine = print_canvas(&c, out, &range) &&
                  print_foot(&c, out, ticks, picture_time_ticks(p, c.n_columns, ticks));
    canvas_done(&c);
    return is_fine;
}

bool picture_print(const struct picture *picture, struct out *out, unsigned n_columns, bool is_utf8)
{
    char extent[PICTURE_EXTENT_BYTES];

    return out_heading(out, "%s: %s", picture->subject, picture_extent(picture, extent)) &&
           print_plane(picture, out, n_columns, is_utf8) &&
           print_drift(picture, out, n_columns, is_utf8);
}
