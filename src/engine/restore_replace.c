/*
 * restore_replace.c - puts a snapshot in the place of what a store holds.
 *
 *     stage      the files get their names in seg/, beside those of the store
 *     prepare    STORE.<number> with the settings
 *     publish    manifest <number> names the restored files: from here on it is the store. Its LSN
 *                is a new one, above all that were ever handed out, so nothing of the log counts
 *     settle     STORE.<number> becomes STORE, the log begins anew, what was there goes
 *
 * Cut off before publishing, the next opening finds the old store, and removes what was staged;
 * after it, the restored one, and does what was left to do. A store whose manifest or log is
 * damaged can be restored, too; STORE must be whole.
 *
 * Owns:    the target's directory, while it works.
 * Format:  docs/format/{store,manifest,wal}.md
 * Threads: one per target, which nobody has open.
 * Fails:   before publishing: nothing has changed. While publishing fails, either state is found.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/plant.h"
#include "engine/archive_private.h"
#include "engine/restore_private.h"

/* What is allowed for where nothing tells which LSNs were handed out. */
#define UNKNOWN_LSNS (UINT64_C(1) << 40)

struct target {
    struct restore *restore;
    struct mni_dir *dir;          /* owned; locked */
    struct mni_dir *seg_dir;      /* owned */
    struct store_file store;      /* as it is */
    struct mni_manifest manifest; /* the root, number 0: there is none that can be read */
    struct mni_buf names;         /* of files that were in seg/ before: MNI_NAME_BYTES_MAX each */
    uint64_t number;              /* of the newest one that is there, readable or not */
    uint64_t lsn;                 /* that it is restored at */
    int64_t last_time_us;
    bool is_root_damaged;
    bool is_staged; /* `names` holds what was there before */
    bool is_over;   /* the new manifest was published, or may have been */
};

/* Looking ---------- */

static mn_status load_root(struct target *t, struct mn_error *err)
{
    struct mn_error why = {0};
    bool is_damaged = false;
    mn_status st = mni_manifest_load(t->dir, t->store.store_id, &t->manifest, &is_damaged, &why);

    t->is_root_damaged = st == MN_ERR_CORRUPT;
    if (st != MN_OK && st != MN_NOT_FOUND && st != MN_ERR_CORRUPT)
        return mni_fail(err, st, "%s", why.message);
    st = mni_manifest_newest(t->dir, &t->number, err);
    if (st == MN_OK)
        st = store_file_settle(t->dir, t->manifest.number, t->restore->request->is_dry_run,
                               &t->store, err);
    if (st == MN_OK && !t->restore->request->is_dry_run)
        st = mni_dir_sync(t->dir, err);
    return st;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* An LSN above all that were handed out. */
static mn_status choose_lsn(struct target *t, struct mn_error *err)
{
    const struct mni_manifest *restored = &t->restore->snapshot.manifest;
    struct mni_dir *wal_dir = NULL;
    uint64_t bound = 0;
    mn_status st = mni_dir_open_dir(t->dir, "wal", false, &wal_dir, err);

    if (st == MN_OK)
        st = mni_wal_lsn_bound(wal_dir, &bound, err);
    mni_dir_close(wal_dir);
    bool is_log_gone = st == MN_NOT_FOUND;
    if (st != MN_OK && !is_log_gone)
        return st;
    bound = greater(bound, greater(t->manifest.lsn, t->manifest.lsn_handed_out));
    bound = greater(bound, greater(restored->lsn, restored->lsn_handed_out));
    if (t->is_root_damaged || is_log_gone)
        bound += UNKNOWN_LSNS;
    t->lsn = MNI_PLANTED("restore_reuses_lsns") ? restored->lsn : bound + 1;
    t->last_time_us = mni_env_wall_us(t->restore->env);
    if (t->manifest.number != 0 && t->manifest.last_time_us > t->last_time_us)
        t->last_time_us = t->manifest.last_time_us;
    return MN_OK;
}

static mn_status open_target(struct target *t, struct mn_error *err)
{
    bool is_dry_run = t->restore->request->is_dry_run;
    bool is_new = false;
    mn_status st = engine_open_dir(t->restore->env, t->restore->request->path, false, is_dry_run,
                                   &t->dir, &t->store, &is_new, err);

    if (st == MN_OK)
        st = load_root(t, err);
    return st == MN_OK ? choose_lsn(t, err) : st;
}

/* Staging ---------- */

/* Whoever published the root may have died before it was durable: then files of the one before it
 * are still needed. */
static mn_status confirm_root(struct target *t, struct mn_error *err)
{
    bool is_unsure = false;
    bool is_in_doubt = false;

    if (t->manifest.number == 0)
        return MN_OK;
    mn_status st = mni_manifest_has_older(t->dir, t->manifest.number, &is_unsure, err);
    if (st != MN_OK || (!is_unsure && t->manifest.number != 1))
        return st;
    t->manifest.number++;
    st = mni_manifest_publish(t->dir, &t->manifest, &is_in_doubt, err);
    t->number = t->manifest.number;
    return st == MN_OK ? mni_manifest_remove_older(t->dir, t->number, err) : st;
}

/* A liveness file of the snapshot's that the store may have under this name, while nobody knows
 * what its root was: whatever is there may be needed, by a salvage. */
static mn_status check_is_same(struct target *t, const struct mni_manifest_segment *s,
                               const struct mni_manifest_live *live, const char *name,
                               struct mn_error *err)
{
    struct mni_live_info expected = {
        .generation = live->generation, .file_bytes = live->file_bytes, .crc = live->crc};
    struct mn_error why = {0};

    memcpy(expected.id.bytes, s->id, sizeof expected.id.bytes);
    mn_status st = mni_live_check(t->seg_dir, name, &expected, s->n_rows, &why);
    if (st == MN_OK || st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
        return mni_fail(err, MN_ERR_INVALID,
                        "the store has no manifest that can be read, and seg/%s is not that of the "
                        "snapshot, but may be needed to salvage it; restore into a new directory",
                        name);
    return mni_fail(err, st, "%s", why.message);
}

/* The same where the root is known. */
static mn_status clear_way(struct target *t, const struct mni_manifest_segment *s,
                           const struct mni_manifest_live *live, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    mni_manifest_live_name(s->id, live->generation, name);
    if (t->manifest.number == 0)
        return check_is_same(t, s, live, name, err);
    const struct mni_manifest_segment *ours = mni_manifest_find(&t->manifest, s->id);
    for (size_t i = 0; ours != NULL && i < ours->n_lives; i++) {
        const struct mni_manifest_live *other = &t->manifest.lives[ours->first_live + i];
        if (other->generation != live->generation)
            continue;
        if (other->crc == live->crc && other->file_bytes == live->file_bytes)
            return MN_OK;
        return mni_fail(err, MN_ERR_INVALID,
                        "the snapshot is of a copy of this store that went another way (%s); "
                        "restore it into a new directory",
                        name);
    }
    /* Nobody needs it: left of a checkpoint that was cut off, or of a past that was left. */
    mn_status st = mni_dir_unlink(t->seg_dir, name, err);
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status clear_names(struct target *t, struct mn_error *err)
{
    const struct mni_manifest *m = &t->restore->snapshot.manifest;
    mn_status st = MN_OK;

    for (size_t i = 0; i < m->n_segments && st == MN_OK; i++)
        for (size_t j = 0; j < m->segments[i].n_lives && st == MN_OK; j++)
            st = clear_way(t, &m->segments[i], &m->lives[m->segments[i].first_live + j], err);
    return st;
}

static mn_status keep_name(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct mni_buf *names = context;
    char item[MNI_NAME_BYTES_MAX] = {0};

    for (size_t i = 0; i + 1 < sizeof item && name[i] != '\0'; i++)
        item[i] = name[i];
    if (!is_dir && mni_buf_append(names, item, sizeof item) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "names of files");
    return MN_OK;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(one, other);
}

/* What is in seg/ before anything is staged. */
static mn_status note_names(struct target *t, struct mn_error *err)
{
    mni_buf_reset(&t->names);
    mn_status st = mni_dir_list(t->seg_dir, keep_name, &t->names, err);
    if (st == MN_OK && t->names.n_bytes > 0)
        qsort(t->names.data, t->names.n_bytes / MNI_NAME_BYTES_MAX, MNI_NAME_BYTES_MAX,
              compare_names);
    t->is_staged = st == MN_OK;
    return st;
}

static mn_status stage(struct target *t, struct mn_error *err)
{
    const struct mni_restore_request *r = t->restore->request;
    mn_status st = confirm_root(t, err);

    if (st == MN_OK && t->seg_dir == NULL)
        st = mni_dir_open_dir(t->dir, "seg", true, &t->seg_dir, err);
    if (st == MN_OK)
        st = mni_dir_sync(t->dir, err);
    if (st == MN_OK)
        st = clear_names(t, err);
    if (st == MN_OK)
        st = note_names(t, err);
    return st == MN_OK
               ? mni_pool_give(r->pool, &t->restore->snapshot, t->seg_dir, &r->progress, err)
               : st;
}

/* Going over ---------- */

static mn_status remove_staged(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    const struct target *t = context;
    size_t n = t->names.n_bytes / MNI_NAME_BYTES_MAX;

    if (is_dir ||
        (n > 0 && bsearch(name, t->names.data, n, MNI_NAME_BYTES_MAX, compare_names) != NULL))
        return MN_OK;
    return mni_dir_unlink(t->seg_dir, name, err);
}

/* Before anything was published. What was there stays, whether the root names it or not: it may be
 * damaged, or gone, and the files be all that a salvage has. */
static void unstage(struct target *t)
{
    if (t->is_staged)
        mni_ignore(mni_dir_list(t->seg_dir, remove_staged, t, NULL));
    t->is_staged = false;
    mni_ignore(store_file_settle(t->dir, t->manifest.number, false, &t->store, NULL));
}

/* Manifest and settings, together. */
static mn_status publish(struct target *t, struct mni_manifest *m, bool *is_in_doubt_out,
                         struct mn_error *err)
{
    struct store_file store = t->restore->store;

    memcpy(store.store_id, t->store.store_id, sizeof store.store_id);
    store.created_us = t->store.created_us;
    /* Directories are where this machine keeps things, and no part of what is restored. */
    memcpy(store.texts, t->store.texts, sizeof store.texts);
    *is_in_doubt_out = false;
    mn_status st = MNI_PLANTED("restore_settings_first")
                       ? store_file_write(t->dir, &store, err)
                       : store_file_prepare(t->dir, &store, m->number, err);
    if (st == MN_OK && MNI_PLANTED("restore_log_first"))
        st = restore_log(t->restore, t->dir, store.store_id, m->lsn, m->last_time_us, err);
    return st == MN_OK ? mni_manifest_publish(t->dir, m, is_in_doubt_out, err) : st;
}

struct naming {
    struct mni_dir *seg_dir;
    struct mni_manifest *manifest;
};

static mn_status keep_named(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    const struct naming *naming = context;

    if (is_dir || (naming->manifest->number != 0 && mni_manifest_has_name(naming->manifest, name)))
        return MN_OK;
    return mni_dir_unlink(naming->seg_dir, name, err);
}

static mn_status remove_unnamed(struct mni_dir *seg_dir, struct mni_manifest *manifest,
                                struct mn_error *err)
{
    struct naming naming = {.seg_dir = seg_dir, .manifest = manifest};

    return mni_dir_list(seg_dir, keep_named, &naming, err);
}

/* It is restored. What fails here is done by the next opening, unless the old log is damaged. */
static mn_status settle(struct target *t, struct mni_manifest *m, struct mn_error *err)
{
    mn_status st = store_file_settle(t->dir, m->number, false, &t->store, err);

    if (st == MN_OK)
        st = mni_dir_sync(t->dir, err);
    /* Nothing is there any more that a checkpoint would have to write. */
    (void)reserve_remove(t->dir);
    if (st == MN_OK)
        st = restore_log(t->restore, t->dir, t->store.store_id, m->lsn, m->last_time_us, err);
    if (st == MN_OK)
        st = mni_manifest_remove_older(t->dir, m->number, err);
    if (st == MN_OK)
        st = remove_unnamed(t->seg_dir, m, err);
    if (st == MN_OK)
        st = mni_dir_sync(t->seg_dir, err);
    if (st == MN_OK)
        st = mni_dir_sync(t->dir, err);
    if (st != MN_OK)
        mni_error_prefix(err, "the store is restored, but tidying up failed");
    return st;
}

/* What was not kept yet of the past that ends here; moments before the restored one are of it. */
static mn_status keep_log(struct target *t, struct mn_error *err)
{
    const char *path = t->store.texts[TEXT_ARCHIVE_DIR];
    struct mni_dir *wal_dir = NULL;

    if (path[0] == '\0')
        return MN_OK;
    mn_status st = mni_dir_open_dir(t->dir, "wal", false, &wal_dir, err);
    if (st == MN_OK)
        st = archive_all(t->restore->env, path, t->store.store_id, &t->manifest, wal_dir, err);
    mni_dir_close(wal_dir);
    return st == MN_NOT_FOUND ? MN_OK : st;
}

/* Not before it has begun. Where this fails, the first checkpoint in it does the same. */
static void note_beginning(struct target *t, const struct mni_manifest *m)
{
    const char *path = t->store.texts[TEXT_ARCHIVE_DIR];

    if (path[0] != '\0')
        mni_ignore(archive_begin(t->restore->env, path, m, NULL));
}

static mn_status go_over(struct target *t, struct mn_error *err)
{
    struct mni_manifest m = {0};
    bool is_in_doubt = false;
    mn_status st = stage(t, err);

    if (st == MN_OK)
        st = keep_log(t, err);
    if (st == MN_OK)
        st = restore_manifest(t->restore, t->number + 1, t->lsn, t->store.store_id, t->last_time_us,
                              &m, err);
    if (st == MN_OK)
        st = restore_count(t->restore, &m, t->dir, err);
    if (st == MN_OK)
        st = publish(t, &m, &is_in_doubt, err);
    t->is_over = st == MN_OK || is_in_doubt;
    if (st == MN_OK)
        note_beginning(t, &m);
    if (st == MN_OK)
        st = settle(t, &m, err);
    else if (!is_in_doubt)
        unstage(t);
    mni_manifest_done(&m);
    return st;
}

/* The reserve is space for the store that goes. */
static mn_status go_over_on_any_disk(struct target *t, struct mn_error *err)
{
    mn_status st = go_over(t, err);

    return st == MN_ERR_NO_SPACE && !t->is_over && reserve_remove(t->dir) ? go_over(t, err) : st;
}

mn_status restore_replace(struct restore *restore, struct mn_error *err)
{
    struct target t = {.restore = restore};
    mn_status st = open_target(&t, err);

    if (st == MN_OK && restore->request->is_dry_run)
        st = restore_count_snapshot(restore, err);
    else if (st == MN_OK)
        st = go_over_on_any_disk(&t, err);
    restore->report->lsn = t.lsn;
    mni_manifest_done(&t.manifest);
    mni_buf_done(&t.names);
    mni_dir_close(t.seg_dir);
    mni_dir_close(t.dir);
    return st;
}
