/*
 * restore_private.h - what the files of restoring share.
 */
#ifndef MNI_ENGINE_RESTORE_PRIVATE_H
#define MNI_ENGINE_RESTORE_PRIVATE_H

#include "engine/engine_private.h"

enum { RESTORE_MARK_BYTES = 16 };

struct restore {
    struct mni_env *env;                       /* borrowed */
    const struct mni_restore_request *request; /* likewise */
    struct mni_restore_report *report;         /* likewise; set by the parts */
    struct mni_snapshot_id id;
    struct mni_snapshot snapshot;           /* loaded and verified */
    struct store_file store;                /* its settings */
    unsigned char mark[RESTORE_MARK_BYTES]; /* of the new store's directory */
};

/* What the target's manifest says: that of the snapshot at `lsn`, in a new timeline, as `number` of
 * the store `store_id`. `last_time_us`: no commit to come is before it. */
MN_MUST_USE mn_status restore_manifest(const struct restore *restore, uint64_t number, uint64_t lsn,
                                       const unsigned char *store_id, int64_t last_time_us,
                                       struct mni_manifest *manifest_out, struct mn_error *err);
/* Counts what a manifest and the files in `seg` of the target show now. */
MN_MUST_USE mn_status restore_count(struct restore *restore, const struct mni_manifest *manifest,
                                    struct mni_dir *dir, struct mn_error *err);
/* Counts what the snapshot shows now; of a compressed one, what it did when it was made. */
MN_MUST_USE mn_status restore_count_snapshot(struct restore *restore, struct mn_error *err);
/* The collection that is to be restored. */
const struct mni_snapshot_collection *restore_find_collection(const struct restore *restore);
/* Begins the target's log anew above `lsn`; what was logged before goes. */
MN_MUST_USE mn_status restore_log(const struct restore *restore, struct mni_dir *dir,
                                  const unsigned char *store_id, uint64_t lsn, int64_t last_time_us,
                                  struct mn_error *err);

/* restore_into.c: a new store ----------*/

/* Opens and locks the directory, which is missing, empty, or of a restore that was cut off. With
 * `creates` it is there afterwards and has a mark; otherwise nothing changes, and `dir_out` may be
 * NULL. */
MN_MUST_USE mn_status restore_open_into(struct restore *restore, bool creates,
                                        struct mni_dir **dir_out, struct mn_error *err);
/* Makes the store there, under the mark. */
MN_MUST_USE mn_status restore_make(struct restore *restore, struct mni_dir *dir,
                                   struct mn_error *err);
/* Ends what was done under the mark while nobody had the directory: takes the mark away, or, if
 * `st` is an error, everything. Nothing, if the mark is not ours. Returns `st`, or what failed,
 * which is never MN_NOT_FOUND. */
MN_MUST_USE mn_status restore_end_into(const struct restore *restore, mn_status st,
                                       struct mn_error *err);
/* It is a store now. */
MN_MUST_USE mn_status restore_unmark(struct mni_dir *dir, struct mn_error *err);
/* Takes away what was made, the mark last; as far as that can be. */
void restore_clear(struct mni_dir *dir);
MN_MUST_USE mn_status restore_into(struct restore *restore, struct mn_error *err);

/* restore_at.c: a new store, as one was at a moment ----------*/

struct at;
/* Finds out how to get to the moment, and sets the id of the snapshot to begin with. To be freed in
 * any case. */
MN_MUST_USE mn_status restore_choose_at(struct restore *restore, struct at **at_out,
                                        struct mn_error *err);
MN_MUST_USE mn_status restore_at(struct restore *restore, struct at *at, struct mn_error *err);
void restore_at_done(struct at *at); /* NULL is fine */

/* restore_replace.c: in place of what a store holds ----------*/

MN_MUST_USE mn_status restore_replace(struct restore *restore, struct mn_error *err);

/* restore_namespace.c: one namespace ----------*/

MN_MUST_USE mn_status restore_namespace(struct restore *restore, struct mn_error *err);

#endif
