/*
 * live.h - which rows of a segment are alive, and what was changed of them since it was written.
 *
 * A segment never changes. What happens to its rows later is its liveness: deaths (a row was
 * overwritten or deleted), patches (expiry and hits), and lapses (a row's expiry is due, and it was
 * taken out of the counts, but is not swept yet). Deaths and patches carry the LSN of their commit,
 * so that a view at an older LSN still sees what was there. In memory that is a struct
 * mni_liveness; on disk a chain of files <id>.<generation>.live, a full one and deltas that follow
 * it, whose layout is docs/format/liveness.md.
 *
 * What happens to a row is applied in two steps, so that nothing can fail once a commit is logged:
 *
 *     mni_liveness_reserve                 before logging; may fail
 *     mni_liveness_kill, _patch            after it; cannot fail, use up one reservation each
 *     mni_liveness_unreserve               instead
 *
 * The floor is an LSN below which there is no view. What only views below it could tell apart is
 * forgotten, except what the next delta needs: that remembers the deaths since the last one.
 *
 * Threads: no lock in here. Any number of readers under a lock held shared; one writer under the
 * same lock held exclusively, reserving included.
 */
#ifndef MNI_SEGMENT_LIVE_H
#define MNI_SEGMENT_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "io/env.h"
#include "record/record.h"
#include "segment/segment.h"

/* What patches up to `lsn` make of a row: the fields set and removed since the segment was written.
 * MNI_FIELD_EXPIRY and MNI_FIELD_HITS only, none in both. */
struct mni_patch {
    uint64_t lsn; /* of the newest */
    uint32_t fields;
    uint32_t clears;
    int64_t expires_at_us; /* 0 if not in `fields` */
    uint64_t hits;         /* likewise */
};

/* An open hash table from row to a number; for this room. */
struct mni_live_map {
    uint64_t *values; /* owned, one block with the rows */
    uint32_t *rows;   /* UINT32_MAX: free */
    size_t capacity;  /* a power of two, or 0 */
    size_t n;
    size_t n_reserved;
};

struct mni_live_node;

/* Read only the first group; the rest is for this room. */
struct mni_liveness {
    uint32_t n_rows;
    uint32_t n_dead;        /* dead now, whatever views may still see */
    uint32_t n_lapsed;      /* of those that are not dead */
    uint64_t generation;    /* of the newest file that holds its state; 0: none */
    uint64_t persisted_lsn; /* what that file holds; 0 likewise */

    uint64_t *dead;              /* owned: a bit per row; NULL: none is dead */
    uint64_t *lapsed;            /* owned, likewise */
    struct mni_live_map deaths;  /* row -> LSN, of those that are not forgotten */
    struct mni_live_map patches; /* row -> newest node + 1 */
    struct mni_live_node *nodes; /* owned: patches, linked by index */
    size_t n_nodes;
    size_t nodes_capacity;
    size_t n_free_nodes;
    uint32_t free_node;
    uint64_t newest_death_lsn; /* of those remembered */
    uint64_t oldest_death_lsn; /* not above that of any remembered */
    uint64_t forgotten_lsn;    /* nothing can be told apart below it any more */
};

/* Life ----------*/

/* All rows alive. `n_rows` is at most MNI_SEGMENT_ROWS_MAX. Allocates nothing. */
void mni_liveness_init(struct mni_liveness *live, uint32_t n_rows);
void mni_liveness_done(struct mni_liveness *live); /* NULL and a second time are fine */
/* Bytes allocated, the struct itself left out. */
size_t mni_liveness_memory_bytes(const struct mni_liveness *live);

/* Changing ----------*/

/* Makes sure that so many more deaths and patches cannot fail. MN_ERR_NOMEM reserves nothing. */
MN_MUST_USE mn_status mni_liveness_reserve(struct mni_liveness *live, size_t n_deaths,
                                           size_t n_patches);
void mni_liveness_unreserve(struct mni_liveness *live, size_t n_deaths, size_t n_patches);

/* The row, which is not dead, dies in commit `lsn`; a lapsed one leaves the lapsed. */
void mni_liveness_kill(struct mni_liveness *live, uint32_t row, uint64_t lsn);

/* Commit patch->lsn, not older than earlier patches of the row, sets and removes these fields of a
 * row that is not dead. Patches that no view at or above `floor_lsn` needs go at once; the rule of
 * mni_liveness_raise_floor holds for it. */
void mni_liveness_patch(struct mni_liveness *live, uint32_t row, const struct mni_patch *patch,
                        uint64_t floor_lsn);

/* Makes sure that lapses cannot fail, once and for all. */
MN_MUST_USE mn_status mni_liveness_reserve_lapsed(struct mni_liveness *live);
/* Takes a row whose expiry is due out of the counts. Nothing happens to a dead or lapsed one. */
void mni_liveness_lapse(struct mni_liveness *live, uint32_t row);
/* Takes it into the counts again: a patch has given it more time. False: it was not lapsed. */
bool mni_liveness_unlapse(struct mni_liveness *live, uint32_t row);

/* Forgets what no view at or above `lsn` needs. No state below `lsn` is exported afterwards: while
 * a checkpoint at an LSN is under way, the floor stays at or below it. Takes time in proportion to
 * what is remembered, so it is for now and then. */
void mni_liveness_raise_floor(struct mni_liveness *live, uint64_t lsn);

/* A manifest that names `generation` for the state at `lsn` is valid (the same generation again, if
 * nothing had changed): the next delta begins there. */
void mni_liveness_persisted(struct mni_liveness *live, uint64_t generation, uint64_t lsn);

/* Reading ----------*/

/* Whether a remembered death of a dead row came after `view_lsn`; for mni_liveness_is_visible. */
bool mni_liveness_died_after(const struct mni_liveness *live, uint32_t row, uint64_t view_lsn);

static inline bool mni_live_bit(const uint64_t *bits, uint32_t row)
{
    return (bits[row / 64] >> (row % 64) & 1) != 0;
}

/* Whether a view sees the row, as far as deaths go: the view's LSN is at or above the floor. */
static inline bool mni_liveness_is_visible(const struct mni_liveness *live, uint32_t row,
                                           uint64_t view_lsn)
{
    const uint64_t *dead = live->dead;

    return dead == NULL || !mni_live_bit(dead, row) || mni_liveness_died_after(live, row, view_lsn);
}

/* Neither dead nor lapsed: what counts say. */
static inline bool mni_liveness_is_live_now(const struct mni_liveness *live, uint32_t row)
{
    return (live->dead == NULL || !mni_live_bit(live->dead, row)) &&
           (live->lapsed == NULL || !mni_live_bit(live->lapsed, row));
}

/* What patches a view sees have made of the row. False: nothing. */
bool mni_liveness_find_patch(const struct mni_liveness *live, uint32_t row, uint64_t view_lsn,
                             struct mni_patch *patch_out);

/* Puts a row that was read from the segment in the state that a view sees: fields, expiry, hits and
 * `lsn`. */
static inline void mni_liveness_apply_patch(const struct mni_liveness *live, uint32_t row,
                                            uint64_t view_lsn, struct mni_segment_row *segment_row)
{
    struct mni_record *record = &segment_row->record;
    struct mni_patch patch;

    if (live->patches.n == 0 || !mni_liveness_find_patch(live, row, view_lsn, &patch))
        return;
    record->fields = (record->fields & ~patch.clears) | patch.fields;
    if ((patch.fields & MNI_FIELD_EXPIRY) != 0)
        record->expires_at_us = patch.expires_at_us;
    if ((patch.fields & MNI_FIELD_HITS) != 0)
        record->hits = patch.hits;
    segment_row->lsn = patch.lsn;
}

/* Live rows, as of now, in [from, to). Looks at 64 rows a time. */
uint64_t mni_liveness_count(const struct mni_liveness *live, uint32_t from, uint32_t to);
/* The first such row at or behind `from`, n_rows if there is none. */
uint32_t mni_liveness_next_live(const struct mni_liveness *live, uint32_t from);
/* The last one before `to`, which is at most n_rows; n_rows if there is none. */
uint32_t mni_liveness_last_live(const struct mni_liveness *live, uint32_t to);
/* The lapsed ones among them, and the first at or behind `from`, n_rows if there is none. */
uint64_t mni_liveness_count_lapsed(const struct mni_liveness *live, uint32_t from, uint32_t to);
uint32_t mni_liveness_next_lapsed(const struct mni_liveness *live, uint32_t from);
/* Looks from `*row` on for a row before `to` of which mni_liveness_is_visible, at some hundred
 * places at most: it may be under a lock. True: it is `*row`. False: it looked up to `*row`, which
 * is `to` if there is none. */
bool mni_liveness_seek_visible(const struct mni_liveness *live, uint32_t to, uint64_t view_lsn,
                               uint32_t *row);
/* The same from `*end` backwards, down to `from`. True: the row is the one before `*end`. */
bool mni_liveness_seek_visible_back(const struct mni_liveness *live, uint32_t from,
                                    uint64_t view_lsn, uint32_t *end);
/* The first such row at or behind `from`, n_rows if there is none, however far it is. */
uint32_t mni_liveness_next_visible(const struct mni_liveness *live, uint32_t from,
                                   uint64_t view_lsn);

/* A bit for each of the 64 rows from `row` on that is dead, or lapsed. Those behind the last row
 * have none. */
uint64_t mni_liveness_dead_64(const struct mni_liveness *live, uint32_t row);
uint64_t mni_liveness_lapsed_64(const struct mni_liveness *live, uint32_t row);

/* Merging ----------
 *
 * A merge reads segments as of one LSN while commits go on. Before its result takes their place,
 * what happened to their rows since then is carried over, as often as it takes: the last time while
 * nothing more happens. The rows of the result are nobody else's until then and need no lock.
 */

/* The place of a row in the result. False: it has none, being dead or expired already. */
typedef bool mni_row_map_fn(void *context, uint32_t row, struct mni_liveness **live_out,
                            uint32_t *row_out);

struct mni_live_death {
    uint64_t lsn;
    uint32_t row;
};

struct mni_row_patch {
    uint32_t row;
    struct mni_patch patch;
};

/* Owns what it points to. */
struct mni_live_effects {
    size_t n_deaths;
    struct mni_live_death *deaths;
    size_t n_patches;
    struct mni_row_patch *patches; /* of a row the oldest first */
};

/* Deaths and patches with an LSN above `after_lsn`. Under the lock, shared. MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_liveness_collect(const struct mni_liveness *from, uint64_t after_lsn,
                                           struct mni_live_effects *effects_out);
void mni_live_effects_done(struct mni_live_effects *effects);
/* Carries them over to rows that have what came before. After MN_ERR_NOMEM the result is of no
 * use. */
MN_MUST_USE mn_status mni_liveness_carry(const struct mni_live_effects *effects,
                                         mni_row_map_fn *map, void *context);

/* How many words hold the bits of lapsed rows; 0: none can have lapsed. */
size_t mni_liveness_lapsed_words(const struct mni_liveness *from);
/* Carries up to `n_max` changes since `known` over, which has so many words and knows them then;
 * rows of the result are ready to lapse. Returns how many there were. Under the lock, shared. */
size_t mni_liveness_carry_lapses(const struct mni_liveness *from, uint64_t *known, size_t n_max,
                                 mni_row_map_fn *map, void *context);

/* The state at an LSN, on its way to a file ----------*/

/* Owns what it points to. */
struct mni_live_state {
    uint64_t previous; /* generation that it follows; 0: it is full */
    uint64_t lsn;
    uint32_t n_rows;
    uint32_t n_dead;      /* at `lsn`, those of earlier generations included */
    uint32_t n_deaths;    /* in this state */
    uint32_t *rows;       /* those, ascending; NULL if there are none or they are in `bits` */
    uint64_t *bits;       /* the same as a bit per row, where that is smaller */
    uint64_t *death_lsns; /* one per death, 0 where it is forgotten; NULL: not kept */
    uint32_t n_patches;
    struct mni_row_patch *patches; /* ascending by row */
};

enum mni_live_export {
    MNI_LIVE_EXPORT_FULL = 1 << 0, /* not only what changed since the generation before */
    MNI_LIVE_EXPORT_LSNS = 1 << 1, /* with the LSNs of deaths */
};

/*
 * Takes the state at `lsn`, which is at or above the floor and what was persisted: the effects of
 * later commits are left out. A delta to `live->generation`, or full if there is none. Under the
 * lock, shared. MN_ERR_NOMEM.
 */
MN_MUST_USE mn_status mni_liveness_export(const struct mni_liveness *live, unsigned flags,
                                          uint64_t lsn, struct mni_live_state *state_out,
                                          struct mn_error *err);
void mni_live_state_done(struct mni_live_state *state);
/* A delta in which nothing changed, or a full state without deaths and patches. */
bool mni_live_state_is_empty(const struct mni_live_state *state);

/* Files ----------*/

/* What a manifest keeps of a liveness file. */
struct mni_live_info {
    struct mni_segment_id id;
    uint64_t generation;
    uint64_t file_bytes;
    uint32_t crc;
};

/* Bytes of the file that holds a state. */
uint64_t mni_live_file_bytes(const struct mni_live_state *state);

/* Creates `name`, writes and syncs it; the directory is not synced. `generation` is above the one
 * before and was never used. A failure leaves no file if it can. MN_EXISTS: there is one. */
MN_MUST_USE mn_status mni_live_write(struct mni_dir *dir, const char *name,
                                     const struct mni_segment_id *id, uint64_t generation,
                                     const struct mni_live_state *state,
                                     struct mni_live_info *info_out, struct mn_error *err);

/*
 * Reads a file into `live`, which holds the generations before it and nothing later, and has no
 * views. MN_NOT_FOUND: there is no such file. MN_ERR_CORRUPT: it is damaged, is not the one that
 * `expected` describes, or does not follow what was read before; the message names it.
 * MN_ERR_UNSUPPORTED: of a newer version. `live` is as before then.
 */
MN_MUST_USE mn_status mni_live_read(struct mni_dir *dir, const char *name,
                                    const struct mni_live_info *expected, struct mni_liveness *live,
                                    struct mn_error *err);

/* Checks that the file's bytes are those that were written, and nothing more: for one that cannot
 * be read because a generation before it is damaged. Statuses as of mni_live_read. */
MN_MUST_USE mn_status mni_live_check(struct mni_dir *dir, const char *name,
                                     const struct mni_live_info *expected, uint32_t n_rows,
                                     struct mn_error *err);

#endif
