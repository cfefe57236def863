/*
 * snapshot_ops.h - snapshots of the store, each beside a copy of the model's state.
 */
#ifndef TESTS_MODEL_SNAPSHOT_OPS_H
#define TESTS_MODEL_SNAPSHOT_OPS_H

#include "cache_ops.h"
#include "temporal_ops.h"

static inline void close_store(struct world *w); /* model_test.c, as the next one */
static inline void open_store(struct world *w);

static inline struct kept *some_kept(struct world *w)
{
    return &w->kept[below(w, N_KEPT)];
}

static inline mn_snapshots *open_pool(struct world *w)
{
    mn_snapshots *pool = NULL;

    CHECK_OK_ERR(mni_api_snapshots_open_of(mni_crash_env_base(w->crash), "/store", &pool, &w->err),
                 &w->err);
    return pool;
}

static inline void forget_kept(struct world *w, struct kept *k)
{
    unsigned bit = 1U << (k - w->kept);

    for (unsigned i = 0; i < N_KEPT; i++)
        w->kept[i].past &= ~bit;
    w->past &= ~bit;
    k->id[0] = '\0';
}

static inline void delete_kept(struct world *w, struct kept *k)
{
    mn_snapshots *pool = open_pool(w);

    CHECK_OK_ERR(CALLED(w, mn_snapshot_delete(pool, k->id, NULL, call(w))), &w->err);
    mn_snapshots_close(pool);
    forget_kept(w, k);
}

static inline void forget(struct world *w)
{
    struct kept *k = some_kept(w);

    if (k->id[0] != '\0')
        delete_kept(w, k);
}

static inline uint64_t count_all_visible(const struct state *state, int64_t now_us)
{
    uint64_t n = 0;

    for (unsigned s = 0; s < N_NAMES; s++)
        for (unsigned i = 0; i < N_IDS; i++)
            n += state->spaces[s].exists && is_visible(&state->spaces[s].slots[i], now_us);
    for (unsigned k = 0; k < N_TRACKS; k++)
        n += count_records(&state->tracks[k], now_us);
    if (now_us == INT64_MIN)
        return n + count_all_answers(state);
    return n + count_answers(state, now_us);
}

/* In place of what the slot kept. */
static inline void keep(struct world *w)
{
    struct mn_snapshot_options options = {.size = sizeof options, .incremental = one_in(w, 2)};
    struct mn_snapshot_info info = {.size = sizeof info};
    struct kept *k = some_kept(w);
    mn_snapshot *snapshot = NULL;

    if (k->id[0] != '\0') {
        delete_kept(w, k);
        settle(w);
    }
    bool is_possible = !options.incremental || w->past != 0;
    mn_status st = CALLED(w, mn_snapshot_create(w->store, &options, &snapshot, call(w)));
    CHECK_STATUS(st, is_possible ? MN_OK : MN_NOT_FOUND);
    write_down_hits(w, 0);
    w->solid = w->now; /* either way there was a checkpoint */
    w->n_later = 0;
    if (st != MN_OK)
        return;
    CHECK_OK(mn_snapshot_get_info(snapshot, &info, NULL));
    mn_snapshot_free(snapshot);
    CHECK_EQ(info.lsn, w->now.lsn);
    CHECK_EQ(info.is_incremental, options.incremental);
    CHECK_EQ(info.n_records, count_all_visible(&w->now, w->now_us));
    memcpy(k->id, info.id, sizeof info.id);
    k->state = w->now;
    w->past |= 1U << (k - w->kept);
    k->past = w->past;
}

/* The ids of all snapshots, the newest first. */
static inline size_t list_kept(mn_snapshots *pool, char ids[N_KEPT][MN_SNAPSHOT_ID_BYTES])
{
    mn_snapshot_iter *iter = NULL;
    size_t n = 0;

    CHECK_OK(mn_snapshot_iter_open(pool, &iter, NULL));
    while (n < N_KEPT && mn_snapshot_iter_next(iter, ids[n], NULL) == MN_OK)
        n++;
    mn_snapshot_iter_close(iter);
    return n;
}

static inline void prune(struct world *w)
{
    char before[N_KEPT][MN_SNAPSHOT_ID_BYTES];
    char after[N_KEPT][MN_SNAPSHOT_ID_BYTES];
    uint64_t n_kept = 1 + below(w, N_KEPT);
    uint64_t n_deleted = 99;
    unsigned n_there = 0;

    for (unsigned i = 0; i < N_KEPT; i++)
        n_there += w->kept[i].id[0] != '\0';
    if (n_there == 0)
        return;
    mn_snapshots *pool = open_pool(w);
    CHECK_EQ(list_kept(pool, before), n_there);
    CHECK_OK_ERR(CALLED(w, mn_snapshots_prune(pool, n_kept, &n_deleted, NULL, call(w))), &w->err);
    size_t n = list_kept(pool, after);
    mn_snapshots_close(pool);
    CHECK_EQ(n, n_there < n_kept ? n_there : n_kept);
    CHECK_EQ(n_deleted, n_there - n);
    CHECK_MEM_EQ(after, before, n * sizeof after[0]);
    for (size_t i = n; i < n_there; i++)
        for (unsigned k = 0; k < N_KEPT; k++)
            if (strcmp(w->kept[k].id, before[i]) == 0)
                forget_kept(w, &w->kept[k]);
}

/* Erases records or a namespace; snapshots keep what they have. */
static inline void purge(struct world *w)
{
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    unsigned name = below(w, N_NAMES);
    struct space *space = &w->now.spaces[name];
    unsigned id = below(w, N_IDS);
    struct mn_slice key = id_of(id);
    bool takes_all = one_in(w, 4);
    uint64_t n_expected = 0;

    for (unsigned i = 0; i < N_IDS; i++)
        n_expected += space->exists && (takes_all || i == id) &&
                      is_visible(&space->slots[i], w->now_us);
    mn_status st = CALLED(w, takes_all
                                 ? mn_purge_namespace(w->store, name_of(name), &receipt, call(w))
                                 : mn_purge(w->store, name_of(name), &key, 1, &receipt, call(w)));
    CHECK_STATUS(st, space->exists ? MN_OK : MN_NOT_FOUND);
    if (st == MN_OK || takes_all)
        write_down_hits(w, space->exists);
    if (space->exists) {
        CHECK_EQ(receipt.n_records, n_expected);
        if (takes_all)
            *space = (struct space){0};
        else if (space->slots[id].is_there)
            space->slots[id] = (struct slot){.change_lsn = receipt.lsn};
        committed(w, newest_lsn(w), MN_ACK_DISK);
    }
    if (st == MN_OK || takes_all) { /* it has written everything out */
        w->solid = w->now;
        w->n_later = 0;
    }
}

/* Reads the clock of another store, at a moment when nothing in `state` is about to expire. */
static inline int64_t settle_other(struct world *w, mn_store *store, const struct state *state)
{
    for (;;) {
        int64_t now_us = mni_engine_now_us(mni_api_store_engine(store));
        if (!has_close(state, now_us))
            return now_us;
        mni_crash_env_advance_us(w->crash, 2 * CALL_US_MAX);
    }
}

static inline void compare_space(mn_store *store, unsigned n, const struct space *space,
                                 int64_t now_us)
{
    uint64_t n_visible = 0;
    uint64_t count = 0;
    uint32_t dimension = 0;

    for (unsigned i = 0; i < N_IDS; i++) {
        const struct slot *s = &space->slots[i];
        struct mn_view view;
        bool sees = space->exists && is_visible(s, now_us);
        mn_status st = mn_get(store, name_of(n), id_of(i), &view, NULL);
        CHECK_STATUS(st, sees ? MN_OK : MN_NOT_FOUND);
        if (sees)
            check_view(&view, id_of(i), &s->content, s->lsn);
        mn_view_release(&view);
        n_visible += sees;
    }
    CHECK_STATUS(mn_count(store, name_of(n), &count, NULL), space->exists ? MN_OK : MN_NOT_FOUND);
    CHECK_EQ(count, n_visible);
    if (!space->exists)
        return;
    CHECK_OK(mn_dimension(store, name_of(n), &dimension, NULL));
    CHECK_EQ(dimension, space->dimension);
}

static inline void compare_store(struct world *w, mn_store *store, struct state *state)
{
    int64_t now_us = settle_other(w, store, state);

    for (unsigned n = 0; n < N_NAMES; n++)
        compare_space(store, n, &state->spaces[n], now_us);
    compare_tracks(w, store, state, now_us);
    compare_answers(w, store, state, now_us);
    settle(w); /* the clock may have been moved */
}

/* Opens a snapshot where it lies, beside the store. */
static inline void look_at_kept(struct world *w)
{
    struct kept *k = some_kept(w);
    struct mn_options o = {.size = sizeof o, .snapshot_id = k->id};
    mn_store *store = NULL;

    if (k->id[0] == '\0')
        return;
    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(w->crash), "/store", &o, &store, &w->err),
                 &w->err);
    compare_store(w, store, &k->state);
    CHECK_OK(mn_close(store, NULL));
}

static inline struct mn_restore_report restore_kept(struct world *w, const struct kept *k,
                                                    const char *into, const char *replace)
{
    struct mn_restore_options o = {.size = sizeof o, .into = into, .replace = replace};
    struct mn_restore_report report = {.size = sizeof report};
    mn_snapshots *pool = open_pool(w);

    CHECK_OK_ERR(CALLED(w, mn_snapshot_restore(pool, k->id, &o, &report, call(w))), &w->err);
    mn_snapshots_close(pool);
    CHECK(report.n_records <= count_all_visible(&k->state, INT64_MIN));
    return report;
}

static inline void restore_elsewhere(struct world *w)
{
    struct mn_options o = {.size = sizeof o, .no_background = true};
    struct kept *k = some_kept(w);
    mn_store *store = NULL;
    char path[32];

    if (k->id[0] == '\0')
        return;
    (void)snprintf(path, sizeof path, "/other%u", w->n_others++);
    struct mn_restore_report report = restore_kept(w, k, path, NULL);
    CHECK_EQ(report.lsn, k->state.lsn);
    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(w->crash), path, &o, &store, &w->err),
                 &w->err);
    compare_store(w, store, &k->state);
    CHECK_OK(mn_close(store, NULL));
}

/* The past of a store that was taken back to a snapshot: its own, and those that were made of the
 * same moment later, before anything else was committed. */
static inline unsigned past_of(const struct world *w, const struct kept *k)
{
    unsigned own = 1U << (k - w->kept);
    unsigned past = k->past;

    for (unsigned i = 0; i < N_KEPT; i++) {
        const struct kept *later = &w->kept[i];
        if (later->id[0] != '\0' && later->state.lsn == k->state.lsn && (later->past & own) != 0)
            past |= 1U << i;
    }
    return past;
}

/* What was is again; what came after it is another past. */
static inline void restore_here(struct world *w)
{
    const struct kept *k = some_kept(w);

    if (k->id[0] == '\0')
        return;
    close_store(w);
    struct mn_restore_report report = restore_kept(w, k, NULL, "/store");
    CHECK(report.lsn > w->now.lsn);
    w->now = k->state;
    w->now.lsn = report.lsn;
    w->solid = w->now;
    w->n_later = 0;
    w->has_gap = false;
    w->past = past_of(w, k);
    open_store(w);
    set_budgets(w); /* the settings came back with the rest */
    open_cache(w);
    compare_store(w, w->store, &w->now);
}

#endif
