/*
 * keep.c - what a space keeps: how far back it shows points, and which go when others are put.
 *
 * Owns:    the locks of entities that a batch has taken, until the batch is freed.
 * Threads: one per batch.
 * Fails:   a batch that was refused is to be freed, not committed.
 *
 * A space that keeps only the newest points of each entity deletes the others in the commit that
 * puts these. Two writers could both see room for one more; so whoever puts a point of an entity
 * there holds the entity's lock from before it looks until its commit is answered. A batch takes
 * the locks of all its entities at once, in the order of the locks.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/batch_private.h"

/* Points of an entity that a put deletes beyond those it adds. There are more only where a space
 * has come to keep fewer; the sweep that follows from that does the rest, in small commits. */
enum { EXCESS_MAX = 1024 };

int64_t mni_space_horizon_us(const struct mni_space_settings *settings, int64_t now_us)
{
    int64_t horizon_us = INT64_MIN;

    if (settings->keep_us != 0 && __builtin_sub_overflow(now_us, settings->keep_us, &horizon_us))
        horizon_us = INT64_MIN;
    return horizon_us;
}

/* Locks of entities ---------- */

static unsigned lock_of(uint64_t collection, uint64_t entity)
{
    return (unsigned)(mni_hash(&entity, sizeof entity, collection) % ENTITY_LOCKS);
}

/* While it waits for them it keeps no state: whoever has them may wait for the state's memory. */
static void take_locks(struct mni_batch *batch, uint64_t locks)
{
    static_assert(ENTITY_LOCKS == 64, "a bit each");
    MNI_CHECK(batch->entity_locks == 0);
    batch_drop_state(batch);
    for (unsigned i = 0; i < ENTITY_LOCKS; i++)
        if ((locks >> i & 1) != 0)
            mni_mutex_lock(&batch->engine->entity_locks[i]);
    batch->entity_locks = locks;
}

void batch_release_locks(struct mni_batch *batch)
{
    for (unsigned i = ENTITY_LOCKS; i-- > 0;)
        if ((batch->entity_locks >> i & 1) != 0)
            mni_mutex_unlock(&batch->engine->entity_locks[i]);
    batch->entity_locks = 0;
}

void mni_batch_hold_entity(struct mni_batch *batch, size_t index, uint64_t entity)
{
    const struct batch_collection *c = &batch->collections[index];

    MNI_CHECK(index < batch->n_collections && c->has_seen);
    if (c->seen.history_us != 0)
        take_locks(batch, UINT64_C(1) << lock_of(c->seen_number, entity));
}

/* The points of a batch ---------- */

/* A point that the batch puts. */
struct put_point {
    uint64_t entity;
    int64_t time_us;
    int64_t expires_at_us; /* INT64_MAX: never */
};

struct keeping {
    struct mni_batch *batch; /* borrowed */
    size_t index;            /* of the space in it */
    uint64_t collection;
    struct mni_space_settings settings;
    int64_t horizon_us;
    struct put_point *points; /* owned: by entity, then by time */
    size_t n_points;
    struct mni_walk *walk; /* owned */
    bool is_started;
};

static int compare_points(const void *a, const void *b)
{
    const struct put_point *left = a;
    const struct put_point *right = b;

    if (left->entity != right->entity)
        return left->entity < right->entity ? -1 : 1;
    return left->time_us < right->time_us ? -1 : left->time_us > right->time_us;
}

static mn_status gather_points(struct keeping *k, struct mn_error *err)
{
    const struct mni_batch *batch = k->batch;
    uint64_t locks = 0;

    k->points = mni_alloc_array(batch->n_ops + 1, sizeof *k->points);
    if (k->points == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a batch of %zu points", batch->n_ops);
    for (size_t i = 0; i < batch->n_ops; i++) {
        struct put_point *p = &k->points[k->n_points];
        struct mni_record r;
        mni_record_view(mni_version_bytes(batch->ops[i].version), &r);
        if (batch->ops[i].collection_index != k->index)
            continue;
        bool is_point = mni_point_key_read(r.key, &p->entity, &p->time_us);
        MNI_CHECK(is_point);
        locks |= UINT64_C(1) << lock_of(k->collection, p->entity);
        p->expires_at_us = (r.fields & MNI_FIELD_EXPIRY) != 0 ? r.expires_at_us : INT64_MAX;
        k->n_points += r.type == MNI_RECORD_UPSERT;
    }
    if (k->n_points > 1)
        qsort(k->points, k->n_points, sizeof *k->points, compare_points);
    take_locks(k->batch, locks);
    (void)batch_take_state(k->batch);
    return MN_OK;
}

/* Has the walk go over an entity's points from a time on. */
static mn_status aim(struct keeping *k, uint64_t entity, int64_t from_us, struct mn_error *err)
{
    struct mni_point_key low = mni_point_key(entity, from_us);
    struct mni_point_key high = mni_point_key(entity, INT64_MAX);
    struct mni_walk_options options = {0};

    if (mni_point_key_back(&low))
        options.after = (struct mn_slice){low.bytes, sizeof low.bytes};
    if (mni_point_key_next(&high))
        options.until = (struct mn_slice){high.bytes, sizeof high.bytes};
    if (k->is_started)
        return mni_walk_again(k->walk, &options, err);
    k->is_started = true;
    mni_walk_bound(k->walk, &options);
    return mni_walk_start(k->walk, k->collection, err);
}

/* The time of the walk's next point. MN_END. */
static mn_status next_time(struct keeping *k, int64_t *time_us_out, struct mn_error *err)
{
    struct mni_found found;
    uint64_t entity;
    mn_status st = mni_walk_next(k->walk, &found, err);

    if (st != MN_OK)
        return st;
    if (!mni_point_key_read(found.record.key, &entity, time_us_out))
        st = mni_fail(err, MN_ERR_CORRUPT, "a space holds a key that is no point's");
    mni_pin_release(found.pin);
    return st;
}

/* Deleting what is too much ---------- */

static mn_status add_gone(struct keeping *k, uint64_t entity, int64_t time_us, struct mn_error *err)
{
    struct mni_point_key key = mni_point_key(entity, time_us);
    const struct mni_record gone = {.type = MNI_RECORD_DELETE,
                                    .key = {key.bytes, sizeof key.bytes}};

    return mni_batch_add(k->batch, k->index, &gone, MNI_ALWAYS, 0, NULL, err);
}

static bool is_shown(const struct keeping *k, const struct put_point *p)
{
    return p->time_us >= k->horizon_us && p->expires_at_us > mni_walk_view(k->walk)->point.now_us;
}

/* Points of an entity that the batch adds to those that there are. */
static mn_status count_new(struct keeping *k, const struct put_point *points, size_t n,
                           uint64_t *n_out, struct mn_error *err)
{
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        struct mni_point_key key = mni_point_key(points[i].entity, points[i].time_us);
        struct mni_found found;
        mn_status st = mni_view_get(mni_walk_view(k->walk), k->collection,
                                    (struct mn_slice){key.bytes, sizeof key.bytes}, &found, err);
        bool is_there = st == MN_OK;
        if (is_there)
            mni_pin_release(found.pin);
        else if (st != MN_NOT_FOUND)
            return st;
        *n_out += is_shown(k, &points[i]);
        *n_out -= is_there && points[i].time_us >= k->horizon_us;
    }
    return MN_OK;
}

/* Deletes the oldest of what will be there: of the store's points and the batch's own. */
static mn_status delete_oldest(struct keeping *k, const struct put_point *points, size_t n,
                               uint64_t n_excess, struct mn_error *err)
{
    uint64_t entity = points[0].entity;
    int64_t time_us = 0;
    size_t next = 0;
    mn_status st = aim(k, entity, k->horizon_us, err);
    mn_status walked = st == MN_OK ? next_time(k, &time_us, err) : st;

    while (n_excess > 0 && (walked == MN_OK || walked == MN_END)) {
        while (next < n && !is_shown(k, &points[next]) &&
               (walked == MN_END || points[next].time_us < time_us))
            next++;
        bool is_own = next < n && (walked == MN_END || points[next].time_us <= time_us);
        if (!is_own && walked == MN_END)
            return MN_OK;
        bool is_there = walked == MN_OK && (!is_own || points[next].time_us == time_us);
        bool counts = !is_own || is_shown(k, &points[next]);
        st = counts ? add_gone(k, entity, is_own ? points[next].time_us : time_us, err) : MN_OK;
        if (st != MN_OK)
            return st;
        n_excess -= counts;
        next += is_own;
        if (is_there)
            walked = next_time(k, &time_us, err);
    }
    return walked == MN_END ? MN_OK : walked;
}

/* How many points an entity shows. */
static mn_status count_there(struct keeping *k, uint64_t entity, uint64_t *n_out,
                             struct mn_error *err)
{
    struct mni_span span = {0};
    mn_status st =
        mni_engine_span(k->batch->engine, k->collection, entity, k->horizon_us, &span, err);

    *n_out = span.n_points;
    if (st != MN_END)
        return st;
    st = aim(k, entity, k->horizon_us, err);
    return st == MN_OK ? mni_walk_count(k->walk, n_out, err) : st;
}

static mn_status keep_newest(struct keeping *k, const struct put_point *points, size_t n,
                             struct mn_error *err)
{
    uint64_t n_there = 0;
    uint64_t n_new = 0;
    mn_status st = count_there(k, points[0].entity, &n_there, err);

    if (st != MN_OK || (n <= k->settings.keep_points && n_there <= k->settings.keep_points - n))
        return st;
    st = count_new(k, points, n, &n_new, err);
    /* What expires with the batch makes the sum smaller, and `n_new` less than nothing. */
    uint64_t n_then = n_there + n_new;
    if (st != MN_OK || n_then <= k->settings.keep_points)
        return st;
    uint64_t n_excess = n_then - k->settings.keep_points;
    return delete_oldest(k, points, n, n_excess < n + EXCESS_MAX ? n_excess : n + EXCESS_MAX, err);
}

mn_status mni_batch_keep(struct mni_batch *batch, size_t index, struct mn_error *err)
{
    const struct batch_collection *c = &batch->collections[index];
    const struct mni_walk_options all = {0};
    struct keeping k = {
        .batch = batch, .index = index, .collection = c->known.number, .settings = c->seen};

    MNI_CHECK(index < batch->n_collections && c->has_seen);
    if (k.settings.keep_points == 0 && k.settings.history_us == 0)
        return MN_OK;
    mn_status st = gather_points(&k, err);
    if (st == MN_OK)
        st = mni_walk_open(batch->engine, &all, &k.walk, err);
    if (st == MN_OK)
        k.horizon_us = mni_space_horizon_us(&k.settings, mni_walk_view(k.walk)->point.now_us);
    size_t n_points = k.settings.keep_points != 0 ? k.n_points : 0;
    for (size_t i = 0; i < n_points && st == MN_OK;) {
        size_t n = 1;
        while (i + n < n_points && k.points[i + n].entity == k.points[i].entity)
            n++;
        st = keep_newest(&k, k.points + i, n, err);
        i += n;
    }
    mni_walk_close(k.walk);
    mni_free(k.points);
    return st == MN_OK ? mni_batch_note_history(batch, index, err) : st;
}
