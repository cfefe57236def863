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

void mneme_put_range(mn_store *store, const struct mneme_fill *fill);

#endif
