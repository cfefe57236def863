/*
 * temporal_ops.h - spaces and points beside the model.
 */
#ifndef TESTS_MODEL_TEMPORAL_OPS_H
#define TESTS_MODEL_TEMPORAL_OPS_H

#include "past_ops.h"

static inline struct mn_write_options any_ack(struct world *w)
{
    return (struct mn_write_options){.size = sizeof(struct mn_write_options),
                                     .ack = (mn_ack)below(w, 4)};
}

/* What a point is made of depends on whose it is. */
static inline struct mn_slice point_seed(unsigned entity, unsigned time)
{
    return id_of((entity * N_TIMES + time) % N_IDS);
}

static inline void make_point(const struct content *c, unsigned e, unsigned t, struct made *made,
                              struct mn_point *point)
{
    make_content(c, point_seed(e, t), made);
    const struct mn_record *r = &made->record;
    *point = (struct mn_point){
        .entity = entity_of(e),
        .time_us = time_of(t),
        .vector = r->vector,
        .n_dims = r->n_dims,
        .fields = r->fields,
        .metadata = r->metadata,
        .payload = r->payload,
        .expires_at_us = r->expires_at_us,
        .ttl_us = -5, /* not asked for */
    };
}

static inline void check_point_view(const struct mn_point_view *view, unsigned e, unsigned t,
                                    const struct slot *s)
{
    const struct mn_view as_record = {
        .id = point_seed(e, t),
        .vector = view->vector,
        .n_dims = view->n_dims,
        .fields = view->fields,
        .metadata = view->metadata,
        .payload = view->payload,
        .expires_at_us = view->expires_at_us,
        .lsn = view->lsn,
        .pin = view->pin,
    };

    CHECK(view->entity == entity_of(e) && view->time_us == time_of(t));
    check_view(&as_record, point_seed(e, t), &s->content, s->lsn);
}

static inline void check_known_point(const struct mn_point_view *view, unsigned e, unsigned t,
                                     const struct content *c, uint64_t lsn)
{
    const struct slot s = {.content = *c, .lsn = lsn};

    check_point_view(view, e, t, &s);
}

static inline void check_no_point(const struct mn_point_view *view)
{
    const struct mn_point_view clear = {0};

    CHECK_MEM_EQ(view, &clear, sizeof clear);
}

static inline struct content some_point(struct world *w, uint32_t dimension)
{
    struct content c = {.seed = check_random(&w->random), .n_dims = dimension};

    if (one_in(w, 6)) {
        c.has_expiry = true;
        c.expires_at_us = w->now_us + (int64_t)below(w, 5) * SECOND_US;
    }
    return c;
}

/* Spaces ---------- */

/* Those with which a space is there, or others. */
static inline void choose_settings(struct world *w, const struct track *track,
                                   struct mn_space_options *o)
{
    bool is_same = track->exists && !one_in(w, 4);

    o->keyframe_every = is_same ? track->keyframe_every : one_in(w, 2) ? 2 + below(w, 3) : 0;
    o->keep_points = is_same ? track->keep_points : one_in(w, 4) ? 1 + below(w, N_TIMES) : 0;
    o->keep_us = is_same ? track->keep_us : one_in(w, 3) ? some_age(w) : 0;
    o->history_us = (is_same ? track->has_history : one_in(w, 2)) ? history_us : 0;
}

static inline void make_track(struct world *w)
{
    unsigned n = below(w, N_TRACKS);
    struct track *track = &w->now.tracks[n];
    struct mn_write_options ack = any_ack(w);
    unsigned name = below(w, N_TRACK_NAMES);
    struct mn_space_options o = {.size = sizeof o, .name = track_name(name)};
    bool is_taken = false;
    bool created = one_in(w, 2);
    uint64_t lsn = 99;

    o.n_dims = track->exists && !one_in(w, 3) ? track->dimension : 1 + below(w, DIMS_MAX);
    for (unsigned i = 0; i < N_TRACKS && name > 0; i++)
        is_taken = is_taken || (i != n && w->now.tracks[i].exists && w->now.tracks[i].name == name);
    choose_settings(w, track, &o);
    bool is_same = track->exists && track->dimension == o.n_dims && track->name == name &&
                   track->keyframe_every == o.keyframe_every &&
                   track->keep_points == o.keep_points && track->keep_us == o.keep_us &&
                   track->has_history == (o.history_us != 0);
    bool is_refused = track->exists ? !is_same : is_taken;
    mn_status st = CALLED(
        w, mn_temporal_create_space(w->store, track_of(n), &o, &ack, &created, &lsn, call(w)));
    CHECK_STATUS(st, is_refused ? MN_EXISTS : MN_OK);
    if (st != MN_OK)
        return;
    CHECK_EQ(created, !is_same);
    CHECK_EQ(lsn == 0, is_same);
    if (is_same)
        return;
    *track = (struct track){.exists = true,
                            .dimension = o.n_dims,
                            .name = name,
                            .created_lsn = lsn,
                            .keyframe_every = o.keyframe_every,
                            .keep_points = o.keep_points,
                            .keep_us = o.keep_us,
                            .has_history = o.history_us != 0,
                            .known_from_lsn = o.history_us != 0 ? lsn : 0};
    committed(w, lsn, ack.ack);
}

static inline void drop_track(struct world *w)
{
    unsigned n = below(w, N_TRACKS);
    struct track *track = &w->now.tracks[n];
    struct mn_write_options ack = any_ack(w);
    bool existed = one_in(w, 2);
    uint64_t lsn = 99;

    CHECK_OK(
        CALLED(w, mn_temporal_drop_space(w->store, track_of(n), &ack, &existed, &lsn, call(w))));
    CHECK_EQ(existed, track->exists);
    CHECK_EQ(lsn == 0, !existed);
    if (!existed)
        return;
    *track = (struct track){0};
    committed(w, lsn, ack.ack);
}

static inline void look_at_tracks(struct world *w)
{
    uint32_t spaces[N_TRACKS + 1];
    unsigned first = below(w, N_TRACKS);
    size_t n_max = 1 + below(w, N_TRACKS + 1);
    size_t n = 99;
    size_t n_expected = 0;

    CHECK_OK(
        CALLED(w, mn_temporal_list_spaces(w->store, track_of(first), spaces, n_max, &n, call(w))));
    for (unsigned i = first; i < N_TRACKS && n_expected < n_max; i++)
        if (w->now.tracks[i].exists)
            CHECK(n_expected < n && spaces[n_expected++] == track_of(i));
    CHECK_EQ(n, n_expected);
    for (unsigned i = 0; i < N_TRACKS; i++) {
        const struct track *track = &w->now.tracks[i];
        struct mn_space_info info = {.size = sizeof info};
        mn_status st = CALLED(w, mn_temporal_space(w->store, track_of(i), &info, call(w)));
        CHECK_STATUS(st, track->exists ? MN_OK : MN_NOT_FOUND);
        if (st != MN_OK)
            continue;
        CHECK(info.n_dims == track->dimension && info.created_lsn == track->created_lsn);
        CHECK_EQ(info.n_points, count_points(track, w->now_us));
        CHECK(info.keep_points == track->keep_points && info.keep_us == track->keep_us);
        CHECK_EQ(info.known_from_lsn, track->known_from_lsn);
        CHECK_EQ(info.name_bytes, track_name(track->name).n_bytes);
        CHECK_MEM_EQ(info.name, track_name(track->name).data, info.name_bytes);
    }
    for (unsigned name = 1; name < N_TRACK_NAMES; name++) {
        unsigned owner = 0;
        uint32_t space = 99;
        while (owner < N_TRACKS &&
               (!w->now.tracks[owner].exists || w->now.tracks[owner].name != name))
            owner++;
        CHECK_STATUS(CALLED(w, mn_temporal_find_space(w->store, track_name(name), &space, call(w))),
                     owner < N_TRACKS ? MN_OK : MN_NOT_FOUND);
        CHECK_EQ(space, owner < N_TRACKS ? track_of(owner) : 99);
    }
}

/* Writing ---------- */

static inline void put_points(struct world *w)
{
    static struct made made[20];
    struct mn_point points[20];
    struct content contents[20];
    unsigned es[20];
    unsigned ts[20];
    bool seen[N_ENTITIES][N_TIMES] = {{false}};
    unsigned n = one_in(w, 2) ? 1 : below(w, 20);
    unsigned k = below(w, N_TRACKS);
    struct track *track = &w->now.tracks[k];
    struct mn_write_options ack = any_ack(w);
    bool fits = true;
    uint64_t n_distinct = 0;
    uint64_t n_stored = 99;
    uint64_t lsn = 99;

    for (unsigned i = 0; i < n; i++) {
        es[i] = below(w, N_ENTITIES);
        ts[i] = below(w, N_TIMES);
        if (!has_room_for_past(track, es[i], ts[i]))
            return;
        contents[i] = some_point(w, one_in(w, 60) || !track->exists ? 1 + below(w, DIMS_MAX)
                                                                    : track->dimension);
        fits = fits && contents[i].n_dims == track->dimension;
        make_point(&contents[i], es[i], ts[i], &made[i], &points[i]);
        n_distinct += !seen[es[i]][ts[i]];
        seen[es[i]][ts[i]] = true;
    }
    mn_status expected = !track->exists ? MN_NOT_FOUND : fits ? MN_OK : MN_ERR_DIMENSION;
    mn_status st = n == 1 ? mn_temporal_put(w->store, track_of(k), points, &ack, &lsn, call(w))
                          : mn_temporal_put_batch(w->store, track_of(k), points, n, &ack, &n_stored,
                                                  &lsn, call(w));
    CHECK_STATUS(CALLED(w, st), expected);
    if (st != MN_OK)
        return;
    CHECK_EQ(n_stored, n == 1 ? 99 : n_distinct);
    CHECK_EQ(lsn == 0, n == 0);
    if (n == 0)
        return;
    for (unsigned i = n; i-- > 0;) {
        if (seen[es[i]][ts[i]]) /* the last one of a time is it */
            replace_point(track, es[i], ts[i], &contents[i], lsn, w->now_us);
        seen[es[i]][ts[i]] = false;
    }
    for (unsigned e = 0; e < N_ENTITIES; e++)
        (void)cut_entity(track, e, lsn, w->now_us);
    committed(w, lsn, ack.ack);
}

static inline void delete_point(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    unsigned e = below(w, N_ENTITIES);
    unsigned t = below(w, N_TIMES);
    struct track *track = &w->now.tracks[k];
    struct slot *s = &track->points[e][t];
    struct mn_write_options ack = any_ack(w);
    bool existed = one_in(w, 2);
    uint64_t lsn = 99;

    mn_status st = CALLED(w, mn_temporal_delete(w->store, track_of(k), entity_of(e), time_of(t),
                                                &ack, &existed, &lsn, call(w)));
    CHECK_STATUS(st, track->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    CHECK_EQ(existed, is_shown(track, e, t, w->now_us));
    if (s->is_there)
        remove_point(track, e, t, lsn, w->now_us);
    forget_past(track, e, t, w->now_us);
    committed(w, lsn, ack.ack);
}

static inline void delete_interval(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    unsigned e = below(w, N_ENTITIES);
    unsigned from = below(w, N_TIMES);
    unsigned to = below(w, N_TIMES);
    bool takes_all = one_in(w, 4);
    struct track *track = &w->now.tracks[k];
    struct mn_write_options ack = any_ack(w);
    uint64_t n_existed = 99;
    uint64_t n_expected = 0;
    uint64_t lsn = 99;
    mn_status st;

    if (takes_all) {
        from = 0;
        to = N_TIMES - 1;
        st = mn_temporal_delete_entity(w->store, track_of(k), entity_of(e), &ack, &n_existed, &lsn,
                                       call(w));
    } else {
        st = mn_temporal_delete_range(w->store, track_of(k), entity_of(e), time_of(from),
                                      time_of(to), &ack, &n_existed, &lsn, call(w));
    }
    CHECK_STATUS(CALLED(w, st), from > to ? MN_ERR_INVALID : track->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    for (unsigned t = from; t <= to; t++) {
        if (!is_shown(track, e, t, w->now_us))
            continue;
        remove_point(track, e, t, lsn, w->now_us);
        n_expected++;
    }
    CHECK_EQ(n_existed, n_expected);
    CHECK_EQ(lsn == 0, n_expected == 0);
    if (n_expected > 0)
        committed(w, lsn, ack.ack);
}

/* Reading ---------- */

enum { LOOK_AT, LOOK_BACK, LOOK_ON, LOOK_LAST, N_LOOKS };

/* The time that a look finds, N_TIMES: none. */
static inline unsigned seen_from(const struct track *track, unsigned how, unsigned e, unsigned t,
                                 int64_t now_us)
{
    unsigned last = how == LOOK_BACK ? t : N_TIMES - 1;
    unsigned found = N_TIMES;

    if (!track->exists)
        return N_TIMES;
    if (how == LOOK_AT)
        return is_shown(track, e, t, now_us) ? t : N_TIMES;
    for (unsigned i = how == LOOK_ON ? t : 0; i <= last; i++) {
        if (!is_shown(track, e, i, now_us))
            continue;
        found = i;
        if (how == LOOK_ON)
            break;
    }
    return found;
}

static inline void look_once(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    unsigned e = below(w, N_ENTITIES);
    unsigned t = below(w, N_TIMES);
    unsigned how = below(w, N_LOOKS);
    const struct track *track = &w->now.tracks[k];
    uint32_t space = track_of(k);
    uint64_t entity = entity_of(e);
    int64_t at = time_of(t);
    struct mn_point_view view = {.n_dims = 77};
    unsigned expected = seen_from(track, how, e, t, w->now_us);
    mn_status st =
        how == LOOK_AT     ? mn_temporal_get(w->store, space, entity, at, &view, call(w))
        : how == LOOK_BACK ? mn_temporal_as_of(w->store, space, entity, at, &view, call(w))
        : how == LOOK_ON   ? mn_temporal_next_from(w->store, space, entity, at, &view, call(w))
                           : mn_temporal_latest(w->store, space, entity, &view, call(w));

    CHECK_STATUS(CALLED(w, st), expected < N_TIMES ? MN_OK : MN_NOT_FOUND);
    if (st == MN_OK)
        check_point_view(&view, e, expected, &track->points[e][expected]);
    mn_point_release(&view);
    check_no_point(&view);
}

static inline void look_at_entity(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    unsigned e = below(w, N_ENTITIES);
    const struct track *track = &w->now.tracks[k];
    struct mn_timeline timeline = {.n_points = 99};
    uint64_t n = 0;

    for (unsigned t = 0; t < N_TIMES; t++)
        n += is_shown(track, e, t, w->now_us);
    mn_status st =
        CALLED(w, mn_temporal_timeline(w->store, track_of(k), entity_of(e), &timeline, call(w)));
    CHECK_STATUS(st, track->exists && n > 0 ? MN_OK : MN_NOT_FOUND);
    CHECK_EQ(timeline.n_points, st == MN_OK ? n : 99);
    if (st != MN_OK)
        return;
    CHECK(timeline.first_us == time_of(seen_from(track, LOOK_ON, e, 0, w->now_us)));
    CHECK(timeline.last_us == time_of(seen_from(track, LOOK_LAST, e, 0, w->now_us)));
}

static inline void list_entities(struct world *w)
{
    unsigned k = below(w, N_TRACKS);
    const struct track *track = &w->now.tracks[k];
    uint64_t entities[N_ENTITIES + 1];
    unsigned first = below(w, N_ENTITIES);
    size_t n_max = 1 + below(w, N_ENTITIES + 1);
    size_t n_expected = 0;
    size_t n = 99;
    mn_status st = CALLED(w, mn_temporal_list_entities(w->store, track_of(k), entity_of(first),
                                                       entities, n_max, &n, call(w)));

    CHECK_STATUS(st, track->exists ? MN_OK : MN_NOT_FOUND);
    if (st != MN_OK)
        return;
    for (unsigned e = first; e < N_ENTITIES && n_expected < n_max; e++)
        if (seen_from(track, LOOK_LAST, e, 0, w->now_us) < N_TIMES)
            CHECK(n_expected < n && entities[n_expected++] == entity_of(e));
    CHECK_EQ(n, n_expected);
}

/* Ranges that stay open for a while ---------- */

static inline void close_range(struct ranging *r)
{
    mn_temporal_range_close(r->range);
    r->range = NULL;
}

static inline void open_range(struct world *w, struct ranging *r)
{
    unsigned k = below(w, N_TRACKS);
    unsigned e = below(w, N_ENTITIES);
    unsigned from = below(w, N_TIMES);
    unsigned to = below(w, N_TIMES);
    const struct track *track = &w->now.tracks[k];
    struct mn_range_options o = {.size = sizeof o, .descending = one_in(w, 2)};

    *r = (struct ranging){.entity = e};
    o.limit = one_in(w, 2) ? 1 + below(w, N_TIMES) : 0;
    for (unsigned i = from; i <= to; i++) {
        unsigned t = o.descending ? to - (i - from) : i;
        if (!is_shown(track, e, t, w->now_us) || (o.limit > 0 && r->n_left == o.limit))
            continue;
        r->times[r->n_left] = t;
        r->slots[r->n_left++] = track->points[e][t];
    }
    mn_status st =
        CALLED(w, mn_temporal_range_open(w->store, track_of(k), entity_of(e), time_of(from),
                                         time_of(to), &o, &r->range, call(w)));
    CHECK_STATUS(st, from > to ? MN_ERR_INVALID : track->exists ? MN_OK : MN_NOT_FOUND);
}

static inline void range_step(struct world *w)
{
    struct ranging *r = &w->ranges[below(w, N_RANGES)];

    if (r->range == NULL)
        open_range(w, r);
    else if (one_in(w, 20))
        close_range(r);
    for (unsigned n = below(w, 8); n > 0 && r->range != NULL; n--) {
        struct mn_point_view view = {.n_dims = 77};
        mn_status st = CALLED(w, mn_temporal_range_next(r->range, &view, call(w)));
        CHECK_STATUS(st, r->n_left > 0 ? MN_OK : MN_END);
        if (st == MN_OK) {
            check_point_view(&view, r->entity, r->times[r->next], &r->slots[r->next]);
            r->next++;
            r->n_left--;
        } else {
            close_range(r);
        }
        mn_point_release(&view);
        check_no_point(&view);
    }
}

/* Another store that should hold this state, at a moment when nothing is about to expire. */
static inline void compare_tracks(struct world *w, mn_store *store, const struct state *state,
                                  int64_t now_us)
{
    for (unsigned k = 0; k < N_TRACKS; k++) {
        const struct track *track = &state->tracks[k];
        struct mn_space_info info = {.size = sizeof info};
        CHECK_STATUS(mn_temporal_space(store, track_of(k), &info, NULL),
                     track->exists ? MN_OK : MN_NOT_FOUND);
        if (!track->exists)
            continue;
        CHECK_EQ(info.n_dims, track->dimension);
        CHECK_EQ(info.n_points, count_points(track, now_us));
        CHECK_EQ(info.name_bytes, track_name(track->name).n_bytes);
        CHECK(info.keep_points == track->keep_points &&
              info.keyframe_every == track->keyframe_every &&
              info.known_from_lsn == track->known_from_lsn);
        for (unsigned i = 0; i < 10; i++) {
            look_back_at(w, store, k, track, some_past(w, track), now_us);
            range_back_at(w, store, k, track, some_past(w, track), now_us);
        }
        for (unsigned e = 0; e < N_ENTITIES; e++)
            for (unsigned t = 0; t < N_TIMES; t++) {
                const struct slot *s = &track->points[e][t];
                struct mn_point_view view;
                bool sees = is_shown(track, e, t, now_us);
                mn_status st =
                    mn_temporal_get(store, track_of(k), entity_of(e), time_of(t), &view, NULL);
                CHECK_STATUS(st, sees ? MN_OK : MN_NOT_FOUND);
                if (sees)
                    check_point_view(&view, e, t, s);
                mn_point_release(&view);
            }
    }
}

#endif
