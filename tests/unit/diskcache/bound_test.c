/*
 * bound_test.c - long random runs: all files together never exceed the bound, and the numbers are
 * exact, after every single operation.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "base/bytes.h"
#include "diskcache/kit.h"

enum { N_IDS = 1500, N_NAMES = 3, VALUE_BYTES_MAX = 24 << 10, STEPS = 12000 };

/* What every id had last, as far as values go: a value begins with its name, id and turn. */
struct run {
    mn_diskcache *cache;
    const char *path;
    uint64_t max_bytes;
    uint64_t seed;
    uint32_t turns[N_NAMES][N_IDS]; /* 0: nothing may be there */
    uint64_t n_gets;                /* since it was opened */
    uint64_t n_evicted;             /* before it was opened */
    unsigned char value[VALUE_BYTES_MAX];
};

static const char *name_of(uint64_t n)
{
    static const char *const names[] = {"a", "a:b", "b"};

    return names[n];
}

static size_t id_of(char text[16], uint64_t n)
{
    return (size_t)snprintf(text, 16, "id-%d", (int)n);
}

static size_t make_value(struct run *r, uint64_t name, uint64_t id, uint32_t turn)
{
    uint64_t state = name * 7919 + id * 104729 + turn;
    size_t n = 12 + check_below(&state, check_below(&state, 8) == 0 ? VALUE_BYTES_MAX - 12 : 3000);
    /* Half of it can be compressed. */
    uint64_t mask = check_below(&state, 2) == 0 ? 0x0F0F0F0F : UINT64_MAX;

    for (size_t i = 0; i + 8 <= n; i += 8)
        mni_put_u64(r->value + i, check_random(&state) & mask);
    memset(r->value + n - n % 8, 0, n % 8);
    mni_put_u32(r->value, (uint32_t)name);
    mni_put_u32(r->value + 4, (uint32_t)id);
    mni_put_u32(r->value + 8, turn);
    return n;
}

static void put_some(struct run *r, uint64_t name, uint32_t turn)
{
    uint64_t id = check_below(&r->seed, N_IDS);
    char text[16];
    const struct mn_diskcache_item item = {.id = {text, id_of(text, id)},
                                           .value = {r->value, make_value(r, name, id, turn)}};
    bool kept = false;

    CHECK_OK(mn_diskcache_put(r->cache, mn_str(name_of(name)), &item, &kept, NULL));
    CHECK(kept);
    r->turns[name][id] = turn;
}

static void put_many(struct run *r, uint64_t name, uint32_t turn)
{
    enum { N = 40 };
    static unsigned char values[N][3100];
    static char ids[N][16];
    struct mn_diskcache_item items[N];
    uint64_t n_kept = 0;
    uint64_t n_distinct = 0;

    for (int i = 0; i < N; i++) {
        uint64_t id = check_below(&r->seed, N_IDS);
        size_t n = make_value(r, name, id, turn);
        if (n > sizeof values[0])
            n = 12;
        memcpy(values[i], r->value, n);
        items[i] =
            (struct mn_diskcache_item){.id = {ids[i], id_of(ids[i], id)}, .value = {values[i], n}};
        n_distinct += r->turns[name][id] != turn;
        r->turns[name][id] = turn;
    }
    CHECK_OK(mn_diskcache_put_batch(r->cache, mn_str(name_of(name)), items, N, &n_kept, NULL));
    CHECK_EQ(n_kept, n_distinct);
}

/* What is got is what was put last; it may be gone. */
static void get_some(struct run *r, uint64_t name)
{
    /* Some are asked for more often than others. */
    uint64_t id = check_below(&r->seed, 1 + check_below(&r->seed, N_IDS));
    char text[16];
    struct mn_slice id_slice = {text, id_of(text, id)};
    struct mn_diskcache_value got;
    bool contains = false;

    CHECK_OK(mn_diskcache_contains(r->cache, mn_str(name_of(name)), id_slice, &contains, NULL));
    mn_status st = mn_diskcache_get(r->cache, mn_str(name_of(name)), id_slice, &got, NULL);
    r->n_gets++;
    CHECK_EQ(st == MN_OK, contains);
    if (st != MN_OK)
        return;
    CHECK(r->turns[name][id] != 0);
    size_t n = make_value(r, name, id, r->turns[name][id]);
    CHECK(got.value.n_bytes == n || got.value.n_bytes == 12);
    CHECK_MEM_EQ(got.value.data, r->value, got.value.n_bytes);
    mn_diskcache_value_release(&got);
}

static void delete_some(struct run *r, uint64_t name)
{
    uint64_t id = check_below(&r->seed, N_IDS);
    char text[16];
    struct mn_slice id_slice = {text, id_of(text, id)};
    bool contains = false;
    bool existed = false;

    CHECK_OK(mn_diskcache_contains(r->cache, mn_str(name_of(name)), id_slice, &contains, NULL));
    CHECK_OK(mn_diskcache_delete(r->cache, mn_str(name_of(name)), id_slice, &existed, NULL));
    CHECK_EQ(existed, contains);
    r->turns[name][id] = 0;
}

static uint64_t count_contained(struct run *r, uint64_t name)
{
    uint64_t n = 0;

    for (uint64_t id = 0; id < N_IDS; id++) {
        char text[16];
        struct mn_slice id_slice = {text, id_of(text, id)};
        bool contains = false;
        CHECK_OK(mn_diskcache_contains(r->cache, mn_str(name_of(name)), id_slice, &contains, NULL));
        n += contains;
    }
    return n;
}

static void clear_one(struct run *r, uint64_t name)
{
    uint64_t n_contained = count_contained(r, name);
    uint64_t n_removed = 0;

    CHECK_OK(mn_diskcache_clear_namespace(r->cache, mn_str(name_of(name)), &n_removed, NULL));
    CHECK_EQ(n_removed, n_contained);
    memset(r->turns[name], 0, sizeof r->turns[name]);
}

static void check_numbers(struct run *r, bool counts_all)
{
    struct mn_diskcache_stats s = kit_stats(r->cache);
    uint64_t n = 0;

    CHECK(kit_adds_up(&s));
    CHECK(s.disk_bytes <= r->max_bytes);
    CHECK_EQ(s.n_errors, 0);
    CHECK_EQ(s.n_lost, 0);
    CHECK_EQ(s.n_rebuilds, 0);
    CHECK_EQ(s.n_hits + s.n_misses, r->n_gets);
    for (uint64_t name = 0; counts_all && name < N_NAMES; name++)
        n += count_contained(r, name);
    if (counts_all)
        CHECK_EQ(n, s.n_entries);
}

static void step(struct run *r, uint32_t turn)
{
    uint64_t name = check_below(&r->seed, N_NAMES);
    uint64_t what = check_below(&r->seed, 1000);

    if (what < 400)
        put_some(r, name, turn);
    else if (what < 420)
        put_many(r, name, turn);
    else if (what < 950)
        get_some(r, name);
    else if (what < 990)
        delete_some(r, name);
    else if (what < 992)
        clear_one(r, name);
    else if (what < 994)
        CHECK_OK(mn_diskcache_flush(r->cache, NULL, NULL));
    else if (what == 994) {
        r->n_evicted += kit_stats(r->cache).n_evicted;
        r->cache = kit_again(r->cache, r->path, r->max_bytes);
        r->n_gets = 0;
    }
}

static void run_with(uint64_t max_bytes, uint32_t n_steps)
{
    static struct run r;
    uint64_t heaviest = 0;

    memset(&r, 0, sizeof r);
    r.seed = check_seed();
    r.path = kit_place("cache");
    r.max_bytes = max_bytes;
    r.cache = kit_open(r.path, max_bytes);
    for (uint32_t turn = 1; turn <= n_steps; turn++) {
        step(&r, turn);
        uint64_t weight = kit_weigh(r.path);
        CHECK(weight <= max_bytes);
        heaviest = weight > heaviest ? weight : heaviest;
        check_numbers(&r, turn % 500 == 0);
    }
    CHECK(r.n_evicted + kit_stats(r.cache).n_evicted > 0);
    kit_close(r.cache);
    CHECK(kit_weigh(r.path) <= max_bytes);
    /* The bound is made use of. */
    CHECK(heaviest > max_bytes / 4 * 3);
}

static void the_smallest_bound_holds(void)
{
    run_with(4 << 20, STEPS);
}

static void a_larger_bound_holds(void)
{
    run_with(5 << 20, STEPS);
}

static void make_noise(unsigned char *value, size_t n_bytes, uint64_t *seed)
{
    for (size_t k = 0; k < n_bytes; k += 8)
        mni_put_u64(value + k, check_random(seed));
}

/* One in ten is got again and again. */
static void what_is_in_use_outlives_what_is_not(void)
{
    static unsigned char value[2000];
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, 4 << 20);
    uint64_t seed = check_seed();
    int n_hot = 0;

    for (int i = 0; i < 20000; i++) {
        char id[16];
        struct mn_diskcache_value got;
        make_noise(value, sizeof value, &seed);
        (void)snprintf(id, sizeof id, i % 10 == 0 && i < 1000 ? "hot%d" : "cold%d", i);
        CHECK(kit_put_bytes(cache, "a", id, value, sizeof value));
        (void)snprintf(id, sizeof id, "hot%d", i % 100 * 10);
        n_hot += mn_diskcache_get(cache, mn_str("a"), mn_str(id), &got, NULL) == MN_OK;
        mn_diskcache_value_release(&got);
    }
    CHECK(n_hot > 19000);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(s.n_moved > 500);
    CHECK(kit_adds_up(&s));
    kit_close(cache);
    CHECK(kit_weigh(path) <= 4 << 20);
}

/* Without a bound nothing is evicted, and what is dead is reclaimed. */
static void without_a_bound_dead_space_comes_back(void)
{
    static unsigned char value[60000];
    const char *path = kit_place("cache");
    const struct mn_diskcache_options o = {
        .size = sizeof o, .path = path, .has_max_bytes = true, .write_buffer_bytes = 1 << 20};
    mn_diskcache *cache = NULL;
    uint64_t seed = check_seed();
    char id[16];

    CHECK_OK(mn_diskcache_open(&o, &cache, NULL));
    for (int i = 0; i < 2000; i++) {
        make_noise(value, sizeof value, &seed);
        (void)snprintf(id, sizeof id, "%d", i < 20 ? 1000 + i : i % 50);
        CHECK(kit_put_bytes(cache, "a", id, value, sizeof value));
    }
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_entries, 70);
    CHECK_EQ(s.n_evicted, 0);
    CHECK(kit_adds_up(&s));
    for (int i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof id, "%d", 1000 + i);
        struct mn_diskcache_value got;
        CHECK_OK(mn_diskcache_get(cache, mn_str("a"), mn_str(id), &got, NULL));
        mn_diskcache_value_release(&got);
    }
    kit_close(cache);
    CHECK(kit_weigh(path) < 32 << 20);
}

/* A smaller bound than before holds when the cache is open. */
static void a_bound_can_shrink(void)
{
    static unsigned char value[4000];
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, 16 << 20);
    uint64_t seed = check_seed();

    for (int i = 0; i < 3000; i++) {
        char id[16];
        make_noise(value, sizeof value, &seed);
        (void)snprintf(id, sizeof id, "%d", i);
        CHECK(kit_put_bytes(cache, "a", id, value, sizeof value));
    }
    cache = kit_again(cache, path, 6 << 20);
    CHECK(kit_weigh(path) <= 6 << 20);
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(s.n_entries > 500);
    CHECK(s.n_evicted > 0);
    CHECK(kit_adds_up(&s));
    kit_close(cache);
    CHECK(kit_weigh(path) <= 6 << 20);
}

/* Each flush leaves a file; so many of them are not kept. */
static void files_of_many_flushes_go(void)
{
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, 4 << 20);
    uint64_t n_entries = 0;
    char id[16];

    for (int i = 0; i < 600; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        CHECK(kit_put(cache, "a", id, id));
        CHECK_OK(mn_diskcache_flush(cache, NULL, NULL));
        CHECK(kit_weigh(path) <= 4 << 20);
    }
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK(kit_adds_up(&s));
    CHECK_EQ(s.n_rebuilds, 0);
    n_entries = s.n_entries;
    CHECK(n_entries > 300);
    CHECK(n_entries <= 400);
    CHECK_EQ(s.n_evicted, 600 - n_entries);
    CHECK(kit_has(cache, "a", "599", "599"));
    cache = kit_again(cache, path, 4 << 20);
    CHECK_EQ(kit_stats(cache).n_entries, n_entries);
    CHECK(kit_has(cache, "a", "599", "599"));
    kit_close(cache);
}

static uint64_t count_files(const char *path)
{
    uint64_t n = 0;
    DIR *dir = opendir(kit_path(path, "mneme-cache.db"));

    CHECK(dir != NULL);
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += strstr(e->d_name, ".sst") != NULL;
    CHECK_EQ(closedir(dir), 0);
    return n;
}

static void check_numbered(mn_diskcache *cache, int n)
{
    char id[16];

    for (int i = 0; i < n; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        CHECK(kit_has(cache, "a", id, id));
    }
}

/* Without a bound of bytes nothing goes: files become one. A large one among them stays as it is,
 * for as long as small ones are enough. */
static void files_without_a_bound_are_merged(void)
{
    static unsigned char large[1 << 20];
    const char *path = kit_place("cache");
    mn_diskcache *cache = kit_open(path, 0);
    uint64_t seed = check_seed();
    int n = 0;

    make_noise(large, sizeof large, &seed);
    for (; n < 600; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", n);
        CHECK(kit_put(cache, "a", id, id));
        if (n == 5)
            CHECK(kit_put_bytes(cache, "b", "large", large, sizeof large));
        CHECK_OK(mn_diskcache_flush(cache, NULL, NULL));
    }
    struct mn_diskcache_stats s = kit_stats(cache);
    CHECK_EQ(s.n_entries, 601);
    CHECK_EQ(s.n_evicted + s.n_lost + s.n_errors + s.n_rebuilds, 0);
    check_numbered(cache, n);
    cache = kit_again(cache, path, 0);
    CHECK(count_files(path) <= 400);
    for (; n < 610; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", n);
        CHECK(kit_put(cache, "a", id, id));
        cache = kit_again(cache, path, 0);
    }
    CHECK(count_files(path) <= 400);
    s = kit_stats(cache);
    CHECK_EQ(s.n_found, 611);
    CHECK_EQ(s.n_rebuilds, 0);
    check_numbered(cache, n);
    struct mn_diskcache_value got;
    CHECK_OK(mn_diskcache_get(cache, mn_str("b"), mn_str("large"), &got, NULL));
    CHECK_EQ(got.value.n_bytes, sizeof large);
    CHECK_MEM_EQ(got.value.data, large, sizeof large);
    mn_diskcache_value_release(&got);
    kit_close(cache);
}

/* Large buffers, of which some are being written at any time. */
enum { WATCHED_BYTES = 32 << 20, WATCHED_BUFFER_BYTES = 2700000, N_WEIGHED = 700 };

static _Noreturn void writer_main(const char *path)
{
    static unsigned char value[16 << 10];
    const struct mn_diskcache_options o = {.size = sizeof o,
                                           .path = path,
                                           .max_bytes = WATCHED_BYTES,
                                           .write_buffer_bytes = WATCHED_BUFFER_BYTES};
    mn_diskcache *cache = NULL;
    uint64_t seed = 1;
    char id[16];

    CHECK_OK(mn_diskcache_open(&o, &cache, NULL));
    for (uint64_t i = 0;; i++) {
        make_noise(value, sizeof value, &seed);
        (void)snprintf(id, sizeof id, "%d", (int)(i % 100000));
        CHECK(kit_put_bytes(cache, "a", id, value, sizeof value));
        CHECK_EQ(kit_stats(cache).n_rebuilds, 0);
    }
}

/* The writer is stopped wherever it is, and everything weighed. */
static void the_bound_holds_while_files_are_written(void)
{
    const char *path = kit_place("cache");
    uint64_t heaviest = 0;
    const struct timespec while_it_writes = {.tv_nsec = 2000000};
    int how = 0;

    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "writer", "--writer", path, (char *)NULL);
        _exit(2);
    }
    for (int i = 0; i < N_WEIGHED; i++) {
        (void)nanosleep(&while_it_writes, NULL);
        CHECK_EQ(kill(child, SIGSTOP), 0);
        CHECK_EQ(waitpid(child, &how, WUNTRACED), child);
        CHECK(WIFSTOPPED(how));
        uint64_t weight = kit_weigh(path);
        CHECK_EQ(kill(child, SIGCONT), 0);
        heaviest = weight > heaviest ? weight : heaviest;
        /* What is looked at begins when the cache is full. */
        i -= heaviest < WATCHED_BYTES / 4 * 3;
    }
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(heaviest <= WATCHED_BYTES);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_smallest_bound_holds),
        CHECK_TEST(a_larger_bound_holds),
        CHECK_TEST(what_is_in_use_outlives_what_is_not),
        CHECK_TEST(without_a_bound_dead_space_comes_back),
        CHECK_TEST(a_bound_can_shrink),
        CHECK_TEST(files_of_many_flushes_go),
        CHECK_TEST(files_without_a_bound_are_merged),
        CHECK_TEST(the_bound_holds_while_files_are_written),
    };
    if (argc == 3 && strcmp(argv[1], "--writer") == 0)
        writer_main(argv[2]);
    return check_run("diskcache.bound", tests, CHECK_COUNT(tests), argc, argv);
}
