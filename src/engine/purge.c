/*
 * purge.c - erases records from every file of the store.
 *
 *     delete       an ordinary commit, synced
 *     new log      what was logged so far lies in older files, which will be removed
 *     checkpoint   what is alive goes to segments, what is dead is marked
 *     rewrite      the segments that hold dead versions of the records, without what is dead
 *     snapshots    which of them still hold copies is said, no more
 *
 * The files that held them are removed; a reader that has one of them open keeps its blocks on the
 * disk until it lets go, without a name.
 *
 * Owns:    one purge, under `checkpoint_lock`.
 * Threads: any, one at a time.
 * Fails:   as commits, checkpoints and merges do. The records are deleted then, and may be left in
 *          files: purging again goes on, except where a live record beside them is damaged.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/job_private.h"

/* Whether the part has a version of the key that is dead as the root has it. */
static mn_status holds_dead(struct mni_engine *engine, struct part *part, uint64_t root_lsn,
                            uint64_t collection, struct mn_slice key, bool *holds_out,
                            struct mn_error *err)
{
    uint32_t row;
    mn_status st =
        mni_segment_find(part->segment, mni_key_hash(collection, key), collection, key, &row, err);

    *holds_out = false;
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? MN_OK : st;
    engine_read_lock(engine);
    *holds_out = !mni_liveness_is_visible(&part->live, row, root_lsn);
    engine_unlock(engine);
    return MN_OK;
}

static mn_status wants(void *context, struct part *part, uint64_t root_lsn, bool *wants_out,
                       struct mn_error *err)
{
    const struct erased *e = context;
    struct mni_segment_group group;
    mn_status st;

    /* Records of a namespace that was dropped before go too: it may have had this name. */
    engine_read_lock(e->engine);
    bool is_new = part->made_lsn == root_lsn; /* nothing dead is in it as the root has it */
    *wants_out = !is_new && part->dropped != NULL;
    engine_unlock(e->engine);
    if (*wants_out || is_new)
        return MN_OK;
    if (e->keys == NULL) {
        st = mni_segment_find_group(part->segment, e->collection, &group, err);
        *wants_out = st == MN_OK;
        if (st == MN_NOT_FOUND)
            st = holds_dead(e->engine, part, root_lsn, 0, e->row_key, wants_out, err);
        return st;
    }
    st = MN_OK;
    for (size_t i = 0; i < e->n_keys && st == MN_OK && !*wants_out; i++)
        st = holds_dead(e->engine, part, root_lsn, e->collection, e->keys[i], wants_out, err);
    return st;
}

/* Deletes the records, or drops the collection. Counts those that existed. */
static mn_status commit_delete(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                               struct erased *e, struct mni_purge_receipt *receipt,
                               struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    size_t index = 0;

    if (mni_batch_new(engine, NULL, &batch) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a purge of %zu records", e->n_keys);
    mn_status st = mni_batch_collection(batch, kind, name, false, &index, err);
    if (st == MN_OK && e->keys == NULL)
        mni_batch_drop(batch, index);
    for (size_t i = 0; i < e->n_keys && st == MN_OK; i++) {
        struct mni_record gone = {.type = MNI_RECORD_DELETE, .key = e->keys[i]};
        st = mni_batch_add(batch, index, &gone, MNI_ALWAYS, 0, NULL, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_DISK, &receipt->lsn, err);
    if (st == MN_OK)
        e->collection = batch->collections[index].known.number;
    for (size_t i = 0; st == MN_OK && i < mni_batch_n_ops(batch); i++)
        receipt->n_records += mni_batch_existed(batch, i);
    mni_batch_free(batch);
    return st;
}

/* Files of segments that have no name any more and are kept open by readers. */
static uint64_t count_pinned(struct mni_engine *engine)
{
    engine_read_lock(engine);
    uint64_t n_alive = atomic_load(&engine->n_parts_alive);
    uint64_t n_parts = engine->state->parts->n_parts;
    engine_unlock(engine);
    return n_alive > n_parts ? n_alive - n_parts : 0;
}

/* Writes the runs anew that hold something of it. */
static mn_status rewrite(struct erased *e, size_t *n_runs_out, struct mn_error *err)
{
    mn_status st = engine_rewrite(e->engine, wants, e, n_runs_out, err);

    while (st == MN_ERR_NO_SPACE && reserve_make_room(e->engine))
        st = engine_rewrite(e->engine, wants, e, n_runs_out, err);
    if (st == MN_ERR_CORRUPT)
        mni_error_prefix(err,
                         "the records are deleted but not erased: a segment that holds them is "
                         "damaged, and writing it anew would lose other records; purging again "
                         "does not help, salvaging into a new store does");
    return st;
}

static mn_status erase(struct mni_engine *engine, struct erased *e,
                       struct mni_purge_receipt *receipt, struct mn_error *err)
{
    struct mni_wal_stats stats;
    size_t n_runs = 1;

    mni_wal_get_stats(engine->wal, &stats);
    mn_status st = mni_wal_erase_begin(engine->wal, err);
    while (st == MN_ERR_NO_SPACE && reserve_make_room(engine))
        st = mni_wal_erase_begin(engine->wal, err);
    if (st != MN_OK)
        return st;
    st = engine_checkpoint_now(engine, err);
    if (st != MN_OK)
        mni_error_prefix(err, "the records are deleted but not erased");
    if (st == MN_OK)
        receipt->n_log_files = stats.n_files;
    while (st == MN_OK && n_runs > 0) {
        st = rewrite(e, &n_runs, err);
        receipt->n_runs += n_runs;
    }
    mni_wal_erase_end(engine->wal);
    if (st == MN_OK)
        st = mni_manifest_remove_older(engine->dir, engine->manifest.number, err);
    /* What is gone stays gone when the power fails. */
    if (st == MN_OK)
        st = mni_dir_sync(engine->seg_dir, err);
    if (st == MN_OK)
        st = mni_dir_sync(engine->dir, err);
    receipt->n_pinned = count_pinned(engine);
    return st;
}

mn_status mni_engine_purge(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                           const struct mn_slice *keys, size_t n_keys,
                           struct mni_purge_receipt *receipt_out, struct mn_error *err)
{
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_purge_receipt receipt = {0};
    struct mni_collection c = {0};
    struct erased e = {
        .engine = engine, .kind = kind, .name = name, .keys = keys, .n_keys = n_keys};

    if (engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    mn_status found = mni_engine_collection(engine, kind, name, &c, err);
    if (found != MN_OK && (found != MN_NOT_FOUND || keys != NULL))
        return found;
    mn_status st = MN_OK;
    engine_call_before_checkpoint(engine); /* what is written now is erased, too */
    e.row_key = catalogue_key(kind, name, room);
    if (keys == NULL && found == MN_OK)
        st = mni_engine_count_of(engine, c.number, &receipt.n_records, err);
    if (st == MN_OK && found == MN_OK)
        st = commit_delete(engine, kind, name, &e, &receipt, err);
    if (st != MN_OK)
        return st;
    mni_mutex_lock(&engine->snapshot_lock); /* what an export has staged goes first */
    mni_mutex_lock(&engine->checkpoint_lock);
    st = erase(engine, &e, &receipt, err);
    reserve_restore(engine);
    mni_mutex_unlock(&engine->checkpoint_lock);
    mni_mutex_unlock(&engine->snapshot_lock);
    if (st == MN_OK)
        st = purge_find_snapshots(&e, &receipt, err);
    if (st == MN_OK)
        st = purge_find_archived(&e, &receipt, err);
    *receipt_out = receipt;
    return st == MN_OK ? found : st;
}
