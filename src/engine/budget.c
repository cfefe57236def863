/*
 * budget.c - how much memory the engine takes, and who may take more.
 *
 * Owns:    nothing; the counts lie in the engine.
 * Threads: any.
 * Fails:   MN_ERR_BUDGET, where waiting does not help.
 */
#include <inttypes.h>

#include "base/check.h"
#include "engine/engine_private.h"

static uint64_t load(const atomic_uint_fast64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static uint64_t share(const struct budget *budget, unsigned n)
{
    return load(&budget->bytes_max) / BUDGET_PARTS * n;
}

/* Without the work areas of jobs, which have their own share. */
static uint64_t used(struct mni_engine *engine)
{
    const struct budget *b = &engine->budget;
    uint64_t jobs = load(&b->job_bytes);
    uint64_t max = share(b, BUDGET_JOBS);

    return mni_pool_memory_bytes(engine->pool) + sizeof *engine + load(&b->fixed_bytes) +
           load(&b->part_bytes) + load(&b->name_bytes) + load(&b->batch_bytes) +
           load(&b->walk_bytes) + load(&b->table_records) * GROWTH_BYTES +
           (jobs > max ? jobs - max : 0);
}

/* Of that, what writing the tables out does not give back. */
static uint64_t held(struct mni_engine *engine)
{
    const struct budget *b = &engine->budget;
    uint64_t n = used(engine);
    uint64_t tables = load(&b->table_bytes) + load(&b->table_records) * GROWTH_BYTES;

    return n > tables ? n - tables : 0;
}

void budget_measure(struct mni_engine *engine, struct budget_parts *parts_out)
{
    const struct budget *b = &engine->budget;
    struct budget_parts parts = {
        .buffer_bytes = mni_pool_memory_bytes(engine->pool),
        .segment_bytes = load(&b->part_bytes),
        .log_bytes = load(&b->fixed_bytes),
        .work_bytes = load(&b->job_bytes) + load(&b->batch_bytes) + load(&b->walk_bytes),
    };

    parts.all_bytes = parts.buffer_bytes + parts.segment_bytes + parts.log_bytes +
                      parts.work_bytes + load(&b->name_bytes) + sizeof *engine;
    *parts_out = parts;
}

void budget_note_fixed(struct mni_engine *engine)
{
    struct mni_wal_stats wal;

    mni_wal_get_stats(engine->wal, &wal);
    atomic_store(&engine->budget.fixed_bytes,
                 wal.memory_bytes + mni_manifest_memory_bytes(&engine->manifest));
}

static bool has_share(struct mni_engine *engine, unsigned n, unsigned of)
{
    const struct budget *b = &engine->budget;
    uint64_t max = share(b, BUDGET_PUTS);
    uint64_t fixed = held(engine);
    uint64_t room = max > fixed ? max - fixed : 0;
    uint64_t least = load(&b->bytes_max) / 64; /* a smaller table is not worth a checkpoint */
    uint64_t tables = load(&b->table_bytes);
    uint64_t frozen = load(&b->frozen_table_bytes);
    uint64_t threshold = room / of * n;

    return (tables > frozen ? tables - frozen : 0) >= (threshold > least ? threshold : least);
}

bool budget_is_due(struct mni_engine *engine)
{
    return has_share(engine, 1, 2);
}

bool budget_is_tight(struct mni_engine *engine)
{
    return has_share(engine, 3, 4) || used(engine) > share(&engine->budget, BUDGET_PUTS) / 8 * 7;
}

uint64_t budget_job_max(struct mni_engine *engine)
{
    return share(&engine->budget, BUDGET_JOBS);
}

uint64_t budget_segment_max(struct mni_engine *engine)
{
    const uint64_t least = 4 << 20; /* its buffers alone are almost as much */
    uint64_t n_bytes = budget_job_max(engine) / 4;

    return n_bytes > least ? n_bytes : least;
}

void budget_job_add(struct mni_engine *engine, uint64_t n_bytes)
{
    atomic_fetch_add_explicit(&engine->budget.job_bytes, n_bytes, memory_order_relaxed);
}

void budget_job_subtract(struct mni_engine *engine, uint64_t n_bytes)
{
    uint64_t before =
        atomic_fetch_sub_explicit(&engine->budget.job_bytes, n_bytes, memory_order_relaxed);

    MNI_CHECK(before >= n_bytes);
}

void budget_walk_add(struct mni_engine *engine, uint64_t n_bytes)
{
    atomic_fetch_add_explicit(&engine->budget.walk_bytes, n_bytes, memory_order_relaxed);
}

void budget_walk_subtract(struct mni_engine *engine, uint64_t n_bytes)
{
    uint64_t before =
        atomic_fetch_sub_explicit(&engine->budget.walk_bytes, n_bytes, memory_order_relaxed);

    MNI_CHECK(before >= n_bytes);
}

static uint64_t limit(struct mni_engine *engine, bool is_put)
{
    return share(&engine->budget, is_put ? BUDGET_PUTS : BUDGET_DELETES);
}

bool budget_try(struct mni_engine *engine, uint64_t n_bytes, bool is_put)
{
    atomic_fetch_add_explicit(&engine->budget.batch_bytes, n_bytes, memory_order_relaxed);
    if (used(engine) <= limit(engine, is_put))
        return true;
    budget_give_back(engine, n_bytes);
    return false;
}

bool budget_search_try(struct mni_engine *engine, uint64_t n_bytes)
{
    budget_walk_add(engine, n_bytes);
    if (n_bytes <= SMALL_SEARCH_BYTES || used(engine) <= limit(engine, true))
        return true;
    budget_walk_subtract(engine, n_bytes);
    return false;
}

bool budget_others_try(struct mni_engine *engine, uint64_t n_bytes)
{
    budget_walk_add(engine, n_bytes);
    if (used(engine) <= limit(engine, true))
        return true;
    budget_walk_subtract(engine, n_bytes);
    return false;
}

void budget_give_back(struct mni_engine *engine, uint64_t n_bytes)
{
    uint64_t before =
        atomic_fetch_sub_explicit(&engine->budget.batch_bytes, n_bytes, memory_order_relaxed);

    MNI_CHECK(before >= n_bytes);
}

bool budget_could_fit(struct mni_engine *engine, uint64_t n_bytes, bool is_put)
{
    return held(engine) + n_bytes <= limit(engine, is_put);
}

mn_status budget_refuse(struct mni_engine *engine, uint64_t n_bytes, struct mn_error *err)
{
    const struct budget *b = &engine->budget;
    struct budget_parts parts;
    uint64_t tables = load(&b->table_bytes);

    budget_measure(engine, &parts);
    uint64_t older = parts.buffer_bytes > tables ? parts.buffer_bytes - tables : 0;
    return mni_fail(err, MN_ERR_BUDGET,
                    "%" PRIu64 " bytes more do not fit into memory_bytes_max, %" PRIu64 ": %" PRIu64
                    " are in records that no checkpoint has written, %" PRIu64
                    " in batches and in what views, iterators and transactions keep, %" PRIu64
                    " in the state of segments, %" PRIu64 " in work areas",
                    n_bytes, load(&b->bytes_max), tables, older, parts.segment_bytes,
                    parts.work_bytes);
}
