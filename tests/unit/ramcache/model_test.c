/*
 * model_test.c - long random runs of the cache in memory against an array that remembers all.
 *
 * With room for everything the cache answers exactly like the array. Without, it may also have lost
 * what was put; then the bound of bytes is looked at after every call, against what the process has
 * really allocated. MNEME_RAMCACHE_STEPS makes the runs longer.
 */
#include "fixture.h"

enum { N_NAMES = 5, N_IDS = 300, N_PINS = 24, N_STEPS = 200000, CHECK_EVERY = 64 };

/* One begins another one, on purpose. */
static const char *const names[N_NAMES] = {"a", "a:b", "a:", "long name of a namespace", "b"};

struct known {
    bool is_there;
    bool expires;
    int64_t expires_at_us;
    uint64_t seed; /* the value's bytes come from it */
    size_t n_bytes;
    uint64_t n_gets;
};

struct held {
    struct mn_ramcache_value value;
    uint64_t seed;
};

struct run {
    uint64_t random;
    mn_ramcache *cache;
    uint64_t max_bytes;
    uint64_t base_bytes; /* allocated before there was a cache */
    size_t value_bytes_max;
    bool keeps_all;
    struct known known[N_NAMES][N_IDS];
    struct held held[N_PINS];
    unsigned char bytes[1 << 16];
    /* What the numbers must be, where the cache keeps all. */
    struct mn_ramcache_stats expected;
};

static struct run run;

static uint64_t below(uint64_t bound)
{
    return check_below(&run.random, bound);
}

static void fill(uint64_t seed, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        run.bytes[i] = (unsigned char)(seed >> (8 * (i & 7))) ^ (unsigned char)i;
}

static struct mn_slice id_of(unsigned i)
{
    static char text[2][400];
    static unsigned which;
    char *out = text[which++ & 1];
    int n = snprintf(out, 400, "%u%s", i, i % 50 == 7 ? ":b" : "");

    /* Some are long. */
    if (i % 20 == 3) {
        memset(out + n, 'l', 300);
        n += 300;
    }
    return (struct mn_slice){out, (size_t)n};
}

static bool is_live(struct known *k)
{
    if (k->is_there && k->expires && k->expires_at_us <= atomic_load(&wall_us)) {
        k->is_there = false;
        run.expected.n_expired++;
        run.expected.n_entries--;
    }
    return k->is_there;
}

static void check_bytes(struct mn_slice value, uint64_t seed)
{
    fill(seed, value.n_bytes);
    CHECK_MEM_EQ(value.data, run.bytes, value.n_bytes);
}

static void do_put(unsigned n, unsigned i)
{
    struct known *k = &run.known[n][i];
    uint64_t seed = check_random(&run.random);
    size_t n_bytes = below(8) == 0 ? below(run.value_bytes_max) : below(200);
    struct mn_ramcache_item item = {.id = id_of(i), .value = {run.bytes, n_bytes}};
    bool kept = false, was_there = is_live(k);

    if (below(4) == 0) {
        item.has_ttl = true;
        item.ttl_us = (int64_t)below(2000);
    }
    fill(seed, n_bytes);
    CHECK_OK_ERR(mn_ramcache_put(run.cache, mn_str(names[n]), &item, &kept, &err), &err);
    if (run.keeps_all) {
        CHECK(kept == (!item.has_ttl || item.ttl_us > 0));
        run.expected.n_puts++;
        run.expected.n_overwritten += was_there;
        run.expected.n_entries += !was_there;
        if (!kept) {
            run.expected.n_expired++;
            run.expected.n_entries--;
        }
    }
    *k = (struct known){
        .is_there = kept,
        .expires = item.has_ttl,
        .expires_at_us = atomic_load(&wall_us) + item.ttl_us,
        .seed = seed,
        .n_bytes = n_bytes,
    };
}

static void do_get(unsigned n, unsigned i)
{
    struct known *k = &run.known[n][i];
    struct held *held = &run.held[below(N_PINS)];
    struct mn_ramcache_value value;
    bool was_there = is_live(k);
    mn_status st = mn_ramcache_get(run.cache, mn_str(names[n]), id_of(i), &value, &err);

    if (st == MN_NOT_FOUND) {
        CHECK(!run.keeps_all || !was_there);
        k->is_there = false;
        run.expected.n_misses++;
        return;
    }
    CHECK_OK_ERR(st, &err);
    CHECK(was_there);
    run.expected.n_hits++;
    CHECK_EQ(value.value.n_bytes, k->n_bytes);
    check_bytes(value.value, k->seed);
    CHECK_EQ(value.has_expires_at, k->expires);
    CHECK(!k->expires || value.expires_at_us == k->expires_at_us);
    CHECK_EQ(value.access_count, ++k->n_gets);
    if (below(3) != 0) {
        mn_ramcache_value_release(&value);
        return;
    }
    /* It is held in the place of another one, which must not have changed. */
    if (held->value.pin != NULL) {
        check_bytes(held->value.value, held->seed);
        mn_ramcache_value_release(&held->value);
    }
    *held = (struct held){value, k->seed};
}

static void do_delete(unsigned n, unsigned i)
{
    struct known *k = &run.known[n][i];
    bool existed = false, was_there = is_live(k);

    CHECK_OK(mn_ramcache_delete(run.cache, mn_str(names[n]), id_of(i), &existed, &err));
    CHECK(existed == was_there || (!run.keeps_all && !existed));
    run.expected.n_deleted += existed;
    run.expected.n_entries -= existed;
    k->is_there = false;
}

static void do_clear(unsigned n)
{
    uint64_t n_there = 0, n_removed = 0;

    for (unsigned i = 0; i < N_IDS; i++) {
        n_there += is_live(&run.known[n][i]);
        run.known[n][i].is_there = false;
    }
    CHECK_OK(mn_ramcache_clear_namespace(run.cache, mn_str(names[n]), &n_removed, &err));
    CHECK(n_removed == n_there || (!run.keeps_all && n_removed < n_there));
    run.expected.n_cleared += n_removed;
    run.expected.n_entries -= n_removed;
}

struct walk {
    unsigned n;
    uint64_t n_seen;
};

static mn_status see(void *context, const struct mn_ramcache_entry *entry)
{
    struct walk *walk = context;
    unsigned i = number_of(entry->id);
    struct known *k = &run.known[walk->n][i];

    CHECK(is_live(k));
    CHECK_EQ(entry->value.n_bytes, k->n_bytes);
    check_bytes(entry->value, k->seed);
    CHECK_EQ(entry->access_count, k->n_gets);
    walk->n_seen++;
    return MN_OK;
}

static void do_walk(unsigned n)
{
    struct walk walk = {.n = n};
    uint64_t n_there = 0;

    CHECK_OK(mn_ramcache_get_all(run.cache, mn_str(names[n]), see, &walk, &err));
    for (unsigned i = 0; i < N_IDS; i++)
        n_there += is_live(&run.known[n][i]);
    CHECK(walk.n_seen == n_there || (!run.keeps_all && walk.n_seen < n_there));
}

static void check_numbers(void)
{
    const struct mn_ramcache_stats *e = &run.expected;
    struct mn_ramcache_stats s = stats_of(run.cache);
    uint64_t n_live = 0;

    for (unsigned n = 0; n < N_NAMES; n++)
        for (unsigned i = 0; i < N_IDS; i++)
            n_live += is_live(&run.known[n][i]);
    CHECK_EQ(s.n_hits, e->n_hits);
    CHECK_EQ(s.n_misses, e->n_misses);
    CHECK_EQ(s.n_deleted, e->n_deleted);
    CHECK_EQ(s.n_cleared, e->n_cleared);
    CHECK_EQ(s.n_puts,
             s.n_entries + s.n_overwritten + s.n_deleted + s.n_cleared + s.n_expired + s.n_evicted);
    CHECK(s.bytes <= run.max_bytes);
    if (!run.keeps_all) {
        CHECK(s.n_entries <= n_live);
        return;
    }
    CHECK_EQ(s.n_entries, n_live);
    CHECK_EQ(s.n_entries, e->n_entries);
    CHECK_EQ(s.n_puts, e->n_puts);
    CHECK_EQ(s.n_overwritten, e->n_overwritten);
    CHECK_EQ(s.n_expired, e->n_expired);
    CHECK_EQ(s.n_evicted + s.n_rejected + s.n_refused, 0);
}

static void one_step(void)
{
    unsigned n = (unsigned)below(N_NAMES);
    unsigned i = (unsigned)(below(4) == 0 ? below(N_IDS) : below(N_IDS / 6));
    unsigned what = (unsigned)below(1000);

    if (what < 450)
        do_get(n, i);
    else if (what < 900)
        do_put(n, i);
    else if (what < 960)
        do_delete(n, i);
    else if (what < 963)
        do_clear(n);
    else if (what < 970)
        do_walk(n);
    else if (what < 975)
        check_numbers();
    else
        atomic_fetch_add(&wall_us, (int64_t)below(300));
}

static void release_all(void)
{
    for (unsigned i = 0; i < N_PINS; i++) {
        if (run.held[i].value.pin != NULL)
            check_bytes(run.held[i].value.value, run.held[i].seed);
        mn_ramcache_value_release(&run.held[i].value);
    }
}

static void run_steps(uint64_t max_bytes, uint32_t n_shards, size_t value_bytes_max, bool keeps_all)
{
    const char *steps = getenv("MNEME_RAMCACHE_STEPS");
    unsigned long n_steps = steps != NULL ? strtoul(steps, NULL, 10) : N_STEPS;

    memset(&run, 0, sizeof run);
    run.random = check_seed();
    world_random = run.random;
    run.max_bytes = max_bytes;
    run.value_bytes_max = value_bytes_max;
    run.keeps_all = keeps_all;
    run.base_bytes = mni_mem_live_bytes();
    mni_mem_reset_peak();
    run.cache =
        new_cache((struct mn_ramcache_options){.max_bytes = max_bytes, .n_shards = n_shards});
    for (unsigned long step = 0; step < n_steps; step++) {
        one_step();
        /* The peak: also between the beginning and the end of the call. */
        CHECK(mni_mem_peak_bytes() - run.base_bytes <= max_bytes);
        if (step % CHECK_EVERY == 0)
            look_inside(run.cache);
    }
    check_numbers();
    release_all();
    CHECK_EQ(stats_of(run.cache).pinned_bytes, 0);
    free_cache(run.cache);
    CHECK_EQ(mni_mem_live_bytes(), run.base_bytes);
}

static void with_room_for_all_it_is_like_an_array(void)
{
    run_steps(64 << 20, 0, 5000, true);
}

static void a_small_cache_keeps_its_bound(void)
{
    run_steps(64 << 10, 1, 3000, false);
}

static void a_middling_cache_keeps_its_bound(void)
{
    run_steps(256 << 10, 4, 8000, false);
}

static void large_values_keep_the_bound(void)
{
    run_steps(512 << 10, 8, 1 << 16, false);
}

/* Many small entries: what each takes beside its value is counted, and not much more than that. */
static void the_bound_is_used_and_kept_by_small_entries(void)
{
    enum { MAX_BYTES = 2 << 20, N_SMALL = 40000 };
    uint64_t base = mni_mem_live_bytes();
    mn_ramcache *cache = cache_of(MAX_BYTES);
    static const char bytes[40];
    char id[16];

    mni_mem_reset_peak();
    for (int i = 0; i < N_SMALL; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put_item(cache, "n", id, (struct mn_slice){bytes, (size_t)i % 40},
                       i % 3 ? -1 : 1000000);
    }
    /* The allocator has a header of 8 bytes before each block, which is no part of the block. */
    uint64_t headers = 8 * stats_of(cache).n_entries;
    CHECK(mni_mem_peak_bytes() - base + headers <= MAX_BYTES);
    CHECK(mni_mem_live_bytes() - base + headers >= MAX_BYTES * 85 / 100);
    free_cache(cache);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_bound_is_used_and_kept_by_small_entries),
        CHECK_TEST(with_room_for_all_it_is_like_an_array),
        CHECK_TEST(a_small_cache_keeps_its_bound),
        CHECK_TEST(a_middling_cache_keeps_its_bound),
        CHECK_TEST(large_values_keep_the_bound),
    };
    return check_run("ramcache.model", tests, CHECK_COUNT(tests), argc, argv);
}
