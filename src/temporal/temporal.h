/*
 * temporal.h - what can be computed from the points of a trajectory. Knows no store.
 *
 * The functions are those of include/mneme/trajectory.h, which says what they give; here arguments
 * are right already: times ascend, n_dims is 1 to MN_DIMENSIONS_MAX, no size overflows, options
 * have their defaults filled in. `n` results mean what they mean there.
 *
 * Threads: any; a detector belongs to one at a time.
 */
#ifndef MNI_TEMPORAL_TEMPORAL_H
#define MNI_TEMPORAL_TEMPORAL_H

#include "base/status.h"
#include "mneme/trajectory.h"

/* Microseconds from one time to a later one; any two times. */
static inline uint64_t mni_temporal_gap(int64_t from_us, int64_t to_us)
{
    return (uint64_t)to_us - (uint64_t)from_us;
}

/* A point's vector. */
static inline const float *mni_temporal_vector(const struct mn_trajectory *t, size_t index)
{
    return t->vectors + index * t->n_dims;
}

/* Motion */
void mni_temporal_velocity(const struct mn_trajectory *t, int64_t unit_us, float *velocities_out,
                           double *speeds_out);
void mni_temporal_acceleration(const struct mn_trajectory *t, int64_t unit_us,
                               float *accelerations_out, double *lengths_out);
double mni_temporal_path_length(const struct mn_trajectory *t);

/* Distances */
double mni_temporal_l2(const float *a, const float *b, uint32_t n_dims);
double mni_temporal_cosine(const float *a, const float *b, uint32_t n_dims);
void mni_temporal_moved(const float *from, const float *to, uint32_t n_dims,
                        struct mn_drift_dimension *moved_out, size_t n_moved);
size_t mni_temporal_distances(const struct mn_trajectory *a, const struct mn_trajectory *b,
                              int64_t from_us, int64_t to_us, mn_metric metric,
                              struct mn_distance_at *distances_out, size_t n_max);

/* Smoothing and grids */
MN_MUST_USE mn_status mni_temporal_moving_average(const struct mn_trajectory *t, size_t window,
                                                  float *averages_out, struct mn_error *err);
/* Returns how many times of the grid lie before the first point. */
size_t mni_temporal_resample(const struct mn_trajectory *t, mn_resample way, int64_t start_us,
                             int64_t step_us, size_t n, float *vectors_out);

/* Changes: all elements are finite. */
MN_MUST_USE mn_status mni_temporal_changes(const struct mn_trajectory *t,
                                           const struct mn_changes_options *options,
                                           size_t *changes_out, size_t n_changes_max,
                                           struct mn_changes *result_out, struct mn_error *err);
void mni_temporal_detect(struct mn_detector *detector, double *mean, const float *vector,
                         struct mn_detection *detection_out);

/* Principal components: all elements are finite. NULL: not wanted. */
struct mni_principal {
    size_t n_components; /* 1 to MN_PRINCIPAL_MAX */
    double *coordinates_out;
    double *shares_out;
    double *axes_out;
};
MN_MUST_USE mn_status mni_temporal_principal(const struct mn_trajectory *t,
                                             const struct mni_principal *principal,
                                             struct mn_error *err);

#endif
