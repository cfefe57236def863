/*
 * dir_tree.c - how an object gets its place in the tree of directories, and loses it.
 *
 * Owns:    handles of directories while they are used.
 * Format:  docs/format/object.md, "Writers must"
 * Threads: any; who gives or takes a key its file holds the key's lock, in this process and between
 *          processes. Directories come and go without a lock: the file system refuses to remove one
 *          that holds something, and to put something into one that was removed.
 * Fails:   as the disk does; the object is old or new.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "object/dir_private.h"

enum {
    /* Each time somebody else has removed a directory in the moment between. */
    PUBLISH_TRIES_MAX = 1000,
    NAP_US_MIN = 50,
    NAP_US_MAX = 2000,
    LOCK_WAIT_US_MAX = 60 * 1000000,
    PRUNE_HANDLES_MAX = 32,
};

void dir_nap(int64_t us)
{
    struct mni_mutex mutex;
    struct mni_cond cond;

    mni_mutex_init(&mutex);
    mni_cond_init(&cond);
    mni_mutex_lock(&mutex);
    (void)mni_cond_wait_for(&cond, &mutex, us);
    mni_mutex_unlock(&mutex);
    mni_cond_done(&cond);
    mni_mutex_done(&mutex);
}

/* Ways ----------*/

/* Opens the next directory on a way and goes over to it. `at` is the store's own at the beginning,
 * and is not closed then. */
static mn_status go_into(const struct dir_store *store, struct mni_dir **at, const char *name,
                         bool create, struct mn_error *err)
{
    struct mni_dir *next = NULL;
    mn_status st = mni_dir_open_dir(*at, name, create, &next, err);

    if (st == MN_OK && create)
        st = mni_dir_sync(*at, err); /* whoever made it may not have done so yet */
    if (st != MN_OK) {
        mni_dir_close(next);
        return st;
    }
    if (*at != store->objects)
        mni_dir_close(*at);
    *at = next;
    return MN_OK;
}

void dir_close_place(const struct dir_store *store, struct mni_dir *at)
{
    if (at != store->objects)
        mni_dir_close(at);
}

/* Goes so many bytes of the key; the caller closes the place. */
static mn_status go(struct dir_store *store, struct mn_slice way, bool create,
                    struct mni_dir **dir_out, struct dir_step *last_out, struct mn_error *err)
{
    struct mni_dir *at = store->objects;
    struct mn_slice rest = way;
    mn_status st = MN_OK;

    for (;;) {
        dir_next_step(rest, last_out);
        if (last_out->kind == DIR_LEAF)
            break;
        st = go_into(store, &at, last_out->name, create, err);
        if (st != MN_OK) {
            dir_close_place(store, at);
            return st;
        }
        rest.data = (const unsigned char *)rest.data + last_out->n_bytes;
        rest.n_bytes -= last_out->n_bytes;
    }
    *dir_out = at;
    return MN_OK;
}

mn_status dir_open_place(struct dir_store *store, struct mn_slice key, bool create,
                         struct mni_dir **dir_out, char name_out[MNI_NAME_BYTES_MAX],
                         struct mn_error *err)
{
    struct dir_step last;
    mn_status st = go(store, key, create, dir_out, &last, err);

    if (st == MN_OK)
        memcpy(name_out, last.name, MNI_NAME_BYTES_MAX);
    return st;
}

mn_status dir_check_missing(struct dir_store *store, const char *part, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    mn_status st = mni_dir_open_dir(store->root, part, false, &dir, err);

    mni_dir_close(dir);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_IO, "the directory of %s was removed", part);
    return st == MN_OK ? MN_NOT_FOUND : st;
}

/* The directories of a key, outermost first, as the bytes of the key at which each ends. */
struct folders {
    struct mn_slice key;
    size_t ends[MN_OBJECT_KEY_BYTES_MAX + 1]; /* that of the store's own first */
    size_t n;
};

static void find_folders(struct mn_slice key, struct folders *folders)
{
    struct dir_step step;

    folders->key = key;
    folders->n = 0;
    folders->ends[0] = 0;
    for (;;) {
        size_t end = folders->ends[folders->n];
        dir_next_step((struct mn_slice){(const char *)key.data + end, key.n_bytes - end}, &step);
        if (step.kind == DIR_LEAF)
            return;
        MNI_CHECK(folders->n < MN_OBJECT_KEY_BYTES_MAX);
        folders->n++;
        folders->ends[folders->n] = end + step.n_bytes;
    }
}

/* The name of a folder in the one before it. */
static void name_folder(const struct folders *folders, size_t i, struct dir_step *step_out)
{
    size_t begin = folders->ends[i - 1];

    MNI_CHECK(i > 0 && i <= folders->n);
    dir_next_step(
        (struct mn_slice){(const char *)folders->key.data + begin, folders->ends[i] - begin},
        step_out);
    MNI_CHECK(step_out->kind != DIR_LEAF);
}

/* Removes the innermost folders that are empty, at most so many as handles may be open. Those that
 * are not there are as good as removed. */
static bool prune_some(struct dir_store *store, struct folders *folders)
{
    size_t first = folders->n > PRUNE_HANDLES_MAX ? folders->n - PRUNE_HANDLES_MAX : 0;
    struct mni_dir *parents[PRUNE_HANDLES_MAX] = {store->objects};
    size_t n_parents = 1; /* of the folders from `first` on */
    struct dir_step step;
    mn_status st = MN_OK;

    for (size_t i = 1; i < folders->n && st == MN_OK; i++) {
        struct mni_dir **last = &parents[n_parents - 1];
        name_folder(folders, i, &step);
        if (i <= first) {
            st = go_into(store, last, step.name, false, NULL);
        } else {
            st = mni_dir_open_dir(*last, step.name, false, &parents[n_parents], NULL);
            n_parents += st == MN_OK;
        }
        if (st == MN_NOT_FOUND)
            folders->n = i - 1;
    }
    if (st == MN_NOT_FOUND)
        st = MN_OK;
    while (st == MN_OK && folders->n > first) {
        name_folder(folders, folders->n, &step);
        st = mni_dir_remove_dir(parents[folders->n - 1 - first], step.name, NULL);
        if (st == MN_OK || st == MN_NOT_FOUND) {
            folders->n--;
            st = MN_OK;
        }
    }
    while (n_parents > 0)
        dir_close_place(store, parents[--n_parents]);
    return st == MN_OK;
}

/* Removes the directories of a key that are empty. Nothing depends on it. */
static void prune(struct dir_store *store, struct mn_slice key)
{
    struct folders folders;

    find_folders(key, &folders);
    while (folders.n > 0 && prune_some(store, &folders))
        continue;
}

struct removal {
    struct mni_dir *dir;
    dir_is_ours_fn *is_ours;
};

static mn_status remove_file(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    const struct removal *removal = context;

    (void)err;
    if (!is_dir && removal->is_ours(removal->dir, name))
        mni_ignore(mni_dir_unlink(removal->dir, name, NULL));
    return MN_OK;
}

void dir_remove_with_files(struct mni_dir *parent, const char *name, dir_is_ours_fn *is_ours)
{
    struct removal removal = {NULL, is_ours};

    if (mni_dir_open_dir(parent, name, false, &removal.dir, NULL) != MN_OK)
        return;
    mni_ignore(mni_dir_list(removal.dir, remove_file, &removal, NULL));
    mni_dir_close(removal.dir);
    mni_ignore(mni_dir_remove_dir(parent, name, NULL));
}

/* The lock of a key ----------*/

struct key_lock {
    struct mni_mutex *mutex;
    struct mni_dir *dir;
};

mn_status dir_wait_for_lock(struct dir_store *store, struct mni_dir *dir, struct mn_error *err)
{
    int64_t began_us = mni_env_mono_us(store->env);
    int64_t nap_us = NAP_US_MIN;
    mn_status st;

    while ((st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, err)) == MN_ERR_IN_USE) {
        if (mni_env_mono_us(store->env) - began_us > LOCK_WAIT_US_MAX)
            return mni_fail(err, MN_ERR_IO, "another process has held a lock for a minute");
        dir_nap(nap_us);
        nap_us = nap_us * 2 < NAP_US_MAX ? nap_us * 2 : NAP_US_MAX;
    }
    return st;
}

/* Threads wait for each other at the mutex; the directory's lock is for other processes. */
static mn_status lock_key(struct dir_store *store, struct mn_slice key, struct key_lock *lock,
                          struct mn_error *err)
{
    unsigned number = (unsigned)(mni_hash(key.data, key.n_bytes, 0) % DIR_N_LOCKS);
    char name[MNI_NAME_BYTES_MAX];

    (void)snprintf(name, sizeof name, "%02x", number);
    lock->mutex = &store->key_locks[number];
    lock->dir = NULL;
    mni_mutex_lock(lock->mutex);
    mn_status st = mni_dir_open_dir(store->locks, name, true, &lock->dir, err);
    if (st == MN_OK)
        st = dir_wait_for_lock(store, lock->dir, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "the directory of locks was removed");
    if (st != MN_OK) {
        mni_dir_close(lock->dir);
        mni_mutex_unlock(lock->mutex);
    }
    return st;
}

static void unlock_key(struct key_lock *lock)
{
    mni_dir_close(lock->dir);
    mni_mutex_unlock(lock->mutex);
}

/* Getting and losing a place ----------*/

static mn_status check_match(struct mni_dir *dir, const char *name, const char *etag,
                             struct mn_error *err)
{
    struct mn_object_info info;
    mn_status st = dir_file_info(dir, name, &info, err);

    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_CHANGED, "there is none");
    if (st == MN_OK && strcmp(info.etag, etag) != 0)
        return mni_fail(err, MN_CHANGED, "the ETag is %s", info.etag);
    return st;
}

static mn_status place_if_absent(struct dir_store *store, struct mni_dir *dir, const char *name,
                                 const struct dir_temp *temp, struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_link(dir, name, store->mine, temp->name, err);

    if (st != MN_ERR_UNSUPPORTED)
        return st;
    /* No links here. Whoever writes holds the lock, so that looking first is as good. */
    st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);
    mni_file_close(file);
    if (st == MN_OK)
        return mni_fail(err, MN_EXISTS, "there is an object");
    return st == MN_NOT_FOUND ? mni_dir_move(dir, name, store->mine, temp->name, err) : st;
}

/* Under the key's lock. MN_NOT_FOUND: the directory was removed. */
static mn_status place(struct dir_store *store, struct mni_dir *dir, const char *name,
                       const struct dir_temp *temp, const struct mn_object_condition *condition,
                       struct mn_error *err)
{
    mn_status st = MN_OK;

    if (condition != NULL && condition->if_absent)
        return place_if_absent(store, dir, name, temp, err);
    if (condition != NULL && condition->if_match != NULL)
        st = check_match(dir, name, condition->if_match, err);
    return st == MN_OK ? mni_dir_move(dir, name, store->mine, temp->name, err) : st;
}

static mn_status try_to_publish(struct dir_store *store, struct mn_slice key,
                                const struct dir_temp *temp,
                                const struct mn_object_condition *condition, struct mn_error *err)
{
    bool needs_one = condition != NULL && condition->if_match != NULL;
    char name[MNI_NAME_BYTES_MAX];
    struct mni_dir *dir = NULL;
    struct key_lock lock;
    mn_status st = dir_open_place(store, key, !needs_one, &dir, name, err);

    if (st == MN_NOT_FOUND && needs_one)
        return mni_fail(err, MN_CHANGED, "there is none");
    if (st != MN_OK)
        return st;
    st = lock_key(store, key, &lock, err);
    if (st == MN_OK) {
        st = place(store, dir, name, temp, condition, err);
        unlock_key(&lock);
    }
    /* What another one has put, and made us refuse, is durable when we say so. */
    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
    else if ((st == MN_EXISTS || st == MN_CHANGED) && mni_dir_sync(dir, NULL) != MN_OK)
        st = mni_fail(err, MN_ERR_IO, "sync the directory of another's object");
    dir_close_place(store, dir);
    return st;
}

/* MN_NOT_FOUND of a file may be about either end of its move. */
static mn_status check_temp(struct dir_store *store, const struct dir_temp *temp,
                            struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(store->mine, temp->name, MNI_OPEN_READ, &file, err);

    mni_file_close(file);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_IO, "the file that was written was removed")
                              : st;
}

mn_status dir_publish(struct dir_store *store, struct mn_slice key, const struct dir_temp *temp,
                      const struct mn_object_condition *condition, struct mn_error *err)
{
    mn_status st = MN_NOT_FOUND;

    MNI_CHECK(temp->is_synced);
    for (unsigned i = 0; i < PUBLISH_TRIES_MAX && st == MN_NOT_FOUND; i++) {
        st = try_to_publish(store, key, temp, condition, err);
        mn_status temp_st = st == MN_NOT_FOUND ? check_temp(store, temp, err) : MN_OK;
        if (temp_st != MN_OK)
            st = temp_st;
    }
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_IO, "its directory is removed again and again");
    if (st < 0)
        prune(store, key); /* what was made on the way */
    return st;
}

mn_status dir_unpublish(struct dir_store *store, struct mn_slice key, struct mn_error *err)
{
    char name[MNI_NAME_BYTES_MAX];
    struct mni_dir *dir = NULL;
    struct key_lock lock;

    MNI_CHECK(!store->is_read_only);
    mn_status st = dir_open_place(store, key, false, &dir, name, err);
    if (st == MN_NOT_FOUND) {
        st = dir_check_missing(store, "objects", err);
        return st == MN_NOT_FOUND ? MN_OK : st;
    }
    if (st != MN_OK)
        return st;
    st = lock_key(store, key, &lock, err);
    if (st == MN_OK) {
        st = mni_dir_unlink(dir, name, err);
        unlock_key(&lock);
    }
    if (st == MN_OK || st == MN_NOT_FOUND)
        st = mni_dir_sync(dir, err); /* also what another one has deleted */
    dir_close_place(store, dir);
    if (st == MN_OK)
        prune(store, key);
    return st;
}
