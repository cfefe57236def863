/*
 * compare.c - reads a whole store through the public calls and compares it with a state.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#define DIFFERS(...) (snprintf(why, WHY_BYTES, __VA_ARGS__) < 0)

static bool is_slice(struct mn_slice a, struct mn_slice b)
{
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.data, b.data, a.n_bytes) == 0);
}

bool world_view_is(const struct mn_view *view, unsigned id, struct model_record *r,
                   char why[WHY_BYTES])
{
    struct model_content content;
    bool expires = (view->fields & MN_HAS_EXPIRES_AT) != 0;
    bool has_time = (view->fields & MN_HAS_EVENT_TIME) != 0;

    model_content(r->value, &content);
    if (!is_slice(view->id, model_id(id)))
        return DIFFERS("record %u: another id", id);
    if (view->lsn != r->lsn)
        return DIFFERS("record %u: LSN %" PRIu64 ", not %" PRIu64, id, view->lsn, r->lsn);
    if (!is_slice(view->payload, content.payload))
        return DIFFERS("record %u: another payload", id);
    if (!is_slice(view->metadata, content.metadata))
        return DIFFERS("record %u: other metadata", id);
    if (view->n_dims != r->n_dims ||
        (r->n_dims > 0 && memcmp(view->vector, content.vector, r->n_dims * sizeof(float)) != 0))
        return DIFFERS("record %u: another vector", id);
    if (has_time != content.has_event_time ||
        (has_time && view->event_time_us != content.event_time_us))
        return DIFFERS("record %u: another event time", id);
    if (expires != r->expiry.is_set)
        return DIFFERS("record %u: %s", id, expires ? "expires" : "does not expire");
    if (!expires)
        return true;
    if (view->expires_at_us < r->expiry.least_us || view->expires_at_us > r->expiry.most_us ||
        (r->expiry.exact_us != 0 && view->expires_at_us != r->expiry.exact_us))
        return DIFFERS("record %u: expires at %" PRId64 ", not %" PRId64, id, view->expires_at_us,
                       r->expiry.least_us);
    r->expiry.exact_us = view->expires_at_us;
    return true;
}

static bool walk_records(struct world *w, unsigned s, struct model_space *space, int64_t now_us,
                         char why[WHY_BYTES])
{
    mn_iter *iter = NULL;
    struct mn_view view;
    unsigned id = 0;
    bool is_same = true;
    mn_status st = mn_iter_open(w->store, model_space_name(s), NULL, &iter, NULL);

    if (st != MN_OK)
        return DIFFERS("walking namespace %u: %s", s, mn_status_name(st));
    while (is_same && (st = mn_iter_next(iter, &view, NULL)) == MN_OK) {
        while (id < N_IDS && !model_is_live(&space->records[id], now_us))
            id++;
        if (id == N_IDS)
            is_same = DIFFERS("namespace %u: a record too many, of LSN %" PRIu64, s, view.lsn);
        else
            is_same = world_view_is(&view, id, &space->records[id], why);
        mn_view_release(&view);
        id++;
    }
    mn_iter_close(iter);
    if (!is_same)
        return false;
    while (id < N_IDS && !model_is_live(&space->records[id], now_us))
        id++;
    if (id < N_IDS || st != MN_END)
        return DIFFERS("namespace %u: record %u is missing from the walk", s, id);
    return true;
}

static bool get_all(struct world *w, unsigned s, struct model_space *space, int64_t now_us,
                    char why[WHY_BYTES])
{
    struct mn_slice ids[N_IDS];
    struct mn_view views[N_IDS];
    size_t n_found = 0;
    uint64_t n_live = 0;
    uint64_t n_counted = 0;
    bool is_same = true;

    for (unsigned i = 0; i < N_IDS; i++)
        ids[i] = model_id(i);
    mn_status st = mn_get_batch(w->store, model_space_name(s), ids, N_IDS, views, &n_found, NULL);
    if (st != MN_OK)
        return DIFFERS("reading namespace %u: %s", s, mn_status_name(st));
    for (unsigned i = 0; i < N_IDS; i++) {
        bool is_live = model_is_live(&space->records[i], now_us);
        n_live += is_live;
        if (is_same && is_live != (views[i].pin != NULL))
            is_same = DIFFERS("namespace %u: record %u is%s there", s, i, is_live ? " not" : "");
        if (is_same && is_live)
            is_same = world_view_is(&views[i], i, &space->records[i], why);
        mn_view_release(&views[i]);
    }
    if (!is_same)
        return false;
    st = mn_count(w->store, model_space_name(s), &n_counted, NULL);
    if (st != MN_OK || n_counted != n_live || n_found != n_live)
        return DIFFERS("namespace %u: %" PRIu64 " counted, %zu found, not %" PRIu64, s, n_counted,
                       n_found, n_live);
    return true;
}

static bool walk_namespaces(struct world *w, const struct model_state *state, char why[WHY_BYTES])
{
    mn_namespace_iter *iter = NULL;
    struct mn_namespace_info info;
    unsigned s = 0;
    bool is_same = true;
    mn_status st = mn_namespace_iter_open(w->store, (struct mn_slice){NULL, 0}, &iter, NULL);

    if (st != MN_OK)
        return DIFFERS("walking namespaces: %s", mn_status_name(st));
    while (is_same && (st = mn_namespace_iter_next(iter, &info, NULL)) == MN_OK) {
        while (s < N_SPACES && !state->spaces[s].exists)
            s++;
        if (s == N_SPACES)
            is_same = DIFFERS("a namespace too many");
        else if (!is_slice(info.name, model_space_name(s)))
            is_same = DIFFERS("namespace %u is missing from the walk", s);
        else if (info.dimension != state->spaces[s].dimension)
            is_same = DIFFERS("namespace %u has %" PRIu32 " dimensions, not %" PRIu32, s,
                              info.dimension, state->spaces[s].dimension);
        else if (info.created_lsn != state->spaces[s].created_lsn)
            is_same = DIFFERS("namespace %u was made at %" PRIu64 ", not %" PRIu64, s,
                              info.created_lsn, state->spaces[s].created_lsn);
        s++;
    }
    mn_namespace_iter_close(iter);
    if (!is_same)
        return false;
    while (s < N_SPACES && !state->spaces[s].exists)
        s++;
    if (s < N_SPACES || st != MN_END)
        return DIFFERS("namespace %u is missing from the walk", s);
    return true;
}

static bool shows_space(struct world *w, unsigned s, struct model_space *space, int64_t now_us,
                        char why[WHY_BYTES])
{
    bool exists = false;
    uint32_t dimension = 0;
    mn_status st = mn_namespace_exists(w->store, model_space_name(s), &exists, NULL);

    if (st != MN_OK || exists != space->exists)
        return DIFFERS("namespace %u %s", s, exists ? "exists" : "does not exist");
    st = mn_dimension(w->store, model_space_name(s), &dimension, NULL);
    if (!exists)
        return st == MN_NOT_FOUND || DIFFERS("namespace %u has a dimension", s);
    if (st != MN_OK || dimension != space->dimension)
        return DIFFERS("namespace %u: dimension %" PRIu32 ", not %" PRIu32, s, dimension,
                       space->dimension);
    return get_all(w, s, space, now_us, why) && walk_records(w, s, space, now_us, why);
}

static bool shows_stats(struct world *w, const struct model_state *state, int64_t now_us,
                        char why[WHY_BYTES])
{
    struct mn_stats stats = {.size = sizeof stats};
    uint64_t n_records = 0;
    uint64_t n_spaces = 0;
    uint64_t n_tracks = 0;
    mn_status st = mn_stats(w->store, &stats, NULL);

    for (unsigned s = 0; s < N_SPACES; s++) {
        n_spaces += state->spaces[s].exists;
        for (unsigned i = 0; i < N_IDS; i++)
            n_records += model_is_live(&state->spaces[s].records[i], now_us);
    }
    for (unsigned t = 0; t < N_TRACKS; t++) {
        n_tracks += state->tracks[t].exists;
        for (unsigned i = 0; i < N_POINTS; i++)
            n_records +=
                state->tracks[t].points[i].is_there + state->tracks[t].points[i].n_versions;
    }
    for (unsigned t = 0; t < N_HOUSES; t++) {
        n_records += state->houses[t].has_budget;
        for (unsigned i = 0; i < N_ANSWERS; i++)
            n_records += state->houses[t].answers[i].is_there;
    }
    if (st != MN_OK || stats.n_records != n_records || stats.n_namespaces != n_spaces)
        return DIFFERS("the store counts %" PRIu64 " records in %" PRIu64
                       " namespaces, not %" PRIu64 " in %" PRIu64,
                       stats.n_records, stats.n_namespaces, n_records, n_spaces);
    if (stats.n_spaces != n_tracks)
        return DIFFERS("the store counts %" PRIu64 " spaces, not %" PRIu64, stats.n_spaces,
                       n_tracks);
    return true;
}

bool world_shows(struct world *w, struct model_state *state, char why[WHY_BYTES])
{
    int64_t now_us = world_settle_clock(w, state);

    if (world_lsn(w) != state->lsn)
        return DIFFERS("the newest LSN is %" PRIu64 ", not %" PRIu64, world_lsn(w), state->lsn);
    if (!walk_namespaces(w, state, why))
        return false;
    for (unsigned s = 0; s < N_SPACES; s++)
        if (!shows_space(w, s, &state->spaces[s], now_us, why))
            return false;
    if (w->has_points && !world_shows_points(w, state, why))
        return false;
    if (w->has_cache && !world_shows_cache(w, state, why))
        return false;
    return shows_stats(w, state, now_us, why);
}
