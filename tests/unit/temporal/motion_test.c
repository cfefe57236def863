/*
 * motion_test.c - velocity, acceleration and path length: by hand, against a slow reference, at the
 * ends of time.
 */
#include "points.h"

#define SECOND INT64_C(1000000)

static struct mn_error err;

static void velocity_is_per_unit_of_time(void)
{
    const int64_t times[] = {-SECOND, SECOND, 11 * SECOND};
    const float vectors[] = {0, 0, 6, 8, 6, -2};
    const struct mn_trajectory t = {times, vectors, 3, 2};
    float v[4];
    double speeds[2];

    CHECK_OK_ERR(mn_trajectory_velocity(&t, SECOND, v, speeds, &err), &err);
    CHECK(v[0] == 3 && v[1] == 4 && v[2] == 0 && v[3] == -1);
    CHECK(speeds[0] == 5 && speeds[1] == 1);
    CHECK_OK(mn_trajectory_velocity(&t, 60 * SECOND, v, NULL, NULL));
    CHECK(v[0] == 180 && v[3] == -60);
    CHECK_OK(mn_trajectory_velocity(&t, 1, NULL, speeds, NULL));
    CHECK(is_near(speeds[0], 5e-6, 1e-15));
}

static void acceleration_is_that_of_a_fall_whatever_the_steps(void)
{
    const int64_t times[] = {0, SECOND, 3 * SECOND, 4 * SECOND, 10 * SECOND};
    float vectors[5 * 2];
    const struct mn_trajectory t = {times, vectors, 5, 2};
    float a[3 * 2];
    double lengths[3];

    for (size_t i = 0; i < 5; i++) {
        float s = (float)(times[i] / SECOND);

        vectors[2 * i] = 5 * s * s - 7 * s + 1; /* 10 a second squared */
        vectors[2 * i + 1] = 3 * s;             /* uniform */
    }
    CHECK_OK_ERR(mn_trajectory_acceleration(&t, SECOND, a, lengths, &err), &err);
    for (size_t i = 0; i < 3; i++)
        CHECK(a[2 * i] == 10 && a[2 * i + 1] == 0 && lengths[i] == 10);
    CHECK_OK(mn_trajectory_acceleration(&t, 2 * SECOND, a, NULL, NULL));
    CHECK(a[0] == 40);
}

static void way_is_the_sum_of_steps(void)
{
    const int64_t times[] = {1, 2, 3, 4};
    const float vectors[] = {0, 0, 3, 4, 3, 4, 3, 16};
    const struct mn_trajectory t = {times, vectors, 4, 2};
    double length = -1;

    CHECK_OK_ERR(mn_trajectory_path_length(&t, &length, &err), &err);
    CHECK(length == 17);
}

static void few_points_do_not_move(void)
{
    const int64_t times[] = {5, 6};
    const float vectors[] = {1, 2};
    struct mn_trajectory t = {times, vectors, 0, 1};
    float v[2] = {7, 7};
    double speeds[2] = {7, 7};

    for (; t.n_points < 2; t.n_points++) {
        double length = -1;

        CHECK_OK(mn_trajectory_velocity(&t, 1, v, speeds, &err));
        CHECK_OK(mn_trajectory_acceleration(&t, 1, v, speeds, &err));
        CHECK_OK(mn_trajectory_path_length(&t, &length, &err));
        CHECK(length == 0);
    }
    CHECK_OK(mn_trajectory_acceleration(&t, 1, v, speeds, &err));
    CHECK(v[0] == 7 && speeds[0] == 7);
    CHECK_OK(mn_trajectory_velocity(&t, 1, v, speeds, &err));
    CHECK(v[0] == 1 && speeds[0] == 1 && v[1] == 7 && speeds[1] == 7);
    CHECK_OK(mn_trajectory_path_length(&(struct mn_trajectory){.n_dims = 1}, speeds, &err));
}

static void all_of_time_may_pass(void)
{
    const int64_t times[] = {INT64_MIN, 0, INT64_MAX};
    const float vectors[] = {0, 1, 3};
    const struct mn_trajectory t = {times, vectors, 3, 1};
    const struct mn_trajectory ends = {(const int64_t[]){INT64_MIN, INT64_MAX}, vectors, 2, 1};
    double speeds[2];

    CHECK_OK_ERR(mn_trajectory_velocity(&t, INT64_MAX, NULL, speeds, &err), &err);
    CHECK(is_near(speeds[0], 1, 1e-15) && is_near(speeds[1], 2, 1e-15));
    CHECK_OK(mn_trajectory_velocity(&ends, INT64_MAX, NULL, speeds, &err));
    CHECK(is_near(speeds[0], 0.5, 1e-15));
    CHECK_OK(mn_trajectory_acceleration(&t, INT64_MAX, NULL, speeds, &err));
    CHECK(is_near(speeds[0], 1, 1e-15));
}

static void it_is_what_the_formulas_say(void)
{
    uint64_t seed = check_seed();

    for (size_t round = 0; round < 200; round++) {
        struct points p =
            points_new(&seed, 3 + check_below(&seed, 20), 1 + (uint32_t)check_below(&seed, 70));
        size_t n = p.t.n_points;
        size_t n_dims = p.t.n_dims;
        double unit = 1 + (double)check_below(&seed, 1000);
        float *v = malloc(n * n_dims * sizeof *v);
        float *a = malloc(n * n_dims * sizeof *a);
        double *speeds = malloc(n * sizeof *speeds);
        double *lengths = malloc(n * sizeof *lengths);
        double way = 0;
        double length;

        CHECK_OK(mn_trajectory_velocity(&p.t, (int64_t)unit, v, speeds, &err));
        CHECK_OK(mn_trajectory_acceleration(&p.t, (int64_t)unit, a, lengths, &err));
        CHECK_OK(mn_trajectory_path_length(&p.t, &length, &err));
        for (size_t i = 0; i + 1 < n; i++) {
            const float *x = p.vectors + i * n_dims;
            double dt = (double)(p.times_us[i + 1] - p.times_us[i]);
            double l2 = 0;
            double a2 = 0;

            for (size_t d = 0; d < n_dims; d++) {
                double w = ((double)x[n_dims + d] - (double)x[d]) / dt * unit;

                l2 += w * w;
                CHECK(is_near(v[i * n_dims + d], w, 1e-6));
                if (i + 2 == n)
                    continue;
                double next_dt = (double)(p.times_us[i + 2] - p.times_us[i + 1]);
                double u = ((double)x[2 * n_dims + d] - (double)x[n_dims + d]) / next_dt * unit;
                double c = (u - w) / ((dt + next_dt) / 2) * unit;
                a2 += c * c;
                CHECK(is_near(a[i * n_dims + d], c, 1e-6));
            }
            CHECK(is_near(speeds[i], sqrt(l2), 1e-12));
            CHECK(i + 2 == n || is_near(lengths[i], sqrt(a2), 1e-12));
            way += sqrt(l2) * dt / unit;
        }
        CHECK(is_near(length, way, 1e-12));
        points_free(&p);
        free(v);
        free(a);
        free(speeds);
        free(lengths);
    }
}

static void what_is_not_finite_touches_its_neighbours_only(void)
{
    const int64_t times[] = {1, 2, 3, 4, 5};
    const float vectors[] = {0, 0, NAN, 0, 1, INFINITY, 2, INFINITY, 3, 3e38F};
    const struct mn_trajectory t = {times, vectors, 5, 2};
    float v[8];
    double speeds[4];
    double length;

    CHECK_OK(mn_trajectory_velocity(&t, 1, v, speeds, &err));
    CHECK(isnan(v[0]) && v[1] == 0 && isnan(speeds[0]));
    CHECK(isnan(v[2]) && v[3] == INFINITY && isnan(speeds[1]));
    CHECK(v[4] == 1 && isnan(v[5]) && v[6] == 1 && v[7] == -INFINITY && speeds[3] == INFINITY);
    CHECK_OK(mn_trajectory_path_length(&t, &length, &err));
    CHECK(isnan(length));
}

static void large_elements_have_lengths(void)
{
    const int64_t times[] = {1, 2};
    const float vectors[] = {-3e38F, 3e38F, 3e38F, -3e38F};
    const struct mn_trajectory t = {times, vectors, 2, 2};
    float v[2];
    double speed;
    double length;

    CHECK_OK(mn_trajectory_velocity(&t, 1, v, &speed, &err));
    CHECK(v[0] == INFINITY && v[1] == -INFINITY);
    CHECK(is_near(speed / 6e38, sqrt(2), 1e-6));
    CHECK_OK(mn_trajectory_path_length(&t, &length, &err));
    CHECK(length == speed);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(velocity_is_per_unit_of_time),
        CHECK_TEST(acceleration_is_that_of_a_fall_whatever_the_steps),
        CHECK_TEST(way_is_the_sum_of_steps),
        CHECK_TEST(few_points_do_not_move),
        CHECK_TEST(all_of_time_may_pass),
        CHECK_TEST(it_is_what_the_formulas_say),
        CHECK_TEST(what_is_not_finite_touches_its_neighbours_only),
        CHECK_TEST(large_elements_have_lengths),
    };

    return check_run("temporal.motion", tests, CHECK_COUNT(tests), argc, argv);
}
