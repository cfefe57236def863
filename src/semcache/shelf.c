/*
 * shelf.c - arrays that grow without moving what they hold, places that stay, hash maps.
 *
 * Owns:    the arrays' memory, not what they point to.
 * Threads: changing needs the write side of the roster's lock.
 * Fails:   false when memory is short; then nothing has changed.
 */
#include "semcache/shelf_private.h"

#include "base/mem.h"
#include "semcache/roster_private.h"

/* Shelves ---------- */

enum { SHELF_FIRST = 2 };

static uint64_t chunk_bytes(const struct shelf *shelf)
{
    return block_bytes((uint64_t)SHELF_CHUNK * shelf->item_bytes);
}

/* How many chunks the list of them has room for when it holds `n`: the next power of two. */
static uint32_t list_room(uint32_t n)
{
    return n <= 1 ? n : 1U << (32 - __builtin_clz(n - 1));
}

static bool grow_first(struct shelf *shelf, uint64_t *n_bytes)
{
    uint32_t n_room = shelf->n_room == 0 ? SHELF_FIRST : 2 * shelf->n_room;
    unsigned char *first = mni_realloc(shelf->first, (size_t)n_room * shelf->item_bytes);

    if (first == NULL)
        return false;
    if (shelf->n_room > 0)
        *n_bytes -= block_bytes((uint64_t)shelf->n_room * shelf->item_bytes);
    *n_bytes += block_bytes((uint64_t)n_room * shelf->item_bytes);
    shelf->first = first;
    shelf->n_room = n_room;
    return true;
}

static bool add_chunk(struct shelf *shelf, uint64_t *n_bytes)
{
    uint32_t n_more = shelf->n_room / SHELF_CHUNK - 1;

    /* Where the list is full it takes as many again. After a trim it may have more room than that:
     * then it shrinks to what is needed. */
    if (n_more == list_room(n_more)) {
        size_t n_room = list_room(n_more + 1);
        unsigned char **more = mni_realloc(shelf->more, n_room * sizeof *more);
        if (more == NULL)
            return false;
        shelf->more = more;
    }
    shelf->more[n_more] = mni_alloc((size_t)SHELF_CHUNK * shelf->item_bytes);
    if (shelf->more[n_more] == NULL)
        return false;
    shelf->n_room += SHELF_CHUNK;
    *n_bytes += chunk_bytes(shelf);
    return true;
}

bool roster_shelf_reserve(struct shelf *shelf, uint32_t n, uint64_t *n_bytes)
{
    MNI_CHECK(n <= UINT32_MAX - SHELF_CHUNK);
    while (shelf->n_room < n)
        if (!(shelf->n_room < SHELF_CHUNK ? grow_first(shelf, n_bytes) : add_chunk(shelf, n_bytes)))
            return false;
    return true;
}

static void drop_chunk(struct shelf *shelf, uint64_t *n_bytes)
{
    mni_free(shelf->more[shelf->n_room / SHELF_CHUNK - 2]);
    shelf->n_room -= SHELF_CHUNK;
    *n_bytes -= chunk_bytes(shelf);
}

void roster_shelf_trim(struct shelf *shelf, uint32_t n, uint64_t *n_bytes)
{
    while (shelf->n_room > SHELF_CHUNK && shelf->n_room - n >= 2 * SHELF_CHUNK)
        drop_chunk(shelf, n_bytes);
}

void roster_shelf_done(struct shelf *shelf, uint64_t *n_bytes)
{
    while (shelf->n_room > SHELF_CHUNK)
        drop_chunk(shelf, n_bytes);
    if (shelf->n_room > 0)
        *n_bytes -= block_bytes((uint64_t)shelf->n_room * shelf->item_bytes);
    mni_free(shelf->more);
    mni_free(shelf->first);
    *shelf = (struct shelf){.item_bytes = shelf->item_bytes};
}

/* Slots ---------- */

bool roster_slots_next(struct slots *slots, uint32_t *index_out, uint64_t *n_bytes)
{
    if (slots->free == 0 && !roster_shelf_reserve(&slots->items, slots->n_used + 1, n_bytes))
        return false;
    *index_out = slots->free != 0 ? slots->free - 1 : slots->n_used;
    return true;
}

uint32_t roster_slots_take(struct slots *slots, void *item)
{
    uint32_t index = slots->free != 0 ? slots->free - 1 : slots->n_used++;
    uintptr_t *word = shelf_at(&slots->items, index);

    MNI_CHECK(item != NULL);
    if (slots->free != 0)
        slots->free = (uint32_t)(*word >> 1);
    *word = (uintptr_t)item;
    slots->n++;
    return index;
}

void roster_slots_give(struct slots *slots, uint32_t index, uint64_t *n_bytes)
{
    MNI_CHECK(index < slots->n_used);
    MNI_CHECK(slots_at(slots, index) != NULL);
    *(uintptr_t *)shelf_at(&slots->items, index) = (uintptr_t)slots->free << 1 | 1;
    slots->free = index + 1;
    slots->n--;
    if (slots->n > 0)
        return;
    slots->n_used = 0;
    slots->free = 0;
    roster_shelf_trim(&slots->items, 0, n_bytes);
}

/* Maps ---------- */

/* The bucket whose chain is split to make the bucket `index`. */
static uint32_t buddy_of(uint32_t index)
{
    return index ^ (UINT32_C(1) << (31 - __builtin_clz(index)));
}

static struct link **bucket_at(const struct map *map, uint32_t index)
{
    return shelf_at(&map->buckets, index);
}

static bool split(struct map *map, uint64_t *n_bytes)
{
    uint32_t index = map->n_buckets;

    if (!roster_shelf_reserve(&map->buckets, index + 1, n_bytes))
        return false;
    struct link **own = bucket_at(map, index);
    *own = NULL;
    map->n_buckets++;
    if (index == 0)
        return true;
    struct link **at = bucket_at(map, buddy_of(index));
    while (*at != NULL) {
        struct link *link = *at;
        if (map_bucket(map, map->hash(link, map->seed)) != own) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        link->next = *own;
        *own = link;
    }
    return true;
}

/* The last bucket goes into the one that it was split from. */
static void join(struct map *map, uint64_t *n_bytes)
{
    uint32_t index = map->n_buckets - 1;
    struct link **at = bucket_at(map, buddy_of(index));

    while (*at != NULL)
        at = &(*at)->next;
    *at = *bucket_at(map, index);
    map->n_buckets--;
    roster_shelf_trim(&map->buckets, map->n_buckets, n_bytes);
}

/* Two at a time, so that it gets ahead of those that were put in without. */
bool roster_map_widen(struct map *map, uint64_t *n_bytes)
{
    for (int i = 0; i < 2 && map->n_buckets <= map->n; i++)
        if (!split(map, n_bytes))
            break;
    return map->n_buckets > 0;
}

void roster_map_put(struct map *map, struct link *link)
{
    MNI_CHECK(map->n_buckets > 0);
    struct link **bucket = map_bucket(map, map->hash(link, map->seed));

    link->next = *bucket;
    *bucket = link;
    map->n++;
}

void roster_map_remove(struct map *map, struct link *link, uint64_t *n_bytes)
{
    MNI_CHECK(map->n > 0);
    struct link **at = map_bucket(map, map->hash(link, map->seed));

    while (*at != link) {
        MNI_CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    map->n--;
    for (int i = 0; i < 2 && map->n_buckets > 1 && map->n < map->n_buckets / 4; i++)
        join(map, n_bytes);
}
