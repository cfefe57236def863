/* Tests of reading an answer while it comes: headers, and where the body goes. */
#include "check.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "object/s3_reply_private.h"

static struct mni_s3_reply reply;
static struct mni_s3_transfer transfer;
static struct mni_s3_body body;
static unsigned char room[64];

/* Begins with headers, lines that are separated by "|". */
static void begin(enum mni_s3_sink sink, const char *lines)
{
    mni_s3_reply_done(&reply);
    CHECK_EQ(mni_mem_live_blocks(), 0);
    memset(room, 0, sizeof room);
    transfer = (struct mni_s3_transfer){.sink = sink, .into = room, .room_bytes = 10, .offset = 4};
    body = (struct mni_s3_body){.transfer = &transfer, .reply = &reply};
    while (*lines != '\0') {
        char line[200];
        size_t n = strcspn(lines, "|");
        CHECK(n + 2 < sizeof line);
        memcpy(line, lines, n);
        memcpy(line + n, "\r\n", 2);
        mni_s3_reply_header(&reply, (struct mn_slice){line, n + 2});
        lines += n + (lines[n] == '|' ? 1 : 0);
    }
    mni_s3_reply_header(&reply, mn_str("\r\n"));
}

static void end(void)
{
    mni_s3_reply_done(&reply);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void headers_are_read(void)
{
    begin(MNI_S3_TO_TEXT,
          "HTTP/1.1 206 Partial Content|Content-Length: 7|ETAG:  \"abc-2\" |"
          "Content-Range: bytes 4-10/443|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT|"
          "Date: Sun, 06 Nov 1994 08:49:40 GMT|Retry-After: 3|x-amz-bucket-region: eu-west-1|"
          "X-Amz-Meta-Mneme-Crc32c: e3069283|"
          "x-amz-meta-mneme-write: 0123456789abcdef0123456789abcdef");
    CHECK_EQ(reply.status, 206);
    CHECK(reply.has_length);
    CHECK_EQ(reply.length_bytes, 7);
    CHECK_STR_EQ(reply.etag, "abc-2");
    CHECK(reply.has_range);
    CHECK_EQ(reply.range_first, 4);
    CHECK_EQ(reply.range_last, 10);
    CHECK_EQ(reply.range_total, 443);
    CHECK_EQ(reply.modified_us, INT64_C(784111777000000));
    CHECK_EQ(reply.date_us, INT64_C(784111780000000));
    CHECK_EQ(reply.retry_after_us, 3000000);
    CHECK(reply.has_crc32c);
    CHECK_EQ(reply.crc32c, 0xe3069283);
    CHECK_STR_EQ(reply.write_id, "0123456789abcdef0123456789abcdef");
    CHECK_STR_EQ(reply.region, "eu-west-1");
    end();
}

static void headers_that_make_no_sense_are_absent(void)
{
    begin(MNI_S3_TO_TEXT,
          "HTTP/1.1 2x0|Content-Length: -7|ETag: |no colon|Content-Range: bytes */443|"
          "Last-Modified: yesterday|Retry-After: soon|x-amz-meta-mneme-crc32c: E3069283|"
          "x-amz-meta-mneme-write: 0123456789abcdef0123456789abcdef0");
    CHECK_EQ(reply.status, 0);
    CHECK(!reply.has_length && !reply.has_range && !reply.has_crc32c);
    CHECK(reply.etag[0] == '\0' && reply.write_id[0] == '\0');
    CHECK(reply.modified_us == 0 && reply.retry_after_us == 0);
    static const char *const ranges[] = {"bytes 5-4/10", "bytes 4-10/10", "bytes 4-9", "4-9/10",
                                         "bytes -9/10",  "bytes 4-/10",   "bytes 4-9/"};
    for (size_t i = 0; i < CHECK_COUNT(ranges); i++) {
        char line[64] = "Content-Range: ";
        strcat(line, ranges[i]);
        mni_s3_reply_header(&reply, mn_str(line));
        CHECK(!reply.has_range);
    }
    end();
}

/* A time instead of seconds counts from the server's own. */
static void retry_after_may_be_a_time(void)
{
    begin(MNI_S3_TO_TEXT, "HTTP/1.1 503 x|Date: Sun, 06 Nov 1994 08:49:37 GMT|"
                          "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT");
    CHECK_EQ(reply.retry_after_us, 60000000);
    end();
}

static void an_answer_for_the_time_being_is_forgotten(void)
{
    begin(MNI_S3_TO_TEXT, "HTTP/1.1 100 Continue|ETag: \"a\"|HTTP/1.1 200 OK|Content-Length: 1");
    CHECK_EQ(reply.status, 200);
    CHECK_STR_EQ(reply.etag, "");
    end();
}

static void an_object_goes_to_memory_of_its_size(void)
{
    begin(MNI_S3_TO_MEMORY, "HTTP/1.1 200 OK|Content-Length: 9");
    CHECK(mni_s3_body_take(&body, "1234", 4));
    CHECK(mni_s3_body_take(&body, "56789", 5));
    CHECK_EQ(body.left_bytes, 0);
    CHECK_EQ(reply.n_body_bytes, 9);
    CHECK_EQ(reply.body_crc32c, 0xe3069283);
    CHECK_MEM_EQ(reply.memory, "123456789", 9);
    CHECK(!mni_s3_body_take(&body, "0", 1));
    CHECK_EQ(body.refused, MNI_S3_WRONG);
    begin(MNI_S3_TO_MEMORY, "HTTP/1.1 200 OK|Content-Length: 0");
    CHECK(mni_s3_body_begin(&body));
    CHECK(reply.memory != NULL);
    begin(MNI_S3_TO_MEMORY, "HTTP/1.1 200 OK|Content-Length: 11");
    CHECK(!mni_s3_body_begin(&body));
    CHECK_EQ(body.refused, MNI_S3_TOO_LARGE);
    CHECK(reply.memory == NULL);
    begin(MNI_S3_TO_MEMORY, "HTTP/1.1 200 OK");
    CHECK(!mni_s3_body_take(&body, "1", 1));
    CHECK_EQ(body.refused, MNI_S3_WRONG);
    begin(MNI_S3_TO_MEMORY, "HTTP/1.1 404 Not Found|Content-Length: 3");
    CHECK(mni_s3_body_take(&body, "abc", 3));
    CHECK(reply.memory == NULL);
    CHECK_EQ(reply.text.n_bytes, 3);
    end();
}

static void a_range_goes_where_it_belongs(void)
{
    begin(MNI_S3_TO_RANGE, "HTTP/1.1 206 x|Content-Range: bytes 4-13/100|Content-Length: 10");
    CHECK(mni_s3_body_take(&body, "0123456789", 10));
    CHECK_MEM_EQ(room, "0123456789\0", 11);
    CHECK_EQ(reply.body_crc32c, mni_crc32c(0, "0123456789", 10));
    CHECK(!mni_s3_body_take(&body, "x", 1));
    CHECK_EQ(room[10], 0);
    /* at the end of the object there is less */
    begin(MNI_S3_TO_RANGE, "HTTP/1.1 206 x|Content-Range: bytes 4-6/7|Content-Length: 3");
    CHECK(mni_s3_body_take(&body, "012", 3));
    CHECK_EQ(reply.n_body_bytes, 3);
    end();
}

static void another_range_than_was_asked_for_is_refused(void)
{
    static const char *const wrong[] = {
        "HTTP/1.1 206 x|Content-Length: 10",
        "HTTP/1.1 206 x|Content-Range: bytes 3-12/100",
        "HTTP/1.1 206 x|Content-Range: bytes 5-14/100",
        "HTTP/1.1 206 x|Content-Range: bytes 4-12/100",
        "HTTP/1.1 206 x|Content-Range: bytes 4-14/100",
        "HTTP/1.1 206 x|Content-Range: bytes 4-5/7",
        "HTTP/1.1 206 x|Content-Range: nonsense",
        "HTTP/1.1 200 x|ETag: a",
        "HTTP/1.1 200 x|Content-Length: 10",
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++) {
        begin(MNI_S3_TO_RANGE, wrong[i]);
        CHECK(!mni_s3_body_take(&body, "0", 1));
        CHECK_EQ(body.refused, MNI_S3_WRONG);
        CHECK(reply.detail[0] != '\0');
        CHECK_EQ(room[0], 0);
    }
    end();
}

static void of_a_whole_object_the_range_is_taken(void)
{
    static const char text[] = "abcd0123456789xyz";

    for (size_t step = 1; step <= sizeof text - 1; step++) {
        begin(MNI_S3_TO_RANGE, "HTTP/1.1 200 x|Content-Length: 17|ETag: a");
        for (size_t at = 0; at < sizeof text - 1 && !body.is_enough; at += step) {
            size_t n = sizeof text - 1 - at < step ? sizeof text - 1 - at : step;
            CHECK(mni_s3_body_take(&body, text + at, n));
        }
        CHECK(body.is_enough);
        CHECK(!mni_s3_body_take(&body, "x", 1)); /* the rest need not come */
        CHECK_EQ(body.refused, MNI_S3_ANSWERED);
        CHECK_EQ(reply.n_body_bytes, 10);
        CHECK_MEM_EQ(room, "0123456789\0", 11);
    }
    begin(MNI_S3_TO_RANGE, "HTTP/1.1 200 x|Content-Length: 4|ETag: a");
    CHECK(!mni_s3_body_take(&body, "abcd", 4));
    CHECK(reply.is_behind_end);
    begin(MNI_S3_TO_RANGE, "HTTP/1.1 200 x|Content-Length: 1000000000|ETag: a");
    transfer.offset = 900000000; /* not through all of that */
    CHECK(!mni_s3_body_begin(&body));
    CHECK_EQ(body.refused, MNI_S3_WRONG);
    end();
}

static void text_has_a_bound(void)
{
    static char block[1 << 20];
    size_t n = 0;

    begin(MNI_S3_TO_TEXT, "HTTP/1.1 200 x");
    memset(block, ' ', sizeof block);
    while (n < 1000 && mni_s3_body_take(&body, block, sizeof block))
        n++;
    CHECK_EQ(n, MNI_S3_TEXT_BYTES_MAX / sizeof block);
    CHECK_EQ(body.refused, MNI_S3_WRONG);
    end();
}

static void memory_that_is_short_ends_the_body(void)
{
    begin(MNI_S3_TO_MEMORY, "HTTP/1.1 200 OK|Content-Length: 9");
    mni_mem_fail_at(1);
    CHECK(!mni_s3_body_take(&body, "1234", 4));
    mni_mem_fail_at(0);
    CHECK_EQ(body.refused, MNI_S3_NO_MEMORY);
    begin(MNI_S3_TO_TEXT, "HTTP/1.1 200 OK");
    mni_mem_fail_at(1);
    CHECK(!mni_s3_body_take(&body, "1234", 4));
    mni_mem_fail_at(0);
    CHECK_EQ(body.refused, MNI_S3_NO_MEMORY);
    end();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(headers_are_read),
        CHECK_TEST(headers_that_make_no_sense_are_absent),
        CHECK_TEST(retry_after_may_be_a_time),
        CHECK_TEST(an_answer_for_the_time_being_is_forgotten),
        CHECK_TEST(an_object_goes_to_memory_of_its_size),
        CHECK_TEST(a_range_goes_where_it_belongs),
        CHECK_TEST(another_range_than_was_asked_for_is_refused),
        CHECK_TEST(of_a_whole_object_the_range_is_taken),
        CHECK_TEST(text_has_a_bound),
        CHECK_TEST(memory_that_is_short_ends_the_body),
    };
    return check_run("object.s3_reply", tests, CHECK_COUNT(tests), argc, argv);
}
