/*
 * sweep.c - the background thread: sweeps expired records, tidies, makes memory ready.
 *
 * Owns:    the background thread of the sweep.
 * Threads: one sweep at a time (`sweep_lock`).
 * Fails:   a sweep that cannot commit is tried again later; nobody sees expired records meanwhile.
 *
 * A sweep deletes by ordinary commits, a bounded batch each, until nothing has expired or its time
 * is up. A record that was written or touched meanwhile is left alone.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/batch_private.h"

mn_status mni_engine_lapse(struct mni_engine *engine, struct mn_error *err)
{
    mn_status st = MN_OK;

    engine_read_lock(engine);
    int64_t now_us = mni_engine_now_us(engine);
    struct state *state = engine->state;
    bool has_due = mni_memtable_has_due(state->active->memtable, now_us) ||
                   (state->frozen != NULL && mni_memtable_has_due(state->frozen->memtable, now_us));
    bool has_due_parts = false;
    for (size_t i = 0; i < state->parts->n_parts && !has_due_parts; i++)
        has_due_parts = part_has_due(state->parts->parts[i], now_us);
    if (has_due_parts)
        state_ref(state);
    engine_unlock(engine);
    if (has_due) {
        engine_write_lock(engine);
        mni_memtable_lapse(engine->table, now_us);
        if (engine->state->frozen != NULL)
            mni_memtable_lapse(engine->state->frozen->memtable, now_us);
        engine_unlock(engine);
    }
    if (!has_due_parts)
        return MN_OK;
    /* Damage in one does not keep the others from it. */
    for (size_t i = 0; i < state->parts->n_parts; i++) {
        mn_status part_st =
            part_lapse(engine, state->parts->parts[i], now_us, st == MN_OK ? err : NULL);
        if (st == MN_OK)
            st = part_st;
    }
    state_unref(state);
    return st;
}

/* Sweeping ---------- */

/* A lapsed record: a version with a reference, or a row of a part of the sweep's state. */
struct lapsed {
    struct mni_version *version;
    struct part *part;
    uint32_t row;
    uint64_t lsn; /* of its newest change; 0: the row's own */
};

/* What is to be deleted: all that a sweep keeps of a record while it waits for anything. */
struct doomed {
    uint64_t collection;
    uint64_t lsn;      /* of its newest change */
    size_t key_offset; /* in the keys */
    size_t key_bytes;
};

/* Room for what one slice of a sweep gathers. */
struct sweep_room {
    struct lapsed *lapsed;         /* owned */
    struct mni_version **versions; /* owned */
    struct doomed *doomed;         /* owned */
    struct mni_buf keys;           /* of the doomed, one behind the other */
    size_t n_max;
};

static size_t lapsed_of_table(struct mni_memtable *table, struct sweep_room *room, size_t n_before)
{
    struct lapsed *out = room->lapsed + n_before;
    size_t n = mni_memtable_lapsed(table, room->versions, room->n_max - n_before);

    for (size_t i = 0; i < n; i++)
        out[i] = (struct lapsed){.version = room->versions[i],
                                 .lsn = mni_version_lsn(room->versions[i])};
    return n;
}

static size_t lapsed_of_part(struct part *part, struct lapsed *out, size_t n_max)
{
    struct mni_patch patch;
    size_t n = 0;

    if (part->live.n_lapsed == 0)
        return 0;
    uint32_t row = mni_liveness_next_lapsed(&part->live, 0);
    for (; row < part->n_rows && n < n_max; row = mni_liveness_next_lapsed(&part->live, row + 1)) {
        if (part_row_is_dropped(part, row))
            continue;
        out[n] = (struct lapsed){.part = part, .row = row};
        if (mni_liveness_find_patch(&part->live, row, UINT64_MAX, &patch))
            out[n].lsn = patch.lsn;
        n++;
    }
    return n;
}

/* Up to `n_max` of them, fewer only if there are no more. */
static size_t gather_lapsed(struct mni_engine *engine, const struct state *state,
                            struct sweep_room *room)
{
    size_t n;

    engine_read_lock(engine);
    n = lapsed_of_table(state->active->memtable, room, 0);
    if (state->frozen != NULL)
        n += lapsed_of_table(state->frozen->memtable, room, n);
    for (size_t i = 0; i < state->parts->n_parts && n < room->n_max; i++)
        n += lapsed_of_part(state->parts->parts[i], room->lapsed + n, room->n_max - n);
    engine_unlock(engine);
    return n;
}

static mn_status doom(struct sweep_room *room, const struct mni_record *r, uint64_t lsn,
                      struct doomed *doomed_out, struct mn_error *err)
{
    *doomed_out = (struct doomed){.collection = r->collection,
                                  .lsn = lsn,
                                  .key_offset = room->keys.n_bytes,
                                  .key_bytes = r->key.n_bytes};
    if (mni_buf_append(&room->keys, r->key.data, r->key.n_bytes) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a sweep of %zu records", room->n_max);
    return MN_OK;
}

static mn_status doom_lapsed(struct sweep_room *room, const struct lapsed *lapsed,
                             struct doomed *doomed_out, struct mn_error *err)
{
    struct mni_segment_row row;
    struct mni_record r;

    if (lapsed->version != NULL) {
        mni_record_view(mni_version_bytes(lapsed->version), &r);
        return doom(room, &r, lapsed->lsn, doomed_out, err);
    }
    mn_status st = mni_segment_row(lapsed->part->segment, lapsed->row, &row, err);
    if (st != MN_OK)
        return st;
    st = doom(room, &row.record, lapsed->lsn != 0 ? lapsed->lsn : row.lsn, doomed_out, err);
    mni_segment_row_done(lapsed->part->segment, &row);
    return st;
}

/* Up to n_max records that lapsed in the newest state, which is let go of again: what follows may
 * wait for memory, and that may be the state's. */
static mn_status gather_doomed(struct mni_engine *engine, struct sweep_room *room,
                               size_t *n_lapsed_out, size_t *n_doomed_out, struct mn_error *err)
{
    mn_status st = MN_OK;
    size_t n_doomed = 0;

    engine_read_lock(engine);
    struct state *state = engine->state;
    state_ref(state);
    engine_unlock(engine);
    size_t n = gather_lapsed(engine, state, room);
    mni_buf_reset(&room->keys);
    for (size_t i = 0; i < n; i++) {
        if (st == MN_OK)
            st = doom_lapsed(room, &room->lapsed[i], &room->doomed[n_doomed], err);
        n_doomed += st == MN_OK;
        if (st == MN_ERR_CORRUPT)
            st = MN_OK; /* it stays, unseen */
        mni_version_unref(room->lapsed[i].version);
    }
    state_unref(state);
    *n_lapsed_out = n;
    *n_doomed_out = n_doomed;
    return st;
}

static mn_status add_delete(struct mni_batch *batch, const struct sweep_room *room,
                            const struct doomed *doomed, struct mn_error *err)
{
    struct mni_record gone = {.type = MNI_RECORD_DELETE,
                              .key = {room->keys.data + doomed->key_offset, doomed->key_bytes}};
    size_t collection_index;
    mn_status st = batch_collection_by_number(batch, doomed->collection, &collection_index, err);

    if (st == MN_OK)
        st =
            mni_batch_add(batch, collection_index, &gone, MNI_IF_UNCHANGED, doomed->lsn, NULL, err);
    return st;
}

/* Deletes these in one commit, if all of them are still the newest of their keys. */
static mn_status delete_doomed(struct mni_engine *engine, const struct sweep_room *room,
                               size_t first, size_t n, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    mn_status st = mni_batch_new(engine, NULL, &batch);

    if (st != MN_OK)
        return mni_fail(err, st, "a sweep of %zu records", n);
    batch->is_a_sweep = true;
    for (size_t i = 0; i < n && st == MN_OK; i++)
        st = add_delete(batch, room, &room->doomed[first + i], err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, err);
    mni_batch_free(batch);
    return st;
}

/* The same, record by record where one of them was changed meanwhile. */
static mn_status sweep_doomed(struct mni_engine *engine, const struct sweep_room *room, size_t n,
                              uint64_t *n_swept, struct mn_error *err)
{
    mn_status st = delete_doomed(engine, room, 0, n, err);

    if (st == MN_OK)
        *n_swept += n;
    if (st != MN_CHANGED)
        return st;
    for (size_t i = 0; i < n; i++) {
        st = delete_doomed(engine, room, i, 1, err);
        if (st != MN_OK && st != MN_CHANGED)
            return st;
        *n_swept += st == MN_OK;
    }
    return MN_OK;
}

static mn_status sweep_slice(struct mni_engine *engine, struct sweep_room *room, size_t *n_out,
                             uint64_t *n_swept, struct mn_error *err)
{
    size_t n_doomed = 0;
    mn_status st = gather_doomed(engine, room, n_out, &n_doomed, err);

    MNI_TEST_POINT("sweep");
    if (st == MN_OK && n_doomed > 0)
        st = sweep_doomed(engine, room, n_doomed, n_swept, err);
    return st;
}

static mn_status room_init(struct sweep_room *room, size_t n_max, struct mn_error *err)
{
    *room = (struct sweep_room){
        .lapsed = mni_alloc_array(n_max, sizeof *room->lapsed),
        .versions = mni_alloc_array(n_max, sizeof(struct mni_version *)),
        .doomed = mni_alloc_array(n_max, sizeof *room->doomed),
        .n_max = n_max,
    };
    if (room->lapsed == NULL || room->versions == NULL || room->doomed == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a sweep of %zu records", n_max);
    return MN_OK;
}

static void room_done(struct sweep_room *room)
{
    mni_free(room->lapsed);
    mni_free(room->versions);
    mni_free(room->doomed);
    mni_buf_done(&room->keys);
}

mn_status mni_engine_sweep(struct mni_engine *engine, uint64_t *n_swept_out, struct mn_error *err)
{
    uint64_t n_swept = 0;
    mn_status st = MN_OK;
    size_t n = 0;

    if (engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    mni_mutex_lock(&engine->settings_lock);
    size_t batch_records = (size_t)engine->store.settings[SETTING_SWEEP_BATCH_RECORDS];
    int64_t cap_us = (int64_t)engine->store.settings[SETTING_SWEEP_TIME_CAP_MS] * 1000;
    mni_mutex_unlock(&engine->settings_lock);
    struct sweep_room room;
    st = room_init(&room, batch_records, err);
    if (st != MN_OK) {
        room_done(&room);
        return st;
    }
    mni_mutex_lock(&engine->sweep_lock);
    int64_t end_us = mni_env_mono_us(engine->env) + cap_us;
    st = mni_engine_lapse(engine, err);
    if (st == MN_ERR_CORRUPT)
        st = MN_OK; /* what lies elsewhere is swept */
    while (st == MN_OK) {
        st = sweep_slice(engine, &room, &n, &n_swept, err);
        if (n < batch_records || mni_env_mono_us(engine->env) >= end_us)
            break;
    }
    spaces_sweep_due(engine, end_us, &n_swept);
    mni_mutex_unlock(&engine->sweep_lock);
    room_done(&room);
    if (st == MN_OK && n_swept_out != NULL)
        *n_swept_out = n_swept;
    return st;
}

/* Keys and versions that wait to be tidied. Either lock held. */
static uint64_t count_untidy(struct mni_engine *engine)
{
    struct mni_memtable_stats stats;

    mni_memtable_get_stats(engine->table, &stats);
    return stats.n_superseded + (engine->dropped != NULL ? stats.n_keys : 0);
}

/* What superseded versions and dropped collections still hold goes in slices, between commits. */
static void tidy(struct mni_engine *engine, uint64_t *n_left_out)
{
    struct mni_commit role;

    mni_wal_enter(engine->wal, &role);
    engine_write_lock(engine);
    uint64_t oldest = engine_oldest_view_lsn(engine);
    (void)mni_memtable_collect(engine->table, oldest, TIDY_SLICE);
    engine_reclaim(engine, oldest, TIDY_SLICE);
    *n_left_out = count_untidy(engine);
    engine_unlock(engine);
    mni_wal_leave(engine->wal);
    engine_yield(engine);
}

/* The table grows: the sweeper makes memory ready for it. */
static void wake_for_stock(void *context)
{
    struct mni_engine *engine = context;

    mni_mutex_lock(&engine->sweeper_lock);
    engine->wants_stock = true;
    mni_cond_signal(&engine->sweeper_wakes);
    mni_mutex_unlock(&engine->sweeper_lock);
}

/* Stocking comes first: whoever writes may be about to wait for it. */
static void work_once(struct mni_engine *engine, bool wants_stock)
{
    if (wants_stock)
        mni_pool_stock(engine->pool);
    mni_engine_tick(engine);
}

static int64_t sweep_interval_us(struct mni_engine *engine)
{
    mni_mutex_lock(&engine->settings_lock);
    int64_t interval_us = (int64_t)engine->store.settings[SETTING_SWEEP_INTERVAL_MS] * 1000;
    mni_mutex_unlock(&engine->settings_lock);
    return interval_us;
}

/* Settings are not looked at under `sweeper_lock`: who changes one writes a file, and who makes
 * room for a record may wait for `sweeper_lock`. */
static void run_sweeper(void *context)
{
    struct mni_engine *engine = context;
    int64_t nap_us = sweep_interval_us(engine);

    mni_mutex_lock(&engine->sweeper_lock);
    while (!engine->sweeper_stops) {
        if (nap_us > SWEEPER_NAP_US)
            nap_us = SWEEPER_NAP_US; /* a changed setting takes effect soon */
        if (!engine->wants_stock)
            (void)mni_cond_wait_for(&engine->sweeper_wakes, &engine->sweeper_lock, nap_us);
        if (engine->sweeper_stops)
            break;
        bool wants_stock = engine->wants_stock;
        engine->wants_stock = false;
        mni_mutex_unlock(&engine->sweeper_lock);
        work_once(engine, wants_stock);
        nap_us = sweep_interval_us(engine);
        mni_mutex_lock(&engine->sweeper_lock);
    }
    mni_mutex_unlock(&engine->sweeper_lock);
}

void mni_engine_tick(struct mni_engine *engine)
{
    int64_t now_us = mni_env_mono_us(engine->env);
    if (now_us - engine->last_sweep_us >= sweep_interval_us(engine)) {
        engine->last_sweep_us = now_us;
        mni_ignore(mni_engine_sweep(engine, NULL, NULL));
    }
    if (!mni_env_has_threads(engine->env)) /* it is the jobs' thread that does so */
        reserve_keep(engine);
    engine_drop_retired(engine);
    engine_read_lock(engine);
    uint64_t n_left = count_untidy(engine);
    engine_unlock(engine);
    /* What open views need stays: a slice that frees nothing ends it. */
    for (int i = 0; i < TIDY_SLICES_MAX && n_left > 0; i++) {
        uint64_t n_before = n_left;
        tidy(engine, &n_left);
        if (n_left >= n_before)
            break;
    }
}

mn_status sweeper_start(struct mni_engine *engine, struct mn_error *err)
{
    mni_pool_on_want_stock(engine->pool, wake_for_stock, engine);
    engine->sweeper_stops = false;
    mn_status st = mni_thread_start(&engine->sweeper, run_sweeper, engine, err);

    engine->has_sweeper = st == MN_OK;
    return st;
}

void sweeper_stop(struct mni_engine *engine)
{
    if (!engine->has_sweeper)
        return;
    mni_mutex_lock(&engine->sweeper_lock);
    engine->sweeper_stops = true;
    mni_cond_signal(&engine->sweeper_wakes);
    mni_mutex_unlock(&engine->sweeper_lock);
    mni_thread_join(&engine->sweeper);
    engine->has_sweeper = false;
}
