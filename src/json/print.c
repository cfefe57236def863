/*
 * print.c - prints floats and doubles with the shortest digits that read back.
 *
 * Owns:    nothing.
 * Threads: any. Wants the default rounding mode, to nearest.
 * Fails:   never; the caller has made sure that the number is finite.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "json/json_private.h"

enum {
    FLOAT_DIGITS_MAX = 9, /* that always read back */
    DOUBLE_DIGITS_MAX = 17,
    DOUBLE_DIGITS_KEPT = 15, /* that survive being stored in a normal double */
    /* First digits from 10^-5 to 10^15 are printed without an exponent. */
    FIXED_MIN = -5,
    FIXED_MAX = 15,
};

/* digits * 10^exponent10, positive. */
struct digits {
    uint64_t digits;
    int exponent10;
};

static char *copy_zeros(char *p, int n)
{
    memset(p, '0', (size_t)n);
    return p + n;
}

/* Writes the number the way people do. The digits are not 0. */
static size_t write_digits(struct digits number, bool is_negative, char *out)
{
    char digits[24];
    int n = 0;
    char *p = out;
    uint64_t rest = number.digits;
    int exponent = number.exponent10;

    MNI_CHECK(rest != 0);
    for (; rest % 10 == 0; rest /= 10)
        exponent++;
    for (; rest != 0; rest /= 10)
        digits[sizeof digits - (size_t)++n] = (char)('0' + rest % 10);
    const char *first = digits + sizeof digits - n;
    int first_exponent = exponent + n - 1;
    if (is_negative)
        *p++ = '-';
    if (first_exponent >= FIXED_MIN && first_exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        p = copy_zeros(p, -first_exponent - 1);
        memcpy(p, first, (size_t)n);
        return (size_t)(p + n - out);
    }
    bool is_fixed = first_exponent >= 0 && first_exponent <= FIXED_MAX;
    int n_before = !is_fixed ? 1 : first_exponent + 1 < n ? first_exponent + 1 : n;
    memcpy(p, first, (size_t)n_before);
    p += n_before;
    if (n_before < n) {
        *p++ = '.';
        memcpy(p, first + n_before, (size_t)(n - n_before));
        p += n - n_before;
    }
    if (is_fixed)
        p = copy_zeros(p, exponent > 0 ? exponent : 0);
    else
        p += snprintf(p, 8, "e%d", first_exponent);
    return (size_t)(p - out);
}

/* `n_digits` digits of a positive number, rounded right by the C library; and as JSON text. */
static struct digits round_to_digits(double value, int n_digits, char text[48])
{
    char printed[48];
    struct digits number = {0};
    const char *p = printed;

    (void)snprintf(printed, sizeof printed, "%.*e", n_digits - 1, value);
    /* Between the first two digits stands what the locale takes for a point. */
    for (; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9')
            number.digits = number.digits * 10 + (uint64_t)(*p - '0');
    }
    bool is_negative = *++p == '-';
    for (p++; *p != '\0'; p++)
        number.exponent10 = number.exponent10 * 10 + (*p - '0');
    number.exponent10 = (is_negative ? -number.exponent10 : number.exponent10) - (n_digits - 1);
    (void)snprintf(text, 48, "%llue%d", (unsigned long long)number.digits, number.exponent10);
    return number;
}

/* Tries one number of digits after the other. */
static struct digits shortest_slowly(float value)
{
    struct digits number = {0};
    char text[48];

    for (int n = 1; n <= FLOAT_DIGITS_MAX; n++) {
        float back;
        number = round_to_digits((double)value, n, text);
        if (mni_json_parse_float(mn_str(text), &back) && back == value)
            break;
    }
    return number;
}

static double power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* value * 10^exponent10, off by 2 units of the last place at most. */
static double scale(double value, int exponent10)
{
    static const double powers[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
        1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27,
        1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41,
        1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54,
    };

    MNI_CHECK(exponent10 < (int)(sizeof powers / sizeof powers[0]));
    MNI_CHECK(-exponent10 < (int)(sizeof powers / sizeof powers[0]));
    return exponent10 < 0 ? value / powers[-exponent10] : value * powers[exponent10];
}

/* A float scaled to nine digits before the point, and how far a decimal may lie from it. */
struct scaled {
    double value;      /* 10^8 to 10^9; off by less than 10^-6 */
    double reach_up;   /* half the gap to the next float */
    double reach_down; /* and to the one before */
    int exponent10;    /* of the ninth digit */
};

static struct scaled scale_float(float value)
{
    struct scaled scaled;
    uint32_t bits;
    uint64_t double_bits;
    double d = (double)value;

    memcpy(&bits, &value, sizeof bits);
    memcpy(&double_bits, &d, sizeof double_bits);
    int exponent2 = (int)(double_bits >> 52 & 0x7FF) - 1023;
    /* The decimal exponent of 2^exponent2, rounded down: that of `value` or one less. */
    int k = (exponent2 * 78913 + (4096 << 18)) / (1 << 18) - 4096;
    scaled.value = scale(d, 8 - k);
    if (scaled.value >= 1e9) {
        k++;
        scaled.value = scale(d, 8 - k);
    }
    int float_exponent = (int)(bits >> 23);
    double half_gap = power_of_two((float_exponent == 0 ? 1 : float_exponent) - 151);
    bool is_power_of_two = (bits & 0x7FFFFF) == 0 && float_exponent > 1;
    scaled.reach_up = scale(half_gap, 8 - k);
    scaled.reach_down = is_power_of_two ? scaled.reach_up / 2 : scaled.reach_up;
    scaled.exponent10 = k - 8;
    return scaled;
}

/*
 * Rounds the value to ever fewer digits for as long as the result lies nearer to it than to any
 * other float. The arithmetic is inexact, so whatever is as close as its error to a border, or to
 * the middle between two decimals, is left to shortest_slowly: false.
 */
static bool shortest_quickly(float value, struct digits *number_out)
{
    const double doubt = 1.0 / 65536;
    struct scaled scaled = scale_float(value);
    uint32_t whole = (uint32_t)scaled.value;
    double fraction = scaled.value - (double)whole;
    uint32_t best = whole + (fraction > 0.5 ? 1 : 0);

    if (fabs(fraction - 0.5) < doubt)
        return false;
    for (uint32_t step = 10; step <= 100000000; step *= 10) {
        uint32_t rest = whole % step;
        double below = (double)rest + fraction;
        double above = (double)(step - rest) - fraction;
        bool is_below = below < above;
        double distance = is_below ? below : above;
        double reach = is_below ? scaled.reach_down : scaled.reach_up;
        if (distance > scaled.reach_up + doubt)
            break;
        if (fabs(distance - reach) < doubt)
            return false;
        if (distance > reach)
            continue;
        if (fabs(below - above) < doubt)
            return false;
        best = whole - rest + (is_below ? 0 : step);
    }
    *number_out = (struct digits){best, scaled.exponent10};
    return true;
}

static size_t write_zero(bool is_negative, char *out)
{
    /* "-0" is an integer for many readers, and then it has no sign. */
    memcpy(out, is_negative ? "-0.0" : "0", is_negative ? 4 : 1);
    return is_negative ? 4 : 1;
}

size_t mni_json_print_float(float value, char out[MNI_JSON_FLOAT_CHARS_MAX])
{
    struct digits number;
    bool is_negative = signbit(value) != 0;
    float magnitude = fabsf(value);

    MNI_CHECK(isfinite(value));
    if (value == 0)
        return write_zero(is_negative, out);
    if (!shortest_quickly(magnitude, &number))
        number = shortest_slowly(magnitude);
    return write_digits(number, is_negative, out);
}

size_t mni_json_print_double(double value, char out[MNI_JSON_DOUBLE_CHARS_MAX])
{
    struct digits number = {0};
    bool is_negative = signbit(value) != 0;
    double magnitude = fabs(value);
    char text[48];

    MNI_CHECK(isfinite(value));
    if (value == 0)
        return write_zero(is_negative, out);
    if (magnitude < 1e15 && magnitude == (double)(uint64_t)magnitude)
        return write_digits((struct digits){(uint64_t)magnitude, 0}, is_negative, out);
    for (int n = magnitude < DBL_MIN ? 1 : DOUBLE_DIGITS_KEPT; n <= DOUBLE_DIGITS_MAX; n++) {
        double back;
        number = round_to_digits(magnitude, n, text);
        if (mni_json_parse_double(mn_str(text), &back) && back == magnitude)
            break;
    }
    return write_digits(number, is_negative, out);
}
