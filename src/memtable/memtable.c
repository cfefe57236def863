/*
 * memtable.c - life of the buffer, and reading it.
 *
 * Owns:    the table and, through it, everything in it.
 * Threads: as memtable.h says: readers under the read lock, changes under the write lock.
 * Fails:   MN_ERR_NOMEM when it is made; reading never.
 */
#include <string.h>

#include "base/mem.h"
#include "memtable/memtable_private.h"

mn_status mni_memtable_new(struct mni_pool *pool, struct mni_memtable **table_out)
{
    mn_status st = MN_OK;

    *table_out = NULL;
    struct mni_memtable *table = mni_pool_alloc_zero(pool, sizeof *table);
    if (table == NULL)
        return MN_ERR_NOMEM;
    table->magic = MEMTABLE_MAGIC;
    table->pool = pool;
    table->expiry.slots.slot_bytes = sizeof(struct due);
    table->random_state = UINT64_C(0x2545f4914f6cdd1d);
    st = mni_buckets_init(&table->entries, table);
    if (st != MN_OK)
        goto out;
    st = mni_buckets_init(&table->rows, table);
    if (st != MN_OK)
        goto out;
    st = mni_buckets_init(&table->new_rows, table);
    if (st != MN_OK)
        goto out;
    st = mni_buckets_init(&table->tallies, table);
    if (st != MN_OK)
        goto out;
    *table_out = table; /* ownership moves to the caller */
    table = NULL;
out:
    mni_memtable_free(table);
    return st;
}

static void free_entries(struct mni_memtable *table, struct mni_entry *entry)
{
    while (entry != NULL) {
        struct mni_entry *next = entry->next[0];
        MNI_CHECK(entry->head->older == NULL);
        mni_version_unref(entry->head);
        mni_entry_free(table, entry);
        entry = next;
    }
}

static void free_rows(struct mni_memtable *table, struct mni_rows *rows)
{
    MNI_CHECK(rows->n_reserved == 0);
    free_entries(table, rows->next[0]);
    free_entries(table, rows->pending);
    mni_pool_dealloc_block(table->pool, rows, sizeof *rows);
}

void mni_memtable_free(struct mni_memtable *table)
{
    if (table == NULL)
        return;
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    MNI_CHECK(table->new_rows.n_links == 0);
    size_t n_left = mni_memtable_collect(table, UINT64_MAX, SIZE_MAX);
    MNI_CHECK(n_left == 0);
    for (uint64_t i = 0; i < table->rows.n_buckets; i++) {
        struct hash_link *link = *(struct hash_link **)slots_at(&table->rows.slots, i);
        while (link != NULL) {
            struct hash_link *next = link->next;
            free_rows(table, (struct mni_rows *)link);
            link = next;
        }
    }
    mni_tally_free_all(table);
    mni_buckets_done(&table->entries, table);
    mni_buckets_done(&table->tallies, table);
    mni_buckets_done(&table->rows, table);
    mni_buckets_done(&table->new_rows, table);
    mni_slots_done(&table->expiry.slots, table);
    table->magic = 0;
    mni_pool_dealloc(table->pool, table, sizeof *table);
}

struct mni_version *mni_entry_visible(const struct mni_entry *entry, struct mni_view_point view)
{
    struct mni_version *version = entry->head;
    int64_t expires_at_us;

    while (version != NULL && version->lsn > view.lsn)
        version = version->older;
    if (version == NULL || version_has(version, VERSION_TOMBSTONE))
        return NULL;
    if (version_has(version, VERSION_EXPIRES) && view.now_us != MNI_NO_CLOCK &&
        mni_version_expiry(version, &expires_at_us) && expires_at_us <= view.now_us)
        return NULL;
    return version;
}

struct mni_entry *mni_memtable_entry(struct mni_memtable *table, uint64_t hash, uint64_t collection,
                                     struct mn_slice key)
{
    struct hash_link *link = *buckets_at(&table->entries, hash);

    for (; link != NULL; link = link->next) {
        if (link->hash != (hash & ((1U << HASH_BITS) - 1)))
            continue;
        struct mni_entry *entry = (struct mni_entry *)link;
        /* A reader goes on to the version's head and the vector behind it. */
        __builtin_prefetch(entry->head);
        __builtin_prefetch((const char *)entry->head + CACHE_LINE_BYTES);
        if (entry->rows->collection != collection)
            continue;
        struct mn_slice own = entry_key(entry);
        if (own.n_bytes == key.n_bytes && memcmp(own.data, key.data, key.n_bytes) == 0)
            return entry;
    }
    return NULL;
}

struct mni_version *mni_memtable_find(struct mni_memtable *table, uint64_t collection,
                                      struct mn_slice key, struct mni_view_point view)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    struct mni_entry *entry =
        mni_memtable_entry(table, mni_key_hash(collection, key), collection, key);
    return entry == NULL ? NULL : mni_entry_visible(entry, view);
}

bool mni_memtable_holds(struct mni_memtable *table, uint64_t hash, uint64_t collection,
                        struct mn_slice key)
{
    const struct mni_entry *entry = mni_memtable_entry(table, hash, collection, key);

    return entry != NULL && !version_has(entry->head, VERSION_TOMBSTONE);
}

uint64_t mni_memtable_newest_lsn(struct mni_memtable *table, uint64_t collection,
                                 struct mn_slice key)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    struct mni_entry *entry =
        mni_memtable_entry(table, mni_key_hash(collection, key), collection, key);
    return entry == NULL ? 0 : entry->head->lsn;
}

static struct mni_entry *scan_start(struct mni_rows *rows, struct mn_slice after,
                                    const struct mni_key_range *range)
{
    if (range->reverse) {
        struct mn_slice high = range->high;
        if (after.data != NULL && (high.n_bytes == 0 || mni_key_compare(after, high) < 0))
            high = after;
        return high.n_bytes > 0 ? mni_order_seek_below(rows, high) : mni_order_last(rows);
    }
    if (after.data != NULL && mni_key_compare(after, range->low) >= 0)
        return mni_order_seek(rows, after, false);
    if (range->low.n_bytes > 0)
        return mni_order_seek(rows, range->low, true);
    return mni_order_first(rows);
}

static bool is_past(struct mn_slice key, const struct mni_key_range *range)
{
    if (range->reverse)
        return range->low.n_bytes > 0 && mni_key_compare(key, range->low) < 0;
    return range->high.n_bytes > 0 && mni_key_compare(key, range->high) >= 0;
}

size_t mni_memtable_scan(struct mni_memtable *table, uint64_t collection, struct mn_slice after,
                         const struct mni_key_range *range, struct mni_view_point view,
                         struct mni_version **versions_out, size_t n_max)
{
    struct mni_rows *rows = mni_rows_find(table, collection);
    struct mni_entry *entry = NULL;
    size_t n = 0;

    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    MNI_CHECK(mni_memtable_is_ordered(table, collection, view.lsn));
    if (rows != NULL && n_max > 0)
        entry = scan_start(rows, after, range);
    while (entry != NULL && n < n_max && !is_past(entry_key(entry), range)) {
        struct mni_version *version = mni_entry_visible(entry, view);
        if (version != NULL) {
            mni_version_ref(version);
            versions_out[n++] = version;
        }
        entry = range->reverse ? mni_order_seek_below(rows, entry_key(entry)) : entry->next[0];
    }
    return n;
}

void mni_memtable_get_stats(struct mni_memtable *table, struct mni_memtable_stats *stats_out)
{
    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    *stats_out = (struct mni_memtable_stats){
        .n_records = table->n_records,
        .n_lapsed = table->n_lapsed,
        .n_keys = table->entries.n_links,
        .n_superseded = table->n_superseded,
    };
}
