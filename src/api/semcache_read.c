/*
 * semcache_read.c - the cache of answers: loading, looking up, lists, numbers.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as semcache.h says; a handle is cleared then.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "api/semcache_private.h"

/* Handles ---------- */

void mn_semcache_release(struct mn_semcache_handle *handle)
{
    if (handle == NULL)
        return;
    mni_pin_release(handle->pin);
    *handle = (struct mn_semcache_handle){0};
}

mn_status mn_semcache_retain(const struct mn_semcache_handle *handle,
                             struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    void *pin = NULL;

    if (handle == NULL || handle_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no handle, or no place for another");
    if (handle->pin == NULL)
        return mni_fail(err, MN_ERR_INVALID, "the handle holds nothing");
    const struct mn_semcache_handle held = *handle; /* the two may be one */
    mn_status st = mni_pin_again(held.pin, &pin, err);
    if (handle_out != handle)
        *handle_out = (struct mn_semcache_handle){0};
    if (st != MN_OK)
        return st;
    *handle_out = held;
    handle_out->pin = pin;
    return MN_OK;
}

/* Details that nothing stands in yet, without clearing the whole of them: loads are fast. */
static void begin_details(struct mn_error *details)
{
    details->status = MN_OK;
    details->os_errno = 0;
    details->message[0] = '\0';
}

static mn_status begin_load(mn_store *store, struct mn_semcache_handle *handle_out,
                            struct mni_semcache **cache_out, struct mn_error *err)
{
    if (handle_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the handle");
    *handle_out = (struct mn_semcache_handle){0};
    return api_semcache(store, cache_out, err);
}

static mn_status load(mn_store *store, uint64_t tenant, uint64_t id, enum mni_semcache_count count,
                      struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    const struct api_about about = {store, tenant, true, id};
    struct mni_semcache *cache = NULL;
    struct mn_error details;
    mn_status st = begin_load(store, handle_out, &cache, err);

    if (st != MN_OK)
        return st;
    begin_details(&details);
    st = mni_semcache_load(cache, tenant, id, count, handle_out, &details);
    return st == MN_OK ? st : api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_load(mn_store *store, uint64_t tenant, uint64_t id,
                           struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    return load(store, tenant, id, MNI_SEMCACHE_COUNT, handle_out, err);
}

mn_status mn_semcache_peek(mn_store *store, uint64_t tenant, uint64_t id,
                           struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    return load(store, tenant, id, MNI_SEMCACHE_PEEK, handle_out, err);
}

mn_status mn_semcache_load_exact(mn_store *store, uint64_t tenant,
                                 const unsigned char key[MN_SEMCACHE_KEY_BYTES],
                                 struct mn_semcache_handle *handle_out, struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_error details;
    mn_status st = begin_load(store, handle_out, &cache, err);

    if (st == MN_OK && key == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no key");
    if (st != MN_OK)
        return st;
    begin_details(&details);
    st = mni_semcache_load_exact(cache, tenant, key, handle_out, &details);
    return st == MN_OK ? st : api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_exists(mn_store *store, uint64_t tenant, uint64_t id, bool *exists_out,
                             struct mn_error *err)
{
    const struct api_about about = {store, tenant, true, id};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = api_semcache(store, &cache, err);

    if (st == MN_OK && exists_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the answer");
    if (st != MN_OK)
        return st;
    st = mni_semcache_exists(cache, tenant, id, exists_out, &details);
    return api_semcache_answer(&about, st, &details, err);
}

/* Looking up ---------- */

static mn_status check_embedding(const struct mn_semcache_query *q, struct mn_error *err)
{
    bool is_zero = true;

    if (q->n_dims == 0 || q->n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_INVALID, "an embedding of %" PRIu32 " dimensions; 1 to %d",
                        q->n_dims, MN_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < q->n_dims; i++) {
        if (!isfinite(q->embedding[i]))
            return mni_fail(err, MN_ERR_INVALID, "element %" PRIu32 " of the embedding is %s", i,
                            isnan(q->embedding[i]) ? "not a number" : "infinite");
        is_zero = is_zero && q->embedding[i] == 0;
    }
    if (is_zero)
        return mni_fail(err, MN_ERR_INVALID, "an embedding of zeroes has no direction");
    if (!(q->min_similarity > 0 && q->min_similarity <= 1))
        return mni_fail(err, MN_ERR_INVALID,
                        "min_similarity is %g; looking up by meaning needs one above 0, to 1",
                        (double)q->min_similarity);
    return MN_OK;
}

static mn_status check_numbers(struct mn_semcache_query *q, struct mn_error *err)
{
    if (q->n_candidates == 0)
        q->n_candidates = MN_SEMCACHE_CANDIDATES_DEFAULT;
    if (q->n_candidates > MN_SEMCACHE_CANDIDATES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "%" PRIu32 " candidates, the limit is %d",
                        q->n_candidates, MN_SEMCACHE_CANDIDATES_MAX);
    if (q->n_refined > q->n_candidates)
        return mni_fail(err, MN_ERR_INVALID, "%" PRIu32 " to be refined of %" PRIu32 " candidates",
                        q->n_refined, q->n_candidates);
    if (q->n_refined == 0)
        q->n_refined = q->n_candidates < MN_SEMCACHE_REFINED_DEFAULT ? q->n_candidates
                                                                     : MN_SEMCACHE_REFINED_DEFAULT;
    return MN_OK;
}

static mn_status check_query(const struct mn_semcache_query *query, struct mn_semcache_query *q,
                             struct mn_error *err)
{
    const uint32_t known = MN_SEMCACHE_ANY_MODEL | MN_SEMCACHE_ANY_CONTEXT;

    if (query == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nothing says what to look for");
    mn_status st = api_copy_options(query, q, sizeof *q, "mn_semcache_query", err);
    if (st != MN_OK)
        return st;
    if ((q->fields & ~known) != 0)
        return mni_fail(err, MN_ERR_INVALID, "unknown fields of a query: %" PRIu32, q->fields);
    if (q->n_dims > 0 && q->embedding == NULL)
        return mni_fail(err, MN_ERR_INVALID, "embedding has dimensions and no address");
    if (q->n_dims == 0)
        q->embedding = NULL;
    if (q->key == NULL && q->embedding == NULL)
        return mni_fail(err, MN_ERR_INVALID, "neither a key nor an embedding to look for");
    st = api_check_model(q->model, err);
    if (st == MN_OK && q->embedding != NULL)
        st = check_embedding(q, err);
    return st == MN_OK ? check_numbers(q, err) : st;
}

/* `least` is the size of the first version. */
static mn_status check_size(size_t size, size_t least, const char *what, struct mn_error *err)
{
    enum { SIZE_MAX_BYTES = 4096 };

    if (size >= least && size <= SIZE_MAX_BYTES)
        return MN_OK;
    return mni_fail(err, MN_ERR_INVALID, "%s.size is not set", what);
}

/* As much as the caller's version of a struct has. */
static void hand_out(void *to, size_t to_bytes, const void *from, size_t from_bytes)
{
    memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
           (to_bytes < from_bytes ? to_bytes : from_bytes) - sizeof(size_t));
}

mn_status mn_semcache_lookup(mn_store *store, uint64_t tenant,
                             const struct mn_semcache_query *query,
                             struct mn_semcache_result *result_out, struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mn_semcache_result result = {0};
    struct mn_semcache_query q = {0};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && result_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the result");
    if (st == MN_OK)
        st = check_size(result_out->size, sizeof result, "mn_semcache_result", err);
    if (st != MN_OK)
        return st;
    hand_out(result_out, result_out->size, &result, sizeof result);
    st = check_query(query, &q, err);
    if (st == MN_OK)
        st = api_semcache(store, &cache, err);
    if (st != MN_OK)
        return st;
    st = mni_semcache_lookup(cache, tenant, &q, &result, &details);
    if (st == MN_OK)
        hand_out(result_out, result_out->size, &result, sizeof result);
    return api_semcache_answer(&about, st, &details, err);
}

/* Lists ---------- */

static mn_status check_page(const uint64_t *out, size_t n_max, const size_t *n_out,
                            struct mn_error *err)
{
    if (out != NULL && n_max > 0 && n_out != NULL)
        return MN_OK;
    return mni_fail(err, MN_ERR_INVALID, "no place for a list, or one of no entries");
}

mn_status mn_semcache_list_entries(mn_store *store, uint64_t tenant, uint64_t from,
                                   uint64_t *ids_out, size_t n_max, size_t *n_out,
                                   struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = check_page(ids_out, n_max, n_out, err);

    if (st == MN_OK)
        st = api_semcache(store, &cache, err);
    if (st != MN_OK)
        return st;
    st = mni_semcache_list_entries(cache, tenant, from, ids_out, n_max, n_out, &details);
    return api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_list_tenants(mn_store *store, uint64_t from, uint64_t *tenants_out,
                                   size_t n_max, size_t *n_out, struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = check_page(tenants_out, n_max, n_out, err);
    if (st != MN_OK)
        return st;
    st = mni_engine_list_tenants(store->engine, from, tenants_out, n_max, n_out, &details);
    return api_answer(st, &details, err);
}

/* Numbers ---------- */

static mn_status get_stats(mn_store *store, const uint64_t *tenant,
                           struct mn_semcache_stats *stats_out, struct mn_error *err)
{
    const struct api_about about = {.store = store, .tenant = tenant != NULL ? *tenant : 0};
    struct mn_semcache_stats stats = {0};
    struct mni_semcache *cache = NULL;
    struct mn_error details = {0};
    mn_status st = stats_out != NULL
                       ? check_size(stats_out->size, sizeof stats, "mn_semcache_stats", err)
                       : mni_fail(err, MN_ERR_INVALID, "no place for the numbers");

    if (st == MN_OK)
        st = api_semcache(store, &cache, err);
    if (st != MN_OK)
        return st;
    st = mni_semcache_get_stats(cache, tenant, &stats, &details);
    if (st == MN_OK)
        hand_out(stats_out, stats_out->size, &stats, sizeof stats);
    return api_semcache_answer(&about, st, &details, err);
}

mn_status mn_semcache_get_stats(mn_store *store, struct mn_semcache_stats *stats,
                                struct mn_error *err)
{
    return get_stats(store, NULL, stats, err);
}

mn_status mn_semcache_tenant_stats(mn_store *store, uint64_t tenant,
                                   struct mn_semcache_stats *stats, struct mn_error *err)
{
    return get_stats(store, &tenant, stats, err);
}
