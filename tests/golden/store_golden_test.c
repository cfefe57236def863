/* STORE of version 1 still means what docs/format/store.md says, and is written the same. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "check.h"
#include "engine/engine_private.h"
#include "io/posix.h"

enum { FILE_BYTES = 4096, CRC_OFFSET = 4092 };

static void read_golden(unsigned char bytes[FILE_BYTES])
{
    FILE *file = fopen(GOLDEN_DIR "/store-v1.bin", "rb");

    CHECK(file != NULL);
    size_t n = fread(bytes, 1, FILE_BYTES, file);
    CHECK_EQ(n, FILE_BYTES);
    CHECK_EQ(fgetc(file), EOF);
    fclose(file);
}

static struct mni_dir *new_dir(void)
{
    struct mni_dir *dir = NULL;
    struct mn_error err;

    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), check_temp_dir(), false, &dir, &err), &err);
    return dir;
}

static mn_status read_as_store(const unsigned char *bytes, size_t n, struct store_file *store,
                               struct mn_error *err)
{
    struct mni_dir *dir = new_dir();
    struct mni_file *file = NULL;

    CHECK_OK(mni_dir_open_file(dir, "STORE", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL));
    CHECK_OK(mni_file_write(file, 0, bytes, n, NULL));
    mni_file_close(file);
    mn_status st = store_file_read(dir, store, err);
    mni_dir_close(dir);
    return st;
}

static void the_file_reads_as_written(void)
{
    unsigned char golden[FILE_BYTES];
    struct store_file store;
    struct mn_error err;

    read_golden(golden);
    CHECK_OK_ERR(read_as_store(golden, FILE_BYTES, &store, &err), &err);
    for (unsigned i = 0; i < MNI_STORE_ID_BYTES; i++)
        CHECK_EQ(store.store_id[i], 0xa0 + i);
    CHECK_EQ(store.created_us, 1700000000000000);
    for (int i = 0; i < N_SETTINGS; i++) {
        uint64_t expected = setting_default((enum setting)i);
        if (i == SETTING_SYNC)
            expected = MN_SYNC_EVERY_MS;
        if (i == SETTING_SYNC_INTERVAL_MS)
            expected = 250;
        CHECK_EQ(store.settings[i], expected);
    }
    CHECK_STR_EQ(store.texts[TEXT_SNAPSHOT_DIR], "/backup");
}

static void the_file_is_written_the_same(void)
{
    unsigned char golden[FILE_BYTES];
    unsigned char written[FILE_BYTES + 1];
    struct store_file store;
    struct mni_file *file = NULL;
    size_t n_read = 0;
    struct mni_dir *dir = new_dir();

    read_golden(golden);
    CHECK_OK(read_as_store(golden, FILE_BYTES, &store, NULL));
    CHECK_OK(store_file_write(dir, &store, NULL));
    CHECK_OK(mni_dir_open_file(dir, "STORE", MNI_OPEN_READ, &file, NULL));
    CHECK_OK(mni_file_read(file, 0, written, sizeof written, &n_read, NULL));
    mni_file_close(file);
    mni_dir_close(dir);
    CHECK_EQ(n_read, FILE_BYTES);
    CHECK_MEM_EQ(written, golden, FILE_BYTES);
}

/* What the page says readers reject. */
static void every_other_byte_is_refused(void)
{
    unsigned char bytes[FILE_BYTES + 1] = {0};
    struct store_file store;

    read_golden(bytes);
    for (size_t i = 0; i < FILE_BYTES; i += i < 160 || i > 4080 ? 1 : 97) {
        bytes[i] ^= 0x10;
        CHECK_STATUS(read_as_store(bytes, FILE_BYTES, &store, NULL), MN_ERR_CORRUPT);
        bytes[i] ^= 0x10;
    }
    CHECK_STATUS(read_as_store(bytes, FILE_BYTES - 1, &store, NULL), MN_ERR_CORRUPT);
    CHECK_STATUS(read_as_store(bytes, FILE_BYTES + 1, &store, NULL), MN_ERR_CORRUPT);
    CHECK_STATUS(read_as_store(bytes, 0, &store, NULL), MN_ERR_CORRUPT);
}

static mn_status read_with(size_t offset, unsigned char value, struct mn_error *err)
{
    unsigned char bytes[FILE_BYTES];
    struct store_file store;

    read_golden(bytes);
    bytes[offset] = value;
    mni_put_u32(bytes + CRC_OFFSET, mni_crc32c(0, bytes, CRC_OFFSET));
    return read_as_store(bytes, FILE_BYTES, &store, err);
}

static void sums_that_hold_over_nonsense_do_not_help(void)
{
    struct mn_error err;

    CHECK_OK_ERR(read_with(32, 1, &err), &err); /* another time of making is fine */
    CHECK_STATUS(read_with(8, 2, &err), MN_ERR_UNSUPPORTED);
    CHECK_STR_HAS(err.message, "version 2");
    CHECK_STATUS(read_with(12, 51, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(read_with(40, 'S', &err), MN_ERR_UNSUPPORTED);
    CHECK_STR_HAS(err.message, "\"Sync\"");
    CHECK_STATUS(read_with(72, 9, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "sync is 9");
    CHECK_STATUS(read_with(71, 1, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "behind the name of sync");
    CHECK_STATUS(read_with(120, 1, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "behind its settings");
    CHECK_STATUS(read_with(14, 0, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "behind its texts");
    CHECK_STATUS(read_with(14, 2, &err), MN_ERR_UNSUPPORTED);
    CHECK_STATUS(read_with(15, 255, &err), MN_ERR_UNSUPPORTED);
    CHECK_STATUS(read_with(2048, 'S', &err), MN_ERR_UNSUPPORTED);
    CHECK_STATUS(read_with(2079, 1, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "behind the name of snapshot_dir");
    CHECK_STATUS(read_with(2080, 6, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(read_with(2081, 8, &err), MN_ERR_CORRUPT); /* 2,055 bytes */
    CHECK_STR_HAS(err.message, "cut off");
    CHECK_STATUS(read_with(2082, 'b', &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "snapshot_dir");
    CHECK_STATUS(read_with(2083, 0xff, &err), MN_ERR_CORRUPT);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_file_reads_as_written),
        CHECK_TEST(the_file_is_written_the_same),
        CHECK_TEST(every_other_byte_is_refused),
        CHECK_TEST(sums_that_hold_over_nonsense_do_not_help),
    };
    return check_run("golden.store", tests, CHECK_COUNT(tests), argc, argv);
}
