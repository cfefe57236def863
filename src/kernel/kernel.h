/*
 * kernel.h - distances between vectors: the innermost loops of search.
 *
 * Every kernel compares each of some queries with each of some rows, vectors of `n_dims` elements
 * that lie one behind the other without gaps, and sets scores[query * n_rows + row]. Nothing
 * need be aligned. n_dims is at most MN_DIMENSIONS_MAX; n_dims, n_rows and n_queries may be 0. Rows
 * are read once per query, so whoever has many queries gives few rows at a time, which the
 * processor's cache holds.
 *
 * The scalar kernels define the results; the faster ones give the same bits, so that a store
 * answers alike on every machine. Sums of floats are made like this, with one rounding each step:
 *
 *     element i goes to lane i % 32; the last block of 32 is filled up with zeroes
 *     each lane begins at +0 and takes its elements in order, one fused multiply-add each
 *     lanes are folded by halves: lane j += lane j + 16 for j < 16, then 8, 4, 2, 1
 *
 * So infinities, NaN and subnormals are what IEEE 754 makes of them. Which NaN it is, is not said.
 *
 *     dot   sum of q[i] * r[i]
 *     l2    sum of d * d with d = q[i] - r[i], rounded (squared Euclidean distance)
 *
 * Rows of f16 (IEEE 754 binary16 in an uint16_t) are compared as the floats they stand for; their
 * queries are f32. Sums over codes are whole numbers and exact.
 *
 * Threads: any; all is immutable after the first call.
 */
#ifndef MNI_KERNEL_KERNEL_H
#define MNI_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MNI_KERNEL_LANES = 32,
    MNI_SIGN_WORD_BITS = 64,
};

typedef void mni_f32_kernel(const float *queries, size_t n_queries, const float *rows,
                            size_t n_rows, size_t n_dims, float *scores_out);
typedef void mni_f16_kernel(const float *queries, size_t n_queries, const uint16_t *rows,
                            size_t n_rows, size_t n_dims, float *scores_out);
/* Elements of queries lie within +-mni_query_level_max(n_dims), so that no sum overflows. */
typedef void mni_i8_kernel(const int16_t *queries, size_t n_queries, const int8_t *rows,
                           size_t n_rows, size_t n_dims, int32_t *scores_out);
/* `n_words` of 64 bits a vector. */
typedef void mni_bits_kernel(const uint64_t *queries, size_t n_queries, const uint64_t *rows,
                             size_t n_rows, size_t n_words, uint32_t *scores_out);

/*
 * Which of up to 64 vectors may reach a score, by the products of their codes with those of a
 * query: bit i is 0 only where
 *
 *     product[i] * by_product * scale[i] + by_rest * rest[i] + by_length * length[i]
 *         + by_square * length[i] * length[i]  <  least
 *
 * A NaN on either side sets the bit. For deciding what to look at, not for results: the order of
 * roundings is not defined, and sets of kernels may differ in their last bits.
 */
struct mni_reach {
    float by_product;
    float by_rest;
    float by_length;
    float by_square;
    float least;
};
typedef uint64_t mni_reach_kernel(const struct mni_reach *reach, const int32_t *products,
                                  const float *scales, const float *rests, const float *lengths,
                                  size_t n);

/*
 * Which of up to 64 vectors may have a score, by the results of the kernels above: bit i is 0 only
 * where
 *
 *     by_raw * raw[i] + by_length * length[i]  <  least
 *
 * A NaN on either side sets the bit. `lengths` may be NULL: then they are 0. As for mni_reach, last
 * bits may differ.
 */
struct mni_above {
    float by_raw;
    float by_length;
    float least;
};
typedef uint64_t mni_above_kernel(const struct mni_above *above, const float *raw,
                                  const float *lengths, size_t n);

struct mni_kernels {
    const char *name; /* "scalar", "avx2", "avx512" or "neon" */
    mni_f32_kernel *dot_f32;
    mni_f32_kernel *l2_f32;
    mni_f16_kernel *dot_f16;
    mni_f16_kernel *l2_f16;
    mni_i8_kernel *dot_i8;    /* sum of q[i] * r[i] */
    mni_bits_kernel *hamming; /* number of bits that differ */
    mni_reach_kernel *reach;
    mni_above_kernel *above;
};

/* The fastest kernels of this machine; those that the environment variable MNEME_KERNELS names,
 * where this machine can run them. */
const struct mni_kernels *mni_kernels(void);

/* By name; NULL where this machine or this build has none of that name. */
const struct mni_kernels *mni_kernels_by_name(const char *name);

/* The largest element of a query that is compared with codes: sums of `n_dims` products with -128
 * to 127 stay below 2^31. */
static inline int16_t mni_query_level_max(size_t n_dims)
{
    size_t level = n_dims == 0 ? INT16_MAX : ((size_t)INT32_MAX - 1) / (128 * n_dims);

    return (int16_t)(level < INT16_MAX ? level : INT16_MAX);
}

/* Halves --------------------------------------------------------------------------------------- */

/* Exact. */
void mni_f16_to_f32(const uint16_t *halves, size_t n, float *floats_out);
/* To the nearest half, ties to even. False when a finite float is too large for one (it became an
 * infinity): the number of leading elements that did fit is set in `n_fit_out`. */
bool mni_f16_from_f32(const float *floats, size_t n, uint16_t *halves_out, size_t *n_fit_out);

/* Codes --------------------------------------------------------------------------------------
 *
 * A vector x as small whole numbers: x = scale * code + a rest whose Euclidean length is at most
 * `rest`. So for two vectors, with |.| for lengths (Cauchy and Schwarz):
 *
 *     q . x = q.scale * x.scale * (q.code . x.code) + a rest of at most
 *             |q| * x.rest + q.rest * (|x| + x.rest)
 *
 * The scale is the largest element's magnitude divided by the largest code. Where that magnitude is
 * not from 2^-50 to 2^50, nor 0, there are no codes but zeroes, with scale 0 and an infinite rest:
 * no sum over vectors with codes is too large for a float, or loses much by being too small.
 */
struct mni_code_scale {
    float scale;
    float rest; /* rounded up */
};

/* Codes from -127 to 127; `codes_out` has n_dims. */
void mni_quantise_row(const float *row, size_t n_dims, int8_t *codes_out,
                      struct mni_code_scale *scale_out);
/* Codes within +-mni_query_level_max(n_dims). */
void mni_quantise_query(const float *query, size_t n_dims, int16_t *codes_out,
                        struct mni_code_scale *scale_out);
/* One bit per element, set where it is above 0: element i is bit i % 64 of word i / 64. Bits behind
 * the last are 0; `words_out` has one word per 64 elements begun. */
void mni_sign_bits(const float *vector, size_t n_dims, uint64_t *words_out);

#endif
