/*
 * state.c - references to tables, sets of parts, and states.
 *
 * Owns:    each what its last reference leaves.
 * Threads: any.
 * Fails:   MN_ERR_NOMEM.
 */
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/state_private.h"

static void take(atomic_uint *n_refs)
{
    unsigned before = atomic_fetch_add_explicit(n_refs, 1, memory_order_relaxed);

    MNI_CHECK(before > 0);
}

/* True: that was the last one. */
static bool give(atomic_uint *n_refs)
{
    unsigned before = atomic_fetch_sub_explicit(n_refs, 1, memory_order_acq_rel);

    MNI_CHECK(before > 0);
    return before == 1;
}

mn_status table_new(struct mni_pool *pool, struct table **table_out)
{
    struct table *table = mni_alloc_zero(sizeof *table);

    if (table == NULL)
        return MN_ERR_NOMEM;
    if (mni_memtable_new(pool, &table->memtable) != MN_OK) {
        mni_free(table);
        return MN_ERR_NOMEM;
    }
    atomic_init(&table->n_refs, 1);
    *table_out = table;
    return MN_OK;
}

void table_ref(struct table *table)
{
    take(&table->n_refs);
}

void table_unref(struct table *table)
{
    if (table == NULL || !give(&table->n_refs))
        return;
    mni_memtable_free(table->memtable);
    mni_free(table->collections);
    mni_free(table);
}

void part_ref(struct part *part)
{
    take(&part->n_refs);
}

void part_unref(struct part *part)
{
    if (part == NULL || !give(&part->n_refs))
        return;
    while (part->dropped != NULL) {
        struct dropped_rows *next = part->dropped->next;
        mni_free(part->dropped);
        part->dropped = next;
    }
    mni_liveness_done(&part->live);
    mni_segment_unref(part->segment);
    mni_free(part->due);
    mni_free(part->files);
    atomic_fetch_sub_explicit(part->all_bytes, part->noted_bytes, memory_order_relaxed);
    atomic_fetch_sub(part->n_alive, 1);
    mni_free(part);
}

mn_status set_new(size_t n_runs, size_t n_parts, struct part_set **set_out)
{
    struct part_set *set =
        mni_alloc_zero(sizeof *set + n_runs * sizeof *set->runs + n_parts * sizeof(struct part *));

    if (set == NULL)
        return MN_ERR_NOMEM;
    atomic_init(&set->n_refs, 1);
    set->parts = (struct part **)(void *)(set + 1);
    set->runs = (struct run *)(void *)(set->parts + n_parts);
    *set_out = set;
    return MN_OK;
}

void set_add_run(struct part_set *set, struct part *const *parts, size_t n_parts)
{
    set->runs[set->n_runs++] = (struct run){.first = set->n_parts, .n_parts = n_parts};
    for (size_t i = 0; i < n_parts; i++) {
        part_ref(parts[i]);
        set->parts[set->n_parts++] = parts[i];
    }
}

void set_ref(struct part_set *set)
{
    take(&set->n_refs);
}

void set_unref(struct part_set *set)
{
    if (set == NULL || !give(&set->n_refs))
        return;
    for (size_t i = 0; i < set->n_parts; i++)
        part_unref(set->parts[i]);
    mni_free(set);
}

/* Whether (collection, key) lies behind the last row of the part. */
static bool is_behind(const struct part *part, uint64_t collection, struct mn_slice key)
{
    struct mni_segment_bounds b;

    mni_segment_get_bounds(part->segment, &b);
    if (collection != b.last_collection)
        return collection > b.last_collection;
    return mni_key_compare(key, b.last_key) > 0;
}

/* The only part of a run that can hold the key, or NULL. */
static struct part *part_of_run(const struct part_set *set, const struct run *run,
                                uint64_t collection, struct mn_slice key)
{
    size_t low = 0;
    size_t high = run->n_parts;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (is_behind(set->parts[run->first + middle], collection, key))
            low = middle + 1;
        else
            high = middle;
    }
    return low < run->n_parts ? set->parts[run->first + low] : NULL;
}

/* Waits for all of them at once. */
void set_prefetch(const struct part_set *set, uint64_t hash)
{
    for (size_t r = 0; r < set->n_runs; r++) {
        const struct mni_segment *segment = set->parts[set->runs[r].first]->segment;
        if (set->runs[r].n_parts == 1)
            mni_segments_prefetch(&segment, 1, hash);
    }
}

static struct part *find_part(const struct part_set *set, const struct run *run,
                              uint64_t collection, struct mn_slice key)
{
    return run->n_parts == 1 ? set->parts[run->first] : part_of_run(set, run, collection, key);
}

void probe_begin(struct probe *p, const struct part_set *set, uint64_t collection,
                 struct mn_slice key)
{
    p->set = set;
    p->n_runs_left = set->n_runs;
    p->hash = mni_key_hash(collection, key);
    p->collection = collection;
    p->key = key;
    size_t n = set->n_runs < PROBE_PARTS ? set->n_runs : PROBE_PARTS;
    for (size_t r = 0; r < n; r++) {
        p->parts[r] = find_part(set, &set->runs[r], collection, key);
        p->segments[r] = p->parts[r] == NULL ? NULL : p->parts[r]->segment;
    }
    mni_segments_prefetch(p->segments, n, p->hash);
}

/* Goes on to a run that may hold the key. */
void probe_seek(struct probe *p)
{
    if (p->n_runs_left <= PROBE_PARTS)
        p->n_runs_left = mni_segments_seek(p->segments, p->n_runs_left, p->hash);
}

void probe_prefetch_row(const struct probe *p)
{
    if (p->n_runs_left > 0 && p->n_runs_left <= PROBE_PARTS)
        (void)mni_segment_prefetch_row(p->segments[p->n_runs_left - 1], p->hash, p->collection);
}

/* The part that may hold the key, of the newest run not asked yet. NULL: no part can. */
static struct part *next_part(struct probe *p)
{
    while (p->n_runs_left > PROBE_PARTS) {
        const struct run *run = &p->set->runs[--p->n_runs_left];
        struct part *part = find_part(p->set, run, p->collection, p->key);
        if (part != NULL)
            return part;
    }
    probe_seek(p);
    return p->n_runs_left == 0 ? NULL : p->parts[--p->n_runs_left];
}

mn_status probe_next(struct probe *p, struct part **part_out, uint32_t *row_out,
                     struct mni_segment_row *segment_row_out, struct mn_error *err)
{
    struct part *part;

    while ((part = next_part(p)) != NULL) {
        mn_status st =
            segment_row_out == NULL
                ? mni_segment_find(part->segment, p->hash, p->collection, p->key, row_out, err)
                : mni_segment_find_row(part->segment, p->hash, p->collection, p->key, row_out,
                                       segment_row_out, err);
        if (st == MN_NOT_FOUND)
            continue;
        *part_out = part;
        return st;
    }
    return MN_NOT_FOUND;
}

mn_status state_new(struct table *active, struct table *frozen, struct part_set *parts,
                    struct state **state_out)
{
    struct state *state = mni_alloc(sizeof *state);

    if (state == NULL)
        return MN_ERR_NOMEM;
    *state = (struct state){.active = active, .frozen = frozen, .parts = parts};
    atomic_init(&state->n_refs, 1);
    table_ref(active);
    if (frozen != NULL)
        table_ref(frozen);
    set_ref(parts);
    *state_out = state;
    return MN_OK;
}

void state_ref(struct state *state)
{
    take(&state->n_refs);
}

void state_unref(struct state *state)
{
    if (state == NULL || !give(&state->n_refs))
        return;
    table_unref(state->active);
    table_unref(state->frozen);
    set_unref(state->parts);
    mni_free(state);
}
