/* Each allocation of each call fails once: nothing leaks or breaks, nothing wrong is shown. */
#include "fixture.h"

enum { N_BEFORE = 400 };

static mn_ramcache *cache;

/* A cache that is nearly full, so that a call also evicts and lets tables grow. */
static void fill_up(void)
{
    char bytes[300] = {0}, id[16];

    cache = cache_of(128 << 10);
    for (int i = 0; i < N_BEFORE; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put_item(cache, i % 3 == 0 ? "n" : "m", id, (struct mn_slice){bytes, sizeof bytes},
                       i % 5 == 0 ? 1000000 : -1);
    }
    (void)put(cache, "n", "x", "old");
}

static mn_status load(void *context, mn_ramcache_load *load, struct mn_slice name,
                      struct mn_slice id, struct mn_error *e)
{
    const struct mn_ramcache_item item = {.value = mn_str("new")};

    (void)name;
    (void)id;
    return context != NULL ? MN_NOT_FOUND : mn_ramcache_load_value(load, &item, e);
}

static mn_status put_new(void)
{
    const struct mn_ramcache_item item = {
        .id = mn_str("x"), .value = mn_str("new"), .has_ttl = true, .ttl_us = 1000};

    return mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err);
}

static mn_status put_large(void)
{
    static char bytes[20000];
    const struct mn_ramcache_item item = {.id = mn_str("y"), .value = {bytes, sizeof bytes}};

    return mn_ramcache_put(cache, mn_str("another namespace"), &item, NULL, &err);
}

static mn_status put_many(void)
{
    static char ids[600][8];
    struct mn_ramcache_item items[600];

    for (int i = 0; i < 600; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "b%d", i);
        items[i] = (struct mn_ramcache_item){.id = mn_str(ids[i]), .value = mn_str("1")};
    }
    return mn_ramcache_put_batch(cache, mn_str("batch"), items, 600, NULL, &err);
}

static mn_status load_value(void)
{
    struct mn_ramcache_value value;
    mn_status st =
        mn_ramcache_get_or_load(cache, mn_str("loads"), mn_str("new"), load, NULL, &value, &err);

    if (st == MN_OK)
        mn_ramcache_value_release(&value);
    return st;
}

static mn_status load_nothing(void)
{
    struct mn_ramcache_value value;
    mn_status st =
        mn_ramcache_get_or_load(cache, mn_str("loads"), mn_str("none"), load, cache, &value, &err);

    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status many_namespaces(void)
{
    mn_status st = MN_OK;

    for (int i = 0; st == MN_OK && i < 64; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "space %d", i);
        const struct mn_ramcache_item item = {.id = mn_str("x"), .value = mn_str("1")};
        st = mn_ramcache_put(cache, mn_str(name), &item, NULL, &err);
    }
    return st;
}

static mn_status clear_all(void)
{
    mn_status st = mn_ramcache_clear_namespace(cache, mn_str("m"), NULL, &err);

    return st == MN_OK ? put_new() : st;
}

static void each_allocation_may_fail(void)
{
    static mn_status (*const calls[])(void) = {put_new,      put_large,       put_many, load_value,
                                               load_nothing, many_namespaces, clear_all};
    uint64_t base = mni_mem_live_bytes();

    for (size_t i = 0; i < CHECK_COUNT(calls); i++) {
        bool was_hit = true;
        for (uint64_t n = 1; was_hit; n++) {
            fill_up();
            mni_mem_fail_at(n);
            mn_status st = calls[i]();
            was_hit = mni_mem_fail_was_hit();
            mni_mem_fail_at(0);
            /* A table or a sketch that cannot grow is no error, and a load may go unkept. */
            CHECK(st == MN_OK || (was_hit && st == MN_ERR_NOMEM));
            if (calls[i] == put_new)
                CHECK_STR_EQ(text_of(cache, "n", "x"), st == MN_OK ? "new" : "old");
            CHECK(mni_mem_live_bytes() - base <= 128 << 10);
            free_cache(cache);
            CHECK_EQ(mni_mem_live_bytes(), base);
        }
    }
}

static void making_a_cache_may_fail(void)
{
    uint64_t base = mni_mem_live_bytes();
    struct mn_ramcache_options options = {
        .size = sizeof options, .max_bytes = 1 << 20, .n_shards = 4};
    mn_ramcache *made = NULL;

    for (uint64_t n = 1;; n++) {
        mni_mem_fail_at(n);
        mn_status st = mni_api_ramcache_new(&world, &options, &made, &err);
        mni_mem_fail_at(0);
        if (st == MN_OK)
            break;
        CHECK_STATUS(st, MN_ERR_NOMEM);
        CHECK(made == NULL);
        CHECK_EQ(mni_mem_live_bytes(), base);
    }
    free_cache(made);
    CHECK_EQ(mni_mem_live_bytes(), base);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(each_allocation_may_fail),
        CHECK_TEST(making_a_cache_may_fail),
    };
    return check_run("ramcache.faults", tests, CHECK_COUNT(tests), argc, argv);
}
