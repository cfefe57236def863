/*
 * memtable.h - the buffer of recent records: every version that a reader may still ask for.
 *
 * One table holds the records of all collections, as encoded by record/. It finds a key by a hash
 * table and walks the keys of a collection in byte order by a skip list, into which they are put
 * when somebody wants to walk them. A key has a chain of versions, newest first; a version is
 * immutable and lives until the table and all pins have let go of it, so a read copies nothing.
 *
 * Writing is done by one thread at a time (the commit leader) in two steps, so that nothing can
 * fail after a commit is in the log:
 *
 *     mni_memtable_prepare    before logging: finds or makes room for each change; may fail
 *     mni_memtable_apply      after logging: links the versions in; cannot fail
 *     mni_memtable_cancel     instead of apply: gives everything back
 *
 * Read views are (LSN, now): a version counts if its LSN is at most the view's and no newer one
 * does, it is not a tombstone, and its expiry is after `now`. Versions that a view may need are
 * kept while `oldest_view_lsn` (given to apply and collect) is below the LSN that superseded them;
 * UINT64_MAX says that there is no such view, and superseded versions go at once.
 *
 * Threads: the caller brings a reader-writer lock, one for all tables of a store. Readers hold it
 * for reading, one leader prepares and cancels without it (it changes nothing that readers see),
 * and applies, collects, drops and reclaims under the write lock. Lapsing needs the write lock
 * alone: any thread may do it, also while the leader prepares. Versions may be made, reffed and
 * unreffed by any thread at any time.
 *
 * The memory of versions and entries comes from a pool, which tables of one store share: a version
 * is made before it is known which table it will stand in, and outlives its table while it is
 * pinned.
 */
#ifndef MNI_MEMTABLE_MEMTABLE_H
#define MNI_MEMTABLE_MEMTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "mneme/types.h"
#include "record/record.h"

struct mni_pool;
struct mni_memtable;
struct mni_version; /* opaque outside of the room */
struct mni_entry;

/* The pool ----------*/

MN_MUST_USE mn_status mni_pool_new(struct mni_pool **pool_out);
/* NULL is fine. All tables are freed and all references and pins of versions released before. */
void mni_pool_free(struct mni_pool *pool);

/*
 * Memory comes in large pieces, and the first touch of fresh memory is slow. When the pool grows,
 * `on_want` is called (by any thread, under locks of the pool: it just wakes one), and
 * mni_pool_stock, called by a thread in the background, makes the next piece ready.
 */
void mni_pool_on_want_stock(struct mni_pool *pool, void (*on_want)(void *context), void *context);
void mni_pool_stock(struct mni_pool *pool);

/* Of the pool, its tables, versions and what is prepared, as asked of allocator and kernel. */
uint64_t mni_pool_memory_bytes(const struct mni_pool *pool);

/* Pins ----------
 *
 * A pin is a reference that counts against a budget. What it counts says whoever takes it: the
 * memory of a version, or bytes that lie elsewhere. Any thread may take and release them, and
 * threads that do so side by side share no cache line.
 */

/* The budget, from now on. What is pinned already stays. A new pool has none. */
void mni_pool_limit_pins(struct mni_pool *pool, uint64_t bytes_max);
/* False: they do not fit, and nothing is pinned. */
MN_MUST_USE bool mni_pool_pin_bytes(struct mni_pool *pool, size_t n_bytes);
void mni_pool_unpin_bytes(struct mni_pool *pool, size_t n_bytes);
/* Exact while nobody pins or releases. */
uint64_t mni_pool_pinned_bytes(struct mni_pool *pool);

/* Life of the table ----------*/

/* The pool outlives the table. */
MN_MUST_USE mn_status mni_memtable_new(struct mni_pool *pool, struct mni_memtable **table_out);
/* NULL is fine. All prepared changes are applied or cancelled before; what is pinned stays. */
void mni_memtable_free(struct mni_memtable *table);

/* Versions ----------*/

/*
 * Makes a version with room for an encoded record of `record_bytes`, in whose bytes the caller
 * encodes or copies the record (8-aligned, see mni_version_bytes). Any thread, no lock. The caller
 * owns it (one reference) until it stands in a change that is applied.
 */
MN_MUST_USE mn_status mni_version_new(struct mni_pool *pool, size_t record_bytes,
                                      struct mni_version **version_out);
void mni_version_unref(struct mni_version *version); /* NULL is fine; the last one frees */
void mni_version_ref(struct mni_version *version);

/* The encoded record, at an address that is a multiple of 8; of a patched version, the record it
 * patches (its expiry and hits are those before the patch: ask the functions below). */
unsigned char *mni_version_bytes(struct mni_version *version);

uint64_t mni_version_lsn(const struct mni_version *version); /* of the commit that made it */
uint64_t mni_version_record_lsn(
    const struct mni_version *version); /* of the upsert below patches */
/* False: it has none. */
bool mni_version_expiry(const struct mni_version *version, int64_t *expires_at_us_out);
bool mni_version_hits(const struct mni_version *version, uint64_t *hits_out);
/* Bytes allocated for it, the patched record's not included. */
size_t mni_version_memory_bytes(const struct mni_version *version);

/* Makes a reference a pin. It counts the memory of the version and of the record below a patch,
 * also when another pin counts the same. False: it does not fit, and stays a reference. */
MN_MUST_USE bool mni_version_pin(struct mni_version *version);
void mni_version_unpin(struct mni_version *version); /* releases it with its reference */
size_t mni_version_held_bytes(const struct mni_version *version); /* what a pin counts */

/* A hint: it will be read from front to end. */
void mni_version_prefetch(const struct mni_version *version);

/* Reading: under the read lock ----------*/

#define MNI_NO_CLOCK INT64_MIN /* no clock ever says this */

struct mni_view_point {
    uint64_t lsn;   /* commits above are not seen */
    int64_t now_us; /* records that expire at or before this are not seen; MNI_NO_CLOCK: all are */
};

/* The live version of a key, borrowed until the lock is dropped (ref it to keep it), or
 * NULL. */
struct mni_version *mni_memtable_find(struct mni_memtable *table, uint64_t collection,
                                      struct mn_slice key, struct mni_view_point view);

/* LSN of the newest change of a key (upsert, delete or patch), 0 when none is known. */
uint64_t mni_memtable_newest_lsn(struct mni_memtable *table, uint64_t collection,
                                 struct mn_slice key);

/* Whether the newest change of a key left a record, which may have expired. `hash` is mni_key_hash
 * of it. */
bool mni_memtable_holds(struct mni_memtable *table, uint64_t hash, uint64_t collection,
                        struct mn_slice key);

/* Which keys of a collection to scan, and in which direction. All zero: all, ascending. */
struct mni_key_range {
    struct mn_slice low;  /* keys at or above; empty: from the first */
    struct mn_slice high; /* keys below; empty: to the last */
    bool reverse;         /* from the last to the first */
};

/*
 * Keys are put in order when somebody asks for it. A scan may begin when all that its view can see
 * are: `is_ordered` says so, under either lock, and it stays so for this view.
 *
 * If not, `order` puts some in order at each call, few enough to hold the write lock for it, and is
 * called until it returns true: then `is_ordered` is true for `lsn`, that of the view. All commits
 * up to it are applied before the first call, before which `ordering` is zero.
 */
struct mni_ordering {
    bool has_begun;
    uint64_t n_left; /* to be put in order */
};
bool mni_memtable_is_ordered(struct mni_memtable *table, uint64_t collection, uint64_t lsn);
MN_MUST_USE bool mni_memtable_order(struct mni_memtable *table, uint64_t collection, uint64_t lsn,
                                    struct mni_ordering *ordering);

/*
 * Gathers up to `n_max` live versions of a collection in key order, or against it, each with a
 * reference: those in the range that come behind `after` in this direction (all when `after.data`
 * is NULL). Returns how many; fewer than `n_max` means that there are no more.
 */
size_t mni_memtable_scan(struct mni_memtable *table, uint64_t collection, struct mn_slice after,
                         const struct mni_key_range *range, struct mni_view_point view,
                         struct mni_version **versions_out, size_t n_max);

/* The live records of a collection, as of the newest commit and the last lapse, whose keys have the
 * length of `low`, that of a point's key, begin with the same 8 bytes and are not below it. All
 * keys are in order (mni_memtable_is_ordered for any LSN), under the read lock. False: it would
 * take long to tell. */
struct mni_memtable_span {
    uint64_t n_live;
    struct mn_slice first_key; /* borrowed until the lock is dropped; empty when n_live is 0 */
    struct mn_slice last_key;
};
bool mni_memtable_span(struct mni_memtable *table, uint64_t collection, struct mn_slice low,
                       struct mni_memtable_span *span_out);

/* Reading all of a table that takes no new keys ----------
 *
 * What a view sees of some collections, by collection and key. Gathered under the read lock, some
 * at each call, then sorted without a lock; the versions are borrowed for as long as the view is
 * open. Changes of keys that are there already may go on.
 */
struct mni_sorted_version {
    uint64_t order; /* the collection, then the number that a key sorts by */
    uint64_t next;  /* where those are equal: the 8 bytes of the key behind it */
    struct mni_version *version;
};

struct mni_sorted {
    struct mni_memtable *table; /* borrowed */
    struct mni_view_point view;
    const uint64_t *collections; /* borrowed; ascending */
    size_t n_collections;
    struct mni_sorted_version *versions; /* owned */
    size_t n_versions;
    size_t capacity;
    uint64_t n_buckets_done;
};

/* Under the read lock. `done` may be called in any case. MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_sorted_init(struct mni_sorted *sorted, struct mni_memtable *table,
                                      struct mni_view_point view, const uint64_t *collections,
                                      size_t n_collections);
void mni_sorted_done(struct mni_sorted *sorted);
/* Under the read lock. True: all is gathered. */
MN_MUST_USE bool mni_sorted_gather(struct mni_sorted *sorted);
/* MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_sorted_sort(struct mni_sorted *sorted);

/* Writing ----------*/

/* One operation of a commit. Zero-initialise, set `version`; the rest belongs to the table. */
struct mni_change {
    struct mni_version *version; /* owned: an encoded upsert, delete or patch */
    uint64_t hash;               /* filled by mni_change_init */
    bool keeps;                  /* set before it is prepared: a delete of a key that the table does
                                    not hold leaves a tombstone, for mni_memtable_newest_lsn */
    struct mni_entry *entry;     /* reserved memory */
    void *rows;                  /* its collection, which may be new */
    bool existed;                /* after apply: a live record had this key just before */
    bool changed;                /* after apply: the operation had an effect. A delete or patch of a
                                    missing key has none; of an expired record that is not swept
                                    yet, a delete has one and a patch has none. */
};

/* Takes over `version`, whose record is encoded, and computes the hash. Any thread, no lock. */
void mni_change_init(struct mni_change *change, struct mni_version *version);
/* Until it is applied. */
uint64_t mni_change_collection(const struct mni_change *change);
struct mn_slice mni_change_key(const struct mni_change *change);

/* A hint: the keys of these changes will be looked for. Under the read lock. */
void mni_memtable_prefetch(struct mni_memtable *table, const struct mni_change *changes,
                           size_t n_changes);

/*
 * Makes sure that applying these changes cannot fail. Only the leader. MN_ERR_NOMEM leaves the
 * changes as they were. Prepared changes may be applied in any later groups, in any number, or
 * cancelled.
 */
MN_MUST_USE mn_status mni_memtable_prepare(struct mni_memtable *table, struct mni_change *changes,
                                           size_t n_changes);

/*
 * Links the changes in, in order, as of `lsn`, which is above all earlier ones (a commit may come
 * in several calls with one LSN). Under the write lock. The table takes over the versions:
 * `version` is NULL afterwards, and the bytes of a patch are overwritten. First lapses what is due
 * at `now_us`, which decides `existed`: a record that has lapsed, then or earlier, does not exist,
 * and one put with an expiry that is due is not counted. A patch of a lapsed record applies all the
 * same and counts it in again: whether it was live is judged before the commit is logged. Several
 * changes of one key in one commit: the last one wins, `existed` of each is judged after the ones
 * before it.
 */
void mni_memtable_apply(struct mni_memtable *table, struct mni_change *changes, size_t n_changes,
                        uint64_t lsn, int64_t now_us, uint64_t oldest_view_lsn);

/* Frees what a change that will not be applied holds, its version included; prepared or not. */
void mni_memtable_cancel(struct mni_memtable *table, struct mni_change *changes, size_t n_changes);

/* Drops up to `n_max` superseded versions that no view at or above `oldest_view_lsn` needs, and
 * tombstones that then stand alone. Under the write lock. Returns how many are still waiting, those
 * that a view needs included. */
size_t mni_memtable_collect(struct mni_memtable *table, uint64_t oldest_view_lsn, size_t n_max);

/* Calls `each` with the newest version of every key that was changed after `lsn`, some of them more
 * than once. Complete while every change was applied with an `oldest_view_lsn` of at most `lsn`.
 * Under either lock. */
typedef void mni_changed_fn(void *context, uint64_t collection, struct mn_slice key,
                            struct mni_version *newest, bool is_deleted);
void mni_memtable_changed_after(struct mni_memtable *table, uint64_t lsn, mni_changed_fn *each,
                                void *context);

/* Expiry: under the write lock, but where said ----------
 *
 * A record whose time has come is invisible at once, by the rule above. Lapsing takes it out of the
 * counts and puts it on the list of those to sweep; deleting them is an ordinary commit.
 */

/* Whether some record has expired and is still counted. Under the read lock. */
bool mni_memtable_has_due(struct mni_memtable *table, int64_t now_us);
/* All that is due. */
void mni_memtable_lapse(struct mni_memtable *table, int64_t now_us);
/* Up to `n_max` lapsed versions, in no order, each with a reference for the caller; those of
 * dropped collections are left out. Under the read lock. */
size_t mni_memtable_lapsed(struct mni_memtable *table, struct mni_version **versions_out,
                           size_t n_max);

/* Collections ----------*/

/* The numbers of up to `n_max` collections that have rows and were not dropped, in no order.
 * Returns how many there are. Under the read lock. */
size_t mni_memtable_collections(struct mni_memtable *table, uint64_t *numbers_out, size_t n_max);

/* Live records of a collection as of the newest commit and the last lapse. Under the read lock. */
uint64_t mni_memtable_count(struct mni_memtable *table, uint64_t collection);

/* Takes a dropped collection's records out of all counts at once; views that see the collection
 * still find them. Nothing is written to it afterwards. Not for the catalogue. Under the write
 * lock. */
void mni_memtable_drop(struct mni_memtable *table, uint64_t collection);

/* Removes up to `n_max` keys of a dropped collection, with all their versions; no view is left that
 * could see them. Versions that wait for collect are freed by it. Under the write lock. True when
 * no key is left. */
bool mni_memtable_reclaim(struct mni_memtable *table, uint64_t collection, size_t n_max);

/* Numbers: exact under either lock --------------------------------------------------------------*/

struct mni_memtable_stats {
    uint64_t n_records;    /* live; without dropped collections and collection 0, the catalogue */
    uint64_t n_lapsed;     /* expired, taken out of the counts, not swept; of the same */
    uint64_t n_keys;       /* entries, tombstones included */
    uint64_t n_superseded; /* waiting for collect */
};
void mni_memtable_get_stats(struct mni_memtable *table, struct mni_memtable_stats *stats_out);

#endif
