/*
 * rows.c - collections: finding them, counting their records, dropping and reclaiming them.
 *
 * Owns:    the rows of each collection.
 * Threads: changes under the write lock; reserving by the leader, also beside readers.
 * Fails:   only reserving, with MN_ERR_NOMEM.
 */
#include "memtable/memtable_private.h"

static unsigned hash_of(uint64_t collection)
{
    return (unsigned)(collection * UINT64_C(0x9e3779b97f4a7c15) >> (64 - HASH_BITS));
}

static struct mni_rows *find_in(const struct buckets *buckets, uint64_t collection)
{
    struct hash_link *link = *buckets_at(buckets, hash_of(collection));

    while (link != NULL && ((struct mni_rows *)link)->collection != collection)
        link = link->next;
    return (struct mni_rows *)link;
}

struct mni_rows *mni_rows_find(struct mni_memtable *table, uint64_t collection)
{
    return find_in(&table->rows, collection);
}

mn_status mni_rows_reserve(struct mni_memtable *table, uint64_t collection,
                           struct mni_rows **rows_out)
{
    struct mni_rows *rows = find_in(&table->rows, collection);

    if (rows == NULL)
        rows = find_in(&table->new_rows, collection);
    if (rows == NULL) {
        rows = mni_pool_alloc_block(table->pool, sizeof *rows);
        if (rows == NULL)
            return MN_ERR_NOMEM;
        *rows = (struct mni_rows){.collection = collection};
        rows->link.hash = hash_of(collection) & ((1U << HASH_BITS) - 1);
        rows->n_keys_to_choose = 64;
        mni_buckets_insert(&table->new_rows, table, &rows->link);
    }
    rows->n_reserved++;
    *rows_out = rows;
    return MN_OK;
}

void mni_rows_link(struct mni_memtable *table, struct mni_rows *rows)
{
    if (rows->is_linked)
        return;
    mni_buckets_remove(&table->new_rows, &rows->link);
    mni_buckets_insert(&table->rows, table, &rows->link);
    rows->is_linked = true;
}

static void free_if_unused(struct mni_memtable *table, struct mni_rows *rows)
{
    if (rows->n_reserved > 0 || rows->n_keys > 0 || (rows->is_linked && !rows->is_dropped))
        return;
    mni_buckets_remove(rows->is_linked ? &table->rows : &table->new_rows, &rows->link);
    mni_pool_dealloc_block(table->pool, rows, sizeof *rows);
}

void mni_rows_release(struct mni_memtable *table, struct mni_rows *rows)
{
    MNI_CHECK(rows->n_reserved > 0);
    rows->n_reserved--;
    if (!rows->is_linked) /* the leader may cancel without the lock: readers see the linked ones */
        free_if_unused(table, rows);
}

/* The catalogue, collection 0, is no user's record. */
static bool is_counted(const struct mni_rows *rows)
{
    return !rows->is_dropped && rows->collection != 0;
}

void mni_entry_count_in(struct mni_memtable *table, struct mni_entry *entry, int64_t now_us)
{
    struct mni_rows *rows = entry->rows;
    bool is_lapsed = false;
    int64_t expires_at_us;

    if (version_has(entry->head, VERSION_TOMBSTONE))
        return;
    if (mni_version_expiry(entry->head, &expires_at_us)) {
        is_lapsed = expires_at_us <= now_us;
        mni_expiry_add(&table->expiry, entry, expires_at_us, is_lapsed);
    }
    if (!is_lapsed)
        mni_tally_add(table, entry, 1);
    rows->n_live += is_lapsed ? 0U : 1U;
    rows->n_lapsed += is_lapsed ? 1U : 0U;
    if (is_counted(rows)) {
        table->n_records += is_lapsed ? 0U : 1U;
        table->n_lapsed += is_lapsed ? 1U : 0U;
    }
}

void mni_entry_count_out(struct mni_memtable *table, struct mni_entry *entry)
{
    struct mni_rows *rows = entry->rows;

    if (version_has(entry->head, VERSION_TOMBSTONE))
        return;
    bool is_lapsed = entry_is_lapsed(table, entry);
    if (!is_lapsed)
        mni_tally_add(table, entry, -1);
    if (entry->link.expiry_place != EXPIRY_PLACE_NONE)
        mni_expiry_remove(&table->expiry, entry);
    MNI_CHECK((is_lapsed ? rows->n_lapsed : rows->n_live) > 0);
    rows->n_live -= is_lapsed ? 0U : 1U;
    rows->n_lapsed -= is_lapsed ? 1U : 0U;
    if (is_counted(rows)) {
        table->n_records -= is_lapsed ? 0U : 1U;
        table->n_lapsed -= is_lapsed ? 1U : 0U;
    }
}

void mni_entry_count_lapse(struct mni_memtable *table, const struct mni_entry *entry)
{
    struct mni_rows *rows = entry->rows;

    MNI_CHECK(rows->n_live > 0);
    mni_tally_add(table, entry, -1);
    rows->n_live--;
    rows->n_lapsed++;
    if (is_counted(rows)) {
        table->n_records--;
        table->n_lapsed++;
    }
}

void mni_entry_set_head(struct mni_entry *entry, struct mni_version *version)
{
    const unsigned char *record = mni_version_record(version);
    struct mn_slice key = mni_record_key(record);
    size_t offset = (size_t)((const unsigned char *)key.data - record) + sizeof *version;

    MNI_CHECK(offset <= UINT32_MAX && key.n_bytes <= UINT16_MAX);
    entry->head = version;
    entry->key_offset = (uint32_t)offset;
    entry->key_bytes = (uint16_t)key.n_bytes;
}

void mni_entry_unlink(struct mni_memtable *table, struct mni_entry *entry)
{
    mni_entry_count_out(table, entry);
    mni_buckets_remove(&table->entries, &entry->link);
    mni_order_remove(entry->rows, entry);
}

void mni_entry_free(struct mni_memtable *table, struct mni_entry *entry)
{
    mni_pool_dealloc_block(table->pool, entry, entry_bytes(entry->link.height));
}

void mni_entry_remove(struct mni_memtable *table, struct mni_entry *entry)
{
    struct mni_rows *rows = entry->rows;

    MNI_CHECK(entry->head->older == NULL);
    mni_entry_unlink(table, entry);
    mni_version_unref(entry->head);
    mni_entry_free(table, entry);
    free_if_unused(table, rows);
}

uint64_t mni_memtable_count(struct mni_memtable *table, uint64_t collection)
{
    struct mni_rows *rows = mni_rows_find(table, collection);

    return rows == NULL || rows->is_dropped ? 0 : rows->n_live;
}

void mni_memtable_drop(struct mni_memtable *table, uint64_t collection)
{
    struct mni_rows *rows = mni_rows_find(table, collection);

    MNI_CHECK(collection != 0);
    if (rows == NULL || rows->is_dropped)
        return;
    MNI_CHECK(table->n_records >= rows->n_live);
    table->n_records -= rows->n_live;
    table->n_lapsed -= rows->n_lapsed;
    rows->is_dropped = true;
    free_if_unused(table, rows);
}

bool mni_memtable_reclaim(struct mni_memtable *table, uint64_t collection, size_t n_max)
{
    struct mni_rows *rows = mni_rows_find(table, collection);

    if (rows == NULL)
        return true;
    MNI_CHECK(rows->is_dropped);
    for (size_t n = 0; n < n_max && rows->n_keys > 0; n++) {
        struct mni_entry *entry = mni_order_any(rows);
        mni_entry_unlink(table, entry);
        if (entry->head->older == NULL) {
            mni_version_unref(entry->head);
            mni_entry_free(table, entry);
        } else {
            entry->rows = NULL; /* the last superseded item frees it */
        }
    }
    bool is_empty = rows->n_keys == 0;
    free_if_unused(table, rows);
    return is_empty;
}

size_t mni_memtable_collections(struct mni_memtable *table, uint64_t *numbers_out, size_t n_max)
{
    size_t n = 0;

    for (uint64_t i = 0; i < table->rows.n_buckets; i++) {
        struct hash_link *link = *(struct hash_link **)slots_at(&table->rows.slots, i);
        for (; link != NULL; link = link->next) {
            const struct mni_rows *rows = (const struct mni_rows *)link;
            if (rows->is_dropped)
                continue;
            if (n < n_max)
                numbers_out[n] = rows->collection;
            n++;
        }
    }
    return n;
}
