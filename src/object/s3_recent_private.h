/*
 * s3_recent_private.h - what a handle has put and deleted lately, against stale listings.
 */
#ifndef MNI_OBJECT_S3_RECENT_PRIVATE_H
#define MNI_OBJECT_S3_RECENT_PRIVATE_H

#include "mneme/object.h"

enum {
    MNI_S3_RECENT_MAX = 1024,   /* changes that are remembered */
    MNI_S3_SUSPECTS_MAX = 16,   /* found in one page */
    MNI_S3_RECENT_SECONDS = 300 /* older ones are taken to be in every listing */
};

/* Any number of threads. */
struct mni_s3_recent;

MN_MUST_USE mn_status mni_s3_recent_new(struct mni_s3_recent **recent_out);
void mni_s3_recent_free(struct mni_s3_recent *recent);
/* A put of this ETag, or with NULL a delete, has succeeded. Without memory it is forgotten. */
void mni_s3_recent_note(struct mni_s3_recent *recent, struct mn_slice key, const char *etag,
                        int64_t now_us);
/* Nothing is known of the key any more: a change of it ended in doubt. */
void mni_s3_recent_forget(struct mni_s3_recent *recent, struct mn_slice key);

/* Where a listing says otherwise. */
struct mni_s3_suspect {
    char key[MN_OBJECT_KEY_BYTES_MAX];
    size_t key_bytes;
    char etag[MN_OBJECT_ETAG_BYTES]; /* that was put; empty: it was deleted */
};

/* Compares a page of what comes after `after` and begins with `prefix` with the changes that were
 * noted before `before_us`. Returns how many contradict it; the first ones are in `suspects_out`.
 */
size_t mni_s3_recent_check(struct mni_s3_recent *recent, struct mn_slice prefix,
                           struct mn_slice after, const struct mn_object_page *page,
                           int64_t before_us,
                           struct mni_s3_suspect suspects_out[MNI_S3_SUSPECTS_MAX]);

#endif
