/*
 * nearest.c - the nearest points of a space within an interval of times, one of each entity.
 *
 * One walk goes over all points, from the last entity to the first and back in time. Points that
 * cannot count (behind the interval, before it, before the latest one where only that is wanted)
 * are passed over: some of them step by step, then with a seek behind all of them.
 *
 * Owns:    the best results so far; each point is let go of when it was compared.
 * Threads: one per walk.
 * Fails:   MN_ERR_NOMEM, MN_ERR_CANCELLED, MN_ERR_TIMEOUT, and as walks do.
 */
#include <inttypes.h>
#include <math.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    STEPS_BEFORE_SEEK = 16, /* a seek costs as much as some steps */
    ASK_EVERY_BYTES = 1 << 20,
    ASK_EVERY_POINTS = 256,
};

static const double ln_2 = 0x1.62e42fefa39efp-1;

struct moment {
    uint64_t entity;
    int64_t time_us;
};

struct finder {
    struct mni_engine *engine;
    struct mni_walk *walk;           /* borrowed */
    const struct mni_nearest *about; /* borrowed */
    struct mni_query query;          /* without codes */
    struct mni_search ask;           /* whether to go on */
    uint32_t points_left;            /* until that is asked again */
    bool has_target;
    struct moment target; /* the last point that may count is there, or further on in the walk */
    uint32_t n_steps;     /* towards it */
    bool has_seen;        /* a point was compared */
    uint64_t seen_entity; /* the last one's */
    bool has_best;        /* of the entity that the walk is at */
    struct mni_nearest_hit best;
    struct mni_nearest_hit *heap; /* the k nearest so far, the farthest first */
    struct mni_nearest_results *results;
};

/* The nearest so far ---------- */

static bool is_nearer(const struct mni_nearest_hit *a, const struct mni_nearest_hit *b)
{
    return a->distance != b->distance ? a->distance < b->distance : a->entity < b->entity;
}

/* Puts a hit into the heap of `n` at `at` or below, where its place is. */
static void sift_down(struct mni_nearest_hit *heap, struct mni_nearest_hit hit, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && is_nearer(&heap[child], &heap[child + 1]);
        if (!is_nearer(&hit, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = hit;
}

static void add_hit(struct finder *f, const struct mni_nearest_hit *hit)
{
    struct mni_nearest_hit *heap = f->heap;
    size_t at = f->results->n;

    if (at == f->about->n_best) {
        if (is_nearer(hit, &heap[0]))
            sift_down(heap, *hit, 0, at);
        return;
    }
    for (f->results->n++; at > 0 && is_nearer(&heap[(at - 1) / 2], hit); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = *hit;
}

static void sort_hits(struct mni_nearest_hit *heap, size_t n)
{
    for (size_t end = n; end > 1; end--) {
        struct mni_nearest_hit last = heap[end - 1];

        heap[end - 1] = heap[0];
        sift_down(heap, last, 0, end - 1);
    }
}

static void finish_entity(struct finder *f)
{
    if (f->has_best)
        add_hit(f, &f->best);
    f->has_best = false;
}

/* Distances ---------- */

static double vector_distance(const struct finder *f, const float *vector)
{
    const struct mni_kernels *k = mni_kernels();
    const struct mni_query *q = &f->query;
    float raw;

    if (q->metric == MNI_METRIC_L2) {
        k->l2_f32(q->vector, 1, vector, 1, q->n_dims, &raw);
        return sqrt((double)raw);
    }
    k->dot_f32(q->vector, 1, vector, 1, q->n_dims, &raw);
    double distance = 1 - (double)mni_query_score(q, raw, mni_vector_length(vector, q->n_dims));
    return distance < 0 ? 0 : distance > 2 ? 2 : distance; /* NaN stays */
}

/* From 0 to 1. */
static double meaning_of(const struct mni_nearest *about, double distance)
{
    if (about->metric == MNI_METRIC_COSINE)
        return distance / 2;
    return isinf(distance) ? 1 : distance / (distance + about->l2_half);
}

static double decay_of(const struct mni_nearest *about, int64_t time_us)
{
    uint64_t gap_us = time_us > about->around_us ? (uint64_t)time_us - (uint64_t)about->around_us
                                                 : (uint64_t)about->around_us - (uint64_t)time_us;

    /* 1 - 2^-x, which keeps its digits where x is small */
    return -expm1(-(double)gap_us / (double)about->half_life_us * ln_2);
}

static mn_status compare(struct finder *f, const struct moment *at, const struct mni_record *r,
                         struct mn_error *err)
{
    const struct mni_nearest *about = f->about;
    struct mni_nearest_hit hit = {.entity = at->entity, .time_us = at->time_us};

    if (r->element_type != MNI_ELEMENT_F32 || r->n_dims != about->n_dims)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "a point has %" PRIu32 " dimensions, its space has %" PRIu32, r->n_dims,
                        about->n_dims);
    f->results->stats.n_points++;
    hit.vector_distance = vector_distance(f, r->vector);
    hit.distance = hit.vector_distance;
    if (about->weighs_time) {
        hit.decay = decay_of(about, at->time_us);
        hit.distance =
            about->alpha * meaning_of(about, hit.vector_distance) + (1 - about->alpha) * hit.decay;
    }
    if (isnan(hit.vector_distance))
        return MN_OK;
    /* The walk goes back in time, so that of equal ones the earliest stays. */
    if (!f->has_best || hit.distance <= f->best.distance)
        f->best = hit;
    f->has_best = true;
    return MN_OK;
}

/* The way ---------- */

static bool is_ahead_of(const struct moment *a, const struct moment *target)
{
    return a->entity != target->entity ? a->entity > target->entity : a->time_us > target->time_us;
}

static void aim(struct finder *f, uint64_t entity, int64_t time_us)
{
    f->has_target = true;
    f->target = (struct moment){entity, time_us};
    f->n_steps = 0;
}

/* Goes on with the entity before this one. MN_END: there is none. */
static mn_status leave_entity(struct finder *f, uint64_t entity)
{
    if (entity == 0)
        return MN_END;
    aim(f, entity - 1, f->about->to_us);
    return MN_OK;
}

static mn_status seek(struct finder *f, struct mn_error *err)
{
    struct mni_point_key behind = mni_point_key(f->target.entity, f->target.time_us);
    struct mni_walk_options options = {.reverse = true};

    if (mni_point_key_next(&behind))
        options.after = (struct mn_slice){behind.bytes, sizeof behind.bytes};
    f->n_steps = 0;
    return mni_walk_again(f->walk, &options, err);
}

static mn_status pass(struct finder *f, struct mn_error *err)
{
    f->results->stats.n_passed++;
    return ++f->n_steps < STEPS_BEFORE_SEEK ? MN_OK : seek(f, err);
}

/* MN_END: no other point can count. */
static mn_status look_at(struct finder *f, const struct mni_record *r, struct mn_error *err)
{
    const struct mni_nearest *about = f->about;
    struct moment at;

    if (!mni_point_key_read(r->key, &at.entity, &at.time_us))
        return mni_fail(err, MN_ERR_CORRUPT, "a space holds a key of %zu bytes", r->key.n_bytes);
    if (f->has_target && is_ahead_of(&at, &f->target))
        return pass(f, err);
    if (f->has_best && f->best.entity != at.entity)
        finish_entity(f);
    if (at.time_us > about->to_us) {
        aim(f, at.entity, about->to_us);
        return pass(f, err);
    }
    if (at.time_us < about->from_us) {
        f->results->stats.n_passed++;
        return leave_entity(f, at.entity);
    }
    f->results->stats.n_entities += !f->has_seen || f->seen_entity != at.entity;
    f->has_seen = true;
    f->seen_entity = at.entity;
    mn_status st = compare(f, &at, r, err);
    return st == MN_OK && about->is_latest_only ? leave_entity(f, at.entity) : st;
}

static mn_status ask(struct finder *f, struct mn_error *err)
{
    uint64_t vector_bytes = f->about->n_dims * sizeof(float);
    uint64_t n = ASK_EVERY_BYTES / vector_bytes;

    if (f->points_left-- > 0)
        return MN_OK;
    f->points_left = n < ASK_EVERY_POINTS ? (uint32_t)n : ASK_EVERY_POINTS;
    return engine_search_ask(f->engine, &f->ask, err);
}

static mn_status find(struct finder *f, struct mn_error *err)
{
    struct mni_found found;
    mn_status st = ask(f, err);

    while (st == MN_OK && (st = mni_walk_next(f->walk, &found, err)) == MN_OK) {
        st = look_at(f, &found.record, err);
        mni_pin_release(found.pin);
        if (st == MN_OK)
            st = ask(f, err);
    }
    if (st != MN_END)
        return st;
    finish_entity(f);
    return MN_OK;
}

mn_status mni_nearest_run(struct mni_walk *walk, uint64_t collection,
                          const struct mni_nearest *about, struct mni_nearest_results *results_out,
                          struct mn_error *err)
{
    struct mni_engine *engine = mni_walk_view(walk)->engine;
    struct finder f = {
        .engine = engine,
        .walk = walk,
        .about = about,
        .query = {.metric = about->metric,
                  .n_dims = about->n_dims,
                  .vector = about->vector,
                  .length = mni_vector_length(about->vector, about->n_dims)},
        .ask = {.deadline_us = about->deadline_us,
                .is_cancelled = about->is_cancelled,
                .cancel_context = about->cancel_context},
        .results = results_out,
    };
    uint64_t memory_bytes = about->n_best * sizeof *f.heap;

    MNI_CHECK(about->n_best > 0 && about->n_dims > 0);
    MNI_CHECK(about->metric == MNI_METRIC_COSINE || about->metric == MNI_METRIC_L2);
    *results_out = (struct mni_nearest_results){0};
    if (!budget_search_try(engine, memory_bytes))
        return budget_refuse(engine, memory_bytes, err);
    results_out->counted_bytes = memory_bytes;
    results_out->hits = f.heap = mni_alloc_array(about->n_best, sizeof *f.heap);
    mn_status st = f.heap == NULL
                       ? mni_fail(err, MN_ERR_NOMEM, "room for %zu results", about->n_best)
                       : mni_walk_start(walk, collection, err);
    if (st == MN_OK)
        st = find(&f, err);
    if (st == MN_OK)
        sort_hits(results_out->hits, results_out->n);
    else
        mni_nearest_results_done(engine, results_out);
    return st;
}

void mni_nearest_results_done(struct mni_engine *engine, struct mni_nearest_results *results)
{
    budget_walk_subtract(engine, results->counted_bytes);
    mni_free(results->hits);
    *results = (struct mni_nearest_results){0};
}
