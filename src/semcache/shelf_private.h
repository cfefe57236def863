/*
 * shelf_private.h - what a roster is put together from: arrays that grow without moving what they
 * hold, places in them that stay, and hash maps.
 *
 * No growth takes longer the more there is: a roster grows while others wait for its lock.
 *
 * Threads: changing needs the write side of the roster's lock, looking the read side.
 */
#ifndef MNI_SEMCACHE_SHELF_PRIVATE_H
#define MNI_SEMCACHE_SHELF_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* Shelves ----------
 *
 * An array in chunks. The first one grows by doubling until it has SHELF_CHUNK items; from then on
 * there are only whole chunks, and items do not move.
 */
enum { SHELF_CHUNK = 1024 };

struct shelf {
    unsigned char *first; /* owned */
    unsigned char **more; /* owned, and the chunks too: the second one and so on */
    uint32_t n_room;
    uint32_t item_bytes;
};

static inline void *shelf_at(const struct shelf *shelf, uint32_t index)
{
    MNI_DEBUG_CHECK(index < shelf->n_room);
    if (index < SHELF_CHUNK)
        return shelf->first + (size_t)index * shelf->item_bytes;
    return shelf->more[index / SHELF_CHUNK - 1] + (size_t)(index % SHELF_CHUNK) * shelf->item_bytes;
}

/* Room for `n` items, at most UINT32_MAX - SHELF_CHUNK; false when memory is short. `n_bytes`
 * counts what is allocated, here as below. */
bool roster_shelf_reserve(struct shelf *shelf, uint32_t n, uint64_t *n_bytes);
/* Only the first `n` items are in use: gives back chunks behind them, but one. */
void roster_shelf_trim(struct shelf *shelf, uint32_t n, uint64_t *n_bytes);
void roster_shelf_done(struct shelf *shelf, uint64_t *n_bytes); /* can be used again */

/* Slots ----------
 *
 * A table of pointers: what is in it keeps its index. Whoever goes over the indices sees all that
 * was there all the time exactly once.
 */
struct slots {
    struct shelf items; /* a pointer, or of a free one 2 * (the next free index + 1) + 1 */
    uint32_t n_used;    /* indices that were given out, free ones among them */
    uint32_t n;         /* in use */
    uint32_t free;      /* the first free index + 1; 0: none below n_used */
};

static inline void slots_init(struct slots *slots)
{
    *slots = (struct slots){.items = {.item_bytes = sizeof(uintptr_t)}};
}

/* NULL: it is free. `index` is below n_used. */
static inline void *slots_at(const struct slots *slots, uint32_t index)
{
    uintptr_t word = *(const uintptr_t *)shelf_at(&slots->items, index);

    return (word & 1) != 0 ? NULL : (void *)word;
}

/* The index that roster_slots_take gives next, and room for it. False when memory is short. */
bool roster_slots_next(struct slots *slots, uint32_t *index_out, uint64_t *n_bytes);
uint32_t roster_slots_take(struct slots *slots, void *item); /* after roster_slots_next */
void roster_slots_give(struct slots *slots, uint32_t index, uint64_t *n_bytes);

/* Maps ----------
 *
 * Linear hashing: what has one hash, cut to as many bits as there are buckets, is a chain. Each
 * growth splits one bucket. Putting in needs no memory and cannot fail; without memory for buckets
 * chains get longer.
 */
struct link {
    struct link *next;
};
typedef uint64_t link_hash_fn(const struct link *link, uint64_t seed);

struct map {
    struct shelf buckets; /* struct link *; all below n_buckets */
    link_hash_fn *hash;
    uint64_t seed;
    uint32_t n_buckets;
    uint32_t n;
};

static inline void map_init(struct map *map, link_hash_fn *hash, uint64_t seed)
{
    *map =
        (struct map){.buckets = {.item_bytes = sizeof(struct link *)}, .hash = hash, .seed = seed};
}

static inline struct link **map_bucket(const struct map *map, uint64_t hash)
{
    uint32_t mask = map->n_buckets == 1 ? 0 : UINT32_MAX >> __builtin_clz(map->n_buckets - 1);
    uint32_t index = (uint32_t)hash & mask;

    if (index >= map->n_buckets)
        index &= mask >> 1;
    return shelf_at(&map->buckets, index);
}

/* The chain where something with this hash is, if it is there. */
static inline struct link *map_chain(const struct map *map, uint64_t hash)
{
    return map->n_buckets == 0 ? NULL : *map_bucket(map, hash);
}

/* Before something is put in, also long before. False: there is not a single bucket. */
bool roster_map_widen(struct map *map, uint64_t *n_bytes);
void roster_map_put(struct map *map, struct link *link);
void roster_map_remove(struct map *map, struct link *link, uint64_t *n_bytes);

#endif
