/*
 * query_test.c - what codes rule out has a score below what was asked for, always; and scores.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "search/search.h"

enum { N_DIMS_MAX = 300, N_ROWS = 64 };

static float random_float(uint64_t *seed)
{
    return (float)(int64_t)(check_random(seed) >> 11) * 0x1p-52F - 1;
}

/* Kinds of rows: like the query, small, large, sparse, tiny, far too large. */
static void random_row(uint64_t *seed, const float *query, size_t n, float *row)
{
    float factor = (float)pow(2, (double)check_below(seed, 60) - 30);
    unsigned kind = (unsigned)check_below(seed, 8);

    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case 0:
            row[i] = query[i] + 0.01F * random_float(seed);
            break;
        case 1:
            row[i] = -query[i] * factor;
            break;
        case 2:
            row[i] = query[i] * factor;
            break;
        case 3:
            row[i] = check_below(seed, 20) == 0 ? random_float(seed) : 0;
            break;
        case 4:
            row[i] = random_float(seed) * 1e-30F;
            break;
        case 5:
            row[i] = random_float(seed) * 3e38F;
            break;
        default:
            row[i] = random_float(seed) * factor;
            break;
        }
    }
    if (kind == 6 && check_below(seed, 4) == 0)
        row[check_below(seed, n)] = check_below(seed, 2) == 0 ? NAN : INFINITY;
    if (kind == 7 && check_below(seed, 4) == 0)
        memset(row, 0, n * sizeof *row);
}

static float score_of(const struct mni_query *query, const float *row, float length)
{
    const struct mni_kernels *k = mni_kernels();
    float raw;

    (query->metric == MNI_METRIC_L2 ? k->l2_f32 : k->dot_f32)(query->vector, 1, row, 1,
                                                              query->n_dims, &raw);
    return mni_query_score(query, raw, length);
}

struct world {
    float query[N_DIMS_MAX];
    float rows[N_ROWS * N_DIMS_MAX];
    int8_t query_codes[N_DIMS_MAX + 2 * MNI_QUAD];
    int8_t quads[N_ROWS * (N_DIMS_MAX + MNI_QUAD)];
    float scales[N_ROWS];
    float rests[N_ROWS];
    float lengths[N_ROWS];
    float scores[N_ROWS];
    int32_t products[N_ROWS];
};

static void make_rows(struct world *w, const struct mni_query *q, uint64_t *seed)
{
    size_t n = q->n_dims;

    for (size_t i = 0; i < N_ROWS; i++) {
        int8_t codes[N_DIMS_MAX + MNI_QUAD];
        struct mni_code_scale scale;

        random_row(seed, w->query, n, w->rows + i * n);
        mni_quantise_row(w->rows + i * n, n, codes, &scale);
        for (size_t c = 0; c < mni_quads(n); c++)
            memcpy(w->quads + (c * N_ROWS + i) * MNI_QUAD, codes + c * MNI_QUAD, MNI_QUAD);
        w->scales[i] = scale.scale;
        w->rests[i] = scale.rest;
        w->lengths[i] = mni_vector_length(w->rows + i * n, (uint32_t)n);
        w->scores[i] = score_of(q, w->rows + i * n, w->lengths[i]);
    }
}

static void check_reach(const struct world *w, const struct mni_query *q, float least,
                        size_t *n_out)
{
    const char *sets[] = {"scalar", "avx2", "avx512", "neon"};
    struct mni_reach reach = mni_query_reach(q, least);

    for (size_t s = 0; s < CHECK_COUNT(sets); s++) {
        const struct mni_kernels *k = mni_kernels_by_name(sets[s]);
        if (k == NULL)
            continue;
        uint64_t reaching = k->reach(&reach, w->products, w->scales, w->rests, w->lengths, N_ROWS);
        for (size_t i = 0; i < N_ROWS; i++) {
            CHECK((reaching >> i & 1) != 0 || !(w->scores[i] >= least));
            *n_out += (reaching >> i & 1) == 0;
        }
    }
}

/* With each row's own score as what is asked for, the next one above it, and some that are odd. */
static void check_bounds(struct world *w, const struct mni_query *q, size_t *n_out)
{
    static const float odd[] = {-INFINITY, -3e38F, -2, -1, -0.0F, 1e-45F, 1, 2, 3e38F, INFINITY};

    mni_kernels()->dot_i8(w->query_codes, 1, w->quads, N_ROWS, mni_quads(q->n_dims), w->products);
    for (size_t at = 0; at < N_ROWS; at++) {
        if (isnan(w->scores[at]))
            continue;
        check_reach(w, q, w->scores[at], n_out);
        check_reach(w, q, nextafterf(w->scores[at], INFINITY), n_out);
    }
    for (size_t i = 0; i < CHECK_COUNT(odd); i++)
        check_reach(w, q, odd[i], n_out);
}

static void what_is_left_out_is_below(void)
{
    static struct world w;
    uint64_t seed = check_seed();
    size_t n_out = 0;

    for (size_t round = 0; round < 240; round++) {
        uint32_t n = (uint32_t)(1 + check_below(&seed, N_DIMS_MAX));
        enum mni_metric metric = (enum mni_metric)(1 + round % 3);
        float factor = round % 2 == 0 ? 1 : ldexpf(1, (int)check_below(&seed, 98) - 48);
        struct mni_query q;

        for (uint32_t i = 0; i < n; i++)
            w.query[i] = factor * random_float(&seed);
        w.query[0] = factor; /* so that it is neither too short nor too long for codes */
        mni_query_init(&q, metric, w.query, n, w.query_codes);
        CHECK(q.has_codes);
        make_rows(&w, &q, &seed);
        check_bounds(&w, &q, &n_out);
    }
    CHECK(n_out > 240 * 64 * 64 / 4); /* and they do leave out */
}

/* A vector of equal elements has a code without a rest, and the roundings of its sums all go one
 * way: what keeps it from being ruled out is only the share of the bound that stands for them. */
static void roundings_of_long_sums_rule_nothing_out(void)
{
    enum { N_DIMS = 65536 };
    static float query[N_DIMS];
    static float row[N_DIMS];
    static int8_t query_codes[N_DIMS + MNI_QUAD];
    static int8_t codes[N_DIMS];
    uint64_t seed = check_seed();

    for (size_t round = 0; round < 300; round++) {
        float elements[2] = {1 + random_float(&seed) / 4, 1 + random_float(&seed) / 4};
        struct mni_code_scale scale;
        struct mni_query q;
        int32_t product;

        for (size_t i = 0; i < N_DIMS; i++) {
            query[i] = elements[0];
            row[i] = elements[round % 4 != 0];
        }
        mni_query_init(&q, (enum mni_metric)(1 + round % 3), query, N_DIMS, query_codes);
        mni_quantise_row(row, N_DIMS, codes, &scale);
        mni_kernels()->dot_i8(query_codes, 1, codes, 1, mni_quads(N_DIMS), &product);
        float length = mni_vector_length(row, N_DIMS);
        struct mni_reach reach = mni_query_reach(&q, score_of(&q, row, length));
        CHECK(mni_kernels()->reach(&reach, &product, &scale.scale, &scale.rest, &length, 1) == 1);
    }
}

/* Of any magnitude, and now and then no number. */
static void random_magnitude(uint64_t *seed, float *vector, uint32_t n)
{
    static const float magnitudes[] = {0, 1e-44F, 1e-38F, 1e-30F, 1e-22F, 1e-19F, 1, 1e18F, 1e30F};
    float magnitude = magnitudes[check_below(seed, CHECK_COUNT(magnitudes))];

    for (uint32_t i = 0; i < n; i++)
        vector[i] = magnitude * random_float(seed);
    if (check_below(seed, 20) == 0)
        vector[check_below(seed, n)] = check_below(seed, 2) == 0 ? NAN : -INFINITY;
}

static void check_above(const struct mni_query *q, float least, const float *raw,
                        const float *lengths, size_t *n_out)
{
    const char *sets[] = {"scalar", "avx2", "avx512", "neon"};
    struct mni_above above = mni_query_above(q, least);

    for (size_t s = 0; s < CHECK_COUNT(sets); s++) {
        const struct mni_kernels *k = mni_kernels_by_name(sets[s]);
        if (k == NULL)
            continue;
        uint64_t which = k->above(&above, raw, lengths, N_ROWS);
        for (size_t i = 0; i < N_ROWS; i++) {
            CHECK((which >> i & 1) != 0 || !(mni_query_score(q, raw[i], lengths[i]) >= least));
            *n_out += (which >> i & 1) == 0;
        }
    }
}

static void what_is_not_above_has_no_such_score(void)
{
    static float rows[N_ROWS * N_DIMS_MAX];
    static int8_t codes[N_DIMS_MAX + 2 * MNI_QUAD];
    float query[N_DIMS_MAX];
    float raw[N_ROWS];
    float lengths[N_ROWS];
    uint64_t seed = check_seed();
    size_t n_out = 0;

    for (size_t round = 0; round < 300; round++) {
        uint32_t n = (uint32_t)(1 + check_below(&seed, N_DIMS_MAX));
        const struct mni_kernels *k = mni_kernels();
        struct mni_query q;

        random_magnitude(&seed, query, n);
        mni_query_init(&q, (enum mni_metric)(1 + round % 3), query, n, codes);
        for (size_t i = 0; i < N_ROWS; i++) {
            random_magnitude(&seed, rows + i * n, n);
            lengths[i] = mni_vector_length(rows + i * n, n);
        }
        (q.metric == MNI_METRIC_L2 ? k->l2_f32 : k->dot_f32)(query, 1, rows, N_ROWS, n, raw);
        for (size_t i = 0; i < N_ROWS; i++) {
            float score = mni_query_score(&q, raw[i], lengths[i]);
            if (isnan(score))
                continue;
            check_above(&q, score, raw, lengths, &n_out);
            check_above(&q, nextafterf(score, INFINITY), raw, lengths, &n_out);
        }
        check_above(&q, -INFINITY, raw, lengths, &n_out);
        check_above(&q, 0, raw, lengths, &n_out);
    }
    CHECK(n_out > 300 * 64 * 64 / 4);
}

/* A dot product far from 0 of a very long vector has a cosine that is rounded to 0: it is as good a
 * result as any other 0. */
static void cosines_that_are_rounded_to_zero_are_not_ruled_out(void)
{
    const float q[] = {1, 0};
    size_t n_out = 0;

    for (int exponent = 60; exponent <= 124; exponent++) {
        const float row[] = {-ldexpf(1, exponent - 152), ldexpf(1, exponent)};
        float raw[N_ROWS] = {row[0]};
        float lengths[N_ROWS] = {row[1]};
        int8_t codes[8];
        struct mni_query query;

        mni_query_init(&query, MNI_METRIC_COSINE, q, 2, codes);
        CHECK(mni_query_score(&query, raw[0], lengths[0]) == 0);
        check_above(&query, 0, raw, lengths, &n_out);
        check_above(&query, 0x1p-149F, raw, lengths, &n_out);
        check_above(&query, -0x1p-149F, raw, lengths, &n_out);
    }
}

static void scores_are_what_they_say(void)
{
    const float q[] = {3, 4};
    const float x[] = {-4, 3};
    const float zero[] = {0, 0};
    int8_t codes[8];
    struct mni_query query;

    mni_query_init(&query, MNI_METRIC_COSINE, q, 2, codes);
    CHECK(query.length == 5);
    CHECK(score_of(&query, q, 5) == 1);
    CHECK(score_of(&query, x, 5) == 0);
    CHECK(score_of(&query, zero, 0) == 0);
    mni_query_init(&query, MNI_METRIC_DOT, q, 2, codes);
    CHECK(score_of(&query, q, 5) == 25);
    mni_query_init(&query, MNI_METRIC_L2, q, 2, codes);
    CHECK(score_of(&query, x, 5) == -50);
    CHECK(score_of(&query, q, 5) == 0 && !signbit(score_of(&query, q, 5)));
    mni_query_init(&query, MNI_METRIC_COSINE, zero, 2, codes);
    CHECK(score_of(&query, x, 5) == 0);
    CHECK(!query.has_codes);
}

static void queries_that_are_not_finite_have_no_codes(void)
{
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30F, 1e-30F};
    int8_t codes[8];
    struct mni_query query;

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        const float q[] = {bad[i], 0};

        mni_query_init(&query, MNI_METRIC_DOT, q, 2, codes);
        CHECK(!query.has_codes);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_is_left_out_is_below),
        CHECK_TEST(roundings_of_long_sums_rule_nothing_out),
        CHECK_TEST(what_is_not_above_has_no_such_score),
        CHECK_TEST(cosines_that_are_rounded_to_zero_are_not_ruled_out),
        CHECK_TEST(scores_are_what_they_say),
        CHECK_TEST(queries_that_are_not_finite_have_no_codes),
    };

    return check_run("search.query", tests, CHECK_COUNT(tests), argc, argv);
}
