/*
 * restore_namespace.c - brings back one namespace, into a new store or beside others.
 *
 * Its records are read out of the snapshot and written as any others are. Into a new store they
 * come in many commits, under the mark of a restore; into a store that is there in one commit, so
 * that all of it is visible, or nothing.
 *
 * Owns:    the engines of both sides, while it works.
 * Threads: one per target, which nobody has open.
 * Fails:   as opening and committing do; the target is as it was then.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/quote.h"
#include "engine/restore_private.h"

enum {
    BATCH_OPS_MAX = 1000,
    BATCH_BYTES_SOFT = 4 << 20,
};

struct moving {
    struct restore *restore;
    const struct mni_snapshot_collection *collection;
    struct mni_engine *from; /* owned: the snapshot */
    struct mni_engine *to;   /* owned: the target */
    struct mni_batch *batch; /* owned */
    size_t index;            /* of the namespace in it */
    size_t n_batch_bytes;
    bool in_one_commit;
};

static mn_status begin_batch(struct moving *m, struct mn_error *err)
{
    if (mni_batch_new(m->to, NULL, &m->batch) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a batch");
    m->n_batch_bytes = 0;
    return mni_batch_collection(m->batch, MNI_KIND_NAMESPACE, m->restore->request->rename, true,
                                &m->index, err);
}

static mn_status commit_batch(struct moving *m, struct mn_error *err)
{
    struct mni_batch *batch = m->batch;

    m->batch = NULL;
    mn_status st = mni_batch_commit(batch, m->in_one_commit ? MN_ACK_DISK : MN_ACK_NONE, NULL, err);
    mni_batch_free(batch);
    return st;
}

static mn_status move_record(struct moving *m, const struct mni_record *r, struct mn_error *err)
{
    const struct mni_restore_request *request = m->restore->request;
    mn_status st = MN_OK;

    if (m->batch == NULL)
        st = begin_batch(m, err);
    if (st == MN_OK)
        st = mni_batch_add(m->batch, m->index, r, MNI_ALWAYS, 0, NULL, err);
    if (st == MN_ERR_LIMIT)
        return mni_fail(err, st,
                        "the namespace is too large for one commit (%d MiB or %d records); restore "
                        "it into a new store",
                        MN_BATCH_BYTES_MAX >> 20, MN_BATCH_RECORDS_MAX);
    if (st != MN_OK)
        return st;
    m->restore->report->n_records++;
    m->n_batch_bytes += mni_record_encoded_bytes(r);
    if (m->in_one_commit ||
        (mni_batch_n_ops(m->batch) < BATCH_OPS_MAX && m->n_batch_bytes < BATCH_BYTES_SOFT))
        return MN_OK;
    st = commit_batch(m, err);
    /* Nobody else makes room. */
    if (st == MN_OK &&
        atomic_load(&m->to->unwritten_bytes) >= atomic_load(&m->to->checkpoint_bytes))
        st = mni_engine_checkpoint(m->to, err);
    /* All files were read already; now it is their records. */
    if (st == MN_OK && request->progress.each != NULL)
        st = request->progress.each(request->progress.context, m->restore->snapshot.n_bytes,
                                    m->restore->snapshot.n_bytes, err);
    return st;
}

static mn_status move_records(struct moving *m, struct mn_error *err)
{
    const struct mni_walk_options all = {.reverse = false};
    struct mni_walk *walk = NULL;
    struct mni_found found;
    mn_status st = mni_walk_open(m->from, &all, &walk, err);

    if (st == MN_OK)
        st = mni_walk_start(walk, m->collection->number, err);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        st = move_record(m, &found.record, err);
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    return st == MN_END ? MN_OK : st;
}

/* An empty one is made, too. */
static mn_status move(struct moving *m, struct mn_error *err)
{
    mn_status st = begin_batch(m, err);

    if (st == MN_OK)
        st = mni_batch_create(m->batch, m->index, m->collection->dimension, true, err);
    if (st == MN_OK)
        st = move_records(m, err);
    if (st == MN_OK && m->batch != NULL)
        st = commit_batch(m, err);
    if (st == MN_OK)
        st = mni_wal_flush(mni_engine_wal(m->to), err);
    m->restore->report->n_namespaces = 1;
    m->restore->report->lsn = mni_engine_visible_lsn(m->to);
    return st;
}

static mn_status close_target(struct moving *m, struct mn_error *err)
{
    mn_status st = mni_engine_close(m->to, err);

    if (st != MN_ERR_BUSY && st != MN_ERR_FORKED)
        m->to = NULL;
    return st;
}

/* Into a new store ---------- */

/* Texts are directories of the other store, and in use there. */
static mn_status copy_settings(struct moving *m, struct mn_error *err)
{
    const struct store_file *store = &m->restore->store;
    mn_status st = MN_OK;

    for (int i = 0; i < N_SETTINGS && st == MN_OK; i++) {
        char value[SETTING_VALUE_BYTES];
        if (store->settings[i] == setting_default((enum setting)i))
            continue;
        setting_format((enum setting)i, store->settings[i], value);
        st = mni_engine_set(m->to, mni_setting_key((size_t)i), value, err);
    }
    return st;
}

static mn_status move_into(struct moving *m, struct mn_error *err)
{
    const struct mni_restore_request *r = m->restore->request;
    const struct mn_options options = {
        .size = sizeof options,
        .create = true,
        .no_background = true,
        .sync = MN_SYNC_MANUAL,
        .wal_file_bytes = m->restore->store.settings[SETTING_WAL_FILE_BYTES],
    };
    struct mni_dir *dir = NULL;
    mn_status st = restore_open_into(m->restore, true, &dir, err);

    mni_dir_close(dir); /* the engine locks it */
    if (st != MN_OK)
        return st;
    st = engine_open_marked(m->restore->env, r->path, &options, NULL, &m->to, err);
    if (st == MN_OK)
        st = copy_settings(m, err);
    if (st == MN_OK)
        st = move(m, err);
    if (st == MN_OK)
        st = close_target(m, err);
    mni_batch_free(m->batch);
    m->batch = NULL;
    mni_engine_abandon(m->to);
    m->to = NULL;
    return restore_end_into(m->restore, st, err);
}

/* Beside others ---------- */

static mn_status check_is_new(struct moving *m, struct mn_error *err)
{
    struct mn_slice name = m->restore->request->rename;
    char text[MNI_QUOTED_NAME_BYTES];
    struct mni_collection c;
    mn_status st = mni_engine_collection(m->to, MNI_KIND_NAMESPACE, name, &c, err);

    if (st == MN_OK)
        return mni_fail(err, MN_EXISTS, "the store has a namespace %s already",
                        mni_quote(name, text, sizeof text));
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status move_beside(struct moving *m, struct mn_error *err)
{
    bool is_dry_run = m->restore->request->is_dry_run;
    const struct mn_options options = {
        .size = sizeof options, .no_background = true, .read_only = is_dry_run};
    mn_status st =
        mni_engine_open(m->restore->env, m->restore->request->path, &options, &m->to, err);

    m->in_one_commit = true;
    if (st == MN_OK)
        st = check_is_new(m, err);
    if (st == MN_OK && !is_dry_run)
        st = move(m, err);
    mni_batch_free(m->batch);
    m->batch = NULL;
    return st == MN_OK ? close_target(m, err) : st;
}

static mn_status dry_run(struct moving *m, struct mn_error *err)
{
    const struct mni_restore_request *r = m->restore->request;
    struct mni_dir *dir = NULL;
    mn_status st = r->replaces ? move_beside(m, err)
                               : restore_open_into(m->restore, false, &dir, err);

    mni_dir_close(dir);
    m->restore->report->n_namespaces = 1;
    return st == MN_OK ? mni_engine_count_of(m->from, m->collection->number,
                                             &m->restore->report->n_records, err)
                       : st;
}

mn_status restore_namespace(struct restore *restore, struct mn_error *err)
{
    const struct mni_restore_request *r = restore->request;
    struct moving m = {.restore = restore, .collection = restore_find_collection(restore)};
    mn_status st = engine_open_shown(restore->env, r->pool, &restore->snapshot, &m.from, err);

    if (st == MN_OK && r->is_dry_run)
        st = dry_run(&m, err);
    else if (st == MN_OK)
        st = r->replaces ? move_beside(&m, err) : move_into(&m, err);
    mni_engine_abandon(m.to);
    mni_engine_abandon(m.from);
    return st;
}
