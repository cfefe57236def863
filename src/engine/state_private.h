/*
 * state_private.h - what reads look through: the tables and the segments of a store.
 *
 *     state ---> active table     takes the writes
 *           ---> frozen table     is being written out by a checkpoint; NULL otherwise
 *           ---> set of parts     runs of segments, each with what is dead in it
 *
 * A live record stands in one of these places only. A write marks what it supersedes: by a newer
 * version in the active table, by a tombstone or a patched version on top of the frozen one, by a
 * death or a patch in a segment's liveness, always with the LSN of the commit. So reads may look in
 * any order, and views at older LSNs still see what they saw.
 *
 * A state is replaced as a whole, under the leader's role and the write lock: by freezing and by
 * installing what a checkpoint wrote. Whoever holds a reference goes on with the one it has: marks
 * are set in shared tables and parts, and later states differ only in what lies above its LSN.
 */
#ifndef MNI_ENGINE_STATE_PRIVATE_H
#define MNI_ENGINE_STATE_PRIVATE_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "manifest/manifest.h"
#include "segment/live.h"
#include "segment/segment.h"

/* Tables ----------*/

struct table {
    atomic_uint n_refs;
    struct mni_memtable *memtable; /* owned */
    uint64_t last_lsn;             /* of the newest commit in it, once it is frozen */
    int64_t frozen_time_us;        /* the greatest time of a commit then */
    uint64_t *collections;         /* owned: that had rows then, ascending */
    size_t n_collections;
    struct table *next; /* of the engine's list of retired tables */
};

MN_MUST_USE mn_status table_new(struct mni_pool *pool, struct table **table_out);
void table_ref(struct table *table);
void table_unref(struct table *table); /* NULL is fine */

/* Parts ----------*/

/* The rows of a collection that was dropped. */
struct dropped_rows {
    struct dropped_rows *next;
    struct part *part; /* borrowed; while it is on its way there */
    uint32_t first;
    uint32_t n_rows;
};

/* A patch that set an expiry. */
struct due_row {
    int64_t expires_at_us;
    uint32_t row;
};

enum { PART_ALIGN = 4096 }; /* the bits below an address say what a pin counts */

/* A segment, and what is dead in it. */
struct part {
    atomic_uint n_refs;
    atomic_uint *n_alive;            /* borrowed: counts parts that are not freed yet */
    struct mni_pool *pool;           /* borrowed: counts pins */
    atomic_uint_fast64_t *all_bytes; /* borrowed: counts the memory of parts */
    uint64_t noted_bytes;            /* of that */
    struct mni_segment *segment;     /* one reference */
    uint64_t serial; /* of the engine's parts, from 1 on; none has that of another */
    uint32_t n_rows;
    uint32_t n_catalogue_rows;          /* the first ones */
    atomic_bool lapse_failed;           /* not all that is due could be found */
    atomic_int_fast64_t quiet_until_us; /* no row expires before, as the segment has it */

    /* Under the engine's lock. */
    struct mni_liveness live;
    struct dropped_rows *dropped; /* owned list */
    struct due_row *due;          /* owned: a heap, the earliest first */
    size_t n_due;
    size_t n_due_reserved;
    size_t due_capacity;
    uint64_t live_file_bytes; /* of the files that the root names */
    uint64_t next_expiring;   /* of the segment's expiry order: those before were looked at */

    /* The checkpoint's. */
    struct mni_manifest_live *files; /* owned: generations on disk, oldest first */
    size_t n_files;
    uint64_t last_generation;         /* that was tried */
    struct mni_manifest_live pending; /* written, and not in the root yet; generation 0: none */
    bool pending_is_full;             /* it stands for all before it */
    uint64_t made_lsn;                /* of the root when a merge wrote it; 0: none did */
};

/* Takes over the segment's reference when it succeeds. All rows are alive. */
MN_MUST_USE mn_status part_new(struct mni_engine *engine, struct mni_segment *segment,
                               struct part **part_out, struct mn_error *err);
/* Whether there may be rows of a collection with keys from `low` to `high`, which may be one of
 * them; an empty `high` is behind all. Reads no file, takes no lock. */
bool part_may_hold(const struct part *part, uint64_t collection, struct mn_slice low,
                   struct mn_slice high);
void part_ref(struct part *part);
void part_unref(struct part *part); /* NULL is fine */

/* Before a patch is logged that sets an expiry, and instead of part_patch. Write lock held. */
MN_MUST_USE mn_status part_reserve_patch(struct part *part);
void part_unreserve_patch(struct part *part);
/* A row that is not dead takes a patch, which was reserved. Write lock held. */
void part_patch(struct part *part, uint32_t row, const struct mni_patch *patch, uint64_t floor_lsn,
                int64_t now_us);
/* Notes the expiries of all patches; while opening. */
MN_MUST_USE mn_status part_note_patches(struct part *part, struct mn_error *err);
/* Room for so many expiries of patches, and one of them. The part is nobody else's yet. */
MN_MUST_USE mn_status part_reserve_due(struct part *part, size_t n);
void part_add_due(struct part *part, uint32_t row, int64_t expires_at_us);
/* A job that ended did not publish what it had written of the part. */
void part_forget_pending(struct part *part);
/* Whether rows may be due that are in the counts. Either lock held. */
bool part_has_due(const struct part *part, int64_t now_us);
/* Takes all rows that are due out of the counts. Takes the engine's lock for moments. */
MN_MUST_USE mn_status part_lapse(struct mni_engine *engine, struct part *part, int64_t now_us,
                                 struct mn_error *err);
/* Live rows of users' collections that exist. Either lock held. */
uint64_t part_count(const struct part *part, uint64_t *n_lapsed_out);
/* Rows that are dead, or of a collection that was dropped. Either lock held. */
uint64_t part_count_dead(const struct part *part);
bool part_row_is_dropped(const struct part *part, uint32_t row);
/* Counts its memory, after it may have changed. Write lock held, or nobody else has the part. */
void part_note_memory(struct part *part);

/* Adds the rows that a collection has in the part, if any, to a list of those that will be
 * dropped. No lock is held. */
MN_MUST_USE mn_status part_find_dropped(struct part *part, uint64_t collection,
                                        struct dropped_rows **list, struct mn_error *err);
/* The same for all collections but those of these numbers, ascending. */
MN_MUST_USE mn_status part_find_all_dropped(struct part *part, const uint64_t *numbers, size_t n,
                                            struct dropped_rows **list, struct mn_error *err);
/* Gives them to their parts. Write lock held. */
void part_link_dropped(struct dropped_rows **list);
void part_free_dropped(struct dropped_rows **list); /* instead */

struct run {
    size_t first; /* of the set's parts */
    size_t n_parts;
};

struct part_set {
    atomic_uint n_refs;
    size_t n_runs; /* the newest last */
    size_t n_parts;
    struct run *runs;    /* in the same block */
    struct part **parts; /* likewise; one reference each */
};

/* An empty one with room for so many. */
MN_MUST_USE mn_status set_new(size_t n_runs, size_t n_parts, struct part_set **set_out);
/* Refs them; there is room. */
void set_add_run(struct part_set *set, struct part *const *parts, size_t n_parts);
void set_ref(struct part_set *set);
void set_unref(struct part_set *set); /* NULL is fine */

/* A hint: the key of this hash will be looked for. */
void set_prefetch(const struct part_set *set, uint64_t hash);

/* Walks the rows of a key, the newest run first. */
enum { PROBE_PARTS = 16 };
struct probe {
    const struct part_set *set;
    size_t n_runs_left;
    uint64_t hash;
    uint64_t collection;
    struct mn_slice key;
    /* Of the oldest runs: which part of the run it is, and its segment; NULL if none can be. */
    struct part *parts[PROBE_PARTS];
    const struct mni_segment *segments[PROBE_PARTS];
};
void probe_begin(struct probe *probe, const struct part_set *set, uint64_t collection,
                 struct mn_slice key);
/* Hints for who begins several probes before walking the first: all are begun, then all sought,
 * then all rows prefetched. */
void probe_seek(struct probe *probe);
void probe_prefetch_row(const struct probe *probe);
/* No lock is held: files are read. `segment_row_out` may be NULL. MN_NOT_FOUND: no more. */
MN_MUST_USE mn_status probe_next(struct probe *probe, struct part **part_out, uint32_t *row_out,
                                 struct mni_segment_row *segment_row_out, struct mn_error *err);

/* States ----------*/

struct state {
    atomic_uint n_refs;
    struct table *active; /* one reference each */
    struct table *frozen; /* or NULL */
    struct part_set *parts;
};

/* Refs what it is given. */
MN_MUST_USE mn_status state_new(struct table *active, struct table *frozen, struct part_set *parts,
                                struct state **state_out);
void state_ref(struct state *state);
void state_unref(struct state *state); /* NULL is fine */

#endif
