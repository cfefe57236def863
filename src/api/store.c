/*
 * store.c - opening a store, its namespaces, settings and numbers.
 *
 * Owns:    the public handle.
 * Threads: any; opening and closing one.
 * Fails:   as store.h says.
 */
#include "mneme/store.h"

#include <inttypes.h>

#include "api/api.h"
#include "api/store_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/posix.h"
#include "semcache/semcache.h"
#include "snapshot/snapshot.h"

static mn_status check_options(const struct mn_options *o, struct mn_error *err)
{
    mn_status st = MN_OK;

    if (o->recovery < MN_RECOVERY_TAIL || o->recovery > MN_RECOVERY_POINT_IN_TIME)
        return mni_fail(err, MN_ERR_INVALID, "recovery mode %d is unknown", (int)o->recovery);
    if (o->sync < MN_SYNC_DEFAULT || o->sync > MN_SYNC_MANUAL)
        return mni_fail(err, MN_ERR_INVALID, "sync policy %d is unknown", (int)o->sync);
    if (o->recovery != MN_RECOVERY_POINT_IN_TIME && (o->stop_lsn != 0 || o->stop_time_us != 0))
        return mni_fail(err, MN_ERR_INVALID, "a stop needs MN_RECOVERY_POINT_IN_TIME");
    if (o->recovery == MN_RECOVERY_POINT_IN_TIME && o->stop_lsn == 0 && o->stop_time_us == 0)
        return mni_fail(err, MN_ERR_INVALID, "MN_RECOVERY_POINT_IN_TIME needs a stop");
    if (o->sync_every_commits > 1000000)
        return mni_fail(err, MN_ERR_INVALID, "sync_every_commits is %" PRIu32 ", above 1000000",
                        o->sync_every_commits);
    if (o->sync_interval_ms > 3600000)
        return mni_fail(err, MN_ERR_INVALID, "sync_interval_ms is %" PRIu32 ", above 3600000",
                        o->sync_interval_ms);
    if (o->wal_file_bytes != 0 &&
        (o->wal_file_bytes < 64 << 10 || o->wal_file_bytes > UINT64_C(4) << 30))
        return mni_fail(err, MN_ERR_INVALID,
                        "wal_file_bytes is %" PRIu64 ", it can be 64 KiB to 4 GiB",
                        o->wal_file_bytes);
    if (o->memory_bytes_max != 0)
        st = mni_engine_check_setting("memory_bytes_max", o->memory_bytes_max, err);
    if (st == MN_OK && o->pinned_bytes_max != 0)
        st = mni_engine_check_setting("pinned_bytes_max", o->pinned_bytes_max, err);
    return st;
}

/* The snapshot stays where it is, and under a lock, as long as it is read. */
static mn_status open_snapshot(struct mni_env *env, const char *path, const struct mn_options *o,
                               struct mni_engine **engine_out, struct mn_error *err)
{
    char pool_path[MNI_PATH_BYTES_MAX];
    struct mni_snapshot_id id;
    struct mni_pool_dir *pool = NULL;

    if (!mni_snapshot_id_parse(mn_str(o->snapshot_id), &id))
        return mni_fail(err, MN_ERR_INVALID, "\"%.60s\" is no id of a snapshot", o->snapshot_id);
    if (o->create || o->recovery == MN_RECOVERY_POINT_IN_TIME)
        return mni_fail(err, MN_ERR_INVALID, "a snapshot can only be read as it is");
    mn_status st = mni_store_pool_path(env, path, pool_path, err);
    if (st != MN_OK && st != MN_ERR_NO_STORE)
        return st;
    const char *place = st == MN_OK ? pool_path : path;
    st = mni_pool_open(env, place, false, &pool, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, st, "there are no snapshots in %.300s", place);
    if (st != MN_OK)
        return st;
    st = mni_pool_lock(pool, MNI_POOL_READ, err);
    if (st == MN_OK)
        st = mni_engine_open_snapshot(env, pool, &id, o, engine_out, err);
    if (st != MN_OK) {
        mni_pool_close(pool);
        return st;
    }
    st = mni_engine_set_path(*engine_out, path, err);
    if (st != MN_OK)
        mni_ignore(mni_engine_close(*engine_out, NULL)); /* and the pool with it */
    return st;
}

static mn_store *new_store(void)
{
    mn_store *store = mni_alloc_zero(sizeof *store);

    if (store != NULL)
        mni_mutex_init(&store->semcache_lock);
    return store;
}

/* After the engine. */
static void free_store(mn_store *store)
{
    mni_semcache_close(store->semcache);
    mni_mutex_done(&store->semcache_lock);
    mni_free(store);
}

mn_status mni_api_store_open(struct mni_env *env, const char *path,
                             const struct mn_options *options, mn_store **store_out,
                             struct mn_error *err)
{
    struct mn_options o;
    struct mn_error details = {0};
    mn_status st;

    if (store_out == NULL || path == NULL || path[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "no path, or no place for the handle");
    *store_out = NULL;
    st = api_copy_options(options, &o, sizeof o, "mn_options", err);
    if (st == MN_OK)
        st = check_options(&o, err);
    if (st != MN_OK)
        return st;
    o.wal_file_bytes = (o.wal_file_bytes + 4095) & ~UINT64_C(4095);
    mn_store *store = new_store();
    if (store == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "store handle");
    st = o.snapshot_id != NULL ? open_snapshot(env, path, &o, &store->engine, &details)
                               : mni_engine_open(env, path, &o, &store->engine, &details);
    if (st != MN_OK) {
        free_store(store);
        return api_answer(st, &details, err);
    }
    *store_out = store;
    return MN_OK;
}

mn_status mni_api_store_of_engine(struct mni_engine *engine, mn_store **store_out)
{
    mn_store *store = new_store();

    if (store == NULL)
        return MN_ERR_NOMEM;
    store->engine = engine;
    *store_out = store;
    return MN_OK;
}

mn_status mn_open(const char *path, const struct mn_options *options, mn_store **store_out,
                  struct mn_error *err)
{
    return mni_api_store_open(mni_posix_env(), path, options, store_out, err);
}

mn_status mn_close(mn_store *store, struct mn_error *err)
{
    if (store == NULL)
        return MN_OK;
    mn_status st = mni_engine_check(store->engine, err);
    uint64_t n_streams = atomic_load(&store->n_streams);
    if (st == MN_OK && n_streams > 0)
        return mni_fail(err, MN_ERR_BUSY, "%" PRIu64 " streams of answers have not ended",
                        n_streams);
    st = mni_engine_close(store->engine, err);
    if (st != MN_ERR_BUSY && st != MN_ERR_FORKED)
        free_store(store);
    return st;
}

void mni_api_store_abandon(mn_store *store)
{
    if (store == NULL)
        return;
    mni_engine_abandon(store->engine);
    free_store(store);
}

struct mni_engine *mni_api_store_engine(mn_store *store)
{
    return store->engine;
}

mn_status mn_flush(mn_store *store, struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    return st == MN_OK ? mni_wal_flush(mni_engine_wal(store->engine), err) : st;
}

/* Namespaces ---------- */

static mn_status make_namespace(mn_store *store, struct mn_slice name,
                                const struct mn_namespace_settings *settings, bool must_be_new,
                                struct mn_error *err)
{
    struct mn_namespace_settings s;
    struct mni_batch *batch = NULL;
    size_t index;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st == MN_OK)
        st = api_copy_options(settings, &s, sizeof s, "mn_namespace_settings", err);
    if (st == MN_OK && s.dimension > MN_DIMENSIONS_MAX)
        st = mni_fail(err, MN_ERR_LIMIT, "dimension %" PRIu32 ", the limit is %d", s.dimension,
                      MN_DIMENSIONS_MAX);
    if (st != MN_OK)
        return st;
    st = mni_batch_new(store->engine, NULL, &batch);
    if (st != MN_OK)
        return mni_fail(err, st, "a batch");
    st = mni_batch_collection(batch, MNI_KIND_NAMESPACE, name, true, &index, err);
    if (st == MN_OK)
        st = mni_batch_create(batch, index, s.dimension, must_be_new, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, err);
    mni_batch_free(batch);
    return st;
}

mn_status mn_namespace_create(mn_store *store, struct mn_slice name,
                              const struct mn_namespace_settings *settings, struct mn_error *err)
{
    return make_namespace(store, name, settings, true, err);
}

mn_status mn_namespace_ensure(mn_store *store, struct mn_slice name,
                              const struct mn_namespace_settings *settings, struct mn_error *err)
{
    return make_namespace(store, name, settings, false, err);
}

mn_status mn_namespace_drop(mn_store *store, struct mn_slice name, bool *existed_out,
                            struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    size_t index;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st != MN_OK)
        return st;
    st = mni_batch_new(store->engine, NULL, &batch);
    if (st != MN_OK)
        return mni_fail(err, st, "a batch");
    st = mni_batch_collection(batch, MNI_KIND_NAMESPACE, name, false, &index, err);
    if (st == MN_OK) {
        mni_batch_drop(batch, index);
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, err);
    }
    if (st == MN_OK && existed_out != NULL)
        *existed_out = mni_batch_collection_existed(batch, index);
    mni_batch_free(batch);
    return st;
}

/* Looks a namespace up as of now. MN_NOT_FOUND with its name in the message. */
static mn_status find_namespace(mn_store *store, struct mn_slice name,
                                struct mni_collection *collection_out, struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st != MN_OK)
        return st;
    st = mni_engine_collection(store->engine, MNI_KIND_NAMESPACE, name, collection_out, err);
    return st == MN_NOT_FOUND ? api_no_namespace(name, err) : st;
}

mn_status mn_namespace_exists(mn_store *store, struct mn_slice name, bool *exists_out,
                              struct mn_error *err)
{
    struct mni_collection c;
    struct mn_error details;

    if (exists_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    mn_status st = find_namespace(store, name, &c, &details);
    if (st < 0)
        return api_answer(st, &details, err);
    *exists_out = st == MN_OK;
    return MN_OK;
}

mn_status mn_count(mn_store *store, struct mn_slice name, uint64_t *n_records_out,
                   struct mn_error *err)
{
    uint64_t n = 0;

    if (n_records_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the count");
    mn_status st = api_check_store(store, err);
    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st != MN_OK)
        return st;
    st = mni_engine_count(store->engine, MNI_KIND_NAMESPACE, name, &n, err);
    if (st == MN_OK)
        *n_records_out = n;
    return st == MN_NOT_FOUND ? api_no_namespace(name, err) : st;
}

mn_status mn_dimension(mn_store *store, struct mn_slice name, uint32_t *dimension_out,
                       struct mn_error *err)
{
    struct mni_collection c;

    if (dimension_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the dimension");
    mn_status st = find_namespace(store, name, &c, err);
    if (st == MN_OK)
        *dimension_out = c.dimension;
    return st;
}

/* Settings and numbers ---------- */

mn_status mn_config_get(mn_store *store, const char *key, char *value_out, size_t value_bytes,
                        struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && (key == NULL || value_out == NULL))
        st = mni_fail(err, MN_ERR_INVALID, "no setting is named");
    return st == MN_OK ? mni_engine_setting(store->engine, key, value_out, value_bytes, err) : st;
}

mn_status mn_config_set(mn_store *store, const char *key, const char *value, struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && (key == NULL || value == NULL))
        st = mni_fail(err, MN_ERR_INVALID, "no setting is named, or no value");
    if (st != MN_OK)
        return st;
    struct mn_error details = {0};
    st = mni_engine_set(store->engine, key, value, &details);
    return api_answer(st, &details, err);
}

const char *mn_config_key(size_t index)
{
    return mni_setting_key(index);
}

mn_status mn_sweep(mn_store *store, uint64_t *n_swept_out, struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st != MN_OK)
        return st;
    st = mni_engine_sweep(store->engine, n_swept_out, &details);
    return api_answer(st, &details, err);
}

mn_status mn_checkpoint(mn_store *store, struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st != MN_OK)
        return st;
    st = mni_engine_checkpoint(store->engine, &details);
    return api_answer(st, &details, err);
}

static void write_receipt(const struct mni_purge_receipt *done, struct mn_purge_receipt *out)
{
    struct mn_purge_receipt receipt = {0};

    /* Four of its fields are the caller's. */
    memcpy(&receipt, out, out->size < sizeof receipt ? out->size : sizeof receipt);
    receipt.lsn = done->lsn;
    receipt.n_records = done->n_records;
    receipt.n_log_files = done->n_log_files;
    receipt.n_runs = done->n_runs;
    receipt.n_pinned = done->n_pinned;
    receipt.n_snapshots = done->n_snapshots;
    for (size_t i = 0; i < done->n_snapshots && i < receipt.snapshot_ids_max; i++)
        mni_snapshot_id_format(&done->snapshots[i], receipt.snapshot_ids[i]);
    receipt.n_archived_logs = done->n_archived_logs;
    for (size_t i = 0; i < done->n_archived_logs && i < receipt.archived_logs_max; i++)
        memcpy(receipt.archived_logs[i], done->archived_logs[i], MN_ARCHIVED_LOG_BYTES);
    memcpy(out, &receipt, out->size < sizeof receipt ? out->size : sizeof receipt);
}

static mn_status purge(mn_store *store, struct mn_slice name, const struct mn_slice *ids,
                       size_t n_ids, struct mn_purge_receipt *receipt_out, struct mn_error *err)
{
    struct mni_purge_receipt done = {0};
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st == MN_OK && receipt_out != NULL &&
        (receipt_out->size < sizeof(size_t) || receipt_out->size > 4096))
        st = mni_fail(err, MN_ERR_INVALID, "mn_purge_receipt.size is not set");
    for (size_t i = 0; i < n_ids && st == MN_OK; i++) {
        st = api_check_id(ids[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "id %zu", i);
    }
    if (st != MN_OK)
        return st;
    st = mni_engine_purge(store->engine, MNI_KIND_NAMESPACE, name, ids, n_ids, &done, &details);
    if (st != MN_NOT_FOUND && receipt_out != NULL)
        write_receipt(&done, receipt_out);
    mni_free(done.snapshots);
    mni_free(done.archived_logs);
    if (st == MN_NOT_FOUND)
        return api_no_namespace(name, err);
    return api_answer(st, &details, err);
}

mn_status mn_purge(mn_store *store, struct mn_slice name, const struct mn_slice *ids, size_t n_ids,
                   struct mn_purge_receipt *receipt_out, struct mn_error *err)
{
    if (ids == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no ids are given");
    if (n_ids > MN_BATCH_RECORDS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "%zu ids, the limit is %d", n_ids, MN_BATCH_RECORDS_MAX);
    return purge(store, name, ids, n_ids, receipt_out, err);
}

mn_status mn_purge_namespace(mn_store *store, struct mn_slice name,
                             struct mn_purge_receipt *receipt_out, struct mn_error *err)
{
    return purge(store, name, NULL, 0, receipt_out, err);
}

mn_status mn_stats(mn_store *store, struct mn_stats *stats_out, struct mn_error *err)
{
    struct mn_stats stats = {0};
    mn_status st = api_check_store(store, err);

    if (st != MN_OK)
        return st;
    if (stats_out == NULL || stats_out->size < sizeof(size_t) || stats_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "mn_stats.size is not set");
    mni_engine_get_stats(store->engine, &stats);
    stats.size = stats_out->size;
    memcpy(stats_out, &stats, stats.size < sizeof stats ? stats.size : sizeof stats);
    return MN_OK;
}

mn_status mn_verify_each(const char *path, mn_verify_fn *each, void *context,
                         struct mn_verify_report *report_out, struct mn_error *err)
{
    struct mn_verify_report report = {0};
    struct mn_error details = {0};

    if (path == NULL || report_out == NULL || report_out->size < sizeof(size_t) ||
        report_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "no path, or mn_verify_report.size is not set");
    mn_status st = mni_engine_verify_each(mni_posix_env(), path, each, context, &report, &details);
    report.size = report_out->size;
    memcpy(report_out, &report, report.size < sizeof report ? report.size : sizeof report);
    return api_answer(st, &details, err);
}

mn_status mn_verify(const char *path, struct mn_verify_report *report_out, struct mn_error *err)
{
    return mn_verify_each(path, NULL, NULL, report_out, err);
}

const char *mn_version(void)
{
    return MNEME_VERSION;
}
