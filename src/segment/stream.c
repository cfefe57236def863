/*
 * stream.c - columns on their way into the file: buffered, paced, with the checksums of blocks.
 *
 * Owns:    the buffer of each column.
 * Format:  docs/format/segment.md
 * Threads: one at a time.
 * Fails:   when the file does, and for more or less than was planned.
 */
#include "base/crc32c.h"
#include "base/mem.h"
#include "segment/segment_private.h"

enum { CHUNK_BYTES = 256 << 10 };
static_assert(CHUNK_BYTES % SEG_BLOCK_BYTES == 0, "chunks are whole blocks");
static_assert(SEG_PAGE_BYTES % MNI_DIRECT_ALIGN == 0, "whole pages can be written directly");

uint32_t mni_segment_block_crc(uint32_t id_crc, uint64_t number, const unsigned char *bytes,
                               size_t n)
{
    unsigned char number_bytes[8];

    mni_put_u64(number_bytes, number);
    return mni_crc32c(mni_crc32c(id_crc, number_bytes, sizeof number_bytes), bytes, n);
}

mn_status mni_output_not_planned(const struct output *output, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_INVALID, "segment %s: its rows are not those that were planned",
                    output->label);
}

mn_status mni_output_pages(struct output *output, uint64_t offset, const unsigned char *bytes,
                           uint64_t n, struct mn_error *err)
{
    MNI_CHECK(offset % SEG_PAGE_BYTES == 0);
    MNI_CHECK(n % SEG_PAGE_BYTES == 0);
    for (uint64_t done = 0; done < n;) {
        size_t chunk = n - done < CHUNK_BYTES ? (size_t)(n - done) : (size_t)CHUNK_BYTES;
        mn_status st = output->pace == NULL ? MN_OK
                                            : output->pace(output->pace_context, chunk, err);
        if (st == MN_OK)
            st = mni_file_write(output->file, offset + done, bytes + done, chunk, err);
        if (st != MN_OK)
            return st;
        done += chunk;
    }
    return MN_OK;
}

/* Writes `n` bytes, behind which zeroes fill the last block. What lies behind the last page of a
 * column is not written: it reads as zeroes. */
static mn_status write_blocks(struct output *output, uint64_t offset, const unsigned char *bytes,
                              uint64_t n, struct mn_error *err)
{
    uint64_t block = offset / SEG_BLOCK_BYTES;

    MNI_CHECK(offset % SEG_BLOCK_BYTES == 0);
    for (uint64_t at = 0; at < n; at += SEG_BLOCK_BYTES, block++)
        mni_put_u32(output->checksums + block * 4,
                    mni_segment_block_crc(output->id_crc, block, bytes + at, SEG_BLOCK_BYTES));
    return mni_output_pages(output, offset, bytes, mni_align_up(n, SEG_PAGE_BYTES), err);
}

mn_status mni_output_column(struct output *output, struct column column, const unsigned char *bytes,
                            struct mn_error *err)
{
    return column.bytes == 0 ? MN_OK
                             : write_blocks(output, column.offset, bytes, column.bytes, err);
}

mn_status mni_stream_init(struct stream *stream, struct column column)
{
    uint64_t n_whole = mni_align_up(column.bytes, SEG_BLOCK_BYTES);

    *stream = (struct stream){.column = column};
    if (column.bytes == 0)
        return MN_OK;
    stream->capacity_bytes = n_whole < CHUNK_BYTES ? (size_t)n_whole : (size_t)CHUNK_BYTES;
    stream->buffer = mni_alloc_aligned(MNI_DIRECT_ALIGN, stream->capacity_bytes);
    return stream->buffer == NULL ? MN_ERR_NOMEM : MN_OK;
}

void mni_stream_done(struct stream *stream)
{
    mni_free(stream->buffer);
    stream->buffer = NULL;
}

static mn_status flush(struct stream *stream, struct output *output, struct mn_error *err)
{
    size_t n = stream->n_buffered;

    if (n == 0)
        return MN_OK;
    memset(stream->buffer + n, 0, (size_t)mni_align_up(n, SEG_BLOCK_BYTES) - n);
    mn_status st =
        write_blocks(output, stream->column.offset + stream->flushed, stream->buffer, n, err);
    stream->flushed += n;
    stream->n_buffered = 0;
    return st;
}

mn_status mni_stream_put(struct stream *stream, struct output *output, const void *data, size_t n,
                         struct mn_error *err)
{
    const unsigned char *from = data;

    if (n > stream->column.bytes - stream_bytes(stream))
        return mni_output_not_planned(output, err);
    while (n > 0) {
        size_t n_free = stream->capacity_bytes - stream->n_buffered;
        size_t n_now = n < n_free ? n : n_free;
        unsigned char *to = stream->buffer + stream->n_buffered;
        if (from == NULL) {
            memset(to, 0, n_now);
        } else {
            memcpy(to, from, n_now);
            from += n_now;
        }
        stream->n_buffered += n_now;
        n -= n_now;
        if (stream->n_buffered < stream->capacity_bytes)
            break;
        mn_status st = flush(stream, output, err);
        if (st != MN_OK)
            return st;
    }
    return MN_OK;
}

mn_status mni_stream_align(struct stream *stream, struct output *output, uint64_t alignment,
                           struct mn_error *err)
{
    uint64_t at = stream_bytes(stream);

    return mni_stream_put(stream, output, NULL, (size_t)(mni_align_up(at, alignment) - at), err);
}

mn_status mni_stream_finish(struct stream *stream, struct output *output, struct mn_error *err)
{
    if (stream_bytes(stream) != stream->column.bytes)
        return mni_output_not_planned(output, err);
    return flush(stream, output, err);
}
