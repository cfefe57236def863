/* Tests of src/json/object.c: objects checked whole, and walked by known fields. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"

#define SPAN(literal) ((struct mn_slice){literal, sizeof(literal) - 1})

static void an_object_and_nothing_else_is_an_object(void)
{
    const struct mn_slice good[] = {SPAN("{}"), SPAN(" {\"a\":[1,{}]}\r\n"),
                                    SPAN("{\"a\":1,\"a\":1}")};
    const struct {
        struct mn_slice text;
        size_t offset;
    } bad[] = {
        {SPAN(""), 0},      {SPAN("[]"), 0},      {SPAN("  null"), 2},    {SPAN("\"{}\""), 0},
        {SPAN("{} {}"), 3}, {SPAN("{\"a\"}"), 4}, {SPAN("{\"a\":x}"), 5}, {SPAN("x"), 0},
    };
    struct mn_error err;
    size_t offset = 99;

    for (size_t i = 0; i < CHECK_COUNT(good); i++)
        CHECK_OK_ERR(mni_json_check_object(good[i], 3, &offset, &err), &err);
    CHECK_EQ(offset, 99);
    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        CHECK_STATUS(mni_json_check_object(bad[i].text, 3, &offset, &err), MN_ERR_INVALID);
        CHECK_EQ(offset, bad[i].offset);
        CHECK_STATUS(err.status, MN_ERR_INVALID);
        CHECK_STATUS(mni_json_check_object(bad[i].text, 3, NULL, NULL), MN_ERR_INVALID);
    }
    CHECK_STATUS(mni_json_check_object(SPAN("{\"a\":[{}]}"), 2, &offset, &err), MN_ERR_LIMIT);
    CHECK_EQ(offset, 6);
}

static void metadata_may_nest_to_its_limit(void)
{
    char text[512] = "";
    size_t n = 0;

    for (int i = 0; i < MN_METADATA_DEPTH_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "{\"\":");
    text[n++] = '1';
    memset(text + n, '}', MN_METADATA_DEPTH_MAX);
    n += MN_METADATA_DEPTH_MAX;
    struct mn_slice whole = {text, n};
    CHECK_OK(mni_json_check_object(whole, MN_METADATA_DEPTH_MAX, NULL, NULL));
    CHECK_STATUS(mni_json_check_object(whole, MN_METADATA_DEPTH_MAX - 1, NULL, NULL), MN_ERR_LIMIT);
}

static void a_key_that_comes_twice_is_found_and_named(void)
{
    struct mn_error err;

    CHECK_OK(mni_json_check_unique_keys(SPAN("{}"), NULL));
    CHECK_OK(mni_json_check_unique_keys(SPAN("{\"a\":1}"), NULL));
    CHECK_OK(mni_json_check_unique_keys(SPAN("{\"a\":{\"b\":1},\"b\":{\"a\":1},\"\":0}"), NULL));
    CHECK_OK(mni_json_check_unique_keys(SPAN("{\"a\":1,\"a\\u0000\":1,\"A\":1,\"aa\":1}"), NULL));
    CHECK_STATUS(mni_json_check_unique_keys(SPAN("{\"a\":1,\"b\":2,\"\\u0061\":3}"), &err),
                 MN_ERR_INVALID);
    CHECK_STR_EQ(err.message, "the key \"\\u0061\" comes twice, again at byte 13");
    CHECK_STATUS(mni_json_check_unique_keys(SPAN("{\"\":1,\"x\":0,\"\":2}"), &err), MN_ERR_INVALID);
    CHECK_STATUS(mni_json_check_unique_keys(SPAN("{\"\\n\":1,\"\\u000a\":2}"), NULL),
                 MN_ERR_INVALID);
    CHECK_STATUS(mni_json_check_unique_keys(SPAN("[]"), &err), MN_ERR_INVALID);
    CHECK_STATUS(mni_json_check_unique_keys(SPAN("{\"a\":1,}"), NULL), MN_ERR_INVALID);
}

static void many_keys_are_compared_in_reasonable_time(void)
{
    enum { KEYS = 50000 };
    struct mni_buf buf = {0};
    struct mni_json_writer w;
    char key[16];

    mni_json_writer_init(&w, &buf);
    mni_json_write_object_begin(&w);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof key, "%d\n", i);
        mni_json_write_key(&w, key);
        mni_json_write_null(&w);
    }
    mni_json_write_object_end(&w);
    CHECK_OK(mni_json_writer_finish(&w, NULL));
    CHECK_OK(mni_json_check_unique_keys((struct mn_slice){buf.data, buf.n_bytes}, NULL));
    buf.n_bytes--;
    CHECK_OK(mni_buf_append(&buf, ",\"17\\n\":1}", 10));
    CHECK_STATUS(mni_json_check_unique_keys((struct mn_slice){buf.data, buf.n_bytes}, NULL),
                 MN_ERR_INVALID);
    mni_buf_done(&buf);
}

static void every_allocation_of_the_key_check_may_fail(void)
{
    uint64_t live = mni_mem_live_blocks();
    mn_status st;
    uint64_t call = 0;

    do {
        struct mn_error err;
        mni_mem_fail_at(++call);
        st = mni_json_check_unique_keys(SPAN("{\"a\":1,\"\\n\":2}"), &err);
        CHECK(st == MN_OK || (st == MN_ERR_NOMEM && mni_mem_fail_was_hit()));
        CHECK_EQ(mni_mem_live_blocks(), live);
    } while (st != MN_OK);
    mni_mem_fail_at(0);
    CHECK(call > 1);
}

static void known_fields_come_once_in_any_order(void)
{
    static const char *const names[] = {"id", "vector", "payload"};
    struct mni_json_fields fields = {.names = names, .n_names = CHECK_COUNT(names)};
    struct mni_json_scanner s;
    struct mni_json_token key;
    struct mn_error err = {0};
    size_t field = 0;
    static const size_t expected[] = {1, 3, 0, 3};

    mni_json_scanner_init(&s, SPAN("{\"vector\":1,\"x\":2,\"\\u0069d\":3,\"x\":4,\"id\":5}"), 1,
                          &err);
    CHECK_OK(mni_json_enter_object(&s));
    for (size_t i = 0; i < CHECK_COUNT(expected); i++) {
        CHECK_OK(mni_json_next_field(&s, &fields, &field, &key));
        CHECK_EQ(field, expected[i]);
        CHECK_EQ(mni_json_token_is(&key, "x"), field == 3);
        CHECK_OK(mni_json_skip_value(&s, NULL));
    }
    CHECK_EQ(fields.seen, 3);
    CHECK_STATUS(mni_json_next_field(&s, &fields, &field, &key), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "\"id\" comes twice");
    CHECK_STATUS(mni_json_skip_value(&s, NULL), MN_ERR_INVALID);

    fields.seen = 0;
    mni_json_scanner_init(&s, SPAN("{\"id\":1}"), 1, NULL);
    CHECK_OK(mni_json_enter_object(&s));
    CHECK_OK(mni_json_next_field(&s, &fields, &field, &key));
    CHECK_OK(mni_json_skip_value(&s, NULL));
    CHECK_STATUS(mni_json_next_field(&s, &fields, &field, &key), MN_END);
    CHECK_OK(mni_json_finish(&s));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(an_object_and_nothing_else_is_an_object),
        CHECK_TEST(metadata_may_nest_to_its_limit),
        CHECK_TEST(a_key_that_comes_twice_is_found_and_named),
        CHECK_TEST(many_keys_are_compared_in_reasonable_time),
        CHECK_TEST(every_allocation_of_the_key_check_may_fail),
        CHECK_TEST(known_fields_come_once_in_any_order),
    };

    return check_run("json.object", tests, CHECK_COUNT(tests), argc, argv);
}
