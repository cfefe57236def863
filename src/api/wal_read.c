/*
 * wal_read.c - the records of a log on its own, one by one: cursors and replay.
 *
 * Owns:    each cursor the log's cursor below it.
 * Format:  docs/format/wal.md, "records of a log on its own"
 * Threads: one at a time per cursor.
 * Fails:   MN_ERR_CORRUPT when a commit is not made of records; none of it is shown then.
 */
#include <inttypes.h>

#include "api/wal_private.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"

struct mn_wal_cursor {
    mn_wal *wal;                  /* borrowed; is not closed before */
    struct mni_wal_cursor *below; /* owned */
    struct mni_wal_entry entry;   /* borrowed from `below` until its next call */
    size_t offset;                /* in the entry's payload, of the next record */
    uint32_t index;               /* of the next record */
};

/* The record at the start of `bytes`. False when it is none. */
static bool read_record(const unsigned char *bytes, size_t n_available, struct mn_slice *data_out,
                        size_t *n_used_out)
{
    if (n_available < ALONE_OFF_DATA)
        return false;
    uint32_t n_bytes = mni_get_u32(bytes + ALONE_OFF_BYTES);
    if (mni_get_u32(bytes + ALONE_OFF_RESERVED) != 0 || n_bytes > n_available - ALONE_OFF_DATA)
        return false;
    size_t n_padded = (size_t)mni_align_up(n_bytes, ALONE_ALIGN);
    if (n_padded > n_available - ALONE_OFF_DATA ||
        !mni_is_zero(bytes + ALONE_OFF_DATA + n_bytes, n_padded - n_bytes))
        return false;
    *data_out = (struct mn_slice){bytes + ALONE_OFF_DATA, n_bytes};
    *n_used_out = ALONE_OFF_DATA + n_padded;
    return true;
}

/* A commit is shown only when all of it is good. */
static mn_status check_entry(const struct mni_wal_entry *entry, struct mn_error *err)
{
    const unsigned char *p = entry->payload.data;
    size_t n = entry->payload.n_bytes;
    size_t offset = 0;

    for (uint32_t i = 0; i < entry->n_records; i++) {
        struct mn_slice data;
        size_t n_used;
        if (!read_record(p + offset, n - offset, &data, &n_used))
            return mni_fail(err, MN_ERR_CORRUPT,
                            "the commit of LSN %" PRIu64 " holds no record at its offset %zu",
                            entry->lsn, offset);
        offset += n_used;
    }
    if (offset != n)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "the commit of LSN %" PRIu64 " has %zu bytes behind its %" PRIu32
                        " records",
                        entry->lsn, n - offset, entry->n_records);
    return MN_OK;
}

static mn_status next_entry(mn_wal_cursor *cursor, struct mn_error *err)
{
    struct mni_wal_entry entry;
    mn_status st = mni_wal_cursor_next(cursor->below, &entry, err);

    if (st != MN_OK)
        return st;
    cursor->entry.n_records = 0;
    cursor->offset = 0;
    cursor->index = 0;
    st = check_entry(&entry, err);
    if (st == MN_OK)
        cursor->entry = entry;
    return st;
}

mn_status mn_wal_cursor_open(mn_wal *wal, uint64_t from_lsn, mn_wal_cursor **cursor_out,
                             struct mn_error *err)
{
    mn_status st = api_wal_check(wal, err);

    if (st != MN_OK)
        return st;
    if (cursor_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "no place for the cursor");
    mn_wal_cursor *cursor = mni_alloc_zero(sizeof *cursor);
    if (cursor == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "log cursor");
    cursor->wal = wal;
    st = mni_wal_cursor_open(wal->log, from_lsn, &cursor->below, err);
    if (st != MN_OK) {
        mni_free(cursor);
        return st;
    }
    *cursor_out = cursor;
    return MN_OK;
}

/* MN_END leaves `err` alone. */
static mn_status next_record(mn_wal_cursor *cursor, struct mn_wal_record *record_out,
                             struct mn_error *err)
{
    mn_status st = api_wal_check(cursor->wal, err);

    if (st == MN_OK && cursor->index == cursor->entry.n_records)
        st = next_entry(cursor, err);
    if (st != MN_OK)
        return st;
    const struct mni_wal_entry *entry = &cursor->entry;
    const unsigned char *p = entry->payload.data;
    struct mn_wal_record record = {
        .lsn = entry->lsn,
        .commit_time_us = entry->time_us,
        .index_in_commit = cursor->index,
        .n_in_commit = entry->n_records,
    };
    size_t n_used = 0;
    bool is_good = read_record(p + cursor->offset, entry->payload.n_bytes - cursor->offset,
                               &record.data, &n_used);
    MNI_CHECK(is_good);
    cursor->offset += n_used;
    cursor->index++;
    *record_out = record;
    return MN_OK;
}

mn_status mn_wal_cursor_next(mn_wal_cursor *cursor, struct mn_wal_record *record_out,
                             struct mn_error *err)
{
    if (cursor == NULL || record_out == NULL)
        return mni_fail(err, MN_ERR_INVALID, "mn_wal_cursor_next needs a cursor and a record");
    mn_status st = next_record(cursor, record_out, err);
    if (st == MN_END)
        return mni_fail(err, st, "the log holds no more records for now");
    return st;
}

void mn_wal_cursor_close(mn_wal_cursor *cursor)
{
    /* In a forked child the log's locks may be held by threads that are not there. */
    if (cursor == NULL || mni_fork_guard_is_child(cursor->wal->guard))
        return;
    mni_wal_cursor_close(cursor->below);
    mni_free(cursor);
}

mn_status mn_wal_recover(mn_wal *wal, mn_wal_replay_fn *each, void *context, struct mn_error *err)
{
    struct mni_wal_stats stats;
    mn_wal_cursor *cursor = NULL;
    mn_status st = api_wal_check(wal, err);

    if (st != MN_OK)
        return st;
    if (each == NULL)
        return mni_fail(err, MN_ERR_INVALID, "mn_wal_recover needs a function to call");
    mni_wal_get_stats(wal->log, &stats);
    st = mn_wal_cursor_open(wal, stats.checkpoint_lsn + 1, &cursor, err);
    if (st != MN_OK)
        return st;
    for (;;) {
        struct mn_wal_record record;
        st = next_record(cursor, &record, err);
        /* What others append meanwhile is not part of this replay, so that it ends. */
        if (st == MN_END || (st == MN_OK && record.lsn > stats.current_lsn)) {
            st = MN_OK;
            break;
        }
        if (st != MN_OK)
            break;
        st = each(context, &record);
        if (st != MN_OK)
            break;
    }
    mn_wal_cursor_close(cursor);
    return st;
}
