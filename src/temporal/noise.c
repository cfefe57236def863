/*
 * noise.c - mean and spread of all points, and the variance of an element within a segment.
 *
 * Owns:    nothing beyond a call.
 * Threads: any.
 * Fails:   when memory is short, or the caller wants no more of it.
 */
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "temporal/temporal_private.h"

enum { PACE_ADDITIONS = 1 << 20 };

mn_status mni_temporal_pace(struct mni_temporal_pace *pace, size_t n_additions,
                            struct mn_error *err)
{
    const struct mn_changes_options *o = pace->options;

    pace->n_additions += n_additions;
    if (pace->n_additions < PACE_ADDITIONS)
        return MN_OK;
    pace->n_additions = 0;
    if (o->is_cancelled != NULL && o->is_cancelled(o->cancel_context))
        return mni_fail(err, MN_ERR_CANCELLED, "the search for changes was cancelled");
    return MN_OK;
}

/* Doubles of 0 or more are in the order of their bits: the bits of the median are found from the
 * highest byte on, each by counting those that have the same bits above it. */
double mni_temporal_median(const double *values, size_t n)
{
    enum { BYTE_VALUES = 256 };
    size_t rank = (n - 1) / 2; /* among those with the same bits above */
    uint64_t found = 0;
    double median;

    MNI_CHECK(n > 0);
    for (unsigned shift = 64; shift > 0;) {
        size_t counts[BYTE_VALUES] = {0};
        uint64_t byte = 0;

        shift -= 8;
        for (size_t i = 0; i < n; i++) {
            uint64_t bits;

            memcpy(&bits, &values[i], sizeof bits);
            if (((bits ^ found) >> shift) < BYTE_VALUES)
                counts[(bits >> shift) % BYTE_VALUES]++;
        }
        while (rank >= counts[byte])
            rank -= counts[byte++];
        found |= byte << shift;
    }
    memcpy(&median, &found, sizeof median);
    return median;
}

static mn_status estimate_noise(const struct mn_trajectory *t, struct mni_temporal_pace *pace,
                                double *noise_out, struct mn_error *err)
{
    size_t n_steps = t->n_points - 1;
    double n_dims = (double)t->n_dims;
    double third = 1 - 2 / (9 * n_dims);
    double *steps = mni_alloc_array(n_steps, sizeof *steps);
    mn_status st = MN_OK;

    if (steps == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "distances of %zu neighbours", n_steps);
    for (size_t i = 0; i < n_steps && st == MN_OK; i++) {
        mni_kernels()->l2_wide(mni_temporal_vector(t, i), mni_temporal_vector(t, i + 1), 1,
                               t->n_dims, &steps[i]);
        st = mni_temporal_pace(pace, t->n_dims, err);
    }
    if (st == MN_OK)
        *noise_out = mni_temporal_median(steps, n_steps) / (2 * n_dims * third * third * third);
    mni_free(steps);
    return st;
}

mn_status mni_temporal_scale(const struct mn_trajectory *t, struct mni_temporal_pace *pace,
                             struct mni_temporal_scale *scale, struct mn_error *err)
{
    mn_status st = MN_OK;

    MNI_CHECK(t->n_points > 0);
    scale->spread = scale->noise = 0;
    memset(scale->mean, 0, t->n_dims * sizeof *scale->mean);
    for (size_t i = 0; i < t->n_points && st == MN_OK; i++) {
        const float *x = mni_temporal_vector(t, i);

        for (size_t d = 0; d < t->n_dims; d++)
            scale->mean[d] += (double)x[d];
        st = mni_temporal_pace(pace, t->n_dims, err);
    }
    for (size_t d = 0; d < t->n_dims; d++)
        scale->mean[d] /= (double)t->n_points;
    for (size_t i = 0; i < t->n_points && st == MN_OK; i++) {
        const float *x = mni_temporal_vector(t, i);
        double square = 0;

        for (size_t d = 0; d < t->n_dims; d++)
            square += ((double)x[d] - scale->mean[d]) * ((double)x[d] - scale->mean[d]);
        scale->spread += square;
        st = mni_temporal_pace(pace, t->n_dims, err);
    }
    if (st == MN_OK && t->n_points > 1)
        st = estimate_noise(t, pace, &scale->noise, err);
    return st;
}
