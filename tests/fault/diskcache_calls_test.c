/*
 * diskcache_calls_test.c - every allocation and every call of the world fails once: the cache
 * answers MN_ERR_NOMEM or goes on, is never wrong, and keeps its numbers.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "diskcache/kit.h"
#include "io/fault.h"
#include "io/posix.h"

enum { N_IDS = 12 };

static const char *path;

/* Every value under "a" is the turn in which it was put. Right are those from `oldest_right` on:
 * the last turn, or also some before when that one failed. */
static unsigned turn;
static unsigned oldest_right;
static bool put_all; /* the last turn put all its values */
static const char *const deleted = "1";

static void check_values(mn_diskcache *cache)
{
    for (int i = 0; i < N_IDS; i++) {
        struct mn_diskcache_value got;
        char id[16];
        unsigned found = 0;
        (void)snprintf(id, sizeof id, "%d", i);
        mn_status st = mn_diskcache_get(cache, mn_str("a"), mn_str(id), &got, NULL);
        CHECK(st == MN_OK || st == MN_NOT_FOUND);
        if (st != MN_OK)
            continue;
        CHECK_EQ(got.value.n_bytes, 8);
        for (int k = 0; k < 8; k++)
            found = found * 10 + (unsigned)(((const char *)got.value.data)[k] - '0');
        CHECK(found >= oldest_right);
        CHECK(found <= turn);
        CHECK(oldest_right < turn || strcmp(id, deleted) != 0);
        mn_diskcache_value_release(&got);
    }
}

static mn_status open_in(struct mni_env *env, mn_diskcache **cache_out)
{
    const struct mn_diskcache_options o = {.size = sizeof o, .path = path, .max_bytes = 4 << 20};

    return mni_api_diskcache_open(env, &o, cache_out, NULL);
}

static mn_status count(void *context, const struct mn_diskcache_entry *entry)
{
    (*(uint64_t *)context)++;
    return entry->value.n_bytes == 8 ? MN_OK : MN_ERR_CORRUPT;
}

static mn_status count_all(void *context, const struct mn_diskcache_entry *entry)
{
    *(uint64_t *)context += entry->value.n_bytes;
    return MN_OK;
}

static mn_status count_name(void *context, struct mn_slice name, uint64_t n_entries)
{
    (void)name;
    *(uint64_t *)context += n_entries;
    return MN_OK;
}

static bool is_fine(mn_status st, bool may_fail)
{
    return st == MN_OK || st == MN_NOT_FOUND || (may_fail && st == MN_ERR_NOMEM);
}

/* All operations; `may_fail` with MN_ERR_NOMEM. */
static void use(mn_diskcache *cache, bool may_fail)
{
    struct mn_diskcache_item items[N_IDS];
    struct mn_diskcache_value got;
    char ids[N_IDS][8];
    char value[16];
    uint64_t n = 0;

    check_values(cache);
    turn++;
    (void)snprintf(value, sizeof value, "%08u", turn);
    for (int i = 0; i < N_IDS; i++)
        items[i] = (struct mn_diskcache_item){.id = {ids[i], (size_t)snprintf(ids[i], 8, "%d", i)},
                                              .value = {value, 8},
                                              .has_ttl = i % 2 == 0,
                                              .ttl_us = INT64_MAX};
    mn_status put = mn_diskcache_put_batch(cache, mn_str("a"), items, N_IDS, NULL, NULL);
    CHECK(is_fine(put, may_fail));
    put_all = put == MN_OK;
    CHECK(is_fine(mn_diskcache_put(cache, mn_str("b"), &items[0], NULL, NULL), may_fail));
    for (int i = 0; i < N_IDS; i++) {
        mn_status st = mn_diskcache_get(cache, mn_str("a"), items[i].id, &got, NULL);
        CHECK(st == MN_OK || st == MN_NOT_FOUND);
        CHECK(st != MN_OK || !put_all || memcmp(got.value.data, value, 8) == 0);
        mn_diskcache_value_release(&got);
    }
    CHECK(is_fine(mn_diskcache_get_all(cache, mn_str("a"), count, &n, NULL), may_fail));
    CHECK(is_fine(mn_diskcache_list_namespaces(cache, count_name, &n, NULL), may_fail));
    CHECK_OK(mn_diskcache_delete(cache, mn_str("a"), mn_str(deleted), NULL, NULL));
    CHECK_OK(mn_diskcache_flush(cache, NULL, NULL));
    CHECK_OK(mn_diskcache_clear_namespace(cache, mn_str("b"), NULL, NULL));
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(kit_adds_up(&s));
}

static void every_allocation_may_fail(void)
{
    uint64_t n_before = 0;
    bool was_hit = true;

    path = kit_place("cache");
    oldest_right = turn;
    for (uint64_t n = 1; was_hit; n++) {
        mn_diskcache *cache = NULL;
        n_before = n_before == 0 && n == 3 ? mni_mem_live_blocks() : n_before;
        mni_mem_fail_at(n);
        mn_status st = open_in(mni_posix_env(), &cache);
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        /* Memory that is short costs an answer, not the cache. */
        uint64_t n_rebuilds = st == MN_OK ? kit_stats(cache).n_rebuilds : 0;
        if (st == MN_OK)
            use(cache, true);
        if (st == MN_OK)
            CHECK_EQ(kit_stats(cache).n_rebuilds, n_rebuilds);
        if (st == MN_OK)
            kit_close(cache);
        oldest_right = st == MN_OK && put_all ? turn : oldest_right;
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        if (n > 3)
            CHECK_EQ(mni_mem_live_blocks(), n_before);
    }
    mn_diskcache *cache = kit_open(path, 4 << 20);
    use(cache, false);
    kit_close(cache);
}

/* A walk says so in words, also when it is for a value that memory is short. */
static void a_walk_that_memory_is_too_short_for_says_so(void)
{
    static char large[2 << 20];
    const struct mn_diskcache_options o = {
        .size = sizeof o, .path = kit_place("large"), .max_bytes = 64 << 20};
    const struct mn_diskcache_item item = {.id = mn_str("1"), .value = {large, sizeof large}};
    mn_diskcache *cache = NULL;
    bool was_hit = true;
    int n_short = 0;

    CHECK_OK(mn_diskcache_open(&o, &cache, NULL));
    CHECK_OK(mn_diskcache_put(cache, mn_str("a"), &item, NULL, NULL));
    for (uint64_t k = 1; was_hit; k++) {
        struct mn_error err = {0};
        uint64_t n = 0;
        mni_mem_fail_at(k);
        mn_status st = mn_diskcache_get_all(cache, mn_str("a"), count_all, &n, &err);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        n_short += st == MN_ERR_NOMEM;
        CHECK_EQ(st == MN_ERR_NOMEM, was_hit);
        CHECK_EQ(err.message[0] != '\0', was_hit);
    }
    CHECK(n_short >= 2);
    kit_close(cache);
}

/* What the cache itself asks of the world: its lock, its seal, what it removes. */
static void every_call_of_the_world_may_fail(void)
{
    const int errors[] = {ENOSPC, EIO};

    path = kit_place("cache");
    oldest_right = turn;
    for (int k = 0; k < 4; k++) {
        struct mni_fault_env *fault = NULL;
        bool was_hit = true;
        CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
        for (uint64_t n = 1; was_hit; n++) {
            mn_diskcache *cache = NULL;
            mni_fault_env_fail_at(fault, n, errors[k % 2], k >= 2);
            mn_status st = open_in(mni_fault_env_base(fault), &cache);
            CHECK(st == MN_OK || st == MN_ERR_NO_SPACE || st == MN_ERR_IO);
            if (st == MN_OK)
                use(cache, false);
            if (st == MN_OK)
                kit_close(cache);
            was_hit = mni_fault_env_was_hit(fault);
            /* A disk that takes nothing any more cannot be told what has changed. */
            oldest_right = st == MN_OK && !(was_hit && k >= 2) ? turn : oldest_right;
        }
        mni_fault_env_fail_at(fault, 0, 0, false);
        mni_fault_env_free(fault);
    }
    mn_diskcache *cache = kit_open(path, 4 << 20);
    use(cache, false);
    CHECK(!kit_stats(cache).is_off);
    kit_close(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_allocation_may_fail),
        CHECK_TEST(a_walk_that_memory_is_too_short_for_says_so),
        CHECK_TEST(every_call_of_the_world_may_fail),
    };

    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    return check_run("fault.diskcache_calls", tests, CHECK_COUNT(tests), argc, argv);
}
