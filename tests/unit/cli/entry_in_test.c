/*
 * entry_in_test.c - lines become entries of the cache, and keys are read and written as digits.
 *
 * What is stored and printed is tested with the whole command, in tests/e2e/cache_test.py.
 */
#include "entry_in.h"

#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "exact_key.h"

#define DIGITS "00112233445566778899aabbccddeeff0123456789ABCDEFfedcba9876543210"

static const char whole[] =
    "{\"id\":\"18446744073709551615\",\"key\":\"" DIGITS "\",\"context\":7,\"model\":\"m\\u0031\","
    "\"embedding\":[1,-2.5e-3,0.1],\"payload\":\"a\\u0000\\u00e9\\n\",\"ttl_seconds\":1.5,"
    "\"expires_at_us\":-9223372036854775808,\"event_time_us\":-9,\"expected_lsn\":\"12\","
    "\"lsn\":1,\"hits\":2,\"last_hit_us\":3}";
static const char other[] =
    "{\"id\":null,\"request\":\"what \\\"is\\\" it?\",\"context\":\"18446744073709551615\","
    "\"embedding_base64\":\"AACAPwAAAEA=\",\"payload_base64\":\"AAEC\\/w==\",\"expires_at\":2e9}";

/* A line that was read, with what it lies in. */
struct read {
    struct line_in in;
    struct batch batch;
    struct entry_line line;
    struct mn_error err;
};

static mn_status read_text(struct read *read, const char *text)
{
    return entry_in_line(&read->in, &read->batch, mn_str(text), &read->line, &read->err);
}

static void read_done(struct read *read)
{
    line_in_done(&read->in);
    batch_done(&read->batch);
}

static void a_line_becomes_an_entry(void)
{
    struct read read = {0};
    const struct mn_semcache_entry *entry = &read.line.entry;

    CHECK_OK_ERR(read_text(&read, whole), &read.err);
    CHECK(entry->id == UINT64_MAX);
    CHECK_EQ(entry->fields, MN_HAS_ENTRY_ID | MN_HAS_TTL | MN_HAS_EXPIRES_AT | MN_HAS_EVENT_TIME);
    CHECK(entry->key == read.line.key);
    CHECK_EQ(entry->key[1], 0x11);
    CHECK_EQ(entry->key[MN_SEMCACHE_KEY_BYTES - 1], 0x10);
    CHECK_EQ(entry->context, 7);
    CHECK_EQ(entry->model.n_bytes, 2);
    CHECK_MEM_EQ(entry->model.data, "m1", 2);
    CHECK_EQ(entry->n_dims, 3);
    CHECK(entry->embedding[2] == 0.1F);
    CHECK_EQ(entry->payload.n_bytes, 5);
    CHECK_MEM_EQ(entry->payload.data, "a\0\xC3\xA9\n", 5);
    CHECK_EQ(entry->ttl_us, 1500000);
    CHECK(entry->expires_at_us == INT64_MIN);
    CHECK_EQ(entry->event_time_us, -9);
    CHECK(read.line.has_expected_lsn && read.line.expected_lsn == 12);
    CHECK(!read.line.has_request);

    CHECK_OK_ERR(read_text(&read, other), &read.err);
    CHECK_EQ(entry->fields, MN_HAS_EXPIRES_AT);
    CHECK(entry->key == NULL);
    CHECK(entry->context == UINT64_MAX);
    CHECK(read.line.has_request);
    CHECK_EQ(read.line.request.n_bytes, strlen("what \"is\" it?"));
    CHECK_MEM_EQ(read.line.request.data, "what \"is\" it?", read.line.request.n_bytes);
    CHECK_EQ(entry->model.n_bytes, 0);
    CHECK_EQ(entry->n_dims, 2);
    CHECK(entry->embedding[1] == 2.0F);
    CHECK_MEM_EQ(entry->payload.data, "\0\1\2\xFF", 4);
    CHECK_EQ(entry->expires_at_us, 2000000000000000);
    CHECK(!read.line.has_expected_lsn);

    CHECK_OK_ERR(read_text(&read, "{\"payload\":\"\"}"), &read.err);
    CHECK_EQ(entry->fields, 0);
    CHECK_EQ(entry->payload.n_bytes, 0);
    read_done(&read);
}

static void what_is_wrong_is_named(void)
{
    static const struct {
        const char *line;
        const char *part;
    } cases[] = {
        {"{}", "payload is missing"},
        {"{\"payload\":null}", "payload is missing"},
        {"{\"payload\":1}", "payload is a number, not a string"},
        {"{\"payload\":\"\",\"payload_base64\":\"\"}", "both given"},
        {"{\"payload\":\"\",\"payload\":\"\"}", "twice"},
        {"{\"payload\":\"\",\"embedding\":[1],\"embedding_base64\":\"AACAPw==\"}", "both given"},
        {"{\"payload\":\"\",\"embedding\":[]}", "embedding is empty"},
        {"{\"payload\":\"\",\"embedding\":[\"x\"]}", "embedding: "},
        {"{\"payload\":\"\",\"embedding_base64\":\"AA==\"}", "not a multiple of 4"},
        {"{\"payload\":\"\",\"id\":-1}", "id is no integer from 0 to 18446744073709551615"},
        {"{\"payload\":\"\",\"id\":18446744073709551616}", "id is no integer"},
        {"{\"payload\":\"\",\"id\":\"\"}", "id is no integer"},
        {"{\"payload\":\"\",\"id\":[]}", "id is an array"},
        {"{\"payload\":\"\",\"context\":1.5}", "context is no integer"},
        {"{\"payload\":\"\",\"key\":\"00\"}", "key is not of 64 hexadecimal digits"},
        {"{\"payload\":\"\",\"key\":\"" DIGITS "\",\"request\":\"\"}", "key and request are both"},
        {"{\"request\":\"\",\"key\":\"" DIGITS "\",\"payload\":\"\"}", "key and request are both"},
        {"{\"payload\":\"\",\"ttl_seconds\":-0.5}", "ttl_seconds is negative"},
        {"{\"payload\":\"\",\"expires_at\":1e99}", "expires_at is out of range"},
        {"{\"payload\":\"\",\"expires_at\":1,\"expires_at_us\":1}", "both given"},
        {"{\"payload\":\"\",\"event_time_us\":1.5}", "event_time_us: "},
        {"{\"payload\":\"\",\"expected_lsn\":1}", "expected_lsn needs an id"},
        {"{\"payload\":\"\",\"tenant\":1}", "unknown key \"tenant\""},
        {"[]", "line is an array"},
        {"{\"payload\":\"\"} x", "byte"},
    };
    struct read read = {0};

    for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
        CHECK_STATUS(read_text(&read, cases[i].line), MN_ERR_INVALID);
        CHECK_STR_HAS(read.err.message, cases[i].part);
    }
    read_done(&read);
}

/* Reads a line that may be anything, from memory that ends where it ends. */
static mn_status read_any(const char *text, size_t n_bytes)
{
    struct read read = {0};
    char *copy = mni_alloc(n_bytes);

    CHECK(copy != NULL);
    memcpy(copy, text, n_bytes);
    struct mn_slice line = {.data = copy, .n_bytes = n_bytes};
    mn_status st = entry_in_line(&read.in, &read.batch, line, &read.line, &read.err);
    CHECK(st == MN_OK || read.err.message[0] != '\0');
    read_done(&read);
    mni_free(copy);
    return st;
}

static void every_truncation_of_a_line_is_refused(void)
{
    for (size_t kept = 0; kept < sizeof whole - 1; kept++)
        CHECK_STATUS(read_any(whole, kept), MN_ERR_INVALID);
    for (size_t kept = 0; kept < sizeof other - 1; kept++)
        CHECK_STATUS(read_any(other, kept), MN_ERR_INVALID);
}

static void changed_bytes_are_refused_or_read(void)
{
    uint64_t random = check_seed();
    char text[sizeof whole];

    for (int i = 0; i < 20000; i++) {
        memcpy(text, whole, sizeof whole);
        for (uint64_t n = 1 + check_below(&random, 3); n > 0; n--)
            text[check_below(&random, sizeof whole - 1)] = (char)check_random(&random);
        (void)read_any(text, sizeof whole - 1);
    }
}

static void every_allocation_may_fail(void)
{
    uint64_t n_before = mni_mem_live_blocks();
    uint64_t call = 0;
    mn_status st;

    do {
        struct read read = {0};
        mni_mem_fail_at(++call);
        st = read_text(&read, other);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        read_done(&read);
        CHECK_EQ(mni_mem_live_blocks(), n_before);
    } while (st != MN_OK);
    CHECK(call > 3);
}

static void keys_are_64_digits(void)
{
    unsigned char key[MN_SEMCACHE_KEY_BYTES];
    char text[KEY_TEXT_BYTES];
    char digits[KEY_TEXT_BYTES];

    CHECK(exact_key_parse(mn_str(DIGITS), key));
    CHECK_STR_EQ(exact_key_format(key, text),
                 "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210");
    CHECK(!exact_key_parse(mn_str(DIGITS "0"), key));
    CHECK(!exact_key_parse(mn_str(""), key));
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < KEY_TEXT_BYTES - 1; at += KEY_TEXT_BYTES - 2) {
            memcpy(digits, DIGITS, sizeof digits);
            digits[at] = (char)c;
            bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                            (c >= 'A' && c <= 'F');
            struct mn_slice slice = {.data = digits, .n_bytes = KEY_TEXT_BYTES - 1};
            CHECK(exact_key_parse(slice, key) == is_digit);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_line_becomes_an_entry),
        CHECK_TEST(what_is_wrong_is_named),
        CHECK_TEST(every_truncation_of_a_line_is_refused),
        CHECK_TEST(changed_bytes_are_refused_or_read),
        CHECK_TEST(every_allocation_may_fail),
        CHECK_TEST(keys_are_64_digits),
    };
    return check_run("cli.entry_in", tests, CHECK_COUNT(tests), argc, argv);
}
