/*
 * bench_snapshots.h - what the cases of bench_snapshots share.
 *
 * A run is one contender's work of one round, in processes of its own; it gives several figures,
 * which several cases report. Who asks for a figure of a run that has not been has it done.
 */
#ifndef MNEME_BENCH_SNAPSHOTS_H
#define MNEME_BENCH_SNAPSHOTS_H

#include "bench.h"
#include "mneme/mneme.h"

enum {
    SNAPSHOTS_RECORDS = 1000000,
    SNAPSHOTS_DIMENSIONS = 128,
    SNAPSHOTS_POOL_VECTORS = 1024, /* random bytes without the cost of making them each time */
    SNAPSHOTS_FIGURES_MAX = 12,
};

/* The rounds of one kind of run; zero-initialised but for the first two. */
struct runs {
    void (*run)(const struct bench_options *options, const struct runs *self, double *figures_out);
    const void *context;
    double figures[BENCH_ROUNDS_MAX][SNAPSHOTS_FIGURES_MAX];
    unsigned n_rounds;
    unsigned n_told[SNAPSHOTS_FIGURES_MAX];
};

/* A contender of a case whose value is one figure of a run. */
struct asked {
    struct runs *runs;
    size_t figure;
};
double snapshots_tell(const struct bench_options *options, const struct bench_contender *self,
                      void *state);

/* `base`/`name`. */
void snapshots_path(const char *base, const char *name, char path_out[BENCH_PATH_BYTES]);

/* A new store that holds all records, after a checkpoint. */
mn_store *snapshots_new_store(const struct bench_options *options, const char *path,
                              const float *vectors);
/* Puts records from an index on, in commits of 100. */
void snapshots_put(mn_store *store, uint64_t first_index, size_t n_records, const float *vectors);
/* Makes one, in the store's own pool where `to` is NULL, and returns the seconds that took. */
double snapshots_create(mn_store *store, const char *to, bool is_incremental,
                        struct mn_snapshot_info *info_out);

/* bench_snapshots_stall.c: writers beside the making of a snapshot. */
void run_stalls(const struct bench_options *options);

#endif
