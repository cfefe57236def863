/*
 * change.c - a commit that removes entries, and may store one: the roster before and after it.
 *
 * Owns:    the latches of the ids, from the lock to the end.
 * Threads: one for each change.
 * Fails:   MN_ERR_NOMEM, and what a batch fails with; change_end does not.
 */
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "semcache/cache_private.h"

void change_init(struct change *change, struct mni_semcache *cache)
{
    *change = (struct change){.cache = cache};
}

mn_status change_expect(struct change *change, size_t n)
{
    if (change->capacity - change->n_leaving >= n)
        return MN_OK;
    size_t capacity = (change->n_leaving + n) * 2;
    struct entry **leaving = mni_realloc(change->leaving, capacity * sizeof *leaving);
    if (leaving == NULL)
        return MN_ERR_NOMEM;
    change->leaving = leaving;
    change->capacity = capacity;
    return MN_OK;
}

void change_leave(struct change *change, struct entry *entry)
{
    MNI_CHECK(change->n_leaving < change->capacity);
    roster_leave(change->cache->roster, entry);
    change->leaving[change->n_leaving++] = entry;
}

/* The fresh one takes its place. */
static bool is_replaced(const struct change *change, const struct entry *entry)
{
    return change->fresh != NULL && change->fresh->id == entry->id &&
           change->fresh->tenant == entry->tenant;
}

mn_status change_add_deletes(struct change *change, struct mni_batch *batch, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < change->n_leaving && st == MN_OK; i++) {
        const struct entry *entry = change->leaving[i];
        const struct entry_key key = entry_key(entry->id);
        const struct mni_record record = {.type = MNI_RECORD_DELETE, .key = entry_key_slice(&key)};
        size_t index = 0;
        if (is_replaced(change, entry))
            continue;
        st = name_tenant(batch, entry->tenant->number, false, &index, err);
        if (st == MN_OK)
            st = mni_batch_add(batch, index, &record, MNI_ALWAYS, 0, NULL, err);
    }
    return st;
}

/* Whether the index is to hear of one that went. */
static bool is_told(const struct change *change, const struct entry *entry)
{
    return !(MNI_PLANTED("cache_replaced_key_kept") && entry->has_key &&
             !is_replaced(change, entry));
}

static void count_evictions(struct change *change)
{
    for (size_t i = change->n_leaving - change->n_evicted; i < change->n_leaving; i++)
        atomic_fetch_add(&change->leaving[i]->tenant->counts.n_evictions, 1);
    atomic_fetch_add(&change->cache->counts.n_evictions, change->n_evicted);
}

void change_end(struct change *change, mn_status status, uint64_t lsn)
{
    struct mni_semcache *cache = change->cache;
    bool is_done = status == MN_OK;

    mni_rwlock_write(&cache->roster_lock);
    if (is_done)
        count_evictions(change);
    for (size_t i = 0; i < change->n_leaving; i++)
        if (is_done && is_told(change, change->leaving[i]))
            roster_remove(cache->roster, change->leaving[i]);
        else
            roster_stay(cache->roster, change->leaving[i]);
    if (change->fresh != NULL && is_done) {
        struct tenant *tenant = change->fresh->tenant;
        if (!tenant->is_stored)
            tenant_is_made(tenant);
        if (change->fresh->has_signs)
            tenant->stored_dims = tenant->n_dims;
        if (change->fresh->id >= tenant->next_id && change->fresh->id < UINT64_MAX)
            tenant->next_id = change->fresh->id + 1;
        change->fresh->lsn = lsn;
        roster_publish(cache->roster, change->fresh);
    } else if (change->fresh != NULL) {
        roster_cancel(cache->roster, change->fresh);
    }
    mni_rwlock_unlock(&cache->roster_lock);
    latch_unlock_all(cache, &change->latches);
    settle_tell(cache);
    mni_free(change->leaving);
    change_init(change, cache);
}
