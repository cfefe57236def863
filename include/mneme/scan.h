/*
 * scan.h - all vectors of a namespace, where they lie.
 *
 *     mn_scan_open -> mn_scan_next ... MN_END -> mn_scan_close
 *                          |
 *                     mn_scan_view for the records that matter
 *
 * A chunk is as many vectors as lie side by side: about a megabyte of them in a segment, one in the
 * buffer. Nothing is copied, so this reads vectors as fast as memory gives them.
 */
#ifndef MNEME_SCAN_H
#define MNEME_SCAN_H

#include "mneme/records.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Gives the vector of each live record that has one, exactly once, in no order to rely on. The scan
 * shows one moment: the one at which it was opened. It belongs to one thread at a time; others may
 * read and write the store meanwhile, and have scans of their own.
 */
typedef struct mn_scan mn_scan;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_scan_options), all else may be
 * zero. */
struct mn_scan_options {
    size_t size;
    size_t chunk_vectors_max; /* a chunk holds no more; 0: as the scan likes, at most 2,048 */
};

/* `n_vectors` times `n_dims` floats, one vector right behind the other; aligned for float, not
 * more. Like struct mn_view it has no size and stays as it is: should a namespace ever hold vectors
 * of another type, they will be asked for by an option and come by another call. */
struct mn_scan_chunk {
    const float *vectors;
    size_t n_vectors; /* 1 or more */
    uint32_t n_dims;
};

/* MN_NOT_FOUND: no such namespace. `options` may be NULL. MN_ERR_CORRUPT: a file is so damaged that
 * what it holds of the namespace is not known. Close with mn_scan_close; until then mn_close is
 * refused. */
MN_API MN_MUST_USE mn_status mn_scan_open(mn_store *store, struct mn_slice name,
                                          const struct mn_scan_options *options, mn_scan **scan_out,
                                          struct mn_error *err);

/* MN_OK: sets `chunk_out`, whose vectors stay, unchanged, until the next call with this scan that
 * is not mn_scan_view. MN_END behind the last, and clears it. MN_ERR_CORRUPT, which clears it too:
 * the next vector lies in a damaged file, which `err` names; the call after that goes on behind
 * it. */
MN_API MN_MUST_USE mn_status mn_scan_next(mn_scan *scan, struct mn_scan_chunk *chunk_out,
                                          struct mn_error *err);

/* The record of vector `index` of the chunk that was given last. The caller releases the view,
 * which may outlive chunk and scan. MN_ERR_INVALID: there is no such vector. MN_ERR_CORRUPT: its
 * record lies in a damaged part of a file. MN_ERR_BUDGET as of mn_get. */
MN_API MN_MUST_USE mn_status mn_scan_view(mn_scan *scan, size_t index, struct mn_view *view_out,
                                          struct mn_error *err);

MN_API void mn_scan_close(mn_scan *scan); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
