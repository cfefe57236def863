/*
 * trajectory.h - how a vector moved: speeds, drift, averages, grids, changes, distances over time.
 *
 * Pure functions over vectors in the caller's memory, from a store or from anywhere else. Results
 * go into memory of the caller, who keeps it and what it passed in; nothing is kept beyond a call,
 * and no result may overlap an input. Any thread may call any of them, at the same time too.
 *
 * All is computed in double, sums in several lanes where that is faster; a result that is a float
 * is rounded at the end.
 *
 * Elements that are NaN or infinite go through the formulas as IEEE 754 has it: what depends on
 * such an element is NaN or infinite, all else is not touched by it. Where that makes no sense
 * (changes, the detector) they are refused. A float result that is too large for a float is
 * infinite.
 *
 * Errors anywhere, with nothing written: MN_ERR_INVALID (a missing address, times that do not
 * ascend, an argument outside of what is said), MN_ERR_LIMIT (more than MN_DIMENSIONS_MAX
 * dimensions, or results that no memory can hold). MN_ERR_NOMEM only where it is named.
 */
#ifndef MNEME_TRAJECTORY_H
#define MNEME_TRAJECTORY_H

#include "mneme/search.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Points of one thing over time, borrowed. There may be none; then both addresses may be NULL. */
struct mn_trajectory {
    const int64_t *times_us; /* strictly ascending; any values, the smallest and largest too */
    const float *vectors;    /* n_points * n_dims, one behind the other */
    size_t n_points;
    uint32_t n_dims; /* 1 to MN_DIMENSIONS_MAX */
};

/* Motion ----------------------------------------------------------------------------------------
 */

/*
 * Velocity from each point to the next, and its length, the speed, per `unit_us` microseconds (1 or
 * more: 1000000 is per second):
 *
 *     v[i] = (x[i + 1] - x[i]) / (t[i + 1] - t[i]) * unit
 *
 * `velocities_out` has room for (n_points - 1) * n_dims elements, `speeds_out` for n_points - 1;
 * one of them may be NULL. With fewer than two points there are no results.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_velocity(const struct mn_trajectory *trajectory,
                                                    int64_t unit_us, float *velocities_out,
                                                    double *speeds_out, struct mn_error *err);

/*
 * Acceleration at each point between two others, from one velocity to the next. These count as
 * those of the midpoints between their points:
 *
 *     a[i] = (v[i + 1] - v[i]) / ((t[i + 2] - t[i]) / 2) * unit
 *
 * which is 0 for a uniform motion and exact for a uniformly accelerated one, whatever the distances
 * in time. Room for (n_points - 2) * n_dims and n_points - 2; one of them may be NULL. With fewer
 * than three points there are no results.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_acceleration(const struct mn_trajectory *trajectory,
                                                        int64_t unit_us, float *accelerations_out,
                                                        double *lengths_out, struct mn_error *err);

/* Sum of the Euclidean distances from each point to the next; 0 with fewer than two points. */
MN_API MN_MUST_USE mn_status mn_trajectory_path_length(const struct mn_trajectory *trajectory,
                                                       double *length_out, struct mn_error *err);

struct mn_drift {
    double cosine; /* 1 - dot / (|from| |to|), from 0 to 2; 1 where one of them has length 0 */
    double l2;     /* Euclidean distance */
};

struct mn_drift_dimension {
    uint32_t dimension; /* from 0 */
    float from;
    float to;
    double change; /* to - from */
};

/* How far it is from one vector to another; both have `n_dims` elements. The `n_moved` dimensions
 * that moved most go to `moved_out` (NULL when it is 0; n_dims at most), the largest magnitude
 * first, equal ones in the order of their numbers; a change that is NaN comes behind all others. */
MN_API MN_MUST_USE mn_status mn_trajectory_drift(const float *from, const float *to,
                                                 uint32_t n_dims, struct mn_drift *drift_out,
                                                 struct mn_drift_dimension *moved_out,
                                                 size_t n_moved, struct mn_error *err);

/* Smoothing and grids ---------------------------------------------------------------------------
 */

/*
 * At each point the mean of the last `window` points (1 or more), this one included; of those there
 * are, as long as there are fewer. Room for n_points * n_dims elements.
 *
 * It takes three additions an element, however long the window is, and no subtraction: blocks of
 * `window` points are summed up from their ends, and a window is the end of one block and the
 * beginning of the next. So no error builds up, and a NaN or a very large element is forgotten when
 * the window has left it. MN_ERR_NOMEM: it takes 128 bytes a point of the window.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_moving_average(const struct mn_trajectory *trajectory,
                                                          size_t window, float *averages_out,
                                                          struct mn_error *err);

typedef enum mn_resample {
    MN_RESAMPLE_LAST = 0,   /* the last point at or before the time */
    MN_RESAMPLE_LINEAR = 1, /* between the two points around the time, on a straight line */
} mn_resample;

/*
 * The vectors at the times start_us + i * step_us (1 or more), for i < n; the last of them must not
 * be above INT64_MAX. Room for n * n_dims elements. At the time of a point it is that point, in
 * both ways; behind the last point it is the last point, in both ways: nothing is extrapolated.
 * Before the first point there is nothing: these elements are set to NaN, and `n_before_out` (may
 * be NULL) says for how many times of the grid, its first ones.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_resample(const struct mn_trajectory *trajectory,
                                                    mn_resample way, int64_t start_us,
                                                    int64_t step_us, size_t n, float *vectors_out,
                                                    size_t *n_before_out, struct mn_error *err);

/* Changes ---------------------------------------------------------------------------------------
 */

/* NULL is the default; otherwise set `size`, all else may be zero. */
struct mn_changes_options {
    size_t size;
    bool has_penalty;
    double penalty;    /* finite, 0 or more; default see below */
    size_t min_points; /* of a segment; default 2 */
    /* May be NULL. Asked about once for a million additions; true ends it with MN_ERR_CANCELLED. */
    bool (*is_cancelled)(void *context);
    void *cancel_context;
};

struct mn_changes {
    size_t n_changes; /* all of them, also where there was no room */
    double penalty;   /* for each change, that was used */
    double noise;     /* variance of an element, as estimated */
    double cost;      /* of the segments, without penalties */
};

/*
 * Where the trajectory changed from one level to another: the segmentation with the least
 *
 *     sum of the costs of its segments + penalty * number of changes
 *
 * over all segmentations into segments of min_points or more (or into one). The cost of a segment
 * is the sum of the squared Euclidean distances of its points from their mean. This is the optimum,
 * by PELT (Killick, Fearnhead, Eckley: Optimal detection of changepoints with a linear
 * computational cost, JASA 107, 2012), up to what doubles round: costs that differ by less than
 * 2^-40 of the cost of all points as one segment count as equal, and a smaller penalty is raised to
 * that. Of segmentations that cost the same one is given, always the same. Times are not looked at.
 *
 * A change is the number of the first point of a segment, but for the first one. Changes go to
 * `changes_out` in ascending order, as far as there is room for `n_changes_max`; n_points /
 * min_points always suffices. `result_out` may be NULL.
 *
 * The penalty, unless it is given, is that of the Bayesian information criterion (Schwarz, 1978;
 * Yao, 1988, for changes) for n_dims + 1 parameters a change, a level and a place:
 *
 *     penalty = (n_dims + 1) * ln(n_points) * noise
 *     noise   = median of |x[i + 1] - x[i]|^2 / (2 * n_dims * (1 - 2 / (9 * n_dims))^3)
 *
 * `noise` is the variance of an element within a segment. It comes from neighbours, and from the
 * median of their distances (of an even number the lower one of the middle two), so that jumps do
 * not raise it, unless half of all steps are jumps; what it is divided by is the median of that
 * distance for independent normal noise of variance 1 (Wilson, Hilferty, 1931). Where neighbours
 * resemble each other more than that (a slow drift, overlapping windows, most points equal) the
 * noise comes out too small and changes too many: give a penalty then.
 *
 * Time and memory. Points that cannot begin the last segment any more are dropped, the rest is
 * looked at in groups with a bound for each, so that few are compared: 100,000 points of 128
 * dimensions with segments of some hundred points take a fraction of a second. It keeps 8 * n_dims
 * bytes for each point that is not dropped: those since the last change or two, or all when nothing
 * ever changes. No bound on time but n_points^2 / 2 * n_dims can be given for every input; noise
 * without any change and steady drifts stay far below it, as docs/internals/trajectories.md tells.
 *
 * MN_ERR_INVALID: also an element that is NaN or infinite. MN_ERR_NOMEM.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_changes(const struct mn_trajectory *trajectory,
                                                   const struct mn_changes_options *options,
                                                   size_t *changes_out, size_t n_changes_max,
                                                   struct mn_changes *result_out,
                                                   struct mn_error *err);

/* NULL is the default; otherwise set `size`, all else may be zero. */
struct mn_detector_options {
    size_t size;
    double alpha;      /* weight of a new point, above 0 and at most 1; 0: 0.05 */
    double threshold;  /* standard deviations that are a change, above 0, finite; 0: 3 */
    uint32_t cooldown; /* points after a change that are none; 0: 5 */
    bool no_cooldown;
    uint32_t warm_up; /* points in the beginning that are none, 3 or more; 0: 5 */
};

/*
 * Finds changes while points come in. All of its state is in this struct and in `n_dims` doubles,
 * the mean, which belong to the caller too: both may be copied, stored and used again as they are.
 * Fields are not for changing.
 *
 * The mean is the exponentially weighted one of the points since the last change. The deviation of
 * a point is its Euclidean distance from the mean of those before it, divided by sqrt(1 + spread),
 * where `spread` is the variance of that mean relative to that of a point: so deviations from a
 * mean of few points are not larger than later ones. Of the deviations an exponentially weighted
 * mean and variance are kept (Finch: Incremental calculation of weighted mean and variance, 2009),
 * and
 *
 *     z = (deviation - mean of deviations) / standard deviation of deviations
 *
 * A point is a change when z is above the threshold, after the warm-up and outside of a cooldown.
 * With it the mean begins anew, and its deviation is not learnt. Both weights are alpha, or 1 / k
 * for the k-th point or deviation where that is more. z is 0 in the warm-up, and infinite for a
 * deviation above the mean one when all before were equal (0 for one that is not above).
 */
struct mn_detector {
    double alpha;
    double threshold;
    double spread;
    double deviation_mean;
    double deviation_variance;
    uint64_t n_points;     /* fed so far */
    uint64_t n_averaged;   /* of these in the mean: since the last change */
    uint64_t n_deviations; /* learnt */
    uint32_t n_dims;
    uint32_t cooldown;
    uint32_t warm_up;
    uint32_t n_quiet; /* points left of the cooldown */
};

struct mn_detection {
    bool is_change;
    double z;
    double deviation;
};

/* Sets all of the detector; the mean need not be set. */
MN_API MN_MUST_USE mn_status mn_trajectory_detector_init(struct mn_detector *detector,
                                                         uint32_t n_dims,
                                                         const struct mn_detector_options *options,
                                                         struct mn_error *err);

/* The next point. `mean` has n_dims elements, the same in every call. MN_ERR_INVALID: also an
 * element that is NaN or infinite, and a detector that was not set. One thread at a time. */
MN_API MN_MUST_USE mn_status mn_trajectory_detector_update(struct mn_detector *detector,
                                                           double *mean, const float *vector,
                                                           struct mn_detection *detection_out,
                                                           struct mn_error *err);

/* Two trajectories ------------------------------------------------------------------------------
 */

struct mn_distance_at {
    int64_t time_us;
    double distance;
};

/*
 * How far two things are apart over time: at each time from from_us to to_us (both included, and
 * not reversed) at which one of them has a point, between the last point of each at or before it.
 * Times before one of them has a point are passed over. `metric` is MN_METRIC_COSINE (the default)
 * or MN_METRIC_L2, as in struct mn_drift.
 *
 * `n_out` is the number of such times; as many as there is room for go to `distances_out` (NULL
 * when n_max is 0), in ascending order. The sum of both n_points always suffices. MN_ERR_DIMENSION:
 * they have not the same number of dimensions.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_distance(const struct mn_trajectory *a,
                                                    const struct mn_trajectory *b, int64_t from_us,
                                                    int64_t to_us, mn_metric metric,
                                                    struct mn_distance_at *distances_out,
                                                    size_t n_max, size_t *n_out,
                                                    struct mn_error *err);

/* Drawing ---------------------------------------------------------------------------------------
 */

enum { MN_PRINCIPAL_MAX = 4 };

/*
 * The principal components of the points (Pearson, 1901; Hotelling, 1933): orthogonal directions in
 * which they spread most, the first one the most of all, the second one the most of those at right
 * angles to it, and so on; `n_components` of them, 1 to MN_PRINCIPAL_MAX. So the first two draw a
 * trajectory on paper with the least loss.
 *
 *     coordinates_out    n_points * n_components: of each point along each direction, from the mean
 *     shares_out         n_components: of the variance of all points, 0 to 1, descending
 *     axes_out           n_components * n_dims: the directions, each of length 1
 *
 * Any of them may be NULL, but not all. Of a direction the first of the elements with the largest
 * magnitude is positive. Where there are fewer directions (fewer dimensions or points than that, or
 * no spread that is above 10^-12 of the first one's variance) the rest is 0: one point, and points
 * that are all equal, have none.
 *
 * Directions that points spread in equally have no order; then it is always the same one. It goes
 * over all points again and again, some ten times as a rule and 51 times at most; what is left of
 * an error then is small unless the directions are as good as equal. MN_ERR_INVALID: also an
 * element that is NaN or infinite. MN_ERR_NOMEM: it takes 144 bytes a dimension.
 */
MN_API MN_MUST_USE mn_status mn_trajectory_principal(const struct mn_trajectory *trajectory,
                                                     size_t n_components, double *coordinates_out,
                                                     double *shares_out, double *axes_out,
                                                     struct mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
