/*
 * walk.c - the records of a collection in key order, or against it.
 *
 * The places that records lie in are walked side by side. A key is visible in one of them at most,
 * so there is nothing to choose between.
 *
 * What it reads ahead counts as no pin: only the caller can let go of pins, and has let go of all
 * that it was given when it asks for more. A record is counted when it is handed out.
 *
 * Owns:    each walk its read view, and a few versions read ahead.
 * Threads: one per walk.
 * Fails:   MN_ERR_NOMEM, and as reading segments does. A walk that failed may be asked again; it
 *          goes on behind a row that is damaged, and tries any other once more.
 */
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    AHEAD_FIRST = 8, /* a short walk should not pay for a long one */
    AHEAD_MAX = 64,
};

/* A key, or what comes next behind one. */
struct bound {
    size_t n_bytes; /* 0: none */
    unsigned char bytes[KEY_BYTES_MAX + 1];
};

/* What was read ahead of a table. */
struct ahead {
    struct mni_version *versions[AHEAD_MAX]; /* one reference each */
    size_t n_versions;
    size_t next;
    bool is_last;       /* nothing is left in the table behind these */
    struct bound after; /* the last key that was read */
};

/* One of the places that records of the collection lie in. There may be hundreds. */
struct walk_source {
    struct mni_memtable *table; /* borrowed from the view's state; NULL: the part */
    struct ahead *ahead;        /* of the table; borrowed from the walk */
    struct part *part;          /* borrowed likewise */
    uint32_t first_row;         /* rows not looked at yet, from here ... */
    uint32_t end_row;           /* ... to before this one */
    bool has_found; /* `found` is the next record of this source; its pin counts nothing yet */
    struct mni_found found;
};

struct mni_walk {
    struct mni_view view;
    uint64_t collection;
    struct bound low;  /* keys at or above */
    struct bound high; /* keys below */
    bool reverse;
    bool counts;
    struct walk_source *sources; /* owned; NULL before it is started */
    size_t n_sources;
    uint64_t counted_bytes; /* of its memory, in the budget */
    struct ahead aheads[2]; /* of the tables */
};

/* What the options come down to: keys from `low` to before `high` ---------- */

static struct mn_slice key_of(const struct bound *bound)
{
    return (struct mn_slice){bound->n_bytes > 0 ? bound->bytes : NULL, bound->n_bytes};
}

static void set_bound(struct bound *bound, struct mn_slice key)
{
    MNI_CHECK(key.n_bytes <= KEY_BYTES_MAX);
    if (key.n_bytes > 0)
        memcpy(bound->bytes, key.data, key.n_bytes);
    bound->n_bytes = key.n_bytes;
}

/* The smallest key above `key`. */
static void set_bound_behind(struct bound *bound, struct mn_slice key)
{
    set_bound(bound, key);
    if (key.n_bytes > 0)
        bound->bytes[bound->n_bytes++] = 0;
}

/* The smallest key above all that begin with `prefix`; none above those of bytes 255 only. */
static void set_bound_behind_all(struct bound *bound, struct mn_slice prefix)
{
    set_bound(bound, prefix);
    while (bound->n_bytes > 0 && bound->bytes[bound->n_bytes - 1] == 255)
        bound->n_bytes--;
    if (bound->n_bytes > 0)
        bound->bytes[bound->n_bytes - 1]++;
}

static void set_bounds(struct mni_walk *walk, const struct mni_walk_options *o)
{
    struct bound low = {0};
    struct bound high = {0};

    set_bound(&walk->low, o->prefix);
    set_bound_behind_all(&walk->high, o->prefix);
    set_bound_behind(&low, o->reverse ? o->until : o->after);
    set_bound(&high, o->reverse ? o->after : o->until);
    if (mni_key_compare(key_of(&low), key_of(&walk->low)) > 0)
        walk->low = low;
    if (high.n_bytes > 0 &&
        (walk->high.n_bytes == 0 || mni_key_compare(key_of(&high), key_of(&walk->high)) < 0))
        walk->high = high;
}

static void count_memory(struct mni_walk *walk, uint64_t n_bytes)
{
    walk->counted_bytes += n_bytes;
    budget_walk_add(walk->view.engine, n_bytes);
}

mn_status mni_walk_open(struct mni_engine *engine, const struct mni_walk_options *options,
                        struct mni_walk **walk_out, struct mn_error *err)
{
    return engine_walk_open_at(engine, UINT64_MAX, options, walk_out, err);
}

mn_status engine_walk_open_at(struct mni_engine *engine, uint64_t lsn,
                              const struct mni_walk_options *options, struct mni_walk **walk_out,
                              struct mn_error *err)
{
    struct mni_walk *walk = mni_alloc_zero(sizeof *walk);

    if (walk == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    set_bounds(walk, options);
    walk->reverse = options->reverse;
    walk->counts = options->counts;
    engine_view_open_at(engine, &walk->view, lsn);
    count_memory(walk, sizeof *walk);
    *walk_out = walk;
    return MN_OK;
}

struct mni_view *mni_walk_view(struct mni_walk *walk)
{
    return &walk->view;
}

/* Tables ---------- */

static void read_ahead(struct mni_walk *walk, struct mni_memtable *table, struct ahead *a)
{
    struct mni_engine *engine = walk->view.engine;
    const struct mni_key_range range = {
        .low = key_of(&walk->low), .high = key_of(&walk->high), .reverse = walk->reverse};
    size_t want = a->n_versions == 0 ? AHEAD_FIRST : AHEAD_MAX;

    if (a->n_versions == 0)
        engine_order_table(engine, table, walk->collection, walk->view.point.lsn);
    engine_read_lock(engine);
    a->n_versions = mni_memtable_scan(table, walk->collection, key_of(&a->after), &range,
                                      walk->view.point, a->versions, want);
    engine_unlock(engine);
    a->is_last = a->n_versions < want;
    a->next = 0;
    if (a->n_versions > 0)
        set_bound(&a->after, mni_record_key(mni_version_bytes(a->versions[a->n_versions - 1])));
}

static mn_status next_of_table(struct mni_walk *walk, struct walk_source *s)
{
    struct ahead *a = s->ahead;

    if (a->next == a->n_versions && !a->is_last)
        read_ahead(walk, s->table, a);
    if (a->next == a->n_versions)
        return MN_END;
    engine_found_version(a->versions[a->next++], &s->found);
    s->has_found = true;
    return MN_OK;
}

/* Parts ---------- */

/* Moves to the next row that the view sees, of those not looked at. The lock is held for a bounded
 * number of dead rows. False: none is left. */
static bool find_row(struct mni_walk *walk, struct walk_source *s, uint32_t *row_out)
{
    struct mni_engine *engine = walk->view.engine;
    const struct mni_liveness *live = &s->part->live;
    uint64_t lsn = walk->view.point.lsn;
    bool is_found = false;

    while (!is_found && s->first_row < s->end_row) {
        engine_read_lock(engine);
        is_found = walk->reverse
                       ? mni_liveness_seek_visible_back(live, s->first_row, lsn, &s->end_row)
                       : mni_liveness_seek_visible(live, s->end_row, lsn, &s->first_row);
        engine_unlock(engine);
    }
    *row_out = walk->reverse ? s->end_row - 1 : s->first_row;
    return is_found;
}

static mn_status next_of_part(struct mni_walk *walk, struct walk_source *s, struct mn_error *err)
{
    uint32_t row;

    while (find_row(walk, s, &row)) {
        mn_status st =
            engine_read_row(walk->view.engine, s->part, row, walk->view.point.lsn, &s->found, err);
        if (st != MN_OK && st != MN_ERR_CORRUPT)
            return st; /* the same row again, when it is asked again */
        if (walk->reverse)
            s->end_row = row;
        else
            s->first_row = row + 1;
        if (st != MN_OK)
            return st;
        const struct mni_record *r = &s->found.record;
        s->has_found = (r->fields & MNI_FIELD_EXPIRY) == 0 ||
                       r->expires_at_us > walk->view.point.now_us;
        if (s->has_found)
            return MN_OK;
        mni_pin_release(s->found.pin);
    }
    return MN_END;
}

/* Moves `row` to the first row at or behind a bound, if there is one. */
static mn_status seek_row(const struct mni_walk *walk, const struct part *part,
                          const struct bound *bound, uint32_t end_row, uint32_t *row,
                          struct mn_error *err)
{
    uint64_t found;

    if (bound->n_bytes == 0)
        return MN_OK;
    mn_status st =
        mni_segment_lower_bound(part->segment, walk->collection, key_of(bound), &found, err);
    if (st == MN_OK)
        *row = found < end_row ? (uint32_t)found : end_row;
    return st;
}

static mn_status start_part(struct mni_walk *walk, struct walk_source *s, struct part *part,
                            struct mn_error *err)
{
    struct mni_segment_group group;
    mn_status st = mni_segment_find_group(part->segment, walk->collection, &group, err);

    if (st != MN_OK)
        return st;
    uint32_t end_row = group.first_row + group.n_rows;
    s->part = part;
    s->first_row = group.first_row;
    s->end_row = end_row;
    st = seek_row(walk, part, &walk->low, end_row, &s->first_row, err);
    if (st == MN_OK)
        st = seek_row(walk, part, &walk->high, end_row, &s->end_row, err);
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
    count_memory(walk, n_max * sizeof *walk->sources);
    struct mni_memtable *tables[2] = {state->active->memtable,
                                      state->frozen != NULL ? state->frozen->memtable : NULL};
    if (walk->high.n_bytes > 0 && mni_key_compare(key_of(&walk->low), key_of(&walk->high)) >= 0)
        return MN_OK; /* there is nothing between them */
    for (size_t i = 0; i < 2; i++)
        if (tables[i] != NULL)
            walk->sources[walk->n_sources++] =
                (struct walk_source){.table = tables[i], .ahead = &walk->aheads[i]};
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

static bool comes_before(const struct mni_walk *walk, const struct walk_source *a,
                         const struct walk_source *b)
{
    int order = mni_key_compare(a->found.record.key, b->found.record.key);

    return walk->reverse ? order > 0 : order < 0;
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
        } else if (st == MN_OK && (first == NULL || comes_before(walk, s, first))) {
            first = s;
        }
    }
    if (st != MN_OK)
        return st;
    if (first == NULL)
        return MN_END;
    if (walk->counts)
        st = pin_count(walk->view.engine, &first->found, err);
    if (st != MN_OK)
        return st;
    *found_out = first->found;
    first->has_found = false;
    return MN_OK;
}

void mni_walk_close(struct mni_walk *walk)
{
    if (walk == NULL)
        return;
    for (size_t i = 0; i < walk->n_sources; i++)
        if (walk->sources[i].has_found)
            mni_pin_release(walk->sources[i].found.pin);
    for (size_t i = 0; i < 2; i++) {
        struct ahead *a = &walk->aheads[i];
        while (a->next < a->n_versions)
            mni_version_unref(a->versions[a->next++]);
    }
    budget_walk_subtract(walk->view.engine, walk->counted_bytes);
    mni_view_close(&walk->view);
    mni_free(walk->sources);
    mni_free(walk);
}
