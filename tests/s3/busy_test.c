/*
 * busy_test.c - servers that are busy, slow or gone: how often and how long they are asked again.
 *
 * Requests are counted at the server. Times are only compared with what must have passed at least.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "double.h"
#include "io/thread.h"

static const char KEY[] = "some key";

static mn_status get(mn_object_store *store, const char *key, struct mn_error *err)
{
    struct mn_slice data;
    mn_status st = mn_object_get(store, mn_str(key), 0, &data, NULL, err);

    if (st == MN_OK)
        mn_object_free(data);
    return st;
}

/* A bucket with one object, and a store that n_tries_max and timeouts are set of. */
static mn_object_store *begin(uint32_t n_tries_max, uint32_t timeout_ms, uint32_t idle_timeout_ms)
{
    struct mn_object_s3_options options = double_options();

    double_reset();
    options.n_tries_max = n_tries_max;
    options.timeout_ms = timeout_ms;
    options.idle_timeout_ms = idle_timeout_ms;
    mn_object_store *store = double_open_with(&options);
    double_put(store, KEY, "one");
    return store;
}

static struct mn_object_stats stats_of(mn_object_store *store)
{
    struct mn_object_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_object_stats(store, &stats, NULL));
    return stats;
}

static void busy_servers_are_asked_again(void)
{
    static const struct {
        int status;
        const char *code;
    } busy[] = {{500, "InternalError"}, {502, "BadGateway"},         {503, "SlowDown"},
                {504, "Timeout"},       {503, "ServiceUnavailable"}, {429, "TooManyRequests"}};
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(busy); i++) {
        mn_object_store *store = begin(4, 0, 0);
        char text[200];
        snprintf(text, sizeof text,
                 "{'operation': 'GetObject', 'n': 3, 'do': 'status', 'status': %d, 'code': '%s'}",
                 busy[i].status, busy[i].code);
        double_plan(text);
        uint64_t n_retries = stats_of(store).n_retries;
        CHECK_OK_ERR(get(store, KEY, &err), &err);
        CHECK_EQ(double_count("operation=GetObject"), 4);
        CHECK_EQ(stats_of(store).n_retries - n_retries, 3);
        double_close(store);
    }
}

/* A 409 is the answer to a condition that another request for the key came between. */
static void conflicts_are_tried_again(void)
{
    struct mn_object_condition condition = {.if_absent = true};
    mn_object_store *store = begin(4, 0, 0);
    struct mn_error err = {0};

    double_plan("{'operation': 'PutObject', 'n': 2, 'do': 'status', 'status': 409,"
                " 'code': 'ConditionalRequestConflict'}");
    CHECK_OK_ERR(mn_object_put(store, mn_str("new"), mn_str("two"), &condition, NULL, &err), &err);
    CHECK_EQ(double_n_faults(), 0);
    double_holds("new", "two");
    double_plan("{'operation': 'PutObject', 'n': 1, 'do': 'status', 'status': 409,"
                " 'code': 'OperationAborted'}");
    double_put(store, "new", "three");
    double_holds("new", "three");
    double_close(store);
}

static void the_number_of_tries_has_an_end(void)
{
    static const char *const operations[] = {"GetObject", "PutObject", "HeadObject", "DeleteObject",
                                             "ListObjectsV2"};
    struct mn_object_info info;

    for (size_t i = 0; i < CHECK_COUNT(operations); i++) {
        mn_object_store *store = begin(3, 0, 0);
        struct mn_error err = {0};
        mn_status st;
        char text[200];
        snprintf(text, sizeof text,
                 "{'operation': '%s', 'n': -1, 'do': 'status', 'status': 503, 'code': 'SlowDown'}",
                 operations[i]);
        double_plan(text);
        snprintf(text, sizeof text, "operation=%s&status=503", operations[i]);
        if (i == 0) {
            st = get(store, KEY, &err);
        } else if (i == 1) {
            st = mn_object_put(store, mn_str(KEY), mn_str("two"), NULL, NULL, &err);
        } else if (i == 2) {
            st = mn_object_head(store, mn_str(KEY), &info, &err);
        } else if (i == 3) {
            st = mn_object_delete(store, mn_str(KEY), &err);
        } else {
            struct mn_object_page *page;
            st = mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err);
        }
        CHECK_STATUS(st, MN_ERR_REMOTE);
        CHECK_EQ(double_count(text), 3);
        if (i != 2) /* the answer to a HEAD has no body that could say so */
            CHECK_STR_HAS(err.message, "SlowDown");
        if (i != 4)
            CHECK_STR_HAS(err.message, KEY);
        double_says_no_secret(&err);
        CHECK_EQ(stats_of(store).n_failures, 1);
        double_close(store);
    }
}

static void what_cannot_get_better_is_not_tried_again(void)
{
    static const struct {
        int status;
        const char *code;
    } final[] = {{400, "InvalidRequest"}, {403, "AccessDenied"}, {405, "MethodNotAllowed"}};

    for (size_t i = 0; i < CHECK_COUNT(final); i++) {
        mn_object_store *store = begin(4, 0, 0);
        struct mn_error err = {0};
        char text[200];
        snprintf(text, sizeof text,
                 "{'operation': 'GetObject', 'n': -1, 'do': 'status', 'status': %d, 'code': '%s'}",
                 final[i].status, final[i].code);
        double_plan(text);
        mn_status st = get(store, KEY, &err);
        CHECK(st < 0);
        if (final[i].status == 403)
            CHECK_STATUS(st, MN_ERR_ACCESS);
        CHECK_EQ(double_count("operation=GetObject"), 1);
        CHECK_STR_HAS(err.message, final[i].code);
        double_close(store);
    }
}

/* So that those who were turned away together do not come back together. */
static void tries_wait_for_different_times(void)
{
    mn_object_store *store = begin(10, 0, 0);
    uint64_t gaps[DOUBLE_GAPS_MAX];
    struct mn_error err = {0};
    uint64_t shortest = UINT64_MAX;
    uint64_t longest = 0;

    for (unsigned i = 0; i < 12; i++) {
        char fields[64];
        char key[16];
        snprintf(key, sizeof key, "key-%u.", i);
        double_put(store, key, "one");
        double_plan("{'operation': 'GetObject', 'do': 'status', 'status': 500}");
        CHECK_OK_ERR(get(store, key, &err), &err);
        snprintf(fields, sizeof fields, "operation=GetObject&key=%s", key);
        CHECK_EQ(double_gaps(fields, gaps), 1);
        shortest = gaps[0] < shortest ? gaps[0] : shortest;
        longest = gaps[0] > longest ? gaps[0] : longest;
    }
    CHECK(longest - shortest >= 10);
    double_close(store);
}

/* All the longer the more often they failed, and as long as the server asks for. */
static void tries_wait_in_between(void)
{
    mn_object_store *store = begin(10, 0, 0);
    uint64_t gaps[DOUBLE_GAPS_MAX];
    struct mn_error err = {0};
    uint64_t sum = 0;

    double_plan("{'operation': 'GetObject', 'n': 5, 'do': 'status', 'status': 500}");
    CHECK_OK_ERR(get(store, KEY, &err), &err);
    CHECK_EQ(double_gaps("operation=GetObject", gaps), 5);
    for (size_t i = 0; i < 5; i++)
        sum += gaps[i];
    CHECK(sum >= 100);

    double_plan("{'operation': 'HeadObject', 'do': 'status', 'status': 503, 'retry_after': 1}");
    struct mn_object_info info;
    CHECK_OK_ERR(mn_object_head(store, mn_str(KEY), &info, &err), &err);
    CHECK_EQ(double_gaps("operation=HeadObject", gaps), 1);
    CHECK(gaps[0] >= 990); /* the double rounds */
    double_close(store);
}

enum { N_CALLERS = 16, N_CALLS = 8 };

static void call_often(void *context)
{
    mn_object_store *store = context;
    struct mn_object_info info;

    for (unsigned i = 0; i < N_CALLS; i++)
        (void)!mn_object_head(store, mn_str(KEY), &info, NULL);
}

/* While nothing succeeds, the tries of all calls have one budget; then each call asks once. */
static void an_outage_is_not_made_worse(void)
{
    mn_object_store *store = begin(4, 0, 0);
    struct mni_thread threads[N_CALLERS];
    struct mn_error err = {0};

    double_plan("{'operation': 'HeadObject', 'n': -1, 'do': 'status', 'status': 500}");
    for (unsigned i = 0; i < N_CALLERS; i++)
        CHECK_OK(mni_thread_start(&threads[i], call_often, store, NULL));
    for (unsigned i = 0; i < N_CALLERS; i++)
        mni_thread_join(&threads[i]);
    uint64_t n = double_count("operation=HeadObject");
    CHECK(n >= N_CALLERS * N_CALLS);
    CHECK(n <= N_CALLERS * N_CALLS + 110);
    double_reset();
    double_put(store, KEY, "one"); /* afterwards all is well */
    CHECK_OK_ERR(get(store, KEY, &err), &err);
    double_close(store);
}

/* Waiting for as long as a server asks ends with the call's time. */
static void the_deadline_ends_a_call(void)
{
    static const char *const faults[] = {
        "{'operation': 'GetObject', 'n': -1, 'do': 'status', 'status': 503, 'retry_after': 3600}",
        "{'operation': 'GetObject', 'n': -1, 'do': 'status', 'status': 503}",
        "{'operation': 'GetObject', 'n': -1, 'do': 'stall'}",
        "{'operation': 'GetObject', 'n': -1, 'do': 'drip', 'bytes': 1, 'ms': 500}",
    };
    struct mn_object_s3_options options = double_options();

    options.n_tries_max = 100;
    options.timeout_ms = 700;
    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        struct mn_error err = {0};
        mn_object_store *other = begin(4, 0, 0); /* with time enough to put the object */
        mn_object_store *store = double_open_with(&options);
        double_plan(faults[i]);
        CHECK_STATUS(get(store, KEY, &err), MN_ERR_TIMEOUT);
        CHECK_STR_HAS(err.message, KEY);
        double_says_no_secret(&err);
        double_close(store);
        double_close(other);
    }
}

/* What is not silent, but slow on a busy machine, may be given up too: it is asked again, and the
 * count is one of those at least. */
static void a_silent_request_is_given_up(void)
{
    struct mn_object_s3_options options = double_options();
    mn_object_store *other = begin(4, 0, 0);
    struct mn_error err = {0};

    options.idle_timeout_ms = 250;
    options.n_tries_max = 20;
    mn_object_store *store = double_open_with(&options);
    double_plan("{'operation': 'GetObject', 'do': 'stall'}");
    CHECK_OK_ERR(get(store, KEY, &err), &err);
    CHECK_EQ(double_n_faults(), 0);
    CHECK(double_count("operation=GetObject") >= 2);
    CHECK(stats_of(store).n_retries >= 1);
    double_close(store);

    options.n_tries_max = 4;
    store = double_open_with(&options);
    double_plan("{'operation': 'GetObject', 'n': -1, 'do': 'stall'}");
    CHECK_STATUS(get(store, KEY, &err), MN_ERR_REMOTE);
    CHECK_EQ(stats_of(store).n_requests, 4);
    CHECK_STR_HAS(err.message, "250 ms");
    double_says_no_secret(&err);
    double_close(store);
    double_close(other);
}

/* Slow is not silent: the body takes longer than silence may last. */
static void a_slow_body_is_waited_for(void)
{
    mn_object_store *store = begin(2, 0, 4000);
    struct mn_error err = {0};

    double_put(store, KEY, "0123456789");
    double_plan("{'operation': 'GetObject', 'do': 'drip', 'bytes': 1, 'ms': 500}");
    CHECK_OK_ERR(get(store, KEY, &err), &err);
    CHECK_EQ(double_count("operation=GetObject"), 1);
    double_close(store);
}

static void nobody_there_is_an_error(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};

    options.endpoint = "http://127.0.0.1:1";
    options.n_tries_max = 2;
    mn_object_store *store = double_open_with(&options);
    CHECK_STATUS(get(store, KEY, &err), MN_ERR_REMOTE);
    CHECK_STR_HAS(err.message, "127.0.0.1");
    double_says_no_secret(&err);
    CHECK_EQ(stats_of(store).n_requests, 2);
    double_close(store);
    options.endpoint = "http://nowhere.invalid";
    options.allow_http = true;
    store = double_open_with(&options);
    CHECK_STATUS(get(store, KEY, &err), MN_ERR_REMOTE);
    double_close(store);
}

/* Connections are kept; one that the server has closed meanwhile is no failure. */
static void connections_are_used_again(void)
{
    mn_object_store *store = begin(4, 0, 0);
    struct mn_error err = {0};

    for (unsigned i = 0; i < 20; i++)
        CHECK_OK_ERR(get(store, KEY, &err), &err);
    CHECK_EQ(stats_of(store).n_connections, 1);
    for (unsigned i = 0; i < 5; i++) {
        double_plan("{'operation': 'GetObject', 'do': 'reply_close'}");
        CHECK_OK_ERR(get(store, KEY, &err), &err);
    }
    CHECK_OK_ERR(get(store, KEY, &err), &err);
    CHECK_EQ(stats_of(store).n_failures, 0);
    CHECK(stats_of(store).n_connections > 1);
    double_close(store);
}

/* Cancelling ------------------------------------------------------------------------------------
 */

struct patience {
    unsigned n_asked;
    unsigned n_until;
};

static bool is_over(void *context)
{
    struct patience *p = context;

    return ++p->n_asked > p->n_until;
}

static void a_call_is_cancelled_wherever_it_waits(void)
{
    static const char *const faults[] = {
        "{'operation': 'GetObject', 'n': -1, 'do': 'stall'}",
        "{'operation': 'GetObject', 'n': -1, 'do': 'status', 'status': 503, 'retry_after': 50}",
        "{'operation': 'GetObject', 'n': -1, 'do': 'drip', 'ms': 1000}",
    };

    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        struct mn_object_s3_options options = double_options();
        struct patience patience = {.n_until = UINT32_MAX};
        struct mn_error err = {0};
        options.is_cancelled = is_over;
        options.cancel_context = &patience;
        options.n_tries_max = 100;
        double_reset();
        mn_object_store *store = double_open_with(&options);
        double_put(store, KEY, "one two three four five six seven eight nine ten");
        double_plan(faults[i]);
        patience = (struct patience){.n_until = 5};
        CHECK_STATUS(get(store, KEY, &err), MN_ERR_CANCELLED);
        CHECK(patience.n_asked > 5);
        double_close(store);
    }
}

struct until {
    const char *fields; /* of requests that come */
    uint64_t n;
};

static bool so_many_came(void *context)
{
    const struct until *until = context;

    return double_count(until->fields) >= until->n;
}

static mn_status fail_on_upload(void *context, struct mn_slice key, const char *upload_id,
                                int64_t begun_us)
{
    (void)context;
    (void)key;
    (void)upload_id;
    (void)begun_us;
    return MN_EXISTS;
}

/* In the eyes of a client that begins anew. */
static void bucket_is_empty(void)
{
    mn_object_store *store = double_open();
    struct mn_object_page *page = NULL;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
    CHECK_EQ(page->n_entries, 0);
    mn_object_page_free(page);
    CHECK_OK_ERR(mn_object_uploads(store, mn_str(""), fail_on_upload, NULL, &err), &err);
    double_close(store);
}

/* Wherever the trial of conditions is cancelled, it leaves nothing behind. */
static void a_cancelled_trial_of_conditions_leaves_nothing(void)
{
    for (uint64_t n_puts = 1; n_puts <= 7; n_puts++) {
        struct mn_object_s3_options options = double_options();
        struct until until = {"operation=PutObject", n_puts};
        struct mn_error err = {0};
        char plan[128];
        options.is_cancelled = so_many_came;
        options.cancel_context = &until;
        double_reset();
        mn_object_store *store = double_open_with(&options);
        /* The last put is done, and its answer is waited for. The seventh request is the look. */
        snprintf(plan, sizeof plan,
                 "{'operation': '%s', 'skip': %u, 'do': 'stall', 'applies': true}",
                 n_puts == 7 ? "GetObject" : "PutObject", n_puts == 7 ? 0 : (unsigned)n_puts - 1);
        if (n_puts == 7)
            until = (struct until){"operation=GetObject", 1};
        double_plan(plan);
        CHECK_STATUS(mn_object_check_conditions(store, &err), MN_ERR_CANCELLED);
        CHECK_EQ(double_n_faults(), 0);
        double_close(store);
        bucket_is_empty();
    }
}

/* The same of the trial that comes before the first completion under a condition. */
static void a_cancelled_trial_of_completing_leaves_nothing(void)
{
    static const char *const operations[] = {"PutObject", "CreateMultipartUpload", "UploadPart"};
    const struct mn_object_condition if_absent = {.if_absent = true};

    for (size_t i = 0; i < CHECK_COUNT(operations); i++) {
        struct mn_object_s3_options options = double_options();
        struct until until = {"operation=HeadBucket", 1};
        mn_object_upload *upload = NULL;
        struct mn_error err = {0};
        char plan[128];
        char fields[64];
        options.is_cancelled = so_many_came;
        options.cancel_context = &until;
        double_reset();
        mn_object_store *store = double_open_with(&options);
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
        CHECK_OK_ERR(mn_object_upload_part(upload, 1, mn_str("x"), &err), &err);
        /* An upload of which nobody was told cannot be taken away. */
        snprintf(plan, sizeof plan, "{'operation': '%s', 'do': 'stall', 'applies': %s}",
                 operations[i], i == 1 ? "false" : "true");
        snprintf(fields, sizeof fields, "operation=%s", operations[i]);
        until = (struct until){fields, i == 0 ? 1 : 2};
        double_plan(plan);
        CHECK_STATUS(mn_object_upload_complete(upload, &if_absent, NULL, &err), MN_ERR_CANCELLED);
        CHECK_EQ(double_n_faults(), 0);
        until = (struct until){"operation=HeadBucket", 1};
        CHECK_OK_ERR(mn_object_upload_abort(upload, &err), &err);
        double_close(store);
        bucket_is_empty();
    }
}

/* A server that knows no conditions of completing, and says so. */
static void a_refused_trial_of_completing_leaves_nothing(void)
{
    const struct mn_object_condition if_absent = {.if_absent = true};
    mn_object_upload *upload = NULL;
    struct mn_error err = {0};

    double_reset();
    mn_object_store *store = double_open();
    CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
    CHECK_OK_ERR(mn_object_upload_part(upload, 1, mn_str("x"), &err), &err);
    double_plan("{'operation': 'CompleteMultipartUpload', 'n': -1, 'do': 'status', 'status': 501,"
                " 'code': 'NotImplemented'}");
    CHECK_STATUS(mn_object_upload_complete(upload, &if_absent, NULL, &err), MN_ERR_UNSUPPORTED);
    CHECK_OK_ERR(mn_object_upload_abort(upload, &err), &err);
    double_close(store);
    bucket_is_empty();
    double_reset();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(busy_servers_are_asked_again),
        CHECK_TEST(conflicts_are_tried_again),
        CHECK_TEST(the_number_of_tries_has_an_end),
        CHECK_TEST(what_cannot_get_better_is_not_tried_again),
        CHECK_TEST(tries_wait_for_different_times),
        CHECK_TEST(tries_wait_in_between),
        CHECK_TEST(an_outage_is_not_made_worse),
        CHECK_TEST(the_deadline_ends_a_call),
        CHECK_TEST(a_silent_request_is_given_up),
        CHECK_TEST(a_slow_body_is_waited_for),
        CHECK_TEST(nobody_there_is_an_error),
        CHECK_TEST(connections_are_used_again),
        CHECK_TEST(a_call_is_cancelled_wherever_it_waits),
        CHECK_TEST(a_cancelled_trial_of_conditions_leaves_nothing),
        CHECK_TEST(a_cancelled_trial_of_completing_leaves_nothing),
        CHECK_TEST(a_refused_trial_of_completing_leaves_nothing),
    };
    return check_run("s3.busy", tests, CHECK_COUNT(tests), argc, argv);
}
