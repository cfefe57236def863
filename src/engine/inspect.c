/*
 * inspect.c - numbers, and reading a store without serving it.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as opening does.
 */
#include "base/check.h"
#include "engine/engine_private.h"

static void add_table(struct mni_memtable *table, struct mn_stats *stats)
{
    struct mni_memtable_stats numbers;

    mni_memtable_get_stats(table, &numbers);
    stats->n_records += numbers.n_records;
    stats->n_expired += numbers.n_lapsed;
}

/* What tables and parts hold, at one moment. */
static void add_records(struct mni_engine *engine, struct mn_stats *stats)
{
    engine_read_lock(engine);
    const struct state *state = engine->state;
    stats->current_lsn = atomic_load(&engine->visible_lsn);
    add_table(state->active->memtable, stats);
    if (state->frozen != NULL)
        add_table(state->frozen->memtable, stats);
    for (size_t i = 0; i < state->parts->n_parts; i++) {
        uint64_t n_lapsed;
        stats->n_records += part_count(state->parts->parts[i], &n_lapsed);
        stats->n_expired += n_lapsed;
        stats->memory_bytes += part_memory_bytes(state->parts->parts[i]);
    }
    engine_unlock(engine);
}

void mni_engine_get_stats(struct mni_engine *engine, struct mn_stats *stats)
{
    struct mni_wal_stats wal;

    mni_wal_get_stats(engine->wal, &wal);
    /* Where a segment is damaged the numbers are those without it. */
    mni_ignore(mni_engine_lapse(engine, NULL));
    mni_ignore(mni_engine_count_of(engine, 0, &stats->n_namespaces, NULL));
    if (stats->n_namespaces > 0)
        stats->n_namespaces--; /* the counter */
    add_records(engine, stats);
    stats->durable_lsn = wal.durable_lsn;
    stats->checkpoint_lsn = wal.checkpoint_lsn;
    stats->memory_bytes += mni_pool_memory_bytes(engine->pool) + wal.memory_bytes + sizeof *engine;
    stats->pinned_bytes = mni_pool_pinned_bytes(engine->pool);
    stats->wal_files = wal.n_files;
    stats->wal_current_file_bytes = wal.current_file_bytes;
    stats->wal_current_file_records = wal.current_file_records;
    stats->wal_records_since_checkpoint = wal.records_since_checkpoint;
    stats->wal_syncs = wal.n_syncs;
    stats->wal_groups = wal.n_groups;
    stats->wal_commits = wal.n_commits;
    stats->wal_bytes_written = wal.bytes_written;
    stats->wal_direct_io = wal.direct_io;
    stats->is_poisoned = wal.is_poisoned;
}

mn_status mni_engine_read_log(struct mni_env *env, const char *path, mn_recovery recovery,
                              mni_wal_replay_fn *each, void *context,
                              struct mni_wal_stats *stats_out, struct mn_error *err)
{
    struct store_file store;
    struct mni_dir *dir = NULL;
    struct mni_wal_config config = {0};
    struct mni_wal *wal = NULL;
    bool is_new = false;
    mn_status st = engine_open_dir(env, path, false, true, &dir, &store, &is_new, err);

    if (st != MN_OK)
        return st;
    st = mni_dir_open_dir(dir, "wal", false, &config.dir, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CORRUPT, "the directory wal is missing");
    if (st != MN_OK)
        goto out;
    config.env = env;
    config.read_only = true;
    config.recovery = recovery;
    config.replay = each;
    config.replay_context = context;
    config.failed_out = stats_out;
    memcpy(config.store_id, store.store_id, MNI_STORE_ID_BYTES);
    st = mni_wal_open(&config, &wal, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CORRUPT, "all log files are missing");
    if (st != MN_OK) {
        mni_dir_close(config.dir);
        goto out;
    }
    if (stats_out != NULL)
        mni_wal_get_stats(wal, stats_out);
    st = mni_wal_close(wal, err);
out:
    mni_dir_close(dir);
    return st;
}

/* Decodes every record of a commit; what replay would do, without keeping it. */
static mn_status verify_commit(void *context, const struct mni_wal_entry *entry,
                               struct mn_error *err)
{
    struct mn_verify_report *report = context;
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;
    uint32_t n = 0;

    while (left > 0) {
        struct mni_record r;
        size_t used;
        mn_status st = mni_record_decode(p, left, &r, &used, err);
        if (st == MN_OK && r.collection == 0)
            st = engine_check_catalogue_record(&r, entry->lsn, err);
        if (st != MN_OK) {
            mni_error_prefix(err, "the commit of LSN %llu", (unsigned long long)entry->lsn);
            return st;
        }
        n++;
        p += used;
        left -= used;
    }
    if (n != entry->n_records)
        return mni_fail(err, MN_ERR_CORRUPT, "the commit of LSN %llu has %u records, not %u",
                        (unsigned long long)entry->lsn, n, entry->n_records);
    report->n_commits++;
    report->n_records += n;
    report->last_lsn = entry->lsn;
    return MN_OK;
}

mn_status mni_engine_verify(struct mni_env *env, const char *path,
                            struct mn_verify_report *report_out, struct mn_error *err)
{
    struct mni_wal_stats stats = {0};
    mn_status st =
        mni_engine_read_log(env, path, MN_RECOVERY_TAIL, verify_commit, report_out, &stats, err);

    if (stats.n_files == 0)
        return st;
    report_out->n_files = stats.n_files + 1; /* and STORE */
    report_out->n_bytes = stats.opened_bytes + STORE_FILE_BYTES;
    report_out->torn_tail_bytes = stats.torn_tail_bytes;
    return st;
}
