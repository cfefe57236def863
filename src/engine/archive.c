/*
 * archive.c - keeps the log in the directory of the setting `archive_dir`, before it is trimmed.
 *
 * Each timeline of a store has a directory of its own there, which is a log that ends somewhere; so
 * files of a past that a restore left never stand beside those of the one that goes on. A
 * manifest that names no segments tells which timelines lead to it.
 *
 * Owns:    nothing.
 * Format:  docs/format/archive.md
 * Threads: one at a time per store: `checkpoint_lock` is held, or nobody has it open.
 * Fails:   as writing files does; the log is not trimmed then.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/archive_private.h"

uint64_t archive_timeline(const struct mni_manifest *manifest)
{
    size_t n = manifest->n_timelines;

    return n > 0 ? manifest->timelines[n - 1].incarnation : manifest->incarnation;
}

void archive_name(const unsigned char *store_id, uint64_t incarnation,
                  char name_out[MNI_NAME_BYTES_MAX])
{
    for (int i = 0; i < MNI_STORE_ID_BYTES; i++)
        (void)snprintf(name_out + (size_t)2 * i, 3, "%02x", store_id[i]);
    (void)snprintf(name_out + 2 * MNI_STORE_ID_BYTES, MNI_NAME_BYTES_MAX - 2 * MNI_STORE_ID_BYTES,
                   "-%016" PRIx64, incarnation);
}

/* The manifest that tells the history, where there is one. */
static mn_status note_history(struct mni_dir *dir, const struct mni_manifest *manifest,
                              struct mn_error *err)
{
    const struct mni_timeline *last = &manifest->timelines[manifest->n_timelines - 1];
    struct mni_manifest m = {.number = 1,
                             .lsn = last->began_lsn,
                             .lsn_handed_out = last->began_lsn,
                             .incarnation = manifest->incarnation,
                             .next_segment = 1};
    char name[MNI_NAME_BYTES_MAX];
    bool is_in_doubt = false;
    uint64_t number = 0;
    mn_status st = mni_manifest_newest(dir, &number, err);

    if (st != MN_OK || number != 0)
        return st;
    memcpy(m.store_id, manifest->store_id, sizeof m.store_id);
    if (mni_manifest_set_timelines(&m, manifest->timelines, manifest->n_timelines) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a manifest");
    if (st == MN_OK)
        st = mni_manifest_publish(dir, &m, &is_in_doubt, err);
    if (is_in_doubt) { /* it may never be durable: the next one is made anew */
        mni_manifest_name(m.number, name);
        mni_ignore(mni_dir_unlink(dir, name, NULL));
    }
    mni_manifest_done(&m);
    return st;
}

/* A directory whose first sync fails may never be durable, however often it is tried: what comes
 * next needs another one. There is nothing in it yet. */
static void put_aside(struct mni_dir *archive, const char *name)
{
    char aside[MNI_NAME_BYTES_MAX];

    (void)snprintf(aside, sizeof aside, "%.55s.lost", name);
    mni_ignore(mni_dir_rename(archive, name, aside, NULL));
}

static mn_status make_timeline(struct mni_dir *archive, const char *name, struct mni_dir **dir_out,
                               struct mn_error *err)
{
    mn_status st = mni_dir_open_dir(archive, name, false, dir_out, err);
    bool is_new = st == MN_NOT_FOUND;

    if (is_new)
        st = mni_dir_open_dir(archive, name, true, dir_out, err);
    if (st != MN_OK)
        return st;
    st = mni_dir_sync(archive, err);
    if (st != MN_OK && is_new)
        put_aside(archive, name);
    return st;
}

/* The directory of a manifest's timeline, made where it is missing. */
static mn_status open_timeline(struct mni_env *env, const char *path,
                               const struct mni_manifest *manifest, struct mni_dir **dir_out,
                               struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_dir *archive = NULL;
    mn_status st = mni_env_open_dir(env, path, false, &archive, err);

    if (st == MN_NOT_FOUND) /* a disk that is not mounted, say */
        return mni_fail(err, MN_ERR_IO, "there is no such directory");
    archive_name(manifest->store_id, archive_timeline(manifest), name);
    if (st == MN_OK)
        st = make_timeline(archive, name, dir_out, err);
    mni_dir_close(archive);
    if (st == MN_OK && manifest->n_timelines > 0)
        st = note_history(*dir_out, manifest, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "it is missing and cannot be made");
    return st;
}

static mn_status explain(mn_status st, const char *path, struct mn_error *err)
{
    if (st != MN_OK)
        mni_error_prefix(err, "the log cannot be kept in archive_dir, %.300s", path);
    return st;
}

void engine_archive_path(struct mni_engine *engine, char path_out[TEXT_BYTES_MAX + 1])
{
    mni_mutex_lock(&engine->settings_lock);
    memcpy(path_out, engine->store.texts[TEXT_ARCHIVE_DIR], TEXT_BYTES_MAX + 1);
    mni_mutex_unlock(&engine->settings_lock);
    if (engine->is_marked) /* it is no store yet */
        path_out[0] = '\0';
}

bool engine_archives(struct mni_engine *engine)
{
    char path[TEXT_BYTES_MAX + 1];

    engine_archive_path(engine, path);
    return path[0] != '\0';
}

mn_status engine_archive_log(struct mni_engine *engine, struct mn_error *err)
{
    char path[TEXT_BYTES_MAX + 1];
    struct mni_dir *dir = NULL;

    engine_archive_path(engine, path);
    mni_wal_keep_files(engine->wal, path[0] != '\0');
    if (path[0] == '\0' || engine->manifest.number == 0)
        return MN_OK;
    mn_status st = open_timeline(engine->env, path, &engine->manifest, &dir, err);
    if (st == MN_OK)
        st = mni_wal_archive(engine->wal, dir, engine_pace, engine, err);
    mni_dir_close(dir);
    return explain(st, path, err);
}

static mn_status keep_all(struct mni_env *env, const char *path,
                          const struct mni_manifest *manifest, struct mni_dir *wal_dir,
                          struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = open_timeline(env, path, manifest, &dir, err);

    if (st == MN_OK)
        st = mni_wal_archive_all(wal_dir, dir, err);
    mni_dir_close(dir);
    return st;
}

/* Where the store's manifest cannot be read, the archive knows which timeline began last. */
static mn_status keep_unknown(struct mni_env *env, const char *path, const unsigned char *store_id,
                              struct mni_dir *wal_dir, struct mn_error *err)
{
    struct mni_manifest newest = {0};
    struct mni_dir *archive = NULL;
    mn_status st = mni_env_open_dir(env, path, false, &archive, err);

    if (st == MN_OK)
        st = archive_newest_history(archive, store_id, &newest, err);
    mni_dir_close(archive);
    if (st == MN_OK && newest.n_timelines > 0)
        st = keep_all(env, path, &newest, wal_dir, err);
    mni_manifest_done(&newest);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_IO, "there is no such directory") : st;
}

mn_status archive_all(struct mni_env *env, const char *path, const unsigned char *store_id,
                      const struct mni_manifest *manifest, struct mni_dir *wal_dir,
                      struct mn_error *err)
{
    mn_status st = manifest->number != 0 ? keep_all(env, path, manifest, wal_dir, err)
                                         : keep_unknown(env, path, store_id, wal_dir, err);

    return explain(st, path, err);
}

mn_status archive_begin(struct mni_env *env, const char *path, const struct mni_manifest *manifest,
                        struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = open_timeline(env, path, manifest, &dir, err);

    mni_dir_close(dir);
    return explain(st, path, err);
}

/* Reading ---------- */

mn_status archive_open_timeline(struct mni_dir *archive, const unsigned char *store_id,
                                uint64_t incarnation, struct mni_dir **dir_out,
                                struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    archive_name(store_id, incarnation, name);
    return mni_dir_open_dir(archive, name, false, dir_out, err);
}

struct each {
    struct mni_dir *archive;
    const unsigned char *store_id;
    archive_timeline_fn *fn;
    void *context;
};

static mn_status look_at(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct each *each = context;
    char prefix[MNI_NAME_BYTES_MAX];
    struct mni_dir *dir = NULL;

    archive_name(each->store_id, 0, prefix);
    if (!is_dir || strncmp(name, prefix, (size_t)2 * MNI_STORE_ID_BYTES + 1) != 0)
        return MN_OK;
    mn_status st = mni_dir_open_dir(each->archive, name, false, &dir, err);
    if (st == MN_OK)
        st = each->fn(each->context, name, dir, err);
    mni_dir_close(dir);
    return st;
}

mn_status archive_each_timeline(struct mni_dir *archive, const unsigned char *store_id,
                                archive_timeline_fn *fn, void *context, struct mn_error *err)
{
    struct each each = {.archive = archive, .store_id = store_id, .fn = fn, .context = context};

    return mni_dir_list(archive, look_at, &each, err);
}

static mn_status find_log(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    (void)context;
    (void)err;
    return !is_dir && mni_wal_is_log_name(name) ? MN_END : MN_OK;
}

/* The history is there before the first log file. */
static mn_status check_is_empty(const char *name, struct mni_dir *dir, struct mn_error *err)
{
    mn_status st = mni_dir_list(dir, find_log, NULL, err);

    return st == MN_END ? mni_fail(err, MN_ERR_CORRUPT,
                                   "the archive: %s has no MANIFEST, without which nobody knows "
                                   "which past it belongs to",
                                   name)
                        : st;
}

static mn_status take_newer(void *context, const char *name, struct mni_dir *dir,
                            struct mn_error *err)
{
    struct mni_manifest *newest = context;
    struct mni_manifest m = {0};
    bool is_damaged = false;
    mn_status st = mni_manifest_load(dir, NULL, &m, &is_damaged, err);

    if (st == MN_NOT_FOUND)
        return check_is_empty(name, dir, err);
    if (st == MN_OK && m.n_timelines > 0 && (newest->n_timelines == 0 || m.lsn > newest->lsn)) {
        mni_manifest_done(newest);
        *newest = m;
        return MN_OK;
    }
    mni_manifest_done(&m);
    return st;
}

mn_status archive_newest_history(struct mni_dir *archive, const unsigned char *store_id,
                                 struct mni_manifest *newest_out, struct mn_error *err)
{
    struct mni_manifest newest = {0};
    mn_status st = archive_each_timeline(archive, store_id, take_newer, &newest, err);

    if (st != MN_OK) {
        mni_manifest_done(&newest);
        return st;
    }
    *newest_out = newest;
    return MN_OK;
}
