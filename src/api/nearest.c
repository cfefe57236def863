/*
 * nearest.c - the points of a space that are nearest to a vector, in time.
 *
 * Owns:    a search a walk, for its view, and where its results are.
 * Threads: one per search.
 * Fails:   on arguments, before anything is read; as the engine's search of points.
 */
#include "mneme/nearest.h"

#include <inttypes.h>
#include <math.h>

#include "api/temporal_private.h"
#include "base/mem.h"

struct mn_nearest {
    struct mni_engine *engine;   /* borrowed */
    struct mni_walk *walk;       /* owned; it has ended */
    struct mni_collection space; /* as the walk's view sees it */
    struct mni_nearest_results results;
    size_t next; /* result to give */
    int64_t duration_us;
};

/* Arguments ---------- */

static mn_status check_query(const float *query, uint32_t n_dims, size_t limit,
                             struct mn_error *err)
{
    if (query == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no query is given");
    if (n_dims == 0)
        return mni_fail(err, MN_ERR_INVALID, "a query has no dimensions");
    if (n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "query has %" PRIu32 " dimensions, the limit is %d",
                        n_dims, MN_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < n_dims; i++)
        if (!isfinite(query[i]))
            return mni_fail(err, MN_ERR_INVALID, "element %" PRIu32 " of the query is %s", i,
                            isnan(query[i]) ? "NaN" : "infinite");
    if (limit == 0)
        return mni_fail(err, MN_ERR_INVALID, "limit is 0, a search gives 1 result or more");
    if (limit > MN_SEARCH_RESULTS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "limit %zu is more than %d", limit,
                        MN_SEARCH_RESULTS_MAX);
    return MN_OK;
}

static mn_status check_weights(const struct mn_nearest_options *o, struct mn_error *err)
{
    if (!o->weighs_time)
        return MN_OK;
    if (!(o->alpha >= 0 && o->alpha <= 1))
        return mni_fail(err, MN_ERR_INVALID, "alpha is not from 0 to 1");
    if (o->half_life_us < 1)
        return mni_fail(err, MN_ERR_INVALID, "half_life_us is %" PRId64 ", not 1 or more",
                        o->half_life_us);
    if (o->scope == MN_NEAREST_EVER && !o->has_around)
        return mni_fail(err, MN_ERR_INVALID, "nothing says around which time points are near");
    if (!(o->l2_half >= 0) || isinf(o->l2_half))
        return mni_fail(err, MN_ERR_INVALID, "l2_half is not finite, or below 0");
    return MN_OK;
}

static mn_status check_options(const struct mn_nearest_options *o, struct mn_error *err)
{
    const struct api_span span = {.from_us = o->from_us, .to_us = o->to_us};

    if (o->scope < MN_NEAREST_EVER || o->scope > MN_NEAREST_WITHIN)
        return mni_fail(err, MN_ERR_INVALID, "scope %d is unknown", (int)o->scope);
    if (o->metric < MN_METRIC_DEFAULT || o->metric > MN_METRIC_L2)
        return mni_fail(err, MN_ERR_INVALID, "metric %d is unknown", (int)o->metric);
    if (o->metric == MN_METRIC_DOT)
        return mni_fail(err, MN_ERR_INVALID, "the dot product is no distance");
    if (o->timeout_us < 0)
        return mni_fail(err, MN_ERR_INVALID, "timeout_us is negative");
    mn_status st = o->scope == MN_NEAREST_WITHIN ? api_check_span(&span, err) : MN_OK;
    return st == MN_OK ? check_weights(o, err) : st;
}

/* What is asked for, but for the query. */
static struct mni_nearest asked(const struct mn_nearest_options *o)
{
    struct mni_nearest about = {
        .metric = o->metric == MN_METRIC_L2 ? MNI_METRIC_L2 : MNI_METRIC_COSINE,
        .from_us = INT64_MIN,
        .to_us = INT64_MAX,
        .is_latest_only = o->scope == MN_NEAREST_AS_OF,
        .weighs_time = o->weighs_time,
        .alpha = o->alpha,
        .half_life_us = o->half_life_us,
        .l2_half = o->l2_half > 0 ? o->l2_half : 1,
        .is_cancelled = o->is_cancelled,
        .cancel_context = o->cancel_context,
    };

    if (o->scope == MN_NEAREST_AS_OF)
        about.to_us = o->at_us;
    if (o->scope == MN_NEAREST_WITHIN) {
        about.from_us = o->from_us;
        about.to_us = o->to_us;
    }
    about.around_us = o->has_around ? o->around_us : about.to_us;
    return about;
}

/* Opening ---------- */

void mn_temporal_nearest_close(mn_nearest *nearest)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (nearest == NULL || mni_engine_check(nearest->engine, NULL) != MN_OK)
        return;
    mni_nearest_results_done(nearest->engine, &nearest->results);
    mni_walk_close(nearest->walk);
    mni_free(nearest);
}

static mn_status run(struct mn_nearest *nearest, uint32_t space, const struct mni_nearest *about,
                     struct mn_error *err)
{
    const struct mni_walk_options backwards = {.reverse = true};
    unsigned char room[MNI_SPACE_KEY_BYTES];
    mn_status st = mni_walk_open(nearest->engine, &backwards, &nearest->walk, err);

    if (st != MN_OK)
        return st;
    st = mni_view_collection(mni_walk_view(nearest->walk), MNI_KIND_SPACE,
                             mni_space_key(space, room), &nearest->space, err);
    if (st == MN_NOT_FOUND)
        return api_no_space(space, err);
    if (st == MN_OK && nearest->space.dimension != about->n_dims)
        st = mni_fail(err, MN_ERR_DIMENSION,
                      "query has %" PRIu32 " dimensions, space %" PRIu32 " has %" PRIu32,
                      about->n_dims, space, nearest->space.dimension);
    struct mni_nearest shown = *about;
    int64_t horizon_us =
        mni_space_horizon_us(&nearest->space.settings, mni_walk_view(nearest->walk)->point.now_us);
    if (shown.from_us < horizon_us)
        shown.from_us = horizon_us;
    if (st == MN_OK)
        st = mni_nearest_run(nearest->walk, nearest->space.number, &shown, &nearest->results, err);
    return st;
}

mn_status mn_temporal_nearest_open(mn_store *store, uint32_t space, const float *query,
                                   uint32_t n_dims, size_t limit,
                                   const struct mn_nearest_options *options,
                                   mn_nearest **nearest_out, struct mn_error *err)
{
    struct mn_nearest_options o;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && nearest_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the search");
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_nearest_options", err);
    if (st == MN_OK)
        st = check_options(&o, err);
    if (st == MN_OK)
        st = check_query(query, n_dims, limit, err);
    if (st != MN_OK)
        return st;
    struct mn_nearest *nearest = mni_alloc_zero(sizeof *nearest);
    if (nearest == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a search");
    nearest->engine = store->engine;
    int64_t begin_us = mni_engine_mono_us(store->engine);
    struct mni_nearest about = asked(&o);
    about.vector = query;
    about.n_dims = n_dims;
    about.n_best = limit;
    if (o.timeout_us != 0 && __builtin_add_overflow(begin_us, o.timeout_us, &about.deadline_us))
        about.deadline_us = INT64_MAX;
    st = run(nearest, space, &about, err);
    nearest->duration_us = mni_engine_mono_us(store->engine) - begin_us;
    if (st != MN_OK) {
        mn_temporal_nearest_close(nearest);
        return st;
    }
    *nearest_out = nearest;
    return MN_OK;
}

/* Results ---------- */

static mn_status read_hit(struct mn_nearest *nearest, const struct mni_nearest_hit *hit,
                          struct mn_point_view *view_out, struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(hit->entity, hit->time_us);
    struct mni_found found;
    mn_status st = mni_view_get(mni_walk_view(nearest->walk), nearest->space.number,
                                (struct mn_slice){key.bytes, sizeof key.bytes}, &found, err);

    if (st == MN_NOT_FOUND) /* it was there when its view was walked over */
        return mni_fail(err, MN_ERR_CORRUPT,
                        "the point of entity %" PRIu64 " at %" PRId64 " us is not found by its key",
                        hit->entity, hit->time_us);
    if (st == MN_OK)
        st = mni_found_pin(nearest->engine, &found, err);
    return st == MN_OK ? api_set_point(view_out, &found, err) : st;
}

mn_status mn_temporal_nearest_next(mn_nearest *nearest, struct mn_nearest_hit *hit_out,
                                   struct mn_error *err)
{
    if (nearest == NULL || hit_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no search, or no place for the result");
    mn_status st = mni_engine_check(nearest->engine, err);
    if (st != MN_OK)
        return st;
    *hit_out = (struct mn_nearest_hit){0};
    if (nearest->next == nearest->results.n)
        return mni_fail(err, MN_END, "there are no more results");
    const struct mni_nearest_hit *hit = &nearest->results.hits[nearest->next];
    st = read_hit(nearest, hit, &hit_out->view, err);
    nearest->next += st == MN_OK || st == MN_ERR_CORRUPT;
    if (st != MN_OK)
        return st;
    hit_out->distance = hit->distance;
    hit_out->vector_distance = hit->vector_distance;
    hit_out->decay = hit->decay;
    return MN_OK;
}

mn_status mn_temporal_nearest_stats(const mn_nearest *nearest, struct mn_nearest_stats *stats_out,
                                    struct mn_error *err)
{
    if (nearest == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no search");
    if (stats_out == NULL || stats_out->size < sizeof stats_out->size || stats_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "mn_nearest_stats.size is not set");
    mn_status st = mni_engine_check(nearest->engine, err);
    if (st != MN_OK)
        return st;
    const struct mn_nearest_stats stats = {
        .size = stats_out->size,
        .n_results = nearest->results.n,
        .n_entities = nearest->results.stats.n_entities,
        .n_points = nearest->results.stats.n_points,
        .n_passed = nearest->results.stats.n_passed,
        .duration_us = nearest->duration_us,
    };
    memcpy(stats_out, &stats, stats.size < sizeof stats ? stats.size : sizeof stats);
    return MN_OK;
}
