/*
 * verify.c - reads every byte of a store, without serving it, and tells what is damaged.
 *
 * Owns:    nothing.
 * Format:  docs/format/
 * Threads: any; the directory is locked as by a reader.
 * Fails:   MN_ERR_CORRUPT with the first damage, once all that can be read was read. Anything but
 *          damage ends it at once.
 */
#include <inttypes.h>

#include "base/check.h"
#include "engine/engine_private.h"

struct verification {
    struct mni_env *env; /* borrowed, as all of this group */
    struct mni_dir *dir; /* of the store */
    const struct store_file *store;
    struct mn_verify_report *report;
    mn_verify_fn *each; /* may be NULL */
    void *context;
    struct mni_dir *seg_dir; /* owned; NULL: there is none */
    struct mni_manifest manifest;
    bool is_root_damaged; /* `manifest` does not say what there should be */
    struct catalogue_numbers numbers;
    uint64_t n_bytes_done;
    uint64_t n_bytes_total;
    mn_status answer; /* what `each` ended it with */
    mn_status status; /* of the first damage */
    struct mn_error first;
};

/* What the caller answers may have a meaning for those in between, so it does not go their way. */
static mn_status tell(struct verification *v, const struct mn_error *damage)
{
    if (v->each != NULL && v->answer == MN_OK)
        v->answer = v->each(v->context, v->n_bytes_done, v->n_bytes_total, damage);
    return v->answer == MN_OK ? MN_OK : MN_ERR_CANCELLED;
}

/* Takes in what became of a file. MN_OK: goes on, also where the file is damaged. */
static mn_status note_file(struct verification *v, mn_status st, const struct mn_error *what,
                           struct mn_error *err)
{
    if (v->answer != MN_OK || (st != MN_OK && st != MN_ERR_CORRUPT)) {
        *err = *what;
        return st;
    }
    if (st == MN_OK)
        return tell(v, NULL);
    v->report->n_damaged_files++;
    if (v->status == MN_OK) {
        v->status = st;
        v->first = *what;
    }
    return tell(v, what);
}

/* The manifest ---------- */

static mn_status add_manifest_bytes(struct verification *v, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_file *file = NULL;
    uint64_t n = 0;

    mni_manifest_name(v->manifest.number, name);
    mn_status st = mni_dir_open_file(v->dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_size(file, &n, err);
    mni_file_close(file);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_IO, "%s has gone", name);
    v->report->n_files++;
    v->report->n_bytes += n;
    return st;
}

static mn_status verify_manifest(struct verification *v, struct mn_error *err)
{
    struct mn_error what = {0};
    char name[MNI_NAME_BYTES_MAX];
    bool is_damaged = false;
    mn_status st = mni_manifest_load(v->dir, v->store->store_id, &v->manifest, &is_damaged, &what);

    if (st == MN_NOT_FOUND)
        return MN_OK;
    v->is_root_damaged = st != MN_OK;
    if (st != MN_OK) {
        v->report->n_files += st == MN_ERR_CORRUPT;
        return note_file(v, st, &what, err);
    }
    for (size_t i = 0; i < v->manifest.n_segments; i++)
        v->n_bytes_total += v->manifest.segments[i].file_bytes;
    for (size_t i = 0; i < v->manifest.n_lives; i++)
        v->n_bytes_total += v->manifest.lives[i].file_bytes;
    st = add_manifest_bytes(v, &what);
    if (st == MN_OK && is_damaged) {
        mni_manifest_name(v->manifest.number, name);
        st = mni_fail(&what, MN_ERR_CORRUPT,
                      "%s: one of its two copies is damaged; the next checkpoint replaces it",
                      name);
    }
    v->report->last_lsn = v->manifest.lsn;
    return note_file(v, st, &what, err);
}

/* Segments ---------- */

/* A piece of a segment. The damage in it is told once, when the file is through. */
static mn_status take_piece(void *context, uint64_t n_bytes_done, uint64_t n_bytes,
                            const struct mn_error *damage)
{
    struct verification *v = context;
    uint64_t before = v->n_bytes_done;

    (void)n_bytes;
    (void)damage;
    v->n_bytes_done += n_bytes_done;
    mn_status st = tell(v, NULL);
    v->n_bytes_done = before;
    return st;
}

static mn_status verify_segment_file(struct verification *v, const struct mni_manifest_segment *s,
                                     struct mn_error *err)
{
    struct mni_segment_info expected = {
        .file_bytes = s->file_bytes, .footer_bytes = s->footer_bytes, .footer_crc = s->footer_crc};
    struct mni_segment *segment = NULL;
    char name[MNI_NAME_BYTES_MAX];

    mni_manifest_segment_name(s->id, name);
    memcpy(expected.id.bytes, s->id, sizeof expected.id.bytes);
    mn_status st = mni_segment_open(v->seg_dir, &expected.id, &expected, &segment, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "seg/%s is missing", name);
    v->report->n_files++;
    if (st != MN_OK)
        return st;
    st = mni_segment_verify(segment, take_piece, v, err);
    v->report->n_bytes += s->file_bytes;
    v->report->n_segments++;
    v->report->n_segment_rows += mni_segment_get_info(segment)->n_rows;
    mni_segment_unref(segment);
    return st;
}

/* Reads a generation into `live`; where one before it is damaged, only checks its bytes. */
static mn_status verify_live_file(struct verification *v, const struct mni_manifest_segment *s,
                                  size_t index, struct mni_liveness *live, bool is_broken,
                                  struct mn_error *err)
{
    const struct mni_manifest_live *file = &v->manifest.lives[s->first_live + index];
    struct mni_live_info expected = {
        .generation = file->generation, .file_bytes = file->file_bytes, .crc = file->crc};
    char name[MNI_NAME_BYTES_MAX];

    memcpy(expected.id.bytes, s->id, sizeof expected.id.bytes);
    mni_manifest_live_name(s->id, file->generation, name);
    mn_status st = is_broken ? mni_live_check(v->seg_dir, name, &expected, live->n_rows, err)
                             : mni_live_read(v->seg_dir, name, &expected, live, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_CORRUPT, "seg/%s is missing", name);
    v->report->n_files++;
    v->report->n_bytes += st == MN_OK ? file->file_bytes : 0;
    return st;
}

static mn_status verify_segment(struct verification *v, const struct mni_manifest_segment *s,
                                struct mn_error *err)
{
    struct mni_liveness live;
    struct mn_error what = {0};
    bool is_broken = false;
    mn_status st = verify_segment_file(v, s, &what);

    v->n_bytes_done += s->file_bytes;
    st = note_file(v, st, &what, err);
    mni_liveness_init(&live, s->n_rows);
    for (size_t i = 0; i < s->n_lives && st == MN_OK; i++) {
        what = (struct mn_error){0};
        st = verify_live_file(v, s, i, &live, is_broken, &what);
        is_broken = is_broken || st != MN_OK;
        v->n_bytes_done += v->manifest.lives[s->first_live + i].file_bytes;
        st = note_file(v, st, &what, err);
    }
    mni_liveness_done(&live);
    return st;
}

static mn_status verify_segments(struct verification *v, struct mn_error *err)
{
    const struct mni_manifest *m = &v->manifest;
    struct mn_error what = {0};

    if (m->number == 0)
        return MN_OK;
    mn_status st = mni_dir_open_dir(v->dir, "seg", false, &v->seg_dir, &what);
    if (st == MN_NOT_FOUND)
        st = mni_fail(&what, MN_ERR_CORRUPT, "the directory seg is missing");
    if (st != MN_OK)
        return note_file(v, st, &what, err);
    for (size_t i = 0; i < m->n_segments && st == MN_OK; i++)
        st = verify_segment(v, &m->segments[i], err);
    return st;
}

/* The log ---------- */

/* Decodes every record of a commit; what replay would do, without keeping it. */
static mn_status verify_commit(void *context, const struct mni_wal_entry *entry,
                               struct mn_error *err)
{
    struct verification *v = context;
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;
    uint32_t n = 0;

    while (left > 0) {
        struct mni_record r;
        size_t used;
        mn_status st = mni_record_decode(p, left, &r, &used, err);
        if (st == MN_OK && r.collection == 0)
            st = engine_check_catalogue_record(&r, entry->lsn, &v->numbers, err);
        if (st != MN_OK) {
            mni_error_prefix(err, "the commit of LSN %" PRIu64, entry->lsn);
            return st;
        }
        n++;
        p += used;
        left -= used;
    }
    if (n != entry->n_records)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "the commit of LSN %" PRIu64 " has %" PRIu32 " records, not %" PRIu32,
                        entry->lsn, n, entry->n_records);
    mn_status st = engine_check_numbers(&v->numbers, err);
    if (st != MN_OK) {
        mni_error_prefix(err, "the commit of LSN %" PRIu64, entry->lsn);
        return st;
    }
    v->report->n_commits++;
    v->report->n_records += n;
    if (entry->lsn > v->report->last_lsn)
        v->report->last_lsn = entry->lsn;
    v->n_bytes_done += entry->payload.n_bytes;
    return tell(v, NULL);
}

static mn_status verify_log(struct verification *v, struct mn_error *err)
{
    struct mni_wal_stats stats = {0};
    struct mn_error what = {0};

    v->n_bytes_done = 0;
    v->n_bytes_total = 0;
    /* With segments, the log need not go back to the beginning. */
    v->numbers = (struct catalogue_numbers){.next = v->manifest.number == 0 && !v->is_root_damaged};
    mn_status st = engine_read_log(v->env, v->dir, v->store, MN_RECOVERY_TAIL, verify_commit, v,
                                   &stats, &what);
    v->report->n_files += stats.n_files;
    v->report->n_bytes += stats.opened_bytes;
    v->report->torn_tail_bytes = stats.torn_tail_bytes;
    if (st == MN_OK && !v->is_root_damaged)
        st = engine_check_log(&v->manifest, stats.checkpoint_lsn, stats.current_lsn, &what);
    return note_file(v, st, &what, err);
}

/* All ---------- */

static mn_status verify_all(struct verification *v, struct mn_error *err)
{
    mn_status st = verify_manifest(v, err);

    if (st == MN_OK)
        st = verify_segments(v, err);
    return st == MN_OK ? verify_log(v, err) : st;
}

mn_status mni_engine_verify_each(struct mni_env *env, const char *path, mn_verify_fn *each,
                                 void *context, struct mn_verify_report *report_out,
                                 struct mn_error *err)
{
    struct store_file store;
    struct mn_error what = {0};
    struct verification v = {
        .env = env, .store = &store, .report = report_out, .each = each, .context = context};
    bool is_new = false;
    mn_status st = engine_open_dir(env, path, false, true, &v.dir, &store, &is_new, &what);

    if (st == MN_OK) {
        report_out->n_files = 1;
        report_out->n_bytes = STORE_FILE_BYTES;
        st = verify_all(&v, &what);
    } else if (st == MN_ERR_CORRUPT) { /* STORE: nothing else can be judged */
        st = note_file(&v, st, &what, &what);
    }
    if (v.answer != MN_OK) {
        st = v.answer;
        mni_ignore(mni_fail(&what, MN_ERR_CANCELLED, "stopped by the caller"));
        what.status = st;
    } else if (st == MN_OK && v.status != MN_OK) {
        st = v.status;
        what = v.first;
    }
    if (st != MN_OK && err != NULL)
        *err = what;
    mni_manifest_done(&v.manifest);
    mni_dir_close(v.seg_dir);
    mni_dir_close(v.dir);
    return st;
}

mn_status mni_engine_verify(struct mni_env *env, const char *path,
                            struct mn_verify_report *report_out, struct mn_error *err)
{
    return mni_engine_verify_each(env, path, NULL, NULL, report_out, err);
}
