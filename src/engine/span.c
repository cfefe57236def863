/*
 * span.c - the points of an entity: how many, the first, the last.
 *
 * Nobody walks over them. Where the entity has its rows in a segment is said by a table, how many
 * of them live by the bits of the dead, and the buffer keeps a tally of it. Places are looked up
 * without a lock; then all is counted under one, if the state is still the one that was looked at.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as reading segments does.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    PARTS_ON_STACK = 32,
    TRIES_MAX = 4, /* while others put keys, which then have to be put in order */
};

/* The rows of the entity in a part, and which of them live. */
struct place {
    struct part *part;
    struct mni_segment_space space;
    bool has_space; /* or the times are those of the keys */
    uint32_t first;
    uint32_t end;
    uint64_t n_live;
    uint32_t first_live; /* if there is one */
    uint32_t last_live;
};

/* What is asked, and what was found. */
struct look {
    struct mni_engine *engine;
    uint64_t collection;
    uint64_t entity;
    int64_t from_us;
    struct state *state; /* one reference */
    struct place *places;
    size_t n_places;
    struct mni_span span;
};

/* Places ---------- */

/* By keys, where there are no tables. */
static mn_status find_by_keys(const struct look *look, struct place *place, struct mn_error *err)
{
    struct mni_point_key low = mni_point_key(look->entity, look->from_us);
    struct mni_point_key last = mni_point_key(look->entity, INT64_MAX);
    struct mni_segment *segment = place->part->segment;
    struct mni_segment_group group;
    uint64_t first = 0;
    uint64_t end = 0;
    mn_status st = mni_segment_find_group(segment, look->collection, &group, err);

    if (st != MN_OK)
        return st;
    st = mni_segment_lower_bound(segment, look->collection,
                                 (struct mn_slice){low.bytes, sizeof low}, &first, err);
    end = (uint64_t)group.first_row + group.n_rows;
    if (st == MN_OK && mni_point_key_next(&last))
        st = mni_segment_lower_bound(segment, look->collection,
                                     (struct mn_slice){last.bytes, sizeof last}, &end, err);
    place->first = (uint32_t)first;
    place->end = (uint32_t)end;
    return st;
}

/* MN_NOT_FOUND: there are no rows of the entity. */
static mn_status find_place(const struct look *look, struct place *place, struct mn_error *err)
{
    struct mni_segment *segment = place->part->segment;
    struct mni_segment_entity e;
    mn_status st = mni_segment_find_space(segment, look->collection, &place->space, err);

    if (st == MN_NOT_FOUND)
        return find_by_keys(look, place, err);
    if (st == MN_OK)
        st = mni_segment_seek_entity(segment, &place->space, look->entity, &e, err);
    if (st != MN_OK)
        return st;
    if (e.entity != look->entity)
        return MN_NOT_FOUND;
    place->has_space = true;
    place->end = e.first_row + e.n_rows;
    return mni_segment_seek_time(segment, &place->space, &e, look->from_us, &place->first, err);
}

static mn_status find_places(struct look *look, struct mn_error *err)
{
    struct mni_point_key first = mni_point_key(look->entity, look->from_us);
    struct mni_point_key last = mni_point_key(look->entity, INT64_MAX);
    const struct part_set *set = look->state->parts;

    for (size_t i = 0; i < set->n_parts; i++) {
        struct place *place = &look->places[look->n_places];
        if (!part_may_hold(set->parts[i], look->collection,
                           (struct mn_slice){first.bytes, sizeof first},
                           (struct mn_slice){last.bytes, sizeof last}))
            continue;
        *place = (struct place){.part = set->parts[i]};
        mn_status st = find_place(look, place, err);
        if (st == MN_OK && place->first < place->end)
            look->n_places++;
        else if (st != MN_OK && st != MN_NOT_FOUND)
            return st;
    }
    return MN_OK;
}

/* Counting: under the read lock ---------- */

/* False: something has expired that is still counted, or it is not known what. */
static bool are_counts_true(const struct look *look, int64_t now_us)
{
    const struct state *state = look->state;

    if (mni_memtable_has_due(state->active->memtable, now_us) ||
        (state->frozen != NULL && mni_memtable_has_due(state->frozen->memtable, now_us)))
        return false;
    for (size_t i = 0; i < look->n_places; i++)
        if (part_has_due(look->places[i].part, now_us) ||
            atomic_load(&look->places[i].part->lapse_failed))
            return false;
    return true;
}

static void widen(struct mni_span *span, int64_t first_us, int64_t last_us)
{
    if (first_us < span->first_us)
        span->first_us = first_us;
    if (last_us > span->last_us)
        span->last_us = last_us;
}

static bool count_table(struct look *look, struct mni_memtable *table)
{
    struct mni_point_key low = mni_point_key(look->entity, look->from_us);
    struct mni_memtable_span found;
    uint64_t entity;
    int64_t first_us = 0;
    int64_t last_us = 0;

    if (!mni_memtable_is_ordered(table, look->collection, UINT64_MAX) ||
        !mni_memtable_span(table, look->collection, (struct mn_slice){low.bytes, sizeof low},
                           &found))
        return false;
    if (found.n_live == 0)
        return true;
    bool has_first = mni_point_key_read(found.first_key, &entity, &first_us);
    bool has_last = mni_point_key_read(found.last_key, &entity, &last_us);
    MNI_CHECK(has_first && has_last);
    look->span.n_points += found.n_live;
    widen(&look->span, first_us, last_us);
    return true;
}

static void count_place(struct place *place)
{
    const struct mni_liveness *live = &place->part->live;

    if (part_row_is_dropped(place->part, place->first))
        return;
    place->n_live = mni_liveness_count(live, place->first, place->end);
    if (place->n_live == 0)
        return;
    place->first_live = mni_liveness_next_live(live, place->first);
    place->last_live = mni_liveness_last_live(live, place->end);
}

/* False: look again, or another way. */
static bool count(struct look *look)
{
    const struct state *state = look->state;
    struct mni_engine *engine = look->engine;

    if (engine->state != state || !are_counts_true(look, mni_engine_now_us(engine)))
        return false;
    if (!count_table(look, state->active->memtable) ||
        (state->frozen != NULL && !count_table(look, state->frozen->memtable)))
        return false;
    for (size_t i = 0; i < look->n_places; i++) {
        count_place(&look->places[i]);
        look->span.n_points += look->places[i].n_live;
    }
    return true;
}

/* Times ---------- */

static mn_status time_of(const struct place *place, uint32_t row, int64_t *time_us_out,
                         struct mn_error *err)
{
    struct mni_segment *segment = place->part->segment;
    struct mni_segment_row r;
    uint64_t entity;

    if (place->has_space)
        return mni_segment_time(segment, &place->space, row, time_us_out, err);
    mn_status st = mni_segment_row(segment, row, &r, err);
    if (st != MN_OK)
        return st;
    if (!mni_point_key_read(r.record.key, &entity, time_us_out))
        st =
            mni_fail(err, MN_ERR_CORRUPT, "a space holds a key of %zu bytes", r.record.key.n_bytes);
    mni_segment_row_done(segment, &r);
    return st;
}

static mn_status read_times(struct look *look, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < look->n_places && st == MN_OK; i++) {
        const struct place *place = &look->places[i];
        int64_t first_us = 0;
        int64_t last_us = 0;
        if (place->n_live == 0)
            continue;
        st = time_of(place, place->first_live, &first_us, err);
        if (st == MN_OK)
            st = time_of(place, place->last_live, &last_us, err);
        if (st == MN_OK)
            widen(&look->span, first_us, last_us);
    }
    return st;
}

/* All of it ---------- */

/* What the first try finds undone: keys that are not in order, records that have expired. */
static mn_status make_ready(struct look *look, struct mn_error *err)
{
    struct mni_engine *engine = look->engine;
    uint64_t lsn = mni_engine_visible_lsn(engine);
    mn_status st = engine_order_table(engine, look->state->active->memtable, look->collection, lsn,
                                      NULL, NULL);

    if (st == MN_OK && look->state->frozen != NULL)
        st = engine_order_table(engine, look->state->frozen->memtable, look->collection, lsn, NULL,
                                NULL);
    return st == MN_OK ? mni_engine_lapse(engine, err) : st;
}

/* MN_END: not this time. */
static mn_status look_once(struct look *look, struct mn_error *err)
{
    struct place on_stack[PARTS_ON_STACK];
    size_t n_parts = look->state->parts->n_parts;

    look->n_places = 0;
    look->span = (struct mni_span){.first_us = INT64_MAX, .last_us = INT64_MIN};
    look->places = on_stack;
    if (n_parts > PARTS_ON_STACK)
        look->places = mni_alloc_array(n_parts, sizeof *look->places);
    if (look->places == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a timeline");
    mn_status st = find_places(look, err);
    if (st == MN_OK) {
        engine_read_lock(look->engine);
        bool is_counted = count(look);
        engine_unlock(look->engine);
        st = is_counted ? read_times(look, err) : MN_END;
    }
    if (look->places != on_stack)
        mni_free(look->places);
    return st;
}

mn_status mni_engine_span(struct mni_engine *engine, uint64_t collection, uint64_t entity,
                          int64_t from_us, struct mni_span *span_out, struct mn_error *err)
{
    struct look look = {
        .engine = engine, .collection = collection, .entity = entity, .from_us = from_us};
    mn_status st = MN_END;

    for (int i = 0; i < TRIES_MAX && st == MN_END; i++) {
        engine_read_lock(engine);
        look.state = engine->state;
        state_ref(look.state);
        engine_unlock(engine);
        st = i == 0 ? MN_OK : make_ready(&look, err);
        if (st == MN_OK)
            st = look_once(&look, err);
        state_unref(look.state);
    }
    *span_out = look.span;
    return st;
}
