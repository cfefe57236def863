/*
 * block.c - checks blocks when they are touched for the first time.
 *
 * Owns:    the marks of blocks that are known to be good.
 * Format:  docs/format/segment.md
 * Threads: any; two may check one block, with the same result.
 * Fails:   MN_ERR_CORRUPT with the names of file and block.
 */
#include <inttypes.h>

#include "segment/segment_private.h"

enum { WINDOW_BLOCKS = 256 };

static void set_bit(struct mni_segment *s, uint64_t bit)
{
    atomic_fetch_or_explicit(&s->verified[bit / BITS_PER_WORD],
                             UINT64_C(1) << (bit % BITS_PER_WORD), memory_order_relaxed);
}

static void clear_bit(struct mni_segment *s, uint64_t bit)
{
    atomic_fetch_and_explicit(&s->verified[bit / BITS_PER_WORD],
                              ~(UINT64_C(1) << (bit % BITS_PER_WORD)), memory_order_relaxed);
}

size_t mni_segment_checksum_block_bytes(const struct mni_segment *segment, uint64_t index)
{
    const struct layout *l = &segment->layout;
    uint64_t n = l->footer_offset - l->checksums_offset - index * SEG_BLOCK_BYTES;

    return n < SEG_BLOCK_BYTES ? (size_t)n : (size_t)SEG_BLOCK_BYTES;
}

mn_status mni_segment_verify_checksum_block(struct mni_segment *segment, uint64_t index,
                                            const unsigned char *bytes, struct mn_error *err)
{
    struct mni_segment *s = segment;
    uint64_t bit = layout_n_blocks(&s->layout) + index;
    uint32_t crc = mni_segment_block_crc(s->id_crc, SEG_CHECKSUM_BLOCK_NUMBER + index, bytes,
                                         mni_segment_checksum_block_bytes(s, index));

    if (crc == s->checksum_crcs[index]) {
        set_bit(s, bit);
        return MN_OK;
    }
    clear_bit(s, bit);
    return mni_fail(err, MN_ERR_CORRUPT,
                    "segment %s: block %" PRIu64 " of its checksums, at offset %" PRIu64
                    ", is damaged",
                    s->label, index, s->layout.checksums_offset + index * SEG_BLOCK_BYTES);
}

/* What the checksum of a block has to be. */
static mn_status expected_crc(struct mni_segment *s, uint64_t block, uint32_t *crc_out,
                              struct mn_error *err)
{
    uint64_t index = block / SEG_BLOCKS_PER_CHECKSUM_BLOCK;
    uint64_t offset = s->layout.checksums_offset + index * SEG_BLOCK_BYTES;
    struct span span;
    mn_status st =
        mni_segment_get_raw(s, offset, mni_segment_checksum_block_bytes(s, index), &span, err);

    if (st != MN_OK)
        return st;
    if (s->map == NULL || !is_bit_set(s, layout_n_blocks(&s->layout) + index))
        st = mni_segment_verify_checksum_block(s, index, span.bytes, err);
    if (st == MN_OK)
        *crc_out = mni_get_u32(span.bytes + block % SEG_BLOCKS_PER_CHECKSUM_BLOCK * 4);
    release(s, span.pin);
    return st;
}

mn_status mni_segment_verify_block(struct mni_segment *segment, uint64_t block,
                                   const unsigned char *bytes, struct mn_error *err)
{
    struct mni_segment *s = segment;
    uint32_t expected;
    mn_status st = expected_crc(s, block, &expected, err);

    if (st != MN_OK)
        return st;
    if (mni_segment_block_crc(s->id_crc, block, bytes, SEG_BLOCK_BYTES) == expected) {
        set_bit(s, block);
        return MN_OK;
    }
    clear_bit(s, block);
    return mni_fail(err, MN_ERR_CORRUPT,
                    "segment %s: block %" PRIu64 ", at offset %" PRIu64 ", is damaged", s->label,
                    block, block * SEG_BLOCK_BYTES);
}

mn_status mni_segment_check_blocks(struct mni_segment *segment, uint64_t first, uint64_t last,
                                   struct mn_error *err)
{
    uint64_t announced = first;

    MNI_DEBUG_CHECK(last < layout_n_blocks(&segment->layout));
    for (uint64_t block = first; block <= last; block++) {
        if (is_bit_set(segment, block))
            continue;
        /* All of a block will be read now: without a hint, page by page. */
        if (block >= announced) {
            announced = last - block < WINDOW_BLOCKS ? last + 1 : block + WINDOW_BLOCKS;
            mni_segment_will_read(segment, block * SEG_BLOCK_BYTES,
                                  (announced - block) * SEG_BLOCK_BYTES);
        }
        mn_status st =
            mni_segment_verify_block(segment, block, segment->map + block * SEG_BLOCK_BYTES, err);
        if (st != MN_OK)
            return st;
    }
    return MN_OK;
}

/* Bytes that are fetched anew are checked anew. */
mn_status mni_segment_fetch_unmapped(struct mni_segment *segment, uint64_t offset, size_t n,
                                     struct span *span_out, struct mn_error *err)
{
    uint64_t from = mni_align_down(offset, SEG_BLOCK_BYTES);
    uint64_t to = mni_align_up(offset + n, SEG_BLOCK_BYTES);
    struct span span;
    mn_status st = mni_segment_get_raw(segment, from, (size_t)(to - from), &span, err);

    if (st != MN_OK)
        return st;
    for (uint64_t at = from; at < to && st == MN_OK; at += SEG_BLOCK_BYTES)
        st = mni_segment_verify_block(segment, at / SEG_BLOCK_BYTES, span.bytes + (at - from), err);
    if (st != MN_OK) {
        release(segment, span.pin);
        return st;
    }
    *span_out = (struct span){span.bytes + (offset - from), span.pin};
    return MN_OK;
}
