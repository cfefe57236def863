/*
 * salvage_sources.c - the segments of a damaged store: opens what can be opened, and decides which
 * of their rows count.
 *
 * A whole store has every live record in one place, and the liveness of segments says in which. So
 * it is here, as long as manifest and liveness can be read. Without them a row counts unless some
 * segment has a newer version of its key, or knows that this one died.
 *
 * Owns:    the segments, and their liveness.
 * Format:  docs/format/segment.md, docs/format/liveness.md
 * Threads: one.
 * Fails:   MN_ERR_NOMEM; damage is noted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "engine/salvage_private.h"

static void segment_path(const unsigned char *id, char path_out[MNI_NAME_BYTES_MAX + 4])
{
    char name[MNI_NAME_BYTES_MAX];

    mni_manifest_segment_name(id, name);
    (void)snprintf(path_out, MNI_NAME_BYTES_MAX + 4, "seg/%s", name);
}

/* Opening ---------- */

static mn_status add_source(struct salvage *s, struct mni_segment *segment,
                            struct salvage_source **source_out, struct mn_error *err)
{
    struct salvage_source *sources =
        mni_realloc(s->sources, (s->n_sources + 1) * sizeof *s->sources);

    if (sources == NULL) {
        mni_segment_unref(segment);
        return mni_fail(err, MN_ERR_NOMEM, "%zu segments", s->n_sources + 1);
    }
    s->sources = sources;
    *source_out = &sources[s->n_sources++];
    **source_out = (struct salvage_source){.segment = segment, .is_live_known = true};
    mni_liveness_init(&(*source_out)->live, (uint32_t)mni_segment_get_info(segment)->n_rows);
    return MN_OK;
}

/* Also what no row needs is checked: indexes, and the rows that are dead. */
static mn_status verify_source(struct salvage *s, struct salvage_source *source,
                               struct mn_error *err)
{
    mn_status st = mni_segment_verify(source->segment, NULL, NULL, &source->damage);

    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", source->damage.message);
    source->is_damaged = st != MN_OK;
    s->takes_whole_log = s->takes_whole_log || source->is_damaged;
    return MN_OK;
}

static mn_status note_live_damage(struct salvage *s, struct salvage_source *source,
                                  const char *name, mn_status st, const struct mn_error *why,
                                  struct mn_error *err)
{
    char path[MNI_NAME_BYTES_MAX + 4];

    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why->message);
    source->is_live_known = false;
    s->takes_whole_log = true;
    (void)snprintf(path, sizeof path, "seg/%s", name);
    salvage_damage(s, path, "deleted or overwritten records may come back: %s",
                   st == MN_NOT_FOUND ? "it is missing" : why->message);
    return MN_OK;
}

/* The generations that the manifest names, up to the first that cannot be read. */
static mn_status read_named_lives(struct salvage *s, struct salvage_source *source,
                                  const struct mni_manifest_segment *segment, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    mn_status st = MN_OK;

    for (size_t i = 0; i < segment->n_lives && source->is_live_known && st == MN_OK; i++) {
        const struct mni_manifest_live *live = &s->manifest.lives[segment->first_live + i];
        struct mni_live_info info = {
            .generation = live->generation, .file_bytes = live->file_bytes, .crc = live->crc};
        struct mn_error why = {0};
        memcpy(info.id.bytes, segment->id, sizeof info.id.bytes);
        mni_manifest_live_name(segment->id, live->generation, name);
        st = mni_live_read(s->seg_dir, name, &info, &source->live, &why);
        if (st != MN_OK)
            st = note_live_damage(s, source, name, st, &why, err);
    }
    return st;
}

static mn_status note_lost_segment(struct salvage *s, const unsigned char *id, uint64_t n_rows,
                                   uint64_t min_lsn, mn_status st, const struct mn_error *why,
                                   struct mn_error *err)
{
    char path[MNI_NAME_BYTES_MAX + 4];

    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why->message);
    s->is_every_segment_open = false;
    salvage_lost_rows(s, n_rows, min_lsn);
    segment_path(id, path);
    salvage_damage(s, path, "nothing of it can be read: %s",
                   st == MN_NOT_FOUND ? "it is missing" : why->message);
    return MN_OK;
}

static mn_status open_named(struct salvage *s, const struct mni_manifest_segment *named,
                            struct mn_error *err)
{
    struct mni_segment_info expected = {.file_bytes = named->file_bytes,
                                        .footer_bytes = named->footer_bytes,
                                        .footer_crc = named->footer_crc};
    struct mni_segment *segment = NULL;
    struct salvage_source *source = NULL;
    struct mn_error why = {0};
    mn_status st = MN_NOT_FOUND;

    memcpy(expected.id.bytes, named->id, sizeof expected.id.bytes);
    if (s->seg_dir != NULL)
        st = mni_segment_open(s->seg_dir, &expected.id, &expected, &segment, &why);
    if (st != MN_OK)
        return note_lost_segment(s, named->id, named->n_rows, named->lsn_min, st, &why, err);
    st = add_source(s, segment, &source, err);
    if (st == MN_OK)
        st = verify_source(s, source, err);
    return st == MN_OK ? read_named_lives(s, source, named, err) : st;
}

/* Without a manifest ---------- */

struct found_file {
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    uint64_t generation; /* 0: the segment itself */
};

struct found_files {
    struct found_file *files; /* owned */
    size_t n;
    size_t capacity;
};

static mn_status note_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct found_files *found = context;
    struct found_file file;

    if (is_dir || !mni_manifest_parse_name(name, file.id, &file.generation))
        return MN_OK;
    if (found->n == found->capacity) {
        size_t capacity = found->capacity == 0 ? 16 : found->capacity * 2;
        struct found_file *files = mni_realloc(found->files, capacity * sizeof *files);
        if (files == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "list of segments");
        found->files = files;
        found->capacity = capacity;
    }
    found->files[found->n++] = file;
    return MN_OK;
}

static int compare_files(const void *a, const void *b)
{
    const struct found_file *x = a;
    const struct found_file *y = b;
    int order = memcmp(x->id, y->id, sizeof x->id);

    return order != 0 ? order : (x->generation > y->generation) - (x->generation < y->generation);
}

/* What a manifest would say of a liveness file, from the file itself. */
static mn_status describe_live(struct salvage *s, const char *name, const struct found_file *file,
                               struct mni_live_info *info_out, struct mn_error *err)
{
    struct mni_file *handle = NULL;
    unsigned char crc[4];
    size_t n_read = 0;
    uint64_t size = 0;
    mn_status st = mni_dir_open_file(s->seg_dir, name, MNI_OPEN_READ, &handle, err);

    if (st == MN_OK)
        st = mni_file_size(handle, &size, err);
    if (st == MN_OK && size < sizeof crc)
        st = mni_fail(err, MN_ERR_CORRUPT, "it is cut off");
    if (st == MN_OK)
        st = mni_file_read(handle, size - sizeof crc, crc, sizeof crc, &n_read, err);
    mni_file_close(handle);
    if (st == MN_OK && n_read < sizeof crc)
        st = mni_fail(err, MN_ERR_CORRUPT, "it is cut off");
    if (st != MN_OK)
        return st;
    *info_out = (struct mni_live_info){
        .generation = file->generation, .file_bytes = size, .crc = mni_get_u32(crc)};
    memcpy(info_out->id.bytes, file->id, sizeof info_out->id.bytes);
    return MN_OK;
}

static mn_status read_found_live(struct salvage *s, struct salvage_source *source,
                                 const struct found_file *file, char name_out[MNI_NAME_BYTES_MAX],
                                 struct mn_error *why)
{
    struct mni_live_info info;

    mni_manifest_live_name(file->id, file->generation, name_out);
    mn_status st = describe_live(s, name_out, file, &info, why);
    return st == MN_OK ? mni_live_read(s->seg_dir, name_out, &info, &source->live, why) : st;
}

/* The newest full generation, and those behind it. Older ones may be there still. */
static mn_status read_found_lives(struct salvage *s, struct salvage_source *source,
                                  const struct found_file *lives, size_t n, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mn_error why = {0};
    mn_status st = MN_NOT_FOUND;
    size_t first = n;

    while (first > 0 && st != MN_OK) {
        st = read_found_live(s, source, &lives[--first], name, &why);
        if (salvage_is_fatal(st))
            return mni_fail(err, st, "%s", why.message);
    }
    if (n > 0 && st != MN_OK)
        return note_live_damage(s, source, name, st, &why, err);
    for (size_t i = first + 1; i < n && source->is_live_known; i++) {
        st = read_found_live(s, source, &lives[i], name, &why);
        if (st != MN_OK)
            st = note_live_damage(s, source, name, st, &why, err);
        if (st != MN_OK)
            return st;
    }
    return MN_OK;
}

static mn_status open_found(struct salvage *s, const struct found_file *files, size_t n,
                            struct mn_error *err)
{
    struct mni_segment *segment = NULL;
    struct salvage_source *source = NULL;
    struct mni_segment_id id;
    struct mn_error why = {0};
    mn_status st = MN_NOT_FOUND;

    memcpy(id.bytes, files[0].id, sizeof id.bytes);
    if (files[0].generation == 0)
        st = mni_segment_open(s->seg_dir, &id, NULL, &segment, &why);
    if (st != MN_OK)
        return note_lost_segment(s, files[0].id, 0, 1, st, &why, err);
    st = add_source(s, segment, &source, err);
    if (st == MN_OK)
        st = verify_source(s, source, err);
    return st == MN_OK ? read_found_lives(s, source, files + 1, n - 1, err) : st;
}

static mn_status open_all_found(struct salvage *s, struct mn_error *err)
{
    struct found_files found = {0};
    struct mn_error why = {0};
    size_t n = 1;

    if (s->seg_dir == NULL)
        return MN_OK;
    mn_status st = mni_dir_list(s->seg_dir, note_file, &found, &why);
    if (st != MN_OK && !salvage_is_fatal(st)) {
        s->is_every_segment_open = false;
        s->takes_whole_log = true;
        salvage_damage(s, "seg", "it cannot be listed: %s", why.message);
        st = MN_OK;
    }
    if (found.n > 0)
        qsort(found.files, found.n, sizeof *found.files, compare_files);
    for (size_t i = 0; i < found.n && st == MN_OK; i += n) {
        const struct found_file *first = &found.files[i];
        for (n = 1; i + n < found.n && memcmp(first->id, first[n].id, sizeof first->id) == 0;)
            n++;
        st = open_found(s, first, n, err);
    }
    mni_free(found.files);
    return st;
}

mn_status salvage_open_sources(struct salvage *s, struct mn_error *err)
{
    mn_status st = MN_OK;

    s->is_every_segment_open = true;
    s->takes_whole_log = s->manifest.number == 0;
    if (s->manifest.number == 0)
        st = open_all_found(s, err);
    for (size_t i = 0; i < s->manifest.n_segments && st == MN_OK; i++)
        st = open_named(s, &s->manifest.segments[i], err);
    s->is_sure = s->manifest.number != 0;
    for (size_t i = 0; i < s->n_sources; i++)
        s->is_sure = s->is_sure && s->sources[i].is_live_known;
    return st;
}

void salvage_close_sources(struct salvage *s)
{
    for (size_t i = 0; i < s->n_sources; i++) {
        mni_liveness_done(&s->sources[i].live);
        mni_segment_unref(s->sources[i].segment);
    }
    mni_free(s->sources);
}

/* Rows that count ---------- */

/* What a segment has of a key. Where that cannot be read the answer is that it has nothing. */
static mn_status find_key(struct salvage_source *source, uint64_t hash, uint64_t collection,
                          struct mn_slice key, bool *has_out, uint32_t *row_out, uint64_t *lsn_out,
                          struct mn_error *err)
{
    struct mni_segment_row head;
    struct mn_error why = {0};
    mn_status st = mni_segment_find(source->segment, hash, collection, key, row_out, &why);

    if (st == MN_OK)
        st = mni_segment_row_head(source->segment, *row_out, &head, &why);
    *has_out = st == MN_OK;
    if (st == MN_OK)
        *lsn_out = head.lsn;
    return salvage_is_fatal(st) ? mni_fail(err, st, "%s", why.message) : MN_OK;
}

/* The LSN of what a segment has of a key: of a live row only if it can be read, with what patches
 * made of it. */
static mn_status version_of_key(struct salvage_source *source, uint64_t hash, uint64_t collection,
                                struct mn_slice key, uint64_t *lsn_out, struct mn_error *err)
{
    struct mni_segment_row r;
    struct mn_error why = {0};
    bool has = false;
    uint32_t row;

    *lsn_out = 0;
    mn_status st = find_key(source, hash, collection, key, &has, &row, lsn_out, err);
    if (st != MN_OK || !has || !mni_liveness_is_live_now(&source->live, row))
        return st;
    st = mni_segment_row(source->segment, row, &r, &why);
    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why.message);
    *lsn_out = 0;
    if (st == MN_OK) {
        mni_liveness_apply_patch(&source->live, row, UINT64_MAX, &r);
        *lsn_out = r.lsn;
        mni_segment_row_done(source->segment, &r);
    }
    return MN_OK;
}

mn_status salvage_newest_lsn(struct salvage *s, uint64_t collection, struct mn_slice key,
                             uint64_t *lsn_out, struct mn_error *err)
{
    uint64_t hash = mni_key_hash(collection, key);
    mn_status st = MN_OK;

    *lsn_out = 0;
    for (size_t i = 0; i < s->n_sources && st == MN_OK; i++) {
        uint64_t lsn = 0;
        st = version_of_key(&s->sources[i], hash, collection, key, &lsn, err);
        if (lsn > *lsn_out)
            *lsn_out = lsn;
    }
    return st;
}

/* Whether another segment has a newer version of the row's key, or knows that it died, or has the
 * same one and comes before. */
static mn_status is_superseded(struct salvage *s, size_t source_index,
                               const struct mni_segment_row *r, bool *is_out, struct mn_error *err)
{
    uint64_t hash = mni_key_hash(r->record.collection, r->record.key);
    mn_status st = MN_OK;

    *is_out = false;
    for (size_t i = 0; i < s->n_sources && st == MN_OK && !*is_out; i++) {
        bool has = false;
        uint32_t row;
        uint64_t lsn = 0;
        if (i == source_index)
            continue;
        st = find_key(&s->sources[i], hash, r->record.collection, r->record.key, &has, &row, &lsn,
                      err);
        if (has)
            *is_out = lsn > r->lsn ||
                      (lsn == r->lsn &&
                       (i < source_index || !mni_liveness_is_live_now(&s->sources[i].live, row)));
    }
    return st;
}

/* Going through rows ---------- */

/* Rows of a segment that could not be read. */
struct unread {
    uint64_t n;
    struct mn_error first;
};

static void note_unread(struct salvage *s, struct salvage_source *source,
                        const struct unread *unread)
{
    char path[MNI_SEGMENT_NAME_BYTES + 4];

    if (unread->n == 0)
        return;
    salvage_lost_rows(s, unread->n, mni_segment_get_info(source->segment)->min_lsn);
    source->is_damage_told = true;
    (void)snprintf(path, sizeof path, "seg/%s", mni_segment_label(source->segment));
    salvage_damage(s, path, "%" PRIu64 " records cannot be read: %s", unread->n,
                   unread->first.message);
}

/* One row; a damaged one is counted. */
static mn_status read_row(struct salvage_source *source, uint32_t row,
                          struct mni_segment_row *row_out, bool *is_read_out, struct unread *unread,
                          struct mn_error *err)
{
    struct mn_error why = {0};
    mn_status st = mni_segment_row(source->segment, row, row_out, &why);

    *is_read_out = st == MN_OK;
    if (st == MN_OK)
        return MN_OK;
    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why.message);
    if (unread->n++ == 0)
        unread->first = why;
    return MN_OK;
}

static mn_status catalogue_rows_of(struct salvage *s, size_t index, salvage_row_fn *each,
                                   struct mn_error *err)
{
    struct salvage_source *source = &s->sources[index];
    uint32_t n_rows = (uint32_t)mni_segment_get_info(source->segment)->n_rows;
    struct mni_segment_group group;
    struct unread unread = {0};
    struct mn_error why = {0};
    bool is_in_catalogue = true;
    mn_status st = mni_segment_find_group(source->segment, 0, &group, &why);

    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (salvage_is_fatal(st))
        return mni_fail(err, st, "%s", why.message);
    if (st == MN_OK && group.first_row == 0 && group.n_rows <= n_rows)
        n_rows = group.n_rows; /* else the rows tell where it ends */
    st = MN_OK;
    for (uint32_t row = 0; row < n_rows && is_in_catalogue && st == MN_OK; row++) {
        struct mni_segment_row r;
        bool is_read = false;
        st = read_row(source, row, &r, &is_read, &unread, err);
        if (!is_read)
            continue;
        is_in_catalogue = r.record.collection == 0;
        if (is_in_catalogue && !r.is_older)
            st = each(s, index, row, &r, err);
        mni_segment_row_done(source->segment, &r);
    }
    if (unread.n > 0)
        s->is_catalogue_whole = false;
    note_unread(s, source, &unread);
    return st;
}

mn_status salvage_catalogue_rows(struct salvage *s, salvage_row_fn *each, struct mn_error *err)
{
    mn_status st = MN_OK;

    s->is_catalogue_whole = true;
    for (size_t i = 0; i < s->n_sources && st == MN_OK; i++)
        st = catalogue_rows_of(s, i, each, err);
    return st;
}

static mn_status take_row(struct salvage *s, size_t index, uint32_t row, struct mni_segment_row *r,
                          salvage_row_fn *each, struct mn_error *err)
{
    bool is_superseded_now = false;
    mn_status st = MN_OK;

    if (r->is_older || !salvage_is_wanted(s, r->record.collection))
        return MN_OK;
    if (!s->is_sure)
        st = is_superseded(s, index, r, &is_superseded_now, err);
    if (st != MN_OK || is_superseded_now)
        return st;
    mni_liveness_apply_patch(&s->sources[index].live, row, UINT64_MAX, r);
    return each(s, index, row, r, err);
}

static mn_status record_rows_of(struct salvage *s, size_t index, uint32_t first, uint32_t end,
                                struct unread *unread, salvage_row_fn *each, struct mn_error *err)
{
    struct salvage_source *source = &s->sources[index];
    mn_status st = MN_OK;
    uint32_t row = mni_liveness_next_visible(&source->live, first, UINT64_MAX);

    while (row < end && st == MN_OK) {
        struct mni_segment_row r;
        bool is_read = false;
        st = read_row(source, row, &r, &is_read, unread, err);
        if (is_read) {
            st = take_row(s, index, row, &r, each, err);
            mni_segment_row_done(source->segment, &r);
        }
        row = mni_liveness_next_visible(&source->live, row + 1, UINT64_MAX);
    }
    return st;
}

static mn_status record_rows_of_source(struct salvage *s, size_t index, salvage_row_fn *each,
                                       struct mn_error *err)
{
    struct salvage_source *source = &s->sources[index];
    const struct mni_segment_info *info = mni_segment_get_info(source->segment);
    struct unread unread = {0};
    uint32_t next_row = 0;
    mn_status st = MN_OK;

    for (uint64_t i = 0; i < info->n_groups && st == MN_OK; i++) {
        struct mni_segment_group group;
        struct mn_error why = {0};
        st = mni_segment_group(source->segment, i, &group, &why);
        if (salvage_is_fatal(st))
            return mni_fail(err, st, "%s", why.message);
        if (st != MN_OK || group.first_row != next_row) {
            st = MN_OK;
            break; /* the rows themselves say what they belong to */
        }
        next_row = group.first_row + group.n_rows;
        if (group.collection != 0 && salvage_is_wanted(s, group.collection))
            st = record_rows_of(s, index, group.first_row, next_row, &unread, each, err);
    }
    if (st == MN_OK)
        st = record_rows_of(s, index, next_row, (uint32_t)info->n_rows, &unread, each, err);
    note_unread(s, source, &unread);
    if (source->is_damaged && !source->is_damage_told) {
        char path[MNI_SEGMENT_NAME_BYTES + 4];
        (void)snprintf(path, sizeof path, "seg/%s", mni_segment_label(source->segment));
        salvage_damage(s, path, "its records can be read, yet it is damaged: %s",
                       source->damage.message);
    }
    return st;
}

mn_status salvage_record_rows(struct salvage *s, salvage_row_fn *each, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t i = 0; i < s->n_sources && st == MN_OK; i++)
        st = record_rows_of_source(s, i, each, err);
    return st;
}
