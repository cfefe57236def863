/* Tests of merges: what a failure in the middle of one leaves. */
#include <time.h>

#include "../api/short.h"
#include "api/store_private.h"
#include "base/mem.h"
#include "engine/job_private.h"
#include "io/crash.h"

enum { N_RECORDS = 20, N_DELETED = 10, N_TOUCHED = 15 };

static const int64_t far_future_us = INT64_MAX / 2;

static struct mn_error err;

static mn_store *open_in(struct mni_env *env)
{
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = 64 << 10};
    mn_store *store = NULL;

    CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
    return store;
}

static struct mn_slice id_of(int i, char room[16])
{
    (void)snprintf(room, 16, "%02d", i);
    return mn_str(room);
}

/* A segment in which some rows have an expiry of a patch, and so many are dead that the next
 * checkpoint merges it. */
static mn_store *wasteful_store(struct mni_env *env)
{
    mn_store *store = open_in(env);
    char room[16];

    for (int i = 0; i < N_RECORDS; i++)
        (void)put(store, mn_str("n"), id_of(i, room), "payload");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    for (int i = 0; i < N_TOUCHED; i++)
        CHECK_OK_ERR(mn_touch(store, mn_str("n"), id_of(i, room), MN_HAS_EXPIRES_AT, far_future_us,
                              NULL, NULL, &err),
                     &err);
    for (int i = 0; i < N_DELETED; i++)
        CHECK_OK_ERR(mn_delete(store, mn_str("n"), id_of(i, room), NULL, NULL, NULL, &err), &err);
    return store;
}

static void check_records(mn_store *store)
{
    uint64_t n = 0;
    char room[16];

    CHECK_OK(mn_count(store, mn_str("n"), &n, NULL));
    CHECK_EQ(n, N_RECORDS - N_DELETED);
    for (int i = 0; i < N_RECORDS; i++) {
        struct mn_view view = {0};
        mn_status st = mn_get(store, mn_str("n"), id_of(i, room), &view, NULL);
        CHECK_EQ(st, i < N_DELETED ? MN_NOT_FOUND : MN_OK);
        if (st == MN_OK)
            CHECK_EQ(view.fields & MN_HAS_EXPIRES_AT, i < N_TOUCHED ? MN_HAS_EXPIRES_AT : 0);
        mn_view_release(&view);
    }
}

static void dead_rows_go_and_patches_stay(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = wasteful_store(mni_crash_env_base(crash));
    CHECK_EQ(stats_of(store).segment_dead_rows, N_DELETED);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_EQ(stats_of(store).segment_dead_rows, 0);
    CHECK_EQ(stats_of(store).n_segments, 1);
    check_records(store);
    closed(store);
    store = open_in(mni_crash_env_base(crash));
    CHECK_EQ(stats_of(store).segment_dead_rows, 0);
    check_records(store);
    closed(store);
    mni_crash_env_free(crash);
}

static void memory_may_end_at_any_allocation(void)
{
    bool was_hit = true;

    for (uint64_t n = 1; was_hit; n++) {
        struct mni_crash_env *crash = NULL;
        CHECK_OK(mni_crash_env_new(1, &crash));
        mn_store *store = wasteful_store(mni_crash_env_base(crash));
        mni_mem_fail_at(n);
        mn_status st = mn_checkpoint(store, &err);
        was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK(st == MN_OK || (was_hit && st == MN_ERR_NOMEM));
        check_records(store);
        closed(store);
        store = open_in(mni_crash_env_base(crash));
        check_records(store);
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK_EQ(stats_of(store).segment_dead_rows, 0);
        check_records(store);
        closed(store);
        mni_crash_env_free(crash);
    }
}

/* The manifest that a merge has published, and nothing of its work areas. */
static void the_budget_knows_what_a_merge_leaves(void)
{
    struct mni_crash_env *crash = NULL;
    struct mni_wal_stats wal;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = wasteful_store(mni_crash_env_base(crash));
    struct mni_engine *engine = store->engine;
    mni_mutex_lock(&engine->checkpoint_lock);
    CHECK_OK_ERR(engine_checkpoint_now(engine, &err), &err);
    uint64_t number = engine->manifest.number;
    CHECK_OK_ERR(engine_merge(engine, &err), &err);
    CHECK(engine->manifest.number > number);
    mni_mutex_unlock(&engine->checkpoint_lock);
    mni_wal_get_stats(engine->wal, &wal);
    CHECK_EQ(atomic_load(&engine->budget.fixed_bytes),
             wal.memory_bytes + mni_manifest_memory_bytes(&engine->manifest));
    CHECK_EQ(atomic_load(&engine->budget.job_bytes), 0);
    closed(store);
    mni_crash_env_free(crash);
}

/* A checkpoint of one more record, and then a merge, as the background does both. */
static mn_status checkpoint_and_merge(mn_store *store, int i)
{
    struct mni_engine *engine = store->engine;
    char room[16];

    (void)put(store, mn_str("n"), id_of(i, room), "payload");
    mni_mutex_lock(&engine->checkpoint_lock);
    CHECK_OK_ERR(engine_checkpoint_now(engine, &err), &err);
    mni_mutex_unlock(&engine->checkpoint_lock);
    (void)put(store, mn_str("n"), id_of(i, room),
              "again"); /* there is more to be written already */
    mni_mutex_lock(&engine->checkpoint_lock);
    engine->has_jobs_thread = true;
    engine->may_give_up = true;
    mn_status st = engine_merge(engine, &err);
    engine->may_give_up = false;
    engine->has_jobs_thread = false;
    mni_mutex_unlock(&engine->checkpoint_lock);
    return st;
}

/* Each merge finds that writers are about to wait for the next checkpoint. */
static void merges_make_progress_beside_writers_that_never_rest(void)
{
    enum { N_ROUNDS = 60, RUNS_BEARABLE = 13 };
    struct mni_crash_env *crash = NULL;
    size_t n_given_up = 0;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_in(mni_crash_env_base(crash));
    atomic_store(&store->engine->checkpoint_bytes, 1);
    for (int i = 0; i < N_ROUNDS; i++) {
        mn_status st = checkpoint_and_merge(store, i);
        CHECK(st == MN_OK || st == MN_ERR_BUSY);
        n_given_up += st == MN_ERR_BUSY;
        CHECK(stats_of(store).n_runs <= RUNS_BEARABLE);
    }
    CHECK(n_given_up > 0);
    closed(store);
    mni_crash_env_free(crash);
}

/* When writers rest, merges are as large as ever after a while. */
static void merges_grow_again(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_in(mni_crash_env_base(crash));
    atomic_store(&store->engine->checkpoint_bytes, 1);
    for (int i = 0; i < 30; i++)
        mni_ignore(checkpoint_and_merge(store, i));
    CHECK(store->engine->n_given_up > 0);
    atomic_store(&store->engine->checkpoint_bytes, 1 << 20);
    for (int i = 30; i < 50; i++)
        CHECK_OK_ERR(checkpoint_and_merge(store, i), &err);
    CHECK_EQ(store->engine->n_given_up, 0);
    CHECK(stats_of(store).n_runs <= 8);
    closed(store);
    mni_crash_env_free(crash);
}

/* Dropped and deleted ---------- */

enum { N_WASTE = 2000, WASTE_PAYLOAD_BYTES = 4000 };

static void put_waste(mn_store *store, const char *name)
{
    static const char payload[WASTE_PAYLOAD_BYTES];
    char room[16];

    for (int i = 0; i < N_WASTE; i++) {
        struct mn_record r = {.id = id_of(i, room), .payload = bytes(payload, sizeof payload)};
        CHECK_OK_ERR(mn_put(store, mn_str(name), &r, NULL, NULL, &err), &err);
    }
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
}

static void rows_of_a_dropped_namespace_count_as_dead(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_in(mni_crash_env_base(crash));
    put_waste(store, "kept");
    put_waste(store, "gone");
    uint64_t n_dead = stats_of(store).segment_dead_rows;
    CHECK_OK(mn_namespace_drop(store, mn_str("gone"), NULL, &err));
    CHECK(stats_of(store).segment_dead_rows >= n_dead + N_WASTE);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK(stats_of(store).segment_rows < 2 * N_WASTE);
    CHECK(stats_of(store).segment_dead_rows < N_WASTE);
    closed(store);
    mni_crash_env_free(crash);
}

/* Nothing asks for a checkpoint but what is dead. */
static void space_of_a_dropped_namespace_comes_back_by_itself(void)
{
    const struct timespec nap = {.tv_nsec = 50000000};
    mn_store *store = opened(check_temp_dir());

    CHECK_OK_ERR(mn_config_set(store, "checkpoint_interval_ms", "3600000", &err), &err);
    put_waste(store, "gone");
    uint64_t n_bytes = stats_of(store).segment_bytes;
    CHECK(n_bytes >= N_WASTE * WASTE_PAYLOAD_BYTES);
    CHECK_OK(mn_namespace_drop(store, mn_str("gone"), NULL, &err));
    while (stats_of(store).segment_bytes > n_bytes / 2)
        (void)nanosleep(&nap, NULL);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(dead_rows_go_and_patches_stay),
        CHECK_TEST(memory_may_end_at_any_allocation),
        CHECK_TEST(merges_make_progress_beside_writers_that_never_rest),
        CHECK_TEST(the_budget_knows_what_a_merge_leaves),
        CHECK_TEST(merges_grow_again),
        CHECK_TEST(rows_of_a_dropped_namespace_count_as_dead),
        CHECK_TEST(space_of_a_dropped_namespace_comes_back_by_itself),
    };

    return check_run("engine.merge", tests, CHECK_COUNT(tests), argc, argv);
}
