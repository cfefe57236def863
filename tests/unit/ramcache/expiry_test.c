/* Tests of expiry: invisible at once, whatever the clock does, and reclaimed bit by bit. */
#include "fixture.h"

static void set_clock(int64_t us)
{
    atomic_store(&wall_us, us);
}

static void what_has_expired_is_not_shown(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_item item = {.id = mn_str("x"),
                                    .value = mn_str("1"),
                                    .has_expires_at = true,
                                    .has_ttl = true,
                                    .ttl_us = 1};
    uint64_t n_removed = 7;

    item.expires_at_us = atomic_load(&wall_us) + 1000; /* wins over the ttl */
    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    CHECK(put(cache, "n", "y", "2"));
    set_clock(item.expires_at_us - 1);
    CHECK_STR_EQ(text_of(cache, "n", "x"), "1");
    CHECK_EQ(stats_of(cache).n_entries, 2);
    set_clock(item.expires_at_us);
    CHECK_STR_EQ(text_of(cache, "n", "x"), "-");
    CHECK(!has(cache, "n", "x"));
    CHECK(!drop(cache, "n", "x"));
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK(s.n_entries == 1 && s.n_expired == 1 && s.n_deleted == 0);
    item.expires_at_us += 10;
    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    set_clock(item.expires_at_us);
    CHECK_OK(mn_ramcache_clear_namespace(cache, mn_str("n"), &n_removed, &err));
    CHECK_EQ(n_removed, 1);
    free_cache(cache);
}

static void what_comes_expired_takes_the_old_value_along(void)
{
    mn_ramcache *cache = cache_of(1 << 20);

    CHECK(put(cache, "n", "x", "1"));
    CHECK(!put_item(cache, "n", "x", mn_str("2"), 0));
    CHECK_STR_EQ(text_of(cache, "n", "x"), "-");
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK(s.n_puts == 2 && s.n_expired == 1 && s.n_overwritten == 1);
    free_cache(cache);
}

static void a_clock_that_goes_back_shows_nothing_again(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    int64_t now = atomic_load(&wall_us);

    CHECK(put_item(cache, "n", "x", mn_str("1"), 1000));
    CHECK(put_item(cache, "n", "y", mn_str("2"), 500));
    CHECK(put_item(cache, "n", "z", mn_str("3"), 2000));
    set_clock(now + 1500);
    CHECK_STR_EQ(text_of(cache, "n", "x"), "-");
    set_clock(now - 1000000);
    CHECK_STR_EQ(text_of(cache, "n", "x"), "-");
    CHECK_STR_EQ(text_of(cache, "n", "y"), "-"); /* was due before x was */
    CHECK_STR_EQ(text_of(cache, "n", "z"), "3");
    CHECK(put_item(cache, "n", "w", mn_str("4"), 100));
    CHECK_STR_EQ(text_of(cache, "n", "w"), "4");
    /* Far ahead. */
    set_clock(INT64_MAX);
    CHECK_STR_EQ(text_of(cache, "n", "z"), "-");
    CHECK(!put_item(cache, "n", "v", mn_str("5"), 100));
    set_clock(now);
    free_cache(cache);
}

static void pass_time(int64_t us)
{
    atomic_fetch_add(&wall_us, us);
    atomic_fetch_add(&mono_us, us);
}

/* Once Unix time was set back, time goes on from there, for what was put before and since. */
static void a_clock_that_is_set_back_stretches_nothing(void)
{
    const int64_t HOUR_US = INT64_C(3600000000);
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_item item = {
        .id = mn_str("at"), .value = mn_str("1"), .has_expires_at = true};

    CHECK(put_item(cache, "n", "before", mn_str("1"), 1000));
    CHECK(put(cache, "n", "x", "1"));
    CHECK(drop(cache, "n", "x")); /* what looks at the clock must not nail it down */
    CHECK_EQ(clear(cache, "none"), 0);
    set_clock(atomic_load(&wall_us) - HOUR_US);
    CHECK(put_item(cache, "n", "since", mn_str("1"), 1000));
    item.expires_at_us = atomic_load(&wall_us) + 1000;
    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    pass_time(999);
    CHECK_EQ(stats_of(cache).n_entries, 3);
    CHECK(has(cache, "n", "before") && has(cache, "n", "since") && has(cache, "n", "at"));
    pass_time(1);
    CHECK(!has(cache, "n", "before") && !has(cache, "n", "since") && !has(cache, "n", "at"));
    CHECK_EQ(stats_of(cache).n_entries, 0);
    /* When it is set right again, what lies in between has come. */
    item.expires_at_us = atomic_load(&wall_us) + HOUR_US / 2;
    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    set_clock(atomic_load(&wall_us) + HOUR_US);
    CHECK(!has(cache, "n", "at"));
    free_cache(cache);
}

static void times_at_the_ends_of_the_clock(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_item item = {
        .id = mn_str("x"), .value = mn_str("1"), .has_ttl = true, .ttl_us = INT64_MAX};

    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    CHECK_STR_EQ(text_of(cache, "n", "x"), "1");
    item.has_expires_at = true;
    item.expires_at_us = INT64_MIN;
    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    CHECK_STR_EQ(text_of(cache, "n", "x"), "-");
    item.expires_at_us = INT64_MAX;
    CHECK_OK(mn_ramcache_put(cache, mn_str("n"), &item, NULL, &err));
    CHECK_STR_EQ(text_of(cache, "n", "x"), "1");
    free_cache(cache);
}

/* Puts take what has expired away, a few each, and it makes way before anything else does. */
static void what_has_expired_makes_way(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    char bytes[1000] = {0}, id[16];

    for (int i = 0; i < 400; i++) {
        (void)snprintf(id, sizeof id, "keep%d", i);
        CHECK(put_item(cache, "n", id, (struct mn_slice){bytes, sizeof bytes}, -1));
        (void)snprintf(id, sizeof id, "go%d", i);
        CHECK(put_item(cache, "n", id, (struct mn_slice){bytes, sizeof bytes}, 100));
    }
    atomic_fetch_add(&wall_us, 100);
    uint64_t before = mni_mem_live_bytes();
    CHECK(put(cache, "n", "one", "1"));
    uint64_t after = mni_mem_live_bytes();
    CHECK(before - after > 2000 && before - after < 6000);
    for (int i = 0; i < 400; i++) {
        (void)snprintf(id, sizeof id, "new%d", i);
        CHECK(put_item(cache, "n", id, (struct mn_slice){bytes, sizeof bytes}, -1));
    }
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK(s.n_evicted == 0 && s.n_expired == 400 && s.n_entries == 801);
    free_cache(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_has_expired_is_not_shown),
        CHECK_TEST(what_comes_expired_takes_the_old_value_along),
        CHECK_TEST(a_clock_that_goes_back_shows_nothing_again),
        CHECK_TEST(a_clock_that_is_set_back_stretches_nothing),
        CHECK_TEST(times_at_the_ends_of_the_clock),
        CHECK_TEST(what_has_expired_makes_way),
    };
    return check_run("ramcache.expiry", tests, CHECK_COUNT(tests), argc, argv);
}
