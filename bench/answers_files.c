/*
 * answers_files.c - a file per answer, the way that survives power cuts: a temporary file of its
 * own, synced, renamed, and the directory synced.
 *
 * The name is the exact key; 256 directories by its first byte, which stay open. A file has the
 * payload, and behind it as many bytes as Mneme has of the embedding.
 *
 * Owns:    the directories.
 * Threads: any; they share the directories.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* O_DIRECTORY, syncfs */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answers.h"

enum {
    N_DIRS = 256,
    NAME_BYTES = 2 * ANSWERS_KEY_BYTES + 1,
    TEMPORARY_BYTES = 32,
    ELEMENT_BYTES = 2,
    FILE_BYTES = ANSWERS_PAYLOAD_BYTES + ANSWERS_DIMS * ELEMENT_BYTES,
};

struct database {
    int dirs[N_DIRS];
    const struct answers *answers; /* borrowed */
    atomic_uint n_stored;
};

static void name_of(const unsigned char key[ANSWERS_KEY_BYTES], char name_out[NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < ANSWERS_KEY_BYTES; i++) {
        name_out[2 * i] = digits[key[i] >> 4];
        name_out[2 * i + 1] = digits[key[i] & 15];
    }
    name_out[NAME_BYTES - 1] = '\0';
}

static void *files_open(const char *dir, const struct answers *answers)
{
    struct database *db = bench_alloc(sizeof *db);
    int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[8];

    db->answers = answers;
    for (unsigned i = 0; i < N_DIRS; i++) {
        snprintf(name, sizeof name, "%02x", i);
        if (mkdirat(root, name, 0777) != 0 && errno != EEXIST)
            bench_die("cannot make %s/%s: %s", dir, name, strerror(errno));
        db->dirs[i] = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (db->dirs[i] < 0)
            bench_die("cannot open %s/%s: %s", dir, name, strerror(errno));
    }
    if (fsync(root) != 0)
        bench_die("cannot sync %s: %s", dir, strerror(errno));
    close(root);
    return db;
}

static void files_close(void *handle)
{
    struct database *db = handle;

    for (unsigned i = 0; i < N_DIRS; i++)
        close(db->dirs[i]);
    free(db);
}

static void *files_session_open(void *handle)
{
    return handle;
}

static void files_session_close(void *session)
{
    (void)session;
}

static void fill_file(const struct answers *answers, uint64_t index,
                      unsigned char bytes_out[FILE_BYTES])
{
    const float *embedding = answers->embeddings + index * ANSWERS_DIMS;

    memcpy(bytes_out, answers_payload(answers, index), ANSWERS_PAYLOAD_BYTES);
    bytes_out += ANSWERS_PAYLOAD_BYTES;
    for (size_t d = 0; d < ANSWERS_DIMS; d++) {
        uint32_t bits;
        memcpy(&bits, &embedding[d], sizeof bits);
        bytes_out[ELEMENT_BYTES * d] = (unsigned char)(bits >> 16);
        bytes_out[ELEMENT_BYTES * d + 1] = (unsigned char)(bits >> 24);
    }
}

static void store(struct database *db, uint64_t index, bool is_durable)
{
    struct answers_name answer = answers_name(index);
    int dir = db->dirs[answer.key[0]];
    unsigned char bytes[FILE_BYTES];
    char name[NAME_BYTES];
    char temporary[TEMPORARY_BYTES];

    name_of(answer.key, name);
    snprintf(temporary, sizeof temporary, "tmp-%u", atomic_fetch_add(&db->n_stored, 1));
    fill_file(db->answers, index, bytes);
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes)
        bench_die("cannot write a file: %s", strerror(errno));
    if ((is_durable && fsync(fd) != 0) || close(fd) != 0 ||
        renameat(dir, temporary, dir, name) != 0 || (is_durable && fsync(dir) != 0))
        bench_die("cannot store a file: %s", strerror(errno));
}

static void files_store(void *session, uint64_t index)
{
    store(session, index, true);
}

static void files_fill(void *handle)
{
    struct database *db = handle;

    for (uint64_t i = 0; i < db->answers->n; i++)
        store(db, i, false);
    if (syncfs(db->dirs[0]) != 0)
        bench_die("cannot sync the files: %s", strerror(errno));
}

static uint64_t files_load(void *session, const struct answers_name *answer, enum answers_way way,
                           bool all)
{
    const struct database *db = session;
    char name[NAME_BYTES];
    struct stat info;

    (void)way;
    name_of(answer->key, name);
    int fd = openat(db->dirs[answer->key[0]], name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size != FILE_BYTES)
        bench_die("cannot open the file %s", name);
    size_t n_bytes = (size_t)info.st_size;
    unsigned char *bytes = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        bench_die("cannot map the file %s: %s", name, strerror(errno));
    uint64_t sum = answers_see(bytes, ANSWERS_PAYLOAD_BYTES, all);
    munmap(bytes, n_bytes);
    close(fd);
    return sum;
}

static void files_warm(void *handle, bool is_filled)
{
    const struct database *db = handle;

    for (uint64_t i = 0; is_filled && i < db->answers->n; i++) {
        struct answers_name name = answers_name(i);
        (void)files_load(handle, &name, ANSWERS_BY_KEY, true);
    }
}

const struct answers_peer answers_files = {
    .name = "files",
    .settings = "a file per answer, 256 directories, named by key; temporary file, fsync, "
                "rename, fsync of the directory; openat, fstat, mmap, munmap, close",
    .has_one_way = true,
    .open = files_open,
    .close = files_close,
    .fill = files_fill,
    .warm = files_warm,
    .session_open = files_session_open,
    .session_close = files_session_close,
    .store = files_store,
    .load = files_load,
};
