/*
 * distance.c - how far vectors are apart, where they moved most, and distances over time.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include <math.h>

#include "base/check.h"
#include "kernel/kernel.h"
#include "temporal/temporal.h"

double mni_temporal_l2(const float *a, const float *b, uint32_t n_dims)
{
    double square;

    mni_kernels()->l2_wide(a, b, 1, n_dims, &square);
    return sqrt(square);
}

double mni_temporal_cosine(const float *a, const float *b, uint32_t n_dims)
{
    const struct mni_kernels *kernels = mni_kernels();
    double dot;
    double a_square;
    double b_square;

    kernels->dot_wide(a, b, 1, n_dims, &dot);
    kernels->dot_wide(a, a, 1, n_dims, &a_square);
    kernels->dot_wide(b, b, 1, n_dims, &b_square);
    if (a_square == 0 || b_square == 0)
        return 1;
    /* One root of the product: for equal vectors it is their square again, without a rest. Squares
     * of floats are so far inside the range of doubles that their product is, too. */
    double distance = 1 - dot / sqrt(a_square * b_square);
    if (distance < 0)
        return 0;
    return distance > 2 ? 2 : distance;
}

/* What moved most ------------------------------------------------------------------------------ */

/* Whether `a` moved more than `b`; a NaN moved least. No two dimensions are equal in this. */
static bool moved_more(const struct mn_drift_dimension *a, const struct mn_drift_dimension *b)
{
    double a_size = isnan(a->change) ? -1 : fabs(a->change);
    double b_size = isnan(b->change) ? -1 : fabs(b->change);

    return a_size != b_size ? a_size > b_size : a->dimension < b->dimension;
}

/* Puts an entry into the heap of `n`, whose first moved least, at `at` or below. */
static void sift_down(struct mn_drift_dimension *heap, size_t n, size_t at,
                      struct mn_drift_dimension entry)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && moved_more(&heap[child], &heap[child + 1]);
        if (!moved_more(&entry, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = entry;
}

static struct mn_drift_dimension dimension_at(const float *from, const float *to, size_t d)
{
    return (struct mn_drift_dimension){.dimension = (uint32_t)d,
                                       .from = from[d],
                                       .to = to[d],
                                       .change = (double)to[d] - (double)from[d]};
}

void mni_temporal_moved(const float *from, const float *to, uint32_t n_dims,
                        struct mn_drift_dimension *moved_out, size_t n_moved)
{
    MNI_CHECK(n_moved <= n_dims);
    if (n_moved == 0)
        return;
    for (size_t d = 0; d < n_moved; d++)
        moved_out[d] = dimension_at(from, to, d);
    for (size_t i = n_moved / 2; i > 0; i--)
        sift_down(moved_out, n_moved, i - 1, moved_out[i - 1]);
    for (size_t d = n_moved; d < n_dims; d++) {
        struct mn_drift_dimension entry = dimension_at(from, to, d);

        if (moved_more(&entry, &moved_out[0]))
            sift_down(moved_out, n_moved, 0, entry);
    }
    for (size_t end = n_moved; end > 1; end--) {
        struct mn_drift_dimension last = moved_out[end - 1];

        moved_out[end - 1] = moved_out[0];
        sift_down(moved_out, end - 1, 0, last);
    }
}

/* Over time ------------------------------------------------------------------------------------ */

size_t mni_temporal_distances(const struct mn_trajectory *a, const struct mn_trajectory *b,
                              int64_t from_us, int64_t to_us, mn_metric metric,
                              struct mn_distance_at *distances_out, size_t n_max)
{
    size_t n = 0;
    size_t i = 0; /* points of each at or before the time */
    size_t k = 0;

    MNI_CHECK(a->n_dims == b->n_dims);
    while (i < a->n_points || k < b->n_points) {
        bool is_a = k == b->n_points || (i < a->n_points && a->times_us[i] <= b->times_us[k]);
        int64_t time_us = is_a ? a->times_us[i] : b->times_us[k];

        if (time_us > to_us)
            break;
        i += i < a->n_points && a->times_us[i] == time_us;
        k += k < b->n_points && b->times_us[k] == time_us;
        if (i == 0 || k == 0 || time_us < from_us)
            continue;
        if (n < n_max) {
            const float *x = mni_temporal_vector(a, i - 1);
            const float *y = mni_temporal_vector(b, k - 1);

            distances_out[n].time_us = time_us;
            distances_out[n].distance = metric == MN_METRIC_L2
                                            ? mni_temporal_l2(x, y, a->n_dims)
                                            : mni_temporal_cosine(x, y, a->n_dims);
        }
        n++;
    }
    return n;
}
