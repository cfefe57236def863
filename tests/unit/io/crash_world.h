/*
 * crash_world.h - what the tests of the simulated disk share: a disk with one directory, and short
 * words for what they do with it.
 */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include <string.h>

#include "check.h"
#include "io/crash.h"

enum {
    N_SEEDS = 400, /* both outcomes of a choice show in far fewer */
    SECTOR = MNI_SECTOR_BYTES,
};

/* A disk with one directory, reopened after each restart. */
struct world {
    struct mni_crash_env *crash;
    struct mni_dir *dir;
};

static inline struct world world_new(uint64_t seed)
{
    struct world w = {0};

    CHECK_OK(mni_crash_env_new(seed, &w.crash));
    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w.crash), "/store", true, &w.dir, NULL));
    return w;
}

static inline void world_free(struct world *w)
{
    mni_dir_close(w->dir);
    mni_crash_env_free(w->crash);
}

static inline void restart_with(struct world *w, bool use_mask, uint64_t mask)
{
    mni_dir_close(w->dir);
    w->dir = NULL;
    mni_crash_env_restart(w->crash, use_mask, mask);
    CHECK_OK(mni_env_open_dir(mni_crash_env_base(w->crash), "/store", false, &w->dir, NULL));
}

static inline void restart(struct world *w)
{
    restart_with(w, false, 0);
}

static inline struct mni_file *create(struct world *w, const char *name)
{
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(w->dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    return file;
}

static inline struct mni_file *reopen(struct world *w, const char *name)
{
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(w->dir, name, MNI_OPEN_WRITE, &file, NULL));
    return file;
}

static inline bool exists(struct world *w, const char *name)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(w->dir, name, MNI_OPEN_READ, &file, NULL);

    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    mni_file_close(file);
    return st == MN_OK;
}

static inline void fill(struct mni_file *file, uint64_t offset, size_t n, int byte)
{
    static unsigned char data[1 << 16];

    CHECK(n <= sizeof data);
    memset(data, byte, n);
    CHECK_OK(mni_file_write(file, offset, data, n, NULL));
}

static inline uint64_t size_of(struct mni_file *file)
{
    uint64_t n_bytes = 0;

    CHECK_OK(mni_file_size(file, &n_bytes, NULL));
    return n_bytes;
}

/* The one byte that all of the range holds; -1 when there are several; -2 when it ends early. */
static inline int byte_in(struct mni_file *file, uint64_t offset, size_t n)
{
    unsigned char data[1 << 16];
    size_t n_read = 0;

    CHECK(n <= sizeof data);
    CHECK_OK(mni_file_read(file, offset, data, n, &n_read, NULL));
    if (n_read < n)
        return -2;
    for (size_t i = 1; i < n; i++) {
        if (data[i] != data[0])
            return -1;
    }
    return data[0];
}

/* The first byte of a small file with this name, -3 when there is none. */
static inline int byte_of(struct world *w, const char *name)
{
    if (!exists(w, name))
        return -3;
    struct mni_file *file = reopen(w, name);
    int byte = byte_in(file, 0, 1);
    mni_file_close(file);
    return byte;
}

static inline void sync_all(struct world *w, struct mni_file *file)
{
    CHECK_OK(mni_file_sync(file, NULL));
    CHECK_OK(mni_dir_sync(w->dir, NULL));
}

/* A durable file of `n` bytes `byte`. */
static inline struct mni_file *durable_file(struct world *w, const char *name, size_t n, int byte)
{
    struct mni_file *file = create(w, name);

    fill(file, 0, n, byte);
    sync_all(w, file);
    CHECK_EQ(mni_crash_env_n_pending(w->crash), 0);
    return file;
}

/* Outcomes that were seen over many seeds. */
struct seen {
    unsigned n[16];
};

static inline bool saw_only(const struct seen *seen, unsigned outcomes)
{
    for (unsigned i = 0; i < 16; i++) {
        if ((seen->n[i] > 0) != ((outcomes >> i & 1) != 0))
            return false;
    }
    return true;
}

struct listing {
    unsigned n_files;
    unsigned n_dirs;
    struct mni_dir *unlink_in;
};

static inline mn_status note_entry(void *context, const char *name, bool is_dir,
                                   struct mn_error *err)
{
    struct listing *listing = context;

    if (is_dir)
        listing->n_dirs++;
    else
        listing->n_files++;
    if (!is_dir && listing->unlink_in != NULL)
        return mni_dir_unlink(listing->unlink_in, name, err);
    return strcmp(name, "stop") == 0 ? MN_END : MN_OK;
}

#endif
