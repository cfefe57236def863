/*
 * jobs.c - the background thread of checkpoints and merges, and how it keeps out of the way.
 *
 * Owns:    the thread.
 * Threads: the jobs' own; it wakes by itself, and when a commit has filled the table.
 * Fails:   a job that fails is tried again later; writers wait for it no longer than it works.
 */
#include "base/check.h"
#include "engine/job_private.h"

enum {
    JOBS_NAP_US = 1000000,
    RETRY_US = 5000000,    /* after a failure */
    WASTE_US = 2000000,    /* between checkpoints that are made for what is dead */
    PACE_CHUNK_US = 20000, /* the longest wait at once */
    FREE_NAP_US = 10000,   /* between two pieces of files that are given back */
    UNMAP_NAPS = 20,
};

/* Whether the table is worth a checkpoint. */
static bool is_due(struct mni_engine *engine, uint64_t threshold)
{
    return atomic_load_explicit(&engine->unwritten_bytes, memory_order_relaxed) >= threshold;
}

/* Whether there should be a checkpoint, for bytes or records or for the memory they take. */
static bool is_wanted(struct mni_engine *engine)
{
    const struct budget *b = &engine->budget;
    uint64_t n_records = atomic_load_explicit(&b->table_records, memory_order_relaxed);

    return is_due(engine, atomic_load_explicit(&engine->checkpoint_bytes, memory_order_relaxed)) ||
           n_records - atomic_load_explicit(&b->frozen_table_records, memory_order_relaxed) >=
               atomic_load_explicit(&engine->checkpoint_records, memory_order_relaxed) ||
           budget_is_due(engine);
}

static uint64_t setting_of(struct mni_engine *engine, enum setting setting)
{
    mni_mutex_lock(&engine->settings_lock);
    uint64_t value = engine->store.settings[setting];
    mni_mutex_unlock(&engine->settings_lock);
    return value;
}

/* Writers wait from here on. */
static uint64_t room_limit(struct mni_engine *engine)
{
    uint64_t limit = atomic_load_explicit(&engine->checkpoint_bytes, memory_order_relaxed);

    return limit < UINT64_MAX / STALL_FACTOR ? limit * STALL_FACTOR : UINT64_MAX;
}

/* A checkpoint for what the interval has seen, however little that is. */
static bool is_time(struct mni_engine *engine)
{
    int64_t interval_us = (int64_t)setting_of(engine, SETTING_CHECKPOINT_INTERVAL_MS) * 1000;

    return atomic_load_explicit(&engine->unwritten_bytes, memory_order_relaxed) > 0 &&
           mni_env_mono_us(engine->env) - atomic_load(&engine->last_checkpoint_us) >= interval_us;
}

/* A checkpoint, and a merge behind it, for segments of which much is dead: space comes back soon
 * after it was freed. Where the last merge could not give it back the next one has time. */
static bool is_wasteful(struct mni_engine *engine)
{
    return !engine->waste_stays &&
           mni_env_mono_us(engine->env) - atomic_load(&engine->last_checkpoint_us) >= WASTE_US &&
           engine_is_wasteful(engine);
}

/* Whether there is reason for a checkpoint. `checkpoint_lock` is held. */
static bool is_worth_it(struct mni_engine *engine, bool needs_room)
{
    /* On a full disk a checkpoint frees what it can. */
    return needs_room || is_wanted(engine) || is_time(engine) || is_wasteful(engine) ||
           atomic_load(&engine->reserve_is_short);
}

/* The checkpoint is what writers wait for; a merge that fails is tried again after the next one. */
static mn_status do_jobs(struct mni_engine *engine, bool needs_room, struct mn_error *err)
{
    mni_mutex_lock(&engine->checkpoint_lock);
    reserve_keep(engine);
    bool is_worth = is_worth_it(engine, needs_room);
    mni_mutex_unlock(&engine->checkpoint_lock);
    if (!is_worth)
        return MN_OK;
    engine_call_before_checkpoint(engine);
    mni_mutex_lock(&engine->checkpoint_lock);
    mn_status st = engine_checkpoint_now(engine, err);
    mni_mutex_lock(&engine->jobs_lock);
    engine->jobs_status = st;
    if (st != MN_OK) {
        engine->jobs_error = *err;
        engine->jobs_needs_room = false; /* all who wait fail as it did */
    }
    engine->n_jobs++;
    mni_cond_broadcast(&engine->jobs_done);
    mni_mutex_unlock(&engine->jobs_lock);
    reserve_keep(engine);
    if (st == MN_OK) {
        engine->may_give_up = true;
        mni_ignore(engine_merge(engine, NULL));
        engine->may_give_up = false;
        engine->waste_stays = engine_is_wasteful(engine);
    }
    mni_mutex_unlock(&engine->checkpoint_lock);
    return st;
}

bool engine_must_hurry(struct mni_engine *engine)
{
    return is_due(engine, room_limit(engine) / 2) || budget_is_tight(engine);
}

void engine_note_sync(void *context, int64_t took_us, int64_t now_us)
{
    struct mni_engine *engine = context;

    pace_note_sync(&engine->pace, took_us, now_us);
}

/* What of a wait is left when more and more is in no segment: all of it up to one and a half times
 * the threshold, nothing from twice as much on. Writers at full speed get their checkpoint. */
static int64_t shorten(struct mni_engine *engine, int64_t wait_us)
{
    uint64_t threshold = atomic_load_explicit(&engine->checkpoint_bytes, memory_order_relaxed);
    uint64_t n = atomic_load_explicit(&engine->unwritten_bytes, memory_order_relaxed);

    if (budget_is_due(engine))
        return 0;
    if (n <= threshold + threshold / 2)
        return wait_us;
    if (n / 2 >= threshold)
        return 0;
    return (int64_t)((double)wait_us * (double)(threshold * 2 - n) / ((double)threshold / 2));
}

mn_status engine_pace(void *context, uint64_t n_bytes, struct mn_error *err)
{
    struct mni_engine *engine = context;

    if (!atomic_load(&engine->has_jobs_thread))
        return MN_OK;
    if (atomic_load(&engine->jobs_stop))
        return mni_fail(err, MN_ERR_BUSY, "the store is being closed");
    reserve_keep_up(engine); /* this thread does nothing else for it meanwhile */
    if (engine->may_give_up && engine_must_hurry(engine))
        return mni_fail(err, MN_ERR_BUSY, "a checkpoint is needed first");
    int64_t wait_us = pace_wait_us(&engine->pace, n_bytes, mni_env_mono_us(engine->env));
    wait_us = shorten(engine, wait_us);
    if (wait_us == 0)
        return MN_OK;
    mni_mutex_lock(&engine->jobs_lock);
    /* Writers that wait for the checkpoint wait for no pacing. */
    if (!engine->jobs_stop && engine->n_stalled == 0)
        (void)mni_cond_wait_for(&engine->jobs_wake, &engine->jobs_lock,
                                wait_us < PACE_CHUNK_US ? wait_us : PACE_CHUNK_US);
    mni_mutex_unlock(&engine->jobs_lock);
    return MN_OK;
}

/* Unless the thread is to stop. */
static void nap(struct mni_engine *engine, int64_t us)
{
    mni_mutex_lock(&engine->jobs_lock);
    if (!engine->jobs_stop)
        (void)mni_cond_wait_for(&engine->jobs_wake, &engine->jobs_lock, us);
    mni_mutex_unlock(&engine->jobs_lock);
}

/* Commits wait until such a step is over. After each one those that came meanwhile go first. */
void engine_pace_free(void *context, uint64_t n_bytes)
{
    struct mni_engine *engine = context;

    /* Writers at full speed need the next checkpoint more. */
    if (atomic_load(&engine->has_jobs_thread) && n_bytes > 0 && !is_wanted(engine) &&
        !pace_is_quiet(&engine->pace, mni_env_mono_us(engine->env)))
        nap(engine, FREE_NAP_US);
}

bool engine_wait_for_unmapped(struct mni_engine *engine)
{
    /* Only this thread and its like change the set. Batches at work hold the one before. */
    size_t n_parts = engine->state->parts->n_parts;

    for (int i = 0; i < UNMAP_NAPS && atomic_load(&engine->has_jobs_thread); i++) {
        if (atomic_load(&engine->n_parts_alive) == n_parts)
            break;
        nap(engine, FREE_NAP_US);
    }
    return atomic_load(&engine->n_parts_alive) == n_parts;
}

/* Back-pressure ---------- */

void engine_count_unwritten(struct mni_engine *engine, const struct written *written)
{
    struct budget *b = &engine->budget;
    uint64_t before =
        atomic_fetch_add_explicit(&engine->unwritten_bytes, written->n_bytes, memory_order_relaxed);

    atomic_fetch_add_explicit(&b->table_bytes, written->table_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->table_records, written->n_records, memory_order_relaxed);
    bool outgrows = before + written->n_bytes >
                        atomic_load_explicit(&engine->reserve_enough_for, memory_order_relaxed) &&
                    !atomic_load_explicit(&engine->reserve_is_outgrown, memory_order_relaxed);
    bool is_wanted_now = is_wanted(engine) && !atomic_load(&engine->jobs_asked);
    if ((!is_wanted_now && !outgrows) || !atomic_load(&engine->has_jobs_thread))
        return;
    if (outgrows) /* once is enough */
        atomic_store_explicit(&engine->reserve_is_outgrown, true, memory_order_relaxed);
    atomic_store(&engine->jobs_asked, true);
    mni_mutex_lock(&engine->jobs_lock);
    engine->jobs_wanted = true;
    mni_cond_broadcast(&engine->jobs_wake);
    mni_mutex_unlock(&engine->jobs_lock);
}

/* As the last job did. Under `jobs_lock`. */
static mn_status fail_as_job(struct mni_engine *engine, struct mn_error *err)
{
    if (err != NULL)
        *err = engine->jobs_error;
    mni_error_prefix(err, "no room for more until a checkpoint succeeds");
    return engine->jobs_status;
}

/* Under `jobs_lock`. Two jobs that end make sure of one that began after this. */
static mn_status wait_for_memory(struct mni_engine *engine, uint64_t n_bytes, bool is_put,
                                 struct mn_error *err)
{
    uint64_t n_jobs = engine->n_jobs;

    while (!budget_try(engine, n_bytes, is_put)) {
        if (engine->jobs_stop)
            return mni_fail(err, MN_ERR_BUSY, "the store is being closed");
        if (engine->n_jobs != n_jobs && engine->jobs_status != MN_OK)
            return fail_as_job(engine, err);
        if (engine->n_jobs - n_jobs >= 2 && !budget_could_fit(engine, n_bytes, is_put))
            return budget_refuse(engine, n_bytes, err);
        engine->jobs_needs_room = true;
        mni_cond_broadcast(&engine->jobs_wake);
        (void)mni_cond_wait_for(&engine->jobs_done, &engine->jobs_lock, JOBS_NAP_US);
    }
    return MN_OK;
}

mn_status engine_take_memory(struct mni_engine *engine, uint64_t n_bytes, bool is_put,
                             struct mn_error *err)
{
    if (budget_try(engine, n_bytes, is_put))
        return MN_OK;
    if (!atomic_load(&engine->has_jobs_thread)) {
        mn_status st = budget_refuse(engine, n_bytes, err);
        if (budget_could_fit(engine, n_bytes, is_put))
            mni_error_prefix(err, "a checkpoint is needed, and no thread makes one");
        return st;
    }
    mni_mutex_lock(&engine->jobs_lock);
    engine->n_stalled++;
    mn_status st = wait_for_memory(engine, n_bytes, is_put, err);
    engine->n_stalled--;
    mni_mutex_unlock(&engine->jobs_lock);
    return st;
}

mn_status engine_wait_for_room(struct mni_batch *batch, struct mn_error *err)
{
    struct mni_engine *engine = batch->engine;
    mn_status st = MN_OK;

    if (!atomic_load(&engine->has_jobs_thread) || !is_due(engine, room_limit(engine)))
        return MN_OK;
    batch_drop_state(batch);
    mni_mutex_lock(&engine->jobs_lock);
    uint64_t n_jobs = engine->n_jobs; /* a failure from before says nothing of now */
    engine->n_stalled++;
    engine->jobs_needs_room = true;
    mni_cond_broadcast(&engine->jobs_wake);
    while (!engine->jobs_stop && (engine->jobs_status == MN_OK || engine->n_jobs == n_jobs) &&
           is_due(engine, room_limit(engine)))
        (void)mni_cond_wait_for(&engine->jobs_done, &engine->jobs_lock, JOBS_NAP_US);
    engine->n_stalled--;
    if (engine->jobs_status != MN_OK && is_due(engine, room_limit(engine)))
        st = fail_as_job(engine, err);
    mni_mutex_unlock(&engine->jobs_lock);
    return st;
}

mn_status engine_has_room(struct mni_engine *engine, bool has_puts, struct mn_error *err)
{
    if (!has_puts)
        return MN_OK;
    if (atomic_load_explicit(&engine->reserve_is_lent, memory_order_relaxed) ||
        atomic_load_explicit(&engine->reserve_is_short, memory_order_relaxed))
        return mni_fail(err, MN_ERR_NO_SPACE,
                        "the disk has no room for a checkpoint of more records; deletes go on");
    if (atomic_load(&engine->has_jobs_thread) && is_due(engine, room_limit(engine)))
        return mni_fail(err, MN_ERR_BUDGET, "no room for more until a checkpoint succeeds");
    return MN_OK;
}

/* The thread ---------- */

/* After a failure, until it is worth another try. Commits go on and find a checkpoint wanted: they
 * do not end the wait, only writers that can do nothing else than wait for it do. */
static void wait_to_retry(struct mni_engine *engine)
{
    const int64_t until_us = mni_env_mono_us(engine->env) + RETRY_US;
    int64_t left_us = RETRY_US;

    atomic_store(&engine->jobs_asked, true); /* nobody has to say so */
    mni_mutex_lock(&engine->jobs_lock);
    while (!engine->jobs_stop && !engine->jobs_needs_room && left_us > 0) {
        bool was_woken = mni_cond_wait_for(&engine->jobs_wake, &engine->jobs_lock, left_us);
        left_us = was_woken ? until_us - mni_env_mono_us(engine->env) : 0;
    }
    mni_mutex_unlock(&engine->jobs_lock);
    atomic_store(&engine->jobs_asked, false);
}

static void work(struct mni_engine *engine, bool needs_room)
{
    struct mn_error err = {0};

    atomic_store(&engine->jobs_asked, false);
    if (do_jobs(engine, needs_room, &err) != MN_OK)
        wait_to_retry(engine);
}

static void run_jobs(void *context)
{
    struct mni_engine *engine = context;

    mni_mutex_lock(&engine->jobs_lock);
    while (!engine->jobs_stop) {
        if (!engine->jobs_wanted && !engine->jobs_needs_room && engine->n_stalled == 0)
            (void)mni_cond_wait_for(&engine->jobs_wake, &engine->jobs_lock, JOBS_NAP_US);
        if (engine->jobs_stop)
            break;
        bool needs_room = engine->jobs_needs_room;
        engine->jobs_wanted = false;
        engine->jobs_needs_room = false;
        mni_mutex_unlock(&engine->jobs_lock);
        work(engine, needs_room);
        mni_mutex_lock(&engine->jobs_lock);
    }
    mni_mutex_unlock(&engine->jobs_lock);
}

mn_status jobs_start(struct mni_engine *engine, struct mn_error *err)
{
    atomic_store(&engine->has_jobs_thread, true);
    engine->jobs_stop = false;
    mn_status st = mni_thread_start(&engine->jobs_thread, run_jobs, engine, err);

    if (st != MN_OK)
        atomic_store(&engine->has_jobs_thread, false);
    return st;
}

void jobs_stop(struct mni_engine *engine)
{
    if (!atomic_load(&engine->has_jobs_thread))
        return;
    mni_mutex_lock(&engine->jobs_lock);
    engine->jobs_stop = true;
    mni_cond_broadcast(&engine->jobs_wake);
    mni_cond_broadcast(&engine->jobs_done);
    mni_mutex_unlock(&engine->jobs_lock);
    mni_thread_join(&engine->jobs_thread);
    atomic_store(&engine->has_jobs_thread, false);
}
