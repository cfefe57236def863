/*
 * snapshot.h - states of a store that are kept apart from it, and restoring them.
 *
 * A snapshot is everything that a store held at one commit. Snapshots lie in a pool, a directory in
 * which each file is stored once, however many snapshots hold it: the store's own pool
 * (`snapshot_dir`, docs/guide/settings.md), or an export, a pool elsewhere.
 *
 * An id is 32 hexadecimal digits. Ids of one store sort by age. Anything else is MN_ERR_INVALID and
 * never becomes part of a path. Statuses and rules are those of store.h; besides, MN_ERR_CORRUPT
 * says that a snapshot or one of its files is damaged, and the message names it; MN_ERR_IN_USE,
 * that somebody else adds or removes snapshots there.
 *
 * Thread rule: mn_snapshot_create may be called by any thread, one snapshot is made at a time.
 * A pool's handle belongs to one thread at a time; a snapshot's may be read by many.
 */
#ifndef MNEME_SNAPSHOT_H
#define MNEME_SNAPSHOT_H

#include "mneme/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called after each piece of work; `n_bytes_total` does not change. A status other than MN_OK ends
 * the work, which is returned then: MN_ERR_CANCELLED is meant for that. */
typedef mn_status mn_snapshot_progress_fn(void *context, uint64_t n_bytes_done,
                                          uint64_t n_bytes_total);

/* What is known of a snapshot ---------------------------------------------------------------------
 */

typedef struct mn_snapshot mn_snapshot;

/* Set `size` before the call. */
struct mn_snapshot_info {
    size_t size;
    char id[MN_SNAPSHOT_ID_BYTES];
    char parent_id[MN_SNAPSHOT_ID_BYTES]; /* "" when it is full */
    bool is_incremental; /* it was made against its parent; it is whole all the same */
    bool is_compressed;
    bool has_no_metadata; /* metadata and payloads were left out */
    int64_t created_at_us;
    uint64_t lsn;        /* of the newest commit in it */
    int64_t lsn_time_us; /* when that was made */
    uint64_t n_namespaces;
    uint64_t n_records; /* live ones when it was made, without those that had expired */
    uint64_t n_files;
    uint64_t n_bytes;      /* of its files */
    uint64_t own_bytes;    /* of those that its parent does not have */
    uint64_t shared_bytes; /* of those that it does */
    uint64_t stored_bytes; /* of its files as they are stored: fewer when they are compressed */
    uint32_t format_version;
    char digest[33];             /* of the snapshot's file, hexadecimal */
    char store_id[33];           /* of the store that it was made of, likewise */
    struct mn_slice description; /* UTF-8; valid as long as the snapshot's handle */
    uint64_t n_timelines;        /* how often the store had been restored by then, and 1 */
};

struct mn_snapshot_namespace {
    struct mn_slice name; /* valid as long as the snapshot's handle */
    uint32_t dimension;   /* 0 = no vector yet and none given */
    uint64_t n_records;
};

MN_API MN_MUST_USE mn_status mn_snapshot_get_info(const mn_snapshot *snapshot,
                                                  struct mn_snapshot_info *info_out,
                                                  struct mn_error *err);
/* The `index`-th namespace, from 0, in the order of names. MN_END: there are no more. */
MN_API MN_MUST_USE mn_status mn_snapshot_get_namespace(const mn_snapshot *snapshot, uint64_t index,
                                                       struct mn_snapshot_namespace *namespace_out,
                                                       struct mn_error *err);
MN_API void mn_snapshot_free(mn_snapshot *snapshot); /* NULL is fine */

/* Creating ----------------------------------------------------------------------------------------
 */

/* NULL is the default; otherwise set `size`, all else may be zero. */
struct mn_snapshot_options {
    size_t size;
    const char *to; /* a directory: makes an export there; NULL: the store's own pool */
    struct mn_slice description; /* UTF-8 of at most MN_SNAPSHOT_DESCRIPTION_BYTES_MAX bytes */
    bool incremental;            /* against `parent_id`, or the newest one there that fits */
    bool compress;               /* only of an export */
    const char *parent_id;       /* makes it incremental */
    mn_snapshot_progress_fn *progress; /* may be NULL */
    void *context;                     /* for it */
    /* Only of an export: its files are written without metadata and payloads, of which no byte is
     * in any of them, dead and dropped records included. Ids, vectors, times and the names of
     * namespaces stay. Its parent is one without metadata, too. */
    bool without_metadata;
};

/*
 * Makes a snapshot of everything up to the newest commit: a checkpoint, then a second name in the
 * pool for each file, or a copy where the file system has no second names. Commits and reads go on.
 * It is there as a whole or not at all. MN_OK sets `snapshot_out` (may be NULL), to be freed. In
 * the store's own pool the oldest of its snapshots beyond `max_snapshots` go, unless somebody reads
 * there.
 *
 * MN_NOT_FOUND: there is no such parent, or none that an incremental one could be made against.
 * MN_ERR_INVALID: the parent is of another store or of a past that a restore left, or only one of
 * the two has metadata; `to` holds other things than snapshots, or is the store's own pool, where
 * all have metadata. MN_ERR_IN_USE: another snapshot is being made or removed.
 * MN_ERR_CANCELLED: `progress` said so.
 */
MN_API MN_MUST_USE mn_status mn_snapshot_create(mn_store *store,
                                                const struct mn_snapshot_options *options,
                                                mn_snapshot **snapshot_out, struct mn_error *err);

/* Pools -------------------------------------------------------------------------------------------
 */

typedef struct mn_snapshots mn_snapshots;

/* Opens a pool or an export by its directory; no store is needed. MN_NOT_FOUND: there is none.
 * MN_ERR_INVALID: the directory holds other things. */
MN_API MN_MUST_USE mn_status mn_snapshots_open(const char *path, mn_snapshots **snapshots_out,
                                               struct mn_error *err);
/* The pool of the store in `store_path`, also beside a writer. MN_NOT_FOUND: it has made no
 * snapshot yet. MN_ERR_NO_STORE. */
MN_API MN_MUST_USE mn_status mn_snapshots_open_of(const char *store_path,
                                                  mn_snapshots **snapshots_out,
                                                  struct mn_error *err);
MN_API void mn_snapshots_close(mn_snapshots *snapshots); /* NULL is fine */

/* Walks the ids of all snapshots, the newest first: by LSN. Shows those that there were when it
 * began. */
typedef struct mn_snapshot_iter mn_snapshot_iter;
MN_API MN_MUST_USE mn_status mn_snapshot_iter_open(mn_snapshots *snapshots,
                                                   mn_snapshot_iter **iter_out,
                                                   struct mn_error *err);
/* MN_END after the last. */
MN_API MN_MUST_USE mn_status mn_snapshot_iter_next(mn_snapshot_iter *iter,
                                                   char id_out[MN_SNAPSHOT_ID_BYTES],
                                                   struct mn_error *err);
MN_API void mn_snapshot_iter_close(mn_snapshot_iter *iter); /* NULL is fine */

/* What is known of one; to be freed. MN_NOT_FOUND. */
MN_API MN_MUST_USE mn_status mn_snapshot_show(mn_snapshots *snapshots, const char *id,
                                              mn_snapshot **snapshot_out, struct mn_error *err);
MN_API MN_MUST_USE mn_status mn_snapshot_exists(mn_snapshots *snapshots, const char *id,
                                                bool *exists_out, struct mn_error *err);

/* Called with each damage; the error is valid during the call. */
typedef void mn_snapshot_damage_fn(void *context, const struct mn_error *damage);

/* NULL is the default; otherwise set `size`, all else may be zero. */
struct mn_snapshot_verify_options {
    size_t size;
    mn_snapshot_progress_fn *progress; /* may be NULL */
    mn_snapshot_damage_fn *damage;     /* may be NULL */
    void *context;                     /* for both */
};

/* Reads and checks every byte of a snapshot, and the chain of its parents as far as they are there.
 * MN_ERR_CORRUPT: the first damage; the others were read all the same. MN_NOT_FOUND. */
MN_API MN_MUST_USE mn_status mn_snapshot_verify(mn_snapshots *snapshots, const char *id,
                                                const struct mn_snapshot_verify_options *options,
                                                struct mn_error *err);

/* Removes a snapshot, a damaged one too, and the files that no other one needs; those made against
 * it stay whole. Sets `freed_out` (may be NULL) to the bytes of them. MN_NOT_FOUND.
 * MN_ERR_IN_USE: somebody reads there. MN_ERR_CORRUPT: it has gone, but its files stay, because
 * another snapshot is damaged and may need them. */
MN_API MN_MUST_USE mn_status mn_snapshot_delete(mn_snapshots *snapshots, const char *id,
                                                uint64_t *freed_out, struct mn_error *err);

/* Removes all but the newest `n_kept` (1 or more), by LSN: those of the store, if the pool was
 * opened by mn_snapshots_open_of, otherwise of each store. Damaged ones are passed over. Sets
 * `n_deleted_out` and `freed_out` (may be NULL), also when it fails. MN_ERR_IN_USE as above.
 * MN_ERR_CORRUPT, when some were removed: all that were to go have gone, but their files stay,
 * because another snapshot is damaged and may need them. */
MN_API MN_MUST_USE mn_status mn_snapshots_prune(mn_snapshots *snapshots, uint64_t n_kept,
                                                uint64_t *n_deleted_out, uint64_t *freed_out,
                                                struct mn_error *err);

/* Restoring ---------------------------------------------------------------------------------------
 */

/* Set `size`; exactly one of `into` and `replace` is set. */
struct mn_restore_options {
    size_t size;
    const char *into;    /* a directory that is missing or empty, or in which a restore was cut off:
                            a new store is made there, with an id of its own */
    const char *replace; /* a store: what it holds goes */
    /* Only one namespace. It comes into a new store, or, with `replace`, into that store beside the
     * others; there it must not exist. */
    struct mn_slice name;              /* empty: all of them */
    struct mn_slice rename;            /* what it is called there; empty: the same */
    bool dry_run;                      /* verifies and counts; changes nothing */
    mn_snapshot_progress_fn *progress; /* may be NULL */
    void *context;                     /* for it */
    /* A moment instead of an id, only `into` a new store, all of it: at most one is not 0. */
    uint64_t at_lsn;     /* everything up to this commit */
    int64_t at_time_us;  /* everything that was committed up to then; Unix time in microseconds */
    const char *archive; /* the directory in which the log was kept; NULL: what the store's
                            setting `archive_dir` says */
};

/* Set `size` before the call. */
struct mn_restore_report {
    size_t size;
    uint64_t n_namespaces;
    uint64_t n_records;   /* that are there now: those that have expired did not come back */
    uint64_t lsn;         /* the store goes on above it */
    bool has_no_metadata; /* the snapshot was made without: no record has metadata or a payload */
    char snapshot_id[MN_SNAPSHOT_ID_BYTES]; /* that it began with */
};

/*
 * Restores a snapshot. All its files are verified before anything is changed. Nothing that is newer
 * survives, but the LSNs go on above all that the target ever handed out. Cut off at any
 * moment, `replace` leaves the old state or the new one, and `into` leaves no store: it refuses to
 * open, and restoring again clears it away. The target must not be open.
 *
 * MN_ERR_CORRUPT: the snapshot is damaged, the target is as it was; of `replace` also: its file
 * STORE is, restore into a new directory then. MN_ERR_INVALID: `into` is not empty. MN_EXISTS: the
 * namespace exists there. MN_NOT_FOUND: no such snapshot, or it has no such namespace.
 * MN_ERR_NO_STORE: `replace` is none. MN_ERR_IN_USE. `report_out` may be NULL. MN_ERR_INVALID also:
 * `replace` has no manifest that can be read, and a file that a salvage may need is in the way.
 *
 * With `at_lsn` or `at_time_us`, `id` is NULL: begins with the newest snapshot from then or before,
 * and replays what was logged after it: what is in the archive, and in the log of the store, if the
 * pool was opened by mn_snapshots_open_of and nobody has the store open. Ids, LSNs and times are
 * those of the store. A restore that replaced the store left a past behind: an LSN of it is
 * MN_NOT_FOUND, a time in it means the state that was gone back to.
 *
 * MN_NOT_FOUND also where no snapshot is from then or before, or where the log that there is ends
 * earlier; the message says with which LSN. MN_ERR_CORRUPT: a part of the log is damaged, or is
 * missing.
 */
MN_API MN_MUST_USE mn_status mn_snapshot_restore(mn_snapshots *snapshots, const char *id,
                                                 const struct mn_restore_options *options,
                                                 struct mn_restore_report *report_out,
                                                 struct mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
