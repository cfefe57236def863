/*
 * diskcache.c - the disk cache on its own, as programs see it.
 *
 * Owns:    the handle.
 * Threads: any number, but close.
 * Fails:   as include/mneme/diskcache.h says; a refused call leaves nothing behind.
 */
#include "mneme/diskcache.h"

#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "api/options.h"
#include "api/store_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "diskcache/diskcache.h"
#include "io/posix.h"
#include "io/thread.h"

#define DISKCACHE_BYTES_DEFAULT (UINT64_C(10) << 30)
#define DISKCACHE_PATH_DEFAULT "./cache"
enum { STATS_BYTES_MAX = 4096 };

struct mn_diskcache {
    struct mni_diskcache *cache;  /* owned */
    struct mni_fork_guard *guard; /* owned */
};

/* Checking what callers give ----------*/

static mn_status check_handle(const mn_diskcache *cache, struct mn_error *err)
{
    if (cache == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no cache is given");
    if (mni_fork_guard_is_child(cache->guard))
        return mni_fail(err, MN_ERR_FORKED, "the cache was opened before this process was forked");
    return MN_OK;
}

static mn_status check_named(const mn_diskcache *cache, struct mn_slice name, struct mn_error *err)
{
    mn_status st = check_handle(cache, err);

    return st == MN_OK ? api_check_name(name, err) : st;
}

static mn_status check_one(const mn_diskcache *cache, struct mn_slice name, struct mn_slice id,
                           struct mn_error *err)
{
    mn_status st = check_named(cache, name, err);

    return st == MN_OK ? api_check_id(id, err) : st;
}

static mn_status check_ids(const mn_diskcache *cache, struct mn_slice name,
                           const struct mn_slice *ids, size_t n_ids, struct mn_error *err)
{
    mn_status st = check_named(cache, name, err);

    if (st == MN_OK && ids == NULL && n_ids > 0)
        return mni_fail(err, MN_ERR_INVALID, "no ids are given");
    if (st == MN_OK && n_ids > MN_BATCH_RECORDS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a batch of %zu ids; at most %d", n_ids,
                        MN_BATCH_RECORDS_MAX);
    for (size_t i = 0; i < n_ids && st == MN_OK; i++) {
        st = api_check_id(ids[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "id %zu", i);
    }
    return st;
}

static mn_status check_item(const struct mn_diskcache_item *item, struct mn_error *err)
{
    mn_status st = api_check_id(item->id, err);

    if (st == MN_OK && item->value.data == NULL && item->value.n_bytes > 0)
        return mni_fail(err, MN_ERR_INVALID, "value has bytes and no address");
    if (st == MN_OK && item->has_ttl && !item->has_expires_at && item->ttl_us < 0)
        return mni_fail(err, MN_ERR_INVALID, "time to live is negative");
    return st;
}

static mn_status check_stats(const void *stats, size_t size, struct mn_error *err)
{
    if (stats == NULL || size < sizeof size || size > STATS_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "set the size of the struct of numbers");
    return MN_OK;
}

/* As much as the caller's version of the struct has. */
static void give_struct(void *to, size_t to_bytes, const void *from, size_t from_bytes)
{
    size_t known = to_bytes < from_bytes ? to_bytes : from_bytes;

    memcpy((unsigned char *)to + sizeof(size_t), (const unsigned char *)from + sizeof(size_t),
           known - sizeof(size_t));
    memset((unsigned char *)to + known, 0, to_bytes - known);
}

/* Opening and closing ----------*/

static void free_handle(mn_diskcache *cache)
{
    mni_fork_guard_free(cache->guard);
    mni_free(cache);
}

mn_status mni_api_diskcache_open(struct mni_env *env, const struct mn_diskcache_options *options,
                                 mn_diskcache **cache_out, struct mn_error *err)
{
    struct mn_diskcache_options o;

    if (cache_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nowhere to put the handle");
    *cache_out = NULL;
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_diskcache_options", err);
    if (st != MN_OK)
        return st;
    if ((int)o.compression < MN_DISKCACHE_COMPRESSION_DEFAULT ||
        o.compression > MN_DISKCACHE_COMPRESSION_LZ4)
        return mni_fail(err, MN_ERR_INVALID, "there is no compression %d", (int)o.compression);
    if (o.path != NULL && o.path[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "path is empty");
    if (o.max_bytes == 0 && !o.has_max_bytes)
        o.max_bytes = DISKCACHE_BYTES_DEFAULT;

    const struct mni_diskcache_config config = {
        .env = env,
        .path = o.path == NULL ? DISKCACHE_PATH_DEFAULT : o.path,
        .max_bytes = o.max_bytes,
        .compress = o.compression != MN_DISKCACHE_COMPRESSION_NONE,
        .write_buffer_bytes = o.write_buffer_bytes,
        .write_buffer_count = o.write_buffer_count,
    };
    mn_diskcache *cache = mni_alloc_zero(sizeof *cache);
    if (cache == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of the cache");
    st = mni_fork_guard_new(&cache->guard, err);
    if (st == MN_OK)
        st = mni_diskcache_open(&config, &cache->cache, err);
    if (st != MN_OK) {
        free_handle(cache);
        return st;
    }
    *cache_out = cache;
    return MN_OK;
}

mn_status mn_diskcache_open(const struct mn_diskcache_options *options, mn_diskcache **cache_out,
                            struct mn_error *err)
{
    return mni_api_diskcache_open(mni_posix_env(), options, cache_out, err);
}

mn_status mn_diskcache_close(mn_diskcache *cache, struct mn_error *err)
{
    if (cache == NULL)
        return MN_OK;
    mn_status st = check_handle(cache, err);
    if (st != MN_OK)
        return st;
    mni_diskcache_close(cache->cache);
    free_handle(cache);
    return MN_OK;
}

void mni_api_diskcache_abandon(mn_diskcache *cache)
{
    if (cache == NULL)
        return;
    mni_diskcache_abandon(cache->cache);
    free_handle(cache);
}

/* Putting and getting ----------*/

mn_status mn_diskcache_put(mn_diskcache *cache, struct mn_slice name,
                           const struct mn_diskcache_item *item, bool *kept_out,
                           struct mn_error *err)
{
    uint64_t n_kept = 0;
    mn_status st = check_named(cache, name, err);

    if (st == MN_OK && item == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no item is given");
    if (st == MN_OK)
        st = check_item(item, err);
    if (st == MN_OK)
        st = mni_diskcache_put(cache->cache, name, item, 1, &n_kept, err);
    if (st == MN_OK && kept_out != NULL)
        *kept_out = n_kept == 1;
    return st;
}

mn_status mn_diskcache_put_batch(mn_diskcache *cache, struct mn_slice name,
                                 const struct mn_diskcache_item *items, size_t n_items,
                                 uint64_t *n_kept_out, struct mn_error *err)
{
    uint64_t n_kept = 0;
    mn_status st = check_named(cache, name, err);

    if (st == MN_OK && items == NULL && n_items > 0)
        return mni_fail(err, MN_ERR_INVALID, "no items are given");
    if (st == MN_OK && n_items > MN_BATCH_RECORDS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a batch of %zu items; at most %d", n_items,
                        MN_BATCH_RECORDS_MAX);
    for (size_t i = 0; i < n_items && st == MN_OK; i++) {
        st = check_item(&items[i], err);
        if (st != MN_OK)
            mni_error_prefix(err, "item %zu", i);
    }
    if (st == MN_OK && n_items > 0)
        st = mni_diskcache_put(cache->cache, name, items, n_items, &n_kept, err);
    if (st == MN_OK && n_kept_out != NULL)
        *n_kept_out = n_kept;
    return st;
}

void mn_diskcache_value_release(struct mn_diskcache_value *value)
{
    mni_diskcache_value_release(value);
}

mn_status mn_diskcache_get(mn_diskcache *cache, struct mn_slice name, struct mn_slice id,
                           struct mn_diskcache_value *value_out, struct mn_error *err)
{
    if (value_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nowhere to put the value");
    *value_out = (struct mn_diskcache_value){0};
    mn_status st = check_one(cache, name, id, err);
    if (st == MN_OK)
        st = mni_diskcache_get(cache->cache, name, id, value_out);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, st, "the cache does not have it");
    return st;
}

mn_status mn_diskcache_get_batch(mn_diskcache *cache, struct mn_slice name,
                                 const struct mn_slice *ids, size_t n_ids,
                                 struct mn_diskcache_value *values_out, size_t *n_found_out,
                                 struct mn_error *err)
{
    size_t n_found = 0;

    if (values_out == NULL && n_ids > 0)
        return mni_fail(err, MN_ERR_INVALID, "nowhere to put the values");
    if (n_ids > 0)
        memset(values_out, 0, n_ids * sizeof *values_out);
    mn_status st = check_ids(cache, name, ids, n_ids, err);
    if (st != MN_OK)
        return st;
    for (size_t i = 0; i < n_ids; i++)
        if (mni_diskcache_get(cache->cache, name, ids[i], &values_out[i]) == MN_OK)
            n_found++;
    if (n_found_out != NULL)
        *n_found_out = n_found;
    return MN_OK;
}

mn_status mn_diskcache_get_all(mn_diskcache *cache, struct mn_slice name,
                               mn_diskcache_each_fn *each, void *context, struct mn_error *err)
{
    mn_status st = check_named(cache, name, err);

    if (st == MN_OK && each == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no callback is given");
    return st == MN_OK ? mni_diskcache_each(cache->cache, name, each, context, err) : st;
}

mn_status mn_diskcache_contains(mn_diskcache *cache, struct mn_slice name, struct mn_slice id,
                                bool *contains_out, struct mn_error *err)
{
    struct mn_diskcache_info info = {0};
    mn_status st = check_one(cache, name, id, err);

    if (st == MN_OK && contains_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nowhere to put the answer");
    if (st == MN_OK)
        *contains_out = mni_diskcache_info(cache->cache, name, id, &info) == MN_OK;
    return st;
}

mn_status mn_diskcache_info(mn_diskcache *cache, struct mn_slice name, struct mn_slice id,
                            struct mn_diskcache_info *info_out, struct mn_error *err)
{
    struct mn_diskcache_info info = {0};
    mn_status st = check_one(cache, name, id, err);

    if (st == MN_OK)
        st = check_stats(info_out, info_out == NULL ? 0 : info_out->size, err);
    if (st != MN_OK)
        return st;
    if (mni_diskcache_info(cache->cache, name, id, &info) != MN_OK)
        return mni_fail(err, MN_NOT_FOUND, "the cache does not have it");
    give_struct(info_out, info_out->size, &info, sizeof info);
    return MN_OK;
}

/* Removing ----------*/

mn_status mn_diskcache_delete(mn_diskcache *cache, struct mn_slice name, struct mn_slice id,
                              bool *existed_out, struct mn_error *err)
{
    mn_status st = check_one(cache, name, id, err);

    if (st != MN_OK)
        return st;
    uint64_t n_existed = mni_diskcache_delete(cache->cache, name, &id, 1);
    if (existed_out != NULL)
        *existed_out = n_existed == 1;
    return MN_OK;
}

mn_status mn_diskcache_delete_batch(mn_diskcache *cache, struct mn_slice name,
                                    const struct mn_slice *ids, size_t n_ids,
                                    uint64_t *n_existed_out, struct mn_error *err)
{
    mn_status st = check_ids(cache, name, ids, n_ids, err);

    if (st != MN_OK)
        return st;
    uint64_t n_existed = mni_diskcache_delete(cache->cache, name, ids, n_ids);
    if (n_existed_out != NULL)
        *n_existed_out = n_existed;
    return MN_OK;
}

mn_status mn_diskcache_clear_namespace(mn_diskcache *cache, struct mn_slice name,
                                       uint64_t *n_removed_out, struct mn_error *err)
{
    mn_status st = check_named(cache, name, err);

    if (st != MN_OK)
        return st;
    uint64_t n_removed = mni_diskcache_clear(cache->cache, name);
    if (n_removed_out != NULL)
        *n_removed_out = n_removed;
    return MN_OK;
}

mn_status mn_diskcache_flush(mn_diskcache *cache, bool *sealed_out, struct mn_error *err)
{
    mn_status st = check_handle(cache, err);

    if (st != MN_OK)
        return st;
    bool is_sealed = mni_diskcache_flush(cache->cache);
    if (sealed_out != NULL)
        *sealed_out = is_sealed;
    return MN_OK;
}

/* Numbers ----------*/

mn_status mn_diskcache_stats(mn_diskcache *cache, struct mn_diskcache_stats *stats_out,
                             struct mn_error *err)
{
    struct mn_diskcache_stats stats = {0};
    mn_status st = check_handle(cache, err);

    if (st == MN_OK)
        st = check_stats(stats_out, stats_out == NULL ? 0 : stats_out->size, err);
    if (st != MN_OK)
        return st;
    mni_diskcache_stats(cache->cache, &stats);
    give_struct(stats_out, stats_out->size, &stats, sizeof stats);
    return MN_OK;
}

mn_status mn_diskcache_namespace_stats(mn_diskcache *cache, struct mn_slice name,
                                       struct mn_diskcache_namespace_stats *stats_out,
                                       struct mn_error *err)
{
    struct mn_diskcache_namespace_stats stats = {0};
    mn_status st = check_named(cache, name, err);

    if (st == MN_OK)
        st = check_stats(stats_out, stats_out == NULL ? 0 : stats_out->size, err);
    if (st != MN_OK)
        return st;
    if (mni_diskcache_space_stats(cache->cache, name, &stats) != MN_OK)
        return mni_fail(err, MN_NOT_FOUND, "the namespace has no entries");
    give_struct(stats_out, stats_out->size, &stats, sizeof stats);
    return MN_OK;
}

mn_status mn_diskcache_list_namespaces(mn_diskcache *cache, mn_diskcache_name_fn *each,
                                       void *context, struct mn_error *err)
{
    mn_status st = check_handle(cache, err);

    if (st == MN_OK && each == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no callback is given");
    return st == MN_OK ? mni_diskcache_names(cache->cache, each, context, err) : st;
}

mn_status mn_diskcache_note(mn_diskcache *cache, char text_out[MN_ERROR_MESSAGE_BYTES],
                            struct mn_error *err)
{
    mn_status st = check_handle(cache, err);

    if (st == MN_OK && text_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nowhere to put the text");
    if (st == MN_OK)
        mni_diskcache_note(cache->cache, text_out);
    return st;
}
