/*
 * object.c - object storage as programs see it: opening, objects, listings.
 *
 * Owns:    the handle, and with it the back end.
 * Threads: any number at once; the back end orders them.
 * Fails:   as include/mneme/object.h says; what is refused here has reached no back end. Messages
 *          name the object and the store.
 */
#include "mneme/object.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/api.h"
#include "api/object_private.h"
#include "api/options.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/posix.h"

enum {
    QUOTED_KEY_BYTES = 160,
    URL_BYTES_MAX = 4096,
    TRIES_MAX = 100,
    TIMEOUT_MS_MAX = 86400000,
    BUCKET_BYTES_MAX = 255,
};

/* Checking what callers give ----------*/

mn_status api_object_check(const mn_object_store *store, struct mn_error *err)
{
    if (store == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no handle of an object store");
    if (mni_fork_guard_is_child(store->guard))
        return mni_fail(err, MN_ERR_FORKED,
                        "the object store was opened before this process was forked");
    return MN_OK;
}

mn_status api_object_check_prefix(struct mn_slice prefix, const char *what, struct mn_error *err)
{
    if (prefix.data == NULL && prefix.n_bytes > 0)
        return mni_fail(err, MN_ERR_INVALID, "a %s of %zu bytes without data", what,
                        prefix.n_bytes);
    if (prefix.n_bytes > MN_OBJECT_KEY_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a %s of %zu bytes; at most %d", what, prefix.n_bytes,
                        MN_OBJECT_KEY_BYTES_MAX);
    if (prefix.n_bytes > 0 && memchr(prefix.data, 0, prefix.n_bytes) != NULL)
        return mni_fail(err, MN_ERR_INVALID, "a %s with U+0000", what);
    if (prefix.n_bytes > 0 && !mni_utf8_is_valid(prefix.data, prefix.n_bytes))
        return mni_fail(err, MN_ERR_INVALID, "a %s that is not UTF-8", what);
    return MN_OK;
}

mn_status api_object_check_key(struct mn_slice key, struct mn_error *err)
{
    if (key.n_bytes == 0)
        return mni_fail(err, MN_ERR_INVALID, "an empty key");
    return api_object_check_prefix(key, "key", err);
}

static mn_status check_etag(const char *etag, struct mn_error *err)
{
    size_t n = strnlen(etag, MN_OBJECT_ETAG_BYTES);

    if (n == 0 || n == MN_OBJECT_ETAG_BYTES)
        return mni_fail(err, MN_ERR_INVALID, "an ETag has 1 to %d characters",
                        MN_OBJECT_ETAG_BYTES - 1);
    for (size_t i = 0; i < n; i++)
        if (etag[i] <= 0x20 || etag[i] >= 0x7F || etag[i] == '"')
            return mni_fail(err, MN_ERR_INVALID, "an ETag is printable ASCII without quotes");
    return MN_OK;
}

mn_status api_object_check_condition(const struct mn_object_condition *condition,
                                     struct mn_error *err)
{
    if (condition == NULL || condition->if_match == NULL)
        return MN_OK;
    if (condition->if_absent)
        return mni_fail(err, MN_ERR_INVALID, "if_absent and if_match exclude each other");
    return check_etag(condition->if_match, err);
}

/* A key for people, quoted, cut when it is long. */
static void quote_key(struct mn_slice key, char quoted_out[QUOTED_KEY_BYTES])
{
    const unsigned char *bytes = key.data;
    size_t n = 0;

    quoted_out[n++] = '"';
    for (size_t i = 0; i < key.n_bytes; i++) {
        if (n + 12 > QUOTED_KEY_BYTES && (bytes[i] & 0xC0) != 0x80) {
            memcpy(quoted_out + n, "...", 3);
            n += 3;
            break;
        }
        if (bytes[i] < 0x20 || bytes[i] == 0x7F)
            n += (size_t)snprintf(quoted_out + n, 5, "\\x%02X", bytes[i]);
        else if (bytes[i] == '"' || bytes[i] == '\\')
            n += (size_t)snprintf(quoted_out + n, 3, "\\%c", bytes[i]);
        else
            quoted_out[n++] = (char)bytes[i];
    }
    quoted_out[n++] = '"';
    quoted_out[n] = '\0';
}

mn_status api_object_name(const mn_object_store *store, struct mn_slice key, mn_status st,
                          struct mn_error *err)
{
    char quoted[QUOTED_KEY_BYTES];

    if (st == MN_OK || err == NULL)
        return st;
    quote_key(key, quoted);
    mni_error_prefix(err, "object %s in %s", quoted, store->label);
    return st;
}

/* Opening and closing ----------*/

static void free_handle(mn_object_store *handle)
{
    if (handle == NULL)
        return;
    if (handle->store != NULL)
        handle->store->ops->close(handle->store);
    mni_fork_guard_free(handle->guard);
    mni_free(handle);
}

mn_status mni_api_object_new(struct mni_env *env, struct mni_object_store *store, const char *label,
                             mn_object_store **store_out, struct mn_error *err)
{
    mn_object_store *handle = mni_alloc_zero(sizeof *handle);

    if (handle == NULL) {
        store->ops->close(store);
        return mni_fail(err, MN_ERR_NOMEM, "handle of an object store");
    }
    handle->store = store;
    handle->env = env;
    (void)snprintf(handle->label, sizeof handle->label, "%s", label);
    mn_status st = mni_fork_guard_new(&handle->guard, err);
    if (st != MN_OK) {
        free_handle(handle);
        return st;
    }
    *store_out = handle;
    return MN_OK;
}

mn_status mni_api_object_open_dir(struct mni_env *env, const char *path,
                                  const struct mn_object_dir_options *options,
                                  mn_object_store **store_out, struct mn_error *err)
{
    struct mn_object_dir_options o;
    struct mni_object_store *store = NULL;
    char label[OBJECT_LABEL_BYTES];

    if (path == NULL || path[0] == '\0' || store_out == NULL)
        return mni_fail(err, MN_ERR_INVALID,
                        "mn_object_open_dir needs a path and a place for the handle");
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_object_dir_options", err);
    if (st == MN_OK)
        st = mni_object_open_dir(env, path, &o, &store, err);
    if (st != MN_OK) {
        mni_error_prefix(err, "dir:%s", path);
        return st;
    }
    (void)snprintf(label, sizeof label, "dir:%s", path);
    return mni_api_object_new(env, store, label, store_out, err);
}

mn_status mn_object_open_dir(const char *path, const struct mn_object_dir_options *options,
                             mn_object_store **store_out, struct mn_error *err)
{
    return mni_api_object_open_dir(mni_posix_env(), path, options, store_out, err);
}

mn_status mn_object_open_memory(mn_object_store **store_out, struct mn_error *err)
{
    struct mni_object_store *store = NULL;

    if (store_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the handle");
    mn_status st = mni_object_open_memory(mni_posix_env(), &store, err);
    return st == MN_OK ? mni_api_object_new(mni_posix_env(), store, "mem:", store_out, err) : st;
}

static mn_status check_s3_options(const struct mn_object_s3_options *o, struct mn_error *err)
{
    if (o->bucket == NULL || o->bucket[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "no bucket");
    if (strnlen(o->bucket, BUCKET_BYTES_MAX + 1) > BUCKET_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "a bucket's name has at most %d bytes",
                        BUCKET_BYTES_MAX);
    if (strchr(o->bucket, '/') != NULL)
        return mni_fail(err, MN_ERR_INVALID,
                        "bucket %s: a name has no \"/\"; what is behind it belongs into the prefix",
                        o->bucket);
    if ((o->access_key == NULL) != (o->secret_key == NULL))
        return mni_fail(err, MN_ERR_INVALID, "access_key and secret_key go together");
    if (o->session_token != NULL && o->access_key == NULL)
        return mni_fail(err, MN_ERR_INVALID, "session_token goes with access_key");
    if ((int)o->addressing < MN_OBJECT_ADDRESSING_DEFAULT ||
        o->addressing > MN_OBJECT_ADDRESSING_HOST)
        return mni_fail(err, MN_ERR_INVALID, "there is no addressing %d", (int)o->addressing);
    if (o->n_connections_max > MN_OBJECT_CONNECTIONS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "n_connections_max is 1 to %d",
                        MN_OBJECT_CONNECTIONS_MAX);
    if (o->timeout_ms > TIMEOUT_MS_MAX || o->idle_timeout_ms > TIMEOUT_MS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "a timeout is at most a day");
    if (o->n_tries_max > TRIES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "n_tries_max is 1 to %d", TRIES_MAX);
    if (o->part_bytes != 0 &&
        (o->part_bytes < MN_OBJECT_PART_BYTES_MIN || o->part_bytes > MN_OBJECT_PART_BYTES_MAX))
        return mni_fail(err, MN_ERR_INVALID, "part_bytes is 5 MiB to 5 GiB");
    if (o->prefix != NULL && o->prefix[0] != '\0')
        return api_object_check_prefix(mn_str(o->prefix), "prefix", err);
    return MN_OK;
}

mn_status mn_object_open_s3(const struct mn_object_s3_options *options, mn_object_store **store_out,
                            struct mn_error *err)
{
    struct mn_object_s3_options o;
    struct mni_object_store *store = NULL;
    char label[OBJECT_LABEL_BYTES];

    if (store_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the handle");
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_object_s3_options", err);
    if (st == MN_OK)
        st = check_s3_options(&o, err);
    if (st == MN_OK)
        st = mni_object_open_s3(mni_posix_env(), &o, &store, err);
    if (st != MN_OK)
        return st;
    const char *prefix = o.prefix != NULL ? o.prefix : "";
    (void)snprintf(label, sizeof label, "s3://%s%s%.40s%s at %s", o.bucket,
                   prefix[0] != '\0' ? "/" : "", prefix, strlen(prefix) > 40 ? "..." : "",
                   store->place);
    return mni_api_object_new(mni_posix_env(), store, label, store_out, err);
}

/* "BUCKET[/PREFIX]". A prefix is a folder: it ends with "/" also when the URL does not. */
static mn_status open_s3_url(const char *rest, mn_object_store **store_out, struct mn_error *err)
{
    char bucket[BUCKET_BYTES_MAX + 1];
    char prefix[MN_OBJECT_KEY_BYTES_MAX + 2];
    const char *slash = strchr(rest, '/');
    size_t n_bucket = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
    size_t n_prefix = slash != NULL ? strlen(slash + 1) : 0;

    if (n_bucket == 0 || n_bucket > BUCKET_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "the URL names no bucket");
    if (n_prefix >= MN_OBJECT_KEY_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a prefix of %zu bytes", n_prefix);
    memcpy(bucket, rest, n_bucket);
    bucket[n_bucket] = '\0';
    if (n_prefix > 0) {
        memcpy(prefix, slash + 1, n_prefix);
        if (prefix[n_prefix - 1] != '/')
            prefix[n_prefix++] = '/';
    }
    prefix[n_prefix] = '\0';
    const struct mn_object_s3_options o = {.size = sizeof o, .bucket = bucket, .prefix = prefix};
    return mn_object_open_s3(&o, store_out, err);
}

mn_status mn_object_open(const char *url, mn_object_store **store_out, struct mn_error *err)
{
    if (url == NULL || store_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "mn_object_open needs a URL and a place");
    if (strnlen(url, URL_BYTES_MAX) == URL_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a URL of %d bytes or more", URL_BYTES_MAX);
    if (strncmp(url, "s3://", 5) == 0)
        return open_s3_url(url + 5, store_out, err);
    if (strncmp(url, "dir:", 4) == 0)
        return mn_object_open_dir(url + 4, NULL, store_out, err);
    if (strcmp(url, "mem:") == 0)
        return mn_object_open_memory(store_out, err);
    return mni_fail(err, MN_ERR_INVALID, "%s begins with none of s3://, dir:, mem:", url);
}

mn_status mn_object_close(mn_object_store *store, struct mn_error *err)
{
    if (store == NULL)
        return MN_OK;
    mn_status st = api_object_check(store, err);
    if (st != MN_OK)
        return st;
    unsigned n_uploads = atomic_load(&store->n_uploads);
    if (n_uploads > 0)
        return mni_fail(err, MN_ERR_BUSY, "%u uploads to %s are open", n_uploads, store->label);
    free_handle(store);
    return MN_OK;
}

/* Objects ----------*/

static mn_status check_data(struct mn_slice data, struct mn_error *err)
{
    if (data.data == NULL && data.n_bytes > 0)
        return mni_fail(err, MN_ERR_INVALID, "an object of %zu bytes without data", data.n_bytes);
    if (data.n_bytes > MN_OBJECT_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "an object of %zu bytes; at most %" PRIu64, data.n_bytes,
                        MN_OBJECT_BYTES_MAX);
    return MN_OK;
}

mn_status mn_object_put(mn_object_store *store, struct mn_slice key, struct mn_slice data,
                        const struct mn_object_condition *condition,
                        struct mn_object_info *info_out, struct mn_error *err)
{
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_key(key, err);
    if (st == MN_OK)
        st = check_data(data, err);
    if (st == MN_OK)
        st = api_object_check_condition(condition, err);
    if (st != MN_OK)
        return st;
    st = store->store->ops->put(store->store, key, data, condition, info_out, err);
    return api_object_name(store, key, st, err);
}

mn_status mn_object_get(mn_object_store *store, struct mn_slice key, uint64_t n_bytes_max,
                        struct mn_slice *data_out, struct mn_object_info *info_out,
                        struct mn_error *err)
{
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_key(key, err);
    if (st == MN_OK && data_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the object");
    if (st != MN_OK)
        return st;
    if (n_bytes_max == 0 || n_bytes_max > MN_OBJECT_BYTES_MAX)
        n_bytes_max = MN_OBJECT_BYTES_MAX;
    st = store->store->ops->get(store->store, key, n_bytes_max, data_out, info_out, err);
    return api_object_name(store, key, st, err);
}

void mn_object_free(struct mn_slice data)
{
    mni_free((void *)(uintptr_t)data.data);
}

static mn_status check_range(const struct mn_object_range *range, struct mn_error *err)
{
    mn_status st = api_object_check_key(range->key, err);

    if (st != MN_OK)
        return st;
    if (range->n_bytes == 0 || range->data_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "a range has at least one byte, and a place for it");
    if (range->n_bytes > MN_OBJECT_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a range of %" PRIu64 " bytes", range->n_bytes);
    /* Not every server reads larger numbers. */
    if (range->offset > INT64_MAX - 1)
        return mni_fail(err, MN_ERR_INVALID, "a range at %" PRIu64 ": no object is that long",
                        range->offset);
    return range->if_match != NULL ? check_etag(range->if_match, err) : MN_OK;
}

/* Answers the first range: alone when it is refused, else together with those behind it up to the
 * next one that is. Returns how many these were. */
static size_t read_ranges(mn_object_store *store, struct mn_object_range *ranges, size_t n_ranges,
                          mn_status *st_out, struct mn_error *err)
{
    size_t i_bad = 0;
    size_t n = 0;

    *st_out = check_range(&ranges[0], err);
    if (*st_out != MN_OK) {
        ranges[0].status = *st_out;
        return 1;
    }
    do {
        ranges[n].status = MN_OK;
        n++;
    } while (n < n_ranges && check_range(&ranges[n], NULL) == MN_OK);
    *st_out = store->store->ops->get_ranges(store->store, ranges, n, err);
    while (i_bad < n && ranges[i_bad].status == MN_OK)
        i_bad++;
    MNI_CHECK(*st_out == (i_bad < n ? ranges[i_bad].status : MN_OK));
    if (*st_out != MN_OK)
        *st_out = api_object_name(store, ranges[i_bad].key, *st_out, err);
    return n;
}

mn_status mn_object_get_ranges(mn_object_store *store, struct mn_object_range *ranges,
                               size_t n_ranges, struct mn_error *err)
{
    mn_status first = api_object_check(store, err);
    size_t n = 0;

    if (first == MN_OK && ranges == NULL && n_ranges > 0)
        first = mni_fail(err, MN_ERR_INVALID, "no ranges");
    for (size_t i = 0; ranges != NULL && i < n_ranges; i++) {
        ranges[i].status = first;
        ranges[i].n_read = 0;
    }
    if (first != MN_OK)
        return first;
    for (size_t at = 0; at < n_ranges; at += n) {
        mn_status st;
        n = read_ranges(store, ranges + at, n_ranges - at, &st, first == MN_OK ? err : NULL);
        if (first == MN_OK)
            first = st;
    }
    return first;
}

mn_status mn_object_head(mn_object_store *store, struct mn_slice key,
                         struct mn_object_info *info_out, struct mn_error *err)
{
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_key(key, err);
    if (st == MN_OK && info_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    if (st != MN_OK)
        return st;
    st = store->store->ops->head(store->store, key, info_out, err);
    return api_object_name(store, key, st, err);
}

mn_status mn_object_delete(mn_object_store *store, struct mn_slice key, struct mn_error *err)
{
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_key(key, err);
    if (st != MN_OK)
        return st;
    st = store->store->ops->remove(store->store, key, err);
    return api_object_name(store, key, st, err);
}

/* Listing and numbers ----------*/

mn_status mn_object_list(mn_object_store *store, struct mn_slice prefix, struct mn_slice after,
                         size_t n_entries_max, struct mn_object_page **page_out,
                         struct mn_error *err)
{
    mn_status st = api_object_check(store, err);

    if (st == MN_OK)
        st = api_object_check_prefix(prefix, "prefix", err);
    if (st == MN_OK)
        st = api_object_check_prefix(after, "key", err);
    if (st == MN_OK && page_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the page");
    if (st == MN_OK && n_entries_max > MN_OBJECT_PAGE_ENTRIES_MAX)
        st = mni_fail(err, MN_ERR_INVALID, "a page has at most %d entries",
                      MN_OBJECT_PAGE_ENTRIES_MAX);
    if (st != MN_OK)
        return st;
    if (n_entries_max == 0)
        n_entries_max = MN_OBJECT_PAGE_ENTRIES_MAX;
    st = store->store->ops->list(store->store, prefix, after, n_entries_max, page_out, err);
    if (st != MN_OK)
        mni_error_prefix(err, "list %s", store->label);
    return st;
}

void mn_object_page_free(struct mn_object_page *page)
{
    mni_object_page_free(page);
}

mn_status mn_object_stats(mn_object_store *store, struct mn_object_stats *stats_out,
                          struct mn_error *err)
{
    struct mn_object_stats stats = {0};
    mn_status st = api_object_check(store, err);

    if (st != MN_OK)
        return st;
    if (stats_out == NULL || stats_out->size < sizeof stats_out->size || stats_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "set stats.size to sizeof(struct mn_object_stats)");
    store->store->ops->stats(store->store, &stats);
    stats.size = stats_out->size;
    size_t known = stats.size < sizeof stats ? stats.size : sizeof stats;
    memset((unsigned char *)stats_out + known, 0, stats.size - known);
    memcpy(stats_out, &stats, known);
    return MN_OK;
}
