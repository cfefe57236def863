/*
 * seconds.h - seconds as decimal text, microseconds as integers, exactly.
 */
#ifndef CLI_SECONDS_H
#define CLI_SECONDS_H

#include <stdbool.h>
#include <stdint.h>

#include "mneme/types.h"

/* Microseconds of a JSON number of seconds, rounded to the nearest (halves away from zero). False:
 * beyond 64 bits. `number` is a JSON number. */
bool seconds_parse(struct mn_slice number, int64_t *us_out);

/* Whether the JSON number is below 0, however little. */
bool seconds_is_negative(struct mn_slice number);

/* Microseconds of a duration: a number with s, m, h, d or w behind it; seconds without. False: it
 * is none, below 0, or beyond 64 bits. */
bool seconds_parse_duration(const char *text, int64_t *us_out);

/* The same as text, in the greatest unit that makes it whole; seconds have up to six decimals.
 * seconds_parse_duration reads the same back. `us` is not below 0. */
enum { DURATION_TEXT_BYTES = 32 };
const char *seconds_format_duration(int64_t us, char text[DURATION_TEXT_BYTES]);

/* Seconds with up to six decimals, without trailing zeroes; seconds_parse reads the same
 * microsecond back. */
enum { SECONDS_TEXT_BYTES = 32 };
struct mn_slice seconds_format(int64_t us, char text[SECONDS_TEXT_BYTES]);

#endif
