/*
 * peer_lmdb.c - LMDB behind the interface of the benchmarks. Reads only.
 *
 * Owns:    one environment; a reader owns one read transaction.
 * Threads: as peer.h says; transactions are not tied to threads (MDB_NOTLS).
 * Fails:   by ending the program with a message.
 *
 * A read transaction of LMDB sees the moment at which it began. To see what was committed since, as
 * every read of Mneme does, it has to be renewed; how that compares with a transaction that stays
 * open is measured by two variants.
 */
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum {
    LOAD_BATCH_RECORDS = 1000,
    PAGE_BYTES = 4096,
};

struct database {
    MDB_env *env; /* owned */
    MDB_dbi dbi;
    size_t vector_bytes;
};

struct reader {
    MDB_txn *txn; /* owned */
    MDB_dbi dbi;
    size_t vector_bytes;
};

static void must(int code, const char *what)
{
    if (code != 0)
        bench_die("lmdb: %s: %s", what, mdb_strerror(code));
}

static void *map_open(const char *dir, const struct bench_use *use)
{
    struct database *db = bench_alloc(sizeof *db);
    MDB_txn *txn = NULL;
    /* A record takes at most a page of its own; as much again leaves room for the tree and for
     * pages that are not reused yet. */
    size_t map_bytes = (use->n_records + 65536) * 2 * PAGE_BYTES;

    db->vector_bytes = use->n_dims * sizeof(float);
    must(mdb_env_create(&db->env), "create");
    must(mdb_env_set_mapsize(db->env, map_bytes), "set the size of the map");
    must(mdb_env_open(db->env, dir, MDB_NOTLS, 0666), "open");
    must(mdb_txn_begin(db->env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &db->dbi), "open the table");
    must(mdb_txn_commit(txn), "commit");
    return db;
}

static void map_close(void *handle)
{
    struct database *db = handle;

    mdb_env_close(db->env);
    free(db);
}

static void map_load(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    MDB_txn *txn = NULL;
    char id[BENCH_ID_BYTES];

    must(mdb_env_set_flags(db->env, MDB_NOSYNC, 1), "load without syncs");
    for (size_t i = 0; i < records->n_records; i++) {
        MDB_val key = {sizeof id, id};
        MDB_val value = {db->vector_bytes, NULL};

        if (i % LOAD_BATCH_RECORDS == 0)
            must(mdb_txn_begin(db->env, NULL, 0, &txn), "begin");
        bench_id(records->first_index + i, id);
        must(mdb_put(txn, db->dbi, &key, &value, MDB_RESERVE), "put");
        memcpy(value.mv_data, bench_record_vector(records, i), db->vector_bytes);
        if ((i + 1) % LOAD_BATCH_RECORDS == 0 || i + 1 == records->n_records)
            must(mdb_txn_commit(txn), "commit");
    }
    must(mdb_env_set_flags(db->env, MDB_NOSYNC, 0), "sync again");
    must(mdb_env_sync(db->env, 1), "sync");
}

/* A commit leaves nothing to be done. */
static void map_settle(void *handle)
{
    (void)handle;
}

static void *map_reader_open(void *handle)
{
    struct database *db = handle;
    struct reader *reader = bench_alloc(sizeof *reader);

    reader->dbi = db->dbi;
    reader->vector_bytes = db->vector_bytes;
    must(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &reader->txn), "begin");
    return reader;
}

static void map_reader_close(void *handle)
{
    struct reader *reader = handle;

    mdb_txn_abort(reader->txn);
    free(reader);
}

static float map_get_long(void *handle, const struct bench_query *query, size_t element)
{
    struct reader *reader = handle;
    char id[BENCH_ID_BYTES];
    MDB_val key = {sizeof id, id};
    MDB_val value;
    float result = 0;

    memcpy(id, query->id, sizeof id);
    must(mdb_get(reader->txn, reader->dbi, &key, &value), "get");
    if (value.mv_size != reader->vector_bytes)
        bench_die("lmdb: %zu bytes came back", value.mv_size);
    memcpy(&result, (const char *)value.mv_data + element * sizeof result, sizeof result);
    return result;
}

static float map_get_renewed(void *handle, const struct bench_query *query, size_t element)
{
    struct reader *reader = handle;

    mdb_txn_reset(reader->txn);
    must(mdb_txn_renew(reader->txn), "renew");
    return map_get_long(handle, query, element);
}

const struct peer peer_lmdb = {
    .name = "lmdb",
    .settings = "MDB_NOTLS; the read transaction is reset and renewed before each mdb_get, so that "
                "each read sees the newest commit",
    .open = map_open,
    .close = map_close,
    .load = map_load,
    .settle = map_settle,
    .reader_open = map_reader_open,
    .reader_close = map_reader_close,
    .get = map_get_renewed,
};

const struct peer peer_lmdb_long = {
    .name = "lmdb-long",
    .settings = "MDB_NOTLS; one read transaction for all reads, which sees nothing newer",
    .open = map_open,
    .close = map_close,
    .load = map_load,
    .settle = map_settle,
    .reader_open = map_reader_open,
    .reader_close = map_reader_close,
    .get = map_get_long,
};
