/*
 * store.h - a store: one directory that holds everything.
 *
 * Thread rule of the whole interface: a store may be used by any number of threads at once. A
 * transaction, an iterator, a scan, a search and a view belong to one thread at a time. Slices and
 * structs passed in are read during the call only.
 *
 * One process at a time may open a store for writing. Any number may open it for reading while
 * nobody writes. A handle is useless after fork: every call on it in the child is
 * MN_ERR_FORKED.
 *
 * Every function that returns mn_status may also return MN_ERR_INVALID (an argument breaks a stated
 * rule), MN_ERR_LIMIT (one is larger than limits.h allows), MN_ERR_NOMEM and MN_ERR_FORKED. Every
 * function that writes may also return MN_ERR_READ_ONLY (opened for reading, or the file system has
 * turned read-only), MN_ERR_POISONED (a write or sync of the log failed before: reads go on, writes
 * are over until the store is opened again), MN_ERR_BUDGET (memory_bytes_max is used up, and no
 * checkpoint makes room; nothing has changed, and the message tells what holds the memory),
 * MN_ERR_NO_SPACE and MN_ERR_IO. `err` may always be
 * NULL. Outputs are set only when the function says so for the status that it returns.
 */
#ifndef MNEME_STORE_H
#define MNEME_STORE_H

#include "mneme/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_store mn_store;

/* How to open a store. NULL is the default; otherwise set `size` to sizeof(struct mn_options), all
 * else may be zero. Settings that are kept in the store (mn_config_set) are overridden for this
 * handle where the option here is not zero. */
struct mn_options {
    size_t size;
    bool create;        /* make a store where the directory is missing, empty, or where making one
                           was cut off */
    bool read_only;     /* replay the log into memory and write nothing; refused beside a writer */
    bool no_background; /* start no threads: no timed sync, no sweep, no checkpoint; mn_flush,
                           mn_sweep and mn_checkpoint do it by hand, and a put that does not fit
                           into memory_bytes_max is refused at once */
    mn_recovery recovery;
    /* Neither lies before the newest checkpoint, which took the single commits out of the log. */
    uint64_t stop_lsn;    /* point in time: apply commits up to this LSN; 0 = no such bound */
    int64_t stop_time_us; /* point in time: and up to this commit time; 0 = no such bound */
    mn_sync_policy sync;
    uint32_t sync_every_commits; /* MN_SYNC_EVERY_N: commits, 1 to 1,000,000; default 100 */
    uint32_t sync_interval_ms;   /* MN_SYNC_EVERY_MS: 1 to 3,600,000; default 100 */
    uint64_t wal_file_bytes;     /* size of a log file: 64 KiB to 4 GiB, rounded up to a multiple
                                    of 4096 (the setting of this name must be one); default
                                    64 MiB */
    uint64_t memory_bytes_max;   /* of the engine: 64 MiB to 1 TiB; default 1 GiB */
    uint64_t pinned_bytes_max;   /* of views: 1 MiB to 1 TiB; default 256 MiB */
    const char *snapshot_id;     /* opens this snapshot of the store instead (snapshot.h), to be
                                    read; `path` may be a pool or an export, too. Not a compressed
                                    one: MN_ERR_UNSUPPORTED. MN_NOT_FOUND: there is none */
};

/*
 * Opens the store in the directory `path`.
 *
 * MN_OK sets `store_out`; close it with mn_close. MN_ERR_NO_STORE: there is none and `create` is
 * not set, or the directory holds other things. MN_ERR_IN_USE: another handle has it open in a way
 * that conflicts. MN_ERR_CORRUPT: the log, the manifest, a liveness file or the frame of a segment
 * is damaged, or a part of the store is missing; the message names the file, and of the log offset
 * and LSNs. Damage inside a segment shows when it is read, and the rest stays readable.
 * MN_ERR_INVALID: also a point in time that lies before the newest checkpoint.
 * MN_ERR_UNSUPPORTED: written by a newer version. MN_ERR_ACCESS, MN_ERR_IO, MN_ERR_NO_SPACE: the
 * operating system said so.
 */
MN_API MN_MUST_USE mn_status mn_open(const char *path, const struct mn_options *options,
                                     mn_store **store_out, struct mn_error *err);

/*
 * Syncs the log, seals its end, and frees the handle. NULL is fine. MN_ERR_BUSY: views, iterators,
 * scans, searches or transactions are still open; the store stays open too. MN_ERR_FORKED: nothing
 * happens. After any other error the handle is gone; what was acknowledged at MN_ACK_DISK is safe,
 * weaker acknowledgements may be lost.
 */
MN_API MN_MUST_USE mn_status mn_close(mn_store *store, struct mn_error *err);

/* Makes everything acknowledged so far as durable as MN_ACK_DISK. */
MN_API MN_MUST_USE mn_status mn_flush(mn_store *store, struct mn_error *err);

/* Namespaces ------------------------------------------------------------------------------------
 *
 * A namespace holds records by id. Its name is UTF-8 of 1 to 1,024 bytes; any character may stand
 * in it, U+0000, ':' and '/' included. All vectors of a namespace have one number of elements: the
 * one given when it is made, else that of the first vector put into it. A put into a namespace that
 * does not exist makes it, in the same commit. Making and dropping one are commits at
 * MN_ACK_DEFAULT: under the default sync policy they are synced when the call returns.
 */

/* NULL is the default; otherwise set `size` to sizeof(struct mn_namespace_settings), all else may
 * be zero. */
struct mn_namespace_settings {
    size_t size;
    uint32_t dimension; /* elements per vector, 1 to 65,536; 0 = by the first vector */
};

struct mn_namespace_info {
    struct mn_slice name;
    uint32_t dimension; /* 0 = no vector yet and none given */
    uint64_t n_records; /* live records as of now: what mn_count says */
    uint64_t created_lsn;
};

/* Makes a namespace. MN_EXISTS: there is one with this name already; nothing changed. `settings`
 * may be NULL. */
MN_API MN_MUST_USE mn_status mn_namespace_create(mn_store *store, struct mn_slice name,
                                                 const struct mn_namespace_settings *settings,
                                                 struct mn_error *err);

/* The same, and MN_OK when it exists already. MN_ERR_DIMENSION: it exists with another dimension
 * than `settings` asks for. An existing namespace without a dimension takes the one asked for. */
MN_API MN_MUST_USE mn_status mn_namespace_ensure(mn_store *store, struct mn_slice name,
                                                 const struct mn_namespace_settings *settings,
                                                 struct mn_error *err);

/* Removes a namespace and all its records in one small commit. Its name is free at once; a new one
 * of the same name shows nothing old. Sets `existed_out` (may be NULL). */
MN_API MN_MUST_USE mn_status mn_namespace_drop(mn_store *store, struct mn_slice name,
                                               bool *existed_out, struct mn_error *err);

MN_API MN_MUST_USE mn_status mn_namespace_exists(mn_store *store, struct mn_slice name,
                                                 bool *exists_out, struct mn_error *err);

/* Number of live records. MN_NOT_FOUND: no such namespace. Exact at every moment: expired records
 * do not count, swept or not. */
MN_API MN_MUST_USE mn_status mn_count(mn_store *store, struct mn_slice name,
                                      uint64_t *n_records_out, struct mn_error *err);

/* Elements per vector, 0 while there is no vector and none was declared. MN_NOT_FOUND: no such
 * namespace. */
MN_API MN_MUST_USE mn_status mn_dimension(mn_store *store, struct mn_slice name,
                                          uint32_t *dimension_out, struct mn_error *err);

/* Walks the namespaces in the order of their names' bytes, those after the name `after` (empty =
 * all). It shows which there were when the walk began; the counts are those of now. */
typedef struct mn_namespace_iter mn_namespace_iter;
MN_API MN_MUST_USE mn_status mn_namespace_iter_open(mn_store *store, struct mn_slice after,
                                                    mn_namespace_iter **iter_out,
                                                    struct mn_error *err);
/* MN_END after the last. The name is valid until the next call on the iterator. */
MN_API MN_MUST_USE mn_status mn_namespace_iter_next(mn_namespace_iter *iter,
                                                    struct mn_namespace_info *info_out,
                                                    struct mn_error *err);
MN_API void mn_namespace_iter_close(mn_namespace_iter *iter);

/* Settings --------------------------------------------------------------------------------------
 *
 * Kept in the store, by name; docs/guide/settings.md has the table of names, units, ranges and
 * defaults. Values are text: decimal numbers, or words.
 */

/* Copies the value with its NUL into `value_out`. MN_NOT_FOUND: no setting has this name.
 * MN_ERR_LIMIT: `value_bytes` is too small; 1,024 always do. */
MN_API MN_MUST_USE mn_status mn_config_get(mn_store *store, const char *key, char *value_out,
                                           size_t value_bytes, struct mn_error *err);

/* Durable when it returns. Settings of the log take effect the next time the store is opened,
 * those of the sweep at once. MN_NOT_FOUND: no setting has this name. MN_ERR_INVALID: the value is
 * not in the setting's range. MN_ERR_IO, MN_ERR_NO_SPACE: this handle goes on with the old value;
 * the store may have either when it is opened again, until a call for any setting succeeds: then it
 * has what this handle has. */
MN_API MN_MUST_USE mn_status mn_config_set(mn_store *store, const char *key, const char *value,
                                           struct mn_error *err);

/* Name of the `index`-th setting, from 0; NULL past the last. Static strings. */
MN_API const char *mn_config_key(size_t index);

/*
 * Writes everything up to the newest commit into segments, files that hold their own indexes, and
 * gives back the log that held it: opening the store afterwards has little to replay, and memory
 * holds only what is written from then on. Commits and reads go on meanwhile. A thread does the
 * same after `checkpoint_bytes` or `checkpoint_interval_ms` (docs/guide/settings.md). Nothing to do
 * is fine. After a failure (MN_ERR_IO, MN_ERR_NO_SPACE, MN_ERR_NOMEM) the store goes on as before,
 * and a later call begins again; if the failure left open which state of the files is the newest,
 * all later calls are MN_ERR_IO until the store is opened again, while reads and writes go on.
 * While checkpoints fail in the background, puts are refused with their error once four times
 * `checkpoint_bytes` are in no segment; reads, deletes and purges go on.
 */
MN_API MN_MUST_USE mn_status mn_checkpoint(mn_store *store, struct mn_error *err);

/* What a purge did. Set `size` before the call. */
struct mn_purge_receipt {
    size_t size;
    uint64_t lsn;         /* of the commit that deleted the records */
    uint64_t n_records;   /* records that existed */
    uint64_t n_log_files; /* files of the log that held copies and were removed */
    uint64_t n_runs;      /* runs of segments that held copies and were written anew */
    uint64_t n_pinned;    /* removed files whose bytes stay on the disk until views of this process
                             that show records of them are released */
    uint64_t n_snapshots; /* snapshots in the store's pool that still hold copies; those that cannot
                             be read count, too. Exports are not known */
    /* Set by the caller, or NULL and 0: takes as many of their ids, the newest first. */
    char (*snapshot_ids)[MN_SNAPSHOT_ID_BYTES];
    size_t snapshot_ids_max;
    uint64_t
        n_archived_logs; /* files in the directory of the setting `archive_dir` that hold copies;
                                 those that cannot be read count, too */
    /* Set by the caller, or NULL and 0: takes as many of their names in that directory. */
    char (*archived_logs)[MN_ARCHIVED_LOG_BYTES];
    size_t archived_logs_max;
};

/*
 * Deletes records and erases them: when it returns MN_OK, no file of the store holds a byte of
 * their ids, vectors, metadata and payloads, of older versions either. Ids that do not exist now
 * are erased all the same if older versions of them are left. Writes what it erases from anew, so
 * it takes time in proportion to the runs of segments that held them; commits and reads go on
 * meanwhile. However few they are, it makes a checkpoint and a new log file too, so erase many with
 * one call. `receipt_out` may be NULL. MN_NOT_FOUND: no such namespace. After another failure the
 * records may be deleted while files still hold them, or, as the message says, be erased while the
 * store's pool of snapshots cannot be looked at: call it again. MN_ERR_CORRUPT: a live record
 * beside them is damaged, and writing its segment anew would lose it; calling again does not help
 * then, but mn_salvage into a new store does, which takes over only what is live.
 */
MN_API MN_MUST_USE mn_status mn_purge(mn_store *store, struct mn_slice name,
                                      const struct mn_slice *ids, size_t n_ids,
                                      struct mn_purge_receipt *receipt_out, struct mn_error *err);

/* The same for a namespace with all its records, its name included; it is dropped. What namespaces
 * that were dropped before have left is erased too, so after MN_NOT_FOUND nothing is left of one of
 * this name either. Its own records may be damaged. Other failures are as mn_purge's. */
MN_API MN_MUST_USE mn_status mn_purge_namespace(mn_store *store, struct mn_slice name,
                                                struct mn_purge_receipt *receipt_out,
                                                struct mn_error *err);

/* Expiry ----------------------------------------------------------------------------------------
 *
 * An expired record is invisible at once, to every read and every count. The sweep gives its memory
 * back: in the background every `sweep_interval_ms`, in batches of `sweep_batch_records`, for at
 * most `sweep_time_cap_ms` each time.
 */

/* Sweeps now, under the same bounds, also what spaces keep no longer if its time has come. Sets
 * `n_swept_out` (may be NULL). */
MN_API MN_MUST_USE mn_status mn_sweep(mn_store *store, uint64_t *n_swept_out, struct mn_error *err);

/* Numbers ---------------------------------------------------------------------------------------
 */

/* Set `size` before the call; fields that the library does not know are left as they are. */
struct mn_stats {
    size_t size;
    uint64_t current_lsn;    /* of the newest commit */
    uint64_t durable_lsn;    /* known synced up to here */
    uint64_t checkpoint_lsn; /* everything up to here lies in segments; 0 = none */
    uint64_t n_namespaces;
    uint64_t n_records; /* live, over all namespaces, spaces and tenants; versions that the history
                              of a space keeps, and points that it hides until they are swept,
                              too */
    uint64_t n_expired; /* expired and not swept yet */
    uint64_t memory_bytes; /* of the engine, all of it; not the page cache of its files */
    uint64_t pinned_bytes; /* of records that views hold, in memory or in segments */
    uint64_t wal_files;
    uint64_t wal_current_file_bytes;   /* used, of the newest file */
    uint64_t wal_current_file_records; /* operations, as in struct mn_verify_report */
    uint64_t wal_records_since_checkpoint;
    uint64_t wal_syncs;         /* since open */
    uint64_t wal_groups;        /* group commits since open */
    uint64_t wal_commits;       /* commits in them */
    uint64_t wal_bytes_written; /* since open, padding and rewritten blocks included */
    bool wal_direct_io;         /* the log is written past the page cache */
    bool is_poisoned;
    uint64_t n_segments;
    uint64_t n_runs;            /* of segments that do not overlap; a look-up asks each run */
    uint64_t segment_bytes;     /* of the segments' files, and of those that say
                                   what is dead in them */
    uint64_t segment_rows;      /* records in them, dead ones and rows of the catalogue included */
    uint64_t segment_dead_rows; /* overwritten, deleted or dropped since */
    uint64_t manifest_number;   /* of the newest checkpoint that reads go by; 0 = none */
    uint64_t pinned_bytes_max;  /* the option, or the setting */
    uint64_t memory_bytes_max;  /* likewise */
    /* Of memory_bytes: */
    uint64_t memory_buffer_bytes;  /* records, until no view needs them and they lie in segments */
    uint64_t memory_segment_bytes; /* what segments need: directories, dead rows, patches */
    uint64_t memory_log_bytes;     /* buffers of the log, and the manifest */
    uint64_t memory_work_bytes;    /* of checkpoint, merge, batches, iterators and scans */
    uint64_t n_spaces;             /* of temporal.h */
};

MN_API MN_MUST_USE mn_status mn_stats(mn_store *store, struct mn_stats *stats_out,
                                      struct mn_error *err);

/* What mn_verify read. */
struct mn_verify_report {
    size_t size;
    uint64_t n_files;         /* STORE, the manifest, segments, liveness files, log files */
    uint64_t n_bytes;         /* of them that are used */
    uint64_t n_commits;       /* in the log */
    uint64_t n_records;       /* operations: overwritten versions, deletes, rows of the catalogue */
    uint64_t last_lsn;        /* of the log; or of the manifest, where that is greater */
    uint64_t torn_tail_bytes; /* unfinished write at the end, which opening cuts; no damage */
    uint64_t n_damaged_files; /* missing ones too */
    uint64_t n_segments;
    uint64_t n_segment_rows; /* records in segments, dead ones and rows of the catalogue included */
};

/*
 * Reads every byte of the store in `path`, without changing anything, and checks it. Refused beside
 * a writer. MN_ERR_CORRUPT: the message names the first damage. Damage in one file does not keep
 * the others from being read, but these: nothing is read when STORE is damaged, no segments are
 * when the manifest is, and of the log nothing behind the damage. The report tells of what was
 * read; of a damaged log file the bytes up to the damage count. MN_ERR_NO_STORE: none there.
 */
MN_API MN_MUST_USE mn_status mn_verify(const char *path, struct mn_verify_report *report_out,
                                       struct mn_error *err);

/* Called after each piece that was read. `n_bytes_total` is 0 while it is not known: of segments it
 * is, of the log it is not, and the count begins anew there. `damage` is NULL, or the first damage
 * in a file: once per damaged file. A status other than MN_OK ends the verification and is
 * returned. */
typedef mn_status mn_verify_fn(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total,
                               const struct mn_error *damage);

/* The same, and tells `each` (may be NULL) how far it came and what is damaged. */
MN_API MN_MUST_USE mn_status mn_verify_each(const char *path, mn_verify_fn *each, void *context,
                                            struct mn_verify_report *report_out,
                                            struct mn_error *err);

/* What mn_salvage found. */
struct mn_salvage_report {
    size_t size;
    uint64_t n_namespaces;     /* of the new store */
    uint64_t n_records;        /* live ones in it */
    uint64_t n_unsure_records; /* written although they may have been overwritten or deleted: what
                                  would say so is damaged */
    uint64_t n_lost_records;   /* known to have been there, and not readable; overwritten ones may
                                  be counted too, those in lost commits are not */
    uint64_t n_lost_names;     /* namespaces called "lost-<number>" now, and spaces whose numbers
                                  count down from the greatest */
    uint64_t n_damages;        /* reported one by one */
    uint64_t last_lsn;         /* of the newest commit of which something was found */
};

/* Called with each damage: the file, in the damaged store, and what is wrong and lost. Strings are
 * valid during the call. */
typedef void mn_salvage_damage_fn(void *context, const char *file, const char *what);

/* NULL is the default; otherwise set `size` to sizeof(struct mn_salvage_options). */
struct mn_salvage_options {
    size_t size;
    mn_salvage_damage_fn *damage; /* may be NULL */
    void *context;                /* for it */
};

/*
 * Recovers what can be recovered of a damaged store into a new one: records with everything that
 * belongs to them, namespaces, spaces, settings. Of each record the newest version that is left
 * counts; LSNs are new ones. Nothing in `from` is changed; it is refused beside a writer. `to` is
 * missing or empty. MN_OK also when much is lost: the report tells, `n_damages` 0 says that nothing
 * is. `report_out` may be NULL, else its `size` is set. After a failure `to` may hold a part of it.
 *
 * MN_ERR_NO_STORE: nothing in `from` is part of a store. MN_ERR_INVALID: `to` is not empty. Others
 * as of mn_open and mn_put_batch, about `to`.
 */
MN_API MN_MUST_USE mn_status mn_salvage(const char *from, const char *to,
                                        const struct mn_salvage_options *options,
                                        struct mn_salvage_report *report_out, struct mn_error *err);

/* Library version, "0.1.0". Static. */
MN_API const char *mn_version(void);

#ifdef __cplusplus
}
#endif
#endif
