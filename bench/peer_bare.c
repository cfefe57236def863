/*
 * peer_bare.c - the least a store can do: what the machine itself allows.
 *
 * Owns:    one file that was written once before, or one array of records.
 * Threads: as peer.h says; each write takes the next place in the file.
 * Fails:   by ending the program with a message.
 *
 * Writing: the bytes of the id and the vector, one pwrite and one fdatasync per write, into space
 * that was written and synced before, so that a sync changes no metadata. With O_DIRECT a write is
 * rounded up to whole blocks and RWF_DSYNC takes the place of the sync.
 * Reading: the address of a record is computed, not looked up; only its memory has to be fetched.
 */
#define _GNU_SOURCE /* O_DIRECT, pwritev2 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "peer.h"

enum {
    BLOCK_BYTES = 4096,
    FILL_BYTES = 1 << 20,
};

struct database {
    int fd;
    bool is_direct;
    size_t vector_bytes;
    size_t write_bytes;         /* of one durable write */
    _Atomic uint64_t n_written; /* writes so far */
    float *loaded;              /* owned: an array of vectors to read from */
};

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static void fill(int fd, size_t n_bytes)
{
    char *zeroes = bench_alloc(FILL_BYTES);

    for (size_t at = 0; at < n_bytes; at += FILL_BYTES) {
        if (pwrite(fd, zeroes, FILL_BYTES, (off_t)at) != FILL_BYTES)
            bench_die("bare: write: %s", strerror(errno));
    }
    if (fsync(fd) != 0)
        bench_die("bare: sync: %s", strerror(errno));
    free(zeroes);
}

static struct database *open_with(const char *dir, const struct bench_use *use, bool is_direct)
{
    struct database *db = bench_alloc(sizeof *db);
    char path[BENCH_PATH_BYTES + 16];
    size_t n_writes = 0;

    db->fd = -1;
    db->is_direct = is_direct;
    db->vector_bytes = use->n_dims * sizeof(float);
    if (use->records_per_write == 0)
        return db;
    db->write_bytes = use->records_per_write * (BENCH_ID_BYTES + db->vector_bytes);
    if (is_direct)
        db->write_bytes = round_up(db->write_bytes, BLOCK_BYTES);
    n_writes = use->n_records / use->records_per_write;

    snprintf(path, sizeof path, "%s/space", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        bench_die("bare: open %s: %s", path, strerror(errno));
    fill(fd, round_up(n_writes * db->write_bytes, FILL_BYTES));
    close(fd);
    db->fd = open(path, O_RDWR | O_CLOEXEC | (is_direct ? O_DIRECT : 0));
    if (db->fd < 0)
        bench_die("bare: open %s: %s", path, strerror(errno));
    return db;
}

static void *bare_open(const char *dir, const struct bench_use *use)
{
    return open_with(dir, use, false);
}

static void *direct_open(const char *dir, const struct bench_use *use)
{
    return open_with(dir, use, true);
}

static void bare_close(void *handle)
{
    struct database *db = handle;

    if (db->fd >= 0)
        close(db->fd);
    free(db->loaded);
    free(db);
}

/* The buffer of a thread, aligned for O_DIRECT and as large as the largest write asked for. It is
 * kept until the thread ends with the program: a hot loop does not allocate. */
static char *thread_buffer(size_t n_bytes)
{
    static _Thread_local char *buffer;
    static _Thread_local size_t buffer_bytes;

    if (buffer_bytes < n_bytes) {
        free(buffer);
        buffer_bytes = round_up(n_bytes, BLOCK_BYTES);
        if (posix_memalign((void **)&buffer, BLOCK_BYTES, buffer_bytes) != 0)
            bench_die("out of memory: %zu bytes", buffer_bytes);
        memset(buffer, 0, buffer_bytes);
    }
    return buffer;
}

static void write_buffer(struct database *db, char *buffer)
{
    uint64_t place = atomic_fetch_add(&db->n_written, 1);
    off_t at = (off_t)(place * db->write_bytes);
    struct iovec part = {buffer, db->write_bytes};

    if (pwritev2(db->fd, &part, 1, at, db->is_direct ? RWF_DSYNC : 0) != (ssize_t)db->write_bytes)
        bench_die("bare: write: %s", strerror(errno));
    if (!db->is_direct && fdatasync(db->fd) != 0)
        bench_die("bare: sync: %s", strerror(errno));
}

static void bare_put(void *handle, uint64_t index, const float *vector)
{
    struct database *db = handle;
    char *buffer = thread_buffer(db->write_bytes);

    bench_id(index, buffer);
    memcpy(buffer + BENCH_ID_BYTES, vector, db->vector_bytes);
    write_buffer(db, buffer);
}

static void bare_put_batch(void *handle, const struct bench_records *records)
{
    struct database *db = handle;
    char *buffer = thread_buffer(db->write_bytes);
    char *at = buffer;

    for (size_t i = 0; i < records->n_records; i++) {
        bench_id(records->first_index + i, at);
        memcpy(at + BENCH_ID_BYTES, bench_record_vector(records, i), db->vector_bytes);
        at += BENCH_ID_BYTES + db->vector_bytes;
    }
    write_buffer(db, buffer);
}

static void bare_load(void *handle, const struct bench_records *records)
{
    struct database *db = handle;

    db->loaded = bench_alloc(records->n_records * db->vector_bytes);
    for (size_t i = 0; i < records->n_records; i++)
        memcpy((char *)db->loaded + i * db->vector_bytes, bench_record_vector(records, i),
               db->vector_bytes);
}

static void *bare_reader_open(void *handle)
{
    return handle;
}

static void bare_reader_close(void *reader)
{
    (void)reader;
}

static float bare_get(void *reader, const struct bench_query *query, size_t element)
{
    const struct database *db = reader;
    return db->loaded[query->index * (db->vector_bytes / sizeof(float)) + element];
}

const struct peer peer_bare = {
    .name = "bare",
    .settings = "writes: pwrite + fdatasync of the bytes of id and vector into space written once "
                "before; reads: an array indexed by record number, no look-up",
    .open = bare_open,
    .close = bare_close,
    .put = bare_put,
    .put_batch = bare_put_batch,
    .load = bare_load,
    .reader_open = bare_reader_open,
    .reader_close = bare_reader_close,
    .get = bare_get,
};

const struct peer peer_bare_direct = {
    .name = "bare-direct",
    .settings = "O_DIRECT, pwritev2 with RWF_DSYNC, rounded up to 4096-byte blocks, into space "
                "written once before",
    .open = direct_open,
    .close = bare_close,
    .put = bare_put,
    .put_batch = bare_put_batch,
};
