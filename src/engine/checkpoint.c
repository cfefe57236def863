/*
 * checkpoint.c - writes the frozen table to segments and makes them the store.
 *
 *     freeze     the table takes no more writes; its newest commit is the checkpoint's LSN
 *     flush      its rows become a run of segments
 *     mark       deaths and patches of older segments, up to the LSN, become liveness files
 *     publish    a manifest names all of it
 *     install    readers go over from the frozen table to the new run; what happened to the frozen
 *                table's records meanwhile is carried over
 *     trim       the log gives back what the segments hold
 *
 * Up to publishing, a failure or a crash leaves files that no manifest names, and the frozen table
 * stays: the next checkpoint begins with it. Commits go on all the time; freezing and installing
 * hold the leader's role for moments.
 *
 * Owns:    one checkpoint, under `checkpoint_lock`.
 * Format:  docs/format/{segment,liveness,manifest}.md
 * Threads: any, one at a time.
 * Fails:   as writing files does; the store goes on without the checkpoint.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/archive_private.h"
#include "engine/job_private.h"

enum {
    FETCH_AHEAD = 3,             /* rows whose memory is fetched before they are read */
    LIVE_FILES_MAX = 8,          /* generations of a segment before they become one again */
    ROTATE_FROM_BYTES = 1 << 20, /* a log file with less in it is not worth a new one */
    CARRY_ROUNDS = 6,            /* at most, before the role is held */
    CARRY_FEW = 256,             /* records that may be carried over while it is */
};

/* The rows of the frozen table as the checkpoint's view sees them, in order. */
struct flush_rows {
    const struct mni_sorted *sorted; /* borrowed */
    size_t next;
};

struct checkpoint {
    struct mni_engine *engine;
    struct mni_view view; /* at the checkpoint's LSN */
    uint64_t lsn;
    struct output output;     /* the new run */
    struct part_set *set;     /* one reference: the parts there will be */
    struct part_set *new_run; /* likewise: those of the new run alone */
    uint64_t carried_lsn;     /* what happened up to it to the frozen table's records is in them */
};

/* Rows ---------- */

/* False: there are no more. The row is valid while the checkpoint's view is open. */
static bool rows_peek(const struct flush_rows *rows, struct mni_segment_row *row_out)
{
    const struct mni_sorted *sorted = rows->sorted;
    struct mni_found found;

    if (rows->next == sorted->n_versions)
        return false;
    if (rows->next + FETCH_AHEAD < sorted->n_versions)
        mni_version_prefetch(sorted->versions[rows->next + FETCH_AHEAD].version);
    struct mni_version *version = sorted->versions[rows->next].version;
    engine_found_version(version, &found);
    *row_out = (struct mni_segment_row){
        .record = found.record, .lsn = found.lsn, .record_lsn = found.record_lsn};
    return true;
}

/* The collections of a table. The leader's role is held: none comes or goes. */
static mn_status list_collections(struct mni_engine *engine, struct mni_memtable *table,
                                  uint64_t **numbers_out, size_t *n_out, struct mn_error *err)
{
    engine_read_lock(engine);
    size_t n = mni_memtable_collections(table, NULL, 0);
    engine_unlock(engine);
    uint64_t *numbers = mni_alloc_array(n + 1, sizeof *numbers);
    if (numbers == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a checkpoint of %zu collections", n);
    engine_read_lock(engine);
    *n_out = mni_memtable_collections(table, numbers, n);
    engine_unlock(engine);
    MNI_CHECK(*n_out == n);
    if (n > 0)
        qsort(numbers, n, sizeof *numbers, mni_compare_u64);
    *numbers_out = numbers;
    return MN_OK;
}

/* Flush ---------- */

static mn_status next_row(void *context, struct mni_segment_row *row_out, struct mn_error *err)
{
    struct flush_rows *rows = context;
    bool is_there = rows_peek(rows, row_out);

    (void)err;
    MNI_CHECK(is_there); /* it was planned */
    rows->next++;
    return MN_OK;
}

static mn_status plan_segment(const struct checkpoint *c, struct mni_segment_plan *plan,
                              struct flush_rows *rows, struct mn_error *err)
{
    struct mni_segment_row row;
    mn_status st = MN_OK;

    while (st == MN_OK && !output_is_full(&c->output, plan) && rows_peek(rows, &row)) {
        st = mni_segment_plan_add(plan, &row, err);
        rows->next += st == MN_OK;
    }
    return st == MN_END ? MN_OK : st;
}

/* Gathers the rows in slices, between which commits go on, and sorts them beside them. */
static mn_status sort_rows(struct checkpoint *c, struct mni_sorted *sorted)
{
    struct mni_engine *engine = c->engine;
    const struct table *frozen = c->view.state->frozen;
    const struct mni_view_point view = {.lsn = c->lsn, .now_us = MNI_NO_CLOCK};

    engine_read_lock(engine);
    mn_status st =
        mni_sorted_init(sorted, frozen->memtable, view, frozen->collections, frozen->n_collections);
    engine_unlock(engine);
    const uint64_t n_bytes = sorted->capacity * sizeof sorted->versions[0];
    budget_job_add(engine, n_bytes + n_bytes / 2); /* sorting takes half as much */
    for (bool is_all = st != MN_OK; !is_all;) {
        engine_read_lock(engine);
        is_all = mni_sorted_gather(sorted);
        engine_unlock(engine);
    }
    if (st == MN_OK)
        st = mni_sorted_sort(sorted);
    budget_job_subtract(engine, n_bytes / 2);
    return st;
}

static mn_status flush(struct checkpoint *c, struct mn_error *err)
{
    struct mni_sorted sorted = {0};
    struct flush_rows planned = {.sorted = &sorted};
    struct mni_segment_points points = {0};
    struct mni_segment_plan *plan = NULL;
    mn_status st = sort_rows(c, &sorted);

    if (st == MN_OK)
        st = mni_segment_plan_new(c->engine->segment_bytes_max, &plan);
    if (st != MN_OK)
        st = mni_fail(err, st, "a checkpoint");
    if (st == MN_OK)
        st = engine_list_points(c->engine, c->lsn, &points, err);
    if (st == MN_OK)
        mni_segment_plan_set_points(plan, &points);
    while (st == MN_OK) {
        struct flush_rows written = planned;
        mni_segment_plan_reset(plan);
        st = plan_segment(c, plan, &planned, err);
        if (st == MN_OK && mni_segment_plan_n_rows(plan) == 0)
            break;
        if (st == MN_OK)
            st = output_write(&c->output, plan, next_row, &written, err);
    }
    mni_segment_plan_free(plan);
    engine_points_done(&points);
    budget_job_subtract(c->engine, sorted.capacity * sizeof sorted.versions[0]);
    mni_sorted_done(&sorted);
    return st;
}

/* Liveness ---------- */

static mn_status mark_part(struct checkpoint *c, struct part *part, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;
    struct mni_live_state state;
    struct mni_live_info info;
    char name[MNI_NAME_BYTES_MAX];
    const struct mni_segment_id *id = &mni_segment_get_info(part->segment)->id;
    bool is_full = part->n_files >= LIVE_FILES_MAX;

    part_forget_pending(part);
    engine_read_lock(engine);
    mn_status st =
        mni_liveness_export(&part->live, is_full ? MNI_LIVE_EXPORT_FULL : 0, c->lsn, &state, err);
    engine_unlock(engine);
    if (st != MN_OK)
        return st;
    bool is_forgotten = part == c->view.state->parts->parts[0] && MNI_PLANTED("liveness_forgotten");
    if (!mni_live_state_is_empty(&state) && !is_forgotten) {
        uint64_t generation = ++part->last_generation;
        mni_manifest_live_name(id->bytes, generation, name);
        st = mni_live_write(engine->seg_dir, name, id, generation, &state, &info, err);
        if (st == MN_OK) {
            part->pending = (struct mni_manifest_live){
                .generation = generation, .file_bytes = info.file_bytes, .crc = info.crc};
            part->pending_is_full = is_full;
        }
    }
    mni_live_state_done(&state);
    return st;
}

static mn_status mark(struct checkpoint *c, struct mn_error *err)
{
    const struct part_set *set = c->view.state->parts;
    mn_status st = MN_OK;

    for (size_t i = 0; i < set->n_parts && st == MN_OK; i++)
        st = mark_part(c, set->parts[i], err);
    return st;
}

/* Install ---------- */

/* A record of the frozen table that was changed after the checkpoint's LSN. */
struct carried {
    struct mni_version *version; /* one reference: the newest */
    bool is_deleted;
};

struct carry {
    struct carried *items; /* owned */
    size_t n;
    size_t capacity;
    bool failed;
};

static void note_carried(void *context, uint64_t collection, struct mn_slice key,
                         struct mni_version *newest, bool is_deleted)
{
    struct carry *carry = context;

    (void)collection;
    (void)key;
    if (carry->n == carry->capacity) {
        size_t capacity = carry->capacity == 0 ? 64 : carry->capacity * 2;
        struct carried *items = mni_realloc(carry->items, capacity * sizeof *items);
        if (items == NULL) {
            carry->failed = true;
            return;
        }
        carry->items = items;
        carry->capacity = capacity;
    }
    mni_version_ref(newest);
    carry->items[carry->n++] = (struct carried){.version = newest, .is_deleted = is_deleted};
}

static void carry_done(struct carry *carry)
{
    for (size_t i = 0; i < carry->n; i++)
        mni_version_unref(carry->items[i].version);
    mni_free(carry->items);
    *carry = (struct carry){0};
}

/* A record of the frozen table is changed as it was since, where it lies in the new run. Nobody
 * else sees that yet. */
static mn_status carry_one(struct checkpoint *c, const struct carried *item, struct mn_error *err)
{
    struct place place;
    struct mni_record r;
    struct mni_patch patch = {.lsn = mni_version_lsn(item->version)};

    mni_record_view(mni_version_bytes(item->version), &r);
    mn_status st = place_find(c->engine, c->new_run, r.collection, r.key, &place, err);
    /* It was not a record any more at the checkpoint's LSN, or stands in the list twice. */
    if (st != MN_OK || place.part == NULL ||
        !mni_liveness_is_visible(&place.part->live, place.row, UINT64_MAX))
        return st;
    st = item->is_deleted ? mni_liveness_reserve(&place.part->live, 1, 0)
                          : part_reserve_patch(place.part);
    if (st != MN_OK)
        return mni_fail(err, st, "a checkpoint");
    if (item->is_deleted && MNI_PLANTED("deletes_not_carried")) {
        mni_liveness_unreserve(&place.part->live, 1, 0);
        return MN_OK;
    }
    if (item->is_deleted) {
        mni_liveness_kill(&place.part->live, place.row, patch.lsn);
        return MN_OK;
    }
    if (mni_version_expiry(item->version, &patch.expires_at_us))
        patch.fields |= MNI_FIELD_EXPIRY;
    else
        patch.clears |= MNI_FIELD_EXPIRY;
    if (mni_version_hits(item->version, &patch.hits))
        patch.fields |= MNI_FIELD_HITS;
    part_patch(place.part, place.row, &patch, c->lsn, mni_engine_now_us(c->engine));
    return MN_OK;
}

/* Carries what happened to the frozen table's records since the last time over to the new run. */
static mn_status carry(struct checkpoint *c, size_t *n_out, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;
    struct carry carry = {0};
    mn_status st = MN_OK;

    engine_read_lock(engine);
    mni_memtable_changed_after(c->view.state->frozen->memtable, c->carried_lsn, note_carried,
                               &carry);
    uint64_t lsn = mni_engine_visible_lsn(engine);
    engine_unlock(engine);
    if (carry.failed)
        st = mni_fail(err, MN_ERR_NOMEM, "a checkpoint");
    for (size_t i = 0; i < carry.n && st == MN_OK; i++)
        st = carry_one(c, &carry.items[i], err);
    if (st == MN_OK)
        c->carried_lsn = lsn;
    for (size_t i = 0; i < c->output.n_parts; i++)
        part_note_memory(c->output.parts[i]);
    *n_out = carry.n;
    carry_done(&carry);
    return st;
}

/* Rows of collections that were dropped since. The leader's role is held. */
static mn_status find_dropped(struct checkpoint *c, struct dropped_rows **rows_out,
                              struct mn_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    const struct table *frozen = c->view.state->frozen;

    engine_read_lock(c->engine);
    bool has_all = mni_memtable_collections(frozen->memtable, NULL, 0) == frozen->n_collections;
    engine_unlock(c->engine);
    if (has_all)
        return MN_OK; /* none comes to a frozen table */
    mn_status st = list_collections(c->engine, frozen->memtable, &numbers, &n, err);

    for (size_t i = 0; i < frozen->n_collections && st == MN_OK; i++) {
        uint64_t number = frozen->collections[i];
        if (mni_contains_u64(numbers, n, number))
            continue;
        for (size_t p = 0; p < c->output.n_parts && st == MN_OK; p++)
            st = part_find_dropped(c->output.parts[p], number, rows_out, err);
    }
    mni_free(numbers);
    return st;
}

/* The set with the new run behind the others. */
static mn_status make_set(struct checkpoint *c, struct mn_error *err)
{
    const struct part_set *old = c->view.state->parts;
    const struct output *output = &c->output;
    size_t n_new_runs = output->n_parts > 0 ? 1 : 0;

    if (set_new(old->n_runs + n_new_runs, old->n_parts + output->n_parts, &c->set) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a checkpoint");
    for (size_t r = 0; r < old->n_runs; r++)
        set_add_run(c->set, old->parts + old->runs[r].first, old->runs[r].n_parts);
    if (n_new_runs > 0)
        set_add_run(c->set, output->parts, output->n_parts);
    if (set_new(n_new_runs, output->n_parts, &c->new_run) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a checkpoint");
    if (n_new_runs > 0)
        set_add_run(c->new_run, output->parts, output->n_parts);
    return MN_OK;
}

/* Goes over to the new state. The role and the write lock are held. */
static void swap_state(struct checkpoint *c, struct state *state)
{
    struct mni_engine *engine = c->engine;
    struct table *frozen = engine->state->frozen;
    struct state *old = engine->state;

    root_note_published(c->set, c->lsn);
    engine->root_lsn = c->lsn;
    engine->root_number = engine->manifest.number;
    atomic_fetch_sub(&engine->unwritten_bytes, engine->frozen_bytes);
    /* Transactions that are open may have to know what happened in it. */
    frozen->last_lsn = mni_engine_visible_lsn(engine);
    table_ref(frozen);
    frozen->next = engine->retired;
    engine->retired = frozen;
    engine->state = state;
    state_unref(old); /* the checkpoint's view holds it */
}

static mn_status install(struct checkpoint *c, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;
    struct state *state = NULL;
    struct dropped_rows *dropped = NULL;
    struct mni_commit role;
    size_t n = SIZE_MAX;
    mn_status st = state_new(c->view.state->active, NULL, c->set, &state);

    if (st != MN_OK)
        st = mni_fail(err, st, "a checkpoint");
    for (int i = 0; i < CARRY_ROUNDS && n > CARRY_FEW && st == MN_OK; i++)
        st = carry(c, &n, err);
    mni_wal_enter(engine->wal, &role);
    if (st == MN_OK)
        st = carry(c, &n, err);
    if (st == MN_OK)
        st = find_dropped(c, &dropped, err);
    engine_write_lock(engine);
    if (st == MN_OK) {
        part_link_dropped(&dropped);
        swap_state(c, state);
        state = NULL;
    }
    engine_unlock(engine);
    mni_wal_leave(engine->wal);
    part_free_dropped(&dropped);
    state_unref(state);
    return st;
}

/* Freeze ---------- */

static mn_status freeze(struct checkpoint *c, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;
    struct table *table = NULL;
    struct state *state = NULL;
    struct mni_commit role;
    mn_status st = MN_OK;

    mni_wal_enter(engine->wal, &role);
    struct state *old = engine->state; /* only this thread and its like change it */
    if (old->frozen == NULL) {
        st = table_new(engine->pool, &table);
        if (st == MN_OK)
            st = state_new(table, old->active, old->parts, &state);
        if (st != MN_OK)
            st = mni_fail(err, st, "a new table");
        if (st == MN_OK)
            st = list_collections(engine, old->active->memtable, &old->active->collections,
                                  &old->active->n_collections, err);
    }
    engine_write_lock(engine);
    if (st == MN_OK && state != NULL) {
        engine->frozen_bytes = atomic_load(&engine->unwritten_bytes);
        atomic_store(&engine->budget.frozen_table_bytes, atomic_load(&engine->budget.table_bytes));
        atomic_store(&engine->budget.frozen_table_records,
                     atomic_load(&engine->budget.table_records));
        old->active->last_lsn = mni_engine_visible_lsn(engine);
        old->active->frozen_time_us = mni_wal_last_time_us(engine->wal);
        mni_wal_note_position(engine->wal);
        engine->state = state;
        engine->table = table->memtable;
    }
    engine_unlock(engine);
    if (st == MN_OK) {
        c->lsn = engine->state->frozen->last_lsn;

        engine_view_open_at(engine, &c->view, c->lsn);
        if (state != NULL)
            state_unref(old);
    }
    mni_wal_leave(engine->wal);
    table_unref(table);
    if (st != MN_OK)
        state_unref(state);
    return st;
}

/* Trim ---------- */

/* Gives back what is in the archive, if the log is to be kept there. */
static mn_status truncate(struct mni_engine *engine, uint64_t lsn, struct mn_error *err)
{
    mn_status kept = engine_archive_log(engine, err);
    mn_status st = mni_wal_truncate(engine->wal, lsn, NULL, kept == MN_OK ? err : NULL);

    return kept == MN_OK ? st : kept;
}

static mn_status trim_log(struct mni_engine *engine, uint64_t lsn, struct mn_error *err)
{
    struct mni_wal_stats stats;
    uint64_t newest = mni_wal_visible_lsn(engine->wal);

    /* After a restore the manifest is ahead of the log, until something is written. */
    if (lsn > newest)
        lsn = newest;
    mn_status st = mni_wal_checkpoint(engine->wal, lsn, err);

    mni_wal_get_stats(engine->wal, &stats);
    /* A new file pays where most of the newest one can be given back soon. Where it cannot, a file
     * more would be prepared for half of its use. */
    if (st == MN_OK && stats.current_file_bytes >= ROTATE_FROM_BYTES &&
        atomic_load(&engine->unwritten_bytes) < stats.current_file_bytes / 2) {
        /* Files that are given back before make the next one. */
        st = truncate(engine, lsn, err);
        if (st == MN_OK)
            st = mni_wal_rotate(engine->wal, err);
    }
    return st == MN_OK ? truncate(engine, lsn, err) : st;
}

/* What the log and the directory hold beyond need goes; whatever stays goes with the next one. */
static mn_status trim(struct mni_engine *engine, struct mn_error *err)
{
    mn_status st = trim_log(engine, engine->manifest.lsn, err);

    if (st == MN_OK)
        st = mni_manifest_remove_older(engine->dir, engine->manifest.number, err);
    if (st == MN_OK)
        st = engine_remove_orphans(engine, err);
    return st;
}

/* Room for one more file of each part, so that installing cannot fail for it. */
static mn_status reserve_files(struct checkpoint *c, struct mn_error *err)
{
    const struct part_set *set = c->view.state->parts;

    for (size_t i = 0; i < set->n_parts; i++) {
        struct part *part = set->parts[i];
        struct mni_manifest_live *files =
            mni_realloc(part->files, (part->n_files + 1) * sizeof *files);
        if (files == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "a checkpoint");
        part->files = files;
    }
    return MN_OK;
}

static mn_status run_checkpoint(struct checkpoint *c, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;
    size_t n;
    mn_status st = reserve_files(c, err);

    if (st == MN_OK)
        st = flush(c, err);
    if (st == MN_OK)
        st = mark(c, err);
    if (st == MN_OK)
        st = make_set(c, err);
    c->carried_lsn = c->lsn;
    /* Most of it while a failure still changes nothing. */
    if (st == MN_OK)
        st = carry(c, &n, err);
    /* The log is never behind the segments. */
    if (st == MN_OK && !MNI_PLANTED("root_ahead_of_log"))
        st = mni_wal_flush(engine->wal, err);
    if (st == MN_OK && MNI_PLANTED("log_trimmed_before_manifest"))
        st = trim_log(engine, c->lsn, err);
    if (st == MN_OK)
        st = root_publish(engine, c->set, c->lsn, c->view.state->frozen->frozen_time_us, err);
    if (st != MN_OK)
        return st;
    st = install(c, err);
    if (st != MN_OK)
        engine->is_root_in_doubt = true; /* tables and root have parted until it is opened again */
    return st;
}

static void discard(struct checkpoint *c, bool is_installed)
{
    output_done(&c->output, is_installed);
    set_unref(c->set);
    set_unref(c->new_run);
    mni_free(c);
}

void engine_drop_retired(struct mni_engine *engine)
{
    struct table *gone = NULL;

    engine_write_lock(engine);
    uint64_t oldest = engine_oldest_view_lsn(engine);
    for (struct table **at = &engine->retired; *at != NULL;) {
        struct table *table = *at;
        if (table->last_lsn > oldest) {
            at = &table->next;
            continue;
        }
        *at = table->next;
        table->next = gone;
        gone = table;
    }
    engine_unlock(engine);
    while (gone != NULL) {
        struct table *next = gone->next;
        table_unref(gone);
        gone = next;
    }
}

/* What no view needs of older segments' past. Readers go on between two parts. */
static void raise_floors(struct mni_engine *engine)
{
    const struct part_set *set = engine->state->parts; /* only this thread and its like change it */

    for (size_t i = 0; i < set->n_parts; i++) {
        engine_write_lock(engine);
        uint64_t floor = engine_floor_lsn(engine, mni_engine_visible_lsn(engine));
        mni_liveness_raise_floor(&set->parts[i]->live, floor);
        part_note_memory(set->parts[i]);
        engine_unlock(engine);
        engine_yield(engine);
    }
}

/* What the frozen table had is freed, or kept by views and no longer what a checkpoint frees. */
static void forget_frozen(struct mni_engine *engine)
{
    struct budget *b = &engine->budget;

    atomic_fetch_sub(&b->table_bytes, atomic_exchange(&b->frozen_table_bytes, 0));
    atomic_fetch_sub(&b->table_records, atomic_exchange(&b->frozen_table_records, 0));
    budget_note_fixed(engine);
}

static mn_status checkpoint(struct mni_engine *engine, struct mn_error *err)
{
    struct checkpoint *c = mni_alloc_zero(sizeof *c);

    if (c == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a checkpoint");
    c->engine = engine;
    c->output.engine = engine;
    mn_status st = engine_open_seg_dir(engine, true, err);
    if (st == MN_OK)
        st = freeze(c, err);
    if (st == MN_OK) {
        st = run_checkpoint(c, err);
        mni_view_close(&c->view);
    }
    discard(c, st == MN_OK);
    engine_drop_retired(engine);
    if (st == MN_OK) {
        forget_frozen(engine);
        raise_floors(engine);
    }
    return st;
}

mn_status engine_check_root(const struct mni_engine *engine, struct mn_error *err)
{
    if (!engine->is_root_in_doubt)
        return MN_OK;
    return mni_fail(err, MN_ERR_IO,
                    "an earlier checkpoint failed while it was published; open the store again");
}

void mni_engine_limit_segments(struct mni_engine *engine, uint64_t file_bytes_max)
{
    engine->segment_bytes_max = file_bytes_max;
}

/* Everything up to an LSN. After an error the root may have it all the same, and only what is
 * beyond need has not gone. */
static mn_status checkpoint_until(struct mni_engine *engine, uint64_t until, bool *has_root_out,
                                  struct mn_error *err)
{
    mn_status st = engine_check_root(engine, err);

    if (st == MN_OK)
        st = root_confirm(engine, err);
    /* What an earlier one froze goes first, and may not be all. */
    while (st == MN_OK && (engine->state->frozen != NULL || engine->manifest.lsn < until))
        st = checkpoint(engine, err);
    engine_drop_retired(engine); /* also where nothing was written: a view may have ended */
    *has_root_out = st == MN_OK;
    return st == MN_OK ? trim(engine, err) : st;
}

static mn_status checkpoint_all(struct mni_engine *engine, bool *has_root_out, struct mn_error *err)
{
    uint64_t until = mni_engine_visible_lsn(engine);
    mn_status st = checkpoint_until(engine, until, has_root_out, err);

    bool was_lent = atomic_load(&engine->reserve_is_lent); /* to the caller, who restores it */
    while (st == MN_ERR_NO_SPACE && reserve_make_room(engine))
        st = checkpoint_until(engine, until, has_root_out, err);
    if (!was_lent)
        reserve_restore(engine);
    atomic_store(&engine->last_checkpoint_us, mni_env_mono_us(engine->env));
    return st;
}

mn_status engine_checkpoint_now(struct mni_engine *engine, struct mn_error *err)
{
    bool has_root = false;

    return checkpoint_all(engine, &has_root, err);
}

mn_status engine_make_root(struct mni_engine *engine, struct mn_error *err)
{
    struct mn_error why = {0};
    bool has_root = false;
    mn_status st = checkpoint_all(engine, &has_root, &why);

    if (!has_root)
        return mni_fail(err, st, "%s", why.message);
    return engine->manifest.number == 0 ? checkpoint(engine, err) : MN_OK;
}

mn_status mni_engine_checkpoint(struct mni_engine *engine, struct mn_error *err)
{
    if (engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    engine_call_before_checkpoint(engine);
    mni_mutex_lock(&engine->checkpoint_lock);
    /* So that all there is comes into the archive; that it may not is told when it is trimmed. */
    if (engine_archives(engine))
        mni_ignore(mni_wal_rotate(engine->wal, NULL));
    mn_status st = engine_checkpoint_now(engine, err);
    if (st == MN_OK) {
        mn_status merged = engine_merge(engine, err);
        /* Everything is in segments, however many; but it may have been the last time. */
        st = engine->is_root_in_doubt ? merged : MN_OK;
    }
    mni_mutex_unlock(&engine->checkpoint_lock);
    return st;
}
