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

/* Seconds with up to six decimals, without trailing zeroes; seconds_parse reads the same
 * microsecond back. */
enum { SECONDS_TEXT_BYTES = 32 };
struct mn_slice seconds_format(int64_t us, char text[SECONDS_TEXT_BYTES]);

#endif
