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

static void check_refused(struct mni_crash_env *crash, const char *why)
{
    struct mni_env *env = mni_crash_env_base(crash);
    struct mn_verify_report report = {.size = sizeof report};
    struct mn_options o = small_store();
    mn_store *store = NULL;

    CHECK_STATUS(mni_api_store_open(env, "/s", &o, &store, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, why);
    CHECK_STATUS(mni_engine_verify(env, "/s", &report, &err), MN_ERR_CORRUPT);
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
        check_refused(crash, "counter");
    }
}

static void a_collection_that_is_not_below_the_counter_is_refused(void)
{
    struct mni_crash_env *crash = store_with_commits(1);
    const unsigned char row[24] = {2};
    struct mni_record r = {
        .type = MNI_RECORD_UPSERT, .key = {"\001m", 2}, .payload = {row, sizeof row}};

    append_record(crash, &r);
    check_refused(crash, "collection 2 is not below");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_collection_counter_that_cannot_be_is_refused),
        CHECK_TEST(a_collection_that_is_not_below_the_counter_is_refused),
        CHECK_TEST(replay_takes_no_more_memory_for_a_longer_log),
        CHECK_TEST(verify_tells_what_it_read_before_the_damage),
    };

    return check_run("engine.replay", tests, CHECK_COUNT(tests), argc, argv);
}
