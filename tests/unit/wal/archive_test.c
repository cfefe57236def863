/* Tests of archives: what is kept of a log, and reading it up to a moment. */
#include "fixture.h"

enum { N_COMMITS = 40, COMMIT_BYTES = 1000 };

static struct mni_dir *open_archive(struct world *w)
{
    struct mni_dir *dir = NULL;

    CHECK_OK_ERR(mni_env_open_dir(w->env, "archive", true, &dir, &w->err), &w->err);
    return dir;
}

static struct mni_dir *open_log_dir(struct world *w)
{
    struct mni_dir *dir = NULL;

    CHECK_OK_ERR(mni_env_open_dir(w->env, "log", false, &dir, &w->err), &w->err);
    return dir;
}

/* A log of several files, all but the newest kept. */
static void make(struct world *w)
{
    struct mni_dir *archive;

    world_init(w, 1);
    w->config.no_background = true;
    open_log(w);
    for (int i = 0; i < N_COMMITS; i++)
        commit(w, COMMIT_BYTES, MN_ACK_DISK);
    mni_wal_keep_files(w->wal, true);
    archive = open_archive(w);
    CHECK_OK_ERR(mni_wal_archive(w->wal, archive, NULL, NULL, &w->err), &w->err);
    mni_dir_close(archive);
    CHECK(list_files(w).n >= 3);
}

static struct names list_kept(struct world *w)
{
    struct mni_dir *dir = open_archive(w);
    struct names names = {0};

    CHECK_OK(mni_dir_list(dir, note_name, &names, NULL));
    mni_dir_close(dir);
    qsort(names.names, names.n, sizeof names.names[0], compare_names);
    return names;
}

struct moment {
    uint64_t have_lsn;
    uint64_t stop_lsn;
    int64_t stop_time_us;
    bool is_stopped;
};

static mn_status read_kept(struct world *w, struct moment *m)
{
    struct mni_wal *wal = NULL;
    struct mni_wal_stats stats;
    struct mni_wal_config config = {
        .env = w->env,
        .dir = open_archive(w),
        .is_archive = true,
        .any_store_id = true,
        .no_background = true,
        .recovery = MN_RECOVERY_POINT_IN_TIME,
        .checkpoint_lsn = m->have_lsn,
        .stop_lsn = m->stop_lsn,
        .stop_time_us = m->stop_time_us,
        .replay = note_seen,
        .replay_context = w,
    };

    w->n_seen = 0;
    mn_status st = mni_wal_open(&config, &wal, &w->err);
    if (st != MN_OK) {
        mni_dir_close(config.dir);
        return st;
    }
    mni_wal_get_stats(wal, &stats);
    m->is_stopped = stats.is_stopped;
    mni_wal_abandon(wal);
    return MN_OK;
}

/* What was seen above `have_lsn` are the commits of the history from there, up to `last_lsn`. */
static void check_kept(const struct world *w, uint64_t have_lsn, uint64_t last_lsn)
{
    size_t at = 0;

    for (size_t i = 0; i < w->n_history; i++) {
        const struct happened *h = &w->history[i];
        if (h->lsn <= have_lsn || h->lsn > last_lsn)
            continue;
        while (at < w->n_seen && w->seen[at].lsn <= have_lsn)
            at++;
        CHECK(at < w->n_seen);
        CHECK_EQ(w->seen[at].tag, h->tag);
        CHECK_EQ(w->seen[at].lsn, h->lsn);
        at++;
    }
    while (at < w->n_seen && w->seen[at].lsn <= have_lsn)
        at++;
    CHECK_EQ(at, w->n_seen);
}

static uint64_t last_kept(const struct world *w)
{
    return w->seen[w->n_seen - 1].lsn;
}

static void any_stop_is_reached_or_said_not_to_be(void)
{
    struct world w;
    struct moment all = {0};

    make(&w);
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    CHECK(!all.is_stopped);
    const uint64_t last = last_kept(&w);
    CHECK(last < w.lsn_max);
    check_kept(&w, 0, last);
    for (uint64_t have = 0; have <= last; have += 3) {
        for (uint64_t stop = have + 1; stop <= last + 2; stop++) {
            struct moment m = {.have_lsn = have, .stop_lsn = stop};
            CHECK_OK_ERR(read_kept(&w, &m), &w.err);
            check_kept(&w, have, stop < last ? stop : last);
            CHECK_EQ(m.is_stopped, stop < last);
        }
    }
    world_done(&w);
}

static void a_time_takes_all_commits_of_then(void)
{
    struct world w;
    struct moment all = {0};

    make(&w);
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    const size_t n = w.n_seen;
    static struct happened kept[N_COMMITS];
    memcpy(kept, w.seen, n * sizeof *kept);
    for (size_t i = 0; i < n; i++) {
        struct moment m = {.stop_time_us = kept[i].time_us};
        size_t n_then = 0;
        while (n_then < n && kept[n_then].time_us <= kept[i].time_us)
            n_then++;
        CHECK_OK_ERR(read_kept(&w, &m), &w.err);
        CHECK_EQ(w.n_seen, n_then);
        CHECK_EQ(m.is_stopped, n_then < n);
    }
    struct moment before = {.stop_time_us = kept[0].time_us - 1};
    CHECK_OK_ERR(read_kept(&w, &before), &w.err);
    CHECK_EQ(w.n_seen, 0);
    CHECK(before.is_stopped);
    world_done(&w);
}

static void a_missing_file_is_a_gap_where_it_is_wanted(void)
{
    struct world w;
    struct moment all = {0};

    make(&w);
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    const uint64_t last = last_kept(&w);
    struct names names = list_kept(&w);
    CHECK(names.n >= 3);
    const uint64_t second = strtoull(names.names[1], NULL, 10);
    const uint64_t third = strtoull(names.names[2], NULL, 10);
    struct mni_dir *dir = open_archive(&w);
    CHECK_OK(mni_dir_unlink(dir, names.names[1], NULL));
    mni_dir_close(dir);
    for (uint64_t have = 0; have < last; have++) {
        for (uint64_t stop = have + 1; stop <= last; stop++) {
            struct moment m = {.have_lsn = have, .stop_lsn = stop};
            mn_status st = read_kept(&w, &m);
            /* What is missing is wanted. */
            bool is_gap = stop >= second && have < third - 1;
            CHECK_STATUS(st, is_gap ? MN_ERR_CORRUPT : MN_OK);
            if (st == MN_OK)
                check_kept(&w, have, stop);
        }
    }
    world_done(&w);
}

static void flip(struct world *w, const char *name, uint64_t offset)
{
    struct mni_dir *dir = open_archive(w);
    struct mni_file *file = NULL;
    unsigned char byte;
    size_t n_read = 0;

    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_read(file, offset, &byte, 1, &n_read, NULL));
    byte ^= 0x40;
    CHECK_OK(mni_file_write(file, offset, &byte, 1, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
}

/* Also at the end of a file of which the next one, beyond the stop, says how far it reaches. */
static void damage_is_no_end(void)
{
    struct world w;
    struct moment all = {0};

    make(&w);
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    struct names names = list_kept(&w);
    const uint64_t end = strtoull(names.names[1], NULL, 10) - 1; /* the first file's */
    for (uint64_t offset = 0; offset < 16384; offset += 61) {
        struct moment m = {.stop_lsn = end};
        struct mni_dir *dir = open_archive(&w);
        struct mni_file *file = NULL;
        uint64_t n_bytes = 0;
        CHECK_OK(mni_dir_open_file(dir, names.names[0], MNI_OPEN_READ, &file, NULL));
        CHECK_OK(mni_file_size(file, &n_bytes, NULL));
        mni_file_close(file);
        mni_dir_close(dir);
        if (offset >= n_bytes)
            break;
        flip(&w, names.names[0], offset);
        mn_status st = read_kept(&w, &m);
        CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
        if (st == MN_OK)
            check_kept(&w, 0, end);
        flip(&w, names.names[0], offset);
    }
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    world_done(&w);
}

static void the_log_keeps_what_was_not_kept(void)
{
    struct world w;

    make(&w);
    const uint64_t kept = list_kept(&w).n;
    for (int i = 0; i < N_COMMITS; i++)
        commit(&w, COMMIT_BYTES, MN_ACK_DISK);
    checkpoint(&w, w.lsn_max);
    const uint64_t n_files = stats_of(&w).n_files;
    CHECK_OK_ERR(mni_wal_truncate(w.wal, w.lsn_max, NULL, &w.err), &w.err);
    CHECK_EQ(stats_of(&w).n_files, n_files - kept);
    CHECK(n_files - kept > 2);
    mni_wal_keep_files(w.wal, false);
    CHECK_OK_ERR(mni_wal_truncate(w.wal, w.lsn_max, NULL, &w.err), &w.err);
    CHECK_EQ(stats_of(&w).n_files, 1);
    world_done(&w);
}

/* Bytes that a file held before it was used again are in no copy. */
static void an_earlier_life_is_not_kept(void)
{
    struct world w;
    static unsigned char bytes[1 << 16];

    world_init(&w, 1);
    w.config.no_background = true;
    w.config.sync = MN_SYNC_MANUAL;
    open_log(&w);
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 30; i++)
            commit(&w, (size_t)(600 + 8 * ((round * 31 + i * 7) % 50)), MN_ACK_NONE);
        CHECK_OK(mni_wal_flush(w.wal, &w.err));
        checkpoint(&w, w.lsn_max);
        struct mni_dir *archive = open_archive(&w);
        CHECK_OK_ERR(mni_wal_archive(w.wal, archive, NULL, NULL, &w.err), &w.err);
        mni_dir_close(archive);
        CHECK_OK_ERR(mni_wal_truncate(w.wal, w.lsn_max, NULL, &w.err), &w.err);
    }
    struct moment all = {0};
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    struct names names = list_kept(&w);
    size_t n_frames = 0;
    for (size_t i = 0; i < names.n; i++) {
        struct mni_dir *dir = open_archive(&w);
        struct mni_file *file = NULL;
        size_t n = 0;
        CHECK_OK(mni_dir_open_file(dir, names.names[i], MNI_OPEN_READ, &file, NULL));
        CHECK_OK(mni_file_read(file, 0, bytes, sizeof bytes, &n, NULL));
        mni_file_close(file);
        mni_dir_close(dir);
        CHECK(n % 4096 == 0);
        /* A tag, and how many bytes follow from it, stand at the beginning of each payload. */
        for (size_t at = 4096; at + TAG_BYTES <= n; at += 8) {
            uint64_t n_bytes = mni_get_u64(bytes + at + 8);
            n_frames += n_bytes >= 600 && n_bytes <= 1000 && at + n_bytes <= n &&
                        is_pattern(bytes + at, (size_t)n_bytes);
        }
    }
    CHECK_EQ(n_frames, w.n_seen);
    world_done(&w);
}

/* Keeps all of a log that nobody has open. */
static mn_status keep_all(struct world *w)
{
    struct mni_dir *log = open_log_dir(w);
    struct mni_dir *archive = open_archive(w);
    mn_status st = mni_wal_archive_all(log, archive, &w->err);

    mni_dir_close(log);
    mni_dir_close(archive);
    return st;
}

static void what_is_less_takes_the_place_of_nothing(void)
{
    struct world w;
    struct moment all = {0};

    make(&w);
    close_log(&w);
    CHECK_OK_ERR(keep_all(&w), &w.err);
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    check_kept(&w, 0, w.lsn_max);
    CHECK_EQ(last_kept(&w), w.lsn_max);
    /* Rot in the log: in a header, and in the middle. */
    struct names names = list_files(&w);
    for (uint64_t offset = 16; offset < 9000; offset += 1777) {
        struct mni_dir *dir = open_log_dir(&w);
        struct mni_file *file = NULL;
        CHECK_OK(mni_dir_open_file(dir, names.names[0], MNI_OPEN_WRITE, &file, NULL));
        CHECK_OK(mni_file_write(file, offset, "rot", 3, NULL));
        mni_file_close(file);
        mni_dir_close(dir);
        CHECK_OK_ERR(keep_all(&w), &w.err);
        CHECK_OK_ERR(read_kept(&w, &all), &w.err);
        check_kept(&w, 0, w.lsn_max);
    }
    world_done(&w);
}

static void a_file_that_was_written_anew_replaces_what_was_kept(void)
{
    struct world w;
    struct moment all = {0};

    make(&w);
    close_log(&w);
    CHECK_OK_ERR(keep_all(&w), &w.err);
    open_log(&w);
    for (int i = 0; i < N_COMMITS; i++)
        commit(&w, COMMIT_BYTES, MN_ACK_DISK);
    struct mni_dir *archive = open_archive(&w);
    CHECK_OK_ERR(mni_wal_archive(w.wal, archive, NULL, NULL, &w.err), &w.err);
    mni_dir_close(archive);
    CHECK_OK_ERR(read_kept(&w, &all), &w.err);
    check_kept(&w, 0, last_kept(&w));
    CHECK(w.n_seen > N_COMMITS);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_stop_is_reached_or_said_not_to_be),
        CHECK_TEST(a_time_takes_all_commits_of_then),
        CHECK_TEST(a_missing_file_is_a_gap_where_it_is_wanted),
        CHECK_TEST(damage_is_no_end),
        CHECK_TEST(the_log_keeps_what_was_not_kept),
        CHECK_TEST(an_earlier_life_is_not_kept),
        CHECK_TEST(what_is_less_takes_the_place_of_nothing),
        CHECK_TEST(a_file_that_was_written_anew_replaces_what_was_kept),
    };

    return check_run("wal.archive", tests, CHECK_COUNT(tests), argc, argv);
}
