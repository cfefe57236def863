/* codec_test.c - snapshot files that are wrong though their checksums are right. */
#include "fixture.h"

/* A file in memory, and where things are in it. */
struct sheet {
    struct stage stage;
    struct mni_snapshot snapshot;
    struct mni_snapshot parent;
    unsigned char *bytes; /* owned */
    uint64_t n;
};

static void sheet_init(struct sheet *s, unsigned flags)
{
    stage_init(&s->stage, 1);
    open_pool(&s->stage, true);
    describe(&s->stage, &s->parent, 10, 1, 1, 1);
    describe(&s->stage, &s->snapshot, 12, 1, 2, 1);
    s->snapshot.flags = flags;
    add(&s->stage, &s->parent, NULL);
    add(&s->stage, &s->snapshot, (flags & MNI_SNAPSHOT_INCREMENTAL) != 0 ? &s->parent : NULL);
    CHECK_OK(snapshot_encode(&s->snapshot, &s->bytes, &s->n, NULL));
}

static void sheet_done(struct sheet *s)
{
    mni_free(s->bytes);
    mni_snapshot_done(&s->snapshot);
    mni_snapshot_done(&s->parent);
    stage_done(&s->stage);
}

/* The content of a section, and its frame before it. */
static unsigned char *section(struct sheet *s, unsigned type)
{
    unsigned char *p = s->bytes + HEADER_BYTES;

    while (mni_get_u16(p + SECTION_OFF_TYPE) != type) {
        p += SECTION_HEADER_BYTES + mni_align_up(mni_get_u64(p + SECTION_OFF_BYTES), SECTION_ALIGN);
        CHECK(p < s->bytes + s->n);
    }
    return p + SECTION_HEADER_BYTES;
}

static void seal(unsigned char *bytes, uint64_t n)
{
    unsigned char digest[MNI_SNAPSHOT_DIGEST_BYTES];

    memset(bytes + HEADER_OFF_DIGEST, 0, MNI_SNAPSHOT_DIGEST_BYTES);
    mni_put_u32(bytes + HEADER_OFF_CRC, 0);
    snapshot_digest(bytes, n, digest);
    memcpy(bytes + HEADER_OFF_DIGEST, digest, sizeof digest);
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
}

static mn_status decode(struct sheet *s)
{
    struct mni_snapshot snapshot;
    unsigned char *copy = malloc(s->n);

    CHECK(copy != NULL);
    seal(s->bytes, s->n);
    memcpy(copy, s->bytes, s->n);
    mn_status st = snapshot_decode(copy, s->n, &snapshot, &s->stage.err);
    free(copy);
    mni_snapshot_done(&snapshot);
    return st;
}

/* Changes a number of so many bytes, expects an answer, and changes it back. */
static void expect(struct sheet *s, unsigned char *at, size_t n, uint64_t value, mn_status status)
{
    unsigned char before[8];
    unsigned char after[8];

    memcpy(before, at, n);
    mni_put_u64(after, value);
    CHECK(memcmp(before, after, n) != 0);
    memcpy(at, after, n);
    CHECK_STATUS(decode(s), status);
    CHECK(s->stage.err.message[0] != '\0');
    memcpy(at, before, n);
    CHECK_OK_ERR(decode(s), &s->stage.err);
}

static void headers_are_checked(void)
{
    struct sheet s;

    sheet_init(&s, MNI_SNAPSHOT_INCREMENTAL);
    expect(&s, s.bytes + HEADER_OFF_MAGIC, 8, 1, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_VERSION, 4, 2, MN_ERR_UNSUPPORTED);
    expect(&s, s.bytes + HEADER_OFF_FLAGS, 4, 9, MN_ERR_UNSUPPORTED);
    expect(&s, s.bytes + HEADER_OFF_FLAGS, 4, 0, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_FLAGS, 4, 5, MN_ERR_CORRUPT); /* no stored sizes */
    expect(&s, s.bytes + HEADER_OFF_ID, 8, 1, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_STORE_ID, 8, 1, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_PARENT, 8, UINT64_C(11) << 56, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_LSN, 8, 11, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_TIME, 8, 11, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_FILE_BYTES, 8, s.n + 1, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_FILE_BYTES, 8, 5, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_FILE_BYTES, 8, UINT64_MAX, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_SECTIONS, 4, 5, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_SECTIONS, 4, UINT32_MAX, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_RESERVED, 4, 1, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_RESERVED_2, 4, 1, MN_ERR_CORRUPT);
    memcpy(s.bytes + HEADER_OFF_PARENT, s.bytes + HEADER_OFF_ID, MNI_SNAPSHOT_ID_BYTES);
    CHECK_STATUS(decode(&s), MN_ERR_CORRUPT);
    sheet_done(&s);
}

static void facts_are_checked(void)
{
    struct sheet s;

    sheet_init(&s, MNI_SNAPSHOT_INCREMENTAL);
    unsigned char *p = section(&s, SECTION_FACTS);
    expect(&s, p + FACTS_OFF_RECORDS, 8, 6, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_BYTES, 8, s.snapshot.n_bytes + 1, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_OWN_BYTES, 8, s.snapshot.n_bytes + 1, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_FILES, 8, 5, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_OWN_FILES, 8, 5, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_PARENT_LSN, 8, 9, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_RESERVED, 8, 1, MN_ERR_CORRUPT);
    sheet_done(&s);
    sheet_init(&s, 0);
    p = section(&s, SECTION_FACTS);
    expect(&s, p + FACTS_OFF_PARENT_DIGEST, 8, 1, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_PARENT_LSN, 8, 1, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_OWN_FILES, 8, 1, MN_ERR_CORRUPT);
    expect(&s, p + FACTS_OFF_OWN_BYTES, 8, 1, MN_ERR_CORRUPT);
    sheet_done(&s);
}

static void frames_are_checked(void)
{
    struct sheet s;

    sheet_init(&s, MNI_SNAPSHOT_COMPRESSED);
    for (unsigned type = SECTION_FACTS; type < SECTION_KNOWN_END; type++) {
        unsigned char *p = section(&s, type) - SECTION_HEADER_BYTES;
        uint64_t n = mni_get_u64(p + SECTION_OFF_BYTES);
        expect(&s, p + SECTION_OFF_TYPE, 2, 0, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_TYPE, 2, type == 1 ? 3 : type - 1, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_TYPE, 2, 9, MN_ERR_UNSUPPORTED);
        expect(&s, p + SECTION_OFF_FLAGS, 2, 0, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_FLAGS, 2, 3, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_RESERVED, 4, 1, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_BYTES, 8, n + 8, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_BYTES, 8, n - 8, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_BYTES, 8, UINT64_MAX, MN_ERR_CORRUPT);
        expect(&s, p + SECTION_OFF_BYTES, 8, UINT64_MAX - 7, MN_ERR_CORRUPT);
    }
    sheet_done(&s);
}

/* A section that is not required and not known stands behind all others. */
static void sections_of_later_versions_are_passed_over(void)
{
    struct sheet s;

    sheet_init(&s, 0);
    unsigned char *longer = mni_alloc_zero(s.n + SECTION_HEADER_BYTES + 8);
    memcpy(longer, s.bytes, s.n);
    mni_put_u16(longer + s.n + SECTION_OFF_TYPE, 300);
    mni_put_u64(longer + s.n + SECTION_OFF_BYTES, 5);
    mni_put_u64(longer + HEADER_OFF_FILE_BYTES, s.n + SECTION_HEADER_BYTES + 8);
    mni_put_u32(longer + HEADER_OFF_SECTIONS, 7);
    unsigned char *new_section = longer + s.n;
    mni_free(s.bytes);
    s.bytes = longer;
    s.n += SECTION_HEADER_BYTES + 8;
    CHECK_OK_ERR(decode(&s), &s.stage.err);
    expect(&s, new_section + SECTION_OFF_FLAGS, 2, 1, MN_ERR_UNSUPPORTED);
    expect(&s, new_section + SECTION_HEADER_BYTES + 7, 1, 1, MN_ERR_CORRUPT);
    expect(&s, s.bytes + HEADER_OFF_SECTIONS, 4, 6, MN_ERR_CORRUPT);
    sheet_done(&s);
}

static void content_is_checked(void)
{
    struct sheet s;

    sheet_init(&s, MNI_SNAPSHOT_COMPRESSED);
    expect(&s, section(&s, SECTION_DESCRIPTION), 1, 0xff, MN_ERR_CORRUPT);
    expect(&s, section(&s, SECTION_STORE) + STORE_OFF_ID, 1, 0xff, MN_ERR_CORRUPT);
    expect(&s, section(&s, SECTION_MANIFEST) + 200, 1, 0xff, MN_ERR_CORRUPT);
    unsigned char *c = section(&s, SECTION_COLLECTIONS);
    expect(&s, c + COLLECTION_OFF_KIND, 4, 2, MN_ERR_CORRUPT); /* out of order */
    expect(&s, c + COLLECTION_OFF_RECORDS, 8, 1, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_OFF_RECORDS, 8, UINT64_MAX, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_OFF_NAME_BYTES, 4, 0, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_OFF_NAME_BYTES, 4, 3, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_OFF_NAME_BYTES, 4, 1025, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_OFF_NAME_BYTES, 4, UINT32_MAX, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_OFF_RESERVED, 4, 1, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_BYTES, 1, 0xff, MN_ERR_CORRUPT);
    expect(&s, c + COLLECTION_BYTES, 1, 'z', MN_ERR_CORRUPT); /* behind the next one */
    unsigned char *t = section(&s, SECTION_HISTORY);
    expect(&s, t + TIMELINE_OFF_INCARNATION, 8, 1, MN_ERR_CORRUPT);
    expect(&s, t + TIMELINE_OFF_BEGAN, 8, 1, MN_ERR_CORRUPT);
    expect(&s, t + TIMELINE_OFF_FROM, 8, 1, MN_ERR_CORRUPT);
    unsigned char *stored = section(&s, SECTION_STORED);
    expect(&s, stored, 8, 0, MN_ERR_CORRUPT);
    expect(&s, stored, 8, UINT64_MAX, MN_ERR_CORRUPT);
    sheet_done(&s);
}

/* What a snapshot may say of the past ---------- */

static mn_status encode(struct sheet *s)
{
    unsigned char *bytes = NULL;
    uint64_t n = 0;
    mn_status st = snapshot_encode(&s->snapshot, &bytes, &n, &s->stage.err);

    if (st == MN_OK)
        mni_free(bytes);
    return st;
}

static void histories_that_contradict_themselves_are_not_written(void)
{
    struct mni_timeline t[] = {
        {.incarnation = 1},
        {.incarnation = 2, .began_lsn = 8, .from_lsn = 4},
        {.incarnation = 0x1122334455667788, .began_lsn = 11, .from_lsn = 9},
    };
    struct sheet s;

    sheet_init(&s, 0);
    s.snapshot.timelines = t;
    s.snapshot.n_timelines = 3;
    CHECK_OK_ERR(encode(&s), &s.stage.err);
    t[2].from_lsn = 12; /* began before what it began from */
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    t[2] = (struct mni_timeline){.incarnation = t[2].incarnation, .began_lsn = 7, .from_lsn = 1};
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    s.snapshot.n_timelines = 2;
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    s.snapshot.n_timelines = 0;
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    sheet_done(&s);
}

static void what_would_not_be_read_is_not_written(void)
{
    static const char much[MNI_SNAPSHOT_DESCRIPTION_BYTES_MAX + 1];
    struct mni_snapshot_collection unordered[] = {two_collections[1], two_collections[0]};
    struct sheet s;

    sheet_init(&s, 0);
    s.snapshot.description = (struct mn_slice){much, sizeof much};
    CHECK_STATUS(encode(&s), MN_ERR_LIMIT);
    s.snapshot.description = (struct mn_slice){much, sizeof much - 1};
    CHECK_OK_ERR(encode(&s), &s.stage.err);
    s.snapshot.description = (struct mn_slice){"\xc3", 1};
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    s.snapshot.description = (struct mn_slice){NULL, 0};
    s.snapshot.collections = unordered;
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    unordered[0] = unordered[1];
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    s.snapshot.collections = two_collections;
    s.snapshot.id.bytes[0] = 1;
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    sheet_done(&s);
}

static void spaces_go_by_their_numbers(void)
{
    struct mni_snapshot_collection spaces[] = {
        two_collections[0],
        {.number = 8, .kind = 2, .n_records = 2, .name = {"\0\0\0\377", 4}},
        {.number = 9, .kind = 2, .dimension = 3, .name = {"\377\0\0\007", 4}},
    };
    struct sheet s;

    sheet_init(&s, 0);
    s.snapshot.collections = spaces;
    s.snapshot.n_collections = CHECK_COUNT(spaces);
    CHECK_OK_ERR(encode(&s), &s.stage.err);
    CHECK_EQ(mni_snapshot_n_namespaces(&s.snapshot), 1);
    spaces[2].name.n_bytes = 3;
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    spaces[2].name = (struct mn_slice){"aaaaa", 5};
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    s.snapshot.n_collections = 0;
    CHECK_EQ(mni_snapshot_n_namespaces(&s.snapshot), 0);
    s.snapshot.collections = two_collections;
    s.snapshot.n_collections = 2;
    CHECK_EQ(mni_snapshot_n_namespaces(&s.snapshot), 2);
    sheet_done(&s);
}

static void tenants_go_by_their_numbers(void)
{
    struct mni_snapshot_collection tenants[] = {
        two_collections[0],
        {.number = 8, .kind = 5, .n_records = 2, .name = {"\0\0\0\0\0\0\0\377", 8}},
        {.number = 9, .kind = 5, .dimension = 3, .name = {"\377\0\0\0\0\0\0\007", 8}},
    };
    struct sheet s;

    sheet_init(&s, 0);
    s.snapshot.collections = tenants;
    s.snapshot.n_collections = CHECK_COUNT(tenants);
    CHECK_OK_ERR(encode(&s), &s.stage.err);
    CHECK_EQ(mni_snapshot_n_namespaces(&s.snapshot), 1);
    tenants[2].name.n_bytes = 7;
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    tenants[2].name = (struct mn_slice){"aaaaaaaaa", 9};
    CHECK_STATUS(encode(&s), MN_ERR_INVALID);
    sheet_done(&s);
}

/* Memory is in proportion to the bytes that are there. */
static void claims_cost_no_memory(void)
{
    struct sheet s;

    sheet_init(&s, 0);
    mni_put_u64(s.bytes + HEADER_OFF_FILE_BYTES, SNAPSHOT_FILE_BYTES_MAX);
    mni_mem_reset_peak();
    uint64_t before = mni_mem_live_bytes();
    CHECK_STATUS(decode(&s), MN_ERR_CORRUPT);
    CHECK(mni_mem_peak_bytes() < before + 100000);
    sheet_done(&s);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(headers_are_checked),
        CHECK_TEST(facts_are_checked),
        CHECK_TEST(frames_are_checked),
        CHECK_TEST(sections_of_later_versions_are_passed_over),
        CHECK_TEST(content_is_checked),
        CHECK_TEST(histories_that_contradict_themselves_are_not_written),
        CHECK_TEST(what_would_not_be_read_is_not_written),
        CHECK_TEST(spaces_go_by_their_numbers),
        CHECK_TEST(tenants_go_by_their_numbers),
        CHECK_TEST(claims_cost_no_memory),
    };

    return check_run("snapshot.codec", tests, CHECK_COUNT(tests), argc, argv);
}
