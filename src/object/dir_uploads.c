/*
 * dir_uploads.c - uploads in parts to a directory of objects.
 *
 * Owns:    the sizes of the parts that an upload's handle knows.
 * Format:  docs/format/object.md
 * Threads: any put parts of one upload at once.
 * Fails:   MN_NOT_FOUND for an upload that is over; as the disk does. A part is old or new.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/compare.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "object/dir_private.h"

enum {
    BEGIN_TRIES_MAX = 16,
    COPY_BYTES = 1 << 20,
    PART_NAME_BYTES = 12,
};
static const char KEY_NAME[] = "key";
static const char OVER_MARK[] = ".over";

struct dir_upload {
    struct dir_store *store; /* borrowed; outlives the upload */
    struct mni_mutex lock;   /* of the sizes */
    uint64_t *part_bytes;    /* owned; of part 1 first */
    uint32_t n_parts;
    char id[DIR_UPLOAD_ID_BYTES];
    size_t key_bytes;
    unsigned char key[];
};

static struct mn_slice key_of(const struct dir_upload *upload)
{
    return (struct mn_slice){upload->key, upload->key_bytes};
}

static void make_part_name(uint32_t number, char name_out[PART_NAME_BYTES])
{
    (void)snprintf(name_out, PART_NAME_BYTES, "%05" PRIu32, number);
}

/* Of a part's file; 0: it is none. */
static uint32_t number_of(const char *name)
{
    char again[PART_NAME_BYTES];
    uint32_t number = 0;

    for (size_t i = 0; i < 5 && name[i] >= '0' && name[i] <= '9'; i++)
        number = number * 10 + (uint32_t)(name[i] - '0');
    make_part_name(number, again);
    return number <= MN_OBJECT_PARTS_MAX && strcmp(again, name) == 0 ? number : 0;
}

static bool is_id(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");

    return n == DIR_UPLOAD_ID_BYTES - 1 && name[n] == '\0';
}

static bool is_our_file(struct mni_dir *dir, const char *name)
{
    (void)dir;
    return strcmp(name, KEY_NAME) == 0 || number_of(name) > 0;
}

/* For what nobody living has made: a file that ends as only ours do. */
static bool is_our_whole_file(struct mni_dir *dir, const char *name)
{
    struct mn_object_info info;

    return is_our_file(dir, name) && dir_file_info(dir, name, &info, NULL) == MN_OK;
}

static mn_status no_upload(struct dir_store *store, struct mn_error *err)
{
    mn_status st = dir_check_missing(store, "uploads", err);

    if (st != MN_NOT_FOUND)
        return st;
    return mni_fail(err, MN_NOT_FOUND, "there is no such upload");
}

/* Knowing the parts ----------*/

static mn_status note_size(struct dir_upload *upload, uint32_t number, uint64_t n_bytes,
                           struct mn_error *err)
{
    MNI_CHECK(number >= 1 && number <= MN_OBJECT_PARTS_MAX);
    if (number > upload->n_parts) {
        uint64_t *sizes = mni_realloc(upload->part_bytes, number * sizeof *sizes);
        if (sizes == NULL)
            return mni_fail(err, MN_ERR_NOMEM, "sizes of %" PRIu32 " parts", number);
        memset(sizes + upload->n_parts, 0, (number - upload->n_parts) * sizeof *sizes);
        upload->part_bytes = sizes;
        upload->n_parts = number;
    }
    upload->part_bytes[number - 1] = n_bytes;
    return MN_OK;
}

struct part_listing {
    struct dir_upload *upload;
    struct mni_dir *dir;
};

static mn_status note_part(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    const struct part_listing *listing = context;
    struct mn_object_info info;
    uint32_t number = number_of(name);

    if (is_dir || number == 0)
        return MN_OK;
    mn_status st = dir_file_info(listing->dir, name, &info, err);
    /* A damaged part is as good as none; it counts as missing until it is put again. */
    if (st == MN_ERR_CORRUPT)
        return note_size(listing->upload, number, 0, err);
    return st == MN_OK ? note_size(listing->upload, number, info.n_bytes, err) : st;
}

/* Beginning and resuming ----------*/

static mn_status read_key(struct mni_dir *dir, struct mn_slice *key_out, int64_t *begun_us_out,
                          struct mn_error *err)
{
    struct mn_object_info info;
    struct mni_file *file = NULL;
    mn_status st = dir_file_open(dir, KEY_NAME, &file, &info, err);

    if (st == MN_OK)
        st = dir_file_read(file, &info, MN_OBJECT_KEY_BYTES_MAX, key_out, err);
    if (st == MN_OK)
        *begun_us_out = info.modified_us;
    mni_file_close(file);
    return st;
}

/* A directory that is locked and has no key yet is left alone by those who tidy up. MN_NOT_FOUND,
 * MN_ERR_IN_USE: one of them was faster. */
static mn_status try_to_begin(struct dir_upload *upload, const struct dir_temp *key,
                              struct mn_error *err)
{
    struct dir_store *store = upload->store;
    unsigned char random[(DIR_UPLOAD_ID_BYTES - 1) / 2];
    char text[MN_OBJECT_ETAG_BYTES];
    struct mni_dir *dir = NULL;
    mn_status st = mni_env_random(store->env, random, sizeof random, err);

    if (st != MN_OK)
        return st;
    mni_object_make_etag(random, text);
    memcpy(upload->id, text, DIR_UPLOAD_ID_BYTES);
    MNI_CHECK(is_id(upload->id)); /* else nobody would find it again */
    MNI_CHECK(key->is_synced);
    st = mni_dir_open_dir(store->uploads, upload->id, true, &dir, err);
    if (st == MN_OK)
        st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, err);
    if (st == MN_OK)
        st = mni_dir_move(dir, KEY_NAME, store->mine, key->name, err);
    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
    if (st == MN_OK)
        st = mni_dir_sync(store->uploads, err);
    mni_dir_close(dir);
    if (st != MN_OK)
        dir_remove_with_files(store->uploads, upload->id, is_our_file);
    return st;
}

static mn_status begin(struct dir_upload *upload, struct mn_error *err)
{
    struct dir_temp key = {0};
    mn_status st = dir_temp_write(upload->store, key_of(upload), &key, NULL, err);

    if (st == MN_OK)
        st = MN_NOT_FOUND;
    for (unsigned i = 0; i < BEGIN_TRIES_MAX && (st == MN_NOT_FOUND || st == MN_ERR_IN_USE); i++)
        st = try_to_begin(upload, &key, err);
    if (st == MN_NOT_FOUND || st == MN_ERR_IN_USE)
        st = mni_fail(err, MN_ERR_IO, "the directory of the upload is removed again and again");
    dir_temp_done(upload->store, &key);
    return st;
}

static mn_status resume(struct dir_upload *upload, const char *upload_id, struct mn_error *err)
{
    struct part_listing listing = {upload, NULL};
    struct mn_slice key = {NULL, 0};
    int64_t begun_us;

    if (!is_id(upload_id))
        return no_upload(upload->store, err);
    memcpy(upload->id, upload_id, DIR_UPLOAD_ID_BYTES);
    mn_status st = mni_dir_open_dir(upload->store->uploads, upload_id, false, &listing.dir, err);
    if (st == MN_OK)
        st = read_key(listing.dir, &key, &begun_us, err);
    if (st == MN_OK && mni_key_compare(key, key_of(upload)) != 0)
        st = MN_NOT_FOUND;
    if (st == MN_OK)
        st = mni_dir_list(listing.dir, note_part, &listing, err);
    mni_free((void *)(uintptr_t)key.data);
    mni_dir_close(listing.dir);
    return st == MN_NOT_FOUND ? no_upload(upload->store, err) : st;
}

mn_status dir_upload_new(struct dir_store *store, struct mn_slice key, const char *upload_id,
                         struct dir_upload **upload_out, struct mn_error *err)
{
    struct dir_upload *upload = mni_alloc_zero(sizeof *upload + key.n_bytes);

    if (upload == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "an upload");
    upload->store = store;
    mni_mutex_init(&upload->lock);
    upload->key_bytes = key.n_bytes;
    memcpy(upload->key, key.data, key.n_bytes);
    mn_status st = upload_id == NULL ? begin(upload, err) : resume(upload, upload_id, err);
    if (st != MN_OK) {
        dir_upload_free(upload);
        return st;
    }
    *upload_out = upload;
    return MN_OK;
}

void dir_upload_free(struct dir_upload *upload)
{
    if (upload == NULL)
        return;
    mni_mutex_done(&upload->lock);
    mni_free(upload->part_bytes);
    mni_free(upload);
}

const char *dir_upload_get_id(const struct dir_upload *upload)
{
    return upload->id;
}

uint64_t dir_upload_get_part_bytes(struct dir_upload *upload, uint32_t number)
{
    mni_mutex_lock(&upload->lock);
    uint64_t n_bytes = number <= upload->n_parts ? upload->part_bytes[number - 1] : 0;
    mni_mutex_unlock(&upload->lock);
    return n_bytes;
}

/* Parts ----------*/

/* By name each time: an upload that another handle has ended has no such directory any more. */
static mn_status open_upload_dir(const struct dir_upload *upload, struct mni_dir **dir_out,
                                 struct mn_error *err)
{
    mn_status st = mni_dir_open_dir(upload->store->uploads, upload->id, false, dir_out, err);

    return st == MN_NOT_FOUND ? no_upload(upload->store, err) : st;
}

mn_status dir_upload_put_part(struct dir_upload *upload, uint32_t number, struct mn_slice data,
                              struct mn_error *err)
{
    struct dir_temp temp = {0};
    struct mni_dir *dir = NULL;
    char name[PART_NAME_BYTES];
    mn_status st = open_upload_dir(upload, &dir, err);

    make_part_name(number, name);
    if (st == MN_OK)
        st = dir_temp_write(upload->store, data, &temp, NULL, err);
    MNI_CHECK(st != MN_OK || temp.is_synced);
    if (st == MN_OK) {
        st = mni_dir_move(dir, name, upload->store->mine, temp.name, err);
        if (st == MN_NOT_FOUND)
            st = no_upload(upload->store, err);
    }
    if (st == MN_OK)
        st = mni_dir_sync(dir, err);
    dir_temp_done(upload->store, &temp);
    mni_dir_close(dir);
    if (st != MN_OK)
        return st;
    mni_mutex_lock(&upload->lock);
    st = note_size(upload, number, data.n_bytes, err);
    mni_mutex_unlock(&upload->lock);
    return st;
}

static mn_status copy_part(struct mni_file *file, const struct mn_object_info *info,
                           struct dir_temp *temp, unsigned char *buffer, struct mn_error *err)
{
    uint32_t crc32c = 0;
    size_t n_read = 0;

    for (uint64_t at = 0; at < info->n_bytes; at += n_read) {
        uint64_t n_left = info->n_bytes - at;
        size_t n = n_left < COPY_BYTES ? (size_t)n_left : COPY_BYTES;
        mn_status st = mni_file_read(file, at, buffer, n, &n_read, err);
        if (st == MN_OK && n_read == 0)
            st = mni_fail(err, MN_ERR_CORRUPT, "a part is shorter than it was");
        if (st == MN_OK)
            st = dir_temp_add(temp, buffer, n_read, err);
        if (st != MN_OK)
            return st;
        crc32c = mni_crc32c(crc32c, buffer, n_read);
    }
    if (crc32c != info->crc32c)
        return mni_fail(err, MN_ERR_CORRUPT, "a part fails its checksum");
    return MN_OK;
}

static mn_status copy_parts(struct dir_upload *upload, struct mni_dir *dir, struct dir_temp *temp,
                            unsigned char *buffer, struct mn_error *err)
{
    mn_status st = MN_OK;

    MNI_CHECK(upload->n_parts > 0);
    for (uint32_t number = 1; number <= upload->n_parts && st == MN_OK; number++) {
        struct mn_object_info info;
        struct mni_file *file = NULL;
        char name[PART_NAME_BYTES];
        make_part_name(number, name);
        st = dir_file_open(dir, name, &file, &info, err);
        if (st == MN_NOT_FOUND)
            st = no_upload(upload->store, err);
        if (st == MN_OK)
            st = copy_part(file, &info, temp, buffer, err);
        mni_file_close(file);
    }
    return st;
}

mn_status dir_upload_join(struct dir_upload *upload, const struct mni_object_upload *handle,
                          const struct mn_object_condition *condition,
                          struct mn_object_info *info_out, struct mn_error *err)
{
    struct dir_store *store = upload->store;
    struct mn_object_info info;
    struct dir_temp temp = {0};
    struct mni_dir *dir = NULL;
    unsigned char *buffer = mni_alloc(COPY_BYTES);
    mn_status st = MN_OK;

    if (buffer == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a buffer");
    st = open_upload_dir(upload, &dir, err);
    if (st == MN_OK)
        st = dir_temp_init(store, &temp, err);
    if (st == MN_OK)
        st = copy_parts(upload, dir, &temp, buffer, err);
    if (st == MN_OK)
        st = mni_object_upload_check(handle, temp.crc32c, err);
    if (st == MN_OK)
        st = dir_temp_finish(store, &temp, &info, err);
    if (st == MN_OK)
        st = dir_publish(store, key_of(upload), &temp, condition, err);
    if (st == MN_OK && info_out != NULL)
        *info_out = info;
    dir_temp_done(store, &temp);
    mni_dir_close(dir);
    mni_free(buffer);
    return st;
}

/* The rename is the end; the rest is for whoever opens the store next, if it fails here. */
mn_status dir_upload_end(struct dir_upload *upload, struct mn_error *err)
{
    struct mni_dir *uploads = upload->store->uploads;
    char over[MNI_NAME_BYTES_MAX];

    MNI_CHECK(is_id(upload->id));
    (void)snprintf(over, sizeof over, "%s%s", upload->id, OVER_MARK);
    mn_status st = mni_dir_rename(uploads, upload->id, over, err);
    if (st == MN_NOT_FOUND) { /* another handle was faster, unless all is gone */
        st = dir_check_missing(upload->store, "uploads", err);
        return st == MN_NOT_FOUND ? MN_OK : st;
    }
    if (st == MN_OK)
        st = mni_dir_sync(uploads, err);
    if (st == MN_OK)
        dir_remove_with_files(uploads, over, is_our_file);
    return st;
}

/* Listing and tidying ----------*/

struct names {
    struct mni_buf buf; /* ids, each with its NUL */
    bool wants_over;    /* also what is over */
};

static bool is_over(const char *name)
{
    size_t n = strlen(name);
    char id[DIR_UPLOAD_ID_BYTES];

    if (n != DIR_UPLOAD_ID_BYTES - 1 + sizeof OVER_MARK - 1)
        return false;
    memcpy(id, name, DIR_UPLOAD_ID_BYTES - 1);
    id[DIR_UPLOAD_ID_BYTES - 1] = '\0';
    return is_id(id) && strcmp(name + DIR_UPLOAD_ID_BYTES - 1, OVER_MARK) == 0;
}

static mn_status note_name(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct names *names = context;

    if (!is_dir || !(is_id(name) || (names->wants_over && is_over(name))))
        return MN_OK;
    if (mni_buf_append(&names->buf, name, strlen(name) + 1) != MN_OK)
        return mni_fail(err, MN_ERR_NOMEM, "ids of uploads");
    return MN_OK;
}

/* By name, so that it shows when the directory was removed. */
static mn_status list_names(struct dir_store *store, struct names *names, struct mn_error *err)
{
    struct mni_dir *uploads = NULL;
    mn_status st = mni_dir_open_dir(store->root, "uploads", false, &uploads, err);

    if (st == MN_OK)
        st = mni_dir_list(uploads, note_name, names, err);
    mni_dir_close(uploads);
    return st == MN_NOT_FOUND ? mni_fail(err, MN_ERR_IO, "the directory of uploads was removed")
                              : st;
}

static mn_status tell_upload(struct dir_store *store, struct mn_slice prefix, const char *id,
                             mn_object_upload_fn *each, void *context, struct mn_error *err)
{
    struct mn_slice key = {NULL, 0};
    struct mni_dir *dir = NULL;
    int64_t begun_us = 0;
    mn_status st = mni_dir_open_dir(store->uploads, id, false, &dir, err);

    if (st == MN_OK)
        st = read_key(dir, &key, &begun_us, err);
    mni_dir_close(dir);
    /* Over, or only being begun; or nobody can tell whose it is, and others are to be found. */
    if (st == MN_NOT_FOUND || st == MN_ERR_CORRUPT)
        return MN_OK;
    if (st != MN_OK) {
        mni_error_prefix(err, "upload %s", id);
        return st;
    }
    if (mni_begins_with(key, prefix))
        st = each(context, key, id, begun_us);
    mni_free((void *)(uintptr_t)key.data);
    return st;
}

mn_status dir_uploads(struct dir_store *store, struct mn_slice prefix, mn_object_upload_fn *each,
                      void *context, struct mn_error *err)
{
    struct names names = {0};
    mn_status st = list_names(store, &names, err);

    for (size_t at = 0; st == MN_OK && at < names.buf.n_bytes; at += DIR_UPLOAD_ID_BYTES)
        st = tell_upload(store, prefix, (const char *)names.buf.data + at, each, context, err);
    mni_buf_done(&names.buf);
    return st;
}

static void tidy(struct dir_store *store, const char *name)
{
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;

    if (!is_over(name)) {
        if (mni_dir_open_dir(store->uploads, name, false, &dir, NULL) != MN_OK)
            return;
        /* Who begins an upload holds the lock until the key is there. */
        mn_status st = mni_dir_lock(dir, MNI_LOCK_EXCLUSIVE, NULL);
        if (st == MN_OK)
            st = mni_dir_open_file(dir, KEY_NAME, MNI_OPEN_READ, &file, NULL);
        mni_file_close(file);
        if (st == MN_NOT_FOUND) /* it can hold nothing yet: what holds something is not ours */
            mni_ignore(mni_dir_remove_dir(store->uploads, name, NULL));
        mni_dir_close(dir);
        return;
    }
    dir_remove_with_files(store->uploads, name, is_our_whole_file);
}

void dir_uploads_tidy(struct dir_store *store)
{
    struct names names = {.wants_over = true};
    mn_status st = list_names(store, &names, NULL);

    for (size_t at = 0; st == MN_OK && at < names.buf.n_bytes;
         at += strlen((const char *)names.buf.data + at) + 1)
        tidy(store, (const char *)names.buf.data + at);
    mni_buf_done(&names.buf);
}
