/*
 * past_ops.h - what spaces keep beside the model: the newest points, and versions that were
 * replaced.
 */
#ifndef TESTS_MODEL_PAST_OPS_H
#define TESTS_MODEL_PAST_OPS_H

#include "world.h"

static const int64_t history_us = INT64_C(1) << 60; /* nothing gets as old */

/* Versions that have expired stay until they are swept. */
static inline void forget_past(struct track *track, unsigned e, unsigned t, int64_t now_us)
{
    struct past *past = &track->pasts[e][t];
    unsigned n = 0;

    for (unsigned i = 0; i < past->n; i++)
        if (!is_unexpired(&past->versions[i].content, now_us))
            past->versions[n++] = past->versions[i];
    past->n = n;
}

/* A point, and with it all that was known of it. */
static inline void remove_point(struct track *track, unsigned e, unsigned t, uint64_t lsn,
                                int64_t now_us)
{
    track->points[e][t] = (struct slot){.change_lsn = lsn};
    forget_past(track, e, t, now_us);
}

static inline bool has_room_for_past(const struct track *track, unsigned e, unsigned t)
{
    return !track->has_history || track->pasts[e][t].n < N_VERSIONS;
}

/* A put in place of what is there, or of nothing. */
static inline void replace_point(struct track *track, unsigned e, unsigned t,
                                 const struct content *c, uint64_t lsn, int64_t now_us)
{
    struct slot *s = &track->points[e][t];
    struct past *past = &track->pasts[e][t];

    if (!is_shown(track, e, t, now_us))
        forget_past(track, e, t, now_us);
    else if (track->has_history)
        past->versions[past->n++] =
            (struct version){.content = s->content, .birth_lsn = s->lsn, .death_lsn = lsn};
    *s = (struct slot){.is_there = true, .content = *c, .lsn = lsn, .change_lsn = lsn};
}

/* Only the newest points of an entity stay. */
static inline uint64_t cut_entity(struct track *track, unsigned e, uint64_t lsn, int64_t now_us)
{
    uint64_t n_cut = 0;
    uint64_t n = 0;

    for (unsigned t = N_TIMES; t-- > 0 && track->keep_points > 0;) {
        if (!is_shown(track, e, t, now_us) || ++n <= track->keep_points)
            continue;
        remove_point(track, e, t, lsn, now_us);
        n_cut++;
    }
    return n_cut;
}

/* Points that are too old go, as far as they have not expired. */
static inline uint64_t remove_old(struct track *track, uint64_t lsn, int64_t now_us)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_ENTITIES * N_TIMES; i++) {
        unsigned e = i / N_TIMES;
        unsigned t = i % N_TIMES;
        if (!is_visible(&track->points[e][t], now_us) || is_shown(track, e, t, now_us))
            continue;
        remove_point(track, e, t, lsn, now_us);
        n++;
    }
    return n;
}

/* An age that hides the first times only, or all but the last, or comes to do so soon. It ends at
 * no point's time now: the call that sets it reads the clock again. */
static inline int64_t some_age(struct world *w)
{
    int64_t age_us = w->now_us + (int64_t)below(w, 40) * SECOND_US - 10 * SECOND_US - SECOND_US / 2;

    return age_us > 0 ? age_us : 1;
}

static inline void sweep_track(struct world *w, unsigned k)
{
    struct track *track = &w->now.tracks[k];
    uint64_t n_removed = 99;
    mn_status st = CALLED(w, mn_temporal_sweep_space(w->store, track_of(k), &n_removed, call(w)));

    CHECK_STATUS(st, track->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    uint64_t lsn = newest_lsn(w);
    CHECK_EQ(n_removed, remove_old(track, lsn, w->now_us));
    if (n_removed > 0)
        committed(w, lsn, MN_ACK_NONE);
}

static inline void sweep_some_track(struct world *w)
{
    sweep_track(w, below(w, N_TRACKS));
}

/* Altering ---------- */

/* All that follows from it is on the disk afterwards: how many commits it is made of is not asked.
 */
static inline void alter_track(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    struct track *track = &w->now.tracks[k];
    struct mn_space_changes c = {.size = sizeof c, .history_us = one_in(w, 2) ? history_us : 0};
    uint64_t lsn = 99;

    c.keep_points = one_in(w, 2) ? below(w, N_TIMES) : 0;
    c.fields = 1 + below(w, 15);
    c.keyframe_every = one_in(w, 2) ? 2 + below(w, 4) : 0;
    c.keep_us = one_in(w, 2) ? some_age(w) : 0;
    mn_status st =
        CALLED(w, mn_temporal_alter_space(w->store, track_of(k), &c, NULL, &lsn, call(w)));
    CHECK_STATUS(st, track->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    bool sets_points = (c.fields & MN_SPACE_KEEP_POINTS) != 0;
    bool sets_age = (c.fields & MN_SPACE_KEEP_US) != 0;
    bool sets_history = (c.fields & MN_SPACE_HISTORY_US) != 0;
    bool sets_frames = (c.fields & MN_SPACE_KEYFRAME_EVERY) != 0;
    bool changes = (sets_points && c.keep_points != track->keep_points) ||
                   (sets_history && (c.history_us != 0) != track->has_history) ||
                   (sets_age && c.keep_us != track->keep_us) ||
                   (sets_frames && c.keyframe_every != track->keyframe_every);
    CHECK_EQ(lsn != 0, changes);
    if (sets_history && (c.history_us != 0) != track->has_history) {
        track->has_history = c.history_us != 0;
        track->known_from_lsn = track->has_history ? lsn : 0;
        memset(track->pasts, 0, sizeof track->pasts);
    }
    if (sets_frames)
        track->keyframe_every = c.keyframe_every;
    if (sets_age) {
        if (track->keep_us != 0 && (c.keep_us == 0 || c.keep_us > track->keep_us))
            (void)remove_old(track, lsn, w->now_us); /* what is gone stays gone */
        track->keep_us = c.keep_us;
    }
    if (sets_points) {
        bool is_fewer = c.keep_points > 0 &&
                        (track->keep_points == 0 || c.keep_points < track->keep_points);
        track->keep_points = c.keep_points;
        if (is_fewer) /* the space is swept */
            (void)remove_old(track, lsn, w->now_us);
    }
    for (unsigned e = 0; e < N_ENTITIES && changes; e++)
        (void)cut_entity(track, e, lsn, w->now_us);
    if (!changes)
        return;
    CHECK_OK(mn_flush(w->store, NULL));
    CHECK(lsn > w->now.lsn && newest_lsn(w) >= lsn);
    w->now.lsn = newest_lsn(w);
    w->has_gap = false;
    w->solid = w->now;
    w->n_later = 0;
}

/* Asking ---------- */

/* What was the point then: NULL, nothing. */
static inline const struct content *known_then(const struct track *track, unsigned e, unsigned t,
                                               uint64_t lsn, int64_t now_us, uint64_t *birth_lsn)
{
    const struct slot *s = &track->points[e][t];
    const struct past *past = &track->pasts[e][t];

    if (!is_shown(track, e, t, now_us))
        return NULL;
    *birth_lsn = s->lsn;
    if (s->lsn <= lsn)
        return &s->content;
    for (unsigned i = 0; i < past->n; i++) {
        const struct version *v = &past->versions[i];
        *birth_lsn = v->birth_lsn;
        if (v->birth_lsn <= lsn && lsn < v->death_lsn)
            return is_unexpired(&v->content, now_us) ? &v->content : NULL;
    }
    return NULL;
}

/* A moment of the past, sometimes one that nothing is known of. */
static inline uint64_t some_past(struct world *w, const struct track *track)
{
    uint64_t from = track->known_from_lsn > 1 ? track->known_from_lsn - 1 : 1;
    uint64_t width = w->now.lsn + 3 - from;

    return w->now.lsn < from || one_in(w, 30) ? check_below(&w->random, w->now.lsn + 2)
                                              : from + check_below(&w->random, width);
}

static inline mn_status expected_of_past(const struct track *track, uint64_t lsn)
{
    if (lsn == 0)
        return MN_ERR_INVALID;
    if (!track->exists)
        return MN_NOT_FOUND;
    return !track->has_history || lsn < track->known_from_lsn ? MN_ERR_INVALID : MN_OK;
}

static inline void check_known_point(const struct mn_point_view *view, unsigned e, unsigned t,
                                     const struct content *c, uint64_t lsn);

static inline void look_back_at(struct world *w, mn_store *store, unsigned k,
                                const struct track *track, uint64_t lsn, int64_t now_us)
{
    unsigned e = below(w, N_ENTITIES);
    unsigned asked = below(w, N_TIMES);
    mn_status expected = expected_of_past(track, lsn);
    const struct content *best = NULL;
    unsigned best_t = 0;
    uint64_t best_lsn = 0;
    struct mn_point_view view = {.n_dims = 77};

    for (unsigned t = 0; t <= asked && expected == MN_OK; t++) {
        uint64_t birth_lsn = 0;
        const struct content *c = known_then(track, e, t, lsn, now_us, &birth_lsn);
        if (c == NULL)
            continue;
        best = c;
        best_t = t;
        best_lsn = birth_lsn;
    }
    mn_status st =
        mn_temporal_as_of_known(store, track_of(k), entity_of(e), time_of(asked), lsn, &view, NULL);
    CHECK_STATUS(st, expected == MN_OK && best == NULL ? MN_NOT_FOUND : expected);
    if (st == MN_OK)
        check_known_point(&view, e, best_t, best, best_lsn);
    mn_point_release(&view);
}

static inline void range_back_at(struct world *w, mn_store *store, unsigned k,
                                 const struct track *track, uint64_t lsn, int64_t now_us)
{
    unsigned e = below(w, N_ENTITIES);
    struct mn_range_options o = {.size = sizeof o, .known_at = lsn, .descending = one_in(w, 2)};
    struct mn_point_view view;
    mn_range *range = NULL;
    mn_status expected = lsn == 0 ? track->exists ? MN_OK : MN_NOT_FOUND
                                  : expected_of_past(track, lsn);
    mn_status st = mn_temporal_range_open(store, track_of(k), entity_of(e), INT64_MIN, INT64_MAX,
                                          &o, &range, NULL);

    CHECK_STATUS(st, expected);
    if (st != MN_OK)
        return;
    for (unsigned i = 0; i < N_TIMES; i++) {
        unsigned t = o.descending ? N_TIMES - 1 - i : i;
        uint64_t birth_lsn = 0;
        const struct content *c =
            known_then(track, e, t, lsn == 0 ? UINT64_MAX : lsn, now_us, &birth_lsn);
        if (c == NULL)
            continue;
        CHECK_OK(mn_temporal_range_next(range, &view, NULL));
        check_known_point(&view, e, t, c, birth_lsn);
        mn_point_release(&view);
    }
    CHECK_STATUS(mn_temporal_range_next(range, &view, NULL), MN_END);
    mn_temporal_range_close(range);
}

static inline void look_back(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    const struct track *track = &w->now.tracks[k];
    uint64_t lsn = some_past(w, track);

    look_back_at(w, w->store, k, track, lsn, w->now_us);
    range_back_at(w, w->store, k, track, lsn, w->now_us);
}

#endif
