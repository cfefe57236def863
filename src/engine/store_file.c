/*
 * store_file.c - the file STORE: the mark of a store, its id and its settings.
 *
 * Owns:    nothing.
 * Format:  docs/format/store.md
 * Threads: one at a time per directory.
 * Fails:   MN_ERR_CORRUPT for a file that is damaged; writing replaces it whole or not at all.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "engine/engine_private.h"

enum {
    STORE_VERSION = 1,
    STORE_OFF_MAGIC = 0,     /* 8 bytes */
    STORE_OFF_VERSION = 8,   /* u32 */
    STORE_OFF_SETTINGS = 12, /* u16, number of settings that are numbers */
    STORE_OFF_TEXTS = 14,    /* u16, number of those that are texts */
    STORE_OFF_ID = 16,       /* 16 bytes */
    STORE_OFF_CREATED = 32,  /* i64, microseconds */
    STORE_OFF_ENTRIES = 40,  /* per setting: 32 bytes of name, zero-padded; u64 value */
    ENTRY_NAME_BYTES = 32,
    ENTRY_BYTES = 40,
    ENTRIES_MAX = 50,
    STORE_OFF_TEXT_ENTRIES = 2048, /* per text: 32 bytes of name; u16 bytes; the text */
    TEXT_OFF_BYTES = 32,
    TEXT_OFF_TEXT = 34,
    STORE_OFF_CRC = 4092, /* u32, CRC-32C of bytes 0..4091 */
};
static_assert(STORE_OFF_ENTRIES + ENTRIES_MAX * ENTRY_BYTES <= STORE_OFF_TEXT_ENTRIES,
              "STORE layout");
static_assert(STORE_OFF_TEXT_ENTRIES + N_TEXTS * (TEXT_OFF_TEXT + TEXT_BYTES_MAX) <= STORE_OFF_CRC,
              "texts fit");
static_assert(STORE_OFF_CRC + 4 == (int)STORE_FILE_BYTES, "STORE layout");
static_assert((int)N_SETTINGS <= (int)ENTRIES_MAX, "settings fit");

static const char store_name[] = "STORE";
static const char store_new_name[] = "STORE.new";

/* The name that an entry begins with. */
static struct mn_slice entry_name(const unsigned char *entry)
{
    return (struct mn_slice){entry, strnlen((const char *)entry, ENTRY_NAME_BYTES)};
}

static mn_status check_entry(struct mn_slice name, bool is_known, struct mn_error *err)
{
    const unsigned char *entry = name.data;

    if (!is_known)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "STORE: a setting of a newer version, \"%.*s\"",
                        (int)name.n_bytes, (const char *)entry);
    if (!mni_is_zero(entry + name.n_bytes, ENTRY_NAME_BYTES - name.n_bytes))
        return mni_fail(err, MN_ERR_CORRUPT, "STORE: something stands behind the name of %.*s",
                        (int)name.n_bytes, (const char *)entry);
    return MN_OK;
}

static mn_status decode_numbers(const unsigned char *bytes, struct store_file *store,
                                struct mn_error *err)
{
    uint32_t n = mni_get_u16(bytes + STORE_OFF_SETTINGS);

    if (n > ENTRIES_MAX)
        return mni_fail(err, MN_ERR_CORRUPT, "STORE: %" PRIu32 " settings", n);
    size_t end = STORE_OFF_ENTRIES + (size_t)n * ENTRY_BYTES;
    if (!mni_is_zero(bytes + end, STORE_OFF_TEXT_ENTRIES - end))
        return mni_fail(err, MN_ERR_CORRUPT, "STORE: something stands behind its settings");
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *entry = bytes + STORE_OFF_ENTRIES + (size_t)i * ENTRY_BYTES;
        struct mn_slice name = entry_name(entry);
        enum setting setting = setting_by_name(name.data, name.n_bytes);
        uint64_t value = mni_get_u64(entry + ENTRY_NAME_BYTES);
        mn_status st = check_entry(name, setting != N_SETTINGS, err);
        if (st == MN_OK && !setting_in_range(setting, value))
            st = mni_fail(err, MN_ERR_CORRUPT, "STORE: %s is %" PRIu64,
                          mni_setting_key((size_t)setting), value);
        if (st != MN_OK)
            return st;
        store->settings[setting] = value;
    }
    return MN_OK;
}

static mn_status decode_texts(const unsigned char *bytes, struct store_file *store,
                              struct mn_error *err)
{
    uint32_t n = mni_get_u16(bytes + STORE_OFF_TEXTS);
    size_t at = STORE_OFF_TEXT_ENTRIES;

    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *entry = bytes + at;
        if (STORE_OFF_CRC - at < TEXT_OFF_TEXT)
            return mni_fail(err, MN_ERR_CORRUPT, "STORE: a text is cut off");
        struct mn_slice name = entry_name(entry);
        struct mn_slice text = {entry + TEXT_OFF_TEXT, mni_get_u16(entry + TEXT_OFF_BYTES)};
        enum text_setting setting = text_setting_by_name(name.data, name.n_bytes);
        if (text.n_bytes > TEXT_BYTES_MAX || text.n_bytes > STORE_OFF_CRC - at - TEXT_OFF_TEXT)
            return mni_fail(err, MN_ERR_CORRUPT, "STORE: a text is cut off");
        mn_status st = check_entry(name, setting != N_TEXTS, err);
        if (st == MN_OK && (text.n_bytes == 0 || text_setting_check(setting, text, NULL) != MN_OK))
            st = mni_fail(err, MN_ERR_CORRUPT, "STORE: %s is out of its range",
                          text_setting_name(setting));
        if (st != MN_OK)
            return st;
        memset(store->texts[setting], 0, sizeof store->texts[setting]);
        memcpy(store->texts[setting], text.data, text.n_bytes);
        at += TEXT_OFF_TEXT + text.n_bytes;
    }
    if (!mni_is_zero(bytes + at, STORE_OFF_CRC - at))
        return mni_fail(err, MN_ERR_CORRUPT, "STORE: something stands behind its texts");
    return MN_OK;
}

mn_status store_file_decode(const unsigned char bytes[STORE_FILE_BYTES],
                            struct store_file *store_out, struct mn_error *err)
{
    if (memcmp(bytes, "MNEMEDIR", 8) != 0 ||
        mni_get_u32(bytes + STORE_OFF_CRC) != mni_crc32c(0, bytes, STORE_OFF_CRC))
        return mni_fail(err, MN_ERR_CORRUPT, "STORE is damaged");
    if (mni_get_u32(bytes + STORE_OFF_VERSION) != STORE_VERSION)
        return mni_fail(err, MN_ERR_UNSUPPORTED,
                        "STORE: format version %" PRIu32 ", this program reads version %d",
                        mni_get_u32(bytes + STORE_OFF_VERSION), STORE_VERSION);
    memcpy(store_out->store_id, bytes + STORE_OFF_ID, MNI_STORE_ID_BYTES);
    store_out->created_us = mni_get_i64(bytes + STORE_OFF_CREATED);
    settings_init(store_out);
    mn_status st = decode_numbers(bytes, store_out, err);
    return st == MN_OK ? decode_texts(bytes, store_out, err) : st;
}

static mn_status read_named(struct mni_dir *dir, const char *name, struct store_file *store_out,
                            struct mn_error *err)
{
    unsigned char bytes[STORE_FILE_BYTES + 1];
    struct mni_file *file = NULL;
    size_t n_read = 0;
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);

    if (st != MN_OK)
        return st;
    st = mni_file_read(file, 0, bytes, sizeof bytes, &n_read, err);
    mni_file_close(file);
    if (st != MN_OK)
        return st;
    if (n_read != STORE_FILE_BYTES)
        return mni_fail(err, MN_ERR_CORRUPT, "STORE is damaged");
    return store_file_decode(bytes, store_out, err);
}

mn_status store_file_read(struct mni_dir *dir, struct store_file *store_out, struct mn_error *err)
{
    return read_named(dir, store_name, store_out, err);
}

void store_file_encode(const struct store_file *store, unsigned char bytes[STORE_FILE_BYTES])
{
    uint32_t n = 0;

    memset(bytes, 0, STORE_FILE_BYTES);
    memcpy(bytes + STORE_OFF_MAGIC, "MNEMEDIR", 8);
    mni_put_u32(bytes + STORE_OFF_VERSION, STORE_VERSION);
    memcpy(bytes + STORE_OFF_ID, store->store_id, MNI_STORE_ID_BYTES);
    mni_put_i64(bytes + STORE_OFF_CREATED, store->created_us);
    for (int i = 0; i < N_SETTINGS; i++) {
        if (store->settings[i] == setting_default((enum setting)i))
            continue;
        unsigned char *entry = bytes + STORE_OFF_ENTRIES + (size_t)n * ENTRY_BYTES;
        size_t name_bytes = strlen(mni_setting_key((size_t)i));
        MNI_CHECK(name_bytes < ENTRY_NAME_BYTES);
        memcpy(entry, mni_setting_key((size_t)i), name_bytes);
        mni_put_u64(entry + ENTRY_NAME_BYTES, store->settings[i]);
        n++;
    }
    mni_put_u16(bytes + STORE_OFF_SETTINGS, (uint16_t)n);
    unsigned char *entry = bytes + STORE_OFF_TEXT_ENTRIES;
    uint16_t n_texts = 0;
    for (int i = 0; i < N_TEXTS; i++) {
        const char *name = text_setting_name((enum text_setting)i);
        size_t text_bytes = strlen(store->texts[i]);
        if (text_bytes == 0)
            continue;
        memcpy(entry, name, strlen(name));
        mni_put_u16(entry + TEXT_OFF_BYTES, (uint16_t)text_bytes);
        memcpy(entry + TEXT_OFF_TEXT, store->texts[i], text_bytes);
        entry += TEXT_OFF_TEXT + text_bytes;
        n_texts++;
    }
    mni_put_u16(bytes + STORE_OFF_TEXTS, n_texts);
    mni_put_u32(bytes + STORE_OFF_CRC, mni_crc32c(0, bytes, STORE_OFF_CRC));
}

static mn_status write_named(struct mni_dir *dir, const char *name, const struct store_file *store,
                             struct mn_error *err)
{
    unsigned char bytes[STORE_FILE_BYTES];
    struct mni_file *file = NULL;

    store_file_encode(store, bytes);
    mn_status st = mni_dir_unlink(dir, store_new_name, err);
    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_dir_open_file(dir, store_new_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, err);
    if (st != MN_OK)
        goto out;
    st = mni_file_write(file, 0, bytes, sizeof bytes, err);
    if (st == MN_OK && !MNI_PLANTED("store_file_not_synced"))
        st = mni_file_sync(file, err);
    mni_file_close(file);
    if (st == MN_OK)
        st = mni_dir_rename(dir, store_new_name, name, err);
    else
        mni_ignore(mni_dir_unlink(dir, store_new_name, NULL));
    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
out:
    if (st == MN_OK || st < 0)
        return st;
    /* The directory was removed under us; callers take "not found" for an answer. */
    if (err != NULL)
        err->status = MN_ERR_IO;
    return MN_ERR_IO;
}

mn_status store_file_write(struct mni_dir *dir, const struct store_file *store,
                           struct mn_error *err)
{
    return write_named(dir, store_name, store, err);
}

/* A restore replaces STORE and the manifest together ---------- */

enum { NUMBER_OFFSET = 6, NUMBER_DIGITS = 20 };

mn_status store_file_prepare(struct mni_dir *dir, const struct store_file *store,
                             uint64_t manifest_number, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];

    (void)snprintf(name, sizeof name, "STORE.%020" PRIu64, manifest_number);
    return write_named(dir, name, store, err);
}

/* The number in such a name; 0: it is none. */
static uint64_t parse_prepared(const char *name)
{
    uint64_t number = 0;

    if (strncmp(name, "STORE.", NUMBER_OFFSET) != 0 ||
        strlen(name) != NUMBER_OFFSET + NUMBER_DIGITS)
        return 0;
    for (const char *p = name + NUMBER_OFFSET; *p != '\0'; p++) {
        unsigned digit = (unsigned)(unsigned char)*p - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    return number;
}

static mn_status note_prepared(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    uint64_t *number = context;

    (void)err;
    if (!is_dir && parse_prepared(name) != 0)
        *number = parse_prepared(name);
    return MN_OK;
}

mn_status store_file_settle(struct mni_dir *dir, uint64_t manifest_number, bool read_only,
                            struct store_file *store, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct store_file prepared;
    uint64_t number = 0;
    mn_status st = mni_dir_list(dir, note_prepared, &number, err);

    if (st != MN_OK || number == 0)
        return st;
    (void)snprintf(name, sizeof name, "STORE.%020" PRIu64, number);
    if (number > manifest_number)
        return read_only ? MN_OK : mni_dir_unlink(dir, name, err);
    st = read_named(dir, name, &prepared, err);
    if (st == MN_OK && memcmp(prepared.store_id, store->store_id, MNI_STORE_ID_BYTES) != 0)
        st = mni_fail(err, MN_ERR_CORRUPT, "%s belongs to another store", name);
    if (st != MN_OK)
        return st;
    *store = prepared;
    return read_only ? MN_OK : mni_dir_rename(dir, name, store_name, err);
}
