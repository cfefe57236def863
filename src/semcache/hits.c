/*
 * hits.c - writing hits to the store, when a checkpoint begins.
 *
 * The thread of the checkpoint must not wait for what waits for the checkpoint: it takes latches
 * only where nobody has them, and memory only where there is some. What it cannot write now stays
 * in memory for the next time.
 *
 * Owns:    nothing.
 * Threads: the engine's; one at a time.
 * Fails:   silently: hits are worth no failure of a checkpoint.
 */
#include "base/mem.h"
#include "semcache/cache_private.h"

enum { HITS_AT_ONCE = 512 };

/* Takes the latches that are free, and puts those whose latch is not free behind the others.
 * Returns how many have theirs. */
static size_t take_latches(struct mni_semcache *cache, struct roster_hits *hits, size_t n,
                           struct latch_set *held)
{
    size_t n_held = 0;

    for (size_t i = 0; i < n; i++) {
        size_t latch = latch_of_id(cache, hits[i].tenant, hits[i].id);
        if (!latch_has(held, latch) && !latch_try(cache, held, latch))
            continue;
        struct roster_hits swapped = hits[n_held];
        hits[n_held++] = hits[i];
        hits[i] = swapped;
    }
    return n_held;
}

/* Whether the entry is still the one that was hit; its latch is held. */
static bool is_current(struct mni_semcache *cache, const struct roster_hits *hits)
{
    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, hits->tenant);
    const struct entry *entry = tenant != NULL ? roster_find(tenant, hits->id) : NULL;
    bool is_it = entry != NULL && entry->lsn == hits->lsn;
    mni_rwlock_unlock(&cache->roster_lock);
    return is_it;
}

static mn_status add_patch(struct mni_batch *batch, const struct roster_hits *hits)
{
    const struct entry_key key = entry_key(hits->id);
    const struct mni_record patch = {
        .type = MNI_RECORD_PATCH,
        .fields = MNI_FIELD_HITS,
        .key = entry_key_slice(&key),
        .hits = hits_pack(hits->n_hits, hits->last_hit_s),
    };
    size_t index = 0;
    mn_status st = cache_name_tenant(batch, hits->tenant, false, &index, NULL);

    return st == MN_OK ? mni_batch_add(batch, index, &patch, MNI_IF_LIVE, 0, NULL, NULL) : st;
}

static mn_status commit_hits(struct mni_semcache *cache, const struct roster_hits *hits, size_t n)
{
    struct mni_batch *batch = NULL;
    size_t n_added = 0;
    mn_status st = mni_batch_new(cache->engine, NULL, &batch);

    if (st != MN_OK)
        return st;
    mni_batch_never_wait(batch);
    for (size_t i = 0; i < n && st == MN_OK; i++) {
        if (!is_current(cache, &hits[i]))
            continue;
        st = add_patch(batch, &hits[i]);
        n_added++;
    }
    if (st == MN_OK && n_added > 0)
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, NULL);
    mni_batch_free(batch);
    return st;
}

/* One that has expired, or whose tenant goes, fails them all: then each for itself. */
static mn_status commit_each(struct mni_semcache *cache, const struct roster_hits *hits, size_t n)
{
    mn_status st = commit_hits(cache, hits, n);

    for (size_t i = 0; i < n && st == MN_NOT_FOUND; i++) {
        mn_status one = commit_hits(cache, &hits[i], 1);
        if (one != MN_OK && one != MN_NOT_FOUND)
            st = one;
    }
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static size_t take_hits(struct mni_semcache *cache, struct roster_hits *hits_out)
{
    mni_rwlock_write(&cache->roster_lock);
    size_t n = roster_take_hits(cache->roster, hits_out, HITS_AT_ONCE);
    mni_rwlock_unlock(&cache->roster_lock);
    return n;
}

static void give_back(struct mni_semcache *cache, const struct roster_hits *hits, size_t n)
{
    mni_rwlock_write(&cache->roster_lock);
    roster_give_hits_back(cache->roster, hits, n);
    mni_rwlock_unlock(&cache->roster_lock);
}

static uint64_t count_entries(struct mni_semcache *cache)
{
    mni_rwlock_read(&cache->roster_lock);
    uint64_t n = roster_get_sums(cache->roster).n_entries;
    mni_rwlock_unlock(&cache->roster_lock);
    return n;
}

void cache_write_hits(void *context)
{
    struct mni_semcache *cache = context;
    struct roster_hits *hits = mni_alloc_array(HITS_AT_ONCE, sizeof *hits);
    bool is_done = hits == NULL;
    /* Readers hit entries again as fast as their hits are written. */
    uint64_t n_left = count_entries(cache);

    while (!is_done && n_left > 0) {
        struct latch_set held = {{0}};
        size_t n = take_hits(cache, hits);
        n_left -= n < n_left ? n : n_left;
        size_t n_held = take_latches(cache, hits, n, &held);
        mn_status st = n_held > 0 ? commit_each(cache, hits, n_held) : MN_OK;
        latch_unlock_all(cache, &held);
        cache_settle_tell(cache);
        /* Some cannot be had now: this is as far as it goes. */
        is_done = n == 0 || n_held < n || st != MN_OK;
        if (st != MN_OK)
            n_held = 0;
        give_back(cache, hits + n_held, n - n_held);
    }
    mni_free(hits);
}
