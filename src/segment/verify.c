/*
 * verify.c - reads a whole segment, and announces what will be read.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT with the first damage; all of it is told on the way.
 */
#include "segment/segment_private.h"

enum { WINDOW_BYTES = 4 << 20 };

void mni_segment_will_read(struct mni_segment *segment, uint64_t offset, uint64_t n)
{
    if (segment->source->ops->will_read != NULL && n > 0)
        segment->source->ops->will_read(segment->source, offset, n);
}

struct verification {
    struct mni_segment *segment;
    mni_segment_verify_fn *each; /* may be NULL */
    void *context;
    uint64_t n_bytes_done;
    mn_status status; /* of the first damage */
    struct mn_error first;
};

/* Takes in what became of one piece. Anything but damage ends it all. */
static mn_status note(struct verification *v, mn_status st, const struct mn_error *err, uint64_t n)
{
    v->n_bytes_done += n;
    if (st != MN_OK && st != MN_ERR_CORRUPT)
        return st;
    if (st != MN_OK && v->status == MN_OK) {
        v->status = st;
        v->first = *err;
    }
    if (v->each == NULL)
        return MN_OK;
    return v->each(v->context, v->n_bytes_done, v->segment->info.file_bytes,
                   st == MN_OK ? NULL : err);
}

static mn_status verify_piece(struct verification *v, uint64_t offset, size_t n, uint64_t index,
                              bool is_of_checksums, struct mn_error *err)
{
    struct mni_segment *s = v->segment;
    struct span span;
    mn_status st = mni_segment_get_raw(s, offset, n, &span, err);

    if (st == MN_OK) {
        st = is_of_checksums ? mni_segment_verify_checksum_block(s, index, span.bytes, err)
                             : mni_segment_verify_block(s, index, span.bytes, err);
        release(s, span.pin);
    }
    return note(v, st, err, n);
}

static mn_status verify_all(struct verification *v, struct mn_error *err)
{
    struct mni_segment *s = v->segment;
    const struct layout *l = &s->layout;
    uint64_t n_blocks = layout_n_blocks(l);
    mn_status st = note(v, mni_segment_check_ends(s, err), err, l->footer_bytes);

    for (uint64_t i = 0; i < l->n_checksum_blocks && st == MN_OK; i++)
        st = verify_piece(v, l->checksums_offset + i * SEG_BLOCK_BYTES,
                          mni_segment_checksum_block_bytes(s, i), i, true, err);
    for (uint64_t block = 0; block < n_blocks && st == MN_OK; block++) {
        uint64_t offset = block * SEG_BLOCK_BYTES;
        if (offset % WINDOW_BYTES == 0)
            mni_segment_will_read(s, offset, 2 * (uint64_t)WINDOW_BYTES);
        st = verify_piece(v, offset, SEG_BLOCK_BYTES, block, false, err);
    }
    return st;
}

mn_status mni_segment_verify(struct mni_segment *segment, mni_segment_verify_fn *each,
                             void *context, struct mn_error *err)
{
    struct verification v = {.segment = segment, .each = each, .context = context};
    struct mn_error error = {0};

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    mn_status st = verify_all(&v, &error);
    if (st == MN_OK) {
        st = v.status;
        error = v.first;
    }
    if (st != MN_OK && err != NULL)
        *err = error;
    return st;
}

/* Where a row's vector stands, or its keyframe; 0: nowhere. Differences are short, and follow. */
static uint64_t vector_offset(struct mni_segment *s, const struct row_head *head)
{
    uint64_t offset = 0;

    if (head->vector == SEG_NO_VECTOR)
        return 0;
    if ((head->flags & SEG_ROW_DIFFERENCE) == 0)
        return s->layout.columns[SEG_VECTORS].offset + (uint64_t)head->vector * 2;
    return mni_segment_keyframe_of(s, head->vector, head->n_dims, &offset, NULL) == MN_OK ? offset
                                                                                          : 0;
}

void mni_segment_will_read_rows(struct mni_segment *segment, uint64_t first_row, uint64_t n_rows)
{
    struct mni_segment *s = segment;
    const struct column *columns = s->layout.columns;
    struct row_head first;
    struct row_head last;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    MNI_CHECK(n_rows <= s->info.n_rows && first_row <= s->info.n_rows - n_rows);
    if (n_rows == 0)
        return;
    mni_segment_will_read(s, columns[SEG_ROWS].offset + first_row * SEG_ROW_BYTES,
                          n_rows * SEG_ROW_BYTES);
    /* Rows lie in one order in all columns; where they do not, the hint is a bad one. */
    if (mni_segment_head(s, (uint32_t)first_row, &first, NULL) != MN_OK ||
        mni_segment_head(s, (uint32_t)(first_row + n_rows - 1), &last, NULL) != MN_OK)
        return;
    if (last.blob_offset >= first.blob_offset)
        mni_segment_will_read(s, columns[SEG_BLOBS].offset + first.blob_offset,
                              last.blob_offset - first.blob_offset + SEG_BLOCK_BYTES);
    uint64_t from = vector_offset(s, &first);
    uint64_t to = vector_offset(s, &last);
    if (from != 0 && to >= from)
        mni_segment_will_read(s, from, to - from + SEG_BLOCK_BYTES);
}
