/*
 * kit.h - what tests of the disk cache share: opening, putting, and weighing the directory.
 */
#ifndef TESTS_UNIT_DISKCACHE_KIT_H
#define TESTS_UNIT_DISKCACHE_KIT_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "mneme/diskcache.h"

/*
 * RocksDB is not built with the thread sanitizer, which therefore does not see its locks, and takes
 * what they order for races. What happens inside of that library is left out, in every program with
 * a disk cache; our calls into it are looked at like all else.
 */
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:librocksdb.so\ncalled_from_lib:librocksdb.so\nmutex:librocksdb.so\n"
           "deadlock:librocksdb.so\n";
}
#endif

/* Good for the next few calls. */
static inline const char *kit_path(const char *dir, const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return memcpy(paths[next++ % 8], path, sizeof path);
}

/* A path in a new directory, good for the whole test: of as many tests as there are here. */
static inline const char *kit_place(const char *name)
{
    static char places[64][512];
    static unsigned next;

    CHECK(next < sizeof places / sizeof places[0]);
    (void)snprintf(places[next], sizeof places[0], "%s/%s", check_temp_dir(), name);
    return places[next++];
}

/* Opens a cache; 0 bytes: without a bound. */
static inline mn_diskcache *kit_open(const char *path, uint64_t max_bytes)
{
    const struct mn_diskcache_options options = {
        .size = sizeof options, .path = path, .max_bytes = max_bytes, .has_max_bytes = true};
    mn_diskcache *cache = NULL;
    struct mn_error err;

    CHECK_OK_ERR(mn_diskcache_open(&options, &cache, &err), &err);
    return cache;
}

static inline void kit_close(mn_diskcache *cache)
{
    CHECK_OK(mn_diskcache_close(cache, NULL));
}

/* Closes and opens. */
static inline mn_diskcache *kit_again(mn_diskcache *cache, const char *path, uint64_t max_bytes)
{
    kit_close(cache);
    return kit_open(path, max_bytes);
}

static inline bool kit_put_bytes(mn_diskcache *cache, const char *name, const char *id,
                                 const void *data, size_t n_bytes)
{
    const struct mn_diskcache_item item = {.id = mn_str(id), .value = {data, n_bytes}};
    bool kept = false;

    CHECK_OK(mn_diskcache_put(cache, mn_str(name), &item, &kept, NULL));
    return kept;
}

static inline bool kit_put(mn_diskcache *cache, const char *name, const char *id, const char *value)
{
    return kit_put_bytes(cache, name, id, value, strlen(value));
}

/* Whether the cache has exactly this value; `value` NULL: whether it has none. */
static inline bool kit_has(mn_diskcache *cache, const char *name, const char *id, const char *value)
{
    struct mn_diskcache_value got;
    mn_status st = mn_diskcache_get(cache, mn_str(name), mn_str(id), &got, NULL);

    if (value == NULL) {
        bool is_gone = st == MN_NOT_FOUND && got.pin == NULL;
        mn_diskcache_value_release(&got);
        return is_gone;
    }
    bool is_same = st == MN_OK && got.value.n_bytes == strlen(value) &&
                   memcmp(got.value.data, value, got.value.n_bytes) == 0;
    mn_diskcache_value_release(&got);
    return is_same;
}

static inline struct mn_diskcache_stats kit_stats(mn_diskcache *cache)
{
    struct mn_diskcache_stats stats = {.size = sizeof stats};

    CHECK_OK(mn_diskcache_stats(cache, &stats, NULL));
    return stats;
}

/* The sum that the header promises. */
static inline bool kit_adds_up(const struct mn_diskcache_stats *s)
{
    return s->n_found + s->n_puts == s->n_entries + s->n_overwritten + s->n_deleted + s->n_cleared +
                                         s->n_expired + s->n_evicted + s->n_lost;
}

/* Of all files below a directory. A file that goes meanwhile counts nothing. */
static inline uint64_t kit_weigh(const char *path)
{
    uint64_t sum = 0;
    DIR *dir = opendir(path);

    if (dir == NULL)
        return 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char below[1024];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (lstat(below, &st) != 0)
            continue;
        sum += S_ISDIR(st.st_mode) ? kit_weigh(below) : (uint64_t)st.st_size;
    }
    (void)closedir(dir);
    return sum;
}

#endif
