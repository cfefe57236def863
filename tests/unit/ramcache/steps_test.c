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

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_small_put_pushes_out_few),
    };
    return check_run("ramcache.steps", tests, CHECK_COUNT(tests), argc, argv);
}
