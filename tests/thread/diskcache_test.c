/*
 * diskcache_test.c - many threads at one disk cache that is full: every value is right, the numbers
 * add up, the bound holds. The thread sanitizer does not look into RocksDB: see kit.h.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "unit/diskcache/kit.h"

enum { N_THREADS = 8, N_STEPS = 1500, N_IDS = 2000, VALUE_BYTES = 12000, MAX_BYTES = 4 << 20 };

static mn_diskcache *cache;
static atomic_uint_fast64_t n_wrong;
static atomic_uint_fast64_t n_gets;
static atomic_bool is_over;

/* The value says whose it is. */
static size_t make_value(unsigned char *value, uint64_t id, uint64_t salt)
{
    uint64_t state = id * 77 + salt;
    size_t n = 24 + check_below(&state, VALUE_BYTES - 24);

    mni_put_u64(value, id);
    mni_put_u64(value + 8, salt);
    mni_put_u64(value + 16, n);
    for (size_t i = 24; i < n; i++)
        value[i] = (unsigned char)check_random(&state);
    return n;
}

static bool is_right(const struct mn_diskcache_value *got, uint64_t id)
{
    unsigned char value[VALUE_BYTES];

    if (got->value.n_bytes < 24)
        return false;
    size_t n = make_value(value, id, mni_get_u64((const char *)got->value.data + 8));
    return n == got->value.n_bytes && memcmp(got->value.data, value, n) == 0;
}

static mn_status look(void *context, const struct mn_diskcache_entry *entry)
{
    (void)context;
    return entry->value.n_bytes < 24 ? MN_ERR_CORRUPT : MN_OK;
}

static bool step(uint64_t *seed)
{
    unsigned char value[VALUE_BYTES];
    char text[16];
    uint64_t id = check_below(seed, 1 + check_below(seed, N_IDS));
    struct mn_slice name = mn_str(id % 2 == 0 ? "even" : "odd");
    struct mn_diskcache_item item = {
        .id = {text, (size_t)snprintf(text, sizeof text, "%d", (int)id)}};
    struct mn_diskcache_value got;
    uint64_t what = check_below(seed, 1000);
    uint64_t n;

    if (what < 400) {
        item.value = (struct mn_slice){value, make_value(value, id, check_random(seed))};
        item.has_ttl = what < 40;
        item.ttl_us = 2000;
        return mn_diskcache_put(cache, name, &item, NULL, NULL) == MN_OK;
    }
    if (what < 950) {
        mn_status st = mn_diskcache_get(cache, name, item.id, &got, NULL);
        bool ok = st == MN_NOT_FOUND || (st == MN_OK && is_right(&got, id));
        atomic_fetch_add(&n_gets, 1);
        mn_diskcache_value_release(&got);
        return ok;
    }
    if (what < 990)
        return mn_diskcache_delete(cache, name, item.id, NULL, NULL) == MN_OK;
    if (what < 993)
        return mn_diskcache_get_all(cache, name, look, NULL, NULL) == MN_OK;
    if (what < 994)
        return mn_diskcache_clear_namespace(cache, name, &n, NULL) == MN_OK;
    if (what < 995)
        return mn_diskcache_flush(cache, NULL, NULL) == MN_OK;
    struct mn_diskcache_stats s = {.size = sizeof s};
    return mn_diskcache_stats(cache, &s, NULL) == MN_OK && s.disk_bytes <= MAX_BYTES;
}

static void *work(void *context)
{
    uint64_t seed = *(const uint64_t *)context;

    for (int i = 0; i < N_STEPS; i++)
        if (!step(&seed))
            atomic_fetch_add(&n_wrong, 1);
    return NULL;
}

/* Weighs the directory all the time. */
static void *watch(void *context)
{
    while (!atomic_load(&is_over))
        if (kit_weigh(context) > MAX_BYTES)
            atomic_fetch_add(&n_wrong, 1);
    return NULL;
}

static void many_threads_get_what_was_put(void)
{
    const char *path = kit_place("cache");
    char watched[512];
    pthread_t threads[N_THREADS];
    uint64_t seeds[N_THREADS];
    pthread_t watcher;

    (void)snprintf(watched, sizeof watched, "%s", path);
    cache = kit_open(path, MAX_BYTES);
    CHECK_EQ(pthread_create(&watcher, NULL, watch, watched), 0);
    for (int i = 0; i < N_THREADS; i++) {
        seeds[i] = check_seed() + (uint64_t)i;
        CHECK_EQ(pthread_create(&threads[i], NULL, work, &seeds[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    atomic_store(&is_over, true);
    CHECK_EQ(pthread_join(watcher, NULL), 0);
    CHECK_EQ(n_wrong, 0);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(kit_adds_up(&s));
    CHECK_EQ(s.n_hits + s.n_misses, n_gets);
    CHECK_EQ(s.n_errors, 0);
    CHECK_EQ(s.n_rebuilds, 0);
    CHECK(s.n_puts > 1000);
    cache = kit_again(cache, path, MAX_BYTES);
    CHECK_EQ(kit_stats(cache).n_rebuilds, 0);
    kit_close(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {CHECK_TEST(many_threads_get_what_was_put)};

    return check_run("thread.diskcache", tests, CHECK_COUNT(tests), argc, argv);
}
