/*
 * s3_complete.c - completes uploads, and puts objects that are sent in parts.
 *
 * Owns:    nothing beyond a call.
 * Threads: any.
 * Fails:   MN_ERR_UNSUPPORTED for a condition when the server ignores those of uploads.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "object/s3_upload_private.h"

enum { PARTS_SIDE_BY_SIDE = 8 };

/* The ETag of the object ------------------------------------------------------------------------
 */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool md5_of_etag(const char *etag, unsigned char md5_out[MNI_S3_MD5_BYTES])
{
    if (strlen(etag) != 2 * MNI_S3_MD5_BYTES)
        return false;
    for (size_t i = 0; i < MNI_S3_MD5_BYTES; i++) {
        int high = hex_digit(etag[2 * i]);
        int low = hex_digit(etag[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        md5_out[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

/* Where the ETags of parts are MD5 sums, that of the object is one over them, "-" and their number.
 * False: it cannot be told. */
static bool expected_etag(const struct s3_upload *upload, char etag_out[MN_OBJECT_ETAG_BYTES])
{
    struct mni_buf sums = {0};
    unsigned char md5[MNI_S3_MD5_BYTES];
    bool is_known = true;

    for (uint32_t i = 0; is_known && i < upload->n_parts; i++)
        is_known = md5_of_etag(upload->parts[i].etag, md5) &&
                   mni_buf_append(&sums, md5, sizeof md5) == MN_OK;
    is_known = is_known && mni_s3_md5(sums.data, sums.n_bytes, md5);
    if (is_known) {
        mni_s3_hex(md5, sizeof md5, etag_out);
        (void)snprintf(etag_out + 2 * MNI_S3_MD5_BYTES, MN_OBJECT_ETAG_BYTES - 2 * MNI_S3_MD5_BYTES,
                       "-%u", (unsigned)upload->n_parts);
    }
    mni_buf_done(&sums);
    return is_known;
}

/* Completing -------------------------------------------------------------------------------------
 */

static void append(mn_status *st, struct mni_buf *buf, const char *text)
{
    if (*st == MN_OK)
        *st = mni_buf_append(buf, text, strlen(text));
}

static void append_etag(mn_status *st, struct mni_buf *buf, const char *etag)
{
    for (; *etag != '\0'; etag++) {
        char plain[2] = {*etag, '\0'};
        append(st, buf,
               *etag == '&'   ? "&amp;"
               : *etag == '<' ? "&lt;"
               : *etag == '>' ? "&gt;"
                              : plain);
    }
}

static mn_status make_body(const struct s3_upload *upload, struct mni_buf *body_out,
                           struct mn_error *err)
{
    char number[16];
    mn_status st = MN_OK;

    MNI_CHECK(upload->n_parts > 0);
    append(&st, body_out,
           "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (uint32_t i = 0; i < upload->n_parts; i++) {
        if (!upload->parts[i].is_there)
            return mni_fail(err, MN_ERR_INVALID, "part %u is missing", (unsigned)i + 1);
        (void)snprintf(number, sizeof number, "%u", (unsigned)i + 1);
        append(&st, body_out, "<Part><PartNumber>");
        append(&st, body_out, number);
        append(&st, body_out, "</PartNumber><ETag>\"");
        append_etag(&st, body_out, upload->parts[i].etag);
        append(&st, body_out, "\"</ETag></Part>");
    }
    append(&st, body_out, "</CompleteMultipartUpload>");
    return st == MN_OK ? MN_OK : mni_fail(err, st, "the parts of an upload");
}

static mn_status accept_completed(void *context, size_t item, struct mni_s3_reply *reply,
                                  struct mn_error *err)
{
    struct mn_object_info *info = context;
    struct mn_slice text = {reply->text.n_bytes == 0 ? (const void *)"" : reply->text.data,
                            reply->text.n_bytes};

    (void)item;
    mn_status st = mni_s3_read_completed(text, info->etag); /* perhaps without an ETag */
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, st, "an upload");
    if (st != MN_OK)
        (void)snprintf(reply->detail, sizeof reply->detail,
                       "the answer does not say that the upload is complete");
    return st;
}

/* Whether the object that is there now is this upload: its answer was lost, or it is gone because
 * it was completed before. `st` is the last answer: behind a refusal by a condition an ETag proves
 * nothing, since another may have put the same there. */
static mn_status look(struct s3_call *call, const struct s3_upload *upload, mn_status st,
                      struct mn_object_info *info_out, bool *is_ours_out)
{
    char etag[MN_OBJECT_ETAG_BYTES] = "";
    const struct s3_mark mark = {.write_id = upload->write_id, .etag = etag};
    struct mn_object_info info = {0};

    if (upload->write_id[0] == '\0' && (st == MN_CHANGED || !expected_etag(upload, etag)))
        etag[0] = '\0';
    mn_status seen = s3_look(call, s3_upload_key(upload), &mark, &info, is_ours_out);
    if (*is_ours_out)
        *info_out = info;
    return seen;
}

/* Ceph 16 answers without the ETag. What is there may already be another's. */
static mn_status find_etag(struct s3_call *call, struct s3_upload *upload,
                           struct mn_object_info *info_out, struct mn_error *err)
{
    bool is_ours = false;

    mni_ignore(look(call, upload, MN_OK, info_out, &is_ours));
    if (is_ours || expected_etag(upload, info_out->etag))
        return MN_OK;
    upload->is_in_doubt = true; /* it is not to be aborted */
    return mni_fail(err, MN_ERR_REMOTE, "the upload is complete, but its ETag is not to be had");
}

static mn_status send(struct s3_call *call, struct s3_upload *upload,
                      const struct mn_object_condition *condition, struct mn_slice body,
                      struct mn_object_info *info_out, struct mn_error *err)
{
    struct s3_store *store = call->store;
    struct mn_slice key = s3_upload_key(upload);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};
    bool is_in_doubt = false;

    s3_transfer_init(store, &transfer, "POST", &key);
    mni_s3_request_param(&transfer.request, "uploadId", mn_str(upload->id));
    s3_header_text(&transfer, "content-type", "application/xml");
    s3_add_condition(&transfer, condition, atomic_load(&store->wants_bare_etag));
    mni_s3_request_body(&transfer.request, body);
    mn_status st = s3_ask(call, &transfer, accept_completed, info_out, &reply, &is_in_doubt, err);
    upload->is_in_doubt |= is_in_doubt;
    info_out->modified_us = reply.date_us != 0 ? reply.date_us : mni_env_wall_us(store->env);
    for (uint32_t i = 0; i < upload->n_parts; i++)
        info_out->n_bytes += upload->parts[i].n_bytes;
    bool lacks_object = st == MN_NOT_FOUND && strcmp(reply.code, "NoSuchKey") == 0;
    if (lacks_object && condition != NULL && condition->if_match != NULL)
        st = mni_fail(err, MN_CHANGED, "there is no object");
    mni_s3_reply_done(&reply);
    return st;
}

/* Completes, and looks at what is there where the answer does not tell: `seen_out`, MN_END when
 * there was no look. */
static mn_status complete(struct s3_call *call, struct s3_upload *upload,
                          const struct mn_object_condition *condition,
                          struct mn_object_info *info_out, mn_status *seen_out,
                          struct mn_error *err)
{
    struct mni_buf body = {0};
    bool is_ours = false;

    *seen_out = MN_END;
    *info_out = (struct mn_object_info){0};
    mn_status st = make_body(upload, &body, err);
    if (st == MN_OK) {
        st = send(call, upload, condition, (struct mn_slice){body.data, body.n_bytes}, info_out,
                  err);
        if (st == MN_OK && info_out->etag[0] == '\0')
            st = find_etag(call, upload, info_out, err);
        else if (s3_is_worth_a_look(st, upload->is_in_doubt))
            *seen_out = look(call, upload, st, info_out, &is_ours);
    }
    mni_buf_done(&body);
    return is_ours ? MN_OK : st;
}

mn_status s3_upload_finish(struct s3_call *call, struct s3_upload *upload,
                           const struct mn_object_condition *condition,
                           struct mn_object_info *info_out, struct mn_error *err)
{
    mn_status seen;
    mn_status st = complete(call, upload, condition, info_out, &seen, err);

    MNI_CHECK(st != MN_OK || info_out->etag[0] != '\0');
    if (st == MN_OK && upload->base.knows_crc32c) {
        info_out->has_crc32c = true;
        info_out->crc32c = upload->base.crc32c;
    }
    st = s3_settle(st, upload->is_in_doubt, err);
    if (st == MN_CHANGED && condition != NULL && condition->if_absent)
        st = mni_fail(err, MN_EXISTS, "there is an object already");
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_NOT_FOUND, "there is no such upload any more");
    return st;
}

/* Whether conditions hold -----------------------------------------------------------------------
 */

/* One try, under a condition that must refuse it. Nobody else writes this key: what was refused and
 * is not there has not happened, whatever got lost. */
static mn_status try_condition(struct s3_call *call, struct s3_upload *upload,
                               const struct mn_object_condition *refusing, enum s3_known *known_out,
                               struct mn_error *err)
{
    struct mn_object_info info;
    mn_status seen;
    mn_status st = complete(call, upload, refusing, &info, &seen, err);

    if (st == MN_CHANGED && seen == MN_OK)
        upload->is_in_doubt = false;
    st = s3_settle(st, upload->is_in_doubt, err);
    if (st == MN_OK || st == MN_ERR_UNSUPPORTED)
        *known_out = S3_NO;
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_REMOTE, "the server has lost an upload");
    return st == MN_CHANGED || st == MN_ERR_UNSUPPORTED ? MN_OK : st;
}

/* Completes a small upload over an object, under conditions that both must refuse it. */
static mn_status try_conditions(struct s3_call *call, struct mn_slice key, enum s3_known *known_out,
                                struct mn_error *err)
{
    static const struct mn_object_condition refusing[] = {
        {.if_match = "00000000000000000000000000000000"}, {.if_absent = true}};
    struct s3_upload *upload = NULL;
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    mn_status st = s3_upload_new(call->store, key, &upload, err);
    if (st == MN_OK)
        st = s3_upload_initiate(call, upload, err);
    if (st != MN_OK) {
        s3_upload_free(upload);
        return st;
    }
    s3_upload_prepare_part(upload, &transfer, 1, mn_str("1"));
    st = s3_ask(call, &transfer, s3_upload_accept_part, NULL, &reply, NULL, err);
    if (st == MN_OK && s3_upload_set_part(upload, 1, 1, NULL, reply.etag) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "an upload");
    mni_s3_reply_done(&reply);
    *known_out = S3_YES;
    for (size_t i = 0; st == MN_OK && *known_out == S3_YES && i < 2; i++)
        st = try_condition(call, upload, &refusing[i], known_out, err);
    /* Also where the server knows no conditions: it may have refused to complete under one. */
    if (!upload->is_in_doubt) {
        struct s3_call cleanup;
        s3_call_init_cleanup(&cleanup, call->store);
        mni_ignore(s3_upload_drop(&cleanup, upload, NULL));
    }
    s3_upload_free(upload);
    return st;
}

static mn_status learn_conditions(struct s3_call *call, struct mn_error *err)
{
    struct s3_store *store = call->store;
    static const char name[] = ".mneme-conditions-";
    char key[sizeof name + MNI_S3_WRITE_ID_BYTES];
    enum s3_known known = S3_UNKNOWN;
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    memcpy(key, name, sizeof name);
    mn_status st = s3_new_write_id(store, key + sizeof name - 1, err);
    if (st != MN_OK)
        return st;
    struct mn_slice key_slice = mn_str(key);
    s3_transfer_init(store, &transfer, "PUT", &key_slice);
    st = s3_ask(call, &transfer, NULL, NULL, &reply, NULL, err);
    mni_s3_reply_done(&reply);
    if (st == MN_OK)
        st = try_conditions(call, key_slice, &known, err);
    s3_discard(&store->base, key_slice);
    if (st == MN_OK)
        atomic_store(&store->completes_conditions, (unsigned)known);
    return st;
}

static mn_status check_conditions(struct s3_call *call, const struct mn_object_condition *condition,
                                  struct mn_error *err)
{
    struct s3_store *store = call->store;
    mn_status st = MN_OK;

    if (condition == NULL)
        return MN_OK;
    if (atomic_load(&store->completes_conditions) == S3_UNKNOWN)
        st = learn_conditions(call, err);
    if (st == MN_OK && atomic_load(&store->completes_conditions) != S3_YES)
        st = mni_fail(err, MN_ERR_UNSUPPORTED,
                      "this server judges no conditions when an upload in parts is completed");
    return st;
}

/* Whether the parts are what the upload was begun for: so that no object says what it is not. */
static mn_status check_whole(const struct s3_upload *upload, struct mn_error *err)
{
    uint32_t crc32c = 0;

    if (!upload->base.knows_crc32c)
        return MN_OK;
    for (uint32_t i = 0; i < upload->n_parts; i++) {
        MNI_CHECK(upload->parts[i].has_crc32c); /* only who resumes lacks some */
        crc32c = mni_crc32c_join(crc32c, upload->parts[i].crc32c, upload->parts[i].n_bytes);
    }
    return mni_object_upload_check(&upload->base, crc32c, err);
}

mn_status s3_upload_complete(struct mni_object_upload *base,
                             const struct mn_object_condition *condition,
                             struct mn_object_info *info_out, struct mn_error *err)
{
    struct s3_upload *upload = s3_upload_of(base);
    struct s3_store *store = s3_store_of(base->store);
    struct mn_object_info info;
    struct s3_call call;

    if (condition != NULL && !condition->if_absent && condition->if_match == NULL)
        condition = NULL;
    s3_call_init(&call, store);
    mn_status st = check_whole(upload, err);
    if (st == MN_OK)
        st = check_conditions(&call, condition, err);
    if (st == MN_OK)
        st = s3_upload_finish(&call, upload, condition, &info, err);
    if (st == MN_OK) {
        mni_s3_recent_note(store->recent, s3_upload_key(upload), info.etag,
                           mni_env_mono_us(store->env));
        if (info_out != NULL)
            *info_out = info;
    } else if (st < 0) {
        mni_s3_recent_forget(store->recent, s3_upload_key(upload));
    }
    if (st == MN_EXISTS || st == MN_CHANGED) {
        MNI_CHECK(!upload->is_in_doubt);
        s3_call_init_cleanup(&call, store);
        mni_ignore(s3_upload_drop(&call, upload, NULL));
    }
    if (st == MN_OK || st == MN_EXISTS || st == MN_CHANGED)
        s3_upload_free(upload);
    return s3_count(store, st);
}

/* Puts in parts ----------------------------------------------------------------------------------
 */

struct put_parts {
    struct s3_upload *upload;
    struct mn_slice data;
    uint64_t part_bytes;
};

static struct mn_slice part_of(const struct put_parts *put, size_t item)
{
    uint64_t offset = item * put->part_bytes;
    uint64_t left = put->data.n_bytes - offset;

    MNI_CHECK(offset < put->data.n_bytes);
    return (struct mn_slice){(const char *)put->data.data + offset,
                             (size_t)(left < put->part_bytes ? left : put->part_bytes)};
}

static mn_status prepare_part(void *context, size_t item, struct mni_s3_transfer *transfer,
                              struct mn_error *err)
{
    struct put_parts *put = context;

    (void)err;
    s3_upload_prepare_part(put->upload, transfer, (uint32_t)item + 1, part_of(put, item));
    return MN_OK;
}

static mn_status accept_part(void *context, size_t item, struct mni_s3_reply *reply,
                             struct mn_error *err)
{
    struct put_parts *put = context;
    mn_status st = s3_upload_accept_part(context, item, reply, err);

    if (st != MN_OK)
        return st;
    st = s3_upload_set_part(put->upload, (uint32_t)item + 1, part_of(put, item).n_bytes, NULL,
                            reply->etag);
    return st == MN_OK ? MN_OK : mni_fail(err, st, "the parts of an upload");
}

/* A server that may still be putting the parts together must not lose them under way: Ceph 16 then
 * shows an object that cannot be read. Such an upload stays, and is named. */
static void drop_failed(struct s3_store *store, struct s3_upload *upload, struct mn_error *err)
{
    struct s3_call cleanup;
    struct mn_error last = {0};

    if (!upload->is_in_doubt) {
        s3_call_init_cleanup(&cleanup, store);
        mni_ignore(s3_upload_drop(&cleanup, upload, NULL));
    } else if (err != NULL) {
        last = *err;
        mni_ignore(mni_fail(err, last.status, "%.200s; left on the server: upload %.200s",
                            last.message, upload->id));
    }
}

mn_status s3_put_parts(struct s3_call *call, struct mn_slice key, struct mn_slice data,
                       uint32_t crc32c, struct mn_object_info *info_out, struct mn_error *err)
{
    struct s3_store *store = call->store;
    struct put_parts put = {.data = data, .part_bytes = store->part_bytes};

    MNI_CHECK(data.n_bytes > put.part_bytes);
    MNI_CHECK((data.n_bytes - 1) / put.part_bytes < MN_OBJECT_PARTS_MAX);
    struct s3_job job = {
        .n_items = (size_t)((data.n_bytes - 1) / put.part_bytes + 1),
        .n_side_by_side_max = store->n_connections_max < PARTS_SIDE_BY_SIDE
                                  ? store->n_connections_max
                                  : PARTS_SIDE_BY_SIDE,
        .stops = true,
        .prepare = prepare_part,
        .accept = accept_part,
    };
    mn_status st = s3_upload_new(store, key, &put.upload, err);
    if (st == MN_OK) {
        s3_upload_know(put.upload, crc32c);
        st = s3_upload_initiate(call, put.upload, err);
    }
    if (st != MN_OK) {
        s3_upload_free(put.upload);
        return st;
    }
    st = s3_run(call, &job, &put, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_REMOTE, "the server has lost the upload");
    if (st == MN_OK)
        st = s3_upload_finish(call, put.upload, NULL, info_out, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_REMOTE, "the server has lost the upload");
    if (st != MN_OK)
        drop_failed(store, put.upload, err);
    s3_upload_free(put.upload);
    return st;
}
