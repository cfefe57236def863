/*
 * dir.c - object storage in a directory: its operations.
 *
 * Owns:    the store, and handles of uploads.
 * Format:  docs/format/object.md
 * Threads: any, and any number of processes.
 * Fails:   as the disk does; and as its options tell it to, for tests of what stands above.
 */
#include "base/check.h"
#include "base/mem.h"
#include "object/dir_private.h"

/* Requests that fail as they are told ----------*/

enum told { TOLD_NOTHING, TOLD_TO_FAIL, TOLD_TO_FAIL_AFTERWARDS };

/* Every request asks once. */
static enum told ask(struct dir_store *store)
{
    if (store->delay_us > 0)
        dir_nap(store->delay_us);
    if (store->fail_every == 0)
        return TOLD_NOTHING;
    uint64_t n = atomic_fetch_add(&store->n_asked, 1) + 1;
    if (n % store->fail_every != 0)
        return TOLD_NOTHING;
    return n / store->fail_every % 2 == 0 ? TOLD_TO_FAIL_AFTERWARDS : TOLD_TO_FAIL;
}

/* Whether a request is to do its work; what fails without, answers MN_ERR_REMOTE. */
static bool is_done(enum told told, mn_status *st, struct mn_error *err)
{
    if (told != TOLD_TO_FAIL)
        return true;
    *st = mni_fail(err, MN_ERR_REMOTE, "failed because it was told to");
    return false;
}

/* How a request that did its work ends. */
static mn_status finish(struct dir_store *store, enum told told, mn_status st, struct mn_error *err)
{
    if (told == TOLD_TO_FAIL_AFTERWARDS)
        st = mni_fail(err, MN_ERR_REMOTE, "failed afterwards because it was told to");
    return object_count(&store->counts, st);
}

/* Reading changes nothing: it fails at once in both ways. */
static enum told ask_to_read(struct dir_store *store)
{
    return ask(store) == TOLD_NOTHING ? TOLD_NOTHING : TOLD_TO_FAIL;
}

static mn_status check_writable(const struct dir_store *store, struct mn_error *err)
{
    if (store->is_read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the directory was opened for reading only");
    return MN_OK;
}

/* Objects ----------*/

static mn_status put(struct dir_store *store, struct mn_slice key, struct mn_slice data,
                     const struct mn_object_condition *condition, struct mn_object_info *info_out,
                     struct mn_error *err)
{
    struct dir_temp temp = {0};
    struct mn_object_info info;
    mn_status st = check_writable(store, err);

    if (st == MN_OK)
        st = dir_temp_write(store, data, &temp, &info, err);
    if (st == MN_OK)
        st = dir_publish(store, key, &temp, condition, err);
    dir_temp_done(store, &temp);
    if (st != MN_OK)
        return st;
    atomic_fetch_add(&store->counts.bytes_sent, data.n_bytes);
    if (info_out != NULL)
        *info_out = info;
    return MN_OK;
}

static mn_status dir_put(struct mni_object_store *base, struct mn_slice key, struct mn_slice data,
                         const struct mn_object_condition *condition,
                         struct mn_object_info *info_out, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    enum told told = ask(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = put(store, key, data, condition, info_out, err);
    return finish(store, told, st, err);
}

/* Opens the file of a key. */
static mn_status open_object(struct dir_store *store, struct mn_slice key,
                             struct mni_file **file_out, struct mn_object_info *info_out,
                             struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_dir *dir = NULL;
    mn_status st = dir_open_place(store, key, false, &dir, name, err);

    if (st == MN_OK) {
        st = dir_file_open(dir, name, file_out, info_out, err);
        dir_close_place(store, dir);
    }
    if (st == MN_NOT_FOUND)
        st = dir_check_missing(store, "objects", err);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_NOT_FOUND, "there is none") : st;
}

static mn_status dir_get(struct mni_object_store *base, struct mn_slice key, uint64_t n_bytes_max,
                         struct mn_slice *data_out, struct mn_object_info *info_out,
                         struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    enum told told = ask_to_read(store);
    struct mn_object_info info;
    struct mni_file *file = NULL;
    mn_status st;

    if (is_done(told, &st, err))
        st = open_object(store, key, &file, &info, err);
    if (st == MN_OK)
        st = dir_file_read(file, &info, n_bytes_max, data_out, err);
    mni_file_close(file);
    if (st == MN_OK) {
        atomic_fetch_add(&store->counts.bytes_received, info.n_bytes);
        if (info_out != NULL)
            *info_out = info;
    }
    return finish(store, told, st, err);
}

static mn_status read_range(struct dir_store *store, struct mn_object_range *range,
                            struct mn_error *err)
{
    struct mn_object_info info;
    struct mni_file *file = NULL;
    uint64_t n = 0;
    size_t n_read = 0;
    mn_status st = open_object(store, range->key, &file, &info, err);

    if (st == MN_OK)
        st = mni_object_range_fit(range, &info, &n, err);
    if (st == MN_OK)
        st = mni_file_read(file, range->offset, range->data_out, (size_t)n, &n_read, err);
    if (st == MN_OK && n_read < n)
        st = mni_fail(err, MN_ERR_CORRUPT, "the file has become shorter");
    mni_file_close(file);
    return st == MN_OK ? mni_object_range_done(range, n_read, err) : st;
}

/* Each range is a request. */
static mn_status dir_get_ranges(struct mni_object_store *base, struct mn_object_range *ranges,
                                size_t n_ranges, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    mn_status first = MN_OK;

    for (size_t i = 0; i < n_ranges; i++) {
        struct mn_error *first_err = first == MN_OK ? err : NULL;
        enum told told = ask_to_read(store);
        mn_status st;
        ranges[i].n_read = 0;
        if (is_done(told, &st, first_err))
            st = read_range(store, &ranges[i], first_err);
        ranges[i].status = finish(store, told, st, first_err);
        atomic_fetch_add(&store->counts.bytes_received, ranges[i].n_read);
        if (first == MN_OK)
            first = st;
    }
    return first;
}

static mn_status dir_head(struct mni_object_store *base, struct mn_slice key,
                          struct mn_object_info *info_out, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    enum told told = ask_to_read(store);
    struct mn_object_info info;
    struct mni_file *file = NULL;
    mn_status st;

    if (is_done(told, &st, err))
        st = open_object(store, key, &file, &info, err);
    mni_file_close(file);
    if (st == MN_OK)
        *info_out = info;
    return finish(store, told, st, err);
}

static mn_status dir_remove(struct mni_object_store *base, struct mn_slice key,
                            struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    enum told told = ask(store);
    mn_status st;

    if (is_done(told, &st, err)) {
        st = check_writable(store, err);
        if (st == MN_OK)
            st = dir_unpublish(store, key, err);
    }
    return finish(store, told, st, err);
}

/* Does not fail because it was told to. */
static void dir_discard(struct mni_object_store *base, struct mn_slice key)
{
    struct dir_store *store = dir_store_of(base);

    if (!store->is_read_only)
        mni_ignore(dir_unpublish(store, key, NULL));
}

static mn_status dir_list_page(struct mni_object_store *base, struct mn_slice prefix,
                               struct mn_slice after, size_t n_entries_max,
                               struct mn_object_page **page_out, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    enum told told = ask_to_read(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = dir_list(store, prefix, after, n_entries_max, page_out, err);
    return finish(store, told, st, err);
}

/* Uploads ----------*/

struct dir_handle {
    struct mni_object_upload base;
    struct dir_upload *upload; /* owned */
};

static struct dir_handle *handle_of(struct mni_object_upload *base)
{
    return (struct dir_handle *)base;
}

static void free_handle(struct dir_handle *handle)
{
    if (handle == NULL)
        return;
    dir_upload_free(handle->upload);
    mni_free(handle);
}

static mn_status open_upload(struct dir_store *store, struct mn_slice key, const char *upload_id,
                             const uint32_t *crc32c, struct dir_handle **handle_out,
                             struct mn_error *err)
{
    struct dir_handle *handle = NULL;
    mn_status st = check_writable(store, err);

    if (st != MN_OK)
        return st;
    handle = mni_alloc_zero(sizeof *handle);
    if (handle == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of an upload");
    handle->base =
        (struct mni_object_upload){&store->base, crc32c != NULL, crc32c != NULL ? *crc32c : 0};
    st = dir_upload_new(store, key, upload_id, &handle->upload, err);
    if (st != MN_OK) {
        free_handle(handle);
        return st;
    }
    *handle_out = handle;
    return MN_OK;
}

static mn_status dir_upload_open(struct mni_object_store *base, struct mn_slice key,
                                 const char *upload_id, const uint32_t *crc32c,
                                 struct mni_object_upload **upload_out, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    struct dir_handle *handle = NULL;
    enum told told = ask(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = open_upload(store, key, upload_id, crc32c, &handle, err);
    st = finish(store, told, st, err);
    if (st == MN_OK)
        *upload_out = &handle->base;
    else
        free_handle(handle); /* the upload stays */
    return st;
}

static const char *dir_upload_id(const struct mni_object_upload *base)
{
    return dir_upload_get_id(((const struct dir_handle *)base)->upload);
}

static uint64_t dir_upload_part_bytes(struct mni_object_upload *base, uint32_t number)
{
    return dir_upload_get_part_bytes(handle_of(base)->upload, number);
}

static mn_status dir_upload_part(struct mni_object_upload *base, uint32_t number,
                                 struct mn_slice data, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base->store);
    enum told told = ask(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = dir_upload_put_part(handle_of(base)->upload, number, data, err);
    if (st == MN_OK)
        atomic_fetch_add(&store->counts.bytes_sent, data.n_bytes);
    return finish(store, told, st, err);
}

static mn_status dir_upload_complete(struct mni_object_upload *base,
                                     const struct mn_object_condition *condition,
                                     struct mn_object_info *info_out, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base->store);
    struct dir_upload *upload = handle_of(base)->upload;
    enum told told = ask(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = dir_upload_join(upload, base, condition, info_out, err);
    st = finish(store, told, st, err);
    if (st == MN_OK || st == MN_EXISTS || st == MN_CHANGED) {
        mni_ignore(dir_upload_end(upload, NULL)); /* the object is there or refused for good */
        free_handle(handle_of(base));
    }
    return st;
}

static mn_status dir_upload_abort(struct mni_object_upload *base, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base->store);
    enum told told = ask(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = dir_upload_end(handle_of(base)->upload, err);
    free_handle(handle_of(base));
    return finish(store, told, st, err);
}

static void dir_upload_leave(struct mni_object_upload *base)
{
    free_handle(handle_of(base));
}

static mn_status dir_list_uploads(struct mni_object_store *base, struct mn_slice prefix,
                                  mn_object_upload_fn *each, void *context, struct mn_error *err)
{
    struct dir_store *store = dir_store_of(base);
    enum told told = ask_to_read(store);
    mn_status st;

    if (is_done(told, &st, err))
        st = dir_uploads(store, prefix, each, context, err);
    return finish(store, told, st, err);
}

/* The store ----------*/

static void dir_stats(struct mni_object_store *base, struct mn_object_stats *stats_out)
{
    object_counts_tell(&dir_store_of(base)->counts, stats_out);
}

static void dir_close(struct mni_object_store *base)
{
    dir_store_done(dir_store_of(base));
    mni_free(dir_store_of(base));
}

static const struct mni_object_ops dir_ops = {
    .put = dir_put,
    .get = dir_get,
    .get_ranges = dir_get_ranges,
    .head = dir_head,
    .remove = dir_remove,
    .discard = dir_discard,
    .list = dir_list_page,
    .upload_open = dir_upload_open,
    .upload_id = dir_upload_id,
    .upload_part_bytes = dir_upload_part_bytes,
    .upload_part = dir_upload_part,
    .upload_complete = dir_upload_complete,
    .upload_abort = dir_upload_abort,
    .upload_leave = dir_upload_leave,
    .uploads = dir_list_uploads,
    .stats = dir_stats,
    .close = dir_close,
};

mn_status mni_object_open_dir(struct mni_env *env, const char *path,
                              const struct mn_object_dir_options *options,
                              struct mni_object_store **store_out, struct mn_error *err)
{
    struct dir_store *store = mni_alloc_zero(sizeof *store);

    if (store == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "object store");
    store->base.ops = &dir_ops;
    store->env = env;
    store->is_read_only = options->read_only;
    store->delay_us = options->delay_us;
    store->fail_every = options->fail_every;
    mn_status st = dir_store_init(store, path, err);
    if (st != MN_OK) {
        dir_close(&store->base);
        return st;
    }
    *store_out = &store->base;
    return MN_OK;
}
