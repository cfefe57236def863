/*
 * cursor.c - reads the log from an LSN on, also while it grows.
 *
 * Owns:    its own handle on the file it reads, and a window of it.
 * Threads: one at a time per cursor; the log goes on beside it.
 * Fails:   MN_NOT_FOUND when what it should read was trimmed before it came there.
 *
 * It reads no byte that is not in the file yet: only frames up to `visible_lsn`, and those still in
 * the buffer (they were acknowledged at MN_ACK_NONE) are handed to the kernel first. A file that a
 * cursor reads is never recycled, so its bytes stay what they are; if it is trimmed meanwhile, the
 * open handle keeps it alive.
 */
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "wal/wal_private.h"

struct mni_wal_cursor {
    struct mni_wal *wal;         /* borrowed; outlives the cursor */
    struct mni_wal_cursor *next; /* in wal->cursors */
    uint64_t from_lsn;           /* entries below are passed over */
    uint64_t first_lsn;          /* of the file it reads */
    struct wal_header header;    /* of that file */
    struct mni_file *file;       /* owned */
    char name[WAL_NAME_BYTES];
    struct wal_scan scan;
    bool is_newest;     /* the file was the newest one when last looked at */
    bool is_trimmed;    /* the file is no longer part of the log */
    uint64_t known_end; /* frames of the file up to here are in it */
};

bool wal_is_being_read(struct mni_wal *wal, uint64_t first_lsn)
{
    bool found = false;

    mni_mutex_lock(&wal->queue_lock);
    for (const struct mni_wal_cursor *c = wal->cursors; c != NULL; c = c->next)
        found = found || c->first_lsn == first_lsn;
    mni_mutex_unlock(&wal->queue_lock);
    return found;
}

unsigned mni_wal_n_cursors(struct mni_wal *wal)
{
    mni_mutex_lock(&wal->queue_lock);
    unsigned n = wal->n_cursors;
    mni_mutex_unlock(&wal->queue_lock);
    return n;
}

/* Learns how far the cursor's file reaches by now. Holds the role. */
static mn_status look_again(struct mni_wal_cursor *c, struct mn_error *err)
{
    struct mni_wal *wal = c->wal;
    struct mni_commit role;
    mn_status st = MN_OK;

    if (wal->config.read_only) {
        for (size_t i = 0; i < wal->n_files; i++)
            if (wal->files[i].header.first_lsn == c->first_lsn) {
                c->known_end = wal->files[i].end;
                c->is_newest = i + 1 == wal->n_files;
            }
        return MN_OK;
    }
    mni_wal_enter(wal, &role);
    bool found = false;
    for (size_t i = 0; i < wal->n_files; i++) {
        if (wal->files[i].header.first_lsn != c->first_lsn)
            continue;
        /* A file without a commit may have been replaced by one of the same name. */
        found = wal->files[i].header.salt == c->header.salt;
        c->is_newest = i + 1 == wal->n_files;
        c->known_end = wal->files[i].end;
    }
    if (found && c->is_newest) {
        if (!atomic_load(&wal->is_poisoned))
            st = wal_writer_put_out(wal, MN_ACK_OS, err);
        c->known_end = wal->writer.buffer_offset + wal->writer.n_written;
    }
    mni_wal_leave(wal);
    /* A trimmed file was complete: the scan tells where its frames end. */
    c->is_trimmed = !found;
    if (!found) {
        c->is_newest = false;
        c->known_end = c->header.file_bytes;
    }
    return st;
}

/* Opens the file that holds `lsn`, or the first one behind it. Holds no role. */
static mn_status open_file_of(struct mni_wal_cursor *c, uint64_t lsn, struct mn_error *err)
{
    struct mni_wal *wal = c->wal;
    struct mni_commit role;
    size_t index = 0;

    if (!wal->config.read_only)
        mni_wal_enter(wal, &role);
    while (index + 1 < wal->n_files && wal->files[index + 1].header.prev_last_lsn < lsn)
        index++;
    const struct wal_file *file = &wal->files[index];
    mn_status st = MN_OK;
    if (lsn <= file->header.prev_last_lsn)
        st = mni_fail(err, MN_NOT_FOUND,
                      "the log begins behind LSN %" PRIu64 ", LSN %" PRIu64 " was trimmed",
                      file->header.prev_last_lsn, lsn);
    if (st == MN_OK) {
        st = wal_open_for_reading(wal, file->header.first_lsn, c->name, &c->file, err);
    }
    if (st == MN_OK) {
        mni_mutex_lock(&wal->queue_lock);
        c->first_lsn = file->header.first_lsn;
        mni_mutex_unlock(&wal->queue_lock);
        c->header = file->header;
        c->known_end = HEADER_BYTES;
        c->is_trimmed = false;
    }
    if (!wal->config.read_only)
        mni_wal_leave(wal);
    if (st == MN_OK)
        wal_scan_init(&c->scan, c->file, c->name, &c->header);
    return st;
}

static void close_file(struct mni_wal_cursor *c)
{
    wal_scan_done(&c->scan);
    mni_file_close(c->file);
    c->file = NULL;
}

mn_status mni_wal_cursor_open(struct mni_wal *wal, uint64_t from_lsn,
                              struct mni_wal_cursor **cursor_out, struct mn_error *err)
{
    struct mni_wal_cursor *c = mni_alloc_zero(sizeof *c);

    if (c == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "log cursor");
    c->wal = wal;
    c->from_lsn = from_lsn == 0 ? 1 : from_lsn;
    mni_mutex_lock(&wal->queue_lock);
    c->next = wal->cursors;
    wal->cursors = c;
    wal->n_cursors++;
    mni_mutex_unlock(&wal->queue_lock);
    mn_status st = open_file_of(c, c->from_lsn, err);
    if (st != MN_OK) {
        mni_wal_cursor_close(c);
        return st;
    }
    *cursor_out = c;
    return MN_OK;
}

void mni_wal_cursor_close(struct mni_wal_cursor *cursor)
{
    if (cursor == NULL)
        return;
    struct mni_wal *wal = cursor->wal;
    mni_mutex_lock(&wal->queue_lock);
    struct mni_wal_cursor **link = &wal->cursors;
    while (*link != cursor)
        link = &(*link)->next;
    *link = cursor->next;
    wal->n_cursors--;
    mni_mutex_unlock(&wal->queue_lock);
    close_file(cursor);
    mni_free(cursor);
}

/* Goes on to the file behind this one. MN_END: there is none. */
static mn_status next_file(struct mni_wal_cursor *c, struct mn_error *err)
{
    uint64_t last_lsn = c->scan.last_lsn;

    close_file(c);
    return open_file_of(c, last_lsn + 1, err);
}

/* The next frame that is visible and in the file. */
static mn_status next_frame(struct mni_wal_cursor *c, struct wal_frame *frame_out,
                            const unsigned char **payload_out, struct mn_error *err)
{
    bool has_looked = false;

    for (;;) {
        if (c->file == NULL)
            return mni_fail(err, MN_ERR_INVALID, "the cursor failed before");
        if (c->scan.offset < c->known_end) {
            mn_status st = wal_scan_next(&c->scan, frame_out, payload_out, err);
            if (st != MN_END)
                return st;
            if (!c->is_trimmed)
                return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: damaged at offset %" PRIu64, c->name,
                                c->scan.offset);
        } else if (!has_looked) {
            mn_status st = look_again(c, err);
            if (st != MN_OK)
                return st;
            has_looked = true;
            /* The window may hold bytes from before they were written. */
            c->scan.window.n_bytes = 0;
            continue;
        }
        if (c->is_newest)
            return MN_END;
        mn_status st = next_file(c, err);
        if (st != MN_OK)
            return st;
        has_looked = false;
    }
}

mn_status mni_wal_cursor_next(struct mni_wal_cursor *cursor, struct mni_wal_entry *entry_out,
                              struct mn_error *err)
{
    struct wal_frame f;
    const unsigned char *payload;

    if (cursor->scan.last_lsn >= mni_wal_visible_lsn(cursor->wal))
        return MN_END;
    do {
        mn_status st = next_frame(cursor, &f, &payload, err);
        if (st != MN_OK)
            return st;
    } while (f.type != FRAME_COMMIT || f.lsn < cursor->from_lsn);
    *entry_out = (struct mni_wal_entry){
        .lsn = f.lsn,
        .time_us = f.time_us,
        .n_records = f.n_records,
        .payload = {payload, f.frame_bytes - FRAME_HEADER_BYTES},
    };
    return MN_OK;
}
