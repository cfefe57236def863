/*
 * snapshot.c - makes snapshots of an open store.
 *
 *     checkpoint   everything up to the newest commit goes to segments
 *     census       what the root holds is counted
 *     add          its files get names in the pool, then the snapshot is written
 *     prune        the oldest snapshots go
 *
 * `checkpoint_lock` is held from the checkpoint on until no merge can take the files away any more:
 * they have names in the pool then; or, where it is likely that they have to be copied, in the
 * directory tmp, from where they are copied without the lock. Commits go on.
 *
 * Owns:    one snapshot while it is made.
 * Format:  docs/format/snapshot.md
 * Threads: any, one at a time.
 * Fails:   as checkpoints and writing files do; the store goes on, and no snapshot is there.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/archive_private.h"
#include "engine/census_private.h"
#include "engine/job_private.h"

/* Places ---------- */

static mn_status choose_path(const char *setting, const char *store_path,
                             char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    static const char suffix[] = ".snapshots";
    size_t n = strlen(store_path);

    while (n > 1 && store_path[n - 1] == '/')
        n--;
    if (setting[0] == '\0' && n + sizeof suffix > MNI_PATH_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a path of %zu bytes", n + sizeof suffix - 1);
    if (setting[0] != '\0') {
        memcpy(path_out, setting, strlen(setting) + 1);
    } else {
        memcpy(path_out, store_path, n);
        memcpy(path_out + n, suffix, sizeof suffix);
    }
    return MN_OK;
}

mn_status mni_engine_pool_path(struct mni_engine *engine, char path_out[MNI_PATH_BYTES_MAX],
                               struct mn_error *err)
{
    mni_mutex_lock(&engine->settings_lock);
    mn_status st = choose_path(engine->store.texts[TEXT_SNAPSHOT_DIR], engine->path, path_out, err);
    mni_mutex_unlock(&engine->settings_lock);
    return st;
}

/* STORE is replaced as a whole, so it may be read beside a writer. */
mn_status store_file_of(struct mni_env *env, const char *path, struct store_file *store_out,
                        struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(env, path, false, &dir, err);

    if (st == MN_OK)
        st = store_file_read(dir, store_out, err);
    mni_dir_close(dir);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "there is no store in %.300s", path);
    return st;
}

mn_status mni_store_id(struct mni_env *env, const char *store_path,
                       unsigned char id_out[MNI_STORE_ID_BYTES], struct mn_error *err)
{
    struct store_file store;
    mn_status st = store_file_of(env, store_path, &store, err);

    if (st == MN_OK)
        memcpy(id_out, store.store_id, MNI_STORE_ID_BYTES);
    return st;
}

mn_status mni_store_pool_path(struct mni_env *env, const char *store_path,
                              char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    char real[MNI_PATH_BYTES_MAX];
    struct store_file store;
    mn_status st = store_file_of(env, store_path, &store, err);

    if (st == MN_OK)
        st = mni_env_real_path(env, store_path, real, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "there is no store in %.300s", store_path);
    return st == MN_OK ? choose_path(store.texts[TEXT_SNAPSHOT_DIR], real, path_out, err) : st;
}

/* Pruning ---------- */

static bool is_of_store(const struct mni_snapshot *snapshot, const unsigned char *store_id)
{
    return store_id == NULL ||
           memcmp(snapshot->manifest.store_id, store_id, MNI_STORE_ID_BYTES) == 0;
}

/* How many of a store were seen, newest first. */
struct seen {
    unsigned char store_id[MNI_STORE_ID_BYTES];
    uint64_t n;
};

static mn_status note_seen(struct mni_buf *stores, const unsigned char *store_id, uint64_t *n_out)
{
    struct seen seen = {.n = 1};
    struct seen *at = (struct seen *)(void *)stores->data;

    for (size_t i = 0; i < stores->n_bytes / sizeof seen; i++) {
        if (memcmp(at[i].store_id, store_id, sizeof seen.store_id) == 0) {
            *n_out = ++at[i].n;
            return MN_OK;
        }
    }
    memcpy(seen.store_id, store_id, sizeof seen.store_id);
    *n_out = 1;
    return mni_buf_append(stores, &seen, sizeof seen);
}

/* Counts one among those of its store. 0: it does not count, for it cannot be read, or is of
 * another store than is meant. */
static mn_status look_at(struct mni_pool_dir *pool, const struct mni_snapshot_id *id,
                         const unsigned char *store_id, struct mni_buf *stores, uint64_t *n_out,
                         struct mn_error *err)
{
    struct mni_snapshot snapshot;
    struct mn_error why;
    mn_status st = mni_pool_load(pool, id, &snapshot, &why);

    *n_out = 0;
    if (st == MN_OK && is_of_store(&snapshot, store_id) &&
        note_seen(stores, snapshot.manifest.store_id, n_out) != MN_OK)
        st = mni_fail(&why, MN_ERR_NOMEM, "pruning");
    mni_snapshot_done(&snapshot);
    if (st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
        return MN_OK;
    return mni_fail(err, st, "%s", why.message);
}

mn_status mni_snapshots_prune(struct mni_pool_dir *pool, const unsigned char *store_id,
                              uint64_t n_kept, uint64_t *n_removed_out, uint64_t *freed_out,
                              struct mn_error *err)
{
    struct mni_snapshot_id *ids = NULL;
    struct mni_buf stores = {0};
    size_t n = 0;
    uint64_t n_seen = 0;
    mn_status st = mni_pool_list(pool, &ids, &n, err);

    *n_removed_out = 0;
    *freed_out = 0;
    for (size_t i = 0; i < n && st == MN_OK; i++) {
        st = look_at(pool, &ids[i], store_id, &stores, &n_seen, err);
        if (st != MN_OK || n_seen <= n_kept)
            continue;
        st = mni_pool_forget(pool, &ids[i], err);
        *n_removed_out += st == MN_OK;
    }
    mni_free(ids);
    mni_buf_done(&stores);
    if (*n_removed_out == 0)
        return st;
    mn_status collected = mni_pool_collect(pool, freed_out, st == MN_OK ? err : NULL);
    return st == MN_OK ? collected : st;
}

/* Creating ---------- */

struct creation {
    struct mni_engine *engine;
    const struct mni_snapshot_request *request;
    struct store_file store;   /* settings as they were before any lock was taken */
    struct mni_pool_dir *pool; /* owned */
    struct census census;
    struct mni_snapshot snapshot;
    struct mni_snapshot parent;
    struct mni_timeline origin; /* of a history that is empty */
    struct mni_dir *staging;    /* owned; NULL: nothing is staged */
};

static const char *other_kind(const struct creation *c)
{
    return c->request->is_without_metadata
               ? ": one with metadata is no parent of one without"
               : ": one without metadata is no parent of one with metadata";
}

static mn_status find_parent(struct creation *c, struct mn_error *err)
{
    struct mni_snapshot_id *ids = NULL;
    size_t n = 0;
    bool is_found = false;
    bool is_other_kind = false; /* of one that was passed over */
    mn_status st = mni_pool_list(c->pool, &ids, &n, err);

    for (size_t i = 0; i < n && st == MN_OK && !is_found; i++) {
        /* A damaged one is not built upon, nor is one that has just gone. */
        st = mni_pool_load(c->pool, &ids[i], &c->parent, err);
        if (st == MN_NOT_FOUND || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED) {
            st = MN_OK;
            continue;
        }
        if (st != MN_OK)
            break;
        is_found = mni_snapshot_follows(&c->snapshot, &c->parent);
        is_other_kind |= !mni_snapshot_is_like(&c->snapshot, &c->parent);
        if (!is_found)
            mni_snapshot_done(&c->parent);
    }
    mni_free(ids);
    if (st == MN_OK && !is_found)
        st = mni_fail(err, MN_NOT_FOUND,
                      "there is no snapshot that an incremental one could follow%s",
                      is_other_kind ? other_kind(c) : "");
    return st;
}

static mn_status take_parent(struct creation *c, struct mn_error *err)
{
    const struct mni_snapshot_id *id = c->request->parent;
    mn_status st = MN_OK;

    if (!c->request->is_incremental && id == NULL)
        return MN_OK;
    if (id == NULL) {
        st = find_parent(c, err);
    } else {
        st = mni_pool_load(c->pool, id, &c->parent, err);
        if (st == MN_OK && !mni_snapshot_is_like(&c->snapshot, &c->parent))
            st = mni_fail(err, MN_ERR_INVALID, "it cannot be made against this parent%s",
                          other_kind(c));
        if (st == MN_OK && !mni_snapshot_follows(&c->snapshot, &c->parent))
            st = mni_fail(err, MN_ERR_INVALID,
                          "this parent is of another store, or of a past that was left");
    }
    if (st != MN_OK)
        return st;
    c->snapshot.flags |= MNI_SNAPSHOT_INCREMENTAL;
    c->snapshot.parent = c->parent.id;
    c->snapshot.parent_lsn = c->parent.manifest.lsn;
    memcpy(c->snapshot.parent_digest, c->parent.digest, sizeof c->parent.digest);
    return MN_OK;
}

/* Says what the root is. `checkpoint_lock` is held. */
static mn_status fill_in(struct creation *c, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;
    struct mni_snapshot *s = &c->snapshot;

    s->created_us = mni_engine_now_us(engine);
    mn_status st = census_take(engine, s->created_us, &c->census, err);
    if (st == MN_OK)
        st = mni_snapshot_id_new(engine->env, engine->manifest.lsn, &s->id, err);
    if (st == MN_OK && mni_manifest_copy(&engine->manifest, &s->manifest) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a snapshot");
    if (st != MN_OK)
        return st;
    store_file_encode(&c->store, s->store);
    s->flags = (c->request->is_compressed ? MNI_SNAPSHOT_COMPRESSED : 0) |
               (c->request->is_without_metadata ? MNI_SNAPSHOT_WITHOUT_METADATA : 0);
    s->description = c->request->description;
    s->collections = c->census.collections;
    s->n_collections = c->census.n_collections;
    s->n_records = c->census.n_records;
    c->origin.incarnation = s->manifest.incarnation;
    s->timelines = s->manifest.n_timelines > 0 ? s->manifest.timelines : &c->origin;
    s->n_timelines = s->manifest.n_timelines > 0 ? s->manifest.n_timelines : 1;
    return take_parent(c, err);
}

static mn_status add_to_pool(struct creation *c, struct mni_dir *from, struct mn_error *err)
{
    const struct mni_snapshot *parent = mni_snapshot_id_is_zero(&c->snapshot.parent) ? NULL
                                                                                     : &c->parent;

    return mni_pool_add(c->pool, &c->snapshot, parent, from, &c->request->progress, err);
}

/* Staging ---------- */

static const char staging_name[] = "tmp";

static mn_status remove_staged(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    return is_dir ? MN_OK : mni_dir_unlink(context, name, err);
}

mn_status snapshot_clear_staged(struct mni_engine *engine, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = mni_dir_open_dir(engine->dir, staging_name, false, &dir, err);

    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = mni_dir_list(dir, remove_staged, dir, err);
    mni_dir_close(dir);
    return st;
}

static mn_status stage_file(struct creation *c, const char *name)
{
    return mni_dir_link(c->staging, name, c->engine->seg_dir, name, NULL);
}

static mn_status stage_segment(struct creation *c, const struct mni_manifest_segment *s)
{
    char name[MNI_NAME_BYTES_MAX];

    mni_manifest_segment_name(s->id, name);
    mn_status st = stage_file(c, name);
    for (size_t i = 0; i < s->n_lives && st == MN_OK; i++) {
        const struct mni_manifest_live *live = &c->snapshot.manifest.lives[s->first_live + i];
        mni_manifest_live_name(s->id, live->generation, name);
        st = stage_file(c, name);
    }
    return st;
}

/* Whether the files have second names, under which they stay without the lock. Nothing of it has to
 * be durable. */
static bool stage(struct creation *c)
{
    struct mni_engine *engine = c->engine;
    const struct mni_manifest *m = &c->snapshot.manifest;
    mn_status st = snapshot_clear_staged(engine, NULL);

    if (st == MN_OK)
        st = mni_dir_open_dir(engine->dir, staging_name, true, &c->staging, NULL);
    for (size_t i = 0; i < m->n_segments && st == MN_OK; i++)
        st = stage_segment(c, &m->segments[i]);
    return st == MN_OK;
}

/* A pool beside the store gets second names at once. */
static bool may_take_long(const struct creation *c)
{
    return c->request->pool != NULL || c->store.texts[TEXT_SNAPSHOT_DIR][0] != '\0';
}

static mn_status create(struct creation *c, struct mn_error *err)
{
    struct mni_engine *engine = c->engine;

    mni_mutex_lock(&engine->checkpoint_lock);
    mn_status st;

    /* So that the log up to it comes into the archive; that it may not stops no snapshot. */
    if (engine_archives(engine))
        mni_ignore(mni_wal_rotate(engine->wal, NULL));
    st = engine_make_root(engine, err);
    if (st == MN_OK)
        st = fill_in(c, err);
    bool is_staged = st == MN_OK && may_take_long(c) && stage(c);
    if (st == MN_OK && !is_staged)
        st = add_to_pool(c, engine->seg_dir, err);
    mni_mutex_unlock(&engine->checkpoint_lock);
    if (st == MN_OK && is_staged)
        st = add_to_pool(c, c->staging, err);
    mni_dir_close(c->staging);
    if (c->staging != NULL)
        mni_ignore(snapshot_clear_staged(engine, NULL));
    return st;
}

/* After a snapshot is there. Whoever reads in the pool is not disturbed: the next one prunes. */
static void prune_own(struct creation *c)
{
    uint64_t n_kept = c->store.settings[SETTING_MAX_SNAPSHOTS];
    uint64_t n_removed;
    uint64_t freed;

    if (n_kept == 0 || mni_pool_lock(c->pool, MNI_POOL_REMOVE, NULL) != MN_OK)
        return;
    mni_ignore(mni_snapshots_prune(c->pool, c->store.store_id, n_kept, &n_removed, &freed, NULL));
}

/* What is left out of snapshots must not be missing where everybody looks for a backup. */
static mn_status check_place(const struct creation *c, const char *path, struct mn_error *err)
{
    struct mni_env *env = c->engine->env;
    char own[MNI_PATH_BYTES_MAX];
    char real_own[MNI_PATH_BYTES_MAX];
    char real[MNI_PATH_BYTES_MAX];

    if (!c->request->is_without_metadata)
        return MN_OK;
    mn_status st = choose_path(c->store.texts[TEXT_SNAPSHOT_DIR], c->engine->path, own, err);
    if (st == MN_OK)
        st = mni_env_real_path(env, path, real, err);
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_IO, "%.300s has gone", path) : st;
    st = mni_env_real_path(env, own, real_own, err);
    if (st == MN_OK && strcmp(real, real_own) == 0)
        return mni_fail(err, MN_ERR_INVALID,
                        "%.300s is the store's own pool: only an export can be without metadata",
                        path);
    return st == MN_NOT_FOUND ? MN_OK : st;
}

static mn_status open_pool(struct creation *c, struct mn_error *err)
{
    char own[MNI_PATH_BYTES_MAX];
    const char *path = c->request->pool;
    mn_status st = MN_OK;

    if (path == NULL) {
        st = choose_path(c->store.texts[TEXT_SNAPSHOT_DIR], c->engine->path, own, err);
        path = own;
    }
    if (st == MN_OK)
        st = mni_pool_open(c->engine->env, path, true, &c->pool, err);
    if (st == MN_NOT_FOUND) /* which is said of parents */
        st = mni_fail(err, MN_ERR_IO,
                      "%.300s cannot be made: the directory that it is to be in is missing", path);
    if (st == MN_OK)
        st = check_place(c, path, err);
    if (st == MN_OK)
        st = mni_pool_lock(c->pool, MNI_POOL_ADD, err);
    return st;
}

static void done(struct creation *c)
{
    mni_snapshot_done(&c->snapshot);
    mni_snapshot_done(&c->parent);
    census_done(&c->census);
    mni_pool_close(c->pool);
    mni_free(c);
}

mn_status mni_engine_snapshot(struct mni_engine *engine, const struct mni_snapshot_request *request,
                              struct mni_snapshot *snapshot_out, struct mn_error *err)
{
    struct creation *c;

    *snapshot_out = (struct mni_snapshot){0};
    if (engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    c = mni_alloc_zero(sizeof *c);
    if (c == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a snapshot");
    engine_call_before_checkpoint(engine);
    c->engine = engine;
    c->request = request;
    mni_mutex_lock(&engine->settings_lock);
    c->store = engine->store;
    mni_mutex_unlock(&engine->settings_lock);
    mni_mutex_lock(&engine->snapshot_lock);
    mn_status st = open_pool(c, err);
    if (st == MN_OK)
        st = create(c, err);
    if (st == MN_OK)
        st = mni_pool_load(c->pool, &c->snapshot.id, snapshot_out, err);
    if (st == MN_OK && request->pool == NULL)
        prune_own(c);
    mni_mutex_unlock(&engine->snapshot_lock);
    done(c);
    return st;
}
