/* A difference leads from one vector to another, bit for bit, and is short where they are near. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/delta.h"

static const uint32_t awkward[] = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff,
    0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffffffff,
    0x3f800000, 0xbf800000, 0x3f7fffff, 0x3f800001, 0x34000000, 0x7fffffff,
};

static float *new_floats(uint32_t n)
{
    float *floats = malloc((size_t)n * 4);

    CHECK(floats != NULL);
    return floats;
}

static void set_bits(float *vector, uint32_t i, uint32_t bits)
{
    mni_put_u32((unsigned char *)vector + (size_t)i * 4, bits);
}

static double uniform(uint64_t *random)
{
    return (double)(check_random(random) >> 11) * 0x1p-53;
}

static double normal(uint64_t *random)
{
    double radius = sqrt(-2 * log(uniform(random) + 1e-300));

    return radius * cos(6.283185307179586 * uniform(random));
}

/* Copies of exactly their size, so that the sanitizer sees any byte read beyond. */
static bool decodes(const float *base, uint32_t n_dims, const unsigned char *bytes, size_t n_bytes,
                    float *out)
{
    unsigned char *exact = malloc(n_bytes + 1);

    CHECK(exact != NULL);
    memcpy(exact + 1, bytes, n_bytes);
    bool is_good = mni_delta_decode(base, n_dims, exact + 1, n_bytes, out);
    free(exact);
    return is_good;
}

/* Returns the bytes of the difference. */
static size_t check_there_and_back(const float *base, const float *vector, uint32_t n_dims)
{
    unsigned char *bytes = malloc(mni_delta_bytes_max(n_dims));
    float *again = new_floats(n_dims);
    size_t n_bytes = mni_delta_encode(base, vector, n_dims, bytes);

    CHECK_EQ(n_bytes, mni_delta_bytes(base, vector, n_dims));
    CHECK(n_bytes <= mni_delta_bytes_max(n_dims));
    CHECK(decodes(base, n_dims, bytes, n_bytes, again));
    CHECK_MEM_EQ(again, vector, (size_t)n_dims * 4);
    CHECK(!decodes(base, n_dims, bytes, n_bytes - 1, again));
    free(bytes);
    free(again);
    return n_bytes;
}

static void every_awkward_pair_comes_back(void)
{
    enum { N = CHECK_COUNT(awkward) };
    float base[N * N];
    float vector[N * N];

    for (uint32_t i = 0; i < N * N; i++) {
        set_bits(base, i, awkward[i / N]);
        set_bits(vector, i, awkward[i % N]);
    }
    for (uint32_t n_dims = 1; n_dims <= N * N; n_dims++)
        check_there_and_back(base, vector, n_dims);
    for (uint32_t i = 0; i < N * N; i++)
        check_there_and_back(base + i, vector + i, 1);
}

static void any_bits_come_back(void)
{
    enum { N = 200, ROUNDS = 3000 };
    uint64_t random = check_seed();
    float base[N];
    float vector[N];

    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n_dims = 1 + (uint32_t)check_below(&random, N);
        unsigned shift = (unsigned)check_below(&random, 33);
        for (uint32_t i = 0; i < n_dims; i++) {
            uint32_t bits = (uint32_t)check_random(&random);
            uint64_t noise = (check_random(&random) & UINT32_MAX) >> shift;
            if (check_below(&random, 16) == 0)
                bits = awkward[check_below(&random, CHECK_COUNT(awkward))];
            if (check_below(&random, 16) == 0)
                noise = check_random(&random);
            set_bits(base, i, bits);
            set_bits(vector, i, bits + (uint32_t)noise);
        }
        check_there_and_back(base, vector, n_dims);
        check_there_and_back(vector, base, n_dims);
        CHECK_EQ(check_there_and_back(base, base, n_dims), (n_dims + 63) / 64);
    }
}

static void all_dimensions_are_served(void)
{
    static const uint32_t dims[] = {1, 63, 64, 65, 127, 128, 768, 4096, 65536};
    uint64_t random = check_seed();

    for (size_t d = 0; d < CHECK_COUNT(dims); d++) {
        float *base = new_floats(dims[d]);
        float *vector = new_floats(dims[d]);
        for (uint32_t i = 0; i < dims[d]; i++) {
            base[i] = (float)normal(&random);
            vector[i] = base[i] + (float)(0.01 * normal(&random));
        }
        check_there_and_back(base, vector, dims[d]);
        free(base);
        free(vector);
    }
}

/* Bytes saved of a trajectory with a keyframe every tenth point, in percent. */
static double saved_percent(uint64_t *random, uint32_t n_dims, double step)
{
    enum { POINTS = 200, EVERY = 10 };
    float *points = new_floats(n_dims * POINTS);
    size_t n_bytes = 0;

    for (uint32_t p = 0; p < POINTS; p++) {
        float *point = points + (size_t)p * n_dims;
        double square = 0;
        for (uint32_t i = 0; i < n_dims; i++) {
            double before = p == 0 ? normal(random) : (double)(point - n_dims)[i];
            double size = p == 0 ? 0 : step / sqrt(n_dims);
            point[i] = (float)(before + size * normal(random));
            square += (double)point[i] * (double)point[i];
        }
        for (uint32_t i = 0; i < n_dims; i++)
            point[i] = (float)(point[i] / sqrt(square));
        n_bytes += p % EVERY == 0
                       ? (size_t)n_dims * 4
                       : check_there_and_back(points + (size_t)(p / EVERY * EVERY) * n_dims, point,
                                              n_dims);
    }
    free(points);
    return 100.0 - 100.0 * (double)n_bytes / ((double)n_dims * 4 * POINTS);
}

static void slow_trajectories_lose_a_third(void)
{
    static const uint32_t dims[] = {128, 768};
    uint64_t random = check_seed();

    for (size_t d = 0; d < CHECK_COUNT(dims); d++) {
        CHECK(saved_percent(&random, dims[d], 1e-4) > 45);
        CHECK(saved_percent(&random, dims[d], 1e-3) > 36);
        CHECK(saved_percent(&random, dims[d], 1e-1) > 15);
    }
}

static void damaged_bytes_are_refused_or_another_vector(void)
{
    enum { N = 150, ROUNDS = 40000 };
    uint64_t random = check_seed();
    float base[N];
    float vector[N];
    float out[N];
    unsigned char *bytes = malloc(mni_delta_bytes_max(N) + 64);
    uint64_t n_refused = 0;

    CHECK(bytes != NULL);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n_dims = 1 + (uint32_t)check_below(&random, N);
        for (uint32_t i = 0; i < n_dims; i++) {
            base[i] = (float)normal(&random);
            vector[i] = (float)(base[i] + 0.001 * normal(&random));
        }
        size_t n_bytes = mni_delta_encode(base, vector, n_dims, bytes);
        for (size_t n = check_below(&random, 4); n > 0; n--)
            bytes[check_below(&random, n_bytes)] = (unsigned char)check_random(&random);
        if (check_below(&random, 4) == 0) {
            size_t n_more = check_below(&random, 64);
            for (size_t i = 0; i < n_more; i++)
                bytes[n_bytes + i] = (unsigned char)check_random(&random);
            n_bytes += n_more;
        }
        n_refused += !decodes(base, n_dims, bytes, check_below(&random, n_bytes + 1), out);
        n_refused += !decodes(base, n_dims, bytes, n_bytes, out);
    }
    CHECK(n_refused > ROUNDS);
    free(bytes);
}

/* By hand: two elements a step above and below the base's, one bit of difference each after
 * folding (2 and 1); under width 0 the quotients are 2 and 1: `001` and `01`. */
static void bytes_are_those_of_the_spec(void)
{
    const unsigned char expected[] = {1, 0x14};
    unsigned char bytes[16];
    float base[2];
    float vector[2];

    set_bits(base, 0, 0x3f800000);
    set_bits(base, 1, 0x3f800000);
    set_bits(vector, 0, 0x3f800001);
    set_bits(vector, 1, 0x3f7fffff);
    CHECK_EQ(mni_delta_encode(base, vector, 2, bytes), sizeof expected);
    CHECK_MEM_EQ(bytes, expected, sizeof expected);
    CHECK_EQ(mni_delta_encode(base, base, 2, bytes), 1);
    CHECK_EQ(bytes[0], 0);
}

static void bits_behind_the_last_are_zero(void)
{
    const unsigned char good[] = {1, 0x14};
    const unsigned char bad[] = {1, 0x34};
    const unsigned char without_end[] = {1, 0x04};
    const unsigned char longer[] = {1, 0x14, 0};
    const float base[2] = {1, 1};
    float out[2];

    CHECK(decodes(base, 2, good, sizeof good, out));
    CHECK(!decodes(base, 2, bad, sizeof bad, out));
    CHECK(!decodes(base, 2, without_end, sizeof without_end, out));
    CHECK(!decodes(base, 2, longer, sizeof longer, out));
    CHECK(!decodes(base, 2, good, 0, out));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_awkward_pair_comes_back),
        CHECK_TEST(any_bits_come_back),
        CHECK_TEST(all_dimensions_are_served),
        CHECK_TEST(slow_trajectories_lose_a_third),
        CHECK_TEST(damaged_bytes_are_refused_or_another_vector),
        CHECK_TEST(bytes_are_those_of_the_spec),
        CHECK_TEST(bits_behind_the_last_are_zero),
    };
    return check_run("segment.delta", tests, CHECK_COUNT(tests), argc, argv);
}
