/*
 * semcache_stream.c - an answer that arrives in pieces.
 *
 * It is gathered in memory, which counts within memory_bytes_max; the log sees it whole, with its
 * commit, or not at all.
 *
 * Owns:    copies of everything that an entry points to.
 * Threads: one for each stream.
 * Fails:   MN_ERR_LIMIT, MN_ERR_BUDGET, MN_ERR_NOMEM; a chunk that is refused adds nothing.
 */
#include <inttypes.h>
#include <string.h>

#include "api/semcache_private.h"
#include "base/mem.h"

enum { ROOM_BYTES_MIN = 4096 };

struct mn_semcache_stream {
    mn_store *store;
    uint64_t tenant;
    struct api_entry entry;
    unsigned char key[MN_SEMCACHE_KEY_BYTES];
    char model[MN_SEMCACHE_MODEL_BYTES_MAX];
    unsigned char *payload; /* owned */
    size_t n_bytes;
    size_t capacity; /* counted */
};

static void stream_free(mn_semcache_stream *stream)
{
    atomic_fetch_sub(&stream->store->n_streams, 1);
    mni_engine_release_memory(stream->store->engine, stream->capacity);
    mni_free(stream->entry.halves);
    mni_free(stream->payload);
    mni_free(stream);
}

static struct api_about about_stream(const mn_semcache_stream *stream)
{
    return (struct api_about){
        .store = stream->store,
        .tenant = stream->tenant,
        .has_entry = stream->entry.entry.has_id,
        .entry = stream->entry.entry.id,
    };
}

static mn_status begin(mn_store *store, uint64_t tenant, const struct mn_semcache_entry *e,
                       const struct mn_semcache_store_options *options, mn_semcache_stream *stream,
                       struct mn_error *err)
{
    struct mni_semcache_entry *entry = &stream->entry.entry;

    atomic_fetch_add(&store->n_streams, 1);
    stream->store = store;
    stream->tenant = tenant;
    if (e != NULL && e->payload.n_bytes > 0)
        return mni_fail(err, MN_ERR_INVALID, "a stream begins without a payload");
    mn_status st = api_check_entry(store, e, options, &stream->entry, err);
    if (st != MN_OK)
        return st;
    if (entry->key != NULL)
        entry->key = memcpy(stream->key, entry->key, sizeof stream->key);
    if (entry->model.n_bytes > 0)
        entry->model.data = memcpy(stream->model, entry->model.data, entry->model.n_bytes);
    return MN_OK;
}

mn_status mn_semcache_begin(mn_store *store, uint64_t tenant, const struct mn_semcache_entry *entry,
                            const struct mn_semcache_store_options *options,
                            mn_semcache_stream **stream_out, struct mn_error *err)
{
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = stream_out != NULL ? api_semcache_to_write(store, &cache, err)
                                      : mni_fail(err, MN_ERR_INVALID, "no place for the stream");

    if (stream_out != NULL)
        *stream_out = NULL;
    if (st != MN_OK)
        return st;
    mn_semcache_stream *stream = mni_alloc_zero(sizeof *stream);
    if (stream == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a stream");
    st = begin(store, tenant, entry, options, stream, &details);
    if (st != MN_OK) {
        struct api_about about = about_stream(stream);
        stream_free(stream);
        return api_semcache_answer(&about, st, &details, err);
    }
    *stream_out = stream;
    return MN_OK;
}

/* Room for so many bytes in all. */
static mn_status grow(mn_semcache_stream *stream, size_t n_bytes, struct mn_error *err)
{
    struct mni_engine *engine = stream->store->engine;
    size_t capacity = stream->capacity * 2;

    if (capacity < ROOM_BYTES_MIN)
        capacity = ROOM_BYTES_MIN;
    if (capacity < n_bytes)
        capacity = n_bytes;
    if (capacity > MN_PAYLOAD_BYTES_MAX)
        capacity = MN_PAYLOAD_BYTES_MAX;
    mn_status st = mni_engine_reserve_memory(engine, capacity - stream->capacity, err);
    if (st == MN_ERR_BUDGET && capacity > n_bytes) {
        capacity = n_bytes;
        st = mni_engine_reserve_memory(engine, capacity - stream->capacity, err);
    }
    if (st != MN_OK)
        return st;
    unsigned char *payload = mni_realloc(stream->payload, capacity);
    if (payload == NULL) {
        mni_engine_release_memory(engine, capacity - stream->capacity);
        return mni_fail(err, MN_ERR_NOMEM, "a payload of %zu bytes", n_bytes);
    }
    stream->payload = payload;
    stream->capacity = capacity;
    return MN_OK;
}

mn_status mn_semcache_append(mn_semcache_stream *stream, struct mn_slice chunk,
                             struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = MN_OK;

    if (stream == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no stream");
    if (chunk.n_bytes == 0)
        return MN_OK;
    const struct api_about about = about_stream(stream);
    if (chunk.data == NULL)
        st = mni_fail(&details, MN_ERR_INVALID, "a chunk has bytes and no address");
    else if (chunk.n_bytes > MN_PAYLOAD_BYTES_MAX - stream->n_bytes)
        st = mni_fail(&details, MN_ERR_LIMIT, "payload has more than %d bytes",
                      MN_PAYLOAD_BYTES_MAX);
    else if (stream->n_bytes + chunk.n_bytes > stream->capacity)
        st = grow(stream, stream->n_bytes + chunk.n_bytes, &details);
    if (st != MN_OK)
        return api_semcache_answer(&about, st, &details, err);
    memcpy(stream->payload + stream->n_bytes, chunk.data, chunk.n_bytes);
    stream->n_bytes += chunk.n_bytes;
    return MN_OK;
}

mn_status mn_semcache_commit(mn_semcache_stream *stream, struct mn_semcache_handle *handle_out,
                             struct mn_error *err)
{
    if (handle_out != NULL)
        *handle_out = (struct mn_semcache_handle){0};
    if (stream == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no stream");
    stream->entry.entry.payload = (struct mn_slice){stream->payload, stream->n_bytes};
    mn_status st = api_store_entry(stream->store, stream->tenant, &stream->entry, handle_out, err);
    stream_free(stream);
    return st;
}

void mn_semcache_abort(mn_semcache_stream *stream)
{
    if (stream != NULL)
        stream_free(stream);
}
