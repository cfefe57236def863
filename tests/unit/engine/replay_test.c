/* Tests of replaying the log into the table: how much memory it takes, what verifying tells. */
#include "../api/short.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "io/crash.h"

enum { N_KEYS = 40, PAYLOAD_BYTES = 8 << 10 };

static struct mn_error err;

static mn_store *opened_in(struct mni_crash_env *crash, bool read_only)
{
    struct mn_options o = small_store();
    mn_store *store = NULL;

    o.create = !read_only;
    o.read_only = read_only;
    o.sync = MN_SYNC_MANUAL;
    CHECK_OK_ERR(mni_api_store_open(mni_crash_env_base(crash), "/s", &o, &store, &err), &err);
    return store;
}

/* A store whose log has this many commits to always the same keys. */
static struct mni_crash_env *store_with_commits(int n_commits)
{
    static char payload[PAYLOAD_BYTES];
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = opened_in(crash, false);
    for (int i = 0; i < n_commits; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i % N_KEYS);
        struct mn_record record = {.id = mn_str(id), .payload = bytes(payload, sizeof payload)};
        CHECK_OK(mn_put(store, mn_str("n"), &record, NULL, NULL, &err));
    }
    closed(store);
    return crash;
}

struct taken {
    uint64_t peak_bytes; /* from mem.h, while it opened */
    uint64_t memory_bytes;
    uint64_t log_bytes;
};

static struct taken open_again(struct mni_crash_env *crash, bool read_only)
{
    struct mn_verify_report report = {.size = sizeof report};
    uint64_t before = mni_mem_live_bytes();

    mni_mem_reset_peak();
    mn_store *store = opened_in(crash, read_only);
    uint64_t peak = mni_mem_peak_bytes();
    struct mn_stats stats = stats_of(store);
    CHECK_EQ(stats.n_records, N_KEYS);
    mni_api_store_abandon(store);
    CHECK_OK(mni_engine_verify(mni_crash_env_base(crash), "/s", &report, &err));
    return (struct taken){peak - before, stats.memory_bytes, report.n_bytes};
}

static void replay_takes_no_more_memory_for_a_longer_log(void)
{
    for (int read_only = 0; read_only < 2; read_only++) {
        struct mni_crash_env *crash = store_with_commits(400);
        struct taken small = open_again(crash, read_only);
        mni_crash_env_free(crash);
        crash = store_with_commits(4000);
        struct taken large = open_again(crash, read_only);
        mni_crash_env_free(crash);
        CHECK(large.log_bytes > (uint64_t)30 << 20 && small.log_bytes < (uint64_t)4 << 20);
        CHECK(small.peak_bytes > 0 && large.peak_bytes < small.peak_bytes + (256 << 10));
        CHECK(large.memory_bytes < small.memory_bytes + (256 << 10));
    }
}

static mn_status note_largest(void *context, const char *name, bool is_dir, struct mn_error *e)
{
    char *largest = context;

    (void)is_dir;
    (void)e;
    if (strstr(name, ".wal") != NULL && strcmp(name, largest) > 0)
        (void)snprintf(largest, MNI_NAME_BYTES_MAX, "%s", name);
    return MN_OK;
}

/* Flips a bit in the newest log file. */
static void damage_newest(struct mni_crash_env *crash, uint64_t offset)
{
    char name[MNI_NAME_BYTES_MAX] = "";
    unsigned char byte = 0;
    size_t n_read = 0;
    struct mni_dir *dir;
    struct mni_dir *log;
    struct mni_file *file;

    CHECK_OK(mni_env_open_dir(mni_crash_env_base(crash), "/s", false, &dir, &err));
    CHECK_OK(mni_dir_open_dir(dir, "wal", false, &log, &err));
    CHECK_OK(mni_dir_list(log, note_largest, name, &err));
    CHECK_OK(mni_dir_open_file(log, name, MNI_OPEN_WRITE, &file, &err));
    CHECK_OK(mni_file_read(file, offset, &byte, 1, &n_read, &err));
    byte ^= 1;
    CHECK_OK(mni_file_write(file, offset, &byte, 1, &err));
    mni_file_close(file);
    mni_dir_close(log);
    mni_dir_close(dir);
}

static void verify_tells_what_it_read_before_the_damage(void)
{
    struct mni_crash_env *crash = store_with_commits(400);
    struct mni_env *env = mni_crash_env_base(crash);
    struct mn_verify_report whole = {0};
    struct mn_verify_report damaged = {0};
    struct mn_verify_report no_header = {0};

    CHECK_OK(mni_engine_verify(env, "/s", &whole, &err));
    CHECK_EQ(whole.n_files, 5); /* STORE too */
    damage_newest(crash, 20000);
    CHECK_STATUS(mni_engine_verify(env, "/s", &damaged, &err), MN_ERR_CORRUPT);
    CHECK_EQ(damaged.n_files, whole.n_files);
    CHECK(damaged.n_bytes > (uint64_t)3 << 20 && damaged.n_bytes < whole.n_bytes);
    CHECK(damaged.n_commits > 300 && damaged.n_commits < whole.n_commits);
    damage_newest(crash, 100);
    CHECK_STATUS(mni_engine_verify(env, "/s", &no_header, &err), MN_ERR_CORRUPT);
    CHECK_EQ(no_header.n_files, 1); /* STORE */
    CHECK_EQ(no_header.n_bytes, 4096);
    CHECK_EQ(no_header.n_damaged_files, 1);
    mni_crash_env_free(crash);
}

/* Appends a commit of one record to the log of a store, behind the engine's back. */
static void append_record(struct mni_crash_env *crash, const struct mni_record *r)
{
    struct mni_wal_config config = {
        .env = mni_crash_env_base(crash), .any_store_id = true, .file_bytes = 64 << 10};
    unsigned char bytes_of_record[256];
    struct mn_slice payload = {bytes_of_record, mni_record_encoded_bytes(r)};
    struct mni_dir *dir;
    struct mni_wal *wal;
    struct mni_commit c;

    CHECK(payload.n_bytes <= sizeof bytes_of_record);
    mni_record_encode(r, bytes_of_record);
    CHECK_OK(mni_env_open_dir(config.env, "/s", false, &dir, &err));
    CHECK_OK(mni_dir_open_dir(dir, "wal", false, &config.dir, &err));
    CHECK_OK_ERR(mni_wal_open(&config, &wal, &err), &err);
    CHECK_OK(mni_commit_init(&c, &payload, 1, 1, MN_ACK_OS, NULL, &err));
    CHECK_OK(mni_wal_commit(wal, &c));
    CHECK_OK(mni_wal_close(wal, &err));
    mni_dir_close(dir);
}

static struct mni_record counter_record(const unsigned char number[8])
{
    return (struct mni_record){
        .type = MNI_RECORD_UPSERT, .key = {"\xffnext", 5}, .payload = {number, 8}};
}

static void check_refused(struct mni_crash_env *crash, mn_status expected, const char *why)
{
    struct mni_env *env = mni_crash_env_base(crash);
    struct mn_verify_report report = {.size = sizeof report};
    struct mn_options o = small_store();
    mn_store *store = NULL;

    CHECK_STATUS(mni_api_store_open(env, "/s", &o, &store, &err), expected);
    CHECK_STR_HAS(err.message, why);
    CHECK_STATUS(mni_engine_verify(env, "/s", &report, &err), expected);
    CHECK_STR_HAS(err.message, why);
    mni_crash_env_free(crash);
}

/* The next namespace would get the number of another one, or that of the catalogue. */
static void a_collection_counter_that_cannot_be_is_refused(void)
{
    static const unsigned char numbers[][8] = {{0}, {1}, {9, [7] = 0x80}};

    for (size_t i = 0; i < CHECK_COUNT(numbers); i++) {
        struct mni_crash_env *crash = store_with_commits(1);
        struct mni_record r = counter_record(numbers[i]);

        append_record(crash, &r);
        check_refused(crash, MN_ERR_CORRUPT, "counter");
    }
}

static void a_collection_that_is_not_below_the_counter_is_refused(void)
{
    struct mni_crash_env *crash = store_with_commits(1);
    const unsigned char row[24] = {2};
    struct mni_record r = {
        .type = MNI_RECORD_UPSERT, .key = {"\001m", 2}, .payload = {row, sizeof row}};

    append_record(crash, &r);
    check_refused(crash, MN_ERR_CORRUPT, "collection 2 is not below");
}

/* A row of space 7, number 1, of 2 dimensions, with these fields behind it. */
static struct mni_record space_row(struct mn_slice fields, unsigned char room[64])
{
    memset(room, 0, 64);
    room[0] = 1;
    room[16] = 2;
    memcpy(room + 24, fields.data, fields.n_bytes);
    return (struct mni_record){.type = MNI_RECORD_UPSERT,
                               .key = {"\002\0\0\0\007", 5},
                               .payload = {room, 24 + fields.n_bytes}};
}

static void fields_of_a_space_that_cannot_be_are_refused(void)
{
    static const struct {
        struct mn_slice fields;
        mn_status status;
        const char *why;
    } bad[] = {
        {{"\001\0\001", 3}, MN_ERR_CORRUPT, "cut off"},
        {{"\001\0\002\0m", 5}, MN_ERR_CORRUPT, "cut off"},
        {{"\001\0\0\0", 4}, MN_ERR_CORRUPT, "name of a space"},
        {{"\001\0\001\0\377", 5}, MN_ERR_CORRUPT, "name of a space"},
        {{"\001\0\001\0m\001\0\001\0m", 10}, MN_ERR_CORRUPT, "out of order"},
        {{"\0\0\001\0m", 5}, MN_ERR_CORRUPT, "out of order"},
        {{"\143\0\001\0m", 5}, MN_ERR_UNSUPPORTED, "field 99 of a space is not known"},
        {{"\002\0\004\0\001\0\0\0", 8}, MN_ERR_CORRUPT, "impossibly far apart"},
        {{"\002\0\004\0\351\003\0\0", 8}, MN_ERR_CORRUPT, "impossibly far apart"},
        {{"\002\0\002\0\012\0", 6}, MN_ERR_CORRUPT, "impossibly far apart"},
        {{"\003\0\010\0\0\0\0\0\0\0\0\0", 12}, MN_ERR_CORRUPT, "impossible"},
        {{"\003\0\010\0\0\0\0\0\0\0\0\200", 12}, MN_ERR_CORRUPT, "impossible"},
        {{"\004\0\010\0\0\0\0\0\0\0\0\0", 12}, MN_ERR_CORRUPT, "impossible"},
        {{"\004\0\004\0\001\0\0\0", 8}, MN_ERR_CORRUPT, "impossible"},
        {{"\005\0\010\0\0\0\0\0\0\0\0\200", 12}, MN_ERR_CORRUPT, "impossible"},
        {{"\003\0\010\0\001\0\0\0\0\0\0\0\002\0\004\0\012\0\0\0", 20},
         MN_ERR_CORRUPT,
         "out of order"},
    };

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        struct mni_crash_env *crash = store_with_commits(1);
        unsigned char room[64];
        struct mni_record r = space_row(bad[i].fields, room);
        append_record(crash, &r);
        check_refused(crash, bad[i].status, bad[i].why);
    }
}

static void a_field_of_a_space_that_may_be_passed_over_is(void)
{
    struct mni_crash_env *crash = store_with_commits(1);
    struct mn_space_info info = {.size = sizeof info};
    unsigned char room[64];
    struct mni_record r = space_row(bytes("\001\0\001\0m\143\200\001\0?", 10), room);

    append_record(crash, &r);
    mn_store *store = opened_in(crash, true);
    CHECK_OK_ERR(mn_temporal_space(store, 7, &info, &err), &err);
    CHECK(info.n_dims == 2 && info.name_bytes == 1 && info.name[0] == 'm');
    closed(store);
    mni_crash_env_free(crash);
}

/* Finds an altered row of space 7 in the log. */
static mn_status look_for_fields(void *context, const struct mni_wal_entry *entry,
                                 struct mn_error *e)
{
    static const char fields[] = "\001\0\001\0m\002\0\004\0\012\0\0\0\143\200\001\0?";
    struct mni_record r;
    size_t used = 0;
    mn_status st = mni_record_decode(entry->payload.data, entry->payload.n_bytes, &r, &used, e);

    if (st == MN_OK && r.payload.n_bytes == 24 + sizeof fields - 1 &&
        memcmp((const char *)r.payload.data + 24, fields, sizeof fields - 1) == 0)
        *(bool *)context = true;
    return st;
}

static void who_alters_a_space_keeps_the_fields_that_it_passed_over(void)
{
    const struct mn_space_changes changes = {
        .size = sizeof changes, .fields = MN_SPACE_KEYFRAME_EVERY, .keyframe_every = 10};
    struct mni_crash_env *crash = store_with_commits(1);
    struct mn_space_info info = {.size = sizeof info};
    unsigned char room[64];
    bool is_seen = false;
    struct mni_record r = space_row(bytes("\001\0\001\0m\143\200\001\0?", 10), room);

    append_record(crash, &r);
    mn_store *store = opened_in(crash, false);
    CHECK_OK_ERR(mn_temporal_alter_space(store, 7, &changes, NULL, NULL, &err), &err);
    CHECK_OK_ERR(mn_temporal_space(store, 7, &info, &err), &err);
    CHECK(info.name_bytes == 1 && info.keyframe_every == 10);
    closed(store);
    CHECK_OK_ERR(mni_engine_read_log(mni_crash_env_base(crash), "/s", MN_RECOVERY_STRICT,
                                     look_for_fields, &is_seen, NULL, &err),
                 &err);
    CHECK(is_seen);
    mni_crash_env_free(crash);
}

static void rows_of_other_kinds_that_cannot_be_are_refused(void)
{
    static const unsigned char row[24] = {1, [16] = 2};
    static const unsigned char longer[25] = {1, [16] = 2};
    static const unsigned char no_dims[24] = {1};
    static const unsigned char no_space[8] = {[4] = 1};
    const struct mni_record bad[] = {
        {.key = {"\002\0\0\0\007", 5}, .payload = {no_dims, 24}},
        {.key = {"\002\0\0\0\007", 5}, .payload = {row, 23}},
        {.key = {"\002\0\0\007", 4}, .payload = {row, 24}},
        {.key = {"\002\0\0\0\0\007", 6}, .payload = {row, 24}},
        {.key = {"\003m", 2}, .payload = {no_space, 8}},
        {.key = {"\003m", 2}, .payload = {row, 7}},
        {.key = {"\003\377", 2}, .payload = {row, 8}},
        {.key = {"\003", 1}, .payload = {row, 8}},
        {.key = {"\004m", 2}, .payload = {row, 24}},
        {.key = {"\005\0\0\0\0\0\0\007", 8}, .payload = {row, 24}}, /* a tenant */
        {.key = {"\005\0\0\0\0\0\0\0\0\007", 10}, .payload = {row, 24}},
        {.key = {"\005\0\0\0\0\0\0\0\007", 9}, .payload = {row, 23}},
        {.key = {"\005\0\0\0\0\0\0\0\007", 9}, .payload = {longer, 25}},
        {.key = {"\006m", 2}, .payload = {row, 24}},
    };

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        struct mni_crash_env *crash = store_with_commits(1);
        struct mni_record r = bad[i];
        r.type = MNI_RECORD_UPSERT;
        append_record(crash, &r);
        check_refused(crash, MN_ERR_CORRUPT, "");
    }
}

/* The example of docs/format/catalogue.md, behind a namespace and its counter. */
static mn_status compare_with_example(void *context, const struct mni_wal_entry *entry,
                                      struct mn_error *e)
{
    static const struct {
        struct mn_slice key;
        struct mn_slice payload;
    } rows[] = {
        {{"\002\0\0\0\007", 5},
         {"\003\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\002\0\0\0\0\0\0\0\001\0\002\0me", 30}},
        {{"\003me", 3}, {"\007\0\0\0\0\0\0\0", 8}},
        {{"\377next", 5}, {"\004\0\0\0\0\0\0\0", 8}},
    };
    const unsigned char *p = entry->payload.data;
    size_t left = entry->payload.n_bytes;
    struct mni_record r;
    size_t used = 0;
    bool *is_seen = context;

    if (entry->lsn != 5)
        return MN_OK;
    *is_seen = entry->n_records == CHECK_COUNT(rows);
    for (size_t i = 0; i < CHECK_COUNT(rows) && *is_seen; i++, p += used, left -= used) {
        mn_status st = mni_record_decode(p, left, &r, &used, e);
        if (st != MN_OK)
            return st;
        *is_seen = r.type == MNI_RECORD_UPSERT && r.collection == 0 &&
                   r.key.n_bytes == rows[i].key.n_bytes &&
                   memcmp(r.key.data, rows[i].key.data, r.key.n_bytes) == 0 &&
                   r.payload.n_bytes == rows[i].payload.n_bytes &&
                   memcmp(r.payload.data, rows[i].payload.data, r.payload.n_bytes) == 0;
    }
    return MN_OK;
}

static void the_rows_of_a_space_are_as_their_format_shows(void)
{
    const struct mn_space_options options = {
        .size = sizeof options, .name = mn_str("me"), .n_dims = 2};
    struct mni_crash_env *crash = store_with_commits(3);
    bool is_seen = false;

    mn_store *store = opened_in(crash, false);
    CHECK_OK(mn_namespace_create(store, mn_str("m"), NULL, &err)); /* number 2, LSN 4 */
    CHECK_OK(mn_temporal_create_space(store, 7, &options, NULL, NULL, NULL, &err));
    closed(store);
    CHECK_OK_ERR(mni_engine_read_log(mni_crash_env_base(crash), "/s", MN_RECOVERY_STRICT,
                                     compare_with_example, &is_seen, NULL, &err),
                 &err);
    CHECK(is_seen);
    mni_crash_env_free(crash);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_collection_counter_that_cannot_be_is_refused),
        CHECK_TEST(a_collection_that_is_not_below_the_counter_is_refused),
        CHECK_TEST(the_rows_of_a_space_are_as_their_format_shows),
        CHECK_TEST(fields_of_a_space_that_cannot_be_are_refused),
        CHECK_TEST(a_field_of_a_space_that_may_be_passed_over_is),
        CHECK_TEST(who_alters_a_space_keeps_the_fields_that_it_passed_over),
        CHECK_TEST(rows_of_other_kinds_that_cannot_be_are_refused),
        CHECK_TEST(replay_takes_no_more_memory_for_a_longer_log),
        CHECK_TEST(verify_tells_what_it_read_before_the_damage),
    };

    return check_run("engine.replay", tests, CHECK_COUNT(tests), argc, argv);
}
