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
        st = cache_name_tenant(batch, entry->tenant->number, false, &index, err);
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

/* Room ---------- */

static void add(struct roster_sums *sums, const struct entry *entry)
{
    sums->n_entries++;
    sums->bytes += entry->bytes;
}

/* What is left of the sums when an entry takes room there. */
static void take(struct roster_sums *sums, const struct entry *entry)
{
    sums->n_entries -= sums->n_entries > 0;
    sums->bytes -= sums->bytes < entry->bytes ? sums->bytes : entry->bytes;
}

static void move(struct roster_sums *to, const struct roster_sums *by, bool is_more)
{
    MNI_CHECK(is_more || (to->n_entries >= by->n_entries && to->bytes >= by->bytes));
    to->n_entries += is_more ? by->n_entries : 0 - by->n_entries;
    to->bytes += is_more ? by->bytes : 0 - by->bytes;
}

/* The fresh one takes the place of what leaves its tenant, and of what leaves the cache. */
static void change_room(const struct change *change, bool is_more)
{
    const struct entry *fresh = change->fresh;
    struct roster_sums beside = {0}; /* the fresh one */
    struct roster_sums all = {0};

    for (size_t i = 0; i < change->n_leaving; i++) {
        const struct entry *entry = change->leaving[i];
        struct roster_sums one = {0};
        add(&one, entry);
        add(&all, entry);
        if (fresh != NULL && fresh->tenant == entry->tenant)
            add(&beside, entry);
        else
            move(&entry->tenant->held, &one, is_more);
    }
    if (fresh != NULL) {
        take(&beside, fresh);
        take(&all, fresh);
        move(&fresh->tenant->held, &beside, is_more);
    }
    move(&change->cache->held, &all, is_more);
}

void change_hold(struct change *change)
{
    MNI_CHECK(!change->holds);
    change_room(change, true);
    change->holds = true;
}

/* Ends ---------- */

static bool is_damaged(struct mni_semcache *cache, const struct entry *entry)
{
    struct mn_semcache_handle handle;
    mn_status st = cache_read_entry(cache, entry->tenant->number, entry->id, &handle, NULL);

    handle_release(&handle);
    return st == MN_ERR_CORRUPT;
}

mn_status change_commit(struct change *change, mn_ack ack, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    mn_status st = cache_new_batch(change->cache, &batch, err);

    if (st == MN_OK)
        st = change_add_deletes(change, batch, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, NULL, err);
    mni_batch_free(batch);
    return st;
}

bool change_forget_damaged(struct change *change, size_t first)
{
    struct mni_semcache *cache = change->cache;
    size_t n_damaged = 0;

    /* Behind the others, where they are cut off. */
    for (size_t i = change->n_leaving; i-- > first;) {
        struct entry *entry = change->leaving[i];
        if (!is_damaged(cache, entry))
            continue;
        n_damaged++;
        change->leaving[i] = change->leaving[change->n_leaving - n_damaged];
        change->leaving[change->n_leaving - n_damaged] = entry;
    }
    mni_rwlock_write(&cache->roster_lock);
    change_room(change, false);
    change->holds = false;
    for (size_t i = 0; i < n_damaged; i++) {
        struct entry *entry = change->leaving[--change->n_leaving];
        change->n_evicted -= change->n_evicted > 0;
        entry->tenant->n_unreadable++;
        roster_remove(cache->roster, entry);
    }
    mni_rwlock_unlock(&cache->roster_lock);
    return n_damaged > 0;
}

void change_undo(struct change *change)
{
    struct roster *roster = change->cache->roster;

    MNI_CHECK(!change->holds);
    for (size_t i = 0; i < change->n_leaving; i++)
        roster_stay(roster, change->leaving[i]);
    if (change->fresh != NULL)
        roster_cancel(roster, change->fresh);
    change->n_leaving = 0;
    change->n_evicted = 0;
    change->fresh = NULL;
}

void change_end(struct change *change, mn_status status, uint64_t lsn)
{
    struct mni_semcache *cache = change->cache;
    bool is_empty = change->n_leaving == 0 && change->fresh == NULL;
    bool is_done = status == MN_OK;

    mni_rwlock_write(&cache->roster_lock);
    if (change->holds)
        change_room(change, false);
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
            cache_tenant_is_made(tenant);
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
    if (!is_empty)
        cache_settle_tell(cache);
    mni_free(change->leaving);
    change_init(change, cache);
}
