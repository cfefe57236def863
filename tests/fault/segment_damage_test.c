/*
 * One byte of a segment is wrong, at every place, or its end is missing: each answer is right or
 * says that the file is damaged, and never that a key is absent which may lie in the damaged part.
 */
#include "segment/fixture.h"

struct small {
    struct disk disk;
    struct rows rows;
    unsigned char *bytes;
    size_t n;
    uint64_t checksums_offset;
};

static struct small small_segment(uint64_t seed)
{
    struct rows_options options = {.n = 25, .n_collections = 5};
    struct small s = {.disk = disk_new()};
    struct mni_segment_row large = {
        .record = {.type = MNI_RECORD_UPSERT, .collection = 3, .key = mn_str("large")}, .lsn = 3};

    s.rows = random_rows(&seed, options);
    unsigned char *payload = calloc(1, 5000);
    CHECK(payload != NULL);
    large.record.payload = (struct mn_slice){payload, 5000};
    rows_add(&s.rows, &large);
    free(payload);
    rows_sort(&s.rows);
    (void)write_segment(&s.disk, &s.rows, 1);
    s.bytes = read_file(&s.disk, 1, &s.n);
    struct mni_segment *segment = open_segment(&s.disk, 1);
    s.checksums_offset = segment->layout.checksums_offset;
    mni_segment_unref(segment);
    return s;
}

static void small_done(struct small *s)
{
    free(s->bytes);
    rows_free(&s->rows);
    disk_free(&s->disk);
}

/* Opens and audits the bytes as they are. Returns how much damage was told; an opening that refuses
 * counts as one. */
static uint64_t audit_damaged(struct small *s, bool is_mapped)
{
    struct mni_segment_id id = id_of(1);
    struct memory_source source;
    struct audit a = {.rows = &s->rows, .may_be_damaged = true};

    memory_source_init(&source, s->bytes, s->n, is_mapped);
    mn_status st = mni_segment_open_source(&source.base, &id, NULL, &a.segment, &a.err);
    if (st != MN_OK) {
        CHECK(st == MN_ERR_CORRUPT);
        CHECK_STR_HAS(a.err.message, "0102030405060708090a0b0c0d0e0f10.seg");
        CHECK_EQ(source.n_pins, 0);
        return 1;
    }
    audit_all(&a);
    mni_segment_unref(a.segment);
    CHECK_EQ(source.n_pins, 0);
    return a.n_damaged;
}

static mn_status verify(struct small *s)
{
    struct mni_segment_id id = id_of(1);
    struct mni_segment *segment = NULL;
    struct memory_source source;
    struct mn_error err;

    memory_source_init(&source, s->bytes, s->n, true);
    mn_status st = mni_segment_open_source(&source.base, &id, NULL, &segment, &err);
    if (st == MN_OK)
        st = mni_segment_verify(segment, NULL, NULL, &err);
    if (st != MN_OK)
        CHECK_STR_HAS(err.message, "segment 0102030405060708090a0b0c0d0e0f10.seg");
    mni_segment_unref(segment);
    return st;
}

/* Most bytes of a small segment are zeroes that belong to nothing: one in a few is enough. */
static bool is_tried(const struct small *s, size_t at)
{
    if (s->bytes[at] != 0 || at >= s->n - 4096)
        return true;
    size_t from = at < 40 ? 0 : at - 40;
    size_t to = at + 40 < s->n ? at + 40 : s->n;
    return !mni_is_zero(s->bytes + from, to - from) || at % 509 == 0;
}

static void any_byte_changed_is_found_or_does_not_matter(void)
{
    uint64_t random = check_seed();
    struct small s = small_segment(random);
    uint64_t n_told = 0;
    uint64_t n_tried = 0;

    CHECK_EQ(audit_damaged(&s, true), 0);
    CHECK_EQ(audit_damaged(&s, false), 0);
    for (size_t at = 0; at < s.n; at++) {
        if (!is_tried(&s, at))
            continue;
        unsigned char change = (unsigned char)(1U << check_below(&random, 8));
        s.bytes[at] ^= change;
        n_told += audit_damaged(&s, at % 16 != 0) > 0;
        CHECK_STATUS(verify(&s), MN_ERR_CORRUPT);
        s.bytes[at] ^= change;
        n_tried++;
    }
    CHECK(n_tried > 5000);
    CHECK(n_told > n_tried / 2);
    small_done(&s);
}

/* Rows in other blocks than the bad one are all there. */
static void one_bad_block_leaves_the_others_readable(void)
{
    uint64_t random = check_seed();
    struct rows rows = random_rows(&random, (struct rows_options){.n = 3000, .n_collections = 9});
    struct small s = {.disk = disk_new(), .rows = rows};

    (void)write_segment(&s.disk, &s.rows, 1);
    s.bytes = read_file(&s.disk, 1, &s.n);
    struct mni_segment *segment = open_segment(&s.disk, 1);
    const struct column *blobs = &segment->layout.columns[SEG_BLOBS];
    size_t at = (size_t)(blobs->offset + blobs->bytes / 2);
    s.bytes[at] ^= 1;
    mni_segment_unref(segment);
    struct mni_segment_id id = id_of(1);
    struct memory_source source;
    memory_source_init(&source, s.bytes, s.n, true);
    CHECK_OK(mni_segment_open_source(&source.base, &id, NULL, &segment, NULL));
    uint64_t n_bad = 0;
    for (size_t i = 0; i < s.rows.n; i++) {
        struct mni_segment_row row;
        struct mn_error err;
        mn_status st = mni_segment_row(segment, (uint32_t)i, &row, &err);
        if (st == MN_OK) {
            check_row(&row, &s.rows.items[i]);
            mni_segment_row_done(segment, &row);
            continue;
        }
        char place[64];
        CHECK_STATUS(st, MN_ERR_CORRUPT);
        (void)snprintf(place, sizeof place, "block %zu, at offset %zu", at / SEG_BLOCK_BYTES,
                       at / SEG_BLOCK_BYTES * SEG_BLOCK_BYTES);
        CHECK_STR_HAS(err.message, place);
        n_bad++;
    }
    CHECK(n_bad > 0 && n_bad < s.rows.n / 4);
    mni_segment_unref(segment);
    small_done(&s);
}

static void every_truncation_is_refused(void)
{
    struct small s = small_segment(5);
    size_t n = s.n;

    for (s.n = 0; s.n < n; s.n += s.n % 4096 == 0 || s.n % 4096 == 4095 ? 1 : 1361)
        CHECK_EQ(audit_damaged(&s, s.n % 2 == 0), 1);
    s.n = n;
    CHECK_EQ(audit_damaged(&s, true), 0);
    small_done(&s);
}

/* A block that belongs elsewhere, in this file or in another, has a good content and a wrong
 * place. */
static void blocks_in_wrong_places_are_found(void)
{
    struct small s = small_segment(6);
    struct small other = small_segment(6);
    unsigned char block[SEG_BLOCK_BYTES];

    memcpy(block, s.bytes + SEG_BLOCK_BYTES, sizeof block);
    memcpy(s.bytes + SEG_BLOCK_BYTES, s.bytes + 2 * (size_t)SEG_BLOCK_BYTES, sizeof block);
    memcpy(s.bytes + 2 * (size_t)SEG_BLOCK_BYTES, block, sizeof block);
    CHECK(audit_damaged(&s, true) > 0);
    CHECK_STATUS(verify(&s), MN_ERR_CORRUPT);
    small_done(&s);

    /* The same rows under another id. */
    (void)write_segment(&other.disk, &other.rows, 2);
    size_t n;
    unsigned char *bytes = read_file(&other.disk, 2, &n);
    CHECK_EQ(n, other.n);
    for (size_t at = SEG_BLOCK_BYTES; at < other.checksums_offset; at += SEG_BLOCK_BYTES) {
        memcpy(block, other.bytes + at, sizeof block);
        CHECK_MEM_EQ(bytes + at, block, sizeof block);
    }
    memcpy(other.bytes, bytes, (size_t)other.checksums_offset);
    CHECK_EQ(audit_damaged(&other, true), 1);
    memcpy(other.bytes, bytes, n);
    CHECK_EQ(audit_damaged(&other, true), 1);
    free(bytes);
    small_done(&other);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_byte_changed_is_found_or_does_not_matter),
        CHECK_TEST(one_bad_block_leaves_the_others_readable),
        CHECK_TEST(every_truncation_is_refused),
        CHECK_TEST(blocks_in_wrong_places_are_found),
    };

    return check_run("fault.segment_damage", tests, CHECK_COUNT(tests), argc, argv);
}
