/*
 * s3_reply_private.h - how a reply is filled while it comes.
 */
#ifndef MNI_OBJECT_S3_REPLY_PRIVATE_H
#define MNI_OBJECT_S3_REPLY_PRIVATE_H

#include "object/s3_http_private.h"

/* One line of a header, the first line of an answer included. */
void mni_s3_reply_header(struct mni_s3_reply *reply, struct mn_slice line);

struct mni_s3_body {
    const struct mni_s3_transfer *transfer; /* borrowed, as the next */
    struct mni_s3_reply *reply;
    bool is_begun;
    bool is_text;
    bool may_be_cut;         /* the rest of the answer is of no use */
    bool is_enough;          /* all that is of use has come */
    enum mni_s3_end refused; /* ANSWERED: it was not */
    uint64_t skip_bytes;
    uint64_t left_bytes;
    unsigned char *into;
};

/* After the headers: false when the body is refused, and `refused` says why. Called again it
 * answers the same. */
bool mni_s3_body_begin(struct mni_s3_body *body);
/* False: no more is wanted, since it is refused or enough. */
bool mni_s3_body_take(struct mni_s3_body *body, const char *data, size_t n);

#endif
