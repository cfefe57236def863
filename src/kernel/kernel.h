/*
 * kernel.h - distances between vectors: the innermost loops of search.
 *
 * Every kernel compares each of some queries with each of some rows, vectors of `n_dims` elements
 * that lie one behind the other without gaps (codes lie otherwise, see below), and sets
 * scores[query * n_rows + row]. Nothing need be aligned. n_dims is at most MN_DIMENSIONS_MAX;
 * n_dims, n_rows and n_queries may be 0. Rows are read once per query, so whoever has many queries
 * gives few rows at a time, which the processor's cache holds.
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
 * Where more digits are wanted, sums are made in double: 16 lanes, filled up and folded likewise;
 * the elements become doubles first, and difference, product and sum are rounded one after the
 * other.
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
    MNI_KERNEL_WIDE_LANES = 16, /* of sums in double */
    MNI_SIGN_WORD_BITS = 64,
    /* So far ahead of what it compares dot_i8 asks for memory, where one query leaves it time to
     * wait for. What lies between one call's rows and the next one's is left to the caller. */
    MNI_KERNEL_CODES_AHEAD_BYTES = 5120,
};

typedef void mni_f32_kernel(const float *queries, size_t n_queries, const float *rows,
                            size_t n_rows, size_t n_dims, float *scores_out);
typedef void mni_f16_kernel(const float *queries, size_t n_queries, const uint16_t *rows,
                            size_t n_rows, size_t n_dims, float *scores_out);
/* One query, sums in double. */
typedef void mni_wide_kernel(const float *query, const float *rows, size_t n_rows, size_t n_dims,
                             double *scores_out);
typedef void mni_f64_kernel(const double *query, const double *rows, size_t n_rows, size_t n_dims,
                            double *scores_out);
/* Codes of rows stand in quads, see "Codes"; queries one behind the other, each as
 * mni_quantise_query makes it: within +-127, so that no sum overflows. */
typedef void mni_i8_kernel(const int8_t *queries, size_t n_queries, const int8_t *quads,
                           size_t n_rows, size_t n_quads, int32_t *scores_out);
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
    mni_wide_kernel *dot_wide;
    mni_wide_kernel *l2_wide;
    mni_f64_kernel *l2_f64;
    mni_i8_kernel *dot_i8;    /* sum of q[i] * r[i], codes from -128 on */
    mni_bits_kernel *hamming; /* number of bits that differ */
    mni_reach_kernel *reach;
    mni_above_kernel *above;
};

/* The fastest kernels of this machine; those that the environment variable MNEME_KERNELS names,
 * where this machine can run them. */
const struct mni_kernels *mni_kernels(void);

/* By name; NULL where this machine or this build has none of that name. */
const struct mni_kernels *mni_kernels_by_name(const char *name);

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

/* Four codes at a time are compared by one instruction, and rows side by side need no folding. So
 * rows of a block are cut into quads of four codes, the last one filled up with zeroes; first come
 * the first quads of all rows, then all second ones, and so on: element i of row r is
 * quads[(i / 4 * n_rows + r) * 4 + i % 4]. */
enum { MNI_QUAD = 4 };

static inline size_t mni_quads(size_t n_dims)
{
    return (n_dims + MNI_QUAD - 1) / MNI_QUAD;
}

/* Bytes of the codes of a row, and of a query: it has one quad more, with 128 times the sum of its
 * codes as an int32_t, for kernels that compare magnitudes. */
static inline size_t mni_row_code_bytes(size_t n_dims)
{
    return mni_quads(n_dims) * MNI_QUAD;
}

static inline size_t mni_query_code_bytes(size_t n_dims)
{
    return (mni_quads(n_dims) + 1) * MNI_QUAD;
}

/* Codes from -127 to 127, mni_row_code_bytes(n_dims) of them. */
void mni_quantise_row(const float *row, size_t n_dims, int8_t *codes_out,
                      struct mni_code_scale *scale_out);
/* The same, and the quad behind them. */
void mni_quantise_query(const float *query, size_t n_dims, int8_t *codes_out,
                        struct mni_code_scale *scale_out);
/* One bit per element, set where it is above 0: element i is bit i % 64 of word i / 64. Bits behind
 * the last are 0; `words_out` has one word per 64 elements begun. */
void mni_sign_bits(const float *vector, size_t n_dims, uint64_t *words_out);

#endif
