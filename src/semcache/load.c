/*
 * load.c - one entry by id or by key, and counting what was found.
 *
 * Owns:    nothing.
 * Threads: any; readers take no latch.
 * Fails:   MN_NOT_FOUND; MN_ERR_CORRUPT, with nothing of the entry shown; MN_ERR_BUDGET.
 */
#include <inttypes.h>
#include <string.h>

#include "semcache/cache_private.h"

enum { LINES_AHEAD = 8 }; /* of a payload, fetched while it is pinned */

mn_status cache_read_entry(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                           struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    unsigned char room[MNI_TENANT_KEY_BYTES];
    const struct entry_key key = entry_key(id);
    struct mni_found found;

    *handle_out = (struct mn_semcache_handle){0};
    mn_status st = mni_engine_get(cache->engine, MNI_KIND_TENANT, mni_tenant_key(tenant, room),
                                  entry_key_slice(&key), &found, err);
    if (st != MN_OK)
        return st;
    st = entry_of_found(&found, tenant, handle_out, err);
    if (st == MN_OK)
        handle_out->pin = found.pin;
    else
        mni_pin_release(found.pin);
    return st;
}

mn_status cache_count_pin(struct mni_semcache *cache, struct mn_semcache_handle *handle,
                          struct mn_error *err)
{
    /* The engine counts what the record says that is pinned. */
    struct mni_found found = {
        .record =
            {
                .element_type = handle->n_dims > 0 ? MNI_ELEMENT_F16 : MNI_ELEMENT_NONE,
                .n_dims = handle->n_dims,
                .key = {handle->key, ENTRY_KEY_BYTES},
                .metadata = {handle->model.data, HEAD_BYTES + handle->model.n_bytes},
                .payload = handle->payload,
            },
        .pin = handle->pin,
    };
    mn_status st = mni_found_pin(cache->engine, &found, err);

    handle->pin = found.pin;
    if (st != MN_OK)
        *handle = (struct mn_semcache_handle){0};
    return st;
}

static void show_hits(const struct entry *entry, struct mn_semcache_handle *handle)
{
    handle->hits = atomic_load_explicit(&entry->n_hits, memory_order_relaxed);
    handle->last_hit_us =
        (int64_t)atomic_load_explicit(&entry->last_hit_s, memory_order_relaxed) * 1000000;
}

static void count_hit(struct mni_semcache *cache, struct tenant *tenant, enum hit_kind kind)
{
    atomic_fetch_add_explicit(&tenant->counts.n_hits[kind], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->counts.n_hits[kind], 1, memory_order_relaxed);
}

/* Counts a hit of the entry, if it is the one that was read. `is_known_out`: it is known where it
 * lies. */
static void hit_entry(struct mni_semcache *cache, enum hit_kind kind,
                      struct mn_semcache_handle *handle, bool *is_known_out)
{
    mni_rwlock_read(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, handle->tenant);
    struct entry *entry = tenant != NULL ? roster_find(tenant, handle->id) : NULL;
    *is_known_out = true;
    if (entry != NULL && entry->lsn == handle->lsn) {
        *is_known_out = entry->place.serial == mni_pin_serial(handle->pin);
        show_hits(entry, handle);
        roster_hit(cache->roster, entry, mni_engine_now_us(cache->engine));
    }
    if (tenant != NULL)
        count_hit(cache, tenant, kind);
    else
        atomic_fetch_add_explicit(&cache->counts.n_hits[kind], 1, memory_order_relaxed);
    mni_rwlock_unlock(&cache->roster_lock);
}

/* Where an entry lies ----------
 *
 * A segment is never changed, and what was checked in it stays so: an entry that was read there
 * once is found again by the roster alone, as long as the store is made of this segment.
 */

static void note_place(struct mni_semcache *cache, const struct mn_semcache_handle *handle)
{
    mni_rwlock_write(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, handle->tenant);
    struct entry *entry = tenant != NULL ? roster_find(tenant, handle->id) : NULL;
    if (entry != NULL && entry->lsn == handle->lsn)
        entry->place = (struct entry_place){
            .serial = mni_pin_serial(handle->pin),
            .model = handle->model.data,
            .key = handle->key,
            .payload = handle->payload.data,
            .embedding = handle->embedding,
            .n_dims = handle->n_dims,
            .payload_bytes = (uint32_t)handle->payload.n_bytes,
            .model_bytes = (uint16_t)handle->model.n_bytes,
            .expires = (handle->fields & MN_HAS_EXPIRES_AT) != 0,
        };
    mni_rwlock_unlock(&cache->roster_lock);
}

static void set_handle(const struct entry *entry, struct mn_semcache_handle *handle_out)
{
    const struct entry_place *place = &entry->place;

    *handle_out = (struct mn_semcache_handle){
        .tenant = entry->tenant->number,
        .id = entry->id,
        .context = entry->context,
        .lsn = entry->lsn,
        .key = place->key,
        .model = {place->model, place->model_bytes},
        .payload = {place->payload, place->payload_bytes},
        .embedding = place->embedding,
        .n_dims = place->n_dims,
        .fields = place->expires ? MN_HAS_EXPIRES_AT : 0,
        .event_time_us = entry->time_us,
        .expires_at_us = place->expires ? entry->expires_at_us : 0,
    };
}

/* An entry that is loaded where it was found before. What is being changed is not: whether the
 * commit is there is for the store to say. */
static bool is_in_place(const struct entry *entry, int64_t now_us)
{
    return entry != NULL && entry->place.serial != 0 && entry->state == ENTRY_THERE &&
           !entry->tenant->is_going && !entry_has_expired(entry, now_us);
}

/* Roster lock held. MN_NOT_FOUND: it is to be read from the store. */
static mn_status load_in_place(struct mni_semcache *cache, struct entry *entry, enum hit_kind kind,
                               struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    int64_t now_us = mni_engine_now_us(cache->engine);

    if (!is_in_place(entry, now_us))
        return MN_NOT_FOUND;
    for (int i = 0; i < LINES_AHEAD; i++)
        __builtin_prefetch(entry->place.payload + (ptrdiff_t)64 * i);
    void *pin = mni_engine_pin_serial(cache->engine, entry->place.serial);
    if (pin == NULL)
        return MN_NOT_FOUND;
    set_handle(entry, handle_out);
    handle_out->pin = pin;
    show_hits(entry, handle_out);
    mn_status st = cache_count_pin(cache, handle_out, err);
    if (st != MN_OK)
        return st;
    roster_hit(cache->roster, entry, now_us);
    count_hit(cache, entry->tenant, kind);
    return MN_OK;
}

static mn_status load_known(struct mni_semcache *cache, uint64_t number, uint64_t id,
                            struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    mni_rwlock_read(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    struct entry *entry = tenant != NULL ? roster_find(tenant, id) : NULL;
    mn_status st = load_in_place(cache, entry, HIT_ID, handle_out, err);
    mni_rwlock_unlock(&cache->roster_lock);
    return st;
}

static mn_status load_known_key(struct mni_semcache *cache, uint64_t number,
                                const unsigned char *key, struct mn_semcache_handle *handle_out,
                                struct mn_error *err)
{
    mni_rwlock_read(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    struct entry *entry = tenant != NULL ? roster_find_key(tenant, key) : NULL;
    mn_status st = load_in_place(cache, entry, HIT_EXACT, handle_out, err);
    mni_rwlock_unlock(&cache->roster_lock);
    return st;
}

void cache_tell_hits(struct mni_semcache *cache, struct mn_semcache_handle *handle)
{
    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, handle->tenant);
    const struct entry *entry = tenant != NULL ? roster_find(tenant, handle->id) : NULL;
    if (entry != NULL && entry->lsn == handle->lsn)
        show_hits(entry, handle);
    mni_rwlock_unlock(&cache->roster_lock);
}

mn_status cache_give_hit(struct mni_semcache *cache, enum hit_kind kind,
                         struct mn_semcache_handle *handle, struct mn_error *err)
{
    mn_status st = cache_count_pin(cache, handle, err);

    bool is_known = true;

    if (st == MN_OK)
        hit_entry(cache, kind, handle, &is_known);
    if (!is_known)
        note_place(cache, handle);
    return st;
}

static void count_in_tenant(struct mni_semcache *cache, uint64_t number, bool is_error)
{
    mni_rwlock_read(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    if (tenant != NULL)
        atomic_fetch_add(is_error ? &tenant->counts.n_errors : &tenant->counts.n_misses, 1);
    mni_rwlock_unlock(&cache->roster_lock);
}

void cache_count_miss(struct mni_semcache *cache, uint64_t tenant)
{
    count_in_tenant(cache, tenant, false);
    atomic_fetch_add(&cache->counts.n_misses, 1);
}

void cache_count_error(struct mni_semcache *cache, uint64_t tenant)
{
    count_in_tenant(cache, tenant, true);
    atomic_fetch_add(&cache->counts.n_errors, 1);
}

/* Counts what a load answers when it found nothing. */
static mn_status answer(struct mni_semcache *cache, uint64_t tenant, mn_status st,
                        struct mn_error *err)
{
    if (st == MN_NOT_FOUND) {
        cache_count_miss(cache, tenant);
        return mni_fail(err, st, "there is none");
    }
    if (st == MN_ERR_CORRUPT)
        cache_count_error(cache, tenant);
    return st;
}

mn_status mni_semcache_load(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                            enum mni_semcache_count count, struct mn_semcache_handle *handle_out,
                            struct mn_error *err)
{
    mn_status st = MN_NOT_FOUND;

    if (count == MNI_SEMCACHE_COUNT)
        st = load_known(cache, tenant, id, handle_out, err);
    if (st != MN_NOT_FOUND)
        return st;
    st = cache_read_entry(cache, tenant, id, handle_out, err);
    if (count == MNI_SEMCACHE_COUNT)
        return st == MN_OK ? cache_give_hit(cache, HIT_ID, handle_out, err)
                           : answer(cache, tenant, st, err);
    if (st == MN_OK)
        st = cache_count_pin(cache, handle_out, err);
    if (st == MN_OK)
        cache_tell_hits(cache, handle_out);
    return st == MN_NOT_FOUND ? mni_fail(err, st, "there is none") : st;
}

/* The id of the entry with a key, and which one it is. MN_NOT_FOUND. */
static mn_status find_key(struct mni_semcache *cache, uint64_t number, const unsigned char *key,
                          uint64_t *id_out, uint64_t *lsn_out, struct mn_error *err)
{
    uint64_t n_unreadable = 0;

    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    const struct entry *entry = tenant != NULL ? roster_find_key(tenant, key) : NULL;
    if (entry != NULL) {
        *id_out = entry->id;
        *lsn_out = entry->lsn;
    } else if (tenant != NULL) {
        n_unreadable = tenant->n_unreadable;
    }
    mni_rwlock_unlock(&cache->roster_lock);
    if (entry != NULL)
        return MN_OK;
    if (n_unreadable == 0)
        return MN_NOT_FOUND;
    return mni_fail(err, MN_ERR_CORRUPT,
                    "%" PRIu64 " entries of the tenant are damaged; one of them may have the key",
                    n_unreadable);
}

mn_status cache_read_exact(struct mni_semcache *cache, uint64_t tenant, const unsigned char *key,
                           struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    struct mni_latch *latch = &cache->keys[latch_of_key(cache, tenant, key)];
    uint64_t id = 0;
    uint64_t lsn = 0;
    uint64_t last_lsn = 0; /* none has it */
    mn_status st;

    *handle_out = (struct mn_semcache_handle){0};
    for (;;) {
        st = find_key(cache, tenant, key, &id, &lsn, err);
        if (st != MN_OK)
            return st;
        st = cache_read_entry(cache, tenant, id, handle_out, err);
        if (st == MN_OK && handle_out->key != NULL &&
            memcmp(handle_out->key, key, MN_SEMCACHE_KEY_BYTES) == 0)
            return MN_OK;
        if (st != MN_OK && st != MN_NOT_FOUND)
            return st;
        handle_release(handle_out);
        if (lsn == last_lsn)
            return MN_NOT_FOUND;
        last_lsn = lsn;
        /* It was replaced or deleted, which the index does not show yet. Who stores another entry
         * with the key has its latch until it does. */
        mni_latch_lock(latch);
        mni_latch_unlock(latch);
    }
}

mn_status mni_semcache_load_exact(struct mni_semcache *cache, uint64_t tenant,
                                  const unsigned char *key, struct mn_semcache_handle *handle_out,
                                  struct mn_error *err)
{
    mn_status st = load_known_key(cache, tenant, key, handle_out, err);

    if (st != MN_NOT_FOUND)
        return st;
    st = cache_read_exact(cache, tenant, key, handle_out, err);
    return st == MN_OK ? cache_give_hit(cache, HIT_EXACT, handle_out, err)
                       : answer(cache, tenant, st, err);
}

mn_status mni_semcache_exists(struct mni_semcache *cache, uint64_t tenant, uint64_t id,
                              bool *exists_out, struct mn_error *err)
{
    struct mn_semcache_handle handle;
    mn_status st = cache_read_entry(cache, tenant, id, &handle, err);

    *exists_out = st == MN_OK;
    handle_release(&handle);
    return st == MN_NOT_FOUND ? MN_OK : st;
}
