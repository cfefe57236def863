/* Tests of a full disk: what still works, and what works again when there is room. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "../api/short.h"
#include "api/store_private.h"
#include "engine/job_private.h"
#include "io/crash.h"
#include "io/fault.h"

enum { DISK_MIB = 48, BALLAST_BYTES = 16 << 20, PAYLOAD_BYTES = 1000 };
enum { FREE_BYTES = 2 << 20 };

static _Thread_local struct mn_error err;

static struct mn_slice id_of(uint64_t i, char room[24])
{
    (void)snprintf(room, 24, "%08llu", (unsigned long long)i);
    return mn_str(room);
}

static mn_status try_put(mn_store *store, uint64_t i)
{
    static const char payload[PAYLOAD_BYTES];
    char room[24];
    struct mn_record r = {.id = id_of(i, room), .payload = bytes(payload, sizeof payload)};

    return mn_put(store, mn_str("n"), &r, NULL, NULL, &err);
}

static bool has(mn_store *store, uint64_t i)
{
    struct mn_view view = {0};
    char room[24];
    mn_status st = mn_get(store, mn_str("n"), id_of(i, room), &view, &err);

    CHECK(st == MN_OK || st == MN_NOT_FOUND);
    mn_view_release(&view);
    return st == MN_OK;
}

static void delete_one(mn_store *store, uint64_t i)
{
    char room[24];
    bool existed = false;

    CHECK_OK_ERR(mn_delete(store, mn_str("n"), id_of(i, room), NULL, &existed, NULL, &err), &err);
    CHECK(existed);
}

static void purge_one(mn_store *store, uint64_t i)
{
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    char room[24];
    struct mn_slice id = id_of(i, room);

    CHECK_OK_ERR(mn_purge(store, mn_str("n"), &id, 1, &receipt, &err), &err);
}

/* Fills a disk of its own. False: this process may not mount one. */
static bool small_disk(char *path, size_t path_bytes, char *ballast, size_t ballast_bytes)
{
    static const char zeroes[1 << 16];
    char options[32];

    (void)snprintf(path, path_bytes, "%s/disk", check_temp_dir());
    (void)snprintf(ballast, ballast_bytes, "%s/ballast", path);
    (void)snprintf(options, sizeof options, "size=%dm", DISK_MIB);
    CHECK(mkdir(path, 0700) == 0);
    if (mount("tmpfs", path, "tmpfs", 0, options) != 0) {
        CHECK(errno == EPERM || errno == EACCES);
        return false;
    }
    FILE *f = fopen(ballast, "wb");
    CHECK(f != NULL);
    for (int i = 0; i < BALLAST_BYTES / (int)sizeof zeroes; i++)
        CHECK(fwrite(zeroes, sizeof zeroes, 1, f) == 1);
    CHECK(fclose(f) == 0);
    return true;
}

static uint64_t n_jobs_of(struct mni_engine *engine)
{
    mni_mutex_lock(&engine->jobs_lock);
    uint64_t n = engine->n_jobs;
    mni_mutex_unlock(&engine->jobs_lock);
    return n;
}

static void a_full_disk_lets_a_checkpoint_through(void)
{
    char disk[512];
    char ballast[600];
    char path[600];
    struct mn_options options = small_store();
    const struct timespec nap = {.tv_nsec = 100000000};
    mn_store *store = NULL;
    uint64_t n = 0;

    if (!small_disk(disk, sizeof disk, ballast, sizeof ballast))
        check_skip("this process may not mount a disk");
    (void)snprintf(path, sizeof path, "%s/store", disk);
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    mn_status st = MN_OK;
    while ((st = try_put(store, n)) == MN_OK)
        n++;
    CHECK_STATUS(st, MN_ERR_NO_SPACE);
    CHECK(n > 1000);
    for (uint64_t i = 0; i < n; i += 100)
        CHECK(has(store, i));
    for (uint64_t i = 0; i < 50; i++)
        delete_one(store, i);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    purge_one(store, 60);
    for (uint64_t i = 100; i < 150; i++)
        delete_one(store, i);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK(!has(store, 10) && !has(store, 60) && !has(store, 120) && has(store, 99));
    CHECK(has(store, n - 1));
    CHECK_OK_ERR(mn_close(store, &err), &err);
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    CHECK(!has(store, 10) && !has(store, 60) && !has(store, 120) && has(store, 99));
    CHECK(unlink(ballast) == 0);
    /* The background finds out by itself, with the job that is at work or the next ones. */
    const uint64_t n_jobs = n_jobs_of(store->engine);
    while ((st = try_put(store, n)) == MN_ERR_NO_SPACE && n_jobs_of(store->engine) < n_jobs + 5)
        (void)nanosleep(&nap, NULL);
    CHECK_STATUS(st, MN_OK);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK(has(store, n));
    CHECK_OK_ERR(mn_close(store, &err), &err);
    CHECK(umount(disk) == 0);
}

static void fill_up(const char *path)
{
    static const char zeroes[4096];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    CHECK(fd >= 0);
    while (write(fd, zeroes, sizeof zeroes) > 0)
        continue;
    CHECK(errno == ENOSPC);
    CHECK(close(fd) == 0);
}

/* A store that was open for a moment only has the reserve that lets it open on a full disk. */
static void a_store_opens_on_a_full_disk(void)
{
    char disk[512];
    char ballast[600];
    char path[600];
    char reserve[700];
    struct mn_options options = small_store();
    mn_store *store = NULL;
    struct stat s;

    if (!small_disk(disk, sizeof disk, ballast, sizeof ballast))
        return;
    (void)snprintf(path, sizeof path, "%s/store", disk);
    (void)snprintf(reserve, sizeof reserve, "%s/RESERVE", path);
    options.wal_file_bytes = 16 << 20;
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    for (uint64_t i = 0; i < 9; i++)
        CHECK_OK(try_put(store, i));
    CHECK_OK_ERR(mn_close(store, &err), &err);
    CHECK(stat(reserve, &s) == 0 && s.st_size >= 1 << 20);
    for (uint64_t i = 0; i < 9; i += 3) {
        (void)snprintf(ballast, sizeof ballast, "%s/ballast%d", disk, (int)i);
        fill_up(ballast);
        CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
        delete_one(store, i);
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK(!has(store, i) && has(store, i + 1) && has(store, i + 2));
        CHECK_OK_ERR(mn_close(store, &err), &err);
        /* Spare files of the log may have its space; opening removes them. */
    }
    CHECK(unlink(ballast) == 0);
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    CHECK_OK_ERR(mn_close(store, &err), &err);
    CHECK(stat(reserve, &s) == 0 && s.st_size >= 512 << 10);
    CHECK(umount(disk) == 0);
}

struct deleter {
    mn_store *store;
    uint64_t first;
    uint64_t end;
};

static void *delete_many(void *context)
{
    struct deleter *d = context;

    for (uint64_t i = d->first; i < d->end; i++)
        delete_one(d->store, i);
    return NULL;
}

/* Not a byte is free and no spare is there when the log needs its next file, several times. */
static void deletes_get_a_log_file_on_a_full_disk(void)
{
    enum { N_RECORDS = 24000, N_THREADS = 3 };
    char disk[512];
    char ballast[600];
    char path[600];
    struct mn_options options = small_store();
    struct deleter deleters[N_THREADS];
    pthread_t threads[N_THREADS];
    mn_store *store = NULL;

    if (!small_disk(disk, sizeof disk, ballast, sizeof ballast))
        return;
    CHECK(unlink(ballast) == 0);
    (void)snprintf(path, sizeof path, "%s/store", disk);
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    for (uint64_t i = 0; i < N_RECORDS; i++) {
        CHECK_OK_ERR(try_put(store, i), &err);
        if (i % 1000 == 999)
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    CHECK_OK_ERR(try_put(store, N_RECORDS), &err);
    mni_engine_tick(store->engine);
    CHECK(store->engine->reserve_bytes > 0);
    (void)mni_wal_drop_spares(store->engine->wal, true);
    fill_up(ballast);
    const uint64_t manifest = stats_of(store).manifest_number;
    for (uint64_t i = 0; i < N_THREADS; i++) {
        deleters[i] = (struct deleter){.store = store,
                                       .first = N_RECORDS / N_THREADS * i,
                                       .end = N_RECORDS / N_THREADS * (i + 1)};
        CHECK(pthread_create(&threads[i], NULL, delete_many, &deleters[i]) == 0);
    }
    for (size_t i = 0; i < N_THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(stats_of(store).manifest_number > manifest);
    closed(store);
    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    for (uint64_t i = 0; i <= N_RECORDS; i += 50)
        CHECK_EQ(has(store, i), i == N_RECORDS);
    closed(store);
    CHECK(umount(disk) == 0);
}

/* Puts and writes out until nothing fits, or until little is free where nobody keeps a reserve;
 * deletes all but a tenth, and writes out. */
static uint64_t fill_and_delete(mn_store *store, const char *disk, bool has_reserve)
{
    struct statvfs free_space = {0};
    uint64_t n = 0;
    mn_status st = MN_OK;

    while (st == MN_OK) {
        st = try_put(store, n);
        n += st == MN_OK;
        if (st == MN_OK && n % 500 == 0) {
            st = mn_checkpoint(store, &err);
            CHECK(statvfs(disk, &free_space) == 0);
            if (!has_reserve && free_space.f_bavail * free_space.f_bsize < FREE_BYTES)
                break;
        }
    }
    CHECK_STATUS(st, has_reserve ? MN_ERR_NO_SPACE : MN_OK);
    for (uint64_t i = 0; i < n; i++) {
        if (i % 10 != 0)
            delete_one(store, i);
    }
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    return n;
}

/* Merges get the space that the log keeps for later, though the disk is full. */
static void a_full_disk_gives_deleted_records_space_back(void)
{
    for (int no_background = 0; no_background < 2; no_background++) {
        char disk[512];
        char ballast[600];
        char path[600];
        struct mn_options options = small_store();
        mn_store *store = NULL;
        options.wal_file_bytes = 8 << 20;
        options.no_background = no_background != 0;
        if (!small_disk(disk, sizeof disk, ballast, sizeof ballast))
            return;
        (void)snprintf(path, sizeof path, "%s/store", disk);
        CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
        uint64_t n = fill_and_delete(store, disk, !options.no_background);
        CHECK(n > 5000);
        /* A merge that meets the full disk leaves it to the next one to go on. */
        const struct timespec nap = {.tv_nsec = 100000000};
        for (int i = 0; i < 100 && (stats_of(store).segment_rows >= n / 2 ||
                                    stats_of(store).segment_dead_rows >= n / 10);
             i++) {
            (void)nanosleep(&nap, NULL);
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        }
        CHECK(stats_of(store).segment_rows < n / 2);
        CHECK(stats_of(store).segment_dead_rows < n / 10);
        CHECK_OK_ERR(try_put(store, 1), &err);
        for (uint64_t i = 0; i < n; i += 10)
            CHECK(has(store, i));
        closed(store);
        CHECK(umount(disk) == 0);
        CHECK(rmdir(disk) == 0);
    }
}

static mn_store *open_in(struct mni_env *env)
{
    struct mn_options o = {.size = sizeof o, .create = true, .wal_file_bytes = 64 << 10};
    mn_store *store = NULL;

    CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
    return store;
}

/* A segment half of which is dead, so that the next checkpoint merges too; and more. */
static mn_store *store_to_write(struct mni_env *env)
{
    mn_store *store = open_in(env);

    for (uint64_t i = 0; i < 20; i++)
        CHECK_OK(try_put(store, i));
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    for (uint64_t i = 0; i < 10; i++)
        delete_one(store, i);
    for (uint64_t i = 20; i < 30; i++)
        CHECK_OK(try_put(store, i));
    mni_engine_tick(store->engine); /* makes the reserve */
    return store;
}

static void check_records(mn_store *store, uint64_t n_deleted)
{
    for (uint64_t i = 0; i < 30; i++)
        CHECK_EQ(has(store, i), i >= n_deleted);
}

/* The disk is full for one call of a checkpoint and its merge, whichever: the reserve helps. */
static void the_disk_may_be_full_at_any_call(void)
{
    uint64_t was_hit = 1;
    size_t n_passed = 0;

    for (uint64_t n = 1; was_hit != 0; n++) {
        struct mni_crash_env *crash = NULL;
        struct mni_fault_env *fault = NULL;
        CHECK_OK(mni_crash_env_new(1, &crash));
        CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
        mn_store *store = store_to_write(mni_fault_env_base(fault));
        CHECK(store->engine->reserve_bytes > 0);
        mni_fault_env_fail_at(fault, n, ENOSPC, false);
        mn_status st = mn_checkpoint(store, &err);
        was_hit = mni_fault_env_was_hit(fault);
        mni_fault_env_fail_at(fault, 0, 0, false);
        n_passed += was_hit && st == MN_OK;
        check_records(store, 10);
        bool is_lost = stats_of(store).is_poisoned || store->engine->is_root_in_doubt;
        CHECK(st == MN_OK || is_lost);
        if (is_lost) {
            mni_api_store_abandon(store); /* the log itself, or the rename, met the full disk */
            store = open_in(mni_fault_env_base(fault));
        }
        delete_one(store, 10);
        purge_one(store, 11);
        CHECK_OK(try_put(store, 12));
        CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        check_records(store, 12);
        closed(store);
        store = open_in(mni_fault_env_base(fault));
        check_records(store, 12);
        closed(store);
        mni_fault_env_free(fault);
        mni_crash_env_free(crash);
    }
    CHECK(n_passed > 10);
}

static void the_reserve_follows_what_is_unwritten(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_in(mni_crash_env_base(crash));
    mni_engine_tick(store->engine);
    CHECK_EQ(store->engine->reserve_bytes, 0);
    CHECK_OK(try_put(store, 0));
    mni_engine_tick(store->engine);
    CHECK_EQ(store->engine->reserve_bytes, 1 << 20);
    for (uint64_t i = 0; i < 20000; i++)
        CHECK_OK(try_put(store, i));
    mni_engine_tick(store->engine);
    CHECK(store->engine->reserve_bytes >= 20000 * PAYLOAD_BYTES);
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    for (int i = 0; i < 10; i++)
        mni_engine_tick(store->engine);
    CHECK(store->engine->reserve_bytes <= 8 << 20);
    closed(store);
    mni_crash_env_free(crash);
}

/* A merge or a purge may hold `checkpoint_lock` for long. */
static void the_reserve_grows_while_a_job_is_at_work(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = open_in(mni_crash_env_base(crash));
    struct mni_engine *engine = store->engine;
    CHECK_OK(try_put(store, 0));
    mni_engine_tick(engine);
    mni_mutex_lock(&engine->checkpoint_lock);
    atomic_store(&engine->has_jobs_thread, true); /* it is the one that holds the lock */
    for (uint64_t i = 0; i < 20000; i++)
        CHECK_OK(try_put(store, i));
    CHECK(engine->reserve_bytes >= 16000 * PAYLOAD_BYTES);
    for (uint64_t i = 0; i < 500; i++) /* not far beyond */
        CHECK_OK(try_put(store, i));
    CHECK_OK(engine_pace(engine, 1, &err));
    CHECK(engine->reserve_bytes >= 20500 * PAYLOAD_BYTES / 2 * 3);
    atomic_store(&engine->has_jobs_thread, false);
    mni_mutex_unlock(&engine->checkpoint_lock);
    closed(store);
    mni_crash_env_free(crash);
}

/* It must not take back what a job was lent. */
static void a_lent_reserve_does_not_grow(void)
{
    struct mni_crash_env *crash = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = store_to_write(mni_crash_env_base(crash));
    struct mni_engine *engine = store->engine;
    mni_mutex_lock(&engine->checkpoint_lock);
    CHECK(reserve_make_room(engine));
    reserve_keep(engine);
    CHECK_EQ(engine->reserve_bytes, 0);
    reserve_restore(engine);
    CHECK_EQ(engine->reserve_bytes, 1 << 20);
    mni_mutex_unlock(&engine->checkpoint_lock);
    closed(store);
    mni_crash_env_free(crash);
}

/* Nobody else looks again where there is no background. */
static void a_checkpoint_or_a_purge_lets_puts_in_again(void)
{
    for (int is_purge = 0; is_purge < 2; is_purge++) {
        struct mni_crash_env *crash = NULL;
        struct mni_fault_env *fault = NULL;
        CHECK_OK(mni_crash_env_new(1, &crash));
        CHECK_OK(mni_fault_env_new(mni_crash_env_base(crash), &fault));
        mn_store *store = open_in(mni_fault_env_base(fault));
        for (uint64_t i = 0; i < 20; i++)
            CHECK_OK(try_put(store, i));
        mni_fault_env_fail_at(fault, 1, ENOSPC, true);
        reserve_keep(store->engine);
        CHECK(mni_fault_env_was_hit(fault));
        mni_fault_env_fail_at(fault, 0, 0, false);
        CHECK_STATUS(try_put(store, 20), MN_ERR_NO_SPACE);
        if (is_purge != 0)
            purge_one(store, 1);
        else
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
        CHECK_OK_ERR(try_put(store, 20), &err);
        closed(store);
        mni_fault_env_free(fault);
        mni_crash_env_free(crash);
    }
}

/* Commits that find a checkpoint wanted do not have the one that failed repeated at once. */
static void a_failed_job_waits_beside_writers(void)
{
    enum { RETRY_US = 5000000 };
    mn_store *store = opened(check_temp_dir());
    struct mni_engine *engine = store->engine;
    const struct timespec nap = {.tv_nsec = 1000000};

    CHECK_OK_ERR(mn_config_set(store, "sync", "manual", &err), &err);
    CHECK_OK_ERR(mn_config_set(store, "checkpoint_bytes", "1048576", &err), &err);
    mni_mutex_lock(&engine->checkpoint_lock);
    engine->is_root_in_doubt = true; /* all checkpoints fail */
    mni_mutex_unlock(&engine->checkpoint_lock);
    const int64_t start_us = mni_env_mono_us(engine->env);
    for (uint64_t i = 0; i < 1500; i++)
        CHECK_OK(try_put(store, i));
    while (n_jobs_of(engine) == 0)
        (void)nanosleep(&nap, NULL);
    for (uint64_t i = 0; i < 300; i++) {
        CHECK_OK(try_put(store, i));
        (void)nanosleep(&nap, NULL);
    }
    uint64_t n_jobs = n_jobs_of(engine);
    CHECK(n_jobs <= 1 + (uint64_t)(mni_env_mono_us(engine->env) - start_us) / RETRY_US);
    CHECK(mn_close(store, &err) <= MN_OK);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_full_disk_lets_a_checkpoint_through),
        CHECK_TEST(a_store_opens_on_a_full_disk),
        CHECK_TEST(deletes_get_a_log_file_on_a_full_disk),
        CHECK_TEST(a_full_disk_gives_deleted_records_space_back),
        CHECK_TEST(the_disk_may_be_full_at_any_call),
        CHECK_TEST(the_reserve_follows_what_is_unwritten),
        CHECK_TEST(the_reserve_grows_while_a_job_is_at_work),
        CHECK_TEST(a_lent_reserve_does_not_grow),
        CHECK_TEST(a_checkpoint_or_a_purge_lets_puts_in_again),
        CHECK_TEST(a_failed_job_waits_beside_writers),
    };

    return check_run("engine.reserve", tests, CHECK_COUNT(tests), argc, argv);
}
