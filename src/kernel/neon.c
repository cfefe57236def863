/*
 * neon.c - the kernels with the 128-bit registers of AArch64: eight of them hold the 32 lanes.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include <arm_neon.h>
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/reach_private.h"
#include "kernel/wide_private.h"

enum {
    LANES = MNI_KERNEL_LANES,
    WIDTH = 4,
    N_PARTS = LANES / WIDTH,
    TILE = 16, /* registers of codes side by side */
};

enum measure { DOT, L2 };

struct lanes {
    float32x4_t part[N_PARTS];
};

#define INLINE static inline __attribute__((always_inline))

INLINE struct lanes load(size_t element_bytes, const void *from)
{
    struct lanes lanes;

    for (size_t i = 0; i < N_PARTS; i++) {
        if (element_bytes == sizeof(float)) {
            lanes.part[i] = vld1q_f32((const float *)from + i * WIDTH);
        } else {
            uint16x4_t halves = vld1_u16((const uint16_t *)from + i * WIDTH);

            lanes.part[i] = vcvt_f32_f16(vreinterpret_f16_u16(halves));
        }
    }
    return lanes;
}

/* The last block of a vector: `n` elements, then zeroes. */
INLINE struct lanes load_last(size_t element_bytes, const void *from, size_t n)
{
    float block[LANES] = {0};

    memcpy(block, from, n * element_bytes);
    return load(element_bytes, block);
}

INLINE void add_block(enum measure measure, struct lanes q, struct lanes r, struct lanes *sums)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        if (measure == L2)
            q.part[i] = r.part[i] = vsubq_f32(q.part[i], r.part[i]);
        sums->part[i] = vfmaq_f32(sums->part[i], q.part[i], r.part[i]);
    }
}

INLINE float fold(struct lanes sums)
{
    float32x2_t n2;

    for (size_t half = N_PARTS / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++)
            sums.part[j] = vaddq_f32(sums.part[j], sums.part[j + half]);
    }
    n2 = vadd_f32(vget_low_f32(sums.part[0]), vget_high_f32(sums.part[0]));
    return vget_lane_f32(n2, 0) + vget_lane_f32(n2, 1);
}

INLINE float one(enum measure measure, size_t element_bytes, const float *query, const char *row,
                 size_t n_dims)
{
    size_t n_whole = n_dims - n_dims % LANES;
    struct lanes sums;

    memset(&sums, 0, sizeof sums);
    for (size_t i = 0; i < n_whole; i += LANES)
        add_block(measure, load(sizeof *query, query + i),
                  load(element_bytes, row + i * element_bytes), &sums);
    if (n_whole < n_dims)
        add_block(measure, load_last(sizeof *query, query + n_whole, n_dims - n_whole),
                  load_last(element_bytes, row + n_whole * element_bytes, n_dims - n_whole), &sums);
    return fold(sums);
}

INLINE void compare(enum measure measure, size_t element_bytes, const float *queries,
                    size_t n_queries, const void *rows, size_t n_rows, size_t n_dims,
                    float *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        const char *row = rows;

        for (size_t r = 0; r < n_rows; r++, row += n_dims * element_bytes)
            *scores_out++ = one(measure, element_bytes, queries + q * n_dims, row, n_dims);
    }
}

static void dot_f32(const float *queries, size_t n_queries, const float *rows, size_t n_rows,
                    size_t n_dims, float *scores_out)
{
    compare(DOT, sizeof *rows, queries, n_queries, rows, n_rows, n_dims, scores_out);
}

static void l2_f32(const float *queries, size_t n_queries, const float *rows, size_t n_rows,
                   size_t n_dims, float *scores_out)
{
    compare(L2, sizeof *rows, queries, n_queries, rows, n_rows, n_dims, scores_out);
}

static void dot_f16(const float *queries, size_t n_queries, const uint16_t *rows, size_t n_rows,
                    size_t n_dims, float *scores_out)
{
    compare(DOT, sizeof *rows, queries, n_queries, rows, n_rows, n_dims, scores_out);
}

static void l2_f16(const float *queries, size_t n_queries, const uint16_t *rows, size_t n_rows,
                   size_t n_dims, float *scores_out)
{
    compare(L2, sizeof *rows, queries, n_queries, rows, n_rows, n_dims, scores_out);
}

/* `n` times 4 rows: to their sums. Two products of codes fit in 16 bits. */
INLINE void add_quads(const int8_t *query, const int8_t *quads, size_t n, size_t n_rows,
                      size_t n_quads, bool is_alone, int32_t *scores_out)
{
    int32x4_t sums[TILE];

    for (size_t t = 0; t < n; t++)
        sums[t] = vdupq_n_s32(0);
    for (size_t i = 0; i < n_quads; i++, quads += n_rows * MNI_QUAD) {
        int8x16_t quad = vreinterpretq_s8_s32(vdupq_n_s32(mni_quad(query, i)));

        for (size_t t = 0; t < n; t++) {
            const int8_t *from = quads + t * 16;
            int8x16_t row = vld1q_s8(from);

            if (is_alone && t % 4 == 0)
                __builtin_prefetch(from + MNI_KERNEL_CODES_AHEAD_BYTES);
            sums[t] = vpadalq_s16(sums[t], vpaddq_s16(vmull_s8(vget_low_s8(row), vget_low_s8(quad)),
                                                      vmull_high_s8(row, quad)));
        }
    }
    for (size_t t = 0; t < n; t++)
        vst1q_s32(scores_out + t * 4, sums[t]);
}

static void dot_i8(const int8_t *queries, size_t n_queries, const int8_t *quads, size_t n_rows,
                   size_t n_quads, int32_t *scores_out)
{
    for (size_t q = 0; q < n_queries;
         q++, queries += (n_quads + 1) * MNI_QUAD, scores_out += n_rows) {
        size_t r = 0;

        for (; r + TILE * 4 <= n_rows; r += TILE * 4)
            add_quads(queries, quads + r * MNI_QUAD, TILE, n_rows, n_quads, n_queries == 1,
                      scores_out + r);
        for (; r + 4 <= n_rows; r += 4)
            add_quads(queries, quads + r * MNI_QUAD, 1, n_rows, n_quads, n_queries == 1,
                      scores_out + r);
        for (; r < n_rows; r++)
            scores_out[r] = mni_dot_quads(queries, quads, r, n_rows, n_quads);
    }
}

static void hamming(const uint64_t *queries, size_t n_queries, const uint64_t *rows, size_t n_rows,
                    size_t n_words, uint32_t *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        const uint64_t *query = queries + q * n_words;

        for (size_t r = 0; r < n_rows; r++) {
            const uint64_t *row = rows + r * n_words;
            uint32_t n = 0;

            for (size_t i = 0; i < n_words; i++)
                n += vaddv_u8(vcnt_u8(vcreate_u8(query[i] ^ row[i])));
            *scores_out++ = n;
        }
    }
}

const struct mni_kernels mni_kernels_neon = {
    .name = "neon",
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
