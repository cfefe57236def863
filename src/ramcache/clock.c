/*
 * clock.c - one clock for all of a cache: it never goes back, and never stands still.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 *
 * The cache's time goes on with the monotonic clock, and jumps ahead when Unix time does. When Unix
 * time is set back, it goes on all the same: what has expired stays so, and a time to live is never
 * longer than it was meant to be. A Unix time at which a value expires is turned into the cache's
 * when it is put: as far ahead of the one now as of the other.
 */
#include "ramcache/ramcache_private.h"

/* By how much Unix time falls behind before it was set back, and is not just being corrected. */
static const int64_t SET_BACK_US = 1000000;

static int64_t add(int64_t a, int64_t b)
{
    int64_t sum = 0;

    return !__builtin_add_overflow(a, b, &sum) ? sum : b < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t difference(int64_t a, int64_t b)
{
    int64_t d = 0;

    return !__builtin_sub_overflow(a, b, &d) ? d : a < b ? INT64_MIN : INT64_MAX;
}

/* The two words are a pair; nobody who reads them writes. */
static void read_clock(struct mni_ramcache *cache, int64_t *ahead_us, int64_t *shift_us)
{
    struct clock *clock = &cache->clock;
    unsigned before = 0, after = 0;

    do {
        before = atomic_load_explicit(&clock->n_changes, memory_order_acquire);
        *ahead_us = atomic_load_explicit(&clock->ahead_us, memory_order_acquire);
        *shift_us = atomic_load_explicit(&clock->shift_us, memory_order_acquire);
        after = atomic_load_explicit(&clock->n_changes, memory_order_acquire);
    } while (before != after || before % 2 != 0);
}

static void write_clock(struct mni_ramcache *cache, int64_t ahead_us, int64_t shift_us)
{
    struct clock *clock = &cache->clock;

    atomic_fetch_add_explicit(&clock->n_changes, 1, memory_order_acq_rel);
    atomic_store_explicit(&clock->ahead_us, ahead_us, memory_order_release);
    atomic_store_explicit(&clock->shift_us, shift_us, memory_order_release);
    atomic_fetch_add_explicit(&clock->n_changes, 1, memory_order_release);
}

/* How far Unix time is ahead of the monotonic one; more where the thread rested in between. */
static int64_t read_ahead(struct mni_ramcache *cache, int64_t *mono_us_out, int64_t *wall_us_out)
{
    *mono_us_out = mni_env_mono_us(cache->config.env);
    *wall_us_out = mni_env_wall_us(cache->config.env);
    return difference(*wall_us_out, *mono_us_out);
}

void mni_ramcache_clock_init(struct mni_ramcache *cache)
{
    int64_t mono_us = 0, wall_us = 0;
    int64_t ahead_us = read_ahead(cache, &mono_us, &wall_us);

    write_clock(cache, ahead_us, ahead_us);
}

/* Unix time has gone ahead of the cache's, or was set back. */
static void follow(struct mni_ramcache *cache, int64_t now_ahead_us)
{
    int64_t ahead_us = 0, shift_us = 0, mono_us = 0, wall_us = 0;
    int64_t again_us = read_ahead(cache, &mono_us, &wall_us);

    now_ahead_us = again_us < now_ahead_us ? again_us : now_ahead_us;

    mni_latch_lock(&cache->clock.lock);
    read_clock(cache, &ahead_us, &shift_us);
    if (now_ahead_us > ahead_us)
        write_clock(cache, now_ahead_us, add(shift_us, difference(now_ahead_us, ahead_us)));
    else if (difference(ahead_us, now_ahead_us) > SET_BACK_US)
        write_clock(cache, now_ahead_us, shift_us);
    mni_latch_unlock(&cache->clock.lock);
}

/* The cache's time, and the Unix time that it was taken at. */
static int64_t now_at(struct mni_ramcache *cache, int64_t *wall_us_out)
{
    int64_t mono_us = 0;
    int64_t now_ahead_us = read_ahead(cache, &mono_us, wall_us_out);
    int64_t ahead_us = 0, shift_us = 0;

    read_clock(cache, &ahead_us, &shift_us);
    if (now_ahead_us > ahead_us || difference(ahead_us, now_ahead_us) > SET_BACK_US) {
        follow(cache, now_ahead_us);
        read_clock(cache, &ahead_us, &shift_us);
    }
    return add(mono_us, shift_us);
}

int64_t mni_ramcache_now(struct mni_ramcache *cache)
{
    int64_t wall_us = 0;

    return now_at(cache, &wall_us);
}

bool mni_ramcache_is_expired(struct mni_ramcache *cache, struct entry *entry)
{
    return entry->has_expiry && is_due(entry, mni_ramcache_now(cache));
}

struct mni_ramcache_expiry mni_ramcache_expiry_after(struct mni_ramcache *cache, int64_t ttl_us)
{
    int64_t wall_us = 0;
    int64_t now_us = now_at(cache, &wall_us);

    return (struct mni_ramcache_expiry){
        .is_set = true, .due_us = add(now_us, ttl_us), .at_us = add(wall_us, ttl_us)};
}

struct mni_ramcache_expiry mni_ramcache_expiry(struct mni_ramcache *cache,
                                               const struct mn_ramcache_item *item)
{
    int64_t wall_us = 0;

    if (item == NULL || (!item->has_expires_at && !item->has_ttl))
        return (struct mni_ramcache_expiry){0};
    if (!item->has_expires_at)
        return mni_ramcache_expiry_after(cache, item->ttl_us);
    int64_t now_us = now_at(cache, &wall_us);
    int64_t due_us = add(now_us, difference(item->expires_at_us, wall_us));
    return (struct mni_ramcache_expiry){
        .is_set = true, .due_us = due_us, .at_us = item->expires_at_us};
}
