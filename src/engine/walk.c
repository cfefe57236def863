/*
 * walk.c - the records of a collection in key order.
 *
 * The places that records lie in are walked side by side. A key is visible in one of them at most,
 * so there is nothing to choose between.
 *
 * Owns:    each walk its read view, and a few versions read ahead.
 * Threads: one per walk.
 * Fails:   MN_ERR_NOMEM, and as reading segments does. A walk that failed may be asked again.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum { AHEAD_FIRST = 8, AHEAD_MAX = 64 }; /* a short walk should not pay for a long one */

/* One of the places that records of the collection lie in. */
struct walk_source {
    struct mni_memtable *table; /* borrowed from the view's state; NULL: the part */
    struct part *part;          /* borrowed likewise */
    uint32_t row;               /* the next one to look at */
    uint32_t end_row;
    unsigned char after[1 + MN_ID_BYTES_MAX]; /* of a table: the last key that was read */
    size_t after_bytes;                       /* 0: from the first */
    struct mni_version *ahead[AHEAD_MAX];     /* pinned */
    size_t n_ahead;
    size_t next;
    bool is_last;   /* nothing is left in the table behind these */
    bool has_found; /* `found` is the next record of this source; pinned */
    struct mni_found found;
};

struct mni_walk {
    struct mni_view view;
    uint64_t collection;
    unsigned char *prefix; /* owned */
    size_t prefix_bytes;
    unsigned char after[1 + MN_ID_BYTES_MAX];
    size_t after_bytes;          /* 0: from the first */
    struct walk_source *sources; /* owned; NULL before it is started */
    size_t n_sources;
};

mn_status mni_walk_open(struct mni_engine *engine, struct mn_slice after, struct mn_slice prefix,
                        struct mni_walk **walk_out, struct mn_error *err)
{
    return engine_walk_open_at(engine, UINT64_MAX, after, prefix, walk_out, err);
}

mn_status engine_walk_open_at(struct mni_engine *engine, uint64_t lsn, struct mn_slice after,
                              struct mn_slice prefix, struct mni_walk **walk_out,
                              struct mn_error *err)
{
    struct mni_walk *walk = mni_alloc_zero(sizeof *walk);

    if (walk == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    MNI_CHECK(after.n_bytes <= sizeof walk->after);
    if (prefix.n_bytes > 0) {
        walk->prefix = mni_alloc(prefix.n_bytes);
        if (walk->prefix == NULL) {
            mni_free(walk);
            return mni_fail(err, MN_ERR_NOMEM, "iterator");
        }
        memcpy(walk->prefix, prefix.data, prefix.n_bytes);
        walk->prefix_bytes = prefix.n_bytes;
    }
    if (after.n_bytes > 0)
        memcpy(walk->after, after.data, after.n_bytes);
    walk->after_bytes = after.n_bytes;
    engine_view_open_at(engine, &walk->view, lsn);
    *walk_out = walk;
    return MN_OK;
}

struct mni_view *mni_walk_view(struct mni_walk *walk)
{
    return &walk->view;
}

static struct mn_slice prefix_of(const struct mni_walk *walk)
{
    return (struct mn_slice){walk->prefix, walk->prefix_bytes};
}

/* Tables ---------- */

static void read_ahead(struct mni_walk *walk, struct walk_source *s)
{
    struct mni_engine *engine = walk->view.engine;
    struct mn_slice after = {s->after_bytes > 0 ? s->after : NULL, s->after_bytes};
    size_t want = s->n_ahead == 0 ? AHEAD_FIRST : AHEAD_MAX;

    engine_read_lock(engine);
    s->n_ahead = mni_memtable_scan(s->table, walk->collection, after, prefix_of(walk),
                                   walk->view.point, s->ahead, want);
    engine_unlock(engine);
    s->is_last = s->n_ahead < want;
    s->next = 0;
    if (s->n_ahead == 0)
        return;
    struct mni_record r;
    mni_record_view(mni_version_bytes(s->ahead[s->n_ahead - 1]), &r);
    memcpy(s->after, r.key.data, r.key.n_bytes);
    s->after_bytes = r.key.n_bytes;
}

static mn_status next_of_table(struct mni_walk *walk, struct walk_source *s)
{
    if (s->next == s->n_ahead) {
        if (s->is_last)
            return MN_END;
        read_ahead(walk, s);
        if (s->n_ahead == 0)
            return MN_END;
    }
    engine_found_version(s->ahead[s->next++], &s->found);
    s->has_found = true;
    return MN_OK;
}

/* Parts ---------- */

static mn_status next_of_part(struct mni_walk *walk, struct walk_source *s, struct mn_error *err)
{
    struct mni_engine *engine = walk->view.engine;
    struct mn_slice prefix = prefix_of(walk);

    for (;;) {
        engine_read_lock(engine);
        s->row = mni_liveness_next_visible(&s->part->live, s->row, walk->view.point.lsn);
        engine_unlock(engine);
        if (s->row >= s->end_row)
            return MN_END;
        mn_status st =
            engine_read_row(engine, s->part, s->row++, walk->view.point.lsn, &s->found, err);
        if (st != MN_OK)
            return st;
        const struct mni_record *r = &s->found.record;
        bool is_within =
            r->key.n_bytes >= prefix.n_bytes &&
            (prefix.n_bytes == 0 || memcmp(r->key.data, prefix.data, prefix.n_bytes) == 0);
        bool is_live = (r->fields & MNI_FIELD_EXPIRY) == 0 ||
                       r->expires_at_us > walk->view.point.now_us;
        if (is_within && is_live) {
            s->has_found = true;
            return MN_OK;
        }
        mni_pin_release(s->found.pin);
        if (!is_within)
            return MN_END;
    }
}

static int compare_keys(struct mn_slice a, struct mn_slice b)
{
    size_t n = a.n_bytes < b.n_bytes ? a.n_bytes : b.n_bytes;
    int order = n > 0 ? memcmp(a.data, b.data, n) : 0;

    return order != 0 ? order : (a.n_bytes > b.n_bytes) - (a.n_bytes < b.n_bytes);
}

/* The rows behind `after` that may begin with the prefix. */
static mn_status start_part(struct mni_walk *walk, struct walk_source *s, struct part *part,
                            struct mn_error *err)
{
    struct mn_slice prefix = prefix_of(walk);
    struct mn_slice after = {walk->after, walk->after_bytes};
    bool is_after = walk->after_bytes > 0 && compare_keys(after, prefix) >= 0;
    struct mni_segment_group group;
    uint64_t row;
    mn_status st = mni_segment_find_group(part->segment, walk->collection, &group, err);

    if (st != MN_OK)
        return st;
    s->part = part;
    s->row = group.first_row;
    s->end_row = group.first_row + group.n_rows;
    struct mn_slice from = is_after ? after : prefix;
    if (from.n_bytes == 0)
        return MN_OK;
    st = mni_segment_lower_bound(part->segment, walk->collection, from, &row, err);
    if (st != MN_OK)
        return st;
    s->row = row < s->end_row ? (uint32_t)row : s->end_row;
    if (!is_after || s->row == s->end_row)
        return MN_OK;
    struct mni_segment_row first;
    st = mni_segment_row(part->segment, s->row, &first, err);
    if (st == MN_OK && compare_keys(first.record.key, after) == 0)
        s->row++;
    return st;
}

/* The walk ---------- */

mn_status mni_walk_start(struct mni_walk *walk, uint64_t collection, struct mn_error *err)
{
    const struct state *state = walk->view.state;
    size_t n_max = 2 + state->parts->n_parts;

    MNI_CHECK(walk->sources == NULL);
    walk->collection = collection;
    walk->sources = mni_alloc_zero(n_max * sizeof *walk->sources);
    if (walk->sources == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    struct mni_memtable *tables[2] = {state->active->memtable,
                                      state->frozen != NULL ? state->frozen->memtable : NULL};
    for (size_t i = 0; i < 2; i++) {
        if (tables[i] == NULL)
            continue;
        struct walk_source *s = &walk->sources[walk->n_sources++];
        s->table = tables[i];
        memcpy(s->after, walk->after, walk->after_bytes);
        s->after_bytes = walk->after_bytes;
    }
    for (size_t i = 0; i < state->parts->n_parts; i++) {
        mn_status st =
            start_part(walk, &walk->sources[walk->n_sources], state->parts->parts[i], err);
        if (st == MN_OK)
            walk->n_sources++;
        else if (st != MN_NOT_FOUND)
            return st;
    }
    return MN_OK;
}

mn_status mni_walk_next(struct mni_walk *walk, struct mni_found *found_out, struct mn_error *err)
{
    struct walk_source *first = NULL;
    mn_status st = MN_OK;

    MNI_CHECK(walk->sources != NULL);

    for (size_t i = 0; i < walk->n_sources && st == MN_OK; i++) {
        struct walk_source *s = &walk->sources[i];
        if (!s->has_found)
            st = s->table != NULL ? next_of_table(walk, s) : next_of_part(walk, s, err);
        if (st == MN_END) {
            *s = walk->sources[--walk->n_sources];
            i--;
            st = MN_OK;
        } else if (st == MN_OK && (first == NULL || compare_keys(s->found.record.key,
                                                                 first->found.record.key) < 0)) {
            first = s;
        }
    }
    if (st != MN_OK)
        return st;
    if (first == NULL)
        return MN_END;
    *found_out = first->found;
    first->has_found = false;
    return MN_OK;
}

void mni_walk_close(struct mni_walk *walk)
{
    if (walk == NULL)
        return;
    for (size_t i = 0; i < walk->n_sources; i++) {
        struct walk_source *s = &walk->sources[i];
        while (s->next < s->n_ahead)
            mni_version_unpin(s->ahead[s->next++]);
        if (s->has_found)
            mni_pin_release(s->found.pin);
    }
    mni_view_close(&walk->view);
    mni_free(walk->sources);
    mni_free(walk->prefix);
    mni_free(walk);
}
