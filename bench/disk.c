/*
 * disk.c - the files below a directory: what they take up, whether they lie in the page cache, and
 * copying them as plainly as can be.
 *
 * Owns:    nothing that outlives a call.
 * Threads: one.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* nftw */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum {
    OPEN_DIRS_MAX = 16,
    BLOCK_BYTES = 512, /* of st_blocks */
    READ_BYTES = 1 << 20,
};

static char buffer[READ_BYTES];
static double found_bytes; /* nftw hands no context on */

static int add_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)path;
    (void)position;
    if (type == FTW_F)
        found_bytes += (double)info->st_blocks * BLOCK_BYTES;
    return 0;
}

static int fill_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info;
    (void)position;
    if (type != FTW_F)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while (read(fd, buffer, sizeof buffer) > 0)
        continue;
    return close(fd);
}

/* Only pages that are written back can be dropped. */
static int drop_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info;
    (void)position;
    if (type != FTW_F)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        return -1;
    return close(fd);
}

static void walk(const char *dir, int (*each)(const char *path, const struct stat *info, int type,
                                              struct FTW *position))
{
    if (nftw(dir, each, OPEN_DIRS_MAX, FTW_PHYS) != 0)
        bench_die("cannot read what is in %s: %s", dir, strerror(errno));
}

double disk_bytes(const char *dir)
{
    found_bytes = 0;
    walk(dir, add_entry);
    return found_bytes;
}

void disk_cache_fill(const char *dir)
{
    walk(dir, fill_entry);
}

void disk_cache_drop(const char *dir)
{
    walk(dir, drop_entry);
}

static double copy_file(int from_dir, int to_dir, const char *name)
{
    int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    off_t at = 0;
    ssize_t n = 0;

    if (from < 0 || to < 0)
        bench_die("cannot copy %s: %s", name, strerror(errno));
    while ((n = read(from, buffer, sizeof buffer)) > 0) {
        if (pwrite(to, buffer, (size_t)n, at) != n)
            bench_die("cannot write %s: %s", name, strerror(errno));
        at += n;
    }
    if (n < 0 || fdatasync(to) != 0)
        bench_die("cannot copy %s: %s", name, strerror(errno));
    close(from);
    close(to);
    return (double)at;
}

double disk_copy(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    int to_dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    double n_bytes = 0;

    if (dir == NULL || to_dir < 0)
        bench_die("cannot copy %s to %s: %s", from, to, strerror(errno));
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct stat info;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            bench_die("cannot read %s: %s", entry->d_name, strerror(errno));
        if (S_ISREG(info.st_mode))
            n_bytes += copy_file(dirfd(dir), to_dir, entry->d_name);
    }
    closedir(dir);
    close(to_dir);
    return n_bytes;
}

bool disk_is_same(const char *one_dir, const char *other_dir)
{
    struct stat one;
    struct stat other;

    if (stat(one_dir, &one) != 0)
        bench_die("cannot read %s: %s", one_dir, strerror(errno));
    if (stat(other_dir, &other) != 0)
        bench_die("cannot read %s: %s", other_dir, strerror(errno));
    return one.st_dev == other.st_dev;
}
