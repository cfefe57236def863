/*
 * talk.h - what people read: errors and progress, on stderr.
 */
#ifndef CLI_TALK_H
#define CLI_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "mneme/types.h"

/* Prints "mneme: " and the text as one line. Bytes of `format`'s arguments that would command a
 * terminal are replaced, except when the text comes from quoted(). */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a failed call answered. A call that left no message gets the meaning of its status. */
const char *status_text(mn_status status, const struct mn_error *err);

/* A name or id in quotes, with control characters and bytes that are no UTF-8 escaped; long ones
 * are cut. Writes into `text` and returns it. */
enum { QUOTED_BYTES = 512 };
const char *quoted(struct mn_slice name, char text[QUOTED_BYTES]);

/* Whether escape codes may be written to the descriptor: a terminal, and NO_COLOR not set. */
bool talk_has_colour(int fd);

/* A line on stderr that is rewritten in place, at most ten times a second, and only when stderr is
 * a terminal. `n_total` of 0: not known. */
void progress_show(const char *what, uint64_t n_done, uint64_t n_total);
void progress_say(const char *text); /* a line without numbers */
void progress_clear(void);           /* before anything else is printed, and at the end */

#endif
