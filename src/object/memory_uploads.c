/*
 * memory_uploads.c - uploads in parts to object storage in memory.
 *
 * Owns:    uploads: one reference by the store until they are over, one by each handle.
 * Threads: any; all under the store's lock, but for the copying of a part.
 * Fails:   MN_NOT_FOUND when another handle of the same upload has ended it; MN_ERR_NOMEM.
 */
#include "object/memory_private.h"

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"

enum { ID_BYTES = 16 };

struct memory_part {
    unsigned char *data; /* owned; NULL when there is none */
    uint64_t n_bytes;
};

struct memory_upload {
    struct memory_upload *next;
    unsigned n_refs;
    bool is_over; /* completed or aborted, and not in the store's list any more */
    int64_t begun_us;
    struct memory_part *parts; /* owned; part 1 first */
    uint32_t n_parts;
    char id[MN_OBJECT_ETAG_BYTES];
    size_t key_bytes;
    unsigned char key[];
};

struct memory_handle {
    struct mni_object_upload base;
    struct memory_upload *upload; /* one reference */
};

static struct memory_handle *handle_of(struct mni_object_upload *base)
{
    return (struct memory_handle *)base;
}

/* Under the lock, as all that follows. */
static void unref(struct memory_upload *upload)
{
    MNI_CHECK(upload->n_refs > 0);
    if (--upload->n_refs > 0)
        return;
    for (uint32_t i = 0; i < upload->n_parts; i++)
        mni_free(upload->parts[i].data);
    mni_free(upload->parts);
    mni_free(upload);
}

static void end_upload(struct memory_store *store, struct memory_upload *upload)
{
    struct memory_upload **link = &store->uploads;

    if (upload->is_over)
        return;
    while (*link != upload)
        link = &(*link)->next;
    *link = upload->next;
    upload->is_over = true;
    unref(upload);
}

static mn_status check_alive(const struct memory_upload *upload, struct mn_error *err)
{
    return upload->is_over ? mni_fail(err, MN_NOT_FOUND, "the upload is over") : MN_OK;
}

static mn_status begin_upload(struct memory_store *store, struct mn_slice key,
                              struct memory_upload **upload_out, struct mn_error *err)
{
    unsigned char random[ID_BYTES];
    mn_status st = mni_env_random(store->env, random, sizeof random, err);

    if (st != MN_OK)
        return st;
    struct memory_upload *upload = mni_alloc_zero(sizeof *upload + key.n_bytes);
    if (upload == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an upload");
    mni_object_make_etag(random, upload->id); /* as good a text as any */
    upload->begun_us = mni_env_wall_us(store->env);
    upload->key_bytes = key.n_bytes;
    memcpy(upload->key, key.data, key.n_bytes);
    upload->n_refs = 1;
    upload->next = store->uploads;
    store->uploads = upload;
    *upload_out = upload;
    return MN_OK;
}

static struct mn_slice key_of(const struct memory_upload *upload)
{
    return (struct mn_slice){upload->key, upload->key_bytes};
}

static struct memory_upload *find_upload(const struct memory_store *store, struct mn_slice key,
                                         const char *upload_id)
{
    struct memory_upload *upload = store->uploads;

    while (upload != NULL &&
           (strcmp(upload->id, upload_id) != 0 || mni_key_compare(key_of(upload), key) != 0))
        upload = upload->next;
    return upload;
}

/* Without the lock, as all that follows. */
mn_status memory_upload_open(struct mni_object_store *base, struct mn_slice key,
                             const char *upload_id, const uint32_t *crc32c,
                             struct mni_object_upload **upload_out, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);
    struct memory_upload *upload = NULL;
    struct memory_handle *handle = mni_alloc_zero(sizeof *handle);
    mn_status st = MN_OK;

    if (handle == NULL)
        return object_count(&store->counts, mni_fail(err, MN_ERR_NOMEM, "an upload"));
    mni_mutex_lock(&store->lock);
    if (upload_id == NULL) {
        st = begin_upload(store, key, &upload, err);
    } else {
        upload = find_upload(store, key, upload_id);
        if (upload == NULL)
            st = mni_fail(err, MN_NOT_FOUND, "there is no such upload");
    }
    if (st == MN_OK)
        upload->n_refs++;
    mni_mutex_unlock(&store->lock);
    if (st != MN_OK) {
        mni_free(handle);
        return object_count(&store->counts, st);
    }
    handle->base = (struct mni_object_upload){base, crc32c != NULL, crc32c != NULL ? *crc32c : 0};
    handle->upload = upload;
    *upload_out = &handle->base;
    return object_count(&store->counts, MN_OK);
}

const char *memory_upload_id(const struct mni_object_upload *base)
{
    return ((const struct memory_handle *)base)->upload->id;
}

uint64_t memory_upload_part_bytes(struct mni_object_upload *base, uint32_t number)
{
    struct memory_store *store = memory_store_of(base->store);
    const struct memory_upload *upload = handle_of(base)->upload;

    mni_mutex_lock(&store->lock);
    uint64_t n_bytes = number <= upload->n_parts ? upload->parts[number - 1].n_bytes : 0;
    mni_mutex_unlock(&store->lock);
    return n_bytes;
}

static mn_status set_part(struct memory_upload *upload, uint32_t number, struct memory_part *part,
                          struct mn_error *err)
{
    mn_status st = check_alive(upload, err);

    if (st != MN_OK)
        return st;
    if (number > upload->n_parts) {
        struct memory_part *parts = mni_realloc(upload->parts, number * sizeof *parts);
        if (parts == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "%u parts", number);
        memset(parts + upload->n_parts, 0, (number - upload->n_parts) * sizeof *parts);
        upload->parts = parts;
        upload->n_parts = number;
    }
    struct memory_part old = upload->parts[number - 1];
    upload->parts[number - 1] = *part;
    *part = old;
    return MN_OK;
}

mn_status memory_upload_part(struct mni_object_upload *base, uint32_t number, struct mn_slice data,
                             struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base->store);
    struct memory_part part = {mni_alloc(data.n_bytes), data.n_bytes};

    if (part.data == NULL)
        return object_count(&store->counts,
                            mni_fail(err, MN_ERR_NOMEM, "a part of %zu bytes", data.n_bytes));
    memcpy(part.data, data.data, data.n_bytes);
    mni_mutex_lock(&store->lock);
    mn_status st = set_part(handle_of(base)->upload, number, &part, err);
    mni_mutex_unlock(&store->lock);
    mni_free(part.data);
    if (st == MN_OK)
        atomic_fetch_add(&store->counts.bytes_sent, data.n_bytes);
    return object_count(&store->counts, st);
}

/* Under the lock. */
static mn_status join_parts(const struct memory_upload *upload, struct memory_content **content_out,
                            uint64_t *n_bytes_out, struct mn_error *err)
{
    uint64_t n_bytes = 0;
    uint64_t at = 0;
    mn_status st = check_alive(upload, err);

    for (uint32_t i = 0; i < upload->n_parts; i++)
        n_bytes += upload->parts[i].n_bytes;
    if (st == MN_OK)
        st = memory_content_new(n_bytes, content_out, err);
    if (st != MN_OK)
        return st;
    for (uint32_t i = 0; i < upload->n_parts; i++) {
        memcpy((*content_out)->data + at, upload->parts[i].data, (size_t)upload->parts[i].n_bytes);
        at += upload->parts[i].n_bytes;
    }
    *n_bytes_out = n_bytes;
    return MN_OK;
}

mn_status memory_upload_complete(struct mni_object_upload *base,
                                 const struct mn_object_condition *condition,
                                 struct mn_object_info *info_out, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base->store);
    struct memory_upload *upload = handle_of(base)->upload;
    struct memory_content *content = NULL;
    uint64_t n_bytes = 0;

    mni_mutex_lock(&store->lock);
    mn_status st = join_parts(upload, &content, &n_bytes, err);
    mni_mutex_unlock(&store->lock);
    if (st == MN_OK) {
        memory_content_seal(store, content, n_bytes);
        st = mni_object_upload_check(base, content->info.crc32c, err);
        if (st == MN_OK)
            st = memory_publish(store, key_of(upload), content, condition, info_out, err);
        else
            memory_content_unref(content);
    }
    if (st == MN_OK || st == MN_EXISTS || st == MN_CHANGED) {
        mni_mutex_lock(&store->lock);
        end_upload(store, upload);
        unref(upload);
        mni_mutex_unlock(&store->lock);
        mni_free(handle_of(base));
    }
    return object_count(&store->counts, st);
}

mn_status memory_upload_abort(struct mni_object_upload *base, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base->store);

    (void)err;
    mni_mutex_lock(&store->lock);
    end_upload(store, handle_of(base)->upload);
    mni_mutex_unlock(&store->lock);
    memory_upload_leave(base);
    return object_count(&store->counts, MN_OK);
}

void memory_upload_leave(struct mni_object_upload *base)
{
    struct memory_store *store = memory_store_of(base->store);

    mni_mutex_lock(&store->lock);
    unref(handle_of(base)->upload);
    mni_mutex_unlock(&store->lock);
    mni_free(handle_of(base));
}

/* Listing ----------*/

/* The callback may use the store, so it runs without the lock, on uploads that are held. */
mn_status memory_uploads(struct mni_object_store *base, struct mn_slice prefix,
                         mn_object_upload_fn *each, void *context, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);
    struct memory_upload **held = NULL;
    size_t n_held = 0;
    size_t n = 0;
    mn_status st = MN_OK;

    mni_mutex_lock(&store->lock);
    for (const struct memory_upload *u = store->uploads; u != NULL; u = u->next)
        n++;
    held = mni_alloc_array(n, sizeof(struct memory_upload *));
    if (held == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "%zu uploads", n);
    for (struct memory_upload *u = store->uploads; held != NULL && u != NULL; u = u->next) {
        if (!mni_begins_with((struct mn_slice){u->key, u->key_bytes}, prefix))
            continue;
        u->n_refs++;
        held[n_held++] = u;
    }
    mni_mutex_unlock(&store->lock);
    for (size_t i = 0; i < n_held && st == MN_OK; i++)
        st = each(context, key_of(held[i]), held[i]->id, held[i]->begun_us);
    mni_mutex_lock(&store->lock);
    for (size_t i = 0; i < n_held; i++)
        unref(held[i]);
    mni_mutex_unlock(&store->lock);
    mni_free(held);
    return object_count(&store->counts, st);
}

void memory_uploads_free(struct memory_store *store)
{
    while (store->uploads != NULL)
        end_upload(store, store->uploads);
}
