/*
 * bare.h - segments written anew without metadata and payloads, and the liveness files of them.
 *
 * A bare copy of a segment has all its rows, dead ones too, under the same numbers; only that those
 * of other collections than the catalogue have neither metadata nor a payload any more. So the
 * liveness of the source is that of the copy, but for the id that its files carry. One source and
 * one id always give the same bytes.
 *
 * Threads: one at a time per target.
 */
#ifndef MNI_SEGMENT_BARE_H
#define MNI_SEGMENT_BARE_H

#include <stdint.h>

#include "base/status.h"
#include "io/env.h"
#include "segment/live.h"
#include "segment/segment.h"

/* The rows of this collection are kept whole: it says which collections there are. */
#define MNI_BARE_KEPT_COLLECTION UINT64_C(0)

/* Called now and then; `n_bytes` of the copy stay 0 until they are known. A status other than MN_OK
 * ends the copying and is returned. */
typedef mn_status mni_bare_fn(void *context, uint64_t n_bytes_done, uint64_t n_bytes,
                              struct mn_error *err);

struct mni_bare_target {
    struct mni_dir *dir;      /* borrowed */
    const char *name;         /* of the file, which is not there; borrowed */
    struct mni_segment_id id; /* of the copy */
    mni_bare_fn *each;        /* may be NULL */
    void *context;
};

/* Writes and syncs the copy of a segment; the directory is not synced. A failure leaves no file if
 * it can. MN_ERR_CORRUPT: `source` is damaged. */
MN_MUST_USE mn_status mni_bare_write(struct mni_segment *source,
                                     const struct mni_bare_target *target,
                                     struct mni_segment_info *info_out, struct mn_error *err);

/* The same of a liveness file of the source: `from_dir` has it under `from_name`, and `expected` is
 * what the manifest says of it. MN_NOT_FOUND: it is not there. MN_ERR_CORRUPT: it is another file,
 * or damaged. */
MN_MUST_USE mn_status mni_bare_write_live(struct mni_dir *from_dir, const char *from_name,
                                          const struct mni_live_info *expected,
                                          const struct mni_bare_target *target,
                                          struct mni_live_info *info_out, struct mn_error *err);

/* Whether a segment is such a copy: MN_ERR_CORRUPT names the first row that has metadata or a
 * payload. Reads the row headers. */
MN_MUST_USE mn_status mni_bare_check(struct mni_segment *segment, struct mn_error *err);

#endif
