/*
 * motion.c - velocity, acceleration and the length of the way.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 */
#include <math.h>

#include "base/check.h"
#include "temporal/temporal.h"

void mni_temporal_velocity(const struct mn_trajectory *t, int64_t unit_us, float *velocities_out,
                           double *speeds_out)
{
    MNI_CHECK(unit_us > 0);
    for (size_t i = 0; i + 1 < t->n_points; i++) {
        double units =
            (double)mni_temporal_gap(t->times_us[i], t->times_us[i + 1]) / (double)unit_us;
        const float *x = mni_temporal_vector(t, i);
        const float *next = x + t->n_dims;
        double square = 0;

        for (size_t d = 0; d < t->n_dims; d++) {
            double v = ((double)next[d] - (double)x[d]) / units;

            square += v * v;
            if (velocities_out != NULL)
                velocities_out[i * t->n_dims + d] = (float)v;
        }
        if (speeds_out != NULL)
            speeds_out[i] = sqrt(square);
    }
}

void mni_temporal_acceleration(const struct mn_trajectory *t, int64_t unit_us,
                               float *accelerations_out, double *lengths_out)
{
    MNI_CHECK(unit_us > 0);
    for (size_t i = 0; i + 2 < t->n_points; i++) {
        const int64_t *time = t->times_us + i;
        double unit = (double)unit_us;
        double before = (double)mni_temporal_gap(time[0], time[1]) / unit;
        double after = (double)mni_temporal_gap(time[1], time[2]) / unit;
        double between = (double)mni_temporal_gap(time[0], time[2]) / unit / 2;
        const float *x = mni_temporal_vector(t, i);
        const float *next = x + t->n_dims;
        const float *last = next + t->n_dims;
        double square = 0;

        for (size_t d = 0; d < t->n_dims; d++) {
            double v = ((double)next[d] - (double)x[d]) / before;
            double w = ((double)last[d] - (double)next[d]) / after;
            double a = (w - v) / between;

            square += a * a;
            if (accelerations_out != NULL)
                accelerations_out[i * t->n_dims + d] = (float)a;
        }
        if (lengths_out != NULL)
            lengths_out[i] = sqrt(square);
    }
}

double mni_temporal_path_length(const struct mn_trajectory *t)
{
    double length = 0;

    for (size_t i = 0; i + 1 < t->n_points; i++)
        length +=
            mni_temporal_l2(mni_temporal_vector(t, i), mni_temporal_vector(t, i + 1), t->n_dims);
    return length;
}
