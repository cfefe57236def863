/* verify_test.c - damage to any file of a pool, and to the chain of parents. */
#include "fixture.h"

/* Two snapshots, the second one made against the first. */
struct pair {
    struct stage stage;
    struct mni_snapshot a;
    struct mni_snapshot b;
};

static void pair_init(struct pair *p, unsigned flags)
{
    stage_init(&p->stage, 5);
    p->stage.no_links = true; /* so that files can be damaged on their own */
    open_pool(&p->stage, true);
    describe(&p->stage, &p->a, 10, 1, 1, 1);
    describe(&p->stage, &p->b, 12, 1, 2, 2);
    p->a.flags |= flags;
    p->b.flags |= flags;
    add(&p->stage, &p->a, NULL);
    add(&p->stage, &p->b, &p->a);
}

static void pair_done(struct pair *p)
{
    mni_snapshot_done(&p->a);
    mni_snapshot_done(&p->b);
    stage_done(&p->stage);
}

struct findings {
    size_t n;
    char first[MN_ERROR_MESSAGE_BYTES];
};

static void note_damage(void *context, const struct mn_error *damage)
{
    struct findings *f = context;

    if (f->n++ == 0)
        memcpy(f->first, damage->message, sizeof f->first);
}

/* Loads and verifies the second snapshot; both say what is wrong with the named file. */
static mn_status check_all(struct pair *p, size_t *n_damaged)
{
    struct findings findings = {0};
    struct mni_snapshot loaded;
    mn_status st = mni_pool_load(p->stage.pool, &p->b.id, &loaded, &p->stage.err);

    *n_damaged = 1;
    if (st != MN_OK)
        return st;
    st = mni_pool_verify(p->stage.pool, &loaded, NULL, note_damage, &findings, &p->stage.err);
    *n_damaged = findings.n;
    CHECK_EQ(st != MN_OK, findings.n > 0);
    if (st != MN_OK)
        CHECK_STR_EQ(p->stage.err.message, findings.first);
    CHECK_STATUS(mni_pool_verify_cached(p->stage.pool, &loaded, NULL, NULL), st);
    mni_snapshot_done(&loaded);
    return st;
}

/* Gives the second snapshot by copying; it fails like verifying does. */
static mn_status give_all(struct pair *p)
{
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_env_open_dir(p->stage.env, "given", true, &dir, NULL));
    forbid_links(dir);
    mn_status st = mni_pool_give(p->stage.pool, &p->b, dir, NULL, &p->stage.err);
    if (st == MN_OK)
        check_given(&p->stage, &p->b, dir);
    else
        CHECK_EQ(n_entries(dir), 0);
    for (size_t i = 0; st == MN_OK && i < N_SEGMENTS; i++) {
        char name[MNI_NAME_BYTES_MAX];
        mni_manifest_segment_name(p->stage.content.segments[i].id, name);
        mni_ignore(mni_dir_unlink(dir, name, NULL));
        for (size_t j = 0; j < N_LIVES; j++) {
            mni_manifest_live_name(p->stage.content.segments[i].id, j + 1, name);
            mni_ignore(mni_dir_unlink(dir, name, NULL));
        }
    }
    mni_dir_close(dir);
    return st;
}

/* Damages one byte after the other; `stride` passes over some. A compressed file has bits that do
 * not matter: what comes out of it is the same then, which giving it checks. */
static void flip_bytes(struct pair *p, struct mni_dir *dir, const char *name, size_t stride,
                       bool is_listed, bool may_be_harmless)
{
    struct image image = read_image(dir, name);
    size_t n_harmless = 0;
    size_t n_damaged = 0;

    for (size_t i = 0; i < image.n; i += 1 + i % 7 * stride) {
        flip(dir, name, i);
        mn_status st = check_all(p, &n_damaged);
        if (st != MN_OK) {
            CHECK_STATUS(st, MN_ERR_CORRUPT);
            CHECK_STR_HAS(p->stage.err.message, name);
            CHECK_EQ(n_damaged, 1);
        }
        CHECK(st != MN_OK || may_be_harmless);
        n_harmless += st == MN_OK;
        if (is_listed)
            CHECK_STATUS(give_all(p), st);
        flip(dir, name, i);
    }
    CHECK(n_harmless * 20 <= image.n);
    CHECK_OK_ERR(check_all(p, &n_damaged), &p->stage.err);
    free(image.bytes);
}

/* Every other length is damage, too. */
static void change_lengths(struct pair *p, struct mni_dir *dir, const char *name, size_t stride)
{
    struct image image = read_image(dir, name);
    size_t n_damaged = 0;

    for (size_t n = 0; n <= image.n + 1; n += n + stride < image.n ? stride : 1) {
        if (n == image.n)
            continue;
        image.bytes[image.n] = 0; /* read_image has room for one more */
        write_image(dir, name, image.bytes, n);
        CHECK_STATUS(check_all(p, &n_damaged), MN_ERR_CORRUPT);
        CHECK_STR_HAS(p->stage.err.message, name);
        CHECK_EQ(n_damaged, 1);
    }
    mni_ignore(mni_dir_unlink(dir, name, NULL));
    if (dir == p->stage.pool->files) {
        CHECK_STATUS(check_all(p, &n_damaged), MN_ERR_CORRUPT);
        CHECK_STR_HAS(p->stage.err.message, name);
        CHECK_STR_HAS(p->stage.err.message, "missing");
        CHECK_STATUS(give_all(p), MN_ERR_CORRUPT);
        CHECK_STR_HAS(p->stage.err.message, name);
    }
    write_image(dir, name, image.bytes, image.n);
    CHECK_OK_ERR(check_all(p, &n_damaged), &p->stage.err);
    free(image.bytes);
}

static void damage_in_any_snapshot_file_is_found(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct pair p;

    pair_init(&p, 0);
    pool_snapshot_name(&p.b.id, "", name);
    flip_bytes(&p, p.stage.pool->dir, name, 1, false, false);
    change_lengths(&p, p.stage.pool->dir, name, 97);
    pool_snapshot_name(&p.a.id, "", name); /* the parent */
    flip_bytes(&p, p.stage.pool->dir, name, 9, false, false);
    change_lengths(&p, p.stage.pool->dir, name, 997);
    pair_done(&p);
}

static void damage_in_any_stored_file_is_found(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct pair p;

    pair_init(&p, 0);
    name_in_pool(&p.stage, 2, 0, false, name);
    flip_bytes(&p, p.stage.pool->files, name, 61, true, false);
    change_lengths(&p, p.stage.pool->files, name, 4096);
    name_in_pool(&p.stage, 1, 2, false, name);
    flip_bytes(&p, p.stage.pool->files, name, 0, true, false);
    change_lengths(&p, p.stage.pool->files, name, 1);
    pair_done(&p);
}

static void damage_in_any_compressed_file_is_found(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct pair p;

    pair_init(&p, MNI_SNAPSHOT_COMPRESSED);
    name_in_pool(&p.stage, 2, 0, true, name);
    flip_bytes(&p, p.stage.pool->files, name, 0, true, true);
    change_lengths(&p, p.stage.pool->files, name, 13);
    pair_done(&p);
}

/* Two files change places: each is whole, and not what it should be. */
static void files_of_another_place_are_found(void)
{
    char one[MNI_NAME_BYTES_MAX];
    char other[MNI_NAME_BYTES_MAX];
    size_t n_damaged = 0;
    struct pair p;

    for (size_t live = 0; live < 3; live++) {
        bool is_compressed = live == 2;
        pair_init(&p, is_compressed ? MNI_SNAPSHOT_COMPRESSED : 0);
        name_in_pool(&p.stage, 1, live % 2, is_compressed, one);
        name_in_pool(&p.stage, 2, live % 2, is_compressed, other);
        CHECK_OK(mni_dir_rename(p.stage.pool->files, one, "swap", NULL));
        CHECK_OK(mni_dir_rename(p.stage.pool->files, other, one, NULL));
        CHECK_OK(mni_dir_rename(p.stage.pool->files, "swap", other, NULL));
        CHECK_STATUS(check_all(&p, &n_damaged), MN_ERR_CORRUPT);
        CHECK_EQ(n_damaged, 2);
        CHECK_STR_HAS(p.stage.err.message, one);
        CHECK_STATUS(give_all(&p), MN_ERR_CORRUPT);
        pair_done(&p);
    }
}

static void damage_of_the_store_is_not_copied(void)
{
    struct mni_snapshot c;
    char name[MNI_NAME_BYTES_MAX];
    struct pair p;

    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        pair_init(&p, 0);
        mni_manifest_segment_name(p.stage.content.segments[3].id, name);
        flip(p.stage.seg, name, 70000);
        describe(&p.stage, &c, 14, 3, 4, 0);
        c.flags |= is_compressed ? MNI_SNAPSHOT_COMPRESSED : 0;
        mn_status st = mni_pool_add(p.stage.pool, &c, NULL, p.stage.seg, NULL, &p.stage.err);
        CHECK_STATUS(st, MN_ERR_CORRUPT);
        CHECK_STR_HAS(p.stage.err.message, name);
        CHECK_EQ(n_entries(p.stage.pool->files), 6);
        CHECK_EQ(n_entries(p.stage.pool->dir), 3);
        CHECK_OK(mni_dir_unlink(p.stage.seg, name, NULL));
        st = mni_pool_add(p.stage.pool, &c, NULL, p.stage.seg, NULL, &p.stage.err);
        CHECK_STATUS(st, MN_ERR_CORRUPT);
        CHECK_STR_HAS(p.stage.err.message, name);
        CHECK_STR_HAS(p.stage.err.message, "missing");
        mni_snapshot_done(&c);
        pair_done(&p);
    }
}

/* Links are not read; a file of another length is noticed all the same. */
static void a_link_to_another_length_is_refused(void)
{
    struct mni_snapshot c;
    char name[MNI_NAME_BYTES_MAX];
    struct stage s;

    stage_init(&s, 5);
    open_pool(&s, true);
    mni_manifest_segment_name(s.content.segments[3].id, name);
    write_image(s.seg, name, "short", 5);
    describe(&s, &c, 14, 3, 4, 0);
    lock_pool(&s, MNI_POOL_ADD);
    CHECK_STATUS(mni_pool_add(s.pool, &c, NULL, s.seg, NULL, &s.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(s.err.message, name);
    CHECK_EQ(n_entries(s.pool->files), 0);
    mni_snapshot_done(&c);
    stage_done(&s);
}

/* Chains ---------- */

static void a_deleted_parent_is_no_damage(void)
{
    size_t n_damaged = 0;
    struct pair p;

    pair_init(&p, 0);
    lock_pool(&p.stage, MNI_POOL_REMOVE);
    CHECK_OK(mni_pool_remove(p.stage.pool, &p.a.id, NULL, NULL));
    CHECK_OK_ERR(check_all(&p, &n_damaged), &p.stage.err);
    CHECK_OK_ERR(give_all(&p), &p.stage.err);
    pair_done(&p);
}

/* Another snapshot takes the parent's place and id. */
static void a_swapped_parent_is_damage(void)
{
    struct mni_snapshot c;
    char name[MNI_NAME_BYTES_MAX];
    size_t n_damaged = 0;
    struct pair p;

    pair_init(&p, 0);
    pool_snapshot_name(&p.a.id, "", name);
    CHECK_OK(mni_dir_unlink(p.stage.pool->dir, name, NULL));
    describe(&p.stage, &c, 10, 1, 1, 1);
    c.id = p.a.id;
    c.created_us++;
    add(&p.stage, &c, NULL);
    CHECK_STATUS(check_all(&p, &n_damaged), MN_ERR_CORRUPT);
    CHECK_STR_HAS(p.stage.err.message, name);
    CHECK_EQ(n_damaged, 1);
    mni_snapshot_done(&c);
    pair_done(&p);
}

/* A chain of files under wrong names leads nowhere. */
static void a_snapshot_under_another_name_is_damage(void)
{
    char name[MNI_NAME_BYTES_MAX];
    char other[MNI_NAME_BYTES_MAX];
    size_t n_damaged = 0;
    struct pair p;

    pair_init(&p, 0);
    pool_snapshot_name(&p.a.id, "", name);
    pool_snapshot_name(&p.b.id, "", other);
    struct image image = read_image(p.stage.pool->dir, other);
    write_image(p.stage.pool->dir, name, image.bytes, image.n);
    free(image.bytes);
    CHECK_STATUS(check_all(&p, &n_damaged), MN_ERR_CORRUPT);
    CHECK_STR_HAS(p.stage.err.message, name);
    pair_done(&p);
}

/* Puts digest and checksum of a snapshot's file right. */
static void seal(struct image *image, unsigned char digest_out[MNI_SNAPSHOT_DIGEST_BYTES])
{
    unsigned char *p = image->bytes;

    memset(p + HEADER_OFF_DIGEST, 0, MNI_SNAPSHOT_DIGEST_BYTES);
    mni_put_u32(p + HEADER_OFF_CRC, 0);
    snapshot_digest(p, image->n, digest_out);
    memcpy(p + HEADER_OFF_DIGEST, digest_out, MNI_SNAPSHOT_DIGEST_BYTES);
    mni_put_u32(p + HEADER_OFF_CRC, mni_crc32c(0, p, HEADER_OFF_CRC));
}

/* Each of two names the other one as its parent. One digest cannot be right, and where the other
 * one is followed, the ring is noticed. */
static void parents_in_a_ring_are_damage(void)
{
    unsigned char digest[MNI_SNAPSHOT_DIGEST_BYTES];
    char name[MNI_NAME_BYTES_MAX];
    struct mni_snapshot ring[2];
    struct mni_snapshot loaded;
    struct stage s;

    stage_init(&s, 5);
    open_pool(&s, true);
    describe(&s, &ring[0], 10, 1, 1, 1);
    describe(&s, &ring[1], 10, 1, 1, 1);
    add(&s, &ring[0], NULL);
    add(&s, &ring[1], &ring[0]);
    pool_snapshot_name(&ring[0].id, "", name);
    CHECK_OK(mni_dir_unlink(s.pool->dir, name, NULL));
    add(&s, &ring[0], &ring[1]);
    /* The second one is told the digest that the first one has now. */
    pool_snapshot_name(&ring[1].id, "", name);
    struct image image = read_image(s.pool->dir, name);
    memcpy(image.bytes + HEADER_BYTES + SECTION_HEADER_BYTES + FACTS_OFF_PARENT_DIGEST,
           ring[0].digest, sizeof ring[0].digest);
    seal(&image, digest);
    write_image(s.pool->dir, name, image.bytes, image.n);
    free(image.bytes);
    CHECK_OK_ERR(mni_pool_load(s.pool, &ring[1].id, &loaded, &s.err), &s.err);
    CHECK_STATUS(mni_pool_verify(s.pool, &loaded, NULL, NULL, NULL, &s.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(s.err.message, "lead back");
    mni_snapshot_done(&loaded);
    CHECK_OK_ERR(mni_pool_load(s.pool, &ring[0].id, &loaded, &s.err), &s.err);
    CHECK_STATUS(mni_pool_verify(s.pool, &loaded, NULL, NULL, NULL, &s.err), MN_ERR_CORRUPT);
    mni_snapshot_done(&loaded);
    mni_snapshot_done(&ring[0]);
    mni_snapshot_done(&ring[1]);
    stage_done(&s);
}

/* What a parent may be ---------- */

static void parents_of_other_stores_and_times_are_refused(void)
{
    struct mni_timeline ours[] = {{.incarnation = 1},
                                  {.incarnation = 2, .began_lsn = 50, .from_lsn = 20},
                                  {.incarnation = 3, .began_lsn = 90, .from_lsn = 60}};
    struct mni_timeline theirs[] = {{.incarnation = 1},
                                    {.incarnation = 2, .began_lsn = 50, .from_lsn = 20}};
    struct mni_snapshot child = {.timelines = ours, .n_timelines = 3, .manifest = {.lsn = 100}};
    struct mni_snapshot parent = {.timelines = theirs, .n_timelines = 2, .manifest = {.lsn = 60}};

    CHECK(mni_snapshot_follows(&child, &parent));
    parent.manifest.lsn = 61; /* what the restore left behind */
    CHECK(!mni_snapshot_follows(&child, &parent));
    parent.n_timelines = 1;
    CHECK(!mni_snapshot_follows(&child, &parent));
    parent.manifest.lsn = 20;
    CHECK(mni_snapshot_follows(&child, &parent));
    child.manifest.lsn = 19;
    CHECK(!mni_snapshot_follows(&child, &parent));
    child.manifest.lsn = 100;
    CHECK(!mni_snapshot_follows(&parent, &child));
    theirs[0].incarnation = 9;
    CHECK(!mni_snapshot_follows(&child, &parent));
    theirs[0].incarnation = 1;
    parent.manifest.store_id[3] = 1;
    CHECK(!mni_snapshot_follows(&child, &parent));
}

static void an_addition_whose_parent_does_not_fit_is_refused(void)
{
    struct mni_snapshot c;
    struct pair p;

    pair_init(&p, 0);
    describe(&p.stage, &c, 11, 1, 2, 2);
    set_parent(&c, &p.b); /* of a later LSN */
    CHECK_STATUS(mni_pool_add(p.stage.pool, &c, &p.b, p.stage.seg, NULL, NULL), MN_ERR_INVALID);
    set_parent(&c, &p.a);
    CHECK_STATUS(mni_pool_add(p.stage.pool, &c, &p.b, p.stage.seg, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mni_pool_add(p.stage.pool, &c, NULL, p.stage.seg, NULL, NULL), MN_ERR_INVALID);
    c.flags = 0;
    CHECK_STATUS(mni_pool_add(p.stage.pool, &c, &p.a, p.stage.seg, NULL, NULL), MN_ERR_INVALID);
    CHECK_EQ(n_entries(p.stage.pool->dir), 3);
    c.flags = MNI_SNAPSHOT_INCREMENTAL;
    CHECK_OK_ERR(mni_pool_add(p.stage.pool, &c, &p.a, p.stage.seg, NULL, &p.stage.err),
                 &p.stage.err);
    CHECK_STATUS(mni_pool_add(p.stage.pool, &c, &p.a, p.stage.seg, NULL, NULL), MN_EXISTS);
    mni_snapshot_done(&c);
    pair_done(&p);
}

/* What is opened past the page cache. */
static size_t n_direct;
static mn_status (*open_before)(struct mni_dir *, const char *, unsigned, struct mni_file **,
                                struct mn_error *);

static mn_status open_and_count(struct mni_dir *dir, const char *name, unsigned flags,
                                struct mni_file **file_out, struct mn_error *err)
{
    n_direct += (flags & MNI_OPEN_DIRECT) != 0;
    return open_before(dir, name, flags, file_out, err);
}

static void what_is_restored_is_read_through_the_page_cache(void)
{
    struct mni_snapshot loaded;
    struct mni_dir_ops ops;
    struct pair p;

    pair_init(&p, 0);
    ops = *p.stage.pool->files->ops;
    open_before = ops.open_file;
    ops.open_file = open_and_count;
    p.stage.pool->files->ops = &ops;
    CHECK_OK(mni_pool_load(p.stage.pool, &p.b.id, &loaded, NULL));
    n_direct = 0;
    CHECK_OK(mni_pool_verify(p.stage.pool, &loaded, NULL, NULL, NULL, NULL));
    CHECK_EQ(n_direct, loaded.manifest.n_segments);
    n_direct = 0;
    CHECK_OK(mni_pool_verify_cached(p.stage.pool, &loaded, NULL, NULL));
    CHECK_OK(give_all(&p));
    CHECK_EQ(n_direct, 0);
    mni_snapshot_done(&loaded);
    pair_done(&p);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(damage_in_any_snapshot_file_is_found),
        CHECK_TEST(damage_in_any_stored_file_is_found),
        CHECK_TEST(damage_in_any_compressed_file_is_found),
        CHECK_TEST(files_of_another_place_are_found),
        CHECK_TEST(damage_of_the_store_is_not_copied),
        CHECK_TEST(a_link_to_another_length_is_refused),
        CHECK_TEST(a_deleted_parent_is_no_damage),
        CHECK_TEST(a_swapped_parent_is_damage),
        CHECK_TEST(a_snapshot_under_another_name_is_damage),
        CHECK_TEST(parents_in_a_ring_are_damage),
        CHECK_TEST(parents_of_other_stores_and_times_are_refused),
        CHECK_TEST(what_is_restored_is_read_through_the_page_cache),
        CHECK_TEST(an_addition_whose_parent_does_not_fit_is_refused),
    };

    return check_run("snapshot.verify", tests, CHECK_COUNT(tests), argc, argv);
}
