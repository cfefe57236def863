/*
 * plan.c - how large each column of a segment will be, and so where it goes.
 *
 * Owns:    the plan.
 * Format:  docs/format/segment.md
 * Threads: one at a time.
 * Fails:   when memory is short, and for rows that no segment can hold.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "segment/segment_private.h"

const uint16_t mni_segment_column_order[SEG_N_COLUMNS - 1] = {
    SEG_VECTORS,     SEG_DIFFERENCES, SEG_PLACES,      SEG_CODES,  SEG_SIGNS,    SEG_PAYLOADS,
    SEG_BLOBS,       SEG_ROWS,        SEG_VECTOR_ROWS, SEG_EXPIRY, SEG_GROUPS,   SEG_SECOND_PRINTS,
    SEG_SECOND_ROWS, SEG_KEY_PRINTS,  SEG_KEY_ROWS,    SEG_TIMES,  SEG_ENTITIES, SEG_SPACES,
};

enum row_place mni_segment_place_row(const struct previous_row *previous, bool is_first,
                                     const struct mni_segment_row *row)
{
    const struct mni_record *r = &row->record;

    if (is_first || r->collection != previous->collection) {
        MNI_CHECK(is_first || r->collection > previous->collection);
        return ROW_NEW_GROUP;
    }
    int order = mni_key_compare((struct mn_slice){previous->key, previous->key_bytes}, r->key);
    MNI_CHECK(order <= 0);
    if (order < 0)
        return ROW_NEW_KEY;
    MNI_CHECK(row->lsn < previous->lsn);
    return ROW_OLDER;
}

void mni_segment_note_row(struct previous_row *previous, const struct mni_segment_row *row)
{
    previous->collection = row->record.collection;
    previous->lsn = row->lsn;
    previous->key_bytes = row->record.key.n_bytes;
    memcpy(previous->key, row->record.key.data, row->record.key.n_bytes);
}

static uint64_t place_column(struct layout *layout, enum seg_column type, uint64_t bytes,
                             uint64_t offset)
{
    layout->columns[type] = (struct column){bytes == 0 ? 0 : offset, bytes};
    layout->n_columns += bytes > 0;
    return mni_align_up(offset + bytes, SEG_BLOCK_BYTES);
}

/* Vectors whole or as differences ----------------------------------------------------------------
 */

static uint64_t whole_bytes(const struct plan_group *g)
{
    return g->n_vectors * g->n_dims * element_bytes(g->element_type);
}

/* What differences hardly make shorter is read without them. */
static bool is_shorter(const struct plan_group *g)
{
    uint64_t whole = whole_bytes(g);
    uint64_t n_bytes = g->n_keyframes * g->n_dims * sizeof(float) + g->differences_bytes +
                       g->n_vectors * SEG_PLACE_BYTES;

    if (g->keyframe_every == 0 || g->differences_bytes == 0)
        return false;
    return mni_keyframes_forced || n_bytes < whole - whole / 16;
}

/* Those of all groups, the last one too. */
static struct stored_vectors all_stored(const struct plan_sizes *sizes)
{
    const struct plan_group *g = &sizes->group;
    struct stored_vectors stored = sizes->stored;

    if (g->n_vectors == 0)
        return stored;
    stored.vectors_bytes = mni_align_up(stored.vectors_bytes, SEG_VECTOR_ALIGN);
    if (!is_shorter(g)) {
        stored.vectors_bytes += whole_bytes(g);
        return stored;
    }
    stored.vectors_bytes += g->n_keyframes * g->n_dims * sizeof(float);
    stored.differences_bytes += g->differences_bytes;
    stored.n_places += g->n_vectors;
    return stored;
}

static uint64_t blocks_of(uint64_t n_bytes)
{
    return mni_align_up(n_bytes, SEG_BLOCK_BYTES) / SEG_BLOCK_BYTES;
}

/* All whole, unless differences make the file shorter. */
static struct stored_vectors choose_stored(const struct plan_sizes *sizes)
{
    struct stored_vectors stored = all_stored(sizes);

    if (stored.n_places > 0 && mni_keyframes_forced)
        return stored;
    if (stored.n_places > 0 && stored.differences_bytes <= UINT32_MAX &&
        blocks_of(stored.vectors_bytes) + blocks_of(stored.differences_bytes) +
                blocks_of(stored.n_places * SEG_PLACE_BYTES) <
            blocks_of(sizes->vectors_bytes))
        return stored;
    return (struct stored_vectors){.vectors_bytes = sizes->vectors_bytes};
}

void mni_segment_layout(const struct plan_sizes *sizes, struct layout *layout_out)
{
    uint64_t n_key_buckets = n_buckets_for(sizes->n_keys);
    uint64_t n_second_buckets = n_buckets_for(sizes->n_second_keys);
    uint64_t last_vector_rows = has_mixed_rows(&sizes->group) ? sizes->group.n_vectors * 4 : 0;
    struct stored_vectors stored = choose_stored(sizes);
    const uint64_t bytes[SEG_N_COLUMNS] = {
        [SEG_VECTORS] = stored.vectors_bytes,
        [SEG_ROWS] = sizes->n_rows * SEG_ROW_BYTES,
        [SEG_BLOBS] = sizes->blobs_bytes,
        [SEG_PAYLOADS] = sizes->payloads_bytes,
        [SEG_KEY_PRINTS] = n_key_buckets * SEG_PRINTS_BYTES,
        [SEG_KEY_ROWS] = n_key_buckets * SEG_SLOTS_BYTES,
        [SEG_SECOND_PRINTS] = n_second_buckets * SEG_PRINTS_BYTES,
        [SEG_SECOND_ROWS] = n_second_buckets * SEG_SLOTS_BYTES,
        [SEG_GROUPS] = sizes->n_groups * SEG_GROUP_BYTES,
        [SEG_VECTOR_ROWS] = sizes->vector_rows_bytes + last_vector_rows,
        [SEG_EXPIRY] = sizes->n_expiring * 4,
        [SEG_CODES] = sizes->codes_bytes,
        [SEG_SIGNS] = sizes->signs_bytes,
        [SEG_SPACES] = sizes->n_spaces * SEG_SPACE_BYTES,
        [SEG_ENTITIES] = sizes->n_entities * SEG_ENTITY_BYTES,
        [SEG_TIMES] = sizes->n_times * SEG_TIME_BYTES,
        [SEG_DIFFERENCES] = stored.differences_bytes,
        [SEG_PLACES] = stored.n_places * SEG_PLACE_BYTES,
    };
    uint64_t offset = SEG_BLOCK_BYTES;
    struct layout layout = {.has_differences = stored.n_places > 0};

    for (size_t i = 0; i < SEG_N_COLUMNS - 1; i++) {
        enum seg_column type = (enum seg_column)mni_segment_column_order[i];
        offset = place_column(&layout, type, bytes[type], offset);
    }
    layout.checksums_offset = offset;
    uint64_t checksums_bytes = mni_align_up(layout_n_blocks(&layout) * 4, SEG_PAGE_BYTES);
    layout.footer_offset = offset + checksums_bytes;
    layout.n_checksum_blocks =
        (uint32_t)((checksums_bytes + SEG_BLOCK_BYTES - 1) / SEG_BLOCK_BYTES);
    uint64_t footer_bytes = SEG_FOOTER_FIXED_BYTES + (uint64_t)layout.n_columns * SEG_ENTRY_BYTES +
                            (uint64_t)layout.n_checksum_blocks * 4 + sizes->first_key_bytes +
                            sizes->last_key_bytes + SEG_TAIL_BYTES;
    layout.footer_bytes = (uint32_t)mni_align_up(footer_bytes, SEG_PAGE_BYTES);
    layout.file_bytes = layout.footer_offset + layout.footer_bytes;
    *layout_out = layout;
}

/* Where a collection is among those of points, or would be. */
static size_t find_points(const struct mni_segment_plan *plan, uint64_t collection)
{
    size_t low = 0;
    size_t high = plan->points.n_collections;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->points.collections[middle] < collection)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool mni_segment_plan_has_points(const struct mni_segment_plan *plan, uint64_t collection)
{
    size_t at = find_points(plan, collection);

    return at < plan->points.n_collections && plan->points.collections[at] == collection;
}

/* As it was asked for; 0: all vectors are whole. */
static uint32_t wanted_keyframes(const struct mni_segment_plan *plan, uint64_t collection)
{
    if (plan->points.keyframe_every == NULL || !mni_segment_plan_has_points(plan, collection))
        return 0;
    uint32_t every = plan->points.keyframe_every[find_points(plan, collection)];
    MNI_CHECK(every <= UINT16_MAX);
    return every < 2 ? 0 : every;
}

uint32_t mni_segment_plan_keyframe_every(const struct mni_segment_plan *plan, uint64_t index,
                                         uint64_t collection)
{
    bool is_last = index + 1 == plan->sizes.n_groups;
    bool is_chosen = is_last ? is_shorter(&plan->sizes.group)
                             : mni_contains_u64(plan->shorter, plan->n_shorter, index);

    return is_chosen && choose_stored(&plan->sizes).n_places > 0
               ? wanted_keyframes(plan, collection)
               : 0;
}

/* Notes a group that has ended. */
static mn_status note_shorter(struct mni_segment_plan *plan)
{
    if (plan->sizes.n_groups == 0 || !is_shorter(&plan->sizes.group))
        return MN_OK;
    if (plan->n_shorter == plan->shorter_capacity) {
        size_t capacity = plan->shorter_capacity == 0 ? 16 : plan->shorter_capacity * 2;
        uint64_t *shorter = mni_realloc(plan->shorter, capacity * sizeof *shorter);
        if (shorter == NULL)
            return MN_ERR_NOMEM;
        plan->shorter = shorter;
        plan->shorter_capacity = capacity;
    }
    plan->shorter[plan->n_shorter++] = plan->sizes.n_groups - 1;
    return MN_OK;
}

/* Counts the row's vector as what it would be among differences. */
static mn_status grow_differences(struct mni_segment_plan *plan, struct plan_sizes *sizes,
                                  const struct mni_record *r)
{
    struct plan_group *g = &sizes->group;
    struct keyframes *k = &plan->keyframes;

    if (r->n_dims == 0)
        return MN_OK;
    if (r->element_type != MNI_ELEMENT_F32) {
        g->keyframe_every = 0;
        return MN_OK;
    }
    mn_status st = mni_keyframes_reserve(k, r->n_dims);
    if (st != MN_OK)
        return st;
    if (r->n_dims > sizes->n_keyframe_dims_max)
        sizes->n_keyframe_dims_max = r->n_dims;
    size_t n_bytes = mni_keyframes_count(k, g->last_entity, r);
    g->n_keyframes += n_bytes == 0;
    g->differences_bytes += n_bytes;
    return MN_OK;
}

/* Begins a group in plan and sizes. */
static mn_status begin_group(struct mni_segment_plan *plan, struct plan_sizes *sizes,
                             uint64_t collection)
{
    mn_status st = note_shorter(plan);

    sizes->group.keyframe_every = wanted_keyframes(plan, collection);
    mni_keyframes_begin(&plan->keyframes, sizes->group.keyframe_every);
    return st;
}

static mn_status grow_points(struct plan_sizes *s, enum row_place place, const struct mni_record *r,
                             struct mn_error *err)
{
    uint64_t entity;
    int64_t time_us;

    if (!mni_point_key_read(r->key, &entity, &time_us))
        return mni_fail(err, MN_ERR_CORRUPT,
                        "collection %" PRIu64 ": the key of a point has %zu bytes", r->collection,
                        r->key.n_bytes);
    s->n_spaces += place == ROW_NEW_GROUP;
    s->n_entities += place == ROW_NEW_GROUP || s->group.last_entity != entity;
    s->n_times++;
    s->group.last_entity = entity;
    return MN_OK;
}

/* The vector is counted in its group already. */
static void grow_codes(struct plan_sizes *s, uint32_t n_dims)
{
    if (s->group.n_vectors == 1)
        s->codes_bytes = mni_align_up(s->codes_bytes, SEG_CODES_UNIT_BYTES);
    s->codes_bytes += code_bytes(n_dims);
    s->signs_bytes += sign_bytes(n_dims);
    if (n_dims > s->n_dims_max)
        s->n_dims_max = n_dims;
}

/* Adds a row to the sizes. */
static mn_status grow(struct plan_sizes *s, enum row_place place, bool has_points,
                      const struct mni_record *r, struct mn_error *err)
{
    if (place == ROW_NEW_GROUP) {
        if (has_mixed_rows(&s->group))
            s->vector_rows_bytes += s->group.n_vectors * 4;
        s->stored = all_stored(s);
        s->group = (struct plan_group){.has_points = has_points};
        s->n_groups++;
    }
    if (r->n_dims > 0) {
        struct plan_group *group = &s->group;
        if (group->n_vectors == 0) {
            group->n_dims = r->n_dims;
            group->element_type = r->element_type;
            s->vectors_bytes = mni_align_up(s->vectors_bytes, SEG_VECTOR_ALIGN);
        }
        if (group->n_dims != r->n_dims || group->element_type != r->element_type)
            return mni_fail(err, MN_ERR_DIMENSION,
                            "a vector of collection %" PRIu64 " has %" PRIu32
                            " dimensions, those before have %" PRIu32 ", or another element type",
                            r->collection, r->n_dims, group->n_dims);
        group->n_vectors++;
        s->vectors_bytes += (uint64_t)r->n_dims * element_bytes(r->element_type);
        if (!group->has_points)
            grow_codes(s, r->n_dims);
    }
    uint32_t flags = r->fields | (is_large(r) ? (uint32_t)SEG_ROW_LARGE : 0);
    s->blobs_bytes += blob_prefix_bytes(flags) + r->key.n_bytes + r->metadata.n_bytes;
    if (is_large(r))
        s->payloads_bytes = mni_align_up(s->payloads_bytes, SEG_PAYLOAD_ALIGN) + r->payload.n_bytes;
    else
        s->blobs_bytes += r->payload.n_bytes;
    s->group.n_rows++;
    s->n_expiring += (r->fields & MNI_FIELD_EXPIRY) != 0;
    if (place != ROW_OLDER) {
        s->n_keys++;
        s->n_second_keys += (r->fields & MNI_FIELD_SECOND_KEY) != 0;
    }
    if (s->n_rows == 0)
        s->first_key_bytes = r->key.n_bytes;
    s->last_key_bytes = r->key.n_bytes;
    s->n_rows++;
    return MN_OK;
}

static bool can_be_written(const struct plan_sizes *sizes)
{
    return sizes->n_rows <= MNI_SEGMENT_ROWS_MAX && sizes->vectors_bytes <= SEG_VECTORS_BYTES_MAX &&
           sizes->blobs_bytes >> SEG_ROW_BLOB_BITS == 0;
}

mn_status mni_segment_plan_new(uint64_t file_bytes_max, struct mni_segment_plan **plan_out)
{
    struct mni_segment_plan *plan = mni_alloc_zero(sizeof *plan);

    *plan_out = plan;
    if (plan == NULL)
        return MN_ERR_NOMEM;
    plan->magic = SEGMENT_PLAN_MAGIC;
    plan->file_bytes_max = file_bytes_max == 0 ? MNI_SEGMENT_FILE_BYTES_DEFAULT : file_bytes_max;
    return MN_OK;
}

void mni_segment_plan_free(struct mni_segment_plan *plan)
{
    if (plan == NULL)
        return;
    MNI_CHECK(plan->magic == SEGMENT_PLAN_MAGIC);
    plan->magic = 0;
    mni_keyframes_done(&plan->keyframes);
    mni_free(plan->shorter);
    mni_free(plan);
}

void mni_segment_plan_set_points(struct mni_segment_plan *plan,
                                 const struct mni_segment_points *points)
{
    MNI_CHECK(plan->magic == SEGMENT_PLAN_MAGIC);
    plan->points = *points;
}

void mni_segment_plan_reset(struct mni_segment_plan *plan)
{
    MNI_CHECK(plan->magic == SEGMENT_PLAN_MAGIC);
    plan->sizes = (struct plan_sizes){0};
    plan->n_shorter = 0;
}

static void check_record(const struct mni_segment_row *row)
{
    const struct mni_record *r = &row->record;

    MNI_CHECK(r->type == MNI_RECORD_UPSERT);
    MNI_CHECK((r->fields & ~(uint32_t)SEG_ROW_FIELDS) == 0);
    MNI_CHECK(r->key.n_bytes >= 1 && r->key.n_bytes <= KEY_BYTES_MAX);
    MNI_CHECK(r->metadata.n_bytes <= MN_METADATA_BYTES_MAX);
    MNI_CHECK(r->payload.n_bytes <= MN_PAYLOAD_BYTES_MAX);
    MNI_CHECK(r->n_dims <= MN_DIMENSIONS_MAX);
    MNI_CHECK((r->n_dims == 0) == (r->element_type == MNI_ELEMENT_NONE));
    MNI_CHECK(row->record_lsn <= row->lsn);
}

mn_status mni_segment_plan_add(struct mni_segment_plan *plan, const struct mni_segment_row *row,
                               struct mn_error *err)
{
    MNI_CHECK(plan->magic == SEGMENT_PLAN_MAGIC);
    check_record(row);
    bool is_first = plan->sizes.n_rows == 0;
    enum row_place place = mni_segment_place_row(&plan->previous, is_first, row);
    struct plan_sizes sizes = plan->sizes;
    bool has_points = place == ROW_NEW_GROUP
                          ? mni_segment_plan_has_points(plan, row->record.collection)
                          : sizes.group.has_points;
    mn_status st = grow(&sizes, place, has_points, &row->record, err);
    if (st == MN_OK && place == ROW_NEW_GROUP)
        st = begin_group(plan, &sizes, row->record.collection);
    if (st == MN_OK && sizes.group.has_points)
        st = grow_points(&sizes, place, &row->record, err);
    if (st == MN_OK && sizes.group.keyframe_every > 0)
        st = grow_differences(plan, &sizes, &row->record);
    if (st != MN_OK)
        return st == MN_ERR_NOMEM ? mni_fail(err, st, "the plan of a segment") : st;
    bool may_end = !is_first && place != ROW_OLDER;
    if (!can_be_written(&sizes))
        return may_end ? MN_END
                       : mni_fail(err, MN_ERR_LIMIT,
                                  "the versions of a key of collection %" PRIu64
                                  " are more than a segment can hold",
                                  row->record.collection);
    if (may_end) {
        struct layout layout;
        mni_segment_layout(&sizes, &layout);
        if (layout.file_bytes > plan->file_bytes_max)
            return MN_END;
    }
    plan->sizes = sizes;
    mni_segment_note_row(&plan->previous, row);
    return MN_OK;
}

uint64_t mni_segment_plan_n_rows(const struct mni_segment_plan *plan)
{
    return plan->sizes.n_rows;
}

uint64_t mni_segment_plan_file_bytes(const struct mni_segment_plan *plan)
{
    struct layout layout;

    mni_segment_layout(&plan->sizes, &layout);
    return layout.file_bytes;
}
