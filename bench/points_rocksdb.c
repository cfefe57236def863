/*
 * points_rocksdb.c - points the plain way in RocksDB.
 *
 *     entity (8) | space (4) | time (8)  ->  the floats as they are
 *     entity (8) | space (4)             ->  first time, last time, number of points
 *
 * Numbers in keys are big-endian, the sign of the time flipped, so that an entity's points lie side
 * by side in the order of their times, behind its timeline. A batch reads the timelines of its
 * entities and writes them anew. It takes every point as a new one: to look whether one is replaced
 * would be another read.
 *
 * Owns:    one database with its options and cache.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "points.h"

enum {
    SPACE = 7,
    KEY_BYTES = 20,
    TIMELINE_KEY_BYTES = 12,
    WRITE_BUFFER_BYTES = 64 << 20,
    CACHE_BYTES = 1 << 30,
    BLOOM_BITS = 10,
    SETTLE_NAP_NS = 10000000,
    SETTLED_LOOKS = 5,
};

struct database {
    const struct points *points;     /* borrowed */
    rocksdb_t *rocks;                /* owned */
    rocksdb_options_t *options;      /* owned */
    rocksdb_cache_t *cache;          /* owned */
    rocksdb_readoptions_t *reading;  /* owned */
    rocksdb_writeoptions_t *durable; /* owned */
    rocksdb_writeoptions_t *loading; /* owned */
    rocksdb_iterator_t *kept;        /* owned; NULL: a new one for each read */
};

static void must(const char *message, const char *what)
{
    if (message != NULL)
        bench_die("rocksdb: %s: %s", what, message);
}

static size_t vector_bytes(const struct database *db)
{
    return db->points->n_dims * sizeof(float);
}

/* Keys ------------------------------------------------------------------------------------------
 */

static void put_big(char *out, uint64_t value, int n_bytes)
{
    for (int i = n_bytes - 1; i >= 0; i--, value >>= 8)
        out[i] = (char)(unsigned char)value;
}

static const uint64_t sign = UINT64_C(1) << 63;

static void set_key(char key[KEY_BYTES], uint64_t entity, int64_t time_us)
{
    put_big(key, entity, 8);
    put_big(key + 8, SPACE, 4);
    put_big(key + TIMELINE_KEY_BYTES, (uint64_t)time_us ^ sign, 8);
}

static int64_t time_of(const char *key)
{
    uint64_t value = 0;

    for (int i = TIMELINE_KEY_BYTES; i < KEY_BYTES; i++)
        value = value << 8 | (unsigned char)key[i];
    return (int64_t)(value ^ sign);
}

/* Opening ---------------------------------------------------------------------------------------
 */

static void *rocks_open(const char *dir, const struct points *points)
{
    struct database *db = bench_alloc(sizeof *db);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    char *message = NULL;

    db->points = points;
    db->cache = rocksdb_cache_create_lru(CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(table, db->cache);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS)); /* taken over */
    db->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(db->options, 1);
    rocksdb_options_set_compression(db->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(db->options, WRITE_BUFFER_BYTES);
    rocksdb_options_set_block_based_table_factory(db->options, table);
    rocksdb_block_based_options_destroy(table); /* the options keep their own copy */

    db->reading = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(db->reading, 0);
    db->durable = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(db->durable, 1);
    db->loading = rocksdb_writeoptions_create();

    db->rocks = rocksdb_open(db->options, dir, &message);
    must(message, "open");
    return db;
}

static void *kept_open(const char *dir, const struct points *points)
{
    struct database *db = rocks_open(dir, points);

    db->kept = rocksdb_create_iterator(db->rocks, db->reading);
    return db;
}

static void rocks_close(void *handle)
{
    struct database *db = handle;

    if (db->kept != NULL)
        rocksdb_iter_destroy(db->kept);
    rocksdb_close(db->rocks);
    rocksdb_writeoptions_destroy(db->loading);
    rocksdb_writeoptions_destroy(db->durable);
    rocksdb_readoptions_destroy(db->reading);
    rocksdb_options_destroy(db->options);
    rocksdb_cache_destroy(db->cache);
    free(db);
}

/* Writing ---------------------------------------------------------------------------------------
 */

static void rocks_timeline(void *handle, uint64_t entity, struct points_timeline *timeline_out)
{
    struct database *db = handle;
    char key[KEY_BYTES];
    char *message = NULL;
    size_t n_bytes = 0;

    set_key(key, entity, 0);
    *timeline_out = (struct points_timeline){0};
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(db->rocks, db->reading, key, TIMELINE_KEY_BYTES, &message);
    must(message, "get");
    const char *bytes = rocksdb_pinnableslice_value(slice, &n_bytes);
    if (bytes == NULL)
        return;
    if (n_bytes != sizeof *timeline_out)
        bench_die("rocksdb: a timeline of %zu bytes", n_bytes);
    memcpy(timeline_out, bytes, n_bytes);
    rocksdb_pinnableslice_destroy(slice);
}

/* The timelines that a batch changes. */
struct timelines {
    uint64_t entities[POINTS_BATCH];
    struct points_timeline timelines[POINTS_BATCH];
    size_t n;
};

static struct points_timeline *timeline_of(struct database *db, struct timelines *all,
                                           uint64_t entity)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->entities[i] == entity)
            return &all->timelines[i];
    all->entities[all->n] = entity;
    rocks_timeline(db, entity, &all->timelines[all->n]);
    return &all->timelines[all->n++];
}

static void add_to_timeline(struct points_timeline *timeline, int64_t time_us)
{
    if (timeline->n_points == 0 || time_us < timeline->first_us)
        timeline->first_us = time_us;
    if (timeline->n_points == 0 || time_us > timeline->last_us)
        timeline->last_us = time_us;
    timeline->n_points++;
}

static void rocks_put(void *handle, size_t first, size_t n, bool is_durable)
{
    struct database *db = handle;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    struct timelines all = {.n = 0};
    char key[KEY_BYTES];
    char *message = NULL;

    for (size_t i = 0; i < n; i++) {
        struct point point = points_at(db->points, first + i);
        set_key(key, point.entity, point.time_us);
        rocksdb_writebatch_put(batch, key, sizeof key, (const char *)point.vector,
                               vector_bytes(db));
        add_to_timeline(timeline_of(db, &all, point.entity), point.time_us);
    }
    for (size_t i = 0; i < all.n; i++) {
        set_key(key, all.entities[i], 0);
        rocksdb_writebatch_put(batch, key, TIMELINE_KEY_BYTES, (const char *)&all.timelines[i],
                               sizeof all.timelines[i]);
    }
    rocksdb_write(db->rocks, is_durable ? db->durable : db->loading, batch, &message);
    must(message, "write");
    rocksdb_writebatch_destroy(batch);
}

static void flush(struct database *db)
{
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *message = NULL;

    rocksdb_flush(db->rocks, options, &message);
    must(message, "flush");
    rocksdb_flushoptions_destroy(options);
}

static bool is_at_rest(struct database *db)
{
    static const char *const names[] = {
        "rocksdb.mem-table-flush-pending",
        "rocksdb.num-running-flushes",
        "rocksdb.compaction-pending",
        "rocksdb.num-running-compactions",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t n = 0;
        if (rocksdb_property_int(db->rocks, names[i], &n) != 0)
            bench_die("rocksdb: there is no property %s", names[i]);
        if (n > 0)
            return false;
    }
    return true;
}

/* A compaction that has ended may ask for the next a moment later: one look is not enough. */
static void rocks_settle(void *handle)
{
    struct database *db = handle;

    flush(db);
    for (int n_looks = 0; n_looks < SETTLED_LOOKS;) {
        n_looks = is_at_rest(db) ? n_looks + 1 : 0;
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_NAP_NS}, NULL);
    }
}

static void rocks_rest(void *handle)
{
    struct database *db = handle;

    rocks_settle(db);
    rocksdb_compact_range(db->rocks, NULL, 0, NULL, 0);
}

/* Reading ---------------------------------------------------------------------------------------
 */

static void rocks_get(void *handle, uint64_t entity, int64_t time_us, struct points_seen *seen)
{
    struct database *db = handle;
    char key[KEY_BYTES];
    char *message = NULL;
    size_t n_bytes = 0;

    set_key(key, entity, time_us);
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(db->rocks, db->reading, key, sizeof key, &message);
    must(message, "get");
    const char *bytes = rocksdb_pinnableslice_value(slice, &n_bytes);
    if (bytes == NULL)
        return;
    if (n_bytes != vector_bytes(db))
        bench_die("rocksdb: %zu bytes came back", n_bytes);
    points_see(seen, time_us, bytes);
    rocksdb_pinnableslice_destroy(slice);
}

static rocksdb_iterator_t *begin_iter(struct database *db)
{
    return db->kept != NULL ? db->kept : rocksdb_create_iterator(db->rocks, db->reading);
}

static void end_iter(struct database *db, rocksdb_iterator_t *iter)
{
    char *message = NULL;

    rocksdb_iter_get_error(iter, &message);
    must(message, "iterator");
    if (iter != db->kept)
        rocksdb_iter_destroy(iter);
}

/* Where the iterator is, if that is a point of the entity. */
static bool is_at_point(const rocksdb_iterator_t *iter, const char key[KEY_BYTES],
                        int64_t *time_us_out)
{
    size_t n_bytes = 0;

    if (!rocksdb_iter_valid(iter))
        return false;
    const char *found = rocksdb_iter_key(iter, &n_bytes);
    if (n_bytes != KEY_BYTES || memcmp(found, key, TIMELINE_KEY_BYTES) != 0)
        return false;
    *time_us_out = time_of(found);
    return true;
}

static void see_value(const struct database *db, const rocksdb_iterator_t *iter, int64_t time_us,
                      struct points_seen *seen)
{
    size_t n_bytes = 0;
    const char *bytes = rocksdb_iter_value(iter, &n_bytes);

    if (n_bytes != vector_bytes(db))
        bench_die("rocksdb: %zu bytes came back", n_bytes);
    points_see(seen, time_us, bytes);
}

static void rocks_as_of(void *handle, uint64_t entity, int64_t time_us, struct points_seen *seen)
{
    struct database *db = handle;
    rocksdb_iterator_t *iter = begin_iter(db);
    char key[KEY_BYTES];
    int64_t found_us;

    set_key(key, entity, time_us);
    rocksdb_iter_seek_for_prev(iter, key, sizeof key);
    if (is_at_point(iter, key, &found_us))
        see_value(db, iter, found_us, seen);
    end_iter(db, iter);
}

static void rocks_next_from(void *handle, uint64_t entity, int64_t time_us,
                            struct points_seen *seen)
{
    struct database *db = handle;
    rocksdb_iterator_t *iter = begin_iter(db);
    char key[KEY_BYTES];
    int64_t found_us;

    set_key(key, entity, time_us);
    rocksdb_iter_seek(iter, key, sizeof key);
    if (is_at_point(iter, key, &found_us))
        see_value(db, iter, found_us, seen);
    end_iter(db, iter);
}

static void rocks_range(void *handle, uint64_t entity, int64_t from_us, int64_t to_us,
                        struct points_seen *seen)
{
    struct database *db = handle;
    rocksdb_iterator_t *iter = begin_iter(db);
    char key[KEY_BYTES];
    int64_t found_us;

    set_key(key, entity, from_us);
    for (rocksdb_iter_seek(iter, key, sizeof key);
         is_at_point(iter, key, &found_us) && found_us <= to_us; rocksdb_iter_next(iter))
        see_value(db, iter, found_us, seen);
    end_iter(db, iter);
}

#define SETTINGS                                                                                   \
    "20-byte keys, raw floats; no compression; write buffers 64 MiB; bloom filter of 10 bits a "   \
    "key; sync=true; reads compacted, LRU block cache 1 GiB, checksums not verified"

#define FUNCTIONS                                                                                  \
    .close = rocks_close, .put = rocks_put, .settle = rocks_settle, .rest = rocks_rest,            \
    .get = rocks_get, .as_of = rocks_as_of, .next_from = rocks_next_from, .range = rocks_range,    \
    .timeline = rocks_timeline

const struct points_peer points_rocksdb = {
    .name = "rocksdb",
    .settings = SETTINGS "; a new iterator for each read",
    .open = rocks_open,
    FUNCTIONS,
};

const struct points_peer points_rocksdb_kept = {
    .name = "rocksdb-kept",
    .settings = "the same; one iterator for all reads, which sees nothing new",
    .open = kept_open,
    FUNCTIONS,
};
