/*
 * settings.c - the table of settings: names, ranges, defaults.
 *
 * Owns:    nothing; the values lie in the file STORE (docs/format/store.md).
 * Threads: any.
 * Fails:   MN_NOT_FOUND for a name that is none, MN_ERR_INVALID for a value out of range.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
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
    return index < N_SETTINGS ? infos[index].name : NULL;
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

static mn_status find_setting(const char *key, enum setting *setting_out, struct mn_error *err)
{
    *setting_out = setting_by_name(key, strlen(key));
    if (*setting_out == N_SETTINGS)
        return mni_fail(err, MN_NOT_FOUND, "there is no setting \"%.60s\"", key);
    return MN_OK;
}

mn_status mni_engine_check_setting(const char *key, uint64_t value, struct mn_error *err)
{
    char text[SETTING_VALUE_BYTES];
    enum setting setting;
    mn_status st = find_setting(key, &setting, err);

    if (st != MN_OK || setting_in_range(setting, value))
        return st;
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return fail_range(&infos[setting], text, err);
}

mn_status mni_engine_setting(struct mni_engine *engine, const char *key, char *value_out,
                             size_t value_bytes, struct mn_error *err)
{
    char text[SETTING_VALUE_BYTES];
    enum setting setting;
    mn_status st = find_setting(key, &setting, err);

    if (st != MN_OK)
        return st;
    mni_mutex_lock(&engine->settings_lock);
    setting_format(setting, engine->store.settings[setting], text);
    mni_mutex_unlock(&engine->settings_lock);
    if (strlen(text) + 1 > value_bytes)
        return mni_fail(err, MN_ERR_LIMIT, "the value needs %zu bytes", strlen(text) + 1);
    memcpy(value_out, text, strlen(text) + 1);
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
}

mn_status mni_engine_set(struct mni_engine *engine, const char *key, const char *value,
                         struct mn_error *err)
{
    struct store_file changed;
    enum setting setting;
    uint64_t parsed;
    mn_status st = find_setting(key, &setting, err);

    if (st == MN_OK)
        st = setting_parse(setting, value, &parsed, err);
    if (st == MN_OK && engine->read_only)
        st = mni_fail(err, MN_ERR_READ_ONLY, "the store was opened for reading");
    if (st != MN_OK)
        return st;
    mni_mutex_lock(&engine->settings_lock);
    changed = engine->store;
    changed.settings[setting] = parsed;
    st = store_file_write(engine->dir, &changed, err);
    if (st == MN_OK)
        engine->store.settings[setting] = parsed; /* the id is read without the lock */
    engine_use_settings(engine);
    mni_mutex_unlock(&engine->settings_lock);
    return st;
}
