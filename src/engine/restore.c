/*
 * restore.c - restores snapshots into stores that nobody has open.
 *
 *     choose     of a moment: which snapshot (restore_at.c)
 *     verify     every byte of the snapshot is read, before anything is changed
 *     restore    restore_{into,replace,namespace,at}.c
 *     count      what is there now, without what has expired
 *
 * Owns:    the loaded snapshot.
 * Format:  docs/format/snapshot.md
 * Threads: one per target, whose directory is locked.
 * Fails:   leaves the target as it was, or marked as unfinished.
 */
#include "engine/restore_private.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/quote.h"

mn_status restore_manifest(const struct restore *restore, uint64_t number, uint64_t lsn,
                           const unsigned char *store_id, int64_t last_time_us,
                           struct mni_manifest *manifest_out, struct mn_error *err)
{
    const struct mni_snapshot *s = &restore->snapshot;
    size_t n = s->n_timelines;
    struct mni_timeline *history = mni_alloc_array(n + 1, sizeof *history);
    struct mni_manifest m = {0};
    uint64_t random[2];
    mn_status st = mni_env_random(restore->env, random, sizeof random, err);

    if (st == MN_OK && (history == NULL || mni_manifest_copy(&s->manifest, &m) != MN_OK))
        st = mni_fail(err, MN_ERR_NOMEM, "a manifest");
    if (st == MN_OK && n == MNI_MANIFEST_TIMELINES_MAX)
        st = mni_fail(err, MN_ERR_LIMIT, "the store was restored %zu times", n);
    if (st == MN_OK) {
        memcpy(history, s->timelines, n * sizeof *history);
        history[n] = (struct mni_timeline){
            .incarnation = random[0] | 1, .began_lsn = lsn, .from_lsn = s->manifest.lsn};
        if (mni_manifest_set_timelines(&m, history, n + 1) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "a manifest");
    }
    mni_free(history);
    if (st != MN_OK) {
        mni_manifest_done(&m);
        return st;
    }
    memcpy(m.store_id, store_id, sizeof m.store_id);
    m.number = number;
    m.lsn = lsn;
    m.lsn_handed_out = lsn;
    m.last_time_us = last_time_us > m.last_time_us ? last_time_us : m.last_time_us;
    m.incarnation = random[1] | 1;
    m.next_segment = 1;
    *manifest_out = m;
    return MN_OK;
}

static mn_status count(struct restore *restore, struct mni_engine *engine, struct mn_error *err)
{
    struct mn_stats stats = {.size = sizeof stats};
    mn_status st = mni_engine_lapse(engine, err);

    if (st == MN_OK) {
        mni_engine_get_stats(engine, &stats);
        restore->report->n_namespaces = stats.n_namespaces;
        restore->report->n_records = stats.n_records;
    }
    mni_engine_abandon(engine); /* nothing is to be sealed */
    return st;
}

mn_status restore_count(struct restore *restore, const struct mni_manifest *manifest,
                        struct mni_dir *dir, struct mn_error *err)
{
    struct mni_manifest copy = {0};
    struct mni_engine *engine = NULL;
    struct mni_dir *seg_dir = NULL;
    mn_status st = mni_dir_open_dir(dir, "seg", false, &seg_dir, err);

    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "the directory seg has gone");
    if (st == MN_OK && mni_manifest_copy(manifest, &copy) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a manifest");
    if (st == MN_OK)
        st = engine_open_still(restore->env, &restore->store, &copy, seg_dir, &engine, err);
    if (st != MN_OK) {
        mni_dir_close(seg_dir);
        return st;
    }
    return count(restore, engine, err);
}

mn_status restore_count_snapshot(struct restore *restore, struct mn_error *err)
{
    const struct mni_snapshot *s = &restore->snapshot;
    struct mni_engine *engine = NULL;

    restore->report->n_namespaces = mni_snapshot_n_namespaces(s);
    restore->report->n_records = s->n_records;
    if ((s->flags & MNI_SNAPSHOT_COMPRESSED) != 0)
        return MN_OK;
    mn_status st = engine_open_shown(restore->env, restore->request->pool, s, &engine, err);
    return st == MN_OK ? count(restore, engine, err) : st;
}

mn_status restore_log(const struct restore *restore, struct mni_dir *dir,
                      const unsigned char *store_id, uint64_t lsn, int64_t last_time_us,
                      struct mn_error *err)
{
    struct mni_wal_config config = {
        .env = restore->env,
        .create = true,
        .is_anew = true,
        .no_background = true,
        .checkpoint_lsn = lsn,
        .time_us = last_time_us,
        .file_bytes = restore->store.settings[SETTING_WAL_FILE_BYTES],
        .sync = (mn_sync_policy)restore->store.settings[SETTING_SYNC],
    };
    struct mni_wal *wal = NULL;
    mn_status st = mni_dir_open_dir(dir, "wal", true, &config.dir, err);

    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
    if (st != MN_OK) {
        mni_dir_close(config.dir);
        return st;
    }
    memcpy(config.store_id, store_id, MNI_STORE_ID_BYTES);
    st = mni_wal_open(&config, &wal, err);
    if (st != MN_OK) {
        mni_dir_close(config.dir);
        return st;
    }
    return mni_wal_close(wal, err);
}

const struct mni_snapshot_collection *restore_find_collection(const struct restore *restore)
{
    const struct mni_snapshot *s = &restore->snapshot;
    struct mn_slice name = restore->request->name;

    for (size_t i = 0; i < s->n_collections; i++) {
        const struct mni_snapshot_collection *c = &s->collections[i];
        if (c->kind == MNI_KIND_NAMESPACE && c->name.n_bytes == name.n_bytes &&
            memcmp(c->name.data, name.data, name.n_bytes) == 0)
            return c;
    }
    return NULL;
}

/* The run ---------- */

static mn_status load(struct restore *restore, struct mn_error *err)
{
    const struct mni_restore_request *r = restore->request;
    char text[MNI_QUOTED_NAME_BYTES];
    mn_status st = mni_pool_load(r->pool, &restore->id, &restore->snapshot, err);

    if (st == MN_OK)
        st = store_file_decode(restore->snapshot.store, &restore->store, err);
    if (st == MN_OK && r->name.n_bytes > 0 && restore_find_collection(restore) == NULL)
        st = mni_fail(err, MN_NOT_FOUND, "the snapshot has no namespace %s",
                      mni_quote(r->name, text, sizeof text));
    return st == MN_OK ? mni_pool_verify_cached(r->pool, &restore->snapshot, &r->progress, err)
                       : st;
}

mn_status mni_engine_restore(struct mni_env *env, const struct mni_restore_request *request,
                             struct mni_restore_report *report_out, struct mn_error *err)
{
    struct mni_restore_report report = {0};
    struct restore *restore = mni_alloc_zero(sizeof *restore);
    bool is_moment = request->at_lsn != 0 || request->at_time_us != 0;
    struct at *at = NULL;

    if (restore == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "restoring");
    restore->env = env;
    restore->request = request;
    restore->report = &report;
    restore->id = request->id;
    mn_status st = is_moment ? restore_choose_at(restore, &at, err) : MN_OK;
    if (st == MN_OK)
        st = load(restore, err);
    report.has_no_metadata = (restore->snapshot.flags & MNI_SNAPSHOT_WITHOUT_METADATA) != 0;
    if (st == MN_OK && is_moment)
        st = restore_at(restore, at, err);
    else if (st == MN_OK && request->name.n_bytes > 0)
        st = restore_namespace(restore, err);
    else if (st == MN_OK && request->replaces)
        st = restore_replace(restore, err);
    else if (st == MN_OK)
        st = restore_into(restore, err);
    report.id = restore->id;
    restore_at_done(at);
    mni_snapshot_done(&restore->snapshot);
    mni_free(restore);
    if (st == MN_OK)
        *report_out = report;
    return st;
}
