/*
 * cache.c - opening a cache: what the store holds becomes the roster; lists and numbers.
 *
 * Owns:    the roster.
 * Threads: opening and closing one, else any.
 * Fails:   as semcache.h says. An entry that cannot be read is no failure: it is counted.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "semcache/cache_private.h"

enum { TENANTS_AT_ONCE = 256, LAPSED_PER_STORE = 256 };

mn_status name_tenant(struct mni_batch *batch, uint64_t tenant, bool creates, size_t *index_out,
                      struct mn_error *err)
{
    unsigned char room[MNI_TENANT_KEY_BYTES];

    return mni_batch_collection(batch, MNI_KIND_TENANT, mni_tenant_key(tenant, room), creates,
                                index_out, err);
}

mn_status new_batch(struct mni_semcache *cache, struct mni_batch **batch_out, struct mn_error *err)
{
    mn_status st = mni_batch_new(cache->engine, NULL, batch_out);

    return st == MN_OK ? st : mni_fail(err, st, "a batch");
}

bool has_expired(const struct entry *entry, int64_t now_us)
{
    return entry->expires_at_us <= now_us && entry->expires_at_us != INT64_MAX;
}

void lapse(struct mni_semcache *cache)
{
    (void)roster_lapse(cache->roster, mni_engine_now_us(cache->engine), LAPSED_PER_STORE);
}

mn_status signs_of_halves(const uint16_t *halves, uint32_t n_dims, uint64_t **signs_out)
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

/* Opening: nobody else has the cache yet ---------- */

static mn_status take_budget(struct tenant *tenant, const struct mni_record *record,
                             struct mn_error *err)
{
    const unsigned char *bytes = record->payload.data;

    if (record->payload.n_bytes != BUDGET_BYTES || record->metadata.n_bytes != 0 ||
        record->n_dims != 0 || record->fields != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "the record is not one of a budget");
    tenant->has_own_limits = true;
    tenant->limits = (struct roster_limits){mni_get_u64(bytes), mni_get_u64(bytes + 8)};
    return MN_OK;
}

static mn_status take_entry(struct mni_semcache *cache, struct tenant *tenant,
                            const struct mni_found *found, struct mn_error *err)
{
    struct mn_semcache_handle handle;
    struct entry *entry = NULL;
    uint64_t *signs = NULL;
    mn_status st = entry_of_found(found, tenant->number, &handle, err);

    if (st != MN_OK)
        return st;
    if (handle.key != NULL && roster_find_key(tenant, handle.key) != NULL)
        return mni_fail(err, MN_ERR_CORRUPT, "two entries have one key");
    if (handle.n_dims != 0 && tenant->n_dims != 0 && handle.n_dims != tenant->n_dims)
        return mni_fail(err, MN_ERR_CORRUPT, "embeddings of a tenant differ in size");
    if (signs_of_halves(handle.embedding, handle.n_dims, &signs) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "the index of the cache");
    /* What a patch changed is not in the record that would be stored anew. */
    struct mni_record stored = found->record;
    stored.fields &= ~(uint32_t)MNI_FIELD_HITS;
    const struct roster_spec spec = {
        .id = handle.id,
        .lsn = handle.lsn,
        .time_us = handle.event_time_us,
        .expires_at_us = handle.fields != 0 ? handle.expires_at_us : INT64_MAX,
        .logical_bytes = entry_logical_bytes(&handle),
        .record_bytes = mni_record_encoded_bytes(&stored),
        .n_hits = (uint32_t)handle.hits,
        .last_hit_s = (uint32_t)(handle.last_hit_us / 1000000),
        .key = handle.key,
        .context = handle.context,
        .model = handle.model,
        .signs = signs,
        .n_dims = handle.n_dims,
    };
    st = roster_reserve(cache->roster, tenant, &spec, &entry);
    mni_free(signs);
    if (st != MN_OK)
        return mni_fail(err, st, "the index of the cache");
    roster_publish(cache->roster, entry);
    if (handle.id >= tenant->next_id && handle.id < UINT64_MAX)
        tenant->next_id = handle.id + 1;
    return MN_OK;
}

static mn_status take_record(struct mni_semcache *cache, struct tenant *tenant,
                             const struct mni_found *found, struct mn_error *err)
{
    const struct mn_slice key = found->record.key;

    if (key.n_bytes == BUDGET_KEY_BYTES && memcmp(key.data, budget_key, BUDGET_KEY_BYTES) == 0)
        return take_budget(tenant, &found->record, err);
    return take_entry(cache, tenant, found, err);
}

static mn_status walk_tenant(struct mni_semcache *cache, struct tenant *tenant,
                             struct mni_walk *walk, struct mn_error *err)
{
    struct mni_found found;
    mn_status st = MN_OK;

    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st == MN_OK) {
            st = take_record(cache, tenant, &found, err);
            mni_pin_release(found.pin);
        }
        /* Damaged: the next step goes on behind it. */
        if (st == MN_ERR_CORRUPT) {
            tenant->n_unreadable++;
            st = MN_OK;
        }
    }
    return st == MN_END ? MN_OK : st;
}

static mn_status take_tenant(struct mni_semcache *cache, uint64_t number, struct mn_error *err)
{
    const struct mni_walk_options options = {.counts = false};
    unsigned char room[MNI_TENANT_KEY_BYTES];
    struct mni_collection collection;
    struct tenant *tenant = NULL;
    struct mni_walk *walk = NULL;
    mn_status st = roster_add_tenant(cache->roster, number, &tenant);

    if (st != MN_OK)
        return mni_fail(err, st, "the index of the cache");
    tenant->is_stored = true;
    st = mni_walk_open(cache->engine, &options, &walk, err);
    if (st == MN_OK)
        st = mni_view_collection(mni_walk_view(walk), MNI_KIND_TENANT, mni_tenant_key(number, room),
                                 &collection, err);
    if (st == MN_OK)
        st = mni_walk_start(walk, collection.number, err);
    if (st == MN_OK)
        st = walk_tenant(cache, tenant, walk, err);
    mni_walk_close(walk);
    return st;
}

static mn_status take_all(struct mni_semcache *cache, struct mn_error *err)
{
    uint64_t tenants[TENANTS_AT_ONCE];
    uint64_t from = 0;
    size_t n = TENANTS_AT_ONCE;
    mn_status st = MN_OK;

    while (st == MN_OK && n == TENANTS_AT_ONCE) {
        st = mni_engine_list_tenants(cache->engine, from, tenants, TENANTS_AT_ONCE, &n, err);
        for (size_t i = 0; i < n && st == MN_OK; i++)
            st = take_tenant(cache, tenants[i], err);
        if (st != MN_OK || n < TENANTS_AT_ONCE || tenants[n - 1] == UINT64_MAX)
            break;
        from = tenants[n - 1] + 1;
    }
    return st;
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
    st = st == MN_OK ? take_all(cache, err) : mni_fail(err, st, "the index of the cache");
    if (st != MN_OK) {
        mni_semcache_close(cache);
        return st;
    }
    mni_engine_on_checkpoint(engine, write_hits, cache);
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
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        if (found.record.key.n_bytes == ENTRY_KEY_BYTES)
            ids_out[(*n_out)++] = entry_id_of_key(found.record.key);
        mni_pin_release(found.pin);
    }
    mni_walk_close(walk);
    return st == MN_END ? MN_OK : st;
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
