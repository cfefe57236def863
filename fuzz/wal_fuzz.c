/*
 * wal_fuzz.c - any bytes as files of a log: it opens or refuses, and what opened stays readable.
 *
 * Byte 0 of an input says what to do: bit 0 puts lengths and checksums right, so that what lies
 * behind them is reached; bit 1 takes it for a log on its own; bit 2 makes two files of it, divided
 * by byte 1 (in 256ths); bit 3 puts the second file in the place that the first one's end asks for.
 * Byte 2 is the LSN of the point in time.
 *
 * Owns:    a simulated disk per input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "io/crash.h"
#include "wal/wal_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { PUT_RIGHT = 1, ALONE = 2, TWO_FILES = 4, CHAINED = 8, PREFIX_BYTES = 3 };
enum { FILE_BYTES = 12288 };

struct counted {
    uint64_t n_commits;
    uint64_t last_lsn;
};

/* So that the sanitizer sees any that may not be read. */
static void read_every_byte(struct mn_slice slice)
{
    static volatile uint32_t sink;

    sink = mni_crc32c(0, slice.data, slice.n_bytes);
    (void)sink;
}

static mn_status count(void *context, const struct mni_wal_entry *entry, struct mn_error *err)
{
    struct counted *c = context;

    (void)err;
    MNI_CHECK(entry->lsn > c->last_lsn);
    MNI_CHECK(entry->n_records > 0 && entry->payload.n_bytes > 0);
    MNI_CHECK((uintptr_t)entry->payload.data % 8 == 0);
    read_every_byte(entry->payload);
    c->last_lsn = entry->lsn;
    c->n_commits++;
    return MN_OK;
}

/* Makes checksums and lengths fit what stands there. Returns where the frames end. */
static uint64_t put_right(unsigned char *bytes, size_t n)
{
    uint64_t offset = HEADER_BYTES;

    if (n < HEADER_BYTES)
        return 0;
    memcpy(bytes, WAL_MAGIC, 8);
    mni_put_u32(bytes + HEADER_OFF_VERSION, WAL_VERSION);
    mni_put_u64(bytes + HEADER_OFF_FILE_BYTES, n);
    memset(bytes + HEADER_OFF_RESERVED, 0, HEADER_OFF_CRC - HEADER_OFF_RESERVED);
    mni_put_u32(bytes + HEADER_OFF_CRC, mni_crc32c(0, bytes, HEADER_OFF_CRC));
    while (n - offset >= FRAME_HEADER_BYTES) {
        unsigned char *f = bytes + offset;
        unsigned char place[16];
        uint64_t frame_bytes = mni_get_u32(f + FRAME_OFF_BYTES);
        if (frame_bytes < FRAME_HEADER_BYTES || frame_bytes > n - offset || frame_bytes % 8 != 0)
            break;
        mni_put_u32(f + FRAME_OFF_PAYLOAD_CRC,
                    mni_crc32c(0, f + FRAME_HEADER_BYTES, frame_bytes - FRAME_HEADER_BYTES));
        mni_put_u64(place, mni_get_u64(bytes + HEADER_OFF_SALT));
        mni_put_u64(place + 8, offset);
        mni_put_u32(f,
                    mni_crc32c(mni_crc32c(0, place, sizeof place), f + 4, FRAME_HEADER_BYTES - 4));
        offset += frame_bytes;
    }
    return offset;
}

static void write_file(struct mni_env *env, const unsigned char *bytes, size_t n,
                       uint64_t first_lsn)
{
    char name[WAL_NAME_BYTES];
    struct mni_dir *dir;
    struct mni_file *file;

    if (n >= HEADER_BYTES)
        first_lsn = mni_get_u64(bytes + HEADER_OFF_FIRST_LSN);
    wal_file_name(first_lsn == 0 ? 1 : first_lsn, name);
    mn_status st = mni_env_open_dir(env, "log", true, &dir, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_dir_open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL);
    if (st == MN_OK && n > 0)
        st = mni_file_write(file, 0, bytes, n, NULL);
    if (st == MN_OK)
        mni_file_close(file);
    MNI_CHECK(st == MN_OK || st == MN_EXISTS);
    mni_dir_close(dir);
}

static mn_status open_log(struct mni_env *env, struct mni_wal_config config,
                          struct counted *counted, struct mni_wal **wal_out)
{
    struct mn_error err = {0};

    *counted = (struct counted){0};
    config.env = env;
    config.any_store_id = true;
    config.file_bytes = FILE_BYTES;
    config.replay = count;
    config.replay_context = counted;
    mn_status st = mni_env_open_dir(env, "log", true, &config.dir, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_wal_open(&config, wal_out, &err);
    if (st == MN_OK)
        return st;
    MNI_CHECK(st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED || st == MN_ERR_NO_STORE ||
              st == MN_ERR_LIMIT || st == MN_NOT_FOUND);
    MNI_CHECK(err.message[0] != '\0');
    mni_dir_close(config.dir);
    return st;
}

static uint64_t walk(struct mni_wal *wal, uint64_t from_lsn)
{
    struct mni_wal_cursor *cursor = NULL;
    struct mni_wal_entry entry;
    uint64_t n = 0;

    if (mni_wal_cursor_open(wal, from_lsn, &cursor, NULL) != MN_OK)
        return 0;
    while (mni_wal_cursor_next(cursor, &entry, NULL) == MN_OK)
        n++;
    mni_wal_cursor_close(cursor);
    return n;
}

/* Each way of reading shows what the others do. Returns the status of the usual one. */
static mn_status read_all(struct mni_env *env, bool is_alone, uint64_t stop_lsn,
                          struct counted *tail)
{
    static const mn_recovery modes[] = {MN_RECOVERY_TAIL, MN_RECOVERY_STRICT,
                                        MN_RECOVERY_POINT_IN_TIME};
    mn_status tail_st = MN_OK;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct mni_wal_config config = {
            .read_only = true, .is_alone = is_alone, .recovery = modes[i]};
        struct counted counted;
        struct mni_wal_stats stats;
        struct mni_wal *wal;
        if (modes[i] == MN_RECOVERY_POINT_IN_TIME)
            config.stop_lsn = stop_lsn;
        mn_status st = open_log(env, config, &counted, &wal);
        if (i == 0) {
            tail_st = st;
            *tail = counted;
        }
        MNI_CHECK(modes[i] != MN_RECOVERY_STRICT || st != MN_OK || tail_st == MN_OK);
        if (st != MN_OK)
            continue;
        MNI_CHECK(i == 2 || counted.n_commits == tail->n_commits);
        MNI_CHECK(i != 2 || stop_lsn == 0 || counted.last_lsn <= stop_lsn);
        mni_wal_get_stats(wal, &stats);
        MNI_CHECK(stats.current_lsn >= counted.last_lsn);
        uint64_t n_walked = walk(wal, 1);
        MNI_CHECK(n_walked == 0 || n_walked == counted.n_commits);
        (void)walk(wal, counted.last_lsn / 2);
        mni_wal_abandon(wal);
    }
    return tail_st;
}

/* What opened for writing goes on, and is clean when it was closed. */
static void write_more(struct mni_env *env, bool is_alone, const struct counted *before)
{
    static const unsigned char payload[16];
    const struct mn_slice part = {payload, sizeof payload};
    struct mni_wal_config config = {.is_alone = is_alone};
    struct mni_commit commit;
    struct counted counted;
    struct mni_wal *wal;
    mn_status st = open_log(env, config, &counted, &wal);

    MNI_CHECK(st == MN_OK || st == MN_ERR_LIMIT);
    if (st != MN_OK)
        return;
    MNI_CHECK(counted.n_commits == before->n_commits && counted.last_lsn == before->last_lsn);
    st = mni_commit_init(&commit, &part, 1, 1, MN_ACK_DISK, NULL, NULL);
    MNI_CHECK(st == MN_OK);
    st = mni_wal_commit(wal, &commit);
    MNI_CHECK(st == MN_OK && commit.lsn > before->last_lsn);
    st = mni_wal_close(wal, NULL);
    MNI_CHECK(st == MN_OK);
    config.read_only = true;
    config.recovery = MN_RECOVERY_STRICT;
    st = open_log(env, config, &counted, &wal);
    MNI_CHECK(st == MN_OK && counted.n_commits == before->n_commits + 1);
    mni_wal_abandon(wal);
}

static mn_status check_record(void *context, const struct mn_wal_record *record)
{
    (void)context;
    MNI_CHECK(record->index_in_commit < record->n_in_commit);
    read_every_byte(record->data);
    return MN_OK;
}

static void read_records(struct mni_env *env)
{
    struct mn_wal_options options = {.size = sizeof options, .read_only = true};
    mn_wal *wal = NULL;

    if (mni_api_wal_open(env, "log", &options, &wal, NULL) != MN_OK)
        return;
    mn_status st = mn_wal_recover(wal, check_record, NULL, NULL);
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT);
    st = mn_wal_close(wal, NULL);
    MNI_CHECK(st == MN_OK);
}

/* Makes the second file one that follows the first. */
static void chain(const unsigned char *first, uint64_t first_end, unsigned char *second, size_t n)
{
    if (n < HEADER_BYTES || first_end == 0)
        return;
    memcpy(second + HEADER_OFF_STORE_ID, first + HEADER_OFF_STORE_ID, 16);
    mni_put_u64(second + HEADER_OFF_SEQUENCE, mni_get_u64(first + HEADER_OFF_SEQUENCE) + 1);
    mni_put_u64(second + HEADER_OFF_PREV_FIRST, mni_get_u64(first + HEADER_OFF_FIRST_LSN));
    mni_put_u64(second + HEADER_OFF_PREV_SALT, mni_get_u64(first + HEADER_OFF_SALT));
    mni_put_u64(second + HEADER_OFF_PREV_END, first_end);
}

static void write_files(struct mni_env *env, unsigned char *bytes, size_t n, const uint8_t *prefix)
{
    size_t n_first = n;
    uint64_t end = 0;

    if ((prefix[0] & TWO_FILES) != 0)
        n_first = (size_t)mni_align_down(n * prefix[1] / 256, 8);
    if ((prefix[0] & PUT_RIGHT) != 0)
        end = put_right(bytes, n_first);
    write_file(env, bytes, n_first, 1);
    if ((prefix[0] & TWO_FILES) == 0)
        return;
    if ((prefix[0] & CHAINED) != 0)
        chain(bytes, end, bytes + n_first, n - n_first);
    if ((prefix[0] & PUT_RIGHT) != 0)
        (void)put_right(bytes + n_first, n - n_first);
    write_file(env, bytes + n_first, n - n_first, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct mni_crash_env *crash;
    struct counted counted;

    if (n_bytes < PREFIX_BYTES)
        return 0;
    size_t n = n_bytes - PREFIX_BYTES;
    bool is_alone = (data[0] & ALONE) != 0;
    unsigned char *bytes = malloc(n == 0 ? 1 : n);
    MNI_CHECK(bytes != NULL);
    memcpy(bytes, data + PREFIX_BYTES, n);
    mn_status st = mni_crash_env_new(1, &crash);
    MNI_CHECK(st == MN_OK);
    struct mni_env *env = mni_crash_env_base(crash);
    write_files(env, bytes, n, data);
    if (is_alone)
        read_records(env);
    if (read_all(env, is_alone, data[2], &counted) == MN_OK)
        write_more(env, is_alone, &counted);
    mni_crash_env_free(crash);
    free(bytes);
    return 0;
}
