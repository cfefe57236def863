/*
 * lines.c - reads a file or a pipe line by line, each as soon as it is there.
 *
 * Owns:    the buffer of bytes read and not yet given.
 * Threads: the main one.
 * Fails:   with a message that does not name the file or the line; the caller knows both.
 */
#include "lines.h"

#include <string.h>

#include "base/check.h"
#include "base/status.h"
#include "input.h"

enum { READ_BYTES = 256 << 10 };

void lines_init(struct lines *lines, int fd)
{
    *lines = (struct lines){.fd = fd};
}

void lines_done(struct lines *lines)
{
    mni_buf_done(&lines->buf);
}

/* Drops the lines given and reads once more. */
static mn_status read_more(struct lines *lines, struct mn_error *err)
{
    struct mni_buf *buf = &lines->buf;
    size_t n_bytes = 0;

    MNI_CHECK(lines->next_bytes <= buf->n_bytes && lines->searched_bytes <= buf->n_bytes);
    if (lines->next_bytes > 0) {
        memmove(buf->data, buf->data + lines->next_bytes, buf->n_bytes - lines->next_bytes);
        buf->n_bytes -= lines->next_bytes;
        lines->searched_bytes -= lines->next_bytes;
        lines->next_bytes = 0;
    }
    if (buf->n_bytes > LINE_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "line is longer than %d bytes", LINE_BYTES_MAX);
    if (mni_buf_reserve(buf, READ_BYTES) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    mn_status st = input_read(lines->fd, buf->data + buf->n_bytes, READ_BYTES, &n_bytes, err);
    if (st != MN_OK)
        return st;
    buf->n_bytes += n_bytes;
    lines->is_at_end = n_bytes == 0;
    return MN_OK;
}

/* Some programs begin a file of UTF-8 with one; it is not part of the first line. */
static void skip_byte_order_mark(struct mn_slice *line)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t n = sizeof mark - 1;

    if (line->n_bytes >= n && memcmp(line->data, mark, n) == 0) {
        line->data = (const char *)line->data + n;
        line->n_bytes -= n;
    }
}

static mn_status any_line(struct lines *lines, struct mn_slice *line_out, struct mn_error *err)
{
    struct mni_buf *buf = &lines->buf;

    for (;;) {
        unsigned char *from = buf->data + lines->searched_bytes;
        unsigned char *line_break =
            buf->n_bytes == 0 ? NULL : memchr(from, '\n', buf->n_bytes - lines->searched_bytes);
        size_t line_end = line_break == NULL ? buf->n_bytes : (size_t)(line_break - buf->data);
        bool is_last = line_break == NULL && lines->is_at_end;
        if (is_last && lines->next_bytes == buf->n_bytes)
            return MN_END;
        if (line_break != NULL || is_last) {
            line_out->data = buf->data + lines->next_bytes;
            line_out->n_bytes = line_end - lines->next_bytes;
            lines->next_bytes = line_break == NULL ? line_end : line_end + 1;
            lines->searched_bytes = lines->next_bytes;
            lines->line_number++;
            if (lines->line_number == 1)
                skip_byte_order_mark(line_out);
            if (line_out->n_bytes > LINE_BYTES_MAX)
                return mni_fail(err, MN_ERR_LIMIT, "line is longer than %d bytes", LINE_BYTES_MAX);
            return MN_OK;
        }
        lines->searched_bytes = buf->n_bytes;
        mn_status st = read_more(lines, err);
        if (st == MN_ERR_LIMIT)
            lines->line_number++;
        if (st != MN_OK)
            return st;
    }
}

static bool is_blank(struct mn_slice line)
{
    const char *text = line.data;

    for (size_t i = 0; i < line.n_bytes; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    }
    return true;
}

mn_status lines_next(struct lines *lines, struct mn_slice *line_out, struct mn_error *err)
{
    mn_status st;

    do {
        st = any_line(lines, line_out, err);
    } while (st == MN_OK && is_blank(*line_out));
    return st;
}
