/*
 * tally.c - how many live records an entity has, of a collection whose keys are those of points.
 *
 * A tally counts the live records whose keys are 16 bytes and begin with the same 8, as far as they
 * were put in order: so nobody pays for it who is never asked to walk. Other keys have none.
 *
 * Names may have 16 bytes too, and mostly differ in the first 8. So a collection gives its tallies
 * up when there are many, and half as many as keys: then its entities are short, and walking over
 * one is no matter. Likewise where memory was short for one.
 *
 * Owns:    the tallies, until the table is freed: an entity that was there may come again.
 * Threads: as memtable.h says.
 * Fails:   never; a span that cannot be told quickly is not told.
 */
#include <string.h>

#include "memtable/memtable_private.h"

enum {
    ENTITY_BYTES = 8,
    POINT_KEY_BYTES = MNI_POINT_KEY_BYTES,
    STEPS_MAX = 256, /* over keys that do not count, under the lock */
    TALLIES_MANY = 4096,
};

static unsigned hash_of(uint64_t collection, uint64_t entity)
{
    uint64_t h =
        (collection ^ entity * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);

    return (unsigned)(h >> (64 - HASH_BITS));
}

/* Any number will do that differs where the bytes do. */
static uint64_t entity_of(struct mn_slice key)
{
    uint64_t entity;

    memcpy(&entity, key.data, ENTITY_BYTES);
    return entity;
}

static struct tally *find(struct mni_memtable *table, uint64_t collection, uint64_t entity)
{
    struct hash_link *link = *buckets_at(&table->tallies, hash_of(collection, entity));

    while (link != NULL && (((struct tally *)link)->entity != entity ||
                            ((struct tally *)link)->collection != collection))
        link = link->next;
    return (struct tally *)link;
}

static bool is_worth_another(const struct mni_rows *rows)
{
    return rows->n_tallies < TALLIES_MANY || rows->n_tallies * 2 <= rows->n_keys - rows->n_pending;
}

static struct tally *make(struct mni_memtable *table, struct mni_rows *rows, uint64_t entity)
{
    struct tally *tally = mni_pool_alloc_block(table->pool, sizeof *tally);

    if (tally == NULL)
        return NULL;
    *tally = (struct tally){.collection = rows->collection, .entity = entity};
    rows->n_tallies++;
    tally->link.hash = hash_of(rows->collection, entity) & ((1U << HASH_BITS) - 1);
    mni_buckets_insert(&table->tallies, table, &tally->link);
    return tally;
}

void mni_tally_add(struct mni_memtable *table, const struct mni_entry *entry, int n)
{
    struct mni_rows *rows = entry->rows;

    if (entry->is_pending || entry->key_bytes != POINT_KEY_BYTES || rows->has_no_tallies)
        return;
    uint64_t entity = entity_of(entry_key(entry));
    struct tally *tally = find(table, rows->collection, entity);

    if (tally == NULL && is_worth_another(rows))
        tally = make(table, rows, entity);
    if (tally == NULL) {
        rows->has_no_tallies = true;
        return;
    }
    MNI_CHECK(n > 0 || tally->n_live > 0);
    tally->n_live += (uint64_t)n;
}

void mni_tally_free_all(struct mni_memtable *table)
{
    for (uint64_t i = 0; i < table->tallies.n_buckets; i++) {
        struct hash_link *link = *(struct hash_link **)slots_at(&table->tallies.slots, i);
        while (link != NULL) {
            struct hash_link *next = link->next;
            mni_pool_dealloc_block(table->pool, link, sizeof(struct tally));
            link = next;
        }
    }
}

/* Spans ---------- */

static bool is_of(const struct mni_entry *entry, uint64_t entity)
{
    return entry != NULL && entry->key_bytes == POINT_KEY_BYTES &&
           entity_of(entry_key(entry)) == entity;
}

/* The live records of the entity before `low`. False: they are too many to look. */
static bool count_before(struct mni_memtable *table, struct mni_rows *rows, struct mn_slice low,
                         uint64_t *n_out)
{
    unsigned char begin[POINT_KEY_BYTES] = {0};
    struct mn_slice first = {begin, sizeof begin};

    *n_out = 0;
    memcpy(begin, low.data, ENTITY_BYTES);
    if (memcmp(begin, low.data, sizeof begin) == 0)
        return true;
    const struct mni_entry *entry = mni_order_seek(rows, first, true);
    for (int i = 0; i < STEPS_MAX; i++, entry = entry->next[0]) {
        if (!is_of(entry, entity_of(low)) || mni_key_compare(entry_key(entry), low) >= 0)
            return true;
        *n_out += entry_is_live(table, entry);
    }
    return false;
}

static const struct mni_entry *first_live(struct mni_memtable *table, struct mni_rows *rows,
                                          struct mn_slice low)
{
    const struct mni_entry *entry = mni_order_seek(rows, low, true);

    for (int i = 0; i < STEPS_MAX && is_of(entry, entity_of(low)); i++, entry = entry->next[0])
        if (entry_is_live(table, entry))
            return entry;
    return NULL;
}

static const struct mni_entry *last_live(struct mni_memtable *table, struct mni_rows *rows,
                                         struct mn_slice low)
{
    unsigned char end[POINT_KEY_BYTES + 1];
    struct mn_slice behind = {end, sizeof end};

    memset(end, 255, sizeof end);
    memcpy(end, low.data, ENTITY_BYTES);
    for (int i = 0; i < STEPS_MAX; i++) {
        const struct mni_entry *entry = mni_order_seek_below(rows, behind);
        if (!is_of(entry, entity_of(low)) || entry_is_live(table, entry))
            return is_of(entry, entity_of(low)) ? entry : NULL;
        behind = entry_key(entry);
    }
    return NULL;
}

bool mni_memtable_span(struct mni_memtable *table, uint64_t collection, struct mn_slice low,
                       struct mni_memtable_span *span_out)
{
    struct mni_rows *rows = mni_rows_find(table, collection);
    uint64_t n_before = 0;

    MNI_CHECK(table->magic == MEMTABLE_MAGIC && low.n_bytes == POINT_KEY_BYTES);
    *span_out = (struct mni_memtable_span){.n_live = 0};
    if (rows == NULL || rows->is_dropped || rows->n_live == 0)
        return true;
    MNI_CHECK(rows->n_pending == 0);
    const struct tally *tally = find(table, collection, entity_of(low));
    if (rows->has_no_tallies || !count_before(table, rows, low, &n_before))
        return false;
    if (tally == NULL || tally->n_live == n_before)
        return true;
    const struct mni_entry *first = first_live(table, rows, low);
    const struct mni_entry *last = last_live(table, rows, low);
    if (first == NULL || last == NULL)
        return false;
    *span_out = (struct mni_memtable_span){.n_live = tally->n_live - n_before,
                                           .first_key = entry_key(first),
                                           .last_key = entry_key(last)};
    return true;
}
