/*
 * posix.c - the real world: Linux files, directories, clocks and random numbers.
 *
 * Owns:    one descriptor per file and directory handle.
 * Threads: as env.h says; there is no state outside the handles.
 * Fails:   every failed call names its file; a failed sync is never tried again.
 */
#define _GNU_SOURCE
#include "io/posix.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/map_private.h"

enum {
    FILE_MODE = 0640, /* the group may read if the umask lets it, strangers never */
    DIR_MODE = 0750,
    FREE_STEP_BYTES = 8 << 20, /* freed at once: a millisecond or two */
    LABEL_BYTES = 256,         /* of a directory in messages; a path may be longer */
};

struct posix_file {
    struct mni_file base;
    struct mni_map_share *share; /* one reference */
    int fd;
    bool is_direct;
    bool has_no_rwf_dsync; /* the file system refused RWF_DSYNC: sync by a call of its own */
    char name[MNI_NAME_BYTES_MAX];
};

struct posix_dir {
    struct mni_dir base;
    struct mni_map_share *share; /* one reference: for the maps of its files */
    int fd;
    pid_t lock_pid;          /* the process that took the lock; 0 = not locked */
    char label[LABEL_BYTES]; /* its path or name, fit for messages */
};

static struct posix_file *as_file(struct mni_file *file)
{
    return (struct posix_file *)file;
}

static struct posix_dir *as_dir(struct mni_dir *dir)
{
    return (struct posix_dir *)dir;
}

/* Keeps the end of a long path, which tells more than its beginning, and what may stand in a
 * one-line UTF-8 message. */
static void make_label(char label[LABEL_BYTES], const char *path)
{
    size_t n = strlen(path);

    if (n >= LABEL_BYTES) {
        path += n - (LABEL_BYTES - 1);
        n = LABEL_BYTES - 1;
    }
    memcpy(label, path, n + 1);
    bool is_utf8 = mni_utf8_is_valid(label, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)label[i];
        if (c < 0x20 || c == 0x7F || (c >= 0x80 && !is_utf8))
            label[i] = '?';
    }
}

static mn_status check_name(const char *name, struct mn_error *err)
{
    size_t n = strlen(name);
    bool is_fit = n > 0 && n < MNI_NAME_BYTES_MAX && strcmp(name, ".") != 0 &&
                  strcmp(name, "..") != 0;

    for (size_t i = 0; is_fit && i < n; i++)
        is_fit = name[i] > 0x20 && name[i] < 0x7F && name[i] != '/';
    return is_fit ? MN_OK : mni_fail(err, MN_ERR_INVALID, "not a name for a file");
}

/* Descriptors 0 to 2 belong to the standard streams. Where the program closed one of them, a file
 * of ours could get its number, and a stray printf would land in it. */
static int above_standard_streams(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int os_errno = errno;
    (void)close(fd);
    errno = os_errno;
    return moved;
}

static int open_at(int dir_fd, const char *name, int flags)
{
    int fd;

    do
        fd = openat(dir_fd, name, flags | O_CLOEXEC, FILE_MODE);
    while (fd < 0 && errno == EINTR);
    return above_standard_streams(fd);
}

/* Files ------------------------------------------------------------------------------------------
 */

static void check_alignment(const struct posix_file *f, uint64_t offset, const void *data, size_t n)
{
    if (!f->is_direct)
        return;
    MNI_CHECK(offset % MNI_DIRECT_ALIGN == 0);
    MNI_CHECK(n % MNI_DIRECT_ALIGN == 0);
    MNI_CHECK(n == 0 || (uintptr_t)data % MNI_DIRECT_ALIGN == 0);
}

static mn_status file_read(struct mni_file *file, uint64_t offset, void *data, size_t n,
                           size_t *n_read_out, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    size_t n_read = 0;

    check_alignment(f, offset, data, n);
    while (n_read < n) {
        ssize_t got = pread(f->fd, (char *)data + n_read, n - n_read, (off_t)(offset + n_read));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mni_fail_os(err, errno, "read %s at %" PRIu64, f->name, offset + n_read);
        n_read += (size_t)got;
        /* A direct read may only go on at an aligned offset; it stops at another one only at the
         * end of the file. */
        if (got == 0 || (f->is_direct && n_read % MNI_DIRECT_ALIGN != 0))
            break;
    }
    *n_read_out = n_read;
    return MN_OK;
}

/* Writes all or returns errno; `n_done_out` is how far it came. */
static int write_all(int fd, uint64_t offset, const void *data, size_t n, int rwf_flags,
                     size_t *n_done_out)
{
    size_t n_done = 0;
    int os_errno = 0;

    while (n_done < n && os_errno == 0) {
        /* An iovec has no const, and writing does not change what it points to. */
        struct iovec part = {(void *)((uintptr_t)data + n_done), n - n_done};
        off_t at = (off_t)(offset + n_done);
        ssize_t put = rwf_flags == 0 ? pwrite(fd, part.iov_base, part.iov_len, at)
                                     : pwritev2(fd, &part, 1, at, rwf_flags);
        if (put > 0)
            n_done += (size_t)put;
        else if (put == 0)
            os_errno = EIO; /* no progress and no reason: never loop on it */
        else if (errno != EINTR)
            os_errno = errno;
    }
    *n_done_out = n_done;
    return os_errno;
}

static mn_status file_write(struct mni_file *file, uint64_t offset, const void *data, size_t n,
                            struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    size_t n_done;

    check_alignment(f, offset, data, n);
    int os_errno = write_all(f->fd, offset, data, n, 0, &n_done);
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "write %s at %" PRIu64, f->name, offset + n_done);
    return MN_OK;
}

/* Not repeated after EINTR either: whether the interrupted call has already consumed the report of
 * a failed write-back is the file system's secret. Local ones are not interrupted here. */
/* Bytes of a file that was removed are not durable: nobody finds them again. */
static mn_status check_linked(const struct posix_file *f, struct mn_error *err)
{
    struct statx st;

    /* Not fstat: it asks for the time of change too, and a file system with fine-grained timestamps
     * then gives the file a new one at the next write, so that its sync writes metadata. */
    if (statx(f->fd, "", AT_EMPTY_PATH, STATX_NLINK, &st) != 0)
        return mni_fail_os(err, errno, "look at %s", f->name);
    if ((st.stx_mask & STATX_NLINK) != 0 && st.stx_nlink == 0)
        return mni_fail(err, MN_ERR_IO, "the file opened as %s was removed", f->name);
    return MN_OK;
}

static mn_status file_sync(struct mni_file *file, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);

    if (fdatasync(f->fd) != 0)
        return mni_fail_os(err, errno, "sync %s", f->name);
    return check_linked(f, err);
}

static mn_status file_write_durable(struct mni_file *file, uint64_t offset, const void *data,
                                    size_t n, struct mn_error *err)
{
    struct posix_file *f = as_file(file);
    size_t n_done = 0;

    check_alignment(f, offset, data, n);
    if (n == 0)
        return MN_OK;
    if (!f->has_no_rwf_dsync) {
        int os_errno = write_all(f->fd, offset, data, n, RWF_DSYNC, &n_done);
        if (os_errno == 0)
            return check_linked(f, err);
        if (n_done > 0 || (os_errno != EOPNOTSUPP && os_errno != EINVAL))
            return mni_fail_os(err, os_errno, "durable write %s at %" PRIu64, f->name,
                               offset + n_done);
        f->has_no_rwf_dsync = true;
    }
    mn_status st = file_write(file, offset, data, n, err);
    return st == MN_OK ? file_sync(file, err) : st;
}

static mn_status file_allocate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    int rc;

    if (n_bytes == 0)
        return MN_OK; /* the kernel calls this EINVAL */
    do
        rc = fallocate(f->fd, 0, 0, (off_t)n_bytes);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return mni_fail(err, MN_ERR_UNSUPPORTED, "allocate %s: not on this file system", f->name);
    if (rc != 0)
        return mni_fail_os(err, errno, "allocate %" PRIu64 " bytes for %s", n_bytes, f->name);
    return MN_OK;
}

static mn_status file_truncate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    int rc;

    do
        rc = ftruncate(f->fd, (off_t)n_bytes);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return mni_fail_os(err, errno, "truncate %s to %" PRIu64, f->name, n_bytes);
    return MN_OK;
}

static mn_status file_clone(struct mni_file *file, struct mni_file *from, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    const struct posix_file *source = as_file(from);

    if (ioctl(f->fd, FICLONE, source->fd) == 0)
        return MN_OK;
    if (errno == EXDEV || errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "clone %s to %s", source->name, f->name);
    return mni_fail_os(err, errno, "clone %s to %s", source->name, f->name);
}

static mn_status file_size(struct mni_file *file, uint64_t *n_bytes_out, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    struct stat info;

    if (fstat(f->fd, &info) != 0)
        return mni_fail_os(err, errno, "size of %s", f->name);
    *n_bytes_out = (uint64_t)info.st_size;
    return MN_OK;
}

static mn_status file_map(struct mni_file *file, struct mni_map **map_out, struct mn_error *err)
{
    const struct posix_file *f = as_file(file);
    uint64_t n_bytes;

    *map_out = NULL;
    mn_status st = file_size(file, &n_bytes, err);
    return st == MN_OK ? mni_map_new(f->share, f->fd, f->name, n_bytes, map_out, err) : st;
}

static void file_close(struct mni_file *file)
{
    struct posix_file *f = as_file(file);

    /* Not repeated after EINTR: the descriptor is gone, and may be another thread's by now. What
     * close could report is no news: durable is what was synced. */
    if (f->fd >= 0)
        (void)close(f->fd);
    mni_map_share_unref(f->share);
    mni_free(f);
}

static const struct mni_file_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .write_durable = file_write_durable,
    .sync = file_sync,
    .allocate = file_allocate,
    .truncate = file_truncate,
    .clone = file_clone,
    .size = file_size,
    .map = file_map,
    .close = file_close,
};

/* Opening ----------------------------------------------------------------------------------------
 */

/* False where the kernel says that direct transfers need more than our alignment, or do not exist.
 * Kernels before 6.1 and some file systems say nothing; then the open that succeeded counts. */
static bool is_direct_alignment_fit(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx info;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0 ||
        (info.stx_mask & STATX_DIOALIGN) == 0)
        return true;
    return info.stx_dio_mem_align != 0 && info.stx_dio_offset_align != 0 &&
           MNI_DIRECT_ALIGN % info.stx_dio_mem_align == 0 &&
           MNI_DIRECT_ALIGN % info.stx_dio_offset_align == 0;
#else
    (void)fd;
    return true;
#endif
}

/* Opens an existing file for direct transfers: a descriptor, or -1 with errno, EINVAL when direct
 * transfers are not possible. */
static int open_direct(int dir_fd, const char *name, int access)
{
    int fd = open_at(dir_fd, name, access | O_DIRECT);

    if (fd >= 0 && !is_direct_alignment_fit(fd)) {
        (void)close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

/* Creating and opening directly are two steps: one openat with both flags leaves a file behind
 * when it answers EINVAL, and nobody could tell whether it was there before. */
static int open_file_descriptor(int dir_fd, const char *name, unsigned flags)
{
    /* A pipe of this name must not make the call wait. */
    int access = O_NONBLOCK | ((flags & MNI_OPEN_WRITE) != 0 ? O_RDWR : O_RDONLY);

    if ((flags & MNI_OPEN_CREATE) == 0)
        return (flags & MNI_OPEN_DIRECT) != 0 ? open_direct(dir_fd, name, access)
                                              : open_at(dir_fd, name, access);
    int fd = open_at(dir_fd, name, access | O_CREAT | O_EXCL);
    if (fd < 0 || (flags & MNI_OPEN_DIRECT) == 0)
        return fd;
    int direct_fd = open_direct(dir_fd, name, access);
    int os_errno = errno;
    (void)close(fd);
    if (direct_fd < 0)
        (void)unlinkat(dir_fd, name, 0);
    errno = os_errno;
    return direct_fd;
}

static bool is_regular(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static mn_status dir_open_file(struct mni_dir *dir, const char *name, unsigned flags,
                               struct mni_file **file_out, struct mn_error *err)
{
    MNI_CHECK((flags & MNI_OPEN_CREATE) == 0 || (flags & MNI_OPEN_WRITE) != 0);
    *file_out = NULL;

    mn_status st = check_name(name, err);
    if (st != MN_OK)
        return st;
    struct posix_file *f = mni_alloc_zero(sizeof *f);
    if (f == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of %s", name);
    f->base.ops = &file_ops;
    f->share = as_dir(dir)->share;
    mni_map_share_ref(f->share);
    f->is_direct = (flags & MNI_OPEN_DIRECT) != 0;
    memcpy(f->name, name, strlen(name) + 1);

    f->fd = open_file_descriptor(as_dir(dir)->fd, name, flags);
    if (f->fd < 0) {
        int os_errno = errno;
        file_close(&f->base);
        if (os_errno == EINVAL && (flags & MNI_OPEN_DIRECT) != 0)
            return mni_fail(err, MN_ERR_UNSUPPORTED, "open %s: no direct transfers here", name);
        return mni_fail_os(err, os_errno, "%s %s in %s",
                           (flags & MNI_OPEN_CREATE) != 0 ? "create" : "open", name,
                           as_dir(dir)->label);
    }
    if (!is_regular(f->fd)) {
        file_close(&f->base);
        return mni_fail(err, MN_ERR_CORRUPT, "%s in %s is no regular file", name,
                        as_dir(dir)->label);
    }
    *file_out = &f->base;
    return MN_OK;
}

/* Directories ------------------------------------------------------------------------------------
 */

static mn_status dir_rename(struct mni_dir *dir, const char *from, const char *to,
                            struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    mn_status st = check_name(from, err);

    if (st == MN_OK)
        st = check_name(to, err);
    if (st != MN_OK)
        return st;
    if (renameat(d->fd, from, d->fd, to) != 0)
        return mni_fail_os(err, errno, "rename %s to %s in %s", from, to, d->label);
    return MN_OK;
}

static mn_status dir_unlink(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    mn_status st = check_name(name, err);

    if (st != MN_OK)
        return st;
    if (unlinkat(d->fd, name, 0) != 0)
        return mni_fail_os(err, errno, "unlink %s in %s", name, d->label);
    return MN_OK;
}

/* Where it cannot be done in steps, closing the file does it. */
static void free_in_steps(int fd, mni_free_step_fn *step, void *context)
{
    struct stat info;

    if (fstat(fd, &info) != 0 || info.st_nlink > 0)
        return; /* another name has the space still */
    for (off_t n = info.st_size; n > 0; n -= FREE_STEP_BYTES) {
        off_t left = n > FREE_STEP_BYTES ? n - FREE_STEP_BYTES : 0;
        step(context, (uint64_t)(n - left));
        if (ftruncate(fd, left) != 0)
            return;
    }
}

static mn_status dir_remove(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                            void *context, struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    mn_status st = check_name(name, err);

    if (st != MN_OK)
        return st;
    int fd = open_at(d->fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    st = dir_unlink(dir, name, err);
    if (fd < 0)
        return st;
    if (st == MN_OK && is_regular(fd))
        free_in_steps(fd, step, context);
    (void)close(fd);
    return st;
}

static mn_status dir_link(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    const struct posix_dir *source = as_dir(from_dir);
    mn_status st = check_name(name, err);

    if (st == MN_OK)
        st = check_name(from, err);
    if (st != MN_OK)
        return st;
    if (linkat(source->fd, from, d->fd, name, 0) == 0)
        return MN_OK;
    /* File systems without such names, and kernels that keep them from whoever is not the owner,
     * say EPERM. */
    if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "link %s in %s to %s in %s", from, source->label,
                        name, d->label);
    return mni_fail_os(err, errno, "link %s in %s to %s in %s", from, source->label, name,
                       d->label);
}

static mn_status dir_move(struct mni_dir *dir, const char *to, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    const struct posix_dir *source = as_dir(from_dir);
    mn_status st = check_name(to, err);

    if (st == MN_OK)
        st = check_name(from, err);
    if (st != MN_OK)
        return st;
    if (renameat(source->fd, from, d->fd, to) == 0)
        return MN_OK;
    if (errno == EXDEV)
        return mni_fail(err, MN_ERR_UNSUPPORTED, "move %s in %s to %s in %s", from, source->label,
                        to, d->label);
    return mni_fail_os(err, errno, "move %s in %s to %s in %s", from, source->label, to, d->label);
}

static mn_status dir_remove_dir(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    mn_status st = check_name(name, err);

    if (st != MN_OK)
        return st;
    if (unlinkat(d->fd, name, AT_REMOVEDIR) == 0)
        return MN_OK;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return mni_fail(err, MN_EXISTS, "directory %s in %s is not empty", name, d->label);
    return mni_fail_os(err, errno, "remove directory %s in %s", name, d->label);
}

static mn_status dir_sync(struct mni_dir *dir, struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);

    if (fsync(d->fd) != 0)
        return mni_fail_os(err, errno, "sync directory %s", d->label);
    return MN_OK;
}

static mn_status dir_lock(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err)
{
    struct posix_dir *d = as_dir(dir);
    int operation = mode == MNI_LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH;
    int rc;

    do
        rc = flock(d->fd, operation | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EWOULDBLOCK)
        return mni_fail(err, MN_ERR_IN_USE, "lock directory %s: another handle or process holds it",
                        d->label);
    if (rc != 0)
        return mni_fail_os(err, errno, "lock directory %s", d->label);
    d->lock_pid = getpid();
    return MN_OK;
}

/* Links count as what they point to, as for open_dir. An entry that has gone since, or points
 * nowhere, is no directory. */
static int is_directory(int dir_fd, const struct dirent *entry, bool *is_dir_out)
{
    struct stat info;

    *is_dir_out = entry->d_type == DT_DIR;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return 0;
    if (fstatat(dir_fd, entry->d_name, &info, 0) != 0)
        return errno == ENOENT ? 0 : errno;
    *is_dir_out = S_ISDIR(info.st_mode);
    return 0;
}

static mn_status list_stream(const struct posix_dir *d, DIR *stream, mni_list_fn *each,
                             void *context, struct mn_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL)
            return errno == 0 ? MN_OK : mni_fail_os(err, errno, "list directory %s", d->label);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        bool is_dir;
        int os_errno = is_directory(d->fd, entry, &is_dir);
        if (os_errno != 0)
            return mni_fail_os(err, os_errno, "list directory %s", d->label);
        mn_status st = each(context, entry->d_name, is_dir, err);
        if (st != MN_OK)
            return st;
    }
}

static mn_status dir_list(struct mni_dir *dir, mni_list_fn *each, void *context,
                          struct mn_error *err)
{
    const struct posix_dir *d = as_dir(dir);
    struct stat info;

    int os_errno = fstat(d->fd, &info) != 0 ? errno : 0;
    if (os_errno == 0 && info.st_nlink == 0)
        os_errno = ENOENT; /* a removed directory would list as an empty one */
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "list directory %s", d->label);
    /* Opened anew: a duplicate would share its position with other listings. */
    int fd = open_at(d->fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        os_errno = errno;
        if (fd >= 0)
            (void)close(fd);
        return mni_fail_os(err, os_errno, "list directory %s", d->label);
    }
    mn_status st = list_stream(d, stream, each, context, err);
    (void)closedir(stream);
    return st;
}

static void dir_close(struct mni_dir *dir)
{
    struct posix_dir *d = as_dir(dir);

    /* A child that was forked meanwhile holds a copy of the descriptor, and with it the lock, until
     * the lock is given up by name. The child itself must not do that to its parent. */
    if (d->lock_pid != 0 && d->lock_pid == getpid())
        (void)flock(d->fd, LOCK_UN);
    if (d->fd >= 0)
        (void)close(d->fd);
    mni_map_share_unref(d->share);
    mni_free(d);
}

static mn_status dir_open_dir(struct mni_dir *dir, const char *name, bool create,
                              struct mni_dir **dir_out, struct mn_error *err);

static const struct mni_dir_ops dir_ops = {
    .open_file = dir_open_file,
    .open_dir = dir_open_dir,
    .list = dir_list,
    .rename = dir_rename,
    .unlink = dir_unlink,
    .remove = dir_remove,
    .link = dir_link,
    .move = dir_move,
    .remove_dir = dir_remove_dir,
    .sync = dir_sync,
    .lock = dir_lock,
    .close = dir_close,
};

static mn_status open_dir_at(int parent_fd, const char *path, bool create, struct mni_dir **dir_out,
                             bool *was_made_out, struct mn_error *err)
{
    struct posix_dir *d = mni_alloc_zero(sizeof *d);

    *was_made_out = false;
    if (d == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a directory");
    d->base.ops = &dir_ops;
    make_label(d->label, path);
    d->share = mni_map_share_new();
    if (d->share == NULL) {
        mni_free(d);
        return mni_fail(err, MN_ERR_NOMEM, "handle of a directory");
    }
    d->fd = open_at(parent_fd, path, O_RDONLY | O_DIRECTORY);
    if (d->fd < 0 && errno == ENOENT && create) {
        *was_made_out = mkdirat(parent_fd, path, DIR_MODE) == 0;
        if (*was_made_out || errno == EEXIST) /* somebody else may have been faster */
            d->fd = open_at(parent_fd, path, O_RDONLY | O_DIRECTORY);
    }
    if (d->fd < 0) {
        mn_status st = mni_fail_os(err, errno, "open directory %s", d->label);
        dir_close(&d->base);
        return st;
    }
    *dir_out = &d->base;
    return MN_OK;
}

static mn_status dir_open_dir(struct mni_dir *dir, const char *name, bool create,
                              struct mni_dir **dir_out, struct mn_error *err)
{
    bool was_made;

    *dir_out = NULL;
    mn_status st = check_name(name, err);
    if (st != MN_OK)
        return st;
    return open_dir_at(as_dir(dir)->fd, name, create, dir_out, &was_made, err);
}

/* The parent is reached through the directory itself, so that a path that ends in a symbolic link
 * syncs the directory that holds the real entry. */
static mn_status sync_parent(const struct posix_dir *d, struct mn_error *err)
{
    int fd = open_at(d->fd, "..", O_RDONLY | O_DIRECTORY);

    if (fd < 0)
        return mni_fail_os(err, errno, "open the parent of directory %s", d->label);
    int rc = fsync(fd);
    int os_errno = errno;
    (void)close(fd);
    if (rc != 0)
        return mni_fail_os(err, os_errno, "sync the parent of directory %s", d->label);
    return MN_OK;
}

/* The environment --------------------------------------------------------------------------------
 */

static mn_status env_open_dir(struct mni_env *env, const char *path, bool create,
                              struct mni_dir **dir_out, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    bool was_made;

    (void)env;
    *dir_out = NULL;
    mn_status st = open_dir_at(AT_FDCWD, path, create, &dir, &was_made, err);
    if (st != MN_OK || !create) {
        *dir_out = dir;
        return st;
    }
    /* Also when it was there: whoever made it may have died before this sync. A parent that we may
     * not open is then none of our business. */
    struct mn_error sync_err;
    st = sync_parent(as_dir(dir), &sync_err);
    if (st == MN_OK || (st == MN_ERR_ACCESS && !was_made)) {
        *dir_out = dir;
        return MN_OK;
    }
    mni_dir_close(dir);
    if (err != NULL)
        *err = sync_err;
    return st;
}

static mn_status env_real_path(struct mni_env *env, const char *path,
                               char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    (void)env;
    static_assert((int)MNI_PATH_BYTES_MAX >= PATH_MAX, "every path fits");
    return realpath(path, path_out) != NULL
               ? MN_OK
               : mni_fail_os(err, errno, "find directory %.300s", path);
}

static int64_t read_clock_us(clockid_t clock)
{
    struct timespec now;
    int rc = clock_gettime(clock, &now);

    MNI_CHECK(rc == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t env_wall_us(struct mni_env *env)
{
    (void)env;
    return read_clock_us(CLOCK_REALTIME);
}

static int64_t env_mono_us(struct mni_env *env)
{
    (void)env;
    return read_clock_us(CLOCK_MONOTONIC);
}

static mn_status env_random(struct mni_env *env, void *data, size_t n, struct mn_error *err)
{
    size_t n_done = 0;

    (void)env;
    while (n_done < n) {
        ssize_t got = getrandom((char *)data + n_done, n - n_done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mni_fail_os(err, errno, "random numbers");
        n_done += (size_t)got;
    }
    return MN_OK;
}

static bool env_has_threads(struct mni_env *env)
{
    (void)env;
    return true;
}

static const char *env_variable(struct mni_env *env, const char *name)
{
    (void)env;
    return secure_getenv(name);
}

struct mni_env *mni_posix_env(void)
{
    static const struct mni_env_ops ops = {
        .open_dir = env_open_dir,
        .real_path = env_real_path,
        .wall_us = env_wall_us,
        .mono_us = env_mono_us,
        .random = env_random,
        .has_threads = env_has_threads,
        .variable = env_variable,
    };
    static struct mni_env env = {&ops};

    return &env;
}
