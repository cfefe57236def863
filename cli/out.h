/*
 * out.h - data on stdout: JSON Lines, gathered and written in large pieces.
 *
 *     struct mni_json_writer *w = out_begin(out);
 *     mni_json_write_key(w, "count");
 *     mni_json_write_u64(w, n);
 *     if (!out_end(out))
 *         ... stdout is gone
 *
 * Every call that returns false has said why on stderr, unless the reader of a pipe went away; the
 * command should then end.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "json/json.h"

struct out {
    struct mni_buf pending;        /* whole lines, and at their end the one being made */
    struct mni_json_writer writer; /* of the line being made */
    size_t line_start_bytes;       /* where that line begins in `pending` */
    bool has_failed;
    bool is_closed; /* the reader of a pipe went away */
};

/* Begins a line that is one JSON object. */
struct mni_json_writer *out_begin(struct out *out);
bool out_end(struct out *out);

/* Writes keys with their numbers into an object that was begun. */
struct out_figure {
    const char *key;
    uint64_t value;
};
void out_figures(struct mni_json_writer *writer, const struct out_figure *figures,
                 size_t n_figures);

/* The line {"key":value}. */
bool out_bool(struct out *out, const char *key, bool value);
bool out_number(struct out *out, const char *key, uint64_t value);

/* The line {"deleted":N,"lsn":L}. */
bool out_deleted(struct out *out, uint64_t n_deleted, uint64_t lsn);

/* A line for people. */
bool out_text(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, above a table. */
bool out_heading(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes as they are. */
bool out_raw(struct out *out, const void *bytes, size_t n_bytes);

/* Hands everything to the kernel. */
bool out_flush(struct out *out);

void out_done(struct out *out); /* frees; flush before */

#endif
