/*
 * lookup.c - the entry that answers a question: by its key, else by meaning.
 *
 * Sign codes choose candidates, which the roster has in memory; their embeddings are read from the
 * store and compared whole; the best of these are kept pinned while the caller is asked.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_NOMEM, MN_ERR_BUDGET. What cannot be read is passed over, and counted.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/kernel.h"
#include "semcache/cache_private.h"

enum { CODES_AT_ONCE = 16384 }; /* a slice of the scan: less than a tenth of a millisecond */

struct similar {
    struct mn_semcache_handle handle; /* its pin does not count yet */
    float score;
};

struct lookup {
    struct mni_semcache *cache;
    uint64_t tenant;
    const struct mn_semcache_query *query;
    struct mn_semcache_result *result;
    uint64_t *signs;
    float *direction; /* the query, its largest element from 1/2 to 1: no sum is too large */
    float length;     /* of that */
    float *floats;    /* a candidate's embedding */
    struct roster_near *near;
    struct similar *best; /* the best first, equal ones by id */
    size_t n_best;
    bool saw_scope;
    uint64_t n_unreadable; /* entries of the tenant: one of them may be what is looked for */
};

static bool is_in_scope(const struct mn_semcache_query *q, const struct mn_semcache_handle *handle)
{
    bool is_model = (q->fields & MN_SEMCACHE_ANY_MODEL) != 0 ||
                    (q->model.n_bytes == handle->model.n_bytes &&
                     (q->model.n_bytes == 0 ||
                      memcmp(q->model.data, handle->model.data, q->model.n_bytes) == 0));

    return is_model &&
           ((q->fields & MN_SEMCACHE_ANY_CONTEXT) != 0 || q->context == handle->context);
}

static void note_damage(struct lookup *l)
{
    l->result->n_damaged++;
    cache_count_error(l->cache, l->tenant);
}

/* By key ---------- */

static mn_status look_by_key(struct lookup *l, bool *is_hit_out, struct mn_error *err)
{
    struct mn_semcache_handle handle;
    mn_status st = cache_read_exact(l->cache, l->tenant, l->query->key, &handle, err);

    *is_hit_out = st == MN_OK && is_in_scope(l->query, &handle);
    if (st == MN_ERR_CORRUPT)
        note_damage(l);
    if (st == MN_NOT_FOUND || st == MN_ERR_CORRUPT)
        return MN_OK;
    if (!*is_hit_out) {
        handle_release(&handle);
        return st;
    }
    st = cache_give_hit(l->cache, HIT_EXACT, &handle, err);
    if (st != MN_OK)
        return st;
    l->result->kind = MN_SEMCACHE_EXACT;
    l->result->score = 1;
    l->result->handle = handle;
    return MN_OK;
}

/* By meaning ---------- */

static void set_direction(struct lookup *l)
{
    const struct mn_semcache_query *q = l->query;
    float largest = 0;
    float square = 0;
    int exponent = 0;

    for (uint32_t i = 0; i < q->n_dims; i++)
        largest = fmaxf(largest, fabsf(q->embedding[i]));
    (void)frexpf(largest, &exponent);
    for (uint32_t i = 0; i < q->n_dims; i++)
        l->direction[i] = ldexpf(q->embedding[i], -exponent);
    mni_kernels()->dot_f32(l->direction, 1, l->direction, 1, q->n_dims, &square);
    l->length = sqrtf(square);
}

static mn_status allocate(struct lookup *l, struct mn_error *err)
{
    const struct mn_semcache_query *q = l->query;
    size_t n_words = (q->n_dims + MNI_SIGN_WORD_BITS - 1) / MNI_SIGN_WORD_BITS;

    l->signs = mni_alloc_array(n_words, sizeof *l->signs);
    l->direction = mni_alloc_array(q->n_dims, sizeof *l->direction);
    l->floats = mni_alloc_array(q->n_dims, sizeof *l->floats);
    l->near = mni_alloc_array(q->n_candidates, sizeof *l->near);
    l->best = mni_alloc_array(q->n_refined, sizeof *l->best);
    if (l->signs == NULL || l->direction == NULL || l->floats == NULL || l->near == NULL ||
        l->best == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "looking for %" PRIu32 " candidates", q->n_candidates);
    mni_sign_bits(q->embedding, q->n_dims, l->signs);
    set_direction(l);
    return MN_OK;
}

/* The scan of the sign codes. MN_ERR_DIMENSION. */
static mn_status find_candidates(struct lookup *l, size_t *n_out, struct mn_error *err)
{
    const struct mn_semcache_query *q = l->query;
    struct mni_semcache *cache = l->cache;
    struct roster_scan scan = {
        .tenant = l->tenant,
        .model = (q->fields & MN_SEMCACHE_ANY_MODEL) != 0 ? NULL : &q->model,
        .context = (q->fields & MN_SEMCACHE_ANY_CONTEXT) != 0 ? NULL : &q->context,
        .signs = l->signs,
        .n_dims = q->n_dims,
        .now_us = mni_engine_now_us(cache->engine),
        .best = l->near,
        .n_best = q->n_candidates,
    };
    bool is_more = true;

    while (is_more) {
        mni_rwlock_read(&cache->roster_lock);
        const struct tenant *tenant = roster_tenant(cache->roster, l->tenant);
        uint32_t n_dims = tenant != NULL ? cache_dims_of(tenant) : 0;
        l->n_unreadable = tenant != NULL ? tenant->n_unreadable : 0;
        bool fits = n_dims == 0 || n_dims == q->n_dims;
        is_more = fits && roster_scan_on(cache->roster, &scan, CODES_AT_ONCE);
        mni_rwlock_unlock(&cache->roster_lock);
        if (!fits)
            return mni_fail(err, MN_ERR_DIMENSION,
                            "the query has %" PRIu32 " dimensions, embeddings of the tenant have "
                            "%" PRIu32,
                            q->n_dims, n_dims);
    }
    l->result->n_scanned = scan.n_scanned;
    l->saw_scope = scan.saw_scope;
    *n_out = scan.n;
    return MN_OK;
}

/* The cosine of a query and a stored embedding; 0 where one has no length. */
static float cosine(const struct lookup *l, const uint16_t *embedding)
{
    const struct mn_semcache_query *q = l->query;
    const struct mni_kernels *kernels = mni_kernels();
    float dot = 0;
    float square = 0;

    kernels->dot_f16(l->direction, 1, embedding, 1, q->n_dims, &dot);
    mni_f16_to_f32(embedding, q->n_dims, l->floats);
    kernels->dot_f32(l->floats, 1, l->floats, 1, q->n_dims, &square);
    double length = sqrt((double)square) * (double)l->length;
    double score = length > 0 ? (double)dot / length : 0;
    return score > 1 ? 1.0F : score < -1 ? -1.0F : (float)score;
}

/* Keeps it, if it is among the best; else lets go of it. */
static void keep(struct lookup *l, struct mn_semcache_handle *handle, float score)
{
    size_t at = l->n_best;

    while (at > 0 && (l->best[at - 1].score < score ||
                      (l->best[at - 1].score == score && l->best[at - 1].handle.id > handle->id)))
        at--;
    if (at == l->query->n_refined) {
        handle_release(handle);
        return;
    }
    if (l->n_best == l->query->n_refined)
        handle_release(&l->best[--l->n_best].handle);
    memmove(&l->best[at + 1], &l->best[at], (l->n_best - at) * sizeof *l->best);
    l->best[at] = (struct similar){.handle = *handle, .score = score};
    l->n_best++;
}

static mn_status refine(struct lookup *l, const struct roster_near *near, struct mn_error *err)
{
    struct mn_semcache_handle handle;
    mn_status st = cache_read_entry(l->cache, l->tenant, near->id, &handle, err);

    if (st == MN_ERR_CORRUPT)
        note_damage(l);
    if (st != MN_OK)
        return st == MN_ERR_CORRUPT || st == MN_NOT_FOUND ? MN_OK : st;
    /* It may have been replaced since it was chosen, and what replaced it chosen, too. */
    if (handle.lsn != near->lsn || !is_in_scope(l->query, &handle) ||
        handle.n_dims != l->query->n_dims) {
        handle_release(&handle);
        return MN_OK;
    }
    float score = cosine(l, handle.embedding);
    l->result->n_candidates++;
    if (l->result->n_candidates == 1 || score > l->result->score)
        l->result->score = score;
    if (!(score >= l->query->min_similarity)) {
        handle_release(&handle);
        return MN_OK;
    }
    l->result->n_similar++;
    keep(l, &handle, score);
    return MN_OK;
}

/* Asks for one after the other. The chosen one is no longer among the best. */
static mn_status choose(struct lookup *l, struct mn_error *err)
{
    const struct mn_semcache_query *q = l->query;
    bool asks = q->verify != NULL;

    for (size_t i = 0; i < l->n_best; i++) {
        struct similar *s = &l->best[i];
        if (asks)
            cache_tell_hits(l->cache, &s->handle);
        if (asks && !q->verify(q->verify_context, &s->handle, s->score)) {
            l->result->n_rejected++;
            continue;
        }
        mn_status st =
            cache_give_hit(l->cache, asks ? HIT_VERIFIED : HIT_SEMANTIC, &s->handle, err);
        if (st != MN_OK)
            return st;
        l->result->kind = asks ? MN_SEMCACHE_VERIFIED : MN_SEMCACHE_SEMANTIC;
        l->result->score = s->score;
        l->result->handle = s->handle;
        s->handle.pin = NULL;
        break;
    }
    return MN_OK;
}

static mn_status look_by_meaning(struct lookup *l, struct mn_error *err)
{
    size_t n = 0;
    mn_status st = allocate(l, err);

    if (st == MN_OK)
        st = find_candidates(l, &n, err);
    for (size_t i = 0; i < n && st == MN_OK; i++)
        st = refine(l, &l->near[i], err);
    if (st == MN_OK)
        st = choose(l, err);
    if (st == MN_OK && l->result->kind == MN_SEMCACHE_MISS && l->n_unreadable > 0 &&
        l->result->n_damaged == 0)
        note_damage(l);
    for (size_t i = 0; i < l->n_best; i++)
        handle_release(&l->best[i].handle);
    mni_free(l->signs);
    mni_free(l->direction);
    mni_free(l->floats);
    mni_free(l->near);
    mni_free(l->best);
    return st;
}

static enum mn_semcache_reason reason_of(const struct lookup *l)
{
    const struct mn_semcache_result *r = l->result;

    if (r->n_rejected > 0)
        return MN_SEMCACHE_REJECTED;
    if (r->n_damaged > 0)
        return MN_SEMCACHE_DAMAGED;
    if (l->query->embedding != NULL && !l->saw_scope)
        return MN_SEMCACHE_NO_SCOPE;
    return r->n_candidates > 0 ? MN_SEMCACHE_BELOW : MN_SEMCACHE_NO_EMBEDDING;
}

mn_status mni_semcache_lookup(struct mni_semcache *cache, uint64_t tenant,
                              const struct mn_semcache_query *query,
                              struct mn_semcache_result *result_out, struct mn_error *err)
{
    struct lookup l = {.cache = cache, .tenant = tenant, .query = query, .result = result_out};
    struct mn_error passed = {0}; /* of what is passed over */
    bool is_hit = false;
    mn_status st = MN_OK;

    if (query->key != NULL)
        st = look_by_key(&l, &is_hit, &passed);
    if (st == MN_OK && !is_hit && query->embedding != NULL)
        st = look_by_meaning(&l, &passed);
    if (st != MN_OK) {
        if (err != NULL)
            *err = passed;
        return st;
    }
    if (result_out->kind == MN_SEMCACHE_MISS) {
        result_out->reason = reason_of(&l);
        cache_count_miss(cache, tenant);
    }
    return MN_OK;
}
