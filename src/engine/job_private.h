/*
 * job_private.h - what checkpoint and merge share: writing a run, publishing a root.
 */
#ifndef MNI_ENGINE_JOB_PRIVATE_H
#define MNI_ENGINE_JOB_PRIVATE_H

#include "engine/batch_private.h"

/* A run that is being written. */
struct output {
    struct mni_engine *engine;
    struct part **parts; /* owned, as their references */
    size_t n_parts;
};

/* Whether a segment of the plan takes as much memory to write as it may: then it ends. */
bool output_is_full(const struct output *output, const struct mni_segment_plan *plan);

/* The next row of the plan; it is valid until the next call. Who asked forgets it. */
typedef mn_status next_row_fn(void *context, struct mni_segment_row *row_out, struct mn_error *err);

/* Writes the segment that was planned, from its rows, and opens it. The file is synced, the
 * directory is not. */
MN_MUST_USE mn_status output_write(struct output *output, const struct mni_segment_plan *plan,
                                   next_row_fn *next, void *context, struct mn_error *err);
/* Gives up the references; files that did not become the store's are removed. */
void output_done(struct output *output, bool is_installed);

/*
 * Whether a part has to be written anew, without what is dead at the root's LSN. No lock is
 * held.
 */
typedef mn_status want_part_fn(void *context, struct part *part, uint64_t root_lsn, bool *wants_out,
                               struct mn_error *err);
/* Writes the runs of such parts anew, as one. `checkpoint_lock` is held. */
MN_MUST_USE mn_status engine_rewrite(struct mni_engine *engine, want_part_fn *wants, void *context,
                                     size_t *n_runs_out, struct mn_error *err);
/* mni_engine_checkpoint without merges; `checkpoint_lock` is held. */
MN_MUST_USE mn_status engine_checkpoint_now(struct mni_engine *engine, struct mn_error *err);

/* The same, and there is a root afterwards even if nothing was ever committed. That the log cannot
 * be trimmed is no failure: the root is there, and the next checkpoint says so. */
MN_MUST_USE mn_status engine_make_root(struct mni_engine *engine, struct mn_error *err);

/* What a purge erases. */
struct erased {
    struct mni_engine *engine;
    enum mni_kind kind;
    struct mn_slice name;
    uint64_t collection;         /* 0: there is none of this name */
    const struct mn_slice *keys; /* NULL: the whole collection */
    size_t n_keys;
    struct mn_slice row_key; /* of the collection in the catalogue, which goes with it */
};
/* Which snapshots of the store's pool have a version of it, dead ones included. */
MN_MUST_USE mn_status purge_find_snapshots(const struct erased *erased,
                                           struct mni_purge_receipt *receipt, struct mn_error *err);

/* Which files of its archived log have. */
MN_MUST_USE mn_status purge_find_archived(const struct erased *erased,
                                          struct mni_purge_receipt *receipt, struct mn_error *err);

/* Publishes a manifest at `lsn`, whose commit was at `time_us`, that names these parts, with their
 * files and what is pending. On MN_OK it is the engine's root. */
MN_MUST_USE mn_status root_publish(struct mni_engine *engine, const struct part_set *set,
                                   uint64_t lsn, int64_t time_us, struct mn_error *err);
/* Before the first thing is published or given back: makes sure that the root is durable which an
 * earlier process may have left. */
MN_MUST_USE mn_status root_confirm(struct mni_engine *engine, struct mn_error *err);
/* What was pending of parts is in the root at `lsn`. Write lock held. */
void root_note_published(const struct part_set *set, uint64_t lsn);

#endif
