/*
 * hits_table.c - the results of a search, of records or of points, as a table for people.
 *
 * Owns:    the texts of all rows, until they are printed: the widths of columns depend on them all.
 * Threads: the main one.
 * Fails:   MN_ERR_NOMEM; printing as out.h says.
 */
#include "hits_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "talk.h"
#include "json/json.h"

enum {
    COLUMNS_MIN = 40,
    COLUMNS_MAX = 400,
    COLUMNS_OTHERWISE = 100,
    EXCERPT_BYTES_MAX = COLUMNS_MAX * 4, /* more than what is ever shown of a text */
    SCORE_BYTES = 32,
};

static const char ellipsis[] = "\xE2\x80\xA6";

struct row {
    uint64_t rank;
    double score;
    size_t id_offset; /* in `text` */
    size_t id_bytes;
    size_t time_bytes; /* behind the id */
    size_t excerpt_offset;
    size_t excerpt_bytes;
};

void hits_table_done(struct hits_table *table)
{
    mni_buf_done(&table->rows);
    mni_buf_done(&table->text);
    mni_buf_done(&table->scratch);
}

/* Text -------------------------------------------------------------------------------------------
 */

/* The character at `text`, which is valid UTF-8, and how many bytes it has. */
static uint32_t character_at(const unsigned char *text, size_t *n_bytes_out)
{
    static const unsigned char masks[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t n = text[0] < 0x80 ? 1 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4;
    uint32_t character = text[0] & masks[n];

    for (size_t i = 1; i < n; i++)
        character = character << 6 | (text[i] & 0x3F);
    *n_bytes_out = n;
    return character;
}

/* What commands a terminal, ends a line or turns the direction of writing. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || (c >= 0x200E && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

/* How many columns of a terminal a character takes; near enough where terminals differ. */
static unsigned columns_of(uint32_t c)
{
    static const struct {
        uint32_t first;
        uint32_t last;
        unsigned n_columns;
    } ranges[] = {
        {0x0300, 0x036F, 0},   {0x200B, 0x200D, 0}, {0x20D0, 0x20F0, 0}, {0xFE00, 0xFE0F, 0},
        {0x1100, 0x115F, 2},   {0x2E80, 0xA4CF, 2}, {0xAC00, 0xD7A3, 2}, {0xF900, 0xFAFF, 2},
        {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2}, {0xFFE0, 0xFFE6, 2}, {0x1F300, 0x1FAFF, 2},
        {0x20000, 0x3FFFD, 2},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return ranges[i].n_columns;
    }
    return 1;
}

/* How many bytes of the text fit `n_columns`, and how many columns these take. */
static size_t fitting_bytes(const unsigned char *text, size_t n_bytes, unsigned n_columns,
                            unsigned *n_taken_out)
{
    unsigned n_taken = 0;
    size_t at = 0;

    while (at < n_bytes) {
        size_t char_bytes;
        unsigned width = columns_of(character_at(text + at, &char_bytes));
        if (n_taken + width > n_columns)
            break;
        n_taken += width;
        at += char_bytes;
    }
    *n_taken_out = n_taken;
    return at;
}

/* Appends the text with each run of white space and control characters as one space; no more of it
 * than a line can show. */
static mn_status append_one_line(struct mni_buf *buf, struct mn_slice text)
{
    const unsigned char *bytes = text.data;
    size_t begin_bytes = buf->n_bytes;
    bool wants_space = false;
    mn_status st = MN_OK;
    size_t char_bytes;

    for (size_t at = 0; at < text.n_bytes && st == MN_OK; at += char_bytes) {
        uint32_t c = character_at(bytes + at, &char_bytes);
        if (c == ' ' || c == 0xA0 || is_control(c)) {
            wants_space = buf->n_bytes > begin_bytes;
            continue;
        }
        if (buf->n_bytes - begin_bytes > EXCERPT_BYTES_MAX)
            break;
        if (wants_space)
            st = mni_buf_append(buf, " ", 1);
        if (st == MN_OK)
            st = mni_buf_append(buf, bytes + at, char_bytes);
        wants_space = false;
    }
    return st;
}

/* Finds the metadata's "text" when that is a string; else `text_out` is all of the metadata. */
static mn_status find_text(struct hits_table *table, struct mn_slice metadata,
                           struct mn_slice *text_out)
{
    struct mni_json_scanner scanner;
    struct mni_json_token key;
    struct mni_json_token value;
    enum mni_json_type type;

    *text_out = metadata;
    if (metadata.n_bytes == 0)
        return MN_OK;
    mni_json_scanner_init(&scanner, metadata, MN_METADATA_DEPTH_MAX, NULL);
    mn_status st = mni_json_enter_object(&scanner);
    while (st == MN_OK && (st = mni_json_next_key(&scanner, &key)) == MN_OK) {
        st = mni_json_peek(&scanner, &type);
        if (st == MN_OK && type == MNI_JSON_STRING && mni_json_token_is(&key, "text")) {
            st = mni_json_read_string(&scanner, &value);
            return st == MN_OK ? mni_json_token_text(&value, &table->scratch, text_out) : MN_OK;
        }
        if (st == MN_OK)
            st = mni_json_skip_value(&scanner, NULL);
    }
    return MN_OK; /* the store took it as an object, so there is just no such key */
}

mn_status hits_table_add(struct hits_table *table, const struct hit_text *hit)
{
    struct mn_slice text;
    struct row row = {.rank = hit->rank, .score = hit->score, .id_offset = table->text.n_bytes};

    table->is_of_points = hit->time != NULL;
    mn_status st = append_one_line(&table->text, mn_str(hit->id));
    row.id_bytes = table->text.n_bytes - row.id_offset;
    if (st == MN_OK && hit->time != NULL)
        st = append_one_line(&table->text, mn_str(hit->time));
    row.time_bytes = table->text.n_bytes - row.id_offset - row.id_bytes;
    row.excerpt_offset = table->text.n_bytes;
    if (st == MN_OK)
        st = find_text(table, hit->metadata, &text);
    if (st == MN_OK)
        st = append_one_line(&table->text, text);
    row.excerpt_bytes = table->text.n_bytes - row.excerpt_offset;
    if (st == MN_OK)
        st = mni_buf_append(&table->rows, &row, sizeof row);
    if (st != MN_OK)
        table->text.n_bytes = row.id_offset;
    return st;
}

/* Printing ---------------------------------------------------------------------------------------
 */

unsigned hits_table_columns(void)
{
    const char *text = getenv("COLUMNS");
    struct winsize size = {0};
    uint64_t n = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        n = size.ws_col;
    else if (text == NULL || !mni_json_parse_u64(mn_str(text), &n) || n == 0)
        n = COLUMNS_OTHERWISE;
    return n < COLUMNS_MIN ? COLUMNS_MIN : n > COLUMNS_MAX ? COLUMNS_MAX : (unsigned)n;
}

static const char *score_text(double score, char text[SCORE_BYTES])
{
    (void)snprintf(text, SCORE_BYTES, "%#.6g", score == 0 ? 0.0 : score); /* no -0 */
    return text;
}

/* Columns of the table, in columns of the terminal. */
struct widths {
    int rank;
    int score;
    unsigned id;
    unsigned time; /* 0: there are none */
    unsigned excerpt;
};

static void widen(unsigned *width, const unsigned char *text, size_t n_bytes, unsigned n_columns)
{
    unsigned n_taken;

    (void)fitting_bytes(text, n_bytes, n_columns, &n_taken);
    *width = n_taken > *width ? n_taken : *width;
}

static const char *score_heading(const struct hits_table *table)
{
    return table->is_of_points ? "DISTANCE" : "SCORE";
}

static const char *id_heading(const struct hits_table *table)
{
    return table->is_of_points ? "ENTITY" : "ID";
}

static struct widths widths_of(const struct hits_table *table, unsigned n_columns)
{
    const struct row *rows = (const struct row *)(const void *)table->rows.data;
    size_t n_rows = table->rows.n_bytes / sizeof *rows;
    struct widths w = {.rank = (int)strlen("RANK"),
                       .score = (int)strlen(score_heading(table)),
                       .id = (unsigned)strlen(id_heading(table))};
    char text[SCORE_BYTES];
    bool has_excerpts = false;

    for (size_t i = 0; i < n_rows; i++) {
        const unsigned char *id = table->text.data + rows[i].id_offset;
        int rank = snprintf(NULL, 0, "%llu", (unsigned long long)rows[i].rank);
        w.rank = rank > w.rank ? rank : w.rank;
        int score = (int)strlen(score_text(rows[i].score, text));
        w.score = score > w.score ? score : w.score;
        widen(&w.id, id, rows[i].id_bytes, n_columns);
        widen(&w.time, id + rows[i].id_bytes, rows[i].time_bytes, n_columns);
        has_excerpts = has_excerpts || rows[i].excerpt_bytes > 0;
    }
    unsigned left = n_columns - (unsigned)(w.rank + w.score) - 4; /* two spaces each */
    if (table->is_of_points) { /* neither an entity nor a time is ever cut */
        unsigned both = w.id + 2 + w.time + 2;
        w.excerpt = has_excerpts && left > both ? left - both : 0;
        return w;
    }
    unsigned id_max = has_excerpts ? left / 2 : left;
    w.id = w.id > id_max ? id_max : w.id;
    w.excerpt = has_excerpts ? left - w.id - 2 : 0; /* at least 4: a line has COLUMNS_MIN */
    return w;
}

/* Appends as much of the text as fits, with an ellipsis where some is left, and spaces up to the
 * width where `is_padded`. */
static mn_status append_cut(struct mni_buf *line, const unsigned char *text, size_t n_bytes,
                            unsigned width, bool is_padded)
{
    unsigned n_taken;
    size_t n_fitting = fitting_bytes(text, n_bytes, width, &n_taken);
    bool is_cut = n_fitting < n_bytes;
    mn_status st;

    if (is_cut)
        n_fitting = fitting_bytes(text, n_bytes, width > 0 ? width - 1 : 0, &n_taken);
    st = mni_buf_append(line, text, n_fitting);
    if (st == MN_OK && is_cut && width > 0) {
        st = mni_buf_append(line, ellipsis, sizeof ellipsis - 1);
        n_taken++;
    }
    for (; st == MN_OK && is_padded && n_taken < width; n_taken++)
        st = mni_buf_append(line, " ", 1);
    return st;
}

static bool print_heading(const struct hits_table *table, struct out *out, const struct widths *w)
{
    const char *score = score_heading(table);
    const char *id = id_heading(table);

    if (table->is_of_points)
        return out_heading(out, "%*s  %*s  %-*s  %-*s%s", w->rank, "RANK", w->score, score,
                           (int)w->id, id, w->excerpt > 0 ? (int)w->time : 0, "TIME",
                           w->excerpt > 0 ? "  TEXT" : "");
    return w->excerpt > 0 ? out_heading(out, "%*s  %*s  %-*s  TEXT", w->rank, "RANK", w->score,
                                        score, (int)w->id, id)
                          : out_heading(out, "%*s  %*s  %s", w->rank, "RANK", w->score, score, id);
}

/* What is behind rank and score. */
static mn_status append_texts(struct mni_buf *line, const struct hits_table *table,
                              const struct row *row, const struct widths *w)
{
    const unsigned char *id = table->text.data + row->id_offset;
    bool has_excerpt = row->excerpt_bytes > 0 && w->excerpt > 0;
    mn_status st = append_cut(line, id, row->id_bytes, w->id, has_excerpt || w->time > 0);

    if (st == MN_OK && w->time > 0)
        st = mni_buf_append(line, "  ", 2);
    if (st == MN_OK && w->time > 0)
        st = append_cut(line, id + row->id_bytes, row->time_bytes, w->time, has_excerpt);
    if (st == MN_OK && has_excerpt)
        st = mni_buf_append(line, "  ", 2);
    if (st == MN_OK && has_excerpt)
        st = append_cut(line, table->text.data + row->excerpt_offset, row->excerpt_bytes,
                        w->excerpt, false);
    return st == MN_OK ? mni_buf_append(line, "\n", 1) : st;
}

bool hits_table_print(struct hits_table *table, struct out *out, unsigned n_columns)
{
    const struct row *rows = (const struct row *)(const void *)table->rows.data;
    size_t n_rows = table->rows.n_bytes / sizeof *rows;
    struct widths w = widths_of(table, n_columns);
    struct mni_buf *line = &table->scratch;
    char score[SCORE_BYTES];
    char front[2 * SCORE_BYTES];
    bool is_fine = print_heading(table, out, &w);

    for (size_t i = 0; is_fine && i < n_rows; i++) {
        const struct row *row = &rows[i];
        int n = snprintf(front, sizeof front, "%*llu  %*s  ", w.rank, (unsigned long long)row->rank,
                         w.score, score_text(row->score, score));
        mni_buf_reset(line);
        mn_status st = mni_buf_append(line, front, (size_t)n);
        if (st == MN_OK)
            st = append_texts(line, table, row, &w);
        if (st != MN_OK)
            say("out of memory");
        is_fine = st == MN_OK && out_raw(out, line->data, line->n_bytes);
    }
    return is_fine;
}
