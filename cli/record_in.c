/*
 * record_in.c - a line of JSON becomes a record.
 *
 * Owns:    nothing; the bytes of a record belong to the batch.
 * Threads: the main one.
 * Fails:   with a message that names the field, not the line; the caller knows the line.
 */
#include "record_in.h"

#include "base/status.h"
#include "talk.h"

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
    struct mn_error *err;
    struct mni_json_fields fields; /* that the line may have */
    bool is_point;
    bool has_metadata_text;
};

void record_in_done(struct record_in *in)
{
    line_in_done(&in->line);
}

static mn_status read_id(struct reading *r, const char *name)
{
    struct line_in *line = &r->in->line;
    struct mn_slice text;
    mn_status st = line_in_text(line, name, &text);

    if (st != MN_OK)
        return st;
    if (text.n_bytes == 0)
        return mni_fail(r->err, MN_ERR_INVALID, "%s is empty", name);
    return line_in_copy(line, r->batch, text, &r->record->id);
}

static mn_status read_entity(struct reading *r)
{
    uint64_t entity = 0;
    struct mn_slice bytes = {.data = &entity, .n_bytes = sizeof entity};
    mn_status st = line_in_u64(&r->in->line, "entity", &entity);

    return st == MN_OK ? line_in_copy(&r->in->line, r->batch, bytes, &r->record->id) : st;
}

static mn_status read_vector_row(struct reading *r)
{
    struct line_in *line = &r->in->line;
    bool was_null = false;
    mn_status st = line_in_skip_null(line, &was_null);

    if (was_null) {
        r->in->row_kind = ROW_NONE;
        return st;
    }
    if (st == MN_OK)
        st = line_in_expect(line, MNI_JSON_NUMBER, "vector_row");
    if (st != MN_OK)
        return st;
    r->in->row_kind = ROW_SAID;
    st = mni_json_read_u64(&line->scanner, &r->in->row_index);
    if (st != MN_OK)
        mni_error_prefix(r->err, "vector_row");
    return st;
}

static mn_status read_metadata(struct reading *r)
{
    struct line_in *line = &r->in->line;
    struct mn_slice raw;
    mn_status st = line_in_expect(line, MNI_JSON_OBJECT, "metadata");

    if (st == MN_OK)
        st = mni_json_skip_value(&line->scanner, &raw);
    if (st != MN_OK || r->has_metadata_text)
        return st;
    return line_in_copy(line, r->batch, raw, &r->record->metadata);
}

/* Whether it is an object is for the library to judge. */
static mn_status read_metadata_text(struct reading *r)
{
    struct mn_slice text;
    mn_status st = line_in_text(&r->in->line, "metadata_text", &text);

    if (st != MN_OK)
        return st;
    if (text.n_bytes == 0)
        return mni_fail(r->err, MN_ERR_INVALID, "metadata_text is empty");
    r->has_metadata_text = true;
    return line_in_copy(&r->in->line, r->batch, text, &r->record->metadata);
}

static mn_status read_times(struct reading *r, size_t field)
{
    struct line_in *line = &r->in->line;
    struct mn_record *record = r->record;

    switch (field) {
    case FIELD_TTL_SECONDS:
        record->fields |= MN_HAS_TTL;
        return line_in_seconds(line, "ttl_seconds", false, &record->ttl_us);
    case FIELD_EXPIRES_AT:
        record->fields |= MN_HAS_EXPIRES_AT;
        return line_in_seconds(line, "expires_at", true, &record->expires_at_us);
    default:
        record->fields |= MN_HAS_EVENT_TIME;
        return line_in_i64(line, r->fields.names[field], &record->event_time_us);
    }
}

static mn_status read_value(struct reading *r, size_t field)
{
    struct line_in *line = &r->in->line;
    struct mn_record *record = r->record;

    switch (field) {
    case FIELD_ID:
        return r->is_point ? read_entity(r) : read_id(r, "id");
    case FIELD_VECTOR:
    case FIELD_VECTOR_BASE64:
        if (record->n_dims != 0)
            return mni_fail(r->err, MN_ERR_INVALID, "vector and vector_base64 are both given");
        if (field == FIELD_VECTOR)
            return line_in_vector(line, r->batch, "vector", &record->vector, &record->n_dims);
        return line_in_vector_base64(line, r->batch, "vector_base64", &record->vector,
                                     &record->n_dims);
    case FIELD_METADATA:
        return read_metadata(r);
    case FIELD_METADATA_TEXT:
        return read_metadata_text(r);
    case FIELD_PAYLOAD_BASE64:
        return line_in_payload(line, r->batch, "payload_base64", &record->payload);
    case FIELD_LSN:
        return mni_json_skip_value(&line->scanner, NULL);
    default:
        return read_times(r, field);
    }
}

static mn_status read_field(struct reading *r, size_t field)
{
    bool was_null = false;
    mn_status st = MN_OK;

    if (field == FIELD_VECTOR_ROW)
        return read_vector_row(r);
    if (field != FIELD_ID)
        st = line_in_skip_null(&r->in->line, &was_null);
    return st != MN_OK || was_null ? st : read_value(r, field);
}

static mn_status enter_line(struct reading *r, struct mn_slice line)
{
    *r->record = (struct mn_record){0};
    r->in->row_kind = ROW_NOT_SAID;
    return line_in_begin(&r->in->line, line, r->err);
}

static mn_status read_line(struct reading *r, struct mn_slice line)
{
    size_t field;
    mn_status st = enter_line(r, line);

    while (st == MN_OK) {
        st = line_in_next(&r->in->line, &r->fields, &field);
        if (st == MN_OK)
            st = read_field(r, field);
    }
    if (st == MN_END)
        st = r->record->id.n_bytes > 0
                 ? MN_OK
                 : mni_fail(r->err, MN_ERR_INVALID, "%s is missing", r->fields.names[FIELD_ID]);
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

    while (st == MN_OK && (st = mni_json_next_key(&in->line.scanner, &key)) == MN_OK) {
        if (mni_json_token_is(&key, "vector_row"))
            st = read_vector_row(&r);
        else
            st = mni_json_skip_value(&in->line.scanner, NULL);
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
    struct mni_buf *metadata = &in->line.numbers;
    struct mni_json_token key;
    struct mn_slice raw;
    char name[QUOTED_BYTES];
    mn_status st = enter_line(&r, line);

    mni_buf_reset(metadata);
    while (st == MN_OK) {
        st = mni_json_next_key(&in->line.scanner, &key);
        if (st != MN_OK)
            break;
        if (!mni_json_token_equals(&key, id_field)) {
            st = mni_json_skip_value(&in->line.scanner, &raw);
            if (st == MN_OK && append_field(metadata, key.raw, raw) != MN_OK)
                st = mni_fail(err, MN_ERR_NOMEM, "out of memory");
        } else if (record_out->id.n_bytes != 0) {
            st = mni_fail(err, MN_ERR_INVALID, "key %s comes twice", quoted(id_field, name));
        } else {
            st = read_id(&r, quoted(id_field, name));
        }
    }
    if (st != MN_END)
        return st;
    st = mni_json_finish(&in->line.scanner);
    if (st != MN_OK)
        return st;
    if (record_out->id.n_bytes == 0)
        return mni_fail(err, MN_ERR_INVALID, "key %s is missing; it holds the id",
                        quoted(id_field, name));
    if (mni_buf_append(metadata, metadata->n_bytes == 0 ? "{}" : "}",
                       metadata->n_bytes == 0 ? 2 : 1) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    struct mn_slice whole = {.data = metadata->data, .n_bytes = metadata->n_bytes};
    return line_in_copy(&in->line, batch, whole, &record_out->metadata);
}
