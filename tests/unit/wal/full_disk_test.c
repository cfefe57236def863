/* Tests of a log whose disk is full: what is in place goes on, and trimming gives space back. */
#include "fixture.h"

/* An env in which no file can be made while it is full. What is in place can be written. */
struct full_env {
    struct mni_env base;
    struct mni_env *below;
    bool is_full;
    bool has_reserve;
};

struct full_dir {
    struct mni_dir base;
    struct full_env *env;
    struct mni_dir *below;
};

static struct mni_dir *below(struct mni_dir *dir)
{
    return ((struct full_dir *)dir)->below;
}

static mn_status full_open_file(struct mni_dir *dir, const char *name, unsigned flags,
                                struct mni_file **file_out, struct mn_error *err)
{
    if (((struct full_dir *)dir)->env->is_full && (flags & MNI_OPEN_CREATE) != 0)
        return mni_fail(err, MN_ERR_NO_SPACE, "the disk is full");
    return mni_dir_open_file(below(dir), name, flags, file_out, err);
}

static mn_status full_list(struct mni_dir *dir, mni_list_fn *each, void *context,
                           struct mn_error *err)
{
    return mni_dir_list(below(dir), each, context, err);
}

static mn_status full_rename(struct mni_dir *dir, const char *from, const char *to,
                             struct mn_error *err)
{
    return mni_dir_rename(below(dir), from, to, err);
}

static mn_status full_remove(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                             void *context, struct mn_error *err)
{
    return mni_dir_remove(below(dir), name, step, context, err);
}

static mn_status full_unlink(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    return mni_dir_unlink(below(dir), name, err);
}

static mn_status full_sync(struct mni_dir *dir, struct mn_error *err)
{
    return mni_dir_sync(below(dir), err);
}

static mn_status full_lock(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err)
{
    return mni_dir_lock(below(dir), mode, err);
}

static void full_close(struct mni_dir *dir)
{
    mni_dir_close(below(dir));
    free(dir);
}

static const struct mni_dir_ops full_dir_ops = {
    .open_file = full_open_file,
    .list = full_list,
    .rename = full_rename,
    .unlink = full_unlink,
    .remove = full_remove,
    .sync = full_sync,
    .lock = full_lock,
    .close = full_close,
};

static mn_status full_open_dir(struct mni_env *env, const char *path, bool create,
                               struct mni_dir **dir_out, struct mn_error *err)
{
    struct full_env *e = (struct full_env *)env;
    struct full_dir *d = calloc(1, sizeof *d);

    CHECK(d != NULL);
    d->base.ops = &full_dir_ops;
    d->env = e;
    CHECK_OK(mni_env_open_dir(e->below, path, create, &d->below, err));
    *dir_out = &d->base;
    return MN_OK;
}

static int64_t full_wall_us(struct mni_env *env)
{
    return mni_env_wall_us(((struct full_env *)env)->below);
}

static int64_t full_mono_us(struct mni_env *env)
{
    return mni_env_mono_us(((struct full_env *)env)->below);
}

static mn_status full_random(struct mni_env *env, void *data, size_t n, struct mn_error *err)
{
    return mni_env_random(((struct full_env *)env)->below, data, n, err);
}

static bool full_has_threads(struct mni_env *env)
{
    (void)env;
    return false;
}

static mn_status full_real_path(struct mni_env *env, const char *path,
                                char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    return mni_env_real_path(((struct full_env *)env)->below, path, path_out, err);
}

static const struct mni_env_ops full_env_ops = {
    .open_dir = full_open_dir,
    .real_path = full_real_path,
    .wall_us = full_wall_us,
    .mono_us = full_mono_us,
    .random = full_random,
    .has_threads = full_has_threads,
};

static void open_below(struct world *w, struct full_env *full, uint64_t seed)
{
    world_init(w, seed);
    *full = (struct full_env){.base = {&full_env_ops}, .below = w->env};
    w->env = &full->base;
    open_log(w);
}

/* Commits as many bytes as still go into files that are there. */
static void fill(struct world *w)
{
    for (size_t n_bytes = 4096; n_bytes >= 16; n_bytes = n_bytes > 16 ? n_bytes / 2 : 0) {
        mn_status st;
        while ((st = commit_as(w, n_bytes, 1, MN_ACK_DISK)) == MN_OK)
            continue;
        CHECK_STATUS(st, MN_ERR_NO_SPACE);
        w->n_history--; /* refused for good */
        w->n_unsure = 0;
    }
}

/* Three files, of which the newest takes no commit any more, and no space for another. */
static void fill_disk(struct world *w, struct full_env *full)
{
    while (stats_of(w).n_files < 3)
        commit(w, 1000, MN_ACK_DISK);
    full->is_full = true;
    fill(w);
    CHECK_EQ(stats_of(w).n_files, 3);
}

static void trim(struct world *w, uint64_t lsn)
{
    CHECK_OK_ERR(mni_wal_truncate(w->wal, lsn, NULL, &w->err), &w->err);
}

static void a_checkpoint_lets_files_go_when_nothing_else_fits(void)
{
    struct world w;
    struct full_env full;

    open_below(&w, &full, 1);
    fill_disk(&w, &full);
    checkpoint(&w, w.lsn_max);
    trim(&w, w.lsn_max);
    CHECK_EQ(stats_of(&w).n_files, 1);
    commit(&w, 1000, MN_ACK_DISK); /* into the space of a file that went */
    CHECK_EQ(stats_of(&w).n_files, 2);
    crash(&w);
    full.is_full = false;
    open_log(&w);
    CHECK_EQ(stats_of(&w).checkpoint_lsn, w.checkpoint_lsn);
    world_done(&w);
}

static void so_does_one_after_a_recovery(void)
{
    struct world w;
    struct full_env full;
    size_t n_bytes = 0;

    open_below(&w, &full, 2);
    fill_disk(&w, &full);
    crash(&w);
    full.is_full = false;
    open_log(&w);
    struct names names = list_files(&w);
    CHECK_EQ(names.n, 3);
    free(read_file(&w, names.names[2], &n_bytes));
    CHECK_EQ(n_bytes, w.config.file_bytes); /* no larger than before */
    full.is_full = true;
    fill(&w);
    CHECK_EQ(stats_of(&w).n_files, 3);
    checkpoint(&w, w.lsn_max);
    trim(&w, w.lsn_max);
    CHECK_EQ(stats_of(&w).n_files, 1);
    commit(&w, 1000, MN_ACK_DISK);
    world_done(&w);
}

static struct full_env *asked; /* no context reaches the hook: that is the replay's */

static bool give_up_reserve(void *context)
{
    (void)context;
    bool had = asked->has_reserve;
    asked->has_reserve = false;
    asked->is_full = asked->is_full && !had;
    return had;
}

static void opening_asks_for_room_once(void)
{
    struct world w;
    struct full_env full;

    open_below(&w, &full, 5);
    commit(&w, 1000, MN_ACK_DISK);
    close_log(&w);
    full.is_full = true;
    CHECK_STATUS(try_open(&w), MN_ERR_NO_SPACE);
    asked = &full;
    w.config.make_room = give_up_reserve;
    CHECK_STATUS(try_open(&w), MN_ERR_NO_SPACE);
    full.has_reserve = true;
    open_log(&w);
    CHECK(!full.has_reserve);
    commit(&w, 1000, MN_ACK_DISK);
    full.has_reserve = true;
    close_log(&w);
    open_log(&w); /* with room nobody is asked */
    CHECK(full.has_reserve);
    world_done(&w);
}

/* Checkpoints that let nothing go do not use up the room of one that does. */
static void checkpoints_in_small_steps_do_not_get_stuck(void)
{
    struct world w;
    struct full_env full;

    open_below(&w, &full, 3);
    fill_disk(&w, &full);
    uint64_t last_lsn = w.lsn_max;
    for (uint64_t lsn = 1; lsn <= last_lsn; lsn++) {
        mn_status st = mni_wal_checkpoint(w.wal, lsn, &w.err);
        CHECK(st == MN_OK || st == MN_ERR_NO_SPACE);
        if (st == MN_OK)
            w.checkpoint_lsn = lsn;
        trim(&w, lsn);
        w.n_promised = w.n_history;
    }
    CHECK(!stats_of(&w).is_poisoned);
    CHECK_EQ(stats_of(&w).checkpoint_lsn, last_lsn);
    commit(&w, 1000, MN_ACK_DISK);
    crash(&w);
    full.is_full = false;
    open_log(&w);
    world_done(&w);
}

static void a_full_file_can_be_closed_with_and_without_a_checkpoint(void)
{
    for (int with_checkpoint = 0; with_checkpoint < 2; with_checkpoint++) {
        struct world w;
        struct full_env full;
        open_below(&w, &full, 4);
        fill_disk(&w, &full);
        if (with_checkpoint)
            checkpoint(&w, w.lsn_max);
        close_log(&w);
        mni_crash_env_restart(w.crash, false, 0);
        full.is_full = false;
        w.config.recovery = MN_RECOVERY_STRICT;
        open_log(&w);
        commit(&w, 16, MN_ACK_DISK);
        CHECK_EQ(w.history[w.n_history - 1].lsn, w.history[w.n_history - 2].lsn + 1);
        world_done(&w);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_checkpoint_lets_files_go_when_nothing_else_fits),
        CHECK_TEST(so_does_one_after_a_recovery),
        CHECK_TEST(checkpoints_in_small_steps_do_not_get_stuck),
        CHECK_TEST(a_full_file_can_be_closed_with_and_without_a_checkpoint),
        CHECK_TEST(opening_asks_for_room_once),
    };
    return check_run("wal.full_disk", tests, CHECK_COUNT(tests), argc, argv);
}
