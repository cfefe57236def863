/* A segment of version 1 still means what docs/format/segment.md says, and is written the same. */
#include "segment/fixture.h"

enum { FILE_BYTES = 237568, FILE_BYTES_WITHOUT_CODES = 204800 };

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

static void writing_gives_the_same_bytes(void)
{
    unsigned char *bytes = golden_bytes("segment-v1.seg", FILE_BYTES);
    struct rows rows = golden_rows();
    struct disk d = disk_new();
    size_t n;

    (void)write_segment(&d, &rows, 1);
    unsigned char *again = read_file(&d, 1, &n);
    CHECK_EQ(n, FILE_BYTES);
    CHECK_MEM_EQ(again, bytes, n);
    free(again);
    free(bytes);
    rows_free(&rows);
    disk_free(&d);
}

static void write_golden(const char *path)
{
    struct rows rows = golden_rows();
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
        CHECK_TEST(writing_gives_the_same_bytes),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_golden(argv[2]);
        return 0;
    }
    return check_run("golden.segment", tests, CHECK_COUNT(tests), argc, argv);
}
