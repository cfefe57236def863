/*
 * times.h - times of the wall clock as text, after RFC 3339.
 */
#ifndef CLI_TIMES_H
#define CLI_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* Microseconds since 1970 of a text such as 2026-11-21T08:30:00.25Z or 2026-11-21 09:30:00+01:00;
 * digits behind the sixth decimal are cut. The years 1970 to 9999. False: it is none. */
bool time_parse(const char *text, int64_t *us_out);

#endif
