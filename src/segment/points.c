/*
 * points.c - entities and times of the groups whose keys are those of points.
 *
 * They say what the keys say, side by side: where an entity has its rows is found in a table that
 * stays in the processor's caches, a time in it among eight to a cache line, and no row is looked
 * at.
 *
 * Owns:    nothing.
 * Format:  docs/format/segment.md
 * Threads: any, to read; one at a time for each writer.
 * Fails:   MN_ERR_CORRUPT for damage, and for nonsense behind a good checksum. Writing, as streams
 *          do.
 */
#include "segment/segment_private.h"

enum { STEP_FIRST = 4, STEP_FACTOR = 4 }; /* rows; eight times are a cache line */

/* Writing -----------------------------------------------------------------------------------------
 */

static mn_status end_entity(struct point_writer *w, struct stream *entities, struct output *output,
                            struct mn_error *err)
{
    const struct mni_segment_entity *e = &w->entity;
    unsigned char bytes[SEG_ENTITY_BYTES];

    if (e->n_rows == 0)
        return MN_OK;
    mni_put_u64(bytes + SEG_ENTITY_OFF_ENTITY, e->entity);
    mni_put_i64(bytes + SEG_ENTITY_OFF_FIRST_TIME, e->first_us);
    mni_put_i64(bytes + SEG_ENTITY_OFF_LAST_TIME, e->last_us);
    mni_put_u32(bytes + SEG_ENTITY_OFF_FIRST_ROW, e->first_row);
    mni_put_u32(bytes + SEG_ENTITY_OFF_ROWS, e->n_rows);
    w->space.n_entities++;
    return mni_stream_put(entities, output, bytes, sizeof bytes, err);
}

void mni_point_writer_begin(struct point_writer *w, uint64_t collection, uint32_t row,
                            const struct stream *entities, const struct stream *times)
{
    *w = (struct point_writer){.is_open = true};
    w->space.collection = collection;
    w->space.first_row = row;
    w->space.first_entity = (uint32_t)(stream_bytes(entities) / SEG_ENTITY_BYTES);
    w->space.first_time = (uint32_t)(stream_bytes(times) / SEG_TIME_BYTES);
}

mn_status mni_point_writer_add(struct point_writer *w, struct mn_slice key, struct stream *entities,
                               struct stream *times, struct output *output, struct mn_error *err)
{
    struct mni_segment_entity *e = &w->entity;
    unsigned char bytes[SEG_TIME_BYTES];
    uint64_t entity = 0;
    int64_t time_us = 0;
    mn_status st = MN_OK;

    if (!mni_point_key_read(key, &entity, &time_us))
        return mni_output_not_planned(output, err);
    if (e->n_rows == 0 || e->entity != entity) {
        st = end_entity(w, entities, output, err);
        *e = (struct mni_segment_entity){.entity = entity,
                                         .first_us = time_us,
                                         .first_row = w->space.first_row + w->space.n_rows};
    }
    e->last_us = time_us;
    e->n_rows++;
    w->space.n_rows++;
    mni_put_i64(bytes, time_us);
    return st == MN_OK ? mni_stream_put(times, output, bytes, sizeof bytes, err) : st;
}

mn_status mni_point_writer_end(struct point_writer *w, struct stream *entities,
                               struct stream *spaces, struct output *output, struct mn_error *err)
{
    unsigned char bytes[SEG_SPACE_BYTES] = {0};

    if (!w->is_open)
        return MN_OK;
    w->is_open = false;
    mn_status st = end_entity(w, entities, output, err);
    mni_put_u64(bytes + SEG_SPACE_OFF_COLLECTION, w->space.collection);
    mni_put_u32(bytes + SEG_SPACE_OFF_FIRST_ENTITY, w->space.first_entity);
    mni_put_u32(bytes + SEG_SPACE_OFF_ENTITIES, w->space.n_entities);
    mni_put_u32(bytes + SEG_SPACE_OFF_FIRST_TIME, w->space.first_time);
    mni_put_u32(bytes + SEG_SPACE_OFF_FIRST_ROW, w->space.first_row);
    mni_put_u32(bytes + SEG_SPACE_OFF_ROWS, w->space.n_rows);
    return st == MN_OK ? mni_stream_put(spaces, output, bytes, sizeof bytes, err) : st;
}

/* Spaces ------------------------------------------------------------------------------------------
 */

static const struct column *column_of(const struct mni_segment *s, enum seg_column type)
{
    return &s->layout.columns[type];
}

static bool is_space_good(const struct mni_segment *s, const struct mni_segment_space *space)
{
    uint64_t n_entities = column_of(s, SEG_ENTITIES)->bytes / SEG_ENTITY_BYTES;
    uint64_t n_times = column_of(s, SEG_TIMES)->bytes / SEG_TIME_BYTES;

    return space->n_entities > 0 && space->n_rows >= space->n_entities &&
           (uint64_t)space->first_entity + space->n_entities <= n_entities &&
           (uint64_t)space->first_time + space->n_rows <= n_times &&
           (uint64_t)space->first_row + space->n_rows <= s->info.n_rows;
}

uint64_t mni_segment_n_spaces(const struct mni_segment *segment)
{
    return column_of(segment, SEG_SPACES)->bytes / SEG_SPACE_BYTES;
}

mn_status mni_segment_space(struct mni_segment *segment, uint64_t index,
                            struct mni_segment_space *space_out, struct mn_error *err)
{
    struct mni_segment *s = segment;
    uint64_t offset = column_of(s, SEG_SPACES)->offset + index * SEG_SPACE_BYTES;
    struct span span;

    MNI_CHECK(s->magic == SEGMENT_MAGIC);
    MNI_CHECK(index < mni_segment_n_spaces(s));
    mn_status st = fetch(s, offset, SEG_SPACE_BYTES, &span, err);

    if (st != MN_OK)
        return st;
    const unsigned char *p = span.bytes;
    *space_out = (struct mni_segment_space){
        .collection = mni_get_u64(p + SEG_SPACE_OFF_COLLECTION),
        .first_entity = mni_get_u32(p + SEG_SPACE_OFF_FIRST_ENTITY),
        .n_entities = mni_get_u32(p + SEG_SPACE_OFF_ENTITIES),
        .first_time = mni_get_u32(p + SEG_SPACE_OFF_FIRST_TIME),
        .first_row = mni_get_u32(p + SEG_SPACE_OFF_FIRST_ROW),
        .n_rows = mni_get_u32(p + SEG_SPACE_OFF_ROWS),
    };
    bool is_good = is_space_good(s, space_out) && mni_get_u32(p + SEG_SPACE_OFF_RESERVED) == 0;
    release(s, span.pin);
    return is_good ? MN_OK : mni_segment_nonsense(s, offset, "a space is impossible", err);
}

mn_status mni_segment_find_space(struct mni_segment *segment, uint64_t collection,
                                 struct mni_segment_space *space_out, struct mn_error *err)
{
    uint64_t low = 0;
    uint64_t high = mni_segment_n_spaces(segment);

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        mn_status st = mni_segment_space(segment, middle, space_out, err);
        if (st != MN_OK || space_out->collection == collection)
            return st;
        if (space_out->collection < collection)
            low = middle + 1;
        else
            high = middle;
    }
    return MN_NOT_FOUND;
}

/* Entities ----------------------------------------------------------------------------------------
 */

static uint64_t entity_offset(const struct mni_segment *s, const struct mni_segment_space *space,
                              uint32_t index)
{
    return column_of(s, SEG_ENTITIES)->offset +
           ((uint64_t)space->first_entity + index) * SEG_ENTITY_BYTES;
}

static mn_status read_entity(struct mni_segment *s, const struct mni_segment_space *space,
                             uint32_t index, struct mni_segment_entity *entity_out,
                             struct mn_error *err)
{
    uint64_t offset = entity_offset(s, space, index);
    struct span span;
    mn_status st = fetch(s, offset, SEG_ENTITY_BYTES, &span, err);

    if (st != MN_OK)
        return st;
    const unsigned char *p = span.bytes;
    *entity_out = (struct mni_segment_entity){
        .entity = mni_get_u64(p + SEG_ENTITY_OFF_ENTITY),
        .first_us = mni_get_i64(p + SEG_ENTITY_OFF_FIRST_TIME),
        .last_us = mni_get_i64(p + SEG_ENTITY_OFF_LAST_TIME),
        .first_row = mni_get_u32(p + SEG_ENTITY_OFF_FIRST_ROW),
        .n_rows = mni_get_u32(p + SEG_ENTITY_OFF_ROWS),
    };
    release(s, span.pin);
    uint64_t first = entity_out->first_row;
    if (entity_out->n_rows == 0 || first < space->first_row ||
        first + entity_out->n_rows > (uint64_t)space->first_row + space->n_rows)
        return mni_segment_nonsense(s, offset, "an entity is impossible", err);
    return MN_OK;
}

mn_status mni_segment_seek_entity(struct mni_segment *segment,
                                  const struct mni_segment_space *space, uint64_t entity,
                                  struct mni_segment_entity *entity_out, struct mn_error *err)
{
    uint32_t low = 0;
    uint32_t high = space->n_entities;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct span span;
        mn_status st = fetch(segment, entity_offset(segment, space, middle), 8, &span, err);
        if (st != MN_OK)
            return st;
        bool is_below = mni_get_u64(span.bytes + SEG_ENTITY_OFF_ENTITY) < entity;
        release(segment, span.pin);
        if (is_below)
            low = middle + 1;
        else
            high = middle;
    }
    return low < space->n_entities ? read_entity(segment, space, low, entity_out, err)
                                   : MN_NOT_FOUND;
}

/* Times -------------------------------------------------------------------------------------------
 */

mn_status mni_segment_time(struct mni_segment *segment, const struct mni_segment_space *space,
                           uint32_t row, int64_t *time_us_out, struct mn_error *err)
{
    struct span span;

    MNI_CHECK(row >= space->first_row && row - space->first_row < space->n_rows);
    uint64_t index = (uint64_t)space->first_time + (row - space->first_row);
    mn_status st = fetch(segment, column_of(segment, SEG_TIMES)->offset + index * SEG_TIME_BYTES,
                         SEG_TIME_BYTES, &span, err);
    if (st != MN_OK)
        return st;
    *time_us_out = mni_get_i64(span.bytes);
    release(segment, span.pin);
    return MN_OK;
}

/* Where a time would stand if all were equally far apart, from 0 to n_rows - 1. */
static uint32_t guess_row(const struct mni_segment_entity *e, int64_t time_us)
{
    double all = (double)((uint64_t)e->last_us - (uint64_t)e->first_us);
    double part = (double)((uint64_t)time_us - (uint64_t)e->first_us);
    uint32_t row = (uint32_t)(part / all * (e->n_rows - 1));

    return row < e->n_rows ? row : e->n_rows - 1;
}

/* Times mostly come at a steady pace. From where one should stand, growing steps go its way until
 * one has passed it; then what is left is halved. A search that only halved would wait for memory
 * several times over. */
mn_status mni_segment_seek_time(struct mni_segment *segment, const struct mni_segment_space *space,
                                const struct mni_segment_entity *entity, int64_t time_us,
                                uint32_t *row_out, struct mn_error *err)
{
    uint32_t low = entity->first_row;
    uint32_t high = low + entity->n_rows;
    uint32_t row = low;
    uint64_t step = STEP_FIRST;
    bool goes_up = false;

    if (time_us <= entity->first_us) /* what is asked most is the ends */
        high = low;
    else if (time_us > entity->last_us)
        low = high;
    else
        row = low + guess_row(entity, time_us);
    while (low < high) {
        int64_t at = 0;
        mn_status st = mni_segment_time(segment, space, row, &at, err);
        if (st != MN_OK)
            return st;
        bool is_below = at < time_us;
        if (step > STEP_FIRST && is_below != goes_up)
            step = UINT64_MAX; /* passed */
        goes_up = is_below;
        if (is_below)
            low = row + 1;
        else
            high = row;
        if (step <= high - low) {
            row = (uint32_t)(goes_up ? low + step - 1 : high - step);
            step *= STEP_FACTOR;
        } else {
            row = low + (high - low) / 2;
            step = UINT64_MAX;
        }
    }
    *row_out = low;
    return MN_OK;
}

/* The first point that is not below a key. A key of a point's length that is filled up with bytes 0
 * is the smallest above; a longer one is above the point whose key it begins with. */
static bool point_at_or_above(struct mn_slice key, uint64_t *entity_out, int64_t *time_us_out)
{
    struct mni_point_key whole = {{0}};
    size_t n = key.n_bytes < sizeof whole.bytes ? key.n_bytes : sizeof whole.bytes;

    if (n > 0)
        memcpy(whole.bytes, key.data, n);
    if (key.n_bytes > sizeof whole.bytes && !mni_point_key_next(&whole))
        return false;
    return mni_point_key_read((struct mn_slice){whole.bytes, sizeof whole.bytes}, entity_out,
                              time_us_out);
}

/* `e` (n_rows 0: not known) is the entity that was found last: both ends of a range are mostly of
 * one. */
static mn_status lower_bound(struct mni_segment *s, const struct mni_segment_space *space,
                             struct mn_slice key, struct mni_segment_entity *e, uint32_t *row_out,
                             struct mn_error *err)
{
    uint64_t entity = 0;
    int64_t time_us = 0;
    mn_status st = MN_OK;

    *row_out = space->first_row + space->n_rows;
    if (!point_at_or_above(key, &entity, &time_us))
        return MN_OK;
    if (e->n_rows == 0 || e->entity != entity)
        st = mni_segment_seek_entity(s, space, entity, e, err);
    if (st == MN_NOT_FOUND)
        return MN_OK;
    if (st != MN_OK)
        return st;
    if (e->entity == entity)
        return mni_segment_seek_time(s, space, e, time_us, row_out, err);
    *row_out = e->first_row;
    return MN_OK;
}

mn_status mni_segment_point_lower_bound(struct mni_segment *s,
                                        const struct mni_segment_space *space, struct mn_slice key,
                                        uint64_t *row_out, struct mn_error *err)
{
    struct mni_segment_entity e = {.n_rows = 0};
    uint32_t row;
    mn_status st = lower_bound(s, space, key, &e, &row, err);

    *row_out = row;
    return st;
}

mn_status mni_segment_point_range(struct mni_segment *s, const struct mni_segment_space *space,
                                  struct mn_slice low, struct mn_slice high, uint32_t *first_out,
                                  uint32_t *end_out, struct mn_error *err)
{
    struct mni_segment_entity e = {.n_rows = 0};
    mn_status st = MN_OK;

    *first_out = space->first_row;
    *end_out = space->first_row + space->n_rows;
    if (low.n_bytes > 0)
        st = lower_bound(s, space, low, &e, first_out, err);
    if (st == MN_OK && high.n_bytes > 0)
        st = lower_bound(s, space, high, &e, end_out, err);
    if (*end_out < *first_out)
        *end_out = *first_out;
    return st;
}
