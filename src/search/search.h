/*
 * search.h - the nearest vectors: what a score is, what can still reach one, and the best so far.
 *
 * Whoever has vectors (the engine) goes over them and asks this room:
 *
 *     query    made ready once; scores vectors, and tells by their codes which can be left out
 *     best     the k best results so far, and with them the score that others have to reach
 *
 * Scores are higher for what is nearer:
 *
 *     cosine   dot / (|q| |x|), 0 when one of them has length 0
 *     dot      the dot product
 *     l2       the negated squared Euclidean distance
 *
 * as the kernels make them (kernel/kernel.h). A length is rounded to float; the cosine's product of
 * lengths and its quotient are made in double and rounded once. A score that is NaN is no result.
 * What is left out by codes has a score, rounding errors included, below what was asked for:
 * leaving out changes no result.
 *
 * Threads: a query is immutable once made; a best belongs to one thread at a time.
 */
#ifndef MNI_SEARCH_SEARCH_H
#define MNI_SEARCH_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernel/kernel.h"

enum mni_metric { MNI_METRIC_COSINE = 1, MNI_METRIC_DOT, MNI_METRIC_L2 };

/* Queries ---------------------------------------------------------------------------------------
 */

struct mni_query {
    enum mni_metric metric;
    uint32_t n_dims;
    const float *vector; /* borrowed; outlives the query */
    int8_t *codes;       /* owned by whoever made it */
    struct mni_code_scale scale;
    float length;
    bool has_codes; /* false: nothing can be left out, the vector is too long or not finite */
};

/* `codes` is room for mni_query_code_bytes(n_dims), which the query uses as long as it is used. */
void mni_query_init(struct mni_query *query, enum mni_metric metric, const float *vector,
                    uint32_t n_dims, int8_t *codes);

/* Length of a vector, as segments keep it. */
float mni_vector_length(const float *vector, uint32_t n_dims);

/* The score of a vector. `raw`: its dot product with the query, for l2 the squared distance, by a
 * kernel. `length`: its own, for cosine. */
float mni_query_score(const struct mni_query *query, float raw, float length);

/* What codes have to show for a score of at least `least` to be possible. */
struct mni_reach mni_query_reach(const struct mni_query *query, float least);

/* What a kernel's result has to be for a score of at least `least` to be possible. */
struct mni_above mni_query_above(const struct mni_query *query, float least);

/* The best --------------------------------------------------------------------------------------
 */

/* A result: where it lies is its finder's business. */
struct mni_hit {
    float score;
    uint32_t source;
    uint64_t position;
};

/* Below zero when `a` goes before `b` of the same score. */
typedef int mni_hit_order_fn(void *context, const struct mni_hit *a, const struct mni_hit *b);

struct mni_best {
    struct mni_hit *hits; /* owned: a heap, the worst first */
    size_t n;
    size_t n_max;
    float least; /* scores below are no results: what was asked for, then that of the worst */
    mni_hit_order_fn *order;
    void *order_context;
};

/* For the `n_max` > 0 best with scores of at least `least`, -INFINITY for all. */
MN_MUST_USE mn_status mni_best_init(struct mni_best *best, size_t n_max, float least,
                                    mni_hit_order_fn *order, void *context, struct mn_error *err);
void mni_best_done(struct mni_best *best);
void mni_best_add(struct mni_best *best, const struct mni_hit *hit);
/* The best first. It is no heap any more after that. */
void mni_best_sort(struct mni_best *best);

#endif
