/*
 * ramcache_private.h - the parts of the cache and how they hold together.
 *
 *     hash of (namespace, id) -> shard -> buckets of one line each -> entry
 *                                                                       |  | |
 *       one space per namespace, with a list of its entries <-----------'  | |
 *       one queue (window, probation, protected, negative) <---------------' |
 *       one heap of what expires <-------------------------------------------'
 *
 * The cache's lock guards everything but what a look-up needs: namespaces, queues, sketch, heap,
 * loads, and who may take memory. A shard's lock guards its table and the records of accesses that
 * the policy has not seen yet. The cache's lock is taken before a shard's, and a look-up that holds
 * a shard's only tries to have it. An entry leaves its table under both.
 *
 * Life of an entry:
 *
 *     made (pinned by its maker) -> linked: table, queue, space, heap; `refs` counts the table
 *       -> unlinked: overwritten, deleted, cleared, expired, evicted -> freed by the last one who
 *          gives up a reference, table or pin
 *
 * A cleared namespace is a dead space: its entries are invisible at once and go bit by bit.
 */
#ifndef MNI_RAMCACHE_RAMCACHE_PRIVATE_H
#define MNI_RAMCACHE_RAMCACHE_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/thread.h"
#include "ramcache/ramcache.h"

enum {
    LINE_BYTES = 64,
    BUCKET_SLOTS = 6,
    BUCKETS_MIN = 2,      /* of a shard */
    RECORDS_MIN = 8,      /* accesses noted in a shard before the policy is told, if it is free, */
    RECORDS_ONE_IN = 256, /* or one for so many entries of the shard; */
    RECORDS_MAX = 64,     /* before it is waited for */
    RECLAIM_PER_PUT = 4,  /* dead and expired entries that a put removes on its way */
    PINNED_LOOKS_MAX = 256,   /* pinned entries of a queue passed over in search of a victim */
    UNLOCKED_COPY_MIN = 8192, /* larger values are copied without the cache's lock */
    HOLD_MAX = 256,           /* entries that a long work removes under one hold of the lock */
};

enum queue_id {
    QUEUE_NONE,
    QUEUE_WINDOW,
    QUEUE_PROBATION,
    QUEUE_PROTECTED,
    QUEUE_NEGATIVE,
    N_QUEUES
};

/* The reference of the table in struct entry.refs; each pin is one below it. */
#define REF_TABLE (1U << 31)

/* One place in a ring. An empty ring, or what is in none, points to itself. */
struct link {
    struct link *prev;
    struct link *next;
};

/* Before an entry that expires, in the same block: its place in a leftist heap. */
struct expiry_node {
    int64_t due_us;        /* cache's time */
    int64_t expires_at_us; /* Unix time, to be shown */
    uint64_t padding;
    struct expiry_node *left;
    struct expiry_node *right;
    struct expiry_node *parent;
};
static_assert(sizeof(struct expiry_node) % 16 == 0, "keeps the entry aligned");

struct entry {
    struct link in_queue; /* newest first */
    struct link in_space;
    int64_t created_at_us; /* never changes */
    struct space *space;   /* valid while linked */
    uint64_t hash;         /* never changes, like what follows but where it says so */
    uint64_t value_bytes;
    atomic_uint refs;      /* REF_TABLE, and one of each pin */
    uint32_t access_count; /* shard's lock; stays at its highest value */
    uint32_t batch;        /* that put it and has not counted it; shard's lock */
    uint16_t id_bytes;
    bool has_expiry;
    bool is_negative;
    uint8_t queue;         /* cache's lock */
    uint8_t heap_rank;     /* cache's lock */
    uint8_t n_records;     /* shard's lock */
    unsigned char bytes[]; /* the id; then, aligned to 16, the value */
};

/* Six entries in one line of the processor's cache, found by 16 bits of their hashes. A key lies in
 * the first bucket of its probe sequence that had a free slot when it was put; those that it passed
 * count it, so that a look-up ends where nothing has passed. */
struct bucket {
    uint16_t tags[BUCKET_SLOTS]; /* 0 = free */
    uint16_t n_used;
    uint16_t n_passed; /* stays at UINT16_MAX once it is there */
    struct entry *entries[BUCKET_SLOTS];
};
static_assert(sizeof(struct bucket) == LINE_BYTES, "one bucket, one line");

struct shard {
    /* One line, with all that a look-up changes but the record of it. */
    struct mni_latch lock;
    atomic_uint bucket_mask;
    _Atomic(struct bucket *) buckets; /* owned */
    uint32_t n_used;                  /* slots */
    uint32_t n_records;
    uint64_t n_hits;
    uint64_t n_misses;
    uint64_t n_negative_hits;
    atomic_uint_fast64_t pinned_bytes;
    atomic_uint_fast64_t detached_bytes; /* of them, of entries that have left the table */
    /* Accesses in their order; NULL: the entry has gone. */
    _Alignas(LINE_BYTES) struct entry *records[RECORDS_MAX];
};
static_assert(offsetof(struct shard, records) == LINE_BYTES, "one line");
static_assert(sizeof(struct shard) % LINE_BYTES == 0, "no line is shared");

/* The buckets and their number change under the shard's lock, and are read without it to fetch a
 * bucket into the processor's cache ahead. */
static inline struct bucket *buckets_of(const struct shard *shard)
{
    return atomic_load_explicit(&shard->buckets, memory_order_relaxed);
}

static inline uint32_t mask_of(const struct shard *shard)
{
    return atomic_load_explicit(&shard->bucket_mask, memory_order_relaxed);
}

static inline void set_buckets(struct shard *shard, struct bucket *buckets, uint32_t n_buckets)
{
    atomic_store_explicit(&shard->buckets, buckets, memory_order_relaxed);
    atomic_store_explicit(&shard->bucket_mask, n_buckets - 1, memory_order_relaxed);
}

/* One life of a namespace: from the first put until it is cleared. */
struct space {
    struct space *chained; /* names of one hash; names_lock */
    struct link in_cache;  /* all that are alive, or all that are dead */
    struct link entries;   /* all linked ones */
    struct link empties;   /* in the cache's ring of spaces without entries, oldest first */
    unsigned n_users;      /* that keep it without entries: puts and walks under way */
    uint64_t n_entries;    /* linked ones that are no negative results */
    uint64_t n_negative;
    uint64_t n_expiring;  /* of n_entries */
    uint64_t bytes;       /* of n_entries */
    uint64_t value_bytes; /* of n_entries */
    uint64_t n_puts;
    uint64_t n_hits;
    uint64_t n_evicted;
    uint64_t n_expired;
    atomic_uint_fast64_t n_misses;
    /* What look-ups read; only is_dead ever changes. */
    uint64_t hash;
    atomic_bool is_dead;
    uint16_t name_bytes;
    unsigned char name[];
};

struct queue {
    struct link entries;
    uint64_t bytes;
    uint64_t n_entries;
};

/* How often keys were asked for lately: four counters of four bits per key, all in one line. */
struct sketch_part {
    uint64_t *words; /* owned */
    uint64_t n_halvings;
};
struct sketch {
    struct sketch_part *parts; /* owned; room for n_parts_max */
    uint64_t n_parts;
    uint64_t n_parts_max;
    uint64_t part_words; /* of each; a power of two */
    unsigned part_shift; /* lines of each, as a power of two */
    uint64_t part_mask;  /* of the numbers of parts, rounded up to a power of two */
    uint64_t n_words;    /* of all parts */
    uint64_t n_added;
    uint64_t n_added_max; /* then all counters are halved */
    uint64_t n_halvings;  /* those that a part lacks it makes up for when it is looked at */
};

enum { TUNER_SIMS = 4 };
struct tuner_sim;

/* Which share of the cache the window should have. */
struct tuner {
    struct tuner_sim *sims; /* owned, with their nodes behind them */
    uint32_t n_nodes;       /* of each; 0: the cache is too small for a tuner */
    unsigned shift;         /* one key in 2^shift is followed */
    uint64_t skip_mask;
    uint64_t capacity_units;
    uint64_t n_accesses; /* of this period */
    double score;        /* accesses, older periods by half each */
    bool is_warm;
    int choice;
};

/* One walk over a ring that lets go of the lock: its own links stand in the ring meanwhile. */
struct walker {
    struct link at;
    struct link end; /* what comes in later is behind it */
    struct link in_cache;
};

/* The cache's time is the monotonic one and `shift_us`. `ahead_us`: how far Unix time was ahead of
 * the monotonic one at most since it was last set back. */
struct clock {
    atomic_uint n_changes; /* odd: the words are being changed */
    struct mni_latch lock; /* of who changes them */
    atomic_int_fast64_t ahead_us;
    atomic_int_fast64_t shift_us;
};

struct mni_ramcache {
    struct mni_ramcache_config config;
    /* All memory, counted as charge_of says. Grows under the lock only, and never above max_bytes;
     * whoever gives up the last reference of an entry lets it shrink. */
    atomic_uint_fast64_t used_bytes;
    struct clock clock;
    unsigned char apart[LINE_BYTES];

    struct mni_mutex lock; /* lock.c */
    atomic_uint n_waited;  /* who could not have the lock at once; */
    atomic_uint n_passed;  /* of them, who have had it since */
    atomic_uint n_yielders;
    uint64_t pending_bytes; /* what those still want who let others in while they make room */
    struct queue queues[N_QUEUES];
    struct sketch sketch;
    struct tuner tuner;
    struct expiry_node *heap;
    uint64_t entry_bytes;     /* of all linked entries */
    uint64_t entry_bytes_max; /* of one */

    struct space **names;   /* owned; the array also under names_lock */
    uint32_t n_names_slots; /* power of two */
    uint32_t n_names;
    struct link spaces;
    struct link dead_spaces;
    struct link empties;
    uint64_t empties_bytes;
    struct link walkers;

    mn_ramcache_load *loads; /* under way */
    uint32_t last_batch;
    /* Counters as in struct mn_ramcache_stats. */
    uint64_t n_entries;
    uint64_t n_negative;
    uint64_t n_namespaces; /* with entries */
    uint64_t n_kept;
    uint64_t n_overwritten;
    uint64_t n_deleted;
    uint64_t n_cleared;
    uint64_t n_expired;
    uint64_t n_evicted;
    uint64_t n_rejected;
    uint64_t n_refused;
    uint64_t n_loads;
    uint64_t n_load_errors;

    struct mni_rwlock names_lock;
    uint32_t shard_mask;
    struct shard *shards; /* owned; each on lines of its own */
};

/* What a key is looked up by. */
struct key {
    struct mn_slice name;
    struct mn_slice id;
    uint64_t hash; /* of both */
    uint64_t name_hash;
};

static inline void link_init(struct link *link)
{
    link->prev = link;
    link->next = link;
}

static inline bool link_is_alone(const struct link *link)
{
    return link->next == link;
}

static inline void link_after(struct link *place, struct link *link)
{
    link->prev = place;
    link->next = place->next;
    place->next->prev = link;
    place->next = link;
}

static inline void link_remove(struct link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link_init(link);
}

#define CONTAINER(type, member, pointer)                                                           \
    ((type *)(void *)((unsigned char *)(pointer)-offsetof(type, member)))

static inline struct entry *entry_of_queue(struct link *link)
{
    return CONTAINER(struct entry, in_queue, link);
}

static inline struct entry *entry_of_space(struct link *link)
{
    return CONTAINER(struct entry, in_space, link);
}

static inline struct expiry_node *expiry_of(struct entry *entry)
{
    MNI_DEBUG_CHECK(entry->has_expiry);
    return (struct expiry_node *)(void *)entry - 1;
}

static inline struct entry *entry_of_expiry(struct expiry_node *node)
{
    return (struct entry *)(void *)(node + 1);
}

static inline unsigned char *value_of(struct entry *entry)
{
    return (unsigned char *)entry +
           mni_align_up(offsetof(struct entry, bytes) + entry->id_bytes, 16);
}

static inline struct shard *shard_of(struct mni_ramcache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 48) & cache->shard_mask];
}

static inline bool is_due(struct entry *entry, int64_t now_us)
{
    return entry->has_expiry && expiry_of(entry)->due_us <= now_us;
}

static inline bool space_is_dead(const struct space *space)
{
    return atomic_load_explicit(&space->is_dead, memory_order_acquire);
}

static inline uint64_t used_bytes(struct mni_ramcache *cache)
{
    return atomic_load_explicit(&cache->used_bytes, memory_order_relaxed);
}

/* lock.c: the cache's lock --------------------------------------------------------------------- */

void mni_ramcache_lock(struct mni_ramcache *cache);
void mni_ramcache_unlock(struct mni_ramcache *cache);
/* Lets all have the lock who wait for it. False: nobody did, and the lock was not given up. */
bool mni_ramcache_yield(struct mni_ramcache *cache);

/* memory.c: what blocks cost, and entries as blocks ------------------------------------------- */

/* What a block of `n_bytes` takes at most of the memory of the process. */
uint64_t mni_ramcache_charge(uint64_t n_bytes);
uint64_t mni_ramcache_entry_charge(uint64_t id_bytes, uint64_t value_bytes, bool has_expiry);
static inline uint64_t charge_of_entry(const struct entry *entry)
{
    return mni_ramcache_entry_charge(entry->id_bytes, entry->value_bytes, entry->has_expiry);
}
void mni_ramcache_take(struct mni_ramcache *cache, uint64_t n_bytes);      /* cache's lock */
void mni_ramcache_give_back(struct mni_ramcache *cache, uint64_t n_bytes); /* any thread */
/* A block that is charged already, with the id in it and REF_TABLE, which is the caller's. */
struct entry *mni_ramcache_entry_new(const struct key *key, uint64_t value_bytes,
                                     struct mni_ramcache_expiry expiry);
/* Gives up REF_TABLE. Whoever gives up the last reference frees the entry and returns its bytes. */
void mni_ramcache_entry_unref(struct mni_ramcache *cache, struct entry *entry);
/* `n` pins, on top of a reference that keeps the entry meanwhile. */
void mni_ramcache_pin(struct mni_ramcache *cache, struct entry *entry, unsigned n);

/* Of entries that are held; and of those in the table that are not. */
uint64_t mni_ramcache_pinned_bytes(struct mni_ramcache *cache);
uint64_t mni_ramcache_evictable_bytes(struct mni_ramcache *cache); /* cache's lock */

/* clock.c ------------------------------------------------------------------------------------- */

void mni_ramcache_clock_init(struct mni_ramcache *cache);
/* The cache's own time, which never goes back. */
int64_t mni_ramcache_now(struct mni_ramcache *cache);
struct mni_ramcache_expiry mni_ramcache_expiry_after(struct mni_ramcache *cache, int64_t ttl_us);
bool mni_ramcache_is_expired(struct mni_ramcache *cache, struct entry *entry);

/* table.c: entries of a shard; under its lock -------------------------------------------------- */

uint64_t mni_ramcache_table_charge(uint32_t n_buckets);
/* Finds also what has expired and what is negative, but no dead ones. */
struct entry *mni_ramcache_table_find(struct shard *shard, const struct key *key);
/* There is a free slot. */
void mni_ramcache_table_insert(struct shard *shard, struct entry *entry);
void mni_ramcache_table_remove(struct shard *shard, struct entry *entry);
static inline uint32_t table_slots(const struct shard *shard)
{
    return (mask_of(shard) + 1) * BUCKET_SLOTS;
}
struct bucket *mni_ramcache_table_new(uint32_t n_buckets);
/* Moves all entries over, and returns the old buckets. */
struct bucket *mni_ramcache_table_move(struct shard *shard, struct bucket *buckets,
                                       uint32_t n_buckets);

/* sketch.c: under the cache's lock ------------------------------------------------------------- */

/* Of one that can grow to so many words, and has one part; and of each further part. */
uint64_t mni_ramcache_sketch_charge(uint64_t n_words_max);
uint64_t mni_ramcache_sketch_part_charge(uint64_t n_words_max);
MN_MUST_USE bool mni_ramcache_sketch_init(struct sketch *sketch, uint64_t n_words_max);
void mni_ramcache_sketch_done(struct sketch *sketch);
void mni_ramcache_sketch_add(struct sketch *sketch, uint64_t hash);
unsigned mni_ramcache_sketch_count(const struct sketch *sketch, uint64_t hash); /* 0 to 15 */
void mni_ramcache_sketch_prefetch(const struct sketch *sketch, uint64_t hash);
bool mni_ramcache_sketch_can_grow(const struct sketch *sketch);
/* By one part, if it can. False: no memory. */
MN_MUST_USE bool mni_ramcache_sketch_grow(struct sketch *sketch);

/* tuner.c: the share of the window; under the cache's lock ------------------------------------- */

uint32_t mni_ramcache_tuner_nodes(uint64_t max_bytes);
uint64_t mni_ramcache_tuner_charge(uint32_t n_nodes);
MN_MUST_USE bool mni_ramcache_tuner_init(struct tuner *tuner, uint32_t n_nodes);
void mni_ramcache_tuner_done(struct tuner *tuner);
double mni_ramcache_tuner_share(const struct tuner *tuner);
/* A key of an entry of this size was asked for, or put. `capacity`: bytes of entries that fit. */
void mni_ramcache_tuner_follow(struct tuner *tuner, const struct sketch *sketch, uint64_t hash,
                               uint64_t charge, uint64_t capacity, uint64_t n_entries);

/* expiry.c: the heap of what expires; under the cache's lock ----------------------------------- */

void mni_ramcache_heap_add(struct mni_ramcache *cache, struct entry *entry);
void mni_ramcache_heap_remove(struct mni_ramcache *cache, struct entry *entry);

/* space.c: namespaces; under the cache's lock -------------------------------------------------- */

struct space *mni_ramcache_space_find(struct mni_ramcache *cache, const struct key *key);
/* Makes it where it is missing. MN_ERR_NOMEM; MN_NOT_FOUND: no room. */
MN_MUST_USE mn_status mni_ramcache_space_get(struct mni_ramcache *cache, const struct key *key,
                                             struct space **space_out);
void mni_ramcache_space_use(struct mni_ramcache *cache, struct space *space);
void mni_ramcache_space_unuse(struct mni_ramcache *cache, struct space *space);
/* An entry has come or gone. */
void mni_ramcache_space_entered(struct mni_ramcache *cache, struct space *space);
void mni_ramcache_space_left(struct mni_ramcache *cache, struct space *space);
/* Makes it dead; it goes when its last entry and user go. */
void mni_ramcache_space_kill(struct mni_ramcache *cache, struct space *space);
/* Frees the space that has been empty for longest. False: there is none. */
bool mni_ramcache_space_drop_empty(struct mni_ramcache *cache);
/* Counts look-ups that found nothing. Holds no lock of the cache. */
void mni_ramcache_space_missed(struct mni_ramcache *cache, const struct key *key, int n);
/* Whether a link in a ring of entries or spaces is that of a walk. */
bool mni_ramcache_is_walker(struct mni_ramcache *cache, const struct link *link);

/* entries.c: linking and unlinking; under the cache's lock ------------------------------------- */

enum leave { LEAVE_OVERWRITTEN, LEAVE_DELETED, LEAVE_CLEARED, LEAVE_EXPIRED, LEAVE_EVICTED };

/* Links a new entry into everything; takes the reference of the caller over for the table. The
 * shard's lock is held, and its table has a free slot. */
void mni_ramcache_link(struct mni_ramcache *cache, struct shard *shard, struct space *space,
                       struct entry *entry);
/* Unlinks an entry, counts why, and gives up the table's reference. The shard's lock is held, or is
 * taken. */
void mni_ramcache_unlink_locked(struct mni_ramcache *cache, struct shard *shard,
                                struct entry *entry, enum leave why);
void mni_ramcache_unlink(struct mni_ramcache *cache, struct entry *entry, enum leave why);
/* Removes up to `n_max` entries that are dead or, by this clock, due. Returns how many. */
unsigned mni_ramcache_reclaim(struct mni_ramcache *cache, int64_t now_us, unsigned n_max);
/* Removes all that is due, in steps between which the lock is given up. Returns the clock. */
int64_t mni_ramcache_sweep_all(struct mni_ramcache *cache);

/* policy.c: who stays; under the cache's lock -------------------------------------------------- */

void mni_ramcache_policy_init(struct mni_ramcache *cache);
enum room { ROOM_MADE, ROOM_REJECTED, ROOM_NONE };
enum {
    MAY_REJECT = 1, /* a large one has to be worth what it pushes out */
    MAY_YIELD = 2,  /* the lock is given up after each HOLD_MAX entries that go, if it is wanted */
};
/* Makes `n_bytes` of room and takes them. `key_hash` is of the entry that they are for; NULL: it is
 * no entry. */
enum room mni_ramcache_make_room(struct mni_ramcache *cache, uint64_t n_bytes,
                                 const uint64_t *key_hash, unsigned how, int64_t now_us);
/* `queue`: where it begins; a negative result always in its own. */
void mni_ramcache_policy_entered(struct mni_ramcache *cache, struct entry *entry,
                                 enum queue_id queue);
void mni_ramcache_policy_left(struct mni_ramcache *cache, struct entry *entry);
/* Tells the policy of the accesses noted in a shard, whose lock is held too. */
void mni_ramcache_policy_drain(struct mni_ramcache *cache, struct shard *shard);

/* load.c --------------------------------------------------------------------------------------- */

/* The key, or all keys of the name where `key` has no id, is newer than what is being loaded. Under
 * the cache's lock. */
void mni_ramcache_loads_are_stale(struct mni_ramcache *cache, const struct key *key);

/* ramcache.c: shared steps --------------------------------------------------------------------- */

struct key mni_ramcache_key(const struct mni_ramcache *cache, struct mn_slice name,
                            struct mn_slice id);
enum found { FOUND_NOTHING, FOUND_VALUE, FOUND_NEGATIVE };
/* Looks a key up, pins a value, and counts the look-up; clears `value_out` where there is none. */
enum found mni_ramcache_look_up(struct mni_ramcache *cache, const struct key *key,
                                struct mn_ramcache_value *value_out);
/* The same without counting. */
enum found mni_ramcache_peek(struct mni_ramcache *cache, const struct key *key,
                             struct mn_ramcache_value *value_out);
/* All but how often it was got, which is under its shard's lock. */
void mni_ramcache_show(struct mni_ramcache *cache, struct entry *entry,
                       struct mn_ramcache_value *value_out);
/* Makes the tables fit for one more entry of a key, as far as there is room. May give the lock up.
 */
void mni_ramcache_fit(struct mni_ramcache *cache, const struct key *key, int64_t now_us);
/* Links a finished entry whose bytes are taken in the place of what has its key. Takes over the
 * reference of the caller, also when it fails. Under the cache's lock. MN_NOT_FOUND: the table is
 * full, and there was no room for a larger one. */
MN_MUST_USE mn_status mni_ramcache_finish(struct mni_ramcache *cache, const struct key *key,
                                          struct space *space, struct entry *entry, int64_t now_us);

#endif
