/*
 * semcache.c - the cache of answers: keys, storing, removing, budgets.
 *
 * Owns:    nothing; the cache belongs to the store's handle.
 * Threads: any.
 * Fails:   as semcache.h says; a refused call has changed nothing.
 */
#include "mneme/semcache.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "api/semcache_private.h"
#include "base/mem.h"
#include "base/utf8.h"

mn_status api_semcache(mn_store *store, struct mni_semcache **cache_out, struct mn_error *err)
{
    struct mni_semcache *cache = NULL;
    mn_status st = api_check_store(store, err);

    if (st != MN_OK)
        return st;
    *cache_out = atomic_load_explicit(&store->semcache, memory_order_acquire);
    if (*cache_out != NULL)
        return MN_OK;
    mni_mutex_lock(&store->semcache_lock);
    cache = atomic_load(&store->semcache);
    if (cache == NULL) {
        struct mn_error details = {0};
        st = api_answer(mni_semcache_open(store->engine, &cache, &details), &details, err);
        atomic_store(&store->semcache, cache);
    }
    mni_mutex_unlock(&store->semcache_lock);
    *cache_out = cache;
    return st;
}

mn_status api_semcache_to_write(mn_store *store, struct mni_semcache **cache_out,
                                struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && mni_engine_is_read_only(store->engine))
        st = mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    return st == MN_OK ? api_semcache(store, cache_out, err) : st;
}

mn_status api_semcache_answer(const struct api_about *about, mn_status status,
                              const struct mn_error *details, struct mn_error *err)
{
    enum { PATH_SHOWN_BYTES = 200 };

    if (status == MN_OK || err == NULL)
        return status;
    *err = *details;
    err->status = status;
    const char *path = mni_engine_path(about->store->engine);
    if (about->has_entry)
        mni_error_prefix(err, "%.*s: tenant %" PRIu64 ", entry %" PRIu64, PATH_SHOWN_BYTES, path,
                         about->tenant, about->entry);
    else
        mni_error_prefix(err, "%.*s: tenant %" PRIu64, PATH_SHOWN_BYTES, path, about->tenant);
    return status;
}

mn_status mn_semcache_key(uint64_t tenant, struct mn_slice model, struct mn_slice request,
                          unsigned char key_out[MN_SEMCACHE_KEY_BYTES], struct mn_error *err)
{
    if (key_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the key");
    if (request.n_bytes > 0 && request.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "the request has bytes and no address");
    mn_status st = api_check_model(model, err);
    return st == MN_OK ? mni_semcache_key(tenant, model, request, key_out, err) : st;
}

/* Storing ---------- */

mn_status api_check_model(struct mn_slice model, struct mn_error *err)
{
    if (model.n_bytes > MN_SEMCACHE_MODEL_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "the model tag has %zu bytes, the limit is %d",
                        model.n_bytes, MN_SEMCACHE_MODEL_BYTES_MAX);
    if (model.n_bytes > 0 && model.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "the model tag has bytes and no address");
    if (!mni_utf8_is_valid(model.data, model.n_bytes))
        return mni_fail(err, MN_ERR_INVALID, "the model tag is not UTF-8");
    return MN_OK;
}

static mn_status check_fields(const struct mn_semcache_entry *e, struct mn_error *err)
{
    const uint32_t known = MN_HAS_ENTRY_ID | MN_HAS_EXPIRES_AT | MN_HAS_TTL | MN_HAS_EVENT_TIME;

    if ((e->fields & ~known) != 0)
        return mni_fail(err, MN_ERR_INVALID, "unknown fields of an entry: %" PRIu32, e->fields);
    if (e->n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "embedding has %" PRIu32 " dimensions, the limit is %d",
                        e->n_dims, MN_DIMENSIONS_MAX);
    if (e->n_dims > 0 && e->embedding == NULL)
        return mni_fail(err, MN_ERR_INVALID, "embedding has dimensions and no address");
    if (e->payload.n_bytes > MN_PAYLOAD_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "payload has %zu bytes, the limit is %d",
                        e->payload.n_bytes, MN_PAYLOAD_BYTES_MAX);
    if (e->payload.n_bytes > 0 && e->payload.data == NULL)
        return mni_fail(err, MN_ERR_INVALID, "payload has bytes and no address");
    mn_status st = api_check_model(e->model, err);
    if (st != MN_OK)
        return st;
    return api_check_expiry(e->fields & (MN_HAS_EXPIRES_AT | MN_HAS_TTL),
                            (e->fields & MN_HAS_EXPIRES_AT) != 0 ? e->expires_at_us : e->ttl_us,
                            err);
}

static mn_status check_options(const struct mn_semcache_entry *e,
                               const struct mn_semcache_store_options *options,
                               struct api_entry *entry_out, struct mn_error *err)
{
    struct mn_semcache_store_options o;
    mn_status st = api_copy_options(options, &o, sizeof o, "mn_semcache_store_options", err);

    if (st != MN_OK)
        return st;
    if (o.ack < MN_ACK_DEFAULT || o.ack > MN_ACK_DISK)
        return mni_fail(err, MN_ERR_INVALID, "ack level %d is unknown", (int)o.ack);
    if ((int)o.mode < MN_SEMCACHE_OVERWRITE || o.mode > MN_SEMCACHE_IF_LSN)
        return mni_fail(err, MN_ERR_INVALID, "mode %d of storing is unknown", (int)o.mode);
    if (o.mode == MN_SEMCACHE_IF_LSN && (e->fields & MN_HAS_ENTRY_ID) == 0)
        return mni_fail(err, MN_ERR_INVALID, "storing for an LSN needs the id of the entry");
    entry_out->ack = o.ack;
    entry_out->entry.mode = o.mode;
    entry_out->entry.expected_lsn = o.expected_lsn;
    return MN_OK;
}

static mn_status round_embedding(const struct mn_semcache_entry *e, struct api_entry *entry_out,
                                 struct mn_error *err)
{
    const float least = 6.103515625e-5F; /* 2^-14: what is smaller has fewer digits */
    float largest = 0;
    size_t n_fit = 0;

    for (uint32_t i = 0; i < e->n_dims; i++) {
        if (isnan(e->embedding[i]) || isinf(e->embedding[i]))
            return mni_fail(err, MN_ERR_INVALID, "element %" PRIu32 " of the embedding is %s", i,
                            isnan(e->embedding[i]) ? "not a number" : "infinite");
        largest = fmaxf(largest, fabsf(e->embedding[i]));
    }
    if (largest > 0 && largest < least)
        return mni_fail(err, MN_ERR_INVALID,
                        "the largest element of the embedding is %g, too small for 16 bits (2^-14)",
                        (double)largest);
    entry_out->halves = mni_alloc_array(e->n_dims, sizeof *entry_out->halves);
    if (entry_out->halves == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an embedding of %" PRIu32 " dimensions", e->n_dims);
    if (mni_semcache_round(e->embedding, e->n_dims, entry_out->halves, &n_fit))
        return MN_OK;
    mni_free(entry_out->halves);
    entry_out->halves = NULL;
    return mni_fail(err, MN_ERR_INVALID,
                    "element %zu of the embedding is %g, too large for 16 bits (65504)", n_fit,
                    (double)e->embedding[n_fit]);
}

mn_status api_check_entry(mn_store *store, const struct mn_semcache_entry *e,
                          const struct mn_semcache_store_options *options,
                          struct api_entry *entry_out, struct mn_error *err)
{
    *entry_out = (struct api_entry){0};
    if (e == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no entry");
    mn_status st = check_fields(e, err);
    if (st == MN_OK)
        st = check_options(e, options, entry_out, err);
    if (st == MN_OK)
        st = round_embedding(e, entry_out, err);
    if (st != MN_OK)
        return st;
    int64_t now_us = mni_engine_now_us(store->engine);
    struct mni_semcache_entry *entry = &entry_out->entry;
    entry->has_id = (e->fields & MN_HAS_ENTRY_ID) != 0;
    entry->id = e->id;
    entry->has_expiry = (e->fields & (MN_HAS_EXPIRES_AT | MN_HAS_TTL)) != 0;
    entry->expires_at_us = (e->fields & MN_HAS_EXPIRES_AT) != 0
                               ? e->expires_at_us
                               : api_expiry_of_ttl(now_us, e->ttl_us);
    entry->event_time_us = (e->fields & MN_HAS_EVENT_TIME) != 0 ? e->event_time_us : now_us;
    entry->context = e->context;
    entry->key = e->key;
    entry->model = e->model;
    entry->embedding = entry_out->halves;
    entry->n_dims = e->n_dims;
    entry->payload = e->payload;
    return MN_OK;
}

mn_status api_store_entry(mn_store *store, uint64_t tenant, const struct api_entry *entry,
                          struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = api_semcache_to_write(store, &cache, err);

    if (st != MN_OK)
        return st;
    st = mni_semcache_store(cache, tenant, &entry->entry, entry->ack, handle_out, &about.entry,
                            &details);
    about.has_entry = entry->entry.has_id;
    return api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_store(mn_store *store, uint64_t tenant, const struct mn_semcache_entry *e,
                            const struct mn_semcache_store_options *options,
                            struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    struct api_about about = {.store = store, .tenant = tenant};
    struct mn_error details = {0};
    struct api_entry entry;
    mn_status st = api_check_store(store, err);

    if (handle_out != NULL)
        *handle_out = (struct mn_semcache_handle){0};
    if (st != MN_OK)
        return st;
    st = api_check_entry(store, e, options, &entry, &details);
    if (st != MN_OK) {
        about.has_entry = e != NULL && (e->fields & MN_HAS_ENTRY_ID) != 0;
        about.entry = about.has_entry ? e->id : 0;
        return api_semcache_answer(&about, st, &details, err);
    }
    st = api_store_entry(store, tenant, &entry, handle_out, err);
    mni_free(entry.halves);
    return st;
}

/* Removing ---------- */

/* The cache of a store that is to be changed, and how safely. */
static mn_status begin_change(mn_store *store, const struct mn_write_options *options,
                              struct mni_semcache **cache_out, mn_ack *ack_out,
                              struct mn_error *err)
{
    mn_status st = api_semcache_to_write(store, cache_out, err);

    return st == MN_OK ? api_ack(options, ack_out, err) : st;
}

mn_status mn_semcache_delete(mn_store *store, uint64_t tenant, uint64_t id,
                             const struct mn_write_options *options, uint64_t *lsn_out,
                             struct mn_error *err)
{
    const struct api_about about = {store, tenant, true, id};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_ack ack = MN_ACK_DEFAULT;
    mn_status st = begin_change(store, options, &cache, &ack, err);

    if (st != MN_OK)
        return st;
    st = mni_semcache_delete(cache, tenant, id, ack, lsn_out, &details);
    return api_semcache_answer(&about, st, &details, err);
}

static mn_status check_filter(const struct mn_semcache_filter *filter, struct mn_semcache_filter *f,
                              struct mn_error *err)
{
    const uint32_t some = MN_SEMCACHE_BY_KEY | MN_SEMCACHE_BY_CONTEXT | MN_SEMCACHE_BY_MODEL |
                          MN_SEMCACHE_BY_AGE;

    if (filter == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nothing says which entries are to go");
    mn_status st = api_copy_options(filter, f, sizeof *f, "mn_semcache_filter", err);
    if (st != MN_OK)
        return st;
    if (f->fields != MN_SEMCACHE_ALL && (f->fields == 0 || (f->fields & ~some) != 0))
        return mni_fail(err, MN_ERR_INVALID,
                        "fields %" PRIu32 " of a filter: none, unknown ones, or others beside all",
                        f->fields);
    if ((f->fields & MN_SEMCACHE_BY_KEY) != 0 && f->key == NULL)
        return mni_fail(err, MN_ERR_INVALID, "a filter by key has no key");
    return (f->fields & MN_SEMCACHE_BY_MODEL) != 0 ? api_check_model(f->model, err) : MN_OK;
}

mn_status mn_semcache_invalidate(mn_store *store, uint64_t tenant,
                                 const struct mn_semcache_filter *filter,
                                 const struct mn_write_options *options, uint64_t *n_out,
                                 struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_semcache_filter f = {0};
    struct mn_error details = {0};
    mn_ack ack = MN_ACK_DEFAULT;

    if (n_out != NULL)
        *n_out = 0;
    mn_status st = begin_change(store, options, &cache, &ack, err);
    if (st == MN_OK)
        st = check_filter(filter, &f, err);
    if (st != MN_OK)
        return st;
    st = mni_semcache_invalidate(cache, tenant, &f, ack, n_out, &details);
    return api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_drop_tenant(mn_store *store, uint64_t tenant,
                                  const struct mn_write_options *options, bool *existed_out,
                                  uint64_t *lsn_out, struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_ack ack = MN_ACK_DEFAULT;
    mn_status st = begin_change(store, options, &cache, &ack, err);

    if (st != MN_OK)
        return st;
    st = mni_semcache_drop_tenant(cache, tenant, ack, existed_out, lsn_out, &details);
    return api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_cleanup(mn_store *store, const struct mn_write_options *options,
                              uint64_t *n_out, struct mn_error *err)
{
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_ack ack = MN_ACK_DEFAULT;

    if (n_out != NULL)
        *n_out = 0;
    mn_status st = begin_change(store, options, &cache, &ack, err);
    if (st != MN_OK)
        return st;
    return api_answer(mni_semcache_cleanup(cache, ack, n_out, &details), &details, err);
}

/* Budgets ---------- */

mn_status mn_semcache_set_budget(mn_store *store, uint64_t tenant,
                                 const struct mn_semcache_budget *budget,
                                 const struct mn_write_options *options, struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_ack ack = MN_ACK_DEFAULT;
    mn_status st = begin_change(store, options, &cache, &ack, err);

    if (st != MN_OK)
        return st;
    st = mni_semcache_set_budget(cache, tenant, budget, ack, &details);
    return api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_get_budget(mn_store *store, uint64_t tenant,
                                 struct mn_semcache_budget *budget_out, bool *is_own_out,
                                 struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = api_semcache(store, &cache, err);

    if (st == MN_OK && budget_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the budget");
    if (st != MN_OK)
        return st;
    st = mni_semcache_get_budget(cache, tenant, budget_out, is_own_out, &details);
    return api_semcache_answer(&about, st, &details, err);
}

const char *mn_semcache_path(const mn_store *store)
{
    return store != NULL ? mni_engine_path(store->engine) : NULL;
}
