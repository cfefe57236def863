/*
 * merge_private.h - where the rows of merged runs have gone, in little memory.
 *
 *     init, add_part for every part      then
 *     add for every row of the result    in its order; the rows of a run come in theirs
 *     seal                               then find
 */
#ifndef MNI_ENGINE_MERGE_PRIVATE_H
#define MNI_ENGINE_MERGE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { MERGE_RUNS_MAX = 255 }; /* at once: a run's number is a byte */

struct block;

/* A part of the old set. */
struct merged_part {
    uint64_t *bits;  /* owned: rows that are in the result; NULL: it is not merged */
    uint32_t *ranks; /* owned: how many rows of the run come before each few words of bits */
    uint32_t n_rows;
    unsigned run;
};

struct merge_map {
    struct merged_part *parts; /* owned */
    size_t n_parts;
    size_t n_runs;
    struct block **blocks; /* owned */
    size_t n_blocks;
    size_t blocks_capacity;
    uint64_t n_rows; /* of the result */
};

/* The most that a map needs for so many rows in the runs that are merged. */
uint64_t merge_map_bytes(uint64_t n_rows, size_t n_parts, size_t n_runs);

/* A map that failed, and one of zeroes, may be done. */
MN_MUST_USE mn_status merge_map_init(struct merge_map *map, size_t n_parts, size_t n_runs);
void merge_map_done(struct merge_map *map);
/* Parts of one run come in its order. */
MN_MUST_USE mn_status merge_map_add_part(struct merge_map *map, size_t part, size_t run,
                                         uint32_t n_rows);
/* The next row of the result. */
MN_MUST_USE mn_status merge_map_add(struct merge_map *map, size_t part, uint32_t row);
void merge_map_seal(struct merge_map *map);

bool merge_map_has_part(const struct merge_map *map, size_t part);
/* The run of a row of the result. */
size_t merge_map_run(const struct merge_map *map, uint64_t index);
/* The first row at or behind `from` that is in the result; n_rows of the part if there is none. */
uint32_t merge_map_next_row(const struct merge_map *map, size_t part, uint32_t from);
/* False: the row is not in the result. Sealed. */
bool merge_map_find(const struct merge_map *map, size_t part, uint32_t row, uint64_t *index_out);

#endif
