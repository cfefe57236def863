/*
 * group.c - the rows of one collection: vectors side by side, and the order of expiry.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any.
 * Fails:   MN_ERR_CORRUPT for damage, and for nonsense behind a good checksum.
 */
#include "segment/segment_private.h"

static void decode_group(const unsigned char *p, struct mni_segment_group *g)
{
    *g = (struct mni_segment_group){
        .collection = mni_get_u64(p + SEG_GROUP_OFF_COLLECTION),
        .first_row = mni_get_u32(p + SEG_GROUP_OFF_FIRST_ROW),
        .n_rows = mni_get_u32(p + SEG_GROUP_OFF_ROWS),
        .n_keys = mni_get_u32(p + SEG_GROUP_OFF_KEYS),
        .n_vectors = mni_get_u32(p + SEG_GROUP_OFF_VECTORS),
        .n_dims = mni_get_u32(p + SEG_GROUP_OFF_DIMS),
        .element_type = (enum mni_element_type)p[SEG_GROUP_OFF_ELEMENT_TYPE],
        .min_expiry_us = mni_get_i64(p + SEG_GROUP_OFF_MIN_EXPIRY),
        .vectors_offset = mni_get_u64(p + SEG_GROUP_OFF_VECTORS_OFFSET),
        .rows_offset = mni_get_u64(p + SEG_GROUP_OFF_ROWS_OFFSET),
        .has_rows = (p[SEG_GROUP_OFF_FLAGS] & SEG_GROUP_HAS_ROWS) != 0,
        .has_no_codes = (p[SEG_GROUP_OFF_FLAGS] & SEG_GROUP_NO_CODES) != 0,
        .codes_offset = (uint64_t)mni_get_u32(p + SEG_GROUP_OFF_CODES) * SEG_CODES_UNIT_BYTES,
        .signs_offset = (uint64_t)mni_get_u32(p + SEG_GROUP_OFF_SIGNS) * SEG_SIGNS_UNIT_BYTES,
        .has_differences = (p[SEG_GROUP_OFF_FLAGS] & SEG_GROUP_HAS_DIFFERENCES) != 0,
        .keyframe_every = mni_get_u16(p + SEG_GROUP_OFF_KEYFRAME_EVERY),
    };
}

static bool is_inside(const struct column *column, uint64_t offset, uint64_t n)
{
    return n <= column->bytes && offset <= column->bytes - n;
}

/* Sets where the places of its vectors begin. */
static bool are_places_good(const struct mni_segment *s, struct mni_segment_group *g)
{
    uint64_t n_places = s->layout.columns[SEG_PLACES].bytes / SEG_PLACE_BYTES;

    if (!g->has_differences)
        return g->keyframe_every == 0;
    if (g->keyframe_every < 2 || g->element_type != MNI_ELEMENT_F32 || g->n_vectors > n_places ||
        g->vectors_offset > n_places - g->n_vectors)
        return false;
    g->first_place = (uint32_t)g->vectors_offset;
    g->vectors_offset = 0;
    return true;
}

static bool are_vectors_good(const struct mni_segment *s, const struct mni_segment_group *g)
{
    const struct column *columns = s->layout.columns;

    if (g->n_vectors == 0)
        return g->n_dims == 0 && g->element_type == MNI_ELEMENT_NONE && g->vectors_offset == 0 &&
               !g->has_rows && g->rows_offset == 0;
    if (g->n_dims == 0 || g->n_dims > MN_DIMENSIONS_MAX ||
        (g->element_type != MNI_ELEMENT_F32 && g->element_type != MNI_ELEMENT_F16) ||
        g->vectors_offset % SEG_VECTOR_ALIGN != 0 || g->has_rows != (g->n_vectors < g->n_rows))
        return false;
    uint64_t n_bytes = (uint64_t)g->n_vectors * g->n_dims * element_bytes(g->element_type);
    if (!g->has_differences && !is_inside(&columns[SEG_VECTORS], g->vectors_offset, n_bytes))
        return false;
    if (!g->has_rows)
        return g->rows_offset == 0;
    return g->rows_offset % 4 == 0 &&
           is_inside(&columns[SEG_VECTOR_ROWS], g->rows_offset, (uint64_t)g->n_vectors * 4);
}

/* Sets whether there are any: a file without the columns is one of an earlier program. */
static bool are_codes_good(const struct mni_segment *s, struct mni_segment_group *g)
{
    const struct column *codes = &s->layout.columns[SEG_CODES];
    const struct column *signs = &s->layout.columns[SEG_SIGNS];
    uint64_t n = g->n_vectors;

    g->has_codes = n > 0 && !g->has_no_codes && codes->bytes > 0 && signs->bytes > 0;
    if (!g->has_codes)
        return g->codes_offset == 0 && g->signs_offset == 0;
    return is_inside(codes, g->codes_offset, n * code_bytes(g->n_dims)) &&
           is_inside(signs, g->signs_offset, n * sign_bytes(g->n_dims));
}

static bool is_group_good(const struct mni_segment *s, struct mni_segment_group *g)
{
    return g->n_rows > 0 && g->n_keys > 0 && g->n_keys <= g->n_rows && g->n_vectors <= g->n_rows &&
           (uint64_t)g->first_row + g->n_rows <= s->info.n_rows && are_places_good(s, g) &&
           are_vectors_good(s, g);
}

mn_status mni_segment_group(struct mni_segment *segment, uint64_t index,
                            struct mni_segment_group *group_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    struct mni_segment_group group;
    struct span span;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    MNI_CHECK(index < s->info.n_groups);
    uint64_t offset = s->layout.columns[SEG_GROUPS].offset + index * SEG_GROUP_BYTES;
    mn_status st = fetch(s, offset, SEG_GROUP_BYTES, &span, err);
    if (st != MN_OK)
        return st;
    const unsigned char *p = span.bytes;
    decode_group(p, &group);
    bool is_good = is_group_good(s, &group) && p[SEG_GROUP_OFF_FLAGS] <= SEG_GROUP_ALL_FLAGS &&
                   are_codes_good(s, &group);
    release(s, span.pin);
    if (!is_good)
        return mni_segment_nonsense(s, offset, "a group of rows is impossible", err);
    *group_out = group;
    return MN_OK;
}

mn_status mni_segment_seek_group(struct mni_segment *segment, uint64_t collection,
                                 uint64_t *index_out, struct mni_segment_group *group_out,
                                 struct mn_error *err)
{
    uint64_t low = 0;
    uint64_t high = segment->info.n_groups;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        mn_status st = mni_segment_group(segment, middle, group_out, err);
        if (st != MN_OK)
            return st;
        if (group_out->collection < collection)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == segment->info.n_groups)
        return MN_NOT_FOUND;
    *index_out = low;
    return mni_segment_group(segment, low, group_out, err);
}

mn_status mni_segment_find_group(struct mni_segment *segment, uint64_t collection,
                                 struct mni_segment_group *group_out, struct mn_error *err)
{
    struct mni_segment_group group;
    uint64_t index;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    mn_status st = mni_segment_seek_group(segment, collection, &index, &group, err);
    if (st == MN_OK && group.collection != collection)
        st = MN_NOT_FOUND;
    if (st == MN_OK)
        *group_out = group;
    return st;
}

mn_status mni_segment_vectors(struct mni_segment *segment, const struct mni_segment_group *group,
                              uint32_t first, uint32_t n, const void **vectors_out, void **pin_out,
                              struct mn_error *err)
{
    uint64_t vector_bytes = (uint64_t)group->n_dims * element_bytes(group->element_type);
    struct span span;

    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    MNI_CHECK(n > 0 && n <= group->n_vectors && first <= group->n_vectors - n);
    if (__builtin_expect(group->has_differences, 0))
        return mni_segment_decode_vectors(segment, group, first, n, vectors_out, pin_out, err);
    uint64_t offset =
        segment->layout.columns[SEG_VECTORS].offset + group->vectors_offset + first * vector_bytes;
    mn_status st = fetch(segment, offset, (size_t)(n * vector_bytes), &span, err);
    if (st != MN_OK)
        return st;
    *vectors_out = span.bytes;
    *pin_out = span.pin;
    return MN_OK;
}

/* Reads a row number at an offset in a column. */
static mn_status read_row(struct mni_segment *s, enum seg_column type, uint64_t at,
                          uint32_t *row_out, struct mn_error *err)
{
    uint64_t offset = s->layout.columns[type].offset + at;
    struct span span;
    mn_status st = fetch(s, offset, 4, &span, err);

    if (st != MN_OK)
        return st;
    uint32_t row = mni_get_u32(span.bytes);
    release(s, span.pin);
    if (row >= s->info.n_rows)
        return mni_segment_nonsense(s, offset, "an index names a row that is none", err);
    *row_out = row;
    return MN_OK;
}

mn_status mni_segment_vector_row(struct mni_segment *segment, const struct mni_segment_group *group,
                                 uint32_t vector_index, uint32_t *row_out, struct mn_error *err)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    MNI_CHECK(vector_index < group->n_vectors);
    if (!group->has_rows) {
        *row_out = group->first_row + vector_index;
        return MN_OK;
    }
    return read_row(segment, SEG_VECTOR_ROWS, group->rows_offset + (uint64_t)vector_index * 4,
                    row_out, err);
}

mn_status mni_segment_expiring_row(struct mni_segment *segment, uint64_t index, uint32_t *row_out,
                                   struct mn_error *err)
{
    MNI_CHECK(segment->magic == SEGMENT_MAGIC);
    MNI_CHECK(index < segment->info.n_expiring);
    return read_row(segment, SEG_EXPIRY, index * 4, row_out, err);
}
