/*
 * latch.c - latches of ids and keys: one writer at a time for each.
 *
 * Several ids may share a latch. A set is a bit for each, so that who wants several takes them in
 * the order of their numbers, each once.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   no.
 */
#include "base/hash.h"
#include "semcache/cache_private.h"

size_t latch_of_id(const struct mni_semcache *cache, uint64_t tenant, uint64_t id)
{
    return mni_hash(&id, sizeof id, cache->seed ^ tenant) % N_LATCHES;
}

size_t latch_of_key(const struct mni_semcache *cache, uint64_t tenant, const unsigned char *key)
{
    return mni_hash(key, MN_SEMCACHE_KEY_BYTES, cache->seed ^ tenant) % N_LATCHES;
}

void latch_add(struct latch_set *set, size_t latch)
{
    set->words[latch / 64] |= UINT64_C(1) << latch % 64;
}

bool latch_has(const struct latch_set *set, size_t latch)
{
    return (set->words[latch / 64] >> latch % 64 & 1) != 0;
}

void latch_lock_all(struct mni_semcache *cache, const struct latch_set *set)
{
    for (size_t i = 0; i < LATCH_WORDS; i++)
        for (uint64_t word = set->words[i]; word != 0; word &= word - 1)
            mni_latch_lock(&cache->ids[i * 64 + (size_t)__builtin_ctzll(word)]);
}

bool latch_try(struct mni_semcache *cache, struct latch_set *set, size_t latch)
{
    if (!mni_latch_try_lock(&cache->ids[latch]))
        return false;
    latch_add(set, latch);
    return true;
}

void latch_unlock_all(struct mni_semcache *cache, const struct latch_set *set)
{
    for (size_t i = 0; i < LATCH_WORDS; i++)
        for (uint64_t word = set->words[i]; word != 0; word &= word - 1)
            mni_latch_unlock(&cache->ids[i * 64 + (size_t)__builtin_ctzll(word)]);
}
