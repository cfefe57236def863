/*
 * history.c - versions of points that puts replaced, and what was known at an LSN.
 *
 * A space with history has a second collection, its history. A put over a live point writes the
 * point that it replaces there, in the same commit: the key says when the version was born, the
 * record's own LSN when it died.
 *
 *     space:    entity, time                    the point, of LSN 30
 *     history:  entity, time, 10                version 10, of LSN 20: known from 10 until 20
 *               entity, time, 20                version 20, of LSN 30
 *
 * Versions belong to the point that is there: whoever deletes it deletes them too, and they are
 * not shown once it has expired. A put where no live point is ends what an earlier one has left.
 *
 * Owns:    nothing.
 * Format:  docs/format/catalogue.md
 * Threads: any. Who writes holds the locks of the entities, or deletes only points that are as they
 *          were seen.
 * Fails:   MN_ERR_CONFLICT when the history is no longer what it was, or MN_CHANGED likewise.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/batch_private.h"

enum {
    SLICE_VERSIONS = 1024, /* of one commit */
    TRIES_MAX = 8,
};

/* Keys ---------- */

struct mni_history_key mni_history_key(uint64_t entity, int64_t time_us, uint64_t birth_lsn)
{
    struct mni_point_key point = mni_point_key(entity, time_us);
    struct mni_history_key key;

    memcpy(key.bytes, point.bytes, sizeof point.bytes);
    for (unsigned i = 0; i < 8; i++)
        key.bytes[MNI_POINT_KEY_BYTES + i] = (unsigned char)(birth_lsn >> (56 - 8 * i));
    return key;
}

bool mni_history_key_read(struct mn_slice key, uint64_t *entity_out, int64_t *time_us_out,
                          uint64_t *birth_lsn_out)
{
    const unsigned char *bytes = key.data;
    uint64_t lsn = 0;

    if (key.n_bytes != MNI_HISTORY_KEY_BYTES)
        return false;
    for (unsigned i = 0; i < 8; i++)
        lsn = lsn << 8 | bytes[MNI_POINT_KEY_BYTES + i];
    *birth_lsn_out = lsn;
    return mni_point_key_read((struct mn_slice){bytes, MNI_POINT_KEY_BYTES}, entity_out,
                              time_us_out);
}

/* Writing ---------- */

struct noting {
    struct mni_batch *batch; /* borrowed */
    size_t history_index;    /* of the history in it */
    struct mni_walk *walk;   /* owned: over the history */
    bool is_started;
    uint64_t history;    /* collections */
    uint64_t collection; /* of the space */
    int64_t horizon_us;
    int64_t now_us;
    uint64_t entity; /* that was looked at last */
    bool has_looked;
    bool has_versions;
};

static mn_status add_version(struct noting *n, uint64_t entity, int64_t time_us,
                             const struct mni_found *found, struct mn_error *err)
{
    struct mni_history_key key = mni_history_key(entity, time_us, found->record_lsn);
    struct mni_record version = found->record;

    version.type = MNI_RECORD_UPSERT;
    version.key = (struct mn_slice){key.bytes, sizeof key.bytes};
    version.fields |= MNI_FIELD_EVENT_TIME;
    version.event_time_us = n->now_us;
    return mni_batch_add(n->batch, n->history_index, &version, MNI_ALWAYS, 0, NULL, err);
}

/* Has the walk go over the keys of the history that begin so. */
static mn_status aim(struct noting *n, const struct mni_point_key *key, size_t key_bytes,
                     struct mn_error *err)
{
    const struct mni_walk_options options = {.prefix = {key->bytes, key_bytes}};

    if (n->is_started)
        return mni_walk_again(n->walk, &options, err);
    n->is_started = true;
    mni_walk_bound(n->walk, &options);
    return mni_walk_start(n->walk, n->history, err);
}

/* Most points are new, and most of these are of entities without versions: one look tells it for
 * all points of such a one. */
static mn_status look_at_entity(struct noting *n, uint64_t entity, struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(entity, 0);
    struct mni_found found;

    if (n->has_looked && n->entity == entity)
        return MN_OK;
    mn_status st = aim(n, &key, sizeof entity, err);
    if (st == MN_OK)
        st = mni_walk_next(n->walk, &found, err);
    n->has_looked = st == MN_OK || st == MN_END;
    n->entity = entity;
    n->has_versions = st == MN_OK;
    if (st == MN_OK)
        mni_pin_release(found.pin);
    return st == MN_END ? MN_OK : st;
}

/* Deletes all versions of a point. */
static mn_status end_versions(struct noting *n, uint64_t entity, int64_t time_us,
                              struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(entity, time_us);
    struct mni_found found;
    mn_status st = look_at_entity(n, entity, err);

    if (st != MN_OK || !n->has_versions)
        return st;
    st = aim(n, &key, sizeof key.bytes, err);
    while (st == MN_OK && (st = mni_walk_next(n->walk, &found, err)) == MN_OK) {
        const struct mni_record gone = {.type = MNI_RECORD_DELETE, .key = found.record.key};
        st = mni_batch_add(n->batch, n->history_index, &gone, MNI_ALWAYS, 0, NULL, err);
        mni_pin_release(found.pin);
    }
    return st == MN_END ? MN_OK : st;
}

static mn_status note_op(struct noting *n, const struct batch_op *op, struct mn_error *err)
{
    struct mni_found found;
    struct mni_record r;
    uint64_t entity = 0;
    int64_t time_us = 0;
    mn_status st = MN_NOT_FOUND;

    mni_record_view(mni_version_bytes(op->version), &r);
    bool is_point = mni_point_key_read(r.key, &entity, &time_us);
    MNI_CHECK(is_point);
    if (r.type == MNI_RECORD_UPSERT)
        st = mni_view_get(mni_walk_view(n->walk), n->collection, r.key, &found, err);
    if (st == MN_OK && time_us >= n->horizon_us) {
        st = add_version(n, entity, time_us, &found, err);
        mni_pin_release(found.pin);
        return st;
    }
    if (st == MN_OK)
        mni_pin_release(found.pin);
    return st == MN_OK || st == MN_NOT_FOUND ? end_versions(n, entity, time_us, err) : st;
}

mn_status mni_batch_note_history(struct mni_batch *batch, size_t index, struct mn_error *err)
{
    return history_note_from(batch, index, 0, err);
}

mn_status history_note_from(struct mni_batch *batch, size_t index, size_t first_op,
                            struct mn_error *err)
{
    const struct mni_walk_options all = {0};
    const struct mni_space_settings settings = batch->collections[index].seen;
    struct noting n = {.batch = batch, .collection = batch->collections[index].known.number};
    unsigned char room[MNI_SPACE_KEY_BYTES];
    struct mni_collection history;
    size_t n_ops = batch->n_ops;

    if (settings.history_us == 0)
        return MN_OK;
    struct mn_slice space =
        mni_space_key(mni_space_of_key(batch->collections[index].key + 1), room);
    mn_status st =
        mni_batch_collection(batch, MNI_KIND_HISTORY, space, false, &n.history_index, err);
    if (st == MN_OK)
        st = mni_walk_open(batch->engine, &all, &n.walk, err);
    if (st != MN_OK)
        return st;
    struct mni_view *view = mni_walk_view(n.walk);
    st = mni_view_collection(view, MNI_KIND_HISTORY, space, &history, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CONFLICT, "the space was altered meanwhile");
    n.history = history.number;
    n.now_us = view->point.now_us;
    n.horizon_us = mni_space_horizon_us(&settings, n.now_us);
    for (size_t i = first_op; i < n_ops && st == MN_OK; i++)
        if (batch->ops[i].collection_index == index)
            st = note_op(&n, &batch->ops[i], err);
    mni_walk_close(n.walk);
    return st;
}

/* Trimming ---------- */

/* Versions that died too long ago. */
struct trim {
    struct mni_history_key *keys; /* owned */
    size_t n;
    uint64_t collection;
    uint64_t row_lsn;     /* of the space's row */
    uint64_t largest_lsn; /* at which one of them died */
};

static mn_status gather_old(struct trim *t, struct mni_walk *walk, int64_t border_us,
                            struct history_cursor *cursor, struct mn_error *err)
{
    mn_status st = MN_OK;

    while (st == MN_OK && t->n < SLICE_VERSIONS) {
        struct mni_found found;
        st = mni_walk_next(walk, &found, err);
        if (st != MN_OK)
            break;
        const struct mni_record *r = &found.record;
        if (r->key.n_bytes != MNI_HISTORY_KEY_BYTES)
            st =
                mni_fail(err, MN_ERR_CORRUPT, "a history holds a key of %zu bytes", r->key.n_bytes);
        else
            memcpy(cursor->after.bytes, r->key.data, r->key.n_bytes);
        if (st == MN_OK && r->event_time_us < border_us) {
            t->keys[t->n++] = cursor->after;
            if (found.record_lsn > t->largest_lsn)
                t->largest_lsn = found.record_lsn;
        }
        mni_pin_release(found.pin);
    }
    return st;
}

/* MN_END: behind what it found nothing is left. MN_NOT_FOUND: no such space, or no history. */
static mn_status look_for_old(struct mni_engine *engine, uint32_t space, struct trim *t,
                              struct history_cursor *cursor, struct mn_error *err)
{
    const struct mni_walk_options options = {
        .after = {cursor->after.bytes, cursor->has_after ? sizeof cursor->after.bytes : 0}};
    unsigned char number[MNI_SPACE_KEY_BYTES];
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mn_slice name = mni_space_key(space, number);
    struct mni_collection history;
    struct mni_collection c;
    struct mni_walk *walk = NULL;
    struct mni_found row;
    int64_t border_us;
    mn_status st = mni_walk_open(engine, &options, &walk, err);

    if (st != MN_OK)
        return st;
    struct mni_view *view = mni_walk_view(walk);
    st = mni_view_get(view, 0, catalogue_key(MNI_KIND_SPACE, name, room), &row, err);
    if (st == MN_OK) {
        t->row_lsn = row.lsn;
        st = catalogue_decode_found(&row, &c, err);
    }
    if (st == MN_OK)
        st = mni_view_collection(view, MNI_KIND_HISTORY, name, &history, err);
    if (st == MN_OK) {
        t->collection = history.number;
        if (__builtin_sub_overflow(view->point.now_us, c.settings.history_us, &border_us))
            border_us = INT64_MIN;
        st = mni_walk_start(walk, history.number, err);
    }
    if (st == MN_OK)
        st = gather_old(t, walk, border_us, cursor, err);
    mni_walk_close(walk);
    return st;
}

/* Deletes them, and says that what was known before is not known any more. */
static mn_status delete_old(struct mni_engine *engine, uint32_t space, const struct trim *t,
                            struct mn_error *err)
{
    const struct mni_space_settings none = {0};
    struct mni_batch *batch = NULL;
    size_t row_index = 0;
    size_t index = 0;
    mn_status st = mni_batch_new(engine, NULL, &batch);

    if (st != MN_OK)
        return mni_fail(err, st, "a batch");
    batch->is_a_sweep = true;
    st = mni_batch_alter_space(batch, space, SPACE_KNOWN_FROM, &none, &row_index, err);
    if (st == MN_OK) {
        batch->collections[row_index].altered_row_lsn = t->row_lsn;
        batch->collections[row_index].altered_known_from_lsn = t->largest_lsn;
        st = batch_collection_by_number(batch, t->collection, &index, err);
    }
    for (size_t i = 0; i < t->n && st == MN_OK; i++) {
        const struct mni_record gone = {.type = MNI_RECORD_DELETE,
                                        .key = {t->keys[i].bytes, sizeof t->keys[i].bytes}};
        st = mni_batch_add(batch, index, &gone, MNI_ALWAYS, 0, NULL, err);
    }
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, err);
    mni_batch_free(batch);
    return st;
}

mn_status history_trim_slice(struct mni_engine *engine, uint32_t space,
                             struct history_cursor *cursor, uint64_t *n_removed,
                             struct mn_error *err)
{
    struct trim t = {.keys = mni_alloc_array(SLICE_VERSIONS, sizeof *t.keys)};
    mn_status looked = MN_OK;
    mn_status st = MN_ERR_CONFLICT;

    if (t.keys == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a sweep of %d versions", SLICE_VERSIONS);
    for (int i = 0; i < TRIES_MAX && st == MN_ERR_CONFLICT; i++) {
        struct history_cursor next = *cursor;
        t.n = 0;
        t.largest_lsn = 0;
        looked = look_for_old(engine, space, &t, &next, err);
        st = looked == MN_END ? MN_OK : looked;
        if (st == MN_OK && t.n > 0)
            st = delete_old(engine, space, &t, err);
        if (st == MN_OK) {
            *cursor = next;
            cursor->has_after = true;
            *n_removed += t.n;
        }
    }
    mni_free(t.keys);
    if (st == MN_ERR_CONFLICT)
        return MN_CHANGED;
    return st == MN_NOT_FOUND || (st == MN_OK && looked == MN_END) ? MN_END : st;
}

/* What was known ---------- */

struct mni_known {
    struct mni_walk *points;   /* borrowed */
    struct mni_walk *versions; /* owned */
    uint64_t collection;       /* of the space */
    uint64_t at_lsn;
    bool reverse;
    struct mni_found heads[2]; /* the next point and the next version, if they were read */
    bool has_head[2];
    bool is_over[2];
    int64_t times_us[2];
};

mn_status mni_known_open(struct mni_walk *points, uint32_t space, uint64_t collection,
                         const struct mni_walk_options *options, uint64_t at_lsn,
                         struct mni_known **known_out, struct mn_error *err)
{
    struct mni_view *view = mni_walk_view(points);
    unsigned char room[MNI_SPACE_KEY_BYTES];
    struct mni_collection history;
    mn_status st =
        mni_view_collection(view, MNI_KIND_HISTORY, mni_space_key(space, room), &history, err);

    if (st != MN_OK)
        return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_CORRUPT, "a space has lost its history")
                                  : st;
    struct mni_known *known = mni_alloc_zero(sizeof *known);
    if (known == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a walk");
    *known = (struct mni_known){
        .points = points, .collection = collection, .at_lsn = at_lsn, .reverse = options->reverse};
    st = engine_walk_open_beside(points, options, &known->versions, err);
    if (st == MN_OK)
        st = mni_walk_start(known->versions, history.number, err);
    if (st != MN_OK) {
        mni_known_close(known);
        return st;
    }
    *known_out = known;
    return MN_OK;
}

void mni_known_close(struct mni_known *known)
{
    if (known == NULL)
        return;
    for (int i = 0; i < 2; i++)
        if (known->has_head[i])
            mni_pin_release(known->heads[i].pin);
    mni_walk_close(known->versions);
    mni_free(known);
}

/* Whether a version was the point at that LSN, and the point is still there. */
static mn_status judge_version(struct mni_known *known, struct mni_found *version, bool *counts_out,
                               struct mn_error *err)
{
    struct mni_found found;
    uint64_t entity = 0;
    int64_t time_us = 0;
    uint64_t birth_lsn = 0;
    bool is_key = mni_history_key_read(version->record.key, &entity, &time_us, &birth_lsn);

    MNI_CHECK(is_key);
    *counts_out = false;
    if (birth_lsn > known->at_lsn || version->record_lsn <= known->at_lsn)
        return MN_OK;
    const struct mn_slice key = {version->record.key.data, MNI_POINT_KEY_BYTES};
    mn_status st = mni_view_get(mni_walk_view(known->points), known->collection, key, &found, err);
    if (st != MN_OK)
        return st == MN_NOT_FOUND ? MN_OK : st;
    mni_pin_release(found.pin);
    version->record.key = key;
    version->lsn = birth_lsn;
    version->record_lsn = birth_lsn;
    *counts_out = true;
    return MN_OK;
}

/* Reads the next point, or the next version, if it was not read yet. */
static mn_status fill_head(struct mni_known *known, int i, struct mn_error *err)
{
    struct mni_found *head = &known->heads[i];
    uint64_t entity;
    uint64_t lsn;

    if (known->has_head[i] || known->is_over[i])
        return MN_OK;
    mn_status st = mni_walk_next(i == 0 ? known->points : known->versions, head, err);
    known->is_over[i] = st == MN_END;
    if (st != MN_OK)
        return st == MN_END ? MN_OK : st;
    known->has_head[i] =
        i == 0 ? mni_point_key_read(head->record.key, &entity, &known->times_us[i])
               : mni_history_key_read(head->record.key, &entity, &known->times_us[i], &lsn);
    if (known->has_head[i])
        return MN_OK;
    mni_pin_release(head->pin);
    return mni_fail(err, MN_ERR_CORRUPT, "a space holds a key of %zu bytes",
                    head->record.key.n_bytes);
}

/* Of the two that come next: 0, the point; 1, the version. Equal times are one point's. */
static int first_of(const struct mni_known *known)
{
    if (!known->has_head[0] || !known->has_head[1])
        return known->has_head[0] ? 0 : 1;
    return known->reverse ? known->times_us[1] > known->times_us[0]
                          : known->times_us[1] < known->times_us[0];
}

mn_status mni_known_next(struct mni_known *known, struct mni_found *found_out, struct mn_error *err)
{
    bool counts = false;
    mn_status st = MN_OK;

    while (st == MN_OK && !counts) {
        st = fill_head(known, 0, err);
        if (st == MN_OK)
            st = fill_head(known, 1, err);
        if (st == MN_OK && !known->has_head[0] && !known->has_head[1])
            return MN_END;
        if (st != MN_OK)
            return st;
        int i = first_of(known);
        struct mni_found *head = &known->heads[i];
        counts = i == 0 && head->record_lsn <= known->at_lsn;
        if (i == 1)
            st = judge_version(known, head, &counts, err);
        if (st != MN_OK && st != MN_ERR_CORRUPT)
            return st; /* the same version again, when it is asked again, as walks do */
        known->has_head[i] = false;
        if (counts)
            *found_out = *head;
        else
            mni_pin_release(head->pin);
    }
    return st;
}
