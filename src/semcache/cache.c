/*
 * cache.c - opening and closing a cache, lists and numbers.
 *
 * Owns:    the roster.
 * Threads: opening and closing one, else any.
 * Fails:   as semcache.h says.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "kernel/kernel.h"
#include "semcache/cache_private.h"

enum { LAPSED_PER_STORE = 256 };

mn_status cache_name_tenant(struct mni_batch *batch, uint64_t tenant, bool creates,
                            size_t *index_out, struct mn_error *err)
{
    unsigned char room[MNI_TENANT_KEY_BYTES];

    return mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, room), creates,
                                index_out, err);
}

mn_status cache_new_batch(struct mni_semcache *cache, struct mni_batch **batch_out,
                          struct mn_error *err)
{
    mn_status st = mni_batch_new(cache->engine, NULL, batch_out);

    return st == MN_OK ? st : mni_fail(err, st, "a batch");
}

mn_status cache_answer(struct mni_semcache *cache, uint64_t tenant, mn_ack ack, mn_status answer,
                       struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    size_t index = 0;
    mn_status st = cache_new_batch(cache, &batch, err);

    if (st == MN_OK && !MNI_PLANTED("cache_refuses_at_once"))
        st = cache_name_tenant(batch, tenant, false, &index, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, NULL, err);
    mni_batch_free(batch);
    return st == MN_OK ? answer : st;
}

void cache_tenant_is_made(struct tenant *tenant)
{
    struct counts *counts = &tenant->counts;

    tenant->is_stored = true;
    for (size_t i = 0; i < sizeof counts->n_hits / sizeof counts->n_hits[0]; i++)
        atomic_store(&counts->n_hits[i], 0);
    atomic_store(&counts->n_misses, 0);
    atomic_store(&counts->n_evictions, 0);
    atomic_store(&counts->n_errors, 0);
}

uint32_t cache_dims_of(const struct tenant *tenant)
{
    return tenant->stored_dims != 0 ? tenant->stored_dims : tenant->n_dims;
}

bool entry_has_expired(const struct entry *entry, int64_t now_us)
{
    return entry->expires_at_us <= now_us && entry->expires_at_us != INT64_MAX;
}

void cache_lapse(struct mni_semcache *cache)
{
    (void)roster_lapse(cache->roster, mni_engine_now_us(cache->engine), LAPSED_PER_STORE);
}

void cache_forget_tenant(struct mni_semcache *cache, uint64_t number)
{
    mni_rwlock_write(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    if (tenant != NULL && !tenant->is_stored && tenant->sums.n_entries == 0)
        roster_drop_tenant(cache->roster, tenant);
    mni_rwlock_unlock(&cache->roster_lock);
}

void cache_forget_unreadable(struct mni_semcache *cache, uint64_t number)
{
    mni_rwlock_write(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    if (tenant != NULL && tenant->n_unreadable > 0)
        tenant->n_unreadable--;
    mni_rwlock_unlock(&cache->roster_lock);
}

mn_status entry_signs(const uint16_t *halves, uint32_t n_dims, uint64_t **signs_out)
{
    size_t n_words = (n_dims + MNI_SIGN_WORD_BITS - 1) / MNI_SIGN_WORD_BITS;

    *signs_out = NULL;
    if (n_dims == 0)
        return MN_OK;
    uint64_t *signs = mni_alloc_array(n_words, sizeof *signs);
    float *floats = mni_alloc_array(n_dims, sizeof *floats);
    if (signs == NULL || floats == NULL) {
        mni_free(signs);
        mni_free(floats);
        return MN_ERR_NOMEM;
    }
    mni_f16_to_f32(halves, n_dims, floats);
    mni_sign_bits(floats, n_dims, signs);
    mni_free(floats);
    *signs_out = signs;
    return MN_OK;
}

mn_status mni_semcache_open(struct mni_engine *engine, struct mni_semcache **cache_out,
                            struct mn_error *err)
{
    struct mni_semcache *cache = mni_alloc_zero(sizeof *cache);

    if (cache == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a cache");
    cache->engine = engine;
    cache->seed = (uint64_t)(uintptr_t)cache;
    mni_rwlock_init(&cache->roster_lock);
    mni_rwlock_init(&cache->life);
    mni_mutex_init(&cache->settle_mutex);
    mni_cond_init(&cache->settled);
    mn_status st = roster_new(&cache->roster);
    st = st == MN_OK ? cache_build(cache, err) : mni_fail(err, st, "the index of the cache");
    if (st != MN_OK) {
        mni_semcache_close(cache);
        return st;
    }
    if (!mni_engine_is_read_only(engine))
        mni_engine_on_checkpoint(engine, cache_write_hits, cache);
    *cache_out = cache;
    return MN_OK;
}

void mni_semcache_close(struct mni_semcache *cache)
{
    if (cache == NULL)
        return;
    roster_free(cache->roster);
    mni_cond_done(&cache->settled);
    mni_mutex_done(&cache->settle_mutex);
    mni_rwlock_done(&cache->life);
    mni_rwlock_done(&cache->roster_lock);
    mni_free(cache);
}

/* Lists ---------- */

mn_status mni_semcache_list_entries(struct mni_semcache *cache, uint64_t tenant, uint64_t from,
                                    uint64_t *ids_out, size_t n_max, size_t *n_out,
                                    struct mn_error *err)
{
    const struct entry_key before = entry_key(from - 1);
    struct mni_walk_options options = {.counts = false};
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_collection collection;
    struct mni_walk *walk = NULL;
    struct mni_found found;
    uint64_t n_damaged = 0;

    *n_out = 0;
    if (from > 0)
        options.after = entry_key_slice(&before);
    mn_status st = mni_walk_open(cache->engine, &options, &walk, err);
    if (st == MN_OK)
        st = mni_view_collection(mni_walk_view(walk), MNI_KIND_TENANT, mni_tenant_key(tenant, room),
                                 &collection, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, st, "there is no such tenant");
    if (st == MN_OK)
        st = mni_walk_start(walk, collection.number, err);
    while (st == MN_OK && *n_out < n_max) {
        st = mni_walk_next(walk, &found, n_damaged == 0 ? err : NULL);
        if (st == MN_OK) {
            if (found.record.key.n_bytes == ENTRY_KEY_BYTES)
                ids_out[(*n_out)++] = entry_id_of_key(found.record.key);
            mni_pin_release(found.pin);
        } else if (st == MN_ERR_CORRUPT) {
            n_damaged++; /* the next step goes on behind it */
            st = MN_OK;
        }
    }
    mni_walk_close(walk);
    if (st == MN_END)
        st = MN_OK;
    return st == MN_OK && n_damaged > 0 ? MN_ERR_CORRUPT : st;
}

/* Numbers ---------- */

static void set_counts(const struct counts *counts, struct mn_semcache_stats *stats_out)
{
    stats_out->n_hits_id = atomic_load(&counts->n_hits[HIT_ID]);
    stats_out->n_hits_exact = atomic_load(&counts->n_hits[HIT_EXACT]);
    stats_out->n_hits_semantic = atomic_load(&counts->n_hits[HIT_SEMANTIC]);
    stats_out->n_hits_verified = atomic_load(&counts->n_hits[HIT_VERIFIED]);
    stats_out->n_misses = atomic_load(&counts->n_misses);
    stats_out->n_evictions = atomic_load(&counts->n_evictions);
    stats_out->n_errors = atomic_load(&counts->n_errors);
}

static uint64_t count_tenants(const struct roster *roster)
{
    const struct tenant *tenant = roster_next_tenant(roster, 0);
    uint64_t n = 0;

    while (tenant != NULL) {
        n += tenant->is_stored;
        if (tenant->number == UINT64_MAX)
            break;
        tenant = roster_next_tenant(roster, tenant->number + 1);
    }
    return n;
}

mn_status mni_semcache_get_stats(struct mni_semcache *cache, const uint64_t *number,
                                 struct mn_semcache_stats *stats_out, struct mn_error *err)
{
    struct roster_sums sums = {0};
    bool is_there = true;

    mni_rwlock_write(&cache->roster_lock);
    while (roster_lapse(cache->roster, mni_engine_now_us(cache->engine), SIZE_MAX) > 0)
        ;
    if (number == NULL) {
        sums = roster_get_sums(cache->roster);
        stats_out->n_tenants = count_tenants(cache->roster);
        set_counts(&cache->counts, stats_out);
    } else {
        const struct tenant *tenant = roster_tenant(cache->roster, *number);
        is_there = tenant != NULL && tenant->is_stored;
        if (is_there) {
            sums = tenant->sums;
            stats_out->n_tenants = 1;
            set_counts(&tenant->counts, stats_out);
        }
    }
    mni_rwlock_unlock(&cache->roster_lock);
    stats_out->n_entries = sums.n_entries;
    stats_out->logical_bytes = sums.logical_bytes;
    stats_out->allocated_bytes = sums.bytes;
    return is_there ? MN_OK : mni_fail(err, MN_NOT_FOUND, "there is no such tenant");
}
