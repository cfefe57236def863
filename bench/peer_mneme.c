/*
 * peer_mneme.c - Mneme behind the interface of the benchmarks.
 *
 * Owns:    one store per database.
 * Threads: as peer.h says.
 * Fails:   by ending the program with a message.
 */
#include <stdlib.h>

#include "mneme/mneme.h"
#include "mneme_fill.h"
#include "peer.h"

enum { LOAD_BATCH_RECORDS = 100 };

struct database {
    mn_store *store; /* owned */
    uint32_t n_dims;
};

static void *mneme_open(const char *dir, const struct bench_use *use)
{
    struct mn_options options = {.size = sizeof options, .create = true};
    struct mn_namespace_settings settings = {.size = sizeof settings,
                                             .dimension = (uint32_t)use->n_dims};
    struct database *db = bench_alloc(sizeof *db);
    struct mn_error err;

    db->n_dims = (uint32_t)use->n_dims;
    mneme_must(mn_open(dir, &options, &db->store, &err), "open", &err);
    mneme_must(mn_namespace_ensure(db->store, mneme_namespace(), &settings, &err), "ensure", &err);
    return db;
}

static void *mneme_open_buffer(const char *dir, const struct bench_use *use)
{
    struct database *db = mneme_open(dir, use);

    mneme_stop_checkpoints(db->store);
    return db;
}

static void mneme_close(void *handle)
{
    struct database *db = handle;
    struct mn_error err;

    mneme_must(mn_close(db->store, &err), "close", &err);
    free(db);
}

static void mneme_put(void *handle, uint64_t index, const float *vector)
{
    struct database *db = handle;
    struct mn_write_options options = {.size = sizeof options, .ack = MN_ACK_DISK};
    struct mn_error err;
    char id[BENCH_ID_BYTES];
    struct mn_record record = {.id = {id, sizeof id}, .vector = vector, .n_dims = db->n_dims};

    bench_id(index, id);
    mneme_must(mn_put(db->store, mneme_namespace(), &record, &options, NULL, &err), "put", &err);
}

static void put_records(mn_store *store, const struct bench_records *records,
                        size_t records_per_commit, mn_ack ack)
{
    mneme_put_range(store, &(const struct mneme_fill){.first_index = records->first_index,
                                                      .n_records = records->n_records,
                                                      .records_per_commit = records_per_commit,
                                                      .vectors = records->vectors,
                                                      .n_vectors = records->n_vectors,
                                                      .n_dims = (uint32_t)records->n_dims,
                                                      .ack = ack});
}

static void mneme_put_batch(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    put_records(db->store, records, records->n_records, MN_ACK_DISK);
}

static void mneme_load(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    struct mn_error err;

    put_records(db->store, records, LOAD_BATCH_RECORDS, MN_ACK_OS);
    mneme_must(mn_flush(db->store, &err), "flush", &err);
}

/* A checkpoint that is asked for also does the merges that are due. */
static void mneme_settle(void *handle)
{
    struct database *db = handle;
    struct mn_error err;

    mneme_must(mn_checkpoint(db->store, &err), "checkpoint", &err);
}

static void *mneme_reader_open(void *db)
{
    return db;
}

static void mneme_reader_close(void *reader)
{
    (void)reader;
}

static float mneme_get(void *reader, const struct bench_query *query, size_t element)
{
    const struct database *db = reader;
    struct mn_slice id = {query->id, sizeof query->id};
    struct mn_error err;
    struct mn_view view;

    mneme_must(mn_get(db->store, mneme_namespace(), id, &view, &err), "get", &err);
    if (view.n_dims != db->n_dims)
        bench_die("mneme: a vector of %u elements came back", view.n_dims);
    float value = view.vector[element];
    mn_view_release(&view);
    return value;
}

const struct peer peer_mneme = {
    .name = "mneme",
    .settings = "defaults; MN_ACK_DISK; mn_get and mn_view_release per read",
    .open = mneme_open,
    .close = mneme_close,
    .put = mneme_put,
    .put_batch = mneme_put_batch,
    .load = mneme_load,
    .settle = mneme_settle,
    .reader_open = mneme_reader_open,
    .reader_close = mneme_reader_close,
    .get = mneme_get,
};

const struct peer peer_mneme_buffer = {
    .name = "mneme",
    .settings = MNEME_NO_CHECKPOINTS "; MN_ACK_DISK; mn_get and mn_view_release per read",
    .open = mneme_open_buffer,
    .close = mneme_close,
    .put = mneme_put,
    .put_batch = mneme_put_batch,
    .load = mneme_load,
    .reader_open = mneme_reader_open,
    .reader_close = mneme_reader_close,
    .get = mneme_get,
};
