/*
 * bench_temporal.h - what the cases of bench_temporal share.
 */
#ifndef MNEME_BENCH_BENCH_TEMPORAL_H
#define MNEME_BENCH_BENCH_TEMPORAL_H

#include "points.h"

struct temporal_names {
    char name[64];
    char title[256];
};

/* Puts all points in batches and leaves nothing to be done in the background. */
void temporal_put_all(const struct points_peer *peer, void *db, const struct points *points,
                      bool is_durable);

/* bench_temporal_cost.c: what a read costs with more and more points of its entity beside it. */
void run_cost(const struct bench_options *options);

/* bench_temporal_delta.c: vectors as differences to the ones before. */
void run_delta(const struct bench_options *options);

#endif
