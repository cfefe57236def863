/*
 * live_map.c - sparse maps from rows to numbers: open addressing, linear probing.
 *
 * Owns:    the slots of each map.
 * Threads: readers share, a writer is alone.
 * Fails:   only reserving, with MN_ERR_NOMEM.
 */
#include <string.h>

#include "base/mem.h"
#include "segment/live_private.h"

enum { CAPACITY_MIN = 16, SLOT_BYTES = 12 };

void live_map_done(struct mni_live_map *map)
{
    mni_free(map->values);
    *map = (struct mni_live_map){0};
}

size_t live_map_memory_bytes(const struct mni_live_map *map)
{
    return map->capacity * SLOT_BYTES;
}

/* Rows that die together are often neighbours: multiplying spreads them. */
static size_t home_slot(const struct mni_live_map *map, uint32_t row)
{
    return (size_t)((row * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (map->capacity - 1);
}

/* Where the row stands, or the free slot where it would. */
static size_t find_slot(const struct mni_live_map *map, uint32_t row)
{
    size_t slot = home_slot(map, row);

    while (map->rows[slot] != LIVE_MAP_FREE && map->rows[slot] != row)
        slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

/* At most three of four slots are taken. */
static size_t capacity_for(size_t n)
{
    size_t capacity = CAPACITY_MIN;

    while (capacity / 4 * 3 < n)
        capacity *= 2;
    return capacity;
}

static mn_status resize(struct mni_live_map *map, size_t capacity)
{
    struct mni_live_map next = {.capacity = capacity, .n = map->n, .n_reserved = map->n_reserved};

    next.values = mni_alloc_array(capacity, SLOT_BYTES);
    if (next.values == NULL)
        return MN_ERR_NOMEM;
    next.rows = (uint32_t *)(next.values + capacity);
    memset(next.rows, 0xff, capacity * sizeof *next.rows);
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->rows[i] == LIVE_MAP_FREE)
            continue;
        size_t slot = find_slot(&next, map->rows[i]);
        next.rows[slot] = map->rows[i];
        next.values[slot] = map->values[i];
    }
    mni_free(map->values);
    *map = next;
    return MN_OK;
}

mn_status live_map_reserve(struct mni_live_map *map, size_t n)
{
    size_t need = map->n + map->n_reserved;

    if (n > SIZE_MAX / 64 - need)
        return MN_ERR_NOMEM;
    need += n;
    if (map->capacity / 4 * 3 < need) {
        mn_status st = resize(map, capacity_for(need));
        if (st != MN_OK)
            return st;
    }
    map->n_reserved += n;
    return MN_OK;
}

uint64_t *live_map_find(const struct mni_live_map *map, uint32_t row)
{
    if (map->n == 0)
        return NULL;
    size_t slot = find_slot(map, row);
    return map->rows[slot] == row ? &map->values[slot] : NULL;
}

void live_map_add(struct mni_live_map *map, uint32_t row, uint64_t value)
{
    MNI_CHECK(map->n_reserved > 0);
    MNI_CHECK(row != LIVE_MAP_FREE);
    size_t slot = find_slot(map, row);
    MNI_CHECK(map->rows[slot] == LIVE_MAP_FREE);
    map->rows[slot] = row;
    map->values[slot] = value;
    map->n++;
    map->n_reserved--;
}

void live_map_remove_slot(struct mni_live_map *map, size_t slot)
{
    size_t mask = map->capacity - 1;
    size_t hole = slot;

    MNI_CHECK(map->rows[slot] != LIVE_MAP_FREE);
    /* Whatever stands behind the hole, up to the next free slot, moves into it unless its probe
     * begins behind the hole. */
    for (size_t at = (hole + 1) & mask; map->rows[at] != LIVE_MAP_FREE; at = (at + 1) & mask) {
        size_t home = home_slot(map, map->rows[at]);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        map->rows[hole] = map->rows[at];
        map->values[hole] = map->values[at];
        hole = at;
    }
    map->rows[hole] = LIVE_MAP_FREE;
    map->n--;
}

void live_map_shrink(struct mni_live_map *map)
{
    size_t need = map->n + map->n_reserved;

    if (need == 0)
        live_map_done(map);
    else if (map->capacity / 8 >= capacity_for(need))
        mni_ignore(resize(map, capacity_for(need)));
}
