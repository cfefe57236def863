/*
 * snapshot_fixture.h - stores with snapshots, for the tests of both and of restores.
 */
#ifndef TESTS_UNIT_ENGINE_SNAPSHOT_FIXTURE_H
#define TESTS_UNIT_ENGINE_SNAPSHOT_FIXTURE_H

#include "../api/short.h"
#include <dirent.h>
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct mn_error err;

struct place {
    const char *dir;
    char store[512];
    char other[512];
};

static inline struct place new_place(void)
{
    struct place p = {.dir = check_temp_dir()};

    (void)snprintf(p.store, sizeof p.store, "%s/store", p.dir);
    (void)snprintf(p.other, sizeof p.other, "%s/other", p.dir);
    return p;
}

/* Makes one and says its id. */
static inline void create(mn_store *store, const struct mn_snapshot_options *options,
                          struct mn_snapshot_info *info)
{
    mn_snapshot *snapshot = NULL;

    *info = (struct mn_snapshot_info){.size = sizeof *info};
    CHECK_OK_ERR(mn_snapshot_create(store, options, &snapshot, &err), &err);
    CHECK_OK(mn_snapshot_get_info(snapshot, info, &err));
    info->description = (struct mn_slice){0};
    mn_snapshot_free(snapshot);
}

static inline mn_snapshots *pool_of(const char *store)
{
    mn_snapshots *pool = NULL;

    CHECK_OK_ERR(mn_snapshots_open_of(store, &pool, &err), &err);
    return pool;
}

static inline size_t n_snapshots(const char *store)
{
    mn_snapshots *pool = pool_of(store);
    mn_snapshot_iter *iter = NULL;
    char id[MN_SNAPSHOT_ID_BYTES];
    size_t n = 0;

    CHECK_OK(mn_snapshot_iter_open(pool, &iter, &err));
    while (mn_snapshot_iter_next(iter, id, &err) == MN_OK)
        n++;
    mn_snapshot_iter_close(iter);
    mn_snapshots_close(pool);
    return n;
}

static inline mn_status try_restore(const char *store, const char *id, struct mn_restore_options o,
                                    struct mn_restore_report *report)
{
    mn_snapshots *pool = pool_of(store);

    o.size = sizeof o;
    *report = (struct mn_restore_report){.size = sizeof *report};
    mn_status st = mn_snapshot_restore(pool, id, &o, report, &err);
    mn_snapshots_close(pool);
    return st;
}

static inline struct mn_restore_report restored(const char *store, const char *id,
                                                struct mn_restore_options o)
{
    struct mn_restore_report report;

    CHECK_OK_ERR(try_restore(store, id, o, &report), &err);
    return report;
}

static inline uint64_t count(mn_store *store, const char *name)
{
    uint64_t n = 0;

    CHECK_OK_ERR(mn_count(store, mn_str(name), &n, &err), &err);
    return n;
}

static inline void put_expiring(mn_store *store, const char *name, const char *id, int64_t ttl_us)
{
    struct mn_record r = {.id = mn_str(id), .fields = MN_HAS_TTL, .ttl_us = ttl_us};

    CHECK_OK_ERR(mn_put(store, mn_str(name), &r, NULL, NULL, &err), &err);
}

static inline void overwrite(const char *path)
{
    FILE *file = fopen(path, "r+b");

    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    long n = ftell(file);
    for (long i = 0; i < n; i += 512) {
        CHECK_EQ(fseek(file, i, SEEK_SET), 0);
        CHECK_EQ(fputc(0x5a, file), 0x5a);
    }
    CHECK_EQ(fclose(file), 0);
}

#endif
