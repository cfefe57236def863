/*
 * snapshot.h - states of a store that are kept apart from it, in a pool.
 *
 * A snapshot is a manifest and the files that it names, at one LSN; docs/format/snapshot.md is the
 * layout. A pool is a directory of snapshots that share their files: each immutable file is stored
 * once. An export is a pool elsewhere.
 *
 *     creating    engine: checkpoint, fill in a struct mni_snapshot -> mni_pool_add
 *     restoring   mni_pool_load -> mni_pool_verify_cached -> mni_pool_give -> engine: a manifest
 *
 * This room knows files and manifests. What is in a store and how it opens is the engine's.
 *
 * Locks: MNI_POOL_READ and MNI_POOL_ADD go together; of those that add one at a time;
 * MNI_POOL_REMOVE goes with none. Listing and loading need no lock: a snapshot may go meanwhile, as
 * MN_NOT_FOUND.
 *
 * Threads: a pool belongs to one thread at a time; several pools may be open on one directory.
 */
#ifndef MNI_SNAPSHOT_SNAPSHOT_H
#define MNI_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "io/env.h"
#include "manifest/manifest.h"
#include "mneme/types.h"

enum {
    MNI_SNAPSHOT_ID_BYTES = 16,
    MNI_SNAPSHOT_ID_TEXT_BYTES = 33, /* 32 hexadecimal digits and a NUL */
    MNI_SNAPSHOT_DIGEST_BYTES = 16,
    MNI_SNAPSHOT_DESCRIPTION_BYTES_MAX = 1024,
    MNI_SNAPSHOT_STORE_BYTES = 4096, /* the file STORE */
};

struct mni_snapshot_id {
    unsigned char bytes[MNI_SNAPSHOT_ID_BYTES];
};

/* The id of a new snapshot: the LSN and 8 random bytes. */
MN_MUST_USE mn_status mni_snapshot_id_new(struct mni_env *env, uint64_t lsn,
                                          struct mni_snapshot_id *id_out, struct mn_error *err);
void mni_snapshot_id_format(const struct mni_snapshot_id *id,
                            char text_out[MNI_SNAPSHOT_ID_TEXT_BYTES]);
/* False: the text is no id. Ids come from users; they never become part of a path but through
 * this. */
bool mni_snapshot_id_parse(struct mn_slice text, struct mni_snapshot_id *id_out);
bool mni_snapshot_id_is_zero(const struct mni_snapshot_id *id);
uint64_t mni_snapshot_id_lsn(const struct mni_snapshot_id *id);

enum mni_snapshot_flags { /* as in the file */
                          MNI_SNAPSHOT_INCREMENTAL = 1 << 0,
                          MNI_SNAPSHOT_WITHOUT_METADATA = 1 << 1,
                          MNI_SNAPSHOT_COMPRESSED = 1 << 2,
};

struct mni_snapshot_collection {
    uint64_t number;
    uint32_t kind;
    uint32_t dimension;
    uint64_t n_records;
    struct mn_slice name; /* the snapshot's */
};

/* Zero-initialised is empty and valid. */
struct mni_snapshot {
    struct mni_snapshot_id id;
    unsigned flags;
    struct mni_snapshot_id parent; /* zeroes: none */
    unsigned char parent_digest[MNI_SNAPSHOT_DIGEST_BYTES];
    uint64_t parent_lsn;
    int64_t created_us;
    unsigned char digest[MNI_SNAPSHOT_DIGEST_BYTES]; /* set by adding and by loading */
    struct mni_manifest manifest; /* owned; its LSN, time and store id are the snapshot's */
    unsigned char store[MNI_SNAPSHOT_STORE_BYTES]; /* the file STORE */
    struct mn_slice description;                   /* borrowed by one that is added, else owned */
    struct mni_snapshot_collection *collections;   /* likewise; in the order of kind and name */
    size_t n_collections;
    struct mni_timeline *timelines; /* likewise; oldest first, at least one */
    size_t n_timelines;
    /* Set by adding and by loading. */
    uint64_t n_records; /* of all collections */
    uint64_t n_bytes;   /* of the manifest's files */
    uint64_t own_bytes; /* of those that the parent does not hold */
    uint64_t n_files;
    uint64_t n_own_files;
    uint64_t stored_bytes; /* in the pool: less than n_bytes where they are compressed */
    uint64_t *stored;      /* owned; per segment, NULL if they are not compressed */
    void *room;            /* owned; what a loaded one points to */
};

/* Frees what a loaded snapshot owns, and the manifest of any. NULL is fine. */
void mni_snapshot_done(struct mni_snapshot *snapshot);

/* How many of its collections, the first ones, are namespaces; the others are spaces. */
size_t mni_snapshot_n_namespaces(const struct mni_snapshot *snapshot);

/* Whether both have metadata, or neither. */
bool mni_snapshot_is_like(const struct mni_snapshot *snapshot, const struct mni_snapshot *other);
/* Whether a snapshot may be made against a parent: of the same store, at an LSN not above, in a
 * past that both have, and alike. Both have their manifest and timelines. */
bool mni_snapshot_follows(const struct mni_snapshot *snapshot, const struct mni_snapshot *parent);

/* Pools ----------*/

struct mni_pool_dir;

/* With `create` a missing directory is made (its last component), and an empty one becomes a pool.
 * MN_NOT_FOUND: there is none, or it is empty. MN_ERR_INVALID: the directory holds other things
 * than a pool. MN_ERR_CORRUPT: its directory of files is missing. */
MN_MUST_USE mn_status mni_pool_open(struct mni_env *env, const char *path, bool create,
                                    struct mni_pool_dir **pool_out, struct mn_error *err);
void mni_pool_close(struct mni_pool_dir *pool); /* NULL is fine; gives up the lock */

enum mni_pool_lock { MNI_POOL_READ, MNI_POOL_ADD, MNI_POOL_REMOVE };
/* MN_ERR_IN_USE: somebody holds what does not go with it. Calling again changes the lock; when that
 * answers MN_ERR_IN_USE the one before is held still. */
MN_MUST_USE mn_status mni_pool_lock(struct mni_pool_dir *pool, enum mni_pool_lock lock,
                                    struct mn_error *err);

/* The ids of all snapshots, newest first: by LSN, then by time of making. Owned by the caller.
 * Files that are no snapshots are passed over. */
MN_MUST_USE mn_status mni_pool_list(struct mni_pool_dir *pool, struct mni_snapshot_id **ids_out,
                                    size_t *n_out, struct mn_error *err);

/* MN_NOT_FOUND: there is none of this id. MN_ERR_CORRUPT, MN_ERR_UNSUPPORTED: `err` names the file.
 * The snapshot is empty before and after an error. */
MN_MUST_USE mn_status mni_pool_load(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                                    struct mni_snapshot *snapshot_out, struct mn_error *err);

/* Called after each piece of work. A status other than MN_OK ends it and is returned. */
typedef mn_status mni_progress_fn(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total,
                                  struct mn_error *err);
struct mni_progress {
    mni_progress_fn *each; /* NULL: nobody asks */
    void *context;
};

/*
 * Adds a snapshot: its files, from `seg_dir`, then its own. MNI_POOL_ADD is held, and `seg_dir`
 * keeps the files until it returns. Files that the pool has are not touched; others are linked,
 * else cloned, else copied and checked on the way. For a snapshot without metadata they are written
 * anew, and its manifest becomes that of the new ones when all has gone well. `parent` (may be
 * NULL) is the one that `snapshot` names. Sets digest and sums. After an error nothing is visible
 * and space is given back, as far as that can be; what stays goes with the next removal. When only
 * the last sync fails, the snapshot may be there. MN_EXISTS: one of this id is. MN_ERR_INVALID: it
 * does not follow its parent, or would not be read back. MN_ERR_CORRUPT: a file of `seg_dir` (or
 * one of the pool that it shares) is missing, has another length, or is damaged and had to be read.
 */
MN_MUST_USE mn_status mni_pool_add(struct mni_pool_dir *pool, struct mni_snapshot *snapshot,
                                   const struct mni_snapshot *parent, struct mni_dir *seg_dir,
                                   const struct mni_progress *progress, struct mn_error *err);

/* What verifying found: one call per damaged file, whose name is in `err`. */
typedef void mni_damage_fn(void *context, const struct mn_error *damage);

/* Reads every byte of a snapshot's files and checks it, and its chain of parents as far as it is
 * there; segments past the page cache, where that can be: the disk is asked what it holds.
 * MN_ERR_CORRUPT: the first damage; `damage` (may be NULL) gets all. Anything else ends it at once.
 * MNI_POOL_READ is held. */
MN_MUST_USE mn_status mni_pool_verify(struct mni_pool_dir *pool,
                                      const struct mni_snapshot *snapshot,
                                      const struct mni_progress *progress, mni_damage_fn *damage,
                                      void *context, struct mn_error *err);

/* The same of one that is given or shown right away: the files are read through the page cache,
 * where they are wanted next. What lies in it already is not read from the disk again. */
MN_MUST_USE mn_status mni_pool_verify_cached(struct mni_pool_dir *pool,
                                             const struct mni_snapshot *snapshot,
                                             const struct mni_progress *progress,
                                             struct mn_error *err);

/* Gives the files of a snapshot their names in `seg_dir` as a store has them, and syncs it: linked,
 * cloned, copied or decompressed; what is copied is checked on the way. Any of them may be there
 * already, complete. MNI_POOL_READ is held. After an error those that were not there have gone
 * again, as far as that can be. */
MN_MUST_USE mn_status mni_pool_give(struct mni_pool_dir *pool, const struct mni_snapshot *snapshot,
                                    struct mni_dir *seg_dir, const struct mni_progress *progress,
                                    struct mn_error *err);

/* The files of a snapshot under the names that they have in a store, as a directory that can only
 * be read. Pool and snapshot are borrowed until it is closed; MNI_POOL_READ is held until then.
 * MN_ERR_UNSUPPORTED: they are compressed. */
MN_MUST_USE mn_status mni_pool_show(struct mni_pool_dir *pool, const struct mni_snapshot *snapshot,
                                    struct mni_dir **seg_dir_out, struct mn_error *err);

/* Removes a snapshot and the files that no other one names; MN_NOT_FOUND. MNI_POOL_REMOVE is held.
 * Goes by the name alone: a damaged one can be removed, too.
 * `freed_out` (may be NULL): bytes that files had that went. When some snapshot cannot be read, no
 * file goes, and the answer is its damage; the snapshot itself has gone then. */
MN_MUST_USE mn_status mni_pool_remove(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                                      uint64_t *freed_out, struct mn_error *err);
/* The same for several: the snapshot goes, its files with the mni_pool_collect that has to follow.
 */
MN_MUST_USE mn_status mni_pool_forget(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                                      struct mn_error *err);
/* Removes all files that no snapshot names, and what cut-off additions left; under the same lock.
 * When some snapshot cannot be read no file goes, and the answer is its damage. */
MN_MUST_USE mn_status mni_pool_collect(struct mni_pool_dir *pool, uint64_t *freed_out,
                                       struct mn_error *err);

#endif
