/*
 * object_uploads.c - uploads in parts as programs see them.
 *
 * Owns:    the handle of an upload, and with it the back end's.
 * Threads: any number put parts of one upload at once; completing, aborting and leaving are alone.
 * Fails:   as include/mneme/object.h says. That parts are missing or too small is found here, the
 *          same for all back ends.
 */
#include <inttypes.h>

#include "api/object_private.h"
#include "base/check.h"
#include "base/mem.h"

enum { UPLOAD_ID_BYTES_MAX = 4096 };

struct mn_object_upload {
    mn_object_store *store;          /* borrowed; is not closed before */
    struct mni_object_upload *below; /* owned */
    size_t key_bytes;
    unsigned char key[];
};

static struct mn_slice key_of(const mn_object_upload *upload)
{
    return (struct mn_slice){upload->key, upload->key_bytes};
}

static void free_handle(mn_object_upload *upload)
{
    unsigned n_before = atomic_fetch_sub(&upload->store->n_uploads, 1);

    MNI_CHECK(n_before > 0);
    mni_free(upload);
}

static mn_status open_upload(mn_object_store *store, struct mn_slice key, const char *upload_id,
                             const uint32_t *crc32c, mn_object_upload **upload_out,
                             struct mn_error *err)
{
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_key(key, err);
    if (st == MN_OK && upload_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the upload");
    if (st != MN_OK)
        return st;
    mn_object_upload *upload = mni_alloc_zero(sizeof *upload + key.n_bytes);
    if (upload == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of an upload");
    upload->store = store;
    upload->key_bytes = key.n_bytes;
    memcpy(upload->key, key.data, key.n_bytes);
    st = store->store->ops->upload_open(store->store, key, upload_id, crc32c, &upload->below, err);
    if (st != MN_OK) {
        mni_free(upload);
        return api_object_name(store, key, st, err);
    }
    atomic_fetch_add(&store->n_uploads, 1);
    *upload_out = upload;
    return MN_OK;
}

mn_status mn_object_upload_begin(mn_object_store *store, struct mn_slice key,
                                 mn_object_upload **upload_out, struct mn_error *err)
{
    return open_upload(store, key, NULL, NULL, upload_out, err);
}

mn_status mn_object_upload_begin_known(mn_object_store *store, struct mn_slice key, uint32_t crc32c,
                                       mn_object_upload **upload_out, struct mn_error *err)
{
    return open_upload(store, key, NULL, &crc32c, upload_out, err);
}

mn_status mn_object_upload_resume(mn_object_store *store, struct mn_slice key,
                                  const char *upload_id, mn_object_upload **upload_out,
                                  struct mn_error *err)
{
    if (upload_id == NULL || upload_id[0] == '\0' ||
        strnlen(upload_id, UPLOAD_ID_BYTES_MAX) == UPLOAD_ID_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "no id of an upload");
    return open_upload(store, key, upload_id, NULL, upload_out, err);
}

const char *mn_object_upload_id(const mn_object_upload *upload)
{
    return upload == NULL ? "" : upload->below->store->ops->upload_id(upload->below);
}

uint64_t mn_object_upload_part_bytes(mn_object_upload *upload, uint32_t number)
{
    if (upload == NULL || number < 1 || number > MN_OBJECT_PARTS_MAX ||
        mni_fork_guard_is_child(upload->store->guard))
        return 0;
    return upload->below->store->ops->upload_part_bytes(upload->below, number);
}

static mn_status check_upload(const mn_object_upload *upload, struct mn_error *err)
{
    if (upload == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no upload");
    return api_object_check(upload->store, err);
}

static mn_status check_part(uint32_t number, struct mn_slice data, struct mn_error *err)
{
    if (number < 1 || number > MN_OBJECT_PARTS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "parts are numbered 1 to %d", MN_OBJECT_PARTS_MAX);
    if (data.data == NULL || data.n_bytes == 0)
        return mni_fail(err, MN_ERR_INVALID, "part %u is empty", number);
    if (data.n_bytes > MN_OBJECT_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "part %u has %zu bytes; at most %" PRIu64, number,
                        data.n_bytes, MN_OBJECT_BYTES_MAX);
    return MN_OK;
}

mn_status mn_object_upload_part(mn_object_upload *upload, uint32_t number, struct mn_slice data,
                                struct mn_error *err)
{
    mn_status st = check_upload(upload, err);

    if (st == MN_OK)
        st = check_part(number, data, err);
    if (st != MN_OK)
        return st;
    st = upload->below->store->ops->upload_part(upload->below, number, data, err);
    return api_object_name(upload->store, key_of(upload), st, err);
}

/* The parts are 1 to the highest, and all but that one are large enough. */
static mn_status check_parts(mn_object_upload *upload, struct mn_error *err)
{
    uint32_t first_missing = 0;
    uint32_t first_small = 0;
    uint32_t highest = 0;

    for (uint32_t number = 1; number <= MN_OBJECT_PARTS_MAX; number++) {
        uint64_t n_bytes = mn_object_upload_part_bytes(upload, number);
        if (n_bytes == 0 && first_missing == 0)
            first_missing = number;
        if (n_bytes > 0)
            highest = number;
        if (n_bytes > 0 && n_bytes < MN_OBJECT_PART_BYTES_MIN && first_small == 0)
            first_small = number;
    }
    if (highest == 0)
        return mni_fail(err, MN_ERR_INVALID, "the upload has no parts");
    if (first_missing != 0 && first_missing < highest)
        return mni_fail(err, MN_ERR_INVALID, "part %u of %u is missing", first_missing, highest);
    if (first_small != 0 && first_small < highest)
        return mni_fail(err, MN_ERR_INVALID, "part %u of %u has less than 5 MiB", first_small,
                        highest);
    return MN_OK;
}

mn_status mn_object_upload_complete(mn_object_upload *upload,
                                    const struct mn_object_condition *condition,
                                    struct mn_object_info *info_out, struct mn_error *err)
{
    mn_status st = check_upload(upload, err);

    if (st == MN_OK)
        st = api_object_check_condition(condition, err);
    if (st != MN_OK)
        return st;
    st = check_parts(upload, err);
    if (st == MN_OK)
        st = upload->below->store->ops->upload_complete(upload->below, condition, info_out, err);
    st = api_object_name(upload->store, key_of(upload), st, err);
    if (st == MN_OK || st == MN_EXISTS || st == MN_CHANGED)
        free_handle(upload);
    return st;
}

/* A child of the process that opened the store leaves everything as it is: threads that held the
 * back end's locks are not here. */
mn_status mn_object_upload_abort(mn_object_upload *upload, struct mn_error *err)
{
    mn_status st = check_upload(upload, err);

    if (st != MN_OK)
        return st;
    st = upload->below->store->ops->upload_abort(upload->below, err);
    st = api_object_name(upload->store, key_of(upload), st, err);
    free_handle(upload);
    return st;
}

void mn_object_upload_leave(mn_object_upload *upload)
{
    if (upload == NULL || mni_fork_guard_is_child(upload->store->guard))
        return;
    upload->below->store->ops->upload_leave(upload->below);
    free_handle(upload);
}

/* Listing ----------*/

struct listing {
    mn_object_upload_fn *each;
    void *context;
    bool was_ended; /* by the caller's function, which fills no error */
};

static mn_status tell_upload(void *context, struct mn_slice key, const char *upload_id,
                             int64_t begun_us)
{
    struct listing *listing = context;
    mn_status st = listing->each(listing->context, key, upload_id, begun_us);

    listing->was_ended = st != MN_OK;
    return st;
}

mn_status mn_object_uploads(mn_object_store *store, struct mn_slice prefix,
                            mn_object_upload_fn *each, void *context, struct mn_error *err)
{
    struct listing listing = {each, context, false};
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_prefix(prefix, "prefix", err);
    if (st == MN_OK && each == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no function to call");
    if (st != MN_OK)
        return st;
    st = store->store->ops->uploads(store->store, prefix, tell_upload, &listing, err);
    if (listing.was_ended)
        return mni_fail(err, st, "ended by the function that was called");
    if (st != MN_OK)
        mni_error_prefix(err, "list uploads to %s", store->label);
    return st;
}
