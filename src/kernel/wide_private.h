/*
 * wide_private.h - sums in double, the same source for every set of kernels: it is compiled with
 * the flags of each. Lanes are what registers hold, so that the sets differ in nothing but speed.
 */
#ifndef MNI_KERNEL_WIDE_PRIVATE_H
#define MNI_KERNEL_WIDE_PRIVATE_H

#include <stdbool.h>
#include <string.h>

#include "kernel/kernel.h"

#if defined(__AVX512F__)
#define WIDE_BYTES 64
#elif defined(__AVX__)
#define WIDE_BYTES 32
#else
#define WIDE_BYTES 16
#endif

typedef double wide_doubles __attribute__((vector_size(WIDE_BYTES)));
typedef float wide_floats __attribute__((vector_size(WIDE_BYTES / 2)));

enum {
    WIDE_LANES = MNI_KERNEL_WIDE_LANES,
    WIDE_PARTS = WIDE_LANES * sizeof(double) / WIDE_BYTES,
};

struct wide_lanes {
    wide_doubles part[WIDE_PARTS];
};

#define WIDE_INLINE static inline __attribute__((always_inline))

WIDE_INLINE void wide_load(size_t element_bytes, const char *from, struct wide_lanes *lanes_out)
{
    for (size_t i = 0; i < WIDE_PARTS; i++) {
        wide_floats floats;

        if (element_bytes == sizeof(float)) {
            memcpy(&floats, from + i * sizeof floats, sizeof floats);
            lanes_out->part[i] = __builtin_convertvector(floats, wide_doubles);
        } else {
            memcpy(&lanes_out->part[i], from + i * sizeof(wide_doubles), sizeof(wide_doubles));
        }
    }
}

WIDE_INLINE void wide_add(bool is_l2, size_t element_bytes, const char *q, const char *r,
                          struct wide_lanes *sums)
{
    struct wide_lanes a;
    struct wide_lanes b;

    wide_load(element_bytes, q, &a);
    wide_load(element_bytes, r, &b);
    for (size_t i = 0; i < WIDE_PARTS; i++) {
        if (is_l2)
            a.part[i] = b.part[i] = a.part[i] - b.part[i];
        sums->part[i] += a.part[i] * b.part[i];
    }
}

WIDE_INLINE double wide_sum(bool is_l2, size_t element_bytes, const char *q, const char *r,
                            size_t n_dims)
{
    size_t block_bytes = WIDE_LANES * element_bytes;
    size_t rest_bytes = n_dims % WIDE_LANES * element_bytes;
    struct wide_lanes sums = {0};
    double lanes[WIDE_LANES];

    for (size_t n = n_dims / WIDE_LANES; n > 0; n--, q += block_bytes, r += block_bytes)
        wide_add(is_l2, element_bytes, q, r, &sums);
    if (rest_bytes > 0) {
        char last_q[WIDE_LANES * sizeof(double)] = {0};
        char last_r[WIDE_LANES * sizeof(double)] = {0};

        memcpy(last_q, q, rest_bytes);
        memcpy(last_r, r, rest_bytes);
        wide_add(is_l2, element_bytes, last_q, last_r, &sums);
    }
    memcpy(lanes, &sums, sizeof lanes);
    for (size_t half = WIDE_LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++)
            lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

static void dot_wide(const float *query, const float *rows, size_t n_rows, size_t n_dims,
                     double *scores_out)
{
    for (size_t r = 0; r < n_rows; r++)
        scores_out[r] = wide_sum(false, sizeof *rows, (const char *)query,
                                 (const char *)(rows + r * n_dims), n_dims);
}

static void l2_wide(const float *query, const float *rows, size_t n_rows, size_t n_dims,
                    double *scores_out)
{
    for (size_t r = 0; r < n_rows; r++)
        scores_out[r] = wide_sum(true, sizeof *rows, (const char *)query,
                                 (const char *)(rows + r * n_dims), n_dims);
}

static void l2_f64(const double *query, const double *rows, size_t n_rows, size_t n_dims,
                   double *scores_out)
{
    for (size_t r = 0; r < n_rows; r++)
        scores_out[r] = wide_sum(true, sizeof *rows, (const char *)query,
                                 (const char *)(rows + r * n_dims), n_dims);
}

#endif
