/*
 * detector_test.c - the online detector: by hand, against weights that are multiplied out, stored.
 */
#include <string.h>

#include "points.h"

enum { N_POINTS = 120 };

static struct mn_error err;

static struct mn_detection fed(struct mn_detector *d, double *mean, float x)
{
    struct mn_detection result;

    CHECK_OK_ERR(mn_trajectory_detector_update(d, mean, &x, &result, &err), &err);
    return result;
}

static void first_steps_by_hand(void)
{
    struct mn_detector d;
    double mean;

    CHECK_OK_ERR(mn_trajectory_detector_init(&d, 1, NULL, &err), &err);
    CHECK(d.alpha == 0.05 && d.threshold == 3 && d.cooldown == 5 && d.warm_up == 5);
    struct mn_detection r = fed(&d, &mean, 2);
    CHECK(!r.is_change && r.z == 0 && r.deviation == 0 && mean == 2);
    r = fed(&d, &mean, 4); /* from a mean of one point: variance 1 + 1 */
    CHECK(is_near(r.deviation, sqrt(2), 1e-15) && r.z == 0 && mean == 3);
    r = fed(&d, &mean, 6);
    CHECK(is_near(r.deviation, 3 / sqrt(1.5), 1e-15) && is_near(mean, 4, 1e-15));
    CHECK(is_near(d.deviation_mean, (sqrt(2) + sqrt(6)) / 2, 1e-15));
    CHECK(is_near(sqrt(d.deviation_variance), (sqrt(6) - sqrt(2)) / 2, 1e-15));
}

/* Also where noise was taken for a change a moment before: then the jump is one of the cooldown. */
static void find_jumps(uint64_t seed)
{
    struct mn_detector d;
    double mean[64];
    float x[64];
    size_t n_changes = 0;
    size_t n_quiet = 0;

    CHECK_OK(mn_trajectory_detector_init(&d, 64, NULL, &err));
    for (size_t i = 0; i < 300; i++) {
        struct mn_detection r;

        for (size_t k = 0; k < 64; k++)
            x[k] = (float)(random_normal(&seed) + (i >= 100 ? 4 : 0) - (i >= 200 ? 9 : 0));
        CHECK_OK(mn_trajectory_detector_update(&d, mean, x, &r, &err));
        CHECK(r.z > 3 || (i != 100 && i != 200));
        CHECK(r.z == 0 || i > 4);
        CHECK(r.is_change == (r.z > 3 && n_quiet == 0));
        n_quiet = r.is_change ? 5 : n_quiet - (n_quiet > 0);
        n_changes += r.is_change;
    }
    CHECK(n_changes < 30); /* of normal noise at 3 sigma, with room for luck */
}

static void a_jump_is_a_change_once(void)
{
    find_jumps(1795352040943307); /* noise just before the first jump counts as a change */
    find_jumps(check_seed());
}

static void a_constant_is_left_at_once(void)
{
    struct mn_detector d;
    double mean;

    CHECK_OK(mn_trajectory_detector_init(&d, 1, NULL, &err));
    for (size_t i = 0; i < 20; i++)
        CHECK(fed(&d, &mean, 0.1F).z == 0);
    struct mn_detection r = fed(&d, &mean, 0.2F);
    CHECK(r.is_change && r.z == INFINITY && mean == (double)0.2F);
    CHECK(!fed(&d, &mean, 0.1F).is_change); /* cooldown */
}

static void options_are_kept_to(void)
{
    struct mn_detector_options options = {
        .size = sizeof options, .alpha = 0.5, .threshold = 0.5, .no_cooldown = true, .warm_up = 3};
    struct mn_detector d;
    double mean;
    size_t n_changes = 0;

    CHECK_OK(mn_trajectory_detector_init(&d, 1, &options, &err));
    for (size_t i = 0; i < 20; i++) { /* ever larger steps */
        struct mn_detection r = fed(&d, &mean, (float)((i % 2 == 0 ? 1 : -1) * pow(3, (double)i)));
        CHECK(r.is_change == (i >= 3));
        n_changes += r.is_change;
    }
    CHECK_EQ(n_changes, 17);
    options.cooldown = 4;
    options.no_cooldown = false;
    CHECK_OK(mn_trajectory_detector_init(&d, 1, &options, &err));
    for (size_t i = 0; i < 20; i++) {
        struct mn_detection r = fed(&d, &mean, (float)((i % 2 == 0 ? 1 : -1) * pow(3, (double)i)));
        CHECK(!r.is_change || i == 3 || (i >= 8 && i % 5 == 3) || i > 8);
        CHECK(i < 4 || i > 7 || !r.is_change);
    }
}

/* Weights of the last of `n` values with these rules, of each: multiplied out. */
static void weights_of(double alpha, size_t n, double *weights)
{
    for (size_t k = 1; k <= n; k++) {
        double weight = 1 / (double)k > alpha ? 1 / (double)k : alpha;

        for (size_t i = 0; i + 1 < k; i++)
            weights[i] *= 1 - weight;
        weights[k - 1] = weight;
    }
}

/* How far `x` is from the mean of the `n` points before it, over the root of 1 + spread. */
static double deviation_of(double alpha, const float *x, size_t n, size_t n_dims)
{
    double weights[N_POINTS];
    double square = 0;
    double spread = 0;

    weights_of(alpha, n, weights);
    for (size_t k = 0; k < n; k++)
        spread += weights[k] * weights[k];
    for (size_t d = 0; d < n_dims; d++) {
        double mean = 0;

        for (size_t k = 0; k < n; k++)
            mean += weights[k] * (double)*(x + d - (n - k) * n_dims);
        square += ((double)x[d] - mean) * ((double)x[d] - mean);
    }
    return sqrt(square / (1 + spread));
}

static double z_of(double alpha, double deviation, const double *deviations, size_t n)
{
    double weights[N_POINTS];
    double mean = 0;
    double variance = 0;

    weights_of(alpha, n, weights);
    for (size_t k = 0; k < n; k++)
        mean += weights[k] * deviations[k];
    for (size_t k = 0; k < n; k++)
        variance += weights[k] * (deviations[k] - mean) * (deviations[k] - mean);
    if (alpha == 1) /* only the last deviation counts: there is no variance */
        return deviation > mean ? INFINITY : 0;
    return (deviation - mean) / sqrt(variance);
}

static void it_is_what_the_formulas_say(void)
{
    enum { N_DIMS = 3 };
    uint64_t seed = check_seed();
    size_t n_changes = 0;

    for (size_t round = 0; round < 50; round++) {
        struct mn_detector_options options = {
            .size = sizeof options,
            .alpha = (double)(1 + check_below(&seed, 20)) / 20,
            .threshold = 0.5 + (double)check_below(&seed, 4),
            .cooldown = 1 + (uint32_t)check_below(&seed, 9),
            .warm_up = 3 + (uint32_t)check_below(&seed, 20),
        };
        struct points p = points_new(&seed, N_POINTS, N_DIMS);
        struct mn_detector d;
        double mean[N_DIMS];
        double deviations[N_POINTS];
        size_t n_deviations = 0;
        size_t begin = 0; /* of the mean */
        size_t quiet = 0; /* no change before this point */

        CHECK_OK(mn_trajectory_detector_init(&d, N_DIMS, &options, &err));
        for (size_t i = 0; i < N_POINTS; i++) {
            const float *x = p.vectors + i * N_DIMS;
            struct mn_detection r;

            CHECK_OK(mn_trajectory_detector_update(&d, mean, x, &r, &err));
            if (i == 0)
                continue;
            double deviation = deviation_of(options.alpha, x, i - begin, N_DIMS);
            double z =
                i < options.warm_up ? 0 : z_of(options.alpha, deviation, deviations, n_deviations);
            CHECK(is_near(r.deviation, deviation, 1e-12));
            CHECK(r.z == z || is_near(r.z, z, 1e-6));
            CHECK(r.is_change == (r.z > options.threshold && i >= quiet));
            if (r.is_change) {
                begin = i;
                quiet = i + 1 + options.cooldown;
                n_changes++;
            } else {
                deviations[n_deviations++] = deviation;
            }
        }
        points_free(&p);
    }
    CHECK(n_changes > 50);
}

static void state_can_be_stored(void)
{
    uint64_t seed = check_seed();
    struct mn_detector d;
    struct mn_detector restored;
    double mean;
    double restored_mean;
    char bytes[sizeof d + sizeof mean];

    CHECK_OK(mn_trajectory_detector_init(&d, 1, NULL, &err));
    for (size_t i = 0; i < 30; i++)
        (void)fed(&d, &mean, random_float(&seed));
    memcpy(bytes, &d, sizeof d);
    memcpy(bytes + sizeof d, &mean, sizeof mean);
    memcpy(&restored, bytes, sizeof d);
    memcpy(&restored_mean, bytes + sizeof d, sizeof mean);
    for (size_t i = 0; i < 30; i++) {
        float x = random_float(&seed);
        struct mn_detection r = fed(&d, &mean, x);
        struct mn_detection again = fed(&restored, &restored_mean, x);

        CHECK(r.is_change == again.is_change && r.z == again.z && r.deviation == again.deviation);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(first_steps_by_hand),         CHECK_TEST(a_jump_is_a_change_once),
        CHECK_TEST(a_constant_is_left_at_once),  CHECK_TEST(options_are_kept_to),
        CHECK_TEST(it_is_what_the_formulas_say), CHECK_TEST(state_can_be_stored),
    };

    return check_run("temporal.detector", tests, CHECK_COUNT(tests), argc, argv);
}
