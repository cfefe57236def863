/*
 * store.c - storing an entry: who takes whose place, making room, one commit.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as mn_semcache_store; a refused entry has changed nothing, but that tenants which were
 *          over a budget already, because it was lowered, may have got below it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "kernel/kernel.h"
#include "semcache/cache_private.h"

/* Answers of an attempt that has to be made again; they do not leave this file. */
static const mn_status look_again = MN_END;
static const mn_status wait_for_room = MN_ERR_BUSY;

enum { CORRUPT_MAX = 1000 };

struct storing {
    struct mni_semcache *cache;
    uint64_t tenant;
    const struct mni_semcache_entry *entry;
    mn_ack ack;
    struct roster_spec spec;
    struct entry_room room;
    uint64_t id;
    bool is_assigned;
    uint64_t holder_id; /* of the entry with the key */
    bool has_holder;
    bool has_old;        /* an entry that the roster knows has the id */
    bool was_unreadable; /* the id had an entry that the roster does not know */
    uint64_t n_settled;  /* before the attempt */
    unsigned n_corrupt;  /* ids that were assigned and lie in damaged parts */
    struct change change;
};

static mn_status fill_spec(struct storing *s, struct mn_error *err)
{
    const struct mni_semcache_entry *entry = s->entry;
    const struct mn_semcache_handle shape = {
        .key = entry->key,
        .model = entry->model,
        .n_dims = entry->n_dims,
        .payload = entry->payload,
    };
    struct mni_record record;
    uint64_t *signs = NULL;

    entry_to_record(entry, s->tenant, 0, &s->room, &record);
    mn_status st = entry_signs(entry->embedding, entry->n_dims, &signs);
    if (st != MN_OK)
        return mni_fail(err, st, "an embedding of %" PRIu32 " dimensions", entry->n_dims);
    s->spec = (struct roster_spec){
        .time_us = entry->event_time_us,
        .expires_at_us = entry->has_expiry ? entry->expires_at_us : INT64_MAX,
        .logical_bytes = entry_logical_bytes(&shape),
        .record_bytes = mni_record_encoded_bytes(&record),
        .key = entry->key,
        .context = entry->context,
        .model = entry->model,
        .signs = signs,
        .n_dims = entry->n_dims,
    };
    return MN_OK;
}

/* Roster lock held. */
static bool find_holder(const struct storing *s, const struct tenant *tenant, uint64_t *id_out)
{
    const struct entry *holder =
        tenant != NULL && s->entry->key != NULL ? roster_find_key(tenant, s->entry->key) : NULL;

    if (holder != NULL)
        *id_out = holder->id;
    return holder != NULL;
}

static uint64_t assign_id(struct tenant *tenant)
{
    while (roster_find(tenant, tenant->next_id) != NULL)
        tenant->next_id++;
    return tenant->next_id++;
}

/* Whose latches are to be had. */
static mn_status choose_id(struct storing *s, struct mn_error *err)
{
    struct mni_semcache *cache = s->cache;
    struct tenant *tenant = NULL;

    mni_rwlock_write(&cache->roster_lock);
    mn_status st = roster_add_tenant(cache->roster, s->tenant, &tenant);
    if (st == MN_OK) {
        s->has_holder = find_holder(s, tenant, &s->holder_id);
        s->is_assigned = !s->entry->has_id && !s->has_holder;
        s->id = s->entry->has_id ? s->entry->id : s->has_holder ? s->holder_id : assign_id(tenant);
    }
    mni_rwlock_unlock(&cache->roster_lock);
    return st == MN_OK ? st : mni_fail(err, st, "a tenant");
}

static mn_status judge(const struct storing *s, const struct entry *old, const struct entry *holder,
                       struct mn_error *err)
{
    int64_t now_us = mni_engine_now_us(s->cache->engine);
    bool is_old = old != NULL && !entry_has_expired(old, now_us);
    bool is_held = holder != NULL && !entry_has_expired(holder, now_us);

    switch (s->entry->mode) {
    case MN_SEMCACHE_OVERWRITE:
        return MN_OK;
    case MN_SEMCACHE_IF_ABSENT:
        if (is_old)
            return mni_fail(err, MN_EXISTS, "it exists");
        if (is_held)
            return mni_fail(err, MN_EXISTS, "entry %" PRIu64 " has the key", holder->id);
        return MN_OK;
    case MN_SEMCACHE_IF_LSN:
        if (is_old && old->lsn == s->entry->expected_lsn)
            return MN_OK;
        return mni_fail(err, MN_CHANGED, "it is not the one of LSN %" PRIu64,
                        s->entry->expected_lsn);
    }
    return MN_OK;
}

/* Roster lock held for writing, and the latches of id and holder. */
static mn_status begin(struct storing *s, struct mn_error *err)
{
    struct roster *roster = s->cache->roster;
    uint64_t holder_id = 0;
    struct tenant *tenant = roster_tenant(roster, s->tenant);

    if (tenant == NULL) /* another one that failed took it away */
        return look_again;
    cache_lapse(s->cache);
    bool has_holder = find_holder(s, tenant, &holder_id);
    if (has_holder != s->has_holder || (has_holder && holder_id != s->holder_id))
        return look_again;
    struct entry *old = roster_find(tenant, s->id);
    s->has_old = old != NULL;
    struct entry *holder = has_holder && holder_id != s->id ? roster_find(tenant, holder_id) : NULL;
    if (s->is_assigned && old != NULL)
        return look_again;
    mn_status st = judge(s, old, holder, err);
    if (st != MN_OK)
        return st;
    if (s->spec.n_dims != 0 && cache_dims_of(tenant) != 0 &&
        s->spec.n_dims != cache_dims_of(tenant))
        return mni_fail(err, MN_ERR_DIMENSION,
                        "embedding has %" PRIu32 " dimensions, the others "
                        "of the tenant have %" PRIu32,
                        s->spec.n_dims, cache_dims_of(tenant));
    st = cache_check_alone(s->cache, tenant,
                           s->spec.record_bytes + roster_overhead_bytes(s->spec.n_dims), err);
    if (st != MN_OK)
        return st;
    if (change_expect(&s->change, 2) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "an entry");
    s->spec.id = s->id;
    if (roster_reserve(roster, tenant, &s->spec, &s->change.fresh) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "the index of the cache");
    if (old != NULL)
        change_leave(&s->change, old);
    if (holder != NULL)
        change_leave(&s->change, holder);
    st = cache_make_room(&s->change, tenant, SIZE_MAX);
    return st == MN_ERR_NOMEM ? mni_fail(err, st, "making room in the cache") : st;
}

static mn_status commit(struct storing *s, struct mn_semcache_handle *handle_out, uint64_t *lsn_out,
                        struct mn_error *err)
{
    static const enum mni_condition conditions[] = {
        [MN_SEMCACHE_OVERWRITE] = MNI_ALWAYS,
        [MN_SEMCACHE_IF_ABSENT] = MNI_IF_ABSENT,
        [MN_SEMCACHE_IF_LSN] = MNI_IF_LSN,
    };
    struct mni_batch *batch = NULL;
    struct mni_record record;
    struct mni_found found;
    size_t index = 0;
    size_t op = 0;

    entry_to_record(s->entry, s->tenant, s->id, &s->room, &record);
    mn_status st = MN_OK;
    if (s->change.n_leaving > 0 && MNI_PLANTED("cache_evicts_before_it_stores"))
        st = change_commit(&s->change, s->ack, err);
    if (st == MN_OK)
        st = cache_new_batch(s->cache, &batch, err);
    if (st == MN_OK)
        st = cache_name_tenant(batch, s->tenant, true, &index, err);
    if (st == MN_OK)
        st = mni_batch_add(batch, index, &record,
                           s->is_assigned ? MNI_IF_ABSENT : conditions[s->entry->mode],
                           s->entry->expected_lsn, &op, err);
    if (st == MN_OK)
        st = change_add_deletes(&s->change, batch, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, s->ack, lsn_out, err);
    s->was_unreadable = st == MN_OK && !s->has_old && mni_batch_existed(batch, op);
    if (st == MN_OK && handle_out != NULL) {
        mni_batch_found(batch, op, &found);
        if (entry_of_found(&found, s->tenant, handle_out, NULL) == MN_OK)
            handle_out->pin = found.pin;
        else
            mni_pin_release(found.pin);
    }
    mni_batch_free(batch);
    /* One that cannot be read may have the id: the index does not know it. */
    bool is_taken = st == MN_EXISTS || (st == MN_ERR_CORRUPT && s->n_corrupt++ < CORRUPT_MAX);
    return is_taken && s->is_assigned && s->change.n_evicted == 0 ? look_again : st;
}

/* The latch of the key, if there is one, is held. */
static mn_status attempt(struct storing *s, struct mn_semcache_handle *handle_out,
                         struct mn_error *err)
{
    struct mni_semcache *cache = s->cache;
    uint64_t lsn = 0;
    mn_status st = choose_id(s, err);

    if (st != MN_OK)
        return st;
    change_init(&s->change, cache);
    latch_add(&s->change.latches, latch_of_id(cache, s->tenant, s->id));
    if (s->has_holder)
        latch_add(&s->change.latches, latch_of_id(cache, s->tenant, s->holder_id));
    latch_lock_all(cache, &s->change.latches);
    mni_rwlock_write(&cache->roster_lock);
    st = begin(s, err);
    if (st == MN_OK)
        change_hold(&s->change);
    else
        change_undo(&s->change);
    mni_rwlock_unlock(&cache->roster_lock);
    if (st == MN_OK)
        st = commit(s, handle_out, &lsn, err);
    if (st == MN_ERR_CORRUPT && s->change.n_evicted > 0 &&
        change_forget_damaged(&s->change, s->change.n_leaving - s->change.n_evicted))
        st = look_again;
    change_end(&s->change, st, lsn);
    if (s->was_unreadable)
        cache_forget_unreadable(cache, s->tenant);
    if (st != MN_OK && st != look_again)
        cache_forget_tenant(cache, s->tenant);
    return st > MN_OK && st != look_again ? cache_answer(cache, s->tenant, s->ack, st, err) : st;
}

static mn_status store_once(struct storing *s, struct mn_semcache_handle *handle_out,
                            struct mn_error *err)
{
    struct mni_semcache *cache = s->cache;
    struct mni_latch *key =
        s->entry->key != NULL ? &cache->keys[latch_of_key(cache, s->tenant, s->entry->key)] : NULL;

    s->n_settled = cache_settle_count(cache);
    s->was_unreadable = false;
    mni_rwlock_read(&cache->life);
    mn_status st = cache_make_room_at_last(cache, s->tenant, s->ack, err);
    if (st == MN_OK) {
        if (key != NULL)
            mni_latch_lock(key);
        st = attempt(s, handle_out, err);
        if (key != NULL)
            mni_latch_unlock(key);
    }
    mni_rwlock_unlock(&cache->life);
    return st;
}

mn_status mni_semcache_store(struct mni_semcache *cache, uint64_t tenant,
                             const struct mni_semcache_entry *entry, mn_ack ack,
                             struct mn_semcache_handle *handle_out, uint64_t *id_out,
                             struct mn_error *err)
{
    struct storing s = {.cache = cache, .tenant = tenant, .entry = entry, .ack = ack};
    mn_status st = fill_spec(&s, err);

    bool is_again = st == MN_OK;

    while (is_again) {
        st = store_once(&s, handle_out, err);
        if (st == wait_for_room)
            cache_settle_wait(cache, s.n_settled);
        is_again = st == look_again || st == wait_for_room;
    }
    if (id_out != NULL)
        *id_out = s.id;
    mni_free((void *)(uintptr_t)s.spec.signs);
    /* It is stored, whether the handle fits or not. */
    if (st == MN_OK && handle_out != NULL)
        mni_ignore(cache_count_pin(cache, handle_out, NULL));
    return st;
}
