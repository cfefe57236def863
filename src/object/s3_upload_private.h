/*
 * s3_upload_private.h - an upload in parts, as the files that make, fill and complete it share it.
 */
#ifndef MNI_OBJECT_S3_UPLOAD_PRIVATE_H
#define MNI_OBJECT_S3_UPLOAD_PRIVATE_H

#include "io/thread.h"
#include "object/s3_private.h"

struct s3_part {
    bool is_there;
    bool has_crc32c; /* of a part that this handle has put, where the whole's is known */
    uint32_t crc32c;
    uint64_t n_bytes;
    char etag[MN_OBJECT_ETAG_BYTES];
};

struct s3_upload {
    struct mni_object_upload base;
    char id[MNI_S3_UPLOAD_ID_BYTES];
    /* In the object's metadata once it is completed; empty when the upload was resumed: then it is
     * not known. */
    char write_id[MNI_S3_WRITE_ID_BYTES];
    /* It may have been completed, or be about to be: then it is not aborted unasked. Only of
     * completing, which one thread does. */
    bool is_in_doubt;
    struct mni_mutex lock; /* over the following */
    struct s3_part *parts; /* owned; part 1 first */
    uint32_t n_parts;      /* up to the highest that is there */
    uint32_t n_parts_room;
    size_t key_bytes;
    unsigned char key[];
};

static inline struct s3_upload *s3_upload_of(struct mni_object_upload *base)
{
    return (struct s3_upload *)base;
}

static inline struct mn_slice s3_upload_key(const struct s3_upload *upload)
{
    return (struct mn_slice){upload->key, upload->key_bytes};
}

MN_MUST_USE mn_status s3_upload_new(struct s3_store *store, struct mn_slice key,
                                    struct s3_upload **upload_out, struct mn_error *err);
void s3_upload_free(struct s3_upload *upload);
/* The CRC-32C of the whole object is known; before the upload is initiated. */
void s3_upload_know(struct s3_upload *upload, uint32_t crc32c);
/* Asks the server for an id, and tells it the CRC-32C of the whole object, where that is known. */
MN_MUST_USE mn_status s3_upload_initiate(struct s3_call *call, struct s3_upload *upload,
                                         struct mn_error *err);
void s3_upload_prepare_part(struct s3_upload *upload, struct mni_s3_transfer *transfer,
                            uint32_t number, struct mn_slice data);
mn_status s3_upload_accept_part(void *context, size_t item, struct mni_s3_reply *reply,
                                struct mn_error *err);
/* Notes what is there, of a copy of the ETag; `crc32c` is NULL when it is not known. */
MN_MUST_USE mn_status s3_upload_set_part(struct s3_upload *upload, uint32_t number,
                                         uint64_t n_bytes, const uint32_t *crc32c,
                                         const char *etag);
/* Puts the parts together; `condition` may be NULL. Leaves the handle and, after an error or a
 * refusal, the upload. */
MN_MUST_USE mn_status s3_upload_finish(struct s3_call *call, struct s3_upload *upload,
                                       const struct mn_object_condition *condition,
                                       struct mn_object_info *info_out, struct mn_error *err);
/* Also MN_OK when there is no such upload. */
MN_MUST_USE mn_status s3_upload_drop(struct s3_call *call, struct s3_upload *upload,
                                     struct mn_error *err);

#endif
