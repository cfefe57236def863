/*
 * principal_test.c - principal components: by hand, where there are few of them, and what makes
 * them principal on random points.
 */
#include <math.h>

#include "points.h"

enum { N_MAX = 300, DIMS_MAX = 40, K = 4 };

static struct mn_error err;
static int64_t times[N_MAX];
static float vectors[N_MAX * DIMS_MAX];
static double coordinates[N_MAX * K];
static double shares[K];
static double axes[K * DIMS_MAX];

static void find(const float *points, size_t n_points, uint32_t n_dims, size_t n_components)
{
    for (size_t i = 0; i < n_points; i++)
        times[i] = (int64_t)i;
    const struct mn_trajectory t = {times, points, n_points, n_dims};
    CHECK_OK_ERR(mn_trajectory_principal(&t, n_components, coordinates, shares, axes, &err), &err);
}

static void are_near(const double *actual, const double *expected, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK(is_near(actual[i], expected[i], 1e-9));
}
#define ARE_NEAR(actual, ...)                                                                      \
    are_near((actual), (const double[]){__VA_ARGS__}, CHECK_COUNT(((const double[]){__VA_ARGS__})))

static void directions_are_found_by_spread(void)
{
    /* An ellipse on its side: variances 8 and 2 along the diagonals, around (10, -5). */
    const float points[] = {10 + 2, -5 + 2, 10 - 2, -5 - 2, 10 + 1, -5 - 1, 10 - 1, -5 + 1};
    const double r = sqrt(0.5);

    find(points, 4, 2, 2);
    ARE_NEAR(shares, 0.8, 0.2);
    ARE_NEAR(axes, r, r, r, -r);
    ARE_NEAR(coordinates, sqrt(8), 0, -sqrt(8), 0, 0, sqrt(2), 0, -sqrt(2));
    find(points, 4, 2, 1);
    ARE_NEAR(shares, 0.8);
    ARE_NEAR(coordinates, sqrt(8), -sqrt(8), 0, 0);
}

static void sums_of_three_dimensions_come_out_by_hand(void)
{
    /* Along each axis alone, farther on each: variances 2, 8 and 18 of 28. */
    const float points[] = {1, 0, 0, -1, 0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 3, 0, 0, -3};

    find(points, 6, 3, 3);
    ARE_NEAR(shares, 18.0 / 28, 8.0 / 28, 2.0 / 28);
    ARE_NEAR(axes, 0, 0, 1, 0, 1, 0, 1, 0, 0);
    ARE_NEAR(&coordinates[4 * 3], 3, 0, 0);
}

static void fewer_directions_than_wanted_leave_zeroes(void)
{
    const float line[] = {1, 2, 3, 2, 4, 6, 4, 8, 12};
    const float equal[] = {1, 2, 1, 2, 1, 2};
    const double r = 1 / sqrt(14);

    find(line, 3, 3, 3);
    ARE_NEAR(shares, 1, 0, 0);
    ARE_NEAR(axes, r, 2 * r, 3 * r, 0, 0, 0, 0, 0, 0);
    ARE_NEAR(&coordinates[3], -1 / (3 * r), 0, 0);
    for (size_t n = 0; n <= 3; n++) {
        coordinates[0] = shares[0] = axes[0] = 7;
        find(equal, n, 2, 2);
        ARE_NEAR(shares, 0, 0);
        ARE_NEAR(axes, 0, 0, 0, 0);
        CHECK(coordinates[0] == (n > 0 ? 0 : 7));
    }
    find(line, 9, 1, 4); /* one dimension */
    ARE_NEAR(shares, 1, 0, 0, 0);
    ARE_NEAR(axes, 1, 0, 0, 0);
    find(line, 1, 9, 2);
    ARE_NEAR(coordinates, 0, 0);
}

static void far_from_zero_nothing_is_lost(void)
{
    const float points[] = {1e6F + 1, -1e6F,        1e6F - 1, -1e6F,
                            1e6F,     -1e6F + 0.5F, 1e6F,     -1e6F - 0.5F};

    find(points, 4, 2, 2);
    ARE_NEAR(shares, 0.8, 0.2);
    ARE_NEAR(coordinates, 1, 0, -1, 0, 0, 0.5, 0, -0.5);
    const float large[] = {3 * 0x1p126F, 0, -3 * 0x1p126F, 0, 0, 0x1p126F, 0, -0x1p126F};
    find(large, 4, 2, 2);
    ARE_NEAR(shares, 0.9, 0.1);
}

static double product(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Whatever is random has the spread that was made: with directions that were hidden by a turn. */
static void hidden_directions_are_found_again(void)
{
    const double spreads[] = {9, 4, 2, 1};
    uint64_t random = check_seed();
    double hidden[K][DIMS_MAX];

    for (size_t k = 0; k < K; k++) {
        for (size_t d = 0; d < DIMS_MAX; d++)
            hidden[k][d] = (double)check_below(&random, 2001) - 1000;
        for (size_t i = 0; i < 2 * k; i++) {
            double share = product(hidden[k], hidden[i % k], DIMS_MAX);
            for (size_t d = 0; d < DIMS_MAX; d++)
                hidden[k][d] -= share * hidden[i % k][d];
        }
        double length = sqrt(product(hidden[k], hidden[k], DIMS_MAX));
        for (size_t d = 0; d < DIMS_MAX; d++)
            hidden[k][d] /= length;
    }
    memset(vectors, 0, sizeof vectors);
    for (size_t i = 0; i < 2 * K; i++) /* two points on each side of each */
        for (size_t d = 0; d < DIMS_MAX; d++)
            vectors[i * DIMS_MAX + d] =
                (float)((i % 2 == 0 ? 1 : -1) * spreads[i / 2] * hidden[i / 2][d]);
    find(vectors, 2 * K, DIMS_MAX, K);
    for (size_t k = 0; k < K; k++) {
        CHECK(is_near(shares[k], spreads[k] * spreads[k] / (81 + 16 + 4 + 1), 1e-5));
        CHECK(is_near(fabs(product(&axes[k * DIMS_MAX], hidden[k], DIMS_MAX)), 1, 1e-5));
        CHECK(is_near(fabs(coordinates[2 * k * K + k]), spreads[k], 1e-5));
    }
}

/* S v = s v, in sums that are made another way; and no direction tried spreads more. */
static void directions_are_eigenvectors_of_the_scatter(void)
{
    uint64_t random = check_seed();
    const size_t n = 120;
    const size_t n_dims = 24;
    double mean[DIMS_MAX] = {0};
    static double scatter[DIMS_MAX][DIMS_MAX];
    double total = 0;

    memset(scatter, 0, sizeof scatter);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < n_dims; d++)
            vectors[i * n_dims + d] = (float)check_below(&random, 1000) / (float)(d + 1) + 50;
    find(vectors, n, (uint32_t)n_dims, K);
    for (size_t i = 0; i < n * n_dims; i++)
        mean[i % n_dims] += (double)vectors[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t a = 0; a < n_dims; a++)
            for (size_t b = 0; b < n_dims; b++)
                scatter[a][b] += ((double)vectors[i * n_dims + a] - mean[a]) *
                                 ((double)vectors[i * n_dims + b] - mean[b]);
    for (size_t d = 0; d < n_dims; d++)
        total += scatter[d][d];
    for (size_t k = 0; k < K; k++) {
        const double *axis = &axes[k * n_dims];
        CHECK(k == 0 || shares[k] <= shares[k - 1]);
        for (size_t d = 0; d < n_dims; d++)
            CHECK(is_near(product(scatter[d], axis, n_dims) / total, shares[k] * axis[d], 1e-7));
        for (size_t j = 0; j <= k; j++)
            CHECK(is_near(product(axis, &axes[j * n_dims], n_dims), j == k, 1e-9));
    }
    for (size_t d = 0; d < n_dims; d++)
        CHECK(scatter[d][d] / total <= shares[0] + 1e-9);
}

static void the_same_points_give_the_same_bits(void)
{
    uint64_t random = check_seed();
    double before[K];

    for (size_t i = 0; i < N_MAX * DIMS_MAX; i++)
        vectors[i] = (float)check_below(&random, 1000);
    find(vectors, N_MAX, DIMS_MAX, K); /* as good as equal: it does not settle soon */
    memcpy(before, coordinates, sizeof before);
    find(vectors, N_MAX, DIMS_MAX, K);
    CHECK_MEM_EQ(coordinates, before, sizeof before);
    CHECK(shares[0] < 0.2 && shares[3] > 0.02);
}

static void wrong_arguments_are_refused(void)
{
    const int64_t two[] = {1, 2};
    const float points[] = {1, 2, 3, 4};
    const float odd[] = {1, 2, NAN, 4};
    const struct mn_trajectory t = {two, points, 2, 2};
    const struct mn_trajectory bad = {two, odd, 2, 2};

    CHECK_STATUS(mn_trajectory_principal(NULL, 1, NULL, shares, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_trajectory_principal(&t, 0, NULL, shares, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_trajectory_principal(&t, 5, NULL, shares, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_trajectory_principal(&t, 1, NULL, NULL, NULL, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_trajectory_principal(&bad, 1, NULL, shares, NULL, &err), MN_ERR_INVALID);
    CHECK_STR_EQ(err.message, "element 0 of point 1 is NaN");
    CHECK_OK(mn_trajectory_principal(&t, 1, coordinates, NULL, NULL, NULL));
    CHECK_OK(mn_trajectory_principal(&t, 1, NULL, shares, NULL, NULL));
    CHECK_OK(mn_trajectory_principal(&t, 1, NULL, NULL, axes, NULL));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(directions_are_found_by_spread),
        CHECK_TEST(sums_of_three_dimensions_come_out_by_hand),
        CHECK_TEST(fewer_directions_than_wanted_leave_zeroes),
        CHECK_TEST(far_from_zero_nothing_is_lost),
        CHECK_TEST(hidden_directions_are_found_again),
        CHECK_TEST(directions_are_eigenvectors_of_the_scatter),
        CHECK_TEST(the_same_points_give_the_same_bits),
        CHECK_TEST(wrong_arguments_are_refused),
    };

    return check_run("temporal.principal", tests, CHECK_COUNT(tests), argc, argv);
}
