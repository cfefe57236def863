/*
 * ramcache.h - the cache in memory: values by (namespace, id), within a hard bound of bytes.
 *
 * What include/mneme/ramcache.h says holds here; the arguments have been checked there. This room
 * knows no options and no sizes of structs, and takes the world as a parameter.
 */
#ifndef MNI_RAMCACHE_RAMCACHE_H
#define MNI_RAMCACHE_RAMCACHE_H

#include "io/env.h"
#include "mneme/ramcache.h"

struct mni_ramcache;

/* All fields are set; there are no defaults. */
struct mni_ramcache_config {
    struct mni_env *env; /* borrowed; outlives the cache */
    mn_ramcache *owner;  /* goes into each value that is got; may be NULL */
    uint64_t max_bytes;
    uint64_t owner_bytes; /* memory of the owner, which counts too */
    uint32_t n_shards;    /* power of two */
    uint64_t negative_bytes_max;
    uint32_t n_negative_max;
    int64_t negative_ttl_us;
    uint64_t hash_seed; /* what an attacker does not know */
};

/* Bytes of the smallest cache with so many shards that is of any use. */
uint64_t mni_ramcache_bytes_min(uint32_t n_shards);

MN_MUST_USE mn_status mni_ramcache_new(const struct mni_ramcache_config *config,
                                       struct mni_ramcache **cache_out, struct mn_error *err);
/* MN_ERR_BUSY: entries are pinned, or a load or walk is under way; the cache stays. NULL: fine. */
MN_MUST_USE mn_status mni_ramcache_free(struct mni_ramcache *cache, struct mn_error *err);

/* When a value expires, or never: in microseconds of the cache's own time, and as Unix time, which
 * is only shown. */
struct mni_ramcache_expiry {
    bool is_set;
    int64_t due_us;
    int64_t at_us;
};
/* When an item expires, which may be NULL. */
struct mni_ramcache_expiry mni_ramcache_expiry(struct mni_ramcache *cache,
                                               const struct mn_ramcache_item *item);

/* A number for a batch of puts, not 0. */
uint32_t mni_ramcache_batch(struct mni_ramcache *cache);

/* `batch` is 0 for a put on its own. `kept_out`: whether the value is in the cache. */
MN_MUST_USE mn_status mni_ramcache_put(struct mni_ramcache *cache, struct mn_slice name,
                                       struct mn_slice id, struct mn_slice value,
                                       struct mni_ramcache_expiry expiry, uint32_t batch,
                                       bool *kept_out, struct mn_error *err);
/* Whether a key has a value of this batch; true once for each. */
bool mni_ramcache_count_of_batch(struct mni_ramcache *cache, struct mn_slice name,
                                 struct mn_slice id, uint32_t batch);

/* MN_OK or MN_NOT_FOUND, which clears `value_out`. */
MN_MUST_USE mn_status mni_ramcache_get(struct mni_ramcache *cache, struct mn_slice name,
                                       struct mn_slice id, struct mn_ramcache_value *value_out);
/* Takes a miss back: the key could not have been there. */
void mni_ramcache_uncount_miss(struct mni_ramcache *cache, struct mn_slice name,
                               struct mn_slice id);
void mni_ramcache_unpin(struct mni_ramcache *cache, void *pin);
MN_MUST_USE mn_status mni_ramcache_get_or_load(struct mni_ramcache *cache, struct mn_slice name,
                                               struct mn_slice id, mn_ramcache_load_fn *load,
                                               void *context, struct mn_ramcache_value *value_out,
                                               struct mn_error *err);
/* The cache of a load, for its expiry; and room for its value. */
struct mni_ramcache *mni_ramcache_of_load(const mn_ramcache_load *load);
MN_MUST_USE mn_status mni_ramcache_load_room(mn_ramcache_load *load, size_t n_bytes,
                                             struct mni_ramcache_expiry expiry, void **data_out,
                                             struct mn_error *err);

/* `size` of the result is left alone. */
MN_MUST_USE mn_status mni_ramcache_info(struct mni_ramcache *cache, struct mn_slice name,
                                        struct mn_slice id, struct mn_ramcache_info *info_out);
bool mni_ramcache_delete(struct mni_ramcache *cache, struct mn_slice name, struct mn_slice id);
uint64_t mni_ramcache_clear(struct mni_ramcache *cache, struct mn_slice name);

MN_MUST_USE mn_status mni_ramcache_get_all(struct mni_ramcache *cache, struct mn_slice name,
                                           mn_ramcache_each_fn *each, void *context);
MN_MUST_USE mn_status mni_ramcache_list(struct mni_ramcache *cache, mn_ramcache_name_fn *each,
                                        void *context);
MN_MUST_USE mn_status mni_ramcache_namespace_stats(struct mni_ramcache *cache, struct mn_slice name,
                                                   struct mn_ramcache_namespace_stats *stats_out);
void mni_ramcache_stats(struct mni_ramcache *cache, struct mn_ramcache_stats *stats_out);

#ifdef MNI_TEST_HOOKS
/* Looks at everything: lists, tables, counters, bytes. Ends the process where something is wrong.
 * No other call runs. */
void mni_ramcache_check(struct mni_ramcache *cache);
#endif

#endif
