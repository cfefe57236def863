/* Tests of pacing, with a simulated disk: what the background writes makes syncs wait. */
#include "check.h"
#include "engine/pace_private.h"

enum { CHUNK_BYTES = 256 << 10, COMMIT_EVERY_US = 500, QUIET_US = 200 };

/* One thread's commits and the background share a disk that does one thing at a time. */
struct disk {
    struct pace pace;
    int64_t now_us;
    int64_t next_commit_us;
    int64_t sync_us; /* of one alone */
    double bytes_per_us;
    int64_t free_at_us;
    uint64_t seed;
    uint64_t n_syncs;
    int64_t sum_us;
};

static void commit(struct disk *d)
{
    int64_t start = d->next_commit_us;
    int64_t takes =
        d->sync_us * 3 / 4 + (int64_t)(check_random(&d->seed) % (uint64_t)d->sync_us) / 2;

    if (d->free_at_us < start)
        d->free_at_us = start;
    d->free_at_us += takes;
    pace_note_sync(&d->pace, d->free_at_us - start, d->free_at_us);
    d->n_syncs++;
    d->sum_us += d->free_at_us - start;
    d->next_commit_us = d->free_at_us > start + COMMIT_EVERY_US ? d->free_at_us
                                                                : start + COMMIT_EVERY_US;
}

static void commit_until(struct disk *d, int64_t until_us)
{
    while (d->next_commit_us < until_us)
        commit(d);
    if (d->now_us < until_us)
        d->now_us = until_us;
}

/* Writes so much beside commits; returns how long that took. */
static int64_t write_beside(struct disk *d, uint64_t n_bytes)
{
    int64_t start = d->now_us;

    d->n_syncs = 0;
    d->sum_us = 0;
    for (uint64_t done = 0; done < n_bytes; done += CHUNK_BYTES) {
        commit_until(d, d->now_us + pace_wait_us(&d->pace, CHUNK_BYTES, d->now_us));
        if (d->free_at_us < d->now_us)
            d->free_at_us = d->now_us;
        d->free_at_us += (int64_t)(CHUNK_BYTES / d->bytes_per_us);
        commit_until(d, d->free_at_us);
    }
    return d->now_us - start;
}

static struct disk quiet_disk(int64_t sync_us, double bytes_per_us)
{
    struct disk d = {.sync_us = sync_us,
                     .bytes_per_us = bytes_per_us,
                     .next_commit_us = 1,
                     .seed = check_seed()};

    commit_until(&d, 1000000);
    return d;
}

static void the_quiet_time_is_found(void)
{
    struct disk d = quiet_disk(QUIET_US, 1000);
    int64_t quiet_us = atomic_load(&d.pace.quiet_ns) / 1000;

    CHECK(quiet_us > QUIET_US * 3 / 4 && quiet_us < QUIET_US * 5 / 4);
}

static void syncs_stay_near_the_quiet_time_on_slow_disks_and_fast_ones(void)
{
    static const double rates[] = {50, 200, 1000, 3000};

    for (size_t i = 0; i < CHECK_COUNT(rates); i++) {
        struct disk d = quiet_disk(QUIET_US, rates[i]);
        (void)write_beside(&d, 64 << 20);
        (void)write_beside(&d, 64 << 20);
        CHECK(d.n_syncs > 0);
        CHECK(d.sum_us / (int64_t)d.n_syncs < 3 * QUIET_US);
    }
}

static void a_fast_disk_is_used(void)
{
    struct disk d = quiet_disk(QUIET_US, 3000);

    (void)write_beside(&d, 64 << 20);
    /* quicker than at the rate that it begins with */
    CHECK(write_beside(&d, 64 << 20) < (64 << 20) / 200);
}

static void nobody_waits_for_commits_that_do_not_come(void)
{
    struct disk d = quiet_disk(QUIET_US, 1000);

    (void)pace_wait_us(&d.pace, CHUNK_BYTES, d.now_us);
    CHECK_EQ(pace_wait_us(&d.pace, CHUNK_BYTES, d.now_us), 0);
    CHECK_EQ(pace_wait_us(&d.pace, CHUNK_BYTES, d.now_us + 1000), 0);
}

/* A commit that waits for what the background does to the disk is not there to be seen. */
static void a_commit_that_is_held_up_is_no_quiet(void)
{
    struct disk d = quiet_disk(QUIET_US, 1000);
    struct pace unused = {0};

    CHECK(!pace_is_quiet(&d.pace, d.now_us + 20000));
    CHECK(pace_is_quiet(&d.pace, d.now_us + 1000000));
    CHECK(pace_is_quiet(&unused, 1000000));
}

static void a_disk_that_became_slower_does_not_stop_the_background(void)
{
    struct disk d = quiet_disk(QUIET_US, 1000);

    d.sync_us = 10 * QUIET_US;
    for (int i = 0; i < 10; i++)
        (void)write_beside(&d, 64 << 20);
    int64_t quiet_us = atomic_load(&d.pace.quiet_ns) / 1000;
    CHECK(quiet_us > 5 * QUIET_US);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_quiet_time_is_found),
        CHECK_TEST(syncs_stay_near_the_quiet_time_on_slow_disks_and_fast_ones),
        CHECK_TEST(a_fast_disk_is_used),
        CHECK_TEST(nobody_waits_for_commits_that_do_not_come),
        CHECK_TEST(a_commit_that_is_held_up_is_no_quiet),
        CHECK_TEST(a_disk_that_became_slower_does_not_stop_the_background),
    };

    return check_run("engine.pace", tests, CHECK_COUNT(tests), argc, argv);
}
