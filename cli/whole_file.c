/*
 * whole_file.c - an output file that is there whole or not at all.
 *
 * Owns:    the file under its temporary name.
 * Threads: the main one.
 * Fails:   as errno tells; the caller abandons the file then.
 */
#define _XOPEN_SOURCE 700 /* realpath */

#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "stop.h"

enum { PIECE_BYTES = 256 << 10, TEMPORARY_NAMES_MAX = 100, SUFFIX_BYTES = 48 };

static char *copy_of(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = mni_alloc(n);

    if (copy != NULL)
        memcpy(copy, text, n);
    return copy;
}

/* Where the file will be: links are followed, so that they stay links. `mode_out`: the permissions
 * of the file that is there, 0 if there is none. */
static mn_status find_target(struct whole_file *file, const char *path, mode_t *mode_out,
                             struct mn_error *err)
{
    char resolved[PATH_MAX];
    struct stat info;

    *mode_out = 0;
    if (stat(path, &info) == 0) {
        if (!S_ISREG(info.st_mode))
            return mni_fail(err, MN_ERR_INVALID, "is there, and is no regular file");
        if (access(path, W_OK) != 0 || realpath(path, resolved) == NULL)
            return mni_fail_os(err, errno, "cannot replace");
        *mode_out = info.st_mode & 0777;
        path = resolved;
    } else if (errno != ENOENT) {
        return mni_fail_os(err, errno, "cannot create");
    }
    file->target_path = copy_of(path);
    file->temporary_path = mni_alloc(strlen(path) + SUFFIX_BYTES);
    if (file->target_path == NULL || file->temporary_path == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    return MN_OK;
}

/* Makes the file under a name that nobody uses. */
static mn_status create(struct whole_file *file, struct mn_error *err)
{
    size_t n = strlen(file->target_path);

    memcpy(file->temporary_path, file->target_path, n);
    for (int i = 0; i < TEMPORARY_NAMES_MAX; i++) {
        (void)snprintf(file->temporary_path + n, SUFFIX_BYTES, ".%ld-%d.tmp", (long)getpid(), i);
        stop_gently(); /* between this line and stop_removes a signal would leave the file */
        file->fd = open(file->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        int os_errno = errno;
        file->is_made = file->is_open = file->fd >= 0;
        if (file->is_made)
            stop_removes(file->temporary_path);
        stop_at_once();
        if (file->is_made)
            return MN_OK;
        if (os_errno != EEXIST)
            return mni_fail_os(err, os_errno, "cannot create");
    }
    return mni_fail(err, MN_ERR_IO, "too many unfinished files are beside it");
}

bool whole_file_is_below(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    int parent_bytes = slash == NULL ? 0 : (int)(slash - path) + 1;
    char parent[PATH_MAX];
    char place[PATH_MAX];
    char resolved[PATH_MAX];

    (void)snprintf(parent, sizeof parent, "%.*s.", parent_bytes, path);
    if (realpath(folder, resolved) == NULL ||
        (realpath(path, place) == NULL && realpath(parent, place) == NULL))
        return false;
    size_t n = strlen(resolved);
    return strncmp(place, resolved, n) == 0 && (place[n] == '/' || place[n] == '\0');
}

mn_status whole_file_begin(struct whole_file *file, const char *path, struct mn_error *err)
{
    mode_t mode;

    *file = (struct whole_file){0};
    mn_status st = find_target(file, path, &mode, err);
    if (st == MN_OK)
        st = create(file, err);
    if (st != MN_OK)
        whole_file_abandon(file);
    else if (mode != 0)
        (void)fchmod(file->fd, mode); /* some file systems keep no permissions */
    return st;
}

static mn_status write_at(const struct whole_file *file, uint64_t offset, const void *data,
                          size_t n_bytes, struct mn_error *err)
{
    const unsigned char *bytes = data;
    size_t n_done = 0;

    while (n_done < n_bytes) {
        ssize_t n = pwrite(file->fd, bytes + n_done, n_bytes - n_done, (off_t)(offset + n_done));
        if (n < 0 && errno != EINTR)
            return mni_fail_os(err, errno, "cannot write");
        if (n > 0)
            n_done += (size_t)n;
    }
    return MN_OK;
}

static mn_status write_pending(struct whole_file *file, struct mn_error *err)
{
    mn_status st =
        write_at(file, file->written_bytes, file->pending.data, file->pending.n_bytes, err);

    if (st != MN_OK)
        return st;
    file->written_bytes += file->pending.n_bytes;
    mni_buf_reset(&file->pending);
    return MN_OK;
}

mn_status whole_file_append(struct whole_file *file, const void *data, size_t n_bytes,
                            struct mn_error *err)
{
    MNI_CHECK(file->is_open);
    if (mni_buf_append(&file->pending, data, n_bytes) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "out of memory");
    return file->pending.n_bytes < PIECE_BYTES ? MN_OK : write_pending(file, err);
}

mn_status whole_file_patch(struct whole_file *file, uint64_t offset, const void *data,
                           size_t n_bytes, struct mn_error *err)
{
    MNI_CHECK(file->is_open);
    mn_status st = write_pending(file, err);
    if (st != MN_OK)
        return st;
    MNI_CHECK(offset <= file->written_bytes && n_bytes <= file->written_bytes - offset);
    return write_at(file, offset, data, n_bytes, err);
}

/* Makes the new name of the file durable. */
static mn_status sync_folder(const struct whole_file *file, struct mn_error *err)
{
    char *slash = strrchr(file->target_path, '/');
    int os_errno = 0;

    if (slash != NULL)
        slash[slash == file->target_path] = '\0'; /* of "/name" the slash stays */
    int fd = open(slash == NULL ? "." : file->target_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        os_errno = errno;
    if (fd >= 0)
        (void)close(fd);
    return os_errno == 0 ? MN_OK : mni_fail_os(err, os_errno, "cannot sync its directory");
}

/* Frees everything; the file stays where it is. */
static void forget(struct whole_file *file)
{
    stop_removes(NULL);
    mni_free(file->target_path);
    mni_free(file->temporary_path);
    mni_buf_done(&file->pending);
    *file = (struct whole_file){0};
}

mn_status whole_file_commit(struct whole_file *file, struct mn_error *err)
{
    MNI_CHECK(file->is_open);
    mn_status st = write_pending(file, err);
    if (st == MN_OK && fsync(file->fd) != 0)
        st = mni_fail_os(err, errno, "cannot sync");
    if (st == MN_OK) {
        file->is_open = false;
        if (close(file->fd) != 0)
            st = mni_fail_os(err, errno, "cannot close");
        stop_gently();
        if (st == MN_OK && rename(file->temporary_path, file->target_path) != 0)
            st = mni_fail_os(err, errno, "cannot put it in its place");
    }
    if (st != MN_OK) {
        whole_file_abandon(file);
        stop_at_once();
        return st;
    }
    st = sync_folder(file, err);
    forget(file);
    return st;
}

void whole_file_abandon(struct whole_file *file)
{
    if (file->is_open)
        (void)close(file->fd);
    if (file->is_made)
        (void)unlink(file->temporary_path);
    forget(file);
}
