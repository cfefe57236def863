/*
 * kernel_test.c - every set of kernels that this machine runs gives what the scalar ones define,
 * bit for bit; and these give what they should.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "kernel/kernel.h"

enum {
    N_DIMS_MAX = 515,
    N_ROWS = 22, /* a group of 16, one of 4, and some alone */
    N_QUERIES = 7,
    N_CODE_ROWS_MAX = 150, /* registers side by side, one alone, and parts of one */
};

static const char *const names[] = {"avx2", "avx512", "neon", "scalar"};

/* Kinds of vectors: each finds other faults. */
enum kind { PLAIN, TINY, HUGE_ONES, SPECIAL, N_KINDS };

static float random_float(uint64_t *seed, enum kind kind)
{
    static const float special[] = {0,       -0.0F,   INFINITY, -INFINITY, NAN,  1e-45F,
                                    -1e-40F, 3.4e38F, 1,        -1,        65504};
    float f = (float)(int64_t)(check_random(seed) >> 11) * 0x1p-52F - 1;

    switch (kind) {
    case TINY: /* products below the smallest subnormal, of both signs */
        return f * 1e-23F;
    case HUGE_ONES:
        return f * 1e19F;
    case SPECIAL:
        return check_below(seed, 8) == 0 ? special[check_below(seed, CHECK_COUNT(special))] : f;
    default:
        return f;
    }
}

static void same_floats(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK((isnan(a[i]) && isnan(b[i])) || memcmp(&a[i], &b[i], sizeof *a) == 0);
}

/* Vectors that begin `offset` elements behind an aligned place, so that nothing is aligned. */
struct vectors {
    char *memory;
    char *queries;
    char *rows;
};

static struct vectors vectors_new(size_t element_bytes, size_t n_dims, size_t offset)
{
    struct vectors v;

    /* what is read beyond the end is seen by sanitizers: the block ends with the last row */
    v.memory = malloc(offset * element_bytes + (N_QUERIES + N_ROWS) * n_dims * element_bytes + 1);
    v.queries = v.memory + offset * element_bytes;
    v.rows = v.queries + N_QUERIES * n_dims * element_bytes;
    return v;
}

static void compare_f32(const struct mni_kernels *kernels, size_t n_dims, uint64_t *seed,
                        enum kind kind)
{
    const struct mni_kernels *scalar = mni_kernels_by_name("scalar");
    struct vectors v = vectors_new(sizeof(float), n_dims, check_below(seed, 4));
    float *floats = (float *)(void *)v.queries;
    const float *rows = (const float *)(const void *)v.rows;
    float got[N_QUERIES * N_ROWS];
    float expected[N_QUERIES * N_ROWS];

    for (size_t i = 0; i < (N_QUERIES + N_ROWS) * n_dims; i++)
        floats[i] = random_float(seed, kind);
    kernels->dot_f32(floats, N_QUERIES, rows, N_ROWS, n_dims, got);
    scalar->dot_f32(floats, N_QUERIES, rows, N_ROWS, n_dims, expected);
    same_floats(got, expected, N_QUERIES * N_ROWS);
    kernels->l2_f32(floats, N_QUERIES, rows, N_ROWS, n_dims, got);
    scalar->l2_f32(floats, N_QUERIES, rows, N_ROWS, n_dims, expected);
    same_floats(got, expected, N_QUERIES * N_ROWS);
    /* one query alone gives what it gives among others */
    kernels->l2_f32(floats + n_dims, 1, rows, N_ROWS, n_dims, got);
    for (size_t r = 0; r < N_ROWS; r++)
        same_floats(&got[r], &expected[N_ROWS + r], 1);
    free(v.memory);
}

static void compare_f16(const struct mni_kernels *kernels, size_t n_dims, uint64_t *seed,
                        enum kind kind)
{
    const struct mni_kernels *scalar = mni_kernels_by_name("scalar");
    struct vectors q = vectors_new(sizeof(float), n_dims, check_below(seed, 4));
    struct vectors r = vectors_new(sizeof(uint16_t), n_dims, check_below(seed, 8));
    float *queries = (float *)(void *)q.queries;
    uint16_t *rows = (uint16_t *)(void *)r.rows;
    float got[N_QUERIES * N_ROWS];
    float expected[N_QUERIES * N_ROWS];

    for (size_t i = 0; i < N_QUERIES * n_dims; i++)
        queries[i] = random_float(seed, kind);
    for (size_t i = 0; i < N_ROWS * n_dims; i++)
        rows[i] = (uint16_t)(kind == SPECIAL
                                 ? check_random(seed)
                                 : check_below(seed, 0x7C00) | check_below(seed, 2) << 15);
    kernels->dot_f16(queries, N_QUERIES, rows, N_ROWS, n_dims, got);
    scalar->dot_f16(queries, N_QUERIES, rows, N_ROWS, n_dims, expected);
    same_floats(got, expected, N_QUERIES * N_ROWS);
    kernels->l2_f16(queries, N_QUERIES, rows, N_ROWS, n_dims, got);
    scalar->l2_f16(queries, N_QUERIES, rows, N_ROWS, n_dims, expected);
    same_floats(got, expected, N_QUERIES * N_ROWS);
    free(q.memory);
    free(r.memory);
}

static void same_doubles(const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK((isnan(a[i]) && isnan(b[i])) || memcmp(&a[i], &b[i], sizeof *a) == 0);
}

static void compare_doubles(const struct mni_kernels *kernels, size_t n_dims, uint64_t *seed,
                            enum kind kind)
{
    const struct mni_kernels *scalar = mni_kernels_by_name("scalar");
    size_t n = (1 + N_ROWS) * n_dims;
    float *floats = malloc(n * sizeof *floats + 1);
    double *doubles = malloc(n * sizeof *doubles + 1);
    double got[N_ROWS];
    double expected[N_ROWS];

    CHECK(floats != NULL && doubles != NULL);
    for (size_t i = 0; i < n; i++) {
        floats[i] = random_float(seed, kind);
        doubles[i] = (double)floats[i] + (double)random_float(seed, kind) * 0x1p-30;
    }
    kernels->dot_wide(floats, floats + n_dims, N_ROWS, n_dims, got);
    scalar->dot_wide(floats, floats + n_dims, N_ROWS, n_dims, expected);
    same_doubles(got, expected, N_ROWS);
    kernels->l2_wide(floats, floats + n_dims, N_ROWS, n_dims, got);
    scalar->l2_wide(floats, floats + n_dims, N_ROWS, n_dims, expected);
    same_doubles(got, expected, N_ROWS);
    kernels->l2_f64(doubles, doubles + n_dims, N_ROWS, n_dims, got);
    scalar->l2_f64(doubles, doubles + n_dims, N_ROWS, n_dims, expected);
    same_doubles(got, expected, N_ROWS);
    free(floats);
    free(doubles);
}

/* With 128 times the sum of its codes behind them. */
static void random_query(int8_t *codes, size_t n_codes, uint64_t *seed, bool extreme)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n_codes; i++) {
        codes[i] = (int8_t)(extreme ? -127 : (int)check_below(seed, 255) - 127);
        sum += 128 * codes[i];
    }
    memcpy(codes + n_codes, &sum, sizeof sum);
}

static void compare_codes(const struct mni_kernels *kernels, size_t n_quads, uint64_t *seed,
                          bool extreme)
{
    const struct mni_kernels *scalar = mni_kernels_by_name("scalar");
    size_t n_rows = 1 + check_below(seed, N_CODE_ROWS_MAX);
    size_t n_codes = n_quads * MNI_QUAD;
    size_t query_bytes = n_codes + MNI_QUAD;
    int8_t *memory = malloc(N_QUERIES * query_bytes + n_rows * n_codes + 64);
    int8_t *queries = memory + check_below(seed, 64);
    int8_t *quads = queries + N_QUERIES * query_bytes;
    static int32_t got[N_QUERIES * N_CODE_ROWS_MAX];
    static int32_t expected[N_QUERIES * N_CODE_ROWS_MAX];

    CHECK(memory != NULL);
    for (size_t q = 0; q < N_QUERIES; q++)
        random_query(queries + q * query_bytes, n_codes, seed, extreme);
    for (size_t i = 0; i < n_rows * n_codes; i++)
        quads[i] = (int8_t)(extreme ? -128 : (int)check_below(seed, 256) - 128);
    memset(got, 0x55, sizeof got);
    kernels->dot_i8(queries, N_QUERIES, quads, n_rows, n_quads, got);
    scalar->dot_i8(queries, N_QUERIES, quads, n_rows, n_quads, expected);
    CHECK_MEM_EQ(got, expected, N_QUERIES * n_rows * sizeof *got);
    if (extreme)
        CHECK_EQ(got[0], (int64_t)127 * 128 * (int64_t)n_codes);
    /* one query alone gives what it gives among others */
    kernels->dot_i8(queries + query_bytes, 1, quads, n_rows, n_quads, got);
    CHECK_MEM_EQ(got, expected + n_rows, n_rows * sizeof *got);
    free(memory);
}

static void compare_bits(const struct mni_kernels *kernels, size_t n_words, uint64_t *seed)
{
    const struct mni_kernels *scalar = mni_kernels_by_name("scalar");
    struct vectors v = vectors_new(sizeof(uint64_t), n_words, check_below(seed, 8));
    uint64_t *queries = (uint64_t *)(void *)v.queries;
    const uint64_t *rows = (const uint64_t *)(const void *)v.rows;
    uint32_t got[N_QUERIES * N_ROWS];
    uint32_t expected[N_QUERIES * N_ROWS];

    for (size_t i = 0; i < (N_QUERIES + N_ROWS) * n_words; i++)
        queries[i] = check_random(seed);
    kernels->hamming(queries, N_QUERIES, rows, N_ROWS, n_words, got);
    scalar->hamming(queries, N_QUERIES, rows, N_ROWS, n_words, expected);
    CHECK_MEM_EQ(got, expected, sizeof got);
    free(v.memory);
}

static void all_sets_give_the_same_bits(void)
{
    uint64_t seed = check_seed();

    for (size_t i = 0; i < CHECK_COUNT(names); i++) {
        const struct mni_kernels *kernels = mni_kernels_by_name(names[i]);

        if (kernels == NULL)
            continue;
        for (size_t n = 0; n <= N_DIMS_MAX; n += n < 140 ? 1 : 75) {
            for (enum kind kind = 0; kind < N_KINDS; kind++) {
                compare_f32(kernels, n, &seed, kind);
                compare_f16(kernels, n, &seed, kind);
                compare_doubles(kernels, n, &seed, kind);
            }
            compare_codes(kernels, n, &seed, false);
            compare_bits(kernels, n, &seed);
        }
        for (size_t n = 1; n <= 65536 / MNI_QUAD; n *= 2)
            compare_codes(kernels, n, &seed, true);
        compare_f32(kernels, 65536, &seed, PLAIN);
    }
}

/* Small whole numbers, so that no set rounds; and some that are none. */
static float random_whole(uint64_t *seed)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};

    if (check_below(seed, 12) == 0)
        return odd[check_below(seed, CHECK_COUNT(odd))];
    return (float)check_below(seed, 9) - 4;
}

static void all_sets_see_the_same_vectors_that_may_be_results(void)
{
    uint64_t seed = check_seed();
    float values[4][64];
    int32_t products[64];
    uint64_t n_seen = 0;

    for (size_t round = 0; round < 20000; round++) {
        const struct mni_kernels *scalar = mni_kernels_by_name("scalar");
        size_t n = check_below(&seed, 65);
        struct mni_reach reach;
        struct mni_above above;
        float factors[5];

        for (size_t i = 0; i < CHECK_COUNT(factors); i++)
            factors[i] = random_whole(&seed);
        for (size_t i = 0; i < 64; i++) {
            products[i] = (int32_t)check_below(&seed, 41) - 20;
            for (size_t k = 0; k < CHECK_COUNT(values); k++)
                values[k][i] = random_whole(&seed);
        }
        reach = (struct mni_reach){factors[0], factors[1], factors[2], factors[3], factors[4]};
        above = (struct mni_above){factors[0], factors[1], factors[2]};
        uint64_t reaching = scalar->reach(&reach, products, values[0], values[1], values[2], n);
        uint64_t are_above = scalar->above(&above, values[3], values[2], n);
        uint64_t are_above_0 = scalar->above(&above, values[3], NULL, n);
        CHECK(n == 64 || (reaching | are_above | are_above_0) >> n == 0);
        n_seen += (uint64_t)__builtin_popcountll(reaching);
        for (size_t s = 0; s < CHECK_COUNT(names); s++) {
            const struct mni_kernels *k = mni_kernels_by_name(names[s]);
            if (k == NULL)
                continue;
            CHECK(k->reach(&reach, products, values[0], values[1], values[2], n) == reaching);
            CHECK(k->above(&above, values[3], values[2], n) == are_above);
            CHECK(k->above(&above, values[3], NULL, n) == are_above_0);
        }
    }
    CHECK(n_seen > 0 && n_seen < UINT64_C(20000) * 32);
}

/* The first test: the choice is made once in a process. */
static void the_environment_forces_a_set(void)
{
    for (size_t i = 0; i < CHECK_COUNT(names); i++) {
        int status = 1;
        pid_t child = fork();

        if (child == 0) {
            const struct mni_kernels *kernels = mni_kernels_by_name(names[i]);
            (void)setenv("MNEME_KERNELS", names[i], 1);
            _exit(kernels == NULL || mni_kernels() == kernels ? 0 : 1);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_EQ(status, 0);
    }
}

static void sums_are_near_those_of_doubles(void)
{
    const struct mni_kernels *kernels = mni_kernels();
    uint64_t seed = check_seed();
    float q[300];
    float r[300];

    for (size_t n = 1; n <= 300; n++) {
        double dot = 0;
        double l2 = 0;
        double size = 0;
        float got;

        for (size_t i = 0; i < n; i++) {
            q[i] = random_float(&seed, PLAIN);
            r[i] = random_float(&seed, PLAIN);
            dot += (double)q[i] * r[i];
            size += fabs((double)q[i] * r[i]);
            l2 += ((double)q[i] - r[i]) * ((double)q[i] - r[i]);
        }
        kernels->dot_f32(q, 1, r, 1, n, &got);
        CHECK(fabs(got - dot) <= size * 1e-6);
        kernels->l2_f32(q, 1, r, 1, n, &got);
        CHECK(fabs(got - l2) <= l2 * 1e-6);

        double wide;
        double q_wide[300];
        double r_wide[300];
        for (size_t i = 0; i < n; i++) {
            q_wide[i] = (double)q[i];
            r_wide[i] = (double)r[i];
        }
        kernels->dot_wide(q, r, 1, n, &wide);
        CHECK(fabs(wide - dot) <= size * 1e-14);
        kernels->l2_wide(q, r, 1, n, &wide);
        CHECK(fabs(wide - l2) <= l2 * 1e-14);
        kernels->l2_f64(q_wide, r_wide, 1, n, &wide);
        CHECK(fabs(wide - l2) <= l2 * 1e-14);
    }
}

static void sums_are_made_in_lanes(void)
{
    /* 1e8 and 1 share a lane only when they are 32 apart: there the 1 is rounded away */
    float q[64] = {0};
    float ones[64];
    float got;

    for (size_t i = 0; i < 64; i++)
        ones[i] = 1;
    q[0] = 1e8F;
    q[32] = 1;
    mni_kernels()->dot_f32(q, 1, ones, 1, 64, &got);
    CHECK(got == 1e8F);
    q[32] = 0;
    q[31] = q[15] = q[1] = q[17] = 4; /* 16 together, folded before lane 0 joins */
    mni_kernels()->dot_f32(q, 1, ones, 1, 64, &got);
    CHECK(got == 1e8F + 16);
}

static void codes_and_bits_are_exact(void)
{
    const float q[] = {1, -2, 127, -127, 5};
    int8_t codes[12];
    struct mni_code_scale scale;
    const int8_t quads[] = {3, 4, 127, -128, 1, 1, 1, 1, 0, 9, 9, 9, 2, 9, 9, 9}; /* two rows */
    const uint64_t a[] = {0, UINT64_MAX, 0x0F};
    const uint64_t b[] = {0, 0, 0xF0};
    int32_t dots[2];
    uint32_t n_differ;

    mni_quantise_query(q, 5, codes, &scale);
    CHECK(scale.scale == 1);
    mni_kernels()->dot_i8(codes, 1, quads, 2, 2, dots);
    CHECK_EQ(dots[0], 3 - 8 + 127 * 127 + 127 * 128);
    CHECK_EQ(dots[1], 1 - 2 + 127 - 127 + 10);
    mni_kernels()->hamming(a, 1, b, 1, 3, &n_differ);
    CHECK_EQ(n_differ, 64 + 8);
}

static void unknown_names_have_no_kernels(void)
{
    CHECK(mni_kernels_by_name("") == NULL);
    CHECK(mni_kernels_by_name("sse") == NULL);
    CHECK(mni_kernels_by_name("scalar") != NULL);
    CHECK(mni_kernels() == mni_kernels());
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_environment_forces_a_set),
        CHECK_TEST(all_sets_see_the_same_vectors_that_may_be_results),
        CHECK_TEST(all_sets_give_the_same_bits),
        CHECK_TEST(sums_are_near_those_of_doubles),
        CHECK_TEST(sums_are_made_in_lanes),
        CHECK_TEST(codes_and_bits_are_exact),
        CHECK_TEST(unknown_names_have_no_kernels),
    };

    return check_run("kernel.kernel", tests, CHECK_COUNT(tests), argc, argv);
}
