/*
 * bench_ramcache.c - the cache in memory: how fast it is read, and how much it hits.
 *
 * Owns:    one cache at a time.
 * Threads: one or two that read.
 * Fails:   by ending the program with a message.
 *
 * Hit ratios stand beside simulated LRU, S3-FIFO and W-TinyLFU (cache_sim.h). The simulated caches
 * take no memory of their own: each may hold as many bytes of entries, counted in the same way, as
 * Mneme's cache holds at the end, which is what its bound leaves after its tables.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "cache_sim.h"
#include "cache_trace.h"
#include "mneme/ramcache.h"
#include "mneme_fill.h"

enum {
    N_READ_KEYS = 100000,
    READ_VALUE_BYTES = 128,
    N_READS = 8000000, /* of all threads */
    THREADS_MAX = 2,
    N_PICKS = 1 << 16,
    CACHE_BYTES = 16 << 20,
    FIXED_BYTES = 256,
    WARM_ONE_IN = 5, /* part of a trace that does not count */
    N_SIMS = 3,
};

static const char space_name[] = "bench";

static mn_ramcache *cache_new(uint64_t max_bytes)
{
    struct mn_ramcache_options options = {.size = sizeof options, .max_bytes = max_bytes};
    mn_ramcache *cache = NULL;
    struct mn_error err;

    mneme_must(mn_ramcache_new(&options, &cache, &err), "make a cache", &err);
    return cache;
}

static void cache_free(mn_ramcache *cache)
{
    struct mn_error err;

    mneme_must(mn_ramcache_free(cache, &err), "free a cache", &err);
}

static void cache_put(mn_ramcache *cache, uint32_t key, const void *bytes, size_t n_bytes)
{
    char id[BENCH_ID_BYTES];
    struct mn_error err;

    bench_id(key, id);
    const struct mn_ramcache_item item = {.id = {id, sizeof id}, .value = {bytes, n_bytes}};
    mneme_must(mn_ramcache_put(cache, mn_str(space_name), &item, NULL, &err), "put", &err);
}

/* Reading ---------------------------------------------------------------------------------------
 */

struct reading {
    mn_ramcache *cache; /* NULL: the bare array */
    const unsigned char *values;
    uint32_t *picks; /* N_PICKS keys, some much more often than others */
    unsigned n_threads;
    size_t n_reads;
};

struct reader {
    const struct reading *reading;
    unsigned number;
    uint64_t sum; /* so that reading is not left out */
    pthread_t thread;
};

static uint64_t read_one(const struct reading *reading, uint32_t key)
{
    char id[BENCH_ID_BYTES];
    struct mn_ramcache_value value;
    uint64_t sum;

    bench_id(key, id);
    if (reading->cache == NULL)
        return reading->values[(size_t)key * READ_VALUE_BYTES] + (unsigned char)id[0];
    if (mn_ramcache_get(reading->cache, mn_str(space_name), (struct mn_slice){id, sizeof id},
                        &value, NULL) != MN_OK)
        bench_die("a value is missing");
    sum = *(const unsigned char *)value.value.data;
    mn_ramcache_value_release(&value);
    return sum;
}

static void *read_many(void *context)
{
    struct reader *reader = context;
    const struct reading *reading = reader->reading;
    size_t at = (size_t)reader->number * 12345;

    for (size_t i = 0; i < reading->n_reads / reading->n_threads; i++)
        reader->sum += read_one(reading, reading->picks[at++ & (N_PICKS - 1)]);
    return NULL;
}

static double measure_reads(const struct bench_options *options, const struct bench_contender *self,
                            void *state)
{
    struct reading *reading = state;
    struct reader readers[THREADS_MAX] = {{0}};

    (void)self;
    reading->n_reads = bench_scaled(options, N_READS);
    double begin = bench_now();
    for (unsigned i = 0; i < reading->n_threads; i++) {
        readers[i] = (struct reader){.reading = reading, .number = i};
        if (pthread_create(&readers[i].thread, NULL, read_many, &readers[i]) != 0)
            bench_die("cannot start a thread");
    }
    for (unsigned i = 0; i < reading->n_threads; i++)
        pthread_join(readers[i].thread, NULL);
    return (double)reading->n_reads / (bench_now() - begin);
}

static void *prepare_reads(const struct bench_options *options, const struct bench_contender *self)
{
    struct reading *reading = bench_alloc(sizeof *reading);
    unsigned char *values = bench_alloc((size_t)N_READ_KEYS * READ_VALUE_BYTES);
    struct cache_trace picks = cache_trace_zipf(N_READ_KEYS, 0.9, N_PICKS);

    (void)options;
    reading->values = values;
    reading->picks = picks.keys;
    reading->n_threads = *(const unsigned *)self->context;
    if (strcmp(self->name, "bare") == 0)
        return reading;
    reading->cache = cache_new(64 << 20);
    for (uint32_t key = 0; key < N_READ_KEYS; key++)
        cache_put(reading->cache, key, values + (size_t)key * READ_VALUE_BYTES, READ_VALUE_BYTES);
    return reading;
}

static void finish_reads(const struct bench_options *options, const struct bench_contender *self,
                         void *state)
{
    struct reading *reading = state;

    (void)options;
    (void)self;
    if (reading->cache != NULL)
        cache_free(reading->cache);
    free((void *)(uintptr_t)reading->values);
    free(reading->picks);
    free(reading);
}

static void run_reads(const struct bench_options *options, const char *name, const char *title,
                      const unsigned *n_threads, double bound)
{
    const struct bench_contender contenders[] = {
        {.name = "mneme",
         .settings = "64 MiB, 100,000 values of 128 bytes, zipf 0.9; mn_ramcache_get and "
                     "mn_ramcache_value_release",
         .context = n_threads,
         .prepare = prepare_reads,
         .measure = measure_reads,
         .finish = finish_reads},
        {.name = "bare",
         .settings = "an array indexed by key, no look-up and no eviction; making the id included",
         .context = n_threads,
         .prepare = prepare_reads,
         .measure = measure_reads,
         .finish = finish_reads},
    };
    const struct bench_target target = {.of = "mneme", .bound = bound};

    bench_run(options, &(struct bench_case){.name = name,
                                            .title = title,
                                            .unit = "gets/s",
                                            .contenders = contenders,
                                            .n_contenders = 2,
                                            .targets = &target,
                                            .n_targets = bound > 0 ? 1 : 0});
}

/* Hit ratios ------------------------------------------------------------------------------------
 */

/* One trace, and what each cache hits of it. The simulated ones are measured once, since rounds
 * would not differ; each of Mneme's has a secret seed of its own, which decides a little. */
struct contest {
    const char *name;
    const char *title;
    struct cache_trace trace;
    bool is_varied; /* sizes of values */
    bool is_done;
    double hits[N_SIMS + 1]; /* in points; Mneme last */
};

static uint32_t value_bytes(const struct contest *contest, uint32_t key)
{
    return contest->is_varied ? cache_trace_varied_bytes(key) : FIXED_BYTES;
}

static double run_mneme(const struct contest *contest, uint64_t *entry_bytes_out,
                        uint64_t *n_entries_out)
{
    static unsigned char bytes[1 << 16];
    const struct cache_trace *trace = &contest->trace;
    struct mn_ramcache_namespace_stats stats = {.size = sizeof stats};
    mn_ramcache *cache = cache_new(CACHE_BYTES);
    size_t n_warm = trace->n_requests / WARM_ONE_IN, n_hits = 0;
    struct mn_error err;

    for (size_t i = 0; i < trace->n_requests; i++) {
        struct mn_ramcache_value value;
        char id[BENCH_ID_BYTES];
        bench_id(trace->keys[i], id);
        mn_status st = mn_ramcache_get(cache, mn_str(space_name), (struct mn_slice){id, sizeof id},
                                       &value, &err);
        if (st == MN_OK) {
            n_hits += i >= n_warm;
            mn_ramcache_value_release(&value);
        } else {
            cache_put(cache, trace->keys[i], bytes, value_bytes(contest, trace->keys[i]));
        }
    }
    mneme_must(mn_ramcache_namespace_stats(cache, mn_str(space_name), &stats, &err), "stats", &err);
    *entry_bytes_out = stats.memory_bytes;
    *n_entries_out = stats.n_entries;
    cache_free(cache);
    return 100.0 * (double)n_hits / (double)(trace->n_requests - n_warm);
}

/* What an entry takes beside its value. */
static uint64_t entry_overhead(void)
{
    struct mn_ramcache_info info = {.size = sizeof info};
    mn_ramcache *cache = cache_new(CACHE_BYTES);
    char id[BENCH_ID_BYTES];
    struct mn_error err;

    bench_id(1, id);
    cache_put(cache, 1, id, sizeof id);
    mneme_must(
        mn_ramcache_info(cache, mn_str(space_name), (struct mn_slice){id, sizeof id}, &info, &err),
        "info", &err);
    cache_free(cache);
    return info.memory_bytes - info.value_bytes;
}

static double run_sim(const struct contest *contest, enum cache_sim_kind kind, uint64_t entry_bytes,
                      uint64_t n_entries)
{
    const struct cache_trace *trace = &contest->trace;
    struct cache_sim *sim = cache_sim_new(kind, entry_bytes, trace->n_keys, n_entries);
    size_t n_warm = trace->n_requests / WARM_ONE_IN, n_hits = 0;
    uint64_t overhead = entry_overhead();

    for (size_t i = 0; i < trace->n_requests; i++) {
        uint32_t key = trace->keys[i];
        bool is_hit = cache_sim_access(sim, key, value_bytes(contest, key) + overhead);
        n_hits += is_hit && i >= n_warm;
    }
    cache_sim_free(sim);
    return 100.0 * (double)n_hits / (double)(trace->n_requests - n_warm);
}

static double measure_hits(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    static const char *const names[] = {"lru", "s3-fifo", "w-tinylfu", "mneme"};
    struct contest *contest = (struct contest *)(uintptr_t)self->context;
    double best = 0;

    (void)options;
    (void)state;
    if (!contest->is_done || strcmp(self->name, "mneme") == 0) {
        uint64_t entry_bytes, n_entries;
        contest->hits[N_SIMS] = run_mneme(contest, &entry_bytes, &n_entries);
        for (int kind = 0; kind < N_SIMS && !contest->is_done; kind++)
            contest->hits[kind] = run_sim(contest, kind, entry_bytes, n_entries);
        contest->is_done = true;
    }
    for (int i = 0; i <= N_SIMS; i++) {
        if (strcmp(self->name, names[i]) == 0)
            return contest->hits[i];
        best = contest->hits[i] > best && i < N_SIMS ? contest->hits[i] : best;
    }
    return contest->hits[N_SIMS] - best;
}

static void run_hits(const struct bench_options *options, const char *name, const char *title,
                     struct cache_trace trace, bool is_varied)
{
    struct contest contest = {.trace = trace, .is_varied = is_varied};
    const struct bench_contender contenders[] = {
        {"mneme", "16 MiB in all; get, and put after a miss", &contest, NULL, measure_hits, NULL},
        {"lru", "simulated, as many bytes of entries as mneme holds", &contest, NULL, measure_hits,
         NULL},
        {"s3-fifo", "simulated, likewise", &contest, NULL, measure_hits, NULL},
        {"w-tinylfu", "simulated, likewise; window of 1 %", &contest, NULL, measure_hits, NULL},
        {"mneme-above", "mneme less the best of the simulated ones", &contest, NULL, measure_hits,
         NULL},
    };
    const struct bench_target target = {.of = "mneme-above", .bound = -0.5};

    bench_run(options, &(struct bench_case){.name = name,
                                            .title = title,
                                            .unit = "% of look-ups",
                                            .contenders = contenders,
                                            .n_contenders = 5,
                                            .targets = &target,
                                            .n_targets = 1});
    cache_trace_free(&contest.trace);
}

int main(int argc, char **argv)
{
    static const unsigned one = 1, two = 2;
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run_reads(&options, "ramcache-get-1", "gets of the cache in memory, 1 thread", &one, 0);
    run_reads(&options, "ramcache-get-2", "gets of the cache in memory, 2 threads", &two, 5e6);
    size_t n = bench_scaled(&options, 4000000);
    run_hits(&options, "ramcache-zipf", "hits, zipf 0.9", cache_trace_zipf(300000, 0.9, n), false);
    run_hits(&options, "ramcache-scan", "hits, zipf 0.9 and scans",
             cache_trace_scan(300000, 0.9, n, 100000, 50000), false);
    run_hits(&options, "ramcache-loop", "hits, a loop larger than the cache",
             cache_trace_loop(60000, n), false);
    run_hits(&options, "ramcache-shift", "hits, zipf 0.9 whose keys change",
             cache_trace_shift(300000, 0.9, n, 400000), false);
    run_hits(&options, "ramcache-recent", "hits, what was asked for lately",
             cache_trace_recent(2000000, n), false);
    run_hits(&options, "ramcache-zipf-sizes", "hits, zipf 0.9, values of 64 to 16,384 bytes",
             cache_trace_zipf(300000, 0.9, n), true);
    run_hits(&options, "ramcache-scan-sizes", "hits, zipf 0.9 and scans, values likewise",
             cache_trace_scan(300000, 0.9, n, 100000, 50000), true);
    return 0;
}
