/*
 * snapshot_private.h - what the files that face snapshots share.
 */
#ifndef MNI_API_SNAPSHOT_PRIVATE_H
#define MNI_API_SNAPSHOT_PRIVATE_H

#include "api/store_private.h"
#include "mneme/snapshot.h"
#include "snapshot/snapshot.h"

struct mn_snapshot {
    struct mni_snapshot inner; /* as loaded */
};

struct mn_snapshots {
    struct mni_env *env;           /* borrowed */
    char path[MNI_PATH_BYTES_MAX]; /* from the root on */
    struct mni_pool_dir *pool;     /* owned; never locked */
    char *store_path;              /* owned; NULL: it was opened without a store */
};

/* Another handle of the same pool, under a lock that lasts until it is closed. */
MN_MUST_USE mn_status api_lock_pool(const mn_snapshots *snapshots, enum mni_pool_lock lock,
                                    struct mni_pool_dir **pool_out, struct mn_error *err);

/* The caller's progress, and what it answered. */
struct api_progress {
    mn_snapshot_progress_fn *each; /* may be NULL */
    void *context;
    mn_status answer;
};

/* As the room below takes it; borrows `progress`. */
struct mni_progress api_progress(struct api_progress *progress);
/* `status` and `details` of what was done under it, as the caller is told. */
mn_status api_progress_end(const struct api_progress *progress, mn_status status,
                           struct mn_error *details, struct mn_error *err);

/* MN_ERR_INVALID: the text is no id. */
MN_MUST_USE mn_status api_parse_id(const char *text, struct mni_snapshot_id *id_out,
                                   struct mn_error *err);
/* Takes the inner one over; on MN_ERR_NOMEM it is freed. */
MN_MUST_USE mn_status api_snapshot_new(struct mni_snapshot *inner, mn_snapshot **snapshot_out,
                                       struct mn_error *err);

#endif
