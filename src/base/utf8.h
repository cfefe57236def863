/*
 * utf8.h - validation of UTF-8 (RFC 3629).
 */
#ifndef MNI_BASE_UTF8_H
#define MNI_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Number of leading bytes that are whole, valid characters: `n` when all of them are. Overlong
 * forms, surrogates and code points above U+10FFFF are invalid. */
size_t mni_utf8_valid_prefix(const void *text, size_t n);

static inline bool mni_utf8_is_valid(const void *text, size_t n)
{
    return mni_utf8_valid_prefix(text, n) == n;
}

#endif
