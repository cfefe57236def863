/* Tests of the log on its own, through its public functions, in the real world. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mneme/wal.h"

enum { N_SEEN_MAX = 4096 };

struct seen {
    size_t n;
    struct mn_wal_record records[N_SEEN_MAX]; /* `data` points into `bytes` */
    char bytes[N_SEEN_MAX][32];
    size_t stop_after; /* 0 = never */
};

static mn_status note(void *context, const struct mn_wal_record *record)
{
    struct seen *seen = context;

    if (seen->n < N_SEEN_MAX) {
        seen->records[seen->n] = *record;
        size_t n = record->data.n_bytes < 31 ? record->data.n_bytes : 31;
        memcpy(seen->bytes[seen->n], record->data.data, n);
        seen->bytes[seen->n][n] = '\0';
    }
    seen->n++;
    return seen->n == seen->stop_after ? MN_ERR_CANCELLED : MN_OK;
}

static struct seen seen;

static size_t replay(mn_wal *wal)
{
    struct mn_error err;

    seen = (struct seen){0};
    CHECK_OK_ERR(mn_wal_recover(wal, note, &seen, &err), &err);
    return seen.n;
}

static mn_wal *open_with(const char *path, struct mn_wal_options options)
{
    mn_wal *wal = NULL;
    struct mn_error err;

    options.size = sizeof options;
    options.create = !options.read_only;
    if (options.file_bytes == 0)
        options.file_bytes = 64 << 10;
    CHECK_OK_ERR(mn_wal_open(path, &options, &wal, &err), &err);
    return wal;
}

static mn_status try_open(const char *path, struct mn_wal_options options, struct mn_error *err)
{
    mn_wal *wal = NULL;

    options.size = sizeof options;
    mn_status st = mn_wal_open(path, &options, &wal, err);
    if (st == MN_OK)
        CHECK_OK(mn_wal_close(wal, NULL));
    return st;
}

static uint64_t append(mn_wal *wal, const char *text)
{
    uint64_t lsn = 0;
    struct mn_error err;

    CHECK_OK_ERR(mn_wal_append(wal, mn_str(text), MN_ACK_DEFAULT, &lsn, &err), &err);
    return lsn;
}

static struct mn_wal_stats stats_of(mn_wal *wal)
{
    struct mn_wal_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_wal_stats(wal, &stats, NULL));
    return stats;
}

static void records_come_back_as_they_were(void)
{
    const char *path = check_temp_dir();
    mn_wal *wal = open_with(path, (struct mn_wal_options){0});
    char text[64] = "abcdefghijklmnopqrstuvwxyz01234";
    for (size_t n = 0; n < 31; n++) {
        uint64_t lsn = 0;
        CHECK_OK(mn_wal_append(wal, (struct mn_slice){text, n}, MN_ACK_OS, &lsn, NULL));
        CHECK_EQ(lsn, n + 1);
    }
    CHECK_OK(mn_wal_close(wal, NULL));
    wal = open_with(path, (struct mn_wal_options){.read_only = true});
    CHECK_EQ(mn_wal_current_lsn(wal), 31);
    CHECK_EQ(replay(wal), 31);
    CHECK_EQ(replay(wal), 31);
    for (size_t n = 0; n < 31; n++) {
        CHECK_EQ(seen.records[n].lsn, n + 1);
        CHECK_EQ(seen.records[n].n_in_commit, 1);
        CHECK_EQ(seen.records[n].data.n_bytes, n);
        CHECK_MEM_EQ(seen.bytes[n], text, n);
    }
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void a_transaction_is_one_commit(void)
{
    const char *path = check_temp_dir();
    mn_wal *wal = open_with(path, (struct mn_wal_options){0});
    mn_wal_txn *txn;
    uint64_t lsn = 99;
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    CHECK_OK(mn_wal_txn_commit(txn, MN_ACK_DISK, &lsn, NULL));
    CHECK_EQ(lsn, 0);
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    CHECK_OK(mn_wal_txn_append(txn, mn_str("never"), NULL));
    mn_wal_txn_rollback(txn);
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    CHECK_OK(mn_wal_txn_append(txn, mn_str("first"), NULL));
    CHECK_EQ(append(wal, "between"), 1);
    CHECK_OK(mn_wal_txn_append(txn, mn_str(""), NULL));
    CHECK_OK(mn_wal_txn_append(txn, mn_str("third of three"), NULL));
    CHECK_OK(mn_wal_txn_commit(txn, MN_ACK_DISK, &lsn, NULL));
    CHECK_EQ(lsn, 2);
    CHECK_EQ(replay(wal), 4);
    CHECK_STR_EQ(seen.bytes[0], "between");
    CHECK_STR_EQ(seen.bytes[1], "first");
    CHECK_STR_EQ(seen.bytes[2], "");
    CHECK_STR_EQ(seen.bytes[3], "third of three");
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(seen.records[1 + i].lsn, 2);
        CHECK_EQ(seen.records[1 + i].index_in_commit, i);
        CHECK_EQ(seen.records[1 + i].n_in_commit, 3);
    }
    CHECK(seen.records[1].commit_time_us >= seen.records[0].commit_time_us);
    mn_wal_txn_rollback(NULL);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void limits_refuse_and_change_nothing(void)
{
    mn_wal *wal = open_with(check_temp_dir(), (struct mn_wal_options){0});
    struct mn_slice big = {"x", (256u << 20) - 63};
    mn_wal_txn *txn;
    CHECK_STATUS(mn_wal_append(wal, big, MN_ACK_OS, NULL, NULL), MN_ERR_LIMIT);
    CHECK_STATUS(mn_wal_append(wal, (struct mn_slice){NULL, 1}, MN_ACK_OS, NULL, NULL),
                 MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_append(wal, mn_str("x"), (mn_ack)4, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_append(wal, mn_str("x"), (mn_ack)-1, NULL, NULL), MN_ERR_INVALID);
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    CHECK_STATUS(mn_wal_txn_append(txn, big, NULL), MN_ERR_LIMIT);
    CHECK_OK(mn_wal_txn_append(txn, mn_str("fine"), NULL));
    CHECK_OK(mn_wal_txn_commit(txn, MN_ACK_OS, NULL, NULL));
    CHECK_EQ(replay(wal), 1);
    CHECK_EQ(mn_wal_current_lsn(wal), 1);
    CHECK_STATUS(mn_wal_checkpoint(wal, 2, NULL), MN_ERR_INVALID);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void nonsense_options_are_refused(void)
{
    const char *path = check_temp_dir();
    struct mn_error err;
    const struct mn_wal_options bad[] = {
        {.create = true, .file_bytes = 4096},
        {.create = true, .file_bytes = (UINT64_C(4) << 30) + 1},
        {.create = true, .sync = (mn_sync_policy)9},
        {.create = true, .sync = MN_SYNC_EVERY_MS, .sync_interval_ms = 3600001},
        {.create = true, .sync = MN_SYNC_EVERY_N, .sync_every_commits = 1000001},
        {.create = true, .recovery = (mn_recovery)3},
        {.create = true, .stop_lsn = 1},
        {.create = true, .stop_time_us = 1},
    };
    for (size_t i = 0; i < CHECK_COUNT(bad); i++)
        CHECK_STATUS(try_open(path, bad[i], &err), MN_ERR_INVALID);
    mn_wal *wal = NULL;
    struct mn_wal_options no_size = {.create = true};
    CHECK_STATUS(mn_wal_open(path, &no_size, &wal, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_open(NULL, NULL, &wal, &err), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_open(path, NULL, &wal, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(try_open(path, (struct mn_wal_options){.read_only = true, .create = true}, &err),
                 MN_ERR_NO_STORE);
    char missing[700];
    (void)snprintf(missing, sizeof missing, "%s/missing", path);
    CHECK_STATUS(try_open(missing, (struct mn_wal_options){0}, &err), MN_ERR_NO_STORE);
    CHECK_OK_ERR(
        try_open(missing, (struct mn_wal_options){.create = true, .file_bytes = 70000}, &err),
        &err);
}

static void option_structs_of_other_sizes_are_understood(void)
{
    const char *path = check_temp_dir();
    struct {
        struct mn_wal_options options;
        unsigned char more[16];
    } newer = {.options = {.size = sizeof newer, .create = true}};
    struct mn_error err;
    mn_wal *wal = NULL;
    newer.more[3] = 1;
    CHECK_STATUS(mn_wal_open(path, &newer.options, &wal, &err), MN_ERR_UNSUPPORTED);
    newer.more[3] = 0;
    newer.options.file_bytes = 64 << 10;
    CHECK_OK_ERR(mn_wal_open(path, &newer.options, &wal, &err), &err);
    CHECK_EQ(append(wal, "x"), 1);
    CHECK_OK(mn_wal_close(wal, NULL));
    struct mn_wal_options older = {.size = offsetof(struct mn_wal_options, recovery)};
    older.recovery = (mn_recovery)77; /* behind what it says it has */
    CHECK_OK_ERR(mn_wal_open(path, &older, &wal, &err), &err);
    struct mn_wal_stats few = {.size = 2 * sizeof few.size, .durable_lsn = 12345};
    CHECK_OK(mn_wal_stats(wal, &few, NULL));
    CHECK_EQ(few.current_lsn, 1);
    CHECK_EQ(few.durable_lsn, 12345);
    few.size = 0;
    CHECK_STATUS(mn_wal_stats(wal, &few, NULL), MN_ERR_INVALID);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void a_directory_of_other_things_is_left_alone(void)
{
    const char *path = check_temp_dir();
    char other[700];
    struct mn_error err;
    (void)snprintf(other, sizeof other, "%s/letters", path);
    CHECK_EQ(mkdir(other, 0700), 0);
    CHECK_STATUS(try_open(path, (struct mn_wal_options){.create = true}, &err), MN_ERR_NO_STORE);
    CHECK_EQ(rmdir(other), 0);
    CHECK_OK(try_open(path, (struct mn_wal_options){.create = true, .file_bytes = 1 << 16}, &err));
}

static void writers_exclude_everybody_and_readers_do_not(void)
{
    const char *path = check_temp_dir();
    char file[700];
    struct mn_error err;
    mn_wal *wal = open_with(path, (struct mn_wal_options){0});
    struct mn_wal_options as_reader = {.read_only = true};
    struct mn_wal_options as_writer = {.create = true};
    CHECK_STATUS(try_open(path, as_writer, &err), MN_ERR_IN_USE);
    CHECK_STATUS(try_open(path, as_reader, &err), MN_ERR_IN_USE);
    (void)snprintf(file, sizeof file, "%s/00000000000000000001.wal", path);
    CHECK_EQ(unlink(file), 0);
    CHECK_STATUS(try_open(path, as_writer, &err), MN_ERR_IN_USE);
    CHECK_STATUS(mn_wal_close(wal, NULL), MN_ERR_IO); /* its file is gone */
    CHECK_OK(mn_wal_close(open_with(path, (struct mn_wal_options){0}), NULL));
    wal = open_with(path, as_reader);
    mn_wal *second = open_with(path, as_reader);
    CHECK_STATUS(try_open(path, as_writer, &err), MN_ERR_IN_USE);
    CHECK_OK(mn_wal_close(second, NULL));
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void readers_may_not_write(void)
{
    const char *path = check_temp_dir();
    mn_wal_txn *txn;
    mn_wal *wal = open_with(path, (struct mn_wal_options){0});
    (void)append(wal, "x");
    CHECK_OK(mn_wal_close(wal, NULL));
    wal = open_with(path, (struct mn_wal_options){.read_only = true});
    CHECK_STATUS(mn_wal_append(wal, mn_str("x"), MN_ACK_OS, NULL, NULL), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_wal_txn_begin(wal, &txn, NULL), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_wal_checkpoint(wal, 1, NULL), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_wal_truncate(wal, 1, NULL, NULL), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_wal_flush(wal, NULL), MN_ERR_READ_ONLY);
    CHECK_EQ(stats_of(wal).n_records, 1);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void closing_waits_for_cursors_and_transactions(void)
{
    mn_wal *wal = open_with(check_temp_dir(), (struct mn_wal_options){0});
    mn_wal_cursor *cursor;
    mn_wal_txn *txn;
    CHECK_OK(mn_wal_cursor_open(wal, 1, &cursor, NULL));
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    CHECK_STATUS(mn_wal_close(wal, NULL), MN_ERR_BUSY);
    mn_wal_cursor_close(cursor);
    CHECK_STATUS(mn_wal_close(wal, NULL), MN_ERR_BUSY);
    CHECK_EQ(append(wal, "still open"), 1);
    mn_wal_txn_rollback(txn);
    CHECK_OK(mn_wal_close(wal, NULL));
    CHECK_OK(mn_wal_close(NULL, NULL));
    mn_wal_cursor_close(NULL);
}

/* Runs in the child; returns the number of calls that did not refuse. */
static int use_after_fork(mn_wal *wal, mn_wal_cursor *cursor, mn_wal_txn *txn)
{
    struct mn_wal_record record;
    struct mn_wal_stats stats = {.size = sizeof stats};
    mn_wal_txn *other;
    int n_wrong = 0;
    n_wrong += mn_wal_append(wal, mn_str("x"), MN_ACK_OS, NULL, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_txn_begin(wal, &other, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_txn_append(txn, mn_str("x"), NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_txn_commit(txn, MN_ACK_OS, NULL, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_cursor_next(cursor, &record, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_recover(wal, note, &seen, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_checkpoint(wal, 1, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_truncate(wal, 1, NULL, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_flush(wal, NULL) != MN_ERR_FORKED;
    n_wrong += mn_wal_stats(wal, &stats, NULL) != MN_ERR_FORKED;
    mn_wal_cursor_close(cursor);
    n_wrong += mn_wal_close(wal, NULL) != MN_ERR_FORKED;
    return n_wrong;
}

static void a_handle_is_useless_after_fork(void)
{
    mn_wal *wal = open_with(check_temp_dir(), (struct mn_wal_options){0});
    mn_wal_cursor *cursor;
    mn_wal_txn *txn;
    int code = 0;
    CHECK_OK(mn_wal_cursor_open(wal, 1, &cursor, NULL));
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    (void)append(wal, "before");
    pid_t child = fork();
    if (child == 0)
        _exit(use_after_fork(wal, cursor, txn));
    CHECK_EQ(waitpid(child, &code, 0), child);
    CHECK_EQ(WIFEXITED(code) ? WEXITSTATUS(code) : -1, 0);
    mn_wal_cursor_close(cursor);
    CHECK_OK(mn_wal_txn_commit(txn, MN_ACK_OS, NULL, NULL));
    CHECK_EQ(append(wal, "after"), 2);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void replay_begins_after_the_checkpoint(void)
{
    const char *path = check_temp_dir();
    mn_wal *wal = open_with(path, (struct mn_wal_options){.sync = MN_SYNC_MANUAL});
    for (int i = 0; i < 10; i++)
        (void)append(wal, i == 7 ? "the eighth" : "another");
    CHECK_OK(mn_wal_checkpoint(wal, 7, NULL));
    CHECK_OK(mn_wal_checkpoint(wal, 3, NULL));
    for (int again = 0; again < 2; again++) {
        CHECK_EQ(replay(wal), 3);
        CHECK_STR_EQ(seen.bytes[0], "the eighth");
        CHECK_EQ(stats_of(wal).records_since_checkpoint, 3);
        CHECK_EQ(stats_of(wal).checkpoint_lsn, 7);
        CHECK_OK(mn_wal_close(wal, NULL));
        wal = open_with(path, (struct mn_wal_options){.sync = MN_SYNC_MANUAL});
    }
    seen = (struct seen){.stop_after = 2};
    CHECK_STATUS(mn_wal_recover(wal, note, &seen, NULL), MN_ERR_CANCELLED);
    CHECK_EQ(seen.n, 2);
    CHECK_STATUS(mn_wal_recover(wal, NULL, NULL, NULL), MN_ERR_INVALID);
    CHECK_OK(mn_wal_checkpoint(wal, 10, NULL));
    CHECK_EQ(replay(wal), 0);
    CHECK_OK(mn_wal_close(wal, NULL));
}

struct asked {
    mn_wal *wal;
    int n;
    int depth;
    int depth_max;
    uint64_t newest_lsn;
    uint64_t n_unsafe; /* newest LSNs that are not safe elsewhere yet */
    mn_status answer;
};

static mn_status on_checkpoint(void *context, uint64_t newest_lsn, uint64_t *safe_lsn_out)
{
    struct asked *asked = context;

    asked->n++;
    asked->depth++;
    if (asked->depth > asked->depth_max)
        asked->depth_max = asked->depth;
    asked->newest_lsn = newest_lsn;
    CHECK_EQ(*safe_lsn_out, 0);
    /* Appending here neither locks up nor asks again. */
    for (int i = 0; i < 20; i++)
        (void)append(asked->wal, "from the callback");
    asked->depth--;
    *safe_lsn_out = newest_lsn - asked->n_unsafe;
    return asked->answer;
}

static void the_threshold_asks_for_a_checkpoint_and_trims(void)
{
    struct asked asked = {0};
    mn_wal *wal =
        open_with(check_temp_dir(), (struct mn_wal_options){.sync = MN_SYNC_MANUAL,
                                                            .checkpoint_threshold_records = 100,
                                                            .checkpoint = on_checkpoint,
                                                            .checkpoint_context = &asked});
    asked.wal = wal;
    for (int i = 1; i < 100; i++)
        (void)append(wal, "one of many");
    CHECK_EQ(asked.n, 0);
    (void)append(wal, "the hundredth");
    CHECK_EQ(asked.n, 1);
    CHECK_EQ(asked.newest_lsn, 100);
    CHECK_EQ(stats_of(wal).checkpoint_lsn, 100);
    CHECK_EQ(stats_of(wal).records_since_checkpoint, 20);
    for (int i = 0; i < 79; i++)
        (void)append(wal, "one of many");
    CHECK_EQ(asked.n, 1);
    (void)append(wal, "the hundredth since");
    CHECK_EQ(asked.n, 2);
    CHECK_EQ(asked.depth_max, 1);
    asked.answer = MN_ERR_BUSY;
    for (int i = 0; i < 400; i++)
        (void)append(wal, "one of many");
    CHECK_EQ(asked.n, 6);
    CHECK_EQ(stats_of(wal).checkpoint_lsn, 200);
    asked.answer = MN_OK;
    for (int i = 0; i < 20000; i++)
        (void)append(wal, "the log does not grow for ever");
    CHECK(stats_of(wal).n_files <= 2);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void only_what_the_callback_calls_safe_is_trimmed(void)
{
    struct asked asked = {.n_unsafe = 1};
    mn_wal *wal =
        open_with(check_temp_dir(), (struct mn_wal_options){.sync = MN_SYNC_MANUAL,
                                                            .checkpoint_threshold_records = 100,
                                                            .checkpoint = on_checkpoint,
                                                            .checkpoint_context = &asked});
    asked.wal = wal;
    for (int i = 0; i < 100; i++)
        (void)append(wal, "one of many");
    CHECK_EQ(asked.n, 1);
    CHECK_EQ(stats_of(wal).checkpoint_lsn, 99);
    CHECK_EQ(replay(wal), 21); /* the hundredth, and those from the callback */
    /* What says that nothing is safe is asked again after as many records, not at once. */
    for (int i = 0; i < 400; i++) {
        asked.n_unsafe = mn_wal_current_lsn(wal) + 1;
        (void)append(wal, "one of many");
    }
    CHECK_EQ(stats_of(wal).checkpoint_lsn, 99);
    CHECK_EQ(asked.n, 5);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void a_cursor_shows_records_and_follows(void)
{
    mn_wal *wal = open_with(check_temp_dir(), (struct mn_wal_options){.sync = MN_SYNC_MANUAL});
    struct mn_wal_record record;
    mn_wal_cursor *cursor;
    mn_wal_txn *txn;
    CHECK_OK(mn_wal_cursor_open(wal, 2, &cursor, NULL));
    CHECK_STATUS(mn_wal_cursor_next(cursor, &record, NULL), MN_END);
    (void)append(wal, "not asked for");
    CHECK_STATUS(mn_wal_cursor_next(cursor, &record, NULL), MN_END);
    CHECK_OK(mn_wal_txn_begin(wal, &txn, NULL));
    CHECK_OK(mn_wal_txn_append(txn, mn_str("a"), NULL));
    CHECK_OK(mn_wal_txn_append(txn, mn_str("b"), NULL));
    CHECK_OK(mn_wal_txn_commit(txn, MN_ACK_NONE, NULL, NULL));
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_OK(mn_wal_cursor_next(cursor, &record, NULL));
        CHECK_EQ(record.lsn, 2);
        CHECK_EQ(record.index_in_commit, i);
        CHECK_MEM_EQ(record.data.data, i == 0 ? "a" : "b", 1);
    }
    struct mn_error err = {.status = MN_ERR_IO};
    CHECK_STATUS(mn_wal_cursor_next(cursor, &record, &err), MN_END);
    CHECK_STATUS(err.status, MN_END); /* every status but MN_OK says more */
    CHECK_EQ(err.os_errno, 0);
    CHECK(err.message[0] != '\0');
    mn_wal_cursor_close(cursor);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void a_point_in_time_ends_the_log_there(void)
{
    const char *path = check_temp_dir();
    mn_wal *wal = open_with(path, (struct mn_wal_options){.sync = MN_SYNC_MANUAL});
    int64_t time_us[3000];
    for (int i = 0; i < 3000; i++)
        (void)append(wal, "some forty bytes to fill several files");
    CHECK(stats_of(wal).n_files > 2);
    CHECK_EQ(replay(wal), 3000);
    for (int i = 0; i < 3000; i++)
        time_us[i] = seen.records[i].commit_time_us;
    CHECK_OK(mn_wal_close(wal, NULL));
    for (uint64_t stop = 1; stop <= 3000; stop += 293) {
        struct mn_wal_options options = {.recovery = MN_RECOVERY_POINT_IN_TIME, .stop_lsn = stop};
        wal = open_with(path, options);
        CHECK_EQ(replay(wal), stop);
        CHECK_EQ(mn_wal_current_lsn(wal), stop);
        CHECK_STATUS(mn_wal_append(wal, mn_str("x"), MN_ACK_OS, NULL, NULL), MN_ERR_READ_ONLY);
        CHECK_OK(mn_wal_close(wal, NULL));
        size_t n_until = 0;
        while (n_until < 3000 && time_us[n_until] <= time_us[stop - 1])
            n_until++;
        wal = open_with(path, (struct mn_wal_options){.recovery = MN_RECOVERY_POINT_IN_TIME,
                                                      .stop_time_us = time_us[stop - 1]});
        CHECK_EQ(replay(wal), n_until);
        CHECK_OK(mn_wal_close(wal, NULL));
    }
    wal = open_with(path, (struct mn_wal_options){0});
    CHECK_EQ(append(wal, "nothing was changed"), 3001);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void the_largest_transaction_survives_a_restart(void)
{
    const char *path = check_temp_dir();
    size_t n = (256u << 20) - 64;
    char *bytes = malloc(n);
    mn_wal *wal = open_with(path, (struct mn_wal_options){0});
    CHECK(bytes != NULL);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + i / 4096);
    CHECK_OK(mn_wal_append(wal, (struct mn_slice){bytes, n}, MN_ACK_DISK, NULL, NULL));
    CHECK_EQ(append(wal, "small"), 2);
    CHECK_EQ(stats_of(wal).n_records, 2);
    CHECK_OK(mn_wal_close(wal, NULL));
    wal = open_with(path, (struct mn_wal_options){.read_only = true});
    struct mn_wal_record record;
    mn_wal_cursor *cursor;
    CHECK_OK(mn_wal_cursor_open(wal, 1, &cursor, NULL));
    CHECK_OK(mn_wal_cursor_next(cursor, &record, NULL));
    CHECK_EQ(record.data.n_bytes, n);
    CHECK_MEM_EQ(record.data.data, bytes, n);
    CHECK_OK(mn_wal_cursor_next(cursor, &record, NULL));
    CHECK_EQ(record.lsn, 2);
    CHECK_STATUS(mn_wal_cursor_next(cursor, &record, NULL), MN_END);
    mn_wal_cursor_close(cursor);
    CHECK_OK(mn_wal_close(wal, NULL));
    free(bytes);
}

static void a_directory_that_is_removed_is_not_made_anew(void)
{
    const char *path = check_temp_dir();
    char directory[700], file[760];
    struct mn_error err;
    mn_status st = MN_OK;
    (void)snprintf(directory, sizeof directory, "%s/log", path);
    mn_wal *wal = open_with(directory, (struct mn_wal_options){.no_background = true});
    (void)append(wal, "before");
    (void)snprintf(file, sizeof file, "%s/00000000000000000001.wal", directory);
    CHECK_EQ(unlink(file), 0);
    CHECK_EQ(rmdir(directory), 0);
    for (int i = 0; i < 3000 && st == MN_OK; i++)
        st = mn_wal_append(wal, mn_str("until a new file is needed"), MN_ACK_OS, NULL, &err);
    CHECK_STATUS(st, MN_ERR_IO);
    CHECK_STATUS(err.status, MN_ERR_IO);
    CHECK(access(directory, F_OK) != 0);
    /* The rotation found it out; nothing was promised after that. */
    CHECK_STATUS(mn_wal_close(wal, &err), MN_ERR_POISONED);
    CHECK(access(directory, F_OK) != 0);
}

static void nothing_is_durable_in_a_file_that_was_removed(void)
{
    const char *path = check_temp_dir();
    char file[760];
    struct mn_error err;
    mn_wal *wal = open_with(path, (struct mn_wal_options){.no_background = true});
    (void)append(wal, "before");
    (void)snprintf(file, sizeof file, "%s/00000000000000000001.wal", path);
    CHECK_EQ(unlink(file), 0);
    CHECK_STATUS(mn_wal_append(wal, mn_str("x"), MN_ACK_DISK, NULL, &err), MN_ERR_IO);
    CHECK_STR_HAS(err.message, "was removed");
    CHECK_STATUS(mn_wal_append(wal, mn_str("x"), MN_ACK_OS, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_wal_close(wal, &err), MN_ERR_POISONED);
}

static void calls_without_a_handle_are_refused(void)
{
    struct mn_wal_stats stats = {.size = sizeof stats};
    struct mn_wal_record record;
    mn_wal_cursor *cursor;
    CHECK_STATUS(mn_wal_append(NULL, mn_str("x"), MN_ACK_OS, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_txn_append(NULL, mn_str("x"), NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_txn_commit(NULL, MN_ACK_OS, NULL, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_cursor_open(NULL, 1, &cursor, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_cursor_next(NULL, &record, NULL), MN_ERR_INVALID);
    CHECK_STATUS(mn_wal_stats(NULL, &stats, NULL), MN_ERR_INVALID);
    CHECK_EQ(mn_wal_current_lsn(NULL), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(records_come_back_as_they_were),
        CHECK_TEST(a_transaction_is_one_commit),
        CHECK_TEST(limits_refuse_and_change_nothing),
        CHECK_TEST(nonsense_options_are_refused),
        CHECK_TEST(option_structs_of_other_sizes_are_understood),
        CHECK_TEST(a_directory_of_other_things_is_left_alone),
        CHECK_TEST(writers_exclude_everybody_and_readers_do_not),
        CHECK_TEST(readers_may_not_write),
        CHECK_TEST(closing_waits_for_cursors_and_transactions),
        CHECK_TEST(a_handle_is_useless_after_fork),
        CHECK_TEST(replay_begins_after_the_checkpoint),
        CHECK_TEST(the_threshold_asks_for_a_checkpoint_and_trims),
        CHECK_TEST(only_what_the_callback_calls_safe_is_trimmed),
        CHECK_TEST(a_cursor_shows_records_and_follows),
        CHECK_TEST(a_point_in_time_ends_the_log_there),
        CHECK_TEST(the_largest_transaction_survives_a_restart),
        CHECK_TEST(a_directory_that_is_removed_is_not_made_anew),
        CHECK_TEST(nothing_is_durable_in_a_file_that_was_removed),
        CHECK_TEST(calls_without_a_handle_are_refused),
    };
    return check_run("api.wal", tests, CHECK_COUNT(tests), argc, argv);
}
