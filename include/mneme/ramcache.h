/*
 * ramcache.h - a cache in memory, on its own: values by namespace and id, within a hard bound.
 *
 * A cache may lose anything at any time; what it answers is what was put last. Every block that it
 * takes from malloc counts against its bound with what the allocator adds to it, and room is made
 * before memory is taken. Gaps that blocks of many sizes leave in the heap are beyond the cache:
 * with mixed sizes the process may grow to about twice the bound. What it keeps is chosen by how
 * often and how lately it was asked for, so that reading everything once does not push out what is
 * read again and again.
 *
 * A namespace and an id are valid UTF-8 of 1 to 1,024 bytes each; any character may stand in them.
 * They are compared in full. A value is any bytes, none included.
 *
 * Threads: any number may use a cache at once. A value that was got may be released by any thread.
 * Free the cache when no other call runs.
 *
 * Errors anywhere: MN_ERR_INVALID, MN_ERR_LIMIT (a name or id is too long), MN_ERR_NOMEM,
 * MN_ERR_FORKED. An error changes nothing but what the cache may lose at any time.
 */
#ifndef MNEME_RAMCACHE_H
#define MNEME_RAMCACHE_H

#include "mneme/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_ramcache mn_ramcache;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_ramcache_options), all else may be
 * zero. */
struct mn_ramcache_options {
    size_t size;
    uint64_t max_bytes; /* of all memory of the cache: 64 KiB to 1 TiB; default 256 MiB. A value may
                           take half of it */
    uint32_t n_shards;  /* parts of the table that are locked apart: a power of two up to 1,024, as
                           far as max_bytes / 32 KiB; default by max_bytes, up to 256 */
    /* Of results that say "there is none" (mn_ramcache_get_or_load). */
    uint64_t negative_bytes_max; /* default 1/20 of max_bytes; at most half of it */
    uint32_t n_negative_max;     /* default 65,536 */
    int64_t negative_ttl_us;     /* default 10 seconds; below zero: none are kept */
};

MN_API MN_MUST_USE mn_status mn_ramcache_new(const struct mn_ramcache_options *options,
                                             mn_ramcache **cache_out, struct mn_error *err);

/* NULL is fine. MN_ERR_BUSY: values are still held, or this is called within a loader or the
 * callback of a walk; the cache stays, too. */
MN_API MN_MUST_USE mn_status mn_ramcache_free(mn_ramcache *cache, struct mn_error *err);

/* Putting ---------------------------------------------------------------------------------------
 */

/* A value to put. All zero but the id is valid: an empty value that never expires. */
struct mn_ramcache_item {
    struct mn_slice id;
    struct mn_slice value;
    bool has_expires_at; /* wins over has_ttl */
    bool has_ttl;
    int64_t expires_at_us; /* Unix time in microseconds; now or past: expired at once */
    int64_t ttl_us;        /* microseconds from now, 0 or more; 0: expired at once */
};

/*
 * Stores a value, replacing the one with the same id. `kept_out` (may be NULL): false when the
 * value is not in the cache now, because it is larger than half of max_bytes, finds no room beside
 * values that are held, is asked for too seldom for its size (judged at once only where it is
 * larger than 1/32 of the cache), or has expired already; an older one is gone then too.
 */
MN_API MN_MUST_USE mn_status mn_ramcache_put(mn_ramcache *cache, struct mn_slice name,
                                             const struct mn_ramcache_item *item, bool *kept_out,
                                             struct mn_error *err);

/* Puts one after the other; where an id comes twice, the last one wins. All are checked before the
 * first one is put; an error names the item by its index from 0. `n_kept_out` (may be NULL): how
 * many ids have a value of this call in the end. After MN_ERR_NOMEM those before the one it names
 * have been put. */
MN_API MN_MUST_USE mn_status mn_ramcache_put_batch(mn_ramcache *cache, struct mn_slice name,
                                                   const struct mn_ramcache_item *items,
                                                   size_t n_items, uint64_t *n_kept_out,
                                                   struct mn_error *err);

/* Getting ---------------------------------------------------------------------------------------
 */

/* A value that is held. The bytes stay in place and unchanged until it is released, whatever
 * happens to the entry meanwhile. They are aligned to 16, and nothing is copied. */
struct mn_ramcache_value {
    struct mn_slice value;
    int64_t created_at_us; /* when it was put */
    bool has_expires_at;
    int64_t expires_at_us;
    uint64_t access_count; /* how often it was got since it was put, this time included */
    mn_ramcache *cache;    /* that it belongs to */
    void *pin;             /* NULL: holds nothing */
};

/* Gives a value back and clears it. A cleared one and NULL are fine. Any thread. */
MN_API void mn_ramcache_value_release(struct mn_ramcache_value *value);

/* MN_OK sets `value_out`, to be released. Anything else clears it. */
MN_API MN_MUST_USE mn_status mn_ramcache_get(mn_ramcache *cache, struct mn_slice name,
                                             struct mn_slice id,
                                             struct mn_ramcache_value *value_out,
                                             struct mn_error *err);

/* Gets many: values_out[i] belongs to ids[i], and is cleared (pin NULL) where there is none.
 * `n_found_out` may be NULL. After an error no value is held. */
MN_API MN_MUST_USE mn_status mn_ramcache_get_batch(mn_ramcache *cache, struct mn_slice name,
                                                   const struct mn_slice *ids, size_t n_ids,
                                                   struct mn_ramcache_value *values_out,
                                                   size_t *n_found_out, struct mn_error *err);

/* One entry, as walks show it. Valid during the callback. */
struct mn_ramcache_entry {
    struct mn_slice id;
    struct mn_slice value;
    int64_t created_at_us;
    bool has_expires_at;
    int64_t expires_at_us;
    uint64_t access_count;
};

/* Calls `each`, which may call the cache, for the entries of a namespace, in the order in which
 * they were put; a status other than MN_OK ends the walk and is returned. Shown is every entry that
 * is there from the beginning of the walk to its end, and none that is put after it has begun, in
 * the place of another too. Counts as no access, hit or miss. */
typedef mn_status mn_ramcache_each_fn(void *context, const struct mn_ramcache_entry *entry);
MN_API MN_MUST_USE mn_status mn_ramcache_get_all(mn_ramcache *cache, struct mn_slice name,
                                                 mn_ramcache_each_fn *each, void *context,
                                                 struct mn_error *err);

/* Whether there is a value. Counts as no access, hit or miss. */
MN_API MN_MUST_USE mn_status mn_ramcache_contains(mn_ramcache *cache, struct mn_slice name,
                                                  struct mn_slice id, bool *contains_out,
                                                  struct mn_error *err);

/* What is known of an entry. MN_NOT_FOUND: there is none. Counts as no access, hit or miss. */
struct mn_ramcache_info {
    size_t size; /* set before the call */
    uint64_t value_bytes;
    uint64_t memory_bytes; /* what the entry takes of max_bytes */
    int64_t created_at_us;
    bool has_expires_at;
    int64_t expires_at_us;
    uint64_t access_count;
};
MN_API MN_MUST_USE mn_status mn_ramcache_info(mn_ramcache *cache, struct mn_slice name,
                                              struct mn_slice id, struct mn_ramcache_info *info_out,
                                              struct mn_error *err);

/* Loading ---------------------------------------------------------------------------------------
 *
 * Many threads that miss one key make one load: one of them runs the loader, the others wait and
 * get the same value, held, or the same error.
 */

/* A load that is under way. */
typedef struct mn_ramcache_load mn_ramcache_load;

/*
 * Fetches a value from where it comes from: gives it to the load (mn_ramcache_load_value or
 * mn_ramcache_load_room) and returns MN_OK. MN_NOT_FOUND: there is none, which the cache remembers
 * for `negative_ttl_us`, within its bounds. Any other status goes to all who wait, with `err`, and
 * is not remembered.
 *
 * Holds no lock: it may call the cache, for other keys also mn_ramcache_get_or_load. Circles are
 * found within one cache only: loaders of two caches that ask for each other's keys wait for ever.
 */
typedef mn_status mn_ramcache_load_fn(void *context, mn_ramcache_load *load, struct mn_slice name,
                                      struct mn_slice id, struct mn_error *err);

/*
 * Gets a value, or has it loaded and keeps it. Sets or clears `value_out` as mn_ramcache_get does.
 *
 * MN_NOT_FOUND: the loader said so, now or not long ago. MN_ERR_BUDGET: there is no room for the
 * value, because others are held or it is larger than half of max_bytes. MN_ERR_INVALID also: the
 * loader gave no value; or this would wait for ever, since a loader asks for the key that it loads,
 * or loaders for each other's. A put, delete or clear of the key while it is loaded is newer than
 * the load: the value still goes to those who wait, but is not kept, and who asks from then on has
 * it loaded again. A value that a put would not keep, because it is asked for too seldom for its
 * size, goes to those who wait, too.
 */
MN_API MN_MUST_USE mn_status mn_ramcache_get_or_load(mn_ramcache *cache, struct mn_slice name,
                                                     struct mn_slice id, mn_ramcache_load_fn *load,
                                                     void *context,
                                                     struct mn_ramcache_value *value_out,
                                                     struct mn_error *err);

/* From within the loader: gives the value, and when it expires; the id of `item` is not looked at.
 * Once per load. MN_ERR_BUDGET as above. */
MN_API MN_MUST_USE mn_status mn_ramcache_load_value(mn_ramcache_load *load,
                                                    const struct mn_ramcache_item *item,
                                                    struct mn_error *err);

/* The same without a copy: makes room for `n_bytes`, to be written to `data_out` before the loader
 * returns. Of `item`, which may be NULL, only the expiry counts. */
MN_API MN_MUST_USE mn_status mn_ramcache_load_room(mn_ramcache_load *load, size_t n_bytes,
                                                   const struct mn_ramcache_item *item,
                                                   void **data_out, struct mn_error *err);

/* Deleting --------------------------------------------------------------------------------------
 */

/* `existed_out` (may be NULL) tells whether there was a value. */
MN_API MN_MUST_USE mn_status mn_ramcache_delete(mn_ramcache *cache, struct mn_slice name,
                                                struct mn_slice id, bool *existed_out,
                                                struct mn_error *err);

/* `n_existed_out` (may be NULL): how many there were; an id that comes twice counts once. */
MN_API MN_MUST_USE mn_status mn_ramcache_delete_batch(mn_ramcache *cache, struct mn_slice name,
                                                      const struct mn_slice *ids, size_t n_ids,
                                                      uint64_t *n_existed_out,
                                                      struct mn_error *err);

/* Removes all entries of exactly this namespace, in a time that does not grow with their number
 * (where some of them expire, all that has expired in the cache is taken away first); later calls
 * use their memory again bit by bit. `n_removed_out` (may be NULL) is exact. What is
 * remembered as "there is none" goes too. */
MN_API MN_MUST_USE mn_status mn_ramcache_clear_namespace(mn_ramcache *cache, struct mn_slice name,
                                                         uint64_t *n_removed_out,
                                                         struct mn_error *err);

/* Numbers ---------------------------------------------------------------------------------------
 */

/* Counts are since the cache was made, and exact when no other call runs. Then n_puts = n_entries +
 * n_overwritten + n_deleted + n_cleared + n_expired + n_evicted. */
struct mn_ramcache_stats {
    size_t size; /* set before the call */
    uint64_t max_bytes;
    uint64_t bytes;        /* all memory of the cache */
    uint64_t pinned_bytes; /* of it, entries that are held */
    uint64_t n_entries;
    uint64_t n_negative;   /* keys remembered as "there is none"; no entries */
    uint64_t n_namespaces; /* with entries */
    /* Every look-up is one of these three. */
    uint64_t n_hits;
    uint64_t n_misses;
    uint64_t n_negative_hits; /* answered by a remembered "there is none" */
    uint64_t n_puts;          /* values kept, of loads too */
    uint64_t n_overwritten;
    uint64_t n_deleted;
    uint64_t n_cleared;
    uint64_t n_expired;
    uint64_t n_evicted;
    uint64_t n_rejected; /* not kept: asked for too seldom for their size */
    uint64_t n_refused;  /* not kept: too large, or no room beside what is held */
    uint64_t n_loads;    /* times a loader was called */
    uint64_t n_load_errors;
};

MN_API MN_MUST_USE mn_status mn_ramcache_stats(mn_ramcache *cache,
                                               struct mn_ramcache_stats *stats_out,
                                               struct mn_error *err);

/* Of one namespace, since it had its first entry: when it is cleared its counts go too, and some
 * time after it has lost its last entry. */
struct mn_ramcache_namespace_stats {
    size_t size; /* set before the call */
    uint64_t n_entries;
    uint64_t value_bytes;
    uint64_t memory_bytes; /* what its entries take of max_bytes */
    uint64_t n_puts;
    uint64_t n_hits;
    uint64_t n_misses;
    uint64_t n_expired;
    uint64_t n_evicted;
};
/* MN_NOT_FOUND: nothing of it is or was lately in the cache. */
MN_API MN_MUST_USE mn_status
mn_ramcache_namespace_stats(mn_ramcache *cache, struct mn_slice name,
                            struct mn_ramcache_namespace_stats *stats_out, struct mn_error *err);

/* Calls `each`, which may call the cache, for every namespace with entries, in no order; one that
 * comes up meanwhile is not shown. A status other than MN_OK ends it and is returned. The
 * name is valid during the callback. */
typedef mn_status mn_ramcache_name_fn(void *context, struct mn_slice name, uint64_t n_entries);
MN_API MN_MUST_USE mn_status mn_ramcache_list_namespaces(mn_ramcache *cache,
                                                         mn_ramcache_name_fn *each, void *context,
                                                         struct mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
