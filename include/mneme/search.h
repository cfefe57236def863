/*
 * search.h - the nearest vectors of a namespace, exactly.
 *
 *     mn_search_open -> mn_search_next ... MN_END -> mn_search_close
 *
 * The answer is that of comparing every live vector, whatever a search leaves out on its way, and
 * has the same bits on every machine. It shows one moment: the one at which the search was opened.
 *
 * Scores are higher for what is nearer:
 *
 *     cosine   dot / (|q| |x|), from -1 to 1 but for rounding; 0 where one of them has length 0
 *     dot      the dot product
 *     l2       the squared Euclidean distance, negated
 *
 * Sums are made in float, 32 of them side by side: element i goes into sum i % 32, multiplied and
 * added with one rounding. Then sums 16 to 31 are added to sums 0 to 15, of these the upper half to
 * the lower, and so on. A length is the root of such a sum, rounded to float; the cosine is divided
 * in double and rounded once. A vector whose score is NaN (one with a NaN in it, for example) is no
 * result.
 */
#ifndef MNEME_SEARCH_H
#define MNEME_SEARCH_H

#include "mneme/records.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mn_metric {
    MN_METRIC_DEFAULT = 0, /* MN_METRIC_COSINE */
    MN_METRIC_COSINE = 1,
    MN_METRIC_DOT = 2,
    MN_METRIC_L2 = 3,
} mn_metric;

/* NULL is the default; otherwise set `size` to sizeof(struct mn_search_options), all else may be
 * zero. */
struct mn_search_options {
    size_t size;
    mn_metric metric;
    size_t offset; /* passes over so many of the best results of each query */
    bool has_min_score;
    float min_score;    /* only results with this score or a higher one; not NaN */
    unsigned n_threads; /* 1 or 2, more count as 2; 0: two where that is faster */
    bool full_scan;     /* compares every vector whole: slower, for comparing */
    bool skip_damaged;  /* passes over what lies in a damaged part of a file, and counts it */
    int64_t timeout_us; /* of mn_search_open; 0: none */
    /* May be NULL. Asked by every thread of the search, at the same time, about once a megabyte or
     * more often (once for 64 vectors that are larger together); true ends it. */
    bool (*is_cancelled)(void *context);
    void *cancel_context;
};

/* A search and its results. It belongs to one thread at a time. */
typedef struct mn_search mn_search;

/*
 * Finds the `limit` best results of each of `n_queries` queries of `n_dims` elements that stand one
 * behind the other in `queries`. All of them in one call read the vectors once: that is much faster
 * than one by one. Equal scores are ordered by id, byte by byte.
 *
 * `limit` is 1 or more; limit + offset and n_queries are at most what limits.h says, and so is
 * their product. A namespace without vectors has no results. Threads that it needs end with the
 * call. Close with mn_search_close; until then mn_close is refused. `options` may be NULL.
 *
 * MN_NOT_FOUND: no such namespace. MN_ERR_DIMENSION: its vectors have not n_dims elements.
 * MN_ERR_INVALID: also an element of a query that is infinite or NaN. MN_ERR_TIMEOUT,
 * MN_ERR_CANCELLED: as the options ask; there are no results then. MN_ERR_CORRUPT: vectors, what
 * tells which of them are live, or ids that decide between equal scores, lie in a damaged part of a
 * file, which `err` names; see skip_damaged. MN_ERR_BUDGET: what a search of so many queries and
 * results takes does not fit into memory_bytes_max now; one of 1 MiB or less always does.
 */
MN_API MN_MUST_USE mn_status mn_search_open(mn_store *store, struct mn_slice name,
                                            const float *queries, size_t n_queries, uint32_t n_dims,
                                            size_t limit, const struct mn_search_options *options,
                                            mn_search **search_out, struct mn_error *err);

struct mn_search_hit {
    size_t query; /* number, from 0 */
    float score;
    struct mn_view view; /* the caller releases it; it may outlive the search */
};

/* The results of query 0, the best first, then those of query 1, and so on. MN_OK: sets `hit_out`.
 * MN_END behind the last, and clears it. MN_ERR_BUDGET as of mn_get, and clears it: the call after
 * that gives the same result. MN_ERR_CORRUPT, which clears it too: the record of the next result
 * lies in a damaged part of a file, which `err` names; the call after that goes on behind it. With
 * skip_damaged it is passed over and counted instead. */
MN_API MN_MUST_USE mn_status mn_search_next(mn_search *search, struct mn_search_hit *hit_out,
                                            struct mn_error *err);

/* What a search did, of all its queries together. Set `size` before the call. */
struct mn_search_stats {
    size_t size;
    uint64_t n_results;  /* those whose record turns out to be damaged included */
    uint64_t n_scanned;  /* vectors that were compared, whole or as codes */
    uint64_t n_refined;  /* comparisons of a query with a whole vector that its code did not rule
                            out */
    uint64_t n_fallback; /* vectors compared whole because codes had ruled out too few before */
    uint64_t n_damaged;  /* vectors, or records of them, passed over: see skip_damaged; at least 1
                            where ids of equal scores could not be read */
    uint64_t bytes_read; /* of codes and vectors */
    int64_t duration_us; /* of mn_search_open */
    uint32_t n_threads;
};

MN_API MN_MUST_USE mn_status mn_search_stats(const mn_search *search,
                                             struct mn_search_stats *stats_out,
                                             struct mn_error *err);

MN_API void mn_search_close(mn_search *search); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
