/*
 * utf8.c - validation of UTF-8, table 3-7 of the Unicode Standard.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never; reads only the given bytes.
 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_tail(unsigned char b)
{
    return (b & 0xC0) == 0x80;
}

/* Length of the valid character at `p`, or 0. */
static size_t char_bytes(const unsigned char *p, size_t n)
{
    unsigned char b = p[0];

    if (b < 0x80)
        return 1;
    if (b < 0xC2 || b > 0xF4 || n < 2)
        return 0;
    if (b < 0xE0)
        return is_tail(p[1]) ? 2 : 0;
    if (b < 0xF0) {
        unsigned char low = b == 0xE0 ? 0xA0 : 0x80;
        unsigned char high = b == 0xED ? 0x9F : 0xBF;
        return n >= 3 && p[1] >= low && p[1] <= high && is_tail(p[2]) ? 3 : 0;
    }
    unsigned char low = b == 0xF0 ? 0x90 : 0x80;
    unsigned char high = b == 0xF4 ? 0x8F : 0xBF;
    return n >= 4 && p[1] >= low && p[1] <= high && is_tail(p[2]) && is_tail(p[3]) ? 4 : 0;
}

size_t mni_utf8_valid_prefix(const void *text, size_t n)
{
    const unsigned char *p = text;
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        if (n - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t len = char_bytes(p + i, n - i);
        if (len == 0)
            return i;
        i += len;
    }
    return n;
}
