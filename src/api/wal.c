/*
 * wal.c - the log on its own, as programs see it: opening, appending, checkpoints.
 *
 * Owns:    the handle; each transaction its records until it is committed.
 * Format:  docs/format/wal.md, "records of a log on its own"
 * Threads: any number append at once; one thread at a time runs the checkpoint callback, without
 *          holding anything that others wait for.
 * Fails:   as include/mneme/wal.h says; what is refused leaves nothing behind.
 */
#include "mneme/wal.h"

#include "api/api.h"
#include "api/options.h"
#include "api/wal_private.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/posix.h"

enum {
    FILE_BYTES_MIN = 64 << 10,
    SYNC_COMMITS_MAX = 1000000,
    SYNC_INTERVAL_MS_MAX = 3600000,
    THRESHOLD_RECORDS_DEFAULT = 10000,
    RECORD_BYTES_MAX = MN_BATCH_BYTES_MAX - 64,
};
#define FILE_BYTES_MAX (UINT64_C(4) << 30)

/* Checking what callers give ----------*/

mn_status api_wal_check(const mn_wal *wal, struct mn_error *err)
{
    if (wal == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no log handle");
    if (mni_fork_guard_is_child(wal->guard))
        return mni_fail(err, MN_ERR_FORKED, "the log was opened before this process was forked");
    return MN_OK;
}

static mn_status check_writer(const mn_wal *wal, struct mn_error *err)
{
    mn_status st = api_wal_check(wal, err);

    if (st == MN_OK && wal->is_read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the log is open for reading only");
    return st;
}

static mn_status check_ack(mn_ack ack, struct mn_error *err)
{
    if ((int)ack < MN_ACK_DEFAULT || ack > MN_ACK_DISK)
        return mni_fail(err, MN_ERR_INVALID, "there is no ack level %d", (int)ack);
    return MN_OK;
}

static mn_status check_record(struct mn_slice record, struct mn_error *err)
{
    if (record.data == NULL && record.n_bytes > 0)
        return mni_fail(err, MN_ERR_INVALID, "a record of %zu bytes without data", record.n_bytes);
    if (record.n_bytes > RECORD_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a record of %zu bytes; at most %d", record.n_bytes,
                        RECORD_BYTES_MAX);
    return MN_OK;
}

static mn_status check_options(const struct mn_wal_options *o, struct mn_error *err)
{
    if ((int)o->recovery < MN_RECOVERY_TAIL || o->recovery > MN_RECOVERY_POINT_IN_TIME)
        return mni_fail(err, MN_ERR_INVALID, "there is no recovery mode %d", (int)o->recovery);
    if (o->recovery != MN_RECOVERY_POINT_IN_TIME && (o->stop_lsn != 0 || o->stop_time_us != 0))
        return mni_fail(err, MN_ERR_INVALID,
                        "stop_lsn and stop_time_us go with MN_RECOVERY_POINT_IN_TIME");
    if ((int)o->sync < MN_SYNC_DEFAULT || o->sync > MN_SYNC_MANUAL)
        return mni_fail(err, MN_ERR_INVALID, "there is no sync policy %d", (int)o->sync);
    if (o->file_bytes != 0 && (o->file_bytes < FILE_BYTES_MIN || o->file_bytes > FILE_BYTES_MAX))
        return mni_fail(err, MN_ERR_INVALID, "file_bytes is 64 KiB to 4 GiB");
    if (o->sync_every_commits > SYNC_COMMITS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "sync_every_commits is 1 to %d", SYNC_COMMITS_MAX);
    if (o->sync_interval_ms > SYNC_INTERVAL_MS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "sync_interval_ms is 1 to %d", SYNC_INTERVAL_MS_MAX);
    return MN_OK;
}

/* Opening and closing ----------*/

struct listed {
    bool has_log;
    bool has_others;
};

static mn_status note_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct listed *listed = context;

    (void)err;
    if (!is_dir && mni_wal_is_log_name(name))
        listed->has_log = true;
    else
        listed->has_others = true;
    return MN_OK;
}

/* A new log is made only where nothing else is. */
static mn_status check_place(struct mni_dir *dir, const char *path, struct mn_error *err)
{
    struct listed listed = {0};
    mn_status st = mni_dir_list(dir, note_entry, &listed, err);

    if (st == MN_OK && listed.has_others && !listed.has_log)
        return mni_fail(err, MN_ERR_NO_STORE, "%s holds other things and no log", path);
    return st;
}

static mn_status open_log(struct mni_env *env, const char *path, const struct mn_wal_options *o,
                          mn_wal *wal, struct mn_error *err)
{
    struct mni_wal_config config = {
        .env = env,
        .any_store_id = true,
        .is_alone = true,
        .create = o->create && !wal->is_read_only,
        .read_only = wal->is_read_only,
        .no_background = o->no_background,
        .recovery = o->recovery,
        .stop_lsn = o->stop_lsn,
        .stop_time_us = o->stop_time_us,
        .file_bytes = mni_align_up(o->file_bytes, MNI_DIRECT_ALIGN),
        .sync = o->sync,
        .sync_every_commits = o->sync_every_commits,
        .sync_interval_ms = o->sync_interval_ms,
    };
    enum mni_lock_mode mode = wal->is_read_only ? MNI_LOCK_SHARED : MNI_LOCK_EXCLUSIVE;
    mn_status st = mni_env_open_dir(env, path, config.create, &config.dir, err);

    if (st == MN_OK)
        st = mni_dir_lock(config.dir, mode, err);
    if (st == MN_OK && config.create)
        st = check_place(config.dir, path, err);
    if (st == MN_OK)
        st = mni_wal_open(&config, &wal->log, err);
    if (st != MN_OK)
        mni_dir_close(config.dir);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "%s holds no log", path);
    return st;
}

static void free_handle(mn_wal *wal)
{
    if (wal == NULL)
        return;
    mni_fork_guard_free(wal->guard);
    mni_free(wal);
}

mn_status mni_api_wal_open(struct mni_env *env, const char *path,
                           const struct mn_wal_options *options, mn_wal **wal_out,
                           struct mn_error *err)
{
    struct mn_wal_options o;
    mn_wal *wal = NULL;
    mn_status st;

    if (path == NULL || path[0] == '\0' || wal_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "mn_wal_open needs a path and a place for the handle");
    st = api_copy_options(options, &o, sizeof o, "mn_wal_options", err);
    if (st == MN_OK)
        st = check_options(&o, err);
    if (st != MN_OK)
        return st;
    wal = mni_alloc_zero(sizeof *wal);
    if (wal == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "log handle");
    wal->is_read_only = o.read_only || o.recovery == MN_RECOVERY_POINT_IN_TIME;
    wal->threshold_records = o.checkpoint_threshold_records;
    if (wal->threshold_records == 0)
        wal->threshold_records = THRESHOLD_RECORDS_DEFAULT;
    wal->checkpoint = o.checkpoint;
    wal->checkpoint_context = o.checkpoint_context;
    st = mni_fork_guard_new(&wal->guard, err);
    if (st == MN_OK)
        st = open_log(env, path, &o, wal, err);
    if (st != MN_OK) {
        free_handle(wal);
        return st;
    }
    struct mni_wal_stats stats;
    mni_wal_get_stats(wal->log, &stats);
    atomic_store(&wal->n_since_asked, stats.records_since_checkpoint);
    *wal_out = wal;
    return MN_OK;
}

mn_status mn_wal_open(const char *path, const struct mn_wal_options *options, mn_wal **wal_out,
                      struct mn_error *err)
{
    return mni_api_wal_open(mni_posix_env(), path, options, wal_out, err);
}

mn_status mn_wal_close(mn_wal *wal, struct mn_error *err)
{
    if (wal == NULL)
        return MN_OK;
    mn_status st = api_wal_check(wal, err);
    if (st != MN_OK)
        return st;
    unsigned n_cursors = mni_wal_n_cursors(wal->log);
    unsigned n_txns = atomic_load(&wal->n_txns);
    if (n_cursors > 0 || n_txns > 0)
        return mni_fail(err, MN_ERR_BUSY, "%u cursors and %u transactions are open", n_cursors,
                        n_txns);
    st = mni_wal_close(wal->log, err);
    free_handle(wal);
    return st;
}

void mni_api_wal_abandon(mn_wal *wal)
{
    if (wal == NULL)
        return;
    mni_wal_abandon(wal->log);
    free_handle(wal);
}

struct mni_wal *mni_api_wal_log(mn_wal *wal)
{
    return wal->log;
}

/* The automatic checkpoint ----------*/

static void count_anew(mn_wal *wal)
{
    struct mni_wal_stats stats;

    mni_wal_get_stats(wal->log, &stats);
    atomic_store(&wal->n_since_asked, stats.records_since_checkpoint);
}

/* Nothing here concerns the append that came by: it has succeeded. What fails poisons the log,
 * which the next append reports, or is tried again after as many records. */
static void ask_for_checkpoint(mn_wal *wal)
{
    uint64_t safe_lsn = 0;
    mn_status st =
        wal->checkpoint(wal->checkpoint_context, mni_wal_visible_lsn(wal->log), &safe_lsn);

    if (st == MN_OK)
        st = mni_wal_checkpoint(wal->log, safe_lsn, NULL);
    if (st == MN_OK)
        st = mni_wal_truncate(wal->log, safe_lsn, NULL, NULL);
    if (st == MN_OK)
        count_anew(wal);
    if (st != MN_OK || atomic_load(&wal->n_since_asked) >= wal->threshold_records)
        atomic_store(&wal->n_since_asked, 0);
}

static void count_appended(mn_wal *wal, uint32_t n_records)
{
    if (wal->checkpoint == NULL)
        return;
    uint64_t n = atomic_fetch_add(&wal->n_since_asked, n_records) + n_records;
    if (n < wal->threshold_records || atomic_exchange(&wal->is_asking, true))
        return;
    /* Another thread may have asked since the sum was made. */
    if (atomic_load(&wal->n_since_asked) >= wal->threshold_records)
        ask_for_checkpoint(wal);
    atomic_store(&wal->is_asking, false);
}

/* Appending ----------*/

static void put_record_header(unsigned char *out, size_t n_bytes)
{
    mni_put_u32(out + ALONE_OFF_BYTES, (uint32_t)n_bytes);
    mni_put_u32(out + ALONE_OFF_RESERVED, 0);
}

static mn_status commit_parts(mn_wal *wal, const struct mn_slice *parts, size_t n_parts,
                              uint32_t n_records, mn_ack ack, uint64_t *lsn_out,
                              struct mn_error *err)
{
    struct mni_commit commit;
    mn_status st = mni_commit_init(&commit, parts, n_parts, n_records, ack, NULL, err);

    if (st == MN_OK)
        st = mni_wal_commit(wal->log, &commit);
    if (st != MN_OK)
        return st;
    if (lsn_out != NULL)
        *lsn_out = commit.lsn;
    count_appended(wal, n_records);
    return MN_OK;
}

mn_status mn_wal_append(mn_wal *wal, struct mn_slice record, mn_ack ack, uint64_t *lsn_out,
                        struct mn_error *err)
{
    unsigned char header[ALONE_OFF_DATA];
    unsigned char end[ALONE_ALIGN] = {0};
    mn_status st = check_writer(wal, err);

    if (st == MN_OK)
        st = check_ack(ack, err);
    if (st == MN_OK)
        st = check_record(record, err);
    if (st != MN_OK)
        return st;
    put_record_header(header, record.n_bytes);
    size_t n_whole = (size_t)mni_align_down(record.n_bytes, ALONE_ALIGN);
    struct mn_slice parts[3] = {{header, sizeof header}};
    size_t n_parts = 1;
    if (n_whole > 0)
        parts[n_parts++] = (struct mn_slice){record.data, n_whole};
    if (record.n_bytes > n_whole) {
        memcpy(end, (const unsigned char *)record.data + n_whole, record.n_bytes - n_whole);
        parts[n_parts++] = (struct mn_slice){end, sizeof end};
    }
    return commit_parts(wal, parts, n_parts, 1, ack, lsn_out, err);
}

struct mn_wal_txn {
    mn_wal *wal;            /* borrowed; is not closed before */
    struct mni_buf records; /* owned; as they go into the log */
    uint32_t n_records;
};

mn_status mn_wal_txn_begin(mn_wal *wal, mn_wal_txn **txn_out, struct mn_error *err)
{
    mn_status st = check_writer(wal, err);

    if (st != MN_OK)
        return st;
    if (txn_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the transaction");
    mn_wal_txn *txn = mni_alloc_zero(sizeof *txn);
    if (txn == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "transaction");
    txn->wal = wal;
    atomic_fetch_add(&wal->n_txns, 1);
    *txn_out = txn;
    return MN_OK;
}

mn_status mn_wal_txn_append(mn_wal_txn *txn, struct mn_slice record, struct mn_error *err)
{
    static const unsigned char zeroes[ALONE_ALIGN];
    unsigned char header[ALONE_OFF_DATA];

    if (txn == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no transaction");
    mn_status st = check_writer(txn->wal, err);
    if (st == MN_OK)
        st = check_record(record, err);
    if (st != MN_OK)
        return st;
    size_t n_padded = (size_t)mni_align_up(record.n_bytes, ALONE_ALIGN);
    struct mni_buf *records = &txn->records;
    if (records->n_bytes + sizeof header + n_padded > MN_BATCH_BYTES_MAX ||
        txn->n_records == MN_BATCH_RECORDS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a transaction holds at most %d MiB and %d records",
                        MN_BATCH_BYTES_MAX >> 20, MN_BATCH_RECORDS_MAX);
    if (mni_buf_reserve(records, sizeof header + n_padded) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a record of %zu bytes", record.n_bytes);
    put_record_header(header, record.n_bytes);
    mn_status header_st = mni_buf_append(records, header, sizeof header);
    mn_status data_st = mni_buf_append(records, record.data, record.n_bytes);
    mn_status end_st = mni_buf_append(records, zeroes, n_padded - record.n_bytes);
    MNI_CHECK(header_st == MN_OK && data_st == MN_OK && end_st == MN_OK);
    txn->n_records++;
    return MN_OK;
}

void mn_wal_txn_rollback(mn_wal_txn *txn)
{
    if (txn == NULL)
        return;
    unsigned n_before = atomic_fetch_sub(&txn->wal->n_txns, 1);
    MNI_CHECK(n_before > 0);
    mni_buf_done(&txn->records);
    mni_free(txn);
}

mn_status mn_wal_txn_commit(mn_wal_txn *txn, mn_ack ack, uint64_t *lsn_out, struct mn_error *err)
{
    if (txn == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no transaction");
    mn_status st = check_writer(txn->wal, err);
    if (st == MN_OK)
        st = check_ack(ack, err);
    if (st == MN_OK && txn->n_records == 0 && lsn_out != NULL)
        *lsn_out = 0;
    if (st == MN_OK && txn->n_records > 0) {
        struct mn_slice part = {txn->records.data, txn->records.n_bytes};
        st = commit_parts(txn->wal, &part, 1, txn->n_records, ack, lsn_out, err);
    }
    mn_wal_txn_rollback(txn);
    return st;
}

/* Checkpoint, trim, numbers ----------*/

mn_status mn_wal_checkpoint(mn_wal *wal, uint64_t lsn, struct mn_error *err)
{
    mn_status st = check_writer(wal, err);

    if (st == MN_OK)
        st = mni_wal_checkpoint(wal->log, lsn, err);
    if (st == MN_OK && wal->checkpoint != NULL)
        count_anew(wal);
    return st;
}

mn_status mn_wal_truncate(mn_wal *wal, uint64_t lsn, uint64_t *n_records_out, struct mn_error *err)
{
    mn_status st = check_writer(wal, err);

    return st == MN_OK ? mni_wal_truncate(wal->log, lsn, n_records_out, err) : st;
}

mn_status mn_wal_flush(mn_wal *wal, struct mn_error *err)
{
    mn_status st = check_writer(wal, err);

    return st == MN_OK ? mni_wal_flush(wal->log, err) : st;
}

uint64_t mn_wal_current_lsn(const mn_wal *wal)
{
    return wal == NULL ? 0 : mni_wal_visible_lsn(wal->log);
}

mn_status mn_wal_stats(mn_wal *wal, struct mn_wal_stats *stats_out, struct mn_error *err)
{
    struct mni_wal_stats s;
    mn_status st = api_wal_check(wal, err);

    if (st != MN_OK)
        return st;
    if (stats_out == NULL || stats_out->size < sizeof stats_out->size || stats_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "set stats.size to sizeof(struct mn_wal_stats)");
    mni_wal_get_stats(wal->log, &s);
    const struct mn_wal_stats stats = {
        .size = stats_out->size,
        .current_lsn = s.current_lsn,
        .durable_lsn = s.durable_lsn,
        .checkpoint_lsn = s.checkpoint_lsn,
        .n_files = s.n_files,
        .current_file_bytes = s.current_file_bytes,
        .current_file_records = s.current_file_records,
        .n_records = s.n_records,
        .records_since_checkpoint = s.records_since_checkpoint,
        .n_syncs = s.n_syncs,
        .n_groups = s.n_groups,
        .n_commits = s.n_commits,
        .bytes_written = s.bytes_written,
        .torn_tail_bytes = s.torn_tail_bytes,
        .direct_io = s.direct_io,
        .is_poisoned = s.is_poisoned,
    };
    size_t known = stats.size < sizeof stats ? stats.size : sizeof stats;
    memset((unsigned char *)stats_out + known, 0, stats.size - known);
    memcpy(stats_out, &stats, known);
    return MN_OK;
}
