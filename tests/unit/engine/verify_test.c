/* Tests of verifying a store with segments: what is read, found, and told on the way. */
#include "../api/short.h"
#include "engine/engine.h"
#include "io/crash.h"

enum { FILES_MAX = 8, STRIDE_SEGMENT = 7 };

static struct mn_error err;

struct file {
    char name[MNI_NAME_BYTES_MAX];
    uint64_t n_bytes;
};

/* A store in the simulated world, and the files of one of its directories. */
struct world {
    struct mni_crash_env *crash;
    struct mni_env *env;
    struct mni_dir *dir;
    struct mni_dir *seg;
    struct file files[FILES_MAX];
    size_t n_files;
};

static mn_store *open_store(struct world *w)
{
    struct mn_options o = small_store();
    mn_store *store = NULL;

    o.wal_file_bytes = 64 << 10;
    CHECK_OK_ERR(mni_api_store_open(w->env, "/s", &o, &store, &err), &err);
    return store;
}

/* Two segments, the first with two generations of deaths. */
static void begin(struct world *w)
{
    *w = (struct world){0};
    CHECK_OK(mni_crash_env_new(1, &w->crash));
    w->env = mni_crash_env_base(w->crash);
    mn_store *store = open_store(w);
    for (int i = 0; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put(store, mn_str("n"), mn_str(id), "a payload");
    }
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    (void)put(store, mn_str("n"), mn_str("0"), "another");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK_OK(mn_delete(store, mn_str("n"), mn_str("1"), NULL, NULL, NULL, &err));
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    (void)put(store, mn_str("n"), mn_str("20"), "in the log");
    closed(store);
    CHECK_OK(mni_env_open_dir(w->env, "/s", false, &w->dir, NULL));
    CHECK_OK(mni_dir_open_dir(w->dir, "seg", false, &w->seg, NULL));
}

static void end(struct world *w)
{
    mni_dir_close(w->seg);
    mni_dir_close(w->dir);
    mni_crash_env_free(w->crash);
}

static mn_status note_name(void *context, const char *name, bool is_dir, struct mn_error *e)
{
    struct world *w = context;

    (void)e;
    if (!is_dir && strcmp(name, "STORE") != 0) {
        CHECK(w->n_files < FILES_MAX);
        (void)snprintf(w->files[w->n_files++].name, MNI_NAME_BYTES_MAX, "%s", name);
    }
    return MN_OK;
}

/* The files of a directory, with their lengths. */
static void list_files(struct world *w, struct mni_dir *dir)
{
    w->n_files = 0;
    CHECK_OK(mni_dir_list(dir, note_name, w, NULL));
    for (size_t i = 0; i < w->n_files; i++) {
        struct mni_file *file = NULL;
        CHECK_OK(mni_dir_open_file(dir, w->files[i].name, MNI_OPEN_READ, &file, NULL));
        CHECK_OK(mni_file_size(file, &w->files[i].n_bytes, NULL));
        mni_file_close(file);
    }
}

static void flip(struct mni_dir *dir, const char *name, uint64_t offset)
{
    struct mni_file *file = NULL;
    unsigned char byte = 0;
    size_t n_read = 0;

    CHECK_OK(mni_dir_open_file(dir, name, MNI_OPEN_WRITE, &file, NULL));
    CHECK_OK(mni_file_read(file, offset, &byte, 1, &n_read, NULL));
    byte ^= (unsigned char)(1 << offset % 8);
    CHECK_OK(mni_file_write(file, offset, &byte, 1, NULL));
    mni_file_close(file);
}

/* Each flip is found, blamed on its file alone, and does not keep the rest from being read. */
static void flip_all(struct world *w, struct mni_dir *dir, const struct file *file, uint64_t stride)
{
    for (uint64_t at = 0; at < file->n_bytes; at += stride) {
        struct mn_verify_report report = {0};
        flip(dir, file->name, at);
        mn_status st = mni_engine_verify(w->env, "/s", &report, &err);
        CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
        CHECK_STR_HAS(err.message, file->name);
        if (st == MN_ERR_CORRUPT) {
            CHECK_EQ(report.n_damaged_files, 1);
            CHECK(report.n_commits > 0 && report.last_lsn == 23);
        }
        flip(dir, file->name, at);
    }
}

static void a_store_that_is_whole_is_counted(void)
{
    struct mn_verify_report report = {0};
    struct world w;
    uint64_t n_bytes = 0;

    begin(&w);
    CHECK_OK_ERR(mni_engine_verify(w.env, "/s", &report, &err), &err);
    list_files(&w, w.seg);
    CHECK_EQ(w.n_files, 4);
    for (size_t i = 0; i < w.n_files; i++)
        n_bytes += w.files[i].n_bytes;
    /* STORE, the manifest, what is in seg, the log. */
    CHECK_EQ(report.n_files, 2 + 4 + 1);
    CHECK(report.n_bytes > n_bytes);
    CHECK_EQ(report.n_segments, 2);
    CHECK_EQ(report.n_segment_rows, 20 + 2 + 1); /* with two rows of the catalogue */
    CHECK_EQ(report.n_damaged_files, 0);
    CHECK_EQ(report.last_lsn, 23);
    end(&w);
}

static void every_flipped_byte_in_segments_and_liveness_is_found(void)
{
    struct world w;

    begin(&w);
    list_files(&w, w.seg);
    for (size_t i = 0; i < w.n_files; i++) {
        const char *suffix = strrchr(w.files[i].name, '.');
        flip_all(&w, w.seg, &w.files[i], strcmp(suffix, ".live") == 0 ? 1 : STRIDE_SEGMENT);
    }
    end(&w);
}

static void every_flipped_byte_of_either_copy_of_the_manifest_is_found(void)
{
    struct world w;

    begin(&w);
    list_files(&w, w.dir);
    CHECK_EQ(w.n_files, 1);
    flip_all(&w, w.dir, &w.files[0], 1);
    end(&w);
}

struct told {
    uint64_t n_calls;
    uint64_t n_damaged;
    uint64_t n_bytes_done;
    uint64_t n_bytes_total; /* of the segments */
    uint64_t stops_after;   /* calls; 0: never */
    mn_status answer;
};

static mn_status note_told(void *context, uint64_t n_bytes_done, uint64_t n_bytes_total,
                           const struct mn_error *damage)
{
    struct told *told = context;

    if (n_bytes_total != 0) {
        CHECK(n_bytes_done >= told->n_bytes_done && n_bytes_done <= n_bytes_total);
        told->n_bytes_done = n_bytes_done;
        told->n_bytes_total = n_bytes_total;
    }
    if (damage != NULL) {
        CHECK_EQ(damage->status, MN_ERR_CORRUPT);
        told->n_damaged++;
    }
    return ++told->n_calls == told->stops_after ? told->answer : MN_OK;
}

static void all_damaged_files_are_told_once(void)
{
    struct mn_verify_report report = {0};
    struct told told = {0};
    struct world w;

    begin(&w);
    list_files(&w, w.seg);
    CHECK_OK(mni_engine_verify_each(w.env, "/s", note_told, &told, &report, &err));
    CHECK_EQ(told.n_damaged, 0);
    CHECK_EQ(told.n_bytes_done, told.n_bytes_total);
    for (size_t i = 0; i < w.n_files; i++) {
        flip(w.seg, w.files[i].name, 20);
        flip(w.seg, w.files[i].name, w.files[i].n_bytes / 2);
    }
    told = (struct told){0};
    report = (struct mn_verify_report){0};
    CHECK_STATUS(mni_engine_verify_each(w.env, "/s", note_told, &told, &report, &err),
                 MN_ERR_CORRUPT);
    CHECK_EQ(told.n_damaged, 4);
    CHECK_EQ(report.n_damaged_files, 4);
    CHECK_EQ(told.n_bytes_done, told.n_bytes_total);
    CHECK_EQ(report.last_lsn, 23);
    for (size_t i = 0; i < w.n_files; i++)
        CHECK_OK(mni_dir_unlink(w.seg, w.files[i].name, NULL));
    report = (struct mn_verify_report){0};
    CHECK_STATUS(mni_engine_verify(w.env, "/s", &report, &err), MN_ERR_CORRUPT);
    CHECK_EQ(report.n_damaged_files, 4);
    CHECK_EQ(report.n_files, 3);
    end(&w);
}

static void the_caller_ends_it_with_any_answer(void)
{
    static const mn_status answers[] = {MN_ERR_CANCELLED, MN_ERR_CORRUPT, MN_NOT_FOUND, MN_END};
    struct mn_verify_report report = {0};
    struct told all = {0};
    struct world w;

    begin(&w);
    CHECK_OK(mni_engine_verify_each(w.env, "/s", note_told, &all, &report, &err));
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        for (uint64_t n = 1; n <= all.n_calls; n++) {
            struct told told = {.stops_after = n, .answer = answers[i]};
            report = (struct mn_verify_report){0};
            CHECK_STATUS(mni_engine_verify_each(w.env, "/s", note_told, &told, &report, &err),
                         answers[i]);
            CHECK_EQ(told.n_calls, n);
            CHECK_EQ(report.n_damaged_files, 0);
            CHECK_STR_HAS(err.message, "stopped");
        }
    end(&w);
}

static void a_missing_manifest_is_damage_when_the_log_was_trimmed(void)
{
    struct mn_verify_report report = {0};
    struct world w;

    begin(&w);
    list_files(&w, w.dir);
    CHECK_OK(mni_dir_unlink(w.dir, w.files[0].name, NULL));
    CHECK_STATUS(mni_engine_verify(w.env, "/s", &report, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "the manifest is missing");
    CHECK_EQ(report.n_damaged_files, 1);
    end(&w);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_store_that_is_whole_is_counted),
        CHECK_TEST(every_flipped_byte_in_segments_and_liveness_is_found),
        CHECK_TEST(every_flipped_byte_of_either_copy_of_the_manifest_is_found),
        CHECK_TEST(all_damaged_files_are_told_once),
        CHECK_TEST(the_caller_ends_it_with_any_answer),
        CHECK_TEST(a_missing_manifest_is_damage_when_the_log_was_trimmed),
    };

    return check_run("engine.verify", tests, CHECK_COUNT(tests), argc, argv);
}
