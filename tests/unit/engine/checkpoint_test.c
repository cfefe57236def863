/* Tests of checkpoints: what a later opening makes of what one left behind. */
#include "../api/short.h"
#include "api/store_private.h"
#include "base/plant.h"
#include "engine/engine_private.h"
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

/* Beside others ---------- */

static mn_store *the_store; /* of the test that runs */

static void put_first_vector(void *context)
{
    const float vector[2] = {1, 2};
    struct mn_record r = {.id = mn_str("b"), .payload = mn_str("2"), .vector = vector, .n_dims = 2};

    (void)context;
    CHECK_OK_ERR(mn_put(the_store, mn_str("n"), &r, NULL, NULL, &err), &err);
}

/* The namespace's row in a segment is replaced while a put looks it up: the put looks again. */
static void a_namespace_keeps_its_number_when_its_row_is_replaced(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    the_store = open_in(mni_crash_env_base(crash));
    (void)put(the_store, mn_str("n"), mn_str("a"), "1");
    CHECK_OK_ERR(mn_checkpoint(the_store, &err), &err);
    mni_test_point_set("look_up", put_first_vector, NULL);
    (void)put(the_store, mn_str("n"), mn_str("c"), "3");
    CHECK(holds(the_store, mn_str("n"), mn_str("c"), "3"));
    CHECK(holds(the_store, mn_str("n"), mn_str("a"), "1"));
    CHECK(holds(the_store, mn_str("n"), mn_str("b"), "2"));
    closed(the_store);
    mni_crash_env_free(crash);
}

static void put_until(const char *id, int64_t expires_at_us)
{
    struct mn_record r = {.id = mn_str(id),
                          .payload = mn_str("x"),
                          .fields = MN_HAS_EXPIRES_AT,
                          .expires_at_us = expires_at_us};

    CHECK_OK_ERR(mn_put(the_store, mn_str("t"), &r, NULL, NULL, &err), &err);
}

static void a_sweep_goes_on_while_anything_has_expired(void)
{
    enum { N_RECORDS = 600 };
    struct mni_crash_env *crash = NULL;
    uint64_t n = 0;
    char id[16];

    CHECK_OK(mni_crash_env_new(1, &crash));
    the_store = open_in(mni_crash_env_base(crash));
    mni_crash_env_set_wall_us(crash, 1000);
    for (int i = 0; i < N_RECORDS; i++) {
        (void)snprintf(id, sizeof id, "k%d", i);
        put_until(id, 1000000000);
        if (i == N_RECORDS / 2)
            CHECK_OK_ERR(mn_checkpoint(the_store, &err), &err);
    }
    mni_crash_env_set_wall_us(crash, 3000000000);
    CHECK_OK_ERR(mn_sweep(the_store, &n, &err), &err);
    CHECK_EQ(n, N_RECORDS);
    closed(the_store);
    mni_crash_env_free(crash);
}

static void drop_t(void *context)
{
    (void)context;
    CHECK_OK_ERR(mn_namespace_drop(the_store, mn_str("t"), NULL, &err), &err);
}

static void count_holders(void *n_out)
{
    *(unsigned *)n_out = atomic_load(&the_store->engine->state->n_refs);
}

/* What it would wait for may be memory that the state keeps. */
static void a_sweep_holds_no_state_while_it_deletes(void)
{
    struct mni_crash_env *crash = NULL;
    uint64_t n_swept = 0;
    unsigned n_refs = 0;

    CHECK_OK(mni_crash_env_new(1, &crash));
    the_store = open_in(mni_crash_env_base(crash));
    mni_crash_env_set_wall_us(crash, 1000);
    put_until("in_a_segment", 1000000000);
    CHECK_OK_ERR(mn_checkpoint(the_store, &err), &err);
    put_until("in_the_table", 1000000000);
    mni_crash_env_set_wall_us(crash, 3000000000);
    mni_test_point_set("sweep", count_holders, &n_refs);
    CHECK_OK_ERR(mn_sweep(the_store, &n_swept, &err), &err);
    CHECK_EQ(n_swept, 2);
    CHECK_EQ(n_refs, 1); /* the engine's */
    closed(the_store);
    mni_crash_env_free(crash);
}

/* While the reserve is lent a put waits for a checkpoint, whose tables its state would keep. */
static void a_put_that_waits_for_a_checkpoint_holds_no_state(void)
{
    struct mni_crash_env *crash = NULL;
    struct mni_batch *batch = NULL;
    struct mni_record record = {.type = MNI_RECORD_UPSERT, .key = mn_str("a")};
    size_t index;

    CHECK_OK(mni_crash_env_new(1, &crash));
    the_store = open_in(mni_crash_env_base(crash));
    struct mni_engine *engine = the_store->engine;
    CHECK_OK(mni_batch_new(engine, NULL, &batch));
    CHECK_OK(mni_batch_collection(batch, MNI_KIND_NAMESPACE, mn_str("n"), true, &index, &err));
    CHECK_OK(mni_batch_add(batch, index, &record, MNI_ALWAYS, 0, NULL, &err));
    CHECK_EQ(atomic_load(&engine->state->n_refs), 2);
    atomic_store(&engine->reserve_is_lent, true);
    atomic_store(&engine->reserve_is_short, true); /* it gives up where it has waited */
    CHECK_STATUS(mni_batch_commit(batch, MN_ACK_NONE, NULL, &err), MN_ERR_NO_SPACE);
    CHECK_EQ(atomic_load(&engine->state->n_refs), 1);
    atomic_store(&engine->reserve_is_lent, false);
    atomic_store(&engine->reserve_is_short, false);
    mni_batch_free(batch);
    closed(the_store);
    mni_crash_env_free(crash);
}

/* The sweep's delete leaves nothing of a namespace that is dropped meanwhile. */
static void a_sweep_may_meet_a_drop(void)
{
    struct mni_crash_env *crash = NULL;
    mn_iter *iter = NULL;
    uint64_t n = 0;

    CHECK_OK(mni_crash_env_new(1, &crash));
    the_store = open_in(mni_crash_env_base(crash));
    mni_crash_env_set_wall_us(crash, 1000);
    (void)put(the_store, mn_str("n"), mn_str("a"), "1");
    put_until("k", 1000000000);
    CHECK_OK_ERR(mn_checkpoint(the_store, &err), &err);
    mni_crash_env_set_wall_us(crash, 3000000000);
    CHECK_OK_ERR(mn_iter_open(the_store, mn_str("n"), NULL, &iter, &err), &err);
    mni_test_point_set("sweep", drop_t, NULL);
    CHECK_OK_ERR(mn_sweep(the_store, &n, &err), &err);
    mn_iter_close(iter);
    (void)put(the_store, mn_str("n"), mn_str("c"), "3");
    CHECK(holds(the_store, mn_str("n"), mn_str("a"), "1"));
    closed(the_store);
    mni_crash_env_free(crash);
}

/* What earlier touches said is forgotten. */
static void touches_of_one_record_take_no_more_memory(void)
{
    enum { N_TOUCHES = 20000 };
    const int64_t late = INT64_C(1) << 50;
    struct mni_crash_env *crash = NULL;
    uint64_t first = 0;

    CHECK_OK(mni_crash_env_new(1, &crash));
    the_store = open_in(mni_crash_env_base(crash));
    mni_crash_env_set_wall_us(crash, 1000);
    put_until("k", late);
    CHECK_OK_ERR(mn_checkpoint(the_store, &err), &err);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < N_TOUCHES; i++)
            CHECK_OK_ERR(mn_touch(the_store, mn_str("t"), mn_str("k"), MN_HAS_EXPIRES_AT, late + i,
                                  NULL, NULL, &err),
                         &err);
        CHECK_OK_ERR(mn_checkpoint(the_store, &err), &err);
        uint64_t n_bytes = stats_of(the_store).memory_bytes;
        if (round == 0)
            first = n_bytes;
        CHECK(n_bytes < first + (64 << 10));
    }
    closed(the_store);
    mni_crash_env_free(crash);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_first_checkpoint_may_end_at_any_call),
        CHECK_TEST(after_a_failure_the_next_one_covers_all_commits),
        CHECK_TEST(a_frozen_table_keeps_the_namespaces_that_were_dropped_since),
        CHECK_TEST(no_point_in_time_lies_before_the_newest_checkpoint),
        CHECK_TEST(a_namespace_keeps_its_number_when_its_row_is_replaced),
        CHECK_TEST(a_sweep_goes_on_while_anything_has_expired),
        CHECK_TEST(a_sweep_holds_no_state_while_it_deletes),
        CHECK_TEST(a_put_that_waits_for_a_checkpoint_holds_no_state),
        CHECK_TEST(a_sweep_may_meet_a_drop),
        CHECK_TEST(touches_of_one_record_take_no_more_memory),
    };

    return check_run("engine.checkpoint", tests, CHECK_COUNT(tests), argc, argv);
}
