/*
 * number.c - reads numbers: integers exactly, floats and doubles rounded once.
 *
 * Owns:    nothing.
 * Threads: any. Wants the default rounding mode, to nearest.
 * Fails:   on what is no number or is out of range; looks at no locale.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "json/json_private.h"

static_assert(FLT_EVAL_METHOD == 0, "doubles are rounded after every operation");
static_assert(FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53, "IEEE 754 binary32 and binary64");

enum {
    DIGITS_MAX = 19, /* that always fit 64 bits */
    /* More digits than any point halfway between two doubles has (767), so that what comes after
     * them matters only by not being zero. */
    SLOW_DIGITS_MAX = 800,
    POWER_MAX = 64,
    EXACT_POWER_MAX = 22, /* the largest power of ten that a double holds exactly */
};

/* 10^-64 to 10^64. Only 10^0 to 10^22 are exact; the others are rounded to nearest. */
static const double powers_of_ten[2 * POWER_MAX + 1] = {
    1e-64, 1e-63, 1e-62, 1e-61, 1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55, 1e-54, 1e-53, 1e-52,
    1e-51, 1e-50, 1e-49, 1e-48, 1e-47, 1e-46, 1e-45, 1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39,
    1e-38, 1e-37, 1e-36, 1e-35, 1e-34, 1e-33, 1e-32, 1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26,
    1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13,
    1e-12, 1e-11, 1e-10, 1e-9,  1e-8,  1e-7,  1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,
    1e1,   1e2,   1e3,   1e4,   1e5,   1e6,   1e7,   1e8,   1e9,   1e10,  1e11,  1e12,  1e13,
    1e14,  1e15,  1e16,  1e17,  1e18,  1e19,  1e20,  1e21,  1e22,  1e23,  1e24,  1e25,  1e26,
    1e27,  1e28,  1e29,  1e30,  1e31,  1e32,  1e33,  1e34,  1e35,  1e36,  1e37,  1e38,  1e39,
    1e40,  1e41,  1e42,  1e43,  1e44,  1e45,  1e46,  1e47,  1e48,  1e49,  1e50,  1e51,  1e52,
    1e53,  1e54,  1e55,  1e56,  1e57,  1e58,  1e59,  1e60,  1e61,  1e62,  1e63,  1e64,
};

static inline bool is_digit(unsigned char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* How many of eight characters, the first in the lowest byte, come before one that is no digit. */
static inline unsigned count_digits(uint64_t chars)
{
    uint64_t t = chars ^ UINT64_C(0x3030303030303030);
    /* Adding 0x76 carries into the high bit from 10 on, and never into the next byte. */
    uint64_t others = (((t & UINT64_C(0x7F7F7F7F7F7F7F7F)) + UINT64_C(0x7676767676767676)) | t) &
                      UINT64_C(0x8080808080808080);

    return others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
}

/* The number that the first `n` of eight characters, 1 to 8 digits, stand for: moves them to the
 * end behind zeros, then joins neighbours to numbers of two digits, those to four, those to
 * eight. */
static inline uint64_t value_of_digits(uint64_t chars, unsigned n)
{
    uint64_t v = (chars & UINT64_C(0x0F0F0F0F0F0F0F0F)) << (64 - 8 * n);

    v = (v * 10 + (v >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
    v = (v * 100 + (v >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
    return (v * 10000 + (v >> 32)) & UINT64_C(0x00000000FFFFFFFF);
}

/* Appends digits to `value`, which wraps around when there are too many. */
static inline const unsigned char *scan_digits(const unsigned char *p, const unsigned char *end,
                                               uint64_t *value)
{
    static const uint64_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    uint64_t v = *value;

    while (end - p >= 8) {
        uint64_t chars = mni_get_u64(p);
        unsigned n = count_digits(chars);
        if (n == 0)
            goto out;
        v = v * powers[n] + value_of_digits(chars, n);
        p += n;
        if (n < 8)
            goto out;
    }
    for (; p != end && is_digit(*p); p++)
        v = v * 10 + (uint64_t)(*p - '0');
out:
    *value = v;
    return p;
}

/* The exponent at `p`, which follows the "e". Held at a bound that no run of zeros reaches, so
 * that sums with lengths do not overflow. */
static const unsigned char *scan_exponent(const unsigned char *p, const unsigned char *end,
                                          int64_t *exponent_out, const char **problem_out)
{
    const int64_t bound = INT64_C(1000000000000000000);
    int64_t exponent = 0;
    bool is_negative = false;

    if (p != end && (*p == '-' || *p == '+'))
        is_negative = *p++ == '-';
    if (p == end || !is_digit(*p)) {
        *problem_out = "expected a digit of the exponent";
        return p;
    }
    for (; p != end && is_digit(*p); p++) {
        exponent = exponent * 10 + (*p - '0');
        if (exponent > bound / 10)
            exponent = bound / 10;
    }
    *exponent_out = is_negative ? -exponent : exponent;
    return p;
}

/* Takes the digits again, more carefully, when their number may have been too large for 64 bits.
 * `p` and `end` span integer part and fraction; the exponent of the last one is known. */
static void cut_digits(const unsigned char *p, const unsigned char *end,
                       struct mni_json_decimal *decimal)
{
    int n_digits = 0;
    bool is_cut = false;
    uint64_t digits = 0;

    for (; p != end; p++) {
        if (*p == '.' || (n_digits == 0 && *p == '0'))
            continue;
        if (n_digits < DIGITS_MAX) {
            digits = digits * 10 + (uint64_t)(*p - '0');
            n_digits++;
        } else {
            decimal->exponent10++;
            is_cut = true;
        }
    }
    decimal->digits = digits;
    decimal->is_cut = is_cut;
}

const unsigned char *mni_json_scan_number(const unsigned char *p, const unsigned char *end,
                                          struct mni_json_decimal *decimal_out,
                                          const char **problem_out)
{
    uint64_t digits = 0;
    int64_t exponent10 = 0;
    bool is_negative = p != end && *p == '-';
    bool is_integer = true;

    p += is_negative ? 1 : 0;
    const unsigned char *begin = p;
    /* Most numbers in vectors have one digit before the point. */
    if (end - p >= 2 && is_digit(*p) && !is_digit(p[1]))
        digits = (uint64_t)(*p++ - '0');
    else
        p = scan_digits(p, end, &digits);
    if (p == begin) {
        *problem_out = "expected a digit";
        return p;
    }
    if (*begin == '0' && p - begin > 1) {
        *problem_out = "a number does not begin with 0";
        return begin;
    }
    if (p != end && *p == '.') {
        const unsigned char *fraction = ++p;
        p = scan_digits(p, end, &digits);
        if (p == fraction) {
            *problem_out = "expected a digit after '.'";
            return p;
        }
        exponent10 = fraction - p;
        is_integer = false;
    }
    const unsigned char *digits_end = p;
    /* At most: the point is no digit, and a zero before it does not count. */
    ptrdiff_t n_significant = p - begin - (is_integer ? 0 : 1) - (*begin == '0' ? 1 : 0);
    if (p != end && (*p | 0x20) == 'e') {
        const char *problem = NULL;
        int64_t exponent = 0;
        p = scan_exponent(p + 1, end, &exponent, &problem);
        if (problem != NULL) {
            *problem_out = problem;
            return p;
        }
        exponent10 += exponent;
        is_integer = false;
    }
    /* Field by field: a copy of the whole struct would wait for its narrow fields to be stored,
     * and this is where vectors spend their time. */
    decimal_out->digits = digits;
    decimal_out->exponent10 = exponent10;
    decimal_out->is_negative = is_negative;
    decimal_out->is_integer = is_integer;
    decimal_out->is_cut = false;
    if (n_significant > DIGITS_MAX)
        cut_digits(begin, digits_end, decimal_out);
    return p;
}

/* Writes the number to `out` as digits and exponent, without a point, which is the only part of a
 * number that strtod takes from the locale. */
static void print_for_strtod(const struct mni_json_decimal *decimal, struct mn_slice text,
                             char out[SLOW_DIGITS_MAX + 32])
{
    const char *p = text.data;
    const char *end = p + text.n_bytes;
    int64_t exponent = decimal->exponent10;
    int n_digits = 0;
    bool has_rest = false;
    char *at = out;

    for (; p != end && *p != 'e' && *p != 'E'; p++) {
        if (!is_digit((unsigned char)*p) || (n_digits == 0 && *p == '0'))
            continue;
        if (n_digits == SLOW_DIGITS_MAX) {
            has_rest = has_rest || *p != '0';
            continue;
        }
        *at++ = *p;
        n_digits++;
        exponent -= n_digits > DIGITS_MAX ? 1 : 0;
    }
    if (has_rest) {
        *at++ = '1';
        exponent--;
    }
    /* Beyond these the value is zero or infinite whatever the digits are. */
    const int64_t bound = 10000;
    exponent = exponent > bound ? bound : exponent < -bound ? -bound : exponent;
    MNI_CHECK(n_digits > 0);
    (void)snprintf(at, 16, "e%d", (int)exponent);
}

static bool round_float_slowly(const struct mni_json_decimal *decimal, struct mn_slice text,
                               float *value_out)
{
    char copy[SLOW_DIGITS_MAX + 32];
    int saved_errno = errno;

    print_for_strtod(decimal, text, copy);
    float value = strtof(copy, NULL);
    errno = saved_errno;
    *value_out = decimal->is_negative ? -value : value;
    return isfinite(value);
}

static bool round_double_slowly(const struct mni_json_decimal *decimal, struct mn_slice text,
                                double *value_out)
{
    char copy[SLOW_DIGITS_MAX + 32];
    int saved_errno = errno;

    print_for_strtod(decimal, text, copy);
    double value = strtod(copy, NULL);
    errno = saved_errno;
    *value_out = decimal->is_negative ? -value : value;
    return isfinite(value);
}

/*
 * A double computed from the digits is off by less than 4 of its units: the digits, the power of
 * ten and their product are each rounded once, and cut digits weigh next to nothing.
 * Rounding it again, to float, gives the right float unless a point halfway between two floats
 * lies within that error. Such points are doubles whose last 29 bits are a one and zeros.
 */
bool mni_json_decimal_to_float(const struct mni_json_decimal *decimal, struct mn_slice text,
                               float *value_out)
{
    const uint32_t halfway = UINT32_C(1) << 28;
    const uint32_t margin = 16;
    int64_t exponent = decimal->exponent10;
    double value = (double)decimal->digits;
    uint64_t bits;

    if (decimal->digits == 0) {
        *value_out = decimal->is_negative ? -0.0F : 0.0F;
        return true;
    }
    if (exponent < -POWER_MAX || exponent > POWER_MAX)
        return round_float_slowly(decimal, text, value_out);
    value *= powers_of_ten[POWER_MAX + exponent];
    memcpy(&bits, &value, sizeof bits);
    uint32_t tail = (uint32_t)bits & ((UINT32_C(1) << 29) - 1);
    /* Floats below FLT_MIN have fewer bits: their halfway points look different. */
    if (tail - (halfway - margin) <= 2 * margin || value < (double)FLT_MIN ||
        value > (double)FLT_MAX)
        return round_float_slowly(decimal, text, value_out);
    *value_out = (float)(decimal->is_negative ? -value : value);
    return true;
}

bool mni_json_decimal_to_double(const struct mni_json_decimal *decimal, struct mn_slice text,
                                double *value_out)
{
    int64_t exponent = decimal->exponent10;
    double value = (double)decimal->digits;

    if (decimal->digits == 0) {
        *value_out = decimal->is_negative ? -0.0 : 0.0;
        return true;
    }
    /* Both operands are exact, so the one operation rounds right. */
    bool is_exact = decimal->digits <= UINT64_C(1) << 53 && !decimal->is_cut;
    if (!is_exact || exponent < -EXACT_POWER_MAX || exponent > EXACT_POWER_MAX)
        return round_double_slowly(decimal, text, value_out);
    if (exponent < 0)
        value /= powers_of_ten[POWER_MAX - exponent];
    else
        value *= powers_of_ten[POWER_MAX + exponent];
    *value_out = decimal->is_negative ? -value : value;
    return true;
}

/* Scans all of `text` as one number. */
static bool scan_whole(struct mn_slice text, struct mni_json_decimal *decimal_out)
{
    const unsigned char *p = text.data;
    const char *problem = NULL;

    if (text.n_bytes == 0)
        return false;
    const unsigned char *stop = mni_json_scan_number(p, p + text.n_bytes, decimal_out, &problem);
    return problem == NULL && stop == p + text.n_bytes;
}

/* The digits of an integer without its sign. */
static bool parse_magnitude(struct mn_slice text, uint64_t *magnitude_out, bool *is_negative_out)
{
    struct mni_json_decimal decimal;
    const unsigned char *p = text.data;
    uint64_t magnitude = 0;

    if (!scan_whole(text, &decimal) || !decimal.is_integer)
        return false;
    for (size_t i = decimal.is_negative ? 1 : 0; i < text.n_bytes; i++) {
        if (__builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(p[i] - '0'), &magnitude))
            return false;
    }
    *magnitude_out = magnitude;
    *is_negative_out = decimal.is_negative;
    return true;
}

bool mni_json_parse_u64(struct mn_slice text, uint64_t *value_out)
{
    uint64_t magnitude;
    bool is_negative;

    if (!parse_magnitude(text, &magnitude, &is_negative) || is_negative)
        return false;
    *value_out = magnitude;
    return true;
}

bool mni_json_parse_i64(struct mn_slice text, int64_t *value_out)
{
    uint64_t magnitude;
    bool is_negative;

    if (!parse_magnitude(text, &magnitude, &is_negative))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (is_negative ? 1 : 0))
        return false;
    /* Negating as unsigned is defined for INT64_MIN too. */
    *value_out = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}

bool mni_json_parse_double(struct mn_slice text, double *value_out)
{
    struct mni_json_decimal decimal;
    double value;

    if (!scan_whole(text, &decimal) || !mni_json_decimal_to_double(&decimal, text, &value))
        return false;
    *value_out = value;
    return true;
}

bool mni_json_parse_float(struct mn_slice text, float *value_out)
{
    struct mni_json_decimal decimal;
    float value;

    if (!scan_whole(text, &decimal) || !mni_json_decimal_to_float(&decimal, text, &value))
        return false;
    *value_out = value;
    return true;
}
