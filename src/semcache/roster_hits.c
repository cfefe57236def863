/*
 * roster_hits.c - counts hits, and lists the entries that had some since they were last written.
 *
 * Owns:    the list, linked through the entries.
 * Threads: hits come under the read side of the roster's lock, all else has the write side.
 * Fails:   never.
 */
#include "semcache/roster_private.h"

static uint32_t seconds_of(int64_t us)
{
    int64_t s = us / 1000000;

    return s < 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

static void count(struct entry *entry)
{
    uint32_t n_hits = atomic_load_explicit(&entry->n_hits, memory_order_relaxed);

    while (n_hits < UINT32_MAX &&
           !atomic_compare_exchange_weak_explicit(&entry->n_hits, &n_hits, n_hits + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* A clock that goes back changes nothing: values only grow. */
static void note_time(struct entry *entry, uint32_t now_s)
{
    uint32_t last_s = atomic_load_explicit(&entry->last_hit_s, memory_order_relaxed);

    while (last_s < now_s &&
           !atomic_compare_exchange_weak_explicit(&entry->last_hit_s, &last_s, now_s,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* Links an entry, where nobody has done so. */
static void make_dirty(struct roster *roster, struct entry *entry)
{
    if (atomic_load_explicit(&entry->is_dirty, memory_order_relaxed) ||
        atomic_exchange_explicit(&entry->is_dirty, true, memory_order_relaxed))
        return;
    mni_latch_lock(&roster->dirty_lock);
    entry->dirty_next = NULL;
    entry->dirty_previous = roster->dirty_last;
    if (roster->dirty_last != NULL)
        roster->dirty_last->dirty_next = entry;
    else
        roster->dirty_first = entry;
    roster->dirty_last = entry;
    mni_latch_unlock(&roster->dirty_lock);
}

void roster_hits_forget(struct roster *roster, struct entry *entry)
{
    if (!atomic_load_explicit(&entry->is_dirty, memory_order_relaxed))
        return;
    mni_latch_lock(&roster->dirty_lock);
    if (entry->dirty_previous != NULL)
        entry->dirty_previous->dirty_next = entry->dirty_next;
    else
        roster->dirty_first = entry->dirty_next;
    if (entry->dirty_next != NULL)
        entry->dirty_next->dirty_previous = entry->dirty_previous;
    else
        roster->dirty_last = entry->dirty_previous;
    entry->dirty_next = NULL;
    entry->dirty_previous = NULL;
    mni_latch_unlock(&roster->dirty_lock);
    atomic_store_explicit(&entry->is_dirty, false, memory_order_relaxed);
}

void roster_hit(struct roster *roster, struct entry *entry, int64_t now_us)
{
    MNI_CHECK(entry_is_found(entry));
    count(entry);
    note_time(entry, seconds_of(now_us));
    make_dirty(roster, entry);
}

size_t roster_take_hits(struct roster *roster, struct roster_hits *hits_out, size_t n_max)
{
    size_t n = 0;

    for (struct entry *entry = roster->dirty_first, *next = NULL; entry != NULL && n < n_max;
         entry = next) {
        next = entry->dirty_next;
        if (entry->state != ENTRY_THERE)
            continue;
        if (entry->tenant->is_dropped) {
            roster_hits_forget(roster, entry);
            continue;
        }
        hits_out[n++] = (struct roster_hits){
            .tenant = entry->tenant->number,
            .id = entry->id,
            .lsn = entry->lsn,
            .n_hits = atomic_load_explicit(&entry->n_hits, memory_order_relaxed),
            .last_hit_s = atomic_load_explicit(&entry->last_hit_s, memory_order_relaxed)};
        roster_hits_forget(roster, entry);
        (void)roster_heaps_revalue(roster, entry);
    }
    return n;
}

void roster_give_hits_back(struct roster *roster, const struct roster_hits *hits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct tenant *tenant = roster_tenant(roster, hits[i].tenant);
        struct entry *entry = tenant == NULL ? NULL : roster_find(tenant, hits[i].id);
        if (entry != NULL && entry->lsn == hits[i].lsn)
            make_dirty(roster, entry);
    }
}
