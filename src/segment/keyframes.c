/*
 * keyframes.c - vectors of points that are stored as differences to a keyframe.
 *
 * Which points are keyframes depends on the rows before and on nothing else: a plan that counts
 * bytes and a writer come to the same. Every difference is to the newest keyframe of its entity, so
 * any point is read with one.
 *
 * Owns:    the newest keyframe while a segment is planned or written.
 * Format:  docs/format/segment.md
 * Threads: any, to read; one at a time for each struct keyframes.
 * Fails:   MN_ERR_NOMEM; reading, MN_ERR_CORRUPT for damage, and nonsense behind a good checksum.
 */
#include "base/mem.h"
#include "segment/delta.h"
#include "segment/segment_private.h"

static_assert((int)MNI_SEGMENT_SPARE_BYTES % SEG_VECTOR_ALIGN == 0,
              "vectors behind it are aligned");

#ifdef MNI_TEST_HOOKS
bool mni_keyframes_forced;
#endif

/* Writing -----------------------------------------------------------------------------------------
 */

uint64_t mni_keyframes_bytes(uint32_t n_dims)
{
    return n_dims == 0 ? 0 : (uint64_t)n_dims * sizeof(float) + mni_delta_bytes_max(n_dims);
}

void mni_keyframes_done(struct keyframes *k)
{
    mni_free(k->frame);
    mni_free(k->difference);
    *k = (struct keyframes){0};
}

void mni_keyframes_begin(struct keyframes *k, uint32_t every)
{
    k->every = every;
    k->has_frame = false;
}

mn_status mni_keyframes_reserve(struct keyframes *k, uint32_t n_dims)
{
    uint32_t every = k->every;

    if (n_dims <= k->n_dims_max)
        return MN_OK;
    mni_keyframes_done(k);
    k->every = every;
    k->frame = mni_alloc_array(n_dims, sizeof(float));
    k->difference = mni_alloc(mni_delta_bytes_max(n_dims));
    if (k->frame == NULL || k->difference == NULL)
        return MN_ERR_NOMEM;
    k->n_dims_max = n_dims;
    return MN_OK;
}

/* A difference that is hardly shorter is not worth the time of reading it. */
static bool is_worth_while(size_t difference_bytes, size_t vector_bytes)
{
    return mni_keyframes_forced || difference_bytes <= vector_bytes - vector_bytes / 8;
}

/* Whether the next point may be a difference to the frame. */
static bool may_differ(const struct keyframes *k, uint64_t entity)
{
    return k->has_frame && k->entity == entity && k->n_behind + 1 < k->every;
}

static void take_frame(struct keyframes *k, uint64_t entity, const struct mni_record *r)
{
    k->has_frame = true;
    k->entity = entity;
    k->n_behind = 0;
    memcpy(k->frame, r->vector, (size_t)r->n_dims * sizeof(float));
}

size_t mni_keyframes_count(struct keyframes *k, uint64_t entity, const struct mni_record *r)
{
    size_t n_bytes = 0;

    MNI_CHECK(r->n_dims <= k->n_dims_max);
    if (may_differ(k, entity))
        n_bytes = mni_delta_bytes(k->frame, r->vector, r->n_dims);
    if (n_bytes > 0 && is_worth_while(n_bytes, (size_t)r->n_dims * sizeof(float))) {
        k->n_behind++;
        return n_bytes;
    }
    take_frame(k, entity, r);
    return 0;
}

size_t mni_keyframes_encode(struct keyframes *k, uint64_t entity, const struct mni_record *r)
{
    size_t n_bytes = 0;

    MNI_CHECK(r->n_dims <= k->n_dims_max);
    if (may_differ(k, entity))
        n_bytes = mni_delta_encode(k->frame, r->vector, r->n_dims, k->difference);
    if (n_bytes > 0 && is_worth_while(n_bytes, (size_t)r->n_dims * sizeof(float))) {
        k->n_behind++;
        return n_bytes;
    }
    take_frame(k, entity, r);
    return 0;
}

mn_status mni_keyframes_put(struct keyframes *k, const struct mni_record *r, struct stream *streams,
                            struct output *output, uint32_t *vector_out, bool *is_difference_out,
                            struct mn_error *err)
{
    struct stream *vectors = &streams[SEG_VECTORS];
    struct stream *differences = &streams[SEG_DIFFERENCES];
    uint64_t entity = 0;
    int64_t time_us = 0;
    unsigned char place[SEG_PLACE_BYTES];
    mn_status st = MN_OK;

    if (!mni_point_key_read(r->key, &entity, &time_us) || r->n_dims > k->n_dims_max)
        return mni_output_not_planned(output, err);
    size_t n_bytes = mni_keyframes_encode(k, entity, r);
    *is_difference_out = n_bytes > 0;
    if (n_bytes > 0) {
        *vector_out = (uint32_t)(stream_bytes(&streams[SEG_PLACES]) / SEG_PLACE_BYTES);
        st = mni_stream_put(differences, output, k->difference, n_bytes, err);
    } else {
        k->frame_at = *vector_out = (uint32_t)(stream_bytes(vectors) / 2);
        st = mni_stream_put(vectors, output, r->vector, (size_t)r->n_dims * sizeof(float), err);
    }
    mni_put_u32(place + SEG_PLACE_OFF_KEYFRAME, k->frame_at);
    mni_put_u32(place + SEG_PLACE_OFF_END, (uint32_t)stream_bytes(differences));
    return st == MN_OK ? mni_stream_put(&streams[SEG_PLACES], output, place, sizeof place, err)
                       : st;
}

/* Reading -----------------------------------------------------------------------------------------
 */

/* Where a vector lies. */
struct place {
    uint64_t frame; /* offsets in the file */
    uint64_t difference;
    size_t n_bytes; /* of the difference; 0: the vector is the frame */
};

static mn_status read_place(struct mni_segment *s, uint32_t index, uint32_t n_dims,
                            struct place *place_out, struct mn_error *err)
{
    const struct column *columns = s->layout.columns;
    uint64_t vector_bytes = (uint64_t)n_dims * sizeof(float);
    uint64_t offset = columns[SEG_PLACES].offset + (uint64_t)index * SEG_PLACE_BYTES;
    uint32_t n_before = index > 0 ? SEG_PLACE_BYTES : 0; /* the one before says where this begins */
    uint32_t begin = 0;
    struct span span;

    MNI_CHECK(index < columns[SEG_PLACES].bytes / SEG_PLACE_BYTES);
    mn_status st = fetch(s, offset - n_before, SEG_PLACE_BYTES + n_before, &span, err);
    if (st != MN_OK)
        return st;
    if (n_before > 0)
        begin = mni_get_u32(span.bytes + SEG_PLACE_OFF_END);
    uint64_t frame = (uint64_t)mni_get_u32(span.bytes + n_before + SEG_PLACE_OFF_KEYFRAME) * 2;
    uint32_t end = mni_get_u32(span.bytes + n_before + SEG_PLACE_OFF_END);
    release(s, span.pin);
    if (begin > end || end > columns[SEG_DIFFERENCES].bytes || frame % sizeof(float) != 0 ||
        vector_bytes > columns[SEG_VECTORS].bytes ||
        frame > columns[SEG_VECTORS].bytes - vector_bytes)
        return mni_segment_nonsense(s, offset, "the place of a vector is impossible", err);
    *place_out = (struct place){.frame = columns[SEG_VECTORS].offset + frame,
                                .difference = columns[SEG_DIFFERENCES].offset + begin,
                                .n_bytes = end - begin};
    return MN_OK;
}

static mn_status decode(struct mni_segment *s, const struct place *place, uint32_t n_dims,
                        void *vector_out, struct mn_error *err)
{
    struct span frame;
    struct span difference;
    mn_status st = fetch(s, place->frame, (size_t)n_dims * sizeof(float), &frame, err);

    if (st != MN_OK)
        return st;
    if (place->n_bytes == 0) {
        memcpy(vector_out, frame.bytes, (size_t)n_dims * sizeof(float));
        release(s, frame.pin);
        return MN_OK;
    }
    st = fetch(s, place->difference, place->n_bytes, &difference, err);
    if (st == MN_OK) {
        if (!mni_delta_decode(frame.bytes, n_dims, difference.bytes, place->n_bytes, vector_out))
            st = mni_segment_nonsense(s, place->difference, "the difference to a vector is none",
                                      err);
        release(s, difference.pin);
    }
    release(s, frame.pin);
    return st;
}

/* Memory for `n` vectors behind spare bytes. Many of them are read as those in a file are, at a
 * multiple of 64; one at a time is asked for often, and plain memory comes faster. */
static unsigned char *new_vectors(const struct mni_segment *s, uint32_t n, uint32_t n_dims,
                                  struct mn_error *err)
{
    uint64_t n_bytes = MNI_SEGMENT_SPARE_BYTES + (uint64_t)n * n_dims * sizeof(float);
    unsigned char *buffer = NULL;

    if (n_bytes <= SIZE_MAX)
        buffer = n == 1 ? mni_alloc((size_t)n_bytes)
                        : mni_alloc_aligned(SEG_VECTOR_ALIGN, (size_t)n_bytes);
    if (buffer == NULL)
        mni_ignore(mni_fail(err, MN_ERR_NOMEM, "vectors of segment %s", s->label));
    return buffer;
}

mn_status mni_segment_decode_row(struct mni_segment *segment, uint32_t place_index, uint32_t n_dims,
                                 struct mni_segment_row *row, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct place place = {0};
    mn_status st = read_place(s, place_index, n_dims, &place, err);

    if (st != MN_OK)
        return st;
    unsigned char *buffer = new_vectors(s, 1, n_dims, err);
    if (buffer == NULL)
        return MN_ERR_NOMEM;
    st = decode(s, &place, n_dims, buffer + MNI_SEGMENT_SPARE_BYTES, err);
    if (st != MN_OK) {
        mni_free(buffer);
        return st;
    }
    row->record.vector = buffer + MNI_SEGMENT_SPARE_BYTES;
    row->pins.vector = decoded_pin(buffer);
    return MN_OK;
}

mn_status mni_segment_decode_vectors(struct mni_segment *segment,
                                     const struct mni_segment_group *group, uint32_t first,
                                     uint32_t n, const void **vectors_out, void **pin_out,
                                     struct mn_error *err)
{
    struct mni_segment *s = segment;
    uint64_t vector_bytes = (uint64_t)group->n_dims * sizeof(float);
    unsigned char *buffer = new_vectors(s, n, group->n_dims, err);
    mn_status st = buffer == NULL ? MN_ERR_NOMEM : MN_OK;

    for (uint32_t i = 0; i < n && st == MN_OK; i++) {
        struct place place = {0};
        st = read_place(s, group->first_place + first + i, group->n_dims, &place, err);
        if (st == MN_OK)
            st = decode(s, &place, group->n_dims,
                        buffer + MNI_SEGMENT_SPARE_BYTES + i * vector_bytes, err);
    }
    if (st != MN_OK) {
        mni_free(buffer);
        return st;
    }
    *vectors_out = buffer + MNI_SEGMENT_SPARE_BYTES;
    *pin_out = decoded_pin(buffer);
    return MN_OK;
}

mn_status mni_segment_keyframe_of(struct mni_segment *segment, uint32_t place_index,
                                  uint32_t n_dims, uint64_t *offset_out, struct mn_error *err)
{
    struct place place = {0};
    mn_status st = read_place(segment, place_index, n_dims, &place, err);

    if (st == MN_OK)
        *offset_out = place.frame;
    return st;
}

void *mni_segment_row_take(struct mni_segment_row *row)
{
    void *buffer = decoded_buffer(row->pins.vector);

    if (buffer != NULL)
        row->pins.vector = NULL;
    return buffer;
}

void mni_segment_row_forget(struct mni_segment_row *row)
{
    mni_free(mni_segment_row_take(row));
}

void mni_segment_decoded_free(void *buffer)
{
    mni_free(buffer);
}
