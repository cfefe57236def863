/*
 * peer_sqlite.c - SQLite behind the interface of the benchmarks. Writes only.
 *
 * Owns:    one connection and its prepared statements.
 * Threads: one connection behind a mutex: with a connection each, writers only wait for each other
 *          in SQLite's busy handler, which sleeps.
 * Fails:   by ending the program with a message.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

struct database {
    sqlite3 *sqlite;      /* owned */
    sqlite3_stmt *insert; /* owned; guarded by `mutex`, like all statements */
    sqlite3_stmt *begin;  /* owned */
    sqlite3_stmt *commit; /* owned */
    int vector_bytes;
    pthread_mutex_t mutex;
};

static void must(struct database *db, int code, int wanted, const char *what)
{
    if (code != wanted)
        bench_die("sqlite: %s: %s", what, sqlite3_errmsg(db->sqlite));
}

static sqlite3_stmt *prepare(struct database *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    must(db, sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
         SQLITE_OK, sql);
    return statement;
}

static void *lite_open(const char *dir, const struct bench_use *use)
{
    struct database *db = bench_alloc(sizeof *db);
    char path[BENCH_PATH_BYTES + 16];

    db->vector_bytes = (int)(use->n_dims * sizeof(float));
    snprintf(path, sizeof path, "%s/bench.sqlite", dir);
    must(db,
         sqlite3_open_v2(path, &db->sqlite,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
         SQLITE_OK, "open");
    must(db,
         sqlite3_exec(db->sqlite,
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "CREATE TABLE records(id BLOB PRIMARY KEY, vector BLOB NOT NULL)",
                      NULL, NULL, NULL),
         SQLITE_OK, "set up");
    db->insert = prepare(db, "INSERT OR REPLACE INTO records(id, vector) VALUES(?1, ?2)");
    db->begin = prepare(db, "BEGIN IMMEDIATE");
    db->commit = prepare(db, "COMMIT");
    pthread_mutex_init(&db->mutex, NULL);
    return db;
}

static void lite_close(void *handle)
{
    struct database *db = handle;

    sqlite3_finalize(db->insert);
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    must(db, sqlite3_close(db->sqlite), SQLITE_OK, "close");
    pthread_mutex_destroy(&db->mutex);
    free(db);
}

static void step(struct database *db, sqlite3_stmt *statement, const char *what)
{
    must(db, sqlite3_step(statement), SQLITE_DONE, what);
    must(db, sqlite3_reset(statement), SQLITE_OK, what);
}

static void insert(struct database *db, uint64_t index, const float *vector)
{
    char id[BENCH_ID_BYTES];

    bench_id(index, id);
    must(db, sqlite3_bind_blob(db->insert, 1, id, sizeof id, SQLITE_STATIC), SQLITE_OK, "bind");
    must(db, sqlite3_bind_blob(db->insert, 2, vector, db->vector_bytes, SQLITE_STATIC), SQLITE_OK,
         "bind");
    step(db, db->insert, "insert");
}

static void lite_put(void *handle, uint64_t index, const float *vector)
{
    struct database *db = handle;

    pthread_mutex_lock(&db->mutex);
    insert(db, index, vector);
    pthread_mutex_unlock(&db->mutex);
}

static void lite_put_batch(void *handle, const struct bench_records *records)
{
    struct database *db = handle;

    pthread_mutex_lock(&db->mutex);
    step(db, db->begin, "begin");
    for (size_t i = 0; i < records->n_records; i++)
        insert(db, records->first_index + i, bench_record_vector(records, i));
    step(db, db->commit, "commit");
    pthread_mutex_unlock(&db->mutex);
}

const struct peer peer_sqlite = {
    .name = "sqlite",
    .settings = "journal_mode=WAL; synchronous=FULL; id BLOB PRIMARY KEY, vector BLOB; prepared "
                "statements; one connection behind a mutex; other settings default",
    .open = lite_open,
    .close = lite_close,
    .put = lite_put,
    .put_batch = lite_put_batch,
};
