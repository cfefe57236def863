/*
 * temporal_private.h - how the search for changes is made of parts.
 *
 *     changes.c   the search: point by point, what the best segmentation up to there costs
 *     front.c     the points at which its last segment may begin, in groups
 *     noise.c     the scale of things: mean, spread, and the variance of neighbours
 *
 * F(t) is the least cost of the first t points, with a penalty for each change, and C(s, t) that of
 * the segment of the points s to t - 1. Then F(t) is the least of `so_far` + C(s, t) over all s,
 * where `so_far` is F(s) + penalty, and 0 for s = 0.
 */
#ifndef MNI_TEMPORAL_TEMPORAL_PRIVATE_H
#define MNI_TEMPORAL_TEMPORAL_PRIVATE_H

#include "temporal/temporal.h"

/* Asking the caller now and then whether to go on. */
struct mni_temporal_pace {
    const struct mn_changes_options *options; /* borrowed */
    size_t n_additions;                       /* since it was asked */
};
/* Counts work. MN_ERR_CANCELLED. */
MN_MUST_USE mn_status mni_temporal_pace(struct mni_temporal_pace *pace, size_t n_additions,
                                        struct mn_error *err);

/* Scale */
struct mni_temporal_scale {
    double *mean;  /* of all points; n_dims, of the caller's */
    double spread; /* cost of all points as one segment */
    double noise;  /* as trajectory.h says */
};
MN_MUST_USE mn_status mni_temporal_scale(const struct mn_trajectory *t,
                                         struct mni_temporal_pace *pace,
                                         struct mni_temporal_scale *scale, struct mn_error *err);
/* The median of n > 0 numbers of 0 or more: of an even number, the lower one of the middle two. */
double mni_temporal_median(const double *values, size_t n);

/* Sums over the first `n` points, of what they are above the mean of all. */
struct mni_temporal_moment {
    size_t n;
    double square; /* sum of squares */
    double *sum;   /* n_dims */
};

/* A point at which the last segment may begin. */
struct mni_temporal_start {
    struct mni_temporal_moment before; /* of what lies before it; `n` is its number */
    double so_far;
};

/* Front */
struct mni_temporal_group;
struct mni_temporal_member;
struct mni_temporal_front {
    size_t n_dims;
    size_t min_points;
    size_t group_points; /* room in a group */
    double penalty;
    struct mni_temporal_pace *pace;      /* borrowed; outlives the front */
    struct mni_temporal_group *open;     /* owned; the newest starts, or NULL */
    struct mni_temporal_member *members; /* owned; the groups of older ones */
    double *block_bounds;                /* owned; for some members each, as of the mark */
    size_t n_members;
    size_t n_members_max;
    struct mni_temporal_moment mark; /* bounds were made for it */
    struct mni_temporal_start best;  /* what the last search found */
    double best_cost;                /* so_far, and the cost of its segment */
    double *scratch;                 /* n_dims */
    double *vectors;                 /* owned: those of mark and best, and scratch */
};

MN_MUST_USE mn_status mni_temporal_front_init(struct mni_temporal_front *front, size_t n_points,
                                              size_t n_dims, size_t min_points, double penalty,
                                              struct mni_temporal_pace *pace, struct mn_error *err);
void mni_temporal_front_done(struct mni_temporal_front *front);
/* Adds the point behind `now`, which is behind those added before. */
MN_MUST_USE mn_status mni_temporal_front_add(struct mni_temporal_front *front,
                                             const struct mni_temporal_moment *now, double so_far,
                                             struct mn_error *err);
/* Sets `best` and `best_cost` for a last segment that ends with `now`: at least min_points points,
 * and more than in the search before. Drops starts that are never the best any more. */
MN_MUST_USE mn_status mni_temporal_front_search(struct mni_temporal_front *front,
                                                const struct mni_temporal_moment *now,
                                                struct mn_error *err);

#endif
