/*
 * line_in.c - a line of JSON, an object with known keys, read value by value.
 *
 * Owns:    what it reads into; the bytes that outlive a value belong to the batch.
 * Threads: the main one.
 * Fails:   with a message that names the key.
 */
#include "line_in.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/status.h"
#include "seconds.h"
#include "talk.h"

/* The line's own braces come on top of those of the metadata in it; the library judges that. */
enum { LINE_DEPTH_MAX = MN_METADATA_DEPTH_MAX + 8 };

void line_in_done(struct line_in *line)
{
    mni_buf_done(&line->text);
    mni_buf_done(&line->numbers);
}

static mn_status out_of_memory(struct mn_error *err)
{
    return mni_fail(err, MN_ERR_NOMEM, "out of memory");
}

static const char *type_name(enum mni_json_type type)
{
    switch (type) {
    case MNI_JSON_OBJECT:
        return "an object";
    case MNI_JSON_ARRAY:
        return "an array";
    case MNI_JSON_STRING:
        return "a string";
    case MNI_JSON_NUMBER:
        return "a number";
    case MNI_JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}

mn_status line_in_expect(struct line_in *line, enum mni_json_type wanted, const char *name)
{
    enum mni_json_type type;
    mn_status st = mni_json_peek(&line->scanner, &type);

    if (st == MN_OK && type != wanted)
        return mni_fail(line->err, MN_ERR_INVALID, "%s is %s, not %s", name, type_name(type),
                        type_name(wanted));
    return st;
}

mn_status line_in_begin(struct line_in *line, struct mn_slice text, struct mn_error *err)
{
    line->err = err;
    mni_json_scanner_init(&line->scanner, text, LINE_DEPTH_MAX, err);
    mn_status st = line_in_expect(line, MNI_JSON_OBJECT, "line");
    return st == MN_OK ? mni_json_enter_object(&line->scanner) : st;
}

mn_status line_in_next(struct line_in *line, struct mni_json_fields *fields, size_t *field_out)
{
    struct mni_json_token key;
    char text[QUOTED_BYTES];
    mn_status st = mni_json_next_field(&line->scanner, fields, field_out, &key);

    if (st == MN_END) {
        st = mni_json_finish(&line->scanner);
        return st == MN_OK ? MN_END : st;
    }
    if (st != MN_OK || *field_out < fields->n_names)
        return st;
    struct mn_slice name = key.raw;
    if (mni_json_token_text(&key, &line->text, &name) != MN_OK)
        return out_of_memory(line->err);
    return mni_fail(line->err, MN_ERR_INVALID, "unknown key %s", quoted(name, text));
}

mn_status line_in_skip_null(struct line_in *line, bool *was_null_out)
{
    enum mni_json_type type;
    mn_status st = mni_json_peek(&line->scanner, &type);

    *was_null_out = st == MN_OK && type == MNI_JSON_NULL;
    return *was_null_out ? mni_json_skip_value(&line->scanner, NULL) : st;
}

mn_status line_in_copy(struct line_in *line, struct batch *batch, struct mn_slice bytes,
                       struct mn_slice *copy_out)
{
    void *copy = batch_alloc(batch, bytes.n_bytes);

    if (copy == NULL)
        return out_of_memory(line->err);
    if (bytes.n_bytes > 0)
        memcpy(copy, bytes.data, bytes.n_bytes);
    *copy_out = (struct mn_slice){.data = copy, .n_bytes = bytes.n_bytes};
    return MN_OK;
}

mn_status line_in_text(struct line_in *line, const char *name, struct mn_slice *text_out)
{
    struct mni_json_token token;
    mn_status st = line_in_expect(line, MNI_JSON_STRING, name);

    if (st == MN_OK)
        st = mni_json_read_string(&line->scanner, &token);
    if (st != MN_OK)
        return st;
    if (mni_json_token_text(&token, &line->text, text_out) != MN_OK)
        return out_of_memory(line->err);
    return MN_OK;
}

mn_status line_in_u64(struct line_in *line, const char *name, uint64_t *value_out)
{
    enum mni_json_type type;
    struct mn_slice text;
    mn_status st = mni_json_peek(&line->scanner, &type);

    if (st == MN_OK && type != MNI_JSON_STRING && type != MNI_JSON_NUMBER)
        return mni_fail(line->err, MN_ERR_INVALID, "%s is %s, not a number", name, type_name(type));
    if (st == MN_OK && type == MNI_JSON_STRING)
        st = line_in_text(line, name, &text);
    else if (st == MN_OK)
        st = mni_json_skip_value(&line->scanner, &text);
    if (st != MN_OK)
        return st;
    if (!mni_json_parse_u64(text, value_out))
        return mni_fail(line->err, MN_ERR_INVALID, "%s is no integer from 0 to %" PRIu64, name,
                        UINT64_MAX);
    return MN_OK;
}

mn_status line_in_i64(struct line_in *line, const char *name, int64_t *value_out)
{
    mn_status st = line_in_expect(line, MNI_JSON_NUMBER, name);

    if (st != MN_OK)
        return st;
    st = mni_json_read_i64(&line->scanner, value_out);
    if (st != MN_OK)
        mni_error_prefix(line->err, "%s", name);
    return st;
}

mn_status line_in_seconds(struct line_in *line, const char *name, bool may_be_negative,
                          int64_t *us_out)
{
    struct mni_json_token token;
    mn_status st = line_in_expect(line, MNI_JSON_NUMBER, name);

    if (st == MN_OK)
        st = mni_json_next(&line->scanner, &token);
    if (st == MN_OK && !may_be_negative && seconds_is_negative(token.raw))
        st = mni_fail(line->err, MN_ERR_INVALID, "%s is negative", name);
    if (st == MN_OK && !seconds_parse(token.raw, us_out))
        st = mni_fail(line->err, MN_ERR_INVALID, "%s is out of range", name);
    return st;
}

/* The `n_dims` elements that were read. */
static mn_status keep_vector(struct line_in *line, struct batch *batch, size_t n_dims,
                             const char *name, const float **vector_out, uint32_t *n_dims_out)
{
    struct mn_slice numbers = {.data = line->numbers.data, .n_bytes = n_dims * sizeof(float)};
    struct mn_slice copy = {0};

    if (n_dims == 0)
        return mni_fail(line->err, MN_ERR_INVALID, "%s is empty", name);
    if (n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(line->err, MN_ERR_LIMIT, "%s has more than %d dimensions", name,
                        MN_DIMENSIONS_MAX);
    mn_status st = line_in_copy(line, batch, numbers, &copy);
    *vector_out = copy.data;
    *n_dims_out = (uint32_t)n_dims;
    return st;
}

mn_status line_in_vector(struct line_in *line, struct batch *batch, const char *name,
                         const float **vector_out, uint32_t *n_dims_out)
{
    size_t n_dims = 0;
    mn_status st = line_in_expect(line, MNI_JSON_ARRAY, name);

    if (st != MN_OK)
        return st;
    mni_buf_reset(&line->numbers);
    if (mni_buf_reserve(&line->numbers, MN_DIMENSIONS_MAX * sizeof(float)) != MN_OK)
        return out_of_memory(line->err);
    st = mni_json_read_floats(&line->scanner, (float *)(void *)line->numbers.data,
                              MN_DIMENSIONS_MAX, &n_dims);
    if (st == MN_ERR_LIMIT)
        return mni_fail(line->err, st, "%s has more than %d dimensions", name, MN_DIMENSIONS_MAX);
    if (st != MN_OK) {
        mni_error_prefix(line->err, "%s", name);
        return st;
    }
    return keep_vector(line, batch, n_dims, name, vector_out, n_dims_out);
}

mn_status line_in_vector_base64(struct line_in *line, struct batch *batch, const char *name,
                                const float **vector_out, uint32_t *n_dims_out)
{
    struct mni_buf *numbers = &line->numbers;
    struct mn_slice text;
    mn_status st = line_in_text(line, name, &text);

    if (st != MN_OK)
        return st;
    mni_buf_reset(numbers);
    if (mni_buf_reserve(numbers, mni_base64_decoded_bytes_max(text.n_bytes) + 1) != MN_OK)
        return out_of_memory(line->err);
    st = mni_base64_decode(text, numbers->data, numbers->capacity_bytes, &numbers->n_bytes,
                           line->err);
    if (st != MN_OK) {
        mni_error_prefix(line->err, "%s", name);
        return st;
    }
    if (numbers->n_bytes % sizeof(float) != 0)
        return mni_fail(line->err, MN_ERR_INVALID,
                        "%s holds %zu bytes, which is not a multiple of 4", name, numbers->n_bytes);
    for (size_t at = 0; at < numbers->n_bytes; at += sizeof(uint32_t)) {
        uint32_t bits = mni_get_u32(numbers->data + at);
        memcpy(numbers->data + at, &bits, sizeof bits);
    }
    return keep_vector(line, batch, numbers->n_bytes / sizeof(float), name, vector_out, n_dims_out);
}

mn_status line_in_payload(struct line_in *line, struct batch *batch, const char *name,
                          struct mn_slice *payload_out)
{
    struct mn_slice text;
    size_t n_bytes = 0;
    mn_status st = line_in_text(line, name, &text);

    if (st != MN_OK)
        return st;
    /* Two more than the limit: the padding is not known yet. */
    size_t capacity = mni_base64_decoded_bytes_max(text.n_bytes);
    if (capacity > MN_PAYLOAD_BYTES_MAX + 2)
        return mni_fail(line->err, MN_ERR_LIMIT, "payload is larger than %d bytes",
                        MN_PAYLOAD_BYTES_MAX);
    void *data = batch_alloc(batch, capacity);
    if (data == NULL)
        return out_of_memory(line->err);
    st = mni_base64_decode(text, data, capacity, &n_bytes, line->err);
    if (st != MN_OK) {
        mni_error_prefix(line->err, "%s", name);
        return st;
    }
    *payload_out = (struct mn_slice){.data = data, .n_bytes = n_bytes};
    return MN_OK;
}
