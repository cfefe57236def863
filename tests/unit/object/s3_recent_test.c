/* Tests of what a handle remembers against stale listings. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "object/s3_recent_private.h"

static struct mni_s3_suspect suspects[MNI_S3_SUSPECTS_MAX];
static struct mn_object_entry entries[8];
static struct mn_object_page page;

static const int64_t second_us = 1000000;

/* A page of keys, each with an ETag, until NULL. */
static void set_page(bool is_last, const char *const *keys_and_etags)
{
    page = (struct mn_object_page){.entries = entries, .is_last = is_last};
    for (; *keys_and_etags != NULL; keys_and_etags += 2) {
        struct mn_object_entry *entry = &entries[page.n_entries++];
        *entry = (struct mn_object_entry){.key = mn_str(keys_and_etags[0])};
        strcpy(entry->etag, keys_and_etags[1]);
    }
}
#define PAGE(is_last, ...) set_page(is_last, (const char *const[]){__VA_ARGS__})

static size_t check_page(struct mni_s3_recent *recent, const char *prefix, const char *after,
                         int64_t before_us)
{
    memset(suspects, 0, sizeof suspects);
    return mni_s3_recent_check(recent, mn_str(prefix), mn_str(after), &page, before_us, suspects);
}

static void pages_are_compared_with_what_was_done(void)
{
    struct mni_s3_recent *recent;

    CHECK_OK(mni_s3_recent_new(&recent));
    PAGE(true, "x", "1", NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    mni_s3_recent_note(recent, mn_str("a/b"), "e1", 5);
    CHECK_EQ(check_page(recent, "", "", 10), 1);
    CHECK_EQ(suspects[0].key_bytes, 3);
    CHECK_MEM_EQ(suspects[0].key, "a/b", 3);
    CHECK_STR_EQ(suspects[0].etag, "e1");
    CHECK_EQ(check_page(recent, "a/", "", 10), 1);
    CHECK_EQ(check_page(recent, "b", "", 10), 0);    /* another prefix */
    CHECK_EQ(check_page(recent, "a/b/", "", 10), 0); /* longer than the key */
    CHECK_EQ(check_page(recent, "", "a/b", 10), 0);  /* before the page */
    CHECK_EQ(check_page(recent, "", "a/a", 10), 1);
    CHECK_EQ(check_page(recent, "", "", 4), 0); /* put after the page was asked for */
    PAGE(true, "a/b", "e1", "x", "1", NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    PAGE(true, "a/b", "e0", "x", "1", NULL); /* as it was before */
    CHECK_EQ(check_page(recent, "", "", 10), 1);
    mni_s3_recent_note(recent, mn_str("a/b"), NULL, 6);
    CHECK_EQ(check_page(recent, "", "", 10), 1);
    CHECK_STR_EQ(suspects[0].etag, "");
    PAGE(true, "x", "1", NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    mni_s3_recent_note(recent, mn_str("a/b"), "e2", 7);
    mni_s3_recent_forget(recent, mn_str("a/b"));
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    mni_s3_recent_free(recent);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void behind_the_end_of_a_page_nothing_is_expected(void)
{
    struct mni_s3_recent *recent;

    CHECK_OK(mni_s3_recent_new(&recent));
    mni_s3_recent_note(recent, mn_str("m"), "e1", 5);
    PAGE(false, "a", "1", "l", "1", NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    PAGE(false, "a", "1", "n", "1", NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 1);
    PAGE(false, NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    PAGE(true, NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 1);
    mni_s3_recent_free(recent);
}

static void memory_of_changes_is_bounded_in_number_and_time(void)
{
    struct mni_s3_recent *recent;
    char key[32];

    CHECK_OK(mni_s3_recent_new(&recent));
    uint64_t n_blocks = mni_mem_live_blocks();
    for (int i = 0; i < MNI_S3_RECENT_MAX + 100; i++) {
        (void)snprintf(key, sizeof key, "%06d", i);
        mni_s3_recent_note(recent, mn_str(key), "e", i);
    }
    CHECK_EQ(mni_mem_live_blocks() - n_blocks, MNI_S3_RECENT_MAX);
    PAGE(true, NULL);
    CHECK_EQ(check_page(recent, "", "", 10000), MNI_S3_RECENT_MAX);
    CHECK_EQ(suspects[MNI_S3_SUSPECTS_MAX - 1].key_bytes, 6);
    CHECK_EQ(check_page(recent, "000099", "", 10000), 0); /* of the oldest, nothing is known */
    CHECK_EQ(check_page(recent, "000100", "", 10000), 1);
    CHECK_EQ(check_page(recent, "", "", second_us * (MNI_S3_RECENT_SECONDS + 1)), 0);
    /* the same key again takes no second place */
    for (int i = 0; i < 10; i++)
        mni_s3_recent_note(recent, mn_str("000100"), "e", 20000);
    CHECK_EQ(check_page(recent, "000100", "", 20000), 1);
    mni_s3_recent_free(recent);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void a_change_that_memory_is_short_for_is_forgotten(void)
{
    struct mni_s3_recent *recent;

    CHECK_OK(mni_s3_recent_new(&recent));
    mni_s3_recent_note(recent, mn_str("a"), "e1", 5);
    mni_mem_fail_at(1);
    mni_s3_recent_note(recent, mn_str("a"), "e2", 6);
    CHECK(mni_mem_fail_was_hit());
    mni_mem_fail_at(0);
    PAGE(true, "a", "e2", NULL);
    CHECK_EQ(check_page(recent, "", "", 10), 0);
    mni_s3_recent_free(recent);
    mni_mem_fail_at(1);
    CHECK_STATUS(mni_s3_recent_new(&recent), MN_ERR_NOMEM);
    mni_mem_fail_at(0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(pages_are_compared_with_what_was_done),
        CHECK_TEST(behind_the_end_of_a_page_nothing_is_expected),
        CHECK_TEST(memory_of_changes_is_bounded_in_number_and_time),
        CHECK_TEST(a_change_that_memory_is_short_for_is_forgotten),
    };
    return check_run("object.s3_recent", tests, CHECK_COUNT(tests), argc, argv);
}
