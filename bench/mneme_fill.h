/*
 * mneme_fill.h - filling a store of Mneme, for the benchmarks that measure it alone.
 */
#ifndef MNEME_BENCH_MNEME_FILL_H
#define MNEME_BENCH_MNEME_FILL_H

#include "bench.h"
#include "mneme/mneme.h"

/* Records from `first_index` on, put in commits of `records_per_commit`. The vector of record i is
 * number i % n_vectors of `vectors`. */
struct mneme_fill {
    uint64_t first_index;
    size_t n_records;
    size_t records_per_commit;
    const float *vectors;
    size_t n_vectors;
    uint32_t n_dims;
    mn_ack ack;
};

/* Namespace of all benchmark records. */
struct mn_slice mneme_namespace(void);

/* Ends the program with the error's message unless `st` is MN_OK. */
void mneme_must(mn_status st, const char *what, const struct mn_error *err);

/*
 * Keeps all records in the buffer and the log: no checkpoint runs. For what measures these two: a
 * checkpoint in the background would be measured with them at some times and not at others.
 */
void mneme_stop_checkpoints(mn_store *store);

/* What it does, for the settings of a contender. */
#define MNEME_NO_CHECKPOINTS                                                                       \
    "no checkpoints (checkpoint_bytes and memory_bytes_max 1099511627776, "                        \
    "checkpoint_interval_ms 86400000)"

void mneme_put_range(mn_store *store, const struct mneme_fill *fill);

#endif
