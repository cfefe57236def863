/*
 * scalar.c - the kernels in plain C: they define what the others must give.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/reach_private.h"
#include "kernel/wide_private.h"

enum { LANES = MNI_KERNEL_LANES };

static float fold(float *lanes)
{
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++)
            lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

static float dot(const float *q, const float *r, size_t n)
{
    float lanes[LANES] = {0};

    for (size_t i = 0; i < n; i++)
        lanes[i % LANES] = fmaf(q[i], r[i], lanes[i % LANES]);
    for (size_t j = n % LANES; j > 0 && j < LANES; j++)
        lanes[j] = fmaf(0, 0, lanes[j]);
    return fold(lanes);
}

static float l2(const float *q, const float *r, size_t n)
{
    float lanes[LANES] = {0};

    for (size_t i = 0; i < n; i++) {
        float d = q[i] - r[i];

        lanes[i % LANES] = fmaf(d, d, lanes[i % LANES]);
    }
    return fold(lanes);
}

static void dot_f32(const float *queries, size_t n_queries, const float *rows, size_t n_rows,
                    size_t n_dims, float *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++)
            *scores_out++ = dot(queries + q * n_dims, rows + r * n_dims, n_dims);
    }
}

static void l2_f32(const float *queries, size_t n_queries, const float *rows, size_t n_rows,
                   size_t n_dims, float *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++)
            *scores_out++ = l2(queries + q * n_dims, rows + r * n_dims, n_dims);
    }
}

/* One block of lanes of a query and a row of halves, filled up with zeroes. */
struct block {
    float q[LANES];
    float r[LANES];
};

static void load_block(const float *q, const uint16_t *r, size_t n_left, struct block *block_out)
{
    size_t n = n_left < LANES ? n_left : LANES;

    memset(block_out, 0, sizeof *block_out);
    memcpy(block_out->q, q, n * sizeof *q);
    mni_f16_to_f32(r, n, block_out->r);
}

static void dot_f16(const float *queries, size_t n_queries, const uint16_t *rows, size_t n_rows,
                    size_t n_dims, float *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++) {
            float lanes[LANES] = {0};
            struct block b;

            for (size_t i = 0; i < n_dims; i += LANES) {
                load_block(queries + q * n_dims + i, rows + r * n_dims + i, n_dims - i, &b);
                for (size_t j = 0; j < LANES; j++)
                    lanes[j] = fmaf(b.q[j], b.r[j], lanes[j]);
            }
            *scores_out++ = fold(lanes);
        }
    }
}

static void l2_f16(const float *queries, size_t n_queries, const uint16_t *rows, size_t n_rows,
                   size_t n_dims, float *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++) {
            float lanes[LANES] = {0};
            struct block b;

            for (size_t i = 0; i < n_dims; i += LANES) {
                load_block(queries + q * n_dims + i, rows + r * n_dims + i, n_dims - i, &b);
                for (size_t j = 0; j < LANES; j++)
                    lanes[j] = fmaf(b.q[j] - b.r[j], b.q[j] - b.r[j], lanes[j]);
            }
            *scores_out++ = fold(lanes);
        }
    }
}

static void dot_i8(const int8_t *queries, size_t n_queries, const int8_t *quads, size_t n_rows,
                   size_t n_quads, int32_t *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++)
            *scores_out++ =
                mni_dot_quads(queries + q * (n_quads + 1) * MNI_QUAD, quads, r, n_rows, n_quads);
    }
}

static void hamming(const uint64_t *queries, size_t n_queries, const uint64_t *rows, size_t n_rows,
                    size_t n_words, uint32_t *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++) {
            uint32_t n = 0;

            for (size_t i = 0; i < n_words; i++)
                n += (uint32_t)__builtin_popcountll(queries[q * n_words + i] ^
                                                    rows[r * n_words + i]);
            *scores_out++ = n;
        }
    }
}

const struct mni_kernels mni_kernels_scalar = {
    .name = "scalar",
    .dot_f32 = dot_f32,
    .l2_f32 = l2_f32,
    .dot_f16 = dot_f16,
    .l2_f16 = l2_f16,
    .dot_wide = dot_wide,
    .l2_wide = l2_wide,
    .l2_f64 = l2_f64,
    .dot_i8 = dot_i8,
    .hamming = hamming,
    .reach = reach,
    .above = above,
};
