/*
 * threads_test.c - eight threads do everything at once with few keys in a small cache.
 *
 * A value tells its key and a version. A thread that got one checks that it is whole and of the key
 * that it asked for. In the end all numbers must balance. Run under ThreadSanitizer too.
 */
#include "fixture.h"

#include "io/thread.h"

enum { N_THREADS = 8, N_STEPS = 20000, N_KEYS = 200, VALUE_WORDS_MAX = 200 };

struct worker {
    struct mni_thread thread;
    mn_ramcache *cache;
    uint64_t random;
    uint64_t n_wrong;
    uint64_t n_lookups;
    uint64_t n_fetches;
    uint64_t n_deleted;
    uint64_t n_cleared;
    struct mn_ramcache_value held[4];
    unsigned held_keys[4];
};

static const char *const names[] = {"a", "a:b", "b"};

static struct mn_slice name_of(unsigned key)
{
    return mn_str(names[key % 3]);
}

static size_t fill_value(uint64_t *words, unsigned key, uint64_t version)
{
    size_t n = 1 + (key * 7 + version) % VALUE_WORDS_MAX;

    for (size_t i = 0; i < n; i++)
        words[i] = key * UINT64_C(1000003) + i;
    return n * sizeof *words;
}

static bool is_whole(const struct mn_ramcache_value *value, unsigned key)
{
    const uint64_t *words = value->value.data;
    size_t n = value->value.n_bytes / sizeof *words;

    for (size_t i = 0; i < n; i++)
        if (words[i] != key * UINT64_C(1000003) + i)
            return false;
    return n > 0;
}

static mn_status fetch(void *context, mn_ramcache_load *load, struct mn_slice name,
                       struct mn_slice id, struct mn_error *e)
{
    struct worker *worker = context;
    uint64_t words[VALUE_WORDS_MAX];
    unsigned key = number_of(id);

    (void)name;
    worker->n_fetches++;
    if (key % 11 == 0)
        return MN_NOT_FOUND;
    if (key % 13 == 0)
        return mni_fail(e, MN_ERR_REMOTE, "away");
    const struct mn_ramcache_item item = {
        .value = {words, fill_value(words, key, worker->n_fetches)}};
    return mn_ramcache_load_value(load, &item, e);
}

static void got(struct worker *worker, unsigned key, struct mn_ramcache_value value)
{
    unsigned i = (unsigned)check_below(&worker->random, 4);

    worker->n_wrong += !is_whole(&value, key);
    if (worker->held[i].pin != NULL)
        worker->n_wrong += !is_whole(&worker->held[i], worker->held_keys[i]);
    mn_ramcache_value_release(&worker->held[i]);
    worker->held[i] = value;
    worker->held_keys[i] = key;
}

static mn_status see(void *context, const struct mn_ramcache_entry *entry)
{
    struct worker *worker = context;
    const struct mn_ramcache_value value = {.value = entry->value};

    worker->n_wrong += !is_whole(&value, number_of(entry->id));
    return MN_OK;
}

static void put_one(struct worker *worker, struct mn_slice id, unsigned key)
{
    uint64_t words[VALUE_WORDS_MAX];
    struct mn_ramcache_item item = {.id = id,
                                    .has_ttl = check_below(&worker->random, 4) == 0,
                                    .ttl_us = (int64_t)check_below(&worker->random, 500)};

    item.value = (struct mn_slice){words, fill_value(words, key, worker->random)};
    worker->n_wrong += mn_ramcache_put(worker->cache, name_of(key), &item, NULL, NULL) != MN_OK;
}

static void one_step(struct worker *worker)
{
    mn_ramcache *c = worker->cache;
    unsigned key = (unsigned)check_below(&worker->random, N_KEYS);
    unsigned what = (unsigned)check_below(&worker->random, 1000);
    struct mn_ramcache_value value;
    struct mn_ramcache_stats stats = {.size = sizeof stats};
    char text[16];
    bool existed = false;
    uint64_t n = 0;
    mn_status st = MN_OK;

    (void)snprintf(text, sizeof text, "%u", key);
    struct mn_slice id = mn_str(text);
    if (what < 500) {
        worker->n_lookups++;
        if (mn_ramcache_get(c, name_of(key), id, &value, NULL) == MN_OK)
            got(worker, key, value);
    } else if (what < 700) {
        worker->n_lookups++;
        st = mn_ramcache_get_or_load(c, name_of(key), id, fetch, worker, &value, NULL);
        if (st == MN_OK)
            got(worker, key, value);
        st = st == MN_NOT_FOUND || st == MN_ERR_REMOTE || st == MN_ERR_BUDGET ? MN_OK : st;
    } else if (what < 900) {
        put_one(worker, id, key);
    } else if (what < 960) {
        st = mn_ramcache_delete(c, name_of(key), id, &existed, NULL);
        worker->n_deleted += existed;
    } else if (what < 965) {
        st = mn_ramcache_clear_namespace(c, name_of(key), &n, NULL);
        worker->n_cleared += n;
    } else if (what < 975) {
        st = mn_ramcache_get_all(c, name_of(key), see, worker, NULL);
    } else if (what < 980) {
        st = mn_ramcache_stats(c, &stats, NULL);
        worker->n_wrong += stats.bytes > stats.max_bytes;
    } else {
        atomic_fetch_add(&wall_us, 20);
    }
    worker->n_wrong += st != MN_OK;
}

static void work(void *context)
{
    struct worker *worker = context;

    for (int i = 0; i < N_STEPS; i++)
        one_step(worker);
    for (int i = 0; i < 4; i++)
        mn_ramcache_value_release(&worker->held[i]);
}

static void everything_at_once(void)
{
    static struct worker workers[N_THREADS];
    uint64_t random = check_seed();
    uint64_t base = mni_mem_live_bytes();
    struct worker sum = {0};

    mni_mem_reset_peak();
    mn_ramcache *cache =
        new_cache((struct mn_ramcache_options){.max_bytes = 128 << 10, .n_shards = 4});
    for (int i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .random = check_random(&random)};
        CHECK_OK(mni_thread_start(&workers[i].thread, work, &workers[i], &err));
    }
    for (int i = 0; i < N_THREADS; i++) {
        mni_thread_join(&workers[i].thread);
        sum.n_wrong += workers[i].n_wrong;
        sum.n_lookups += workers[i].n_lookups;
        sum.n_fetches += workers[i].n_fetches;
        sum.n_deleted += workers[i].n_deleted;
        sum.n_cleared += workers[i].n_cleared;
    }
    struct mn_ramcache_stats s = stats_of(cache);
    CHECK_EQ(sum.n_wrong, 0);
    CHECK_EQ(s.n_hits + s.n_misses + s.n_negative_hits, sum.n_lookups);
    CHECK_EQ(s.n_loads, sum.n_fetches);
    CHECK_EQ(s.n_deleted, sum.n_deleted);
    CHECK_EQ(s.n_cleared, sum.n_cleared);
    CHECK_EQ(s.pinned_bytes, 0);
    CHECK(s.n_evicted > 0 && s.n_expired > 0 && s.n_negative_hits > 0);
    CHECK(mni_mem_peak_bytes() - base <= 128 << 10);
    free_cache(cache);
    CHECK_EQ(mni_mem_live_bytes(), base);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {CHECK_TEST(everything_at_once)};

    return check_run("ramcache.threads", tests, CHECK_COUNT(tests), argc, argv);
}
