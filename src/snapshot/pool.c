/*
 * pool.c - a directory of snapshots: opening, locking, listing, loading.
 *
 * Owns:    handles of the directory and of `files/`.
 * Format:  docs/format/snapshot.md
 * Threads: one at a time per handle.
 * Fails:   MN_ERR_CORRUPT names the file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "snapshot/snapshot_private.h"

static const char files_name[] = "files";

/* Opening ----------*/

/* What lies in a directory. */
struct survey {
    bool has_files;
    bool has_snapshots;
    bool has_others;
};

static mn_status look_at(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct survey *survey = context;
    struct mni_snapshot_id id;
    bool is_new;

    (void)err;
    if (is_dir && strcmp(name, files_name) == 0)
        survey->has_files = true;
    else if (!is_dir && pool_parse_snapshot_name(name, &id, &is_new))
        survey->has_snapshots = true;
    else if (strcmp(name, "lost+found") != 0) /* of an empty file system */
        survey->has_others = true;
    return MN_OK;
}

static mn_status open_files(struct mni_pool_dir *pool, bool create, struct mn_error *err)
{
    struct survey survey = {0};
    mn_status st = pool_as_error(mni_dir_list(pool->dir, look_at, &survey, err), err);

    if (st != MN_OK)
        return st;
    if (!survey.has_files && !survey.has_snapshots && survey.has_others)
        return mni_fail(err, MN_ERR_INVALID, "the directory holds other things than snapshots");
    if (!survey.has_files && !survey.has_snapshots && !create)
        return mni_fail(err, MN_NOT_FOUND, "no snapshots in this directory");
    if (!survey.has_files && !create)
        return mni_fail(err, MN_ERR_CORRUPT, "the directory files/ of the snapshots is missing");
    return pool_as_error(mni_dir_open_dir(pool->dir, files_name, create, &pool->files, err), err);
}

mn_status mni_pool_open(struct mni_env *env, const char *path, bool create,
                        struct mni_pool_dir **pool_out, struct mn_error *err)
{
    struct mni_pool_dir *pool = mni_alloc_zero(sizeof *pool);

    *pool_out = NULL;
    if (pool == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a pool");
    pool->env = env;
    mn_status st = mni_env_open_dir(env, path, create, &pool->dir, err);
    if (st == MN_OK)
        st = open_files(pool, create, err);
    if (st != MN_OK) {
        mni_error_prefix(err, "%s", path);
        mni_pool_close(pool);
        return st;
    }
    *pool_out = pool;
    return MN_OK;
}

void mni_pool_close(struct mni_pool_dir *pool)
{
    if (pool == NULL)
        return;
    mni_dir_close(pool->dir);
    mni_dir_close(pool->adding);
    mni_dir_close(pool->files);
    mni_free(pool);
}

/* Locks ----------*/

static enum mni_lock_mode dir_mode(enum mni_pool_lock lock)
{
    return lock == MNI_POOL_REMOVE ? MNI_LOCK_EXCLUSIVE : MNI_LOCK_SHARED;
}

static mn_status lock_files(struct mni_pool_dir *pool, struct mn_error *err)
{
    mn_status st = mni_dir_open_dir(pool->dir, files_name, false, &pool->adding, err);

    if (st == MN_OK)
        st = mni_dir_lock(pool->adding, MNI_LOCK_EXCLUSIVE, err);
    if (st != MN_OK) {
        mni_dir_close(pool->adding);
        pool->adding = NULL;
    }
    return pool_as_error(st, err);
}

/* The lock of `files/` is taken first, and whoever takes the other one exclusively has it. So when
 * changing that one fails, which can lose it on the way, nobody but us can take it exclusively, and
 * it comes back. */
mn_status mni_pool_lock(struct mni_pool_dir *pool, enum mni_pool_lock lock, struct mn_error *err)
{
    bool needs_files = lock != MNI_POOL_READ;
    bool had_files = pool->adding != NULL;
    mn_status st = MN_OK;

    if (needs_files && !had_files)
        st = lock_files(pool, err);
    if (st != MN_OK)
        return st;
    if (!pool->is_locked || dir_mode(lock) != dir_mode(pool->lock)) {
        st = pool_as_error(mni_dir_lock(pool->dir, dir_mode(lock), err), err);
        if (st != MN_OK && pool->is_locked)
            pool->is_locked = mni_dir_lock(pool->dir, dir_mode(pool->lock), NULL) == MN_OK;
    }
    if (st == MN_OK) {
        pool->lock = lock;
        pool->is_locked = true;
    }
    if (st == MN_OK ? !needs_files : !had_files) {
        mni_dir_close(pool->adding);
        pool->adding = NULL;
    }
    return st;
}

/* Loading ----------*/

/* MN_NOT_FOUND: there is none. `file_out` is open, its length known. */
static mn_status open_snapshot(struct mni_pool_dir *pool, const char *name,
                               struct mni_file **file_out, uint64_t *n_out, struct mn_error *err)
{
    mn_status st = mni_dir_open_file(pool->dir, name, MNI_OPEN_READ, file_out, err);

    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_NOT_FOUND, "there is no snapshot %.32s", name);
    if (st == MN_OK)
        st = mni_file_size(*file_out, n_out, err);
    return pool_as_error(st, err);
}

static mn_status read_header(struct mni_file *file, const struct mni_snapshot_id *id,
                             struct snapshot_header *header, struct mn_error *err)
{
    unsigned char bytes[HEADER_BYTES];
    size_t n = 0;

    mn_status st = pool_as_error(mni_file_read(file, 0, bytes, sizeof bytes, &n, err), err);
    if (st == MN_OK && n != sizeof bytes)
        st = mni_fail(err, MN_ERR_CORRUPT, "it is too short");
    if (st == MN_OK)
        st = snapshot_header_decode(bytes, header, err);
    if (st == MN_OK && memcmp(&header->id, id, sizeof *id) != 0)
        st = mni_fail(err, MN_ERR_CORRUPT, "its id is not that of its name");
    return st;
}

static mn_status read_snapshot(struct mni_file *file, uint64_t n, const struct mni_snapshot_id *id,
                               struct mni_snapshot *snapshot_out, struct mn_error *err)
{
    struct snapshot_header header;
    unsigned char *bytes = NULL;
    size_t n_read = 0;

    mn_status st = read_header(file, id, &header, err);
    if (st == MN_OK && header.file_bytes != n)
        st = mni_fail(err, MN_ERR_CORRUPT, "it has %" PRIu64 " bytes, not %" PRIu64, n,
                      header.file_bytes);
    if (st != MN_OK)
        return st;
    bytes = mni_alloc(n);
    if (bytes == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%" PRIu64 " bytes", n);
    st = pool_as_error(mni_file_read(file, 0, bytes, n, &n_read, err), err);
    if (st == MN_OK && n_read != n)
        st = mni_fail(err, MN_ERR_CORRUPT, "it is too short");
    if (st == MN_OK)
        st = snapshot_decode(bytes, n, snapshot_out, err);
    if (st == MN_OK && memcmp(&snapshot_out->id, id, sizeof *id) != 0) {
        mni_snapshot_done(snapshot_out);
        st = mni_fail(err, MN_ERR_CORRUPT, "its id is not that of its name");
    }
    mni_free(bytes);
    return st;
}

mn_status mni_pool_load(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                        struct mni_snapshot *snapshot_out, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_file *file = NULL;
    uint64_t n = 0;

    *snapshot_out = (struct mni_snapshot){0};
    pool_snapshot_name(id, "", name);
    mn_status st = open_snapshot(pool, name, &file, &n, err);
    if (st == MN_OK)
        st = read_snapshot(file, n, id, snapshot_out, err);
    mni_file_close(file);
    if (st != MN_OK && st != MN_NOT_FOUND)
        mni_error_prefix(err, "%s", name);
    return st;
}

/* Listing ----------*/

struct entry {
    struct mni_snapshot_id id;
    int64_t created_us;
};

static mn_status add_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct mni_buf *entries = context;
    struct entry entry = {0};
    bool is_new = false;

    if (is_dir || !pool_parse_snapshot_name(name, &entry.id, &is_new) || is_new)
        return MN_OK;
    if (mni_buf_append(entries, &entry, sizeof entry) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "list of snapshots");
    return MN_OK;
}

/* When it was made; the earliest time for one that is damaged or has gone. */
static mn_status read_created(struct mni_pool_dir *pool, struct entry *entry, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct snapshot_header header;
    struct mni_file *file = NULL;

    entry->created_us = INT64_MIN;
    pool_snapshot_name(&entry->id, "", name);
    mn_status st = mni_dir_open_file(pool->dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = read_header(file, &entry->id, &header, err);
    mni_file_close(file);
    if (st == MN_OK)
        entry->created_us = header.created_us;
    return st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED ? MN_OK : pool_as_error(st, err);
}

static int newest_first(const void *one, const void *other)
{
    const struct entry *a = one;
    const struct entry *b = other;
    uint64_t a_lsn = mni_snapshot_id_lsn(&a->id);
    uint64_t b_lsn = mni_snapshot_id_lsn(&b->id);

    if (a_lsn != b_lsn)
        return a_lsn > b_lsn ? -1 : 1;
    if (a->created_us != b->created_us)
        return a->created_us > b->created_us ? -1 : 1;
    return memcmp(&b->id, &a->id, sizeof a->id);
}

/* Only where several are of one LSN does the time matter. */
static mn_status read_times(struct mni_pool_dir *pool, struct entry *entries, size_t n,
                            struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < n && st == MN_OK; i++) {
        uint64_t lsn = mni_snapshot_id_lsn(&entries[i].id);
        if ((i > 0 && mni_snapshot_id_lsn(&entries[i - 1].id) == lsn) ||
            (i + 1 < n && mni_snapshot_id_lsn(&entries[i + 1].id) == lsn))
            st = read_created(pool, &entries[i], err);
    }
    return st;
}

mn_status mni_pool_list(struct mni_pool_dir *pool, struct mni_snapshot_id **ids_out, size_t *n_out,
                        struct mn_error *err)
{
    struct mni_snapshot_id *ids = NULL;
    struct mni_buf buf = {0};

    *ids_out = NULL;
    *n_out = 0;
    mn_status st = pool_as_error(mni_dir_list(pool->dir, add_entry, &buf, err), err);
    struct entry *entries = (void *)buf.data;
    size_t n = buf.n_bytes / sizeof *entries;
    if (st == MN_OK && n > 0) {
        qsort(entries, n, sizeof *entries, newest_first);
        st = read_times(pool, entries, n, err);
    }
    if (st == MN_OK) {
        ids = mni_alloc_array(n, sizeof *ids);
        if (ids == NULL)
            st = mni_fail(err, MN_ERR_NOMEM, "list of snapshots");
    }
    if (st == MN_OK && n > 0)
        qsort(entries, n, sizeof *entries, newest_first);
    for (size_t i = 0; st == MN_OK && i < n; i++)
        ids[i] = entries[i].id;
    mni_buf_done(&buf);
    if (st != MN_OK)
        return st;
    *ids_out = ids;
    *n_out = n;
    return MN_OK;
}
