/*
 * s3_recent.c - remembers the last changes of a handle.
 *
 * Owns:    copies of the keys, at most MNI_S3_RECENT_MAX of them.
 * Threads: any; one lock, held over no request.
 * Fails:   MN_ERR_NOMEM when it is made; a change that memory is short for is forgotten.
 */
#include "object/s3_recent_private.h"

#include <string.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/thread.h"

struct change {
    uint64_t hash;
    int64_t noted_us;
    unsigned char *key; /* owned; NULL: the place is free */
    size_t key_bytes;
    char etag[MN_OBJECT_ETAG_BYTES]; /* empty: deleted */
};

struct mni_s3_recent {
    struct mni_mutex lock;
    size_t next; /* the place that is taken next: the oldest */
    struct change changes[MNI_S3_RECENT_MAX];
};

mn_status mni_s3_recent_new(struct mni_s3_recent **recent_out)
{
    struct mni_s3_recent *recent = mni_alloc_zero(sizeof *recent);

    *recent_out = recent;
    if (recent == NULL)
        return MN_ERR_NOMEM;
    mni_mutex_init(&recent->lock);
    return MN_OK;
}

void mni_s3_recent_free(struct mni_s3_recent *recent)
{
    if (recent == NULL)
        return;
    for (size_t i = 0; i < MNI_S3_RECENT_MAX; i++)
        mni_free(recent->changes[i].key);
    mni_mutex_done(&recent->lock);
    mni_free(recent);
}

static void drop(struct change *change)
{
    mni_free(change->key);
    *change = (struct change){0};
}

/* Under the lock. A key is remembered once. */
static void forget(struct mni_s3_recent *recent, struct mn_slice key, uint64_t hash)
{
    for (size_t i = 0; i < MNI_S3_RECENT_MAX; i++) {
        struct change *change = &recent->changes[i];
        if (change->key != NULL && change->hash == hash && change->key_bytes == key.n_bytes &&
            memcmp(change->key, key.data, key.n_bytes) == 0)
            drop(change);
    }
}

void mni_s3_recent_forget(struct mni_s3_recent *recent, struct mn_slice key)
{
    uint64_t hash = mni_hash(key.data, key.n_bytes, 0);

    mni_mutex_lock(&recent->lock);
    forget(recent, key, hash);
    mni_mutex_unlock(&recent->lock);
}

void mni_s3_recent_note(struct mni_s3_recent *recent, struct mn_slice key, const char *etag,
                        int64_t now_us)
{
    struct change made = {.hash = mni_hash(key.data, key.n_bytes, 0), .noted_us = now_us};

    MNI_CHECK(key.n_bytes > 0 && key.n_bytes <= MN_OBJECT_KEY_BYTES_MAX);
    made.key = mni_alloc(key.n_bytes);
    made.key_bytes = key.n_bytes;
    if (made.key != NULL)
        memcpy(made.key, key.data, key.n_bytes);
    if (etag != NULL)
        memcpy(made.etag, etag, strlen(etag) + 1);
    mni_mutex_lock(&recent->lock);
    forget(recent, key, made.hash);
    if (made.key != NULL) {
        drop(&recent->changes[recent->next]);
        recent->changes[recent->next] = made;
        recent->next = (recent->next + 1) % MNI_S3_RECENT_MAX;
    }
    mni_mutex_unlock(&recent->lock);
}

static const struct mn_object_entry *find(const struct mn_object_page *page, struct mn_slice key)
{
    size_t low = 0;
    size_t high = page->n_entries;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = mni_key_compare(page->entries[middle].key, key);
        if (order == 0)
            return &page->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Whether the page is about this key: whether it would stand there if it existed. */
static bool is_within(const struct mn_object_page *page, struct mn_slice prefix,
                      struct mn_slice after, struct mn_slice key)
{
    if (key.n_bytes < prefix.n_bytes ||
        (prefix.n_bytes > 0 && memcmp(key.data, prefix.data, prefix.n_bytes) != 0))
        return false;
    if (after.n_bytes > 0 && mni_key_compare(key, after) <= 0)
        return false;
    if (page->is_last)
        return true;
    return page->n_entries > 0 && mni_key_compare(key, page->entries[page->n_entries - 1].key) <= 0;
}

size_t mni_s3_recent_check(struct mni_s3_recent *recent, struct mn_slice prefix,
                           struct mn_slice after, const struct mn_object_page *page,
                           int64_t before_us,
                           struct mni_s3_suspect suspects_out[MNI_S3_SUSPECTS_MAX])
{
    int64_t since_us = before_us - INT64_C(1000000) * MNI_S3_RECENT_SECONDS;
    size_t n = 0;

    mni_mutex_lock(&recent->lock);
    for (size_t i = 0; i < MNI_S3_RECENT_MAX; i++) {
        const struct change *change = &recent->changes[i];
        struct mn_slice key = {change->key, change->key_bytes};
        if (change->key == NULL || change->noted_us > before_us || change->noted_us < since_us ||
            !is_within(page, prefix, after, key))
            continue;
        const struct mn_object_entry *entry = find(page, key);
        if (strcmp(entry == NULL ? "" : entry->etag, change->etag) == 0)
            continue;
        if (n < MNI_S3_SUSPECTS_MAX) {
            struct mni_s3_suspect *suspect = &suspects_out[n];
            memcpy(suspect->key, key.data, key.n_bytes);
            suspect->key_bytes = key.n_bytes;
            memcpy(suspect->etag, change->etag, sizeof suspect->etag);
        }
        n++;
    }
    mni_mutex_unlock(&recent->lock);
    return n;
}
