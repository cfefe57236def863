/* Tests of where an S3 store finds its credentials and its server. */
#define _GNU_SOURCE
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "io/posix.h"
#include "object/s3_settings_private.h"

static struct mn_error err;
static struct mni_s3_settings settings;
static const char *dir; /* of the running test */

/* Starts from an environment that says nothing. */
static void forget_environment(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CA_BUNDLE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "HOME",
        "AWS_SHARED_CREDENTIALS_FILE",
    };
    for (size_t i = 0; i < CHECK_COUNT(names); i++)
        CHECK(unsetenv(names[i]) == 0);
    err = (struct mn_error){0};
    dir = check_temp_dir();
}

static void set(const char *name, const char *value)
{
    CHECK(setenv(name, value, 1) == 0);
}

static mn_status load(struct mn_object_s3_options options)
{
    return mni_s3_settings_load(mni_posix_env(), &options, &settings, &err);
}

static void check_and_free(const char *access_key, const char *secret_key, const char *token)
{
    CHECK_STR_EQ(settings.access_key, access_key);
    CHECK_STR_EQ(settings.secret_key, secret_key);
    CHECK((token == NULL) == (settings.session_token == NULL));
    if (token != NULL)
        CHECK_STR_EQ(settings.session_token, token);
    mni_s3_settings_done(&settings);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

/* Writes the file that AWS_SHARED_CREDENTIALS_FILE then names. */
static void write_file(const char *text)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/credentials", dir);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
    set("AWS_SHARED_CREDENTIALS_FILE", path);
}

static void options_go_before_all_else(void)
{
    forget_environment();
    set("AWS_ACCESS_KEY_ID", "env-id");
    set("AWS_SECRET_ACCESS_KEY", "env-key");
    set("AWS_SESSION_TOKEN", "env-token");
    set("AWS_REGION", "env-region");
    CHECK_OK_ERR(load((struct mn_object_s3_options){.access_key = "id",
                                                    .secret_key = "key",
                                                    .region = "r",
                                                    .ca_file = "ca",
                                                    .endpoint = "https://x"}),
                 &err);
    CHECK_STR_EQ(settings.region, "r");
    CHECK_STR_EQ(settings.ca_file, "ca");
    CHECK_STR_EQ(settings.endpoint, "https://x");
    check_and_free("id", "key", NULL);
    CHECK_STATUS(load((struct mn_object_s3_options){.access_key = "id"}), MN_ERR_INVALID);
    CHECK_STATUS(load((struct mn_object_s3_options){.secret_key = "id"}), MN_ERR_INVALID);
    CHECK_STATUS(load((struct mn_object_s3_options){.session_token = "id"}), MN_ERR_INVALID);
}

static void variables_go_before_the_file(void)
{
    forget_environment();
    write_file("[default]\naws_access_key_id=file-id\naws_secret_access_key=file-key\n");
    set("AWS_ACCESS_KEY_ID", "env-id");
    set("AWS_SECRET_ACCESS_KEY", "env-key");
    CHECK_OK_ERR(load((struct mn_object_s3_options){0}), &err);
    CHECK_STR_EQ(settings.region, "us-east-1");
    CHECK(settings.endpoint == NULL && settings.ca_file == NULL);
    check_and_free("env-id", "env-key", NULL);
    set("AWS_SESSION_TOKEN", "env-token");
    CHECK_OK_ERR(load((struct mn_object_s3_options){0}), &err);
    check_and_free("env-id", "env-key", "env-token");
}

static void half_a_pair_of_variables_is_an_error(void)
{
    forget_environment();
    set("AWS_ACCESS_KEY_ID", "env-id");
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY");
    set("AWS_ACCESS_KEY_ID", "");
    set("AWS_SECRET_ACCESS_KEY", "s");
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "AWS_SECRET_ACCESS_KEY is set, but not AWS_ACCESS_KEY_ID");
}

static void regions_and_endpoints_have_an_order(void)
{
    struct mn_object_s3_options options = {.access_key = "id", .secret_key = "key"};

    forget_environment();
    set("AWS_DEFAULT_REGION", "default-region");
    set("AWS_ENDPOINT_URL", "https://all");
    set("AWS_CA_BUNDLE", "/ca.pem");
    CHECK_OK_ERR(load(options), &err);
    CHECK_STR_EQ(settings.region, "default-region");
    CHECK_STR_EQ(settings.endpoint, "https://all");
    CHECK_STR_EQ(settings.ca_file, "/ca.pem");
    mni_s3_settings_done(&settings);
    set("AWS_REGION", "region");
    set("AWS_ENDPOINT_URL_S3", "https://s3");
    CHECK_OK_ERR(load(options), &err);
    CHECK_STR_EQ(settings.region, "region");
    CHECK_STR_EQ(settings.endpoint, "https://s3");
    mni_s3_settings_done(&settings);
    options.region = "a/b";
    CHECK_STATUS(load(options), MN_ERR_INVALID);
    options.region = "";
    CHECK_STATUS(load(options), MN_ERR_INVALID);
}

static void a_file_has_profiles_comments_and_spaces(void)
{
    forget_environment();
    write_file("\xef\xbb\xbf# a comment\r\n"
               "aws_access_key_id = outside\r\n"
               "; another\r\n"
               "[ default ]  # mine\r\n"
               "  AWS_ACCESS_KEY_ID\t=  default-id   ; not this\r\n"
               "aws_secret_access_key= a/b+c=d;e#f\r\n"
               "\r\n"
               "region = nowhere\r\n"
               "nonsense\r\n"
               "[other]\r\n"
               "aws_access_key_id = other-id\r\n"
               "aws_secret_access_key = other-key\r\n"
               "aws_session_token = other-token\r\n"
               "[Default]\r\n"
               "aws_access_key_id = wrong\r\n"
               "[other]\r\n"
               "aws_secret_access_key = later-key");
    CHECK_OK_ERR(load((struct mn_object_s3_options){0}), &err);
    check_and_free("default-id", "a/b+c=d;e#f", NULL);
    set("AWS_PROFILE", "other");
    CHECK_OK_ERR(load((struct mn_object_s3_options){0}), &err);
    check_and_free("other-id", "later-key", "other-token");
}

static void a_file_without_the_profile_says_so(void)
{
    forget_environment();
    write_file("[default]\naws_access_key_id=a\naws_secret_access_key=\n");
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "the profile [default] lacks");
    set("AWS_PROFILE", "absent");
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "there is no profile [absent]");
    CHECK_STR_HAS(err.message, "/credentials");
    write_file("");
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void home_is_where_the_file_is_looked_for(void)
{
    char path[512];

    forget_environment();
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "no HOME");
    set("HOME", dir);
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "/.aws/credentials");
    CHECK_STR_HAS(err.message, "no AWS_ACCESS_KEY_ID");
    write_file("[default]\naws_access_key_id=h\naws_secret_access_key=k\n");
    set("AWS_SHARED_CREDENTIALS_FILE", "~/credentials");
    CHECK_OK_ERR(load((struct mn_object_s3_options){0}), &err);
    check_and_free("h", "k", NULL);
    CHECK(unsetenv("AWS_SHARED_CREDENTIALS_FILE") == 0);
    (void)snprintf(path, sizeof path, "%s/.aws", dir);
    CHECK(mkdir(path, 0700) == 0);
    char to[512];
    (void)snprintf(to, sizeof to, "%s/.aws/credentials", dir);
    (void)snprintf(path, sizeof path, "%s/credentials", dir);
    CHECK(rename(path, to) == 0);
    CHECK_OK_ERR(load((struct mn_object_s3_options){0}), &err);
    check_and_free("h", "k", NULL);
}

static void odd_files_are_named_in_the_error(void)
{
    char path[512];

    forget_environment();
    (void)snprintf(path, sizeof path, "/no-such-directory/%080d", 0);
    set("AWS_SHARED_CREDENTIALS_FILE", path);
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "credentials file /no-such-directory/");
    set("AWS_SHARED_CREDENTIALS_FILE", "/no-such-directory/x");
    CHECK_STATUS(load((struct mn_object_s3_options){0}), MN_ERR_ACCESS);
    CHECK_STR_HAS(err.message, "no file /no-such-directory/x");
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void secrets_with_spaces_are_refused_and_not_shown(void)
{
    forget_environment();
    CHECK_STATUS(load((struct mn_object_s3_options){.access_key = "id", .secret_key = "se  cret"}),
                 MN_ERR_INVALID);
    CHECK(strstr(err.message, "cret") == strstr(err.message, "cret key"));
    CHECK_STATUS(load((struct mn_object_s3_options){.access_key = "id\n", .secret_key = "s"}),
                 MN_ERR_INVALID);
    CHECK_STATUS(load((struct mn_object_s3_options){
                     .access_key = "id", .secret_key = "s", .session_token = "\xc3\xa9"}),
                 MN_ERR_INVALID);
}

static void memory_short_anywhere_is_reported(void)
{
    mn_status st = MN_ERR_NOMEM;
    uint64_t n = 0;

    forget_environment();
    write_file("[default]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n");
    while (st != MN_OK) {
        CHECK(n < 100);
        mni_mem_fail_at(++n);
        st = load((struct mn_object_s3_options){.endpoint = "https://x", .ca_file = "y"});
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        CHECK((st == MN_OK) == !mni_mem_fail_was_hit());
        mni_mem_fail_at(0);
        mni_s3_settings_done(&settings);
        CHECK_EQ(mni_mem_live_blocks(), 0);
    }
    CHECK(n > 8);
}

/* Addresses --------------------------------------------------------------------------------------
 */

static mn_status address_of(const char *endpoint, const char *bucket,
                            mn_object_addressing addressing, bool allow_http)
{
    static char text[1024];
    char region[] = "eu-west-1";
    char copy[600];
    struct mn_object_s3_options options = {
        .bucket = bucket, .addressing = addressing, .allow_http = allow_http};
    struct mni_s3_settings given = {.region = region};
    struct mni_s3_address address = {0};

    if (endpoint != NULL) {
        (void)snprintf(copy, sizeof copy, "%s", endpoint);
        given.endpoint = copy;
    }
    mn_status st = mni_s3_address_init(&given, &options, &address, &err);
    if (st == MN_OK)
        (void)snprintf(text, sizeof text, "%s %s %s", address.origin, address.host, address.root);
    if (st == MN_OK)
        (void)snprintf(err.message, sizeof err.message, "%.500s", text);
    mni_s3_address_done(&address);
    CHECK_EQ(mni_mem_live_blocks(), 0);
    return st;
}

static void check_address(const char *endpoint, const char *bucket, mn_object_addressing addressing,
                          const char *expected)
{
    err.message[0] = '\0';
    CHECK_OK_ERR(address_of(endpoint, bucket, addressing, true), &err);
    CHECK_STR_EQ(err.message, expected);
}

static void buckets_stand_in_the_host_or_in_the_path(void)
{
    check_address(NULL, "bucket", MN_OBJECT_ADDRESSING_DEFAULT,
                  "https://bucket.s3.eu-west-1.amazonaws.com bucket.s3.eu-west-1.amazonaws.com /");
    check_address(NULL, "bucket", MN_OBJECT_ADDRESSING_PATH,
                  "https://s3.eu-west-1.amazonaws.com s3.eu-west-1.amazonaws.com /bucket/");
    check_address(NULL, "buc.ket", MN_OBJECT_ADDRESSING_HOST,
                  "https://s3.eu-west-1.amazonaws.com s3.eu-west-1.amazonaws.com /buc.ket/");
    check_address("https://Store.Example:443/", "bucket", MN_OBJECT_ADDRESSING_DEFAULT,
                  "https://store.example store.example /bucket/");
    check_address("https://store.example:9000", "bucket", MN_OBJECT_ADDRESSING_HOST,
                  "https://bucket.store.example:9000 bucket.store.example:9000 /");
    check_address("http://[::1]:80", "Bucket", MN_OBJECT_ADDRESSING_PATH,
                  "http://[::1] [::1] /Bucket/");
    check_address("http://127.0.0.1:7480", "bucket", MN_OBJECT_ADDRESSING_DEFAULT,
                  "http://127.0.0.1:7480 127.0.0.1:7480 /bucket/");
    CHECK_STATUS(address_of("http://127.0.0.1", "bucket", MN_OBJECT_ADDRESSING_HOST, true),
                 MN_ERR_INVALID);
}

static void endpoints_that_cannot_be_are_refused(void)
{
    static const char *const wrong[] = {
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "https:///",
        "https://:9000",
        "https://host:",
        "https://host:0",
        "https://host:65536",
        "https://host:9x",
        "https://host:123456",
        "https://host/path",
        "https://host?x",
        "https://host#x",
        "https://ho st",
        "https://[::1",
        "https://[]",
        "https://[::1]x",
        "https://host\\x",
        "HTTPS//host",
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(address_of(wrong[i], "bucket", MN_OBJECT_ADDRESSING_DEFAULT, true),
                     MN_ERR_INVALID);
    CHECK_STATUS(
        address_of("https://user:secret@host", "bucket", MN_OBJECT_ADDRESSING_DEFAULT, true),
        MN_ERR_INVALID);
    CHECK(strstr(err.message, "secret") == NULL);
}

static void without_tls_only_this_machine_is_reached(void)
{
    static const char *const here[] = {"http://localhost:1", "http://127.1.2.3", "http://[::1]:8",
                                       "http://s3.localhost"};
    static const char *const elsewhere[] = {"http://127.evil.example",  "http://10.0.0.1",
                                            "http://127.0.0.1.example", "http://localhost.example",
                                            "http://notlocalhost",      "http://[::2]"};

    for (size_t i = 0; i < CHECK_COUNT(here); i++)
        CHECK_OK_ERR(address_of(here[i], "bucket", MN_OBJECT_ADDRESSING_DEFAULT, false), &err);
    for (size_t i = 0; i < CHECK_COUNT(elsewhere); i++) {
        CHECK_STATUS(address_of(elsewhere[i], "bucket", MN_OBJECT_ADDRESSING_DEFAULT, false),
                     MN_ERR_INVALID);
        CHECK_STR_HAS(err.message, "allow_http");
    }
}

static void buckets_that_cannot_be_are_refused(void)
{
    static const char *const wrong[] = {NULL,   "",      "ab",   "a/b", "..a",
                                        "-abc", "a b c", "a%2f", "bück"};
    char long_name[300];

    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(address_of(NULL, wrong[i], MN_OBJECT_ADDRESSING_DEFAULT, true),
                     MN_ERR_INVALID);
    memset(long_name, 'a', sizeof long_name);
    long_name[256] = '\0';
    CHECK_STATUS(address_of(NULL, long_name, MN_OBJECT_ADDRESSING_DEFAULT, true), MN_ERR_INVALID);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(options_go_before_all_else),
        CHECK_TEST(variables_go_before_the_file),
        CHECK_TEST(half_a_pair_of_variables_is_an_error),
        CHECK_TEST(regions_and_endpoints_have_an_order),
        CHECK_TEST(a_file_has_profiles_comments_and_spaces),
        CHECK_TEST(a_file_without_the_profile_says_so),
        CHECK_TEST(home_is_where_the_file_is_looked_for),
        CHECK_TEST(odd_files_are_named_in_the_error),
        CHECK_TEST(secrets_with_spaces_are_refused_and_not_shown),
        CHECK_TEST(memory_short_anywhere_is_reported),
        CHECK_TEST(buckets_stand_in_the_host_or_in_the_path),
        CHECK_TEST(endpoints_that_cannot_be_are_refused),
        CHECK_TEST(without_tls_only_this_machine_is_reached),
        CHECK_TEST(buckets_that_cannot_be_are_refused),
    };
    return check_run("object.s3_credentials", tests, CHECK_COUNT(tests), argc, argv);
}
