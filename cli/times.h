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

/* The same for the years 1 to 9999 of the Gregorian calendar, before it was used too. */
bool time_parse_any(const char *text, int64_t *us_out);

/* The shortest text of RFC 3339 that time_parse_any reads back, in UTC: with as many decimals of a
 * second as there are. Beyond the years 1 to 9999 the number of microseconds. */
enum { TIME_TEXT_BYTES = 32 };
const char *time_format(int64_t us, char text[TIME_TEXT_BYTES]);

#endif
