/*
 * lean_test.c - a library built without libcurl, OpenSSL and RocksDB says what is missing.
 */
#include <string.h>

#include "check.h"
#include "mneme/mneme.h"

static void s3_says_what_is_missing(void)
{
    struct mn_object_s3_options options = {.size = sizeof options, .bucket = "bucket"};
    mn_object_store *store = NULL;
    struct mn_error err = {0};

    CHECK_STATUS(mn_object_open_s3(&options, &store, &err), MN_ERR_UNSUPPORTED);
    CHECK(store == NULL);
    CHECK_STR_HAS(err.message, "libcurl");
    err = (struct mn_error){0};
    CHECK_STATUS(mn_object_open("s3://bucket", &store, &err), MN_ERR_UNSUPPORTED);
    CHECK_STR_HAS(err.message, "libcurl");
}

static void the_disk_cache_says_what_is_missing(void)
{
    struct mn_diskcache_options options = {.size = sizeof options, .path = check_temp_dir()};
    mn_diskcache *cache = NULL;
    struct mn_error err = {0};

    CHECK_STATUS(mn_diskcache_open(&options, &cache, &err), MN_ERR_UNSUPPORTED);
    CHECK(cache == NULL);
    CHECK_STR_HAS(err.message, "RocksDB");
}

static void other_object_stores_work(void)
{
    struct mn_slice data;
    mn_object_store *store = NULL;
    struct mn_error err = {0};

    CHECK_OK_ERR(mn_object_open("mem:", &store, &err), &err);
    CHECK_OK_ERR(mn_object_put(store, mn_str("k"), mn_str("one"), NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_object_get(store, mn_str("k"), 0, &data, NULL, &err), &err);
    CHECK_EQ(data.n_bytes, 3);
    mn_object_free(data);
    CHECK_OK_ERR(mn_object_close(store, &err), &err);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(s3_says_what_is_missing),
        CHECK_TEST(the_disk_cache_says_what_is_missing),
        CHECK_TEST(other_object_stores_work),
    };
    return check_run("lean", tests, CHECK_COUNT(tests), argc, argv);
}
