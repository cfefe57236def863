/*
 * remove.c - removes snapshots, and the files that no snapshot names.
 *
 * Owns:    nothing between calls.
 * Format:  docs/format/snapshot.md
 * Threads: one remover at a time, beside nobody, which the lock sees to.
 * Fails:   a file stays as long as any snapshot cannot be read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "snapshot/snapshot_private.h"

/* Names to be removed from a directory: MNI_NAME_BYTES_MAX each. */
static mn_status keep_name(struct mni_buf *names, const char *name, struct mn_error *err)
{
    char item[MNI_NAME_BYTES_MAX] = {0};

    memcpy(item, name, strlen(name) + 1);
    if (mni_buf_append(names, item, sizeof item) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "names of files");
    return MN_OK;
}

/* What is in `files/`. */
struct inventory {
    struct mni_buf files; /* struct pool_file, in order; n_rows tells that it is named */
    struct mni_buf names; /* of what was being copied or written */
};

static mn_status take_stock(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct inventory *inventory = context;
    struct pool_file file;

    if (is_dir)
        return MN_OK;
    if (strcmp(name, pool_copying_name) == 0 || strcmp(name, pool_rewriting_name) == 0)
        return keep_name(&inventory->names, name, err);
    if (!pool_file_parse(name, &file))
        return MN_OK;
    if (mni_buf_append(&inventory->files, &file, sizeof file) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "names of files");
    return MN_OK;
}

/* Marks the files of a snapshot as named. */
static mn_status mark(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                      struct inventory *inventory, struct mn_error *err)
{
    size_t n = inventory->files.n_bytes / sizeof(struct pool_file);
    struct file_cursor cursor = {0};
    struct mni_snapshot snapshot;
    struct pool_file file;

    mn_status st = mni_pool_load(pool, id, &snapshot, err);
    if (st != MN_OK)
        return pool_as_error(st, err);
    while (n > 0 && snapshot_next_file(&snapshot, &cursor, &file)) {
        struct pool_file *found =
            bsearch(&file, inventory->files.data, n, sizeof file, pool_file_compare);
        if (found != NULL)
            found->n_rows = 1;
    }
    mni_snapshot_done(&snapshot);
    return MN_OK;
}

static mn_status mark_all(struct mni_pool_dir *pool, struct inventory *inventory,
                          struct mn_error *err)
{
    struct mni_snapshot_id *ids = NULL;
    size_t n_ids = 0;
    mn_status st = mni_pool_list(pool, &ids, &n_ids, err);

    if (MNI_PLANTED("pool_shared_files_removed"))
        n_ids = n_ids > 1 ? n_ids - 1 : n_ids; /* the oldest is forgotten */
    for (size_t i = 0; i < n_ids && st == MN_OK; i++)
        st = mark(pool, &ids[i], inventory, err);
    mni_free(ids);
    return st;
}

static mn_status remove_file(struct mni_dir *dir, const char *name, uint64_t *freed,
                             struct mn_error *err)
{
    struct mni_file *file = NULL;
    uint64_t n = 0;

    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_size(file, &n, err);
    mni_file_close(file);
    if (st == MN_OK)
        st = mni_dir_unlink(dir, name, err); /* not in steps: a store may have it mapped */
    if (st == MN_OK)
        *freed += n;
    return st == MN_NOT_FOUND ? MN_OK : pool_as_error(st, err);
}

static mn_status remove_names(struct mni_dir *dir, const struct mni_buf *names, uint64_t *freed,
                              struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < names->n_bytes && st == MN_OK; i += MNI_NAME_BYTES_MAX)
        st = remove_file(dir, (const char *)names->data + i, freed, err);
    return st;
}

static mn_status remove_unnamed(struct mni_pool_dir *pool, const struct inventory *inventory,
                                uint64_t *freed, struct mn_error *err)
{
    const struct pool_file *files = (const void *)inventory->files.data;
    size_t n = inventory->files.n_bytes / sizeof *files;
    char name[MNI_NAME_BYTES_MAX];
    mn_status st = remove_names(pool->files, &inventory->names, freed, err);

    for (size_t i = 0; i < n && st == MN_OK; i++) {
        if (files[i].n_rows != 0)
            continue;
        pool_file_name(&files[i], name);
        st = remove_file(pool->files, name, freed, err);
    }
    return st == MN_OK ? pool_as_error(mni_dir_sync(pool->files, err), err) : st;
}

/* Removes all files of `files/` that no snapshot names. */
static mn_status collect_files(struct mni_pool_dir *pool, uint64_t *freed, struct mn_error *err)
{
    struct inventory inventory = {0};
    mn_status st = pool_as_error(mni_dir_list(pool->files, take_stock, &inventory, err), err);

    if (st == MN_OK && inventory.files.n_bytes > 0)
        qsort(inventory.files.data, inventory.files.n_bytes / sizeof(struct pool_file),
              sizeof(struct pool_file), pool_file_compare);
    if (st == MN_OK)
        st = mark_all(pool, &inventory, err);
    if (st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
        mni_error_prefix(err, "no file can go, because a snapshot that may need it cannot be read");
    if (st == MN_OK)
        st = remove_unnamed(pool, &inventory, freed, err);
    mni_buf_done(&inventory.files);
    mni_buf_done(&inventory.names);
    return st;
}

/* Snapshots that were being written ----------*/

static mn_status find_unfinished(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct mni_snapshot_id id;
    bool is_new = false;

    if (is_dir || !pool_parse_snapshot_name(name, &id, &is_new) || !is_new)
        return MN_OK;
    return keep_name(context, name, err);
}

mn_status mni_pool_collect(struct mni_pool_dir *pool, uint64_t *freed_out, struct mn_error *err)
{
    struct mni_buf names = {0};
    uint64_t freed = 0;

    MNI_CHECK(pool->is_locked && pool->lock == MNI_POOL_REMOVE);
    mn_status st = pool_as_error(mni_dir_list(pool->dir, find_unfinished, &names, err), err);
    if (st == MN_OK)
        st = remove_names(pool->dir, &names, &freed, err);
    mni_buf_done(&names);
    /* A snapshot that has gone must not come back without its files. */
    if (st == MN_OK && !MNI_PLANTED("pool_files_removed_first"))
        st = pool_as_error(mni_dir_sync(pool->dir, err), err);
    if (st == MN_OK)
        st = collect_files(pool, &freed, err);
    if (freed_out != NULL)
        *freed_out = freed;
    return st;
}

mn_status mni_pool_forget(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                          struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    MNI_CHECK(pool->is_locked && pool->lock == MNI_POOL_REMOVE);
    pool_snapshot_name(id, "", name);
    mn_status st = mni_dir_unlink(pool->dir, name, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_NOT_FOUND, "there is no snapshot %.32s", name);
    return pool_as_error(st, err);
}

mn_status mni_pool_remove(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                          uint64_t *freed_out, struct mn_error *err)
{
    if (freed_out != NULL)
        *freed_out = 0;
    mn_status st = mni_pool_forget(pool, id, err);
    return st == MN_OK ? mni_pool_collect(pool, freed_out, err) : st;
}
