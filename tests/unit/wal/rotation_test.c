/* Tests of going on from file to file: what fits, spare files, full disks. */
#include "fixture.h"

#include <errno.h>

static void a_first_commit_larger_than_a_file_gets_a_file_of_its_size(void)
{
    struct world w;
    world_init(&w, 1);
    open_log(&w);
    commit(&w, 100000, MN_ACK_DISK);
    CHECK_EQ(stats_of(&w).n_files, 1);
    CHECK_EQ(list_files(&w).n, 1);
    for (int i = 0; i < 200; i++)
        commit(&w, 1000, MN_ACK_DISK);
    checkpoint(&w, 20);
    CHECK_OK(mni_wal_truncate(w.wal, 20, NULL, NULL));
    crash(&w);
    open_log(&w);
    CHECK_EQ(w.n_history, 201);
    world_done(&w);
}

static void large_and_small_commits_alternate(void)
{
    struct world w;
    world_init(&w, 2);
    open_log(&w);
    for (int i = 0; i < 10; i++) {
        commit(&w, 16, MN_ACK_DISK);
        commit(&w, 50000, MN_ACK_DISK);
        commit(&w, 12000, MN_ACK_OS);
    }
    CHECK_EQ(stats_of(&w).n_records, 30);
    CHECK_EQ(count_by_cursor(&w, 1), 30);
    close_log(&w);
    open_log(&w);
    CHECK_EQ(w.n_seen, 30);
    world_done(&w);
}

static void every_size_around_the_end_of_a_file_fits(void)
{
    for (size_t n_bytes = 12288 - 400; n_bytes <= 12288 + 16; n_bytes += 8) {
        struct world w;
        world_init(&w, 3);
        open_log(&w);
        commit(&w, 16, MN_ACK_DISK);
        commit(&w, n_bytes - 96, MN_ACK_DISK);
        commit(&w, n_bytes, MN_ACK_DISK);
        checkpoint(&w, 1);
        close_log(&w);
        open_log(&w);
        commit(&w, n_bytes, MN_ACK_DISK);
        crash(&w);
        open_log(&w);
        CHECK_EQ(w.n_history, 4);
        world_done(&w);
    }
}

static void marks_alone_may_fill_a_file(void)
{
    struct world w;
    world_init(&w, 4);
    open_log(&w);
    for (int i = 0; i < 600; i++)
        commit(&w, 16, MN_ACK_OS);
    CHECK_OK(mni_wal_rotate(w.wal, NULL));
    uint64_t n_files = stats_of(&w).n_files;
    for (uint64_t lsn = 1; lsn <= 600; lsn++)
        checkpoint(&w, lsn);
    CHECK_EQ(stats_of(&w).n_files, n_files);
    CHECK_EQ(stats_of(&w).checkpoint_lsn, 600);
    commit(&w, 16, MN_ACK_DISK);
    CHECK_EQ(count_by_cursor(&w, 1), 601);
    crash(&w);
    open_log(&w);
    CHECK_EQ(w.n_seen, 601);
    CHECK_EQ(stats_of(&w).checkpoint_lsn, 600);
    world_done(&w);
}

static void a_cursor_outlives_the_replacing_of_an_empty_file(void)
{
    struct world w;
    struct mni_wal_cursor *cursor;
    struct mni_wal_entry entry;
    world_init(&w, 5);
    open_log(&w);
    CHECK_OK(mni_wal_cursor_open(w.wal, 1, &cursor, NULL));
    CHECK_STATUS(mni_wal_cursor_next(cursor, &entry, NULL), MN_END);
    commit(&w, 40000, MN_ACK_NONE);
    commit(&w, 40000, MN_ACK_NONE);
    for (uint64_t lsn = 1; lsn <= 2; lsn++) {
        CHECK_OK_ERR(mni_wal_cursor_next(cursor, &entry, &w.err), &w.err);
        CHECK_EQ(entry.lsn, lsn);
    }
    CHECK_STATUS(mni_wal_cursor_next(cursor, &entry, NULL), MN_END);
    mni_wal_cursor_close(cursor);
    close_log(&w);
    world_done(&w);
}

/* A log that takes a little between two ends without a seal must not stretch its newest file. */
static void the_newest_file_does_not_grow_from_end_to_end(void)
{
    struct world w;
    world_init(&w, 6);
    open_log(&w);
    uint64_t bytes_max = 0;
    for (int i = 0; i < 60; i++) {
        commit(&w, 1000, MN_ACK_DISK);
        if (i % 3 == 2)
            close_log(&w);
        else
            crash(&w);
        open_log(&w);
        uint64_t lsn = w.history[w.n_history - 1].lsn;
        checkpoint(&w, lsn);
        CHECK_OK(mni_wal_truncate(w.wal, lsn, NULL, NULL));
        struct names names = list_files(&w);
        for (size_t k = 0; k < names.n; k++) {
            size_t n_bytes;
            free(read_file(&w, names.names[k], &n_bytes));
            if (n_bytes > bytes_max)
                bytes_max = n_bytes;
        }
        CHECK(names.n <= 2);
    }
    CHECK(bytes_max <= 16384);
    world_done(&w);
}

static void recycled_files_show_nothing_old(void)
{
    struct world w;
    world_init(&w, 7);
    open_log(&w);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 12; i++)
            commit(&w, 1000 + (size_t)(8 * (round % 5)), MN_ACK_DISK);
        uint64_t lsn = w.history[w.n_history - 1].lsn;
        checkpoint(&w, lsn);
        CHECK_OK(mni_wal_truncate(w.wal, lsn, NULL, NULL));
        if (round % 4 == 3) {
            crash(&w);
            open_log(&w);
        }
    }
    CHECK(list_files(&w).n <= 3);
    world_done(&w);
}

/* Large files are zeroed a part at a time. One that was left early has space that was never
 * written, and the simulated disk refuses a durable write into that: also when the file is used
 * again. */
static void a_recycled_file_is_as_little_written_as_it_was(void)
{
    for (int mode = 0; mode < 3; mode++) {
        struct world w;
        world_init(&w, 12);
        w.config.file_bytes = 12 << 20;
        w.config.sync = mode == 0 ? MN_SYNC_EVERY_WRITE : MN_SYNC_MANUAL;
        open_log(&w);
        for (int round = 0; round < 6; round++) {
            size_t n_bytes = round % 2 == 0 ? 30008 : 70008;
            for (int i = 0; i < 20 + 60 * round; i++)
                commit(&w, i % 3 == 0 ? 16 : n_bytes, i % 7 == 0 ? MN_ACK_OS : MN_ACK_DISK);
            CHECK_OK(mni_wal_rotate(w.wal, NULL));
            commit(&w, 16, MN_ACK_DISK);
            if (mode == 2 && round % 2 == 0) {
                crash(&w);
                open_log(&w);
            }
            uint64_t lsn = w.history[w.n_history - 1].lsn;
            checkpoint(&w, lsn);
            CHECK_OK(mni_wal_truncate(w.wal, lsn, NULL, NULL));
        }
        crash(&w);
        open_log(&w);
        world_done(&w);
    }
}

/* Around the crash env: the N-th call fails. */
static struct mni_fault_env *add_faults(struct world *w)
{
    struct mni_fault_env *fault;

    CHECK_OK(mni_fault_env_new(w->env, &fault));
    w->env = mni_fault_env_base(fault);
    return fault;
}

static void done_with_faults(struct world *w, struct mni_fault_env *fault)
{
    mni_wal_abandon(w->wal);
    w->wal = NULL;
    mni_fault_env_free(fault);
    world_done(w);
}

static void a_file_that_cannot_be_renamed_is_no_spare(void)
{
    for (uint64_t n = 1;; n++) {
        struct world w;
        world_init(&w, 8);
        struct mni_fault_env *fault = add_faults(&w);
        open_log(&w);
        for (int i = 0; i < 30; i++)
            commit(&w, 1000, MN_ACK_DISK);
        checkpoint(&w, 25);
        mni_fault_env_fail_at(fault, n, EIO, false);
        mn_status st = mni_wal_truncate(w.wal, 25, NULL, &w.err);
        bool was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        CHECK_STATUS(st, was_hit ? MN_ERR_IO : MN_OK);
        for (int i = 0; i < 30; i++)
            commit(&w, 1000, MN_ACK_DISK);
        CHECK_OK_ERR(mni_wal_truncate(w.wal, 25, NULL, &w.err), &w.err);
        CHECK_EQ(count_by_cursor(&w, 26), 35);
        crash(&w);
        open_log(&w);
        CHECK_EQ(w.n_history, 60);
        done_with_faults(&w, fault);
        if (!was_hit)
            break;
    }
}

static void a_full_disk_refuses_the_commit_that_needs_a_file(void)
{
    for (uint64_t n = 1;; n++) {
        struct world w;
        world_init(&w, 9);
        struct mni_fault_env *fault = add_faults(&w);
        open_log(&w);
        for (int i = 0; i < 11; i++)
            commit(&w, 1000, MN_ACK_DISK);
        CHECK_EQ(stats_of(&w).n_files, 1);
        mni_fault_env_fail_at(fault, n, ENOSPC, true);
        size_t n_before = w.n_history;
        mn_status st = commit_as(&w, 1000, 1, MN_ACK_DISK);
        bool was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        CHECK(st == MN_OK ? !was_hit : st == MN_ERR_NO_SPACE);
        CHECK_EQ(count_by_cursor(&w, 1), st == MN_OK ? n_before + 1 : n_before);
        if (st != MN_OK && !stats_of(&w).is_poisoned) {
            /* Refused for good: it does not come back. Space is there again, and so is the log. */
            w.n_history = n_before;
            w.n_unsure = 0;
            commit(&w, 1000, MN_ACK_DISK);
            CHECK_EQ(w.history[n_before].lsn, n_before + 1);
            CHECK_EQ(list_files(&w).n, 2);
        } else if (st != MN_OK) {
            CHECK_STATUS(commit_as(&w, 1000, 1, MN_ACK_DISK), MN_ERR_POISONED);
        }
        crash(&w);
        open_log(&w);
        commit(&w, 1000, MN_ACK_DISK);
        CHECK(list_files(&w).n <= 2);
        done_with_faults(&w, fault);
        if (!was_hit)
            break;
    }
}

static void a_full_disk_before_anything_was_named_does_not_poison(void)
{
    struct world w;
    world_init(&w, 10);
    struct mni_fault_env *fault = add_faults(&w);
    open_log(&w);
    for (int i = 0; i < 11; i++)
        commit(&w, 1000, MN_ACK_DISK);
    for (int i = 0; i < 5; i++) {
        mni_fault_env_fail_at(fault, 1, ENOSPC, true);
        size_t n_before = w.n_history;
        CHECK_STATUS(commit_as(&w, 1000, 1, MN_ACK_DISK), MN_ERR_NO_SPACE);
        w.n_history = n_before;
        w.n_unsure = 0;
        mni_fault_env_fail_at(fault, 0, 0, false);
        CHECK(!stats_of(&w).is_poisoned);
        CHECK_EQ(list_files(&w).n, 1);
        commit(&w, 16, MN_ACK_DISK); /* what fits goes on */
    }
    commit(&w, 1000, MN_ACK_DISK);
    crash(&w);
    open_log(&w);
    CHECK_EQ(w.n_history, 17);
    done_with_faults(&w, fault);
}

static void what_was_committed_is_read_after_poison(void)
{
    struct world w;
    world_init(&w, 11);
    open_log(&w);
    for (int i = 0; i < 25; i++)
        commit(&w, 1000, MN_ACK_DISK);
    CHECK(stats_of(&w).n_files > 1);
    mni_crash_env_fail_sync_at(w.crash, 1);
    CHECK_STATUS(commit_as(&w, 1000, 1, MN_ACK_DISK), MN_ERR_IO);
    CHECK(stats_of(&w).is_poisoned);
    CHECK_EQ(count_by_cursor(&w, 1), 25);
    CHECK_STATUS(commit_as(&w, 1000, 1, MN_ACK_NONE), MN_ERR_POISONED);
    CHECK_STATUS(mni_wal_flush(w.wal, &w.err), MN_ERR_POISONED);
    CHECK_STATUS(mni_wal_checkpoint(w.wal, 3, &w.err), MN_ERR_POISONED);
    CHECK_STATUS(mni_wal_truncate(w.wal, 3, NULL, &w.err), MN_ERR_POISONED);
    CHECK_STATUS(mni_wal_rotate(w.wal, &w.err), MN_ERR_POISONED);
    CHECK_EQ(mni_wal_visible_lsn(w.wal), 25);
    struct mni_wal *wal = w.wal;
    w.wal = NULL;
    CHECK_STATUS(mni_wal_close(wal, &w.err), MN_ERR_POISONED);
    mni_crash_env_restart(w.crash, false, 0);
    w.n_history = 26; /* the second one was refused at the door */
    w.n_unsure = 1;
    open_log(&w);
    commit(&w, 1000, MN_ACK_DISK);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_first_commit_larger_than_a_file_gets_a_file_of_its_size),
        CHECK_TEST(large_and_small_commits_alternate),
        CHECK_TEST(every_size_around_the_end_of_a_file_fits),
        CHECK_TEST(marks_alone_may_fill_a_file),
        CHECK_TEST(a_cursor_outlives_the_replacing_of_an_empty_file),
        CHECK_TEST(the_newest_file_does_not_grow_from_end_to_end),
        CHECK_TEST(recycled_files_show_nothing_old),
        CHECK_TEST(a_recycled_file_is_as_little_written_as_it_was),
        CHECK_TEST(a_file_that_cannot_be_renamed_is_no_spare),
        CHECK_TEST(a_full_disk_refuses_the_commit_that_needs_a_file),
        CHECK_TEST(a_full_disk_before_anything_was_named_does_not_poison),
        CHECK_TEST(what_was_committed_is_read_after_poison),
    };
    return check_run("wal.rotation", tests, CHECK_COUNT(tests), argc, argv);
}
