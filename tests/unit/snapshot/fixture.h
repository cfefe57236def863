/*
 * fixture.h - a small store and a pool on a simulated disk, which can fail, lose power, and be a
 * file system without links; and snapshots of chosen files of the store.
 *
 * The store's files are segments 1 to N_SEGMENTS, each with liveness generations 1 to N_LIVES.
 */
#ifndef TESTS_UNIT_SNAPSHOT_FIXTURE_H
#define TESTS_UNIT_SNAPSHOT_FIXTURE_H

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "io/crash.h"
#include "io/fault.h"
#include "io/posix.h"
#include "segment/bare.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "snapshot/snapshot_private.h"

enum { N_SEGMENTS = 4, N_LIVES = 2, ROWS = 3 };
static const uint64_t the_incarnation = 0x1122334455667788;
static const unsigned char the_store_id[MNI_MANIFEST_ID_BYTES] = "store of a test";

/* What the manifest says of the store's files; the same on every disk. */
struct content {
    struct mni_manifest_segment segments[N_SEGMENTS];
    struct mni_manifest_live lives[N_SEGMENTS][N_LIVES];
    char keys[N_SEGMENTS][ROWS][8];
};

struct stage {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault; /* around the disk */
    struct mni_env *env;         /* of both; or the real one, without the two */
    char root[600];              /* of paths in the real one, with a slash; else empty */
    struct mni_dir *seg;         /* of the store */
    struct mni_pool_dir *pool;   /* NULL: not open */
    bool no_links;               /* files are copied */
    struct content content;
    struct mn_error err;
};

/* The store ----------*/

static inline void write_segment_file(struct stage *s, size_t index)
{
    struct mni_manifest_segment *m = &s->content.segments[index];
    struct mni_segment_writer_config config = {.dir = s->seg, .is_buffered = index % 2 != 0};
    struct mni_segment_writer *writer = NULL;
    struct mni_segment_plan *plan = NULL;
    struct mni_segment_info info;
    struct mni_segment_row rows[ROWS] = {0};

    CHECK_OK(mni_segment_plan_new(0, &plan));
    for (size_t i = 0; i < ROWS; i++) {
        char *key = s->content.keys[index][i];
        (void)snprintf(key, sizeof s->content.keys[index][i], "key%zu%zu", index + 1, i);
        rows[i].record = (struct mni_record){
            .type = MNI_RECORD_UPSERT, .collection = 7, .key = mn_str(key), .payload = mn_str(key)};
        rows[i].lsn = rows[i].record_lsn = 1 + index;
        CHECK_OK(mni_segment_plan_add(plan, &rows[i], NULL));
    }
    mni_manifest_segment_id(the_incarnation, index + 1, m->id);
    memcpy(config.id.bytes, m->id, sizeof m->id);
    config.plan = plan;
    CHECK_OK(mni_segment_writer_new(&config, &writer, NULL));
    for (size_t i = 0; i < ROWS; i++)
        CHECK_OK(mni_segment_writer_add(writer, &rows[i], NULL));
    CHECK_OK(mni_segment_writer_finish(writer, &info, NULL));
    mni_segment_plan_free(plan);
    m->file_bytes = info.file_bytes;
    m->footer_offset = info.file_bytes - info.footer_bytes;
    m->footer_bytes = info.footer_bytes;
    m->footer_crc = info.footer_crc;
    m->n_rows = ROWS;
    m->lsn_min = m->lsn_max = 1 + index;
    m->first = (struct mni_manifest_bound){7, mn_str(s->content.keys[index][0])};
    m->last = (struct mni_manifest_bound){7, mn_str(s->content.keys[index][ROWS - 1])};
}

static inline void write_live_file(struct stage *s, size_t index, size_t live)
{
    const struct mni_manifest_segment *m = &s->content.segments[index];
    uint32_t row = (uint32_t)live;
    struct mni_live_state state = {
        .previous = live,
        .lsn = 5 + live,
        .n_rows = ROWS,
        .n_dead = (uint32_t)live + 1,
        .n_deaths = 1,
        .rows = &row,
    };
    struct mni_live_info info = {.crc = 0};
    struct mni_segment_id id;
    char name[MNI_NAME_BYTES_MAX];

    memcpy(id.bytes, m->id, sizeof id.bytes);
    mni_manifest_live_name(m->id, live + 1, name);
    CHECK_OK(mni_live_write(s->seg, name, &id, live + 1, &state, &info, NULL));
    s->content.lives[index][live] = (struct mni_manifest_live){
        .generation = live + 1, .file_bytes = info.file_bytes, .crc = info.crc};
}

static inline void write_store(struct stage *s)
{
    for (size_t i = 0; i < N_SEGMENTS; i++) {
        write_segment_file(s, i);
        for (size_t j = 0; j < N_LIVES; j++)
            write_live_file(s, i, j);
    }
    CHECK_OK(mni_dir_sync(s->seg, NULL));
}

/* Life ----------*/

/* A directory of the stage by its name. */
static inline struct mni_dir *open_place(struct stage *s, const char *name)
{
    char path[700];
    struct mni_dir *dir = NULL;

    (void)snprintf(path, sizeof path, "%s%s", s->root, name);
    CHECK_OK_ERR(mni_env_open_dir(s->env, path, true, &dir, &s->err), &s->err);
    return dir;
}

static inline void stage_open_seg(struct stage *s)
{
    s->seg = open_place(s, "seg");
}

/* In place: keys of the content are pointed to. */
static inline void stage_init(struct stage *s, uint64_t seed)
{
    *s = (struct stage){0};
    CHECK_OK(mni_crash_env_new(seed, &s->crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(s->crash), &s->fault));
    s->env = mni_fault_env_base(s->fault);
    stage_open_seg(s);
    write_store(s);
}

/* The same on a real disk. */
static inline void stage_init_real(struct stage *s)
{
    *s = (struct stage){.env = mni_posix_env()};
    (void)snprintf(s->root, sizeof s->root, "%s/", check_temp_dir());
    stage_open_seg(s);
    write_store(s);
}

static inline void stage_close(struct stage *s)
{
    mni_pool_close(s->pool);
    s->pool = NULL;
    mni_dir_close(s->seg);
    s->seg = NULL;
}

static inline void stage_done(struct stage *s)
{
    stage_close(s);
    if (s->crash == NULL)
        return;
    mni_fault_env_free(s->fault);
    mni_crash_env_free(s->crash);
}

static inline mn_status no_link(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                                const char *from, struct mn_error *err)
{
    (void)dir;
    (void)from_dir;
    return mni_fail(err, MN_ERR_UNSUPPORTED, "link %s to %s", from, name);
}

/* Links to this directory are not possible any more. */
static inline void forbid_links(struct mni_dir *dir)
{
    static struct mni_dir_ops ops;

    ops = *dir->ops;
    ops.link = no_link;
    dir->ops = &ops;
}

static inline mn_status try_open_pool(struct stage *s, bool create)
{
    char path[700];

    (void)snprintf(path, sizeof path, "%spool", s->root);
    mni_pool_close(s->pool);
    mn_status st = mni_pool_open(s->env, path, create, &s->pool, &s->err);
    if (st == MN_OK && s->no_links)
        forbid_links(s->pool->files);
    return st;
}

static inline void open_pool(struct stage *s, bool create)
{
    CHECK_OK_ERR(try_open_pool(s, create), &s->err);
}

static inline void lock_pool(struct stage *s, enum mni_pool_lock lock)
{
    CHECK_OK_ERR(mni_pool_lock(s->pool, lock, &s->err), &s->err);
}

/* The power goes and comes back. */
static inline void stage_restart(struct stage *s, bool use_mask, uint64_t mask)
{
    stage_close(s);
    mni_fault_env_fail_at(s->fault, 0, 0, false);
    mni_crash_env_restart(s->crash, use_mask, mask);
    stage_open_seg(s);
}

/* Snapshots ----------*/

static struct mni_timeline first_timeline = {.incarnation = 0x1122334455667788};
static struct mni_snapshot_collection two_collections[] = {
    {.number = 7, .kind = 1, .dimension = 3, .n_records = 5, .name = {"docs", 4}},
    {.number = 3, .kind = 1, .n_records = 2, .name = {"notes", 5}},
};

/* A snapshot of segments `first` to `last` (from 1), each with so many liveness files. */
static inline void describe(struct stage *s, struct mni_snapshot *snapshot, uint64_t lsn,
                            size_t first, size_t last, size_t n_lives)
{
    struct mni_manifest *m = &snapshot->manifest;

    *snapshot = (struct mni_snapshot){
        .created_us = 1700000000000000 + (int64_t)lsn,
        .description = mn_str("a moment"),
        .collections = two_collections,
        .n_collections = 2,
        .timelines = &first_timeline,
        .n_timelines = 1,
    };
    CHECK_OK(mni_snapshot_id_new(s->env, lsn, &snapshot->id, NULL));
    *m = (struct mni_manifest){.number = 1,
                               .lsn = lsn,
                               .time_us = 1600000000000000,
                               .lsn_handed_out = lsn,
                               .last_time_us = 1600000000000000,
                               .incarnation = the_incarnation,
                               .next_segment = N_SEGMENTS + 1};
    memcpy(m->store_id, the_store_id, sizeof the_store_id);
    memset(snapshot->store, 's', sizeof snapshot->store);
    memcpy(snapshot->store + STORE_OFF_ID, the_store_id, sizeof the_store_id);
    CHECK_OK(mni_manifest_add_run(m));
    for (size_t i = first - 1; i < last; i++) {
        CHECK_OK(mni_manifest_add_segment(m, &s->content.segments[i]));
        for (size_t j = 0; j < n_lives; j++)
            CHECK_OK(mni_manifest_add_live(m, &s->content.lives[i][j]));
    }
}

static inline void set_parent(struct mni_snapshot *snapshot, const struct mni_snapshot *parent)
{
    snapshot->flags |= MNI_SNAPSHOT_INCREMENTAL;
    snapshot->parent = parent->id;
}

static inline void add(struct stage *s, struct mni_snapshot *snapshot,
                       const struct mni_snapshot *parent)
{
    if (parent != NULL)
        set_parent(snapshot, parent);
    lock_pool(s, MNI_POOL_ADD);
    CHECK_OK_ERR(mni_pool_add(s->pool, snapshot, parent, s->seg, NULL, &s->err), &s->err);
}

/* Files ----------*/

static inline bool has_file(struct mni_dir *dir, const char *name)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL);

    mni_file_close(file);
    return st == MN_OK;
}

static inline mn_status count_entry(void *context, const char *name, bool is_dir,
                                    struct mn_error *err)
{
    (void)name;
    (void)is_dir;
    (void)err;
    ++*(size_t *)context;
    return MN_OK;
}

static inline size_t n_entries(struct mni_dir *dir)
{
    size_t n = 0;

    CHECK_OK(mni_dir_list(dir, count_entry, &n, NULL));
    return n;
}

/* A file in memory; free its bytes. */
struct image {
    unsigned char *bytes;
    size_t n;
};

static inline struct image read_image(struct mni_dir *dir, const char *name)
{
    struct mni_file *file = NULL;
    struct image image = {NULL, 0};
    uint64_t n = 0;

    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_size(file, &n, NULL));
    image.bytes = malloc(n + 1);
    CHECK(image.bytes != NULL);
    CHECK_OK(mni_file_read(file, 0, image.bytes, n, &image.n, NULL));
    CHECK_EQ(image.n, n);
    mni_file_close(file);
    return image;
}

/* As a file of its own: other names of what was there keep their content. */
static inline void write_image(struct mni_dir *dir, const char *name, const void *bytes, size_t n)
{
    struct mni_file *file = NULL;

    mni_ignore(mni_dir_unlink(dir, name, NULL));
    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    if (n > 0)
        CHECK_OK(mni_file_write(file, 0, bytes, n, NULL));
    mni_file_close(file);
}

static inline void flip(struct mni_dir *dir, const char *name, uint64_t offset)
{
    struct mni_file *file = NULL;
    unsigned char byte;
    size_t n = 0;

    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_read(file, offset, &byte, 1, &n, NULL));
    CHECK_EQ(n, 1);
    byte ^= 0x10;
    CHECK_OK(mni_file_write(file, offset, &byte, 1, NULL));
    mni_file_close(file);
}

/* The pool's name of a segment (from 1), or of one of its liveness files (from 1; 0: the segment).
 * */
static inline void name_in_pool(const struct stage *s, size_t segment, size_t live,
                                bool is_compressed, char name_out[MNI_NAME_BYTES_MAX])
{
    const struct mni_manifest_segment *m = &s->content.segments[segment - 1];
    struct pool_file file = {.crc = m->footer_crc, .is_compressed = is_compressed};

    memcpy(file.segment_id, m->id, sizeof m->id);
    if (live != 0) {
        file.generation = live;
        file.crc = s->content.lives[segment - 1][live - 1].crc;
    }
    pool_file_name(&file, name_out);
}

/* The segment of the store whose copy this is. */
static inline const struct mni_manifest_segment *original_of(const struct stage *s,
                                                             const unsigned char *id)
{
    for (size_t i = 0; i < N_SEGMENTS; i++) {
        unsigned char bare[MNI_MANIFEST_ID_BYTES];
        pool_bare_id(&s->content.segments[i], bare);
        if (memcmp(bare, id, sizeof bare) == 0)
            return &s->content.segments[i];
    }
    CHECK(false);
    return NULL;
}

static inline void check_given_bare_segment(struct stage *s, const struct pool_file *file,
                                            struct mni_dir *dir)
{
    struct mni_segment_info expected = {.file_bytes = file->file_bytes,
                                        .footer_bytes = file->footer_bytes,
                                        .footer_crc = file->crc};
    const struct mni_manifest_segment *original = original_of(s, file->segment_id);
    struct mni_segment *segment = NULL;

    memcpy(expected.id.bytes, file->segment_id, sizeof expected.id.bytes);
    CHECK_OK_ERR(mni_segment_open(dir, &expected.id, &expected, &segment, &s->err), &s->err);
    CHECK_OK_ERR(mni_bare_check(segment, &s->err), &s->err);
    for (uint32_t i = 0; i < ROWS; i++) {
        const char *key = s->content.keys[original - s->content.segments][i];
        struct mni_segment_row row;
        CHECK_OK(mni_segment_row(segment, i, &row, NULL));
        CHECK_EQ(row.record.key.n_bytes, strlen(key));
        CHECK_MEM_EQ(row.record.key.data, key, strlen(key));
        CHECK_EQ(row.lsn, original->lsn_min);
        mni_segment_row_done(segment, &row);
    }
    mni_segment_unref(segment);
}

/* All files of a snapshot without metadata are in `dir`: copies, each with its liveness. */
static inline void check_given_bare(struct stage *s, const struct mni_snapshot *snapshot,
                                    struct mni_dir *dir)
{
    struct file_cursor cursor = {0};
    struct mni_liveness live;
    struct pool_file file;
    char name[MNI_NAME_BYTES_MAX];

    mni_liveness_init(&live, ROWS);
    while (snapshot_next_file(snapshot, &cursor, &file)) {
        if (file.generation == 0) {
            check_given_bare_segment(s, &file, dir);
            mni_liveness_done(&live);
            mni_liveness_init(&live, ROWS);
            continue;
        }
        struct mni_live_info expected = {
            .generation = file.generation, .file_bytes = file.file_bytes, .crc = file.crc};
        memcpy(expected.id.bytes, file.segment_id, sizeof expected.id.bytes);
        pool_file_store_name(&file, name);
        CHECK_OK_ERR(mni_live_read(dir, name, &expected, &live, &s->err), &s->err);
        CHECK_EQ(live.n_dead, file.generation);
    }
    mni_liveness_done(&live);
}

/* All files of a snapshot are in `dir` as a store has them, to the byte. */
static inline void check_given(struct stage *s, const struct mni_snapshot *snapshot,
                               struct mni_dir *dir)
{
    struct file_cursor cursor = {0};
    char name[MNI_NAME_BYTES_MAX];
    struct pool_file file;

    if ((snapshot->flags & MNI_SNAPSHOT_WITHOUT_METADATA) != 0) {
        check_given_bare(s, snapshot, dir);
        return;
    }
    while (snapshot_next_file(snapshot, &cursor, &file)) {
        pool_file_store_name(&file, name);
        struct image given = read_image(dir, name);
        struct image ours = read_image(s->seg, name);
        CHECK_EQ(given.n, ours.n);
        CHECK_MEM_EQ(given.bytes, ours.bytes, ours.n);
        free(given.bytes);
        free(ours.bytes);
    }
}

#endif
