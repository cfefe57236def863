/*
 * s3_settings_private.h - where the S3 server is, and who we are there.
 */
#ifndef MNI_OBJECT_S3_SETTINGS_PRIVATE_H
#define MNI_OBJECT_S3_SETTINGS_PRIVATE_H

#include "io/env.h"
#include "mneme/object.h"

/* Strings are owned. */
struct mni_s3_settings {
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL: none */
    char *region;
    char *endpoint; /* NULL: AWS */
    char *ca_file;  /* NULL: the system's */
};

/* Options first, then AWS_* variables, then (credentials only) the shared credentials file.
 * MN_ERR_ACCESS: there are no credentials; MN_ERR_INVALID: a setting that cannot be. */
MN_MUST_USE mn_status mni_s3_settings_load(struct mni_env *env,
                                           const struct mn_object_s3_options *options,
                                           struct mni_s3_settings *settings_out,
                                           struct mn_error *err);
void mni_s3_settings_done(struct mni_s3_settings *settings);

/* How a bucket is reached. */
struct mni_s3_address {
    bool is_https;
    bool is_loopback;
    char *origin; /* owned: "https://bucket.host:9000" */
    char *host;   /* owned: the header, "bucket.host:9000"; no port where it is the usual one */
    char *root;   /* owned: path before the key, "/" or "/bucket/" */
};

MN_MUST_USE mn_status mni_s3_address_init(const struct mni_s3_settings *settings,
                                          const struct mn_object_s3_options *options,
                                          struct mni_s3_address *address_out, struct mn_error *err);
void mni_s3_address_done(struct mni_s3_address *address);

#endif
