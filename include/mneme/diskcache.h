/*
 * diskcache.h - a cache on disk that keeps its bound of bytes, by RocksDB.
 *
 * An entry is a value under a namespace and an id. What is put may be gone at any time: evicted,
 * expired, or lost with a cache that was damaged or not closed. What is got is what was put last
 * under this namespace and id, or nothing: never another value, and never an error because of a
 * damaged, full, read-only or vanished disk. Such a cache empties and rebuilds itself, or is off
 * until that works again; mn_diskcache_note and the numbers say so. One exception: where a sealed
 * cache lies on a disk that takes nothing at all (mounted read-only, or somebody else's), it cannot
 * be told what is put or removed; opened again it is as it was sealed.
 *
 * A cache is one directory of its own. It is warm after mn_diskcache_close, and after a flush that
 * nothing was put or removed after; after a crash it is empty.
 *
 * Threads: any number may use a cache at once. Callbacks run without locks and may call it. Close
 * when no other call runs.
 *
 * Fork: RocksDB keeps threads and waits for them when the process ends, which a fork of it cannot.
 * A child of a process that ever had a cache open, also one that was closed, HANGS OR CRASHES in
 * exit() and in a return from main: end it by _exit, or go on with exec. There is no remedy that
 * the library could apply. All calls but mn_diskcache_value_release answer MN_ERR_FORKED there.
 *
 * Errors anywhere: MN_ERR_INVALID (arguments), MN_ERR_LIMIT (a name or id that is too long),
 * MN_ERR_NOMEM, MN_ERR_FORKED.
 */
#ifndef MNEME_DISKCACHE_H
#define MNEME_DISKCACHE_H

#include "mneme/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_diskcache mn_diskcache;

/* Opening and closing ---------------------------------------------------------------------------
 */

typedef enum mn_diskcache_compression {
    MN_DISKCACHE_COMPRESSION_DEFAULT = 0, /* LZ4 */
    MN_DISKCACHE_COMPRESSION_NONE,        /* values are stored as they are */
    MN_DISKCACHE_COMPRESSION_LZ4,         /* where it makes them smaller by an eighth */
} mn_diskcache_compression;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_diskcache_options), all else may be
 * zero. */
struct mn_diskcache_options {
    size_t size;
    const char *path; /* a directory; default "./cache". Its last part is made if it is missing */
    /* All bytes of all files in the directory, at every moment: at least 4 MiB; default 10 GiB.
     * Without a bound: has_max_bytes is true and max_bytes is 0. */
    uint64_t max_bytes;
    bool has_max_bytes; /* take max_bytes also when it is 0 */
    mn_diskcache_compression compression;
    /* Values gather in memory, in so many buffers of this size, before they are written. At least
     * 64 KiB, and 2 to 16 of them; together at most a quarter of max_bytes. Default: 3 of 64 MiB,
     * and smaller ones (1/32 of max_bytes) for a cache of less than 2 GiB. */
    uint64_t write_buffer_bytes;
    uint32_t write_buffer_count;
};

/*
 * Opens the cache in a directory, or makes one in a directory that is missing or empty.
 *
 * MN_ERR_INVALID: settings out of their range, or buffers that do not fit into max_bytes.
 * MN_ERR_IN_USE: another handle or process has it open. MN_ERR_NO_STORE: the directory holds other
 * things; nothing in it was touched. MN_ERR_UNSUPPORTED: built without RocksDB. MN_ERR_FORKED: this
 * process is a fork of one in which a cache was opened before. MN_NOT_FOUND,
 * MN_ERR_ACCESS, MN_ERR_IO, MN_ERR_READ_ONLY, MN_ERR_NO_SPACE: there is no such directory and it
 * cannot be made, or it cannot be read. A directory that is there but cannot be written is no
 * error: the cache is open and off.
 */
MN_API MN_MUST_USE mn_status mn_diskcache_open(const struct mn_diskcache_options *options,
                                               mn_diskcache **cache_out, struct mn_error *err);

/* Writes what is in memory, seals the cache so that it is warm at the next open, and frees the
 * handle. Also when writing fails: the answer is MN_OK then too, and the next open begins empty.
 * NULL is fine. Values that were got stay valid. MN_ERR_FORKED: the process that opened it still
 * uses it; nothing is freed. */
MN_API MN_MUST_USE mn_status mn_diskcache_close(mn_diskcache *cache, struct mn_error *err);

/* Putting ---------------------------------------------------------------------------------------
 */

/* All zero but the id is valid: an empty value that does not expire. */
struct mn_diskcache_item {
    struct mn_slice id;    /* UTF-8, 1 to 1,024 bytes; any character */
    struct mn_slice value; /* any bytes */
    bool has_expires_at;   /* wins over has_ttl */
    bool has_ttl;
    /* Unix time in microseconds; 0 or past: expired at once. INT64_MAX: never, and is shown as no
     * expiry. */
    int64_t expires_at_us;
    int64_t ttl_us; /* microseconds from now, 0 or more; 0: expired at once */
};

/* Stores a value, replacing the one with the same id. `kept_out` (may be NULL): false when the
 * value is not in the cache now, because it is larger than a quarter of what max_bytes leaves for
 * values (or than 1 GiB), has expired already, or the disk failed; an older one is gone then too.
 * True says that it is in the cache, which is memory at first: a later failure of the disk may take
 * it. MN_ERR_NOMEM: nothing has changed. Values of 1 MiB and more are refused so unless there is
 * memory for four copies of them: RocksDB ends the process when it is refused memory. */
MN_API MN_MUST_USE mn_status mn_diskcache_put(mn_diskcache *cache, struct mn_slice name,
                                              const struct mn_diskcache_item *item, bool *kept_out,
                                              struct mn_error *err);

/* Stores many. Where an id comes twice, the last one wins. `n_kept_out` (may be NULL): how many
 * distinct ids were kept. All are checked before the first is stored; an error names the item by
 * its index from 0. More than MN_BATCH_RECORDS_MAX in any batch: MN_ERR_LIMIT. MN_ERR_NOMEM: some
 * of them may be stored. */
MN_API MN_MUST_USE mn_status mn_diskcache_put_batch(mn_diskcache *cache, struct mn_slice name,
                                                    const struct mn_diskcache_item *items,
                                                    size_t n_items, uint64_t *n_kept_out,
                                                    struct mn_error *err);

/* Getting ---------------------------------------------------------------------------------------
 */

/* A value that was got. It belongs to the caller until it is released: it stays unchanged whatever
 * happens to the entry or the cache, and takes the caller's memory. */
struct mn_diskcache_value {
    struct mn_slice value;
    int64_t created_at_us; /* when it was put */
    bool has_expires_at;
    int64_t expires_at_us;
    uint64_t access_count; /* how often it was got since it was put, this time included */
    void *pin;             /* NULL: holds nothing */
};

/* Gives a value back and clears it. A cleared one and NULL are fine. Any thread. */
MN_API void mn_diskcache_value_release(struct mn_diskcache_value *value);

/* MN_OK sets `value_out`, to be released. MN_NOT_FOUND clears it. */
MN_API MN_MUST_USE mn_status mn_diskcache_get(mn_diskcache *cache, struct mn_slice name,
                                              struct mn_slice id,
                                              struct mn_diskcache_value *value_out,
                                              struct mn_error *err);

/* values_out[i] belongs to ids[i], and is cleared (pin NULL) where there is none. `n_found_out` may
 * be NULL. After an error no value holds anything. */
MN_API MN_MUST_USE mn_status mn_diskcache_get_batch(mn_diskcache *cache, struct mn_slice name,
                                                    const struct mn_slice *ids, size_t n_ids,
                                                    struct mn_diskcache_value *values_out,
                                                    size_t *n_found_out, struct mn_error *err);

/* One entry, as walks show it. Valid during the callback. */
struct mn_diskcache_entry {
    struct mn_slice id;
    struct mn_slice value;
    int64_t created_at_us;
    bool has_expires_at;
    int64_t expires_at_us;
    uint64_t access_count;
};

/* Calls `each` for the entries of a namespace, in no particular order; a status
 * other than MN_OK ends the walk and is returned. Shown is every entry that is there from the
 * beginning of the walk to its end. Counts as no access, hit or miss. */
typedef mn_status mn_diskcache_each_fn(void *context, const struct mn_diskcache_entry *entry);
MN_API MN_MUST_USE mn_status mn_diskcache_get_all(mn_diskcache *cache, struct mn_slice name,
                                                  mn_diskcache_each_fn *each, void *context,
                                                  struct mn_error *err);

/* Whether the entry is there, without reading it. Counts as no access, hit or miss. */
MN_API MN_MUST_USE mn_status mn_diskcache_contains(mn_diskcache *cache, struct mn_slice name,
                                                   struct mn_slice id, bool *contains_out,
                                                   struct mn_error *err);

/* What is known of an entry without reading it. MN_NOT_FOUND: there is none. Counts as no access,
 * hit or miss. */
struct mn_diskcache_info {
    size_t size; /* set before the call */
    uint64_t value_bytes;
    int64_t created_at_us;
    bool has_expires_at;
    int64_t expires_at_us;
    uint64_t access_count;
};
MN_API MN_MUST_USE mn_status mn_diskcache_info(mn_diskcache *cache, struct mn_slice name,
                                               struct mn_slice id,
                                               struct mn_diskcache_info *info_out,
                                               struct mn_error *err);

/* Removing --------------------------------------------------------------------------------------
 */

/* Removes an entry. `existed_out` (may be NULL) tells whether there was one. */
MN_API MN_MUST_USE mn_status mn_diskcache_delete(mn_diskcache *cache, struct mn_slice name,
                                                 struct mn_slice id, bool *existed_out,
                                                 struct mn_error *err);

/* `n_existed_out` (may be NULL): how many entries went; an id that comes twice counts once. */
MN_API MN_MUST_USE mn_status mn_diskcache_delete_batch(mn_diskcache *cache, struct mn_slice name,
                                                       const struct mn_slice *ids, size_t n_ids,
                                                       uint64_t *n_existed_out,
                                                       struct mn_error *err);

/* Removes all entries of exactly this namespace, in a time that does not grow with their number;
 * later calls reclaim what they held. `n_removed_out` (may be NULL) is exact. */
MN_API MN_MUST_USE mn_status mn_diskcache_clear_namespace(mn_diskcache *cache, struct mn_slice name,
                                                          uint64_t *n_removed_out,
                                                          struct mn_error *err);

/* Writes what is in memory and seals the cache: it is warm also after a crash, until the next call
 * that puts or removes something. `sealed_out` (may be NULL): false when that did not work. */
MN_API MN_MUST_USE mn_status mn_diskcache_flush(mn_diskcache *cache, bool *sealed_out,
                                                struct mn_error *err);

/* Numbers ---------------------------------------------------------------------------------------
 */

/* Exact at the moment of the call; counts are since the cache was opened, but those of entries and
 * bytes. At every moment n_found + n_puts = n_entries + n_overwritten + n_deleted + n_cleared +
 * n_expired + n_evicted + n_lost, where n_found is what opening found. */
struct mn_diskcache_stats {
    size_t size; /* set before the call */
    uint64_t n_entries;
    uint64_t value_bytes;   /* of these, as they were given */
    uint64_t n_namespaces;  /* with entries */
    uint64_t max_bytes;     /* 0: no bound */
    uint64_t disk_bytes;    /* of all files, what is still to be written and sealed included */
    uint64_t index_bytes;   /* memory of the index */
    uint64_t n_found;       /* entries that opening found */
    uint64_t n_puts;        /* values kept */
    uint64_t n_not_kept;    /* values not kept */
    uint64_t n_hits;        /* gets that found a value */
    uint64_t n_misses;      /* gets that did not */
    uint64_t n_errors;      /* reads that failed or found damage: these gets are misses too */
    uint64_t n_overwritten; /* entries that went because their id was put again */
    uint64_t n_deleted;
    uint64_t n_cleared;
    uint64_t n_expired;
    uint64_t n_evicted;
    uint64_t n_lost;     /* entries that went with damage or a rebuild */
    uint64_t n_moved;    /* entries written again because they were in use */
    uint64_t n_rebuilds; /* how often the cache began anew, at open included */
    bool is_off;         /* the disk cannot be used now; tried again later */
};
MN_API MN_MUST_USE mn_status mn_diskcache_stats(mn_diskcache *cache,
                                                struct mn_diskcache_stats *stats_out,
                                                struct mn_error *err);

/* Of one namespace, since it had its first entry: when its last one goes, its counts go too. */
struct mn_diskcache_namespace_stats {
    size_t size; /* set before the call */
    uint64_t n_entries;
    uint64_t value_bytes;
    uint64_t n_puts;
    uint64_t n_hits;
    uint64_t n_misses;
    uint64_t n_errors;
    uint64_t n_expired;
    uint64_t n_evicted;
};
/* MN_NOT_FOUND: it has no entries. */
MN_API MN_MUST_USE mn_status
mn_diskcache_namespace_stats(mn_diskcache *cache, struct mn_slice name,
                             struct mn_diskcache_namespace_stats *stats_out, struct mn_error *err);

/* Calls `each` for every namespace with entries, in the order of their names' bytes; a status other
 * than MN_OK ends it and is returned. The name is valid during the callback. */
typedef mn_status mn_diskcache_name_fn(void *context, struct mn_slice name, uint64_t n_entries);
MN_API MN_MUST_USE mn_status mn_diskcache_list_namespaces(mn_diskcache *cache,
                                                          mn_diskcache_name_fn *each, void *context,
                                                          struct mn_error *err);

/* Copies the latest thing worth telling: why the cache was rebuilt or is off. Empty: nothing. */
MN_API MN_MUST_USE mn_status mn_diskcache_note(mn_diskcache *cache,
                                               char text_out[MN_ERROR_MESSAGE_BYTES],
                                               struct mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
