/* Tests of what the background thread does: when it syncs, and the spare file it makes. */
#include "fixture.h"
#include "wal/wal_private.h"

enum { INTERVAL_US = 50000, SLACK_US = 1000 }; /* the simulated clock moves when it is read */

/* The thread sleeps as long as it was told; commits come and go meanwhile. */
static void no_commit_waits_longer_than_the_interval(void)
{
    uint64_t random = check_seed();
    struct world w;
    int64_t wake_us = INTERVAL_US;
    int64_t first_us = 0; /* of those that wait */
    int64_t longest_us = 0;
    int64_t now_us = 0;

    world_init(&w, 1);
    w.config.sync = MN_SYNC_EVERY_MS;
    w.config.sync_interval_ms = INTERVAL_US / 1000;
    w.config.file_bytes = 1 << 20;
    open_log(&w);
    for (int i = 0; i < 3000; i++) {
        int64_t step_us = (int64_t)check_below(&random, i % 100 < 50 ? 3000 : 90000);
        while (now_us + step_us >= wake_us) {
            mni_crash_env_advance_us(w.crash, wake_us - now_us);
            step_us -= wake_us - now_us;
            now_us = wake_us;
            wake_us = now_us + wal_keeper_work(w.wal);
            CHECK(wake_us > now_us && wake_us <= now_us + INTERVAL_US);
            if (stats_of(&w).durable_lsn == w.lsn_max && first_us != 0) {
                longest_us = now_us - first_us > longest_us ? now_us - first_us : longest_us;
                first_us = 0;
            }
            CHECK(first_us == 0 || now_us - first_us <= INTERVAL_US + SLACK_US);
        }
        mni_crash_env_advance_us(w.crash, step_us);
        now_us += step_us;
        bool is_disk = check_below(&random, 6) == 0;
        commit(&w, 16, is_disk ? MN_ACK_DISK : MN_ACK_OS);
        if (is_disk)
            first_us = 0;
        else if (first_us == 0)
            first_us = now_us;
    }
    CHECK(longest_us > INTERVAL_US / 2 && longest_us <= INTERVAL_US + SLACK_US);
    world_done(&w);
}

static bool has_spare_file(struct world *w)
{
    struct names names = list_files(w);

    for (size_t i = 0; i < names.n; i++)
        if (strstr(names.names[i], ".spare") != NULL)
            return true;
    return false;
}

/* Whether the log was synced between two writes of the spare file. */
static bool syncs_meanwhile(const char *trace)
{
    const char *first = strstr(trace, "write 00000000000000000000.spare");
    const char *sync = first != NULL ? strstr(first, "\nsync 00000000000000000002.") : NULL;

    return sync != NULL && strstr(sync, "write 00000000000000000000.spare") != NULL;
}

/* The simulated clock moves by a microsecond at each look: with one of these beginnings the sync
 * becomes due while the spare file is being written. */
static void a_timed_sync_does_not_wait_for_a_spare_file(void)
{
    int n_meanwhile = 0;

    for (int before_us = 0; before_us < 16; before_us++) {
        struct world w;
        struct mni_record_env *record;
        world_init(&w, 2);
        CHECK_OK(mni_record_env_new(w.env, &record));
        w.env = mni_record_env_base(record);
        w.config.sync = MN_SYNC_EVERY_MS;
        w.config.sync_interval_ms = 1;
        w.config.file_bytes = 16 << 20;
        open_log(&w);
        commit(&w, 16, MN_ACK_DISK);
        CHECK_OK(mni_wal_rotate(w.wal, NULL)); /* now a spare is wanted */
        commit(&w, 16, MN_ACK_OS);
        mni_crash_env_advance_us(w.crash, 1000 - before_us);
        mni_record_env_reset(record);
        (void)wal_keeper_work(w.wal);
        CHECK(has_spare_file(&w));
        n_meanwhile += syncs_meanwhile(mni_record_env_trace(record));
        mni_wal_abandon(w.wal);
        w.wal = NULL;
        mni_record_env_free(record);
        world_done(&w);
    }
    CHECK(n_meanwhile > 0);
}

/* One that failed and could not be removed stands in the way of none. */
static void a_spare_that_was_left_is_replaced(void)
{
    struct world w;

    world_init(&w, 3);
    open_log(&w);
    commit(&w, 16, MN_ACK_DISK);
    write_file(&w, "00000000000000000000.spare", "x", 1);
    CHECK_OK(mni_wal_rotate(w.wal, NULL));
    mni_wal_tick(w.wal);
    CHECK(has_spare_file(&w));
    for (int i = 0; i < 40; i++)
        commit(&w, 1000, MN_ACK_DISK);
    CHECK(!has_spare_file(&w)); /* it was taken */
    crash(&w);
    open_log(&w);
    CHECK_EQ(w.n_seen, 41);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(no_commit_waits_longer_than_the_interval),
        CHECK_TEST(a_timed_sync_does_not_wait_for_a_spare_file),
        CHECK_TEST(a_spare_that_was_left_is_replaced),
    };
    return check_run("wal.keeper", tests, CHECK_COUNT(tests), argc, argv);
}
