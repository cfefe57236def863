/*
 * entry_in.c - a line of JSON becomes an entry of the cache.
 *
 * Owns:    nothing; the bytes of an entry belong to the batch.
 * Threads: the main one.
 * Fails:   with a message that names the key, not the line; the caller knows the line.
 */
#include "entry_in.h"

#include "base/status.h"
#include "exact_key.h"

enum field {
    FIELD_ID,
    FIELD_KEY,
    FIELD_REQUEST,
    FIELD_CONTEXT,
    FIELD_MODEL,
    FIELD_EMBEDDING,
    FIELD_EMBEDDING_BASE64,
    FIELD_PAYLOAD,
    FIELD_PAYLOAD_BASE64,
    FIELD_TTL_SECONDS,
    FIELD_EXPIRES_AT,
    FIELD_EXPIRES_AT_US,
    FIELD_EVENT_TIME_US,
    FIELD_EXPECTED_LSN,
    FIELD_LSN, /* from here on they are ignored: what get prints can be put */
    FIELD_HITS,
    FIELD_LAST_HIT_US,
    N_FIELDS,
};

static const char *const field_names[N_FIELDS] = {
    [FIELD_ID] = "id",
    [FIELD_KEY] = "key",
    [FIELD_REQUEST] = "request",
    [FIELD_CONTEXT] = "context",
    [FIELD_MODEL] = "model",
    [FIELD_EMBEDDING] = "embedding",
    [FIELD_EMBEDDING_BASE64] = "embedding_base64",
    [FIELD_PAYLOAD] = "payload",
    [FIELD_PAYLOAD_BASE64] = "payload_base64",
    [FIELD_TTL_SECONDS] = "ttl_seconds",
    [FIELD_EXPIRES_AT] = "expires_at",
    [FIELD_EXPIRES_AT_US] = "expires_at_us",
    [FIELD_EVENT_TIME_US] = "event_time_us",
    [FIELD_EXPECTED_LSN] = "expected_lsn",
    [FIELD_LSN] = "lsn",
    [FIELD_HITS] = "hits",
    [FIELD_LAST_HIT_US] = "last_hit_us",
};

/* One line on its way into an entry. */
struct reading {
    struct line_in *line;
    struct batch *batch;
    struct entry_line *out;
    struct mn_error *err;
    bool has_payload;
};

static mn_status refuse_both(const struct reading *r, size_t first, size_t second)
{
    return mni_fail(r->err, MN_ERR_INVALID, "%s and %s are both given", field_names[first],
                    field_names[second]);
}

static mn_status read_text(struct reading *r, size_t field, struct mn_slice *copy_out)
{
    struct mn_slice text;
    mn_status st = line_in_text(r->line, field_names[field], &text);

    if (st == MN_OK && field == FIELD_PAYLOAD && text.n_bytes > MN_PAYLOAD_BYTES_MAX)
        st =
            mni_fail(r->err, MN_ERR_LIMIT, "payload is larger than %d bytes", MN_PAYLOAD_BYTES_MAX);
    return st == MN_OK ? line_in_copy(r->line, r->batch, text, copy_out) : st;
}

static mn_status read_key(struct reading *r)
{
    struct mn_slice text;
    mn_status st = line_in_text(r->line, "key", &text);

    if (st == MN_OK && !exact_key_parse(text, r->out->key))
        st = mni_fail(r->err, MN_ERR_INVALID, "key is not of %d hexadecimal digits",
                      KEY_TEXT_BYTES - 1);
    r->out->entry.key = r->out->key;
    return st;
}

/* By which it is found. */
static mn_status read_handles(struct reading *r, size_t field)
{
    struct mn_semcache_entry *entry = &r->out->entry;

    switch (field) {
    case FIELD_ID:
        entry->fields |= MN_HAS_ENTRY_ID;
        return line_in_u64(r->line, "id", &entry->id);
    case FIELD_KEY:
        return r->out->has_request ? refuse_both(r, FIELD_KEY, FIELD_REQUEST) : read_key(r);
    case FIELD_REQUEST:
        r->out->has_request = true;
        if (entry->key != NULL)
            return refuse_both(r, FIELD_KEY, FIELD_REQUEST);
        return read_text(r, field, &r->out->request);
    case FIELD_CONTEXT:
        return line_in_u64(r->line, "context", &entry->context);
    case FIELD_MODEL:
        return read_text(r, field, &entry->model);
    default:
        r->out->has_expected_lsn = true;
        return line_in_u64(r->line, "expected_lsn", &r->out->expected_lsn);
    }
}

static mn_status read_content(struct reading *r, size_t field)
{
    struct mn_semcache_entry *entry = &r->out->entry;

    if (field == FIELD_EMBEDDING || field == FIELD_EMBEDDING_BASE64) {
        if (entry->n_dims != 0)
            return refuse_both(r, FIELD_EMBEDDING, FIELD_EMBEDDING_BASE64);
        if (field == FIELD_EMBEDDING)
            return line_in_vector(r->line, r->batch, field_names[field], &entry->embedding,
                                  &entry->n_dims);
        return line_in_vector_base64(r->line, r->batch, field_names[field], &entry->embedding,
                                     &entry->n_dims);
    }
    if (r->has_payload)
        return refuse_both(r, FIELD_PAYLOAD, FIELD_PAYLOAD_BASE64);
    r->has_payload = true;
    if (field == FIELD_PAYLOAD)
        return read_text(r, field, &entry->payload);
    return line_in_payload(r->line, r->batch, field_names[field], &entry->payload);
}

static mn_status read_times(struct reading *r, size_t field)
{
    struct mn_semcache_entry *entry = &r->out->entry;

    switch (field) {
    case FIELD_TTL_SECONDS:
        entry->fields |= MN_HAS_TTL;
        return line_in_seconds(r->line, "ttl_seconds", false, &entry->ttl_us);
    case FIELD_EVENT_TIME_US:
        entry->fields |= MN_HAS_EVENT_TIME;
        return line_in_i64(r->line, "event_time_us", &entry->event_time_us);
    default:
        if ((entry->fields & MN_HAS_EXPIRES_AT) != 0)
            return refuse_both(r, FIELD_EXPIRES_AT, FIELD_EXPIRES_AT_US);
        entry->fields |= MN_HAS_EXPIRES_AT;
        if (field == FIELD_EXPIRES_AT_US)
            return line_in_i64(r->line, "expires_at_us", &entry->expires_at_us);
        return line_in_seconds(r->line, "expires_at", true, &entry->expires_at_us);
    }
}

static mn_status read_field(struct reading *r, size_t field)
{
    bool was_null = false;
    mn_status st = line_in_skip_null(r->line, &was_null);

    if (st != MN_OK || was_null)
        return st;
    switch (field) {
    case FIELD_EMBEDDING:
    case FIELD_EMBEDDING_BASE64:
    case FIELD_PAYLOAD:
    case FIELD_PAYLOAD_BASE64:
        return read_content(r, field);
    case FIELD_TTL_SECONDS:
    case FIELD_EXPIRES_AT:
    case FIELD_EXPIRES_AT_US:
    case FIELD_EVENT_TIME_US:
        return read_times(r, field);
    case FIELD_LSN:
    case FIELD_HITS:
    case FIELD_LAST_HIT_US:
        return mni_json_skip_value(&r->line->scanner, NULL);
    default:
        return read_handles(r, field);
    }
}

mn_status entry_in_line(struct line_in *line, struct batch *batch, struct mn_slice text,
                        struct entry_line *entry_out, struct mn_error *err)
{
    struct mni_json_fields fields = {.names = field_names, .n_names = N_FIELDS};
    struct reading r = {.line = line, .batch = batch, .out = entry_out, .err = err};
    size_t field;

    *entry_out = (struct entry_line){0};
    mn_status st = line_in_begin(line, text, err);
    while (st == MN_OK && (st = line_in_next(line, &fields, &field)) == MN_OK)
        st = read_field(&r, field);
    if (st != MN_END)
        return st;
    if (!r.has_payload)
        return mni_fail(err, MN_ERR_INVALID, "payload is missing");
    if (entry_out->has_expected_lsn && (entry_out->entry.fields & MN_HAS_ENTRY_ID) == 0)
        return mni_fail(err, MN_ERR_INVALID, "expected_lsn needs an id");
    return MN_OK;
}
