/* Tests of what calls answer: borders of namespaces, durability of answers, numbers, callbacks. */
#include "short.h"

static struct mn_error err;

static void namespaces_and_ids_never_run_together(void)
{
    mn_store *store = opened(check_temp_dir());
    const struct mn_slice a = mn_str("a");
    const struct mn_slice a_b = mn_str("a:b");
    const struct mn_slice a_nul_b = bytes("a\0b", 3);
    bool existed = false;

    (void)put(store, a, mn_str("b:c"), "1");
    (void)put(store, a_b, mn_str("c"), "2");
    (void)put(store, a_nul_b, mn_str("c"), "3");
    (void)put(store, a, bytes("\0b\0c", 4), "4");
    CHECK(holds(store, a, mn_str("b:c"), "1"));
    CHECK(holds(store, a_b, mn_str("c"), "2"));
    CHECK_OK(mn_namespace_drop(store, a, &existed, &err));
    CHECK(existed);
    CHECK(!holds(store, a, mn_str("b:c"), "1"));
    CHECK(holds(store, a_b, mn_str("c"), "2"));
    CHECK(holds(store, a_nul_b, mn_str("c"), "3"));
    CHECK_EQ(stats_of(store).n_namespaces, 2);
    CHECK_EQ(stats_of(store).n_records, 2);
    closed(store);
}

static void a_put_makes_its_namespace_in_the_same_commit(void)
{
    mn_store *store = opened(check_temp_dir());
    float vector[4] = {1, 2, 3, 4};
    struct mn_record record = {.id = mn_str("v"), .vector = vector, .n_dims = 4};
    mn_namespace_iter *iter = NULL;
    struct mn_namespace_info info;
    uint32_t dimension = 99;

    CHECK_EQ(put(store, mn_str("n"), mn_str("a"), "x"), 1);
    CHECK_OK(mn_dimension(store, mn_str("n"), &dimension, &err));
    CHECK_EQ(dimension, 0);
    CHECK_OK(mn_put(store, mn_str("n"), &record, NULL, NULL, &err));
    CHECK_OK(mn_dimension(store, mn_str("n"), &dimension, &err));
    CHECK_EQ(dimension, 4);
    record.n_dims = 3;
    CHECK_STATUS(mn_put(store, mn_str("n"), &record, NULL, NULL, &err), MN_ERR_DIMENSION);
    CHECK_STR_HAS(err.message, "\"n\"");
    CHECK_EQ(stats_of(store).current_lsn, 2);
    CHECK_OK(mn_namespace_iter_open(store, bytes(NULL, 0), &iter, &err));
    CHECK_OK(mn_namespace_iter_next(iter, &info, &err));
    CHECK_EQ(info.created_lsn, 1);
    CHECK_EQ(info.n_records, 2);
    mn_namespace_iter_close(iter);
    closed(store);
}

static void answers_wait_until_what_they_depend_on_is_durable(void)
{
    mn_store *store = opened(check_temp_dir()); /* every write */
    struct mn_write_options none = {.size = sizeof none, .ack = MN_ACK_NONE};
    struct mn_record record = {.id = mn_str("k")};
    struct mn_slice n = mn_str("n");

    CHECK_OK(mn_put(store, n, &record, &none, NULL, &err));
    CHECK_EQ(stats_of(store).durable_lsn, 0);
    CHECK_OK(mn_namespace_ensure(store, n, NULL, &err));
    CHECK_EQ(stats_of(store).durable_lsn, 1);
    CHECK_OK(mn_put(store, n, &record, &none, NULL, &err));
    CHECK_STATUS(mn_put_if_absent(store, n, &record, &none, NULL, &err), MN_EXISTS);
    CHECK_EQ(stats_of(store).durable_lsn, 1);
    CHECK_STATUS(mn_put_if_absent(store, n, &record, NULL, NULL, &err), MN_EXISTS);
    CHECK_EQ(stats_of(store).durable_lsn, 2);
    uint64_t n_syncs = stats_of(store).wal_syncs;
    CHECK_STATUS(mn_put_if_lsn(store, n, &record, 1, NULL, NULL, &err), MN_CHANGED);
    CHECK_STATUS(mn_touch(store, n, mn_str("?"), 0, 0, NULL, NULL, &err), MN_NOT_FOUND);
    CHECK_EQ(stats_of(store).wal_syncs, n_syncs); /* nothing to wait for */
    closed(store);
}

static void numbers_count_groups_commits_and_records(void)
{
    mn_store *store = opened(check_temp_dir());
    struct mn_record records[3] = {{.id = mn_str("a")}, {.id = mn_str("b")}, {.id = mn_str("c")}};

    CHECK_OK(mn_namespace_create(store, mn_str("n"), NULL, &err));
    struct mn_stats before = stats_of(store);
    CHECK_OK(mn_put_batch(store, mn_str("n"), records, 3, NULL, NULL, NULL, &err));
    (void)put(store, mn_str("n"), mn_str("d"), "x");
    struct mn_stats after = stats_of(store);
    CHECK_EQ(after.wal_commits - before.wal_commits, 2);
    CHECK_EQ(after.wal_groups - before.wal_groups, 2);
    CHECK_EQ(after.wal_current_file_records - before.wal_current_file_records, 4);
    CHECK_EQ(after.wal_records_since_checkpoint - before.wal_records_since_checkpoint, 4);
    CHECK_EQ(after.n_records, 4);
    CHECK_EQ(after.current_lsn, 3);
    CHECK_EQ(after.durable_lsn, 3);
    CHECK_EQ(after.checkpoint_lsn, 0);
    closed(store);
}

static void verifying_counts_all_files_and_what_they_hold(void)
{
    const char *path = check_temp_dir();
    struct mn_verify_report report = {.size = sizeof report};
    mn_store *store = opened(path);

    (void)put(store, mn_str("n"), mn_str("a"), "x");
    (void)put(store, mn_str("n"), mn_str("b"), "x");
    struct mn_stats stats = stats_of(store);
    closed(store);
    CHECK_OK_ERR(mn_verify(path, &report, &err), &err);
    CHECK_EQ(report.n_files, 2);
    CHECK(report.n_bytes >= stats.wal_current_file_bytes + 4096);
    CHECK_EQ(report.n_commits, 2);
    CHECK_EQ(report.n_records, stats.wal_current_file_records);
    CHECK_EQ(report.last_lsn, 2);
    CHECK_EQ(report.torn_tail_bytes, 0);
}

static mn_status stop_at_second(void *context, const struct mn_log_entry *entry)
{
    unsigned *n = context;

    (void)entry;
    return ++*n == 2 ? MN_NOT_FOUND : MN_OK;
}

static void looking_into_the_log_ends_as_its_callback_says(void)
{
    const char *path = check_temp_dir();
    mn_store *store = opened(path);
    unsigned n = 0;

    (void)put(store, mn_str("n"), mn_str("a"), "x");
    closed(store);
    CHECK_STATUS(mn_log_dump(path, 1, stop_at_second, &n, &err), MN_NOT_FOUND);
    CHECK_EQ(n, 2);
    n = 2;
    CHECK_OK(mn_log_dump(path, 1, stop_at_second, &n, &err));
    CHECK(n > 3);
    n = 1;
    CHECK_OK(mn_log_dump(path, 2, stop_at_second, &n, &err));
    CHECK_EQ(n, 1);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(namespaces_and_ids_never_run_together),
        CHECK_TEST(a_put_makes_its_namespace_in_the_same_commit),
        CHECK_TEST(answers_wait_until_what_they_depend_on_is_durable),
        CHECK_TEST(numbers_count_groups_commits_and_records),
        CHECK_TEST(verifying_counts_all_files_and_what_they_hold),
        CHECK_TEST(looking_into_the_log_ends_as_its_callback_says),
    };

    return check_run("api.answers", tests, CHECK_COUNT(tests), argc, argv);
}
