/*
 * search.c - the nearest vectors of a view, exactly.
 *
 * Each thread has a reader of the scan and takes windows of it. The codes of a block of vectors tell
 * which of them can still be among the best; these are looked at, and raise what others have to
 * reach, in all threads. Vectors without codes are looked at one and all, and so are those of the
 * next blocks where codes leave out too few.
 *
 * Owns:    a search its seekers; a seeker its results and the versions that they lie in.
 * Threads: one per seeker. What a result has to reach is shared, and only ever rises.
 * Fails:   MN_ERR_NOMEM, MN_ERR_CANCELLED, MN_ERR_TIMEOUT, and as scans do.
 */
#include <math.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    BLOCK = MNI_SEGMENT_CODE_BLOCK_VECTORS,
    THREADS_MAX = 2,
    VECTORS_PER_THREAD = 1 << 15, /* below, starting a thread takes longer than it saves */
    FEW_LEFT_OUT = BLOCK / 4, /* so many of a block looked at: codes are not worth their while */
    BLOCKS_WITHOUT = 64,      /* then as many blocks are compared without */
    SOURCE_TABLE = -1,
};

struct query_state {
    struct mni_query query;
    _Atomic float least; /* what a result has to reach, as far as any seeker knows */
};

struct seeker;

struct job {
    struct mni_scan *scan;
    const struct mni_search *search;
    struct query_state *queries; /* owned */
    int16_t *codes;              /* owned: of all queries */
    bool has_codes;              /* all queries have */
    struct mni_env *env;
    struct seeker *seekers[THREADS_MAX];
    unsigned n_seekers;
    atomic_bool is_over; /* one of them has failed */
};

struct seeker {
    struct job *job;
    struct mni_scan_reader *reader; /* owned */
    struct mni_best *bests;         /* owned: one per query */
    struct mni_version **versions;  /* owned, and a reference each: those that a result lies in */
    size_t n_versions;
    size_t n_versions_max;
    float *floats; /* owned: of one vector, widened */
    unsigned n_blocks_without;
    struct mni_search_stats stats;
    struct mni_thread thread;
    mn_status status;
    struct mn_error err;
};

/* Order of equals ---------- */

/* The key of a hit; release the pin. */
static mn_status key_of(struct job *job, const struct mni_hit *hit, struct mn_slice *key_out,
                        void **pin_out)
{
    struct mni_found found;

    *pin_out = NULL;
    if (hit->source == (uint32_t)SOURCE_TABLE) {
        struct mni_version *version = (struct mni_version *)(uintptr_t)hit->position;
        *key_out = mni_record_key(mni_version_bytes(version));
        return MN_OK;
    }
    mn_status st = mni_scan_read(job->scan, hit->source, (uint32_t)hit->position, &found, NULL);
    if (st != MN_OK)
        return st;
    *key_out = found.record.key;
    *pin_out = found.pin;
    return MN_OK;
}

/* By key. Within a part that is the order of its vectors. A key that cannot be read goes last: its
 * record cannot be given either. */
static int order_of_equals(void *context, const struct mni_hit *a, const struct mni_hit *b)
{
    struct job *job = context;
    struct mn_slice keys[2] = {{0}};
    void *pins[2];

    if (a->source == b->source && a->source != (uint32_t)SOURCE_TABLE)
        return (a->position > b->position) - (a->position < b->position);
    mn_status first = key_of(job, a, &keys[0], &pins[0]);
    mn_status second = key_of(job, b, &keys[1], &pins[1]);
    int order = (first != MN_OK) - (second != MN_OK);
    if (first == MN_OK && second == MN_OK)
        order = mni_key_compare(keys[0], keys[1]);
    mni_pin_release(pins[0]);
    mni_pin_release(pins[1]);
    return order;
}

/* Results ---------- */

static float least_of(const struct query_state *q)
{
    return atomic_load_explicit(&q->least, memory_order_relaxed);
}

static void add_hit(struct seeker *s, size_t q, const struct mni_hit *hit)
{
    struct query_state *state = &s->job->queries[q];
    struct mni_best *best = &s->bests[q];
    float known = least_of(state);

    if (isnan(hit->score) || hit->score < known)
        return;
    mni_best_add(best, hit);
    while (best->least > known &&
           !atomic_compare_exchange_weak_explicit(&state->least, &known, best->least,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* Compares all queries with one vector. */
static void look_at(struct seeker *s, const void *vector, enum mni_element_type type, float length,
                    struct mni_hit hit)
{
    const struct mni_search *search = s->job->search;
    const struct mni_kernels *k = mni_kernels();
    bool is_l2 = search->metric == MNI_METRIC_L2;

    for (size_t q = 0; q < search->n_queries; q++) {
        const struct mni_query *query = &s->job->queries[q].query;
        float raw;

        if (type == MNI_ELEMENT_F16)
            (is_l2 ? k->l2_f16 : k->dot_f16)(query->vector, 1, vector, 1, query->n_dims, &raw);
        else
            (is_l2 ? k->l2_f32 : k->dot_f32)(query->vector, 1, vector, 1, query->n_dims, &raw);
        hit.score = mni_query_score(query, raw, length);
        add_hit(s, q, &hit);
    }
}

static float length_of(struct seeker *s, const void *vector, enum mni_element_type type)
{
    uint32_t n_dims = s->job->search->n_dims;

    if (s->job->search->metric != MNI_METRIC_COSINE)
        return 0; /* nobody asks */
    if (type == MNI_ELEMENT_F32)
        return mni_vector_length(vector, n_dims);
    mni_f16_to_f32(vector, n_dims, s->floats);
    return mni_vector_length(s->floats, n_dims);
}

/* Segments ---------- */

/* Vectors of a segment, at most a block of them, from `first` of its group on. */
struct span_of_vectors {
    const struct mni_scan_window *window;
    uint32_t first;
    uint32_t n;
    uint64_t wanted; /* a bit each */
};

/* Looks at those that are wanted, in runs. Without codes `lengths` is NULL. */
static mn_status look_at_span(struct seeker *s, const struct span_of_vectors *span,
                              const float *lengths, struct mn_error *err)
{
    const struct mni_scan_window *w = span->window;
    size_t vector_bytes =
        (size_t)w->group->n_dims * (w->group->element_type == MNI_ELEMENT_F16 ? 2 : 4);
    struct mni_hit hit = {.source = w->source};

    for (uint64_t left = span->wanted; left != 0; left &= left - 1) {
        uint32_t at = (uint32_t)__builtin_ctzll(left);
        const void *vector;
        void *pin;
        mn_status st =
            mni_segment_vectors(w->segment, w->group, span->first + at, 1, &vector, &pin, err);

        if (st == MN_ERR_CORRUPT && s->job->search->skips_damaged) {
            s->stats.n_damaged++;
            continue;
        }
        if (st != MN_OK)
            return st;
        hit.position = span->first + at;
        look_at(s, vector, w->group->element_type,
                lengths != NULL ? lengths[at] : length_of(s, vector, w->group->element_type), hit);
        mni_segment_release(w->segment, pin);
        s->stats.bytes_read += vector_bytes;
    }
    return MN_OK;
}

/* The vectors of a block that may be among the best of any query. */
static uint64_t reaching(struct seeker *s, const struct mni_segment_codes *codes, uint64_t wanted)
{
    const struct mni_kernels *k = mni_kernels();
    const struct mni_search *search = s->job->search;
    int32_t products[BLOCK];
    uint64_t some = 0;

    for (size_t q = 0; q < search->n_queries && (wanted & ~some) != 0; q++) {
        const struct query_state *state = &s->job->queries[q];
        struct mni_reach reach = mni_query_reach(&state->query, least_of(state));

        k->dot_i8(state->query.codes, 1, codes->codes, codes->n_vectors, search->n_dims, products);
        some |= k->reach(&reach, products, codes->scales, codes->rests, codes->lengths,
                         codes->n_vectors);
    }
    return some & wanted;
}

/* One block, from its beginning; codes that are damaged are done without. */
static mn_status look_at_block(struct seeker *s, struct span_of_vectors *span, struct mn_error *err)
{
    const struct mni_scan_window *w = span->window;
    struct mni_segment_codes codes;
    bool is_whole = span->first % BLOCK == 0;
    bool uses_codes = s->job->has_codes && w->group->has_codes && is_whole;

    s->stats.n_scanned += span->n;
    if (!uses_codes ||
        mni_segment_code_block(w->segment, w->group, span->first / BLOCK, &codes, NULL) != MN_OK)
        return look_at_span(s, span, NULL, err);
    if (s->n_blocks_without > 0) {
        s->n_blocks_without--;
        s->stats.n_fallback += (uint64_t)__builtin_popcountll(span->wanted);
    } else {
        span->wanted = reaching(s, &codes, span->wanted);
        s->stats.bytes_read += (uint64_t)codes.n_vectors * (w->group->n_dims + 3 * sizeof(float));
        unsigned n = (unsigned)__builtin_popcountll(span->wanted);
        s->stats.n_refined += n;
        if (n > FEW_LEFT_OUT)
            s->n_blocks_without = BLOCKS_WITHOUT;
    }
    mn_status st = look_at_span(s, span, codes.lengths, err);
    mni_segment_release(w->segment, codes.pin);
    return st;
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
    mn_status st = MN_OK;

    for (uint32_t at = 0; at < w->n && st == MN_OK;) {
        uint32_t to_border = BLOCK - (w->first + at) % BLOCK;
        uint32_t n = w->n - at < to_border ? w->n - at : to_border;
        struct span_of_vectors span = {
            .window = w, .first = w->first + at, .n = n, .wanted = bits_at(w->seen, at, n)};

        if (span.wanted != 0)
            st = look_at_block(s, &span, err);
        at += n;
    }
    return st;
}

/* Tables ---------- */

static mn_status hold(struct seeker *s, struct mni_version *version, struct mn_error *err)
{
    if (s->n_versions == s->n_versions_max) {
        size_t n_max = s->n_versions_max == 0 ? 64 : s->n_versions_max * 2;
        struct mni_version **grown = mni_realloc(s->versions, n_max * sizeof *grown);

        if (grown == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "results of a search");
        s->versions = grown;
        s->n_versions_max = n_max;
    }
    mni_version_ref(version);
    s->versions[s->n_versions++] = version;
    return MN_OK;
}

static mn_status look_at_versions(struct seeker *s, const struct mni_scan_window *w,
                                  struct mn_error *err)
{
    for (uint32_t i = 0; i < w->n; i++) {
        struct mni_version *version = w->versions[i];
        struct mni_record r;

        mni_record_view(mni_version_bytes(version), &r);
        if (r.n_dims == 0)
            continue;
        s->stats.n_scanned++;
        s->stats.bytes_read += (uint64_t)r.n_dims * (r.element_type == MNI_ELEMENT_F16 ? 2 : 4);
        mn_status st = hold(s, version, err);
        if (st != MN_OK)
            return st;
        look_at(s, r.vector, r.element_type, length_of(s, r.vector, r.element_type),
                (struct mni_hit){.source = (uint32_t)SOURCE_TABLE,
                                 .position = (uint64_t)(uintptr_t)version});
    }
    return MN_OK;
}

/* Seekers ---------- */

static mn_status check_on(struct job *job, struct mn_error *err)
{
    const struct mni_search *search = job->search;

    if (atomic_load_explicit(&job->is_over, memory_order_relaxed))
        return MN_END;
    if (search->is_cancelled != NULL && search->is_cancelled(search->cancel_context))
        return mni_fail(err, MN_ERR_CANCELLED, "the search was cancelled");
    if (search->deadline_us != 0 && mni_env_mono_us(job->env) >= search->deadline_us)
        return mni_fail(err, MN_ERR_TIMEOUT, "the search did not end before its deadline");
    return MN_OK;
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
    for (size_t i = 0; i < s->n_versions; i++)
        mni_version_unref(s->versions[i]);
    mni_scan_reader_free(s->reader);
    mni_free(s->bests);
    mni_free(s->versions);
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
    if (s->floats == NULL || s->bests == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a search");
    mn_status st = mni_scan_reader_new(job->scan, 0, &s->reader, err);
    for (size_t q = 0; q < search->n_queries && st == MN_OK; q++)
        st = mni_best_init(&s->bests[q], search->n_best, search->least, order_of_equals, job, err);
    return st;
}

/* Jobs ---------- */

static mn_status prepare(struct job *job, struct mn_error *err)
{
    const struct mni_search *search = job->search;
    size_t n_elements = search->n_queries * search->n_dims;

    job->queries = mni_alloc_array(search->n_queries, sizeof *job->queries);
    job->codes = mni_alloc_array(n_elements, sizeof *job->codes);
    if (job->queries == NULL || job->codes == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "queries");
    job->has_codes = !search->without_codes;
    for (size_t q = 0; q < search->n_queries; q++) {
        struct query_state *state = &job->queries[q];

        mni_query_init(&state->query, search->metric, search->vectors + q * search->n_dims,
                       search->n_dims, job->codes + q * search->n_dims);
        atomic_init(&state->least, search->least);
        job->has_codes = job->has_codes && state->query.has_codes;
    }
    return MN_OK;
}

static unsigned choose_threads(const struct job *job)
{
    uint64_t n = mni_scan_n_vectors(job->scan) / VECTORS_PER_THREAD;
    unsigned n_max = job->search->n_threads == 0 ? (unsigned)THREADS_MAX : job->search->n_threads;

    if (n_max > THREADS_MAX)
        n_max = THREADS_MAX;
    if (!mni_env_has_threads(job->env) || n < 2)
        return 1;
    return n < n_max ? (unsigned)n : n_max;
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

static mn_status read_hit(struct job *job, const struct mni_hit *hit,
                          struct mni_search_hit *hit_out, struct mn_error *err)
{
    hit_out->score = hit->score;
    if (hit->source != (uint32_t)SOURCE_TABLE)
        return mni_scan_read(job->scan, hit->source, (uint32_t)hit->position, &hit_out->found, err);
    struct mni_version *version = (struct mni_version *)(uintptr_t)hit->position;
    mni_version_ref(version);
    engine_found_version(version, &hit_out->found);
    return MN_OK;
}

/* Takes the results of all seekers together. */
static mn_status gather(struct job *job, struct mni_search_hit *hits_out, size_t *n_out,
                        struct mn_error *err)
{
    const struct mni_search *search = job->search;

    for (size_t q = 0; q < search->n_queries; q++) {
        struct mni_best *best = &job->seekers[0]->bests[q];
        struct mni_search_hit *hits = hits_out + q * search->n_best;

        n_out[q] = 0;
        for (unsigned i = 1; i < job->n_seekers; i++)
            for (size_t j = 0; j < job->seekers[i]->bests[q].n; j++)
                mni_best_add(best, &job->seekers[i]->bests[q].hits[j]);
        mni_best_sort(best);
        for (size_t j = 0; j < best->n; j++) {
            mn_status st = read_hit(job, &best->hits[j], &hits[n_out[q]], err);

            if (st == MN_ERR_CORRUPT && search->skips_damaged)
                job->seekers[0]->stats.n_damaged++;
            else if (st != MN_OK)
                return st;
            else
                n_out[q]++;
        }
    }
    return MN_OK;
}

static void sum_up(const struct job *job, struct mni_search_stats *stats_out)
{
    *stats_out = (struct mni_search_stats){.n_threads = job->n_seekers};
    for (unsigned i = 0; i < job->n_seekers; i++) {
        const struct mni_search_stats *stats = &job->seekers[i]->stats;

        stats_out->n_scanned += stats->n_scanned;
        stats_out->n_refined += stats->n_refined;
        stats_out->n_fallback += stats->n_fallback;
        stats_out->n_damaged += stats->n_damaged;
        stats_out->bytes_read += stats->bytes_read;
    }
}

mn_status mni_search_run(struct mni_scan *scan, const struct mni_search *search,
                         struct mni_search_hit *hits_out, size_t *n_out,
                         struct mni_search_stats *stats_out, struct mn_error *err)
{
    struct job job = {.scan = scan, .search = search, .env = mni_scan_view(scan)->engine->env};

    MNI_CHECK(search->n_best > 0 && search->n_queries > 0 && search->n_dims > 0);
    for (size_t q = 0; q < search->n_queries; q++)
        n_out[q] = 0;
    mn_status st = prepare(&job, err);
    if (st == MN_OK)
        st = run(&job, err);
    if (st == MN_OK)
        st = gather(&job, hits_out, n_out, err);
    if (st != MN_OK) {
        for (size_t q = 0; q < search->n_queries; q++) {
            while (n_out[q] > 0)
                mni_pin_release(hits_out[q * search->n_best + --n_out[q]].found.pin);
        }
    } else {
        sum_up(&job, stats_out);
    }
    for (unsigned i = 0; i < job.n_seekers; i++)
        seeker_free(job.seekers[i]);
    mni_free(job.queries);
    mni_free(job.codes);
    return st;
}
