/*
 * memtable_private.h - how the parts of the buffer fit together.
 *
 *     buckets (hash) ----> entry ---> head version -> older -> older
 *                           |  ^          (newest first; each owned by the one above it)
 *     rows of a collection  |  |
 *       skip list, pending -+  +--- expiry slot, superseded item
 *
 *     pool.c       memory of all tables of a store, and what is pinned
 *     slots.c      arrays that grow without moving
 *     buckets.c    hash table that grows by one bucket at a time
 *     order.c      skip list of one collection, and keys that are not in it yet
 *     sorted.c     all of a table in order, for who reads it once
 *     rows.c       collections: their counts, drop and reclaim
 *     tally.c      live records of each entity
 *     version.c    versions
 *     pins.c       what pins hold
 *     slabs.c      the memory of versions
 *     expiry.c     records that will expire, and those that have
 *     superseded.c versions that wait until no view needs them
 *     memtable.c   life, reading
 *     change.c     prepare, apply, cancel
 */
#ifndef MNI_MEMTABLE_MEMTABLE_PRIVATE_H
#define MNI_MEMTABLE_MEMTABLE_PRIVATE_H

#include <stdalign.h>
#include <stdatomic.h>

#include "base/check.h"
#include "base/compare.h"
#include "io/thread.h"
#include "memtable/memtable.h"
#include "memtable/slabs_private.h"

enum {
    MEMTABLE_MAGIC = 0x4d4e4d54,
    CACHE_LINE_BYTES = 64,
    HEIGHT_MAX = 12, /* levels of a skip list: with one in four promoted, good for 16 M keys */
    HASH_BITS = 28,  /* kept with each entry; so many buckets at most */
    SLOTS_FIRST_LOG2 = 6,
    SLOTS_SEGMENTS_MAX = 34,
    START_BYTES_MAX = 32,
    PIN_STRIPES_LOG2 = 6,
    PIN_STRIPES = 1 << PIN_STRIPES_LOG2,
};
#define EXPIRY_PLACE_NONE UINT32_MAX

/* An array that grows by whole segments, each twice the one before, and never moves: one thread
 * may add segments while others read slots that exist. */
struct slots {
    unsigned char *segments[SLOTS_SEGMENTS_MAX]; /* owned */
    unsigned n_segments;
    unsigned slot_bytes;
};

static inline uint64_t slots_capacity(const struct slots *slots)
{
    return ((UINT64_C(1) << slots->n_segments) - 1) << SLOTS_FIRST_LOG2;
}

static inline void *slots_at(const struct slots *slots, uint64_t index)
{
    uint64_t biased = index + (1U << SLOTS_FIRST_LOG2);
    unsigned log2 = 63U - (unsigned)__builtin_clzll(biased);

    return slots->segments[log2 - SLOTS_FIRST_LOG2] +
           (biased - (UINT64_C(1) << log2)) * slots->slot_bytes;
}

/* What hash table members begin with. The last two fields are the owner's and stand here to fill
 * the space. */
struct hash_link {
    struct hash_link *next;
    unsigned hash : HASH_BITS;
    unsigned height : 32 - HASH_BITS; /* of an entry */
    uint32_t expiry_place;            /* of an entry: slot of struct expiry, or none */
};

struct buckets {
    struct slots slots; /* of struct hash_link * */
    uint64_t n_buckets;
    uint64_t mask; /* the next power of two above n_buckets - 1, less 1 */
    uint64_t n_links;
};

static inline struct hash_link **buckets_at(const struct buckets *buckets, uint64_t hash)
{
    uint64_t index = hash & buckets->mask;

    if (index >= buckets->n_buckets)
        index &= buckets->mask >> 1;
    return slots_at(&buckets->slots, index);
}

/* All records of one collection. */
struct mni_rows {
    struct hash_link link; /* in `rows`, or in `new_rows` until the first change is applied */
    uint64_t collection;
    uint64_t n_live;
    uint64_t n_lapsed;
    uint64_t n_keys;
    uint64_t n_reserved; /* prepared changes that refer to it */
    bool is_linked;
    bool is_dropped;
    uint8_t n_levels;
    uint8_t start_bytes;
    uint32_t n_keys_to_choose;            /* the start is chosen again at so many keys in order */
    unsigned char start[START_BYTES_MAX]; /* see order.c */
    struct mni_entry *next[HEIGHT_MAX];   /* owned: every entry of the lowest level */
    struct mni_entry *pending;            /* owned, linked both ways: not in order yet, in the order
                                             in which they came */
    struct mni_entry *last_pending;
    uint64_t n_pending;
    uint64_t n_tallies;
    bool has_no_tallies;  /* not any more: nobody adds to them, nor believes them */
    uint64_t pending_lsn; /* if there are any: they came with this LSN at the earliest */
    uint64_t newest_lsn;  /* the newest key came with it */
};

/* Live records of one entity: keys of 16 bytes that begin with the same 8; see tally.c. */
struct tally {
    struct hash_link link;
    uint64_t collection;
    uint64_t entity;
    uint64_t n_live; /* that are in order */
};

/* One key. Its bytes are those of the newest version's record; where they lie is noted here, so
 * that comparing does not have to read the record's header first. */
struct mni_entry {
    struct hash_link link;
    struct mni_version *head; /* owned; the newest version */
    struct mni_rows *rows;    /* borrowed; NULL once reclaimed and only kept by superseded items */
    union {
        uint64_t order;             /* of the key among keys of the collection; see order.c */
        struct mni_entry *previous; /* while it is pending */
    };
    uint32_t key_offset; /* from the version that holds the record */
    uint16_t key_bytes;
    bool is_pending;
    struct mni_entry *next[]; /* link.height of them; while it is pending, one */
};
static_assert(sizeof(struct mni_entry) == 48, "entries are many: keep them small");

/* A version that is no longer the newest and waits for old views to go: `newer->older`. It lives in
 * memory that was reserved for its change, which had no need for a new entry. */
struct superseded {
    struct superseded *next;
    struct mni_entry *entry;   /* borrowed; lives as long as an item refers to it */
    struct mni_version *newer; /* borrowed; items go in LSN order, so it is still in the chain */
    size_t node_bytes;
};
static_assert(sizeof(struct superseded) <= sizeof(struct mni_entry), "fits where an entry fits");

enum version_flags {
    VERSION_TOMBSTONE = 1 << 0,
    VERSION_PATCH = 1 << 1,   /* an encoded patch, before it is applied */
    VERSION_PATCHED = 1 << 2, /* is a struct patched_version */
    VERSION_EXPIRES = 1 << 3, /* has, or when it is a patch: sets, an expiry */
    VERSION_FLAG_BITS = 8,
    VERSION_ALL_FLAGS = (1 << VERSION_FLAG_BITS) - 1,
};

/* Followed by the encoded record, at an offset that is a multiple of 8. */
struct mni_version {
    struct mni_version *older; /* owned; under the table's lock */
    uint64_t lsn;              /* 0 until it is applied */
    struct mni_pool *pool;     /* borrowed; outlives all its versions */
    atomic_uint n_refs;
    uint32_t shape; /* version_flags, above them the bytes behind this header, divided by 8 */
};
static_assert(sizeof(struct mni_version) == 32, "versions are many: keep them small");

/* What an applied patch becomes, in the memory of its encoding: the record below with another
 * expiry and hits. */
struct patched_version {
    struct mni_version version;
    struct mni_version *base; /* one reference; never a patched one itself */
    int64_t expires_at_us;
    uint64_t hits;
    uint32_t fields; /* of MNI_FIELD_EXPIRY and MNI_FIELD_HITS, those that it has */
};
/* The shortest patch is a header and a key of one byte, padded. */
static_assert(sizeof(struct patched_version) <= sizeof(struct mni_version) + 40, "fits a patch");

struct due {
    int64_t expires_at_us;
    struct mni_entry *entry; /* borrowed */
};

/* Slots 0 to n_pending - 1 are a heap of entries still counted, the earliest first; behind them up
 * to n_slots stand the lapsed ones. */
struct expiry {
    struct slots slots; /* of struct due */
    uint64_t n_slots;
    uint64_t n_pending;
    uint64_t n_reserved; /* slots that prepared changes may need */
};

/* See pins.c. */
struct pin_stripe {
    alignas(CACHE_LINE_BYTES) atomic_int_fast64_t credit_bytes;
};

struct pins {
    struct mni_mutex lock; /* guards what follows; credit goes from and to the budget under it */
    int64_t taken_bytes;   /* by stripes: pinned bytes and their credit */
    int64_t bytes_max;
    atomic_int_fast64_t chunk_bytes;
    struct pin_stripe stripes[PIN_STRIPES];
    const struct mni_fork_guard *fork_guard; /* borrowed from the pool */
};

/* Changed by any thread. */
struct mni_pool {
    alignas(CACHE_LINE_BYTES) atomic_uint_fast64_t memory_bytes;
    struct slab_pool slabs; /* of versions and entries */
    struct pins pins;
    struct mni_fork_guard *fork_guard; /* owned */
};

struct mni_memtable {
    uint32_t magic;
    struct mni_pool *pool; /* borrowed */
    struct buckets entries;
    struct buckets rows;
    struct buckets new_rows; /* the leader's alone: reserved and not yet linked */
    struct buckets tallies;
    struct expiry expiry;
    struct superseded *first_superseded; /* owned, oldest first */
    struct superseded *last_superseded;
    uint64_t n_superseded;
    uint64_t n_records;
    uint64_t n_lapsed;
    uint64_t random_state; /* the leader's: heights */
};

/* pool.c: memory that is counted */
void *mni_pool_alloc(struct mni_pool *pool, size_t n_bytes);
void *mni_pool_alloc_zero(struct mni_pool *pool, size_t n_bytes);
void mni_pool_dealloc(struct mni_pool *pool, void *memory, size_t n_bytes);
/* The same for versions and entries, which come in large numbers and about equal sizes. */
void *mni_pool_alloc_block(struct mni_pool *pool, size_t n_bytes);
void mni_pool_dealloc_block(struct mni_pool *pool, void *memory, size_t n_bytes);

/* The entry of a key, or NULL. */
struct mni_entry *mni_memtable_entry(struct mni_memtable *table, uint64_t hash, uint64_t collection,
                                     struct mn_slice key);

static inline size_t entry_bytes(unsigned height)
{
    return sizeof(struct mni_entry) + height * sizeof(struct mni_entry *);
}

/* slots.c; adding takes one zeroed segment. */
MN_MUST_USE mn_status mni_slots_grow(struct slots *slots, struct mni_memtable *table);
void mni_slots_done(struct slots *slots, struct mni_memtable *table);

/* buckets.c */
MN_MUST_USE mn_status mni_buckets_init(struct buckets *buckets, struct mni_memtable *table);
void mni_buckets_done(struct buckets *buckets, struct mni_memtable *table); /* not its members */
void mni_buckets_insert(struct buckets *buckets, struct mni_memtable *table,
                        struct hash_link *link);
void mni_buckets_remove(struct buckets *buckets, struct hash_link *link);

/* order.c: the keys of one collection. Adding one costs nothing to speak of; the functions that
 * look see those that were put in order. */
void mni_order_add(struct mni_rows *rows, struct mni_entry *entry, uint64_t lsn); /* head is set */
void mni_order_remove(struct mni_rows *rows, struct mni_entry *entry);
struct mni_entry *mni_order_any(struct mni_rows *rows);
struct mni_entry *mni_order_first(struct mni_rows *rows);
struct mni_entry *mni_order_last(struct mni_rows *rows);
/* The last entry with a key before `key`. Links lead forward only: each call searches anew. */
struct mni_entry *mni_order_seek_below(struct mni_rows *rows, struct mn_slice key);
/* The first entry with a key at or after `key`, or only after it. */
struct mni_entry *mni_order_seek(struct mni_rows *rows, struct mn_slice key, bool or_equal);
/* Eight bytes of the key behind a start, as a number that sorts as they do. */
uint64_t mni_order_number(struct mn_slice start, struct mn_slice key);

/* What a view sees of a key, or NULL. */
struct mni_version *mni_entry_visible(const struct mni_entry *entry, struct mni_view_point view);

/* Puts a version on top; what was there stays with the caller. */
void mni_entry_set_head(struct mni_entry *entry, struct mni_version *version);

/* rows.c */
struct mni_rows *mni_rows_find(struct mni_memtable *table, uint64_t collection);
/* Finds or makes the rows of a collection and keeps them until released. */
MN_MUST_USE mn_status mni_rows_reserve(struct mni_memtable *table, uint64_t collection,
                                       struct mni_rows **rows_out);
void mni_rows_link(struct mni_memtable *table, struct mni_rows *rows);
void mni_rows_release(struct mni_memtable *table, struct mni_rows *rows);
/* Takes the newest version of a key into the counts and the expiry slots, and out of them. */
void mni_entry_count_in(struct mni_memtable *table, struct mni_entry *entry, int64_t now_us);
void mni_entry_count_out(struct mni_memtable *table, struct mni_entry *entry);
void mni_entry_count_lapse(struct mni_memtable *table, const struct mni_entry *entry);
/* Takes an entry out of hash, order, counts and expiry. Frees nothing. */
void mni_entry_unlink(struct mni_memtable *table, struct mni_entry *entry);
/* The same, and frees it with its only version. */
void mni_entry_remove(struct mni_memtable *table, struct mni_entry *entry);
void mni_entry_free(struct mni_memtable *table, struct mni_entry *entry);

/* tally.c: an entry that is in order becomes live (1), or is so no more (-1). */
void mni_tally_add(struct mni_memtable *table, const struct mni_entry *entry, int n);
void mni_tally_free_all(struct mni_memtable *table);

/* pins.c */
void mni_pins_init(struct pins *pins);
void mni_pins_done(struct pins *pins);
/* For a stripe that lacks so many bytes, which were taken from it: takes them from the budget. */
__attribute__((cold)) bool mni_pins_take(struct pins *pins, struct pin_stripe *stripe,
                                         int64_t n_bytes);
/* Gives back what a stripe has too much of. */
__attribute__((cold)) void mni_pins_give(struct pins *pins, struct pin_stripe *stripe);

/* Two threads may come to share a stripe: that costs time and nothing else. */
static inline struct pin_stripe *pins_stripe(struct pins *pins)
{
    return &pins->stripes[mni_thread_hash() >> (64 - PIN_STRIPES_LOG2)];
}

static inline bool pins_add(struct pins *pins, int64_t n)
{
    struct pin_stripe *stripe = pins_stripe(pins);

    return atomic_fetch_sub_explicit(&stripe->credit_bytes, n, memory_order_relaxed) >= n ||
           mni_pins_take(pins, stripe, n);
}

static inline void pins_subtract(struct pins *pins, int64_t n)
{
    struct pin_stripe *stripe = pins_stripe(pins);
    int64_t most = 2 * atomic_load_explicit(&pins->chunk_bytes, memory_order_relaxed);

    if (atomic_fetch_add_explicit(&stripe->credit_bytes, n, memory_order_relaxed) + n > most)
        mni_pins_give(pins, stripe);
}

/* version.c */
struct mn_slice mni_version_key(const struct mni_version *version);
const unsigned char *mni_version_record(const struct mni_version *version);
/* Notes type and expiry of the encoded record in the version. */
void mni_version_classify(struct mni_version *version, const struct mni_record *record);
/* Turns an encoded patch into the patched successor of `head`, over its own bytes. */
void mni_version_become_patched(struct mni_version *version, struct mni_version *head);

/* expiry.c */
MN_MUST_USE mn_status mni_expiry_reserve(struct mni_memtable *table);
void mni_expiry_add(struct expiry *expiry, struct mni_entry *entry, int64_t expires_at_us,
                    bool is_lapsed);
void mni_expiry_remove(struct expiry *expiry, struct mni_entry *entry);

/* superseded.c; `node` is memory of `node_bytes` that the item takes over. */
void mni_superseded_push(struct mni_memtable *table, void *node, size_t node_bytes,
                         struct mni_entry *entry, struct mni_version *newer);

static inline bool version_has(const struct mni_version *version, enum version_flags flag)
{
    return (version->shape & (uint32_t)flag) != 0;
}

static inline bool entry_is_lapsed(const struct mni_memtable *table, const struct mni_entry *entry)
{
    return entry->link.expiry_place != EXPIRY_PLACE_NONE &&
           entry->link.expiry_place >= table->expiry.n_pending;
}

static inline struct mn_slice entry_key(const struct mni_entry *entry)
{
    const struct mni_version *version = entry->head;

    if (version_has(version, VERSION_PATCHED))
        version = ((const struct patched_version *)version)->base;
    return (struct mn_slice){(const unsigned char *)version + entry->key_offset, entry->key_bytes};
}

/* Whether the key is counted: its newest version is a record that has not lapsed. */
static inline bool entry_is_live(const struct mni_memtable *table, const struct mni_entry *entry)
{
    return !version_has(entry->head, VERSION_TOMBSTONE) && !entry_is_lapsed(table, entry);
}

#endif
