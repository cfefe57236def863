/*
 * scan.c - walks the frames of one log file, and looks behind the last one.
 *
 * Owns:    a window of the file's bytes, at most a little larger than the largest frame.
 * Format:  docs/format/wal.md
 * Threads: one per scan.
 * Fails:   MN_END where no valid frame begins; MN_ERR_CORRUPT for a valid frame that lies.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/check.h"
#include "wal/wal_private.h"

enum { WINDOW_BYTES = 256 << 10 };

void wal_scan_init(struct wal_scan *scan, struct mni_file *file, const char *name,
                   const struct wal_header *header)
{
    *scan = (struct wal_scan){
        .file = file,
        .name = name,
        .header = header,
        .offset = HEADER_BYTES,
        .last_lsn = header->prev_last_lsn,
        .window_offset = HEADER_BYTES,
    };
}

void wal_scan_done(struct wal_scan *scan)
{
    mni_buf_done(&scan->window);
}

/* Brings bytes [offset, offset + n) of the file into the window. MN_END: the file ends before. */
static mn_status fill_window(struct wal_scan *scan, uint64_t offset, size_t n, struct mn_error *err)
{
    struct mni_buf *w = &scan->window;
    uint64_t window_end = scan->window_offset + w->n_bytes;

    if (offset >= scan->window_offset && offset + n <= window_end)
        return MN_OK;
    if (offset > scan->header->file_bytes || n > scan->header->file_bytes - offset)
        return MN_END;
    size_t kept = 0;
    if (offset >= scan->window_offset && offset < window_end) {
        kept = (size_t)(window_end - offset);
        memmove(w->data, w->data + (offset - scan->window_offset), kept);
    }
    w->n_bytes = kept;
    scan->window_offset = offset;
    size_t want = WINDOW_BYTES;
    if (want > scan->header->file_bytes - offset)
        want = (size_t)(scan->header->file_bytes - offset);
    if (want < n)
        want = n;
    if (mni_buf_reserve(w, want - kept) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "a window of %zu bytes to read the log", want);
    size_t n_read;
    mn_status st =
        mni_file_read(scan->file, offset + kept, w->data + kept, want - kept, &n_read, err);
    if (st != MN_OK)
        return st;
    w->n_bytes = kept + n_read;
    return w->n_bytes >= n ? MN_OK : MN_END;
}

static mn_status fail_lying(const struct wal_scan *scan, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_CORRUPT,
                    "wal/%s: the frame at offset %" PRIu64 " after LSN %" PRIu64
                    " says something impossible",
                    scan->name, scan->offset, scan->last_lsn);
}

/* A frame with good checksums: does it follow from what came before? */
static bool follows(const struct wal_scan *scan, const struct wal_frame *f)
{
    if (!wal_frame_is_sane(f, scan->offset, scan->header->file_bytes))
        return false;
    if (f->type != FRAME_COMMIT)
        return f->lsn == scan->last_lsn;
    return f->lsn > scan->last_lsn && f->lsn >= scan->header->first_lsn &&
           f->lsn <= scan->header->lsn_ceiling;
}

mn_status wal_scan_next(struct wal_scan *scan, struct wal_frame *frame_out,
                        const unsigned char **payload_out, struct mn_error *err)
{
    struct wal_frame f;
    mn_status st;

    MNI_CHECK(scan->offset % FRAME_ALIGN == 0);
    st = fill_window(scan, scan->offset, FRAME_HEADER_BYTES, err);
    if (st != MN_OK)
        return st;
    const unsigned char *bytes = scan->window.data + (scan->offset - scan->window_offset);
    if (!wal_frame_decode(bytes, scan->header->salt, scan->offset, &f))
        return MN_END;
    if (!follows(scan, &f))
        return fail_lying(scan, err);
    if (payload_out != NULL) {
        st = fill_window(scan, scan->offset, f.frame_bytes, err);
        if (st != MN_OK)
            return st;
        bytes = scan->window.data + (scan->offset - scan->window_offset);
        const unsigned char *payload = bytes + FRAME_HEADER_BYTES;
        size_t padded = f.frame_bytes - FRAME_HEADER_BYTES;
        if (wal_payload_crc(0, payload, wal_crc_covers(0, padded)) != f.payload_crc)
            return MN_END;
        if (!mni_is_zero(payload + f.payload_bytes, padded - f.payload_bytes))
            return fail_lying(scan, err);
        *payload_out = payload;
    }
    scan->offset += f.frame_bytes;
    scan->last_lsn = f.lsn;
    *frame_out = f;
    return MN_OK;
}

/* Cheap signs that a frame header may begin here, before its checksum is computed. */
static bool may_be_frame(const unsigned char *p, const struct wal_scan *scan, uint64_t offset)
{
    uint32_t frame_bytes = mni_get_u32(p + FRAME_OFF_BYTES);
    uint64_t lsn = mni_get_u64(p + FRAME_OFF_LSN);
    uint32_t type = mni_get_u32(p + FRAME_OFF_TYPE);

    return type >= FRAME_COMMIT && type <= FRAME_ROTATED && frame_bytes >= FRAME_HEADER_BYTES &&
           frame_bytes % FRAME_ALIGN == 0 && frame_bytes <= scan->header->file_bytes - offset &&
           lsn >= scan->last_lsn && lsn <= scan->header->lsn_ceiling;
}

mn_status wal_scan_skip_damage(struct wal_scan *scan, struct mn_error *err)
{
    const uint64_t file_bytes = scan->header->file_bytes;

    for (uint64_t at = scan->offset + FRAME_ALIGN; at + FRAME_HEADER_BYTES <= file_bytes;
         at += FRAME_ALIGN) {
        struct wal_frame f;
        mn_status st = fill_window(scan, at, FRAME_HEADER_BYTES, err);
        if (st != MN_OK)
            return st;
        const unsigned char *p = scan->window.data + (at - scan->window_offset);
        if (!may_be_frame(p, scan, at) || !wal_frame_decode(p, scan->header->salt, at, &f) ||
            !wal_frame_is_sane(&f, at, file_bytes))
            continue;
        scan->offset = at;
        scan->last_lsn = f.type == FRAME_COMMIT ? f.lsn - 1 : f.lsn;
        return MN_OK;
    }
    return MN_END;
}

/* A later frame: the LSN before it was synced if the frame knows everything before it to be. */
static void note_later(struct wal_beyond *beyond, const struct wal_frame *f, uint64_t offset,
                       uint64_t *remnant_end)
{
    uint64_t lsn_before = f->type == FRAME_COMMIT ? f->lsn - 1 : f->lsn;

    if (f->synced_end > beyond->synced_end) {
        beyond->synced_end = f->synced_end;
        beyond->last_lsn = lsn_before;
    }
    if (offset + f->frame_bytes > *remnant_end)
        *remnant_end = offset + f->frame_bytes;
}

mn_status wal_scan_beyond(struct wal_scan *scan, struct wal_beyond *beyond_out,
                          struct mn_error *err)
{
    const uint64_t file_bytes = scan->header->file_bytes;
    bool is_recycled = (scan->header->flags & HEADER_FLAG_RECYCLED) != 0;
    struct wal_beyond beyond = {0};
    uint64_t remnant_end = scan->offset;

    for (uint64_t at = scan->offset; at < file_bytes;) {
        size_t want = WINDOW_BYTES;
        if (want > file_bytes - at)
            want = (size_t)(file_bytes - at);
        mn_status st = fill_window(scan, at, want, err);
        if (st != MN_OK && st != MN_END)
            return st;
        const unsigned char *p = scan->window.data + (at - scan->window_offset);
        uint64_t n = scan->window_offset + scan->window.n_bytes - at;
        bool is_end = at + n >= file_bytes || st == MN_END;
        /* Headers that straddle the window's end are seen in the next window. */
        uint64_t last = is_end ? n : n - (FRAME_HEADER_BYTES - FRAME_ALIGN);
        for (uint64_t i = 0; i + FRAME_ALIGN <= last; i += FRAME_ALIGN) {
            struct wal_frame f;
            if (mni_get_u64(p + i) != 0 && !is_recycled)
                remnant_end = at + i + FRAME_ALIGN;
            if (i + FRAME_HEADER_BYTES <= n && may_be_frame(p + i, scan, at + i) &&
                wal_frame_decode(p + i, scan->header->salt, at + i, &f))
                note_later(&beyond, &f, at + i, &remnant_end);
        }
        if (is_end)
            break;
        at += last;
    }
    beyond.remnant_bytes = remnant_end - scan->offset;
    *beyond_out = beyond;
    return MN_OK;
}
