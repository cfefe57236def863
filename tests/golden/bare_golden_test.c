/*
 * A snapshot without metadata of version 1 still means what docs/format/snapshot.md says, and is
 * made the same: of segment-v1.seg, one of whose rows is dead.
 *
 *     segment-v1-bare.seg                 its copy
 *     snapshot-v1-without-metadata.bin    the snapshot, at LSN 20
 *
 * They were written by `golden_bare --write DIRECTORY`.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "io/posix.h"
#include "segment/bare.h"
#include "segment/live.h"
#include "snapshot/snapshot_private.h"

static const char copy_name[] = "segment-v1-bare.seg";
static const char snapshot_name[] = "snapshot-v1-without-metadata.bin";

enum { FILE_BYTES_MAX = 1 << 20 };

struct image {
    unsigned char *bytes; /* freed by whoever reads it */
    size_t n;
};

static struct image read_path(const char *folder, const char *name)
{
    char path[1024];
    struct image image = {malloc(FILE_BYTES_MAX), 0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL && image.bytes != NULL);
    image.n = fread(image.bytes, 1, FILE_BYTES_MAX, file);
    CHECK(feof(file));
    fclose(file);
    return image;
}

static void write_path(const char *folder, const char *name, const struct image *image)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(image->bytes, 1, image->n, file), image->n);
    CHECK_EQ(fclose(file), 0);
}

/* The store: the golden segment, and one liveness file ---------- */

static struct mni_manifest_segment the_segment(void)
{
    struct image image = read_path(GOLDEN_DIR, "segment-v1.seg");
    struct mni_manifest_segment s = {
        .file_bytes = image.n,
        .footer_bytes = mni_get_u32(image.bytes + image.n - 8),
        .footer_crc = mni_get_u32(image.bytes + image.n - 4),
        .n_rows = 5,
        .lsn_min = 1,
        .lsn_max = 12,
        .first = {0, {"catalogue", 9}},
        .last = {UINT64_MAX, {"h", 1}},
    };

    s.footer_offset = s.file_bytes - s.footer_bytes;
    for (unsigned i = 0; i < MNI_MANIFEST_ID_BYTES; i++)
        s.id[i] = (unsigned char)(1 + i);
    free(image.bytes);
    return s;
}

static struct mni_manifest_live write_store(struct mni_dir *dir, const char *path)
{
    const struct mni_manifest_segment s = the_segment();
    uint32_t dead = 3;
    const struct mni_live_state state = {
        .lsn = 20, .n_rows = 5, .n_dead = 1, .n_deaths = 1, .rows = &dead};
    struct image image = read_path(GOLDEN_DIR, "segment-v1.seg");
    struct mni_segment_id id;
    struct mni_live_info info;
    char name[MNI_NAME_BYTES_MAX];

    mni_manifest_segment_name(s.id, name);
    write_path(path, name, &image);
    free(image.bytes);
    memcpy(id.bytes, s.id, sizeof id.bytes);
    mni_manifest_live_name(s.id, 2, name);
    CHECK_OK(mni_live_write(dir, name, &id, 2, &state, &info, NULL));
    return (struct mni_manifest_live){
        .generation = 2, .file_bytes = info.file_bytes, .crc = info.crc};
}

static struct mni_timeline timeline = {.incarnation = 0x99aabbccddeeff01};
static struct mni_snapshot_collection collection = {
    .number = 7, .kind = 1, .dimension = 4, .n_records = 2, .name = {"docs", 4}};

static void describe(struct mni_snapshot *s, const struct mni_manifest_live *live)
{
    const struct mni_manifest_segment segment = the_segment();
    struct mni_manifest *m = &s->manifest;

    *s = (struct mni_snapshot){
        .flags = MNI_SNAPSHOT_WITHOUT_METADATA,
        .created_us = 1700000500000000,
        .description = mn_str("to share"),
        .collections = &collection,
        .n_collections = 1,
        .timelines = &timeline,
        .n_timelines = 1,
    };
    s->id.bytes[7] = 20;
    memset(s->id.bytes + 8, 0xc5, 8);
    *m = (struct mni_manifest){.number = 3,
                               .lsn = 20,
                               .time_us = 1700000000000000,
                               .lsn_handed_out = 20,
                               .last_time_us = 1700000000000000,
                               .incarnation = timeline.incarnation,
                               .next_segment = 2};
    for (unsigned i = 0; i < MNI_MANIFEST_ID_BYTES; i++)
        m->store_id[i] = s->store[STORE_OFF_ID + i] = (unsigned char)(0xa0 + i);
    CHECK_OK(mni_manifest_add_run(m));
    CHECK_OK(mni_manifest_add_segment(m, &segment));
    CHECK_OK(mni_manifest_add_live(m, live));
}

/* The snapshot as it is made now ---------- */

struct made {
    char pool_path[600];
    char copy[MNI_NAME_BYTES_MAX + 8]; /* under that path, as what follows */
    char snapshot[MNI_NAME_BYTES_MAX];
    struct mni_pool_dir *pool;
    struct mni_snapshot added;
};

static void make(struct made *made)
{
    char seg_path[600];
    char name[MNI_NAME_BYTES_MAX];
    struct mni_dir *seg = NULL;
    struct file_cursor cursor = {0};
    struct pool_file file;
    struct mn_error err;

    (void)snprintf(seg_path, sizeof seg_path, "%s/seg", check_temp_dir());
    (void)snprintf(made->pool_path, sizeof made->pool_path, "%s/pool", check_temp_dir());
    CHECK_OK(mni_env_open_dir(mni_posix_env(), seg_path, true, &seg, NULL));
    struct mni_manifest_live live = write_store(seg, seg_path);
    describe(&made->added, &live);
    CHECK_OK(mni_pool_open(mni_posix_env(), made->pool_path, true, &made->pool, NULL));
    CHECK_OK(mni_pool_lock(made->pool, MNI_POOL_ADD, NULL));
    CHECK_OK_ERR(mni_pool_add(made->pool, &made->added, NULL, seg, NULL, &err), &err);
    mni_dir_close(seg);
    CHECK(snapshot_next_file(&made->added, &cursor, &file));
    pool_file_name(&file, name);
    (void)snprintf(made->copy, sizeof made->copy, "files/%s", name);
    pool_snapshot_name(&made->added.id, "", made->snapshot);
}

static void made_done(struct made *made)
{
    mni_snapshot_done(&made->added);
    mni_pool_close(made->pool);
}

static void check_same(const char *folder, const char *name, const char *golden_name)
{
    struct image image = read_path(folder, name);
    struct image golden = read_path(GOLDEN_DIR, golden_name);

    CHECK_EQ(image.n, golden.n);
    CHECK_MEM_EQ(image.bytes, golden.bytes, golden.n);
    free(image.bytes);
    free(golden.bytes);
}

static void it_is_made_the_same(void)
{
    struct made made;

    make(&made);
    CHECK_STR_EQ(made.copy, "files/f8ed5aa6a143706c090a0b0c0d0e0f10.f26de2b4.seg");
    check_same(made.pool_path, made.copy, copy_name);
    check_same(made.pool_path, made.snapshot, snapshot_name);
    made_done(&made);
}

static void it_reads_as_it_was_made(void)
{
    struct image image = read_path(GOLDEN_DIR, snapshot_name);
    struct mni_snapshot s;
    struct made made;
    struct mn_error err;

    make(&made);
    CHECK_OK_ERR(snapshot_decode(image.bytes, image.n, &s, &err), &err);
    free(image.bytes);
    CHECK_EQ(s.flags, MNI_SNAPSHOT_WITHOUT_METADATA);
    CHECK_EQ(s.n_files, 2);
    CHECK_EQ(s.manifest.segments[0].n_rows, 5);
    CHECK_EQ(s.manifest.lives[0].generation, 2);
    CHECK_OK_ERR(mni_pool_verify(made.pool, &s, NULL, NULL, NULL, &err), &err);
    mni_snapshot_done(&s);
    made_done(&made);
}

/* Of the five rows, that of the catalogue and two of the others carried something. */
static void the_copy_has_no_metadata_and_no_payload(void)
{
    struct mni_segment_info expected;
    struct mni_segment *segment = NULL;
    struct mni_dir *dir = NULL;
    struct mni_segment_row row;
    struct made made;
    struct mn_error err;

    make(&made);
    const struct mni_manifest_segment *s = &made.added.manifest.segments[0];
    expected = (struct mni_segment_info){
        .file_bytes = s->file_bytes, .footer_bytes = s->footer_bytes, .footer_crc = s->footer_crc};
    memcpy(expected.id.bytes, s->id, sizeof expected.id.bytes);
    CHECK_OK(mni_pool_show(made.pool, &made.added, &dir, NULL));
    CHECK_OK_ERR(mni_segment_open(dir, &expected.id, &expected, &segment, &err), &err);
    CHECK_OK_ERR(mni_bare_check(segment, &err), &err);
    CHECK_OK(mni_segment_row(segment, 2, &row, NULL));
    CHECK_EQ(row.record.collection, 7);
    CHECK_MEM_EQ(row.record.key.data, "memory-1", 8);
    CHECK_EQ(row.lsn, 12);
    CHECK_EQ(row.record_lsn, 9);
    CHECK_EQ(row.record.hits, 3);
    CHECK_EQ(row.record.expires_at_us, 1700000000000000);
    CHECK_EQ(row.record.event_time_us, -1);
    CHECK_EQ(row.record.second_key[31], 31);
    CHECK_EQ(row.record.n_dims, 4);
    mni_segment_row_done(segment, &row);
    mni_segment_unref(segment);
    mni_dir_close(dir);
    made_done(&made);
}

static void write_golden(const char *target)
{
    struct made made;

    make(&made);
    struct image copy = read_path(made.pool_path, made.copy);
    struct image snapshot = read_path(made.pool_path, made.snapshot);
    write_path(target, copy_name, &copy);
    write_path(target, snapshot_name, &snapshot);
    printf("%s\n", made.copy);
    free(copy.bytes);
    free(snapshot.bytes);
    made_done(&made);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(it_is_made_the_same),
        CHECK_TEST(it_reads_as_it_was_made),
        CHECK_TEST(the_copy_has_no_metadata_and_no_payload),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_golden(argv[2]);
        return 0;
    }
    return check_run("golden.bare", tests, CHECK_COUNT(tests), argc, argv);
}
