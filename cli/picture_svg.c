/*
 * picture_svg.c - a trajectory as an SVG document, which needs nothing else to be shown.
 *
 * Colours are classes, so that they follow whether its reader likes light or dark; programs that
 * know no such wish show the light ones. The colour of a point is its place in time, from blue to
 * orange, in both drawings.
 *
 * Owns:    nothing.
 * Threads: the main one.
 * Fails:   as the file does.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "picture.h"

enum { POINTS_MAX = 4000 }; /* that are drawn: of more, every second, third, ... */

/* Where the drawings are. */
enum {
    WIDTH = 960,
    HEIGHT = 860,
    LEFT = 70,
    RIGHT = 930,
    PLANE_TOP = 100,
    PLANE_BOTTOM = 520,
    DRIFT_TOP = 610,
    DRIFT_BOTTOM = 800,
};

static const char style[] =
    "<style>\n"
    "text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; "
    "fill: #4b5563 }\n"
    ".title { font-size: 20px; font-weight: 600; fill: #111827 }\n"
    ".name { font-size: 15px; font-weight: 600; fill: #1f2937 }\n"
    ".right { text-anchor: end } .middle { text-anchor: middle }\n"
    ".paper { fill: #ffffff }\n"
    ".grid { stroke: #e5e7eb; stroke-width: 1; fill: none }\n"
    ".axis { stroke: #9ca3af; stroke-width: 1; fill: none }\n"
    ".way { stroke: #9ca3af; stroke-width: 1; fill: none; opacity: 0.45; "
    "stroke-linejoin: round }\n"
    ".mean { stroke: #111827; stroke-width: 2; fill: none; opacity: 0.75; "
    "stroke-linejoin: round }\n"
    ".badge { fill: #ffffff; stroke: #111827; stroke-width: 1.5 }\n"
    ".digit { font-size: 11px; font-weight: 700; text-anchor: middle; fill: #111827 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "text { fill: #9ca3af }\n"
    ".title { fill: #f3f4f6 } .name { fill: #e5e7eb }\n"
    ".paper { fill: #14171f }\n"
    ".grid { stroke: #262b36 } .axis, .way { stroke: #6b7280 }\n"
    ".mean { stroke: #f3f4f6 }\n"
    ".badge { fill: #14171f; stroke: #f3f4f6 }\n"
    ".digit { fill: #f3f4f6 }\n"
    "}\n"
    "</style>\n";

/* The document while it is written. The first failure stays. */
struct svg {
    const struct picture *picture;
    struct whole_file *file;
    mn_status status;
    struct mn_error *err;
};

static void put(struct svg *svg, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct svg *svg, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (svg->status == MN_OK && (n < 0 || (size_t)n >= sizeof text))
        svg->status = mni_fail(svg->err, MN_ERR_INVALID, "a piece of the picture is too long");
    if (svg->status == MN_OK)
        svg->status = whole_file_append(svg->file, text, (size_t)n, svg->err);
}

static void put_whole(struct svg *svg, const char *text, size_t n_bytes)
{
    if (svg->status == MN_OK)
        svg->status = whole_file_append(svg->file, text, n_bytes, svg->err);
}

/* U+FFFE and U+FFFF, which XML has no place for; all else that it forbids is a control character.
 */
static bool is_no_character(const char *at)
{
    return memcmp(at, "\xEF\xBF\xBE", 3) == 0 || memcmp(at, "\xEF\xBF\xBF", 3) == 0;
}

/* Text between tags. What cannot stand in XML becomes U+FFFD. */
static void put_text(struct svg *svg, const char *text)
{
    static const char replacement[] = "\xEF\xBF\xBD";

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '<')
            put(svg, "&lt;");
        else if (*at == '>')
            put(svg, "&gt;");
        else if (*at == '&')
            put(svg, "&amp;");
        else if ((unsigned char)*at < 0x20 || *at == 0x7F)
            put(svg, "%s", replacement);
        else if (*at == '\xEF' && is_no_character(at))
            put(svg, "%s", replacement), at += 2;
        else
            put_whole(svg, at, 1);
    }
}

/* From blue over violet and rose to orange, readable on white and on black. */
static const char *colour_at(double place, char text[8])
{
    static const double stops[4][3] = {
        {0x2f, 0x6b, 0xd8}, {0x8b, 0x56, 0xd2}, {0xdb, 0x4f, 0x8c}, {0xf0, 0x8c, 0x2e}};
    double at = place * 3;
    int i = at >= 3 ? 2 : (int)at;
    double share = at - i;
    unsigned rgb[3];

    for (int c = 0; c < 3; c++)
        rgb[c] = (unsigned)lround(stops[i][c] + share * (stops[i + 1][c] - stops[i][c]));
    (void)snprintf(text, 8, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
    return text;
}

static size_t stride_of(const struct picture *p)
{
    return (p->trajectory.n_points + POINTS_MAX - 1) / POINTS_MAX;
}

/* Where values are on paper. */
struct scale {
    struct picture_range x;
    struct picture_range y;
    int top;
    int bottom;
};

static double x_of(const struct scale *s, double value)
{
    return LEFT + (RIGHT - LEFT) * picture_place(&s->x, value);
}

static double y_of(const struct scale *s, double value)
{
    return s->bottom - (s->bottom - s->top) * picture_place(&s->y, value);
}

static void put_axes(struct svg *svg, const struct scale *s, const struct picture_tick *across,
                     size_t n_across)
{
    struct picture_tick up[PICTURE_TICKS_MAX];
    size_t n_up = picture_ticks(&s->y, 6, up);

    for (size_t i = 0; i < n_up; i++) {
        double y = s->bottom - (s->bottom - s->top) * up[i].place;
        put(svg, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, RIGHT);
        put(svg, "<text class=\"right\" x=\"%d\" y=\"%.1f\">%s</text>\n", LEFT - 8, y + 4.5,
            up[i].label);
    }
    for (size_t i = 0; i < n_across; i++) {
        double x = LEFT + (RIGHT - LEFT) * across[i].place;
        bool is_last = across[i].place > 0.97 && strlen(across[i].label) > 5; /* no room there */
        bool is_first = across[i].place < 0.03 && strlen(across[i].label) > 15;
        put(svg, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>", x, s->top, s->bottom);
        put(svg, "<text class=\"%s\" x=\"%.1f\" y=\"%d\">%s</text>\n",
            is_last    ? "right"
            : is_first ? "left"
                       : "middle",
            is_last    ? x + 20
            : is_first ? x - 20
                       : x,
            s->bottom + 20, across[i].label);
    }
    put(svg, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, s->top, s->bottom, RIGHT);
}

static void put_circle(struct svg *svg, size_t point, double x, double y, double radius)
{
    const struct picture *p = svg->picture;
    int64_t time_us = p->trajectory.times_us[point];
    char colour[8];
    char time[TIME_TEXT_BYTES];

    put(svg,
        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" fill-opacity=\"0.85\">"
        "<title>%s: %.4g</title></circle>\n",
        x, y, radius, colour_at(picture_place_time(p, time_us), colour),
        picture_time(time_us, time), p->drift[point]);
}

/* Both axes in one scale: what is twice as far on paper is twice as far. */
static struct scale plane_scale(const struct picture *p)
{
    size_t n = p->trajectory.n_points;
    struct scale s = {.x = picture_range_of(p->coordinates, n, 2),
                      .y = picture_range_of(p->coordinates + 1, n, 2),
                      .top = PLANE_TOP,
                      .bottom = PLANE_BOTTOM};
    double across = s.x.high - s.x.low;
    double up = s.y.high - s.y.low;

    if (p->shares[1] == 0)
        up = 0; /* its range is only room */
    double unit = 1.06 * fmax(across / (RIGHT - LEFT), up / (PLANE_BOTTOM - PLANE_TOP));
    double x = (s.x.low + s.x.high) / 2;
    double y = (s.y.low + s.y.high) / 2;
    s.x = (struct picture_range){x - unit * (RIGHT - LEFT) / 2, x + unit * (RIGHT - LEFT) / 2};
    s.y = (struct picture_range){y - unit * (PLANE_BOTTOM - PLANE_TOP) / 2,
                                 y + unit * (PLANE_BOTTOM - PLANE_TOP) / 2};
    return s;
}

static void put_badges(struct svg *svg, const struct scale *s)
{
    const struct picture *p = svg->picture;

    put(svg, "<path class=\"mean\" d=\"");
    for (size_t i = 0; i < p->n_parts; i++)
        put(svg, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(s, p->parts[i].x), y_of(s, p->parts[i].y));
    put(svg, "\"/>\n");
    for (size_t i = 0; i < p->n_parts; i++) {
        char time[TIME_TEXT_BYTES];
        double x = x_of(s, p->parts[i].x);
        double y = y_of(s, p->parts[i].y);
        put(svg,
            "<g><title>from %s</title><circle class=\"badge\" cx=\"%.1f\" cy=\"%.1f\" r=\"9\"/>",
            picture_time(p->trajectory.times_us[p->parts[i].first], time), x, y);
        put(svg, "<text class=\"digit\" x=\"%.1f\" y=\"%.1f\">%zu</text></g>\n", x, y + 4, i + 1);
    }
}

static void put_plane(struct svg *svg)
{
    const struct picture *p = svg->picture;
    struct scale s = plane_scale(p);
    struct picture_tick ticks[PICTURE_TICKS_MAX];
    size_t stride = stride_of(p);

    put(svg,
        "<text class=\"name\" x=\"%d\" y=\"%d\">First two principal components: %.3g %% and "
        "%.3g %% of the variance</text>\n",
        LEFT, PLANE_TOP - 14, 100 * p->shares[0], 100 * p->shares[1]);
    put_axes(svg, &s, ticks, picture_ticks(&s.x, 8, ticks));
    put(svg, "<path class=\"way\" d=\"");
    for (size_t i = 0; i < p->trajectory.n_points; i += stride)
        put(svg, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(&s, p->coordinates[2 * i]),
            y_of(&s, p->coordinates[2 * i + 1]));
    put(svg, "\"/>\n");
    for (size_t i = 0; i < p->trajectory.n_points; i += stride)
        put_circle(svg, i, x_of(&s, p->coordinates[2 * i]), y_of(&s, p->coordinates[2 * i + 1]), 4);
    put_badges(svg, &s);
    put(svg, "<text x=\"%d\" y=\"%d\">1 to %zu: %s, in the order of their times</text>\n", LEFT,
        PLANE_BOTTOM + 42, p->n_parts,
        p->trajectory.n_points <= PICTURE_PARTS_MAX ? "the points"
                                                    : "means of parts of equal number");
}

static void put_drift(struct svg *svg)
{
    const struct picture *p = svg->picture;
    const struct mn_trajectory *t = &p->trajectory;
    struct scale s = {
        .x = {0, 1}, .y = picture_drift_range(p), .top = DRIFT_TOP, .bottom = DRIFT_BOTTOM};
    struct picture_tick ticks[PICTURE_TICKS_MAX];
    size_t stride = stride_of(p);

    put(svg, "<text class=\"name\" x=\"%d\" y=\"%d\">%c%s</text>\n", LEFT, DRIFT_TOP - 14,
        picture_drift_title(p)[0] == 'c' ? 'C' : picture_drift_title(p)[0],
        picture_drift_title(p) + 1);
    put_axes(svg, &s, ticks, picture_time_ticks(p, (RIGHT - LEFT) / 8, ticks));
    put(svg, "<path class=\"way\" d=\"");
    for (size_t i = 0; i < t->n_points; i += stride)
        put(svg, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(&s, picture_place_time(p, t->times_us[i])),
            y_of(&s, p->drift[i]));
    put(svg, "\"/>\n");
    for (size_t i = 0; i < t->n_points; i += stride)
        put_circle(svg, i, x_of(&s, picture_place_time(p, t->times_us[i])), y_of(&s, p->drift[i]),
                   2.5);
}

mn_status picture_write_svg(const struct picture *picture, struct whole_file *file,
                            struct mn_error *err)
{
    struct svg svg = {.picture = picture, .file = file, .err = err};
    char extent[PICTURE_EXTENT_BYTES];

    put(&svg,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
        "height=\"%d\" role=\"img\" aria-labelledby=\"title\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    put(&svg, "<title id=\"title\">");
    put_text(&svg, picture->subject);
    put(&svg, "</title>\n");
    put_whole(&svg, style, sizeof style - 1);
    put(&svg, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", WIDTH, HEIGHT);
    put(&svg, "<text class=\"title\" x=\"%d\" y=\"34\">", LEFT);
    put_text(&svg, picture->subject);
    put(&svg, "</text>\n<text x=\"%d\" y=\"56\">", LEFT);
    put_text(&svg, picture_extent(picture, extent));
    if (stride_of(picture) > 1)
        put(&svg, ", one of %zu drawn", stride_of(picture));
    put(&svg, "</text>\n");
    put_plane(&svg);
    put_drift(&svg);
    put(&svg, "</svg>\n");
    return svg.status;
}
