/*
 * entries.c - linking entries into everything, and taking them out again.
 *
 * Owns:    nothing.
 * Threads: the cache's lock is held; a shard's is taken or held as each function says.
 * Fails:   never.
 */
#include "ramcache/ramcache_private.h"

void mni_ramcache_link(struct mni_ramcache *cache, struct shard *shard, struct space *space,
                       struct entry *entry)
{
    uint64_t charge = charge_of_entry(entry);

    entry->space = space;
    mni_ramcache_table_insert(shard, entry);
    link_after(space->entries.prev, &entry->in_space);
    if (entry->is_negative) {
        space->n_negative++;
        cache->n_negative++;
    } else {
        cache->n_namespaces += space->n_entries == 0;
        space->n_entries++;
        space->n_expiring += entry->has_expiry;
        space->n_puts++;
        space->bytes += charge;
        space->value_bytes += entry->value_bytes;
        cache->n_entries++;
        cache->n_kept++;
    }
    cache->entry_bytes += charge;
    if (entry->has_expiry)
        mni_ramcache_heap_add(cache, entry);
    mni_ramcache_space_entered(cache, space);
}

/* What is noted of its accesses still counts for its namespace. */
static void forget_records(struct shard *shard, struct entry *entry)
{
    for (uint32_t i = 0; entry->n_records > 0 && i < shard->n_records; i++) {
        if (shard->records[i] != entry)
            continue;
        shard->records[i] = NULL;
        entry->n_records--;
        entry->space->n_hits++;
    }
    MNI_CHECK(entry->n_records == 0);
}

static void count_leaving(struct mni_ramcache *cache, struct entry *entry, enum leave why)
{
    struct space *space = entry->space;

    /* Of a dead space all were counted as cleared when it died. */
    if (entry->is_negative) {
        space->n_negative--;
        cache->n_negative -= space_is_dead(space) ? 0 : 1;
        return;
    }
    space->n_entries--;
    space->n_expiring -= entry->has_expiry;
    space->bytes -= charge_of_entry(entry);
    space->value_bytes -= entry->value_bytes;
    if (space_is_dead(space))
        return;
    cache->n_entries--;
    cache->n_namespaces -= space->n_entries == 0;
    switch (why) {
    case LEAVE_OVERWRITTEN:
        cache->n_overwritten++;
        break;
    case LEAVE_DELETED:
        cache->n_deleted++;
        break;
    case LEAVE_CLEARED:
        cache->n_cleared++;
        break;
    case LEAVE_EXPIRED:
        cache->n_expired++;
        space->n_expired++;
        break;
    case LEAVE_EVICTED:
        cache->n_evicted++;
        space->n_evicted++;
        break;
    }
}

void mni_ramcache_unlink_locked(struct mni_ramcache *cache, struct shard *shard,
                                struct entry *entry, enum leave why)
{
    struct space *space = entry->space;

    mni_ramcache_table_remove(shard, entry);
    forget_records(shard, entry);
    mni_ramcache_policy_left(cache, entry);
    if (entry->has_expiry)
        mni_ramcache_heap_remove(cache, entry);
    link_remove(&entry->in_space);
    count_leaving(cache, entry, why);
    cache->entry_bytes -= charge_of_entry(entry);
    mni_ramcache_entry_unref(cache, entry);
    mni_ramcache_space_left(cache, space);
}

void mni_ramcache_unlink(struct mni_ramcache *cache, struct entry *entry, enum leave why)
{
    struct shard *shard = shard_of(cache, entry->hash);

    mni_latch_lock(&shard->lock);
    mni_ramcache_unlink_locked(cache, shard, entry, why);
    mni_latch_unlock(&shard->lock);
}

/* The first entry of a dead space; NULL: there is none but what walks still hold. */
static struct entry *first_dead(struct mni_ramcache *cache)
{
    for (struct link *at = cache->dead_spaces.next; at != &cache->dead_spaces; at = at->next) {
        struct space *space = CONTAINER(struct space, in_cache, at);
        for (struct link *e = space->entries.next; e != &space->entries; e = e->next)
            if (!mni_ramcache_is_walker(cache, e))
                return entry_of_space(e);
    }
    return NULL;
}

unsigned mni_ramcache_reclaim(struct mni_ramcache *cache, int64_t now_us, unsigned n_max)
{
    unsigned n = 0;

    while (n < n_max && cache->heap != NULL && cache->heap->due_us <= now_us) {
        mni_ramcache_unlink(cache, entry_of_expiry(cache->heap), LEAVE_EXPIRED);
        n++;
    }
    while (n < n_max) {
        struct entry *dead = first_dead(cache);
        if (dead == NULL)
            break;
        mni_ramcache_unlink(cache, dead, LEAVE_CLEARED);
        n++;
    }
    return n;
}

int64_t mni_ramcache_sweep_all(struct mni_ramcache *cache)
{
    int64_t now_us = mni_ramcache_now(cache);

    /* Nothing comes in any more that is due by this clock, so there is an end. */
    for (unsigned n = 0; cache->heap != NULL && cache->heap->due_us <= now_us; n++) {
        if (n % HOLD_MAX == HOLD_MAX - 1 && mni_ramcache_yield(cache))
            continue;
        mni_ramcache_unlink(cache, entry_of_expiry(cache->heap), LEAVE_EXPIRED);
    }
    return now_us;
}
