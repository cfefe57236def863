/*
 * show.c - a snapshot's files under the names that they have in a store, for reading.
 *
 * Owns:    the handle; pool and snapshot are borrowed.
 * Format:  docs/format/snapshot.md
 * Threads: any may open files.
 * Fails:   writing is MN_ERR_READ_ONLY.
 */
#include "base/check.h"
#include "base/mem.h"
#include "snapshot/snapshot_private.h"

struct shown_dir {
    struct mni_dir base;
    struct mni_pool_dir *pool;           /* borrowed: outlives this */
    const struct mni_snapshot *snapshot; /* likewise */
};

static struct shown_dir *as_shown(struct mni_dir *dir)
{
    return (struct shown_dir *)dir;
}

/* The file of a snapshot that has this name in a store. */
static bool find_file(const struct mni_snapshot *snapshot, const char *name,
                      struct pool_file *file_out)
{
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation;

    if (!mni_manifest_parse_name(name, id, &generation))
        return false;
    const struct mni_manifest_segment *s = mni_manifest_find(&snapshot->manifest, id);
    if (s == NULL)
        return false;
    *file_out = (struct pool_file){.generation = generation, .crc = s->footer_crc};
    memcpy(file_out->segment_id, id, sizeof id);
    if (generation == 0)
        return true;
    for (size_t i = 0; i < s->n_lives; i++) {
        const struct mni_manifest_live *live = &snapshot->manifest.lives[s->first_live + i];
        file_out->crc = live->crc;
        if (live->generation == generation)
            return true;
    }
    return false;
}

static mn_status open_file(struct mni_dir *dir, const char *name, unsigned flags,
                           struct mni_file **file_out, struct mn_error *err)
{
    struct shown_dir *shown = as_shown(dir);
    char pool_name[MNI_NAME_BYTES_MAX];
    struct pool_file file;

    *file_out = NULL;
    if ((flags & (MNI_OPEN_WRITE | MNI_OPEN_CREATE)) != 0)
        return mni_fail(err, MN_ERR_READ_ONLY, "%s is of a snapshot", name);
    if (!find_file(shown->snapshot, name, &file))
        return mni_fail(err, MN_NOT_FOUND, "%s is not of this snapshot", name);
    pool_file_name(&file, pool_name);
    return mni_dir_open_file(shown->pool->files, pool_name, flags, file_out, err);
}

static mn_status refuse(struct mn_error *err)
{
    return mni_fail(err, MN_ERR_READ_ONLY, "a snapshot does not change");
}

static mn_status open_dir(struct mni_dir *dir, const char *name, bool create,
                          struct mni_dir **dir_out, struct mn_error *err)
{
    (void)dir;
    (void)create;
    *dir_out = NULL;
    return mni_fail(err, MN_NOT_FOUND, "%s is not of this snapshot", name);
}

static mn_status list(struct mni_dir *dir, mni_list_fn *each, void *context, struct mn_error *err)
{
    struct file_cursor cursor = {0};
    struct pool_file file;
    mn_status st = MN_OK;

    while (st == MN_OK && snapshot_next_file(as_shown(dir)->snapshot, &cursor, &file)) {
        char name[MNI_NAME_BYTES_MAX];
        pool_file_store_name(&file, name);
        st = each(context, name, false, err);
    }
    return st;
}

static mn_status rename_file(struct mni_dir *dir, const char *from, const char *to,
                             struct mn_error *err)
{
    (void)dir;
    (void)from;
    (void)to;
    return refuse(err);
}

static mn_status unlink_file(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    (void)dir;
    (void)name;
    return refuse(err);
}

static mn_status remove_file(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                             void *context, struct mn_error *err)
{
    (void)dir;
    (void)name;
    (void)step;
    (void)context;
    return refuse(err);
}

static mn_status link_file(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                           const char *from, struct mn_error *err)
{
    (void)dir;
    (void)name;
    (void)from_dir;
    (void)from;
    return refuse(err);
}

static mn_status sync_dir(struct mni_dir *dir, struct mn_error *err)
{
    (void)dir;
    return refuse(err);
}

static mn_status lock_dir(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err)
{
    (void)dir;
    (void)mode;
    return refuse(err);
}

static void close_dir(struct mni_dir *dir)
{
    mni_free(as_shown(dir));
}

mn_status mni_pool_show(struct mni_pool_dir *pool, const struct mni_snapshot *snapshot,
                        struct mni_dir **seg_dir_out, struct mn_error *err)
{
    static const struct mni_dir_ops ops = {
        .open_file = open_file,
        .open_dir = open_dir,
        .list = list,
        .rename = rename_file,
        .unlink = unlink_file,
        .remove = remove_file,
        .link = link_file,
        .sync = sync_dir,
        .lock = lock_dir,
        .close = close_dir,
    };
    struct shown_dir *shown;

    MNI_CHECK(pool->is_locked);
    *seg_dir_out = NULL;
    if ((snapshot->flags & MNI_SNAPSHOT_COMPRESSED) != 0)
        return mni_fail(err, MN_ERR_UNSUPPORTED,
                        "the snapshot is compressed; it has to be restored to be read");
    shown = mni_alloc_zero(sizeof *shown);
    if (shown == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a snapshot's files");
    shown->base.ops = &ops;
    shown->pool = pool;
    shown->snapshot = snapshot;
    *seg_dir_out = &shown->base;
    return MN_OK;
}
