/*
 * record.c - an env that passes calls on and keeps a trace of them.
 *
 * Owns:    wrappers of the handles of the env below, and the trace.
 * Threads: as env.h says; a mutex orders the lines. A line is written when its call has returned.
 * Fails:   as the env below; a trace that finds no memory ends the test process.
 */
#include "io/record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "io/thread.h"

/* Memory comes from malloc, not from base/mem.h: a test that fails the N-th allocation of the
 * library must not count those of its instruments. */

enum { LINE_BYTES_MAX = 512, TRACE_BYTES_MIN = 4096 };

struct mni_record_env {
    struct mni_env base;
    struct mni_env *below;  /* borrowed; outlives this env */
    struct mni_mutex mutex; /* guards the trace */
    char *trace;            /* owned; NUL-terminated */
    size_t trace_bytes;     /* without the NUL */
    size_t capacity_bytes;
};

struct record_dir {
    struct mni_dir base;
    struct mni_record_env *env; /* borrowed; outlives its handles */
    struct mni_dir *below;      /* owned */
    char name[MNI_NAME_BYTES_MAX];
};

struct record_file {
    struct mni_file base;
    struct mni_record_env *env; /* borrowed; outlives its handles */
    struct mni_file *below;     /* owned */
    char name[MNI_NAME_BYTES_MAX];
};

struct record_map {
    struct mni_map base;
    struct mni_record_env *env; /* borrowed; outlives its maps */
    struct mni_map *below;      /* owned */
    char name[MNI_NAME_BYTES_MAX];
};

static struct record_file *as_file(struct mni_file *file)
{
    return (struct record_file *)file;
}

static struct record_dir *as_dir(struct mni_dir *dir)
{
    return (struct record_dir *)dir;
}

static void append_to_trace(struct mni_record_env *env, const char *text)
{
    size_t n = strlen(text);

    mni_mutex_lock(&env->mutex);
    if (env->trace_bytes + n + 1 > env->capacity_bytes) {
        size_t capacity_bytes = 2 * env->capacity_bytes;
        char *trace = realloc(env->trace, capacity_bytes);
        MNI_CHECK(trace != NULL);
        env->trace = trace;
        env->capacity_bytes = capacity_bytes;
    }
    memcpy(env->trace + env->trace_bytes, text, n + 1);
    env->trace_bytes += n;
    mni_mutex_unlock(&env->mutex);
}

/* Adds the line of a call and passes its status through. */
static mn_status note(struct mni_record_env *env, mn_status status, const char *format, ...)
    MN_PRINTF(3, 4);

static mn_status note(struct mni_record_env *env, mn_status status, const char *format, ...)
{
    char call[LINE_BYTES_MAX / 2];
    char line[LINE_BYTES_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(call, sizeof call, format, args);
    va_end(args);
    (void)snprintf(line, sizeof line, "%s %s\n", call,
                   status == MN_OK ? "ok" : mn_status_name(status));
    append_to_trace(env, line);
    return status;
}

/* Files ------------------------------------------------------------------------------------------
 */

static mn_status file_read(struct mni_file *file, uint64_t offset, void *data, size_t n,
                           size_t *n_read_out, struct mn_error *err)
{
    struct record_file *f = as_file(file);
    mn_status st = mni_file_read(f->below, offset, data, n, n_read_out, err);

    return note(f->env, st, "read %s %" PRIu64 " %zu", f->name, offset, n);
}

static mn_status file_write(struct mni_file *file, uint64_t offset, const void *data, size_t n,
                            struct mn_error *err)
{
    struct record_file *f = as_file(file);
    mn_status st = mni_file_write(f->below, offset, data, n, err);

    return note(f->env, st, "write %s %" PRIu64 " %zu", f->name, offset, n);
}

static mn_status file_write_durable(struct mni_file *file, uint64_t offset, const void *data,
                                    size_t n, struct mn_error *err)
{
    struct record_file *f = as_file(file);
    mn_status st = mni_file_write_durable(f->below, offset, data, n, err);

    return note(f->env, st, "write_durable %s %" PRIu64 " %zu", f->name, offset, n);
}

static mn_status file_sync(struct mni_file *file, struct mn_error *err)
{
    struct record_file *f = as_file(file);

    return note(f->env, mni_file_sync(f->below, err), "sync %s", f->name);
}

static mn_status file_allocate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    struct record_file *f = as_file(file);
    mn_status st = mni_file_allocate(f->below, n_bytes, err);

    return note(f->env, st, "allocate %s %" PRIu64, f->name, n_bytes);
}

static mn_status file_truncate(struct mni_file *file, uint64_t n_bytes, struct mn_error *err)
{
    struct record_file *f = as_file(file);
    mn_status st = mni_file_truncate(f->below, n_bytes, err);

    return note(f->env, st, "truncate %s %" PRIu64, f->name, n_bytes);
}

static mn_status file_clone(struct mni_file *file, struct mni_file *from, struct mn_error *err)
{
    struct record_file *f = as_file(file);
    mn_status st = mni_file_clone(f->below, as_file(from)->below, err);

    return note(f->env, st, "clone %s from %s", f->name, as_file(from)->name);
}

static mn_status file_size(struct mni_file *file, uint64_t *n_bytes_out, struct mn_error *err)
{
    struct record_file *f = as_file(file);

    return note(f->env, mni_file_size(f->below, n_bytes_out, err), "size %s", f->name);
}

static void map_will_read(struct mni_map *base, uint64_t offset, uint64_t n)
{
    struct record_map *map = (struct record_map *)base;

    mni_map_will_read(map->below, offset, n);
    (void)note(map->env, MN_OK, "will_read %s %" PRIu64 " %" PRIu64, map->name, offset, n);
}

static void map_close(struct mni_map *base)
{
    struct record_map *map = (struct record_map *)base;

    (void)note(map->env, MN_OK, "unmap %s", map->name);
    mni_map_close(map->below);
    free(map);
}

static mn_status file_map(struct mni_file *file, struct mni_map **map_out, struct mn_error *err)
{
    static const struct mni_map_ops map_ops = {.will_read = map_will_read, .close = map_close};
    struct record_file *f = as_file(file);
    struct record_map *map = calloc(1, sizeof *map);

    *map_out = NULL;
    if (map == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "map of %s", f->name);
    mn_status st = mni_file_map(f->below, &map->below, err);
    (void)note(f->env, st, "map %s", f->name);
    if (st != MN_OK) {
        free(map);
        return st;
    }
    map->base = *map->below;
    map->base.ops = &map_ops;
    map->env = f->env;
    memcpy(map->name, f->name, sizeof map->name);
    *map_out = &map->base;
    return MN_OK;
}

static void free_file(struct record_file *f)
{
    mni_file_close(f->below);
    free(f);
}

static void file_close(struct mni_file *file)
{
    struct record_file *f = as_file(file);

    (void)note(f->env, MN_OK, "close %s", f->name);
    free_file(f);
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
    struct record_dir *d = as_dir(dir);
    struct record_file *f = calloc(1, sizeof *f);

    *file_out = NULL;
    if (f == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of %s", name);
    f->base.ops = &file_ops;
    f->env = d->env;
    (void)strncpy(f->name, name, sizeof f->name - 1);
    mn_status st = mni_dir_open_file(d->below, name, flags, &f->below, err);
    (void)note(d->env, st, "open %s%s%s%s", name, (flags & MNI_OPEN_WRITE) != 0 ? " write" : "",
               (flags & MNI_OPEN_CREATE) != 0 ? " create" : "",
               (flags & MNI_OPEN_DIRECT) != 0 ? " direct" : "");
    if (st != MN_OK) {
        free_file(f);
        return st;
    }
    *file_out = &f->base;
    return MN_OK;
}

static mn_status dir_list(struct mni_dir *dir, mni_list_fn *each, void *context,
                          struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);

    return note(d->env, mni_dir_list(d->below, each, context, err), "list %s", d->name);
}

static mn_status dir_rename(struct mni_dir *dir, const char *from, const char *to,
                            struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);

    return note(d->env, mni_dir_rename(d->below, from, to, err), "rename %s %s", from, to);
}

static mn_status dir_unlink(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);

    return note(d->env, mni_dir_unlink(d->below, name, err), "unlink %s", name);
}

static mn_status dir_remove(struct mni_dir *dir, const char *name, mni_free_step_fn *step,
                            void *context, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);

    return note(d->env, mni_dir_remove(d->below, name, step, context, err), "remove %s", name);
}

static mn_status dir_link(struct mni_dir *dir, const char *name, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);
    mn_status st = mni_dir_link(d->below, name, as_dir(from_dir)->below, from, err);

    return note(d->env, st, "link %s from %s", name, from);
}

static mn_status dir_move(struct mni_dir *dir, const char *to, struct mni_dir *from_dir,
                          const char *from, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);
    mn_status st = mni_dir_move(d->below, to, as_dir(from_dir)->below, from, err);

    return note(d->env, st, "move %s from %s", to, from);
}

static mn_status dir_remove_dir(struct mni_dir *dir, const char *name, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);

    return note(d->env, mni_dir_remove_dir(d->below, name, err), "remove_dir %s", name);
}

static mn_status dir_sync(struct mni_dir *dir, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);

    return note(d->env, mni_dir_sync(d->below, err), "sync_dir %s", d->name);
}

static mn_status dir_lock(struct mni_dir *dir, enum mni_lock_mode mode, struct mn_error *err)
{
    struct record_dir *d = as_dir(dir);
    mn_status st = mni_dir_lock(d->below, mode, err);

    return note(d->env, st, "lock %s %s", d->name,
                mode == MNI_LOCK_EXCLUSIVE ? "exclusive" : "shared");
}

static void free_dir(struct record_dir *d)
{
    mni_dir_close(d->below);
    free(d);
}

static void dir_close(struct mni_dir *dir)
{
    struct record_dir *d = as_dir(dir);

    (void)note(d->env, MN_OK, "close_dir %s", d->name);
    free_dir(d);
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

/* The part of a path after its last slash: traces do not depend on where tests run. */
static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* `parent` is NULL for a path of the user. */
static mn_status open_dir(struct mni_record_env *env, struct record_dir *parent, const char *path,
                          bool create, struct mni_dir **dir_out, struct mn_error *err)
{
    struct record_dir *d = calloc(1, sizeof *d);

    *dir_out = NULL;
    if (d == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "handle of a directory");
    d->base.ops = &dir_ops;
    d->env = env;
    (void)strncpy(d->name, last_component(path), sizeof d->name - 1);
    mn_status st = parent != NULL ? mni_dir_open_dir(parent->below, path, create, &d->below, err)
                                  : mni_env_open_dir(env->below, path, create, &d->below, err);
    (void)note(env, st, "open_dir %s%s", d->name, create ? " create" : "");
    if (st != MN_OK) {
        free_dir(d);
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

static struct mni_record_env *as_env(struct mni_env *env)
{
    return (struct mni_record_env *)env;
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

mn_status mni_record_env_new(struct mni_env *below, struct mni_record_env **env_out)
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
    struct mni_record_env *env = calloc(1, sizeof *env);
    char *trace = calloc(1, TRACE_BYTES_MIN);

    *env_out = NULL;
    if (env == NULL || trace == NULL) {
        free(trace);
        free(env);
        return MN_ERR_NOMEM;
    }
    env->base.ops = &ops;
    env->below = below;
    env->trace = trace;
    env->capacity_bytes = TRACE_BYTES_MIN;
    mni_mutex_init(&env->mutex);
    *env_out = env;
    return MN_OK;
}

void mni_record_env_free(struct mni_record_env *env)
{
    if (env == NULL)
        return;
    mni_mutex_done(&env->mutex);
    free(env->trace);
    free(env);
}

struct mni_env *mni_record_env_base(struct mni_record_env *env)
{
    return &env->base;
}

const char *mni_record_env_trace(struct mni_record_env *env)
{
    mni_mutex_lock(&env->mutex);
    const char *trace = env->trace;
    mni_mutex_unlock(&env->mutex);
    return trace;
}

void mni_record_env_reset(struct mni_record_env *env)
{
    mni_mutex_lock(&env->mutex);
    env->trace_bytes = 0;
    env->trace[0] = '\0';
    mni_mutex_unlock(&env->mutex);
}
