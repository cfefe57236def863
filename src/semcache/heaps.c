/*
 * heaps.c - which entries expire first, and which are worth least.
 *
 * Owns:    nothing; the heaps are the tenant's and the roster's.
 * Threads: the write side of the roster's lock, but for roster_value.
 * Fails:   only for want of room, ahead of time.
 *
 * A value only grows, by hits, which do not touch the heaps. So an entry stands where it had to
 * stand with the value that it had then, never too far from the top. Whoever asks for the least
 * computes that of the top anew, and puts it where it belongs if it has grown. Taking hits does so
 * too: else the first one who asks after many hits would have to value them all.
 */
#include <math.h>

#include "semcache/roster_private.h"

enum heap_kind { HEAP_TENANT, HEAP_ROSTER, HEAP_EXPIRY };
static_assert(HEAP_EXPIRY + 1 == N_HEAPS, "an entry knows its place in each");

static struct heap *heap_of(struct roster *roster, struct tenant *tenant, enum heap_kind kind)
{
    switch (kind) {
    case HEAP_TENANT:
        return &tenant->values;
    case HEAP_ROSTER:
        return &roster->values;
    default:
        return &roster->expiries;
    }
}

double roster_value(const struct entry *entry)
{
    const double day_s = 86400;
    double n_hits = atomic_load_explicit(&entry->n_hits, memory_order_relaxed);
    double hit_days = atomic_load_explicit(&entry->last_hit_s, memory_order_relaxed) / day_s;
    double event_days = (double)entry->time_us / (day_s * 1e6);

    return log2(1 + n_hits) + (hit_days > event_days ? hit_days : event_days) -
           log2((double)entry->bytes);
}

/* Heaps ---------- */

static bool goes_before(enum heap_kind kind, const struct entry *a, const struct entry *b)
{
    if (kind == HEAP_EXPIRY ? a->expires_at_us != b->expires_at_us : a->value != b->value)
        return kind == HEAP_EXPIRY ? a->expires_at_us < b->expires_at_us : a->value < b->value;
    return a->id != b->id ? a->id < b->id : a->tenant->number < b->tenant->number;
}

static struct entry *heap_at(const struct heap *heap, uint32_t index)
{
    return *(struct entry **)shelf_at(&heap->entries, index);
}

static void place(struct heap *heap, enum heap_kind kind, struct entry *entry, uint32_t index)
{
    *(struct entry **)shelf_at(&heap->entries, index) = entry;
    entry->heap_at[kind] = index;
}

/* Puts an entry at `at` or above, where its place is. */
static void sift_up(struct heap *heap, enum heap_kind kind, struct entry *entry, uint32_t at)
{
    for (uint32_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        struct entry *above = heap_at(heap, parent);
        if (!goes_before(kind, entry, above))
            break;
        place(heap, kind, above, at);
    }
    place(heap, kind, entry, at);
}

static void sift_down(struct heap *heap, enum heap_kind kind, struct entry *entry, uint32_t at)
{
    for (uint32_t child; (child = 2 * at + 1) < heap->n; at = child) {
        struct entry *below = heap_at(heap, child);
        if (child + 1 < heap->n && goes_before(kind, heap_at(heap, child + 1), below))
            below = heap_at(heap, ++child);
        if (!goes_before(kind, below, entry))
            break;
        place(heap, kind, below, at);
    }
    place(heap, kind, entry, at);
}

static void heap_insert(struct heap *heap, enum heap_kind kind, struct entry *entry)
{
    MNI_CHECK(heap->n < heap->entries.n_room);
    MNI_CHECK(entry->heap_at[kind] == UINT32_MAX);
    sift_up(heap, kind, entry, heap->n++);
}

static void heap_remove(struct heap *heap, enum heap_kind kind, struct entry *entry)
{
    uint32_t at = entry->heap_at[kind];

    MNI_CHECK(at < heap->n);
    MNI_CHECK(heap_at(heap, at) == entry);
    struct entry *last = heap_at(heap, --heap->n);
    entry->heap_at[kind] = UINT32_MAX;
    if (last == entry)
        return;
    if (at > 0 && goes_before(kind, last, heap_at(heap, (at - 1) / 2)))
        sift_up(heap, kind, last, at);
    else
        sift_down(heap, kind, last, at);
}

/* Entries in them ---------- */

bool roster_heaps_reserve(struct roster *roster, struct tenant *tenant, bool expires)
{
    return roster_shelf_reserve(&tenant->values.entries, tenant->entries.n + 1,
                                &roster->memory_bytes) &&
           roster_shelf_reserve(&roster->values.entries, roster->n_entries + 1,
                                &roster->memory_bytes) &&
           (!expires || roster_shelf_reserve(&roster->expiries.entries, roster->n_expiring + 1,
                                             &roster->memory_bytes));
}

void roster_heaps_trim(struct roster *roster, struct tenant *tenant)
{
    roster_shelf_trim(&tenant->values.entries, tenant->entries.n, &roster->memory_bytes);
    roster_shelf_trim(&roster->values.entries, roster->n_entries, &roster->memory_bytes);
    roster_shelf_trim(&roster->expiries.entries, roster->n_expiring, &roster->memory_bytes);
}

void roster_heaps_insert(struct roster *roster, struct entry *entry)
{
    entry->value = roster_value(entry);
    for (enum heap_kind kind = HEAP_TENANT; kind <= HEAP_EXPIRY; kind++)
        if (kind != HEAP_EXPIRY || entry_expires(entry))
            heap_insert(heap_of(roster, entry->tenant, kind), kind, entry);
}

void roster_heaps_remove(struct roster *roster, struct entry *entry)
{
    for (enum heap_kind kind = HEAP_TENANT; kind <= HEAP_EXPIRY; kind++)
        if (kind != HEAP_EXPIRY || entry_expires(entry))
            heap_remove(heap_of(roster, entry->tenant, kind), kind, entry);
}

struct entry *roster_heaps_first_expiry(const struct roster *roster)
{
    return roster->expiries.n == 0 ? NULL : heap_at(&roster->expiries, 0);
}

bool roster_heaps_revalue(struct roster *roster, struct entry *entry)
{
    double value = roster_value(entry);

    if (!(value > entry->value))
        return false;
    entry->value = value; /* in both heaps of values it may be too far up now */
    sift_down(&entry->tenant->values, HEAP_TENANT, entry, entry->heap_at[HEAP_TENANT]);
    sift_down(&roster->values, HEAP_ROSTER, entry, entry->heap_at[HEAP_ROSTER]);
    return true;
}

struct entry *roster_victim(struct roster *roster, struct tenant *tenant)
{
    const struct heap *heap = tenant != NULL ? &tenant->values : &roster->values;

    while (heap->n > 0) {
        struct entry *top = heap_at(heap, 0);
        if (top->tenant->is_dropped)
            roster_clear_entry(roster, top);
        else if (!roster_heaps_revalue(roster, top))
            return top;
    }
    return NULL;
}
