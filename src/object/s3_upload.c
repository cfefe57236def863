/*
 * s3_upload.c - uploads in parts.
 *
 * Owns:    the handle of an upload: its id, and what the server has of its parts.
 * Threads: any number put parts of one upload; its table of parts stands under a lock of its own.
 * Fails:   as include/mneme/object.h says; an upload that is not completed stays on the server.
 */
#include "object/s3_upload_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

/* The table of parts ----------------------------------------------------------------------------
 */

/* Under the lock. */
static mn_status set_part(struct s3_upload *upload, uint32_t number, uint64_t n_bytes,
                          const uint32_t *crc32c, const char *etag)
{
    MNI_CHECK(number >= 1 && number <= MN_OBJECT_PARTS_MAX);
    if (number > upload->n_parts_room) {
        uint32_t room = upload->n_parts_room == 0 ? 8 : upload->n_parts_room;
        while (room < number)
            room *= 2;
        struct s3_part *parts = mni_realloc(upload->parts, room * sizeof *parts);
        if (parts == NULL)
            return MN_ERR_NOMEM;
        memset(parts + upload->n_parts_room, 0, (room - upload->n_parts_room) * sizeof parts[0]);
        upload->parts = parts;
        upload->n_parts_room = room;
    }
    struct s3_part *part = &upload->parts[number - 1];
    MNI_CHECK(etag[0] != '\0');
    part->is_there = true;
    part->n_bytes = n_bytes;
    part->has_crc32c = crc32c != NULL;
    part->crc32c = crc32c != NULL ? *crc32c : 0;
    memcpy(part->etag, etag, strlen(etag) + 1);
    if (upload->n_parts < number)
        upload->n_parts = number;
    return MN_OK;
}

mn_status s3_upload_set_part(struct s3_upload *upload, uint32_t number, uint64_t n_bytes,
                             const uint32_t *crc32c, const char *etag)
{
    mni_mutex_lock(&upload->lock);
    mn_status st = set_part(upload, number, n_bytes, crc32c, etag);
    mni_mutex_unlock(&upload->lock);
    return st;
}

/* Life cycle -------------------------------------------------------------------------------------
 */

mn_status s3_upload_new(struct s3_store *store, struct mn_slice key, struct s3_upload **upload_out,
                        struct mn_error *err)
{
    struct s3_upload *upload = mni_alloc_zero(sizeof *upload + key.n_bytes);

    if (upload == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an upload");
    upload->base.store = &store->base;
    upload->key_bytes = key.n_bytes;
    memcpy(upload->key, key.data, key.n_bytes);
    mni_mutex_init(&upload->lock);
    *upload_out = upload;
    return MN_OK;
}

void s3_upload_free(struct s3_upload *upload)
{
    if (upload == NULL)
        return;
    mni_free(upload->parts);
    mni_mutex_done(&upload->lock);
    mni_free(upload);
}

void s3_upload_know(struct s3_upload *upload, uint32_t crc32c)
{
    MNI_CHECK(upload->id[0] == '\0');
    upload->base.knows_crc32c = true;
    upload->base.crc32c = crc32c;
}

static mn_status accept_initiated(void *context, size_t item, struct mni_s3_reply *reply,
                                  struct mn_error *err)
{
    struct s3_upload *upload = context;
    struct mn_slice text = {reply->text.n_bytes == 0 ? (const void *)"" : reply->text.data,
                            reply->text.n_bytes};

    (void)item;
    mn_status st = mni_s3_read_initiated(text, upload->id);
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, st, "an upload");
    if (st != MN_OK)
        (void)snprintf(reply->detail, sizeof reply->detail, "the answer names no upload");
    return st;
}

mn_status s3_upload_initiate(struct s3_call *call, struct s3_upload *upload, struct mn_error *err)
{
    struct mn_slice key = s3_upload_key(upload);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};
    char crc[9];
    mn_status st = s3_new_write_id(call->store, upload->write_id, err);

    if (st != MN_OK)
        return st;
    s3_transfer_init(call->store, &transfer, "POST", &key);
    mni_s3_request_param(&transfer.request, "uploads", mn_str(""));
    s3_header_text(&transfer, "content-type", "application/octet-stream");
    s3_header_text(&transfer, MNI_S3_META_WRITE, upload->write_id);
    if (upload->base.knows_crc32c) {
        (void)snprintf(crc, sizeof crc, "%08x", (unsigned)upload->base.crc32c);
        s3_header_text(&transfer, MNI_S3_META_CRC32C, crc);
    }
    st = s3_ask(call, &transfer, accept_initiated, upload, &reply, NULL, err);
    mni_s3_reply_done(&reply);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_NO_STORE, "there is no such bucket");
    return st;
}

/* Resuming ---------------------------------------------------------------------------------------
 */

struct parts_page {
    struct s3_upload *upload;
    uint32_t next_marker;
};

static mn_status note_part(void *context, uint32_t number, uint64_t n_bytes, const char *etag)
{
    return s3_upload_set_part(context, number, n_bytes, NULL, etag);
}

static mn_status accept_parts(void *context, size_t item, struct mni_s3_reply *reply,
                              struct mn_error *err)
{
    struct parts_page *page = context;
    uint32_t before = page->next_marker;
    uint32_t next = 0;
    struct mn_slice text = {reply->text.n_bytes == 0 ? (const void *)"" : reply->text.data,
                            reply->text.n_bytes};

    (void)item;
    mn_status st = mni_s3_read_parts(text, note_part, page->upload, &next);
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, st, "an upload");
    if (st != MN_OK || (next != 0 && next <= before)) {
        (void)snprintf(reply->detail, sizeof reply->detail, "the answer is not a listing of parts");
        return MN_ERR_CORRUPT;
    }
    page->next_marker = next;
    return MN_OK;
}

static mn_status read_parts(struct s3_call *call, struct s3_upload *upload, struct mn_error *err)
{
    struct mn_slice key = s3_upload_key(upload);
    struct parts_page page = {upload, 0};
    mn_status st = MN_OK;

    do {
        struct mni_s3_transfer transfer;
        struct mni_s3_reply reply = {0};
        s3_transfer_init(call->store, &transfer, "GET", &key);
        if (page.next_marker > 0)
            s3_param_u64(&transfer, "part-number-marker", page.next_marker);
        mni_s3_request_param(&transfer.request, "uploadId", mn_str(upload->id));
        st = s3_ask(call, &transfer, accept_parts, &page, &reply, NULL, err);
        mni_s3_reply_done(&reply);
    } while (st == MN_OK && page.next_marker > 0);
    return st;
}

mn_status s3_upload_open(struct mni_object_store *base, struct mn_slice key, const char *upload_id,
                         const uint32_t *crc32c, struct mni_object_upload **upload_out,
                         struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct s3_upload *upload = NULL;
    struct s3_call call;

    s3_call_init(&call, store);
    mn_status st = s3_upload_new(store, key, &upload, err);
    if (st == MN_OK && crc32c != NULL)
        s3_upload_know(upload, *crc32c);
    if (st == MN_OK && upload_id == NULL) {
        st = s3_upload_initiate(&call, upload, err);
    } else if (st == MN_OK && strlen(upload_id) >= sizeof upload->id) {
        st = mni_fail(err, MN_NOT_FOUND, "there is no upload with an id that long");
    } else if (st == MN_OK) {
        memcpy(upload->id, upload_id, strlen(upload_id) + 1);
        st = read_parts(&call, upload, err);
    }
    if (st == MN_OK)
        *upload_out = &upload->base;
    else
        s3_upload_free(upload);
    return s3_count(store, st);
}

const char *s3_upload_id(const struct mni_object_upload *base)
{
    return ((const struct s3_upload *)base)->id;
}

uint64_t s3_upload_part_bytes(struct mni_object_upload *base, uint32_t number)
{
    struct s3_upload *upload = s3_upload_of(base);
    uint64_t n_bytes = 0;

    MNI_CHECK(number >= 1);
    mni_mutex_lock(&upload->lock);
    if (number <= upload->n_parts)
        n_bytes = upload->parts[number - 1].n_bytes;
    mni_mutex_unlock(&upload->lock);
    return n_bytes;
}

/* Parts ------------------------------------------------------------------------------------------
 */

void s3_upload_prepare_part(struct s3_upload *upload, struct mni_s3_transfer *transfer,
                            uint32_t number, struct mn_slice data)
{
    struct mn_slice key = s3_upload_key(upload);

    MNI_CHECK(number >= 1 && number <= MN_OBJECT_PARTS_MAX);
    MNI_CHECK(upload->id[0] != '\0'); /* without one the part would become the object */
    s3_transfer_init(s3_store_of(upload->base.store), transfer, "PUT", &key);
    s3_param_u64(transfer, "partNumber", number);
    mni_s3_request_param(&transfer->request, "uploadId", mn_str(upload->id));
    mni_s3_request_body(&transfer->request, data);
}

mn_status s3_upload_accept_part(void *context, size_t item, struct mni_s3_reply *reply,
                                struct mn_error *err)
{
    (void)context;
    (void)item;
    (void)err;
    if (reply->etag[0] != '\0')
        return MN_OK;
    (void)snprintf(reply->detail, sizeof reply->detail, "the answer lacks the ETag");
    return MN_ERR_CORRUPT;
}

mn_status s3_upload_part(struct mni_object_upload *base, uint32_t number, struct mn_slice data,
                         struct mn_error *err)
{
    struct s3_upload *upload = s3_upload_of(base);
    struct s3_store *store = s3_store_of(base->store);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};
    struct s3_call call;
    uint32_t crc32c = 0;

    s3_call_init(&call, store);
    if (base->knows_crc32c)
        crc32c = mni_crc32c(0, data.data, data.n_bytes);
    s3_upload_prepare_part(upload, &transfer, number, data);
    mn_status st = s3_ask(&call, &transfer, s3_upload_accept_part, NULL, &reply, NULL, err);
    if (st == MN_OK) {
        st = s3_upload_set_part(upload, number, data.n_bytes, base->knows_crc32c ? &crc32c : NULL,
                                reply.etag);
        if (st != MN_OK)
            st = mni_fail(err, st, "the parts of an upload");
    } else if (st == MN_NOT_FOUND) {
        st = mni_fail(err, MN_NOT_FOUND, "there is no such upload any more");
    }
    if (st == MN_OK)
        atomic_fetch_add(&store->bytes_sent, data.n_bytes);
    mni_s3_reply_done(&reply);
    return s3_count(store, st);
}

/* Aborting ---------------------------------------------------------------------------------------
 */

mn_status s3_upload_drop(struct s3_call *call, struct s3_upload *upload, struct mn_error *err)
{
    struct mn_slice key = s3_upload_key(upload);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    MNI_CHECK(upload->id[0] != '\0'); /* without one the object would be deleted */
    s3_transfer_init(call->store, &transfer, "DELETE", &key);
    mni_s3_request_param(&transfer.request, "uploadId", mn_str(upload->id));
    mn_status st = s3_ask(call, &transfer, NULL, NULL, &reply, NULL, err);
    mni_s3_reply_done(&reply);
    return st == MN_NOT_FOUND ? MN_OK : st;
}

mn_status s3_upload_abort(struct mni_object_upload *base, struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base->store);
    struct s3_call call;

    s3_call_init(&call, store);
    mn_status st = s3_upload_drop(&call, s3_upload_of(base), err);
    s3_upload_free(s3_upload_of(base));
    return s3_count(store, st);
}

void s3_upload_leave(struct mni_object_upload *base)
{
    s3_upload_free(s3_upload_of(base));
}
