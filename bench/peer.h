/*
 * peer.h - the stores that are compared, behind one small interface.
 *
 * Every peer stores the same bytes: a 16-byte id and a vector of floats, nothing else, and uses
 * nothing but its public C interface. A failure ends the program.
 *
 *     open -> put, put_batch (durable when they return) -> settle -> close
 *     open -> load -> reader_open -> get ... -> reader_close -> close
 */
#ifndef MNEME_BENCH_PEER_H
#define MNEME_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "bench.h"

/* A key to read. Only the bare array uses the index. */
struct bench_query {
    char id[BENCH_ID_BYTES];
    uint64_t index;
};

/* Records from `first_index` on; the vector of record i is number i % n_vectors of `vectors`. */
struct bench_records {
    uint64_t first_index;
    size_t n_records;
    const float *vectors;
    size_t n_vectors;
    size_t n_dims;
};

/* How a database is about to be used: some need room made, some are tuned for it. */
struct bench_use {
    size_t n_records;         /* how many will be stored at most */
    size_t records_per_write; /* in one durable write; 0 = there will be none */
    size_t n_dims;            /* of every vector */
};

struct peer {
    const char *name;
    const char *settings;
    /* The caller owns what `open` returns and ends it with `close`. */
    void *(*open)(const char *dir, const struct bench_use *use);
    void (*close)(void *db);
    /* Durable when it returns: a power cut after it loses nothing. Any thread. */
    void (*put)(void *db, uint64_t index, const float *vector);
    /* All or nothing, and durable when it returns. */
    void (*put_batch)(void *db, const struct bench_records *records);
    /* Stores as fast as it can, then brings the data into the form it has at rest. */
    void (*load)(void *db, const struct bench_records *records);
    /* Returns when the store has nothing left to do in the background: what was put lies in files
     * that a reader finds it in, outside of the log. */
    void (*settle)(void *db);
    /* A reader belongs to one thread. `get` returns element `element` of the record's vector, read
     * where it lies. */
    void *(*reader_open)(void *db);
    void (*reader_close)(void *reader);
    float (*get)(void *reader, const struct bench_query *query, size_t element);
};

static inline const float *bench_record_vector(const struct bench_records *records, size_t i)
{
    return records->vectors + (records->first_index + i) % records->n_vectors * records->n_dims;
}

extern const struct peer peer_mneme;          /* default settings */
extern const struct peer peer_mneme_buffer;   /* no checkpoints: log and buffer alone */
extern const struct peer peer_rocksdb;        /* a buffer so large that it is never written out */
extern const struct peer peer_rocksdb_levels; /* writes out and compacts as it goes */
extern const struct peer peer_rocksdb_blobs;  /* the same, with the vectors in blob files */
extern const struct peer peer_sqlite;
extern const struct peer peer_lmdb;        /* reads: the transaction is renewed before each */
extern const struct peer peer_lmdb_long;   /* reads: one transaction, which sees nothing new */
extern const struct peer peer_bare;        /* pwrite + fdatasync; reads: an array of records */
extern const struct peer peer_bare_direct; /* O_DIRECT and RWF_DSYNC; writes only */

#endif
