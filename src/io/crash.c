/*
 * crash.c - the env of the simulated disk: handles, power, clock.
 *
 * Owns:    the disk (crash_private.h), and handles until they are closed.
 * Threads: one at a time.
 * Fails:   as a disk does, when told to; ends the process when memory is short.
 */
#include "io/crash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/status.h"
#include "io/crash_private.h"

#define FIRST_WALL_US INT64_C(1700000000000000)
#define FIRST_MONO_US INT64_C(1000000)
#define MAP_ALIGN ((size_t)4096)

struct crash_file {
    struct mni_file base;
    struct mni_crash_env *env;     /* borrowed; outlives its handles */
    struct mni_crash_inode *inode; /* shared while the generation is current; else dangling */
    uint64_t generation;
    unsigned flags;
};

/* A copy: what is mapped does not change, and stays when the power goes. */
struct crash_map {
    struct mni_map base;
    struct mni_crash_env *env; /* borrowed; outlives its maps */
    unsigned char *copy;       /* owned */
};

struct crash_dir {
    struct mni_dir base;
    struct mni_crash_env *env;     /* borrowed; outlives its handles */
    struct mni_crash_inode *inode; /* shared while the generation is current; else dangling */
    uint64_t generation;
    bool has_lock;
    enum mni_lock_mode lock_mode;
};

struct mni_crash_env {
    struct mni_env base;
    struct mni_crash_disk disk;
    uint64_t generation; /* counts restarts */
    size_t n_handles;
    uint64_t n_calls;
    uint64_t cut_countdown;       /* 0 = no cut */
    uint64_t fail_sync_countdown; /* 0 = no failure */
    bool is_cut;
    enum mni_crash_step cut_step;
    uint64_t random; /* state of the generator that mni_env_random shows */
    int64_t wall_us;
    int64_t mono_us;
};

static const struct mni_file_ops file_ops;
static const struct mni_dir_ops dir_ops;

/* Power ------------------------------------------------------------------------------------------
 */

enum power {
    POWER_ON,
    POWER_FAILS, /* within this call: it may take effect, pending, but does not succeed */
    POWER_OFF,
};

static enum power begin_call(struct mni_crash_env *env, uint64_t generation,
                             enum mni_crash_step step)
{
    if (env->is_cut || generation != env->generation)
        return POWER_OFF;
    env->n_calls++;
    if (env->cut_countdown == 0 || --env->cut_countdown > 0)
        return POWER_ON;
    env->is_cut = true;
    env->cut_step = step;
    return POWER_FAILS;
}

static mn_status no_power(struct mn_error *err)
{
    return mni_fail_os(err, EIO, "the simulated disk has no power");
}

static bool sync_fails_now(struct mni_crash_env *env)
{
    return env->fail_sync_countdown != 0 && --env->fail_sync_countdown == 0;
}

/* File handles ----------------------------------------------------------------------------------
 */

static struct crash_file *file_of(struct mni_file *base)
{
    MNI_CHECK(base->ops == &file_ops);
    return (struct crash_file *)base;
}

static struct mni_crash_content *content_of(const struct crash_file *file)
{
    return &file->inode->content;
}

static void check_direct(const struct crash_file *file, uint64_t offset, const void *data, size_t n)
{
    if ((file->flags & MNI_OPEN_DIRECT) == 0)
        return;
    MNI_CHECK(offset % MNI_DIRECT_ALIGN == 0);
    MNI_CHECK(n % MNI_DIRECT_ALIGN == 0);
    MNI_CHECK((uintptr_t)data % MNI_DIRECT_ALIGN == 0);
}

static bool is_too_long(uint64_t offset, size_t n)
{
    return offset > MNI_CRASH_FILE_BYTES_MAX || n > MNI_CRASH_FILE_BYTES_MAX - offset;
}

static mn_status file_read(struct mni_file *base, uint64_t offset, void *data, size_t n,
                           size_t *n_read_out, struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    check_direct(file, offset, data, n);
    if (begin_call(file->env, file->generation, MNI_CRASH_READ) != POWER_ON)
        return no_power(err);
    const struct mni_crash_content *content = content_of(file);
    size_t n_read = 0;
    if (offset < content->n_bytes)
        n_read = content->n_bytes - offset < n ? (size_t)(content->n_bytes - offset) : n;
    if (n_read > 0)
        memcpy(data, content->bytes + offset, n_read);
    *n_read_out = n_read;
    return MN_OK;
}

static mn_status file_write(struct mni_file *base, uint64_t offset, const void *data, size_t n,
                            struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    MNI_CHECK((file->flags & MNI_OPEN_WRITE) != 0);
    check_direct(file, offset, data, n);
    enum power power = begin_call(file->env, file->generation, MNI_CRASH_WRITE);
    if (power == POWER_OFF)
        return no_power(err);
    if (is_too_long(offset, n))
        return mni_fail_os(err, EFBIG, "write");
    mni_crash_content_write(content_of(file), &file->env->disk.pool, offset, data, n);
    return power == POWER_ON ? MN_OK : no_power(err);
}

static mn_status file_write_durable(struct mni_file *base, uint64_t offset, const void *data,
                                    size_t n, struct mn_error *err)
{
    struct crash_file *file = file_of(base);
    struct mni_crash_env *env = file->env;

    MNI_CHECK((file->flags & MNI_OPEN_WRITE) != 0);
    check_direct(file, offset, data, n);
    enum power power = begin_call(env, file->generation, MNI_CRASH_WRITE_DURABLE);
    if (power == POWER_OFF)
        return no_power(err);
    struct mni_crash_content *content = content_of(file);
    if (n == 0)
        return power == POWER_ON ? MN_OK : no_power(err);
    MNI_CHECK(!is_too_long(offset, n));
    MNI_CHECK(mni_crash_content_is_settled(content, offset, n));
    bool length_is_lost = content->length_is_lost;
    mni_crash_content_write(content, &env->disk.pool, offset, data, n);
    content->length_is_lost = length_is_lost;
    if (power != POWER_ON)
        return no_power(err);
    if (sync_fails_now(env)) {
        mni_crash_content_fail_sync_range(content, offset, n);
        return mni_fail_os(err, EIO, "durable write");
    }
    mni_crash_content_sync_range(content, &env->disk.pool, offset, n);
    return MN_OK;
}

static mn_status file_sync(struct mni_file *base, struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    if (begin_call(file->env, file->generation, MNI_CRASH_SYNC) != POWER_ON)
        return no_power(err);
    struct mni_crash_content *content = content_of(file);
    if (sync_fails_now(file->env)) {
        mni_crash_content_fail_sync(content);
        return mni_fail_os(err, EIO, "sync");
    }
    mni_crash_content_sync(content, &file->env->disk.pool);
    return MN_OK;
}

static mn_status file_allocate(struct mni_file *base, uint64_t n_bytes, struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    MNI_CHECK((file->flags & MNI_OPEN_WRITE) != 0);
    enum power power = begin_call(file->env, file->generation, MNI_CRASH_ALLOCATE);
    if (power == POWER_OFF)
        return no_power(err);
    if (is_too_long(n_bytes, 0))
        return mni_fail_os(err, ENOSPC, "allocate");
    struct mni_crash_content *content = content_of(file);
    uint64_t longer = n_bytes > content->n_bytes ? n_bytes : content->n_bytes;
    mni_crash_content_resize(content, &file->env->disk.pool, longer);
    return power == POWER_ON ? MN_OK : no_power(err);
}

static mn_status file_truncate(struct mni_file *base, uint64_t n_bytes, struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    MNI_CHECK((file->flags & MNI_OPEN_WRITE) != 0);
    enum power power = begin_call(file->env, file->generation, MNI_CRASH_TRUNCATE);
    if (power == POWER_OFF)
        return no_power(err);
    if (is_too_long(n_bytes, 0))
        return mni_fail_os(err, EFBIG, "truncate");
    mni_crash_content_resize(content_of(file), &file->env->disk.pool, n_bytes);
    return power == POWER_ON ? MN_OK : no_power(err);
}

/* A disk of this kind shares no space between files. */
static mn_status file_clone(struct mni_file *base, struct mni_file *from, struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    (void)from;
    if (begin_call(file->env, file->generation, MNI_CRASH_CLONE) != POWER_ON)
        return no_power(err);
    return mni_fail(err, MN_ERR_UNSUPPORTED, "clone a file");
}

static mn_status file_size(struct mni_file *base, uint64_t *n_bytes_out, struct mn_error *err)
{
    struct crash_file *file = file_of(base);

    if (begin_call(file->env, file->generation, MNI_CRASH_SIZE) != POWER_ON)
        return no_power(err);
    *n_bytes_out = content_of(file)->n_bytes;
    return MN_OK;
}

static void map_will_read(struct mni_map *base, uint64_t offset, uint64_t n)
{
    (void)base;
    (void)offset;
    (void)n;
}

static void map_close(struct mni_map *base)
{
    struct crash_map *map = (struct crash_map *)base;

    map->env->n_handles--;
    free(map->copy);
    free(map);
}

static mn_status file_map(struct mni_file *base, struct mni_map **map_out, struct mn_error *err)
{
    static const struct mni_map_ops map_ops = {.will_read = map_will_read, .close = map_close};
    struct crash_file *file = file_of(base);

    *map_out = NULL;
    if (begin_call(file->env, file->generation, MNI_CRASH_MAP) != POWER_ON)
        return no_power(err);
    const struct mni_crash_content *content = content_of(file);
    struct crash_map *map = mni_crash_must(calloc(1, sizeof *map));
    size_t n = (size_t)content->n_bytes;
    if (n > 0) {
        map->copy =
            mni_crash_must(aligned_alloc(MAP_ALIGN, (n + MAP_ALIGN - 1) & ~(MAP_ALIGN - 1)));
        memcpy(map->copy, content->bytes, n);
    }
    map->base = (struct mni_map){.ops = &map_ops, .bytes = map->copy, .n_bytes = n};
    map->env = file->env;
    file->env->n_handles++;
    *map_out = &map->base;
    return MN_OK;
}

static void file_close(struct mni_file *base)
{
    struct crash_file *file = file_of(base);

    if (file->generation == file->env->generation)
        mni_crash_inode_unref(&file->env->disk, file->inode);
    file->env->n_handles--;
    file->base.ops = NULL;
    free(file);
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

/* Directory handles -----------------------------------------------------------------------------
 */

static struct crash_dir *dir_of(struct mni_dir *base)
{
    MNI_CHECK(base->ops == &dir_ops);
    return (struct crash_dir *)base;
}

static bool is_good_name(const char *name)
{
    size_t n = strnlen(name, MNI_NAME_BYTES_MAX);

    return n > 0 && n < MNI_NAME_BYTES_MAX && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* Handles come from malloc one by one, so that a sanitizer sees the use of a closed one. */
static struct mni_file *new_file_handle(struct mni_crash_env *env, struct mni_crash_inode *inode,
                                        unsigned flags)
{
    struct crash_file *file = mni_crash_must(calloc(1, sizeof *file));

    file->base.ops = &file_ops;
    file->env = env;
    file->inode = inode;
    inode->n_refs++;
    file->generation = env->generation;
    file->flags = flags;
    env->n_handles++;
    return &file->base;
}

static struct mni_dir *new_dir_handle(struct mni_crash_env *env, struct mni_crash_inode *inode)
{
    struct crash_dir *dir = mni_crash_must(calloc(1, sizeof *dir));

    dir->base.ops = &dir_ops;
    dir->env = env;
    dir->inode = inode;
    inode->n_refs++;
    dir->generation = env->generation;
    env->n_handles++;
    return &dir->base;
}

static mn_status dir_open_file(struct mni_dir *base, const char *name, unsigned flags,
                               struct mni_file **file_out, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);
    struct mni_crash_env *env = dir->env;
    bool create = (flags & MNI_OPEN_CREATE) != 0;

    MNI_CHECK(is_good_name(name));
    MNI_CHECK(!create || (flags & MNI_OPEN_WRITE) != 0);
    enum power power =
        begin_call(env, dir->generation, create ? MNI_CRASH_CREATE_FILE : MNI_CRASH_OPEN_FILE);
    if (power == POWER_OFF)
        return no_power(err);
    struct mni_crash_inode *inode = mni_crash_dir_find(dir->inode, name);
    if (inode == NULL && create && !dir->inode->is_removed) {
        inode = mni_crash_inode_new(&env->disk, false);
        mni_crash_dir_move(&env->disk, dir->inode, inode, name);
        create = false;
    }
    if (power != POWER_ON)
        return no_power(err);
    if (inode == NULL)
        return mni_fail_os(err, ENOENT, "%s", name);
    if (create)
        return mni_fail_os(err, EEXIST, "%s", name);
    if (inode->is_dir)
        return mni_fail_os(err, EISDIR, "%s", name);
    *file_out = new_file_handle(env, inode, flags);
    return MN_OK;
}

static mn_status dir_open_dir(struct mni_dir *base, const char *name, bool create,
                              struct mni_dir **dir_out, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);
    struct mni_crash_env *env = dir->env;

    MNI_CHECK(is_good_name(name));
    enum power power = begin_call(env, dir->generation, MNI_CRASH_OPEN_DIR);
    if (power == POWER_OFF)
        return no_power(err);
    struct mni_crash_inode *inode = mni_crash_dir_find(dir->inode, name);
    if (inode == NULL && create && !dir->inode->is_removed) {
        inode = mni_crash_inode_new(&env->disk, true);
        mni_crash_dir_move(&env->disk, dir->inode, inode, name);
    }
    if (power != POWER_ON)
        return no_power(err);
    if (inode == NULL)
        return mni_fail_os(err, ENOENT, "%s", name);
    if (!inode->is_dir)
        return mni_fail_os(err, ENOTDIR, "%s", name);
    *dir_out = new_dir_handle(env, inode);
    return MN_OK;
}

/* Lists a copy, as `each` may change the directory, from a random place on: there is no order. */
static mn_status dir_list(struct mni_dir *base, mni_list_fn *each, void *context,
                          struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);
    mn_status st = MN_OK;

    if (begin_call(dir->env, dir->generation, MNI_CRASH_LIST) != POWER_ON)
        return no_power(err);
    size_t n = dir->inode->now.n;
    if (dir->inode->is_removed)
        return mni_fail_os(err, ENOENT, "list a directory that was removed");
    if (n == 0)
        return MN_OK;
    struct {
        char name[MNI_NAME_BYTES_MAX];
        bool is_dir;
    } *copy = mni_crash_must(malloc(n * sizeof *copy));
    size_t at = (size_t)(mni_crash_random(&dir->env->disk.choices.random) % n);
    for (size_t i = 0; i < n; i++) {
        const struct mni_crash_entry *entry = &dir->inode->now.items[(at + i) % n];
        memcpy(copy[i].name, entry->name, sizeof copy[i].name);
        copy[i].is_dir = entry->inode->is_dir;
    }
    for (size_t i = 0; i < n && st == MN_OK; i++)
        st = each(context, copy[i].name, copy[i].is_dir, err);
    free(copy);
    return st;
}

static mn_status rename_entry(struct crash_dir *dir, const char *from, const char *to,
                              struct mn_error *err)
{
    struct mni_crash_inode *inode = mni_crash_dir_find(dir->inode, from);
    const struct mni_crash_inode *taken = mni_crash_dir_find(dir->inode, to);

    if (inode == NULL)
        return mni_fail_os(err, ENOENT, "rename %s", from);
    if (inode == taken)
        return MN_OK;
    if (taken != NULL && taken->is_dir)
        return mni_fail_os(err, EISDIR, "rename %s to %s", from, to);
    if (taken != NULL && inode->is_dir)
        return mni_fail_os(err, ENOTDIR, "rename %s to %s", from, to);
    mni_crash_dir_move(&dir->env->disk, dir->inode, inode, to);
    return MN_OK;
}

static mn_status dir_rename(struct mni_dir *base, const char *from, const char *to,
                            struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    MNI_CHECK(is_good_name(from));
    MNI_CHECK(is_good_name(to));
    enum power power = begin_call(dir->env, dir->generation, MNI_CRASH_RENAME);
    if (power == POWER_OFF)
        return no_power(err);
    mn_status st = rename_entry(dir, from, to, err);
    return power == POWER_ON ? st : no_power(err);
}

static mn_status dir_unlink(struct mni_dir *base, const char *name, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    MNI_CHECK(is_good_name(name));
    enum power power = begin_call(dir->env, dir->generation, MNI_CRASH_UNLINK);
    if (power == POWER_OFF)
        return no_power(err);
    struct mni_crash_inode *inode = mni_crash_dir_find(dir->inode, name);
    bool is_file = inode != NULL && !inode->is_dir;
    if (is_file)
        mni_crash_dir_move(&dir->env->disk, dir->inode, inode, NULL);
    if (power != POWER_ON)
        return no_power(err);
    if (inode == NULL)
        return mni_fail_os(err, ENOENT, "unlink %s", name);
    return is_file ? MN_OK : mni_fail_os(err, EISDIR, "unlink %s", name);
}

/* A disk of this kind frees space in no time. */
static mn_status dir_remove(struct mni_dir *base, const char *name, mni_free_step_fn *step,
                            void *context, struct mn_error *err)
{
    (void)step;
    (void)context;
    return dir_unlink(base, name, err);
}

static mn_status link_entry(struct crash_dir *dir, const char *name, struct crash_dir *from_dir,
                            const char *from, struct mn_error *err)
{
    struct mni_crash_inode *inode = mni_crash_dir_find(from_dir->inode, from);

    MNI_CHECK(from_dir->inode != dir->inode);
    if (inode == NULL || dir->inode->is_removed)
        return mni_fail_os(err, ENOENT, "link %s", from);
    if (inode->is_dir)
        return mni_fail_os(err, EPERM, "link %s", from);
    if (mni_crash_dir_find(dir->inode, name) != NULL)
        return mni_fail_os(err, EEXIST, "link %s to %s", from, name);
    mni_crash_dir_move(&dir->env->disk, dir->inode, inode, name);
    return MN_OK;
}

static mn_status dir_link(struct mni_dir *base, const char *name, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    MNI_CHECK(is_good_name(name));
    MNI_CHECK(is_good_name(from));
    enum power power = begin_call(dir->env, dir->generation, MNI_CRASH_LINK);
    if (power == POWER_OFF)
        return no_power(err);
    mn_status st = link_entry(dir, name, dir_of(from_dir), from, err);
    return power == POWER_ON ? st : no_power(err);
}

static mn_status move_entry(struct crash_dir *dir, const char *to, struct crash_dir *from_dir,
                            const char *from, struct mn_error *err)
{
    struct mni_crash_inode *inode = mni_crash_dir_find(from_dir->inode, from);
    const struct mni_crash_inode *taken = mni_crash_dir_find(dir->inode, to);

    MNI_CHECK(from_dir->inode != dir->inode);
    if (inode == NULL || dir->inode->is_removed)
        return mni_fail_os(err, ENOENT, "move %s", from);
    MNI_CHECK(!inode->is_dir);
    if (taken == inode)
        return MN_OK; /* two names of one file: POSIX leaves both */
    if (taken != NULL && taken->is_dir)
        return mni_fail_os(err, EISDIR, "move %s to %s", from, to);
    mni_crash_dir_move(&dir->env->disk, dir->inode, inode, to);
    mni_crash_dir_move(&dir->env->disk, from_dir->inode, inode, NULL);
    return MN_OK;
}

static mn_status dir_move(struct mni_dir *base, const char *to, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    MNI_CHECK(is_good_name(to));
    MNI_CHECK(is_good_name(from));
    enum power power = begin_call(dir->env, dir->generation, MNI_CRASH_RENAME);
    if (power == POWER_OFF)
        return no_power(err);
    mn_status st = move_entry(dir, to, dir_of(from_dir), from, err);
    return power == POWER_ON ? st : no_power(err);
}

static mn_status dir_remove_dir(struct mni_dir *base, const char *name, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    MNI_CHECK(is_good_name(name));
    enum power power = begin_call(dir->env, dir->generation, MNI_CRASH_UNLINK);
    if (power == POWER_OFF)
        return no_power(err);
    struct mni_crash_inode *inode = mni_crash_dir_find(dir->inode, name);
    bool is_empty = inode != NULL && inode->is_dir && inode->now.n == 0;
    bool is_dir = inode != NULL && inode->is_dir;
    if (is_empty) {
        inode->is_removed = true;
        mni_crash_dir_move(&dir->env->disk, dir->inode, inode, NULL);
    }
    if (power != POWER_ON)
        return no_power(err);
    if (inode == NULL)
        return mni_fail_os(err, ENOENT, "remove directory %s", name);
    if (!is_dir)
        return mni_fail_os(err, ENOTDIR, "remove directory %s", name);
    return is_empty ? MN_OK : mni_fail(err, MN_EXISTS, "directory %s is not empty", name);
}

static mn_status dir_sync(struct mni_dir *base, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    if (begin_call(dir->env, dir->generation, MNI_CRASH_DIR_SYNC) != POWER_ON)
        return no_power(err);
    if (sync_fails_now(dir->env)) {
        mni_crash_dir_fail_sync(dir->inode);
        return mni_fail_os(err, EIO, "sync of a directory");
    }
    mni_crash_dir_sync(&dir->env->disk, dir->inode);
    return MN_OK;
}

static void drop_lock(struct crash_dir *dir)
{
    if (!dir->has_lock)
        return;
    dir->has_lock = false;
    if (dir->lock_mode == MNI_LOCK_SHARED)
        dir->inode->n_shared_locks--;
    else
        dir->inode->is_locked = false;
}

static void take_lock(struct crash_dir *dir, enum mni_lock_mode mode)
{
    dir->has_lock = true;
    dir->lock_mode = mode;
    if (mode == MNI_LOCK_SHARED)
        dir->inode->n_shared_locks++;
    else
        dir->inode->is_locked = true;
}

static mn_status dir_lock(struct mni_dir *base, enum mni_lock_mode mode, struct mn_error *err)
{
    struct crash_dir *dir = dir_of(base);

    if (begin_call(dir->env, dir->generation, MNI_CRASH_LOCK) != POWER_ON)
        return no_power(err);
    bool had_lock = dir->has_lock;
    drop_lock(dir); /* a second call changes the mode and does not conflict with itself */
    if (dir->inode->is_locked || (mode == MNI_LOCK_EXCLUSIVE && dir->inode->n_shared_locks > 0)) {
        if (had_lock)
            take_lock(dir, dir->lock_mode);
        return mni_fail(err, MN_ERR_IN_USE, "the directory is locked");
    }
    take_lock(dir, mode);
    return MN_OK;
}

static void dir_close(struct mni_dir *base)
{
    struct crash_dir *dir = dir_of(base);

    if (dir->generation == dir->env->generation) {
        drop_lock(dir);
        mni_crash_inode_unref(&dir->env->disk, dir->inode);
    }
    dir->env->n_handles--;
    dir->base.ops = NULL;
    free(dir);
}

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

/* The env ---------------------------------------------------------------------------------------
 */

static struct mni_crash_env *env_of(struct mni_env *base)
{
    return (struct mni_crash_env *)base;
}

static mn_status env_open_dir(struct mni_env *base, const char *path, bool create,
                              struct mni_dir **dir_out, struct mn_error *err)
{
    struct mni_crash_env *env = env_of(base);

    enum power power = begin_call(env, env->generation, MNI_CRASH_OPEN_DIR);
    if (power == POWER_OFF)
        return no_power(err);
    struct mni_crash_root *root = mni_crash_root_find(&env->disk, path);
    if (root == NULL && create)
        root = mni_crash_root_new(&env->disk, path, power != POWER_ON);
    if (power != POWER_ON)
        return no_power(err);
    if (root == NULL)
        return mni_fail_os(err, ENOENT, "%s", path);
    *dir_out = new_dir_handle(env, root->inode);
    return MN_OK;
}

/* There are no links, and no other directory to begin at. */
static mn_status env_real_path(struct mni_env *base, const char *path,
                               char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    size_t n = strlen(path) + 1;

    (void)base;
    if (n > MNI_PATH_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a path of %zu bytes", n - 1);
    memcpy(path_out, path, n);
    return MN_OK;
}

static int64_t env_wall_us(struct mni_env *base)
{
    mni_crash_env_advance_us(env_of(base), 1);
    return env_of(base)->wall_us;
}

static int64_t env_mono_us(struct mni_env *base)
{
    mni_crash_env_advance_us(env_of(base), 1);
    return env_of(base)->mono_us;
}

static mn_status env_random(struct mni_env *base, void *data, size_t n, struct mn_error *err)
{
    struct mni_crash_env *env = env_of(base);
    unsigned char *at = data;

    (void)err;
    while (n > 0) {
        uint64_t r = mni_crash_random(&env->random);
        size_t part = n < sizeof r ? n : sizeof r;
        memcpy(at, &r, part);
        at += part;
        n -= part;
    }
    return MN_OK;
}

static bool env_has_threads(struct mni_env *base)
{
    (void)base;
    return false;
}

static const struct mni_env_ops env_ops = {
    .open_dir = env_open_dir,
    .real_path = env_real_path,
    .wall_us = env_wall_us,
    .mono_us = env_mono_us,
    .random = env_random,
    .has_threads = env_has_threads,
};

mn_status mni_crash_env_new(uint64_t seed, struct mni_crash_env **env_out)
{
    struct mni_crash_env *env = calloc(1, sizeof *env);

    if (env == NULL)
        return MN_ERR_NOMEM;
    env->base.ops = &env_ops;
    env->cut_step = MNI_CRASH_N_STEPS;
    env->disk.choices.random = mni_crash_random(&seed);
    env->random = mni_crash_random(&seed);
    env->wall_us = FIRST_WALL_US;
    env->mono_us = FIRST_MONO_US;
    *env_out = env;
    return MN_OK;
}

void mni_crash_env_free(struct mni_crash_env *env)
{
    if (env == NULL)
        return;
    MNI_CHECK(env->n_handles == 0);
    mni_crash_disk_done(&env->disk);
    free(env);
}

struct mni_env *mni_crash_env_base(struct mni_crash_env *env)
{
    return &env->base;
}

void mni_crash_env_cut_at(struct mni_crash_env *env, uint64_t n)
{
    env->cut_countdown = n;
}

bool mni_crash_env_is_cut(const struct mni_crash_env *env)
{
    return env->is_cut;
}

enum mni_crash_step mni_crash_env_cut_step(const struct mni_crash_env *env)
{
    return env->cut_step;
}

const char *mni_crash_step_name(enum mni_crash_step step)
{
    static const char *const names[] = {
        [MNI_CRASH_OPEN_FILE] = "open_file", [MNI_CRASH_CREATE_FILE] = "create_file",
        [MNI_CRASH_OPEN_DIR] = "open_dir",   [MNI_CRASH_READ] = "read",
        [MNI_CRASH_WRITE] = "write",         [MNI_CRASH_WRITE_DURABLE] = "write_durable",
        [MNI_CRASH_SYNC] = "sync",           [MNI_CRASH_ALLOCATE] = "allocate",
        [MNI_CRASH_TRUNCATE] = "truncate",   [MNI_CRASH_SIZE] = "size",
        [MNI_CRASH_LIST] = "list",           [MNI_CRASH_RENAME] = "rename",
        [MNI_CRASH_UNLINK] = "unlink",       [MNI_CRASH_DIR_SYNC] = "dir_sync",
        [MNI_CRASH_LOCK] = "lock",           [MNI_CRASH_MAP] = "map",
        [MNI_CRASH_LINK] = "link",           [MNI_CRASH_CLONE] = "clone",
        [MNI_CRASH_N_STEPS] = "none",
    };

    MNI_CHECK(step <= MNI_CRASH_N_STEPS);
    return names[step];
}

void mni_crash_env_fail_sync_at(struct mni_crash_env *env, uint64_t n)
{
    env->fail_sync_countdown = n;
}

size_t mni_crash_env_n_pending(const struct mni_crash_env *env)
{
    return mni_crash_disk_n_pending(&env->disk);
}

void mni_crash_env_restart(struct mni_crash_env *env, bool use_mask, uint64_t mask)
{
    struct mni_crash_choices *choices = &env->disk.choices;
    size_t n_pending = use_mask ? mni_crash_disk_n_pending(&env->disk) : 0;

    MNI_CHECK(n_pending <= MNI_CRASH_MASK_BITS);
    choices->use_mask = use_mask;
    choices->mask = mask;
    choices->n_mask_bits_used = 0;
    mni_crash_disk_restart(&env->disk);
    MNI_CHECK(choices->n_mask_bits_used == n_pending);
    env->generation++;
    env->is_cut = false;
    env->cut_step = MNI_CRASH_N_STEPS;
    env->cut_countdown = 0;
    env->fail_sync_countdown = 0;
}

uint64_t mni_crash_env_n_calls(const struct mni_crash_env *env)
{
    return env->n_calls;
}

void mni_crash_env_advance_us(struct mni_crash_env *env, int64_t us)
{
    MNI_CHECK(us >= 0);
    env->wall_us += us;
    env->mono_us += us;
}

void mni_crash_env_set_wall_us(struct mni_crash_env *env, int64_t wall_us)
{
    env->wall_us = wall_us;
}
