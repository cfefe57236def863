/*
 * env.h - the world outside: directories, files, clock, random numbers, waiting.
 *
 * Everything above this room reaches the operating system through a `struct mni_env`, so that a
 * test can put another world in its place or in between:
 *
 *     posix.h   the real one
 *     crash.h   an in-memory disk that can lose power at any call
 *     fault.h   passes calls on, and fails the N-th
 *     record.h  passes calls on, and notes them
 *
 * Names, never paths: a directory handle is opened once and everything in it is reached relative to
 * that handle. When the directory is removed or moved under us, calls fail or follow the move; they
 * never create a second one by name. A name is 1 to 63 printable ASCII characters without space
 * and '/', and not "." or ".."; any other is MN_ERR_INVALID. Listing shows every entry there is,
 * also those whose names are not ours.
 *
 * Statuses: a failed system call maps to MN_NOT_FOUND (ENOENT), MN_EXISTS (EEXIST), MN_ERR_ACCESS
 * (EACCES, EPERM), MN_ERR_READ_ONLY (EROFS), MN_ERR_NO_SPACE (ENOSPC, EDQUOT), MN_ERR_NOMEM
 * (ENOMEM), MN_ERR_IN_USE (a lock that is held), MN_ERR_UNSUPPORTED (where a call names it) or
 * MN_ERR_IO, with errno in `err`. MN_NOT_FOUND also answers a call, creating included, on a
 * directory that was removed.
 *
 * Threads: an env may be used by many threads. Different files and directories may be used at the
 * same time. Calls on one handle of a file are the caller's to order, except file_read, which any
 * number of threads may call at once, also beside file_write elsewhere in the file. On one handle
 * of a directory any number of threads may make any calls at once, except lock and close; who
 * touches the same name is theirs to order. A map may be read and hinted at by any number of
 * threads.
 */
#ifndef MNI_IO_ENV_H
#define MNI_IO_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct mni_env;
struct mni_dir;
struct mni_file;
struct mni_map;

enum mni_open_flags {
    MNI_OPEN_READ = 0,        /* for reading only; the file must exist */
    MNI_OPEN_WRITE = 1 << 0,  /* for reading and writing */
    MNI_OPEN_CREATE = 1 << 1, /* with WRITE: make the file; MN_EXISTS if there is one */
    MNI_OPEN_DIRECT = 1 << 2, /* past the page cache; MN_ERR_UNSUPPORTED where that is not possible.
                                 Offsets, lengths and addresses of all transfers are then multiples
                                 of MNI_DIRECT_ALIGN. */
};

enum {
    MNI_DIRECT_ALIGN = 4096,
    MNI_SECTOR_BYTES = 512,    /* written whole or not at all, also when power fails */
    MNI_NAME_BYTES_MAX = 64,   /* of a file name, its NUL included */
    MNI_PATH_BYTES_MAX = 4096, /* of a path of the user, likewise */
};

enum mni_lock_mode { MNI_LOCK_SHARED, MNI_LOCK_EXCLUSIVE };

struct mni_file_ops {
    /* Reads up to `n` bytes at `offset`. `n_read_out` is less than `n` only at the end of file. */
    mn_status (*read)(struct mni_file *file, uint64_t offset, void *data, size_t n,
                      size_t *n_read_out, struct mn_error *err);
    /* Writes all `n` bytes (short writes and EINTR are finished inside). After an error any part of
     * the range may have been written. Not durable until `sync`. */
    mn_status (*write)(struct mni_file *file, uint64_t offset, const void *data, size_t n,
                       struct mn_error *err);
    /* The same, and this range (no other) is durable when it returns. Only into space that an
     * earlier write covered and a sync made durable: no metadata is synced. */
    mn_status (*write_durable)(struct mni_file *file, uint64_t offset, const void *data, size_t n,
                               struct mn_error *err);
    /* fdatasync: everything written to the file, by any handle, and its size are durable. After a
     * failure nothing may be assumed about earlier writes, and calling again proves nothing. A file
     * that has no name any more cannot be synced: MN_ERR_IO; `write_durable` likewise. */
    mn_status (*sync)(struct mni_file *file, struct mn_error *err);
    /* Reserves disk space for bytes [0, n_bytes) and makes the file at least that long, what is new
     * reading as zeroes. MN_ERR_UNSUPPORTED where the file system cannot. Durable after `sync`. */
    mn_status (*allocate)(struct mni_file *file, uint64_t n_bytes, struct mn_error *err);
    mn_status (*truncate)(struct mni_file *file, uint64_t n_bytes, struct mn_error *err);
    /* Gives this file the content of another one, sharing its space until one of them is written
     * to. `from` is a handle of the same env. MN_ERR_UNSUPPORTED where the file system cannot: not
     * between these two. Durable after `sync`. */
    mn_status (*clone)(struct mni_file *file, struct mni_file *from, struct mn_error *err);
    mn_status (*size)(struct mni_file *file, uint64_t *n_bytes_out, struct mn_error *err);
    /* Maps the whole file for reading, as long as it is now. Only for files that nobody changes any
     * more: whether a map shows later writes is undefined, and a file that gets shorter under its
     * map ends the process. The map outlives this handle and the name of the file. */
    mn_status (*map)(struct mni_file *file, struct mni_map **map_out, struct mn_error *err);
    void (*close)(struct mni_file *file); /* frees the handle; syncs nothing */
};

struct mni_file {
    const struct mni_file_ops *ops;
};

struct mni_map_ops {
    /* A hint that the range will be read soon, from its beginning to its end. Without it a map that
     * memory may not hold fetches no more than the single places that are read. */
    void (*will_read)(struct mni_map *map, uint64_t offset, uint64_t n);
    void (*close)(struct mni_map *map);
};

/* The first byte stands at a multiple of 4096; `bytes` is NULL when there are none. */
struct mni_map {
    const struct mni_map_ops *ops;
    const unsigned char *bytes;
    uint64_t n_bytes;
};

/* Called before so many bytes of a file are given back to the file system; may wait. */
typedef void mni_free_step_fn(void *context, uint64_t n_bytes);

/* Called once per entry; a status other than MN_OK ends the listing and is returned. */
typedef mn_status mni_list_fn(void *context, const char *name, bool is_dir, struct mn_error *err);

struct mni_dir_ops {
    mn_status (*open_file)(struct mni_dir *dir, const char *name, unsigned flags,
                           struct mni_file **file_out, struct mn_error *err);
    /* Opens a directory inside this one; with `create`, makes it first if it is missing. Its name
     * is durable after `sync` of this one. */
    mn_status (*open_dir)(struct mni_dir *dir, const char *name, bool create,
                          struct mni_dir **dir_out, struct mn_error *err);
    /* All entries but "." and "..", in no order. */
    mn_status (*list)(struct mni_dir *dir, mni_list_fn *each, void *context, struct mn_error *err);
    mn_status (*rename)(struct mni_dir *dir, const char *from, const char *to,
                        struct mn_error *err); /* replaces `to`, atomically */
    mn_status (*unlink)(struct mni_dir *dir, const char *name, struct mn_error *err);
    /* The same, and gives the space of a file that has no other name back in steps: all of it at
     * once holds up whoever writes meanwhile. Nobody has the file mapped. */
    mn_status (*remove)(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                        void *context, struct mn_error *err);
    /* Gives a file of another directory a name in this one too: `from_dir` is a handle of the same
     * env on another directory. MN_NOT_FOUND: no such file there. MN_EXISTS: the name is taken.
     * MN_ERR_UNSUPPORTED: not possible between these two, or the file has too many names. Durable
     * after `sync` of this one. */
    mn_status (*link)(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                      const char *from, struct mn_error *err);
    /* Moves a file of another directory here, where it replaces `to`, atomically: `from_dir` is as
     * for link. MN_NOT_FOUND: no such file there. MN_ERR_UNSUPPORTED: not possible between these
     * two. The new name is durable after `sync` of this one, that the old one is gone after `sync`
     * of the other: whoever syncs only the other may lose both. */
    mn_status (*move)(struct mni_dir *dir, const char *to, struct mni_dir *from_dir,
                      const char *from, struct mn_error *err);
    /* Removes an empty directory. MN_EXISTS: it is not empty. */
    mn_status (*remove_dir)(struct mni_dir *dir, const char *name, struct mn_error *err);
    /* fsync of the directory: its entries are durable. */
    mn_status (*sync)(struct mni_dir *dir, struct mn_error *err);
    /* Advisory lock on the directory itself, held until close. MN_ERR_IN_USE if it is held in a
     * conflicting mode, by another handle of this process too. */
    mn_status (*lock)(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err);
    void (*close)(struct mni_dir *dir); /* drops the lock and frees the handle */
};

struct mni_dir {
    const struct mni_dir_ops *ops;
};

struct mni_env_ops {
    /* Takes a path of the user, as the next one does. With `create`, makes the last component of
     * the path if it is missing, and syncs its parent directory in any case: whoever made it may
     * have died before. */
    mn_status (*open_dir)(struct mni_env *env, const char *path, bool create,
                          struct mni_dir **dir_out, struct mn_error *err);
    /* The path of a directory from the root on, without links: it means the same after the process
     * has gone to another directory. MN_ERR_LIMIT: it is too long. */
    mn_status (*real_path)(struct mni_env *env, const char *path, char path_out[MNI_PATH_BYTES_MAX],
                           struct mn_error *err);
    int64_t (*wall_us)(struct mni_env *env); /* Unix time in microseconds; may jump */
    int64_t (*mono_us)(struct mni_env *env); /* never goes back; origin unknown */
    mn_status (*random)(struct mni_env *env, void *data, size_t n, struct mn_error *err);
    /* Whether background threads may be started. A simulated world says no; whoever would start
     * one offers a tick function that the test calls instead. */
    bool (*has_threads)(struct mni_env *env);
    /* A variable of the process's environment; NULL when it is not set, and in a program that runs
     * with more rights than its caller. A simulated world has none (the operation may be NULL).
     * Borrowed: until the program sets the variable. */
    const char *(*variable)(struct mni_env *env, const char *name);
};

struct mni_env {
    const struct mni_env_ops *ops;
};

/* Thin callers, so that code above reads as verbs. Must-use where they can fail. */
#define MNI_IO_CALL static inline MN_MUST_USE mn_status

MNI_IO_CALL mni_file_read(struct mni_file *file, uint64_t offset, void *data, size_t n,
                          size_t *n_read_out, struct mn_error *err)
{
    return file->ops->read(file, offset, data, n, n_read_out, err);
}

MNI_IO_CALL mni_file_write(struct mni_file *file, uint64_t offset, const void *data, size_t n,
                           struct mn_error *err)
{
    return file->ops->write(file, offset, data, n, err);
}

MNI_IO_CALL mni_file_write_durable(struct mni_file *file, uint64_t offset, const void *data,
                                   size_t n, struct mn_error *err)
{
    return file->ops->write_durable(file, offset, data, n, err);
}

MNI_IO_CALL mni_file_sync(struct mni_file *file, struct mn_error *err)
{
    return file->ops->sync(file, err);
}

MNI_IO_CALL mni_file_allocate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    return file->ops->allocate(file, n_bytes, err);
}

MNI_IO_CALL mni_file_truncate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    return file->ops->truncate(file, n_bytes, err);
}

MNI_IO_CALL mni_file_clone(struct mni_file *file, struct mni_file *from, struct mn_error *err)
{
    return file->ops->clone(file, from, err);
}

MNI_IO_CALL mni_file_size(struct mni_file *file, uint64_t *n_bytes_out, struct mn_error *err)
{
    return file->ops->size(file, n_bytes_out, err);
}

MNI_IO_CALL mni_file_map(struct mni_file *file, struct mni_map **map_out, struct mn_error *err)
{
    return file->ops->map(file, map_out, err);
}

static inline void mni_map_will_read(struct mni_map *map, uint64_t offset, uint64_t n)
{
    map->ops->will_read(map, offset, n);
}

static inline void mni_map_close(struct mni_map *map)
{
    if (map != NULL)
        map->ops->close(map);
}

static inline void mni_file_close(struct mni_file *file)
{
    if (file != NULL)
        file->ops->close(file);
}

MNI_IO_CALL mni_dir_open_file(struct mni_dir *dir, const char *name, unsigned flags,
                              struct mni_file **file_out, struct mn_error *err)
{
    return dir->ops->open_file(dir, name, flags, file_out, err);
}

MNI_IO_CALL mni_dir_open_dir(struct mni_dir *dir, const char *name, bool create,
                             struct mni_dir **dir_out, struct mn_error *err)
{
    return dir->ops->open_dir(dir, name, create, dir_out, err);
}

MNI_IO_CALL mni_dir_list(struct mni_dir *dir, mni_list_fn *each, void *context,
                         struct mn_error *err)
{
    return dir->ops->list(dir, each, context, err);
}

MNI_IO_CALL mni_dir_rename(struct mni_dir *dir, const char *from, const char *to,
                           struct mn_error *err)
{
    return dir->ops->rename(dir, from, to, err);
}

MNI_IO_CALL mni_dir_unlink(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    return dir->ops->unlink(dir, name, err);
}

MNI_IO_CALL mni_dir_remove(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                           void *context, struct mn_error *err)
{
    return dir->ops->remove(dir, name, step, context, err);
}

MNI_IO_CALL mni_dir_link(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                         const char *from, struct mn_error *err)
{
    return dir->ops->link(dir, name, from_dir, from, err);
}

MNI_IO_CALL mni_dir_move(struct mni_dir *dir, const char *to, struct mni_dir *from_dir,
                         const char *from, struct mn_error *err)
{
    return dir->ops->move(dir, to, from_dir, from, err);
}

MNI_IO_CALL mni_dir_remove_dir(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    return dir->ops->remove_dir(dir, name, err);
}

MNI_IO_CALL mni_dir_sync(struct mni_dir *dir, struct mn_error *err)
{
    return dir->ops->sync(dir, err);
}

MNI_IO_CALL mni_dir_lock(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err)
{
    return dir->ops->lock(dir, mode, err);
}

static inline void mni_dir_close(struct mni_dir *dir)
{
    if (dir != NULL)
        dir->ops->close(dir);
}

MNI_IO_CALL mni_env_open_dir(struct mni_env *env, const char *path, bool create,
                             struct mni_dir **dir_out, struct mn_error *err)
{
    return env->ops->open_dir(env, path, create, dir_out, err);
}

MNI_IO_CALL mni_env_real_path(struct mni_env *env, const char *path,
                              char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    return env->ops->real_path(env, path, path_out, err);
}

static inline int64_t mni_env_wall_us(struct mni_env *env)
{
    return env->ops->wall_us(env);
}

static inline int64_t mni_env_mono_us(struct mni_env *env)
{
    return env->ops->mono_us(env);
}

MNI_IO_CALL mni_env_random(struct mni_env *env, void *data, size_t n, struct mn_error *err)
{
    return env->ops->random(env, data, n, err);
}

static inline bool mni_env_has_threads(struct mni_env *env)
{
    return env->ops->has_threads(env);
}

static inline const char *mni_env_variable(struct mni_env *env, const char *name)
{
    return env->ops->variable == NULL ? NULL : env->ops->variable(env, name);
}

#undef MNI_IO_CALL

#endif
