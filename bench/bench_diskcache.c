/*
 * bench_diskcache.c - the disk cache beside plain RocksDB with the same entries and byte limit.
 *
 * Owns:    each contender's cache, for one round.
 * Threads: one, and RocksDB's own.
 * Fails:   by ending the program with a message.
 *
 * Plain RocksDB keeps its limit by FIFO compaction, all else as it comes: with a log, memtables of
 * 64 MiB beyond the limit, Snappy. The kinder one has no log, memtables like the cache's, and a
 * bloom filter of 10 bits per key, which FIFO needs.
 */
#include <math.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "mneme/mneme.h"

enum {
    VALUE_BYTES = 4096,
    KEY_BYTES = BENCH_ID_BYTES,
    LIMIT_MIB = 256,
    N_FILLS = 200000, /* 800 MiB */
    N_GETS = 300000,
    N_HELD = 50000,   /* 200 MiB */
    N_MIXED = 400000, /* gets of a trace */
    N_KEYS = 250000,  /* of a trace: four times what the cache holds */
    SCAN_EVERY = 5,   /* of a trace with scans: one get in so many belongs to one */
    KINDER_BUFFER_MIB = LIMIT_MIB / 32,
    BLOOM_BITS = 10,
    COMPACTION_FIFO = 2,
};

/* One cache of a kind ----------*/

struct cache;
struct kind {
    struct cache *(*open)(const char *path, uint64_t limit);
    void (*put)(struct cache *cache, const char key[KEY_BYTES], const char *value);
    bool (*get)(struct cache *cache, const char key[KEY_BYTES]);
    void (*flush)(struct cache *cache);
    void (*close)(struct cache *cache);
};

struct cache {
    mn_diskcache *mneme;
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *writes;
    rocksdb_readoptions_t *reads;
};

/* What was read, so that it cannot be optimised away. */
static volatile unsigned sum_of_reads;

static struct cache *mneme_open(const char *path, uint64_t limit)
{
    const struct mn_diskcache_options o = {.size = sizeof o, .path = path, .max_bytes = limit};
    struct cache *c = bench_alloc(sizeof *c);
    struct mn_error err;

    if (mn_diskcache_open(&o, &c->mneme, &err) != MN_OK)
        bench_die("open: %s", err.message);
    return c;
}

static void mneme_put(struct cache *c, const char key[KEY_BYTES], const char *value)
{
    const struct mn_diskcache_item item = {.id = {key, KEY_BYTES}, .value = {value, VALUE_BYTES}};
    bool kept = false;

    if (mn_diskcache_put(c->mneme, mn_str("bench"), &item, &kept, NULL) != MN_OK || !kept)
        bench_die("a value was not kept");
}

static bool mneme_get(struct cache *c, const char key[KEY_BYTES])
{
    struct mn_diskcache_value got;

    if (mn_diskcache_get(c->mneme, mn_str("bench"), (struct mn_slice){key, KEY_BYTES}, &got,
                         NULL) != MN_OK)
        return false;
    sum_of_reads += ((const unsigned char *)got.value.data)[got.value.n_bytes / 2];
    mn_diskcache_value_release(&got);
    return true;
}

static void mneme_flush(struct cache *c)
{
    if (mn_diskcache_flush(c->mneme, NULL, NULL) != MN_OK)
        bench_die("flush");
}

static void mneme_close(struct cache *c)
{
    if (mn_diskcache_close(c->mneme, NULL) != MN_OK)
        bench_die("close");
    free(c);
}

static void check_rocks(char *text)
{
    if (text != NULL)
        bench_die("RocksDB: %s", text);
}

static struct cache *rocks_open(const char *path, uint64_t limit, bool is_kinder)
{
    struct cache *c = bench_alloc(sizeof *c);
    rocksdb_fifo_compaction_options_t *fifo = rocksdb_fifo_compaction_options_create();
    char *text = NULL;

    c->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(c->options, 1);
    rocksdb_options_set_compaction_style(c->options, COMPACTION_FIFO);
    rocksdb_fifo_compaction_options_set_max_table_files_size(fifo, limit);
    rocksdb_options_set_fifo_compaction_options(c->options, fifo);
    rocksdb_fifo_compaction_options_destroy(fifo);
    if (is_kinder) {
        rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
        rocksdb_block_based_options_set_filter_policy(
            t, rocksdb_filterpolicy_create_bloom(BLOOM_BITS));
        rocksdb_options_set_block_based_table_factory(c->options, t);
        rocksdb_block_based_options_destroy(t);
        rocksdb_options_set_write_buffer_size(c->options, (size_t)KINDER_BUFFER_MIB << 20);
    }
    c->db = rocksdb_open(c->options, path, &text);
    check_rocks(text);
    c->writes = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(c->writes, is_kinder);
    c->reads = rocksdb_readoptions_create();
    return c;
}

static struct cache *rocks_open_plain(const char *path, uint64_t limit)
{
    return rocks_open(path, limit, false);
}

static struct cache *rocks_open_kinder(const char *path, uint64_t limit)
{
    return rocks_open(path, limit, true);
}

static void rocks_put(struct cache *c, const char key[KEY_BYTES], const char *value)
{
    char *text = NULL;

    rocksdb_put(c->db, c->writes, key, KEY_BYTES, value, VALUE_BYTES, &text);
    check_rocks(text);
}

static bool rocks_get(struct cache *c, const char key[KEY_BYTES])
{
    char *text = NULL;
    size_t n = 0;
    rocksdb_pinnableslice_t *pin = rocksdb_get_pinned(c->db, c->reads, key, KEY_BYTES, &text);

    check_rocks(text);
    if (pin == NULL)
        return false;
    const char *value = rocksdb_pinnableslice_value(pin, &n);
    sum_of_reads += (unsigned char)value[n / 2];
    rocksdb_pinnableslice_destroy(pin);
    return true;
}

static void rocks_flush(struct cache *c)
{
    rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
    char *text = NULL;

    rocksdb_flush(c->db, o, &text);
    check_rocks(text);
    rocksdb_flushoptions_destroy(o);
}

static void rocks_close(struct cache *c)
{
    rocksdb_readoptions_destroy(c->reads);
    rocksdb_writeoptions_destroy(c->writes);
    rocksdb_close(c->db);
    rocksdb_options_destroy(c->options);
    free(c);
}

static const struct kind mneme_kind = {mneme_open, mneme_put, mneme_get, mneme_flush, mneme_close};
static const struct kind plain_kind = {rocks_open_plain, rocks_put, rocks_get, rocks_flush,
                                       rocks_close};
static const struct kind kinder_kind = {rocks_open_kinder, rocks_put, rocks_get, rocks_flush,
                                        rocks_close};

/* Values and keys ----------*/

/* What can be compressed of a value is `n_even` bytes of it. */
static void make_value(uint64_t index, size_t n_even, char value[VALUE_BYTES])
{
    uint64_t state = index;

    for (size_t i = 0; i < VALUE_BYTES; i += 8) {
        uint64_t word = i + n_even < VALUE_BYTES ? bench_random(&state) : index;
        memcpy(value + i, &word, sizeof word);
    }
}

static void put_index(const struct kind *kind, struct cache *cache, uint64_t index, size_t n_even)
{
    char key[KEY_BYTES];
    char value[VALUE_BYTES];

    bench_id(index, key);
    make_value(index, n_even, value);
    kind->put(cache, key, value);
}

static uint64_t limit_of(const struct bench_options *options)
{
    return (uint64_t)bench_scaled(options, LIMIT_MIB) << 20;
}

/* Fills and gets ----------*/

static double measure_fill(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    const struct kind *kind = self->context;
    size_t n = bench_scaled(options, N_FILLS);
    char path[BENCH_PATH_BYTES];

    (void)state;
    bench_dir_make(options, self->name, path);
    struct cache *cache = kind->open(path, limit_of(options));
    double start = bench_now();
    for (size_t i = 0; i < n; i++)
        put_index(kind, cache, i, VALUE_BYTES / 2);
    kind->flush(cache);
    double elapsed = bench_now() - start;
    kind->close(cache);
    bench_dir_remove(options, self->name);
    return (double)n / elapsed;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* All that is asked for is there. `median_us_out` may be NULL. */
static double run_gets(const struct bench_options *options, const struct bench_contender *self,
                       double *median_us_out)
{
    const struct kind *kind = self->context;
    size_t n_held = bench_scaled(options, N_HELD);
    size_t n = bench_scaled(options, N_GETS);
    double *times = bench_alloc(n * sizeof *times);
    uint64_t random = 11;
    char path[BENCH_PATH_BYTES];

    bench_dir_make(options, self->name, path);
    struct cache *cache = kind->open(path, 2 * limit_of(options));
    for (size_t i = 0; i < n_held; i++)
        put_index(kind, cache, i, VALUE_BYTES / 2);
    kind->flush(cache);
    double start = bench_now();
    for (size_t i = 0; i < n; i++) {
        char key[KEY_BYTES];
        bench_id(bench_random(&random) % n_held, key);
        double begin = median_us_out == NULL ? 0 : bench_now();
        if (!kind->get(cache, key))
            bench_die("%s: a value is missing", self->name);
        if (median_us_out != NULL)
            times[i] = bench_now() - begin;
    }
    double elapsed = bench_now() - start;
    if (median_us_out != NULL) {
        qsort(times, n, sizeof *times, compare_doubles);
        *median_us_out = times[n / 2] * 1e6;
    }
    free(times);
    kind->close(cache);
    bench_dir_remove(options, self->name);
    return (double)n / elapsed;
}

static double measure_get(const struct bench_options *options, const struct bench_contender *self,
                          void *state)
{
    (void)state;
    return run_gets(options, self, NULL);
}

static double measure_median(const struct bench_options *options,
                             const struct bench_contender *self, void *state)
{
    double median_us = 0;

    (void)state;
    (void)run_gets(options, self, &median_us);
    return median_us;
}

/* Hit ratios ----------*/

/* Keys by the frequency 1 / rank^0.9: the inverse of its integral, which is close enough. */
static uint64_t zipf(uint64_t *random, uint64_t n_keys)
{
    double u = (double)(bench_random(random) >> 11) / 9007199254740992.0;

    return (uint64_t)pow(u * (pow((double)n_keys, 0.1) - 1) + 1, 10) - 1;
}

typedef uint64_t next_fn(uint64_t i, uint64_t *random, uint64_t n_keys);

static uint64_t next_zipf(uint64_t i, uint64_t *random, uint64_t n_keys)
{
    (void)i;
    return zipf(random, n_keys) % n_keys;
}

/* One in five goes through keys that nobody asks for again. */
static uint64_t next_scan(uint64_t i, uint64_t *random, uint64_t n_keys)
{
    return i % SCAN_EVERY == 0 ? n_keys + i : next_zipf(i, random, n_keys);
}

/* Round and round through nearly three times what the cache holds. */
static uint64_t next_loop(uint64_t i, uint64_t *random, uint64_t n_keys)
{
    (void)random;
    return i % (n_keys * 3 / 4);
}

/* Round and round through most of what it holds. */
static uint64_t next_short_loop(uint64_t i, uint64_t *random, uint64_t n_keys)
{
    (void)random;
    return i % (n_keys / 5);
}

/* In percent, of the second half of the gets. */
static double hit_ratio(const struct bench_options *options, const struct bench_contender *self,
                        next_fn *next)
{
    const struct kind *kind = self->context;
    uint64_t n = bench_scaled(options, N_MIXED);
    uint64_t n_keys = bench_scaled(options, N_KEYS);
    uint64_t random = 5;
    uint64_t n_hits = 0;
    char path[BENCH_PATH_BYTES];

    bench_dir_make(options, self->name, path);
    struct cache *cache = kind->open(path, limit_of(options));
    for (uint64_t i = 0; i < n; i++) {
        char key[KEY_BYTES];
        uint64_t index = next(i, &random, n_keys);
        bench_id(index, key);
        bool is_hit = kind->get(cache, key);
        n_hits += is_hit && i >= n / 2;
        if (!is_hit)
            put_index(kind, cache, index, 0);
    }
    kind->close(cache);
    bench_dir_remove(options, self->name);
    return 100.0 * (double)n_hits / (double)(n - n / 2);
}

static double measure_zipf(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    (void)state;
    return hit_ratio(options, self, next_zipf);
}

static double measure_scan(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    (void)state;
    return hit_ratio(options, self, next_scan);
}

static double measure_loop(const struct bench_options *options, const struct bench_contender *self,
                           void *state)
{
    (void)state;
    return hit_ratio(options, self, next_loop);
}

static double measure_short_loop(const struct bench_options *options,
                                 const struct bench_contender *self, void *state)
{
    (void)state;
    return hit_ratio(options, self, next_short_loop);
}

typedef double measure_fn(const struct bench_options *options, const struct bench_contender *self,
                          void *state);

static void run(const struct bench_options *options, const char *name, const char *title,
                const char *unit, measure_fn *measure, const struct bench_target *target)
{
    const struct bench_contender contenders[] = {
        {.name = "mneme", .settings = "as it comes", .context = &mneme_kind, .measure = measure},
        {.name = "rocksdb",
         .settings = "FIFO by size, else as it comes (log, 64 MiB memtables)",
         .context = &plain_kind,
         .measure = measure},
        {.name = "rocksdb-kinder",
         .settings = "FIFO by size, no log, 8 MiB memtables, bloom filter",
         .context = &kinder_kind,
         .measure = measure},
    };

    bench_run(options, &(struct bench_case){.name = name,
                                            .title = title,
                                            .unit = unit,
                                            .contenders = contenders,
                                            .n_contenders = 3,
                                            .targets = target,
                                            .n_targets = target != NULL});
}

int main(int argc, char **argv)
{
    const struct bench_target puts = {.of = "mneme", .against = "rocksdb", .bound = 1.5};
    const struct bench_target gets = {.of = "mneme", .against = "rocksdb", .bound = 0.9};
    const struct bench_target median = {.of = "mneme", .bound = 15, .is_upper_bound = true};
    const struct bench_target hits = {.of = "mneme", .against = "rocksdb", .bound = 1.0};
    struct bench_options options;

    bench_parse(argc, argv, &options);
    run(&options, "diskcache-fill", "disk cache of 256 MiB: 800 MiB of 4 KiB values put", "puts/s",
        measure_fill, &puts);
    run(&options, "diskcache-get", "disk cache: gets of 50,000 values of 4 KiB", "gets/s",
        measure_get, &gets);
    run(&options, "diskcache-median", "disk cache: median of such a get", "us", measure_median,
        &median);
    run(&options, "diskcache-zipf", "disk cache of 256 MiB: hits, zipf 0.9 over 1 GiB", "percent",
        measure_zipf, &hits);
    run(&options, "diskcache-scan", "disk cache: hits, the same and a scan", "percent",
        measure_scan, &hits);
    run(&options, "diskcache-short-loop", "disk cache: hits, a loop over 200 MiB", "percent",
        measure_short_loop, &hits);
    run(&options, "diskcache-loop", "disk cache: hits, a loop over 730 MiB", "percent",
        measure_loop, NULL);
    return 0;
}
