/*
 * half.c - IEEE 754 binary16 to float and back.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   a finite float that is too large for a half is told to the caller.
 */
#include <string.h>

#include "kernel/kernel.h"

/* binary16: 1 sign, 5 exponent (bias 15), 10 fraction; binary32: 1, 8 (bias 127), 23. */
enum {
    HALF_SIGN = 0x8000,
    HALF_INFINITY = 0x7C00,
    HALF_QUIET = 0x0200,
    HALF_FRACTION_BITS = 10,
    FRACTION_SHIFT = 13, /* 23 - 10 */
    BIAS_DIFFERENCE = 112,
};

static uint32_t widen(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & HALF_SIGN) << 16;
    uint32_t exponent = (half & HALF_INFINITY) >> HALF_FRACTION_BITS;
    uint32_t fraction = half & 0x3FF;

    if (exponent == 31)
        return sign | 0x7F800000 | fraction << FRACTION_SHIFT;
    if (exponent > 0)
        return sign | (exponent + BIAS_DIFFERENCE) << 23 | fraction << FRACTION_SHIFT;
    if (fraction == 0)
        return sign;
    /* a subnormal half is a normal float: its highest bit becomes the implicit one */
    int shift = __builtin_clz(fraction) - 21;

    return sign | (uint32_t)(BIAS_DIFFERENCE + 1 - shift) << 23 |
           (fraction << (shift + FRACTION_SHIFT) & 0x7FFFFF);
}

/* Drops `n_bits` low bits: to nearest, ties to even. */
static uint32_t round_off(uint32_t value, unsigned n_bits)
{
    uint32_t half = (uint32_t)1 << (n_bits - 1);
    uint32_t rest = value & (2 * half - 1);
    uint32_t kept = value >> n_bits;

    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

static uint16_t narrow(uint32_t bits)
{
    uint16_t sign = (uint16_t)(bits >> 16 & HALF_SIGN);
    uint32_t exponent = bits >> 23 & 0xFF;
    uint32_t fraction = bits & 0x7FFFFF;

    if (exponent == 0xFF && fraction != 0) /* a NaN stays one, also when its low bits go */
        return (uint16_t)(sign | HALF_INFINITY | HALF_QUIET | fraction >> FRACTION_SHIFT);
    if (exponent >= BIAS_DIFFERENCE + 31)
        return (uint16_t)(sign | HALF_INFINITY);
    if (exponent > BIAS_DIFFERENCE) {
        /* rounding up may carry into the exponent, up to infinity: both are right */
        uint32_t value = (exponent - BIAS_DIFFERENCE) << 23 | fraction;

        return (uint16_t)(sign | round_off(value, FRACTION_SHIFT));
    }
    if (exponent < BIAS_DIFFERENCE - 10) /* below half of the smallest subnormal */
        return sign;
    return (uint16_t)(sign | round_off(fraction | 0x800000,
                                       FRACTION_SHIFT + 1 + (BIAS_DIFFERENCE - exponent)));
}

void mni_f16_to_f32(const uint16_t *halves, size_t n, float *floats_out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = widen(halves[i]);

        memcpy(&floats_out[i], &bits, sizeof bits);
    }
}

bool mni_f16_from_f32(const float *floats, size_t n, uint16_t *halves_out, size_t *n_fit_out)
{
    *n_fit_out = n;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &floats[i], sizeof bits);
        halves_out[i] = narrow(bits);
        if ((halves_out[i] & ~HALF_SIGN) == HALF_INFINITY && (bits & 0x7F800000) != 0x7F800000 &&
            *n_fit_out == n)
            *n_fit_out = i;
    }
    return *n_fit_out == n;
}
