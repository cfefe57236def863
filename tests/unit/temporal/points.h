/* Random trajectories for the tests of this room. */
#ifndef TESTS_UNIT_TEMPORAL_POINTS_H
#define TESTS_UNIT_TEMPORAL_POINTS_H

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "mneme/trajectory.h"

/* From -1 to 1. */
static inline float random_float(uint64_t *seed)
{
    return (float)(int64_t)(check_random(seed) >> 11) * 0x1p-52F - 1;
}

/* Nearly normal, variance 1. */
static inline double random_normal(uint64_t *seed)
{
    double sum = -6;

    for (size_t i = 0; i < 12; i++)
        sum += (double)(check_random(seed) >> 11) * 0x1p-53;
    return sum;
}

struct points {
    struct mn_trajectory t;
    int64_t *times_us;
    float *vectors;
};

/* Times some steps apart from a random one on, which may be far below zero; vectors of random
 * elements. Both in memory of their own, so that sanitizers see what is read behind it. */
static inline struct points points_new(uint64_t *seed, size_t n_points, uint32_t n_dims)
{
    struct points p;
    int64_t time_us = (int64_t)check_random(seed) / 4;

    p.times_us = malloc(n_points * sizeof *p.times_us + 1);
    p.vectors = malloc(n_points * n_dims * sizeof *p.vectors + 1);
    CHECK(p.times_us != NULL && p.vectors != NULL);
    for (size_t i = 0; i < n_points; i++) {
        p.times_us[i] = time_us;
        time_us += 1 + (int64_t)check_below(seed, 1000);
    }
    for (size_t i = 0; i < n_points * n_dims; i++)
        p.vectors[i] = random_float(seed);
    p.t = (struct mn_trajectory){p.times_us, p.vectors, n_points, n_dims};
    return p;
}

static inline void points_free(struct points *p)
{
    free(p->times_us);
    free(p->vectors);
}

static inline bool is_near(double got, double expected, double tolerance)
{
    return fabs(got - expected) <= tolerance * (1 + fabs(expected));
}

#endif
