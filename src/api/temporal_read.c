/*
 * temporal_read.c - reading points: one, the nearest in time, an interval, a timeline.
 *
 * Everything but reading one point is a walk over keys: those of an entity lie side by side, in the
 * order of their times.
 *
 * Owns:    each range its walk.
 * Threads: any; one per range.
 * Fails:   as temporal.h says.
 */
#include <inttypes.h>

#include "api/temporal_private.h"
#include "base/check.h"
#include "base/mem.h"

/* Walks ---------- */

mn_status api_check_span(const struct api_span *span, struct mn_error *err)
{
    if (span->from_us > span->to_us)
        return mni_fail(err, MN_ERR_INVALID,
                        "the interval begins at %" PRId64 " us and ends before, at %" PRId64 " us",
                        span->from_us, span->to_us);
    return MN_OK;
}

/* A walk leaves its bounds out, so they are the keys beside; where there is none nothing is left to
 * leave out. */
struct bounds {
    struct mni_point_key low;
    struct mni_point_key high;
    struct mni_walk_options options; /* points to both */
};

static void set_bounds(struct bounds *b, const struct api_span *span, bool reverse)
{
    b->options =
        (struct mni_walk_options){.is_of_entity = true, .entity = span->entity, .reverse = reverse};
    b->low = mni_point_key(span->entity, span->from_us);
    b->high = mni_point_key(span->entity, span->to_us);
    struct mn_slice low = {b->low.bytes, mni_point_key_back(&b->low) ? sizeof b->low.bytes : 0};
    struct mn_slice high = {b->high.bytes, mni_point_key_next(&b->high) ? sizeof b->high.bytes : 0};
    b->options.after = reverse ? high : low;
    b->options.until = reverse ? low : high;
}

/* A walk that has its view, but not its bounds yet. */
struct opening {
    struct mni_walk *walk; /* owned */
    struct mni_collection space;
    int64_t horizon_us; /* no point before it is shown */
};

static mn_status begin_walk(mn_store *store, uint32_t space, bool counts, struct opening *o,
                            struct mn_error *err)
{
    const struct mni_walk_options options = {.counts = counts};
    unsigned char room[MNI_SPACE_KEY_BYTES];
    mn_status st = mni_walk_open(store->engine, &options, &o->walk, err);

    if (st != MN_OK)
        return st;
    struct mni_view *view = mni_walk_view(o->walk);
    st = mni_view_collection(view, MNI_KIND_SPACE, mni_space_key(space, room), &o->space, err);
    if (st == MN_OK) {
        o->horizon_us = mni_space_horizon_us(&o->space.settings, view->point.now_us);
        return MN_OK;
    }
    mni_walk_close(o->walk);
    return st == MN_NOT_FOUND ? api_no_space(space, err) : st;
}

static mn_status start_walk(struct opening *o, const struct mni_walk_options *options,
                            struct mn_error *err)
{
    mni_walk_bound(o->walk, options);
    mn_status st = mni_walk_start(o->walk, o->space.number, err);
    if (st != MN_OK)
        mni_walk_close(o->walk);
    return st;
}

/* What of a span is shown. Nothing is before the first time there can be. */
static struct api_span shown(struct api_span span, const struct opening *o)
{
    if (span.from_us < o->horizon_us)
        span.from_us = o->horizon_us;
    return span;
}

/* The same as api_walk_span, which takes the walk out of it. The span is cut to what is shown. */
static mn_status walk_span(mn_store *store, uint32_t space, struct api_span *span, bool reverse,
                           bool counts, struct opening *o, struct mn_error *err)
{
    struct bounds b;
    mn_status st = begin_walk(store, space, counts, o, err);

    if (st != MN_OK)
        return st;
    *span = shown(*span, o);
    set_bounds(&b, span, reverse);
    return start_walk(o, &b.options, err);
}

mn_status api_walk_span(mn_store *store, uint32_t space, const struct api_span *span, bool reverse,
                        bool counts, struct mni_walk **walk_out, struct mn_error *err)
{
    struct api_span cut = *span;
    struct opening o;
    mn_status st = walk_span(store, space, &cut, reverse, counts, &o, err);

    if (st == MN_OK)
        *walk_out = o.walk;
    return st;
}

mn_status api_walk_span_again(struct mni_walk *walk, const struct api_span *span, bool reverse,
                              struct mn_error *err)
{
    struct bounds b;

    set_bounds(&b, span, reverse);
    return mni_walk_again(walk, &b.options, err);
}

/* Views ---------- */

mn_status api_point_key(const struct mni_record *r, uint64_t *entity_out, int64_t *time_us_out,
                        struct mn_error *err)
{
    if (mni_point_key_read(r->key, entity_out, time_us_out))
        return MN_OK;
    return mni_fail(err, MN_ERR_CORRUPT, "a space holds a key of %zu bytes", r->key.n_bytes);
}

static void clear_point(struct mn_point_view *view)
{
    *view = (struct mn_point_view){0};
}

mn_status api_set_point(struct mn_point_view *view, const struct mni_found *found,
                        struct mn_error *err)
{
    const struct mni_record *r = &found->record;
    mn_status st = api_point_key(r, &view->entity, &view->time_us, err);

    if (st != MN_OK) {
        mni_pin_release(found->pin);
        clear_point(view);
        return st;
    }
    view->vector = r->vector;
    view->n_dims = r->n_dims;
    view->fields = (r->fields & MNI_FIELD_EXPIRY) != 0 ? MN_HAS_EXPIRES_AT : 0;
    view->metadata = r->metadata;
    view->payload = r->payload;
    view->expires_at_us = r->expires_at_us;
    view->lsn = found->record_lsn;
    view->pin = found->pin;
    return MN_OK;
}

void mn_point_release(struct mn_point_view *view)
{
    if (view == NULL)
        return;
    mni_pin_release(view->pin);
    clear_point(view);
}

/* One point ---------- */

mn_status mn_temporal_get(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                          struct mn_point_view *view_out, struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(entity, time_us);
    unsigned char room[MNI_SPACE_KEY_BYTES];
    struct mni_found found;

    if (view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the view");
    clear_point(view_out);
    mn_status st = api_check_store(store, err);
    if (st != MN_OK)
        return st;
    st = mni_engine_get_point(store->engine, mni_space_key(space, room),
                              (struct mn_slice){key.bytes, sizeof key.bytes}, time_us, &found, err);
    if (st == MN_NOT_FOUND && found.record.collection == 0)
        return api_no_space(space, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, st,
                        "entity %" PRIu64 " has no point at %" PRId64 " us in space %" PRIu32,
                        entity, time_us, space);
    if (st == MN_OK)
        st = mni_found_pin(store->engine, &found, err);
    return st == MN_OK ? api_set_point(view_out, &found, err) : st;
}

/* The first of a span, or the last. MN_END: there is none. */
static mn_status first_of(mn_store *store, uint32_t space, const struct api_span *span,
                          bool reverse, struct mn_point_view *view_out, struct mn_error *err)
{
    struct mni_walk *walk = NULL;
    struct mni_found found;

    if (view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the view");
    clear_point(view_out);
    mn_status st = api_check_store(store, err);
    if (st == MN_OK)
        st = api_walk_span(store, space, span, reverse, true, &walk, err);
    if (st != MN_OK)
        return st;
    st = mni_walk_next(walk, &found, err);
    mni_walk_close(walk);
    return st == MN_OK ? api_set_point(view_out, &found, err) : st;
}

mn_status mn_temporal_as_of(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                            struct mn_point_view *view_out, struct mn_error *err)
{
    const struct api_span span = {entity, INT64_MIN, time_us};
    mn_status st = first_of(store, space, &span, true, view_out, err);

    if (st != MN_END)
        return st;
    return mni_fail(err, MN_NOT_FOUND,
                    "entity %" PRIu64 " has no point at or before %" PRId64 " us in space %" PRIu32,
                    entity, time_us, space);
}

/* What was known ---------- */

/* Whether the history of a space can tell what was known then. */
static mn_status check_known(const struct opening *o, uint32_t space, uint64_t known_at,
                             struct mn_error *err)
{
    if (o->space.settings.history_us == 0)
        return mni_fail(err, MN_ERR_INVALID, "space %" PRIu32 " has no history", space);
    if (known_at < o->space.known_from_lsn)
        return mni_fail(err, MN_ERR_INVALID,
                        "space %" PRIu32 " can tell what was known from LSN %" PRIu64
                        " on, not at %" PRIu64,
                        space, o->space.known_from_lsn, known_at);
    return MN_OK;
}

/* Points of a span that were known, forward or back. */
static mn_status open_known(mn_store *store, uint32_t space, const struct api_span *span,
                            bool reverse, uint64_t known_at, struct mni_walk **walk_out,
                            struct mni_known **known_out, struct mn_error *err)
{
    struct bounds b;
    struct opening o;
    mn_status st = begin_walk(store, space, true, &o, err);

    if (st != MN_OK)
        return st;
    const struct api_span cut = shown(*span, &o);
    set_bounds(&b, &cut, reverse);
    st = check_known(&o, space, known_at, err);
    if (st != MN_OK) {
        mni_walk_close(o.walk);
        return st;
    }
    st = start_walk(&o, &b.options, err);
    if (st != MN_OK)
        return st;
    /* Keys of versions come behind that of their point: the bound below is the point's own key. */
    struct mni_point_key low = mni_point_key(cut.entity, cut.from_us);
    *(reverse ? &b.options.until : &b.options.after) =
        (struct mn_slice){low.bytes, sizeof low.bytes};
    b.options.counts = true;
    st = mni_known_open(o.walk, space, o.space.number, &b.options, known_at, known_out, err);
    if (st != MN_OK)
        mni_walk_close(o.walk);
    else
        *walk_out = o.walk;
    return st;
}

mn_status mn_temporal_as_of_known(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                                  uint64_t known_at, struct mn_point_view *view_out,
                                  struct mn_error *err)
{
    const struct api_span span = {entity, INT64_MIN, time_us};
    struct mni_known *known = NULL;
    struct mni_walk *walk = NULL;
    struct mni_found found;

    if (view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the view");
    clear_point(view_out);
    mn_status st = api_check_store(store, err);
    if (st == MN_OK && known_at == 0)
        st = mni_fail(err, MN_ERR_INVALID, "no LSN says when it was known");
    if (st == MN_OK)
        st = open_known(store, space, &span, true, known_at, &walk, &known, err);
    if (st != MN_OK)
        return st;
    st = mni_known_next(known, &found, err);
    mni_known_close(known);
    mni_walk_close(walk);
    if (st == MN_OK)
        return api_set_point(view_out, &found, err);
    if (st != MN_END)
        return st;
    return mni_fail(err, MN_NOT_FOUND,
                    "of entity %" PRIu64 " no point at or before %" PRId64
                    " us was known at LSN %" PRIu64 " in space %" PRIu32,
                    entity, time_us, known_at, space);
}

mn_status mn_temporal_next_from(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                                struct mn_point_view *view_out, struct mn_error *err)
{
    const struct api_span span = {entity, time_us, INT64_MAX};
    mn_status st = first_of(store, space, &span, false, view_out, err);

    if (st != MN_END)
        return st;
    return mni_fail(err, MN_NOT_FOUND,
                    "entity %" PRIu64 " has no point at or after %" PRId64 " us in space %" PRIu32,
                    entity, time_us, space);
}

static mn_status no_points(uint32_t space, uint64_t entity, struct mn_error *err)
{
    return mni_fail(err, MN_NOT_FOUND, "entity %" PRIu64 " has no points in space %" PRIu32, entity,
                    space);
}

mn_status mn_temporal_latest(mn_store *store, uint32_t space, uint64_t entity,
                             struct mn_point_view *view_out, struct mn_error *err)
{
    const struct api_span span = {entity, INT64_MIN, INT64_MAX};
    mn_status st = first_of(store, space, &span, true, view_out, err);

    return st == MN_END ? no_points(space, entity, err) : st;
}

/* Whole entities ---------- */

/* Whose the next record of a walk is, and when. */
static mn_status next_key(struct mni_walk *walk, uint64_t *entity_out, int64_t *time_us_out,
                          struct mn_error *err)
{
    struct mni_found found;
    mn_status st = mni_walk_next(walk, &found, err);

    if (st != MN_OK)
        return st;
    st = api_point_key(&found.record, entity_out, time_us_out, err);
    mni_pin_release(found.pin);
    return st;
}

/* By walking, where the engine cannot tell at once. */
static mn_status walk_timeline(mn_store *store, uint32_t space, uint64_t entity,
                               struct mni_span *found_out, struct mn_error *err)
{
    struct api_span span = {entity, INT64_MIN, INT64_MAX};
    struct opening o;
    mn_status st = walk_span(store, space, &span, false, false, &o, err);

    if (st != MN_OK)
        return st;
    struct mni_walk *walk = o.walk;
    st = next_key(walk, &entity, &found_out->first_us, err);
    if (st == MN_OK)
        st = api_walk_span_again(walk, &span, true, err);
    if (st == MN_OK)
        st = next_key(walk, &entity, &found_out->last_us, err);
    if (st == MN_OK)
        st = api_walk_span_again(walk, &span, false, err);
    if (st == MN_OK)
        st = mni_walk_count(walk, &found_out->n_points, err);
    mni_walk_close(walk);
    if (st != MN_END)
        return st;
    found_out->n_points = 0;
    return MN_OK;
}

mn_status mn_temporal_timeline(mn_store *store, uint32_t space, uint64_t entity,
                               struct mn_timeline *timeline_out, struct mn_error *err)
{
    unsigned char room[MNI_SPACE_KEY_BYTES];
    struct mni_span found = {0};
    struct mni_collection c;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && timeline_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the timeline");
    if (st != MN_OK)
        return st;
    st = mni_engine_collection(store->engine, MNI_KIND_SPACE, mni_space_key(space, room), &c, err);
    if (st == MN_NOT_FOUND)
        return api_no_space(space, err);
    if (st == MN_OK)
        st = mni_engine_span(store->engine, c.number, entity,
                             mni_space_horizon_us(&c.settings, mni_engine_now_us(store->engine)),
                             &found, err);
    if (st == MN_END)
        st = walk_timeline(store, space, entity, &found, err);
    if (st == MN_OK && found.n_points == 0)
        st = no_points(space, entity, err);
    if (st != MN_OK)
        return st;
    *timeline_out = (struct mn_timeline){
        .n_points = found.n_points,
        .first_us = found.first_us,
        .last_us = found.last_us,
        .keyframe_every = c.settings.keyframe_every,
    };
    return MN_OK;
}

/* Goes on behind all points of an entity before a time, or behind all of them. MN_END. */
static mn_status skip_to(struct mni_walk *walk, uint64_t entity, const int64_t *time_us,
                         struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(entity, time_us != NULL ? *time_us : INT64_MAX);
    const struct mni_walk_options behind = {.after = {key.bytes, sizeof key.bytes}};

    if (time_us == NULL)
        return entity == UINT64_MAX ? MN_END : mni_walk_again(walk, &behind, err);
    return mni_point_key_back(&key) ? mni_walk_again(walk, &behind, err) : MN_OK;
}

/* The next entity that has a point to show. MN_END. */
static mn_status next_entity(const struct opening *o, uint64_t *entities_out, size_t *n,
                             struct mn_error *err)
{
    uint64_t entity = 0;
    int64_t time_us = 0;
    mn_status st = next_key(o->walk, &entity, &time_us, err);

    while (st == MN_OK && time_us < o->horizon_us) {
        st = skip_to(o->walk, entity, &o->horizon_us, err);
        if (st == MN_OK)
            st = next_key(o->walk, &entity, &time_us, err);
    }
    if (st != MN_OK)
        return st;
    entities_out[(*n)++] = entity;
    return skip_to(o->walk, entity, NULL, err);
}

mn_status mn_temporal_list_entities(mn_store *store, uint32_t space, uint64_t from,
                                    uint64_t *entities_out, size_t n_max, size_t *n_out,
                                    struct mn_error *err)
{
    struct mni_point_key low = mni_point_key(from, INT64_MIN);
    struct mni_walk_options options = {0};
    struct opening o;
    size_t n = 0;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && (entities_out == NULL || n_out == NULL || n_max == 0))
        st = mni_fail(err, MN_ERR_INVALID, "no place for the entities");
    if (mni_point_key_back(&low))
        options.after = (struct mn_slice){low.bytes, sizeof low.bytes};
    if (st == MN_OK)
        st = begin_walk(store, space, false, &o, err);
    if (st == MN_OK)
        st = start_walk(&o, &options, err);
    if (st != MN_OK)
        return st;
    while (st == MN_OK && n < n_max)
        st = next_entity(&o, entities_out, &n, err);
    mni_walk_close(o.walk);
    if (st != MN_OK && st != MN_END)
        return st;
    *n_out = n;
    return MN_OK;
}

/* Intervals ---------- */

struct mn_range {
    struct mni_engine *engine; /* borrowed */
    struct mni_walk *walk;     /* owned */
    struct mni_known *known;   /* owned; NULL: what is known now */
    size_t n_left;             /* that it may still show */
    bool without_vectors;
};

/* Leaves what lies behind a time. False: nothing does, and the span is as it was. */
static bool cut_behind(struct api_span *span, int64_t after_us, bool descending)
{
    if (descending ? after_us <= span->from_us : after_us >= span->to_us)
        return false;
    if (descending && after_us <= span->to_us)
        span->to_us = after_us - 1;
    else if (!descending && after_us >= span->from_us)
        span->from_us = after_us + 1;
    return true;
}

mn_status mn_temporal_range_open(mn_store *store, uint32_t space, uint64_t entity, int64_t from_us,
                                 int64_t to_us, const struct mn_range_options *options,
                                 mn_range **range_out, struct mn_error *err)
{
    struct api_span span = {entity, from_us, to_us};
    struct mn_range_options o;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && range_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the range");
    if (st == MN_OK)
        st = api_copy_options(options, &o, sizeof o, "mn_range_options", err);
    if (st == MN_OK)
        st = api_check_span(&span, err);
    if (st != MN_OK)
        return st;
    struct mn_range *range = mni_alloc_zero(sizeof *range);
    if (range == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a range");
    range->engine = store->engine;
    range->n_left = o.limit > 0 ? o.limit : SIZE_MAX;
    range->without_vectors = o.without_vectors;
    if (o.has_after && !cut_behind(&span, o.after_us, o.descending))
        range->n_left = 0; /* all else is checked as ever */
    st = o.known_at != 0
             ? open_known(store, space, &span, o.descending, o.known_at, &range->walk,
                          &range->known, err)
             : api_walk_span(store, space, &span, o.descending, true, &range->walk, err);
    if (st == MN_OK && o.without_vectors && range->known == NULL)
        mni_walk_without_vectors(range->walk);
    if (st != MN_OK) {
        mni_free(range);
        return st;
    }
    *range_out = range;
    return MN_OK;
}

mn_status mn_temporal_range_next(mn_range *range, struct mn_point_view *view_out,
                                 struct mn_error *err)
{
    struct mni_found found;

    if (range == NULL || view_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no range, or no place for the view");
    clear_point(view_out);
    mn_status st = mni_engine_check(range->engine, err);
    if (st != MN_OK)
        return st;
    st = MN_END;
    if (range->n_left > 0)
        st = range->known != NULL ? mni_known_next(range->known, &found, err)
                                  : mni_walk_next(range->walk, &found, err);
    if (st == MN_END)
        return mni_fail(err, st, "there are no more points");
    if (st != MN_OK)
        return st;
    range->n_left -= range->n_left != SIZE_MAX;
    if (range->without_vectors)
        found.record.vector = NULL;
    return api_set_point(view_out, &found, err);
}

void mn_temporal_range_close(mn_range *range)
{
    /* A fork's copy is left alone: a lock may be held for ever by a thread that it has not got. */
    if (range == NULL || mni_engine_check(range->engine, NULL) != MN_OK)
        return;
    mni_known_close(range->known);
    mni_walk_close(range->walk);
    mni_free(range);
}
