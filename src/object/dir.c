/*
 * dir.c - object storage in a directory.
 *
 * Owns:    nothing yet.
 * Threads: any.
 * Fails:   MN_ERR_UNSUPPORTED.
 */
#include "object/object.h"

mn_status mni_object_open_dir(struct mni_env *env, const char *path,
                              const struct mn_object_dir_options *options,
                              struct mni_object_store **store_out, struct mn_error *err)
{
    (void)env;
    (void)options;
    *store_out = NULL;
    return mni_fail(err, MN_ERR_UNSUPPORTED, "object storage in the directory %s", path);
}
