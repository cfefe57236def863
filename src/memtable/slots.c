/*
 * slots.c - arrays that grow without moving.
 *
 * Owns:    the segments.
 * Threads: one grows, also while others read slots that exist.
 * Fails:   MN_ERR_NOMEM leaves the array as it was.
 */
#include "memtable/memtable_private.h"

static size_t segment_bytes(const struct slots *slots, unsigned segment)
{
    return ((size_t)slots->slot_bytes << SLOTS_FIRST_LOG2) << segment;
}

mn_status mni_slots_grow(struct slots *slots, struct mni_memtable *table)
{
    unsigned segment = slots->n_segments;

    MNI_CHECK(slots->slot_bytes > 0);
    if (segment == SLOTS_SEGMENTS_MAX)
        return MN_ERR_NOMEM;
    slots->segments[segment] = mni_pool_alloc_zero(table->pool, segment_bytes(slots, segment));
    if (slots->segments[segment] == NULL)
        return MN_ERR_NOMEM;
    slots->n_segments++;
    return MN_OK;
}

void mni_slots_done(struct slots *slots, struct mni_memtable *table)
{
    MNI_CHECK(slots->n_segments <= SLOTS_SEGMENTS_MAX);
    while (slots->n_segments > 0) {
        unsigned segment = --slots->n_segments;
        mni_pool_dealloc(table->pool, slots->segments[segment], segment_bytes(slots, segment));
    }
}
