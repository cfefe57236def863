/*
 * output.c - writes segments, and the manifest that makes them the store.
 *
 * Owns:    a run until it is installed.
 * Format:  docs/format/{segment,manifest}.md
 * Threads: the one that holds `checkpoint_lock`.
 * Fails:   as writing files does.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "engine/job_private.h"

/* Ids of segments are made of a number that this process chose and a counter. */
static mn_status next_id(struct mni_engine *engine, struct mni_segment_id *id_out,
                         struct mn_error *err)
{
    mn_status st = engine_choose_incarnation(engine, err);

    if (st == MN_OK)
        mni_manifest_segment_id(engine->incarnation, engine->next_segment++, id_out->bytes);
    return st;
}

mn_status engine_choose_incarnation(struct mni_engine *engine, struct mn_error *err)
{
    if (engine->incarnation != 0)
        return MN_OK;
    mn_status st =
        mni_env_random(engine->env, &engine->incarnation, sizeof engine->incarnation, err);
    if (st != MN_OK)
        return st;
    engine->incarnation |= 1; /* 0 says that there is none */
    engine->next_segment = 1;
    return MN_OK;
}

static mn_status write_file(const struct mni_segment_writer_config *config, next_row_fn *next,
                            void *context, struct mni_segment_info *info_out, struct mn_error *err)
{
    struct mni_segment_writer *writer = NULL;
    struct mni_segment_row row = {0};
    mn_status st = mni_segment_writer_new(config, &writer, err);

    for (uint64_t n = mni_segment_plan_n_rows(config->plan); n > 0 && st == MN_OK; n--) {
        st = next(context, &row, err);
        if (st == MN_OK)
            st = mni_segment_writer_add(writer, &row, err);
        mni_segment_row_forget(&row);
    }
    if (st == MN_OK)
        st = mni_segment_writer_finish(writer, info_out, err);
    if (st != MN_OK)
        mni_segment_writer_abandon(writer);
    return st;
}

/* Looked at now and then: that is as exact as it has to be. */
bool output_is_full(const struct output *output, const struct mni_segment_plan *plan)
{
    const uint64_t rows_between = 1024;
    uint64_t n_rows = mni_segment_plan_n_rows(plan);

    return n_rows > 0 && n_rows % rows_between == 0 &&
           mni_segment_plan_memory_bytes(plan) >= budget_segment_max(output->engine);
}

mn_status output_write(struct output *output, const struct mni_segment_plan *plan,
                       next_row_fn *next, void *context, struct mn_error *err)
{
    struct mni_engine *engine = output->engine;
    struct mni_segment_writer_config config = {
        .dir = engine->seg_dir, .plan = plan, .pace = engine_pace, .pace_context = engine};
    struct mni_segment *segment = NULL;
    struct mni_segment_info info;
    struct part **parts = mni_realloc(output->parts, (output->n_parts + 1) * sizeof(struct part *));

    if (parts == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a run of %zu segments", output->n_parts + 1);
    output->parts = parts;
    uint64_t work_bytes = mni_segment_plan_memory_bytes(plan);
    budget_job_add(engine, work_bytes);
    mn_status st = next_id(engine, &config.id, err);
    if (st == MN_OK)
        st = write_file(&config, next, context, &info, err);
    budget_job_subtract(engine, work_bytes);
    if (st != MN_OK)
        return st;
    st = mni_segment_open(engine->seg_dir, &config.id, &info, &segment, err);
    if (st == MN_OK)
        st = part_new(engine, segment, &parts[output->n_parts], err);
    if (st == MN_OK)
        output->n_parts++;
    else
        mni_segment_unref(segment);
    return st; /* the file is an orphan then */
}

void output_done(struct output *output, bool is_installed)
{
    for (size_t i = 0; i < output->n_parts; i++) {
        if (!is_installed && !output->engine->is_root_in_doubt)
            mni_segment_doom(output->parts[i]->segment, output->engine->seg_dir);
        part_unref(output->parts[i]);
    }
    mni_free(output->parts);
    *output = (struct output){0};
}

/* Publishing ---------- */

static mn_status add_segment(struct mni_manifest *manifest, const struct part *part)
{
    const struct mni_segment_info *info = mni_segment_get_info(part->segment);
    struct mni_segment_bounds b;
    struct mni_manifest_segment segment = {
        .file_bytes = info->file_bytes,
        .footer_offset = info->file_bytes - info->footer_bytes,
        .footer_bytes = info->footer_bytes,
        .footer_crc = info->footer_crc,
        .n_rows = (uint32_t)info->n_rows,
        .lsn_min = info->min_lsn,
        .lsn_max = info->max_lsn,
    };

    mni_segment_get_bounds(part->segment, &b);
    memcpy(segment.id, info->id.bytes, sizeof segment.id);
    segment.first = (struct mni_manifest_bound){b.first_collection, b.first_key};
    segment.last = (struct mni_manifest_bound){b.last_collection, b.last_key};
    mn_status st = mni_manifest_add_segment(manifest, &segment);
    for (size_t i = 0; i < part->n_files && !part->pending_is_full && st == MN_OK; i++)
        st = mni_manifest_add_live(manifest, &part->files[i]);
    if (st == MN_OK && part->pending.generation != 0)
        st = mni_manifest_add_live(manifest, &part->pending);
    return st;
}

/* Every manifest carries the history along; the first one begins it. */
static mn_status add_history(const struct mni_engine *engine, struct mni_manifest *m)
{
    const struct mni_timeline first = {.incarnation = engine->incarnation};
    const struct mni_manifest *before = &engine->manifest;

    if (engine->feed != NULL && m->lsn == engine->feed->lsn)
        return engine->feed->add_history(engine->feed, m);
    return before->n_timelines > 0
               ? mni_manifest_set_timelines(m, before->timelines, before->n_timelines)
               : mni_manifest_set_timelines(m, &first, 1);
}

static mn_status build(struct mni_engine *engine, const struct part_set *set, uint64_t lsn,
                       int64_t time_us, struct mni_manifest *m, struct mn_error *err)
{
    mn_status st = engine_choose_incarnation(engine, err);

    if (st != MN_OK)
        return st;
    m->number = engine->manifest.number + 1;
    memcpy(m->store_id, engine->store.store_id, sizeof m->store_id);
    m->lsn = lsn;
    m->lsn_handed_out = lsn;
    m->time_us = time_us;
    m->last_time_us = mni_wal_last_time_us(engine->wal);
    if (m->last_time_us < engine->manifest.last_time_us)
        m->last_time_us = engine->manifest.last_time_us;
    m->incarnation = engine->incarnation;
    m->next_segment = engine->next_segment;
    st = add_history(engine, m);
    for (size_t r = 0; r < set->n_runs && st == MN_OK; r++) {
        st = mni_manifest_add_run(m);
        for (size_t i = 0; i < set->runs[r].n_parts && st == MN_OK; i++)
            st = add_segment(m, set->parts[set->runs[r].first + i]);
    }
    return st == MN_OK ? MN_OK : mni_fail(err, st, "a manifest");
}

mn_status root_publish(struct mni_engine *engine, const struct part_set *set, uint64_t lsn,
                       int64_t time_us, struct mn_error *err)
{
    struct mni_manifest manifest = {0};
    bool is_in_doubt = false;
    mn_status st = MN_OK;

    if (!MNI_PLANTED("seg_directory_not_synced"))
        st = mni_dir_sync(engine->seg_dir, err);
    if (st == MN_OK && MNI_PLANTED("old_manifest_removed_first"))
        st = mni_manifest_remove_older(engine->dir, engine->manifest.number + 1, err);
    if (st == MN_OK)
        st = build(engine, set, lsn, time_us, &manifest, err);
    if (st == MN_OK)
        st = mni_manifest_publish(engine->dir, &manifest, &is_in_doubt, err);
    engine->is_root_in_doubt = is_in_doubt;
    mni_manifest_done(st == MN_OK ? &engine->manifest : &manifest);
    if (st == MN_OK)
        engine->manifest = manifest;
    return st;
}

/* Whoever published the root may have died before its name was durable, or after the sync of the
 * directory failed, which no later sync makes good. Under a new name it is; before that nothing
 * goes that the root before it needs. */
mn_status root_confirm(struct mni_engine *engine, struct mn_error *err)
{
    struct mni_manifest *m = &engine->manifest;

    if (!engine->is_root_unsure)
        return MN_OK;
    m->number++;
    mn_status st = mni_manifest_publish(engine->dir, m, &engine->is_root_in_doubt, err);
    if (st != MN_OK) {
        m->number--;
        return st;
    }
    engine->is_root_unsure = false;
    engine_write_lock(engine);
    engine->root_number = m->number;
    engine_unlock(engine);
    st = mni_manifest_remove_older(engine->dir, m->number, err);
    return st == MN_OK ? engine_remove_orphans(engine, err) : st;
}

void root_note_published(const struct part_set *set, uint64_t lsn)
{
    for (size_t i = 0; i < set->n_parts; i++) {
        struct part *part = set->parts[i];
        uint64_t generation = part->live.generation;
        if (part->pending.generation != 0) {
            generation = part->pending.generation;
            part->n_files = part->pending_is_full ? 0 : part->n_files;
            part->files[part->n_files++] = part->pending;
            part->live_file_bytes = 0;
            for (size_t k = 0; k < part->n_files; k++)
                part->live_file_bytes += part->files[k].file_bytes;
        }
        part_forget_pending(part);
        mni_liveness_persisted(&part->live, generation, lsn);
    }
}
