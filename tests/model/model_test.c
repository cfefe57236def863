/*
 * model_test.c - random histories of a store, compared call by call with the model.
 *
 * MNEME_SEED sets the seed, MNEME_MODEL_STEPS the number of steps; 0 goes on for ever.
 */
#include "nearest_ops.h"
#include "segment/segment.h"
#include "snapshot_ops.h"
#include "txn_ops.h"

enum { STEPS_DEFAULT = 100000, STEPS_PER_STORE = 4000 };

/* Writing ---------- */

static struct mn_write_options some_ack(struct world *w)
{
    return (struct mn_write_options){.size = sizeof(struct mn_write_options),
                                     .ack = (mn_ack)below(w, 4)};
}

static bool fits(const struct space *s, const struct content *c)
{
    return !s->exists || s->dimension == 0 || c->n_dims == 0 || s->dimension == c->n_dims;
}

/* A time to live becomes a moment that only the store knows: asks for it. */
static void learn_expiry(struct world *w, unsigned name, unsigned id, int64_t ttl_us,
                         struct content *c)
{
    struct mn_view view;

    c->has_expiry = true;
    c->expires_at_us = w->now_us;
    if (ttl_us == 0)
        return;
    CHECK_OK(mn_get(w->store, name_of(name), id_of(id), &view, NULL));
    c->expires_at_us = view.expires_at_us;
    if (ttl_us == INT64_MAX)
        CHECK_EQ(c->expires_at_us, INT64_MAX);
    else
        CHECK(c->expires_at_us >= w->now_us + ttl_us &&
              c->expires_at_us <= w->now_us + ttl_us + CALL_US_MAX);
    mn_view_release(&view);
}

static int64_t some_ttl(struct world *w, struct mn_record *record)
{
    int64_t ttl_us = (int64_t)below(w, 5) * SECOND_US;

    if (one_in(w, 10))
        ttl_us = INT64_MAX;
    record->fields = (record->fields & ~(uint32_t)MN_HAS_EXPIRES_AT) | MN_HAS_TTL;
    record->ttl_us = ttl_us;
    return ttl_us;
}

static mn_status expected_of_put(struct world *w, unsigned how, const struct space *space,
                                 const struct slot *s, const struct content *c,
                                 uint64_t *expected_lsn)
{
    bool sees = space->exists && is_visible(s, w->now_us);

    *expected_lsn = one_in(w, 3) ? w->now.lsn - below(w, 3) : s->lsn;
    if (how == 2 && !space->exists)
        return MN_CHANGED;
    if (!fits(space, c))
        return MN_ERR_DIMENSION;
    if (how == 1 && sees)
        return MN_EXISTS;
    if (how == 2 && (!sees || s->lsn != *expected_lsn))
        return MN_CHANGED;
    return MN_OK;
}

static void put_one(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    unsigned id = below(w, N_IDS);
    unsigned how = below(w, 3);
    struct space *space = &w->now.spaces[name];
    struct content c = random_content(w, name);
    struct mn_write_options options = some_ack(w);
    struct made m;
    uint64_t lsn = 99;
    uint64_t expected_lsn;
    int64_t ttl_us = -1;
    mn_status expected = expected_of_put(w, how, space, &space->slots[id], &c, &expected_lsn);
    mn_status st;

    make_content(&c, id_of(id), &m);
    if (one_in(w, 6))
        ttl_us = some_ttl(w, &m.record);
    else
        m.record.ttl_us = -5; /* not asked for */
    if (how == 0)
        st = CALLED(w, mn_put(w->store, name_of(name), &m.record, &options, &lsn, call(w)));
    else if (how == 1)
        st = CALLED(w,
                    mn_put_if_absent(w->store, name_of(name), &m.record, &options, &lsn, call(w)));
    else
        st = CALLED(w, mn_put_if_lsn(w->store, name_of(name), &m.record, expected_lsn, &options,
                                     &lsn, call(w)));
    CHECK_STATUS(st, expected);
    if (st != MN_OK) {
        CHECK_EQ(lsn, 99);
        return;
    }
    if (ttl_us >= 0)
        learn_expiry(w, name, id, ttl_us, &c);
    make_space(w, name);
    store_in(space, id, &c, lsn);
    finish_space(w, name, lsn);
    committed(w, lsn, options.ack);
}

static void put_many(struct world *w)
{
    static struct made made[30];
    struct mn_record records[30];
    struct content contents[30];
    unsigned ids[30];
    unsigned n = below(w, 30);
    unsigned name = below(w, N_NAMES);
    struct space *space = &w->now.spaces[name];
    struct mn_write_options options = some_ack(w);
    uint32_t dimension = space->exists ? space->dimension : 0;
    bool all_fit = true;
    bool seen[N_IDS] = {false};
    uint64_t n_distinct = 0;
    uint64_t n_stored = 99;
    uint64_t lsn = 99;

    for (unsigned i = 0; i < n; i++) {
        ids[i] = below(w, N_IDS);
        contents[i] = random_content(w, name);
        if (!one_in(w, 40) && contents[i].n_dims != 0)
            contents[i].n_dims = dimension != 0 ? dimension : 3 + name;
        make_content(&contents[i], id_of(ids[i]), &made[i]);
        records[i] = made[i].record;
        if (dimension == 0)
            dimension = contents[i].n_dims;
        all_fit = all_fit && (contents[i].n_dims == 0 || contents[i].n_dims == dimension);
        n_distinct += !seen[ids[i]];
        seen[ids[i]] = true;
    }
    mn_status st = CALLED(
        w, mn_put_batch(w->store, name_of(name), records, n, &options, &n_stored, &lsn, call(w)));
    CHECK_STATUS(st, all_fit ? MN_OK : MN_ERR_DIMENSION);
    if (st != MN_OK) {
        CHECK_STR_HAS(w->err.message, "record ");
        return;
    }
    CHECK_EQ(n_stored, n_distinct);
    if (n == 0) {
        CHECK_EQ(lsn, 0);
        return;
    }
    make_space(w, name);
    for (unsigned i = 0; i < n; i++)
        store_in(space, ids[i], &contents[i], lsn);
    if (space->dimension == 0)
        space->dimension = dimension;
    finish_space(w, name, lsn);
    committed(w, lsn, options.ack);
}

static void delete_many(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    struct space *space = &w->now.spaces[name];
    struct mn_write_options options = some_ack(w);
    unsigned n = one_in(w, 2) ? 1 : below(w, 12);
    unsigned picks[12];
    struct mn_slice ids[12];
    bool existed[12];
    bool expected[12];
    bool counted[N_IDS] = {false};
    uint64_t n_expected = 0;
    uint64_t n_existed = 99;
    uint64_t lsn = 99;

    for (unsigned i = 0; i < n; i++) {
        picks[i] = below(w, N_IDS);
        ids[i] = id_of(picks[i]);
        existed[i] = one_in(w, 2);
        expected[i] = space->exists && is_visible(&space->slots[picks[i]], w->now_us);
        n_expected += expected[i] && !counted[picks[i]];
        counted[picks[i]] = true;
    }
    if (n == 1) {
        CHECK_OK(CALLED(
            w, mn_delete(w->store, name_of(name), ids[0], &options, &existed[0], &lsn, call(w))));
    } else {
        CHECK_OK(CALLED(w, mn_delete_batch(w->store, name_of(name), ids, n, &options, existed,
                                           &n_existed, &lsn, call(w))));
        CHECK_EQ(n_existed, n_expected);
    }
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(existed[i], expected[i]);
    if (n == 0 || !space->exists) {
        CHECK_EQ(lsn, 0);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        if (space->slots[picks[i]].is_there)
            space->slots[picks[i]] = (struct slot){.change_lsn = lsn};
    committed(w, lsn, options.ack);
}

static void touch_one(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    unsigned id = below(w, N_IDS);
    struct space *space = &w->now.spaces[name];
    struct slot *s = &space->slots[id];
    struct mn_write_options options = some_ack(w);
    uint32_t fields = below(w, 3);
    int64_t when_us = (int64_t)below(w, 5) * SECOND_US;
    bool sees = space->exists && is_visible(s, w->now_us);
    uint64_t lsn = 99;

    if (fields == MN_HAS_EXPIRES_AT)
        when_us += w->now_us - SECOND_US;
    mn_status st = CALLED(
        w, mn_touch(w->store, name_of(name), id_of(id), fields, when_us, &options, &lsn, call(w)));
    CHECK_STATUS(st, sees ? MN_OK : MN_NOT_FOUND);
    if (!sees)
        return;
    s->content.has_expiry = fields != 0;
    s->content.expires_at_us = fields != 0 ? when_us : 0;
    s->change_lsn = lsn;
    if (fields == MN_HAS_TTL)
        learn_expiry(w, name, id, when_us, &s->content);
    committed(w, lsn, options.ack);
}

/* Namespaces, sweeping, time ---------- */

static void make_one(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    struct space *space = &w->now.spaces[name];
    bool must_be_new = one_in(w, 2);
    struct mn_namespace_settings settings = {.size = sizeof settings};
    mn_status expected = MN_OK;

    if (one_in(w, 2))
        settings.dimension = one_in(w, 4) ? 1 + below(w, DIMS_MAX) : 3 + name;
    if (space->exists && must_be_new)
        expected = MN_EXISTS;
    else if (space->exists && settings.dimension != 0 && space->dimension != 0 &&
             settings.dimension != space->dimension)
        expected = MN_ERR_DIMENSION;
    bool changes = !space->exists || (space->dimension == 0 && settings.dimension != 0);
    mn_status st =
        CALLED(w, must_be_new ? mn_namespace_create(w->store, name_of(name), &settings, call(w))
                              : mn_namespace_ensure(w->store, name_of(name), &settings, call(w)));
    CHECK_STATUS(st, expected);
    if (st != MN_OK || !changes)
        return;
    make_space(w, name);
    space->dimension = settings.dimension;
    finish_space(w, name, newest_lsn(w));
    committed(w, newest_lsn(w), MN_ACK_DEFAULT);
}

static void drop_one(struct world *w)
{
    unsigned name = below(w, N_NAMES);
    struct space *space = &w->now.spaces[name];
    bool existed = one_in(w, 2);

    CHECK_OK(CALLED(w, mn_namespace_drop(w->store, name_of(name), &existed, call(w))));
    CHECK_EQ(existed, space->exists);
    if (!space->exists)
        return;
    *space = (struct space){0};
    committed(w, newest_lsn(w), MN_ACK_DEFAULT);
}

static bool sweep_slot(struct world *w, struct slot *s, uint64_t lsn)
{
    if (!s->is_there || is_visible(s, w->now_us))
        return false;
    *s = (struct slot){.change_lsn = lsn};
    return true;
}

static unsigned sweep_past(struct world *w, struct past *past)
{
    unsigned n = 0;

    for (unsigned i = 0; i < past->n; i++)
        if (is_unexpired(&past->versions[i].content, w->now_us))
            past->versions[n++] = past->versions[i];
    unsigned n_swept = past->n - n;
    past->n = n;
    return n_swept;
}

static void sweep(struct world *w)
{
    uint64_t n_swept = 99;
    uint64_t n_expected = 0;
    uint64_t lsn = w->now.lsn + 1;

    for (unsigned k = 0; k < N_TRACKS; k++) /* whose time for it may have come */
        sweep_track(w, k);
    CHECK_OK(CALLED(w, mn_sweep(w->store, &n_swept, call(w))));
    lsn = newest_lsn(w);
    for (unsigned n = 0; n < N_NAMES; n++)
        for (unsigned i = 0; i < N_IDS; i++)
            n_expected += sweep_slot(w, &w->now.spaces[n].slots[i], lsn);
    for (unsigned n = 0; n < N_TRACKS; n++)
        for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++)
            n_expected += sweep_slot(w, &w->now.tracks[n].points[i / N_TIMES][i % N_TIMES], lsn);
    for (unsigned n = 0; n < N_TRACKS; n++)
        for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++)
            n_expected += sweep_past(w, &w->now.tracks[n].pasts[i / N_TIMES][i % N_TIMES]);
    for (unsigned i = 0; i < N_HOUSES * N_ANSWERS; i++) {
        struct answer *a = &w->now.houses[i / N_ANSWERS].answers[i % N_ANSWERS];
        if (!a->is_there || answers_at(a, w->now_us))
            continue;
        *a = (struct answer){0};
        n_expected++;
    }
    CHECK_EQ(n_swept, n_expected);
    if (n_swept > 0)
        committed(w, lsn, MN_ACK_NONE);
}

static void pass_time(struct world *w)
{
    if (one_in(w, 4)) {
        mni_crash_env_set_wall_us(w->crash, w->now_us - (int64_t)below(w, 3600) * SECOND_US);
        return;
    }
    mni_crash_env_set_wall_us(w->crash, w->now_us);
    mni_crash_env_advance_us(w->crash, (int64_t)below(w, 3 * SECOND_US));
}

/* Opening and closing ---------- */

static inline void open_store(struct world *w)
{
    struct mn_options o = {
        .size = sizeof o,
        .create = true,
        .sync = (mn_sync_policy)(1 + below(w, 4)),
        .sync_every_commits = 1 + below(w, 5),
        .wal_file_bytes = 64 << 10,
        .recovery = one_in(w, 2) ? MN_RECOVERY_TAIL : MN_RECOVERY_STRICT,
    };

    CHECK_OK_ERR(CALLED(w, mni_api_store_open(mni_crash_env_base(w->crash), "/store", &o, &w->store,
                                              call(w))),
                 &w->err);
    w->sync = o.sync;
    w->now_us = INT64_MIN; /* the clock may have been set back */
}

static void let_all_go(struct world *w)
{
    for (unsigned i = 0; i < N_HELD; i++)
        if (w->held[i].view.pin != NULL)
            let_go(&w->held[i]);
    for (unsigned i = 0; i < N_WALKS; i++)
        if (w->walks[i].iter != NULL)
            close_walk(&w->walks[i]);
    for (unsigned i = 0; i < N_SCANS; i++)
        close_scan(&w->scans[i]);
    for (unsigned i = 0; i < N_RANGES; i++)
        close_range(&w->ranges[i]);
    for (unsigned i = 0; i < N_TXNS; i++) {
        mn_txn_rollback(w->txns[i].txn);
        w->txns[i].txn = NULL;
    }
    let_answers_go(w);
}

static bool holds_anything(const struct world *w)
{
    bool holds = false;

    for (unsigned i = 0; i < N_HELD; i++)
        holds = holds || w->held[i].view.pin != NULL;
    for (unsigned i = 0; i < N_WALKS; i++)
        holds = holds || w->walks[i].iter != NULL;
    for (unsigned i = 0; i < N_SCANS; i++)
        holds = holds || w->scans[i].scan != NULL;
    for (unsigned i = 0; i < N_RANGES; i++)
        holds = holds || w->ranges[i].range != NULL;
    for (unsigned i = 0; i < N_TXNS; i++)
        holds = holds || w->txns[i].txn != NULL;
    for (unsigned i = 0; i < N_HANDLES; i++)
        holds = holds || w->answers[i].handle.pin != NULL;
    return holds;
}

static bool has_streams(const struct world *w)
{
    bool has = false;

    for (unsigned i = 0; i < N_STREAMS; i++)
        has = has || w->streams[i].stream != NULL;
    return has;
}

static inline void close_store(struct world *w)
{
    struct mn_stats stats = {.size = sizeof stats};

    bool streams = has_streams(w);

    if (streams || holds_anything(w)) {
        CHECK_STATUS(CALLED(w, mn_close(w->store, call(w))), MN_ERR_BUSY);
        if (!streams) /* these are looked for before anything is done */
            write_down_hits(w, 0);
    }
    let_all_go(w);
    CHECK_OK(mn_stats(w->store, &stats, NULL));
    CHECK_EQ(stats.pinned_bytes, 0);
    CHECK_OK(CALLED(w, mn_close(w->store, call(w))));
}

/* Everything is on the disk afterwards, and nothing else has changed. */
static void checkpoint(struct world *w)
{
    CHECK_OK_ERR(CALLED(w, mn_checkpoint(w->store, call(w))), &w->err);
    write_down_hits(w, 0);
    w->solid = w->now;
    w->n_later = 0;
}

static void reopen(struct world *w)
{
    int64_t now_us = w->now_us;

    close_store(w);
    open_store(w);
    w->now_us = now_us;
    write_down_hits(w, 0); /* closing did */
    w->now_us = INT64_MIN;
    open_cache(w);
}

/* The process ends without a word: what was only acknowledged at `none` may go, newest first. */
static void crash(struct world *w)
{
    let_all_go(w);
    mni_api_store_abandon(w->store);
    open_store(w);
    uint64_t lsn = newest_lsn(w);
    w->now = w->solid;
    for (unsigned i = 0; i < w->n_later && w->later[i].lsn <= lsn; i++)
        w->now = w->later[i];
    CHECK_EQ(w->now.lsn, lsn);
    w->solid = w->now;
    w->n_later = 0;
    w->has_gap = true;
    open_cache(w);
}

/* Histories ---------- */

static const struct {
    void (*run)(struct world *w);
    unsigned weight;
} ops[] = {
    {put_one, 200},
    {put_many, 30},
    {delete_many, 60},
    {touch_one, 60},
    {get_one, 100},
    {get_many, 30},
    {walk_step, 80},
    {txn_step, 250},
    {walk_namespaces, 20},
    {make_one, 15},
    {drop_one, 10},
    {sweep, 15},
    {pass_time, 60},
    {reopen, 3},
    {crash, 3},
    {checkpoint, 6},
    {scan_step, 60},
    {search_step, 60},
    {alter_track, 12},
    {sweep_some_track, 5},
    {look_back, 40},
    {make_track, 20},
    {drop_track, 6},
    {look_at_tracks, 15},
    {put_points, 100},
    {delete_point, 30},
    {delete_interval, 30},
    {look_once, 80},
    {look_at_entity, 40},
    {list_entities, 20},
    {range_step, 60},
    {nearest_step, 40}, /* of points, in time */
    {store_answer, 150},
    {stream_step, 60},
    {load_answer, 80},
    {look_up_answer, 80},
    {delete_answer, 25},
    {invalidate_answers, 8},
    {drop_house, 4},
    {clean_up, 6},
    {set_budget, 10},
    {change_settings, 10},
    {list_answers, 20},
    {list_houses, 10},
    {keep, 4},
    {forget, 1},
    {prune, 1},
    {purge, 3},
    {look_at_kept, 4},
    {restore_here, 1},
    {restore_elsewhere, 1},
};

static void step(struct world *w)
{
    unsigned all = 0;

    for (size_t i = 0; i < CHECK_COUNT(ops); i++)
        all += ops[i].weight;
    unsigned pick = below(w, all);
    size_t op = 0;
    while (pick >= ops[op].weight)
        pick -= ops[op++].weight;
    settle(w);
    ops[op].run(w);
    if (ops[op].run != pass_time && w->now_us != INT64_MIN)
        CHECK(engine_now(w) - w->now_us < CALL_US_MAX);
    settle(w);
    check_numbers(w);
    check_cache(w);
}

static void one_history(uint64_t seed, uint64_t n_steps)
{
    struct world *w = calloc(1, sizeof *w);

    CHECK(w != NULL);
    w->random = seed;
    CHECK_OK(mni_crash_env_new(seed, &w->crash));
    w->has_budgets = seed % 2 == 1;
    open_store(w);
    open_cache(w);
    CHECK_OK(mn_config_set(w->store, "wal_file_bytes", "65536", NULL));
    for (uint64_t i = 0; i < n_steps; i++)
        step(w);
    settle(w);
    close_store(w);
    mni_crash_env_free(w->crash);
    free(w);
}

static void random_histories_agree_with_the_model(void)
{
    const char *asked = getenv("MNEME_MODEL_STEPS");
    uint64_t n_steps = asked != NULL ? strtoull(asked, NULL, 10) : STEPS_DEFAULT;
    uint64_t seed = check_seed();

    for (uint64_t done = 0; n_steps == 0 || done < n_steps; done += STEPS_PER_STORE) {
        if (asked != NULL)
            (void)fprintf(stderr, "MNEME_SEED=%llu\n", (unsigned long long)seed);
        one_history(seed++, STEPS_PER_STORE);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(random_histories_agree_with_the_model),
    };

    mni_keyframes_forced = true; /* segments here are too small to become shorter by it */

    return check_run("model", tests, CHECK_COUNT(tests), argc, argv);
}
