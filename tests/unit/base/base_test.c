/* Tests of the small pieces in src/base. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/status.h"
#include "base/utf8.h"

static void crc32c_matches_the_published_check_value(void)
{
    CHECK_EQ(mni_crc32c(0, "123456789", 9), 0xE3069283);
    CHECK_EQ(mni_crc32c(0, "", 0), 0);
    unsigned char zeroes[32] = {0}; /* RFC 3720, B.4 */
    CHECK_EQ(mni_crc32c(0, zeroes, sizeof zeroes), 0x8A9136AA);
}

static void crc32c_in_pieces_equals_the_whole(void)
{
    unsigned char data[300];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 + 1);
    uint32_t whole = mni_crc32c(0, data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        uint32_t first = mni_crc32c(0, data, cut);
        uint32_t second = mni_crc32c(0, data + cut, sizeof data - cut);
        CHECK_EQ(mni_crc32c(first, data + cut, sizeof data - cut), whole);
        CHECK_EQ(mni_crc32c_join(first, second, sizeof data - cut), whole);
    }
    /* Pieces that are longer than any memory, joined in both orders. */
    for (unsigned bit = 0; bit < 63; bit++) {
        uint64_t n = (UINT64_C(1) << bit) + 12345;
        CHECK_EQ(mni_crc32c_join(whole, mni_crc32c_join(~whole, 77, n), n + 300),
                 mni_crc32c_join(mni_crc32c_join(whole, ~whole, 300), 77, n));
    }
}

static void hash_of_pieces_is_the_hash_of_the_whole(void)
{
    unsigned char data[3000];
    unsigned char whole[MNI_HASH128_BYTES];
    unsigned char pieces[MNI_HASH128_BYTES];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t n = 0; n <= sizeof data; n += 1 + n / 3) {
        struct mni_hash128_stream *stream = NULL;
        CHECK_OK(mni_hash128_stream_new(&stream, NULL));
        for (size_t at = 0; at < n; at += 100)
            mni_hash128_stream_add(stream, data + at, n - at < 100 ? n - at : 100);
        mni_hash128(data, n, whole);
        mni_hash128_stream_tell(stream, pieces);
        mni_hash128_stream_free(stream);
        CHECK_MEM_EQ(pieces, whole, sizeof whole);
    }
}

static void hash_is_stable_over_versions(void)
{
    CHECK_EQ((int64_t)mni_hash("", 0, 0), (int64_t)UINT64_C(0x2D06800538D394C2));
    CHECK(mni_hash("a", 1, 0) != mni_hash("a", 1, 1));
}

static void integers_are_little_endian(void)
{
    unsigned char b[8];
    mni_put_u64(b, UINT64_C(0x0102030405060708));
    CHECK_MEM_EQ(b, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    CHECK_EQ(mni_get_u16(b), 0x0708);
    CHECK_EQ(mni_get_u32(b), 0x05060708);
    mni_put_i64(b, INT64_MIN);
    CHECK(mni_get_i64(b) == INT64_MIN);
}

static void utf8_accepts_the_borders_and_refuses_what_is_beyond(void)
{
    /* clang-format off */
    static const char *const good[] = {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
                                       "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF", "abcdefgh\xC3\xA9"};
    static const char *const bad[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF",
                                      "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80", "\xE2\x82", "abcdefgh\xFF"};
    /* clang-format on */
    for (size_t i = 0; i < CHECK_COUNT(good); i++)
        CHECK(mni_utf8_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        CHECK(!mni_utf8_is_valid(bad[i], strlen(bad[i])));
    CHECK(mni_utf8_is_valid("a\0b", 3));
    CHECK_EQ(mni_utf8_valid_prefix("abc\xFFxyz", 7), 3);
}

static void names_are_quoted_as_one_line_that_ends_in_time(void)
{
    static const struct {
        struct mn_slice name;
        const char *text;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{"a b", 3}, "\"a b\""},
        {{"a\0\n\x7F", 4}, "\"a\\x00\\x0A\\x7F\""},
        {{"\"\\", 2}, "\"\\\"\\\\\""},
        {{"n\xC3\xA9\xC2\x9B\xFF", 6}, "\"n\xC3\xA9\\xC2\\x9B\\xFF\""},
    };
    char text[MNI_QUOTED_NAME_BYTES];
    char many[2 * MNI_QUOTED_NAME_BYTES] = {0};

    for (size_t i = 0; i < CHECK_COUNT(cases); i++)
        CHECK_STR_EQ(mni_quote(cases[i].name, text, sizeof text), cases[i].text);
    for (size_t room = MNI_QUOTE_BYTES_MIN; room <= sizeof text; room++) {
        memset(text, 'x', sizeof text);
        (void)mni_quote((struct mn_slice){many, sizeof many}, text, room);
        size_t n = strlen(text);
        CHECK(n < room && n > 4);
        CHECK_STR_EQ(text + n - 4, "...\"");
        CHECK(room == sizeof text || text[room] == 'x');
    }
}

static void buffer_grows_and_keeps_its_bytes(void)
{
    struct mni_buf buf = {0};
    for (int i = 0; i < 1000; i++)
        CHECK_OK(mni_buf_append(&buf, "abc", 3));
    CHECK_EQ(buf.n_bytes, 3000);
    CHECK_MEM_EQ(buf.data + 2997, "abc", 3);
    CHECK_STATUS(mni_buf_reserve(&buf, SIZE_MAX - 10), MN_ERR_NOMEM);
    CHECK_EQ(buf.n_bytes, 3000);
    mni_buf_done(&buf);
}

static void allocation_can_be_made_to_fail(void)
{
    mni_mem_fail_at(2);
    void *first = mni_alloc(8);
    void *second = mni_alloc(8);
    void *third = mni_alloc(8);
    CHECK(first != NULL && second == NULL && third != NULL);
    CHECK(mni_mem_fail_was_hit());
    CHECK_EQ(mni_mem_calls(), 3);
    mni_mem_fail_at(0);
    mni_free(first);
    mni_free(third);
    CHECK(mni_alloc_array(SIZE_MAX / 2, 3) == NULL);
}

static void a_long_error_is_cut_at_a_character(void)
{
    struct mn_error err;
    char text[1200];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    CHECK_STATUS(mni_fail(&err, MN_ERR_INVALID, "x%s", text), MN_ERR_INVALID);
    CHECK(strlen(err.message) >= MN_ERROR_MESSAGE_BYTES - 4);
    CHECK(mni_utf8_is_valid(err.message, strlen(err.message)));
    CHECK_STATUS(mni_fail_os(&err, 28, "write"), MN_ERR_NO_SPACE);
    CHECK_EQ(err.os_errno, 28);
    mni_error_prefix(&err, "file %d", 7);
    CHECK_STR_HAS(err.message, "file 7: write: ");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(crc32c_matches_the_published_check_value),
        CHECK_TEST(crc32c_in_pieces_equals_the_whole),
        CHECK_TEST(hash_of_pieces_is_the_hash_of_the_whole),
        CHECK_TEST(hash_is_stable_over_versions),
        CHECK_TEST(integers_are_little_endian),
        CHECK_TEST(utf8_accepts_the_borders_and_refuses_what_is_beyond),
        CHECK_TEST(names_are_quoted_as_one_line_that_ends_in_time),
        CHECK_TEST(buffer_grows_and_keeps_its_bytes),
        CHECK_TEST(allocation_can_be_made_to_fail),
        CHECK_TEST(a_long_error_is_cut_at_a_character),
    };
    return check_run("base", tests, CHECK_COUNT(tests), argc, argv);
}
