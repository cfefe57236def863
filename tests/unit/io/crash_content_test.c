/* Tests of the files of the simulated disk: each sentence of the model in io/crash.h. */
#include "crash_world.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Content ---------------------------------------------------------------------------------------
 */

static void synced_data_and_names_survive_every_crash(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 3000, 7);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        CHECK_EQ(size_of(file), 3000);
        CHECK_EQ(byte_in(file, 0, 3000), 7);
        mni_file_close(file);
        world_free(&w);
    }
}

static void unsynced_sectors_are_lost_or_not_in_any_combination(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 3 * SECTOR, 1);
        fill(file, 0, 3 * SECTOR, 2);
        CHECK_EQ(byte_in(file, 0, 3 * SECTOR), 2);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        unsigned outcome = 0;
        for (unsigned s = 0; s < 3; s++) {
            int byte = byte_in(file, s * SECTOR, SECTOR); /* never torn */
            CHECK(byte == 1 || byte == 2);
            outcome |= (unsigned)(byte - 1) << s;
        }
        seen.n[outcome]++;
        mni_file_close(file);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 0xFF));
}

static void write_inside_a_sector_changes_it_whole_or_not(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", SECTOR, 1);
        fill(file, 100, 50, 2);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        CHECK_EQ(byte_in(file, 0, 100), 1);
        CHECK_EQ(byte_in(file, 150, SECTOR - 150), 1);
        seen.n[byte_in(file, 100, 50)]++;
        mni_file_close(file);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 1 | 1 << 2));
}

static void sector_written_twice_may_hold_any_version(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", SECTOR, 1);
        for (int byte = 2; byte <= 4; byte++)
            fill(file, 0, SECTOR, byte);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        seen.n[byte_in(file, 0, SECTOR)]++;
        mni_file_close(file);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4));
}

static void sync_of_one_file_leaves_others_pending(void)
{
    struct world w = world_new(1);
    struct mni_file *a = durable_file(&w, "a", SECTOR, 1);
    struct mni_file *b = durable_file(&w, "b", SECTOR, 1);

    fill(a, 0, SECTOR, 2);
    fill(b, 0, SECTOR, 2);
    CHECK_OK(mni_file_sync(a, NULL));
    CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
    mni_file_close(a);
    mni_file_close(b);
    restart_with(&w, true, 0);
    CHECK_EQ(byte_of(&w, "a"), 2);
    CHECK_EQ(byte_of(&w, "b"), 1);
    world_free(&w);
}

static void sync_covers_writes_of_other_handles(void)
{
    struct world w = world_new(1);
    struct mni_file *a = durable_file(&w, "a", SECTOR, 1);
    struct mni_file *again = reopen(&w, "a");

    fill(a, 0, SECTOR, 2);
    CHECK_EQ(byte_in(again, 0, SECTOR), 2);
    CHECK_OK(mni_file_sync(again, NULL));
    mni_file_close(a);
    mni_file_close(again);
    restart_with(&w, true, 0);
    CHECK_EQ(byte_of(&w, "a"), 2);
    world_free(&w);
}

/* Lengths ---------------------------------------------------------------------------------------
 */

static void unsynced_length_is_the_durable_or_a_later_one(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 100, 1);
        fill(file, 100, 200, 2);
        fill(file, 300, 700, 2);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        uint64_t n_bytes = size_of(file);
        CHECK_EQ(byte_in(file, 0, 100), 1);
        seen.n[n_bytes == 100 ? 0 : n_bytes == 300 ? 1 : n_bytes == 1000 ? 2 : 3]++;
        mni_file_close(file);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 0 | 1 << 1 | 1 << 2));
}

static void long_write_may_leave_a_length_at_a_page_boundary(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 100, 1);
        fill(file, 100, 9000, 2);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        uint64_t n_bytes = size_of(file);
        seen.n[n_bytes == 100                       ? 0
               : n_bytes == 9100                    ? 1
               : n_bytes == 4096 || n_bytes == 8192 ? 2
                                                    : 3]++;
        mni_file_close(file);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 0 | 1 << 1 | 1 << 2));
}

static void durable_length_without_content_reads_as_zeroes(void)
{
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 0, 0);

    fill(file, 0, 2 * SECTOR, 9);
    CHECK_EQ(mni_crash_env_n_pending(w.crash), 3);
    mni_file_close(file);
    restart_with(&w, true, 1 | 1 << 2); /* the length, and the second sector */
    file = reopen(&w, "a");
    CHECK_EQ(size_of(file), 2 * SECTOR);
    CHECK_EQ(byte_in(file, 0, SECTOR), 0);
    CHECK_EQ(byte_in(file, SECTOR, SECTOR), 9);
    mni_file_close(file);
    world_free(&w);
}

static void content_past_the_length_does_not_come_back(void)
{
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 100, 1);

    fill(file, 100, 4 * SECTOR, 9);
    mni_file_close(file);
    restart_with(&w, true, ~UINT64_C(1)); /* all but the length */
    file = reopen(&w, "a");
    CHECK_EQ(size_of(file), 100);
    CHECK_OK(mni_file_truncate(file, 5 * SECTOR, NULL));
    CHECK_EQ(byte_in(file, 0, 100), 1);
    CHECK_EQ(byte_in(file, 100, 5 * SECTOR - 100), 0);
    mni_file_close(file);
    world_free(&w);
}

static void space_between_end_and_write_reads_as_zeroes(void)
{
    struct world w = world_new(1);
    struct mni_file *file = create(&w, "a");

    fill(file, 0, 10, 1);
    fill(file, 70000, 10, 2);
    CHECK_EQ(size_of(file), 70010);
    CHECK_EQ(byte_in(file, 10, 60000), 0);
    CHECK_EQ(byte_in(file, 70000, 10), 2);
    CHECK_EQ(byte_in(file, 70000, 11), -2);
    mni_file_close(file);
    world_free(&w);
}

static void allocation_is_durable_after_sync_only(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        struct world w = world_new(1);
        struct mni_file *file = durable_file(&w, "a", 100, 1);
        CHECK_OK(mni_file_allocate(file, 50, NULL)); /* never shortens */
        CHECK_OK(mni_file_allocate(file, 8192, NULL));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
        CHECK_EQ(byte_in(file, 100, 8092), 0);
        mni_file_close(file);
        restart_with(&w, true, mask);
        file = reopen(&w, "a");
        CHECK_EQ(size_of(file), mask == 0 ? 100 : 8192);
        CHECK_OK(mni_file_allocate(file, 9000, NULL));
        CHECK_OK(mni_file_sync(file, NULL));
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        CHECK_EQ(size_of(file), 9000);
        mni_file_close(file);
        world_free(&w);
    }
}

static void truncation_is_whole_or_has_not_happened(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        struct world w = world_new(1);
        struct mni_file *file = durable_file(&w, "a", 5000, 1);
        CHECK_OK(mni_file_truncate(file, 700, NULL));
        CHECK_EQ(size_of(file), 700);
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
        mni_file_close(file);
        restart_with(&w, true, mask);
        file = reopen(&w, "a");
        CHECK_EQ(size_of(file), mask == 0 ? 5000 : 700);
        CHECK_EQ(byte_in(file, 0, mask == 0 ? 5000 : 700), 1);
        mni_file_close(file);
        world_free(&w);
    }
}

static void truncated_bytes_do_not_come_back_in_a_longer_file(void)
{
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 5000, 1);
        fill(file, 2000, 1000, 2);
        CHECK_OK(mni_file_truncate(file, 700, NULL));
        CHECK_OK(mni_file_truncate(file, 6000, NULL));
        fill(file, 4096, SECTOR, 3);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        if (size_of(file) == 6000) {
            CHECK_EQ(byte_in(file, 0, 700), 1);
            CHECK_EQ(byte_in(file, 700, 4096 - 700), 0);
            int byte = byte_in(file, 4096, SECTOR);
            CHECK(byte == 0 || byte == 3);
        } else if (size_of(file) == 5000) {
            CHECK_EQ(byte_in(file, 0, 1536), 1);
        } else {
            CHECK_EQ(size_of(file), 700);
        }
        mni_file_close(file);
        world_free(&w);
    }
}

/* Durable writes --------------------------------------------------------------------------------
 */

static void durable_write_covers_its_sectors_only(void)
{
    unsigned char data[SECTOR];
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 4 * SECTOR, 1);

    fill(file, 0, 4 * SECTOR, 2);
    memset(data, 3, sizeof data);
    CHECK_OK(mni_file_write_durable(file, SECTOR, data, SECTOR, NULL));
    CHECK_EQ(mni_crash_env_n_pending(w.crash), 3);
    mni_file_close(file);
    restart_with(&w, true, 0);
    file = reopen(&w, "a");
    CHECK_EQ(byte_in(file, 0, SECTOR), 1);
    CHECK_EQ(byte_in(file, SECTOR, SECTOR), 3);
    CHECK_EQ(byte_in(file, 2 * SECTOR, 2 * SECTOR), 1);
    mni_file_close(file);
    world_free(&w);
}

/* Whether a durable write of the last sector of four fails a check. */
static bool durable_write_dies(void (*prepare)(struct world *w, struct mni_file *file))
{
    pid_t child = fork();
    int wait_status = 0;

    if (child == 0) {
        unsigned char data[SECTOR] = {0};
        struct world w = world_new(1);
        struct mni_file *file = create(&w, "a");
        prepare(&w, file);
        mn_status st = mni_file_write_durable(file, 3 * SECTOR, data, SECTOR, NULL);
        _exit(st == MN_OK ? 0 : 1);
    }
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &wait_status, 0), child);
    if (WIFSIGNALED(wait_status))
        return WTERMSIG(wait_status) == SIGABRT;
    CHECK_EQ(WEXITSTATUS(wait_status), 0);
    return false;
}

static void write_and_sync(struct world *w, struct mni_file *file)
{
    (void)w;
    fill(file, 0, 4 * SECTOR, 1);
    CHECK_OK(mni_file_sync(file, NULL));
}

static void write_without_sync(struct world *w, struct mni_file *file)
{
    (void)w;
    fill(file, 0, 4 * SECTOR, 1);
}

static void sync_a_part(struct world *w, struct mni_file *file)
{
    (void)w;
    fill(file, 0, 3 * SECTOR, 1);
    CHECK_OK(mni_file_sync(file, NULL));
    fill(file, 3 * SECTOR, SECTOR, 1);
}

static void reserve_and_sync(struct world *w, struct mni_file *file)
{
    (void)w;
    CHECK_OK(mni_file_allocate(file, 4 * SECTOR, NULL));
    CHECK_OK(mni_file_sync(file, NULL));
}

static void write_reserved_without_sync(struct world *w, struct mni_file *file)
{
    reserve_and_sync(w, file);
    fill(file, 0, 4 * SECTOR, 1);
}

static void end_inside_the_last_sector(struct world *w, struct mni_file *file)
{
    (void)w;
    fill(file, 0, 4 * SECTOR - 1, 1);
    CHECK_OK(mni_file_sync(file, NULL));
}

static void cut_and_regrow(struct world *w, struct mni_file *file)
{
    write_and_sync(w, file);
    CHECK_OK(mni_file_truncate(file, SECTOR, NULL));
    CHECK_OK(mni_file_truncate(file, 4 * SECTOR, NULL));
}

static void cut_regrow_and_sync(struct world *w, struct mni_file *file)
{
    cut_and_regrow(w, file);
    CHECK_OK(mni_file_sync(file, NULL));
}

static void fail_the_sync(struct world *w, struct mni_file *file)
{
    fill(file, 0, 4 * SECTOR, 1);
    mni_crash_env_fail_sync_at(w->crash, 1);
    CHECK_STATUS(mni_file_sync(file, NULL), MN_ERR_IO);
    CHECK_OK(mni_file_sync(file, NULL));
}

static void durable_write_is_only_for_written_and_synced_space(void)
{
    CHECK(!durable_write_dies(write_and_sync));
    CHECK(durable_write_dies(write_without_sync));
    CHECK(durable_write_dies(sync_a_part));
    CHECK(durable_write_dies(reserve_and_sync));
    CHECK(durable_write_dies(write_reserved_without_sync));
    CHECK(durable_write_dies(end_inside_the_last_sector));
    CHECK(durable_write_dies(cut_and_regrow));
    CHECK(durable_write_dies(cut_regrow_and_sync));
    CHECK(durable_write_dies(fail_the_sync));
}

static void durable_write_works_in_a_file_of_an_earlier_life(void)
{
    unsigned char data[SECTOR];
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", 2 * SECTOR, 1);

    mni_file_close(file);
    restart(&w);
    file = reopen(&w, "a");
    memset(data, 2, sizeof data);
    CHECK_OK(mni_file_write_durable(file, 0, data, SECTOR, NULL));
    mni_file_close(file);
    restart_with(&w, true, 0);
    CHECK_EQ(byte_of(&w, "a"), 2);
    world_free(&w);
}

/* Failed syncs ----------------------------------------------------------------------------------
 */

static void failed_sync_may_lose_data_that_later_syncs_skip(void)
{
    struct seen seen = {{0}};
    uint64_t random = check_seed();

    for (unsigned i = 0; i < N_SEEDS; i++) {
        struct mn_error err = {0};
        struct world w = world_new(check_random(&random));
        struct mni_file *file = durable_file(&w, "a", 2 * SECTOR, 1);
        fill(file, 0, SECTOR, 2);
        mni_crash_env_fail_sync_at(w.crash, 1);
        CHECK_STATUS(mni_file_sync(file, &err), MN_ERR_IO);
        CHECK_EQ(err.os_errno, EIO);
        CHECK_EQ(byte_in(file, 0, SECTOR), 2);
        fill(file, SECTOR, SECTOR, 2); /* after the failure: this one is written */
        CHECK_OK(mni_file_sync(file, NULL));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), 1);
        mni_file_close(file);
        restart(&w);
        file = reopen(&w, "a");
        seen.n[byte_in(file, 0, SECTOR)]++;
        CHECK_EQ(byte_in(file, SECTOR, SECTOR), 2);
        mni_file_close(file);
        world_free(&w);
    }
    CHECK(saw_only(&seen, 1 << 1 | 1 << 2));
}

static void writing_again_after_a_failed_sync_makes_it_durable(void)
{
    struct world w = world_new(1);
    struct mni_file *file = durable_file(&w, "a", SECTOR, 1);

    fill(file, 0, SECTOR, 2);
    mni_crash_env_fail_sync_at(w.crash, 1);
    CHECK_STATUS(mni_file_sync(file, NULL), MN_ERR_IO);
    fill(file, 0, 1, 3);
    CHECK_OK(mni_file_sync(file, NULL));
    mni_file_close(file);
    restart_with(&w, true, 0);
    file = reopen(&w, "a");
    CHECK_EQ(byte_in(file, 0, 1), 3);
    CHECK_EQ(byte_in(file, 1, SECTOR - 1), 2);
    mni_file_close(file);
    world_free(&w);
}

static void length_of_a_failed_sync_is_lost_until_the_next_change(void)
{
    for (int again = 0; again < 2; again++) {
        struct world w = world_new(1);
        struct mni_file *file = durable_file(&w, "a", SECTOR, 1);
        CHECK_OK(mni_file_allocate(file, 4096, NULL));
        mni_crash_env_fail_sync_at(w.crash, 1);
        CHECK_STATUS(mni_file_sync(file, NULL), MN_ERR_IO);
        CHECK_EQ(size_of(file), 4096);
        if (again)
            fill(file, 0, 1, 1);
        else /* no metadata, so no length */
            CHECK_OK(mni_file_write_durable(file, 0, "x", 1, NULL));
        CHECK_OK(mni_file_sync(file, NULL));
        CHECK_EQ(mni_crash_env_n_pending(w.crash), again ? 0 : 1);
        mni_file_close(file);
        restart_with(&w, true, 0);
        file = reopen(&w, "a");
        CHECK_EQ(size_of(file), again ? 4096 : SECTOR);
        mni_file_close(file);
        world_free(&w);
    }
}

static void failed_durable_write_may_be_lost(void)
{
    for (uint64_t mask = 0; mask < 2; mask++) {
        unsigned char data[SECTOR];
        struct world w = world_new(1);
        struct mni_file *file = durable_file(&w, "a", SECTOR, 1);
        memset(data, 2, sizeof data);
        mni_crash_env_fail_sync_at(w.crash, 2);
        CHECK_OK(mni_dir_sync(w.dir, NULL));
        CHECK_STATUS(mni_file_write_durable(file, 0, data, SECTOR, NULL), MN_ERR_IO);
        CHECK_OK(mni_file_sync(file, NULL));
        mni_file_close(file);
        restart_with(&w, true, mask);
        CHECK_EQ(byte_of(&w, "a"), mask == 0 ? 1 : 2);
        world_free(&w);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(synced_data_and_names_survive_every_crash),
        CHECK_TEST(unsynced_sectors_are_lost_or_not_in_any_combination),
        CHECK_TEST(write_inside_a_sector_changes_it_whole_or_not),
        CHECK_TEST(sector_written_twice_may_hold_any_version),
        CHECK_TEST(sync_of_one_file_leaves_others_pending),
        CHECK_TEST(sync_covers_writes_of_other_handles),
        CHECK_TEST(unsynced_length_is_the_durable_or_a_later_one),
        CHECK_TEST(long_write_may_leave_a_length_at_a_page_boundary),
        CHECK_TEST(durable_length_without_content_reads_as_zeroes),
        CHECK_TEST(content_past_the_length_does_not_come_back),
        CHECK_TEST(space_between_end_and_write_reads_as_zeroes),
        CHECK_TEST(allocation_is_durable_after_sync_only),
        CHECK_TEST(truncation_is_whole_or_has_not_happened),
        CHECK_TEST(truncated_bytes_do_not_come_back_in_a_longer_file),
        CHECK_TEST(durable_write_covers_its_sectors_only),
        CHECK_TEST(durable_write_is_only_for_written_and_synced_space),
        CHECK_TEST(durable_write_works_in_a_file_of_an_earlier_life),
        CHECK_TEST(failed_sync_may_lose_data_that_later_syncs_skip),
        CHECK_TEST(writing_again_after_a_failed_sync_makes_it_durable),
        CHECK_TEST(length_of_a_failed_sync_is_lost_until_the_next_change),
        CHECK_TEST(failed_durable_write_may_be_lost),
    };
    return check_run("io.crash_content", tests, CHECK_COUNT(tests), argc, argv);
}
