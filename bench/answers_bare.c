/*
 * answers_bare.c - the payloads one behind the other in a mapped file, fetched by number: the least
 * that a load can be.
 *
 * Owns:    the file and its map.
 * Threads: any.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* O_DIRECTORY */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "answers.h"

/* Apart as far as Mneme's are, which has embeddings between them. */
enum { ROW_BYTES = ANSWERS_PAYLOAD_BYTES + 2 * ANSWERS_DIMS };

struct database {
    int fd;
    const unsigned char *rows;     /* NULL until it is filled */
    const struct answers *answers; /* borrowed */
};

static void *bare_open(const char *dir, const struct answers *answers)
{
    struct database *db = bench_alloc(sizeof *db);
    int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    db->answers = answers;
    db->fd = openat(root, "payloads", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (db->fd < 0)
        bench_die("cannot open %s/payloads: %s", dir, strerror(errno));
    close(root);
    return db;
}

static void bare_close(void *handle)
{
    struct database *db = handle;

    if (db->rows != NULL)
        munmap((void *)(uintptr_t)db->rows, db->answers->n * ROW_BYTES);
    close(db->fd);
    free(db);
}

static void bare_fill(void *handle)
{
    const struct database *db = handle;
    unsigned char row[ROW_BYTES] = {0};

    for (uint64_t i = 0; i < db->answers->n; i++) {
        memcpy(row, answers_payload(db->answers, i), ANSWERS_PAYLOAD_BYTES);
        if (pwrite(db->fd, row, sizeof row, (off_t)(i * ROW_BYTES)) != ROW_BYTES)
            bench_die("cannot write payloads: %s", strerror(errno));
    }
}

static void *bare_session_open(void *handle)
{
    return handle;
}

static void bare_session_close(void *session)
{
    (void)session;
}

static uint64_t bare_load(void *session, const struct answers_name *name, enum answers_way way,
                          bool all)
{
    const struct database *db = session;

    (void)way;
    return answers_see(db->rows + name->index * ROW_BYTES, ANSWERS_PAYLOAD_BYTES, all);
}

static void bare_warm(void *handle, bool is_filled)
{
    struct database *db = handle;
    size_t n_bytes = db->answers->n * ROW_BYTES;
    void *rows = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, db->fd, 0);

    if (rows == MAP_FAILED)
        bench_die("cannot map payloads: %s", strerror(errno));
    db->rows = rows;
    for (uint64_t i = 0; is_filled && i < db->answers->n; i++) {
        struct answers_name name = {.index = i};
        (void)bare_load(db, &name, ANSWERS_BY_ID, true);
    }
}

const struct answers_peer answers_bare = {
    .name = "bare",
    .settings = "the payloads in a mapped file, fetched by number, no look-up",
    .has_one_way = true,
    .open = bare_open,
    .close = bare_close,
    .fill = bare_fill,
    .warm = bare_warm,
    .session_open = bare_session_open,
    .session_close = bare_session_close,
    .load = bare_load,
};
