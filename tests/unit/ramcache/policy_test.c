/* Tests of who stays: what is read often survives what is read once, and loops are not all lost. */
#include "fixture.h"

struct visit {
    size_t n_bytes;
    bool was_there;
};

enum { CACHE_BYTES = 1 << 20, VALUE_BYTES = 200, N_HOT = 1000 };

/* Whether misses are put, or loaded. */
static bool with_loads;

static mn_status load_bytes(void *context, mn_ramcache_load *load, struct mn_slice name,
                            struct mn_slice id, struct mn_error *e)
{
    struct visit *visit = context;
    void *data = NULL;

    (void)name;
    (void)id;
    visit->was_there = false;
    mn_status st = mn_ramcache_load_room(load, visit->n_bytes, NULL, &data, e);
    if (st == MN_OK)
        memset(data, 0, visit->n_bytes);
    return st;
}

static bool visit_loading(mn_ramcache *cache, const char *id, size_t n_bytes)
{
    struct visit visit = {.n_bytes = n_bytes, .was_there = true};
    struct mn_ramcache_value value;

    CHECK_OK_ERR(
        mn_ramcache_get_or_load(cache, mn_str("n"), mn_str(id), load_bytes, &visit, &value, &err),
        &err);
    mn_ramcache_value_release(&value);
    return visit.was_there;
}

/* Looks a key up, and puts it after a miss. True: it was there. */
static bool visit(mn_ramcache *cache, char kind, uint64_t number)
{
    static const char bytes[VALUE_BYTES];
    struct mn_ramcache_value value;
    char id[32];

    (void)snprintf(id, sizeof id, "%c%llu", kind, (unsigned long long)number);
    if (with_loads)
        return visit_loading(cache, id, VALUE_BYTES);
    mn_status st = mn_ramcache_get(cache, mn_str("n"), mn_str(id), &value, &err);
    if (st == MN_OK) {
        mn_ramcache_value_release(&value);
        return true;
    }
    CHECK(put_item(cache, "n", id, (struct mn_slice){bytes, sizeof bytes}, -1));
    return false;
}

static unsigned hot_hits(mn_ramcache *cache)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_HOT; i++)
        n += visit(cache, 'h', i);
    return n;
}

static mn_ramcache *fresh(void)
{
    world_random = check_seed();
    return cache_of(CACHE_BYTES);
}

static void a_scan_does_not_wash_out_what_is_read_often(void)
{
    mn_ramcache *cache = fresh();

    for (int round = 0; round < 10; round++)
        (void)hot_hits(cache);
    /* Twenty times as much as the cache holds, all of it once. */
    for (uint64_t i = 0; i < 60000; i++)
        (void)visit(cache, 's', i);
    CHECK(hot_hits(cache) >= N_HOT * 95 / 100);
    /* While they are read now and then, scans never cost more than a few. */
    for (uint64_t scan = 0; scan < 10; scan++) {
        for (uint64_t i = 0; i < 20000; i++)
            (void)visit(cache, 't', scan * 20000 + i);
        CHECK(hot_hits(cache) >= N_HOT * 95 / 100);
    }
    free_cache(cache);
}

static void a_scan_of_large_values_does_not_either(void)
{
    static char bytes[100000];
    mn_ramcache *cache = fresh();
    char id[16];

    for (int round = 0; round < 10; round++)
        (void)hot_hits(cache);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(id, sizeof id, "large%d", i);
        if (with_loads)
            (void)visit_loading(cache, id, sizeof bytes);
        else
            (void)put_item(cache, "n", id, (struct mn_slice){bytes, sizeof bytes}, -1);
    }
    CHECK(hot_hits(cache) >= N_HOT * 85 / 100);
    /* One that is asked for again and again gets in all the same. */
    for (int i = 0; i < 40; i++) {
        if (with_loads)
            (void)visit_loading(cache, "wanted", sizeof bytes);
        else
            (void)put_item(cache, "n", "wanted", (struct mn_slice){bytes, sizeof bytes}, -1);
    }
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK(s.n_rejected > 0);
    free_cache(cache);
}

static void a_loop_larger_than_the_cache_is_hit_in_part(void)
{
    mn_ramcache *cache = fresh();
    uint64_t n_keys = 5000, n_hits = 0, n_looks = 0;

    for (uint64_t round = 0; round < 40; round++) {
        for (uint64_t i = 0; i < n_keys; i++) {
            bool is_hit = visit(cache, 'l', i);
            n_hits += round >= 10 && is_hit;
            n_looks += round >= 10;
        }
    }
    /* At best as much as is held; LRU would hit nothing. */
    uint64_t n_held = stats_of(cache).n_entries;
    CHECK(n_held < n_keys * 3 / 4);
    CHECK(n_hits * n_keys >= n_looks * n_held * 9 / 10);
    free_cache(cache);
}

/* Where only what was asked for lately is asked for again, the cache becomes one of the recent. */
static void the_window_grows_where_recency_counts(void)
{
    mn_ramcache *cache = fresh();
    uint64_t random = check_seed(), n_hits = 0, n_looks = 0;

    for (uint64_t newest = 1; newest < 300000; newest++) {
        (void)visit(cache, 'r', newest);
        uint64_t back = check_below(&random, newest < 2000 ? newest : 2000);
        bool is_hit = visit(cache, 'r', newest - back);
        n_hits += newest > 150000 && is_hit;
        n_looks += newest > 150000;
    }
    CHECK(n_hits >= n_looks * 95 / 100);
    free_cache(cache);
}

static void a_new_workload_takes_the_place_of_the_old_one(void)
{
    mn_ramcache *cache = fresh();

    for (int round = 0; round < 50; round++)
        (void)hot_hits(cache);
    unsigned n = 0;
    for (int round = 0; round < 120; round++) {
        n = 0;
        for (unsigned i = 0; i < 2000; i++)
            n += visit(cache, 'x', i);
    }
    CHECK(n >= 1980);
    free_cache(cache);
}

/* The same by loads. */

static void a_scan_by_loads_does_not_wash_out(void)
{
    with_loads = true;
    a_scan_does_not_wash_out_what_is_read_often();
    with_loads = false;
}

static void a_scan_of_large_values_by_loads_does_not_either(void)
{
    with_loads = true;
    a_scan_of_large_values_does_not_either();
    with_loads = false;
}

static void a_loop_by_loads_is_hit_in_part(void)
{
    with_loads = true;
    a_loop_larger_than_the_cache_is_hit_in_part();
    with_loads = false;
}

static void the_window_grows_by_loads(void)
{
    with_loads = true;
    the_window_grows_where_recency_counts();
    with_loads = false;
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_scan_does_not_wash_out_what_is_read_often),
        CHECK_TEST(a_scan_of_large_values_does_not_either),
        CHECK_TEST(a_loop_larger_than_the_cache_is_hit_in_part),
        CHECK_TEST(the_window_grows_where_recency_counts),
        CHECK_TEST(a_new_workload_takes_the_place_of_the_old_one),
        CHECK_TEST(a_scan_by_loads_does_not_wash_out),
        CHECK_TEST(a_scan_of_large_values_by_loads_does_not_either),
        CHECK_TEST(a_loop_by_loads_is_hit_in_part),
        CHECK_TEST(the_window_grows_by_loads),
    };
    return check_run("ramcache.policy", tests, CHECK_COUNT(tests), argc, argv);
}
