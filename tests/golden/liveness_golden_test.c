/*
 * Liveness files of version 1 still mean what docs/format/liveness.md says, and are written the
 * same.
 *
 *     liveness-v1-full.bin     generation 1 at LSN 20 of a segment of 300 rows: a list of deaths
 *                              with LSNs, two patches
 *     liveness-v1-delta.bin    generation 4 at LSN 900, which follows it: deaths as bits, one patch
 *
 * They were written by `golden_liveness --write DIRECTORY`.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/posix.h"
#include "segment/live.h"

enum { FULL_BYTES = 192, DELTA_BYTES = 176, N_ROWS = 300 };

static const char full_name[] = "liveness-v1-full.bin";
static const char delta_name[] = "liveness-v1-delta.bin";
static const struct mni_live_info full_info = {
    .id = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    .generation = 1,
    .file_bytes = FULL_BYTES,
    .crc = 0x3afbc178,
};
static const struct mni_live_info delta_info = {
    .id = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    .generation = 4,
    .file_bytes = DELTA_BYTES,
    .crc = 0x9b21e548,
};

static struct mni_dir *open_dir(const char *path)
{
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_env_open_dir(mni_posix_env(), path, false, &dir, NULL));
    return dir;
}

static void patch(struct mni_liveness *live, uint32_t row, const struct mni_patch *patch)
{
    CHECK_OK(mni_liveness_reserve(live, 0, 1));
    mni_liveness_patch(live, row, patch, 0);
}

static void kill(struct mni_liveness *live, uint32_t row, uint64_t lsn)
{
    CHECK_OK(mni_liveness_reserve(live, 1, 0));
    mni_liveness_kill(live, row, lsn);
}

static void write_state(struct mni_dir *dir, struct mni_liveness *live, const char *name,
                        unsigned flags, uint64_t generation, uint64_t lsn)
{
    struct mni_live_state state;
    struct mni_live_info info;

    CHECK_OK(mni_liveness_export(live, flags, lsn, &state, NULL));
    CHECK_OK(mni_live_write(dir, name, &full_info.id, generation, &state, &info, NULL));
    mni_live_state_done(&state);
    mni_liveness_persisted(live, generation, lsn);
}

static void write_all(const char *target)
{
    const struct mni_patch expiry = {
        .lsn = 12, .fields = MNI_FIELD_EXPIRY, .expires_at_us = 1700000000000000};
    const struct mni_patch both = {
        .lsn = 20, .fields = MNI_FIELD_HITS, .clears = MNI_FIELD_EXPIRY, .hits = 3};
    const struct mni_patch hit = {.lsn = 800, .fields = MNI_FIELD_HITS, .hits = 4};
    struct mni_dir *dir = open_dir(target);
    struct mni_liveness live;

    mni_liveness_init(&live, N_ROWS);
    patch(&live, 7, &expiry);
    patch(&live, 9, &both);
    kill(&live, 299, 11);
    kill(&live, 0, 15);
    write_state(dir, &live, full_name, MNI_LIVE_EXPORT_LSNS, 1, 20);
    for (uint32_t row = 64; row < 128; row++)
        kill(&live, row, 700 + row);
    patch(&live, 9, &hit);
    write_state(dir, &live, delta_name, 0, 4, 900);
    mni_liveness_done(&live);
    mni_dir_close(dir);
}

static void read_file(const char *path, const char *name, size_t n, unsigned char *bytes)
{
    char whole[1024];

    (void)snprintf(whole, sizeof whole, "%s/%s", path, name);
    FILE *file = fopen(whole, "rb");
    CHECK(file != NULL);
    CHECK_EQ(fread(bytes, 1, n, file), n);
    CHECK_EQ(fgetc(file), EOF);
    fclose(file);
}

static void the_full_file_reads_as_written(void)
{
    struct mni_dir *dir = open_dir(GOLDEN_DIR);
    struct mni_liveness live;
    struct mni_patch p;
    struct mn_error err;

    mni_liveness_init(&live, N_ROWS);
    CHECK_OK_ERR(mni_live_read(dir, full_name, &full_info, &live, &err), &err);
    CHECK_EQ(live.generation, 1);
    CHECK_EQ(live.persisted_lsn, 20);
    CHECK_EQ(live.n_dead, 2);
    for (uint32_t row = 0; row < N_ROWS; row++)
        CHECK_EQ(mni_liveness_is_visible(&live, row, 20), row != 0 && row != 299);
    CHECK(!mni_liveness_find_patch(&live, 8, 20, &p));
    CHECK(mni_liveness_find_patch(&live, 7, 20, &p));
    CHECK_EQ(p.lsn, 12);
    CHECK_EQ(p.fields, MNI_FIELD_EXPIRY);
    CHECK_EQ(p.clears, 0);
    CHECK_EQ(p.expires_at_us, 1700000000000000);
    CHECK(mni_liveness_find_patch(&live, 9, 20, &p));
    CHECK_EQ(p.lsn, 20);
    CHECK_EQ(p.fields, MNI_FIELD_HITS);
    CHECK_EQ(p.clears, MNI_FIELD_EXPIRY);
    CHECK_EQ(p.hits, 3);
    mni_liveness_done(&live);
    mni_dir_close(dir);
}

static void the_delta_reads_as_written(void)
{
    struct mni_dir *dir = open_dir(GOLDEN_DIR);
    struct mni_liveness live;
    struct mni_patch p;
    struct mn_error err;

    mni_liveness_init(&live, N_ROWS);
    CHECK_OK(mni_live_read(dir, full_name, &full_info, &live, NULL));
    CHECK_OK_ERR(mni_live_read(dir, delta_name, &delta_info, &live, &err), &err);
    CHECK_EQ(live.generation, 4);
    CHECK_EQ(live.persisted_lsn, 900);
    CHECK_EQ(live.n_dead, 66);
    for (uint32_t row = 0; row < N_ROWS; row++)
        CHECK_EQ(mni_liveness_is_visible(&live, row, 900),
                 row != 0 && row != 299 && (row < 64 || row > 127));
    CHECK(mni_liveness_find_patch(&live, 7, 900, &p));
    CHECK_EQ(p.lsn, 12);
    CHECK(mni_liveness_find_patch(&live, 9, 900, &p));
    CHECK_EQ(p.lsn, 800);
    CHECK_EQ(p.fields, MNI_FIELD_HITS);
    CHECK_EQ(p.clears, MNI_FIELD_EXPIRY);
    CHECK_EQ(p.hits, 4);
    mni_liveness_done(&live);
    mni_dir_close(dir);
}

static void the_files_are_written_the_same(void)
{
    unsigned char golden[FULL_BYTES];
    unsigned char written[FULL_BYTES];
    const char *target = check_temp_dir();

    write_all(target);
    read_file(target, full_name, FULL_BYTES, written);
    read_file(GOLDEN_DIR, full_name, FULL_BYTES, golden);
    CHECK_MEM_EQ(written, golden, FULL_BYTES);
    read_file(target, delta_name, DELTA_BYTES, written);
    read_file(GOLDEN_DIR, delta_name, DELTA_BYTES, golden);
    CHECK_MEM_EQ(written, golden, DELTA_BYTES);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_full_file_reads_as_written),
        CHECK_TEST(the_delta_reads_as_written),
        CHECK_TEST(the_files_are_written_the_same),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_all(argv[2]);
        return 0;
    }
    return check_run("golden.liveness", tests, CHECK_COUNT(tests), argc, argv);
}
