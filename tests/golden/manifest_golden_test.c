/*
 * Manifests of version 1 still mean what docs/format/manifest.md says, and are written the same.
 *
 *     manifest-v1.bin     number 7 at LSN 1,000: two runs, of two segments and of one, which have
 *                         0, 1 and 2 liveness files
 *
 * It was written by `golden_manifest --write DIRECTORY`.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/posix.h"
#include "manifest/manifest.h"

enum { FILE_BYTES = 8192 };

static const char file_name[] = "MANIFEST-00000000000000000007";
static const uint64_t incarnation = 0x1122334455667788;

static void add(struct mni_manifest *m, uint64_t counter, const char *first, const char *last)
{
    struct mni_manifest_segment s = {
        .file_bytes = 1000000 * counter,
        .footer_offset = 1000000 * counter - 4096,
        .footer_bytes = 2000,
        .footer_crc = 0xf0000000 + (uint32_t)counter,
        .n_rows = 300 * (uint32_t)counter,
        .lsn_min = counter,
        .lsn_max = 100 * counter,
        .first = {counter, mn_str(first)},
        .last = {7, mn_str(last)},
    };

    mni_manifest_segment_id(incarnation, counter, s.id);
    CHECK_OK(mni_manifest_add_segment(m, &s));
}

static void add_live(struct mni_manifest *m, uint64_t generation)
{
    struct mni_manifest_live live = {generation, 120 + generation,
                                     0xe0000000 + (uint32_t)generation};

    CHECK_OK(mni_manifest_add_live(m, &live));
}

static struct mni_manifest golden_manifest(void)
{
    struct mni_manifest m = {.number = 7,
                             .lsn = 1000,
                             .time_us = 1700000000000000,
                             .lsn_handed_out = 1024,
                             .last_time_us = 1700000000000001,
                             .incarnation = incarnation,
                             .next_segment = 8};

    for (unsigned i = 0; i < MNI_MANIFEST_ID_BYTES; i++)
        m.store_id[i] = (unsigned char)(0xa0 + i);
    CHECK_OK(mni_manifest_add_run(&m));
    add(&m, 3, "a", "cat");
    add(&m, 7, "catalogue", "z");
    add_live(&m, 1);
    CHECK_OK(mni_manifest_add_run(&m));
    add(&m, 5, "bee", "\xc3\xa9");
    add_live(&m, 2);
    add_live(&m, 5);
    return m;
}

static struct mni_dir *new_dir(const char *path)
{
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_env_open_dir(mni_posix_env(), path, false, &dir, NULL));
    return dir;
}

static void read_file(const char *path, unsigned char bytes[FILE_BYTES])
{
    FILE *file = fopen(path, "rb");

    CHECK(file != NULL);
    CHECK_EQ(fread(bytes, 1, FILE_BYTES, file), FILE_BYTES);
    CHECK_EQ(fgetc(file), EOF);
    fclose(file);
}

static void write_golden(const char *target)
{
    struct mni_manifest m = golden_manifest();
    struct mni_dir *dir = new_dir(target);
    bool is_in_doubt;

    CHECK_OK(mni_manifest_publish(dir, &m, &is_in_doubt, NULL));
    CHECK_OK(mni_dir_rename(dir, file_name, "manifest-v1.bin", NULL));
    mni_dir_close(dir);
    mni_manifest_done(&m);
}

static void check_segment(const struct mni_manifest *m, size_t i, uint64_t counter,
                          const char *first, const char *last, size_t first_live, size_t n_lives)
{
    const struct mni_manifest_segment *s = &m->segments[i];
    unsigned char id[MNI_MANIFEST_ID_BYTES];

    mni_manifest_segment_id(incarnation, counter, id);
    CHECK_MEM_EQ(s->id, id, sizeof id);
    CHECK_EQ(s->file_bytes, 1000000 * counter);
    CHECK_EQ(s->footer_offset, 1000000 * counter - 4096);
    CHECK_EQ(s->footer_bytes, 2000);
    CHECK_EQ(s->footer_crc, 0xf0000000 + counter);
    CHECK_EQ(s->n_rows, 300 * counter);
    CHECK_EQ(s->lsn_min, counter);
    CHECK_EQ(s->lsn_max, 100 * counter);
    CHECK_EQ(s->first.collection, counter);
    CHECK_EQ(s->last.collection, 7);
    CHECK_EQ(s->first.key.n_bytes, strlen(first));
    CHECK_MEM_EQ(s->first.key.data, first, strlen(first));
    CHECK_EQ(s->last.key.n_bytes, strlen(last));
    CHECK_MEM_EQ(s->last.key.data, last, strlen(last));
    CHECK_EQ(s->first_live, first_live);
    CHECK_EQ(s->n_lives, n_lives);
}

static void the_file_reads_as_written(void)
{
    static const uint64_t generations[] = {1, 2, 5};
    unsigned char golden[FILE_BYTES];
    struct mni_dir *dir = new_dir(check_temp_dir());
    struct mni_file *file = NULL;
    struct mni_manifest m;
    struct mn_error err;
    bool is_damaged = true;

    read_file(GOLDEN_DIR "/manifest-v1.bin", golden);
    CHECK_OK(mni_dir_open_file(dir, file_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    CHECK_OK(mni_file_write(file, 0, golden, sizeof golden, NULL));
    mni_file_close(file);
    CHECK_OK_ERR(mni_manifest_load(dir, NULL, &m, &is_damaged, &err), &err);
    CHECK(!is_damaged);
    CHECK_EQ(m.number, 7);
    for (unsigned i = 0; i < MNI_MANIFEST_ID_BYTES; i++)
        CHECK_EQ(m.store_id[i], 0xa0 + i);
    CHECK_EQ(m.lsn, 1000);
    CHECK_EQ(m.time_us, 1700000000000000);
    CHECK_EQ(m.lsn_handed_out, 1024);
    CHECK_EQ(m.last_time_us, 1700000000000001);
    CHECK_EQ(m.incarnation, incarnation);
    CHECK_EQ(m.next_segment, 8);
    CHECK_EQ(m.n_runs, 2);
    CHECK_EQ(m.runs[0].n_segments, 2);
    CHECK_EQ(m.runs[1].n_segments, 1);
    CHECK_EQ(m.n_segments, 3);
    check_segment(&m, 0, 3, "a", "cat", 0, 0);
    check_segment(&m, 1, 7, "catalogue", "z", 0, 1);
    check_segment(&m, 2, 5, "bee", "\xc3\xa9", 1, 2);
    CHECK_EQ(m.n_lives, 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(m.lives[i].generation, generations[i]);
        CHECK_EQ(m.lives[i].file_bytes, 120 + generations[i]);
        CHECK_EQ(m.lives[i].crc, 0xe0000000 + generations[i]);
    }
    mni_manifest_done(&m);
    mni_dir_close(dir);
}

static void the_file_is_written_the_same(void)
{
    unsigned char golden[FILE_BYTES];
    unsigned char written[FILE_BYTES];
    char path[1024];
    const char *target = check_temp_dir();

    write_golden(target);
    (void)snprintf(path, sizeof path, "%s/manifest-v1.bin", target);
    read_file(path, written);
    read_file(GOLDEN_DIR "/manifest-v1.bin", golden);
    CHECK_MEM_EQ(written, golden, FILE_BYTES);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_file_reads_as_written),
        CHECK_TEST(the_file_is_written_the_same),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_golden(argv[2]);
        return 0;
    }
    return check_run("golden.manifest", tests, CHECK_COUNT(tests), argc, argv);
}
