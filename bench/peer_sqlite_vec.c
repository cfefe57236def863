/*
 * peer_sqlite_vec.c - sqlite-vec's flat search, for bench_search; see search_peer.h.
 *
 * Owns:    the database, in the directory that it is given.
 * Threads: one: sqlite-vec starts none.
 * Fails:   by ending the program with a message.
 *
 * The first argument is the extension, vec0.so. It knows no inner product; its squared distance of
 * vectors of length 1 gives the same order, and is faster than its cosine.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { ROWS_PER_COMMIT = 10000, CACHE_KIB = 2 << 20 };

struct asked {
    const float *queries;
    size_t n_dims;
    size_t n_results;
};

static float *read_floats(const char *path, size_t *n_out)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        bench_die("sqlite-vec: cannot read %s", path);
    size_t n_bytes = (size_t)ftell(file);
    float *floats = bench_alloc(n_bytes);
    rewind(file);
    if (fread(floats, 1, n_bytes, file) != n_bytes)
        bench_die("sqlite-vec: cannot read %s", path);
    fclose(file);
    *n_out = n_bytes / sizeof *floats;
    return floats;
}

static void must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        bench_die("sqlite-vec: %s", sqlite3_errmsg(db));
}

static void run(sqlite3 *db, const char *sql)
{
    must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static void fill(sqlite3 *db, const float *vectors, size_t n, size_t n_dims)
{
    sqlite3_stmt *insert = NULL;
    char sql[128];

    snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE v USING vec0(e float[%zu])", n_dims);
    run(db, sql);
    must(db, sqlite3_prepare_v2(db, "INSERT INTO v(rowid, e) VALUES (?, ?)", -1, &insert, NULL));
    run(db, "BEGIN");
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i);
        sqlite3_bind_blob(insert, 2, vectors + i * n_dims, (int)(n_dims * sizeof *vectors),
                          SQLITE_STATIC);
        must(db, sqlite3_step(insert));
        sqlite3_reset(insert);
        if (i % ROWS_PER_COMMIT == ROWS_PER_COMMIT - 1)
            run(db, "COMMIT; BEGIN");
    }
    run(db, "COMMIT");
    sqlite3_finalize(insert);
}

static void search(sqlite3 *db, sqlite3_stmt *select, const struct asked *asked, size_t query,
                   sqlite3_int64 *rows_out)
{
    size_t n = 0;

    sqlite3_bind_blob(select, 1, asked->queries + query * asked->n_dims,
                      (int)(asked->n_dims * sizeof *asked->queries), SQLITE_STATIC);
    sqlite3_bind_int64(select, 2, (sqlite3_int64)asked->n_results);
    int code;
    while ((code = sqlite3_step(select)) == SQLITE_ROW && n < asked->n_results)
        rows_out[n++] = sqlite3_column_int64(select, 0);
    must(db, code);
    sqlite3_reset(select);
    if (n != asked->n_results)
        bench_die("sqlite-vec: %zu results of %zu", n, asked->n_results);
}

static void serve(sqlite3 *db, const struct asked *asked)
{
    size_t first, count, each;
    sqlite3_stmt *select = NULL;

    must(db,
         sqlite3_prepare_v2(db, "SELECT rowid FROM v WHERE e MATCH ? AND k = ? ORDER BY distance",
                            -1, &select, NULL));
    while (scanf("%zu %zu %zu", &first, &count, &each) == 3) {
        size_t n_rows = count * asked->n_results;
        sqlite3_int64 *rows = bench_alloc(n_rows * sizeof *rows);
        double start = bench_now();
        for (size_t i = 0; i < count; i++)
            search(db, select, asked, first + i, rows + i * asked->n_results);
        printf("%.9f\n", bench_now() - start);
        for (size_t i = 0; i < n_rows; i++)
            printf("%lld%c", (long long)rows[i], (i + 1) % asked->n_results == 0 ? '\n' : ' ');
        fflush(stdout);
        free(rows);
    }
    sqlite3_finalize(select);
}

/* The database of the time before is used again. */
static sqlite3 *open_database(const char *extension, const char *dir, bool *is_filled_out)
{
    char path[BENCH_PATH_BYTES];
    char *why = NULL;
    sqlite3 *db = NULL;

    snprintf(path, sizeof path, "%s/vectors.db", dir);
    *is_filled_out = access(path, F_OK) == 0;
    must(db, sqlite3_open(path, &db));
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(db, extension, NULL, &why) != SQLITE_OK) {
        printf("absent cannot load %s: %s\n", extension, why);
        exit(0);
    }
    snprintf(path, sizeof path, "PRAGMA cache_size = -%d", CACHE_KIB);
    run(db, path);
    return db;
}

int main(int argc, char **argv)
{
    bool is_filled = false;
    size_t n = 0;

    if (argc != 8)
        bench_die("peer_sqlite_vec is started by bench_search");
    sqlite3 *db = open_database(argv[1], argv[7], &is_filled);
    struct asked asked = {.n_dims = strtoul(argv[4], NULL, 10),
                          .n_results = strtoul(argv[5], NULL, 10)};
    if (!is_filled) {
        float *vectors = read_floats(argv[2], &n);
        fill(db, vectors, n / asked.n_dims, asked.n_dims);
        free(vectors);
    }
    float *queries = read_floats(argv[3], &n);
    asked.queries = queries;
    printf("ready\n");
    fflush(stdout);
    serve(db, &asked);
    free(queries);
    must(db, sqlite3_close(db));
    return 0;
}
