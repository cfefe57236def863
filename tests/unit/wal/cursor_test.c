/* Tests of reading a log while it grows, goes on in new files, and is trimmed. */
#include "fixture.h"

enum { CURSORS = 4 };

struct reader {
    struct mni_wal_cursor *cursor;
    uint64_t last_lsn;
};

static void open_reader(struct world *w, struct reader *r, uint64_t from_lsn)
{
    CHECK_OK_ERR(mni_wal_cursor_open(w->wal, from_lsn, &r->cursor, &w->err), &w->err);
    r->last_lsn = from_lsn - 1;
}

/* Reads up to `n` commits, each the one after the one before. Returns how many. */
static size_t read_some(struct world *w, struct reader *r, size_t n)
{
    struct mni_wal_entry entry;
    size_t n_read = 0;

    while (n_read < n) {
        mn_status st = mni_wal_cursor_next(r->cursor, &entry, &w->err);
        if (st == MN_END)
            break;
        CHECK_OK_ERR(st, &w->err);
        CHECK_EQ(entry.lsn, r->last_lsn + 1);
        CHECK_EQ(happened_of(&entry).tag, w->history[entry.lsn - 1].tag);
        r->last_lsn = entry.lsn;
        n_read++;
    }
    return n_read;
}

static void readers_follow_over_files_and_trims(void)
{
    struct world w;
    struct reader readers[CURSORS];
    uint64_t random = check_seed();
    world_init(&w, check_seed());
    w.config.sync = MN_SYNC_MANUAL;
    open_log(&w);
    for (size_t i = 0; i < CURSORS; i++)
        open_reader(&w, &readers[i], 1);
    CHECK_EQ(mni_wal_n_cursors(w.wal), CURSORS);
    for (int step = 0; step < 4000; step++) {
        struct reader *r = &readers[check_below(&random, CURSORS)];
        if (check_below(&random, 3) > 0)
            commit(&w, TAG_BYTES + 8 * check_below(&random, 60), (mn_ack)check_below(&random, 4));
        else if (check_below(&random, 20) > 0)
            (void)read_some(&w, r, check_below(&random, 6));
        else if (check_below(&random, 2) == 0)
            CHECK_OK(mni_wal_rotate(w.wal, NULL));
        else {
            /* What the slowest reads is trimmed below it, and stays readable to it. */
            uint64_t lsn = w.lsn_max;
            for (size_t i = 0; i < CURSORS; i++)
                lsn = readers[i].last_lsn < lsn ? readers[i].last_lsn : lsn;
            checkpoint(&w, lsn);
            CHECK_OK(mni_wal_truncate(w.wal, lsn, NULL, NULL));
        }
    }
    for (size_t i = 0; i < CURSORS; i++) {
        (void)read_some(&w, &readers[i], COMMITS_MAX);
        CHECK_EQ(readers[i].last_lsn, w.lsn_max);
        mni_wal_cursor_close(readers[i].cursor);
    }
    CHECK_EQ(mni_wal_n_cursors(w.wal), 0);
    world_done(&w);
}

static void a_file_being_read_is_kept_from_reuse(void)
{
    struct world w;
    struct reader r;
    world_init(&w, 1);
    open_log(&w);
    for (int i = 0; i < 11; i++)
        commit(&w, 1000, MN_ACK_DISK);
    open_reader(&w, &r, 1);
    CHECK_EQ(read_some(&w, &r, 2), 2);
    for (int i = 0; i < 40; i++)
        commit(&w, 1000, MN_ACK_DISK);
    checkpoint(&w, 51);
    CHECK_OK(mni_wal_truncate(w.wal, 51, NULL, NULL));
    for (int i = 0; i < 40; i++) /* would write over the file if it were recycled */
        commit(&w, 1000, MN_ACK_DISK);
    CHECK_EQ(read_some(&w, &r, 9), 9);
    struct mni_wal_entry entry;
    CHECK_STATUS(mni_wal_cursor_next(r.cursor, &entry, &w.err), MN_NOT_FOUND);
    CHECK_STR_HAS(w.err.message, "trimmed");
    mni_wal_cursor_close(r.cursor);
    world_done(&w);
}

static void what_was_trimmed_is_not_found(void)
{
    struct world w;
    struct reader r;
    world_init(&w, 2);
    open_log(&w);
    for (int i = 0; i < 60; i++)
        commit(&w, 1000, MN_ACK_DISK);
    checkpoint(&w, 30);
    uint64_t n_removed = 0;
    CHECK_OK(mni_wal_truncate(w.wal, 30, &n_removed, NULL));
    CHECK(n_removed > 10);
    for (uint64_t lsn = 0; lsn <= n_removed; lsn++)
        CHECK_STATUS(mni_wal_cursor_open(w.wal, lsn, &r.cursor, &w.err), MN_NOT_FOUND);
    CHECK_EQ(mni_wal_n_cursors(w.wal), 0);
    for (uint64_t lsn = n_removed + 1; lsn <= 61; lsn++) {
        open_reader(&w, &r, lsn);
        CHECK_EQ(read_some(&w, &r, 100), 61 - lsn);
        mni_wal_cursor_close(r.cursor);
    }
    open_reader(&w, &r, 63); /* from an LSN that is still to come */
    commit(&w, 64, MN_ACK_DISK);
    CHECK_EQ(read_some(&w, &r, 1), 0);
    commit(&w, 64, MN_ACK_DISK);
    CHECK_EQ(read_some(&w, &r, 1), 0);
    commit(&w, 64, MN_ACK_DISK);
    CHECK_EQ(read_some(&w, &r, 1), 1);
    mni_wal_cursor_close(r.cursor);
    world_done(&w);
}

static void damage_met_while_reading_is_named(int n_commits)
{
    struct world w;
    struct mni_wal_cursor *cursor;
    struct mni_wal_entry entry;
    world_init(&w, 3);
    open_log(&w);
    for (int i = 0; i < n_commits; i++)
        commit(&w, 1000, MN_ACK_DISK);
    struct names names = list_files(&w);
    size_t n_bytes;
    unsigned char *bytes = read_file(&w, names.names[0], &n_bytes);
    bytes[HEADER_BYTES + 2 * 1048 + 500] ^= 1;
    struct mni_dir *dir;
    struct mni_file *file;
    CHECK_OK(mni_env_open_dir(w.env, "log", false, &dir, NULL));
    CHECK_OK(mni_dir_open_file(dir, names.names[0], MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_write(file, 0, bytes, n_bytes, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
    CHECK_OK(mni_wal_cursor_open(w.wal, 1, &cursor, NULL));
    CHECK_OK(mni_wal_cursor_next(cursor, &entry, NULL));
    CHECK_OK(mni_wal_cursor_next(cursor, &entry, NULL));
    CHECK_STATUS(mni_wal_cursor_next(cursor, &entry, &w.err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(w.err.message, names.names[0]);
    mni_wal_cursor_close(cursor);
    free(bytes);
    world_done(&w);
}

static void damage_to_the_newest_file_is_named(void)
{
    damage_met_while_reading_is_named(5);
}

static void damage_to_an_older_file_is_named(void)
{
    damage_met_while_reading_is_named(30);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(readers_follow_over_files_and_trims),
        CHECK_TEST(a_file_being_read_is_kept_from_reuse),
        CHECK_TEST(what_was_trimmed_is_not_found),
        CHECK_TEST(damage_to_the_newest_file_is_named),
        CHECK_TEST(damage_to_an_older_file_is_named),
    };
    return check_run("wal.cursor", tests, CHECK_COUNT(tests), argc, argv);
}
