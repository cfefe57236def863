/* Tests of reading a damaged log: what lies around the damage comes, and the damage is named. */
#include "fixture.h"

enum { COMMIT_BYTES = 1000, N_COMMITS = 60 };

struct salvaged {
    struct world *world;
    int n_damages;
    char first[256]; /* file and what */
    uint64_t absent_first;
    uint64_t absent_last;
};

static void note_absent(void *context, uint64_t first_lsn, uint64_t last_lsn)
{
    struct salvaged *s = context;

    if (s->absent_first == 0)
        s->absent_first = first_lsn;
    s->absent_last = last_lsn;
}

static void note_damage(void *context, const char *file, const char *what)
{
    struct salvaged *s = context;

    if (s->n_damages++ == 0)
        (void)snprintf(s->first, sizeof s->first, "%s: %s", file, what);
}

static mn_status note_commit(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    return note_seen(((struct salvaged *)context)->world, entry, err);
}

static struct mni_dir *open_dir(struct world *w)
{
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_env_open_dir(w->env, "log", false, &dir, NULL));
    return dir;
}

/* Everything that is seen happened, and in this order. */
static struct salvaged salvage(struct world *w)
{
    struct salvaged s = {.world = w};
    struct mni_dir *dir = open_dir(w);
    const struct mni_wal_salvage config = {.dir = dir,
                                           .each = note_commit,
                                           .damage = note_damage,
                                           .absent = note_absent,
                                           .context = &s};

    w->n_seen = 0;
    CHECK_OK(mni_wal_salvage(&config, &w->err));
    mni_dir_close(dir);
    size_t next = 0;
    for (size_t i = 0; i < w->n_seen; i++) {
        while (next < w->n_history && w->history[next].tag != w->seen[i].tag)
            next++;
        CHECK(next++ < w->n_history);
    }
    return s;
}

/* Several files of a log that was closed; names the `index`-th. */
static void begin(struct world *w, size_t index, char name_out[MNI_NAME_BYTES_MAX])
{
    world_init(w, 1);
    open_log(w);
    for (int i = 0; i < N_COMMITS; i++)
        commit(w, COMMIT_BYTES, MN_ACK_DISK);
    close_log(w);
    struct names files = list_files(w);
    CHECK(files.n > index + 2);
    (void)snprintf(name_out, MNI_NAME_BYTES_MAX, "%s", files.names[index]);
}

static void flip(struct world *w, const char *name, uint64_t offset)
{
    struct mni_dir *dir = open_dir(w);
    struct mni_file *file = NULL;
    unsigned char byte;
    size_t n_read = 0;

    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_read(file, offset, &byte, 1, &n_read, NULL));
    byte ^= 1;
    CHECK_OK(mni_file_write(file, offset, &byte, 1, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
}

static void a_whole_log_is_read_whole(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    begin(&w, 0, name);
    struct salvaged s = salvage(&w);
    CHECK_EQ(s.n_damages, 0);
    CHECK_EQ(s.absent_first, 0);
    CHECK_EQ(w.n_seen, N_COMMITS);
    world_done(&w);
}

static void a_damaged_commit_is_passed_over(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    for (size_t file = 0; file < 3; file++) {
        begin(&w, file, name);
        flip(&w, name, HEADER_BYTES + 2 * (FRAME_HEADER_BYTES + COMMIT_BYTES) + 100);
        struct salvaged s = salvage(&w);
        CHECK_EQ(s.n_damages, 1);
        CHECK_STR_HAS(s.first, name);
        CHECK_EQ(w.n_seen, N_COMMITS - 1);
        CHECK_EQ(s.absent_first, s.absent_last);
        for (size_t i = 0; i < w.n_seen; i++)
            CHECK(w.seen[i].lsn != s.absent_first);
        world_done(&w);
    }
}

static void two_damaged_headers_of_commits_are_passed_over(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    begin(&w, 1, name);
    flip(&w, name, HEADER_BYTES + 10);
    flip(&w, name, HEADER_BYTES + 3 * (FRAME_HEADER_BYTES + COMMIT_BYTES) + 10);
    struct salvaged s = salvage(&w);
    CHECK_EQ(s.n_damages, 2);
    CHECK_EQ(w.n_seen, N_COMMITS - 2);
    world_done(&w);
}

static void a_file_without_its_header_is_lost_alone(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    begin(&w, 1, name);
    flip(&w, name, HEADER_OFF_SALT);
    struct salvaged s = salvage(&w);
    CHECK_EQ(s.n_damages, 1);
    CHECK_STR_HAS(s.first, "nothing can be read");
    CHECK(w.n_seen < N_COMMITS && w.n_seen > N_COMMITS / 2);
    CHECK_EQ(w.seen[w.n_seen - 1].tag, w.history[w.n_history - 1].tag);
    CHECK_EQ(s.absent_last - s.absent_first + 1, N_COMMITS - w.n_seen);
    world_done(&w);
}

static void without_the_newest_files_header_nobody_knows_how_much_is_lost(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    begin(&w, 1, name);
    struct names files = list_files(&w);
    for (size_t i = 0; i < files.n; i++)
        if (mni_wal_is_log_name(files.names[i]) && strstr(files.names[i], ".wal") != NULL &&
            strcmp(files.names[i], name) > 0)
            (void)snprintf(name, sizeof name, "%s", files.names[i]);
    flip(&w, name, HEADER_OFF_SALT);
    struct salvaged s = salvage(&w);
    CHECK_EQ(s.absent_first, w.n_seen + 1);
    CHECK_EQ(s.absent_last, UINT64_MAX);
    world_done(&w);
}

static void a_missing_file_is_named(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    begin(&w, 1, name);
    struct mni_dir *dir = open_dir(&w);
    CHECK_OK(mni_dir_unlink(dir, name, NULL));
    mni_dir_close(dir);
    struct salvaged s = salvage(&w);
    CHECK_EQ(s.n_damages, 1);
    CHECK_STR_HAS(s.first, "the log file before it is missing");
    CHECK(s.absent_first > 0 && s.absent_last < w.history[w.n_history - 1].lsn);
    CHECK(w.n_seen < N_COMMITS && w.n_seen > N_COMMITS / 2);
    world_done(&w);
}

static void a_torn_tail_is_no_damage(void)
{
    char name[MNI_NAME_BYTES_MAX];
    struct world w;

    world_init(&w, 1);
    open_log(&w);
    for (int i = 0; i < 5; i++)
        commit(&w, COMMIT_BYTES, MN_ACK_DISK);
    struct names files = list_files(&w);
    (void)snprintf(name, sizeof name, "%s", files.names[0]);
    mni_wal_abandon(w.wal);
    w.wal = NULL;
    flip(&w, name, HEADER_BYTES + 4 * (FRAME_HEADER_BYTES + COMMIT_BYTES) + 100);
    struct salvaged s = salvage(&w);
    CHECK_EQ(s.n_damages, 0);
    CHECK_EQ(s.absent_first, 0);
    CHECK_EQ(w.n_seen, 4);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_whole_log_is_read_whole),
        CHECK_TEST(a_damaged_commit_is_passed_over),
        CHECK_TEST(two_damaged_headers_of_commits_are_passed_over),
        CHECK_TEST(a_file_without_its_header_is_lost_alone),
        CHECK_TEST(without_the_newest_files_header_nobody_knows_how_much_is_lost),
        CHECK_TEST(a_missing_file_is_named),
        CHECK_TEST(a_torn_tail_is_no_damage),
    };

    return check_run("wal.salvage", tests, CHECK_COUNT(tests), argc, argv);
}
