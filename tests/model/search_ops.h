/*
 * search_ops.h - searches beside the model: the best of all that is there, in order.
 */
#ifndef TESTS_MODEL_SEARCH_OPS_H
#define TESTS_MODEL_SEARCH_OPS_H

#include <math.h>

#include "kernel/kernel.h"
#include "scan_ops.h"

struct ranked {
    float score;
    unsigned id; /* also the rank of equals */
};

static inline int by_score(const void *one, const void *other)
{
    const struct ranked *a = one;
    const struct ranked *b = other;

    return a->score != b->score ? (a->score < b->score) - (a->score > b->score)
                                : (a->id > b->id) - (a->id < b->id);
}

/* As search.h of the library says; which kernel adds up makes no difference. */
static inline float score_of(mn_metric metric, const float *q, const float *x, uint32_t n_dims)
{
    const struct mni_kernels *k = mni_kernels();
    float raw;
    float squares[2];

    (metric == MN_METRIC_L2 ? k->l2_f32 : k->dot_f32)(q, 1, x, 1, n_dims, &raw);
    if (metric == MN_METRIC_L2)
        return -raw;
    if (metric == MN_METRIC_DOT)
        return raw;
    k->dot_f32(q, 1, q, 1, n_dims, &squares[0]);
    k->dot_f32(x, 1, x, 1, n_dims, &squares[1]);
    if (squares[0] == 0 || squares[1] == 0)
        return 0;
    return (float)((double)raw / ((double)sqrtf(squares[0]) * (double)sqrtf(squares[1])));
}

/* What the model says; returns how many. */
static inline unsigned rank_all(const struct world *w, const struct space *space,
                                const struct mn_search_options *o, const float *query,
                                struct ranked ranked[N_IDS])
{
    unsigned n = 0;

    for (unsigned id = 0; id < N_IDS; id++) {
        const struct slot *s = &space->slots[id];
        struct made made;
        if (!is_visible(s, w->now_us) || s->content.n_dims == 0)
            continue;
        make_content(&s->content, id_of(id), &made);
        float score = score_of(o->metric, query, made.vector, s->content.n_dims);
        if (!isnan(score) && (!o->has_min_score || score >= o->min_score))
            ranked[n++] = (struct ranked){score, id};
    }
    qsort(ranked, n, sizeof *ranked, by_score);
    return n;
}

static inline void search_step(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    const struct space *space = &w->now.spaces[name];
    uint32_t n_dims = space->dimension > 0 ? space->dimension : 1 + below(w, DIMS_MAX);
    size_t limit = 1 + below(w, N_IDS);
    struct mn_search_options o = {
        .size = sizeof o,
        .metric = (mn_metric)(1 + below(w, 3)),
        .offset = one_in(w, 4) ? below(w, N_IDS) : 0,
        .has_min_score = one_in(w, 4),
        .min_score = (float)below(w, 5) - 2,
        .full_scan = one_in(w, 3),
    };
    struct ranked ranked[N_IDS];
    float query[DIMS_MAX];
    mn_search *search = NULL;
    struct mn_search_hit hit;

    for (uint32_t i = 0; i < n_dims; i++)
        query[i] = (float)below(w, 9) - 4;
    mn_status st = CALLED(
        w, mn_search_open(w->store, name_of(name), query, 1, n_dims, limit, &o, &search, call(w)));
    CHECK_STATUS(st, space->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    unsigned n = rank_all(w, space, &o, query, ranked);
    for (size_t i = o.offset; i < n && i - o.offset < limit; i++) {
        const struct slot *s = &space->slots[ranked[i].id];
        CHECK_OK(CALLED(w, mn_search_next(search, &hit, call(w))));
        CHECK_EQ(hit.query, 0);
        CHECK(hit.score == ranked[i].score);
        check_view(&hit.view, id_of(ranked[i].id), &s->content, s->lsn);
        hold(w, &hit.view, ranked[i].id, s);
    }
    CHECK_STATUS(mn_search_next(search, &hit, NULL), MN_END);
    check_cleared(&hit.view);
    mn_search_close(search);
}

#endif
