/*
 * dir_private.h - the parts of the back end in a directory.
 *
 *     dir_names.c    keys and the names of files
 *     dir_file.c     the file of an object: written, read, checked
 *     dir_tree.c     directories, locks; an object gets its place or loses it
 *     dir_list.c     listing in the order of keys
 *     dir_uploads.c  uploads in parts
 *     dir_mark.c     the file that marks a store
 *     dir_open.c     opening, and what dead processes left
 *     dir.c          the operations
 */
#ifndef MNI_OBJECT_DIR_PRIVATE_H
#define MNI_OBJECT_DIR_PRIVATE_H

#include "base/hash.h"
#include "io/thread.h"
#include "object/counts_private.h"

enum { DIR_N_LOCKS = 16, DIR_UPLOAD_ID_BYTES = 33 };

struct dir_store {
    struct mni_object_store base;
    struct mni_env *env; /* borrowed; outlives the store */
    bool is_read_only;
    uint32_t delay_us;
    uint32_t fail_every;
    atomic_uint_fast64_t n_asked; /* requests that may be made to fail */
    struct object_counts counts;

    struct mni_dir *root; /* owned, as the next ones; those of writers are NULL in a reader */
    struct mni_dir *objects;
    struct mni_dir *uploads;
    struct mni_dir *locks;
    struct mni_dir *tmp;
    struct mni_dir *mine; /* in `tmp`, locked: what this handle is writing */
    char mine_name[MNI_NAME_BYTES_MAX];
    atomic_uint_fast64_t n_temps;

    struct mni_mutex
        key_locks[DIR_N_LOCKS]; /* each before the lock on the directory of its number */
};

static inline struct dir_store *dir_store_of(struct mni_object_store *base)
{
    return (struct dir_store *)base;
}

/* Names -----------------------------------------------------------------------------------------
 */

enum dir_kind {
    DIR_LEAF,   /* the file of an object */
    DIR_FOLDER, /* a component with its "/" */
    DIR_MORE,   /* the beginning of a long component */
};

/* The first step on the way of a key. */
struct dir_step {
    enum dir_kind kind;
    size_t n_bytes; /* of the key, a "/" included */
    char name[MNI_NAME_BYTES_MAX];
};

void dir_next_step(struct mn_slice rest, struct dir_step *step_out);

/* An entry of a directory as the bytes of the key that it stands for, a "/" included: by these,
 * entries are in the order of the keys below them. */
struct dir_entry {
    enum dir_kind kind;
    size_t n_bytes;
    unsigned char bytes[MNI_NAME_BYTES_MAX];
};

/* False when it is none of ours. */
bool dir_read_name(const char *name, bool is_dir, struct dir_entry *entry_out);

/* Files -----------------------------------------------------------------------------------------
 */

/* A file that is being written in `mine`. */
struct dir_temp {
    struct mni_file *file; /* owned; NULL when it is closed */
    struct mni_hash128_stream *hash;
    uint32_t crc32c;
    uint64_t n_bytes;
    bool is_synced;                /* whole and durable: it may get its place */
    char name[MNI_NAME_BYTES_MAX]; /* empty: there is none */
};

MN_MUST_USE mn_status dir_temp_init(struct dir_store *store, struct dir_temp *temp,
                                    struct mn_error *err);
MN_MUST_USE mn_status dir_temp_add(struct dir_temp *temp, const void *data, size_t n,
                                   struct mn_error *err);
/* Writes what follows the content, syncs and closes. */
MN_MUST_USE mn_status dir_temp_finish(struct dir_store *store, struct dir_temp *temp,
                                      struct mn_object_info *info_out, struct mn_error *err);
void dir_temp_done(struct dir_store *store, struct dir_temp *temp); /* removes it if it is there */
/* All of these for content that is in memory. */
MN_MUST_USE mn_status dir_temp_write(struct dir_store *store, struct mn_slice data,
                                     struct dir_temp *temp, struct mn_object_info *info_out,
                                     struct mn_error *err);

/* Opens the file of an object and reads what follows its content. MN_NOT_FOUND, MN_ERR_CORRUPT. */
MN_MUST_USE mn_status dir_file_open(struct mni_dir *dir, const char *name,
                                    struct mni_file **file_out, struct mn_object_info *info_out,
                                    struct mn_error *err);
/* Reads all content of such a file, and checks it. */
MN_MUST_USE mn_status dir_file_read(struct mni_file *file, const struct mn_object_info *info,
                                    uint64_t n_bytes_max, struct mn_slice *data_out,
                                    struct mn_error *err);
/* The info alone. */
MN_MUST_USE mn_status dir_file_info(struct mni_dir *dir, const char *name,
                                    struct mn_object_info *info_out, struct mn_error *err);

/* The tree --------------------------------------------------------------------------------------
 */

/* Opens the directory of a key and tells its file's name there. With `create`, makes it, and sees
 * to it that its own name is durable. MN_NOT_FOUND without. */
MN_MUST_USE mn_status dir_open_place(struct dir_store *store, struct mn_slice key, bool create,
                                     struct mni_dir **dir_out, char name_out[MNI_NAME_BYTES_MAX],
                                     struct mn_error *err);

/* What MN_NOT_FOUND means for something in `part` ("objects", "uploads"): MN_ERR_IO where the part
 * itself was removed under the open store. */
MN_MUST_USE mn_status dir_check_missing(struct dir_store *store, const char *part,
                                        struct mn_error *err);

void dir_close_place(const struct dir_store *store, struct mni_dir *dir);

/* Gives the file in `temp` to the key, if the condition holds. */
MN_MUST_USE mn_status dir_publish(struct dir_store *store, struct mn_slice key,
                                  const struct dir_temp *temp,
                                  const struct mn_object_condition *condition,
                                  struct mn_error *err);
/* Takes the key's file away; MN_OK also when there is none. */
MN_MUST_USE mn_status dir_unpublish(struct dir_store *store, struct mn_slice key,
                                    struct mn_error *err);

/* Removes a directory with those files in it that are ours, as far as possible; who does it next
 * goes on. One that holds anything else stays. */
typedef bool dir_is_ours_fn(struct mni_dir *dir, const char *name);
void dir_remove_with_files(struct mni_dir *parent, const char *name, dir_is_ours_fn *is_ours);

/* Takes a lock that others hold for moments. */
MN_MUST_USE mn_status dir_wait_for_lock(struct dir_store *store, struct mni_dir *dir,
                                        struct mn_error *err);

void dir_nap(int64_t us);

/* Listing, uploads ------------------------------------------------------------------------------
 */

MN_MUST_USE mn_status dir_list(struct dir_store *store, struct mn_slice prefix,
                               struct mn_slice after, size_t n_entries_max,
                               struct mn_object_page **page_out, struct mn_error *err);

struct dir_upload;

MN_MUST_USE mn_status dir_upload_new(struct dir_store *store, struct mn_slice key,
                                     const char *upload_id, struct dir_upload **upload_out,
                                     struct mn_error *err);
void dir_upload_free(struct dir_upload *upload);
const char *dir_upload_get_id(const struct dir_upload *upload);
uint64_t dir_upload_get_part_bytes(struct dir_upload *upload, uint32_t number);
MN_MUST_USE mn_status dir_upload_put_part(struct dir_upload *upload, uint32_t number,
                                          struct mn_slice data, struct mn_error *err);
/* Makes the parts an object, if they are what the handle knows of it, and leaves the upload as it
 * is. */
MN_MUST_USE mn_status dir_upload_join(struct dir_upload *upload,
                                      const struct mni_object_upload *handle,
                                      const struct mn_object_condition *condition,
                                      struct mn_object_info *info_out, struct mn_error *err);
/* Ends the upload. */
MN_MUST_USE mn_status dir_upload_end(struct dir_upload *upload, struct mn_error *err);
MN_MUST_USE mn_status dir_uploads(struct dir_store *store, struct mn_slice prefix,
                                  mn_object_upload_fn *each, void *context, struct mn_error *err);
/* Removes what crashes left of uploads. */
void dir_uploads_tidy(struct dir_store *store);

/* Opening ---------------------------------------------------------------------------------------
 */

/* MN_NOT_FOUND: there is none. MN_ERR_NO_STORE: a file of that name is somebody else's. */
MN_MUST_USE mn_status dir_mark_read(struct mni_dir *root, struct mn_error *err);
/* Makes the mark where there is nothing else, else MN_ERR_NO_STORE. Leaves `root` locked, and the
 * mark to be synced. */
MN_MUST_USE mn_status dir_mark_make(struct dir_store *store, struct mni_dir *root,
                                    struct mn_error *err);
/* Fills a store whose options are set; dir_store_done frees what it has, also after a failure. */
MN_MUST_USE mn_status dir_store_init(struct dir_store *store, const char *path,
                                     struct mn_error *err);
void dir_store_done(struct dir_store *store);

#endif
