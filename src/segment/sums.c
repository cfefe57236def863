/*
 * sums.c - checks the bytes of a segment or of a liveness file as they pass by, in order.
 *
 * Owns:    a checksum per block that passed, and the footer.
 * Format:  docs/format/segment.md, docs/format/liveness.md
 * Threads: one at a time.
 * Fails:   MN_ERR_CORRUPT names the file, and the first block that is damaged.
 */
#include "segment/sums.h"

#include <inttypes.h>

#include "base/crc32c.h"
#include "segment/live_private.h"
#include "segment/segment_private.h"

static_assert(LIVE_TRAILER_OFF_CRC + 4 == LIVE_TRAILER_BYTES, "a liveness file ends in its sum");

/* Beginning ----------*/

/* The blocks of a segment whose footer begins there: so many that they and their checksums fill the
 * bytes before it. 0: there is no such number. */
static uint64_t n_blocks_before(uint64_t footer_offset)
{
    /* A block takes SEG_BLOCK_BYTES and 4 bytes of checksum; these are rounded up to pages. */
    uint64_t n = footer_offset / (SEG_BLOCK_BYTES + 4);

    for (uint64_t guess = n; guess + 2 > n && guess > 0; guess--)
        if (guess * SEG_BLOCK_BYTES + mni_align_up(guess * 4, SEG_PAGE_BYTES) == footer_offset)
            return guess;
    return 0;
}

static uint64_t footer_bytes_max(uint64_t n_checksum_blocks)
{
    return mni_align_up(SEG_FOOTER_FIXED_BYTES + (uint64_t)SEG_COLUMNS_MAX * SEG_ENTRY_BYTES +
                            n_checksum_blocks * 4 + 2 * (uint64_t)KEY_BYTES_MAX + SEG_TAIL_BYTES,
                        SEG_PAGE_BYTES);
}

mn_status mni_sums_begin_segment(struct mni_sums *sums, const struct mni_segment_info *expected,
                                 const char *label, struct mn_error *err)
{
    uint64_t n = expected->file_bytes;
    uint64_t footer_bytes = expected->footer_bytes;

    *sums = (struct mni_sums){
        .label = label,
        .is_segment = true,
        .file_bytes = n,
        .expected_crc = expected->footer_crc,
        .id_crc = mni_crc32c(0, expected->id.bytes, sizeof expected->id.bytes),
        .first_damaged = UINT64_MAX,
    };
    sums->crc = sums->id_crc;
    if (n % SEG_PAGE_BYTES == 0 && footer_bytes % SEG_PAGE_BYTES == 0 && footer_bytes < n) {
        sums->footer_offset = n - footer_bytes;
        sums->checksums_offset = n_blocks_before(sums->footer_offset) * SEG_BLOCK_BYTES;
    }
    uint64_t n_checksum_blocks =
        (sums->footer_offset - sums->checksums_offset + SEG_BLOCK_BYTES - 1) / SEG_BLOCK_BYTES;
    if (sums->checksums_offset == 0 || footer_bytes == 0 ||
        footer_bytes > footer_bytes_max(n_checksum_blocks))
        return mni_fail(err, MN_ERR_CORRUPT,
                        "%s: no segment has %" PRIu64 " bytes and a footer of "
                        "%" PRIu64,
                        label, n, footer_bytes);
    return MN_OK;
}

mn_status mni_sums_begin_live(struct mni_sums *sums, const struct mni_live_info *expected,
                              const char *label, struct mn_error *err)
{
    *sums = (struct mni_sums){
        .label = label, .file_bytes = expected->file_bytes, .expected_crc = expected->crc};
    if (expected->file_bytes < LIVE_HEADER_BYTES + LIVE_TRAILER_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "%s: no liveness file has %" PRIu64 " bytes", label,
                        expected->file_bytes);
    return MN_OK;
}

void mni_sums_done(struct mni_sums *sums)
{
    mni_buf_done(&sums->table);
    mni_buf_done(&sums->footer);
}

/* Passing ----------*/

static mn_status keep(const struct mni_sums *sums, struct mni_buf *buf, const void *data, size_t n,
                      struct mn_error *err)
{
    if (mni_buf_append(buf, data, n) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "checksums of %s", sums->label);
    return MN_OK;
}

/* A block has passed: of the columns, or of their checksums. */
static mn_status end_block(struct mni_sums *sums, struct mn_error *err)
{
    unsigned char crc[4];

    mni_put_u32(crc, sums->crc);
    return keep(sums, &sums->table, crc, sizeof crc, err);
}

static void begin_block(struct mni_sums *sums)
{
    unsigned char number_bytes[8];
    uint64_t block = sums->n_bytes / SEG_BLOCK_BYTES;

    if (sums->n_bytes >= sums->checksums_offset)
        block = SEG_CHECKSUM_BLOCK_NUMBER + block - sums->checksums_offset / SEG_BLOCK_BYTES;
    mni_put_u64(number_bytes, block);
    sums->crc = mni_crc32c(sums->id_crc, number_bytes, sizeof number_bytes);
}

/* Compares a piece of the stored checksums, of whole numbers or parts of them, with what passed. */
static void compare_checksums(struct mni_sums *sums, const unsigned char *bytes, size_t n)
{
    uint64_t at = sums->n_bytes - sums->checksums_offset;
    uint64_t n_table = sums->checksums_offset / SEG_BLOCK_BYTES * 4;

    for (size_t i = 0; i < n; i++) {
        unsigned char computed = at + i < n_table ? sums->table.data[at + i] : 0;
        if (bytes[i] == computed)
            continue;
        if ((at + i) / 4 < sums->first_damaged)
            sums->first_damaged = (at + i) / 4;
        return;
    }
}

/* Takes the bytes up to the end of a block; `n_out` is their number. */
static mn_status add_to_block(struct mni_sums *sums, const unsigned char *bytes, size_t n,
                              size_t *n_out, struct mn_error *err)
{
    uint64_t end = mni_align_down(sums->n_bytes, SEG_BLOCK_BYTES) + SEG_BLOCK_BYTES;

    if (sums->n_bytes % SEG_BLOCK_BYTES == 0)
        begin_block(sums);
    if (end > sums->footer_offset)
        end = sums->footer_offset;
    *n_out = n < end - sums->n_bytes ? n : (size_t)(end - sums->n_bytes);
    sums->crc = mni_crc32c(sums->crc, bytes, *n_out);
    if (sums->n_bytes >= sums->checksums_offset)
        compare_checksums(sums, bytes, *n_out);
    return sums->n_bytes + *n_out == end ? end_block(sums, err) : MN_OK;
}

static mn_status add_to_segment(struct mni_sums *sums, const unsigned char *bytes, size_t n,
                                struct mn_error *err)
{
    while (n > 0) {
        size_t n_now = n;
        mn_status st = sums->n_bytes < sums->footer_offset
                           ? add_to_block(sums, bytes, n, &n_now, err)
                           : keep(sums, &sums->footer, bytes, n, err);
        if (st != MN_OK)
            return st;
        sums->n_bytes += n_now;
        bytes += n_now;
        n -= n_now;
    }
    return MN_OK;
}

/* The checksum covers all but itself. */
static void add_to_live(struct mni_sums *sums, const unsigned char *bytes, size_t n)
{
    uint64_t end = sums->file_bytes - sizeof sums->last;
    uint64_t n_covered = sums->n_bytes >= end ? 0 : end - sums->n_bytes;

    if (n_covered > n)
        n_covered = n;
    sums->crc = mni_crc32c(sums->crc, bytes, n_covered);
    for (size_t i = (size_t)n_covered; i < n; i++)
        sums->last[sums->n_bytes + i - end] = bytes[i];
    sums->n_bytes += n;
}

mn_status mni_sums_add(struct mni_sums *sums, const void *data, size_t n, struct mn_error *err)
{
    if (n > sums->file_bytes - sums->n_bytes)
        return mni_fail(err, MN_ERR_CORRUPT, "%s is longer than %" PRIu64 " bytes", sums->label,
                        sums->file_bytes);
    if (sums->is_segment)
        return add_to_segment(sums, data, n, err);
    add_to_live(sums, data, n);
    return MN_OK;
}

/* The end ----------*/

static mn_status end_segment(const struct mni_sums *sums, struct mn_error *err)
{
    const unsigned char *footer = sums->footer.data;
    size_t n = sums->footer.n_bytes;
    uint64_t n_blocks = sums->checksums_offset / SEG_BLOCK_BYTES;
    uint64_t n_sums = sums->table.n_bytes / 4 - n_blocks;

    if (mni_get_u32(footer + n - 4) != sums->expected_crc ||
        mni_crc32c(0, footer, n - 4) != sums->expected_crc)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "%s: the footer is damaged, or the file is not the one that was written "
                        "under this name",
                        sums->label);
    uint64_t n_columns = mni_get_u32(footer + SEG_FOOTER_OFF_COLUMNS);
    uint64_t at = SEG_FOOTER_FIXED_BYTES + n_columns * SEG_ENTRY_BYTES;
    if (n_columns > SEG_COLUMNS_MAX || at + n_sums * 4 > n)
        return mni_fail(err, MN_ERR_CORRUPT, "%s: the footer contradicts itself", sums->label);
    for (uint64_t i = 0; i < n_sums; i++)
        if (memcmp(footer + at + i * 4, sums->table.data + (n_blocks + i) * 4, 4) != 0)
            return mni_fail(err, MN_ERR_CORRUPT,
                            "%s: block %" PRIu64 " of its checksums, at offset %" PRIu64
                            ", is damaged",
                            sums->label, i, sums->checksums_offset + i * SEG_BLOCK_BYTES);
    if (sums->first_damaged == UINT64_MAX)
        return MN_OK;
    return mni_fail(err, MN_ERR_CORRUPT, "%s: block %" PRIu64 ", at offset %" PRIu64 ", is damaged",
                    sums->label, sums->first_damaged, sums->first_damaged * SEG_BLOCK_BYTES);
}

mn_status mni_sums_end(struct mni_sums *sums, struct mn_error *err)
{
    if (sums->n_bytes != sums->file_bytes)
        return mni_fail(err, MN_ERR_CORRUPT, "%s has %" PRIu64 " bytes, not %" PRIu64, sums->label,
                        sums->n_bytes, sums->file_bytes);
    if (sums->is_segment)
        return end_segment(sums, err);
    if (sums->crc != sums->expected_crc || mni_get_u32(sums->last) != sums->expected_crc)
        return mni_fail(err, MN_ERR_CORRUPT,
                        "%s is damaged, or another file than the manifest says", sums->label);
    return MN_OK;
}
