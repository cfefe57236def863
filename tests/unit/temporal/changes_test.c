/*
 * changes_test.c - changes against the optimum over all segmentations, found slowly.
 */
#include <string.h>

#include "base/mem.h"
#include "points.h"

enum { N_MAX = 900 };

static struct mn_error err;

/* Cost of the points from `first` to `end` - 1, in two passes. */
static double cost_of(const struct mn_trajectory *t, size_t first, size_t end)
{
    double cost = 0;

    for (size_t d = 0; d < t->n_dims; d++) {
        double mean = 0;

        for (size_t i = first; i < end; i++)
            mean += (double)t->vectors[i * t->n_dims + d];
        mean /= (double)(end - first);
        for (size_t i = first; i < end; i++) {
            double above = (double)t->vectors[i * t->n_dims + d] - mean;

            cost += above * above;
        }
    }
    return cost;
}

/* The least cost of all segmentations, with penalties: for each number of points the best last
 * segment, whose cost grows point by point from its end (Welford). */
static double least_cost(const struct mn_trajectory *t, size_t min_points, double penalty)
{
    static double least[N_MAX + 1];
    long double mean[8]; /* far from 0, doubles would not do */

    CHECK(t->n_points <= N_MAX && t->n_dims <= 8);
    for (size_t end = 1; end <= t->n_points; end++) {
        long double cost = 0;

        least[end] = INFINITY;
        memset(mean, 0, sizeof mean);
        for (size_t first = end; first-- > 0;) {
            long double n = (long double)(end - first);

            for (size_t d = 0; d < t->n_dims; d++) {
                long double x = (long double)t->vectors[first * t->n_dims + d];
                long double above = x - mean[d];

                mean[d] += above / n;
                cost += above * (x - mean[d]);
            }
            double sum = (first > 0 ? least[first] + penalty : 0) + (double)cost;
            if (end - first >= min_points && sum < least[end])
                least[end] = sum;
        }
    }
    return least[t->n_points] < INFINITY ? least[t->n_points] : cost_of(t, 0, t->n_points);
}

/* That the changes are those of a segmentation that costs as little as any. */
static struct mn_changes check_optimum(const struct mn_trajectory *t,
                                       const struct mn_changes_options *options)
{
    size_t changes[N_MAX];
    size_t min_points = options == NULL || options->min_points == 0 ? 2 : options->min_points;
    struct mn_changes result;
    double cost = 0;
    double spread = t->n_points > 0 ? cost_of(t, 0, t->n_points) : 0;
    size_t first = 0;

    CHECK_OK_ERR(mn_trajectory_changes(t, options, changes, N_MAX, &result, &err), &err);
    if (t->n_points == 0)
        return result;
    CHECK(result.n_changes < t->n_points);
    for (size_t i = 0; i <= result.n_changes; i++) {
        size_t end = i < result.n_changes ? changes[i] : t->n_points;

        CHECK(end > first && (result.n_changes == 0 || end - first >= min_points));
        cost += cost_of(t, first, end);
        first = end;
    }
    double tolerance = spread * 0x1p-36;
    double least = least_cost(t, min_points, result.penalty);
    double got = cost + result.penalty * (double)result.n_changes;
    CHECK(fabs(result.cost - cost) <= tolerance);
    CHECK(fabs(got - least) <= tolerance);
    return result;
}

static void steps_are_found(void)
{
    enum { N = 12 };
    const float levels[N] = {1, 1, 1, 1, 5, 5, 5, 5, 5, 2, 2, 2};
    float vectors[N * 2];
    int64_t times[N];
    const struct mn_trajectory t = {times, vectors, N, 2};
    size_t changes[N / 2];
    struct mn_changes result;

    for (size_t i = 0; i < N; i++) {
        times[i] = INT64_MIN + (int64_t)i;
        vectors[2 * i] = levels[i] * 0.1F;
        vectors[2 * i + 1] = 7;
    }
    times[N - 1] = INT64_MAX;
    CHECK_OK_ERR(mn_trajectory_changes(&t, NULL, changes, N / 2, &result, &err), &err);
    CHECK_EQ(result.n_changes, 2); /* without noise, too */
    CHECK_EQ(changes[0], 4);
    CHECK_EQ(changes[1], 9);
    CHECK(result.noise == 0 && result.cost < 1e-9 && result.penalty > 0 && result.penalty < 1e-9);
    changes[1] = 77;
    CHECK_OK(mn_trajectory_changes(&t, NULL, changes, 1, &result, &err));
    CHECK(result.n_changes == 2 && changes[0] == 4 && changes[1] == 77);
    CHECK_OK(mn_trajectory_changes(&t, NULL, NULL, 0, NULL, &err));
}

static void penalty_is_that_of_the_header(void)
{
    const int64_t times[] = {1, 2, 3, 4, 5, 6};
    const float vectors[] = {0, 1, 0, 2, 2, 5}; /* squared steps: 1 1 4 0 9, the median is 1 */
    const struct mn_trajectory t = {times, vectors, 6, 1};
    double noise = 1 / (2 * pow(1 - 2.0 / 9, 3));
    struct mn_changes result;

    CHECK_OK(mn_trajectory_changes(&t, NULL, NULL, 0, &result, &err));
    CHECK(is_near(result.noise, noise, 1e-15));
    CHECK(is_near(result.penalty, 2 * log(6) * noise, 1e-15));
    /* all cost 17 1/3; 0 1 0 and 2 2 5 cost 2/3 + 6 */
    CHECK(result.n_changes == 1 && is_near(result.cost, 20.0 / 3, 1e-14));
    struct mn_changes_options options = {.size = sizeof options, .has_penalty = true};
    options.penalty = 10.6;
    CHECK_OK(mn_trajectory_changes(&t, &options, NULL, 0, &result, &err));
    CHECK(result.n_changes == 1 && result.penalty == options.penalty);
    options.penalty = 10.7;
    CHECK_OK(mn_trajectory_changes(&t, &options, NULL, 0, &result, &err));
    CHECK(result.n_changes == 0 && is_near(result.cost, 34 - 100.0 / 6, 1e-14));
}

static void few_or_equal_points_do_not_change(void)
{
    const int64_t times[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const float vectors[8 * 3] = {0};
    struct mn_trajectory t = {times, vectors, 0, 3};
    struct mn_changes_options options = {.size = sizeof options, .has_penalty = true};

    for (; t.n_points <= 8; t.n_points++) {
        for (size_t m = 0; m < 4; m++) {
            options.min_points = m;
            CHECK_EQ(check_optimum(&t, &options).n_changes, 0);
        }
        CHECK_EQ(check_optimum(&t, NULL).n_changes, 0);
    }
    struct mn_changes result;
    options.penalty = 3.78;
    t.n_points = 0;
    CHECK_OK(mn_trajectory_changes(&t, &options, NULL, 0, &result, &err));
    CHECK(result.n_changes == 0 && result.penalty == options.penalty && result.cost == 0);
    options.min_points = SIZE_MAX;
    t.n_points = 8;
    CHECK_OK(mn_trajectory_changes(&t, &options, NULL, 0, NULL, &err));
    CHECK_OK(
        mn_trajectory_changes(&(struct mn_trajectory){.n_dims = 1}, NULL, NULL, 0, NULL, &err));
}

/* Whole numbers, of which few differ: many segmentations cost the same. */
static void small_inputs_have_their_optimum(void)
{
    uint64_t seed = check_seed();
    size_t n_changes = 0;

    for (size_t round = 0; round < 4000; round++) {
        struct points p =
            points_new(&seed, check_below(&seed, 25), 1 + (uint32_t)check_below(&seed, 3));
        struct mn_changes_options options = {
            .size = sizeof options,
            .has_penalty = round % 4 != 0,
            .penalty = (double)check_below(&seed, 8) / 2,
            .min_points = check_below(&seed, 5),
        };

        for (size_t i = 0; i < p.t.n_points * p.t.n_dims; i++)
            p.vectors[i] = round % 3 == 0 ? random_float(&seed) : (float)check_below(&seed, 4);
        n_changes += check_optimum(&p.t, &options).n_changes;
        points_free(&p);
    }
    CHECK(n_changes > 4000);
}

/* Levels that jump, drift, swing or stay, with noise or nearly without. */
static void fill(uint64_t *seed, struct points *p)
{
    unsigned kind = (unsigned)check_below(seed, 6);
    size_t n_between = 3 + check_below(seed, 150);
    double noise = check_below(seed, 3) == 0 ? 1e-3 : 1;
    double step = pow(10, -(double)check_below(seed, 4));
    double offset = check_below(seed, 4) == 0 ? 1e6 : 0;
    double level[8] = {0};

    for (size_t i = 0; i < p->t.n_points; i++) {
        for (size_t d = 0; d < p->t.n_dims; d++) {
            if (kind == 0 && i % n_between == 0)
                level[d] = 3 * random_normal(seed);
            if (kind == 1)
                level[d] += step;
            if (kind == 2)
                level[d] += step * random_normal(seed);
            if (kind == 3)
                level[d] = 3 * sin((double)i / (double)n_between + (double)d);
            if (kind == 4 && check_below(seed, n_between) == 0)
                level[d] += random_normal(seed);
            p->vectors[i * p->t.n_dims + d] =
                (float)(offset + level[d] + noise * random_normal(seed));
        }
    }
}

static void long_inputs_have_their_optimum(void)
{
    uint64_t seed = check_seed();

    for (size_t round = 0; round < 120; round++) {
        struct points p = points_new(&seed, 64 + check_below(&seed, N_MAX - 63),
                                     1 + (uint32_t)check_below(&seed, 8));
        struct mn_changes_options options = {
            .size = sizeof options,
            .has_penalty = check_below(&seed, 2) == 0,
            .penalty = pow(10, (double)check_below(&seed, 7) - 2),
            .min_points = check_below(&seed, 3) == 0 ? check_below(&seed, 300)
                                                     : check_below(&seed, 8),
        };

        fill(&seed, &p);
        check_optimum(&p.t, &options);
        points_free(&p);
    }
}

/* Sums over many points lose little: costs are right to nearly the last bits of that of all. */
static void costs_of_many_points_are_exact(void)
{
    enum { N = 200000 };
    uint64_t seed = check_seed();
    struct points p = points_new(&seed, N, 1);
    struct mn_changes_options options = {
        .size = sizeof options, .has_penalty = true, .penalty = 1e6};

    for (size_t step = 0; step <= 8; step += 8) {
        size_t n_segments = step == 0 ? 1 : 2;
        size_t change = 0;
        struct mn_changes result;
        long double sums[2] = {0};
        long double cost = 0;

        for (size_t i = 0; i < N; i++) {
            p.vectors[i] = 2 + random_float(&seed) + (float)(i < N / 2 ? 0 : step);
            sums[i * n_segments / N] += (long double)p.vectors[i];
        }
        for (size_t i = 0; i < N; i++) {
            long double mean = sums[i * n_segments / N] * (long double)n_segments / N;

            cost += ((long double)p.vectors[i] - mean) * ((long double)p.vectors[i] - mean);
        }
        CHECK_OK(mn_trajectory_changes(&p.t, &options, &change, 1, &result, &err));
        CHECK_EQ(result.n_changes, n_segments - 1);
        CHECK(step == 0 || change == N / 2);
        CHECK(fabs(result.cost - (double)cost) <= (step == 0 ? 1 : 50) * (double)cost * 0x1p-50);
    }
    points_free(&p);
}

static bool is_over(void *context)
{
    size_t *n_left = context;

    return (*n_left)-- == 0;
}

static void a_search_can_be_cancelled(void)
{
    enum { N = 20000, N_DIMS = 128 };
    uint64_t seed = check_seed();
    struct points p = points_new(&seed, N, N_DIMS);
    struct mn_changes_options options = {.size = sizeof options, .is_cancelled = is_over};
    size_t n_asked = SIZE_MAX;
    size_t change = 77;
    struct mn_changes result = {.n_changes = 99};

    options.cancel_context = &n_asked;
    CHECK_OK(mn_trajectory_changes(&p.t, &options, NULL, 0, NULL, &err));
    n_asked = SIZE_MAX - n_asked;
    CHECK(n_asked > 7); /* three passes of 2.5 million additions, and the search */
    for (size_t n = 0; n < n_asked; n += n_asked / 8) {
        size_t n_left = n;

        options.cancel_context = &n_left;
        CHECK_STATUS(mn_trajectory_changes(&p.t, &options, &change, 1, &result, &err),
                     MN_ERR_CANCELLED);
        CHECK(result.n_changes == 99 && change == 77 && n_left == SIZE_MAX);
    }
    points_free(&p);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static bool count(void *context)
{
    size_t *n_asked = context;

    ++*n_asked;
    return false;
}

/* It is asked once for a million additions: so these are counted. Comparing all starts with all
 * points would take 6,400 of them, and those since the last change still some hundred. */
static void few_starts_are_compared(void)
{
    enum { N = 20000, N_DIMS = 32 };
    uint64_t seed = check_seed();
    struct points p = points_new(&seed, N, N_DIMS);

    for (size_t kind = 0; kind < 3; kind++) {
        size_t n_asked = 0;
        struct mn_changes_options options = {
            .size = sizeof options, .is_cancelled = count, .cancel_context = &n_asked};
        struct mn_changes result;

        for (size_t i = 0; i < N * N_DIMS; i++) {
            size_t point = i / N_DIMS;
            double level = kind == 0   ? (double)(point / 300 % 2) /* jumps */
                           : kind == 1 ? (double)point / 3000      /* a steady drift */
                                       : 0;

            p.vectors[i] = (float)(level + random_normal(&seed));
        }
        CHECK_OK(mn_trajectory_changes(&p.t, &options, NULL, 0, &result, &err));
        CHECK(kind == 0 ? result.n_changes == 66 : kind == 1 || result.n_changes == 0);
        CHECK(n_asked < (kind == 0 ? 30 : 100));
    }
    points_free(&p);
}

static void memory_may_be_short(void)
{
    uint64_t seed = check_seed();
    struct points p = points_new(&seed, N_MAX, 2);
    struct mn_changes expected;
    struct mn_changes result = {.n_changes = 99};
    mn_status st = MN_ERR_NOMEM;
    uint64_t call = 0;

    CHECK_OK(mn_trajectory_changes(&p.t, NULL, NULL, 0, &expected, &err));
    while (st == MN_ERR_NOMEM) {
        size_t change = 77;

        mni_mem_fail_at(++call);
        st = mn_trajectory_changes(&p.t, NULL, &change, 1, &result, &err);
        CHECK((st == MN_ERR_NOMEM) == mni_mem_fail_was_hit());
        CHECK(st == MN_OK || (change == 77 && result.n_changes == 99));
        mni_mem_fail_at(0);
        CHECK_EQ(mni_mem_live_blocks(), 0);
    }
    CHECK_OK(st);
    CHECK(call > 10);
    CHECK_MEM_EQ(&result, &expected, sizeof result);
    points_free(&p);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(steps_are_found),
        CHECK_TEST(penalty_is_that_of_the_header),
        CHECK_TEST(few_or_equal_points_do_not_change),
        CHECK_TEST(small_inputs_have_their_optimum),
        CHECK_TEST(long_inputs_have_their_optimum),
        CHECK_TEST(costs_of_many_points_are_exact),
        CHECK_TEST(a_search_can_be_cancelled),
        CHECK_TEST(few_starts_are_compared),
        CHECK_TEST(memory_may_be_short),
    };

    return check_run("temporal.changes", tests, CHECK_COUNT(tests), argc, argv);
}
