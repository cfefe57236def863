/*
 * dir_mark.c - the file MNEME-OBJECTS: what tells a directory of objects from any other.
 *
 * Owns:    nothing.
 * Format:  docs/format/object.md, "The mark"
 * Threads: one per store; other processes do the same at once.
 * Fails:   MN_NOT_FOUND where there is none; MN_ERR_NO_STORE for a directory of somebody else,
 *          in which nothing is changed.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "object/dir_private.h"
#include "object/format.h"

static const char mark_name[] = "MNEME-OBJECTS";
static const char mark_new_name[] = "MNEME-OBJECTS.new";

static void make_mark(unsigned char bytes[MARK_BYTES])
{
    memcpy(bytes + MARK_OFF_MAGIC, MARK_MAGIC, OBJECT_MAGIC_BYTES);
    mni_put_u32(bytes + MARK_OFF_VERSION, MARK_VERSION);
    mni_put_u32(bytes + MARK_OFF_CRC, mni_crc32c(0, bytes, MARK_OFF_CRC));
}

/* One byte more than there may be, if the file has it. */
static mn_status read_bytes(struct mni_dir *root, const char *name,
                            unsigned char bytes[MARK_BYTES + 1], size_t *n_out,
                            struct mn_error *err)
{
    struct mni_file *file = NULL;
    mn_status st = mni_dir_open_file(root, name, MNI_OPEN_READ, &file, err);

    if (st == MN_OK)
        st = mni_file_read(file, 0, bytes, MARK_BYTES + 1, n_out, err);
    mni_file_close(file);
    return st;
}

mn_status dir_mark_read(struct mni_dir *root, struct mn_error *err)
{
    unsigned char bytes[MARK_BYTES + 1];
    size_t n = 0;
    mn_status st = read_bytes(root, mark_name, bytes, &n, err);

    if (st == MN_ERR_CORRUPT) /* no regular file */
        return mni_fail(err, MN_ERR_NO_STORE, "%s is not the mark of a store", mark_name);
    if (st != MN_OK)
        return st;
    if (n < OBJECT_MAGIC_BYTES || memcmp(bytes, MARK_MAGIC, OBJECT_MAGIC_BYTES) != 0)
        return mni_fail(err, MN_ERR_NO_STORE, "%s is not the mark of a store", mark_name);
    if (n != MARK_BYTES || mni_get_u32(bytes + MARK_OFF_CRC) != mni_crc32c(0, bytes, MARK_OFF_CRC))
        return mni_fail(err, MN_ERR_CORRUPT, "%s is damaged", mark_name);
    uint32_t version = mni_get_u32(bytes + MARK_OFF_VERSION);
    if (version != MARK_VERSION)
        return mni_fail(err, version > MARK_VERSION ? MN_ERR_UNSUPPORTED : MN_ERR_CORRUPT,
                        "%s is of version %u", mark_name, version);
    return MN_OK;
}

/* Making ----------*/

struct found {
    bool has_new;
    bool has_others;
};

static mn_status note_entry(void *context, const char *name, bool is_dir, struct mn_error *err)
{
    struct found *found = context;

    (void)err;
    if (!is_dir && strcmp(name, mark_new_name) == 0)
        found->has_new = true;
    else if (is_dir || strcmp(name, mark_name) != 0)
        found->has_others = true;
    return MN_OK;
}

/* Whether the file is what a power cut leaves of a mark: each byte ours, or not written. */
static mn_status check_left(struct mni_dir *root, bool *is_ours_out, struct mn_error *err)
{
    unsigned char mark[MARK_BYTES];
    unsigned char bytes[MARK_BYTES + 1];
    size_t n = 0;
    mn_status st = read_bytes(root, mark_new_name, bytes, &n, err);

    make_mark(mark);
    *is_ours_out = st == MN_OK && n <= MARK_BYTES;
    for (size_t i = 0; *is_ours_out && i < n; i++)
        *is_ours_out = bytes[i] == 0 || bytes[i] == mark[i];
    return st == MN_NOT_FOUND || st == MN_ERR_CORRUPT ? MN_OK : st;
}

/* Whether a store may be made here: only what is left of another making may be here. */
static mn_status check_empty(struct mni_dir *root, bool *has_new_out, struct mn_error *err)
{
    struct found found = {0};
    bool is_ours = true;
    mn_status st = mni_dir_list(root, note_entry, &found, err);

    if (st == MN_OK && found.has_new && !found.has_others)
        st = check_left(root, &is_ours, err);
    if (st == MN_OK && (found.has_others || !is_ours))
        return mni_fail(err, MN_ERR_NO_STORE,
                        "the directory holds other things and no %s: it is no store of objects, "
                        "and not empty",
                        mark_name);
    *has_new_out = found.has_new;
    return st;
}

static mn_status write_mark(struct mni_dir *root, struct mn_error *err)
{
    unsigned char bytes[MARK_BYTES];
    struct mni_file *file = NULL;
    mn_status st =
        mni_dir_open_file(root, mark_new_name, MNI_OPEN_WRITE | MNI_OPEN_CREATE, &file, err);

    make_mark(bytes);
    if (st == MN_OK)
        st = mni_file_write(file, 0, bytes, sizeof bytes, err);
    if (st == MN_OK)
        st = mni_file_sync(file, err);
    mni_file_close(file);
    return st == MN_OK ? mni_dir_rename(root, mark_new_name, mark_name, err) : st;
}

mn_status dir_mark_make(struct dir_store *store, struct mni_dir *root, struct mn_error *err)
{
    bool has_new = false;
    mn_status st = check_empty(root, &has_new, err); /* nobody else's directory is locked */

    if (st == MN_ERR_NO_STORE && dir_mark_read(root, NULL) == MN_OK)
        return MN_OK; /* another process was faster, and is making the parts */
    if (st == MN_OK)
        st = dir_wait_for_lock(store, root, err);
    if (st != MN_OK)
        return st;
    st = dir_mark_read(root, err);
    if (st != MN_NOT_FOUND)
        return st; /* another process was faster */
    st = check_empty(root, &has_new, err);
    if (st == MN_OK && has_new)
        st = mni_dir_unlink(root, mark_new_name, err);
    return st == MN_OK ? write_mark(root, err) : st;
}
