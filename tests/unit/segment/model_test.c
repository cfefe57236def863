/* Random rows go into a segment, and every answer is compared with them. */
#include "segment/fixture.h"

static void check_unmapped(struct disk *d, unsigned char id, const struct rows *rows)
{
    struct mni_segment_id segment_id = id_of(id);
    struct memory_source source;
    struct mni_segment *segment = NULL;
    size_t n;
    unsigned char *bytes = read_file(d, id, &n);

    memory_source_init(&source, bytes, n, false);
    CHECK_OK_ERR(mni_segment_open_source(&source.base, &segment_id, NULL, &segment, &d->err),
                 &d->err);
    check_segment(segment, rows);
    mni_segment_unref(segment);
    CHECK_EQ(source.n_pins, 0);
    CHECK(source.is_closed);
    free(bytes);
}

static void check_rows(struct rows rows, bool also_unmapped)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct disk d = disk_new();
    struct mni_segment_info info = write_segment(&d, &rows, 1);
    struct mni_segment_id id = id_of(1);
    struct mni_segment *segment = NULL;

    CHECK_OK_ERR(mni_segment_open(d.dir, &id, &info, &segment, &d.err), &d.err);
    CHECK_MEM_EQ(mni_segment_get_info(segment), &info, sizeof info);
    check_segment(segment, &rows);
    mni_segment_unref(segment);
    if (also_unmapped)
        check_unmapped(&d, 1, &rows);
    disk_free(&d);
    rows_free(&rows);
    CHECK_EQ(mni_mem_live_blocks(), n_blocks);
}

static void small_segments_answer_as_their_rows(void)
{
    uint64_t random = check_seed();

    for (int i = 0; i < 150; i++) {
        struct rows_options options = {.n = 1 + check_below(&random, 60),
                                       .n_collections = 1 + check_below(&random, 9),
                                       .large_bytes = i % 3 == 0 ? 9000 : 0};
        check_rows(random_rows(&random, options), i % 5 == 0);
    }
}

static void large_segments_answer_as_their_rows(void)
{
    uint64_t random = check_seed();

    check_rows(random_rows(&random, (struct rows_options){.n = 20000, .n_collections = 9}), false);
    check_rows(random_rows(&random, (struct rows_options){.n = 4000, .n_collections = 1500}), true);
    check_rows(random_rows(&random,
                           (struct rows_options){.n = 20000, .n_collections = 1, .is_plain = true}),
               false);
    check_rows(
        random_rows(&random,
                    (struct rows_options){.n = 600, .n_collections = 4, .large_bytes = 300000}),
        true);
}

/* More than 4096 blocks: the checksums have several blocks of their own. */
static void a_segment_of_many_blocks_answers_as_its_rows(void)
{
    uint64_t random = check_seed();
    unsigned char *payload = malloc(4 << 20);
    struct rows rows = {0};

    CHECK(payload != NULL);
    fill_random(&random, payload, 4 << 20);
    for (unsigned char i = 0; i < 20; i++) {
        struct mni_segment_row row = {
            .record = {.type = MNI_RECORD_UPSERT,
                       .collection = 1,
                       .key = {&i, 1},
                       .payload = {payload, (4 << 20) - i}},
            .lsn = 1,
        };
        rows_add(&rows, &row);
    }
    free(payload);
    check_rows(rows, true);
}

static void every_float_bit_pattern_survives(void)
{
    static const uint32_t patterns[] = {0x00000000, 0x80000000, 0x00000001, 0x7f800000,
                                        0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
    struct rows rows = {0};
    uint16_t *halves = malloc(65536 * sizeof *halves);

    CHECK(halves != NULL);
    for (size_t i = 0; i < 65536; i++)
        mni_put_u16(&halves[i], (uint16_t)i);
    struct mni_segment_row row = {
        .record = {.type = MNI_RECORD_UPSERT,
                   .collection = 1,
                   .key = mn_str("f32"),
                   .element_type = MNI_ELEMENT_F32,
                   .vector = patterns,
                   .n_dims = CHECK_COUNT(patterns)},
        .lsn = 1,
    };
    rows_add(&rows, &row);
    row.record.collection = 2;
    row.record.key = mn_str("f16");
    row.record.element_type = MNI_ELEMENT_F16;
    row.record.vector = halves;
    row.record.n_dims = 65536;
    rows_add(&rows, &row);
    free(halves);
    check_rows(rows, true);
}

static void the_largest_row_fits(void)
{
    unsigned char *bytes = calloc(1, MN_PAYLOAD_BYTES_MAX);
    unsigned char second_key[MNI_SECOND_KEY_BYTES];
    struct rows rows = {0};

    CHECK(bytes != NULL);
    memset(bytes, 0x7f, KEY_BYTES_MAX);
    memset(second_key, 0xff, sizeof second_key);
    bytes[MN_PAYLOAD_BYTES_MAX - 1] = 9;
    struct mni_segment_row row = {
        .record = {.type = MNI_RECORD_UPSERT,
                   .collection = UINT64_MAX,
                   .fields = SEG_ROW_FIELDS,
                   .key = {bytes, KEY_BYTES_MAX},
                   .element_type = MNI_ELEMENT_F32,
                   .vector = bytes,
                   .n_dims = MN_DIMENSIONS_MAX,
                   .metadata = {bytes, MN_METADATA_BYTES_MAX},
                   .payload = {bytes, MN_PAYLOAD_BYTES_MAX},
                   .event_time_us = INT64_MIN,
                   .expires_at_us = INT64_MIN,
                   .hits = UINT64_MAX,
                   .second_key = second_key},
        .lsn = UINT64_MAX,
        .record_lsn = UINT64_MAX,
    };
    rows_add(&rows, &row);
    row.lsn = 0;
    row.record_lsn = 0;
    row.record.payload.n_bytes = 0;
    rows_add(&rows, &row);
    rows_sort(&rows);
    CHECK(rows.items[1].is_older);
    free(bytes);
    check_rows(rows, true);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(small_segments_answer_as_their_rows),
        CHECK_TEST(large_segments_answer_as_their_rows),
        CHECK_TEST(a_segment_of_many_blocks_answers_as_its_rows),
        CHECK_TEST(every_float_bit_pattern_survives),
        CHECK_TEST(the_largest_row_fits),
    };

    return check_run("segment.model", tests, CHECK_COUNT(tests), argc, argv);
}
