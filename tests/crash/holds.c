/*
 * holds.c - records that stay pinned and walks that stay open while other things happen.
 */
#include <string.h>

#include "world.h"

static void let_go(struct world *w, struct world_hold *h)
{
    char why[WHY_BYTES];

    if (!h->is_held)
        return;
    if (!world_view_is(&h->view, h->id, &h->record, why))
        sim_fail(w->sim, "a record that was held: %s", why);
    mn_view_release(&h->view);
    h->is_held = false;
}

void world_hold(struct world *w, unsigned slot, unsigned space, unsigned id)
{
    struct world_hold *h = &w->holds[slot];

    if (!world_is_up(w))
        return;
    let_go(w, h);
    int64_t now_us = world_settle_clock(w, &w->state);
    const struct model_record *r = &w->state.spaces[space].records[id];
    mn_status st = mn_get(w->store, model_space_name(space), model_id(id), &h->view, NULL);
    h->is_held = st == MN_OK;
    if (mni_crash_env_is_cut(w->sim->crash) && st == MN_ERR_IO)
        return;
    if (st != (model_is_live(r, now_us) ? MN_OK : MN_NOT_FOUND))
        sim_fail(w->sim, "holding space %u id %u: %s", space, id, mn_status_name(st));
    sim_tell(w->sim, "hold space %u id %u: %s", space, id, mn_status_name(st));
    h->id = (uint8_t)id;
    h->record = *r;
}

static void skip_dead(struct world_walk *walk)
{
    while (walk->next_id < N_IDS &&
           !model_is_live(&walk->space.records[walk->next_id], walk->now_us))
        walk->next_id++;
}

static void close_walk(struct world_walk *walk)
{
    mn_iter_close(walk->iter);
    walk->iter = NULL;
}

static void open_walk(struct world *w, struct world_walk *walk, unsigned space)
{
    walk->now_us = world_settle_clock(w, &w->state);
    walk->space = w->state.spaces[space];
    walk->next_id = 0;
    mn_status st = mn_iter_open(w->store, model_space_name(space), NULL, &walk->iter, NULL);
    if (st != (walk->space.exists ? MN_OK : MN_NOT_FOUND))
        sim_fail(w->sim, "walking space %u: %s", space, mn_status_name(st));
    sim_tell(w->sim, "walk over space %u: %s", space, mn_status_name(st));
}

void world_walk(struct world *w, unsigned slot, unsigned space)
{
    struct world_walk *walk = &w->walks[slot];
    struct mn_view view;
    char why[WHY_BYTES];

    if (!world_is_up(w))
        return;
    if (walk->iter == NULL) {
        open_walk(w, walk, space);
        return;
    }
    skip_dead(walk);
    mn_status st = mn_iter_next(walk->iter, &view, NULL);
    if (st != (walk->next_id < N_IDS ? MN_OK : MN_END))
        sim_fail(w->sim, "walking on: %s, expected record %u", mn_status_name(st), walk->next_id);
    if (st == MN_END) {
        close_walk(walk);
        return;
    }
    if (!world_view_is(&view, walk->next_id, &walk->space.records[walk->next_id], why))
        sim_fail(w->sim, "walking on: %s", why);
    walk->next_id++;
    mn_view_release(&view);
}

void world_let_go(struct world *w)
{
    for (unsigned i = 0; i < N_HOLDS; i++)
        let_go(w, &w->holds[i]);
    for (unsigned i = 0; i < N_WALKS; i++)
        close_walk(&w->walks[i]);
}
