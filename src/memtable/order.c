/*
 * order.c - the keys of one collection in byte order: a skip list, filled when somebody asks.
 *
 * Most keys are written to a segment and forgotten before anybody walks them, and finding each its
 * place took a third of the time of storing. So a new key only joins a list of pending ones. Who
 * wants to walk the collection has those put in order that its view can see, some at a time.
 *
 * Each entry holds 8 bytes of its key as a number, so that most comparisons look at nothing else.
 * Keys often begin alike ("memory-000..."), so those 8 bytes are taken behind a start that the
 * collection's keys shared when it was chosen. A key without that start sorts before or after all
 * that have it, and gets the smallest or the largest number; equal numbers decide nothing, and
 * whole keys are compared.
 *
 * Owns:    nothing; entries belong to the table.
 * Threads: changes under the write lock, looking under the read lock.
 * Fails:   never.
 */
#include <string.h>

#include "memtable/memtable_private.h"

enum {
    /* A shared start is chosen from the first and the last key, at growing numbers of keys. The
     * last time is early enough not to hold up a commit: all numbers are computed again. */
    CHOOSE_STEP = 8,
    N_KEYS_TO_CHOOSE_MAX = 64 * CHOOSE_STEP * CHOOSE_STEP,
    ORDER_AT_ONCE = 128, /* keys put in order while the write lock is held */
    /* So many bytes of it are left in the number, where counters in keys will grow. */
    START_SLACK_BYTES = 3,
};

uint64_t mni_order_number(struct mn_slice start, struct mn_slice key)
{
    size_t skip = start.n_bytes;
    size_t n = key.n_bytes < skip ? key.n_bytes : skip;
    int order = n == 0 ? 0 : memcmp(key.data, start.data, n);

    if (order != 0)
        return order < 0 ? 0 : UINT64_MAX;
    if (key.n_bytes <= skip)
        return 0;
    const unsigned char *bytes = (const unsigned char *)key.data + skip;
    size_t n_left = key.n_bytes - skip;
    uint64_t number = 0;
    if (n_left >= 8) {
        for (size_t i = 0; i < 8; i++)
            number = number << 8 | bytes[i];
        return number;
    }
    for (size_t i = 0; i < n_left; i++)
        number |= (uint64_t)bytes[i] << (56 - 8 * i);
    return number;
}

static uint64_t order_of(const struct mni_rows *rows, struct mn_slice key)
{
    return mni_order_number((struct mn_slice){rows->start, rows->start_bytes}, key);
}

static inline int compare(const struct mni_entry *entry, uint64_t order, struct mn_slice key)
{
    if (entry->order != order)
        return entry->order < order ? -1 : 1;
    return mni_key_compare(entry_key(entry), key);
}

/*
 * Finds the first entry at or after `key`. With `links`, also notes for each level in use the
 * pointer that leads to it.
 */
static struct mni_entry *search(struct mni_rows *rows, struct mn_slice key, uint64_t order,
                                struct mni_entry **links[HEIGHT_MAX])
{
    struct mni_entry **tower = rows->next;
    struct mni_entry *not_before = NULL; /* compared on the level above */

    for (unsigned level = rows->n_levels; level-- > 0;) {
        struct mni_entry *next = tower[level];
        while (next != NULL && next != not_before && compare(next, order, key) < 0) {
            tower = next->next;
            next = tower[level];
        }
        not_before = next;
        if (links != NULL)
            links[level] = &tower[level];
    }
    return not_before;
}

struct mni_entry *mni_order_any(struct mni_rows *rows)
{
    return rows->next[0] != NULL ? rows->next[0] : rows->pending;
}

struct mni_entry *mni_order_first(struct mni_rows *rows)
{
    return rows->next[0];
}

struct mni_entry *mni_order_seek(struct mni_rows *rows, struct mn_slice key, bool or_equal)
{
    struct mni_entry *entry = search(rows, key, order_of(rows, key), NULL);

    if (entry != NULL && !or_equal && mni_key_compare(entry_key(entry), key) == 0)
        entry = entry->next[0];
    return entry;
}

struct mni_entry *mni_order_last(struct mni_rows *rows)
{
    struct mni_entry **tower = rows->next;
    struct mni_entry *last = NULL;

    for (unsigned level = rows->n_levels; level-- > 0;) {
        while (tower[level] != NULL) {
            last = tower[level];
            tower = last->next;
        }
    }
    return last;
}

struct mni_entry *mni_order_seek_below(struct mni_rows *rows, struct mn_slice key)
{
    uint64_t order = order_of(rows, key);
    struct mni_entry **tower = rows->next;
    struct mni_entry *not_below = NULL; /* compared on the level above */
    struct mni_entry *below = NULL;

    for (unsigned level = rows->n_levels; level-- > 0;) {
        struct mni_entry *next = tower[level];
        while (next != NULL && next != not_below && compare(next, order, key) < 0) {
            below = next;
            tower = next->next;
            next = tower[level];
        }
        not_below = next;
    }
    return below;
}

static void choose_start(struct mni_rows *rows)
{
    struct mn_slice first = entry_key(rows->next[0]);
    struct mn_slice last = entry_key(mni_order_last(rows));
    const unsigned char *a = first.data;
    const unsigned char *b = last.data;
    size_t n = 0;

    while (n < first.n_bytes && n < last.n_bytes && a[n] == b[n])
        n++;
    n = n < START_SLACK_BYTES ? 0 : n - START_SLACK_BYTES;
    if (n > START_BYTES_MAX)
        n = START_BYTES_MAX;
    if (n == rows->start_bytes && (n == 0 || memcmp(rows->start, a, n) == 0))
        return;
    if (n > 0)
        memcpy(rows->start, a, n);
    rows->start_bytes = (uint8_t)n;
    for (struct mni_entry *entry = rows->next[0]; entry != NULL; entry = entry->next[0])
        entry->order = order_of(rows, entry_key(entry));
}

static void insert(struct mni_rows *rows, struct mni_entry *entry)
{
    struct mni_entry **links[HEIGHT_MAX];
    struct mn_slice key = entry_key(entry);
    unsigned height = entry->link.height;

    MNI_CHECK(height >= 1 && height <= HEIGHT_MAX);
    entry->order = order_of(rows, key);
    struct mni_entry *after = search(rows, key, entry->order, links);
    MNI_DEBUG_CHECK(after == NULL || compare(after, entry->order, key) > 0);
    (void)after;
    while (rows->n_levels < height) {
        links[rows->n_levels] = &rows->next[rows->n_levels];
        rows->n_levels++;
    }
    for (unsigned level = 0; level < height; level++) {
        entry->next[level] = *links[level];
        *links[level] = entry;
    }
    if (rows->n_keys - rows->n_pending >= rows->n_keys_to_choose && rows->n_keys_to_choose > 0) {
        choose_start(rows);
        rows->n_keys_to_choose = rows->n_keys_to_choose < N_KEYS_TO_CHOOSE_MAX
                                     ? rows->n_keys_to_choose * CHOOSE_STEP
                                     : 0;
    }
}

/* Pending keys ---------- */

void mni_order_add(struct mni_rows *rows, struct mni_entry *entry, uint64_t lsn)
{
    struct mni_entry *last = rows->last_pending;

    MNI_CHECK(lsn >= rows->newest_lsn);
    entry->is_pending = true;
    entry->previous = last;
    entry->next[0] = NULL;
    if (last == NULL) {
        rows->pending = entry;
        rows->pending_lsn = lsn;
    } else {
        last->next[0] = entry;
    }
    rows->last_pending = entry;
    rows->newest_lsn = lsn;
    rows->n_pending++;
    rows->n_keys++;
}

static void remove_pending(struct mni_rows *rows, struct mni_entry *entry)
{
    struct mni_entry *next = entry->next[0];

    MNI_CHECK(rows->n_pending > 0);
    if (entry->previous == NULL)
        rows->pending = next;
    else
        entry->previous->next[0] = next;
    if (next == NULL)
        rows->last_pending = entry->previous;
    else
        next->previous = entry->previous;
    entry->is_pending = false;
    rows->n_pending--;
}

bool mni_memtable_is_ordered(struct mni_memtable *table, uint64_t collection, uint64_t lsn)
{
    const struct mni_rows *rows = mni_rows_find(table, collection);

    return rows == NULL || rows->n_pending == 0 || lsn < rows->pending_lsn;
}

bool mni_memtable_order(struct mni_memtable *table, uint64_t collection, uint64_t lsn,
                        struct mni_ordering *ordering)
{
    struct mni_rows *rows = mni_rows_find(table, collection);

    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    if (rows == NULL)
        return true;
    if (!ordering->has_begun)
        *ordering = (struct mni_ordering){.has_begun = true, .n_left = rows->n_pending};
    for (size_t n = 0; n < ORDER_AT_ONCE && ordering->n_left > 0 && rows->n_pending > 0; n++) {
        struct mni_entry *entry = rows->pending;
        __builtin_prefetch(entry->next[0]);
        remove_pending(rows, entry);
        insert(rows, entry);
        if (entry_is_live(table, entry))
            mni_tally_add(table, entry, 1);
        ordering->n_left--;
    }
    if (rows->n_pending == 0)
        return true;
    if (ordering->n_left > 0)
        return false;
    /* The oldest pending ones are in order now, as many as there were: the others came later, and
     * so with later commits than the view's. */
    if (rows->pending_lsn <= lsn)
        rows->pending_lsn = lsn + 1;
    return true;
}

void mni_order_remove(struct mni_rows *rows, struct mni_entry *entry)
{
    struct mni_entry **links[HEIGHT_MAX];
    unsigned height = entry->link.height;

    rows->n_keys--;
    if (entry->is_pending) {
        remove_pending(rows, entry);
        return;
    }
    if (rows->next[0] == entry) { /* reclaiming takes them from the front */
        for (unsigned level = 0; level < height; level++)
            links[level] = &rows->next[level];
    } else {
        search(rows, entry_key(entry), entry->order, links);
    }
    for (unsigned level = 0; level < height; level++) {
        MNI_CHECK(*links[level] == entry);
        *links[level] = entry->next[level];
    }
    while (rows->n_levels > 0 && rows->next[rows->n_levels - 1] == NULL)
        rows->n_levels--;
}
