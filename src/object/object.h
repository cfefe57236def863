/*
 * object.h - object storage behind one door: a directory, memory, or a bucket of an S3 server.
 *
 * What operations mean, their statuses and limits are those of include/mneme/object.h; arguments
 * were checked by whoever calls (keys valid, sizes within limits, outputs there; of an upload that
 * is completed: that the parts 1 to the highest are there, and all but the last are large enough).
 * Whatever is not MN_OK has filled `err`.
 *
 * Threads: any number may use a store at once. Close when no other call runs and no upload is open.
 */
#ifndef MNI_OBJECT_OBJECT_H
#define MNI_OBJECT_OBJECT_H

#include "base/hash.h"
#include "io/env.h"
#include "mneme/object.h"

struct mni_object_store;
struct mni_object_upload;

struct mni_object_ops {
    mn_status (*put)(struct mni_object_store *store, struct mn_slice key, struct mn_slice data,
                     const struct mn_object_condition *condition, struct mn_object_info *info_out,
                     struct mn_error *err);
    mn_status (*get)(struct mni_object_store *store, struct mn_slice key, uint64_t n_bytes_max,
                     struct mn_slice *data_out, struct mn_object_info *info_out,
                     struct mn_error *err);
    /* Sets `status` and `n_read` of every range; details of the first failure in `err`. */
    mn_status (*get_ranges)(struct mni_object_store *store, struct mn_object_range *ranges,
                            size_t n_ranges, struct mn_error *err);
    mn_status (*head)(struct mni_object_store *store, struct mn_slice key,
                      struct mn_object_info *info_out, struct mn_error *err);
    mn_status (*remove)(struct mni_object_store *store, struct mn_slice key, struct mn_error *err);
    /* Takes away what a call that failed has put, as far as that goes: not for long, and whatever
     * ended the call. */
    void (*discard)(struct mni_object_store *store, struct mn_slice key);
    mn_status (*list)(struct mni_object_store *store, struct mn_slice prefix, struct mn_slice after,
                      size_t n_entries_max, struct mn_object_page **page_out, struct mn_error *err);
    /* `upload_id` is NULL for a new one, of which `crc32c` may be known. */
    mn_status (*upload_open)(struct mni_object_store *store, struct mn_slice key,
                             const char *upload_id, const uint32_t *crc32c,
                             struct mni_object_upload **upload_out, struct mn_error *err);
    const char *(*upload_id)(const struct mni_object_upload *upload);
    uint64_t (*upload_part_bytes)(struct mni_object_upload *upload, uint32_t number);
    mn_status (*upload_part)(struct mni_object_upload *upload, uint32_t number,
                             struct mn_slice data, struct mn_error *err);
    mn_status (*upload_complete)(struct mni_object_upload *upload,
                                 const struct mn_object_condition *condition,
                                 struct mn_object_info *info_out, struct mn_error *err);
    mn_status (*upload_abort)(struct mni_object_upload *upload, struct mn_error *err);
    void (*upload_leave)(struct mni_object_upload *upload);
    mn_status (*uploads)(struct mni_object_store *store, struct mn_slice prefix,
                         mn_object_upload_fn *each, void *context, struct mn_error *err);
    void (*stats)(struct mni_object_store *store, struct mn_object_stats *stats_out);
    void (*close)(struct mni_object_store *store);
};

/* First member of every back end's store. */
struct mni_object_store {
    const struct mni_object_ops *ops;
    const char *place; /* the server, for messages; NULL: this machine. Owned by the back end */
};

/* First member of every back end's upload. */
struct mni_object_upload {
    struct mni_object_store *store; /* borrowed; outlives the upload */
    bool knows_crc32c;              /* what the whole object must have */
    uint32_t crc32c;
};

/* `env` is borrowed and outlives the store. */
MN_MUST_USE mn_status mni_object_open_dir(struct mni_env *env, const char *path,
                                          const struct mn_object_dir_options *options,
                                          struct mni_object_store **store_out,
                                          struct mn_error *err);
MN_MUST_USE mn_status mni_object_open_memory(struct mni_env *env,
                                             struct mni_object_store **store_out,
                                             struct mn_error *err);
/* MN_ERR_UNSUPPORTED: built without libcurl or OpenSSL. */
MN_MUST_USE mn_status mni_object_open_s3(struct mni_env *env,
                                         const struct mn_object_s3_options *options,
                                         struct mni_object_store **store_out, struct mn_error *err);

/* A page of a listing under construction, for back ends: one block of memory with room for so many
 * entries and for their keys, which mni_object_page_free frees. */
MN_MUST_USE mn_status mni_object_page_new(size_t n_entries, size_t keys_bytes,
                                          struct mn_object_page **page_out, struct mn_error *err);
/* Adds the next entry, whose key is copied into the page. There is room for it. */
void mni_object_page_add(struct mn_object_page *page, const struct mn_object_entry *entry);
void mni_object_page_free(struct mn_object_page *page); /* NULL is fine */

/* For back ends of this machine: how many bytes a range has of the object that is there.
 * MN_CHANGED, MN_ERR_INVALID. */
MN_MUST_USE mn_status mni_object_range_fit(const struct mn_object_range *range,
                                           const struct mn_object_info *info, uint64_t *n_bytes_out,
                                           struct mn_error *err);

/* For back ends: sets `n_read` and `status` of a range that was read, after checking it against the
 * CRC-32C that the caller gave. Answers the status. */
MN_MUST_USE mn_status mni_object_range_done(struct mn_object_range *range, uint64_t n_read,
                                            struct mn_error *err);

/* For back ends: MN_ERR_INVALID when the parts together are not what the upload was begun for. */
MN_MUST_USE mn_status mni_object_upload_check(const struct mni_object_upload *upload,
                                              uint32_t crc32c, struct mn_error *err);

/* The ETag that the back ends of this machine give: XXH3-128 of the content, in hexadecimal. */
void mni_object_make_etag(const unsigned char hash[MNI_HASH128_BYTES],
                          char etag_out[MN_OBJECT_ETAG_BYTES]);

#endif
