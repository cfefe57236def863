/*
 * still.c - a state of a store that does not change: what a manifest and its files show.
 *
 * Such an engine has no log and no directory of its own; it can only be read.
 *
 * Owns:    nothing beyond the engine.
 * Threads: opening: one.
 * Fails:   as opening a store does.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

static mn_status open_log(struct mni_engine *engine, struct mn_error *err)
{
    struct mni_wal_config config = {
        .env = engine->env,
        .read_only = true,
        .has_no_files = true,
        .no_background = true,
        .checkpoint_lsn = engine->manifest.lsn,
        .time_us = engine->manifest.last_time_us,
    };

    memcpy(config.store_id, engine->store.store_id, MNI_STORE_ID_BYTES);
    return mni_wal_open(&config, &engine->wal, err);
}

/* The manifest's index is made by validating. */
static mn_status start(struct mni_engine *engine, struct mn_error *err)
{
    mn_status st = mni_manifest_validate(&engine->manifest, err);

    if (st == MN_OK)
        st = engine_load_parts(engine, err);
    if (st == MN_OK)
        st = open_log(engine, err);
    if (st == MN_OK)
        st = catalogue_load_counter(engine, err);
    if (st != MN_OK)
        return st;
    atomic_store(&engine->last_now_us, engine->manifest.last_time_us);
    budget_note_fixed(engine);
    st = engine_note_dropped(engine, err);
    return st == MN_OK ? space_count_rows(engine, err) : st;
}

mn_status engine_open_still(struct mni_env *env, const struct store_file *store,
                            struct mni_manifest *manifest, struct mni_dir *seg_dir,
                            struct mni_engine **engine_out, struct mn_error *err)
{
    struct mni_engine *engine = NULL;
    mn_status st = engine_new(env, true, &engine, err);

    if (st != MN_OK) {
        mni_manifest_done(manifest);
        return st;
    }
    engine->store = *store;
    engine_use_settings(engine);
    engine->manifest = *manifest;
    *manifest = (struct mni_manifest){0};
    engine->seg_dir = seg_dir;
    st = start(engine, err);
    if (st != MN_OK) {
        engine->seg_dir = NULL; /* the caller's still */
        mni_engine_abandon(engine);
        return st;
    }
    *engine_out = engine;
    return MN_OK;
}

mn_status engine_open_shown(struct mni_env *env, struct mni_pool_dir *pool,
                            const struct mni_snapshot *shown, struct mni_engine **engine_out,
                            struct mn_error *err)
{
    struct mni_manifest manifest = {0};
    struct mni_dir *seg_dir = NULL;
    struct store_file store;
    mn_status st = store_file_decode(shown->store, &store, err);

    if (st == MN_OK)
        st = mni_pool_show(pool, shown, &seg_dir, err);
    if (st == MN_OK && mni_manifest_copy(&shown->manifest, &manifest) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a snapshot's manifest");
    if (st == MN_OK)
        st = engine_open_still(env, &store, &manifest, seg_dir, engine_out, err);
    if (st != MN_OK)
        mni_dir_close(seg_dir);
    return st;
}

mn_status mni_engine_open_snapshot(struct mni_env *env, struct mni_pool_dir *pool,
                                   const struct mni_snapshot_id *id,
                                   const struct mn_options *options, struct mni_engine **engine_out,
                                   struct mn_error *err)
{
    struct mni_snapshot *shown = mni_alloc_zero(sizeof *shown);

    if (shown == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a snapshot");
    mn_status st = mni_pool_load(pool, id, shown, err);
    if (st == MN_OK)
        st = engine_open_shown(env, pool, shown, engine_out, err);
    if (st != MN_OK) {
        mni_snapshot_done(shown);
        mni_free(shown);
        return st;
    }
    (*engine_out)->shown_pool = pool;
    (*engine_out)->shown = shown;
    (*engine_out)->memory_option = options->memory_bytes_max;
    (*engine_out)->pinned_option = options->pinned_bytes_max;
    engine_use_settings(*engine_out);
    return MN_OK;
}
