/*
 * place.c - where the record that a change supersedes lies, and changing it there.
 *
 * The table takes every write. What it supersedes may lie in the frozen table or in a part; there
 * it is marked: with a tombstone or a patch on top, with a death or a patch of the row. Parts are
 * searched by the batch's thread before the commit is logged; the leader makes sure that the state
 * is still the one that was searched, and reserves what marking needs, so that it cannot fail.
 *
 * Owns:    what is reserved, until it is applied or cancelled.
 * Threads: finding in any thread; reserving, applying and cancelling in the leader.
 * Fails:   finding as reading segments does; reserving with MN_ERR_NOMEM.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/batch_private.h"

mn_status place_find(struct mni_engine *engine, const struct part_set *set, uint64_t collection,
                     struct mn_slice key, struct place *place_out, struct mn_error *err)
{
    struct mni_segment_row head;
    struct probe probe;
    struct part *part;
    uint32_t row;
    mn_status st;

    *place_out = (struct place){0};
    probe_begin(&probe, set, collection, key);
    while ((st = probe_next(&probe, &part, &row, NULL, err)) == MN_OK) {
        engine_read_lock(engine);
        bool is_dead = !mni_liveness_is_visible(&part->live, row, UINT64_MAX);
        engine_unlock(engine);
        if (is_dead)
            continue;
        st = mni_segment_row_head(part->segment, row, &head, err);
        if (st != MN_OK)
            return st;
        *place_out = (struct place){
            .part = part,
            .row = row,
            .lsn = head.lsn,
            .record_lsn = head.record_lsn,
            .expires = (head.record.fields & MNI_FIELD_EXPIRY) != 0,
            .expires_at_us = head.record.expires_at_us,
        };
        return MN_OK;
    }
    return st == MN_NOT_FOUND ? MN_OK : st;
}

/* Whether the row that was found is still a record. Either lock held. */
static bool holds_row(const struct place *place)
{
    return place != NULL && place->part != NULL &&
           mni_liveness_is_visible(&place->part->live, place->row, UINT64_MAX);
}

static void max_lsn(uint64_t *lsn, uint64_t other)
{
    if (other > *lsn)
        *lsn = other;
}

uint64_t place_newest_lsn(struct mni_engine *engine, uint64_t collection, struct mn_slice key,
                          const struct place *place)
{
    struct mni_patch patch;
    uint64_t lsn = mni_memtable_newest_lsn(engine->table, collection, key);

    if (engine->state->frozen != NULL)
        max_lsn(&lsn, mni_memtable_newest_lsn(engine->state->frozen->memtable, collection, key));
    for (const struct table *t = engine->retired; t != NULL; t = t->next)
        max_lsn(&lsn, mni_memtable_newest_lsn(t->memtable, collection, key));
    if (!holds_row(place))
        return lsn;
    max_lsn(&lsn, place->lsn);
    if (mni_liveness_find_patch(&place->part->live, place->row, UINT64_MAX, &patch))
        max_lsn(&lsn, patch.lsn);
    return lsn;
}

uint64_t place_live_lsn(struct mni_engine *engine, uint64_t collection, struct mn_slice key,
                        const struct place *place, struct mni_view_point view)
{
    struct mni_patch patch;
    struct mni_version *version = mni_memtable_find(engine->table, collection, key, view);

    if (version == NULL && engine->state->frozen != NULL)
        version = mni_memtable_find(engine->state->frozen->memtable, collection, key, view);
    if (version != NULL)
        return mni_version_record_lsn(version);
    if (!holds_row(place))
        return 0;
    bool expires = place->expires;
    int64_t expires_at_us = place->expires_at_us;
    if (mni_liveness_find_patch(&place->part->live, place->row, UINT64_MAX, &patch)) {
        expires = (expires && (patch.clears & MNI_FIELD_EXPIRY) == 0) ||
                  (patch.fields & MNI_FIELD_EXPIRY) != 0;
        if ((patch.fields & MNI_FIELD_EXPIRY) != 0)
            expires_at_us = patch.expires_at_us;
    }
    return expires && expires_at_us <= view.now_us ? 0 : place->record_lsn;
}

/* Reserving ---------- */

/* The change that marks the frozen table's record: a copy of a patch, or a tombstone. */
static mn_status new_below(struct mni_engine *engine, const struct mni_change *change,
                           struct mni_change *below)
{
    struct mni_version *version = NULL;
    struct mni_record r;

    mni_record_view(mni_version_bytes(change->version), &r);
    if (r.type == MNI_RECORD_UPSERT)
        r = (struct mni_record){
            .type = MNI_RECORD_DELETE, .collection = r.collection, .key = r.key};
    if (mni_version_new(engine->pool, mni_record_encoded_bytes(&r), &version) != MN_OK)
        return MN_ERR_NOMEM;
    mni_record_encode(&r, mni_version_bytes(version));
    mni_change_init(below, version);
    if (mni_memtable_prepare(engine->state->frozen->memtable, below, 1) == MN_OK)
        return MN_OK;
    mni_version_unref(version);
    *below = (struct mni_change){0};
    return MN_ERR_NOMEM;
}

static mn_status reserve_row(struct place *place, const struct mni_change *change)
{
    struct mni_record r;
    mn_status st;

    mni_record_view(mni_version_bytes(change->version), &r);
    place->is_patch = r.type == MNI_RECORD_PATCH;
    st = place->is_patch ? part_reserve_patch(place->part)
                         : mni_liveness_reserve(&place->part->live, 1, 0);
    place->is_reserved = st == MN_OK;
    part_note_memory(place->part);
    return st;
}

static void unreserve_row(struct place *place)
{
    if (!place->is_reserved)
        return;
    place->is_reserved = false;
    if (place->is_patch)
        part_unreserve_patch(place->part);
    else
        mni_liveness_unreserve(&place->part->live, 1, 0);
}

mn_status places_reserve(struct mni_engine *engine, struct place *places,
                         const struct mni_change *changes, size_t n)
{
    struct table *frozen = engine->state->frozen;
    mn_status st = MN_OK;

    for (size_t i = 0; i < n && st == MN_OK && frozen != NULL; i++) {
        const struct mni_change *change = &changes[i];
        if (places[i].not_frozen) /* nor does it take new ones */
            continue;
        engine_read_lock(engine);
        bool holds = mni_memtable_holds(frozen->memtable, change->hash,
                                        mni_change_collection(change), mni_change_key(change));
        engine_unlock(engine);
        if (holds && !MNI_PLANTED("tombstone_forgotten"))
            st = new_below(engine, change, &places[i].below);
    }
    engine_write_lock(engine);
    for (size_t i = 0; i < n && st == MN_OK; i++)
        if (places[i].part != NULL)
            st = reserve_row(&places[i], &changes[i]);
    engine_unlock(engine);
    if (st != MN_OK)
        places_cancel(engine, places, n);
    return st;
}

static void cancel_below(struct mni_engine *engine, struct place *place)
{
    if (place->below.version != NULL)
        mni_memtable_cancel(engine->state->frozen->memtable, &place->below, 1);
    place->below = (struct mni_change){0};
}

void places_cancel(struct mni_engine *engine, struct place *places, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cancel_below(engine, &places[i]);
    engine_write_lock(engine);
    for (size_t i = 0; i < n; i++)
        unreserve_row(&places[i]);
    engine_unlock(engine);
}

/* Applying ---------- */

static struct mni_patch patch_of(const struct mni_record *r, uint64_t lsn)
{
    const uint32_t patched = MNI_FIELD_EXPIRY | MNI_FIELD_HITS;

    return (struct mni_patch){
        .lsn = lsn,
        .fields = r->fields & patched,
        .clears = r->clears & ~r->fields & patched,
        .expires_at_us = (r->fields & MNI_FIELD_EXPIRY) != 0 ? r->expires_at_us : 0,
        .hits = (r->fields & MNI_FIELD_HITS) != 0 ? r->hits : 0,
    };
}

/* Marks a row; what kind of change it was is known when it was reserved. */
static void mark_row(struct place *place, const struct mni_record *r, const struct apply_at *at)
{
    struct part *part = place->part;

    if (place->is_patch) {
        struct mni_patch patch = patch_of(r, at->lsn);
        part_patch(part, place->row, &patch, at->floor_lsn, at->now_us);
    } else if (MNI_PLANTED("row_alive_in_two_places") && r->type == MNI_RECORD_UPSERT) {
        mni_liveness_unreserve(&part->live, 1, 0);
    } else {
        mni_liveness_kill(&part->live, place->row, at->lsn);
    }
    place->is_reserved = false;
}

static void apply_main(struct mni_engine *engine, struct mni_change *change,
                       const struct apply_at *at)
{
    mni_memtable_apply(engine->table, change, 1, at->lsn, at->now_us, at->oldest_view_lsn);
}

static void cancel_main(struct mni_engine *engine, struct mni_change *change)
{
    mni_memtable_cancel(engine->table, change, 1);
}

/* What lies in the frozen table is marked there. */
static void apply_frozen(struct mni_engine *engine, struct mni_change *change, struct place *place,
                         bool is_upsert, const struct apply_at *at)
{
    struct table *frozen = engine->state->frozen;
    uint64_t oldest = at->oldest_view_lsn < frozen->last_lsn ? at->oldest_view_lsn
                                                             : frozen->last_lsn;

    mni_memtable_apply(frozen->memtable, &place->below, 1, at->lsn, at->now_us, oldest);
    bool existed = place->below.existed;
    bool changed = place->below.changed;
    if (is_upsert) {
        apply_main(engine, change, at);
        changed = true;
    } else {
        cancel_main(engine, change);
    }
    change->existed = existed;
    change->changed = changed;
}

static void apply_row(struct mni_engine *engine, struct mni_change *change, struct place *place,
                      const struct mni_record *r, const struct apply_at *at)
{
    /* Lapsed or not, whether it was live is a matter of its time. */
    bool existed =
        place_live_lsn(engine, r->collection, r->key, place,
                       (struct mni_view_point){.lsn = UINT64_MAX, .now_us = at->now_us}) != 0;

    mark_row(place, r, at);
    /* A transaction that began before must find that the key was deleted; of a dropped collection
     * nobody finds anything. */
    if (r->type == MNI_RECORD_UPSERT ||
        (r->type == MNI_RECORD_DELETE && at->oldest_view_lsn < at->lsn &&
         !part_row_is_dropped(place->part, place->row)))
        apply_main(engine, change, at);
    else
        cancel_main(engine, change);
    change->existed = existed;
    change->changed = true;
}

void place_apply(struct mni_engine *engine, struct mni_change *change, struct place *place,
                 const struct apply_at *at)
{
    struct table *frozen = engine->state->frozen;
    uint64_t collection = mni_change_collection(change);
    struct mn_slice key = mni_change_key(change);
    struct mni_record r;

    mni_record_view(mni_version_bytes(change->version), &r);
    /* An earlier commit of the group may have changed it since it was judged. */
    if (mni_memtable_holds(engine->table, change->hash, collection, key))
        apply_main(engine, change, at);
    else if (place->below.version != NULL &&
             mni_memtable_holds(frozen->memtable, change->hash, collection, key))
        apply_frozen(engine, change, place, r.type == MNI_RECORD_UPSERT, at);
    else if (holds_row(place))
        apply_row(engine, change, place, &r, at);
    else if (change->keeps) /* deleted already, which left the tombstone */
        cancel_main(engine, change);
    else
        apply_main(engine, change, at);
    cancel_below(engine, place);
    unreserve_row(place);
}
