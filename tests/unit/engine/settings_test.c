/* Tests of settings: the table in the code, the table in the guide, and what they do. */
#include <errno.h>

#include "../api/short.h"
#include "io/crash.h"
#include "io/fault.h"

static struct mn_error err;

struct row {
    char name[32];
    char range[80];
    char initial[24];
};

/* Field `n` of a line of a Markdown table, without spaces and backquotes around it. */
static void field(const char *line, int n, char *out, size_t out_bytes)
{
    size_t used = 0;

    for (int i = 0; i < n; i++)
        line = strchr(line, '|') + 1;
    for (; *line != '|'; line++)
        if (*line != '`' && (*line != ' ' || used > 0) && used + 1 < out_bytes)
            out[used++] = *line;
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}

static size_t read_guide(struct row *rows, size_t n_max)
{
    FILE *file = fopen(SETTINGS_GUIDE, "r");
    char line[512];
    size_t n = 0;

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        CHECK(n < n_max);
        field(line, 1, rows[n].name, sizeof rows[n].name);
        field(line, 3, rows[n].range, sizeof rows[n].range);
        field(line, 4, rows[n].initial, sizeof rows[n].initial);
        n++;
    }
    (void)fclose(file);
    return n;
}

static void value_is(mn_store *store, const char *key, const char *expected)
{
    char value[64];

    CHECK_OK_ERR(mn_config_get(store, key, value, sizeof value, &err), &err);
    CHECK_STR_EQ(value, expected);
}

static void set(mn_store *store, const char *key, const char *value)
{
    CHECK_OK_ERR(mn_config_set(store, key, value, &err), &err);
    value_is(store, key, value);
}

static void refuses(mn_store *store, const char *key, const char *value)
{
    char before[64];

    CHECK_OK(mn_config_get(store, key, before, sizeof before, NULL));
    CHECK_STATUS(mn_config_set(store, key, value, &err), MN_ERR_INVALID);
    CHECK_STR_HAS(err.message, key);
    value_is(store, key, before);
}

static void check_number(mn_store *store, const struct row *row)
{
    unsigned long long least = 0;
    unsigned long long most = 0;
    char text[32];

    CHECK_EQ(sscanf(row->range, "%llu to %llu", &least, &most), 2);
    unsigned step = strstr(row->range, "multiple of 4096") != NULL ? 4096 : 1;
    (void)snprintf(text, sizeof text, "%llu", least);
    set(store, row->name, text);
    (void)snprintf(text, sizeof text, "%llu", least - step);
    refuses(store, row->name, text);
    (void)snprintf(text, sizeof text, "%llu", most);
    set(store, row->name, text);
    (void)snprintf(text, sizeof text, "%llu", most + step);
    refuses(store, row->name, text);
    (void)snprintf(text, sizeof text, "%llu", most + 1);
    refuses(store, row->name, text);
    refuses(store, row->name, "");
    refuses(store, row->name, "-1");
    refuses(store, row->name, "1x");
    refuses(store, row->name, " 1");
    refuses(store, row->name, "18446744073709551617");
    if (step > 1) {
        (void)snprintf(text, sizeof text, "%llu", least + 1);
        refuses(store, row->name, text);
    }
}

/* One that is made when it is set. */
static void check_directory(mn_store *store, const char *key)
{
    char text[600];

    (void)snprintf(text, sizeof text, "%s/made here \xc3\xa4", check_temp_dir());
    set(store, key, text);
    refuses(store, key, "relative/path");
    refuses(store, key, "/\xff");
    CHECK_STATUS(mn_config_set(store, key, "/there is none/such", &err), MN_ERR_IO);
    value_is(store, key, text);
    set(store, key, "");
}

static void check_path(mn_store *store, const char *key)
{
    char text[1002];
    char value[1024];

    memset(text, 'x', sizeof text);
    text[0] = '/';
    text[961] = '\0';
    CHECK_STATUS(mn_config_set(store, key, text, &err), MN_ERR_INVALID);
    text[960] = '\0';
    CHECK_OK_ERR(mn_config_set(store, key, text, &err), &err);
    CHECK_OK(mn_config_get(store, key, value, sizeof value, NULL));
    CHECK_STR_EQ(value, text);
    CHECK_STATUS(mn_config_get(store, key, value, 960, NULL), MN_ERR_LIMIT);
    set(store, key, "/a path/\xc3\xa4");
    refuses(store, key, "relative/path");
    refuses(store, key, "/\xff");
    set(store, key, "");
    set(store, key, "/backup");
}

static void the_guide_shows_the_table_of_the_code(void)
{
    struct row rows[32];
    size_t n = read_guide(rows, CHECK_COUNT(rows));
    mn_store *store = opened(check_temp_dir());

    CHECK(n > 0);
    for (size_t i = 0; i < n; i++) {
        CHECK(mn_config_key(i) != NULL);
        CHECK_STR_EQ(mn_config_key(i), rows[i].name);
        value_is(store, rows[i].name, rows[i].initial);
        if (strcmp(rows[i].name, "archive_dir") == 0)
            check_directory(store, rows[i].name);
        else if (strcmp(rows[i].name, "snapshot_dir") == 0)
            check_path(store, rows[i].name);
        else if (strcmp(rows[i].name, "sync") != 0)
            check_number(store, &rows[i]);
        else
            for (char *word = strtok(rows[i].range, ", "); word != NULL; word = strtok(NULL, ", "))
                set(store, "sync", word);
    }
    CHECK(mn_config_key(n) == NULL);
    value_is(store, "snapshot_dir", "/backup");
    CHECK(mn_config_key(SIZE_MAX) == NULL);
    refuses(store, "sync", "sometimes");
    refuses(store, "sync", "1");
    closed(store);
}

static void names_that_are_none_are_not_found(void)
{
    mn_store *store = opened(check_temp_dir());
    char value[64];

    CHECK_STATUS(mn_config_get(store, "color", value, sizeof value, &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "color");
    CHECK_STATUS(mn_config_set(store, "syn", "manual", &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_config_get(store, "", value, sizeof value, &err), MN_NOT_FOUND);
    CHECK_STATUS(mn_config_get(store, "sync", value, 11, &err), MN_ERR_LIMIT);
    CHECK_OK(mn_config_get(store, "sync", value, 12, &err));
    closed(store);
}

static void settings_outlive_the_handle_and_take_effect_when_opened(void)
{
    const char *path = check_temp_dir();
    struct mn_options options = {.size = sizeof options};
    mn_store *store = opened(path);
    struct mn_stats before;

    set(store, "sync", "manual");
    set(store, "sweep_interval_ms", "60000");
    before = stats_of(store);
    (void)put(store, mn_str("n"), mn_str("a"), "x");
    CHECK_EQ(stats_of(store).durable_lsn, 1); /* still every write */
    CHECK(stats_of(store).durable_lsn > before.durable_lsn);
    closed(store);
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    value_is(store, "sync", "manual");
    value_is(store, "sweep_interval_ms", "60000");
    (void)put(store, mn_str("n"), mn_str("b"), "x");
    CHECK_EQ(stats_of(store).durable_lsn, 1);
    struct mn_write_options disk = {.size = sizeof disk, .ack = MN_ACK_DISK};
    struct mn_record record = {.id = mn_str("c")};
    CHECK_OK(mn_put(store, mn_str("n"), &record, &disk, NULL, &err));
    CHECK_EQ(stats_of(store).durable_lsn, 3);
    (void)put(store, mn_str("n"), mn_str("d"), "x");
    CHECK_EQ(stats_of(store).durable_lsn, 3);
    CHECK_OK(mn_flush(store, &err));
    CHECK_EQ(stats_of(store).durable_lsn, 4);
    closed(store);
    options.sync = MN_SYNC_EVERY_N; /* goes before the setting, for this handle */
    options.sync_every_commits = 2;
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    value_is(store, "sync", "manual");
    (void)put(store, mn_str("n"), mn_str("e"), "x");
    CHECK_EQ(stats_of(store).durable_lsn, 4);
    (void)put(store, mn_str("n"), mn_str("f"), "x");
    CHECK_EQ(stats_of(store).durable_lsn, 6);
    closed(store);
}

/* Every call fails once. The handle keeps the old value; the next success settles what is stored.
 */
static void a_setting_that_was_not_stored_is_the_old_one_here(void)
{
    struct mni_crash_env *crash = NULL;
    struct mni_fault_env *fault = NULL;
    struct mn_options o = small_store();
    bool was_hit = true;
    int n_new = 0;

    for (uint64_t n = 1; was_hit; n++) {
        mn_store *store = NULL;
        char value[64];
        CHECK_OK(mni_crash_env_new(n, &crash));
        CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
        struct mni_env *env = mni_fault_env_base(fault);
        for (int is_settled = 0; is_settled < 2; is_settled++) {
            CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
            set(store, "sync_every_commits", "3");
            mni_fault_env_fail_at(fault, n, EIO, false);
            mn_status st = mn_config_set(store, "sync_every_commits", "4", &err);
            was_hit = mni_fault_env_was_hit(fault);
            mni_fault_env_fail_at(fault, 0, 0, false);
            CHECK_STATUS(st, was_hit ? MN_ERR_IO : MN_OK);
            value_is(store, "sync_every_commits", was_hit ? "3" : "4");
            if (is_settled)
                set(store, "sync_interval_ms", "55");
            mni_api_store_abandon(store);
            if (is_settled)
                mni_crash_env_restart(crash, false, 0);
            CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
            CHECK_OK(mn_config_get(store, "sync_every_commits", value, sizeof value, &err));
            CHECK(strcmp(value, "3") == 0 || strcmp(value, "4") == 0);
            n_new += was_hit && strcmp(value, "4") == 0;
            CHECK(!is_settled || strcmp(value, was_hit ? "3" : "4") == 0);
            closed(store);
        }
        mni_fault_env_free(fault);
        mni_crash_env_free(crash);
    }
    CHECK(n_new > 0); /* it does happen */
}

static void sweeps_are_bounded_by_their_settings(void)
{
    struct mn_options options = small_store();
    struct mn_record record = {.fields = MN_HAS_TTL};
    uint64_t n_swept = 0;
    mn_store *store = NULL;

    options.no_background = true;
    CHECK_OK_ERR(mn_open(check_temp_dir(), &options, &store, &err), &err);
    set(store, "sweep_batch_records", "4");
    for (int i = 0; i < 10; i++) {
        record.id = bytes(&"0123456789"[i], 1);
        CHECK_OK(mn_put(store, mn_str("n"), &record, NULL, NULL, &err));
    }
    CHECK_EQ(stats_of(store).n_expired, 10);
    uint64_t lsn = stats_of(store).current_lsn;
    CHECK_OK(mn_sweep(store, &n_swept, &err));
    CHECK_EQ(n_swept, 10);
    CHECK_EQ(stats_of(store).current_lsn, lsn + 3); /* 4, 4 and 2 */
    CHECK_EQ(stats_of(store).n_expired, 0);
    closed(store);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(the_guide_shows_the_table_of_the_code),
        CHECK_TEST(names_that_are_none_are_not_found),
        CHECK_TEST(settings_outlive_the_handle_and_take_effect_when_opened),
        CHECK_TEST(a_setting_that_was_not_stored_is_the_old_one_here),
        CHECK_TEST(sweeps_are_bounded_by_their_settings),
    };

    return check_run("engine.settings", tests, CHECK_COUNT(tests), argc, argv);
}
