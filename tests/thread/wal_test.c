/* Tests of the log under many threads, in the real world; these also run under the thread
 * sanitizer. */
#include "check.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "io/posix.h"
#include "io/thread.h"
#include "mneme/wal.h"
#include "wal/wal.h"

enum { THREADS = 16, PER_THREAD = 150, LSNS = THREADS * PER_THREAD + 1, THRESHOLD = 100 };

struct writer {
    struct mni_thread thread;
    struct mni_wal *wal;
    unsigned id;
    uint64_t lsns[PER_THREAD];
    unsigned n_wrong;
};

static struct mni_wal *open_log(const char *path, mn_sync_policy sync)
{
    struct mni_wal_config config = {
        .env = mni_posix_env(),
        .any_store_id = true,
        .create = true,
        .file_bytes = 64 << 10,
        .sync = sync,
        .sync_interval_ms = 1,
        .sync_every_commits = 10,
    };
    struct mni_wal *wal = NULL;
    struct mn_error err;
    CHECK_OK_ERR(mni_env_open_dir(config.env, path, true, &config.dir, &err), &err);
    CHECK_OK_ERR(mni_wal_open(&config, &wal, &err), &err);
    return wal;
}

static void write_commits(void *context)
{
    struct writer *writer = context;
    uint64_t random = writer->id;
    unsigned char bytes[512];
    struct mni_commit commit;

    for (unsigned i = 0; i < PER_THREAD; i++) {
        struct mn_slice part = {bytes, 16 + 8 * check_below(&random, 60)};
        memset(bytes, (int)writer->id, sizeof bytes);
        mni_put_u64(bytes, writer->id);
        mni_put_u64(bytes + 8, i);
        mn_ack ack = (mn_ack)check_below(&random, 4);
        mn_status st = mni_commit_init(&commit, &part, 1, 1, ack, NULL, NULL);
        if (st == MN_OK)
            st = mni_wal_commit(writer->wal, &commit);
        writer->n_wrong += st != MN_OK;
        writer->lsns[i] = commit.lsn;
        if (i % 40 == 7)
            writer->n_wrong += mni_wal_flush(writer->wal, NULL) != MN_OK;
        if (i % 50 == 11 && writer->id == 0)
            writer->n_wrong += mni_wal_rotate(writer->wal, NULL) != MN_OK;
    }
}

struct follower {
    struct mni_thread thread;
    struct mni_wal *wal;
    uint64_t last_lsn;
    unsigned n_wrong;
    uint64_t seen[LSNS]; /* writer * 2^32 + number, by LSN */
};

/* Follows the tail to the last LSN, and checkpoints and trims what it has read. */
static void follow(void *context)
{
    struct follower *f = context;
    struct mni_wal_cursor *cursor = NULL;
    struct mni_wal_entry entry;
    struct mni_wal_stats stats;

    f->n_wrong += mni_wal_cursor_open(f->wal, 1, &cursor, NULL) != MN_OK;
    while (f->n_wrong == 0 && f->last_lsn < LSNS - 1) {
        mn_status st = mni_wal_cursor_next(cursor, &entry, NULL);
        if (st == MN_END)
            continue;
        f->n_wrong += st != MN_OK || entry.lsn != f->last_lsn + 1;
        if (f->n_wrong > 0)
            break;
        f->last_lsn = entry.lsn;
        const unsigned char *p = entry.payload.data;
        f->seen[entry.lsn] = mni_get_u64(p) << 32 | mni_get_u64(p + 8);
        if (entry.lsn % 200 == 0) {
            f->n_wrong += mni_wal_checkpoint(f->wal, entry.lsn, NULL) != MN_OK;
            f->n_wrong += mni_wal_truncate(f->wal, entry.lsn, NULL, NULL) != MN_OK;
            mni_wal_get_stats(f->wal, &stats);
            f->n_wrong += stats.current_lsn < entry.lsn;
        }
    }
    mni_wal_cursor_close(cursor);
}

static void run_threads(mn_sync_policy sync)
{
    static struct writer writers[THREADS];
    static struct follower follower;
    static bool is_taken[LSNS];
    struct mni_wal_stats stats;
    struct mni_wal *wal = open_log(check_temp_dir(), sync);

    follower = (struct follower){.wal = wal};
    memset(is_taken, 0, sizeof is_taken);
    CHECK_OK(mni_thread_start(&follower.thread, follow, &follower, NULL));
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.wal = wal, .id = i};
        CHECK_OK(mni_thread_start(&writers[i].thread, write_commits, &writers[i], NULL));
    }
    for (unsigned i = 0; i < THREADS; i++)
        mni_thread_join(&writers[i].thread);
    mni_thread_join(&follower.thread);
    CHECK_EQ(follower.n_wrong, 0);
    CHECK_EQ(follower.last_lsn, LSNS - 1);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK_EQ(writers[i].n_wrong, 0);
        for (unsigned k = 0; k < PER_THREAD; k++) {
            uint64_t lsn = writers[i].lsns[k];
            CHECK(lsn > 0 && lsn < LSNS && !is_taken[lsn]); /* dense, each given once */
            is_taken[lsn] = true;
            CHECK(k == 0 || lsn > writers[i].lsns[k - 1]);
            CHECK_EQ(follower.seen[lsn], (uint64_t)i << 32 | k); /* the log's order is LSN order */
        }
    }
    mni_wal_get_stats(wal, &stats);
    CHECK_EQ(stats.n_commits, LSNS - 1);
    CHECK(stats.n_groups <= stats.n_commits);
    CHECK_OK(mni_wal_close(wal, NULL));
}

static void sixteen_threads_share_syncs(void)
{
    run_threads(MN_SYNC_EVERY_WRITE);
}

static void sixteen_threads_beside_timed_syncs(void)
{
    run_threads(MN_SYNC_EVERY_MS);
}

static void sixteen_threads_with_a_sync_every_ten(void)
{
    run_threads(MN_SYNC_EVERY_N);
}

/* The log on its own ----------*/

struct shared {
    mn_wal *wal;
    atomic_uint n_inside;
    atomic_uint n_overlaps;
    atomic_uint n_asked;
};

static mn_status on_checkpoint(void *context, uint64_t newest_lsn, uint64_t *safe_lsn_out)
{
    struct shared *shared = context;

    if (atomic_fetch_add(&shared->n_inside, 1) > 0)
        atomic_fetch_add(&shared->n_overlaps, 1);
    atomic_fetch_add(&shared->n_asked, 1);
    /* Others append meanwhile: nothing they need is held. */
    mn_status st = mn_wal_append(shared->wal, mn_str("inside"), MN_ACK_DISK, NULL, NULL);
    if (newest_lsn == 0 || newest_lsn > mn_wal_current_lsn(shared->wal))
        atomic_fetch_add(&shared->n_overlaps, 1);
    *safe_lsn_out = newest_lsn;
    atomic_fetch_sub(&shared->n_inside, 1);
    return st;
}

struct appender {
    struct mni_thread thread;
    struct shared *shared;
    unsigned n_wrong;
};

static void append_records(void *context)
{
    struct appender *a = context;

    for (int i = 0; i < PER_THREAD; i++) {
        mn_wal_txn *txn = NULL;
        mn_status st = mn_wal_append(a->shared->wal, mn_str("one"), MN_ACK_OS, NULL, NULL);
        a->n_wrong += st != MN_OK;
        a->n_wrong += mn_wal_txn_begin(a->shared->wal, &txn, NULL) != MN_OK;
        a->n_wrong += mn_wal_txn_append(txn, mn_str("two"), NULL) != MN_OK;
        a->n_wrong += mn_wal_txn_append(txn, mn_str("three"), NULL) != MN_OK;
        a->n_wrong += mn_wal_txn_commit(txn, MN_ACK_NONE, NULL, NULL) != MN_OK;
    }
}

static void the_callback_runs_in_one_thread_at_a_time(void)
{
    struct shared shared = {0};
    struct appender appenders[THREADS];
    struct mn_wal_options options = {.size = sizeof options,
                                     .create = true,
                                     .file_bytes = 64 << 10,
                                     .sync = MN_SYNC_MANUAL,
                                     .checkpoint_threshold_records = THRESHOLD,
                                     .checkpoint = on_checkpoint,
                                     .checkpoint_context = &shared};
    struct mn_wal_stats stats = {.size = sizeof stats};
    struct mn_error err;
    CHECK_OK_ERR(mn_wal_open(check_temp_dir(), &options, &shared.wal, &err), &err);
    for (unsigned i = 0; i < THREADS; i++) {
        appenders[i] = (struct appender){.shared = &shared};
        CHECK_OK(mni_thread_start(&appenders[i].thread, append_records, &appenders[i], NULL));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        mni_thread_join(&appenders[i].thread);
        CHECK_EQ(appenders[i].n_wrong, 0);
    }
    CHECK_EQ(atomic_load(&shared.n_overlaps), 0);
    CHECK(atomic_load(&shared.n_asked) > 0);
    /* How often they met a callback that ran was chance. One thread alone is asked each time. */
    for (unsigned i = 0; i < 6 * THRESHOLD; i++)
        CHECK_OK(mn_wal_append(shared.wal, mn_str("one"), MN_ACK_NONE, NULL, NULL));
    CHECK(atomic_load(&shared.n_asked) > 5);
    CHECK_OK(mn_wal_stats(shared.wal, &stats, NULL));
    CHECK(stats.checkpoint_lsn > 0);
    CHECK_OK(mn_wal_close(shared.wal, &err));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(sixteen_threads_share_syncs),
        CHECK_TEST(sixteen_threads_beside_timed_syncs),
        CHECK_TEST(sixteen_threads_with_a_sync_every_ten),
        CHECK_TEST(the_callback_runs_in_one_thread_at_a_time),
    };
    return check_run("thread.wal", tests, CHECK_COUNT(tests), argc, argv);
}
