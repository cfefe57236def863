/*
 * part.c - a segment of the store: what happens to its rows, and which of them are due.
 *
 * Owns:    liveness, patches' expiries, ranges of dropped collections.
 * Threads: changes under the engine's write lock; files are read without it.
 * Fails:   MN_ERR_NOMEM, and as reading segments does.
 */
#include <inttypes.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "engine/engine_private.h"

enum { DUE_SLICE = 256, DUE_SPARE = 64, DUE_MIN = 16 };

bool part_may_hold(const struct part *part, uint64_t collection, struct mn_slice low,
                   struct mn_slice high)
{
    struct mni_segment_bounds b;

    mni_segment_get_bounds(part->segment, &b);
    if (collection < b.first_collection || collection > b.last_collection)
        return false;
    return (collection > b.first_collection || high.n_bytes == 0 ||
            mni_key_compare(b.first_key, high) <= 0) &&
           (collection < b.last_collection || mni_key_compare(b.last_key, low) >= 0);
}

mn_status part_new(struct mni_engine *engine, struct mni_segment *segment, struct part **part_out,
                   struct mn_error *err)
{
    const struct mni_segment_info *info = mni_segment_get_info(segment);
    struct mni_segment_group catalogue = {0};
    struct part *part = mni_alloc_aligned(PART_ALIGN, sizeof *part);

    if (part == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a segment's state");
    *part = (struct part){.n_rows = (uint32_t)info->n_rows};
    mn_status st = mni_segment_find_group(segment, 0, &catalogue, err);
    if (st == MN_NOT_FOUND)
        st = MN_OK;
    mni_liveness_init(&part->live, (uint32_t)info->n_rows);
    if (st == MN_OK && info->n_expiring > 0 && mni_liveness_reserve_lapsed(&part->live) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a segment's state");
    if (st != MN_OK) {
        mni_free(part);
        return st;
    }
    atomic_init(&part->n_refs, 1);
    part->serial = atomic_fetch_add(&engine->n_parts_made, 1) + 1;
    part->n_alive = &engine->n_parts_alive;
    atomic_fetch_add(part->n_alive, 1);
    atomic_init(&part->quiet_until_us, info->n_expiring > 0 ? INT64_MIN : INT64_MAX);
    part->pool = engine->pool;
    part->all_bytes = &engine->budget.part_bytes;
    part->segment = segment;
    part->n_catalogue_rows = catalogue.n_rows;
    part_note_memory(part);
    *part_out = part;
    return MN_OK;
}

/* Expiries of patches: a heap ---------- */

static void due_push(struct part *part, struct due_row due)
{
    size_t i = part->n_due++;

    while (i > 0 && part->due[(i - 1) / 2].expires_at_us > due.expires_at_us) {
        part->due[i] = part->due[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    part->due[i] = due;
}

static struct due_row due_pop(struct part *part)
{
    struct due_row first = part->due[0];
    struct due_row last = part->due[--part->n_due];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= part->n_due)
            break;
        if (child + 1 < part->n_due &&
            part->due[child + 1].expires_at_us < part->due[child].expires_at_us)
            child++;
        if (last.expires_at_us <= part->due[child].expires_at_us)
            break;
        part->due[i] = part->due[child];
        i = child;
    }
    part->due[i] = last;
    return first;
}

/* Whether a patch of the row has still set this expiry. */
static bool is_current(const struct part *part, const struct due_row *due)
{
    struct mni_patch patch;

    return mni_liveness_find_patch(&part->live, due->row, UINT64_MAX, &patch) &&
           (patch.fields & MNI_FIELD_EXPIRY) != 0 && patch.expires_at_us == due->expires_at_us;
}

/* Forgets expiries that later patches have replaced, when they are many. */
static void tidy_due(struct part *part)
{
    size_t n = part->n_due;

    if (n <= 2 * part->live.patches.n + DUE_SPARE)
        return;
    part->n_due = 0;
    for (size_t i = 0; i < n; i++) {
        struct due_row due = part->due[i];
        if (is_current(part, &due))
            due_push(part, due);
    }
}

/* Room for `n` expiries beside those that are reserved. */
static mn_status reserve_heap(struct part *part, size_t n)
{
    size_t needed = part->n_due + part->n_due_reserved + n;

    if (needed <= part->due_capacity)
        return MN_OK;
    size_t capacity = part->due_capacity == 0 ? DUE_MIN : part->due_capacity * 2;
    capacity = capacity > needed ? capacity : needed;
    struct due_row *due = mni_realloc(part->due, capacity * sizeof *due);
    if (due == NULL)
        return MN_ERR_NOMEM;
    part->due = due;
    part->due_capacity = capacity;
    return MN_OK;
}

mn_status part_reserve_patch(struct part *part)
{
    tidy_due(part);
    if (reserve_heap(part, 1) != MN_OK || mni_liveness_reserve_lapsed(&part->live) != MN_OK ||
        mni_liveness_reserve(&part->live, 0, 1) != MN_OK)
        return MN_ERR_NOMEM;
    part->n_due_reserved++;
    return MN_OK;
}

void part_unreserve_patch(struct part *part)
{
    MNI_CHECK(part->n_due_reserved > 0);
    part->n_due_reserved--;
    mni_liveness_unreserve(&part->live, 0, 1);
}

void part_patch(struct part *part, uint32_t row, const struct mni_patch *patch, uint64_t floor_lsn,
                int64_t now_us)
{
    struct due_row due = {.expires_at_us = patch->expires_at_us, .row = row};
    bool is_known = is_current(part, &due);

    MNI_CHECK(part->n_due_reserved > 0);
    part->n_due_reserved--;
    mni_liveness_patch(&part->live, row, patch, floor_lsn);
    if (((patch->fields | patch->clears) & MNI_FIELD_EXPIRY) == 0)
        return;
    bool was_lapsed = mni_liveness_unlapse(&part->live, row);
    if ((patch->fields & MNI_FIELD_EXPIRY) == 0)
        return;
    if (patch->expires_at_us <= now_us)
        mni_liveness_lapse(&part->live, row);
    else if (!is_known || was_lapsed)
        due_push(part, due);
}

mn_status part_reserve_due(struct part *part, size_t n)
{
    if (reserve_heap(part, n) != MN_OK)
        return MN_ERR_NOMEM;
    return mni_liveness_reserve_lapsed(&part->live);
}

void part_add_due(struct part *part, uint32_t row, int64_t expires_at_us)
{
    MNI_CHECK(part->n_due < part->due_capacity);
    due_push(part, (struct due_row){.expires_at_us = expires_at_us, .row = row});
}

void part_forget_pending(struct part *part)
{
    part->pending = (struct mni_manifest_live){0};
    part->pending_is_full = false;
}

mn_status part_note_patches(struct part *part, struct mn_error *err)
{
    struct mni_live_state state;
    mn_status st = mni_liveness_export(&part->live, MNI_LIVE_EXPORT_FULL, UINT64_MAX, &state, err);

    if (st != MN_OK)
        return st;
    if (state.n_patches > 0) {
        part->due = mni_alloc_array(state.n_patches, sizeof *part->due);
        part->due_capacity = state.n_patches;
        if (part->due == NULL || mni_liveness_reserve_lapsed(&part->live) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "patches of %" PRIu32 " rows", state.n_patches);
    }
    for (uint32_t i = 0; i < state.n_patches && st == MN_OK; i++)
        if ((state.patches[i].patch.fields & MNI_FIELD_EXPIRY) != 0)
            due_push(part, (struct due_row){.expires_at_us = state.patches[i].patch.expires_at_us,
                                            .row = state.patches[i].row});
    mni_live_state_done(&state);
    return st;
}

/* Lapsing ---------- */

/* Up to DUE_SLICE rows from `index` on that expire at or before now, as the segment has it; when
 * those are all, `next_us_out` is when the one behind them does. */
static mn_status read_due(struct part *part, uint64_t index, int64_t now_us, uint32_t *rows_out,
                          size_t *n_out, int64_t *next_us_out, struct mn_error *err)
{
    uint64_t n_expiring = mni_segment_get_info(part->segment)->n_expiring;

    *n_out = 0;
    *next_us_out = INT64_MAX;
    while (*n_out < DUE_SLICE && index < n_expiring) {
        struct mni_segment_row head;
        uint32_t row;
        mn_status st = mni_segment_expiring_row(part->segment, index, &row, err);
        if (st == MN_OK)
            st = mni_segment_row_head(part->segment, row, &head, err);
        if (st != MN_OK)
            return st;
        if (head.record.expires_at_us > now_us) {
            *next_us_out = head.record.expires_at_us;
            break;
        }
        rows_out[(*n_out)++] = row;
        index++;
    }
    return MN_OK;
}

/* Whether patches have not changed when the row expires. Either lock held. */
static bool keeps_expiry(const struct part *part, uint32_t row)
{
    struct mni_patch patch;

    return !mni_liveness_find_patch(&part->live, row, UINT64_MAX, &patch) ||
           ((patch.fields | patch.clears) & MNI_FIELD_EXPIRY) == 0;
}

/* A slice of them. */
static void lapse_patched(struct part *part, int64_t now_us)
{
    for (int i = 0; i < DUE_SLICE && part->n_due > 0 && part->due[0].expires_at_us <= now_us; i++) {
        struct due_row due = due_pop(part);
        if (is_current(part, &due))
            mni_liveness_lapse(&part->live, due.row);
    }
}

static mn_status lapse(struct mni_engine *engine, struct part *part, int64_t now_us,
                       struct mn_error *err)
{
    uint32_t rows[DUE_SLICE];
    bool has_more = true;

    while (has_more) {
        size_t n;
        int64_t next_us;
        engine_read_lock(engine);
        uint64_t index = part->next_expiring;
        bool has_patched = part->n_due > 0 && part->due[0].expires_at_us <= now_us;
        engine_unlock(engine);
        mn_status st = read_due(part, index, now_us, rows, &n, &next_us, err);
        if (st != MN_OK)
            return st;
        if (n == 0) /* another thread may have gone on since, to rows that expire later */
            atomic_store(&part->quiet_until_us, next_us);
        if (n == 0 && !has_patched)
            return MN_OK;
        engine_write_lock(engine);
        bool is_mine = part->next_expiring == index;
        for (size_t i = 0; i < n && is_mine; i++)
            if (keeps_expiry(part, rows[i]))
                mni_liveness_lapse(&part->live, rows[i]);
        if (is_mine)
            part->next_expiring += n;
        lapse_patched(part, now_us);
        /* Another thread may have been faster. */
        has_more = !is_mine || n == DUE_SLICE ||
                   (part->n_due > 0 && part->due[0].expires_at_us <= now_us);
        engine_unlock(engine);
        engine_yield(engine);
    }
    return MN_OK;
}

bool part_has_due(const struct part *part, int64_t now_us)
{
    return atomic_load(&part->quiet_until_us) <= now_us ||
           (part->n_due > 0 && part->due[0].expires_at_us <= now_us);
}

mn_status part_lapse(struct mni_engine *engine, struct part *part, int64_t now_us,
                     struct mn_error *err)
{
    mn_status st = lapse(engine, part, now_us, err);

    atomic_store(&part->lapse_failed, st != MN_OK);
    return st;
}

/* Counting ---------- */

uint64_t part_count(const struct part *part, uint64_t *n_lapsed_out)
{
    const struct mni_liveness *live = &part->live;
    uint64_t n = live->n_rows - live->n_dead - live->n_lapsed;
    uint64_t n_lapsed = live->n_lapsed;

    n -= mni_liveness_count(live, 0, part->n_catalogue_rows);
    for (const struct dropped_rows *d = part->dropped; d != NULL; d = d->next) {
        n -= mni_liveness_count(live, d->first, d->first + d->n_rows);
        n_lapsed -= mni_liveness_count_lapsed(live, d->first, d->first + d->n_rows);
    }
    *n_lapsed_out = n_lapsed;
    return n;
}

uint64_t part_count_dead(const struct part *part)
{
    uint64_t n = part->live.n_dead;

    for (const struct dropped_rows *d = part->dropped; d != NULL; d = d->next)
        n += mni_liveness_count(&part->live, d->first, d->first + d->n_rows) +
             mni_liveness_count_lapsed(&part->live, d->first, d->first + d->n_rows);
    return n;
}

mn_status part_find_dropped(struct part *part, uint64_t collection, struct dropped_rows **list,
                            struct mn_error *err)
{
    struct mni_segment_group group;
    mn_status st = mni_segment_find_group(part->segment, collection, &group, err);

    if (st != MN_OK)
        return st == MN_NOT_FOUND ? MN_OK : st;
    struct dropped_rows *rows = mni_alloc(sizeof *rows);
    if (rows == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "dropping a collection");
    *rows = (struct dropped_rows){
        .next = *list, .part = part, .first = group.first_row, .n_rows = group.n_rows};
    *list = rows;
    return MN_OK;
}

mn_status part_find_all_dropped(struct part *part, const uint64_t *numbers, size_t n,
                                struct dropped_rows **list, struct mn_error *err)
{
    uint64_t n_groups = mni_segment_get_info(part->segment)->n_groups;
    size_t next = 0;
    mn_status st = MN_OK;

    for (uint64_t i = 0; i < n_groups && st == MN_OK; i++) {
        struct mni_segment_group group;
        st = mni_segment_group(part->segment, i, &group, err);
        if (st != MN_OK || group.collection == 0)
            continue;
        while (next < n && numbers[next] < group.collection)
            next++;
        if (next == n || numbers[next] != group.collection)
            st = part_find_dropped(part, group.collection, list, err);
    }
    return st;
}

void part_link_dropped(struct dropped_rows **list)
{
    while (*list != NULL) {
        struct dropped_rows *rows = *list;
        *list = rows->next;
        rows->next = rows->part->dropped;
        rows->part->dropped = rows;
    }
}

void part_free_dropped(struct dropped_rows **list)
{
    while (*list != NULL) {
        struct dropped_rows *rows = *list;
        *list = rows->next;
        mni_free(rows);
    }
}

bool part_row_is_dropped(const struct part *part, uint32_t row)
{
    for (const struct dropped_rows *d = part->dropped; d != NULL; d = d->next)
        if (row >= d->first && row - d->first < d->n_rows)
            return true;
    return false;
}

void part_note_memory(struct part *part)
{
    uint64_t n_bytes = sizeof *part + mni_segment_memory_bytes(part->segment) +
                       mni_liveness_memory_bytes(&part->live) +
                       part->due_capacity * sizeof *part->due + part->n_files * sizeof *part->files;

    atomic_fetch_add_explicit(part->all_bytes, n_bytes - part->noted_bytes, memory_order_relaxed);
    part->noted_bytes = n_bytes;
}
