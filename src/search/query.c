/*
 * query.c - scores, and the bounds that codes give for them.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 *
 * The bounds. Let q be the query with length |q|, x a vector with length |x|, and both be a scale
 * times a code plus a rest (kernel.h). Their product differs from scale * scale * (code . code) by
 * at most
 *
 *     |q| * x.rest + q.rest * (|x| + x.rest)
 *
 * The kernels' sums have n / 32 + 5 roundings, each of at most 2^-24 of sums that are at most
 * |q| |x| (Higham, Accuracy and Stability of Numerical Algorithms, 3.1): for 65,536 dimensions less
 * than 2^-12 of it. The few roundings of scores, of lengths and of the bound itself are far below
 * the 2^-18 that stands for them. Vectors with codes are neither so long that a sum overflows nor
 * so short that what underflows counts.
 */
#include <math.h>

#include "base/check.h"
#include "search/search.h"

/* Share of |q| |x| by which a score or a bound may be wrong. */
static float slack(uint32_t n_dims)
{
    return 0x1p-18F + 0x1p-24F * ((float)n_dims / MNI_KERNEL_LANES + 8);
}

float mni_vector_length(const float *vector, uint32_t n_dims)
{
    float square;

    mni_kernels()->dot_f32(vector, 1, vector, 1, n_dims, &square);
    return sqrtf(square);
}

void mni_query_init(struct mni_query *query, enum mni_metric metric, const float *vector,
                    uint32_t n_dims, int8_t *codes)
{
    *query =
        (struct mni_query){.metric = metric, .n_dims = n_dims, .vector = vector, .codes = codes};
    query->length = mni_vector_length(vector, n_dims);
    mni_quantise_query(vector, n_dims, codes, &query->scale);
    query->has_codes = isfinite(query->scale.rest) && query->length > 0;
}

float mni_query_score(const struct mni_query *query, float raw, float length)
{
    if (query->metric == MNI_METRIC_DOT)
        return raw;
    if (query->metric == MNI_METRIC_L2)
        return 0 - raw; /* and not -0 */
    if (query->length == 0 || length == 0)
        return 0;
    /* the product of two floats is exact in a double, and never too large */
    return (float)((double)raw / ((double)query->length * (double)length));
}

struct mni_reach mni_query_reach(const struct mni_query *query, float least)
{
    float length = query->length;
    float e = slack(query->n_dims);
    struct mni_reach reach = {
        .by_product = query->scale.scale,
        .by_rest = (length + query->scale.rest) * (1 + e),
        .by_length = query->scale.rest * (1 + e) + e * length,
        .least = least,
    };

    MNI_CHECK(query->has_codes);
    if (query->metric == MNI_METRIC_COSINE) {
        /* dot >= least * |q| * |x| */
        reach.by_length -= least * length;
        reach.least = -0x1p-120F; /* vectors of length 0 score 0 */
    } else if (query->metric == MNI_METRIC_L2) {
        /* 2 dot - |x|^2 >= least + |q|^2; squares are as inexact as products */
        reach.by_product *= 2;
        reach.by_rest *= 2;
        reach.by_length *= 2;
        reach.by_square = -(1 - 4 * e);
        reach.least = least + length * length - 4 * e * length * length - 4 * e * fabsf(least);
    } else {
        reach.least = least - fabsf(least) * e;
    }
    return reach;
}

struct mni_above mni_query_above(const struct mni_query *query, float least)
{
    float share = 0x1p-20F; /* far above the few roundings of a score and of this */
    float tiny = 0x1p-100F; /* likewise of scores and bounds that are below the normal floats */
    float bound = least * query->length;

    if (query->metric == MNI_METRIC_DOT)
        return (struct mni_above){.by_raw = 1, .least = least};
    if (query->metric == MNI_METRIC_L2)
        return (struct mni_above){.by_raw = -1, .least = least};
    /* dot >= least * |q| * |x|. Squares of elements below 2^-60 underflow: of vectors that are so
     * short the length is wrong, and their dot product at most |q| times 2^-60. For a query that
     * is, nothing is said. */
    if (!(fabsf(least) <= 2) || !(query->length > 0x1p-40F))
        return (struct mni_above){.by_length = NAN};
    return (struct mni_above){.by_raw = 1,
                              .by_length = -(bound - share * fabsf(bound)) + tiny * query->length,
                              .least = -0x1p-57F * query->length - 0x1p-120F};
}
