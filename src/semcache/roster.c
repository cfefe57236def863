/*
 * roster.c - tenants, their entries, and the states that these go through.
 *
 * Owns:    tenants and entries.
 * Threads: the caller's lock, as the header says.
 * Fails:   MN_ERR_NOMEM, by roster_reserve and roster_add_tenant; then nothing has changed.
 */
#include "semcache/roster.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "semcache/roster_private.h"

enum {
    /* The entry as the allocator counts it, and its places in two maps, two lists and three heaps;
     * those that grow by chunks are nearly full. */
    FIXED_BYTES = 384,
    N_CLEARED_AT_RESERVE = 16, /* more than come in */
};
static_assert(sizeof(struct entry) + 16 + 7 * sizeof(void *) <= FIXED_BYTES, "what an entry takes");

uint64_t roster_overhead_bytes(uint32_t n_dims)
{
    uint64_t n_words = (n_dims + (uint64_t)MNI_SIGN_WORD_BITS - 1) / MNI_SIGN_WORD_BITS;

    return FIXED_BYTES + n_words * sizeof(uint64_t);
}

/* Hashes ---------- */

static struct entry *entry_by_id(const struct link *link)
{
    return (struct entry *)((uintptr_t)link - offsetof(struct entry, by_id));
}

static struct entry *entry_by_key(const struct link *link)
{
    return (struct entry *)((uintptr_t)link - offsetof(struct entry, by_key));
}

static struct tenant *tenant_by_number(const struct link *link)
{
    return (struct tenant *)((uintptr_t)link - offsetof(struct tenant, by_number));
}

static uint64_t hash_number(uint64_t number, uint64_t seed)
{
    return mni_hash(&number, sizeof number, seed);
}

static uint64_t hash_id(const struct link *link, uint64_t seed)
{
    return hash_number(entry_by_id(link)->id, seed);
}

static uint64_t hash_key(const struct link *link, uint64_t seed)
{
    return mni_hash(entry_by_key(link)->key, MN_SEMCACHE_KEY_BYTES, seed);
}

static uint64_t hash_tenant(const struct link *link, uint64_t seed)
{
    return hash_number(tenant_by_number(link)->number, seed);
}

/* Sums ---------- */

static void sums_add(struct roster_sums *sums, const struct entry *entry)
{
    sums->n_entries++;
    sums->logical_bytes += entry->logical_bytes;
    sums->bytes += entry->bytes;
}

static void sums_subtract(struct roster_sums *sums, const struct entry *entry)
{
    MNI_CHECK(sums->n_entries > 0);
    MNI_CHECK(sums->bytes >= entry->bytes);
    sums->n_entries--;
    sums->logical_bytes -= entry->logical_bytes;
    sums->bytes -= entry->bytes;
}

static void count_in(struct roster *roster, struct entry *entry)
{
    sums_add(&roster->sums, entry);
    sums_add(&entry->tenant->sums, entry);
}

static void count_out(struct roster *roster, struct entry *entry)
{
    sums_subtract(&roster->sums, entry);
    sums_subtract(&entry->tenant->sums, entry);
}

struct roster_sums roster_get_sums(const struct roster *roster)
{
    return roster->sums;
}

uint64_t roster_memory_bytes(const struct roster *roster)
{
    return roster->memory_bytes;
}

/* Making an entry, and its end ---------- */

static struct entry *new_entry(struct roster *roster, struct tenant *tenant,
                               const struct roster_spec *spec)
{
    struct entry *entry = mni_alloc_aligned(ENTRY_ALIGN, sizeof *entry);

    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.context = spec->context};
    roster->memory_bytes += block_bytes(sizeof *entry);
    entry->tenant = tenant;
    entry->id = spec->id;
    entry->lsn = spec->lsn;
    entry->time_us = spec->time_us;
    entry->expires_at_us = spec->expires_at_us;
    entry->logical_bytes = spec->logical_bytes;
    entry->bytes =
        spec->record_bytes + roster_overhead_bytes(spec->signs == NULL ? 0 : spec->n_dims);
    entry->state = ENTRY_PENDING;
    entry->has_key = spec->key != NULL;
    if (entry->has_key)
        memcpy(entry->key, spec->key, sizeof entry->key);
    atomic_init(&entry->n_hits, spec->n_hits);
    atomic_init(&entry->last_hit_s, spec->last_hit_s);
    atomic_init(&entry->is_dirty, false);
    entry->has_signs = spec->signs != NULL;
    for (size_t i = 0; i < N_HEAPS; i++)
        entry->heap_at[i] = UINT32_MAX;
    return entry;
}

static void free_entry(struct roster *roster, struct entry *entry)
{
    roster->memory_bytes -= block_bytes(sizeof *entry);
    mni_free(entry);
}

/* What publishing will need. */
static bool make_room(struct roster *roster, struct tenant *tenant, const struct entry *entry)
{
    uint32_t slot;

    return roster_heaps_reserve(roster, tenant, entry_expires(entry)) &&
           roster_map_widen(&tenant->ids, &roster->memory_bytes) &&
           (!entry->has_key || roster_map_widen(&tenant->keys, &roster->memory_bytes)) &&
           roster_slots_next(&tenant->entries, &slot, &roster->memory_bytes);
}

mn_status roster_reserve(struct roster *roster, struct tenant *tenant,
                         const struct roster_spec *spec, struct entry **entry_out)
{
    struct entry *entry = NULL;

    MNI_CHECK(spec->signs == NULL || spec->n_dims > 0);
    *entry_out = NULL;
    (void)roster_clear_dropped(roster, N_CLEARED_AT_RESERVE);
    if (spec->signs != NULL && tenant->n_dims != 0 && tenant->n_dims != spec->n_dims)
        return MN_ERR_DIMENSION;
    if (roster->n_entries >= ROSTER_ENTRIES_MAX)
        return MN_ERR_NOMEM;
    entry = new_entry(roster, tenant, spec);
    if (entry == NULL)
        return MN_ERR_NOMEM;
    if (!make_room(roster, tenant, entry) || !roster_scope_join(roster, entry, spec)) {
        free_entry(roster, entry);
        return MN_ERR_NOMEM;
    }
    entry->slot = roster_slots_take(&tenant->entries, entry);
    roster->n_entries++;
    roster->n_expiring += entry_expires(entry);
    tenant->n_signs += entry->has_signs;
    if (entry->has_signs)
        tenant->n_dims = spec->n_dims;
    count_in(roster, entry);
    *entry_out = entry;
    return MN_OK;
}

/* Of an entry that nobody finds any more, in no heap, and not counted. */
static void drop_entry(struct roster *roster, struct entry *entry)
{
    struct tenant *tenant = entry->tenant;

    roster_hits_forget(roster, entry);
    roster_scope_part(roster, entry);
    roster_slots_give(&tenant->entries, entry->slot, &roster->memory_bytes);
    roster->n_entries--;
    roster->n_expiring -= entry_expires(entry);
    tenant->n_signs -= entry->has_signs;
    if (tenant->n_signs == 0)
        tenant->n_dims = 0;
    roster_heaps_trim(roster, tenant);
    free_entry(roster, entry);
}

/* States ---------- */

void roster_publish(struct roster *roster, struct entry *entry)
{
    struct tenant *tenant = entry->tenant;

    MNI_CHECK(entry->state == ENTRY_PENDING);
    MNI_DEBUG_CHECK(roster_find(tenant, entry->id) == NULL);
    MNI_DEBUG_CHECK(!entry->has_key || roster_find_key(tenant, entry->key) == NULL);
    entry->state = ENTRY_THERE;
    roster_map_put(&tenant->ids, &entry->by_id);
    if (entry->has_key)
        roster_map_put(&tenant->keys, &entry->by_key);
    roster_heaps_insert(roster, entry);
}

void roster_cancel(struct roster *roster, struct entry *entry)
{
    MNI_CHECK(entry->state == ENTRY_PENDING);
    count_out(roster, entry);
    drop_entry(roster, entry);
}

void roster_leave(struct roster *roster, struct entry *entry)
{
    MNI_CHECK(entry->state == ENTRY_THERE);
    entry->state = ENTRY_LEAVING;
    roster_heaps_remove(roster, entry);
    count_out(roster, entry);
}

void roster_stay(struct roster *roster, struct entry *entry)
{
    MNI_CHECK(entry->state == ENTRY_LEAVING);
    entry->state = ENTRY_THERE;
    roster_heaps_insert(roster, entry);
    count_in(roster, entry);
}

void roster_remove(struct roster *roster, struct entry *entry)
{
    struct tenant *tenant = entry->tenant;

    if (entry->state == ENTRY_THERE)
        roster_leave(roster, entry);
    MNI_CHECK(entry->state == ENTRY_LEAVING);
    roster_map_remove(&tenant->ids, &entry->by_id, &roster->memory_bytes);
    if (entry->has_key)
        roster_map_remove(&tenant->keys, &entry->by_key, &roster->memory_bytes);
    drop_entry(roster, entry);
}

size_t roster_lapse(struct roster *roster, int64_t now_us, size_t n_max)
{
    size_t n = 0;

    while (n < n_max) {
        struct entry *entry = roster_heaps_first_expiry(roster);
        if (entry == NULL || entry->expires_at_us > now_us)
            break;
        if (entry->tenant->is_dropped) {
            roster_clear_entry(roster, entry);
            continue;
        }
        roster_remove(roster, entry);
        n++;
    }
    return n;
}

/* Finding ---------- */

struct entry *roster_find(const struct tenant *tenant, uint64_t id)
{
    struct link *link = map_chain(&tenant->ids, hash_number(id, tenant->ids.seed));

    if (link != NULL) /* the line behind the first: whoever finds it wants to know the place */
        __builtin_prefetch((const char *)link + ENTRY_ALIGN);
    while (link != NULL && entry_by_id(link)->id != id)
        link = link->next;
    return link == NULL ? NULL : entry_by_id(link);
}

struct entry *roster_find_key(const struct tenant *tenant,
                              const unsigned char key[MN_SEMCACHE_KEY_BYTES])
{
    struct link *link =
        map_chain(&tenant->keys, mni_hash(key, MN_SEMCACHE_KEY_BYTES, tenant->keys.seed));

    if (link != NULL) {
        __builtin_prefetch(entry_by_key(link));
        __builtin_prefetch(&entry_by_key(link)->place);
    }
    while (link != NULL && memcmp(entry_by_key(link)->key, key, MN_SEMCACHE_KEY_BYTES) != 0)
        link = link->next;
    return link == NULL ? NULL : entry_by_key(link);
}

size_t roster_walk(const struct tenant *tenant, uint64_t *cursor, struct entry **entries_out,
                   size_t n_max)
{
    size_t n = 0;

    for (; n < n_max && *cursor < tenant->entries.n_used; (*cursor)++) {
        struct entry *entry = slots_at(&tenant->entries, (uint32_t)*cursor);
        if (entry != NULL && entry->state != ENTRY_PENDING)
            entries_out[n++] = entry;
    }
    return n;
}

/* Tenants ---------- */

/* The first tenant at or above `number` in the array. */
static uint32_t lower_bound(const struct roster *roster, uint64_t number)
{
    uint32_t low = 0, high = roster->n_tenants;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (roster->tenants[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tenant *roster_tenant(const struct roster *roster, uint64_t number)
{
    struct link *link = map_chain(&roster->by_number, hash_number(number, roster->seed));

    while (link != NULL && tenant_by_number(link)->number != number)
        link = link->next;
    return link == NULL ? NULL : tenant_by_number(link);
}

struct tenant *roster_next_tenant(const struct roster *roster, uint64_t from)
{
    uint32_t at = lower_bound(roster, from);

    return at == roster->n_tenants ? NULL : roster->tenants[at];
}

static bool make_tenant_room(struct roster *roster)
{
    uint32_t n_room = roster->n_tenants_room == 0 ? 8 : 2 * roster->n_tenants_room;

    if (roster->n_tenants < roster->n_tenants_room)
        return true;
    if (roster->n_tenants >= ROSTER_ENTRIES_MAX)
        return false;
    struct tenant **tenants = mni_realloc(roster->tenants, n_room * sizeof *tenants);
    if (tenants == NULL)
        return false;
    roster->memory_bytes += (uint64_t)(n_room - roster->n_tenants_room) * sizeof *tenants;
    roster->tenants = tenants;
    roster->n_tenants_room = n_room;
    return true;
}

mn_status roster_add_tenant(struct roster *roster, uint64_t number, struct tenant **tenant_out)
{
    struct tenant *tenant = roster_tenant(roster, number);

    *tenant_out = tenant;
    if (tenant != NULL)
        return MN_OK;
    if (!make_tenant_room(roster) || !roster_map_widen(&roster->by_number, &roster->memory_bytes))
        return MN_ERR_NOMEM;
    tenant = mni_alloc_zero(sizeof *tenant);
    if (tenant == NULL)
        return MN_ERR_NOMEM;
    roster->memory_bytes += block_bytes(sizeof *tenant);
    tenant->number = number;
    map_init(&tenant->ids, hash_id, roster->seed);
    map_init(&tenant->keys, hash_key, roster->seed);
    map_init(&tenant->scopes, roster_scope_hash, roster->seed);
    slots_init(&tenant->scope_slots);
    slots_init(&tenant->entries);
    tenant->values.entries.item_bytes = sizeof(struct entry *);
    uint32_t at = lower_bound(roster, number);
    memmove(roster->tenants + at + 1, roster->tenants + at,
            (roster->n_tenants - at) * sizeof(struct tenant *));
    roster->tenants[at] = tenant;
    roster->n_tenants++;
    roster_map_put(&roster->by_number, &tenant->by_number);
    *tenant_out = tenant;
    return MN_OK;
}

static void free_tenant(struct roster *roster, struct tenant *tenant)
{
    uint64_t *n_bytes = &roster->memory_bytes;

    MNI_CHECK(tenant->entries.n == 0);
    MNI_CHECK(tenant->scope_slots.n == 0);
    MNI_CHECK(tenant->sums.n_entries == 0);
    MNI_CHECK(tenant->sums.bytes == 0);
    roster_shelf_done(&tenant->ids.buckets, n_bytes);
    roster_shelf_done(&tenant->keys.buckets, n_bytes);
    roster_shelf_done(&tenant->scopes.buckets, n_bytes);
    roster_shelf_done(&tenant->scope_slots.items, n_bytes);
    roster_shelf_done(&tenant->entries.items, n_bytes);
    roster_shelf_done(&tenant->values.entries, n_bytes);
    *n_bytes -= block_bytes(sizeof *tenant);
    mni_free(tenant);
}

void roster_drop_tenant(struct roster *roster, struct tenant *tenant)
{
    uint32_t at = lower_bound(roster, tenant->number);

    MNI_CHECK(at < roster->n_tenants);
    MNI_CHECK(roster->tenants[at] == tenant);
    MNI_CHECK(tenant->entries.n == tenant->values.n); /* all are THERE */
    roster->n_tenants--;
    memmove(roster->tenants + at, roster->tenants + at + 1,
            (roster->n_tenants - at) * sizeof(struct tenant *));
    roster_map_remove(&roster->by_number, &tenant->by_number, &roster->memory_bytes);
    roster->sums.n_entries -= tenant->sums.n_entries;
    roster->sums.logical_bytes -= tenant->sums.logical_bytes;
    roster->sums.bytes -= tenant->sums.bytes;
    tenant->sums = (struct roster_sums){0};
    tenant->is_dropped = true;
    tenant->dropped = roster->dropped;
    roster->dropped = tenant;
}

/* Its tenant's maps and heap go as a whole. */
void roster_clear_entry(struct roster *roster, struct entry *entry)
{
    MNI_CHECK(entry->tenant->is_dropped);
    MNI_CHECK(entry->state == ENTRY_THERE);
    roster_heaps_remove(roster, entry);
    drop_entry(roster, entry);
}

size_t roster_clear_dropped(struct roster *roster, size_t n_max)
{
    size_t n = 0;

    while (roster->dropped != NULL) {
        struct tenant *tenant = roster->dropped;
        for (; n < n_max && tenant->n_cleared < tenant->entries.n_used; tenant->n_cleared++) {
            struct entry *entry = slots_at(&tenant->entries, tenant->n_cleared);
            if (entry == NULL)
                continue;
            roster_clear_entry(roster, entry);
            n++;
        }
        if (tenant->entries.n > 0)
            break;
        roster->dropped = tenant->dropped;
        free_tenant(roster, tenant);
    }
    return n;
}

/* The roster ---------- */

mn_status roster_new(struct roster **roster_out)
{
    struct roster *roster = mni_alloc_zero(sizeof *roster);

    *roster_out = NULL;
    if (roster == NULL)
        return MN_ERR_NOMEM;
    /* Where the system put heap and stack differs from run to run: nobody outside can choose ids
     * that meet in one bucket. */
    const uintptr_t places[2] = {(uintptr_t)roster, (uintptr_t)&roster};
    roster->seed = mni_hash(places, sizeof places, 0);
    roster->memory_bytes = block_bytes(sizeof *roster);
    map_init(&roster->by_number, hash_tenant, roster->seed);
    roster->values.entries.item_bytes = sizeof(struct entry *);
    roster->expiries.entries.item_bytes = sizeof(struct entry *);
    *roster_out = roster;
    return MN_OK;
}

/* Leaves only those that are THERE. */
static void settle_entries(struct roster *roster, struct tenant *tenant)
{
    for (uint32_t i = 0; i < tenant->entries.n_used; i++) {
        struct entry *entry = slots_at(&tenant->entries, i);
        if (entry != NULL && entry->state == ENTRY_PENDING)
            roster_cancel(roster, entry);
        else if (entry != NULL && entry->state == ENTRY_LEAVING)
            roster_remove(roster, entry);
    }
}

void roster_free(struct roster *roster)
{
    if (roster == NULL)
        return;
    while (roster->n_tenants > 0) {
        struct tenant *tenant = roster->tenants[roster->n_tenants - 1];
        settle_entries(roster, tenant);
        roster_drop_tenant(roster, tenant);
    }
    (void)roster_clear_dropped(roster, SIZE_MAX);
    MNI_CHECK(roster->n_entries == 0);
    MNI_CHECK(roster->sums.bytes == 0);
    roster_shelf_done(&roster->by_number.buckets, &roster->memory_bytes);
    roster_shelf_done(&roster->values.entries, &roster->memory_bytes);
    roster_shelf_done(&roster->expiries.entries, &roster->memory_bytes);
    mni_free(roster->tenants);
    mni_free(roster);
}
