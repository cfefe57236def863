/*
 * s3_xml_answers.c - what the answers of S3 servers say.
 *
 * Owns:    the items and keys of a listing, until mni_s3_listing_done.
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT when the text is not the answer that is meant; MN_ERR_NOMEM.
 */
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "object/s3_sign_private.h"
#include "object/s3_xml_private.h"

static bool is_text(struct mn_slice slice, const char *text)
{
    return slice.n_bytes == strlen(text) && memcmp(slice.data, text, slice.n_bytes) == 0;
}

static struct mn_slice slice_of(const struct mni_buf *buf)
{
    return (struct mn_slice){buf->n_bytes == 0 ? (const void *)"" : buf->data, buf->n_bytes};
}

bool mni_s3_parse_u64(struct mn_slice text, uint64_t *value_out)
{
    const char *at = text.data;
    uint64_t value = 0;

    if (text.n_bytes == 0)
        return false;
    for (size_t i = 0; i < text.n_bytes; i++)
        if (at[i] < '0' || at[i] > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(at[i] - '0'), &value))
            return false;
    *value_out = value;
    return true;
}

bool mni_s3_copy_etag(struct mn_slice text, char etag_out[MN_OBJECT_ETAG_BYTES])
{
    const char *at = text.data;
    size_t n = text.n_bytes;

    if (n >= 2 && at[0] == '"' && at[n - 1] == '"') {
        at++;
        n -= 2;
    }
    if (n == 0 || n >= MN_OBJECT_ETAG_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (at[i] <= ' ' || at[i] >= 0x7f || at[i] == '"')
            return false;
    memcpy(etag_out, at, n);
    etag_out[n] = '\0';
    return true;
}

/* Copies text without a NUL in it; false when there is no room. */
static bool copy_text(struct mn_slice text, char *out, size_t capacity)
{
    if (text.n_bytes >= capacity || memchr(text.data, '\0', text.n_bytes) != NULL)
        return false;
    memcpy(out, text.data, text.n_bytes);
    out[text.n_bytes] = '\0';
    return true;
}

/* The decoding of encoding-type=url, where a space may be "+" too. */
static bool decode_url(struct mni_buf *text)
{
    unsigned char *at = text->data;
    size_t n = 0;

    for (size_t i = 0; i < text->n_bytes; i++) {
        unsigned char c = at[i] == '+' ? ' ' : at[i];
        if (at[i] == '%') {
            unsigned value = 0;
            if (text->n_bytes - i < 3)
                return false;
            for (size_t j = i + 1; j < i + 3; j++) {
                unsigned digit = at[j] >= '0' && at[j] <= '9'   ? at[j] - 48U
                                 : at[j] >= 'a' && at[j] <= 'f' ? at[j] - 87U
                                 : at[j] >= 'A' && at[j] <= 'F' ? at[j] - 55U
                                                                : 16;
                if (digit > 15)
                    return false;
                value = value * 16 + digit;
            }
            c = (unsigned char)value;
            i += 2;
        }
        at[n++] = c;
    }
    text->n_bytes = n;
    return true;
}

/* Enters the root; MN_ERR_CORRUPT when it has another name. */
static mn_status enter_root(struct mni_s3_xml *xml, struct mn_slice text, const char *name)
{
    struct mni_s3_xml_token token;

    mni_s3_xml_init(xml, text);
    mn_status st = mni_s3_xml_next(xml, &token);
    if (st == MN_OK && (token.type != MNI_S3_XML_BEGIN || !is_text(token.text, name)))
        st = MN_ERR_CORRUPT;
    return st == MN_END ? MN_ERR_CORRUPT : st;
}

/* The next element inside the one that is open. MN_END: that one has ended. Text between elements
 * is passed over. */
static mn_status next_child(struct mni_s3_xml *xml, struct mn_slice *name_out)
{
    struct mni_s3_xml_token token;
    mn_status st;

    while ((st = mni_s3_xml_next(xml, &token)) == MN_OK && token.type == MNI_S3_XML_TEXT)
        continue;
    MNI_CHECK(st != MN_END);
    if (st != MN_OK)
        return st;
    *name_out = token.text;
    return token.type == MNI_S3_XML_BEGIN ? MN_OK : MN_END;
}

/* After the root's END: nothing may follow. */
static mn_status leave_root(struct mni_s3_xml *xml, mn_status st)
{
    struct mni_s3_xml_token token;

    if (st != MN_END)
        return st;
    st = mni_s3_xml_next(xml, &token);
    return st == MN_END ? MN_OK : MN_ERR_CORRUPT;
}

static mn_status read_bool(struct mni_s3_xml *xml, struct mni_buf *scratch, bool *value_out)
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st != MN_OK)
        return st;
    *value_out = is_text(slice_of(scratch), "true");
    return *value_out || is_text(slice_of(scratch), "false") ? MN_OK : MN_ERR_CORRUPT;
}

static mn_status read_u64(struct mni_s3_xml *xml, struct mni_buf *scratch, uint64_t *value_out)
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st == MN_OK && !mni_s3_parse_u64(slice_of(scratch), value_out))
        st = MN_ERR_CORRUPT;
    return st;
}

static mn_status read_time(struct mni_s3_xml *xml, struct mni_buf *scratch, int64_t *time_us_out)
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st == MN_OK && !mni_s3_time_parse_iso(slice_of(scratch), time_us_out))
        st = MN_ERR_CORRUPT;
    return st;
}

static mn_status read_etag(struct mni_s3_xml *xml, struct mni_buf *scratch,
                           char etag_out[MN_OBJECT_ETAG_BYTES])
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st == MN_OK && !mni_s3_copy_etag(slice_of(scratch), etag_out))
        st = MN_ERR_CORRUPT;
    return st;
}

/* Errors -----------------------------------------------------------------------------------------
 */

/* What is not to be passed on is as if it were not there: what is cut could hold a part of it. */
static mn_status read_cut(struct mni_s3_xml *xml, struct mni_buf *scratch,
                          const struct mni_s3_unsaid *unsaid, char *out, size_t capacity)
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st != MN_OK)
        return st;
    size_t n = scratch->n_bytes < capacity - 1 ? scratch->n_bytes : capacity - 1;
    if (unsaid != NULL && unsaid->is_in(unsaid->context, slice_of(scratch)))
        n = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = scratch->data[i] == '\0' ? '?' : (char)scratch->data[i];
    out[n] = '\0';
    return MN_OK;
}

bool mni_s3_read_fault(struct mn_slice text, const struct mni_s3_unsaid *unsaid,
                       struct mni_s3_fault *fault_out)
{
    struct mni_s3_fault fault = {0};
    struct mni_buf scratch = {0};
    struct mni_s3_xml xml;
    struct mn_slice name;
    mn_status st = enter_root(&xml, text, "Error");

    while (st == MN_OK && (st = next_child(&xml, &name)) == MN_OK) {
        if (is_text(name, "Code"))
            st = read_cut(&xml, &scratch, unsaid, fault.code, sizeof fault.code);
        else if (is_text(name, "Message"))
            st = read_cut(&xml, &scratch, unsaid, fault.message, sizeof fault.message);
        else if (is_text(name, "Region"))
            st = read_cut(&xml, &scratch, unsaid, fault.region, sizeof fault.region);
        else
            st = mni_s3_xml_skip(&xml);
    }
    st = leave_root(&xml, st);
    mni_buf_done(&scratch);
    if (st != MN_OK || fault.code[0] == '\0')
        return false;
    *fault_out = fault;
    return true;
}

/* Listings ---------------------------------------------------------------------------------------
 */

void mni_s3_listing_done(struct mni_s3_listing *listing)
{
    mni_free(listing->items);
    mni_buf_done(&listing->keys);
    mni_buf_done(&listing->key_marker);
    *listing = (struct mni_s3_listing){0};
}

static mn_status add_item(struct mni_s3_listing *listing, struct mni_s3_listed **item_out)
{
    size_t n = listing->n_items;

    /* Grows at powers of two, from 1 on. */
    if ((n & (n - 1)) == 0) {
        struct mni_s3_listed *items =
            mni_realloc(listing->items, (n == 0 ? 1 : n * 2) * sizeof *items);
        if (items == NULL)
            return MN_ERR_NOMEM;
        listing->items = items;
    }
    *item_out = &listing->items[n];
    **item_out = (struct mni_s3_listed){.key = SIZE_MAX, .upload_id = SIZE_MAX};
    listing->n_items++;
    return MN_OK;
}

static mn_status add_text(struct mni_s3_listing *listing, const struct mni_buf *text, bool ends,
                          size_t *offset_out)
{
    *offset_out = listing->keys.n_bytes;
    mn_status st = mni_buf_append(&listing->keys, text->data, text->n_bytes);
    if (st == MN_OK && ends)
        st = mni_buf_append(&listing->keys, "", 1);
    return st;
}

static mn_status read_upload_id(struct mni_s3_xml *xml, struct mni_buf *scratch,
                                char id_out[MNI_S3_UPLOAD_ID_BYTES])
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st == MN_OK && (!copy_text(slice_of(scratch), id_out, MNI_S3_UPLOAD_ID_BYTES)))
        st = MN_ERR_CORRUPT;
    return st;
}

/* One <Contents> or <Upload>. */
static mn_status read_item(struct mni_s3_xml *xml, struct mni_s3_listing *listing,
                           struct mni_buf *scratch, bool is_upload)
{
    struct mni_s3_listed *item = NULL;
    struct mn_slice name;
    char id[MNI_S3_UPLOAD_ID_BYTES] = "";
    mn_status st = add_item(listing, &item);

    while (st == MN_OK && (st = next_child(xml, &name)) == MN_OK) {
        if (is_text(name, "Key")) {
            st = mni_s3_xml_read_text(xml, scratch);
            item->key_bytes = scratch->n_bytes;
            if (st == MN_OK)
                st = add_text(listing, scratch, false, &item->key);
        } else if (is_text(name, is_upload ? "Initiated" : "LastModified")) {
            st = read_time(xml, scratch, &item->modified_us);
        } else if (!is_upload && is_text(name, "Size")) {
            st = read_u64(xml, scratch, &item->n_bytes);
        } else if (!is_upload && is_text(name, "ETag")) {
            st = read_etag(xml, scratch, item->etag);
        } else if (is_upload && is_text(name, "UploadId")) {
            st = read_upload_id(xml, scratch, id);
            if (st == MN_OK)
                st = add_text(listing, scratch, true, &item->upload_id);
        } else {
            st = mni_s3_xml_skip(xml);
        }
    }
    if (st != MN_END)
        return st;
    if (item->key == SIZE_MAX || (is_upload ? id[0] == '\0' : item->etag[0] == '\0'))
        return MN_ERR_CORRUPT;
    return MN_OK;
}

static mn_status decode_keys(struct mni_s3_listing *listing)
{
    struct mni_buf text = {0};
    mn_status st = MN_OK;

    for (size_t i = 0; i < listing->n_items && st == MN_OK; i++) {
        struct mni_s3_listed *item = &listing->items[i];
        mni_buf_reset(&text);
        st = mni_buf_append(&text, listing->keys.data + item->key, item->key_bytes);
        if (st == MN_OK && !decode_url(&text))
            st = MN_ERR_CORRUPT;
        if (st == MN_OK && text.n_bytes > 0)
            memcpy(listing->keys.data + item->key, text.data, text.n_bytes);
        item->key_bytes = text.n_bytes;
    }
    if (st == MN_OK && !decode_url(&listing->key_marker))
        st = MN_ERR_CORRUPT;
    mni_buf_done(&text);
    return st;
}

static mn_status read_listing(struct mn_slice text, bool is_uploads,
                              struct mni_s3_listing *listing_out)
{
    struct mni_s3_listing listing = {0};
    struct mni_buf scratch = {0};
    struct mni_s3_xml xml;
    struct mn_slice name;
    bool is_encoded = false;
    bool has_end = false; /* says whether there is more */
    mn_status st =
        enter_root(&xml, text, is_uploads ? "ListMultipartUploadsResult" : "ListBucketResult");

    while (st == MN_OK && (st = next_child(&xml, &name)) == MN_OK) {
        if (is_text(name, is_uploads ? "Upload" : "Contents")) {
            st = read_item(&xml, &listing, &scratch, is_uploads);
        } else if (is_text(name, "IsTruncated")) {
            st = read_bool(&xml, &scratch, &listing.is_truncated);
            has_end = true;
        } else if (is_text(name, "EncodingType")) {
            st = mni_s3_xml_read_text(&xml, &scratch);
            is_encoded = is_text(slice_of(&scratch), "url");
        } else if (is_uploads && is_text(name, "NextKeyMarker")) {
            st = mni_s3_xml_read_text(&xml, &listing.key_marker);
        } else if (is_uploads && is_text(name, "NextUploadIdMarker")) {
            st = read_upload_id(&xml, &scratch, listing.upload_marker);
        } else {
            st = mni_s3_xml_skip(&xml);
        }
    }
    st = leave_root(&xml, st);
    if (st == MN_OK && !has_end)
        st = MN_ERR_CORRUPT;
    if (st == MN_OK && is_encoded)
        st = decode_keys(&listing);
    mni_buf_done(&scratch);
    if (st == MN_OK)
        *listing_out = listing;
    else
        mni_s3_listing_done(&listing);
    return st;
}

mn_status mni_s3_read_objects(struct mn_slice text, struct mni_s3_listing *listing_out)
{
    return read_listing(text, false, listing_out);
}

mn_status mni_s3_read_uploads(struct mn_slice text, struct mni_s3_listing *listing_out)
{
    return read_listing(text, true, listing_out);
}

/* Uploads ----------------------------------------------------------------------------------------
 */

static mn_status read_part(struct mni_s3_xml *xml, struct mni_buf *scratch, mni_s3_part_fn *each,
                           void *context)
{
    char etag[MN_OBJECT_ETAG_BYTES] = "";
    uint64_t number = 0;
    uint64_t n_bytes = UINT64_MAX;
    struct mn_slice name;
    mn_status st;

    while ((st = next_child(xml, &name)) == MN_OK) {
        if (is_text(name, "PartNumber"))
            st = read_u64(xml, scratch, &number);
        else if (is_text(name, "Size"))
            st = read_u64(xml, scratch, &n_bytes);
        else if (is_text(name, "ETag"))
            st = read_etag(xml, scratch, etag);
        else
            st = mni_s3_xml_skip(xml);
        if (st != MN_OK)
            return st;
    }
    if (st != MN_END)
        return st;
    if (number < 1 || number > MN_OBJECT_PARTS_MAX || n_bytes == UINT64_MAX || etag[0] == '\0')
        return MN_ERR_CORRUPT;
    return each(context, (uint32_t)number, n_bytes, etag);
}

/* On the last page it may be empty. */
static mn_status read_marker(struct mni_s3_xml *xml, struct mni_buf *scratch, uint64_t *marker_out)
{
    mn_status st = mni_s3_xml_read_text(xml, scratch);

    if (st == MN_OK && scratch->n_bytes > 0 && !mni_s3_parse_u64(slice_of(scratch), marker_out))
        st = MN_ERR_CORRUPT;
    return st;
}

mn_status mni_s3_read_parts(struct mn_slice text, mni_s3_part_fn *each, void *context,
                            uint32_t *next_marker_out)
{
    struct mni_buf scratch = {0};
    struct mni_s3_xml xml;
    struct mn_slice name;
    bool is_truncated = false;
    uint64_t marker = 0;
    mn_status st = enter_root(&xml, text, "ListPartsResult");

    while (st == MN_OK && (st = next_child(&xml, &name)) == MN_OK) {
        if (is_text(name, "Part"))
            st = read_part(&xml, &scratch, each, context);
        else if (is_text(name, "IsTruncated"))
            st = read_bool(&xml, &scratch, &is_truncated);
        else if (is_text(name, "NextPartNumberMarker"))
            st = read_marker(&xml, &scratch, &marker);
        else
            st = mni_s3_xml_skip(&xml);
    }
    st = leave_root(&xml, st);
    mni_buf_done(&scratch);
    if (st == MN_OK && is_truncated && (marker == 0 || marker > MN_OBJECT_PARTS_MAX))
        st = MN_ERR_CORRUPT;
    if (st == MN_OK)
        *next_marker_out = is_truncated ? (uint32_t)marker : 0;
    return st;
}

mn_status mni_s3_read_initiated(struct mn_slice text, char upload_id_out[MNI_S3_UPLOAD_ID_BYTES])
{
    char id[MNI_S3_UPLOAD_ID_BYTES] = "";
    struct mni_buf scratch = {0};
    struct mni_s3_xml xml;
    struct mn_slice name;
    mn_status st = enter_root(&xml, text, "InitiateMultipartUploadResult");

    while (st == MN_OK && (st = next_child(&xml, &name)) == MN_OK)
        st = is_text(name, "UploadId") ? read_upload_id(&xml, &scratch, id) : mni_s3_xml_skip(&xml);
    st = leave_root(&xml, st);
    mni_buf_done(&scratch);
    if (st == MN_OK && id[0] == '\0')
        st = MN_ERR_CORRUPT;
    if (st == MN_OK)
        memcpy(upload_id_out, id, sizeof id);
    return st;
}

mn_status mni_s3_read_completed(struct mn_slice text, char etag_out[MN_OBJECT_ETAG_BYTES])
{
    char etag[MN_OBJECT_ETAG_BYTES] = "";
    struct mni_buf scratch = {0};
    struct mni_s3_xml xml;
    struct mn_slice name;
    mn_status st = enter_root(&xml, text, "CompleteMultipartUploadResult");

    while (st == MN_OK && (st = next_child(&xml, &name)) == MN_OK) {
        if (!is_text(name, "ETag")) {
            st = mni_s3_xml_skip(&xml);
            continue;
        }
        st = mni_s3_xml_read_text(&xml, &scratch);
        if (st == MN_OK && scratch.n_bytes > 0 && !mni_s3_copy_etag(slice_of(&scratch), etag))
            st = MN_ERR_CORRUPT;
    }
    st = leave_root(&xml, st);
    mni_buf_done(&scratch);
    if (st == MN_OK)
        memcpy(etag_out, etag, sizeof etag);
    return st;
}
