/*
 * smooth_test.c - moving averages and grids: by hand, against slow references, at the ends of time.
 */
#include <string.h>

#include "base/mem.h"
#include "points.h"

static struct mn_error err;

static void average_is_over_the_last_points(void)
{
    const int64_t times[] = {1, 2, 3, 4, 5};
    const float vectors[] = {2, 4, 6, 8, 13};
    const struct mn_trajectory t = {times, vectors, 5, 1};
    const float expected[] = {2, 3, 4, 6, 9};
    float got[5];

    CHECK_OK_ERR(mn_trajectory_moving_average(&t, 3, got, &err), &err);
    CHECK_MEM_EQ(got, expected, sizeof got);
    CHECK_OK(mn_trajectory_moving_average(&t, 1, got, &err));
    CHECK_MEM_EQ(got, vectors, sizeof got);
    CHECK_OK(mn_trajectory_moving_average(&t, SIZE_MAX, got, &err));
    CHECK(got[4] == 33.0F / 5);
    CHECK_OK(mn_trajectory_moving_average(&(struct mn_trajectory){.n_dims = 4}, 2, NULL, &err));
}

static void averages_are_those_of_fresh_sums(void)
{
    uint64_t seed = check_seed();

    for (size_t round = 0; round < 300; round++) {
        struct points p =
            points_new(&seed, check_below(&seed, 60), 1 + (uint32_t)check_below(&seed, 40));
        size_t window = 1 + check_below(&seed, 70);
        size_t n_dims = p.t.n_dims;
        float *got = malloc(p.t.n_points * n_dims * sizeof *got + 1);

        CHECK_OK(mn_trajectory_moving_average(&p.t, window, got, &err));
        for (size_t i = 0; i < p.t.n_points; i++) {
            size_t first = i + 1 > window ? i + 1 - window : 0;

            for (size_t d = 0; d < n_dims; d++) {
                double sum = 0;

                for (size_t j = first; j <= i; j++)
                    sum += (double)p.vectors[j * n_dims + d];
                CHECK(is_near(got[i * n_dims + d], sum / (double)(i + 1 - first), 1e-7));
            }
        }
        free(got);
        points_free(&p);
    }
}

static void what_left_the_window_is_forgotten(void)
{
    static const float odd[] = {3e38F, NAN, INFINITY};
    enum { N = 5000, WINDOW = 7 };
    int64_t times[N];
    float vectors[N];
    float got[N];
    const struct mn_trajectory t = {times, vectors, N, 1};

    for (size_t k = 0; k < CHECK_COUNT(odd); k++) {
        for (size_t i = 0; i < N; i++) {
            times[i] = (int64_t)i;
            vectors[i] = 0.1F;
        }
        vectors[100] = odd[k];
        CHECK_OK(mn_trajectory_moving_average(&t, WINDOW, got, &err));
        for (size_t i = 0; i < N; i++)
            CHECK((i >= 100 && i < 100 + WINDOW) != (got[i] == 0.1F));
    }
}

static void averages_may_lack_memory(void)
{
    const int64_t times[] = {1, 2, 3};
    const float vectors[] = {1, 2, 3};
    const struct mn_trajectory t = {times, vectors, 3, 1};
    float got[3] = {9, 9, 9};

    mni_mem_fail_at(1);
    CHECK_STATUS(mn_trajectory_moving_average(&t, 2, got, &err), MN_ERR_NOMEM);
    mni_mem_fail_at(0);
    CHECK(got[0] == 9);
    CHECK_OK(mn_trajectory_moving_average(&t, 2, got, &err));
    CHECK(got[0] == 1 && got[2] == 2.5F);
    CHECK_EQ(mni_mem_live_blocks(), 0);
}

static void grid_by_hand(void)
{
    const int64_t times[] = {10, 20, 40};
    const float vectors[] = {1, 100, 2, 200, 4, 0};
    const struct mn_trajectory t = {times, vectors, 3, 2};
    const float last[] = {1, 100, 1, 100, 2, 200, 2, 200, 2, 200, 2, 200, 4, 0, 4, 0};
    const float linear[] = {1, 100, 1.5F, 150, 2, 200, 2.5F, 150, 3, 100, 3.5F, 50, 4, 0, 4, 0};
    float got[20];
    size_t n_before = 99;

    CHECK_OK_ERR(mn_trajectory_resample(&t, MN_RESAMPLE_LAST, 0, 5, 10, got, &n_before, &err),
                 &err);
    CHECK_EQ(n_before, 2);
    CHECK(isnan(got[0]) && isnan(got[1]) && isnan(got[2]) && isnan(got[3]));
    CHECK_MEM_EQ(got + 4, last, sizeof last);
    CHECK_OK(mn_trajectory_resample(&t, MN_RESAMPLE_LINEAR, 0, 5, 10, got, &n_before, &err));
    CHECK_EQ(n_before, 2);
    CHECK(isnan(got[0]) && isnan(got[3]));
    CHECK_MEM_EQ(got + 4, linear, sizeof linear);
    CHECK_OK(mn_trajectory_resample(&t, MN_RESAMPLE_LINEAR, 20, 1, 0, NULL, &n_before, &err));
    CHECK_EQ(n_before, 0);
    CHECK_OK(mn_trajectory_resample(&(struct mn_trajectory){.n_dims = 1}, MN_RESAMPLE_LAST, 0, 1, 3,
                                    got, &n_before, &err));
    CHECK(n_before == 3 && isnan(got[2]));
}

static void grids_are_as_of_their_times(void)
{
    uint64_t seed = check_seed();

    for (size_t round = 0; round < 500; round++) {
        struct points p =
            points_new(&seed, check_below(&seed, 20), 1 + (uint32_t)check_below(&seed, 5));
        size_t n_dims = p.t.n_dims;
        size_t n = check_below(&seed, 60);
        int64_t first = p.t.n_points > 0 ? p.times_us[0] : 0;
        int64_t start = first - (int64_t)check_below(&seed, 2000);
        int64_t step = 1 + (int64_t)check_below(&seed, 500);
        float *got = malloc(n * n_dims * sizeof *got + 1);
        size_t n_before = 0;
        mn_resample way = check_below(&seed, 2) == 0 ? MN_RESAMPLE_LAST : MN_RESAMPLE_LINEAR;

        CHECK_OK(mn_trajectory_resample(&p.t, way, start, step, n, got, &n_before, &err));
        for (size_t i = 0; i < n; i++) {
            int64_t time_us = start + (int64_t)i * step;
            size_t until = 0;

            while (until < p.t.n_points && p.times_us[until] <= time_us)
                until++;
            CHECK((until == 0) == (i < n_before));
            for (size_t d = 0; d < n_dims; d++) {
                float x = got[i * n_dims + d];
                if (until == 0) {
                    CHECK(isnan(x));
                    continue;
                }
                double a = (double)p.vectors[(until - 1) * n_dims + d];
                if (way == MN_RESAMPLE_LINEAR && until < p.t.n_points) {
                    double b = (double)p.vectors[until * n_dims + d];
                    double share = (double)(time_us - p.times_us[until - 1]) /
                                   (double)(p.times_us[until] - p.times_us[until - 1]);

                    a = a * (1 - share) + b * share;
                }
                CHECK(is_near(x, a, 1e-7));
            }
        }
        free(got);
        points_free(&p);
    }
}

static void grids_reach_from_end_to_end_of_time(void)
{
    const int64_t times[] = {INT64_MIN, INT64_MAX};
    const float vectors[] = {0, 4};
    const struct mn_trajectory t = {times, vectors, 2, 1};
    int64_t quarter = INT64_C(1) << 62;
    float got[5];
    size_t n_before;

    CHECK_OK_ERR(
        mn_trajectory_resample(&t, MN_RESAMPLE_LINEAR, INT64_MIN, quarter, 4, got, &n_before, &err),
        &err);
    CHECK(got[0] == 0 && got[1] == 1 && got[2] == 2 && got[3] == 3 && n_before == 0);
    CHECK_STATUS(
        mn_trajectory_resample(&t, MN_RESAMPLE_LINEAR, INT64_MIN, quarter, 5, got, &n_before, &err),
        MN_ERR_INVALID);
    CHECK_OK(mn_trajectory_resample(&t, MN_RESAMPLE_LAST, INT64_MAX - 1, 1, 2, got, NULL, &err));
    CHECK(got[0] == 0 && got[1] == 4);
    CHECK_OK(
        mn_trajectory_resample(&t, MN_RESAMPLE_LAST, INT64_MAX, INT64_MAX, 1, got, NULL, &err));
    CHECK_STATUS(mn_trajectory_resample(&t, MN_RESAMPLE_LAST, INT64_MAX, 1, 2, got, NULL, &err),
                 MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, "last time");
}

static void points_that_are_met_stay_as_they_are(void)
{
    const int64_t times[] = {0, 2, 4};
    const float vectors[] = {INFINITY, NAN, -0.0F};
    const struct mn_trajectory t = {times, vectors, 3, 1};
    float got[5];

    CHECK_OK(mn_trajectory_resample(&t, MN_RESAMPLE_LINEAR, 0, 1, 5, got, NULL, &err));
    CHECK(got[0] == INFINITY && isnan(got[1]) && isnan(got[2]) && isnan(got[3]));
    CHECK_MEM_EQ(&got[2], &vectors[1], sizeof *got);
    CHECK_MEM_EQ(&got[4], &vectors[2], sizeof *got);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(average_is_over_the_last_points),
        CHECK_TEST(averages_are_those_of_fresh_sums),
        CHECK_TEST(what_left_the_window_is_forgotten),
        CHECK_TEST(averages_may_lack_memory),
        CHECK_TEST(grid_by_hand),
        CHECK_TEST(grids_are_as_of_their_times),
        CHECK_TEST(grids_reach_from_end_to_end_of_time),
        CHECK_TEST(points_that_are_met_stay_as_they_are),
    };

    return check_run("temporal.smooth", tests, CHECK_COUNT(tests), argc, argv);
}
