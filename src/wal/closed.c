/*
 * closed.c - the file CLOSED: where a log that was closed cleanly ends.
 *
 * Owns:    nothing.
 * Format:  docs/format/wal.md
 * Threads: the one that opens or closes the log.
 * Fails:   reading, when the system says so. One that is damaged says nothing: the log is as good
 *          as without it. It names the salt of the file that it speaks of, so that one that was
 *          left from an earlier close says nothing but that the log had come so far.
 *
 * Frames vouch for what is before them. Only something outside of the newest file can vouch for its
 * end.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "wal/wal_private.h"

#define CLOSED_MAGIC "MNEMECLS"

enum {
    CLOSED_OFF_MAGIC = 0,     /* 8 bytes */
    CLOSED_OFF_VERSION = 8,   /* u32 */
    CLOSED_OFF_RESERVED = 12, /* u32, zero */
    CLOSED_OFF_SALT = 16,     /* u64, of the newest file */
    CLOSED_OFF_END = 24,      /* u64, offset behind its last frame before the seal */
    CLOSED_OFF_LAST = 32,     /* u64, newest LSN */
    CLOSED_OFF_NEXT = 40,     /* u64, the LSN to go on with */
    CLOSED_OFF_CRC = 48,      /* u32, CRC-32C of bytes 0..47 */
    CLOSED_BYTES = 52,
    CLOSED_VERSION = 1,
};
static_assert(CLOSED_OFF_CRC + 4 == CLOSED_BYTES, "CLOSED layout");
static_assert((int)CLOSED_BYTES <= (int)MNI_SECTOR_BYTES, "written whole or not at all");

void wal_closed_write(struct mni_wal *wal, uint64_t end)
{
    unsigned char bytes[CLOSED_BYTES] = {0};
    struct mni_file *file = NULL;

    memcpy(bytes + CLOSED_OFF_MAGIC, CLOSED_MAGIC, 8);
    mni_put_u32(bytes + CLOSED_OFF_VERSION, CLOSED_VERSION);
    mni_put_u64(bytes + CLOSED_OFF_SALT, wal_current_file(wal)->header.salt);
    mni_put_u64(bytes + CLOSED_OFF_END, end);
    mni_put_u64(bytes + CLOSED_OFF_LAST, wal->newest_lsn);
    mni_put_u64(bytes + CLOSED_OFF_NEXT, wal->next_lsn);
    mni_put_u32(bytes + CLOSED_OFF_CRC, mni_crc32c(0, bytes, CLOSED_OFF_CRC));
    mn_status st = wal_closed_remove(wal, NULL);
    if (st != MN_OK)
        return;
    st = mni_dir_open_file(wal->config.dir, WAL_CLOSED_NAME, MNI_OPEN_WRITE | MNI_OPEN_CREATE,
                           &file, NULL);
    if (st != MN_OK)
        return;
    st = mni_file_write(file, 0, bytes, sizeof bytes, NULL);
    if (st == MN_OK)
        st = mni_file_sync(file, NULL);
    mni_file_close(file);
    if (st == MN_OK)
        st = mni_dir_sync(wal->config.dir, NULL);
    mni_ignore(st);
}

mn_status wal_closed_read(struct mni_dir *dir, struct wal_closed *closed_out, struct mn_error *err)
{
    unsigned char bytes[CLOSED_BYTES + 1];
    struct mni_file *file = NULL;
    size_t n_read = 0;

    *closed_out = (struct wal_closed){0};
    mn_status st = mni_dir_open_file(dir, WAL_CLOSED_NAME, MNI_OPEN_READ, &file, NULL);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st != MN_OK)
        return mni_fail(err, st, "wal/%s cannot be opened", WAL_CLOSED_NAME);
    st = mni_file_read(file, 0, bytes, sizeof bytes, &n_read, err);
    mni_file_close(file);
    if (st != MN_OK)
        return st;
    if (n_read != CLOSED_BYTES || memcmp(bytes + CLOSED_OFF_MAGIC, CLOSED_MAGIC, 8) != 0 ||
        mni_get_u32(bytes + CLOSED_OFF_CRC) != mni_crc32c(0, bytes, CLOSED_OFF_CRC) ||
        mni_get_u32(bytes + CLOSED_OFF_VERSION) != CLOSED_VERSION ||
        mni_get_u32(bytes + CLOSED_OFF_RESERVED) != 0 ||
        mni_get_u64(bytes + CLOSED_OFF_NEXT) <= mni_get_u64(bytes + CLOSED_OFF_LAST))
        return MN_OK;
    closed_out->is_there = true;
    closed_out->salt = mni_get_u64(bytes + CLOSED_OFF_SALT);
    closed_out->end = mni_get_u64(bytes + CLOSED_OFF_END);
    closed_out->last_lsn = mni_get_u64(bytes + CLOSED_OFF_LAST);
    closed_out->next_lsn = mni_get_u64(bytes + CLOSED_OFF_NEXT);
    return MN_OK;
}

mn_status wal_closed_remove(struct mni_wal *wal, struct mn_error *err)
{
    mn_status st = mni_dir_unlink(wal->config.dir, WAL_CLOSED_NAME, err);

    return st == MN_NOT_FOUND ? MN_OK : st;
}
