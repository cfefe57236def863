/* Tests of src/json/string.c: escapes resolved, and texts compared. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"

#define SPAN(literal) ((struct mn_slice){literal, sizeof(literal) - 1})

static struct mni_json_token token_of(struct mn_slice text)
{
    struct mni_json_scanner s;
    struct mni_json_token token;

    mni_json_scanner_init(&s, text, 1, NULL);
    CHECK_OK(mni_json_read_string(&s, &token));
    CHECK_OK(mni_json_finish(&s));
    return token;
}

static void escapes_become_their_characters(void)
{
    const struct {
        struct mn_slice json;
        struct mn_slice text;
    } cases[] = {
        {SPAN("\"\""), SPAN("")},
        {SPAN("\"plain\""), SPAN("plain")},
        {SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SPAN("\"\\/\b\f\n\r\t")},
        {SPAN("\"a\\u0000b\""), SPAN("a\0b")},
        {SPAN("\"\\u0041\\u00e9\\u20AC\""), SPAN("A\xC3\xA9\xE2\x82\xAC")},
        {SPAN("\"\\u007f\\u0080\\u07ff\\u0800\\uFFFF\""),
         SPAN("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF")},
        {SPAN("\"\\uD7FF\\uE000\""), SPAN("\xED\x9F\xBF\xEE\x80\x80")},
        {SPAN("\"\\uD800\\uDC00\\udbff\\udfff\""), SPAN("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
        {SPAN("\"x\\uD83D\\uDE00y\""), SPAN("x\xF0\x9F\x98\x80y")},
        {SPAN("\"\xC3\xA9\\n\xC3\xA9\""), SPAN("\xC3\xA9\n\xC3\xA9")},
    };
    struct mni_buf scratch = {0};

    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        struct mni_json_token token = token_of(cases[i].json);
        const struct mn_slice want = cases[i].text;
        unsigned char out[64];
        size_t n = 99;
        struct mn_slice text;
        CHECK_OK(mni_json_token_unescape(&token, out, want.n_bytes, &n));
        CHECK_EQ(n, want.n_bytes);
        CHECK_MEM_EQ(out, want.data, n);
        CHECK(n <= token.raw.n_bytes - 2);
        if (n > 0)
            CHECK_STATUS(mni_json_token_unescape(&token, out, n - 1, &n), MN_ERR_LIMIT);
        CHECK_OK(mni_json_token_text(&token, &scratch, &text));
        CHECK_EQ(text.n_bytes, want.n_bytes);
        CHECK_MEM_EQ(text.data, want.data, want.n_bytes);
        CHECK(token.has_escapes == (text.data == scratch.data && scratch.data != NULL));
        CHECK(mni_json_token_equals(&token, want));
    }
    mni_buf_done(&scratch);
}

static void texts_are_equal_only_as_a_whole(void)
{
    const struct mni_json_token plain = token_of(SPAN("\"abc\""));
    const struct mni_json_token escaped = token_of(SPAN("\"\\u0061b\\u0063\""));
    const struct mni_json_token nul = token_of(SPAN("\"a\\u0000\""));
    const char *const others[] = {"", "a", "ab", "abd", "abcd", "xbc", "\\u0061b\\u0063"};

    CHECK(mni_json_token_is(&plain, "abc"));
    CHECK(mni_json_token_is(&escaped, "abc"));
    for (size_t i = 0; i < CHECK_COUNT(others); i++) {
        CHECK(!mni_json_token_is(&plain, others[i]));
        CHECK(!mni_json_token_is(&escaped, others[i]));
    }
    CHECK(!mni_json_token_is(&nul, "a"));
    CHECK(mni_json_token_equals(&nul, SPAN("a\0")));
    CHECK(!mni_json_token_equals(&plain, (struct mn_slice){NULL, 0}));
}

static void keys_have_texts_too(void)
{
    struct mni_json_scanner s;
    struct mni_json_token key;

    mni_json_scanner_init(&s, SPAN("{\"\\u0069d\" : 1}"), 1, NULL);
    CHECK_OK(mni_json_enter_object(&s));
    CHECK_OK(mni_json_next_key(&s, &key));
    CHECK(key.has_escapes);
    CHECK(mni_json_token_is(&key, "id"));
}

/* Each kind of stop at each place of strings around the eight bytes that are looked at at once. */
static void strings_end_at_the_first_stop_whatever_surrounds_it(void)
{
    static const unsigned char fill[] = {'a', 0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F};

    for (size_t f = 0; f < sizeof fill; f++) {
        for (size_t n = 0; n <= 40; n++) {
            for (int stop = 0; stop < 4; stop++) {
                char *json = malloc(n + 4);
                struct mni_json_scanner s;
                CHECK(json != NULL);
                size_t i = 0;
                json[i++] = '"';
                memset(json + i, fill[f], n);
                i += n;
                if (stop == 1) {
                    json[i++] = '\\';
                    json[i++] = 'n';
                } else if (stop != 0) {
                    json[i++] = stop == 2 ? '\x1F' : '\x80';
                }
                json[i++] = '"';
                mni_json_scanner_init(&s, (struct mn_slice){json, i}, 1, NULL);
                mn_status st = mni_json_skip_value(&s, NULL);
                CHECK_STATUS(st, stop < 2 ? MN_OK : MN_ERR_INVALID);
                if (st != MN_OK)
                    CHECK_EQ(s.error_offset, n + 1);
                else
                    CHECK_OK(mni_json_finish(&s));
                free(json);
            }
        }
    }
}

static void long_strings_pass(void)
{
    const size_t n = (size_t)4 << 20;
    char *json = malloc(n);
    struct mni_buf scratch = {0};
    struct mn_slice text;

    CHECK(json != NULL);
    memset(json, 'x', n);
    json[0] = json[n - 1] = '"';
    struct mni_json_token token = token_of((struct mn_slice){json, n});
    CHECK_EQ(token.raw.n_bytes, n);
    for (size_t i = 1; i + 1 < n - 1; i += 2)
        memcpy(json + i, "\\t", 2);
    token = token_of((struct mn_slice){json, n});
    CHECK_OK(mni_json_token_text(&token, &scratch, &text));
    CHECK_EQ(text.n_bytes, n / 2 - 1);
    mni_buf_done(&scratch);
    free(json);
}

static void no_memory_for_the_text_is_an_error(void)
{
    struct mni_json_token token = token_of(SPAN("\"\\n\""));
    struct mni_buf scratch = {0};
    struct mn_slice text;

    mni_mem_fail_at(1);
    CHECK_STATUS(mni_json_token_text(&token, &scratch, &text), MN_ERR_NOMEM);
    mni_mem_fail_at(0);
    mni_buf_done(&scratch);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(escapes_become_their_characters),
        CHECK_TEST(texts_are_equal_only_as_a_whole),
        CHECK_TEST(keys_have_texts_too),
        CHECK_TEST(strings_end_at_the_first_stop_whatever_surrounds_it),
        CHECK_TEST(long_strings_pass),
        CHECK_TEST(no_memory_for_the_text_is_an_error),
    };

    return check_run("json.string", tests, CHECK_COUNT(tests), argc, argv);
}
