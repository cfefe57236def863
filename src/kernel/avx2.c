/*
 * avx2.c - the kernels with 256-bit registers: four of them hold the 32 lanes.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never; the caller made sure that the machine has the instructions.
 */
#include <immintrin.h>
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/reach_private.h"
#include "kernel/wide_private.h"

enum {
    LANES = MNI_KERNEL_LANES,
    WIDTH = 8,
    N_PARTS = LANES / WIDTH,
    TILE = 8, /* registers of codes side by side */
};

enum measure { DOT, L2 };

struct lanes {
    __m256 part[N_PARTS];
};

#define INLINE static inline __attribute__((always_inline))

INLINE struct lanes load_f32(const void *from)
{
    const float *p = from;
    struct lanes lanes;

    for (size_t i = 0; i < N_PARTS; i++)
        lanes.part[i] = _mm256_loadu_ps(p + i * WIDTH);
    return lanes;
}

INLINE struct lanes load_f16(const void *from)
{
    const uint16_t *p = from;
    struct lanes lanes;

    for (size_t i = 0; i < N_PARTS; i++)
        lanes.part[i] =
            _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + i * WIDTH)));
    return lanes;
}

INLINE struct lanes load(size_t element_bytes, const void *from)
{
    return element_bytes == sizeof(float) ? load_f32(from) : load_f16(from);
}

/* The last block of a vector: `n` elements, then zeroes. */
INLINE struct lanes load_last(size_t element_bytes, const void *from, size_t n)
{
    const float *floats = from;
    float block[LANES] = {0};
    struct lanes lanes;

    if (element_bytes != sizeof(float)) {
        memcpy(block, from, n * element_bytes);
        return load(element_bytes, block);
    }
    for (size_t i = 0; i < N_PARTS; i++) {
        __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        __m256i n_here = _mm256_set1_epi32((int)n - (int)(i * WIDTH));

        lanes.part[i] = _mm256_maskload_ps(floats + i * WIDTH, _mm256_cmpgt_epi32(n_here, index));
    }
    return lanes;
}

INLINE void add_block(enum measure measure, struct lanes q, struct lanes r, struct lanes *sums)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        if (measure == L2)
            q.part[i] = r.part[i] = _mm256_sub_ps(q.part[i], r.part[i]);
        sums->part[i] = _mm256_fmadd_ps(q.part[i], r.part[i], sums->part[i]);
    }
}

INLINE float fold(const struct lanes *sums)
{
    __m256 low = _mm256_add_ps(sums->part[0], sums->part[2]);
    __m256 high = _mm256_add_ps(sums->part[1], sums->part[3]);
    __m256 n8 = _mm256_add_ps(low, high);
    __m128 n4 = _mm_add_ps(_mm256_castps256_ps128(n8), _mm256_extractf128_ps(n8, 1));
    __m128 n2 = _mm_add_ps(n4, _mm_movehl_ps(n4, n4));

    return _mm_cvtss_f32(_mm_add_ss(n2, _mm_movehdup_ps(n2)));
}

INLINE float one(enum measure measure, size_t element_bytes, const float *query, const char *row,
                 size_t n_dims)
{
    size_t n_whole = n_dims - n_dims % LANES;
    struct lanes sums;

    memset(&sums, 0, sizeof sums);
    for (size_t i = 0; i < n_whole; i += LANES)
        add_block(measure, load_f32(query + i), load(element_bytes, row + i * element_bytes),
                  &sums);
    if (n_whole < n_dims)
        add_block(measure, load_last(sizeof *query, query + n_whole, n_dims - n_whole),
                  load_last(element_bytes, row + n_whole * element_bytes, n_dims - n_whole), &sums);
    return fold(&sums);
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

/* `n` times 8 rows: to their sums. Products of codes are made of magnitudes, with the row's sign
 * given to the query; two of them fit in 16 bits. */
INLINE void add_quads(const int8_t *query, const int8_t *quads, size_t n, size_t n_rows,
                      size_t n_quads, bool is_alone, int32_t *scores_out)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[TILE];

    for (size_t t = 0; t < n; t++)
        sums[t] = _mm256_setzero_si256();
    for (size_t i = 0; i < n_quads; i++, quads += n_rows * MNI_QUAD) {
        __m256i quad = _mm256_set1_epi32(mni_quad(query, i));

        for (size_t t = 0; t < n; t++) {
            const __m256i *from = (const __m256i *)(const void *)quads + t;
            __m256i row = _mm256_loadu_si256(from);

            if (is_alone && t % 2 == 0)
                _mm_prefetch((const char *)from + MNI_KERNEL_CODES_AHEAD_BYTES, _MM_HINT_T0);
            __m256i products =
                _mm256_maddubs_epi16(_mm256_abs_epi8(row), _mm256_sign_epi8(quad, row));
            sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(products, ones));
        }
    }
    for (size_t t = 0; t < n; t++)
        _mm256_storeu_si256((__m256i *)(void *)scores_out + t, sums[t]);
}

static void dot_i8(const int8_t *queries, size_t n_queries, const int8_t *quads, size_t n_rows,
                   size_t n_quads, int32_t *scores_out)
{
    for (size_t q = 0; q < n_queries;
         q++, queries += (n_quads + 1) * MNI_QUAD, scores_out += n_rows) {
        size_t r = 0;

        for (; r + TILE * 8 <= n_rows; r += TILE * 8)
            add_quads(queries, quads + r * MNI_QUAD, TILE, n_rows, n_quads, n_queries == 1,
                      scores_out + r);
        for (; r + 8 <= n_rows; r += 8)
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
            uint64_t n = 0;

            for (size_t i = 0; i < n_words; i++)
                n += (uint64_t)_mm_popcnt_u64(query[i] ^ row[i]);
            *scores_out++ = (uint32_t)n;
        }
    }
}

const struct mni_kernels mni_kernels_avx2 = {
    .name = "avx2",
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
