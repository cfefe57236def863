/*
 * wal.c - opening, closing and counting a log.
 *
 * Owns:    the log handle.
 * Format:  docs/format/wal.md
 * Threads: opening and closing: one, and nobody else uses the log.
 * Fails:   a log that does not open is left as it was found.
 */
#include "wal/wal.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "wal/wal_private.h"

static void free_log(struct mni_wal *wal)
{
    if (wal == NULL)
        return;
    wal_keeper_stop(wal);
    wal_writer_done(wal);
    mni_free(wal->files);
    mni_mutex_done(&wal->trim_lock);
    mni_mutex_done(&wal->queue_lock);
    mni_mutex_done(&wal->keeper_lock);
    mni_cond_done(&wal->keeper_wakes);
    mni_free(wal);
}

static void set_defaults(struct mni_wal_config *config)
{
    if (config->sync == MN_SYNC_DEFAULT)
        config->sync = MN_SYNC_EVERY_WRITE;
    if (config->sync_every_commits == 0)
        config->sync_every_commits = 100;
    if (config->sync_interval_ms == 0)
        config->sync_interval_ms = 100;
    if (config->file_bytes == 0)
        config->file_bytes = MNI_WAL_FILE_BYTES_DEFAULT;
    if (config->recovery == MN_RECOVERY_POINT_IN_TIME || config->has_no_files)
        config->read_only = true;
}

mn_status mni_wal_open(const struct mni_wal_config *config, struct mni_wal **wal_out,
                       struct mn_error *err)
{
    struct mni_wal *wal = mni_alloc_zero(sizeof *wal);

    if (wal == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "log handle");
    wal->config = *config;
    set_defaults(&wal->config);
    MNI_CHECK(wal->config.file_bytes >= MNI_WAL_FILE_BYTES_MIN);
    MNI_CHECK(wal->config.file_bytes % MNI_DIRECT_ALIGN == 0);
    mni_mutex_init(&wal->trim_lock);
    mni_mutex_init(&wal->queue_lock);
    mni_mutex_init(&wal->keeper_lock);
    mni_cond_init(&wal->keeper_wakes);
    wal->last_time_us = config->time_us;
    mn_status st = config->has_no_files ? MN_OK : wal_recover(wal, err);
    if (st == MN_OK)
        st = wal_count_records_after(wal, wal->checkpoint_lsn, &wal->records_since_checkpoint, err);
    if (st != MN_OK) {
        if (config->failed_out != NULL)
            *config->failed_out = (struct mni_wal_stats){
                .n_files = wal->opened_files,
                .opened_bytes = wal->opened_bytes,
                .opened_commits = wal->opened_commits,
                .opened_records = wal->opened_records,
            };
        free_log(wal);
        return st;
    }
    wal->synced_lsn = wal->newest_lsn;
    wal->last_sync_us = mni_env_mono_us(config->env);
    wal->n_syncs = 0;
    wal->bytes_written = 0;
    atomic_store(&wal->written_lsn, wal->newest_lsn);
    atomic_store(&wal->visible_time_us, wal->last_time_us);
    atomic_store(&wal->visible_lsn, wal->newest_lsn);
    st = wal_keeper_start(wal, err);
    if (st != MN_OK) {
        free_log(wal);
        return st;
    }
    *wal_out = wal;
    return MN_OK;
}

/* The seal keeps the newest time that readers were told, so that it holds after opening again. */
static void note_closing_time(struct mni_wal *wal)
{
    if (wal->config.hooks.now_us == NULL)
        return;
    int64_t now_us = wal->config.hooks.now_us(wal->config.hooks.context);
    if (now_us > wal->last_time_us)
        wal->last_time_us = now_us;
}

mn_status mni_wal_close(struct mni_wal *wal, struct mn_error *err)
{
    mn_status st = MN_OK;

    if (wal == NULL)
        return MN_OK;
    wal_keeper_stop(wal);
    if (!wal->config.read_only) {
        MNI_CHECK(wal->queue_head == NULL);
        mn_ack ack = MNI_PLANTED("close_without_sync") ? MN_ACK_OS : MN_ACK_DISK;
        st = wal_writer_put_out(wal, ack, err);
        uint64_t end = wal_writer_end(&wal->writer);
        note_closing_time(wal);
        if (st == MN_OK)
            st = wal_writer_append_mark(wal, FRAME_CLOSED, wal->next_lsn, err);
        if (st == MN_OK)
            st = wal_writer_put_out(wal, ack, err);
        if (st == MN_OK)
            wal_closed_write(wal, end);
    }
    struct mni_dir *dir = wal->config.dir;
    free_log(wal);
    mni_dir_close(dir);
    return st;
}

void mni_wal_abandon(struct mni_wal *wal)
{
    if (wal == NULL)
        return;
    struct mni_dir *dir = wal->config.dir;
    free_log(wal);
    mni_dir_close(dir);
}

uint64_t mni_wal_visible_lsn(const struct mni_wal *wal)
{
    return atomic_load(&wal->visible_lsn);
}

int64_t mni_wal_last_time_us(const struct mni_wal *wal)
{
    return atomic_load(&wal->visible_time_us);
}

const unsigned char *mni_wal_store_id(const struct mni_wal *wal)
{
    return wal->config.store_id;
}

void mni_wal_get_stats(struct mni_wal *wal, struct mni_wal_stats *stats_out)
{
    struct mni_commit role;
    struct mni_wal_stats s = {0};

    if (!wal->config.read_only)
        mni_wal_enter(wal, &role);
    if (wal->n_files > 0) {
        s.current_file_bytes = wal_current_file(wal)->end;
        s.current_file_records = wal_current_file(wal)->n_records;
    }
    for (size_t i = 0; i < wal->n_files; i++)
        s.n_records += wal->files[i].n_records;
    s.current_lsn = mni_wal_visible_lsn(wal);
    s.durable_lsn = wal->synced_lsn;
    s.checkpoint_lsn = wal->checkpoint_lsn;
    s.n_files = wal->n_files;
    s.records_since_checkpoint = wal->records_since_checkpoint;
    s.n_syncs = wal->n_syncs;
    s.n_groups = wal->n_groups;
    s.n_commits = wal->n_commits;
    s.bytes_written = wal->bytes_written;
    s.torn_tail_bytes = wal->torn_tail_bytes;
    s.memory_bytes =
        sizeof *wal + wal->writer.buffer_bytes + wal->files_capacity * sizeof *wal->files;
    s.is_stopped = wal->is_stopped;
    s.opened_bytes = wal->opened_bytes;
    s.opened_commits = wal->opened_commits;
    s.opened_records = wal->opened_records;
    s.direct_io = wal->writer.block_bytes > 1;
    s.is_poisoned = atomic_load(&wal->is_poisoned);
    if (!wal->config.read_only)
        mni_wal_leave(wal);
    *stats_out = s;
}
