/*
 * trajectory_test.c - what the functions over trajectories refuse: saying why, and leaving all that
 * they would have written as it was.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "mneme/trajectory.h"

enum { N = 4, N_DIMS = 2 };

static const int64_t times[N] = {-5, 0, 3, 9};
static const float vectors[N * N_DIMS] = {1, 2, 3, 4, 5, 6, 7, 8};
static const struct mn_trajectory good = {times, vectors, N, N_DIMS};
static struct mn_error err;

/* All that may be written; filled with a pattern. */
static struct places {
    float floats[64];
    double doubles[16];
    size_t sizes[16];
    struct mn_drift drift;
    struct mn_drift_dimension moved[8];
    struct mn_changes changes;
    struct mn_detector detector;
    struct mn_detection detection;
    struct mn_distance_at distances[16];
} places, untouched;

static void begin(void)
{
    memset(&places, 0x5A, sizeof places);
    memset(&untouched, 0x5A, sizeof untouched);
}

static void refused_as(mn_status got, mn_status expected, const char *why)
{
    CHECK_STATUS(got, expected);
    CHECK_EQ(err.status, expected);
    CHECK_STR_HAS(err.message, why);
    CHECK_MEM_EQ(&places, &untouched, sizeof places);
}

static void refused(mn_status got, const char *why)
{
    refused_as(got, MN_ERR_INVALID, why);
}

/* By every function that takes a trajectory. */
static void all_refuse(const struct mn_trajectory *t, mn_status status, const char *why)
{
    struct places *p = &places;

    refused_as(mn_trajectory_velocity(t, 1, p->floats, p->doubles, &err), status, why);
    refused_as(mn_trajectory_acceleration(t, 1, p->floats, p->doubles, &err), status, why);
    refused_as(mn_trajectory_path_length(t, p->doubles, &err), status, why);
    refused_as(mn_trajectory_moving_average(t, 1, p->floats, &err), status, why);
    refused_as(mn_trajectory_resample(t, MN_RESAMPLE_LAST, 0, 1, 2, p->floats, p->sizes, &err),
               status, why);
    refused_as(mn_trajectory_changes(t, NULL, p->sizes, 4, &p->changes, &err), status, why);
    refused_as(
        mn_trajectory_distance(t, &good, 0, 9, MN_METRIC_L2, p->distances, 16, p->sizes, &err),
        status, why);
    refused_as(
        mn_trajectory_distance(&good, t, 0, 9, MN_METRIC_L2, p->distances, 16, p->sizes, &err),
        status, why);
    CHECK_STATUS(mn_trajectory_path_length(t, p->doubles, NULL), status);
}

static void bad_trajectories(void)
{
    struct mn_trajectory t = good;

    begin();
    all_refuse(NULL, MN_ERR_INVALID, "no trajectory");
    t.times_us = NULL;
    all_refuse(&t, MN_ERR_INVALID, "no times");
    t = good;
    t.vectors = NULL;
    all_refuse(&t, MN_ERR_INVALID, "no vectors");
    t = good;
    t.n_dims = 0;
    all_refuse(&t, MN_ERR_INVALID, "no dimensions");
    t.n_dims = MN_DIMENSIONS_MAX + 1;
    all_refuse(&t, MN_ERR_LIMIT, "65537");
    t = good;
    t.n_points = SIZE_MAX / 2;
    all_refuse(&t, MN_ERR_LIMIT, "memory");
    t = good;
    t.times_us = (const int64_t[]){1, 2, 2, 3};
    all_refuse(&t, MN_ERR_INVALID, "point 2 is at 2");
    t.times_us = (const int64_t[]){INT64_MAX, INT64_MIN, 0, 1};
    all_refuse(&t, MN_ERR_INVALID, "point 1");
}

static void bad_motion(void)
{
    struct places *p = &places;

    begin();
    refused(mn_trajectory_velocity(&good, 0, p->floats, p->doubles, &err), "unit");
    refused(mn_trajectory_acceleration(&good, -1, p->floats, p->doubles, &err), "unit");
    refused(mn_trajectory_velocity(&good, 1, NULL, NULL, &err), "no place");
    refused(mn_trajectory_acceleration(&good, 1, NULL, NULL, &err), "no place");
    refused(mn_trajectory_path_length(&good, NULL, &err), "no place");
}

static void bad_drift(void)
{
    struct places *p = &places;

    begin();
    refused(mn_trajectory_drift(NULL, vectors, 2, &p->drift, p->moved, 1, &err), "missing");
    refused(mn_trajectory_drift(vectors, NULL, 2, &p->drift, p->moved, 1, &err), "missing");
    refused(mn_trajectory_drift(vectors, vectors, 0, &p->drift, p->moved, 0, &err), "dimensions");
    refused_as(
        mn_trajectory_drift(vectors, vectors, MN_DIMENSIONS_MAX + 1, &p->drift, p->moved, 1, &err),
        MN_ERR_LIMIT, "65537");
    refused(mn_trajectory_drift(vectors, vectors, 2, NULL, p->moved, 1, &err), "no place");
    refused(mn_trajectory_drift(vectors, vectors, 2, &p->drift, NULL, 1, &err), "no place");
    refused(mn_trajectory_drift(vectors, vectors, 2, &p->drift, p->moved, 3, &err), "3 of 2");
}

static void bad_averages_and_grids(void)
{
    struct places *p = &places;
    int64_t max = INT64_MAX;

    begin();
    refused(mn_trajectory_moving_average(&good, 0, p->floats, &err), "window");
    refused(mn_trajectory_moving_average(&good, 1, NULL, &err), "no place");
    refused(mn_trajectory_resample(&good, (mn_resample)2, 0, 1, 1, p->floats, p->sizes, &err),
            "way 2");
    refused(mn_trajectory_resample(&good, MN_RESAMPLE_LAST, 0, 0, 1, p->floats, p->sizes, &err),
            "step");
    refused(mn_trajectory_resample(&good, MN_RESAMPLE_LAST, 0, -1, 1, p->floats, p->sizes, &err),
            "step");
    refused(mn_trajectory_resample(&good, MN_RESAMPLE_LAST, 0, 1, 1, NULL, p->sizes, &err),
            "no place");
    refused(mn_trajectory_resample(&good, MN_RESAMPLE_LAST, 1, max, 2, p->floats, p->sizes, &err),
            "last time");
    refused(mn_trajectory_resample(&good, MN_RESAMPLE_LAST, INT64_MIN, max, SIZE_MAX, p->floats,
                                   p->sizes, &err),
            "last time");
    refused_as(mn_trajectory_resample(&good, MN_RESAMPLE_LAST, INT64_MIN, 1, SIZE_MAX / 4,
                                      p->floats, p->sizes, &err),
               MN_ERR_LIMIT, "memory");
}

static void bad_searches_for_changes(void)
{
    struct places *p = &places;
    struct mn_changes_options options = {.size = sizeof options, .has_penalty = true};
    const double penalties[] = {-1, NAN, INFINITY};
    float odd[N * N_DIMS];
    const struct mn_trajectory t = {times, odd, N, N_DIMS};

    begin();
    for (size_t i = 0; i < CHECK_COUNT(penalties); i++) {
        options.penalty = penalties[i];
        refused(mn_trajectory_changes(&good, &options, p->sizes, 4, &p->changes, &err), "penalty");
    }
    options = (struct mn_changes_options){.size = 0};
    refused(mn_trajectory_changes(&good, &options, p->sizes, 4, &p->changes, &err), "size");
    refused(mn_trajectory_changes(&good, NULL, NULL, 4, &p->changes, &err), "no place");
    memcpy(odd, vectors, sizeof odd);
    odd[5] = NAN;
    refused(mn_trajectory_changes(&t, NULL, p->sizes, 4, &p->changes, &err),
            "element 1 of point 2 is NaN");
    odd[5] = -INFINITY;
    refused(mn_trajectory_changes(&t, NULL, p->sizes, 4, &p->changes, &err), "infinite");
}

static void refuse_detector(struct mn_detector_options options, const char *why)
{
    options.size = sizeof options;
    refused(mn_trajectory_detector_init(&places.detector, N_DIMS, &options, &err), why);
}

static void bad_detectors(void)
{
    struct places *p = &places;
    struct mn_detector_options options = {.size = 3};
    struct mn_detector blank = {0};

    begin();
    refused(mn_trajectory_detector_init(NULL, 1, NULL, &err), "no place");
    refused(mn_trajectory_detector_init(&p->detector, 0, NULL, &err), "dimensions");
    refused_as(mn_trajectory_detector_init(&p->detector, MN_DIMENSIONS_MAX + 1, NULL, &err),
               MN_ERR_LIMIT, "65537");
    refused(mn_trajectory_detector_init(&p->detector, 1, &options, &err), "size");
    refuse_detector((struct mn_detector_options){.alpha = -0.1}, "alpha");
    refuse_detector((struct mn_detector_options){.alpha = 1.1}, "alpha");
    refuse_detector((struct mn_detector_options){.alpha = NAN}, "alpha");
    refuse_detector((struct mn_detector_options){.threshold = -1}, "threshold");
    refuse_detector((struct mn_detector_options){.threshold = NAN}, "threshold");
    refuse_detector((struct mn_detector_options){.threshold = INFINITY}, "threshold");
    refuse_detector((struct mn_detector_options){.warm_up = 2}, "warm-up");
    refuse_detector((struct mn_detector_options){.cooldown = 1, .no_cooldown = true}, "cooldown");
    refused(mn_trajectory_detector_update(&blank, p->doubles, vectors, &p->detection, &err),
            "not set");
}

static void bad_points_for_a_detector(void)
{
    struct places *p = &places;
    const float odd[] = {1, INFINITY};

    begin();
    CHECK_OK(mn_trajectory_detector_init(&p->detector, N_DIMS, NULL, &err));
    for (size_t i = 0; i < N; i++)
        CHECK_OK(mn_trajectory_detector_update(&p->detector, p->doubles, vectors + i * N_DIMS,
                                               &p->detection, &err));
    untouched = places;
    refused(mn_trajectory_detector_update(NULL, p->doubles, vectors, &p->detection, &err),
            "no detector");
    refused(mn_trajectory_detector_update(&p->detector, NULL, vectors, &p->detection, &err),
            "no mean");
    refused(mn_trajectory_detector_update(&p->detector, p->doubles, NULL, &p->detection, &err),
            "no vector");
    refused(mn_trajectory_detector_update(&p->detector, p->doubles, vectors, NULL, &err),
            "no place");
    refused(mn_trajectory_detector_update(&p->detector, p->doubles, odd, &p->detection, &err),
            "element 1 of point 4 is infinite");
}

static void bad_distances(void)
{
    struct places *p = &places;
    struct mn_trajectory other = good;

    begin();
    other.n_dims = 1;
    refused_as(
        mn_trajectory_distance(&good, &other, 0, 1, MN_METRIC_L2, p->distances, 16, p->sizes, &err),
        MN_ERR_DIMENSION, "2 dimensions, the other 1");
    refused(
        mn_trajectory_distance(&good, &good, 2, 1, MN_METRIC_L2, p->distances, 16, p->sizes, &err),
        "reversed");
    refused(
        mn_trajectory_distance(&good, &good, 0, 1, MN_METRIC_DOT, p->distances, 16, p->sizes, &err),
        "metric");
    refused(mn_trajectory_distance(&good, &good, 0, 1, MN_METRIC_L2, NULL, 16, p->sizes, &err),
            "no place");
    refused(mn_trajectory_distance(&good, &good, 0, 1, MN_METRIC_L2, p->distances, 16, NULL, &err),
            "no place");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(bad_trajectories),
        CHECK_TEST(bad_motion),
        CHECK_TEST(bad_drift),
        CHECK_TEST(bad_averages_and_grids),
        CHECK_TEST(bad_searches_for_changes),
        CHECK_TEST(bad_detectors),
        CHECK_TEST(bad_points_for_a_detector),
        CHECK_TEST(bad_distances),
    };

    return check_run("api.trajectory", tests, CHECK_COUNT(tests), argc, argv);
}
