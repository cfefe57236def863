/*
 * lines.h - reads a file or a pipe line by line, each as soon as it is there.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "mneme/types.h"

enum { LINE_BYTES_MAX = 256 << 20 }; /* a longer one is refused before it is read to its end */

struct lines {
    int fd;                /* borrowed */
    uint64_t line_number;  /* of the line given last, from 1 */
    struct mni_buf buf;    /* what was read; lines given lie before `next_bytes` */
    size_t next_bytes;     /* where the next line begins */
    size_t searched_bytes; /* no line break before this */
    bool is_at_end;
};

void lines_init(struct lines *lines, int fd);
void lines_done(struct lines *lines);

/*
 * The next line that is not blank, without its line break and without a byte order mark before the
 * first; valid until the next call. Nothing is read while a whole line is at hand. MN_END after the
 * last. MN_ERR_CANCELLED: the process was asked to stop while it waited for input. MN_ERR_LIMIT:
 * the line is too long. MN_ERR_IO.
 */
MN_MUST_USE mn_status lines_next(struct lines *lines, struct mn_slice *line_out,
                                 struct mn_error *err);

#endif
