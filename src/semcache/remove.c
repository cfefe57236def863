/*
 * remove.c - deleting entries, one or those that match, and dropping tenants.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as mneme/semcache.h says.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "semcache/cache_private.h"

enum { CLEARED_AT_ONCE = 512 };

/* One entry ---------- */

/* Marks the entry with the id, if there is one; latch held. */
static mn_status leave_one(struct change *change, uint64_t number, uint64_t id, bool *may_be_out)
{
    struct mni_semcache *cache = change->cache;
    struct entry *entry = NULL;

    mni_rwlock_write(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    if (tenant != NULL)
        entry = roster_find(tenant, id);
    bool is_there = entry != NULL && !entry_has_expired(entry, mni_engine_now_us(cache->engine));
    mn_status st = is_there ? change_expect(change, 1) : MN_OK;
    if (is_there && st == MN_OK) {
        change_leave(change, entry);
        change_hold(change);
    }
    /* What could not be read can still be deleted. */
    *may_be_out = is_there || (tenant != NULL && tenant->n_unreadable > 0);
    mni_rwlock_unlock(&cache->roster_lock);
    return st;
}

static mn_status commit_delete(struct mni_semcache *cache, uint64_t tenant, uint64_t id, mn_ack ack,
                               bool *existed_out, uint64_t *lsn_out, struct mn_error *err)
{
    const struct entry_key key = entry_key(id);
    const struct mni_record record = {.type = MNI_RECORD_DELETE, .key = entry_key_slice(&key)};
    struct mni_batch *batch = NULL;
    size_t index = 0;
    size_t op = 0;
    mn_status st = cache_new_batch(cache, &batch, err);

    if (st == MN_OK)
        st = cache_name_tenant(batch, tenant, false, &index, err);
    if (st == MN_OK)
        st = mni_batch_add(batch, index, &record, MNI_ALWAYS, 0, &op, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, lsn_out, err);
    *existed_out = st == MN_OK && mni_batch_existed(batch, op);
    mni_batch_free(batch);
    return st;
}

mn_status mni_semcache_delete(struct mni_semcache *cache, uint64_t tenant, uint64_t id, mn_ack ack,
                              uint64_t *lsn_out, struct mn_error *err)
{
    struct change change;
    bool may_be = false;
    bool existed = false;

    change_init(&change, cache);
    mni_rwlock_read(&cache->life);
    latch_add(&change.latches, latch_of_id(cache, tenant, id));
    latch_lock_all(cache, &change.latches);
    mn_status st = leave_one(&change, tenant, id, &may_be);
    if (st != MN_OK)
        st = mni_fail(err, st, "deleting");
    else if (may_be)
        st = commit_delete(cache, tenant, id, ack, &existed, lsn_out, err);
    else
        st = cache_answer(cache, tenant, ack, MN_OK, err);
    if (existed && change.n_leaving == 0)
        cache_forget_unreadable(cache, tenant);
    change_end(&change, st, 0);
    mni_rwlock_unlock(&cache->life);
    return st == MN_OK && !existed ? mni_fail(err, MN_NOT_FOUND, "there is none") : st;
}

/* Those that match ---------- */

struct match {
    uint64_t id;
    uint64_t lsn;
};

static bool matches(const struct entry *entry, const struct mn_semcache_filter *f)
{
    if ((f->fields & MN_SEMCACHE_BY_KEY) != 0 &&
        (!entry->has_key || memcmp(entry->key, f->key, sizeof entry->key) != 0))
        return false;
    if ((f->fields & MN_SEMCACHE_BY_AGE) != 0 && entry->time_us >= f->before_us)
        return false;
    return roster_in_scope(entry, (f->fields & MN_SEMCACHE_BY_MODEL) != 0 ? &f->model : NULL,
                           (f->fields & MN_SEMCACHE_BY_CONTEXT) != 0 ? &f->context : NULL);
}

/* Entries that match, from the cursor on. `n_seen_out` 0: there are no more. */
static size_t gather(struct mni_semcache *cache, uint64_t number,
                     const struct mn_semcache_filter *filter, uint64_t *cursor, struct entry **room,
                     struct match *matches_out, size_t n_max, size_t *n_seen_out)
{
    size_t n = 0;

    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    *n_seen_out = tenant != NULL ? roster_walk(tenant, cursor, room, n_max) : 0;
    for (size_t i = 0; i < *n_seen_out; i++)
        if (matches(room[i], filter))
            matches_out[n++] = (struct match){room[i]->id, room[i]->lsn};
    mni_rwlock_unlock(&cache->roster_lock);
    return n;
}

/* Those that are still the same leave; the latches are held, with which whoever changed them has
 * ended. */
static mn_status leave_matches(struct change *change, uint64_t number, const struct match *found,
                               size_t n)
{
    struct mni_semcache *cache = change->cache;
    mn_status st = change_expect(change, n);

    mni_rwlock_write(&cache->roster_lock);
    int64_t now_us = mni_engine_now_us(cache->engine);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    for (size_t i = 0; i < n && st == MN_OK && tenant != NULL; i++) {
        struct entry *entry = roster_find(tenant, found[i].id);
        if (entry != NULL && entry->lsn == found[i].lsn && !entry_has_expired(entry, now_us))
            change_leave(change, entry);
    }
    change_hold(change);
    mni_rwlock_unlock(&cache->roster_lock);
    return st;
}

/* One try. MN_END: some are damaged, which the roster has forgotten; again without them. */
static mn_status try_to_delete(struct mni_semcache *cache, uint64_t number,
                               const struct match *found, size_t n, mn_ack ack, uint64_t *n_out,
                               struct mn_error *err)
{
    struct change change;

    change_init(&change, cache);
    for (size_t i = 0; i < n; i++)
        latch_add(&change.latches, latch_of_id(cache, number, found[i].id));
    latch_lock_all(cache, &change.latches);
    mn_status st = leave_matches(&change, number, found, n);
    size_t n_leaving = change.n_leaving;
    if (st != MN_OK)
        st = mni_fail(err, st, "invalidating");
    if (st == MN_OK && n_leaving > 0)
        st = change_commit(&change, ack, err);
    if (st == MN_ERR_CORRUPT && change_forget_damaged(&change, 0))
        st = MN_END;
    change_end(&change, st, 0);
    if (st == MN_OK)
        *n_out += n_leaving;
    return st;
}

static mn_status delete_matches(struct mni_semcache *cache, uint64_t number,
                                const struct match *found, size_t n, mn_ack ack, uint64_t *n_out,
                                struct mn_error *err)
{
    mn_status st = MN_END;

    while (st == MN_END)
        st = try_to_delete(cache, number, found, n, ack, n_out, err);
    return st;
}

/* What cannot be read may match. */
static mn_status tell_unreadable(struct mni_semcache *cache, uint64_t number, struct mn_error *err)
{
    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    uint64_t n_unreadable = tenant != NULL ? tenant->n_unreadable : 0;
    mni_rwlock_unlock(&cache->roster_lock);
    if (n_unreadable == 0)
        return MN_OK;
    return mni_fail(err, MN_ERR_CORRUPT,
                    "%" PRIu64 " entries are damaged and stay until the tenant is dropped",
                    n_unreadable);
}

/* By key alone there is at most one. */
static mn_status invalidate_key(struct mni_semcache *cache, uint64_t number,
                                const struct mn_semcache_filter *filter, mn_ack ack,
                                uint64_t *n_out, struct mn_error *err)
{
    struct match found = {0};
    bool is_there = false;
    struct mni_latch *key = &cache->keys[latch_of_key(cache, number, filter->key)];

    mni_latch_lock(key);
    mni_rwlock_read(&cache->roster_lock);
    const struct tenant *tenant = roster_tenant(cache->roster, number);
    const struct entry *entry = tenant != NULL ? roster_find_key(tenant, filter->key) : NULL;
    if (entry != NULL && matches(entry, filter)) {
        found = (struct match){entry->id, entry->lsn};
        is_there = true;
    }
    mni_rwlock_unlock(&cache->roster_lock);
    mn_status st = is_there ? delete_matches(cache, number, &found, 1, ack, n_out, err) : MN_OK;
    mni_latch_unlock(key);
    return st;
}

static mn_status invalidate_each(struct mni_semcache *cache, uint64_t number,
                                 const struct mn_semcache_filter *filter, mn_ack ack,
                                 uint64_t *n_out, struct mn_error *err)
{
    struct entry **room = mni_alloc_array(DELETES_AT_ONCE, sizeof(struct entry *));
    struct match *found = mni_alloc_array(DELETES_AT_ONCE, sizeof *found);
    uint64_t cursor = 0;
    size_t n_seen = 1;
    mn_status st = MN_OK;

    if (room == NULL || found == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "invalidating");
    while (st == MN_OK && n_seen > 0) {
        size_t n = gather(cache, number, filter, &cursor, room, found, DELETES_AT_ONCE, &n_seen);
        if (n > 0)
            st = delete_matches(cache, number, found, n, ack, n_out, err);
    }
    mni_free(room);
    mni_free(found);
    return st;
}

mn_status mni_semcache_invalidate(struct mni_semcache *cache, uint64_t tenant,
                                  const struct mn_semcache_filter *filter, mn_ack ack,
                                  uint64_t *n_out, struct mn_error *err)
{
    bool by_key = (filter->fields & MN_SEMCACHE_BY_KEY) != 0;
    uint64_t n = 0;

    mni_rwlock_read(&cache->life);
    mn_status st = by_key ? invalidate_key(cache, tenant, filter, ack, &n, err)
                          : invalidate_each(cache, tenant, filter, ack, &n, err);
    if (st == MN_OK && n == 0)
        st = cache_answer(cache, tenant, ack, st, err);
    if (st == MN_OK)
        st = tell_unreadable(cache, tenant, err);
    mni_rwlock_unlock(&cache->life);
    if (n_out != NULL)
        *n_out = n;
    return st;
}

/* Tenants ---------- */

/* From before the commit on entries are loaded through the store: it knows when they are gone. */
static void set_going(struct mni_semcache *cache, uint64_t number, bool is_going)
{
    mni_rwlock_write(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    if (tenant != NULL)
        tenant->is_going = is_going;
    mni_rwlock_unlock(&cache->roster_lock);
}

/* The memory of what was dropped, in slices. */
static void clear_dropped(struct mni_semcache *cache)
{
    size_t n = 1;

    while (n > 0) {
        mni_rwlock_write(&cache->roster_lock);
        n = roster_clear_dropped(cache->roster, CLEARED_AT_ONCE);
        mni_rwlock_unlock(&cache->roster_lock);
        mni_rwlock_yield(&cache->roster_lock);
    }
}

/* Life lock held alone. */
static mn_status drop(struct mni_semcache *cache, uint64_t number, mn_ack ack, bool *existed_out,
                      uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    size_t index = 0;
    mn_status st = cache_new_batch(cache, &batch, err);

    set_going(cache, number, true);
    if (st == MN_OK)
        st = cache_name_tenant(batch, number, false, &index, err);
    if (st == MN_OK) {
        mni_batch_drop(batch, index);
        st = mni_batch_commit(batch, ack, lsn_out, err);
    }
    *existed_out = st == MN_OK && mni_batch_collection_existed(batch, index);
    mni_batch_free(batch);
    if (st != MN_OK) {
        set_going(cache, number, false);
        return st;
    }
    mni_rwlock_write(&cache->roster_lock);
    struct tenant *tenant = roster_tenant(cache->roster, number);
    if (tenant != NULL)
        roster_drop_tenant(cache->roster, tenant);
    mni_rwlock_unlock(&cache->roster_lock);
    clear_dropped(cache);
    cache_settle_tell(cache);
    return st;
}

mn_status mni_semcache_drop_tenant(struct mni_semcache *cache, uint64_t tenant, mn_ack ack,
                                   bool *existed_out, uint64_t *lsn_out, struct mn_error *err)
{
    bool existed = false;

    mni_rwlock_write(&cache->life);
    mn_status st = drop(cache, tenant, ack, &existed, lsn_out, err);
    mni_rwlock_unlock(&cache->life);
    if (existed_out != NULL)
        *existed_out = existed;
    return st;
}

/* The first tenant from a number on that has nothing. */
static bool find_empty(struct mni_semcache *cache, uint64_t *number)
{
    const struct tenant *tenant;
    bool is_empty = false;

    mni_rwlock_write(&cache->roster_lock);
    while (roster_lapse(cache->roster, mni_engine_now_us(cache->engine), DELETES_AT_ONCE) > 0)
        ;
    tenant = roster_next_tenant(cache->roster, *number);
    while (tenant != NULL) {
        *number = tenant->number;
        is_empty = tenant->sums.n_entries == 0 && tenant->n_unreadable == 0 &&
                   !tenant->has_own_limits;
        if (is_empty || tenant->number == UINT64_MAX)
            break;
        tenant = roster_next_tenant(cache->roster, tenant->number + 1);
    }
    mni_rwlock_unlock(&cache->roster_lock);
    return is_empty;
}

mn_status mni_semcache_cleanup(struct mni_semcache *cache, mn_ack ack, uint64_t *n_out,
                               struct mn_error *err)
{
    uint64_t number = 0;
    uint64_t n = 0;
    bool existed = false;
    mn_status st = MN_OK;

    mni_rwlock_write(&cache->life);
    while (st == MN_OK && find_empty(cache, &number)) {
        st = drop(cache, number, ack, &existed, NULL, err);
        n += existed;
    }
    mni_rwlock_unlock(&cache->life);
    if (n_out != NULL)
        *n_out = n;
    return st;
}
