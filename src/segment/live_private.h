/*
 * live_private.h - what the files of liveness share, and the offsets of docs/format/liveness.md.
 */
#ifndef MNI_SEGMENT_LIVE_PRIVATE_H
#define MNI_SEGMENT_LIVE_PRIVATE_H

#include <assert.h>

#include "base/check.h"
#include "segment/live.h"

#define LIVE_MAGIC "MNEMELIV"

enum {
    LIVE_VERSION = 1,
    LIVE_OFF_MAGIC = 0,       /* 8 bytes */
    LIVE_OFF_VERSION = 8,     /* u32 */
    LIVE_OFF_KIND = 12,       /* u16, enum live_kind */
    LIVE_OFF_FLAGS = 14,      /* u16 */
    LIVE_OFF_ID = 16,         /* 16 bytes */
    LIVE_OFF_GENERATION = 32, /* u64 */
    LIVE_OFF_PREVIOUS = 40,   /* u64, 0 in a full one */
    LIVE_OFF_LSN = 48,        /* u64 */
    LIVE_OFF_ROWS = 56,       /* u32, of the segment */
    LIVE_OFF_DEAD = 60,       /* u32, dead rows in all */
    LIVE_OFF_DEATHS = 64,     /* u32, in this file */
    LIVE_OFF_PATCHES = 68,    /* u32 */
    LIVE_OFF_RESERVED = 72,   /* zeroes */
    LIVE_HEADER_BYTES = 96,

    LIVE_PATCH_OFF_ROW = 0,      /* u32 */
    LIVE_PATCH_OFF_FIELDS = 4,   /* u8 */
    LIVE_PATCH_OFF_CLEARS = 5,   /* u8 */
    LIVE_PATCH_OFF_RESERVED = 6, /* u16 */
    LIVE_PATCH_OFF_LSN = 8,      /* u64 */
    LIVE_PATCH_OFF_EXPIRY = 16,  /* i64 */
    LIVE_PATCH_OFF_HITS = 24,    /* u64 */
    LIVE_PATCH_BYTES = 32,

    LIVE_TRAILER_BYTES = 8, /* u32 0, u32 CRC-32C of everything before it */
    LIVE_TRAILER_OFF_CRC = 4,
};
static_assert(LIVE_PATCH_OFF_HITS + 8 == LIVE_PATCH_BYTES, "patch layout");
static_assert(LIVE_OFF_ID + MNI_SEGMENT_ID_BYTES == LIVE_OFF_GENERATION, "liveness layout");

enum live_kind { LIVE_FULL = 1, LIVE_DELTA = 2 };
enum { LIVE_HAS_LSNS = 1 }; /* flags */
enum { LIVE_PATCH_FIELDS = MNI_FIELD_EXPIRY | MNI_FIELD_HITS };

/* Words of a bit per row. */
static inline size_t live_words(uint32_t n_rows)
{
    return ((size_t)n_rows + 63) / 64;
}

/* Whether so many deaths are smaller as a list. */
static inline bool live_as_list(uint32_t n_rows, uint32_t n_deaths)
{
    return (uint64_t)n_deaths * 4 <= live_words(n_rows) * 8;
}

static inline void live_set_bit(uint64_t *bits, uint32_t row)
{
    bits[row / 64] |= UINT64_C(1) << (row % 64);
}

static inline void live_clear_bit(uint64_t *bits, uint32_t row)
{
    bits[row / 64] &= ~(UINT64_C(1) << (row % 64));
}

/* The first bit that is set at or behind `from`, `n_rows` if there is none. */
uint32_t live_next_bit(const uint64_t *bits, uint32_t n_rows, uint32_t from);

/* A patch as it lies in memory: all that was changed up to its LSN. */
struct mni_live_node {
    uint64_t lsn;
    int64_t expires_at_us;
    uint64_t hits;
    uint32_t older; /* index + 1; 0: none. Of a free one: the next free one. */
    uint8_t fields;
    uint8_t clears;
};
static_assert(sizeof(struct mni_live_node) == 32, "patches are small");

/* The newest node of a row that a view sees, NULL if none. */
const struct mni_live_node *live_node_at(const struct mni_liveness *live, uint32_t row,
                                         uint64_t view_lsn);
/* Uses up a reservation: puts a node above those of a row, or, `at_the_end`, below them. */
void live_add_node(struct mni_liveness *live, uint32_t row, const struct mni_patch *patch,
                   bool at_the_end);
/* Drops the nodes of a row that no view at or above `floor_lsn` needs. */
void live_trim_nodes(struct mni_liveness *live, uint32_t row, uint64_t floor_lsn);
/* Makes sure that the bits of dead rows are there. */
MN_MUST_USE mn_status live_reserve_dead(struct mni_liveness *live);
/* Marks a row dead without remembering when. */
void live_bury(struct mni_liveness *live, uint32_t row);

/* Maps (live_map.c) */

#define LIVE_MAP_FREE UINT32_MAX

void live_map_done(struct mni_live_map *map);
size_t live_map_memory_bytes(const struct mni_live_map *map);
MN_MUST_USE mn_status live_map_reserve(struct mni_live_map *map, size_t n);
/* NULL: not in it. */
uint64_t *live_map_find(const struct mni_live_map *map, uint32_t row);
/* Adds a row that is not in it; uses up a reservation. */
void live_map_add(struct mni_live_map *map, uint32_t row, uint64_t value);
/* Removes what stands in slot `slot`. Something else may stand there afterwards: what a walk over
 * the slots in ascending order has not seen yet, or has seen and kept. */
void live_map_remove_slot(struct mni_live_map *map, size_t slot);
/* Gives memory back, if there is much too much. */
void live_map_shrink(struct mni_live_map *map);

#endif
