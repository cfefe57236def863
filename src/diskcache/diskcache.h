/*
 * diskcache.h - a cache on disk that keeps its bound of bytes; include/mneme/diskcache.h says what
 * it promises. Arguments are checked by the caller.
 *
 * Phases: on (RocksDB is open), or off (nothing is found or kept; the next put tries again when its
 * time has come). Any failure of the disk in a write leads to a rebuild: everything is removed and
 * the cache is on again, or off when that fails too.
 *
 * Threads: any number, but close and abandon.
 */
#ifndef MNI_DISKCACHE_DISKCACHE_H
#define MNI_DISKCACHE_DISKCACHE_H

#include "io/env.h"
#include "mneme/diskcache.h"

struct mni_diskcache;

struct mni_diskcache_config {
    struct mni_env *env; /* borrowed: outlives the cache */
    const char *path;
    uint64_t max_bytes; /* 0: no bound */
    bool compress;
    uint64_t write_buffer_bytes; /* 0: by max_bytes */
    uint32_t write_buffer_count; /* 0: 3 */
};

MN_MUST_USE mn_status mni_diskcache_open(const struct mni_diskcache_config *config,
                                         struct mni_diskcache **cache_out, struct mn_error *err);
/* Seals and frees. NULL is fine. */
void mni_diskcache_close(struct mni_diskcache *cache);
/* Frees it as if the process had ended, as far as RocksDB allows: nothing is sealed. */
void mni_diskcache_abandon(struct mni_diskcache *cache);

/* `items` hold no more than MN_BATCH_RECORDS_MAX. */
MN_MUST_USE mn_status mni_diskcache_put(struct mni_diskcache *cache, struct mn_slice name,
                                        const struct mn_diskcache_item *items, size_t n_items,
                                        uint64_t *n_kept_out, struct mn_error *err);

/* Never fails: MN_OK or MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_diskcache_get(struct mni_diskcache *cache, struct mn_slice name,
                                        struct mn_slice id, struct mn_diskcache_value *value_out);
void mni_diskcache_value_release(struct mn_diskcache_value *value);
MN_MUST_USE mn_status mni_diskcache_each(struct mni_diskcache *cache, struct mn_slice name,
                                         mn_diskcache_each_fn *each, void *context,
                                         struct mn_error *err);
/* MN_OK or MN_NOT_FOUND. */
MN_MUST_USE mn_status mni_diskcache_info(struct mni_diskcache *cache, struct mn_slice name,
                                         struct mn_slice id, struct mn_diskcache_info *info_out);

/* How many of these there were. */
uint64_t mni_diskcache_delete(struct mni_diskcache *cache, struct mn_slice name,
                              const struct mn_slice *ids, size_t n_ids);
uint64_t mni_diskcache_clear(struct mni_diskcache *cache, struct mn_slice name);
/* Whether it is sealed now. */
bool mni_diskcache_flush(struct mni_diskcache *cache);

void mni_diskcache_stats(struct mni_diskcache *cache, struct mn_diskcache_stats *stats_out);
MN_MUST_USE mn_status mni_diskcache_space_stats(struct mni_diskcache *cache, struct mn_slice name,
                                                struct mn_diskcache_namespace_stats *stats_out);
MN_MUST_USE mn_status mni_diskcache_names(struct mni_diskcache *cache, mn_diskcache_name_fn *each,
                                          void *context, struct mn_error *err);
void mni_diskcache_note(struct mni_diskcache *cache, char text_out[MN_ERROR_MESSAGE_BYTES]);

#endif
