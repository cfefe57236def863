/*
 * parts_test.c - uploads in parts through faults: abandoned, resumed, completed without an answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "check.h"
#include "double.h"

enum {
    PART_BYTES = 5 << 20,
    TAIL_BYTES = 1 << 20,
    N_BYTES = 2 * PART_BYTES + TAIL_BYTES,
    UPLOAD_ID_BYTES = 1024,
};

static char *data; /* N_BYTES, made once */

static struct mn_slice part(uint32_t number)
{
    return (struct mn_slice){data + (number - 1) * (size_t)PART_BYTES,
                             number == 3 ? TAIL_BYTES : PART_BYTES};
}

static mn_object_store *begin(void)
{
    struct mn_object_s3_options options = double_options();
    uint64_t random = 3;

    double_reset();
    if (data == NULL) {
        data = malloc(N_BYTES);
        CHECK(data != NULL);
        for (size_t i = 0; i < N_BYTES; i++)
            data[i] = (char)check_random(&random);
    }
    options.part_bytes = PART_BYTES;
    options.idle_timeout_ms = 2000;
    return double_open_with(&options);
}

static void holds_the_data(mn_object_store *store, size_t n_bytes)
{
    struct mn_slice got;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_get(store, mn_str("k"), 0, &got, NULL, &err), &err);
    CHECK_EQ(got.n_bytes, n_bytes);
    CHECK(memcmp(got.data, data, n_bytes) == 0);
    mn_object_free(got);
}

static mn_status count_one(void *context, struct mn_slice key, const char *upload_id,
                           int64_t begun_us)
{
    unsigned *n = context;

    CHECK(key.n_bytes > 0 && upload_id[0] != '\0' && begun_us > 0);
    (*n)++;
    return MN_OK;
}

static unsigned n_uploads(mn_object_store *store)
{
    struct mn_error err = {0};
    unsigned n = 0;

    CHECK_OK_ERR(mn_object_uploads(store, mn_str(""), count_one, &n, &err), &err);
    return n;
}

static void put_parts(mn_object_upload *upload, uint32_t first, uint32_t last)
{
    struct mn_error err = {0};

    for (uint32_t n = first; n <= last; n++)
        CHECK_OK_ERR(mn_object_upload_part(upload, n, part(n), &err), &err);
}

/* What is abandoned outlives handle and store; the parts that are there are not sent again. */
static void an_abandoned_upload_is_resumed(void)
{
    mn_object_store *store = begin();
    mn_object_upload *upload;
    struct mn_error err = {0};
    char id[UPLOAD_ID_BYTES];

    CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
    put_parts(upload, 1, 2);
    snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
    mn_object_upload_leave(upload);
    CHECK_EQ(n_uploads(store), 1);
    double_close(store);
    double_lacks("k");

    struct mn_object_s3_options options = double_options();
    store = double_open_with(&options);
    CHECK_OK_ERR(mn_object_upload_resume(store, mn_str("k"), id, &upload, &err), &err);
    CHECK_EQ(mn_object_upload_part_bytes(upload, 1), PART_BYTES);
    CHECK_EQ(mn_object_upload_part_bytes(upload, 2), PART_BYTES);
    CHECK_EQ(mn_object_upload_part_bytes(upload, 3), 0);
    put_parts(upload, 3, 3);
    struct mn_object_info info;
    CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, &info, &err), &err);
    CHECK_EQ(info.n_bytes, N_BYTES);
    CHECK_EQ(double_count("operation=UploadPart"), 3);
    holds_the_data(store, N_BYTES);
    CHECK_EQ(n_uploads(store), 0);
    CHECK_STATUS(mn_object_upload_resume(store, mn_str("k"), id, &upload, NULL), MN_NOT_FOUND);
    double_close(store);
}

/* What was known when the upload began is what a whole get is checked against. */
static void a_bent_object_of_parts_is_found(void)
{
    mn_object_store *store = begin();
    uint32_t crc = mni_crc32c(0, data, N_BYTES);
    mn_object_upload *upload;
    struct mn_slice got;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_upload_begin_known(store, mn_str("k"), crc, &upload, &err), &err);
    put_parts(upload, 1, 3);
    CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, NULL, &err), &err);
    double_plan("{'operation': 'GetObject', 'do': 'flip'}");
    holds_the_data(store, N_BYTES);
    CHECK_EQ(double_n_faults(), 0);
    double_plan("{'operation': 'GetObject', 'n': -1, 'do': 'flip', 'at': 7}");
    CHECK_STATUS(mn_object_get(store, mn_str("k"), 0, &got, NULL, &err), MN_ERR_CORRUPT);
    double_close(store);
    double_reset();
}

static void parts_are_sent_until_they_are_there(void)
{
    static const char *const faults[] = {
        "'do': 'close'",
        "'do': 'close', 'applies': true",
        "'do': 'status', 'status': 503",
        "'do': 'stall', 'applies': true",
        "'do': 'error_body'",
    };
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        mn_object_store *store = begin();
        mn_object_upload *upload;
        char text[128];
        snprintf(text, sizeof text, "{'operation': 'UploadPart', 'n': 2, %s}", faults[i]);
        double_plan(text);
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
        put_parts(upload, 3, 3);
        put_parts(upload, 1, 2);
        CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, NULL, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        holds_the_data(store, N_BYTES);
        double_close(store);
    }
}

/* Ways to answer a completion wrongly; all but the last three have done the work. */
static const char *const LOST[] = {
    "'do': 'close', 'applies': true",
    "'do': 'stall', 'applies': true",
    "'do': 'status', 'status': 500, 'applies': true",
    "'do': 'error_body', 'applies': true",
    "'do': 'close'",
    "'do': 'status', 'status': 500",
    "'do': 'error_body'",
};

static void a_completion_without_an_answer_is_done(void)
{
    struct mn_object_condition absent = {.if_absent = true};
    struct mn_error err = {0};

    for (size_t i = 0; i < 2 * CHECK_COUNT(LOST); i++) {
        bool is_conditional = i >= CHECK_COUNT(LOST);
        mn_object_store *store = begin();
        mn_object_upload *upload;
        struct mn_object_info info;
        struct mn_object_info head;
        char text[160];
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
        CHECK_OK_ERR(mn_object_upload_part(upload, 1, part(3), &err), &err);
        snprintf(text, sizeof text, "{'operation': 'CompleteMultipartUpload', %s}",
                 LOST[i % CHECK_COUNT(LOST)]);
        double_plan(text);
        CHECK_OK_ERR(
            mn_object_upload_complete(upload, is_conditional ? &absent : NULL, &info, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_OK_ERR(mn_object_head(store, mn_str("k"), &head, &err), &err);
        CHECK_EQ(head.n_bytes, TAIL_BYTES);
        CHECK_STR_EQ(info.etag, head.etag);
        CHECK_EQ(n_uploads(store), 0);
        double_close(store);
    }
}

/* Of two uploads for one key the second finds the first's object there. Where an answer got lost
 * it may have been there before, and stays; without doubt it is refused and goes. */
static void a_completion_that_came_second_says_so(void)
{
    struct mn_object_condition absent = {.if_absent = true};
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(LOST); i++) {
        mn_object_store *store = begin();
        mn_object_upload *first;
        mn_object_upload *second;
        char id[UPLOAD_ID_BYTES];
        char text[160];
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &first, &err), &err);
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &second, &err), &err);
        CHECK_OK_ERR(mn_object_upload_part(first, 1, part(3), &err), &err);
        CHECK_OK_ERR(mn_object_upload_part(second, 1, part(3), &err), &err);
        CHECK_OK_ERR(mn_object_upload_complete(first, &absent, NULL, &err), &err);
        snprintf(text, sizeof text, "{'operation': 'CompleteMultipartUpload', %s}", LOST[i]);
        double_plan(text);
        CHECK_STATUS(mn_object_upload_complete(second, &absent, NULL, NULL), MN_ERR_REMOTE);
        CHECK_EQ(n_uploads(store), 1);
        snprintf(id, sizeof id, "%s", mn_object_upload_id(second));
        mn_object_upload_leave(second);
        CHECK_OK_ERR(mn_object_upload_resume(store, mn_str("k"), id, &second, &err), &err);
        CHECK_STATUS(mn_object_upload_complete(second, &absent, NULL, NULL), MN_EXISTS);
        CHECK_EQ(n_uploads(store), 0);
        double_close(store);
    }
}

static void a_completion_that_failed_is_tried_again(void)
{
    mn_object_store *store = begin();
    mn_object_upload *upload;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
    put_parts(upload, 1, 3);
    double_plan("{'operation': 'CompleteMultipartUpload', 'n': 4, 'do': 'status', 'status': 503}");
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err), MN_ERR_REMOTE);
    double_says_no_secret(&err);
    double_lacks("k");
    CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, NULL, &err), &err);
    holds_the_data(store, N_BYTES);
    double_close(store);
}

static mn_object_upload *upload_of_one_part(mn_object_store *store)
{
    mn_object_upload *upload;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
    CHECK_OK_ERR(mn_object_upload_part(upload, 1, part(3), &err), &err);
    return upload;
}

/* The completion was done and its answer lost; what is there is not to be seen, or another's. */
static void a_completion_in_doubt_stays_unknown(void)
{
    static const char *const looks[] = {
        "{'operation': 'HeadObject', 'n': -1, 'do': 'status', 'status': 500}",
        "{'operation': 'HeadObject', 'n': -1, 'do': 'status', 'status': 403,"
        " 'code': 'AccessDenied'}",
        "{'operation': 'HeadObject', 'n': -1, 'do': 'headers',"
        " 'headers': {'x-amz-meta-mneme-write': null}}",
    };
    static const char *const refusals[] = {
        NULL,
        "{'operation': 'CompleteMultipartUpload', 'do': 'status', 'status': 412, 'code': ''}",
        "{'operation': 'CompleteMultipartUpload', 'do': 'status', 'status': 403,"
        " 'code': 'ExpiredToken'}",
    };
    struct mn_object_condition absent = {.if_absent = true};
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(looks) * CHECK_COUNT(refusals) * 2; i++) {
        const char *look = looks[i % CHECK_COUNT(looks)];
        const char *refusal = refusals[i / CHECK_COUNT(looks) % CHECK_COUNT(refusals)];
        bool is_conditional = i >= CHECK_COUNT(looks) * CHECK_COUNT(refusals);
        mn_object_store *store = begin();
        mn_object_upload *upload = upload_of_one_part(store);
        mn_object_upload *other = upload_of_one_part(store);
        if (is_conditional) { /* learns before the faults that the server judges conditions */
            CHECK_OK_ERR(mn_object_upload_complete(other, &absent, NULL, &err), &err);
            CHECK_OK_ERR(mn_object_delete(store, mn_str("k"), &err), &err);
        } else {
            mn_object_upload_leave(other);
        }
        double_plan("{'operation': 'CompleteMultipartUpload', 'do': 'close', 'applies': true}");
        if (refusal != NULL)
            double_plan(refusal);
        double_plan(look);
        CHECK_STATUS(mn_object_upload_complete(upload, is_conditional ? &absent : NULL, NULL, &err),
                     MN_ERR_REMOTE);
        double_says_no_secret(&err);
        CHECK_EQ(double_count("operation=AbortMultipartUpload"), is_conditional ? 1 : 0);
        /* The handle is still there, and remembers. */
        CHECK_STATUS(mn_object_upload_complete(upload, is_conditional ? &absent : NULL, NULL, &err),
                     MN_ERR_REMOTE);
        mn_object_upload_leave(upload);
        double_close(store);
        double_reset();
    }
}

/* What may still be put together must not be aborted: a server might be left with half of it. */
static void a_large_put_in_doubt_leaves_its_upload(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};

    double_plan("{'operation': 'CompleteMultipartUpload', 'n': 4, 'do': 'status', 'status': 500}");
    CHECK_STATUS(
        mn_object_put(store, mn_str("k"), (struct mn_slice){data, N_BYTES}, NULL, NULL, &err),
        MN_ERR_REMOTE);
    double_says_no_secret(&err);
    CHECK_EQ(double_count("operation=AbortMultipartUpload"), 0);
    CHECK_EQ(n_uploads(store), 1);
    const char *id = strstr(err.message, "upload ");
    CHECK(id != NULL);
    char text[UPLOAD_ID_BYTES];
    mn_object_upload *upload;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(id + 7, " ):"), id + 7);
    CHECK_OK_ERR(mn_object_upload_resume(store, mn_str("k"), text, &upload, &err), &err);
    CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, NULL, &err), &err);
    holds_the_data(store, N_BYTES);
    double_close(store);
}

/* A refusal without doubt: nothing is under way any more. */
static void a_large_put_that_is_refused_leaves_no_upload(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};

    double_plan("{'operation': 'CompleteMultipartUpload', 'do': 'status', 'status': 403,"
                " 'code': 'AccessDenied'}");
    CHECK_STATUS(
        mn_object_put(store, mn_str("k"), (struct mn_slice){data, N_BYTES}, NULL, NULL, &err),
        MN_ERR_ACCESS);
    CHECK_EQ(n_uploads(store), 0);
    double_close(store);
}

static void a_completion_over_an_etag_needs_an_object(void)
{
    struct mn_object_condition condition = {.if_match = "00000000000000000000000000000000"};
    mn_object_store *store = begin();

    CHECK_STATUS(mn_object_upload_complete(upload_of_one_part(store), &condition, NULL, NULL),
                 MN_CHANGED);
    CHECK_EQ(n_uploads(store), 0);
    double_lacks("k");
    double_close(store);
}

/* Without a condition nothing is refused by one: the upload and its handle stay. */
static void a_completion_without_a_condition_is_not_refused(void)
{
    static const char *const refusals[] = {
        "{'operation': 'CompleteMultipartUpload', 'do': 'status', 'status': 412,"
        " 'code': 'PreconditionFailed'}",
        "{'operation': 'CompleteMultipartUpload', 'do': 'error_body',"
        " 'code': 'PreconditionFailed'}",
    };
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(refusals); i++) {
        mn_object_store *store = begin();
        mn_object_upload *upload = upload_of_one_part(store);
        double_plan(refusals[i]);
        CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &err), MN_ERR_REMOTE);
        CHECK_EQ(n_uploads(store), 1);
        CHECK_OK_ERR(mn_object_upload_complete(upload, NULL, NULL, &err), &err);
        double_close(store);
    }
}

static void large_puts_go_in_parts_through_faults(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};

    double_plan("[{'operation': 'CreateMultipartUpload', 'do': 'status', 'status': 503},"
                "{'operation': 'UploadPart', 'skip': 1, 'do': 'close'},"
                "{'operation': 'CompleteMultipartUpload', 'do': 'close', 'applies': true}]");
    CHECK_OK_ERR(
        mn_object_put(store, mn_str("k"), (struct mn_slice){data, N_BYTES}, NULL, NULL, &err),
        &err);
    CHECK_EQ(double_n_faults(), 0);
    CHECK_EQ(double_count("operation=PutObject"), 0);
    holds_the_data(store, N_BYTES);
    CHECK_EQ(n_uploads(store), 0);
    double_close(store);
}

/* Nothing takes space behind a large put that could not be done. */
static void a_large_put_that_fails_leaves_no_parts(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};

    double_plan("{'operation': 'UploadPart', 'skip': 1, 'n': -1, 'do': 'status', 'status': 500}");
    CHECK_STATUS(
        mn_object_put(store, mn_str("k"), (struct mn_slice){data, N_BYTES}, NULL, NULL, &err),
        MN_ERR_REMOTE);
    double_says_no_secret(&err);
    CHECK_EQ(n_uploads(store), 0);
    double_close(store);
    double_lacks("k");
}

static void an_abort_without_an_answer_is_done(void)
{
    static const char *const faults[] = {
        "{'operation': 'AbortMultipartUpload', 'do': 'close', 'applies': true}",
        "{'operation': 'AbortMultipartUpload', 'do': 'status', 'status': 500, 'applies': true}",
        "{'operation': 'AbortMultipartUpload', 'do': 'close'}",
    };
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        mn_object_store *store = begin();
        mn_object_upload *upload;
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
        CHECK_OK_ERR(mn_object_upload_part(upload, 1, part(3), &err), &err);
        double_plan(faults[i]);
        CHECK_OK_ERR(mn_object_upload_abort(upload, &err), &err);
        CHECK_EQ(n_uploads(store), 0);
        double_close(store);
    }
}

/* Half-read lists of parts and uploads would lose some of them. */
static void lists_of_parts_and_uploads_are_checked(void)
{
    static const char *const faults[] = {"truncate", "error_body", "close"};
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(faults); i++) {
        mn_object_store *store = begin();
        mn_object_upload *upload;
        char id[UPLOAD_ID_BYTES];
        char text[128];
        CHECK_OK_ERR(mn_object_upload_begin(store, mn_str("k"), &upload, &err), &err);
        put_parts(upload, 1, 1);
        snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
        mn_object_upload_leave(upload);
        snprintf(text, sizeof text, "{'operation': 'ListMultipartUploads', 'do': '%s'}", faults[i]);
        double_plan(text);
        CHECK_EQ(n_uploads(store), 1);
        snprintf(text, sizeof text, "{'operation': 'ListParts', 'do': '%s'}", faults[i]);
        double_plan(text);
        CHECK_OK_ERR(mn_object_upload_resume(store, mn_str("k"), id, &upload, &err), &err);
        CHECK_EQ(mn_object_upload_part_bytes(upload, 1), PART_BYTES);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_OK_ERR(mn_object_upload_abort(upload, &err), &err);
        double_close(store);
    }
}

/* Where a listing goes on is behind what came, or the page is asked for again; not for ever. */
static void a_list_of_uploads_has_an_end(void)
{
    static const char page[] =
        "{'operation': 'ListMultipartUploads', 'n': %d, 'do': 'body', 'body':"
        " '<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
        "<NextKeyMarker>%s</NextKeyMarker><NextUploadIdMarker>%s</NextUploadIdMarker>"
        "<Upload><Key>k</Key><UploadId>1</UploadId>"
        "<Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>'}";
    static const struct {
        const char *key, *id;
        int n_pages; /* that are good, of those before */
    } last[] = {{"k", "1", 1}, {"a", "9", 1}, {"k", "1", 2}};
    char text[1000];

    for (size_t i = 0; i < CHECK_COUNT(last); i++) {
        mn_object_store *store = double_open();
        struct mn_error err = {0};
        unsigned n = 0;
        double_reset();
        for (int j = 1; j <= last[i].n_pages; j++) {
            snprintf(text, sizeof text, page, 1, "k", j == 1 ? "1" : "2");
            double_plan(text);
        }
        snprintf(text, sizeof text, page, -1, last[i].key, last[i].id);
        double_plan(text);
        CHECK_STATUS(mn_object_uploads(store, mn_str(""), count_one, &n, &err), MN_ERR_CORRUPT);
        CHECK_EQ(n, (unsigned)last[i].n_pages);
        CHECK_EQ(double_count("operation=ListMultipartUploads"), last[i].n_pages + 4);
        double_close(store);
    }
    double_reset();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(an_abandoned_upload_is_resumed),
        CHECK_TEST(a_bent_object_of_parts_is_found),
        CHECK_TEST(parts_are_sent_until_they_are_there),
        CHECK_TEST(a_completion_without_an_answer_is_done),
        CHECK_TEST(a_completion_that_came_second_says_so),
        CHECK_TEST(a_completion_that_failed_is_tried_again),
        CHECK_TEST(a_completion_in_doubt_stays_unknown),
        CHECK_TEST(a_completion_over_an_etag_needs_an_object),
        CHECK_TEST(a_completion_without_a_condition_is_not_refused),
        CHECK_TEST(large_puts_go_in_parts_through_faults),
        CHECK_TEST(a_large_put_in_doubt_leaves_its_upload),
        CHECK_TEST(a_large_put_that_is_refused_leaves_no_upload),
        CHECK_TEST(a_large_put_that_fails_leaves_no_parts),
        CHECK_TEST(an_abort_without_an_answer_is_done),
        CHECK_TEST(lists_of_parts_and_uploads_are_checked),
        CHECK_TEST(a_list_of_uploads_has_an_end),
    };
    int code = check_run("s3.parts", tests, CHECK_COUNT(tests), argc, argv);

    free(data);
    return code;
}
