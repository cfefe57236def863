/* Tests of checkpoints: what a later opening makes of what one left behind. */
#include "../api/short.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "io/fault.h"

static struct mn_error err;

static mn_status try_open_as_of(struct mni_env *env, uint64_t stop_lsn, mn_store **store_out)
{
    struct mn_options o = {.size = sizeof o,
                           .create = stop_lsn == 0,
                           .stop_lsn = stop_lsn,
                           .wal_file_bytes = 64 << 10};

    o.recovery = stop_lsn != 0 ? MN_RECOVERY_POINT_IN_TIME : MN_RECOVERY_TAIL;
    return mni_api_store_open(env, "/s", &o, store_out, &err);
}

static mn_store *open_in(struct mni_env *env)
{
    mn_store *store = NULL;

    CHECK_OK_ERR(try_open_as_of(env, 0, &store), &err);
    return store;
}

/* Each call of the first checkpoint fails in turn; the store opens, and a second one works. */
static void the_first_checkpoint_may_end_at_any_call(void)
{
    for (uint64_t n = 1, was_hit = 1; was_hit != 0; n++) {
        struct mni_crash_env *crash = NULL;
        struct mni_fault_env *fault = NULL;
        CHECK_OK(mni_crash_env_new(n, &crash));
        CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
        mn_store *store = open_in(mni_fault_env_base(fault));
        (void)put(store, mn_str("n"), mn_str("k"), "1");
        mni_fault_env_fail_at(fault, n, 5, true);
        mn_status st = mn_checkpoint(store, &err);
        was_hit = mni_fault_env_was_hit(fault);
        CHECK((st == MN_OK) == (was_hit == 0));
        mni_fault_env_fail_at(fault, 0, 0, false);
        mni_api_store_abandon(store);
        store = open_in(mni_fault_env_base(fault));
        CHECK(holds(store, mn_str("n"), mn_str("k"), "1"));
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK(holds(store, mn_str("n"), mn_str("k"), "1"));
        closed(store);
        mni_fault_env_free(fault);
        mni_crash_env_free(crash);
    }
}

/* A failed one has frozen a table that the commits behind it are not in. */
static void after_a_failure_the_next_one_covers_all_commits(void)
{
    struct mni_crash_env *crash = NULL;
    mn_store *store = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    store = open_in(mni_crash_env_base(crash));
    (void)put(store, mn_str("n"), mn_str("k"), "1");
    mni_crash_env_fail_sync_at(crash, 1);
    CHECK_STATUS(mn_checkpoint(store, &err), MN_ERR_IO);
    uint64_t lsn = put(store, mn_str("n"), mn_str("k"), "2");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK(holds(store, mn_str("n"), mn_str("k"), "2"));
    closed(store);
    CHECK_STATUS(try_open_as_of(mni_crash_env_base(crash), lsn - 1, &store), MN_ERR_INVALID);
    mni_crash_env_free(crash);
}

static void no_point_in_time_lies_before_the_newest_checkpoint(void)
{
    struct mni_crash_env *crash = NULL;
    uint64_t lsns[3];

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_in(mni_crash_env_base(crash));
    for (int i = 0; i < 3; i++) {
        lsns[i] = put(store, mn_str("n"), mn_str("k"), (const char *[]){"0", "1", "2"}[i]);
        if (i == 1)
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    closed(store);
    CHECK_STATUS(try_open_as_of(mni_crash_env_base(crash), lsns[0], &store), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "checkpoint");
    for (int i = 1; i < 3; i++) {
        CHECK_OK_ERR(try_open_as_of(mni_crash_env_base(crash), lsns[i], &store), &err);
        CHECK(holds(store, mn_str("n"), mn_str("k"), i == 1 ? "1" : "2"));
        closed(store);
    }
    mni_crash_env_free(crash);
}

/* What was frozen is written as it was then, whatever a failed checkpoint gave time for. Each call
 * of the next one fails in turn. */
static void a_frozen_table_keeps_the_namespaces_that_were_dropped_since(void)
{
    uint64_t n_answered = 0;

    for (uint64_t n = 1, was_hit = 1; was_hit != 0; n++) {
        struct mni_crash_env *crash = NULL;
        struct mni_fault_env *fault = NULL;
        CHECK_OK(mni_crash_env_new(n, &crash));
        CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
        mn_store *store = open_in(mni_fault_env_base(fault));
        uint64_t lsn = put(store, mn_str("n"), mn_str("k"), "1");
        mni_fault_env_fail_at(fault, 1, 5, true);
        CHECK_STATUS(mn_checkpoint(store, &err), MN_ERR_IO);
        mni_fault_env_fail_at(fault, 0, 0, false);
        CHECK_OK_ERR(mn_namespace_drop(store, mn_str("n"), NULL, &err), &err);
        mni_fault_env_fail_at(fault, n, 5, true);
        mni_ignore(mn_checkpoint(store, &err));
        was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        mni_api_store_abandon(store);
        mn_status st = try_open_as_of(mni_fault_env_base(fault), lsn, &store);
        if (st == MN_OK) {
            CHECK(holds(store, mn_str("n"), mn_str("k"), "1"));
            closed(store);
            n_answered++;
        } else {
            CHECK_STATUS(st, MN_ERR_INVALID);
        }
        store = open_in(mni_fault_env_base(fault));
        CHECK(!holds(store, mn_str("n"), mn_str("k"), "1"));
        closed(store);
        mni_fault_env_free(fault);
        mni_crash_env_free(crash);
    }
    CHECK(n_answered > 20);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_first_checkpoint_may_end_at_any_call),
        CHECK_TEST(after_a_failure_the_next_one_covers_all_commits),
        CHECK_TEST(a_frozen_table_keeps_the_namespaces_that_were_dropped_since),
        CHECK_TEST(no_point_in_time_lies_before_the_newest_checkpoint),
    };

    return check_run("engine.checkpoint", tests, CHECK_COUNT(tests), argc, argv);
}
