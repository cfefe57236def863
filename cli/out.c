/*
 * out.c - data on stdout: JSON Lines, gathered and written in large pieces.
 *
 * Owns:    the bytes not yet written.
 * Threads: the main one.
 * Fails:   once; everything after the first failure is dropped.
 */
#include "out.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "talk.h"

enum { PIECE_BYTES = 64 << 10 };

static bool fail(struct out *out, const char *why)
{
    if (!out->has_failed)
        say("cannot write to standard output: %s", why);
    out->has_failed = true;
    return false;
}

struct mni_json_writer *out_begin(struct out *out)
{
    out->line_start_bytes = out->pending.n_bytes;
    mni_json_writer_init(&out->writer, &out->pending);
    mni_json_write_object_begin(&out->writer);
    return &out->writer;
}

bool out_end(struct out *out)
{
    struct mn_error err = {0};

    mni_json_write_object_end(&out->writer);
    mn_status st = mni_json_writer_finish(&out->writer, &err);
    if (st != MN_OK)
        return fail(out, status_text(st, &err));
    /* Metadata may hold line breaks between its tokens, and nothing else in a line can. One record
     * is one line, also for readers that take a carriage return for a break, so they become spaces.
     */
    for (size_t i = out->line_start_bytes; i < out->pending.n_bytes; i++) {
        if (out->pending.data[i] == '\n' || out->pending.data[i] == '\r')
            out->pending.data[i] = ' ';
    }
    return out_raw(out, "\n", 1);
}

void out_figures(struct mni_json_writer *writer, const struct out_figure *figures, size_t n_figures)
{
    for (size_t i = 0; i < n_figures; i++) {
        mni_json_write_key(writer, figures[i].key);
        mni_json_write_u64(writer, figures[i].value);
    }
}

bool out_bool(struct out *out, const char *key, bool value)
{
    struct mni_json_writer *w = out_begin(out);

    mni_json_write_key(w, key);
    mni_json_write_bool(w, value);
    return out_end(out);
}

bool out_number(struct out *out, const char *key, uint64_t value)
{
    struct mni_json_writer *w = out_begin(out);

    mni_json_write_key(w, key);
    mni_json_write_u64(w, value);
    return out_end(out);
}

bool out_deleted(struct out *out, uint64_t n_deleted, uint64_t lsn)
{
    struct mni_json_writer *w = out_begin(out);

    mni_json_write_key(w, "deleted");
    mni_json_write_u64(w, n_deleted);
    mni_json_write_key(w, "lsn");
    mni_json_write_u64(w, lsn);
    return out_end(out);
}

static bool print(struct out *out, const char *before, const char *after, const char *format,
                  va_list list)
{
    char text[2048];

    int n = vsnprintf(text, sizeof text, format, list);
    if (n < 0 || (size_t)n >= sizeof text)
        return fail(out, "a line is too long");
    return out_raw(out, before, strlen(before)) && out_raw(out, text, (size_t)n) &&
           out_raw(out, after, strlen(after));
}

bool out_text(struct out *out, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    bool is_fine = print(out, "", "\n", format, list);
    va_end(list);
    return is_fine;
}

bool out_heading(struct out *out, const char *format, ...)
{
    bool has_colour = talk_has_colour(STDOUT_FILENO);
    va_list list;

    va_start(list, format);
    bool is_fine =
        print(out, has_colour ? "\033[1m" : "", has_colour ? "\033[0m\n" : "\n", format, list);
    va_end(list);
    return is_fine;
}

bool out_raw(struct out *out, const void *bytes, size_t n_bytes)
{
    if (out->has_failed)
        return false;
    if (mni_buf_append(&out->pending, bytes, n_bytes) != MN_OK)
        return fail(out, "out of memory");
    return out->pending.n_bytes < PIECE_BYTES || out_flush(out);
}

bool out_flush(struct out *out)
{
    size_t n_written = 0;

    if (out->has_failed)
        return false;
    if (out->pending.n_bytes > 0)
        progress_clear();
    while (n_written < out->pending.n_bytes) {
        ssize_t n =
            write(STDOUT_FILENO, out->pending.data + n_written, out->pending.n_bytes - n_written);
        if (n >= 0) {
            n_written += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&fd, 1, -1);
        } else if (errno == EPIPE) {
            out->has_failed = true;
            out->is_closed = true;
            return false;
        } else if (errno != EINTR) {
            return fail(out, strerror(errno));
        }
    }
    mni_buf_reset(&out->pending);
    return true;
}

void out_done(struct out *out)
{
    mni_buf_done(&out->pending);
}
