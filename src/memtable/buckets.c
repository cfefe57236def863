/*
 * buckets.c - a hash table with chained buckets that grows by linear hashing.
 *
 * Owns:    the bucket array, not the members.
 * Threads: changes under the write lock, looking under the read lock.
 * Fails:   never after init: without memory for more buckets the chains get longer.
 */
#include "memtable/memtable_private.h"

mn_status mni_buckets_init(struct buckets *buckets, struct mni_memtable *table)
{
    *buckets = (struct buckets){.slots.slot_bytes = sizeof(struct hash_link *)};
    mn_status st = mni_slots_grow(&buckets->slots, table);
    if (st != MN_OK)
        return st;
    buckets->n_buckets = UINT64_C(1) << SLOTS_FIRST_LOG2;
    buckets->mask = buckets->n_buckets - 1;
    MNI_CHECK(slots_capacity(&buckets->slots) == buckets->n_buckets);
    return MN_OK;
}

void mni_buckets_done(struct buckets *buckets, struct mni_memtable *table)
{
    mni_slots_done(&buckets->slots, table);
}

/* Adds one bucket and moves into it those members of one older bucket that belong there: growing is
 * spread over the insertions, none of which has to move all members. */
static void split_one(struct buckets *buckets, struct mni_memtable *table)
{
    uint64_t added = buckets->n_buckets;

    if (added >> HASH_BITS != 0)
        return;
    if (added == slots_capacity(&buckets->slots) && mni_slots_grow(&buckets->slots, table) != MN_OK)
        return;
    if (added > buckets->mask)
        buckets->mask = buckets->mask * 2 + 1;
    buckets->n_buckets++;
    uint64_t parent = added & (buckets->mask >> 1);
    struct hash_link **from = slots_at(&buckets->slots, parent);
    struct hash_link **to = slots_at(&buckets->slots, added);
    while (*from != NULL) {
        struct hash_link *link = *from;
        if ((link->hash & buckets->mask) == added) {
            *from = link->next;
            link->next = *to;
            *to = link;
        } else {
            from = &link->next;
        }
    }
    /* Buckets are split in order: have the next members at hand. */
    __builtin_prefetch(*(struct hash_link **)slots_at(&buckets->slots, parent + 2));
}

void mni_buckets_insert(struct buckets *buckets, struct mni_memtable *table, struct hash_link *link)
{
    MNI_CHECK(buckets->n_buckets > 0);
    if (buckets->n_links >= buckets->n_buckets)
        split_one(buckets, table);
    struct hash_link **bucket = buckets_at(buckets, link->hash);
    link->next = *bucket;
    *bucket = link;
    buckets->n_links++;
}

void mni_buckets_remove(struct buckets *buckets, struct hash_link *link)
{
    struct hash_link **at = buckets_at(buckets, link->hash);

    while (*at != link) {
        MNI_CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    buckets->n_links--;
}
