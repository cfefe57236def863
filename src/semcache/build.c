/*
 * build.c - what the store holds becomes the roster.
 *
 * A store that was salvaged may hold entries whose delete was lost, and so two with one exact key:
 * the newer one has it, and the other is found by its id alone.
 *
 * Owns:    nothing; nobody else has the cache yet.
 * Threads: one.
 * Fails:   MN_ERR_NOMEM, MN_ERR_IO. An entry that cannot be read is no failure: it is counted.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "semcache/cache_private.h"

enum { TENANTS_AT_ONCE = 256 };

/* Of two entries with one key the newer one has it; the other counts as damage. */
static mn_status contest_key(struct mni_semcache *cache, struct tenant *tenant,
                             const struct mn_semcache_handle *handle, struct mn_error *err)
{
    struct entry *other = handle->key != NULL ? roster_find_key(tenant, handle->key) : NULL;

    if (other == NULL)
        return MN_OK;
    if (other->lsn >= handle->lsn)
        return mni_fail(err, MN_ERR_CORRUPT, "two entries have one key");
    roster_leave(cache->roster, other);
    roster_remove(cache->roster, other);
    tenant->n_unreadable++;
    return MN_OK;
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
                            const struct mni_found *found, struct mn_error *err)
{
    struct mn_semcache_handle handle;
    struct entry *entry = NULL;
    uint64_t *signs = NULL;
    mn_status st = entry_of_found(found, tenant->number, &handle, err);

    if (st == MN_OK && handle.n_dims != 0 && tenant->n_dims != 0 && handle.n_dims != tenant->n_dims)
        st = mni_fail(err, MN_ERR_CORRUPT, "embeddings of a tenant differ in size");
    if (st == MN_OK)
        st = contest_key(cache, tenant, &handle, err);
    if (st != MN_OK)
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
    return st;
}
