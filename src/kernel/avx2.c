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

enum {
    LANES = MNI_KERNEL_LANES,
    WIDTH = 8,
    N_PARTS = LANES / WIDTH,
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

/* 16 codes as 16-bit numbers. */
INLINE __m256i load_i8(const int8_t *from)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

INLINE __m256i load_i16(const int16_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* The last `n` codes of a row, then zeroes. */
INLINE __m256i load_last_i8(const int8_t *from, size_t n)
{
    int8_t block[16] = {0};

    memcpy(block, from, n);
    return load_i8(block);
}

INLINE __m256i load_last_i16(const int16_t *from, size_t n)
{
    int16_t block[16] = {0};

    memcpy(block, from, n * sizeof *from);
    return load_i16(block);
}

static int32_t dot_codes(const int16_t *query, const int8_t *row, size_t n_dims)
{
    size_t n_whole = n_dims - n_dims % 16;
    __m256i sum = _mm256_setzero_si256();
    __m128i n4;

    for (size_t i = 0; i < n_whole; i += 16)
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(load_i16(query + i), load_i8(row + i)));
    if (n_whole < n_dims)
        sum = _mm256_add_epi32(sum,
                               _mm256_madd_epi16(load_last_i16(query + n_whole, n_dims - n_whole),
                                                 load_last_i8(row + n_whole, n_dims - n_whole)));
    n4 = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    n4 = _mm_add_epi32(n4, _mm_shuffle_epi32(n4, 0x4E));
    n4 = _mm_add_epi32(n4, _mm_shuffle_epi32(n4, 0xB1));
    return _mm_cvtsi128_si32(n4);
}

static void dot_i8(const int16_t *queries, size_t n_queries, const int8_t *rows, size_t n_rows,
                   size_t n_dims, int32_t *scores_out)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t r = 0; r < n_rows; r++)
            *scores_out++ = dot_codes(queries + q * n_dims, rows + r * n_dims, n_dims);
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
    .dot_i8 = dot_i8,
    .hamming = hamming,
    .reach = reach,
    .above = above,
};
