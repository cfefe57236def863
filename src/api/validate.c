/*
 * validate.c - checks what callers pass, before anything is allocated or changed.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_INVALID or MN_ERR_LIMIT, saying what is wrong and where.
 */
#include <inttypes.h>

#include "api/store_private.h"
#include "base/utf8.h"
#include "json/json.h"

mn_status api_check_store(const mn_store *store, struct mn_error *err)
{
    if (store == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no store is given");
    return mni_engine_check(store->engine, err);
}

static mn_status check_text(struct mn_slice text, const char *what, size_t n_max,
                            struct mn_error *err)
{
    if (text.n_bytes == 0)
        return mni_fail(err, MN_ERR_INVALID, "%s is empty", what);
    if (text.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "%s has bytes and no address", what);
    if (text.n_bytes > n_max)
        return mni_fail(err, MN_ERR_LIMIT, "%s has %zu bytes, the limit is %zu", what, text.n_bytes,
                        n_max);
    size_t valid = mni_utf8_valid_prefix(text.data, text.n_bytes);
    if (valid != text.n_bytes)
        return mni_fail(err, MN_ERR_INVALID, "%s is not UTF-8 at byte %zu", what, valid);
    return MN_OK;
}

mn_status api_check_name(struct mn_slice name, struct mn_error *err)
{
    return check_text(name, "name of the namespace", MN_NAMESPACE_BYTES_MAX, err);
}

mn_status api_check_space_name(struct mn_slice name, struct mn_error *err)
{
    return check_text(name, "name of the space", MN_SPACE_NAME_BYTES_MAX, err);
}

mn_status api_check_id(struct mn_slice id, struct mn_error *err)
{
    return check_text(id, "id", MN_ID_BYTES_MAX, err);
}

static mn_status check_metadata(struct mn_slice metadata, struct mn_error *err)
{
    struct mn_error why;

    if (metadata.n_bytes == 0)
        return MN_OK;
    if (metadata.n_bytes > MN_METADATA_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "metadata has %zu bytes, the limit is %d",
                        metadata.n_bytes, MN_METADATA_BYTES_MAX);
    if (metadata.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "metadata has bytes and no address");
    mn_status st = mni_json_check_object(metadata, MN_METADATA_DEPTH_MAX, NULL, &why);
    if (st == MN_ERR_LIMIT)
        return mni_fail(err, st, "metadata is nested deeper than %d", MN_METADATA_DEPTH_MAX);
    if (st != MN_OK)
        return mni_fail(err, MN_ERR_INVALID, "metadata is no JSON object: %.300s", why.message);
    return MN_OK;
}

mn_status api_check_expiry(uint32_t fields, int64_t when_us, struct mn_error *err)
{
    if ((fields & ~(uint32_t)(MN_HAS_EXPIRES_AT | MN_HAS_TTL)) != 0)
        return mni_fail(err, MN_ERR_INVALID, "unknown expiry fields %" PRIu32, fields);
    if ((fields & MN_HAS_TTL) != 0 && (fields & MN_HAS_EXPIRES_AT) == 0 && when_us < 0)
        return mni_fail(err, MN_ERR_INVALID, "time to live is negative");
    return MN_OK;
}

mn_status api_check_record(const struct mn_record *r, struct mn_error *err)
{
    mn_status st = api_check_id(r->id, err);

    return st == MN_OK ? api_check_content(r, err) : st;
}

mn_status api_check_content(const struct mn_record *r, struct mn_error *err)
{
    const uint32_t known = MN_HAS_EXPIRES_AT | MN_HAS_TTL | MN_HAS_EVENT_TIME;

    if (r->n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "vector has %" PRIu32 " dimensions, the limit is %d",
                        r->n_dims, MN_DIMENSIONS_MAX);
    if (r->n_dims > 0 && r->vector == NULL)
        return mni_fail(err, MN_ERR_INVALID, "vector has dimensions and no address");
    if (r->payload.n_bytes > MN_PAYLOAD_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "payload has %zu bytes, the limit is %d",
                        r->payload.n_bytes, MN_PAYLOAD_BYTES_MAX);
    if (r->payload.n_bytes > 0 && r->payload.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "payload has bytes and no address");
    if ((r->fields & ~known) != 0)
        return mni_fail(err, MN_ERR_INVALID, "unknown record fields %" PRIu32, r->fields);
    mn_status st =
        api_check_expiry(r->fields & (MN_HAS_EXPIRES_AT | MN_HAS_TTL),
                         (r->fields & MN_HAS_EXPIRES_AT) != 0 ? r->expires_at_us : r->ttl_us, err);
    return st == MN_OK ? check_metadata(r->metadata, err) : st;
}

mn_status api_ack(const struct mn_write_options *options, mn_ack *ack_out, struct mn_error *err)
{
    struct mn_write_options o;
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_write_options", err);

    if (st != MN_OK)
        return st;
    if (o.ack < MN_ACK_DEFAULT || o.ack > MN_ACK_DISK)
        return mni_fail(err, MN_ERR_INVALID, "ack level %d is unknown", (int)o.ack);
    *ack_out = o.ack;
    return MN_OK;
}

int64_t api_expiry_of_ttl(int64_t now_us, int64_t ttl_us)
{
    int64_t when;

    return __builtin_add_overflow(now_us, ttl_us, &when) ? INT64_MAX : when;
}

struct mni_record api_engine_record(const struct mn_record *r, int64_t now_us)
{
    struct mni_record record = {
        .type = MNI_RECORD_UPSERT,
        .element_type = r->n_dims > 0 ? MNI_ELEMENT_F32 : MNI_ELEMENT_NONE,
        .key = r->id,
        .vector = r->vector,
        .n_dims = r->n_dims,
        .metadata = r->metadata,
        .payload = r->payload,
    };

    if ((r->fields & MN_HAS_EVENT_TIME) != 0) {
        record.fields |= MNI_FIELD_EVENT_TIME;
        record.event_time_us = r->event_time_us;
    }
    if ((r->fields & MN_HAS_EXPIRES_AT) != 0) {
        record.fields |= MNI_FIELD_EXPIRY;
        record.expires_at_us = r->expires_at_us;
    } else if ((r->fields & MN_HAS_TTL) != 0) {
        record.fields |= MNI_FIELD_EXPIRY;
        record.expires_at_us = api_expiry_of_ttl(now_us, r->ttl_us);
    }
    return record;
}

struct mni_record api_touch_record(struct mn_slice id, uint32_t fields, int64_t when_us,
                                   int64_t now_us)
{
    struct mni_record record = {.type = MNI_RECORD_PATCH, .key = id};

    if (fields == 0) {
        record.clears = MNI_FIELD_EXPIRY;
        return record;
    }
    record.fields = MNI_FIELD_EXPIRY;
    record.expires_at_us = (fields & MN_HAS_EXPIRES_AT) != 0 ? when_us
                                                             : api_expiry_of_ttl(now_us, when_us);
    return record;
}
