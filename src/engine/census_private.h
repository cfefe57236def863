/*
 * census_private.h - which collections the root has, and how many live records each.
 */
#ifndef MNI_ENGINE_CENSUS_PRIVATE_H
#define MNI_ENGINE_CENSUS_PRIVATE_H

#include "base/buf.h"
#include "engine/engine_private.h"
#include "snapshot/snapshot.h"

struct census_number {
    uint64_t number;
    size_t index; /* of the collection */
};

/* Zero-initialised is empty. */
struct census {
    struct mni_snapshot_collection *collections; /* owned; in the order of kind and name */
    size_t n_collections;
    size_t capacity;
    struct census_number *by_number; /* owned; ascending */
    struct mni_buf names;
    uint64_t n_records;
};

/*
 * Counts what the root has: all of its effects and none of later ones, without what has expired at
 * `now_us`. Exact, and takes time in proportion to the dead and the expired. `checkpoint_lock` is
 * held.
 */
MN_MUST_USE mn_status census_take(struct mni_engine *engine, int64_t now_us,
                                  struct census *census_out, struct mn_error *err);
void census_done(struct census *census);

#endif
