/*
 * memory.c - object storage in the memory of this process.
 *
 * Owns:    all objects, in one array that is sorted by key.
 * Threads: any; one lock, under which nothing is copied but a page of a listing and an upload that
 *          is completed.
 * Fails:   MN_ERR_NOMEM; what is refused has changed nothing.
 */
#include "object/memory_private.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/crc32c.h"
#include "base/mem.h"

/* Contents ----------*/

mn_status memory_content_new(uint64_t n_bytes, struct memory_content **content_out,
                             struct mn_error *err)
{
    struct memory_content *content = NULL;

    if (n_bytes <= SIZE_MAX - sizeof *content)
        content = mni_alloc(sizeof *content + (size_t)n_bytes);
    if (content == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an object of %" PRIu64 " bytes", n_bytes);
    memset(content, 0, sizeof *content);
    atomic_init(&content->n_refs, 1);
    *content_out = content;
    return MN_OK;
}

void memory_content_seal(struct memory_store *store, struct memory_content *content,
                         uint64_t n_bytes)
{
    unsigned char hash[MNI_HASH128_BYTES];

    content->info.n_bytes = n_bytes;
    content->info.modified_us = mni_env_wall_us(store->env);
    content->info.has_crc32c = true;
    content->info.crc32c = mni_crc32c(0, content->data, (size_t)n_bytes);
    mni_hash128(content->data, (size_t)n_bytes, hash);
    mni_object_make_etag(hash, content->info.etag);
}

void memory_content_unref(struct memory_content *content)
{
    if (content != NULL && atomic_fetch_sub(&content->n_refs, 1) == 1)
        mni_free(content);
}

/* Objects ----------*/

static struct mn_slice key_of(const struct memory_object *object)
{
    return (struct mn_slice){object->key, object->key_bytes};
}

static void free_object(struct memory_object *object)
{
    if (object == NULL)
        return;
    memory_content_unref(object->content);
    mni_free(object);
}

/* Index of the first object whose key is not before this one. */
static size_t find_place(const struct memory_store *store, struct mn_slice key)
{
    size_t low = 0;
    size_t high = store->n_objects;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mni_key_compare(key_of(store->objects[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct memory_object *object_at(const struct memory_store *store, size_t place,
                                       struct mn_slice key)
{
    if (place == store->n_objects || mni_key_compare(key_of(store->objects[place]), key) != 0)
        return NULL;
    return store->objects[place];
}

/* The content of a key with a reference of the caller's; NULL when there is none. */
static struct memory_content *content_of(struct memory_store *store, struct mn_slice key)
{
    mni_mutex_lock(&store->lock);
    const struct memory_object *object = object_at(store, find_place(store, key), key);
    struct memory_content *content = object != NULL ? object->content : NULL;
    if (content != NULL)
        atomic_fetch_add(&content->n_refs, 1);
    mni_mutex_unlock(&store->lock);
    return content;
}

static mn_status check_condition(const struct memory_object *object,
                                 const struct mn_object_condition *condition, struct mn_error *err)
{
    if (condition == NULL)
        return MN_OK;
    if (condition->if_absent && object != NULL)
        return mni_fail(err, MN_EXISTS, "there is an object");
    if (condition->if_match != NULL &&
        (object == NULL || strcmp(object->content->info.etag, condition->if_match) != 0))
        return mni_fail(err, MN_CHANGED, "the ETag is %s",
                        object != NULL ? object->content->info.etag : "none");
    return MN_OK;
}

static mn_status make_room(struct memory_store *store, struct mn_error *err)
{
    if (store->n_objects < store->capacity)
        return MN_OK;
    size_t capacity = store->capacity == 0 ? 64 : store->capacity * 2;
    struct memory_object **objects =
        mni_realloc(store->objects, capacity * sizeof(struct memory_object *));
    if (objects == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "%zu objects", capacity);
    store->objects = objects;
    store->capacity = capacity;
    return MN_OK;
}

/* Under the lock. Takes `object` over when it answers MN_OK. */
static mn_status insert(struct memory_store *store, struct memory_object *object,
                        const struct mn_object_condition *condition, struct mn_error *err)
{
    size_t place = find_place(store, key_of(object));
    struct memory_object *old = object_at(store, place, key_of(object));
    mn_status st = check_condition(old, condition, err);

    if (st == MN_OK && old == NULL)
        st = make_room(store, err);
    if (st != MN_OK)
        return st;
    if (old == NULL) {
        memmove(&store->objects[place + 1], &store->objects[place],
                (store->n_objects - place) * sizeof(struct memory_object *));
        store->n_objects++;
    }
    store->objects[place] = object;
    free_object(old);
    return MN_OK;
}

mn_status memory_publish(struct memory_store *store, struct mn_slice key,
                         struct memory_content *content,
                         const struct mn_object_condition *condition,
                         struct mn_object_info *info_out, struct mn_error *err)
{
    struct memory_object *object = mni_alloc(sizeof *object + key.n_bytes);
    struct mn_object_info info = content->info;

    if (object == NULL) {
        memory_content_unref(content);
        return mni_fail(err, MN_ERR_NOMEM, "an object");
    }
    object->content = content;
    object->key_bytes = key.n_bytes;
    memcpy(object->key, key.data, key.n_bytes);
    mni_mutex_lock(&store->lock);
    mn_status st = insert(store, object, condition, err);
    mni_mutex_unlock(&store->lock);
    if (st != MN_OK)
        free_object(object);
    else if (info_out != NULL)
        *info_out = info;
    return st;
}

/* Operations ----------*/

static mn_status memory_put(struct mni_object_store *base, struct mn_slice key,
                            struct mn_slice data, const struct mn_object_condition *condition,
                            struct mn_object_info *info_out, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);
    struct memory_content *content = NULL;
    mn_status st = memory_content_new(data.n_bytes, &content, err);

    if (st == MN_OK) {
        if (data.n_bytes > 0)
            memcpy(content->data, data.data, data.n_bytes);
        memory_content_seal(store, content, data.n_bytes);
        st = memory_publish(store, key, content, condition, info_out, err);
    }
    if (st == MN_OK)
        atomic_fetch_add(&store->counts.bytes_sent, data.n_bytes);
    return object_count(&store->counts, st);
}

static mn_status copy_content(const struct memory_content *content, uint64_t n_bytes_max,
                              struct mn_slice *data_out, struct mn_error *err)
{
    uint64_t n_bytes = content->info.n_bytes;

    if (n_bytes > n_bytes_max)
        return mni_fail(err, MN_ERR_LIMIT, "%" PRIu64 " bytes; at most %" PRIu64, n_bytes,
                        n_bytes_max);
    void *data = mni_alloc((size_t)n_bytes);
    if (data == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an object of %" PRIu64 " bytes", n_bytes);
    memcpy(data, content->data, (size_t)n_bytes);
    *data_out = (struct mn_slice){data, (size_t)n_bytes};
    return MN_OK;
}

static mn_status memory_get(struct mni_object_store *base, struct mn_slice key,
                            uint64_t n_bytes_max, struct mn_slice *data_out,
                            struct mn_object_info *info_out, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);
    struct memory_content *content = content_of(store, key);
    mn_status st;

    if (content == NULL)
        return object_count(&store->counts, mni_fail(err, MN_NOT_FOUND, "there is none"));
    st = copy_content(content, n_bytes_max, data_out, err);
    if (st == MN_OK && info_out != NULL)
        *info_out = content->info;
    if (st == MN_OK)
        atomic_fetch_add(&store->counts.bytes_received, content->info.n_bytes);
    memory_content_unref(content);
    return object_count(&store->counts, st);
}

static mn_status read_range(const struct memory_content *content, struct mn_object_range *range,
                            struct mn_error *err)
{
    uint64_t n = 0;

    range->n_read = 0;
    if (content == NULL)
        return mni_fail(err, MN_NOT_FOUND, "there is none");
    mn_status st = mni_object_range_fit(range, &content->info, &n, err);
    if (st != MN_OK)
        return st;
    memcpy(range->data_out, content->data + range->offset, (size_t)n);
    return mni_object_range_done(range, n, err);
}

static mn_status memory_get_ranges(struct mni_object_store *base, struct mn_object_range *ranges,
                                   size_t n_ranges, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);
    mn_status first = MN_OK;

    for (size_t i = 0; i < n_ranges; i++) {
        struct memory_content *content = content_of(store, ranges[i].key);
        mn_status st = read_range(content, &ranges[i], first == MN_OK ? err : NULL);
        memory_content_unref(content);
        ranges[i].status = object_count(&store->counts, st);
        if (first == MN_OK)
            first = st;
        atomic_fetch_add(&store->counts.bytes_received, ranges[i].n_read);
    }
    return first;
}

static mn_status memory_head(struct mni_object_store *base, struct mn_slice key,
                             struct mn_object_info *info_out, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);
    struct memory_content *content = content_of(store, key);
    mn_status st = content != NULL ? MN_OK : mni_fail(err, MN_NOT_FOUND, "there is none");

    if (content != NULL)
        *info_out = content->info;
    memory_content_unref(content);
    return object_count(&store->counts, st);
}

static mn_status memory_remove(struct mni_object_store *base, struct mn_slice key,
                               struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);

    (void)err;
    mni_mutex_lock(&store->lock);
    size_t place = find_place(store, key);
    struct memory_object *object = object_at(store, place, key);
    if (object != NULL) {
        store->n_objects--;
        memmove(&store->objects[place], &store->objects[place + 1],
                (store->n_objects - place) * sizeof(struct memory_object *));
    }
    mni_mutex_unlock(&store->lock);
    free_object(object);
    return object_count(&store->counts, MN_OK);
}

static void memory_discard(struct mni_object_store *base, struct mn_slice key)
{
    mni_ignore(memory_remove(base, key, NULL));
}

/* Under the lock. */
static mn_status make_page(const struct memory_store *store, struct mn_slice prefix,
                           struct mn_slice after, size_t n_entries_max,
                           struct mn_object_page **page_out, struct mn_error *err)
{
    size_t begin = find_place(store, prefix);
    size_t keys_bytes = 0;
    size_t n = 0;

    if (after.n_bytes > 0) {
        size_t place = find_place(store, after);
        place += object_at(store, place, after) != NULL;
        begin = place > begin ? place : begin;
    }
    while (n < n_entries_max && begin + n < store->n_objects &&
           mni_begins_with(key_of(store->objects[begin + n]), prefix))
        keys_bytes += store->objects[begin + n++]->key_bytes;
    mn_status st = mni_object_page_new(n, keys_bytes, page_out, err);
    for (size_t i = 0; st == MN_OK && i < n; i++) {
        const struct memory_object *object = store->objects[begin + i];
        struct mn_object_entry entry = {.key = key_of(object),
                                        .n_bytes = object->content->info.n_bytes,
                                        .modified_us = object->content->info.modified_us};
        memcpy(entry.etag, object->content->info.etag, sizeof entry.etag);
        mni_object_page_add(*page_out, &entry);
    }
    if (st == MN_OK)
        (*page_out)->is_last = begin + n == store->n_objects ||
                               !mni_begins_with(key_of(store->objects[begin + n]), prefix);
    return st;
}

static mn_status memory_list(struct mni_object_store *base, struct mn_slice prefix,
                             struct mn_slice after, size_t n_entries_max,
                             struct mn_object_page **page_out, struct mn_error *err)
{
    struct memory_store *store = memory_store_of(base);

    mni_mutex_lock(&store->lock);
    mn_status st = make_page(store, prefix, after, n_entries_max, page_out, err);
    mni_mutex_unlock(&store->lock);
    return object_count(&store->counts, st);
}

static void memory_stats(struct mni_object_store *base, struct mn_object_stats *stats_out)
{
    object_counts_tell(&memory_store_of(base)->counts, stats_out);
}

static void memory_close(struct mni_object_store *base)
{
    struct memory_store *store = memory_store_of(base);

    for (size_t i = 0; i < store->n_objects; i++)
        free_object(store->objects[i]);
    mni_free(store->objects);
    memory_uploads_free(store);
    mni_mutex_done(&store->lock);
    mni_free(store);
}

mn_status mni_object_open_memory(struct mni_env *env, struct mni_object_store **store_out,
                                 struct mn_error *err)
{
    static const struct mni_object_ops ops = {
        .put = memory_put,
        .get = memory_get,
        .get_ranges = memory_get_ranges,
        .head = memory_head,
        .remove = memory_remove,
        .discard = memory_discard,
        .list = memory_list,
        .upload_open = memory_upload_open,
        .upload_id = memory_upload_id,
        .upload_part_bytes = memory_upload_part_bytes,
        .upload_part = memory_upload_part,
        .upload_complete = memory_upload_complete,
        .upload_abort = memory_upload_abort,
        .upload_leave = memory_upload_leave,
        .uploads = memory_uploads,
        .stats = memory_stats,
        .close = memory_close,
    };
    struct memory_store *store = mni_alloc_zero(sizeof *store);

    if (store == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "object store");
    store->base.ops = &ops;
    store->env = env;
    mni_mutex_init(&store->lock);
    *store_out = &store->base;
    return MN_OK;
}
