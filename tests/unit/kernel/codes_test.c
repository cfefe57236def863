/*
 * codes_test.c - codes and their rests bound every product, whatever the vectors.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernel/kernel.h"

enum { N_DIMS_MAX = 1000 };

static float random_element(uint64_t *seed, unsigned kind)
{
    double f = (double)(int64_t)(check_random(seed) >> 11) * 0x1p-52 - 1;

    switch (kind) {
    case 0:
        return (float)f;
    case 1: /* from subnormals to the largest */
        return (float)(f * pow(2, (double)check_below(seed, 100) - 50));
    case 2: /* one element far above the others */
        return (float)(check_below(seed, 50) == 0 ? f * 1e6 : f);
    case 3:
        return check_below(seed, 2) == 0 ? 0 : (float)check_below(seed, 3) - 1;
    default:
        return (float)(f * 1e14);
    }
}

static double length(const float *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * v[i];
    return sqrt(sum);
}

static void products_lie_within_the_bound(void)
{
    uint64_t seed = check_seed();
    static float q[N_DIMS_MAX];
    static float x[N_DIMS_MAX];
    int8_t q_codes[N_DIMS_MAX + 2 * MNI_QUAD];
    int8_t x_codes[N_DIMS_MAX + MNI_QUAD];

    for (size_t round = 0; round < 3000; round++) {
        size_t n = 1 + check_below(&seed, N_DIMS_MAX);
        unsigned kind = (unsigned)(round % 5);
        struct mni_code_scale qs;
        struct mni_code_scale xs;
        double exact = 0;
        int32_t product;

        for (size_t i = 0; i < n; i++) {
            q[i] = random_element(&seed, kind);
            x[i] = check_below(&seed, 4) == 0 ? q[i] : random_element(&seed, kind);
            exact += (double)q[i] * x[i];
        }
        mni_quantise_query(q, n, q_codes, &qs);
        mni_quantise_row(x, n, x_codes, &xs);
        mni_kernels()->dot_i8(q_codes, 1, x_codes, 1, mni_quads(n), &product);

        double x_length = length(x, n);
        double bound = length(q, n) * xs.rest + (double)qs.rest * (x_length + xs.rest);
        double slack = 1e-12 * length(q, n) * x_length; /* of the doubles here */

        CHECK(fabs(exact - (double)qs.scale * xs.scale * product) <= bound + slack);
        if (kind == 0 && n > 8) /* and the bound is good for something */
            CHECK(xs.rest <= 0.01 * x_length * sqrt((double)n) / 4);
    }
}

static void codes_reach_both_ends(void)
{
    const float x[] = {-3, 1.5F, 3, 0, -0.01F};
    const int8_t expected[] = {-127, 64, 127, 0, 0, 0, 0, 0}; /* filled up */
    int8_t codes[8];
    struct mni_code_scale scale;

    memset(codes, 1, sizeof codes);
    mni_quantise_row(x, 5, codes, &scale);
    CHECK(scale.scale == 3.0F / 127);
    CHECK(codes[1] == 63 || codes[1] == 64);
    codes[1] = 64;
    CHECK_MEM_EQ(codes, expected, sizeof codes);
}

static void a_query_knows_its_sum(void)
{
    const float q[] = {-3, 1.5F, 3, 3, -0.01F};
    int8_t codes[12];
    struct mni_code_scale scale;
    int32_t sum;

    CHECK_EQ(mni_query_code_bytes(5), sizeof codes);
    mni_quantise_query(q, 5, codes, &scale);
    memcpy(&sum, codes + 8, sizeof sum);
    CHECK_EQ(sum, 128 * (codes[0] + codes[1] + codes[2] + codes[3] + codes[4]));
    CHECK(sum > 128 * 127);
}

static void zeroes_have_no_rest(void)
{
    const float x[] = {0, -0.0F, 0};
    int8_t codes[4] = {1, 1, 1, 1};
    struct mni_code_scale scale;

    mni_quantise_row(x, 3, codes, &scale);
    CHECK(scale.scale == 0 && scale.rest == 0);
    CHECK_EQ(codes[0] | codes[1] | codes[2], 0);
}

static void what_has_no_code_has_an_infinite_rest(void)
{
    const float bad[] = {INFINITY, -INFINITY, NAN, 0x1.1p50F, -1e38F};
    float x[] = {1, 2, 3};
    int8_t codes[4];
    struct mni_code_scale scale;

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        x[1] = bad[i];
        mni_quantise_row(x, 3, codes, &scale);
        CHECK(scale.scale == 0 && isinf(scale.rest));
        CHECK_EQ(codes[0] | codes[1] | codes[2], 0);
    }
}

static void short_vectors_have_no_code(void)
{
    const float x[] = {0x1p-51F, 0};
    const float y[] = {0x1p-50F, 0};
    int8_t codes[4];
    struct mni_code_scale scale;

    mni_quantise_row(x, 2, codes, &scale);
    CHECK(isinf(scale.rest));
    mni_quantise_row(y, 2, codes, &scale);
    CHECK(scale.rest < 0x1p-60F && codes[0] == 127);
}

static void signs_are_bits(void)
{
    float x[70] = {0};
    uint64_t words[2] = {7, 7};

    x[0] = 1;
    x[1] = -1;
    x[63] = 0.5F;
    x[64] = -0.0F;
    x[69] = 1e-45F;
    mni_sign_bits(x, 70, words);
    CHECK(words[0] == (UINT64_C(1) << 63 | 1));
    CHECK(words[1] == UINT64_C(1) << 5);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(products_lie_within_the_bound),
        CHECK_TEST(codes_reach_both_ends),
        CHECK_TEST(a_query_knows_its_sum),
        CHECK_TEST(zeroes_have_no_rest),
        CHECK_TEST(what_has_no_code_has_an_infinite_rest),
        CHECK_TEST(short_vectors_have_no_code),
        CHECK_TEST(signs_are_bits),
    };

    return check_run("kernel.codes", tests, CHECK_COUNT(tests), argc, argv);
}
