/*
 * diskcache_test.c - many threads at one disk cache that is full: every value is right, the numbers
 * add up, the bound holds; nobody who looks something up waits for a long work. The thread
 * sanitizer does not look into RocksDB: see kit.h.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "base/bytes.h"
#include "io/fault.h"
#include "io/posix.h"
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

/* Nobody waits long ----------*/

/* A world with a clock that the test sets and that counts who asks it, on a slow disk. */
static atomic_int_fast64_t clock_us = INT64_C(1700000000) * 1000000;
static atomic_uint_fast64_t n_asked;

static int64_t read_clock(struct mni_env *env)
{
    (void)env;
    atomic_fetch_add(&n_asked, 1);
    return atomic_load(&clock_us);
}

static mn_diskcache *open_in(struct mni_env *env, const char *path)
{
    const struct mn_diskcache_options o = {.size = sizeof o, .path = path, .has_max_bytes = true};
    mn_diskcache *opened = NULL;

    CHECK_OK(mni_api_diskcache_open(env, &o, &opened, NULL));
    return opened;
}

/* So many small entries; `ttl_us` 0: they do not expire. */
static void fill(const char *name, int n_entries, int64_t ttl_us)
{
    enum { N = 1000 };
    static char ids[N][16];
    static struct mn_diskcache_item items[N];

    for (int n = 0; n < n_entries; n += N) {
        for (int i = 0; i < N; i++)
            items[i] = (struct mn_diskcache_item){
                .id = {ids[i], (size_t)snprintf(ids[i], sizeof ids[i], "%d", n + i)},
                .value = mn_str("x"),
                .has_ttl = ttl_us > 0,
                .ttl_us = ttl_us};
        CHECK_OK(mn_diskcache_put_batch(cache, mn_str(name), items, N, NULL, NULL));
    }
}

/* Gets all the time; notes when the last of those ended that had begun after the work had. */
struct getter {
    uint64_t n_before; /* the clock was asked so often before the work */
    atomic_uint_fast64_t n_ended;
    const char *path; /* of the seal that is being written */
    uint64_t n_seal_bytes;
    atomic_bool was_between;
};

static void get_one(void)
{
    struct mn_diskcache_value got;

    if (mn_diskcache_get(cache, mn_str("b"), mn_str("1"), &got, NULL) != MN_OK)
        atomic_fetch_add(&n_wrong, 1);
    mn_diskcache_value_release(&got);
}

static void *get_while_entries_go(void *context)
{
    struct getter *g = context;

    while (!atomic_load(&is_over)) {
        uint64_t n_begun = atomic_load(&n_asked);
        get_one();
        uint64_t n_ended = atomic_load(&n_asked);
        if (n_begun > g->n_before && atomic_load(&g->n_ended) == 0)
            atomic_store(&g->n_ended, n_ended);
    }
    return NULL;
}

/* A get begins after the first entries have gone, and ends long before the last ones go. */
static void gets_go_on_while_entries_expire(void)
{
    static struct mni_env_ops ops;
    struct mni_env env = {&ops};
    bool was_between = false;

    ops = *mni_posix_env()->ops;
    ops.wall_us = read_clock;
    cache = open_in(&env, kit_place("cache"));
    CHECK(kit_put(cache, "b", "1", "one"));
    /* The getter may not get to run in time, now and then. */
    for (int round = 0; round < 100 && !was_between; round++) {
        struct getter g = {0};
        pthread_t thread;
        fill("a", 50000, 1000);
        clock_us += 1000000;
        g.n_before = atomic_load(&n_asked);
        atomic_store(&is_over, false);
        CHECK_EQ(pthread_create(&thread, NULL, get_while_entries_go, &g), 0);
        struct mn_diskcache_stats s = kit_stats(cache);
        uint64_t n_steps = atomic_load(&n_asked) - g.n_before;
        atomic_store(&is_over, true);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(s.n_entries, 1);
        CHECK(kit_adds_up(&s));
        was_between = g.n_ended > 0 && n_steps > 10 && g.n_ended - g.n_before <= n_steps / 2;
    }
    CHECK(was_between);
    CHECK_EQ(n_wrong, 0);
    kit_close(cache);
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void *get_while_a_seal_is_written(void *context)
{
    struct getter *g = context;

    while (!atomic_load(&is_over)) {
        uint64_t n_begun = size_of(g->path);
        get_one();
        uint64_t n_ended = size_of(g->path);
        if (n_begun > 0 && n_ended > 0 && n_ended < g->n_seal_bytes)
            atomic_store(&g->was_between, true);
    }
    return NULL;
}

/* Entries that expire while the seal is written are as if they had done so after it. */
static void gets_go_on_while_a_seal_is_written(void)
{
    enum { N = 10000, SLOW_US = 20000, LEAST_BYTES = 56 };
    struct mni_fault_env *fault = NULL;
    struct getter g = {.n_seal_bytes = N * LEAST_BYTES};
    char temp[600];
    pthread_t thread;
    bool sealed = false;

    CHECK_OK(mni_fault_env_new(mni_posix_env(), &fault));
    const char *path = kit_place("cache");
    (void)snprintf(temp, sizeof temp, "%s/mneme-cache.tmp", path);
    g.path = temp;
    cache = open_in(mni_fault_env_base(fault), path);
    CHECK(kit_put(cache, "b", "1", "one"));
    fill("a", N, 0);
    mni_fault_env_slow_down(fault, SLOW_US);
    atomic_store(&is_over, false);
    CHECK_EQ(pthread_create(&thread, NULL, get_while_a_seal_is_written, &g), 0);
    CHECK_OK(mn_diskcache_flush(cache, &sealed, NULL));
    atomic_store(&is_over, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    mni_fault_env_slow_down(fault, 0);
    CHECK(sealed);
    CHECK(g.was_between);
    CHECK_EQ(n_wrong, 0);
    kit_close(cache);
    mni_fault_env_free(fault);
    cache = kit_open(path, 0);
    CHECK_EQ(kit_stats(cache).n_found, N + 1);
    kit_close(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(many_threads_get_what_was_put),
        CHECK_TEST(gets_go_on_while_entries_expire),
        CHECK_TEST(gets_go_on_while_a_seal_is_written),
    };

    return check_run("thread.diskcache", tests, CHECK_COUNT(tests), argc, argv);
}
