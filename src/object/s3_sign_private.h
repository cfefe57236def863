/*
 * s3_sign_private.h - a request to an S3 server, and its signature (AWS Signature Version 4).
 *
 * A request holds its parts in the form in which they are signed, and is sent from the same bytes,
 * so that the two cannot differ.
 */
#ifndef MNI_OBJECT_S3_SIGN_PRIVATE_H
#define MNI_OBJECT_S3_SIGN_PRIVATE_H

#include "base/buf.h"
#include "io/thread.h"
#include "mneme/types.h"

enum {
    MNI_S3_SHA256_BYTES = 32,
    MNI_S3_MD5_BYTES = 16,
    MNI_S3_STAMP_BYTES = 17, /* "20130524T000000Z" and NUL */
};

/* Times -----------------------------------------------------------------------------------------
 */

/* All times are microseconds of Unix time; those before 1970 are not written. */
void mni_s3_time_stamp(int64_t time_us, char stamp_out[MNI_S3_STAMP_BYTES]);
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, IMF-fixdate); false when it is not. */
bool mni_s3_time_parse_http(struct mn_slice text, int64_t *time_us_out);
/* "2009-10-12T17:50:30.000Z"; false when it is not. */
bool mni_s3_time_parse_iso(struct mn_slice text, int64_t *time_us_out);

/* Requests --------------------------------------------------------------------------------------
 */

struct mni_s3_request {
    const char *method;
    struct mni_buf path;          /* percent-encoded, from "/" on */
    struct mni_buf query;         /* canonical: "a=b&c=", empty for none */
    struct mni_buf headers;       /* canonical: "name:value\n", ascending */
    struct mni_buf authorization; /* value of the header, set by signing */
    struct mn_slice body;         /* borrowed until the request is done */
    bool is_short_of_memory;      /* a part is missing; signing answers MN_ERR_NOMEM */
};

void mni_s3_request_init(struct mni_s3_request *request, const char *method);
void mni_s3_request_done(struct mni_s3_request *request);
/* Appends bytes to the path: all but letters, digits, "-", "_", ".", "~" and "/" become "%XX". */
void mni_s3_request_path(struct mni_s3_request *request, struct mn_slice text);
/* Names are given in ascending order. */
void mni_s3_request_param(struct mni_s3_request *request, const char *name, struct mn_slice value);
/* Sets a header, in the place of one of this name. The name is in lower case; the value has no
 * space at its ends nor two in a row, and no control character. */
void mni_s3_request_header(struct mni_s3_request *request, const char *name, struct mn_slice value);
/* Sets the body and the header x-amz-content-sha256. */
void mni_s3_request_body(struct mni_s3_request *request, struct mn_slice body);

/* Signing ---------------------------------------------------------------------------------------
 */

/* Keeps the key that is derived for one day. Any number of threads. */
struct mni_s3_signer;

/* Strings are copied, and wiped when the signer is freed. `session_token` may be NULL. */
MN_MUST_USE mn_status mni_s3_signer_new(const char *access_key, const char *secret_key,
                                        const char *session_token, const char *region,
                                        struct mni_s3_signer **signer_out);
void mni_s3_signer_free(struct mni_s3_signer *signer);
/* Signs all headers that the request has, and x-amz-date and x-amz-security-token, which it sets.
 * May be called again with another time. MN_ERR_NOMEM. */
MN_MUST_USE mn_status mni_s3_sign(struct mni_s3_signer *signer, struct mni_s3_request *request,
                                  int64_t time_us);
/* Whether the text holds one of the secrets: then it is not for messages. */
bool mni_s3_signer_is_secret_in(const struct mni_s3_signer *signer, struct mn_slice text);

/* MD5 is not for safety: S3 servers make ETags of it. False: there is none (a strict provider), or
 * memory is short. */
MN_MUST_USE bool mni_s3_md5(const void *data, size_t n, unsigned char md5_out[MNI_S3_MD5_BYTES]);
/* Overwrites memory that held a secret. */
void mni_s3_wipe(void *data, size_t n);
void mni_s3_hex(const unsigned char *data, size_t n, char *text_out); /* 2n and a NUL */

#endif
