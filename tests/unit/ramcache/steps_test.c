/* Tests of what one call does to others: large works go in steps, and small calls do small ones. */
#include "fixture.h"

#include "io/thread.h"

enum { CACHE_BYTES = 8 << 20, N_SHARDS = 256 };

static void put_bytes(mn_ramcache *cache, unsigned number, size_t n_bytes)
{
    static const char bytes[2000];
    char id[16];

    (void)snprintf(id, sizeof id, "%u", number);
    CHECK(put_item(cache, "n", id, (struct mn_slice){bytes, n_bytes}, -1));
}

/* Also where tables and the sketch grow in a cache that is full: larger values filled it before. */
static void a_small_put_pushes_out_few(void)
{
    mn_ramcache *cache =
        new_cache((struct mn_ramcache_options){.max_bytes = CACHE_BYTES, .n_shards = N_SHARDS});
    uint64_t n_before = 0, n_most = 0;

    world_random = check_seed();
    for (unsigned i = 0; i < 8000; i++)
        put_bytes(cache, i, 2000);
    n_before = stats_of(cache).n_evicted;
    for (unsigned i = 0; i < 120000; i++) {
        /* Twice: worth more than what it pushes out. */
        put_bytes(cache, 10000 + i / 2, 50);
        uint64_t n = stats_of(cache).n_evicted;
        n_most = n - n_before > n_most ? n - n_before : n_most;
        n_before = n;
    }
    CHECK(stats_of(cache).n_entries > 35000);
    CHECK(n_most <= 64);
    free_cache(cache);
}

/* Room for a large value among very many small ones, with others in between ----------*/

enum { LARGE_BYTES = CACHE_BYTES * 2 / 5 };

static mn_status load_large(void *context, mn_ramcache_load *load, struct mn_slice name,
                            struct mn_slice id, struct mn_error *e)
{
    void *data = NULL;

    (void)context;
    (void)name;
    (void)id;
    mn_status st = mn_ramcache_load_room(load, LARGE_BYTES, NULL, &data, e);
    if (st == MN_OK)
        memset(data, 'L', LARGE_BYTES);
    return st;
}

/* A thread that asks for the numbers again and again. */
struct watcher {
    struct mni_thread thread;
    mn_ramcache *cache;
    atomic_uint has_begun;
    atomic_uint is_over;
    uint64_t n_evicted_before; /* the large value comes */
    uint64_t n_seen;           /* numbers in the midst of that */
    uint64_t n_evicted_last;
    uint64_t n_above; /* the bound */
};

static void watch(void *context)
{
    struct watcher *watcher = context;

    while (atomic_load(&watcher->is_over) == 0) {
        struct mn_ramcache_stats stats = stats_of(watcher->cache);
        watcher->n_above += stats.bytes > stats.max_bytes;
        if (stats.n_evicted > watcher->n_evicted_before &&
            stats.n_evicted > watcher->n_evicted_last) {
            watcher->n_evicted_last = stats.n_evicted;
            watcher->n_seen++;
        }
        atomic_store(&watcher->has_begun, 1);
    }
}

/* How often the numbers were seen to change while room was made. */
static uint64_t changes_seen(mn_ramcache *cache)
{
    struct watcher watcher = {.cache = cache};
    struct mn_ramcache_value value;

    for (unsigned i = 0; i < 60000; i++)
        put_bytes(cache, i, 20);
    watcher.n_evicted_before = stats_of(cache).n_evicted;
    CHECK_OK(mni_thread_start(&watcher.thread, watch, &watcher, &err));
    while (atomic_load(&watcher.has_begun) == 0)
        continue;
    CHECK_OK_ERR(mn_ramcache_get_or_load(cache, mn_str("n"), mn_str("large"), load_large, NULL,
                                         &value, &err),
                 &err);
    atomic_store(&watcher.is_over, 1);
    mni_thread_join(&watcher.thread);
    mn_ramcache_value_release(&value);
    CHECK(stats_of(cache).n_evicted - watcher.n_evicted_before > 10000);
    CHECK_EQ(watcher.n_above, 0);
    return watcher.n_seen;
}

/* Made in one go, they would be seen to change once. Who watches may get no time: then again. */
static void others_get_in_while_room_is_made(void)
{
    uint64_t n_seen = 0;

    world_random = check_seed();
    for (int i = 0; i < 100 && n_seen < 3; i++) {
        mn_ramcache *cache =
            new_cache((struct mn_ramcache_options){.max_bytes = CACHE_BYTES, .n_shards = 4});
        n_seen = changes_seen(cache);
        free_cache(cache);
    }
    CHECK(n_seen >= 3);
}

/* Large and small values by several threads at once, of which two large ones fit. */

enum { N_THREADS = 4, N_ROUNDS = 12, SMALL_PER_ROUND = 4000 };

struct worker {
    struct mni_thread thread;
    mn_ramcache *cache;
    unsigned number;
    uint64_t n_lost; /* large values that were refused or not whole */
};

/* May be refused where nearly all is held. */
static void put_own(struct worker *worker, unsigned number)
{
    char id[16];

    (void)snprintf(id, sizeof id, "%u.%u", worker->number, number);
    const struct mn_ramcache_item item = {.id = mn_str(id), .value = mn_str("small value")};
    worker->n_lost += mn_ramcache_put(worker->cache, mn_str("n"), &item, NULL, NULL) != MN_OK;
}

static void work(void *context)
{
    struct worker *worker = context;
    unsigned char *bytes = malloc(LARGE_BYTES);

    memset(bytes, 'P', LARGE_BYTES);
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        char id[16];
        struct mn_ramcache_value value;
        for (unsigned i = 0; i < SMALL_PER_ROUND; i++)
            put_own(worker, round * SMALL_PER_ROUND + i);
        if (round % 3 == 2)
            worker->n_lost += mn_ramcache_clear_namespace(worker->cache, mn_str("n"), NULL, NULL) !=
                              MN_OK;
        (void)snprintf(id, sizeof id, "l%u", worker->number % 2);
        const struct mn_ramcache_item item = {.id = mn_str(id), .value = {bytes, LARGE_BYTES}};
        worker->n_lost += mn_ramcache_put(worker->cache, mn_str("l"), &item, NULL, NULL) != MN_OK;
        mn_status st = mn_ramcache_get_or_load(worker->cache, mn_str("l"), mn_str(id), load_large,
                                               NULL, &value, NULL);
        worker->n_lost += st != MN_OK && st != MN_ERR_BUDGET;
        if (st != MN_OK)
            continue;
        const unsigned char *data = value.value.data;
        worker->n_lost += value.value.n_bytes != LARGE_BYTES || data[0] != data[LARGE_BYTES - 1];
        mn_ramcache_value_release(&value);
    }
    free(bytes);
}

static void the_bound_holds_while_many_make_room(void)
{
    static struct worker workers[N_THREADS];
    uint64_t base = mni_mem_live_bytes();

    world_random = check_seed();
    mni_mem_reset_peak();
    mn_ramcache *cache =
        new_cache((struct mn_ramcache_options){.max_bytes = CACHE_BYTES, .n_shards = 4});
    for (unsigned i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .number = i};
        CHECK_OK(mni_thread_start(&workers[i].thread, work, &workers[i], &err));
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        mni_thread_join(&workers[i].thread);
        CHECK_EQ(workers[i].n_lost, 0);
    }
    CHECK(mni_mem_peak_bytes() - base <= CACHE_BYTES);
    CHECK_EQ(stats_of(cache).pinned_bytes, 0);
    free_cache(cache);
    CHECK_EQ(mni_mem_live_bytes(), base);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_small_put_pushes_out_few),
        CHECK_TEST(others_get_in_while_room_is_made),
        CHECK_TEST(the_bound_holds_while_many_make_room),
    };
    return check_run("ramcache.steps", tests, CHECK_COUNT(tests), argc, argv);
}
