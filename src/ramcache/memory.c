/*
 * memory.c - what blocks cost, and entries as blocks with references.
 *
 * Owns:    nothing.
 * Threads: any; taking bytes needs the cache's lock.
 * Fails:   entry_new returns NULL.
 */
#include "ramcache/ramcache_private.h"

enum { MAPPED_MIN = 128 << 10, PAGE_BYTES = 4096, CHUNK_MIN = 32, CHUNK_HEADER = 8 };

/* The allocator of glibc puts 8 bytes before a block, rounds up to 16, and does not split off a
 * rest of 16; large blocks may get pages of their own. */
uint64_t mni_ramcache_charge(uint64_t n_bytes)
{
    if (n_bytes >= MAPPED_MIN - PAGE_BYTES)
        return mni_align_up(n_bytes + 3 * 16, PAGE_BYTES);
    uint64_t chunk = mni_align_up(n_bytes + CHUNK_HEADER, 16);
    return (chunk < CHUNK_MIN ? CHUNK_MIN : chunk) + 16;
}

static uint64_t block_bytes(uint64_t id_bytes, uint64_t value_bytes, bool has_expiry)
{
    return (has_expiry ? sizeof(struct expiry_node) : 0) +
           mni_align_up(offsetof(struct entry, bytes) + id_bytes, 16) + value_bytes;
}

uint64_t mni_ramcache_entry_charge(uint64_t id_bytes, uint64_t value_bytes, bool has_expiry)
{
    return mni_ramcache_charge(block_bytes(id_bytes, value_bytes, has_expiry));
}

void mni_ramcache_take(struct mni_ramcache *cache, uint64_t n_bytes)
{
    uint64_t before = atomic_fetch_add_explicit(&cache->used_bytes, n_bytes, memory_order_relaxed);
    MNI_CHECK(before + n_bytes <= cache->config.max_bytes);
}

void mni_ramcache_give_back(struct mni_ramcache *cache, uint64_t n_bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&cache->used_bytes, n_bytes, memory_order_release);
    MNI_CHECK(before >= n_bytes);
}

struct entry *mni_ramcache_entry_new(const struct key *key, uint64_t value_bytes,
                                     struct mni_ramcache_expiry expiry)
{
    unsigned char *block = mni_alloc(block_bytes(key->id.n_bytes, value_bytes, expiry.is_set));

    if (block == NULL)
        return NULL;
    if (expiry.is_set) {
        struct expiry_node *node = (struct expiry_node *)(void *)block;
        *node = (struct expiry_node){.due_us = expiry.due_us, .expires_at_us = expiry.at_us};
        block += sizeof *node;
    }
    struct entry *entry = (struct entry *)(void *)block;
    *entry = (struct entry){
        .hash = key->hash,
        .value_bytes = value_bytes,
        .id_bytes = (uint16_t)key->id.n_bytes,
        .has_expiry = expiry.is_set,
    };
    atomic_init(&entry->refs, REF_TABLE);
    link_init(&entry->in_queue);
    link_init(&entry->in_space);
    memcpy(entry->bytes, key->id.data, key->id.n_bytes);
    return entry;
}

static void free_entry(struct mni_ramcache *cache, struct entry *entry)
{
    uint64_t charge = charge_of_entry(entry);

    if (entry->has_expiry)
        mni_free(expiry_of(entry));
    else
        mni_free(entry);
    mni_ramcache_give_back(cache, charge);
}

void mni_ramcache_entry_unref(struct mni_ramcache *cache, struct entry *entry)
{
    struct shard *shard = shard_of(cache, entry->hash);
    uint64_t charge = charge_of_entry(entry);
    unsigned before = atomic_fetch_sub_explicit(&entry->refs, REF_TABLE, memory_order_acq_rel);

    MNI_CHECK((before & REF_TABLE) != 0);
    if (before == REF_TABLE)
        free_entry(cache, entry);
    else
        /* The last pin may have gone already: the sum is right all the same. */
        atomic_fetch_add_explicit(&shard->detached_bytes, charge, memory_order_relaxed);
}

void mni_ramcache_pin(struct mni_ramcache *cache, struct entry *entry, unsigned n)
{
    unsigned before = atomic_fetch_add_explicit(&entry->refs, n, memory_order_relaxed);

    MNI_CHECK(before != 0);
    if ((before & ~REF_TABLE) == 0)
        atomic_fetch_add_explicit(&shard_of(cache, entry->hash)->pinned_bytes,
                                  charge_of_entry(entry), memory_order_relaxed);
}

void mni_ramcache_unpin(struct mni_ramcache *cache, void *pin)
{
    struct entry *entry = pin;
    struct shard *shard = shard_of(cache, entry->hash);
    uint64_t charge = charge_of_entry(entry);
    unsigned before = atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel);

    MNI_CHECK((before & ~REF_TABLE) != 0);
    if (before == 1) {
        free_entry(cache, entry);
        atomic_fetch_sub_explicit(&shard->detached_bytes, charge, memory_order_relaxed);
    }
    /* From here on the entry may be gone. */
    if ((before & ~REF_TABLE) == 1)
        atomic_fetch_sub_explicit(&shard->pinned_bytes, charge, memory_order_release);
}

uint64_t mni_ramcache_pinned_bytes(struct mni_ramcache *cache)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        sum += atomic_load_explicit(&cache->shards[i].pinned_bytes, memory_order_acquire);
    return sum;
}

uint64_t mni_ramcache_evictable_bytes(struct mni_ramcache *cache)
{
    uint64_t held = 0;

    /* A sum of changes that other threads make meanwhile may be off by theirs. */
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct shard *shard = &cache->shards[i];
        held += atomic_load_explicit(&shard->pinned_bytes, memory_order_relaxed);
        held -= atomic_load_explicit(&shard->detached_bytes, memory_order_relaxed);
    }
    if (held > INT64_MAX)
        held = 0;
    return held < cache->entry_bytes ? cache->entry_bytes - held : 0;
}
