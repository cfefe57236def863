/*
 * peer_rocksdb.c - RocksDB behind the interface of the benchmarks.
 *
 * Owns:    one database with its options and cache.
 * Threads: as peer.h says.
 * Fails:   by ending the program with a message.
 *
 * The write buffer is larger than what the write benchmarks store, so that no flush and no
 * compaction falls into a measurement: what is compared is the log and the memory table.
 */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum {
    WRITE_BUFFER_BYTES = 256 << 20,
    CACHE_BYTES = 1 << 30,
    LOAD_BATCH_RECORDS = 100,
    VECTOR_BYTES = BENCH_DIMENSIONS * sizeof(float),
};

struct database {
    rocksdb_t *rocks;                /* owned */
    rocksdb_options_t *options;      /* owned */
    rocksdb_cache_t *cache;          /* owned */
    rocksdb_readoptions_t *reading;  /* owned */
    rocksdb_writeoptions_t *durable; /* owned */
    rocksdb_writeoptions_t *loading; /* owned */
};

static void must(const char *message, const char *what)
{
    if (message != NULL)
        bench_die("rocksdb: %s: %s", what, message);
}

static void *rocks_open(const char *dir, const struct bench_use *use)
{
    struct database *db = bench_alloc(sizeof *db);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    char *message = NULL;

    (void)use;
    db->cache = rocksdb_cache_create_lru(CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(table, db->cache);
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
    rocksdb_put(db->rocks, db->durable, id, sizeof id, (const char *)vector, VECTOR_BYTES,
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
                               VECTOR_BYTES);
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

static void rocks_load(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    struct bench_records part = *records;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    char *message = NULL;

    for (size_t done = 0; done < records->n_records; done += part.n_records) {
        size_t left = records->n_records - done;
        part.first_index = records->first_index + done;
        part.n_records = left < LOAD_BATCH_RECORDS ? left : LOAD_BATCH_RECORDS;
        write_batch(db, &part, db->loading);
    }
    rocksdb_flush(db->rocks, flush, &message);
    must(message, "flush");
    rocksdb_flushoptions_destroy(flush);
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
    if (bytes == NULL || n_bytes != VECTOR_BYTES)
        bench_die("rocksdb: %zu bytes came back", n_bytes);
    memcpy(&value, bytes + element * sizeof value, sizeof value); /* it may lie unaligned */
    rocksdb_pinnableslice_destroy(slice);
    return value;
}

const struct peer peer_rocksdb = {
    .name = "rocksdb",
    .settings = "no compression; write buffer 256 MiB; writes sync=true; reads get_pinned, "
                "compacted, LRU block cache 1 GiB, checksums not verified; other options default",
    .open = rocks_open,
    .close = rocks_close,
    .put = rocks_put,
    .put_batch = rocks_put_batch,
    .load = rocks_load,
    .reader_open = rocks_reader_open,
    .reader_close = rocks_reader_close,
    .get = rocks_get,
};
