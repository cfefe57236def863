/* Tests of the codec, and of headers and frames that lie with a good checksum. */
#include "fixture.h"

#include "base/crc32c.h"
#include "wal/wal_private.h"

static const char *const NAME = "00000000000000000001.wal";

static void names_are_twenty_digits(void)
{
    static const char *const bad[] = {"",
                                      "1.wal",
                                      "0000000000000000001.wal",
                                      "000000000000000000001.wal",
                                      "00000000000000000000.wal",
                                      "18446744073709551616.wal",
                                      "0000000000000000001x.wal",
                                      "00000000000000000001.WAL",
                                      "00000000000000000001.walx",
                                      "00000000000000000001wal"};
    char name[WAL_NAME_BYTES];
    uint64_t lsn = 0;
    for (uint64_t value = 1; value != 0; value <<= 1) {
        wal_file_name(value, name);
        CHECK(wal_file_name_parse(name, &lsn));
        CHECK_EQ(lsn, value);
        CHECK(mni_wal_is_log_name(name));
    }
    CHECK(wal_file_name_parse("18446744073709551615.wal", &lsn));
    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        CHECK(!wal_file_name_parse(bad[i], &lsn));
    CHECK(mni_wal_is_log_name("00000000000000000000.spare"));
    CHECK(mni_wal_is_log_name("00000000000000000007.new"));
    CHECK(!mni_wal_is_log_name("7.new"));
}

static void a_frame_belongs_to_its_file_and_its_place(void)
{
    unsigned char bytes[FRAME_HEADER_BYTES];
    struct wal_frame out;
    const struct wal_frame f = {.frame_bytes = 64,
                                .lsn = 77,
                                .synced_end = 4096,
                                .time_us = -5,
                                .payload_bytes = 16,
                                .payload_crc = 0xDEADBEEF,
                                .n_records = 3,
                                .type = FRAME_COMMIT};
    wal_frame_encode(&f, 99, 8192, bytes);
    CHECK(wal_frame_decode(bytes, 99, 8192, &out));
    CHECK_EQ(out.frame_bytes, 64);
    CHECK_EQ(out.lsn, 77);
    CHECK_EQ(out.synced_end, 4096);
    CHECK_EQ(out.time_us, -5);
    CHECK_EQ(out.payload_bytes, 16);
    CHECK_EQ(out.payload_crc, 0xDEADBEEF);
    CHECK_EQ(out.n_records, 3);
    CHECK_EQ(out.type, FRAME_COMMIT);
    CHECK(!wal_frame_decode(bytes, 98, 8192, &out));
    CHECK(!wal_frame_decode(bytes, 99, 8200, &out));
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        CHECK(!wal_frame_decode(bytes, 99, 8192, &out));
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    memset(bytes, 0, sizeof bytes);
    CHECK(!wal_frame_decode(bytes, 0, 0, &out));
}

/* Headers ----------*/

static void no_change(struct wal_header *h)
{
    (void)h;
}

static void unknown_flag(struct wal_header *h)
{
    h->flags = 4;
}

static void no_sequence(struct wal_header *h)
{
    h->sequence = 0;
}

static void first_lsn_zero(struct wal_header *h)
{
    h->first_lsn = 0;
}

static void other_first_lsn(struct wal_header *h)
{
    h->first_lsn = 2;
}

static void ceiling_below(struct wal_header *h)
{
    h->lsn_ceiling = 0;
}

static void ceiling_beyond(struct wal_header *h)
{
    h->lsn_ceiling = UINT64_MAX;
}

static void shorter(struct wal_header *h)
{
    h->file_bytes -= 8;
}

static void longer(struct wal_header *h)
{
    h->file_bytes = UINT64_MAX & ~UINT64_C(7);
}

static void odd_length(struct wal_header *h)
{
    h->file_bytes++;
}

static void no_length(struct wal_header *h)
{
    h->file_bytes = 0;
}

static void previous_above(struct wal_header *h)
{
    h->prev_last_lsn = 1;
}

static void checkpoint_ahead(struct wal_header *h)
{
    h->checkpoint_lsn = 5; /* the log ends with LSN 3 */
}

static void checkpoint_beyond(struct wal_header *h)
{
    h->checkpoint_lsn = UINT64_MAX;
}

static void follows_nothing(struct wal_header *h)
{
    h->sequence = 2;
}

static void first_with_previous(struct wal_header *h)
{
    h->prev_salt = 1;
}

static void follows_itself(struct wal_header *h)
{
    h->sequence = 2;
    h->prev_first_lsn = 1;
    h->prev_end = HEADER_BYTES;
}

static void previous_end_in_header(struct wal_header *h)
{
    h->sequence = 2;
    h->prev_first_lsn = 1;
    h->prev_end = HEADER_BYTES - 8;
}

/* A log of three commits and its only file, to be changed and put back. */
static unsigned char *make_log(struct world *w, size_t *n_bytes)
{
    world_init(w, 1);
    open_log(w);
    for (int i = 0; i < 3; i++)
        commit(w, 64, MN_ACK_DISK);
    abandon(w);
    return read_file(w, NAME, n_bytes);
}

static mn_status open_with_header(void (*change)(struct wal_header *h), struct mn_error *err)
{
    struct world w;
    struct wal_header h;
    size_t n_bytes;
    unsigned char *bytes = make_log(&w, &n_bytes);

    CHECK_OK(wal_header_decode(bytes, NAME, &h, NULL));
    change(&h);
    wal_header_encode(&h, bytes);
    write_file(&w, NAME, bytes, n_bytes);
    mn_status st = try_open(&w);
    *err = w.err;
    free(bytes);
    world_done(&w);
    return st;
}

static void headers_that_lie_are_refused(void)
{
    static void (*const lies[])(struct wal_header *) = {unknown_flag,
                                                        no_sequence,
                                                        first_lsn_zero,
                                                        other_first_lsn,
                                                        ceiling_below,
                                                        ceiling_beyond,
                                                        shorter,
                                                        longer,
                                                        odd_length,
                                                        no_length,
                                                        previous_above,
                                                        checkpoint_ahead,
                                                        checkpoint_beyond,
                                                        follows_nothing,
                                                        first_with_previous,
                                                        follows_itself,
                                                        previous_end_in_header};
    struct mn_error err;
    CHECK_OK(open_with_header(no_change, &err));
    for (size_t i = 0; i < CHECK_COUNT(lies); i++) {
        CHECK_STATUS(open_with_header(lies[i], &err), MN_ERR_CORRUPT);
        if (lies[i] != checkpoint_ahead)
            CHECK_STR_HAS(err.message, NAME);
    }
}

static void ceiling_near_the_end(struct wal_header *h)
{
    h->lsn_ceiling = WAL_LSN_MAX;
}

static void lsns_do_not_overflow(void)
{
    struct mn_error err;
    CHECK_STATUS(open_with_header(ceiling_near_the_end, &err), MN_ERR_LIMIT);
}

static void another_version_is_said_to_be_one(void)
{
    struct world w;
    size_t n_bytes;
    unsigned char *bytes = make_log(&w, &n_bytes);
    mni_put_u32(bytes + HEADER_OFF_VERSION, 2);
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
    write_file(&w, NAME, bytes, n_bytes);
    CHECK_STATUS(try_open(&w), MN_ERR_UNSUPPORTED);
    CHECK_STR_HAS(w.err.message, "version 2");
    mni_put_u32(bytes + HEADER_OFF_VERSION, 1);
    bytes[HEADER_OFF_RESERVED + 3000] = 1;
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
    write_file(&w, NAME, bytes, n_bytes);
    CHECK_STATUS(try_open(&w), MN_ERR_CORRUPT);
    write_file(&w, NAME, bytes, 0);
    CHECK_STATUS(try_open(&w), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, "cut inside its header");
    free(bytes);
    world_done(&w);
}

/* Frames ----------*/

struct lie {
    const char *name;
    size_t offset; /* in the frame's header */
    size_t n_bytes;
    uint64_t value;
};

static const struct lie lies[] = {
    {"no length", FRAME_OFF_BYTES, 4, 0},
    {"only a header", FRAME_OFF_BYTES, 4, 48},
    {"odd length", FRAME_OFF_BYTES, 4, 113},
    {"no multiple of 8", FRAME_OFF_BYTES, 4, 116},
    {"longer", FRAME_OFF_BYTES, 4, 120},
    {"huge", FRAME_OFF_BYTES, 4, 0xFFFFFFF8},
    {"negative", FRAME_OFF_BYTES, 4, 0x80000000},
    {"LSN 0", FRAME_OFF_LSN, 8, 0},
    {"LSN of the frame before", FRAME_OFF_LSN, 8, 1},
    {"LSN above the ceiling", FRAME_OFF_LSN, 8, UINT64_C(1) << 40},
    {"LSN at the end", FRAME_OFF_LSN, 8, UINT64_MAX},
    {"synced inside the header", FRAME_OFF_SYNCED_END, 8, 8},
    {"synced beyond itself", FRAME_OFF_SYNCED_END, 8, UINT64_MAX},
    {"no payload", FRAME_OFF_PAYLOAD_BYTES, 4, 0},
    {"shorter payload", FRAME_OFF_PAYLOAD_BYTES, 4, 56},
    {"huge payload", FRAME_OFF_PAYLOAD_BYTES, 4, 0xFFFFFFFF},
    {"payload over the limit", FRAME_OFF_PAYLOAD_BYTES, 4, (uint64_t)MNI_WAL_PAYLOAD_BYTES_MAX + 8},
    {"padding that is not zero", FRAME_OFF_PAYLOAD_BYTES, 4, 60},
    {"no records", FRAME_OFF_RECORDS, 4, 0},
    {"no type", FRAME_OFF_TYPE, 4, 0},
    {"unknown type", FRAME_OFF_TYPE, 4, 5},
    {"reserved bytes", FRAME_OFF_TYPE, 4, 0x01000001},
    {"a mark of another size", FRAME_OFF_TYPE, 4, FRAME_CHECKPOINT},
    {"a seal of another size", FRAME_OFF_TYPE, 4, FRAME_CLOSED},
};

/* Puts the checksum right again. */
static void sign(unsigned char *frame, uint64_t salt, uint64_t offset)
{
    unsigned char place[16];

    mni_put_u64(place, salt);
    mni_put_u64(place + 8, offset);
    uint32_t crc = mni_crc32c(0, place, sizeof place);
    mni_put_u32(frame, mni_crc32c(crc, frame + 4, FRAME_HEADER_BYTES - 4));
}

static void frames_that_lie_are_refused(void)
{
    for (size_t i = 0; i < CHECK_COUNT(lies); i++) {
        const struct lie *lie = &lies[i];
        struct world w;
        struct wal_header h;
        size_t n_bytes;
        unsigned char *bytes = make_log(&w, &n_bytes);
        uint64_t offset = HEADER_BYTES + FRAME_HEADER_BYTES + 64; /* the second of three */
        CHECK_OK(wal_header_decode(bytes, NAME, &h, NULL));
        if (lie->n_bytes == 4)
            mni_put_u32(bytes + offset + lie->offset, (uint32_t)lie->value);
        else
            mni_put_u64(bytes + offset + lie->offset, lie->value);
        sign(bytes + offset, h.salt, offset);
        write_file(&w, NAME, bytes, n_bytes);
        mn_status st = try_open(&w);
        if (st != MN_ERR_CORRUPT)
            fprintf(stderr, "not refused: %s\n", lie->name);
        CHECK_STATUS(st, MN_ERR_CORRUPT);
        CHECK_STR_HAS(w.err.message, NAME);
        CHECK_STR_HAS(w.err.message, "LSN 1"); /* the last one before */
        free(bytes);
        world_done(&w);
    }
}

/* What a mark says, behind three commits. */
static mn_status open_with_mark(enum wal_frame_type type, uint64_t value)
{
    struct world w;
    struct wal_header h;
    size_t n_bytes;
    unsigned char *bytes = make_log(&w, &n_bytes);
    uint64_t offset = HEADER_BYTES + (uint64_t)3 * (FRAME_HEADER_BYTES + 64);
    struct wal_frame f = {.frame_bytes = MARK_BYTES,
                          .lsn = 3,
                          .synced_end = offset,
                          .payload_bytes = MARK_PAYLOAD_BYTES,
                          .type = type};

    CHECK_OK(wal_header_decode(bytes, NAME, &h, NULL));
    mni_put_u64(bytes + offset + FRAME_HEADER_BYTES, value);
    f.payload_crc = wal_payload_crc(0, bytes + offset + FRAME_HEADER_BYTES, MARK_PAYLOAD_BYTES);
    wal_frame_encode(&f, h.salt, offset, bytes + offset);
    write_file(&w, NAME, bytes, n_bytes);
    mn_status st = try_open(&w);
    free(bytes);
    world_done(&w);
    return st;
}

static void marks_that_lie_are_refused(void)
{
    CHECK_OK(open_with_mark(FRAME_CHECKPOINT, 0));
    CHECK_OK(open_with_mark(FRAME_CHECKPOINT, 3));
    CHECK_STATUS(open_with_mark(FRAME_CHECKPOINT, 4), MN_ERR_CORRUPT);
    CHECK_OK(open_with_mark(FRAME_CLOSED, 4));
    CHECK_STATUS(open_with_mark(FRAME_CLOSED, 3), MN_ERR_CORRUPT);
    CHECK_STATUS(open_with_mark(FRAME_CLOSED, 0), MN_ERR_CORRUPT);
    CHECK_STATUS(open_with_mark(FRAME_CLOSED, UINT64_MAX), MN_ERR_CORRUPT);
    CHECK_STATUS(open_with_mark(FRAME_ROTATED, 4), MN_ERR_CORRUPT); /* there is no next file */
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(names_are_twenty_digits),
        CHECK_TEST(a_frame_belongs_to_its_file_and_its_place),
        CHECK_TEST(headers_that_lie_are_refused),
        CHECK_TEST(lsns_do_not_overflow),
        CHECK_TEST(another_version_is_said_to_be_one),
        CHECK_TEST(frames_that_lie_are_refused),
        CHECK_TEST(marks_that_lie_are_refused),
    };
    return check_run("wal.format", tests, CHECK_COUNT(tests), argc, argv);
}
