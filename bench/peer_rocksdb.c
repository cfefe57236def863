/*
 * peer_rocksdb.c - RocksDB behind the interface of the benchmarks.
 *
 * Owns:    one database with its options and cache.
 * Threads: as peer.h says.
 * Fails:   by ending the program with a message.
 *
 * In one variant the write buffer is larger than what the write benchmarks store, so that no flush
 * and no compaction falls into a measurement: what is compared is the log and the memory table. The
 * others write out buffers of 64 MiB, which is RocksDB's default, and compact as they go: with the
 * vectors in the tables, and in blob files beside them.
 */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer.h"
#include "peer_rocksdb.h"

enum {
    ALL_BUFFER_BYTES = 256 << 20,
    WRITE_BUFFER_BYTES = 64 << 20,
    CACHE_BYTES = 1 << 30,
    LOAD_BATCH_RECORDS = 100,
    SETTLE_NAP_NS = 10000000,
    SETTLED_LOOKS = 5,
};

struct database {
    rocksdb_t *rocks;                /* owned */
    rocksdb_options_t *options;      /* owned */
    rocksdb_cache_t *cache;          /* owned */
    rocksdb_readoptions_t *reading;  /* owned */
    rocksdb_writeoptions_t *durable; /* owned */
    rocksdb_writeoptions_t *loading; /* owned */
    size_t vector_bytes;
};

static void must(const char *message, const char *what)
{
    if (message != NULL)
        bench_die("rocksdb: %s: %s", what, message);
}

static struct database *open_with(const char *dir, const struct bench_use *use,
                                  size_t write_buffer_bytes, bool has_blobs)
{
    struct database *db = bench_alloc(sizeof *db);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    char *message = NULL;

    db->vector_bytes = use->n_dims * sizeof(float);
    db->cache = rocksdb_cache_create_lru(CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(table, db->cache);
    db->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(db->options, 1);
    rocksdb_options_set_compression(db->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(db->options, write_buffer_bytes);
    rocksdb_options_set_enable_blob_files(db->options, has_blobs);
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

static void *rocks_open(const char *dir, const struct bench_use *use)
{
    return open_with(dir, use, ALL_BUFFER_BYTES, false);
}

static void *levels_open(const char *dir, const struct bench_use *use)
{
    return open_with(dir, use, WRITE_BUFFER_BYTES, false);
}

static void *blobs_open(const char *dir, const struct bench_use *use)
{
    return open_with(dir, use, WRITE_BUFFER_BYTES, true);
}

static void rocks_close(void *handle)
{
    struct database *db = handle;

    rocksdb_close(db->rocks);
    rocksdb_writeoptions_destroy(db->loading);
    rocksdb_writeoptions_destroy(db->durable);
    rocksdb_readoptions_destroy(db->reading);
    rocksdb_options_destroy(db->options);
    rocksdb_cache_destroy(db->cache);
    free(db);
}

static void rocks_put(void *handle, uint64_t index, const float *vector)
{
    struct database *db = handle;
    char id[BENCH_ID_BYTES];
    char *message = NULL;

    bench_id(index, id);
    rocksdb_put(db->rocks, db->durable, id, sizeof id, (const char *)vector, db->vector_bytes,
                &message);
    must(message, "put");
}

static void write_batch(struct database *db, const struct bench_records *records,
                        const rocksdb_writeoptions_t *options)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char id[BENCH_ID_BYTES];
    char *message = NULL;

    for (size_t i = 0; i < records->n_records; i++) {
        bench_id(records->first_index + i, id);
        rocksdb_writebatch_put(batch, id, sizeof id, (const char *)bench_record_vector(records, i),
                               db->vector_bytes);
    }
    rocksdb_write(db->rocks, options, batch, &message);
    must(message, "write");
    rocksdb_writebatch_destroy(batch);
}

static void rocks_put_batch(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    write_batch(db, records, db->durable);
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

static void rocks_load(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    struct bench_records part = *records;

    for (size_t done = 0; done < records->n_records; done += part.n_records) {
        size_t left = records->n_records - done;
        part.first_index = records->first_index + done;
        part.n_records = left < LOAD_BATCH_RECORDS ? left : LOAD_BATCH_RECORDS;
        write_batch(db, &part, db->loading);
    }
    flush(db);
    rocksdb_compact_range(db->rocks, NULL, 0, NULL, 0);
}

static void *rocks_reader_open(void *handle)
{
    return handle;
}

static void rocks_reader_close(void *reader)
{
    (void)reader;
}

static float rocks_get(void *reader, const struct bench_query *query, size_t element)
{
    struct database *db = reader;
    char *message = NULL;
    size_t n_bytes = 0;
    float value = 0;

    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(db->rocks, db->reading, query->id, sizeof query->id, &message);
    must(message, "get");
    const char *bytes = rocksdb_pinnableslice_value(slice, &n_bytes);
    if (bytes == NULL || n_bytes != db->vector_bytes)
        bench_die("rocksdb: %zu bytes came back", n_bytes);
    memcpy(&value, bytes + element * sizeof value, sizeof value); /* it may lie unaligned */
    rocksdb_pinnableslice_destroy(slice);
    return value;
}

/* Checkpoints and backups ----------------------------------------------------------------------
 */

void rocks_checkpoint(void *handle, const char *dir)
{
    struct database *db = handle;
    char *message = NULL;

    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(db->rocks, &message);
    must(message, "checkpoint");
    rocksdb_checkpoint_create(checkpoint, dir, 0, &message);
    must(message, "checkpoint");
    rocksdb_checkpoint_object_destroy(checkpoint);
}

struct rocks_backups {
    rocksdb_options_t *options;      /* owned */
    rocksdb_backup_engine_t *engine; /* owned */
};

struct rocks_backups *rocks_backups_open(const char *dir)
{
    struct rocks_backups *backups = bench_alloc(sizeof *backups);
    char *message = NULL;

    backups->options = rocksdb_options_create();
    backups->engine = rocksdb_backup_engine_open(backups->options, dir, &message);
    must(message, "open backups");
    return backups;
}

void rocks_backups_close(struct rocks_backups *backups)
{
    rocksdb_backup_engine_close(backups->engine);
    rocksdb_options_destroy(backups->options);
    free(backups);
}

void rocks_backup(struct rocks_backups *backups, void *handle)
{
    struct database *db = handle;
    char *message = NULL;

    rocksdb_backup_engine_create_new_backup(backups->engine, db->rocks, &message);
    must(message, "back up");
}

void rocks_restore(struct rocks_backups *backups, const char *dir)
{
    rocksdb_restore_options_t *options = rocksdb_restore_options_create();
    char *message = NULL;

    rocksdb_backup_engine_restore_db_from_latest_backup(backups->engine, dir, dir, options,
                                                        &message);
    must(message, "restore");
    rocksdb_restore_options_destroy(options);
}

#define READING                                                                                    \
    "; reads get_pinned, compacted, LRU block cache 1 GiB, checksums not verified; other options " \
    "default"

const struct peer peer_rocksdb = {
    .name = "rocksdb",
    .settings = "no compression; write buffer 256 MiB; writes sync=true" READING,
    .open = rocks_open,
    .close = rocks_close,
    .put = rocks_put,
    .put_batch = rocks_put_batch,
    .load = rocks_load,
    .settle = rocks_settle,
    .reader_open = rocks_reader_open,
    .reader_close = rocks_reader_close,
    .get = rocks_get,
};

const struct peer peer_rocksdb_levels = {
    .name = "rocksdb",
    .settings = "no compression; write buffers 64 MiB; writes sync=true" READING,
    .open = levels_open,
    .close = rocks_close,
    .put = rocks_put,
    .put_batch = rocks_put_batch,
    .load = rocks_load,
    .settle = rocks_settle,
    .reader_open = rocks_reader_open,
    .reader_close = rocks_reader_close,
    .get = rocks_get,
};

const struct peer peer_rocksdb_blobs = {
    .name = "rocksdb-blobs",
    .settings = "no compression; enable_blob_files; write buffers 64 MiB; writes sync=true" READING,
    .open = blobs_open,
    .close = rocks_close,
    .put = rocks_put,
    .put_batch = rocks_put_batch,
    .load = rocks_load,
    .settle = rocks_settle,
    .reader_open = rocks_reader_open,
    .reader_close = rocks_reader_close,
    .get = rocks_get,
};
