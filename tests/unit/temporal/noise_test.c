/*
 * noise_test.c - the median, and the noise that is estimated by it.
 */
#include <stdlib.h>

#include "points.h"
#include "temporal/temporal_private.h"

static int by_value(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;

    return (a > b) - (a < b);
}

static void median_is_the_middle_of_the_sorted(void)
{
    enum { N_MAX = 50 };
    uint64_t seed = check_seed();
    double values[N_MAX];

    for (size_t round = 0; round < 3000; round++) {
        size_t n = 1 + check_below(&seed, N_MAX);

        for (size_t i = 0; i < n; i++) {
            double scale = pow(10, (double)check_below(&seed, 600) - 300);
            values[i] = round % 2 == 0 ? (double)check_below(&seed, 4)
                                       : fabs(random_normal(&seed)) * scale;
        }
        double median = mni_temporal_median(values, n);
        qsort(values, n, sizeof *values, by_value);
        CHECK(median == values[(n - 1) / 2]);
    }
}

/* Noise of this variance, with jumps of 100 after every `n_between` points. */
static double estimated(uint64_t *seed, uint32_t n_dims, double variance, size_t n_between)
{
    struct points p = points_new(seed, 4000, n_dims);
    double mean[200];
    struct mni_temporal_pace pace = {.options = &(struct mn_changes_options){0}};
    struct mni_temporal_scale scale = {.mean = mean};

    CHECK(n_dims <= CHECK_COUNT(mean));
    for (size_t i = 0; i < p.t.n_points * n_dims; i++)
        p.vectors[i] = (float)(random_normal(seed) * sqrt(variance) +
                               (i / n_dims / n_between % 2 == 1 ? 100 : 0));
    CHECK_OK(mni_temporal_scale(&p.t, &pace, &scale, NULL));
    points_free(&p);
    return scale.noise;
}

static void noise_is_the_variance_of_an_element(void)
{
    uint64_t seed = check_seed();

    for (uint32_t n_dims = 1; n_dims < 200; n_dims = n_dims * 3 + 1) {
        double noise = estimated(&seed, n_dims, 4, SIZE_MAX);
        CHECK(noise > 4 * 0.8 && noise < 4 * 1.2);
    }
}

static void jumps_do_not_raise_it_much(void)
{
    uint64_t seed = check_seed();

    double noise = estimated(&seed, 16, 1, 20);
    CHECK(noise > 0.9 && noise < 1.2);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(median_is_the_middle_of_the_sorted),
        CHECK_TEST(noise_is_the_variance_of_an_element),
        CHECK_TEST(jumps_do_not_raise_it_much),
    };

    return check_run("temporal.noise", tests, CHECK_COUNT(tests), argc, argv);
}
