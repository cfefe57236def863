/*
 * record_in.c - a line of JSON becomes a record.
 *
 * Owns:    nothing; the bytes of a record belong to the batch.
 * Threads: the main one.
 * Fails:   with a message that names the field, not the line; the caller knows the line.
 */
#include "record_in.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/status.h"
#include "seconds.h"
#include "talk.h"
#include "json/json.h"

/* The line's own braces come on top of those of the metadata in it; the library judges that. */
enum { LINE_DEPTH_MAX = MN_METADATA_DEPTH_MAX + 8 };

enum field {
    FIELD_ID,
    FIELD_VECTOR,
    FIELD_VECTOR_BASE64,
    FIELD_METADATA,
    FIELD_METADATA_TEXT,
    FIELD_PAYLOAD_BASE64,
    FIELD_TTL_SECONDS,
    FIELD_EXPIRES_AT,
    FIELD_EVENT_TIME_US,
    FIELD_LSN,
    FIELD_VECTOR_ROW, /* the last: points have none */
    N_FIELDS,
};

static const char *const field_names[N_FIELDS] = {
    [FIELD_ID] = "id",
    [FIELD_VECTOR] = "vector",
    [FIELD_VECTOR_BASE64] = "vector_base64",
    [FIELD_METADATA] = "metadata",
    [FIELD_METADATA_TEXT] = "metadata_text",
    [FIELD_PAYLOAD_BASE64] = "payload_base64",
    [FIELD_TTL_SECONDS] = "ttl_seconds",
    [FIELD_EXPIRES_AT] = "expires_at",
    [FIELD_EVENT_TIME_US] = "event_time_us",
    [FIELD_LSN] = "lsn",
    [FIELD_VECTOR_ROW] = "vector_row",
};

/* What an id and an event time are called where the line is a point. */
static const char *const point_field_names[] = {
    [FIELD_ID] = "entity",
    [FIELD_VECTOR] = "vector",
    [FIELD_VECTOR_BASE64] = "vector_base64",
    [FIELD_METADATA] = "metadata",
    [FIELD_METADATA_TEXT] = "metadata_text",
    [FIELD_PAYLOAD_BASE64] = "payload_base64",
    [FIELD_TTL_SECONDS] = "ttl_seconds",
    [FIELD_EXPIRES_AT] = "expires_at",
    [FIELD_EVENT_TIME_US] = "time_us",
    [FIELD_LSN] = "lsn",
};

/* One line on its way into a record. */
struct reading {
    struct record_in *in;
    struct batch *batch;
    struct mn_record *record;
    struct mni_json_scanner scanner;
    struct mn_error *err;
    struct mni_json_fields fields; /* that the line may have */
    bool is_point;
    bool has_metadata_text;
};

void record_in_done(struct record_in *in)
{
    mni_buf_done(&in->text);
    mni_buf_done(&in->numbers);
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

/* Refuses the next value unless it is of the type that `name` wants. */
static mn_status expect(struct reading *r, enum mni_json_type wanted, const char *name)
{
    enum mni_json_type type;
    mn_status st = mni_json_peek(&r->scanner, &type);

    if (st == MN_OK && type != wanted)
        return mni_fail(r->err, MN_ERR_INVALID, "%s is %s, not %s", name, type_name(type),
                        type_name(wanted));
    return st;
}

static mn_status copy_to_batch(struct reading *r, const void *data, size_t n_bytes,
                               struct mn_slice *copy_out)
{
    void *copy = batch_alloc(r->batch, n_bytes);

    if (copy == NULL)
        return out_of_memory(r->err);
    if (n_bytes > 0)
        memcpy(copy, data, n_bytes);
    *copy_out = (struct mn_slice){.data = copy, .n_bytes = n_bytes};
    return MN_OK;
}

/* The text of a string value: valid until the next one is read. */
static mn_status read_text(struct reading *r, const char *name, struct mn_slice *text_out)
{
    struct mni_json_token token;
    mn_status st = expect(r, MNI_JSON_STRING, name);

    if (st == MN_OK)
        st = mni_json_read_string(&r->scanner, &token);
    if (st != MN_OK)
        return st;
    if (mni_json_token_text(&token, &r->in->text, text_out) != MN_OK)
        return out_of_memory(r->err);
    return MN_OK;
}

static mn_status read_id(struct reading *r, const char *name)
{
    struct mn_slice text;
    mn_status st = read_text(r, name, &text);

    if (st != MN_OK)
        return st;
    if (text.n_bytes == 0)
        return mni_fail(r->err, MN_ERR_INVALID, "%s is empty", name);
    return copy_to_batch(r, text.data, text.n_bytes, &r->record->id);
}

/* A number of 64 bits does not survive every JSON reader, so it may be a string of its digits. */
static mn_status read_entity(struct reading *r)
{
    enum mni_json_type type;
    struct mn_slice text;
    uint64_t entity = 0;
    mn_status st = mni_json_peek(&r->scanner, &type);

    if (st == MN_OK && type != MNI_JSON_STRING && type != MNI_JSON_NUMBER)
        return mni_fail(r->err, MN_ERR_INVALID, "entity is %s, not a number", type_name(type));
    if (st == MN_OK && type == MNI_JSON_STRING)
        st = read_text(r, "entity", &text);
    else if (st == MN_OK)
        st = mni_json_skip_value(&r->scanner, &text);
    if (st != MN_OK)
        return st;
    if (!mni_json_parse_u64(text, &entity))
        return mni_fail(r->err, MN_ERR_INVALID, "entity is no integer from 0 to %" PRIu64,
                        UINT64_MAX);
    return copy_to_batch(r, &entity, sizeof entity, &r->record->id);
}

static mn_status set_vector(struct reading *r, size_t n_dims, const char *name)
{
    struct mn_slice copy = {0};

    if (n_dims == 0)
        return mni_fail(r->err, MN_ERR_INVALID, "%s is empty", name);
    if (n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(r->err, MN_ERR_LIMIT, "%s has more than %d dimensions", name,
                        MN_DIMENSIONS_MAX);
    mn_status st = copy_to_batch(r, r->in->numbers.data, n_dims * sizeof(float), &copy);
    r->record->vector = copy.data;
    r->record->n_dims = (uint32_t)n_dims;
    return st;
}

static mn_status read_vector(struct reading *r)
{
    size_t n_dims = 0;
    mn_status st = expect(r, MNI_JSON_ARRAY, "vector");

    if (st != MN_OK)
        return st;
    mni_buf_reset(&r->in->numbers);
    if (mni_buf_reserve(&r->in->numbers, MN_DIMENSIONS_MAX * sizeof(float)) != MN_OK)
        return out_of_memory(r->err);
    st = mni_json_read_floats(&r->scanner, (float *)(void *)r->in->numbers.data, MN_DIMENSIONS_MAX,
                              &n_dims);
    if (st == MN_ERR_LIMIT)
        return mni_fail(r->err, st, "vector has more than %d dimensions", MN_DIMENSIONS_MAX);
    if (st != MN_OK) {
        mni_error_prefix(r->err, "vector");
        return st;
    }
    return set_vector(r, n_dims, "vector");
}

static mn_status read_vector_base64(struct reading *r)
{
    struct mn_slice text;
    struct mni_buf *numbers = &r->in->numbers;
    mn_status st = read_text(r, "vector_base64", &text);

    if (st != MN_OK)
        return st;
    mni_buf_reset(numbers);
    if (mni_buf_reserve(numbers, mni_base64_decoded_bytes_max(text.n_bytes) + 1) != MN_OK)
        return out_of_memory(r->err);
    st = mni_base64_decode(text, numbers->data, numbers->capacity_bytes, &numbers->n_bytes, r->err);
    if (st != MN_OK) {
        mni_error_prefix(r->err, "vector_base64");
        return st;
    }
    if (numbers->n_bytes % sizeof(float) != 0)
        return mni_fail(r->err, MN_ERR_INVALID,
                        "vector_base64 holds %zu bytes, which is not a multiple of 4",
                        numbers->n_bytes);
    for (size_t at = 0; at < numbers->n_bytes; at += sizeof(uint32_t)) {
        uint32_t bits = mni_get_u32(numbers->data + at);
        memcpy(numbers->data + at, &bits, sizeof bits);
    }
    return set_vector(r, numbers->n_bytes / sizeof(float), "vector_base64");
}

static mn_status read_vector_row(struct reading *r)
{
    enum mni_json_type type;
    mn_status st = mni_json_peek(&r->scanner, &type);

    if (st == MN_OK && type == MNI_JSON_NULL) {
        r->in->row_kind = ROW_NONE;
        return mni_json_skip_value(&r->scanner, NULL);
    }
    if (st == MN_OK)
        st = expect(r, MNI_JSON_NUMBER, "vector_row");
    if (st != MN_OK)
        return st;
    r->in->row_kind = ROW_SAID;
    st = mni_json_read_u64(&r->scanner, &r->in->row_index);
    if (st != MN_OK)
        mni_error_prefix(r->err, "vector_row");
    return st;
}

static mn_status read_metadata(struct reading *r)
{
    struct mn_slice raw;
    mn_status st = expect(r, MNI_JSON_OBJECT, "metadata");

    if (st == MN_OK)
        st = mni_json_skip_value(&r->scanner, &raw);
    if (st != MN_OK || r->has_metadata_text)
        return st;
    return copy_to_batch(r, raw.data, raw.n_bytes, &r->record->metadata);
}

/* Whether it is an object is for the library to judge. */
static mn_status read_metadata_text(struct reading *r)
{
    struct mn_slice text;
    mn_status st = read_text(r, "metadata_text", &text);

    if (st != MN_OK)
        return st;
    if (text.n_bytes == 0)
        return mni_fail(r->err, MN_ERR_INVALID, "metadata_text is empty");
    r->has_metadata_text = true;
    return copy_to_batch(r, text.data, text.n_bytes, &r->record->metadata);
}

static mn_status read_payload(struct reading *r)
{
    struct mn_slice text;
    size_t n_bytes = 0;
    mn_status st = read_text(r, "payload_base64", &text);

    if (st != MN_OK)
        return st;
    /* Two more than the limit: the padding is not known yet. */
    size_t capacity = mni_base64_decoded_bytes_max(text.n_bytes);
    if (capacity > MN_PAYLOAD_BYTES_MAX + 2)
        return mni_fail(r->err, MN_ERR_LIMIT, "payload is larger than %d bytes",
                        MN_PAYLOAD_BYTES_MAX);
    void *data = batch_alloc(r->batch, capacity);
    if (data == NULL)
        return out_of_memory(r->err);
    st = mni_base64_decode(text, data, capacity, &n_bytes, r->err);
    if (st != MN_OK) {
        mni_error_prefix(r->err, "payload_base64");
        return st;
    }
    r->record->payload = (struct mn_slice){.data = data, .n_bytes = n_bytes};
    return MN_OK;
}

static mn_status read_seconds(struct reading *r, const char *name, bool may_be_negative,
                              int64_t *us_out)
{
    struct mni_json_token token;
    mn_status st = expect(r, MNI_JSON_NUMBER, name);

    if (st == MN_OK)
        st = mni_json_next(&r->scanner, &token);
    if (st == MN_OK && !may_be_negative && seconds_is_negative(token.raw))
        st = mni_fail(r->err, MN_ERR_INVALID, "%s is negative", name);
    if (st == MN_OK && !seconds_parse(token.raw, us_out))
        st = mni_fail(r->err, MN_ERR_INVALID, "%s is out of range", name);
    return st;
}

static mn_status read_times(struct reading *r, size_t field)
{
    struct mn_record *record = r->record;
    mn_status st;

    switch (field) {
    case FIELD_TTL_SECONDS:
        st = read_seconds(r, "ttl_seconds", false, &record->ttl_us);
        record->fields |= MN_HAS_TTL;
        return st;
    case FIELD_EXPIRES_AT:
        st = read_seconds(r, "expires_at", true, &record->expires_at_us);
        record->fields |= MN_HAS_EXPIRES_AT;
        return st;
    default:
        st = expect(r, MNI_JSON_NUMBER, r->fields.names[field]);
        if (st == MN_OK) {
            st = mni_json_read_i64(&r->scanner, &record->event_time_us);
            if (st != MN_OK)
                mni_error_prefix(r->err, "%s", r->fields.names[field]);
        }
        record->fields |= MN_HAS_EVENT_TIME;
        return st;
    }
}

static mn_status read_field(struct reading *r, size_t field, const struct mni_json_token *key)
{
    enum mni_json_type type;
    char text[QUOTED_BYTES];
    mn_status st;

    if (field == r->fields.n_names) {
        struct mn_slice name = key->raw;
        if (mni_json_token_text(key, &r->in->text, &name) != MN_OK)
            return out_of_memory(r->err);
        return mni_fail(r->err, MN_ERR_INVALID, "unknown key %s", quoted(name, text));
    }
    st = mni_json_peek(&r->scanner, &type);
    if (st != MN_OK)
        return st;
    if (field == FIELD_VECTOR_ROW)
        return read_vector_row(r);
    if ((type == MNI_JSON_NULL && field != FIELD_ID) || field == FIELD_LSN)
        return mni_json_skip_value(&r->scanner, NULL);
    switch (field) {
    case FIELD_ID:
        return r->is_point ? read_entity(r) : read_id(r, "id");
    case FIELD_VECTOR:
    case FIELD_VECTOR_BASE64:
        if (r->record->n_dims != 0)
            return mni_fail(r->err, MN_ERR_INVALID, "vector and vector_base64 are both given");
        return field == FIELD_VECTOR ? read_vector(r) : read_vector_base64(r);
    case FIELD_METADATA:
        return read_metadata(r);
    case FIELD_METADATA_TEXT:
        return read_metadata_text(r);
    case FIELD_PAYLOAD_BASE64:
        return read_payload(r);
    default:
        return read_times(r, field);
    }
}

static mn_status enter_line(struct reading *r, struct mn_slice line)
{
    enum mni_json_type type;

    *r->record = (struct mn_record){0};
    r->in->row_kind = ROW_NOT_SAID;
    mni_json_scanner_init(&r->scanner, line, LINE_DEPTH_MAX, r->err);
    mn_status st = mni_json_peek(&r->scanner, &type);
    if (st == MN_OK && type != MNI_JSON_OBJECT)
        return mni_fail(r->err, MN_ERR_INVALID, "line is %s, not an object", type_name(type));
    return st == MN_OK ? mni_json_enter_object(&r->scanner) : st;
}

static mn_status read_line(struct reading *r, struct mn_slice line)
{
    struct mni_json_token key;
    size_t field;
    mn_status st = enter_line(r, line);

    while (st == MN_OK) {
        st = mni_json_next_field(&r->scanner, &r->fields, &field, &key);
        if (st == MN_OK)
            st = read_field(r, field, &key);
    }
    if (st != MN_END)
        return st;
    st = mni_json_finish(&r->scanner);
    if (st == MN_OK && r->record->id.n_bytes == 0)
        st = mni_fail(r->err, MN_ERR_INVALID, "%s is missing", r->fields.names[FIELD_ID]);
    return st;
}

mn_status record_in_put(struct record_in *in, struct batch *batch, struct mn_slice line,
                        struct mn_record *record_out, struct mn_error *err)
{
    struct reading r = {.in = in, .batch = batch, .record = record_out, .err = err};

    r.fields = (struct mni_json_fields){.names = field_names, .n_names = N_FIELDS};
    return read_line(&r, line);
}

mn_status record_in_point(struct record_in *in, struct batch *batch, struct mn_slice line,
                          struct mn_record *record_out, struct mn_error *err)
{
    struct reading r = {.in = in, .batch = batch, .record = record_out, .err = err};

    r.is_point = true;
    r.fields = (struct mni_json_fields){.names = point_field_names, .n_names = FIELD_VECTOR_ROW};
    mn_status st = read_line(&r, line);
    if (st == MN_OK && (record_out->fields & MN_HAS_EVENT_TIME) == 0)
        st = mni_fail(err, MN_ERR_INVALID, "time_us is missing");
    if (st == MN_OK && record_out->n_dims == 0)
        st = mni_fail(err, MN_ERR_INVALID, "vector is missing");
    return st;
}

mn_status record_in_row(struct record_in *in, struct mn_slice line, struct mn_error *err)
{
    struct mn_record record;
    struct reading r = {.in = in, .record = &record, .err = err};
    struct mni_json_token key;
    mn_status st = enter_line(&r, line);

    while (st == MN_OK && (st = mni_json_next_key(&r.scanner, &key)) == MN_OK) {
        if (mni_json_token_is(&key, "vector_row"))
            st = read_vector_row(&r);
        else
            st = mni_json_skip_value(&r.scanner, NULL);
    }
    return st == MN_END ? MN_OK : st;
}

/* Appends `"key":value` to the metadata being built, after a comma or the brace. */
static mn_status append_field(struct mni_buf *metadata, struct mn_slice key, struct mn_slice value)
{
    if (mni_buf_append(metadata, metadata->n_bytes == 0 ? "{" : ",", 1) != MN_OK ||
        mni_buf_append(metadata, key.data, key.n_bytes) != MN_OK ||
        mni_buf_append(metadata, ":", 1) != MN_OK)
        return MN_ERR_NOMEM;
    return mni_buf_append(metadata, value.data, value.n_bytes);
}

mn_status record_in_flat(struct record_in *in, struct batch *batch, struct mn_slice line,
                         struct mn_slice id_field, struct mn_record *record_out,
                         struct mn_error *err)
{
    struct reading r = {.in = in, .batch = batch, .record = record_out, .err = err};
    /* The id's text and the metadata are made at the same time, so they need a buffer each. */
    struct mni_buf *metadata = &in->numbers;
    struct mni_json_token key;
    struct mn_slice raw;
    char name[QUOTED_BYTES];
    mn_status st = enter_line(&r, line);

    mni_buf_reset(metadata);
    while (st == MN_OK) {
        st = mni_json_next_key(&r.scanner, &key);
        if (st != MN_OK)
            break;
        if (!mni_json_token_equals(&key, id_field)) {
            st = mni_json_skip_value(&r.scanner, &raw);
            if (st == MN_OK && append_field(metadata, key.raw, raw) != MN_OK)
                st = out_of_memory(err);
        } else if (record_out->id.n_bytes != 0) {
            st = mni_fail(err, MN_ERR_INVALID, "key %s comes twice", quoted(id_field, name));
        } else {
            st = read_id(&r, quoted(id_field, name));
        }
    }
    if (st != MN_END)
        return st;
    st = mni_json_finish(&r.scanner);
    if (st != MN_OK)
        return st;
    if (record_out->id.n_bytes == 0)
        return mni_fail(err, MN_ERR_INVALID, "key %s is missing; it holds the id",
                        quoted(id_field, name));
    if (mni_buf_append(metadata, metadata->n_bytes == 0 ? "{}" : "}",
                       metadata->n_bytes == 0 ? 2 : 1) != MN_OK)
        return out_of_memory(err);
    return copy_to_batch(&r, metadata->data, metadata->n_bytes, &record_out->metadata);
}
