/*
 * record.c - encodes and decodes records.
 *
 * Owns:    nothing.
 * Format:  docs/format/record.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for bytes that no encoder wrote.
 */
#include "record/record.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "mneme/limits.h"
#include "record/format.h"

enum {
    ALL_FIELDS = MNI_FIELD_EVENT_TIME | MNI_FIELD_EXPIRY | MNI_FIELD_HITS | MNI_FIELD_SECOND_KEY,
    KEY_BYTES_MAX = MN_ID_BYTES_MAX + 1,
};

static size_t element_bytes(enum mni_element_type type)
{
    return type == MNI_ELEMENT_F32 ? 4 : type == MNI_ELEMENT_F16 ? 2 : 0;
}

static size_t optional_bytes(uint32_t fields)
{
    return ((fields & MNI_FIELD_EVENT_TIME) != 0 ? 8U : 0U) +
           ((fields & MNI_FIELD_EXPIRY) != 0 ? 8U : 0U) +
           ((fields & MNI_FIELD_HITS) != 0 ? 8U : 0U) +
           ((fields & MNI_FIELD_SECOND_KEY) != 0 ? MNI_SECOND_KEY_BYTES : 0U);
}

static size_t unpadded_bytes(const struct mni_record *r)
{
    return RECORD_HEADER_BYTES + optional_bytes(r->fields) +
           (size_t)r->n_dims * element_bytes(r->element_type) + r->key.n_bytes +
           r->metadata.n_bytes + r->payload.n_bytes;
}

size_t mni_record_encoded_bytes(const struct mni_record *record)
{
    return mni_align_up(unpadded_bytes(record), MNI_RECORD_ALIGN);
}

static unsigned char *put_bytes(unsigned char *p, const void *data, size_t n)
{
    if (n > 0)
        memcpy(p, data, n);
    return p + n;
}

void mni_record_encode(const struct mni_record *r, void *out)
{
    unsigned char *start = out;
    unsigned char *p = start + RECORD_HEADER_BYTES;
    size_t n_bytes = mni_record_encoded_bytes(r);

    MNI_CHECK(r->key.n_bytes >= 1 && r->key.n_bytes <= KEY_BYTES_MAX);
    MNI_CHECK((r->n_dims == 0) == (r->element_type == MNI_ELEMENT_NONE));
    mni_put_u32(start + RECORD_OFF_BYTES, (uint32_t)n_bytes);
    start[RECORD_OFF_TYPE] = (unsigned char)r->type;
    start[RECORD_OFF_ELEMENT_TYPE] = (unsigned char)r->element_type;
    start[RECORD_OFF_FIELDS] = (unsigned char)r->fields;
    start[RECORD_OFF_CLEARS] = (unsigned char)r->clears;
    mni_put_u64(start + RECORD_OFF_COLLECTION, r->collection);
    mni_put_u32(start + RECORD_OFF_DIMS, r->n_dims);
    mni_put_u32(start + RECORD_OFF_METADATA_BYTES, (uint32_t)r->metadata.n_bytes);
    mni_put_u32(start + RECORD_OFF_PAYLOAD_BYTES, (uint32_t)r->payload.n_bytes);
    mni_put_u16(start + RECORD_OFF_KEY_BYTES, (uint16_t)r->key.n_bytes);
    mni_put_u16(start + RECORD_OFF_RESERVED, 0);
    if ((r->fields & MNI_FIELD_EVENT_TIME) != 0) {
        mni_put_i64(p, r->event_time_us);
        p += 8;
    }
    if ((r->fields & MNI_FIELD_EXPIRY) != 0) {
        mni_put_i64(p, r->expires_at_us);
        p += 8;
    }
    if ((r->fields & MNI_FIELD_HITS) != 0) {
        mni_put_u64(p, r->hits);
        p += 8;
    }
    if ((r->fields & MNI_FIELD_SECOND_KEY) != 0)
        p = put_bytes(p, r->second_key, MNI_SECOND_KEY_BYTES);
    p = put_bytes(p, r->vector, (size_t)r->n_dims * element_bytes(r->element_type));
    p = put_bytes(p, r->key.data, r->key.n_bytes);
    p = put_bytes(p, r->metadata.data, r->metadata.n_bytes);
    p = put_bytes(p, r->payload.data, r->payload.n_bytes);
    memset(p, 0, n_bytes - (size_t)(p - start));
}

/* Sets the pointers of a record whose sizes are known to lie inside `bytes`. */
static void locate_parts(const unsigned char *bytes, struct mni_record *r)
{
    const unsigned char *p = bytes + RECORD_HEADER_BYTES;

    if ((r->fields & MNI_FIELD_EVENT_TIME) != 0) {
        r->event_time_us = mni_get_i64(p);
        p += 8;
    }
    if ((r->fields & MNI_FIELD_EXPIRY) != 0) {
        r->expires_at_us = mni_get_i64(p);
        p += 8;
    }
    if ((r->fields & MNI_FIELD_HITS) != 0) {
        r->hits = mni_get_u64(p);
        p += 8;
    }
    if ((r->fields & MNI_FIELD_SECOND_KEY) != 0) {
        r->second_key = p;
        p += MNI_SECOND_KEY_BYTES;
    }
    if (r->n_dims > 0)
        r->vector = p;
    p += (size_t)r->n_dims * element_bytes(r->element_type);
    r->key.data = p;
    p += r->key.n_bytes;
    r->metadata.data = p;
    p += r->metadata.n_bytes;
    r->payload.data = p;
}

void mni_record_view(const void *bytes, struct mni_record *record_out)
{
    const unsigned char *b = bytes;
    struct mni_record *r = record_out;

    /* Field by field: this is on the path of every read, and clearing the struct first costs as
     * much as filling it. */
    r->type = (enum mni_record_type)b[RECORD_OFF_TYPE];
    r->element_type = (enum mni_element_type)b[RECORD_OFF_ELEMENT_TYPE];
    r->fields = b[RECORD_OFF_FIELDS];
    r->clears = b[RECORD_OFF_CLEARS];
    r->collection = mni_get_u64(b + RECORD_OFF_COLLECTION);
    r->n_dims = mni_get_u32(b + RECORD_OFF_DIMS);
    r->key.n_bytes = mni_get_u16(b + RECORD_OFF_KEY_BYTES);
    r->metadata.n_bytes = mni_get_u32(b + RECORD_OFF_METADATA_BYTES);
    r->payload.n_bytes = mni_get_u32(b + RECORD_OFF_PAYLOAD_BYTES);
    r->vector = NULL;
    r->event_time_us = 0;
    r->expires_at_us = 0;
    r->hits = 0;
    r->second_key = NULL;
    locate_parts(b, r);
}

uint64_t mni_record_collection(const void *bytes)
{
    return mni_get_u64((const unsigned char *)bytes + RECORD_OFF_COLLECTION);
}

struct mn_slice mni_record_key(const void *bytes)
{
    const unsigned char *b = bytes;
    size_t vector_bytes = (size_t)mni_get_u32(b + RECORD_OFF_DIMS) *
                          element_bytes((enum mni_element_type)b[RECORD_OFF_ELEMENT_TYPE]);

    return (struct mn_slice){
        .data = b + RECORD_HEADER_BYTES + optional_bytes(b[RECORD_OFF_FIELDS]) + vector_bytes,
        .n_bytes = mni_get_u16(b + RECORD_OFF_KEY_BYTES),
    };
}

bool mni_record_expiry(const void *bytes, int64_t *expires_at_us_out)
{
    const unsigned char *b = bytes;

    if ((b[RECORD_OFF_FIELDS] & MNI_FIELD_EXPIRY) == 0)
        return false;
    *expires_at_us_out = mni_get_i64(b + RECORD_HEADER_BYTES +
                                     optional_bytes(b[RECORD_OFF_FIELDS] & MNI_FIELD_EVENT_TIME));
    return true;
}

static mn_status check_header(const struct mni_record *r, uint16_t reserved, struct mn_error *err)
{
    if (r->type < MNI_RECORD_UPSERT || r->type > MNI_RECORD_PATCH)
        return mni_fail(err, MN_ERR_CORRUPT, "record type %d is unknown", (int)r->type);
    if (r->element_type > MNI_ELEMENT_F16)
        return mni_fail(err, MN_ERR_CORRUPT, "element type %d is unknown", (int)r->element_type);
    if ((r->fields & ~(uint32_t)ALL_FIELDS) != 0 || (r->clears & ~(uint32_t)ALL_FIELDS) != 0 ||
        reserved != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "record has unknown fields");
    if (r->key.n_bytes < 1 || r->key.n_bytes > KEY_BYTES_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "key has %zu bytes", r->key.n_bytes);
    if (r->n_dims > MN_DIMENSIONS_MAX || (r->n_dims == 0) != (r->element_type == MNI_ELEMENT_NONE))
        return mni_fail(err, MN_ERR_CORRUPT, "vector has %" PRIu32 " dimensions", r->n_dims);
    if (r->metadata.n_bytes > MN_METADATA_BYTES_MAX || r->payload.n_bytes > MN_PAYLOAD_BYTES_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "metadata or payload is over its limit");
    if (r->type == MNI_RECORD_UPSERT ? r->clears != 0
                                     : r->n_dims + r->metadata.n_bytes + r->payload.n_bytes != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "record has parts that its type does not have");
    if (r->type == MNI_RECORD_DELETE && (r->fields | r->clears) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "delete has fields");
    if (r->type == MNI_RECORD_PATCH &&
        ((r->fields & r->clears) != 0 || (r->fields | r->clears) == 0 ||
         ((r->fields | r->clears) & ~(uint32_t)(MNI_FIELD_EXPIRY | MNI_FIELD_HITS)) != 0))
        return mni_fail(err, MN_ERR_CORRUPT, "patch sets fields that a patch cannot");
    return MN_OK;
}

mn_status mni_record_decode(const void *bytes, size_t n_available, struct mni_record *record_out,
                            size_t *n_used_out, struct mn_error *err)
{
    const unsigned char *b = bytes;

    if (n_available < RECORD_HEADER_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "record is cut inside its header");
    size_t n_bytes = mni_get_u32(b + RECORD_OFF_BYTES);
    if (n_bytes < RECORD_HEADER_BYTES || n_bytes > n_available || n_bytes % MNI_RECORD_ALIGN != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "record of %zu bytes in %zu", n_bytes, n_available);
    struct mni_record r = {
        .type = (enum mni_record_type)b[RECORD_OFF_TYPE],
        .element_type = (enum mni_element_type)b[RECORD_OFF_ELEMENT_TYPE],
        .fields = b[RECORD_OFF_FIELDS],
        .clears = b[RECORD_OFF_CLEARS],
        .collection = mni_get_u64(b + RECORD_OFF_COLLECTION),
        .n_dims = mni_get_u32(b + RECORD_OFF_DIMS),
        .key.n_bytes = mni_get_u16(b + RECORD_OFF_KEY_BYTES),
        .metadata.n_bytes = mni_get_u32(b + RECORD_OFF_METADATA_BYTES),
        .payload.n_bytes = mni_get_u32(b + RECORD_OFF_PAYLOAD_BYTES),
    };
    mn_status st = check_header(&r, mni_get_u16(b + RECORD_OFF_RESERVED), err);
    if (st != MN_OK)
        return st;
    size_t used = unpadded_bytes(&r); /* cannot overflow: each part is under its limit */
    if (mni_align_up(used, MNI_RECORD_ALIGN) != n_bytes)
        return mni_fail(err, MN_ERR_CORRUPT, "record of %zu bytes has parts of %zu", n_bytes, used);
    if (!mni_is_zero(b + used, n_bytes - used))
        return mni_fail(err, MN_ERR_CORRUPT, "record padding is not zero");
    locate_parts(b, &r);
    *record_out = r;
    if (n_used_out != NULL)
        *n_used_out = n_bytes;
    return MN_OK;
}

void mni_record_set_collection(void *bytes, uint64_t collection)
{
    mni_put_u64((unsigned char *)bytes + RECORD_OFF_COLLECTION, collection);
}

size_t mni_record_bytes(const void *bytes)
{
    return mni_get_u32((const unsigned char *)bytes + RECORD_OFF_BYTES);
}
