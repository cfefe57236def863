/*
 * stop.h - Ctrl-C: SIGINT and SIGTERM.
 *
 * A command that writes is asked to stop, and does so between two batches. A command that only
 * reads has nothing to finish and ends at once.
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <stdbool.h>

/* Catches both signals; until stop_gently they end the process with EXIT_CODE_STOPPED. */
bool stop_init(void);

/* From now on they end the process at once, which then says this behind "stopped". */
void stop_says(const char *what);

/* A file that is removed when they end the process; NULL: none. Borrowed until the next call. */
void stop_removes(const char *path);

/* From now on they only make stop_asked() true. */
void stop_gently(void);
/* From now on they end the process again; at once, if one came meanwhile. */
void stop_at_once(void);

bool stop_asked(void); /* any thread */

/* Waits until `fd` has input, or is at its end, or the process is asked to stop: false then. */
bool stop_wait_input(int fd);

#endif
