/*
 * lock.c - the lock of a cache, and giving it up within a long work.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   never.
 *
 * Who is woken by a mutex finds it taken if the one who gave it up takes it again at once. So a
 * long work waits, between two of its steps, until as many have had it as were waiting for it.
 */
#include "ramcache/ramcache_private.h"

#include <limits.h>

void mni_ramcache_lock(struct mni_ramcache *cache)
{
    if (mni_mutex_try_lock(&cache->lock))
        return;
    atomic_fetch_add(&cache->n_waited, 1);
    mni_mutex_lock(&cache->lock);
    atomic_fetch_add(&cache->n_passed, 1);
    if (atomic_load(&cache->n_yielders) > 0)
        mni_word_wake_all(&cache->n_passed);
}

void mni_ramcache_unlock(struct mni_ramcache *cache)
{
    mni_mutex_unlock(&cache->lock);
}

/* Whether fewer have had the lock since than had waited for it. */
static bool is_awaited(unsigned n_waited, unsigned n_passed)
{
    return n_waited - n_passed - 1 <= INT_MAX;
}

bool mni_ramcache_yield(struct mni_ramcache *cache)
{
    unsigned n_waited = atomic_load(&cache->n_waited);
    unsigned n_passed = atomic_load(&cache->n_passed);

    if (!is_awaited(n_waited, n_passed))
        return false;
    atomic_fetch_add(&cache->n_yielders, 1);
    mni_ramcache_unlock(cache);
    while (n_passed = atomic_load(&cache->n_passed), is_awaited(n_waited, n_passed))
        mni_word_wait(&cache->n_passed, n_passed);
    atomic_fetch_sub(&cache->n_yielders, 1);
    mni_ramcache_lock(cache);
    return true;
}
