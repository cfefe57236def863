/*
 * seal_test.c - the seal as bytes: what was written is read, and nothing else is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "check.h"
#include "diskcache/diskcache_private.h"
#include "diskcache/format.h"

static mn_status sink(void *context, uint64_t offset, const void *data, size_t n,
                      struct mn_error *err)
{
    struct mni_buf *buf = context;

    if (buf->n_bytes < offset + n) {
        size_t missing = offset + n - buf->n_bytes;
        mn_status st = mni_buf_reserve(buf, missing);
        if (st != MN_OK)
            return mni_fail(err, st, "memory of the test");
        memset(buf->data + buf->n_bytes, 0, missing);
        buf->n_bytes += missing;
    }
    memcpy(buf->data + offset, data, n);
    return MN_OK;
}

static void add(struct dc_index *x, struct dc_space *s, uint64_t number, const char *id)
{
    struct dc_entry e = {.number = number,
                         .created_at_us = 1000 + (int64_t)number,
                         .expires_at_us = number % 3 == 0 ? 99 : DC_NEVER,
                         .value_bytes = (uint32_t)number * 10,
                         .access_count = 7,
                         .space = s->slot,
                         .id_bytes = (uint16_t)strlen(id),
                         .heat = 3};

    dc_entry_hash(s->serial, mn_str(id), e.hash);
    CHECK_OK(dc_index_reserve(x, 1, NULL));
    dc_entry_add(x, &e);
    dc_generation_newest(x)->last = number;
}

/* Two files, two namespaces, five entries; one more namespace was cleared. */
static struct mni_buf make_seal(void)
{
    struct dc_seal_file files[] = {{12, 5000, 0xABCDEF, 1, 3}, {15, 6000, 0x123456, 4, 7}};
    struct dc_seal seal = {.next_number = 8,
                           .next_serial = 103,
                           .clock_us = 5,
                           .manifest_number = 9,
                           .manifest_bytes = 300,
                           .manifest_hash = 77,
                           .n_files = 2,
                           .files = files};
    struct mni_buf buf = {0};
    struct dc_index x;

    dc_index_init(&x, 100);
    CHECK_OK(dc_generation_begin(&x, 1, NULL));
    struct dc_space *a = dc_space_get(&x, mn_str("a"));
    struct dc_space *b = dc_space_get(&x, mn_str("b:c"));
    struct dc_space *gone = dc_space_get(&x, mn_str("gone"));
    add(&x, a, 1, "one");
    add(&x, b, 2, "two");
    add(&x, gone, 3, "three");
    CHECK_OK(dc_generation_begin(&x, 4, NULL));
    add(&x, a, 5, "five");
    add(&x, b, 6, "six");
    add(&x, a, 7, "seven");
    dc_space_clear(&x, gone);
    CHECK_OK(dc_seal_encode(&seal, &x, sink, &buf, NULL));
    CHECK_EQ(buf.n_bytes, dc_seal_bytes(&x));
    dc_index_reset(&x);
    return buf;
}

static mn_status decode(const unsigned char *bytes, size_t n, struct dc_seal *seal,
                        struct dc_index *x)
{
    dc_index_init(x, 1);
    return dc_seal_decode((struct mn_slice){bytes, n}, seal, x, NULL);
}

static void what_was_sealed_is_read(void)
{
    struct mni_buf buf = make_seal();
    struct dc_seal seal;
    struct dc_index x;
    uint64_t hash[2];

    CHECK_OK(decode(buf.data, buf.n_bytes, &seal, &x));
    CHECK_EQ(seal.next_number, 8);
    CHECK_EQ(seal.manifest_number, 9);
    CHECK_EQ(seal.n_files, 2);
    CHECK_EQ(seal.files[1].file_number, 15);
    CHECK_EQ(seal.files[1].tail_hash, 0x123456);
    CHECK_EQ(x.n_entries, 5);
    CHECK_EQ(x.n_names, 2);
    CHECK_EQ(x.next_serial, 103);
    CHECK(dc_space_find(&x, mn_str("gone")) == NULL);
    struct dc_space *b = dc_space_find(&x, mn_str("b:c"));
    CHECK(b != NULL);
    CHECK_EQ(b->n_entries, 2);
    dc_entry_hash(b->serial, mn_str("six"), hash);
    uint32_t e = dc_entry_find(&x, hash);
    CHECK(e != DC_NO_ENTRY);
    CHECK_EQ(dc_entry_at(&x, e)->number, 6);
    CHECK_EQ(dc_entry_at(&x, e)->value_bytes, 60);
    CHECK_EQ(dc_entry_at(&x, e)->expires_at_us, 99);
    CHECK_EQ(dc_entry_at(&x, e)->access_count, 7);
    CHECK_EQ(dc_entry_at(&x, e)->heat, 3);
    CHECK_EQ(x.generations[0]->n_entries, 2);
    dc_seal_done(&seal);
    dc_index_reset(&x);
    mni_buf_done(&buf);
}

static void every_cut_and_every_bit_is_noticed(void)
{
    struct mni_buf buf = make_seal();
    struct dc_seal seal;
    struct dc_index x;

    for (size_t n = 0; n < buf.n_bytes; n++) {
        /* A copy of just this length, for the sanitizer to see reads beyond it. */
        unsigned char *cut = malloc(n + 1);
        memcpy(cut, buf.data, n);
        CHECK_STATUS(decode(cut, n, &seal, &x), MN_ERR_CORRUPT);
        dc_seal_done(&seal);
        dc_index_reset(&x);
        free(cut);
    }
    for (size_t bit = 0; bit < buf.n_bytes * 8; bit++) {
        buf.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        CHECK_STATUS(decode(buf.data, buf.n_bytes, &seal, &x), MN_ERR_CORRUPT);
        dc_seal_done(&seal);
        dc_index_reset(&x);
        buf.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    mni_buf_done(&buf);
}

/* What is removed while the seal is written is in it, and gone from all else. */
struct removing {
    struct mni_buf buf;
    struct dc_index *x;
    const struct dc_space *gone;
};

static mn_status sink_and_remove(void *context, uint64_t offset, const void *data, size_t n,
                                 struct mn_error *err)
{
    struct removing *r = context;

    for (uint32_t i = 0; i < 2 && r->gone->n_entries > 0; i++)
        dc_entry_remove(r->x, r->gone->head);
    return sink(&r->buf, offset, data, n, err);
}

static void what_is_removed_meanwhile_is_sealed(void)
{
    enum { N = 3000 };
    struct dc_seal_file file = {12, 5000, 0xABCDEF, 1, N};
    struct dc_seal seal = {.next_number = N + 1, .next_serial = 103, .n_files = 1, .files = &file};
    struct dc_seal read;
    struct dc_index x;
    struct dc_index again;
    char id[16];

    dc_index_init(&x, 100);
    CHECK_OK(dc_generation_begin(&x, 1, NULL));
    struct dc_space *a = dc_space_get(&x, mn_str("a"));
    struct removing r = {.x = &x, .gone = dc_space_get(&x, mn_str("gone"))};
    struct dc_space *gone = dc_space_find(&x, mn_str("gone"));
    for (uint64_t i = 1; i <= N; i++) {
        (void)snprintf(id, sizeof id, "%d", (int)i);
        add(&x, i % 1000 == 7 ? gone : a, i, id);
    }
    dc_index_freeze(&x);
    CHECK_OK(dc_seal_encode(&seal, &x, sink_and_remove, &r, NULL));
    CHECK_EQ(x.n_entries, N - 3);
    CHECK_EQ(x.n_names_used, 1);
    CHECK_EQ(x.generations[0]->n_entries, N);
    CHECK(dc_index_thaw(&x, 2));
    CHECK(!dc_index_thaw(&x, 2));
    CHECK_EQ(x.generations[0]->n_entries, N - 3);
    CHECK_EQ(x.n_names, 1);
    CHECK(dc_space_find(&x, mn_str("gone")) == NULL);
    CHECK_OK(decode(r.buf.data, r.buf.n_bytes, &read, &again));
    CHECK_EQ(again.n_entries, N);
    CHECK_EQ(dc_space_find(&again, mn_str("gone"))->n_entries, 3);
    dc_seal_done(&read);
    dc_index_reset(&again);
    dc_index_reset(&x);
    mni_buf_done(&r.buf);
}

static void put_right(struct mni_buf *buf)
{
    mni_put_u32(buf->data + SEAL_OFF_BODY_CRC,
                mni_crc32c(0, buf->data + SEAL_HEADER_BYTES, buf->n_bytes - SEAL_HEADER_BYTES));
    mni_put_u32(buf->data + SEAL_OFF_CRC, mni_crc32c(0, buf->data, SEAL_OFF_CRC));
}

/* Nonsense under right checksums: read in bounds, and either refused or a sound index. */
static void nonsense_is_range_checked(void)
{
    uint64_t random = check_seed();
    struct mni_buf buf = make_seal();
    unsigned char *right = malloc(buf.n_bytes);
    struct dc_seal seal;
    struct dc_index x;
    int n_refused = 0;

    memcpy(right, buf.data, buf.n_bytes);
    for (int i = 0; i < 20000; i++) {
        memcpy(buf.data, right, buf.n_bytes);
        for (uint64_t k = 0; k <= check_below(&random, 3); k++) {
            size_t at = SEAL_OFF_FILES + check_below(&random, buf.n_bytes - SEAL_OFF_FILES);
            buf.data[at] = check_below(&random, 2) == 0 ? (unsigned char)check_random(&random)
                                                        : (unsigned char)(buf.data[at] + 1);
        }
        put_right(&buf);
        mn_status st = decode(buf.data, buf.n_bytes, &seal, &x);
        CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
        n_refused += st != MN_OK;
        dc_seal_done(&seal);
        dc_index_reset(&x);
    }
    CHECK(n_refused > 1000);
    mni_put_u32(right + SEAL_OFF_VERSION, 2);
    memcpy(buf.data, right, buf.n_bytes);
    put_right(&buf);
    CHECK_STATUS(decode(buf.data, buf.n_bytes, &seal, &x), MN_ERR_UNSUPPORTED);
    dc_seal_done(&seal);
    dc_index_reset(&x);
    free(right);
    mni_buf_done(&buf);
}

/* The bytes that docs/format/diskcache.md shows. */
static void the_format_is_the_one_that_is_written_down(void)
{
    struct mni_buf buf = make_seal();

    CHECK_MEM_EQ(buf.data, "MNDCSEAL\1\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\10", 33);
    CHECK_EQ(buf.n_bytes, 96 + 2 * 40 + 10 + 1 + 10 + 3 + 5 * 56);
    CHECK_MEM_EQ(buf.data + 96 + 80, "\144\0\0\0\0\0\0\0\1\0a\145\0\0\0\0\0\0\0\3\0b:c", 24);
    mni_buf_done(&buf);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_was_sealed_is_read),
        CHECK_TEST(every_cut_and_every_bit_is_noticed),
        CHECK_TEST(what_is_removed_meanwhile_is_sealed),
        CHECK_TEST(nonsense_is_range_checked),
        CHECK_TEST(the_format_is_the_one_that_is_written_down),
    };
    return check_run("diskcache.seal", tests, CHECK_COUNT(tests), argc, argv);
}
