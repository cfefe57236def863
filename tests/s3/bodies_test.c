/*
 * bodies_test.c - answers that are cut, bent, or not what was asked: they are never believed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "check.h"
#include "double.h"

enum { BODY_BYTES = 10000 };

static char body[BODY_BYTES];

static mn_object_store *begin(void)
{
    struct mn_error err = {0};
    uint64_t random = 1;

    double_reset();
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)check_random(&random);
    mn_object_store *store = double_open();
    CHECK_OK_ERR(
        mn_object_put(store, mn_str("k"), (struct mn_slice){body, sizeof body}, NULL, NULL, &err),
        &err);
    return store;
}

static uint64_t n_bad_bodies(mn_object_store *store)
{
    struct mn_object_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_object_stats(store, &stats, NULL));
    return stats.n_bad_bodies;
}

/* Ways to answer a GET of a whole object wrongly. */
static const char *const BENT[] = {
    "'do': 'truncate'",
    "'do': 'truncate', 'keep': 0",
    "'do': 'flip'",
    "'do': 'flip', 'at': 0",
    "'do': 'flip', 'at': 9999",
    "'do': 'shorten'",
    "'do': 'shorten', 'by': 10000",
    "'do': 'lengthen', 'by': 3",
    "'do': 'error_body'",
    "'do': 'body', 'body': '<html>Welcome to the hotel</html>'",
};

static void plan(const char *operation, const char *way, int n)
{
    char text[512];

    snprintf(text, sizeof text, "{'operation': '%s', 'n': %d, %s}", operation, n, way);
    double_plan(text);
}

static void whole_objects_are_checked_and_read_again(void)
{
    struct mn_error err = {0};

    for (size_t i = 0; i < CHECK_COUNT(BENT); i++) {
        mn_object_store *store = begin();
        struct mn_slice data;
        plan("GetObject", BENT[i], 2);
        CHECK_OK_ERR(mn_object_get(store, mn_str("k"), 0, &data, NULL, &err), &err);
        CHECK_EQ(data.n_bytes, sizeof body);
        CHECK_MEM_EQ(data.data, body, sizeof body);
        mn_object_free(data);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_EQ(n_bad_bodies(store), 2);
        double_close(store);
    }
}

static void damage_that_stays_is_named(void)
{
    struct mn_slice data;

    for (size_t i = 0; i < CHECK_COUNT(BENT); i++) {
        mn_object_store *store = begin();
        struct mn_error err = {0};
        plan("GetObject", BENT[i], -1);
        mn_status st = mn_object_get(store, mn_str("k"), 0, &data, NULL, &err);
        if (strstr(BENT[i], "error_body") != NULL || strstr(BENT[i], "truncate") != NULL)
            CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_REMOTE);
        else
            CHECK_STATUS(st, MN_ERR_CORRUPT);
        CHECK_EQ(double_count("operation=GetObject"), 4);
        CHECK_STR_HAS(err.message, "k");
        double_says_no_secret(&err);
        double_close(store);
    }
}

/* Ranges ----------------------------------------------------------------------------------------
 */

static mn_status get_range(mn_object_store *store, uint64_t offset, uint64_t n_bytes,
                           bool has_crc32c, char *data_out, struct mn_error *err)
{
    struct mn_object_range range = {.key = mn_str("k"),
                                    .offset = offset,
                                    .n_bytes = n_bytes,
                                    .data_out = data_out,
                                    .has_crc32c = has_crc32c,
                                    .crc32c = mni_crc32c(0, body + offset, n_bytes)};
    mn_status st = mn_object_get_ranges(store, &range, 1, err);

    if (st == MN_OK)
        CHECK_EQ(range.n_read, n_bytes);
    CHECK_EQ(range.status, st);
    return st;
}

static void ranges_are_what_was_asked(void)
{
    /* what can be told without a checksum */
    static const char *const bent[] = {
        "'do': 'truncate'",
        "'do': 'truncate', 'keep': 0",
        "'do': 'shorten'",
        "'do': 'shorten', 'by': 100",
        "'do': 'lengthen', 'by': 3",
        "'do': 'error_body'",
        "'do': 'headers', 'headers': {'Content-Range': 'bytes 0-99/10000'}",
        "'do': 'headers', 'headers': {'Content-Range': 'bytes 1000-1098/10000'}",
        "'do': 'headers', 'headers': {'Content-Range': 'nonsense'}",
        "'do': 'ignore_range'",
    };
    struct mn_error err = {0};
    char got[100];

    for (size_t i = 0; i < CHECK_COUNT(bent); i++) {
        mn_object_store *store = begin();
        plan("GetObject", bent[i], 2);
        memset(got, 0, sizeof got);
        CHECK_OK_ERR(get_range(store, 1000, 100, false, got, &err), &err);
        CHECK_MEM_EQ(got, body + 1000, 100);
        double_close(store);
    }
}

static void a_range_is_checked_where_its_checksum_is_known(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};
    char got[100];

    plan("GetObject", "'do': 'flip'", 2);
    CHECK_OK_ERR(get_range(store, 1000, 100, true, got, &err), &err);
    CHECK_MEM_EQ(got, body + 1000, 100);
    CHECK_EQ(double_n_faults(), 0);
    plan("GetObject", "'do': 'flip'", -1);
    CHECK_STATUS(get_range(store, 1000, 100, true, got, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "k");
    double_close(store);
}

/* Some servers answer with the whole object, for ever. */
static void a_server_without_ranges_will_do(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};
    char got[100];

    plan("GetObject", "'do': 'ignore_range'", -1);
    CHECK_OK_ERR(get_range(store, 0, 100, true, got, &err), &err);
    CHECK_MEM_EQ(got, body, 100);
    CHECK_OK_ERR(get_range(store, BODY_BYTES - 100, 100, true, got, &err), &err);
    CHECK_MEM_EQ(got, body + BODY_BYTES - 100, 100);
    double_close(store);
}

/* One of several fails for ever; the others are read all the same. */
static void ranges_stand_alone(void)
{
    mn_object_store *store = begin();
    struct mn_object_range ranges[5];
    char got[5][10];

    double_put(store, "bad", "0123456789");
    for (unsigned i = 0; i < 5; i++)
        ranges[i] = (struct mn_object_range){.key = mn_str(i == 3   ? "bad"
                                                           : i == 2 ? "none"
                                                                    : "k"),
                                             .offset = i == 4 ? BODY_BYTES : 0,
                                             .n_bytes = 10,
                                             .data_out = got[i]};
    double_plan("{'operation': 'GetObject', 'key': 'bad', 'n': -1, 'do': 'status', 'status': 503}");
    CHECK_STATUS(mn_object_get_ranges(store, ranges, 5, NULL), MN_NOT_FOUND);
    CHECK_STATUS(ranges[0].status, MN_OK);
    CHECK_STATUS(ranges[1].status, MN_OK);
    CHECK_STATUS(ranges[2].status, MN_NOT_FOUND);
    CHECK_STATUS(ranges[3].status, MN_ERR_REMOTE);
    CHECK_STATUS(ranges[4].status, MN_ERR_INVALID);
    CHECK_MEM_EQ(got[0], body, 10);
    CHECK_MEM_EQ(got[1], body, 10);
    double_close(store);
}

/* Listings --------------------------------------------------------------------------------------
 */

/* The keys of all pages, each followed by a space. Returns a status that is not MN_OK as it is. */
static mn_status list(mn_object_store *store, size_t n_entries_max, char keys_out[256],
                      struct mn_error *err)
{
    char after[64] = "";
    bool is_last = false;

    keys_out[0] = '\0';
    while (!is_last) {
        struct mn_object_page *page;
        mn_status st = mn_object_list(store, mn_str(""), mn_str(after), n_entries_max, &page, err);
        if (st != MN_OK)
            return st;
        for (size_t i = 0; i < page->n_entries; i++) {
            struct mn_slice key = page->entries[i].key;
            snprintf(after, sizeof after, "%.*s", (int)key.n_bytes, (const char *)key.data);
            strcat(strcat(keys_out, after), " ");
        }
        is_last = page->is_last;
        mn_object_page_free(page);
    }
    return MN_OK;
}

static void listings_that_are_none_are_asked_again(void)
{
    static const char *const bent[] = {
        "'do': 'truncate'",
        "'do': 'shorten', 'by': 30",
        "'do': 'error_body'",
        "'do': 'body', 'body': ''",
        "'do': 'body', 'body': '<html>Welcome to the hotel</html>'",
        "'do': 'body', 'body': '<ListBucketResult></ListBucketResult>'",
        /* keys that were not asked for, or in no order */
        "'do': 'body', 'body': '<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
        "<Key>b</Key><Size>3</Size></Contents><Contents><Key>a</Key><Size>3</Size></Contents>"
        "</ListBucketResult>'",
        /* more to come, but from where? */
        "'do': 'body', 'body': '<ListBucketResult><IsTruncated>true</IsTruncated>"
        "</ListBucketResult>'",
    };
    char keys[256];

    for (size_t i = 0; i < CHECK_COUNT(bent); i++) {
        mn_object_store *store = begin();
        mn_object_store *reader = double_open();
        struct mn_error err = {0};
        double_put(store, "a", "one");
        plan("ListObjectsV2", bent[i], 2);
        CHECK_OK_ERR(list(reader, 0, keys, &err), &err);
        CHECK_STR_EQ(keys, "a k ");
        CHECK_EQ(double_n_faults(), 0);
        plan("ListObjectsV2", bent[i], -1);
        mn_status st = list(reader, 0, keys, &err);
        CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_REMOTE);
        double_says_no_secret(&err);
        double_close(reader);
        double_close(store);
    }
}

/* A page shows what this handle has put and deleted, whatever an old listing says. */
static void stale_listings_are_not_believed(void)
{
    char keys[256];
    struct mn_error err = {0};

    for (int n = 1; n <= 2; n++) {
        mn_object_store *store = begin();
        double_put(store, "a", "one");
        double_plan(n == 1 ? "{'do': 'stale_list', 'operation': 'ListObjectsV2'}"
                           : "{'do': 'stale_list', 'operation': 'ListObjectsV2', 'n': 2}");
        CHECK_OK_ERR(list(store, 0, keys, &err), &err);
        CHECK_STR_EQ(keys, "a k ");
        CHECK_OK_ERR(mn_object_delete(store, mn_str("k"), &err), &err);
        double_plan(n == 1 ? "{'do': 'stale_list', 'operation': 'ListObjectsV2'}"
                           : "{'do': 'stale_list', 'operation': 'ListObjectsV2', 'n': 2}");
        CHECK_OK_ERR(list(store, 0, keys, &err), &err);
        CHECK_STR_EQ(keys, "a ");
        double_put(store, "a", "longer than before");
        struct mn_object_page *page;
        double_plan("{'do': 'stale_list', 'operation': 'ListObjectsV2'}");
        CHECK_OK_ERR(mn_object_list(store, mn_str("a"), mn_str(""), 0, &page, &err), &err);
        CHECK_EQ(page->n_entries, 1);
        CHECK_EQ(page->entries[0].n_bytes, strlen("longer than before"));
        mn_object_page_free(page);
        double_close(store);
    }
}

/* What another has put or deleted since is no sign of an old listing, however much it is. */
static void changes_of_others_are_listed(void)
{
    enum { N = 40 };
    mn_object_store *store = begin();
    mn_object_store *other = double_open();
    struct mn_object_page *page;
    struct mn_error err = {0};
    char key[16];

    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "x/%02u", i);
        double_put(store, key, "mine");
    }
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "x/%02u", i);
        if (i % 2 == 0)
            double_put(other, key, "another's");
        else
            CHECK_OK_ERR(mn_object_delete(other, mn_str(key), &err), &err);
    }
    for (unsigned round = 0; round < 2; round++) {
        uint64_t n_heads = double_count("operation=HeadObject");
        CHECK_OK_ERR(mn_object_list(store, mn_str("x/"), mn_str(""), 0, &page, &err), &err);
        CHECK_EQ(page->n_entries, N / 2);
        for (size_t i = 0; i < page->n_entries; i++)
            CHECK_EQ(page->entries[i].n_bytes, strlen("another's"));
        mn_object_page_free(page);
        CHECK_EQ(double_count("operation=HeadObject") - n_heads, round == 0 ? N : 0);
    }
    CHECK_EQ(n_bad_bodies(store), 0);
    double_plan("{'do': 'stale_list', 'operation': 'ListObjectsV2', 'forget': 3}");
    double_put(store, "x/99", "mine");
    CHECK_OK_ERR(mn_object_list(store, mn_str("x/"), mn_str(""), 0, &page, &err), &err);
    CHECK_EQ(page->n_entries, N / 2 + 1);
    mn_object_page_free(page);
    CHECK_EQ(n_bad_bodies(store), 1);
    double_close(other);
    double_close(store);
}

/* Stale for ever: right, or an error; not an old page. */
static void a_listing_that_stays_stale_is_no_answer(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};
    char keys[256];

    double_put(store, "a", "one");
    double_plan("{'do': 'stale_list', 'operation': 'ListObjectsV2', 'n': -1}");
    mn_status st = list(store, 0, keys, &err);
    if (st == MN_OK)
        CHECK_STR_EQ(keys, "a k ");
    else
        CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_REMOTE);
    double_close(store);
}

/* What others have put under names that are no keys here is not handed out. */
static void names_that_are_no_keys_are_left_out(void)
{
    static const char *const names[] = {"a%00b", "b%FF", "%C0%80"};
    struct mn_error err = {0};
    char text[500];

    double_reset();
    mn_object_store *store = double_open();
    for (size_t i = 0; i < CHECK_COUNT(names); i++) {
        struct mn_object_page *page;
        snprintf(text, sizeof text,
                 "{'operation': 'ListObjectsV2', 'do': 'body', 'body': '<ListBucketResult>"
                 "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
                 "<Contents><Key>%s</Key><ETag>1</ETag><Size>1</Size></Contents>"
                 "<Contents><Key>%%C3%%A9</Key><ETag>1</ETag><Size>1</Size></Contents>"
                 "</ListBucketResult>'}",
                 names[i]);
        double_plan(text);
        CHECK_OK_ERR(mn_object_list(store, mn_str(""), mn_str(""), 0, &page, &err), &err);
        CHECK_EQ(double_n_faults(), 0);
        CHECK_EQ(page->n_entries, 1);
        CHECK_MEM_EQ(page->entries[0].key.data, "\xC3\xA9", 2);
        mn_object_page_free(page);
    }
    double_close(store);
}

static void pages_follow_each_other_through_faults(void)
{
    mn_object_store *store = begin();
    struct mn_error err = {0};
    char keys[256];

    for (const char *key = "a\0b\0c\0d\0e\0f\0"; *key != '\0'; key += 2)
        double_put(store, key, "one");
    double_plan("[{'operation': 'ListObjectsV2', 'skip': 1, 'do': 'truncate'},"
                "{'operation': 'ListObjectsV2', 'skip': 1, 'do': 'close'}]");
    CHECK_OK_ERR(list(store, 2, keys, &err), &err);
    CHECK_STR_EQ(keys, "a b c d e f k ");
    CHECK_EQ(double_n_faults(), 0);
    double_close(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(whole_objects_are_checked_and_read_again),
        CHECK_TEST(damage_that_stays_is_named),
        CHECK_TEST(ranges_are_what_was_asked),
        CHECK_TEST(a_range_is_checked_where_its_checksum_is_known),
        CHECK_TEST(a_server_without_ranges_will_do),
        CHECK_TEST(ranges_stand_alone),
        CHECK_TEST(listings_that_are_none_are_asked_again),
        CHECK_TEST(stale_listings_are_not_believed),
        CHECK_TEST(changes_of_others_are_listed),
        CHECK_TEST(a_listing_that_stays_stale_is_no_answer),
        CHECK_TEST(names_that_are_no_keys_are_left_out),
        CHECK_TEST(pages_follow_each_other_through_faults),
    };
    return check_run("s3.bodies", tests, CHECK_COUNT(tests), argc, argv);
}
