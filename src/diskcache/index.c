/*
 * index.c - which entries there are, where their values lie, and when they expire.
 *
 * Owns:    the tables of entries.
 * Threads: the caller's lock.
 * Fails:   MN_ERR_NOMEM before anything has changed.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "diskcache/index_private.h"

enum { SHARD_BUCKETS_MIN = 16, HEAP_MIN = 64, CHUNKS_MIN = 16 };

void dc_index_init(struct dc_index *x, uint64_t first_serial)
{
    memset(x, 0, sizeof *x);
    x->free_head = DC_NO_ENTRY;
    x->ghosts = DC_NO_ENTRY;
    x->next_serial = first_serial;
}

void dc_index_reset(struct dc_index *x)
{
    for (uint32_t i = 0; i < x->n_chunks; i++)
        mni_free(x->chunks[i]);
    mni_free(x->chunks);
    for (uint32_t i = 0; i < DC_SHARDS; i++)
        mni_free(x->shards[i].buckets);
    mni_free(x->heap);
    for (uint32_t i = 0; i < x->n_spaces; i++)
        if (x->spaces[i] != NULL) {
            mni_free(x->spaces[i]->name);
            mni_free(x->spaces[i]);
        }
    mni_free(x->spaces);
    mni_free(x->names);
    for (uint32_t i = 0; i < x->n_generations; i++)
        mni_free(x->generations[i]);
    mni_free(x->generations);
    mni_free(x->spare);
    dc_index_init(x, x->next_serial);
}

/* The table ----------*/

/* One hash over both, with a serial that nobody outside knows: collisions cannot be made. */
void dc_entry_hash(uint64_t serial, struct mn_slice id, uint64_t hash_out[2])
{
    unsigned char bytes[8 + MN_ID_BYTES_MAX];
    unsigned char digest[MNI_HASH128_BYTES];

    MNI_CHECK(id.n_bytes <= MN_ID_BYTES_MAX);
    mni_put_u64(bytes, serial);
    memcpy(bytes + 8, id.data, id.n_bytes);
    mni_hash128(bytes, 8 + id.n_bytes, digest);
    hash_out[0] = mni_get_u64(digest);
    hash_out[1] = mni_get_u64(digest + 8);
}

static uint32_t shard_of(const uint64_t hash[2])
{
    return (uint32_t)(hash[1] % DC_SHARDS);
}

static uint32_t *bucket_of(const struct dc_index *x, const uint64_t hash[2])
{
    const struct dc_shard *s = &x->shards[shard_of(hash)];

    return &s->buckets[hash[0] & (s->n_buckets - 1)];
}

uint32_t dc_entry_find(const struct dc_index *x, const uint64_t hash[2])
{
    if (x->shards[shard_of(hash)].n_entries == 0)
        return DC_NO_ENTRY;
    uint32_t e = *bucket_of(x, hash);
    while (e != DC_NO_ENTRY) {
        const struct dc_entry *entry = dc_entry_at(x, e);
        if (entry->hash[0] == hash[0] && entry->hash[1] == hash[1])
            break;
        e = entry->chain;
    }
    return e;
}

static bool grow_shard(struct dc_index *x, struct dc_shard *s)
{
    uint32_t n = s->n_buckets == 0 ? SHARD_BUCKETS_MIN : s->n_buckets * 2;
    uint32_t *old = s->buckets;
    uint32_t n_old = s->n_buckets;
    uint32_t *grown = mni_alloc_array(n, sizeof(uint32_t));

    if (grown == NULL)
        return false;
    memset(grown, 0xFF, n * sizeof(uint32_t));
    s->buckets = grown;
    s->n_buckets = n;
    x->table_bytes += (n - n_old) * sizeof(uint32_t);
    for (uint32_t i = 0; i < n_old; i++)
        for (uint32_t e = old[i], next; e != DC_NO_ENTRY; e = next) {
            struct dc_entry *entry = dc_entry_at(x, e);
            uint32_t *bucket = &grown[entry->hash[0] & (n - 1)];
            next = entry->chain;
            entry->chain = *bucket;
            *bucket = e;
        }
    mni_free(old);
    return true;
}

static bool add_chunk(struct dc_index *x)
{
    if (x->n_chunks == x->chunk_capacity) {
        uint32_t n = x->chunk_capacity == 0 ? CHUNKS_MIN : x->chunk_capacity * 2;
        struct dc_entry **grown = mni_realloc(x->chunks, n * sizeof(struct dc_entry *));
        if (grown == NULL)
            return false;
        x->table_bytes += (n - x->chunk_capacity) * sizeof(struct dc_entry *);
        x->chunks = grown;
        x->chunk_capacity = n;
    }
    x->chunks[x->n_chunks] = mni_alloc_array(DC_CHUNK_ENTRIES, sizeof(struct dc_entry));
    if (x->chunks[x->n_chunks] == NULL)
        return false;
    x->n_chunks++;
    x->table_bytes += DC_CHUNK_ENTRIES * sizeof(struct dc_entry);
    return true;
}

mn_status dc_index_reserve(struct dc_index *x, uint32_t n, struct mn_error *err)
{
    uint32_t n_left = n;

    MNI_CHECK(n <= DC_CHUNK_ENTRIES);
    for (uint32_t e = x->free_head; e != DC_NO_ENTRY && n_left > 0; n_left--)
        e = dc_entry_at(x, e)->chain;
    if (x->n_slots_used > UINT32_MAX - 2 * DC_CHUNK_ENTRIES)
        return mni_fail(err, MN_ERR_LIMIT, "the cache has four thousand million entries");
    if (x->n_slots_used + n_left > x->n_chunks * DC_CHUNK_ENTRIES && !add_chunk(x))
        return mni_fail(err, MN_ERR_NOMEM, "entries of the cache");
    if (x->n_heap + n > x->heap_capacity) {
        uint64_t doubled = x->heap_capacity == 0 ? HEAP_MIN : (uint64_t)x->heap_capacity * 2;
        while (doubled < (uint64_t)x->n_heap + n)
            doubled *= 2;
        uint32_t capacity = doubled > UINT32_MAX ? UINT32_MAX : (uint32_t)doubled;
        uint32_t *grown = mni_realloc(x->heap, (size_t)capacity * sizeof(uint32_t));
        if (grown == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "times of expiry");
        x->table_bytes += (capacity - x->heap_capacity) * sizeof(uint32_t);
        x->heap = grown;
        x->heap_capacity = capacity;
    }
    /* Longer chains are slower, and no failure. */
    for (uint32_t i = 0; i < DC_SHARDS; i++)
        if (x->shards[i].n_entries >= x->shards[i].n_buckets && !grow_shard(x, &x->shards[i]) &&
            x->shards[i].n_buckets == 0)
            return mni_fail(err, MN_ERR_NOMEM, "table of the cache");
    return MN_OK;
}

/* The heap ----------*/

static void heap_set(struct dc_index *x, uint32_t slot, uint32_t e)
{
    x->heap[slot] = e;
    dc_entry_at(x, e)->heap_slot = slot;
}

static int64_t heap_time(const struct dc_index *x, uint32_t slot)
{
    return dc_entry_at(x, x->heap[slot])->expires_at_us;
}

static void heap_up(struct dc_index *x, uint32_t slot)
{
    uint32_t e = x->heap[slot];
    int64_t time = dc_entry_at(x, e)->expires_at_us;

    while (slot > 0 && heap_time(x, (slot - 1) / 2) > time) {
        heap_set(x, slot, x->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_set(x, slot, e);
}

static void heap_down(struct dc_index *x, uint32_t slot)
{
    uint32_t e = x->heap[slot];
    int64_t time = dc_entry_at(x, e)->expires_at_us;

    for (;;) {
        uint32_t child = slot * 2 + 1;
        if (child >= x->n_heap)
            break;
        if (child + 1 < x->n_heap && heap_time(x, child + 1) < heap_time(x, child))
            child++;
        if (heap_time(x, child) >= time)
            break;
        heap_set(x, slot, x->heap[child]);
        slot = child;
    }
    heap_set(x, slot, e);
}

static void heap_add(struct dc_index *x, uint32_t e)
{
    MNI_CHECK(x->n_heap < x->heap_capacity);
    x->heap[x->n_heap++] = e;
    heap_up(x, x->n_heap - 1);
}

static void heap_remove(struct dc_index *x, uint32_t e)
{
    uint32_t slot = dc_entry_at(x, e)->heap_slot;
    uint32_t last = x->heap[--x->n_heap];

    if (slot == x->n_heap)
        return;
    heap_set(x, slot, last);
    heap_up(x, slot);
    heap_down(x, dc_entry_at(x, last)->heap_slot);
}

/* Generations ----------*/

mn_status dc_generation_reserve(struct dc_index *x, struct mn_error *err)
{
    if (x->n_generations == x->generation_capacity) {
        uint32_t n = x->generation_capacity == 0 ? 16 : x->generation_capacity * 2;
        struct dc_generation **grown =
            mni_realloc(x->generations, n * sizeof(struct dc_generation *));
        if (grown == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "list of generations");
        x->generations = grown;
        x->generation_capacity = n;
    }
    if (x->spare == NULL)
        x->spare = mni_alloc_zero(sizeof *x->spare);
    return x->spare == NULL ? mni_fail(err, MN_ERR_NOMEM, "generation") : MN_OK;
}

mn_status dc_generation_begin(struct dc_index *x, uint64_t first, struct mn_error *err)
{
    mn_status st = dc_generation_reserve(x, err);

    if (st != MN_OK)
        return st;
    MNI_CHECK(!x->is_frozen);
    struct dc_generation *g = x->spare;
    x->spare = NULL;
    g->first = first;
    g->last = first - 1;
    g->head = g->tail = g->cursor = DC_NO_ENTRY;
    x->generations[x->n_generations++] = g;
    return MN_OK;
}

struct dc_generation *dc_generation_of(const struct dc_index *x, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = x->n_generations;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (x->generations[middle]->first <= number)
            low = middle;
        else
            high = middle;
    }
    MNI_CHECK(low < x->n_generations);
    MNI_CHECK(x->generations[low]->first <= number);
    return x->generations[low];
}

static void enter_generation(struct dc_index *x, uint32_t e)
{
    struct dc_entry *entry = dc_entry_at(x, e);
    struct dc_generation *g = dc_generation_of(x, entry->number);

    entry->generation_prev = g->tail;
    entry->generation_next = DC_NO_ENTRY;
    if (g->tail == DC_NO_ENTRY)
        g->head = e;
    else
        dc_entry_at(x, g->tail)->generation_next = e;
    g->tail = e;
    g->n_entries++;
    g->value_bytes += entry->value_bytes;
}

static void leave_generation(struct dc_index *x, uint32_t e)
{
    struct dc_entry *entry = dc_entry_at(x, e);
    struct dc_generation *g = dc_generation_of(x, entry->number);

    if (g->cursor == e)
        g->cursor = entry->generation_next;
    if (entry->generation_prev == DC_NO_ENTRY)
        g->head = entry->generation_next;
    else
        dc_entry_at(x, entry->generation_prev)->generation_next = entry->generation_next;
    if (entry->generation_next == DC_NO_ENTRY)
        g->tail = entry->generation_prev;
    else
        dc_entry_at(x, entry->generation_next)->generation_prev = entry->generation_prev;
    g->n_entries--;
    g->value_bytes -= entry->value_bytes;
}

void dc_generation_join(struct dc_index *x, uint32_t i, uint32_t n)
{
    struct dc_generation *g = x->generations[i];

    for (uint32_t k = i + 1; k < i + n; k++) {
        struct dc_generation *next = x->generations[k];
        if (g->tail == DC_NO_ENTRY) {
            g->head = next->head;
        } else if (next->head != DC_NO_ENTRY) {
            dc_entry_at(x, g->tail)->generation_next = next->head;
            dc_entry_at(x, next->head)->generation_prev = g->tail;
        }
        if (next->tail != DC_NO_ENTRY)
            g->tail = next->tail;
        g->last = next->last;
        g->bytes_max += next->bytes_max;
        g->value_bytes += next->value_bytes;
        g->n_entries += next->n_entries;
        mni_free(next);
    }
    memmove(&x->generations[i + 1], &x->generations[i + n],
            (x->n_generations - i - n) * sizeof x->generations[0]);
    x->n_generations -= n - 1;
}

void dc_generation_drop(struct dc_index *x, uint32_t i)
{
    MNI_CHECK(x->generations[i]->n_entries == 0);
    mni_free(x->generations[i]);
    memmove(&x->generations[i], &x->generations[i + 1],
            (x->n_generations - i - 1) * sizeof x->generations[0]);
    x->n_generations--;
}

/* Entries ----------*/

static void enter_space(struct dc_index *x, struct dc_space *s, uint32_t e)
{
    struct dc_entry *entry = dc_entry_at(x, e);

    entry->space_prev = s->tail;
    entry->space_next = DC_NO_ENTRY;
    if (s->tail == DC_NO_ENTRY)
        s->head = e;
    else
        dc_entry_at(x, s->tail)->space_next = e;
    s->tail = e;
    x->n_names_used += s->n_entries == 0;
    s->n_entries++;
    s->value_bytes += entry->value_bytes;
    x->n_entries++;
    x->value_bytes += entry->value_bytes;
}

static void leave_space(struct dc_index *x, struct dc_space *s, uint32_t e)
{
    struct dc_entry *entry = dc_entry_at(x, e);

    if (entry->space_prev == DC_NO_ENTRY)
        s->head = entry->space_next;
    else
        dc_entry_at(x, entry->space_prev)->space_next = entry->space_next;
    if (entry->space_next == DC_NO_ENTRY)
        s->tail = entry->space_prev;
    else
        dc_entry_at(x, entry->space_next)->space_prev = entry->space_prev;
    if (s->is_cleared)
        return;
    s->n_entries--;
    s->value_bytes -= entry->value_bytes;
    x->n_names_used -= s->n_entries == 0;
    x->n_entries--;
    x->value_bytes -= entry->value_bytes;
}

void dc_entry_add(struct dc_index *x, const struct dc_entry *from)
{
    uint32_t e = x->free_head;
    uint32_t *bucket = bucket_of(x, from->hash);

    MNI_CHECK(!x->is_frozen);
    if (e != DC_NO_ENTRY)
        x->free_head = dc_entry_at(x, e)->chain;
    else
        e = x->n_slots_used++;
    MNI_CHECK(e < x->n_chunks * DC_CHUNK_ENTRIES);
    struct dc_entry *entry = dc_entry_at(x, e);
    *entry = *from;
    entry->chain = *bucket;
    *bucket = e;
    x->shards[shard_of(from->hash)].n_entries++;
    entry->heap_slot = DC_NO_ENTRY;
    if (entry->expires_at_us != DC_NEVER)
        heap_add(x, e);
    enter_space(x, x->spaces[entry->space], e);
    enter_generation(x, e);
}

/* The last of an entry that nobody finds any more. */
static void bury(struct dc_index *x, uint32_t e)
{
    struct dc_entry *entry = dc_entry_at(x, e);

    leave_generation(x, e);
    entry->number = 0;
    entry->is_ghost = false;
    entry->chain = x->free_head;
    x->free_head = e;
    dc_space_release_unused(x, x->spaces[entry->space]);
}

void dc_entry_remove(struct dc_index *x, uint32_t e)
{
    struct dc_entry *entry = dc_entry_at(x, e);
    struct dc_space *s = x->spaces[entry->space];
    uint32_t *at = bucket_of(x, entry->hash);

    MNI_CHECK(entry->number != 0);
    MNI_CHECK(!entry->is_ghost);
    while (*at != e)
        at = &dc_entry_at(x, *at)->chain;
    *at = entry->chain;
    x->shards[shard_of(entry->hash)].n_entries--;
    if (entry->heap_slot != DC_NO_ENTRY)
        heap_remove(x, e);
    leave_space(x, s, e);
    if (!x->is_frozen) {
        bury(x, e);
        return;
    }
    entry->is_ghost = true;
    entry->chain = x->ghosts;
    x->ghosts = e;
    s->n_holds++;
}

void dc_index_freeze(struct dc_index *x)
{
    MNI_CHECK(!x->is_frozen);
    MNI_CHECK(x->ghosts == DC_NO_ENTRY);
    x->is_frozen = true;
}

bool dc_index_thaw(struct dc_index *x, uint32_t n)
{
    x->is_frozen = false;
    for (uint32_t i = 0; i < n && x->ghosts != DC_NO_ENTRY; i++) {
        uint32_t e = x->ghosts;
        x->ghosts = dc_entry_at(x, e)->chain;
        x->spaces[dc_entry_at(x, e)->space]->n_holds--;
        bury(x, e);
    }
    return x->ghosts != DC_NO_ENTRY;
}

void dc_entry_move(struct dc_index *x, uint32_t e, uint64_t number)
{
    MNI_CHECK(!x->is_frozen);
    leave_generation(x, e);
    dc_entry_at(x, e)->number = number;
    enter_generation(x, e);
}
