/*
 * Every byte of a log flipped, and every file cut at every length. The log opens with all of its
 * commits when the place is harmless, with all but the last one when that one is hit and nothing
 * later knows it to be synced, and else it refuses and names the file.
 */
#include "wal/fixture.h"

#include "wal/wal_private.h"

enum { FILES_MAX = 8, N_MASKS = 3 };

static const unsigned char masks[N_MASKS] = {0x01, 0x80, 0xFF};

struct file {
    char name[MNI_NAME_BYTES_MAX];
    unsigned char *bytes; /* owned */
    size_t n_bytes;
    size_t end;        /* behind its last frame */
    size_t begin_last; /* of the last frame */
    bool ends_with_commit;
    bool is_newest;
};

struct reference {
    struct file files[FILES_MAX];
    size_t n_files;
    size_t n_commits;
};

enum outcome { ALL, ALL_BUT_LAST, REFUSED };

static const char *const outcome_names[] = {"all commits", "all but the last", "refused"};

static struct reference load(struct world *w)
{
    struct reference r = {0};
    struct names names = list_files(w);

    CHECK(names.n <= FILES_MAX && names.n >= 3);
    for (size_t i = 0; i < names.n; i++) {
        struct file *f = &r.files[r.n_files++];
        struct wal_header header;
        struct wal_frame frame;
        (void)snprintf(f->name, sizeof f->name, "%s", names.names[i]);
        f->bytes = read_file(w, f->name, &f->n_bytes);
        f->is_newest = i + 1 == names.n;
        f->end = HEADER_BYTES;
        CHECK_OK(wal_header_decode(f->bytes, f->name, &header, NULL));
        while (f->end + FRAME_HEADER_BYTES <= f->n_bytes &&
               wal_frame_decode(f->bytes + f->end, header.salt, f->end, &frame)) {
            f->ends_with_commit = frame.type == FRAME_COMMIT;
            f->begin_last = f->end;
            f->end += frame.frame_bytes;
        }
    }
    return r;
}

static void release(struct reference *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        free(r->files[i].bytes);
}

/* What must come of damage at this place. */
static enum outcome expected_at(const struct file *f, size_t offset)
{
    if (offset < HEADER_BYTES)
        return REFUSED;
    if (offset >= f->end)
        return ALL; /* space that is not used */
    if (offset < f->begin_last)
        return REFUSED;
    /* The last frame: a seal or a mark says nothing that is not known without it. */
    if (!f->ends_with_commit)
        return ALL;
    return f->is_newest ? ALL_BUT_LAST : REFUSED;
}

static enum outcome open_damaged(struct world *w, const struct file *f, size_t n_commits)
{
    mn_status st = try_open(w);

    if (st != MN_OK) {
        CHECK_STATUS(st, MN_ERR_CORRUPT);
        CHECK_STR_HAS(w->err.message, f->name);
        return REFUSED;
    }
    CHECK(w->n_seen == n_commits || w->n_seen + 1 == n_commits);
    for (size_t i = 0; i < w->n_seen; i++) {
        CHECK_EQ(w->seen[i].tag, w->history[i].tag);
        CHECK_EQ(w->seen[i].lsn, w->history[i].lsn);
        CHECK_EQ(w->seen[i].n_records, w->history[i].n_records);
    }
    return w->n_seen == n_commits ? ALL : ALL_BUT_LAST;
}

static void check_outcome(struct world *w, const struct reference *r, const struct file *f,
                          size_t offset, enum outcome expected)
{
    enum outcome outcome = open_damaged(w, f, r->n_commits);

    abandon(w);
    if (outcome != expected)
        fprintf(stderr, "%s at %zu: %s, expected: %s\n", f->name, offset, outcome_names[outcome],
                outcome_names[expected]);
    CHECK_EQ(outcome, expected);
}

static struct mni_file *open_file(struct world *w, struct mni_dir **dir, const char *name)
{
    struct mni_file *file;

    CHECK_OK(mni_env_open_dir(w->env, "log", false, dir, NULL));
    CHECK_OK(mni_dir_open_file(*dir, name, MNI_OPEN_WRITE, &file, NULL));
    return file;
}

static void flip_every_byte(struct world *w, const struct reference *r)
{
    w->config.read_only = true;
    for (size_t k = 0; k < r->n_files; k++) {
        const struct file *f = &r->files[k];
        struct mni_dir *dir;
        struct mni_file *file = open_file(w, &dir, f->name);
        for (size_t at = 0; at < f->n_bytes; at++) {
            unsigned char byte = f->bytes[at] ^ masks[at % N_MASKS];
            CHECK_OK(mni_file_write(file, at, &byte, 1, NULL));
            check_outcome(w, r, f, at, expected_at(f, at));
            CHECK_OK(mni_file_write(file, at, &f->bytes[at], 1, NULL));
            CHECK_OK(mni_file_sync(file, NULL));
        }
        mni_file_close(file);
        mni_dir_close(dir);
    }
    w->config.read_only = false;
}

/* A file that is shorter or longer than its header says is not the file that was written. */
static void cut_at_every_length(struct world *w, const struct reference *r)
{
    w->config.read_only = true;
    for (size_t k = 0; k < r->n_files; k++) {
        const struct file *f = &r->files[k];
        struct mni_dir *dir;
        struct mni_file *file = open_file(w, &dir, f->name);
        for (size_t n = f->n_bytes + 1; n-- > 0;) {
            if (n == f->n_bytes)
                continue;
            CHECK_OK(mni_file_truncate(file, n, NULL));
            check_outcome(w, r, f, n, REFUSED);
        }
        CHECK_OK(mni_file_write(file, 0, f->bytes, f->n_bytes, NULL));
        CHECK_OK(mni_file_truncate(file, f->n_bytes + 8, NULL));
        check_outcome(w, r, f, f->n_bytes, REFUSED);
        CHECK_OK(mni_file_truncate(file, f->n_bytes, NULL));
        check_outcome(w, r, f, f->n_bytes, ALL);
        mni_file_close(file);
        mni_dir_close(dir);
    }
    w->config.read_only = false;
}

/* Opening for writing decides as opening for reading does; what it refuses it leaves as it was. */
static void flip_some_and_write(struct world *w, const struct reference *r)
{
    for (size_t k = 0; k < r->n_files; k++) {
        const struct file *f = &r->files[k];
        for (size_t at = 0; at < f->n_bytes; at += at < HEADER_BYTES ? 61 : 13) {
            f->bytes[at] ^= 0x10;
            write_file(w, f->name, f->bytes, f->n_bytes);
            f->bytes[at] ^= 0x10;
            check_outcome(w, r, f, at, expected_at(f, at));
            for (size_t i = 0; i < r->n_files; i++)
                write_file(w, r->files[i].name, r->files[i].bytes, r->files[i].n_bytes);
        }
    }
}

static void lose_every_way(struct world *w)
{
    struct reference r = load(w);

    r.n_commits = w->n_history;
    flip_every_byte(w, &r);
    cut_at_every_length(w, &r);
    flip_some_and_write(w, &r);
    open_log(w);
    CHECK_EQ(w->n_seen, r.n_commits);
    release(&r);
}

/* Three files: single commits, a transaction, marks. */
static void fill(struct world *w)
{
    w->config.file_bytes = MNI_WAL_FILE_BYTES_MIN;
    open_log(w);
    for (int file = 0; file < 3; file++) {
        if (file > 0)
            CHECK_OK_ERR(mni_wal_rotate(w->wal, &w->err), &w->err);
        commit(w, 16, MN_ACK_DISK);
        CHECK_OK_ERR(commit_as(w, 400, 3, MN_ACK_DISK), &w->err);
        checkpoint(w, w->lsn_max - 1);
        commit(w, 104, MN_ACK_DISK);
    }
}

/* Nothing in the newest file vouches for its end; the note of the clean close does. */
static void zero_the_end_from_every_place(struct world *w)
{
    struct reference r = load(w);
    const struct file *f = &r.files[r.n_files - 1];
    unsigned char *bytes = malloc(f->n_bytes);

    CHECK(bytes != NULL);
    r.n_commits = w->n_history;
    w->config.read_only = true;
    for (size_t at = HEADER_BYTES; at <= f->end; at += 8) {
        memcpy(bytes, f->bytes, f->n_bytes);
        memset(bytes + at, 0, f->n_bytes - at);
        write_file(w, f->name, bytes, f->n_bytes);
        check_outcome(w, &r, f, at, at < f->begin_last ? REFUSED : ALL);
    }
    write_file(w, f->name, f->bytes, f->n_bytes);
    w->config.read_only = false;
    free(bytes);
    release(&r);
}

/* A damaged note says nothing; the log itself is whole. */
static void damage_the_note(struct world *w)
{
    struct reference r = load(w);
    size_t n_bytes;
    unsigned char *bytes = read_file(w, WAL_CLOSED_NAME, &n_bytes);

    r.n_commits = w->n_history;
    w->config.read_only = true;
    for (size_t at = 0; at < n_bytes; at++) {
        bytes[at] ^= 0xFF;
        write_file(w, WAL_CLOSED_NAME, bytes, n_bytes);
        check_outcome(w, &r, &r.files[r.n_files - 1], at, ALL);
        bytes[at] ^= 0xFF;
    }
    for (size_t n = 0; n <= n_bytes; n++) {
        write_file(w, WAL_CLOSED_NAME, bytes, n);
        check_outcome(w, &r, &r.files[r.n_files - 1], n, ALL);
    }
    w->config.read_only = false;
    free(bytes);
    release(&r);
}

static void damage_to_a_log_that_was_closed(void)
{
    struct world w;
    world_init(&w, 1);
    fill(&w);
    close_log(&w);
    zero_the_end_from_every_place(&w);
    damage_the_note(&w);
    lose_every_way(&w);
    world_done(&w);
}

static void damage_to_a_log_that_ended_badly(void)
{
    struct world w;
    world_init(&w, 2);
    fill(&w);
    abandon(&w);
    lose_every_way(&w);
    world_done(&w);
}

/* The newest file was written by recovery, and got one commit more, behind a mark. */
static void damage_to_a_log_that_was_recovered(void)
{
    struct world w;
    world_init(&w, 3);
    fill(&w);
    crash(&w);
    open_log(&w);
    commit(&w, 64, MN_ACK_DISK);
    crash(&w);
    lose_every_way(&w);
    world_done(&w);
}

/* The newest file was an old one before. */
static void damage_to_a_recycled_file(void)
{
    struct world w;
    world_init(&w, 4);
    fill(&w);
    CHECK_OK(mni_wal_truncate(w.wal, 3, NULL, NULL));
    CHECK_OK_ERR(mni_wal_rotate(w.wal, &w.err), &w.err);
    commit(&w, 64, MN_ACK_DISK);
    commit(&w, 120, MN_ACK_DISK);
    abandon(&w);
    w.config.read_only = true;
    open_log(&w); /* the history begins where the log does */
    abandon(&w);
    w.config.read_only = false;
    w.n_history -= w.n_trimmed;
    memmove(w.history, w.history + w.n_trimmed, w.n_history * sizeof *w.history);
    w.n_promised = w.n_history;
    w.n_trimmed = 0;
    struct reference r = load(&w);
    struct wal_header header;
    CHECK_OK(wal_header_decode(r.files[r.n_files - 1].bytes, "newest", &header, NULL));
    CHECK_EQ(header.flags, HEADER_FLAG_RECYCLED);
    release(&r);
    lose_every_way(&w);
    world_done(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(damage_to_a_log_that_was_closed),
        CHECK_TEST(damage_to_a_log_that_ended_badly),
        CHECK_TEST(damage_to_a_log_that_was_recovered),
        CHECK_TEST(damage_to_a_recycled_file),
    };
    return check_run("fault.wal_damage", tests, CHECK_COUNT(tests), argc, argv);
}
