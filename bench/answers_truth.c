/*
 * answers_truth.c - which answer is nearest to a question.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   cannot.
 */
#include "answers_truth.h"

#if defined(__x86_64__) && !defined(__clang__)
#define FOR_ALL_WIDTHS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_ALL_WIDTHS
#endif

enum { LANES = 16, SUMS = 4, QUERIES_AT_ONCE = 64, ANSWERS_AT_ONCE = 8 };
_Static_assert(ANSWERS_DIMS % (LANES * SUMS) == 0, "whole steps");

typedef float lanes_type __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline __attribute__((always_inline)) float cosine(const float *a, const float *b)
{
    const lanes_type *x = (const lanes_type *)a;
    const lanes_type *y = (const lanes_type *)b;
    lanes_type sums[SUMS] = {{0}};
    float sum = 0;

    for (int i = 0; i < ANSWERS_DIMS / LANES; i += SUMS)
        for (int j = 0; j < SUMS; j++)
            sums[j] += x[i + j] * y[i + j];
    sums[0] += sums[1] + (sums[2] + sums[3]);
    for (int i = 0; i < LANES; i++)
        sum += sums[0][i];
    return sum;
}

FOR_ALL_WIDTHS float answers_cosine(const float *a, const float *b)
{
    return cosine(a, b);
}

/* Few at a time, so that both lie in the processor's caches. */
FOR_ALL_WIDTHS static void compare(const float *embeddings, size_t n, const float *queries,
                                   size_t n_queries, float *best)
{
    for (size_t q = 0; q < n_queries; q++) {
        for (size_t i = 0; i < n; i++) {
            float c = cosine(embeddings + i * ANSWERS_DIMS, queries + q * ANSWERS_DIMS);
            best[q] = c > best[q] ? c : best[q];
        }
    }
}

void answers_best(const struct answers *answers, const float *queries, size_t n_queries,
                  float *cosines_out)
{
    for (size_t q = 0; q < n_queries; q++)
        cosines_out[q] = -1;
    for (size_t q = 0; q < n_queries; q += QUERIES_AT_ONCE) {
        size_t n = n_queries - q < QUERIES_AT_ONCE ? n_queries - q : QUERIES_AT_ONCE;
        for (size_t i = 0; i < answers->n; i += ANSWERS_AT_ONCE) {
            size_t n_rows = answers->n - i < ANSWERS_AT_ONCE ? answers->n - i : ANSWERS_AT_ONCE;
            compare(answers->embeddings + i * ANSWERS_DIMS, n_rows, queries + q * ANSWERS_DIMS, n,
                    cosines_out + q);
        }
    }
}
