/* sums_test.c - the checksums of files that pass by, in pieces of any size. */
#include "fixture.h"

#include "io/posix.h"
#include "segment/live_private.h"
#include "segment/sums.h"

static const char label[] = "seg/a file";

/* Passes bytes in pieces of `piece` bytes, random ones if 0. */
static mn_status pass(struct mni_sums *sums, const unsigned char *bytes, size_t n, size_t piece,
                      uint64_t *random, struct mn_error *err)
{
    mn_status st = MN_OK;

    for (size_t at = 0; at < n && st == MN_OK;) {
        size_t now = piece != 0 ? piece : 1 + check_below(random, 40000);
        now = now < n - at ? now : n - at;
        st = mni_sums_add(sums, bytes + at, now, err);
        at += now;
    }
    if (st == MN_OK)
        st = mni_sums_end(sums, err);
    mni_sums_done(sums);
    return st;
}

static mn_status pass_segment(const struct mni_segment_info *info, const unsigned char *bytes,
                              size_t n, size_t piece, uint64_t *random, struct mn_error *err)
{
    struct mni_sums sums;
    mn_status st = mni_sums_begin_segment(&sums, info, label, err);

    return st == MN_OK ? pass(&sums, bytes, n, piece, random, err) : st;
}

static void whole_segments_pass_in_pieces_of_any_size(void)
{
    static const size_t pieces[] = {0, 0, 0, 4096, 16384, 16385, 1 << 20, 1023};
    uint64_t random = check_seed();
    struct mn_error err;

    for (unsigned i = 0; i < 20; i++) {
        struct rows_options options = {.n = 1 + check_below(&random, 300),
                                       .n_collections = 1 + check_below(&random, 5),
                                       .large_bytes = i % 2 * 30000};
        struct rows rows = random_rows(&random, options);
        struct disk d = disk_new();
        struct mni_segment_info info = write_segment(&d, &rows, 1);
        size_t n = 0;
        unsigned char *bytes = read_file(&d, 1, &n);
        CHECK_OK_ERR(pass_segment(&info, bytes, n, pieces[i % 8], &random, &err), &err);
        free(bytes);
        disk_free(&d);
        rows_free(&rows);
    }
}

static void damage_anywhere_is_found(void)
{
    uint64_t random = check_seed();
    struct rows_options options = {.n = 50, .n_collections = 3};
    struct rows rows = random_rows(&random, options);
    struct disk d = disk_new();
    struct mni_segment_info info = write_segment(&d, &rows, 1);
    struct mn_error err;
    size_t n = 0;
    unsigned char *bytes = read_file(&d, 1, &n);

    for (size_t i = 0; i<n; i += i + 9000> n ? 1 : 1 + check_below(&random, 200)) {
        unsigned char flip = (unsigned char)(1 << check_below(&random, 8));
        bytes[i] ^= flip;
        CHECK_STATUS(pass_segment(&info, bytes, n, 1 << 20, &random, &err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(err.message, label);
        if (i < n - info.footer_bytes - 4096) {
            char block[40];
            (void)snprintf(block, sizeof block, "block %zu, at", i / SEG_BLOCK_BYTES);
            CHECK_STR_HAS(err.message, block);
        }
        bytes[i] ^= flip;
    }
    for (size_t shorter = 0; shorter < n; shorter += 1000)
        CHECK_STATUS(pass_segment(&info, bytes, shorter, 0, &random, &err), MN_ERR_CORRUPT);
    unsigned char *longer = malloc(n + 1);
    CHECK(longer != NULL);
    memcpy(longer, bytes, n);
    longer[n] = 0;
    CHECK_STATUS(pass_segment(&info, longer, n + 1, 0, &random, &err), MN_ERR_CORRUPT);
    free(longer);
    free(bytes);
    disk_free(&d);
    rows_free(&rows);
}

static void another_segment_is_found(void)
{
    uint64_t random = check_seed();
    struct rows_options options = {.n = 50, .n_collections = 3};
    struct rows rows = random_rows(&random, options);
    struct disk d = disk_new();
    struct mni_segment_info one = write_segment(&d, &rows, 1);
    struct mni_segment_info other = write_segment(&d, &rows, 2);
    struct mn_error err;
    size_t n = 0;
    unsigned char *bytes = read_file(&d, 2, &n);

    CHECK_EQ(one.file_bytes, other.file_bytes);
    CHECK_OK_ERR(pass_segment(&other, bytes, n, 0, &random, &err), &err);
    CHECK_STATUS(pass_segment(&one, bytes, n, 0, &random, &err), MN_ERR_CORRUPT);
    one.footer_crc = other.footer_crc; /* the id is in the checksums of blocks */
    CHECK_STATUS(pass_segment(&one, bytes, n, 0, &random, &err), MN_ERR_CORRUPT);
    free(bytes);
    disk_free(&d);
    rows_free(&rows);
}

static void lengths_that_no_segment_has_are_refused(void)
{
    static const struct {
        uint64_t file_bytes;
        uint32_t footer_bytes;
    } bad[] = {
        {0, 0},         {4096, 4096},   {24576, 0},         {24576, 4095},
        {24577, 4096},  {20480, 4096},  {28672, 4096},      {UINT64_MAX, 4096},
        {24576, 24576}, {24576, 28672}, {1 << 30, 1 << 29}, {UINT64_C(1) << 63, 1u << 31},
    };
    struct mni_sums sums;
    struct mn_error err;

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        struct mni_segment_info info = {.file_bytes = bad[i].file_bytes,
                                        .footer_bytes = bad[i].footer_bytes};
        CHECK_STATUS(mni_sums_begin_segment(&sums, &info, label, &err), MN_ERR_CORRUPT);
        mni_sums_done(&sums);
    }
    struct mni_segment_info smallest = {.file_bytes = 24576, .footer_bytes = 4096};
    CHECK_OK_ERR(mni_sums_begin_segment(&sums, &smallest, label, &err), &err);
    mni_sums_done(&sums);
}

/* What a manifest claims costs memory only as bytes arrive. */
static void claims_cost_no_memory(void)
{
    struct mni_segment_info info = {.footer_bytes = 4096};
    unsigned char zeroes[4096] = {0};
    struct mni_sums sums;
    struct mn_error err;
    uint64_t n_blocks = UINT64_C(1) << 30;
    uint64_t before = mni_mem_live_bytes();

    info.file_bytes = n_blocks * SEG_BLOCK_BYTES + n_blocks * 4 + 4096;
    mn_status st = mni_sums_begin_segment(&sums, &info, label, &err);
    CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
    for (int i = 0; st == MN_OK && i < 100; i++)
        CHECK_OK(mni_sums_add(&sums, zeroes, sizeof zeroes, &err));
    CHECK(mni_mem_live_bytes() < before + 10000);
    mni_sums_done(&sums);
}

/* Its checksums fill more than one block. */
static void large_segments_pass(void)
{
    size_t payload_bytes = 35 << 20;
    unsigned char *payload = calloc(1, payload_bytes);
    struct mni_dir *dir = NULL;
    struct mni_segment_plan *plan = NULL;
    struct mni_segment_writer *writer = NULL;
    struct mni_segment_writer_config config = {.id = id_of(1)};
    struct mni_segment_info info;
    struct mni_file *file = NULL;
    struct mni_sums sums;
    struct mn_error err;
    char name[MNI_SEGMENT_NAME_BYTES];

    CHECK(payload != NULL);
    CHECK_OK(mni_env_open_dir(mni_posix_env(), check_temp_dir(), true, &dir, NULL));
    CHECK_OK(mni_segment_plan_new(UINT64_MAX, &plan));
    config.dir = dir;
    config.plan = plan;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            CHECK_OK(mni_segment_writer_new(&config, &writer, NULL));
        for (int i = 0; i < 2; i++) {
            struct mni_segment_row row = {.lsn = 1, .record_lsn = 1};
            row.record = (struct mni_record){.type = MNI_RECORD_UPSERT,
                                             .collection = 1,
                                             .key = mn_str(i == 0 ? "a" : "b"),
                                             .payload = {payload, payload_bytes}};
            payload[i * 1000]++;
            CHECK_OK(pass == 0 ? mni_segment_plan_add(plan, &row, NULL)
                               : mni_segment_writer_add(writer, &row, NULL));
        }
    }
    CHECK_OK(mni_segment_writer_finish(writer, &info, NULL));
    mni_segment_plan_free(plan);
    mni_segment_name(&config.id, name);
    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL));
    /* Whole; then with a byte changed in the second block of checksums. */
    for (int damaged = 0; damaged < 2; damaged++) {
        CHECK_OK(mni_sums_begin_segment(&sums, &info, label, &err));
        CHECK(sums.footer_offset - sums.checksums_offset > SEG_BLOCK_BYTES);
        for (size_t n = 1; n != 0;) {
            CHECK_OK(mni_file_read(file, sums.n_bytes, payload, 1 << 20, &n, NULL));
            uint64_t at = sums.checksums_offset + SEG_BLOCK_BYTES + 5;
            if (damaged && at >= sums.n_bytes && at < sums.n_bytes + n)
                payload[at - sums.n_bytes] ^= 1;
            CHECK_OK(mni_sums_add(&sums, payload, n, &err));
        }
        CHECK_STATUS(mni_sums_end(&sums, &err), damaged ? MN_ERR_CORRUPT : MN_OK);
        if (damaged)
            CHECK_STR_HAS(err.message, "block 1 of its checksums");
        mni_sums_done(&sums);
    }
    mni_file_close(file);
    mni_dir_close(dir);
    free(payload);
}

/* Liveness files ---------- */

static void liveness_files_pass_and_damage_is_found(void)
{
    uint64_t random = check_seed();
    uint32_t dead[] = {1, 5, 77};
    struct mni_live_state state = {
        .lsn = 9, .n_rows = 200, .n_dead = 3, .n_deaths = 3, .rows = dead};
    struct mni_segment_id id = id_of(1);
    struct disk d = disk_new();
    struct mni_live_info info;
    struct mni_file *file = NULL;
    unsigned char bytes[1000] = {0};
    struct mni_sums sums;
    struct mn_error err;
    size_t n = 0;

    CHECK_OK(mni_live_write(d.dir, "x.live", &id, 4, &state, &info, NULL));
    CHECK_OK(mni_dir_open_file(d.dir, "x.live", MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_read(file, 0, bytes, sizeof bytes, &n, NULL));
    CHECK_EQ(n, info.file_bytes);
    mni_file_close(file);
    for (size_t piece = 1; piece <= n; piece++) {
        CHECK_OK(mni_sums_begin_live(&sums, &info, label, &err));
        CHECK_OK_ERR(pass(&sums, bytes, n, piece, &random, &err), &err);
    }
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 4;
        CHECK_OK(mni_sums_begin_live(&sums, &info, label, &err));
        CHECK_STATUS(pass(&sums, bytes, n, 7, &random, &err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(err.message, label);
        bytes[i] ^= 4;
    }
    for (size_t other = 0; other <= n + 1; other++) {
        CHECK_OK(mni_sums_begin_live(&sums, &info, label, &err));
        CHECK_STATUS(pass(&sums, bytes, other, 50, &random, &err),
                     other == n ? MN_OK : MN_ERR_CORRUPT);
    }
    info.file_bytes = 100;
    CHECK_STATUS(mni_sums_begin_live(&sums, &info, label, &err), MN_ERR_CORRUPT);
    disk_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(whole_segments_pass_in_pieces_of_any_size),
        CHECK_TEST(damage_anywhere_is_found),
        CHECK_TEST(another_segment_is_found),
        CHECK_TEST(lengths_that_no_segment_has_are_refused),
        CHECK_TEST(claims_cost_no_memory),
        CHECK_TEST(large_segments_pass),
        CHECK_TEST(liveness_files_pass_and_damage_is_found),
    };

    return check_run("segment.sums", tests, CHECK_COUNT(tests), argc, argv);
}
