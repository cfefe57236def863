/*
 * s3_private.h - the S3 back end: a store, one call of it, and the requests of a call.
 */
#ifndef MNI_OBJECT_S3_PRIVATE_H
#define MNI_OBJECT_S3_PRIVATE_H

#include "object/object.h"
#include "object/s3_recent_private.h"
#include "object/s3_retry_private.h"

struct s3_store {
    struct mni_object_store base;
    struct mni_env *env; /* borrowed; outlives the store */
    struct mni_s3_settings settings;
    struct mni_s3_address address;
    char *prefix; /* owned: before every key */
    uint32_t timeout_ms;
    uint32_t n_tries_max;
    uint32_t n_connections_max;
    uint64_t part_bytes;
    bool (*is_cancelled)(void *context);
    void *cancel_context;

    struct mni_s3_signer *signer; /* owned, as the next two */
    struct mni_s3_http *http;
    struct mni_s3_recent *recent; /* what this handle has put and deleted */
    struct mni_s3_budget budget;

    /* What was learnt about the server. */
    atomic_int_fast64_t clock_offset_us; /* its clock less ours */
    atomic_bool wants_bare_etag;         /* If-Match of a put without quotes */
    atomic_bool knows_etag_form;         /* a put over an ETag has succeeded */
    atomic_bool has_bucket;              /* an answer has shown that the bucket is there */
    atomic_uint completes_conditions;    /* enum s3_known */

    atomic_uint_fast64_t n_requests;
    atomic_uint_fast64_t n_retries;
    atomic_uint_fast64_t n_failures;
    atomic_uint_fast64_t n_bad_bodies;
    atomic_uint_fast64_t bytes_sent;
    atomic_uint_fast64_t bytes_received;
};

enum s3_known { S3_UNKNOWN, S3_NO, S3_YES };

static inline struct s3_store *s3_store_of(struct mni_object_store *store)
{
    return (struct s3_store *)store;
}

/* One call of the user, with its deadline. */
struct s3_call {
    struct s3_store *store;
    struct mni_s3_patience patience;
};

void s3_call_init(struct s3_call *call, struct s3_store *store);
/* For tidying up behind a call that failed: a few seconds, whatever the user says. */
void s3_call_init_cleanup(struct s3_call *call, struct s3_store *store);

/* Several requests of a call, run side by side by the calling thread. Everything is called by it.
 */
struct s3_job {
    size_t n_items;
    unsigned n_side_by_side_max;
    bool stops; /* at the first item that fails */
    /* Fills a transfer, which was initialised by s3_transfer_init; the run signs it. */
    mn_status (*prepare)(void *context, size_t item, struct mni_s3_transfer *transfer,
                         struct mn_error *err);
    /* Looks at an answer with 2xx. MN_ERR_CORRUPT: it is not what it must be, and is asked for
     * again (an <Error> in it is understood). NULL: every one is good. */
    mn_status (*accept)(void *context, size_t item, struct mni_s3_reply *reply,
                        struct mn_error *err);
    /* Told once for each item that was prepared. May take what the reply owns. */
    void (*finish)(void *context, size_t item, mn_status st, struct mni_s3_reply *reply,
                   bool is_in_doubt);
    /* Told once for each item that was not begun because the call came to its end. May be NULL. */
    void (*skip)(void *context, size_t item, mn_status st);
};

/* The first status in the order of items that is not MN_OK. `err` is about it. */
MN_MUST_USE mn_status s3_run(struct s3_call *call, const struct s3_job *job, void *context,
                             struct mn_error *err);

/* The same for one request, which the caller prepared, and whose reply it gets. `accept` has no use
 * for `item`. `in_doubt_out` may be NULL: whether one of the tries may have been carried out. */
MN_MUST_USE mn_status s3_ask(struct s3_call *call, struct mni_s3_transfer *transfer,
                             mn_status (*accept)(void *context, size_t item,
                                                 struct mni_s3_reply *reply, struct mn_error *err),
                             void *context, struct mni_s3_reply *reply, bool *in_doubt_out,
                             struct mn_error *err);

/* Waits; MN_ERR_CANCELLED, MN_ERR_TIMEOUT. */
MN_MUST_USE mn_status s3_wait(struct s3_call *call, int64_t wait_us, struct mn_error *err);

/* Begins a request for a key, or for the bucket when `key` is NULL. */
void s3_transfer_init(struct s3_store *store, struct mni_s3_transfer *transfer, const char *method,
                      const struct mn_slice *key);
void s3_transfer_done(struct mni_s3_transfer *transfer);
void s3_param_u64(struct mni_s3_transfer *transfer, const char *name, uint64_t value);
void s3_header_text(struct mni_s3_transfer *transfer, const char *name, const char *value);
/* "if-match" or "if-none-match". */
void s3_header_condition(struct mni_s3_transfer *transfer, const char *name, const char *value);

/* Each of these belongs to the file that is named; `base` is an operation of object.h. */

/* s3.c */
mn_status s3_count(struct s3_store *store, mn_status st);
MN_MUST_USE mn_status s3_head(struct s3_call *call, struct mn_slice key, struct mni_s3_reply *reply,
                              struct mn_error *err);
void s3_info_of(const struct mni_s3_reply *reply, struct mn_object_info *info_out);
MN_MUST_USE mn_status s3_check_found(struct s3_call *call, mn_status st, struct mn_error *err);
void s3_discard(struct mni_object_store *base, struct mn_slice key);

/* s3_put.c */
mn_status s3_put(struct mni_object_store *base, struct mn_slice key, struct mn_slice data,
                 const struct mn_object_condition *condition, struct mn_object_info *info_out,
                 struct mn_error *err);
MN_MUST_USE mn_status s3_new_write_id(struct s3_store *store, char id_out[MNI_S3_WRITE_ID_BYTES],
                                      struct mn_error *err);
/* Adds If-None-Match or If-Match; `condition` may be NULL. `is_bare`: the ETag without quotes. */
void s3_add_condition(struct mni_s3_transfer *transfer, const struct mn_object_condition *condition,
                      bool is_bare);

/* s3_doubt.c */
/* By what a write is recognised: the id in the object's metadata or, where that is empty, its ETag;
 * where both are, it is not. */
struct s3_mark {
    const char *write_id;
    const char *etag;
};
/* Whether looking at what is there can tell more than the last answer. */
bool s3_is_worth_a_look(mn_status st, bool is_in_doubt);
/* The status of a HEAD; after MN_OK `info_out` is about what is there, whosever it is. */
MN_MUST_USE mn_status s3_look(struct s3_call *call, struct mn_slice key, const struct s3_mark *mark,
                              struct mn_object_info *info_out, bool *is_ours_out);
/* What a write answers that is not recognised: `st` and `err` are of its last answer. */
MN_MUST_USE mn_status s3_settle(mn_status st, bool is_in_doubt, struct mn_error *err);

/* s3_list.c */
mn_status s3_list(struct mni_object_store *base, struct mn_slice prefix, struct mn_slice after,
                  size_t n_entries_max, struct mn_object_page **page_out, struct mn_error *err);
mn_status s3_uploads(struct mni_object_store *base, struct mn_slice prefix,
                     mn_object_upload_fn *each, void *context, struct mn_error *err);

/* s3_upload.c */
mn_status s3_upload_open(struct mni_object_store *base, struct mn_slice key, const char *upload_id,
                         const uint32_t *crc32c, struct mni_object_upload **upload_out,
                         struct mn_error *err);
const char *s3_upload_id(const struct mni_object_upload *base);
uint64_t s3_upload_part_bytes(struct mni_object_upload *base, uint32_t number);
mn_status s3_upload_part(struct mni_object_upload *base, uint32_t number, struct mn_slice data,
                         struct mn_error *err);
mn_status s3_upload_complete(struct mni_object_upload *base,
                             const struct mn_object_condition *condition,
                             struct mn_object_info *info_out, struct mn_error *err);
mn_status s3_upload_abort(struct mni_object_upload *base, struct mn_error *err);
void s3_upload_leave(struct mni_object_upload *base);
/* Puts an object of several parts; `crc32c` is of all of it. */
MN_MUST_USE mn_status s3_put_parts(struct s3_call *call, struct mn_slice key, struct mn_slice data,
                                   uint32_t crc32c, struct mn_object_info *info_out,
                                   struct mn_error *err);

#endif
