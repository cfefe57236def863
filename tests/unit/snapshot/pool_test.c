/* pool_test.c - pools: opened, locked, listed; snapshots added, loaded, given back, removed. */
#include "fixture.h"

static void ids_are_hexadecimal_and_nothing_else(void)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "../x",
                                      "../../../../../../../../etc/passwd",
                                      "0000000000000001000000000000000",
                                      "000000000000000100000000000000000",
                                      "000000000000000A0000000000000000",
                                      "000000000000000g0000000000000000",
                                      "0000000000000001/000000000000000",
                                      "..//////////////////////////////"};
    struct mni_snapshot_id id;
    char text[MNI_SNAPSHOT_ID_TEXT_BYTES];

    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        CHECK(!mni_snapshot_id_parse(mn_str(bad[i]), &id));
    CHECK(!mni_snapshot_id_parse((struct mn_slice){"0000000000000001\0000000000000000", 32}, &id));
    CHECK(mni_snapshot_id_parse(mn_str("00000000000004d2fedcba9876543210"), &id));
    CHECK_EQ(mni_snapshot_id_lsn(&id), 1234);
    mni_snapshot_id_format(&id, text);
    CHECK_STR_EQ(text, "00000000000004d2fedcba9876543210");
    CHECK(!mni_snapshot_id_is_zero(&id));
}

static void names_of_files_are_read_back(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct pool_file back;

    for (int i = 0; i < 3; i++) {
        struct pool_file file = {.crc = 0xabcdef01u + (uint32_t)i,
                                 .generation = i == 1 ? UINT64_MAX : 0,
                                 .is_compressed = i == 2};
        memset(file.segment_id, 0x5a + i, sizeof file.segment_id);
        pool_file_name(&file, name);
        CHECK(pool_file_parse(name, &back));
        CHECK_EQ(pool_file_compare(&file, &back), 0);
        for (size_t n = strlen(name); n-- > 0;) { /* no other name is one */
            char other[MNI_NAME_BYTES_MAX];
            memcpy(other, name, sizeof other);
            other[n] = 'X';
            CHECK(!pool_file_parse(other, &back));
            other[n] = '\0';
            CHECK(!pool_file_parse(other, &back) || strcmp(other + n - 4, ".seg") == 0);
        }
    }
    CHECK(!pool_file_parse("", &back));
    CHECK(!pool_file_parse(pool_copying_name, &back));
}

static void a_missing_pool_is_not_made_by_looking(void)
{
    struct stage s;

    stage_init(&s, 1);
    CHECK_STATUS(try_open_pool(&s, false), MN_NOT_FOUND);
    open_pool(&s, true);
    open_pool(&s, false);
    stage_done(&s);
}

static void a_directory_of_other_things_is_no_pool(void)
{
    struct mni_pool_dir *pool = NULL;
    struct stage s;

    stage_init(&s, 1);
    CHECK_STATUS(mni_pool_open(s.env, "seg", true, &pool, &s.err), MN_ERR_INVALID);
    CHECK_STATUS(mni_pool_open(s.env, "seg", false, &pool, &s.err), MN_ERR_INVALID);
    CHECK_STR_HAS(s.err.message, "seg");
    stage_done(&s);
}

/* Files ---------- */

static void check_loaded(const struct mni_snapshot *a, const struct mni_snapshot *b)
{
    CHECK_MEM_EQ(&a->id, &b->id, sizeof a->id);
    CHECK_MEM_EQ(&a->parent, &b->parent, sizeof a->parent);
    CHECK_MEM_EQ(a->digest, b->digest, sizeof a->digest);
    CHECK_MEM_EQ(a->parent_digest, b->parent_digest, sizeof a->digest);
    CHECK_MEM_EQ(a->store, b->store, sizeof a->store);
    CHECK_EQ(a->flags, b->flags);
    CHECK_EQ(a->parent_lsn, b->parent_lsn);
    CHECK_EQ(a->created_us, b->created_us);
    CHECK_EQ(a->manifest.lsn, b->manifest.lsn);
    CHECK_EQ(a->manifest.n_segments, b->manifest.n_segments);
    CHECK_EQ(a->manifest.n_lives, b->manifest.n_lives);
    CHECK_EQ(a->description.n_bytes, b->description.n_bytes);
    CHECK_MEM_EQ(a->description.data, b->description.data, a->description.n_bytes);
    CHECK_EQ(a->n_collections, b->n_collections);
    for (size_t i = 0; i < a->n_collections; i++) {
        CHECK_EQ(a->collections[i].number, b->collections[i].number);
        CHECK_EQ(a->collections[i].kind, b->collections[i].kind);
        CHECK_EQ(a->collections[i].dimension, b->collections[i].dimension);
        CHECK_EQ(a->collections[i].n_records, b->collections[i].n_records);
        CHECK_EQ(a->collections[i].name.n_bytes, b->collections[i].name.n_bytes);
        CHECK_MEM_EQ(a->collections[i].name.data, b->collections[i].name.data,
                     a->collections[i].name.n_bytes);
    }
    CHECK_EQ(a->n_timelines, b->n_timelines);
    CHECK_MEM_EQ(a->timelines, b->timelines, a->n_timelines * sizeof *a->timelines);
    CHECK_EQ(a->n_records, b->n_records);
    CHECK_EQ(a->n_bytes, b->n_bytes);
    CHECK_EQ(a->own_bytes, b->own_bytes);
    CHECK_EQ(a->n_files, b->n_files);
    CHECK_EQ(a->n_own_files, b->n_own_files);
    CHECK_EQ(a->stored_bytes, b->stored_bytes);
}

/* Loads what was added, verifies it, gives it to a new directory. */
static void check_usable(struct stage *s, const struct mni_snapshot *added, const char *dir_name)
{
    struct mni_snapshot loaded;
    struct mni_dir *dir = NULL;

    CHECK_OK_ERR(mni_pool_load(s->pool, &added->id, &loaded, &s->err), &s->err);
    check_loaded(added, &loaded);
    CHECK_OK_ERR(mni_pool_verify(s->pool, &loaded, NULL, NULL, NULL, &s->err), &s->err);
    dir = open_place(s, dir_name);
    if (s->no_links)
        forbid_links(dir);
    CHECK_OK_ERR(mni_pool_give(s->pool, &loaded, dir, NULL, &s->err), &s->err);
    check_given(s, &loaded, dir);
    CHECK_EQ(n_entries(dir), loaded.n_files);
    CHECK_OK_ERR(mni_pool_give(s->pool, &loaded, dir, NULL, &s->err), &s->err); /* they are there */
    mni_dir_close(dir);
    mni_snapshot_done(&loaded);
}

static void full_and_incremental(struct stage *s, unsigned flags)
{
    struct mni_snapshot a;
    struct mni_snapshot b;
    uint64_t freed = 0;

    open_pool(s, true);
    describe(s, &a, 10, 1, 2, 1);
    describe(s, &b, 12, 1, 3, 2);
    a.flags |= flags;
    b.flags |= flags;
    add(s, &a, NULL);
    CHECK_EQ(a.n_files, 4);
    CHECK_EQ(a.n_own_files, 4);
    CHECK_EQ(a.own_bytes, a.n_bytes);
    CHECK_EQ(a.n_records, 7);
    add(s, &b, &a);
    CHECK_EQ(b.n_files, 9);
    CHECK_EQ(b.n_own_files, 5); /* a segment with two liveness files, and two more of these */
    CHECK_EQ(b.n_bytes - b.own_bytes, a.n_bytes);
    CHECK_EQ(n_entries(s->pool->files), 9);
    CHECK_EQ(n_entries(s->pool->dir), 3);
    if ((flags & MNI_SNAPSHOT_COMPRESSED) != 0)
        CHECK(b.stored_bytes < b.n_bytes / 10);
    else
        CHECK_EQ(b.stored_bytes, b.n_bytes);
    check_usable(s, &a, "a");
    check_usable(s, &b, "b");
    lock_pool(s, MNI_POOL_REMOVE);
    CHECK_OK_ERR(mni_pool_remove(s->pool, &a.id, &freed, &s->err), &s->err);
    CHECK_EQ(freed, 0); /* the second one names all its files */
    check_usable(s, &b, "c");
    CHECK_STATUS(mni_pool_remove(s->pool, &a.id, &freed, NULL), MN_NOT_FOUND);
    CHECK_OK_ERR(mni_pool_remove(s->pool, &b.id, &freed, &s->err), &s->err);
    CHECK_EQ(freed, b.stored_bytes);
    CHECK_EQ(n_entries(s->pool->files), 0);
    CHECK_EQ(n_entries(s->pool->dir), 1);
    mni_snapshot_done(&a);
    mni_snapshot_done(&b);
}

static void snapshots_are_linked(void)
{
    struct stage s;

    stage_init(&s, 1);
    full_and_incremental(&s, 0);
    stage_done(&s);
}

static void snapshots_are_copied_where_links_are_not_possible(void)
{
    struct stage s;

    stage_init(&s, 1);
    s.no_links = true;
    full_and_incremental(&s, 0);
    stage_done(&s);
}

static void snapshots_are_made_without_metadata(void)
{
    static const unsigned flags[] = {0, MNI_SNAPSHOT_COMPRESSED};

    for (size_t i = 0; i < 2 * CHECK_COUNT(flags); i++) {
        struct stage s;
        stage_init(&s, 1);
        s.no_links = i >= CHECK_COUNT(flags);
        full_and_incremental(&s, MNI_SNAPSHOT_WITHOUT_METADATA | flags[i % CHECK_COUNT(flags)]);
        stage_done(&s);
    }
}

/* The ids of copies are made of those of the originals, and are even where those are odd. */
static void copies_have_ids_of_their_own(void)
{
    struct mni_manifest_segment one = {.footer_crc = 1};
    struct mni_manifest_segment other;
    unsigned char id[MNI_MANIFEST_ID_BYTES];
    unsigned char id2[MNI_MANIFEST_ID_BYTES];

    for (uint64_t i = 1; i < 200; i++) {
        mni_manifest_segment_id(2 * i + 1, i, one.id);
        pool_bare_id(&one, id);
        CHECK_EQ(id[7] & 1, 0);
        CHECK_MEM_EQ(id + 8, one.id + 8, 8);
        other = one;
        pool_bare_id(&other, id2);
        CHECK_MEM_EQ(id, id2, sizeof id);
        other.footer_crc++;
        pool_bare_id(&other, id2);
        CHECK(memcmp(id, id2, sizeof id) != 0);
        other = one;
        memcpy(other.id, id, sizeof id); /* the copy of the copy */
        pool_bare_id(&other, id2);
        CHECK(memcmp(id, id2, sizeof id) != 0);
        mni_manifest_segment_id(2 * i + 3, i, other.id);
        pool_bare_id(&other, id2);
        CHECK(memcmp(id, id2, 8) != 0);
    }
}

/* Full ones, too, share their copies; those with metadata have other files; neither is the parent
 * of the other. */
static void with_and_without_metadata_stay_apart(void)
{
    const unsigned without = MNI_SNAPSHOT_WITHOUT_METADATA;
    static const unsigned flags[] = {without, without, 0, without | MNI_SNAPSHOT_COMPRESSED};
    static const size_t n_files[] = {4, 4, 8, 10};
    struct mni_snapshot snapshots[4];
    struct mni_snapshot child;
    struct stage s;

    stage_init(&s, 1);
    open_pool(&s, true);
    for (size_t i = 0; i < 4; i++) {
        describe(&s, &snapshots[i], 10 + i, 1, 2, 1);
        snapshots[i].flags = flags[i];
        add(&s, &snapshots[i], NULL);
        CHECK_EQ(snapshots[i].n_own_files, 4);
        CHECK_EQ(n_entries(s.pool->files), n_files[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct mni_snapshot *parent = &snapshots[1 + i];
        describe(&s, &child, 20, 1, 2, 1);
        child.flags = without ^ parent->flags;
        CHECK(!mni_snapshot_follows(&child, parent));
        set_parent(&child, parent);
        lock_pool(&s, MNI_POOL_ADD);
        CHECK_STATUS(mni_pool_add(s.pool, &child, parent, s.seg, NULL, &s.err), MN_ERR_INVALID);
        CHECK_STR_HAS(s.err.message, "without metadata");
        mni_snapshot_done(&child);
    }
    for (size_t i = 0; i < 4; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        check_usable(&s, &snapshots[i], name);
        mni_snapshot_done(&snapshots[i]);
    }
    stage_done(&s);
}

/* What the parent names and the pool has lost is written again. */
static void a_copy_that_has_gone_is_made_again(void)
{
    struct mni_snapshot a;
    struct mni_snapshot b;
    struct file_cursor cursor = {0};
    struct pool_file file;
    char name[MNI_NAME_BYTES_MAX];
    struct stage s;

    stage_init(&s, 1);
    open_pool(&s, true);
    describe(&s, &a, 10, 1, 2, 1);
    describe(&s, &b, 11, 1, 2, 1);
    a.flags = b.flags = MNI_SNAPSHOT_WITHOUT_METADATA;
    add(&s, &a, NULL);
    CHECK(snapshot_next_file(&a, &cursor, &file));
    pool_file_name(&file, name);
    CHECK_OK(mni_dir_unlink(s.pool->files, name, NULL));
    add(&s, &b, &a);
    CHECK_EQ(b.n_own_files, 0);
    check_usable(&s, &b, "b");
    check_usable(&s, &a, "a");
    mni_snapshot_done(&a);
    mni_snapshot_done(&b);
    stage_done(&s);
}

/* A snapshot that says that it has no metadata, and has: here its file says so of any. */
static void a_snapshot_that_has_metadata_after_all_is_damaged(void)
{
    struct mni_snapshot a;
    struct stage s;

    stage_init(&s, 1);
    open_pool(&s, true);
    describe(&s, &a, 10, 1, 2, 1);
    add(&s, &a, NULL);
    CHECK_OK_ERR(mni_pool_verify(s.pool, &a, NULL, NULL, NULL, &s.err), &s.err);
    a.flags |= MNI_SNAPSHOT_WITHOUT_METADATA;
    CHECK_STATUS(mni_pool_verify(s.pool, &a, NULL, NULL, NULL, &s.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(s.err.message, "row 0 has metadata or a payload");
    mni_snapshot_done(&a);
    stage_done(&s);
}

/* A file system that clones: what the simulated disk cannot do is played here. */
static size_t n_clones;

static mn_status play_clone(struct mni_file *file, struct mni_file *from, struct mn_error *err)
{
    uint64_t n = 0;
    size_t n_read = 0;

    CHECK_OK(mni_file_size(from, &n, NULL));
    void *bytes = aligned_alloc(MNI_DIRECT_ALIGN, mni_align_up(n, MNI_DIRECT_ALIGN));
    CHECK_OK(mni_file_read(from, 0, bytes, n, &n_read, NULL));
    mn_status st = mni_file_write(file, 0, bytes, n_read, err);
    free(bytes);
    n_clones++;
    return st;
}

static mn_status (*open_before)(struct mni_dir *, const char *, unsigned, struct mni_file **,
                                struct mn_error *);

static mn_status open_cloneable(struct mni_dir *dir, const char *name, unsigned flags,
                                struct mni_file **file_out, struct mn_error *err)
{
    static struct mni_file_ops ops;
    mn_status st = open_before(dir, name, flags, file_out, err);

    if (st != MN_OK)
        return st;
    ops = *(*file_out)->ops;
    ops.clone = play_clone;
    (*file_out)->ops = &ops;
    return MN_OK;
}

static void snapshots_are_cloned(void)
{
    static struct mni_dir_ops ops;
    struct mni_snapshot a;
    struct stage s;

    stage_init(&s, 1);
    s.no_links = true;
    open_pool(&s, true);
    ops = *s.pool->files->ops;
    open_before = ops.open_file;
    ops.open_file = open_cloneable;
    s.pool->files->ops = &ops;
    n_clones = 0;
    describe(&s, &a, 10, 1, 2, 1);
    add(&s, &a, NULL);
    CHECK_EQ(n_clones, 4);
    check_usable(&s, &a, "a");
    mni_snapshot_done(&a);
    stage_done(&s);
}

static void snapshots_are_compressed(void)
{
    struct stage s;

    stage_init(&s, 1);
    full_and_incremental(&s, MNI_SNAPSHOT_COMPRESSED);
    stage_done(&s);
}

static void a_real_disk_does_all_of_it(void)
{
    static const unsigned flags[] = {0, 0, MNI_SNAPSHOT_COMPRESSED, MNI_SNAPSHOT_WITHOUT_METADATA,
                                     MNI_SNAPSHOT_WITHOUT_METADATA | MNI_SNAPSHOT_COMPRESSED};

    for (size_t i = 0; i < CHECK_COUNT(flags); i++) {
        struct stage s;
        stage_init_real(&s);
        s.no_links = i == 1;
        full_and_incremental(&s, flags[i]);
        stage_done(&s);
    }
}

static void both_kinds_share_a_pool(void)
{
    struct mni_snapshot a;
    struct mni_snapshot b;
    uint64_t freed = 0;
    struct stage s;

    stage_init(&s, 1);
    open_pool(&s, true);
    describe(&s, &a, 10, 1, 2, 1);
    describe(&s, &b, 10, 1, 2, 1);
    b.flags |= MNI_SNAPSHOT_COMPRESSED;
    add(&s, &a, NULL);
    add(&s, &b, &a);
    CHECK_EQ(n_entries(s.pool->files), 6); /* liveness files are the same */
    CHECK_EQ(b.n_own_files, 0);
    lock_pool(&s, MNI_POOL_REMOVE);
    CHECK_OK(mni_pool_remove(s.pool, &a.id, &freed, NULL));
    CHECK(freed > 0);
    CHECK_EQ(n_entries(s.pool->files), 4);
    check_usable(&s, &b, "b");
    mni_snapshot_done(&a);
    mni_snapshot_done(&b);
    stage_done(&s);
}

/* What is in the pool already is not read again, but its length is looked at. */
static void a_shared_file_of_another_length_is_refused(void)
{
    struct mni_snapshot a;
    struct mni_snapshot b;
    char name[MNI_NAME_BYTES_MAX];
    struct stage s;

    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        stage_init(&s, 1);
        open_pool(&s, true);
        describe(&s, &a, 10, 1, 1, 1);
        describe(&s, &b, 11, 1, 2, 1);
        a.flags = b.flags = is_compressed ? MNI_SNAPSHOT_COMPRESSED : 0;
        add(&s, &a, NULL);
        name_in_pool(&s, 1, 0, is_compressed, name);
        write_image(s.pool->files, name, "x", is_compressed ? 0 : 1);
        set_parent(&b, &a);
        CHECK_STATUS(mni_pool_add(s.pool, &b, &a, s.seg, NULL, &s.err), MN_ERR_CORRUPT);
        CHECK_STR_HAS(s.err.message, name);
        CHECK_EQ(n_entries(s.pool->files), 2);
        CHECK_EQ(n_entries(s.pool->dir), 2);
        mni_snapshot_done(&a);
        mni_snapshot_done(&b);
        stage_done(&s);
    }
}

static void an_empty_store_has_snapshots(void)
{
    struct mni_snapshot a;
    struct mni_snapshot loaded;
    struct stage s;

    stage_init(&s, 1);
    open_pool(&s, true);
    describe(&s, &a, 0, 1, 1, 0);
    mni_manifest_done(&a.manifest);
    a.manifest =
        (struct mni_manifest){.number = 1, .incarnation = the_incarnation, .next_segment = 1};
    memcpy(a.manifest.store_id, the_store_id, sizeof the_store_id);
    a.flags = MNI_SNAPSHOT_COMPRESSED;
    a.n_collections = 0;
    a.description = (struct mn_slice){NULL, 0};
    add(&s, &a, NULL);
    CHECK_OK_ERR(mni_pool_load(s.pool, &a.id, &loaded, &s.err), &s.err);
    CHECK_EQ(loaded.n_files, 0);
    CHECK_EQ(loaded.n_records, 0);
    CHECK_EQ(loaded.description.n_bytes, 0);
    CHECK_OK(mni_pool_verify(s.pool, &loaded, NULL, NULL, NULL, NULL));
    mni_snapshot_done(&loaded);
    mni_snapshot_done(&a);
    stage_done(&s);
}

static void newest_first_is_by_lsn_then_by_time(void)
{
    static const uint64_t lsns[] = {10, 12, 12, 12, 11};
    static const int64_t times[] = {900, 5, 7, 6, 1};
    static const size_t order[] = {2, 3, 1, 4, 0};
    struct mni_snapshot snapshots[5];
    struct mni_snapshot_id *ids = NULL;
    size_t n = 7;
    struct stage s;

    stage_init(&s, 3);
    open_pool(&s, true);
    CHECK_OK(mni_pool_list(s.pool, &ids, &n, NULL));
    CHECK_EQ(n, 0);
    mni_free(ids);
    for (size_t i = 0; i < 5; i++) {
        describe(&s, &snapshots[i], lsns[i], 1, 1, 0);
        snapshots[i].created_us = times[i];
        add(&s, &snapshots[i], NULL);
    }
    write_image(s.pool->dir, "README.snapshot", "?", 1);
    write_image(s.pool->dir, "00000000000000ff0000000000000000.snapshot.new", "?", 1);
    CHECK_OK(mni_pool_list(s.pool, &ids, &n, NULL));
    CHECK_EQ(n, 5);
    for (size_t i = 0; i < 5; i++) {
        CHECK_MEM_EQ(&ids[i], &snapshots[order[i]].id, sizeof ids[i]);
        mni_snapshot_done(&snapshots[order[i]]);
    }
    mni_free(ids);
    stage_done(&s);
}

static void what_cut_off_additions_left_is_collected(void)
{
    struct mni_snapshot a;
    uint64_t freed = 0;
    struct stage s;
    char name[MNI_NAME_BYTES_MAX];

    stage_init(&s, 3);
    open_pool(&s, true);
    describe(&s, &a, 10, 1, 1, 1);
    add(&s, &a, NULL);
    write_image(s.pool->dir, "00000000000000ff0000000000000000.snapshot.new", "1234", 4);
    write_image(s.pool->dir, "notes.txt", "mine", 4);
    write_image(s.pool->files, pool_copying_name, "12", 2);
    write_image(s.pool->files, "notes.txt", "mine", 4);
    name_in_pool(&s, 2, 0, false, name);
    write_image(s.pool->files, name, "123", 3);
    lock_pool(&s, MNI_POOL_REMOVE);
    CHECK_OK(mni_pool_collect(s.pool, &freed, NULL));
    CHECK_EQ(freed, 9);
    CHECK_EQ(n_entries(s.pool->files), 3);
    CHECK_EQ(n_entries(s.pool->dir), 3);
    check_usable(&s, &a, "a");
    mni_snapshot_done(&a);
    stage_done(&s);
}

static void nothing_is_collected_beside_a_damaged_snapshot(void)
{
    struct mni_snapshot a;
    struct mni_snapshot b;
    char name[MNI_NAME_BYTES_MAX];
    uint64_t freed = 1;
    struct stage s;

    stage_init(&s, 3);
    open_pool(&s, true);
    describe(&s, &a, 10, 1, 1, 1);
    describe(&s, &b, 11, 2, 2, 1);
    add(&s, &a, NULL);
    add(&s, &b, NULL);
    pool_snapshot_name(&a.id, "", name);
    flip(s.pool->dir, name, 200);
    lock_pool(&s, MNI_POOL_REMOVE);
    CHECK_STATUS(mni_pool_remove(s.pool, &b.id, &freed, &s.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(s.err.message, name);
    CHECK_EQ(freed, 0);
    CHECK_EQ(n_entries(s.pool->files), 4);
    CHECK_OK_ERR(mni_pool_remove(s.pool, &a.id, &freed, &s.err), &s.err);
    CHECK_EQ(freed, a.n_bytes + b.n_bytes);
    mni_snapshot_done(&a);
    mni_snapshot_done(&b);
    stage_done(&s);
}

/* Locks ---------- */

static void locks_go_together(struct stage *stage)
{
    static const bool together[3][3] = {
        [MNI_POOL_READ] = {true, true, false},
        [MNI_POOL_ADD] = {true, false, false},
        [MNI_POOL_REMOVE] = {false, false, false},
    };
    struct mni_pool_dir *other = NULL;
    char path[700];

    (void)snprintf(path, sizeof path, "%spool", stage->root);
    open_pool(stage, true);
    CHECK_OK(mni_pool_open(stage->env, path, false, &other, NULL));
    for (enum mni_pool_lock a = MNI_POOL_READ; a <= MNI_POOL_REMOVE; a++)
        for (enum mni_pool_lock b = MNI_POOL_READ; b <= MNI_POOL_REMOVE; b++)
            for (enum mni_pool_lock c = MNI_POOL_READ; c <= MNI_POOL_REMOVE; c++) {
                mni_pool_close(other);
                CHECK_OK(mni_pool_open(stage->env, path, false, &other, NULL));
                lock_pool(stage, a);
                mn_status st = mni_pool_lock(other, b, NULL);
                CHECK_STATUS(st, together[a][b] ? MN_OK : MN_ERR_IN_USE);
                if (st != MN_OK)
                    continue;
                /* Changing works, or leaves what there was. */
                st = mni_pool_lock(stage->pool, c, NULL);
                CHECK_STATUS(st, together[b][c] ? MN_OK : MN_ERR_IN_USE);
                enum mni_pool_lock held = st == MN_OK ? c : a;
                CHECK_EQ(stage->pool->lock, held);
                mni_pool_close(other);
                CHECK_OK(mni_pool_open(stage->env, path, false, &other, NULL));
                for (enum mni_pool_lock d = MNI_POOL_READ; d <= MNI_POOL_REMOVE; d++) {
                    CHECK_STATUS(mni_pool_lock(other, d, NULL),
                                 together[held][d] ? MN_OK : MN_ERR_IN_USE);
                    mni_pool_close(other);
                    CHECK_OK(mni_pool_open(stage->env, path, false, &other, NULL));
                }
                mni_pool_close(other);
                other = NULL;
                open_pool(stage, false); /* without a lock */
            }
    mni_pool_close(other);
}

static void locks_go_together_as_they_say(void)
{
    struct stage s;

    stage_init(&s, 3);
    locks_go_together(&s);
    stage_done(&s);
    stage_init_real(&s);
    locks_go_together(&s);
    stage_done(&s);
}

/* Progress ---------- */

struct watch {
    uint64_t n_calls;
    uint64_t n_done;
    uint64_t n_total;
    uint64_t stop_at;
};

static mn_status look(void *context, uint64_t n_done, uint64_t n_total, struct mn_error *err)
{
    struct watch *w = context;

    CHECK(n_done >= w->n_done && n_done <= n_total);
    w->n_done = n_done;
    w->n_total = n_total;
    if (++w->n_calls == w->stop_at)
        return mni_fail(err, MN_ERR_CANCELLED, "enough");
    return MN_OK;
}

static void progress_ends_anywhere(unsigned flags)
{
    struct mni_snapshot a;
    struct mni_snapshot b;
    struct mni_dir *dir = NULL;
    struct stage s;
    bool is_stopped = true;

    stage_init(&s, 3);
    s.no_links = true;
    open_pool(&s, true);
    describe(&s, &a, 10, 1, 1, 1);
    a.flags = flags;
    add(&s, &a, NULL);
    describe(&s, &b, 11, 1, 3, 1);
    b.flags = flags;
    set_parent(&b, &a);
    for (uint64_t n = 1; is_stopped; n++) {
        struct watch w = {.stop_at = n};
        struct mni_progress progress = {look, &w};
        mn_status st = mni_pool_add(s.pool, &b, &a, s.seg, &progress, &s.err);
        is_stopped = w.n_calls == n;
        CHECK_STATUS(st, is_stopped ? MN_ERR_CANCELLED : MN_OK);
        CHECK_EQ(n_entries(s.pool->files), is_stopped ? 2 : 6);
        CHECK_EQ(n_entries(s.pool->dir), is_stopped ? 2 : 3);
        if (flags == 0)
            CHECK_EQ(w.n_total, b.n_bytes);
        CHECK(is_stopped || w.n_done == w.n_total);
    }
    is_stopped = true;
    CHECK_OK(mni_env_open_dir(s.env, "given", true, &dir, NULL));
    forbid_links(dir);
    for (uint64_t n = 1; is_stopped; n++) {
        struct watch w = {.stop_at = n};
        struct mni_progress progress = {look, &w};
        mn_status st = mni_pool_give(s.pool, &b, dir, &progress, &s.err);
        is_stopped = w.n_calls == n;
        CHECK_STATUS(st, is_stopped ? MN_ERR_CANCELLED : MN_OK);
        CHECK_EQ(n_entries(dir), is_stopped ? 0 : 6);
    }
    is_stopped = true;
    for (uint64_t n = 1; is_stopped; n++) {
        struct watch w = {.stop_at = n};
        struct mni_progress progress = {look, &w};
        mn_status st = mni_pool_verify(s.pool, &b, &progress, NULL, NULL, &s.err);
        is_stopped = w.n_calls == n;
        CHECK_STATUS(st, is_stopped ? MN_ERR_CANCELLED : MN_OK);
    }
    mni_dir_close(dir);
    mni_snapshot_done(&a);
    mni_snapshot_done(&b);
    stage_done(&s);
}

static void progress_is_told_and_can_end_it_anywhere(void)
{
    progress_ends_anywhere(0);
    progress_ends_anywhere(MNI_SNAPSHOT_WITHOUT_METADATA);
    progress_ends_anywhere(MNI_SNAPSHOT_WITHOUT_METADATA | MNI_SNAPSHOT_COMPRESSED);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(ids_are_hexadecimal_and_nothing_else),
        CHECK_TEST(names_of_files_are_read_back),
        CHECK_TEST(a_missing_pool_is_not_made_by_looking),
        CHECK_TEST(a_directory_of_other_things_is_no_pool),
        CHECK_TEST(snapshots_are_linked),
        CHECK_TEST(snapshots_are_copied_where_links_are_not_possible),
        CHECK_TEST(snapshots_are_made_without_metadata),
        CHECK_TEST(copies_have_ids_of_their_own),
        CHECK_TEST(with_and_without_metadata_stay_apart),
        CHECK_TEST(a_copy_that_has_gone_is_made_again),
        CHECK_TEST(a_snapshot_that_has_metadata_after_all_is_damaged),
        CHECK_TEST(snapshots_are_cloned),
        CHECK_TEST(snapshots_are_compressed),
        CHECK_TEST(a_real_disk_does_all_of_it),
        CHECK_TEST(both_kinds_share_a_pool),
        CHECK_TEST(a_shared_file_of_another_length_is_refused),
        CHECK_TEST(an_empty_store_has_snapshots),
        CHECK_TEST(newest_first_is_by_lsn_then_by_time),
        CHECK_TEST(what_cut_off_additions_left_is_collected),
        CHECK_TEST(nothing_is_collected_beside_a_damaged_snapshot),
        CHECK_TEST(locks_go_together_as_they_say),
        CHECK_TEST(progress_is_told_and_can_end_it_anywhere),
    };

    return check_run("snapshot.pool", tests, CHECK_COUNT(tests), argc, argv);
}
