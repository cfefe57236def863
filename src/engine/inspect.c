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

static void add_part(const struct part *part, struct mn_stats *stats)
{
    uint64_t n_lapsed;

    stats->n_records += part_count(part, &n_lapsed);
    stats->n_expired += n_lapsed;
    stats->segment_bytes += mni_segment_get_info(part->segment)->file_bytes;
    stats->segment_bytes += part->live_file_bytes;
    stats->segment_rows += part->n_rows;
    stats->segment_dead_rows += part_count_dead(part);
}

/* What tables and parts hold, at one moment. */
static void add_records(struct mni_engine *engine, struct mn_stats *stats)
{
    engine_read_lock(engine);
    const struct state *state = engine->state;
    stats->manifest_number = engine->root_number;
    stats->checkpoint_lsn = engine->root_lsn;
    stats->current_lsn = atomic_load(&engine->visible_lsn);
    add_table(state->active->memtable, stats);
    if (state->frozen != NULL)
        add_table(state->frozen->memtable, stats);
    stats->n_runs = state->parts->n_runs;
    stats->n_segments = state->parts->n_parts;
    for (size_t i = 0; i < state->parts->n_parts; i++)
        add_part(state->parts->parts[i], stats);
    engine_unlock(engine);
}

/* The rows of the catalogue are namespaces, spaces, their names and histories, tenants, and the
 * counter. */
static void count_collections(struct mni_engine *engine, struct mn_stats *stats)
{
    bool is_settled = false;

    while (!is_settled) {
        uint64_t n_rows = 0;
        engine_read_lock(engine);
        uint64_t n_changes = engine->n_catalogue_changes;
        uint64_t n_others = engine->n_spaces + engine->n_space_extras + engine->n_tenants + 1;
        stats->n_spaces = engine->n_spaces;
        engine_unlock(engine);
        mni_ignore(mni_engine_count_of(engine, 0, &n_rows, NULL));
        stats->n_namespaces = n_rows > n_others ? n_rows - n_others : 0;
        engine_read_lock(engine);
        is_settled = engine->n_catalogue_changes == n_changes;
        engine_unlock(engine);
    }
}

void mni_engine_get_stats(struct mni_engine *engine, struct mn_stats *stats)
{
    struct mni_wal_stats wal;
    struct budget_parts parts;

    mni_wal_get_stats(engine->wal, &wal);
    /* Where a segment is damaged the numbers are those without it. */
    mni_ignore(mni_engine_lapse(engine, NULL));
    count_collections(engine, stats);
    add_records(engine, stats);
    stats->durable_lsn = wal.durable_lsn > stats->checkpoint_lsn ? wal.durable_lsn
                                                                 : stats->checkpoint_lsn;
    budget_measure(engine, &parts);
    stats->memory_bytes = parts.all_bytes;
    stats->pinned_bytes = mni_pool_pinned_bytes(engine->pool);
    stats->pinned_bytes_max = atomic_load(&engine->pinned_bytes_max);
    stats->memory_bytes_max = atomic_load(&engine->budget.bytes_max);
    stats->memory_buffer_bytes = parts.buffer_bytes;
    stats->memory_segment_bytes = parts.segment_bytes;
    stats->memory_log_bytes = parts.log_bytes;
    stats->memory_work_bytes = parts.work_bytes;
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

mn_status engine_read_log(struct mni_env *env, struct mni_dir *dir, const struct store_file *store,
                          mn_recovery recovery, mni_wal_replay_fn *each, void *context,
                          struct mni_wal_stats *stats_out, struct mn_error *err)
{
    struct mni_wal_config config = {
        .env = env,
        .read_only = true,
        .recovery = recovery,
        .replay = each,
        .replay_context = context,
        .failed_out = stats_out,
    };
    struct mni_wal *wal = NULL;
    mn_status st = mni_dir_open_dir(dir, "wal", false, &config.dir, err);

    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CORRUPT, "the directory wal is missing");
    if (st != MN_OK)
        return st;
    memcpy(config.store_id, store->store_id, MNI_STORE_ID_BYTES);
    st = mni_wal_open(&config, &wal, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CORRUPT, "all log files are missing");
    if (st != MN_OK) {
        mni_dir_close(config.dir);
        return st;
    }
    if (stats_out != NULL)
        mni_wal_get_stats(wal, stats_out);
    return mni_wal_close(wal, err);
}

mn_status mni_engine_read_log(struct mni_env *env, const char *path, mn_recovery recovery,
                              mni_wal_replay_fn *each, void *context,
                              struct mni_wal_stats *stats_out, struct mn_error *err)
{
    struct store_file store;
    struct mni_dir *dir = NULL;
    bool is_new = false;
    mn_status st = engine_open_dir(env, path, false, true, &dir, &store, &is_new, err);

    if (st != MN_OK)
        return st;
    st = engine_read_log(env, dir, &store, recovery, each, context, stats_out, err);
    mni_dir_close(dir);
    return st;
}
