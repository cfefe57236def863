/* points_test.c - entities and times beside the keys that they follow from. */
#include "fixture.h"

#include "segment/bare.h"

enum { A_NAMESPACE = 1, FIRST_SPACE = 5, SECOND_SPACE = 6, LAST_NAMESPACE = 9 };

static uint64_t the_spaces[] = {2, FIRST_SPACE, SECOND_SPACE, 40};
static const struct mni_segment_points some_points = {.collections = the_spaces,
                                                      .n_collections = CHECK_COUNT(the_spaces)};

static const uint64_t entities[] = {0, 1, 2, 255, 256, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 70, INT64_MAX - 1, INT64_MAX};

static uint64_t pick_entity(uint64_t *random)
{
    return entities[check_below(random, CHECK_COUNT(entities))];
}

static int64_t pick_time(uint64_t *random)
{
    if (check_below(random, 2) == 0)
        return times[check_below(random, CHECK_COUNT(times))];
    return (int64_t)check_below(random, 200) - 100;
}

static struct rows point_rows(uint64_t *random, size_t n)
{
    static const uint64_t collections[] = {A_NAMESPACE, FIRST_SPACE, SECOND_SPACE, LAST_NAMESPACE};
    static const float vector[3] = {1, 2, 3};
    struct rows rows = {.points = some_points};

    for (size_t i = 0; i < n; i++) {
        struct mni_point_key key = mni_point_key(pick_entity(random), pick_time(random));
        struct mni_segment_row row = {
            .record = {.type = MNI_RECORD_UPSERT,
                       .collection = collections[check_below(random, CHECK_COUNT(collections))],
                       .key = {key.bytes, sizeof key.bytes},
                       .vector = vector,
                       .n_dims = 3,
                       .element_type = MNI_ELEMENT_F32,
                       .metadata = {"{}", 2}},
            .lsn = 1 + check_below(random, 4),
            .record_lsn = 1,
        };
        rows_add(&rows, &row);
    }
    rows_sort(&rows);
    return rows;
}

static bool point_of(const struct rows *rows, uint64_t row, uint64_t collection, uint64_t *entity,
                     int64_t *time_us)
{
    const struct mni_record *r = &rows->items[row].record;

    return r->collection == collection && mni_point_key_read(r->key, entity, time_us);
}

/* The first row of a space that is not below a point, by looking at all. */
static bool lower_row(const struct rows *rows, uint64_t collection, uint64_t entity,
                      int64_t time_us, uint32_t *row_out)
{
    uint64_t e;
    int64_t t;

    for (uint32_t i = 0; i < rows->n; i++) {
        if (point_of(rows, i, collection, &e, &t) &&
            (e > entity || (e == entity && t >= time_us))) {
            *row_out = i;
            return true;
        }
    }
    return false;
}

static void check_seek(struct mni_segment *segment, const struct rows *rows,
                       const struct mni_segment_space *space, uint64_t entity, int64_t time_us)
{
    struct mni_segment_entity found;
    uint32_t first = 0;
    uint32_t row = 0;
    uint64_t e = 0;
    int64_t t = 0;
    bool has_more = lower_row(rows, space->collection, entity, INT64_MIN, &first);
    mn_status st = mni_segment_seek_entity(segment, space, entity, &found, NULL);

    CHECK_STATUS(st, has_more ? MN_OK : MN_NOT_FOUND);
    if (!has_more)
        return;
    CHECK(point_of(rows, first, space->collection, &e, &t));
    CHECK(found.entity == e && found.first_us == t && found.first_row == first);
    uint32_t last = found.first_row + found.n_rows - 1;
    CHECK(point_of(rows, last, space->collection, &e, &t) && e == found.entity);
    CHECK_EQ(found.last_us, t);
    if (last + 1 < rows->n && point_of(rows, last + 1, space->collection, &e, &t))
        CHECK(e > found.entity);
    CHECK_OK(mni_segment_seek_time(segment, space, &found, time_us, &row, NULL));
    uint32_t expected = 0;
    if (!lower_row(rows, space->collection, found.entity, time_us, &expected) || expected > last)
        expected = last + 1;
    CHECK_EQ(row, expected);
}

static void check_space(struct mni_segment *segment, const struct rows *rows, uint64_t collection,
                        uint64_t *random)
{
    struct mni_segment_space space;
    struct mni_segment_group group;
    uint64_t e;
    int64_t t;
    int64_t found;
    mn_status st = mni_segment_find_group(segment, collection, &group, NULL);

    CHECK_STATUS(mni_segment_find_space(segment, collection, &space, NULL), st);
    if (st != MN_OK)
        return;
    CHECK(space.first_row == group.first_row && space.n_rows == group.n_rows);
    for (uint32_t i = 0; i < space.n_rows; i++) {
        CHECK(point_of(rows, space.first_row + i, collection, &e, &t));
        CHECK_OK(mni_segment_time(segment, &space, space.first_row + i, &found, NULL));
        CHECK_EQ(found, t);
    }
    for (size_t i = 0; i < 200; i++)
        check_seek(segment, rows, &space, pick_entity(random) + check_below(random, 2),
                   pick_time(random));
}

/* From a key, whose lower bound is known, to another one. */
static void check_range(struct mni_segment *segment, const struct rows *rows, uint64_t collection,
                        struct mn_slice low, uint64_t low_row, uint64_t *random)
{
    struct mni_point_key key = mni_point_key(pick_entity(random), pick_time(random));
    struct mn_slice high = {key.bytes, check_below(random, sizeof key.bytes + 1)};
    struct mni_segment_group group;
    uint32_t first;
    uint32_t end;
    uint64_t high_row;
    mn_status st = mni_segment_find_group(segment, collection, &group, NULL);

    CHECK_STATUS(mni_segment_key_range(segment, collection, low, high, &first, &end, NULL), st);
    if (st != MN_OK)
        return;
    CHECK_OK(mni_segment_lower_bound(segment, collection, high, &high_row, NULL));
    if (high.n_bytes == 0)
        high_row = group.first_row + group.n_rows;
    CHECK_EQ(first, low_row < high_row ? low_row : first);
    CHECK_EQ(end, low_row < high_row ? high_row : first);
    CHECK(end <= rows->n);
}

/* Keys of points, and parts of them, and longer ones. */
static void check_bounds(struct mni_segment *segment, const struct rows *rows, uint64_t *random)
{
    for (size_t i = 0; i < 2000; i++) {
        unsigned char bytes[MNI_POINT_KEY_BYTES + 2] = {0};
        struct mni_point_key key = mni_point_key(pick_entity(random), pick_time(random));
        struct mn_slice slice = {bytes, check_below(random, sizeof bytes + 1)};
        uint64_t collection = check_below(random, 11);
        uint64_t expected = 0;
        uint64_t row = 0;
        memcpy(bytes, key.bytes, sizeof key.bytes);
        bytes[MNI_POINT_KEY_BYTES] = (unsigned char)check_below(random, 2);
        while (expected < rows->n &&
               (rows->items[expected].record.collection < collection ||
                (rows->items[expected].record.collection == collection &&
                 mni_key_compare(rows->items[expected].record.key, slice) < 0)))
            expected++;
        CHECK_OK(mni_segment_lower_bound(segment, collection, slice, &row, NULL));
        CHECK_EQ(row, expected);
        check_range(segment, rows, collection, slice, expected, random);
    }
}

static void tables_say_what_keys_say(void)
{
    uint64_t random = check_seed();

    for (size_t round = 0; round < 20; round++) {
        struct rows rows = point_rows(&random, 1 + check_below(&random, 400));
        struct disk d = disk_new();
        (void)write_segment(&d, &rows, 1);
        struct mni_segment *segment = open_segment(&d, 1);
        struct mni_segment_space space;
        check_segment(segment, &rows);
        check_space(segment, &rows, FIRST_SPACE, &random);
        check_space(segment, &rows, SECOND_SPACE, &random);
        CHECK_STATUS(mni_segment_find_space(segment, A_NAMESPACE, &space, NULL), MN_NOT_FOUND);
        CHECK_STATUS(mni_segment_find_space(segment, LAST_NAMESPACE, &space, NULL), MN_NOT_FOUND);
        CHECK(mni_segment_n_spaces(segment) <= 2);
        check_bounds(segment, &rows, &random);
        mni_segment_unref(segment);
        rows_free(&rows);
        disk_free(&d);
    }
}

static void a_copy_has_them_too(void)
{
    uint64_t random = check_seed();
    struct rows rows = point_rows(&random, 300);
    struct disk d = disk_new();
    struct mni_bare_target target = {.name = "copy.new", .id = id_of(2)};
    char name[MNI_SEGMENT_NAME_BYTES];
    struct mni_segment_info info;

    (void)write_segment(&d, &rows, 1);
    struct mni_segment *segment = open_segment(&d, 1);
    target.dir = d.dir;
    CHECK_OK_ERR(mni_bare_write(segment, &target, &info, &d.err), &d.err);
    mni_segment_name(&target.id, name);
    CHECK_OK(mni_dir_rename(d.dir, target.name, name, NULL));
    struct mni_segment *copy = open_segment(&d, 2);
    CHECK_EQ(mni_segment_n_spaces(copy), 2);
    check_space(copy, &rows, FIRST_SPACE, &random);
    check_space(copy, &rows, SECOND_SPACE, &random);
    mni_segment_unref(segment);
    mni_segment_unref(copy);
    rows_free(&rows);
    disk_free(&d);
}

static void a_key_of_another_length_is_no_point(void)
{
    struct mni_segment_plan *plan = NULL;
    struct mni_segment_row row = {
        .record = {.type = MNI_RECORD_UPSERT, .collection = FIRST_SPACE, .key = mn_str("short")},
        .lsn = 1};
    struct mn_error err = {0};

    CHECK_OK(mni_segment_plan_new(0, &plan));
    mni_segment_plan_set_points(plan, &some_points);
    CHECK_STATUS(mni_segment_plan_add(plan, &row, &err), MN_ERR_CORRUPT);
    CHECK_STR_EQ(err.message, "collection 5: the key of a point has 5 bytes");
    CHECK_EQ(mni_segment_plan_n_rows(plan), 0);
    mni_segment_plan_free(plan);
}

/* Nonsense behind good checksums is told, and nobody follows it. */
static void nonsense_is_told(void)
{
    static const struct {
        unsigned column;
        size_t offset;
        uint32_t value;
    } edits[] = {
        {SEG_SPACES, SEG_SPACE_OFF_FIRST_ENTITY, UINT32_MAX},
        {SEG_SPACES, SEG_SPACE_OFF_ENTITIES, 0},
        {SEG_SPACES, SEG_SPACE_OFF_ENTITIES, UINT32_MAX},
        {SEG_SPACES, SEG_SPACE_OFF_FIRST_TIME, 300},
        {SEG_SPACES, SEG_SPACE_OFF_FIRST_ROW, UINT32_MAX},
        {SEG_SPACES, SEG_SPACE_OFF_ROWS, 301},
        {SEG_SPACES, SEG_SPACE_OFF_ROWS, 0},
        {SEG_SPACES, SEG_SPACE_OFF_RESERVED, 1},
        {SEG_ENTITIES, SEG_ENTITY_OFF_FIRST_ROW, UINT32_MAX},
        {SEG_ENTITIES, SEG_ENTITY_OFF_ROWS, 0},
        {SEG_ENTITIES, SEG_ENTITY_OFF_ROWS, 301},
    };
    uint64_t random = check_seed();
    struct rows rows = point_rows(&random, 300);
    struct disk d = disk_new();
    struct mni_segment_id id = id_of(1);
    size_t n;

    (void)write_segment(&d, &rows, 1);
    unsigned char *original = read_file(&d, 1, &n);
    for (size_t i = 0; i < CHECK_COUNT(edits); i++) {
        unsigned char *bytes = copy_bytes(original, n);
        struct memory_source source;
        struct mni_segment *segment = NULL;
        uint64_t row;
        mni_put_u32(column_of(bytes, n, edits[i].column) + edits[i].offset, edits[i].value);
        put_right(bytes, n);
        memory_source_init(&source, bytes, n, true);
        CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
        CHECK_STATUS(
            mni_segment_lower_bound(segment, FIRST_SPACE, (struct mn_slice){0}, &row, NULL),
            MN_ERR_CORRUPT);
        mni_segment_unref(segment);
        free(bytes);
    }
    free(original);
    rows_free(&rows);
    disk_free(&d);
}

/* A column that is not there, or has another length than the others ask for. */
static void lengths_are_checked_when_opening(void)
{
    static const unsigned columns[] = {SEG_SPACES, SEG_ENTITIES, SEG_TIMES};
    uint64_t random = check_seed();
    struct rows rows = point_rows(&random, 300);
    struct disk d = disk_new();
    struct mni_segment_id id = id_of(1);
    size_t n;

    (void)write_segment(&d, &rows, 1);
    unsigned char *original = read_file(&d, 1, &n);
    for (size_t i = 0; i < 2 * CHECK_COUNT(columns); i++) {
        unsigned char *bytes = copy_bytes(original, n);
        unsigned char *entry = entry_of(bytes, n, columns[i / 2]);
        struct memory_source source;
        struct mni_segment *segment = NULL;
        if (i % 2 == 0)
            mni_put_u16(entry + SEG_ENTRY_OFF_TYPE, 999); /* one that is passed over */
        else
            mni_put_u64(entry + SEG_ENTRY_OFF_BYTES, mni_get_u64(entry + SEG_ENTRY_OFF_BYTES) - 4);
        put_right(bytes, n);
        memory_source_init(&source, bytes, n, true);
        CHECK_STATUS(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL),
                     MN_ERR_CORRUPT);
        free(bytes);
    }
    free(original);
    rows_free(&rows);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(tables_say_what_keys_say),
        CHECK_TEST(a_copy_has_them_too),
        CHECK_TEST(a_key_of_another_length_is_no_point),
        CHECK_TEST(nonsense_is_told),
        CHECK_TEST(lengths_are_checked_when_opening),
    };

    return check_run("segment.points", tests, CHECK_COUNT(tests), argc, argv);
}
