/*
 * ramcache.c - the cache in memory, as programs see it: checks of what they pass.
 *
 * Owns:    the handle.
 * Threads: any; free when no other call runs.
 * Fails:   as include/mneme/ramcache.h says; what is refused changes nothing.
 */
#include "mneme/ramcache.h"

#include <inttypes.h>

#include "api/api.h"
#include "api/options.h"
#include "api/store_private.h"
#include "base/mem.h"
#include "io/posix.h"
#include "io/thread.h"
#include "ramcache/ramcache.h"

enum {
    MAX_BYTES_MIN = 64 << 10,
    MAX_BYTES_DEFAULT = 256 << 20,
    N_SHARDS_MAX = 1024,
    N_SHARDS_AUTO_MAX = 256,
    SHARD_BYTES_MIN = 32 << 10,
    SHARD_BYTES_AUTO = 1 << 20,
    NEGATIVE_ONE_IN = 20,
    N_NEGATIVE_DEFAULT = 65536,
    NEGATIVE_TTL_DEFAULT_US = 10000000,
    GUARD_BYTES = 4096, /* the page of the fork guard */
};
#define MAX_BYTES_MAX (UINT64_C(1) << 40)

struct mn_ramcache {
    struct mni_ramcache *cache;   /* owned */
    struct mni_fork_guard *guard; /* owned */
};

/* Checking what callers give ----------*/

static mn_status check_cache(const mn_ramcache *cache, struct mn_error *err)
{
    if (cache == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no cache is given");
    if (mni_fork_guard_is_child(cache->guard))
        return mni_fail(err, MN_ERR_FORKED, "the cache was made before this process was forked");
    return MN_OK;
}

static mn_status check_name(const mn_ramcache *cache, struct mn_slice name, struct mn_error *err)
{
    mn_status st = check_cache(cache, err);

    return st == MN_OK ? api_check_name(name, err) : st;
}

static mn_status check_key(const mn_ramcache *cache, struct mn_slice name, struct mn_slice id,
                           struct mn_error *err)
{
    mn_status st = check_name(cache, name, err);

    return st == MN_OK ? api_check_id(id, err) : st;
}

/* Whether this can be a name or id as far as its length tells. What is found is one; the rest of
 * the check is left to those who find nothing. */
static bool has_length(struct mn_slice text, size_t n_max)
{
    return text.n_bytes > 0 && text.n_bytes <= n_max && text.data != NULL;
}

static mn_status check_ttl(const struct mn_ramcache_item *item, struct mn_error *err)
{
    if (item->has_ttl && !item->has_expires_at && item->ttl_us < 0)
        return mni_fail(err, MN_ERR_INVALID, "time to live is negative");
    return MN_OK;
}

static mn_status check_item(const struct mn_ramcache_item *item, struct mn_error *err)
{
    mn_status st = api_check_id(item->id, err);

    if (st != MN_OK)
        return st;
    if (item->value.n_bytes > 0 && item->value.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "value has bytes and no address");
    return check_ttl(item, err);
}

/* Copies as much of a struct with numbers as the caller's version has; the rest is zero. */
static mn_status give_numbers(void *out, size_t size, const void *numbers, size_t n_bytes)
{
    size_t known = size < n_bytes ? size : n_bytes;

    memset((unsigned char *)out + known, 0, size - known);
    memcpy(out, numbers, known);
    return MN_OK;
}

static mn_status check_size(const size_t *size, const char *what, struct mn_error *err)
{
    if (size == NULL || *size < sizeof *size || *size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "set size to sizeof(struct %s)", what);
    return MN_OK;
}

/* Life ----------*/

static uint32_t shards_for(uint64_t max_bytes)
{
    uint32_t n = 1;

    while (n < N_SHARDS_AUTO_MAX && max_bytes / SHARD_BYTES_AUTO >= n * 2)
        n *= 2;
    return n;
}

static mn_status set_defaults(struct mn_ramcache_options *o, struct mn_error *err)
{
    if (o->max_bytes == 0)
        o->max_bytes = MAX_BYTES_DEFAULT;
    if (o->max_bytes < MAX_BYTES_MIN || o->max_bytes > MAX_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "max_bytes is 64 KiB to 1 TiB");
    if (o->n_shards == 0)
        o->n_shards = shards_for(o->max_bytes);
    if (o->n_shards > N_SHARDS_MAX || (o->n_shards & (o->n_shards - 1)) != 0 ||
        o->n_shards > o->max_bytes / SHARD_BYTES_MIN)
        return mni_fail(err, MN_ERR_INVALID,
                        "n_shards is a power of two up to %d and up to max_bytes / 32 KiB",
                        N_SHARDS_MAX);
    if (o->negative_bytes_max == 0)
        o->negative_bytes_max = o->max_bytes / NEGATIVE_ONE_IN;
    if (o->negative_bytes_max > o->max_bytes / 2)
        return mni_fail(err, MN_ERR_INVALID, "negative_bytes_max is at most half of max_bytes");
    if (o->n_negative_max == 0)
        o->n_negative_max = N_NEGATIVE_DEFAULT;
    if (o->negative_ttl_us == 0)
        o->negative_ttl_us = NEGATIVE_TTL_DEFAULT_US;
    return MN_OK;
}

static void free_handle(mn_ramcache *cache)
{
    mni_fork_guard_free(cache->guard);
    mni_free(cache);
}

static mn_status make(struct mni_env *env, const struct mn_ramcache_options *o, mn_ramcache *cache,
                      struct mn_error *err)
{
    struct mni_ramcache_config config = {
        .env = env,
        .owner = cache,
        .max_bytes = o->max_bytes,
        .owner_bytes = GUARD_BYTES + sizeof *cache + 64,
        .n_shards = o->n_shards,
        .negative_bytes_max = o->negative_bytes_max,
        .n_negative_max = o->n_negative_max,
        .negative_ttl_us = o->negative_ttl_us,
    };
    mn_status st = mni_env_random(env, &config.hash_seed, sizeof config.hash_seed, err);

    if (st == MN_OK)
        st = mni_fork_guard_new(&cache->guard, err);
    return st == MN_OK ? mni_ramcache_new(&config, &cache->cache, err) : st;
}

mn_status mni_api_ramcache_new(struct mni_env *env, const struct mn_ramcache_options *options,
                               mn_ramcache **cache_out, struct mn_error *err)
{
    struct mn_ramcache_options o;

    if (cache_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the cache");
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_ramcache_options", err);
    if (st == MN_OK)
        st = set_defaults(&o, err);
    if (st != MN_OK)
        return st;
    mn_ramcache *cache = mni_alloc_zero(sizeof *cache);
    if (cache == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of the cache");
    st = make(env, &o, cache, err);
    if (st != MN_OK) {
        free_handle(cache);
        return st;
    }
    *cache_out = cache;
    return MN_OK;
}

mn_status mn_ramcache_new(const struct mn_ramcache_options *options, mn_ramcache **cache_out,
                          struct mn_error *err)
{
    return mni_api_ramcache_new(mni_posix_env(), options, cache_out, err);
}

mn_status mn_ramcache_free(mn_ramcache *cache, struct mn_error *err)
{
    if (cache == NULL)
        return MN_OK;
    mn_status st = check_cache(cache, err);
    if (st == MN_OK)
        st = mni_ramcache_free(cache->cache, err);
    if (st == MN_OK)
        free_handle(cache);
    return st;
}

struct mni_ramcache *mni_api_ramcache_inside(mn_ramcache *cache)
{
    return cache->cache;
}

/* Putting ----------*/

static mn_status put(mn_ramcache *cache, struct mn_slice name, const struct mn_ramcache_item *item,
                     uint32_t batch, bool *kept_out, struct mn_error *err)
{
    struct mni_ramcache_expiry expiry = mni_ramcache_expiry(cache->cache, item);

    return mni_ramcache_put(cache->cache, name, item->id, item->value, expiry, batch, kept_out,
                            err);
}

mn_status mn_ramcache_put(mn_ramcache *cache, struct mn_slice name,
                          const struct mn_ramcache_item *item, bool *kept_out, struct mn_error *err)
{
    bool is_kept = false;
    mn_status st = check_name(cache, name, err);

    if (st == MN_OK && item == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no value is given");
    if (st == MN_OK)
        st = check_item(item, err);
    if (st == MN_OK)
        st = put(cache, name, item, 0, &is_kept, err);
    if (st == MN_OK && kept_out != NULL)
        *kept_out = is_kept;
    return st;
}

mn_status mn_ramcache_put_batch(mn_ramcache *cache, struct mn_slice name,
                                const struct mn_ramcache_item *items, size_t n_items,
                                uint64_t *n_kept_out, struct mn_error *err)
{
    uint64_t n_kept = 0;
    mn_status st = check_name(cache, name, err);

    if (st == MN_OK && items == NULL && n_items > 0)
        return mni_fail(err, MN_ERR_INVALID, "no items are given");
    for (size_t i = 0; st == MN_OK && i < n_items; i++) {
        st = check_item(&items[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "item %zu", i);
    }
    if (st != MN_OK)
        return st;
    uint32_t batch = n_items > 0 ? mni_ramcache_batch(cache->cache) : 0;
    for (size_t i = 0; st == MN_OK && i < n_items; i++) {
        bool is_kept = false;
        st = put(cache, name, &items[i], batch, &is_kept, err);
        if (st != MN_OK)
            mni_error_prefix(err, "item %zu", i);
    }
    if (st != MN_OK || n_kept_out == NULL)
        return st;
    /* Later items may have replaced or pushed out what earlier ones put. */
    for (size_t i = 0; i < n_items; i++)
        n_kept += mni_ramcache_count_of_batch(cache->cache, name, items[i].id, batch);
    *n_kept_out = n_kept;
    return MN_OK;
}

/* Getting ----------*/

void mn_ramcache_value_release(struct mn_ramcache_value *value)
{
    if (value == NULL || value->pin == NULL)
        return;
    /* What a child of fork gives back belongs to its parent. */
    if (!mni_fork_guard_is_child(value->cache->guard))
        mni_ramcache_unpin(value->cache->cache, value->pin);
    *value = (struct mn_ramcache_value){0};
}

mn_status mn_ramcache_get(mn_ramcache *cache, struct mn_slice name, struct mn_slice id,
                          struct mn_ramcache_value *value_out, struct mn_error *err)
{
    mn_status st = check_cache(cache, err);

    if (value_out != NULL)
        *value_out = (struct mn_ramcache_value){0};
    if (st != MN_OK)
        return st;
    if (value_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the value");
    if (!has_length(name, MN_NAMESPACE_BYTES_MAX) || !has_length(id, MN_ID_BYTES_MAX))
        return check_key(cache, name, id, err);
    if (mni_ramcache_get(cache->cache, name, id, value_out) == MN_OK)
        return MN_OK;
    st = check_key(cache, name, id, err);
    if (st == MN_OK)
        return mni_fail(err, MN_NOT_FOUND, "no such value");
    mni_ramcache_uncount_miss(cache->cache, name, id);
    return st;
}

mn_status mn_ramcache_get_batch(mn_ramcache *cache, struct mn_slice name,
                                const struct mn_slice *ids, size_t n_ids,
                                struct mn_ramcache_value *values_out, size_t *n_found_out,
                                struct mn_error *err)
{
    size_t n_found = 0;
    mn_status st = check_name(cache, name, err);

    for (size_t i = 0; values_out != NULL && i < n_ids; i++)
        values_out[i] = (struct mn_ramcache_value){0};
    if (st == MN_OK && n_ids > 0 && (ids == NULL || values_out == NULL))
        return mni_fail(err, MN_ERR_INVALID, "no ids, or no place for the values");
    for (size_t i = 0; st == MN_OK && i < n_ids; i++) {
        st = api_check_id(ids[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "id %zu", i);
    }
    if (st != MN_OK)
        return st;
    for (size_t i = 0; i < n_ids; i++)
        n_found += mni_ramcache_get(cache->cache, name, ids[i], &values_out[i]) == MN_OK;
    if (n_found_out != NULL)
        *n_found_out = n_found;
    return MN_OK;
}

mn_status mn_ramcache_get_all(mn_ramcache *cache, struct mn_slice name, mn_ramcache_each_fn *each,
                              void *context, struct mn_error *err)
{
    mn_status st = check_name(cache, name, err);

    if (st == MN_OK && each == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no callback is given");
    return st == MN_OK ? mni_ramcache_get_all(cache->cache, name, each, context) : st;
}

mn_status mn_ramcache_contains(mn_ramcache *cache, struct mn_slice name, struct mn_slice id,
                               bool *contains_out, struct mn_error *err)
{
    struct mn_ramcache_info info;
    mn_status st = check_key(cache, name, id, err);

    if (st == MN_OK && contains_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    if (st == MN_OK)
        *contains_out = mni_ramcache_info(cache->cache, name, id, &info) == MN_OK;
    return st;
}

mn_status mn_ramcache_info(mn_ramcache *cache, struct mn_slice name, struct mn_slice id,
                           struct mn_ramcache_info *info_out, struct mn_error *err)
{
    struct mn_ramcache_info info = {0};
    mn_status st = check_key(cache, name, id, err);

    if (st == MN_OK)
        st = check_size(info_out == NULL ? NULL : &info_out->size, "mn_ramcache_info", err);
    if (st != MN_OK)
        return st;
    if (mni_ramcache_info(cache->cache, name, id, &info) != MN_OK)
        return mni_fail(err, MN_NOT_FOUND, "no such value");
    info.size = info_out->size;
    return give_numbers(info_out, info.size, &info, sizeof info);
}

/* Loading ----------*/

mn_status mn_ramcache_get_or_load(mn_ramcache *cache, struct mn_slice name, struct mn_slice id,
                                  mn_ramcache_load_fn *load, void *context,
                                  struct mn_ramcache_value *value_out, struct mn_error *err)
{
    mn_status st = check_key(cache, name, id, err);

    if (value_out != NULL)
        *value_out = (struct mn_ramcache_value){0};
    if (st == MN_OK && (load == NULL || value_out == NULL))
        return mni_fail(err, MN_ERR_INVALID, "no loader, or no place for the value");
    if (st != MN_OK)
        return st;
    return mni_ramcache_get_or_load(cache->cache, name, id, load, context, value_out, err);
}

mn_status mn_ramcache_load_room(mn_ramcache_load *load, size_t n_bytes,
                                const struct mn_ramcache_item *item, void **data_out,
                                struct mn_error *err)
{
    if (load == NULL || data_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no load, or no place for the address");
    mn_status st = item != NULL ? check_ttl(item, err) : MN_OK;
    if (st != MN_OK)
        return st;
    struct mni_ramcache_expiry expiry = mni_ramcache_expiry(mni_ramcache_of_load(load), item);
    return mni_ramcache_load_room(load, n_bytes, expiry, data_out, err);
}

mn_status mn_ramcache_load_value(mn_ramcache_load *load, const struct mn_ramcache_item *item,
                                 struct mn_error *err)
{
    void *data = NULL;

    if (item == NULL || (item->value.n_bytes > 0 && item->value.data == NULL))
        return mni_fail(err, MN_ERR_INVALID, "no value, or bytes without an address");
    mn_status st = mn_ramcache_load_room(load, item->value.n_bytes, item, &data, err);
    if (st == MN_OK && item->value.n_bytes > 0)
        memcpy(data, item->value.data, item->value.n_bytes);
    return st;
}

/* Deleting ----------*/

mn_status mn_ramcache_delete(mn_ramcache *cache, struct mn_slice name, struct mn_slice id,
                             bool *existed_out, struct mn_error *err)
{
    mn_status st = check_key(cache, name, id, err);

    if (st != MN_OK)
        return st;
    bool existed = mni_ramcache_delete(cache->cache, name, id);
    if (existed_out != NULL)
        *existed_out = existed;
    return MN_OK;
}

mn_status mn_ramcache_delete_batch(mn_ramcache *cache, struct mn_slice name,
                                   const struct mn_slice *ids, size_t n_ids,
                                   uint64_t *n_existed_out, struct mn_error *err)
{
    uint64_t n_existed = 0;
    mn_status st = check_name(cache, name, err);

    if (st == MN_OK && n_ids > 0 && ids == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no ids are given");
    for (size_t i = 0; st == MN_OK && i < n_ids; i++) {
        st = api_check_id(ids[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "id %zu", i);
    }
    if (st != MN_OK)
        return st;
    for (size_t i = 0; i < n_ids; i++)
        n_existed += mni_ramcache_delete(cache->cache, name, ids[i]);
    if (n_existed_out != NULL)
        *n_existed_out = n_existed;
    return MN_OK;
}

mn_status mn_ramcache_clear_namespace(mn_ramcache *cache, struct mn_slice name,
                                      uint64_t *n_removed_out, struct mn_error *err)
{
    mn_status st = check_name(cache, name, err);

    if (st != MN_OK)
        return st;
    uint64_t n = mni_ramcache_clear(cache->cache, name);
    if (n_removed_out != NULL)
        *n_removed_out = n;
    return MN_OK;
}

/* Numbers ----------*/

mn_status mn_ramcache_stats(mn_ramcache *cache, struct mn_ramcache_stats *stats_out,
                            struct mn_error *err)
{
    struct mn_ramcache_stats stats;
    mn_status st = check_cache(cache, err);

    if (st == MN_OK)
        st = check_size(stats_out == NULL ? NULL : &stats_out->size, "mn_ramcache_stats", err);
    if (st != MN_OK)
        return st;
    stats.size = stats_out->size;
    mni_ramcache_stats(cache->cache, &stats);
    return give_numbers(stats_out, stats.size, &stats, sizeof stats);
}

mn_status mn_ramcache_namespace_stats(mn_ramcache *cache, struct mn_slice name,
                                      struct mn_ramcache_namespace_stats *stats_out,
                                      struct mn_error *err)
{
    struct mn_ramcache_namespace_stats stats;
    mn_status st = check_name(cache, name, err);

    if (st == MN_OK)
        st = check_size(stats_out == NULL ? NULL : &stats_out->size, "mn_ramcache_namespace_stats",
                        err);
    if (st != MN_OK)
        return st;
    stats.size = stats_out->size;
    if (mni_ramcache_namespace_stats(cache->cache, name, &stats) != MN_OK)
        return mni_fail(err, MN_NOT_FOUND, "no such namespace");
    return give_numbers(stats_out, stats.size, &stats, sizeof stats);
}

mn_status mn_ramcache_list_namespaces(mn_ramcache *cache, mn_ramcache_name_fn *each, void *context,
                                      struct mn_error *err)
{
    mn_status st = check_cache(cache, err);

    if (st == MN_OK && each == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no callback is given");
    return st == MN_OK ? mni_ramcache_list(cache->cache, each, context) : st;
}
