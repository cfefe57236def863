/*
 * numbers.h - numbers as people read them.
 */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

enum { NUMBER_TEXT_BYTES = 32 };

/* "1398", or "1,398" when `is_human`. Writes into `text` and returns it. */
const char *number_text(uint64_t number, bool is_human, char text[NUMBER_TEXT_BYTES]);

/* "12.3 MiB". */
const char *bytes_text(uint64_t n_bytes, char text[NUMBER_TEXT_BYTES]);

#endif
