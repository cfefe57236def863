/*
 * trajectory.c - how vectors moved over time: checks arguments, then computes.
 *
 * Owns:    nothing.
 * Threads: any; a detector belongs to one at a time.
 * Fails:   on arguments, before anything is written; when memory is short.
 */
#include "mneme/trajectory.h"

#include <inttypes.h>
#include <math.h>

#include "api/options.h"
#include "temporal/temporal.h"

enum {
    MIN_POINTS_DEFAULT = 2,
    COOLDOWN_DEFAULT = 5,
    WARM_UP_DEFAULT = 5,
    WARM_UP_MIN = 3, /* of two deviations there is a variance */
};
#define ALPHA_DEFAULT 0.05
#define THRESHOLD_DEFAULT 3.0

/* Arguments ------------------------------------------------------------------------------------ */

static mn_status check_dims(uint32_t n_dims, struct mn_error *err)
{
    if (n_dims == 0)
        return mni_fail(err, MN_ERR_INVALID, "a vector has no dimensions");
    if (n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "vectors have %" PRIu32 " dimensions, the limit is %d",
                        n_dims, MN_DIMENSIONS_MAX);
    return MN_OK;
}

/* That so many vectors, as doubles with something beside them, can be in memory. */
static mn_status check_size(size_t n_vectors, uint32_t n_dims, struct mn_error *err)
{
    if (n_vectors > SIZE_MAX / 32 / n_dims)
        return mni_fail(err, MN_ERR_LIMIT, "%zu vectors of %" PRIu32 " dimensions fit no memory",
                        n_vectors, n_dims);
    return MN_OK;
}

static mn_status check_trajectory(const struct mn_trajectory *t, struct mn_error *err)
{
    if (t == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no trajectory is given");
    mn_status st = check_dims(t->n_dims, err);
    if (st == MN_OK)
        st = check_size(t->n_points, t->n_dims, err);
    if (st != MN_OK)
        return st;
    if (t->n_points > 0 && (t->times_us == NULL || t->vectors == NULL))
        return mni_fail(err, MN_ERR_INVALID, "%zu points have no %s", t->n_points,
                        t->times_us == NULL ? "times" : "vectors");
    for (size_t i = 1; i < t->n_points; i++)
        if (t->times_us[i] <= t->times_us[i - 1])
            return mni_fail(err, MN_ERR_INVALID,
                            "times do not ascend: point %zu is at %" PRId64
                            ", the one before it at %" PRId64,
                            i, t->times_us[i], t->times_us[i - 1]);
    return MN_OK;
}

static mn_status check_finite(const float *vector, uint32_t n_dims, size_t point,
                              struct mn_error *err)
{
    for (uint32_t d = 0; d < n_dims; d++)
        if (!isfinite(vector[d]))
            return mni_fail(err, MN_ERR_INVALID, "element %" PRIu32 " of point %zu is %s", d, point,
                            isnan(vector[d]) ? "NaN" : "infinite");
    return MN_OK;
}

static mn_status no_place(const char *what, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_INVALID, "no place for %s", what);
}

/* Motion --------------------------------------------------------------------------------------- */

static mn_status check_motion(const struct mn_trajectory *t, int64_t unit_us, bool has_place,
                              struct mn_error *err)
{
    mn_status st = check_trajectory(t, err);

    if (st != MN_OK)
        return st;
    if (unit_us < 1)
        return mni_fail(err, MN_ERR_INVALID, "the unit of time is %" PRId64 " microseconds",
                        unit_us);
    return has_place ? MN_OK : no_place("vectors or their lengths", err);
}

mn_status mn_trajectory_velocity(const struct mn_trajectory *trajectory, int64_t unit_us,
                                 float *velocities_out, double *speeds_out, struct mn_error *err)
{
    bool has_place = velocities_out != NULL || speeds_out != NULL;
    mn_status st = check_motion(trajectory, unit_us, has_place, err);

    if (st == MN_OK)
        mni_temporal_velocity(trajectory, unit_us, velocities_out, speeds_out);
    return st;
}

mn_status mn_trajectory_acceleration(const struct mn_trajectory *trajectory, int64_t unit_us,
                                     float *accelerations_out, double *lengths_out,
                                     struct mn_error *err)
{
    bool has_place = accelerations_out != NULL || lengths_out != NULL;
    mn_status st = check_motion(trajectory, unit_us, has_place, err);

    if (st == MN_OK)
        mni_temporal_acceleration(trajectory, unit_us, accelerations_out, lengths_out);
    return st;
}

mn_status mn_trajectory_path_length(const struct mn_trajectory *trajectory, double *length_out,
                                    struct mn_error *err)
{
    mn_status st = check_trajectory(trajectory, err);

    if (st == MN_OK && length_out == NULL)
        st = no_place("the length", err);
    if (st == MN_OK)
        *length_out = mni_temporal_path_length(trajectory);
    return st;
}

mn_status mn_trajectory_drift(const float *from, const float *to, uint32_t n_dims,
                              struct mn_drift *drift_out, struct mn_drift_dimension *moved_out,
                              size_t n_moved, struct mn_error *err)
{
    mn_status st = check_dims(n_dims, err);

    if (st != MN_OK)
        return st;
    if (from == NULL || to == NULL)
        return mni_fail(err, MN_ERR_INVALID, "a vector is missing");
    if (drift_out == NULL || (n_moved > 0 && moved_out == NULL))
        return no_place(drift_out == NULL ? "the drift" : "dimensions", err);
    if (n_moved > n_dims)
        return mni_fail(err, MN_ERR_INVALID, "%zu of %" PRIu32 " dimensions are asked for", n_moved,
                        n_dims);
    drift_out->cosine = mni_temporal_cosine(from, to, n_dims);
    drift_out->l2 = mni_temporal_l2(from, to, n_dims);
    mni_temporal_moved(from, to, n_dims, moved_out, n_moved);
    return MN_OK;
}

/* Smoothing and grids -------------------------------------------------------------------------- */

mn_status mn_trajectory_moving_average(const struct mn_trajectory *trajectory, size_t window,
                                       float *averages_out, struct mn_error *err)
{
    mn_status st = check_trajectory(trajectory, err);

    if (st != MN_OK)
        return st;
    if (window == 0)
        return mni_fail(err, MN_ERR_INVALID, "the window has no points");
    if (averages_out == NULL && trajectory->n_points > 0)
        return no_place("the averages", err);
    return mni_temporal_moving_average(trajectory, window, averages_out, err);
}

static mn_status check_grid(int64_t start_us, int64_t step_us, size_t n, struct mn_error *err)
{
    uint64_t way_us;

    if (step_us < 1)
        return mni_fail(err, MN_ERR_INVALID, "the step of the grid is %" PRId64 " microseconds",
                        step_us);
    if (n > 0 && (__builtin_mul_overflow((uint64_t)step_us, (uint64_t)n - 1, &way_us) ||
                  way_us > mni_temporal_gap(start_us, INT64_MAX)))
        return mni_fail(err, MN_ERR_INVALID, "the grid ends behind the last time there is");
    return MN_OK;
}

mn_status mn_trajectory_resample(const struct mn_trajectory *trajectory, mn_resample way,
                                 int64_t start_us, int64_t step_us, size_t n, float *vectors_out,
                                 size_t *n_before_out, struct mn_error *err)
{
    mn_status st = check_trajectory(trajectory, err);

    if (st == MN_OK && way != MN_RESAMPLE_LAST && way != MN_RESAMPLE_LINEAR)
        st = mni_fail(err, MN_ERR_INVALID, "way %d of resampling is unknown", (int)way);
    if (st == MN_OK)
        st = check_grid(start_us, step_us, n, err);
    if (st == MN_OK)
        st = check_size(n, trajectory->n_dims, err);
    if (st == MN_OK && n > 0 && vectors_out == NULL)
        st = no_place("the vectors", err);
    if (st != MN_OK)
        return st;
    size_t n_before = mni_temporal_resample(trajectory, way, start_us, step_us, n, vectors_out);
    if (n_before_out != NULL)
        *n_before_out = n_before;
    return MN_OK;
}

/* Changes -------------------------------------------------------------------------------------- */

static mn_status read_changes_options(const struct mn_changes_options *options,
                                      struct mn_changes_options *o, struct mn_error *err)
{
    mn_status st = api_copy_options(options, o, sizeof *o, "mn_changes_options", err);

    if (st != MN_OK)
        return st;
    if (o->has_penalty && !(isfinite(o->penalty) && o->penalty >= 0))
        return mni_fail(err, MN_ERR_INVALID, "penalty %g is not a finite number of 0 or more",
                        o->penalty);
    if (o->min_points == 0)
        o->min_points = MIN_POINTS_DEFAULT;
    return MN_OK;
}

mn_status mn_trajectory_changes(const struct mn_trajectory *trajectory,
                                const struct mn_changes_options *options, size_t *changes_out,
                                size_t n_changes_max, struct mn_changes *result_out,
                                struct mn_error *err)
{
    struct mn_changes_options o;
    struct mn_changes result = {0};
    mn_status st = check_trajectory(trajectory, err);

    if (st == MN_OK)
        st = read_changes_options(options, &o, err);
    if (st == MN_OK && n_changes_max > 0 && changes_out == NULL)
        st = no_place("the changes", err);
    for (size_t i = 0; st == MN_OK && i < trajectory->n_points; i++)
        st = check_finite(mni_temporal_vector(trajectory, i), trajectory->n_dims, i, err);
    if (st == MN_OK && trajectory->n_points > 0)
        st = mni_temporal_changes(trajectory, &o, changes_out, n_changes_max, &result, err);
    else if (st == MN_OK && o.has_penalty)
        result.penalty = o.penalty;
    if (st == MN_OK && result_out != NULL)
        *result_out = result;
    return st;
}

mn_status mn_trajectory_detector_init(struct mn_detector *detector, uint32_t n_dims,
                                      const struct mn_detector_options *options,
                                      struct mn_error *err)
{
    struct mn_detector_options o;
    mn_status st = check_dims(n_dims, err);

    if (st == MN_OK && detector == NULL)
        st = no_place("the detector", err);
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_detector_options", err);
    if (st != MN_OK)
        return st;
    if (!(o.alpha >= 0 && o.alpha <= 1))
        return mni_fail(err, MN_ERR_INVALID, "alpha %g is not from 0 to 1", o.alpha);
    if (!(isfinite(o.threshold) && o.threshold >= 0))
        return mni_fail(err, MN_ERR_INVALID, "threshold %g is not a finite number above 0",
                        o.threshold);
    if (o.no_cooldown && o.cooldown != 0)
        return mni_fail(err, MN_ERR_INVALID, "a cooldown is given, and that there is none");
    if (o.warm_up != 0 && o.warm_up < WARM_UP_MIN)
        return mni_fail(err, MN_ERR_INVALID, "a warm-up of %" PRIu32 " points, the least is %d",
                        o.warm_up, WARM_UP_MIN);
    *detector = (struct mn_detector){
        .alpha = o.alpha == 0 ? ALPHA_DEFAULT : o.alpha,
        .threshold = o.threshold == 0 ? THRESHOLD_DEFAULT : o.threshold,
        .n_dims = n_dims,
        .cooldown = o.cooldown == 0 && !o.no_cooldown ? COOLDOWN_DEFAULT : o.cooldown,
        .warm_up = o.warm_up == 0 ? WARM_UP_DEFAULT : o.warm_up,
    };
    return MN_OK;
}

mn_status mn_trajectory_detector_update(struct mn_detector *detector, double *mean,
                                        const float *vector, struct mn_detection *detection_out,
                                        struct mn_error *err)
{
    if (detector == NULL || mean == NULL || vector == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no %s is given",
                        detector == NULL ? "detector"
                        : mean == NULL   ? "mean"
                                         : "vector");
    if (!(detector->alpha > 0 && detector->alpha <= 1) || detector->n_dims == 0 ||
        detector->n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "the detector was not set");
    if (detection_out == NULL)
        return no_place("the result", err);
    mn_status st = check_finite(vector, detector->n_dims, (size_t)detector->n_points, err);
    if (st == MN_OK)
        mni_temporal_detect(detector, mean, vector, detection_out);
    return st;
}

/* Two trajectories ----------------------------------------------------------------------------- */

mn_status mn_trajectory_distance(const struct mn_trajectory *a, const struct mn_trajectory *b,
                                 int64_t from_us, int64_t to_us, mn_metric metric,
                                 struct mn_distance_at *distances_out, size_t n_max, size_t *n_out,
                                 struct mn_error *err)
{
    mn_status st = check_trajectory(a, err);

    if (st == MN_OK)
        st = check_trajectory(b, err);
    if (st != MN_OK)
        return st;
    if (a->n_dims != b->n_dims)
        return mni_fail(err, MN_ERR_DIMENSION,
                        "one trajectory has %" PRIu32 " dimensions, the other %" PRIu32, a->n_dims,
                        b->n_dims);
    if (from_us > to_us)
        return mni_fail(err, MN_ERR_INVALID,
                        "the interval is reversed: from %" PRId64 " to %" PRId64, from_us, to_us);
    if (metric != MN_METRIC_DEFAULT && metric != MN_METRIC_COSINE && metric != MN_METRIC_L2)
        return mni_fail(err, MN_ERR_INVALID, "metric %d is no distance", (int)metric);
    if (n_out == NULL || (n_max > 0 && distances_out == NULL))
        return no_place(n_out == NULL ? "the number of distances" : "distances", err);
    *n_out = mni_temporal_distances(a, b, from_us, to_us, metric, distances_out, n_max);
    return MN_OK;
}

/* Drawing -------------------------------------------------------------------------------------- */

mn_status mn_trajectory_principal(const struct mn_trajectory *trajectory, size_t n_components,
                                  double *coordinates_out, double *shares_out, double *axes_out,
                                  struct mn_error *err)
{
    const struct mni_principal principal = {.n_components = n_components,
                                            .coordinates_out = coordinates_out,
                                            .shares_out = shares_out,
                                            .axes_out = axes_out};
    mn_status st = check_trajectory(trajectory, err);

    if (st == MN_OK && (n_components == 0 || n_components > MN_PRINCIPAL_MAX))
        st = mni_fail(err, MN_ERR_INVALID, "%zu components, there may be 1 to %d", n_components,
                      MN_PRINCIPAL_MAX);
    if (st == MN_OK && coordinates_out == NULL && shares_out == NULL && axes_out == NULL)
        st = no_place("coordinates, shares or axes", err);
    for (size_t i = 0; st == MN_OK && i < trajectory->n_points; i++)
        st = check_finite(mni_temporal_vector(trajectory, i), trajectory->n_dims, i, err);
    return st == MN_OK ? mni_temporal_principal(trajectory, &principal, err) : st;
}
