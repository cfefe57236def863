/*
 * space_sweep.c - deletes for good what spaces do not show any more: points that are too old, and
 * those beyond what a space that was altered keeps of an entity.
 *
 * Owns:    a slice of keys, and the list of spaces that there is something to do for.
 * Threads: any; the list belongs to one sweep at a time (`sweep_lock`).
 * Fails:   what could not be deleted stays hidden, and is tried again later.
 *
 * As a sweep of what has expired, it deletes by ordinary commits, and only what is as it was seen;
 * so it needs none of the locks of entities.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/batch_private.h"

enum {
    SLICE_POINTS = 1024,      /* of one commit, or fewer, if their versions are many: */
    SLICE_OPS_SOFT = 1 << 14, /* where it ends before the next points */
    NOTED_AT_ONCE = 16,       /* points */
    PART_OF_PERIOD = 16,      /* of the age that a space keeps: so often it is swept */
    REST_MIN_US = 1000000,
    TRIES_MAX = 8, /* of a slice that others write to */
};
static const int64_t rest_max_us = INT64_C(3600000000);

/* A point that is to go. */
struct doomed_point {
    struct mni_point_key key;
    uint64_t lsn; /* of its newest change */
};

struct space_sweep {
    struct mni_engine *engine; /* borrowed */
    struct mni_point_key after;
    bool has_after;              /* it goes on behind this key */
    struct mni_collection began; /* the space when it began */
    uint64_t began_row_lsn;
    bool is_at_history; /* all points were looked at */
    struct history_cursor history;
    uint64_t n_removed;
    struct doomed_point *doomed; /* owned */
    size_t n_doomed;

    /* of the slice */
    struct mni_walk *walk;
    struct mni_collection space;
    int64_t horizon_us;
    struct mni_point_key next; /* where the next one goes on */
    bool is_last;
};

static mn_status read_point(struct mni_walk *walk, uint64_t *entity_out, int64_t *time_us_out,
                            uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_found found;
    mn_status st = mni_walk_next(walk, &found, err);

    if (st != MN_OK)
        return st;
    if (!mni_point_key_read(found.record.key, entity_out, time_us_out))
        st = mni_fail(err, MN_ERR_CORRUPT, "a space holds a key that is no point's");
    *lsn_out = found.lsn;
    mni_pin_release(found.pin);
    return st;
}

/* Goes on behind a key. */
static mn_status go_behind(struct space_sweep *s, const struct mni_point_key *key,
                           struct mn_error *err)
{
    const struct mni_walk_options behind = {.after = {key->bytes, sizeof key->bytes}};

    return mni_walk_again(s->walk, &behind, err);
}

/* The first time of an entity that stays. The walk is to be aimed anew after it. */
static mn_status find_border(struct space_sweep *s, uint64_t entity, int64_t *border_us_out,
                             struct mn_error *err)
{
    struct mni_point_key low = mni_point_key(entity, s->horizon_us);
    struct mni_point_key high = mni_point_key(entity, INT64_MAX);
    struct mni_walk_options options = {.reverse = true};
    mn_status st = MN_OK;

    *border_us_out = s->horizon_us;
    if (!s->space.is_untrimmed)
        return MN_OK;
    if (mni_point_key_back(&low))
        options.until = (struct mn_slice){low.bytes, sizeof low.bytes};
    if (mni_point_key_next(&high))
        options.after = (struct mn_slice){high.bytes, sizeof high.bytes};
    st = mni_walk_again(s->walk, &options, err);
    for (uint64_t i = 0; i < s->space.settings.keep_points && st == MN_OK; i++) {
        int64_t time_us = 0;
        uint64_t lsn;
        st = read_point(s->walk, &entity, &time_us, &lsn, err);
        if (st == MN_OK)
            *border_us_out = time_us;
    }
    if (st == MN_END) /* there are fewer */
        *border_us_out = s->horizon_us;
    return st == MN_END ? MN_OK : st;
}

/* Notes what is to go, up to a slice. MN_END: that is all. */
static mn_status gather_doomed(struct space_sweep *s, struct mn_error *err)
{
    uint64_t entity = 0;
    uint64_t of = 0;
    int64_t time_us = 0;
    int64_t border_us = 0;
    bool is_first = true;
    uint64_t lsn = 0;
    mn_status st = MN_OK;

    while (st == MN_OK && s->n_doomed < SLICE_POINTS) {
        st = read_point(s->walk, &entity, &time_us, &lsn, err);
        if (st != MN_OK)
            break;
        struct mni_point_key key = mni_point_key(entity, time_us);
        if (is_first || entity != of) {
            st = find_border(s, entity, &border_us, err);
            if (st == MN_OK && s->space.is_untrimmed)
                st = go_behind(s, &key, err);
            of = entity;
            is_first = false;
        }
        if (st == MN_OK && time_us < border_us) {
            s->doomed[s->n_doomed++] = (struct doomed_point){.key = key, .lsn = lsn};
        } else if (st == MN_OK) {
            key = mni_point_key(entity, INT64_MAX);
            st = entity == UINT64_MAX ? MN_END : go_behind(s, &key, err);
        }
        s->next = key;
    }
    return st;
}

/* Looks at the space as it is now. MN_NOT_FOUND: it is gone. */
static mn_status look(struct space_sweep *s, uint32_t space, struct mn_error *err)
{
    const struct mni_walk_options options = {
        .after = {s->after.bytes, s->has_after ? sizeof s->after.bytes : 0}};
    unsigned char room[MNI_SPACE_KEY_BYTES];

    s->n_doomed = 0;
    s->is_last = true;
    mn_status st = mni_walk_open(s->engine, &options, &s->walk, err);
    if (st != MN_OK)
        return st;
    st = mni_view_collection(mni_walk_view(s->walk), MNI_KIND_SPACE, mni_space_key(space, room),
                             &s->space, err);
    if (st == MN_OK && (s->space.settings.keep_us != 0 || s->space.is_untrimmed)) {
        s->horizon_us =
            mni_space_horizon_us(&s->space.settings, mni_walk_view(s->walk)->point.now_us);
        st = mni_walk_start(s->walk, s->space.number, err);
        if (st == MN_OK)
            st = gather_doomed(s, err);
        s->is_last = st == MN_END;
    }
    mni_walk_close(s->walk);
    s->walk = NULL;
    return st == MN_END ? MN_OK : st;
}

/* Points, and all their versions. Those that are too many for a commit are left to the next one. */
static mn_status add_doomed(struct space_sweep *s, struct mni_batch *batch, size_t index,
                            struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < s->n_doomed && st == MN_OK;) {
        size_t first_op = mni_batch_n_ops(batch);
        size_t end = s->n_doomed - i < NOTED_AT_ONCE ? s->n_doomed : i + NOTED_AT_ONCE;
        for (; i < end && st == MN_OK; i++) {
            const struct mni_record gone = {
                .type = MNI_RECORD_DELETE,
                .key = {s->doomed[i].key.bytes, sizeof s->doomed[i].key.bytes}};
            st = mni_batch_add(batch, index, &gone, MNI_IF_UNCHANGED, s->doomed[i].lsn, NULL, err);
        }
        if (st == MN_OK)
            st = history_note_from(batch, index, first_op, err);
        if (st == MN_OK && end < s->n_doomed && mni_batch_n_ops(batch) >= SLICE_OPS_SOFT) {
            s->n_doomed = end;
            s->next = s->doomed[end - 1].key;
            s->is_last = false;
        }
    }
    return st;
}

static mn_status delete_doomed(struct space_sweep *s, uint32_t space, struct mn_error *err)
{
    unsigned char room[MNI_SPACE_KEY_BYTES];
    struct mni_batch *batch = NULL;
    size_t index = 0;

    if (s->n_doomed == 0)
        return MN_OK;
    mn_status st = mni_batch_new(s->engine, NULL, &batch);
    if (st != MN_OK)
        return mni_fail(err, st, "a sweep of %zu points", s->n_doomed);
    batch->is_a_sweep = true;
    st =
        mni_batch_collection(batch, MNI_KIND_SPACE, mni_space_key(space, room), false, &index, err);
    if (st == MN_OK)
        batch_require_as(batch, index, &s->space);
    if (st == MN_OK)
        st = add_doomed(s, batch, index, err);
    if (st == MN_OK)
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, err);
    mni_batch_free(batch);
    if (st == MN_OK)
        s->n_removed += s->n_doomed;
    return st == MN_ERR_CONFLICT ? MN_CHANGED : st;
}

/* One commit's worth. What others change meanwhile is looked at again, or later. */
static mn_status sweep_slice(struct space_sweep *s, uint32_t space, struct mn_error *err)
{
    mn_status st = MN_CHANGED;

    for (int i = 0; i < TRIES_MAX && st == MN_CHANGED; i++) {
        st = look(s, space, err);
        if (st == MN_OK)
            st = delete_doomed(s, space, err);
    }
    if (st == MN_OK) {
        s->after = s->next;
        s->has_after = true;
    }
    return st;
}

/* Says in the space's row that no entity has too many points any more, unless that changed. */
static mn_status note_trimmed(struct mni_engine *engine, uint32_t space, uint64_t row_lsn,
                              struct mn_error *err)
{
    const struct mni_space_settings none = {0};
    struct mni_batch *batch = NULL;
    size_t index = 0;
    mn_status st = mni_batch_new(engine, NULL, &batch);

    if (st != MN_OK)
        return mni_fail(err, st, "a batch");
    batch->is_a_sweep = true;
    st = mni_batch_alter_space(batch, space, SPACE_TRIMMED, &none, &index, err);
    if (st == MN_OK) {
        batch->collections[index].altered_row_lsn = row_lsn;
        st = mni_batch_commit(batch, MN_ACK_NONE, NULL, err);
    }
    mni_batch_free(batch);
    return st == MN_NOT_FOUND || st == MN_ERR_CONFLICT ? MN_OK : st;
}

static mn_status space_row(struct mni_engine *engine, uint32_t space, struct mni_collection *c,
                           uint64_t *row_lsn_out, struct mn_error *err)
{
    unsigned char number[MNI_SPACE_KEY_BYTES];
    unsigned char room[1 + MN_NAMESPACE_BYTES_MAX];
    struct mni_found found;
    mn_status st = engine_find_now(
        engine, 0, catalogue_key(MNI_KIND_SPACE, mni_space_key(space, number), room), &found, err);

    if (st != MN_OK)
        return st;
    *row_lsn_out = found.lsn;
    return catalogue_decode_found(&found, c, err);
}

static bool has_time(const struct space_sweep *s, int64_t end_us)
{
    return end_us == 0 || mni_engine_mono_us(s->engine) < end_us;
}

static mn_status sweep_points(struct space_sweep *s, uint32_t space, int64_t end_us,
                              struct mn_error *err)
{
    mn_status st = MN_OK;

    s->is_last = false;
    s->doomed = mni_alloc_array(SLICE_POINTS, sizeof *s->doomed);
    if (s->doomed == NULL)
        st = mni_fail(err, MN_ERR_NOMEM, "a sweep of %d points", SLICE_POINTS);
    while (st == MN_OK && !s->is_last && has_time(s, end_us))
        st = sweep_slice(s, space, err);
    mni_free(s->doomed);
    s->doomed = NULL;
    s->is_at_history = st == MN_OK && s->is_last;
    if (s->is_at_history && s->began.is_untrimmed)
        st = note_trimmed(s->engine, space, s->began_row_lsn, err);
    return st;
}

/* Goes on with a sweep until it is through, or its time is up (0: never). MN_END: it is through;
 * the next one begins anew. */
static mn_status sweep_until(struct space_sweep *s, uint32_t space, int64_t end_us,
                             struct mn_error *err)
{
    mn_status st = MN_OK;

    if (!s->has_after)
        st = space_row(s->engine, space, &s->began, &s->began_row_lsn, err);
    if (st == MN_OK && !s->is_at_history)
        st = sweep_points(s, space, end_us, err);
    while (st == MN_OK && s->is_at_history && has_time(s, end_us))
        st = history_trim_slice(s->engine, space, &s->history, &s->n_removed, err);
    if (st == MN_END) {
        s->has_after = false;
        s->is_at_history = false;
        s->history.has_after = false;
    }
    return st;
}

mn_status mni_engine_sweep_space(struct mni_engine *engine, uint32_t space, uint64_t *n_removed_out,
                                 struct mn_error *err)
{
    struct space_sweep s = {.engine = engine};
    mn_status st = MN_CHANGED;

    if (engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    while (st == MN_CHANGED || st == MN_OK)
        st = sweep_until(&s, space, 0, err);
    if (st != MN_END)
        return st;
    if (n_removed_out != NULL)
        *n_removed_out = s.n_removed;
    return MN_OK;
}

/* Has points that are too old deleted before a space keeps more of them: what is gone stays gone.
 * `row_lsn_out`: of the row that this was done for; 0: any will do. */
static mn_status bury_old(struct mni_engine *engine, uint32_t space, unsigned changes,
                          const struct mni_space_settings *settings, uint64_t *row_lsn_out,
                          struct mn_error *err)
{
    struct mni_collection before = {0};
    struct mni_collection c = {0};
    mn_status st = MN_OK;

    *row_lsn_out = 0;
    if ((changes & MNI_SPACE_KEEP_US) == 0)
        return MN_OK;
    do {
        st = space_row(engine, space, &before, row_lsn_out, err);
        c = before;
        bool shows_more = before.settings.keep_us != 0 &&
                          (settings->keep_us == 0 || settings->keep_us > before.settings.keep_us);
        if (st == MN_OK && shows_more)
            st = mni_engine_sweep_space(engine, space, NULL, err);
        if (st == MN_OK && shows_more) /* a sweep may have written the row anew */
            st = space_row(engine, space, &c, row_lsn_out, err);
    } while (st == MN_OK && c.settings.keep_us != before.settings.keep_us);
    return st;
}

/* One try. MN_ERR_CONFLICT: what is too old is not what it was. */
static mn_status alter_once(struct mni_engine *engine, uint32_t space, unsigned changes,
                            const struct mni_space_settings *settings, mn_ack ack,
                            uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_batch *batch = NULL;
    uint64_t row_lsn = 0;
    size_t index = 0;
    mn_status st = bury_old(engine, space, changes, settings, &row_lsn, err);

    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_batch_new(engine, NULL, &batch) == MN_OK ? MN_OK
                                                          : mni_fail(err, MN_ERR_NOMEM, "a batch");
    if (st == MN_OK)
        st = mni_batch_alter_space(batch, space, changes, settings, &index, err);
    if (st == MN_OK) {
        batch->collections[index].altered_row_lsn = row_lsn;
        st = mni_batch_commit(batch, ack, lsn_out, err);
    }
    mni_batch_free(batch);
    return st;
}

mn_status mni_engine_alter_space(struct mni_engine *engine, uint32_t space, unsigned changes,
                                 const struct mni_space_settings *settings, mn_ack ack,
                                 uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_collection c = {0};
    uint64_t row_lsn = 0;
    mn_status st = MN_ERR_CONFLICT;

    if (engine->read_only)
        return mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    while (st == MN_ERR_CONFLICT)
        st = alter_once(engine, space, changes, settings, ack, lsn_out, err);
    if (st == MN_OK)
        st = space_row(engine, space, &c, &row_lsn, err);
    if (st == MN_OK && c.is_untrimmed)
        st = mni_engine_sweep_space(engine, space, NULL, err);
    return st;
}

/* What there is to do ---------- */

/* A space that keeps no point for ever. */
struct duty {
    uint32_t space;
    uint64_t collection;
    int64_t rest_us; /* between two sweeps */
    int64_t next_us; /* monotonic */
    struct space_sweep sweep;
};

struct space_duties {
    struct duty *items; /* owned: by space */
    size_t n;
    size_t capacity;
    uint64_t n_changes; /* of the catalogue, when they were listed */
};

static int64_t rest_of(const struct mni_collection *c)
{
    int64_t period_us = c->settings.keep_us;

    if (period_us == 0 || (c->settings.history_us != 0 && c->settings.history_us < period_us))
        period_us = c->settings.history_us;
    int64_t rest_us = period_us / PART_OF_PERIOD;
    if (c->is_untrimmed || rest_us < REST_MIN_US)
        return REST_MIN_US;
    return rest_us < rest_max_us ? rest_us : rest_max_us;
}

/* Notes a space; how far its sweep came is known from before. */
static mn_status add_duty(struct mni_engine *engine, struct space_duties *d,
                          const struct space_duties *before, uint32_t space,
                          const struct mni_collection *c)
{
    int64_t rest_us = rest_of(c);

    if (d->n == d->capacity) {
        size_t capacity = d->capacity == 0 ? 8 : d->capacity * 2;
        struct duty *items = mni_realloc(d->items, capacity * sizeof *items);
        if (items == NULL)
            return MN_ERR_NOMEM;
        d->items = items;
        d->capacity = capacity;
    }
    struct duty *duty = &d->items[d->n++];
    *duty = (struct duty){
        .space = space, .collection = c->number, .rest_us = rest_us, .sweep = {.engine = engine}};
    for (size_t i = 0; i < before->n; i++)
        if (before->items[i].collection == c->number) {
            duty->sweep = before->items[i].sweep;
            if (!c->is_untrimmed && rest_us == before->items[i].rest_us)
                duty->next_us = before->items[i].next_us;
        }
    return MN_OK;
}

static mn_status list_duties(struct mni_engine *engine, const struct space_duties *before,
                             struct space_duties *d)
{
    static const unsigned char kind = MNI_KIND_SPACE;
    const struct mni_walk_options spaces = {.prefix = {&kind, 1}};
    struct mni_walk *walk = NULL;
    struct mni_found found;
    struct mni_collection c;
    mn_status st = mni_walk_open(engine, &spaces, &walk, NULL);

    if (st == MN_OK)
        st = mni_walk_start(walk, 0, NULL);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, NULL);
        if (st != MN_OK)
            break;
        uint32_t space = mni_space_of_key((const unsigned char *)found.record.key.data + 1);
        st = catalogue_decode_found(&found, &c, NULL);
        if (st == MN_OK &&
            (c.settings.keep_us != 0 || c.settings.history_us != 0 || c.is_untrimmed))
            st = add_duty(engine, d, before, space, &c);
    }
    mni_walk_close(walk);
    return st == MN_END ? MN_OK : st;
}

/* Lists the spaces again where the catalogue has changed. */
static void refresh_duties(struct mni_engine *engine)
{
    struct space_duties *old = engine->space_duties;
    struct space_duties fresh = {0};

    engine_read_lock(engine);
    uint64_t n_changes = engine->n_catalogue_changes;
    uint64_t n_spaces = engine->n_spaces;
    engine_unlock(engine);
    if (old == NULL)
        old = engine->space_duties = mni_alloc_zero(sizeof *old);
    if (old == NULL || (old->n_changes == n_changes + 1))
        return;
    fresh.n_changes = n_changes + 1; /* 0 is none */
    if (n_spaces > 0 && list_duties(engine, old, &fresh) != MN_OK) {
        mni_free(fresh.items); /* next time */
        return;
    }
    mni_free(old->items);
    *old = fresh;
}

void spaces_sweep_due(struct mni_engine *engine, int64_t end_us, uint64_t *n_swept)
{
    refresh_duties(engine);
    struct space_duties *d = engine->space_duties;
    for (size_t i = 0; d != NULL && i < d->n; i++) {
        struct duty *duty = &d->items[i];
        int64_t now_us = mni_engine_mono_us(engine);
        if (now_us >= end_us)
            break;
        if (now_us < duty->next_us)
            continue;
        uint64_t n_before = duty->sweep.n_removed;
        mn_status st = sweep_until(&duty->sweep, duty->space, end_us, NULL);
        *n_swept += duty->sweep.n_removed - n_before;
        if (st != MN_OK) /* through, or it cannot go on now */
            duty->next_us = mni_engine_mono_us(engine) + duty->rest_us;
    }
}

void spaces_forget_duties(struct mni_engine *engine)
{
    if (engine->space_duties != NULL)
        mni_free(engine->space_duties->items);
    mni_free(engine->space_duties);
    engine->space_duties = NULL;
}

void spaces_finish_trims(struct mni_engine *engine)
{
    if (engine->n_spaces == 0)
        return;
    mni_mutex_lock(&engine->sweep_lock);
    refresh_duties(engine);
    struct space_duties *d = engine->space_duties;
    for (size_t i = 0; d != NULL && i < d->n; i++) {
        struct mni_collection c;
        uint64_t row_lsn;
        if (space_row(engine, d->items[i].space, &c, &row_lsn, NULL) == MN_OK && c.is_untrimmed)
            mni_ignore(mni_engine_sweep_space(engine, d->items[i].space, NULL, NULL));
    }
    mni_mutex_unlock(&engine->sweep_lock);
}

/* Counting ---------- */

/* The points of an entity that are too old. */
static mn_status count_old(struct space_sweep *s, uint64_t entity, uint64_t *n_out,
                           struct mn_error *err)
{
    struct mni_point_key low = mni_point_key(entity, INT64_MIN);
    struct mni_point_key high = mni_point_key(entity, s->horizon_us);
    struct mni_walk_options options = {.until = {high.bytes, sizeof high.bytes}};

    if (mni_point_key_back(&low))
        options.after = (struct mn_slice){low.bytes, sizeof low.bytes};
    mn_status st = mni_walk_again(s->walk, &options, err);
    return st == MN_OK ? mni_walk_count(s->walk, n_out, err) : st;
}

mn_status mni_engine_count_points(struct mni_engine *engine, uint32_t space, uint64_t *n_out,
                                  struct mn_error *err)
{
    struct space_sweep s = {.engine = engine};
    const struct mni_walk_options all = {0};
    unsigned char room[MNI_SPACE_KEY_BYTES];
    uint64_t n_hidden = 0;
    uint64_t n = 0;
    mn_status st = mni_walk_open(engine, &all, &s.walk, err);

    if (st != MN_OK)
        return st;
    st = mni_view_collection(mni_walk_view(s.walk), MNI_KIND_SPACE, mni_space_key(space, room),
                             &s.space, err);
    if (st == MN_OK)
        st = mni_walk_start(s.walk, s.space.number, err);
    if (st == MN_OK)
        st = mni_walk_count(s.walk, &n, err);
    s.horizon_us = mni_space_horizon_us(&s.space.settings, mni_walk_view(s.walk)->point.now_us);
    if (st == MN_OK)
        st = mni_walk_again(s.walk, &all, err);
    while (st == MN_OK) {
        uint64_t entity = 0;
        uint64_t n_old = 0;
        int64_t time_us = 0;
        uint64_t lsn;
        st = read_point(s.walk, &entity, &time_us, &lsn, err);
        if (st == MN_OK && time_us < s.horizon_us)
            st = count_old(&s, entity, &n_old, err);
        n_hidden += n_old;
        struct mni_point_key last = mni_point_key(entity, INT64_MAX);
        if (st == MN_OK)
            st = entity == UINT64_MAX ? MN_END : go_behind(&s, &last, err);
    }
    mni_walk_close(s.walk);
    if (st != MN_END)
        return st;
    *n_out = n - n_hidden;
    return MN_OK;
}
