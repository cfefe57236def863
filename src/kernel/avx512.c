/*
 * avx512.c - the kernels with 512-bit registers: two of them hold the 32 lanes.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never; the caller made sure that the machine has the instructions.
 */
#include <immintrin.h>

#include "kernel/kernel_private.h"
#include "kernel/reach_private.h"

enum {
    LANES = MNI_KERNEL_LANES,
    TILE = 4, /* queries that are compared with a row side by side */
};

enum measure { DOT, L2 };

struct lanes {
    __m512 low;  /* lanes 0 to 15 */
    __m512 high; /* lanes 16 to 31 */
};

#define INLINE static inline __attribute__((always_inline))

/* 32 elements, which are all there. */
INLINE struct lanes load(size_t element_bytes, const void *from)
{
    const char *second = (const char *)from + 16 * element_bytes;

    if (element_bytes == sizeof(float))
        return (struct lanes){_mm512_loadu_ps(from), _mm512_loadu_ps(second)};
    return (struct lanes){
        _mm512_cvtph_ps(_mm256_loadu_si256(from)),
        _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)second))};
}

/* The last `n` elements of a vector, then zeroes. */
INLINE struct lanes load_last(size_t element_bytes, const void *from, size_t n)
{
    const char *second = (const char *)from + 16 * element_bytes;
    uint32_t which = ((uint32_t)1 << n) - 1;
    __mmask16 low = (__mmask16)which;
    __mmask16 high = (__mmask16)(which >> 16);

    if (element_bytes == sizeof(float))
        return (struct lanes){_mm512_maskz_loadu_ps(low, from),
                              _mm512_maskz_loadu_ps(high, second)};
    return (struct lanes){_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(low, from)),
                          _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(high, second))};
}

INLINE void add_block(enum measure measure, struct lanes q, struct lanes r, struct lanes *sums)
{
    if (measure == L2) {
        q.low = r.low = _mm512_sub_ps(q.low, r.low);
        q.high = r.high = _mm512_sub_ps(q.high, r.high);
    }
    sums->low = _mm512_fmadd_ps(q.low, r.low, sums->low);
    sums->high = _mm512_fmadd_ps(q.high, r.high, sums->high);
}

INLINE float fold(struct lanes sums)
{
    __m512 n16 = _mm512_add_ps(sums.low, sums.high);
    __m256 n8 = _mm256_add_ps(_mm512_castps512_ps256(n16), _mm512_extractf32x8_ps(n16, 1));
    __m128 n4 = _mm_add_ps(_mm256_castps256_ps128(n8), _mm256_extractf128_ps(n8, 1));
    __m128 n2 = _mm_add_ps(n4, _mm_movehl_ps(n4, n4));

    return _mm_cvtss_f32(_mm_add_ss(n2, _mm_movehdup_ps(n2)));
}

INLINE void tile(enum measure measure, size_t element_bytes, const float *queries, size_t n_tile,
                 const char *row, size_t n_dims, float *scores_out)
{
    struct lanes sums[TILE];
    size_t n_whole = n_dims - n_dims % LANES;

    for (size_t t = 0; t < n_tile; t++)
        sums[t].low = sums[t].high = _mm512_setzero_ps();
    for (size_t i = 0; i < n_whole; i += LANES) {
        struct lanes r = load(element_bytes, row + i * element_bytes);

        for (size_t t = 0; t < n_tile; t++)
            add_block(measure, load(sizeof *queries, queries + t * n_dims + i), r, &sums[t]);
    }
    if (n_whole < n_dims) {
        size_t n = n_dims - n_whole;
        struct lanes r = load_last(element_bytes, row + n_whole * element_bytes, n);

        for (size_t t = 0; t < n_tile; t++)
            add_block(measure, load_last(sizeof *queries, queries + t * n_dims + n_whole, n), r,
                      &sums[t]);
    }
    for (size_t t = 0; t < n_tile; t++)
        scores_out[t] = fold(sums[t]);
}

INLINE void compare(enum measure measure, size_t element_bytes, const float *queries,
                    size_t n_queries, const void *rows, size_t n_rows, size_t n_dims,
                    float *scores_out)
{
    const char *row = rows;

    for (size_t r = 0; r < n_rows; r++, row += n_dims * element_bytes) {
        size_t q = 0;

        for (; q + TILE <= n_queries; q += TILE, scores_out += TILE)
            tile(measure, element_bytes, queries + q * n_dims, TILE, row, n_dims, scores_out);
        for (; q < n_queries; q++, scores_out++)
            tile(measure, element_bytes, queries + q * n_dims, 1, row, n_dims, scores_out);
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

/* 32 codes as 16-bit numbers. */
INLINE __m512i load_i8(const int8_t *from)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

INLINE __m512i load_last_i8(const int8_t *from, size_t n)
{
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(((__mmask32)1 << n) - 1, from));
}

INLINE __m512i load_i16(const int16_t *from)
{
    return _mm512_loadu_si512(from);
}

INLINE __m512i load_last_i16(const int16_t *from, size_t n)
{
    return _mm512_maskz_loadu_epi16(((__mmask32)1 << n) - 1, from);
}

INLINE void tile_i8(const int16_t *queries, size_t n_tile, const int8_t *row, size_t n_dims,
                    int32_t *scores_out)
{
    size_t n_whole = n_dims - n_dims % LANES;
    __m512i sums[TILE];

    for (size_t t = 0; t < n_tile; t++)
        sums[t] = _mm512_setzero_si512();
    for (size_t i = 0; i < n_whole; i += LANES) {
        __m512i r = load_i8(row + i);

        for (size_t t = 0; t < n_tile; t++)
            sums[t] = _mm512_dpwssd_epi32(sums[t], load_i16(queries + t * n_dims + i), r);
    }
    if (n_whole < n_dims) {
        __m512i r = load_last_i8(row + n_whole, n_dims - n_whole);

        for (size_t t = 0; t < n_tile; t++)
            sums[t] = _mm512_dpwssd_epi32(
                sums[t], load_last_i16(queries + t * n_dims + n_whole, n_dims - n_whole), r);
    }
    for (size_t t = 0; t < n_tile; t++)
        scores_out[t] = _mm512_reduce_add_epi32(sums[t]);
}

static void dot_i8(const int16_t *queries, size_t n_queries, const int8_t *rows, size_t n_rows,
                   size_t n_dims, int32_t *scores_out)
{
    for (size_t r = 0; r < n_rows; r++, rows += n_dims) {
        size_t q = 0;

        for (; q + TILE <= n_queries; q += TILE, scores_out += TILE)
            tile_i8(queries + q * n_dims, TILE, rows, n_dims, scores_out);
        for (; q < n_queries; q++, scores_out++)
            tile_i8(queries + q * n_dims, 1, rows, n_dims, scores_out);
    }
}

static void hamming(const uint64_t *queries, size_t n_queries, const uint64_t *rows, size_t n_rows,
                    size_t n_words, uint32_t *scores_out)
{
    for (size_t r = 0; r < n_rows; r++, rows += n_words) {
        for (size_t q = 0; q < n_queries; q++) {
            const uint64_t *query = queries + q * n_words;
            __m512i sum = _mm512_setzero_si512();

            for (size_t i = 0; i < n_words; i += 8) {
                size_t n_left = n_words - i;
                __mmask8 which = n_left >= 8 ? 0xFF : (__mmask8)((1U << n_left) - 1);
                __m512i differ = _mm512_xor_si512(_mm512_maskz_loadu_epi64(which, query + i),
                                                  _mm512_maskz_loadu_epi64(which, rows + i));

                sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(differ));
            }
            *scores_out++ = (uint32_t)_mm512_reduce_add_epi64(sum);
        }
    }
}

const struct mni_kernels mni_kernels_avx512 = {
    .name = "avx512",
    .dot_f32 = dot_f32,
    .l2_f32 = l2_f32,
    .dot_f16 = dot_f16,
    .l2_f16 = l2_f16,
    .dot_i8 = dot_i8,
    .hamming = hamming,
    .reach = reach,
};
