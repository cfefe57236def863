/*
 * memory_private.h - what the files of the memory back end share.
 */
#ifndef MNI_OBJECT_MEMORY_PRIVATE_H
#define MNI_OBJECT_MEMORY_PRIVATE_H

#include "io/thread.h"
#include "object/counts_private.h"

/* What an object holds; never changed. Shared by the store and by those who copy from it. */
struct memory_content {
    atomic_uint n_refs;
    struct mn_object_info info;
    unsigned char data[];
};

struct memory_object {
    struct memory_content *content; /* one reference */
    size_t key_bytes;
    unsigned char key[];
};

struct memory_upload;

struct memory_store {
    struct mni_object_store base;
    struct mni_env *env; /* borrowed; outlives the store */
    struct object_counts counts;

    struct mni_mutex lock;          /* of all that follows */
    struct memory_object **objects; /* owned, in the order of their keys */
    size_t n_objects;
    size_t capacity;
    struct memory_upload *uploads; /* owned list */
};

static inline struct memory_store *memory_store_of(struct mni_object_store *base)
{
    return (struct memory_store *)base;
}

/* A content with room for so many bytes and one reference; `data` and `info` are the caller's to
 * fill. */
MN_MUST_USE mn_status memory_content_new(uint64_t n_bytes, struct memory_content **content_out,
                                         struct mn_error *err);
/* Sets `info` from what `data` holds now. */
void memory_content_seal(struct memory_store *store, struct memory_content *content,
                         uint64_t n_bytes);
void memory_content_unref(struct memory_content *content); /* NULL is fine */

/* Makes the content an object, if the condition holds. Takes over the reference in any case. */
MN_MUST_USE mn_status memory_publish(struct memory_store *store, struct mn_slice key,
                                     struct memory_content *content,
                                     const struct mn_object_condition *condition,
                                     struct mn_object_info *info_out, struct mn_error *err);

/* The operations on uploads, for the table of memory.c. */
mn_status memory_upload_open(struct mni_object_store *base, struct mn_slice key,
                             const char *upload_id, const uint32_t *crc32c,
                             struct mni_object_upload **upload_out, struct mn_error *err);
const char *memory_upload_id(const struct mni_object_upload *base);
uint64_t memory_upload_part_bytes(struct mni_object_upload *base, uint32_t number);
mn_status memory_upload_part(struct mni_object_upload *base, uint32_t number, struct mn_slice data,
                             struct mn_error *err);
mn_status memory_upload_complete(struct mni_object_upload *base,
                                 const struct mn_object_condition *condition,
                                 struct mn_object_info *info_out, struct mn_error *err);
mn_status memory_upload_abort(struct mni_object_upload *base, struct mn_error *err);
void memory_upload_leave(struct mni_object_upload *base);
mn_status memory_uploads(struct mni_object_store *base, struct mn_slice prefix,
                         mn_object_upload_fn *each, void *context, struct mn_error *err);
void memory_uploads_free(struct memory_store *store);

#endif
