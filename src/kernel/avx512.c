/*
 * avx512.c - the kernels with 512-bit registers: two of them hold the 32 lanes.
 *
 * What takes the most time with short vectors is folding lanes. So four registers, of four sums,
 * are folded into one that has four lanes of each, and four of these into one with all 16 sums.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never; the caller made sure that the machine has the instructions.
 */
#include <immintrin.h>

#include "kernel/kernel_private.h"
#include "kernel/wide_private.h"

enum {
    LANES = MNI_KERNEL_LANES,
    GROUP = 4,          /* rows, queries or registers that are taken side by side */
    AHEAD_BYTES = 8192, /* a processor by itself looks ahead to the end of a page only */
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

INLINE __m512 fold_high(struct lanes sums)
{
    return _mm512_add_ps(sums.low, sums.high);
}

INLINE float fold(__m512 n16)
{
    __m256 n8 = _mm256_add_ps(_mm512_castps512_ps256(n16), _mm512_extractf32x8_ps(n16, 1));
    __m128 n4 = _mm_add_ps(_mm256_castps256_ps128(n8), _mm256_extractf128_ps(n8, 1));
    __m128 n2 = _mm_add_ps(n4, _mm_movehl_ps(n4, n4));

    return _mm_cvtss_f32(_mm_add_ss(n2, _mm_movehdup_ps(n2)));
}

/* Of two sums: 16 lanes each in, 8 lanes each out, side by side. */
INLINE __m512 fold_two(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}

/* Of four sums: 4 lanes each, side by side. */
INLINE __m512 fold_four(const __m512 n16[GROUP])
{
    __m512 ab = fold_two(n16[0], n16[1]);
    __m512 cd = fold_two(n16[2], n16[3]);

    return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
}

/* 16 sums, in their order, of which each register has 4 lanes of four. */
INLINE __m512 fold_all(const __m512 n4[GROUP])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512 ab =
        _mm512_add_ps(_mm512_shuffle_ps(n4[0], n4[1], 0x44), _mm512_shuffle_ps(n4[0], n4[1], 0xEE));
    __m512 cd =
        _mm512_add_ps(_mm512_shuffle_ps(n4[2], n4[3], 0x44), _mm512_shuffle_ps(n4[2], n4[3], 0xEE));
    __m512 all = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x88), _mm512_shuffle_ps(ab, cd, 0xDD));

    return _mm512_permutexvar_ps(order, all);
}

/* `n` rows, four at most, beside a query: 16 lanes of each sum. */
INLINE void add_rows(enum measure measure, size_t element_bytes, const float *query,
                     const char *rows, size_t n, size_t n_dims, __m512 n16_out[GROUP])
{
    size_t n_whole = n_dims - n_dims % LANES;
    size_t row_bytes = n_dims * element_bytes;
    struct lanes sums[GROUP];

    for (size_t r = 0; r < n; r++)
        sums[r].low = sums[r].high = _mm512_setzero_ps();
    for (size_t i = 0; i < n_whole; i += LANES) {
        struct lanes q = load(sizeof *query, query + i);

        for (size_t r = 0; r < n; r++) {
            const char *from = rows + r * row_bytes + i * element_bytes;

            _mm_prefetch(from + AHEAD_BYTES, _MM_HINT_T0);
            if (element_bytes == sizeof(float))
                _mm_prefetch(from + AHEAD_BYTES + 64, _MM_HINT_T0);
            add_block(measure, q, load(element_bytes, from), &sums[r]);
        }
    }
    if (n_whole < n_dims) {
        size_t n_last = n_dims - n_whole;
        struct lanes q = load_last(sizeof *query, query + n_whole, n_last);

        for (size_t r = 0; r < n; r++)
            add_block(
                measure, q,
                load_last(element_bytes, rows + r * row_bytes + n_whole * element_bytes, n_last),
                &sums[r]);
    }
    for (size_t r = 0; r < n; r++)
        n16_out[r] = fold_high(sums[r]);
}

INLINE void compare(enum measure measure, size_t element_bytes, const float *queries,
                    size_t n_queries, const void *rows, size_t n_rows, size_t n_dims,
                    float *scores_out)
{
    size_t row_bytes = n_dims * element_bytes;

    for (size_t q = 0; q < n_queries; q++, queries += n_dims) {
        const char *row = rows;
        size_t r = 0;
        __m512 n16[GROUP];
        __m512 n4[GROUP];

        for (; r + GROUP * GROUP <= n_rows; r += GROUP * GROUP) {
            for (size_t g = 0; g < GROUP; g++, row += GROUP * row_bytes) {
                add_rows(measure, element_bytes, queries, row, GROUP, n_dims, n16);
                n4[g] = fold_four(n16);
            }
            _mm512_storeu_ps(scores_out, fold_all(n4));
            scores_out += GROUP * GROUP;
        }
        for (; r < n_rows; r++, row += row_bytes) {
            add_rows(measure, element_bytes, queries, row, 1, n_dims, n16);
            *scores_out++ = fold(n16[0]);
        }
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

/* Those of 16 that there are. */
INLINE __mmask16 first_of(size_t n_left)
{
    return (__mmask16)((UINT32_C(1) << (n_left < 16 ? n_left : 16)) - 1);
}

/* Adds four products of magnitudes `a` and codes `b`. The intrinsic has gcc 12 copy every sum
 * twice, which takes as long again. */
INLINE __m512i add_products(__m512i sum, __m512i a, __m512i b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

INLINE __m256i add_half_products(__m256i sum, __m256i a, __m256i b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* `n_q` queries, four at most, beside `n_t` times 16 rows, of the last of which there are those in
 * `which`. Codes of rows are made magnitudes by adding 128; what that adds to a sum it begins
 * without. */
INLINE void add_quads(const int8_t *queries, size_t n_q, const int8_t *quads, size_t n_t,
                      __mmask16 which, size_t n_rows, size_t n_quads, int32_t *scores_out)
{
    const __m512i offset = _mm512_set1_epi8(-128);
    size_t query_bytes = (n_quads + 1) * MNI_QUAD;
    __m512i sums[GROUP * GROUP];
    __m512i rows[GROUP];

    for (size_t q = 0; q < n_q; q++) {
        for (size_t t = 0; t < n_t; t++)
            sums[q * n_t + t] = _mm512_set1_epi32(-mni_quad(queries + q * query_bytes, n_quads));
    }
    for (size_t i = 0; i < n_quads; i++, quads += n_rows * MNI_QUAD) {
        for (size_t t = 0; t < n_t; t++)
            rows[t] = _mm512_xor_si512(_mm512_maskz_loadu_epi32(which, quads + t * 64), offset);
        for (size_t q = 0; q < n_q; q++) {
            __m512i quad = _mm512_set1_epi32(mni_quad(queries + q * query_bytes, i));

            for (size_t t = 0; t < n_t; t++)
                sums[q * n_t + t] = add_products(sums[q * n_t + t], rows[t], quad);
        }
    }
    for (size_t q = 0; q < n_q; q++) {
        for (size_t t = 0; t < n_t; t++)
            _mm512_mask_storeu_epi32(scores_out + q * n_rows + t * 16, which, sums[q * n_t + t]);
    }
}

INLINE void some_queries_i8(const int8_t *queries, size_t n_q, const int8_t *quads, size_t n_rows,
                            size_t n_quads, int32_t *scores_out)
{
    size_t r = 0;

    for (; r + GROUP * 16 <= n_rows; r += GROUP * 16)
        add_quads(queries, n_q, quads + r * MNI_QUAD, GROUP, 0xFFFF, n_rows, n_quads,
                  scores_out + r);
    for (; r < n_rows; r += 16)
        add_quads(queries, n_q, quads + r * MNI_QUAD, 1, first_of(n_rows - r), n_rows, n_quads,
                  scores_out + r);
}

/* One query waits for memory, and does so less where loads take half a line each. */
static void one_query_i8(const int8_t *query, const int8_t *quads, size_t n_rows, size_t n_quads,
                         int32_t *scores_out)
{
    const __m256i offset = _mm256_set1_epi8(-128);
    __m256i sums[2 * GROUP];
    size_t r = 0;

    for (; r + 64 <= n_rows; r += 64) {
        const int8_t *from = quads + r * MNI_QUAD;

        for (size_t t = 0; t < 2 * GROUP; t++)
            sums[t] = _mm256_set1_epi32(-mni_quad(query, n_quads));
        for (size_t i = 0; i < n_quads; i++, from += n_rows * MNI_QUAD) {
            __m256i quad = _mm256_set1_epi32(mni_quad(query, i));

            for (size_t t = 0; t < 2 * GROUP; t++) {
                if (t % 2 == 0)
                    _mm_prefetch(from + t * 32 + MNI_KERNEL_CODES_AHEAD_BYTES, _MM_HINT_T0);
                __m256i rows = _mm256_loadu_si256((const __m256i *)(const void *)from + t);
                sums[t] = add_half_products(sums[t], _mm256_xor_si256(rows, offset), quad);
            }
        }
        for (size_t t = 0; t < 2 * GROUP; t++)
            _mm256_storeu_si256((__m256i *)(void *)(scores_out + r) + t, sums[t]);
    }
    for (; r < n_rows; r += 16)
        add_quads(query, 1, quads + r * MNI_QUAD, 1, first_of(n_rows - r), n_rows, n_quads,
                  scores_out + r);
}

static void dot_i8(const int8_t *queries, size_t n_queries, const int8_t *quads, size_t n_rows,
                   size_t n_quads, int32_t *scores_out)
{
    size_t query_bytes = (n_quads + 1) * MNI_QUAD;
    size_t q = 0;

    for (; q + GROUP <= n_queries; q += GROUP)
        some_queries_i8(queries + q * query_bytes, GROUP, quads, n_rows, n_quads,
                        scores_out + q * n_rows);
    for (; q < n_queries; q++)
        one_query_i8(queries + q * query_bytes, quads, n_rows, n_quads, scores_out + q * n_rows);
}

static void hamming(const uint64_t *queries, size_t n_queries, const uint64_t *rows, size_t n_rows,
                    size_t n_words, uint32_t *scores_out)
{
    for (size_t q = 0; q < n_queries; q++, queries += n_words) {
        const uint64_t *row = rows;

        for (size_t r = 0; r < n_rows; r++, row += n_words) {
            __m512i sum = _mm512_setzero_si512();

            for (size_t i = 0; i < n_words; i += 8) {
                size_t n_left = n_words - i;
                __mmask8 which = (__mmask8)((UINT32_C(1) << (n_left < 8 ? n_left : 8)) - 1);
                __m512i differ = _mm512_xor_si512(_mm512_maskz_loadu_epi64(which, queries + i),
                                                  _mm512_maskz_loadu_epi64(which, row + i));

                sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(differ));
            }
            *scores_out++ = (uint32_t)_mm512_reduce_add_epi64(sum);
        }
    }
}

static uint64_t reach(const struct mni_reach *reach, const int32_t *products, const float *scales,
                      const float *rests, const float *lengths, size_t n)
{
    const __m512 by_product = _mm512_set1_ps(reach->by_product);
    const __m512 by_rest = _mm512_set1_ps(reach->by_rest);
    const __m512 by_length = _mm512_set1_ps(reach->by_length);
    const __m512 by_square = _mm512_set1_ps(reach->by_square);
    const __m512 least = _mm512_set1_ps(reach->least);
    uint64_t reaching = 0;

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 which = first_of(n - i);
        __m512 product = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(which, products + i));
        __m512 length = _mm512_maskz_loadu_ps(which, lengths + i);
        __m512 most = _mm512_mul_ps(by_rest, _mm512_maskz_loadu_ps(which, rests + i));

        most = _mm512_fmadd_ps(_mm512_fmadd_ps(by_square, length, by_length), length, most);
        product = _mm512_mul_ps(product, by_product);
        most = _mm512_fmadd_ps(product, _mm512_maskz_loadu_ps(which, scales + i), most);
        reaching |= (uint64_t)_mm512_mask_cmp_ps_mask(which, most, least, _CMP_NLT_UQ) << i;
    }
    return reaching;
}

static uint64_t above(const struct mni_above *above, const float *raw, const float *lengths,
                      size_t n)
{
    const __m512 by_raw = _mm512_set1_ps(above->by_raw);
    const __m512 by_length = _mm512_set1_ps(above->by_length);
    const __m512 least = _mm512_set1_ps(above->least);
    uint64_t which_are = 0;

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 which = first_of(n - i);
        __m512 most = _mm512_mul_ps(by_raw, _mm512_maskz_loadu_ps(which, raw + i));

        if (lengths != NULL)
            most = _mm512_fmadd_ps(by_length, _mm512_maskz_loadu_ps(which, lengths + i), most);
        which_are |= (uint64_t)_mm512_mask_cmp_ps_mask(which, most, least, _CMP_NLT_UQ) << i;
    }
    return which_are;
}

const struct mni_kernels mni_kernels_avx512 = {
    .name = "avx512",
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
