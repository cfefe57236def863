/*
 * s3_list.c - listings of objects and of uploads.
 *
 * Owns:    nothing beyond a call.
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT when pages go on to contradict what this handle has put and deleted.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "object/s3_private.h"

static struct mn_slice slice_of(const struct mni_buf *buf)
{
    return (struct mn_slice){buf->n_bytes == 0 ? (const void *)"" : buf->data, buf->n_bytes};
}

static struct mn_slice key_of(const struct mni_s3_listing *listing, size_t i)
{
    return (struct mn_slice){listing->keys.data + listing->items[i].key,
                             listing->items[i].key_bytes};
}

static mn_status refuse(struct mni_s3_reply *reply, const char *why)
{
    (void)snprintf(reply->detail, sizeof reply->detail, "%s", why);
    return MN_ERR_CORRUPT;
}

/* Objects ----------------------------------------------------------------------------------------
 */

/* A page that is asked for. All keys are those of the bucket, with the store's prefix. */
struct page_wish {
    struct mni_buf prefix;
    struct mni_buf after; /* empty: from the first */
    size_t n_entries_max;
    struct mni_s3_listing listing; /* what came */
};

static mn_status accept_page(void *context, size_t item, struct mni_s3_reply *reply,
                             struct mn_error *err)
{
    struct page_wish *wish = context;
    struct mni_s3_listing *listing = &wish->listing;

    (void)item;
    mni_s3_listing_done(listing);
    mn_status st = mni_s3_read_objects(slice_of(&reply->text), listing);
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, st, "a listing");
    if (st != MN_OK)
        return refuse(reply, "the answer is not a listing");
    if (listing->n_items > wish->n_entries_max)
        return refuse(reply, "the listing has more entries than were asked for");
    if (listing->is_truncated && listing->n_items == 0)
        return refuse(reply, "the listing goes on behind nothing");
    struct mn_slice last = slice_of(&wish->after);
    for (size_t i = 0; i < listing->n_items; i++) {
        struct mn_slice key = key_of(listing, i);
        if (!mni_begins_with(key, slice_of(&wish->prefix)))
            return refuse(reply, "the listing has a key with another prefix");
        if (last.n_bytes > 0 && mni_key_compare(key, last) <= 0)
            return refuse(reply, "the listing is not in order");
        last = key;
    }
    return MN_OK;
}

static mn_status ask_page(struct s3_call *call, struct page_wish *wish, struct mn_error *err)
{
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    s3_transfer_init(call->store, &transfer, "GET", NULL);
    mni_s3_request_param(&transfer.request, "encoding-type", mn_str("url"));
    mni_s3_request_param(&transfer.request, "list-type", mn_str("2"));
    s3_param_u64(&transfer, "max-keys", wish->n_entries_max);
    mni_s3_request_param(&transfer.request, "prefix", slice_of(&wish->prefix));
    if (wish->after.n_bytes > 0)
        mni_s3_request_param(&transfer.request, "start-after", slice_of(&wish->after));
    mn_status st = s3_ask(call, &transfer, accept_page, wish, &reply, NULL, err);
    mni_s3_reply_done(&reply);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_NO_STORE, "there is no such bucket") : st;
}

/* Whether a key of the bucket can be one of ours: others may have put what the prefix alone names,
 * what is too long, or what is no text. */
static bool is_key(const struct s3_store *store, struct mn_slice key)
{
    size_t prefix_bytes = strlen(store->prefix);

    return key.n_bytes > prefix_bytes && key.n_bytes - prefix_bytes <= MN_OBJECT_KEY_BYTES_MAX &&
           memchr(key.data, '\0', key.n_bytes) == NULL && mni_utf8_is_valid(key.data, key.n_bytes);
}

static mn_status make_page(const struct s3_store *store, const struct mni_s3_listing *listing,
                           struct mn_object_page **page_out, struct mn_error *err)
{
    size_t prefix_bytes = strlen(store->prefix);
    size_t n = 0;
    size_t keys_bytes = 0;

    for (size_t i = 0; i < listing->n_items; i++)
        if (is_key(store, key_of(listing, i))) {
            n++;
            keys_bytes += listing->items[i].key_bytes - prefix_bytes;
        }
    mn_status st = mni_object_page_new(n, keys_bytes, page_out, err);
    if (st != MN_OK)
        return st;
    for (size_t i = 0; i < listing->n_items; i++) {
        const struct mni_s3_listed *item = &listing->items[i];
        struct mn_slice key = key_of(listing, i);
        if (!is_key(store, key))
            continue;
        struct mn_object_entry entry = {
            .key = {(const char *)key.data + prefix_bytes, key.n_bytes - prefix_bytes},
            .n_bytes = item->n_bytes,
            .modified_us = item->modified_us,
        };
        memcpy(entry.etag, item->etag, sizeof entry.etag);
        mni_object_page_add(*page_out, &entry);
    }
    (*page_out)->is_last = !listing->is_truncated;
    return MN_OK;
}

/* Pages of nothing but keys that are not ours are passed over. */
static mn_status ask_page_with_keys(struct s3_call *call, struct page_wish *wish,
                                    struct mn_object_page **page_out, struct mn_error *err)
{
    struct mni_buf first_after = wish->after;
    struct mni_buf after = {0};
    mn_status st;

    for (;;) {
        st = ask_page(call, wish, err);
        if (st == MN_OK)
            st = make_page(call->store, &wish->listing, page_out, err);
        if (st != MN_OK || (*page_out)->n_entries > 0 || (*page_out)->is_last)
            break;
        mni_object_page_free(*page_out);
        *page_out = NULL;
        struct mn_slice last = key_of(&wish->listing, wish->listing.n_items - 1);
        mni_buf_reset(&after);
        st = mni_buf_append(&after, last.data, last.n_bytes);
        if (st != MN_OK) {
            st = mni_fail(err, st, "a listing");
            break;
        }
        wish->after = after;
    }
    MNI_CHECK((st == MN_OK) == (*page_out != NULL));
    wish->after = first_after;
    mni_buf_done(&after);
    return st;
}

/* Whether the store itself says what the page contradicts. If it does not, somebody else has
 * changed the object since, and it is no longer ours to remember. */
static mn_status is_stale(struct s3_call *call, const struct mni_s3_suspect *suspect,
                          bool *is_stale_out, struct mn_error *err)
{
    struct mn_slice key = {suspect->key, suspect->key_bytes};
    struct mni_s3_reply reply = {0};
    mn_status st = s3_head(call, key, &reply, err);

    if (st == MN_OK)
        *is_stale_out = strcmp(reply.etag, suspect->etag) == 0;
    else if (st == MN_NOT_FOUND)
        *is_stale_out = suspect->etag[0] == '\0';
    mni_s3_reply_done(&reply);
    if (st != MN_OK && st != MN_NOT_FOUND)
        return st;
    if (!*is_stale_out)
        mni_s3_recent_forget(call->store->recent, key);
    return MN_OK;
}

static mn_status check_page(struct s3_call *call, struct mn_slice prefix, struct mn_slice after,
                            const struct mn_object_page *page, int64_t begun_us,
                            struct mni_s3_suspect suspects[MNI_S3_SUSPECTS_MAX],
                            const struct mni_s3_suspect **stale_out, struct mn_error *err)
{
    mn_status st = MN_OK;
    size_t n;

    *stale_out = NULL;
    /* Those that turn out to be others' are forgotten, so that the next ones come to light. */
    do {
        n = mni_s3_recent_check(call->store->recent, prefix, after, page, begun_us, suspects);
        for (size_t i = 0; i < n && i < MNI_S3_SUSPECTS_MAX; i++) {
            bool stale = false;
            st = is_stale(call, &suspects[i], &stale, err);
            if (stale)
                *stale_out = &suspects[i];
            if (st != MN_OK || stale)
                return st;
        }
    } while (n > MNI_S3_SUSPECTS_MAX);
    return st;
}

static mn_status wait_before_again(struct s3_call *call, unsigned n_tries, struct mn_error *err)
{
    uint64_t random = 0;
    mn_status st = mni_env_random(call->store->env, &random, sizeof random, err);

    if (st == MN_OK)
        st = s3_wait(call, mni_s3_backoff_us(n_tries, MNI_S3_AGAIN, random), err);
    return st;
}

static mn_status name_stale(const struct mni_s3_suspect *suspect, unsigned n_tries,
                            struct mn_error *err)
{
    return mni_fail(err, MN_ERR_CORRUPT,
                    "the listing is stale: it does not show that %.*s was %s (%u tries)",
                    (int)(suspect->key_bytes < 200 ? suspect->key_bytes : 200), suspect->key,
                    suspect->etag[0] == '\0' ? "deleted" : "put", n_tries);
}

static mn_status list_fresh(struct s3_call *call, struct mn_slice prefix, struct mn_slice after,
                            struct page_wish *wish, struct mn_object_page **page_out,
                            struct mn_error *err)
{
    struct s3_store *store = call->store;
    struct mni_s3_suspect *suspects = mni_alloc_array(MNI_S3_SUSPECTS_MAX, sizeof *suspects);
    struct mn_object_page *page = NULL;
    mn_status st = MN_OK;

    if (suspects == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a listing");
    for (unsigned n_tries = 1;; n_tries++) {
        const struct mni_s3_suspect *stale = NULL;
        int64_t begun_us = mni_env_mono_us(store->env);
        st = ask_page_with_keys(call, wish, &page, err);
        if (st == MN_OK)
            st = check_page(call, prefix, after, page, begun_us, suspects, &stale, err);
        if (st != MN_OK || stale == NULL)
            break;
        atomic_fetch_add(&store->n_bad_bodies, 1);
        mni_object_page_free(page);
        page = NULL;
        st = n_tries < store->n_tries_max ? wait_before_again(call, n_tries, err)
                                          : name_stale(stale, n_tries, err);
        if (st != MN_OK)
            break;
        atomic_fetch_add(&store->n_retries, 1);
    }
    if (st == MN_OK)
        *page_out = page;
    else
        mni_object_page_free(page);
    mni_free(suspects);
    return st;
}

mn_status s3_list(struct mni_object_store *base, struct mn_slice prefix, struct mn_slice after,
                  size_t n_entries_max, struct mn_object_page **page_out, struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct page_wish wish = {.n_entries_max = n_entries_max};
    size_t prefix_bytes = strlen(store->prefix);
    struct s3_call call;

    if (n_entries_max == 0 || n_entries_max > MN_OBJECT_PAGE_ENTRIES_MAX)
        wish.n_entries_max = MN_OBJECT_PAGE_ENTRIES_MAX;
    s3_call_init(&call, store);
    mn_status st = mni_buf_append(&wish.prefix, store->prefix, prefix_bytes);
    if (st == MN_OK)
        st = mni_buf_append(&wish.prefix, prefix.data, prefix.n_bytes);
    if (st == MN_OK && after.n_bytes > 0)
        st = mni_buf_append(&wish.after, store->prefix, prefix_bytes);
    if (st == MN_OK && after.n_bytes > 0)
        st = mni_buf_append(&wish.after, after.data, after.n_bytes);
    if (st != MN_OK)
        st = mni_fail(err, st, "a listing");
    else
        st = list_fresh(&call, prefix, after, &wish, page_out, err);
    mni_s3_listing_done(&wish.listing);
    mni_buf_done(&wish.prefix);
    mni_buf_done(&wish.after);
    return s3_count(store, st);
}

/* Uploads ----------------------------------------------------------------------------------------
 */

/* Pages of uploads that are asked for, one after the other. */
struct uploads_wish {
    struct mni_buf prefix;
    struct mni_s3_listing listing; /* what came */
    /* Where the page begins; empty: with the first upload. */
    struct mni_buf key_marker;
    char upload_marker[MNI_S3_UPLOAD_ID_BYTES];
    char first_marker[MNI_S3_UPLOAD_ID_BYTES]; /* the first with this key */
};

/* Keys ascend from page to page. Ids of one key have no order; that of the page and the first one
 * do not come again. */
static bool moves_on(const struct uploads_wish *wish)
{
    const struct mni_s3_listing *listing = &wish->listing;
    int order = mni_key_compare(slice_of(&listing->key_marker), slice_of(&wish->key_marker));

    return order > 0 || (order == 0 && strcmp(listing->upload_marker, wish->upload_marker) != 0 &&
                         strcmp(listing->upload_marker, wish->first_marker) != 0);
}

static mn_status accept_uploads(void *context, size_t item, struct mni_s3_reply *reply,
                                struct mn_error *err)
{
    struct uploads_wish *wish = context;
    struct mni_s3_listing *listing = &wish->listing;

    (void)item;
    mni_s3_listing_done(listing);
    mn_status st = mni_s3_read_uploads(slice_of(&reply->text), listing);
    if (st == MN_ERR_NOMEM)
        return mni_fail(err, st, "a listing");
    if (st != MN_OK)
        return refuse(reply, "the answer is not a listing of uploads");
    if (listing->is_truncated && (listing->key_marker.n_bytes == 0 || listing->n_items == 0))
        return refuse(reply, "the listing does not say where it goes on");
    if (listing->is_truncated && !moves_on(wish))
        return refuse(reply, "the listing goes on where it was before");
    return MN_OK;
}

static mn_status ask_uploads(struct s3_call *call, struct uploads_wish *wish, struct mn_error *err)
{
    struct mni_s3_transfer transfer;
    struct mni_s3_reply reply = {0};

    /* Without encoding-type: Ceph 16 encodes these keys without saying so, and not the markers.
     * Control characters come as numeric entities. */
    s3_transfer_init(call->store, &transfer, "GET", NULL);
    if (wish->key_marker.n_bytes > 0)
        mni_s3_request_param(&transfer.request, "key-marker", slice_of(&wish->key_marker));
    mni_s3_request_param(&transfer.request, "prefix", slice_of(&wish->prefix));
    if (wish->upload_marker[0] != '\0')
        mni_s3_request_param(&transfer.request, "upload-id-marker", mn_str(wish->upload_marker));
    mni_s3_request_param(&transfer.request, "uploads", mn_str(""));
    mn_status st = s3_ask(call, &transfer, accept_uploads, wish, &reply, NULL, err);
    mni_s3_reply_done(&reply);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_NO_STORE, "there is no such bucket") : st;
}

/* Behind the page that came. */
static mn_status move_on(struct uploads_wish *wish, struct mn_error *err)
{
    struct mni_s3_listing *listing = &wish->listing;
    struct mn_slice key = slice_of(&listing->key_marker);

    memcpy(wish->upload_marker, listing->upload_marker, sizeof wish->upload_marker);
    if (mni_key_compare(key, slice_of(&wish->key_marker)) == 0)
        return MN_OK;
    memcpy(wish->first_marker, listing->upload_marker, sizeof wish->first_marker);
    mni_buf_reset(&wish->key_marker);
    mn_status st = mni_buf_append(&wish->key_marker, key.data, key.n_bytes);
    return st == MN_OK ? MN_OK : mni_fail(err, st, "a listing");
}

mn_status s3_uploads(struct mni_object_store *base, struct mn_slice prefix,
                     mn_object_upload_fn *each, void *context, struct mn_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct uploads_wish wish = {0};
    const struct mni_s3_listing *listing = &wish.listing;
    size_t prefix_bytes = strlen(store->prefix);
    struct s3_call call;

    mn_status st = mni_buf_append(&wish.prefix, store->prefix, prefix_bytes);
    if (st == MN_OK)
        st = mni_buf_append(&wish.prefix, prefix.data, prefix.n_bytes);
    if (st != MN_OK)
        st = mni_fail(err, st, "a listing");
    while (st == MN_OK) {
        s3_call_init(&call, store); /* what the callback does is no part of it */
        st = ask_uploads(&call, &wish, err);
        for (size_t i = 0; st == MN_OK && i < listing->n_items; i++) {
            struct mn_slice key = key_of(listing, i);
            if (!mni_begins_with(key, slice_of(&wish.prefix)) || !is_key(store, key))
                continue;
            key = (struct mn_slice){(const char *)key.data + prefix_bytes,
                                    key.n_bytes - prefix_bytes};
            st = each(context, key, (const char *)listing->keys.data + listing->items[i].upload_id,
                      listing->items[i].modified_us);
        }
        if (st != MN_OK || !listing->is_truncated)
            break;
        st = move_on(&wish, err);
    }
    mni_s3_listing_done(&wish.listing);
    mni_buf_done(&wish.prefix);
    mni_buf_done(&wish.key_marker);
    return s3_count(store, st);
}
