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
#include "base/bytes.h"
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum {
    AHEAD_FIRST = 8, /* a short walk should not pay for a long one */
    AHEAD_MAX = 64,
    LINE_BYTES = 64,
    PREFETCH_BYTES_MAX = 1024, /* a longer vector is fetched in time by itself */
    COUNTED_AT_ONCE = 1024,    /* rows, under one lock; a multiple of 64 */
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

/* Rows of a part side by side, and which of them the view sees. That stays as it is while the view
 * is open. */
struct window {
    uint32_t first;
    uint32_t n; /* 0: none was looked at */
    uint64_t seen;
};

/* One of the places that records of the collection lie in. There may be hundreds. */
struct walk_source {
    struct mni_memtable *table; /* borrowed from the view's state; NULL: the part */
    struct ahead *ahead;        /* of the table; borrowed from the walk */
    struct part *part;          /* borrowed likewise */
    uint32_t first_row;         /* rows not looked at yet, from here ... */
    uint32_t end_row;           /* ... to before this one */
    bool has_patches;           /* some rows may */
    struct window window;
    bool tells_times;               /* the next row's key is known before it is read */
    struct mni_segment_space space; /* then */
    bool has_row;                   /* the next row is known; it is read when its turn comes */
    bool has_found;    /* `found` is the next record of this source; its pin counts nothing yet */
    uint64_t order[2]; /* of its key; see set_order */
    struct mni_found found;
};

struct mni_walk {
    struct mni_view view;
    uint64_t collection;
    struct bound low;  /* keys at or above */
    struct bound high; /* keys below */
    bool is_of_entity; /* all keys are those of its points */
    uint64_t entity;
    bool reverse;
    bool counts;
    bool without_vectors;
    struct walk_source *sources; /* owned; NULL before it is started */
    /* Those that are not through yet, behind them in the same memory. The first `n_shown` show what
     * they have next, and the last one of these is the one whose turn it is. */
    struct walk_source **queue;
    size_t n_shown;
    size_t n_sources;       /* in the queue */
    uint64_t counted_bytes; /* of its memory, in the budget */
    struct ahead aheads[2]; /* of the tables */
};

/* What the options come down to: keys from `low` to before `high` ---------- */

static struct mn_slice key_of(const struct bound *bound)
{
    return (struct mn_slice){bound->n_bytes > 0 ? bound->bytes : NULL, bound->n_bytes};
}

/* Bounds are long, and keys seldom are: nothing behind the key is touched. */
static void set_bound(struct bound *bound, struct mn_slice key)
{
    MNI_CHECK(key.n_bytes <= sizeof bound->bytes);
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
    walk->reverse = o->reverse;
    walk->is_of_entity = o->is_of_entity;
    walk->entity = o->entity;
    struct bound low;
    struct bound high;

    set_bound(&walk->low, o->prefix);
    set_bound_behind_all(&walk->high, o->prefix);
    set_bound_behind(&low, o->reverse ? o->until : o->after);
    set_bound(&high, o->reverse ? o->after : o->until);
    if (mni_key_compare(key_of(&low), key_of(&walk->low)) > 0)
        set_bound(&walk->low, key_of(&low));
    if (high.n_bytes > 0 &&
        (walk->high.n_bytes == 0 || mni_key_compare(key_of(&high), key_of(&walk->high)) < 0))
        set_bound(&walk->high, key_of(&high));
}

static void begin_ahead(struct ahead *a)
{
    a->n_versions = 0;
    a->next = 0;
    a->is_last = false;
    a->after.n_bytes = 0;
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
    struct mni_walk *walk = mni_alloc(sizeof *walk);

    if (walk == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    walk->sources = NULL;
    walk->n_shown = 0;
    walk->n_sources = 0;
    walk->counted_bytes = 0;
    for (size_t i = 0; i < 2; i++)
        begin_ahead(&walk->aheads[i]);
    set_bounds(walk, options);
    walk->counts = options->counts;
    walk->without_vectors = false;
    engine_view_open_at(engine, &walk->view, lsn);
    count_memory(walk, sizeof *walk);
    *walk_out = walk;
    return MN_OK;
}

mn_status engine_walk_open_beside(struct mni_walk *beside, const struct mni_walk_options *options,
                                  struct mni_walk **walk_out, struct mn_error *err)
{
    struct mni_walk *walk = mni_alloc_zero(sizeof *walk);

    if (walk == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    set_bounds(walk, options);
    walk->counts = options->counts;
    engine_view_copy(&beside->view, &walk->view);
    count_memory(walk, sizeof *walk);
    *walk_out = walk;
    return MN_OK;
}

void mni_walk_without_vectors(struct mni_walk *walk)
{
    MNI_CHECK(walk->n_shown == 0);
    walk->without_vectors = true;
}

struct mni_view *mni_walk_view(struct mni_walk *walk)
{
    return &walk->view;
}

void mni_walk_bound(struct mni_walk *walk, const struct mni_walk_options *options)
{
    MNI_CHECK(walk->sources == NULL);
    set_bounds(walk, options);
}

/* Tables ---------- */

static void read_ahead(struct mni_walk *walk, struct mni_memtable *table, struct ahead *a)
{
    struct mni_engine *engine = walk->view.engine;
    const struct mni_key_range range = {
        .low = key_of(&walk->low), .high = key_of(&walk->high), .reverse = walk->reverse};
    size_t want = a->n_versions == 0 ? AHEAD_FIRST : AHEAD_MAX;

    if (a->n_versions == 0) {
        mn_status st =
            engine_order_table(engine, table, walk->collection, walk->view.point.lsn, NULL, NULL);
        MNI_CHECK(st == MN_OK); /* nobody ends it */
    }
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

/* A bit for each of up to 64 rows from `row` on that the view sees, as far as deaths go. Read lock
 * held. */
static uint64_t seen_rows(const struct mni_walk *walk, const struct mni_liveness *live,
                          uint32_t row, uint32_t n)
{
    uint64_t all = UINT64_MAX >> (64 - n);
    uint64_t dead = mni_liveness_dead_64(live, row) & all;
    uint64_t seen = all & ~dead;

    for (; dead != 0; dead &= dead - 1)
        if (mni_liveness_died_after(live, row + (uint32_t)__builtin_ctzll(dead),
                                    walk->view.point.lsn))
            seen |= dead & -dead;
    return seen;
}

/* Looks at up to 64 rows, the next one that the view sees first. Read lock held. */
static void look_on(const struct mni_walk *walk, struct walk_source *s)
{
    const struct mni_liveness *live = &s->part->live;
    uint64_t lsn = walk->view.point.lsn;
    struct window *w = &s->window;

    *w = (struct window){.n = 0};
    if (!walk->reverse && mni_liveness_seek_visible(live, s->end_row, lsn, &s->first_row)) {
        w->first = s->first_row;
        w->n = s->end_row - w->first < 64 ? s->end_row - w->first : 64;
    } else if (walk->reverse &&
               mni_liveness_seek_visible_back(live, s->first_row, lsn, &s->end_row)) {
        w->n = s->end_row - s->first_row < 64 ? s->end_row - s->first_row : 64;
        w->first = s->end_row - w->n;
    }
    if (w->n > 0)
        w->seen = seen_rows(walk, live, w->first, w->n);
}

/* Takes the next row that the view sees from the window. False: it has none left. */
static bool take_seen(const struct mni_walk *walk, struct walk_source *s, uint32_t *row_out)
{
    const struct window *w = &s->window;
    uint64_t seen = w->seen;

    if (w->n == 0)
        return false;
    if (walk->reverse) {
        uint32_t n_left = s->end_row > w->first ? s->end_row - w->first : 0;
        seen &= n_left < 64 ? (UINT64_C(1) << n_left) - 1 : UINT64_MAX;
        s->end_row = seen == 0 ? w->first : w->first + 64 - (uint32_t)__builtin_clzll(seen);
        *row_out = s->end_row - 1;
    } else {
        uint32_t n_done = s->first_row - w->first;
        seen = n_done < 64 ? seen & UINT64_MAX << n_done : 0;
        s->first_row = seen == 0 ? w->first + w->n : w->first + (uint32_t)__builtin_ctzll(seen);
        *row_out = s->first_row;
    }
    return seen != 0;
}

/* Moves to the next row that the view sees, of those not looked at. The lock is held for a bounded
 * number of dead rows. False: none is left. */
static bool find_row(struct mni_walk *walk, struct walk_source *s, uint32_t *row_out)
{
    while (s->first_row < s->end_row) {
        if (take_seen(walk, s, row_out))
            return true;
        if (s->first_row >= s->end_row)
            break;
        engine_read_lock(walk->view.engine);
        look_on(walk, s);
        engine_unlock(walk->view.engine);
    }
    return false;
}

/* Fetches what the row behind has in columns that are not read in steps of cache lines: rows of an
 * entity lie side by side in all of them. */
static void prefetch_behind(const struct mni_walk *walk, const struct mni_record *r)
{
    uintptr_t key = (uintptr_t)r->key.data;
    uintptr_t vector = (uintptr_t)r->vector;
    size_t n_bytes = (size_t)r->n_dims * (r->element_type == MNI_ELEMENT_F16 ? 2 : sizeof(float));

    __builtin_prefetch((const void *)(walk->reverse ? key - LINE_BYTES : key + LINE_BYTES));
    if (vector == 0 || n_bytes > PREFETCH_BYTES_MAX)
        return;
    vector = walk->reverse ? vector - n_bytes : vector + n_bytes;
    for (size_t i = 0; i < n_bytes; i += LINE_BYTES)
        __builtin_prefetch((const void *)(vector + i));
}

/* Reads the row that find_row found. A damaged one is passed over when it is asked again. */
static mn_status read_row(struct mni_walk *walk, struct walk_source *s, uint32_t row,
                          struct mn_error *err)
{
    uint64_t patches_lsn = s->has_patches ? walk->view.point.lsn : 0;
    const enum row_content content = walk->without_vectors ? ROW_WITHOUT_VECTOR : ROW_WHOLE;
    mn_status st =
        engine_read_seen_row(walk->view.engine, s->part, row, content, patches_lsn, &s->found, err);

    if (st != MN_OK && st != MN_ERR_CORRUPT)
        return st; /* the same row again, when it is asked again */
    if (walk->reverse)
        s->end_row = row;
    else
        s->first_row = row + 1;
    if (st == MN_OK && s->tells_times)
        prefetch_behind(walk, &s->found.record);
    return st;
}

static mn_status next_of_part(struct mni_walk *walk, struct walk_source *s, struct mn_error *err)
{
    uint32_t row;

    while (find_row(walk, s, &row)) {
        mn_status st = read_row(walk, s, row, err);
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

/* The same where rows tell their times: it is not read yet. */
static mn_status next_row_of_part(struct mni_walk *walk, struct walk_source *s,
                                  struct mn_error *err)
{
    int64_t time_us = 0;
    uint32_t row;

    if (!find_row(walk, s, &row))
        return MN_END;
    mn_status st = mni_segment_time(s->part->segment, &s->space, row, &time_us, err);
    if (st != MN_OK)
        return st;
    mni_segment_prefetch_head(s->part->segment, row);
    s->order[0] = walk->entity;
    s->order[1] = (uint64_t)time_us ^ UINT64_C(1) << 63;
    s->has_row = true;
    return MN_OK;
}

/* MN_NOT_FOUND: it has no rows of the collection between the bounds. */
static mn_status start_part(struct mni_walk *walk, struct walk_source *s, struct part *part,
                            struct mn_error *err)
{
    struct mn_slice low = key_of(&walk->low);
    struct mn_slice high = key_of(&walk->high);
    uint32_t first;
    uint32_t end;

    if (!part_may_hold(part, walk->collection, low, high))
        return MN_NOT_FOUND;
    mn_status st =
        mni_segment_key_range(part->segment, walk->collection, low, high, &first, &end, err);
    if (st == MN_OK && first == end)
        st = MN_NOT_FOUND;
    if (st != MN_OK)
        return st;
    *s = (struct walk_source){.part = part, .first_row = first, .end_row = end};
    engine_read_lock(walk->view.engine);
    s->has_patches = part->live.patches.n > 0;
    engine_unlock(walk->view.engine);
    if (!walk->is_of_entity || s->has_patches ||
        mni_segment_get_info(part->segment)->n_expiring > 0) {
        mni_segment_prefetch_head(part->segment, walk->reverse ? end - 1 : first);
        return MN_OK;
    }
    st = mni_segment_find_space(part->segment, walk->collection, &s->space, err);
    s->tells_times = st == MN_OK;
    return st == MN_NOT_FOUND ? MN_OK : st;
}

/* Counting ---------- */

static uint64_t count_table(struct mni_walk *walk, struct walk_source *s)
{
    struct ahead *a = s->ahead;
    uint64_t n = 0;

    while (!a->is_last) {
        read_ahead(walk, s->table, a);
        n += a->n_versions;
        while (a->next < a->n_versions)
            mni_version_unref(a->versions[a->next++]);
    }
    return n;
}

/* Whether the view sees a row that no death hides from it. No lock is held. */
static mn_status is_unexpired(const struct mni_walk *walk, struct part *part, uint32_t row,
                              bool *is_unexpired_out, struct mn_error *err)
{
    struct mni_engine *engine = walk->view.engine;
    struct mni_segment_row head;
    mn_status st = mni_segment_row_head(part->segment, row, &head, err);

    if (st != MN_OK)
        return st;
    engine_read_lock(engine);
    mni_liveness_apply_patch(&part->live, row, walk->view.point.lsn, &head);
    engine_unlock(engine);
    *is_unexpired_out = (head.record.fields & MNI_FIELD_EXPIRY) == 0 ||
                        head.record.expires_at_us > walk->view.point.now_us;
    return MN_OK;
}

/* Of up to 64 rows, some of which may have expired. */
static mn_status count_unexpired(struct mni_walk *walk, struct walk_source *s, uint32_t n,
                                 uint64_t *n_counted, struct mn_error *err)
{
    mn_status st = MN_OK;

    engine_read_lock(walk->view.engine);
    uint64_t seen = seen_rows(walk, &s->part->live, s->first_row, n);
    engine_unlock(walk->view.engine);
    for (; seen != 0 && st == MN_OK; seen &= seen - 1) {
        bool is_there = false;
        st = is_unexpired(walk, s->part, s->first_row + (uint32_t)__builtin_ctzll(seen), &is_there,
                          err);
        *n_counted += is_there;
    }
    return st;
}

static mn_status count_part(struct mni_walk *walk, struct walk_source *s, uint64_t *n_counted,
                            struct mn_error *err)
{
    struct mni_engine *engine = walk->view.engine;
    const struct mni_liveness *live = &s->part->live;
    mn_status st = MN_OK;

    engine_read_lock(engine);
    bool may_expire = live->patches.n > 0 || mni_segment_get_info(s->part->segment)->n_expiring > 0;
    engine_unlock(engine);
    while (s->first_row < s->end_row && st == MN_OK) {
        uint32_t left = s->end_row - s->first_row;
        uint32_t most = may_expire ? 64 : COUNTED_AT_ONCE;
        uint32_t n = left < most ? left : most;
        if (may_expire) {
            st = count_unexpired(walk, s, n, n_counted, err);
        } else {
            engine_read_lock(engine);
            for (uint32_t i = 0; i < n; i += 64)
                *n_counted += (uint64_t)__builtin_popcountll(
                    seen_rows(walk, live, s->first_row + i, n - i < 64 ? n - i : 64));
            engine_unlock(engine);
        }
        s->first_row += n;
    }
    return st;
}

mn_status mni_walk_count(struct mni_walk *walk, uint64_t *n_out, struct mn_error *err)
{
    uint64_t n = 0;
    mn_status st = MN_OK;

    MNI_CHECK(walk->sources != NULL && !walk->reverse && walk->n_shown == 0);
    for (size_t i = 0; i < walk->n_sources && st == MN_OK; i++) {
        struct walk_source *s = walk->queue[i];
        if (s->table != NULL)
            n += count_table(walk, s);
        else
            st = count_part(walk, s, &n, err);
    }
    if (st == MN_OK)
        *n_out = n;
    return st;
}

/* The walk ---------- */

/* Room for one more, at the end of the queue. */
static struct walk_source *next_source(struct mni_walk *walk)
{
    size_t i = walk->n_sources++;

    walk->queue[i] = &walk->sources[i];
    return walk->queue[i];
}

/* Puts all of its sources at the bounds. */
static mn_status start_sources(struct mni_walk *walk, struct mn_error *err)
{
    const struct state *state = walk->view.state;
    struct mni_memtable *tables[2] = {state->active->memtable,
                                      state->frozen != NULL ? state->frozen->memtable : NULL};
    if (walk->high.n_bytes > 0 && mni_key_compare(key_of(&walk->low), key_of(&walk->high)) >= 0)
        return MN_OK; /* there is nothing between them */
    for (size_t i = 0; i < 2; i++) {
        if (tables[i] == NULL)
            continue;
        struct walk_source *s = next_source(walk);
        *s = (struct walk_source){.table = tables[i], .ahead = &walk->aheads[i]};
    }
    for (size_t i = 0; i < state->parts->n_parts; i++) {
        struct walk_source *s = next_source(walk);
        mn_status st = start_part(walk, s, state->parts->parts[i], err);
        if (st != MN_OK)
            walk->n_sources--;
        if (st != MN_OK && st != MN_NOT_FOUND)
            return st;
    }
    return MN_OK;
}

mn_status mni_walk_start(struct mni_walk *walk, uint64_t collection, struct mn_error *err)
{
    size_t n_max = 2 + walk->view.state->parts->n_parts;

    MNI_CHECK(walk->sources == NULL);
    walk->collection = collection;
    const size_t each_bytes = sizeof *walk->sources + sizeof *walk->queue;
    walk->sources = mni_alloc_array(n_max, each_bytes);
    if (walk->sources == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "iterator");
    walk->queue = (struct walk_source **)(walk->sources + n_max);
    count_memory(walk, n_max * each_bytes);
    return start_sources(walk, err);
}

/* Lets go of what was read and not handed out. */
static void forget_read(struct mni_walk *walk)
{
    for (size_t i = 0; i < walk->n_shown; i++)
        if (walk->queue[i]->has_found)
            mni_pin_release(walk->queue[i]->found.pin);
    walk->n_shown = 0;
    walk->n_sources = 0;
    for (size_t i = 0; i < 2; i++) {
        struct ahead *a = &walk->aheads[i];
        while (a->next < a->n_versions)
            mni_version_unref(a->versions[a->next++]);
    }
}

mn_status mni_walk_again(struct mni_walk *walk, const struct mni_walk_options *options,
                         struct mn_error *err)
{
    MNI_CHECK(walk->sources != NULL);
    forget_read(walk);
    for (size_t i = 0; i < 2; i++)
        begin_ahead(&walk->aheads[i]);
    set_bounds(walk, options);
    return start_sources(walk, err);
}

/* The first 16 bytes of a key as numbers that sort as they do. */
static void set_order(struct walk_source *s)
{
    struct mn_slice key = s->found.record.key;
    unsigned char bytes[16] = {0};

    if (key.n_bytes >= sizeof bytes)
        memcpy(bytes, key.data, sizeof bytes);
    else
        memcpy(bytes, key.data, key.n_bytes);
    s->order[0] = __builtin_bswap64(mni_get_u64(bytes));
    s->order[1] = __builtin_bswap64(mni_get_u64(bytes + 8));
}

static bool comes_before(const struct mni_walk *walk, const struct walk_source *a,
                         const struct walk_source *b)
{
    if (a->order[0] != b->order[0])
        return (a->order[0] < b->order[0]) != walk->reverse;
    if (a->order[1] != b->order[1])
        return (a->order[1] < b->order[1]) != walk->reverse;
    if (a->has_row || b->has_row)
        return false; /* a point is in one place only */
    int order = mni_key_compare(a->found.record.key, b->found.record.key);
    return walk->reverse ? order > 0 : order < 0;
}

static mn_status show_next(struct mni_walk *walk, struct walk_source *s, struct mn_error *err)
{
    if (s->tells_times)
        return next_row_of_part(walk, s, err);
    mn_status st = s->table != NULL ? next_of_table(walk, s) : next_of_part(walk, s, err);
    if (st == MN_OK)
        set_order(s);
    return st;
}

/* Has each source in the queue show what it has next, and puts it where its turn comes; those that
 * have nothing leave. Mostly one has been asked since. */
static mn_status fill_queue(struct mni_walk *walk, struct mn_error *err)
{
    struct walk_source **queue = walk->queue;

    while (walk->n_shown < walk->n_sources) {
        struct walk_source *s = queue[walk->n_shown];
        mn_status st = show_next(walk, s, err);
        if (st == MN_END) {
            queue[walk->n_shown] = queue[--walk->n_sources];
            continue;
        }
        if (st != MN_OK)
            return st;
        size_t at = walk->n_shown++;
        for (; at > 0 && comes_before(walk, queue[at - 1], s); at--)
            queue[at] = queue[at - 1];
        queue[at] = s;
    }
    return MN_OK;
}

/* Reads what a source has shown, if it has not been. Damaged, the source goes on behind it. */
static mn_status read_shown(struct mni_walk *walk, struct walk_source *s, struct mn_error *err)
{
    if (!s->has_row)
        return MN_OK;
    mn_status st = read_row(walk, s, walk->reverse ? s->end_row - 1 : s->first_row, err);
    s->has_row = st != MN_OK && st != MN_ERR_CORRUPT;
    s->has_found = st == MN_OK;
    if (st == MN_ERR_CORRUPT)
        walk->n_shown--;
    return st;
}

mn_status mni_walk_next(struct mni_walk *walk, struct mni_found *found_out, struct mn_error *err)
{
    MNI_CHECK(walk->sources != NULL);
    mn_status st = fill_queue(walk, err);

    if (st != MN_OK)
        return st;
    if (walk->n_shown == 0)
        return MN_END;
    struct walk_source *first = walk->queue[walk->n_shown - 1];
    st = read_shown(walk, first, err);
    if (st == MN_OK && walk->counts)
        st = pin_count(walk->view.engine, &first->found, err);
    if (st != MN_OK)
        return st;
    *found_out = first->found;
    first->has_found = false;
    walk->n_shown--;
    return MN_OK;
}

void mni_walk_close(struct mni_walk *walk)
{
    if (walk == NULL)
        return;
    forget_read(walk);
    budget_walk_subtract(walk->view.engine, walk->counted_bytes);
    mni_view_close(&walk->view);
    mni_free(walk->sources);
    mni_free(walk);
}
