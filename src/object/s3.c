/*
 * s3.c - a store in a bucket of an S3 server: opening, reading, deleting.
 *
 * Owns:    settings, connections, and what was learnt about the server.
 * Threads: any; a call runs in the thread that makes it.
 * Fails:   as include/mneme/object.h says; s3_retry.c has the meaning of answers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "object/s3_private.h"

enum {
    N_CONNECTIONS_DEFAULT = 16,
    TIMEOUT_MS_DEFAULT = 60000,
    IDLE_TIMEOUT_MS_DEFAULT = 10000,
    N_TRIES_DEFAULT = 6,
};
static const uint64_t part_bytes_default = UINT64_C(16) << 20;

mn_status s3_count(struct s3_store *store, mn_status st)
{
    if (st < 0)
        atomic_fetch_add(&store->n_failures, 1);
    return st;
}

void s3_info_of(const struct mni_s3_reply *reply, struct mn_object_info *info_out)
{
    MNI_CHECK(reply->has_length); /* or it would not have been accepted */
    MNI_CHECK(reply->etag[0] != '\0');
    if (info_out == NULL)
        return;
    *info_out = (struct mn_object_info){
        .n_bytes = reply->length_bytes,
        .modified_us = reply->modified_us,
        .has_crc32c = reply->has_crc32c,
        .crc32c = reply->crc32c,
    };
    memcpy(info_out->etag, reply->etag, sizeof info_out->etag);
}

static mn_status refuse(struct mni_s3_reply *reply, const char *why)
{
    (void)snprintf(reply->detail, sizeof reply->detail, "%s", why);
    return MN_ERR_CORRUPT;
}

/* Head -------------------------------------------------------------------------------------------
 */

static mn_status accept_head(void *context, size_t item, struct mni_s3_reply *reply,
                             struct mn_error *err)
{
    (void)context;
    (void)item;
    (void)err;
    if (!reply->has_length || reply->etag[0] == '\0')
        return refuse(reply, "the answer lacks the length or the ETag");
    return MN_OK;
}

/* A 404 to HEAD has no body, and not every object store sends a header that tells it from another
 * web server. The answer to a GET has the code. */
static mn_status ask_with_body(struct s3_call *call, struct mn_slice key, mn_status st,
                               struct mn_error *err)
{
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    s3_transfer_init(call->store, &transfer, "GET", &key);
    s3_header_text(&transfer, "range", "bytes=0-0");
    mn_status again = s3_ask(call, &transfer, NULL, NULL, &reply, NULL, NULL);
    mni_s3_reply_done(&reply);
    if (again == MN_NOT_FOUND)
        return mni_fail(err, MN_NOT_FOUND, "there is none");
    if (again == MN_ERR_NO_STORE)
        return mni_fail(err, MN_ERR_NO_STORE, "there is no such bucket");
    return st;
}

mn_status s3_head(struct s3_call *call, struct mn_slice key, struct mni_s3_reply *reply,
                  struct mn_error *err)
{
    struct mni_s3_transfer transfer;

    s3_transfer_init(call->store, &transfer, "HEAD", &key);
    mn_status st = s3_ask(call, &transfer, accept_head, NULL, reply, NULL, err);
    if (st == MN_ERR_REMOTE && reply->end == MNI_S3_ANSWERED && reply->status == 404)
        st = ask_with_body(call, key, st, err);
    return st;
}

/* An answer to HEAD does not tell whether the object or the bucket is missing. */
mn_status s3_check_found(struct s3_call *call, mn_status st, struct mn_error *err)
{
    struct s3_store *store = call->store;
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    if (st != MN_NOT_FOUND || atomic_load(&store->has_bucket))
        return st;
    s3_transfer_init(store, &transfer, "HEAD", NULL);
    mn_status bucket = s3_ask(call, &transfer, NULL, NULL, &reply, NULL, NULL);
    mni_s3_reply_done(&reply);
    if (bucket == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "there is no such bucket");
    /* Whoever may not look at the bucket is not asked again either. */
    atomic_store(&store->has_bucket, bucket == MN_OK || bucket == MN_ERR_ACCESS);
    return st;
}

static mn_status head(struct mni_object_store *base, struct mn_slice key,
                      struct mn_object_info *info_out, struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct mni_s3_reply reply = {0};
    struct s3_call call;

    s3_call_init(&call, store);
    mn_status st = s3_head(&call, key, &reply, err);
    st = s3_check_found(&call, st, err);
    if (st == MN_OK)
        s3_info_of(&reply, info_out);
    mni_s3_reply_done(&reply);
    return s3_count(store, st);
}

/* Get --------------------------------------------------------------------------------------------
 */

static mn_status accept_get(void *context, size_t item, struct mni_s3_reply *reply,
                            struct mn_error *err)
{
    (void)context;
    (void)item;
    (void)err;
    if (reply->memory == NULL || reply->etag[0] == '\0')
        return refuse(reply, "the answer is not an object");
    if (reply->has_crc32c && reply->crc32c != reply->body_crc32c)
        return refuse(reply, "the content does not have the checksum that was put with it");
    return MN_OK;
}

static mn_status get(struct mni_object_store *base, struct mn_slice key, uint64_t n_bytes_max,
                     struct mn_slice *data_out, struct mn_object_info *info_out,
                     struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};
    struct s3_call call;

    s3_call_init(&call, store);
    s3_transfer_init(store, &transfer, "GET", &key);
    transfer.sink = MNI_S3_TO_MEMORY;
    transfer.room_bytes = n_bytes_max == 0 ? MN_OBJECT_BYTES_MAX : n_bytes_max;
    mn_status st = s3_ask(&call, &transfer, accept_get, NULL, &reply, NULL, err);
    if (st == MN_OK) {
        MNI_CHECK(reply.n_body_bytes == reply.length_bytes); /* what was cut is no answer */
        s3_info_of(&reply, info_out);
        *data_out = (struct mn_slice){reply.memory, (size_t)reply.n_body_bytes};
        reply.memory = NULL; /* ownership moves to the caller */
        atomic_fetch_add(&store->bytes_received, reply.n_body_bytes);
    }
    mni_s3_reply_done(&reply);
    return s3_count(store, st);
}

/* Ranges -----------------------------------------------------------------------------------------
 */

struct ranges {
    struct s3_store *store;
    struct mn_object_range *ranges;
};

static mn_status prepare_range(void *context, size_t item, struct mni_s3_transfer *transfer,
                               struct mn_error *err)
{
    struct ranges *all = context;
    struct mn_object_range *range = &all->ranges[item];
    char text[MN_OBJECT_ETAG_BYTES + 64];

    (void)err;
    MNI_CHECK(range->offset < INT64_MAX);
    MNI_CHECK(range->n_bytes > 0);
    uint64_t n_max = INT64_MAX - range->offset;
    uint64_t n_bytes = range->n_bytes < n_max ? range->n_bytes : n_max;
    s3_transfer_init(all->store, transfer, "GET", &range->key);
    transfer->sink = MNI_S3_TO_RANGE;
    transfer->into = range->data_out;
    transfer->room_bytes = range->n_bytes;
    transfer->offset = range->offset;
    (void)snprintf(text, sizeof text, "bytes=%" PRIu64 "-%" PRIu64, range->offset,
                   range->offset + n_bytes - 1);
    s3_header_text(transfer, "range", text);
    if (range->if_match != NULL) {
        (void)snprintf(text, sizeof text, "\"%s\"", range->if_match);
        s3_header_condition(transfer, "if-match", text);
    }
    return MN_OK;
}

static mn_status accept_range(void *context, size_t item, struct mni_s3_reply *reply,
                              struct mn_error *err)
{
    struct ranges *all = context;
    const struct mn_object_range *range = &all->ranges[item];

    if (reply->is_behind_end)
        return mni_fail(err, MN_ERR_INVALID, "the range begins behind the end");
    if (reply->n_body_bytes == 0)
        return refuse(reply, "the answer is not a range of an object");
    if (range->if_match != NULL && strcmp(range->if_match, reply->etag) != 0)
        return reply->etag[0] == '\0' ? refuse(reply, "the answer lacks the ETag")
                                      : mni_fail(err, MN_CHANGED, "the object has another ETag");
    if (range->has_crc32c && range->crc32c != reply->body_crc32c)
        return refuse(reply, "the range does not have the checksum that it must have");
    return MN_OK;
}

static void finish_range(void *context, size_t item, mn_status st, struct mni_s3_reply *reply,
                         bool is_in_doubt)
{
    struct ranges *all = context;
    struct mn_object_range *range = &all->ranges[item];

    (void)is_in_doubt;
    MNI_CHECK(reply->n_body_bytes <= range->n_bytes);
    range->status = st;
    range->n_read = st == MN_OK ? reply->n_body_bytes : 0;
    atomic_fetch_add(&all->store->bytes_received, range->n_read);
}

static void skip_range(void *context, size_t item, mn_status st)
{
    struct ranges *all = context;

    all->ranges[item].status = st;
    all->ranges[item].n_read = 0;
}

static mn_status get_ranges(struct mni_object_store *base, struct mn_object_range *ranges,
                            size_t n_ranges, struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct ranges all = {store, ranges};
    struct s3_job job = {
        .n_items = n_ranges,
        .n_side_by_side_max = store->n_connections_max,
        .prepare = prepare_range,
        .accept = accept_range,
        .finish = finish_range,
        .skip = skip_range,
    };
    struct s3_call call;

    s3_call_init(&call, store);
    return s3_count(store, s3_run(&call, &job, &all, err));
}

/* Delete -----------------------------------------------------------------------------------------
 */

/* Any web server may say 200. */
static mn_status accept_removed(void *context, size_t item, struct mni_s3_reply *reply,
                                struct mn_error *err)
{
    (void)context;
    (void)item;
    if (reply->status != 204 && !reply->is_s3)
        return mni_fail(err, MN_ERR_REMOTE,
                        "HTTP %d to a delete is no answer of an object store: is the endpoint one?",
                        reply->status);
    return MN_OK;
}

static mn_status remove_object(struct mni_object_store *base, struct mn_slice key,
                               struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};
    bool is_in_doubt = false;
    struct s3_call call;

    s3_call_init(&call, store);
    s3_transfer_init(store, &transfer, "DELETE", &key);
    mn_status st = s3_ask(&call, &transfer, accept_removed, NULL, &reply, &is_in_doubt, err);
    mni_s3_reply_done(&reply);
    st = s3_settle(st == MN_NOT_FOUND ? MN_OK : st, is_in_doubt, err);
    if (st == MN_OK)
        mni_s3_recent_note(store->recent, key, NULL, mni_env_mono_us(store->env));
    else if (is_in_doubt)
        mni_s3_recent_forget(store->recent, key);
    return s3_count(store, st);
}

void s3_discard(struct mni_object_store *base, struct mn_slice key)
{
    struct s3_store *store = s3_store_of(base);
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};
    struct s3_call call;

    s3_call_init_cleanup(&call, store);
    s3_transfer_init(store, &transfer, "DELETE", &key);
    mni_ignore(s3_ask(&call, &transfer, NULL, NULL, &reply, NULL, NULL));
    mni_s3_reply_done(&reply);
    mni_s3_recent_forget(store->recent, key);
}

/* The store --------------------------------------------------------------------------------------
 */

static void stats(struct mni_object_store *base, struct mn_object_stats *stats_out)
{
    struct s3_store *store = s3_store_of(base);

    *stats_out = (struct mn_object_stats){
        .size = sizeof *stats_out,
        .n_requests = atomic_load(&store->n_requests),
        .n_retries = atomic_load(&store->n_retries),
        .n_failures = atomic_load(&store->n_failures),
        .n_bad_bodies = atomic_load(&store->n_bad_bodies),
        .bytes_sent = atomic_load(&store->bytes_sent),
        .bytes_received = atomic_load(&store->bytes_received),
        .n_connections = mni_s3_http_connections(store->http),
    };
}

static void close_store(struct mni_object_store *base)
{
    struct s3_store *store = s3_store_of(base);

    if (store == NULL)
        return;
    mni_s3_http_close(store->http);
    mni_s3_signer_free(store->signer);
    mni_s3_recent_free(store->recent);
    mni_s3_address_done(&store->address);
    mni_s3_settings_done(&store->settings);
    mni_free(store->prefix);
    mni_free(store);
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value == 0 ? standard : value;
}

static mn_status take_numbers(struct s3_store *store, const struct mn_object_s3_options *options,
                              struct mn_error *err)
{
    store->n_connections_max = or_default(options->n_connections_max, N_CONNECTIONS_DEFAULT);
    store->timeout_ms = or_default(options->timeout_ms, TIMEOUT_MS_DEFAULT);
    store->n_tries_max = or_default(options->n_tries_max, N_TRIES_DEFAULT);
    store->part_bytes = options->part_bytes == 0 ? part_bytes_default : options->part_bytes;
    store->is_cancelled = options->is_cancelled;
    store->cancel_context = options->cancel_context;
    if (store->n_connections_max > MN_OBJECT_CONNECTIONS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "n_connections_max is 1 to %d",
                        MN_OBJECT_CONNECTIONS_MAX);
    if (store->part_bytes < MN_OBJECT_PART_BYTES_MIN ||
        store->part_bytes > MN_OBJECT_PART_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "part_bytes is 5 MiB to 5 GiB");
    return MN_OK;
}

static mn_status make_parts(struct s3_store *store, const struct mn_object_s3_options *options,
                            struct mn_error *err)
{
    const char *prefix = options->prefix == NULL ? "" : options->prefix;
    mn_status st = mni_s3_settings_load(store->env, options, &store->settings, err);

    if (st == MN_OK)
        st = mni_s3_address_init(&store->settings, options, &store->address, err);
    if (st != MN_OK)
        return st;
    store->prefix = mni_alloc(strlen(prefix) + 1);
    if (store->prefix == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an object store");
    memcpy(store->prefix, prefix, strlen(prefix) + 1);
    st = mni_s3_recent_new(&store->recent);
    if (st == MN_OK)
        st = mni_s3_signer_new(store->settings.access_key, store->settings.secret_key,
                               store->settings.session_token, store->settings.region,
                               &store->signer);
    if (st != MN_OK)
        return mni_fail(err, st, "an object store");
    return mni_s3_http_open(store->env, &store->address, &store->settings, store->n_connections_max,
                            or_default(options->idle_timeout_ms, IDLE_TIMEOUT_MS_DEFAULT),
                            &store->http, err);
}

mn_status mni_object_open_s3(struct mni_env *env, const struct mn_object_s3_options *options,
                             struct mni_object_store **store_out, struct mn_error *err)
{
    static const struct mni_object_ops ops = {
        .put = s3_put,
        .get = get,
        .get_ranges = get_ranges,
        .head = head,
        .remove = remove_object,
        .discard = s3_discard,
        .list = s3_list,
        .upload_open = s3_upload_open,
        .upload_id = s3_upload_id,
        .upload_part_bytes = s3_upload_part_bytes,
        .upload_part = s3_upload_part,
        .upload_complete = s3_upload_complete,
        .upload_abort = s3_upload_abort,
        .upload_leave = s3_upload_leave,
        .uploads = s3_uploads,
        .stats = stats,
        .close = close_store,
    };
    struct s3_store *store = mni_alloc_zero(sizeof *store);

    *store_out = NULL;
    if (store == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an object store");
    store->base.ops = &ops;
    store->env = env;
    mni_s3_budget_init(&store->budget);
    mn_status st = take_numbers(store, options, err);
    if (st == MN_OK)
        st = make_parts(store, options, err);
    if (st != MN_OK) {
        close_store(&store->base);
        return st;
    }
    store->base.place = store->address.host;
    *store_out = &store->base;
    return MN_OK;
}
