/*
 * no_s3.c - what stands where the S3 back end would, in a build without libcurl or OpenSSL.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   always, with MN_ERR_UNSUPPORTED.
 */
#include "object/object.h"

mn_status mni_object_open_s3(struct mni_env *env, const struct mn_object_s3_options *options,
                             struct mni_object_store **store_out, struct mn_error *err)
{
    (void)env;
    (void)options;
    *store_out = NULL;
    return mni_fail(err, MN_ERR_UNSUPPORTED,
                    "S3 object storage: built without libcurl and OpenSSL");
}
