/*
 * object_fuzz.c - any bytes as the file of an object in a directory, and as the name of one: they
 * are read as what they are, or refused.
 *
 * Byte 0 of an input: bit 0 takes the rest as a name, and as a key; else as a file. Bit 1 puts the
 * checksum and the length of a file right, so that what lies behind them is reached.
 *
 * Owns:    a simulated disk per input.
 * Threads: one.
 * Fails:   by ending the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "io/crash.h"
#include "object/dir_private.h"
#include "object/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { IS_NAME = 1, PUT_RIGHT = 2 };

/* Each step of a key has a name that reads as this step. */
static void check_key(const uint8_t *data, size_t n)
{
    struct dir_step step = {.kind = DIR_FOLDER};
    struct dir_entry entry;
    size_t at = 0;

    while (step.kind != DIR_LEAF) {
        dir_next_step((struct mn_slice){data + at, n - at}, &step);
        MNI_CHECK(step.n_bytes <= n - at);
        MNI_CHECK(strlen(step.name) > 0 && strlen(step.name) < MNI_NAME_BYTES_MAX);
        MNI_CHECK(strchr(step.name, '/') == NULL && step.name[0] != '.');
        bool is_ours = dir_read_name(step.name, step.kind != DIR_LEAF, &entry);
        MNI_CHECK(is_ours && entry.kind == step.kind && entry.n_bytes == step.n_bytes);
        MNI_CHECK(memcmp(entry.bytes, data + at, step.n_bytes) == 0);
        at += step.n_bytes;
    }
    MNI_CHECK(at == n);
}

static void check_name(const uint8_t *data, size_t n)
{
    char name[2 * MNI_NAME_BYTES_MAX];
    struct dir_entry entry;
    struct dir_step step;

    if (n >= sizeof name)
        return;
    memcpy(name, data, n);
    name[n] = '\0';
    for (int is_dir = 0; is_dir < 2; is_dir++) {
        if (!dir_read_name(name, is_dir, &entry))
            continue;
        dir_next_step((struct mn_slice){entry.bytes, entry.n_bytes}, &step);
        MNI_CHECK(strcmp(step.name, name) == 0 && (step.kind == DIR_LEAF) == !is_dir);
    }
}

static void put_right(unsigned char *bytes, size_t n)
{
    if (n < OBJECT_FOOTER_BYTES)
        return;
    unsigned char *footer = bytes + n - OBJECT_FOOTER_BYTES;
    memcpy(footer, OBJECT_MAGIC, OBJECT_MAGIC_BYTES);
    mni_put_u64(footer + OBJECT_OFF_BYTES, n - OBJECT_FOOTER_BYTES);
    mni_put_u32(footer + OBJECT_OFF_CRC, mni_crc32c(0, footer, OBJECT_OFF_CRC));
}

static void read_object(struct mni_dir *dir, const unsigned char *bytes, size_t n)
{
    struct mn_object_info info;
    struct mn_slice content = {NULL, 0};
    struct mni_file *file = NULL;
    struct mn_error err = {0};

    mn_status st = dir_file_open(dir, "object", &file, &info, &err);
    if (st == MN_OK) {
        MNI_CHECK(info.n_bytes == n - OBJECT_FOOTER_BYTES);
        st = dir_file_read(file, &info, n, &content, &err);
    }
    MNI_CHECK(st == MN_OK || st == MN_ERR_CORRUPT || st == MN_ERR_UNSUPPORTED);
    MNI_CHECK(st == MN_OK || err.message[0] != '\0');
    if (st == MN_OK) {
        MNI_CHECK(content.n_bytes == info.n_bytes);
        MNI_CHECK(memcmp(content.data, bytes, content.n_bytes) == 0);
        MNI_CHECK(mni_crc32c(0, bytes, content.n_bytes) == info.crc32c);
    }
    mni_free((void *)(uintptr_t)content.data);
    mni_file_close(file);
}

static void check_file(const uint8_t *data, size_t n, bool is_right)
{
    unsigned char *bytes = malloc(n + 1);
    struct mni_crash_env *crash = NULL;
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;

    MNI_CHECK(bytes != NULL);
    memcpy(bytes, data, n);
    if (is_right)
        put_right(bytes, n);
    mn_status st = mni_crash_env_new(1, &crash);
    if (st == MN_OK)
        st = mni_env_open_dir(mni_crash_env_base(crash), "/d", true, &dir, NULL);
    if (st == MN_OK)
        st = mni_dir_open_file(dir, "object", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, NULL);
    if (st == MN_OK && n > 0)
        st = mni_file_write(file, 0, bytes, n, NULL);
    MNI_CHECK(st == MN_OK);
    mni_file_close(file);
    read_object(dir, bytes, n);
    mni_dir_close(dir);
    mni_crash_env_free(crash);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes == 0)
        return 0;
    if ((data[0] & IS_NAME) == 0) {
        check_file(data + 1, n_bytes - 1, (data[0] & PUT_RIGHT) != 0);
        return 0;
    }
    check_name(data + 1, n_bytes - 1);
    if (n_bytes - 1 <= MN_OBJECT_KEY_BYTES_MAX)
        check_key(data + 1, n_bytes - 1);
    return 0;
}
