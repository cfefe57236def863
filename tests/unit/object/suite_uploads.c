/*
 * suite_uploads.c - uploads in parts.
 */
#include "suite_private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"

#define OK(call) CHECK_OK_ERR(call, &suite_err)

enum { PART = 5 << 20 };

static mn_object_upload *begin(const char *key)
{
    mn_object_upload *upload = NULL;

    OK(mn_object_upload_begin(suite_store, mn_str(key), &upload, &suite_err));
    CHECK(mn_object_upload_id(upload)[0] != '\0');
    return upload;
}

static void put_part(mn_object_upload *upload, uint32_t number, const void *data, size_t n)
{
    OK(mn_object_upload_part(upload, number, (struct mn_slice){data, n}, &suite_err));
    CHECK_EQ(mn_object_upload_part_bytes(upload, number), n);
}

void uploads_put_parts_together_in_order(void)
{
    size_t n = 2 * PART + 100;
    unsigned char *bytes = suite_bytes(n, 1);
    struct mn_object_info info;
    struct mn_object_info head;

    suite_begin();
    mn_object_upload *upload = begin("large");
    CHECK_EQ(mn_object_upload_part_bytes(upload, 1), 0);
    CHECK_EQ(mn_object_upload_part_bytes(upload, 0), 0);
    CHECK_EQ(mn_object_upload_part_bytes(upload, MN_OBJECT_PARTS_MAX + 1), 0);
    put_part(upload, 3, bytes + 2 * PART, 100);
    put_part(upload, 1, bytes, PART);
    put_part(upload, 2, bytes + PART, PART);
    suite_expect_none("large");
    OK(mn_object_upload_complete(upload, NULL, &info, &suite_err));
    CHECK_EQ(info.n_bytes, n);
    OK(mn_object_head(suite_store, mn_str("large"), &head, &suite_err));
    CHECK_STR_EQ(head.etag, info.etag);
    suite_expect(mn_str("large"), (struct mn_slice){bytes, n});
    /* A part of any size may be the only one. */
    upload = begin("small");
    put_part(upload, 1, "x", 1);
    OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
    suite_expect_text("small", "x");
    free(bytes);
    suite_end();
}

void uploads_take_a_part_again(void)
{
    unsigned char *bytes = suite_bytes(PART, 2);

    suite_begin();
    suite_put_text("a", "before");
    mn_object_upload *upload = begin("a");
    put_part(upload, 1, bytes, PART);
    put_part(upload, 2, "first", 5);
    put_part(upload, 2, "second", 6);
    suite_expect_text("a", "before");
    OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
    bytes = realloc(bytes, PART + 6);
    CHECK(bytes != NULL);
    memcpy(bytes + PART, "second", 6);
    suite_expect(mn_str("a"), (struct mn_slice){bytes, PART + 6});
    free(bytes);
    suite_end();
}

static void expect_checksum(const char *key, uint32_t crc32c)
{
    struct mn_object_info info = {0};
    struct mn_slice data = {NULL, 0};

    OK(mn_object_head(suite_store, mn_str(key), &info, &suite_err));
    CHECK(info.has_crc32c);
    CHECK_EQ(info.crc32c, crc32c);
    OK(mn_object_get(suite_store, mn_str(key), 0, &data, &info, &suite_err));
    CHECK(info.has_crc32c);
    CHECK_EQ(info.crc32c, crc32c);
    CHECK_EQ(mni_crc32c(0, data.data, data.n_bytes), crc32c);
    mn_object_free(data);
}

/* Also when the one who completes the upload is not the one who began it. */
void uploads_keep_the_checksum_that_was_known(void)
{
    size_t n = 2 * PART + 100;
    unsigned char *bytes = suite_bytes(n, 6);
    uint32_t crc32c = mni_crc32c(0, bytes, n);
    mn_object_upload *upload = NULL;
    char id[4096];

    suite_begin();
    for (int is_resumed = 0; is_resumed < 2; is_resumed++) {
        const char *key = is_resumed ? "resumed" : "at once";
        struct mn_object_info info = {0};
        OK(mn_object_upload_begin_known(suite_store, mn_str(key), crc32c, &upload, &suite_err));
        put_part(upload, 3, bytes + 2 * PART, 100);
        put_part(upload, 1, bytes, PART);
        if (is_resumed) {
            (void)snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
            mn_object_upload_leave(upload);
            OK(mn_object_upload_resume(suite_store, mn_str(key), id, &upload, &suite_err));
        }
        put_part(upload, 2, bytes + PART, PART);
        OK(mn_object_upload_complete(upload, NULL, &info, &suite_err));
        CHECK(is_resumed || (info.has_crc32c && info.crc32c == crc32c));
        expect_checksum(key, crc32c);
        suite_expect(mn_str(key), (struct mn_slice){bytes, n});
    }
    free(bytes);
    suite_end();
}

/* No object says of itself what it is not: the parts may be put right, and the old object stays. */
void uploads_of_something_else_are_refused(void)
{
    unsigned char *bytes = suite_bytes(PART + 10, 8);
    uint32_t crc32c = mni_crc32c(0, bytes, PART + 10);
    mn_object_upload *upload = NULL;

    suite_begin();
    suite_put_text("a", "before");
    OK(mn_object_upload_begin_known(suite_store, mn_str("a"), crc32c, &upload, &suite_err));
    put_part(upload, 1, bytes, PART);
    put_part(upload, 2, bytes, 10);
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &suite_err), MN_ERR_INVALID);
    CHECK_STR_HAS(suite_err.message, "CRC-32C");
    suite_expect_text("a", "before");
    put_part(upload, 2, bytes + PART, 10);
    OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
    expect_checksum("a", crc32c);
    free(bytes);
    suite_end();
}

void uploads_with_missing_parts_are_refused(void)
{
    unsigned char *bytes = suite_bytes(PART, 3);

    suite_begin();
    mn_object_upload *upload = begin("a");
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &suite_err), MN_ERR_INVALID);
    put_part(upload, 2, "end", 3);
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &suite_err), MN_ERR_INVALID);
    CHECK_STR_HAS(suite_err.message, "part 1 of 2 is missing");
    suite_expect_none("a");
    put_part(upload, 1, bytes, PART);
    OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
    free(bytes);
    suite_end();
}

void uploads_with_small_parts_are_refused(void)
{
    struct mn_slice nothing = {"", 0};

    suite_begin();
    mn_object_upload *upload = begin("a");
    put_part(upload, 1, "begin", 5);
    put_part(upload, 2, "end", 3);
    CHECK_STATUS(mn_object_upload_complete(upload, NULL, NULL, &suite_err), MN_ERR_INVALID);
    CHECK_STR_HAS(suite_err.message, "part 1 of 2 has less than 5 MiB");
    CHECK_STATUS(mn_object_upload_part(upload, 0, mn_str("x"), &suite_err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_upload_part(upload, MN_OBJECT_PARTS_MAX + 1, mn_str("x"), &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_upload_part(upload, 3, nothing, &suite_err), MN_ERR_INVALID);
    CHECK_STATUS(mn_object_upload_part(NULL, 1, mn_str("x"), &suite_err), MN_ERR_INVALID);
    OK(mn_object_upload_abort(upload, &suite_err));
    suite_expect_none("a");
    suite_end();
}

void uploads_are_resumed_by_their_id(void)
{
    unsigned char *bytes = suite_bytes(PART + 10, 4);
    mn_object_upload *upload = NULL;
    char id[4096];

    suite_begin();
    upload = begin("a");
    put_part(upload, 1, bytes, PART);
    (void)snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
    mn_object_upload_leave(upload);
    if (suite_factory->open_again != NULL) {
        suite_end();
        suite_store = suite_factory->open_again(suite_factory->context);
        CHECK(suite_store != NULL);
    }
    CHECK_STATUS(mn_object_upload_resume(suite_store, mn_str("other"), id, &upload, &suite_err),
                 MN_NOT_FOUND);
    OK(mn_object_upload_resume(suite_store, mn_str("a"), id, &upload, &suite_err));
    CHECK_STR_EQ(mn_object_upload_id(upload), id);
    CHECK_EQ(mn_object_upload_part_bytes(upload, 1), PART);
    CHECK_EQ(mn_object_upload_part_bytes(upload, 2), 0);
    put_part(upload, 2, bytes + PART, 10);
    OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
    suite_expect(mn_str("a"), (struct mn_slice){bytes, PART + 10});
    free(bytes);
    suite_end();
}

void uploads_that_are_over_are_not_found(void)
{
    mn_object_upload *upload = NULL;
    mn_object_upload *second = NULL;
    char id[4096];

    suite_begin();
    for (int way = 0; way < 2; way++) {
        upload = begin("a");
        put_part(upload, 1, "x", 1);
        (void)snprintf(id, sizeof id, "%s", mn_object_upload_id(upload));
        OK(mn_object_upload_resume(suite_store, mn_str("a"), id, &second, &suite_err));
        if (way == 0)
            OK(mn_object_upload_abort(upload, &suite_err));
        else
            OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
        CHECK_STATUS(mn_object_upload_resume(suite_store, mn_str("a"), id, &upload, &suite_err),
                     MN_NOT_FOUND);
        CHECK_STATUS(mn_object_upload_part(second, 1, mn_str("y"), &suite_err), MN_NOT_FOUND);
        mn_object_upload_leave(second);
    }
    suite_expect_text("a", "x");
    CHECK_STATUS(mn_object_upload_resume(suite_store, mn_str("a"), "", &upload, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_upload_resume(suite_store, mn_str("a"), NULL, &upload, &suite_err),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_object_upload_resume(suite_store, mn_str("a"), "../a", &upload, &suite_err),
                 MN_NOT_FOUND);
    CHECK_STATUS(mn_object_upload_resume(suite_store, mn_str("a"),
                                         "0123456789abcdef0123456789abcdef", &upload, &suite_err),
                 MN_NOT_FOUND);
    suite_end();
}

struct uploads {
    unsigned n;
    unsigned n_max;
    unsigned n_of_ab; /* whose key is "a/b" */
    char id[4096];
};

static mn_status note_upload(void *context, struct mn_slice key, const char *upload_id,
                             int64_t begun_us)
{
    struct uploads *uploads = context;

    if (uploads->n == uploads->n_max)
        return MN_ERR_CANCELLED;
    uploads->n++;
    uploads->n_of_ab += key.n_bytes == 3 && memcmp(key.data, "a/b", 3) == 0;
    (void)snprintf(uploads->id, sizeof uploads->id, "%s", upload_id);
    return begun_us > INT64_C(1700000000000000) ? MN_OK : MN_ERR_CORRUPT;
}

static struct uploads list_uploads(const char *prefix)
{
    struct uploads uploads = {.n_max = 100};

    OK(mn_object_uploads(suite_store, mn_str(prefix), note_upload, &uploads, &suite_err));
    return uploads;
}

void uploads_are_listed_until_they_are_over(void)
{
    mn_object_upload *uploads[3];

    suite_begin();
    CHECK_EQ(list_uploads("").n, 0);
    uploads[0] = begin("a/b");
    uploads[1] = begin("a/b");
    uploads[2] = begin("b c%");
    CHECK_EQ(list_uploads("").n, 3);
    CHECK_EQ(list_uploads("").n_of_ab, 2);
    CHECK_EQ(list_uploads("a").n, 2);
    CHECK_EQ(list_uploads("a/b/").n, 0);
    struct uploads one = list_uploads("b ");
    CHECK_EQ(one.n, 1);
    CHECK_STR_EQ(one.id, mn_object_upload_id(uploads[2]));
    struct uploads few = {.n_max = 1};
    CHECK_STATUS(mn_object_uploads(suite_store, mn_str(""), note_upload, &few, &suite_err),
                 MN_ERR_CANCELLED);
    CHECK_EQ(few.n, 1);
    suite_expect_keys("", "", 0, NULL, 0);
    OK(mn_object_upload_abort(uploads[0], &suite_err));
    CHECK_EQ(list_uploads("").n, 2);
    put_part(uploads[2], 1, "x", 1);
    OK(mn_object_upload_complete(uploads[2], NULL, NULL, &suite_err));
    CHECK_EQ(list_uploads("").n, 1);
    OK(mn_object_upload_abort(uploads[1], &suite_err));
    CHECK_EQ(list_uploads("").n, 0);
    suite_end();
}

void uploads_complete_under_a_condition(void)
{
    const struct mn_object_condition if_absent = {.if_absent = true};
    const struct mn_object_condition if_other = {.if_match = "0123456789abcdef"};
    struct mn_object_info info = {0};

    if (suite_factory->has_no_conditions || suite_factory->has_no_conditions_of_uploads)
        check_skip("completing has no conditions here");
    suite_begin();
    for (int way = 0; way < 4; way++) {
        mn_object_upload *upload = begin("a");
        char text[2] = {(char)('0' + way), '\0'};
        put_part(upload, 1, text, 1);
        const struct mn_object_condition if_same = {.if_match = info.etag};
        const struct mn_object_condition *conditions[] = {&if_absent, &if_absent, &if_other,
                                                          &if_same};
        static const mn_status expected[] = {MN_OK, MN_EXISTS, MN_CHANGED, MN_OK};
        static const char *const texts[] = {"0", "0", "0", "3"};
        CHECK_STATUS(
            mn_object_upload_complete(upload, conditions[way], way == 0 ? &info : NULL, &suite_err),
            expected[way]);
        suite_expect_text("a", texts[way]);
        CHECK_EQ(list_uploads("").n, 0);
    }
    suite_end();
}

enum { PARTS = 4 };

struct sender {
    pthread_t thread;
    mn_object_upload *upload;
    const unsigned char *bytes;
    uint32_t number;
    mn_status st;
};

static void *send_part(void *context)
{
    struct sender *sender = context;
    size_t n = sender->number == PARTS ? 77 : PART;

    sender->st = mn_object_upload_part(
        sender->upload, sender->number,
        (struct mn_slice){sender->bytes + (size_t)(sender->number - 1) * PART, n}, NULL);
    return NULL;
}

void uploads_take_parts_from_many_threads(void)
{
    size_t n = (size_t)(PARTS - 1) * PART + 77;
    unsigned char *bytes = suite_bytes(n, 5);
    struct sender senders[PARTS];

    suite_begin();
    mn_object_upload *upload = begin("a");
    for (uint32_t i = 0; i < PARTS; i++) {
        senders[i] = (struct sender){.upload = upload, .bytes = bytes, .number = i + 1};
        CHECK_EQ(pthread_create(&senders[i].thread, NULL, send_part, &senders[i]), 0);
    }
    for (uint32_t i = 0; i < PARTS; i++)
        CHECK_EQ(pthread_join(senders[i].thread, NULL), 0);
    for (uint32_t i = 0; i < PARTS; i++)
        CHECK_STATUS(senders[i].st, MN_OK);
    OK(mn_object_upload_complete(upload, NULL, NULL, &suite_err));
    suite_expect(mn_str("a"), (struct mn_slice){bytes, n});
    free(bytes);
    suite_end();
}

void open_uploads_keep_the_store_open(void)
{
    suite_begin();
    mn_object_upload *upload = begin("a");
    CHECK_STATUS(mn_object_close(suite_store, &suite_err), MN_ERR_BUSY);
    suite_put_text("b", "still open");
    suite_expect_text("b", "still open");
    OK(mn_object_upload_abort(upload, &suite_err));
    suite_end();
}
