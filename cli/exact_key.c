/*
 * exact_key.c - the exact key of an entry of the cache, as 64 hexadecimal digits.
 *
 * Owns:    nothing; writes into the caller's memory.
 * Threads: any.
 * Fails:   when the text is not such a key.
 */
#include "exact_key.h"

#include <stdio.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool exact_key_parse(struct mn_slice text, unsigned char key_out[MN_SEMCACHE_KEY_BYTES])
{
    const char *digits = text.data;

    if (text.n_bytes != KEY_TEXT_BYTES - 1)
        return false;
    for (size_t i = 0; i < MN_SEMCACHE_KEY_BYTES; i++) {
        int high = digit_of(digits[2 * i]);
        int low = digit_of(digits[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key_out[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

const char *exact_key_format(const unsigned char key[MN_SEMCACHE_KEY_BYTES],
                             char text[KEY_TEXT_BYTES])
{
    for (size_t i = 0; i < MN_SEMCACHE_KEY_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", key[i]);
    return text;
}
