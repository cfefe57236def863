/*
 * The logs of version 1 still mean what docs/format/wal.md says, and are written the same.
 *
 *     wal-v1/closed   three files: a record, a transaction of three, a record and a checkpoint, a
 *                     record and the seal
 *     wal-v1/torn     one file: two records, and the first sectors of a third
 *
 * They were written by `golden_wal --write DIRECTORY`, on a simulated disk with a fixed seed.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "io/crash.h"
#include "io/posix.h"
#include "mneme/wal.h"
#include "wal/wal_private.h"

enum { FILE_BYTES = 12288, RECORD_BYTES_MAX = 2000 };

static const char *const closed_names[] = {"closed/00000000000000000001.wal",
                                           "closed/00000000000000000003.wal",
                                           "closed/00000000000000000004.wal"};
static const char *const torn_name = "torn/00000000000000000001.wal";

/* Writing ----------*/

static struct mni_wal *open_new(struct mni_env *env, const char *path)
{
    struct mni_wal_config config = {.env = env,
                                    .any_store_id = true,
                                    .is_alone = true,
                                    .create = true,
                                    .no_background = true,
                                    .file_bytes = FILE_BYTES};
    struct mni_wal *wal = NULL;

    CHECK_OK(mni_env_open_dir(env, path, true, &config.dir, NULL));
    CHECK_OK(mni_wal_open(&config, &wal, NULL));
    return wal;
}

static void append(struct mni_wal *wal, const char *const *records, size_t n_records, mn_ack ack)
{
    unsigned char bytes[4 * RECORD_BYTES_MAX] = {0};
    struct mni_commit commit;
    size_t n = 0;

    for (size_t i = 0; i < n_records; i++) {
        size_t n_bytes = strlen(records[i]);
        mni_put_u32(bytes + n, (uint32_t)n_bytes);
        memcpy(bytes + n + 8, records[i], n_bytes);
        n += 8 + (size_t)mni_align_up(n_bytes, 8);
    }
    struct mn_slice part = {bytes, n};
    CHECK_OK(mni_commit_init(&commit, &part, 1, (uint32_t)n_records, ack, NULL, NULL));
    CHECK_OK(mni_wal_commit(wal, &commit));
}

static void copy_out(struct mni_env *env, const char *dir_name, const char *file_name,
                     const char *target)
{
    unsigned char bytes[FILE_BYTES];
    char path[1024];
    struct mni_dir *dir;
    struct mni_file *file;
    size_t n_read;

    CHECK_OK(mni_env_open_dir(env, dir_name, false, &dir, NULL));
    CHECK_OK(mni_dir_open_file(dir, file_name, MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_read(file, 0, bytes, sizeof bytes, &n_read, NULL));
    CHECK_EQ(n_read, FILE_BYTES);
    mni_file_close(file);
    mni_dir_close(dir);
    (void)snprintf(path, sizeof path, "%s/%s/%s", target, dir_name, file_name);
    FILE *out = fopen(path, "wb");
    CHECK(out != NULL);
    CHECK_EQ(fwrite(bytes, 1, sizeof bytes, out), sizeof bytes);
    CHECK_EQ(fclose(out), 0);
}

static void fill_long(char *text)
{
    memset(text, 'x', RECORD_BYTES_MAX - 1);
    text[RECORD_BYTES_MAX - 1] = '\0';
}

static void write_closed(struct mni_env *env)
{
    static const char *const texts[] = {"hello",       "",      "twelve bytes",
                                        "a third one", "three", "four"};
    struct mni_wal *wal = open_new(env, "closed");

    append(wal, texts, 1, MN_ACK_DISK);
    append(wal, texts + 1, 3, MN_ACK_DISK);
    CHECK_OK(mni_wal_rotate(wal, NULL));
    append(wal, texts + 4, 1, MN_ACK_DISK);
    CHECK_OK(mni_wal_checkpoint(wal, 2, NULL));
    CHECK_OK(mni_wal_rotate(wal, NULL));
    append(wal, texts + 5, 1, MN_ACK_DISK);
    CHECK_OK(mni_wal_close(wal, NULL));
}

static void write_torn(struct mni_crash_env *crash)
{
    static char text[RECORD_BYTES_MAX];
    const char *const texts[] = {"one", "two", text};
    struct mni_wal *wal = open_new(mni_crash_env_base(crash), "torn");

    fill_long(text);
    append(wal, texts, 1, MN_ACK_DISK);
    append(wal, texts + 1, 1, MN_ACK_DISK);
    append(wal, texts + 2, 1, MN_ACK_OS);
    mni_wal_abandon(wal);
    mni_crash_env_restart(crash, true, 3); /* two sectors of the last commit arrived */
}

static void write_all(const char *target)
{
    struct mni_crash_env *crash;

    CHECK_OK(mni_crash_env_new(1, &crash));
    write_closed(mni_crash_env_base(crash));
    write_torn(crash);
    for (size_t i = 0; i < CHECK_COUNT(closed_names); i++)
        copy_out(mni_crash_env_base(crash), "closed", strchr(closed_names[i], '/') + 1, target);
    copy_out(mni_crash_env_base(crash), "torn", strchr(torn_name, '/') + 1, target);
    mni_crash_env_free(crash);
}

/* Reading ----------*/

struct seen {
    char text[512];
    size_t n;
};

static mn_status note(void *context, const struct mn_wal_record *record)
{
    struct seen *seen = context;

    CHECK(record->commit_time_us > 0);
    size_t n = strlen(seen->text);
    (void)snprintf(seen->text + n, sizeof seen->text - n, "%u.%u/%u:%.*s;", (unsigned)record->lsn,
                   (unsigned)record->index_in_commit, (unsigned)record->n_in_commit,
                   (int)record->data.n_bytes, (const char *)record->data.data);
    seen->n++;
    return MN_OK;
}

static mn_wal *open_golden(const char *name, mn_recovery recovery, mn_status expected)
{
    struct mn_wal_options options = {
        .size = sizeof options, .read_only = true, .recovery = recovery};
    char path[1024];
    struct mn_error err;
    mn_wal *wal = NULL;

    (void)snprintf(path, sizeof path, "%s/wal-v1/%s", GOLDEN_DIR, name);
    mn_status st = mn_wal_open(path, &options, &wal, &err);
    if (expected == MN_OK)
        CHECK_OK_ERR(st, &err);
    CHECK_STATUS(st, expected);
    return wal;
}

static void the_closed_log_reads_as_written(void)
{
    mn_wal *wal = open_golden("closed", MN_RECOVERY_STRICT, MN_OK);
    struct mn_wal_stats stats = {.size = sizeof stats};
    struct mn_wal_record record;
    mn_wal_cursor *cursor;
    struct seen seen = {0};
    CHECK_OK(mn_wal_recover(wal, note, &seen, NULL)); /* after the checkpoint at LSN 2 */
    CHECK_STR_EQ(seen.text, "3.0/1:three;4.0/1:four;");
    seen = (struct seen){0};
    CHECK_OK(mn_wal_cursor_open(wal, 1, &cursor, NULL));
    while (mn_wal_cursor_next(cursor, &record, NULL) == MN_OK)
        CHECK_OK(note(&seen, &record));
    mn_wal_cursor_close(cursor);
    CHECK_STR_EQ(seen.text, "1.0/1:hello;2.0/3:;2.1/3:twelve bytes;2.2/3:a third one;3.0/1:three;"
                            "4.0/1:four;");
    CHECK_OK(mn_wal_stats(wal, &stats, NULL));
    CHECK_EQ(stats.n_files, 3);
    CHECK_EQ(stats.n_records, 6);
    CHECK_EQ(stats.checkpoint_lsn, 2);
    CHECK_EQ(stats.current_lsn, 4);
    CHECK_EQ(stats.torn_tail_bytes, 0);
    CHECK_OK(mn_wal_close(wal, NULL));
}

static void the_torn_log_reads_up_to_the_tear(void)
{
    CHECK(open_golden("torn", MN_RECOVERY_STRICT, MN_ERR_CORRUPT) == NULL);
    mn_wal *wal = open_golden("torn", MN_RECOVERY_TAIL, MN_OK);
    struct mn_wal_stats stats = {.size = sizeof stats};
    struct seen seen = {0};
    CHECK_OK(mn_wal_recover(wal, note, &seen, NULL));
    CHECK_STR_EQ(seen.text, "1.0/1:one;2.0/1:two;");
    CHECK_OK(mn_wal_stats(wal, &stats, NULL));
    CHECK(stats.torn_tail_bytes > 512);
    CHECK_OK(mn_wal_close(wal, NULL));
}

/* Headers and frames, taken apart and put together again, are the same bytes. */
static void check_file(const char *name)
{
    unsigned char bytes[FILE_BYTES + 1];
    unsigned char again[HEADER_BYTES];
    struct wal_header header;
    struct wal_frame f;
    char path[1024];
    uint64_t offset = HEADER_BYTES;
    size_t n_frames = 0;

    (void)snprintf(path, sizeof path, "%s/wal-v1/%s", GOLDEN_DIR, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK_EQ(fread(bytes, 1, sizeof bytes, file), FILE_BYTES);
    fclose(file);
    CHECK_OK(wal_header_decode(bytes, name, &header, NULL));
    wal_header_encode(&header, again);
    CHECK_MEM_EQ(again, bytes, HEADER_BYTES);
    while (wal_frame_decode(bytes + offset, header.salt, offset, &f)) {
        wal_frame_encode(&f, header.salt, offset, again);
        CHECK_MEM_EQ(again, bytes + offset, FRAME_HEADER_BYTES);
        CHECK(wal_frame_is_sane(&f, offset, FILE_BYTES));
        offset += f.frame_bytes;
        n_frames++;
    }
    CHECK(n_frames >= 2);
}

static void headers_and_frames_are_written_the_same(void)
{
    for (size_t i = 0; i < CHECK_COUNT(closed_names); i++)
        check_file(closed_names[i]);
    check_file(torn_name);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_closed_log_reads_as_written),
        CHECK_TEST(the_torn_log_reads_up_to_the_tear),
        CHECK_TEST(headers_and_frames_are_written_the_same),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_all(argv[2]);
        return 0;
    }
    return check_run("golden.wal", tests, CHECK_COUNT(tests), argc, argv);
}
