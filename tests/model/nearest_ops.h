/*
 * nearest_ops.h - the nearest points of a space beside the model.
 */
#ifndef TESTS_MODEL_NEAREST_OPS_H
#define TESTS_MODEL_NEAREST_OPS_H

#include "search_ops.h"
#include "temporal_ops.h"

struct near {
    double distance;
    unsigned entity; /* also the rank of equals */
    unsigned time;
};

static inline int by_distance(const void *one, const void *other)
{
    const struct near *a = one;
    const struct near *b = other;

    return a->distance != b->distance ? (a->distance > b->distance) - (a->distance < b->distance)
                                      : (a->entity > b->entity) - (a->entity < b->entity);
}

/* As nearest.h of the library says, without time. */
static inline double distance_of(mn_metric metric, const float *q, const float *x, uint32_t n_dims)
{
    double score = (double)score_of(metric, q, x, n_dims);

    if (metric == MN_METRIC_L2)
        return sqrt(-score);
    return isnan(score) ? score : fmin(fmax(1 - score, 0), 2);
}

static inline bool near_of(const struct world *w, const struct track *track, unsigned e,
                           const struct mn_nearest_options *o, const float *query,
                           struct near *near_out)
{
    bool is_found = false;
    unsigned latest = N_TIMES;

    for (unsigned t = 0; t < N_TIMES; t++)
        if (is_shown(track, e, t, w->now_us) && time_of(t) <= o->at_us)
            latest = t;
    for (unsigned t = 0; t < N_TIMES; t++) {
        const struct slot *s = &track->points[e][t];
        struct mn_point point;
        struct made made;
        if (!is_shown(track, e, t, w->now_us) || (o->scope == MN_NEAREST_AS_OF && t != latest) ||
            (o->scope == MN_NEAREST_WITHIN && (time_of(t) < o->from_us || time_of(t) > o->to_us)))
            continue;
        make_point(&s->content, e, t, &made, &point);
        double distance = distance_of(o->metric, query, point.vector, point.n_dims);
        if (isnan(distance) || (is_found && distance >= near_out->distance))
            continue;
        *near_out = (struct near){distance, e, t};
        is_found = true;
    }
    return is_found;
}

static inline void nearest_step(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    const struct track *track = &w->now.tracks[k];
    uint32_t n_dims = track->exists ? track->dimension : 1 + below(w, DIMS_MAX);
    size_t limit = 1 + below(w, N_ENTITIES + 1);
    unsigned from = below(w, N_TIMES);
    const struct mn_nearest_options o = {
        .size = sizeof o,
        .scope = (mn_nearest_scope)below(w, 3),
        .at_us = time_of(below(w, N_TIMES)),
        .from_us = time_of(from),
        .to_us = time_of(from + below(w, N_TIMES - from)),
        .metric = one_in(w, 2) ? MN_METRIC_COSINE : MN_METRIC_L2,
    };
    struct near nears[N_ENTITIES];
    float query[DIMS_MAX];
    mn_nearest *nearest = NULL;
    struct mn_nearest_hit hit;
    size_t n = 0;

    for (uint32_t i = 0; i < n_dims; i++)
        query[i] = (float)below(w, 9) - 4;
    mn_status st = CALLED(w, mn_temporal_nearest_open(w->store, track_of(k), query, n_dims, limit,
                                                      &o, &nearest, call(w)));
    CHECK_STATUS(st, track->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    for (unsigned e = 0; e < N_ENTITIES; e++)
        n += near_of(w, track, e, &o, query, &nears[n]);
    qsort(nears, n, sizeof *nears, by_distance);
    for (size_t i = 0; i < n && i < limit; i++) {
        const struct near *near = &nears[i];
        CHECK_OK(CALLED(w, mn_temporal_nearest_next(nearest, &hit, call(w))));
        CHECK(hit.distance == near->distance);
        check_point_view(&hit.view, near->entity, near->time,
                         &track->points[near->entity][near->time]);
        mn_point_release(&hit.view);
    }
    CHECK_STATUS(mn_temporal_nearest_next(nearest, &hit, NULL), MN_END);
    check_no_point(&hit.view);
    mn_temporal_nearest_close(nearest);
}

#endif
