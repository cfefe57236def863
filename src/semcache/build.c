/*
 * build.c - what the store holds becomes the roster.
 *
 * A store that was salvaged may hold entries whose delete was lost, and so two with one exact key:
 * the newer one has it, and the other goes. One that was exported without metadata holds what is
 * left of entries: these go, too.
 *
 * Owns:    nothing; nobody else has the cache yet.
 * Threads: one.
 * Fails:   MN_ERR_NOMEM, MN_ERR_IO. An entry that cannot be read is no failure: it is counted.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "semcache/cache_private.h"

enum { TENANTS_AT_ONCE = 256 };

/* Entries of a tenant whose key a newer one has, or that have lost their answers. */
struct losers {
    uint64_t *ids; /* owned */
    size_t n;
    size_t capacity;
};

static mn_status add_loser(struct losers *losers, uint64_t id, struct mn_error *err)
{
    if (losers->n == losers->capacity) {
        size_t capacity = losers->capacity == 0 ? 16 : losers->capacity * 2;
        uint64_t *ids = mni_realloc(losers->ids, capacity * sizeof *ids);
        if (ids == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "the index of the cache");
        losers->ids = ids;
        losers->capacity = capacity;
    }
    losers->ids[losers->n++] = id;
    return MN_OK;
}

static mn_status delete_losers(struct mni_semcache *cache, uint64_t tenant,
                               const struct losers *losers, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    size_t index = 0;
    mn_status st = cache_new_batch(cache, &batch, err);

    if (st == MN_OK)
        st = cache_name_tenant(batch, tenant, false, &index, err);
    for (size_t i = 0; i < losers->n && st == MN_OK; i++) {
        const struct entry_key key = entry_key(losers->ids[i]);
        const struct mni_record record = {.type = MNI_RECORD_DELETE, .key = entry_key_slice(&key)};
        st = mni_batch_add(batch, index, &record, MNI_ALWAYS, 0, NULL, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, err);
    mni_batch_free(batch);
    return st;
}

static mn_status hide_losers(struct mni_semcache *cache, uint64_t tenant,
                             const struct losers *losers, struct mn_error *err)
{
    struct hidden *hidden =
        mni_realloc(cache->hidden, (cache->n_hidden + losers->n) * sizeof *hidden);

    if (hidden == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "the index of the cache");
    cache->hidden = hidden;
    for (size_t i = 0; i < losers->n; i++)
        hidden[cache->n_hidden++] = (struct hidden){tenant, losers->ids[i]};
    return MN_OK;
}

/* Who loses is in no roster, and goes from the store, or is hidden where that cannot be. */
static mn_status end_losers(struct mni_semcache *cache, uint64_t tenant,
                            const struct losers *losers, struct mn_error *err)
{
    if (losers->n == 0 || (!mni_engine_is_read_only(cache->engine) &&
                           delete_losers(cache, tenant, losers, NULL) == MN_OK))
        return MN_OK;
    return hide_losers(cache, tenant, losers, err);
}

static int by_tenant_and_id(const void *a, const void *b)
{
    const struct hidden *x = a;
    const struct hidden *y = b;

    if (x->tenant != y->tenant)
        return x->tenant < y->tenant ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

bool cache_hides(struct mni_semcache *cache, uint64_t number, uint64_t id)
{
    const struct hidden key = {number, id};

    if (cache->n_hidden == 0 ||
        bsearch(&key, cache->hidden, cache->n_hidden, sizeof key, by_tenant_and_id) == NULL)
        return false;
    /* Another one may have been stored in its place. */
    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    bool hides = tenant == NULL || roster_find(tenant, id) == NULL;
    mni_rwlock_unlock(&cache->roster_lock);
    return hides;
}

/* False: another one has the key, and is newer. */
static mn_status contest_key(struct mni_semcache *cache, const struct tenant *tenant,
                             const struct mn_semcache_handle *handle, struct losers *losers,
                             bool *wins_out, struct mn_error *err)
{
    struct entry *other = handle->key != NULL ? roster_find_key(tenant, handle->key) : NULL;

    *wins_out = other == NULL || other->lsn < handle->lsn;
    if (other == NULL)
        return MN_OK;
    mn_status st = add_loser(losers, *wins_out ? other->id : handle->id, err);
    if (st == MN_OK && *wins_out) {
        roster_leave(cache->roster, other);
        roster_remove(cache->roster, other);
    }
    return st;
}

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
                            const struct mni_found *found, struct losers *losers,
                            struct mn_error *err)
{
    struct mn_semcache_handle handle;
    struct entry *entry = NULL;
    uint64_t *signs = NULL;
    bool wins = true;
    mn_status st = entry_of_found(found, tenant->number, &handle, err);

    if (st == MN_NOT_FOUND) /* its answer is not in this copy of the store */
        return add_loser(losers, entry_id_of_key(found->record.key), err);
    if (st == MN_OK && handle.n_dims != 0 && tenant->n_dims != 0 && handle.n_dims != tenant->n_dims)
        st = mni_fail(err, MN_ERR_CORRUPT, "embeddings of a tenant differ in size");
    if (st == MN_OK)
        st = contest_key(cache, tenant, &handle, losers, &wins, err);
    if (st != MN_OK || !wins)
        return st;
    if (entry_signs(handle.embedding, handle.n_dims, &signs) != MN_OK)
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
                             const struct mni_found *found, struct losers *losers,
                             struct mn_error *err)
{
    const struct mn_slice key = found->record.key;

    if (key.n_bytes == BUDGET_KEY_BYTES && memcmp(key.data, budget_key, BUDGET_KEY_BYTES) == 0)
        return take_budget(tenant, &found->record, err);
    return take_entry(cache, tenant, found, losers, err);
}

static mn_status walk_tenant(struct mni_semcache *cache, struct tenant *tenant,
                             struct mni_walk *walk, struct mn_error *err)
{
    struct losers losers = {0};
    struct mni_found found;
    mn_status st = MN_OK;

    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st == MN_OK) {
            st = take_record(cache, tenant, &found, &losers, err);
            mni_pin_release(found.pin);
        }
        /* Damaged: the next step goes on behind it. */
        if (st == MN_ERR_CORRUPT) {
            tenant->n_unreadable++;
            st = MN_OK;
        }
    }
    if (st == MN_END)
        st = end_losers(cache, tenant->number, &losers, err);
    mni_free(losers.ids);
    return st;
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
    if (st == MN_OK) {
        tenant->stored_dims = collection.dimension;
        st = mni_walk_start(walk, collection.number, err);
    }
    if (st == MN_OK)
        st = walk_tenant(cache, tenant, walk, err);
    mni_walk_close(walk);
    return st;
}

mn_status cache_build(struct mni_semcache *cache, struct mn_error *err)
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
    if (cache->n_hidden > 0)
        qsort(cache->hidden, cache->n_hidden, sizeof *cache->hidden, by_tenant_and_id);
    return st;
}
