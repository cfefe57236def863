/*
 * Every call to the world and every allocation fails once while snapshots are added, given back and
 * removed: older snapshots stay whole, a new one is complete or not there, space is given back, and
 * nothing leaks.
 */
#include "snapshot/fixture.h"

#include <errno.h>

/* How it is tried: on which file system, with which snapshots. */
struct mode {
    bool no_links;
    unsigned flags;
};

static const struct mode modes[] = {
    {false, 0},
    {true, 0},
    {true, MNI_SNAPSHOT_COMPRESSED},
    {false, MNI_SNAPSHOT_WITHOUT_METADATA},
    {true, MNI_SNAPSHOT_WITHOUT_METADATA | MNI_SNAPSHOT_COMPRESSED},
};

/* The older snapshot is in the pool; the other one is described. */
struct scene {
    struct stage stage;
    struct mni_snapshot a;
    struct mni_snapshot b;
    struct mni_dir *target; /* to give to */
    size_t n_before;        /* files of the pool */
};

/* How often files stayed behind a failed addition: once, when nobody knows whether the snapshot got
 * its name. */
static size_t n_left_behind;

static void scene_init(struct scene *scene, const struct mode *mode)
{
    struct stage *s = &scene->stage;

    stage_init(s, 9);
    s->no_links = mode->no_links;
    open_pool(s, true);
    describe(s, &scene->a, 10, 1, 2, 1);
    describe(s, &scene->b, 12, 2, 3, 2);
    scene->a.flags |= mode->flags;
    scene->b.flags |= mode->flags;
    add(s, &scene->a, NULL);
    set_parent(&scene->b, &scene->a);
    CHECK_OK(mni_env_open_dir(s->env, "target", true, &scene->target, NULL));
    if (mode->no_links)
        forbid_links(scene->target);
    scene->n_before = n_entries(s->pool->files);
}

static void scene_done(struct scene *scene)
{
    mni_dir_close(scene->target);
    mni_snapshot_done(&scene->a);
    mni_snapshot_done(&scene->b);
    stage_done(&scene->stage);
}

/* Whether it is there; then it is whole. */
static bool is_there(struct scene *scene, const struct mni_snapshot *snapshot)
{
    struct stage *s = &scene->stage;
    struct mni_snapshot loaded;
    mn_status st = mni_pool_load(s->pool, &snapshot->id, &loaded, &s->err);

    if (st == MN_NOT_FOUND)
        return false;
    CHECK_OK_ERR(st, &s->err);
    CHECK_OK_ERR(mni_pool_verify(s->pool, &loaded, NULL, NULL, NULL, &s->err), &s->err);
    mni_snapshot_done(&loaded);
    return true;
}

/* What can fail ---------- */

static mn_status do_add(struct scene *scene)
{
    struct stage *s = &scene->stage;
    mn_status st = try_open_pool(s, true);

    if (st == MN_OK)
        st = mni_pool_lock(s->pool, MNI_POOL_ADD, &s->err);
    return st == MN_OK ? mni_pool_add(s->pool, &scene->b, &scene->a, s->seg, NULL, &s->err) : st;
}

static mn_status do_give(struct scene *scene)
{
    struct stage *s = &scene->stage;
    struct mni_snapshot loaded = {0};
    mn_status st = try_open_pool(s, false);

    if (st == MN_OK)
        st = mni_pool_lock(s->pool, MNI_POOL_READ, &s->err);
    if (st == MN_OK)
        st = mni_pool_load(s->pool, &scene->a.id, &loaded, &s->err);
    if (st == MN_OK)
        st = mni_pool_verify(s->pool, &loaded, NULL, NULL, NULL, &s->err);
    if (st == MN_OK)
        st = mni_pool_give(s->pool, &loaded, scene->target, NULL, &s->err);
    mni_snapshot_done(&loaded);
    return st;
}

static mn_status do_remove(struct scene *scene)
{
    struct stage *s = &scene->stage;
    mn_status st = try_open_pool(s, false);

    if (st == MN_OK)
        st = mni_pool_lock(s->pool, MNI_POOL_REMOVE, &s->err);
    return st == MN_OK ? mni_pool_remove(s->pool, &scene->b.id, NULL, &s->err) : st;
}

/* Afterwards ---------- */

/* The pool is usable after all: it is opened anew, and what stayed is collected. */
static void recover(struct scene *scene)
{
    open_pool(&scene->stage, true);
    lock_pool(&scene->stage, MNI_POOL_REMOVE);
    CHECK_OK_ERR(mni_pool_collect(scene->stage.pool, NULL, &scene->stage.err), &scene->stage.err);
}

static void check_added(struct scene *scene, mn_status done, bool may_leave)
{
    open_pool(&scene->stage, true);
    lock_pool(&scene->stage, MNI_POOL_READ);
    bool was_added = is_there(scene, &scene->b);
    CHECK(is_there(scene, &scene->a));
    if (done == MN_OK)
        CHECK(was_added);
    size_t n_files = n_entries(scene->stage.pool->files);
    if (!was_added && !may_leave && done == MN_ERR_IO && n_files != scene->n_before)
        n_left_behind++;
    else if (!was_added && !may_leave)
        CHECK_EQ(n_files, scene->n_before);
    recover(scene);
    CHECK_EQ(is_there(scene, &scene->b), was_added);
    CHECK(is_there(scene, &scene->a));
    if (!was_added)
        CHECK_EQ(n_entries(scene->stage.pool->files), scene->n_before);
}

static void check_given_files(struct scene *scene, mn_status done, bool may_leave)
{
    if (done == MN_OK)
        check_given(&scene->stage, &scene->a, scene->target);
    else if (!may_leave)
        CHECK_EQ(n_entries(scene->target), 0);
    recover(scene);
    CHECK(is_there(scene, &scene->a));
}

static void check_removed(struct scene *scene, mn_status done, bool may_leave)
{
    (void)may_leave;
    open_pool(&scene->stage, true);
    lock_pool(&scene->stage, MNI_POOL_READ);
    CHECK(is_there(scene, &scene->a));
    bool is_left = is_there(scene, &scene->b);
    CHECK(!is_left || done != MN_OK);
    recover(scene);
    CHECK(is_there(scene, &scene->a));
    if (!is_left)
        CHECK_EQ(n_entries(scene->stage.pool->files), scene->n_before);
}

struct deed {
    mn_status (*run)(struct scene *scene);
    void (*check)(struct scene *scene, mn_status done, bool may_leave);
    bool needs_second; /* snapshot in the pool */
};

static const struct deed deeds[] = {
    {do_add, check_added, false},
    {do_give, check_given_files, false},
    {do_remove, check_removed, true},
};

static void begin(struct scene *scene, const struct deed *deed, const struct mode *mode)
{
    scene_init(scene, mode);
    if (deed->needs_second)
        add(&scene->stage, &scene->b, &scene->a);
}

static void every_allocation_can_fail(void)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct scene scene;

    for (size_t m = 0; m < CHECK_COUNT(modes); m++) {
        for (size_t d = 0; d < CHECK_COUNT(deeds); d++) {
            bool was_hit = true;
            uint64_t n;
            for (n = 1; was_hit; n++) {
                begin(&scene, &deeds[d], &modes[m]);
                mni_mem_fail_at(n);
                mn_status st = deeds[d].run(&scene);
                was_hit = mni_mem_fail_was_hit();
                mni_mem_fail_at(0);
                CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
                /* Handles take memory, and without one nothing can be tidied. */
                deeds[d].check(&scene, st, false);
                scene_done(&scene);
                CHECK_EQ(mni_mem_live_blocks(), n_blocks);
            }
            CHECK(n > 8);
        }
    }
}

static void fail_every_call(int os_errno, bool keep_failing, mn_status expected)
{
    uint64_t n_blocks = mni_mem_live_blocks();
    struct scene scene;

    for (size_t m = 0; m < CHECK_COUNT(modes); m++) {
        for (size_t d = 0; d < CHECK_COUNT(deeds); d++) {
            bool was_hit = true;
            uint64_t n;
            n_left_behind = 0;
            for (n = 1; was_hit; n++) {
                begin(&scene, &deeds[d], &modes[m]);
                mni_fault_env_fail_at(scene.stage.fault, n, os_errno, keep_failing);
                mn_status st = deeds[d].run(&scene);
                was_hit = mni_fault_env_was_hit(scene.stage.fault);
                mni_fault_env_fail_at(scene.stage.fault, 0, 0, false);
                CHECK_STATUS(st, was_hit ? expected : MN_OK);
                deeds[d].check(&scene, st, keep_failing);
                scene_done(&scene);
                CHECK_EQ(mni_mem_live_blocks(), n_blocks);
            }
            CHECK(n > 15);
            CHECK(n_left_behind <= 1);
        }
    }
}

static void every_call_can_fail(void)
{
    fail_every_call(EIO, false, MN_ERR_IO);
}

static void every_call_can_be_denied(void)
{
    fail_every_call(EACCES, false, MN_ERR_ACCESS);
}

static void the_disk_can_be_full_from_any_call_on(void)
{
    fail_every_call(ENOSPC, true, MN_ERR_NO_SPACE);
}

/* Answers that are no errors elsewhere are errors here. */
static void directories_can_go_at_any_call(void)
{
    struct scene scene;

    for (size_t d = 0; d < CHECK_COUNT(deeds); d++) {
        bool was_hit = true;
        for (uint64_t n = 1; was_hit; n++) {
            begin(&scene, &deeds[d], &modes[1]);
            mni_fault_env_fail_at(scene.stage.fault, n, ENOENT, false);
            mn_status st = deeds[d].run(&scene);
            was_hit = mni_fault_env_was_hit(scene.stage.fault);
            mni_fault_env_fail_at(scene.stage.fault, 0, 0, false);
            CHECK(st <= MN_OK || st == MN_NOT_FOUND);
            deeds[d].check(&scene, st, false);
            scene_done(&scene);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(every_allocation_can_fail),
        CHECK_TEST(every_call_can_fail),
        CHECK_TEST(every_call_can_be_denied),
        CHECK_TEST(the_disk_can_be_full_from_any_call_on),
        CHECK_TEST(directories_can_go_at_any_call),
    };

    return check_run("fault.pool_calls", tests, CHECK_COUNT(tests), argc, argv);
}
