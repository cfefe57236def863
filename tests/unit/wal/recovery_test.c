/* Tests of opening a log that something happened to. */
#include "fixture.h"

#include <errno.h>

/* A log of several files, each with commits; closed. The last file is empty of commits. */
static void make_files(struct world *w, bool seals)
{
    open_log(w);
    for (int file = 0; file < 3; file++) {
        for (int i = 0; i < 6; i++)
            commit(w, 200 + (size_t)(8 * i), MN_ACK_DISK);
        CHECK_OK_ERR(mni_wal_rotate(w->wal, &w->err), &w->err);
    }
    for (int i = 0; i < 3; i++)
        commit(w, 200, MN_ACK_DISK);
    if (seals)
        close_log(w);
    else
        abandon(w);
    CHECK_EQ(list_files(w).n, 4);
}

static void refuses(struct world *w, const char *what)
{
    w->err.message[0] = '\0';
    CHECK_STATUS(try_open(w), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w->err.message, what);
    w->config.recovery = MN_RECOVERY_STRICT;
    CHECK_STATUS(try_open(w), MN_ERR_CORRUPT);
    w->config.recovery = MN_RECOVERY_TAIL;
}

static void a_missing_file_refuses(void)
{
    for (size_t missing = 0; missing < 4; missing++)
        for (int seals = 0; seals < 2; seals++) {
            struct world w;
            world_init(&w, 1);
            make_files(&w, seals);
            struct names names = list_files(&w);
            size_t n_bytes;
            unsigned char *bytes = read_file(&w, names.names[missing], &n_bytes);
            remove_file(&w, names.names[missing]);
            /* The error names a file next to the gap, and an LSN of it. */
            refuses(&w, missing == 3 ? names.names[2] : names.names[missing + 1]);
            CHECK_STR_HAS(w.err.message, "missing");
            CHECK_EQ(list_files(&w).n, 3);
            write_file(&w, names.names[missing], bytes, n_bytes);
            open_log(&w);
            free(bytes);
            world_done(&w);
        }
}

static void a_copy_under_another_name_refuses(void)
{
    static const char *const copies[] = {"00000000000000000003.wal", "00000000000000000021.wal",
                                         "00000000000000009999.wal"};
    for (size_t i = 0; i < CHECK_COUNT(copies); i++) {
        struct world w;
        world_init(&w, 2);
        make_files(&w, true);
        struct names names = list_files(&w);
        size_t n_bytes;
        unsigned char *bytes = read_file(&w, names.names[1], &n_bytes);
        write_file(&w, copies[i], bytes, n_bytes);
        refuses(&w, copies[i]);
        free(bytes);
        world_done(&w);
    }
}

static void swapped_names_refuse(void)
{
    for (size_t a = 0; a < 4; a++)
        for (size_t b = a + 1; b < 4; b++) {
            struct world w;
            world_init(&w, 3);
            make_files(&w, true);
            struct names names = list_files(&w);
            size_t n_a, n_b;
            unsigned char *bytes_a = read_file(&w, names.names[a], &n_a);
            unsigned char *bytes_b = read_file(&w, names.names[b], &n_b);
            write_file(&w, names.names[a], bytes_b, n_b);
            write_file(&w, names.names[b], bytes_a, n_a);
            refuses(&w, names.names[a]);
            free(bytes_a);
            free(bytes_b);
            world_done(&w);
        }
}

static void a_file_of_another_log_refuses(void)
{
    struct world w, other;
    world_init(&w, 4);
    world_init(&other, 5);
    make_files(&w, true);
    make_files(&other, true);
    struct names names = list_files(&w);
    for (size_t i = 0; i < 4; i++) {
        size_t n_ours, n_bytes;
        unsigned char *ours = read_file(&w, names.names[i], &n_ours);
        unsigned char *bytes = read_file(&other, names.names[i], &n_bytes);
        write_file(&w, names.names[i], bytes, n_bytes);
        refuses(&w, i == 0 ? names.names[1] : names.names[i]);
        write_file(&w, names.names[i], ours, n_ours);
        free(ours);
        free(bytes);
    }
    open_log(&w);
    abandon(&w);
    w.config.any_store_id = false;
    memset(w.config.store_id, 7, sizeof w.config.store_id);
    refuses(&w, names.names[0]);
    CHECK_STR_HAS(w.err.message, "another store");
    w.config.any_store_id = true;
    w.config.is_alone = true;
    CHECK_STATUS(try_open(&w), MN_ERR_NO_STORE);
    world_done(&w);
    world_done(&other);
}

static void foreign_files_are_left_alone(void)
{
    static const char *const others[] = {"README",
                                         "1.wal",
                                         "0000000000000000000a.wal",
                                         "99999999999999999999.wal",
                                         "00000000000000000000.wal",
                                         "00000000000000000001.walx"};
    struct world w;
    world_init(&w, 6);
    make_files(&w, false);
    for (size_t i = 0; i < CHECK_COUNT(others); i++)
        write_file(&w, others[i], "x", 1);
    write_file(&w, "00000000000000000005.spare", "x", 1);
    write_file(&w, "00000000000000000005.new", "x", 1);
    open_log(&w);
    CHECK_EQ(list_files(&w).n, 4 + CHECK_COUNT(others));
    world_done(&w);
}

/* Writes commits of many sizes and returns where the last one begins. */
static uint64_t make_tail(struct world *w, size_t last_bytes)
{
    open_log(w);
    for (size_t i = 0; i < 5; i++)
        commit(w, 16 + 40 * i, MN_ACK_DISK);
    uint64_t begin = stats_of(w).current_file_bytes;
    commit(w, last_bytes, MN_ACK_DISK);
    abandon(w);
    return begin;
}

static void a_tail_torn_at_any_byte_is_cut(void)
{
    for (size_t torn = 0; torn < 48 + 128; torn++)
        for (int filler = 0; filler < 2; filler++) {
            struct world w;
            world_init(&w, 7);
            uint64_t begin = make_tail(&w, 128);
            const char *name = "00000000000000000001.wal";
            size_t n_bytes;
            unsigned char *bytes = read_file(&w, name, &n_bytes);
            size_t n_torn = 48 + 128 - torn;
            memset(bytes + begin + torn, filler == 0 ? 0 : 0xA5, n_torn);
            write_file(&w, name, bytes, n_bytes);
            w.n_promised = 5;
            bool leaves_a_trace = torn > 0 || filler == 1;
            w.config.recovery = MN_RECOVERY_STRICT;
            if (leaves_a_trace) {
                CHECK_STATUS(try_open(&w), MN_ERR_CORRUPT);
                CHECK_STR_HAS(w.err.message, "torn tail");
            }
            w.config.recovery = MN_RECOVERY_TAIL;
            open_log(&w);
            CHECK_EQ(w.n_seen, 5);
            CHECK_EQ(stats_of(&w).torn_tail_bytes > 0, leaves_a_trace);
            commit(&w, 16, MN_ACK_DISK);
            close_log(&w);
            w.config.recovery = MN_RECOVERY_STRICT;
            open_log(&w);
            CHECK_EQ(w.n_seen, 6);
            CHECK_EQ(stats_of(&w).torn_tail_bytes, 0);
            free(bytes);
            world_done(&w);
        }
}

/* Every combination of sectors of an unsynced group, at every place in a sector that a frame header
 * can have. */
static void any_sectors_of_an_unsynced_group_may_be_missing(void)
{
    for (size_t shift = 16; shift < 16 + 512; shift += 8) {
        for (uint64_t mask = 0; mask < 64; mask++) {
            struct world w;
            world_init(&w, 8);
            w.config.sync = MN_SYNC_MANUAL;
            open_log(&w);
            commit(&w, shift, MN_ACK_DISK);
            commit(&w, 504, MN_ACK_NONE);
            commit(&w, 16, MN_ACK_NONE);
            commit(&w, 504, MN_ACK_OS);
            size_t n_pending = mni_crash_env_n_pending(w.crash);
            CHECK(n_pending <= 6);
            abandon(&w);
            mni_crash_env_restart(w.crash, true, mask);
            open_log(&w);
            CHECK(mask != (UINT64_C(1) << n_pending) - 1 || w.n_seen == 4);
            world_done(&w);
            if (mask + 1 == UINT64_C(1) << n_pending)
                break;
        }
    }
}

static void damage_below_what_was_synced_refuses(void)
{
    struct world w;
    world_init(&w, 9);
    open_log(&w);
    uint64_t begin[6];
    for (size_t i = 0; i < 6; i++) {
        begin[i] = stats_of(&w).current_file_bytes;
        commit(&w, 128, MN_ACK_DISK);
    }
    abandon(&w);
    const char *name = "00000000000000000001.wal";
    size_t n_bytes;
    unsigned char *bytes = read_file(&w, name, &n_bytes);
    for (size_t i = 0; i < 5; i++) {
        char offset[64], range[64];
        bytes[begin[i] + 50] ^= 4;
        write_file(&w, name, bytes, n_bytes);
        bytes[begin[i] + 50] ^= 4;
        (void)snprintf(offset, sizeof offset, "offset %u", (unsigned)begin[i]);
        (void)snprintf(range, sizeof range, "LSNs %u to 5", (unsigned)i + 1);
        refuses(&w, name);
        CHECK_STR_HAS(w.err.message, offset);
        CHECK_STR_HAS(w.err.message, range);
    }
    write_file(&w, name, bytes, n_bytes);
    open_log(&w);
    CHECK_EQ(w.n_seen, 6);
    free(bytes);
    world_done(&w);
}

/* Commits whose payload is a whole log file, this one included, as it stood at that moment. */
static void a_payload_that_looks_like_a_log_is_a_payload(void)
{
    struct world w;
    struct mni_commit c;
    world_init(&w, 10);
    w.config.file_bytes = 128 << 10;
    CHECK_OK_ERR(try_open(&w), &w.err);
    for (int i = 0; i < 5; i++) {
        size_t n_bytes;
        unsigned char *bytes = read_file(&w, "00000000000000000001.wal", &n_bytes);
        struct mn_slice part = {bytes, 16384};
        CHECK_OK(mni_commit_init(&c, &part, 1, 1, MN_ACK_OS, NULL, NULL));
        CHECK_OK(mni_wal_commit(w.wal, &c));
        free(bytes);
    }
    abandon(&w);
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(w.n_seen, 5);
    CHECK_EQ(stats_of(&w).torn_tail_bytes, 0);
    abandon(&w);
    /* The same when the frame around it is torn: its inside is no evidence of anything. */
    size_t n_bytes;
    unsigned char *bytes = read_file(&w, "00000000000000000001.wal", &n_bytes);
    bytes[HEADER_BYTES + 4 * (16384 + FRAME_HEADER_BYTES)] ^= 1;
    memset(bytes + HEADER_BYTES + 5 * (16384 + FRAME_HEADER_BYTES), 0, MARK_BYTES);
    write_file(&w, "00000000000000000001.wal", bytes, n_bytes);
    CHECK_OK_ERR(try_open(&w), &w.err);
    CHECK_EQ(w.n_seen, 4);
    free(bytes);
    world_done(&w);
}

static void lsns_never_go_back(void)
{
    struct world w;
    uint64_t random = check_seed();
    world_init(&w, check_seed());
    open_log(&w);
    for (int round = 0; round < 60; round++) {
        size_t n = check_below(&random, 4);
        for (size_t i = 0; i < n; i++)
            commit(&w, 400, (mn_ack)(1 + check_below(&random, 3)));
        if (n > 0 && check_below(&random, 3) == 0) {
            checkpoint(&w, w.lsn_max);
            CHECK_OK(mni_wal_rotate(w.wal, NULL));
            CHECK_OK(mni_wal_truncate(w.wal, w.lsn_max, NULL, NULL));
            CHECK_EQ(stats_of(&w).n_records, 0); /* trimmed to empty */
        }
        if (check_below(&random, 2) == 0)
            crash(&w);
        else
            close_log(&w);
        open_log(&w); /* note_attempt checks that each LSN is above all before */
        CHECK_EQ(stats_of(&w).checkpoint_lsn, w.checkpoint_lsn);
    }
    world_done(&w);
}

static uint64_t bytes_on_disk(struct world *w)
{
    struct names names = list_files(w);
    uint64_t sum = 0;

    for (size_t i = 0; i < names.n; i++) {
        size_t n_bytes;
        free(read_file(w, names.names[i], &n_bytes));
        sum += n_bytes;
    }
    return sum;
}

static void a_hundred_crashes_while_opening_change_nothing(void)
{
    struct world w;
    uint64_t random = check_seed();
    world_init(&w, check_seed());
    open_log(&w);
    for (int i = 0; i < 30; i++)
        commit(&w, 1000, MN_ACK_DISK);
    commit(&w, 1000, MN_ACK_OS);
    crash(&w);
    open_log(&w);
    uint64_t n_bytes = bytes_on_disk(&w);
    crash(&w);
    for (int i = 0; i < 100; i++) {
        mni_crash_env_cut_at(w.crash, 1 + check_below(&random, 60));
        mn_status st = try_open(&w);
        if (st == MN_OK)
            check_seen(&w);
        abandon(&w);
        mni_crash_env_restart(w.crash, false, 0);
    }
    open_log(&w);
    CHECK_EQ(w.n_trimmed, 0);
    CHECK(bytes_on_disk(&w) <= n_bytes);
    CHECK(list_files(&w).n <= 4);
    commit(&w, 16, MN_ACK_DISK);
    world_done(&w);
}

static void a_directory_that_cannot_be_read_is_an_error(void)
{
    static const int numbers[] = {EIO, EACCES, ENOMEM, EROFS};
    struct world w;
    struct mni_fault_env *fault;
    world_init(&w, 11);
    make_files(&w, true);
    struct mni_env *below = w.env;
    CHECK_OK(mni_fault_env_new(below, &fault));
    w.env = mni_fault_env_base(fault);
    for (uint64_t n = 1; n < 30; n++)
        for (size_t i = 0; i < CHECK_COUNT(numbers); i++) {
            mni_fault_env_fail_at(fault, n, numbers[i], false);
            mn_status st = try_open(&w);
            CHECK(st < 0);
            CHECK(st != MN_ERR_CORRUPT && st != MN_ERR_NO_STORE);
        }
    w.env = below;
    mni_fault_env_free(fault);
    open_log(&w);
    CHECK_EQ(w.n_seen, 21);
    world_done(&w);
}

static void a_second_open_is_refused_also_without_files(void)
{
    struct world w;
    world_init(&w, 12);
    open_log(&w);
    struct mni_wal *wal = w.wal;
    CHECK_STATUS(try_open(&w), MN_ERR_IN_USE);
    remove_file(&w, "00000000000000000001.wal");
    CHECK_STATUS(try_open(&w), MN_ERR_IN_USE);
    w.wal = wal;
    world_done(&w);
}

static void nothing_is_made_unless_asked(void)
{
    struct world w;
    world_init(&w, 13);
    w.config.create = false;
    CHECK_STATUS(try_open(&w), MN_NOT_FOUND);
    w.config.create = true;
    w.config.read_only = true;
    CHECK_STATUS(try_open(&w), MN_NOT_FOUND);
    CHECK_EQ(list_files(&w).n, 0);
    w.config.read_only = false;
    make_files(&w, false);
    w.config.read_only = true;
    uint64_t n_pending = mni_crash_env_n_pending(w.crash);
    open_log(&w);
    CHECK_EQ(w.n_seen, 21);
    CHECK_EQ(count_by_cursor(&w, 1), 21);
    CHECK_EQ(stats_of(&w).n_files, 4);
    close_log(&w);
    CHECK_EQ(mni_crash_env_n_pending(w.crash), n_pending);
    world_done(&w);
}

static void a_point_in_time_counts_only_what_it_shows(void)
{
    for (uint64_t stop = 1; stop <= 21; stop++) {
        struct world w;
        world_init(&w, 14);
        make_files(&w, stop % 2 == 0);
        w.config.recovery = MN_RECOVERY_POINT_IN_TIME;
        w.config.stop_lsn = stop;
        CHECK_OK_ERR(try_open(&w), &w.err);
        CHECK_EQ(w.n_seen, stop);
        struct mni_wal_stats stats = stats_of(&w);
        CHECK_EQ(stats.current_lsn, stop);
        CHECK_EQ(stats.n_records, stop);
        CHECK_EQ(stats.records_since_checkpoint, stop);
        CHECK_EQ(mni_wal_last_time_us(w.wal), w.seen[stop - 1].time_us);
        w.n_history = stop;
        CHECK_EQ(count_by_cursor(&w, 1), stop);
        abandon(&w);
        int64_t time_us = w.seen[stop - 1].time_us;
        w.config.stop_lsn = 0;
        w.config.stop_time_us = time_us;
        CHECK_OK_ERR(try_open(&w), &w.err);
        CHECK(w.n_seen >= stop);
        CHECK_EQ(w.seen[w.n_seen - 1].time_us, time_us);
        world_done(&w);
    }
}

static mn_status fail_third(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct world *w = context;

    if (++w->n_seen == 3)
        return mni_fail(err, MN_ERR_LIMIT, "no more after LSN %u", (unsigned)entry->lsn);
    return MN_OK;
}

static void an_error_of_the_reader_ends_the_opening(void)
{
    struct world w;
    world_init(&w, 15);
    make_files(&w, false);
    w.config.replay = fail_third;
    CHECK_STATUS(try_open(&w), MN_ERR_LIMIT);
    CHECK_EQ(w.n_seen, 3);
    w.config.replay = note_seen;
    open_log(&w);
    world_done(&w);
}

/* The newest file of an earlier time is put in the place of what grew from it. */
static void a_log_older_than_its_clean_close_refuses(void)
{
    struct world w;
    size_t n_bytes;

    world_init(&w, 16);
    open_log(&w);
    commit(&w, 200, MN_ACK_DISK);
    close_log(&w);
    struct names names = list_files(&w);
    unsigned char *old = read_file(&w, names.names[0], &n_bytes);
    open_log(&w);
    for (int i = 0; i < 4; i++)
        commit(&w, 200, MN_ACK_DISK);
    close_log(&w);
    size_t n_new;
    unsigned char *new = read_file(&w, names.names[0], &n_new);
    write_file(&w, names.names[0], old, n_bytes);
    refuses(&w, "ends at LSN 1,");
    CHECK_STR_HAS(w.err.message, "closed at LSN 5");
    w.config.read_only = true;
    refuses(&w, "older than the rest");
    w.config.read_only = false;
    write_file(&w, names.names[0], new, n_new);
    open_log(&w);
    free(old);
    free(new);
    world_done(&w);
}

/* CLOSED of an earlier close may be there again after a crash: its removal was not durable. */
static void an_older_clean_close_says_nothing(void)
{
    struct world w;
    size_t n_bytes;

    world_init(&w, 17);
    open_log(&w);
    commit(&w, 200, MN_ACK_DISK);
    close_log(&w);
    unsigned char *closed = read_file(&w, "CLOSED", &n_bytes);
    open_log(&w);
    write_file(&w, "CLOSED", closed, n_bytes);
    abandon(&w);
    open_log(&w);
    commit(&w, 200, MN_ACK_DISK);
    abandon(&w);
    write_file(&w, "CLOSED", closed, n_bytes);
    open_log(&w);
    free(closed);
    world_done(&w);
}

static void lsns_go_on_above_what_the_caller_has(void)
{
    struct world w;

    world_init(&w, 18);
    open_log(&w);
    commit(&w, 200, MN_ACK_DISK);
    close_log(&w);
    w.config.checkpoint_lsn = 5000;
    open_log(&w);
    commit(&w, 200, MN_ACK_DISK);
    CHECK_EQ(stats_of(&w).current_lsn, 5001);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_missing_file_refuses),
        CHECK_TEST(a_copy_under_another_name_refuses),
        CHECK_TEST(swapped_names_refuse),
        CHECK_TEST(a_file_of_another_log_refuses),
        CHECK_TEST(foreign_files_are_left_alone),
        CHECK_TEST(a_tail_torn_at_any_byte_is_cut),
        CHECK_TEST(any_sectors_of_an_unsynced_group_may_be_missing),
        CHECK_TEST(damage_below_what_was_synced_refuses),
        CHECK_TEST(a_payload_that_looks_like_a_log_is_a_payload),
        CHECK_TEST(lsns_never_go_back),
        CHECK_TEST(a_hundred_crashes_while_opening_change_nothing),
        CHECK_TEST(a_directory_that_cannot_be_read_is_an_error),
        CHECK_TEST(a_second_open_is_refused_also_without_files),
        CHECK_TEST(nothing_is_made_unless_asked),
        CHECK_TEST(a_point_in_time_counts_only_what_it_shows),
        CHECK_TEST(an_error_of_the_reader_ends_the_opening),
        CHECK_TEST(a_log_older_than_its_clean_close_refuses),
        CHECK_TEST(an_older_clean_close_says_nothing),
        CHECK_TEST(lsns_go_on_above_what_the_caller_has),
    };
    return check_run("wal.recovery", tests, CHECK_COUNT(tests), argc, argv);
}
