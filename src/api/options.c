/*
 * options.c - reads options of callers that were compiled with an older or newer header.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_INVALID without a size, MN_ERR_UNSUPPORTED for what this library does not know.
 */
#include "api/options.h"

#include <string.h>

#include "base/bytes.h"

mn_status api_copy_options(const void *from, void *to, size_t to_bytes, const char *what,
                           struct mn_error *err)
{
    size_t from_bytes = 0;

    memset(to, 0, to_bytes);
    if (from == NULL)
        return MN_OK;
    memcpy(&from_bytes, from, sizeof from_bytes);
    if (from_bytes < sizeof from_bytes || from_bytes > 4096)
        return mni_fail(err, MN_ERR_INVALID, "%s.size is %zu, set it to sizeof(struct %s)", what,
                        from_bytes, what);
    /* A newer program may ask for more than this library has only by leaving it zero. */
    if (from_bytes > to_bytes &&
        !mni_is_zero((const unsigned char *)from + to_bytes, from_bytes - to_bytes))
        return mni_fail(err, MN_ERR_UNSUPPORTED, "%s has fields that this library does not know",
                        what);
    memcpy(to, from, from_bytes < to_bytes ? from_bytes : to_bytes);
    return MN_OK;
}
