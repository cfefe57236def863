/*
 * talk.c - what people read: errors and progress, on stderr.
 *
 * Owns:    whether a progress line stands on the terminal.
 * Threads: the main one.
 * Fails:   never; what cannot be said is not said.
 */
#include "talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/quote.h"

enum { PROGRESS_COLUMNS = 72, PROGRESS_INTERVAL_MS = 100 };

static bool progress_stands;
static int64_t progress_shown_ms;
static int64_t progress_began_ms;

bool talk_has_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_color != NULL && no_color[0] != '\0')
        return false;
    if (term == NULL || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fd) != 0;
}

void say(const char *format, ...)
{
    char text[4096];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
    }
    progress_clear();
    bool has_colour = talk_has_colour(STDERR_FILENO);
    (void)fprintf(stderr, "%smneme:%s %s\n", has_colour ? "\033[31m" : "",
                  has_colour ? "\033[0m" : "", text);
}

const char *status_text(mn_status status, const struct mn_error *err)
{
    if (err != NULL && err->message[0] != '\0')
        return err->message;
    switch (status) {
    case MN_NOT_FOUND:
        return "not found";
    case MN_ERR_NOMEM:
        return "out of memory";
    case MN_ERR_CANCELLED:
        return "stopped";
    default:
        return mn_status_name(status);
    }
}

const char *quoted(struct mn_slice name, char text[QUOTED_BYTES])
{
    return mni_quote(name, text, QUOTED_BYTES);
}

static int64_t now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Puts the text over whatever progress line stands. */
static void show(const char *text)
{
    (void)fprintf(stderr, "\r%-*s", PROGRESS_COLUMNS, text);
    (void)fflush(stderr);
    progress_stands = true;
}

void progress_say(const char *text)
{
    if (isatty(STDERR_FILENO))
        show(text);
}

void progress_show(const char *what, uint64_t n_done, uint64_t n_total)
{
    char text[PROGRESS_COLUMNS + 1];
    int64_t ms = now_ms();

    if (!isatty(STDERR_FILENO))
        return;
    if (progress_began_ms == 0)
        progress_began_ms = ms;
    if (progress_stands && ms - progress_shown_ms < PROGRESS_INTERVAL_MS)
        return;
    progress_shown_ms = ms;
    int64_t took_ms = ms - progress_began_ms;
    int n = snprintf(text, sizeof text, "%s: %llu", what, (unsigned long long)n_done);
    if (n_total != 0)
        n += snprintf(text + n, sizeof text - (size_t)n, " of %llu (%llu %%)",
                      (unsigned long long)n_total,
                      (unsigned long long)((double)n_done * 100 / (double)n_total));
    if (took_ms >= 1000)
        (void)snprintf(text + n, sizeof text - (size_t)n, ", %llu a second",
                       (unsigned long long)((double)n_done * 1000 / (double)took_ms));
    show(text);
}

void progress_clear(void)
{
    if (!progress_stands)
        return;
    (void)fprintf(stderr, "\r%*s\r", PROGRESS_COLUMNS, "");
    (void)fflush(stderr);
    progress_stands = false;
}
