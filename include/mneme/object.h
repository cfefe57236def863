/*
 * object.h - object storage: a directory, memory, or a bucket of an S3 server, behind one door.
 *
 * An object is a key and bytes that are written whole and read whole or in ranges. A key is valid
 * UTF-8, 1 to 1,024 bytes, without U+0000; "/" has no meaning but to readers. An object that was
 * put is seen whole or not at all; who puts last wins, unless a condition says otherwise.
 *
 * Every object carries an ETag, text that changes with its content, and a CRC-32C that is checked
 * when the whole object is read. What other programs put may have none, and so has what an S3
 * server put together from the parts of an upload, unless it was known when the upload began; it is
 * then read unchecked.
 *
 * Threads: any number may use a store at once, and their requests run side by side. An upload may
 * be used by many threads for different parts. Close when no other call runs.
 *
 * Errors anywhere: MN_ERR_INVALID, MN_ERR_NOMEM, MN_ERR_LIMIT (key or object too long),
 * MN_ERR_FORKED, MN_ERR_IO, MN_ERR_ACCESS (also: credentials refused), MN_ERR_NO_SPACE,
 * MN_ERR_READ_ONLY; with S3 also MN_ERR_REMOTE (it cannot be reached, is no object store, or went
 * on answering errors until the budget of retries was used up), MN_ERR_TIMEOUT (the deadline
 * passed), MN_ERR_CORRUPT (what came is not what was put, again and again), MN_ERR_NO_STORE (there
 * is no such bucket). After MN_ERR_REMOTE, MN_ERR_TIMEOUT, MN_ERR_CORRUPT and MN_ERR_CANCELLED, and
 * in a directory also after MN_ERR_IO, it is unknown whether a put, a completion or a delete
 * happened.
 */
#ifndef MNEME_OBJECT_H
#define MNEME_OBJECT_H

#include "mneme/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_object_store mn_object_store;

/* Where an S3 server expects the bucket's name. */
typedef enum mn_object_addressing {
    MN_OBJECT_ADDRESSING_DEFAULT = 0, /* host for AWS, path for an endpoint that was given; path
                                         always for a bucket whose name has a dot */
    MN_OBJECT_ADDRESSING_PATH,        /* https://endpoint/bucket/key */
    MN_OBJECT_ADDRESSING_HOST,        /* https://bucket.endpoint/key ("virtual-hosted") */
} mn_object_addressing;

/* Opening ---------------------------------------------------------------------------------------
 */

/* A directory, which is made when it is missing (its parent is not). Objects are durable when a put
 * returns. Several processes may use it at once. `options` may be NULL; set `size` otherwise.
 * MN_ERR_NO_STORE: it is no store (a file in it marks one) and not empty, so that nothing in it was
 * touched; with `read_only` also: there is none. MN_ERR_CORRUPT, MN_ERR_UNSUPPORTED: the mark is
 * damaged, or of a newer version. */
struct mn_object_dir_options {
    size_t size;
    bool read_only;
    /* For tests of what stands above: every request waits this long, and of every `fail_every`
     * requests (0 = none) one answers MN_ERR_REMOTE; every second of these after having done its
     * work. */
    uint32_t delay_us;
    uint32_t fail_every;
};
MN_API MN_MUST_USE mn_status mn_object_open_dir(const char *path,
                                                const struct mn_object_dir_options *options,
                                                mn_object_store **store_out, struct mn_error *err);

/* Memory of this process, empty at first, gone with the handle. */
MN_API MN_MUST_USE mn_status mn_object_open_memory(mn_object_store **store_out,
                                                   struct mn_error *err);

/*
 * A bucket of an S3 server. Strings are copied; NULL takes the default. Credentials that are NULL
 * come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else from the profile
 * AWS_PROFILE (or "default") of AWS_SHARED_CREDENTIALS_FILE (or ~/.aws/credentials). No request is
 * sent before the first operation. MN_ERR_UNSUPPORTED: built without libcurl or OpenSSL.
 */
struct mn_object_s3_options {
    size_t size;
    const char *bucket;   /* required */
    const char *prefix;   /* before every key, for example "team/"; default none. With a key it has
                               at most 1,024 bytes: else MN_ERR_LIMIT */
    const char *endpoint; /* "https://host[:port]"; default AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
                               else AWS itself */
    const char *region;   /* default AWS_REGION, AWS_DEFAULT_REGION, else "us-east-1" */
    const char *access_key; /* with secret_key */
    const char *secret_key;
    const char *session_token;
    const char *ca_file; /* certificates to trust; default AWS_CA_BUNDLE, else the system's */
    mn_object_addressing addressing;
    bool allow_http;            /* an endpoint without TLS that is not on this machine */
    uint32_t n_connections_max; /* 1 to 256; default 16; more requests at once wait for one */
    uint32_t timeout_ms;        /* of a call, its retries included; default 60,000 */
    uint32_t idle_timeout_ms;   /* without a byte moving, a request is given up; default 10,000 */
    uint32_t n_tries_max;       /* of one request; default 6 */
    uint64_t part_bytes;        /* mn_object_put sends larger objects in parts of this size, unless
                                   it has a condition; 5 MiB to 5 GiB, default 16 MiB */
    /* Asked about ten times a second while a call waits; true ends the call with MN_ERR_CANCELLED.
     * Called by the thread that made the call. */
    bool (*is_cancelled)(void *context);
    void *cancel_context;
};
MN_API MN_MUST_USE mn_status mn_object_open_s3(const struct mn_object_s3_options *options,
                                               mn_object_store **store_out, struct mn_error *err);

/* By a URL: "s3://BUCKET[/PREFIX]" with all else by default, "dir:PATH", "mem:". A PREFIX that does
 * not end with "/" gets one. */
MN_API MN_MUST_USE mn_status mn_object_open(const char *url, mn_object_store **store_out,
                                            struct mn_error *err);

/* Frees the handle. NULL is fine. MN_ERR_BUSY: uploads are open; the store stays open too. */
MN_API MN_MUST_USE mn_status mn_object_close(mn_object_store *store, struct mn_error *err);

/* Whether conditions on puts hold here, tried with an object `.mneme-conditions` (random name
 * behind it) that is put and deleted again. MN_ERR_UNSUPPORTED: they do not, so that the store must
 * not be shared by writers. */
MN_API MN_MUST_USE mn_status mn_object_check_conditions(mn_object_store *store,
                                                        struct mn_error *err);

/* Objects ---------------------------------------------------------------------------------------
 */

struct mn_object_info {
    uint64_t n_bytes;
    int64_t modified_us;             /* Unix time, as the store tells it */
    char etag[MN_OBJECT_ETAG_BYTES]; /* NUL-terminated, without quotes */
    bool has_crc32c;
    uint32_t crc32c; /* of the whole object */
};

/* When a put is to happen; NULL = always. Judged by the store, atomically. */
struct mn_object_condition {
    bool if_absent;       /* only where there is none: else MN_EXISTS */
    const char *if_match; /* only over this ETag: else MN_CHANGED, also when there is none */
};

/* Stores an object. A put whose answer was lost is recognised as done by reading back; where that
 * shows another's object, or none, the answer is MN_ERR_REMOTE, because it may have come before or
 * behind. So MN_EXISTS and MN_CHANGED say that this put has not happened. Sets `info_out` (may be
 * NULL). */
MN_API MN_MUST_USE mn_status mn_object_put(mn_object_store *store, struct mn_slice key,
                                           struct mn_slice data,
                                           const struct mn_object_condition *condition,
                                           struct mn_object_info *info_out, struct mn_error *err);

/* Reads a whole object, and checks it. `data_out` is the caller's: mn_object_free. MN_NOT_FOUND;
 * MN_ERR_LIMIT: larger than `n_bytes_max` (0 = MN_OBJECT_BYTES_MAX), nothing was read. */
MN_API MN_MUST_USE mn_status mn_object_get(mn_object_store *store, struct mn_slice key,
                                           uint64_t n_bytes_max, struct mn_slice *data_out,
                                           struct mn_object_info *info_out, struct mn_error *err);
MN_API void mn_object_free(struct mn_slice data);

/* One range to read, and where to. */
struct mn_object_range {
    struct mn_slice key;
    uint64_t offset;
    uint64_t n_bytes; /* at least 1 */
    void *data_out;   /* n_bytes; undefined after an error */
    /* What the range must be, where the caller knows it. */
    bool has_crc32c;
    uint32_t crc32c;
    const char *if_match; /* only of this ETag, else MN_CHANGED; may be NULL */
    /* Set by the call. */
    uint64_t n_read; /* less than n_bytes only at the end of the object */
    mn_status status;
};

/* Reads ranges of objects, side by side. Answers MN_OK, or the first status in their order that is
 * not; each range has its own in `status` (MN_NOT_FOUND; MN_ERR_INVALID: it begins behind the end,
 * or is wrong in another way), and others are read whatever becomes of one. */
MN_API MN_MUST_USE mn_status mn_object_get_ranges(mn_object_store *store,
                                                  struct mn_object_range *ranges, size_t n_ranges,
                                                  struct mn_error *err);

/* MN_NOT_FOUND. */
MN_API MN_MUST_USE mn_status mn_object_head(mn_object_store *store, struct mn_slice key,
                                            struct mn_object_info *info_out, struct mn_error *err);

/* Also MN_OK when there is none: an object store does not tell. */
MN_API MN_MUST_USE mn_status mn_object_delete(mn_object_store *store, struct mn_slice key,
                                              struct mn_error *err);

/* Listing ---------------------------------------------------------------------------------------
 */

struct mn_object_entry {
    struct mn_slice key;
    uint64_t n_bytes;
    int64_t modified_us;
    char etag[MN_OBJECT_ETAG_BYTES];
};

/* Entries of one page, in the order of their keys' bytes. */
struct mn_object_page {
    const struct mn_object_entry *entries;
    size_t n_entries;
    bool is_last;
};

/* The first `n_entries_max` (0 = 1,000, the most) objects whose keys begin with `prefix` (may be
 * empty) and come after `after` (empty: from the first). A page shows what this handle has put and
 * deleted; what others do meanwhile may be seen or not. The page is the caller's:
 * mn_object_page_free. */
MN_API MN_MUST_USE mn_status mn_object_list(mn_object_store *store, struct mn_slice prefix,
                                            struct mn_slice after, size_t n_entries_max,
                                            struct mn_object_page **page_out, struct mn_error *err);
MN_API void mn_object_page_free(struct mn_object_page *page); /* NULL is fine */

/* Uploads in parts ------------------------------------------------------------------------------
 */

/*
 * An upload gathers the parts of one object, which becomes visible when it is completed. It
 * outlives handle and process: it can be resumed by its id, and takes space until it is completed
 * or aborted.
 *
 *     begin or resume -> put parts, in any order, again too -> complete | abort | leave
 */
typedef struct mn_object_upload mn_object_upload;

MN_API MN_MUST_USE mn_status mn_object_upload_begin(mn_object_store *store, struct mn_slice key,
                                                    mn_object_upload **upload_out,
                                                    struct mn_error *err);
/* The same for an object whose CRC-32C is known already: so an S3 server keeps it too. Then
 * mn_object_upload_complete by this handle answers MN_ERR_INVALID when the parts are not this
 * object; they may be put again. Who resumes such an upload puts parts of the same object: a whole
 * get of another is MN_ERR_CORRUPT. */
MN_API MN_MUST_USE mn_status mn_object_upload_begin_known(mn_object_store *store,
                                                          struct mn_slice key, uint32_t crc32c,
                                                          mn_object_upload **upload_out,
                                                          struct mn_error *err);
/* MN_NOT_FOUND: there is no such upload of this key (any more). */
MN_API MN_MUST_USE mn_status mn_object_upload_resume(mn_object_store *store, struct mn_slice key,
                                                     const char *upload_id,
                                                     mn_object_upload **upload_out,
                                                     struct mn_error *err);
/* Valid as long as the upload's handle. */
MN_API const char *mn_object_upload_id(const mn_object_upload *upload);
/* Bytes of part `number` that the store holds, 0 when there is none. */
MN_API uint64_t mn_object_upload_part_bytes(mn_object_upload *upload, uint32_t number);
/* Parts are numbered 1 to 10,000 and put together in this order; all but the last have at least
 * 5 MiB. */
MN_API MN_MUST_USE mn_status mn_object_upload_part(mn_object_upload *upload, uint32_t number,
                                                   struct mn_slice data, struct mn_error *err);
/* Puts the parts together: 1 to the highest, MN_ERR_INVALID when one of them is missing. After
 * MN_OK, MN_EXISTS and MN_CHANGED the handle is freed (and after the latter two the upload
 * aborted); after an error it may be tried again. MN_ERR_REMOTE: a completion by this handle may
 * have happened, but the object does not show it. MN_NOT_FOUND: there is no such upload any more.
 * MN_ERR_UNSUPPORTED: there is a condition, and the server judges none of uploads. */
MN_API MN_MUST_USE mn_status mn_object_upload_complete(mn_object_upload *upload,
                                                       const struct mn_object_condition *condition,
                                                       struct mn_object_info *info_out,
                                                       struct mn_error *err);
/* Drops the upload and its parts, and frees the handle, whatever it returns. Not while a completion
 * may be under way, also one that ended with an error: a server may keep an object that cannot be
 * read. */
MN_API MN_MUST_USE mn_status mn_object_upload_abort(mn_object_upload *upload, struct mn_error *err);
/* Frees the handle and keeps the upload, to be resumed. NULL is fine. */
MN_API void mn_object_upload_leave(mn_object_upload *upload);

/* Calls `each` for every upload that is neither completed nor aborted and whose key begins with
 * `prefix`; arguments are valid during the callback. A status other than MN_OK ends it and is
 * returned. */
typedef mn_status mn_object_upload_fn(void *context, struct mn_slice key, const char *upload_id,
                                      int64_t begun_us);
MN_API MN_MUST_USE mn_status mn_object_uploads(mn_object_store *store, struct mn_slice prefix,
                                               mn_object_upload_fn *each, void *context,
                                               struct mn_error *err);

/* Numbers since the store was opened. Set `size` before. */
struct mn_object_stats {
    size_t size;
    uint64_t n_requests; /* tries included */
    uint64_t n_retries;
    uint64_t n_failures;   /* calls that returned an error */
    uint64_t n_bad_bodies; /* answers that were truncated, wrong or not what was asked */
    uint64_t bytes_sent;   /* of objects */
    uint64_t bytes_received;
    uint64_t n_connections; /* made */
};
MN_API MN_MUST_USE mn_status mn_object_stats(mn_object_store *store,
                                             struct mn_object_stats *stats_out,
                                             struct mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
