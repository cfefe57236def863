/*
 * numbers_test.c - the numbers of a store are those that the server has seen.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "double.h"
#include "io/thread.h"

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

/* Connections ------------------------------------------------------------------------------------
 */

enum { N_THREADS = 6, N_GETS = 5, N_RANGES = 12 };

struct reader {
    struct mni_thread thread;
    mn_object_store *store;
    unsigned n_gets;
    mn_status status; /* the first that is not MN_OK */
};

static void read_often(void *context)
{
    struct reader *reader = context;

    for (unsigned i = 0; i < reader->n_gets && reader->status == MN_OK; i++) {
        struct mn_slice data;
        reader->status = mn_object_get(reader->store, mn_str("k"), 0, &data, NULL, NULL);
        if (reader->status == MN_OK)
            mn_object_free(data);
    }
}

static void start(struct reader readers[N_THREADS], mn_object_store *store, unsigned n_gets)
{
    for (unsigned i = 0; i < N_THREADS; i++) {
        readers[i] = (struct reader){.store = store, .n_gets = n_gets};
        CHECK_OK(mni_thread_start(&readers[i].thread, read_often, &readers[i], NULL));
    }
}

static void more_requests_than_connections_wait(void)
{
    struct mn_object_s3_options options = double_options();
    struct reader readers[N_THREADS];
    struct mn_error err = {0};
    char got[N_RANGES][3];

    double_reset();
    options.n_connections_max = 2;
    mn_object_store *store = double_open_with(&options);
    double_put(store, "k", "one");
    double_plan("{'operation': 'GetObject', 'n': -1, 'do': 'delay', 'ms': 5}");
    start(readers, store, N_GETS);
    for (unsigned i = 0; i < N_THREADS; i++)
        mni_thread_join(&readers[i].thread);
    for (unsigned i = 0; i < N_THREADS; i++)
        CHECK_STATUS(readers[i].status, MN_OK);
    CHECK_EQ(stats_of(store).n_requests, 1 + N_THREADS * N_GETS);
    CHECK(stats_of(store).n_connections <= 2);

    struct mn_object_range ranges[N_RANGES];
    for (unsigned i = 0; i < N_RANGES; i++)
        ranges[i] = (struct mn_object_range){.key = mn_str("k"), .n_bytes = 3, .data_out = got[i]};
    uint64_t n_before = stats_of(store).n_connections;
    CHECK_OK_ERR(mn_object_get_ranges(store, ranges, N_RANGES, &err), &err);
    for (unsigned i = 0; i < N_RANGES; i++)
        CHECK_MEM_EQ(got[i], "one", 3);
    CHECK(stats_of(store).n_connections - n_before <= 2);
    CHECK_EQ(stats_of(store).n_failures, 0);
    double_close(store);
}

enum { N_MANY = 300 };

static void read_ranges(void *context)
{
    static struct mn_object_range ranges[N_MANY];
    static char got[N_MANY][2];
    struct reader *reader = context;

    for (unsigned i = 0; i < N_MANY; i++)
        ranges[i] = (struct mn_object_range){
            .key = mn_str("k"), .offset = 1, .n_bytes = 2, .data_out = got[i]};
    reader->status = mn_object_get_ranges(reader->store, ranges, N_MANY, NULL);
    for (unsigned i = 0; i < N_MANY && reader->status == MN_OK; i++)
        if (memcmp(got[i], "ne", 2) != 0)
            reader->status = MN_ERR_CORRUPT;
}

/* A call that reads many ranges has all connections; others get in before it is through. */
static void a_large_call_lets_others_in(void)
{
    struct mn_object_s3_options options = double_options();
    struct reader readers[N_THREADS];
    struct reader large = {0};

    double_reset();
    options.n_connections_max = 2;
    mn_object_store *store = double_open_with(&options);
    double_put(store, "k", "one");
    double_plan("{'operation': 'GetObject', 'n': -1, 'do': 'delay', 'ms': 5}");
    large.store = store;
    CHECK_OK(mni_thread_start(&large.thread, read_ranges, &large, NULL));
    while (double_count("operation=GetObject") < 4)
        continue;
    start(readers, store, 1);
    for (unsigned i = 0; i < N_THREADS; i++)
        mni_thread_join(&readers[i].thread);
    uint64_t n_then = double_count("operation=GetObject");
    mni_thread_join(&large.thread);
    CHECK_STATUS(large.status, MN_OK);
    for (unsigned i = 0; i < N_THREADS; i++)
        CHECK_STATUS(readers[i].status, MN_OK);
    CHECK(n_then < N_MANY);
    CHECK_EQ(double_count("operation=GetObject"), N_MANY + N_THREADS);
    double_close(store);
}

static atomic_bool is_over;

static bool ask_is_over(void *context)
{
    (void)context;
    return atomic_load(&is_over);
}

static void who_waits_for_a_connection_can_be_cancelled(void)
{
    struct mn_object_s3_options options = double_options();
    struct reader readers[N_THREADS];

    double_reset();
    atomic_store(&is_over, false);
    options.n_connections_max = 1;
    options.is_cancelled = ask_is_over;
    mn_object_store *store = double_open_with(&options);
    double_put(store, "k", "one");
    double_plan("{'operation': 'GetObject', 'n': -1, 'do': 'stall'}");
    start(readers, store, 1);
    while (double_count("") < 2)
        continue;
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < N_THREADS; i++)
        mni_thread_join(&readers[i].thread);
    for (unsigned i = 0; i < N_THREADS; i++)
        CHECK_STATUS(readers[i].status, MN_ERR_CANCELLED);
    CHECK_EQ(double_count("operation=GetObject"), 1);
    double_close(store);
    double_reset();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(tries_that_libcurl_makes_are_counted),
        CHECK_TEST(a_put_that_libcurl_sent_twice_is_recognised),
        CHECK_TEST(bytes_are_those_of_objects),
        CHECK_TEST(more_requests_than_connections_wait),
        CHECK_TEST(a_large_call_lets_others_in),
        CHECK_TEST(who_waits_for_a_connection_can_be_cancelled),
    };
    return check_run("s3.numbers", tests, CHECK_COUNT(tests), argc, argv);
}
