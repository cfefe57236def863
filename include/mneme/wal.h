/*
 * wal.h - the write-ahead log on its own, for programs that keep their data elsewhere.
 *
 * A log is a directory of files. A commit is one or more records that become durable together and
 * are replayed together, in the order of their LSNs (log sequence numbers: 1, 2, 3 ...; never
 * reused, also not those of commits that a crash lost). The format is docs/format/wal.md.
 *
 * Life of a log: open it, replay what it holds (mn_wal_recover), append; whenever your data up to
 * some LSN is safe elsewhere, say so (mn_wal_checkpoint) and give the space back (mn_wal_truncate),
 * or let the log ask for it by the `checkpoint` callback. examples/log_only.c does both.
 *
 * Threads: any number may append at once; their commits share syncs (group commit). A cursor and a
 * transaction belong to one thread at a time. Close when no other call runs.
 *
 * Errors as in store.h: MN_ERR_INVALID, MN_ERR_NOMEM, MN_ERR_FORKED anywhere; writers also
 * MN_ERR_READ_ONLY, MN_ERR_POISONED, MN_ERR_NO_SPACE, MN_ERR_IO.
 */
#ifndef MNEME_WAL_H
#define MNEME_WAL_H

#include "mneme/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_wal mn_wal;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_wal_options), all else may be
 * zero. */
struct mn_wal_options {
    size_t size;
    bool create; /* make the directory and a log in it where there is none */
    bool read_only;
    bool no_background; /* start no thread: no timed sync, spare files are made when needed */
    mn_recovery recovery;
    uint64_t stop_lsn;    /* point in time */
    int64_t stop_time_us; /* point in time */
    uint64_t file_bytes;  /* 64 KiB to 4 GiB, rounded up to 4 KiB; default 64 MiB */
    mn_sync_policy sync;
    uint32_t sync_every_commits; /* 1 to 1,000,000; default 100 */
    uint32_t sync_interval_ms;   /* 1 to 3,600,000; default 100 */
    /* After this many records since the last checkpoint, `checkpoint` is called, from within the
     * append that reached it, by its thread; it may append itself. 0 = 10,000. Without a callback
     * nothing is automatic. */
    uint64_t checkpoint_threshold_records;
    /* Makes the data safe elsewhere, as far as it can, and says how far that is in `safe_lsn_out`
     * (at most `newest_lsn`; 0 before the call): only what the data provably holds. The append that
     * is under way, and those of other threads, have LSNs but may not be in your data yet. After
     * MN_OK the log is checkpointed and trimmed up to that LSN; another status means: not now. It
     * is called again after as many records. */
    mn_status (*checkpoint)(void *context, uint64_t newest_lsn, uint64_t *safe_lsn_out);
    void *checkpoint_context;
};

/* Opens the log in directory `path`. Statuses as mn_open. */
MN_API MN_MUST_USE mn_status mn_wal_open(const char *path, const struct mn_wal_options *options,
                                         mn_wal **wal_out, struct mn_error *err);

/* Syncs, seals the end, and frees the handle. NULL is fine. MN_ERR_BUSY: cursors or transactions
 * are open; the log stays open too. */
MN_API MN_MUST_USE mn_status mn_wal_close(mn_wal *wal, struct mn_error *err);

/* Appends one record, 0 bytes to 256 MiB less 64 bytes, as a commit of its own. Returns when it is
 * as safe as `ack` says. Sets `lsn_out` (may be NULL). */
MN_API MN_MUST_USE mn_status mn_wal_append(mn_wal *wal, struct mn_slice record, mn_ack ack,
                                           uint64_t *lsn_out, struct mn_error *err);

/* A transaction gathers records in memory (at most 256 MiB) and appends them as one commit with one
 * LSN: a crash keeps all of them or none. A rollback leaves no trace. */
typedef struct mn_wal_txn mn_wal_txn;
MN_API MN_MUST_USE mn_status mn_wal_txn_begin(mn_wal *wal, mn_wal_txn **txn_out,
                                              struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_wal_txn_append(mn_wal_txn *txn, struct mn_slice record,
                                               struct mn_error *err);
/* Frees the transaction, whatever it returns. Without records: MN_OK and LSN 0. */
MN_API MN_MUST_USE mn_status mn_wal_txn_commit(mn_wal_txn *txn, mn_ack ack, uint64_t *lsn_out,
                                               struct mn_error *err);
MN_API void mn_wal_txn_rollback(mn_wal_txn *txn); /* NULL is fine */

/* One record of the log, as replay and cursors show it. */
struct mn_wal_record {
    uint64_t lsn;
    int64_t commit_time_us;   /* wall time of the commit, Unix time in microseconds */
    uint32_t index_in_commit; /* from 0 */
    uint32_t n_in_commit;
    struct mn_slice data; /* valid during the callback, or until the next call on the cursor */
};

/* Calls `each` for every record after the checkpoint, in order; a status other than MN_OK ends the
 * replay and is returned. Memory does not grow with the log. May be called again. */
typedef mn_status mn_wal_replay_fn(void *context, const struct mn_wal_record *record);
MN_API MN_MUST_USE mn_status mn_wal_recover(mn_wal *wal, mn_wal_replay_fn *each, void *context,
                                            struct mn_error *err);

/* Reads from an LSN on, also while others append: MN_END means nothing more for now; ask again to
 * follow the tail. Shows commits that are at least as safe as the ack level of their append asked.
 * MN_NOT_FOUND: records from `from_lsn` on were trimmed. Files being read are kept until the cursor
 * is past them. */
typedef struct mn_wal_cursor mn_wal_cursor;
MN_API MN_MUST_USE mn_status mn_wal_cursor_open(mn_wal *wal, uint64_t from_lsn,
                                                mn_wal_cursor **cursor_out, struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_wal_cursor_next(mn_wal_cursor *cursor,
                                                struct mn_wal_record *record_out,
                                                struct mn_error *err);
MN_API void mn_wal_cursor_close(mn_wal_cursor *cursor);

/* Notes durably that everything up to `lsn` is safe elsewhere. Never goes back: an LSN below the
 * current checkpoint changes nothing. MN_ERR_INVALID: `lsn` is above the newest one. */
MN_API MN_MUST_USE mn_status mn_wal_checkpoint(mn_wal *wal, uint64_t lsn, struct mn_error *err);

/* Removes whole files whose records all lie at or below `lsn` and at or below the checkpoint, never
 * the newest one. Sets `n_records_out` (may be NULL) to the number of records removed. */
MN_API MN_MUST_USE mn_status mn_wal_truncate(mn_wal *wal, uint64_t lsn, uint64_t *n_records_out,
                                             struct mn_error *err);

/* LSN of the newest commit that is visible; 0 when there was none ever. */
MN_API uint64_t mn_wal_current_lsn(const mn_wal *wal);

/* Syncs everything appended so far. */
MN_API MN_MUST_USE mn_status mn_wal_flush(mn_wal *wal, struct mn_error *err);

/* Exact at the moment of the call. Set `size` before. */
struct mn_wal_stats {
    size_t size;
    uint64_t current_lsn;
    uint64_t durable_lsn;
    uint64_t checkpoint_lsn;
    uint64_t n_files;
    uint64_t current_file_bytes; /* used, header included */
    uint64_t current_file_records;
    uint64_t n_records; /* in all files */
    uint64_t records_since_checkpoint;
    uint64_t n_syncs;         /* since open */
    uint64_t n_groups;        /* since open */
    uint64_t n_commits;       /* since open */
    uint64_t bytes_written;   /* since open, padding and rewritten blocks included */
    uint64_t torn_tail_bytes; /* cut when it was opened */
    bool direct_io;
    bool is_poisoned;
};
MN_API MN_MUST_USE mn_status mn_wal_stats(mn_wal *wal, struct mn_wal_stats *stats_out,
                                          struct mn_error *err);

/* Looking into the log of a store ---------------------------------------------------------------
 */

/* One operation that the log of a store holds. Slices are valid during the callback. */
struct mn_log_entry {
    uint64_t lsn;
    int64_t commit_time_us;
    uint32_t index_in_commit;
    uint32_t n_in_commit;
    const char *type;    /* "upsert", "delete" or "patch"; static */
    uint64_t collection; /* number; 0 is the catalogue */
    struct mn_slice key; /* id of the record */
    uint32_t n_dims;
    uint64_t metadata_bytes;
    uint64_t payload_bytes;
    bool has_expires_at;
    int64_t expires_at_us;
};

/* Calls `each` for every operation from `from_lsn` on in the log of the store in directory `path`,
 * without changing anything. Refused beside a writer. A status other than MN_OK from `each` ends it
 * and is returned. */
typedef mn_status mn_log_dump_fn(void *context, const struct mn_log_entry *entry);
MN_API MN_MUST_USE mn_status mn_log_dump(const char *path, uint64_t from_lsn, mn_log_dump_fn *each,
                                         void *context, struct mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
