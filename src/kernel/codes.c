/*
 * codes.c - vectors as small whole numbers, and how far these are from them.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never; what has no code has an infinite rest.
 */
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"

enum { LEVEL = 127 };

#define MAGNITUDE_MIN 0x1p-50F
#define MAGNITUDE_MAX 0x1p50F

/* The scale, or 0 when the vector is all zeroes; negative when it has no code. */
static float choose_scale(const float *vector, size_t n_dims)
{
    float max = 0;
    float sum = 0; /* NaN as soon as one element is infinite or NaN */

    for (size_t i = 0; i < n_dims; i++) {
        max = fmaxf(max, fabsf(vector[i]));
        sum += vector[i] * 0;
    }
    if (isnan(sum) || max > MAGNITUDE_MAX || (max > 0 && max < MAGNITUDE_MIN))
        return -1;
    return max / LEVEL;
}

/* A double, which holds squares of floats, has rounding errors far below what is added here. */
static float length_rounded_up(double sum_of_squares)
{
    return nextafterf((float)(sqrt(sum_of_squares) * (1 + 1e-9)), INFINITY);
}

/* The code of an element: the nearest whole number, which rounding may put beyond the level. */
static int code_of(float element, double inverse)
{
    long code = lrint(element * inverse);

    return (int)(code > LEVEL ? LEVEL : code < -LEVEL ? -LEVEL : code);
}

static double square_of_rest(float element, float scale, int code)
{
    double rest = (double)element - (double)scale * code;

    return rest * rest;
}

void mni_quantise_row(const float *row, size_t n_dims, int8_t *codes_out,
                      struct mni_code_scale *scale_out)
{
    float scale = choose_scale(row, n_dims);
    double inverse = scale > 0 ? 1 / (double)scale : 0;
    double sum = 0;

    memset(codes_out, 0, mni_row_code_bytes(n_dims));
    if (scale < 0) {
        *scale_out = (struct mni_code_scale){0, INFINITY};
        return;
    }
    for (size_t i = 0; i < n_dims; i++) {
        int code = code_of(row[i], inverse);

        codes_out[i] = (int8_t)code;
        sum += square_of_rest(row[i], scale, code);
    }
    *scale_out = (struct mni_code_scale){scale, sum == 0 ? 0 : length_rounded_up(sum)};
}

void mni_quantise_query(const float *query, size_t n_dims, int8_t *codes_out,
                        struct mni_code_scale *scale_out)
{
    int32_t sum = 0;

    mni_quantise_row(query, n_dims, codes_out, scale_out);
    for (size_t i = 0; i < n_dims; i++)
        sum += codes_out[i];
    sum *= 128;
    memcpy(codes_out + mni_row_code_bytes(n_dims), &sum, sizeof sum);
}

void mni_sign_bits(const float *vector, size_t n_dims, uint64_t *words_out)
{
    for (size_t i = 0; i < n_dims; i += MNI_SIGN_WORD_BITS) {
        size_t n = n_dims - i < MNI_SIGN_WORD_BITS ? n_dims - i : (size_t)MNI_SIGN_WORD_BITS;
        uint64_t word = 0;

        for (size_t j = 0; j < n; j++)
            word |= (uint64_t)(vector[i + j] > 0) << j;
        words_out[i / MNI_SIGN_WORD_BITS] = word;
    }
}
