/* The record codec: what goes in comes out, and nothing else is accepted. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "mneme/limits.h"
#include "record/format.h"
#include "record/record.h"

enum { KEY_BYTES_MAX = MN_ID_BYTES_MAX + 1 };

/* Encodes into a block of exactly the record's size, so that a sanitizer sees a byte too far. */
static unsigned char *encoded(const struct mni_record *record, size_t *n_bytes_out)
{
    size_t n_bytes = mni_record_encoded_bytes(record);
    unsigned char *bytes = malloc(n_bytes);

    CHECK(bytes != NULL);
    CHECK_EQ(n_bytes % MNI_RECORD_ALIGN, 0);
    memset(bytes, 0x5a, n_bytes);
    mni_record_encode(record, bytes);
    *n_bytes_out = n_bytes;
    return bytes;
}

static void check_slice_equal(struct mn_slice a, struct mn_slice b)
{
    CHECK_EQ(a.n_bytes, b.n_bytes);
    if (a.n_bytes > 0)
        CHECK_MEM_EQ(a.data, b.data, a.n_bytes);
}

static size_t vector_bytes(const struct mni_record *record)
{
    return (size_t)record->n_dims * (record->element_type == MNI_ELEMENT_F32 ? 4 : 2);
}

static void check_same(const struct mni_record *a, const struct mni_record *b)
{
    CHECK_EQ(a->type, b->type);
    CHECK_EQ(a->element_type, b->element_type);
    CHECK_EQ(a->fields, b->fields);
    CHECK_EQ(a->clears, b->clears);
    CHECK_EQ(a->collection, b->collection);
    CHECK_EQ(a->n_dims, b->n_dims);
    if (a->n_dims > 0)
        CHECK_MEM_EQ(a->vector, b->vector, vector_bytes(b));
    check_slice_equal(a->key, b->key);
    check_slice_equal(a->metadata, b->metadata);
    check_slice_equal(a->payload, b->payload);
    if ((b->fields & MNI_FIELD_EVENT_TIME) != 0)
        CHECK_EQ(a->event_time_us, b->event_time_us);
    if ((b->fields & MNI_FIELD_EXPIRY) != 0)
        CHECK_EQ(a->expires_at_us, b->expires_at_us);
    if ((b->fields & MNI_FIELD_HITS) != 0)
        CHECK_EQ(a->hits, b->hits);
    if ((b->fields & MNI_FIELD_SECOND_KEY) != 0)
        CHECK_MEM_EQ(a->second_key, b->second_key, MNI_SECOND_KEY_BYTES);
}

static void check_round_trip(const struct mni_record *record)
{
    struct mni_record decoded;
    struct mni_record viewed;
    struct mn_error err;
    size_t n_bytes = 0;
    size_t n_used = 0;
    int64_t expires_at_us = 0;
    unsigned char *bytes = encoded(record, &n_bytes);

    CHECK_OK_ERR(mni_record_decode(bytes, n_bytes, &decoded, &n_used, &err), &err);
    CHECK_EQ(n_used, n_bytes);
    check_same(&decoded, record);
    mni_record_view(bytes, &viewed);
    check_same(&viewed, record);
    CHECK_EQ(mni_record_collection(bytes), record->collection);
    check_slice_equal(mni_record_key(bytes), record->key);
    CHECK_EQ(mni_record_expiry(bytes, &expires_at_us), (record->fields & MNI_FIELD_EXPIRY) != 0);
    if ((record->fields & MNI_FIELD_EXPIRY) != 0)
        CHECK_EQ(expires_at_us, record->expires_at_us);
    free(bytes);
}

/* Random bytes for every part; they live as long as the test. */
static const unsigned char *noise(uint64_t *random, size_t n)
{
    static unsigned char bytes[8192];

    CHECK(n <= sizeof bytes / 2);
    for (size_t i = 0; i < 16; i++)
        bytes[check_below(random, sizeof bytes)] = (unsigned char)check_random(random);
    return bytes + check_below(random, sizeof bytes / 2);
}

static struct mni_record random_record(uint64_t *random)
{
    struct mni_record r = {.type = MNI_RECORD_UPSERT + (unsigned)check_below(random, 3),
                           .collection = check_random(random) >> check_below(random, 64),
                           .event_time_us = (int64_t)check_random(random),
                           .expires_at_us = (int64_t)check_random(random),
                           .hits = check_random(random),
                           .second_key = noise(random, MNI_SECOND_KEY_BYTES)};

    r.key.n_bytes = 1 + check_below(random, check_below(random, 8) == 0 ? KEY_BYTES_MAX : 20);
    r.key.data = noise(random, r.key.n_bytes);
    if (r.type == MNI_RECORD_PATCH) {
        do {
            r.fields = (uint32_t)check_below(random, 8) & (MNI_FIELD_EXPIRY | MNI_FIELD_HITS);
            r.clears = (uint32_t)check_below(random, 8) & (MNI_FIELD_EXPIRY | MNI_FIELD_HITS);
            r.clears &= ~r.fields;
        } while ((r.fields | r.clears) == 0);
    }
    if (r.type != MNI_RECORD_UPSERT)
        return r;
    r.fields = (uint32_t)check_below(random, 16);
    r.element_type = (enum mni_element_type)check_below(random, 3);
    if (r.element_type != MNI_ELEMENT_NONE) {
        r.n_dims = 1 + (uint32_t)check_below(random, 40);
        r.vector = noise(random, vector_bytes(&r)); /* any bits are floats */
    }
    r.metadata.n_bytes = check_below(random, 2) * check_below(random, 40);
    r.metadata.data = noise(random, r.metadata.n_bytes);
    r.payload.n_bytes = check_below(random, 2) * check_below(random, 40);
    r.payload.data = noise(random, r.payload.n_bytes);
    return r;
}

static void random_records_round_trip(void)
{
    uint64_t random = check_seed();

    for (int i = 0; i < 20000; i++) {
        struct mni_record record = random_record(&random);
        check_round_trip(&record);
    }
}

static void every_float_bit_pattern_survives(void)
{
    static const uint32_t bits[] = {0x7f800001, 0x7fc00000, 0x7fffffff, 0xffc0dead, 0x7f800000,
                                    0xff800000, 0x80000000, 0x00000000, 0x00000001, 0x807fffff};
    struct mni_record record = {.type = MNI_RECORD_UPSERT,
                                .key = mn_str("k"),
                                .element_type = MNI_ELEMENT_F32,
                                .vector = bits,
                                .n_dims = CHECK_COUNT(bits)};

    check_round_trip(&record);
    record.element_type = MNI_ELEMENT_F16;
    record.n_dims *= 2;
    check_round_trip(&record);
}

static void the_largest_record_round_trips(void)
{
    size_t n_bytes = (size_t)MN_PAYLOAD_BYTES_MAX;
    unsigned char *data = malloc(n_bytes);

    CHECK(data != NULL);
    memset(data, 0xa7, n_bytes);
    struct mni_record record = {.type = MNI_RECORD_UPSERT,
                                .fields = 15,
                                .collection = UINT64_MAX,
                                .key = {data, KEY_BYTES_MAX},
                                .element_type = MNI_ELEMENT_F32,
                                .vector = data,
                                .n_dims = MN_DIMENSIONS_MAX,
                                .metadata = {data, MN_METADATA_BYTES_MAX},
                                .payload = {data, n_bytes},
                                .event_time_us = INT64_MIN,
                                .expires_at_us = INT64_MAX,
                                .hits = UINT64_MAX,
                                .second_key = data};
    check_round_trip(&record);
    free(data);
}

static void every_truncation_is_refused(void)
{
    uint64_t random = check_seed();

    for (int i = 0; i < 50; i++) {
        struct mni_record record = random_record(&random);
        size_t n_bytes = 0;
        unsigned char *bytes = encoded(&record, &n_bytes);
        for (size_t cut = 0; cut < n_bytes; cut++) {
            unsigned char *part = malloc(cut == 0 ? 1 : cut);
            CHECK(part != NULL);
            memcpy(part, bytes, cut);
            CHECK_STATUS(mni_record_decode(part, cut, &record, NULL, NULL), MN_ERR_CORRUPT);
            free(part);
        }
        free(bytes);
    }
}

/* What is accepted has one encoding, so a changed byte is either refused or part of a value. */
static void any_byte_changed_is_refused_or_kept(void)
{
    uint64_t random = check_seed();
    size_t n_refused = 0;
    size_t n_kept = 0;

    for (int i = 0; i < 200; i++) {
        struct mni_record record = random_record(&random);
        size_t n_bytes = 0;
        unsigned char *bytes = encoded(&record, &n_bytes);
        for (size_t at = 0; at < n_bytes; at++) {
            unsigned char was = bytes[at];
            bytes[at] ^= (unsigned char)(1 + check_below(&random, 255));
            struct mni_record decoded;
            size_t n_used = 0;
            if (mni_record_decode(bytes, n_bytes, &decoded, &n_used, NULL) == MN_OK) {
                size_t n_again = 0;
                unsigned char *again = encoded(&decoded, &n_again);
                CHECK_EQ(n_again, n_used);
                CHECK_MEM_EQ(again, bytes, n_used);
                free(again);
                n_kept++;
            } else {
                n_refused++;
            }
            bytes[at] = was;
        }
        free(bytes);
    }
    CHECK(n_refused > 1000);
    CHECK(n_kept > 1000);
}

/* One byte or field of an upsert, delete or patch set to what its rule forbids. */
static void broken_rules_are_refused(void)
{
    static const struct {
        enum mni_record_type type;
        size_t offset;
        unsigned char value;
    } rules[] = {
        {MNI_RECORD_UPSERT, RECORD_OFF_BYTES, 0},
        {MNI_RECORD_UPSERT, RECORD_OFF_BYTES, 24},
        {MNI_RECORD_UPSERT, RECORD_OFF_BYTES, 47},
        {MNI_RECORD_UPSERT, RECORD_OFF_BYTES, 56},
        {MNI_RECORD_UPSERT, RECORD_OFF_BYTES + 3, 0xff},
        {MNI_RECORD_UPSERT, RECORD_OFF_TYPE, 0},
        {MNI_RECORD_UPSERT, RECORD_OFF_TYPE, 4},
        {MNI_RECORD_UPSERT, RECORD_OFF_TYPE, 0xff},
        {MNI_RECORD_UPSERT, RECORD_OFF_ELEMENT_TYPE, 1},
        {MNI_RECORD_UPSERT, RECORD_OFF_ELEMENT_TYPE, 3},
        {MNI_RECORD_UPSERT, RECORD_OFF_FIELDS, 1 << 4},
        {MNI_RECORD_UPSERT, RECORD_OFF_CLEARS, MNI_FIELD_EXPIRY},
        {MNI_RECORD_UPSERT, RECORD_OFF_DIMS, 1},
        {MNI_RECORD_UPSERT, RECORD_OFF_DIMS + 3, 0x80},
        {MNI_RECORD_UPSERT, RECORD_OFF_METADATA_BYTES + 3, 0xff},
        {MNI_RECORD_UPSERT, RECORD_OFF_PAYLOAD_BYTES + 3, 0xff},
        {MNI_RECORD_UPSERT, RECORD_OFF_PAYLOAD_BYTES, 9},
        {MNI_RECORD_UPSERT, RECORD_OFF_KEY_BYTES, 0},
        {MNI_RECORD_UPSERT, RECORD_OFF_KEY_BYTES, 17},
        {MNI_RECORD_UPSERT, RECORD_OFF_KEY_BYTES + 1, 0xff},
        {MNI_RECORD_UPSERT, RECORD_OFF_RESERVED, 1},
        {MNI_RECORD_UPSERT, RECORD_OFF_RESERVED + 1, 1},
        {MNI_RECORD_UPSERT, RECORD_HEADER_BYTES + 15, 1}, /* padding */
        {MNI_RECORD_DELETE, RECORD_OFF_FIELDS, MNI_FIELD_EXPIRY},
        {MNI_RECORD_DELETE, RECORD_OFF_CLEARS, MNI_FIELD_EXPIRY},
        {MNI_RECORD_DELETE, RECORD_OFF_METADATA_BYTES, 1},
        {MNI_RECORD_DELETE, RECORD_OFF_PAYLOAD_BYTES, 1},
        {MNI_RECORD_PATCH, RECORD_OFF_CLEARS, 0},
        {MNI_RECORD_PATCH, RECORD_OFF_CLEARS, MNI_FIELD_SECOND_KEY},
        {MNI_RECORD_PATCH, RECORD_OFF_CLEARS, MNI_FIELD_EVENT_TIME},
        {MNI_RECORD_PATCH, RECORD_OFF_PAYLOAD_BYTES, 1},
        {MNI_RECORD_PATCH, RECORD_OFF_METADATA_BYTES, 1},
    };

    for (size_t i = 0; i < CHECK_COUNT(rules); i++) {
        struct mni_record record = {.type = rules[i].type,
                                    .key = mn_str("0123456789"),
                                    .clears = rules[i].type == MNI_RECORD_PATCH ? MNI_FIELD_EXPIRY
                                                                                : 0};
        size_t n_bytes = 0;
        unsigned char *bytes = encoded(&record, &n_bytes);
        struct mn_error err = {0};
        CHECK_EQ(n_bytes, 48);
        CHECK_OK(mni_record_decode(bytes, n_bytes, &record, NULL, NULL));
        bytes[rules[i].offset] = rules[i].value;
        CHECK_STATUS(mni_record_decode(bytes, n_bytes, &record, NULL, &err), MN_ERR_CORRUPT);
        free(bytes);
    }
}

/* A field that is set and cleared, and lengths that fit each other but pass a limit. */
static void contradictions_and_limits_are_refused(void)
{
    struct mni_record patch = {
        .type = MNI_RECORD_PATCH, .key = mn_str("k"), .fields = MNI_FIELD_EXPIRY};
    size_t n_bytes = 0;
    unsigned char *bytes = encoded(&patch, &n_bytes);
    bytes[RECORD_OFF_CLEARS] = MNI_FIELD_EXPIRY;
    CHECK_STATUS(mni_record_decode(bytes, n_bytes, &patch, NULL, NULL), MN_ERR_CORRUPT);
    free(bytes);

    size_t n_room = RECORD_HEADER_BYTES + 8 + (size_t)MN_METADATA_BYTES_MAX;
    bytes = calloc(1, n_room);
    CHECK(bytes != NULL);
    mni_put_u32(bytes + RECORD_OFF_BYTES, (uint32_t)n_room);
    bytes[RECORD_OFF_TYPE] = MNI_RECORD_UPSERT;
    mni_put_u16(bytes + RECORD_OFF_KEY_BYTES, 7);
    mni_put_u32(bytes + RECORD_OFF_METADATA_BYTES, MN_METADATA_BYTES_MAX);
    CHECK_OK(mni_record_decode(bytes, n_room, &patch, NULL, NULL));
    mni_put_u32(bytes + RECORD_OFF_METADATA_BYTES, MN_METADATA_BYTES_MAX + 1);
    CHECK_STATUS(mni_record_decode(bytes, n_room, &patch, NULL, NULL), MN_ERR_CORRUPT);
    mni_put_u32(bytes + RECORD_OFF_METADATA_BYTES,
                (uint32_t)(n_room - RECORD_HEADER_BYTES - KEY_BYTES_MAX - 7));
    mni_put_u16(bytes + RECORD_OFF_KEY_BYTES, KEY_BYTES_MAX);
    CHECK_OK(mni_record_decode(bytes, n_room, &patch, NULL, NULL));
    mni_put_u16(bytes + RECORD_OFF_KEY_BYTES, KEY_BYTES_MAX + 1);
    CHECK_STATUS(mni_record_decode(bytes, n_room, &patch, NULL, NULL), MN_ERR_CORRUPT);
    free(bytes);
}

static void records_stand_one_behind_the_other(void)
{
    struct mni_record a = {.type = MNI_RECORD_DELETE, .key = mn_str("a")};
    struct mni_record decoded;
    unsigned char bytes[96];
    size_t n_used = 0;

    memset(bytes, 0xee, sizeof bytes);
    mni_record_encode(&a, bytes);
    CHECK_OK(mni_record_decode(bytes, sizeof bytes, &decoded, &n_used, NULL));
    CHECK_EQ(n_used, 40);
    CHECK_EQ(bytes[40], 0xee);
    CHECK_STATUS(mni_record_decode(bytes + 40, sizeof bytes - 40, &decoded, NULL, NULL),
                 MN_ERR_CORRUPT);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(random_records_round_trip),
        CHECK_TEST(every_float_bit_pattern_survives),
        CHECK_TEST(the_largest_record_round_trips),
        CHECK_TEST(every_truncation_is_refused),
        CHECK_TEST(any_byte_changed_is_refused_or_kept),
        CHECK_TEST(broken_rules_are_refused),
        CHECK_TEST(contradictions_and_limits_are_refused),
        CHECK_TEST(records_stand_one_behind_the_other),
    };

    return check_run("record.record", tests, CHECK_COUNT(tests), argc, argv);
}
