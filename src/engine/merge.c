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
#include <inttypes.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/job_private.h"
#include "engine/merge_private.h"

enum {
    RUNS_MAX = 8,
    RUNS_AFTER = 2,     /* at least so many are left when there were too many */
    DEAD_PERCENT = 30,  /* a run with so many dead rows is worth writing anew */
    MERGES_AT_ONCE = 4, /* before the next checkpoint is looked after */
    GIVE_UPS_MAX = 2,   /* one after the other; the next merge, a small one, goes to its end */
    CARRY_ROUNDS = 6,   /* at most, before the role is held */
    CARRY_FEW = 256,    /* effects that may be carried over while it is */
    LAPSES_SLICE = 1024,
    WASTE_BYTES = 4 << 20, /* so much of a run is worth a checkpoint of its own */
};

/* A run that is read. */
struct cursor {
    const struct run *run;
    size_t index; /* of the run's part */
    uint32_t row; /* that was read, if there is one */
    bool has_row;
    struct mni_segment_row current; /* what was decoded of it is owned */
    uint64_t next_group;            /* of the part; those before were looked at */
    uint64_t group_end;             /* the row behind the last one of them */
};

/* What of an old part the result has already. */
struct carried {
    uint64_t lsn;
    uint64_t *lapsed; /* owned: as it was; NULL: no row was */
};

struct merge {
    struct mni_engine *engine;
    struct mni_view view;   /* at the root's LSN */
    bool *is_chosen;        /* owned: per run of the view's set */
    struct cursor *cursors; /* owned */
    size_t n_cursors;
    uint64_t *numbers; /* owned: of the collections that exist at that LSN, ascending */
    size_t n_numbers;
    struct merge_map map;
    struct cursor *written; /* owned: per cursor, the row that was given to the writer last */
    uint64_t *first_row;    /* owned: per part of the output its first row of the result; and one */
    struct carried *carried; /* owned: per part of the old set */
    bool has_carried;        /* once at least */
    struct output output;
    struct part_set *set; /* one reference: the parts there will be */
    uint64_t n_written;   /* rows of the result that were given to the writer */
    uint64_t work_bytes;  /* of the budget */
};

uint64_t engine_merge_memory_bytes(uint64_t n_rows, size_t n_parts, size_t n_runs)
{
    return merge_map_bytes(n_rows, n_parts, n_runs) + (n_runs + 1) * 2 * sizeof(struct cursor) +
           (n_parts + 1) * sizeof(struct carried);
}

static mn_status fail_for_memory(const struct merge *m, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_NOMEM, "a merge of %" PRIu64 " rows", m->map.n_rows);
}

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

static uint64_t run_rows(const struct part_set *set, const struct run *run)
{
    uint64_t n = 0;

    for (size_t i = 0; i < run->n_parts; i++)
        n += set->parts[run->first + i]->n_rows;
    return n;
}

/* Read lock held. */
static uint64_t run_dead(const struct part_set *set, const struct run *run)
{
    uint64_t n = 0;

    for (size_t i = 0; i < run->n_parts; i++)
        n += part_count_dead(set->parts[run->first + i]);
    return n;
}

static bool is_mostly_dead(uint64_t n_rows, uint64_t n_dead)
{
    return n_dead * 100 >= n_rows * DEAD_PERCENT;
}

/* Whether the dead rows of a run are worth the writing. Read lock held. */
static bool is_wasteful(const struct part_set *set, const struct run *run, uint64_t root_lsn)
{
    for (size_t i = 0; i < run->n_parts; i++)
        if (set->parts[run->first + i]->made_lsn == root_lsn)
            return false; /* nothing has died in it as the root has it */
    return is_mostly_dead(run_rows(set, run), run_dead(set, run));
}

/* Of a run, about. Read lock held. */
static uint64_t dead_bytes(const struct part_set *set, const struct run *run)
{
    double dead = (double)run_dead(set, run) / (double)run_rows(set, run);

    return (uint64_t)(dead * (double)run_bytes(set, run));
}

bool engine_is_wasteful(struct mni_engine *engine)
{
    bool is_wasteful_now = false;

    engine_read_lock(engine);
    const struct part_set *set = engine->state->parts;
    for (size_t r = 0; r < set->n_runs && !is_wasteful_now; r++)
        is_wasteful_now =
            is_mostly_dead(run_rows(set, &set->runs[r]), run_dead(set, &set->runs[r])) &&
            dead_bytes(set, &set->runs[r]) >= WASTE_BYTES;
    engine_unlock(engine);
    return is_wasteful_now;
}

/* The smallest run that is chosen, or is not; SIZE_MAX: there is none. */
static size_t smallest_run(const struct merge *m, bool is_chosen)
{
    const struct part_set *set = old_set(m);
    size_t smallest = SIZE_MAX;

    for (size_t r = 0; r < set->n_runs; r++)
        if (m->is_chosen[r] == is_chosen &&
            (smallest == SIZE_MAX ||
             run_bytes(set, &set->runs[r]) < run_bytes(set, &set->runs[smallest])))
            smallest = r;
    return smallest;
}

/* Instead of what was chosen, after merges that were given up: what helps with the least work. */
static size_t choose_least(struct merge *m)
{
    const struct part_set *set = old_set(m);
    bool is_crowded = set->n_runs > RUNS_MAX;
    size_t only = is_crowded ? SIZE_MAX : smallest_run(m, true);

    for (size_t r = 0; r < set->n_runs; r++)
        m->is_chosen[r] = r == only;
    for (int i = 0; i < 2 && is_crowded; i++)
        m->is_chosen[smallest_run(m, false)] = true;
    return is_crowded ? 2 : 1;
}

/* Of the runs that are chosen only the one of which the least is left, on a full disk. Read lock
 * held. */
static size_t choose_emptiest(struct merge *m)
{
    const struct part_set *set = old_set(m);
    size_t emptiest = SIZE_MAX;
    uint64_t n_least = UINT64_MAX;

    for (size_t r = 0; r < set->n_runs; r++) {
        const struct run *run = &set->runs[r];
        uint64_t n_left = m->is_chosen[r] ? run_bytes(set, run) - dead_bytes(set, run) : UINT64_MAX;
        m->is_chosen[r] = false;
        if (n_left < n_least) {
            n_least = n_left;
            emptiest = r;
        }
    }
    if (emptiest == SIZE_MAX)
        return 0;
    m->is_chosen[emptiest] = true;
    return 1;
}

/* The runs that somebody wants written anew. */
static mn_status choose_wanted(struct merge *m, want_part_fn *wants, void *context, size_t *n_out,
                               struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    mn_status st = MN_OK;

    *n_out = 0;
    for (size_t r = 0; r < set->n_runs && *n_out < MERGE_RUNS_MAX; r++) {
        bool wanted = false;
        for (size_t i = 0; i < set->runs[r].n_parts && st == MN_OK && !wanted; i++)
            st =
                wants(context, set->parts[set->runs[r].first + i], m->view.point.lsn, &wanted, err);
        m->is_chosen[r] = wanted;
        *n_out += wanted;
    }
    return st;
}

/* Adds the smallest runs to the `n` that are chosen: as many as leave RUNS_MAX, and then each that
 * is no larger than what was added, up to half of all bytes. So a byte is written anew with its
 * like, which bounds how often, and no merge writes all anew. */
static size_t choose_smallest(struct merge *m, size_t n)
{
    const struct part_set *set = old_set(m);
    size_t n_left = set->n_runs - n + (n > 0);
    uint64_t n_bytes_all = 0;
    uint64_t n_bytes_added = 0;

    for (size_t r = 0; r < set->n_runs; r++)
        n_bytes_all += run_bytes(set, &set->runs[r]);
    while (n_left > RUNS_AFTER && n < MERGE_RUNS_MAX) {
        size_t r = smallest_run(m, false);
        uint64_t n_bytes = run_bytes(set, &set->runs[r]);
        bool is_enough = n >= 2 && n_left <= RUNS_MAX;
        if (is_enough && (n_bytes > n_bytes_added || n_bytes_added + n_bytes > n_bytes_all / 2))
            break;
        m->is_chosen[r] = true;
        n_bytes_added += n_bytes;
        n++;
        n_left -= n > 1;
    }
    return n;
}

/* Returns how many runs are to be merged; 0: nothing is to be done. */
static size_t choose(struct merge *m)
{
    struct mni_engine *engine = m->engine;
    const struct part_set *set = old_set(m);
    size_t n = 0;

    engine_read_lock(engine);
    for (size_t r = 0; r < set->n_runs && n < MERGE_RUNS_MAX; r++) {
        m->is_chosen[r] = is_wasteful(set, &set->runs[r], m->view.point.lsn);
        n += m->is_chosen[r];
    }
    if (engine->merges_emptiest)
        n = choose_emptiest(m);
    engine_unlock(engine);
    if (engine->merges_emptiest)
        return n;
    if (set->n_runs > RUNS_MAX)
        n = choose_smallest(m, n);
    return n > 0 && engine->n_given_up > 0 ? choose_least(m) : n;
}

/* What the merge will take, and the largest run of it. */
static uint64_t work_bytes(const struct merge *m, size_t n_chosen, size_t *largest_out)
{
    const struct part_set *set = old_set(m);
    uint64_t n_rows = 0;
    uint64_t n_most = 0;

    for (size_t r = 0; r < set->n_runs; r++) {
        uint64_t n = m->is_chosen[r] ? run_rows(set, &set->runs[r]) : 0;
        if (n > n_most) {
            n_most = n;
            *largest_out = r;
        }
        n_rows += n;
    }
    return engine_merge_memory_bytes(n_rows, set->n_parts, n_chosen) +
           budget_segment_max(m->engine);
}

/* Leaves out the largest runs until the rest fits into the budget of jobs, and counts that. */
static mn_status fit_budget(struct merge *m, bool is_wanted, size_t *n_chosen, struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    uint64_t max = budget_job_max(m->engine);
    size_t n_before = *n_chosen;
    size_t largest = 0;
    uint64_t n_bytes = 0;

    while (*n_chosen > 0 && (n_bytes = work_bytes(m, *n_chosen, &largest)) > max) {
        m->is_chosen[largest] = false;
        (*n_chosen)--;
    }
    if (*n_chosen == 1 && n_before > 1 && !is_wanted) {
        (void)work_bytes(m, 1, &largest);
        engine_read_lock(m->engine);
        m->is_chosen[largest] = is_wasteful(set, &set->runs[largest], m->view.point.lsn);
        engine_unlock(m->engine);
        *n_chosen = m->is_chosen[largest];
    }
    if (*n_chosen > 0) {
        m->work_bytes = n_bytes - budget_segment_max(m->engine);
        budget_job_add(m->engine, m->work_bytes);
    }
    if (*n_chosen > 0 || n_before == 0 || !is_wanted)
        return MN_OK;
    return mni_fail(err, MN_ERR_BUDGET,
                    "writing a run of %" PRIu64 " rows anew takes %" PRIu64
                    " bytes of memory; memory_bytes_max leaves %" PRIu64 " for it",
                    run_rows(set, &set->runs[largest]), n_bytes, max);
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
    return collection == 0 || mni_contains_u64(m->numbers, m->n_numbers, collection);
}

/* Goes over groups up to the one of the cursor's row. A collection that does not exist is stepped
 * over as a whole: its rows go, and need not be readable for that. */
static mn_status skip_dropped(const struct merge *m, struct cursor *c, struct part *part,
                              struct mn_error *err)
{
    uint64_t n_groups = mni_segment_get_info(part->segment)->n_groups;

    while (c->row >= c->group_end && c->next_group < n_groups) {
        struct mni_segment_group group;
        mn_status st = mni_segment_group(part->segment, c->next_group, &group, err);
        if (st != MN_OK)
            return st;
        c->next_group++;
        c->group_end = (uint64_t)group.first_row + group.n_rows;
        if (c->row >= group.first_row && c->row < c->group_end && !exists(m, group.collection))
            c->row = (uint32_t)c->group_end;
    }
    return MN_OK;
}

/* Goes to the next row that the root has. */
static mn_status advance(struct merge *m, struct cursor *c, struct mn_error *err)
{
    const struct part_set *set = old_set(m);

    c->row += c->has_row ? 1 : 0;
    c->has_row = false;
    while (c->index < c->run->n_parts) {
        struct part *part = set->parts[c->run->first + c->index];
        bool is_seen = MNI_PLANTED("mask_lost_in_merge") && c->row < part->n_rows;
        if (!is_seen) {
            engine_read_lock(m->engine);
            is_seen =
                mni_liveness_seek_visible(&part->live, part->n_rows, m->view.point.lsn, &c->row);
            engine_unlock(m->engine);
        }
        if (!is_seen && c->row < part->n_rows)
            continue;
        if (!is_seen) {
            c->index++;
            c->row = 0;
            c->next_group = 0;
            c->group_end = 0;
            continue;
        }
        uint32_t row = c->row;
        mn_status st = skip_dropped(m, c, part, err);
        if (st == MN_OK && c->row != row)
            continue;
        mni_segment_row_forget(&c->current);
        if (st == MN_OK)
            st = read_row(m, part, c->row, &c->current, err);
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
    return mni_key_compare(a->key, b->key) < 0;
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

/* Goes over the runs again as the map says. */
static mn_status next_row(void *context, struct mni_segment_row *row_out, struct mn_error *err)
{
    struct merge *m = context;
    struct cursor *c = &m->written[merge_map_run(&m->map, m->n_written++)];
    const struct part_set *set = old_set(m);

    c->row += c->has_row ? 1 : 0;
    c->has_row = true;
    for (;;) {
        MNI_CHECK(c->index < c->run->n_parts);
        size_t p = c->run->first + c->index;
        c->row = merge_map_next_row(&m->map, p, c->row);
        if (c->row < set->parts[p]->n_rows)
            return read_row(m, set->parts[p], c->row, row_out, err);
        c->index++;
        c->row = 0;
    }
}

/* Writes the rows that were planned. */
static mn_status write_planned(struct merge *m, struct mni_segment_plan *plan, struct mn_error *err)
{
    uint64_t *first = mni_realloc(m->first_row, (m->output.n_parts + 2) * sizeof *first);

    if (first == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a merge");
    m->first_row = first;
    first[m->output.n_parts] = m->n_written;
    mn_status st = output_write(&m->output, plan, next_row, m, err);
    if (st == MN_OK)
        first[m->output.n_parts] = m->n_written;
    mni_segment_plan_reset(plan);
    return st;
}

static mn_status write_run(struct merge *m, struct mn_error *err)
{
    struct mni_segment_points points = {0};
    struct mni_segment_plan *plan = NULL;
    struct cursor *c;
    mn_status st = mni_segment_plan_new(m->engine->segment_bytes_max, &plan);

    if (st != MN_OK)
        return mni_fail(err, st, "a merge");
    st = engine_list_points(m->engine, m->view.point.lsn, &points, err);
    mni_segment_plan_set_points(plan, &points);
    while (st == MN_OK && (c = first_cursor(m)) != NULL) {
        st = output_is_full(&m->output, plan) ? MN_END
                                              : mni_segment_plan_add(plan, &c->current, err);
        if (st == MN_END) {
            st = write_planned(m, plan, err);
            continue; /* the same row begins the next one */
        }
        if (st == MN_OK && merge_map_add(&m->map, c->run->first + c->index, c->row) != MN_OK)
            st = fail_for_memory(m, err);
        if (st == MN_OK)
            st = advance(m, c, err);
    }
    if (st == MN_OK && mni_segment_plan_n_rows(plan) > 0)
        st = write_planned(m, plan, err);
    mni_segment_plan_free(plan);
    engine_points_done(&points);
    if (st == MN_OK)
        merge_map_seal(&m->map);
    return st;
}

/* Carrying over ---------- */

/* Where a row of an old part has gone. */
struct mapping {
    const struct merge *merge;
    size_t part;
};

static bool find_place(const struct mapping *mapping, uint32_t row, struct part **part_out,
                       uint32_t *row_out)
{
    const struct merge *m = mapping->merge;
    uint64_t at;
    size_t p = 0;

    if (!merge_map_find(&m->map, mapping->part, row, &at))
        return false;
    while (at >= m->first_row[p + 1])
        p++;
    *part_out = m->output.parts[p];
    *row_out = (uint32_t)(at - m->first_row[p]);
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

static mn_status add_due(const struct mapping *mapping, uint32_t old_row, int64_t expires_at_us)
{
    struct part *part;
    uint32_t row;

    if (!find_place(mapping, old_row, &part, &row))
        return MN_OK;
    if (part_reserve_due(part, 1) != MN_OK)
        return MN_ERR_NOMEM;
    part_add_due(part, row, expires_at_us);
    return MN_OK;
}

/* What happened to a part since the last time. */
struct news {
    struct mni_live_effects effects;
    struct due_row *due; /* owned; the first time only: those that patches had set by then */
    size_t n_due;
    uint64_t n_bytes; /* of the budget */
};

static void news_count(struct merge *m, struct news *news)
{
    news->n_bytes = news->effects.n_deaths * sizeof *news->effects.deaths +
                    news->effects.n_patches * sizeof *news->effects.patches +
                    news->n_due * sizeof *news->due;
    budget_job_add(m->engine, news->n_bytes);
}

static void news_done(struct merge *m, struct news *news)
{
    budget_job_subtract(m->engine, news->n_bytes);
    mni_live_effects_done(&news->effects);
    mni_free(news->due);
    *news = (struct news){0};
}

/* Copies them under the lock; all that takes time comes later. */
static mn_status gather_news(struct merge *m, size_t p, struct news *news)
{
    struct part *part = old_set(m)->parts[p];
    struct carried *carried = &m->carried[p];
    mn_status st = MN_OK;

    engine_read_lock(m->engine);
    if (!m->has_carried && part->n_due > 0) {
        news->due = mni_alloc_array(part->n_due, sizeof *news->due);
        if (news->due == NULL)
            st = MN_ERR_NOMEM;
        else
            memcpy(news->due, part->due, part->n_due * sizeof *news->due);
        news->n_due = st == MN_OK ? part->n_due : 0;
    }
    if (st == MN_OK)
        st = mni_liveness_collect(&part->live, carried->lsn, &news->effects);
    if (st == MN_OK)
        carried->lsn = mni_engine_visible_lsn(m->engine);
    engine_unlock(m->engine);
    news_count(m, news);
    return st;
}

/* Brings the lapsed rows of the result up to date, as they come and go without a commit. */
static mn_status carry_lapses(struct merge *m, size_t p)
{
    struct mapping mapping = {.merge = m, .part = p};
    struct part *part = old_set(m)->parts[p];
    struct carried *carried = &m->carried[p];
    size_t n = LAPSES_SLICE;

    engine_read_lock(m->engine);
    size_t n_words = mni_liveness_lapsed_words(&part->live);
    engine_unlock(m->engine);
    if (n_words == 0)
        return MN_OK;
    if (carried->lapsed == NULL) {
        const uint64_t n_bytes = n_words * sizeof *carried->lapsed;
        carried->lapsed = mni_alloc_zero(n_bytes);
        if (carried->lapsed == NULL)
            return MN_ERR_NOMEM;
        budget_job_add(m->engine, n_bytes);
        m->work_bytes += n_bytes;
    }
    for (size_t i = 0; i < m->output.n_parts; i++)
        if (mni_liveness_reserve_lapsed(&m->output.parts[i]->live) != MN_OK)
            return MN_ERR_NOMEM;
    while (n == LAPSES_SLICE) {
        engine_read_lock(m->engine);
        n = mni_liveness_carry_lapses(&part->live, carried->lapsed, LAPSES_SLICE, map_row,
                                      &mapping);
        engine_unlock(m->engine);
    }
    return MN_OK;
}

static mn_status carry_part(struct merge *m, size_t p, size_t *n_out)
{
    struct mapping mapping = {.merge = m, .part = p};
    struct news news = {0};
    mn_status st = gather_news(m, p, &news);

    if (st == MN_OK)
        st = mni_liveness_carry(&news.effects, map_row, &mapping);
    for (size_t i = 0; i < news.n_due && st == MN_OK; i++)
        st = add_due(&mapping, news.due[i].row, news.due[i].expires_at_us);
    for (size_t i = 0; i < news.effects.n_patches && m->has_carried && st == MN_OK; i++) {
        const struct mni_row_patch *patch = &news.effects.patches[i];
        if ((patch->patch.fields & MNI_FIELD_EXPIRY) != 0)
            st = add_due(&mapping, patch->row, patch->patch.expires_at_us);
    }
    if (st == MN_OK)
        st = carry_lapses(m, p);
    *n_out += news.effects.n_deaths + news.effects.n_patches;
    news_done(m, &news);
    return st;
}

/* Carries what happened since the last time over to the result, which nobody else sees yet. */
static mn_status carry(struct merge *m, size_t *n_out, struct mn_error *err)
{
    mn_status st = MN_OK;

    *n_out = 0;
    for (size_t p = 0; p < old_set(m)->n_parts && st == MN_OK; p++)
        if (merge_map_has_part(&m->map, p))
            st = carry_part(m, p, n_out);
    m->has_carried = true;
    for (size_t i = 0; i < m->output.n_parts; i++)
        part_note_memory(m->output.parts[i]);
    return st == MN_OK ? MN_OK : fail_for_memory(m, err);
}

/* The lapses since then. Write lock held. */
static void carry_last_lapses(struct merge *m)
{
    const struct part_set *set = old_set(m);

    for (size_t p = 0; p < set->n_parts; p++) {
        struct mapping mapping = {.merge = m, .part = p};
        if (m->carried[p].lapsed != NULL)
            (void)mni_liveness_carry_lapses(&set->parts[p]->live, m->carried[p].lapsed, SIZE_MAX,
                                            map_row, &mapping);
    }
}

/* Installing ---------- */

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
        has_dropped = has_dropped ||
                      (merge_map_has_part(&m->map, p) && set->parts[p]->dropped != NULL);
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
    mn_status st = MN_OK;
    size_t n = SIZE_MAX;

    for (int i = 0; i < CARRY_ROUNDS && n > CARRY_FEW && st == MN_OK; i++)
        st = carry(m, &n, err);
    mni_wal_enter(engine->wal, &role);
    struct state *old = engine->state; /* only this thread and its like change it */
    if (st == MN_OK && state_new(old->active, old->frozen, m->set, &state) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a merge");
    if (st == MN_OK)
        st = find_dropped(m, &dropped, err);
    if (st == MN_OK)
        st = carry(m, &n, err);
    engine_write_lock(engine);
    if (st == MN_OK) {
        carry_last_lapses(m);
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

static mn_status start_run(struct merge *m, const struct run *run, struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    size_t index = m->n_cursors++;
    uint64_t n_rows = 0;

    m->cursors[index].run = run;
    m->written[index].run = run;
    for (size_t i = 0; i < run->n_parts; i++) {
        struct part *part = set->parts[run->first + i];
        n_rows += part->n_rows;
        m->carried[run->first + i].lsn = m->view.point.lsn;
        if (merge_map_add_part(&m->map, run->first + i, index, part->n_rows) != MN_OK)
            return fail_for_memory(m, err);
        mni_segment_will_read_rows(part->segment, 0, part->n_rows);
    }
    if (n_rows > UINT32_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a merge of a run of %" PRIu64 " rows", n_rows);
    return advance(m, &m->cursors[index], err);
}

static mn_status start(struct merge *m, size_t n_chosen, struct mn_error *err)
{
    const struct part_set *set = old_set(m);
    mn_status st =
        engine_list_collections(m->engine, m->view.point.lsn, &m->numbers, &m->n_numbers, err);

    m->cursors = mni_alloc_zero((n_chosen + 1) * sizeof *m->cursors);
    m->written = mni_alloc_zero((n_chosen + 1) * sizeof *m->written);
    m->carried = mni_alloc_zero((set->n_parts + 1) * sizeof *m->carried);
    if (st == MN_OK && (m->cursors == NULL || m->written == NULL || m->carried == NULL ||
                        merge_map_init(&m->map, set->n_parts, n_chosen) != MN_OK))
        st = fail_for_memory(m, err);
    for (size_t r = 0; r < set->n_runs && st == MN_OK; r++)
        if (m->is_chosen[r])
            st = start_run(m, &set->runs[r], err);
    return st;
}

static mn_status run_merge(struct merge *m, size_t n_chosen, struct mn_error *err)
{
    size_t n;
    mn_status st = start(m, n_chosen, err);

    if (st == MN_OK)
        st = write_run(m, err);
    /* Most of it while a failure still changes nothing. */
    if (st == MN_OK)
        st = carry(m, &n, err);
    if (st == MN_OK)
        st = make_set(m, err);
    if (st == MN_OK)
        st = root_publish(m->engine, m->set, m->view.point.lsn, m->engine->manifest.time_us, err);
    if (st != MN_OK)
        return st;
    st = install(m, err);
    if (st != MN_OK)
        m->engine->is_root_in_doubt = true; /* readers and root have parted */
    budget_note_fixed(m->engine);           /* the manifest is another one */
    return st;
}

static void discard(struct merge *m, bool is_installed)
{
    for (size_t p = 0; m->carried != NULL && p < old_set(m)->n_parts; p++)
        mni_free(m->carried[p].lapsed);
    for (size_t i = 0; i < m->n_cursors; i++)
        mni_segment_row_forget(&m->cursors[i].current);
    output_done(&m->output, is_installed);
    set_unref(m->set);
    merge_map_done(&m->map);
    mni_free(m->carried);
    mni_free(m->first_row);
    mni_free(m->written);
    mni_free(m->numbers);
    mni_free(m->cursors);
    mni_free(m->is_chosen);
    budget_job_subtract(m->engine, m->work_bytes);
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
    if (st == MN_OK)
        st = fit_budget(&m, wants != NULL, &n, err);
    if (st == MN_OK && n > 0)
        st = run_merge(&m, n, err);
    discard(&m, n > 0 && st == MN_OK);
    if (n > 0 && st == MN_OK)
        st = engine_remove_orphans(engine, err);
    *n_merged_out = n;
    return st;
}

/* On a full disk: the run of which the least is left, for which others give up their space. What
 * merges for another reason does not get that. */
static mn_status merge_emptiest(struct mni_engine *engine, size_t *n_merged_out,
                                struct mn_error *err)
{
    mn_status st = MN_ERR_NO_SPACE;
    bool has_room = true;

    engine->merges_emptiest = true;
    while (st == MN_ERR_NO_SPACE && has_room && !engine->is_root_in_doubt) {
        st = merge_once(engine, NULL, NULL, n_merged_out, err);
        has_room = st == MN_ERR_NO_SPACE && reserve_make_room(engine);
    }
    engine->merges_emptiest = false;
    return st;
}

/* A merge of the background gives way to the checkpoint that writers will wait for. When that has
 * happened it chooses less, and when it has happened too often it goes to its end: writers that
 * never rest would have it begin anew forever. */
static mn_status merge_due(struct mni_engine *engine, size_t *n_merged_out, struct mn_error *err)
{
    bool may_give_up = engine->may_give_up;

    engine->may_give_up = may_give_up && engine->n_given_up < GIVE_UPS_MAX;
    mn_status st = merge_once(engine, NULL, NULL, n_merged_out, err);
    if (st == MN_ERR_NO_SPACE)
        st = merge_emptiest(engine, n_merged_out, err);
    if (st == MN_ERR_BUSY && engine->may_give_up)
        engine->n_given_up++;
    else if (st == MN_OK && engine->n_given_up > 0 && !engine_must_hurry(engine))
        engine->n_given_up--;
    engine->may_give_up = may_give_up;
    return st;
}

mn_status engine_merge(struct mni_engine *engine, struct mn_error *err)
{
    mn_status st = engine_check_root(engine, err);
    size_t n_merged = 1;

    for (int i = 0; i < MERGES_AT_ONCE && n_merged > 0 && st == MN_OK; i++) {
        if (i > 0 && engine->may_give_up && engine_must_hurry(engine))
            break;
        st = merge_due(engine, &n_merged, err);
    }
    reserve_restore(engine);
    return st;
}

mn_status engine_rewrite(struct mni_engine *engine, want_part_fn *wants, void *context,
                         size_t *n_runs_out, struct mn_error *err)
{
    mn_status st = engine_check_root(engine, err);

    *n_runs_out = 0;
    return st == MN_OK ? merge_once(engine, wants, context, n_runs_out, err) : st;
}
