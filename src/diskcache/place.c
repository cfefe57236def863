/*
 * place.c - the cache's directory, and which files in it are the cache's.
 *
 * Owns:    nothing.
 * Format:  docs/format/diskcache.md, "files"
 * Threads: one.
 * Fails:   MN_ERR_NO_STORE for a directory that holds other things; nothing of those is touched.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "diskcache/diskcache_private.h"

#define PROBE_NAME "000000.dbtmp"
enum { PROBE_BYTES = 96 << 10 };

/* "000012" and what follows. */
static bool has_number(const char *name, const char *suffix)
{
    size_t n = strspn(name, "0123456789");

    return n > 0 && strcmp(name + n, suffix) == 0;
}

static bool is_rocks_name(const char *name)
{
    static const char *const names[] = {"CURRENT",        "CURRENT.dbtmp", "IDENTITY",
                                        "IDENTITY.dbtmp", "LOCK",          "LOG"};
    static const char *const prefixes[] = {"MANIFEST-", "OPTIONS-", "LOG.old."};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], n) == 0)
            return has_number(name + n, "") || has_number(name + n, ".dbtmp");
    }
    return has_number(name, ".sst") || has_number(name, ".log") || has_number(name, ".dbtmp");
}

struct looked {
    const char *path;
    bool has_rocks;
};

static mn_status look_at(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct looked *looked = context;

    if (is_dir && strcmp(name, DC_ROCKS_NAME) == 0)
        looked->has_rocks = true;
    else if (is_dir || (strcmp(name, DC_SEAL_NAME) != 0 && strcmp(name, DC_SEAL_TEMP_NAME) != 0))
        return mni_fail(err, MN_ERR_NO_STORE, "%.200s holds \"%.64s\", which is of no cache",
                        looked->path, name);
    return MN_OK;
}

static mn_status look_at_rocks(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    const struct looked *looked = context;

    if (is_dir || !is_rocks_name(name))
        return mni_fail(err, MN_ERR_NO_STORE, "%.200s/%s holds \"%.64s\", which is of no cache",
                        looked->path, DC_ROCKS_NAME, name);
    return MN_OK;
}

static mn_status check_place(struct mni_dir *dir, const char *path, struct mn_error *err)
{
    struct looked looked = {.path = path};
    struct mni_dir *rocks = NULL;
    mn_status st = mni_dir_list(dir, look_at, &looked, err);

    if (st != MN_OK || !looked.has_rocks)
        return st;
    st = dc_place_rocks(dir, false, &rocks, err);
    if (st == MN_OK)
        st = mni_dir_list(rocks, look_at_rocks, &looked, err);
    mni_dir_close(rocks);
    return st;
}

mn_status dc_place_open(struct mni_env *env, const char *path, struct mni_dir **dir_out,
                        struct mn_error *err)
{
    struct mni_dir *dir = NULL;

    *dir_out = NULL;
    mn_status st = mni_env_open_dir(env, path, true, &dir, err);
    /* Where nothing can be made, there may be one already. */
    if (st == MN_ERR_READ_ONLY || st == MN_ERR_ACCESS)
        st = mni_env_open_dir(env, path, false, &dir, err);
    if (st == MN_OK)
        st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, err);
    if (st == MN_OK)
        st = check_place(dir, path, err);
    if (st != MN_OK) {
        mni_dir_close(dir);
        return st;
    }
    *dir_out = dir;
    return MN_OK;
}

mn_status dc_place_rocks(struct mni_dir *dir, bool create, struct mni_dir **rocks_out,
                         struct mn_error *err)
{
    return mni_dir_open_dir(dir, DC_ROCKS_NAME, create, rocks_out, err);
}

static mn_status remove_one(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct mni_dir *rocks = context;

    if (is_dir || !is_rocks_name(name))
        return MN_OK;
    mn_status st = mni_dir_unlink(rocks, name, err);
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status remove_if_there(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    mn_status st = mni_dir_unlink(dir, name, err);

    return st == MN_NOT_FOUND ? MN_OK : st;
}

mn_status dc_place_clear(struct mni_dir *dir, struct mn_error *err)
{
    struct mni_dir *rocks = NULL;
    /* The seal first, and durably: it must not stand beside less than it tells of. */
    mn_status st = remove_if_there(dir, DC_SEAL_NAME, err);

    if (st == MN_OK)
        st = remove_if_there(dir, DC_SEAL_TEMP_NAME, err);
    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
    if (st != MN_OK)
        return st;
    st = dc_place_rocks(dir, false, &rocks, err);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = mni_dir_list(rocks, remove_one, rocks, err);
    mni_dir_close(rocks);
    return st;
}

/* RocksDB reports what it does to a file when it is opened, at this level of reports only then; if
 * the disk does not take that, it ends the process: writing on after an error is an assertion. */
mn_status dc_place_probe(struct mni_dir *dir, struct mn_error *err)
{
    struct mni_dir *rocks = NULL;
    struct mni_file *file = NULL;
    unsigned char *bytes = mni_alloc_zero(PROBE_BYTES);

    if (bytes == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "probe of the disk");
    mn_status st = dc_place_rocks(dir, false, &rocks, err);
    if (st == MN_OK)
        st = remove_if_there(rocks, PROBE_NAME, err);
    if (st == MN_OK)
        st = mni_dir_open_file(rocks, PROBE_NAME, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, err);
    if (st == MN_OK)
        st = mni_file_write(file, 0, bytes, PROBE_BYTES, err);
    mni_file_close(file);
    if (file != NULL) {
        struct mn_error *why = st == MN_OK ? err : NULL;
        mn_status removed = mni_dir_unlink(rocks, PROBE_NAME, why);
        st = st == MN_OK ? removed : st;
    }
    mni_dir_close(rocks);
    mni_free(bytes);
    return st;
}

void dc_place_file_name(uint64_t number, char *name_out)
{
    (void)snprintf(name_out, MNI_NAME_BYTES_MAX, "%06" PRIu64 ".sst", number);
}

void dc_place_manifest_name(uint64_t number, char *name_out)
{
    (void)snprintf(name_out, MNI_NAME_BYTES_MAX, "MANIFEST-%06" PRIu64, number);
}
