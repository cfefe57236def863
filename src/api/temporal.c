/*
 * temporal.c - spaces, and writing and deleting their points.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as temporal.h says; a refused write has changed nothing.
 */
#include "mneme/temporal.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/temporal_private.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "base/quote.h"

mn_status api_no_space(uint32_t space, struct mn_error *err)
{
    return mni_fail(err, MN_NOT_FOUND, "there is no space %" PRIu32, space);
}

/* Spaces ---------- */

static mn_status check_settings(const struct mni_space_settings *s, struct mn_error *err)
{
    if (s->keyframe_every != 0 &&
        (s->keyframe_every < MN_KEYFRAME_EVERY_MIN || s->keyframe_every > MN_KEYFRAME_EVERY_MAX))
        return mni_fail(err, MN_ERR_INVALID,
                        "a keyframe every %" PRIu32 " points, which can be 0, or %d to %d",
                        s->keyframe_every, MN_KEYFRAME_EVERY_MIN, MN_KEYFRAME_EVERY_MAX);
    if (s->keep_us < 0 || s->history_us < 0)
        return mni_fail(err, MN_ERR_INVALID, "an age of a space is below 0");
    return MN_OK;
}

static struct mni_space_settings settings_of(const struct mn_space_options *o)
{
    return (struct mni_space_settings){
        .keyframe_every = o->keyframe_every,
        .keep_us = o->keep_us,
        .keep_points = o->keep_points,
        .history_us = o->history_us,
    };
}

static mn_status check_space(const struct mn_space_options *options, struct mn_space_options *o,
                             struct mn_error *err)
{
    if (options == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nothing says how many dimensions the space has");
    mn_status st = api_copy_options(options, o, sizeof *o, "mn_space_options", err);
    if (st != MN_OK)
        return st;
    if (o->n_dims == 0)
        return mni_fail(err, MN_ERR_INVALID, "a space has 1 to %d dimensions, not 0",
                        MN_DIMENSIONS_MAX);
    if (o->n_dims > MN_DIMENSIONS_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "%" PRIu32 " dimensions, the limit is %d", o->n_dims,
                        MN_DIMENSIONS_MAX);
    const struct mni_space_settings settings = settings_of(o);
    st = check_settings(&settings, err);
    return st == MN_OK && o->name.n_bytes > 0 ? api_check_space_name(o->name, err) : st;
}

/* A batch on a store that can be written. */
static mn_status new_batch(mn_store *store, const struct mn_write_options *options, mn_ack *ack_out,
                           struct mni_view *snapshot, struct mni_batch **batch_out,
                           struct mn_error *err)
{
    mn_status st = api_ack(options, ack_out, err);

    if (st == MN_OK && mni_engine_is_read_only(store->engine))
        st = mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    if (st == MN_OK && mni_batch_new(store->engine, snapshot, batch_out) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a batch");
    return st;
}

mn_status mn_temporal_create_space(mn_store *store, uint32_t space,
                                   const struct mn_space_options *space_options,
                                   const struct mn_write_options *options, bool *created_out,
                                   uint64_t *lsn_out, struct mn_error *err)
{
    struct mn_space_options o = {0};
    struct mni_space_settings settings;
    struct mni_batch *batch = NULL;
    mn_ack ack = MN_ACK_DEFAULT;
    size_t index = 0;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = check_space(space_options, &o, err);
    if (st == MN_OK)
        st = new_batch(store, options, &ack, NULL, &batch, err);
    settings = settings_of(&o);
    if (st == MN_OK)
        st = mni_batch_create_space(batch, space, o.n_dims, o.name, &settings, &index, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, lsn_out, err);
    if (st == MN_OK && created_out != NULL)
        *created_out = !mni_batch_collection_existed(batch, index);
    mni_batch_free(batch);
    return st;
}

static mn_status check_changes(const struct mn_space_changes *changes, struct mn_space_changes *c,
                               struct mni_space_settings *settings, struct mn_error *err)
{
    static_assert(MN_SPACE_KEYFRAME_EVERY == (int)MNI_SPACE_KEYFRAME_EVERY &&
                      MN_SPACE_KEEP_US == (int)MNI_SPACE_KEEP_US &&
                      MN_SPACE_KEEP_POINTS == (int)MNI_SPACE_KEEP_POINTS &&
                      MN_SPACE_HISTORY_US == (int)MNI_SPACE_HISTORY_US,
                  "the bits are the same");
    if (changes == NULL)
        return mni_fail(err, MN_ERR_INVALID, "nothing says what is to change of the space");
    mn_status st = api_copy_options(changes, c, sizeof *c, "mn_space_changes", err);
    if (st != MN_OK)
        return st;
    if (c->fields == 0 || (c->fields & ~(uint32_t)MNI_SPACE_ALL_CHANGES) != 0)
        return mni_fail(err, MN_ERR_INVALID, "no setting of a space, or unknown ones: %" PRIu32,
                        c->fields);
    if ((c->fields & MN_SPACE_KEYFRAME_EVERY) != 0)
        settings->keyframe_every = c->keyframe_every;
    if ((c->fields & MN_SPACE_KEEP_US) != 0)
        settings->keep_us = c->keep_us;
    if ((c->fields & MN_SPACE_KEEP_POINTS) != 0)
        settings->keep_points = c->keep_points;
    if ((c->fields & MN_SPACE_HISTORY_US) != 0)
        settings->history_us = c->history_us;
    return check_settings(settings, err);
}

mn_status mn_temporal_alter_space(mn_store *store, uint32_t space,
                                  const struct mn_space_changes *changes,
                                  const struct mn_write_options *options, uint64_t *lsn_out,
                                  struct mn_error *err)
{
    struct mni_space_settings settings = {0};
    struct mn_space_changes c = {0};
    struct mn_error details = {0};
    mn_ack ack = MN_ACK_DEFAULT;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = check_changes(changes, &c, &settings, err);
    if (st == MN_OK)
        st = api_ack(options, &ack, err);
    if (st != MN_OK)
        return st;
    st = mni_engine_alter_space(store->engine, space, c.fields, &settings, ack, lsn_out, &details);
    return api_answer(st, &details, err);
}

mn_status mn_temporal_sweep_space(mn_store *store, uint32_t space, uint64_t *n_removed_out,
                                  struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = api_check_store(store, err);

    if (st != MN_OK)
        return st;
    st = mni_engine_sweep_space(store->engine, space, n_removed_out, &details);
    return st == MN_NOT_FOUND ? api_no_space(space, err) : api_answer(st, &details, err);
}

/* Names a space in a batch. */
static mn_status name_space(struct mni_batch *batch, uint32_t space, size_t *index_out,
                            struct mn_error *err)
{
    unsigned char room[MNI_SPACE_KEY_BYTES];

    return mni_batch_collection(batch, MNI_KIND_SPACE, mni_space_key(space, room), false, index_out,
                                err);
}

mn_status mn_temporal_drop_space(mn_store *store, uint32_t space,
                                 const struct mn_write_options *options, bool *existed_out,
                                 uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    mn_ack ack = MN_ACK_DEFAULT;
    size_t index = 0;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = new_batch(store, options, &ack, NULL, &batch, err);
    if (st == MN_OK)
        st = mni_batch_drop_space(batch, space, &index, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, lsn_out, err);
    if (st == MN_OK && existed_out != NULL)
        *existed_out = mni_batch_collection_existed(batch, index);
    mni_batch_free(batch);
    return st;
}

mn_status mn_temporal_space(mn_store *store, uint32_t space, struct mn_space_info *info_out,
                            struct mn_error *err)
{
    struct mn_space_info info = {.space = space};
    struct mni_space s;
    mn_status st = api_check_store(store, err);

    static_assert(sizeof info.name == sizeof s.name, "a name fits");
    if (st == MN_OK &&
        (info_out == NULL || info_out->size < sizeof(size_t) || info_out->size > 4096))
        st = mni_fail(err, MN_ERR_INVALID, "mn_space_info.size is not set");
    if (st != MN_OK)
        return st;
    st = mni_engine_space(store->engine, space, &s, err);
    if (st == MN_NOT_FOUND)
        return api_no_space(space, err);
    if (st == MN_OK)
        st = s.collection.settings.keep_us != 0
                 ? mni_engine_count_points(store->engine, space, &info.n_points, err)
                 : mni_engine_count_of(store->engine, s.collection.number, &info.n_points, err);
    if (st == MN_NOT_FOUND) /* it went just now */
        return api_no_space(space, err);
    if (st != MN_OK)
        return st;
    info.size = info_out->size;
    info.n_dims = s.collection.dimension;
    info.created_lsn = s.collection.created_lsn;
    info.keyframe_every = s.collection.settings.keyframe_every;
    info.keep_us = s.collection.settings.keep_us;
    info.keep_points = s.collection.settings.keep_points;
    info.history_us = s.collection.settings.history_us;
    info.known_from_lsn = s.collection.known_from_lsn;
    info.name_bytes = s.name_bytes;
    memcpy(info.name, s.name, s.name_bytes);
    memcpy(info_out, &info, info.size < sizeof info ? info.size : sizeof info);
    return MN_OK;
}

mn_status mn_temporal_find_space(mn_store *store, struct mn_slice name, uint32_t *space_out,
                                 struct mn_error *err)
{
    char text[MNI_QUOTED_NAME_BYTES];
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_space_name(name, err);
    if (st == MN_OK && space_out == NULL)
        st = mni_fail(err, MN_ERR_INVALID, "no place for the number of the space");
    if (st != MN_OK)
        return st;
    st = mni_engine_find_space(store->engine, name, space_out, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, st, "no space is called %s", mni_quote(name, text, sizeof text));
    return st;
}

mn_status mn_temporal_list_spaces(mn_store *store, uint32_t from, uint32_t *spaces_out,
                                  size_t n_max, size_t *n_out, struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    if (st == MN_OK && (spaces_out == NULL || n_out == NULL || n_max == 0))
        st = mni_fail(err, MN_ERR_INVALID, "no place for the numbers of the spaces");
    return st == MN_OK ? mni_engine_list_spaces(store->engine, from, spaces_out, n_max, n_out, err)
                       : st;
}

/* Putting ---------- */

/* A write while it is put together. */
struct write {
    struct mni_batch *batch; /* owned */
    size_t index;            /* of the space in it */
    mn_ack ack;
    int64_t now_us;
    uint32_t n_dims; /* of the space */
};

static mn_status begin_write(mn_store *store, uint32_t space,
                             const struct mn_write_options *options, struct write *w,
                             struct mn_error *err)
{
    mn_status st = api_check_store(store, err);

    *w = (struct write){0};
    while (st == MN_OK) {
        st = new_batch(store, options, &w->ack, NULL, &w->batch, err);
        if (st == MN_OK)
            st = name_space(w->batch, space, &w->index, err);
        if (st != MN_OK)
            break;
        w->n_dims = mni_batch_require(w->batch, w->index);
        w->now_us = mni_engine_now_us(store->engine);
        if (w->n_dims != 0)
            break;
        /* Says that there is no such space, as durably as was asked; unless there is one now. */
        st = mni_batch_commit(w->batch, w->ack, NULL, err);
        mni_batch_free(w->batch);
        w->batch = NULL;
    }
    return st;
}

/* All of a point but whose it is and when. */
static struct mn_record content_of(const struct mn_point *point)
{
    return (struct mn_record){
        .vector = point->vector,
        .n_dims = point->n_dims,
        .fields = point->fields,
        .metadata = point->metadata,
        .payload = point->payload,
        .expires_at_us = point->expires_at_us,
        .ttl_us = point->ttl_us,
    };
}

static struct mni_record engine_record(const struct mn_point *point,
                                       const struct mni_point_key *key, int64_t now_us)
{
    struct mn_record content = content_of(point);
    struct mni_record record = api_engine_record(&content, now_us);

    record.key = (struct mn_slice){key->bytes, sizeof key->bytes};
    return record;
}

/* `index` tells the point from others of its batch; NULL: it is alone. */
static mn_status check_point(uint32_t space, const struct write *w, const struct mn_point *point,
                             const size_t *index, struct mn_error *err)
{
    struct mn_record content = content_of(point);
    char of_point[48] = "";

    if ((point->fields & ~(uint32_t)(MN_HAS_EXPIRES_AT | MN_HAS_TTL)) != 0)
        return mni_fail(err, MN_ERR_INVALID, "unknown fields %" PRIu32, point->fields);
    mn_status st = api_check_content(&content, err);
    if (st != MN_OK || point->n_dims == w->n_dims)
        return st;
    if (index != NULL)
        (void)snprintf(of_point, sizeof of_point, " of point %zu", *index);
    return mni_fail(err, MN_ERR_DIMENSION,
                    "space %" PRIu32 " has %" PRIu32 " dimensions, the vector%s has %" PRIu32,
                    space, w->n_dims, of_point, point->n_dims);
}

/* One try. MN_ERR_CONFLICT: the space was altered meanwhile. */
static mn_status put_once(mn_store *store, uint32_t space, const struct mn_point *point,
                          const struct mn_write_options *options, uint64_t *lsn_out,
                          struct mn_error *err)
{
    struct write w = {0};
    mn_status st = begin_write(store, space, options, &w, err);

    if (st == MN_OK)
        st = check_point(space, &w, point, NULL, err);
    if (st == MN_OK) {
        struct mni_point_key key = mni_point_key(point->entity, point->time_us);
        struct mni_record r = engine_record(point, &key, w.now_us);
        st = mni_batch_add(w.batch, w.index, &r, MNI_ALWAYS, 0, NULL, err);
    }
    if (st == MN_OK)
        st = mni_batch_keep(w.batch, w.index, err);
    MNI_TEST_POINT("put_point");
    if (st == MN_OK)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    mni_batch_free(w.batch);
    return st;
}

mn_status mn_temporal_put(mn_store *store, uint32_t space, const struct mn_point *point,
                          const struct mn_write_options *options, uint64_t *lsn_out,
                          struct mn_error *err)
{
    struct mn_error details = {0}; /* a try that is followed by another one leaves nothing */
    mn_status st = MN_ERR_CONFLICT;

    if (point == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no point is given");
    while (st == MN_ERR_CONFLICT)
        st = put_once(store, space, point, options, lsn_out, &details);
    return api_answer(st, &details, err);
}

/* All of a batch, its size too, before any of it is copied. */
static mn_status check_points(uint32_t space, const struct write *w, const struct mn_point *points,
                              size_t n_points, struct mn_error *err)
{
    const struct mni_point_key any = {{0}};
    uint64_t n_bytes = 0;

    for (size_t i = 0; i < n_points; i++) {
        struct mni_record r = engine_record(&points[i], &any, w->now_us);
        mn_status st = check_point(space, w, &points[i], &i, err);
        if (st == MN_ERR_DIMENSION)
            return st;
        if (st == MN_OK) {
            n_bytes += mni_record_encoded_bytes(&r);
            if (n_bytes > MN_BATCH_BYTES_MAX || i >= MN_BATCH_RECORDS_MAX)
                st = mni_fail(err, MN_ERR_LIMIT, "the batch has more than %d MiB or %d points",
                              MN_BATCH_BYTES_MAX >> 20, MN_BATCH_RECORDS_MAX);
        }
        if (st != MN_OK) {
            mni_error_prefix(err, "point %zu", i);
            return st;
        }
    }
    return MN_OK;
}

/* One try, as put_once. */
static mn_status put_batch_once(mn_store *store, uint32_t space, const struct mn_point *points,
                                size_t n_points, const struct mn_write_options *options,
                                uint64_t *n_stored_out, uint64_t *lsn_out, struct mn_error *err)
{
    struct write w = {0};
    size_t n_stored = 0;
    mn_status st = begin_write(store, space, options, &w, err);

    if (st == MN_OK)
        st = check_points(space, &w, points, n_points, err);
    for (size_t i = 0; i < n_points && st == MN_OK; i++) {
        struct mni_point_key key = mni_point_key(points[i].entity, points[i].time_us);
        struct mni_record r = engine_record(&points[i], &key, w.now_us);
        st = mni_batch_add(w.batch, w.index, &r, MNI_ALWAYS, 0, NULL, err);
        if (st != MN_OK)
            mni_error_prefix(err, "point %zu", i);
    }
    if (st == MN_OK) {
        n_stored = mni_batch_n_ops(w.batch);
        st = mni_batch_keep(w.batch, w.index, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    if (st == MN_OK && n_stored_out != NULL)
        *n_stored_out = n_stored;
    mni_batch_free(w.batch);
    return st;
}

mn_status mn_temporal_put_batch(mn_store *store, uint32_t space, const struct mn_point *points,
                                size_t n_points, const struct mn_write_options *options,
                                uint64_t *n_stored_out, uint64_t *lsn_out, struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = MN_ERR_CONFLICT;

    if (points == NULL && n_points > 0)
        return mni_fail(err, MN_ERR_INVALID, "no points are given");
    while (st == MN_ERR_CONFLICT)
        st = put_batch_once(store, space, points, n_points, options, n_stored_out, lsn_out,
                            &details);
    return api_answer(st, &details, err);
}

/* Deleting ---------- */

static mn_status add_delete(struct mni_batch *batch, size_t index, struct mn_slice key,
                            struct mn_error *err)
{
    struct mni_record gone = {.type = MNI_RECORD_DELETE, .key = key};

    return mni_batch_add(batch, index, &gone, MNI_ALWAYS, 0, NULL, err);
}

static mn_status delete_once(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                             const struct mn_write_options *options, bool *existed_out,
                             uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(entity, time_us);
    struct write w = {0};
    bool is_shown = false;
    mn_status st = begin_write(store, space, options, &w, err);

    if (st == MN_OK)
        st = add_delete(w.batch, w.index, (struct mn_slice){key.bytes, sizeof key.bytes}, err);
    if (st == MN_OK) {
        struct mni_space_settings settings = mni_batch_settings(w.batch, w.index);
        is_shown = time_us >= mni_space_horizon_us(&settings, w.now_us);
        st = mni_batch_keep(w.batch, w.index, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(w.batch, w.ack, lsn_out, err);
    if (st == MN_OK && existed_out != NULL)
        *existed_out = is_shown && mni_batch_existed(w.batch, 0);
    mni_batch_free(w.batch);
    return st;
}

mn_status mn_temporal_delete(mn_store *store, uint32_t space, uint64_t entity, int64_t time_us,
                             const struct mn_write_options *options, bool *existed_out,
                             uint64_t *lsn_out, struct mn_error *err)
{
    struct mn_error details = {0};
    mn_status st = MN_ERR_CONFLICT;

    while (st == MN_ERR_CONFLICT)
        st = delete_once(store, space, entity, time_us, options, existed_out, lsn_out, &details);
    return api_answer(st, &details, err);
}

/* A delete of an interval: of the points that there were when it began. */
struct deletion {
    mn_store *store;
    uint32_t space;
    struct api_span span;
    const struct mn_write_options *options;
    uint64_t began_lsn; /* set by the first try */
    uint64_t n_existed;
    uint64_t lsn;
};

static mn_status add_deletes(const struct deletion *d, struct mni_walk *walk,
                             struct mni_batch *batch, size_t index, struct mn_error *err)
{
    struct mni_found found;
    mn_status st = mni_walk_next(walk, &found, err);

    while (st == MN_OK) {
        if (found.record_lsn <= d->began_lsn)
            st = add_delete(batch, index, found.record.key, err);
        mni_pin_release(found.pin);
        if (st == MN_ERR_LIMIT)
            return mni_fail(err, st,
                            "the interval holds more than the %d points that one commit deletes; "
                            "delete it in parts",
                            MN_BATCH_RECORDS_MAX);
        if (st == MN_OK)
            st = mni_walk_next(walk, &found, err);
    }
    return st == MN_END ? MN_OK : st;
}

/* One try, at the walk's view, of a space with these settings. MN_ERR_CONFLICT: another commit was
 * at one of the points since, or altered the space. */
static mn_status delete_seen(struct deletion *d, const struct mni_space_settings *settings,
                             struct mni_walk *walk, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    mn_ack ack = MN_ACK_DEFAULT;
    size_t index = 0;
    size_t n_points = 0;
    uint64_t n_existed = 0;
    mn_status st = new_batch(d->store, d->options, &ack, mni_walk_view(walk), &batch, err);

    if (st == MN_OK)
        st = name_space(batch, d->space, &index, err);
    if (st == MN_OK && mni_batch_require(batch, index) != 0) {
        const struct mni_space_settings now = mni_batch_settings(batch, index);
        if ((now.history_us != 0) != (settings->history_us != 0))
            st = mni_fail(err, MN_ERR_CONFLICT, "the space was altered meanwhile");
    }
    if (st == MN_OK)
        st = add_deletes(d, walk, batch, index, err);
    if (st == MN_OK) {
        n_points = mni_batch_n_ops(batch);
        if (settings->history_us != 0)
            st = mni_batch_note_history(batch, index, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(batch, ack, &d->lsn, err);
    for (size_t i = 0; st == MN_OK && i < n_points; i++)
        n_existed += mni_batch_existed(batch, i);
    if (st == MN_OK)
        d->n_existed = n_existed;
    mni_batch_free(batch);
    return st;
}

/* Every try looks anew, and takes only what was there at the first: of that there is less whenever
 * another commit was in the way, so the tries come to an end. */
static mn_status delete_interval(struct deletion *d, struct mn_error *err)
{
    mn_status st = MN_ERR_CONFLICT;
    bool is_first = true;

    while (st == MN_ERR_CONFLICT) {
        struct mni_space_settings settings = {0};
        struct mni_walk *walk = NULL;
        struct write w = {0};
        *err = (struct mn_error){0};
        st = begin_write(d->store, d->space, d->options, &w, err);
        if (st == MN_OK) {
            settings = mni_batch_settings(w.batch, w.index);
            mni_batch_hold_entity(w.batch, w.index, d->span.entity);
            st = api_walk_span(d->store, d->space, &d->span, false, false, &walk, err);
        }
        if (st == MN_NOT_FOUND && w.n_dims != 0)
            st = MN_ERR_CONFLICT; /* it went just now */
        if (st == MN_OK) {
            if (is_first)
                d->began_lsn = mni_walk_view(walk)->point.lsn;
            is_first = false;
            MNI_TEST_POINT("delete_interval");
            st = delete_seen(d, &settings, walk, err);
            mni_walk_close(walk);
        }
        mni_batch_free(w.batch);
    }
    return st;
}

mn_status mn_temporal_delete_range(mn_store *store, uint32_t space, uint64_t entity,
                                   int64_t from_us, int64_t to_us,
                                   const struct mn_write_options *options, uint64_t *n_existed_out,
                                   uint64_t *lsn_out, struct mn_error *err)
{
    struct mn_error details = {0};
    struct deletion d = {.store = store,
                         .space = space,
                         .span = {.entity = entity, .from_us = from_us, .to_us = to_us},
                         .options = options};
    mn_ack ack;
    mn_status st = api_check_store(store, err);

    if (st == MN_OK)
        st = api_check_span(&d.span, err);
    if (st == MN_OK)
        st = api_ack(options, &ack, err);
    if (st == MN_OK && mni_engine_is_read_only(store->engine))
        st = mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    if (st != MN_OK)
        return st;
    st = delete_interval(&d, &details);
    if (st == MN_OK && n_existed_out != NULL)
        *n_existed_out = d.n_existed;
    if (st == MN_OK && lsn_out != NULL)
        *lsn_out = d.lsn;
    return api_answer(st, &details, err);
}

mn_status mn_temporal_delete_entity(mn_store *store, uint32_t space, uint64_t entity,
                                    const struct mn_write_options *options, uint64_t *n_existed_out,
                                    uint64_t *lsn_out, struct mn_error *err)
{
    return mn_temporal_delete_range(store, space, entity, INT64_MIN, INT64_MAX, options,
                                    n_existed_out, lsn_out, err);
}
