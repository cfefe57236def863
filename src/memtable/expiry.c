/*
 * expiry.c - records that will expire, earliest first, and those that have and wait to be swept.
 *
 * Both stand in one array: taking the earliest out of a heap frees the slot behind the heap, which
 * is where the lapsed ones begin. So lapsing needs no memory.
 *
 * Owns:    the array.
 * Threads: changes under the write lock; reserving by the leader, also beside readers and lapsing.
 * Fails:   only reserving, with MN_ERR_NOMEM.
 */
#include "memtable/memtable_private.h"

static struct due *due_at(const struct expiry *expiry, uint64_t index)
{
    return slots_at(&expiry->slots, index);
}

static void place(struct expiry *expiry, uint64_t index, struct due due)
{
    *due_at(expiry, index) = due;
    due.entry->link.expiry_place = (uint32_t)index;
}

static void sift_up(struct expiry *expiry, uint64_t index)
{
    struct due due = *due_at(expiry, index);

    while (index > 0) {
        uint64_t parent = (index - 1) / 2;
        struct due above = *due_at(expiry, parent);
        if (above.expires_at_us <= due.expires_at_us)
            break;
        place(expiry, index, above);
        index = parent;
    }
    place(expiry, index, due);
}

static void sift_down(struct expiry *expiry, uint64_t index)
{
    struct due due = *due_at(expiry, index);

    for (;;) {
        uint64_t child = 2 * index + 1;
        if (child >= expiry->n_pending)
            break;
        if (child + 1 < expiry->n_pending &&
            due_at(expiry, child + 1)->expires_at_us < due_at(expiry, child)->expires_at_us)
            child++;
        struct due below = *due_at(expiry, child);
        if (due.expires_at_us <= below.expires_at_us)
            break;
        place(expiry, index, below);
        index = child;
    }
    place(expiry, index, due);
}

mn_status mni_expiry_reserve(struct mni_memtable *table)
{
    struct expiry *expiry = &table->expiry;
    uint64_t n_needed = expiry->n_slots + expiry->n_reserved + 1;

    if (n_needed >= EXPIRY_PLACE_NONE)
        return MN_ERR_NOMEM;
    while (slots_capacity(&expiry->slots) < n_needed) {
        mn_status st = mni_slots_grow(&expiry->slots, table);
        if (st != MN_OK)
            return st;
    }
    expiry->n_reserved++;
    return MN_OK;
}

void mni_expiry_add(struct expiry *expiry, struct mni_entry *entry, int64_t expires_at_us,
                    bool is_lapsed)
{
    struct due due = {.expires_at_us = expires_at_us, .entry = entry};

    MNI_CHECK(entry->link.expiry_place == EXPIRY_PLACE_NONE);
    MNI_CHECK(expiry->n_slots < slots_capacity(&expiry->slots));
    if (is_lapsed) {
        place(expiry, expiry->n_slots++, due);
        return;
    }
    if (expiry->n_pending < expiry->n_slots) /* the first lapsed one makes room */
        place(expiry, expiry->n_slots, *due_at(expiry, expiry->n_pending));
    expiry->n_slots++;
    place(expiry, expiry->n_pending++, due);
    sift_up(expiry, expiry->n_pending - 1);
}

void mni_expiry_remove(struct expiry *expiry, struct mni_entry *entry)
{
    uint64_t hole = entry->link.expiry_place;

    MNI_CHECK(hole < expiry->n_slots);
    MNI_CHECK(due_at(expiry, hole)->entry == entry);
    entry->link.expiry_place = EXPIRY_PLACE_NONE;
    if (hole < expiry->n_pending) {
        uint64_t last = --expiry->n_pending;
        if (hole != last) {
            struct mni_entry *moved = due_at(expiry, last)->entry;
            place(expiry, hole, *due_at(expiry, last));
            sift_down(expiry, hole);
            sift_up(expiry, moved->link.expiry_place);
        }
        hole = last;
    }
    expiry->n_slots--;
    if (hole != expiry->n_slots)
        place(expiry, hole, *due_at(expiry, expiry->n_slots));
}

bool mni_memtable_has_due(struct mni_memtable *table, int64_t now_us)
{
    return table->expiry.n_pending > 0 && due_at(&table->expiry, 0)->expires_at_us <= now_us;
}

void mni_memtable_lapse(struct mni_memtable *table, int64_t now_us)
{
    struct expiry *expiry = &table->expiry;

    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    while (mni_memtable_has_due(table, now_us)) {
        struct due earliest = *due_at(expiry, 0);
        uint64_t last = --expiry->n_pending;
        if (last > 0) {
            place(expiry, 0, *due_at(expiry, last));
            place(expiry, last, earliest);
            sift_down(expiry, 0);
        }
        mni_entry_count_lapse(table, earliest.entry);
    }
}

size_t mni_memtable_lapsed(struct mni_memtable *table, struct mni_version **versions_out,
                           size_t n_max)
{
    struct expiry *expiry = &table->expiry;
    size_t n = 0;

    MNI_CHECK(table->magic == MEMTABLE_MAGIC);
    for (uint64_t i = expiry->n_pending; i < expiry->n_slots && n < n_max; i++) {
        struct mni_entry *entry = due_at(expiry, i)->entry;
        if (entry->rows->is_dropped)
            continue;
        mni_version_ref(entry->head);
        versions_out[n++] = entry->head;
    }
    return n;
}
