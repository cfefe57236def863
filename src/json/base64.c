/*
 * base64.c - bytes as text, RFC 4648 section 4, and strictly back.
 *
 * Owns:    nothing; writes into buffers of the caller.
 * Threads: any.
 * Fails:   MN_ERR_INVALID on what an encoder never writes; MN_ERR_LIMIT on a buffer too small.
 */
#include "base/check.h"
#include "json/json.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mni_base64_encode(const void *bytes, size_t n, char *out)
{
    const unsigned char *p = bytes;
    size_t i = 0;

    MNI_CHECK(n <= SIZE_MAX / 2);
    for (; n - i >= 3; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = alphabet[group >> 6 & 63];
        *out++ = alphabet[group & 63];
    }
    if (i == n)
        return;
    bool has_two = n - i == 2;
    uint32_t group = (uint32_t)p[i] << 16 | (has_two ? (uint32_t)p[i + 1] << 8 : 0);
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    *out++ = has_two ? alphabet[group >> 6 & 63] : '=';
    *out++ = '=';
}

/* Value of each character plus 1; 0: not of the alphabet. */
static const unsigned char value_plus_1[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Joins `n_chars` characters to 6 bits each; sets `n_good_out` to how many come before the first
 * that is not of the alphabet. */
static uint32_t join(const unsigned char *p, size_t n_chars, size_t *n_good_out)
{
    uint32_t group = 0;
    size_t i = 0;

    for (; i < n_chars && value_plus_1[p[i]] != 0; i++)
        group = group << 6 | (value_plus_1[p[i]] - 1U);
    *n_good_out = i;
    return group;
}

static mn_status fail_at(struct mn_error *err, size_t offset, const char *problem)
{
    return mni_fail(err, MN_ERR_INVALID, "base64: %s at character %zu", problem, offset);
}

mn_status mni_base64_decode(struct mn_slice text, void *out, size_t capacity, size_t *n_bytes_out,
                            struct mn_error *err)
{
    const unsigned char *p = text.data;
    unsigned char *to = out;
    size_t n = text.n_bytes;
    size_t n_good;
    size_t i = 0;

    if (n % 4 != 0)
        return fail_at(err, n, "the last group has less than four characters");
    size_t n_padding = n == 0 || p[n - 1] != '=' ? 0 : p[n - 2] != '=' ? 1 : 2;
    size_t n_bytes = n / 4 * 3 - n_padding;
    if (n_bytes > capacity)
        return mni_fail(err, MN_ERR_LIMIT, "base64: more than %zu bytes", capacity);
    size_t n_whole = n_padding == 0 ? n : n - 4;
    for (; i < n_whole; i += 4) {
        uint32_t group = join(p + i, 4, &n_good);
        if (n_good != 4)
            return fail_at(err, i + n_good, "a character that does not belong there");
        *to++ = (unsigned char)(group >> 16);
        *to++ = (unsigned char)(group >> 8);
        *to++ = (unsigned char)group;
    }
    if (n_padding > 0) {
        uint32_t group = join(p + i, 4 - n_padding, &n_good);
        if (n_good != 4 - n_padding)
            return fail_at(err, i + n_good, "a character that does not belong there");
        group <<= 6 * n_padding;
        if ((group & (n_padding == 1 ? 0xFFU : 0xFFFFU)) != 0)
            return fail_at(err, i + n_good - 1, "unused bits that are not zero");
        *to++ = (unsigned char)(group >> 16);
        if (n_padding == 1)
            *to++ = (unsigned char)(group >> 8);
    }
    *n_bytes_out = n_bytes;
    return MN_OK;
}
