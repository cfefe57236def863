/*
 * trust_test.c - whom the client trusts, whom it tells its keys, and what it says when it is not
 * let in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "double.h"

static mn_status get(mn_object_store *store, struct mn_error *err)
{
    struct mn_slice data;
    mn_status st = mn_object_get(store, mn_str("k"), 0, &data, NULL, err);

    if (st == MN_OK)
        mn_object_free(data);
    return st;
}

/* Opens a store, asks for one object, closes it. */
static mn_status get_with(const struct mn_object_s3_options *options, struct mn_error *err)
{
    mn_object_store *store = double_open_with(options);
    mn_status st = get(store, err);

    double_close(store);
    return st;
}

static void put_one(void)
{
    mn_object_store *store = double_open();

    double_put(store, "k", "one");
    double_close(store);
}

static mn_status no_upload(void *context, struct mn_slice key, const char *upload_id,
                           int64_t begun_us)
{
    (void)context;
    (void)key;
    (void)upload_id;
    (void)begun_us;
    return MN_OK;
}

/* Redirects ---------- */

/* Where a server points to learns nothing, not even that somebody was pointed there. */
static void credentials_do_not_follow_a_redirect(void)
{
    static const int statuses[] = {301, 302, 303, 307, 308};
    char text[128];

    for (size_t i = 0; i < CHECK_COUNT(statuses); i++) {
        struct mn_error err = {0};
        double_reset();
        put_one();
        snprintf(text, sizeof text, "{'n': -1, 'do': 'redirect', 'status': %d}", statuses[i]);
        double_plan(text);
        mn_object_store *store = double_open();
        CHECK(get(store, &err) < 0);
        snprintf(text, sizeof text, "%d", statuses[i]);
        CHECK_STR_HAS(err.message, text);
        double_says_no_secret(&err);
        CHECK(mn_object_put(store, mn_str("k"), mn_str("two"), NULL, NULL, NULL) < 0);
        CHECK(mn_object_delete(store, mn_str("k"), NULL) < 0);
        double_close(store);
        CHECK_EQ(double_count("listener=other"), 0);
    }
    double_reset();
}

/* Credentials ---------- */

static void wrong_keys_are_refused_once_and_not_repeated_aloud(void)
{
    for (unsigned i = 0; i < 4; i++) {
        struct mn_object_s3_options options = double_options();
        struct mn_error err = {0};
        double_reset();
        if (i == 0)
            options.secret_key = "another-secret";
        else if (i == 1)
            options.access_key = "AKIDOTHER";
        else if (i == 2)
            options.session_token = "another-token";
        else
            double_set("{'session_token': 'the token'}");
        CHECK_STATUS(get_with(&options, &err), MN_ERR_ACCESS);
        CHECK_EQ(double_count(""), 1);
        double_says_no_secret(&err);
        CHECK(strstr(err.message, "another-secret") == NULL);
        CHECK(strstr(err.message, "AKIDOTHER") == NULL);
        CHECK(strstr(err.message, "another-token") == NULL);
    }
}

static void the_session_token_is_sent(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};

    double_reset();
    put_one();
    double_set("{'session_token': 'token/with+signs=='}");
    options.session_token = "token/with+signs==";
    CHECK_OK_ERR(get_with(&options, &err), &err);
}

/* A refusal in words of the server's own: they are passed on, without what is secret. */
static void a_refusal_is_told_in_the_servers_words(void)
{
    struct mn_error err = {0};

    double_reset();
    double_plan("{'do': 'status', 'status': 403, 'code': 'AccountProblem',"
                " 'message': 'pay your bill'}");
    mn_object_store *store = double_open();
    CHECK_STATUS(get(store, &err), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "AccountProblem");
    double_close(store);
    double_plan("{'do': 'status', 'status': 403, 'code': 'AccessDenied', 'message':"
                " 'your key AKIDEXAMPLE with wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY is bad'}");
    store = double_open();
    CHECK_STATUS(get(store, &err), MN_ERR_ACCESS);
    double_says_no_secret(&err);
    double_close(store);
}

/* A long one, of which a message would hold but the beginning. */
static void no_part_of_a_secret_is_passed_on(void)
{
    static const char *const faults[] = {
        "{'do': 'status', 'status': 400, 'code': 'Invalid', 'message': '%s'}",
        "{'do': 'status', 'status': 400, 'code': 'Invalid', 'message': 'your %s is malformed'}",
        "{'do': 'status', 'status': 400, 'code': '%s', 'message': ''}",
    };
    struct mn_object_s3_options options = double_options();
    char token[401];
    char begin[41];
    char text[2000];

    memset(token, 'T', sizeof token - 1);
    token[sizeof token - 1] = '\0';
    snprintf(begin, sizeof begin, "%s", token);
    options.session_token = token;
    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        struct mn_error err = {0};
        double_reset();
        snprintf(text, sizeof text, "{'session_token': '%s'}", token);
        double_set(text);
        snprintf(text, sizeof text, faults[i], token);
        double_plan(text);
        CHECK(get_with(&options, &err) < 0);
        CHECK_EQ(double_n_faults(), 0);
        CHECK(strstr(err.message, begin) == NULL);
        CHECK_STR_HAS(err.message, "400");
    }
    double_reset();
}

static void a_wrong_region_is_found_out(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};

    double_reset();
    put_one();
    options.region = "eu-west-1";
    CHECK_STATUS(get_with(&options, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "us-east-1");
    double_says_no_secret(&err);
    CHECK_EQ(double_count("operation=GetObject"), 1);
}

/* By the time of the server, which is kept: only the first request is sent twice. */
static void a_wrong_clock_is_corrected(void)
{
    struct mn_error err = {0};

    for (int i = -1; i <= 1; i += 2) {
        double_reset();
        put_one();
        double_set(i < 0 ? "{'clock_offset_s': -1200}" : "{'clock_offset_s': 1200}");
        mn_object_store *store = double_open();
        CHECK_OK_ERR(get(store, &err), &err);
        CHECK_EQ(double_count("operation=GetObject"), 2);
        CHECK_OK_ERR(get(store, &err), &err);
        CHECK_EQ(double_count("operation=GetObject"), 3);
        double_close(store);
    }
    double_reset();
}

/* TLS ---------- */

static void tls_needs_a_certificate_that_is_trusted(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};
    char endpoint[64];

    double_reset();
    put_one();
    options.n_tries_max = 2;
    options.endpoint = endpoint;
    snprintf(endpoint, sizeof endpoint, "https://localhost:%s", getenv("MNEME_DOUBLE_TLS_PORT"));
    mn_status st = get_with(&options, &err);
    CHECK(st == MN_ERR_ACCESS || st == MN_ERR_REMOTE);
    CHECK_STR_HAS(err.message, "certificate");
    options.ca_file = getenv("MNEME_DOUBLE_CA_FILE");
    CHECK_OK_ERR(get_with(&options, &err), &err);
    CHECK_EQ(double_count("listener=tls"), 1);

    /* the right certificate, for another name */
    snprintf(endpoint, sizeof endpoint, "https://127.0.0.1:%s", getenv("MNEME_DOUBLE_TLS_PORT"));
    st = get_with(&options, &err);
    CHECK(st == MN_ERR_ACCESS || st == MN_ERR_REMOTE);
    CHECK_EQ(double_count("listener=tls"), 1);

    /* and many requests over one connection */
    snprintf(endpoint, sizeof endpoint, "https://localhost:%s", getenv("MNEME_DOUBLE_TLS_PORT"));
    mn_object_store *store = double_open_with(&options);
    struct mn_object_stats stats = {.size = sizeof stats};
    for (unsigned i = 0; i < 5; i++)
        CHECK_OK_ERR(get(store, &err), &err);
    CHECK_OK(mn_object_stats(store, &stats, NULL));
    CHECK_EQ(stats.n_connections, 1);
    double_close(store);
}

static void tls_is_not_spoken_to_a_server_without(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};
    char endpoint[64];

    double_reset();
    options.n_tries_max = 2;
    options.endpoint = endpoint;
    snprintf(endpoint, sizeof endpoint, "https://localhost:%s", getenv("MNEME_DOUBLE_PORT"));
    CHECK_STATUS(get_with(&options, &err), MN_ERR_REMOTE);
    CHECK_STR_HAS(err.message, "http://");
    snprintf(endpoint, sizeof endpoint, "http://localhost:%s", getenv("MNEME_DOUBLE_TLS_PORT"));
    CHECK_STATUS(get_with(&options, &err), MN_ERR_REMOTE);
    CHECK_STR_HAS(err.message, "https://");
    CHECK_EQ(double_count(""), 0);
}

/* Addresses ---------- */

static void the_bucket_is_in_the_host_when_asked(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};
    char endpoint[64];

    double_reset();
    put_one();
    CHECK_EQ(double_count("style=path"), double_count(""));
    options.endpoint = endpoint;
    options.addressing = MN_OBJECT_ADDRESSING_HOST;
    snprintf(endpoint, sizeof endpoint, "http://localhost:%s", getenv("MNEME_DOUBLE_PORT"));
    CHECK_OK_ERR(get_with(&options, &err), &err);
    CHECK_EQ(double_count("style=host"), 1);
    mn_object_store *store = double_open_with(&options);
    struct mn_object_page *page;
    CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
    CHECK_EQ(page->n_entries, 1);
    mn_object_page_free(page);
    double_close(store);
}

static void a_bucket_that_is_not_there_is_named(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};

    double_reset();
    options.bucket = "nobodys-bucket";
    mn_object_store *store = double_open_with(&options);
    mn_status st = get(store, &err);
    CHECK(st < 0); /* not MN_NOT_FOUND: that would be about the object */
    CHECK_STR_HAS(err.message, "nobodys-bucket");
    CHECK(mn_object_put(store, mn_str("k"), mn_str("one"), NULL, NULL, NULL) < 0);
    CHECK(mn_object_delete(store, mn_str("k"), NULL) < 0);
    double_close(store);

    /* In words that nobody knows: a listing is about the bucket all the same. */
    struct mn_object_page *page = NULL;
    double_reset();
    double_plan("{'n': 2, 'do': 'status', 'status': 404, 'code': 'NoSuchThing'}");
    store = double_open();
    CHECK_STATUS(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(mn_object_uploads(store, mn_str(""), no_upload, NULL, &err), MN_ERR_NO_STORE);
    double_close(store);
}

/* Two handles with prefixes in one bucket see nothing of each other. */
static void prefixes_keep_apart(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error err = {0};
    struct mn_object_page *page;

    double_reset();
    put_one();
    options.prefix = "team/";
    mn_object_store *store = double_open_with(&options);
    CHECK_STATUS(get(store, &err), MN_NOT_FOUND);
    double_put(store, "k", "two");
    CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
    CHECK_EQ(page->n_entries, 1);
    CHECK_EQ(page->entries[0].key.n_bytes, 1);
    mn_object_page_free(page);
    double_close(store);
    double_holds("team/k", "two");
    double_holds("k", "one");
}

/* Servers that are none ---------- */

/* Every operation answers `expected`, and says where the server is and nothing that is secret. */
static void expect_of_all(const char *plan, mn_status expected, const char *text)
{
    struct mn_object_s3_options options = double_options();
    struct mn_error errs[6] = {0};
    struct mn_object_page *page = NULL;
    struct mn_object_info info;

    double_reset();
    double_plan(plan);
    options.n_tries_max = 2;
    mn_object_store *store = double_open_with(&options);
    CHECK_STATUS(get(store, &errs[0]), expected);
    CHECK_STATUS(mn_object_head(store, mn_str("k"), &info, &errs[1]), expected);
    CHECK_STATUS(mn_object_put(store, mn_str("k"), mn_str("x"), NULL, NULL, &errs[2]), expected);
    CHECK_STATUS(mn_object_delete(store, mn_str("k"), &errs[3]), expected);
    CHECK_STATUS(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &errs[4]), expected);
    CHECK_STATUS(mn_object_uploads(store, mn_str(""), no_upload, NULL, &errs[5]), expected);
    double_close(store);
    for (size_t i = 0; i < CHECK_COUNT(errs); i++) {
        CHECK_STR_HAS(errs[i].message, getenv("MNEME_DOUBLE_PORT"));
        CHECK_STR_HAS(errs[i].message, text);
        double_says_no_secret(&errs[i]);
    }
    double_reset();
}

static void another_web_server_is_not_taken_for_an_object_store(void)
{
    expect_of_all("{'n': -1, 'do': 'foreign'}", MN_ERR_REMOTE, "no answer of an object store");
    expect_of_all("{'n': -1, 'do': 'foreign', 'body': ''}", MN_ERR_REMOTE, "HTTP 404");
    expect_of_all("{'n': -1, 'do': 'foreign', 'status': 400}", MN_ERR_REMOTE, "HTTP 400");
}

static void a_server_that_speaks_no_http_is_named(void)
{
    expect_of_all("{'n': -1, 'do': 'raw', 'body': 'SSH-2.0-OpenSSH_9.2p1\\r\\n'}", MN_ERR_REMOTE,
                  "does not speak HTTP");
}

/* Some servers send no header of S3; what is not there is not there all the same. */
static void a_missing_object_is_known_by_the_code_alone(void)
{
    struct mn_object_info info;
    struct mn_error err = {0};

    double_reset();
    double_plan("{'n': -1, 'do': 'foreign', 'body':"
                " '<Error><Code>NoSuchKey</Code><Message>none</Message></Error>'}");
    mn_object_store *store = double_open();
    CHECK_STATUS(get(store, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_object_head(store, mn_str("k"), &info, &err), MN_NOT_FOUND);
    CHECK_OK_ERR(mn_object_delete(store, mn_str("k"), &err), &err);
    double_close(store);
    double_reset();
}

static void a_delete_is_believed_of_an_object_store_alone(void)
{
    mn_object_store *store;
    struct mn_error err = {0};

    double_reset();
    double_plan("{'do': 'foreign', 'status': 200}");
    store = double_open();
    CHECK_STATUS(mn_object_delete(store, mn_str("k"), &err), MN_ERR_REMOTE);
    double_plan("{'do': 'foreign', 'status': 204}");
    CHECK_OK_ERR(mn_object_delete(store, mn_str("k"), &err), &err);
    double_close(store);
}

/* A body behind the answer to a HEAD is taken for the next answer. */
static void a_body_after_a_head_is_the_servers_fault(void)
{
    struct mn_object_info info;
    struct mn_error err = {0};

    double_reset();
    put_one();
    double_plan(
        "{'n': -1, 'method': 'HEAD', 'do': 'foreign', 'status': 200, 'even_to_head': true}");
    mn_object_store *store = double_open();
    for (unsigned i = 0; i < 3; i++) {
        mn_status st = mn_object_head(store, mn_str("k"), &info, &err);
        CHECK(st == MN_ERR_REMOTE || st == MN_ERR_CORRUPT);
        st = get(store, &err);
        CHECK(st == MN_ERR_REMOTE || st == MN_ERR_CORRUPT || st == MN_OK);
    }
    double_close(store);
    double_reset();
}

static void a_redirect_is_told_without_its_query(void)
{
    struct mn_error err = {0};

    double_reset();
    double_plan("{'n': -1, 'do': 'foreign', 'status': 302, 'location':"
                " 'https://login.example.org/k?token=hidden'}");
    mn_object_store *store = double_open();
    CHECK_STATUS(get(store, &err), MN_ERR_REMOTE);
    CHECK_STR_HAS(err.message, "https://login.example.org");
    CHECK_STR_HAS(err.message, "not followed");
    CHECK_STR_HAS(err.message, "region");
    CHECK(strstr(err.message, "hidden") == NULL);
    double_close(store);
    double_reset();
}

/* What is wrong with settings is said with them. */
static void wrong_settings_are_named(void)
{
    static const struct {
        const char *endpoint, *bucket, *text;
    } wrong[] = {
        {"http://127.0.0.1:1/path", "bucket", "\"/path\""},
        {"http://127.0.0.1/path/", "bucket", "\"/path/\""},
        {"http://127.0.0.1:1?q=1", "bucket", "\"?q=1\""},
        {"ftp://127.0.0.1", "bucket", "https://"},
        {"127.0.0.1:80", "bucket", "https://"},
        {"http://127.0.0.1:x", "bucket", "port"},
        {"http://", "bucket", "host"},
        {"http://127.0.0.1", "a/b", "a/b"},
    };
    mn_object_store *store = NULL;
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(wrong); i++) {
        struct mn_object_s3_options options = double_options();
        options.endpoint = wrong[i].endpoint;
        options.bucket = wrong[i].bucket;
        CHECK_STATUS(mn_object_open_s3(&options, &store, &err), MN_ERR_INVALID);
        CHECK_STR_HAS(err.message, wrong[i].text);
    }
    struct mn_object_s3_options options = double_options();
    options.endpoint = "HTTP://LOCALHOST:1/";
    CHECK_OK_ERR(mn_object_open_s3(&options, &store, &err), &err);
    double_close(store);
}

/* A key that is too long only with the prefix is refused here. */
static void a_key_has_room_beside_the_prefix(void)
{
    struct mn_object_s3_options options = double_options();
    struct mn_object_info info;
    struct mn_error err = {0};
    mn_object_upload *upload = NULL;
    char text[MN_OBJECT_KEY_BYTES_MAX - 4];
    struct mn_slice key = {text, sizeof text};

    memset(text, 'k', sizeof text);
    double_reset();
    options.prefix = "team/";
    mn_object_store *store = double_open_with(&options);
    CHECK_STATUS(mn_object_put(store, key, mn_str("x"), NULL, NULL, &err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_object_head(store, key, &info, &err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_object_delete(store, key, &err), MN_ERR_LIMIT);
    CHECK_STATUS(mn_object_upload_begin(store, key, &upload, &err), MN_ERR_LIMIT);
    CHECK_EQ(double_count(""), 0);
    key.n_bytes--;
    CHECK_OK_ERR(mn_object_put(store, key, mn_str("x"), NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_object_head(store, key, &info, &err), &err);
    double_close(store);
}

/* Conditions ---------- */

static void stores_without_conditions_are_found_out(void)
{
    static const char *const faults[] = {
        "{'n': -1, 'do': 'ignore_conditions'}",
        "{'n': -1, 'with': 'if-none-match', 'do': 'ignore_conditions'}",
        "{'n': -1, 'with': 'if-match', 'do': 'ignore_conditions'}",
        "{'n': -1, 'with': 'if-none-match', 'operation': 'PutObject', 'do': 'status',"
        " 'status': 501, 'code': 'NotImplemented'}",
    };
    struct mn_error err = {0};
    struct mn_object_page *page;

    double_reset();
    mn_object_store *store = double_open();
    CHECK_OK_ERR(mn_object_check_conditions(store, &err), &err);
    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        double_reset();
        double_plan(faults[i]);
        CHECK_STATUS(mn_object_check_conditions(store, &err), MN_ERR_UNSUPPORTED);
        CHECK(err.message[0] != '\0');
    }
    double_close(store);
    store = double_open();
    CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
    CHECK_EQ(page->n_entries, 0); /* nothing is left behind */
    mn_object_page_free(page);
    double_close(store);
}

/* Servers differ in whether the ETag of If-Match has quotes. */
static void conditions_work_with_and_without_quotes(void)
{
    static const char *const forms[] = {"{'if_match_form': 'quoted'}", "{'if_match_form': 'bare'}"};
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(forms); i++) {
        struct mn_object_info info;
        double_reset();
        double_set(forms[i]);
        mn_object_store *store = double_open();
        CHECK_OK_ERR(mn_object_check_conditions(store, &err), &err);
        CHECK_OK_ERR(mn_object_put(store, mn_str("k"), mn_str("one"), NULL, &info, &err), &err);
        struct mn_object_condition condition = {.if_match = info.etag};
        CHECK_OK_ERR(mn_object_put(store, mn_str("k"), mn_str("two"), &condition, NULL, &err),
                     &err);
        CHECK_STATUS(mn_object_put(store, mn_str("k"), mn_str("three"), &condition, NULL, NULL),
                     MN_CHANGED);
        double_holds("k", "two");
        double_close(store);
    }
    double_reset();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(credentials_do_not_follow_a_redirect),
        CHECK_TEST(wrong_keys_are_refused_once_and_not_repeated_aloud),
        CHECK_TEST(the_session_token_is_sent),
        CHECK_TEST(a_refusal_is_told_in_the_servers_words),
        CHECK_TEST(no_part_of_a_secret_is_passed_on),
        CHECK_TEST(a_wrong_region_is_found_out),
        CHECK_TEST(a_wrong_clock_is_corrected),
        CHECK_TEST(tls_needs_a_certificate_that_is_trusted),
        CHECK_TEST(tls_is_not_spoken_to_a_server_without),
        CHECK_TEST(the_bucket_is_in_the_host_when_asked),
        CHECK_TEST(a_bucket_that_is_not_there_is_named),
        CHECK_TEST(prefixes_keep_apart),
        CHECK_TEST(another_web_server_is_not_taken_for_an_object_store),
        CHECK_TEST(a_server_that_speaks_no_http_is_named),
        CHECK_TEST(a_missing_object_is_known_by_the_code_alone),
        CHECK_TEST(a_delete_is_believed_of_an_object_store_alone),
        CHECK_TEST(a_body_after_a_head_is_the_servers_fault),
        CHECK_TEST(a_redirect_is_told_without_its_query),
        CHECK_TEST(wrong_settings_are_named),
        CHECK_TEST(a_key_has_room_beside_the_prefix),
        CHECK_TEST(stores_without_conditions_are_found_out),
        CHECK_TEST(conditions_work_with_and_without_quotes),
    };
    return check_run("s3.trust", tests, CHECK_COUNT(tests), argc, argv);
}
