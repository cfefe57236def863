/* Tests of values that are held: they stay whatever happens, and count against the bound. */
#include "fixture.h"

static struct mn_ramcache_value hold(mn_ramcache *cache, const char *id)
{
    struct mn_ramcache_value value;

    CHECK_OK_ERR(mn_ramcache_get(cache, mn_str("n"), mn_str(id), &value, &err), &err);
    return value;
}

static void put_filled(mn_ramcache *cache, const char *id, size_t n_bytes, char with)
{
    char *bytes = malloc(n_bytes);

    memset(bytes, with, n_bytes);
    (void)put_item(cache, "n", id, (struct mn_slice){bytes, n_bytes}, -1);
    free(bytes);
}

static void is_filled(const struct mn_ramcache_value *value, size_t n_bytes, char with)
{
    const char *bytes = value->value.data;

    CHECK_EQ(value->value.n_bytes, n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        CHECK(bytes[i] == with);
}

static void a_held_value_stays_whatever_happens(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_value held[5];

    for (int i = 0; i < 5; i++) {
        char id[2] = {(char)('a' + i), '\0'};
        put_filled(cache, id, 1000, (char)('A' + i));
        held[i] = hold(cache, id);
    }
    put_filled(cache, "a", 1000, 'x');
    CHECK(drop(cache, "n", "b"));
    CHECK(put_item(cache, "n", "c", mn_str("y"), 1000));
    atomic_fetch_add(&wall_us, 5000);
    CHECK_EQ(clear(cache, "n"), 3);
    for (int i = 0; i < 3000; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        put_filled(cache, id, 1000, 'z');
    }
    for (int i = 0; i < 5; i++)
        is_filled(&held[i], 1000, (char)('A' + i));
    CHECK(stats_of(cache).pinned_bytes >= 5000);
    for (int i = 0; i < 5; i++)
        mn_ramcache_value_release(&held[i]);
    CHECK_EQ(stats_of(cache).pinned_bytes, 0);
    free_cache(cache);
}

static void a_cache_with_held_values_is_not_freed(void)
{
    mn_ramcache *cache = cache_of(1 << 20);
    struct mn_ramcache_value one, two;

    put_filled(cache, "a", 10, 'A');
    one = hold(cache, "a");
    two = hold(cache, "a");
    CHECK_STATUS(mn_ramcache_free(cache, &err), MN_ERR_BUSY);
    mn_ramcache_value_release(&one);
    CHECK(drop(cache, "n", "a"));
    CHECK_STATUS(mn_ramcache_free(cache, &err), MN_ERR_BUSY);
    is_filled(&two, 10, 'A');
    mn_ramcache_value_release(&two);
    mn_ramcache_value_release(&two);
    free_cache(cache);
}

static void a_cache_full_of_held_values_refuses_more(void)
{
    enum { N_HELD = 2000 };
    static struct mn_ramcache_value held[N_HELD];
    mn_ramcache *cache = cache_of(1 << 20);
    uint64_t base = mni_mem_live_bytes();
    int n = 0;

    mni_mem_reset_peak();
    for (int i = 0; i < N_HELD; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        put_filled(cache, id, 1000, 'A');
        if (has(cache, "n", id))
            held[n++] = hold(cache, id);
    }
    CHECK(n > 500 && n < 1100);
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK_EQ(s.n_refused + s.n_rejected, N_HELD - n);
    CHECK_EQ(s.n_entries, n);
    CHECK(s.bytes <= s.max_bytes && s.pinned_bytes > 500000);
    CHECK(mni_mem_peak_bytes() - base <= 1 << 20);
    /* Deleting them gives nothing back while they are held. */
    CHECK_EQ(clear(cache, "n"), n);
    put_filled(cache, "new", 100000, 'B');
    CHECK(!has(cache, "n", "new"));
    for (int i = 0; i < n; i++) {
        is_filled(&held[i], 1000, 'A');
        mn_ramcache_value_release(&held[i]);
    }
    put_filled(cache, "new", 100000, 'B');
    CHECK(has(cache, "n", "new"));
    CHECK_EQ(stats_of(cache).pinned_bytes, 0);
    free_cache(cache);
}

static void some_held_values_do_not_keep_others_out(void)
{
    enum { N_HELD = 200 };
    static struct mn_ramcache_value held[N_HELD];
    mn_ramcache *cache = cache_of(1 << 20);
    char id[16];

    for (int i = 0; i < N_HELD; i++) {
        (void)snprintf(id, sizeof id, "h%d", i);
        put_filled(cache, id, 1000, 'A');
        held[i] = hold(cache, id);
    }
    int n_kept = 0;
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        put_filled(cache, id, 1000, 'B');
        n_kept += has(cache, "n", id);
    }
    CHECK_EQ(n_kept, 5000);
    for (int i = 0; i < N_HELD; i++) {
        is_filled(&held[i], 1000, 'A');
        mn_ramcache_value_release(&held[i]);
    }
    free_cache(cache);
}

static mn_status load_filled(void *context, mn_ramcache_load *load, struct mn_slice name,
                             struct mn_slice id, struct mn_error *e)
{
    void *data = NULL;
    size_t n_bytes = *(size_t *)context;

    (void)name;
    (void)id;
    mn_status st = mn_ramcache_load_room(load, n_bytes, NULL, &data, e);
    if (st == MN_OK)
        memset(data, 'L', n_bytes);
    return st;
}

static mn_status fetch(mn_ramcache *cache, const char *id, size_t n_bytes,
                       struct mn_ramcache_value *value)
{
    return mn_ramcache_get_or_load(cache, mn_str("n"), mn_str(id), load_filled, &n_bytes, value,
                                   &err);
}

/* However many are held, and wherever they stand: what may go makes way. */
static void many_small_held_values_leave_room_for_loads(void)
{
    enum { N_HELD = 1500 };
    static struct mn_ramcache_value held[N_HELD];
    mn_ramcache *cache = cache_of(4 << 20);
    struct mn_ramcache_value value;
    char id[16];

    for (int i = 0; i < N_HELD; i++) {
        (void)snprintf(id, sizeof id, "h%d", i);
        CHECK_OK_ERR(fetch(cache, id, 100, &held[i]), &err);
        if (i % 2 == 0)
            CHECK(text_of(cache, "n", id) != NULL); /* some get into the protected part */
    }
    for (int i = 0; i < 60000; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        CHECK_OK_ERR(fetch(cache, id, 256, &value), &err);
        mn_ramcache_value_release(&value);
        if (i % 100 == 0)
            put_filled(cache, "put", 100, 'P');
    }
    CHECK(has(cache, "n", "put"));
    /* As large as it gets: nearly everything else has to go. */
    CHECK_OK_ERR(fetch(cache, "large", 2000000, &value), &err);
    is_filled(&value, 2000000, 'L');
    mn_ramcache_value_release(&value);
    for (int i = 0; i < N_HELD; i++) {
        is_filled(&held[i], 100, 'L');
        mn_ramcache_value_release(&held[i]);
    }
    free_cache(cache);
}

static void what_cannot_fit_pushes_nothing_out(void)
{
    mn_ramcache *cache = cache_of(4 << 20);
    struct mn_ramcache_value held[3], value;
    char id[16];

    CHECK_OK_ERR(fetch(cache, "h0", 900000, &held[0]), &err);
    CHECK_OK_ERR(fetch(cache, "h1", 900000, &held[1]), &err);
    CHECK_OK_ERR(fetch(cache, "h2", 900000, &held[2]), &err);
    CHECK(drop(cache, "n", "h1")); /* no entry any more, and takes its room all the same */
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        put_filled(cache, id, 256, 's');
    }
    struct mn_ramcache_stats before = stats_of(cache);
    CHECK(before.n_entries > 1500);
    CHECK_STATUS(fetch(cache, "x", 1900000, &value), MN_ERR_BUDGET);
    put_filled(cache, "y", 1900000, 'P');
    struct mn_ramcache_stats after = stats_of(cache);
    CHECK_EQ(after.n_refused, before.n_refused + 2);
    CHECK(after.n_entries + 20 >= before.n_entries);
    for (int i = 0; i < 3; i++)
        mn_ramcache_value_release(&held[i]);
    CHECK_OK_ERR(fetch(cache, "x", 1900000, &value), &err);
    mn_ramcache_value_release(&value);
    CHECK_EQ(stats_of(cache).pinned_bytes, 0);
    free_cache(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_held_value_stays_whatever_happens),
        CHECK_TEST(a_cache_with_held_values_is_not_freed),
        CHECK_TEST(a_cache_full_of_held_values_refuses_more),
        CHECK_TEST(some_held_values_do_not_keep_others_out),
        CHECK_TEST(many_small_held_values_leave_room_for_loads),
        CHECK_TEST(what_cannot_fit_pushes_nothing_out),
    };
    return check_run("ramcache.pins", tests, CHECK_COUNT(tests), argc, argv);
}
