/*
 * numbers_test.c - the numbers of a store are those that the server has seen.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "double.h"

static struct mn_object_stats stats_of(mn_object_store *store)
{
    struct mn_object_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_object_stats(store, &stats, NULL));
    return stats;
}

static void get(mn_object_store *store, const char *key)
{
    struct mn_error err = {0};
    struct mn_slice data;

    CHECK_OK_ERR(mn_object_get(store, mn_str(key), 0, &data, NULL, &err), &err);
    mn_object_free(data);
}

/* A connection that the server closes instead of answering: libcurl tries again by itself when it
 * had used the connection before, and that counts like any other try. */
static void tries_that_libcurl_makes_are_counted(void)
{
    static const char *const faults[] = {
        "{'do': 'close'}",
        "{'do': 'close', 'reset': true}",
        "{'do': 'close', 'applies': true}",
        "{'do': 'status', 'status': 503}",
        "{'n': 3, 'do': 'close'}",
    };
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        double_reset();
        mn_object_store *store = double_open();
        double_put(store, "k", "one");
        CHECK_EQ(stats_of(store).n_requests, 1);
        double_plan(faults[i]);
        get(store, "k");
        double_plan(faults[i]);
        double_put(store, "k", "two");
        double_plan(faults[i]);
        CHECK_OK_ERR(mn_object_delete(store, mn_str("k"), &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_EQ(stats_of(store).n_requests, double_count(""));
        CHECK_EQ(stats_of(store).n_retries, double_count("") - 4);
        CHECK_EQ(stats_of(store).n_failures, 0);
        double_close(store);
    }
}

/* A put without a body, done, and its answer lost on a connection that was used before: the second
 * try, of which only the log of libcurl tells, is refused, and the put is recognised. */
static void a_put_that_libcurl_sent_twice_is_recognised(void)
{
    double_reset();
    mn_object_store *store = double_open();
    struct mn_object_condition absent = {.if_absent = true};
    struct mn_object_info info;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_put(store, mn_str("k"), mn_str("one"), NULL, &info, &err), &err);
    struct mn_object_condition same = {.if_match = info.etag};
    double_plan("{'operation': 'PutObject', 'do': 'close', 'applies': true}");
    CHECK_OK_ERR(mn_object_put(store, mn_str("k"), mn_str(""), &same, NULL, &err), &err);
    double_plan("{'operation': 'PutObject', 'do': 'close', 'applies': true}");
    CHECK_OK_ERR(mn_object_put(store, mn_str("new"), mn_str(""), &absent, NULL, &err), &err);
    CHECK_EQ(double_n_faults(), 0);
    CHECK_EQ(stats_of(store).n_requests, double_count(""));
    double_close(store);
}

static void bytes_are_those_of_objects(void)
{
    static char data[100000];
    double_reset();
    mn_object_store *store = double_open();
    struct mn_error err = {0};

    CHECK_OK_ERR(
        mn_object_put(store, mn_str("k"), (struct mn_slice){data, sizeof data}, NULL, NULL, &err),
        &err);
    CHECK_EQ(stats_of(store).bytes_sent, sizeof data);
    CHECK_EQ(stats_of(store).bytes_received, 0);
    get(store, "k");
    struct mn_object_range range = {
        .key = mn_str("k"), .offset = 10, .n_bytes = 1000, .data_out = data};
    CHECK_OK_ERR(mn_object_get_ranges(store, &range, 1, &err), &err);
    CHECK_EQ(stats_of(store).bytes_received, sizeof data + 1000);
    CHECK_EQ(stats_of(store).bytes_sent, sizeof data);
    struct mn_slice got;
    CHECK_STATUS(mn_object_get(store, mn_str("none"), 0, &got, NULL, NULL), MN_NOT_FOUND);
    CHECK_EQ(stats_of(store).n_failures, 0);
    CHECK_STATUS(mn_object_get(store, mn_str("k"), 10, &got, NULL, NULL), MN_ERR_LIMIT);
    CHECK_EQ(stats_of(store).n_failures, 1);
    CHECK_EQ(stats_of(store).bytes_received, sizeof data + 1000);
    double_close(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(tries_that_libcurl_makes_are_counted),
        CHECK_TEST(a_put_that_libcurl_sent_twice_is_recognised),
        CHECK_TEST(bytes_are_those_of_objects),
    };
    return check_run("s3.numbers", tests, CHECK_COUNT(tests), argc, argv);
}
