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
    POWERS = 65,
    EXACT_POWER_MAX = 22, /* the largest power of ten that a double holds exactly */
};

/* Beyond 10^22 these are rounded to nearest. */
static const double power_of_ten[POWERS] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12,
    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25,
    1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38,
    1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51,
    1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60, 1e61, 1e62, 1e63, 1e64,
};

static inline bool is_digit(unsigned char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Eight characters, the first in the lowest byte. */
static inline bool are_eight_digits(uint64_t chars)
{
    uint64_t high = chars & UINT64_C(0xF0F0F0F0F0F0F0F0);
    uint64_t high_plus_6 = (chars + UINT64_C(0x0606060606060606)) & UINT64_C(0xF0F0F0F0F0F0F0F0);

    return (high ^ UINT64_C(0x3030303030303030)) == 0 && high == high_plus_6;
}

/* Their value: joins neighbours to numbers of two digits, those to four, those to eight. */
static inline uint64_t value_of_eight_digits(uint64_t chars)
{
    uint64_t v = chars & UINT64_C(0x0F0F0F0F0F0F0F0F);

    v = (v * 10 + (v >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
    v = (v * 100 + (v >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
    return (v * 10000 + (v >> 32)) & UINT64_C(0x00000000FFFFFFFF);
}

/* Appends digits to `value`, which wraps around when there are too many. */
static inline const unsigned char *scan_digits(const unsigned char *p, const unsigned char *end,
                                               uint64_t *value)
{
    uint64_t v = *value;

    while (end - p >= 8) {
        uint64_t chars = mni_get_u64(p);
        if (!are_eight_digits(chars))
            break;
        v = v * 100000000 + value_of_eight_digits(chars);
        p += 8;
    }
    for (; p != end && is_digit(*p); p++)
        v = v * 10 + (uint64_t)(*p - '0');
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

static inline const unsigned char *scan_fraction(const unsigned char *p, const unsigned char *end,
                                                 struct mni_json_decimal *decimal,
                                                 const char **problem_out)
{
    const unsigned char *begin = p;

    p = scan_digits(p, end, &decimal->digits);
    if (p == begin)
        *problem_out = "expected a digit after '.'";
    decimal->exponent10 = begin - p;
    decimal->is_integer = false;
    return p;
}

const unsigned char *mni_json_scan_number(const unsigned char *p, const unsigned char *end,
                                          struct mni_json_decimal *decimal_out,
                                          const char **problem_out)
{
    struct mni_json_decimal decimal = {.is_integer = true};
    const char *problem = NULL;

    if (p != end && *p == '-') {
        decimal.is_negative = true;
        p++;
    }
    const unsigned char *begin = p;
    p = scan_digits(p, end, &decimal.digits);
    if (p == begin) {
        *problem_out = "expected a digit";
        return p;
    }
    if (*begin == '0' && p - begin > 1) {
        *problem_out = "a number does not begin with 0";
        return begin;
    }
    if (p != end && *p == '.')
        p = scan_fraction(p + 1, end, &decimal, &problem);
    const unsigned char *digits_end = p;
    if (problem == NULL && p != end && (*p == 'e' || *p == 'E')) {
        int64_t exponent = 0;
        p = scan_exponent(p + 1, end, &exponent, &problem);
        decimal.exponent10 += exponent;
        decimal.is_integer = false;
    }
    if (problem != NULL) {
        *problem_out = problem;
        return p;
    }
    if (digits_end - begin > DIGITS_MAX)
        cut_digits(begin, digits_end, &decimal);
    *decimal_out = decimal;
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
 * ten and their product or quotient are each rounded once, and cut digits weigh next to nothing.
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
    if (exponent <= -POWERS || exponent >= POWERS)
        return round_float_slowly(decimal, text, value_out);
    if (exponent < 0)
        value /= power_of_ten[-exponent];
    else
        value *= power_of_ten[exponent];
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
        value /= power_of_ten[-exponent];
    else
        value *= power_of_ten[exponent];
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
