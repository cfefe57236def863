/*
 * roster_private.h - what the files of the roster share.
 *
 *     roster ─┬─ tenants, by number ── tenant ─┬─ entries by id, by key, by slot
 *             ├─ heap of values                ├─ scopes ── sign codes in chunks
 *             ├─ heap of expiries              └─ heap of values
 *             └─ list of entries with hits
 *
 * An entry is by slot in its tenant and its scope in every state, in the maps when it is THERE or
 * LEAVING, in heaps when it is THERE. Each heap has room for all entries that may come into it.
 * Entries of a dropped tenant are in the roster's heaps and list until they are cleared.
 */
#ifndef MNI_SEMCACHE_ROSTER_PRIVATE_H
#define MNI_SEMCACHE_ROSTER_PRIVATE_H

#include "io/thread.h"
#include "semcache/roster.h"
#include "semcache/shelf_private.h"

enum { ROSTER_ENTRIES_MAX = INT32_MAX };

struct roster {
    uint64_t seed;
    struct roster_sums sums;
    uint64_t memory_bytes;
    struct map by_number;
    struct tenant **tenants; /* owned, by number */
    uint32_t n_tenants;
    uint32_t n_tenants_room;
    struct tenant *dropped; /* owned, linked: they go entry by entry */
    uint32_t n_entries;     /* in all states */
    uint32_t n_expiring;    /* of these */
    struct heap values;
    struct heap expiries;
    struct mni_latch dirty_lock; /* guards the list of those with hits */
    struct entry *dirty_first;   /* who waits longest */
    struct entry *dirty_last;
};

/* What a block takes, with what the allocator puts in front of it. */
static inline uint64_t block_bytes(uint64_t n_bytes)
{
    return (n_bytes + 8 + 15) / 16 * 16;
}

static inline bool entry_is_found(const struct entry *entry)
{
    return entry->state != ENTRY_PENDING;
}

static inline bool entry_expires(const struct entry *entry)
{
    return entry->expires_at_us != INT64_MAX;
}

/* roster.c ---------- */

/* Gives back an entry THERE of a tenant that was dropped. */
void roster_clear_entry(struct roster *roster, struct entry *entry);

/* Heaps: heaps.c ---------- */

/* Room for one entry more, which is not in yet. False when memory is short. */
bool roster_heaps_reserve(struct roster *roster, struct tenant *tenant, bool expires);
void roster_heaps_insert(struct roster *roster, struct entry *entry);
void roster_heaps_remove(struct roster *roster, struct entry *entry);
/* Values an entry THERE anew; whether its value has grown. */
bool roster_heaps_revalue(struct roster *roster, struct entry *entry);
/* The entries left in the heaps that had most room are few: gives memory back. */
void roster_heaps_trim(struct roster *roster, struct tenant *tenant);
/* One of those that expire first; NULL: none expires. */
struct entry *roster_heaps_first_expiry(const struct roster *roster);

/* Hits: roster_hits.c ---------- */

/* It goes: nobody takes its hits any more. */
void roster_hits_forget(struct roster *roster, struct entry *entry);

/* Scopes: signs.c ---------- */

uint64_t roster_scope_hash(const struct link *link, uint64_t seed);
/* Puts an entry into its scope, which is made if it is missing. False when memory is short. */
bool roster_scope_join(struct roster *roster, struct entry *entry, const struct roster_spec *spec);
/* Takes it out; the scope goes with its last entry. */
void roster_scope_part(struct roster *roster, struct entry *entry);

#endif
