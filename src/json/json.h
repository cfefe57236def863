/*
 * json.h - strict JSON (RFC 8259): scan without copying, write what reads back.
 *
 * Scanning allocates nothing and never recurses: tokens are spans of the input, and any value can
 * be had as its exact bytes. Accepted is what the RFC's grammar derives and nothing else: UTF-8
 * without a byte order mark, no lone surrogates, no comments, no trailing commas. Numbers are
 * read from their digits: 64-bit integers exactly, floats and doubles rounded once, in any locale.
 *
 *     mni_json_scanner_init(&s, line, MN_METADATA_DEPTH_MAX + 1, err);
 *     st = mni_json_enter_object(&s);
 *     while (st == MN_OK && (st = mni_json_next_key(&s, &key)) == MN_OK) {
 *         if (mni_json_token_is(&key, "count"))
 *             st = mni_json_read_u64(&s, &count);
 *         else
 *             st = mni_json_skip_value(&s, &raw);
 *     }
 *     if (st == MN_END)
 *         st = mni_json_finish(&s);
 *
 * Threads: one at a time per scanner and per writer; functions without one: any.
 */
#ifndef MNI_JSON_JSON_H
#define MNI_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "mneme/types.h"

/* Scanning --------------------------------------------------------------------------------------
 */

enum { MNI_JSON_DEPTH_MAX = 1024 }; /* the largest depth limit that a scanner takes */

enum mni_json_type {
    MNI_JSON_OBJECT = 1, /* "{"; its raw bytes are the brace alone */
    MNI_JSON_OBJECT_END,
    MNI_JSON_ARRAY, /* "[" */
    MNI_JSON_ARRAY_END,
    MNI_JSON_KEY, /* a string with its colon; the raw bytes are the string */
    MNI_JSON_STRING,
    MNI_JSON_NUMBER,
    MNI_JSON_TRUE,
    MNI_JSON_FALSE,
    MNI_JSON_NULL,
};

struct mni_json_token {
    enum mni_json_type type;
    bool has_escapes;    /* KEY, STRING: the bytes between the quotes are not yet the text */
    bool is_integer;     /* NUMBER: neither fraction nor exponent; may be beyond 64 bits */
    size_t offset;       /* of `raw` in the input */
    struct mn_slice raw; /* the exact bytes, quotes included; valid as long as the input */
};

/* In the caller's storage; holds no memory. Read the fields below "result", none of the others. */
struct mni_json_scanner {
    const unsigned char *begin; /* borrowed: the input outlives the scanner */
    const unsigned char *at;
    const unsigned char *end;
    struct mn_error *err; /* borrowed; may be NULL */
    int state;
    unsigned depth;
    unsigned depth_max;
    uint64_t is_object[MNI_JSON_DEPTH_MAX / 64]; /* bit per open container: object or array */
    /* result */
    mn_status status;    /* the first error; every later call answers it again */
    size_t error_offset; /* of the first error, in bytes from 0 */
    const char *problem; /* what is wrong there, such as "expected ',' or ']'"; static */
};

/*
 * Begins at the only value of `text`. `depth_max` bounds the containers open at once ("[]" has
 * depth 1), 1 to MNI_JSON_DEPTH_MAX. `err` (may be NULL) gets "PROBLEM at byte OFFSET" when a call
 * fails.
 *
 * Every call below answers MN_ERR_INVALID for text that is not JSON or not what was asked for,
 * and MN_ERR_LIMIT for more than the given depth or capacity. An error is final.
 */
void mni_json_scanner_init(struct mni_json_scanner *scanner, struct mn_slice text,
                           unsigned depth_max, struct mn_error *err);

/* The next token, whatever it is. MN_END after the whole value, once only white space followed. */
MN_MUST_USE mn_status mni_json_next(struct mni_json_scanner *scanner,
                                    struct mni_json_token *token_out);

/* MN_OK when only white space follows the value. */
MN_MUST_USE mn_status mni_json_finish(struct mni_json_scanner *scanner);

/* The calls from here on want the scanner before a value: at the start, after mni_json_next_key or
 * mni_json_next_item, or in an array where the next item is a value. They can be mixed freely with
 * mni_json_next. Calling one where the grammar wants a key is a bug of the caller. */

/* Type of the value that comes next, judged by its first byte; does not consume it. */
MN_MUST_USE mn_status mni_json_peek(struct mni_json_scanner *scanner, enum mni_json_type *type_out);

/* Steps into an object; then mni_json_next_key gives one key after the other, and MN_END past the
 * closing brace. After each key read, enter or skip its value. */
MN_MUST_USE mn_status mni_json_enter_object(struct mni_json_scanner *scanner);
MN_MUST_USE mn_status mni_json_next_key(struct mni_json_scanner *scanner,
                                        struct mni_json_token *key_out);

/* Steps into an array; then mni_json_next_item answers MN_OK before each item, and MN_END past the
 * closing bracket. */
MN_MUST_USE mn_status mni_json_enter_array(struct mni_json_scanner *scanner);
MN_MUST_USE mn_status mni_json_next_item(struct mni_json_scanner *scanner);

/* Steps over one value of any kind, checking all of it. `raw_out` (may be NULL) gets its exact
 * bytes, without white space around them. */
MN_MUST_USE mn_status mni_json_skip_value(struct mni_json_scanner *scanner,
                                          struct mn_slice *raw_out);

/* A string value. See mni_json_token_text for its text. */
MN_MUST_USE mn_status mni_json_read_string(struct mni_json_scanner *scanner,
                                           struct mni_json_token *token_out);

/* Integers take neither a fraction nor an exponent; -0 is an i64. Floats and doubles are rounded
 * to nearest, ties to even, directly from the digits; beyond their range is an error. */
MN_MUST_USE mn_status mni_json_read_u64(struct mni_json_scanner *scanner, uint64_t *value_out);
MN_MUST_USE mn_status mni_json_read_i64(struct mni_json_scanner *scanner, int64_t *value_out);
MN_MUST_USE mn_status mni_json_read_double(struct mni_json_scanner *scanner, double *value_out);
MN_MUST_USE mn_status mni_json_read_float(struct mni_json_scanner *scanner, float *value_out);
MN_MUST_USE mn_status mni_json_read_bool(struct mni_json_scanner *scanner, bool *value_out);
MN_MUST_USE mn_status mni_json_read_null(struct mni_json_scanner *scanner);

/* An array of numbers. More than `capacity` of them: MN_ERR_LIMIT. `values_out` is written up to
 * where an error is. */
MN_MUST_USE mn_status mni_json_read_floats(struct mni_json_scanner *scanner, float *values_out,
                                           size_t capacity, size_t *n_out);

/* Text of tokens --------------------------------------------------------------------------------
 */

/* Whether the text of a KEY or STRING, escapes resolved, is this one. Allocates nothing. */
bool mni_json_token_equals(const struct mni_json_token *token, struct mn_slice text);
static inline bool mni_json_token_is(const struct mni_json_token *token, const char *text)
{
    return mni_json_token_equals(token, mn_str(text));
}

/* Writes the text of a KEY or STRING to `out`; it may hold NUL bytes, and none is added. The text
 * is never longer than `token->raw.n_bytes` less 2. MN_ERR_LIMIT: longer than `capacity`. */
MN_MUST_USE mn_status mni_json_token_unescape(const struct mni_json_token *token, void *out,
                                              size_t capacity, size_t *n_bytes_out);

/* The text of a KEY or STRING: a part of the input where there are no escapes, else written to
 * `scratch`, whose former content is dropped. Valid as long as both. MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_json_token_text(const struct mni_json_token *token,
                                          struct mni_buf *scratch, struct mn_slice *text_out);

/* Numbers out of bytes that hold a JSON number and nothing else, such as a NUMBER token's `raw` or
 * the text of a string. False: not such a number, or not in range. */
MN_MUST_USE bool mni_json_parse_u64(struct mn_slice text, uint64_t *value_out);
MN_MUST_USE bool mni_json_parse_i64(struct mn_slice text, int64_t *value_out);
MN_MUST_USE bool mni_json_parse_double(struct mn_slice text, double *value_out);
MN_MUST_USE bool mni_json_parse_float(struct mn_slice text, float *value_out);

/* Whole values ----------------------------------------------------------------------------------
 */

/* MN_OK when `text` is one JSON object with white space around it at most, nested no deeper than
 * `depth_max`. Else as the scanner, and `offset_out` (may be NULL) is where. Duplicate keys
 * pass. */
MN_MUST_USE mn_status mni_json_check_object(struct mn_slice text, unsigned depth_max,
                                            size_t *offset_out, struct mn_error *err);

/* MN_ERR_INVALID naming the key when the object in `text`, which mni_json_check_object accepted,
 * has the same key twice at its top level, escapes resolved. MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_json_check_unique_keys(struct mn_slice text, struct mn_error *err);

/*
 * The object walker for objects with known fields. `names` has at most 64 entries; begin with
 * `seen` 0. mni_json_next_field is mni_json_next_key that looks the key up: `field_out` is its
 * index, or `n_names` when there is no such name (`key_out` tells which; unknown keys may come
 * twice). A known field that comes twice is MN_ERR_INVALID.
 */
struct mni_json_fields {
    const char *const *names; /* borrowed: outlives the walk */
    size_t n_names;
    uint64_t seen; /* bit i: names[i] came */
};
MN_MUST_USE mn_status mni_json_next_field(struct mni_json_scanner *scanner,
                                          struct mni_json_fields *fields, size_t *field_out,
                                          struct mni_json_token *key_out);

/* Writing ---------------------------------------------------------------------------------------
 */

/*
 * Appends one JSON value to a buffer, without white space; commas and colons come by themselves.
 * The first failure stays in the writer and makes all later calls do nothing, so only
 * mni_json_writer_finish need be checked. Calls in an order that gives no JSON are bugs.
 *
 *     mni_json_writer_init(&w, &buf);
 *     mni_json_write_object_begin(&w);
 *     mni_json_write_key(&w, "count");
 *     mni_json_write_u64(&w, n);
 *     mni_json_write_object_end(&w);
 *     st = mni_json_writer_finish(&w, err);
 */
struct mni_json_writer {
    struct mni_buf *buf; /* borrowed: outlives the writer */
    size_t start_bytes;  /* length of `buf` at init */
    mn_status status;    /* the first failure */
    const char *problem; /* its message; static */
    unsigned depth;
    bool wants_comma;
    bool has_key;
    uint64_t is_object[MNI_JSON_DEPTH_MAX / 64];
};

void mni_json_writer_init(struct mni_json_writer *writer, struct mni_buf *buf);

/* MN_OK: the value is complete. Else the buffer is as it was at init: MN_ERR_NOMEM, or
 * MN_ERR_INVALID for text that is not UTF-8 or a number that is NaN or infinite. */
MN_MUST_USE mn_status mni_json_writer_finish(struct mni_json_writer *writer, struct mn_error *err);

void mni_json_write_object_begin(struct mni_json_writer *writer);
void mni_json_write_object_end(struct mni_json_writer *writer);
void mni_json_write_array_begin(struct mni_json_writer *writer);
void mni_json_write_array_end(struct mni_json_writer *writer);

void mni_json_write_key(struct mni_json_writer *writer, const char *key);
void mni_json_write_key_slice(struct mni_json_writer *writer, struct mn_slice key);

/* Escapes quotes, backslashes and control characters; everything else stands as it is. */
void mni_json_write_string(struct mni_json_writer *writer, struct mn_slice text);
void mni_json_write_u64(struct mni_json_writer *writer, uint64_t value);
void mni_json_write_i64(struct mni_json_writer *writer, int64_t value);
void mni_json_write_u64_string(struct mni_json_writer *writer, uint64_t value); /* in quotes */
void mni_json_write_bool(struct mni_json_writer *writer, bool value);
void mni_json_write_null(struct mni_json_writer *writer);

/* The shortest digits that read back to the same bits. */
void mni_json_write_float(struct mni_json_writer *writer, float value);
void mni_json_write_double(struct mni_json_writer *writer, double value);
void mni_json_write_floats(struct mni_json_writer *writer, const float *values, size_t n);

/* A value that is JSON already, byte for byte. */
void mni_json_write_raw(struct mni_json_writer *writer, struct mn_slice json);

/* Any bytes as a base64 string. */
void mni_json_write_base64(struct mni_json_writer *writer, struct mn_slice bytes);

/* Whether mni_json_write_floats would take them: no NaN, no infinity. */
bool mni_json_floats_are_finite(const float *values, size_t n);

/* Base64 (RFC 4648, section 4) ------------------------------------------------------------------
 */

/* Bytes of the encoding of `n` bytes, without a NUL. `n` is at most SIZE_MAX / 2. */
static inline size_t mni_base64_encoded_bytes(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes mni_base64_encoded_bytes(n) characters, and no NUL. */
void mni_base64_encode(const void *bytes, size_t n, char *out);

/* A capacity that is enough to decode `n` characters. */
static inline size_t mni_base64_decoded_bytes_max(size_t n)
{
    return n / 4 * 3;
}

/* Strict: the plain alphabet, padded to whole groups, no white space, unused bits zero. Else
 * MN_ERR_INVALID, and `err` names the offset. MN_ERR_LIMIT: more than `capacity` bytes. `out` may
 * be written partly when it fails. */
MN_MUST_USE mn_status mni_base64_decode(struct mn_slice text, void *out, size_t capacity,
                                        size_t *n_bytes_out, struct mn_error *err);

#endif
