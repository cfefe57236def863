/* Tests of budgets of the cache of answers, and of what goes to make room. */
#include "answers.h"

static void set_number(const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    CHECK_OK_ERR(mn_config_set(store, key, text, &err), &err);
}

static void set_budget(uint64_t tenant, uint64_t bytes_max, uint64_t entries_max)
{
    const struct mn_semcache_budget budget = {bytes_max, entries_max};

    CHECK_OK_ERR(mn_semcache_set_budget(store, tenant, &budget, NULL, &err), &err);
}

static void store_sized(uint64_t tenant, uint64_t id, size_t n_bytes, int64_t time_us)
{
    static char payload[100000];
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID | MN_HAS_EVENT_TIME,
                                            .id = id,
                                            .payload = {payload, n_bytes},
                                            .event_time_us = time_us};
    CHECK(n_bytes <= sizeof payload);
    CHECK_OK_ERR(try_store(tenant, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
}

static bool is_there(uint64_t tenant, uint64_t id)
{
    bool exists = false;

    CHECK_OK_ERR(mn_semcache_exists(store, tenant, id, &exists, &err), &err);
    return exists;
}

static void hit(uint64_t tenant, uint64_t id)
{
    struct mn_semcache_handle handle;

    CHECK_OK_ERR(mn_semcache_load(store, tenant, id, &handle, &err), &err);
    mn_semcache_release(&handle);
}

static void the_number_of_entries_is_bounded(void)
{
    begin();
    set_budget(1, 0, 10);
    for (uint64_t i = 0; i < 100; i++) {
        store_sized(1, i, 10, (int64_t)i);
        store_sized(2, i, 10, (int64_t)i);
        CHECK_EQ(tenant_stats(1).n_entries, i < 10 ? i + 1 : 10);
        if (i % 30 == 29)
            checkpoint();
    }
    /* Equal in all but age: the oldest went. */
    for (uint64_t i = 0; i < 100; i++)
        CHECK_EQ(is_there(1, i), i >= 90);
    CHECK_EQ(tenant_stats(2).n_entries, 100);
    CHECK_EQ(tenant_stats(1).n_evictions, 90);
    CHECK_EQ(cache_stats().n_evictions, 90);
    reopen();
    CHECK_EQ(tenant_stats(1).n_entries, 10);
    store_sized(1, 1000, 10, 1000);
    CHECK_EQ(tenant_stats(1).n_entries, 10);
    store_sized(1, 1000, 10, 1001); /* the same again takes its own place */
    CHECK_EQ(tenant_stats(1).n_evictions, 1);
    struct mn_semcache_budget budget;
    bool is_own = false;
    CHECK_OK(mn_semcache_get_budget(store, 1, &budget, &is_own, &err));
    CHECK(is_own && budget.entries_max == 10 && budget.bytes_max == 0);
    CHECK_OK(mn_semcache_set_budget(store, 1, NULL, NULL, &err));
    CHECK_OK(mn_semcache_get_budget(store, 1, &budget, &is_own, &err));
    CHECK(!is_own && budget.entries_max == 0);
    store_sized(1, 1001, 10, 1);
    CHECK_EQ(tenant_stats(1).n_entries, 11);
    CHECK_STATUS(mn_semcache_get_budget(store, 9, &budget, NULL, &err), MN_NOT_FOUND);
    closed(store);
}

static void bytes_are_bounded_at_every_step(void)
{
    enum { MOST = 200000 };
    uint64_t x = 1;

    begin();
    set_number("cache_bytes_max", MOST);
    for (uint64_t i = 0; i < 400; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407U;
        store_sized(x >> 60, i % 90, (size_t)(x >> 33) % 30000, (int64_t)i);
        struct mn_semcache_stats stats = cache_stats();
        CHECK(stats.allocated_bytes <= MOST && stats.n_entries > 0);
        if (i % 100 == 99)
            checkpoint();
    }
    CHECK(cache_stats().n_evictions > 200);
    uint64_t n = cache_stats().n_entries;
    uint64_t allocated = cache_stats().allocated_bytes;
    reopen();
    CHECK(cache_stats().n_entries == n && cache_stats().allocated_bytes == allocated);
    set_number("cache_bytes_max", allocated / 2);
    store_sized(1, 1, 10, 0); /* a bound that was lowered holds from the next commit on */
    CHECK(cache_stats().allocated_bytes <= allocated / 2);
    closed(store);
}

static void a_tenant_has_the_bound_of_the_settings(void)
{
    begin();
    set_number("cache_tenant_entries_max", 3);
    for (uint64_t i = 0; i < 9; i++) {
        store_sized(1, i, 0, (int64_t)i);
        store_sized(2, i, 0, (int64_t)i);
    }
    CHECK(tenant_stats(1).n_entries == 3 && tenant_stats(2).n_entries == 3);
    set_budget(2, 0, 2);
    CHECK_EQ(tenant_stats(2).n_entries, 2); /* at once */
    CHECK(is_there(2, 8) && is_there(2, 7));
    set_number("cache_tenant_entries_max", 0);
    set_number("cache_entries_max", 4);
    store_sized(3, 1, 0, 100);
    CHECK_EQ(cache_stats().n_entries, 4);
    CHECK(is_there(3, 1) && !is_there(1, 6)); /* the least of all */
    closed(store);
}

static void what_was_hit_stays_longer(void)
{
    begin();
    set_budget(1, 0, 4);
    for (uint64_t i = 0; i < 4; i++)
        store_sized(1, i, 100, 1000);
    hit(1, 0);
    hit(1, 2);
    checkpoint();
    reopen(); /* hits come along */
    store_sized(1, 10, 100, 1001);
    store_sized(1, 11, 100, 1002);
    CHECK(is_there(1, 0) && is_there(1, 2) && !is_there(1, 1) && !is_there(1, 3));
    /* Large ones go first. */
    store_sized(2, 1, 50000, 5);
    store_sized(2, 2, 100, 5);
    set_budget(2, 0, 1);
    CHECK(is_there(2, 2) && !is_there(2, 1));
    closed(store);
}

static void what_has_expired_goes_first(void)
{
    begin();
    set_budget(1, 0, 5);
    for (uint64_t i = 0; i < 5; i++) {
        const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID | MN_HAS_EXPIRES_AT,
                                                .id = i,
                                                .expires_at_us = i == 4 ? 0 : INT64_MAX};
        CHECK_OK_ERR(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    }
    store_sized(1, 9, 0, INT64_MIN); /* the least of all, but it comes last */
    CHECK(is_there(1, 0) && is_there(1, 1) && is_there(1, 2) && is_there(1, 3) && is_there(1, 9));
    CHECK_EQ(tenant_stats(1).n_evictions, 0);
    closed(store);
}

static void handles_of_what_went_stay(void)
{
    struct mn_semcache_handle handle;
    const struct mn_semcache_entry entry = {.payload = mn_str("kept")};

    begin();
    set_budget(1, 0, 1);
    CHECK_OK(mn_semcache_store(store, 1, &entry, NULL, &handle, &err));
    store_sized(1, 77, 10, INT64_MAX);
    check_gone(1, handle.id);
    checkpoint();
    CHECK(is_text(&handle, "kept"));
    mn_semcache_release(&handle);
    closed(store);
}

static void what_is_larger_than_a_budget_is_refused(void)
{
    static char payload[5000];
    const struct mn_semcache_entry entry = {
        .fields = MN_HAS_ENTRY_ID, .id = 3, .payload = {payload, sizeof payload}};

    begin();
    store_sized(1, 1, 10, 0);
    set_budget(1, 4000, 0);
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "tenant 1, entry 3: it takes 5");
    CHECK_STR_HAS(err.message, "and the budget is 4000");
    CHECK(is_there(1, 1));
    CHECK_OK_ERR(try_store(2, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), &err);
    set_number("cache_bytes_max", 4500);
    CHECK_STATUS(try_store(2, &entry, MN_SEMCACHE_OVERWRITE, 0, NULL, NULL), MN_ERR_LIMIT);
    closed(store);
}

static void a_budget_lasts_as_long_as_its_tenant(void)
{
    struct mn_semcache_budget budget;
    uint64_t n = 9;
    bool is_own = false;

    begin();
    set_budget(5, 7, 8); /* it makes the tenant */
    CHECK_OK(mn_semcache_cleanup(store, NULL, &n, &err));
    CHECK_EQ(n, 0);
    for (int round = 0; round < 2; round++) {
        reopen();
        CHECK_OK(mn_semcache_get_budget(store, 5, &budget, &is_own, &err));
        CHECK(is_own && budget.bytes_max == 7 && budget.entries_max == 8);
        checkpoint();
    }
    uint64_t ids[2];
    size_t n_ids = 9;
    CHECK_OK(mn_semcache_list_entries(store, 5, 0, ids, 2, &n_ids, &err));
    CHECK_EQ(n_ids, 0);
    CHECK_OK(mn_semcache_drop_tenant(store, 5, NULL, NULL, NULL, &err));
    store_sized(5, 1, 100, 0);
    CHECK_OK(mn_semcache_get_budget(store, 5, &budget, &is_own, &err));
    CHECK(!is_own && budget.bytes_max == 0);
    closed(store);
}

static void a_tenant_counts_from_when_it_was_made(void)
{
    const struct mn_semcache_entry entry = {.fields = MN_HAS_ENTRY_ID, .id = 1};

    begin();
    CHECK_STATUS(try_store(1, &entry, MN_SEMCACHE_IF_LSN, 5, NULL, NULL), MN_CHANGED);
    check_no_key(1, 1);
    CHECK_EQ(cache_stats().n_misses, 1);
    CHECK_EQ(cache_stats().n_tenants, 0);
    store_sized(1, 1, 10, 0);
    CHECK_EQ(tenant_stats(1).n_misses, 0);
    check_no_key(1, 1);
    CHECK_EQ(tenant_stats(1).n_misses, 1);
    closed(store);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        CHECK_TEST(the_number_of_entries_is_bounded),
        CHECK_TEST(bytes_are_bounded_at_every_step),
        CHECK_TEST(a_tenant_has_the_bound_of_the_settings),
        CHECK_TEST(what_was_hit_stays_longer),
        CHECK_TEST(what_has_expired_goes_first),
        CHECK_TEST(handles_of_what_went_stay),
        CHECK_TEST(what_is_larger_than_a_budget_is_refused),
        CHECK_TEST(a_budget_lasts_as_long_as_its_tenant),
        CHECK_TEST(a_tenant_counts_from_when_it_was_made),
    };

    return check_run("api.semcache_budget", tests, CHECK_COUNT(tests), argc, argv);
}
