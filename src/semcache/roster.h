/*
 * roster.h - which entries a cache has, in memory: found by id, by exact key and by sign codes,
 * counted, and valued for eviction.
 *
 * A roster has tenants, a tenant scopes (one for each pair of model tag and context), a scope the
 * sign codes of its entries that have an embedding. An entry goes through these states, so that
 * nothing can fail once its commit is in the log:
 *
 *     roster_reserve   PENDING   counted, and found by nobody; may fail
 *     roster_publish   THERE     found, and may be chosen as a victim; cannot fail
 *     roster_cancel              instead: gives everything back
 *     roster_leave     LEAVING   found still, not counted, no victim: a commit is to remove it
 *     roster_stay      THERE     that commit failed
 *     roster_remove              it succeeded; also of an entry THERE, without more ado
 *
 * Threads: the caller brings a reader-writer lock. "read" and "write" below say which side of it
 * a call needs. Pointers to tenants and scopes are good while the lock is held, those to entries
 * too, and as long as an entry is PENDING or LEAVING for whoever made it so.
 */
#ifndef MNI_SEMCACHE_ROSTER_H
#define MNI_SEMCACHE_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "mneme/semcache.h"
#include "mneme/types.h"
#include "semcache/shelf_private.h"

struct roster;
struct scope;
struct entry;

struct roster_limits { /* 0: none */
    uint64_t bytes_max;
    uint64_t entries_max;
};

/* PENDING and THERE ones. */
struct roster_sums {
    uint64_t n_entries;
    uint64_t logical_bytes;
    uint64_t bytes;
};

struct counts {
    _Atomic uint64_t n_hits[4]; /* by id, exact, semantic, verified */
    _Atomic uint64_t n_misses;
    _Atomic uint64_t n_evictions;
    _Atomic uint64_t n_errors;
};

enum { N_HEAPS = 3 }; /* the values in the tenant, those in the roster, the expiries */

struct heap {
    struct shelf entries; /* pointers */
    uint32_t n;
};

struct tenant {
    uint64_t number;
    struct roster_sums sums;
    struct roster_limits limits; /* for the caller */
    bool has_own_limits;         /* likewise */
    uint32_t n_dims;             /* of its embeddings, PENDING ones too; 0: none has one */
    uint64_t n_unreadable;       /* entries that could not be read: for the caller */
    uint64_t next_id;            /* likewise: the next one to assign */
    bool is_stored;              /* likewise: the store knows it */
    bool is_going;               /* likewise: a commit is to drop it */
    uint32_t stored_dims;        /* likewise: of embeddings, as the store has it; 0: not known */
    struct roster_sums held;     /* likewise: room that commits under way will give back */
    struct counts counts;        /* likewise */

    /* The roster's own. */
    struct link by_number;
    struct map ids;
    struct map keys;
    struct map scopes;
    struct slots scope_slots; /* the scopes, owned */
    struct slots entries;     /* all of them, owned */
    uint32_t n_signs;         /* entries that have an embedding */
    struct heap values;
    bool is_dropped;
    uint32_t n_cleared;     /* slots of entries that were cleared since */
    struct tenant *dropped; /* the next one that was dropped */
};

enum entry_state { ENTRY_PENDING, ENTRY_THERE, ENTRY_LEAVING };

/* Where an entry was found in a segment and checked: for the caller. */
struct entry_place {
    uint64_t serial;            /* of the segment, as mni_pin_serial; 0: not known */
    const unsigned char *model; /* its bytes */
    const unsigned char *key;
    const unsigned char *payload;
    const uint16_t *embedding;
    uint32_t n_dims;
    uint32_t payload_bytes;
    uint16_t model_bytes;
    bool expires; /* maybe at the last moment there is */
};

/* What a load looks at comes first, in lines of its own. */
enum { ENTRY_ALIGN = 64 };
struct entry {
    struct link by_id; /* the roster's own */
    uint64_t id;
    struct tenant *tenant;
    uint64_t lsn;          /* of the commit that stored it; set before publish */
    int64_t expires_at_us; /* INT64_MAX: never */
    int64_t time_us;
    _Atomic uint32_t n_hits;     /* stays at its most */
    _Atomic uint32_t last_hit_s; /* Unix time; 0: never */
    enum entry_state state;
    atomic_bool is_dirty; /* the roster's own: linked below, its hits are to be taken */
    bool has_key;
    bool has_signs; /* the roster's own */

    struct entry_place place; /* written under the write side */
    uint64_t context;

    unsigned char key[MN_SEMCACHE_KEY_BYTES];
    uint64_t logical_bytes;
    uint64_t bytes;

    /* The roster's own. */
    uint32_t slot;             /* in the tenant's entries */
    uint32_t scope_slot;       /* in the scope's list */
    uint32_t heap_at[N_HEAPS]; /* UINT32_MAX: in none */
    double value;              /* when it was computed last; it may be more by now */
    struct link by_key;
    struct scope *scope; /* borrowed; outlives the entry */
    struct entry *dirty_next;
    struct entry *dirty_previous;
};

struct roster_spec { /* pointers are borrowed for the call */
    uint64_t id;
    uint64_t lsn;
    int64_t time_us;
    int64_t expires_at_us;
    uint64_t logical_bytes;
    uint64_t record_bytes; /* the entry's `bytes` are these and what the roster takes for it */
    uint32_t n_hits;
    uint32_t last_hit_s;
    const unsigned char *key; /* NULL: none */
    uint64_t context;
    struct mn_slice model;
    const uint64_t *signs; /* a word per 64 dimensions begun; NULL: no embedding */
    uint32_t n_dims;
};

/* What the roster takes for an entry: fixed, and an eighth of a byte per dimension, in words. */
uint64_t roster_overhead_bytes(uint32_t n_dims);

MN_MUST_USE mn_status roster_new(struct roster **roster_out);
void roster_free(struct roster *roster); /* NULL is fine; pending ones go too */

/* read: of all tenants. */
struct roster_sums roster_get_sums(const struct roster *roster);
uint64_t roster_memory_bytes(const struct roster *roster); /* as allocated, about */

/* Tenants ----------*/

/* read; NULL: there is none. */
struct tenant *roster_tenant(const struct roster *roster, uint64_t number);
/* write; makes it if it is missing. MN_ERR_NOMEM. */
MN_MUST_USE mn_status roster_add_tenant(struct roster *roster, uint64_t number,
                                        struct tenant **tenant_out);
/* write; with all its entries, of which none is PENDING or LEAVING. At once nobody sees or counts
 * any of them; their memory comes back later, some with each roster_reserve. */
void roster_drop_tenant(struct roster *roster, struct tenant *tenant);
/* write; gives back the memory of `n_max` dropped entries at most. Returns how many; 0: all is. */
size_t roster_clear_dropped(struct roster *roster, size_t n_max);
/* read; the tenant with the least number at or above `from` (by a walk over all, or better). */
struct tenant *roster_next_tenant(const struct roster *roster, uint64_t from);

/* Entries ----------*/

/* write. MN_ERR_NOMEM; MN_ERR_DIMENSION: the tenant's embeddings have another size. */
MN_MUST_USE mn_status roster_reserve(struct roster *roster, struct tenant *tenant,
                                     const struct roster_spec *spec, struct entry **entry_out);
/* write; no other entry of the tenant has its id or key then: those were removed before. */
void roster_publish(struct roster *roster, struct entry *entry);
void roster_cancel(struct roster *roster, struct entry *entry);
void roster_leave(struct roster *roster, struct entry *entry);
void roster_stay(struct roster *roster, struct entry *entry);
void roster_remove(struct roster *roster, struct entry *entry);

/* read; those that are THERE or LEAVING, expired ones too. NULL: there is none. */
struct entry *roster_find(const struct tenant *tenant, uint64_t id);
struct entry *roster_find_key(const struct tenant *tenant,
                              const unsigned char key[MN_SEMCACHE_KEY_BYTES]);

/* read; goes over the entries THERE or LEAVING of a tenant, in no order, `n_max` at most a call:
 * those that were so all the time are seen once, whatever else happens between calls. `cursor` is 0
 * to begin with. Returns how many; 0: there are no more. */
size_t roster_walk(const struct tenant *tenant, uint64_t *cursor, struct entry **entries_out,
                   size_t n_max);
/* read; whether an entry is of this scope. NULL for `model`, or for `context`: of any. */
bool roster_in_scope(const struct entry *entry, const struct mn_slice *model,
                     const uint64_t *context);

/* Hits ----------*/

/* read; counts a hit. */
void roster_hit(struct roster *roster, struct entry *entry, int64_t now_us);
struct roster_hits {
    uint64_t tenant;
    uint64_t id;
    uint64_t lsn;
    uint32_t n_hits;
    uint32_t last_hit_s;
};
/* write; entries THERE with hits that nobody took yet, `n_max` at most. Returns how many. */
size_t roster_take_hits(struct roster *roster, struct roster_hits *hits_out, size_t n_max);
/* write; they were not written: takes them back where the entry is still the one of that LSN. */
void roster_give_hits_back(struct roster *roster, const struct roster_hits *hits, size_t n);

/* Victims ----------*/

/* write; removes entries THERE whose expiry is at or before `now_us`, `n_max` at most. Returns how
 * many. */
size_t roster_lapse(struct roster *roster, int64_t now_us, size_t n_max);
/* write; the entry THERE with the least value, of this tenant, or with NULL of all. NULL: none. Of
 * equal values the smaller id, then the smaller tenant. */
struct entry *roster_victim(struct roster *roster, struct tenant *tenant);
/* The value of an entry as mneme/semcache.h gives it; its event time and last hit in days of
 * 86,400 seconds since 1970. */
double roster_value(const struct entry *entry);

/* Sign codes ----------*/

struct roster_near {
    uint64_t id;
    uint64_t lsn;
    uint32_t n_differing; /* signs */
};

/*
 * The entries in scope whose signs differ least from those of a query, among those THERE or LEAVING
 * that have not expired at `now_us`: of equal ones the smaller id. It goes in slices, between which
 * the lock may be dropped, and the tenant go: an entry that is THERE all the time is seen once. One
 * that is replaced meanwhile may be among the best with both LSNs.
 */
struct roster_scan {
    /* set by the caller */
    uint64_t tenant;
    const struct mn_slice *model; /* NULL: any */
    const uint64_t *context;      /* NULL: any */
    const uint64_t *signs;        /* of the query */
    uint32_t n_dims;
    int64_t now_us;
    struct roster_near *best; /* room for n_best; after the last slice sorted, nearest first */
    size_t n_best;            /* 1 or more */
    /* set by the scan; zero to begin with */
    size_t n;           /* of best */
    uint64_t n_scanned; /* codes compared, those of entries that went too */
    uint64_t next_scope;
    uint64_t next_slot;
    bool saw_scope; /* an entry THERE or LEAVING is in scope, not expired, with or without signs */
};
/* read; about `n_codes_max` codes. False: it was the last slice. */
MN_MUST_USE bool roster_scan_on(const struct roster *roster, struct roster_scan *scan,
                                size_t n_codes_max);

#endif
