/*
 * manifest.h - the root of a store: which segments and liveness files it consists of, at one LSN.
 *
 * A manifest is a file MANIFEST-<number> in the store's directory; docs/format/manifest.md is its
 * layout. It is valid from the moment its name is durable, and the one with the highest number is
 * the store. In memory it is a plain struct with arrays, in the order in which they were added:
 *
 *     runs       each a sequence of segments that do not overlap, in key order
 *     segments   those of the first run, then those of the second, ...
 *     lives      the liveness generations of the first segment, oldest first, then ...
 *
 * A manifest is not changed after it was published or loaded: the next one is built anew.
 *
 * Threads: one at a time per struct and directory; a finished struct may be read by many.
 */
#ifndef MNI_MANIFEST_MANIFEST_H
#define MNI_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "io/env.h"
#include "mneme/types.h"

enum {
    MNI_MANIFEST_ID_BYTES = 16, /* of a store and of a segment */
    MNI_MANIFEST_TIMELINES_MAX = 1 << 20,
    MNI_MANIFEST_KEY_BYTES_MAX = 1025,
};
#define MNI_MANIFEST_ROWS_MAX (UINT32_C(1) << 31) /* of a segment */

/* A place in the order of keys. */
struct mni_manifest_bound {
    uint64_t collection;
    struct mn_slice key; /* 1 to MNI_MANIFEST_KEY_BYTES_MAX bytes */
};

/* A file <id>.<generation>.live. */
struct mni_manifest_live {
    uint64_t generation; /* 1 or more; above the one before it */
    uint64_t file_bytes;
    uint32_t crc; /* as its writer gave it */
};

/* A file <id>.seg and the liveness files that belong to it. */
struct mni_manifest_segment {
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t file_bytes;
    uint64_t footer_offset;
    uint32_t footer_bytes;
    uint32_t footer_crc;
    uint32_t n_rows;
    uint64_t lsn_min; /* of its rows; 1 or more */
    uint64_t lsn_max; /* at most the manifest's */
    struct mni_manifest_bound
        first; /* of its first and last row; the keys belong to the manifest */
    struct mni_manifest_bound last;
    size_t first_live; /* index into lives; set when it is added */
    size_t n_lives;
};

struct mni_manifest_run {
    size_t first_segment; /* index into segments */
    size_t n_segments;    /* 1 or more */
};

/* A stretch of a store's history. A restore begins another one: what came after the state that it
 * began from is no part of it. */
struct mni_timeline {
    uint64_t incarnation; /* random; tells it from all others */
    uint64_t began_lsn;   /* the first LSN of it is above; 0 for the first timeline */
    uint64_t from_lsn;    /* what it began from: the state at this LSN of the one before */
};

/* Zero-initialised is empty and valid as memory. Set the first group, then add runs. */
struct mni_manifest {
    uint64_t number; /* 1 or more; each manifest has a higher one than all before */
    unsigned char store_id[MNI_MANIFEST_ID_BYTES];
    uint64_t lsn;            /* holds every effect up to this commit, and none of later ones */
    int64_t time_us;         /* wall time of that commit */
    uint64_t lsn_handed_out; /* the greatest; lsn or above */
    int64_t last_time_us;    /* the greatest time of a commit; time_us or later */
    uint64_t incarnation;    /* random, new whenever a store is made or restored */
    uint64_t next_segment;   /* counter of the next segment's id; 1 or more */

    struct mni_manifest_run *runs; /* owned, as all that follows; only read it */
    size_t n_runs;
    struct mni_manifest_segment *segments;
    size_t n_segments;
    struct mni_manifest_live *lives;
    size_t n_lives;
    struct mni_timeline *timelines; /* oldest first; the last one is that of the store */
    size_t n_timelines;
    /* For this room. */
    struct mni_buf keys; /* first and last key of each segment, in order */
    size_t runs_capacity;
    size_t segments_capacity;
    size_t lives_capacity;
    uint32_t *index; /* hash table: id -> segment + 1; 0 = free. NULL until validated. */
    size_t index_capacity;
};

/* Frees what the manifest owns and leaves an empty one. */
void mni_manifest_done(struct mni_manifest *manifest);

/* Building: MN_ERR_NOMEM leaves the manifest as it was ----------*/

/* Begins a run; the next segments belong to it. */
MN_MUST_USE mn_status mni_manifest_add_run(struct mni_manifest *manifest);
/* Adds a segment to the newest run. Copies everything, keys included (1 to
 * MNI_MANIFEST_KEY_BYTES_MAX bytes); first_live and n_lives are ignored. `segment` may stand in
 * another manifest, not in this one. */
MN_MUST_USE mn_status mni_manifest_add_segment(struct mni_manifest *manifest,
                                               const struct mni_manifest_segment *segment);
/* Adds a generation to the newest segment. */
MN_MUST_USE mn_status mni_manifest_add_live(struct mni_manifest *manifest,
                                            const struct mni_manifest_live *live);

/* Makes `copy_out`, which is empty, say the same; it is not validated. */
MN_MUST_USE mn_status mni_manifest_copy(const struct mni_manifest *manifest,
                                        struct mni_manifest *copy_out);

/* Says which timelines there are; copies them. */
MN_MUST_USE mn_status mni_manifest_set_timelines(struct mni_manifest *manifest,
                                                 const struct mni_timeline *timelines, size_t n);

/*
 * Checks everything that a manifest must be: the order of runs, that segments of a run do not
 * overlap, no id twice, no LSN above the manifest's, ids below the counter, sizes and ranges.
 * MN_ERR_CORRUPT says what is wrong. Afterwards mni_manifest_find works. Publishing and loading do
 * it themselves. Takes time in proportion to the size.
 */
MN_MUST_USE mn_status mni_manifest_validate(struct mni_manifest *manifest, struct mn_error *err);

/* The segment with this id, NULL if there is none. Of a validated manifest. */
const struct mni_manifest_segment *mni_manifest_find(const struct mni_manifest *manifest,
                                                     const unsigned char *id);
/* Whether a name in the directory of segments is that of a file which the manifest consists of. */
bool mni_manifest_has_name(const struct mni_manifest *manifest, const char *name);
/* Bytes allocated, the struct itself left out. */
size_t mni_manifest_memory_bytes(const struct mni_manifest *manifest);

/* One copy of the file's two, as bytes ----------*/

/* Encodes the first copy; the bytes are the caller's, to be freed. Statuses as of publishing. */
MN_MUST_USE mn_status mni_manifest_encode(struct mni_manifest *manifest, unsigned char **bytes_out,
                                          uint64_t *n_bytes_out, struct mn_error *err);
/* Reads it back: the `n` bytes are the copy, no more. Statuses as those of loading; the manifest is
 * empty before and after an error. */
MN_MUST_USE mn_status mni_manifest_decode(const unsigned char *bytes, uint64_t n,
                                          struct mni_manifest *manifest_out, struct mn_error *err);

/* Names ----------*/

/* The id of segment `counter`: incarnation and counter, both big-endian, so that names of one
 * incarnation sort by age. */
void mni_manifest_segment_id(uint64_t incarnation, uint64_t counter,
                             unsigned char id_out[MNI_MANIFEST_ID_BYTES]);
/* "<32 hex digits>.seg" and "<32 hex digits>.<generation>.live". */
void mni_manifest_segment_name(const unsigned char *id, char name_out[MNI_NAME_BYTES_MAX]);
void mni_manifest_live_name(const unsigned char *id, uint64_t generation,
                            char name_out[MNI_NAME_BYTES_MAX]);
/* "MANIFEST-<20 digits>". */
void mni_manifest_name(uint64_t number, char name_out[MNI_NAME_BYTES_MAX]);
/* The reverse for segments and liveness files: generation 0 for a segment. False: the name is
 * neither. */
bool mni_manifest_parse_name(const char *name, unsigned char id_out[MNI_MANIFEST_ID_BYTES],
                             uint64_t *generation_out);

/* Files: `dir` is the store's directory, `seg_dir` that of the segments ----------*/

/*
 * Writes the manifest and makes it the newest: the file under a passing name, sync, rename, sync of
 * the directory. All files that it names are durable before. On MN_OK it is durable.
 *
 * After an error `is_in_doubt_out` tells whether it may nevertheless be the newest one when the
 * store is opened again: then nothing that it or the one before it needs may go, and nothing more
 * is published before that. Otherwise nothing has changed. MN_EXISTS: one with this number is
 * there. MN_ERR_CORRUPT: it does not pass mni_manifest_validate. MN_ERR_LIMIT: larger than a
 * manifest may be. Others as from io/env.h, where "not found" is MN_ERR_IO.
 */
MN_MUST_USE mn_status mni_manifest_publish(struct mni_dir *dir, struct mni_manifest *manifest,
                                           bool *is_in_doubt_out, struct mn_error *err);

/*
 * Reads the newest manifest into `manifest_out`, which is empty before and after an error.
 * `store_id` (may be NULL: any) is what it must belong to. One of its two copies is enough;
 * `is_damaged_out` tells that the other one is damaged, until the next manifest replaces both.
 *
 * MN_NOT_FOUND: there is none. MN_ERR_CORRUPT: the newest is damaged in both copies, is not of this
 * store, or contradicts itself; an older one is never taken instead. MN_ERR_UNSUPPORTED: written by
 * a newer version. `err` names the file.
 */
MN_MUST_USE mn_status mni_manifest_load(struct mni_dir *dir, const unsigned char *store_id,
                                        struct mni_manifest *manifest_out, bool *is_damaged_out,
                                        struct mn_error *err);

/* The highest number of a manifest that is there, whatever is in it; 0: there is none. */
MN_MUST_USE mn_status mni_manifest_newest(struct mni_dir *dir, uint64_t *number_out,
                                          struct mn_error *err);

/* Whether there is a manifest with a number below `number`. */
MN_MUST_USE mn_status mni_manifest_has_older(struct mni_dir *dir, uint64_t number, bool *has_out,
                                             struct mn_error *err);

/* Removes all manifests with a number below `number` and what cut-off attempts to publish one left
 * behind. Ends at the first error; some may be gone then. Syncs nothing: an older manifest that
 * comes back after a crash does no harm. */
MN_MUST_USE mn_status mni_manifest_remove_older(struct mni_dir *dir, uint64_t number,
                                                struct mn_error *err);

/* Checks that each file of the manifest is there and as long as it must be. MN_ERR_CORRUPT: some
 * are not; the message names each, as many as fit, and tells their number. */
MN_MUST_USE mn_status mni_manifest_check_files(struct mni_dir *seg_dir,
                                               const struct mni_manifest *manifest,
                                               struct mn_error *err);

#endif
