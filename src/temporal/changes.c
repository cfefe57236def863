/*
 * changes.c - where a trajectory changed: the segmentation that costs least.
 *
 * Owns:    while it runs, sums, and for each point where the best last segment up to it begins.
 * Threads: any.
 * Fails:   when memory is short, or the caller wants no more of it; then nothing is written.
 */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "temporal/temporal_private.h"

/* Costs that differ by less than this share of the spread count as equal. Far above the rounding
 * errors of the sums, which are compensated and so stay below 2^-48 of it. */
#define EQUAL_SHARE 0x1p-40

struct search {
    const struct mn_trajectory *trajectory;
    struct mni_temporal_pace pace;
    struct mni_temporal_scale scale;
    struct mni_temporal_front front;
    struct mni_temporal_moment now;
    double square_rest; /* what rounding lost of the sums (Kahan, 1965) */
    double *sum_rests;
    double *memory; /* owned: mean, sums and their rests */
    size_t *begins; /* owned: [n] for the first n points, where their last segment begins */
};

static void add_point(struct search *s, const float *x)
{
    double square = 0;

    for (size_t d = 0; d < s->trajectory->n_dims; d++) {
        double above = (double)x[d] - s->scale.mean[d];
        double step = above - s->sum_rests[d];
        double sum = s->now.sum[d] + step;

        s->sum_rests[d] = sum - s->now.sum[d] - step;
        s->now.sum[d] = sum;
        square += above * above;
    }
    double step = square - s->square_rest;
    double sum = s->now.square + step;
    s->square_rest = sum - s->now.square - step;
    s->now.square = sum;
    s->now.n++;
}

/* Goes over the points. Then `front.best_cost` is the least cost of all, and `begins` tells how. */
static mn_status run(struct search *s, size_t min_points, double penalty, struct mn_error *err)
{
    const struct mn_trajectory *t = s->trajectory;
    mn_status st = mni_temporal_front_init(&s->front, t->n_points, t->n_dims, min_points, penalty,
                                           &s->pace, err);

    if (st == MN_OK)
        st = mni_temporal_front_add(&s->front, &s->now, 0, err);
    while (st == MN_OK && s->now.n < t->n_points) {
        add_point(s, mni_temporal_vector(t, s->now.n));
        st = mni_temporal_pace(&s->pace, t->n_dims, err);
        if (st != MN_OK || s->now.n < min_points)
            continue;
        st = mni_temporal_front_search(&s->front, &s->now, err);
        s->begins[s->now.n] = s->front.best.before.n;
        if (st == MN_OK && t->n_points - s->now.n >= min_points)
            st = mni_temporal_front_add(&s->front, &s->now, s->front.best_cost + penalty, err);
    }
    return st;
}

static mn_status search_init(struct search *s, const struct mn_trajectory *t,
                             const struct mn_changes_options *options, struct mn_error *err)
{
    *s = (struct search){.trajectory = t, .pace = {.options = options}};
    s->memory = mni_alloc_zero(3 * t->n_dims * sizeof *s->memory);
    s->begins = mni_alloc_array(t->n_points + 1, sizeof *s->begins);
    if (s->memory == NULL || s->begins == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the search for changes in %zu points", t->n_points);
    s->scale.mean = s->memory;
    s->now.sum = s->memory + t->n_dims;
    s->sum_rests = s->memory + 2 * t->n_dims;
    return MN_OK;
}

static void search_done(struct search *s)
{
    mni_temporal_front_done(&s->front);
    mni_free(s->memory);
    mni_free(s->begins);
}

/* Sets the changes, as far as there is room, and returns how many there are. */
static size_t read_changes(const struct search *s, size_t *changes_out, size_t n_changes_max)
{
    size_t n = 0;

    for (size_t end = s->begins[s->trajectory->n_points]; end > 0; end = s->begins[end])
        n++;
    size_t i = n;
    for (size_t end = s->begins[s->trajectory->n_points]; end > 0; end = s->begins[end]) {
        if (--i < n_changes_max)
            changes_out[i] = end;
    }
    return n;
}

static double penalty_of(const struct mn_trajectory *t, const struct mn_changes_options *o,
                         const struct mni_temporal_scale *scale)
{
    double least = EQUAL_SHARE * scale->spread;
    double penalty = o->has_penalty
                         ? o->penalty
                         : ((double)t->n_dims + 1) * log((double)t->n_points) * scale->noise;

    return penalty > least ? penalty : least;
}

mn_status mni_temporal_changes(const struct mn_trajectory *t,
                               const struct mn_changes_options *options, size_t *changes_out,
                               size_t n_changes_max, struct mn_changes *result_out,
                               struct mn_error *err)
{
    struct mn_changes result = {0};
    struct search s;

    MNI_CHECK(t->n_points > 0 && options->min_points > 0);
    mn_status st = search_init(&s, t, options, err);
    if (st == MN_OK)
        st = mni_temporal_scale(t, &s.pace, &s.scale, err);
    if (st != MN_OK)
        goto out;
    result.noise = s.scale.noise;
    result.penalty = penalty_of(t, options, &s.scale);
    result.cost = s.scale.spread;
    if (t->n_points / 2 >= options->min_points && s.scale.spread > 0) {
        st = run(&s, options->min_points, result.penalty, err);
        if (st != MN_OK)
            goto out;
        result.n_changes = read_changes(&s, changes_out, n_changes_max);
        result.cost = s.front.best_cost - result.penalty * (double)result.n_changes;
        if (result.cost < 0)
            result.cost = 0;
    }
    *result_out = result;
out:
    search_done(&s);
    return st;
}
