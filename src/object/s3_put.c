/*
 * s3_put.c - puts an object, in one request or in parts.
 *
 * Owns:    nothing beyond a call.
 * Threads: any.
 * Fails:   as include/mneme/object.h says. A put carries a random id in the object's metadata: an
 *          object that carries it was put by this call, whatever the answer said.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "object/s3_private.h"

mn_status s3_new_write_id(struct s3_store *store, char id_out[MNI_S3_WRITE_ID_BYTES],
                          struct mn_error *err)
{
    unsigned char random[(MNI_S3_WRITE_ID_BYTES - 1) / 2];
    mn_status st = mni_env_random(store->env, random, sizeof random, err);

    if (st == MN_OK)
        mni_s3_hex(random, sizeof random, id_out);
    return st;
}

void s3_add_condition(struct mni_s3_transfer *transfer, const struct mn_object_condition *condition,
                      bool is_bare)
{
    char text[MN_OBJECT_ETAG_BYTES + 2];
    const char *quote = is_bare ? "" : "\"";

    if (condition != NULL && condition->if_absent)
        s3_header_condition(transfer, "if-none-match", "*");
    if (condition != NULL && condition->if_match != NULL) {
        (void)snprintf(text, sizeof text, "%s%.127s%s", quote, condition->if_match, quote);
        s3_header_condition(transfer, "if-match", text);
    }
}

/* One put, with what is known about it. */
struct put {
    struct s3_call *call;
    struct mn_slice key;
    struct mn_slice data;
    const struct mn_object_condition *condition; /* may be NULL */
    uint32_t crc32c;
    char write_id[MNI_S3_WRITE_ID_BYTES];
    bool is_in_doubt;
    mn_status seen; /* of the look at what is there; MN_END: there was none */
};

static mn_status accept_put(void *context, size_t item, struct mni_s3_reply *reply,
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

static mn_status send(struct put *put, bool is_bare, struct mni_s3_reply *reply,
                      struct mn_error *err)
{
    struct s3_store *store = put->call->store;
    struct mni_s3_transfer transfer;
    char crc[9];
    bool is_in_doubt = false;

    MNI_CHECK(put->write_id[0] != '\0'); /* by which it is recognised */
    s3_transfer_init(store, &transfer, "PUT", &put->key);
    (void)snprintf(crc, sizeof crc, "%08x", (unsigned)put->crc32c);
    s3_header_text(&transfer, "content-type", "application/octet-stream");
    s3_header_text(&transfer, MNI_S3_META_CRC32C, crc);
    s3_header_text(&transfer, MNI_S3_META_WRITE, put->write_id);
    s3_add_condition(&transfer, put->condition, is_bare);
    mni_s3_request_body(&transfer.request, put->data);
    mn_status st = s3_ask(put->call, &transfer, accept_put, NULL, reply, &is_in_doubt, err);
    put->is_in_doubt |= is_in_doubt;
    return st;
}

static bool has_if_match(const struct put *put)
{
    return put->condition != NULL && put->condition->if_match != NULL;
}

/* What a put answers that a condition has refused, or that went wrong. */
static mn_status status_of(const struct put *put, mn_status st, struct mn_error *err)
{
    if (st == MN_CHANGED && put->condition != NULL && put->condition->if_absent)
        return mni_fail(err, MN_EXISTS, "there is an object already");
    if (st == MN_NOT_FOUND && has_if_match(put))
        return mni_fail(err, MN_CHANGED, "there is no object");
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "there is no such bucket");
    return st;
}

static void info_of_put(const struct put *put, const struct mni_s3_reply *reply,
                        struct mn_object_info *info_out)
{
    *info_out = (struct mn_object_info){
        .n_bytes = put->data.n_bytes,
        .modified_us = reply->date_us != 0 ? reply->date_us
                                           : mni_env_wall_us(put->call->store->env),
        .has_crc32c = true,
        .crc32c = put->crc32c,
    };
    memcpy(info_out->etag, reply->etag, sizeof info_out->etag);
}

/* Sends, and looks at what is there where the answer does not tell: `info_out` is then about it. */
static mn_status send_and_look(struct put *put, bool is_bare, struct mn_object_info *info_out,
                               struct mn_error *err)
{
    const struct s3_mark mark = {.write_id = put->write_id, .etag = ""};
    struct mni_s3_reply reply = {0};
    bool is_ours = false;
    mn_status st = send(put, is_bare, &reply, err);

    put->seen = MN_END;
    if (st == MN_OK)
        info_of_put(put, &reply, info_out);
    else if (s3_is_worth_a_look(st, put->is_in_doubt))
        put->seen = s3_look(put->call, put->key, &mark, info_out, &is_ours);
    mni_s3_reply_done(&reply);
    return is_ours ? MN_OK : st;
}

/* Ceph 16 wants the ETag of If-Match without quotes, RFC 9110 with them. A put that is refused over
 * the very ETag that is there is tried in the other form; the form that worked is kept. */
static mn_status send_in_both_forms(struct put *put, struct mn_object_info *info_out,
                                    struct mn_error *err)
{
    struct s3_store *store = put->call->store;
    bool is_bare = atomic_load(&store->wants_bare_etag);
    mn_status st = send_and_look(put, is_bare, info_out, err);

    if (!has_if_match(put))
        return st;
    if (st == MN_CHANGED && put->seen == MN_OK &&
        strcmp(info_out->etag, put->condition->if_match) == 0) {
        is_bare = !is_bare;
        st = send_and_look(put, is_bare, info_out, err);
    }
    if (st == MN_OK) {
        atomic_store(&store->wants_bare_etag, is_bare);
        atomic_store(&store->knows_etag_form, true);
    } else if (st == MN_CHANGED && put->seen < 0 && !atomic_load(&store->knows_etag_form)) {
        st = mni_fail(err, put->seen,
                      "the put was refused, perhaps for the quotes of its ETag: "
                      "what is there could not be looked at");
    }
    return st;
}

static mn_status put_whole(struct put *put, struct mn_object_info *info_out, struct mn_error *err)
{
    mn_status st = s3_new_write_id(put->call->store, put->write_id, err);

    if (st != MN_OK)
        return st;
    st = send_in_both_forms(put, info_out, err);
    return status_of(put, s3_settle(st, put->is_in_doubt, err), err);
}

mn_status s3_put(struct mni_object_store *base, struct mn_slice key, struct mn_slice data,
                 const struct mn_object_condition *condition, struct mn_object_info *info_out,
                 struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct mn_object_info info = {0};
    struct s3_call call;
    struct put put = {.call = &call, .key = key, .data = data, .condition = condition};
    mn_status st;

    if (condition != NULL && !condition->if_absent && condition->if_match == NULL)
        put.condition = NULL;
    s3_call_init(&call, store);
    put.crc32c = mni_crc32c(0, data.data, data.n_bytes);
    /* Not every server judges conditions when an upload in parts is completed, every one takes up
     * to 5 GiB in one request. */
    if (put.condition == NULL && data.n_bytes > store->part_bytes)
        st = s3_put_parts(&call, key, data, put.crc32c, &info, err);
    else
        st = put_whole(&put, &info, err);
    if (st == MN_OK) {
        MNI_CHECK(info.etag[0] != '\0');
        atomic_fetch_add(&store->bytes_sent, data.n_bytes);
        mni_s3_recent_note(store->recent, key, info.etag, mni_env_mono_us(store->env));
        if (info_out != NULL)
            *info_out = info;
    } else if (st < 0) {
        mni_s3_recent_forget(store->recent, key);
    }
    return s3_count(store, st);
}
