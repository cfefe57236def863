/*
 * nearest.h - the points of a space that are nearest to a vector: at a time, in an interval, ever.
 *
 *     mn_temporal_nearest_open -> mn_temporal_nearest_next ... MN_END -> mn_temporal_nearest_close
 *
 * An entity is at most one result, with one of its points. Which of them can be it:
 *
 *     MN_NEAREST_EVER      all
 *     MN_NEAREST_AS_OF     the latest at or before a time, as of mn_temporal_as_of
 *     MN_NEAREST_WITHIN    those within an interval, both ends included
 *
 * Of several it is the one with the smallest distance, of equal ones the earliest. Results come in
 * the order of their distances, equal ones in that of their entities. The answer is that of
 * comparing every point, and shows one moment: the one at which the search was opened.
 *
 * Distances without time are
 *
 *     cosine   1 - dot / (|q| |x|), from 0 to 2; 1 where one of them has length 0
 *     l2       the Euclidean distance
 *
 * where dot products, lengths and squared distances are made as search.h tells, the rest in double.
 * The dot product is no distance and is refused. A point whose distance is NaN (one with a NaN in
 * it, for example) is passed over: of MN_NEAREST_AS_OF its entity is no result then, of the others
 * it may be with another point. An l2 distance whose square is too large for a float is infinite,
 * and a result like any other.
 *
 * With time in it the distance is
 *
 *     distance = alpha * meaning + (1 - alpha) * decay
 *     meaning  = cosine / 2          or   l2 / (l2 + l2_half), 1 for an infinite one
 *     decay    = 1 - 2^(-|t - around_us| / half_life_us)
 *
 * where t is the time of the point. Both parts go from 0 to 1: `meaning` is one half for vectors at
 * right angles, or l2_half apart; `decay` for a point that is a half-life from around_us, before it
 * or after. It is computed in double; its last bits may depend on the C library.
 */
#ifndef MNEME_NEAREST_H
#define MNEME_NEAREST_H

#include "mneme/search.h"
#include "mneme/temporal.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_nearest_scope {
    MN_NEAREST_EVER = 0,
    MN_NEAREST_AS_OF = 1,
    MN_NEAREST_WITHIN = 2,
} mn_nearest_scope;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_nearest_options), all else may be
 * zero. */
struct mn_nearest_options {
    size_t size;
    mn_nearest_scope scope;
    int64_t at_us;   /* of MN_NEAREST_AS_OF */
    int64_t from_us; /* of MN_NEAREST_WITHIN, as to_us */
    int64_t to_us;
    mn_metric metric; /* MN_METRIC_COSINE (the default) or MN_METRIC_L2 */
    bool weighs_time;
    double alpha; /* share of the meaning, 0 to 1. This and the next four: with weighs_time only */
    int64_t half_life_us; /* 1 or more */
    bool has_around; /* false: around_us is at_us, or to_us; of MN_NEAREST_EVER it must be set */
    int64_t around_us;
    double l2_half;     /* above 0, finite; 0: 1 */
    int64_t timeout_us; /* of mn_temporal_nearest_open; 0: none */
    /* May be NULL. Asked about once a megabyte of vectors or more often; true ends it. */
    bool (*is_cancelled)(void *context);
    void *cancel_context;
};

/* A search and its results. It belongs to one thread at a time. */
typedef struct mn_nearest mn_nearest;

/*
 * Finds the `limit` nearest entities (1 to MN_SEARCH_RESULTS_MAX) to `query` of `n_dims` elements.
 * Of the points only the results are kept in memory, and of those only where they are. Close with
 * mn_temporal_nearest_close; until then mn_close is refused. `options` may be NULL.
 *
 * MN_NOT_FOUND: no such space; one without points has no results. MN_ERR_DIMENSION: its vectors
 * have not n_dims elements. MN_ERR_INVALID: also a query with an element that is infinite or NaN,
 * an interval that is reversed, `alpha` or `half_life_us` out of bounds. MN_ERR_LIMIT: `limit` or
 * n_dims is too large. MN_ERR_TIMEOUT, MN_ERR_CANCELLED: as the options ask; there are no results
 * then. MN_ERR_CORRUPT: a point that may be one of the results lies in a damaged part of a file,
 * which `err` names. MN_ERR_BUDGET as of mn_search_open.
 */
MN_API MN_MUST_USE mn_status mn_temporal_nearest_open(
    mn_store *store, uint32_t space, const float *query, uint32_t n_dims, size_t limit,
    const struct mn_nearest_options *options, mn_nearest **nearest_out, struct mn_error *err);

struct mn_nearest_hit {
    double distance;           /* with time in it, if it was asked for */
    double vector_distance;    /* cosine or l2 */
    double decay;              /* 0 without time */
    struct mn_point_view view; /* the caller releases it; it may outlive the search */
};

/* The nearest first. MN_OK: sets `hit_out`. MN_END behind the last, and clears it. MN_ERR_BUDGET,
 * MN_ERR_CORRUPT: clear it too; the call after that gives the same result, or goes on behind it, as
 * of mn_search_next. */
MN_API MN_MUST_USE mn_status mn_temporal_nearest_next(mn_nearest *nearest,
                                                      struct mn_nearest_hit *hit_out,
                                                      struct mn_error *err);

/* What a search did. Set `size` before the call. */
struct mn_nearest_stats {
    size_t size;
    uint64_t n_results;
    uint64_t n_entities; /* with a point that was compared */
    uint64_t n_points;   /* that were compared */
    uint64_t n_passed;   /* read on the way, and not looked at for their times */
    int64_t duration_us; /* of mn_temporal_nearest_open */
};

MN_API MN_MUST_USE mn_status mn_temporal_nearest_stats(const mn_nearest *nearest,
                                                       struct mn_nearest_stats *stats_out,
                                                       struct mn_error *err);

MN_API void mn_temporal_nearest_close(mn_nearest *nearest); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
