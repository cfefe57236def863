/*
 * snapshots.c - pools of snapshots: listing, showing, verifying, removing.
 *
 * Owns:    the handle of a pool.
 * Threads: one per handle.
 * Fails:   as snapshot.h says.
 */
#include "api/api.h"
#include "api/snapshot_private.h"
#include "base/mem.h"
#include "io/posix.h"

mn_status mni_api_snapshots_open(struct mni_env *env, const char *path,
                                 mn_snapshots **snapshots_out, struct mn_error *err)
{
    struct mn_error details = {0};

    if (path == NULL || path[0] == '\0' || snapshots_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no path, or no place for the handle");
    *snapshots_out = NULL;
    mn_snapshots *snapshots = mni_alloc_zero(sizeof *snapshots);
    if (snapshots == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a pool");
    snapshots->env = env;
    mn_status st = mni_env_real_path(env, path, snapshots->path, &details);
    if (st == MN_OK)
        st = mni_pool_open(env, snapshots->path, false, &snapshots->pool, &details);
    if (st == MN_NOT_FOUND)
        st = mni_fail(&details, MN_NOT_FOUND, "there are no snapshots in %.300s", path);
    if (st == MN_OK)
        *snapshots_out = snapshots;
    else
        mn_snapshots_close(snapshots);
    return api_answer(st, &details, err);
}

mn_status mni_api_snapshots_open_of(struct mni_env *env, const char *store_path,
                                    mn_snapshots **snapshots_out, struct mn_error *err)
{
    char path[MNI_PATH_BYTES_MAX];
    struct mn_error details = {0};

    if (store_path == NULL || store_path[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "no store is named");
    mn_status st = mni_store_pool_path(env, store_path, path, &details);
    if (st != MN_OK)
        return api_answer(st, &details, err);
    char *copy = mni_alloc(strlen(store_path) + 1);
    if (copy == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a pool");
    memcpy(copy, store_path, strlen(store_path) + 1);
    st = mni_api_snapshots_open(env, path, snapshots_out, err);
    if (st == MN_OK)
        (*snapshots_out)->store_path = copy;
    else
        mni_free(copy);
    return st;
}

mn_status mn_snapshots_open(const char *path, mn_snapshots **snapshots_out, struct mn_error *err)
{
    return mni_api_snapshots_open(mni_posix_env(), path, snapshots_out, err);
}

mn_status mn_snapshots_open_of(const char *store_path, mn_snapshots **snapshots_out,
                               struct mn_error *err)
{
    return mni_api_snapshots_open_of(mni_posix_env(), store_path, snapshots_out, err);
}

void mn_snapshots_close(mn_snapshots *snapshots)
{
    if (snapshots == NULL)
        return;
    mni_pool_close(snapshots->pool);
    mni_free(snapshots->store_path);
    mni_free(snapshots);
}

mn_status api_lock_pool(const mn_snapshots *snapshots, enum mni_pool_lock lock,
                        struct mni_pool_dir **pool_out, struct mn_error *err)
{
    mn_status st = mni_pool_open(snapshots->env, snapshots->path, false, pool_out, err);

    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_IO, "%.300s has gone", snapshots->path);
    if (st != MN_OK)
        return st;
    st = mni_pool_lock(*pool_out, lock, err);
    if (st == MN_ERR_IN_USE)
        st = mni_fail(err, st, "the snapshots in %.300s are in use", snapshots->path);
    if (st != MN_OK) {
        mni_pool_close(*pool_out);
        *pool_out = NULL;
    }
    return st;
}

static mn_status check(const mn_snapshots *snapshots, struct mn_error *err)
{
    return snapshots != NULL ? MN_OK : mni_fail(err, MN_ERR_INVALID, "no pool is given");
}

static mn_status check_with_id(const mn_snapshots *snapshots, const char *text,
                               struct mni_snapshot_id *id_out, struct mn_error *err)
{
    mn_status st = check(snapshots, err);

    return st == MN_OK ? api_parse_id(text, id_out, err) : st;
}

/* Listing ---------- */

struct mn_snapshot_iter {
    struct mni_snapshot_id *ids; /* owned */
    size_t n;
    size_t next;
};

mn_status mn_snapshot_iter_open(mn_snapshots *snapshots, mn_snapshot_iter **iter_out,
                                struct mn_error *err)
{
    mn_status st = check(snapshots, err);

    if (st == MN_OK && iter_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the iterator");
    if (st != MN_OK)
        return st;
    mn_snapshot_iter *iter = mni_alloc_zero(sizeof *iter);
    if (iter == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    st = mni_pool_list(snapshots->pool, &iter->ids, &iter->n, err);
    if (st != MN_OK) {
        mni_free(iter);
        return st;
    }
    *iter_out = iter;
    return MN_OK;
}

mn_status mn_snapshot_iter_next(mn_snapshot_iter *iter, char id_out[MN_SNAPSHOT_ID_BYTES],
                                struct mn_error *err)
{
    if (iter == NULL || id_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no iterator, or no place for the id");
    if (iter->next == iter->n)
        return MN_END;
    mni_snapshot_id_format(&iter->ids[iter->next++], id_out);
    return MN_OK;
}

void mn_snapshot_iter_close(mn_snapshot_iter *iter)
{
    if (iter == NULL)
        return;
    mni_free(iter->ids);
    mni_free(iter);
}

mn_status mn_snapshot_show(mn_snapshots *snapshots, const char *id, mn_snapshot **snapshot_out,
                           struct mn_error *err)
{
    struct mni_snapshot inner;
    struct mni_snapshot_id parsed;
    mn_status st = check_with_id(snapshots, id, &parsed, err);

    if (st == MN_OK && snapshot_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the snapshot");
    if (st == MN_OK)
        st = mni_pool_load(snapshots->pool, &parsed, &inner, err);
    return st == MN_OK ? api_snapshot_new(&inner, snapshot_out, err) : st;
}

mn_status mn_snapshot_exists(mn_snapshots *snapshots, const char *id, bool *exists_out,
                             struct mn_error *err)
{
    struct mni_snapshot inner;
    struct mni_snapshot_id parsed;
    struct mn_error details = {0};
    mn_status st = check_with_id(snapshots, id, &parsed, err);

    if (st == MN_OK && exists_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    if (st != MN_OK)
        return st;
    st = mni_pool_load(snapshots->pool, &parsed, &inner, &details);
    mni_snapshot_done(&inner);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return api_answer(st, &details, err);
    *exists_out = st == MN_OK;
    return MN_OK;
}

/* Verifying ---------- */

struct telling {
    mn_snapshot_damage_fn *damage;
    void *context;
};

static void tell_damage(void *context, const struct mn_error *damage)
{
    const struct telling *telling = context;

    telling->damage(telling->context, damage);
}

mn_status mn_snapshot_verify(mn_snapshots *snapshots, const char *id,
                             const struct mn_snapshot_verify_options *options, struct mn_error *err)
{
    struct mn_snapshot_verify_options o;
    struct mni_snapshot inner = {0};
    struct mni_snapshot_id parsed;
    struct mni_pool_dir *pool = NULL;
    struct mn_error details = {0};
    mn_status st = check_with_id(snapshots, id, &parsed, err);

    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_snapshot_verify_options", err);
    if (st != MN_OK)
        return st;
    struct api_progress progress = {.each = o.progress, .context = o.context};
    struct telling telling = {.damage = o.damage, .context = o.context};
    struct mni_progress inner_progress = api_progress(&progress);
    st = api_lock_pool(snapshots, MNI_POOL_READ, &pool, &details);
    if (st == MN_OK)
        st = mni_pool_load(pool, &parsed, &inner, &details);
    if (st == MN_ERR_CORRUPT && o.damage != NULL)
        o.damage(o.context, &details);
    if (st == MN_OK)
        st = mni_pool_verify(pool, &inner, &inner_progress, o.damage != NULL ? tell_damage : NULL,
                             &telling, &details);
    mni_snapshot_done(&inner);
    mni_pool_close(pool);
    return api_progress_end(&progress, st, &details, err);
}

/* Removing ---------- */

mn_status mn_snapshot_delete(mn_snapshots *snapshots, const char *id, uint64_t *freed_out,
                             struct mn_error *err)
{
    struct mni_snapshot_id parsed;
    struct mni_pool_dir *pool = NULL;
    struct mn_error details = {0};
    uint64_t freed = 0;
    mn_status st = check_with_id(snapshots, id, &parsed, err);

    if (st != MN_OK)
        return st;
    st = api_lock_pool(snapshots, MNI_POOL_REMOVE, &pool, &details);
    if (st == MN_OK)
        st = mni_pool_remove(pool, &parsed, &freed, &details);
    mni_pool_close(pool);
    if (freed_out != NULL)
        *freed_out = freed;
    return api_answer(st, &details, err);
}

mn_status mn_snapshots_prune(mn_snapshots *snapshots, uint64_t n_kept, uint64_t *n_deleted_out,
                             uint64_t *freed_out, struct mn_error *err)
{
    unsigned char store_id[MNI_STORE_ID_BYTES];
    struct mni_pool_dir *pool = NULL;
    struct mn_error details = {0};
    uint64_t n_deleted = 0;
    uint64_t freed = 0;
    mn_status st = check(snapshots, err);

    if (st == MN_OK && n_kept == 0)
        st = mni_fail(err, MN_ERR_INVALID, "at least one snapshot has to be kept");
    if (st != MN_OK)
        return st;
    const char *path = snapshots->store_path;
    if (path != NULL)
        st = mni_store_id(snapshots->env, path, store_id, &details);
    if (st == MN_OK)
        st = api_lock_pool(snapshots, MNI_POOL_REMOVE, &pool, &details);
    if (st == MN_OK)
        st = mni_snapshots_prune(pool, path != NULL ? store_id : NULL, n_kept, &n_deleted, &freed,
                                 &details);
    /* What cut-off additions left goes, too. Where one is damaged, files stay. */
    if (st == MN_OK && n_deleted == 0)
        mni_ignore(mni_pool_collect(pool, &freed, NULL));
    if (n_deleted_out != NULL)
        *n_deleted_out = n_deleted;
    mni_pool_close(pool);
    if (freed_out != NULL)
        *freed_out = freed;
    return api_answer(st, &details, err);
}
