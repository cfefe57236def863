/*
 * record_in_test.c - lines become records; damaged lines and lack of memory are errors.
 *
 * What each key takes is tested with the whole command, in tests/e2e/put_test.py.
 */
#include "record_in.h"

#include <string.h>

#include "base/mem.h"
#include "check.h"

static const char whole[] =
    "{\"id\":\"a\\u0000\\u00e9\",\"vector\":[1,-2.5e-3,0.1],\"metadata\":{\"k\" : [1,{}]},"
    "\"payload_base64\":\"AAEC\\/w==\",\"ttl_seconds\":1.5,\"expires_at\":2e9,"
    "\"event_time_us\":-9,\"vector_row\":3,\"metadata_text\":\"{\\n}\",\"lsn\":7}";

static void a_line_becomes_a_record(void)
{
    struct record_in in = {0};
    struct batch batch = {0};
    struct mn_record record;
    struct mn_error err;

    CHECK_OK_ERR(record_in_put(&in, &batch, mn_str(whole), &record, &err), &err);
    CHECK_EQ(record.id.n_bytes, 4);
    CHECK_MEM_EQ(record.id.data, "a\0\xC3\xA9", 4);
    CHECK_EQ(record.n_dims, 3);
    CHECK(record.vector[2] == 0.1F);
    CHECK_EQ(record.metadata.n_bytes, 3);
    CHECK_MEM_EQ(record.metadata.data, "{\n}", 3);
    CHECK_EQ(record.payload.n_bytes, 4);
    CHECK_MEM_EQ(record.payload.data, "\0\1\2\xFF", 4);
    CHECK_EQ(record.ttl_us, 1500000);
    CHECK_EQ(record.expires_at_us, 2000000000000000);
    CHECK_EQ(record.event_time_us, -9);
    CHECK_EQ(record.fields, MN_HAS_EXPIRES_AT | MN_HAS_TTL | MN_HAS_EVENT_TIME);
    batch_done(&batch);
    record_in_done(&in);
}

static const char whole_point[] =
    "{\"entity\":\"18446744073709551615\",\"time_us\":-9223372036854775808,\"vector\":[1,2],"
    "\"payload_base64\":\"AAEC\",\"expires_at\":2e9,\"metadata_text\":\"{\\n}\",\"lsn\":7}";

static void a_line_becomes_a_point(void)
{
    struct record_in in = {0};
    struct batch batch = {0};
    struct mn_record record;
    struct mn_error err;
    uint64_t entity = 0;

    CHECK_OK_ERR(record_in_point(&in, &batch, mn_str(whole_point), &record, &err), &err);
    CHECK_EQ(record.id.n_bytes, sizeof entity);
    memcpy(&entity, record.id.data, sizeof entity);
    CHECK(entity == UINT64_MAX);
    CHECK(record.event_time_us == INT64_MIN);
    CHECK_EQ(record.n_dims, 2);
    CHECK_EQ(record.payload.n_bytes, 3);
    CHECK_EQ(record.metadata.n_bytes, 3);
    CHECK_EQ(record.expires_at_us, 2000000000000000);
    for (size_t n = 0; n + 1 < sizeof whole_point; n++) {
        struct mn_slice part = {.data = whole_point, .n_bytes = n};
        CHECK_STATUS(record_in_point(&in, &batch, part, &record, &err), MN_ERR_INVALID);
    }
    /* What a record has beyond a point is unknown to it, and the other way round. */
    CHECK_STATUS(record_in_point(&in, &batch, mn_str(whole), &record, &err), MN_ERR_INVALID);
    CHECK_STATUS(record_in_put(&in, &batch, mn_str(whole_point), &record, &err), MN_ERR_INVALID);
    batch_done(&batch);
    record_in_done(&in);
}

static void a_line_tells_its_row(void)
{
    static const struct {
        const char *line;
        enum row_kind kind;
        uint64_t index;
    } cases[] = {
        {"{\"id\":\"a\",\"vector_row\":18446744073709551615}", ROW_SAID, UINT64_MAX},
        {"{\"id\":\"a\",\"vector\\u005frow\":0}", ROW_SAID, 0},
        {"{\"vector_row\":null,\"id\":\"a\"}", ROW_NONE, 0},
        {"{\"id\":\"a\"}", ROW_NOT_SAID, 0},
        {"{\"id\":\"a\",\"metadata\":{\"vector_row\":1}}", ROW_NOT_SAID, 0},
    };
    struct record_in in = {0};
    struct batch batch = {0};
    struct mn_record record;
    struct mn_error err;

    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        struct mn_slice line = mn_str(cases[i].line);
        CHECK_OK_ERR(record_in_put(&in, &batch, line, &record, &err), &err);
        CHECK_EQ(in.row_kind, cases[i].kind);
        CHECK(cases[i].kind != ROW_SAID || in.row_index == cases[i].index);
        in.row_kind = ROW_SAID; /* what the line before said is forgotten */
        CHECK_OK_ERR(record_in_row(&in, line, &err), &err);
        CHECK_EQ(in.row_kind, cases[i].kind);
        CHECK(cases[i].kind != ROW_SAID || in.row_index == cases[i].index);
    }
    CHECK_OK_ERR(record_in_flat(&in, &batch, mn_str(cases[0].line), mn_str("id"), &record, &err),
                 &err);
    CHECK_EQ(in.row_kind, ROW_NOT_SAID);
    batch_done(&batch);
    record_in_done(&in);
}

static void a_flat_line_becomes_metadata(void)
{
    static const char line[] = "{\"a\" : 1.0 ,\"key\":\"x\",\"b\":\"\\u0041\"}";
    static const char metadata[] = "{\"a\":1.0,\"b\":\"\\u0041\"}";
    struct record_in in = {0};
    struct batch batch = {0};
    struct mn_record record;
    struct mn_error err;

    CHECK_OK_ERR(record_in_flat(&in, &batch, mn_str(line), mn_str("key"), &record, &err), &err);
    CHECK_EQ(record.id.n_bytes, 1);
    CHECK_EQ(record.metadata.n_bytes, sizeof metadata - 1);
    CHECK_MEM_EQ(record.metadata.data, metadata, sizeof metadata - 1);
    batch_done(&batch);
    record_in_done(&in);
}

/* Reads a line that may be anything, from memory that ends where it ends. */
static mn_status read_any(const char *text, size_t n_bytes, bool is_flat)
{
    struct record_in in = {0};
    struct batch batch = {0};
    struct mn_record record;
    struct mn_error err = {0};
    char *copy = mni_alloc(n_bytes);
    mn_status st;

    CHECK(copy != NULL);
    memcpy(copy, text, n_bytes);
    struct mn_slice line = {.data = copy, .n_bytes = n_bytes};
    /* Both read what a line says about its row, and agree on it where they accept the line. */
    bool has_row = !is_flat && record_in_row(&in, line, &err) == MN_OK;
    enum row_kind row_kind = in.row_kind;
    if (is_flat)
        st = record_in_flat(&in, &batch, line, mn_str("id"), &record, &err);
    else
        st = record_in_put(&in, &batch, line, &record, &err);
    CHECK(st == MN_OK || err.message[0] != '\0');
    CHECK(st != MN_OK || is_flat || (has_row && row_kind == in.row_kind));
    CHECK(st != MN_OK || record.id.n_bytes > 0);
    batch_done(&batch);
    record_in_done(&in);
    mni_free(copy);
    return st;
}

static void every_truncation_of_a_line_is_refused(void)
{
    for (size_t kept = 0; kept < sizeof whole - 1; kept++) {
        CHECK_STATUS(read_any(whole, kept, false), MN_ERR_INVALID);
        CHECK_STATUS(read_any(whole, kept, true), MN_ERR_INVALID);
    }
}

static void changed_bytes_are_refused_or_read(void)
{
    uint64_t random = check_seed();
    char text[sizeof whole];

    for (int i = 0; i < 20000; i++) {
        memcpy(text, whole, sizeof whole);
        for (uint64_t n = 1 + check_below(&random, 3); n > 0; n--)
            text[check_below(&random, sizeof whole - 1)] = (char)check_random(&random);
        (void)read_any(text, sizeof whole - 1, (i & 1) != 0);
    }
}

static void every_allocation_may_fail(void)
{
    struct record_in in;
    struct batch batch;
    struct mn_record record;
    struct mn_error err;
    uint64_t n_before = mni_mem_live_blocks();
    uint64_t call = 0;
    mn_status st;

    do {
        in = (struct record_in){0};
        batch = (struct batch){0};
        mni_mem_fail_at(++call);
        st = record_in_put(&in, &batch, mn_str(whole), &record, &err);
        if (st == MN_OK)
            st = batch_add(&batch, &record, 1, &err);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        batch_done(&batch);
        record_in_done(&in);
        CHECK_EQ(mni_mem_live_blocks(), n_before);
    } while (st != MN_OK);
    CHECK(call > 4);
}

static void a_batch_ends_at_the_limit_of_a_commit(void)
{
    struct batch batch = {0};
    struct mn_error err;
    struct mn_record record = {.payload = {.data = "", .n_bytes = MN_PAYLOAD_BYTES_MAX}};

    for (int i = 0; i < 4; i++)
        CHECK_OK(batch_add(&batch, &record, 1, &err));
    record.payload.n_bytes = 1;
    CHECK_STATUS(batch_add(&batch, &record, 1, &err), MN_ERR_LIMIT);
    CHECK_STR_HAS(err.message, "--batch");
    CHECK_EQ(batch.n_records, 4);
    batch_reset(&batch);
    CHECK_OK(batch_add(&batch, &record, 1, &err));
    batch_done(&batch);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_line_becomes_a_record),
        CHECK_TEST(a_line_becomes_a_point),
        CHECK_TEST(a_line_tells_its_row),
        CHECK_TEST(a_flat_line_becomes_metadata),
        CHECK_TEST(every_truncation_of_a_line_is_refused),
        CHECK_TEST(changed_bytes_are_refused_or_read),
        CHECK_TEST(every_allocation_may_fail),
        CHECK_TEST(a_batch_ends_at_the_limit_of_a_commit),
    };
    return check_run("cli.record_in", tests, CHECK_COUNT(tests), argc, argv);
}
