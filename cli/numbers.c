/*
 * numbers.c - numbers as people read them.
 *
 * Owns:    nothing; writes into the caller's text.
 * Threads: any.
 * Fails:   never.
 */
#include "numbers.h"

#include <stdio.h>
#include <string.h>

const char *number_text(uint64_t number, bool is_human, char text[NUMBER_TEXT_BYTES])
{
    char digits[NUMBER_TEXT_BYTES];
    size_t n = 0;

    int n_digits = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    for (int i = 0; i < n_digits; i++) {
        if (is_human && i > 0 && (n_digits - i) % 3 == 0)
            text[n++] = ',';
        text[n++] = digits[i];
    }
    text[n] = '\0';
    return text;
}

const char *bytes_text(uint64_t n_bytes, char text[NUMBER_TEXT_BYTES])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = (double)n_bytes / 1024;
    size_t unit = 0;

    if (n_bytes < 1024) {
        (void)snprintf(text, NUMBER_TEXT_BYTES, "%llu bytes", (unsigned long long)n_bytes);
        return text;
    }
    while (size >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        size /= 1024;
        unit++;
    }
    (void)snprintf(text, NUMBER_TEXT_BYTES, "%.1f %s", size, units[unit]);
    return text;
}
