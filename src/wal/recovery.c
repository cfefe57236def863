/*
 * recovery.c - reads a log that may have been cut off anywhere, and makes it fit to go on.
 *
 * Owns:    while it runs, the headers of all files and a window of the one being read.
 * Format:  docs/format/wal.md
 * Threads: the one that opens the log.
 * Fails:   MN_ERR_CORRUPT with file, offset and LSN range for damage; nothing was changed then.
 *
 * Older files end where the next file's header says: a bad frame before that is damage. The newest
 * file ends at the first place where no valid frame begins. What lies behind it decides: if a later
 * frame knows that the file was synced beyond that place, synced bytes are bad, which is
 * damage; else it is a torn tail, an unfinished write that nobody was told about, and is cut.
 *
 * Nothing is appended to a file that was found. The frames of the newest file are written to a new
 * one, which is synced and takes its name: so what was read from the page cache after a failed sync
 * is durable before anybody is served from it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/compare.h"
#include "base/mem.h"
#include "base/plant.h"
#include "wal/wal_private.h"

struct listing {
    uint64_t *first_lsns; /* owned */
    size_t n_files;
    size_t capacity;
    struct mni_buf leftovers; /* to be removed: names of WAL_NAME_BYTES each */
};

struct recovery {
    struct mni_wal *wal;
    uint64_t last_lsn;
    bool is_stopped; /* point in time: the frame at frame_offset is not wanted, nor what follows */
    uint64_t frame_offset;
    uint64_t commit_bytes; /* of the file that is read, frame headers included */
    bool is_closed;        /* the last frame seals a clean close */
    uint64_t next_lsn;     /* as the seal says */
    uint64_t tail_end;     /* of the newest file's good frames */
    uint64_t remnant_bytes;
    bool has_stray; /* a file stands before a gap; its header is this */
    struct wal_header stray;
    bool has_next; /* a file beyond the stop follows the newest one that is wanted; its header */
    struct wal_header next;
    bool has_gap; /* the file behind the newest one that is read does not follow it, because: */
    struct mn_error gap;
};

static mn_status note_name(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct listing *l = context;
    uint64_t first_lsn;

    if (is_dir)
        return MN_OK;
    if (wal_name_is_spare(name)) {
        char entry[WAL_NAME_BYTES] = {0};
        (void)snprintf(entry, sizeof entry, "%s", name);
        if (mni_buf_append(&l->leftovers, entry, sizeof entry) != MN_OK)
            return mni_fail(err, MN_ERR_NOMEM, "list of log files");
        return MN_OK;
    }
    if (!wal_file_name_parse(name, &first_lsn))
        return MN_OK;
    if (l->n_files == l->capacity) {
        size_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        uint64_t *moved = mni_realloc(l->first_lsns, capacity * sizeof *moved);
        if (moved == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "list of log files");
        l->first_lsns = moved;
        l->capacity = capacity;
    }
    l->first_lsns[l->n_files++] = first_lsn;
    return MN_OK;
}

/* Reads the header of one file, and checks what the file alone can tell. */
static mn_status load_header(struct mni_wal *wal, uint64_t first_lsn, struct wal_header *header_out,
                             struct mn_error *err)
{
    char name[WAL_NAME_BYTES];
    unsigned char bytes[HEADER_BYTES];
    struct mni_file *file = NULL;
    size_t n_read = 0;
    uint64_t size = 0;
    mn_status st = wal_open_for_reading(wal, first_lsn, name, &file, err);

    if (st != MN_OK)
        return st;
    st = mni_file_size(file, &size, err);
    if (st == MN_OK)
        st = mni_file_read(file, 0, bytes, sizeof bytes, &n_read, err);
    mni_file_close(file);
    if (st != MN_OK)
        return st;
    if (n_read < sizeof bytes)
        return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: cut inside its header, at %zu bytes", name,
                        n_read);
    st = wal_header_decode(bytes, name, header_out, err);
    if (st != MN_OK)
        return st;
    if (header_out->first_lsn != first_lsn)
        return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: its header says first LSN %" PRIu64, name,
                        header_out->first_lsn);
    if (size != header_out->file_bytes)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: file has %" PRIu64 " bytes, its header says %" PRIu64
                        "; LSNs from %" PRIu64 " on may be lost",
                        name, size, header_out->file_bytes, first_lsn);
    return MN_OK;
}

static mn_status load_headers(struct mni_wal *wal, const struct listing *l, struct mn_error *err)
{
    for (size_t i = 0; i < l->n_files; i++) {
        if (wal_files_reserve(wal) != MN_OK)
            return mni_fail(err, MN_ERR_NOMEM, "list of log files");
        struct wal_file *file = &wal->files[i];
        *file = (struct wal_file){0};
        mn_status st = load_header(wal, l->first_lsns[i], &file->header, err);
        if (st != MN_OK)
            return st;
        wal->n_files++;
    }
    return MN_OK;
}

static mn_status check_belongs(struct mni_wal *wal, struct mn_error *err)
{
    char name[WAL_NAME_BYTES];

    if (wal->config.any_store_id)
        memcpy(wal->config.store_id, wal->files[0].header.store_id, MNI_STORE_ID_BYTES);
    for (size_t i = 0; i < wal->n_files; i++) {
        const struct wal_header *h = &wal->files[i].header;
        wal_file_name(h->first_lsn, name);
        if (memcmp(h->store_id, wal->config.store_id, MNI_STORE_ID_BYTES) != 0)
            return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: belongs to another store", name);
        if (((h->flags & HEADER_FLAG_ALONE) != 0) != wal->config.is_alone)
            return mni_fail(err, MN_ERR_NO_STORE, "wal/%s: %s", name,
                            wal->config.is_alone ? "belongs to a store, and is no log on its own"
                                                 : "is a log on its own, and belongs to no store");
    }
    return MN_OK;
}

static mn_status check_follows(const struct wal_header *before, const struct wal_header *h,
                               struct mn_error *err)
{
    char name[WAL_NAME_BYTES];

    wal_file_name(h->first_lsn, name);
    if (h->sequence != before->sequence + 1 || h->prev_first_lsn != before->first_lsn)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: the log file before it is missing: it follows the one that "
                        "begins with LSN %" PRIu64 ", found is %" PRIu64,
                        name, h->prev_first_lsn, before->first_lsn);
    if (h->prev_salt != before->salt || h->prev_end > before->file_bytes ||
        h->prev_last_lsn < before->prev_last_lsn)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: does not follow the file that begins with LSN %" PRIu64, name,
                        before->first_lsn);
    return MN_OK;
}

/* Leaves the newest files that follow each other without a gap. What stands before them may be
 * files that were trimmed and whose removal a crash undid; check_oldest tells. */
static mn_status leave_chain(struct recovery *r, struct listing *l, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;
    size_t first = wal->n_files - 1;

    while (first > 0 &&
           check_follows(&wal->files[first - 1].header, &wal->files[first].header, NULL) == MN_OK)
        first--;
    for (size_t i = 0; i < first; i++) {
        char entry[WAL_NAME_BYTES] = {0};
        wal_file_name(wal->files[i].header.first_lsn, entry);
        if (mni_buf_append(&l->leftovers, entry, sizeof entry) != MN_OK)
            return mni_fail(err, MN_ERR_NOMEM, "list of log files");
    }
    if (first == 0)
        return MN_OK;
    r->has_stray = true;
    r->stray = wal->files[first - 1].header;
    wal->n_files -= first;
    memmove(wal->files, wal->files + first, wal->n_files * sizeof *wal->files);
    return MN_OK;
}

/* The files before the oldest one were trimmed, which only a checkpoint allows. */
static mn_status check_oldest(const struct recovery *r, struct mn_error *err)
{
    const struct mni_wal *wal = r->wal;
    const struct wal_header *h = &wal->files[0].header;
    char name[WAL_NAME_BYTES];

    if (h->prev_last_lsn <= wal->checkpoint_lsn || h->prev_last_lsn <= wal->config.checkpoint_lsn ||
        (h->sequence == 1 && !r->has_stray))
        return MN_OK;
    if (r->has_stray)
        return check_follows(&r->stray, h, err);
    wal_file_name(h->first_lsn, name);
    return mni_fail(err, MN_ERR_CORRUPT,
                    "wal/%s: older log files are missing, with LSNs %" PRIu64 " to %" PRIu64, name,
                    wal->checkpoint_lsn + 1, h->prev_last_lsn);
}

/* Whether nothing of a file is wanted of an archive that is read up to a stop. Its header does not
 * tell for a time: it may have been written anew since. */
static bool is_file_beyond_stop(const struct mni_wal *wal, const struct wal_header *h)
{
    return wal->config.stop_lsn != 0 && h->first_lsn > wal->config.stop_lsn;
}

/* What lies before a file is there. The first one of a timeline goes on from its beginning. */
static mn_status check_begins(const struct wal_header *h, uint64_t have_lsn, struct mn_error *err)
{
    char name[WAL_NAME_BYTES];

    uint64_t last_lsn = h->sequence == 1 ? h->first_lsn - 1 : h->prev_last_lsn;

    if (last_lsn <= have_lsn)
        return MN_OK;
    wal_file_name(h->first_lsn, name);
    return mni_fail(err, MN_ERR_CORRUPT,
                    "wal/%s: older log files are missing, with LSNs %" PRIu64 " to %" PRIu64, name,
                    have_lsn + 1, last_lsn);
}

/* Leaves the files of an archive that hold commits above checkpoint_lsn and not beyond the stop.
 * None of them may be missing: no mark says that somebody else has what was in it. */
static mn_status leave_wanted(struct recovery *r, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;
    const uint64_t have_lsn = wal->config.checkpoint_lsn;
    size_t n = wal->n_files;
    size_t first = 0;
    mn_status st = MN_OK;

    while (n > 0 && is_file_beyond_stop(wal, &wal->files[n - 1].header))
        n--;
    r->has_next = n < wal->n_files;
    if (r->has_next)
        r->next = wal->files[n].header;
    while (first + 1 < n && wal->files[first + 1].header.prev_last_lsn <= have_lsn)
        first++;
    st = check_begins(n > 0 ? &wal->files[first].header : &r->next, have_lsn, err);
    for (size_t i = first + 1; i < n + r->has_next && !r->has_gap; i++) {
        r->has_gap = check_follows(&wal->files[i - 1].header, &wal->files[i].header, &r->gap) !=
                     MN_OK;
        if (r->has_gap) {
            n = i;
            r->has_next = false;
        }
    }
    wal->n_files = n - first;
    if (first > 0)
        memmove(wal->files, wal->files + first, wal->n_files * sizeof *wal->files);
    return st;
}

static bool is_beyond_stop(const struct mni_wal *wal, const struct wal_frame *f)
{
    const struct mni_wal_config *c = &wal->config;

    return c->recovery == MN_RECOVERY_POINT_IN_TIME && f->type == FRAME_COMMIT &&
           ((c->stop_lsn != 0 && f->lsn > c->stop_lsn) ||
            (c->stop_time_us != 0 && f->time_us > c->stop_time_us));
}

static mn_status take_frame(struct recovery *r, struct wal_file *file, const struct wal_frame *f,
                            const unsigned char *payload, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;

    r->is_closed = f->type == FRAME_CLOSED;
    if (f->type == FRAME_CHECKPOINT) {
        uint64_t lsn = mni_get_u64(payload);
        if (lsn > f->lsn)
            return mni_fail(err, MN_ERR_CORRUPT,
                            "a checkpoint mark after LSN %" PRIu64 " covers LSN %" PRIu64, f->lsn,
                            lsn);
        if (lsn > wal->checkpoint_lsn)
            wal->checkpoint_lsn = lsn;
        return MN_OK;
    }
    if (f->type != FRAME_COMMIT) {
        r->next_lsn = mni_get_u64(payload);
        if (r->next_lsn <= f->lsn || r->next_lsn > file->header.lsn_ceiling + 1)
            return mni_fail(err, MN_ERR_CORRUPT,
                            "a seal after LSN %" PRIu64 " goes on with %" PRIu64, f->lsn,
                            r->next_lsn);
        if (f->time_us > wal->last_time_us)
            wal->last_time_us = f->time_us;
        return MN_OK;
    }
    if (is_beyond_stop(wal, f)) {
        r->is_stopped = true;
        return MN_OK;
    }
    r->last_lsn = f->lsn;
    r->commit_bytes += f->frame_bytes;
    if (f->time_us > wal->last_time_us)
        wal->last_time_us = f->time_us;
    file->n_records += f->n_records;
    wal->opened_commits++;
    wal->opened_records += f->n_records;
    if (wal->config.replay == NULL)
        return MN_OK;
    struct mni_wal_entry entry = {
        .lsn = f->lsn,
        .time_us = f->time_us,
        .n_records = f->n_records,
        .payload = {payload, f->frame_bytes - FRAME_HEADER_BYTES},
    };
    return wal->config.replay(wal->config.replay_context, &entry, err);
}

static mn_status fail_damaged(const struct wal_scan *scan, uint64_t last_lost, struct mn_error *err)
{
    if (last_lost <= scan->last_lsn)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: damaged at offset %" PRIu64 ", in a mark behind LSN %" PRIu64
                        " that was synced",
                        scan->name, scan->offset, scan->last_lsn);
    return mni_fail(err, MN_ERR_CORRUPT,
                    "wal/%s: damaged at offset %" PRIu64 ", where LSNs %" PRIu64 " to %" PRIu64
                    " were synced",
                    scan->name, scan->offset, scan->last_lsn + 1, last_lost);
}

/* All frames of a file that another one follows. */
static mn_status read_older(struct recovery *r, struct wal_file *file,
                            const struct wal_header *next, struct wal_scan *scan,
                            struct mn_error *err)
{
    while (scan->offset < next->prev_end && !r->is_stopped) {
        struct wal_frame f;
        const unsigned char *payload;
        r->frame_offset = scan->offset;
        mn_status st = wal_scan_next(scan, &f, &payload, err);
        if (st == MN_END)
            return fail_damaged(scan, next->prev_last_lsn, err);
        if (st == MN_OK)
            st = take_frame(r, file, &f, payload, err);
        if (st != MN_OK)
            return st;
    }
    if (!r->is_stopped && (scan->offset != next->prev_end || scan->last_lsn != next->prev_last_lsn))
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: ends at offset %" PRIu64 " with LSN %" PRIu64
                        ", the next file says offset %" PRIu64 ", LSN %" PRIu64,
                        scan->name, scan->offset, scan->last_lsn, next->prev_end,
                        next->prev_last_lsn);
    return MN_OK;
}

/* A clean close said where the log ends: less than that is damage, also of the seal alone. Of
 * another file it still tells an LSN, below which the log never is again. */
static mn_status heed_closed(struct recovery *r, const struct wal_scan *scan, struct mn_error *err)
{
    /* A log that was begun anew goes on above all that the one before handed out. */
    uint64_t before = scan->header->first_lsn - 1;
    uint64_t came_to = scan->last_lsn > before ? scan->last_lsn : before;
    struct wal_closed closed;

    mn_status st = wal_closed_read(r->wal->config.dir, &closed, err);
    if (st != MN_OK || !closed.is_there)
        return st;
    if (closed.salt != scan->header->salt && came_to < closed.last_lsn)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: the log ends at LSN %" PRIu64
                        ", but the file CLOSED says that it was closed at LSN %" PRIu64
                        ": the log is older than the rest of the store",
                        scan->name, came_to, closed.last_lsn);
    if (closed.salt != scan->header->salt)
        return MN_OK;
    if (scan->offset < closed.end)
        return fail_damaged(scan, closed.last_lsn, err);
    if (scan->last_lsn != closed.last_lsn)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: ends with LSN %" PRIu64 ", the file CLOSED says %" PRIu64,
                        scan->name, scan->last_lsn, closed.last_lsn);
    r->is_closed = true;
    r->next_lsn = closed.next_lsn;
    return MN_OK;
}

/* The good frames of the newest file, and what lies behind them. */
static mn_status read_newest(struct recovery *r, struct wal_file *file, struct wal_scan *scan,
                             struct mn_error *err)
{
    bool is_rotated = false;
    struct wal_beyond beyond;
    mn_status st = MN_OK;

    while (!r->is_stopped) {
        struct wal_frame f;
        const unsigned char *payload;
        r->frame_offset = scan->offset;
        st = wal_scan_next(scan, &f, &payload, err);
        if (st != MN_OK)
            break;
        st = take_frame(r, file, &f, payload, err);
        if (st != MN_OK)
            return st;
        is_rotated = f.type == FRAME_ROTATED;
    }
    r->tail_end = scan->offset;
    if (r->is_stopped)
        return MN_OK;
    if (st != MN_END)
        return st;
    if (is_rotated && r->wal->config.is_archive)
        return MN_OK;
    if (is_rotated)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: the log goes on in a file that begins with LSN %" PRIu64
                        ", and that file is missing",
                        scan->name, r->next_lsn);
    st = heed_closed(r, scan, err);
    if (st != MN_OK)
        return st;
    /* Nothing is ever written behind the seal of a clean close. */
    if (r->is_closed)
        return MN_OK;
    st = wal_scan_beyond(scan, &beyond, err);
    if (st != MN_OK)
        return st;
    if (beyond.synced_end > scan->offset)
        return fail_damaged(scan, beyond.last_lsn, err);
    r->remnant_bytes = beyond.remnant_bytes;
    r->wal->torn_tail_bytes = r->remnant_bytes;
    if (r->remnant_bytes > 0 && r->wal->config.recovery == MN_RECOVERY_STRICT)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "wal/%s: torn tail of %" PRIu64 " bytes at offset %" PRIu64
                        " after LSN %" PRIu64 " (strict recovery refuses it)",
                        scan->name, r->remnant_bytes, scan->offset, scan->last_lsn);
    return MN_OK;
}

static mn_status read_file(struct recovery *r, size_t index, struct mn_error *err)
{
    struct wal_file *file = &r->wal->files[index];
    bool is_newest = index + 1 == r->wal->n_files;
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;
    struct wal_scan scan;
    mn_status st = wal_open_for_reading(r->wal, file->header.first_lsn, name, &handle, err);

    if (st != MN_OK)
        return st;
    wal_scan_init(&scan, handle, name, &file->header);
    r->last_lsn = scan.last_lsn;
    r->commit_bytes = 0;
    if (is_newest && r->has_next)
        st = read_older(r, file, &r->next, &scan, err);
    else if (is_newest)
        st = read_newest(r, file, &scan, err);
    else
        st = read_older(r, file, &r->wal->files[index + 1].header, &scan, err);
    file->end = r->is_stopped ? r->frame_offset : scan.offset;
    file->last_lsn = r->is_stopped ? r->last_lsn : scan.last_lsn;
    file->zeroed_to = wal_file_is_written_whole(file->header.file_bytes)
                          ? file->header.file_bytes
                          : mni_align_down(file->end, MNI_DIRECT_ALIGN);
    r->wal->opened_files++;
    r->wal->opened_bytes += scan.offset;
    wal_scan_done(&scan);
    mni_file_close(handle);
    return st;
}

static uint64_t lsn_to_go_on_with(const struct recovery *r)
{
    uint64_t ceiling = wal_current_file(r->wal)->header.lsn_ceiling;
    uint64_t next_lsn = r->is_closed ? r->next_lsn : ceiling + 1;

    if (MNI_PLANTED("reused_lsn") && !r->is_closed)
        return r->last_lsn + 1;
    /* Of a store that was restored the log may end below. */
    return next_lsn > r->wal->config.checkpoint_lsn ? next_lsn : r->wal->config.checkpoint_lsn + 1;
}

/* Appends the good frames of the newest file, its marks left out, to the file being written. */
static mn_status copy_frames(struct mni_wal *wal, const struct wal_file *old, uint64_t tail_end,
                             struct mn_error *err)
{
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;
    struct wal_scan scan;
    mn_status st = wal_open_for_reading(wal, old->header.first_lsn, name, &handle, err);

    if (st != MN_OK)
        return st;
    wal_scan_init(&scan, handle, name, &old->header);
    while (scan.offset < tail_end) {
        struct wal_frame f;
        const unsigned char *payload;
        unsigned char header[FRAME_HEADER_BYTES];
        st = wal_scan_next(&scan, &f, &payload, err);
        if (st == MN_END)
            st = mni_fail(err, MN_ERR_CORRUPT, "wal/%s: changed while it was read", name);
        if (st != MN_OK)
            break;
        if (f.type != FRAME_COMMIT)
            continue;
        /* The file gets its name after its sync: whoever reads a frame knows those before it to
         * be synced. */
        f.synced_end = wal_writer_end(&wal->writer);
        wal_frame_encode(&f, wal_current_file(wal)->header.salt, f.synced_end, header);
        st = wal_writer_append(wal, header, sizeof header, err);
        if (st == MN_OK)
            st = wal_writer_append(wal, payload, f.frame_bytes - sizeof header, err);
        if (st != MN_OK)
            break;
    }
    wal_scan_done(&scan);
    mni_file_close(handle);
    return st;
}

static mn_status publish_rewritten(struct mni_wal *wal, const char *temporary, const char *name,
                                   struct mn_error *err)
{
    wal->synced_end = wal_writer_end(&wal->writer);
    mn_status st = wal_writer_append_mark(wal, FRAME_CHECKPOINT, wal->checkpoint_lsn, err);
    if (st == MN_OK)
        st = wal_writer_put_out(wal, MN_ACK_DISK, err);
    if (st == MN_OK)
        st = mni_dir_rename(wal->config.dir, temporary, name, err);
    if (st == MN_OK && !MNI_PLANTED("no_directory_sync_in_recovery"))
        st = mni_dir_sync(wal->config.dir, err);
    return st;
}

/* As wal_file_make_fitting. On a full disk the caller may have something to give. */
static mn_status make_rewritten(struct mni_wal *wal, const char *name, struct wal_header *header,
                                uint64_t need, struct mni_file **file_out, uint64_t *zeroed_to_out,
                                struct mn_error *err)
{
    const struct mni_wal_config *c = &wal->config;
    const uint64_t wanted_bytes = header->file_bytes;
    mn_status st = wal_file_make_fitting(wal, name, header, need, file_out, zeroed_to_out, err);

    if (st != MN_ERR_NO_SPACE || c->make_room == NULL || !c->make_room(c->replay_context))
        return st;
    header->file_bytes = wanted_bytes;
    return wal_file_make_fitting(wal, name, header, need, file_out, zeroed_to_out, err);
}

/* Writes the surviving tail into a new file of the same name and goes on there. */
static mn_status rewrite_newest(struct recovery *r, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;
    struct wal_file *file = wal_current_file(wal);
    const struct wal_file old = *file;
    char temporary[WAL_NAME_BYTES];
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;
    uint64_t zeroed_to = 0;
    uint64_t need =
        mni_align_up(HEADER_BYTES + r->commit_bytes + WAL_MARKS_BYTES, MNI_DIRECT_ALIGN);

    file->header.flags &= HEADER_FLAG_ALONE;
    file->header.lsn_ceiling = wal->next_lsn + MNI_WAL_LSN_RESERVE;
    file->header.file_bytes = need > wal->config.file_bytes ? need : wal->config.file_bytes;
    file->header.checkpoint_lsn = wal->checkpoint_lsn;
    file->header.time_us = wal->last_time_us;
    mn_status st = wal_random_salt(wal, &file->header.salt, err);
    if (st != MN_OK)
        return st;
    (void)snprintf(temporary, sizeof temporary, "%020" PRIu64 ".new", file->header.first_lsn);
    st = make_rewritten(wal, temporary, &file->header, need, &handle, &zeroed_to, err);
    if (st != MN_OK)
        return st;
    wal_writer_attach(wal, handle, HEADER_BYTES, zeroed_to);
    st = copy_frames(wal, &old, r->tail_end, err);
    wal_file_name(file->header.first_lsn, name);
    if (st == MN_OK)
        st = publish_rewritten(wal, temporary, name, err);
    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(wal->config.dir, temporary, NULL)); /* its space is needed */
    file->end = wal_writer_end(&wal->writer);
    return st;
}

/* What a faulty recovery would do: go on in the file that was found, behind the garbage. */
static mn_status append_to_found(struct recovery *r, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;
    struct wal_file *file = wal_current_file(wal);
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;

    wal_file_name(file->header.first_lsn, name);
    mn_status st = mni_dir_open_file(wal->config.dir, name, MNI_OPEN_WRITE, &handle, err);
    if (st != MN_OK)
        return st;
    wal->writer.block_bytes = 1;
    file->header.lsn_ceiling = UINT64_MAX / 2;
    wal_writer_attach(wal, handle, mni_align_up(r->tail_end + r->remnant_bytes, FRAME_ALIGN),
                      file->header.file_bytes);
    wal->synced_lsn = wal->newest_lsn;
    return MN_OK;
}

static mn_status remove_leftovers(struct mni_wal *wal, const struct listing *l,
                                  struct mn_error *err)
{
    for (size_t i = 0; i < l->leftovers.n_bytes; i += WAL_NAME_BYTES) {
        mn_status st = mni_dir_unlink(wal->config.dir, (const char *)l->leftovers.data + i, err);
        if (st != MN_OK && st != MN_NOT_FOUND)
            return st;
    }
    return MN_OK;
}

/* The first file of a new log. */
static mn_status make_first(struct mni_wal *wal, struct mn_error *err)
{
    uint64_t first_lsn = wal->config.checkpoint_lsn + 1;
    struct wal_file *file;
    char temporary[WAL_NAME_BYTES];
    char name[WAL_NAME_BYTES];
    struct mni_file *handle = NULL;
    uint64_t zeroed_to = 0;

    if (wal_files_reserve(wal) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "list of log files");
    file = &wal->files[0];
    *file = (struct wal_file){.end = HEADER_BYTES};
    file->header = (struct wal_header){
        .flags = wal->config.is_alone ? HEADER_FLAG_ALONE : 0,
        .sequence = 1,
        .first_lsn = first_lsn,
        .lsn_ceiling = first_lsn + MNI_WAL_LSN_RESERVE,
        .file_bytes = wal->config.file_bytes,
        .time_us = wal->last_time_us,
    };
    mn_status st = wal_random_salt(wal, &file->header.salt, err);
    if (st == MN_OK && wal->config.any_store_id)
        st = mni_env_random(wal->config.env, wal->config.store_id, MNI_STORE_ID_BYTES, err);
    if (st != MN_OK)
        return st;
    memcpy(file->header.store_id, wal->config.store_id, MNI_STORE_ID_BYTES);
    (void)snprintf(temporary, sizeof temporary, "%020" PRIu64 ".new", first_lsn);
    wal_file_name(first_lsn, name);
    st = wal_file_make_fitting(wal, temporary, &file->header, HEADER_BYTES, &handle, &zeroed_to,
                               err);
    if (st != MN_OK)
        return st;
    wal->n_files = 1;
    wal_writer_attach(wal, handle, HEADER_BYTES, zeroed_to);
    st = mni_dir_rename(wal->config.dir, temporary, name, err);
    if (st == MN_OK)
        st = mni_dir_sync(wal->config.dir, err);
    if (st != MN_OK)
        mni_ignore(mni_dir_unlink(wal->config.dir, temporary, NULL));
    wal->next_lsn = first_lsn;
    return st;
}

/* All that was there becomes leftovers of the first file of a new log. */
static mn_status begin_anew(struct mni_wal *wal, struct listing *l, struct mn_error *err)
{
    mn_status st = wal_writer_init(wal, err);

    for (size_t i = 0; i < l->n_files && st == MN_OK; i++) {
        char entry[WAL_NAME_BYTES] = {0};
        wal_file_name(l->first_lsns[i], entry);
        if (l->first_lsns[i] != wal->config.checkpoint_lsn + 1 &&
            mni_buf_append(&l->leftovers, entry, sizeof entry) != MN_OK)
            st = mni_fail(err, MN_ERR_NOMEM, "list of log files");
    }
    if (st == MN_OK)
        st = make_first(wal, err);
    if (st == MN_OK)
        st = remove_leftovers(wal, l, err);
    if (st == MN_OK)
        st = wal_closed_remove(wal, err);
    return st == MN_OK ? mni_dir_sync(wal->config.dir, err) : st;
}

/* Marks count for nothing in an archive. A gap does, unless the stop lies before it. */
static mn_status end_archive(const struct recovery *r, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;

    bool is_reached = r->is_stopped ||
                      (wal->config.stop_lsn != 0 && r->last_lsn == wal->config.stop_lsn);

    if (r->has_gap && !is_reached)
        return mni_fail(err, r->gap.status, "%s", r->gap.message);
    wal->is_stopped = r->is_stopped || r->has_next;
    wal->checkpoint_lsn = 0;
    wal->newest_lsn = r->last_lsn;
    wal->next_lsn = r->last_lsn + 1;
    return MN_OK;
}

/* Of the files that count alone: one from before a restore tells of another past. */
static void heed_headers(struct mni_wal *wal)
{
    for (size_t i = 0; i < wal->n_files; i++)
        if (wal->files[i].header.checkpoint_lsn > wal->checkpoint_lsn)
            wal->checkpoint_lsn = wal->files[i].header.checkpoint_lsn;
}

static mn_status read_all(struct recovery *r, struct listing *l, struct mn_error *err)
{
    struct mni_wal *wal = r->wal;
    mn_status st = load_headers(wal, l, err);

    if (st == MN_OK)
        st = check_belongs(wal, err);
    if (st == MN_OK)
        st = wal->config.is_archive ? leave_wanted(r, err) : leave_chain(r, l, err);
    heed_headers(wal);
    for (size_t i = 0; i < wal->n_files && st == MN_OK; i++) {
        st = read_file(r, i, err);
        if (r->is_stopped)
            wal->n_files = i + 1; /* later files are not part of what was asked for */
    }
    if (st == MN_OK && wal->config.is_archive)
        return end_archive(r, err);
    if (st == MN_OK)
        st = check_oldest(r, err);
    if (st == MN_OK && !r->is_stopped && wal->checkpoint_lsn > r->last_lsn)
        st = mni_fail(err, MN_ERR_CORRUPT,
                      "the log ends with LSN %" PRIu64 ", but its checkpoint covers LSN %" PRIu64,
                      r->last_lsn, wal->checkpoint_lsn);
    if (st != MN_OK)
        return st;
    wal->newest_lsn = r->last_lsn;
    wal->next_lsn = lsn_to_go_on_with(r);
    /* Nobody gets there by counting. Half of them are left for this run. */
    if (!wal->config.read_only && wal->next_lsn > WAL_LSN_MAX / 2)
        return mni_fail(err, MN_ERR_LIMIT, "the log has used up its LSNs: the next is %" PRIu64,
                        wal->next_lsn);
    if (wal_current_file(wal)->header.time_us > wal->last_time_us && !r->is_stopped)
        wal->last_time_us = wal_current_file(wal)->header.time_us;
    return MN_OK;
}

/* By their names: an archive may have many more files than are wanted, and damaged ones. */
static void leave_near(const struct mni_wal *wal, struct listing *l)
{
    const struct mni_wal_config *c = &wal->config;
    size_t first = 0;

    while (c->stop_lsn != 0 && l->n_files > 1 && l->first_lsns[l->n_files - 2] > c->stop_lsn)
        l->n_files--;
    while (first + 1 < l->n_files && l->first_lsns[first + 1] <= c->checkpoint_lsn + 1)
        first++;
    if (first == 0)
        return;
    l->n_files -= first;
    memmove(l->first_lsns, l->first_lsns + first, l->n_files * sizeof *l->first_lsns);
}

mn_status wal_recover(struct mni_wal *wal, struct mn_error *err)
{
    struct listing l = {0};
    struct recovery r = {.wal = wal};
    mn_status st = mni_dir_list(wal->config.dir, note_name, &l, err);

    if (st != MN_OK)
        goto out;
    if (wal->config.is_anew) {
        st = begin_anew(wal, &l, err);
        goto out;
    }
    if (l.n_files > 1)
        qsort(l.first_lsns, l.n_files, sizeof *l.first_lsns, mni_compare_u64);
    if (wal->config.is_archive)
        leave_near(wal, &l);
    if (l.n_files > 0)
        st = read_all(&r, &l, err);
    else if (!wal->config.create || wal->config.read_only)
        st = mni_fail(err, MN_NOT_FOUND, "there is no log file");
    if (st == MN_OK && wal->config.check != NULL)
        st = wal->config.check(wal->config.replay_context, wal->checkpoint_lsn,
                               r.is_stopped ? UINT64_MAX : r.last_lsn, err);
    if (st != MN_OK || wal->config.read_only)
        goto out;
    st = remove_leftovers(wal, &l, err); /* first: their space may be needed */
    if (st == MN_OK)
        st = wal_writer_init(wal, err);
    if (st == MN_OK && l.n_files == 0)
        st = make_first(wal, err);
    else if (st == MN_OK && MNI_PLANTED("tail_appended_behind_garbage"))
        st = append_to_found(&r, err);
    else if (st == MN_OK)
        st = rewrite_newest(&r, err);
    /* It speaks of a file that is gone by now. */
    if (st == MN_OK)
        st = wal_closed_remove(wal, err);
out:
    mni_free(l.first_lsns);
    mni_buf_done(&l.leftovers);
    return st;
}
