/* Tests of signing: the examples that AWS publishes for S3, and what they leave open. */
#include "check.h"

#include <string.h>

#include "base/mem.h"
#include "object/s3_sign_private.h"

static const char example_id[] = "AKIAIOSFODNN7EXAMPLE";
static const char example_key[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const int64_t example_us = INT64_C(1369353600000000); /* 2013-05-24 */

static struct mni_s3_signer *signer_of(const char *token)
{
    struct mni_s3_signer *signer;

    CHECK_OK(mni_s3_signer_new(example_id, example_key, token, "us-east-1", &signer));
    return signer;
}

static struct mni_s3_request example(const char *method, const char *path)
{
    struct mni_s3_request request;

    mni_s3_request_init(&request, method);
    mni_s3_request_path(&request, mn_str(path));
    mni_s3_request_header(&request, "host", mn_str("examplebucket.s3.amazonaws.com"));
    mni_s3_request_body(&request, mn_str(""));
    return request;
}

/* Signs, and compares the end of the header. */
static void check_signature(struct mni_s3_request *request, const char *names,
                            const char *signature)
{
    struct mni_s3_signer *signer = signer_of(NULL);
    char expected[1024] = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3"
                          "/aws4_request,SignedHeaders=";

    strcat(expected, names);
    strcat(expected, ",Signature=");
    strcat(expected, signature);
    CHECK_OK(mni_s3_sign(signer, request, example_us));
    CHECK_EQ(request->authorization.n_bytes, strlen(expected));
    CHECK_MEM_EQ(request->authorization.data, expected, strlen(expected));
    mni_s3_request_done(request);
    mni_s3_signer_free(signer);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void a_get_with_a_range_is_signed_as_published(void)
{
    struct mni_s3_request request = example("GET", "/test.txt");

    mni_s3_request_header(&request, "range", mn_str("bytes=0-9"));
    check_signature(&request, "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void a_put_is_signed_as_published(void)
{
    struct mni_s3_request request = example("PUT", "/test$file.text");

    mni_s3_request_header(&request, "x-amz-storage-class", mn_str("REDUCED_REDUNDANCY"));
    mni_s3_request_header(&request, "date", mn_str("Fri, 24 May 2013 00:00:00 GMT"));
    mni_s3_request_body(&request, mn_str("Welcome to Amazon S3."));
    check_signature(&request, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void a_parameter_without_a_value_is_signed_as_published(void)
{
    struct mni_s3_request request = example("GET", "/");

    mni_s3_request_param(&request, "lifecycle", mn_str(""));
    check_signature(&request, "host;x-amz-content-sha256;x-amz-date",
                    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void a_listing_is_signed_as_published(void)
{
    struct mni_s3_request request = example("GET", "/");

    mni_s3_request_param(&request, "max-keys", mn_str("2"));
    mni_s3_request_param(&request, "prefix", mn_str("J"));
    check_signature(&request, "host;x-amz-content-sha256;x-amz-date",
                    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* Whoever retries signs again: with another time, and back with the first one. */
static void signing_again_replaces_the_first_signature(void)
{
    struct mni_s3_request request = example("GET", "/test.txt");
    struct mni_s3_signer *signer = signer_of(NULL);

    mni_s3_request_header(&request, "range", mn_str("bytes=5-9"));
    mni_s3_request_header(&request, "range", mn_str("bytes=0-9"));
    CHECK_OK(mni_s3_sign(signer, &request, example_us + INT64_C(86400) * 1000000 * 3));
    mni_s3_signer_free(signer);
    check_signature(&request, "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void headers_stand_in_the_order_of_their_names(void)
{
    struct mni_s3_request request;
    static const char expected[] = "a:1\nab:2\nb:longer\nbc:\n";

    mni_s3_request_init(&request, "GET");
    mni_s3_request_header(&request, "b", mn_str("3"));
    mni_s3_request_header(&request, "ab", mn_str("2"));
    mni_s3_request_header(&request, "bc", mn_str(""));
    mni_s3_request_header(&request, "a", mn_str("1"));
    mni_s3_request_header(&request, "b", mn_str("longer"));
    CHECK_EQ(request.headers.n_bytes, sizeof expected - 1);
    CHECK_MEM_EQ(request.headers.data, expected, sizeof expected - 1);
    mni_s3_request_done(&request);
}

static void a_session_token_is_sent_and_signed(void)
{
    struct mni_s3_request request = example("GET", "/");
    struct mni_s3_signer *signer = signer_of("token/+=");

    CHECK_OK(mni_s3_sign(signer, &request, example_us));
    CHECK_OK(mni_buf_append(&request.headers, "", 1));
    CHECK_OK(mni_buf_append(&request.authorization, "", 1));
    CHECK_STR_HAS((const char *)request.headers.data, "\nx-amz-security-token:token/+=\n");
    CHECK_STR_HAS((const char *)request.authorization.data,
                  "host;x-amz-content-sha256;x-amz-date;x-amz-security-token,");
    mni_s3_request_done(&request);
    mni_s3_signer_free(signer);
}

/* Every byte but the unreserved ones is encoded, "/" only in values; nothing is normalised and
 * nothing is encoded twice. */
static void every_byte_of_a_path_is_encoded_once(void)
{
    struct mni_s3_request request;
    char all[256];
    static const char expected[] =
        "%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F%10%11%12%13%14%15%16%17%18%19%1A%1B%1C"
        "%1D%1E%1F%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-./0123456789%3A%3B%3C%3D%3E%3F%40"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F%80%81";
    static const char dots[] = "/a//../b/./%41/+";

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    mni_s3_request_init(&request, "GET");
    mni_s3_request_path(&request, (struct mn_slice){all, sizeof all});
    CHECK_EQ(request.path.n_bytes, 256 + 2 * (256 - 26 * 2 - 10 - 4 - 1));
    CHECK_MEM_EQ(request.path.data, expected, sizeof expected - 1);
    mni_buf_reset(&request.path);
    mni_s3_request_path(&request, mn_str(dots));
    CHECK_OK(mni_buf_append(&request.path, "", 1));
    CHECK_STR_EQ((const char *)request.path.data, "/a//../b/./%2541/%2B");
    mni_s3_request_param(&request, "prefix", mn_str("a/b +"));
    CHECK_OK(mni_buf_append(&request.query, "", 1));
    CHECK_STR_EQ((const char *)request.query.data, "prefix=a%2Fb%20%2B");
    mni_s3_request_done(&request);
}

static void memory_short_anywhere_is_reported(void)
{
    mn_status st = MN_ERR_NOMEM;
    uint64_t n = 0;

    while (st != MN_OK) {
        struct mni_s3_signer *signer = NULL;
        CHECK(n < 1000);
        mni_mem_fail_at(++n);
        struct mni_s3_request request = example("PUT", "/a key that is longer than most are, b");
        mni_s3_request_param(&request, "uploads", mn_str(""));
        st = mni_s3_signer_new(example_id, example_key, "token", "us-east-1", &signer);
        if (st == MN_OK)
            st = mni_s3_sign(signer, &request, example_us);
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        CHECK((st == MN_OK) == !mni_mem_fail_was_hit());
        mni_mem_fail_at(0);
        mni_s3_signer_free(signer);
        mni_s3_request_done(&request);
        CHECK_EQ(mni_mem_live_blocks(), 0);
    }
    CHECK(n > 8);
}

static void secrets_are_found_in_text(void)
{
    struct mni_s3_signer *signer = signer_of("session");

    CHECK(mni_s3_signer_is_secret_in(signer, mn_str("the id AKIAIOSFODNN7EXAMPLE is not known")));
    CHECK(mni_s3_signer_is_secret_in(signer, mn_str(example_key)));
    CHECK(mni_s3_signer_is_secret_in(signer, mn_str("a session")));
    CHECK(!mni_s3_signer_is_secret_in(signer, mn_str("AKIAIOSFODNN7EXAMPL")));
    CHECK(!mni_s3_signer_is_secret_in(signer, mn_str("")));
    mni_s3_signer_free(signer);
}

static void md5_is_that_of_the_standard(void)
{
    unsigned char md5[MNI_S3_MD5_BYTES];
    char text[2 * MNI_S3_MD5_BYTES + 1];

    CHECK(mni_s3_md5("message digest", 14, md5));
    mni_s3_hex(md5, sizeof md5, text);
    CHECK_STR_EQ(text, "f96b697d7cb7938d525a2f31aaf161d0");
}

/* Times ------------------------------------------------------------------------------------------
 */

static void stamp(int64_t time_us, const char *expected)
{
    char text[MNI_S3_STAMP_BYTES];

    mni_s3_time_stamp(time_us, text);
    CHECK_STR_EQ(text, expected);
}

static void stamps_know_leap_years(void)
{
    stamp(0, "19700101T000000Z");
    stamp(INT64_C(1456703999999999), "20160228T235959Z");
    stamp(INT64_C(1456704000000000), "20160229T000000Z");
    stamp(INT64_C(1456790400000000), "20160301T000000Z");
    stamp(INT64_C(951782400000000), "20000229T000000Z");
    stamp(INT64_C(4107542400000000), "21000301T000000Z");
    stamp(-5, "19700101T000000Z");
    stamp(INT64_MAX, "99990110T040054Z"); /* wrong by then, and within its bounds */
}

static void what_is_stamped_is_read_back(void)
{
    uint64_t seed = check_seed();

    for (int i = 0; i < 2000; i++) {
        int64_t time_s = (int64_t)check_below(&seed, UINT64_C(250000000000));
        char text[MNI_S3_STAMP_BYTES];
        char iso[32];
        int64_t read_us = -1;

        mni_s3_time_stamp(time_s * 1000000, text);
        /* 20130524T000000Z -> 2013-05-24T00:00:00.250Z */
        static const int from[] = {0, 1, 2,  3,    -'-', 4,  5,    -'-', 6, 7,
                                   8, 9, 10, -':', 11,   12, -':', 13,   14};
        for (size_t j = 0; j < CHECK_COUNT(from); j++)
            iso[j] = from[j] < 0 ? (char)-from[j] : text[from[j]];
        memcpy(iso + CHECK_COUNT(from), ".250Z", 6);
        CHECK(mni_s3_time_parse_iso(mn_str(iso), &read_us));
        CHECK_EQ(read_us, time_s * 1000000 + 250000);
    }
}

static void times_of_http_are_read(void)
{
    int64_t time_us = 0;

    CHECK(mni_s3_time_parse_http(mn_str("Sun, 06 Nov 1994 08:49:37 GMT"), &time_us));
    CHECK_EQ(time_us, INT64_C(784111777000000));
    CHECK(mni_s3_time_parse_http(mn_str("Thu, 29 Feb 2024 23:59:59 GMT"), &time_us));
    CHECK_EQ(time_us, INT64_C(1709251199000000));
    static const char *const wrong[] = {
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1969 08:49:37 GMT",
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK(!mni_s3_time_parse_http(mn_str(wrong[i]), &time_us));
}

static void times_of_iso_8601_are_read(void)
{
    int64_t time_us = 0;

    CHECK(mni_s3_time_parse_iso(mn_str("1970-01-01T00:00:01Z"), &time_us));
    CHECK_EQ(time_us, 1000000);
    CHECK(mni_s3_time_parse_iso(mn_str("2009-10-12T17:50:30.123456789Z"), &time_us));
    CHECK_EQ(time_us, INT64_C(1255369830123456));
    static const char *const wrong[] = {
        "",
        "Z",
        "2009-10-12T17:50:30",
        "2009-10-12T17:50:30.Z",
        "2009-10-12T17:50:30.1xZ",
        "2009-10-12 17:50:30Z",
        "2009-13-12T17:50:30Z",
        "2009-00-12T17:50:30Z",
        "2009-10-12T17:50:30+00:00Z",
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK(!mni_s3_time_parse_iso(mn_str(wrong[i]), &time_us));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_get_with_a_range_is_signed_as_published),
        CHECK_TEST(a_put_is_signed_as_published),
        CHECK_TEST(a_parameter_without_a_value_is_signed_as_published),
        CHECK_TEST(a_listing_is_signed_as_published),
        CHECK_TEST(signing_again_replaces_the_first_signature),
        CHECK_TEST(headers_stand_in_the_order_of_their_names),
        CHECK_TEST(a_session_token_is_sent_and_signed),
        CHECK_TEST(every_byte_of_a_path_is_encoded_once),
        CHECK_TEST(memory_short_anywhere_is_reported),
        CHECK_TEST(secrets_are_found_in_text),
        CHECK_TEST(md5_is_that_of_the_standard),
        CHECK_TEST(stamps_know_leap_years),
        CHECK_TEST(what_is_stamped_is_read_back),
        CHECK_TEST(times_of_http_are_read),
        CHECK_TEST(times_of_iso_8601_are_read),
    };
    return check_run("object.s3_sign", tests, CHECK_COUNT(tests), argc, argv);
}
