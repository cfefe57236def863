/* Tests of the real env, on real directories. */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "io/posix.h"

enum { BLOCK = MNI_DIRECT_ALIGN };

static struct mn_error err;

static const char *join(const char *dir, const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char path[sizeof paths[0]]; /* `dir` may lie in `paths` */

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return memcpy(paths[next++ % 4], path, sizeof path);
}

static struct mni_dir *open_dir(const char *path)
{
    struct mni_dir *dir = NULL;
    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), path, false, &dir, &err), &err);
    return dir;
}

static struct mni_file *open_file(struct mni_dir *dir, const char *name, unsigned flags)
{
    struct mni_file *file = NULL;
    CHECK_OK_ERR(mni_dir_open_file(dir, name, flags, &file, &err), &err);
    return file;
}

static struct mni_file *create_file(struct mni_dir *dir, const char *name)
{
    return open_file(dir, name, MNI_OPEN_WRITE | MNI_OPEN_CREATE);
}

static mn_status try_open(struct mni_dir *dir, const char *name, unsigned flags)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(dir, name, flags, &file, &err);
    mni_file_close(file);
    return st;
}

static uint64_t size_of(struct mni_file *file)
{
    uint64_t n_bytes = 0;
    CHECK_OK_ERR(mni_file_size(file, &n_bytes, &err), &err);
    return n_bytes;
}

/* Aligned for direct transfers; freed by the caller. */
static unsigned char *new_pattern(size_t n, unsigned first)
{
    unsigned char *data = aligned_alloc(BLOCK, n);
    CHECK(data != NULL);
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)(first + i * 31 + i / 256);
    return data;
}

static int n_open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static bool skip(bool unless, const char *what, const char *why)
{
    if (!unless)
        printf("    skipped: %s: %s\n", what, why);
    return !unless;
}

/* Files ------------------------------------------------------------------------------------------
 */

static void what_was_written_is_read_back(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    char data[16] = {0};
    size_t n_read = 99;

    CHECK_OK(mni_file_write(file, 3, "hello", 5, &err));
    CHECK_OK(mni_file_sync(file, &err));
    CHECK_OK(mni_dir_sync(dir, &err));
    CHECK_EQ(size_of(file), 8);
    CHECK_OK(mni_file_read(file, 0, data, sizeof data, &n_read, &err));
    CHECK_EQ(n_read, 8);
    CHECK_MEM_EQ(data, "\0\0\0hello", 8);
    CHECK_OK(mni_file_read(file, 8, data, sizeof data, &n_read, &err));
    CHECK_EQ(n_read, 0);
    CHECK_OK(mni_file_read(file, 1000, data, sizeof data, &n_read, &err));
    CHECK_EQ(n_read, 0);
    CHECK_OK(mni_file_write_durable(file, 4, "EL", 2, &err));
    CHECK_OK(mni_file_read(file, 3, data, 5, &n_read, &err));
    CHECK_MEM_EQ(data, "hELlo", 5);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void writing_no_bytes_changes_nothing(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    size_t n_read = 99;

    CHECK_OK(mni_file_write(file, 500, NULL, 0, &err));
    CHECK_OK(mni_file_write_durable(file, 500, NULL, 0, &err));
    CHECK_OK(mni_file_allocate(file, 0, &err));
    CHECK_EQ(size_of(file), 0);
    CHECK_OK(mni_file_read(file, 0, NULL, 0, &n_read, &err));
    CHECK_EQ(n_read, 0);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void a_map_shows_the_whole_file_and_outlives_handle_and_name(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    unsigned char *data = new_pattern(3 * (size_t)BLOCK, 7);
    struct mni_map *map = NULL;
    size_t n = 2 * (size_t)BLOCK + 17;

    CHECK_OK(mni_file_write(file, 0, data, n, &err));
    int n_before = n_open_descriptors();
    CHECK_OK_ERR(mni_file_map(file, &map, &err), &err);
    CHECK_EQ(n_open_descriptors(), n_before);
    mni_file_close(file);
    CHECK_OK(mni_dir_unlink(dir, "a", &err));
    CHECK_EQ(map->n_bytes, n);
    CHECK_EQ((uintptr_t)map->bytes % BLOCK, 0);
    mni_map_will_read(map, 5, BLOCK);
    mni_map_will_read(map, 0, UINT64_MAX);
    mni_map_will_read(map, n, 1);
    CHECK_MEM_EQ(map->bytes, data, n);
    mni_map_close(map);
    mni_map_close(NULL);
    free(data);
    mni_dir_close(dir);
}

static void an_empty_file_has_an_empty_map(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    struct mni_map *map = NULL;

    CHECK_OK_ERR(mni_file_map(file, &map, &err), &err);
    CHECK_EQ(map->n_bytes, 0);
    CHECK(map->bytes == NULL);
    mni_map_will_read(map, 0, 1);
    mni_map_close(map);
    mni_file_close(file);
    mni_dir_close(dir);
}

/* Whether the kernel was told to use large pages for what is mapped there. */
static bool is_large(const void *address)
{
    unsigned long from;
    unsigned long to;
    bool is_here = false;
    bool is_found = false;
    char line[512];
    FILE *smaps = fopen("/proc/self/smaps", "r");

    CHECK(smaps != NULL);
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            is_here = from <= (uintptr_t)address && (uintptr_t)address < to;
        if (is_here && strncmp(line, "VmFlags:", 8) == 0)
            is_found = strstr(line, " hg") != NULL;
    }
    (void)fclose(smaps);
    return is_found;
}

/* Whether the kernel has large pages at all. */
static bool has_large_pages(void)
{
    void *page = mmap(NULL, BLOCK, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(page != MAP_FAILED);
    bool has = madvise(page, BLOCK, MADV_HUGEPAGE) == 0;
    CHECK(munmap(page, BLOCK) == 0);
    return has;
}

/* Or a read of one record would fetch megabytes, again and again. */
static void what_memory_cannot_hold_is_mapped_in_small_pages(void)
{
    bool has_large = has_large_pages();
    uint64_t memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *small = create_file(dir, "a");
    struct mni_file *large = create_file(dir, "b");
    struct mni_map *maps[3];

    CHECK_OK(mni_file_truncate(small, BLOCK, &err));
    CHECK_OK_ERR(mni_file_truncate(large, memory_bytes, &err), &err);
    CHECK_OK_ERR(mni_file_map(small, &maps[0], &err), &err);
    CHECK_OK_ERR(mni_file_map(large, &maps[1], &err), &err);
    CHECK_OK_ERR(mni_file_map(small, &maps[2], &err), &err);
    CHECK_EQ(is_large(maps[0]->bytes), has_large);
    CHECK(!is_large(maps[1]->bytes));
    CHECK_EQ(is_large(maps[2]->bytes), has_large); /* what is mapped in small ones does not count */
    for (int i = 0; i < 3; i++) {
        mni_map_will_read(maps[i], 0, BLOCK);
        CHECK_EQ(maps[i]->bytes[BLOCK - 1], 0);
        mni_map_close(maps[i]);
    }
    mni_file_close(small);
    mni_file_close(large);
    mni_dir_close(dir);
}

/* Each on its own fits, all of them do not. */
static void closing_a_map_makes_room_for_another(void)
{
    uint64_t memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    struct mni_map *maps[8];
    bool were_large[8];

    CHECK_OK_ERR(mni_file_truncate(file, memory_bytes / 8, &err), &err);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            CHECK_OK_ERR(mni_file_map(file, &maps[i], &err), &err);
            CHECK(round == 0 || is_large(maps[i]->bytes) == were_large[i]);
            were_large[i] = is_large(maps[i]->bytes);
        }
        CHECK(!were_large[7]);
        for (int i = 0; i < 8; i++)
            mni_map_close(maps[i]);
    }
    mni_file_close(file);
    mni_dir_close(dir);
}

static void truncate_cuts_and_grows_with_zeroes(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    char data[8];
    size_t n_read;

    CHECK_OK(mni_file_write(file, 0, "abcdefgh", 8, &err));
    CHECK_OK(mni_file_truncate(file, 3, &err));
    CHECK_EQ(size_of(file), 3);
    CHECK_OK(mni_file_truncate(file, 8, &err));
    CHECK_OK(mni_file_read(file, 0, data, 8, &n_read, &err));
    CHECK_MEM_EQ(data, "abc\0\0\0\0\0", 8);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void allocate_reserves_and_never_shrinks(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = open_dir(path);
    struct mni_file *file = create_file(dir, "a");
    struct stat info;

    CHECK_OK_ERR(mni_file_allocate(file, 1 << 20, &err), &err);
    CHECK_EQ(size_of(file), 1 << 20);
    CHECK_EQ(stat(join(path, "a"), &info), 0);
    CHECK(info.st_blocks >= (1 << 20) / 512);
    CHECK_OK(mni_file_allocate(file, 4096, &err));
    CHECK_EQ(size_of(file), 1 << 20);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void a_file_opened_for_reading_refuses_writes(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    mni_file_close(create_file(dir, "a"));
    struct mni_file *file = open_file(dir, "a", MNI_OPEN_READ);

    CHECK_STATUS(mni_file_write(file, 7, "x", 1, &err), MN_ERR_IO);
    CHECK_EQ(err.os_errno, EBADF);
    CHECK_STR_HAS(err.message, "write a at 7: ");
    CHECK_STATUS(mni_file_write_durable(file, 7, "x", 1, &err), MN_ERR_IO);
    CHECK_STATUS(mni_file_truncate(file, 7, &err), MN_ERR_IO);
    CHECK_STATUS(mni_file_allocate(file, 7, NULL), MN_ERR_IO);
    mni_file_close(file);
    mni_dir_close(dir);
}

/* The kernel writes what fits and reports the limit only to the next call. */
static void a_short_write_goes_on_until_the_error(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *file = create_file(dir, "a");
    unsigned char *data = new_pattern((size_t)4 * BLOCK, 1);
    struct rlimit before, small;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 6000;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    mn_status st = mni_file_write(file, 0, data, (size_t)4 * BLOCK, &err);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_STATUS(st, MN_ERR_IO);
    CHECK_EQ(err.os_errno, EFBIG);
    CHECK_STR_HAS(err.message, "write a at 6000: ");
    CHECK_EQ(size_of(file), 6000);

    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    st = mni_file_write_durable(file, 2000, data, (size_t)4 * BLOCK, &err);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_STATUS(st, MN_ERR_IO);
    CHECK_STR_HAS(err.message, "durable write a at 6000: ");
    free(data);
    mni_file_close(file);
    mni_dir_close(dir);
}

/* Direct transfers -------------------------------------------------------------------------------
 */

static bool is_direct_missing(const char *path)
{
    struct statfs info;
    CHECK_EQ(statfs(path, &info), 0);
    return skip(info.f_type != TMPFS_MAGIC, "direct transfers", "the directory is on a tmpfs");
}

static void direct_writes_are_seen_by_buffered_reads(void)
{
    const char *path = check_temp_dir();
    if (is_direct_missing(path))
        return;
    struct mni_dir *dir = open_dir(path);
    struct mni_file *file = open_file(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE | MNI_OPEN_DIRECT);
    struct mni_file *plain = open_file(dir, "a", MNI_OPEN_READ);
    unsigned char *data = new_pattern((size_t)4 * BLOCK, 5);
    unsigned char *back = new_pattern((size_t)4 * BLOCK, 77);
    size_t n_read;

    CHECK_OK_ERR(mni_file_allocate(file, (uint64_t)4 * BLOCK, &err), &err);
    CHECK_OK_ERR(mni_file_write(file, 0, back, (size_t)4 * BLOCK, &err), &err);
    CHECK_OK_ERR(mni_file_sync(file, &err), &err);
    CHECK_OK_ERR(mni_file_write_durable(file, BLOCK, data, (size_t)2 * BLOCK, &err), &err);
    CHECK_OK(mni_file_read(plain, BLOCK, back, (size_t)2 * BLOCK, &n_read, &err));
    CHECK_EQ(n_read, 2 * BLOCK);
    CHECK_MEM_EQ(back, data, (size_t)2 * BLOCK);
    free(data);
    free(back);
    mni_file_close(plain);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void a_direct_read_ends_with_the_file(void)
{
    const char *path = check_temp_dir();
    if (is_direct_missing(path))
        return;
    struct mni_dir *dir = open_dir(path);
    struct mni_file *plain = create_file(dir, "a");
    unsigned char *data = new_pattern((size_t)4 * BLOCK, 5);
    unsigned char *back = new_pattern((size_t)4 * BLOCK, 77);
    size_t n_read;

    CHECK_OK(mni_file_write(plain, 0, data, 5000, &err));
    struct mni_file *file = open_file(dir, "a", MNI_OPEN_READ | MNI_OPEN_DIRECT);
    CHECK_OK_ERR(mni_file_read(file, 0, back, (size_t)4 * BLOCK, &n_read, &err), &err);
    CHECK_EQ(n_read, 5000);
    CHECK_MEM_EQ(back, data, 5000);
    CHECK_OK_ERR(mni_file_read(file, (uint64_t)2 * BLOCK, back, BLOCK, &n_read, &err), &err);
    CHECK_EQ(n_read, 0);
    free(data);
    free(back);
    mni_file_close(file);
    mni_file_close(plain);
    mni_dir_close(dir);
}

static void an_unaligned_direct_transfer_is_a_bug_of_ours(void)
{
    const char *path = check_temp_dir();
    if (is_direct_missing(path))
        return;
    struct mni_dir *dir = open_dir(path);
    struct mni_file *file = open_file(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE | MNI_OPEN_DIRECT);
    unsigned char *data = new_pattern((size_t)2 * BLOCK, 5);
    const struct {
        uint64_t offset;
        size_t shift;
        size_t n;
    } bad[] = {{512, 0, BLOCK}, {0, 8, BLOCK}, {0, 0, 512}};

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        int how;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            (void)signal(SIGABRT, SIG_DFL);
            mn_status st = mni_file_write(file, bad[i].offset, data + bad[i].shift, bad[i].n, NULL);
            _exit(st == MN_OK ? 1 : 2);
        }
        CHECK_EQ(waitpid(child, &how, 0), child);
        CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    }
    free(data);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void where_direct_is_impossible_it_is_unsupported(void)
{
    struct mni_dir *dir = open_dir("/proc/self");

    CHECK_OK(try_open(dir, "status", MNI_OPEN_READ));
    CHECK_STATUS(try_open(dir, "status", MNI_OPEN_DIRECT), MN_ERR_UNSUPPORTED);
    CHECK_STR_HAS(err.message, "open status");
    mni_dir_close(dir);
}

/* Errors -----------------------------------------------------------------------------------------
 */

static void missing_and_present_files_are_told_apart(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());

    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_READ), MN_NOT_FOUND);
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_WRITE), MN_NOT_FOUND);
    CHECK_EQ(err.os_errno, ENOENT);
    CHECK_STATUS(mni_dir_unlink(dir, "a", &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_rename(dir, "a", "b", &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "rename a to b in ");
    mni_file_close(create_file(dir, "a"));
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE), MN_EXISTS);
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE | MNI_OPEN_DIRECT), MN_EXISTS);
    CHECK_OK(try_open(dir, "a", MNI_OPEN_WRITE));
    mni_dir_close(dir);
}

static void names_that_could_leave_the_directory_are_refused(void)
{
    static const char *const bad[] = {
        "",    ".",           "..",
        "a/b", "/etc/passwd", "a b",
        "a\n", "\xC3\xA9",    "0123456789012345678901234567890123456789012345678901234567890123"};
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_dir *inner = NULL;

    for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
        CHECK_STATUS(try_open(dir, bad[i], MNI_OPEN_WRITE | MNI_OPEN_CREATE), MN_ERR_INVALID);
        CHECK_STATUS(mni_dir_open_dir(dir, bad[i], true, &inner, &err), MN_ERR_INVALID);
        CHECK_STATUS(mni_dir_unlink(dir, bad[i], &err), MN_ERR_INVALID);
        CHECK_STATUS(mni_dir_rename(dir, bad[i], "x", &err), MN_ERR_INVALID);
        CHECK_STATUS(mni_dir_rename(dir, "x", bad[i], &err), MN_ERR_INVALID);
    }
    CHECK_OK(try_open(dir, bad[8] + 1, MNI_OPEN_WRITE | MNI_OPEN_CREATE)); /* 63 bytes */
    mni_dir_close(dir);
}

static void a_denied_directory_is_an_access_error(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = NULL;

    if (geteuid() == 0)
        CHECK_EQ(seteuid(65534), 0); /* the temporary directory belongs to root alone */
    else
        CHECK_EQ(chmod(path, 0), 0);
    mn_status st = mni_env_open_dir(mni_posix_env(), path, false, &dir, &err);
    if (getuid() == 0)
        CHECK_EQ(seteuid(0), 0);
    else
        CHECK_EQ(chmod(path, 0700), 0);
    CHECK_STATUS(st, MN_ERR_ACCESS);
    CHECK_EQ(err.os_errno, EACCES);
    CHECK(dir == NULL);
}

/* Mounts vanish with this process: they are made in a name space of its own. */
static bool mount_here(const char *type, const char *path, const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, type, 0, options) == 0;
}

static void a_full_and_a_read_only_file_system_are_told_apart(void)
{
    const char *path = check_temp_dir();
    if (skip(mount_here("tmpfs", path, "size=64k"), "full file system", "mounting is not allowed"))
        return;
    struct mni_dir *dir = open_dir(path);
    struct mni_file *file = create_file(dir, "a");
    unsigned char *data = new_pattern((size_t)32 * BLOCK, 3);

    CHECK_STATUS(mni_file_write(file, 0, data, (size_t)32 * BLOCK, &err), MN_ERR_NO_SPACE);
    CHECK_EQ(err.os_errno, ENOSPC);
    CHECK_STR_HAS(err.message, "write a at 65536: "); /* what fitted was written */
    CHECK_STATUS(mni_file_allocate(file, 1 << 20, &err), MN_ERR_NO_SPACE);
    mni_file_close(file);

    CHECK_EQ(mount("none", path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_STATUS(try_open(dir, "b", MNI_OPEN_WRITE | MNI_OPEN_CREATE), MN_ERR_READ_ONLY);
    CHECK_STATUS(mni_dir_unlink(dir, "a", &err), MN_ERR_READ_ONLY);
    CHECK_OK(try_open(dir, "a", MNI_OPEN_READ));
    free(data);
    mni_dir_close(dir);
    CHECK_EQ(umount(path), 0);
}

static void a_refused_direct_create_leaves_no_file(void)
{
    const char *path = check_temp_dir();
    if (skip(mount_here("ramfs", path, NULL), "file system without direct transfers",
             "mounting is not allowed"))
        return;
    struct mni_dir *dir = open_dir(path);

    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE | MNI_OPEN_DIRECT),
                 MN_ERR_UNSUPPORTED);
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_READ), MN_NOT_FOUND);
    struct mni_file *file = create_file(dir, "a");
    CHECK_STATUS(mni_file_allocate(file, 4096, &err), MN_ERR_UNSUPPORTED);
    CHECK_OK_ERR(mni_file_write_durable(file, 0, "x", 1, &err), &err);
    mni_file_close(file);
    mni_dir_close(dir);
    CHECK_EQ(umount(path), 0);
}

/* Directories ------------------------------------------------------------------------------------
 */

static void a_missing_directory_is_made_only_when_asked(void)
{
    const char *path = join(check_temp_dir(), "store");
    struct mni_dir *dir = NULL;

    CHECK_STATUS(mni_env_open_dir(mni_posix_env(), path, false, &dir, &err), MN_NOT_FOUND);
    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), path, true, &dir, &err), &err);
    mni_dir_close(dir);
    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), path, true, &dir, &err), &err);
    mni_dir_close(dir);
    CHECK_STATUS(mni_env_open_dir(mni_posix_env(), join(path, "x/y"), true, &dir, &err),
                 MN_NOT_FOUND);
    CHECK_STATUS(mni_env_open_dir(mni_posix_env(), "", true, &dir, &err), MN_NOT_FOUND);
    CHECK(dir == NULL);
}

static void paths_may_be_relative_end_in_a_slash_or_be_links(void)
{
    const char *path = check_temp_dir();
    const char *link = join(path, "link");
    struct mni_dir *dir = NULL;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(here >= 0);
    CHECK_EQ(chdir(path), 0);
    mn_status st = mni_env_open_dir(mni_posix_env(), "store/", true, &dir, &err);
    mni_dir_close(dir);
    mn_status st_again = mni_env_open_dir(mni_posix_env(), "store", true, &dir, NULL);
    mni_dir_close(dir);
    CHECK_EQ(fchdir(here), 0);
    (void)close(here);
    CHECK_OK_ERR(st, &err);
    CHECK_OK(st_again);
    CHECK_EQ(symlink("store", link), 0);
    CHECK_OK_ERR(mni_env_open_dir(mni_posix_env(), link, true, &dir, &err), &err);
    mni_file_close(create_file(dir, "a"));
    mni_dir_close(dir);
    CHECK_EQ(access(join(path, "store/a"), F_OK), 0);
}

static void a_file_is_no_directory_and_the_message_names_it(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = open_dir(path);
    struct mni_dir *other = NULL;

    mni_file_close(create_file(dir, "a"));
    CHECK_STATUS(mni_dir_open_dir(dir, "a", true, &other, &err), MN_ERR_IO);
    CHECK_EQ(err.os_errno, ENOTDIR);
    CHECK_STATUS(mni_env_open_dir(mni_posix_env(), join(path, "a"), true, &other, &err), MN_ERR_IO);
    CHECK_STR_HAS(err.message, join(path, "a"));
    mni_dir_close(dir);
}

static void messages_stay_one_line_of_utf8_whatever_the_path(void)
{
    struct mni_dir *dir = NULL;
    char path[1000];

    CHECK_STATUS(mni_env_open_dir(mni_posix_env(), "/no\xFF\n/b", false, &dir, &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "/no\?\?/b: ");
    memset(path, 'x', sizeof path);
    for (size_t i = 0; i + 100 < sizeof path; i += 100)
        path[i] = '/';
    memcpy(path + sizeof path - 5, "/end", 5);
    CHECK_STATUS(mni_env_open_dir(mni_posix_env(), path, false, &dir, &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "/end: No such file");
}

struct listing {
    int n_files;
    int n_dirs;
    int stop_after; /* 0 = never */
    char names[256];
};

static mn_status add_entry(void *context, const char *name, bool is_dir, struct mn_error *error)
{
    struct listing *l = context;

    *(is_dir ? &l->n_dirs : &l->n_files) += 1;
    size_t n = strlen(l->names);
    (void)snprintf(l->names + n, sizeof l->names - n, "[%s]", name);
    if (l->stop_after != 0 && l->n_dirs + l->n_files >= l->stop_after)
        return mni_fail(error, MN_ERR_CANCELLED, "stop");
    return MN_OK;
}

static void a_listing_shows_every_entry_once_and_every_time(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = open_dir(path);
    struct mni_dir *inner = NULL;

    mni_file_close(create_file(dir, "a"));
    mni_file_close(create_file(dir, "b.wal"));
    CHECK_OK_ERR(mni_dir_open_dir(dir, "wal", true, &inner, &err), &err);
    CHECK_EQ(symlink("wal", join(path, "link")), 0);
    CHECK_EQ(symlink("nowhere", join(path, "dangling")), 0);
    CHECK_EQ(mkdir(join(path, "not ours"), 0700), 0);
    for (int i = 0; i < 3; i++) {
        struct listing l = {0};
        CHECK_OK_ERR(mni_dir_list(dir, add_entry, &l, &err), &err);
        CHECK_EQ(l.n_files, 3);
        CHECK_EQ(l.n_dirs, 3);
        CHECK_STR_HAS(l.names, "[b.wal]");
        CHECK_STR_HAS(l.names, "[not ours]");
    }
    struct listing empty = {0};
    CHECK_OK(mni_dir_list(inner, add_entry, &empty, &err));
    CHECK_STR_EQ(empty.names, "");
    struct listing l = {.stop_after = 2};
    CHECK_STATUS(mni_dir_list(dir, add_entry, &l, &err), MN_ERR_CANCELLED);
    CHECK_EQ(l.n_files + l.n_dirs, 2);
    mni_dir_close(inner);
    mni_dir_close(dir);
}

static void rename_replaces_and_open_handles_follow(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    struct mni_file *a = create_file(dir, "a");
    struct mni_file *b = create_file(dir, "b");
    char c = 0;
    size_t n_read;

    CHECK_OK(mni_file_write(a, 0, "A", 1, &err));
    CHECK_OK(mni_file_write(b, 0, "B", 1, &err));
    CHECK_OK_ERR(mni_dir_rename(dir, "a", "b", &err), &err);
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_READ), MN_NOT_FOUND);
    struct mni_file *now = open_file(dir, "b", MNI_OPEN_READ);
    CHECK_OK(mni_file_read(now, 0, &c, 1, &n_read, &err));
    CHECK_EQ(c, 'A');
    CHECK_OK(mni_file_read(b, 0, &c, 1, &n_read, &err)); /* replaced, and open still */
    CHECK_EQ(c, 'B');
    CHECK_OK(mni_dir_unlink(dir, "b", &err));
    mni_file_close(now);
    mni_file_close(a);
    mni_file_close(b);
    mni_dir_close(dir);
}

static void add_step(void *context, uint64_t n_bytes)
{
    *(uint64_t *)context += n_bytes;
}

static void space_is_given_back_in_steps_once_no_name_is_left(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = open_dir(path);
    uint64_t n_freed = 0;
    uint64_t n_bytes = 0;

    struct mni_file *a = create_file(dir, "a");
    CHECK_OK(mni_file_truncate(a, 20 << 20, &err));
    mni_file_close(a);
    CHECK_EQ(link(join(path, "a"), join(path, "b")), 0);
    CHECK_OK_ERR(mni_dir_remove(dir, "a", add_step, &n_freed, &err), &err);
    CHECK_EQ(n_freed, 0);
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_READ), MN_NOT_FOUND);
    struct mni_file *b = open_file(dir, "b", MNI_OPEN_READ);
    CHECK_OK(mni_file_size(b, &n_bytes, &err));
    CHECK_EQ(n_bytes, 20 << 20);
    CHECK_OK_ERR(mni_dir_remove(dir, "b", add_step, &n_freed, &err), &err);
    CHECK_EQ(n_freed, 20 << 20);
    CHECK_OK(mni_file_size(b, &n_bytes, &err));
    CHECK_EQ(n_bytes, 0);
    mni_file_close(b);
    CHECK_STATUS(mni_dir_remove(dir, "b", add_step, &n_freed, &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_remove(dir, "../b", add_step, &n_freed, &err), MN_ERR_INVALID);
    mni_dir_close(dir);
}

static void a_directory_that_moved_is_followed(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = NULL;

    CHECK_OK(mni_env_open_dir(mni_posix_env(), join(path, "old"), true, &dir, &err));
    CHECK_EQ(rename(join(path, "old"), join(path, "new")), 0);
    mni_file_close(create_file(dir, "a"));
    CHECK_EQ(access(join(path, "new/a"), F_OK), 0);
    CHECK(access(join(path, "old"), F_OK) != 0);
    mni_dir_close(dir);
}

static void a_directory_that_was_removed_answers_with_errors(void)
{
    const char *path = join(check_temp_dir(), "store");
    struct mni_dir *dir = NULL;
    struct mni_dir *inner = NULL;
    struct listing l = {0};

    CHECK_OK(mni_env_open_dir(mni_posix_env(), path, true, &dir, &err));
    CHECK_EQ(rmdir(path), 0);
    CHECK_STATUS(try_open(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_open_dir(dir, "wal", true, &inner, &err), MN_NOT_FOUND);
    CHECK_STATUS(mni_dir_list(dir, add_entry, &l, &err), MN_NOT_FOUND);
    CHECK_STR_HAS(err.message, "list directory ");
    CHECK(access(path, F_OK) != 0);
    mni_dir_close(dir);
}

/* Locks ------------------------------------------------------------------------------------------
 */

static void the_lock_refuses_others_until_it_is_closed(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *first = open_dir(path);
    struct mni_dir *second = open_dir(path);

    mni_file_close(create_file(first, "a"));
    CHECK_OK_ERR(mni_dir_lock(first, MNI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_STATUS(mni_dir_lock(second, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IN_USE);
    CHECK_STR_HAS(err.message, path);
    CHECK_STATUS(mni_dir_lock(second, MNI_LOCK_SHARED, &err), MN_ERR_IN_USE);
    CHECK_OK(mni_dir_unlink(first, "a", &err)); /* no file in there carries the lock */
    CHECK_STATUS(mni_dir_lock(second, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IN_USE);
    mni_dir_close(first);
    CHECK_OK_ERR(mni_dir_lock(second, MNI_LOCK_EXCLUSIVE, &err), &err);
    mni_dir_close(second);
}

static void readers_share_the_lock_and_keep_a_writer_out(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *first = open_dir(path);
    struct mni_dir *second = open_dir(path);
    struct mni_dir *writer = open_dir(path);

    CHECK_OK(mni_dir_lock(first, MNI_LOCK_SHARED, &err));
    CHECK_OK(mni_dir_lock(second, MNI_LOCK_SHARED, &err));
    CHECK_STATUS(mni_dir_lock(writer, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IN_USE);
    mni_dir_close(first);
    CHECK_STATUS(mni_dir_lock(writer, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IN_USE);
    mni_dir_close(second);
    CHECK_OK(mni_dir_lock(writer, MNI_LOCK_EXCLUSIVE, &err));
    mni_dir_close(writer);
}

/* Forks a child that holds copies of our descriptors, closes `dir` in it if told so, and waits for
 * the end of the pipe. Returns the end to close, and the child. */
static int fork_holder(struct mni_dir *dir, bool closes, pid_t *child_out)
{
    int ends[2], ready[2];
    char c;

    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(pipe(ready), 0);
    *child_out = fork();
    CHECK(*child_out >= 0);
    if (*child_out == 0) {
        (void)close(ends[1]);
        if (closes)
            mni_dir_close(dir);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        _exit(read(ends[0], &c, 1) == 0 ? 0 : 1);
    }
    (void)close(ends[0]);
    CHECK_EQ(read(ready[0], &c, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return ends[1];
}

static void a_forked_child_neither_keeps_nor_drops_the_lock(void)
{
    const char *path = check_temp_dir();
    struct mni_dir *dir = open_dir(path);
    struct mni_dir *other = open_dir(path);
    pid_t children[2];
    int how;

    CHECK_OK(mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, &err));
    int first = fork_holder(dir, true, &children[0]);
    CHECK_STATUS(mni_dir_lock(other, MNI_LOCK_EXCLUSIVE, &err), MN_ERR_IN_USE);
    int second = fork_holder(dir, false, &children[1]);
    mni_dir_close(dir);
    CHECK_OK_ERR(mni_dir_lock(other, MNI_LOCK_EXCLUSIVE, &err), &err);
    mni_dir_close(other);
    (void)close(second);
    (void)close(first);
    for (int i = 1; i >= 0; i--) {
        CHECK_EQ(waitpid(children[i], &how, 0), children[i]);
        CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
}

/* Descriptors and memory -------------------------------------------------------------------------
 */

static void descriptors_are_closed_on_exec_and_none_leaks(void)
{
    const char *path = check_temp_dir();
    int n_before = n_open_descriptors();
    struct mni_dir *dir = open_dir(path);
    struct mni_dir *inner = NULL;
    struct listing l = {0};
    int n_kept = 0;

    CHECK_OK(mni_dir_open_dir(dir, "wal", true, &inner, &err));
    struct mni_file *file = create_file(inner, "a");
    for (int fd = 0; fd < 256; fd++)
        n_kept += fcntl(fd, F_GETFD) >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
    CHECK_EQ(n_open_descriptors(), n_before + 3);
    CHECK(n_kept >= 3);
    CHECK_OK(mni_dir_list(dir, add_entry, &l, &err));
    CHECK_STATUS(try_open(dir, "missing", MNI_OPEN_READ), MN_NOT_FOUND);
    mni_file_close(file);
    mni_dir_close(inner);
    mni_dir_close(dir);
    CHECK_OK(mni_env_open_dir(mni_posix_env(), path, true, &dir, &err));
    mni_dir_close(dir);
    CHECK_EQ(n_open_descriptors(), n_before);
}

static void no_file_takes_the_place_of_a_standard_stream(void)
{
    struct mni_dir *dir = open_dir(check_temp_dir());
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);

    CHECK(saved >= 0);
    (void)close(STDIN_FILENO);
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(dir, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err);
    bool is_free = fcntl(STDIN_FILENO, F_GETFD) < 0;
    (void)dup2(saved, STDIN_FILENO);
    (void)close(saved);
    CHECK_OK_ERR(st, &err);
    CHECK(is_free);
    mni_file_close(file);
    mni_dir_close(dir);
}

static void every_failed_allocation_leaves_nothing_behind(void)
{
    const char *path = check_temp_dir();
    int n_before = n_open_descriptors();
    uint64_t n_live = mni_mem_live_blocks();

    for (uint64_t n = 1;; n++) {
        struct mni_dir *dir = NULL;
        struct mni_dir *inner = NULL;
        struct mni_file *file = NULL;
        mni_mem_fail_at(n);
        mn_status st = mni_env_open_dir(mni_posix_env(), path, true, &dir, &err);
        if (st == MN_OK)
            st = mni_dir_open_dir(dir, "wal", true, &inner, &err);
        if (st == MN_OK)
            st = mni_dir_open_file(inner, "a", MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, &err);
        bool was_hit = mni_mem_fail_was_hit();
        mni_mem_fail_at(0);
        mni_file_close(file);
        mni_dir_close(inner);
        mni_dir_close(dir);
        CHECK_EQ(n_open_descriptors(), n_before);
        CHECK_EQ(mni_mem_live_blocks(), n_live);
        CHECK_STATUS(st, was_hit ? MN_ERR_NOMEM : MN_OK);
        if (!was_hit) {
            CHECK_EQ(
                n, 6); /* two per directory and one for the file, and the round without a failure */
            return;
        }
    }
}

/* Clock and random numbers -----------------------------------------------------------------------
 */

static void clocks_run_and_random_numbers_differ(void)
{
    struct mni_env *env = mni_posix_env();
    unsigned char a[300] = {0}, b[300] = {0};

    CHECK(mni_env_wall_us(env) > INT64_C(1577836800000000)); /* 2020 */
    int64_t last = mni_env_mono_us(env);
    for (int i = 0; i < 1000; i++) {
        int64_t now = mni_env_mono_us(env);
        CHECK(now >= last);
        last = now;
    }
    CHECK_OK(mni_env_random(env, a, sizeof a, &err));
    CHECK_OK(mni_env_random(env, b, sizeof b, &err));
    CHECK(memcmp(a, b, 16) != 0);
    CHECK(memcmp(a + 284, b + 284, 16) != 0);
    CHECK_OK(mni_env_random(env, NULL, 0, &err));
    CHECK(mni_env_has_threads(env));
    CHECK(mni_env_variable(env, "PATH") != NULL && mni_env_variable(env, "NO-SUCH") == NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(what_was_written_is_read_back),
        CHECK_TEST(writing_no_bytes_changes_nothing),
        CHECK_TEST(a_map_shows_the_whole_file_and_outlives_handle_and_name),
        CHECK_TEST(an_empty_file_has_an_empty_map),
        CHECK_TEST(what_memory_cannot_hold_is_mapped_in_small_pages),
        CHECK_TEST(closing_a_map_makes_room_for_another),
        CHECK_TEST(truncate_cuts_and_grows_with_zeroes),
        CHECK_TEST(allocate_reserves_and_never_shrinks),
        CHECK_TEST(a_file_opened_for_reading_refuses_writes),
        CHECK_TEST(a_short_write_goes_on_until_the_error),
        CHECK_TEST(direct_writes_are_seen_by_buffered_reads),
        CHECK_TEST(a_direct_read_ends_with_the_file),
        CHECK_TEST(an_unaligned_direct_transfer_is_a_bug_of_ours),
        CHECK_TEST(where_direct_is_impossible_it_is_unsupported),
        CHECK_TEST(missing_and_present_files_are_told_apart),
        CHECK_TEST(names_that_could_leave_the_directory_are_refused),
        CHECK_TEST(a_denied_directory_is_an_access_error),
        CHECK_TEST(a_full_and_a_read_only_file_system_are_told_apart),
        CHECK_TEST(a_refused_direct_create_leaves_no_file),
        CHECK_TEST(a_missing_directory_is_made_only_when_asked),
        CHECK_TEST(paths_may_be_relative_end_in_a_slash_or_be_links),
        CHECK_TEST(a_file_is_no_directory_and_the_message_names_it),
        CHECK_TEST(messages_stay_one_line_of_utf8_whatever_the_path),
        CHECK_TEST(a_listing_shows_every_entry_once_and_every_time),
        CHECK_TEST(rename_replaces_and_open_handles_follow),
        CHECK_TEST(space_is_given_back_in_steps_once_no_name_is_left),
        CHECK_TEST(a_directory_that_moved_is_followed),
        CHECK_TEST(a_directory_that_was_removed_answers_with_errors),
        CHECK_TEST(the_lock_refuses_others_until_it_is_closed),
        CHECK_TEST(readers_share_the_lock_and_keep_a_writer_out),
        CHECK_TEST(a_forked_child_neither_keeps_nor_drops_the_lock),
        CHECK_TEST(descriptors_are_closed_on_exec_and_none_leaks),
        CHECK_TEST(no_file_takes_the_place_of_a_standard_stream),
        CHECK_TEST(every_failed_allocation_leaves_nothing_behind),
        CHECK_TEST(clocks_run_and_random_numbers_differ),
    };
    return check_run("io.posix", tests, CHECK_COUNT(tests), argc, argv);
}
