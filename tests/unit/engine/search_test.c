/*
 * search_test.c - the nearest vectors, compared with a walk over all records: the same ids, the
 * same scores bit by bit, in the same order, whatever lies where.
 */
#include <math.h>
#include <stdlib.h>

#include "../api/short.h"
#include "api/store_private.h"
#include "engine/engine.h"
#include "io/crash.h"

enum { N_IDS = 600, N_RECORDS_MAX = 6000, N_DIMS_MAX = 4096, N_BEST_MAX = 20, N_QUERIES_MAX = 9 };

static struct mn_error err;
static struct mni_crash_env *crash;
static mn_store *store;
static uint32_t n_dims;
static uint64_t seed;

static float random_float(void)
{
    return (float)(int64_t)(check_random(&seed) >> 11) * 0x1p-52F - 1;
}

/* Around few centres, so that codes have to tell near ones apart; now and then something odd. */
static void random_vector(float *vector)
{
    float centre = (float)check_below(&seed, 3);
    unsigned kind = (unsigned)check_below(&seed, 40);

    for (uint32_t i = 0; i < n_dims; i++) {
        vector[i] = sinf(centre * (float)(i + 1)) + 0.1F * random_float();
        if (kind == 0)
            vector[i] = 0;
        else if (kind == 1)
            vector[i] *= 1e30F;
        else if (kind == 2)
            vector[i] *= 1e-30F;
        else if (kind == 3)
            vector[i] = 1; /* equal ones */
    }
    if (kind == 4)
        vector[check_below(&seed, n_dims)] = NAN;
    if (kind == 5)
        vector[check_below(&seed, n_dims)] = INFINITY;
}

static void put_one(void)
{
    float vector[N_DIMS_MAX];
    char id[16];
    struct mn_record r = {.vector = vector, .n_dims = n_dims};

    (void)snprintf(id, sizeof id, "%03d", (int)check_below(&seed, N_IDS));
    r.id = mn_str(id);
    random_vector(vector);
    if (check_below(&seed, 10) == 0)
        r.n_dims = 0;
    if (r.n_dims == 0)
        r.vector = NULL;
    if (check_below(&seed, 20) == 0) {
        r.fields = MN_HAS_TTL;
        r.ttl_us = (int64_t)check_below(&seed, 2000) * 1000;
    }
    CHECK_OK_ERR(mn_put(store, mn_str("n"), &r, NULL, NULL, &err), &err);
}

static void change_something(void)
{
    char id[16];

    switch (check_below(&seed, 60)) {
    case 0:
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        break;
    case 1:
    case 2:
    case 3:
        (void)snprintf(id, sizeof id, "%03d", (int)check_below(&seed, N_IDS));
        CHECK_OK(mn_delete(store, mn_str("n"), mn_str(id), NULL, NULL, NULL, NULL));
        break;
    case 4:
        CHECK_OK(mn_sweep(store, NULL, NULL));
        break;
    case 5:
    case 6: {
        (void)snprintf(id, sizeof id, "%03d", (int)check_below(&seed, N_IDS));
        mn_status st = mn_touch(store, mn_str("n"), mn_str(id), MN_HAS_TTL,
                                (int64_t)check_below(&seed, 2000) * 1000, NULL, NULL, &err);
        CHECK(st == MN_OK || st == MN_NOT_FOUND);
        break;
    }
    default:
        put_one();
        break;
    }
}

/* What there is, by a walk ---------- */

struct expected {
    char id[8];
    float score;
};

static int by_rank(const void *one, const void *other)
{
    const struct expected *a = one;
    const struct expected *b = other;

    return a->score != b->score ? (a->score < b->score) - (a->score > b->score)
                                : strcmp(a->id, b->id);
}

static float score_of(enum mni_metric metric, const float *q, const float *x)
{
    const struct mni_kernels *k = mni_kernels();
    float raw;
    float lengths[2];

    (metric == MNI_METRIC_L2 ? k->l2_f32 : k->dot_f32)(q, 1, x, 1, n_dims, &raw);
    if (metric != MNI_METRIC_COSINE)
        return metric == MNI_METRIC_L2 ? -raw : raw;
    k->dot_f32(q, 1, q, 1, n_dims, &lengths[0]);
    k->dot_f32(x, 1, x, 1, n_dims, &lengths[1]);
    if (lengths[0] == 0 || lengths[1] == 0)
        return 0;
    return (float)((double)raw / ((double)sqrtf(lengths[0]) * (double)sqrtf(lengths[1])));
}

static size_t walk_all(const struct mni_search *search, size_t query, struct expected *all)
{
    const float *q = search->vectors + query * n_dims;
    struct mn_view view;
    mn_iter *iter = NULL;
    size_t n = 0;
    mn_status st;

    CHECK_OK_ERR(mn_iter_open(store, mn_str("n"), NULL, &iter, &err), &err);
    while ((st = mn_iter_next(iter, &view, &err)) == MN_OK) {
        if (view.n_dims > 0) {
            all[n].score = score_of(search->metric, q, view.vector);
            (void)snprintf(all[n].id, sizeof all[n].id, "%.*s", (int)view.id.n_bytes,
                           (const char *)view.id.data);
            n += !isnan(all[n].score) && all[n].score >= search->least;
        }
        mn_view_release(&view);
    }
    CHECK_STATUS(st, MN_END);
    mn_iter_close(iter);
    qsort(all, n, sizeof *all, by_rank);
    return n;
}

/* Searching ---------- */

static struct mni_scan *scan_of_all(void)
{
    struct mni_collection c;
    struct mni_scan *scan = NULL;

    CHECK_OK_ERR(mni_scan_open(store->engine, &scan, &err), &err);
    CHECK_OK_ERR(
        mni_view_collection(mni_scan_view(scan), MNI_KIND_NAMESPACE, mn_str("n"), &c, &err), &err);
    CHECK_OK_ERR(mni_scan_start(scan, c.number, NULL, &err), &err);
    return scan;
}

static void check_hit(struct mni_scan *scan, const struct mni_search_hit *hit,
                      const struct expected *expected)
{
    struct mni_found found;

    CHECK(hit->hit.score == expected->score);
    CHECK_OK_ERR(mni_search_read(scan, hit, &found, &err), &err);
    CHECK_EQ(found.record.key.n_bytes, strlen(expected->id));
    CHECK_MEM_EQ(found.record.key.data, expected->id, strlen(expected->id));
    mni_pin_release(found.pin);
}

static void check_search(const struct mni_search *search, struct mni_search_stats *stats)
{
    static struct expected all[N_RECORDS_MAX];
    struct mni_search_results results;
    struct mni_scan *scan = scan_of_all();
    size_t at = 0;

    CHECK_OK_ERR(mni_search_run(scan, search, &results, &err), &err);
    for (size_t q = 0; q < search->n_queries; q++) {
        size_t n_all = walk_all(search, q, all);

        for (size_t i = search->n_skipped; i < n_all && i < search->n_best; i++, at++) {
            CHECK(at < results.n);
            CHECK_EQ(results.hits[at].query, q);
            check_hit(scan, &results.hits[at], &all[i]);
        }
    }
    CHECK_EQ(results.n, at);
    *stats = results.stats;
    mni_search_results_done(scan, &results);
    mni_scan_close(scan);
}

static void begin(uint32_t dims)
{
    struct mn_options o = {.size = sizeof o, .create = true, .no_background = true};

    n_dims = dims;
    CHECK_OK(mni_crash_env_new(1, &crash));
    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(crash), "/s", &o, &store, &err), &err);
    CHECK_OK_ERR(mn_namespace_create(store, mn_str("n"), NULL, &err), &err);
}

static void end(void)
{
    closed(store);
    mni_crash_env_free(crash);
}

static struct mni_search random_search(const float *vectors)
{
    struct mni_search search = {
        .metric = (enum mni_metric)(1 + check_below(&seed, 3)),
        .vectors = vectors,
        .n_queries = 1 + check_below(&seed, N_QUERIES_MAX),
        .n_dims = n_dims,
        .n_best = 1 + check_below(&seed, N_BEST_MAX),
        .least = check_below(&seed, 3) == 0 ? random_float() : -INFINITY,
        .without_codes = check_below(&seed, 4) == 0,
    };

    search.n_skipped = check_below(&seed, 3) == 0 ? check_below(&seed, search.n_best) : 0;
    return search;
}

/* Changes the store and searches it, time after time. Adds what was told of searches by codes. */
static void live_and_search(int n_rounds, struct mni_search_stats *sums)
{
    static float vectors[N_QUERIES_MAX * N_DIMS_MAX];
    struct mni_search_stats stats;

    for (int round = 0; round < n_rounds; round++) {
        for (int i = 0; i < 30; i++)
            change_something();
        for (size_t q = 0; q < N_QUERIES_MAX; q++)
            random_vector(vectors + q * n_dims);
        struct mni_search search = random_search(vectors);
        check_search(&search, &stats);
        if (search.n_queries == 1 && !search.without_codes) {
            sums->n_refined += stats.n_refined;
            sums->n_scanned += stats.n_scanned;
        }
    }
}

static void results_are_those_of_a_walk(void)
{
    static const struct {
        uint32_t least_dims;
        uint32_t most_dims;
        int n_rounds;
    } stores[] = {{1, 16, 120},  {1, 70, 120},   {1, 70, 120},          {1, 70, 120},
                  {16, 40, 120}, {400, 800, 12}, {4000, N_DIMS_MAX, 12}};
    struct mni_search_stats sums = {0};

    seed = check_seed();
    for (size_t i = 0; i < CHECK_COUNT(stores); i++) {
        uint32_t n = stores[i].most_dims - stores[i].least_dims + 1;
        begin(stores[i].least_dims + (uint32_t)check_below(&seed, n));
        live_and_search(stores[i].n_rounds, &sums);
        end();
    }
    CHECK(sums.n_refined > 0 && sums.n_refined < sums.n_scanned);
}

/* Where all are asked for, codes rule nothing out. */
static void useless_codes_are_done_without_and_tried_again(void)
{
    enum { N_RECORDS = N_RECORDS_MAX, DIMS = 16 }; /* 94 blocks */
    float vector[DIMS];
    struct mn_record r = {.vector = vector, .n_dims = DIMS};
    struct mni_search_stats stats;
    char id[16];

    seed = check_seed();
    begin(DIMS);
    for (int i = 0; i < N_RECORDS; i++) {
        (void)snprintf(id, sizeof id, "%04d", i);
        r.id = mn_str(id);
        for (int d = 0; d < DIMS; d++)
            vector[d] = random_float();
        CHECK_OK_ERR(mn_put(store, mn_str("n"), &r, NULL, NULL, &err), &err);
    }
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    struct mni_search search = {.metric = MNI_METRIC_DOT,
                                .vectors = vector,
                                .n_queries = 1,
                                .n_dims = DIMS,
                                .n_best = N_RECORDS,
                                .least = -INFINITY};
    check_search(&search, &stats);
    CHECK_EQ(stats.n_refined + stats.n_fallback, N_RECORDS);
    CHECK(stats.n_fallback > N_RECORDS / 2);
    CHECK(stats.n_refined > 64 * 8); /* again later on */
    search.n_best = 1;
    check_search(&search, &stats);
    CHECK(stats.n_fallback == 0 && stats.n_refined < N_RECORDS / 4);
    search.without_codes = true;
    check_search(&search, &stats);
    CHECK(stats.n_fallback == 0 && stats.n_refined == 0);
    /* Queries without a code leave those of others what they are good for. */
    float vectors[3 * DIMS] = {0};
    for (int d = 0; d < DIMS; d++) {
        vectors[DIMS + d] = vector[d];
        vectors[2 * DIMS + d] = 1e30F * random_float();
    }
    search.vectors = vectors;
    search.n_queries = 3;
    search.without_codes = false;
    check_search(&search, &stats);
    CHECK(stats.n_fallback == 0 && stats.n_refined > 0 && stats.n_refined < N_RECORDS / 4);
    end();
}

static void put_halves(const char *id, const uint16_t *halves)
{
    const struct mni_record r = {.type = MNI_RECORD_UPSERT,
                                 .element_type = MNI_ELEMENT_F16,
                                 .key = mn_str(id),
                                 .vector = halves,
                                 .n_dims = n_dims};
    struct mni_batch *batch = NULL;
    size_t index;

    CHECK_OK(mni_batch_new(store->engine, NULL, &batch));
    CHECK_OK_ERR(mni_batch_collection(batch, MNI_KIND_NAMESPACE, mn_str("n"), false, &index, &err),
                 &err);
    CHECK_OK_ERR(mni_batch_add(batch, index, &r, MNI_ALWAYS, 0, NULL, &err), &err);
    CHECK_OK_ERR(mni_batch_commit(batch, MN_ACK_DEFAULT, NULL, &err), &err);
    mni_batch_free(batch);
}

/* Those of any element type, as floats. */
static size_t list_floats(const struct mni_search *search, const float *vectors, size_t n_vectors,
                          struct expected *all)
{
    size_t n = 0;

    for (size_t i = 0; i < n_vectors; i++) {
        all[n].score = score_of(search->metric, search->vectors, vectors + i * n_dims);
        (void)snprintf(all[n].id, sizeof all[n].id, "%03d", (int)i);
        n += !isnan(all[n].score);
    }
    qsort(all, n, sizeof *all, by_rank);
    return n;
}

static void halves_are_compared_as_the_floats_they_stand_for(void)
{
    enum { DIMS = 37, N_HALVES = 300 };
    static float floats[N_HALVES * DIMS];
    static struct expected all[N_HALVES];
    uint16_t halves[DIMS];
    struct mni_search_results results;
    char id[16];

    seed = check_seed();
    begin(DIMS);
    for (int i = 0; i < N_HALVES; i++) {
        for (int d = 0; d < DIMS; d++)
            halves[d] =
                (uint16_t)(0x3000 | check_below(&seed, 0x0FFF) | check_below(&seed, 2) << 15);
        if (i % 50 == 0)
            halves[i % DIMS] = (uint16_t)check_random(&seed); /* NaN, infinite, subnormal */
        mni_f16_to_f32(halves, DIMS, floats + i * DIMS);
        (void)snprintf(id, sizeof id, "%03d", i);
        put_halves(id, halves);
        if (i == N_HALVES * 2 / 3)
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    for (unsigned i = 0; i < 24; i++) {
        const struct mni_search search = {.metric = (enum mni_metric)(1 + i % 3),
                                          .vectors = floats + (1 + i) * DIMS,
                                          .n_queries = 1,
                                          .n_dims = DIMS,
                                          .n_best = i % 2 == 0 ? 5 : N_HALVES,
                                          .least = -INFINITY,
                                          .without_codes = i % 4 == 3};
        struct mni_scan *scan = scan_of_all();
        size_t n_all = list_floats(&search, floats, N_HALVES, all);

        CHECK_OK_ERR(mni_search_run(scan, &search, &results, &err), &err);
        CHECK_EQ(results.n, n_all < search.n_best ? n_all : search.n_best);
        for (size_t k = 0; k < results.n; k++)
            check_hit(scan, &results.hits[k], &all[k]);
        mni_search_results_done(scan, &results);
        mni_scan_close(scan);
    }
    end();
}

static void a_search_past_its_deadline_ends(void)
{
    float vector[N_DIMS_MAX] = {1};
    struct mni_search_results results;

    begin(8);
    for (int i = 0; i < 100; i++)
        put_one();
    struct mni_search search = {.metric = MNI_METRIC_DOT,
                                .vectors = vector,
                                .n_queries = 1,
                                .n_dims = 8,
                                .n_best = 1,
                                .least = -INFINITY,
                                .deadline_us = INT64_MIN};
    struct mni_scan *scan = scan_of_all();
    CHECK_STATUS(mni_search_run(scan, &search, &results, &err), MN_ERR_TIMEOUT);
    CHECK_EQ(results.n, 0);
    mni_scan_close(scan);
    end();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(results_are_those_of_a_walk),
        CHECK_TEST(useless_codes_are_done_without_and_tried_again),
        CHECK_TEST(halves_are_compared_as_the_floats_they_stand_for),
        CHECK_TEST(a_search_past_its_deadline_ends),
    };

    return check_run("engine.search", tests, CHECK_COUNT(tests), argc, argv);
}
