/*
 * points.c - spaces and their points, beside the model's answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#define DIFFERS(...) (snprintf(why, WHY_BYTES, __VA_ARGS__) < 0)

static const uint32_t numbers[N_TRACKS] = {7, UINT32_MAX};
static const char *const names[N_TRACKS] = {"", "a"};
static const uint64_t entities[N_ENTITIES] = {0, UINT64_MAX};
static const int64_t times[N_TIMES] = {INT64_MIN, -1, 0, INT64_MAX};

/* Writing ---------- */

static struct mn_point point_of(unsigned index, uint32_t value)
{
    struct model_content content;

    model_content(value, &content);
    return (struct mn_point){
        .entity = entities[index / N_TIMES],
        .time_us = times[index % N_TIMES],
        .vector = content.vector,
        .n_dims = POINT_DIMS,
        .metadata = content.metadata,
        .payload = content.payload,
    };
}

static void add(struct model_commit *c, enum model_effect_kind kind, unsigned track, unsigned id,
                uint32_t value)
{
    c->effects[c->n_effects++] = (struct model_effect){
        .kind = kind, .space = (uint8_t)track, .id = (uint8_t)id, .value = value};
}

static void make_track(struct world *w, unsigned t, struct model_commit *c,
                       const struct mn_write_options *options)
{
    const struct mn_space_options space = {
        .size = sizeof space,
        .name = mn_str(names[t]),
        .n_dims = POINT_DIMS,
        .keyframe_every = t == 0 ? 0 : 3, /* one stores vectors whole */
        .keep_points = t == TRACK_KEPT ? KEPT_POINTS : 0,
        .history_us = t == TRACK_KEPT ? INT64_MAX : 0,
    };
    struct mn_error err = {0};
    bool created = false;
    uint64_t lsn = 0;

    sim_tell(w->sim, "make track %u", t);
    add(c, EFFECT_MAKE_TRACK, t, 0, 0);
    mn_status st =
        mn_temporal_create_space(w->store, numbers[t], &space, options, &created, &lsn, &err);
    if (st == MN_OK && created == w->state.tracks[t].exists)
        sim_fail(w->sim, "making a space says that it did%s exist", created ? " not" : "");
    world_answered(w, c, st, lsn, options->ack, &err);
}

static void drop_track(struct world *w, unsigned t, struct model_commit *c,
                       const struct mn_write_options *options)
{
    struct mn_error err = {0};
    bool existed = false;
    uint64_t lsn = 0;

    sim_tell(w->sim, "drop track %u", t);
    add(c, EFFECT_DROP_TRACK, t, 0, 0);
    mn_status st = mn_temporal_drop_space(w->store, numbers[t], options, &existed, &lsn, &err);
    if (st == MN_OK && existed != w->state.tracks[t].exists)
        sim_fail(w->sim, "dropping says that a space did%s exist", existed ? "" : " not");
    world_answered(w, c, st, lsn, options->ack, &err);
}

/* Refused where there is no such space. */
static void answered(struct world *w, unsigned t, struct model_commit *c, mn_status st,
                     uint64_t lsn, mn_ack ack, const struct mn_error *err)
{
    if (w->state.tracks[t].exists)
        world_answered(w, c, st, lsn, ack, err);
    else
        world_expect_refusal(w, st, MN_NOT_FOUND, ack, err);
}

static void put_points(struct world *w, unsigned t, struct model_commit *c,
                       const struct mn_write_options *options)
{
    struct mn_point points[EFFECTS_MAX];
    struct mn_error err = {0};
    size_t n = sim_one_in(w->sim, 2) ? 1 : 1 + sim_below(w->sim, EFFECTS_MAX - 1);
    uint64_t n_stored = 0;
    uint64_t lsn = 0;

    sim_tell(w->sim, "put %zu points into track %u", n, t);
    for (size_t i = 0; i < n; i++) {
        unsigned id = (unsigned)sim_below(w->sim, N_POINTS);
        uint32_t value = (uint32_t)sim_random(w->sim);
        value -= i > 1 ? value % 8 : 0; /* not too many large ones */
        add(c, EFFECT_PUT_POINT, t, id, value);
        points[i] = point_of(id, value);
    }
    mn_status st = n == 1 ? mn_temporal_put(w->store, numbers[t], points, options, &lsn, &err)
                          : mn_temporal_put_batch(w->store, numbers[t], points, n, options,
                                                  &n_stored, &lsn, &err);
    answered(w, t, c, st, lsn, options->ack, &err);
}

static void delete_points(struct world *w, unsigned t, struct model_commit *c,
                          const struct mn_write_options *options)
{
    const struct model_track *track = &w->state.tracks[t];
    struct mn_error err = {0};
    unsigned e = (unsigned)sim_below(w->sim, N_ENTITIES);
    unsigned from = (unsigned)sim_below(w->sim, N_TIMES);
    unsigned to = from + (unsigned)sim_below(w->sim, N_TIMES - from);
    uint64_t n_existed = 0;
    uint64_t lsn = 0;

    sim_tell(w->sim, "delete points %u to %u of entity %u in track %u", from, to, e, t);
    for (unsigned i = from; i <= to; i++)
        if (track->points[e * N_TIMES + i].is_there)
            add(c, EFFECT_DELETE_POINT, t, e * N_TIMES + i, 0);
    mn_status st = mn_temporal_delete_range(w->store, numbers[t], entities[e], times[from],
                                            times[to], options, &n_existed, &lsn, &err);
    if (st == MN_OK && n_existed != c->n_effects)
        sim_fail(w->sim, "deleted %" PRIu64 " points, not %zu", n_existed, c->n_effects);
    answered(w, t, c, st, lsn, options->ack, &err);
}

void world_points(struct world *w, mn_ack ack)
{
    const struct mn_write_options options = {.size = sizeof options, .ack = ack};
    unsigned t = (unsigned)sim_below(w->sim, N_TRACKS);
    unsigned pick = (unsigned)sim_below(w->sim, 16);
    bool makes = !w->state.tracks[t].exists && pick > 1;
    struct model_commit c;
    char why[WHY_BYTES];

    if (!world_begin(w, DEED_POINTS, &c))
        return;
    if (makes || pick == 2)
        make_track(w, t, &c, &options);
    else if (pick == 3)
        drop_track(w, t, &c, &options);
    else if (pick % 4 == 1)
        delete_points(w, t, &c, &options);
    else
        put_points(w, t, &c, &options);
    if (world_is_up(w) && sim_one_in(w->sim, 4) && !world_shows_points(w, &w->state, why))
        sim_fail(w->sim, "%s", why);
}

/* Reading ---------- */

static bool is_slice(struct mn_slice a, struct mn_slice b)
{
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.data, b.data, a.n_bytes) == 0);
}

static bool is_point(const struct mn_point_view *view, unsigned index,
                     const struct model_point *point)
{
    struct mn_point expected = point_of(index, point->value);

    return view->entity == expected.entity && view->time_us == expected.time_us &&
           view->lsn == point->lsn && view->fields == 0 && view->n_dims == POINT_DIMS &&
           memcmp(view->vector, expected.vector, POINT_DIMS * sizeof(float)) == 0 &&
           is_slice(view->metadata, expected.metadata) && is_slice(view->payload, expected.payload);
}

/* What was known of a point before it was replaced, as far as that is remembered. */
static bool shows_past(struct world *w, unsigned t, unsigned index, const struct model_point *point,
                       char why[WHY_BYTES])
{
    for (unsigned i = 0; i < N_VERSIONS; i++) {
        const struct model_version *v = &point->versions[i];
        const struct model_point then = {.value = v->value, .lsn = v->birth_lsn};
        struct mn_point_view view;
        if (v->birth_lsn == 0)
            return true;
        uint64_t known_at = i % 2 == 0 ? v->birth_lsn : v->death_lsn - 1;
        mn_status st = mn_temporal_as_of_known(w->store, numbers[t], entities[index / N_TIMES],
                                               times[index % N_TIMES], known_at, &view, NULL);
        bool is_same = st == MN_OK && is_point(&view, index, &then);
        mn_point_release(&view);
        if (!is_same)
            return DIFFERS("track %u: point %u was another one at %" PRIu64 ": %s", t, index,
                           known_at, mn_status_name(st));
    }
    return true;
}

static bool shows_entity(struct world *w, unsigned t, unsigned e, const struct model_track *track,
                         char why[WHY_BYTES])
{
    const struct model_point *points = &track->points[e * N_TIMES];
    struct mn_timeline timeline = {0};
    struct mn_point_view view;
    mn_range *range = NULL;
    uint64_t n = 0;
    bool is_same = true;
    mn_status st = mn_temporal_range_open(w->store, numbers[t], entities[e], INT64_MIN, INT64_MAX,
                                          NULL, &range, NULL);

    if (st != MN_OK)
        return DIFFERS("track %u: a range: %s", t, mn_status_name(st));
    for (unsigned i = 0; i < N_TIMES && is_same; i++) {
        if (!points[i].is_there)
            continue;
        n++;
        st = mn_temporal_range_next(range, &view, NULL);
        is_same = st == MN_OK && is_point(&view, e * N_TIMES + i, &points[i]);
        mn_point_release(&view);
    }
    is_same = is_same && mn_temporal_range_next(range, &view, NULL) == MN_END;
    mn_temporal_range_close(range);
    if (!is_same)
        return DIFFERS("track %u: entity %u has other points", t, e);
    st = mn_temporal_timeline(w->store, numbers[t], entities[e], &timeline, NULL);
    if (st != (n > 0 ? MN_OK : MN_NOT_FOUND) || timeline.n_points != n)
        return DIFFERS("track %u: entity %u has %" PRIu64 " points, not %" PRIu64, t, e,
                       timeline.n_points, n);
    for (unsigned i = 0; i < N_TIMES && t == TRACK_KEPT; i++)
        if (!shows_past(w, t, e * N_TIMES + i, &points[i], why))
            return false;
    return true;
}

bool world_shows_points(struct world *w, const struct model_state *state, char why[WHY_BYTES])
{
    for (unsigned t = 0; t < N_TRACKS; t++) {
        const struct model_track *track = &state->tracks[t];
        struct mn_space_info info = {.size = sizeof info};
        uint32_t space = 0;
        mn_status st = mn_temporal_space(w->store, numbers[t], &info, NULL);
        if (st != (track->exists ? MN_OK : MN_NOT_FOUND))
            return DIFFERS("track %u: %s", t, mn_status_name(st));
        if (names[t][0] != '\0' &&
            mn_temporal_find_space(w->store, mn_str(names[t]), &space, NULL) != st)
            return DIFFERS("track %u: its name is not its own", t);
        if (!track->exists)
            continue;
        if (info.created_lsn != track->created_lsn || info.n_dims != POINT_DIMS)
            return DIFFERS("track %u was made at %" PRIu64 ", not %" PRIu64, t, info.created_lsn,
                           track->created_lsn);
        if (info.known_from_lsn != (t == TRACK_KEPT ? track->created_lsn : 0))
            return DIFFERS("track %u has another history", t);
        for (unsigned e = 0; e < N_ENTITIES; e++)
            if (!shows_entity(w, t, e, track, why))
                return false;
    }
    return true;
}
