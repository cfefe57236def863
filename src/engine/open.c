/*
 * open.c - opening, making and closing a store.
 *
 * Owns:    the engine.
 * Format:  docs/format/store.md
 * Threads: opening and closing: one, and nobody else uses the engine.
 * Fails:   a store that does not open is left as it was found; one whose making was cut off is made
 *          again.
 *
 * Making a store: wal/ with its first file, and seg/, durable; then STORE, by rename. Before STORE
 * is there nothing was ever acknowledged, so a directory without it is no store. A log with commits
 * beside a missing STORE is damage, never a new store.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

struct dir_listing {
    bool has_store;
    bool has_log_dir;
    bool has_restore_mark;
    char other[MNI_NAME_BYTES_MAX]; /* something that is not ours */
};

static mn_status note_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct dir_listing *l = context;

    (void)err;
    if (!is_dir && strcmp(name, "STORE") == 0)
        l->has_store = true;
    else if (is_dir && strcmp(name, "wal") == 0)
        l->has_log_dir = true;
    else if (strcmp(name, RESTORE_MARK) == 0)
        l->has_restore_mark = true;
    else if (is_dir && strcmp(name, "seg") == 0)
        return MN_OK;
    else if ((is_dir || strcmp(name, "STORE.new") != 0) && strcmp(name, "lost+found") != 0 &&
             l->other[0] == '\0')
        for (size_t i = 0; i + 1 < sizeof l->other && name[i] != '\0'; i++)
            l->other[i] = name[i];
    return MN_OK;
}

/* Without STORE a log is that of a store whose making was cut off, which holds no commit, or what
 * is left of a store. Looks without changing anything. */
static mn_status check_unfinished(struct mni_env *env, struct mni_dir *dir, struct mn_error *err)
{
    struct mni_wal_config config = {.env = env, .read_only = true, .any_store_id = true};
    struct mni_wal_stats stats = {0};
    struct mni_wal *wal = NULL;
    struct mn_error why;
    mn_status st = mni_dir_open_dir(dir, "wal", false, &config.dir, &why);

    if (st == MN_OK) {
        st = mni_wal_open(&config, &wal, &why);
        if (st != MN_OK)
            mni_dir_close(config.dir);
    }
    if (st == MN_NOT_FOUND)
        return MN_OK; /* not even its first file */
    if (st == MN_OK) {
        mni_wal_get_stats(wal, &stats);
        st = mni_wal_close(wal, &why);
    }
    if (st == MN_OK && (stats.opened_commits > 0 || stats.current_lsn > 0))
        st = mni_fail(&why, MN_ERR_CORRUPT,
                      "the file STORE is missing beside a log with LSNs up to %" PRIu64,
                      stats.current_lsn);
    if (st != MN_OK && err != NULL)
        *err = why;
    return st;
}

/* `is_marked`: whether a restore has left its mark. */
static mn_status open_dir(struct mni_env *env, const char *path, bool create, bool read_only,
                          bool is_marked, struct mni_dir **dir_out, struct store_file *store_out,
                          bool *is_new_out, struct mn_error *err)
{
    struct dir_listing l = {0};
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(env, path, create && !read_only, &dir, err);

    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "there is no store in %.300s", path);
    if (st != MN_OK)
        return st;
    st = mni_dir_lock(dir, read_only ? MNI_LOCK_SHARED : MNI_LOCK_EXCLUSIVE, err);
    if (st == MN_ERR_IN_USE)
        st = mni_fail(err, MN_ERR_IN_USE, "the store in %.300s is in use", path);
    if (st == MN_OK)
        st = mni_dir_list(dir, note_entry, &l, err);
    if (st == MN_OK && l.has_restore_mark != is_marked)
        st = mni_fail(err, MN_ERR_NO_STORE,
                      "there is no store in %.300s: a restore was cut off; restore again", path);
    if (st != MN_OK)
        goto out;
    *is_new_out = !l.has_store;
    if (l.has_store)
        st = store_file_read(dir, store_out, err);
    else if (l.has_log_dir)
        st = check_unfinished(env, dir, err);
    if (st != MN_OK || l.has_store)
        goto out;
    if (read_only || !create)
        st = mni_fail(err, MN_ERR_NO_STORE, "there is no store in %.300s", path);
    else if (l.other[0] != '\0')
        st = mni_fail(err, MN_ERR_NO_STORE, "%.300s is no store and not empty: it holds \"%.60s\"",
                      path, l.other);
out:
    if (st != MN_OK) {
        mni_dir_close(dir);
        return st;
    }
    *dir_out = dir;
    return MN_OK;
}

mn_status engine_open_dir(struct mni_env *env, const char *path, bool create, bool read_only,
                          struct mni_dir **dir_out, struct store_file *store_out, bool *is_new_out,
                          struct mn_error *err)
{
    return open_dir(env, path, create, read_only, false, dir_out, store_out, is_new_out, err);
}

static void free_engine(struct mni_engine *engine)
{
    if (engine == NULL)
        return;
    while (engine->dropped != NULL) {
        struct dropped *next = engine->dropped->next;
        mni_free(engine->dropped);
        engine->dropped = next;
    }
    catalogue_forget_names(engine);
    while (engine->retired != NULL) {
        struct table *next = engine->retired->next;
        table_unref(engine->retired);
        engine->retired = next;
    }
    state_unref(engine->state);
    mni_pool_free(engine->pool);
    mni_manifest_done(&engine->manifest);
    mni_dir_close(engine->seg_dir);
    mni_snapshot_done(engine->shown);
    mni_free(engine->shown);
    mni_pool_close(engine->shown_pool);
    mni_fork_guard_free(engine->fork_guard);
    mni_free(engine->path);
    mni_free(engine->given_path);
    mni_dir_close(engine->dir);
    mni_rwlock_done(&engine->lock);
    mni_mutex_done(&engine->views_lock);
    mni_mutex_done(&engine->settings_lock);
    mni_mutex_done(&engine->snapshot_lock);
    mni_mutex_done(&engine->checkpoint_lock);
    mni_mutex_done(&engine->on_checkpoint_lock);
    mni_mutex_done(&engine->reserve_lock);
    mni_mutex_done(&engine->sweep_lock);
    for (size_t i = 0; i < ENTITY_LOCKS; i++)
        mni_mutex_done(&engine->entity_locks[i]);
    spaces_forget_duties(engine);
    mni_mutex_done(&engine->sweeper_lock);
    mni_cond_done(&engine->sweeper_wakes);
    mni_mutex_done(&engine->jobs_lock);
    mni_cond_done(&engine->jobs_wake);
    mni_cond_done(&engine->jobs_done);
    mni_free(engine);
}

/* An empty table and no segments. */
static mn_status new_state(struct mni_engine *engine)
{
    struct part_set *set = NULL;
    struct table *table = NULL;
    mn_status st = mni_pool_new(&engine->pool);

    if (st == MN_OK)
        st = table_new(engine->pool, &table);
    if (st == MN_OK)
        st = set_new(0, 0, &set);
    if (st == MN_OK)
        st = state_new(table, NULL, set, &engine->state);
    if (st == MN_OK)
        engine->table = table->memtable;
    table_unref(table);
    set_unref(set);
    return st;
}

mn_status engine_new(struct mni_env *env, bool read_only, struct mni_engine **engine_out,
                     struct mn_error *err)
{
    struct mni_engine *engine = mni_alloc_zero(sizeof *engine);

    if (engine == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "store handle");
    engine->env = env;
    engine->read_only = read_only;
    engine->dropped_end = &engine->dropped;
    atomic_store(&engine->last_now_us, INT64_MIN);
    mni_rwlock_init(&engine->lock);
    mni_mutex_init(&engine->views_lock);
    mni_mutex_init(&engine->settings_lock);
    mni_mutex_init(&engine->snapshot_lock);
    mni_mutex_init(&engine->checkpoint_lock);
    mni_mutex_init(&engine->on_checkpoint_lock);
    mni_mutex_init(&engine->reserve_lock);
    mni_mutex_init(&engine->sweep_lock);
    for (size_t i = 0; i < ENTITY_LOCKS; i++)
        mni_mutex_init(&engine->entity_locks[i]);
    mni_mutex_init(&engine->sweeper_lock);
    mni_cond_init(&engine->sweeper_wakes);
    mni_mutex_init(&engine->jobs_lock);
    mni_cond_init(&engine->jobs_wake);
    mni_cond_init(&engine->jobs_done);
    mn_status st = mni_fork_guard_new(&engine->fork_guard, err);
    if (st == MN_OK && new_state(engine) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "record table");
    if (st != MN_OK) {
        free_engine(engine);
        return st;
    }
    *engine_out = engine;
    return MN_OK;
}

/* Commits and readers share one clock: what a commit counts as expired no reader sees, and the
 * reverse. */
static int64_t engine_clock(void *engine)
{
    return mni_engine_now_us(engine);
}

mn_status engine_check_log(const struct mni_manifest *manifest, uint64_t checkpoint_lsn,
                           uint64_t last_lsn, struct mn_error *err)
{
    size_t n = manifest->n_timelines;
    uint64_t began_lsn = n > 0 ? manifest->timelines[n - 1].began_lsn : 0;

    /* The log is synced up to the LSN of a manifest before that one is there; but a restore that
     * was cut off leaves the log of before, which ends below the manifest that it published. */
    if (last_lsn < manifest->lsn && manifest->lsn > began_lsn)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "the log ends at LSN %" PRIu64 ", but the newest manifest at LSN %" PRIu64
                        ": the log is older than the rest of the store",
                        last_lsn, manifest->lsn);
    if (checkpoint_lsn <= manifest->lsn)
        return MN_OK;
    if (manifest->number == 0)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "the manifest is missing, without which nothing up to LSN %" PRIu64
                        " can be found: the log gave that back",
                        checkpoint_lsn);
    return mni_fail(err, MN_ERR_CORRUPT,
                    "the log gave back what lies up to LSN %" PRIu64
                    ", but the newest manifest ends at LSN %" PRIu64,
                    checkpoint_lsn, manifest->lsn);
}

static mn_status check_log(void *context, uint64_t checkpoint_lsn, uint64_t last_lsn,
                           struct mn_error *err)
{
    const struct mni_engine *engine = context;

    return engine_check_log(&engine->manifest, checkpoint_lsn, last_lsn, err);
}

static void configure_log(const struct mni_engine *engine, const struct mn_options *options,
                          struct mni_wal_config *config)
{
    const uint64_t *settings = engine->store.settings;

    *config = (struct mni_wal_config){
        .env = engine->env,
        .read_only = options->read_only,
        .no_background = options->no_background,
        .recovery = options->recovery,
        .stop_lsn = options->stop_lsn,
        .stop_time_us = options->stop_time_us,
        .checkpoint_lsn = engine->manifest.lsn,
        .file_bytes = options->wal_file_bytes != 0 ? options->wal_file_bytes
                                                   : settings[SETTING_WAL_FILE_BYTES],
        .sync = options->sync != MN_SYNC_DEFAULT ? options->sync
                                                 : (mn_sync_policy)settings[SETTING_SYNC],
        .sync_every_commits = options->sync_every_commits != 0
                                  ? options->sync_every_commits
                                  : (uint32_t)settings[SETTING_SYNC_EVERY_COMMITS],
        .sync_interval_ms = options->sync_interval_ms != 0
                                ? options->sync_interval_ms
                                : (uint32_t)settings[SETTING_SYNC_INTERVAL_MS],
        .replay = engine_replay,
        .check = check_log,
        .make_room = reserve_give_up,
        .hooks = {.admit = engine_admit,
                  .publish = engine_publish,
                  .now_us = engine_clock,
                  .abandon = engine_abandon_commit,
                  .synced = engine_note_sync,
                  .freeing = engine_pace_free},
    };
}

/* The id of the log becomes the store's. */
static mn_status finish_making(struct mni_engine *engine, struct mn_error *err)
{
    memcpy(engine->store.store_id, mni_wal_store_id(engine->wal), MNI_STORE_ID_BYTES);
    engine->store.created_us = mni_env_wall_us(engine->env);
    /* A directory whose sync fails is never sure to be there; here nothing is in it yet. */
    mn_status st = mni_dir_open_dir(engine->dir, "seg", true, &engine->seg_dir, err);
    if (st == MN_OK)
        st = mni_dir_sync(engine->dir, err);
    return st == MN_OK ? store_file_write(engine->dir, &engine->store, err) : st;
}

static mn_status open_log(struct mni_engine *engine, const struct mn_options *options, bool is_new,
                          struct mn_error *err)
{
    struct mni_wal_config config;
    struct mni_dir *dir = NULL;
    mn_status st = mni_dir_open_dir(engine->dir, "wal", is_new, &dir, err);

    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "the directory wal is missing");
    if (st != MN_OK)
        return st;
    configure_log(engine, options, &config);
    memcpy(config.store_id, engine->store.store_id, MNI_STORE_ID_BYTES);
    config.dir = dir;
    config.any_store_id = is_new;
    config.create = is_new;
    config.replay_context = engine;
    config.hooks.context = engine;
    if (engine->feed != NULL) { /* which has what came before */
        config.is_anew = true;
        config.create = true;
        config.checkpoint_lsn = engine->feed->lsn;
        config.time_us = engine->feed->time_us;
    }
    st = mni_wal_open(&config, &engine->wal, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CORRUPT, "all log files are missing");
    if (st != MN_OK)
        mni_dir_close(dir);
    return st;
}

/* Segments hold one moment, and the log goes on from there. */
static mn_status check_stop(const struct mni_engine *engine, const struct mn_options *options,
                            struct mn_error *err)
{
    const struct mni_manifest *m = &engine->manifest;

    if (m->number == 0 || options->recovery != MN_RECOVERY_POINT_IN_TIME)
        return MN_OK;
    if (options->stop_lsn != 0 && options->stop_lsn < m->lsn)
        return mni_fail(err, MN_ERR_INVALID,
                        "the store can be opened as of LSN %" PRIu64
                        ", its newest checkpoint, or later, not as of LSN %" PRIu64,
                        m->lsn, options->stop_lsn);
    if (options->stop_time_us != 0 && options->stop_time_us < m->time_us)
        return mni_fail(err, MN_ERR_INVALID,
                        "the store can be opened as of %" PRId64
                        " us, the time of its newest checkpoint, or later, not as of %" PRId64,
                        m->time_us, options->stop_time_us);
    return MN_OK;
}

static mn_status start(struct mni_engine *engine, const struct mn_options *options, bool is_new,
                       struct mn_error *err)
{
    mn_status st = is_new ? MN_OK : engine_load(engine, err);

    if (st == MN_OK)
        st = check_stop(engine, options, err);
    if (st == MN_OK)
        st = catalogue_load_counter(engine, err);
    if (st == MN_OK && engine->feed != NULL)
        st = engine->feed->run(engine->feed, err);
    if (st == MN_OK)
        st = open_log(engine, options, is_new, err);
    if (st == MN_OK && is_new)
        st = finish_making(engine, err);
    if (st == MN_OK)
        st = catalogue_load_counter(engine, err);
    if (st != MN_OK)
        return st;
    /* Whoever made or renamed STORE may have died before its name was durable. */
    if (!options->read_only)
        st = mni_dir_sync(engine->dir, err);
    if (st != MN_OK)
        return st;
    uint64_t lsn = engine->feed != NULL ? engine->feed->lsn : mni_wal_visible_lsn(engine->wal);
    int64_t now_us = mni_wal_last_time_us(engine->wal);
    const struct mni_manifest *m = &engine->manifest;
    atomic_store(&engine->visible_lsn, lsn > m->lsn ? lsn : m->lsn);
    if (m->number != 0 && m->last_time_us > now_us)
        now_us = m->last_time_us;
    atomic_store(&engine->last_now_us, now_us);
    st = engine_note_dropped(engine, err);
    if (st == MN_OK)
        st = space_count_rows(engine, err);
    /* Nothing goes before it is certain that this manifest is the root, and durable. Before the
     * first one is nothing but the log. */
    if (st == MN_OK && !options->read_only && (!engine->is_root_unsure || m->number == 1))
        st = engine_remove_orphans(engine, err);
    if (st == MN_OK && !options->read_only && !is_new)
        st = snapshot_clear_staged(engine, err);
    if (st != MN_OK)
        return st;
    budget_note_fixed(engine);
    atomic_store(&engine->last_checkpoint_us, mni_env_mono_us(engine->env));
    if (options->read_only || options->no_background || !mni_env_has_threads(engine->env))
        return MN_OK;
    st = sweeper_start(engine, err);
    return st == MN_OK ? jobs_start(engine, err) : st;
}

static mn_status copy_path(const char *path, char **copy_out, struct mn_error *err)
{
    size_t n_bytes = strlen(path) + 1;

    *copy_out = mni_alloc(n_bytes);
    if (*copy_out == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "store handle");
    memcpy(*copy_out, path, n_bytes);
    return MN_OK;
}

mn_status mni_engine_set_path(struct mni_engine *engine, const char *path, struct mn_error *err)
{
    MNI_CHECK(engine->given_path == NULL);
    return copy_path(path, &engine->given_path, err);
}

/* Once the directory is there. */
static mn_status note_path(struct mni_engine *engine, const char *path, struct mn_error *err)
{
    char real[MNI_PATH_BYTES_MAX];
    mn_status st = mni_env_real_path(engine->env, path, real, err);

    if (st == MN_OK)
        st = copy_path(real, &engine->path, err);
    return st == MN_OK ? copy_path(path, &engine->given_path, err) : st;
}

static mn_status open_store(struct mni_env *env, const char *path, const struct mn_options *options,
                            bool is_marked, struct feed *feed, struct mni_engine **engine_out,
                            struct mn_error *err)
{
    struct mn_options o = *options;
    struct mni_engine *engine = NULL;
    bool is_new = false;

    o.read_only = o.read_only || o.recovery == MN_RECOVERY_POINT_IN_TIME;
    mn_status st = engine_new(env, o.read_only, &engine, err);
    if (st != MN_OK)
        return st;
    engine->is_marked = is_marked;
    engine->feed = feed;
    if (feed != NULL)
        feed->engine = engine;
    settings_init(&engine->store);
    st = open_dir(env, path, o.create, o.read_only, is_marked, &engine->dir, &engine->store,
                  &is_new, err);
    engine->memory_option = o.memory_bytes_max;
    engine->pinned_option = o.pinned_bytes_max;
    engine_use_settings(engine);
    if (st == MN_OK)
        st = note_path(engine, path, err);
    if (st == MN_OK)
        st = start(engine, &o, is_new, err);
    if (st == MN_ERR_READ_ONLY) /* the file system's */
        mni_error_prefix(err, "the store cannot be opened for writing");
    if (st != MN_OK) {
        mni_engine_abandon(engine);
        return st;
    }
    *engine_out = engine;
    return MN_OK;
}

mn_status mni_engine_open(struct mni_env *env, const char *path, const struct mn_options *options,
                          struct mni_engine **engine_out, struct mn_error *err)
{
    mn_status st = open_store(env, path, options, false, NULL, engine_out, err);

    if (st == MN_OK && !(*engine_out)->read_only)
        spaces_finish_trims(*engine_out);
    return st;
}

mn_status engine_open_marked(struct mni_env *env, const char *path,
                             const struct mn_options *options, struct feed *feed,
                             struct mni_engine **engine_out, struct mn_error *err)
{
    return open_store(env, path, options, true, feed, engine_out, err);
}

/* Nobody else refers to parts when no view is open. */
static bool parts_are_pinned(struct mni_engine *engine)
{
    const struct part_set *set = engine->state->parts;

    if (atomic_load(&engine->n_parts_alive) != set->n_parts)
        return true;
    for (size_t i = 0; i < set->n_parts; i++)
        if (atomic_load(&set->parts[i]->n_refs) != 1)
            return true;
    return false;
}

static bool is_held(struct mni_engine *engine)
{
    mni_mutex_lock(&engine->views_lock);
    bool held = engine->oldest_view != NULL || mni_pool_pinned_bytes(engine->pool) > 0 ||
                parts_are_pinned(engine);
    mni_mutex_unlock(&engine->views_lock);
    return held;
}

static void call_before_close(struct mni_engine *engine)
{
    struct mni_wal_stats wal;

    mni_wal_get_stats(engine->wal, &wal);
    if (!engine->read_only && !wal.is_poisoned)
        engine_call_before_checkpoint(engine);
}

mn_status mni_engine_close(struct mni_engine *engine, struct mn_error *err)
{
    if (engine == NULL)
        return MN_OK;
    mn_status st = mni_engine_check(engine, err);
    if (st != MN_OK)
        return st;
    call_before_close(engine);
    bool has_jobs = engine->has_jobs_thread;
    bool has_sweeper = engine->has_sweeper;
    jobs_stop(engine); /* a checkpoint has a view of its own, and a sweep holds what it looks at */
    sweeper_stop(engine);
    if (is_held(engine)) {
        if (has_sweeper)
            mni_ignore(sweeper_start(engine, NULL));
        if (has_jobs)
            mni_ignore(jobs_start(engine, NULL));
        return mni_fail(err, MN_ERR_BUSY,
                        "views, iterators, scans, searches or transactions are still open");
    }
    if (has_jobs) { /* they may not have come to it, and the next opening may need it */
        mni_mutex_lock(&engine->checkpoint_lock);
        reserve_keep(engine);
        mni_mutex_unlock(&engine->checkpoint_lock);
    }
    st = mni_wal_close(engine->wal, err);
    free_engine(engine);
    return st;
}

void mni_engine_abandon(struct mni_engine *engine)
{
    if (engine == NULL)
        return;
    jobs_stop(engine);
    sweeper_stop(engine);
    mni_wal_abandon(engine->wal);
    free_engine(engine);
}

mn_status mni_engine_check(const struct mni_engine *engine, struct mn_error *err)
{
    if (mni_fork_guard_is_child(engine->fork_guard))
        return mni_fail(err, MN_ERR_FORKED, "the store was opened before fork, by the parent");
    return MN_OK;
}

const char *mni_engine_path(const struct mni_engine *engine)
{
    return engine->given_path != NULL ? engine->given_path : "";
}

bool mni_engine_is_read_only(const struct mni_engine *engine)
{
    return engine->read_only;
}

struct mni_wal *mni_engine_wal(struct mni_engine *engine)
{
    return engine->wal;
}
