/*
 * settings.c - the table of settings: names, ranges, defaults.
 *
 * Most are numbers. A text may be empty, which is its default.
 *
 * Owns:    nothing; the values lie in the file STORE (docs/format/store.md).
 * Threads: any.
 * Fails:   MN_NOT_FOUND for a name that is none, MN_ERR_INVALID for a value out of range.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"
#include "engine/engine_private.h"

struct setting_info {
    const char *name;
    uint64_t least;
    uint64_t most;
    uint64_t initial;
    uint64_t multiple_of;
};

/* docs/guide/settings.md shows the same table; a test compares them. */
static const struct setting_info infos[N_SETTINGS] = {
    [SETTING_SYNC] = {"sync", MN_SYNC_EVERY_WRITE, MN_SYNC_MANUAL, MN_SYNC_EVERY_WRITE, 1},
    [SETTING_SYNC_EVERY_COMMITS] = {"sync_every_commits", 1, 1000000, 100, 1},
    [SETTING_SYNC_INTERVAL_MS] = {"sync_interval_ms", 1, 3600000, 100, 1},
    [SETTING_WAL_FILE_BYTES] = {"wal_file_bytes", 64 << 10, UINT64_C(4) << 30, 64 << 20, 4096},
    [SETTING_SWEEP_INTERVAL_MS] = {"sweep_interval_ms", 10, 86400000, 1000, 1},
    [SETTING_SWEEP_BATCH_RECORDS] = {"sweep_batch_records", 1, 100000, 1000, 1},
    [SETTING_SWEEP_TIME_CAP_MS] = {"sweep_time_cap_ms", 1, 60000, 50, 1},
    [SETTING_CHECKPOINT_BYTES] = {"checkpoint_bytes", 64 << 10, UINT64_C(1) << 40, 64 << 20, 1},
    [SETTING_CHECKPOINT_INTERVAL_MS] = {"checkpoint_interval_ms", 100, 86400000, 60000, 1},
    [SETTING_CHECKPOINT_RECORDS] = {"checkpoint_records", 0, UINT64_C(1) << 40, 0, 1},
    [SETTING_MEMORY_BYTES_MAX] = {"memory_bytes_max", 64 << 20, UINT64_C(1) << 40, 1 << 30, 1},
    [SETTING_PINNED_BYTES_MAX] = {"pinned_bytes_max", 1 << 20, UINT64_C(1) << 40, 256 << 20, 1},
    [SETTING_MAX_SNAPSHOTS] = {"max_snapshots", 0, 1000000, 10, 1},
    [SETTING_CACHE_BYTES_MAX] = {"cache_bytes_max", 0, UINT64_C(1) << 40, 0, 1},
    [SETTING_CACHE_ENTRIES_MAX] = {"cache_entries_max", 0, UINT64_C(1) << 40, 0, 1},
    [SETTING_CACHE_TENANT_BYTES_MAX] = {"cache_tenant_bytes_max", 0, UINT64_C(1) << 40, 0, 1},
    [SETTING_CACHE_TENANT_ENTRIES_MAX] = {"cache_tenant_entries_max", 0, UINT64_C(1) << 40, 0, 1},
};

static const char *const text_names[N_TEXTS] = {
    [TEXT_SNAPSHOT_DIR] = "snapshot_dir",
    [TEXT_ARCHIVE_DIR] = "archive_dir",
};

static const char *const sync_words[] = {
    [MN_SYNC_EVERY_WRITE] = "every_write",
    [MN_SYNC_EVERY_N] = "every_n",
    [MN_SYNC_EVERY_MS] = "every_ms",
    [MN_SYNC_MANUAL] = "manual",
};

uint64_t setting_default(enum setting setting)
{
    return infos[setting].initial;
}

void settings_init(struct store_file *store)
{
    for (int i = 0; i < N_SETTINGS; i++)
        store->settings[i] = setting_default((enum setting)i);
    memset(store->texts, 0, sizeof store->texts);
}

bool setting_in_range(enum setting setting, uint64_t value)
{
    const struct setting_info *info = &infos[setting];

    return value >= info->least && value <= info->most && value % info->multiple_of == 0;
}

enum setting setting_by_name(const char *key, size_t key_bytes)
{
    for (int i = 0; i < N_SETTINGS; i++)
        if (strlen(infos[i].name) == key_bytes && memcmp(infos[i].name, key, key_bytes) == 0)
            return (enum setting)i;
    return N_SETTINGS;
}

const char *mni_setting_key(size_t index)
{
    if (index < N_SETTINGS)
        return infos[index].name;
    return index - N_SETTINGS < N_TEXTS ? text_names[index - N_SETTINGS] : NULL;
}

const char *text_setting_name(enum text_setting setting)
{
    return text_names[setting];
}

enum text_setting text_setting_by_name(const char *key, size_t key_bytes)
{
    for (int i = 0; i < N_TEXTS; i++)
        if (strlen(text_names[i]) == key_bytes && memcmp(text_names[i], key, key_bytes) == 0)
            return (enum text_setting)i;
    return N_TEXTS;
}

/* All texts there are now are directories. */
mn_status text_setting_check(enum text_setting setting, struct mn_slice text, struct mn_error *err)
{
    const char *name = text_names[setting];

    if (text.n_bytes == 0)
        return MN_OK;
    if (text.n_bytes > TEXT_BYTES_MAX)
        return mni_fail(err, MN_ERR_INVALID, "%s has %zu bytes; it can have %d", name, text.n_bytes,
                        TEXT_BYTES_MAX);
    if (mni_utf8_valid_prefix(text.data, text.n_bytes) != text.n_bytes ||
        memchr(text.data, 0, text.n_bytes) != NULL)
        return mni_fail(err, MN_ERR_INVALID, "%s is not UTF-8", name);
    if (*(const char *)text.data != '/')
        return mni_fail(err, MN_ERR_INVALID,
                        "%s is \"%.*s\"; it must begin with /, or be empty for the default", name,
                        (int)(text.n_bytes < 60 ? text.n_bytes : 60), (const char *)text.data);
    return MN_OK;
}

void setting_format(enum setting setting, uint64_t value, char out[SETTING_VALUE_BYTES])
{
    MNI_CHECK(setting_in_range(setting, value));
    if (setting == SETTING_SYNC)
        (void)snprintf(out, SETTING_VALUE_BYTES, "%s", sync_words[value]);
    else
        (void)snprintf(out, SETTING_VALUE_BYTES, "%" PRIu64, value);
}

static bool parse_number(const char *text, uint64_t *value_out)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *value_out = value;
    return true;
}

static mn_status fail_range(const struct setting_info *info, const char *text, struct mn_error *err)
{
    return mni_fail(err, MN_ERR_INVALID, "%s is \"%.40s\"; it can be %" PRIu64 " to %" PRIu64 "%s",
                    info->name, text, info->least, info->most,
                    info->multiple_of > 1 ? ", a multiple of 4096" : "");
}

mn_status setting_parse(enum setting setting, const char *text, uint64_t *value_out,
                        struct mn_error *err)
{
    const struct setting_info *info = &infos[setting];
    uint64_t value = 0;

    if (setting == SETTING_SYNC) {
        for (value = info->least; value <= info->most; value++)
            if (strcmp(sync_words[value], text) == 0) {
                *value_out = value;
                return MN_OK;
            }
        return mni_fail(err, MN_ERR_INVALID,
                        "sync is \"%.40s\"; it can be every_write, every_n, every_ms or manual",
                        text);
    }
    if (!parse_number(text, &value) || !setting_in_range(setting, value))
        return fail_range(info, text, err);
    *value_out = value;
    return MN_OK;
}

/* One of the two is set; N_SETTINGS and N_TEXTS say which is not. */
static mn_status find_setting(const char *key, enum setting *setting_out,
                              enum text_setting *text_out, struct mn_error *err)
{
    *setting_out = setting_by_name(key, strlen(key));
    *text_out = text_setting_by_name(key, strlen(key));
    if (*setting_out == N_SETTINGS && *text_out == N_TEXTS)
        return mni_fail(err, MN_NOT_FOUND, "there is no setting \"%.60s\"", key);
    return MN_OK;
}

mn_status mni_engine_check_setting(const char *key, uint64_t value, struct mn_error *err)
{
    char text[SETTING_VALUE_BYTES];
    enum setting setting;
    enum text_setting none;
    mn_status st = find_setting(key, &setting, &none, err);

    if (st != MN_OK)
        return st;
    MNI_CHECK(setting != N_SETTINGS);
    if (setting_in_range(setting, value))
        return MN_OK;
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return fail_range(&infos[setting], text, err);
}

mn_status mni_engine_setting(struct mni_engine *engine, const char *key, char *value_out,
                             size_t value_bytes, struct mn_error *err)
{
    char value[TEXT_BYTES_MAX + 1];
    enum setting setting;
    enum text_setting text;
    mn_status st = find_setting(key, &setting, &text, err);

    static_assert(sizeof value >= (size_t)SETTING_VALUE_BYTES, "numbers fit too");
    if (st != MN_OK)
        return st;
    mni_mutex_lock(&engine->settings_lock);
    if (text != N_TEXTS)
        memcpy(value, engine->store.texts[text], sizeof value);
    else
        setting_format(setting, engine->store.settings[setting], value);
    mni_mutex_unlock(&engine->settings_lock);
    if (strlen(value) + 1 > value_bytes)
        return mni_fail(err, MN_ERR_LIMIT, "the value needs %zu bytes", strlen(value) + 1);
    memcpy(value_out, value, strlen(value) + 1);
    return MN_OK;
}

void engine_use_settings(struct mni_engine *engine)
{
    const uint64_t *settings = engine->store.settings;

    uint64_t records = settings[SETTING_CHECKPOINT_RECORDS];
    uint64_t memory = engine->memory_option;
    uint64_t pinned = engine->pinned_option;

    atomic_store(&engine->checkpoint_bytes, settings[SETTING_CHECKPOINT_BYTES]);
    atomic_store(&engine->checkpoint_records, records != 0 ? records : UINT64_MAX);
    atomic_store(&engine->budget.bytes_max,
                 memory != 0 ? memory : settings[SETTING_MEMORY_BYTES_MAX]);
    atomic_store(&engine->pinned_bytes_max,
                 pinned != 0 ? pinned : settings[SETTING_PINNED_BYTES_MAX]);
    mni_pool_limit_pins(engine->pool, atomic_load(&engine->pinned_bytes_max));
    atomic_store(&engine->cache_limits.bytes_max, settings[SETTING_CACHE_BYTES_MAX]);
    atomic_store(&engine->cache_limits.entries_max, settings[SETTING_CACHE_ENTRIES_MAX]);
    atomic_store(&engine->cache_limits.tenant_bytes_max, settings[SETTING_CACHE_TENANT_BYTES_MAX]);
    atomic_store(&engine->cache_limits.tenant_entries_max,
                 settings[SETTING_CACHE_TENANT_ENTRIES_MAX]);
}

void mni_engine_cache_limits(struct mni_engine *engine, struct mni_cache_limits *limits_out)
{
    *limits_out = (struct mni_cache_limits){
        .bytes_max = atomic_load_explicit(&engine->cache_limits.bytes_max, memory_order_relaxed),
        .entries_max =
            atomic_load_explicit(&engine->cache_limits.entries_max, memory_order_relaxed),
        .tenant_bytes_max =
            atomic_load_explicit(&engine->cache_limits.tenant_bytes_max, memory_order_relaxed),
        .tenant_entries_max =
            atomic_load_explicit(&engine->cache_limits.tenant_entries_max, memory_order_relaxed),
    };
}

/* The new value is in `changed`; the id is read without the lock. */
static mn_status write_settings(struct mni_engine *engine, const struct store_file *changed,
                                struct mn_error *err)
{
    mn_status st = store_file_write(engine->dir, changed, err);

    if (st == MN_OK) {
        memcpy(engine->store.settings, changed->settings, sizeof changed->settings);
        memcpy(engine->store.texts, changed->texts, sizeof changed->texts);
    }
    return st;
}

/* Now and never again: that it is missing later means that something is wrong. */
static mn_status make_directory(struct mni_engine *engine, const char *path, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_open_dir(engine->env, path, true, &dir, err);

    mni_dir_close(dir);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_IO, "%.300s cannot be made", path) : st;
}

mn_status mni_engine_set(struct mni_engine *engine, const char *key, const char *value,
                         struct mn_error *err)
{
    struct store_file changed;
    enum setting setting;
    enum text_setting text;
    uint64_t parsed = 0;
    mn_status st = find_setting(key, &setting, &text, err);

    if (st == MN_OK && text != N_TEXTS)
        st = text_setting_check(text, mn_str(value), err);
    else if (st == MN_OK)
        st = setting_parse(setting, value, &parsed, err);
    if (st == MN_OK && engine->read_only)
        st = mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    if (st == MN_OK && text == TEXT_ARCHIVE_DIR && value[0] != '\0')
        st = make_directory(engine, value, err);
    if (st != MN_OK)
        return st;
    mni_mutex_lock(&engine->settings_lock);
    changed = engine->store;
    if (text != N_TEXTS)
        memcpy(changed.texts[text], value, strlen(value) + 1);
    else
        changed.settings[setting] = parsed;
    st = write_settings(engine, &changed, err);
    engine_use_settings(engine);
    mni_mutex_unlock(&engine->settings_lock);
    return st;
}
