/*
 * read.c - finding records: the newest ones, and those that a view sees.
 *
 * Owns:    nothing; what is found is pinned for the caller.
 * Threads: any. The tables are looked at under the read lock; segments are read without it, and
 *          the lock is taken again for a moment to ask whether a row is visible.
 * Fails:   MN_NOT_FOUND; reading a segment, MN_ERR_CORRUPT and what its source fails with.
 */
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum { PROBES_AT_ONCE = 16 };

void engine_found_version(struct mni_version *version, struct mni_found *found_out)
{
    struct mni_record *r = &found_out->record;

    mni_record_view(mni_version_bytes(version), r);
    r->fields &= ~(uint32_t)MNI_FIELD_EXPIRY;
    r->expires_at_us = 0;
    if (mni_version_expiry(version, &r->expires_at_us))
        r->fields |= MNI_FIELD_EXPIRY;
    r->fields &= ~(uint32_t)MNI_FIELD_HITS;
    r->hits = 0;
    if (mni_version_hits(version, &r->hits))
        r->fields |= MNI_FIELD_HITS;
    found_out->lsn = mni_version_lsn(version);
    found_out->record_lsn = mni_version_record_lsn(version);
    found_out->pin = version;
}

static bool has_expired(const struct mni_record *r, int64_t now_us)
{
    return (r->fields & MNI_FIELD_EXPIRY) != 0 && r->expires_at_us <= now_us;
}

/* Uses up a row that was read. */
static void found_row(struct part *part, struct mni_segment_row *r, struct mni_found *found_out)
{
    void *decoded = r->pins.vector == NULL ? NULL : mni_segment_row_take(r);

    part_ref(part);
    *found_out = (struct mni_found){
        .record = r->record,
        .lsn = r->lsn,
        .record_lsn = r->record_lsn,
        .pin = decoded == NULL ? pin_of_part(part) : pin_of_decoded(part, decoded),
    };
}

/* Shows a row that was read, as a view sees it, and uses it up. MN_NOT_FOUND: it is not visible. */
static mn_status show_row(struct mni_engine *engine, struct part *part, uint32_t row,
                          struct mni_segment_row *r, uint64_t view_lsn, struct mni_found *found_out)
{
    engine_read_lock(engine);
    bool is_visible = mni_liveness_is_visible(&part->live, row, view_lsn);
    if (is_visible)
        mni_liveness_apply_patch(&part->live, row, view_lsn, r);
    engine_unlock(engine);
    if (is_visible)
        found_row(part, r, found_out);
    else
        mni_segment_row_forget(r);
    return is_visible ? MN_OK : MN_NOT_FOUND;
}

mn_status engine_read_row(struct mni_engine *engine, struct part *part, uint32_t row,
                          uint64_t view_lsn, struct mni_found *found_out, struct mn_error *err)
{
    struct mni_segment_row r;
    mn_status st = mni_segment_row(part->segment, row, &r, err);

    return st == MN_OK ? show_row(engine, part, row, &r, view_lsn, found_out) : st;
}

mn_status engine_read_seen_row(struct mni_engine *engine, struct part *part, uint32_t row,
                               enum row_content content, uint64_t patches_lsn,
                               struct mni_found *found_out, struct mn_error *err)
{
    struct mni_segment_row r;
    mn_status st = content == ROW_WITHOUT_VECTOR
                       ? mni_segment_row_without_vector(part->segment, row, &r, err)
                       : mni_segment_row(part->segment, row, &r, err);

    if (st != MN_OK)
        return st;
    if (patches_lsn > 0) {
        engine_read_lock(engine);
        mni_liveness_apply_patch(&part->live, row, patches_lsn, &r);
        engine_unlock(engine);
    }
    found_row(part, &r, found_out);
    return MN_OK;
}

/* Looks in the parts alone, as of view_lsn. `died_out` (may be NULL): a row of the key is dead now
 * that may have been alive at `since_lsn`. */
static mn_status find_in_parts(struct mni_engine *engine, struct probe *probe, uint64_t view_lsn,
                               struct mni_found *found_out, uint64_t since_lsn, bool *died_out,
                               struct mn_error *err)
{
    struct mni_segment_row r;
    struct part *part;
    uint32_t row;
    mn_status st;

    while ((st = probe_next(probe, &part, &row, &r, err)) == MN_OK) {
        st = show_row(engine, part, row, &r, view_lsn, found_out);
        if (st != MN_NOT_FOUND)
            return st;
        if (died_out == NULL)
            continue;
        engine_read_lock(engine);
        *died_out = *died_out || part->live.forgotten_lsn > since_lsn ||
                    mni_liveness_died_after(&part->live, row, since_lsn);
        engine_unlock(engine);
    }
    return st;
}

/* Under the read lock. */
static struct mni_version *find_in_tables(const struct state *state, struct mni_view_point view,
                                          uint64_t collection, struct mn_slice key)
{
    struct mni_version *version = mni_memtable_find(state->active->memtable, collection, key, view);

    if (version == NULL && state->frozen != NULL)
        version = mni_memtable_find(state->frozen->memtable, collection, key, view);
    return version;
}

static const struct mni_view_point newest = {.lsn = UINT64_MAX, .now_us = MNI_NO_CLOCK};

/* Lets go of what has expired. The clock is read only for a record that may. */
static mn_status unless_expired(struct mni_engine *engine, const struct mni_found *found)
{
    if ((found->record.fields & MNI_FIELD_EXPIRY) == 0 ||
        !has_expired(&found->record, mni_engine_now_us(engine)))
        return MN_OK;
    mni_pin_release(found->pin);
    return MN_NOT_FOUND;
}

/* What the tables say of a key, and where to go on when they say nothing. */
struct look {
    struct mni_version *version; /* one reference */
    struct part_set *set;        /* one reference; NULL: there are no parts, or no need of them */
    uint64_t lsn;                /* the newest one then */
};

/* Under the read lock. */
static void take_look(struct mni_engine *engine, uint64_t collection, struct mn_slice key,
                      struct look *look)
{
    *look = (struct look){.version = find_in_tables(engine->state, newest, collection, key),
                          .lsn = mni_engine_visible_lsn(engine)};
    if (look->version != NULL) {
        mni_version_ref(look->version);
    } else if (engine->state->parts->n_parts > 0) {
        look->set = engine->state->parts;
        set_ref(look->set);
    }
}

/* Uses up the look. `again_out`: the record was changed meanwhile, look again. */
static mn_status finish_look(struct mni_engine *engine, struct look *look, uint64_t collection,
                             struct mn_slice key, struct mni_found *found_out, bool *again_out,
                             struct mn_error *err)
{
    struct probe probe;
    bool died = false;

    *again_out = false;
    if (look->version != NULL) {
        engine_found_version(look->version, found_out);
        return unless_expired(engine, found_out);
    }
    if (look->set == NULL)
        return MN_NOT_FOUND;
    probe_begin(&probe, look->set, collection, key);
    mn_status st = find_in_parts(engine, &probe, UINT64_MAX, found_out, look->lsn, &died, err);
    set_unref(look->set);
    if (st == MN_OK)
        return unless_expired(engine, found_out);
    /* A row that died after the look: its successor is in the tables now, if there is one. */
    *again_out = st == MN_NOT_FOUND && died;
    return st;
}

mn_status engine_find_now(struct mni_engine *engine, uint64_t collection, struct mn_slice key,
                          struct mni_found *found_out, struct mn_error *err)
{
    struct look look;
    bool again = true;
    mn_status st = MN_NOT_FOUND;

    while (again) {
        engine_read_lock(engine);
        take_look(engine, collection, key, &look);
        engine_unlock(engine);
        st = finish_look(engine, &look, collection, key, found_out, &again, err);
    }
    return st;
}

/* What a view sees of a key; a probe for it was begun in the view's parts. */
static mn_status view_find(struct mni_view *view, struct probe *probe, struct mni_found *found_out,
                           struct mn_error *err)
{
    struct mni_engine *engine = view->engine;

    engine_read_lock(engine);
    struct mni_version *version =
        find_in_tables(view->state, view->point, probe->collection, probe->key);
    if (version != NULL)
        mni_version_ref(version);
    engine_unlock(engine);
    if (version != NULL) {
        engine_found_version(version, found_out);
        return MN_OK;
    }
    mn_status st = find_in_parts(engine, probe, view->point.lsn, found_out, 0, NULL, err);
    if (st == MN_OK && has_expired(&found_out->record, view->point.now_us)) {
        mni_pin_release(found_out->pin);
        return MN_NOT_FOUND;
    }
    return st;
}

mn_status mni_view_get(struct mni_view *view, uint64_t collection, struct mn_slice key,
                       struct mni_found *found_out, struct mn_error *err)
{
    struct probe probe;

    probe_begin(&probe, view->state->parts, collection, key);
    return view_find(view, &probe, found_out, err);
}

static mn_status get_in(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                        struct mn_slice key, struct mni_collection *c, struct mni_found *found_out,
                        struct mn_error *err)
{
    struct look look;
    bool again = true;
    mn_status st;

    /* Most reads are of a name that was used before. */
    engine_read_lock(engine);
    bool is_known = catalogue_knows(engine, kind, name, c);
    if (is_known)
        take_look(engine, c->number, key, &look);
    engine_unlock(engine);
    if (is_known)
        st = finish_look(engine, &look, c->number, key, found_out, &again, err);
    else
        st = mni_engine_collection(engine, kind, name, c, err);
    if (again && (is_known || st == MN_OK))
        st = engine_find_now(engine, c->number, key, found_out, err);
    if (st == MN_NOT_FOUND)
        *found_out = (struct mni_found){.record.collection = c->number};
    return st;
}

mn_status mni_engine_get(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                         struct mn_slice key, struct mni_found *found_out, struct mn_error *err)
{
    struct mni_collection c = {0};

    return get_in(engine, kind, name, key, &c, found_out, err);
}

mn_status mni_engine_get_point(struct mni_engine *engine, struct mn_slice space,
                               struct mn_slice key, int64_t time_us, struct mni_found *found_out,
                               struct mn_error *err)
{
    struct mni_collection c = {0};
    mn_status st = get_in(engine, MNI_KIND_SPACE, space, key, &c, found_out, err);

    if (st != MN_OK || c.settings.keep_us == 0 ||
        time_us >= mni_space_horizon_us(&c.settings, mni_engine_now_us(engine)))
        return st;
    mni_pin_release(found_out->pin);
    *found_out = (struct mni_found){.record.collection = c.number};
    return MN_NOT_FOUND;
}

/* Fingerprints for some keys, then their slots, then their rows are fetched for all at once: a
 * look-up is waiting for memory that is not in the processor's caches, time after time. */
static void begin_probes(const struct part_set *set, uint64_t collection,
                         const struct mn_slice *keys, size_t n_keys, struct probe *probes_out)
{
    for (size_t i = 0; i < n_keys; i++)
        probe_begin(&probes_out[i], set, collection, keys[i]);
    for (size_t i = 0; i < n_keys; i++)
        probe_seek(&probes_out[i]);
    for (size_t i = 0; i < n_keys; i++)
        probe_prefetch_row(&probes_out[i]);
}

mn_status mni_engine_get_many(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                              const struct mn_slice *keys, size_t n_keys, mni_found_fn *each,
                              void *context, struct mn_error *err)
{
    struct mni_collection c;
    struct mni_found found;
    struct mni_view view;
    struct probe probes[PROBES_AT_ONCE];

    mni_view_open(engine, &view);
    mn_status st = mni_view_collection(&view, kind, name, &c, err);
    for (size_t i = 0; i < n_keys && st == MN_OK; i++) {
        size_t n_left = n_keys - i;
        if (i % PROBES_AT_ONCE == 0)
            begin_probes(view.state->parts, c.number, keys + i,
                         n_left < PROBES_AT_ONCE ? n_left : PROBES_AT_ONCE, probes);
        st = view_find(&view, &probes[i % PROBES_AT_ONCE], &found, err);
        if (st == MN_OK)
            each(context, i, &found);
        else if (st == MN_NOT_FOUND)
            st = MN_OK;
    }
    mni_view_close(&view);
    return st;
}

/* Counting ---------- */

/* The rows of a collection in each part. */
struct group_rows {
    uint32_t first;
    uint32_t n_rows;
};

static mn_status find_groups(const struct part_set *set, uint64_t collection,
                             struct group_rows *groups_out, struct mn_error *err)
{
    for (size_t i = 0; i < set->n_parts; i++) {
        struct mni_segment_group group = {0};
        mn_status st = mni_segment_find_group(set->parts[i]->segment, collection, &group, err);
        if (st != MN_OK && st != MN_NOT_FOUND)
            return st;
        groups_out[i] = (struct group_rows){.first = group.first_row, .n_rows = group.n_rows};
    }
    return MN_OK;
}

mn_status mni_engine_count_of(struct mni_engine *engine, uint64_t collection,
                              uint64_t *n_records_out, struct mn_error *err)
{
    struct mn_error why = {0};
    mn_status lapse_st = mni_engine_lapse(engine, &why);
    mn_status st = lapse_st == MN_ERR_CORRUPT ? MN_OK : lapse_st;

    while (st == MN_OK) {
        engine_read_lock(engine);
        struct state *state = engine->state;
        state_ref(state);
        engine_unlock(engine);
        struct group_rows *groups = mni_alloc_array(state->parts->n_parts + 1, sizeof *groups);
        st = groups == NULL ? mni_fail(err, MN_ERR_NOMEM, "a count")
                            : find_groups(state->parts, collection, groups, err);
        engine_read_lock(engine);
        bool is_newest = engine->state == state;
        uint64_t n = mni_memtable_count(state->active->memtable, collection);
        if (state->frozen != NULL)
            n += mni_memtable_count(state->frozen->memtable, collection);
        for (size_t i = 0; i < state->parts->n_parts && st == MN_OK; i++) {
            const struct part *part = state->parts->parts[i];
            if (groups[i].n_rows == 0 || part_row_is_dropped(part, groups[i].first))
                continue;
            if (atomic_load(&part->lapse_failed))
                st = lapse_st; /* what has expired there is not known */
            n += mni_liveness_count(&part->live, groups[i].first,
                                    groups[i].first + groups[i].n_rows);
        }
        engine_unlock(engine);
        state_unref(state);
        mni_free(groups);
        *n_records_out = n;
        if (is_newest)
            break;
    }
    if (st != MN_OK && st == lapse_st && err != NULL)
        *err = why;
    return st;
}

mn_status mni_engine_count(struct mni_engine *engine, enum mni_kind kind, struct mn_slice name,
                           uint64_t *n_records_out, struct mn_error *err)
{
    struct mni_collection c;
    mn_status st = mni_engine_collection(engine, kind, name, &c, err);

    return st == MN_OK ? mni_engine_count_of(engine, c.number, n_records_out, err) : st;
}
