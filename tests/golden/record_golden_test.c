/* The records of version 1 still mean what docs/format/record.md says, and are written the same. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check.h"
#include "record/record.h"

enum { FILE_BYTES = 312, N_RECORDS = 5 };

static unsigned char *golden_bytes(void)
{
    static union {
        uint64_t aligned;
        unsigned char bytes[FILE_BYTES + 1];
    } golden;
    FILE *file = fopen(GOLDEN_DIR "/record-v1.bin", "rb");

    CHECK(file != NULL);
    size_t n = fread(golden.bytes, 1, sizeof golden.bytes, file);
    fclose(file);
    CHECK_EQ(n, FILE_BYTES);
    return golden.bytes;
}

static void decode_all(struct mni_record *records)
{
    unsigned char *bytes = golden_bytes();
    size_t at = 0;

    for (size_t i = 0; i < N_RECORDS; i++) {
        struct mn_error err;
        size_t n_used = 0;
        CHECK_OK_ERR(mni_record_decode(bytes + at, FILE_BYTES - at, &records[i], &n_used, &err),
                     &err);
        at += n_used;
    }
    CHECK_EQ(at, FILE_BYTES);
}

static void the_full_record_reads_as_written(void)
{
    static const uint32_t floats[] = {0x3f800000, 0x80000000, 0x00000001, 0x7fc0beef, 0xff800000};
    struct mni_record records[N_RECORDS];
    unsigned char second_key[MNI_SECOND_KEY_BYTES];

    decode_all(records);
    const struct mni_record *full = &records[0];
    CHECK_EQ(full->type, MNI_RECORD_UPSERT);
    CHECK_EQ(full->fields, 15);
    CHECK_EQ(full->collection, 0x0102030405060708);
    CHECK_EQ(full->element_type, MNI_ELEMENT_F32);
    CHECK_EQ(full->n_dims, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQ(mni_get_u32((const unsigned char *)full->vector + 4 * i), floats[i]);
    CHECK_EQ(full->key.n_bytes, 8);
    CHECK_MEM_EQ(full->key.data, "memory-1", 8);
    CHECK_EQ(full->metadata.n_bytes, 9);
    CHECK_MEM_EQ(full->metadata.data, "{\"k\":\"v\"}", 9);
    CHECK_EQ(full->payload.n_bytes, 3);
    CHECK_MEM_EQ(full->payload.data, "\x00\x01\xff", 3);
    CHECK_EQ(full->event_time_us, -1);
    CHECK_EQ(full->expires_at_us, 1700000000000000);
    CHECK_EQ(full->hits, 3);
    for (size_t i = 0; i < sizeof second_key; i++)
        second_key[i] = (unsigned char)i;
    CHECK_MEM_EQ(full->second_key, second_key, sizeof second_key);
}

static void the_small_records_read_as_written(void)
{
    struct mni_record records[N_RECORDS];

    decode_all(records);
    CHECK_EQ(records[1].type, MNI_RECORD_UPSERT);
    CHECK_EQ(records[1].element_type, MNI_ELEMENT_F16);
    CHECK_EQ(records[1].n_dims, 3);
    CHECK_MEM_EQ(records[1].vector, "\x00\x3c\x00\x80\x01\x7e", 6);
    CHECK_EQ(records[1].key.n_bytes, 3);
    CHECK_MEM_EQ(records[1].key.data, "a\xc3\xa9", 3);
    CHECK_EQ(records[1].expires_at_us, 1700000000000000);
    CHECK_EQ(records[2].type, MNI_RECORD_UPSERT);
    CHECK_EQ(records[2].collection, 0);
    CHECK_EQ(records[2].fields, 0);
    CHECK_EQ(records[2].n_dims, 0);
    CHECK_EQ(records[2].key.n_bytes, 1);
    CHECK_MEM_EQ(records[2].key.data, "\0", 1);
    CHECK_EQ(records[3].type, MNI_RECORD_DELETE);
    CHECK_EQ(records[3].collection, 7);
    CHECK_MEM_EQ(records[3].key.data, "a", 1);
    CHECK_EQ(records[4].type, MNI_RECORD_PATCH);
    CHECK_EQ(records[4].fields, MNI_FIELD_HITS);
    CHECK_EQ(records[4].clears, MNI_FIELD_EXPIRY);
    CHECK_EQ(records[4].hits, 9);
}

static void encoding_writes_the_same_bytes(void)
{
    struct mni_record records[N_RECORDS];
    unsigned char again[FILE_BYTES];
    size_t at = 0;

    decode_all(records);
    memset(again, 0x5a, sizeof again);
    for (size_t i = 0; i < N_RECORDS; i++) {
        size_t n_bytes = mni_record_encoded_bytes(&records[i]);
        CHECK(n_bytes <= sizeof again - at);
        mni_record_encode(&records[i], again + at);
        at += n_bytes;
    }
    CHECK_EQ(at, FILE_BYTES);
    CHECK_MEM_EQ(again, golden_bytes(), FILE_BYTES);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_full_record_reads_as_written),
        CHECK_TEST(the_small_records_read_as_written),
        CHECK_TEST(encoding_writes_the_same_bytes),
    };

    return check_run("golden.record", tests, CHECK_COUNT(tests), argc, argv);
}
