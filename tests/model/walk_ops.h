/*
 * walk_ops.h - reading beside the model: views, batches of them, walks, namespaces, numbers.
 */
#ifndef TESTS_MODEL_WALK_OPS_H
#define TESTS_MODEL_WALK_OPS_H

#include "answers.h"
#include "world.h"

static inline void let_go(struct held_view *held)
{
    check_view(&held->view, id_of(held->id), &held->content, held->lsn);
    mn_view_release(&held->view);
    check_cleared(&held->view);
}

/* Keeps the view for a while, in place of an older one. */
static inline void hold(struct world *w, struct mn_view *view, unsigned id, const struct slot *s)
{
    struct held_view *held = &w->held[below(w, N_HELD)];

    if (held->view.pin != NULL)
        let_go(held);
    *held = (struct held_view){.view = *view, .id = id, .content = s->content, .lsn = s->lsn};
}

static inline void get_one(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    unsigned id = below(w, N_IDS);
    const struct space *space = &w->now.spaces[name];
    const struct slot *s = &space->slots[id];
    struct mn_view view = {.n_dims = 77};
    bool exists = one_in(w, 2);
    bool sees = space->exists && is_visible(s, w->now_us);

    mn_status st = CALLED(w, mn_get(w->store, name_of(name), id_of(id), &view, call(w)));
    CHECK_STATUS(st, sees ? MN_OK : MN_NOT_FOUND);
    if (sees) {
        check_view(&view, id_of(id), &s->content, s->lsn);
        hold(w, &view, id, s);
    } else {
        check_cleared(&view);
    }
    CHECK_OK(CALLED(w, mn_exists(w->store, name_of(name), id_of(id), &exists, call(w))));
    CHECK_EQ(exists, sees);
}

static inline void get_many(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    const struct space *space = &w->now.spaces[name];
    unsigned n = below(w, 40);
    unsigned picks[40];
    struct mn_slice ids[40];
    struct mn_view views[40];
    size_t n_found = 99;
    size_t n_expected = 0;

    memset(views, 0x55, sizeof views);
    for (unsigned i = 0; i < n; i++) {
        picks[i] = below(w, N_IDS);
        ids[i] = id_of(picks[i]);
    }
    mn_status st =
        CALLED(w, mn_get_batch(w->store, name_of(name), ids, n, views, &n_found, call(w)));
    CHECK_STATUS(st, space->exists ? MN_OK : MN_NOT_FOUND);
    for (unsigned i = 0; i < n; i++) {
        const struct slot *s = &space->slots[picks[i]];
        bool sees = space->exists && is_visible(s, w->now_us);
        n_expected += sees;
        if (sees)
            check_view(&views[i], ids[i], &s->content, s->lsn);
        else
            check_cleared(&views[i]);
        mn_view_release(&views[i]);
    }
    if (st == MN_OK)
        CHECK_EQ(n_found, n_expected);
}

static inline bool begins_with(struct mn_slice id, struct mn_slice prefix)
{
    return id.n_bytes >= prefix.n_bytes && memcmp(id.data, prefix.data, prefix.n_bytes) == 0;
}

/* Ids are in the order of their bytes: an index is a rank. */
static inline bool is_walked(const struct mn_iter_options *o, unsigned after, unsigned until,
                             unsigned id)
{
    if (o->after.n_bytes > 0 && (o->reverse ? id >= after : id <= after))
        return false;
    if (o->until.n_bytes > 0 && (o->reverse ? id <= until : id >= until))
        return false;
    return o->prefix.n_bytes == 0 || begins_with(id_of(id), o->prefix);
}

static inline void open_walk(struct world *w, struct walk *walk)
{
    unsigned name = below(w, N_NAMES);
    const struct space *space = &w->now.spaces[name];
    struct mn_iter_options o = {.size = sizeof o, .reverse = one_in(w, 2)};
    unsigned after = below(w, N_IDS);
    unsigned until = below(w, N_IDS);

    *walk = (struct walk){0};
    if (one_in(w, 2))
        o.after = id_of(after);
    if (one_in(w, 4))
        o.until = id_of(until);
    if (one_in(w, 3)) {
        o.prefix = id_of(below(w, N_IDS));
        o.prefix.n_bytes = 1 + below(w, (unsigned)(o.prefix.n_bytes < 3 ? o.prefix.n_bytes : 3));
    }
    for (unsigned i = 0; i < N_IDS; i++) {
        unsigned id = o.reverse ? N_IDS - 1 - i : i;
        const struct slot *s = &space->slots[id];
        if (!is_visible(s, w->now_us) || !is_walked(&o, after, until, id))
            continue;
        walk->ids[walk->n_left] = id;
        walk->slots[walk->n_left++] = *s;
    }
    mn_status st = CALLED(w, mn_iter_open(w->store, name_of(name), &o, &walk->iter, call(w)));
    CHECK_STATUS(st, space->exists ? MN_OK : MN_NOT_FOUND);
}

static inline void close_walk(struct walk *walk)
{
    mn_iter_close(walk->iter);
    walk->iter = NULL;
}

static inline void walk_on(struct world *w, struct walk *walk)
{
    struct mn_view view = {.n_dims = 77};
    mn_status st = CALLED(w, mn_iter_next(walk->iter, &view, call(w)));

    if (walk->n_left == 0) {
        CHECK_STATUS(st, MN_END);
        check_cleared(&view);
        CHECK_STATUS(mn_iter_next(walk->iter, &view, NULL), MN_END);
        close_walk(walk);
        return;
    }
    CHECK_OK(st);
    const struct slot *s = &walk->slots[walk->next];
    unsigned id = walk->ids[walk->next++];
    walk->n_left--;
    check_view(&view, id_of(id), &s->content, s->lsn);
    hold(w, &view, id, s);
}

static inline void walk_step(struct world *w)
{
    struct walk *walk = &w->walks[below(w, N_WALKS)];

    if (walk->iter == NULL)
        open_walk(w, walk);
    else if (one_in(w, 20))
        close_walk(walk);
    for (unsigned n = below(w, 8); n > 0 && walk->iter != NULL; n--)
        walk_on(w, walk);
}

static inline void walk_namespaces(struct world *w)
{
    mn_namespace_iter *iter = NULL;
    struct mn_namespace_info info;
    struct mn_slice after = {0};
    unsigned first = 0;

    if (one_in(w, 3)) {
        first = below(w, N_NAMES);
        after = name_of(first++);
    }
    CHECK_OK(CALLED(w, mn_namespace_iter_open(w->store, after, &iter, call(w))));
    for (unsigned n = first; n < N_NAMES; n++) {
        const struct space *s = &w->now.spaces[n];
        if (!s->exists)
            continue;
        CHECK_OK(CALLED(w, mn_namespace_iter_next(iter, &info, call(w))));
        CHECK_EQ(info.name.n_bytes, name_of(n).n_bytes);
        CHECK_MEM_EQ(info.name.data, name_of(n).data, info.name.n_bytes);
        CHECK_EQ(info.dimension, s->dimension);
        CHECK_EQ(info.created_lsn, s->created_lsn);
        CHECK_EQ(info.n_records, count_visible(w, n));
    }
    CHECK_STATUS(CALLED(w, mn_namespace_iter_next(iter, &info, call(w))), MN_END);
    mn_namespace_iter_close(iter);
}

/* Everything that can be counted, at each step. */
static inline void check_numbers(struct world *w)
{
    struct mn_stats stats = {.size = sizeof stats};
    uint64_t n_spaces = 0;
    uint64_t n_tracks = 0;
    uint64_t n_live = 0;
    uint64_t n_all = 0;
    unsigned one = below(w, N_NAMES);

    for (unsigned n = 0; n < N_NAMES; n++) {
        const struct space *s = &w->now.spaces[n];
        if (!s->exists)
            continue;
        n_spaces++;
        n_live += count_visible(w, n);
        for (unsigned i = 0; i < N_IDS; i++)
            n_all += s->slots[i].is_there;
    }
    for (unsigned n = 0; n < N_TRACKS; n++) {
        const struct track *track = &w->now.tracks[n];
        n_tracks += track->exists;
        n_live += count_records(track, w->now_us);
        for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++)
            n_all += track->pasts[i / N_TIMES][i % N_TIMES].n;
        for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++)
            n_all += track->points[i / N_TIMES][i % N_TIMES].is_there;
    }
    n_live += count_answers(&w->now, w->now_us);
    n_all += count_all_answers(&w->now);
    CHECK_OK(CALLED(w, mn_stats(w->store, &stats, call(w))));
    CHECK_EQ(stats.n_namespaces, n_spaces);
    CHECK_EQ(stats.n_spaces, n_tracks);
    CHECK_EQ(stats.n_records, n_live);
    CHECK_EQ(stats.n_expired, n_all - n_live);
    CHECK_EQ(stats.current_lsn, w->now.lsn);
    CHECK(stats.durable_lsn <= stats.current_lsn);

    const struct space *s = &w->now.spaces[one];
    uint64_t n_records = 99;
    uint32_t dimension = 99;
    bool exists = one_in(w, 2);
    mn_status expected = s->exists ? MN_OK : MN_NOT_FOUND;
    CHECK_STATUS(CALLED(w, mn_count(w->store, name_of(one), &n_records, call(w))), expected);
    CHECK_EQ(n_records, s->exists ? count_visible(w, one) : 99);
    CHECK_STATUS(CALLED(w, mn_dimension(w->store, name_of(one), &dimension, call(w))), expected);
    CHECK_EQ(dimension, s->exists ? s->dimension : 99);
    CHECK_OK(CALLED(w, mn_namespace_exists(w->store, name_of(one), &exists, call(w))));
    CHECK_EQ(exists, s->exists);
}

#endif
