/*
 * bench_trajectory.c - change points of a trajectory.
 *
 * Owns:    a trajectory in memory; no files.
 * Threads: one.
 * Fails:   by ending the program with a message.
 *
 * The points have normal noise, and a level that jumps, stays, or drifts. Where it jumps, all jumps
 * have to be found, and nothing else.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "mneme/trajectory.h"

enum {
    N_POINTS = 100000,
    N_DIMS = 128,
    N_BETWEEN = 300, /* points from one jump to the next */
    DRIFT_POINTS = 3000,
};

enum levels { JUMP, STAY, DRIFT };

static double random_unit(uint64_t *state)
{
    return ((double)(bench_random(state) >> 11) + 0.5) * 0x1p-53;
}

/* Normal, variance 1 (Box and Muller, 1958). */
static double random_normal(uint64_t *state)
{
    return sqrt(-2 * log(random_unit(state))) * cos(2 * 3.14159265358979 * random_unit(state));
}

static void *prepare(const struct bench_options *options, const struct bench_contender *self)
{
    const enum levels *levels = self->context;
    struct mn_trajectory *t = bench_alloc(sizeof *t);
    size_t n_points = bench_scaled(options, N_POINTS);
    int64_t *times_us = bench_alloc(n_points * sizeof *times_us);
    float *vectors = bench_alloc(n_points * N_DIMS * sizeof *vectors);
    double level[N_DIMS] = {0};
    uint64_t state = 1;

    for (size_t i = 0; i < n_points; i++) {
        times_us[i] = (int64_t)i;
        for (size_t d = 0; d < N_DIMS; d++) {
            if (*levels == JUMP && i % N_BETWEEN == 0)
                level[d] = random_normal(&state);
            if (*levels == DRIFT)
                level[d] += 1.0 / DRIFT_POINTS;
            vectors[i * N_DIMS + d] = (float)(level[d] + random_normal(&state));
        }
    }
    *t = (struct mn_trajectory){times_us, vectors, n_points, N_DIMS};
    return t;
}

static double measure(const struct bench_options *options, const struct bench_contender *self,
                      void *state)
{
    const struct mn_trajectory *t = state;
    const enum levels *levels = self->context;
    size_t *changes = bench_alloc(t->n_points * sizeof *changes);
    struct mn_changes result;
    struct mn_error err = {0};

    (void)options;
    double start = bench_now();
    if (mn_trajectory_changes(t, NULL, changes, t->n_points, &result, &err) != MN_OK)
        bench_die("mneme: %s", err.message);
    double elapsed = bench_now() - start;
    size_t n_jumps = (t->n_points - 1) / N_BETWEEN;
    if (*levels == JUMP && result.n_changes != n_jumps)
        bench_die("mneme: %zu changes, there are %zu", result.n_changes, n_jumps);
    for (size_t i = 0; *levels == JUMP && i < n_jumps; i++) {
        if (changes[i] != (i + 1) * N_BETWEEN)
            bench_die("mneme: a change at %zu", changes[i]);
    }
    free(changes);
    return elapsed * 1e3;
}

static void finish(const struct bench_options *options, const struct bench_contender *self,
                   void *state)
{
    struct mn_trajectory *t = state;
    float *vectors;
    int64_t *times_us;

    (void)options;
    (void)self;
    memcpy(&vectors, &t->vectors, sizeof vectors);
    memcpy(&times_us, &t->times_us, sizeof times_us);
    free(vectors);
    free(times_us);
    free(t);
}

int main(int argc, char **argv)
{
    static const enum levels jump = JUMP;
    static const enum levels stay = STAY;
    static const enum levels drift = DRIFT;
    const struct bench_contender contenders[] = {
        {"mneme", "jumps every 300 points", &jump, prepare, measure, finish},
        {"mneme-still", "the level stays: nothing is ever dropped", &stay, prepare, measure,
         finish},
        {"mneme-drift", "drifts by the noise's deviation in 3,000 points", &drift, prepare, measure,
         finish},
    };
    const struct bench_target targets[] = {
        {.of = "mneme", .bound = 1000, .is_upper_bound = true},
        {.of = "mneme-still", .bound = 1000, .is_upper_bound = true},
        {.of = "mneme-drift", .bound = 1000, .is_upper_bound = true},
    };
    struct bench_options options;

    bench_parse(argc, argv, &options);
    bench_run(&options, &(struct bench_case){.name = "changes",
                                             .title = "change points, 100,000 x 128",
                                             .unit = "ms",
                                             .contenders = contenders,
                                             .n_contenders = sizeof contenders / sizeof *contenders,
                                             .targets = targets,
                                             .n_targets = sizeof targets / sizeof *targets});
    return 0;
}
