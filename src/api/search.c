/*
 * search.c - the nearest vectors of a namespace.
 *
 * Owns:    a search the engine's scan and what was found in it.
 * Threads: one per search; more of its own while it is opened.
 * Fails:   on arguments, before anything is read; as the engine's search.
 */
#include "mneme/search.h"

#include <inttypes.h>
#include <math.h>

#include "api/store_private.h"
#include "base/mem.h"
#include "base/quote.h"

struct mn_search {
    struct mni_engine *engine; /* borrowed */
    struct mni_scan *scan;     /* owned */
    struct mni_search_results results;
    bool skips_damaged;
    size_t next; /* result to give */
    int64_t duration_us;
};

/* Arguments ------------------------------------------------------------------------------------ */

static mn_status check_options(const struct mn_search_options *o, struct mn_error *err)
{
    if (o->metric < MN_METRIC_DEFAULT || o->metric > MN_METRIC_L2)
        return mni_fail(err, MN_ERR_INVALID, "metric %d is unknown", (int)o->metric);
    if (o->has_min_score && isnan(o->min_score))
        return mni_fail(err, MN_ERR_INVALID, "min_score is NaN");
    if (o->timeout_us < 0)
        return mni_fail(err, MN_ERR_INVALID, "timeout_us is negative");
    return MN_OK;
}

static mn_status check_numbers(size_t n_queries, size_t limit, size_t offset, struct mn_error *err)
{
    if (n_queries == 0)
        return mni_fail(err, MN_ERR_INVALID, "there is no query");
    if (limit == 0)
        return mni_fail(err, MN_ERR_INVALID, "limit is 0, a search gives 1 result or more");
    if (n_queries > MN_SEARCH_QUERIES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "%zu queries, the limit is %d", n_queries,
                        MN_SEARCH_QUERIES_MAX);
    if (limit > MN_SEARCH_RESULTS_MAX || offset > MN_SEARCH_RESULTS_MAX - limit)
        return mni_fail(err, MN_ERR_LIMIT, "limit %zu and offset %zu are together more than %d",
                        limit, offset, MN_SEARCH_RESULTS_MAX);
    if ((limit + offset) * n_queries > MN_SEARCH_PRODUCT_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "%zu queries of %zu results are more than %d results",
                        n_queries, limit + offset, MN_SEARCH_PRODUCT_MAX);
    return MN_OK;
}

static mn_status check_queries(const float *queries, size_t n_queries, uint32_t n_dims,
                               struct mn_error *err)
{
    if (queries == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no query is given");
    if (n_dims == 0)
        return mni_fail(err, MN_ERR_INVALID, "a query has no dimensions");
    if (n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "query has %" PRIu32 " dimensions, the limit is %d",
                        n_dims, MN_DIMENSIONS_MAX);
    for (size_t q = 0; q < n_queries; q++)
        for (uint32_t i = 0; i < n_dims; i++)
            if (!isfinite(queries[q * n_dims + i]))
                return mni_fail(err, MN_ERR_INVALID, "element %" PRIu32 " of query %zu is %s", i, q,
                                isnan(queries[q * n_dims + i]) ? "NaN" : "infinite");
    return MN_OK;
}

/* Opening -------------------------------------------------------------------------------------- */

void mn_search_close(mn_search *search)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (search == NULL || mni_engine_check(search->engine, NULL) != MN_OK)
        return;
    if (search->scan != NULL)
        mni_search_results_done(search->scan, &search->results);
    mni_scan_close(search->scan);
    mni_free(search);
}

/* Begins to look at the vectors of a namespace. Sets `has_vectors_out`. */
static mn_status open_namespace(struct mn_search *search, struct mn_slice name,
                                const struct mni_search *settings, bool *has_vectors_out,
                                struct mn_error *err)
{
    uint32_t n_dims = settings->n_dims;
    char text[MNI_QUOTED_NAME_BYTES];
    struct mni_collection c;
    mn_status st = mni_scan_open(search->engine, &search->scan, err);

    if (st != MN_OK)
        return st;
    st = mni_view_collection(mni_scan_view(search->scan), MNI_KIND_NAMESPACE, name, &c, err);
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? api_no_namespace(name, err) : st;
    *has_vectors_out = c.dimension != 0;
    if (c.dimension != 0 && c.dimension != n_dims)
        return mni_fail(err, MN_ERR_DIMENSION,
                        "query has %" PRIu32 " dimensions, namespace %s has %" PRIu32, n_dims,
                        mni_quote(name, text, sizeof text), c.dimension);
    return mni_scan_start(search->scan, c.number, settings, err);
}

static mn_status run(struct mn_search *search, struct mn_slice name,
                     const struct mni_search *settings, struct mn_error *err)
{
    int64_t begin_us = mni_engine_mono_us(search->engine);
    struct mni_search s = *settings;
    bool has_vectors = false;

    if (s.deadline_us != 0 && __builtin_add_overflow(begin_us, s.deadline_us, &s.deadline_us))
        s.deadline_us = INT64_MAX;
    mn_status st = open_namespace(search, name, &s, &has_vectors, err);
    if (st == MN_OK && has_vectors)
        st = mni_search_run(search->scan, &s, &search->results, err);
    search->duration_us = mni_engine_mono_us(search->engine) - begin_us;
    return st;
}

mn_status mn_search_open(mn_store *store, struct mn_slice name, const float *queries,
                         size_t n_queries, uint32_t n_dims, size_t limit,
                         const struct mn_search_options *options, mn_search **search_out,
                         struct mn_error *err)
{
    struct mn_search_options o;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_name(name, err);
    if (st == MN_OK && search_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the search");
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_search_options", err);
    if (st == MN_OK)
        st = check_options(&o, err);
    if (st == MN_OK)
        st = check_numbers(n_queries, limit, o.offset, err);
    if (st == MN_OK)
        st = check_queries(queries, n_queries, n_dims, err);
    if (st != MN_OK)
        return st;
    struct mn_search *search = mni_alloc_zero(sizeof *search);
    if (search == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a search");
    search->engine = store->engine;
    search->skips_damaged = o.skip_damaged;
    const struct mni_search settings = {
        .metric = o.metric == MN_METRIC_DEFAULT ? MNI_METRIC_COSINE : (enum mni_metric)o.metric,
        .vectors = queries,
        .n_queries = n_queries,
        .n_dims = n_dims,
        .n_best = o.offset + limit,
        .n_skipped = o.offset,
        .least = o.has_min_score ? o.min_score : -INFINITY,
        .n_threads = o.n_threads,
        .without_codes = o.full_scan,
        .skips_damaged = o.skip_damaged,
        .deadline_us = o.timeout_us, /* from its beginning on */
        .is_cancelled = o.is_cancelled,
        .cancel_context = o.cancel_context,
    };
    st = run(search, name, &settings, err);
    if (st != MN_OK) {
        mn_search_close(search);
        return st;
    }
    *search_out = search;
    return MN_OK;
}

/* Results -------------------------------------------------------------------------------------- */

mn_status mn_search_next(mn_search *search, struct mn_search_hit *hit_out, struct mn_error *err)
{
    if (search == NULL || hit_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no search, or no place for the result");
    mn_status st = mni_engine_check(search->engine, err);
    if (st != MN_OK)
        return st;
    *hit_out = (struct mn_search_hit){0};
    while (search->next < search->results.n) {
        const struct mni_search_hit *hit = &search->results.hits[search->next];
        struct mni_found found;

        st = mni_search_read(search->scan, hit, &found, err);
        if (st == MN_OK)
            st = mni_found_pin(search->engine, &found, err);
        search->next += st == MN_OK || st == MN_ERR_CORRUPT;
        if (st == MN_ERR_CORRUPT && search->skips_damaged) {
            search->results.stats.n_damaged++;
            continue;
        }
        if (st == MN_OK) {
            hit_out->query = hit->query;
            hit_out->score = hit->hit.score;
            api_view_set(&hit_out->view, &found);
        }
        return st;
    }
    return mni_fail(err, MN_END, "there are no more results");
}

mn_status mn_search_stats(const mn_search *search, struct mn_search_stats *stats_out,
                          struct mn_error *err)
{
    if (search == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no search");
    if (stats_out == NULL || stats_out->size < sizeof stats_out->size || stats_out->size > 4096)
        return mni_fail(err, MN_ERR_INVALID, "mn_search_stats.size is not set");
    mn_status st = mni_engine_check(search->engine, err);
    if (st != MN_OK)
        return st;
    const struct mni_search_stats *s = &search->results.stats;
    const struct mn_search_stats stats = {
        .size = stats_out->size,
        .n_results = search->results.n,
        .n_scanned = s->n_scanned,
        .n_refined = s->n_refined,
        .n_fallback = s->n_fallback,
        .n_damaged = s->n_damaged,
        .bytes_read = s->bytes_read,
        .duration_us = search->duration_us,
        .n_threads = s->n_threads,
    };
    memcpy(stats_out, &stats, stats.size < sizeof stats ? stats.size : sizeof stats);
    return MN_OK;
}
