/*
 * format.c - the codec of the log's file headers and frame headers.
 *
 * Owns:    nothing.
 * Format:  docs/format/wal.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT and MN_ERR_UNSUPPORTED for headers; a frame is valid or it is not.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "wal/wal_private.h"

void wal_header_encode(const struct wal_header *h, unsigned char *out)
{
    memset(out, 0, HEADER_BYTES);
    memcpy(out + HEADER_OFF_MAGIC, WAL_MAGIC, 8);
    mni_put_u32(out + HEADER_OFF_VERSION, WAL_VERSION);
    mni_put_u32(out + HEADER_OFF_FLAGS, h->flags);
    memcpy(out + HEADER_OFF_STORE_ID, h->store_id, sizeof h->store_id);
    mni_put_u64(out + HEADER_OFF_SEQUENCE, h->sequence);
    mni_put_u64(out + HEADER_OFF_FIRST_LSN, h->first_lsn);
    mni_put_u64(out + HEADER_OFF_LSN_CEILING, h->lsn_ceiling);
    mni_put_u64(out + HEADER_OFF_SALT, h->salt);
    mni_put_u64(out + HEADER_OFF_FILE_BYTES, h->file_bytes);
    mni_put_u64(out + HEADER_OFF_PREV_FIRST, h->prev_first_lsn);
    mni_put_u64(out + HEADER_OFF_PREV_SALT, h->prev_salt);
    mni_put_u64(out + HEADER_OFF_PREV_END, h->prev_end);
    mni_put_u64(out + HEADER_OFF_PREV_LAST, h->prev_last_lsn);
    mni_put_u64(out + HEADER_OFF_CHECKPOINT, h->checkpoint_lsn);
    mni_put_i64(out + HEADER_OFF_TIME, h->time_us);
    mni_put_u32(out + HEADER_OFF_CRC, mni_crc32c(0, out, HEADER_OFF_CRC));
}

/* The first file ever follows nothing, and every other one something. */
static bool knows_its_place(const struct wal_header *h)
{
    if (h->sequence == 1)
        return h->prev_first_lsn == 0 && h->prev_salt == 0 && h->prev_end == 0 &&
               h->prev_last_lsn == 0;
    return h->prev_first_lsn > 0 && h->prev_first_lsn < h->first_lsn && h->prev_end >= HEADER_BYTES;
}

static bool is_possible(const struct wal_header *h)
{
    const uint32_t known = HEADER_FLAG_RECYCLED | HEADER_FLAG_ALONE;

    return (h->flags & ~known) == 0 && h->sequence > 0 && h->first_lsn > 0 &&
           h->prev_last_lsn < h->first_lsn && h->first_lsn <= h->lsn_ceiling &&
           h->lsn_ceiling <= WAL_LSN_MAX && h->checkpoint_lsn <= h->lsn_ceiling &&
           h->file_bytes >= HEADER_BYTES && h->file_bytes % FRAME_ALIGN == 0 && knows_its_place(h);
}

mn_status wal_header_decode(const unsigned char *bytes, const char *name,
                            struct wal_header *header_out, struct mn_error *err)
{
    struct wal_header h;

    if (memcmp(bytes + HEADER_OFF_MAGIC, WAL_MAGIC, 8) != 0)
        return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: not a log file, or its header is damaged",
                        name);
    if (mni_get_u32(bytes + HEADER_OFF_CRC) != mni_crc32c(0, bytes, HEADER_OFF_CRC))
        return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: header is damaged at offset 0", name);
    if (mni_get_u32(bytes + HEADER_OFF_VERSION) != WAL_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED,
                        "wal/%s: format version %" PRIu32 ", this program reads version %d", name,
                        mni_get_u32(bytes + HEADER_OFF_VERSION), WAL_VERSION);
    h.flags = mni_get_u32(bytes + HEADER_OFF_FLAGS);
    memcpy(h.store_id, bytes + HEADER_OFF_STORE_ID, sizeof h.store_id);
    h.sequence = mni_get_u64(bytes + HEADER_OFF_SEQUENCE);
    h.first_lsn = mni_get_u64(bytes + HEADER_OFF_FIRST_LSN);
    h.lsn_ceiling = mni_get_u64(bytes + HEADER_OFF_LSN_CEILING);
    h.salt = mni_get_u64(bytes + HEADER_OFF_SALT);
    h.file_bytes = mni_get_u64(bytes + HEADER_OFF_FILE_BYTES);
    h.prev_first_lsn = mni_get_u64(bytes + HEADER_OFF_PREV_FIRST);
    h.prev_salt = mni_get_u64(bytes + HEADER_OFF_PREV_SALT);
    h.prev_end = mni_get_u64(bytes + HEADER_OFF_PREV_END);
    h.prev_last_lsn = mni_get_u64(bytes + HEADER_OFF_PREV_LAST);
    h.checkpoint_lsn = mni_get_u64(bytes + HEADER_OFF_CHECKPOINT);
    h.time_us = mni_get_i64(bytes + HEADER_OFF_TIME);
    if (!is_possible(&h) ||
        !mni_is_zero(bytes + HEADER_OFF_RESERVED, HEADER_OFF_CRC - HEADER_OFF_RESERVED))
        return mni_fail(err, MN_ERR_CORRUPT, "wal/%s: header says something impossible", name);
    *header_out = h;
    return MN_OK;
}

/* The checksum binds a frame to its file and its place: bytes of an older use of the space, or of a
 * payload that looks like a frame, never match. */
static uint32_t frame_crc(const unsigned char *bytes, uint64_t salt, uint64_t offset)
{
    unsigned char place[16];

    if (MNI_PLANTED("no_salt"))
        salt = 0;
    mni_put_u64(place, salt);
    mni_put_u64(place + 8, offset);
    return mni_crc32c(mni_crc32c(0, place, sizeof place), bytes + FRAME_OFF_BYTES,
                      FRAME_HEADER_BYTES - FRAME_OFF_BYTES);
}

void wal_frame_encode(const struct wal_frame *f, uint64_t salt, uint64_t offset, unsigned char *out)
{
    mni_put_u32(out + FRAME_OFF_BYTES, f->frame_bytes);
    mni_put_u64(out + FRAME_OFF_LSN, f->lsn);
    mni_put_u64(out + FRAME_OFF_SYNCED_END, f->synced_end);
    mni_put_i64(out + FRAME_OFF_TIME, f->time_us);
    mni_put_u32(out + FRAME_OFF_PAYLOAD_BYTES, f->payload_bytes);
    mni_put_u32(out + FRAME_OFF_PAYLOAD_CRC, f->payload_crc);
    mni_put_u32(out + FRAME_OFF_RECORDS, f->n_records);
    mni_put_u32(out + FRAME_OFF_TYPE, (uint32_t)f->type); /* and three zeroes */
    mni_put_u32(out + FRAME_OFF_HEADER_CRC, frame_crc(out, salt, offset));
}

bool wal_frame_decode(const unsigned char *bytes, uint64_t salt, uint64_t offset,
                      struct wal_frame *frame_out)
{
    if (mni_get_u32(bytes + FRAME_OFF_HEADER_CRC) != frame_crc(bytes, salt, offset))
        return false;
    frame_out->frame_bytes = mni_get_u32(bytes + FRAME_OFF_BYTES);
    frame_out->lsn = mni_get_u64(bytes + FRAME_OFF_LSN);
    frame_out->synced_end = mni_get_u64(bytes + FRAME_OFF_SYNCED_END);
    frame_out->time_us = mni_get_i64(bytes + FRAME_OFF_TIME);
    frame_out->payload_bytes = mni_get_u32(bytes + FRAME_OFF_PAYLOAD_BYTES);
    frame_out->payload_crc = mni_get_u32(bytes + FRAME_OFF_PAYLOAD_CRC);
    frame_out->n_records = mni_get_u32(bytes + FRAME_OFF_RECORDS);
    frame_out->type = (enum wal_frame_type)mni_get_u32(bytes + FRAME_OFF_TYPE);
    return true;
}

uint32_t wal_payload_crc(uint32_t crc, const void *data, size_t n)
{
    return mni_crc32c(crc, data, n);
}

size_t wal_crc_covers(size_t offset, size_t n)
{
    if (!MNI_PLANTED("crc_of_first_sector"))
        return n;
    if (offset >= MNI_SECTOR_BYTES)
        return 0;
    return n < MNI_SECTOR_BYTES - offset ? n : MNI_SECTOR_BYTES - offset;
}

size_t wal_frame_bytes(size_t payload_bytes)
{
    return FRAME_HEADER_BYTES + (size_t)mni_align_up(payload_bytes, FRAME_ALIGN);
}

bool wal_frame_is_sane(const struct wal_frame *f, uint64_t offset, uint64_t file_bytes)
{
    if (f->payload_bytes > MNI_WAL_PAYLOAD_BYTES_MAX ||
        f->frame_bytes != wal_frame_bytes(f->payload_bytes) ||
        f->frame_bytes > file_bytes - offset || f->synced_end < HEADER_BYTES ||
        f->synced_end > offset)
        return false;
    switch (f->type) {
    case FRAME_COMMIT:
        return f->lsn > 0 && f->n_records > 0 && f->payload_bytes > 0;
    case FRAME_CHECKPOINT:
    case FRAME_CLOSED:
    case FRAME_ROTATED:
        return f->n_records == 0 && f->payload_bytes == MARK_PAYLOAD_BYTES;
    }
    return false;
}

void wal_file_name(uint64_t first_lsn, char name_out[WAL_NAME_BYTES])
{
    (void)snprintf(name_out, WAL_NAME_BYTES, "%020" PRIu64 ".wal", first_lsn);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t m = strlen(suffix);

    return n == 20 + m && strcmp(name + 20, suffix) == 0;
}

/* Twenty decimal digits that fit 64 bits. */
static bool parse_digits(const char *name, uint64_t *value_out)
{
    uint64_t value = 0;

    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(name[i] - '0'), &value))
            return false;
    }
    *value_out = value;
    return true;
}

bool wal_file_name_parse(const char *name, uint64_t *first_lsn_out)
{
    return has_suffix(name, ".wal") && parse_digits(name, first_lsn_out) && *first_lsn_out > 0;
}

bool wal_name_is_spare(const char *name)
{
    uint64_t ignored;

    return (has_suffix(name, ".spare") || has_suffix(name, ".new")) && parse_digits(name, &ignored);
}

bool mni_wal_is_log_name(const char *name)
{
    uint64_t ignored;

    return wal_file_name_parse(name, &ignored) || wal_name_is_spare(name) ||
           strcmp(name, WAL_CLOSED_NAME) == 0;
}
