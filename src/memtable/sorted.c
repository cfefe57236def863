/*
 * sorted.c - all that a view sees of a table, in order.
 *
 * A table that is written to segments is read once from end to end. Sorting an array for that takes
 * a tenth of the time of keeping a skip list, and no lock.
 *
 * Owns:    the array.
 * Threads: gathering under the read lock, sorting and reading without one.
 * Fails:   MN_ERR_NOMEM.
 */
#include <string.h>

#include "base/mem.h"
#include "memtable/memtable_private.h"

enum {
    BUCKETS_AT_ONCE = 64,
    ENTRIES_AT_ONCE = 96, /* more in so many buckets are read without having been fetched ahead */
    FEW = 12,             /* so few are sorted by insertion */
    AHEAD = 8,
};

mn_status mni_sorted_init(struct mni_sorted *sorted, struct mni_memtable *table,
                          struct mni_view_point view, const uint64_t *collections,
                          size_t n_collections)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    *sorted = (struct mni_sorted){
        .table = table,
        .view = view,
        .collections = collections,
        .n_collections = n_collections,
        .capacity = (size_t)table->entries.n_links,
    };
    sorted->versions = mni_alloc_array(sorted->capacity + 1, sizeof sorted->versions[0]);
    return sorted->versions == NULL ? MN_ERR_NOMEM : MN_OK;
}

void mni_sorted_done(struct mni_sorted *sorted)
{
    mni_free(sorted->versions);
    *sorted = (struct mni_sorted){0};
}

/* Gathering ---------- */

static void take(struct mni_sorted *sorted, const struct mni_entry *entry)
{
    struct mni_version *version = mni_entry_visible(entry, sorted->view);

    if (version == NULL ||
        !mni_contains_u64(sorted->collections, sorted->n_collections, entry->rows->collection))
        return;
    MNI_CHECK(sorted->n_versions < sorted->capacity); /* no keys are added meanwhile */
    sorted->versions[sorted->n_versions++] =
        (struct mni_sorted_version){.order = entry->rows->collection, .version = version};
}

/* Entries, and then their versions, are fetched side by side, not one after the other. */
bool mni_sorted_gather(struct mni_sorted *sorted)
{
    const struct buckets *buckets = &sorted->table->entries;
    const struct mni_entry *entries[ENTRIES_AT_ONCE];
    uint64_t end = sorted->n_buckets_done + BUCKETS_AT_ONCE;
    size_t n = 0;

    if (end > buckets->n_buckets)
        end = buckets->n_buckets;
    for (uint64_t i = sorted->n_buckets_done; i < end; i++)
        __builtin_prefetch(*(struct hash_link **)slots_at(&buckets->slots, i));
    for (uint64_t i = sorted->n_buckets_done; i < end; i++) {
        const struct hash_link *link = *(struct hash_link **)slots_at(&buckets->slots, i);
        for (; link != NULL; link = link->next) {
            const struct mni_entry *entry = (const struct mni_entry *)link;
            if (n < ENTRIES_AT_ONCE) {
                __builtin_prefetch(entry->head);
                entries[n++] = entry;
            } else {
                take(sorted, entry);
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        take(sorted, entries[i]);
    sorted->n_buckets_done = end;
    return end == buckets->n_buckets;
}

/* Sorting ---------- */

static inline bool is_before(const struct mni_sorted_version *a, const struct mni_sorted_version *b,
                             bool by_key)
{
    if (a->order != b->order)
        return a->order < b->order;
    if (!by_key)
        return false;
    if (a->next != b->next)
        return a->next < b->next;
    return mni_key_compare(mni_version_key(a->version), mni_version_key(b->version)) < 0;
}

static void sort_few(struct mni_sorted_version *items, size_t n, bool by_key)
{
    for (size_t i = 1; i < n; i++) {
        struct mni_sorted_version item = items[i];
        size_t at = i;
        for (; at > 0 && is_before(&item, &items[at - 1], by_key); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Sorts halves and merges them; `room` is for half of the items. As deep as the logarithm of n. */
static void sort(struct mni_sorted_version *items, size_t n, struct mni_sorted_version *room,
                 bool by_key)
{
    size_t n_left = n / 2;
    size_t left = 0;
    size_t right = n_left;

    if (n <= FEW) {
        sort_few(items, n, by_key);
        return;
    }
    sort(items, n_left, room, by_key);
    sort(items + n_left, n - n_left, room, by_key);
    if (!is_before(&items[n_left], &items[n_left - 1], by_key))
        return;
    memcpy(room, items, n_left * sizeof *room);
    for (size_t to = 0; left < n_left; to++) {
        bool takes_right = right < n && is_before(&items[right], &room[left], by_key);
        items[to] = takes_right ? items[right] : room[left];
        right += takes_right;
        left += !takes_right;
    }
}

/* The number that a key sorts by among those that are equal in the 8 bytes behind `start`, which it
 * begins with. Keys of points are equal in as many when they are of one entity. */
static uint64_t next_number(struct mn_slice start, struct mn_slice key)
{
    size_t n = start.n_bytes + sizeof(uint64_t);

    return mni_order_number((struct mn_slice){key.data, n < key.n_bytes ? n : key.n_bytes}, key);
}

/* Numbers all keys of a collection by what comes behind the start that they share. */
static void number_keys(struct mni_sorted_version *items, size_t n)
{
    struct mn_slice start = mni_version_key(items[0].version);

    for (size_t i = 1; i < n && start.n_bytes > 0; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(items[i + AHEAD].version);
        struct mn_slice key = mni_version_key(items[i].version);
        const unsigned char *a = start.data;
        const unsigned char *b = key.data;
        size_t n_same = 0;
        while (n_same < start.n_bytes && n_same < key.n_bytes && a[n_same] == b[n_same])
            n_same++;
        start.n_bytes = n_same;
    }
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(items[i + AHEAD].version);
        struct mn_slice key = mni_version_key(items[i].version);
        items[i].order = mni_order_number(start, key);
        items[i].next = next_number(start, key);
    }
}

mn_status mni_sorted_sort(struct mni_sorted *sorted)
{
    struct mni_sorted_version *items = sorted->versions;
    size_t n = sorted->n_versions;
    struct mni_sorted_version *room = mni_alloc_array(n / 2 + 1, sizeof *room);

    if (room == NULL)
        return MN_ERR_NOMEM;
    sort(items, n, room, false); /* by collection */
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && items[end].order == items[first].order;)
            end++;
        number_keys(items + first, end - first);
        sort(items + first, end - first, room, true);
    }
    mni_free(room);
    return MN_OK;
}
