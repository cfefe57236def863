/*
 * load.c - the segments of a store as its manifest names them.
 *
 * Owns:    nothing.
 * Format:  docs/format/manifest.md
 * Threads: opening: one, before the log is replayed; removing orphans: the checkpoint's.
 * Fails:   MN_ERR_CORRUPT for a file that is absent, damaged or another one; the store does not
 *          open then.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/engine_private.h"

mn_status engine_open_seg_dir(struct mni_engine *engine, bool create, struct mn_error *err)
{
    if (engine->seg_dir != NULL)
        return MN_OK;
    mn_status st = mni_dir_open_dir(engine->dir, "seg", create, &engine->seg_dir, err);
    if (st == MN_OK && create)
        st = mni_dir_sync(engine->dir, err);
    if (st != MN_OK) {
        mni_dir_close(engine->seg_dir);
        engine->seg_dir = NULL;
    }
    return st;
}

static mn_status read_lives(struct mni_engine *engine, struct part *part,
                            const struct mni_manifest_segment *s, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    mn_status st = MN_OK;

    part->files = mni_alloc_array(s->n_lives + 1, sizeof *part->files);
    if (part->files == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a segment's state");
    for (size_t i = 0; i < s->n_lives && st == MN_OK; i++) {
        const struct mni_manifest_live *live = &engine->manifest.lives[s->first_live + i];
        struct mni_live_info info = {
            .generation = live->generation, .file_bytes = live->file_bytes, .crc = live->crc};
        memcpy(info.id.bytes, s->id, sizeof info.id.bytes);
        if (MNI_PLANTED("stale_liveness_generation") && i > 0 && i + 1 == s->n_lives)
            break;
        mni_manifest_live_name(s->id, live->generation, name);
        st = mni_live_read(engine->seg_dir, name, &info, &part->live, err);
        if (st == MN_NOT_FOUND)
            st = mni_fail(err, MN_ERR_CORRUPT, "%s is missing", name);
        part->files[part->n_files++] = *live;
        part->live_file_bytes += live->file_bytes;
        part->last_generation = live->generation;
    }
    /* Above all that a timeline used which was left. */
    const struct mni_manifest *m = &engine->manifest;
    uint64_t began_lsn = m->n_timelines > 0 ? m->timelines[m->n_timelines - 1].began_lsn : 0;
    if (part->last_generation < began_lsn)
        part->last_generation = began_lsn;
    if (st == MN_OK)
        st = part_note_patches(part, err);
    part_note_memory(part);
    return st;
}

static mn_status open_part(struct mni_engine *engine, const struct mni_manifest_segment *s,
                           struct part **part_out, struct mn_error *err)
{
    struct mni_segment_info expected = {
        .file_bytes = s->file_bytes, .footer_bytes = s->footer_bytes, .footer_crc = s->footer_crc};
    struct mni_segment *segment = NULL;

    memcpy(expected.id.bytes, s->id, sizeof expected.id.bytes);
    mn_status st = mni_segment_open(engine->seg_dir, &expected.id, &expected, &segment, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_CORRUPT, "a segment is missing");
    if (st != MN_OK)
        return st;
    st = part_new(engine, segment, part_out, err);
    if (st != MN_OK) {
        mni_segment_unref(segment);
        return st;
    }
    st = read_lives(engine, *part_out, s, err);
    if (st != MN_OK)
        part_unref(*part_out);
    return st;
}

static mn_status open_parts(struct mni_engine *engine, struct part_set *set, struct mn_error *err)
{
    const struct mni_manifest *m = &engine->manifest;

    for (size_t r = 0; r < m->n_runs; r++) {
        struct run *run = &set->runs[set->n_runs++];
        *run = (struct run){.first = set->n_parts};
        for (size_t i = 0; i < m->runs[r].n_segments; i++) {
            mn_status st = open_part(engine, &m->segments[m->runs[r].first_segment + i],
                                     &set->parts[set->n_parts], err);
            if (st != MN_OK)
                return st;
            set->n_parts++;
            run->n_parts++;
        }
    }
    return MN_OK;
}

/* What no manifest names, while it is removed. */
struct orphans {
    struct mni_engine *engine;
    bool was_asked;   /* whether any may be mapped */
    bool is_unmapped; /* none is */
};

static mn_status keep_known(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct orphans *orphans = context;
    struct mni_engine *engine = orphans->engine;
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation;

    /* What has another name is somebody else's. */
    if (is_dir || !mni_manifest_parse_name(name, id, &generation) ||
        (engine->manifest.number != 0 && mni_manifest_has_name(&engine->manifest, name)))
        return MN_OK;
    if (!orphans->was_asked)
        orphans->is_unmapped = engine_wait_for_unmapped(engine);
    orphans->was_asked = true;
    /* A reader that still shows records of it has it mapped: its space goes with the map. */
    if (!orphans->is_unmapped)
        return mni_dir_unlink(engine->seg_dir, name, err);
    return mni_dir_remove(engine->seg_dir, name, engine_pace_free, engine, err);
}

mn_status engine_remove_orphans(struct mni_engine *engine, struct mn_error *err)
{
    struct orphans orphans = {.engine = engine};

    if (engine->seg_dir == NULL)
        return MN_OK;
    return mni_dir_list(engine->seg_dir, keep_known, &orphans, err);
}

mn_status engine_load_parts(struct mni_engine *engine, struct mn_error *err)
{
    const struct mni_manifest *m = &engine->manifest;
    struct part_set *set = NULL;
    struct state *state = NULL;
    mn_status st = MN_OK;

    if (m->number != 0)
        st = mni_manifest_check_files(engine->seg_dir, m, err);
    if (st == MN_OK && set_new(m->n_runs, m->n_segments, &set) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "%zu segments", m->n_segments);
    if (st == MN_OK)
        st = open_parts(engine, set, err);
    if (st == MN_OK && state_new(engine->state->active, NULL, set, &state) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "%zu segments", m->n_segments);
    set_unref(set);
    if (st != MN_OK)
        return st;
    state_unref(engine->state);
    engine->state = state;
    engine->root_number = m->number;
    engine->root_lsn = m->lsn;
    atomic_store(&engine->visible_lsn, m->lsn);
    return MN_OK;
}

mn_status engine_load(struct mni_engine *engine, struct mn_error *err)
{
    struct mni_manifest *m = &engine->manifest;
    bool is_damaged = false;
    mn_status st = mni_manifest_load(engine->dir, engine->store.store_id, m, &is_damaged, err);

    if (st != MN_OK && st != MN_NOT_FOUND)
        return st;
    st = store_file_settle(engine->dir, m->number, engine->read_only, &engine->store, err);
    if (st != MN_OK)
        return st;
    engine_use_settings(engine);
    st = engine_open_seg_dir(engine, false, err);
    if (st == MN_NOT_FOUND)
        st = m->number != 0 ? mni_fail(err, MN_ERR_CORRUPT, "the directory seg is missing") : MN_OK;
    if (st == MN_OK)
        st = engine_load_parts(engine, err);
    if (st != MN_OK || engine->read_only || m->number == 0)
        return st;
    st = mni_manifest_has_older(engine->dir, m->number, &engine->is_root_unsure, err);
    /* Before the first one is nothing but the log. */
    engine->is_root_unsure = engine->is_root_unsure || m->number == 1;
    return st;
}

/* Collections ---------- */

struct numbers {
    uint64_t *items; /* owned */
    size_t n;
    size_t capacity;
};

static mn_status add_number(struct numbers *numbers, uint64_t number)
{
    if (numbers->n == numbers->capacity) {
        size_t capacity = numbers->capacity == 0 ? 64 : numbers->capacity * 2;
        uint64_t *items = mni_realloc(numbers->items, capacity * sizeof *items);
        if (items == NULL)
            return MN_ERR_NOMEM;
        numbers->items = items;
        numbers->capacity = capacity;
    }
    numbers->items[numbers->n++] = number;
    return MN_OK;
}

mn_status engine_list_collections(struct mni_engine *engine, uint64_t lsn, uint64_t **numbers_out,
                                  size_t *n_out, struct mn_error *err)
{
    static const unsigned char behind = BEHIND_COLLECTIONS;
    const struct mni_walk_options collections = {.until = {&behind, 1}};
    struct numbers numbers = {0};
    struct mni_walk *walk = NULL;
    struct mni_found found;
    struct mni_collection c;
    mn_status st = engine_walk_open_at(engine, lsn, &collections, &walk, err);

    if (st == MN_OK)
        st = mni_walk_start(walk, 0, err);
    while (st == MN_OK) {
        st = mni_walk_next(walk, &found, err);
        if (st == MN_OK && !catalogue_is_collection(found.record.key)) {
            mni_pin_release(found.pin);
            continue;
        }
        if (st == MN_OK)
            st = catalogue_decode_found(&found, &c, err);
        if (st == MN_OK && add_number(&numbers, c.number) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "the list of collections");
    }
    mni_walk_close(walk);
    if (st != MN_END) {
        mni_free(numbers.items);
        return st;
    }
    if (numbers.n > 0)
        qsort(numbers.items, numbers.n, sizeof *numbers.items, mni_compare_u64);
    *numbers_out = numbers.items;
    *n_out = numbers.n;
    return MN_OK;
}

mn_status engine_list_points(struct mni_engine *engine, uint64_t lsn,
                             struct mni_segment_points *points_out, struct mn_error *err)
{
    struct space_layout *layouts = NULL;
    size_t n = 0;
    mn_status st = engine_list_layouts(engine, lsn, &layouts, &n, err);

    *points_out = (struct mni_segment_points){.n_collections = n};
    if (st == MN_OK && n > 0) {
        points_out->collections = mni_alloc_array(n, sizeof *points_out->collections);
        points_out->keyframe_every = mni_alloc_array(n, sizeof *points_out->keyframe_every);
        if (points_out->collections == NULL || points_out->keyframe_every == NULL)
            st = mni_fail(err, MN_ERR_NOMEM, "the list of spaces");
    }
    for (size_t i = 0; i < n && st == MN_OK; i++) {
        points_out->collections[i] = layouts[i].collection;
        points_out->keyframe_every[i] = layouts[i].keyframe_every;
    }
    mni_free(layouts);
    if (st != MN_OK)
        engine_points_done(points_out);
    return st;
}

void engine_points_done(struct mni_segment_points *points)
{
    mni_free(points->collections);
    mni_free(points->keyframe_every);
    *points = (struct mni_segment_points){0};
}

mn_status engine_note_dropped(struct mni_engine *engine, struct mn_error *err)
{
    const struct part_set *set = engine->state->parts;
    struct dropped_rows *rows = NULL;
    uint64_t *numbers = NULL;
    size_t n = 0;

    if (set->n_parts == 0)
        return MN_OK;
    mn_status st = engine_list_collections(engine, UINT64_MAX, &numbers, &n, err);
    for (size_t i = 0; i < set->n_parts && st == MN_OK; i++)
        st = part_find_all_dropped(set->parts[i], numbers, n, &rows, err);
    if (st == MN_OK)
        part_link_dropped(&rows);
    part_free_dropped(&rows);
    mni_free(numbers);
    return st;
}
