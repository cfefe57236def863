/*
 * merge_map.c - where the rows of merged runs have gone.
 *
 * Owns:    its blocks and bits.
 * Threads: one at a time while it is filled; any number read it afterwards.
 * Fails:   MN_ERR_NOMEM.
 *
 * A row of the result is the next one that its run has in it, so all that is kept of it is which
 * run that is: a byte. Which rows a part has in the result is a bit each. The k-th of a run is
 * found by counts that stand before each block of bytes and each few words of bits.
 *
 *     result   0 2 0 0 1 ...   a byte a row: the run
 *     part     1 0 1 1 ...     a bit a row: it is in the result
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/merge_private.h"

enum {
    BLOCK_ROWS = 1024, /* of the result */
    RANK_WORDS = 8,    /* of bits, behind a count */
    BLOCKS_MIN = 16,
};

/* Followed by a count per run: rows of it before the block. */
struct block {
    unsigned char runs[BLOCK_ROWS];
    uint32_t n_before[];
};

static size_t n_words(uint32_t n_rows)
{
    return ((size_t)n_rows + 63) / 64;
}

static size_t n_ranks(uint32_t n_rows)
{
    return n_words(n_rows) / RANK_WORDS + 1;
}

uint64_t merge_map_bytes(uint64_t n_rows, size_t n_parts, size_t n_runs)
{
    uint64_t block_bytes = sizeof(struct block) + n_runs * sizeof(uint32_t);
    uint64_t n_blocks = n_rows / BLOCK_ROWS + 1;
    /* The list of blocks doubles, and is there twice while it does: as it was and as it will be. */
    uint64_t list_bytes = (BLOCKS_MIN + n_blocks * 3) * sizeof(struct block *);
    uint64_t bit_bytes = (n_rows / 64 + n_parts * 2) * sizeof(uint64_t);
    uint64_t rank_bytes = (n_rows / (64 * RANK_WORDS) + n_parts * 2) * sizeof(uint32_t);

    return n_blocks * block_bytes + list_bytes + bit_bytes + rank_bytes +
           (n_parts + 1) * sizeof(struct merged_part);
}

mn_status merge_map_init(struct merge_map *map, size_t n_parts, size_t n_runs)
{
    MNI_CHECK(n_runs <= MERGE_RUNS_MAX);
    *map = (struct merge_map){.n_parts = n_parts, .n_runs = n_runs};
    map->parts = mni_alloc_zero((n_parts + 1) * sizeof *map->parts);
    return map->parts == NULL ? MN_ERR_NOMEM : MN_OK;
}

void merge_map_done(struct merge_map *map)
{
    for (size_t i = 0; i < map->n_parts && map->parts != NULL; i++) {
        mni_free(map->parts[i].bits);
        mni_free(map->parts[i].ranks);
    }
    for (size_t i = 0; i < map->n_blocks; i++)
        mni_free(map->blocks[i]);
    mni_free(map->blocks);
    mni_free(map->parts);
    *map = (struct merge_map){0};
}

mn_status merge_map_add_part(struct merge_map *map, size_t part, size_t run, uint32_t n_rows)
{
    struct merged_part *p = &map->parts[part];

    MNI_CHECK(part < map->n_parts && run < map->n_runs && p->bits == NULL);
    p->bits = mni_alloc_zero((n_words(n_rows) + 1) * sizeof *p->bits);
    p->ranks = mni_alloc_zero(n_ranks(n_rows) * sizeof *p->ranks);
    p->n_rows = n_rows;
    p->run = (unsigned)run;
    return p->bits == NULL || p->ranks == NULL ? MN_ERR_NOMEM : MN_OK;
}

static mn_status add_block(struct merge_map *map)
{
    const struct block *last = map->n_blocks == 0 ? NULL : map->blocks[map->n_blocks - 1];

    if (map->n_blocks == map->blocks_capacity) {
        size_t capacity = map->blocks_capacity == 0 ? BLOCKS_MIN : map->blocks_capacity * 2;
        struct block **blocks = mni_realloc(map->blocks, capacity * sizeof *blocks);
        if (blocks == NULL)
            return MN_ERR_NOMEM;
        map->blocks = blocks;
        map->blocks_capacity = capacity;
    }
    struct block *block = mni_alloc_zero(sizeof *block + map->n_runs * sizeof(uint32_t));
    if (block == NULL)
        return MN_ERR_NOMEM;
    for (size_t r = 0; r < map->n_runs && last != NULL; r++)
        block->n_before[r] = last->n_before[r];
    for (size_t i = 0; i < BLOCK_ROWS && last != NULL; i++)
        block->n_before[last->runs[i]]++;
    map->blocks[map->n_blocks++] = block;
    return MN_OK;
}

mn_status merge_map_add(struct merge_map *map, size_t part, uint32_t row)
{
    struct merged_part *p = &map->parts[part];

    MNI_CHECK(p->bits != NULL && row < p->n_rows);
    if (map->n_rows % BLOCK_ROWS == 0 && add_block(map) != MN_OK)
        return MN_ERR_NOMEM;
    map->blocks[map->n_blocks - 1]->runs[map->n_rows % BLOCK_ROWS] = (unsigned char)p->run;
    p->bits[row / 64] |= UINT64_C(1) << (row % 64);
    map->n_rows++;
    return MN_OK;
}

void merge_map_seal(struct merge_map *map)
{
    uint32_t n[MERGE_RUNS_MAX] = {0};

    for (size_t i = 0; i < map->n_parts; i++) {
        struct merged_part *p = &map->parts[i];
        for (size_t w = 0; p->bits != NULL && w < n_words(p->n_rows); w++) {
            if (w % RANK_WORDS == 0)
                p->ranks[w / RANK_WORDS] = n[p->run];
            n[p->run] += (uint32_t)__builtin_popcountll(p->bits[w]);
        }
    }
}

size_t merge_map_run(const struct merge_map *map, uint64_t index)
{
    MNI_CHECK(index < map->n_rows);
    return map->blocks[index / BLOCK_ROWS]->runs[index % BLOCK_ROWS];
}

uint32_t merge_map_next_row(const struct merge_map *map, size_t part, uint32_t from)
{
    const struct merged_part *p = &map->parts[part];

    for (size_t w = from / 64; w < n_words(p->n_rows); w++) {
        uint64_t word = p->bits[w];
        if (w == from / 64)
            word &= UINT64_MAX << (from % 64);
        if (word != 0)
            return (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(word));
    }
    return p->n_rows;
}

bool merge_map_has_part(const struct merge_map *map, size_t part)
{
    return map->parts[part].bits != NULL;
}

/* How many rows of its run come before the row in the result. */
static uint32_t rank_of(const struct merged_part *p, uint32_t row)
{
    size_t w = row / 64 / RANK_WORDS * RANK_WORDS;
    uint32_t n = p->ranks[w / RANK_WORDS];

    for (; w < row / 64; w++)
        n += (uint32_t)__builtin_popcountll(p->bits[w]);
    uint64_t below = (UINT64_C(1) << (row % 64)) - 1;
    return n + (uint32_t)__builtin_popcountll(p->bits[w] & below);
}

bool merge_map_find(const struct merge_map *map, size_t part, uint32_t row, uint64_t *index_out)
{
    const struct merged_part *p = &map->parts[part];
    size_t low = 0;
    size_t high = map->n_blocks;

    MNI_CHECK(row < p->n_rows);
    if ((p->bits[row / 64] >> (row % 64) & 1) == 0)
        return false;
    uint32_t rank = rank_of(p, row);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (map->blocks[middle]->n_before[p->run] <= rank)
            low = middle;
        else
            high = middle;
    }
    const struct block *block = map->blocks[low];
    uint32_t n = rank - block->n_before[p->run];
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        if (block->runs[i] != p->run)
            continue;
        if (n-- == 0) {
            *index_out = (uint64_t)low * BLOCK_ROWS + i;
            return true;
        }
    }
    MNI_CHECK(false); /* every row that has a bit has its byte */
    return false;
}
