/*
 * distance_test.c - drift, what moved most, and distances over time.
 */
#include <string.h>

#include "points.h"

static struct mn_error err;

static void drift_by_hand(void)
{
    const float from[] = {3, 0, 1, 0};
    const float to[] = {0, 3, 1, -0.5F};
    struct mn_drift_dimension moved[3];
    struct mn_drift drift;

    CHECK_OK_ERR(mn_trajectory_drift(from, to, 4, &drift, moved, 3, &err), &err);
    CHECK(drift.l2 == sqrt(18.25));
    CHECK(is_near(drift.cosine, 1 - 1 / sqrt(10 * 10.25), 1e-15));
    CHECK_EQ(moved[0].dimension, 0);
    CHECK_EQ(moved[1].dimension, 1);
    CHECK_EQ(moved[2].dimension, 3);
    CHECK(moved[0].from == 3 && moved[0].to == 0 && moved[0].change == -3);
    CHECK(moved[1].change == 3 && moved[2].change == -0.5);
    CHECK_OK(mn_trajectory_drift(from, to, 4, &drift, NULL, 0, NULL));
}

static void cosine_is_from_0_to_2(void)
{
    const float zero[] = {0, 0, 0};
    uint64_t seed = check_seed();
    struct mn_drift drift;

    for (size_t round = 0; round < 1000; round++) {
        float a[40];
        float b[40];
        uint32_t n = 1 + (uint32_t)check_below(&seed, 40);
        float factor = powf(10, (float)check_below(&seed, 70) - 35);

        for (size_t i = 0; i < n; i++) {
            a[i] = random_float(&seed) * factor;
            b[i] = -a[i];
        }
        CHECK_OK(mn_trajectory_drift(a, a, n, &drift, NULL, 0, NULL));
        CHECK(drift.cosine == 0 && drift.l2 == 0);
        CHECK_OK(mn_trajectory_drift(a, b, n, &drift, NULL, 0, NULL));
        CHECK(drift.cosine == 2);
    }
    CHECK_OK(mn_trajectory_drift(zero, (const float[]){1, 2, 3}, 3, &drift, NULL, 0, NULL));
    CHECK(drift.cosine == 1);
    CHECK_OK(mn_trajectory_drift(zero, zero, 3, &drift, NULL, 0, NULL));
    CHECK(drift.cosine == 1 && drift.l2 == 0);
    CHECK_OK(mn_trajectory_drift((const float[]){1, NAN}, zero, 2, &drift, NULL, 0, NULL));
    CHECK(isnan(drift.l2));
}

static int by_change(const void *one, const void *other)
{
    const struct mn_drift_dimension *a = one;
    const struct mn_drift_dimension *b = other;

    if (isnan(a->change) != isnan(b->change))
        return isnan(a->change) ? 1 : -1;
    if (!isnan(a->change) && fabs(a->change) != fabs(b->change))
        return fabs(a->change) > fabs(b->change) ? -1 : 1;
    return a->dimension < b->dimension ? -1 : 1;
}

static void what_moved_most_is_as_if_all_were_sorted(void)
{
    enum { N_MAX = 90 };
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0F};
    uint64_t seed = check_seed();

    for (size_t round = 0; round < 2000; round++) {
        uint32_t n = 1 + (uint32_t)check_below(&seed, N_MAX);
        size_t k = check_below(&seed, n + 1);
        float from[N_MAX];
        float to[N_MAX];
        struct mn_drift_dimension all[N_MAX];
        struct mn_drift_dimension moved[N_MAX];
        struct mn_drift drift;

        memset(all, 0, sizeof all);
        for (uint32_t i = 0; i < n; i++) { /* few values: many are equal */
            from[i] = (float)check_below(&seed, 5);
            to[i] = check_below(&seed, 20) == 0 ? odd[check_below(&seed, CHECK_COUNT(odd))]
                                                : (float)check_below(&seed, 5);
            all[i].dimension = i;
            all[i].from = from[i];
            all[i].to = to[i];
            all[i].change = (double)to[i] - (double)from[i];
        }
        qsort(all, n, sizeof *all, by_change);
        CHECK_OK(mn_trajectory_drift(from, to, n, &drift, moved, k, &err));
        for (size_t i = 0; i < k; i++) {
            CHECK_EQ(moved[i].dimension, all[i].dimension);
            CHECK_MEM_EQ(&moved[i].from, &all[i].from, sizeof moved[i].from);
            CHECK_MEM_EQ(&moved[i].to, &all[i].to, sizeof moved[i].to);
            CHECK(moved[i].change == all[i].change || isnan(all[i].change));
        }
    }
}

static void distances_are_those_of_the_last_points(void)
{
    const int64_t a_times[] = {10, 20, 40};
    const float a_vectors[] = {0, 0, 3, 4, 0, 1};
    const int64_t b_times[] = {15, 20, 30, 50};
    const float b_vectors[] = {1, 0, 0, 0, 3, 4, 0, 2};
    const struct mn_trajectory a = {a_times, a_vectors, 3, 2};
    const struct mn_trajectory b = {b_times, b_vectors, 4, 2};
    const int64_t times[] = {15, 20, 30, 40, 50};
    const double l2[] = {1, 5, 0, sqrt(18), 1};
    const double cosine[] = {1, 1, 0, 1 - 4.0 / 5, 0};
    struct mn_distance_at got[8];
    size_t n = 99;

    CHECK_OK_ERR(
        mn_trajectory_distance(&a, &b, INT64_MIN, INT64_MAX, MN_METRIC_L2, got, 8, &n, &err), &err);
    CHECK_EQ(n, 5);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(got[i].time_us, times[i]);
        CHECK(got[i].distance == l2[i]);
    }
    CHECK_OK(mn_trajectory_distance(&b, &a, 16, 40, MN_METRIC_DEFAULT, got, 8, &n, &err));
    CHECK_EQ(n, 3);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(got[i].time_us, times[i + 1]);
        CHECK(is_near(got[i].distance, cosine[i + 1], 1e-15));
    }
    got[1].time_us = -1;
    CHECK_OK(mn_trajectory_distance(&a, &b, 20, 20, MN_METRIC_COSINE, got, 1, &n, &err));
    CHECK_EQ(n, 1);
    CHECK_OK(mn_trajectory_distance(&a, &b, 0, 100, MN_METRIC_COSINE, got, 1, &n, &err));
    CHECK_EQ(n, 5); /* where there is room for one */
    CHECK_EQ(got[1].time_us, -1);
    CHECK_OK(mn_trajectory_distance(&a, &b, 21, 29, MN_METRIC_COSINE, NULL, 0, &n, &err));
    CHECK_EQ(n, 0);
}

/* The last point at or before a time, or SIZE_MAX. */
static size_t last_until(const struct mn_trajectory *t, int64_t time_us)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < t->n_points; i++)
        if (t->times_us[i] <= time_us)
            found = i;
    return found;
}

static void distances_are_as_of_every_time(void)
{
    enum { N_MAX = 12, N_DIMS = 3 };
    uint64_t seed = check_seed();
    size_t n_seen = 0;

    for (size_t round = 0; round < 2000; round++) {
        struct points p[2];
        int64_t begin = round % 3 == 0 ? INT64_MIN : round % 3 == 1 ? INT64_MAX - 40 : -20;
        struct mn_distance_at got[2 * N_MAX];
        int64_t from_us = begin + (int64_t)check_below(&seed, 20);
        int64_t to_us = from_us + (int64_t)check_below(&seed, 20);
        size_t n = 0;
        size_t expected = 0;

        for (size_t k = 0; k < 2; k++) {
            p[k] = points_new(&seed, check_below(&seed, N_MAX + 1), N_DIMS);
            for (size_t i = 0; i < p[k].t.n_points; i++)
                p[k].times_us[i] =
                    (i == 0 ? begin + (int64_t)check_below(&seed, 5) : p[k].times_us[i - 1]) +
                    (i == 0 ? 0 : 1 + (int64_t)check_below(&seed, 2));
        }
        CHECK_OK(mn_trajectory_distance(&p[0].t, &p[1].t, from_us, to_us, MN_METRIC_L2, got,
                                        2 * N_MAX, &n, &err));
        for (int64_t time_us = from_us;; time_us++) {
            size_t a = last_until(&p[0].t, time_us);
            size_t b = last_until(&p[1].t, time_us);

            if (a != SIZE_MAX && b != SIZE_MAX &&
                (p[0].times_us[a] == time_us || p[1].times_us[b] == time_us)) {
                double square = 0;

                for (size_t d = 0; d < N_DIMS; d++) {
                    double x = (double)p[0].vectors[a * N_DIMS + d];
                    double y = (double)p[1].vectors[b * N_DIMS + d];

                    square += (x - y) * (x - y);
                }
                CHECK(expected < n);
                CHECK_EQ(got[expected].time_us, time_us);
                CHECK(is_near(got[expected].distance, sqrt(square), 1e-14));
                expected++;
            }
            if (time_us == to_us)
                break;
        }
        CHECK_EQ(n, expected);
        n_seen += n;
        points_free(&p[0]);
        points_free(&p[1]);
    }
    CHECK(n_seen > 1000);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(drift_by_hand),
        CHECK_TEST(cosine_is_from_0_to_2),
        CHECK_TEST(what_moved_most_is_as_if_all_were_sorted),
        CHECK_TEST(distances_are_those_of_the_last_points),
        CHECK_TEST(distances_are_as_of_every_time),
    };

    return check_run("temporal.distance", tests, CHECK_COUNT(tests), argc, argv);
}
