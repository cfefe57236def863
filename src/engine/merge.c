/*
 * merge.c - writes runs anew as one, without the rows that are dead.
 *
 * A merge shows the same moment as the root: the newest manifest's LSN. What happened to its rows
 * since is carried over when the new run takes their place, so the manifest it publishes says what
 * the one before said.
 *
 * Any runs may be merged, in any order: a key lives in one of them at most. Two kinds are: runs
 * with many dead rows, and the smallest ones when there are too many.
 *
 * Owns:    one merge, under `checkpoint_lock`.
 * Threads: any, one at a time.
 * Fails:   as reading and writing segments does; the runs stay as they were.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/job_private.h"

enum {
    RUNS_MAX = 8,
    RUNS_AFTER = 5,     /* so many are left when there were too many */
    DEAD_PERCENT = 30,  /* a run with so many dead rows is worth writing anew */
    MERGES_AT_ONCE = 4, /* before the next checkpoint is looked after */
};

/* A row of the result: where it comes from. */
struct origin {
    uint32_t part; /* of the old set */
    uint32_t row;
};

/* A run that is read. */
struct cursor {
    const struct run *run;
    size_t index; /* of the run's part */
    uint32_t row; /* that was read, if there is one */
    bool has_row;
    struct mni_segment_row current;
};

struct merge {
    struct mni_engine *engine;
    struct mni_view view;   /* at the root's LSN */
    bool *is_chosen;        /* owned: per run of the view's set */
    struct cursor *cursors; /* owned */
    size_t n_cursors;
    uint64_t *numbers; /* owned: of the collections that exist at that LSN, ascending */
    size_t n_numbers;
    struct origin *origins; /* owned: per row of the result, in order */
    size_t n_origins;
    size_t capacity;
    uint32_t **places;    /* owned: per part of the old set, per row its place in `origins` */
    size_t *first_origin; /* owned: per part of the output, and one more */
    struct output output;
    struct part_set *set; /* one reference: the parts there will be */
    size_t n_written;     /* rows of the result that were given to the writer */
};

/* Choosing ---------- */

static const struct part_set *old_set(const struct merge *m)
{
    return m->view.state->parts;
}

static uint64_t run_bytes(const struct part_set *set, const struct run *run)
{
    uint64_t n = 0;

    for (size_t i = 0; i < run->n_parts; i++)
        n += mni_segment_get_info(set->parts[run->first + i]->segment)->file_bytes;
    return n;
}

/* Whether the dead rows of a run are worth the writing. Read lock held. */
static bool is_wasteful(const struct part_set *set, const struct run *run, uint64_t root_lsn)
{
    uint64_t n_rows = 0;
    uint64_t n_dead = 0;

    for (size_t i = 0; i < run->n_parts; i++) {
        const struct part *part = set->parts[run->first + i];
        if (part->made_lsn == root_lsn)
            return false; /* nothing has died in it as the root has it */
        n_rows += part->n_rows;
        n_dead += part->live.n_dead;
        for (const struct dropped_rows *d = part->dropped; d != NULL; d = d->next)
            n_dead += mni_liveness_count(&part->live, d->first, d->first + d->n_rows) +
                      mni_liveness_count_lapsed(&part->live, d->first, d->first + d->n_rows);
    }
    return n_dead * 100 >= n_rows * DEAD_PERCENT;
}

static void choose_smallest(struct merge *m)
{
    const struct part_set *set = old_set(m);
    size_t smallest = SIZE_MAX;

    for (size_t r = 0; r < set->n_runs; r++)
        if (!m->is_chosen[r] && (smallest == SIZE_MAX || run_bytes(set, &set->runs[r]) <
                                                             run_bytes(set, &set->runs[smallest])))
            smallest = r;
    m->is_chosen[smallest] = true;
}

/* The runs that somebody wants written anew. */
static mn_status choose_wanted(struct merge *m, want_part_fn *wants, void *context, size_t *n_out,
                               struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    mn_status st = MN_OK;

    *n_out = 0;
    for (size_t r = 0; r < set->n_runs; r++) {
        bool wanted = false;
        for (size_t i = 0; i < set->runs[r].n_parts && st == MN_OK && !wanted; i++)
            st =
                wants(context, set->parts[set->runs[r].first + i], m->view.point.lsn, &wanted, err);
        m->is_chosen[r] = wanted;
        *n_out += wanted;
    }
    return st;
}

/* Returns how many runs are to be merged; 0: nothing is to be done. */
static size_t choose(struct merge *m)
{
    struct mni_engine *engine = m->engine;
    const struct part_set *set = old_set(m);
    size_t n = 0;

    engine_read_lock(engine);
    for (size_t r = 0; r < set->n_runs; r++) {
        m->is_chosen[r] = is_wasteful(set, &set->runs[r], m->view.point.lsn);
        n += m->is_chosen[r];
    }
    engine_unlock(engine);
    if (set->n_runs <= RUNS_MAX)
        return n;
    for (size_t n_left = set->n_runs - n + (n > 0); n_left > RUNS_AFTER; n_left -= n > 1) {
        choose_smallest(m);
        n++;
    }
    return n;
}

/* Reading ---------- */

static mn_status read_row(struct merge *m, struct part *part, uint32_t row,
                          struct mni_segment_row *row_out, struct mn_error *err)
{
    mn_status st = mni_segment_row(part->segment, row, row_out, err);

    if (st != MN_OK)
        return st;
    engine_read_lock(m->engine);
    mni_liveness_apply_patch(&part->live, row, m->view.point.lsn, row_out);
    engine_unlock(m->engine);
    return MN_OK;
}

static bool exists(const struct merge *m, uint64_t collection)
{
    size_t low = 0;
    size_t high = m->n_numbers;

    if (collection == 0)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->numbers[middle] < collection)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->n_numbers && m->numbers[low] == collection;
}

/* Goes to the next row that the root has. */
static mn_status advance(struct merge *m, struct cursor *c, struct mn_error *err)
{
    const struct part_set *set = old_set(m);

    c->row += c->has_row ? 1 : 0;
    c->has_row = false;
    while (c->index < c->run->n_parts) {
        struct part *part = set->parts[c->run->first + c->index];
        engine_read_lock(m->engine);
        if (!MNI_PLANTED("mask_lost_in_merge"))
            c->row = mni_liveness_next_visible(&part->live, c->row, m->view.point.lsn);
        engine_unlock(m->engine);
        if (c->row >= part->n_rows) {
            c->index++;
            c->row = 0;
            continue;
        }
        mn_status st = read_row(m, part, c->row, &c->current, err);
        if (st != MN_OK)
            return st;
        if (exists(m, c->current.record.collection)) {
            c->has_row = true;
            return MN_OK;
        }
        c->row++;
    }
    return MN_OK;
}

static bool is_before(const struct mni_record *a, const struct mni_record *b)
{
    if (a->collection != b->collection)
        return a->collection < b->collection;
    size_t n = a->key.n_bytes < b->key.n_bytes ? a->key.n_bytes : b->key.n_bytes;
    int order = memcmp(a->key.data, b->key.data, n);
    return order < 0 || (order == 0 && a->key.n_bytes < b->key.n_bytes);
}

static struct cursor *first_cursor(struct merge *m)
{
    struct cursor *first = NULL;

    for (size_t i = 0; i < m->n_cursors; i++) {
        struct cursor *c = &m->cursors[i];
        if (c->has_row && (first == NULL || is_before(&c->current.record, &first->current.record)))
            first = c;
    }
    return first;
}

/* Writing ---------- */

static mn_status next_row(void *context, struct mni_segment_row *row_out, struct mn_error *err)
{
    struct merge *m = context;
    struct origin origin = m->origins[m->n_written++];

    return read_row(m, old_set(m)->parts[origin.part], origin.row, row_out, err);
}

static mn_status add_origin(struct merge *m, const struct cursor *c)
{
    if (m->n_origins == m->capacity) {
        size_t capacity = m->capacity == 0 ? 1024 : m->capacity * 2;
        struct origin *origins = mni_realloc(m->origins, capacity * sizeof *origins);
        if (origins == NULL)
            return MN_ERR_NOMEM;
        m->origins = origins;
        m->capacity = capacity;
    }
    m->origins[m->n_origins++] =
        (struct origin){.part = (uint32_t)(c->run->first + c->index), .row = c->row};
    return MN_OK;
}

/* Writes the rows that were planned. */
static mn_status write_planned(struct merge *m, struct mni_segment_plan *plan, struct mn_error *err)
{
    size_t *first = mni_realloc(m->first_origin, (m->output.n_parts + 2) * sizeof *first);

    if (first == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a merge");
    m->first_origin = first;
    first[m->output.n_parts] = m->n_written;
    mn_status st = output_write(&m->output, plan, next_row, m, err);
    if (st == MN_OK)
        first[m->output.n_parts] = m->n_written;
    mni_segment_plan_reset(plan);
    return st;
}

static mn_status write_run(struct merge *m, struct mn_error *err)
{
    struct mni_segment_plan *plan = NULL;
    struct cursor *c;
    mn_status st = mni_segment_plan_new(m->engine->segment_bytes_max, &plan);

    if (st != MN_OK)
        return mni_fail(err, st, "a merge");
    while (st == MN_OK && (c = first_cursor(m)) != NULL) {
        st = mni_segment_plan_add(plan, &c->current, err);
        if (st == MN_END) {
            st = write_planned(m, plan, err);
            continue; /* the same row begins the next one */
        }
        if (st == MN_OK && add_origin(m, c) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "a merge of %zu rows", m->n_origins);
        if (st == MN_OK)
            st = advance(m, c, err);
    }
    if (st == MN_OK && mni_segment_plan_n_rows(plan) > 0)
        st = write_planned(m, plan, err);
    mni_segment_plan_free(plan);
    return st;
}

/* Installing ---------- */

/* For each old part, where its rows have gone. */
static mn_status map_rows(struct merge *m, struct mn_error *err)
{
    const struct part_set *set = old_set(m);

    m->places = mni_alloc_zero((set->n_parts + 1) * sizeof *m->places);
    for (size_t r = 0; r < set->n_runs && m->places != NULL; r++) {
        for (size_t i = 0; i < set->runs[r].n_parts && m->is_chosen[r]; i++) {
            size_t p = set->runs[r].first + i;
            m->places[p] = mni_alloc_array(set->parts[p]->n_rows, sizeof **m->places);
            if (m->places[p] == NULL)
                return mni_fail(err, MN_ERR_NOMEM, "a merge of %zu rows", m->n_origins);
            memset(m->places[p], 0xff, set->parts[p]->n_rows * sizeof **m->places);
        }
    }
    if (m->places == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a merge of %zu rows", m->n_origins);
    for (size_t i = 0; i < m->n_origins; i++)
        m->places[m->origins[i].part][m->origins[i].row] = (uint32_t)i;
    return MN_OK;
}

/* Where a row of an old part has gone. */
struct mapping {
    const struct merge *merge;
    size_t part;
};

static bool find_place(const struct mapping *mapping, uint32_t row, struct part **part_out,
                       uint32_t *row_out)
{
    const struct merge *m = mapping->merge;
    uint32_t at = m->places[mapping->part][row];
    size_t p = 0;

    if (at == UINT32_MAX)
        return false;
    while (at >= m->first_origin[p + 1])
        p++;
    *part_out = m->output.parts[p];
    *row_out = (uint32_t)(at - m->first_origin[p]);
    return true;
}

static bool map_row(void *context, uint32_t row, struct mni_liveness **live_out, uint32_t *row_out)
{
    struct part *part;

    if (!find_place(context, row, &part, row_out))
        return false;
    *live_out = &part->live;
    return true;
}

/* The expiries that patches have set go along. */
static mn_status reserve_due(struct merge *m)
{
    size_t n = 0;

    for (size_t p = 0; p < old_set(m)->n_parts; p++)
        n += m->places[p] != NULL ? old_set(m)->parts[p]->n_due : 0;
    for (size_t p = 0; p < m->output.n_parts && n > 0; p++)
        if (part_reserve_due(m->output.parts[p], n) != MN_OK)
            return MN_ERR_NOMEM;
    return MN_OK;
}

static void carry_due(const struct mapping *mapping, const struct part *old)
{
    struct part *part;
    uint32_t row;

    for (size_t i = 0; i < old->n_due; i++)
        if (find_place(mapping, old->due[i].row, &part, &row))
            part_add_due(part, row, old->due[i].expires_at_us);
}

/* Carries what happened since the root's LSN over. The role and the write lock are held. */
static mn_status carry(struct merge *m)
{
    const struct part_set *set = old_set(m);
    uint64_t lsn = m->view.point.lsn;
    struct mapping mapping = {.merge = m};
    mn_status st = reserve_due(m);
    size_t n_prepared = 0;

    while (n_prepared < set->n_parts && st == MN_OK) {
        mapping.part = n_prepared;
        if (m->places[n_prepared] != NULL)
            st = mni_liveness_carry_prepare(&set->parts[n_prepared]->live, lsn, map_row, &mapping);
        n_prepared += st == MN_OK;
    }
    if (st != MN_OK) {
        while (n_prepared-- > 0) {
            mapping.part = n_prepared;
            if (m->places[n_prepared] != NULL)
                mni_liveness_carry_cancel(&set->parts[n_prepared]->live, lsn, map_row, &mapping);
        }
        return st;
    }
    for (size_t p = 0; p < set->n_parts; p++) {
        mapping.part = p;
        if (m->places[p] == NULL)
            continue;
        mni_liveness_carry(&set->parts[p]->live, lsn, map_row, &mapping);
        carry_due(&mapping, set->parts[p]);
    }
    return MN_OK;
}

/* The runs that were not merged, and the new one. */
static mn_status make_set(struct merge *m, struct mn_error *err)
{
    const struct part_set *old = old_set(m);

    if (set_new(old->n_runs + 1, old->n_parts + m->output.n_parts, &m->set) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a merge");
    for (size_t r = 0; r < old->n_runs; r++)
        if (!m->is_chosen[r])
            set_add_run(m->set, old->parts + old->runs[r].first, old->runs[r].n_parts);
    if (m->output.n_parts > 0)
        set_add_run(m->set, m->output.parts, m->output.n_parts);
    for (size_t i = 0; i < m->output.n_parts; i++)
        m->output.parts[i]->made_lsn = m->view.point.lsn;
    return MN_OK;
}

/* Rows of collections that were dropped after the root's LSN. */
static mn_status find_dropped(struct merge *m, struct dropped_rows **rows_out, struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    bool has_dropped = false;

    engine_read_lock(m->engine);
    for (size_t p = 0; p < set->n_parts; p++)
        has_dropped = has_dropped || (m->places[p] != NULL && set->parts[p]->dropped != NULL);
    engine_unlock(m->engine);
    if (!has_dropped)
        return MN_OK;
    uint64_t *numbers = NULL;
    size_t n = 0;
    mn_status st = engine_list_collections(m->engine, UINT64_MAX, &numbers, &n, err);
    for (size_t i = 0; i < m->output.n_parts && st == MN_OK; i++)
        st = part_find_all_dropped(m->output.parts[i], numbers, n, rows_out, err);
    mni_free(numbers);
    return st;
}

static mn_status install(struct merge *m, struct mn_error *err)
{
    struct mni_engine *engine = m->engine;
    struct dropped_rows *dropped = NULL;
    struct state *state = NULL;
    struct mni_commit role;

    mni_wal_enter(engine->wal, &role);
    struct state *old = engine->state; /* only this thread and its like change it */
    mn_status st = state_new(old->active, old->frozen, m->set, &state);
    if (st != MN_OK)
        st = mni_fail(err, st, "a merge");
    if (st == MN_OK)
        st = find_dropped(m, &dropped, err);
    engine_write_lock(engine);
    if (st == MN_OK && carry(m) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a merge");
    if (st == MN_OK) {
        part_link_dropped(&dropped);
        root_note_published(m->set, m->view.point.lsn);
        engine->root_number = engine->manifest.number;
        engine->state = state;
    }
    engine_unlock(engine);
    mni_wal_leave(engine->wal);
    part_free_dropped(&dropped);
    state_unref(st == MN_OK ? old : state);
    return st;
}

/* The merge ---------- */

static mn_status start(struct merge *m, struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    mn_status st =
        engine_list_collections(m->engine, m->view.point.lsn, &m->numbers, &m->n_numbers, err);

    m->cursors = mni_alloc_zero((set->n_runs + 1) * sizeof *m->cursors);
    if (st == MN_OK && m->cursors == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "a merge");
    for (size_t r = 0; r < set->n_runs && st == MN_OK; r++) {
        if (!m->is_chosen[r])
            continue;
        struct cursor *c = &m->cursors[m->n_cursors++];
        c->run = &set->runs[r];
        for (size_t i = 0; i < c->run->n_parts; i++)
            mni_segment_will_read_rows(set->parts[c->run->first + i]->segment, 0,
                                       set->parts[c->run->first + i]->n_rows);
        st = advance(m, c, err);
    }
    return st;
}

static mn_status run_merge(struct merge *m, struct mn_error *err)
{
    mn_status st = start(m, err);

    if (st == MN_OK)
        st = write_run(m, err);
    if (st == MN_OK)
        st = map_rows(m, err);
    if (st == MN_OK)
        st = make_set(m, err);
    if (st == MN_OK)
        st = root_publish(m->engine, m->set, m->view.point.lsn, m->engine->manifest.time_us, err);
    if (st != MN_OK)
        return st;
    st = install(m, err);
    if (st != MN_OK)
        m->engine->is_root_in_doubt = true; /* readers and root have parted */
    return st;
}

static void discard(struct merge *m, bool is_installed)
{
    for (size_t p = 0; m->places != NULL && p < old_set(m)->n_parts; p++)
        mni_free(m->places[p]);
    output_done(&m->output, is_installed);
    set_unref(m->set);
    mni_free(m->places);
    mni_free(m->first_origin);
    mni_free(m->origins);
    mni_free(m->numbers);
    mni_free(m->cursors);
    mni_free(m->is_chosen);
    mni_view_close(&m->view);
}

/* One merge, if one is due, or of what `wants` says. */
static mn_status merge_once(struct mni_engine *engine, want_part_fn *wants, void *context,
                            size_t *n_merged_out, struct mn_error *err)
{
    struct merge m = {.engine = engine, .output = {.engine = engine}};
    mn_status st = MN_OK;
    size_t n = 0;

    engine_view_open_at(engine, &m.view, engine->manifest.lsn);
    m.is_chosen = mni_alloc_zero(old_set(&m)->n_runs + 1);
    if (m.is_chosen == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "a merge");
    else if (wants != NULL)
        st = choose_wanted(&m, wants, context, &n, err);
    else
        n = choose(&m);
    if (st == MN_OK && n > 0)
        st = run_merge(&m, err);
    discard(&m, n > 0 && st == MN_OK);
    if (n > 0 && st == MN_OK)
        st = engine_remove_orphans(engine, err);
    *n_merged_out = n;
    return st;
}

mn_status engine_merge(struct mni_engine *engine, struct mn_error *err)
{
    mn_status st = engine_check_root(engine, err);
    size_t n_merged = 1;

    for (int i = 0; i < MERGES_AT_ONCE && n_merged > 0 && st == MN_OK; i++)
        st = merge_once(engine, NULL, NULL, &n_merged, err);
    return st;
}

mn_status engine_rewrite(struct mni_engine *engine, want_part_fn *wants, void *context,
                         size_t *n_runs_out, struct mn_error *err)
{
    mn_status st = engine_check_root(engine, err);

    *n_runs_out = 0;
    return st == MN_OK ? merge_once(engine, wants, context, n_runs_out, err) : st;
}
