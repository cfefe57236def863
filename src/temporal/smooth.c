/*
 * smooth.c - moving averages, and vectors at the times of a grid.
 *
 * Owns:    while an average runs, sums of one block of points.
 * Threads: any.
 * Fails:   when memory is short, before anything is written.
 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "temporal/temporal.h"

enum { STRIP = 16 }; /* dimensions that are averaged side by side */

/* Moving average ------------------------------------------------------------------------------- */

/* A strip of dimensions of all points. */
struct strip {
    const struct mn_trajectory *trajectory;
    size_t first;
    size_t n_dims;
    size_t window;
    double (*ends)[STRIP]; /* of the block before: sums from each of its points to its last one */
    float *averages_out;
};

static void sum_ends(const struct strip *s, size_t first_point)
{
    double sum[STRIP] = {0};

    for (size_t j = s->window; j > 0; j--) {
        const float *x = mni_temporal_vector(s->trajectory, first_point + j - 1) + s->first;

        for (size_t d = 0; d < s->n_dims; d++)
            sum[d] += (double)x[d];
        memcpy(s->ends[j - 1], sum, sizeof sum);
    }
}

/* One block of `window` points, or as many as there are. */
static void average_block(const struct strip *s, size_t first_point)
{
    const struct mn_trajectory *t = s->trajectory;
    size_t n_left = t->n_points - first_point;
    size_t n = n_left < s->window ? n_left : s->window;
    double sum[STRIP] = {0};

    for (size_t j = 0; j < n; j++) {
        const float *x = mni_temporal_vector(t, first_point + j) + s->first;
        float *average = s->averages_out + (first_point + j) * t->n_dims + s->first;
        bool is_full = first_point > 0;
        double n_points = (double)(is_full ? s->window : j + 1);
        const double *end = is_full && j + 1 < s->window ? s->ends[j + 1] : NULL;

        for (size_t d = 0; d < s->n_dims; d++) {
            sum[d] += (double)x[d];
            average[d] = (float)((end != NULL ? sum[d] + end[d] : sum[d]) / n_points);
        }
    }
}

mn_status mni_temporal_moving_average(const struct mn_trajectory *t, size_t window,
                                      float *averages_out, struct mn_error *err)
{
    struct strip s = {.trajectory = t, .window = window, .averages_out = averages_out};

    MNI_CHECK(window > 0);
    if (s.window > t->n_points)
        s.window = t->n_points;
    if (t->n_points == 0)
        return MN_OK;
    if (s.window < t->n_points) {
        s.ends = mni_alloc_array(s.window, sizeof *s.ends);
        if (s.ends == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "sums for a window of %zu points", s.window);
    }
    for (s.first = 0; s.first < t->n_dims; s.first += STRIP) {
        s.n_dims = t->n_dims - s.first < STRIP ? t->n_dims - s.first : STRIP;
        for (size_t i = 0; i < t->n_points; i += s.window) {
            average_block(&s, i);
            if (t->n_points - i > s.window)
                sum_ends(&s, i);
        }
    }
    mni_free(s.ends);
    return MN_OK;
}

/* Grids ---------------------------------------------------------------------------------------- */

static void between(const struct mn_trajectory *t, size_t before, int64_t time_us, float *vector)
{
    const float *x = mni_temporal_vector(t, before);
    const float *next = x + t->n_dims;
    double share = (double)mni_temporal_gap(t->times_us[before], time_us) /
                   (double)mni_temporal_gap(t->times_us[before], t->times_us[before + 1]);

    for (size_t d = 0; d < t->n_dims; d++)
        vector[d] = (float)((double)x[d] + share * ((double)next[d] - (double)x[d]));
}

size_t mni_temporal_resample(const struct mn_trajectory *t, mn_resample way, int64_t start_us,
                             int64_t step_us, size_t n, float *vectors_out)
{
    size_t n_until = 0; /* points at or before the time */
    size_t n_before = 0;

    MNI_CHECK(step_us > 0);
    for (size_t i = 0; i < n; i++) {
        int64_t time_us = (int64_t)((uint64_t)start_us + i * (uint64_t)step_us);
        float *vector = vectors_out + i * t->n_dims;

        while (n_until < t->n_points && t->times_us[n_until] <= time_us)
            n_until++;
        if (n_until == 0) {
            for (size_t d = 0; d < t->n_dims; d++)
                vector[d] = NAN;
            n_before++;
        } else if (way == MN_RESAMPLE_LAST || n_until == t->n_points ||
                   t->times_us[n_until - 1] == time_us) {
            memcpy(vector, mni_temporal_vector(t, n_until - 1), t->n_dims * sizeof *vector);
        } else {
            between(t, n_until - 1, time_us, vector);
        }
    }
    return n_before;
}
