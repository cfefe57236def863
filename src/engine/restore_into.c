/*
 * restore_into.c - makes a new store of a snapshot.
 *
 *     mark       a file RESTORE: what is in the directory is no store. Its random number is ours
 *     give       the files get their names in seg/
 *     publish    a manifest, with the snapshot's LSN
 *     log        begins above it
 *     STORE      the settings, and an id of its own
 *     unmark     it is a store
 *
 * Cut off anywhere, the mark is there, and the next restore clears the directory.
 *
 * Owns:    the target's directory, while it is made.
 * Format:  docs/format/store.md
 * Threads: one per target.
 * Fails:   as writing files does; nothing is left then, as far as that can be.
 */
#include "base/check.h"
#include "base/plant.h"
#include "engine/restore_private.h"

/* What is there ---------- */

struct survey {
    bool has_store;
    bool has_mark;
    bool has_log_dir;
    bool has_seg_dir;
    char other[MNI_NAME_BYTES_MAX];
};

static void note_other(struct survey *survey, const char *name)
{
    for (size_t i = 0; i + 1 < sizeof survey->other && name[i] != '\0'; i++)
        survey->other[i] = name[i];
}

static mn_status note_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct survey *survey = context;

    (void)err;
    if (!is_dir && strcmp(name, "STORE") == 0)
        survey->has_store = true;
    else if (!is_dir && strcmp(name, RESTORE_MARK) == 0)
        survey->has_mark = true;
    else if (is_dir && strcmp(name, "wal") == 0)
        survey->has_log_dir = true;
    else if (is_dir && strcmp(name, "seg") == 0)
        survey->has_seg_dir = true;
    else if (strcmp(name, "lost+found") != 0)
        note_other(survey, name);
    return MN_OK;
}

static mn_status note_any(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    (void)is_dir;
    (void)err;
    note_other(context, name);
    return MN_OK;
}

/* Directories that a cut-off making left are fine, as long as nothing is in them. */
static mn_status look_inside(struct mni_dir *dir, const char *name, struct survey *survey,
                             struct mn_error *err)
{
    struct mni_dir *inside = NULL;
    mn_status st = mni_dir_open_dir(dir, name, false, &inside, err);

    if (st == MN_OK)
        st = mni_dir_list(inside, note_any, survey, err);
    mni_dir_close(inside);
    return st;
}

static mn_status check_is_free(struct mni_dir *dir, const char *path, bool *is_marked_out,
                               struct mn_error *err)
{
    struct survey survey = {0};
    mn_status st = mni_dir_list(dir, note_entry, &survey, err);

    *is_marked_out = survey.has_mark;
    if (st != MN_OK || survey.has_mark)
        return st;
    if (survey.has_store)
        return mni_fail(err, MN_ERR_INVALID,
                        "%.300s holds a store already; restoring in its place has to be asked for",
                        path);
    if (survey.has_log_dir)
        st = look_inside(dir, "wal", &survey, err);
    if (st == MN_OK && survey.has_seg_dir)
        st = look_inside(dir, "seg", &survey, err);
    if (st == MN_OK && survey.other[0] != '\0')
        st = mni_fail(err, MN_ERR_INVALID, "%.300s is not empty: it holds \"%.60s\"", path,
                      survey.other);
    return st;
}

/* Clearing ---------- */

static mn_status remove_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct mni_dir *dir = context;

    if (is_dir || strcmp(name, RESTORE_MARK) == 0)
        return MN_OK;
    return mni_dir_unlink(dir, name, err);
}

static mn_status clear_inside(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    struct mni_dir *inside = NULL;
    mn_status st = mni_dir_open_dir(dir, name, false, &inside, err);

    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = mni_dir_list(inside, remove_file, inside, err);
    if (st == MN_OK)
        st = mni_dir_sync(inside, err);
    mni_dir_close(inside);
    return st;
}

/* Only under the mark: all that is there is of a restore. */
static mn_status clear(struct mni_dir *dir, struct mn_error *err)
{
    mn_status st = clear_inside(dir, "wal", err);

    if (st == MN_OK)
        st = clear_inside(dir, "seg", err);
    if (st == MN_OK)
        st = mni_dir_list(dir, remove_file, dir, err);
    return st == MN_OK ? mni_dir_sync(dir, err) : st;
}

void restore_clear(struct mni_dir *dir)
{
    if (clear(dir, NULL) == MN_OK)
        mni_ignore(restore_unmark(dir, NULL));
}

/* Marking ---------- */

/* Also over the mark of one that was cut off. */
static mn_status mark(struct restore *restore, struct mni_dir *dir, struct mn_error *err)
{
    unsigned flags = MNI_OPEN_WRITE;
    struct mni_file *file = NULL;
    mn_status st = mni_env_random(restore->env, restore->mark, sizeof restore->mark, err);

    if (st == MN_OK)
        st = mni_dir_open_file(dir, RESTORE_MARK, flags | MNI_OPEN_CREATE, &file, err);
    if (st == MN_EXISTS)
        st = mni_dir_open_file(dir, RESTORE_MARK, flags, &file, err);
    if (st == MN_OK)
        st = mni_file_write(file, 0, restore->mark, sizeof restore->mark, err);
    if (st == MN_OK)
        st = mni_file_sync(file, err);
    mni_file_close(file);
    return st == MN_OK ? mni_dir_sync(dir, err) : st;
}

/* Whether the directory is still what we make there. */
static mn_status check_mark(const struct restore *restore, struct mni_dir *dir,
                            struct mn_error *err)
{
    unsigned char found[RESTORE_MARK_BYTES];
    struct mni_file *file = NULL;
    size_t n = 0;
    mn_status st = mni_dir_open_file(dir, RESTORE_MARK, MNI_OPEN_READ, &file, err);

    if (st == MN_OK)
        st = mni_file_read(file, 0, found, sizeof found, &n, err);
    mni_file_close(file);
    if (st == MN_NOT_FOUND ||
        (st == MN_OK && (n != sizeof found || memcmp(found, restore->mark, n) != 0)))
        return mni_fail(err, MN_ERR_IO,
                        "%.300s was changed by somebody else while it was restored into",
                        restore->request->path);
    return st;
}

mn_status restore_unmark(struct mni_dir *dir, struct mn_error *err)
{
    mn_status st = mni_dir_unlink(dir, RESTORE_MARK, err);

    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "the file RESTORE has gone");
    return st == MN_OK ? mni_dir_sync(dir, err) : st;
}

static mn_status take_directory(struct restore *restore, struct mni_dir *dir, bool creates,
                                struct mn_error *err)
{
    const char *path = restore->request->path;
    bool is_marked = false;
    mn_status st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, err);

    if (st == MN_ERR_IN_USE)
        return mni_fail(err, st, "the store in %.300s is in use", path);
    if (st == MN_OK)
        st = check_is_free(dir, path, &is_marked, err);
    if (st != MN_OK || !creates)
        return st;
    if (is_marked)
        st = clear(dir, err);
    return st == MN_OK ? mark(restore, dir, err) : st;
}

mn_status restore_open_into(struct restore *restore, bool creates, struct mni_dir **dir_out,
                            struct mn_error *err)
{
    const char *path = restore->request->path;
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(restore->env, path, creates, &dir, err);

    *dir_out = NULL;
    if (st == MN_NOT_FOUND)
        return creates ? mni_fail(err, MN_ERR_IO, "%.300s cannot be made", path) : MN_OK;
    if (st == MN_OK)
        st = take_directory(restore, dir, creates, err);
    if (st != MN_OK) {
        mni_dir_close(dir);
        return st;
    }
    *dir_out = dir;
    return MN_OK;
}

/* Making ---------- */

static mn_status give_files(struct restore *restore, struct mni_dir *dir, struct mn_error *err)
{
    struct mni_dir *seg_dir = NULL;
    mn_status st = mni_dir_open_dir(dir, "seg", true, &seg_dir, err);

    if (st == MN_OK)
        st = mni_pool_give(restore->request->pool, &restore->snapshot, seg_dir,
                           &restore->request->progress, err);
    mni_dir_close(seg_dir);
    return st;
}

static mn_status publish(struct restore *restore, struct mni_dir *dir,
                         const struct store_file *store, int64_t now_us, struct mn_error *err)
{
    struct mni_manifest m = {0};
    bool is_in_doubt = false; /* under the mark nothing depends on it */
    uint64_t lsn = restore->snapshot.manifest.lsn;
    mn_status st = restore_manifest(restore, 1, lsn, store->store_id, now_us, &m, err);

    if (st == MN_OK)
        st = mni_manifest_publish(dir, &m, &is_in_doubt, err);
    if (st == MN_OK)
        st = restore_count(restore, &m, dir, err);
    if (st == MN_OK)
        st = restore_log(restore, dir, store->store_id, lsn, m.last_time_us, err);
    mni_manifest_done(&m);
    restore->report->lsn = lsn;
    return st;
}

mn_status restore_make(struct restore *restore, struct mni_dir *dir, struct mn_error *err)
{
    struct store_file store = restore->store;
    int64_t now_us = mni_env_wall_us(restore->env);

    store.created_us = now_us;
    /* Directories are those of the store that the snapshot is of, and in use there. */
    memset(store.texts, 0, sizeof store.texts);
    mn_status st = mni_env_random(restore->env, store.store_id, sizeof store.store_id, err);
    if (st == MN_OK && MNI_PLANTED("restore_unmarked_early"))
        st = store_file_write(dir, &store, err);
    if (st == MN_OK && MNI_PLANTED("restore_unmarked_early"))
        st = restore_unmark(dir, err);
    if (st == MN_OK)
        st = give_files(restore, dir, err);
    if (st == MN_OK)
        st = publish(restore, dir, &store, now_us, err);
    return st == MN_OK ? store_file_write(dir, &store, err) : st;
}

mn_status restore_end_into(const struct restore *restore, mn_status st, struct mn_error *err)
{
    const char *path = restore->request->path;
    struct mn_error *open_err = st == MN_OK ? err : NULL;
    struct mni_dir *dir = NULL;
    mn_status open_st = mni_env_open_dir(restore->env, path, false, &dir, open_err);

    if (open_st == MN_NOT_FOUND)
        open_st = mni_fail(open_err, MN_ERR_IO, "%.300s has gone", path);
    if (open_st == MN_OK)
        open_st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, open_err);
    if (open_st == MN_OK)
        open_st = check_mark(restore, dir, open_err);
    if (st == MN_OK)
        st = open_st == MN_OK ? restore_unmark(dir, err) : open_st;
    else if (open_st == MN_OK)
        restore_clear(dir);
    mni_dir_close(dir);
    return st;
}

mn_status restore_into(struct restore *restore, struct mn_error *err)
{
    bool is_dry_run = restore->request->is_dry_run;
    struct mni_dir *dir = NULL;
    mn_status st = restore_open_into(restore, !is_dry_run, &dir, err);

    if (st != MN_OK)
        return st;
    if (is_dry_run) {
        restore->report->lsn = restore->snapshot.manifest.lsn;
        st = restore_count_snapshot(restore, err);
    } else {
        st = restore_make(restore, dir, err);
        if (st == MN_OK)
            st = restore_unmark(dir, err);
        else
            restore_clear(dir);
    }
    mni_dir_close(dir);
    return st;
}
