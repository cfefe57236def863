/*
 * live_carry.c - what happened to rows while they were merged, carried over to where they are now.
 *
 * Owns:    nothing.
 * Threads: under the exclusive lock.
 * Fails:   only preparing, with MN_ERR_NOMEM.
 */
#include "segment/live_private.h"

enum carry_step { RESERVE, UNRESERVE, APPLY };

struct carry {
    const struct mni_liveness *from;
    uint64_t after_lsn;
    mni_row_map_fn *map;
    void *context;
    enum carry_step step;
    uint64_t n_left; /* effects to deal with; the walks are the same each time */
};

/* Where a row is now; false also when all effects have been dealt with. */
static bool next_target(struct carry *c, uint32_t row, struct mni_liveness **live, uint32_t *to)
{
    if (c->n_left == 0 || !c->map(c->context, row, live, to))
        return false;
    MNI_CHECK(*to < (*live)->n_rows);
    c->n_left--;
    return true;
}

static mn_status carry_deaths(struct carry *c, uint64_t *n_done)
{
    const struct mni_live_map *deaths = &c->from->deaths;
    struct mni_liveness *live = NULL;
    uint32_t row = 0;

    for (size_t i = 0; i < deaths->capacity; i++) {
        if (deaths->rows[i] == LIVE_MAP_FREE || deaths->values[i] <= c->after_lsn ||
            !next_target(c, deaths->rows[i], &live, &row))
            continue;
        mn_status st = MN_OK;
        if (c->step == RESERVE)
            st = mni_liveness_reserve(live, 1, 0);
        else if (c->step == UNRESERVE)
            mni_liveness_unreserve(live, 1, 0);
        else
            mni_liveness_kill(live, row, deaths->values[i]);
        if (st != MN_OK)
            return st;
        ++*n_done;
    }
    return MN_OK;
}

static mn_status carry_one_patch(struct carry *c, struct mni_liveness *live, uint32_t row,
                                 const struct mni_live_node *node)
{
    struct mni_patch patch = {.lsn = node->lsn,
                              .fields = node->fields,
                              .clears = node->clears,
                              .expires_at_us = node->expires_at_us,
                              .hits = node->hits};

    if (c->step == RESERVE)
        return mni_liveness_reserve(live, 0, 1);
    if (c->step == UNRESERVE)
        mni_liveness_unreserve(live, 0, 1);
    else
        live_add_node(live, row, &patch, true);
    return MN_OK;
}

static mn_status carry_patches(struct carry *c, uint64_t *n_done)
{
    const struct mni_live_map *patches = &c->from->patches;
    struct mni_liveness *live = NULL;
    uint32_t row = 0;

    for (size_t i = 0; i < patches->capacity; i++) {
        if (patches->rows[i] == LIVE_MAP_FREE)
            continue;
        uint64_t link = patches->values[i];
        while (link != 0) {
            const struct mni_live_node *node = &c->from->nodes[link - 1];
            if (node->lsn <= c->after_lsn || !next_target(c, patches->rows[i], &live, &row))
                break;
            mn_status st = carry_one_patch(c, live, row, node);
            if (st != MN_OK)
                return st;
            ++*n_done;
            link = node->older;
        }
    }
    return MN_OK;
}

static mn_status carry_lapses(struct carry *c, uint64_t *n_done)
{
    const struct mni_liveness *from = c->from;
    struct mni_liveness *live = NULL;
    uint32_t to = 0;

    if (from->n_lapsed == 0)
        return MN_OK;
    for (uint32_t row = live_next_bit(from->lapsed, from->n_rows, 0); row < from->n_rows;
         row = live_next_bit(from->lapsed, from->n_rows, row + 1)) {
        if (!next_target(c, row, &live, &to))
            continue;
        mn_status st = MN_OK;
        if (c->step == RESERVE)
            st = mni_liveness_reserve_lapsed(live);
        else if (c->step == APPLY)
            mni_liveness_lapse(live, to);
        if (st != MN_OK)
            return st;
        ++*n_done;
    }
    return MN_OK;
}

static mn_status carry_all(struct carry *c, uint64_t *n_done)
{
    *n_done = 0;
    mn_status st = carry_patches(c, n_done);
    if (st == MN_OK)
        st = carry_deaths(c, n_done);
    if (st == MN_OK)
        st = carry_lapses(c, n_done);
    return st;
}

mn_status mni_liveness_carry_prepare(const struct mni_liveness *from, uint64_t after_lsn,
                                     mni_row_map_fn *map, void *context)
{
    struct carry c = {from, after_lsn, map, context, RESERVE, UINT64_MAX};
    uint64_t n_done = 0;
    uint64_t n_undone = 0;

    mn_status st = carry_all(&c, &n_done);
    if (st == MN_OK)
        return MN_OK;
    c.step = UNRESERVE;
    c.n_left = n_done;
    mni_ignore(carry_all(&c, &n_undone));
    MNI_CHECK(n_undone == n_done);
    return st;
}

void mni_liveness_carry(const struct mni_liveness *from, uint64_t after_lsn, mni_row_map_fn *map,
                        void *context)
{
    struct carry c = {from, after_lsn, map, context, APPLY, UINT64_MAX};
    uint64_t n_done = 0;

    mni_ignore(carry_all(&c, &n_done));
}

void mni_liveness_carry_cancel(const struct mni_liveness *from, uint64_t after_lsn,
                               mni_row_map_fn *map, void *context)
{
    struct carry c = {from, after_lsn, map, context, UNRESERVE, UINT64_MAX};
    uint64_t n_done = 0;

    mni_ignore(carry_all(&c, &n_done));
}
