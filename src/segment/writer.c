/*
 * writer.c - rows into a segment file whose layout is known.
 *
 * Owns:    the file until it is finished, a buffer per column, the hash tables.
 * Format:  docs/format/segment.md
 * Threads: one at a time.
 * Fails:   when file or memory do, when pacing ends it, and for rows other than those planned.
 */
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/plant.h"
#include "segment/segment_private.h"

struct expiring {
    int64_t expires_at_us;
    uint32_t row;
};

struct mni_segment_writer {
    uint32_t magic;
    struct mni_dir *dir;                 /* borrowed */
    const struct mni_segment_plan *plan; /* borrowed */
    struct layout layout;
    struct output output;
    struct stream streams[SEG_N_COLUMNS]; /* those of the tables are not used */
    struct code_block code_block;
    struct point_writer points;
    struct keyframes keyframes;
    struct table keys;
    struct table second_keys;
    struct expiring *expiring; /* owned: one for each row that was planned to expire */
    uint64_t n_expiring;
    struct mni_segment_info info; /* counts as rows come */
    struct previous_row previous;
    uint64_t first_collection;
    size_t first_key_bytes;
    unsigned char first_key[KEY_BYTES_MAX];
    struct mni_segment_group group; /* that of the row before */
    uint64_t vectors_start;         /* of the group */
    char name[MNI_NAME_BYTES_MAX];
};

static bool is_streamed(size_t type)
{
    return type != SEG_KEY_PRINTS && type != SEG_KEY_ROWS && type != SEG_SECOND_PRINTS &&
           type != SEG_SECOND_ROWS;
}

static uint64_t checksums_bytes(const struct layout *layout)
{
    return layout->footer_offset - layout->checksums_offset;
}

uint64_t mni_segment_plan_memory_bytes(const struct mni_segment_plan *plan)
{
    const uint64_t buffer_bytes_max = 256 << 10;
    struct layout layout;
    uint64_t n_bytes = sizeof(struct mni_segment_writer);

    mni_segment_layout(&plan->sizes, &layout);
    for (size_t type = 1; type < SEG_N_COLUMNS; type++) {
        uint64_t whole = mni_align_up(layout.columns[type].bytes, SEG_BLOCK_BYTES);
        n_bytes += is_streamed(type) && whole > buffer_bytes_max ? buffer_bytes_max : whole;
    }
    n_bytes += mni_code_block_bytes(plan->sizes.n_dims_max);
    if (layout.has_differences)
        n_bytes += mni_keyframes_bytes(plan->sizes.n_keyframe_dims_max);
    return n_bytes + checksums_bytes(&layout) + layout.footer_bytes + SEG_BLOCK_BYTES +
           plan->sizes.n_expiring * sizeof(struct expiring);
}

/* Beginning ---------------------------------------------------------------------------------------
 */

static void free_writer(struct mni_segment_writer *w)
{
    for (size_t type = 1; type < SEG_N_COLUMNS; type++)
        mni_stream_done(&w->streams[type]);
    mni_code_block_done(&w->code_block);
    mni_keyframes_done(&w->keyframes);
    mni_table_done(&w->keys);
    mni_table_done(&w->second_keys);
    mni_free(w->expiring);
    mni_free(w->output.checksums);
    mni_file_close(w->output.file);
    w->magic = 0;
    mni_free(w);
}

static mn_status allocate_all(struct mni_segment_writer *w)
{
    const struct plan_sizes *sizes = &w->plan->sizes;
    mn_status st = mni_table_init(&w->keys, sizes->n_keys);

    if (st == MN_OK)
        st = mni_table_init(&w->second_keys, sizes->n_second_keys);
    for (size_t type = 1; type < SEG_N_COLUMNS && st == MN_OK; type++) {
        if (is_streamed(type))
            st = mni_stream_init(&w->streams[type], w->layout.columns[type]);
    }
    if (st == MN_OK)
        st = mni_code_block_init(&w->code_block, sizes->n_dims_max);
    if (st == MN_OK && w->layout.has_differences)
        st = mni_keyframes_reserve(&w->keyframes, sizes->n_keyframe_dims_max);
    if (st != MN_OK)
        return st;
    if (sizes->n_expiring > 0)
        w->expiring = mni_alloc_array((size_t)sizes->n_expiring, sizeof w->expiring[0]);
    size_t n_bytes = (size_t)checksums_bytes(&w->layout);
    w->output.checksums = mni_alloc_aligned(MNI_DIRECT_ALIGN, n_bytes);
    if (w->output.checksums == NULL || (sizes->n_expiring > 0 && w->expiring == NULL))
        return MN_ERR_NOMEM;
    memset(w->output.checksums, 0, n_bytes);
    return MN_OK;
}

/* Directly, where that is possible: what is written will not be read soon by most, and a page cache
 * full of dirty pages makes the commits wait that sync beside it. */
static mn_status create_file(struct mni_segment_writer *w, bool is_buffered, struct mn_error *err)
{
    const unsigned flags = MNI_OPEN_WRITE | MNI_OPEN_CREATE;
    struct mni_file **file = &w->output.file;

    if (!is_buffered) {
        mn_status st = mni_dir_open_file(w->dir, w->name, flags | MNI_OPEN_DIRECT, file, err);
        if (st != MN_ERR_UNSUPPORTED)
            return st;
    }
    return mni_dir_open_file(w->dir, w->name, flags, file, err);
}

mn_status mni_segment_writer_new(const struct mni_segment_writer_config *config,
                                 struct mni_segment_writer **writer_out, struct mn_error *err)
{
    *writer_out = NULL;
    MNI_CHECK(config->plan->magic == SEGMENT_PLAN_MAGIC);
    MNI_CHECK(config->plan->sizes.n_rows > 0);
    struct mni_segment_writer *w = mni_alloc_zero(sizeof *w);
    if (w == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "writer of a segment");
    w->magic = SEGMENT_WRITER_MAGIC;
    w->dir = config->dir;
    w->plan = config->plan;
    mni_segment_layout(&w->plan->sizes, &w->layout);
    if (config->name != NULL) {
        MNI_CHECK(strlen(config->name) < sizeof w->name);
        memcpy(w->name, config->name, strlen(config->name) + 1);
    } else {
        mni_segment_name(&config->id, w->name);
    }
    w->output.label = w->name;
    w->output.pace = config->pace;
    w->output.pace_context = config->pace_context;
    w->output.id_crc = mni_crc32c(0, config->id.bytes, sizeof config->id.bytes);
    w->info = (struct mni_segment_info){
        .id = config->id, .min_lsn = UINT64_MAX, .min_expiry_us = INT64_MAX};

    mn_status st = allocate_all(w);
    if (st != MN_OK)
        st = mni_fail(err, st, "buffers for segment %s", w->name);
    else
        st = create_file(w, config->is_buffered, err);
    if (st != MN_OK) {
        free_writer(w);
        return st;
    }
    /* Columns grow side by side: without space of its own each would be scattered over the disk. */
    st = mni_file_allocate(w->output.file, w->layout.file_bytes, err);
    if (st != MN_OK && st != MN_ERR_UNSUPPORTED) {
        mni_segment_writer_abandon(w);
        return st;
    }
    *writer_out = w;
    return MN_OK;
}

void mni_segment_writer_abandon(struct mni_segment_writer *writer)
{
    if (writer == NULL)
        return;
    MNI_CHECK(writer->magic == SEGMENT_WRITER_MAGIC);
    mni_ignore(mni_dir_unlink(writer->dir, writer->name, NULL));
    free_writer(writer);
}

/* Groups ------------------------------------------------------------------------------------------
 */

static mn_status put(struct mni_segment_writer *w, enum seg_column type, const void *data, size_t n,
                     struct mn_error *err)
{
    return mni_stream_put(&w->streams[type], &w->output, data, n, err);
}

static mn_status put_u32(struct mni_segment_writer *w, enum seg_column type, uint32_t value,
                         struct mn_error *err)
{
    unsigned char bytes[4];

    mni_put_u32(bytes, value);
    return put(w, type, bytes, sizeof bytes, err);
}

static mn_status end_group(struct mni_segment_writer *w, struct mn_error *err)
{
    const struct mni_segment_group *g = &w->group;
    unsigned char bytes[SEG_GROUP_BYTES] = {0};

    if (g->n_rows == 0)
        return MN_OK;
    mn_status st = mni_code_block_flush(&w->code_block, &w->streams[SEG_CODES], &w->output, err);
    if (st == MN_OK)
        st = mni_point_writer_end(&w->points, &w->streams[SEG_ENTITIES], &w->streams[SEG_SPACES],
                                  &w->output, err);
    if (st != MN_OK)
        return st;
    mni_put_u64(bytes + SEG_GROUP_OFF_COLLECTION, g->collection);
    mni_put_u64(bytes + SEG_GROUP_OFF_VECTORS_OFFSET,
                g->has_differences ? g->first_place : g->vectors_offset);
    mni_put_u64(bytes + SEG_GROUP_OFF_ROWS_OFFSET, g->rows_offset);
    mni_put_u32(bytes + SEG_GROUP_OFF_FIRST_ROW, g->first_row);
    mni_put_u32(bytes + SEG_GROUP_OFF_ROWS, g->n_rows);
    mni_put_u32(bytes + SEG_GROUP_OFF_KEYS, g->n_keys);
    mni_put_u32(bytes + SEG_GROUP_OFF_VECTORS, g->n_vectors);
    mni_put_u32(bytes + SEG_GROUP_OFF_DIMS, g->n_dims);
    bytes[SEG_GROUP_OFF_ELEMENT_TYPE] = (unsigned char)g->element_type;
    bytes[SEG_GROUP_OFF_FLAGS] =
        (unsigned char)((g->has_rows ? SEG_GROUP_HAS_ROWS : 0) |
                        (g->has_no_codes ? SEG_GROUP_NO_CODES : 0) |
                        (g->has_differences ? SEG_GROUP_HAS_DIFFERENCES : 0));
    mni_put_u16(bytes + SEG_GROUP_OFF_KEYFRAME_EVERY, (uint16_t)g->keyframe_every);
    mni_put_i64(bytes + SEG_GROUP_OFF_MIN_EXPIRY, g->min_expiry_us);
    mni_put_u32(bytes + SEG_GROUP_OFF_CODES, (uint32_t)(g->codes_offset / SEG_CODES_UNIT_BYTES));
    mni_put_u32(bytes + SEG_GROUP_OFF_SIGNS, (uint32_t)(g->signs_offset / SEG_SIGNS_UNIT_BYTES));
    w->info.n_groups++;
    return put(w, SEG_GROUPS, bytes, sizeof bytes, err);
}

/* From the first row without a vector on, rows and vectors do not run side by side any more: those
 * before it are written down now. */
static mn_status begin_vector_rows(struct mni_segment_writer *w, struct mn_error *err)
{
    struct mni_segment_group *g = &w->group;
    mn_status st = MN_OK;

    g->has_rows = true;
    g->rows_offset = stream_bytes(&w->streams[SEG_VECTOR_ROWS]);
    for (uint32_t i = 0; i < g->n_vectors && st == MN_OK; i++)
        st = put_u32(w, SEG_VECTOR_ROWS, g->first_row + i, err);
    return st;
}

static mn_status begin_codes(struct mni_segment_writer *w, struct mn_error *err)
{
    mn_status st = mni_stream_align(&w->streams[SEG_CODES], &w->output, SEG_CODES_UNIT_BYTES, err);

    w->group.codes_offset = stream_bytes(&w->streams[SEG_CODES]);
    w->group.signs_offset = stream_bytes(&w->streams[SEG_SIGNS]);
    return st;
}

/* Takes the row into its group; sets where its vector goes. */
static mn_status put_vector(struct mni_segment_writer *w, const struct mni_record *r, uint32_t row,
                            uint32_t *vector_out, bool *is_difference_out, struct mn_error *err)
{
    struct mni_segment_group *g = &w->group;
    mn_status st = MN_OK;

    *vector_out = SEG_NO_VECTOR;
    *is_difference_out = false;
    if (r->n_dims == 0)
        return !g->has_rows && g->n_vectors > 0 ? begin_vector_rows(w, err) : MN_OK;
    if (g->n_vectors == 0) {
        st = mni_stream_align(&w->streams[SEG_VECTORS], &w->output, SEG_VECTOR_ALIGN, err);
        g->vectors_offset = stream_bytes(&w->streams[SEG_VECTORS]);
        g->first_place = (uint32_t)(stream_bytes(&w->streams[SEG_PLACES]) / SEG_PLACE_BYTES);
        g->n_dims = r->n_dims;
        g->element_type = r->element_type;
        if (st == MN_OK && !g->has_no_codes)
            st = begin_codes(w, err);
        if (st == MN_OK && row > g->first_row)
            st = begin_vector_rows(w, err);
    }
    bool has_room = g->has_no_codes || r->n_dims <= w->plan->sizes.n_dims_max;
    if (st == MN_OK && (g->n_dims != r->n_dims || g->element_type != r->element_type || !has_room))
        st = mni_output_not_planned(&w->output, err);
    if (st == MN_OK && g->has_rows)
        st = put_u32(w, SEG_VECTOR_ROWS, row, err);
    if (st != MN_OK)
        return st;
    g->n_vectors++;
    if (g->has_differences) {
        st = mni_keyframes_put(&w->keyframes, r, w->streams, &w->output, vector_out,
                               is_difference_out, err);
    } else {
        *vector_out = (uint32_t)(stream_bytes(&w->streams[SEG_VECTORS]) / 2);
        st =
            put(w, SEG_VECTORS, r->vector, (size_t)r->n_dims * element_bytes(r->element_type), err);
    }
    if (st != MN_OK || g->has_no_codes)
        return st;
    return mni_code_block_add(&w->code_block, r, &w->streams[SEG_CODES], &w->streams[SEG_SIGNS],
                              &w->output, err);
}

/* Rows --------------------------------------------------------------------------------------------
 */

static mn_status put_blob(struct mni_segment_writer *w, const struct mni_record *r,
                          struct mn_error *err)
{
    struct stream *payloads = &w->streams[SEG_PAYLOADS];
    unsigned char prefix[16];
    size_t n = 0;
    mn_status st = MN_OK;

    if (is_large(r)) {
        st = mni_stream_align(payloads, &w->output, SEG_PAYLOAD_ALIGN, err);
        mni_put_u64(prefix, stream_bytes(payloads));
        n = 8;
        if (st == MN_OK)
            st = put(w, SEG_PAYLOADS, r->payload.data, r->payload.n_bytes, err);
    }
    if ((r->fields & MNI_FIELD_HITS) != 0) {
        mni_put_u64(prefix + n, r->hits);
        n += 8;
    }
    if (st == MN_OK)
        st = put(w, SEG_BLOBS, prefix, n, err);
    if (st == MN_OK && (r->fields & MNI_FIELD_SECOND_KEY) != 0)
        st = put(w, SEG_BLOBS, r->second_key, MNI_SECOND_KEY_BYTES, err);
    if (st == MN_OK)
        st = put(w, SEG_BLOBS, r->key.data, r->key.n_bytes, err);
    if (st == MN_OK && r->metadata.n_bytes > 0)
        st = put(w, SEG_BLOBS, r->metadata.data, r->metadata.n_bytes, err);
    if (st == MN_OK && r->payload.n_bytes > 0 && !is_large(r))
        st = put(w, SEG_BLOBS, r->payload.data, r->payload.n_bytes, err);
    return st;
}

static mn_status put_head(struct mni_segment_writer *w, const struct mni_segment_row *row,
                          uint32_t more_flags, uint64_t blob_offset, uint32_t vector,
                          struct mn_error *err)
{
    const struct mni_record *r = &row->record;
    unsigned char bytes[SEG_ROW_BYTES];
    uint32_t flags = r->fields | (is_large(r) ? (uint32_t)SEG_ROW_LARGE : 0) | more_flags |
                     (uint32_t)r->element_type << SEG_ROW_ELEMENT_SHIFT;

    mni_put_u64(bytes + SEG_ROW_OFF_LSN, row->lsn);
    mni_put_u64(bytes + SEG_ROW_OFF_RECORD_LSN, row->record_lsn);
    mni_put_i64(bytes + SEG_ROW_OFF_EVENT_TIME,
                (r->fields & MNI_FIELD_EVENT_TIME) != 0 ? r->event_time_us : 0);
    mni_put_i64(bytes + SEG_ROW_OFF_EXPIRY,
                (r->fields & MNI_FIELD_EXPIRY) != 0 ? r->expires_at_us : 0);
    mni_put_u64(bytes + SEG_ROW_OFF_BLOB, blob_offset);
    mni_put_u16(bytes + SEG_ROW_OFF_DIMS, (uint16_t)(r->n_dims == 0 ? 0 : r->n_dims - 1));
    mni_put_u64(bytes + SEG_ROW_OFF_COLLECTION, r->collection);
    mni_put_u16(bytes + SEG_ROW_OFF_KEY_BYTES, (uint16_t)r->key.n_bytes);
    mni_put_u16(bytes + SEG_ROW_OFF_FLAGS, (uint16_t)flags);
    mni_put_u32(bytes + SEG_ROW_OFF_METADATA_BYTES, (uint32_t)r->metadata.n_bytes);
    mni_put_u32(bytes + SEG_ROW_OFF_PAYLOAD_BYTES, (uint32_t)r->payload.n_bytes);
    mni_put_u32(bytes + SEG_ROW_OFF_VECTOR, vector);
    return put(w, SEG_ROWS, bytes, sizeof bytes, err);
}

/* Notes the row in the indexes and counts. */
static mn_status index_row(struct mni_segment_writer *w, const struct mni_segment_row *row,
                           bool is_older, uint64_t blob_offset, struct mn_error *err)
{
    const struct mni_record *r = &row->record;
    uint32_t number = (uint32_t)w->info.n_rows;
    bool is_planned = true;

    if ((r->fields & MNI_FIELD_EXPIRY) != 0) {
        is_planned = w->n_expiring < w->plan->sizes.n_expiring;
        if (is_planned)
            w->expiring[w->n_expiring++] = (struct expiring){r->expires_at_us, number};
        if (r->expires_at_us < w->group.min_expiry_us)
            w->group.min_expiry_us = r->expires_at_us;
        if (r->expires_at_us < w->info.min_expiry_us)
            w->info.min_expiry_us = r->expires_at_us;
    }
    if (!is_older) {
        w->info.n_keys++;
        w->group.n_keys++;
        is_planned = is_planned && mni_table_add(&w->keys, mni_key_hash(r->collection, r->key),
                                                 number, blob_offset);
    }
    if (!is_older && (r->fields & MNI_FIELD_SECOND_KEY) != 0) {
        struct mn_slice second_key = {r->second_key, MNI_SECOND_KEY_BYTES};
        uint64_t hash = mni_key_hash(r->collection, second_key);
        is_planned = is_planned && mni_table_add(&w->second_keys, hash, number, blob_offset);
    }
    if (row->lsn < w->info.min_lsn)
        w->info.min_lsn = row->lsn;
    if (row->lsn > w->info.max_lsn)
        w->info.max_lsn = row->lsn;
    w->group.n_rows++;
    w->info.n_rows++;
    return is_planned ? MN_OK : mni_output_not_planned(&w->output, err);
}

/* Ends the group before. */
static mn_status begin_group(struct mni_segment_writer *w, uint64_t collection,
                             struct mn_error *err)
{
    mn_status st = end_group(w, err);
    uint32_t every = mni_segment_plan_keyframe_every(w->plan, w->info.n_groups, collection);

    w->group = (struct mni_segment_group){
        .collection = collection,
        .first_row = (uint32_t)w->info.n_rows,
        .min_expiry_us = INT64_MAX,
        .has_differences = every > 0,
        .keyframe_every = every,
    };
    mni_keyframes_begin(&w->keyframes, every);
    w->group.has_no_codes = mni_segment_plan_has_points(w->plan, collection);
    if (w->group.has_no_codes)
        mni_point_writer_begin(&w->points, collection, w->group.first_row,
                               &w->streams[SEG_ENTITIES], &w->streams[SEG_TIMES]);
    return st;
}

mn_status mni_segment_writer_add(struct mni_segment_writer *writer,
                                 const struct mni_segment_row *row, struct mn_error *err)
{
    struct mni_segment_writer *w = writer;
    const struct mni_record *r = &row->record;
    uint32_t vector;
    bool is_difference = false;

    MNI_CHECK(w->magic == SEGMENT_WRITER_MAGIC);
    bool is_first = w->info.n_rows == 0;
    enum row_place place = mni_segment_place_row(&w->previous, is_first, row);
    if (w->info.n_rows == w->plan->sizes.n_rows)
        return mni_output_not_planned(&w->output, err);
    mni_segment_note_row(&w->previous, row);
    if (is_first) {
        w->first_collection = r->collection;
        w->first_key_bytes = r->key.n_bytes;
        memcpy(w->first_key, r->key.data, r->key.n_bytes);
    }
    mn_status st = place == ROW_NEW_GROUP ? begin_group(w, r->collection, err) : MN_OK;
    if (st == MN_OK && w->points.is_open)
        st = mni_point_writer_add(&w->points, r->key, &w->streams[SEG_ENTITIES],
                                  &w->streams[SEG_TIMES], &w->output, err);
    if (st == MN_OK)
        st = put_vector(w, r, (uint32_t)w->info.n_rows, &vector, &is_difference, err);
    uint64_t blob_offset = stream_bytes(&w->streams[SEG_BLOBS]);
    if (st == MN_OK)
        st = put_blob(w, r, err);
    uint32_t flags = (place == ROW_OLDER ? (uint32_t)SEG_ROW_OLDER : 0) |
                     (is_difference ? (uint32_t)SEG_ROW_DIFFERENCE : 0);
    if (st == MN_OK)
        st = put_head(w, row, flags, blob_offset, vector, err);
    return st == MN_OK ? index_row(w, row, place == ROW_OLDER, blob_offset, err) : st;
}

/* Finishing ---------------------------------------------------------------------------------------
 */

static bool is_before(const struct expiring *a, const struct expiring *b)
{
    return a->expires_at_us != b->expires_at_us ? a->expires_at_us < b->expires_at_us
                                                : a->row < b->row;
}

static void sift_down(struct expiring *heap, uint64_t at, uint64_t n)
{
    struct expiring item = heap[at];

    for (uint64_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && is_before(&heap[child], &heap[child + 1]);
        if (!is_before(&item, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

/* In place: the library's sort may take as much memory again. */
static void sort_expiring(struct expiring *items, uint64_t n)
{
    for (uint64_t i = n / 2; i > 0; i--)
        sift_down(items, i - 1, n);
    for (uint64_t end = n; end > 1; end--) {
        struct expiring last = items[0];
        items[0] = items[end - 1];
        items[end - 1] = last;
        sift_down(items, 0, end - 1);
    }
}

static mn_status write_expiry(struct mni_segment_writer *w, struct mn_error *err)
{
    mn_status st = MN_OK;

    sort_expiring(w->expiring, w->n_expiring);
    for (uint64_t i = 0; i < w->n_expiring && st == MN_OK; i++)
        st = put_u32(w, SEG_EXPIRY, w->expiring[i].row, err);
    return st;
}

static mn_status write_columns(struct mni_segment_writer *w, struct mn_error *err)
{
    const struct column *columns = w->layout.columns;
    mn_status st = end_group(w, err);

    if (st == MN_OK)
        st = write_expiry(w, err);
    for (size_t type = 1; type < SEG_N_COLUMNS && st == MN_OK; type++) {
        if (is_streamed(type))
            st = mni_stream_finish(&w->streams[type], &w->output, err);
    }
    if (st == MN_OK)
        st = mni_output_column(&w->output, columns[SEG_SECOND_PRINTS], w->second_keys.prints, err);
    if (st == MN_OK)
        st = mni_output_column(&w->output, columns[SEG_SECOND_ROWS], w->second_keys.rows, err);
    if (st == MN_OK)
        st = mni_output_column(&w->output, columns[SEG_KEY_PRINTS], w->keys.prints, err);
    if (st == MN_OK)
        st = mni_output_column(&w->output, columns[SEG_KEY_ROWS], w->keys.rows, err);
    return st;
}

static mn_status write_header(struct mni_segment_writer *w, struct mn_error *err)
{
    const struct column column = {0, SEG_HEADER_BYTES};
    unsigned char *block = mni_alloc_aligned(MNI_DIRECT_ALIGN, SEG_BLOCK_BYTES);

    if (block == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "header of segment %s", w->name);
    memset(block, 0, SEG_BLOCK_BYTES);
    memcpy(block, SEG_HEADER_MAGIC, SEG_MAGIC_BYTES);
    mni_put_u32(block + SEG_HEADER_OFF_VERSION, SEG_VERSION);
    memcpy(block + SEG_HEADER_OFF_ID, w->info.id.bytes, SEG_ID_BYTES);
    mni_put_u32(block + SEG_HEADER_OFF_CRC, mni_crc32c(0, block, SEG_HEADER_OFF_CRC));
    mn_status st = mni_output_column(&w->output, column, block, err);
    mni_free(block);
    return st;
}

static void encode_fixed(const struct mni_segment_writer *w, unsigned char *p)
{
    const struct mni_segment_info *info = &w->info;

    memcpy(p, SEG_FOOTER_MAGIC, SEG_MAGIC_BYTES);
    mni_put_u32(p + SEG_FOOTER_OFF_VERSION, SEG_VERSION);
    mni_put_u32(p + SEG_FOOTER_OFF_COLUMNS, w->layout.n_columns);
    memcpy(p + SEG_FOOTER_OFF_ID, info->id.bytes, SEG_ID_BYTES);
    mni_put_u64(p + SEG_FOOTER_OFF_FILE_BYTES, w->layout.file_bytes);
    mni_put_u64(p + SEG_FOOTER_OFF_CHECKSUMS, w->layout.checksums_offset);
    mni_put_u64(p + SEG_FOOTER_OFF_ROWS, info->n_rows);
    mni_put_u64(p + SEG_FOOTER_OFF_KEYS, info->n_keys);
    mni_put_u64(p + SEG_FOOTER_OFF_SECOND_KEYS, w->second_keys.n_entries);
    mni_put_u64(p + SEG_FOOTER_OFF_GROUPS, info->n_groups);
    mni_put_u64(p + SEG_FOOTER_OFF_EXPIRING, info->n_expiring);
    mni_put_u64(p + SEG_FOOTER_OFF_MIN_LSN, info->min_lsn);
    mni_put_u64(p + SEG_FOOTER_OFF_MAX_LSN, info->max_lsn);
    mni_put_i64(p + SEG_FOOTER_OFF_MIN_EXPIRY, info->min_expiry_us);
    mni_put_u64(p + SEG_FOOTER_OFF_FIRST_COLLECTION, w->first_collection);
    mni_put_u64(p + SEG_FOOTER_OFF_LAST_COLLECTION, w->previous.collection);
    mni_put_u16(p + SEG_FOOTER_OFF_FIRST_KEY_BYTES, (uint16_t)w->first_key_bytes);
    mni_put_u16(p + SEG_FOOTER_OFF_LAST_KEY_BYTES, (uint16_t)w->previous.key_bytes);
    mni_put_u32(p + SEG_FOOTER_OFF_CHECKSUM_BLOCKS, w->layout.n_checksum_blocks);
}

static unsigned char *encode_directory(const struct layout *layout, unsigned char *p)
{
    for (size_t i = 0; i < SEG_N_COLUMNS - 1; i++) {
        uint16_t type = mni_segment_column_order[i];
        if (layout->columns[type].bytes == 0)
            continue;
        mni_put_u16(p + SEG_ENTRY_OFF_TYPE, type);
        mni_put_u16(p + SEG_ENTRY_OFF_CODEC, SEG_CODEC_PLAIN);
        bool is_optional = type >= SEG_CODES && type <= SEG_TIMES;
        mni_put_u32(p + SEG_ENTRY_OFF_FLAGS, is_optional ? 0 : SEG_ENTRY_REQUIRED);
        mni_put_u64(p + SEG_ENTRY_OFF_OFFSET, layout->columns[type].offset);
        mni_put_u64(p + SEG_ENTRY_OFF_BYTES, layout->columns[type].bytes);
        p += SEG_ENTRY_BYTES;
    }
    return p;
}

static unsigned char *encode_checksum_crcs(const struct mni_segment_writer *w, unsigned char *p)
{
    uint64_t n_bytes = checksums_bytes(&w->layout);

    for (uint64_t i = 0; i < w->layout.n_checksum_blocks; i++, p += 4) {
        uint64_t at = i * SEG_BLOCK_BYTES;
        size_t n = n_bytes - at < SEG_BLOCK_BYTES ? (size_t)(n_bytes - at) : SEG_BLOCK_BYTES;
        mni_put_u32(p, mni_segment_block_crc(w->output.id_crc, SEG_CHECKSUM_BLOCK_NUMBER + i,
                                             w->output.checksums + at, n));
    }
    return p;
}

static mn_status write_footer(struct mni_segment_writer *w, struct mn_error *err)
{
    uint32_t n = w->layout.footer_bytes;
    unsigned char *footer = mni_alloc_aligned(MNI_DIRECT_ALIGN, n);

    if (footer == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "footer of segment %s", w->name);
    memset(footer, 0, n);
    encode_fixed(w, footer);
    unsigned char *p = encode_directory(&w->layout, footer + SEG_FOOTER_FIXED_BYTES);
    p = encode_checksum_crcs(w, p);
    memcpy(p, w->first_key, w->first_key_bytes);
    memcpy(p + w->first_key_bytes, w->previous.key, w->previous.key_bytes);
    unsigned char *tail = footer + n - SEG_TAIL_BYTES;
    memcpy(tail, SEG_END_MAGIC, SEG_MAGIC_BYTES);
    mni_put_u32(tail + SEG_TAIL_OFF_BYTES, n);
    w->info.footer_bytes = n;
    w->info.footer_crc = mni_crc32c(0, footer, n - 4);
    mni_put_u32(tail + SEG_TAIL_OFF_CRC, w->info.footer_crc);
    mn_status st = mni_output_pages(&w->output, w->layout.footer_offset, footer, n, err);
    mni_free(footer);
    return st;
}

static bool is_as_planned(const struct mni_segment_writer *w)
{
    const struct plan_sizes *sizes = &w->plan->sizes;

    return w->info.n_rows == sizes->n_rows && w->info.n_keys == sizes->n_keys &&
           w->second_keys.n_entries == sizes->n_second_keys && w->n_expiring == sizes->n_expiring &&
           w->info.n_groups == sizes->n_groups && w->first_key_bytes == sizes->first_key_bytes &&
           w->previous.key_bytes == sizes->last_key_bytes;
}

mn_status mni_segment_writer_finish(struct mni_segment_writer *writer,
                                    struct mni_segment_info *info_out, struct mn_error *err)
{
    struct mni_segment_writer *w = writer;

    MNI_CHECK(w->magic == SEGMENT_WRITER_MAGIC);
    w->info.n_expiring = w->n_expiring;
    w->info.file_bytes = w->layout.file_bytes;
    mn_status st = write_columns(w, err);
    if (st == MN_OK && !is_as_planned(w))
        st = mni_output_not_planned(&w->output, err);
    if (st == MN_OK)
        st = write_header(w, err);
    if (st == MN_OK)
        st = mni_output_pages(&w->output, w->layout.checksums_offset, w->output.checksums,
                              checksums_bytes(&w->layout), err);
    if (st == MN_OK)
        st = write_footer(w, err);
    if (st == MN_OK)
        st = MNI_PLANTED("segment_not_synced") ? MN_OK : mni_file_sync(w->output.file, err);
    if (st != MN_OK)
        return st;
    *info_out = w->info;
    free_writer(w);
    return MN_OK;
}
