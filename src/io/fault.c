/*
 * fault.c - an env that passes calls on and fails the N-th.
 *
 * Owns:    wrappers of the handles of the env below, and the counter.
 * Threads: as env.h says; the counter is atomic, a fault is set while no call runs.
 * Fails:   as told.
 */
#include "io/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/check.h"

/* Memory comes from malloc, not from base/mem.h: a test that fails the N-th allocation of the
 * library must not count those of its instruments. */

struct mni_fault_env {
    struct mni_env base;
    struct mni_env *below; /* borrowed; outlives this env */
    atomic_uint_fast64_t n_calls;
    atomic_uint_fast64_t fail_at; /* 0 = none */
    atomic_int os_errno;
    atomic_bool keep_failing;
    atomic_bool was_hit;
    atomic_uint slow_us;
};

struct fault_dir {
    struct mni_dir base;
    struct mni_fault_env *env; /* borrowed; outlives its handles */
    struct mni_dir *below;     /* owned */
};

struct fault_file {
    struct mni_file base;
    struct mni_fault_env *env; /* borrowed; outlives its handles */
    struct mni_file *below;    /* owned */
    bool is_direct;
    char name[MNI_NAME_BYTES_MAX];
};

static struct fault_file *as_file(struct mni_file *file)
{
    return (struct fault_file *)file;
}

static struct fault_dir *as_dir(struct mni_dir *dir)
{
    return (struct fault_dir *)dir;
}

/* Counts a call. Returns 0, or the errno it is to fail with. */
static int next_fault(struct mni_fault_env *env, bool changes_disk)
{
    uint64_t call = atomic_fetch_add(&env->n_calls, 1) + 1;
    uint64_t fail_at = atomic_load(&env->fail_at);
    unsigned slow_us = atomic_load(&env->slow_us);

    if (changes_disk && slow_us > 0) {
        struct timespec nap = {.tv_sec = slow_us / 1000000, .tv_nsec = slow_us % 1000000 * 1000L};
        (void)nanosleep(&nap, NULL);
    }
    if (fail_at == 0 || call < fail_at)
        return 0;
    if (call > fail_at && !(changes_disk && atomic_load(&env->keep_failing)))
        return 0;
    atomic_store(&env->was_hit, true);
    return atomic_load(&env->os_errno);
}

/* Files ------------------------------------------------------------------------------------------
 */

static mn_status file_read(struct mni_file *file, uint64_t offset, void *data, size_t n,
                           size_t *n_read_out, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, false);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "read %s at %" PRIu64, f->name, offset);
    return mni_file_read(f->below, offset, data, n, n_read_out, err);
}

/* Writes the leading sectors of one block of a direct file: reads the block, changes it, and writes
 * it back, because a direct transfer is never shorter. Nothing when the file ends in the block. */
static mn_status write_sectors_direct(struct mni_file *below, uint64_t offset, const void *data,
                                      size_t n)
{
    unsigned char *block = aligned_alloc(MNI_DIRECT_ALIGN, MNI_DIRECT_ALIGN);
    size_t n_read = 0;

    if (block == NULL)
        return MN_ERR_NOMEM;
    mn_status st = mni_file_read(below, offset, block, MNI_DIRECT_ALIGN, &n_read, NULL);
    if (st == MN_OK && n_read == MNI_DIRECT_ALIGN) {
        memcpy(block, data, n);
        st = mni_file_write(below, offset, block, MNI_DIRECT_ALIGN, NULL);
    }
    free(block);
    return st;
}

/* What a write has done before it fails. Its own failures are of no interest: the write fails
 * anyhow, and "any part" includes nothing. */
static void write_half(struct fault_file *f, uint64_t offset, const void *data, size_t n)
{
    size_t n_half = (size_t)mni_align_down(n / 2, MNI_SECTOR_BYTES);
    size_t n_whole = f->is_direct ? (size_t)mni_align_down(n_half, MNI_DIRECT_ALIGN) : n_half;
    mn_status st = MN_OK;

    if (n_whole > 0)
        st = mni_file_write(f->below, offset, data, n_whole, NULL);
    if (st == MN_OK && n_half > n_whole)
        st = write_sectors_direct(f->below, offset + n_whole, (const char *)data + n_whole,
                                  n_half - n_whole);
    (void)st;
}

static mn_status file_write(struct mni_file *file, uint64_t offset, const void *data, size_t n,
                            struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, true);

    if (os_errno != 0) {
        write_half(f, offset, data, n);
        return mni_fail_os(err, os_errno, "write %s at %" PRIu64, f->name, offset);
    }
    return mni_file_write(f->below, offset, data, n, err);
}

static mn_status file_write_durable(struct mni_file *file, uint64_t offset, const void *data,
                                    size_t n, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, true);

    if (os_errno != 0) {
        write_half(f, offset, data, n);
        return mni_fail_os(err, os_errno, "durable write %s at %" PRIu64, f->name, offset);
    }
    return mni_file_write_durable(f->below, offset, data, n, err);
}

static mn_status file_sync(struct mni_file *file, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "sync %s", f->name);
    return mni_file_sync(f->below, err);
}

static mn_status file_allocate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, true);

    if (os_errno == EOPNOTSUPP) /* as the real one answers it */
        return mni_fail(err, MN_ERR_UNSUPPORTED, "allocate %s", f->name);
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "allocate %" PRIu64 " bytes for %s", n_bytes, f->name);
    return mni_file_allocate(f->below, n_bytes, err);
}

static mn_status file_truncate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "truncate %s to %" PRIu64, f->name, n_bytes);
    return mni_file_truncate(f->below, n_bytes, err);
}

static mn_status file_clone(struct mni_file *file, struct mni_file *from, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, true);

    if (os_errno == EOPNOTSUPP) /* as the real one answers it */
        return mni_fail(err, MN_ERR_UNSUPPORTED, "clone %s to %s", as_file(from)->name, f->name);
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "clone %s to %s", as_file(from)->name, f->name);
    return mni_file_clone(f->below, as_file(from)->below, err);
}

static mn_status file_size(struct mni_file *file, uint64_t *n_bytes_out, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, false);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "size of %s", f->name);
    return mni_file_size(f->below, n_bytes_out, err);
}

static mn_status file_map(struct mni_file *file, struct mni_map **map_out, struct mn_error *err)
{
    struct fault_file *f = as_file(file);
    int os_errno = next_fault(f->env, false);

    *map_out = NULL;
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "map %s", f->name);
    return mni_file_map(f->below, map_out, err);
}

static void file_close(struct mni_file *file)
{
    struct fault_file *f = as_file(file);

    mni_file_close(f->below);
    free(f);
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

/* Directories ------------------------------------------------------------------------------------
 */

static mn_status dir_open_file(struct mni_dir *dir, const char *name, unsigned flags,
                               struct mni_file **file_out, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, (flags & MNI_OPEN_CREATE) != 0);

    *file_out = NULL;
    if (os_errno == EINVAL && (flags & MNI_OPEN_DIRECT) != 0) /* as the real one answers it */
        return mni_fail(err, MN_ERR_UNSUPPORTED, "open %s: no direct transfers here", name);
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "open %s", name);
    struct fault_file *f = calloc(1, sizeof *f);
    if (f == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of %s", name);
    f->base.ops = &file_ops;
    f->env = d->env;
    f->is_direct = (flags & MNI_OPEN_DIRECT) != 0;
    (void)strncpy(f->name, name, sizeof f->name - 1);
    mn_status st = mni_dir_open_file(d->below, name, flags, &f->below, err);
    if (st != MN_OK) {
        file_close(&f->base);
        return st;
    }
    *file_out = &f->base;
    return MN_OK;
}

static mn_status dir_list(struct mni_dir *dir, mni_list_fn *each, void *context,
                          struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, false);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "list directory");
    return mni_dir_list(d->below, each, context, err);
}

static mn_status dir_rename(struct mni_dir *dir, const char *from, const char *to,
                            struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "rename %s to %s", from, to);
    return mni_dir_rename(d->below, from, to, err);
}

static mn_status dir_unlink(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "unlink %s", name);
    return mni_dir_unlink(d->below, name, err);
}

static mn_status dir_remove(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                            void *context, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "unlink %s", name);
    return mni_dir_remove(d->below, name, step, context, err);
}

static mn_status dir_link(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno == EXDEV) /* as the real one answers it */
        return mni_fail(err, MN_ERR_UNSUPPORTED, "link %s to %s", from, name);
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "link %s to %s", from, name);
    return mni_dir_link(d->below, name, as_dir(from_dir)->below, from, err);
}

static mn_status dir_move(struct mni_dir *dir, const char *to, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno == EXDEV) /* as the real one answers it */
        return mni_fail(err, MN_ERR_UNSUPPORTED, "move %s to %s", from, to);
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "move %s to %s", from, to);
    return mni_dir_move(d->below, to, as_dir(from_dir)->below, from, err);
}

static mn_status dir_remove_dir(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "remove directory %s", name);
    return mni_dir_remove_dir(d->below, name, err);
}

static mn_status dir_sync(struct mni_dir *dir, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, true);

    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "sync directory");
    return mni_dir_sync(d->below, err);
}

static mn_status dir_lock(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err)
{
    struct fault_dir *d = as_dir(dir);
    int os_errno = next_fault(d->env, false);

    if (os_errno == EWOULDBLOCK) /* as the real one answers it */
        return mni_fail(err, MN_ERR_IN_USE, "lock directory");
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "lock directory");
    return mni_dir_lock(d->below, mode, err);
}

static void dir_close(struct mni_dir *dir)
{
    struct fault_dir *d = as_dir(dir);

    mni_dir_close(d->below);
    free(d);
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

/* `parent` is NULL for a path of the user. */
static mn_status open_dir(struct mni_fault_env *env, struct fault_dir *parent, const char *name,
                          bool create, struct mni_dir **dir_out, struct mn_error *err)
{
    int os_errno = next_fault(env, create);

    *dir_out = NULL;
    if (os_errno != 0)
        return mni_fail_os(err, os_errno, "open directory %s", name);
    struct fault_dir *d = calloc(1, sizeof *d);
    if (d == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a directory");
    d->base.ops = &dir_ops;
    d->env = env;
    mn_status st = parent != NULL ? mni_dir_open_dir(parent->below, name, create, &d->below, err)
                                  : mni_env_open_dir(env->below, name, create, &d->below, err);
    if (st != MN_OK) {
        dir_close(&d->base);
        return st;
    }
    *dir_out = &d->base;
    return MN_OK;
}

static mn_status dir_open_dir(struct mni_dir *dir, const char *name, bool create,
                              struct mni_dir **dir_out, struct mn_error *err)
{
    return open_dir(as_dir(dir)->env, as_dir(dir), name, create, dir_out, err);
}

/* The environment --------------------------------------------------------------------------------
 */

static struct mni_fault_env *as_env(struct mni_env *env)
{
    return (struct mni_fault_env *)env;
}

static mn_status env_open_dir(struct mni_env *env, const char *path, bool create,
                              struct mni_dir **dir_out, struct mn_error *err)
{
    return open_dir(as_env(env), NULL, path, create, dir_out, err);
}

static mn_status env_real_path(struct mni_env *env, const char *path,
                               char path_out[MNI_PATH_BYTES_MAX], struct mn_error *err)
{
    return mni_env_real_path(as_env(env)->below, path, path_out, err);
}

static int64_t env_wall_us(struct mni_env *env)
{
    return mni_env_wall_us(as_env(env)->below);
}

static int64_t env_mono_us(struct mni_env *env)
{
    return mni_env_mono_us(as_env(env)->below);
}

static mn_status env_random(struct mni_env *env, void *data, size_t n, struct mn_error *err)
{
    return mni_env_random(as_env(env)->below, data, n, err);
}

static bool env_has_threads(struct mni_env *env)
{
    return mni_env_has_threads(as_env(env)->below);
}

static const char *env_variable(struct mni_env *env, const char *name)
{
    return mni_env_variable(as_env(env)->below, name);
}

mn_status mni_fault_env_new(struct mni_env *below, struct mni_fault_env **env_out)
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
    struct mni_fault_env *env = calloc(1, sizeof *env);

    *env_out = env;
    if (env == NULL)
        return MN_ERR_NOMEM;
    env->base.ops = &ops;
    env->below = below;
    return MN_OK;
}

void mni_fault_env_free(struct mni_fault_env *env)
{
    free(env);
}

struct mni_env *mni_fault_env_base(struct mni_fault_env *env)
{
    return &env->base;
}

void mni_fault_env_fail_at(struct mni_fault_env *env, uint64_t n, int os_errno, bool keep_failing)
{
    MNI_CHECK(n == 0 || os_errno != 0);
    atomic_store(&env->fail_at, 0);
    atomic_store(&env->n_calls, 0);
    atomic_store(&env->was_hit, false);
    atomic_store(&env->os_errno, os_errno);
    atomic_store(&env->keep_failing, keep_failing);
    atomic_store(&env->fail_at, n);
}

bool mni_fault_env_was_hit(const struct mni_fault_env *env)
{
    return atomic_load(&env->was_hit);
}

void mni_fault_env_slow_down(struct mni_fault_env *env, unsigned us)
{
    atomic_store(&env->slow_us, us);
}

uint64_t mni_fault_env_n_calls(const struct mni_fault_env *env)
{
    return atomic_load(&env->n_calls);
}
