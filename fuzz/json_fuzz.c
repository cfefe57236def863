/*
 * json_fuzz.c - any bytes at the JSON room: every way to read them agrees with every other.
 *
 * Owns:    nothing between inputs.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { DEPTH_MAX = 8 };

/* Numbers mean what the C library says they mean. */
static void check_number(const struct mni_json_token *token)
{
    char copy[512];
    float f;
    double d;
    uint64_t u;
    int64_t i;
    bool is_float = mni_json_parse_float(token->raw, &f);
    bool is_double = mni_json_parse_double(token->raw, &d);
    bool is_u64 = mni_json_parse_u64(token->raw, &u);
    bool is_i64 = mni_json_parse_i64(token->raw, &i);

    MNI_CHECK(token->is_integer || (!is_u64 && !is_i64));
    if (token->raw.n_bytes >= sizeof copy)
        return;
    memcpy(copy, token->raw.data, token->raw.n_bytes);
    copy[token->raw.n_bytes] = '\0';
    float expected_f = strtof(copy, NULL);
    double expected_d = strtod(copy, NULL);
    MNI_CHECK(is_float == (isfinite(expected_f) != 0));
    MNI_CHECK(is_double == (isfinite(expected_d) != 0));
    MNI_CHECK(!is_float || memcmp(&f, &expected_f, sizeof f) == 0);
    MNI_CHECK(!is_double || memcmp(&d, &expected_d, sizeof d) == 0);
    if (is_u64)
        MNI_CHECK(strtoull(copy, NULL, 10) == u);
    if (is_i64)
        MNI_CHECK(strtoll(copy, NULL, 10) == i);
}

/* Writes a token again; what is written must mean the same. */
static void write_token(struct mni_json_writer *writer, const struct mni_json_token *token)
{
    struct mni_buf scratch = {0};
    struct mn_slice text;

    switch (token->type) {
    case MNI_JSON_OBJECT:
        mni_json_write_object_begin(writer);
        break;
    case MNI_JSON_OBJECT_END:
        mni_json_write_object_end(writer);
        break;
    case MNI_JSON_ARRAY:
        mni_json_write_array_begin(writer);
        break;
    case MNI_JSON_ARRAY_END:
        mni_json_write_array_end(writer);
        break;
    case MNI_JSON_KEY:
    case MNI_JSON_STRING:
        MNI_CHECK(mni_json_token_text(token, &scratch, &text) == MN_OK);
        MNI_CHECK(text.n_bytes <= token->raw.n_bytes - 2);
        MNI_CHECK(mni_json_token_equals(token, text));
        if (token->type == MNI_JSON_KEY)
            mni_json_write_key_slice(writer, text);
        else
            mni_json_write_string(writer, text);
        break;
    case MNI_JSON_NUMBER:
        check_number(token);
        mni_json_write_raw(writer, token->raw);
        break;
    case MNI_JSON_TRUE:
    case MNI_JSON_FALSE:
        mni_json_write_bool(writer, token->type == MNI_JSON_TRUE);
        break;
    case MNI_JSON_NULL:
        mni_json_write_null(writer);
        break;
    }
    mni_buf_done(&scratch);
}

/* Walks through all tokens; with MN_OK `out` gets the same value, written again. */
static mn_status walk(struct mn_slice text, struct mni_buf *out, enum mni_json_type *type_out,
                      size_t *error_offset_out)
{
    struct mni_json_scanner scanner;
    struct mni_json_token token;
    struct mni_json_writer writer;
    const unsigned char *begin = text.data;
    const unsigned char *last_end = begin;
    bool is_first = true;
    mn_status st;

    mni_json_scanner_init(&scanner, text, DEPTH_MAX, NULL);
    mni_json_writer_init(&writer, out);
    while ((st = mni_json_next(&scanner, &token)) == MN_OK) {
        const unsigned char *raw = token.raw.data;
        MNI_CHECK(token.raw.n_bytes > 0);
        MNI_CHECK(raw == begin + token.offset);
        MNI_CHECK(raw >= last_end);
        last_end = raw + token.raw.n_bytes;
        MNI_CHECK(last_end <= begin + text.n_bytes);
        if (is_first)
            *type_out = token.type;
        is_first = false;
        write_token(&writer, &token);
    }
    MNI_CHECK(mni_json_next(&scanner, &token) == st);
    *error_offset_out = scanner.error_offset;
    if (st != MN_END)
        return st;
    MNI_CHECK(mni_json_writer_finish(&writer, NULL) == MN_OK);
    return MN_OK;
}

static void check_floats(struct mn_slice text, bool is_whole_array)
{
    enum { FLOATS_MAX = 64 };
    float values[FLOATS_MAX];
    struct mni_json_scanner scanner;
    struct mni_json_token token;
    size_t n = 0;
    size_t i = 0;

    mni_json_scanner_init(&scanner, text, 1, NULL);
    mn_status st = mni_json_read_floats(&scanner, values, FLOATS_MAX, &n);
    if (st != MN_OK || mni_json_finish(&scanner) != MN_OK)
        return;
    MNI_CHECK(is_whole_array);
    mni_json_scanner_init(&scanner, text, 1, NULL);
    MNI_CHECK(mni_json_enter_array(&scanner) == MN_OK);
    while (mni_json_next_item(&scanner) == MN_OK) {
        float value;
        MNI_CHECK(mni_json_skip_value(&scanner, &token.raw) == MN_OK);
        MNI_CHECK(mni_json_parse_float(token.raw, &value));
        MNI_CHECK(memcmp(&value, &values[i++], sizeof value) == 0);
    }
    MNI_CHECK(i == n);
}

static void check_base64(struct mn_slice text)
{
    size_t capacity = mni_base64_decoded_bytes_max(text.n_bytes);
    unsigned char *bytes = malloc(capacity + 1);
    size_t n = 0;

    MNI_CHECK(bytes != NULL);
    if (mni_base64_decode(text, bytes, capacity, &n, NULL) == MN_OK) {
        char *again = malloc(text.n_bytes + 1);
        MNI_CHECK(again != NULL);
        MNI_CHECK(mni_base64_encoded_bytes(n) == text.n_bytes);
        mni_base64_encode(bytes, n, again);
        MNI_CHECK(text.n_bytes == 0 || memcmp(again, text.data, text.n_bytes) == 0);
        free(again);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mn_slice text = {data, n_bytes};
    struct mn_slice raw = {0};
    struct mni_buf once = {0};
    struct mni_buf twice = {0};
    struct mni_json_scanner scanner;
    enum mni_json_type type = MNI_JSON_NULL;
    size_t offset;
    size_t object_offset;

    if (n_bytes == 0)
        text.data = "";
    mn_status walked = walk(text, &once, &type, &offset);
    mni_json_scanner_init(&scanner, text, DEPTH_MAX, NULL);
    mn_status skipped = mni_json_skip_value(&scanner, &raw);
    if (skipped == MN_OK) {
        const unsigned char *from = raw.data;
        MNI_CHECK(from >= data && from + raw.n_bytes <= data + n_bytes);
        skipped = mni_json_finish(&scanner);
    }
    MNI_CHECK(skipped == walked);
    MNI_CHECK(walked == MN_OK || scanner.error_offset == offset);
    mn_status object = mni_json_check_object(text, DEPTH_MAX, &object_offset, NULL);
    if (type == MNI_JSON_OBJECT)
        MNI_CHECK(object == walked && (walked == MN_OK || object_offset == offset));
    else
        MNI_CHECK(object != MN_OK);
    if (walked == MN_OK) {
        struct mn_slice again = {once.data, once.n_bytes};
        MNI_CHECK(walk(again, &twice, &type, &offset) == MN_OK);
        MNI_CHECK(twice.n_bytes == once.n_bytes);
        MNI_CHECK(memcmp(twice.data, once.data, once.n_bytes) == 0);
        if (type == MNI_JSON_OBJECT)
            MNI_CHECK(mni_json_check_unique_keys(text, NULL) ==
                      mni_json_check_unique_keys(again, NULL));
    }
    check_floats(text, walked == MN_OK && type == MNI_JSON_ARRAY);
    check_base64(text);
    mni_buf_done(&twice);
    mni_buf_done(&once);
    return 0;
}
