/*
 * fixture.h - what the tests of the cache in memory share: a world with a clock that is set, and
 * calls in one line.
 */
#ifndef TESTS_UNIT_RAMCACHE_FIXTURE_H
#define TESTS_UNIT_RAMCACHE_FIXTURE_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "mneme/ramcache.h"
#include "ramcache/ramcache.h"

static struct mn_error err;
static atomic_int_fast64_t wall_us = 1000000000;
static atomic_int_fast64_t mono_us = 5000; /* stands still while Unix time is moved */
static uint64_t world_random = 1;

static int64_t world_wall_us(struct mni_env *env)
{
    (void)env;
    return atomic_load(&wall_us);
}

static int64_t world_mono_us(struct mni_env *env)
{
    (void)env;
    return atomic_load(&mono_us);
}

static mn_status world_fill(struct mni_env *env, void *data, size_t n, struct mn_error *e)
{
    unsigned char *bytes = data;

    (void)env;
    (void)e;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)check_random(&world_random);
    return MN_OK;
}

static const struct mni_env_ops world_ops = {
    .wall_us = world_wall_us, .mono_us = world_mono_us, .random = world_fill};
static struct mni_env world = {&world_ops};

static inline mn_ramcache *new_cache(struct mn_ramcache_options options)
{
    mn_ramcache *cache = NULL;

    options.size = sizeof options;
    CHECK_OK_ERR(mni_api_ramcache_new(&world, &options, &cache, &err), &err);
    return cache;
}

static inline mn_ramcache *cache_of(uint64_t max_bytes)
{
    return new_cache((struct mn_ramcache_options){.max_bytes = max_bytes});
}

static inline void look_inside(mn_ramcache *cache)
{
    mni_ramcache_check(mni_api_ramcache_inside(cache));
}

static inline void free_cache(mn_ramcache *cache)
{
    look_inside(cache);
    CHECK_OK_ERR(mn_ramcache_free(cache, &err), &err);
}

static inline bool put_item(mn_ramcache *cache, const char *name, const char *id,
                            struct mn_slice value, int64_t ttl_us)
{
    const struct mn_ramcache_item item = {
        .id = mn_str(id), .value = value, .has_ttl = ttl_us >= 0, .ttl_us = ttl_us};
    bool kept = false;

    CHECK_OK_ERR(mn_ramcache_put(cache, mn_str(name), &item, &kept, &err), &err);
    return kept;
}

static inline bool put(mn_ramcache *cache, const char *name, const char *id, const char *value)
{
    return put_item(cache, name, id, mn_str(value), -1);
}

static inline bool has(mn_ramcache *cache, const char *name, const char *id)
{
    bool contains = false;

    CHECK_OK_ERR(mn_ramcache_contains(cache, mn_str(name), mn_str(id), &contains, &err), &err);
    return contains;
}

/* The text that a key has, in storage that the next call uses again; "-" when there is none. */
static inline const char *text_of(mn_ramcache *cache, const char *name, const char *id)
{
    static char text[256];
    struct mn_ramcache_value value;
    mn_status st = mn_ramcache_get(cache, mn_str(name), mn_str(id), &value, &err);

    if (st == MN_NOT_FOUND) {
        CHECK(value.pin == NULL && value.value.data == NULL);
        return "-";
    }
    CHECK_OK_ERR(st, &err);
    CHECK(value.value.n_bytes < sizeof text);
    memcpy(text, value.value.data, value.value.n_bytes);
    text[value.value.n_bytes] = '\0';
    mn_ramcache_value_release(&value);
    CHECK(value.pin == NULL);
    return text;
}

static inline bool drop(mn_ramcache *cache, const char *name, const char *id)
{
    bool existed = false;

    CHECK_OK_ERR(mn_ramcache_delete(cache, mn_str(name), mn_str(id), &existed, &err), &err);
    return existed;
}

static inline uint64_t clear(mn_ramcache *cache, const char *name)
{
    uint64_t n = 0;

    CHECK_OK_ERR(mn_ramcache_clear_namespace(cache, mn_str(name), &n, &err), &err);
    return n;
}

/* The number that an id begins with; there is no NUL behind it. */
static inline unsigned number_of(struct mn_slice id)
{
    const char *digits = id.data;
    unsigned number = 0;

    for (size_t i = 0; i < id.n_bytes && digits[i] >= '0' && digits[i] <= '9'; i++)
        number = number * 10 + (unsigned)(digits[i] - '0');
    return number;
}

static inline struct mn_ramcache_stats stats_of(mn_ramcache *cache)
{
    struct mn_ramcache_stats stats = {.size = sizeof stats};

    CHECK_OK_ERR(mn_ramcache_stats(cache, &stats, &err), &err);
    return stats;
}

#endif
