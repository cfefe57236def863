/*
 * archive.c - keeps the files of the log elsewhere, before they leave it.
 *
 * A file is copied as far as it has frames, so it can be used again. What a file was before it was
 * used again does not come along.
 *
 * Owns:    one file of the archive, while it is made.
 * Format:  docs/format/archive.md
 * Threads: one per archive; takes the leader's role for moments.
 * Fails:   as writing files does; what was not kept stays in the log.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/plant.h"
#include "wal/wal_private.h"

enum { COPY_BYTES = 1 << 20, SYNC_BYTES = 8 << 20 };

static const char copying_name[] = "keeping";

/* A file on its way. */
struct keeping {
    struct mni_dir *dir;     /* borrowed */
    struct mni_dir *archive; /* likewise */
    char name[WAL_NAME_BYTES];
    uint64_t end;          /* of its frames */
    mni_wal_pace_fn *pace; /* may be NULL */
    void *context;
    /* Nobody knows it to be synced: what a power cut takes of the log must not stay in the
     * archive. */
    bool may_be_lost;
};

static mn_status as_error(mn_status st, struct mn_error *err)
{
    if (st <= MN_OK)
        return st;
    if (err != NULL)
        err->status = MN_ERR_IO;
    return MN_ERR_IO;
}

static mn_status read_header(struct mni_dir *dir, const char *name, struct wal_header *header_out,
                             struct mn_error *err)
{
    unsigned char bytes[HEADER_BYTES] = {0};
    struct mni_file *file = NULL;
    size_t n_read = 0;
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);

    if (st == MN_OK)
        st = mni_file_read(file, 0, bytes, sizeof bytes, &n_read, err);
    mni_file_close(file);
    return st == MN_OK ? wal_header_decode(bytes, name, header_out, err) : st;
}

/* The copy's header tells its length. */
static mn_status shorten_header(const struct keeping *k, unsigned char *bytes, uint64_t n_bytes,
                                struct mn_error *err)
{
    struct wal_header header;
    mn_status st = wal_header_decode(bytes, k->name, &header, err);

    if (st != MN_OK)
        return st;
    header.file_bytes = n_bytes;
    wal_header_encode(&header, bytes);
    return MN_OK;
}

/* Copies the frames. What the last block holds behind them, of an earlier life of the file, does
 * not come along. */
static mn_status copy_bytes(const struct keeping *k, struct mni_file *from, struct mni_file *to,
                            struct mn_error *err)
{
    const uint64_t n_bytes = mni_align_up(k->end, MNI_DIRECT_ALIGN);
    unsigned char *buffer = mni_alloc_aligned(MNI_DIRECT_ALIGN, COPY_BYTES);
    mn_status st = MN_OK;

    if (buffer == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "copying a log file");
    for (uint64_t offset = 0; offset < n_bytes && st == MN_OK; offset += COPY_BYTES) {
        size_t n = n_bytes - offset < COPY_BYTES ? (size_t)(n_bytes - offset) : COPY_BYTES;
        size_t n_wanted = k->end - offset < n ? (size_t)(k->end - offset) : n;
        size_t n_read = 0;
        st = mni_file_read(from, offset, buffer, n_wanted, &n_read, err);
        if (st == MN_OK && n_read < n_wanted)
            st = mni_fail(err, MN_ERR_CORRUPT, "wal/%s: ends at offset %" PRIu64, k->name,
                          offset + n_read);
        memset(buffer + n_wanted, 0, n - n_wanted);
        if (st == MN_OK && offset == 0)
            st = shorten_header(k, buffer, n_bytes, err);
        if (st == MN_OK)
            st = mni_file_write(to, offset, buffer, n, err);
        /* In steps: commits do not wait long behind one of them. */
        if (st == MN_OK && offset > 0 && offset % SYNC_BYTES == 0)
            st = mni_file_sync(to, err);
        if (st == MN_OK && k->pace != NULL)
            st = k->pace(k->context, n, err);
    }
    mni_free(buffer);
    if (st == MN_OK && !MNI_PLANTED("archive_copy_not_synced"))
        st = mni_file_sync(to, err);
    return st;
}

static mn_status copy(const struct keeping *k, struct mn_error *err)
{
    struct mni_file *from = NULL;
    struct mni_file *to = NULL;
    bool may_be_lost = k->may_be_lost && k->dir != k->archive;
    unsigned flags = may_be_lost ? MNI_OPEN_WRITE : MNI_OPEN_READ;
    mn_status st = mni_dir_open_file(k->dir, k->name, flags, &from, err);

    if (st == MN_OK && may_be_lost)
        st = mni_file_sync(from, err);
    if (st == MN_OK)
        st =
            mni_dir_open_file(k->archive, copying_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &to, err);
    if (st == MN_OK)
        st = copy_bytes(k, from, to, err);
    mni_file_close(to);
    mni_file_close(from);
    return as_error(st, err);
}

/* Where the good frames of a file end: what lies behind damage could not be used anyway. */
static mn_status find_end(struct keeping *k, struct mn_error *err)
{
    struct wal_header header;
    struct mni_file *file = NULL;
    struct wal_scan scan;
    struct wal_frame f;
    const unsigned char *payload;
    mn_status st = read_header(k->dir, k->name, &header, err);

    k->end = 0;
    if (st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
        return MN_OK;
    if (st == MN_OK)
        st = mni_dir_open_file(k->dir, k->name, MNI_OPEN_READ, &file, err);
    if (st != MN_OK)
        return st;
    wal_scan_init(&scan, file, k->name, &header);
    while (st == MN_OK)
        st = wal_scan_next(&scan, &f, &payload, err);
    k->end = scan.offset;
    wal_scan_done(&scan);
    mni_file_close(file);
    return st == MN_END || st == MN_ERR_CORRUPT ? MN_OK : st;
}

/* A file and how far it was read. */
struct reading {
    struct mni_file *file; /* owned */
    struct wal_header header;
    struct wal_scan scan;
    struct wal_frame frame; /* the commit that is next */
    bool is_open;
    bool is_over;
};

/* Moves to the next commit. */
static mn_status read_on(struct reading *r, struct mn_error *err)
{
    const unsigned char *payload;
    mn_status st = MN_OK;

    do
        st = wal_scan_next(&r->scan, &r->frame, &payload, err);
    while (st == MN_OK && r->frame.type != FRAME_COMMIT);
    r->is_over = st == MN_END || st == MN_ERR_CORRUPT;
    return r->is_over ? MN_OK : st;
}

/* One whose header cannot be read has no commits. */
static mn_status begin_reading(struct reading *r, struct mni_dir *dir, const char *name,
                               struct mn_error *err)
{
    mn_status st = read_header(dir, name, &r->header, err);

    r->is_over = true;
    if (st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED)
        return MN_OK;
    if (st == MN_OK)
        st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &r->file, err);
    if (st != MN_OK)
        return st;
    wal_scan_init(&r->scan, r->file, name, &r->header);
    r->is_open = true;
    return read_on(r, err);
}

static void end_reading(struct reading *r)
{
    if (r->is_open)
        wal_scan_done(&r->scan);
    mni_file_close(r->file);
}

static bool is_same_commit(const struct wal_frame *a, const struct wal_frame *b)
{
    return a->lsn == b->lsn && a->time_us == b->time_us && a->n_records == b->n_records &&
           a->payload_bytes == b->payload_bytes && a->payload_crc == b->payload_crc;
}

enum precedence { OURS, THEIRS, NEITHER };

/* Which of two files of one name has all commits of the other. */
static mn_status compare(struct reading *ours, struct reading *theirs, enum precedence *out,
                         struct mn_error *err)
{
    mn_status st = MN_OK;

    while (st == MN_OK && !ours->is_over && !theirs->is_over &&
           is_same_commit(&ours->frame, &theirs->frame)) {
        st = read_on(ours, err);
        if (st == MN_OK)
            st = read_on(theirs, err);
    }
    *out = theirs->is_over ? OURS : ours->is_over ? THEIRS : NEITHER;
    return st;
}

/* A file of this name may have been kept: while it was the newest, or with a sync that failed. */
static mn_status find_precedence(const struct keeping *k, enum precedence *out,
                                 struct mn_error *err)
{
    struct reading ours = {0};
    struct reading theirs = {0};
    mn_status st = begin_reading(&theirs, k->archive, k->name, err);

    *out = OURS;
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st == MN_OK)
        st = as_error(begin_reading(&ours, k->dir, k->name, err), err);
    if (st == MN_OK)
        st = compare(&ours, &theirs, out, err);
    end_reading(&ours);
    end_reading(&theirs);
    return st;
}

/* The name in the archive is durable when that is synced. What is there already may have come with
 * a sync that failed, and never be: it is made anew, of the file that has more. */
static mn_status keep(struct keeping *k, struct mn_error *err)
{
    enum precedence precedence = OURS;
    struct keeping from = *k;
    mn_status st = find_precedence(k, &precedence, err);

    if (st == MN_OK && (precedence == NEITHER || (precedence == THEIRS && !k->may_be_lost)))
        return mni_fail(err, MN_ERR_INVALID,
                        "%s was kept already with other commits: of a copy of this store, which "
                        "needs a directory of its own",
                        k->name);
    if (st == MN_OK && precedence == THEIRS) {
        from.dir = k->archive;
        st = find_end(&from, err);
    }
    if (st != MN_OK || from.end == 0) /* nothing of it can be read */
        return as_error(st, err);
    st = mni_dir_unlink(k->archive, copying_name, err);
    if (st == MN_OK || st == MN_NOT_FOUND)
        st = copy(&from, err);
    if (st == MN_OK)
        st = mni_dir_rename(k->archive, copying_name, k->name, err);
    return as_error(st, err);
}

/* Keeping what leaves ---------- */

void mni_wal_keep_files(struct mni_wal *wal, bool keeps)
{
    struct mni_commit role;

    if (wal->config.read_only)
        return;
    mni_wal_enter(wal, &role);
    wal->keeps_files = keeps;
    mni_wal_leave(wal);
}

/* The oldest file that is not written to any more and not kept. */
static bool next_to_keep(struct mni_wal *wal, struct keeping *k, uint64_t *first_lsn_out)
{
    struct mni_commit role;
    bool is_found = false;

    mni_wal_enter(wal, &role);
    for (size_t i = 0; i + 1 < wal->n_files && !is_found; i++) {
        const struct wal_file *file = &wal->files[i];
        if (file->is_kept)
            continue;
        is_found = true;
        *first_lsn_out = file->header.first_lsn;
        k->end = file->end;
        wal_file_name(file->header.first_lsn, k->name);
    }
    mni_wal_leave(wal);
    return is_found;
}

/* All up to this one are durable in the archive. */
static void note_kept(struct mni_wal *wal, uint64_t first_lsn)
{
    struct mni_commit role;

    mni_wal_enter(wal, &role);
    for (size_t i = 0; i < wal->n_files && wal->files[i].header.first_lsn <= first_lsn; i++)
        wal->files[i].is_kept = true;
    mni_wal_leave(wal);
}

mn_status mni_wal_archive(struct mni_wal *wal, struct mni_dir *archive, mni_wal_pace_fn *pace,
                          void *context, struct mn_error *err)
{
    struct keeping k = {
        .dir = wal->config.dir, .archive = archive, .pace = pace, .context = context};
    uint64_t first_lsn;
    mn_status st = MN_OK;

    MNI_CHECK(!wal->config.read_only);
    while (st == MN_OK && next_to_keep(wal, &k, &first_lsn)) {
        st = keep(&k, err);
        if (st == MN_OK && !MNI_PLANTED("archive_not_synced"))
            st = as_error(mni_dir_sync(archive, err), err);
        if (st == MN_OK)
            note_kept(wal, first_lsn);
    }
    return st;
}

/* A log that nobody has open ---------- */

static mn_status keep_named(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct keeping *k = context;
    uint64_t first_lsn;

    if (is_dir || !wal_file_name_parse(name, &first_lsn))
        return MN_OK;
    wal_file_name(first_lsn, k->name);
    mn_status st = find_end(k, err);
    return st == MN_OK ? keep(k, err) : as_error(st, err);
}

mn_status mni_wal_archive_all(struct mni_dir *dir, struct mni_dir *archive, struct mn_error *err)
{
    struct keeping k = {.dir = dir, .archive = archive, .may_be_lost = true};
    mn_status st = mni_dir_list(dir, keep_named, &k, err);

    return st == MN_OK ? as_error(mni_dir_sync(archive, err), err) : st;
}

/* Reading ---------- */

struct listing {
    uint64_t *first_lsns; /* owned */
    size_t n;
    size_t capacity;
};

static mn_status list_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct listing *l = context;
    uint64_t first_lsn;

    if (is_dir || !wal_file_name_parse(name, &first_lsn))
        return MN_OK;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        uint64_t *moved = mni_realloc(l->first_lsns, capacity * sizeof *moved);
        if (moved == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "list of log files");
        l->first_lsns = moved;
        l->capacity = capacity;
    }
    l->first_lsns[l->n++] = first_lsn;
    return MN_OK;
}

static mn_status read_commits(struct wal_scan *scan, mni_wal_replay_fn *each, void *context)
{
    struct wal_beyond beyond = {0};
    mn_status st = MN_OK;

    while (st == MN_OK) {
        struct wal_frame f;
        const unsigned char *payload;
        st = wal_scan_next(scan, &f, &payload, NULL);
        if (st == MN_END) {
            st = wal_scan_beyond(scan, &beyond, NULL);
            return st == MN_OK && beyond.synced_end > scan->offset ? MN_ERR_CORRUPT : st;
        }
        if (st != MN_OK || f.type != FRAME_COMMIT)
            continue;
        struct mni_wal_entry entry = {.lsn = f.lsn,
                                      .time_us = f.time_us,
                                      .n_records = f.n_records,
                                      .payload = {payload, f.frame_bytes - FRAME_HEADER_BYTES}};
        st = each(context, &entry, NULL);
    }
    return st;
}

static mn_status read_one(struct mni_dir *archive, const char *name, mni_wal_replay_fn *each,
                          void *context)
{
    struct wal_header header;
    struct mni_file *file = NULL;
    struct wal_scan scan;
    mn_status st = read_header(archive, name, &header, NULL);

    if (st == MN_OK)
        st = mni_dir_open_file(archive, name, MNI_OPEN_READ, &file, NULL);
    if (st != MN_OK)
        return as_error(st, NULL);
    wal_scan_init(&scan, file, name, &header);
    st = read_commits(&scan, each, context);
    wal_scan_done(&scan);
    mni_file_close(file);
    return st;
}

mn_status mni_wal_read_archive(struct mni_dir *archive, mni_wal_replay_fn *each,
                               mni_wal_file_fn *file, void *context, struct mn_error *err)
{
    char name[WAL_NAME_BYTES];
    struct listing l = {0};
    mn_status st = mni_dir_list(archive, list_file, &l, err);

    if (st == MN_OK && l.n > 1)
        qsort(l.first_lsns, l.n, sizeof *l.first_lsns, mni_compare_u64);
    for (size_t i = 0; i < l.n && st == MN_OK; i++) {
        wal_file_name(l.first_lsns[i], name);
        file(context, name, read_one(archive, name, each, context));
    }
    mni_free(l.first_lsns);
    return st;
}
