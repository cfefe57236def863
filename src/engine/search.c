/*
 * search.c - the nearest vectors of a view, exactly.
 *
 * Each thread has a reader of the scan and takes windows of it. The codes of a block of vectors
 * tell which of them can still be among the best of a query; these are compared whole, and raise
 * what others have to reach, in all threads. Vectors without codes are compared one and all, and so
 * are those of the next blocks where codes rule out too few, time after time.
 *
 * Owns:    a search its seekers; a seeker its best so far. Versions in them stay as long as the
 *          scan's view.
 * Threads: one per seeker. What a result has to reach is shared, and only ever rises.
 * Fails:   MN_ERR_NOMEM, MN_ERR_CANCELLED, MN_ERR_TIMEOUT, and as scans do.
 */
#include <inttypes.h>
#include <math.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    BLOCK = MNI_SEGMENT_CODE_BLOCK_VECTORS,
    THREADS_MAX = 2,
    BYTES_PER_THREAD =
        4 << 20,          /* of vectors; below, starting a thread takes longer than it saves */
    CODE_DIMS_MIN = 16,   /* of fewer, a code with its bounds is not much shorter */
    TOO_MANY = BLOCK / 4, /* comparisons of a block and a query: its codes were not worth while */
    POOR_BLOCKS = 8,      /* one behind the other, and the next are compared without codes */
    BLOCKS_WITHOUT = 64,
};

static const uint32_t source_table = UINT32_MAX; /* in place of a part's number */

struct query_state {
    struct mni_query query;
    _Atomic float least; /* what a result has to reach, as far as any seeker knows */
};

struct seeker;

struct job {
    struct mni_scan *scan;
    const struct mni_search *search;
    struct query_state *queries; /* owned */
    int8_t *codes;               /* owned: of all queries */
    size_t row_code_bytes;
    size_t n_by_codes; /* queries that are compared with codes first */
    struct mni_env *env;
    struct seeker *seekers[THREADS_MAX];
    unsigned n_seekers;
    unsigned n_threads;  /* that they had: where none can be started, one goes over it all */
    atomic_bool is_over; /* one of them has failed */
};

struct seeker {
    struct job *job;
    struct mni_scan_reader *reader; /* owned */
    struct mni_best *bests;         /* owned: one per query */
    float *floats;                  /* owned: of one vector, widened */
    uint64_t *wanted;       /* owned: per query, which vectors of a block it is compared with */
    int32_t *products;      /* owned: per query, of its code with those of a block */
    unsigned n_poor_blocks; /* one behind the other */
    unsigned n_blocks_without;
    struct mni_search_stats stats;
    struct mni_thread thread;
    bool misses_keys;     /* of records that it passes over, where scores are equal */
    mn_status key_status; /* how reading keys has failed; MN_OK: it has not */
    mn_status status;
    struct mn_error err; /* of either */
};

/* Order of equals ---------- */

/* The key of a hit; release the pin. */
static mn_status key_of(struct job *job, const struct mni_hit *hit, struct mn_slice *key_out,
                        void **pin_out, struct mn_error *err)
{
    struct mni_found found;

    *pin_out = NULL;
    if (hit->source == source_table) {
        struct mni_version *version = (struct mni_version *)(uintptr_t)hit->position;
        *key_out = mni_record_key(mni_version_bytes(version));
        return MN_OK;
    }
    mn_status st = mni_scan_read(job->scan, hit->source, (uint32_t)hit->position, &found, err);
    if (st != MN_OK)
        return st;
    *key_out = found.record.key;
    *pin_out = found.pin;
    return MN_OK;
}

/* By key. Within a part that is the order of its vectors. Where a key cannot be read nobody knows
 * which one goes first, and the search fails; one that passes over damage takes that record last:
 * it cannot be given either. */
static int order_of_equals(void *context, const struct mni_hit *a, const struct mni_hit *b)
{
    const struct mni_hit *hits[2] = {a, b};
    struct seeker *s = context;
    struct mn_slice keys[2] = {{0}};
    void *pins[2];
    mn_status status[2];

    if (a->source == b->source && a->source != source_table)
        return (a->position > b->position) - (a->position < b->position);
    for (int i = 0; i < 2; i++) {
        status[i] =
            key_of(s->job, hits[i], &keys[i], &pins[i], s->key_status == MN_OK ? &s->err : NULL);
        if (status[i] == MN_ERR_CORRUPT && s->job->search->skips_damaged)
            s->misses_keys = true;
        else if (s->key_status == MN_OK)
            s->key_status = status[i];
    }
    int order = (status[0] != MN_OK) - (status[1] != MN_OK);
    if (status[0] == MN_OK && status[1] == MN_OK)
        order = mni_key_compare(keys[0], keys[1]);
    mni_pin_release(pins[0]);
    mni_pin_release(pins[1]);
    return order;
}

/* Comparing ---------- */

static float least_of(const struct query_state *q)
{
    return atomic_load_explicit(&q->least, memory_order_relaxed);
}

static void add_hit(struct seeker *s, size_t q, const struct mni_hit *hit)
{
    struct query_state *state = &s->job->queries[q];
    struct mni_best *best = &s->bests[q];
    float known = least_of(state);

    if (!(hit->score >= known)) /* NaN is no result */
        return;
    mni_best_add(best, hit);
    while (best->least > known &&
           !atomic_compare_exchange_weak_explicit(&state->least, &known, best->least,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* Vectors that lie side by side, at most a block of them. */
struct vectors {
    const void *elements;
    enum mni_element_type type;
    uint32_t n;
    const float *lengths;    /* NULL: nobody needs them */
    struct mni_hit position; /* of the first */
};

static size_t bytes_of(const struct job *job, enum mni_element_type type)
{
    return (size_t)job->search->n_dims * (type == MNI_ELEMENT_F16 ? 2 : sizeof(float));
}

/* Compares one query with vectors `from` to `from + n - 1`. */
static void compare(struct seeker *s, size_t q, const struct vectors *v, uint32_t from, uint32_t n)
{
    const struct mni_kernels *k = mni_kernels();
    const struct mni_query *query = &s->job->queries[q].query;
    bool is_l2 = query->metric == MNI_METRIC_L2;
    const void *rows = (const char *)v->elements + from * bytes_of(s->job, v->type);
    const float *lengths = v->lengths != NULL ? v->lengths + from : NULL;
    struct mni_above above = mni_query_above(query, least_of(&s->job->queries[q]));
    struct mni_hit hit = v->position;
    float raw[BLOCK];

    if (v->type == MNI_ELEMENT_F16)
        (is_l2 ? k->l2_f16 : k->dot_f16)(query->vector, 1, rows, n, query->n_dims, raw);
    else
        (is_l2 ? k->l2_f32 : k->dot_f32)(query->vector, 1, rows, n, query->n_dims, raw);
    for (uint64_t left = k->above(&above, raw, lengths, n); left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);

        hit.position = v->position.position + from + i;
        hit.score = mni_query_score(query, raw[i], lengths != NULL ? lengths[i] : 0);
        add_hit(s, q, &hit);
    }
}

/* Length of the run of ones at the bottom. */
static uint32_t ones_below(uint64_t bits)
{
    return ~bits == 0 ? 64 : (uint32_t)__builtin_ctzll(~bits);
}

static uint64_t ones(uint32_t n)
{
    return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* Compares with each query those of the vectors that it wants; bit `shift` of its `wanted` is the
 * first. */
static void compare_wanted(struct seeker *s, const struct vectors *v, uint32_t shift)
{
    for (size_t q = 0; q < s->job->search->n_queries; q++) {
        uint64_t left = s->wanted[q] >> shift & ones(v->n);

        while (left != 0) {
            uint32_t from = (uint32_t)__builtin_ctzll(left);
            uint32_t n = ones_below(left >> from);

            compare(s, q, v, from, n);
            left &= ~(ones(n) << from);
        }
    }
}

static void make_lengths(struct seeker *s, const struct vectors *v, float *lengths_out)
{
    uint32_t n_dims = s->job->search->n_dims;

    for (uint32_t i = 0; i < v->n; i++) {
        const void *vector = (const char *)v->elements + i * bytes_of(s->job, v->type);

        if (v->type == MNI_ELEMENT_F16) {
            mni_f16_to_f32(vector, n_dims, s->floats);
            vector = s->floats;
        }
        lengths_out[i] = mni_vector_length(vector, n_dims);
    }
}

/* Segments ---------- */

/* Vectors of a segment, at most a block of them, from `first` of its group on. */
struct span_of_vectors {
    const struct mni_scan_window *window;
    uint32_t first;
    uint32_t n;
    uint64_t seen; /* a bit each */
};

/* Vectors `at` to `at + n - 1` of a span. Where there are no codes `lengths` is NULL. */
static mn_status look_at_run(struct seeker *s, const struct span_of_vectors *span, uint32_t at,
                             uint32_t n, const float *lengths, struct mn_error *err)
{
    const struct mni_scan_window *w = span->window;
    struct vectors v = {
        .type = w->group->element_type,
        .n = n,
        .lengths = lengths != NULL ? lengths + at : NULL,
        .position = {.source = w->source, .position = span->first + at},
    };
    float made[BLOCK];
    void *pin;
    mn_status st =
        mni_segment_vectors(w->segment, w->group, span->first + at, n, &v.elements, &pin, err);

    if (st != MN_OK)
        return st;
    if (lengths == NULL && s->job->search->metric == MNI_METRIC_COSINE) {
        make_lengths(s, &v, made);
        v.lengths = made;
    }
    compare_wanted(s, &v, at);
    mni_segment_release(w->segment, pin);
    s->stats.bytes_read += n * bytes_of(s->job, v.type);
    return MN_OK;
}

/* Compares what is wanted, in runs. */
static mn_status look_at_span(struct seeker *s, const struct span_of_vectors *span,
                              const float *lengths, struct mn_error *err)
{
    uint64_t left = 0;

    for (size_t q = 0; q < s->job->search->n_queries; q++)
        left |= s->wanted[q];
    while (left != 0) {
        uint32_t at = (uint32_t)__builtin_ctzll(left);
        uint32_t n = ones_below(left >> at);
        mn_status st = look_at_run(s, span, at, n, lengths, err);

        if (st == MN_ERR_CORRUPT && s->job->search->skips_damaged && n > 1) {
            n = 1; /* damage is smaller than a run */
            st = look_at_run(s, span, at, n, lengths, err);
        }
        if (st == MN_ERR_CORRUPT && s->job->search->skips_damaged)
            s->stats.n_damaged++;
        else if (st != MN_OK)
            return st;
        left &= ~(ones(n) << at);
    }
    return MN_OK;
}

static void want_all(struct seeker *s, uint64_t seen)
{
    for (size_t q = 0; q < s->job->search->n_queries; q++)
        s->wanted[q] = seen;
}

static size_t bytes_of_codes(const struct job *job, uint32_t n)
{
    return n * (job->row_code_bytes + 3 * sizeof(float));
}

/* Of what is read soon: a processor does not look ahead far enough by itself. Addresses behind the
 * end do no harm. */
static void prefetch(const void *from, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i += 64)
        __builtin_prefetch((const char *)from + i);
}

/* The next block: memory has nothing else to do until the kernel, which asks for what is less far
 * ahead, compares it. */
static void prefetch_codes(const struct job *job, const struct mni_segment_codes *codes)
{
    prefetch(codes->quads + codes->n_vectors * job->row_code_bytes, bytes_of_codes(job, BLOCK));
}

/* Of all, which are wanted, leaves to each query what may be among its best. Whether that was worth
 * while decides about the next blocks. */
static void want_by_codes(struct seeker *s, const struct mni_segment_codes *codes, uint64_t seen)
{
    const struct mni_kernels *k = mni_kernels();
    const struct mni_search *search = s->job->search;
    uint32_t n = codes->n_vectors;
    uint64_t n_wanted = 0;

    k->dot_i8(s->job->codes, search->n_queries, codes->quads, n, mni_quads(search->n_dims),
              s->products);
    prefetch_codes(s->job, codes);
    for (size_t q = 0; q < search->n_queries; q++) {
        const struct query_state *state = &s->job->queries[q];

        if (!state->query.has_codes) /* it wants all */
            continue;
        struct mni_reach reach = mni_query_reach(&state->query, least_of(state));
        s->wanted[q] = seen & k->reach(&reach, s->products + q * n, codes->scales, codes->rests,
                                       codes->lengths, n);
        n_wanted += (uint64_t)__builtin_popcountll(s->wanted[q]);
    }
    s->stats.n_refined += n_wanted;
    s->n_poor_blocks = n_wanted > TOO_MANY * s->job->n_by_codes ? s->n_poor_blocks + 1 : 0;
    if (s->n_poor_blocks == POOR_BLOCKS) {
        s->n_poor_blocks = 0;
        s->n_blocks_without = BLOCKS_WITHOUT;
    }
}

/* One block, from its beginning; codes that are damaged are done without. */
static mn_status look_at_block(struct seeker *s, const struct span_of_vectors *span,
                               struct mn_error *err)
{
    const struct mni_scan_window *w = span->window;
    struct mni_segment_codes codes;
    bool has_codes = w->group->has_codes && span->first % BLOCK == 0;

    s->stats.n_scanned += (uint64_t)__builtin_popcountll(span->seen);
    want_all(s, span->seen);
    if (!has_codes || (s->job->n_by_codes == 0 && s->job->search->metric != MNI_METRIC_COSINE) ||
        mni_segment_code_block(w->segment, w->group, span->first / BLOCK, &codes, NULL) != MN_OK)
        return look_at_span(s, span, NULL, err);
    if (s->n_blocks_without > 0) {
        s->n_blocks_without--;
        s->stats.n_fallback += (uint64_t)__builtin_popcountll(span->seen);
    } else if (s->job->n_by_codes > 0) {
        want_by_codes(s, &codes, span->seen);
        s->stats.bytes_read += bytes_of_codes(s->job, codes.n_vectors);
    } else { /* lengths of the next block: they lie by themselves, far from each other */
        prefetch((const char *)codes.lengths + bytes_of_codes(s->job, BLOCK),
                 BLOCK * sizeof *codes.lengths);
    }
    mn_status st = look_at_span(s, span, codes.lengths, err);
    mni_segment_release(w->segment, codes.pin);
    return st;
}

/* No vector of another size is ever compared, whatever files say. */
static mn_status check_size(const struct job *job, uint32_t n_dims, struct mn_error *err)
{
    if (n_dims == job->search->n_dims)
        return MN_OK;
    return mni_fail(err, MN_ERR_CORRUPT,
                    "a vector has %" PRIu32 " dimensions, its namespace has %" PRIu32, n_dims,
                    job->search->n_dims);
}

/* Bits [from, from + n) of a bitmap, n <= 64. */
static uint64_t bits_at(const uint64_t *bits, uint32_t from, uint32_t n)
{
    uint64_t word = bits[from / 64] >> (from % 64);

    if (from % 64 != 0 && from % 64 + n > 64)
        word |= bits[from / 64 + 1] << (64 - from % 64);
    return word & (UINT64_MAX >> (64 - n));
}

static mn_status look_at_segment(struct seeker *s, const struct mni_scan_window *w,
                                 struct mn_error *err)
{
    mn_status st = check_size(s->job, w->group->n_dims, err);

    for (uint32_t at = 0; at < w->n && st == MN_OK;) {
        uint32_t to_border = BLOCK - (w->first + at) % BLOCK;
        uint32_t n = w->n - at < to_border ? w->n - at : to_border;
        struct span_of_vectors span = {
            .window = w, .first = w->first + at, .n = n, .seen = bits_at(w->seen, at, n)};

        if (span.seen != 0)
            st = look_at_block(s, &span, err);
        at += n;
    }
    return st;
}

/* Tables ---------- */

static mn_status look_at_versions(struct seeker *s, const struct mni_scan_window *w,
                                  struct mn_error *err)
{
    for (uint32_t i = 0; i < w->n; i++) {
        struct mni_version *version = w->versions[i];
        struct mni_record r;
        float length = 0;

        mni_record_view(mni_version_bytes(version), &r);
        if (r.n_dims == 0)
            continue;
        mn_status st = check_size(s->job, r.n_dims, err);
        if (st != MN_OK)
            return st;
        struct vectors v = {
            .elements = r.vector,
            .type = r.element_type,
            .n = 1,
            .lengths = &length,
            .position = {.source = source_table, .position = (uint64_t)(uintptr_t)version},
        };
        if (s->job->search->metric == MNI_METRIC_COSINE)
            make_lengths(s, &v, &length);
        want_all(s, 1);
        compare_wanted(s, &v, 0);
        s->stats.n_scanned++;
        s->stats.bytes_read += bytes_of(s->job, v.type);
    }
    return MN_OK;
}

/* Seekers ---------- */

mn_status engine_search_ask(struct mni_engine *engine, const struct mni_search *search,
                            struct mn_error *err)
{
    if (search->is_cancelled != NULL && search->is_cancelled(search->cancel_context))
        return mni_fail(err, MN_ERR_CANCELLED, "the search was cancelled");
    if (search->deadline_us != 0 && mni_env_mono_us(engine->env) >= search->deadline_us)
        return mni_fail(err, MN_ERR_TIMEOUT, "the search did not end before its deadline");
    return MN_OK;
}

static mn_status check_on(struct job *job, struct mn_error *err)
{
    if (atomic_load_explicit(&job->is_over, memory_order_relaxed))
        return MN_END;
    return engine_search_ask(mni_scan_view(job->scan)->engine, job->search, err);
}

static mn_status seek(struct seeker *s, struct mn_error *err)
{
    struct mni_scan_window window;
    mn_status st;

    while ((st = check_on(s->job, err)) == MN_OK) {
        st = mni_scan_next_window(s->reader, &window, err);
        if (st == MN_ERR_CORRUPT && s->job->search->skips_damaged) {
            s->stats.n_damaged++;
            continue;
        }
        if (st != MN_OK)
            return st == MN_END ? MN_OK : st;
        if (window.n_damaged > 0 && !s->job->search->skips_damaged) {
            if (err != NULL)
                *err = window.damage;
            return MN_ERR_CORRUPT;
        }
        s->stats.n_damaged += window.n_damaged;
        st = window.segment != NULL ? look_at_segment(s, &window, err)
                                    : look_at_versions(s, &window, err);
        if (st == MN_OK)
            st = s->key_status;
        if (st != MN_OK)
            return st;
    }
    return st == MN_END ? MN_OK : st;
}

static void run_seeker(void *context)
{
    struct seeker *s = context;

    s->status = seek(s, &s->err);
    if (s->status != MN_OK)
        atomic_store(&s->job->is_over, true);
}

static void seeker_free(struct seeker *s)
{
    if (s == NULL)
        return;
    for (size_t q = 0; s->bests != NULL && q < s->job->search->n_queries; q++)
        mni_best_done(&s->bests[q]);
    mni_scan_reader_free(s->reader);
    mni_free(s->bests);
    mni_free(s->wanted);
    mni_free(s->products);
    mni_free(s->floats);
    mni_free(s);
}

static mn_status add_seeker(struct job *job, struct mn_error *err)
{
    const struct mni_search *search = job->search;
    struct seeker *s = mni_alloc_zero(sizeof *s);

    if (s == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a search");
    s->job = job;
    job->seekers[job->n_seekers++] = s;
    s->floats = mni_alloc_array(search->n_dims, sizeof *s->floats);
    s->bests = mni_alloc_zero(search->n_queries * sizeof *s->bests);
    s->wanted = mni_alloc_array(search->n_queries, sizeof *s->wanted);
    s->products = mni_alloc_array(search->n_queries, BLOCK * sizeof *s->products);
    if (s->floats == NULL || s->bests == NULL || s->wanted == NULL || s->products == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a search");
    mn_status st = mni_scan_reader_new(job->scan, 0, &s->reader, err);
    for (size_t q = 0; q < search->n_queries && st == MN_OK; q++)
        st = mni_best_init(&s->bests[q], search->n_best, search->least, order_of_equals, s, err);
    return st;
}

/* Jobs ---------- */

static mn_status prepare(struct job *job, struct mn_error *err)
{
    const struct mni_search *search = job->search;
    bool may_use_codes = !search->without_codes && search->n_dims >= CODE_DIMS_MIN;

    job->queries = mni_alloc_array(search->n_queries, sizeof *job->queries);
    job->row_code_bytes = mni_row_code_bytes(search->n_dims);
    job->codes = mni_alloc_array(search->n_queries, mni_query_code_bytes(search->n_dims));
    if (job->queries == NULL || job->codes == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "queries");
    for (size_t q = 0; q < search->n_queries; q++) {
        struct query_state *state = &job->queries[q];

        mni_query_init(&state->query, search->metric, search->vectors + q * search->n_dims,
                       search->n_dims, job->codes + q * mni_query_code_bytes(search->n_dims));
        atomic_init(&state->least, search->least);
        job->n_by_codes += may_use_codes && state->query.has_codes;
    }
    return MN_OK;
}

static unsigned choose_threads(const struct job *job)
{
    const struct mni_search *search = job->search;
    uint64_t vector_bytes = (uint64_t)search->n_dims * (job->n_by_codes > 0 ? 1 : sizeof(float));
    uint64_t n = mni_scan_n_vectors(job->scan) * vector_bytes / BYTES_PER_THREAD;

    if (!mni_env_has_threads(job->env))
        return 1;
    if (search->n_threads > 0)
        n = search->n_threads;
    else if (n < THREADS_MAX)
        n *= search->n_queries; /* each takes time, though not memory's */
    return n < 1 ? 1 : n < THREADS_MAX ? (unsigned)n : (unsigned)THREADS_MAX;
}

/* The calling thread is one of them. */
static mn_status run(struct job *job, struct mn_error *err)
{
    unsigned n_wanted = choose_threads(job);
    unsigned n_started = 1;
    mn_status st = MN_OK;

    while (job->n_seekers < n_wanted && st == MN_OK)
        st = add_seeker(job, err);
    if (st != MN_OK)
        return st;
    while (n_started < job->n_seekers &&
           mni_thread_start(&job->seekers[n_started]->thread, run_seeker, job->seekers[n_started],
                            NULL) == MN_OK)
        n_started++;
    job->n_threads = n_started;
    run_seeker(job->seekers[0]);
    for (unsigned i = 1; i < n_started; i++)
        mni_thread_join(&job->seekers[i]->thread);
    for (unsigned i = 0; i < n_started; i++)
        if (job->seekers[i]->status != MN_OK) {
            if (err != NULL)
                *err = job->seekers[i]->err;
            return job->seekers[i]->status;
        }
    return MN_OK;
}

/* Takes the results of all seekers together, among those of the first. Counts them, without those
 * that are passed over. Many results, or many that are equal, take their time. */
static mn_status put_together(struct job *job, size_t *n_out, struct mn_error *err)
{
    const struct seeker *first = job->seekers[0];
    size_t n_skipped = job->search->n_skipped;
    mn_status st = MN_OK;

    *n_out = 0;
    for (size_t q = 0; q < job->search->n_queries && st == MN_OK; q++) {
        struct mni_best *best = &first->bests[q];

        for (unsigned i = 1; i < job->n_seekers; i++)
            for (size_t j = 0; j < job->seekers[i]->bests[q].n; j++)
                mni_best_add(best, &job->seekers[i]->bests[q].hits[j]);
        mni_best_sort(best);
        *n_out += best->n > n_skipped ? best->n - n_skipped : 0;
        st = first->key_status;
        if (st == MN_OK)
            st = check_on(job, err);
        else if (err != NULL)
            *err = first->err;
    }
    return st;
}

static mn_status gather(struct job *job, struct mni_search_results *results, struct mn_error *err)
{
    const struct mni_search *search = job->search;
    size_t n;
    mn_status st = put_together(job, &n, err);

    if (st != MN_OK)
        return st;
    results->hits = mni_alloc_array(n, sizeof *results->hits);
    if (results->hits == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "results of a search");
    for (size_t q = 0; q < search->n_queries; q++) {
        const struct mni_best *best = &job->seekers[0]->bests[q];

        for (size_t j = search->n_skipped; j < best->n; j++)
            results->hits[results->n++] = (struct mni_search_hit){.query = q, .hit = best->hits[j]};
    }
    MNI_CHECK(results->n == n);
    return MN_OK;
}

static void sum_up(const struct job *job, struct mni_search_stats *stats_out)
{
    *stats_out = (struct mni_search_stats){.n_threads = job->n_threads};
    for (unsigned i = 0; i < job->n_seekers; i++) {
        const struct mni_search_stats *stats = &job->seekers[i]->stats;

        stats_out->n_scanned += stats->n_scanned;
        stats_out->n_refined += stats->n_refined;
        stats_out->n_fallback += stats->n_fallback;
        stats_out->n_damaged += stats->n_damaged + job->seekers[i]->misses_keys;
        stats_out->bytes_read += stats->bytes_read;
    }
}

/* What the job and its results take, about. */
static uint64_t memory_of(const struct mni_scan *scan, const struct mni_search *search)
{
    uint64_t n_decoded = engine_scan_decodes(scan) ? BLOCK : 0; /* vectors at once */
    uint64_t per_query =
        sizeof(struct query_state) + mni_query_code_bytes(search->n_dims) +
        search->n_best * sizeof(struct mni_search_hit) +
        THREADS_MAX * (search->n_best * sizeof(struct mni_hit) + sizeof(struct mni_best) +
                       sizeof(uint64_t) + BLOCK * sizeof(int32_t));

    return search->n_queries * per_query +
           THREADS_MAX * (sizeof(struct seeker) + (1 + n_decoded) * search->n_dims * sizeof(float));
}

mn_status mni_search_run(struct mni_scan *scan, const struct mni_search *search,
                         struct mni_search_results *results_out, struct mn_error *err)
{
    struct mni_engine *engine = mni_scan_view(scan)->engine;
    struct job job = {.scan = scan, .search = search, .env = engine->env};

    MNI_CHECK(search->n_queries > 0 && search->n_best > search->n_skipped);
    MNI_CHECK(search->n_dims > 0);
    uint64_t memory_bytes = memory_of(scan, search);
    *results_out = (struct mni_search_results){0};
    if (!budget_search_try(engine, memory_bytes))
        return budget_refuse(engine, memory_bytes, err);
    results_out->counted_bytes = memory_bytes;
    mn_status st = prepare(&job, err);
    if (st == MN_OK)
        st = run(&job, err);
    if (st == MN_OK)
        st = gather(&job, results_out, err);
    if (st == MN_OK)
        sum_up(&job, &results_out->stats);
    for (unsigned i = 0; i < job.n_seekers; i++)
        seeker_free(job.seekers[i]);
    mni_free(job.queries);
    mni_free(job.codes);
    if (st != MN_OK) {
        mni_search_results_done(scan, results_out);
        return st;
    }
    /* Only the results are left. */
    uint64_t n_bytes = results_out->n * sizeof *results_out->hits;
    budget_walk_subtract(engine, results_out->counted_bytes - n_bytes);
    results_out->counted_bytes = n_bytes;
    return MN_OK;
}

mn_status mni_search_read(struct mni_scan *scan, const struct mni_search_hit *hit,
                          struct mni_found *found_out, struct mn_error *err)
{
    if (hit->hit.source != source_table)
        return mni_scan_read(scan, hit->hit.source, (uint32_t)hit->hit.position, found_out, err);
    struct mni_version *version = (struct mni_version *)(uintptr_t)hit->hit.position;
    mni_version_ref(version);
    engine_found_version(version, found_out);
    return MN_OK;
}

void mni_search_results_done(struct mni_scan *scan, struct mni_search_results *results)
{
    budget_walk_subtract(mni_scan_view(scan)->engine, results->counted_bytes);
    mni_free(results->hits);
    *results = (struct mni_search_results){0};
}
