/*
 * table.c - the entries of a shard by hash: buckets of one line of the processor's cache.
 *
 * Owns:    nothing; the buckets belong to the shard.
 * Threads: the shard's lock is held.
 * Fails:   table_new returns NULL.
 */
#include "ramcache/ramcache_private.h"

static uint16_t tag_of(uint64_t hash)
{
    uint16_t tag = (uint16_t)(hash >> 32);

    return tag != 0 ? tag : 1;
}

uint64_t mni_ramcache_table_charge(uint32_t n_buckets)
{
    return mni_ramcache_charge((uint64_t)n_buckets * sizeof(struct bucket)) + LINE_BYTES;
}

struct bucket *mni_ramcache_table_new(uint32_t n_buckets)
{
    size_t n_bytes = (size_t)n_buckets * sizeof(struct bucket);
    struct bucket *buckets = mni_alloc_aligned(LINE_BYTES, n_bytes);

    if (buckets != NULL)
        memset(buckets, 0, n_bytes);
    return buckets;
}

static bool is_of_key(const struct entry *entry, const struct key *key)
{
    const struct space *space = entry->space;

    return entry->hash == key->hash && entry->id_bytes == key->id.n_bytes &&
           space->name_bytes == key->name.n_bytes &&
           memcmp(entry->bytes, key->id.data, key->id.n_bytes) == 0 &&
           memcmp(space->name, key->name.data, key->name.n_bytes) == 0 && !space_is_dead(space);
}

struct entry *mni_ramcache_table_find(struct shard *shard, const struct key *key)
{
    uint16_t tag = tag_of(key->hash);

    for (uint32_t i = 0; i <= mask_of(shard); i++) {
        const struct bucket *bucket =
            &buckets_of(shard)[(uint32_t)(key->hash + i) & mask_of(shard)];
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++)
            if (bucket->tags[slot] == tag && is_of_key(bucket->entries[slot], key))
                return bucket->entries[slot];
        if (bucket->n_passed == 0)
            return NULL;
    }
    return NULL;
}

static void put_into(struct bucket *bucket, uint16_t tag, struct entry *entry)
{
    unsigned slot = 0;

    while (bucket->tags[slot] != 0)
        slot++;
    MNI_CHECK(slot < BUCKET_SLOTS);
    bucket->tags[slot] = tag;
    bucket->entries[slot] = entry;
    bucket->n_used++;
}

void mni_ramcache_table_insert(struct shard *shard, struct entry *entry)
{
    MNI_CHECK(shard->n_used < table_slots(shard));
    for (uint32_t i = (uint32_t)entry->hash;; i++) {
        struct bucket *bucket = &buckets_of(shard)[i & mask_of(shard)];
        if (bucket->n_used < BUCKET_SLOTS) {
            put_into(bucket, tag_of(entry->hash), entry);
            break;
        }
        if (bucket->n_passed < UINT16_MAX)
            bucket->n_passed++;
    }
    shard->n_used++;
}

void mni_ramcache_table_remove(struct shard *shard, struct entry *entry)
{
    MNI_CHECK(shard->n_used > 0);
    for (uint32_t i = 0; i <= mask_of(shard); i++) {
        struct bucket *bucket = &buckets_of(shard)[(uint32_t)(entry->hash + i) & mask_of(shard)];
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            if (bucket->tags[slot] == 0 || bucket->entries[slot] != entry)
                continue;
            bucket->tags[slot] = 0;
            bucket->entries[slot] = NULL;
            bucket->n_used--;
            shard->n_used--;
            return;
        }
        MNI_CHECK(bucket->n_passed > 0);
        if (bucket->n_passed < UINT16_MAX)
            bucket->n_passed--;
    }
    MNI_CHECK(false); /* the entry is in its table */
}

struct bucket *mni_ramcache_table_move(struct shard *shard, struct bucket *buckets,
                                       uint32_t n_buckets)
{
    struct bucket *old = buckets_of(shard);
    uint32_t n_old = mask_of(shard) + 1;

    set_buckets(shard, buckets, n_buckets);
    shard->n_used = 0;
    for (uint32_t i = 0; i < n_old; i++)
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++)
            if (old[i].tags[slot] != 0)
                mni_ramcache_table_insert(shard, old[i].entries[slot]);
    return old;
}
