/* Tests of the log as a whole: commits, opening again, cutting a tail. */
#include "check.h"

#include <string.h>

#include "base/bytes.h"
#include "io/posix.h"
#include "wal/wal.h"

struct seen {
    uint64_t n;
    uint64_t last_lsn;
    unsigned char last[64];
};

static mn_status note_entry(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct seen *seen = context;
    (void)err;
    seen->n++;
    seen->last_lsn = entry->lsn;
    memcpy(seen->last, entry->payload.data,
           entry->payload.n_bytes < sizeof seen->last ? entry->payload.n_bytes : sizeof seen->last);
    return MN_OK;
}

static struct mni_wal *open_log(const char *path, mn_sync_policy sync, struct seen *seen)
{
    struct mni_wal_config config = {
        .env = mni_posix_env(),
        .any_store_id = true,
        .create = true,
        .file_bytes = 64 << 10,
        .sync = sync,
        .replay = note_entry,
        .replay_context = seen,
    };
    struct mni_wal *wal = NULL;
    struct mn_error err;
    *seen = (struct seen){0};
    CHECK_OK_ERR(mni_env_open_dir(config.env, path, true, &config.dir, &err), &err);
    CHECK_OK_ERR(mni_wal_open(&config, &wal, &err), &err);
    return wal;
}

static uint64_t append(struct mni_wal *wal, const char *text, mn_ack ack)
{
    unsigned char bytes[1024] = {0};
    struct mni_commit commit;
    struct mn_error err;
    memcpy(bytes, text, strlen(text));
    struct mn_slice part = {bytes, mni_align_up(strlen(text), 8)};
    CHECK_OK(mni_commit_init(&commit, &part, 1, 1, ack, NULL, &err));
    CHECK_OK_ERR(mni_wal_commit(wal, &commit), &err);
    return commit.lsn;
}

static void commits_come_back_in_order(void)
{
    const char *path = check_temp_dir();
    struct seen seen;
    struct mni_wal *wal = open_log(path, MN_SYNC_EVERY_WRITE, &seen);
    for (uint64_t i = 1; i <= 3000; i++)
        CHECK_EQ(append(wal, "some bytes of a record, not a multiple", MN_ACK_DEFAULT), i);
    struct mni_wal_stats stats;
    mni_wal_get_stats(wal, &stats);
    CHECK_EQ(stats.n_records, 3000);
    CHECK(stats.n_files > 2);
    CHECK_EQ(stats.durable_lsn, 3000);
    CHECK_OK(mni_wal_close(wal, NULL));
    wal = open_log(path, MN_SYNC_EVERY_WRITE, &seen);
    CHECK_EQ(seen.n, 3000);
    CHECK_EQ(seen.last_lsn, 3000);
    CHECK_EQ(append(wal, "next", MN_ACK_OS), 3001);
    CHECK_OK(mni_wal_close(wal, NULL));
}

static void an_unclean_end_goes_on_above_the_ceiling(void)
{
    const char *path = check_temp_dir();
    struct seen seen;
    struct mni_wal *wal = open_log(path, MN_SYNC_MANUAL, &seen);
    CHECK_EQ(append(wal, "one", MN_ACK_OS), 1);
    CHECK_EQ(append(wal, "two", MN_ACK_NONE), 2);
    mni_wal_abandon(wal);
    wal = open_log(path, MN_SYNC_MANUAL, &seen);
    CHECK_EQ(seen.n, 1);
    uint64_t lsn = append(wal, "three", MN_ACK_DISK);
    CHECK(lsn > 2);
    CHECK_OK(mni_wal_close(wal, NULL));
    wal = open_log(path, MN_SYNC_MANUAL, &seen);
    CHECK_EQ(seen.n, 2);
    CHECK_EQ(seen.last_lsn, lsn);
    CHECK_MEM_EQ(seen.last, "three", 5);
    CHECK_OK(mni_wal_close(wal, NULL));
}

static void a_cursor_follows_the_tail(void)
{
    struct seen seen;
    struct mni_wal *wal = open_log(check_temp_dir(), MN_SYNC_MANUAL, &seen);
    struct mni_wal_cursor *cursor;
    struct mni_wal_entry entry;
    struct mn_error err;
    CHECK_OK_ERR(mni_wal_cursor_open(wal, 3, &cursor, &err), &err);
    CHECK_STATUS(mni_wal_cursor_next(cursor, &entry, &err), MN_END);
    for (uint64_t i = 1; i <= 2000; i++) {
        (void)append(wal, "abcdefgh ijklmnop abcdefgh ijklmnop", MN_ACK_NONE);
        if (i < 3) {
            CHECK_STATUS(mni_wal_cursor_next(cursor, &entry, &err), MN_END);
            continue;
        }
        CHECK_OK_ERR(mni_wal_cursor_next(cursor, &entry, &err), &err);
        CHECK_EQ(entry.lsn, i);
        CHECK_STATUS(mni_wal_cursor_next(cursor, &entry, &err), MN_END);
    }
    mni_wal_cursor_close(cursor);
    CHECK_OK(mni_wal_close(wal, NULL));
}

static void trim_removes_what_is_checkpointed(void)
{
    const char *path = check_temp_dir();
    struct seen seen;
    struct mni_wal *wal = open_log(path, MN_SYNC_MANUAL, &seen);
    struct mni_wal_stats stats;
    struct mn_error err;
    uint64_t n_removed = 0;
    for (uint64_t i = 1; i <= 3000; i++)
        (void)append(wal, "abcdefgh ijklmnop abcdefgh ijklmnop", MN_ACK_OS);
    CHECK_OK_ERR(mni_wal_truncate(wal, 3000, &n_removed, &err), &err);
    CHECK_EQ(n_removed, 0);
    CHECK_OK_ERR(mni_wal_checkpoint(wal, 2000, &err), &err);
    mni_wal_get_stats(wal, &stats);
    CHECK_EQ(stats.records_since_checkpoint, 1000);
    CHECK_OK_ERR(mni_wal_truncate(wal, 3000, &n_removed, &err), &err);
    CHECK(n_removed > 500 && n_removed <= 2000);
    mni_wal_get_stats(wal, &stats);
    CHECK_EQ(stats.n_records, 3000 - n_removed);
    CHECK_OK(mni_wal_close(wal, NULL));
    wal = open_log(path, MN_SYNC_MANUAL, &seen);
    CHECK_EQ(seen.n, 3000 - n_removed);
    mni_wal_get_stats(wal, &stats);
    CHECK_EQ(stats.checkpoint_lsn, 2000);
    CHECK_EQ(stats.records_since_checkpoint, 1000);
    CHECK_EQ(append(wal, "x", MN_ACK_DISK), 3001);
    CHECK_OK(mni_wal_close(wal, NULL));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(commits_come_back_in_order),
        CHECK_TEST(an_unclean_end_goes_on_above_the_ceiling),
        CHECK_TEST(a_cursor_follows_the_tail),
        CHECK_TEST(trim_removes_what_is_checkpointed),
    };
    return check_run("wal", tests, CHECK_COUNT(tests), argc, argv);
}
