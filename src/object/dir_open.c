/*
 * dir_open.c - opens or makes a directory of objects, and removes what dead processes left in it.
 *
 * Owns:    the handles of the store's own directories, and the lock on what it is writing.
 * Format:  docs/format/object.md
 * Threads: one while it opens or closes; other processes do the same at once.
 * Fails:   MN_ERR_NO_STORE where there is none, and a writer may make none; as the disk does.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "object/dir_private.h"

enum { MARK_TRIES_MAX = 3, CLAIM_TRIES_MAX = 16, TMP_NAME_BYTES = 17 };

/* The place ----------*/

/* A mark that was just made is read through another handle, since the lock stays with the one that
 * made it. */
static mn_status open_root(struct dir_store *store, const char *path, struct mn_error *err)
{
    bool create = !store->is_read_only;
    mn_status st = MN_OK;

    for (unsigned i = 0; i < MARK_TRIES_MAX; i++) {
        st = mni_env_open_dir(store->env, path, create, &store->root, err);
        if (st == MN_NOT_FOUND)
            return mni_fail(err, MN_ERR_NO_STORE, "there is no such directory");
        if (st == MN_OK)
            st = dir_mark_read(store->root, err);
        if (st != MN_NOT_FOUND)
            return st;
        if (store->is_read_only)
            return mni_fail(err, MN_ERR_NO_STORE, "the directory is no store of objects");
        st = dir_mark_make(store, store->root, err);
        mni_dir_close(store->root);
        store->root = NULL;
        if (st != MN_OK && st != MN_NOT_FOUND)
            return st;
    }
    return mni_fail(err, MN_ERR_IO, "the directory is removed again and again");
}

static mn_status open_parts(struct dir_store *store, struct mn_error *err)
{
    bool create = !store->is_read_only;
    mn_status st = MN_OK;

    /* Without the mark the parts would be somebody else's, so it is durable before them. */
    if (create)
        st = mni_dir_sync(store->root, err);
    if (st == MN_OK)
        st = mni_dir_open_dir(store->root, "objects", create, &store->objects, err);
    if (st == MN_OK)
        st = mni_dir_open_dir(store->root, "uploads", create, &store->uploads, err);
    if (st == MN_NOT_FOUND)
        return mni_fail(err, MN_ERR_NO_STORE, "the directory of objects lacks a part");
    if (st != MN_OK || store->is_read_only)
        return st;
    st = mni_dir_open_dir(store->root, "locks", true, &store->locks, err);
    if (st == MN_OK)
        st = mni_dir_open_dir(store->root, "tmp", true, &store->tmp, err);
    return st == MN_OK ? mni_dir_sync(store->root, err) : st;
}

/* Temporary files ----------*/

static mn_status ignore_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    (void)context;
    (void)name;
    (void)is_dir;
    (void)err;
    return MN_OK;
}

/* MN_NOT_FOUND, MN_ERR_IN_USE: somebody took it for a dead one's between two of our steps. */
static mn_status try_to_claim(struct dir_store *store, struct mn_error *err)
{
    struct mni_dir *dir = NULL;
    uint64_t random;
    mn_status st = mni_env_random(store->env, &random, sizeof random, err);

    if (st != MN_OK)
        return st;
    (void)snprintf(store->mine_name, sizeof store->mine_name, "%016" PRIx64, random);
    st = mni_dir_open_dir(store->tmp, store->mine_name, true, &dir, err);
    if (st == MN_OK)
        st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, err);
    if (st == MN_OK)
        st = mni_dir_list(dir, ignore_entry, NULL, err); /* is it there still? */
    if (st != MN_OK) {
        mni_dir_close(dir);
        return st;
    }
    store->mine = dir;
    return MN_OK;
}

static mn_status claim(struct dir_store *store, struct mn_error *err)
{
    mn_status st = MN_NOT_FOUND;

    for (unsigned i = 0; i < CLAIM_TRIES_MAX && (st == MN_NOT_FOUND || st == MN_ERR_IN_USE); i++)
        st = try_to_claim(store, err);
    if (st == MN_NOT_FOUND || st == MN_ERR_IN_USE)
        return mni_fail(err, MN_ERR_IO, "the directory for temporary files goes again and again");
    return st;
}

/* Directories here, and the files in them, have names of one form. */
static bool is_tmp_name(struct mni_dir *dir, const char *name)
{
    (void)dir;
    return strlen(name) == TMP_NAME_BYTES - 1 &&
           strspn(name, "0123456789abcdef") == TMP_NAME_BYTES - 1;
}

static mn_status note_name(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    if (!is_dir || !is_tmp_name(NULL, name))
        return MN_OK;
    if (mni_buf_append(context, name, TMP_NAME_BYTES) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "names of temporary files");
    return MN_OK;
}

/* What is locked has an owner that lives. */
static void tidy_tmp(struct dir_store *store)
{
    struct mni_buf names = {0};
    mn_status st = mni_dir_list(store->tmp, note_name, &names, NULL);

    for (size_t at = 0; st == MN_OK && at < names.n_bytes; at += TMP_NAME_BYTES) {
        const char *name = (const char *)names.data + at;
        struct mni_dir *dir = NULL;
        if (strcmp(name, store->mine_name) == 0 ||
            mni_dir_open_dir(store->tmp, name, false, &dir, NULL) != MN_OK)
            continue;
        if (mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, NULL) == MN_OK)
            dir_remove_with_files(store->tmp, name, is_tmp_name);
        mni_dir_close(dir);
    }
    mni_buf_done(&names);
}

/* Opening and closing ----------*/

mn_status dir_store_init(struct dir_store *store, const char *path, struct mn_error *err)
{
    for (size_t i = 0; i < DIR_N_LOCKS; i++)
        mni_mutex_init(&store->key_locks[i]);
    mn_status st = open_root(store, path, err);
    if (st == MN_OK)
        st = open_parts(store, err);
    if (st != MN_OK || store->is_read_only)
        return st;
    st = claim(store, err);
    if (st == MN_OK) {
        tidy_tmp(store);
        dir_uploads_tidy(store);
    }
    return st;
}

void dir_store_done(struct dir_store *store)
{
    if (store->mine != NULL)
        dir_remove_with_files(store->tmp, store->mine_name, is_tmp_name);
    mni_dir_close(store->mine);
    mni_dir_close(store->tmp);
    mni_dir_close(store->locks);
    mni_dir_close(store->uploads);
    mni_dir_close(store->objects);
    mni_dir_close(store->root);
    for (size_t i = 0; i < DIR_N_LOCKS; i++)
        mni_mutex_done(&store->key_locks[i]);
}
