/* Tests of src/json/writer.c: what is written, and that it scans back to the same. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"

#define SPAN(literal) ((struct mn_slice){literal, sizeof(literal) - 1})

static void write_everything(struct mni_json_writer *w)
{
    static const float floats[] = {1.0F, -0.5F, 1e-9F};

    mni_json_write_object_begin(w);
    mni_json_write_key(w, "u");
    mni_json_write_u64(w, UINT64_MAX);
    mni_json_write_key(w, "i");
    mni_json_write_i64(w, INT64_MIN);
    mni_json_write_key_slice(w, SPAN("n\0l"));
    mni_json_write_null(w);
    mni_json_write_key(w, "list");
    mni_json_write_array_begin(w);
    mni_json_write_bool(w, true);
    mni_json_write_bool(w, false);
    mni_json_write_array_begin(w);
    mni_json_write_array_end(w);
    mni_json_write_object_begin(w);
    mni_json_write_object_end(w);
    mni_json_write_i64(w, 0);
    mni_json_write_u64_string(w, 18446744073709551615U);
    mni_json_write_array_end(w);
    mni_json_write_key(w, "f");
    mni_json_write_floats(w, floats, 3);
    mni_json_write_key(w, "d");
    mni_json_write_double(w, 0.1);
    mni_json_write_key(w, "raw");
    mni_json_write_raw(w, SPAN("{ \"x\" : 1.0 }"));
    mni_json_write_key(w, "b");
    mni_json_write_base64(w, SPAN("foob"));
    mni_json_write_key(w, "s");
    mni_json_write_string(w, SPAN("\"\\/\b\f\n\r\t\0\x1F\x7F\xC3\xA9"));
    mni_json_write_key(w, "");
    mni_json_write_string(w, (struct mn_slice){NULL, 0});
    mni_json_write_object_end(w);
}

static const char everything[] =
    "{\"u\":18446744073709551615,\"i\":-9223372036854775808,\"n\\u0000l\":null,"
    "\"list\":[true,false,[],{},0,\"18446744073709551615\"],\"f\":[1,-0.5,1e-9],\"d\":0.1,"
    "\"raw\":{ \"x\" : 1.0 },\"b\":\"Zm9vYg==\","
    "\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7F\xC3\xA9\",\"\":\"\"}";

static void commas_and_escapes_come_by_themselves(void)
{
    struct mni_buf buf = {0};
    struct mni_json_writer w;

    mni_json_writer_init(&w, &buf);
    write_everything(&w);
    CHECK_OK(mni_json_writer_finish(&w, NULL));
    CHECK_OK(mni_buf_append(&buf, "", 1));
    CHECK_STR_EQ((const char *)buf.data, everything);
    CHECK_OK(mni_json_check_object(SPAN(everything), 8, NULL, NULL));
    mni_buf_done(&buf);
}

static void a_writer_appends_to_what_is_there(void)
{
    struct mni_buf buf = {0};
    struct mni_json_writer w;

    for (int i = 0; i < 3; i++) {
        mni_json_writer_init(&w, &buf);
        mni_json_write_i64(&w, i - 1);
        CHECK_OK(mni_json_writer_finish(&w, NULL));
        CHECK_OK(mni_buf_append(&buf, "\n", 1));
    }
    CHECK_EQ(buf.n_bytes, 7);
    CHECK_MEM_EQ(buf.data, "-1\n0\n1\n", 7);
    mni_buf_done(&buf);
}

static void every_allocation_may_fail_and_nothing_stays(void)
{
    mn_status st;
    uint64_t call = 0;

    do {
        struct mni_buf buf = {0};
        struct mni_json_writer w;
        struct mn_error err = {0};
        CHECK_OK(mni_buf_append(&buf, "before", 6));
        mni_mem_fail_at(++call);
        mni_json_writer_init(&w, &buf);
        mni_json_write_array_begin(&w);
        for (int i = 0; i < 20; i++)
            write_everything(&w);
        mni_json_write_array_end(&w);
        st = mni_json_writer_finish(&w, &err);
        mni_mem_fail_at(0);
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        CHECK_EQ(buf.n_bytes, st == MN_OK ? 6 + 21 + 20 * strlen(everything) : 6);
        CHECK_MEM_EQ(buf.data, "before", 6);
        if (st != MN_OK)
            CHECK_STR_HAS(err.message, "memory");
        mni_buf_done(&buf);
    } while (st != MN_OK);
    CHECK(call > 4);
}

static void what_json_cannot_hold_is_refused_and_nothing_stays(void)
{
    static const float bad_floats[] = {NAN, INFINITY, -INFINITY};
    const struct mn_slice bad_texts[] = {SPAN("\xFF"), SPAN("abcdefgh\xED\xA0\x80"),
                                         SPAN("\"\xC3")};
    struct mni_buf buf = {0};
    struct mni_json_writer w;
    struct mn_error err;

    CHECK_OK(mni_buf_append(&buf, "before", 6));
    for (int i = 0; i < 9; i++) {
        mni_json_writer_init(&w, &buf);
        mni_json_write_array_begin(&w);
        if (i < 3)
            mni_json_write_floats(&w, &bad_floats[i], 1);
        else if (i < 6)
            mni_json_write_double(&w, (double)bad_floats[i - 3]);
        else
            mni_json_write_string(&w, bad_texts[i - 6]);
        mni_json_write_string(&w, SPAN("more"));
        mni_json_write_array_end(&w);
        CHECK_STATUS(mni_json_writer_finish(&w, &err), MN_ERR_INVALID);
        CHECK_STR_HAS(err.message, i < 6 ? "NaN" : "UTF-8");
        CHECK_EQ(buf.n_bytes, 6);
    }
    CHECK(!mni_json_floats_are_finite(bad_floats, 1));
    CHECK(!mni_json_floats_are_finite(bad_floats + 2, 1));
    CHECK(mni_json_floats_are_finite((const float[]){0, 1e38F, -1e-45F}, 3));
    CHECK(mni_json_floats_are_finite(NULL, 0));
    mni_buf_done(&buf);
}

static void containers_nest_to_the_limit(void)
{
    struct mni_buf buf = {0};
    struct mni_json_writer w;

    mni_json_writer_init(&w, &buf);
    for (int i = 0; i < MNI_JSON_DEPTH_MAX; i++) {
        if (i % 3 == 0) {
            mni_json_write_object_begin(&w);
            mni_json_write_key(&w, "k");
        } else {
            mni_json_write_array_begin(&w);
        }
    }
    mni_json_write_null(&w);
    for (int i = MNI_JSON_DEPTH_MAX; i-- > 0;) {
        if (i % 3 == 0)
            mni_json_write_object_end(&w);
        else
            mni_json_write_array_end(&w);
    }
    CHECK_OK(mni_json_writer_finish(&w, NULL));
    CHECK_OK(mni_json_check_object((struct mn_slice){buf.data, buf.n_bytes}, MNI_JSON_DEPTH_MAX,
                                   NULL, NULL));
    mni_buf_done(&buf);
}

/* Values drawn from a seed: the same seed writes them and expects them. */

static size_t random_text(uint64_t *seed, char out[64])
{
    static const char *const parts[] = {
        "a",    "\"", "\\", "\n",   "\xC3\xA9",    "\xF0\x9F\x98\x80",
        "\x01", " ",  "/",  "\x7F", "\xE2\x80\xA8"};
    size_t n = 0;

    for (uint64_t i = check_below(seed, 12); i > 0; i--) {
        uint64_t pick = check_below(seed, CHECK_COUNT(parts) + 1);
        if (pick == CHECK_COUNT(parts)) {
            out[n++] = '\0';
            continue;
        }
        memcpy(out + n, parts[pick], strlen(parts[pick]));
        n += strlen(parts[pick]);
    }
    return n;
}

static float random_float(uint64_t *seed)
{
    uint32_t bits = (uint32_t)check_below(seed, 0x7F800000) | (uint32_t)check_below(seed, 2) << 31;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static void write_random(struct mni_json_writer *w, uint64_t *seed, int depth)
{
    char text[64];
    uint64_t kind = check_below(seed, depth > 0 ? 9 : 7);

    switch (kind) {
    case 0:
        mni_json_write_null(w);
        break;
    case 1:
        mni_json_write_bool(w, check_below(seed, 2) == 1);
        break;
    case 2:
        mni_json_write_u64(w, check_random(seed) >> check_below(seed, 64));
        break;
    case 3:
        mni_json_write_i64(w, (int64_t)check_random(seed) >> check_below(seed, 64));
        break;
    case 4:
        mni_json_write_float(w, random_float(seed));
        break;
    case 5:
        mni_json_write_double(w, (double)(int64_t)check_random(seed) / 1e9);
        break;
    case 6:
        mni_json_write_string(w, (struct mn_slice){text, random_text(seed, text)});
        break;
    default:
        kind == 7 ? mni_json_write_array_begin(w) : mni_json_write_object_begin(w);
        for (uint64_t n = check_below(seed, 5); n > 0; n--) {
            if (kind == 8)
                mni_json_write_key_slice(w, (struct mn_slice){text, random_text(seed, text)});
            write_random(w, seed, depth - 1);
        }
        kind == 7 ? mni_json_write_array_end(w) : mni_json_write_object_end(w);
        break;
    }
}

static void expect_random(struct mni_json_scanner *s, uint64_t *seed, int depth);

static void expect_random_container(struct mni_json_scanner *s, uint64_t *seed, int depth,
                                    bool is_object)
{
    struct mni_json_token token;
    char text[64];

    CHECK_OK(is_object ? mni_json_enter_object(s) : mni_json_enter_array(s));
    for (uint64_t n = check_below(seed, 5); n > 0; n--) {
        CHECK_OK(is_object ? mni_json_next_key(s, &token) : mni_json_next_item(s));
        if (is_object)
            CHECK(mni_json_token_equals(&token, (struct mn_slice){text, random_text(seed, text)}));
        expect_random(s, seed, depth - 1);
    }
    CHECK_STATUS(is_object ? mni_json_next_key(s, &token) : mni_json_next_item(s), MN_END);
}

static void expect_random(struct mni_json_scanner *s, uint64_t *seed, int depth)
{
    char text[64];
    uint64_t kind = check_below(seed, depth > 0 ? 9 : 7);
    struct mni_json_token token;
    bool b = false;
    uint64_t u = 0;
    int64_t i = 0;
    float f = 0;
    double d = 0;

    switch (kind) {
    case 0:
        CHECK_OK(mni_json_read_null(s));
        break;
    case 1:
        CHECK_OK(mni_json_read_bool(s, &b));
        CHECK_EQ(b, check_below(seed, 2) == 1);
        break;
    case 2:
        CHECK_OK(mni_json_read_u64(s, &u));
        CHECK(u == check_random(seed) >> check_below(seed, 64));
        break;
    case 3:
        CHECK_OK(mni_json_read_i64(s, &i));
        CHECK(i == (int64_t)check_random(seed) >> check_below(seed, 64));
        break;
    case 4:
        CHECK_OK(mni_json_read_float(s, &f));
        CHECK_MEM_EQ(&f, &(float){random_float(seed)}, sizeof f);
        break;
    case 5:
        CHECK_OK(mni_json_read_double(s, &d));
        CHECK(d == (double)(int64_t)check_random(seed) / 1e9);
        break;
    case 6:
        CHECK_OK(mni_json_read_string(s, &token));
        CHECK(mni_json_token_equals(&token, (struct mn_slice){text, random_text(seed, text)}));
        break;
    default:
        expect_random_container(s, seed, depth, kind == 8);
        break;
    }
}

static void whatever_is_written_scans_back_to_the_same(void)
{
    uint64_t seed = check_seed();
    struct mni_buf buf = {0};

    for (int round = 0; round < 20000; round++) {
        struct mni_json_writer w;
        struct mni_json_scanner s;
        uint64_t expected_seed = seed;
        mni_buf_reset(&buf);
        mni_json_writer_init(&w, &buf);
        write_random(&w, &seed, 6);
        CHECK_OK(mni_json_writer_finish(&w, NULL));
        mni_json_scanner_init(&s, (struct mn_slice){buf.data, buf.n_bytes}, 6, NULL);
        expect_random(&s, &expected_seed, 6);
        CHECK_OK(mni_json_finish(&s));
        CHECK(expected_seed == seed);
    }
    mni_buf_done(&buf);
}

static void vectors_come_back_bit_for_bit(void)
{
    uint64_t seed = check_seed();
    struct mni_buf buf = {0};

    for (int round = 0; round < 100; round++) {
        float values[1000];
        float back[1000];
        size_t n = check_below(&seed, 1001);
        size_t n_back = 0;
        struct mni_json_writer w;
        struct mni_json_scanner s;
        for (size_t i = 0; i < n; i++)
            values[i] = random_float(&seed);
        mni_buf_reset(&buf);
        mni_json_writer_init(&w, &buf);
        mni_json_write_floats(&w, values, n);
        CHECK_OK(mni_json_writer_finish(&w, NULL));
        mni_json_scanner_init(&s, (struct mn_slice){buf.data, buf.n_bytes}, 1, NULL);
        CHECK_OK(mni_json_read_floats(&s, back, n, &n_back));
        CHECK_OK(mni_json_finish(&s));
        CHECK_EQ(n_back, n);
        CHECK_MEM_EQ(back, values, n * sizeof *values);
    }
    mni_buf_done(&buf);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(commas_and_escapes_come_by_themselves),
        CHECK_TEST(a_writer_appends_to_what_is_there),
        CHECK_TEST(every_allocation_may_fail_and_nothing_stays),
        CHECK_TEST(what_json_cannot_hold_is_refused_and_nothing_stays),
        CHECK_TEST(containers_nest_to_the_limit),
        CHECK_TEST(whatever_is_written_scans_back_to_the_same),
        CHECK_TEST(vectors_come_back_bit_for_bit),
    };

    return check_run("json.writer", tests, CHECK_COUNT(tests), argc, argv);
}
