/*
 * clock.c - one clock for all of a cache, which never takes an answer back.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 *
 * Reading the clock of the machine is cheap, but a word that every reading writes would travel
 * between the processors. So only judgements that must stand are noted: an entry that was taken for
 * expired makes its moment the earliest that the clock may show from then on.
 */
#include "ramcache/ramcache_private.h"

int64_t mni_ramcache_now(struct mni_ramcache *cache)
{
    int64_t wall_us = mni_env_wall_us(cache->config.env);
    int64_t floor_us = atomic_load_explicit(&cache->now_floor_us, memory_order_acquire);

    return wall_us > floor_us ? wall_us : floor_us;
}

void mni_ramcache_raise_floor(struct mni_ramcache *cache, int64_t at_us)
{
    int64_t floor_us = atomic_load_explicit(&cache->now_floor_us, memory_order_relaxed);

    while (floor_us < at_us &&
           !atomic_compare_exchange_weak_explicit(&cache->now_floor_us, &floor_us, at_us,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

bool mni_ramcache_is_expired(struct mni_ramcache *cache, struct entry *entry)
{
    if (!entry->has_expiry)
        return false;
    int64_t at_us = expiry_of(entry)->expires_at_us;
    if (mni_ramcache_now(cache) < at_us)
        return false;
    mni_ramcache_raise_floor(cache, at_us);
    return true;
}

struct mni_ramcache_expiry mni_ramcache_expiry(struct mni_ramcache *cache,
                                               const struct mn_ramcache_item *item)
{
    struct mni_ramcache_expiry expiry = {0};

    if (item == NULL || (!item->has_expires_at && !item->has_ttl))
        return expiry;
    expiry.is_set = true;
    if (item->has_expires_at)
        expiry.at_us = item->expires_at_us;
    else if (__builtin_add_overflow(mni_ramcache_now(cache), item->ttl_us, &expiry.at_us))
        expiry.at_us = INT64_MAX;
    return expiry;
}
