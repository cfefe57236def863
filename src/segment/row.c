/*
 * row.c - decodes rows: nothing is followed that leads out of its column.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for damage, and for nonsense behind a good checksum.
 */
#include <inttypes.h>

#include "segment/segment_private.h"

mn_status mni_segment_nonsense(const struct mni_segment *segment, uint64_t offset, const char *what,
                               struct mn_error *err)
{
    return mni_fail(err, MN_ERR_CORRUPT, "segment %s: block %" PRIu64 ", at offset %" PRIu64 ": %s",
                    segment->label, offset / SEG_BLOCK_BYTES, offset, what);
}

/* Heads -------------------------------------------------------------------------------------------
 */

static void decode_head(const unsigned char *p, struct row_head *h)
{
    uint64_t blob = mni_get_u64(p + SEG_ROW_OFF_BLOB);

    h->lsn = mni_get_u64(p + SEG_ROW_OFF_LSN);
    h->record_lsn = mni_get_u64(p + SEG_ROW_OFF_RECORD_LSN);
    h->event_time_us = mni_get_i64(p + SEG_ROW_OFF_EVENT_TIME);
    h->expires_at_us = mni_get_i64(p + SEG_ROW_OFF_EXPIRY);
    h->blob_offset = blob & ((UINT64_C(1) << SEG_ROW_BLOB_BITS) - 1);
    h->collection = mni_get_u64(p + SEG_ROW_OFF_COLLECTION);
    h->key_bytes = mni_get_u16(p + SEG_ROW_OFF_KEY_BYTES);
    h->flags = mni_get_u16(p + SEG_ROW_OFF_FLAGS);
    h->metadata_bytes = mni_get_u32(p + SEG_ROW_OFF_METADATA_BYTES);
    h->payload_bytes = mni_get_u32(p + SEG_ROW_OFF_PAYLOAD_BYTES);
    h->vector = mni_get_u32(p + SEG_ROW_OFF_VECTOR);
    h->n_dims = (uint32_t)(blob >> SEG_ROW_BLOB_BITS) + (h->vector != SEG_NO_VECTOR ? 1 : 0);
}

static uint64_t blob_bytes(const struct row_head *h)
{
    return blob_prefix_bytes(h->flags) + (uint64_t)h->key_bytes + h->metadata_bytes +
           ((h->flags & SEG_ROW_LARGE) != 0 ? 0 : h->payload_bytes);
}

static bool is_vector_good(const struct mni_segment *s, const struct row_head *h)
{
    enum mni_element_type type = head_element_type(h);

    if (h->vector == SEG_NO_VECTOR)
        return type == MNI_ELEMENT_NONE && h->n_dims == 0 && (h->flags & SEG_ROW_DIFFERENCE) == 0;
    if (type != MNI_ELEMENT_F32 && type != MNI_ELEMENT_F16)
        return false;
    if ((h->flags & SEG_ROW_DIFFERENCE) != 0)
        return type == MNI_ELEMENT_F32 &&
               h->vector < s->layout.columns[SEG_PLACES].bytes / SEG_PLACE_BYTES;
    uint64_t offset = (uint64_t)h->vector * 2;
    uint64_t n_bytes = (uint64_t)h->n_dims * element_bytes(type);
    uint64_t column_bytes = s->layout.columns[SEG_VECTORS].bytes;
    return offset % element_bytes(type) == 0 && n_bytes <= column_bytes &&
           offset <= column_bytes - n_bytes;
}

static const char *head_nonsense(const struct mni_segment *s, uint32_t row,
                                 const struct row_head *h)
{
    uint64_t n_blob = blob_bytes(h);
    uint64_t blobs_bytes = s->layout.columns[SEG_BLOBS].bytes;
    bool is_payload_large = h->payload_bytes > SEG_SMALL_PAYLOAD_BYTES_MAX;

    if ((h->flags & ~(uint32_t)SEG_ROW_ALL_FLAGS) != 0 ||
        (row == 0 && (h->flags & SEG_ROW_OLDER) != 0) || h->record_lsn > h->lsn)
        return "a row's flags or LSNs are impossible";
    if (h->key_bytes < 1 || h->key_bytes > KEY_BYTES_MAX ||
        h->metadata_bytes > MN_METADATA_BYTES_MAX || h->payload_bytes > MN_PAYLOAD_BYTES_MAX ||
        is_payload_large != ((h->flags & SEG_ROW_LARGE) != 0))
        return "a row's sizes are impossible";
    if (((h->flags & MNI_FIELD_EVENT_TIME) == 0 && h->event_time_us != 0) ||
        ((h->flags & MNI_FIELD_EXPIRY) == 0 && h->expires_at_us != 0))
        return "a row has a time that it does not have";
    if (n_blob > blobs_bytes || h->blob_offset > blobs_bytes - n_blob ||
        (is_payload_large && h->payload_bytes > s->layout.columns[SEG_PAYLOADS].bytes))
        return "a row lies outside of its column";
    if (!is_vector_good(s, h))
        return "a row's vector is impossible";
    return NULL;
}

mn_status mni_segment_head(struct mni_segment *segment, uint32_t row, struct row_head *head_out,
                           struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct span span;

    MNI_CHECK(row < s->info.n_rows);
    uint64_t offset = s->layout.columns[SEG_ROWS].offset + (uint64_t)row * SEG_ROW_BYTES;
    mn_status st = fetch(s, offset, SEG_ROW_BYTES, &span, err);
    if (st != MN_OK)
        return st;
    decode_head(span.bytes, head_out);
    release(s, span.pin);
    const char *what = head_nonsense(s, row, head_out);
    return what == NULL ? MN_OK : mni_segment_nonsense(s, offset, what, err);
}

void mni_segment_prefetch_head(const struct mni_segment *segment, uint32_t row)
{
    if (segment->map != NULL && row < segment->info.n_rows)
        __builtin_prefetch(segment->map + segment->layout.columns[SEG_ROWS].offset +
                           (uint64_t)row * SEG_ROW_BYTES);
}

mn_status mni_segment_row_key(struct mni_segment *segment, const struct row_head *head,
                              struct span *span_out, struct mn_error *err)
{
    uint64_t offset = segment->layout.columns[SEG_BLOBS].offset + head->blob_offset +
                      blob_prefix_bytes(head->flags);

    return fetch(segment, offset, head->key_bytes, span_out, err);
}

/* Rows --------------------------------------------------------------------------------------------
 */

static void fill_from_head(const struct row_head *h, struct mni_segment_row *row)
{
    *row = (struct mni_segment_row){
        .record =
            {
                .type = MNI_RECORD_UPSERT,
                .element_type = head_element_type(h),
                .fields = h->flags & SEG_ROW_FIELDS,
                .collection = h->collection,
                .key.n_bytes = h->key_bytes,
                .n_dims = h->n_dims,
                .metadata.n_bytes = h->metadata_bytes,
                .payload.n_bytes = h->payload_bytes,
                .event_time_us = h->event_time_us,
                .expires_at_us = h->expires_at_us,
            },
        .lsn = h->lsn,
        .record_lsn = h->record_lsn,
        .is_older = (h->flags & SEG_ROW_OLDER) != 0,
    };
}

mn_status mni_segment_row_head(struct mni_segment *segment, uint32_t row,
                               struct mni_segment_row *row_out, struct mn_error *err)
{
    struct row_head head;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_head(segment, row, &head, err);
    if (st == MN_OK)
        fill_from_head(&head, row_out);
    return st;
}

static mn_status fetch_vector(struct mni_segment *s, const struct row_head *h,
                              struct mni_segment_row *row, struct mn_error *err)
{
    struct span span;
    size_t n = h->n_dims * element_bytes(head_element_type(h));

    if (n == 0)
        return MN_OK;
    if (__builtin_expect((h->flags & SEG_ROW_DIFFERENCE) != 0, 0))
        return mni_segment_decode_row(s, h->vector, h->n_dims, row, err);
    mn_status st =
        fetch(s, s->layout.columns[SEG_VECTORS].offset + (uint64_t)h->vector * 2, n, &span, err);
    if (st != MN_OK)
        return st;
    row->record.vector = span.bytes;
    row->pins.vector = span.pin;
    return MN_OK;
}

static mn_status fetch_large_payload(struct mni_segment *s, const struct row_head *h,
                                     uint64_t blob_at, uint64_t offset, struct mni_segment_row *row,
                                     struct mn_error *err)
{
    const struct column *column = &s->layout.columns[SEG_PAYLOADS];
    struct span span;

    if (offset % SEG_PAYLOAD_ALIGN != 0 || h->payload_bytes > column->bytes ||
        offset > column->bytes - h->payload_bytes)
        return mni_segment_nonsense(s, blob_at, "a payload lies outside of its column", err);
    mn_status st = fetch(s, column->offset + offset, h->payload_bytes, &span, err);
    if (st != MN_OK)
        return st;
    row->record.payload.data = span.bytes;
    row->pins.payload = span.pin;
    return MN_OK;
}

static mn_status fetch_blob(struct mni_segment *s, const struct row_head *h,
                            struct mni_segment_row *row, struct mn_error *err)
{
    uint64_t at = s->layout.columns[SEG_BLOBS].offset + h->blob_offset;
    struct mni_record *r = &row->record;
    struct span span;
    uint64_t payload_offset = 0;
    mn_status st = fetch(s, at, (size_t)blob_bytes(h), &span, err);

    if (st != MN_OK)
        return st;
    row->pins.blob = span.pin;
    const unsigned char *p = span.bytes;
    if ((h->flags & SEG_ROW_LARGE) != 0) {
        payload_offset = mni_get_u64(p);
        p += 8;
    }
    if ((h->flags & MNI_FIELD_HITS) != 0) {
        r->hits = mni_get_u64(p);
        p += 8;
    }
    if ((h->flags & MNI_FIELD_SECOND_KEY) != 0) {
        r->second_key = p;
        p += MNI_SECOND_KEY_BYTES;
    }
    r->key.data = p;
    p += h->key_bytes;
    r->metadata.data = h->metadata_bytes > 0 ? p : NULL;
    p += h->metadata_bytes;
    if ((h->flags & SEG_ROW_LARGE) != 0)
        return fetch_large_payload(s, h, at, payload_offset, row, err);
    r->payload.data = h->payload_bytes > 0 ? p : NULL;
    return MN_OK;
}

mn_status mni_segment_row_of_head(struct mni_segment *segment, const struct row_head *head,
                                  struct mni_segment_row *row_out, struct mn_error *err)
{
    fill_from_head(head, row_out);
    mn_status st = fetch_blob(segment, head, row_out, err);
    if (st == MN_OK)
        st = fetch_vector(segment, head, row_out, err);
    if (st != MN_OK)
        mni_segment_row_done(segment, row_out);
    return st;
}

mn_status mni_segment_row(struct mni_segment *segment, uint32_t row,
                          struct mni_segment_row *row_out, struct mn_error *err)
{
    struct row_head head;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_head(segment, row, &head, err);
    return st == MN_OK ? mni_segment_row_of_head(segment, &head, row_out, err) : st;
}

mn_status mni_segment_row_without_vector(struct mni_segment *segment, uint32_t row,
                                         struct mni_segment_row *row_out, struct mn_error *err)
{
    struct row_head head;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_head(segment, row, &head, err);
    if (st != MN_OK)
        return st;
    fill_from_head(&head, row_out);
    st = fetch_blob(segment, &head, row_out, err);
    if (st != MN_OK)
        mni_segment_row_done(segment, row_out);
    return st;
}

void mni_segment_row_done(struct mni_segment *segment, struct mni_segment_row *row)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    release_vector(segment, row->pins.vector);
    release(segment, row->pins.blob);
    release(segment, row->pins.payload);
    row->pins = (struct mni_segment_pins){NULL, NULL, NULL};
}

void mni_segment_release(struct mni_segment *segment, void *pin)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    release_vector(segment, pin);
}
