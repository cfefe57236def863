/* A segment of version 1 still means what docs/format/segment.md says, and is written the same. */
#include "segment/fixture.h"

#define POINTS_FILE "segment-v1-points.seg"
#define DIFFERENCES_FILE "segment-v1-differences.seg"

enum {
    FILE_BYTES = 237568,
    FILE_BYTES_WITHOUT_CODES = 204800,
    POINTS_FILE_BYTES = 172032,
    DIFFERENCES_FILE_BYTES = 204800
};

static struct mni_segment_row plain(uint64_t collection, struct mn_slice key, uint64_t lsn)
{
    return (struct mni_segment_row){
        .record = {.type = MNI_RECORD_UPSERT, .collection = collection, .key = key},
        .lsn = lsn,
        .record_lsn = lsn,
    };
}

static struct rows golden_rows(void)
{
    static const uint32_t floats[] = {0x3f800000, 0x80000000, 0x00000001, 0x7fc0beef};
    static const uint16_t halves[] = {0x3c00, 0x8000, 0x7e01};
    unsigned char second_key[MNI_SECOND_KEY_BYTES];
    unsigned char payload[5000];
    struct rows rows = {0};

    for (size_t i = 0; i < sizeof second_key; i++)
        second_key[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (unsigned char)(i * 7);

    struct mni_segment_row row = plain(0, mn_str("catalogue"), 1);
    rows_add(&rows, &row);

    row = plain(7, mn_str("memory-1"), 12);
    row.record_lsn = 9;
    row.record.fields = SEG_ROW_FIELDS;
    row.record.event_time_us = -1;
    row.record.expires_at_us = 1700000000000000;
    row.record.hits = 3;
    row.record.second_key = second_key;
    row.record.element_type = MNI_ELEMENT_F32;
    row.record.n_dims = CHECK_COUNT(floats);
    row.record.vector = floats;
    row.record.metadata = mn_str("{\"k\":\"v\"}");
    row.record.payload = (struct mn_slice){"\x00\x01\xff", 3};
    rows_add(&rows, &row);

    row.lsn = 5;
    row.record_lsn = 5;
    row.record.fields = MNI_FIELD_EXPIRY;
    row.record.expires_at_us = -5;
    row.record.metadata = mn_str("");
    rows_add(&rows, &row);

    row = plain(7, (struct mn_slice){"\0/", 2}, 4);
    row.record.payload = (struct mn_slice){payload, sizeof payload};
    rows_add(&rows, &row);

    row = plain(UINT64_MAX, mn_str("h"), 6);
    row.record.element_type = MNI_ELEMENT_F16;
    row.record.n_dims = CHECK_COUNT(halves);
    row.record.vector = halves;
    rows_add(&rows, &row);
    rows_sort(&rows);
    return rows;
}

/* Two entities of a space, and a namespace before it. */
static struct rows golden_points(void)
{
    static uint64_t spaces[] = {5};
    static const struct {
        uint64_t entity;
        int64_t time_us;
        uint64_t lsn;
    } points[] = {{1, INT64_MIN, 4}, {1, -20, 9}, {1, -20, 3}, {1, 35, 2}, {UINT64_MAX, 0, 5}};
    static const float vector[] = {1, 2};
    struct rows rows = {.points = {.collections = spaces, .n_collections = CHECK_COUNT(spaces)}};
    struct mni_segment_row row = plain(4, mn_str("before"), 1);

    rows_add(&rows, &row);
    for (size_t i = 0; i < CHECK_COUNT(points); i++) {
        struct mni_point_key key = mni_point_key(points[i].entity, points[i].time_us);
        row = plain(5, (struct mn_slice){key.bytes, sizeof key.bytes}, points[i].lsn);
        row.record.element_type = MNI_ELEMENT_F32;
        row.record.n_dims = CHECK_COUNT(vector);
        row.record.vector = vector;
        rows_add(&rows, &row);
    }
    rows_sort(&rows);
    return rows;
}

/* Two entities of a space with three points a keyframe. Each block of elements has another header:
 * the same elements, fixed widths, widths by exponents, all bits. */
static struct rows golden_differences(void)
{
    enum { N_DIMS = 200, BLOCK = 64 };
    static uint64_t spaces[] = {5};
    static uint32_t every[] = {3};
    struct rows rows = {.points = {spaces, every, CHECK_COUNT(spaces)}};
    unsigned char vector[N_DIMS * 4];

    for (uint32_t p = 0; p < 5; p++) {
        struct mni_point_key key = mni_point_key(p < 4 ? 1 : 2, (int64_t)p * 10 - 20);
        struct mni_segment_row row =
            plain(5, (struct mn_slice){key.bytes, sizeof key.bytes}, p + 1);
        for (uint32_t i = 0; i < N_DIMS; i++) {
            uint32_t bits = 0x3f800000 - (i % 8 << 23) + i * 1111;
            if (i / BLOCK == 1)
                bits += p * (i % 50 + 1);
            else if (i / BLOCK == 2)
                bits += (p * (i % 7 + 1) << i % 8) + (i == 2 * BLOCK ? p << 30 : 0);
            else if (i / BLOCK == 3)
                bits ^= p * 0x9e3779b9 * (i + 1);
            mni_put_u32(vector + (size_t)i * 4, bits);
        }
        row.record.element_type = MNI_ELEMENT_F32;
        row.record.n_dims = N_DIMS;
        row.record.vector = vector;
        rows_add(&rows, &row);
    }
    rows_sort(&rows);
    return rows;
}

static unsigned char *golden_bytes(const char *name, size_t n_expected)
{
    char path[600];
    unsigned char *bytes = aligned_alloc(4096, FILE_BYTES + 4096);
    (void)snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    FILE *file = fopen(path, "rb");

    CHECK(bytes != NULL);
    CHECK(file != NULL);
    size_t n = fread(bytes, 1, FILE_BYTES + 1, file);
    (void)fclose(file);
    CHECK_EQ(n, n_expected);
    return bytes;
}

static void check_reading(const char *name, size_t n, bool has_codes)
{
    unsigned char *bytes = golden_bytes(name, n);
    struct rows rows = golden_rows();
    struct mni_segment_id id = id_of(1);
    struct memory_source source;
    struct mni_segment *segment = NULL;
    struct mn_error err;

    memory_source_init(&source, bytes, n, true);
    CHECK_OK_ERR(mni_segment_open_source(&source.base, &id, NULL, &segment, &err), &err);
    check_segment(segment, &rows);
    const struct mni_segment_info *info = mni_segment_get_info(segment);
    CHECK_EQ(info->n_rows, 5);
    CHECK_EQ(info->n_keys, 4);
    CHECK_EQ(info->n_groups, 3);
    CHECK_EQ(info->n_expiring, 2);
    CHECK_EQ(info->min_lsn, 1);
    CHECK_EQ(info->max_lsn, 12);
    CHECK_EQ(info->min_expiry_us, -5);
    struct mni_segment_group group;
    CHECK_OK(mni_segment_find_group(segment, 7, &group, NULL));
    CHECK_EQ(group.has_codes, has_codes);
    mni_segment_unref(segment);
    rows_free(&rows);
    free(bytes);
}

static void the_segment_reads_as_written(void)
{
    check_reading("segment-v1.seg", FILE_BYTES, true);
}

static void a_segment_without_codes_reads_as_written(void)
{
    check_reading("segment-v1-without-codes.seg", FILE_BYTES_WITHOUT_CODES, false);
}

static void points_read_as_written(void)
{
    unsigned char *bytes = golden_bytes(POINTS_FILE, POINTS_FILE_BYTES);
    struct rows rows = golden_points();
    struct mni_segment_id id = id_of(1);
    struct memory_source source;
    struct mni_segment *segment = NULL;
    struct mni_segment_space space;
    struct mni_segment_entity e;
    uint32_t row;

    memory_source_init(&source, bytes, POINTS_FILE_BYTES, true);
    CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
    check_segment(segment, &rows);
    CHECK_OK(mni_segment_find_space(segment, 5, &space, NULL));
    CHECK(space.first_row == 1 && space.n_rows == 5 && space.n_entities == 2);
    CHECK_OK(mni_segment_seek_entity(segment, &space, 0, &e, NULL));
    CHECK(e.entity == 1 && e.first_row == 1 && e.n_rows == 4);
    CHECK(e.first_us == INT64_MIN && e.last_us == 35);
    CHECK_OK(mni_segment_seek_time(segment, &space, &e, -20, &row, NULL));
    CHECK_EQ(row, 2);
    CHECK_OK(mni_segment_seek_entity(segment, &space, 2, &e, NULL));
    CHECK(e.entity == UINT64_MAX && e.first_row == 5 && e.n_rows == 1);
    mni_segment_unref(segment);
    rows_free(&rows);
    free(bytes);
}

static void differences_read_as_written(void)
{
    unsigned char *bytes = golden_bytes(DIFFERENCES_FILE, DIFFERENCES_FILE_BYTES);
    const unsigned char *differences = column_of(bytes, DIFFERENCES_FILE_BYTES, SEG_DIFFERENCES);
    struct rows rows = golden_differences();
    struct mni_segment_id id = id_of(1);
    struct memory_source source;
    struct mni_segment *segment = NULL;
    struct mni_segment_group group;

    memory_source_init(&source, bytes, DIFFERENCES_FILE_BYTES, true);
    CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
    check_segment(segment, &rows);
    CHECK_OK(mni_segment_find_group(segment, 5, &group, NULL));
    CHECK(group.has_differences && group.keyframe_every == 3);
    CHECK_EQ(segment->layout.columns[SEG_VECTORS].bytes, 3 * 200 * 4);
    CHECK_EQ(segment->layout.columns[SEG_PLACES].bytes, 5 * SEG_PLACE_BYTES);
    CHECK_EQ(differences[0], 0);                        /* the same */
    CHECK(differences[1] >= 1 && differences[1] <= 32); /* fixed widths */
    mni_segment_unref(segment);
    rows_free(&rows);
    free(bytes);
}

static void check_writing(const char *name, size_t n_expected, struct rows rows)
{
    unsigned char *bytes = golden_bytes(name, n_expected);
    struct disk d = disk_new();
    size_t n;

    (void)write_segment(&d, &rows, 1);
    unsigned char *again = read_file(&d, 1, &n);
    CHECK_EQ(n, n_expected);
    CHECK_MEM_EQ(again, bytes, n);
    free(again);
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

static void writing_gives_the_same_bytes(void)
{
    check_writing("segment-v1.seg", FILE_BYTES, golden_rows());
    check_writing(POINTS_FILE, POINTS_FILE_BYTES, golden_points());
    mni_keyframes_forced = true; /* it is too small to become shorter */
    check_writing(DIFFERENCES_FILE, DIFFERENCES_FILE_BYTES, golden_differences());
    mni_keyframes_forced = false;
}

static void write_golden(const char *path, struct rows rows)
{
    struct disk d = disk_new();
    FILE *file = fopen(path, "wb");
    size_t n;

    (void)write_segment(&d, &rows, 1);
    unsigned char *bytes = read_file(&d, 1, &n);
    CHECK(file != NULL && fwrite(bytes, 1, n, file) == n);
    (void)fclose(file);
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_segment_reads_as_written),
        CHECK_TEST(a_segment_without_codes_reads_as_written),
        CHECK_TEST(points_read_as_written),
        CHECK_TEST(differences_read_as_written),
        CHECK_TEST(writing_gives_the_same_bytes),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        bool has_points = strstr(argv[2], POINTS_FILE) != NULL;
        bool has_differences = strstr(argv[2], DIFFERENCES_FILE) != NULL;
        mni_keyframes_forced = has_differences;
        write_golden(argv[2], has_differences ? golden_differences()
                              : has_points    ? golden_points()
                                              : golden_rows());
        return 0;
    }
    return check_run("golden.segment", tests, CHECK_COUNT(tests), argc, argv);
}
