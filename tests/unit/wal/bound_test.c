/* bound_test.c - which LSNs a log may have handed out, and logs that are begun anew above one. */
#include "fixture.h"

static uint64_t bound_of(struct world *w)
{
    struct mni_dir *dir = NULL;
    uint64_t lsn = 0;

    CHECK_OK(mni_env_open_dir(w->env, "log", true, &dir, &w->err));
    CHECK_OK_ERR(mni_wal_lsn_bound(dir, &lsn, &w->err), &w->err);
    mni_dir_close(dir);
    return lsn;
}

static uint64_t commit_one(struct world *w)
{
    unsigned char payload[64];
    const struct mn_slice part = {payload, sizeof payload};
    struct mni_commit commit;

    fill_pattern(payload, sizeof payload, 7);
    CHECK_OK(mni_commit_init(&commit, &part, 1, 1, MN_ACK_DISK, NULL, &w->err));
    mni_wal_submit(w->wal, &commit);
    mni_wal_lead_all(w->wal);
    CHECK_OK_ERR(commit.status, &w->err);
    return commit.lsn;
}

static void end_log(struct world *w)
{
    CHECK_OK_ERR(mni_wal_close(w->wal, &w->err), &w->err);
    w->wal = NULL;
}

static void overwrite_header(struct world *w, const char *name)
{
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;

    CHECK_OK(mni_env_open_dir(w->env, "log", false, &dir, &w->err));
    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE, &file, &w->err));
    CHECK_OK(mni_file_write(file, 100, "damage", 6, &w->err));
    mni_file_close(file);
    mni_dir_close(dir);
}

static void the_bound_is_never_too_low(void)
{
    struct world w;
    uint64_t lsn = 0;
    struct mni_dir *dir = NULL;

    world_init(&w, 1);
    CHECK_OK(mni_env_open_dir(w.env, "log", true, &dir, &w.err));
    CHECK_STATUS(mni_wal_lsn_bound(dir, &lsn, &w.err), MN_NOT_FOUND);
    mni_dir_close(dir);
    CHECK_OK_ERR(try_open(&w), &w.err);
    for (int i = 0; i < 5; i++)
        lsn = commit_one(&w);
    CHECK(bound_of(&w) > lsn); /* what may be handed out without writing a header */
    end_log(&w);
    CHECK_EQ(bound_of(&w), lsn); /* a clean close says it exactly */
    overwrite_header(&w, "00000000000000000001.wal");
    CHECK(bound_of(&w) > UINT64_C(1) << 40);
    world_done(&w);
}

/* The log was copied back from an earlier day, and CLOSED was not. */
static void the_bound_is_what_any_close_said(void)
{
    static const char old[] = "00000000000000000001.wal";
    static const char new[] = "00000000000005000001.wal";
    unsigned char header[4096];
    struct world w;
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;
    size_t n = 0;

    world_init(&w, 1);
    CHECK_OK_ERR(try_open(&w), &w.err);
    (void)commit_one(&w);
    end_log(&w);
    CHECK_OK(mni_env_open_dir(w.env, "log", false, &dir, &w.err));
    CHECK_OK(mni_dir_open_file(dir, old, MNI_OPEN_READ, &file, &w.err));
    CHECK_OK(mni_file_read(file, 0, header, sizeof header, &n, &w.err));
    CHECK_EQ(n, sizeof header);
    mni_file_close(file);
    w.config.is_anew = true;
    w.config.checkpoint_lsn = 5000000;
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(commit_one(&w), 5000001);
    end_log(&w);
    CHECK_OK_ERR(mni_dir_rename(dir, new, old, &w.err), &w.err);
    CHECK_OK(mni_dir_open_file(dir, old, MNI_OPEN_WRITE, &file, &w.err));
    CHECK_OK(mni_file_write(file, 0, header, n, &w.err));
    mni_file_close(file);
    mni_dir_close(dir);
    CHECK_EQ(bound_of(&w), 5000001);
    world_done(&w);
}

static void a_log_begins_anew_above_an_lsn(void)
{
    struct world w;

    world_init(&w, 1);
    CHECK_OK_ERR(try_open(&w), &w.err);
    for (int i = 0; i < 400; i++) /* several files */
        (void)commit_one(&w);
    end_log(&w);
    overwrite_header(&w, "00000000000000000001.wal");
    w.config.is_anew = true;
    w.config.checkpoint_lsn = 5000;
    w.config.time_us = INT64_C(1) << 60;
    CHECK_OK_ERR(try_open(&w), &w.err);
    end_log(&w);
    w.config.is_anew = false;
    w.config.time_us = 0;
    CHECK_EQ(bound_of(&w), 5000);
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(w.n_seen, 0);
    CHECK(mni_wal_last_time_us(w.wal) >= INT64_C(1) << 60);
    CHECK_EQ(commit_one(&w), 5001);
    end_log(&w);
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(w.n_seen, 1);
    CHECK_EQ(w.seen[0].lsn, 5001);
    end_log(&w);
    world_done(&w);
}

/* A manifest that is ahead of the log, as a restore leaves it until the log begins anew. */
static void lsns_go_on_above_what_the_caller_has(void)
{
    struct world w;

    world_init(&w, 1);
    CHECK_OK_ERR(try_open(&w), &w.err);
    (void)commit_one(&w);
    end_log(&w);
    w.config.checkpoint_lsn = 700;
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(commit_one(&w), 701);
    end_log(&w);
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(w.n_seen, 2);
    CHECK_EQ(commit_one(&w), 702);
    end_log(&w);
    world_done(&w);
}

static void a_log_without_files_can_be_read(void)
{
    struct mni_wal_stats stats;
    struct world w;

    world_init(&w, 1);
    const struct mni_wal_config config = {
        .env = w.env, .has_no_files = true, .checkpoint_lsn = 9, .time_us = 12345};
    CHECK_OK_ERR(mni_wal_open(&config, &w.wal, &w.err), &w.err);
    mni_wal_get_stats(w.wal, &stats);
    CHECK_EQ(stats.n_files, 0);
    CHECK_EQ(stats.current_file_bytes, 0);
    CHECK_EQ(mni_wal_last_time_us(w.wal), 12345);
    end_log(&w);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_bound_is_never_too_low),
        CHECK_TEST(the_bound_is_what_any_close_said),
        CHECK_TEST(a_log_begins_anew_above_an_lsn),
        CHECK_TEST(lsns_go_on_above_what_the_caller_has),
        CHECK_TEST(a_log_without_files_can_be_read),
    };
    return check_run("wal.bound", tests, CHECK_COUNT(tests), argc, argv);
}
