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
    SEG_VECTORS,     SEG_CODES,       SEG_SIGNS,    SEG_PAYLOADS, SEG_BLOBS,
    SEG_ROWS,        SEG_VECTOR_ROWS, SEG_EXPIRY,   SEG_GROUPS,   SEG_SECOND_PRINTS,
    SEG_SECOND_ROWS, SEG_KEY_PRINTS,  SEG_KEY_ROWS,
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

void mni_segment_layout(const struct plan_sizes *sizes, struct layout *layout_out)
{
    uint64_t n_key_buckets = n_buckets_for(sizes->n_keys);
    uint64_t n_second_buckets = n_buckets_for(sizes->n_second_keys);
    uint64_t last_vector_rows = has_mixed_rows(&sizes->group) ? sizes->group.n_vectors * 4 : 0;
    const uint64_t bytes[SEG_N_COLUMNS] = {
        [SEG_VECTORS] = sizes->vectors_bytes,
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
    };
    uint64_t offset = SEG_BLOCK_BYTES;
    struct layout layout = {.n_columns = 0};

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

/* Adds a row to the sizes. */
static mn_status grow(struct plan_sizes *s, enum row_place place, const struct mni_record *r,
                      struct mn_error *err)
{
    if (place == ROW_NEW_GROUP) {
        if (has_mixed_rows(&s->group))
            s->vector_rows_bytes += s->group.n_vectors * 4;
        s->group = (struct plan_group){0};
        s->n_groups++;
    }
    if (r->n_dims > 0) {
        struct plan_group *group = &s->group;
        if (group->n_vectors == 0) {
            group->n_dims = r->n_dims;
            group->element_type = r->element_type;
            s->vectors_bytes = mni_align_up(s->vectors_bytes, SEG_VECTOR_ALIGN);
            s->codes_bytes = mni_align_up(s->codes_bytes, SEG_CODES_UNIT_BYTES);
            s->n_dims_max = r->n_dims > s->n_dims_max ? r->n_dims : s->n_dims_max;
        }
        if (group->n_dims != r->n_dims || group->element_type != r->element_type)
            return mni_fail(err, MN_ERR_DIMENSION,
                            "a vector of collection %" PRIu64 " has %" PRIu32
                            " dimensions, those before have %" PRIu32 ", or another element type",
                            r->collection, r->n_dims, group->n_dims);
        group->n_vectors++;
        s->vectors_bytes += (uint64_t)r->n_dims * element_bytes(r->element_type);
        s->codes_bytes += code_bytes(r->n_dims);
        s->signs_bytes += sign_bytes(r->n_dims);
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
    mni_free(plan);
}

void mni_segment_plan_reset(struct mni_segment_plan *plan)
{
    MNI_CHECK(plan->magic == SEGMENT_PLAN_MAGIC);
    plan->sizes = (struct plan_sizes){0};
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
    mn_status st = grow(&sizes, place, &row->record, err);
    if (st != MN_OK)
        return st;
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
