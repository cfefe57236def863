/*
 * bare.c - the files of a snapshot without metadata: written anew on their way into the pool.
 *
 *     for each segment of the store:  its copy's id; found in the parent, or written
 *     for each of its liveness files: written, with that id
 *
 * The manifest of the store makes way for one that names the copies. Nothing of the originals gets
 * a name in the pool.
 *
 * Owns:    the manifest while it is built.
 * Format:  docs/format/snapshot.md
 * Threads: one adder at a time, which the lock sees to.
 * Fails:   takes away again what it made, as far as that can be.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/plant.h"
#include "segment/bare.h"
#include "snapshot/snapshot_private.h"

enum { LABEL_BYTES = MNI_NAME_BYTES_MAX + 8 };

/* Ids ----------*/

/* The counter stays. The other half of what a store writes itself is odd, and this one is even: so
 * no copy is ever taken for an original. */
void pool_bare_id(const struct mni_manifest_segment *source, unsigned char *id_out)
{
    unsigned char origin[MNI_MANIFEST_ID_BYTES + 4];

    memcpy(origin, source->id, MNI_MANIFEST_ID_BYTES);
    mni_put_u32(origin + MNI_MANIFEST_ID_BYTES, source->footer_crc);
    uint64_t hash = mni_hash(origin, sizeof origin, BARE_ID_SEED) & ~UINT64_C(1);
    for (int i = 0; i < 8; i++)
        id_out[i] = (unsigned char)(hash >> (56 - 8 * i));
    memcpy(id_out + 8, source->id + 8, 8);
}

/* Files ----------*/

/* A file on its way. */
struct rewriting {
    struct carry *carry;
    struct mni_snapshot *snapshot;     /* its manifest is being built */
    const struct mni_manifest *source; /* that of the store */
    const struct mni_snapshot *parent; /* may be NULL */
    size_t n_files;                    /* done; index into carry->made */
    uint64_t source_bytes;             /* of the file that is under way */
};

static mn_status tell(const struct rewriting *r, uint64_t n_bytes, struct mn_error *err)
{
    const struct mni_progress *progress = r->carry->progress;

    if (progress == NULL || progress->each == NULL)
        return MN_OK;
    return progress->each(progress->context, r->carry->n_done + n_bytes, r->carry->n_total, err);
}

/* What of the progress is left for compressing a copy of so many bytes. */
static uint64_t left_for_compressing(const struct rewriting *r, uint64_t n_bytes)
{
    if ((r->snapshot->flags & MNI_SNAPSHOT_COMPRESSED) == 0)
        return 0;
    return n_bytes < r->source_bytes ? n_bytes : r->source_bytes;
}

static mn_status tell_segment(void *context, uint64_t n_bytes_done, uint64_t n_bytes,
                              struct mn_error *err)
{
    const struct rewriting *r = context;
    double span = (double)(r->source_bytes - left_for_compressing(r, n_bytes));
    double part = n_bytes == 0 ? 0 : (double)n_bytes_done / (double)n_bytes;

    return tell(r, (uint64_t)(span * part), err);
}

static mn_status tell_live(void *context, uint64_t n_bytes_done, uint64_t n_bytes,
                           struct mn_error *err)
{
    (void)n_bytes;
    return tell(context, n_bytes_done, err);
}

static void label_of(const char *name, char label_out[LABEL_BYTES])
{
    (void)snprintf(label_out, LABEL_BYTES, "files/%s", name);
}

/* Whether the pool has the file; sets stored_bytes where that is not known. */
static mn_status look_for(const struct rewriting *r, struct pool_file *file, bool *is_there_out,
                          struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    char label[LABEL_BYTES];

    pool_file_name(file, name);
    label_of(name, label);
    mn_status st = pool_find_file(r->carry->to, name, label, &file->stored_bytes, err);
    *is_there_out = st == MN_OK;
    return st == MN_NOT_FOUND ? MN_OK : pool_as_error(st, err);
}

/* Gives what was written anew its name. */
static mn_status settle(struct rewriting *r, const struct pool_file *file, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    pool_file_name(file, name);
    r->carry->made[r->n_files] = true; /* also when the answer is an error after the change */
    mn_status st = mni_dir_rename(r->carry->to, pool_rewriting_name, name, err);
    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(r->carry->to, pool_rewriting_name, NULL));
    return pool_as_error(st, err);
}

static mn_status drop_written(const struct rewriting *r, struct mn_error *err)
{
    mn_status st = mni_dir_unlink(r->carry->to, pool_rewriting_name, err);

    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(r->carry->to, pool_rewriting_name, NULL));
    return pool_as_error(st, err);
}

/* Nothing that was cut off stands in the way. */
static mn_status make_way(const struct rewriting *r, struct mn_error *err)
{
    mn_status st = mni_dir_unlink(r->carry->to, pool_rewriting_name, err);

    return st == MN_NOT_FOUND ? MN_OK : pool_as_error(st, err);
}

static mn_status missing(const char *name, mn_status st, struct mn_error *err)
{
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "seg/%s is missing", name);
    return pool_as_error(st, err);
}

/* Segments ----------*/

static mn_status write_segment(struct rewriting *r, const struct mni_manifest_segment *source,
                               struct mni_manifest_segment *bare, struct mn_error *err)
{
    struct mni_segment_info expected = {
        .file_bytes = source->file_bytes,
        .footer_bytes = source->footer_bytes,
        .footer_crc = source->footer_crc,
    };
    struct mni_bare_target target = {
        .dir = r->carry->to, .name = pool_rewriting_name, .each = tell_segment, .context = r};
    char name[MNI_NAME_BYTES_MAX];
    struct mni_segment *segment = NULL;
    struct mni_segment_info info;

    memcpy(expected.id.bytes, source->id, sizeof expected.id.bytes);
    memcpy(target.id.bytes, bare->id, sizeof target.id.bytes);
    mni_manifest_segment_name(source->id, name);
    mn_status st = make_way(r, err);
    if (st != MN_OK)
        return st;
    st = mni_segment_open(r->carry->from, &expected.id, &expected, &segment, err);
    if (st != MN_OK)
        return missing(name, st, err);
    st = mni_bare_write(segment, &target, &info, err);
    mni_segment_unref(segment);
    if (st != MN_OK)
        return pool_as_error(st, err);
    bare->file_bytes = info.file_bytes;
    bare->footer_bytes = info.footer_bytes;
    bare->footer_offset = info.file_bytes - info.footer_bytes;
    bare->footer_crc = info.footer_crc;
    return MN_OK;
}

static void file_of_segment(const struct rewriting *r, const struct mni_manifest_segment *bare,
                            struct pool_file *file_out)
{
    bool is_compressed = (r->snapshot->flags & MNI_SNAPSHOT_COMPRESSED) != 0;

    *file_out = (struct pool_file){
        .crc = bare->footer_crc,
        .is_compressed = is_compressed,
        .n_rows = bare->n_rows,
        .footer_bytes = bare->footer_bytes,
        .file_bytes = bare->file_bytes,
        .stored_bytes = is_compressed ? 0 : bare->file_bytes,
    };
    memcpy(file_out->segment_id, bare->id, sizeof file_out->segment_id);
}

/* The parent names the copy, if it holds the same segment. */
static mn_status take_from_parent(struct rewriting *r, struct mni_manifest_segment *bare,
                                  struct pool_file *file, bool *is_there_out, struct mn_error *err)
{
    const struct mni_manifest_segment *known =
        r->parent == NULL ? NULL : mni_manifest_find(&r->parent->manifest, bare->id);

    *is_there_out = false;
    if (known == NULL)
        return MN_OK;
    bare->file_bytes = known->file_bytes;
    bare->footer_offset = known->footer_offset;
    bare->footer_bytes = known->footer_bytes;
    bare->footer_crc = known->footer_crc;
    file_of_segment(r, bare, file);
    return look_for(r, file, is_there_out, err);
}

/* Takes it into the new manifest, which knows then what to take away should it come to that. */
static mn_status name_segment(struct rewriting *r, const struct mni_manifest_segment *bare,
                              struct mn_error *err)
{
    if (mni_manifest_add_segment(&r->snapshot->manifest, bare) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a manifest");
    return MN_OK;
}

/* The copy that was written comes into the pool, unless it is there. */
static mn_status bring_segment(struct rewriting *r, struct pool_file *file, struct mn_error *err)
{
    struct carry *carry = r->carry;
    bool is_there = false;
    mn_status st = look_for(r, file, &is_there, err);

    if (st == MN_OK && !is_there && !file->is_compressed)
        return settle(r, file, err);
    if (st == MN_OK && !is_there) {
        uint64_t n_done = carry->n_done;
        carry->n_done += r->source_bytes - left_for_compressing(r, file->file_bytes);
        st = carry_compress(carry, file, pool_rewriting_name, &carry->made[r->n_files], err);
        carry->n_done = n_done;
    }
    if (st == MN_OK)
        return drop_written(r, err);
    mni_ignore(mni_dir_unlink(carry->to, pool_rewriting_name, NULL));
    return st;
}

static mn_status add_segment(struct rewriting *r, const struct mni_manifest_segment *source,
                             struct mn_error *err)
{
    size_t index = r->snapshot->manifest.n_segments;
    struct mni_manifest_segment bare = *source;
    struct pool_file file;
    bool is_there = false;

    r->source_bytes = source->file_bytes;
    pool_bare_id(source, bare.id);
    mn_status st = take_from_parent(r, &bare, &file, &is_there, err);
    if (st == MN_OK && !is_there)
        st = write_segment(r, source, &bare, err);
    if (st != MN_OK)
        return st;
    st = name_segment(r, &bare, err);
    if (st == MN_OK && !is_there) {
        file_of_segment(r, &bare, &file);
        st = bring_segment(r, &file, err);
    } else if (!is_there) {
        mni_ignore(mni_dir_unlink(r->carry->to, pool_rewriting_name, NULL));
    }
    if (st == MN_OK && r->carry->stored != NULL)
        r->carry->stored[index] = file.stored_bytes;
    return st;
}

/* Liveness files ----------*/

static mn_status write_live(struct rewriting *r, const struct mni_manifest_segment *source,
                            const struct mni_manifest_live *live, struct pool_file *file,
                            struct mn_error *err)
{
    struct mni_live_info expected = {
        .generation = live->generation, .file_bytes = live->file_bytes, .crc = live->crc};
    struct mni_bare_target target = {
        .dir = r->carry->to, .name = pool_rewriting_name, .each = tell_live, .context = r};
    char name[MNI_NAME_BYTES_MAX];
    struct mni_live_info info;

    memcpy(expected.id.bytes, source->id, sizeof expected.id.bytes);
    memcpy(target.id.bytes, file->segment_id, sizeof target.id.bytes);
    mni_manifest_live_name(source->id, live->generation, name);
    mn_status st = make_way(r, err);
    if (st != MN_OK)
        return st;
    st = mni_bare_write_live(r->carry->from, name, &expected, &target, &info, err);
    if (st != MN_OK)
        return missing(name, st, err);
    file->generation = live->generation;
    file->crc = info.crc;
    file->file_bytes = file->stored_bytes = info.file_bytes;
    return MN_OK;
}

static mn_status add_live(struct rewriting *r, const struct mni_manifest_segment *source,
                          const struct mni_manifest_live *live, struct mn_error *err)
{
    struct mni_manifest *m = &r->snapshot->manifest;
    struct pool_file file = {.n_rows = source->n_rows};
    bool is_there = false;

    memcpy(file.segment_id, m->segments[m->n_segments - 1].id, sizeof file.segment_id);
    mn_status st = write_live(r, source, live, &file, err);
    if (st != MN_OK)
        return st;
    const struct mni_manifest_live bare = {
        .generation = live->generation, .file_bytes = file.file_bytes, .crc = file.crc};
    if (mni_manifest_add_live(m, &bare) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a manifest");
    if (st == MN_OK)
        st = look_for(r, &file, &is_there, err);
    if (st == MN_OK)
        return is_there ? drop_written(r, err) : settle(r, &file, err);
    mni_ignore(mni_dir_unlink(r->carry->to, pool_rewriting_name, NULL));
    return st;
}

/* All ----------*/

static mn_status end_file(struct rewriting *r, mn_status st, uint64_t source_bytes,
                          struct mn_error *err)
{
    r->n_files++;
    r->carry->n_done += source_bytes;
    return st == MN_OK ? tell(r, 0, err) : st;
}

static mn_status add_with_lives(struct rewriting *r, const struct mni_manifest_segment *source,
                                struct mn_error *err)
{
    mn_status st = end_file(r, add_segment(r, source, err), source->file_bytes, err);

    for (size_t i = 0; i < source->n_lives && st == MN_OK; i++) {
        const struct mni_manifest_live *live = &r->source->lives[source->first_live + i];
        st = end_file(r, add_live(r, source, live, err), live->file_bytes, err);
    }
    return st;
}

/* The manifest without its runs. */
static mn_status begin_manifest(const struct mni_manifest *source, struct mni_manifest *m,
                                struct mn_error *err)
{
    *m = (struct mni_manifest){
        .number = source->number,
        .lsn = source->lsn,
        .time_us = source->time_us,
        .lsn_handed_out = source->lsn_handed_out,
        .last_time_us = source->last_time_us,
        .incarnation = source->incarnation,
        .next_segment = source->next_segment,
    };
    memcpy(m->store_id, source->store_id, sizeof m->store_id);
    if (mni_manifest_set_timelines(m, source->timelines, source->n_timelines) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a manifest");
    return MN_OK;
}

static mn_status begin(struct rewriting *r, struct mn_error *err)
{
    const struct mni_manifest *m = r->source;
    struct carry *carry = r->carry;
    size_t n = m->n_segments + m->n_lives;

    r->snapshot->manifest = (struct mni_manifest){0};
    for (size_t i = 0; i < m->n_segments; i++)
        carry->n_total += m->segments[i].file_bytes;
    for (size_t i = 0; i < m->n_lives; i++)
        carry->n_total += m->lives[i].file_bytes;
    carry->made = mni_alloc_zero(n * sizeof *carry->made);
    if (carry->made == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "marks of %zu files", n);
    return begin_manifest(m, &r->snapshot->manifest, err);
}

mn_status bare_all(struct carry *carry, struct mni_snapshot *snapshot,
                   const struct mni_manifest *source, const struct mni_snapshot *parent,
                   struct mn_error *err)
{
    struct rewriting r = {.carry = carry, .snapshot = snapshot, .source = source, .parent = parent};

    MNI_CHECK(carry->snapshot == snapshot && carry->is_to_pool);
    mn_status st = begin(&r, err);
    for (size_t i = 0; i < source->n_runs && st == MN_OK; i++) {
        const struct mni_manifest_run *run = &source->runs[i];
        if (mni_manifest_add_run(&snapshot->manifest) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "a manifest");
        for (size_t k = 0; k < run->n_segments && st == MN_OK; k++)
            st = add_with_lives(&r, &source->segments[run->first_segment + k], err);
    }
    if (st == MN_OK && !MNI_PLANTED("pool_files_not_synced"))
        st = pool_as_error(mni_dir_sync(carry->to, err), err);
    if (st != MN_OK && carry->made != NULL)
        carry_undo(carry);
    return st;
}
