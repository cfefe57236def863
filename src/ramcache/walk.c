/*
 * walk.c - showing the entries of a namespace, the namespaces, and the numbers of one.
 *
 * Owns:    nothing.
 * Threads: any; callbacks run without a lock.
 * Fails:   with what the callback returns.
 *
 * A walk stands in the ring that it goes through, as a link that others pass over. What is removed
 * meanwhile leaves its place alone, and what comes in comes in behind the mark at which it ends.
 */
#include "ramcache/ramcache_private.h"

#include "base/hash.h"

enum { STEP_ENTRIES = 32 };

static void begin_walk(struct mni_ramcache *cache, struct walker *walker, struct link *ring)
{
    link_after(ring, &walker->at);
    link_after(ring->prev, &walker->end);
    link_after(&cache->walkers, &walker->in_cache);
}

static void end_walk(struct walker *walker)
{
    link_remove(&walker->at);
    link_remove(&walker->end);
    link_remove(&walker->in_cache);
}

/* Moves a walk behind the next link that is none. NULL: it has come to its end. */
static struct link *step(struct mni_ramcache *cache, struct walker *walker)
{
    struct link *next = walker->at.next;

    while (next != &walker->end && mni_ramcache_is_walker(cache, next))
        next = next->next;
    if (next == &walker->end)
        return NULL;
    link_remove(&walker->at);
    link_after(next, &walker->at);
    return next;
}

static void fill(struct space *space, struct mn_ramcache_namespace_stats *s)
{
    *s = (struct mn_ramcache_namespace_stats){
        .size = s->size,
        .n_entries = space->n_entries,
        .value_bytes = space->value_bytes,
        .memory_bytes = space->bytes,
        .n_puts = space->n_puts,
        .n_hits = space->n_hits,
        .n_misses = atomic_load_explicit(&space->n_misses, memory_order_relaxed),
        .n_evicted = space->n_evicted,
        .n_expired = space->n_expired,
    };
}

/* What shards have noted and not told yet are hits, too. */
static void drain_all(struct mni_ramcache *cache)
{
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct shard *shard = &cache->shards[i];
        mni_latch_lock(&shard->lock);
        mni_ramcache_policy_drain(cache, shard);
        mni_latch_unlock(&shard->lock);
    }
}

static struct key key_of_name(const struct mni_ramcache *cache, struct mn_slice name)
{
    return (struct key){.name = name,
                        .name_hash = mni_hash(name.data, name.n_bytes, cache->config.hash_seed)};
}

mn_status mni_ramcache_namespace_stats(struct mni_ramcache *cache, struct mn_slice name,
                                       struct mn_ramcache_namespace_stats *stats_out)
{
    const struct key key = key_of_name(cache, name);

    mni_ramcache_lock(cache);
    (void)mni_ramcache_sweep_all(cache);
    drain_all(cache);
    struct space *space = mni_ramcache_space_find(cache, &key);
    if (space != NULL)
        fill(space, stats_out);
    mni_ramcache_unlock(cache);
    return space != NULL ? MN_OK : MN_NOT_FOUND;
}

mn_status mni_ramcache_list(struct mni_ramcache *cache, mn_ramcache_name_fn *each, void *context)
{
    struct walker walker;
    mn_status st = MN_OK;
    struct link *at;

    mni_ramcache_lock(cache);
    (void)mni_ramcache_sweep_all(cache);
    begin_walk(cache, &walker, &cache->spaces);
    while (st == MN_OK && (at = step(cache, &walker)) != NULL) {
        struct space *space = CONTAINER(struct space, in_cache, at);
        uint64_t n_entries = space->n_entries;
        if (n_entries == 0)
            continue;
        mni_ramcache_space_use(cache, space);
        mni_ramcache_unlock(cache);
        st = each(context, (struct mn_slice){space->name, space->name_bytes}, n_entries);
        mni_ramcache_lock(cache);
        mni_ramcache_space_unuse(cache, space);
    }
    end_walk(&walker);
    mni_ramcache_unlock(cache);
    return st;
}

/* Pins the next entries that are shown. */
static unsigned gather(struct mni_ramcache *cache, struct walker *walker,
                       struct entry *entries[STEP_ENTRIES])
{
    int64_t now_us = mni_ramcache_now(cache);
    unsigned n = 0;
    struct link *at;

    while (n < STEP_ENTRIES && (at = step(cache, walker)) != NULL) {
        struct entry *entry = entry_of_space(at);
        if (entry->is_negative)
            continue;
        if (is_due(entry, now_us))
            continue;
        mni_ramcache_pin(cache, entry, 1);
        entries[n++] = entry;
    }
    return n;
}

/* Whether an entry that was in a space has been removed meanwhile. */
static bool has_gone(const struct space *space, const struct entry *entry)
{
    return (atomic_load_explicit(&entry->refs, memory_order_relaxed) & REF_TABLE) == 0 ||
           space_is_dead(space);
}

static mn_status show_all(struct mni_ramcache *cache, const struct space *space,
                          struct entry **entries, unsigned n, mn_ramcache_each_fn *each,
                          void *context)
{
    mn_status st = MN_OK;

    for (unsigned i = 0; i < n; i++) {
        struct entry *entry = entries[i];
        struct shard *shard = shard_of(cache, entry->hash);
        struct mn_ramcache_entry shown = {
            .id = {entry->bytes, entry->id_bytes},
            .value = {value_of(entry), entry->value_bytes},
            .created_at_us = entry->created_at_us,
            .has_expires_at = entry->has_expiry,
            .expires_at_us = entry->has_expiry ? expiry_of(entry)->expires_at_us : 0,
        };
        mni_latch_lock(&shard->lock);
        shown.access_count = entry->access_count;
        mni_latch_unlock(&shard->lock);
        if (st == MN_OK && !has_gone(space, entry))
            st = each(context, &shown);
        mni_ramcache_unpin(cache, entry);
    }
    return st;
}

mn_status mni_ramcache_get_all(struct mni_ramcache *cache, struct mn_slice name,
                               mn_ramcache_each_fn *each, void *context)
{
    const struct key key = key_of_name(cache, name);
    struct entry *entries[STEP_ENTRIES];
    struct walker walker;
    mn_status st = MN_OK;
    unsigned n = 1;

    mni_ramcache_lock(cache);
    struct space *space = mni_ramcache_space_find(cache, &key);
    if (space != NULL) {
        mni_ramcache_space_use(cache, space);
        begin_walk(cache, &walker, &space->entries);
        while (st == MN_OK && n > 0 && !space_is_dead(space)) {
            n = gather(cache, &walker, entries);
            mni_ramcache_unlock(cache);
            st = show_all(cache, space, entries, n, each, context);
            mni_ramcache_lock(cache);
        }
        end_walk(&walker);
        mni_ramcache_space_unuse(cache, space);
    }
    mni_ramcache_unlock(cache);
    return st;
}
