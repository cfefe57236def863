/* Tests of opening a store: what is there, who else has it, what is refused. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../api/short.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "io/crash.h"
#include "io/fault.h"

static struct mn_error err;

static const char *path_in(const char *directory, const char *name)
{
    static char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* One number for all names, sizes, times and bytes below a directory. */
static uint64_t fingerprint(const char *directory)
{
    DIR *dir = opendir(directory);
    uint64_t sum = 0;

    CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[800];
        struct stat info;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        CHECK_EQ(lstat(path, &info), 0);
        uint64_t one = mni_hash(e->d_name, strlen(e->d_name), (uint64_t)info.st_ino);
        one ^= (uint64_t)info.st_mtim.tv_nsec * 31 + (uint64_t)info.st_mtim.tv_sec;
        if (S_ISDIR(info.st_mode)) {
            one ^= fingerprint(path);
        } else {
            char *data = malloc((size_t)info.st_size + 1);
            int fd = open(path, O_RDONLY);
            CHECK(fd >= 0 && read(fd, data, (size_t)info.st_size) == info.st_size);
            one ^= mni_hash(data, (size_t)info.st_size, 7);
            (void)close(fd);
            free(data);
        }
        sum += one * 0x9e3779b97f4a7c15U;
    }
    (void)closedir(dir);
    return sum;
}

static const char *store_with_records(int n)
{
    const char *path = check_temp_dir();
    mn_store *store = opened(path);

    for (int i = 0; i < n; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        (void)put(store, mn_str("n"), mn_str(id), id);
    }
    closed(store);
    return path;
}

static mn_store *opened_for_reading(const char *path)
{
    struct mn_options options = {.size = sizeof options, .read_only = true};
    mn_store *store = NULL;

    CHECK_OK_ERR(mn_open(path, &options, &store, &err), &err);
    return store;
}

static void readers_write_nothing_and_refuse_writes(void)
{
    const char *path = store_with_records(20);
    uint64_t before = fingerprint(path);
    struct mn_record record = {.id = mn_str("x")};
    struct mn_slice n = mn_str("n");
    struct mn_slice id = mn_str("1");
    uint64_t n_records = 0;
    mn_txn *txn = NULL;
    mn_store *store = opened_for_reading(path);

    CHECK(holds(store, n, mn_str("7"), "7"));
    CHECK_OK(mn_count(store, n, &n_records, NULL));
    CHECK_EQ(n_records, 20);
    CHECK_STATUS(mn_put(store, n, &record, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_put_if_lsn(store, mn_str("?"), &record, 1, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_delete(store, n, id, NULL, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_delete(store, mn_str("?"), id, NULL, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_touch(store, n, id, 0, 0, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_touch(store, mn_str("?"), id, 0, 0, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_namespace_create(store, mn_str("m"), NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_namespace_drop(store, n, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_config_set(store, "sync", "manual", &err), MN_ERR_READ_ONLY);
    CHECK_STATUS(mn_sweep(store, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_OK(mn_txn_begin(store, &txn, &err));
    CHECK_STATUS(mn_txn_put(txn, n, &record, &err), MN_ERR_READ_ONLY);
    CHECK_OK(mn_txn_commit(txn, NULL, NULL, &err));
    CHECK_OK(mn_flush(store, &err));
    mn_store *second = opened_for_reading(path);
    CHECK(holds(second, n, mn_str("19"), "19"));
    CHECK_STATUS(try_open(path, false, false, &err), MN_ERR_IN_USE);
    closed(second);
    closed(store);
    CHECK_EQ(fingerprint(path), before);
}

static void readers_are_refused_beside_a_writer(void)
{
    const char *path = check_temp_dir();
    struct mn_verify_report report = {.size = sizeof report};
    mn_store *store = opened(path);

    CHECK_STATUS(try_open(path, false, true, &err), MN_ERR_IN_USE);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_IN_USE);
    CHECK_STR_HAS(err.message, path);
    CHECK_STATUS(mn_verify(path, &report, &err), MN_ERR_IN_USE);
    closed(store);
    CHECK_OK(try_open(path, false, true, &err));
}

static void a_second_opening_is_refused_also_when_files_were_deleted(void)
{
    const char *path = check_temp_dir();
    mn_store *store = opened(path);

    CHECK_EQ(unlink(path_in(path, "STORE")), 0);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_IN_USE);
    CHECK_STATUS(try_open(path, false, true, &err), MN_ERR_IN_USE);
    closed(store);
}

static void point_in_time_stops_at_an_lsn_or_a_time(void)
{
    const char *path = check_temp_dir();
    struct mn_options o = {.size = sizeof o, .recovery = MN_RECOVERY_POINT_IN_TIME};
    mn_store *store = opened(path);
    uint64_t lsns[3];
    int64_t times[3];

    for (int i = 0; i < 3; i++) {
        lsns[i] = put(store, mn_str("n"), mn_str("k"), (const char *[]){"0", "1", "2"}[i]);
        times[i] = mni_engine_now_us(mni_api_store_engine(store));
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    closed(store);
    uint64_t before = fingerprint(path);
    for (int i = 0; i < 3; i++) {
        const char *expected = (const char *[]){"0", "1", "2"}[i];
        o.stop_lsn = lsns[i];
        o.stop_time_us = 0;
        CHECK_OK_ERR(mn_open(path, &o, &store, &err), &err);
        CHECK(holds(store, mn_str("n"), mn_str("k"), expected));
        CHECK_EQ(stats_of(store).current_lsn, lsns[i]);
        CHECK_STATUS(mn_namespace_create(store, mn_str("m"), NULL, &err), MN_ERR_READ_ONLY);
        closed(store);
        o.stop_lsn = 0;
        o.stop_time_us = times[i];
        CHECK_OK_ERR(mn_open(path, &o, &store, &err), &err);
        CHECK(holds(store, mn_str("n"), mn_str("k"), expected));
        closed(store);
    }
    CHECK_EQ(fingerprint(path), before);
    o.stop_time_us = 1;
    CHECK_OK(mn_open(path, &o, &store, &err));
    CHECK_EQ(stats_of(store).n_namespaces, 0);
    closed(store);
    o.stop_time_us = 0;
    CHECK_STATUS(mn_open(path, &o, &store, &err), MN_ERR_INVALID);
    o.recovery = MN_RECOVERY_TAIL;
    o.stop_lsn = 1;
    CHECK_STATUS(mn_open(path, &o, &store, &err), MN_ERR_INVALID);
}

static void point_in_time_before_the_newest_checkpoint_is_refused(void)
{
    const char *path = check_temp_dir();
    struct mn_options o = {.size = sizeof o, .recovery = MN_RECOVERY_POINT_IN_TIME};
    struct mn_slice n = mn_str("n");
    struct mn_slice k = mn_str("k");
    mn_store *store = opened(path);
    uint64_t lsns[4];
    int64_t times[4];

    for (int i = 0; i < 4; i++) {
        lsns[i] = put(store, n, k, (const char *[]){"0", "1", "2", "3"}[i]);
        times[i] = mni_engine_now_us(mni_api_store_engine(store));
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        if (i == 1)
            CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    }
    closed(store);
    uint64_t before = fingerprint(path);
    for (int i = 0; i < 4; i++) {
        const char *expected = (const char *[]){"0", "1", "2", "3"}[i];
        mn_status status = i == 0 ? MN_ERR_INVALID : MN_OK;
        for (int by_time = 0; by_time < 2; by_time++) {
            o.stop_lsn = by_time ? 0 : lsns[i];
            o.stop_time_us = by_time ? times[i] : 0;
            store = NULL;
            CHECK_STATUS(mn_open(path, &o, &store, &err), status);
            if (status != MN_OK) {
                CHECK_STR_HAS(err.message, by_time ? "newest checkpoint" : "as of LSN 2");
                CHECK(store == NULL);
                continue;
            }
            CHECK(holds(store, n, k, expected));
            CHECK_EQ(stats_of(store).current_lsn, lsns[i]);
            CHECK_STATUS(mn_checkpoint(store, &err), MN_ERR_READ_ONLY);
            closed(store);
        }
    }
    CHECK_EQ(fingerprint(path), before);
}

static void write_garbage(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "half", 4), 4);
    (void)close(fd);
}

static void readers_leave_what_a_cut_off_checkpoint_left(void)
{
    static const char half_manifest[] = "MANIFEST-00000000000000000002.new";
    static const char half_segment[] = "seg/00000000000000010000000000000001.seg";
    const char *path = check_temp_dir();
    mn_store *store = opened(path);

    (void)put(store, mn_str("n"), mn_str("a"), "1");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    (void)put(store, mn_str("n"), mn_str("b"), "2");
    closed(store);
    write_garbage(path_in(path, half_manifest));
    write_garbage(path_in(path, half_segment));
    uint64_t before = fingerprint(path);
    store = opened_for_reading(path);
    CHECK(holds(store, mn_str("n"), mn_str("a"), "1"));
    CHECK(holds(store, mn_str("n"), mn_str("b"), "2"));
    CHECK_STATUS(mn_checkpoint(store, &err), MN_ERR_READ_ONLY);
    closed(store);
    struct mn_verify_report report = {.size = sizeof report};
    CHECK_OK_ERR(mn_verify(path, &report, &err), &err);
    CHECK_EQ(fingerprint(path), before);
    /* A writer clears up. */
    store = opened(path);
    CHECK(access(path_in(path, half_segment), F_OK) != 0);
    (void)put(store, mn_str("n"), mn_str("c"), "3");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    CHECK(access(path_in(path, half_manifest), F_OK) != 0);
    closed(store);
}

static void what_a_cut_off_first_checkpoint_left_is_removed(void)
{
    static const char half_segment[] = "seg/00000000000000010000000000000001.seg";
    const char *path = store_with_records(1);

    write_garbage(path_in(path, half_segment));
    CHECK_OK_ERR(try_open(path, false, true, &err), &err);
    CHECK(access(path_in(path, half_segment), F_OK) == 0);
    CHECK_OK_ERR(try_open(path, false, false, &err), &err);
    CHECK(access(path_in(path, half_segment), F_OK) != 0);
}

static void no_segment_goes_when_the_manifest_is_lost(void)
{
    static const char manifest[] = "MANIFEST-00000000000000000001";
    const char *path = check_temp_dir();
    char kept[600];
    mn_store *store = opened(path);

    (void)put(store, mn_str("n"), mn_str("a"), "1");
    CHECK_OK_ERR(mn_checkpoint(store, &err), &err);
    closed(store);
    (void)snprintf(kept, sizeof kept, "%s/kept", check_temp_dir());
    CHECK_EQ(rename(path_in(path, manifest), kept), 0);
    CHECK_STATUS(try_open(path, false, false, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "manifest");
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_CORRUPT);
    CHECK_EQ(rename(kept, path_in(path, manifest)), 0);
    store = opened(path);
    CHECK(holds(store, mn_str("n"), mn_str("a"), "1"));
    closed(store);
}

static void touch_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    (void)close(fd);
}

static void what_is_no_store_is_left_alone(void)
{
    const char *path = check_temp_dir();
    struct mn_verify_report report = {.size = sizeof report};

    CHECK_STATUS(try_open(path, false, false, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(try_open(path, false, true, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(try_open(path, true, true, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(mn_verify(path, &report, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(try_open(path_in(path, "absent"), false, false, &err), MN_ERR_NO_STORE);
    CHECK_STATUS(try_open(path_in(path, "absent/absent"), true, false, &err), MN_ERR_NO_STORE);
    touch_file(path_in(path, "letters\n\xff"));
    uint64_t before = fingerprint(path);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_NO_STORE);
    CHECK_STR_HAS(err.message, "letters??");
    CHECK_EQ(fingerprint(path), before);
    CHECK_STATUS(try_open(path_in(path, "letters\n\xff"), true, false, &err), MN_ERR_IO);
}

static void a_directory_that_may_not_be_read_is_not_absent(void)
{
    const char *path = store_with_records(1);

    CHECK_EQ(chmod(path, 0), 0);
    if (geteuid() == 0)
        CHECK_EQ(seteuid(65534), 0);
    mn_status st = try_open(path, false, false, &err);
    if (getuid() == 0)
        CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(chmod(path, 0700), 0);
    CHECK_STATUS(st, MN_ERR_ACCESS);
    CHECK_EQ(err.os_errno, EACCES);
}

static void missing_parts_are_damage_and_never_a_new_store(void)
{
    const char *path = store_with_records(3);
    struct mn_verify_report report = {.size = sizeof report};
    char other[600];

    CHECK_EQ(unlink(path_in(path, "STORE")), 0);
    uint64_t before = fingerprint(path);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "STORE");
    CHECK_STATUS(try_open(path, false, false, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(try_open(path, false, true, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(mn_verify(path, &report, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "STORE");
    CHECK_EQ(fingerprint(path), before);

    path = store_with_records(3);
    (void)snprintf(other, sizeof other, "%s/gone", check_temp_dir());
    CHECK_EQ(rename(path_in(path, "wal"), other), 0);
    before = fingerprint(path);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_CORRUPT);
    CHECK_STR_HAS(err.message, "wal");
    CHECK_STATUS(try_open(path, true, true, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(mn_verify(path, &report, &err), MN_ERR_CORRUPT);
    CHECK_EQ(mkdir(path_in(path, "wal"), 0700), 0);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_CORRUPT);
    CHECK_STATUS(mn_verify(path, &report, &err), MN_ERR_CORRUPT);
    CHECK_EQ(rmdir(path_in(path, "wal")), 0);
    CHECK_EQ(rename(other, path_in(path, "wal")), 0);
    CHECK_OK(try_open(path, false, false, &err));
}

static void every_flipped_or_missing_byte_of_store_is_refused(void)
{
    const char *path = store_with_records(2);
    struct mn_verify_report report = {.size = sizeof report};
    int fd = open(path_in(path, "STORE"), O_RDWR);
    unsigned char whole[4096];

    CHECK(fd >= 0);
    CHECK_EQ(read(fd, whole, sizeof whole), sizeof whole);
    for (off_t i = 0; i < (off_t)sizeof whole; i++) {
        unsigned char flipped = whole[i] ^ (unsigned char)(1 << i % 8);
        CHECK_EQ(pwrite(fd, &flipped, 1, i), 1);
        CHECK_STATUS(try_open(path, true, i % 2 == 0, &err), MN_ERR_CORRUPT);
        CHECK_STATUS(mn_verify(path, &report, &err), MN_ERR_CORRUPT);
        CHECK_EQ(pwrite(fd, &whole[i], 1, i), 1);
    }
    for (off_t n = 0; n < (off_t)sizeof whole; n += 37) {
        CHECK_EQ(ftruncate(fd, n), 0);
        CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_CORRUPT);
    }
    CHECK_EQ(pwrite(fd, whole, sizeof whole, 0), sizeof whole);
    CHECK_EQ(ftruncate(fd, sizeof whole + 1), 0);
    CHECK_STATUS(try_open(path, true, false, &err), MN_ERR_CORRUPT);
    CHECK_EQ(ftruncate(fd, sizeof whole), 0);
    (void)close(fd);
    CHECK_OK(try_open(path, false, false, &err));
}

static void making_a_store_can_be_cut_off_anywhere_and_done_again(void)
{
    struct mn_options o = small_store();
    uint64_t n_cuts = 0;
    bool is_cut = true;

    o.wal_file_bytes = 64 << 10;
    for (uint64_t n = 1; is_cut; n++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            struct mni_crash_env *crash = NULL;
            mn_store *store = NULL;
            CHECK_OK(mni_crash_env_new(seed, &crash));
            struct mni_env *env = mni_crash_env_base(crash);
            mni_crash_env_cut_at(crash, n);
            mn_status st = mni_api_store_open(env, "/s", &o, &store, &err);
            is_cut = mni_crash_env_is_cut(crash);
            CHECK(is_cut ? st != MN_OK : st == MN_OK);
            mni_api_store_abandon(store);
            mni_crash_env_restart(crash, false, 0);
            CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
            CHECK(put(store, mn_str("n"), mn_str("k"), "v") >= 1);
            closed(store);
            o.create = false;
            CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
            CHECK(holds(store, mn_str("n"), mn_str("k"), "v"));
            closed(store);
            o.create = true;
            mni_crash_env_free(crash);
            n_cuts += is_cut;
        }
    }
    CHECK(n_cuts > 8 * 5);
}

struct faulty_world {
    struct mni_crash_env *crash;
    struct mni_fault_env *fault;
    struct mni_env *env;
};

static void begin_world(struct faulty_world *w, uint64_t seed)
{
    CHECK_OK(mni_crash_env_new(seed, &w->crash));
    CHECK_OK(mni_fault_env_new(mni_crash_env_base(w->crash), &w->fault));
    w->env = mni_fault_env_base(w->fault);
}

static mn_store *opened_in(struct faulty_world *w)
{
    struct mn_options o = small_store();
    mn_store *store = NULL;

    CHECK_OK_ERR(mni_api_store_open(w->env, "/s", &o, &store, &err), &err);
    return store;
}

static void end_world(struct faulty_world *w)
{
    mni_fault_env_free(w->fault);
    mni_crash_env_free(w->crash);
}

/* The process that made the store ended at any of its calls; nothing of what it did is lost, but
 * its last sync of the directory did not happen. The next one relies on what it finds. */
static void what_the_next_process_finds_survives_a_power_cut(void)
{
    struct mn_options o = small_store();
    bool was_hit = true;

    for (uint64_t n = 1; was_hit; n++) {
        for (uint64_t seed = 0; seed < 16; seed++) {
            struct faulty_world w;
            mn_store *store = NULL;
            begin_world(&w, seed);
            mni_fault_env_fail_at(w.fault, n, EIO, true);
            mn_status st = mni_api_store_open(w.env, "/s", &o, &store, &err);
            was_hit = mni_fault_env_was_hit(w.fault);
            CHECK(was_hit || st == MN_OK);
            mni_fault_env_fail_at(w.fault, 0, 0, false);
            mni_api_store_abandon(store);
            store = opened_in(&w);
            (void)put(store, mn_str("n"), mn_str("k"), "v");
            mni_api_store_abandon(store);
            mni_crash_env_restart(w.crash, false, 0);
            o.create = false;
            CHECK_OK_ERR(mni_api_store_open(w.env, "/s", &o, &store, &err), &err);
            o.create = true;
            CHECK(holds(store, mn_str("n"), mn_str("k"), "v"));
            closed(store);
            end_world(&w);
        }
    }
}

/* The same for a setting: what a new handle shows is not taken back. */
static void a_setting_that_was_found_survives_a_power_cut(void)
{
    bool was_hit = true;

    for (uint64_t n = 1; was_hit; n++) {
        for (uint64_t seed = 0; seed < 16; seed++) {
            struct faulty_world w;
            char found[64];
            char later[64];
            begin_world(&w, seed);
            mn_store *store = opened_in(&w);
            mni_fault_env_fail_at(w.fault, n, EIO, true);
            mn_status st = mn_config_set(store, "sync_every_commits", "4", &err);
            was_hit = mni_fault_env_was_hit(w.fault);
            CHECK_STATUS(st, was_hit ? MN_ERR_IO : MN_OK);
            mni_fault_env_fail_at(w.fault, 0, 0, false);
            mni_api_store_abandon(store);
            store = opened_in(&w);
            CHECK_OK(mn_config_get(store, "sync_every_commits", found, sizeof found, &err));
            mni_api_store_abandon(store);
            mni_crash_env_restart(w.crash, false, 0);
            store = opened_in(&w);
            CHECK_OK(mn_config_get(store, "sync_every_commits", later, sizeof later, &err));
            CHECK_STR_EQ(later, found);
            closed(store);
            end_world(&w);
        }
    }
}

/* The file system turns read-only below an open store. */
static void a_file_system_that_turns_read_only_ends_writing_not_reading(void)
{
    struct mn_record record = {.id = mn_str("b")};
    struct mn_slice n = mn_str("n");
    struct faulty_world w;
    mn_iter *iter = NULL;
    struct mn_view view;
    char value[64];

    begin_world(&w, 1);
    mn_store *store = opened_in(&w);
    (void)put(store, n, mn_str("a"), "x");
    mni_fault_env_fail_at(w.fault, 1, EROFS, true);
    CHECK_STATUS(mn_put(store, n, &record, NULL, NULL, &err), MN_ERR_READ_ONLY);
    CHECK_EQ(err.os_errno, EROFS);
    CHECK(stats_of(store).is_poisoned);
    CHECK_STATUS(mn_put(store, n, &record, NULL, NULL, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_flush(store, &err), MN_ERR_POISONED);
    CHECK_STATUS(mn_config_set(store, "sync", "manual", &err), MN_ERR_READ_ONLY);
    CHECK(holds(store, n, mn_str("a"), "x"));
    CHECK(!holds(store, n, mn_str("b"), ""));
    CHECK_OK(mn_iter_open(store, n, NULL, &iter, &err));
    CHECK_OK(mn_iter_next(iter, &view, &err));
    mn_view_release(&view);
    CHECK_STATUS(mn_iter_next(iter, &view, &err), MN_END);
    mn_iter_close(iter);
    CHECK_OK(mn_config_get(store, "sync", value, sizeof value, &err));
    CHECK_STR_EQ(value, "every_write");
    CHECK_STATUS(mn_close(store, &err), MN_ERR_POISONED);
    /* Opening to write is refused, opening to read is not; nothing was lost. */
    struct mn_options o = small_store();
    CHECK_STATUS(mni_api_store_open(w.env, "/s", &o, &store, &err), MN_ERR_READ_ONLY);
    CHECK_STR_HAS(err.message, "cannot be opened for writing");
    o.create = false;
    o.read_only = true;
    CHECK_OK_ERR(mni_api_store_open(w.env, "/s", &o, &store, &err), &err);
    CHECK(holds(store, n, mn_str("a"), "x"));
    closed(store);
    mni_fault_env_fail_at(w.fault, 0, 0, false);
    store = opened_in(&w);
    CHECK(holds(store, n, mn_str("a"), "x"));
    (void)put(store, n, mn_str("c"), "y");
    closed(store);
    end_world(&w);
}

/* A store with one record, which expires in a second and is seen to have expired; then the clock
 * goes back to where it was, and the store is opened again. */
static mn_store *opened_with_the_clock_set_back(struct mni_crash_env *crash, bool is_closed)
{
    const int64_t start_us = INT64_C(1700000000000000);
    struct mni_env *env = mni_crash_env_base(crash);
    struct mn_options o = small_store();
    struct mn_record record = {.id = mn_str("k"), .fields = MN_HAS_TTL, .ttl_us = 1000000};
    mn_store *store = NULL;
    bool exists = false;

    mni_crash_env_set_wall_us(crash, start_us);
    CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
    CHECK_OK(mn_put(store, mn_str("n"), &record, NULL, NULL, &err));
    CHECK_OK(mn_exists(store, mn_str("n"), mn_str("k"), &exists, &err));
    CHECK(exists);
    mni_crash_env_set_wall_us(crash, start_us + 2000000);
    CHECK_OK(mn_exists(store, mn_str("n"), mn_str("k"), &exists, &err));
    CHECK(!exists);
    if (is_closed)
        closed(store);
    else
        mni_api_store_abandon(store);
    mni_crash_env_set_wall_us(crash, start_us + 100);
    CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
    return store;
}

static bool has_record(mn_store *store)
{
    bool exists = false;

    CHECK_OK(mn_exists(store, mn_str("n"), mn_str("k"), &exists, &err));
    return exists;
}

static void what_was_seen_expired_stays_so_over_clean_closes(void)
{
    struct mni_crash_env *crash = NULL;
    struct mn_options o = small_store();
    mn_store *store = NULL;

    CHECK_OK(mni_crash_env_new(1, &crash));
    struct mni_env *env = mni_crash_env_base(crash);
    store = opened_with_the_clock_set_back(crash, true);
    CHECK(!has_record(store));
    CHECK_EQ(stats_of(store).n_records, 0);
    /* Opening rewrote the log: what the seal said is in its header now. */
    mni_api_store_abandon(store);
    mni_crash_env_restart(crash, false, 0);
    CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
    CHECK(!has_record(store));
    closed(store);
    o.read_only = true;
    o.create = false;
    CHECK_OK_ERR(mni_api_store_open(env, "/s", &o, &store, &err), &err);
    CHECK(!has_record(store));
    closed(store);
    mni_crash_env_free(crash);
}

/* As docs/guide/durability.md says. */
static void without_a_close_time_goes_back_to_the_newest_commit(void)
{
    struct mni_crash_env *crash = NULL;
    struct mn_record record = {.id = mn_str("other")};

    CHECK_OK(mni_crash_env_new(1, &crash));
    mn_store *store = opened_with_the_clock_set_back(crash, false);
    CHECK(has_record(store));
    mni_crash_env_advance_us(crash, 2000000);
    CHECK(!has_record(store));
    CHECK_OK(mn_put(store, mn_str("n"), &record, NULL, NULL, &err));
    closed(store);
    mni_crash_env_free(crash);
}

static void two_stores_in_one_process_do_not_meet(void)
{
    mn_store *one = opened(check_temp_dir());
    mn_store *two = opened(check_temp_dir());

    (void)put(one, mn_str("n"), mn_str("k"), "one");
    CHECK_EQ(put(two, mn_str("n"), mn_str("k"), "two"), 1);
    CHECK(holds(one, mn_str("n"), mn_str("k"), "one"));
    CHECK(holds(two, mn_str("n"), mn_str("k"), "two"));
    closed(one);
    CHECK(holds(two, mn_str("n"), mn_str("k"), "two"));
    closed(two);
}

static void remove_below(const char *directory)
{
    char command[700];

    /* A thread of the store may put a file there meanwhile, and then it is not empty. */
    (void)snprintf(command, sizeof command, "rm -rf '%s' 2>/dev/null", directory);
    while (system(command) != 0)
        continue;
}

static void a_removed_directory_is_an_error_and_does_not_come_back(void)
{
    const char *parent = check_temp_dir();
    char path[600];
    struct mn_record record = {.id = mn_str("k")};
    mn_status st = MN_OK;

    (void)snprintf(path, sizeof path, "%s/store", parent);
    mn_store *store = opened(path);
    (void)put(store, mn_str("n"), mn_str("a"), "x");
    remove_below(path);
    CHECK_STATUS(mn_config_set(store, "sync", "manual", &err), MN_ERR_IO);
    CHECK_EQ(err.status, MN_ERR_IO);
    /* What is open goes on being written; the next file cannot be made. */
    char *payload = calloc(1, 1 << 18);
    record.payload = bytes(payload, 1 << 18);
    for (int i = 0; i < 100 && st == MN_OK; i++)
        st = mn_put(store, mn_str("n"), &record, NULL, NULL, &err);
    free(payload);
    CHECK_STATUS(st, MN_ERR_IO);
    CHECK(holds(store, mn_str("n"), mn_str("a"), "x"));
    mni_api_store_abandon(store);
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_STATUS(try_open(path, false, false, &err), MN_ERR_NO_STORE);
}

static void closing_is_refused_while_anything_is_open(void)
{
    mn_store *store = opened(check_temp_dir());
    struct mn_view view;
    mn_iter *iter = NULL;
    mn_namespace_iter *names = NULL;
    mn_txn *txn = NULL;

    (void)put(store, mn_str("n"), mn_str("k"), "v");
    CHECK_OK(mn_get(store, mn_str("n"), mn_str("k"), &view, &err));
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_view_release(&view);
    CHECK_OK(mn_iter_open(store, mn_str("n"), NULL, &iter, &err));
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    CHECK_OK(mn_iter_next(iter, &view, &err));
    mn_iter_close(iter);
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    CHECK_MEM_EQ(view.payload.data, "v", 1);
    mn_view_release(&view);
    CHECK_OK(mn_namespace_iter_open(store, bytes(NULL, 0), &names, &err));
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_namespace_iter_close(names);
    CHECK_OK(mn_txn_begin(store, &txn, &err));
    CHECK_STATUS(mn_close(store, &err), MN_ERR_BUSY);
    mn_txn_rollback(txn);
    CHECK_EQ(put(store, mn_str("n"), mn_str("k"), "w"), 2);
    closed(store);
}

static void the_version_is_that_of_the_release(void)
{
    CHECK_STR_EQ(mn_version(), "0.1.0");
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(readers_write_nothing_and_refuse_writes),
        CHECK_TEST(readers_are_refused_beside_a_writer),
        CHECK_TEST(a_second_opening_is_refused_also_when_files_were_deleted),
        CHECK_TEST(point_in_time_stops_at_an_lsn_or_a_time),
        CHECK_TEST(point_in_time_before_the_newest_checkpoint_is_refused),
        CHECK_TEST(readers_leave_what_a_cut_off_checkpoint_left),
        CHECK_TEST(what_a_cut_off_first_checkpoint_left_is_removed),
        CHECK_TEST(no_segment_goes_when_the_manifest_is_lost),
        CHECK_TEST(what_is_no_store_is_left_alone),
        CHECK_TEST(a_directory_that_may_not_be_read_is_not_absent),
        CHECK_TEST(missing_parts_are_damage_and_never_a_new_store),
        CHECK_TEST(every_flipped_or_missing_byte_of_store_is_refused),
        CHECK_TEST(making_a_store_can_be_cut_off_anywhere_and_done_again),
        CHECK_TEST(what_the_next_process_finds_survives_a_power_cut),
        CHECK_TEST(a_setting_that_was_found_survives_a_power_cut),
        CHECK_TEST(a_file_system_that_turns_read_only_ends_writing_not_reading),
        CHECK_TEST(what_was_seen_expired_stays_so_over_clean_closes),
        CHECK_TEST(without_a_close_time_goes_back_to_the_newest_commit),
        CHECK_TEST(two_stores_in_one_process_do_not_meet),
        CHECK_TEST(a_removed_directory_is_an_error_and_does_not_come_back),
        CHECK_TEST(closing_is_refused_while_anything_is_open),
        CHECK_TEST(the_version_is_that_of_the_release),
    };

    return check_run("engine.open", tests, CHECK_COUNT(tests), argc, argv);
}
