/*
 * budget_private.h - how much memory the engine takes, and who may take more.
 *
 *     memory_bytes_max, in sixteenths
 *     0                                          11   12          15  16
 *     | buffers, batches, segments, log, names    | D | jobs       | S |
 *
 * Puts and large searches take memory up to 11/16. Deletes and touches go on to 12/16 (D): what
 * makes room is not held up by what needs it. A checkpoint or a merge, one at a time, has 3/16 for
 * its work (jobs), and is planned smaller, or not begun, where it would take more. The rest (S) is
 * for memory that comes in pieces: the pool's regions, the doubling of hash tables.
 *
 * A buffer is written out when the active table has half of what the fixed memory leaves of
 * the 11/16, so that writers have the other half while that goes on.
 */
#ifndef MNI_ENGINE_BUDGET_PRIVATE_H
#define MNI_ENGINE_BUDGET_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct mni_engine;

enum {
    BUDGET_PARTS = 16,
    BUDGET_PUTS = 11,
    BUDGET_DELETES = 12,
    BUDGET_JOBS = 3,
    /* Of an operation that is not applied yet, besides its version: its place in the batch, an
     * entry of the table, what marks the record that it supersedes. */
    OP_BYTES = 512,
    KEY_BYTES = 64, /* of a key in a table, about */
    /* Of a record in a table: what the tables' arrays take when they next grow. */
    GROWTH_BYTES = 24,
    SMALL_SEARCH_BYTES = 1 << 20, /* never refused: some hundred queries for a few results */
};

struct budget {
    atomic_uint_fast64_t bytes_max;   /* the setting */
    atomic_uint_fast64_t fixed_bytes; /* what changes with checkpoints only: log, manifest */
    atomic_uint_fast64_t part_bytes;  /* of all parts that are not freed */
    atomic_uint_fast64_t name_bytes;  /* of the cache of names */
    atomic_uint_fast64_t batch_bytes; /* that batches have reserved */
    atomic_uint_fast64_t job_bytes;   /* that the job at work has reserved or taken */
    atomic_uint_fast64_t walk_bytes;  /* of open walks and scans, and of other rooms */

    /* Of the tables: memory, and records, of what is in no segment. */
    atomic_uint_fast64_t table_bytes;
    atomic_uint_fast64_t table_records;
    atomic_uint_fast64_t frozen_table_bytes; /* of these, those of the frozen table */
    atomic_uint_fast64_t frozen_table_records;
};

struct budget_parts {
    uint64_t buffer_bytes;
    uint64_t segment_bytes;
    uint64_t log_bytes;
    uint64_t work_bytes;
    uint64_t all_bytes;
};

/* All memory of the engine now. */
void budget_measure(struct mni_engine *engine, struct budget_parts *parts_out);
/* What the log and the manifest take, after they changed. */
void budget_note_fixed(struct mni_engine *engine);
/* Whether the active table is so large that it should be written out. */
bool budget_is_due(struct mni_engine *engine);
/* Whether writers will soon wait. */
bool budget_is_tight(struct mni_engine *engine);
/* What a job may take, and what of that the writing of one segment. */
uint64_t budget_job_max(struct mni_engine *engine);
uint64_t budget_segment_max(struct mni_engine *engine);
/* Counts what a job takes, and no longer takes. */
void budget_job_add(struct mni_engine *engine, uint64_t n_bytes);
void budget_job_subtract(struct mni_engine *engine, uint64_t n_bytes);

/* Counts what walks and scans take, which nobody refuses, and no longer take. */
void budget_walk_add(struct mni_engine *engine, uint64_t n_bytes);
void budget_walk_subtract(struct mni_engine *engine, uint64_t n_bytes);
/* The same for a search, if it is small or fits. */
bool budget_search_try(struct mni_engine *engine, uint64_t n_bytes);

/* The same for others, if it fits, however small. */
bool budget_others_try(struct mni_engine *engine, uint64_t n_bytes);

/* Takes `n_bytes` for a batch, if they fit. */
bool budget_try(struct mni_engine *engine, uint64_t n_bytes, bool is_put);
void budget_give_back(struct mni_engine *engine, uint64_t n_bytes);
/* Whether they could fit if all tables were written out. */
bool budget_could_fit(struct mni_engine *engine, uint64_t n_bytes, bool is_put);
/* MN_ERR_BUDGET, with what holds the memory. */
MN_MUST_USE mn_status budget_refuse(struct mni_engine *engine, uint64_t n_bytes,
                                    struct mn_error *err);

#endif
