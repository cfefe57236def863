/*
 * Snapshots of version 1 still mean what docs/format/snapshot.md says, and are written the same.
 *
 *     snapshot-v1-full.bin          at LSN 1,000: one segment with a liveness file, two collections
 *     snapshot-v1-incremental.bin   at LSN 1,200, made against it after a restore: one segment
 *                                   more; compressed, without metadata, no description
 *
 * They were written by `golden_snapshot --write DIRECTORY`.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/posix.h"
#include "snapshot/snapshot_private.h"

static const char *const names[2] = {"snapshot-v1-full.bin", "snapshot-v1-incremental.bin"};
static const uint64_t incarnations[2] = {0x1122334455667788, 0x99aabbccddeeff00};

/* Two stretches of history: the second one began at 1,100 from the state at 1,000. */
static struct mni_timeline timelines[2] = {
    {.incarnation = 0x1122334455667788},
    {.incarnation = 0x99aabbccddeeff00, .began_lsn = 1100, .from_lsn = 1000},
};
static struct mni_snapshot_collection collections[2] = {
    {.number = 3, .kind = 1, .dimension = 384, .n_records = 290, .name = {"docs", 4}},
    {.number = 5, .kind = 1, .n_records = 9, .name = {"\xc3\xa9t\xc3\xa9", 5}},
};

static void add_segment(struct mni_manifest *m, size_t history, uint64_t counter)
{
    struct mni_manifest_segment s = {
        .file_bytes = 1000000 * counter,
        .footer_offset = 1000000 * counter - 4096,
        .footer_bytes = 4096,
        .footer_crc = 0xf0000000 + (uint32_t)counter,
        .n_rows = 300,
        .lsn_min = counter,
        .lsn_max = 1000,
        .first = {3, {"a", 1}},
        .last = {5, {"z", 1}},
    };

    mni_manifest_segment_id(incarnations[history], counter, s.id);
    CHECK_OK(mni_manifest_add_run(m));
    CHECK_OK(mni_manifest_add_segment(m, &s));
}

static void golden_id(uint64_t lsn, struct mni_snapshot_id *id)
{
    for (unsigned i = 0; i < 8; i++) {
        id->bytes[i] = (unsigned char)(lsn >> (56 - 8 * i));
        id->bytes[8 + i] = (unsigned char)(0xc0 + i);
    }
}

static void golden_snapshot(struct mni_snapshot *s, size_t which)
{
    struct mni_manifest_live live = {.generation = 2, .file_bytes = 120, .crc = 0xe0000002};
    struct mni_manifest *m = &s->manifest;

    *s = (struct mni_snapshot){
        .created_us = 1700000500000000,
        .collections = collections,
        .n_collections = 2,
        .timelines = timelines,
        .n_timelines = 1 + which,
        .n_records = 299,
    };
    golden_id(which == 0 ? 1000 : 1200, &s->id);
    *m = (struct mni_manifest){.number = 7 + which,
                               .lsn = which == 0 ? 1000 : 1200,
                               .time_us = 1700000000000000,
                               .lsn_handed_out = 1300,
                               .last_time_us = 1700000000000001,
                               .incarnation = incarnations[which],
                               .next_segment = 9};
    for (unsigned i = 0; i < MNI_MANIFEST_ID_BYTES; i++)
        m->store_id[i] = s->store[STORE_OFF_ID + i] = (unsigned char)(0xa0 + i);
    add_segment(m, 0, 3);
    CHECK_OK(mni_manifest_add_live(m, &live));
    s->n_bytes = s->own_bytes = 3000120;
    s->n_files = s->n_own_files = 2;
    if (which == 0) {
        s->description = mn_str("before the move");
        return;
    }
    add_segment(m, 1, 8);
    s->flags = MNI_SNAPSHOT_INCREMENTAL | MNI_SNAPSHOT_COMPRESSED | MNI_SNAPSHOT_WITHOUT_METADATA;
    golden_id(1000, &s->parent);
    memset(s->parent_digest, 0xd0, sizeof s->parent_digest);
    s->parent_lsn = 1000;
    s->n_bytes = 11000120;
    s->own_bytes = 8000000;
    s->n_files = 3;
    s->n_own_files = 1;
    s->stored = mni_alloc_zero(2 * sizeof *s->stored);
    s->stored[0] = 2000003;
    s->stored[1] = 5000008;
}

static unsigned char *golden_bytes(size_t which, uint64_t *n_out)
{
    struct mni_snapshot s;
    unsigned char *bytes = NULL;
    struct mn_error err;

    golden_snapshot(&s, which);
    CHECK_OK_ERR(snapshot_encode(&s, &bytes, n_out, &err), &err);
    mni_snapshot_done(&s);
    return bytes;
}

static unsigned char *read_file(size_t which, uint64_t *n_out)
{
    char path[1024];
    unsigned char *bytes = malloc(20000);

    (void)snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, names[which]);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL && bytes != NULL);
    *n_out = fread(bytes, 1, 20000, file);
    CHECK(feof(file));
    fclose(file);
    return bytes;
}

static void write_golden(const char *target)
{
    for (size_t i = 0; i < 2; i++) {
        char path[1024];
        uint64_t n = 0;
        unsigned char *bytes = golden_bytes(i, &n);
        (void)snprintf(path, sizeof path, "%s/%s", target, names[i]);
        FILE *file = fopen(path, "wb");
        CHECK(file != NULL);
        CHECK_EQ(fwrite(bytes, 1, n, file), n);
        CHECK_EQ(fclose(file), 0);
        mni_free(bytes);
    }
}

static void check_common(const struct mni_snapshot *s, size_t which)
{
    struct mni_snapshot golden;

    golden_snapshot(&golden, which);
    CHECK_MEM_EQ(&s->id, &golden.id, sizeof s->id);
    CHECK_MEM_EQ(&s->parent, &golden.parent, sizeof s->parent);
    CHECK_MEM_EQ(s->parent_digest, golden.parent_digest, sizeof s->parent_digest);
    CHECK_MEM_EQ(s->store, golden.store, sizeof s->store);
    CHECK_EQ(s->flags, golden.flags);
    CHECK_EQ(s->parent_lsn, golden.parent_lsn);
    CHECK_EQ(s->created_us, 1700000500000000);
    CHECK_EQ(s->manifest.number, 7 + which);
    CHECK_EQ(s->manifest.lsn, golden.manifest.lsn);
    CHECK_EQ(s->manifest.n_segments, 1 + which);
    CHECK_EQ(s->manifest.n_lives, 1);
    CHECK_EQ(s->n_collections, 2);
    CHECK_EQ(s->collections[0].number, 3);
    CHECK_EQ(s->collections[0].dimension, 384);
    CHECK_EQ(s->collections[1].n_records, 9);
    CHECK_EQ(s->collections[1].name.n_bytes, 5);
    CHECK_MEM_EQ(s->collections[1].name.data, "\xc3\xa9t\xc3\xa9", 5);
    CHECK_EQ(s->n_timelines, 1 + which);
    CHECK_MEM_EQ(s->timelines, timelines, s->n_timelines * sizeof *s->timelines);
    CHECK_EQ(s->n_records, 299);
    CHECK_EQ(s->n_bytes, golden.n_bytes);
    CHECK_EQ(s->own_bytes, golden.own_bytes);
    CHECK_EQ(s->n_files, golden.n_files);
    CHECK_EQ(s->n_own_files, golden.n_own_files);
    mni_snapshot_done(&golden);
}

static void the_files_read_as_written(void)
{
    struct mni_snapshot s;
    struct mn_error err;

    for (size_t i = 0; i < 2; i++) {
        uint64_t n = 0;
        unsigned char *bytes = read_file(i, &n);
        CHECK_OK_ERR(snapshot_decode(bytes, n, &s, &err), &err);
        check_common(&s, i);
        if (i == 0) {
            CHECK_EQ(s.description.n_bytes, 15);
            CHECK_MEM_EQ(s.description.data, "before the move", 15);
            CHECK_EQ(s.stored_bytes, 3000120);
        } else {
            CHECK_EQ(s.description.n_bytes, 0);
            CHECK_EQ(s.stored_bytes, 2000003 + 120 + 5000008);
        }
        mni_snapshot_done(&s);
        free(bytes);
    }
}

static void the_files_are_written_the_same(void)
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = 0;
        uint64_t n_golden = 0;
        unsigned char *bytes = golden_bytes(i, &n);
        unsigned char *golden = read_file(i, &n_golden);
        CHECK_EQ(n, n_golden);
        CHECK_MEM_EQ(bytes, golden, n);
        mni_free(bytes);
        free(golden);
    }
}

/* In a pool of their own, they are found and loaded; their files are missing. */
static void a_pool_lists_and_loads_them(void)
{
    struct mni_pool_dir *pool = NULL;
    struct mni_snapshot_id *ids = NULL;
    struct mni_snapshot s;
    struct mn_error err;
    size_t n = 0;

    CHECK_OK(mni_pool_open(mni_posix_env(), check_temp_dir(), true, &pool, NULL));
    for (size_t i = 0; i < 2; i++) {
        struct mni_snapshot_id id;
        char name[MNI_NAME_BYTES_MAX];
        struct mni_file *file = NULL;
        uint64_t n_bytes = 0;
        unsigned char *bytes = read_file(i, &n_bytes);
        golden_id(i == 0 ? 1000 : 1200, &id);
        pool_snapshot_name(&id, "", name);
        CHECK_OK(mni_dir_open_file(pool->dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
        CHECK_OK(mni_file_write(file, 0, bytes, n_bytes, NULL));
        mni_file_close(file);
        free(bytes);
    }
    CHECK_OK(mni_pool_lock(pool, MNI_POOL_READ, NULL));
    CHECK_OK(mni_pool_list(pool, &ids, &n, NULL));
    CHECK_EQ(n, 2);
    CHECK_EQ(mni_snapshot_id_lsn(&ids[0]), 1200);
    CHECK_OK_ERR(mni_pool_load(pool, &ids[1], &s, &err), &err);
    check_common(&s, 0);
    CHECK_STATUS(mni_pool_verify(pool, &s, NULL, NULL, NULL, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "files/11223344556677880000000000000003.f0000003.seg is missing");
    mni_snapshot_done(&s);
    mni_free(ids);
    mni_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_files_read_as_written),
        CHECK_TEST(the_files_are_written_the_same),
        CHECK_TEST(a_pool_lists_and_loads_them),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_golden(argv[2]);
        return 0;
    }
    return check_run("golden.snapshot", tests, CHECK_COUNT(tests), argc, argv);
}
