/*
 * scanner.c - walks through the tokens of one JSON value.
 *
 * Owns:    nothing; the open containers are bits in the scanner.
 * Threads: one at a time per scanner.
 * Fails:   at the first byte that no JSON text has there; the scanner keeps that answer.
 */
#include <string.h>

#include "base/check.h"
#include "json/json_private.h"

/* What stands at `scanner->at`, white space aside. */
enum state {
    AT_VALUE,
    AT_FIRST_ITEM, /* an item, or the end of an empty array */
    AT_FIRST_KEY,  /* a key, or the end of an empty object */
    AT_KEY,
    AFTER_VALUE, /* a comma or an end */
};

void mni_json_scanner_init(struct mni_json_scanner *scanner, struct mn_slice text,
                           unsigned depth_max, struct mn_error *err)
{
    static const unsigned char nothing[1];

    MNI_CHECK(depth_max >= 1);
    MNI_CHECK(depth_max <= MNI_JSON_DEPTH_MAX);
    MNI_CHECK(text.data != NULL || text.n_bytes == 0);
    const unsigned char *begin = text.data == NULL ? nothing : text.data;
    scanner->begin = begin;
    scanner->at = begin;
    scanner->end = begin + text.n_bytes;
    scanner->err = err;
    scanner->state = AT_VALUE;
    scanner->depth = 0;
    scanner->depth_max = depth_max;
    scanner->status = MN_OK;
    scanner->error_offset = 0;
    scanner->problem = NULL;
}

static mn_status fail_with(struct mni_json_scanner *scanner, mn_status status,
                           const unsigned char *where, const char *problem)
{
    MNI_CHECK(where >= scanner->begin);
    MNI_CHECK(where <= scanner->end);
    scanner->status = status;
    scanner->error_offset = (size_t)(where - scanner->begin);
    scanner->problem = problem;
    return mni_fail(scanner->err, status, "%s at byte %zu", problem, scanner->error_offset);
}

static mn_status fail_at(struct mni_json_scanner *scanner, const unsigned char *where,
                         const char *problem)
{
    return fail_with(scanner, MN_ERR_INVALID, where, problem);
}

/* The next byte that is not white space, or -1 at the end. Does not step over it. */
static inline int next_byte(struct mni_json_scanner *scanner)
{
    const unsigned char *p = scanner->at;

    while (p != scanner->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    scanner->at = p;
    return p == scanner->end ? -1 : *p;
}

static bool in_object(const struct mni_json_scanner *scanner)
{
    unsigned top = scanner->depth - 1;

    return scanner->depth > 0 && (scanner->is_object[top / 64] >> (top % 64) & 1) != 0;
}

static struct mni_json_token token_at(const struct mni_json_scanner *scanner,
                                      enum mni_json_type type, size_t n_bytes)
{
    return (struct mni_json_token){
        .type = type,
        .offset = (size_t)(scanner->at - scanner->begin),
        .raw = {scanner->at, n_bytes},
    };
}

static mn_status open_container(struct mni_json_scanner *scanner, bool is_object,
                                struct mni_json_token *token_out)
{
    unsigned top = scanner->depth;
    uint64_t bit = UINT64_C(1) << (top % 64);

    if (scanner->depth == scanner->depth_max)
        return fail_with(scanner, MN_ERR_LIMIT, scanner->at, "nested too deep");
    uint64_t *word = &scanner->is_object[top / 64];
    /* The word is set up by whoever opens its first container, so that init need not. */
    uint64_t before = top % 64 == 0 ? 0 : *word;
    *word = is_object ? before | bit : before & ~bit;
    scanner->depth++;
    *token_out = token_at(scanner, is_object ? MNI_JSON_OBJECT : MNI_JSON_ARRAY, 1);
    scanner->at++;
    scanner->state = is_object ? AT_FIRST_KEY : AT_FIRST_ITEM;
    return MN_OK;
}

static mn_status scan_string(struct mni_json_scanner *scanner, enum mni_json_type type,
                             struct mni_json_token *token_out)
{
    const char *problem = NULL;
    bool has_escapes = false;
    const unsigned char *stop =
        mni_json_scan_string(scanner->at, scanner->end, &has_escapes, &problem);

    if (problem != NULL)
        return fail_at(scanner, stop, problem);
    *token_out = token_at(scanner, type, (size_t)(stop - scanner->at));
    token_out->has_escapes = has_escapes;
    scanner->at = stop;
    scanner->state = AFTER_VALUE;
    return MN_OK;
}

static mn_status scan_number(struct mni_json_scanner *scanner, struct mni_json_decimal *decimal_out,
                             struct mni_json_token *token_out)
{
    const char *problem = NULL;
    const unsigned char *stop =
        mni_json_scan_number(scanner->at, scanner->end, decimal_out, &problem);

    if (problem != NULL)
        return fail_at(scanner, stop, problem);
    *token_out = token_at(scanner, MNI_JSON_NUMBER, (size_t)(stop - scanner->at));
    token_out->is_integer = decimal_out->is_integer;
    scanner->at = stop;
    scanner->state = AFTER_VALUE;
    return MN_OK;
}

static mn_status scan_word(struct mni_json_scanner *scanner, const char *word, size_t n_bytes,
                           enum mni_json_type type, struct mni_json_token *token_out)
{
    if ((size_t)(scanner->end - scanner->at) < n_bytes || memcmp(scanner->at, word, n_bytes) != 0)
        return fail_at(scanner, scanner->at, "expected a value");
    *token_out = token_at(scanner, type, n_bytes);
    scanner->at += n_bytes;
    scanner->state = AFTER_VALUE;
    return MN_OK;
}

static mn_status scan_value(struct mni_json_scanner *scanner, struct mni_json_token *token_out)
{
    struct mni_json_decimal decimal;
    int c = next_byte(scanner);

    MNI_CHECK(scanner->state == AT_VALUE);
    switch (c) {
    case '{':
        return open_container(scanner, true, token_out);
    case '[':
        return open_container(scanner, false, token_out);
    case '"':
        return scan_string(scanner, MNI_JSON_STRING, token_out);
    case 't':
        return scan_word(scanner, "true", 4, MNI_JSON_TRUE, token_out);
    case 'f':
        return scan_word(scanner, "false", 5, MNI_JSON_FALSE, token_out);
    case 'n':
        return scan_word(scanner, "null", 4, MNI_JSON_NULL, token_out);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return scan_number(scanner, &decimal, token_out);
        return fail_at(scanner, scanner->at, "expected a value");
    }
}

static mn_status scan_key(struct mni_json_scanner *scanner, struct mni_json_token *token_out)
{
    struct mni_json_token key;

    MNI_CHECK(scanner->state == AT_KEY);
    if (next_byte(scanner) != '"')
        return fail_at(scanner, scanner->at, "expected a key in quotes");
    mn_status st = scan_string(scanner, MNI_JSON_KEY, &key);
    if (st != MN_OK)
        return st;
    if (next_byte(scanner) != ':')
        return fail_at(scanner, scanner->at, "expected ':'");
    scanner->at++;
    scanner->state = AT_VALUE;
    *token_out = key;
    return MN_OK;
}

/* Steps over the comma before the next key or item, or over the end of the container: then
 * `end_out` is its token, else its type is 0. MN_END at the end of the text. */
static mn_status step(struct mni_json_scanner *scanner, struct mni_json_token *end_out)
{
    bool is_first = scanner->state != AFTER_VALUE;
    bool is_object = in_object(scanner);
    int c = next_byte(scanner);

    *end_out = (struct mni_json_token){0};
    if (scanner->depth == 0)
        return c < 0 ? MN_END : fail_at(scanner, scanner->at, "expected the end of the text");
    if (c == (is_object ? '}' : ']')) {
        *end_out = token_at(scanner, is_object ? MNI_JSON_OBJECT_END : MNI_JSON_ARRAY_END, 1);
        scanner->at++;
        scanner->depth--;
        scanner->state = AFTER_VALUE;
        return MN_OK;
    }
    if (!is_first) {
        if (c != ',')
            return fail_at(scanner, scanner->at,
                           is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        scanner->at++;
    } else if (c < 0) {
        return fail_at(scanner, scanner->at,
                       is_object ? "expected a key or '}'" : "expected a value or ']'");
    }
    scanner->state = is_object ? AT_KEY : AT_VALUE;
    return MN_OK;
}

mn_status mni_json_next(struct mni_json_scanner *scanner, struct mni_json_token *token_out)
{
    struct mni_json_token end;
    mn_status st = scanner->status;

    if (st != MN_OK)
        return st;
    if (scanner->state != AT_VALUE) {
        st = step(scanner, &end);
        if (st != MN_OK)
            return st;
        if (end.type != 0) {
            *token_out = end;
            return MN_OK;
        }
    }
    if (scanner->state == AT_KEY)
        return scan_key(scanner, token_out);
    return scan_value(scanner, token_out);
}

mn_status mni_json_finish(struct mni_json_scanner *scanner)
{
    struct mni_json_token end;

    if (scanner->status != MN_OK)
        return scanner->status;
    MNI_CHECK(scanner->depth == 0);
    MNI_CHECK(scanner->state == AFTER_VALUE);
    mn_status st = step(scanner, &end);
    return st == MN_END ? MN_OK : st;
}

/* Brings the scanner to the value that the caller wants to read. */
static mn_status to_value(struct mni_json_scanner *scanner)
{
    struct mni_json_token end;

    if (scanner->status != MN_OK || scanner->state == AT_VALUE)
        return scanner->status;
    MNI_CHECK(scanner->depth > 0);
    MNI_CHECK(!in_object(scanner));
    mn_status st = step(scanner, &end);
    if (st == MN_OK && end.type != 0)
        return fail_at(scanner, end.raw.data, "expected one more value");
    return st;
}

mn_status mni_json_peek(struct mni_json_scanner *scanner, enum mni_json_type *type_out)
{
    mn_status st = to_value(scanner);

    if (st != MN_OK)
        return st;
    int c = next_byte(scanner);
    switch (c) {
    case '{':
        *type_out = MNI_JSON_OBJECT;
        return MN_OK;
    case '[':
        *type_out = MNI_JSON_ARRAY;
        return MN_OK;
    case '"':
        *type_out = MNI_JSON_STRING;
        return MN_OK;
    case 't':
        *type_out = MNI_JSON_TRUE;
        return MN_OK;
    case 'f':
        *type_out = MNI_JSON_FALSE;
        return MN_OK;
    case 'n':
        *type_out = MNI_JSON_NULL;
        return MN_OK;
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return fail_at(scanner, scanner->at, "expected a value");
        *type_out = MNI_JSON_NUMBER;
        return MN_OK;
    }
}

/* A value of the given type; `problem` when it is another. */
static mn_status read_type(struct mni_json_scanner *scanner, enum mni_json_type type,
                           const char *problem, struct mni_json_token *token_out)
{
    enum mni_json_type found;
    mn_status st = mni_json_peek(scanner, &found);

    if (st != MN_OK)
        return st;
    if (found != type)
        return fail_at(scanner, scanner->at, problem);
    return scan_value(scanner, token_out);
}

mn_status mni_json_enter_object(struct mni_json_scanner *scanner)
{
    struct mni_json_token token;

    return read_type(scanner, MNI_JSON_OBJECT, "expected an object", &token);
}

mn_status mni_json_next_key(struct mni_json_scanner *scanner, struct mni_json_token *key_out)
{
    struct mni_json_token end;
    mn_status st = scanner->status;

    if (st != MN_OK)
        return st;
    MNI_CHECK(in_object(scanner));
    MNI_CHECK(scanner->state == AT_FIRST_KEY || scanner->state == AFTER_VALUE);
    st = step(scanner, &end);
    if (st != MN_OK)
        return st;
    return end.type != 0 ? MN_END : scan_key(scanner, key_out);
}

mn_status mni_json_enter_array(struct mni_json_scanner *scanner)
{
    struct mni_json_token token;

    return read_type(scanner, MNI_JSON_ARRAY, "expected an array", &token);
}

mn_status mni_json_next_item(struct mni_json_scanner *scanner)
{
    struct mni_json_token end;
    mn_status st = scanner->status;

    if (st != MN_OK)
        return st;
    MNI_CHECK(scanner->depth > 0);
    MNI_CHECK(!in_object(scanner));
    MNI_CHECK(scanner->state == AT_FIRST_ITEM || scanner->state == AFTER_VALUE);
    st = step(scanner, &end);
    if (st != MN_OK)
        return st;
    return end.type != 0 ? MN_END : MN_OK;
}

mn_status mni_json_skip_value(struct mni_json_scanner *scanner, struct mn_slice *raw_out)
{
    struct mni_json_token token;
    mn_status st = to_value(scanner);

    if (st != MN_OK)
        return st;
    unsigned depth = scanner->depth;
    st = scan_value(scanner, &token);
    if (st != MN_OK)
        return st;
    const unsigned char *begin = token.raw.data;
    while (scanner->depth > depth) {
        st = mni_json_next(scanner, &token);
        if (st != MN_OK)
            return st;
    }
    if (raw_out != NULL)
        *raw_out = (struct mn_slice){begin, (size_t)(scanner->at - begin)};
    return MN_OK;
}

mn_status mni_json_read_string(struct mni_json_scanner *scanner, struct mni_json_token *token_out)
{
    return read_type(scanner, MNI_JSON_STRING, "expected a string", token_out);
}

mn_status mni_json_read_u64(struct mni_json_scanner *scanner, uint64_t *value_out)
{
    static const char problem[] = "expected an integer from 0 to 18446744073709551615";
    struct mni_json_token token;
    mn_status st = read_type(scanner, MNI_JSON_NUMBER, problem, &token);

    if (st == MN_OK && !mni_json_parse_u64(token.raw, value_out))
        st = fail_at(scanner, token.raw.data, problem);
    return st;
}

mn_status mni_json_read_i64(struct mni_json_scanner *scanner, int64_t *value_out)
{
    static const char problem[] =
        "expected an integer from -9223372036854775808 to 9223372036854775807";
    struct mni_json_token token;
    mn_status st = read_type(scanner, MNI_JSON_NUMBER, problem, &token);

    if (st == MN_OK && !mni_json_parse_i64(token.raw, value_out))
        st = fail_at(scanner, token.raw.data, problem);
    return st;
}

mn_status mni_json_read_double(struct mni_json_scanner *scanner, double *value_out)
{
    struct mni_json_token token;
    mn_status st = read_type(scanner, MNI_JSON_NUMBER, "expected a number", &token);

    if (st == MN_OK && !mni_json_parse_double(token.raw, value_out))
        st = fail_at(scanner, token.raw.data, "a number too large for 64-bit floating point");
    return st;
}

static const char float_range[] = "a number too large for 32-bit floating point";

mn_status mni_json_read_float(struct mni_json_scanner *scanner, float *value_out)
{
    struct mni_json_token token;
    mn_status st = read_type(scanner, MNI_JSON_NUMBER, "expected a number", &token);

    if (st == MN_OK && !mni_json_parse_float(token.raw, value_out))
        st = fail_at(scanner, token.raw.data, float_range);
    return st;
}

mn_status mni_json_read_bool(struct mni_json_scanner *scanner, bool *value_out)
{
    enum mni_json_type type;
    struct mni_json_token token;
    mn_status st = mni_json_peek(scanner, &type);

    if (st != MN_OK)
        return st;
    if (type != MNI_JSON_TRUE && type != MNI_JSON_FALSE)
        return fail_at(scanner, scanner->at, "expected true or false");
    st = scan_value(scanner, &token);
    if (st == MN_OK)
        *value_out = type == MNI_JSON_TRUE;
    return st;
}

mn_status mni_json_read_null(struct mni_json_scanner *scanner)
{
    struct mni_json_token token;

    return read_type(scanner, MNI_JSON_NULL, "expected null", &token);
}

/* The number at `scanner->at`, as a float; steps over it. */
static inline mn_status scan_float(struct mni_json_scanner *scanner, int c, float *value_out)
{
    const unsigned char *begin = scanner->at;
    const char *problem = NULL;
    struct mni_json_decimal decimal;

    if (c != '-' && (c < '0' || c > '9'))
        return fail_at(scanner, begin, "expected a number");
    const unsigned char *stop = mni_json_scan_number(begin, scanner->end, &decimal, &problem);
    if (problem != NULL)
        return fail_at(scanner, stop, problem);
    struct mn_slice text = {begin, (size_t)(stop - begin)};
    if (!mni_json_decimal_to_float(&decimal, text, value_out))
        return fail_at(scanner, begin, float_range);
    scanner->at = stop;
    return MN_OK;
}

mn_status mni_json_read_floats(struct mni_json_scanner *scanner, float *values_out, size_t capacity,
                               size_t *n_out)
{
    mn_status st = mni_json_enter_array(scanner);
    size_t n = 0;

    if (st != MN_OK)
        return st;
    st = mni_json_next_item(scanner);
    while (st == MN_OK) {
        int c = next_byte(scanner);
        if (n == capacity)
            return fail_with(scanner, MN_ERR_LIMIT, scanner->at, "too many numbers");
        st = scan_float(scanner, c, &values_out[n]);
        if (st != MN_OK)
            return st;
        n++;
        scanner->state = AFTER_VALUE;
        /* What mni_json_next_item does, for the one case that is worth it. */
        if (next_byte(scanner) == ',') {
            scanner->at++;
            scanner->state = AT_VALUE;
        } else {
            st = mni_json_next_item(scanner);
        }
    }
    if (st != MN_END)
        return st;
    *n_out = n;
    return MN_OK;
}
