/* Tests of src/json/scanner.c: what is JSON and what is not, and the ways to walk through it. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

#define SPAN(literal) ((struct mn_slice){literal, sizeof(literal) - 1})

/* Walks through all tokens. */
static mn_status walk(struct mn_slice text, unsigned depth_max, struct mn_error *err)
{
    struct mni_json_scanner s;
    struct mni_json_token token;
    mn_status st;

    mni_json_scanner_init(&s, text, depth_max, err);
    do
        st = mni_json_next(&s, &token);
    while (st == MN_OK);
    CHECK_STATUS(mni_json_next(&s, &token), st);
    return st == MN_END ? MN_OK : st;
}

/* Steps over the value in one call. */
static mn_status skip(struct mn_slice text, unsigned depth_max)
{
    struct mni_json_scanner s;

    mni_json_scanner_init(&s, text, depth_max, NULL);
    mn_status st = mni_json_skip_value(&s, NULL);
    return st == MN_OK ? mni_json_finish(&s) : st;
}

static void check_accepted(struct mn_slice text)
{
    struct mn_error err = {0};
    mn_status st = walk(text, 64, &err);

    if (st != MN_OK)
        (void)fprintf(stderr, "refused: %.*s\n", (int)text.n_bytes, (const char *)text.data);
    CHECK_OK_ERR(st, &err);
    CHECK_OK(skip(text, 64));
}

static void check_refused(struct mn_slice text)
{
    mn_status st = walk(text, 64, NULL);

    if (st == MN_OK)
        (void)fprintf(stderr, "accepted: %.*s\n", (int)text.n_bytes,
                      text.data == NULL ? "" : (const char *)text.data);
    CHECK_STATUS(st, MN_ERR_INVALID);
    CHECK_STATUS(skip(text, 64), MN_ERR_INVALID);
}

static void what_the_grammar_derives_is_accepted(void)
{
    /* clang-format off */
    const struct mn_slice good[] = {
        SPAN("[]"), SPAN("{}"), SPAN(" [ ] "), SPAN("\t{\r\n}\n"), SPAN("null"), SPAN("true"),
        SPAN("false"), SPAN("\"\""), SPAN("0"), SPAN("-0"), SPAN("-1"), SPAN("10"), SPAN("0.0"),
        SPAN("0e0"), SPAN("-0e-0"), SPAN("1E+2"), SPAN("1e02"), SPAN("1.5e-300"), SPAN("1e999999"),
        SPAN("-1.25"), SPAN("123456789012345678901234567890"), SPAN("0.00000000000000000000001"),
        SPAN("[1]"), SPAN("[1,2]"), SPAN("[[],[[]],{}]"), SPAN("[null,true,false,\"x\",0]"),
        SPAN("{\"a\":1}"), SPAN("{\"a\":{\"b\":[{}]},\"c\":[]}"), SPAN("{\"\":0}"),
        SPAN("{\"a\":1,\"a\":2}"), SPAN("{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }"),
        SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SPAN("\"\\u0000\""), SPAN("\"\\uD83D\\uDE00\""),
        SPAN("\"\\ud834\\udd1e\""), SPAN("\"\\uFFFF\""), SPAN("\"\\uDBFF\\uDFFF\""),
        SPAN("\"\x7F\""), SPAN("\"\xC3\xA9\""), SPAN("\"\xE2\x82\xAC\""),
        SPAN("\"\xF0\x9F\x98\x80\""), SPAN("\"\xEF\xBB\xBF\""), SPAN("\"\xEF\xBF\xBF\""),
        SPAN("\"\xF4\x8F\xBF\xBF\""), SPAN("\"\xE2\x80\xA8\""), SPAN("\"//\""), SPAN("\"/*\""),
        SPAN("\"'\""), SPAN("\"a long string without anything special in it at all\""),
    };
    /* clang-format on */

    for (size_t i = 0; i < CHECK_COUNT(good); i++)
        check_accepted(good[i]);
}

static void what_the_grammar_does_not_derive_is_refused(void)
{
    /* clang-format off */
    const struct mn_slice bad[] = {
        /* nothing, or too much */
        SPAN(""), SPAN(" "), SPAN("\n"), SPAN("1 2"), SPAN("[]]"), SPAN("{}}"), SPAN("[][]"),
        SPAN("{}x"), SPAN("nullx"), SPAN("null null"), SPAN("[],"), SPAN("\"a\"\"b\""),
        SPAN("\0"), SPAN("[]\0"), SPAN("\xEF\xBB\xBF{}"), SPAN("\xFE\xFF"), SPAN("{}\xA0"),
        SPAN("\xC2\xA0{}"), SPAN("\f[]"), SPAN("\v[]"), SPAN("[]\f"),
        /* arrays */
        SPAN("["), SPAN("]"), SPAN("[1"), SPAN("[1,"), SPAN("[1,]"), SPAN("[,]"), SPAN("[,1]"),
        SPAN("[1,,2]"), SPAN("[1 2]"), SPAN("[1;2]"), SPAN("[1:2]"), SPAN("[1}"), SPAN("[\"a\""),
        SPAN("[\"a\":1]"), SPAN("[{]"), SPAN("[[]"), SPAN("[]["), SPAN("[*]"), SPAN("[...]"),
        /* objects */
        SPAN("{"), SPAN("}"), SPAN("{]"), SPAN("{\"a\""), SPAN("{\"a\":"), SPAN("{\"a\":1"),
        SPAN("{\"a\":1,"), SPAN("{\"a\":1,}"), SPAN("{,}"), SPAN("{,\"a\":1}"), SPAN("{\"a\"}"),
        SPAN("{\"a\",1}"), SPAN("{\"a\":}"), SPAN("{\"a\":1 \"b\":2}"), SPAN("{\"a\":1,,\"b\":2}"),
        SPAN("{a:1}"), SPAN("{'a':1}"), SPAN("{1:1}"), SPAN("{null:1}"), SPAN("{[]:1}"),
        SPAN("{\"a\"::1}"), SPAN("{\"a\" 1}"), SPAN("{\"a\"=1}"), SPAN("{\"a\":1]"), SPAN("{{}}"),
        SPAN("{\"a\":1:2}"), SPAN("{:1}"), SPAN("{\"a\":\"b\":\"c\"}"),
        /* words */
        SPAN("n"), SPAN("nul"), SPAN("nulll"), SPAN("Null"), SPAN("NULL"), SPAN("tru"),
        SPAN("True"), SPAN("TRUE"), SPAN("fals"), SPAN("falsy"), SPAN("undefined"), SPAN("yes"),
        SPAN("NaN"), SPAN("nan"), SPAN("Infinity"), SPAN("-Infinity"), SPAN("inf"), SPAN("-inf"),
        SPAN("[tru]"), SPAN("[nul,1]"), SPAN("t"), SPAN("f"), SPAN("true1"), SPAN("truefalse"),
        /* numbers */
        SPAN("-"), SPAN("+"), SPAN("+1"), SPAN("--1"), SPAN("-+1"), SPAN("00"), SPAN("01"),
        SPAN("-01"), SPAN("-00"), SPAN("012"), SPAN("."), SPAN(".5"), SPAN("-.5"), SPAN("1."),
        SPAN("0."), SPAN("1.e5"), SPAN("1.5."), SPAN("1..5"), SPAN("1e"), SPAN("1E"), SPAN("1e+"),
        SPAN("1e-"), SPAN("1e+-1"), SPAN("1e1.5"), SPAN("1ee1"), SPAN("e1"), SPAN("1e1e1"),
        SPAN("0x10"), SPAN("0x"), SPAN("0b1"), SPAN("1_000"), SPAN("1,000"), SPAN("1 000"),
        SPAN("1a"), SPAN("- 1"), SPAN("1f"), SPAN("1.0f"), SPAN("1L"), SPAN("12345678x"),
        SPAN("123456789."), SPAN("[1.]"), SPAN("[-]"), SPAN("[01]"), SPAN("[1e]"), SPAN("[.5]"),
        SPAN("\xEF\xBC\x91"), SPAN("1\0"), SPAN("0000000000"), SPAN("000000001"),
        /* comments */
        SPAN("[] // x"), SPAN("/* */[]"), SPAN("[/**/]"), SPAN("# x\n[]"), SPAN("[1 // x\n]"),
    };
    /* clang-format on */

    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        check_refused(bad[i]);
}

static void strings_that_the_grammar_does_not_derive_are_refused(void)
{
    /* clang-format off */
    const struct mn_slice bad[] = {
        SPAN("\""), SPAN("\"a"), SPAN("'a'"), SPAN("a"), SPAN("\"a\\"), SPAN("\"\\\""),
        SPAN("\"\\x41\""), SPAN("\"\\a\""), SPAN("\"\\0\""), SPAN("\"\\'\""), SPAN("\"\\N\""),
        SPAN("\"\\\0\""), SPAN("\"\\\xC3\xA9\""), SPAN("\"\\U0041\""), SPAN("\"\\ \""),
        SPAN("\"\\u\""), SPAN("\"\\u0\""), SPAN("\"\\u00\""), SPAN("\"\\u004\""),
        SPAN("\"\\u004G\""), SPAN("\"\\u-041\""), SPAN("\"\\u 041\""), SPAN("\"\\u+041\""),
        SPAN("\"\\u0x41\""), SPAN("\"\\uD800\""), SPAN("\"\\uDC00\""), SPAN("\"\\uDFFF\""),
        SPAN("\"\\uDBFFx\""), SPAN("\"\\uD800\\n\""), SPAN("\"\\uD800\\u0041\""),
        SPAN("\"\\uD800\\uD800\""), SPAN("\"\\uDC00\\uD800\""), SPAN("\"\\uD800\\uDC0\""),
        SPAN("\"\\uD800\\uE000\""), SPAN("\"\\uD800\\"), SPAN("\"\\uD800\\u"), SPAN("\"\\uD8"),
        SPAN("\"\\uD800\\UDC00\""), SPAN("\"\\uD83D\xED\xB8\x80\""), SPAN("\"\n\""),
        SPAN("\"\t\""), SPAN("\"\0\""), SPAN("\"\x1F\""), SPAN("\"\r\""), SPAN("\"abcdefgh\x01\""),
        SPAN("\"\\\n\""), SPAN("\"\x80\""), SPAN("\"\xBF\""), SPAN("\"\xC0\x80\""),
        SPAN("\"\xC1\xBF\""), SPAN("\"\xC3\""), SPAN("\"\xE0\x80\x80\""), SPAN("\"\xE2\x82\""),
        SPAN("\"\xED\xA0\x80\""), SPAN("\"\xED\xBF\xBF\""), SPAN("\"\xF0\x80\x80\x80\""),
        SPAN("\"\xF4\x90\x80\x80\""), SPAN("\"\xF5\x80\x80\x80\""), SPAN("\"\xFF\""),
        SPAN("\"\xFE\""), SPAN("\"abcdefghijkl\xE9\""), SPAN("\"\xF0\x9F\x98\""),
        SPAN("{\"\xFF\":1}"), SPAN("{\"\\x\":1}"), SPAN("{\"\n\":1}"), SPAN("\"\xC3\\u00A9\""),
        SPAN("\"\xF8\x88\x80\x80\x80\""), SPAN("[\"\xC3\"]"), SPAN("\xC3\xA9"),
    };
    /* clang-format on */

    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        check_refused(bad[i]);
}

static void every_proper_prefix_of_a_closed_text_is_refused(void)
{
    static const char text[] = "{\"a\\n\\uD83D\\uDE00\xC3\xA9\":[1.5e+3,-0.25,true,false,null,{}],"
                               "\"b\":\"some longer text without any end in sight\",\"c\":[[]]}";

    check_accepted(SPAN(text));
    for (size_t n = 0; n < sizeof text - 1; n++) {
        /* A copy of its own, so that a sanitizer sees a read past the end. */
        char *copy = malloc(n == 0 ? 1 : n);
        CHECK(copy != NULL);
        memcpy(copy, text, n);
        check_refused((struct mn_slice){copy, n});
        free(copy);
    }
}

static void only_an_empty_slice_may_be_null(void)
{
    check_refused((struct mn_slice){NULL, 0});
}

static void errors_say_what_and_where(void)
{
    const struct {
        struct mn_slice text;
        size_t offset;
        const char *problem;
    } cases[] = {
        {SPAN(""), 0, "expected a value"},
        {SPAN("[1 2]"), 3, "expected ',' or ']'"},
        {SPAN("{\"a\":1 2}"), 7, "expected ',' or '}'"},
        {SPAN("{\"a\" 1}"), 5, "expected ':'"},
        {SPAN("{1}"), 1, "expected a key in quotes"},
        {SPAN("{\"a\":1,}"), 7, "expected a key in quotes"},
        {SPAN("[1,]"), 3, "expected a value"},
        {SPAN("["), 1, "expected a value or ']'"},
        {SPAN("{"), 1, "expected a key or '}'"},
        {SPAN("[] x"), 3, "expected the end of the text"},
        {SPAN("[01]"), 1, "a number does not begin with 0"},
        {SPAN("[1.]"), 3, "expected a digit after '.'"},
        {SPAN("[1e]"), 3, "expected a digit of the exponent"},
        {SPAN("-x"), 1, "expected a digit"},
        {SPAN("\"abc"), 4, "expected '\"' at the end of a string"},
        {SPAN("\"ab\ncd\""), 3, "a control character must be escaped"},
        {SPAN("\"ab\\xcd\""), 3, "no such escape"},
        {SPAN("\"ab\\u12x4\""), 5, "expected four hexadecimal digits after '\\u'"},
        {SPAN("\"ab\\uD800\""), 3, "a surrogate without its other half"},
        {SPAN("\"ab\xC3\xA9\xFF\""), 5, "not UTF-8"},
        {SPAN("[tru]"), 1, "expected a value"},
    };

    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        struct mni_json_scanner s;
        struct mni_json_token token;
        struct mn_error err = {0};
        char message[128];
        mni_json_scanner_init(&s, cases[i].text, 64, &err);
        while (mni_json_next(&s, &token) == MN_OK)
            continue;
        CHECK_STATUS(s.status, MN_ERR_INVALID);
        CHECK_STR_EQ(s.problem, cases[i].problem);
        CHECK_EQ(s.error_offset, cases[i].offset);
        (void)snprintf(message, sizeof message, "%s at byte %zu", s.problem, s.error_offset);
        CHECK_STR_EQ(err.message, message);
        CHECK_STATUS(err.status, MN_ERR_INVALID);
    }
}

static void nesting_stops_at_the_limit(void)
{
    static const unsigned limits[] = {1, 2, 63, 64, 65, 128, 129, MNI_JSON_DEPTH_MAX};
    static char text[2 * MNI_JSON_DEPTH_MAX + 2];

    for (size_t i = 0; i < CHECK_COUNT(limits); i++) {
        unsigned depth = limits[i];
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK_OK(walk((struct mn_slice){text, 2 * depth}, depth, NULL));
        CHECK_OK(skip((struct mn_slice){text, 2 * depth}, depth));
        depth++;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK_STATUS(walk((struct mn_slice){text, 2 * depth}, depth - 1, NULL), MN_ERR_LIMIT);
        CHECK_STATUS(skip((struct mn_slice){text, 2 * depth}, depth - 1), MN_ERR_LIMIT);
    }
}

static void a_million_brackets_end_in_the_limit(void)
{
    const size_t n = 1000000;
    char *text = malloc(n);
    CHECK(text != NULL);
    memset(text, '[', n);
    CHECK_STATUS(walk((struct mn_slice){text, n}, MNI_JSON_DEPTH_MAX, NULL), MN_ERR_LIMIT);
    free(text);
}

static void objects_and_arrays_are_told_apart_at_any_depth(void)
{
    uint64_t seed = check_seed();
    static char text[8 * MNI_JSON_DEPTH_MAX];
    static char kinds[MNI_JSON_DEPTH_MAX];

    for (int round = 0; round < 50; round++) {
        size_t n = 0;
        unsigned depth = 1 + (unsigned)check_below(&seed, MNI_JSON_DEPTH_MAX);
        for (unsigned i = 0; i < depth; i++) {
            kinds[i] = check_below(&seed, 2) == 0 ? '{' : '[';
            const char *open = kinds[i] == '{' ? "{\"\":" : "[";
            memcpy(text + n, open, strlen(open));
            n += strlen(open);
        }
        text[n++] = '0';
        for (unsigned i = depth; i-- > 0;)
            text[n++] = kinds[i] == '{' ? '}' : ']';
        CHECK_OK(walk((struct mn_slice){text, n}, MNI_JSON_DEPTH_MAX, NULL));
        char *one = text + n - 1 - check_below(&seed, depth);
        *one = *one == '}' ? ']' : '}';
        CHECK_STATUS(walk((struct mn_slice){text, n}, MNI_JSON_DEPTH_MAX, NULL), MN_ERR_INVALID);
    }
}

static void tokens_are_exact_spans(void)
{
    static const char text[] = " {\"k\\n\" : [ -1.5 , 7,\"s\",true,false,null ] } ";
    static const struct {
        enum mni_json_type type;
        const char *raw;
    } expected[] = {
        {MNI_JSON_OBJECT, "{"},    {MNI_JSON_KEY, "\"k\\n\""}, {MNI_JSON_ARRAY, "["},
        {MNI_JSON_NUMBER, "-1.5"}, {MNI_JSON_NUMBER, "7"},     {MNI_JSON_STRING, "\"s\""},
        {MNI_JSON_TRUE, "true"},   {MNI_JSON_FALSE, "false"},  {MNI_JSON_NULL, "null"},
        {MNI_JSON_ARRAY_END, "]"}, {MNI_JSON_OBJECT_END, "}"},
    };
    struct mni_json_scanner s;
    struct mni_json_token token;

    mni_json_scanner_init(&s, SPAN(text), 2, NULL);
    for (size_t i = 0; i < CHECK_COUNT(expected); i++) {
        CHECK_OK(mni_json_next(&s, &token));
        CHECK_EQ(token.type, expected[i].type);
        CHECK_EQ(token.raw.n_bytes, strlen(expected[i].raw));
        CHECK_MEM_EQ(token.raw.data, expected[i].raw, token.raw.n_bytes);
        CHECK((const char *)token.raw.data == text + token.offset);
        CHECK_EQ(token.has_escapes, i == 1);
        CHECK_EQ(token.is_integer, i == 4);
    }
    CHECK_STATUS(mni_json_next(&s, &token), MN_END);
    CHECK_OK(mni_json_finish(&s));
}

static void a_skipped_value_is_kept_byte_for_byte(void)
{
    /* clang-format off */
    static const char *const values[] = {
        "{}", "[ 1 , { \"a\" : \"\\u0041\" } ]", "\"x\\ty\"", "-0.0e+10", "true", "null",
        "{\"n\": 9007199254740993, \"n\" :1e400 }",
    };
    /* clang-format on */

    for (size_t i = 0; i < CHECK_COUNT(values); i++) {
        char text[200];
        struct mni_json_scanner s;
        struct mni_json_token key;
        struct mn_slice raw = {0};
        int n = snprintf(text, sizeof text, "{\"a\" :\n %s , \"b\":%s}", values[i], values[i]);
        mni_json_scanner_init(&s, (struct mn_slice){text, (size_t)n}, 8, NULL);
        CHECK_OK(mni_json_enter_object(&s));
        for (int k = 0; k < 2; k++) {
            CHECK_OK(mni_json_next_key(&s, &key));
            CHECK(mni_json_token_is(&key, k == 0 ? "a" : "b"));
            CHECK_OK(mni_json_skip_value(&s, &raw));
            CHECK_EQ(raw.n_bytes, strlen(values[i]));
            CHECK_MEM_EQ(raw.data, values[i], raw.n_bytes);
        }
        CHECK_STATUS(mni_json_next_key(&s, &key), MN_END);
        CHECK_OK(mni_json_finish(&s));
    }
}

static void an_object_is_walked_key_by_key(void)
{
    struct mni_json_scanner s;
    struct mni_json_token token;
    enum mni_json_type type;
    uint64_t u = 0;
    int64_t i = 0;
    double d = 0;
    float f = 0;
    bool b = false;

    mni_json_scanner_init(&s,
                          SPAN("{\"u\":18446744073709551615,\"i\":-9223372036854775808,\"d\":0.1,"
                               "\"f\":0.1,\"t\":true,\"z\":false,\"n\":null,\"s\":\"x\",\"a\":[],"
                               "\"o\":{}}"),
                          2, NULL);
    CHECK_OK(mni_json_enter_object(&s));
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_u64(&s, &u));
    CHECK(u == UINT64_MAX);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_i64(&s, &i));
    CHECK(i == INT64_MIN);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_double(&s, &d));
    CHECK(d == 0.1);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_float(&s, &f));
    CHECK(f == 0.1F);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_bool(&s, &b));
    CHECK(b);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_bool(&s, &b));
    CHECK(!b);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_peek(&s, &type));
    CHECK_EQ(type, MNI_JSON_NULL);
    CHECK_OK(mni_json_read_null(&s));
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_read_string(&s, &token));
    CHECK(mni_json_token_is(&token, "x"));
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_enter_array(&s));
    CHECK_STATUS(mni_json_next_item(&s), MN_END);
    CHECK_OK(mni_json_next_key(&s, &token));
    CHECK_OK(mni_json_enter_object(&s));
    CHECK_STATUS(mni_json_next_key(&s, &token), MN_END);
    CHECK_STATUS(mni_json_next_key(&s, &token), MN_END);
    CHECK_OK(mni_json_finish(&s));
}

static void a_value_of_another_type_is_refused(void)
{
    const struct mn_slice values[] = {SPAN("{}"), SPAN("[]"),   SPAN("\"1\""),
                                      SPAN("1"),  SPAN("true"), SPAN("null")};
    enum { OBJECT, ARRAY, STRING, NUMBER, BOOL, NIL };

    for (int v = 0; v < (int)CHECK_COUNT(values); v++) {
        struct mni_json_scanner s;
        struct mni_json_token token;
        uint64_t u;
        int64_t i;
        double d;
        float f;
        bool b;
        size_t n;
#define TRY(call, accepted)                                                                        \
    do {                                                                                           \
        mni_json_scanner_init(&s, values[v], 4, NULL);                                             \
        CHECK_STATUS(call, v == (accepted) ? MN_OK : MN_ERR_INVALID);                              \
        if (v != (accepted))                                                                       \
            CHECK_STATUS(mni_json_finish(&s), MN_ERR_INVALID);                                     \
    } while (0)
        TRY(mni_json_enter_object(&s), OBJECT);
        TRY(mni_json_enter_array(&s), ARRAY);
        TRY(mni_json_read_floats(&s, &f, 1, &n), ARRAY);
        TRY(mni_json_read_string(&s, &token), STRING);
        TRY(mni_json_read_u64(&s, &u), NUMBER);
        TRY(mni_json_read_i64(&s, &i), NUMBER);
        TRY(mni_json_read_double(&s, &d), NUMBER);
        TRY(mni_json_read_float(&s, &f), NUMBER);
        TRY(mni_json_read_bool(&s, &b), BOOL);
        TRY(mni_json_read_null(&s), NIL);
#undef TRY
    }
}

static void an_array_can_be_read_as_a_tuple(void)
{
    struct mni_json_scanner s;
    uint64_t a = 0;
    uint64_t b = 0;

    mni_json_scanner_init(&s, SPAN("[1, 2]"), 1, NULL);
    CHECK_OK(mni_json_enter_array(&s));
    CHECK_OK(mni_json_read_u64(&s, &a));
    CHECK_OK(mni_json_read_u64(&s, &b));
    CHECK_EQ(a * 10 + b, 12);
    CHECK_STATUS(mni_json_next_item(&s), MN_END);
    CHECK_OK(mni_json_finish(&s));

    mni_json_scanner_init(&s, SPAN("[1]"), 1, NULL);
    CHECK_OK(mni_json_enter_array(&s));
    CHECK_OK(mni_json_read_u64(&s, &a));
    CHECK_STATUS(mni_json_read_u64(&s, &b), MN_ERR_INVALID);
    CHECK_STR_EQ(s.problem, "expected one more value");
}

static void floats_fill_the_array_up_to_its_capacity(void)
{
    struct mni_json_scanner s;
    float values[4];
    size_t n = 99;

    mni_json_scanner_init(&s, SPAN("[ 1 , -2.5,3e2\n, 0.1 ]"), 1, NULL);
    CHECK_OK(mni_json_read_floats(&s, values, 4, &n));
    CHECK_OK(mni_json_finish(&s));
    CHECK_EQ(n, 4);
    CHECK(values[0] == 1.0F && values[1] == -2.5F && values[2] == 300.0F && values[3] == 0.1F);
    mni_json_scanner_init(&s, SPAN("[]"), 1, NULL);
    CHECK_OK(mni_json_read_floats(&s, NULL, 0, &n));
    CHECK_EQ(n, 0);
    mni_json_scanner_init(&s, SPAN("[1,2,3]"), 1, NULL);
    CHECK_STATUS(mni_json_read_floats(&s, values, 2, &n), MN_ERR_LIMIT);
    CHECK_EQ(s.error_offset, 5);
}

static void arrays_that_are_not_all_numbers_are_no_floats(void)
{
    /* clang-format off */
    const struct mn_slice bad[] = {
        SPAN("[1,]"),     SPAN("[,1]"),   SPAN("[1"),     SPAN("[1,"),    SPAN("["),
        SPAN("[1 2]"),    SPAN("[null]"), SPAN("[\"1\"]"), SPAN("[[1]]"), SPAN("[1,true]"),
        SPAN("[01]"),     SPAN("[1.]"),   SPAN("[-]"),    SPAN("[1e]"),   SPAN("[+1]"),
        SPAN("[1e39]"),   SPAN("[NaN]"),  SPAN("[1}"),    SPAN("{}"),     SPAN("[3.4028236e38]"),
        SPAN("[-1e999]"), SPAN("[1;2]"),  SPAN("[1.5.5]")};

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        struct mni_json_scanner s;
        float values[4];
        size_t n;
        mni_json_scanner_init(&s, bad[i], 4, NULL);
        CHECK_STATUS(mni_json_read_floats(&s, values, 4, &n), MN_ERR_INVALID);
    }
}

/* Some text of the grammar; returns its end. */
static char *random_value(char *p, uint64_t *seed, int depth)
{
    static const char *const leaves[] = {"0",    "-12.5e-3", "1e9",    "\"\"", "\"a\\u00e9\\n\"",
                                         "true", "false",    "null",   "[]",   "{ }",
                                         "\"\xF0\x9F\x98\x80 long enough for words\""};
    uint64_t kind = check_below(seed, depth > 0 ? 3 : 1);

    if (kind == 0) {
        const char *leaf = leaves[check_below(seed, CHECK_COUNT(leaves))];
        memcpy(p, leaf, strlen(leaf));
        return p + strlen(leaf);
    }
    *p++ = kind == 1 ? '[' : '{';
    uint64_t n = 1 + check_below(seed, 4);
    for (uint64_t i = 0; i < n; i++) {
        if (i > 0)
            *p++ = ',';
        if (kind == 2) {
            memcpy(p, "\"k\": ", 5);
            p += 5;
        }
        p = random_value(p, seed, depth - 1);
    }
    *p++ = kind == 1 ? ']' : '}';
    return p;
}

static void mutations_never_leave_the_input_and_both_ways_agree(void)
{
    uint64_t seed = check_seed();
    static char text[1 << 16];
    static const char spice[] = "\"\\{}[]:,0123456789.eE+-u \n\x01\x80\xC3\xED\xF4truefalsn/";

    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(random_value(text, &seed, 5) - text);
        check_accepted((struct mn_slice){text, n});
        uint64_t n_changes = 1 + check_below(&seed, 3);
        for (uint64_t i = 0; i < n_changes; i++)
            text[check_below(&seed, n)] = spice[check_below(&seed, sizeof spice - 1)];
        char *copy = malloc(n);
        CHECK(copy != NULL);
        memcpy(copy, text, n);
        struct mn_slice mutant = {copy, n};
        CHECK_STATUS(skip(mutant, 64), walk(mutant, 64, NULL));
        free(copy);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_the_grammar_derives_is_accepted),
        CHECK_TEST(what_the_grammar_does_not_derive_is_refused),
        CHECK_TEST(strings_that_the_grammar_does_not_derive_are_refused),
        CHECK_TEST(every_proper_prefix_of_a_closed_text_is_refused),
        CHECK_TEST(only_an_empty_slice_may_be_null),
        CHECK_TEST(errors_say_what_and_where),
        CHECK_TEST(nesting_stops_at_the_limit),
        CHECK_TEST(a_million_brackets_end_in_the_limit),
        CHECK_TEST(objects_and_arrays_are_told_apart_at_any_depth),
        CHECK_TEST(tokens_are_exact_spans),
        CHECK_TEST(a_skipped_value_is_kept_byte_for_byte),
        CHECK_TEST(an_object_is_walked_key_by_key),
        CHECK_TEST(a_value_of_another_type_is_refused),
        CHECK_TEST(an_array_can_be_read_as_a_tuple),
        CHECK_TEST(floats_fill_the_array_up_to_its_capacity),
        CHECK_TEST(arrays_that_are_not_all_numbers_are_no_floats),
        CHECK_TEST(mutations_never_leave_the_input_and_both_ways_agree),
    };
    /* clang-format on */

    return check_run("json.scanner", tests, CHECK_COUNT(tests), argc, argv);
}
