/*
 * writer.c - the bytes on their way into the newest log file.
 *
 * Owns:    the open file and the buffer of frames that are not written yet.
 * Format:  docs/format/wal.md
 * Threads: the leader only.
 * Fails:   a failed write or sync poisons the log until it is opened again; it is never retried,
 *          because a second fsync may succeed without writing what the first one lost.
 *
 *     file   ....|=====block=====|=====block=====|=====block=====|....
 *                                ^ buffer_offset
 *     buffer                     [ written ... | not yet .....   ]
 *                                              ^ n_written       ^ n_bytes
 *
 * With direct I/O whole blocks are written: the last, partial block is written again with the
 * frames that follow. Its sectors hold the same bytes up to where the new frames begin, so a torn
 * write cannot harm what was synced.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"
#include "wal/wal_private.h"

mn_status wal_poison(struct mni_wal *wal, mn_status status, const struct mn_error *err)
{
    if (atomic_load(&wal->is_poisoned))
        return status;
    if (err != NULL)
        wal->poison = *err;
    else
        mni_ignore(mni_fail(&wal->poison, status, "%s", mn_status_name(status)));
    atomic_store(&wal->is_poisoned, true);
    return status;
}

mn_status wal_fail_poisoned(struct mni_wal *wal, struct mn_error *err)
{
    mn_status st = mni_fail(err, MN_ERR_POISONED,
                            "the log is read-only since this failed, open it again: %.300s",
                            wal->poison.message);
    if (err != NULL)
        err->os_errno = wal->poison.os_errno;
    return st;
}

mn_status wal_writer_init(struct mni_wal *wal, struct mn_error *err)
{
    struct wal_writer *w = &wal->writer;
    size_t capacity = MNI_WAL_BUFFER_BYTES;

    if (capacity > wal->config.file_bytes)
        capacity = (size_t)mni_align_up(wal->config.file_bytes, MNI_DIRECT_ALIGN);
    w->buffer = mni_alloc_aligned(MNI_DIRECT_ALIGN, capacity);
    if (w->buffer == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "log buffer of %zu bytes", capacity);
    w->buffer_bytes = capacity;
    w->block_bytes = 1;
    return MN_OK;
}

void wal_writer_done(struct mni_wal *wal)
{
    mni_file_close(wal->writer.file);
    mni_free(wal->writer.buffer);
    wal->writer = (struct wal_writer){0};
}

void wal_writer_attach(struct mni_wal *wal, struct mni_file *file, uint64_t end, uint64_t zeroed_to)
{
    struct wal_writer *w = &wal->writer;

    MNI_CHECK(end % w->block_bytes == 0);
    MNI_CHECK(w->file == NULL);
    w->file = file;
    w->buffer_offset = end;
    w->n_bytes = 0;
    w->n_written = 0;
    w->zeroed_to = zeroed_to;
    w->has_unsynced = false;
    atomic_store_explicit(&wal->filled_bytes, end, memory_order_relaxed);
    wal->synced_end = end;
}

/* Zeroes the file ahead of `end`, so that a synced write there changes no metadata. */
static mn_status zero_ahead(struct mni_wal *wal, uint64_t end, struct mn_error *err)
{
    struct wal_writer *w = &wal->writer;
    uint64_t file_bytes = wal_current_file(wal)->header.file_bytes;

    if (end <= w->zeroed_to)
        return MN_OK;
    MNI_CHECK(end <= file_bytes);
    uint64_t to = mni_align_up(end + MNI_WAL_ZERO_CHUNK_BYTES, MNI_DIRECT_ALIGN);
    if (to > file_bytes)
        to = file_bytes;
    mn_status st = wal_write_zeroes(w->file, w->zeroed_to, to, err);
    if (st != MN_OK)
        return st;
    st = mni_file_sync(w->file, err);
    if (st != MN_OK)
        return st;
    wal->n_syncs++;
    wal->bytes_written += to - w->zeroed_to;
    w->zeroed_to = to;
    return MN_OK;
}

/* Writes the buffer up to `n` bytes (its end, or a border of blocks) and keeps the partial last
 * block in it. */
static mn_status write_buffer(struct mni_wal *wal, size_t n, bool durable, struct mn_error *err)
{
    struct wal_writer *w = &wal->writer;
    size_t from = (size_t)mni_align_down(w->n_written, w->block_bytes);
    size_t to = (size_t)mni_align_up(n, w->block_bytes);
    mn_status st = MN_OK;

    if (n == w->n_written)
        return MN_OK;
    MNI_CHECK(to <= w->buffer_bytes && from < to);
    if (to > w->n_bytes)
        memset(w->buffer + w->n_bytes, 0, to - w->n_bytes);
    if (w->buffer_offset + to > w->zeroed_to) {
        if (to - from >= WAL_UNZEROED_BYTES_MIN) {
            durable = false; /* the sync also commits that this space is written now */
            w->zeroed_to = w->buffer_offset + to;
        } else {
            st = zero_ahead(wal, w->buffer_offset + to, err);
        }
    }
    if (st != MN_OK)
        goto out;
    if (durable)
        st = mni_file_write_durable(w->file, w->buffer_offset + from, w->buffer + from, to - from,
                                    err);
    else
        st = mni_file_write(w->file, w->buffer_offset + from, w->buffer + from, to - from, err);
    if (st != MN_OK)
        goto out;
    wal->bytes_written += to - from;
    atomic_store_explicit(&wal->filled_bytes, w->buffer_offset + to, memory_order_relaxed);
    if (durable)
        wal->n_syncs++;
    else
        w->has_unsynced = true;
    size_t done = (size_t)mni_align_down(n, w->block_bytes);
    memmove(w->buffer, w->buffer + done, w->n_bytes - done);
    w->buffer_offset += done;
    w->n_bytes -= done;
    w->n_written = n - done;
out:
    return st == MN_OK ? st : wal_poison(wal, st, err);
}

mn_status wal_writer_append(struct mni_wal *wal, const void *data, size_t n, struct mn_error *err)
{
    struct wal_writer *w = &wal->writer;
    const unsigned char *p = data;

    while (n > 0) {
        size_t space = w->buffer_bytes - w->n_bytes;
        if (space == 0) {
            mn_status st = write_buffer(wal, w->n_bytes, false, err);
            if (st != MN_OK)
                return st;
            continue;
        }
        size_t chunk = n < space ? n : space;
        memcpy(w->buffer + w->n_bytes, p, chunk);
        w->n_bytes += chunk;
        p += chunk;
        n -= chunk;
    }
    return MN_OK;
}

static mn_status sync_file(struct mni_wal *wal, struct mn_error *err)
{
    mn_status st = mni_file_sync(wal->writer.file, err);

    if (st != MN_OK && MNI_PLANTED("retried_sync"))
        st = mni_file_sync(wal->writer.file, err);
    if (st != MN_OK)
        return wal_poison(wal, st, err);
    wal->n_syncs++;
    wal->writer.has_unsynced = false;
    return MN_OK;
}

mn_status wal_writer_put_out(struct mni_wal *wal, mn_ack ack, struct mn_error *err)
{
    struct wal_writer *w = &wal->writer;
    bool wants_sync = ack >= MN_ACK_DISK;
    uint64_t n_syncs = wal->n_syncs;
    mn_status st;

    if (atomic_load(&wal->is_poisoned))
        return wal_fail_poisoned(wal, err);
    if (ack < MN_ACK_OS)
        return MN_OK;
    if (wants_sync && MNI_PLANTED("ack_before_sync"))
        wants_sync = false;
    int64_t start_us = wants_sync ? mni_env_mono_us(wal->config.env) : 0;
    st = write_buffer(wal, w->n_bytes, wants_sync && !w->has_unsynced, err);
    if (st != MN_OK)
        return st;
    atomic_store(&wal->written_lsn, wal->newest_lsn);
    if (!wants_sync)
        return MN_OK;
    if (w->has_unsynced) {
        st = sync_file(wal, err);
        if (st != MN_OK)
            return st;
    }
    wal->synced_lsn = wal->newest_lsn;
    wal->synced_end = wal_writer_end(w);
    wal->commits_since_sync = 0;
    wal->last_sync_us = mni_env_mono_us(wal->config.env);
    /* A second sync was that of zeroes ahead: such a commit is slow by itself. */
    if (wal->n_syncs == n_syncs + 1 && wal->config.hooks.synced != NULL)
        wal->config.hooks.synced(wal->config.hooks.context, wal->last_sync_us - start_us,
                                 wal->last_sync_us);
    return MN_OK;
}

mn_status wal_writer_append_mark(struct mni_wal *wal, enum wal_frame_type type, uint64_t value,
                                 struct mn_error *err)
{
    unsigned char bytes[MARK_BYTES];
    struct wal_file *file = wal_current_file(wal);
    struct wal_frame frame = {
        .frame_bytes = MARK_BYTES,
        .lsn = wal->newest_lsn,
        .synced_end = wal->synced_end,
        .time_us = wal->last_time_us,
        .payload_bytes = MARK_PAYLOAD_BYTES,
        .type = type,
    };

    MNI_CHECK(wal_writer_end(&wal->writer) + MARK_BYTES <= file->header.file_bytes);
    mni_put_u64(bytes + FRAME_HEADER_BYTES, value);
    frame.payload_crc = wal_payload_crc(0, bytes + FRAME_HEADER_BYTES, MARK_PAYLOAD_BYTES);
    wal_frame_encode(&frame, file->header.salt, wal_writer_end(&wal->writer), bytes);
    return wal_writer_append(wal, bytes, MARK_BYTES, err);
}
