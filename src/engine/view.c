/*
 * view.c - read views: one LSN and one clock reading.
 *
 * Owns:    the list of open views; each view lies in its holder.
 * Threads: any; `views_lock` guards the list. A view is opened under the table's read lock, so that
 *          no commit is published between reading the LSN and noting it.
 * Fails:   never; what a search has ordered, when the search is to end.
 */
#include "base/check.h"
#include "engine/engine_private.h"

void engine_read_lock(struct mni_engine *engine)
{
    mni_rwlock_read(&engine->lock);
}

void engine_write_lock(struct mni_engine *engine)
{
    mni_rwlock_write(&engine->lock);
}

void engine_unlock(struct mni_engine *engine)
{
    mni_rwlock_unlock(&engine->lock);
}

void engine_yield(struct mni_engine *engine)
{
    mni_rwlock_yield(&engine->lock);
}

int64_t mni_engine_mono_us(const struct mni_engine *engine)
{
    return mni_env_mono_us(engine->env);
}

int64_t mni_engine_now_us(struct mni_engine *engine)
{
    int64_t now = mni_env_wall_us(engine->env);
    int64_t last = atomic_load_explicit(&engine->last_now_us, memory_order_relaxed);

    while (now > last)
        if (atomic_compare_exchange_weak(&engine->last_now_us, &last, now))
            return now;
    return last;
}

struct mni_view_point engine_view_now(struct mni_engine *engine)
{
    return (struct mni_view_point){
        .lsn = atomic_load_explicit(&engine->visible_lsn, memory_order_relaxed),
        .now_us = mni_engine_now_us(engine),
    };
}

uint64_t mni_engine_visible_lsn(const struct mni_engine *engine)
{
    return atomic_load_explicit(&engine->visible_lsn, memory_order_relaxed);
}

/* Into the list, which is in the order of LSNs. `views_lock` is held, and the read lock too unless
 * a view is open that is as old. */
static void link_view(struct mni_engine *engine, struct mni_view *view)
{
    struct mni_view *older = engine->newest_view;

    while (older != NULL && older->point.lsn > view->point.lsn)
        older = older->older;
    view->older = older;
    view->newer = older != NULL ? older->newer : engine->oldest_view;
    if (view->newer != NULL)
        view->newer->older = view;
    else
        engine->newest_view = view;
    if (older != NULL)
        older->newer = view;
    else
        engine->oldest_view = view;
}

static void open_view(struct mni_engine *engine, struct mni_view *view, uint64_t lsn)
{
    engine_read_lock(engine);
    mni_mutex_lock(&engine->views_lock);
    view->engine = engine;
    view->point = engine_view_now(engine);
    view->n_catalogue_changes = engine->n_catalogue_changes;
    if (lsn < view->point.lsn) {
        view->point.lsn = lsn;
        view->n_catalogue_changes = UINT64_MAX; /* it may show other collections than the newest */
    }
    view->state = engine->state;
    state_ref(view->state);
    link_view(engine, view);
    mni_mutex_unlock(&engine->views_lock);
    engine_unlock(engine);
}

void mni_view_open(struct mni_engine *engine, struct mni_view *view)
{
    open_view(engine, view, UINT64_MAX);
}

void engine_view_open_at(struct mni_engine *engine, struct mni_view *view, uint64_t lsn)
{
    open_view(engine, view, lsn);
}

void engine_view_copy(const struct mni_view *from, struct mni_view *view)
{
    struct mni_engine *engine = from->engine;

    view->engine = engine;
    view->point = from->point;
    view->n_catalogue_changes = from->n_catalogue_changes;
    view->state = from->state;
    state_ref(view->state);
    mni_mutex_lock(&engine->views_lock);
    link_view(engine, view);
    mni_mutex_unlock(&engine->views_lock);
}

void mni_view_close(struct mni_view *view)
{
    struct mni_engine *engine = view->engine;

    mni_mutex_lock(&engine->views_lock);
    if (view->older != NULL)
        view->older->newer = view->newer;
    else
        engine->oldest_view = view->newer;
    if (view->newer != NULL)
        view->newer->older = view->older;
    else
        engine->newest_view = view->older;
    mni_mutex_unlock(&engine->views_lock);
    state_unref(view->state);
}

uint64_t engine_oldest_view_lsn(struct mni_engine *engine)
{
    mni_mutex_lock(&engine->views_lock);
    uint64_t lsn = engine->oldest_view != NULL ? engine->oldest_view->point.lsn : UINT64_MAX;
    mni_mutex_unlock(&engine->views_lock);
    return lsn;
}

uint64_t engine_floor_lsn(struct mni_engine *engine, uint64_t lsn)
{
    uint64_t oldest = engine_oldest_view_lsn(engine);

    /* The next root says what happened since this one, and a merge shows this one's moment. */
    if (engine->root_lsn < lsn)
        lsn = engine->root_lsn;
    return oldest < lsn ? oldest : lsn;
}

mn_status engine_order_table(struct mni_engine *engine, struct mni_memtable *table,
                             uint64_t collection, uint64_t lsn, const struct mni_search *search,
                             struct mn_error *err)
{
    struct mni_ordering ordering = {.has_begun = false};

    engine_read_lock(engine);
    bool is_ordered = mni_memtable_is_ordered(table, collection, lsn);
    engine_unlock(engine);
    while (!is_ordered) {
        mn_status st = search != NULL ? engine_search_ask(engine, search, err) : MN_OK;
        if (st != MN_OK)
            return st;
        engine_write_lock(engine);
        is_ordered = mni_memtable_order(table, collection, lsn, &ordering);
        engine_unlock(engine);
        engine_yield(engine);
    }
    return MN_OK;
}
